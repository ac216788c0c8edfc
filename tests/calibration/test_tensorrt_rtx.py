"""TensorRT's own parser takes both precisions, strongly typed, and builds them; it refuses what is asymmetric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from calibration.concatenation import concatenated_as_integers
from calibration.graph import initializers, prepared
from calibration.half import half_from_float
from calibration.quantise import qdq_from_float
from calibration.ranges import observe
from tests.calibration.nets import random_inputs, residual_net

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")


def built(model: Any) -> bool:
    """Whether the parser takes a graph and the builder makes an engine of it; no GPU is needed."""
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        return False
    return builder.build_serialized_network(network, builder.create_builder_config()) is not None


def test_it_builds_what_we_make_and_refuses_what_is_asymmetric() -> None:
    model = prepared(residual_net())
    limits = observe(model, random_inputs()).limits("minmax")
    int8 = qdq_from_float(model, limits)
    assert built(int8)
    levels = concatenated_as_integers(int8)
    assert any(node.op_type == "Concat" and "quantized" in node.output[0] for node in levels.graph.node)
    assert built(levels)
    assert built(qdq_from_float(model, limits, ("stem", "up")))
    assert built(half_from_float(model, limits))
    initializers(int8)["image_zero_point"].CopyFrom(numpy_helper.from_array(np.int8(5), "image_zero_point"))
    assert not built(int8), "negative control"
