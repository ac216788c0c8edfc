"""A large file is mapped by the decoding process; the answer is of the bytes that were hashed, come what may."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.dicom import ReadLimits, read
from edge_sacro.dicom.child import Child
from edge_sacro.dicom.isolation import Children
from edge_sacro.dicom.mapped import MAPPED_FROM, holds, mapped
from edge_sacro.dicom.source import read_bytes
from edge_sacro.errors import DecodeFailed, EdgeSacroError, InputNotFound, TruncatedFile
from tests.dicom import synthetic
from tests.dicom.synthetic import dicom, drawn

LARGE = np.tile(drawn(), (4, 3))
OTHER = LARGE[:, ::-1].copy()
SYNTAXES = [synthetic.EXPLICIT, synthetic.IMPLICIT, synthetic.BIG, synthetic.DEFLATED, synthetic.JLS, synthetic.SV1]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes of each file went through the pipe."""
    counts: list[int] = []
    answer = Children.answer

    def counted(self: Children, job: Any, data: bytes, *rest: Any) -> Any:
        counts.append(len(data))
        return answer(self, job, data, *rest)

    monkeypatch.setattr(Children, "answer", counted)
    return counts


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def large(uid: str) -> bytes:
    """A file that is large enough also where its syntax compresses: nothing in it is."""
    data = dicom(np.random.default_rng(1).permutation(LARGE.ravel()).reshape(LARGE.shape), uid)
    assert len(data) > MAPPED_FROM
    return data


@pytest.mark.parametrize("uid", SYNTAXES)
def test_a_large_file_is_read_as_its_bytes_are_and_not_sent(tmp_path: Path, sent: list[int], uid: str) -> None:
    data = large(uid)
    found = read(written(tmp_path / "large.dcm", data))
    expected = read(data, isolation="none")
    np.testing.assert_array_equal(found.stored, expected.stored)
    np.testing.assert_array_equal(found.grayscale.table, expected.grayscale.table)
    assert found.sha256 == expected.sha256 == hashlib.sha256(data).hexdigest()
    assert (found.notes, found.sop_instance_uid) == (expected.notes, expected.sop_instance_uid)
    assert sent == [0]


def test_a_small_file_is_sent(tmp_path: Path, sent: list[int]) -> None:
    data = dicom()
    read(written(tmp_path / "small.dcm", data))
    assert sent == [len(data)]


@pytest.mark.parametrize("uid", SYNTAXES)
def test_a_file_that_changed_since_is_answered_as_it_was_hashed(tmp_path: Path, sent: list[int], uid: str) -> None:
    data = large(uid)
    path = written(tmp_path / "large.dcm", dicom(OTHER, uid, PatientName="Another^Person").ljust(len(data), b"\0"))
    found = read_bytes(data, "large.dcm", path)
    np.testing.assert_array_equal(found.stored, read(data, isolation="none").stored)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert sent == [0, len(data)]


def test_pixels_that_changed_since_are_not_seen(tmp_path: Path, sent: list[int]) -> None:
    """Those that need no decoding are taken of the bytes that were hashed in any case."""
    data = bytearray(large(synthetic.EXPLICIT))
    path = written(tmp_path / "large.dcm", bytes(data))
    data[-LARGE.nbytes :] = OTHER.tobytes()
    np.testing.assert_array_equal(read_bytes(bytes(data), "large.dcm", path).stored, OTHER)
    assert sent == [0]


def test_pixels_whose_sign_is_extended_in_the_file_are_its_own_bytes(tmp_path: Path, sent: list[int]) -> None:
    signed, other = (image.astype(np.int16) - 2048 for image in (LARGE, OTHER))
    data = bytearray(dicom(signed))
    path = written(tmp_path / "large.dcm", bytes(data))
    data[-LARGE.nbytes :] = other.tobytes()
    np.testing.assert_array_equal(read_bytes(bytes(data), "large.dcm", path).stored, other)
    assert sent == [0]
    cut = dicom(np.asarray(signed & 0x0FFF, np.int16))
    np.testing.assert_array_equal(read(cut).stored, signed)


@pytest.mark.parametrize("size", [None, 0, 100, 1 << 20])
def test_a_file_that_is_gone_or_shorter_is_answered_as_it_was_hashed(
    tmp_path: Path, sent: list[int], size: int | None
) -> None:
    data = large(synthetic.EXPLICIT)
    path = tmp_path / "large.dcm"
    if size is not None:
        path.write_bytes(data[:size])
    assert read_bytes(data, "large.dcm", path).sha256 == hashlib.sha256(data).hexdigest()
    assert sent == [0, len(data)]


