"""A defect of OpenVINO's CPU plug-in: INT8 that it moves across a concatenation comes out wrong.

Where float tensors are concatenated and the whole is then quantised as int8, the plug-in (2026.4.1) quantises the parts
in its place, with a step of 1 whatever the file says: a convolution behind it is off by a third of its spread. Our
calibration writes such places as concatenations of int8, which come out right; a file of another maker may not. No list
of versions says which have the defect, so it is tried, and a network that would meet it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from edge_sacro.engine.silence import silence
from edge_sacro.errors import Int8Inexact

CHANNELS = 16
SHAPE = (1, CHANNELS, 8, 8)
STEP = 2.0**-5
"""Of the quantised inputs: far from 1, and exact in every type."""

TOLERANCE = STEP / 2
"""Of the graph's output, whose values are multiples of the step."""


def concatenation_model() -> bytes:
    """Two inputs, ``a`` and ``b``, concatenated, through Q/DQ as int8, and summed over all channels."""
    return files("edge_sacro.engine").joinpath("concatenation.onnx").read_bytes()


@lru_cache(maxsize=1)
def concatenates_wrongly() -> bool:
    """Whether the installed plug-in has the defect on this processor."""
    silence()
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(concatenation_model()), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    )
    values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) % 100 * np.float32(STEP)
    (found,) = compiled({"a": values, "b": values}).values()
    true = 2 * values.sum(axis=1, keepdims=True)
    return bool(np.abs(found - true).max() > TOLERANCE)


def check_concatenations(network: Any) -> None:
    """Refuse a network that would meet the defect.

    Raises:
        Int8Inexact: it would.
    """
    place = float_concatenation(network)
    if place is not None and concatenates_wrongly():
        raise Int8Inexact(
            f"this version of OpenVINO sums int8 wrongly behind the concatenation {place!r}",
            remedy="Calibrate the bundle again, which writes it otherwise, or use another precision or backend.",
        )


def float_concatenation(network: Any) -> str | None:
    """Name of a concatenation of float tensors that INT8 stands around, or None.

    Args:
        network: as OpenVINO read it, before it is compiled.
    """
    for node in network.get_ordered_ops():
        if node.get_type_name() != "Concat" or node.get_output_element_type(0).get_type_name() != "f32":
            continue
        if any(map(_is_signed_quantiser, _behind(node))) or all(map(_is_dequantised, node.input_values())):
            return str(node.get_friendly_name())
    return None


def _behind(node: Any) -> Iterator[Any]:
    """The operators that take a tensor, or take what a ReLU or a clamp makes of it."""
    for output in node.outputs():
        for target in output.get_target_inputs():
            taker = target.get_node()
            if taker.get_type_name() in ("Relu", "Clamp"):
                yield from _behind(taker)
            else:
                yield taker


def _is_signed_quantiser(node: Any) -> bool:
    if node.get_type_name() != "FakeQuantize":
        return False
    low = node.input_value(1).get_node()
    return low.get_type_name() != "Constant" or bool((low.get_data() < 0).any())


def _is_dequantised(value: Any) -> bool:
    """Whether a tensor comes from int8 by a multiplication."""
    node = value.get_node()
    if node.get_type_name() != "Multiply":
        return False
    node = node.input_value(0).get_node()
    if node.get_type_name() == "Subtract":
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Convert" and node.get_input_element_type(0).get_type_name() in ("i8", "u8"))
