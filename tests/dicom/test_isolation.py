"""A bomb or a crash in a decoder is the refusal of one file; the next one is read, and nothing piles up."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from pydicom.encaps import encapsulate

from edge_sacro.dicom import ReadLimits, child, isolation, read
from edge_sacro.dicom.child import Child
from edge_sacro.dicom.isolation import Children, children
from edge_sacro.dicom.wire import header_bytes
from edge_sacro.errors import (
    ContradictoryAttributes,
    DecodeFailed,
    DecodeLimitExceeded,
    EdgeSacroError,
    InternalError,
    SizeLimitExceeded,
)
from tests.conftest import ROOT
from tests.dicom import synthetic
from tests.dicom.synthetic import codestream, dataset, dicom, drawn, file_bytes

QUICK_S = 5.0
"""A bomb is refused in this time; decoded, the ones below take 6 to 22 s and up to 7 GB."""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def slow_file() -> bytes:
    """A file whose decoding takes a second or more."""
    noise = np.random.default_rng(3).integers(0, 4096, (2400, 2000), np.uint16)
    return file_bytes(dataset(noise, 12), encapsulate([codestream(noise, synthetic.J2K, 12)]), synthetic.J2K)


@pytest.fixture(scope="module")
def slow() -> bytes:
    return slow_file()


def still_reads() -> None:
    np.testing.assert_array_equal(read(dicom()).stored, drawn())


def deflate_bomb() -> bytes:
    whole = dicom(uid=synthetic.DEFLATED)
    start = 144 + struct.unpack_from("<I", whole, 140)[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(struct.pack("<HH2sHI", 0x0009, 0x1000, b"OB", 0, 1 << 31))]
    parts += [packer.compress(b"\0" * (1 << 20)) for _ in range(80)]
    return whole[:start] + b"".join(parts) + packer.flush()


def huge_jpeg2000() -> bytes:
    stream = bytearray(codestream(drawn(), synthetic.J2K, 12))
    struct.pack_into(">II", stream, 8, 60000, 60000)
    struct.pack_into(">II", stream, 24, 60000, 60000)
    return file_bytes(dataset(drawn(), 12), encapsulate([bytes(stream)]), synthetic.J2K)


def huge_jpegls() -> bytes:
    stream = bytearray(codestream(drawn(), synthetic.JLS, 12))
    at = stream.index(b"\xff\xf7")
    struct.pack_into(">HH", stream, at + 5, 65000, 65000)
    return file_bytes(dataset(drawn(), 12), encapsulate([bytes(stream)]), synthetic.JLS)


def nested_sequences() -> bytes:
    whole = dicom()
    at = whole.index(struct.pack("<HH", 0x0010, 0x0010))
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    closing = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return whole[:at] + opening * 300 + closing * 300 + whole[at:]


def huge_rle() -> bytes:
    return file_bytes(
        dataset(drawn(), 12, Rows=8192, Columns=8192),
        encapsulate([codestream(drawn(), synthetic.RLE, 12)]),
        synthetic.RLE,
    )


@pytest.mark.parametrize(
    ("bomb", "refusal"),
    [
        (deflate_bomb, SizeLimitExceeded),
        (huge_jpeg2000, ContradictoryAttributes),
        (huge_jpegls, ContradictoryAttributes),
        (nested_sequences, DecodeLimitExceeded),
        (huge_rle, EdgeSacroError),
    ],
)
def test_bomb_is_refused_quickly_and_the_next_file_is_read(
    bomb: Callable[[], bytes], refusal: type[EdgeSacroError]
) -> None:
    data = bomb()
    started = time.monotonic()
    with pytest.raises(refusal) as caught:
        read(data, limits=ReadLimits(file_bytes=64 << 20))
    assert time.monotonic() - started < QUICK_S
    assert not isinstance(caught.value, InternalError)
    still_reads()


def test_wall_limit_ends_a_read_and_the_next_file_is_read(slow: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(DecodeLimitExceeded, match=r"0\.2 s"):
        read(slow, limits=ReadLimits(wall_s=0.2))
    assert time.monotonic() - started < 2.0
    still_reads()


def test_processor_limit_ends_a_read_and_the_next_file_is_read() -> None:
    large = np.random.default_rng(3).integers(0, 65536, (3000, 3000), np.uint16)
    data = file_bytes(dataset(large, 16), encapsulate([codestream(large, synthetic.J2K, 16)]), synthetic.J2K)
    with pytest.raises(DecodeLimitExceeded, match="processor time"):
        read(data, limits=ReadLimits(cpu_s=1))
    still_reads()


def test_memory_limit_ends_a_read_and_the_next_file_is_read(slow: bytes) -> None:
    with pytest.raises((DecodeLimitExceeded, DecodeFailed)):
        read(slow, limits=ReadLimits(memory_bytes=4 << 20))
    still_reads()
    assert read(slow, limits=ReadLimits(memory_bytes=512 << 20)).rows == 2400


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_child_killed_in_the_middle_is_a_coded_refusal_and_the_next_file_is_read(slow: bytes, number: int) -> None:
    still_reads()
    before = children().pids()

    def shoot() -> None:
        time.sleep(0.2)
        os.kill(children().pids()[0], number)

    killer = threading.Thread(target=shoot)
    killer.start()
    with pytest.raises(DecodeFailed, match=signal.Signals(number).name) as caught:
        read(slow, name="slow.dcm")
    killer.join()
    assert caught.value.source == "slow.dcm"
    still_reads()
    assert children().pids() != before


def test_child_that_died_idle_is_replaced_unnoticed() -> None:
    still_reads()
    for pid in children().pids():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    still_reads()


def test_eight_threads_get_their_own_images() -> None:
    truths = [np.roll(drawn(), 17 * index, axis=1) for index in range(8)]
    files = [dicom(truth, uid) for truth, uid in zip(truths, (synthetic.SV1, synthetic.JLS) * 4, strict=True)]

    def one(number: int) -> bool:
        return bool((read(files[number % 8]).stored == truths[number % 8]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(64)))
    assert len(children().pids()) <= isolation.CHILDREN


@linux
def test_memory_of_a_child_is_flat_over_a_thousand_reads() -> None:
    pool = Children(1)
    data = dicom()
    limits = ReadLimits()
    job = {"limits": limits.as_dict(), "overrides": [], "frame": 0}

    def resident() -> int:
        (pid,) = pool.pids()
        with open(f"/proc/{pid}/statm", encoding="ascii") as stream:  # noqa: PTH123
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    sizes = []
    for _ in range(5):
        for _ in range(200):
            pool.answer(job, data, limits, "")
        sizes.append(resident())
    pool.close()
    assert max(sizes[1:]) - sizes[0] < 4 << 20
    assert 1000 * len(data) > 100 * (4 << 20) / 4, "a leak of every file must pass the bound"


@linux
def test_open_files_are_flat_over_deaths(slow: bytes) -> None:
    still_reads()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(4):
        with pytest.raises(DecodeLimitExceeded):
            read(slow, limits=ReadLimits(wall_s=0.05))
    still_reads()
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # noqa: PTH208


def test_a_child_that_was_warmed_up_takes_the_first_file() -> None:
    pool = Children(2)
    pool.warm()
    pool.answer({"limits": ReadLimits().as_dict(), "overrides": [], "frame": 0}, dicom(), ReadLimits(), "")
    assert len(pool.pids()) == 1
    pool.warm()
    assert len(pool.pids()) == 1, "one that is idle is warm enough"
    pool.close()


def test_a_child_that_cannot_be_warmed_up_is_told_by_the_first_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_CODE", "raise SystemExit(4)")
    pool = Children(1)
    pool.warm()
    with pytest.raises(InternalError, match="did not start"):
        pool.answer({"limits": ReadLimits().as_dict(), "overrides": [], "frame": 0}, dicom(), ReadLimits(), "")


def changed_on_the_way(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    sent = Children.answer

    def other_bytes(self: Children, header: Any, data: bytes, *rest: Any) -> Any:
        changed = bytearray(data)
        changed[at] ^= 1
        return sent(self, header, bytes(changed), *rest)

    still_reads()
    monkeypatch.setattr(Children, "answer", other_bytes)


@pytest.mark.parametrize(("uid", "at"), [(synthetic.EXPLICIT, 3), (synthetic.JLS, 3), (synthetic.JLS, -1)])
def test_bytes_that_changed_on_the_way_are_noticed(monkeypatch: pytest.MonkeyPatch, uid: str, at: int) -> None:
    changed_on_the_way(monkeypatch, at)
    with pytest.raises(InternalError, match="other bytes"):
        read(dicom(uid=uid))


def test_pixels_that_need_no_decoding_are_those_of_the_file_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not come back from the child, so that nothing of it is in them."""
    changed_on_the_way(monkeypatch, -1)
    still_reads()


