"""Batches on processes of this machine: the same bytes however many ran and died, and one row an instance always."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from edge_sacro.batch.local import LocalPool
from edge_sacro.batch.run import Outcome, Plan, Setup, run_batch
from edge_sacro.batch.sources import FolderInstances
from edge_sacro.batch.tasks import Counts, Limits
from edge_sacro.bundle import Bundle
from edge_sacro.errors import BatchError, BatchMismatch, BundleNotFound
from edge_sacro.runtime import Runtime
from tests.batch import deadly
from tests.batch.conftest import STATES, write_instances
from tests.conftest import ROOT
from tests.tiny import drawn_pelvis, write_dicom

ONE = Setup(threads=1)
MANY = 24
"""Instances of a batch that is ended in the middle."""


def batch(folder: Path, bundle: Bundle, out: Path, workers: int = 1, **plan: Any) -> Outcome:
    return run_batch(FolderInstances([str(folder)]), bundle, ONE, Plan(out, workers=workers, **plan))


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def command(folder: Path, bundle: Path, out: Path, *more: str) -> list[str]:
    options = ["--bundle", str(bundle), "--out", str(out), "--threads", "1", *more]
    return [sys.executable, "-m", "edge_sacro.cli", "batch", str(folder), *options]


@pytest.fixture(scope="module")
def table(folder: Path, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table that one worker makes."""
    out = tmp_path_factory.mktemp("table") / "one.parquet"
    batch(folder, bundle, out)
    return out


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_instances(tmp_path_factory.mktemp("many") / "in", MANY)


@pytest.fixture(scope="module")
def whole(many: Path, bundle: Bundle) -> Path:
    """The table of many instances that nobody ended."""
    out = many.parent / "whole.parquet"
    batch(many, bundle, out)
    return out


def test_each_instance_has_one_row_and_it_says_what_the_runtime_says(folder: Path, bundle: Bundle, table: Path) -> None:
    rows = rows_of(table)
    assert {row["state"] for row in rows} == STATES
    assert len({(row["sha256"], row["frame"]) for row in rows}) == len(rows)
    paths = [path for row in rows for path in row["paths"]]
    assert sorted(paths) == sorted(str(path) for path in folder.glob("*.dcm"))
    with Runtime(bundle, threads=1) as runtime:
        for row in rows:
            result = runtime.infer(row["paths"][0])
            left = result.joints.left
            assert (row["state"], row["probability"]) == (result.state.value, result.probability)
            assert (row["reason"], row["reason_code"]) == (result.reason, result.reason_code)
            assert (row["left_box_px"], row["left_box_mm"], row["crop_px"]) == (
                left.box_px,
                left.box_mm,
                result.crop_px,
            )
            assert row["sop_instance_uid"] == result.source.sop_instance_uid
            assert row["backend_version"] == result.backend.version
            assert row["bundle_fingerprint"] == bundle.fingerprint


def test_the_same_bytes_under_two_paths_are_one_row_with_both(folder: Path, table: Path) -> None:
    both = [row["paths"] for row in rows_of(table) if len(row["paths"]) > 1]
    assert both == [[str(folder / "000.dcm"), str(folder / "copy.dcm")]]


@pytest.mark.parametrize("plan", [{"workers": 3}, {"workers": 2, "whole": False}], ids=["three", "shared disk"])
def test_more_workers_write_the_same_bytes(
    folder: Path, bundle: Bundle, table: Path, tmp_path: Path, plan: dict[str, Any]
) -> None:
    batch(folder, bundle, tmp_path / "other.parquet", **plan)
    assert (tmp_path / "other.parquet").read_bytes() == table.read_bytes()


