"""The published systems' own networks, at a small input, in every precision: TensorRT-RTX builds them with no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from calibration.concatenation import concatenated_as_integers
from calibration.graph import prepared, quantisable_nodes
from calibration.half import half_from_float
from calibration.quantise import qdq_from_float
from calibration.ranges import observe
from engines.factory import Candidate, engine_from_candidate

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX builds on x86-64 and aarch64 Linux: pip install tensorrt-rtx")
torch = pytest.importorskip("torch", reason="networks are exported with PyTorch")

pytestmark = pytest.mark.heavy

SIDES = {"inception_v4": 96, "vgg16": 64}
NETWORKS = [
    ("dorfner2024", "segmenter"),
    ("dorfner2024", "classifier"),
    ("bressem2021", "classifier"),
    ("fu2024-vgg16", "classifier"),
    ("fu2024-resnet101", "classifier"),
    ("fu2024-densenet121", "classifier"),
    ("fu2024-inception_v4", "classifier"),
    ("fu2024-resnext50", "classifier"),
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _exported(system: str, network: str, path: Path) -> onnx.ModelProto:
    """The network with fresh weights: what is built depends on its form alone."""
    from export.architectures import ARCHITECTURES
    from export.explanation import Explained
    from export.networks.classifier import Classifier
    from export.onnx_graph import onnx_from_module

    architecture = ARCHITECTURES[system][network]
    side = SIDES.get(system.rpartition("-")[2], 64)
    small = replace(architecture, shape=(1, architecture.shape[1], side, side))
    torch.manual_seed(0)
    module = small.build(small.shape, frozenset()).eval()
    names: tuple[str, ...] = ("logits",)
    if isinstance(module, Classifier):
        module, names = Explained(module), ("logits", "explanation")
    return onnx.load(onnx_from_module(module, path, small.shape, output_names=names))


@pytest.mark.parametrize(("system", "network"), NETWORKS)
def test_a_systems_network_builds_in_every_precision(system: str, network: str, tmp_path: Path) -> None:
    model = prepared(_exported(system, network, tmp_path / "graph.onnx").SerializeToString())
    shape = tuple(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)
    noise = [{"image": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}]
    limits = observe(model, noise).limits("minmax")
    forms = {
        "fp32": model,
        "fp16": half_from_float(model, limits),
        "int8": concatenated_as_integers(qdq_from_float(model, limits)),
    }
    in_int8 = {}
    for precision, form in forms.items():
        candidate = Candidate(network, precision, "rtx-any", form.SerializeToString())  # type: ignore[arg-type]
        _, audit = engine_from_candidate(candidate)
        assert audit is not None
        assert audit.weighted > 0
        in_int8[precision] = audit.in_int8
    assert (in_int8["fp32"], in_int8["fp16"]) == (0, 0), "negative control"
    names = set(quantisable_nodes(model))
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node if node.name in names)
    assert in_int8["int8"] >= convolutions * 0.9
