"""A graph in ONNX Runtime against the framework's own answer, on real and random input, and a check that can fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from edge_sacro.engine import open_engine
from edge_sacro.engine.base import NetworkSpec
from edge_sacro.errors import GraphRefused
from export.explanation import Explained
from export.gate import EXPLANATION, specs

Array = npt.NDArray[np.float32]
Answer = Mapping[str, npt.NDArray[np.floating]]

TOLERANCE = 1e-4
"""Of an output's largest magnitude, or of 1 where that is smaller."""

GRADIENT_TOLERANCE = 1e-5
"""Of the largest value of the maps, between the closed form and autograd."""


@dataclass(frozen=True)
class Differences:
    """Largest absolute differences by output.

    Attributes:
        real, random: between graph and framework, on a radiograph and on noise.
        control: between the graph on the mirrored radiograph and the framework on the radiograph: above the tolerance,
            or the comparison says nothing.
        largest: magnitude of the framework's answer on the radiograph.
        autograd: of the explanation to PyTorch's automatic differentiation, relative to the largest value; None
            where there is no explanation.
    """

    real: dict[str, float]
    random: dict[str, float]
    control: dict[str, float]
    largest: dict[str, float]
    autograd: float | None = None

    def as_dict(self) -> dict[str, object]:
        """For the record."""
        return {**asdict(self), "tolerance": TOLERANCE, "autograd_tolerance": GRADIENT_TOLERANCE}


def answer_of_module(module: nn.Module, image: Array) -> dict[str, Array]:
    """A module's outputs, ``logits`` and perhaps ``explanation``."""
    with torch.inference_mode():
        answer = module(torch.from_numpy(image))
    values = answer if isinstance(answer, tuple) else (answer,)
    return {name: value.numpy() for name, value in zip(("logits", EXPLANATION), values, strict=False)}


def answers_of_graph(model: onnx.ModelProto, images: list[Array]) -> list[dict[str, Array]]:
    """A graph's outputs in ONNX Runtime, opened as the runtime opens it, for each image."""
    spec = NetworkSpec("exported", specs(model.graph.input), specs(model.graph.output))
    with closing(open_engine("onnxruntime", spec, model.SerializeToString(), 1)) as engine:
        return [engine.run({spec.inputs[0].name: image}) for image in images]


def compared(model: onnx.ModelProto, module: nn.Module, real: Array, noise: Array, source: str) -> Differences:
    """Hold a graph to the module that it was exported from.

    Args:
        model: the graph.
        module: in evaluation mode, with the same outputs.
        real: a radiograph as the network sees it.
        noise: of the same shape.
        source: what to call the graph in an error.

    Raises:
        GraphRefused: a difference is above the tolerance, or the control is not.
    """
    expected = [answer_of_module(module, image) for image in (real, noise)]
    found = answers_of_graph(model, [real, noise, mirrored(real)])
    autograd = difference_from_autograd(module, real) if isinstance(module, Explained) else None
    return checked_differences(found, expected, source, autograd)


def mirrored(image: Array) -> Array:
    """Left to right: another input that is as real, for the control."""
    return np.ascontiguousarray(image[..., ::-1])


def checked_differences(
    found: Sequence[Answer], expected: Sequence[Answer], source: str, autograd: float | None = None
) -> Differences:
    """Differences within the tolerance.

    Args:
        found: the graph's answers on real, random and mirrored input.
        expected: the reference's on real and random input, with the same outputs; the first of them is the control.
        source: what to call the graph in an error.
        autograd: see :class:`Differences`.

    Raises:
        GraphRefused: a difference is above the tolerance, or the control is not.
    """
    differences = Differences(
        real=_worst(found[0], expected[0]),
        random=_worst(found[1], expected[1]),
        control=_worst(found[2], expected[0]),
        largest={name: float(np.abs(value).max()) for name, value in expected[0].items()},
        autograd=autograd,
    )
    faults = []
    for kind, worst, answer in zip(("real", "random"), (differences.real, differences.random), expected, strict=True):
        for name, difference in worst.items():
            allowed = TOLERANCE * max(1.0, float(np.abs(answer[name]).max()))
            if not difference <= allowed:
                faults.append(f"{name} on {kind} input differs by {difference:.3g}, {allowed:.3g} is allowed")
    answer_name = next(iter(expected[0]))
    control = differences.control[answer_name]
    if not control > TOLERANCE * max(1.0, differences.largest[answer_name]):
        faults.append(f"the mirrored image changes {answer_name} by {control:.3g} only: the comparison shows nothing")
    if autograd is not None and not autograd <= GRADIENT_TOLERANCE:
        faults.append(f"the explanation differs from autograd by {autograd:.3g} of its maximum")
    if faults:
        raise GraphRefused("; ".join(faults), source=source)
    return differences


def difference_from_autograd(module: Explained, image: Array) -> float:
    """Largest difference of the closed form's maps to Grad-CAM by automatic differentiation, of the largest value."""
    maps = torch.from_numpy(answer_of_module(module, image)[EXPLANATION])
    reference = maps_by_autograd(module, image)
    return float((maps - reference).abs().max() / reference.abs().max().clamp_min(torch.finfo(torch.float32).tiny))


def maps_by_autograd(module: Explained, image: Array) -> torch.Tensor:
    """Grad-CAM as it is defined, (1, classes, h, w)."""
    net = module.net
    with torch.no_grad():
        features = net.feature_map(torch.from_numpy(image))
    features.requires_grad_()
    logits = net.pooled(features)
    for layer in net.head():
        logits = layer(logits)
    maps = []
    for logit in logits[0]:
        (gradient,) = torch.autograd.grad(logit, features, retain_graph=True)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        maps.append(torch.relu((weights * features).sum(dim=1)))
    return torch.cat(maps).detach()[None]


def _worst(found: Answer, expected: Answer) -> dict[str, float]:
    return {name: float(np.abs(found[name] - value).max()) for name, value in expected.items()}
