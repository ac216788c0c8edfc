"""Calibration inputs: what the runtime itself feeds each network when it assesses DICOM files.

A runtime in FP32 assesses each file, and engines that keep what they are run with stand in for its own. So no second
preprocessing exists that could differ from the first, for whatever system the bundle is of.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from calibration.graph import Array
from edge_sacro import __version__
from edge_sacro.bundle import Bundle
from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.errors import CalibrationRefused
from edge_sacro.runtime import Runtime

PER_IMAGE = 2
"""Inputs of one network that are kept of one image, where sliding windows give more: the first, the last, and between
them at equal distances. Neighbouring windows overlap and say little that is new."""

Inputs = dict[str, list[dict[str, Array]]]
"""What each network was run with, in the files' order: by network, then by input name."""


@dataclass(frozen=True)
class LeftOut:
    """A file that gave no inputs.

    Attributes:
        file: its path, for the one who runs the command; no record holds it, since names may tell of patients.
        sha256: of the file.
        reason: why.
    """

    file: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        inputs: by network.
        files: that gave inputs, in the order in which they did.
        images: SHA-256 of each of them.
        left_out: the others that were tried.
    """

    inputs: Inputs
    files: tuple[Path, ...]
    images: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    def record(self) -> dict[str, Any]:
        """Which images, how and with what, without a name or a path."""
        return {
            "images": list(self.images),
            "inputs": {name: len(inputs) for name, inputs in self.inputs.items()},
            "inputs_per_image": PER_IMAGE,
            "left_out": [{"sha256": each.sha256, "reason": each.reason} for each in self.left_out],
            "preprocessing": f"edge-sacro {__version__}, its own runtime in fp32 on DICOM files",
        }


class RecordingEngine(Engine):
    """An engine of ONNX Runtime that keeps a copy of what it is run with."""

    backend = "onnxruntime"

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner.spec)
        self.inner = inner
        self.vendor_version = inner.vendor_version
        self.seen: list[dict[str, Array]] = []

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        self.seen.append({name: np.array(value, copy=True) for name, value in inputs.items()})
        return self.inner.run(inputs, deadline=deadline)

    def taken(self) -> list[dict[str, Array]]:
        """At most ``PER_IMAGE`` of the inputs since the last call."""
        seen, self.seen = self.seen, []
        if len(seen) <= PER_IMAGE:
            return seen
        return [seen[index] for index in np.linspace(0, len(seen) - 1, PER_IMAGE).round().astype(int)]

    def close(self) -> None:
        """Close the engine inside."""
        self.inner.close()


def dicom_files(folders: Iterable[Path]) -> list[Path]:
    """Every file of the folders that may be a DICOM file, by name: ``.dcm``, ``.dicom``, ``.ima`` or no extension."""
    endings = {"", ".dcm", ".dicom", ".ima"}
    found = [path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in endings]
    return sorted(path for path in found if path.is_file() and path.name != "DICOMDIR")


def inputs_from_files(bundle: Bundle, files: Sequence[Path], wanted: int | None = None, least: int = 1) -> Reading:
    """Assess files in FP32 on ONNX Runtime and keep what every network is run with.

    Args:
        bundle: with FP32 networks.
        files: DICOM files, tried in this order until enough gave inputs.
        wanted: how many images must give inputs to every network; None takes all that do.
        least: how many must, where ``wanted`` is None.

    Raises:
        CalibrationRefused: fewer did.
    """
    engines: dict[str, RecordingEngine] = {}

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        engines[spec.name] = RecordingEngine(open_engine(backend, spec, model, threads))
        return engines[spec.name]

    inputs: Inputs = {name: [] for name in bundle.manifest.networks}
    used: dict[str, Path] = {}
    left_out = []
    with Runtime(bundle, precision="fp32", opener=opener) as runtime:
        for file in files:
            if len(used) == wanted:
                break
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            if sha256 in used:
                left_out.append(LeftOut(str(file), sha256, "the same file again"))
                continue
            result = runtime.infer(file)
            taken = {name: engine.taken() for name, engine in engines.items()}
            if all(taken.values()):
                used[sha256] = file
                for name, each in taken.items():
                    inputs[name] += each
            else:
                left_out.append(LeftOut(str(file), sha256, f"{result.reason_code}: {result.reason}"))
    asked = least if wanted is None else wanted
    if len(used) < asked:
        told = "".join(f"\n  {each.file}: {each.reason}" for each in left_out)
        raise CalibrationRefused(f"{len(used)} of {len(files)} files gave inputs, and {asked} are asked for{told}")
    return Reading(inputs, tuple(used.values()), tuple(used), tuple(left_out))


def versions() -> dict[str, str]:
    """What the figures depend on beside the images."""
    packages = {name: version(name) for name in ("numpy", "onnx", "onnxruntime", "pydicom", "opencv-python-headless")}
    return {"edge-sacro": __version__, "python": platform.python_version(), "machine": platform.machine(), **packages}
