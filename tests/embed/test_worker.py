"""The process of the C interface, in this one: what it answers, and what it says when it cannot."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sacro.embed import wire, worker
from edge_sacro.errors import BackendFailed, BundleNotTrusted, EdgeSacroError, EngineError, NotDicom, UsageError
from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from tests.signed import signed, write_keys
from tests.tiny import write_bundle


@pytest.fixture
def console() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The console's end of a socket and the process's."""
    ours, its = socket.socketpair()
    with ours, its:
        ours.settimeout(20)
        yield ours, its


def ask(kind: int, number: int, name: bytes, data: bytes = b"", deadline_ms: int = 20_000) -> bytes:
    """A request, as the library sends it."""
    head = wire.REQUEST.pack(wire.REQUEST_MAGIC, kind, number, len(data), deadline_ms, len(name))
    return head + name + data


def received(console: socket.socket) -> tuple[int, int, bytes, bytes]:
    """Kind, number, body and report of an answer."""

    def exactly(size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += console.recv(size - len(found))
        return found

    magic, kind, number, body, report = wire.HEAD.unpack(exactly(wire.HEAD.size))
    assert magic == wire.ANSWER_MAGIC
    return kind, number, exactly(body), exactly(report)


def texts(fields: tuple[bytes, ...]) -> list[str]:
    """Texts of fixed fields; each ends inside its field."""
    assert all(field[-1:] == b"\0" for field in fields)
    return [field.rstrip(b"\0").decode() for field in fields]


def test_a_file_is_answered_with_the_runtimes_values(
    console: tuple[socket.socket, socket.socket], tiny: Path, drawing: Path
) -> None:
    ours, its = console
    with Runtime(tiny, threads=1) as runtime:
        expected = runtime.infer(drawing)
        ours.sendall(ask(wire.FILE, 5, str(drawing).encode()))
        worker._answer(its, runtime)
    kind, number, body, report = received(ours)
    state, left, right, flags, probability, *rest = wire.RESULT.unpack(body)
    assert (kind, number, state) == (wire.ANSWERED, 5, wire.STATES[expected.state])
    assert probability == expected.probability
    assert (left, right) == (wire.STATES[State.LOCATED],) * 2
    assert flags == wire.DEMONSTRATION | wire.CROP | wire.LEFT_BOX | wire.RIGHT_BOX
    assert all(math.isnan(each) for each in rest[:2])
    assert rest[2:6] == expected.crop_px
    assert rest[6:10] == expected.joints.left.box_px
    assert texts(rest[14:])[1] == expected.reason
    assert b'"sop_instance_uid"' in report


def test_a_refused_file_is_an_answer(console: tuple[socket.socket, socket.socket], tiny: Path) -> None:
    ours, its = console
    with Runtime(tiny, threads=1) as runtime:
        ours.sendall(ask(wire.BYTES, 1, b"", b"no DICOM"))
        worker._answer(its, runtime)
    kind, _, body, report = received(ours)
    state, *_, probability = wire.RESULT.unpack(body)[:5]
    assert (kind, state) == (wire.ANSWERED, wire.STATES[State.REFUSED])
    assert math.isnan(probability)
    assert texts(wire.RESULT.unpack(body)[-6:])[0] == NotDicom.code
    assert b'"(bytes)"' in report


def test_the_runtime_gives_up_shortly_before_its_end(
    console: tuple[socket.socket, socket.socket], slow: Path, drawing: Path
) -> None:
    ours, its = console
    with Runtime(slow, threads=1) as runtime:
        for number, deadline_ms in ((1, 100), (2, 60_000)):
            ours.sendall(ask(wire.FILE, number, str(drawing).encode(), deadline_ms=deadline_ms))
            worker._answer(its, runtime)
    kind, _, body, _ = received(ours)
    status, *fields = wire.ERROR.unpack(body)
    assert (kind, status, texts(tuple(fields))[0]) == (wire.FAILED, wire.STATUS_DEADLINE, "deadline_exceeded")
    assert received(ours)[0] == wire.ANSWERED, "with time enough the same runtime answers"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MemoryError(), wire.STATUS_MEMORY, "memory"),
        (BackendFailed("std::bad_alloc"), wire.STATUS_MEMORY, "memory"),
        (BackendFailed("a tensor is not there"), wire.STATUS_FAILED, "backend_failed"),
        (NotDicom("allocated"), wire.STATUS_FAILED, "not_dicom"),
        (ZeroDivisionError("x"), wire.STATUS_FAILED, "internal"),
    ],
)
def test_what_goes_wrong_is_told_and_ends_the_process(
    console: tuple[socket.socket, socket.socket],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    code: str,
) -> None:
    ours, its = console
    with pytest.raises(worker._Ending), worker._told(its, 9):
        raise error
    kind, number, body, _ = received(ours)
    found, *fields = wire.ERROR.unpack(body)
    assert (kind, number, found, texts(tuple(fields))[0]) == (wire.FAILED, 9, status, code)
    assert type(error).__name__ in capsys.readouterr().err