def test_child_whose_answers_are_not_ours_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_CODE", "import os; os.write(1, b'hello, this is no message of ours' * 9)")
    with pytest.raises(InternalError):
        Child()
    monkeypatch.setattr(child, "_CODE", "raise SystemExit(7)")
    with pytest.raises(InternalError, match="exit status 7"):
        Child()


def test_answer_larger_than_any_radiograph_is_not_received(monkeypatch: pytest.MonkeyPatch) -> None:
    ready, large = header_bytes({"ready": True}, 0), header_bytes({}, 1 << 40)
    code = (
        f"import os, sys; os.write(1, {ready!r}); sys.stdin.buffer.read(14); os.write(1, {large!r}); sys.stdin.read()"
    )
    monkeypatch.setattr(child, "_CODE", code)
    with pytest.raises(InternalError, match="more than any radiograph"):
        Children(1).answer({}, b"", ReadLimits(), "")


@linux
def test_process_that_ends_leaves_no_child_and_no_warning() -> None:
    code = (
        "import sys; from pathlib import Path; from edge_sacro.dicom import read\n"
        "from edge_sacro.dicom.isolation import children\n"
        "try: read(b'abc')\nexcept Exception as error: print(type(error).__name__, *children().pids())"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    name, pid = run.stdout.split()
    assert name == "NotDicom"
    assert run.stderr == ""
    assert not os.path.exists(f"/proc/{pid}")  # noqa: PTH110


@linux
def test_forked_process_starts_children_of_its_own() -> None:
    code = (
        "import os; from edge_sacro.dicom import read\nfrom edge_sacro.dicom.isolation import children\n"
        "def attempt():\n"
        "    try: read(b'abc')\n"
        "    except Exception as error: return type(error).__name__, set(children().pids())\n"
        "name, mine = attempt()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    name, its = attempt()\n"
        "    os._exit(0 if name == 'NotDicom' and its and not its & mine else 9)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), attempt()[1] == mine)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "True"]


def test_without_isolation_the_answers_are_the_same() -> None:
    data = dicom(uid=synthetic.JLS, PixelSpacing=[0, 0], RescaleSlope="2", RescaleIntercept="1", PixelPaddingValue=3)
    inside, outside = read(data), read(data, isolation="none")
    np.testing.assert_array_equal(inside.stored, outside.stored)
    np.testing.assert_array_equal(inside.grayscale.table, outside.grayscale.table)
    for field in ("notes", "spacing", "orientation", "sha256", "source", "lossy", "sop_instance_uid", "body_part"):
        assert getattr(inside, field) == getattr(outside, field)
    assert inside.grayscale.padding == outside.grayscale.padding == (3, 3)
    for isolated in ("process", "none"):
        with pytest.raises(EdgeSacroError, match=r"name\.dcm: 3 bytes"):
            read(b"abc", isolation=isolated, name="name.dcm")  # type: ignore[arg-type]
