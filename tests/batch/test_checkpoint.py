"""The work folder: what a crash, a full disk, a second process and other options do to it, which is nothing."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.batch.checkpoint import Checkpoint, keys_of
from edge_sacro.batch.tasks import Recipe, Row, Task
from edge_sacro.errors import BatchError, BatchMismatch, OutputNotWritten

RECIPE = Recipe("bundle", "f" * 64, "onnxruntime", "fp32", "accuracy", 1)
BACKEND = {"name": "onnxruntime", "version": "1", "precision": "fp32"}


def opened(folder: Path, recipe: Recipe = RECIPE, **options: Any) -> Checkpoint:
    return Checkpoint(folder, recipe.identity(), **options)


def task(name: str, sha256: str | None = None, stamp: tuple[int, int] | None = (1, 2)) -> Task:
    return Task(name, b"", sha256, stamp)


def row(state: str = "negative") -> Row:
    return {"state": state}


def add(checkpoint: Checkpoint, each: Task, state: str = "negative", *, set_aside: bool = False) -> bool:
    return checkpoint.add(each, [row(state)], {"worker": "w"}, set_aside=set_aside)


def part(folder: Path) -> Path:
    return sorted(folder.glob("part-*.jsonl"))[-1]


def test_what_was_added_is_there_after_it_was_opened_again(tmp_path: Path) -> None:
    with opened(tmp_path) as checkpoint:
        assert add(checkpoint, task("a", "1"))
        assert not checkpoint.has("b", (1, 2))
    with opened(tmp_path) as checkpoint:
        assert checkpoint.has("a", (1, 2))
        assert checkpoint.rows("1") == ([row()], {"worker": "w"})


def test_a_file_that_changed_is_not_answered_yet(tmp_path: Path) -> None:
    with opened(tmp_path) as checkpoint:
        add(checkpoint, task("a", "1"))
        assert not checkpoint.has("a", (1, 3))
        add(checkpoint, task("a", "2", (1, 3)))
        assert [key for key, _ in keys_of(checkpoint, ["a"])] == ["2"], "the row of the old bytes has no path any more"


def test_the_second_answer_to_the_same_bytes_adds_a_path_and_no_rows(tmp_path: Path) -> None:
    with opened(tmp_path) as checkpoint:
        assert add(checkpoint, task("b", "1"))
        assert not add(checkpoint, task("a", "1"), "positive")
        assert list(keys_of(checkpoint, ["b", "a", "a", "unknown"])) == [("1", ["a", "b"])]
        assert checkpoint.rows("1")[0] == [row()]


def test_the_end_that_a_crash_cut_off_is_left_out_and_the_rest_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as checkpoint:
        for name in "abc":
            add(checkpoint, task(name, name))
    whole = part(tmp_path).read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for cut in (last + 1, last + 9, len(whole) - 1):
        part(tmp_path).write_bytes(whole[:cut])
        with opened(tmp_path) as checkpoint:
            assert [checkpoint.has(name, (1, 2)) for name in "abc"] == [True, True, False]


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_line_that_was_damaged_is_not_read_over(tmp_path: Path, at: int) -> None:
    with opened(tmp_path) as checkpoint:
        add(checkpoint, task("a", "a"))
        add(checkpoint, task("b", "b"))
    lines = part(tmp_path).read_bytes().split(b"\n")
    first = bytearray(lines[0])
    first[at] ^= 1
    part(tmp_path).write_bytes(b"\n".join([bytes(first), *lines[1:]]))
    with pytest.raises(BatchError, match="the line at byte 0 is damaged"):
        opened(tmp_path)


def test_a_disk_that_is_full_leaves_whole_lines_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = os.write, [700]

    def write(handle: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = real(handle, data[: room[0]])
        room[0] -= done
        return done

    with opened(tmp_path) as checkpoint:
        monkeypatch.setattr(os, "write", write)
        kept = 0
        while room[0] > 150:
            add(checkpoint, task(str(kept), str(kept)))
            kept += 1
        with pytest.raises(OutputNotWritten, match="No space left") as full:
            add(checkpoint, task("large", "large"), "x" * 200)
        assert "goes on" in full.value.remedy
        room[0] = 10_000
        add(checkpoint, task("later", "later"))
    monkeypatch.undo()
    with opened(tmp_path) as checkpoint:
        assert len(checkpoint.known.rows) == kept + 1
        assert checkpoint.has("later", (1, 2))


def test_no_two_processes_use_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(BatchError, match="another batch uses"):
        opened(tmp_path)
    opened(tmp_path).close()


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "0" * 64},
        {"operating_point": "other"},
        {"precision": "int8"},
        {"overrides": ("wrong_view",)},
        {"deadline_s": 1.0},
        {"version": "0.0.0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_answers_of_something_else_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    opened(tmp_path).close()
    with pytest.raises(BatchMismatch, match=next(iter(change))):
        opened(tmp_path, replace(RECIPE, **change))


def test_what_has_no_part_in_the_answers_may_change(tmp_path: Path) -> None:
    opened(tmp_path).close()
    opened(tmp_path, replace(RECIPE, bundle="elsewhere", threads=4)).close()


def test_another_version_of_the_backend_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as checkpoint:
        checkpoint.check_backend(BACKEND)
    with opened(tmp_path) as checkpoint:
        checkpoint.check_backend(BACKEND)
        with pytest.raises(BatchMismatch, match="it holds answers of"):
            checkpoint.check_backend({**BACKEND, "version": "2"})


def test_what_could_not_be_read_is_tried_anew_and_what_was_set_aside_on_demand(tmp_path: Path) -> None:
    with opened(tmp_path) as checkpoint:
        add(checkpoint, task("gone"), "refused")
        add(checkpoint, task("poison", "1"), "set_aside", set_aside=True)
        assert checkpoint.has("gone", (1, 2))
    with opened(tmp_path) as checkpoint:
        assert [checkpoint.has(name, (1, 2)) for name in ("gone", "poison")] == [False, True]
    with opened(tmp_path, again=True) as checkpoint:
        assert not checkpoint.has("poison", (1, 2))
        assert add(checkpoint, task("poison", "1"))
    with opened(tmp_path) as checkpoint:
        assert checkpoint.rows("1")[0] == [row()]


def test_paths_that_are_no_text_are_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.dcm")
    with opened(tmp_path) as checkpoint:
        add(checkpoint, task(name, "1"))
    with opened(tmp_path) as checkpoint:
        assert checkpoint.has(name, (1, 2))
