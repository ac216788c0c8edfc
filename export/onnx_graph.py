"""A PyTorch module becomes an ONNX file: static shapes, opset 18, one file, nothing of the exporter's machine in it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
