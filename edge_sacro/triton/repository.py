"""A bundle -> a model repository: each network by itself, and one model that takes DICOM and answers with the report.

The layout and the text of ``config.pbtxt`` follow Triton's own documents (Model Repository, Model Configuration). Each
file is written whole; the folder that they go to must be new, so that no model of another bundle is left in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_sacro import __version__
from edge_sacro.bundle import Bundle
from edge_sacro.bundle_files import write_atomically
from edge_sacro.errors import OutputNotWritten, UsageError
from edge_sacro.manifest import Network, Precision, Tensor
from edge_sacro.signing import zip_from_bundle

REPORTING = "edge-sacro"
"""Name of the model that runs everything."""

DICOM, REPORT = "DICOM", "REPORT"
"""Its input, the bytes of one file, and its output, the report as JSON."""

BUNDLE = "bundle.zip"
VERSION = "1"
MODEL_PY = '''"""The whole runtime behind Triton's Python backend; all of it is in the installed package."""

from edge_sacro.triton.serving import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''


@dataclass(frozen=True)
class Serving:
    """How the model that runs everything opens its runtime.

    Attributes:
        precision: of the networks; the bundle's default where None.
        operating_point: by name; the bundle's default where None.
        threads: inside one inference.
        deadline_s: of one image; None for none.
    """

    precision: Precision | None = None
    operating_point: str | None = None
    threads: int = 1
    deadline_s: float | None = None


def write_repository(bundle: Bundle, folder: Path, serving: Serving) -> list[str]:
    """Write a model repository.

    Args:
        bundle: with its files.
        folder: new or empty.
        serving: for the model that runs everything; its precision is the single networks' too.

    Returns:
        the models' names.

    Raises:
        UsageError: the folder is not empty, or the bundle has no such precision or operating point.
        OutputNotWritten: it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("it is there already, and not empty", source=str(folder), remedy="Name a new folder.")
    files = files_of_repository(bundle, serving)
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
    except OSError as error:
        raise OutputNotWritten(f"it cannot be written: {error.strerror}", source=str(folder)) from error
    return sorted({name.split("/")[0] for name in files if name.endswith("config.pbtxt")})


def files_of_repository(bundle: Bundle, serving: Serving) -> dict[str, bytes]:
    """Every file by its path; the same bundle gives the same bytes."""
    manifest = bundle.manifest
    precision = serving.precision or manifest.default_precision
    known = [point.name for point in manifest.operating_points]
    if serving.operating_point not in (None, *known):
        told = f"the bundle has no operating point {serving.operating_point!r}; it has {', '.join(known)}"
        raise UsageError(told, source="operating_point")
    files: dict[str, bytes] = {}
    for network, described in manifest.networks.items():
        model = f"{REPORTING}-{network}"
        files[f"{model}/{VERSION}/model.onnx"] = bundle.model(network, precision, "onnxruntime")
        about = {"bundle": bundle.fingerprint, "network": network, "precision": precision}
        files[f"{model}/config.pbtxt"] = config_of_network(model, described, about).encode()
    files[f"{REPORTING}/{VERSION}/model.py"] = MODEL_PY.encode()
    files[f"{REPORTING}/{VERSION}/{BUNDLE}"] = zip_from_bundle(bundle, bundle.signature)
    files[f"{REPORTING}/config.pbtxt"] = config_of_reporting(bundle, serving, precision).encode()
    files["README.md"] = readme(bundle, precision).encode()
    return files


def config_of_network(name: str, network: Network, about: Mapping[str, str]) -> str:
    """``config.pbtxt`` of one network: no batch dimension is added to its static shapes."""
    tensors = [_tensors("input", network.inputs), _tensors("output", network.outputs)]
    return _config(name, "onnxruntime", "model.onnx", tensors, about)


def config_of_reporting(bundle: Bundle, serving: Serving, precision: Precision) -> str:
    """``config.pbtxt`` of the model that runs everything, with what its runtime is opened with."""
    about = {
        "bundle": bundle.fingerprint,
        "precision": precision,
        "operating_point": serving.operating_point or bundle.manifest.default_operating_point,
        "threads": str(serving.threads),
        "deadline_s": "" if serving.deadline_s is None else f"{serving.deadline_s:g}",
        "version": __version__,
    }
    tensors = [
        _tensor_list("input", [(DICOM, "TYPE_UINT8", [-1])]),
        _tensor_list("output", [(REPORT, "TYPE_STRING", [1])]),
    ]
    return _config(REPORTING, "python", "model.py", tensors, about)


def _config(name: str, backend: str, file: str, tensors: Sequence[str], about: Mapping[str, str]) -> str:
    head = [
        f"name: {_text(name)}",
        f"backend: {_text(backend)}",
        f"default_model_filename: {_text(file)}",
        "max_batch_size: 0",
    ]
    policy = f"version_policy {{\n  specific {{\n    versions: [ {VERSION} ]\n  }}\n}}"
    parameters = [
        f"parameters {{\n  key: {_text(f'edge_sacro_{key}')}\n  value {{\n    string_value: {_text(value)}\n  }}\n}}"
        for key, value in sorted(about.items())
    ]
    return "\n".join([*head, *tensors, policy, *parameters]) + "\n"


def _tensors(kind: str, tensors: Sequence[Tensor]) -> str:
    return _tensor_list(kind, [(each.name, "TYPE_FP32", each.shape) for each in tensors])


def _tensor_list(kind: str, tensors: Sequence[tuple[str, str, Sequence[int]]]) -> str:
    return "\n".join(
        f"{kind} {{\n  name: {_text(name)}\n  data_type: {data_type}\n  dims: [ {', '.join(map(str, dims))} ]\n}}"
        for name, data_type, dims in tensors
    )


def _text(value: str) -> str:
    """A string of protobuf's text format, whose escapes JSON's are where all is ASCII and printable."""
    if not (value.isascii() and value.isprintable()):
        raise UsageError(f"{value!r} cannot be written into a configuration", source="bundle")
    return json.dumps(value)


def readme(bundle: Bundle, precision: Precision) -> str:
    """What is in the repository, and what a caller of the single networks has to do by itself."""
    manifest = bundle.manifest
    rows = [
        f"| `{REPORTING}-{name}` | `{tensor.name}` | {kind} | float32 {tensor.shape} |"
        for name, network in manifest.networks.items()
        for kind, tensors in (("in", network.inputs), ("out", network.outputs))
        for tensor in tensors
    ]
    return "\n".join(
        [
            "# A model repository of Edge-Sacro",
            "",
            f"Bundle {manifest.name} {manifest.version}, {precision}, fingerprint `{bundle.fingerprint}`.",
            "",
            f"> {manifest.statement}",
            "",
            f"`{REPORTING}` takes the bytes of one DICOM file as `{DICOM}` (uint8, one dimension) and answers with the",
            f"report as JSON in `{REPORT}` (string). It needs Triton's Python backend, with `edge-sacro` {__version__}",
            "installed for the Python that the backend runs. A file that cannot be assessed is answered too, by a",
            "report that says why.",
            "",
            "The single networks need Triton's ONNX Runtime backend and nothing else:",
            "",
            "| model | tensor | | type and shape |",
            "|---|---|---|---|",
            *rows,
            "",
            "They are networks and no more. What turns a DICOM file into their inputs and their outputs into an answer",
            "stays with the caller: reading and refusing, normalisation, sliding windows, regions, crop, softmax,",
            f"cut-off and guard band, as system `{manifest.system}` of Edge-Sacro has them. An answer that leaves out",
            "one of these steps is not this system's answer.",
            "",
        ]
    )
