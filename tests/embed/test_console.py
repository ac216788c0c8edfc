"""A console in C beside the Python runtime: the same answers, and a process that may fail without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_sacro.embed.wire import STATES
from edge_sacro.errors import BundleFileCorrupt, BundleNotFound
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from tests.embed.conftest import Compile, Console, surroundings
from tests.tiny import write_bundle

OK, START_FAILED, FAILED, DEADLINE, CRASHED, MEMORY = 0, 2, 3, 4, 5, 7
LATER = 30.0
pytestmark = pytest.mark.heavy


def values_of(result: Result) -> dict[str, Any]:
    """What the C console prints of a result, by the Python runtime."""
    joints = {}
    for side, joint in (("left", result.joints.left), ("right", result.joints.right)):
        joints |= {
            side: STATES[joint.state],
            f"{side}_probability": joint.probability,
            f"{side}_reason": joint.reason or "",
            f"{side}_box": joint.box_px,
        }
    return {
        "status": OK,
        "state": STATES[result.state],
        "probability": result.probability,
        "reason": result.reason,
        "reason_code": result.reason_code or "",
        "result_remedy": result.remedy or "",
        "crop": result.crop_px,
        **joints,
    }


def without_timings(document: dict[str, Any]) -> dict[str, Any]:
    """A report as far as it does not differ from run to run."""
    results = [{k: v for k, v in each.items() if k != "timings_ms"} for each in document["results"]]
    return {**document, "results": results}


def held(document: dict[str, Any], result: Result) -> bool:
    """Whether the console printed this result."""
    return all(document[name] == value for name, value in values_of(result).items())


def test_a_console_answers_as_the_python_runtime_does(console: Console, study: Sequence[Path], tmp_path: Path) -> None:
    text, short = tmp_path / 'no "image".txt', tmp_path / "short.dcm"
    text.write_text("not a radiograph")
    short.write_bytes(study[0].read_bytes()[:20_000])
    paths = [*study, text, short, tmp_path / "absent.dcm"]
    found = console("infer", "-", *paths)
    with Runtime(threads=1) as runtime:
        expected = [runtime.infer(path) for path in paths]
        reports = [json.loads(runtime.report([each]).model_dump_json()) for each in expected]
    for document, result, report in zip(found, expected, reports, strict=True):
        assert held(document, result)
        assert without_timings(document["report"]) == without_timings(report)
        assert (document["demonstration"], document["length_right"], document["code"]) == (1, 1, "")
        assert "not for clinical use" in document["statement"]
    assert [each.state.value for each in expected] == ["negative", "positive", "refused", "refused", "refused"]
    assert [each["reason_code"] for each in found[2:]] == ["not_dicom", "truncated", "input_not_found"]
    assert not held(found[0], expected[1]), "two radiographs are told apart"


def test_bytes_are_answered_as_the_file_is(sanitized: Console, tiny: Path, drawing: Path) -> None:
    (from_bytes, from_file) = sanitized("bytes", tiny, drawing, drawing)
    name = from_bytes["report"]["results"][0]["source"].pop("path")
    assert name == 'räntgen "1"'
    assert from_file["report"]["results"][0]["source"].pop("path") == str(drawing)
    assert without_timings(from_bytes.pop("report")) == without_timings(from_file.pop("report"))
    assert from_bytes == from_file


def test_a_relative_path_is_meant_from_the_consoles_folder(
    sanitized: Console, tiny: Path, drawing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(drawing.parent)
    (found,) = sanitized("infer", tiny, drawing.name)
    assert (found["status"], found["report"]["results"][0]["source"]["path"]) == (OK, str(drawing))


def test_what_cannot_be_opened_says_so_as_python_does(
    sanitized: Console, tmp_path: Path, study: Sequence[Path]
) -> None:
    torn = write_bundle(tmp_path / "torn")
    (torn / "classifier.onnx").write_bytes(b"torn")
    for bundle, error in ((tmp_path / "none", BundleNotFound), (torn, BundleFileCorrupt)):
        with pytest.raises(error) as raised:
            Runtime(bundle)
        (found,) = sanitized("infer", bundle, study[0])
        assert (found["status"], found["code"], found["remedy"]) == (FAILED, error.code, raised.value.remedy)
        assert raised.value.what in found["text"]
    (unknown,) = sanitized("infer", "-", study[0], CONSOLE_PRECISION="fp4")
    assert (unknown["status"], unknown["code"]) == (FAILED, "usage")


def test_an_interpreter_that_cannot_do_it_is_told(sanitized: Console, tmp_path: Path) -> None:
    (absent,) = sanitized("infer", "-", EDGE_SACRO_PYTHON=str(tmp_path / "python"))
    (other,) = sanitized("infer", "-", EDGE_SACRO_PYTHON="/bin/false")
    log = tmp_path / "log"
    empty = tmp_path / "empty"
    empty.write_text('#!/bin/sh\nexec /usr/bin/env python3 -c "import edge_sacro_that_is_not_there"\n')
    empty.chmod(0o755)
    (without_package,) = sanitized("infer", "-", EDGE_SACRO_PYTHON=str(empty), CONSOLE_LOG=str(log))
    assert "No such file" in absent["text"]
    assert {each["status"] for each in (absent, other, without_package)} == {START_FAILED}
    assert "exit status 1" in other["text"]
    assert "edge_sacro_that_is_not_there" in log.read_text()


def test_after_a_deadline_the_next_call_works(console: Console, tiny: Path, drawing: Path) -> None:
    late, process, after = console("deadline", tiny, drawing, drawing, 1)
    assert (late["status"], late["code"], late["error_status"]) == (DEADLINE, "deadline_exceeded", DEADLINE)
    assert not process["same_process"], "the process that did not answer was ended"
    assert after["status"] == OK


def test_a_process_that_is_killed_during_a_call_is_told_and_replaced(
    sanitized: Console, slow: Path, drawing: Path
) -> None:
    killed, after = sanitized("killed", slow, drawing, drawing)
    assert (killed["status"], killed["code"]) == (CRASHED, "crashed")
    assert "by signal 9 during the call" in killed["text"]
    assert after["status"] == OK


def test_a_process_that_ends_between_calls_is_replaced(sanitized: Console, tiny: Path, drawing: Path) -> None:
    _, after = sanitized("between", tiny, "-", drawing)
    assert after["status"] == OK


def test_the_limit_of_memory_is_told_and_does_not_last(sanitized: Console, tiny: Path, drawing: Path) -> None:
    _, refused, after = sanitized("memory", tiny, drawing)
    assert (refused["status"], refused["code"]) == (MEMORY, "memory")
    assert after["status"] == OK


def test_threads_share_one_runtime(console: Console, tiny: Path, drawing: Path) -> None:
    (found,) = console("threads", tiny, drawing)
    assert found == {"same": 12, "of": 12}


def test_opening_and_closing_leaves_no_file_and_no_process(compiled: Compile, tiny: Path) -> None:
    program = compiled(Path(__file__).parent / "console.c", "ships")
    environment = surroundings(CONSOLE_BACKEND="null")  # it opens soonest
    done = subprocess.run([program, "cycles", tiny], check=True, capture_output=True, env=environment)
    found = json.loads(done.stdout)
    assert found["files_before"] == found["files_after"]
    assert found["no_child"]


def test_the_process_ends_with_a_console_that_is_killed(compiled: Compile, tiny: Path) -> None:
    program = compiled(Path(__file__).parent / "console.c", "ships")
    with subprocess.Popen([program, "hold", tiny], stdout=subprocess.PIPE, text=True, env=surroundings()) as console:
        assert console.stdout is not None
        leader = json.loads(console.stdout.readline())["pid"]
        assert leader in members(leader), "the process leads a group of its own"
        assert "/dev/zero" in open_files(console.pid), "a device that the console holds open"
        assert "/dev/zero" not in open_files(leader)
        os.killpg(leader, signal.SIGSTOP)  # it can do nothing about it by itself, as in the middle of an inference
        console.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + LATER
    while members(leader) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not members(leader)


def open_files(pid: int) -> list[str]:
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]


def members(group: int) -> list[int]:
    """Processes of a group that run: the runtime's, and the one that decodes for it."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = status.read_text().partition(" (")
        except OSError:
            continue
        state, _, own, *_ = rest.rpartition(") ")[2].split()
        if int(own) == group and state != "Z":
            found.append(int(pid))
    return found


def test_the_probe_of_a_group_can_find_one() -> None:
    assert os.getpid() in members(os.getpgrp())
