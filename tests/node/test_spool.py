"""The files: whole or not at all, on the disk before anybody says so, readable by their owner alone."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from edge_sacro.errors import DiskFull, QueueFull, StorageFailed
from edge_sacro.node.spool import Part, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "node", reserve=0)


class _Call(NamedTuple):
    what: str
    name: str


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[_Call]:
    """What is synced and renamed, in its order."""
    seen: list[_Call] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        seen.append(_Call("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        seen.append(_Call("rename", target.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return seen


def test_a_file_is_synced_before_it_gets_its_name_and_its_folder_after(spool: Spool, calls: list[_Call]) -> None:
    with spool.part() as part:
        part.write(b"DICOM")
        place = spool.keep(part, "ab" * 32)
        name = part.path.name
    assert calls == [
        _Call("sync", name),
        _Call("sync", "instances"),  # the new folder ab
        _Call("rename", f"{'ab' * 32}.dcm"),
        _Call("sync", "ab"),
    ]
    assert spool.path(place).read_bytes() == b"DICOM"
    assert list(spool.incoming.iterdir()) == []


def test_results_are_synced_one_by_one_before_their_folder_gets_its_name(spool: Spool, calls: list[_Call]) -> None:
    place = spool.write_results(7, {"report.json": b"{}", "sr.dcm": b"SR"})
    assert calls == [
        _Call("sync", "report.json"),
        _Call("sync", "sr.dcm"),
        _Call("sync", "000000007.part"),
        _Call("rename", "000000007"),
        _Call("sync", "results"),
    ]
    assert (spool.path(place) / "sr.dcm").read_bytes() == b"SR"


def test_a_part_that_is_not_kept_leaves_nothing(spool: Spool) -> None:
    with spool.part() as part:
        part.write(b"half")
        assert part.path.exists()
    assert list(spool.incoming.iterdir()) == []


def test_results_of_an_earlier_attempt_are_replaced_as_a_whole(spool: Spool) -> None:
    spool.write_results(7, {"old.dcm": b"old"})
    (spool.results / "000000007.part").mkdir()
    place = spool.write_results(7, {"new.dcm": b"new"})
    assert [each.name for each in spool.path(place).iterdir()] == ["new.dcm"]
    assert [each.name for each in spool.results.iterdir()] == ["000000007"]


def test_nobody_else_may_read(spool: Spool) -> None:
    with spool.part() as part:
        part.write(b"DICOM")
        place = spool.path(spool.keep(part, "ab" * 32))
    results = spool.path(spool.write_results(1, {"report.json": b"{}"}))
    for each in (place, results / "report.json"):
        assert each.stat().st_mode & 0o077 == 0
    for each in (spool.folder, place.parent, results):
        assert each.stat().st_mode & 0o077 == 0


def test_below_the_reserve_nothing_is_received_and_results_still_are(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "node", reserve=shutil.disk_usage(tmp_path).free * 2)
    with pytest.raises(DiskFull, match="kept for results"):
        spool.part()
    assert spool.write_results(1, {"report.json": b"{}"})


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, StorageFailed)]
)
def test_a_failed_sync_is_told_and_the_file_is_not_kept(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def broken(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", broken)
    with spool.part() as part:
        part.write(b"DICOM")
        with pytest.raises(error):
            spool.keep(part, "ab" * 32)
    with pytest.raises(error):
        spool.write_results(1, {"report.json": b"{}"})
    assert list(spool.incoming.iterdir()) == []
    assert list(spool.instances.glob("*/*")) == []
    assert not (spool.results / "000000001").exists()


def test_no_more_open_files_is_no_failure_of_the_disk(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def crowded(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", crowded)
    with pytest.raises(QueueFull):
        Part(spool.incoming / "x.part")


def test_the_sweep_removes_what_the_queue_does_not_know_and_nothing_else(spool: Spool) -> None:
    with spool.part() as part:
        part.write(b"DICOM")
        known = spool.keep(part, "ab" * 32)
    with spool.part() as part:
        part.write(b"DICOM")
        unknown = spool.keep(part, "cd" * 32)
    (spool.incoming / "left.part").write_bytes(b"half")
    answered = spool.write_results(1, {"report.json": b"{}"})
    forgotten = spool.write_results(2, {"report.json": b"{}"})
    removed = spool.sweep(lambda each: each in {known, answered})
    assert set(removed) == {Path("incoming/left.part"), unknown, forgotten}
    assert spool.path(known).exists()
    assert (spool.path(answered) / "report.json").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageFailed):
        Spool(tmp_path / "file", 0)