def test_other_answers_write_other_bytes(folder: Path, bundle: Bundle, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "other.parquet"
    setup = Setup(threads=1, operating_point="other")
    run_batch(FolderInstances([str(folder)]), bundle, setup, Plan(out, workers=1))
    assert out.read_bytes() != table.read_bytes()
    assert {row["operating_point"] for row in rows_of(out)} == {"other"}


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGKILL, -9, id="killed"),
        pytest.param(signal.SIGINT, 102, id="interrupted"),
        pytest.param(signal.SIGTERM, 102, id="terminated", marks=pytest.mark.heavy),
    ],
)
def test_a_batch_that_was_ended_goes_on_and_writes_the_same_bytes(
    bundle_folder: Path, many: Path, whole: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out.parquet"
    run = command(many, bundle_folder, out, "--workers", "1")
    process = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    kept = wait_for(lambda: lines_in(out.with_name("out.parquet.work")) >= 5, process)
    os.killpg(process.pid, number) if number != signal.SIGKILL else process.kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert kept
    assert not out.exists()
    answered = lines_in(out.with_name("out.parquet.work"))
    assert 5 <= answered < MANY + 2

    done = subprocess.run([*run, "--json"], cwd=ROOT, check=True, capture_output=True)
    summary = json.loads(done.stdout)
    assert answered - 1 <= summary["answered_before"] <= answered
    assert summary["answered_before"] + summary["answered_now"] == MANY + 2
    assert out.read_bytes() == whole.read_bytes()


def lines_in(work: Path) -> int:
    return sum(part.read_bytes().count(b"\n") for part in work.glob("part-*.jsonl"))


def wait_for(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if true():
            return True
        time.sleep(0.005)
    return False


def test_a_finished_batch_starts_no_worker_and_writes_the_same_bytes(
    folder: Path, bundle: Bundle, table: Path, tmp_path: Path
) -> None:
    readable = tmp_path / "here.parquet"
    batch(folder, bundle, readable)
    first = readable.read_bytes()

    def opened(*_: object) -> LocalPool:
        raise AssertionError("nothing is left to do")

    plan = Plan(readable, workers=1)
    outcome = run_batch(FolderInstances([str(folder)]), bundle, ONE, plan, opened=opened)
    assert outcome.summary["answered_now"] == 0
    assert readable.read_bytes() == first == table.read_bytes()


@pytest.mark.parametrize(
    ("content", "code", "limits"),
    [
        pytest.param(deadly.DIES, "worker_died", {}, id="dies"),
        pytest.param(deadly.FAILS, "backend_failed", {}, id="backend fails"),
        pytest.param(deadly.BREAKS, "internal", {}, id="defect", marks=pytest.mark.heavy),
        pytest.param(deadly.HANGS, "instance_limit", {"instance_s": 6.0}, id="hangs", marks=pytest.mark.heavy),
        pytest.param(deadly.GROWS, "worker_memory", {"memory_bytes": 600 << 20}, id="grows", marks=pytest.mark.heavy),
    ],
)
def test_an_instance_that_takes_its_worker_down_is_set_aside_and_the_others_answered(
    bundle: Bundle, tmp_path: Path, content: bytes, code: str, limits: dict[str, Any]
) -> None:
    folder = write_instances(tmp_path / "in", 3)
    write_dicom(folder / "001b.dcm", drawn_pelvis(), ImageComments=content.decode())
    out = tmp_path / "out.parquet"

    def opened(recipe: Any, _bundle: Bundle, workers: int, plan: Plan) -> LocalPool:
        return LocalPool(recipe, workers, plan.limits, target=deadly.run_deadly)

    plan = Plan(out, workers=2, limits=Limits(**limits))
    outcome = run_batch(FolderInstances([str(folder)]), bundle, ONE, plan, opened=opened)
    rows = rows_of(out)
    assert len(rows) == 5
    (aside,) = [row for row in rows if row["state"] == "set_aside"]
    assert aside["paths"] == [str(folder / "001b.dcm")]
    assert (aside["reason_code"], aside["probability"], aside["left_state"]) == (code, None, None)
    assert outcome.counts.lost[code] == 1, "it was tried again once, alone"
    assert outcome.summary["table"]["set_aside"][0]["path"] == str(folder / "001b.dcm")

    again = run_batch(FolderInstances([str(folder)]), bundle, ONE, Plan(out, workers=1, again=True))
    assert again.summary["answered_now"] == 1
    assert {row["state"] for row in rows_of(out)} == STATES


def test_workers_are_replaced_after_so_many_instances(
    folder: Path, bundle: Bundle, table: Path, tmp_path: Path
) -> None:
    seen: set[int] = set()
    pools: list[LocalPool] = []

    def opened(recipe: Any, _bundle: Bundle, workers: int, plan: Plan) -> LocalPool:
        pools.append(LocalPool(recipe, workers, plan.limits))
        return pools[0]

    def watch(_counts: Counts, _workers: int) -> None:
        seen.update(pools[0].pids())

    out = tmp_path / "out.parquet"
    plan = Plan(out, workers=1, limits=Limits(recycle=3))
    run_batch(FolderInstances([str(folder)]), bundle, ONE, plan, opened=opened, watch=watch)
    assert len(seen) >= 3
    assert out.read_bytes() == table.read_bytes()


def test_nothing_is_mixed_into_a_work_folder_of_something_else(folder: Path, bundle: Bundle, table: Path) -> None:
    other = Setup(threads=1, operating_point="other")
    with pytest.raises(BatchMismatch, match="operating_point: accuracy there, other here"):
        run_batch(FolderInstances([str(folder)]), bundle, other, Plan(table, workers=1))


def test_workers_that_cannot_open_the_bundle_end_the_batch(folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    from dataclasses import replace

    gone = replace(bundle, path=str(tmp_path / "gone"))
    with pytest.raises(BundleNotFound):
        batch(folder, gone, tmp_path / "out.parquet")
    other = replace(bundle, fingerprint="0" * 64)
    with pytest.raises(BatchMismatch, match="its bundle has the fingerprint"):
        batch(folder, other, tmp_path / "other.parquet")


def test_workers_that_die_at_their_start_end_the_batch(folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    def opened(recipe: Any, _bundle: Bundle, workers: int, plan: Plan) -> LocalPool:
        return LocalPool(recipe, workers, plan.limits, target=deadly.run_stillborn)

    plan = Plan(tmp_path / "out.parquet", workers=1)
    with pytest.raises(BatchError, match="died at their start, the last one with exit code 9"):
        run_batch(FolderInstances([str(folder)]), bundle, ONE, plan, opened=opened)
