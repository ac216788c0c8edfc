"""Budgets: every stage of every device has a row, a slowed stage breaks its own, and nothing unmeasured passes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from bench import budgets as module
from bench.__main__ import main
from bench.budgets import FILE, STAGES, Measured, budgets_from_file, check, judged, unjudged
from bench.yardsticks import CHANNELS, GIGAMACS, LAYERS, NAMES, SIDE, TOTAL, Yardsticks, convolutions
from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.engine.base import Array
from edge_sacro.engine.profiles import PROFILES
from edge_sacro.errors import BudgetBroken, InputNotFound, UsageError
from edge_sacro.parity.watch import AroundEngine
from tests.conftest import ROOT

ROW = """[[budget]]
profile = "x86-cpu"
stage = "{stage}"
yardstick = "table"
measured = true
seen = 1.0
most = {most}
"""


@pytest.fixture(scope="module")
def usual(phantom: Path) -> list[tuple[dict[str, float], dict[str, float]]]:
    return module.samples(phantom, 5, 1)


def table(path: Path, **most: float) -> Path:
    path.write_text("\n".join(ROW.format(stage=stage, most=limit) for stage, limit in most.items()))
    return path


def test_every_stage_of_every_profile_has_a_row() -> None:
    rows = budgets_from_file()
    assert set(rows) == {(profile, stage) for profile in PROFILES for stage in STAGES}
    named = {
        name
        for path in (ROOT / "edge_sacro").rglob("*.py")
        for name in re.findall(r'\.stage\("(\w+)"', path.read_text())
    }
    assert named <= set(STAGES), "a stage that the code has and the table does not know"
    assert set(STAGES) - named == {"total"}


def test_measured_rows_leave_room_and_the_others_say_why() -> None:
    rows = budgets_from_file()
    measured = [row for row in rows.values() if isinstance(row, Measured)]
    assert {row.profile for row in measured} == {"x86-cpu"}
    assert {row.stage for row in measured} == set(STAGES) - {"select", "detect"}
    for row in measured:
        assert 1.5 * row.seen <= row.most <= 3 * row.seen
    assert sorted(name for names in unjudged(rows).values() for name in names) == sorted(set(PROFILES) - {"x86-cpu"})
    assert all(len(reason) > 10 for reason in unjudged(rows))


class _Slow(AroundEngine):
    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        time.sleep(0.3)
        return super()._run(inputs, deadline)


def slowed(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
    """The negative control: the classifier sleeps before it runs."""
    inner = open_engine(backend, spec, model, threads)
    return _Slow(inner) if spec.name == "classifier" else inner


def test_a_stage_slowed_on_purpose_breaks_its_budget_and_no_other_networks(
    phantom: Path, usual: list[tuple[dict[str, float], dict[str, float]]]
) -> None:
    rows = budgets_from_file()
    before = {line.stage: line for line in judged(rows, "x86-cpu", usual)}
    after = {line.stage: line for line in judged(rows, "x86-cpu", module.samples(phantom, 5, 1, opener=slowed))}
    assert before["classify"].verdict == "held"
    assert after["classify"].verdict == "broken"
    assert before["segment"].verdict == after["segment"].verdict == "held"
    assert {before["select"].verdict, before["detect"].verdict} == {"not judged"}
    with pytest.raises(BudgetBroken, match=r"classify: .* times convolutions") as broken:
        check(list(after.values()), "x86-cpu")
    assert broken.value.exit_code == 83


def test_the_ratio_is_the_median_of_each_rounds_own(tmp_path: Path) -> None:
    rows = budgets_from_file(table(tmp_path / "b.toml", read=3.0, total=100.0))
    rounds = [({"read": ms, "total": ms}, {"table": beside}) for ms, beside in ((10, 1), (30, 10), (2, 1))]
    (read, _) = judged(rows, "x86-cpu", rounds)
    assert (read.ratio, read.stage_ms, read.yardstick_ms, read.verdict) == (3.0, 10, 1, "held")
    slower = [({"read": 1.01 * stages["read"], "total": 1.0}, beside) for stages, beside in rounds]
    assert judged(rows, "x86-cpu", slower)[0].verdict == "broken"


def test_a_stage_without_a_row_and_a_row_without_a_stage_are_broken(tmp_path: Path) -> None:
    rows = budgets_from_file(table(tmp_path / "b.toml", read=100.0, crop=100.0))
    rounds = [({"read": 1.0, "polish": 1.0}, {"table": 1.0})]
    found = {line.stage: line for line in judged(rows, "x86-cpu", rounds)}
    assert {stage: line.verdict for stage, line in found.items()} == {
        "read": "held",
        "crop": "broken",
        "polish": "broken",
    }
    assert "no row" in found["polish"].why
    assert "did not run" in found["crop"].why
    with pytest.raises(BudgetBroken, match="polish"):
        check([found["polish"]], "x86-cpu")
    check([found["read"]], "x86-cpu")


def test_a_profile_that_nobody_measured_is_refused_and_not_passed() -> None:
    for profile in sorted(set(PROFILES) - {"x86-cpu"}):
        with pytest.raises(UsageError, match="nothing can be judged"):
            judged(budgets_from_file(), profile, [])
    with pytest.raises(UsageError, match="no device profile"):
        judged(budgets_from_file(), "x86", [])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (ROW.format(stage="read", most=1) * 2, "two rows"),
        (ROW.format(stage="polish", most=1), "no stage 'polish'"),
        (ROW.format(stage="read", most=1).replace("x86-cpu", "x86"), "profile 'x86'"),
        (ROW.format(stage="read", most=1).replace('"table"', '"luck"'), "no yardstick 'luck'"),
        (ROW.format(stage="read", most=1).replace("measured = true", "measured = false"), "measured"),
        (ROW.format(stage="read", most=0), "most"),
        ("[[budget", "no table of budgets"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, content: str, match: str) -> None:
    path = tmp_path / "b.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=match):
        budgets_from_file(path)
    with pytest.raises(InputNotFound):
        budgets_from_file(tmp_path / "absent.toml")


def test_yardsticks_do_fixed_work(phantom: Path) -> None:
    graph = onnx.load_from_string(convolutions()).graph
    macs = sum(np.prod(weight.dims) * SIDE * SIDE for weight in graph.initializer)
    assert len(graph.initializer) == LAYERS
    assert macs / 1e9 == pytest.approx(GIGAMACS)
    assert pytest.approx(9 * CHANNELS**2 * SIDE**2 * LAYERS) == macs
    with Yardsticks(phantom, np.zeros((300, 400), np.uint16), 1) as yardsticks:
        taken = yardsticks.measure()
    assert set(taken) == set(NAMES)
    assert taken[TOTAL] == pytest.approx(sum(value for name, value in taken.items() if name != TOTAL))
    assert min(taken.values()) > 0


def test_the_command_tells_every_stage_and_what_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {row.stage: row.seen for row in budgets_from_file().values() if isinstance(row, Measured)}
    monkeypatch.setattr(module, "samples", lambda *_: [(seen, dict.fromkeys(NAMES, 1.0))])
    monkeypatch.setattr("edge_sacro.phantom.write_study", lambda folder, *_: (folder / "a.dcm").touch())
    out = tmp_path / "lines.json"
    arguments = ["budgets", "--profile", "x86-cpu", "--out", str(out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "not judged: " in done.stdout
    assert "no Jetson has been met" in done.stdout
    assert {line["stage"] for line in json.loads(out.read_text())["lines"]} == set(STAGES)
    strict = re.sub(r"most = \S+", "most = 0.0001", FILE.read_text(), count=1)
    assert strict != FILE.read_text()
    (tmp_path / "strict.toml").write_text(strict)
    broken = CliRunner().invoke(main, [*arguments, "--budgets", str(tmp_path / "strict.toml")])
    assert broken.exit_code == 83
    assert "read       broken" in broken.stdout
    assert CliRunner().invoke(main, ["budgets", "--profile", "rtx-40"]).exit_code == 2


def test_the_docs_have_the_table_and_the_growth_that_was_kept() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    for row in budgets_from_file().values():
        if isinstance(row, Measured):
            line = re.search(rf"^\| `{row.stage}` \| {row.yardstick}.* \| {row.seen:g} \| {row.most:g} \|$", text, re.M)
            assert line is not None, row
    size = json.loads((ROOT / "bench" / "results" / "growth.json").read_text())["axes"][0]
    for fit in size["fits"]:
        assert f"| `{fit['stage']}` | {fit['exponent']:.2f} | {fit['error']:.2f} |" in text