def test_a_request_that_is_none_of_ours_is_not_taken() -> None:
    good = ask(wire.BYTES, 1, b"name", b"data")[: wire.REQUEST.size]
    assert wire.request_from_bytes(good).length == 4
    for position, value in ((0, 0), (4, 3), (28, 0xFF), (21, 0xFF)):
        spoiled = bytearray(good)
        spoiled[position] = value
        spoiled[position + 1] = 0xFF
        with pytest.raises(ValueError, match="no request"):
            wire.request_from_bytes(bytes(spoiled))


def test_options_that_cannot_be_meant_are_refused() -> None:
    for options in (
        {"engines": "store", "backend": "null"},
        {"colour": "red"},
        {"trust_state": "somewhere"},
        {"precision": "fp4"},
        {"overrides": "truncated"},
    ):
        with pytest.raises(UsageError):
            worker.runtime_from_options(options)
    with pytest.raises(EdgeSacroError) as refused:
        worker.runtime_from_options({"trust": "/nowhere/maker.pub"})
    assert "maker.pub" in str(refused.value)


@pytest.mark.parametrize(("hard", "allowed"), [(worker.resource.RLIM_INFINITY, 5000), (3000, 3000), (9000, 5000)])
def test_the_limit_of_memory_is_the_lower_of_the_options_and_the_consoles(
    monkeypatch: pytest.MonkeyPatch, hard: int, allowed: int
) -> None:
    found: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(worker.resource, "getrlimit", lambda _: (hard, hard))
    monkeypatch.setattr(worker.resource, "setrlimit", found.__setitem__)
    monkeypatch.setattr(worker.Path, "write_text", lambda *_: 0)
    worker._limit(5000)
    assert found == {worker.resource.RLIMIT_DATA: (allowed, allowed), worker.resource.RLIMIT_CORE: (0, 0)}


def test_a_pinned_key_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    keys = write_keys(tmp_path)
    bundle = signed(write_bundle(tmp_path / "bundle"), keys / "maker")
    options = {"bundle": str(bundle), "backend": "null", "trust_state": str(tmp_path / "state")}
    with worker.runtime_from_options({**options, "trust": str(keys / "maker.pub")}) as runtime:
        assert runtime.bundle.signed_by is not None
    with pytest.raises(BundleNotTrusted):
        worker.runtime_from_options({**options, "trust": str(keys / "other.pub")})


def test_engines_that_are_not_in_the_store_are_refused(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(EngineError) as refused:
        worker.runtime_from_options({"engines": str(tmp_path), "bundle": str(tiny)})
    assert "engine build" in refused.value.remedy


def test_texts_are_cut_between_characters() -> None:
    assert wire.cut("räntgen", 60) == "räntgen".encode()
    for size in range(10, 20):
        cut = wire.cut("äöü" * 10, size)
        assert len(cut) < size
        assert cut.decode().endswith("…")
    assert wire.cut("a\0b\udc80", 60) == b"a b\\udc80"
