"""Malformed and hostile files: each ends in one visible state, none takes the node down or makes others wait."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="the node's extra is not installed")

from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bench.reliability_load import numbered
from edge_sacro.errors import InputRefused
from edge_sacro.node.answers import Answers
from edge_sacro.node.opening import open_runtime
from edge_sacro.node.proof import blank_image
from edge_sacro.node.records import State
from tests.node.stand_in import Scripted, parts, until
from tests.tiny import write_bundle

ENDED = {State.DELIVERED, State.REFUSED, State.QUARANTINED}
META = 132 + 12


def _whole(number: int = 0) -> bytes:
    buffer = io.BytesIO()
    numbered(blank_image(), "malformed", number).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _start(data: bytes) -> int:
    """Where the data set begins."""
    return int(dcmread(io.BytesIO(data), stop_before_pixels=True).file_meta.FileMetaInformationGroupLength) + META


def _nested(depth: int) -> bytes:
    """A header with sequences inside one another."""
    whole = _whole(1)
    start, undefined = _start(whole), b"\xff\xff\xff\xff"
    opened = b"\x08\x00\x10\x11SQ\x00\x00" + undefined + b"\xfe\xff\x00\xe0" + undefined
    closed = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00" + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    return whole[:start] + opened * depth + closed * depth + whole[start:]


def _bomb(megabytes: int) -> bytes:
    """A deflated data set of zeros."""
    dataset = dcmread(io.BytesIO(_whole(2)))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    written = buffer.getvalue()
    packer, block = zlib.compressobj(1, zlib.DEFLATED, -15), b"\0" * (1 << 20)
    return written[: _start(written)] + b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


def _mutants(count: int) -> list[bytes]:
    draw, made = np.random.default_rng(7), []
    for number in range(count):
        data = bytearray(_whole(10 + number))
        for _ in range(draw.integers(1, 9)):
            data[int(draw.integers(400, 1600))] = int(draw.integers(0, 256))
        made.append(bytes(data))
    return made


def _hostile() -> dict[str, bytes]:
    whole = _whole()
    return {
        **{f"cut at {part:.0%}": whole[: int(len(whole) * part)] for part in (0.004, 0.01, 0.3, 0.999)},
        "zeros after the meta information": whole[:500] + b"\0" * 2000,
        "text after the meta information": whole[:400] + b"not DICOM " * 100,
        "sequences 300 deep": _nested(300),
        "a bomb": _bomb(64),
        **{f"mutant {number}": each for number, each in enumerate(_mutants(25))},
    }


def test_each_ends_in_one_visible_state_and_an_honest_one_after_them_is_answered(tmp_path: Path) -> None:
    node = parts(tmp_path / "node", Scripted())
    bundle = write_bundle(tmp_path / "bundle")
    assessment = node.config.assessment.model_copy(update={"bundle": str(bundle), "threads": 1})
    http = node.config.http.model_copy(update={"enabled": False})
    config = node.config.model_copy(update={"assessment": assessment, "http": http})
    told: dict[str, str] = {}
    with open_runtime(config) as runtime:
        answers = Answers(runtime, config)
        node.answers.answer = answers.answer  # type: ignore[method-assign]
        sequences = {}
        for name, data in _hostile().items():
            try:
                sequences[name] = node.receive(data).sequence
            except InputRefused as refusal:  # noqa: PERF203 - that is what is told
                told[name] = refusal.code
        honest = node.receive(_whole(99)).sequence
        node.worker.start()
        assert until(lambda: node.store.waiting() == 0, 90)
        node.halt.ask()
        assert node.worker.stop(10)
    assert node.halt.error is None
    for name, sequence in sequences.items():
        instance = node.store.instance(sequence)
        assert instance is not None
        assert instance.state in ENDED, name
        told[name] = instance.reason_code or instance.outcome or ""
        assert instance.reason_code is not None or instance.outcome is not None
    answered = node.store.instance(honest)
    assert answered is not None
    assert (answered.state, answered.outcome) == (State.DELIVERED, "not_assessable")
    # they are told apart: what ends alike whatever it is was not looked at
    assert told["a bomb"] == "size_limit", told
    assert told["cut at 30%"] == "truncated", told
    assert len(set(told.values())) > 4, told
    defects = {name: code for name, code in told.items() if code == "internal"}
    assert defects == {}
