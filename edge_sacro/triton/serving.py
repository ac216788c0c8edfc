"""The model behind Triton's Python backend: bytes of a DICOM file -> the report as JSON.

Triton's stub imports this module from the ``model.py`` of a repository and gives ``triton_python_backend_utils``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from edge_sacro import __version__
from edge_sacro.bundle import load_bundle
from edge_sacro.errors import BackendError, BundleFileCorrupt, EdgeSacroError, InternalError
from edge_sacro.manifest import Precision
from edge_sacro.report import json_from_report
from edge_sacro.runtime import Runtime
from edge_sacro.triton.repository import BUNDLE, DICOM, REPORT


class TritonPythonModel:
    """What Triton's Python backend calls: ``initialize`` once, ``execute`` for some requests, ``finalize`` once."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the runtime that the model's configuration names.

        Args:
            args: of Triton: ``model_config`` as JSON, ``model_repository`` and ``model_version``.

        Raises:
            BundleError, BackendError: it cannot be opened; Triton then does not load the model.
        """
        told = _parameters(json.loads(args["model_config"]))
        if told["version"] != __version__:
            raise BackendError(f"the repository was written by edge-sacro {told['version']}, and this is {__version__}")
        sys.executable = interpreter()
        path = Path(args["model_repository"], args["model_version"], BUNDLE)
        loaded = load_bundle(path)
        if loaded.fingerprint != told["bundle"]:
            raise BundleFileCorrupt(f"it is not the bundle {told['bundle']}", source=str(path))
        self._runtime = Runtime(
            loaded,
            precision=cast("Precision", told["precision"]),
            operating_point=told["operating_point"],
            threads=int(told["threads"]),
            deadline_s=float(told["deadline_s"]) if told["deadline_s"] else None,
        )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response a request, in their order. A file that cannot be assessed is a report, a defect an error."""
        return [self._response(request) for request in requests]

    def finalize(self) -> None:
        """Give back what the backend holds."""
        self._runtime.close()

    def _response(self, request: Any) -> Any:
        import triton_python_backend_utils as pb_utils

        try:
            given = pb_utils.get_input_tensor_by_name(request, DICOM).as_numpy()
            report = self.report(given.tobytes())
        except EdgeSacroError as error:
            return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(str(error)))
        answer = pb_utils.Tensor(REPORT, np.array([report.encode()], dtype=np.object_))
        return pb_utils.InferenceResponse(output_tensors=[answer])

    def report(self, data: bytes) -> str:
        """The report of one DICOM file, as ``edge-sacro infer --json`` prints it."""
        return json_from_report(self._runtime.report(self._runtime.infer_all(data, name="(request)")))


def interpreter() -> str:
    """The Python that decoding processes are started with: inside Triton's stub ``sys.executable`` may be the stub.

    Raises:
        InternalError: there is none of this version on the PATH.
    """
    if Path(sys.executable or "").name.startswith("python"):
        return sys.executable
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(name)
    if found is None:
        raise InternalError(f"there is no {name} on the PATH, which reads DICOM files in a process of its own")
    return found


def _parameters(config: dict[str, Any]) -> dict[str, str]:
    prefix = "edge_sacro_"
    return {
        key.removeprefix(prefix): value["string_value"]
        for key, value in config["parameters"].items()
        if key.startswith(prefix)
    }
