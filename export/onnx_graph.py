"""A PyTorch module becomes an ONNX file: static shapes, opset 18, one file, nothing of the exporter's machine in it."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnx.helper
import onnx.numpy_helper
import torch

OPSET = 18
"""Asking the exporter for less silently stays at 18."""

_EXPORTER_DEPRECATION = r".*isinstance\(treespec, LeafSpec\).*"
"""The exporter copies its own call graph by a form that PyTorch deprecates; nothing that a caller could change."""


def onnx_from_module(
    module: torch.nn.Module,
    path: Path,
    input_shape: tuple[int, ...],
    *,
    input_name: str = "image",
    output_names: tuple[str, ...] = ("logits",),
) -> Path:
    """Export a module of one float32 input in evaluation mode.

    Args:
        module: takes one float32 tensor of ``input_shape``; put into evaluation mode.
        path: the file to write, ``.onnx``.
        input_shape: static, the batch too.
        input_name: name of the graph's input.
        output_names: names of the graph's outputs, in the module's order.

    Returns:
        ``path``.
    """
    module.eval()
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (torch.zeros(input_shape),),
            input_names=[input_name],
            output_names=list(output_names),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    _strip(program.model)
    program.save(str(path), external_data=False)
    return path


def round_to_half(module: torch.nn.Module) -> torch.nn.Module:
    """Round every parameter to half precision in place, so that :func:`store_in_half` loses nothing more."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.half().float())
    return module


def store_in_half(path: Path, smallest: int = 1024) -> Path:
    """Rewrite a graph's large weights as float16 with a cast to float32 before use: half the file, the same arithmetic.

    A runtime folds the casts when it opens the graph, so nothing is computed in half precision.

    Args:
        path: an ONNX file, replaced.
        smallest: elements from which on a weight counts as large.
    """
    model = onnx.load(path)
    casts = []
    for weight in list(model.graph.initializer):
        if weight.data_type != onnx.TensorProto.FLOAT or math.prod(weight.dims) < smallest:
            continue
        stored = f"{weight.name}_half"
        halved = onnx.numpy_helper.to_array(weight).astype("float16")
        model.graph.initializer.append(onnx.numpy_helper.from_array(halved, stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [weight.name], to=onnx.TensorProto.FLOAT))
        model.graph.initializer.remove(weight)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _strip(model: Any) -> None:
    """Drop what the exporter noted of its run: stack traces hold paths of the machine, and differ between machines."""
    model.doc_string = None
    model.metadata_props.clear()
    model.graph.doc_string = None
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.doc_string = None
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_EXPORTER_DEPRECATION, category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)
