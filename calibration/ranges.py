"""How far activations reach, measured on the inputs that the runtime itself makes of radiographs.

Two passes over the inputs: the first finds each tensor's largest magnitude, the second its histogram, so that no more
than one image's activations are ever held. Int8 is symmetric here, so a magnitude is all that a range is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from calibration.graph import Array, float_shapes
from edge_sacro.errors import CalibrationRefused, GraphRefused

Method = Literal["minmax", "percentile", "mse"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "mse")
"""The largest magnitude; the one that ``PERCENTILE`` stay below; the one whose rounding and clipping err least."""

PERCENTILE = 99.99
BINS = 4096
LEVELS = 127
"""Steps of symmetric int8 on either side of 0; -128 is not used."""


@dataclass(frozen=True)
class Observation:
    """Magnitudes of every float activation over all inputs.

    Attributes:
        largest: by tensor.
        counts: by tensor, in ``BINS`` equal bins from 0 to the largest.
        images: how many inputs were observed.
    """

    largest: Mapping[str, float]
    counts: Mapping[str, npt.NDArray[np.int64]]
    images: int

    def limits(self, method: Method) -> dict[str, float]:
        """The magnitude that is level 127 of each tensor, by one of ``METHODS``."""
        if method == "minmax":
            return dict(self.largest)
        chosen = self._percentile if method == "percentile" else self._least_squares
        return {name: chosen(name) for name in self.largest}

    def _percentile(self, name: str) -> float:
        counts = self.counts[name]
        below = np.cumsum(counts)
        index = int(np.searchsorted(below, PERCENTILE / 100 * below[-1]))
        return self.largest[name] * (index + 1) / BINS

    def _least_squares(self, name: str) -> float:
        """The limit of least squared error over the histogram's bin centres, of 64 from a quarter of the largest on."""
        counts, largest = self.counts[name], self.largest[name]
        if largest == 0:
            return 0.0
        centres = (np.arange(BINS) + 0.5) * (largest / BINS)
        tried = largest * np.linspace(0.25, 1.0, 64)
        errors = [
            float(counts @ (centres - np.minimum(np.rint(centres * LEVELS / limit), LEVELS) * limit / LEVELS) ** 2)
            for limit in tried
        ]
        return float(tried[int(np.argmin(errors))])


def scale_from_limit(limit: float) -> np.float32:
    """The step of symmetric int8 whose level 127 is ``limit``; 1 for a tensor that is always 0."""
    scale: np.float32 = np.float32(limit / LEVELS if limit > 0 else 1.0)
    return scale


def observe(model: Any, inputs: Sequence[Mapping[str, Array]]) -> Observation:
    """Run the float graph on each input and note how far its activations reach.

    Args:
        model: as :func:`calibration.graph.prepared` gives it.
        inputs: each by input name.

    Raises:
        CalibrationRefused: there are no inputs.
        GraphRefused: an activation is not finite.
    """
    if not inputs:
        raise CalibrationRefused("there is no input to observe")
    names = list(float_shapes(model))
    session = _session_with_outputs(model, names)
    given = {value.name for value in model.graph.input}
    asked = [name for name in names if name not in given]
    largest = dict.fromkeys(names, 0.0)
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    for histogram in (False, True):
        for each in inputs:
            values = {**each, **dict(zip(asked, session.run(asked, dict(each)), strict=True))}
            for name in names:
                magnitude = np.abs(values[name]).ravel()
                if histogram:
                    counts[name] += _histogram(magnitude, largest[name])
                    continue
                top = float(magnitude.max(initial=0.0))
                if not np.isfinite(top):
                    raise GraphRefused(f"the tensor {name!r} holds values that are not finite")
                largest[name] = max(largest[name], top)
    return Observation(largest, counts, len(inputs))


def _histogram(magnitude: Array, top: float) -> npt.NDArray[np.int64]:
    """Counts in equal bins; as fast as one division and one count, which ``np.histogram`` is not."""
    if top == 0:
        return np.zeros(BINS, np.int64)
    index = np.minimum((magnitude * np.float32(BINS / top)).astype(np.int64), BINS - 1)
    return np.bincount(index, minlength=BINS)


def _session_with_outputs(model: Any, names: Sequence[str]) -> Any:
    """A session that gives every one of these tensors; nothing is fused, so that each of them exists."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    there = {value.name for value in (*model.graph.output, *model.graph.input)}
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names if name not in there
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
