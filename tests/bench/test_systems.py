"""``python -m bench systems``: rows of a tiny stand-in for a full-size system, kept as they are made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch")

from bench import systems as bench
from bench.__main__ import main
from bench.stopwatch import Stopwatch
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.classify import softmax
from edge_sacro.engine import open_engine
from tests.bench.stand_in import SYSTEM, stand_in

pytestmark = pytest.mark.heavy


def run(out: Path, *arguments: str) -> Result:
    options = ["--system", SYSTEM, "--images", "6", "--runs", "3", "--threads", "1", "--out", str(out)]
    return CliRunner().invoke(main, ["systems", *options, *arguments])


def rows(out: Path) -> dict[str, dict[str, Any]]:
    return {row["precision"]: row for row in json.loads(out.read_text())["rows"]}


def test_both_precisions_are_measured_and_told(stand_ins: Callable[[Any, float], Path], tmp_path: Path) -> None:
    out = stand_ins(bench, 0.0)
    done = run(out)
    assert done.exit_code == 0, done.output
    fp32, int8 = rows(out)["fp32"], rows(out)["int8"]
    network = fp32["networks"]["classifier"]
    assert (network["parameters"], network["gigaflops"], network["runs"]) == (1_234_567, 1.5, 1)
    assert (fp32["threads"], fp32["runs"]) == (1, 3)
    assert 0 < network["ms"] == fp32["networks_ms"]["median"] < fp32["assessment_ms"]["median"]
    assert fp32["networks_ms"]["least"] <= fp32["networks_ms"]["median"]
    assert fp32["load"] >= 0
    assert fp32["against_fp32"] is None
    found = int8["against_fp32"]
    assert (found["images"], found["with_probability"], found["cut_offs"]) == (6, 6, 1)
    assert found["flips_outside_guard_band"] == found["flips_inside_guard_band"] == found["disagreements"] == 0
    assert 0 < found["largest_difference"] < 0.02
    assert int8["golden"]["classifier"]["input_sha256"] == fp32["golden"]["classifier"]["input_sha256"]
    assert int8["golden"]["classifier"]["logits"] != fp32["golden"]["classifier"]["logits"]
    logits = np.array([fp32["golden"]["classifier"]["logits"]])
    assert softmax(logits)[0, 1] == pytest.approx(fp32["answer"]["probability"], abs=6e-5)
    cells = [line.split(" | ")[1:4] for line in done.stdout.splitlines()[2:]]
    assert cells == [["fp32", "1.2", "1.5"], ["int8", "1.2", "1.5"]]
    assert "0 of 6" in done.stdout


def test_an_int8_network_that_lost_its_signal_shows_as_flips(stand_ins: Callable[[Any, float], Path]) -> None:
    out = stand_ins(bench, 100.0)
    assert run(out).exit_code == 0
    found = rows(out)["int8"]["against_fp32"]
    assert found["flips_outside_guard_band"] + found["flips_inside_guard_band"] > 0
    assert found["largest_difference"] > 0.1


def test_rows_that_are_there_are_not_measured_again_unless_asked(
    stand_ins: Callable[[Any, float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stand_ins(bench, 0.0)
    measured: list[str] = []
    inner = bench.rows_from_system

    def counted(system: str, *arguments: Any) -> Any:
        measured.append(system)
        yield from inner(system, *arguments)

    def stopped(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "rows_from_system", counted)
    with monkeypatch.context() as patch:
        patch.setattr(bench, "_against_fp32", stopped)
        assert run(out).exit_code != 0
    assert list(rows(out)) == ["fp32"], "the row that was made before the stop"
    assert run(out).exit_code == 0
    first = out.read_text()
    assert run(out).exit_code == 0
    assert measured == [SYSTEM] * 2
    assert out.read_text() == first
    assert run(out, "--again").exit_code == 0
    assert measured == [SYSTEM] * 3


def test_a_bundle_that_was_kept_is_not_made_again(
    stand_ins: Callable[[Any, float], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out, keep = stand_ins(bench, 0.0), tmp_path / "kept"
    assert run(out, "--keep", str(keep)).exit_code == 0
    first = rows(out)
    assert sorted(path.name for path in (keep / SYSTEM).iterdir()) == ["int8"]

    def never(*arguments: Any) -> Bundle:
        raise AssertionError("it was made again")

    monkeypatch.setattr(bench, "exported", never)
    assert run(out, "--keep", str(keep), "--again").exit_code == 0
    assert rows(out)["int8"]["golden"] == first["int8"]["golden"]
    assert run(out, "--again").exit_code != 0, "negative control: without the folder it has to be made"


def test_an_unknown_system_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    out = tmp_path / "systems.json"
    done = CliRunner().invoke(main, ["systems", "--system", "noh2022", "--out", str(out)])
    assert done.exit_code == 2
    assert "noh2022" in done.stderr
    assert "noh2021" in done.stderr
    assert not out.exists()


def test_the_anchor_is_the_distance_to_kept_logits(
    stand_ins: Callable[[Any, float], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = stand_ins(bench, 0.0)
    bundle = load_bundle(stand_in(tmp_path / "bundle", 0.0))
    spec = bundle.manifest.networks["classifier"].spec("classifier")
    noise = np.random.Generator(np.random.PCG64(99)).random(spec.inputs[0].shape).astype(np.float32)
    logits = open_engine("onnxruntime", spec, bundle.model("classifier", "fp32", "onnxruntime"), 1).run(
        {spec.inputs[0].name: noise}
    )["logits"]
    kept = tmp_path / "anchor.npz"
    np.savez(kept, **{bench.ANCHOR_KEY: logits + np.float32(0.5)})
    monkeypatch.setattr(bench, "ANCHOR", kept)
    assert run(out).exit_code == 0
    assert rows(out)["fp32"]["anchor"] == pytest.approx(0.5, abs=1e-6)
    assert rows(out)["int8"]["anchor"] != pytest.approx(0.5, abs=1e-6)


def test_a_stopwatch_forgets_what_was_taken(tmp_path: Path) -> None:
    bundle = load_bundle(stand_in(tmp_path / "bundle", 0.0))
    spec = bundle.manifest.networks["classifier"].spec("classifier")
    stopwatch = Stopwatch()
    engine = stopwatch.open("onnxruntime", spec, bundle.model("classifier", "fp32", "onnxruntime"), 1)
    for _ in range(3):
        engine.run({spec.inputs[0].name: np.zeros(spec.inputs[0].shape, np.float32)})
    taken = stopwatch.taken()
    assert len(taken["classifier"]) == 3
    assert min(taken["classifier"]) > 0
    assert stopwatch.taken() == {"classifier": []}