def test_a_child_that_dies_of_a_file_cut_short_under_it_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child maps a part of the file that is no longer there when it looks: SIGBUS."""
    data = large(synthetic.EXPLICIT)
    path = written(tmp_path / "large.dcm", data)
    ends: list[str] = []
    answer = Children.answer

    def cut_short(self: Children, job: Any, sent: bytes, *rest: Any) -> Any:
        if "file" in job:
            os.truncate(path, 4096)
            os.kill(self.pids()[-1], signal.SIGSTOP)
            threading.Timer(0.2, lambda: os.kill(self.pids()[0], signal.SIGBUS)).start()
            threading.Timer(0.3, lambda: [os.kill(pid, signal.SIGCONT) for pid in self.pids()]).start()
        try:
            return answer(self, job, sent, *rest)
        except DecodeFailed as failure:
            ends.append(failure.what)
            raise

    read(dicom())
    monkeypatch.setattr(Children, "answer", cut_short)
    assert read_bytes(data, "large.dcm", path).sha256 == hashlib.sha256(data).hexdigest()
    assert ends == ["the decoding process died of it (SIGBUS)"]


def test_a_pipe_in_the_files_place_is_waited_for_by_nobody(tmp_path: Path, sent: list[int]) -> None:
    data = large(synthetic.EXPLICIT)
    os.mkfifo(tmp_path / "large.dcm")
    found = read_bytes(data, "large.dcm", tmp_path / "large.dcm", limits=ReadLimits(wall_s=10))
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert sent == [0, len(data)]


def test_what_is_refused_is_the_bytes_that_were_hashed(tmp_path: Path, sent: list[int]) -> None:
    data = large(synthetic.EXPLICIT)
    path = written(tmp_path / "large.dcm", data)
    with pytest.raises(TruncatedFile, match=r"large\.dcm"):
        read_bytes(data[: MAPPED_FROM + 1], "large.dcm", path)
    assert sent == [0, MAPPED_FROM + 1], "the file is longer: it may have grown since"
    path.write_bytes(b"no DICOM".ljust(len(data)))
    assert read_bytes(data, "large.dcm", path).rows == len(LARGE)


def test_what_is_refused_of_an_unchanged_file_is_refused_once(tmp_path: Path, sent: list[int]) -> None:
    path = written(tmp_path / "large.dcm", large(synthetic.EXPLICIT)[:-100])
    with pytest.raises(TruncatedFile, match=r"large\.dcm"):
        read(path)
    assert sent == [0]


def test_a_child_that_dies_of_an_unchanged_file_is_no_reason_to_lose_another(
    tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(dicom())
    dying = Child.answer

    def killed(self: Child, *arguments: Any) -> Any:
        os.kill(self.pid, signal.SIGKILL)
        return dying(self, *arguments)

    monkeypatch.setattr(Child, "answer", killed)
    sent.clear()
    with pytest.raises(DecodeFailed, match=r"large\.dcm.*SIGKILL"):
        read(written(tmp_path / "large.dcm", large(synthetic.EXPLICIT)))
    assert sent == [0]


def test_a_file_holds_what_it_holds(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    path = written(tmp_path / "a", data)
    assert holds(path, data)
    assert not holds(path, data[:-1])
    assert not holds(path, data + b"\0")
    assert not holds(path, data[:-1] + b"\0")
    assert not holds(tmp_path, data)
    assert not holds(tmp_path / "none", data)
    os.mkfifo(tmp_path / "pipe")
    assert not holds(tmp_path / "pipe", b"")


def test_names_of_any_bytes_are_mapped(tmp_path: Path, sent: list[int]) -> None:
    data = large(synthetic.EXPLICIT)
    for name in ("Größe ß.dcm", "new\nline.dcm", b"\xff\xfe.dcm".decode("utf-8", "surrogateescape")):
        assert read(written(tmp_path / name, data)).rows == len(LARGE)
    assert sent == [0, 0, 0]


def test_relative_paths_are_those_of_this_process(tmp_path: Path, sent: list[int], monkeypatch: Any) -> None:
    read(dicom())  # the decoding process stands elsewhere now
    written(tmp_path / "large.dcm", large(synthetic.EXPLICIT))
    monkeypatch.chdir(tmp_path)
    assert read("large.dcm").rows == len(LARGE)
    assert sent[1:] == [0]


def test_what_cannot_be_mapped_says_so(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(InputNotFound) as caught:
            mapped(str(path), 10)
        assert isinstance(caught.value, EdgeSacroError)
    assert bytes(mapped(str(written(tmp_path / "file", b"0123456789")), 4)) == b"0123"
