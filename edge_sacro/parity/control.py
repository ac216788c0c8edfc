"""Negative controls: networks that are wrong on purpose, so that a comparison can show that it would notice.

``perturbed-weights`` moves every weight of the ONNX file before a backend opens it; the few fields of the format that
this takes are read here, because the device has no ONNX package. ``swapped-classes`` turns round the order of the
answers, the defect that a wrong export makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

import numpy as np

from edge_sacro.engine import Engine, NetworkSpec, Opener
from edge_sacro.engine.base import Array
from edge_sacro.errors import BundleContractBroken
from edge_sacro.parity.watch import AroundEngine

Control = Literal["perturbed-weights", "swapped-classes"]
CONTROLS: tuple[Control, ...] = get_args(Control)

PERTURBATION = 0.25
"""Standard deviation of the factors that weights are multiplied by, around 1."""

_ANSWERS = {"classifier": "logits", "detector": "scores"}
"""The output of a network whose last axis is the classes."""

_GRAPH, _INITIALIZER, _DIMS, _DATA_TYPE, _FLOATS, _RAW = 7, 5, 1, 2, 4, 9
"""Field numbers of ModelProto, GraphProto and TensorProto (onnx.proto)."""

_TYPES: dict[int, np.dtype[np.generic]] = {1: np.dtype("<f4"), 3: np.dtype("i1"), 10: np.dtype("<f2")}
"""TensorProto.DataType of what a weight is stored in: FLOAT, INT8, FLOAT16."""


def with_control(opener: Opener, control: Control) -> Opener:
    """An opener whose networks are wrong in the way that ``control`` names."""
    disturbed: dict[Control, Callable[[str, NetworkSpec, bytes, int], Engine]] = {
        "perturbed-weights": lambda backend, spec, model, threads: opener(
            backend, spec, perturbed_weights(model, spec.name), threads
        ),
        "swapped-classes": lambda backend, spec, model, threads: _swapped(opener(backend, spec, model, threads)),
    }
    return disturbed[control]


def perturbed_weights(model: bytes, source: str, deviation: float = PERTURBATION, seed: int = 0) -> bytes:
    """Multiply each weight of two or more axes by a random factor; the same bytes and seed give the same.

    Args:
        model: an ONNX file that holds its weights itself.
        source: what to call it in an error.
        deviation: standard deviation of the factors, which stay within 0.5 to 1.5.
        seed: of the factors.

    Raises:
        BundleContractBroken: it is no ONNX file, or holds no such weight, so that nothing would be perturbed.
    """
    changed = bytearray(model)
    generator = np.random.default_rng(seed)
    count = 0
    try:
        for start, stop, kind in _weights(model):
            values = np.frombuffer(model[start:stop], kind).astype(np.float64)
            values *= np.clip(generator.normal(1.0, deviation, values.size), 0.5, 1.5)
            if kind.kind == "i":
                values = np.clip(np.rint(values), -127, 127)
            changed[start:stop] = values.astype(kind).tobytes()
            count += 1
    except (IndexError, ValueError) as error:
        raise BundleContractBroken(f"it cannot be read as ONNX: {error}", source=source) from error
    if count == 0:
        raise BundleContractBroken("it holds no weight that could be perturbed", source=source)
    return bytes(changed)


def _weights(model: bytes) -> Iterator[tuple[int, int, np.dtype[np.generic]]]:
    """Where the values of each weight stand in the file, and their type."""
    for number, start, stop in _fields(model, 0, len(model)):
        if number != _GRAPH:
            continue
        for inner, first, last in _fields(model, start, stop):
            if inner == _INITIALIZER:
                yield from _weight(model, first, last)


def _weight(model: bytes, start: int, stop: int) -> Iterator[tuple[int, int, np.dtype[np.generic]]]:
    axes, places = 0, []
    kind: np.dtype[np.generic] | None = None
    for number, first, last in _fields(model, start, stop):
        if number == _DIMS:
            axes += sum(1 for _ in _varints(model, first, last))
        elif number == _DATA_TYPE:
            kind = _TYPES.get(next(_varints(model, first, last)))
        elif number in {_FLOATS, _RAW} and last > first:
            places.append((first, last))
    if axes >= 2 and kind is not None:
        yield from ((first, last, kind) for first, last in places)


def _fields(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Number, first byte and end of each field's value in a message of protocol buffers."""
    while start < stop:
        tag, start = _varint(data, start)
        wire = tag & 7
        if wire == 0:
            _, end = _varint(data, start)
        elif wire == 2:
            length, start = _varint(data, start)
            end = start + length
        elif wire in {1, 5}:
            end = start + (8 if wire == 1 else 4)
        else:
            raise ValueError(f"wire type {wire}")
        if end > stop:
            raise ValueError("a field reaches beyond its message")
        yield tag >> 3, start, end
        start = end


def _varints(data: bytes, start: int, stop: int) -> Iterator[int]:
    while start < stop:
        value, start = _varint(data, start)
        yield value


def _varint(data: bytes, start: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[start]
        value |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return value, start


def _swapped(engine: Engine) -> Engine:
    return _SwappedEngine(engine) if engine.spec.name in _ANSWERS else engine


class _SwappedEngine(AroundEngine):
    backend = "swapped"

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        outputs = self.inner.run(inputs, deadline=deadline)
        name = _ANSWERS[self.spec.name]
        answers = outputs[name]
        swapped = -answers if answers.shape[-1] == 1 else np.ascontiguousarray(answers[..., ::-1])
        return {**outputs, name: swapped}
