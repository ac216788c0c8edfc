"""Whether a backend's INT8 sums are exact on this processor.

A processor without dot-product instructions (VNNI, AMX, Arm's dot product) adds pairs of 8-bit products in 16 bits. The
largest of them do not fit, are cut off without a word, and the network answers something else. No list of processors
and versions says where that happens, so it is tried: a convolution of the largest values is run, and INT8 is refused
where its result is not what arithmetic says.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

import numpy as np

from edge_sacro.engine import BACKENDS, Engine, Opener, open_engine
from edge_sacro.engine.base import NetworkSpec, TensorSpec
from edge_sacro.engine.device import processor_features
from edge_sacro.errors import Int8Inexact

CHANNELS = 16
STEP = 2.0**13
"""Of the graph's output, in the input's unit times weight."""

WEIGHT = 127
SHAPE = (1, CHANNELS, 4, 4)
SPEC = NetworkSpec("saturation", (TensorSpec("image", SHAPE),), (TensorSpec("u8", SHAPE), TensorSpec("s8", SHAPE)))
RANGES = {"u8": (0, 255), "s8": (-128, 127)}
"""What the activations of each output's convolution can hold."""

VALUES = (255, 127, -128)


def saturation_model() -> bytes:
    """The graph: ``image`` through Q/DQ with step 1, as uint8 and as int8, into convolutions whose weights are 127."""
    return files("edge_sacro.engine").joinpath("saturation.onnx").read_bytes()


@lru_cache(maxsize=8)
def check_int8(backend: str, opener: Opener = open_engine) -> None:
    """Refuse INT8 where a backend's sums are cut off on this processor; found once for each backend.

    Raises:
        Int8Inexact: they are.
        BackendUnavailable: as :func:`edge_sacro.engine.open_engine`.
        BackendFailed: the backend cannot run the graph.
    """
    engine = opener(backend, SPEC, saturation_model(), 1)
    try:
        for value in VALUES if engine.computes else ():
            found = engine.run({"image": np.full(SHAPE, value, np.float32)})
            for name, (low, high) in RANGES.items():
                true = min(max(value, low), high) * WEIGHT * CHANNELS
                if np.abs(found[name] - true).max() > STEP:
                    features = ", ".join(processor_features()) or "no features that are known here"
                    raise Int8Inexact(
                        f"a sum of {name} products is {found[name].flat[0]:.0f} and not {true} on this processor "
                        f"({features})",
                        source=backend,
                    )
    finally:
        engine.close()


def check_engines(engines: Iterable[Engine]) -> None:
    """The same for networks that are open: each backend that computes on this processor is held to it.

    Raises:
        Int8Inexact: as :func:`check_int8`.
    """
    for backend in sorted({engine.backend for engine in engines} & set(BACKENDS)):
        check_int8(backend)
