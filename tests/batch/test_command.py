"""``edge-sacro batch`` as it is typed: what it prints, its exit codes, and what is left when it is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_sacro.batch.progress import Watcher
from edge_sacro.batch.tasks import Counts
from edge_sacro.cli import main
from tests.batch.conftest import write_instances
from tests.conftest import ROOT


def call(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["batch", *map(str, words)])
    return done.exit_code, done.output


def test_the_summary_counts_rows_and_says_that_nothing_was_left_out(
    folder: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    code, told = call(folder, "--bundle", bundle_folder, "--out", tmp_path / "a.parquet", "--workers", "1", "--json")
    assert code == 0, told
    summary = json.loads(told[told.index("{\n") :])
    assert (summary["listed"], summary["table"]["instances"], summary["table"]["copies"]) == (8, 7, 1)
    assert sum(summary["table"]["states"].values()) == summary["table"]["rows"] == 7
    assert (summary["ignored"], summary["setup"]["operating_point"]) == (1, "accuracy")
    progress = json.loads(told.splitlines()[0])
    assert (progress["done"], progress["of"], progress["workers"]) == (8, 8, 1)

    code, told = call(folder, "--bundle", bundle_folder, "--out", tmp_path / "a.parquet", "--operating-point", "other")
    assert code == 101, told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--ray-address", "host:1"], 2, "is for --engine ray"),
        (["--query", "a=b"], 2, "are for a DICOMweb server"),
        (["--precision", "int8"], 2, "no precision 'int8'"),
        (["--operating-point", "best"], 2, "no operating point 'best'"),
        (["--override", "truncated"], 2, "truncated"),
        (["--backend", "none-such"], 41, "none-such"),
        (["--engines", "there", "--backend", "openvino"], 2, "their own backend"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_assessed(
    folder: Path, bundle_folder: Path, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    found, text = call(folder, "--bundle", bundle_folder, "--out", tmp_path / "a.parquet", "--workers", "1", *words)
    assert found == code, text
    assert told in text
    assert not (tmp_path / "a.parquet").exists()


def test_a_folder_without_instances_is_an_error(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, told = call(tmp_path / "empty", "--bundle", bundle_folder, "--out", tmp_path / "a.parquet")
    assert (code, "it holds no DICOM file" in told) == (11, True)


def test_the_workers_of_a_killed_driver_end(bundle_folder: Path, tmp_path: Path) -> None:
    folder = write_instances(tmp_path / "in", 30)
    words = [str(folder), "--bundle", str(bundle_folder), "--out", str(tmp_path / "a.parquet"), "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-m", "edge_sacro.cli", "batch", *words], cwd=ROOT)
    work = tmp_path / "a.parquet.work"
    until = time.monotonic() + 60
    while not any(part.stat().st_size for part in work.glob("part-*")) and time.monotonic() < until:
        time.sleep(0.01)
    children = _below(process.pid)
    process.kill()
    process.wait()
    assert len(children) >= 2
    while (left := [child for child in children if _alive(child)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left


def _below(pid: int) -> list[int]:
    """Every process that descends from one."""
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [each for child in found for each in _below(child)]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_progress_is_a_line_of_json_now_and_then_and_at_the_end() -> None:
    lines: list[str] = []
    with Watcher(1e-9, lines.append, terminal=False) as watch:
        watch(Counts(listed=10, resumed=2, done=4), 3)
        watch(Counts(listed=10, resumed=2, done=10, set_aside=1, lost={"worker_died": 2}), 3)
    told = [json.loads(line) for line in lines]
    assert [each["done"] for each in told] == [4, 10, 10]
    assert (told[-1]["set_aside"], told[-1]["workers_lost"], told[-1]["workers"]) == (1, 2, 3)
    assert told[0]["seconds_left"] is not None

    with Watcher(100.0, lines.append, terminal=False):
        pass
    assert len(lines) == 3, "nothing is said where nothing was begun"


def test_a_terminal_has_a_bar_in_place_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with Watcher(1e-9, lines.append, terminal=True) as watch:
        watch(Counts(listed=10, done=4), 3)
    assert lines == []
