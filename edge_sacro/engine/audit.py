"""What a TensorRT-RTX plan will run, read from the plan itself with no GPU.

The plan holds its program as text: a line a kernel, with the names of its tensors, and a line a tensor, with its type.
The format is not documented, so this is evidence and never a gate of what serves. Plans of TensorRT proper hold no such
text; they are inspected on their device.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_TEXT = re.compile(rb"[\t\n\x20-\x7e]{8,}")
_TENSOR = re.compile(r"(?:^|\s)(?:sub_)?tensor=\{")
_NAME = re.compile(r' name=("[^"]+"|[^\s"]+)')
_TYPE = re.compile(r" type=(\w+)")
_KERNEL = re.compile(r"^  ([a-z_]+)=\{")
_EPILOGUES = ("bias", "accu", "relu", "swish", "leaky_relu", "quantize")
_WEIGHTED = ("corrltn", "deconvolution", "fully_connected")
"""The program's words for a convolution, a transposed one and a matrix product with constant weights."""


@dataclass(frozen=True)
class Kernel:
    """One step of the program.

    Attributes:
        kind: the program's word, such as ``corrltn`` for a convolution.
        name: usually of the ONNX node.
        inputs, outputs: types of the first two inputs and the first output, ``?`` where none is told.
        epilogues: what is fused behind it, such as ``bias`` and ``relu``.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    epilogues: tuple[str, ...]

    @property
    def weighted(self) -> bool:
        """Whether it multiplies by weights."""
        return self.kind in _WEIGHTED

    @property
    def in_int8(self) -> bool:
        """Whether it multiplies int8 by int8."""
        return self.weighted and bool(self.inputs) and set(self.inputs) == {"int8"}


@dataclass(frozen=True)
class Audit:
    """A plan's program.

    Attributes:
        size: bytes of the plan.
        kernels: in the order of the program; empty where the plan holds no text.
        device_bytes: memory for activations.
        targets: compute capabilities that the program was made for.
    """

    size: int
    kernels: tuple[Kernel, ...]
    device_bytes: int
    targets: tuple[str, ...]

    @property
    def weighted(self) -> int:
        """Kernels that multiply by weights."""
        return sum(kernel.weighted for kernel in self.kernels)

    @property
    def in_int8(self) -> int:
        """Of those, the ones that multiply in int8."""
        return sum(kernel.in_int8 for kernel in self.kernels)

    @property
    def inlined(self) -> int:
        """Generated functions with a small convolution inside; the text does not tell its arithmetic."""
        return sum(kernel.kind == "function" and "Corr" in kernel.name for kernel in self.kernels)

    def counts(self) -> dict[str, int]:
        """Kernels by kind; the weighted ones also by types and epilogues."""
        return dict(sorted(Counter(_label(kernel) for kernel in self.kernels).items()))


def audit_from_plan(plan: bytes) -> Audit:
    """Read the program text of a plan.

    Args:
        plan: the serialised engine.
    """
    text = "\n".join(match.group().decode("ascii") for match in _TEXT.finditer(plan))
    lines = text.split("\n")
    types = _types(lines)
    kernels = tuple(kernel for line in lines if (kernel := _kernel(line, types)) is not None)
    device = sum(int(size) for size in re.findall(r"region = \{ name=devmem size=(\d+)", text))
    targets = {each for found in re.findall(r"accelerators=\{([^}]*)\}", text) for each in found.split()} - {"*"}
    return Audit(len(plan), kernels, device, tuple(sorted(targets)))


def _types(lines: list[str]) -> dict[str, str]:
    """Types of tensors by their names."""
    types: dict[str, str] = {}
    for line in lines:
        if _TENSOR.search(line) is not None:
            name, kind = _NAME.search(line), _TYPE.search(line)
            if name is not None and kind is not None:
                types[name.group(1).strip('"')] = kind.group(1)
    return types


def _kernel(line: str, types: dict[str, str]) -> Kernel | None:
    match = _KERNEL.match(line)
    name = _NAME.search(line)
    outputs = _tensors(line, "output") or _tensors(line, "output_args")
    if match is None or name is None or not outputs:
        return None
    inputs = _tensors(line, "input") or _tensors(line, "input_args")
    return Kernel(
        match.group(1),
        name.group(1).strip('"'),
        tuple(types.get(each, "?") for each in inputs[:2]),
        tuple(types.get(each, "?") for each in outputs[:1]),
        tuple(each for each in _EPILOGUES if f" {each}=true" in line),
    )


def _tensors(line: str, key: str) -> list[str]:
    found = re.search(rf" {key}=\{{([^}}]*)\}}", line)
    return re.findall(r'"([^"]+)"', found.group(1)) if found else []


def _label(kernel: Kernel) -> str:
    if not kernel.weighted:
        return kernel.kind
    return f"{kernel.kind} {'x'.join(kernel.inputs)} -> {''.join(kernel.outputs)} {'+'.join(kernel.epilogues)}".strip()
