"""The model repository: files that Triton's own schema reads, and a model that answers as the runtime does.

No Triton server runs here. The configurations are parsed by the protobuf schema of Triton's client where that is
installed, and ``model.py`` runs against a stand-in for the module that Triton's stub gives it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from edge_sacro.bundle import load_bundle
from edge_sacro.cli import main
from edge_sacro.errors import BackendError, BundleFileCorrupt, InternalError
from edge_sacro.report import Report
from edge_sacro.runtime import Runtime
from edge_sacro.triton import serving
from tests.tiny import without_timings, write_bundle, write_dicom, write_standard_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def repository(bundle: Path) -> Path:
    out = bundle.parent / "models"
    done = CliRunner().invoke(main, ["triton", "export", "--bundle", str(bundle), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "edge-sacro, edge-sacro-classifier, edge-sacro-segmenter" in done.output
    return out


def test_every_model_has_a_configuration_and_a_version(repository: Path) -> None:
    files = sorted(str(each.relative_to(repository)) for each in repository.rglob("*") if each.is_file())
    assert files == [
        "README.md",
        "edge-sacro-classifier/1/model.onnx",
        "edge-sacro-classifier/config.pbtxt",
        "edge-sacro-segmenter/1/model.onnx",
        "edge-sacro-segmenter/config.pbtxt",
        "edge-sacro/1/bundle.zip",
        "edge-sacro/1/model.py",
        "edge-sacro/config.pbtxt",
    ]
    assert "not for clinical use" in (repository / "README.md").read_text()


def test_the_tensors_of_a_configuration_are_those_of_its_network(repository: Path) -> None:
    for name in ("segmenter", "classifier"):
        text = (repository / f"edge-sacro-{name}" / "config.pbtxt").read_text()
        graph = onnx.load(repository / f"edge-sacro-{name}" / "1" / "model.onnx").graph
        for kind, values in (("input", graph.input), ("output", graph.output)):
            found = re.findall(kind + r' \{\s+name: "(\w+)"\s+data_type: (\w+)\s+dims: \[ ([\d, ]+) \]', text)
            wanted = [
                (each.name, "TYPE_FP32", ", ".join(str(d.dim_value) for d in each.type.tensor_type.shape.dim))
                for each in values
            ]
            assert found == wanted
        assert "max_batch_size: 0" in text


def test_tritons_own_schema_reads_the_configurations(repository: Path) -> None:
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed")
    from google.protobuf import text_format

    for name, backend, file in (
        ("edge-sacro", "python", "model.py"),
        ("edge-sacro-segmenter", "onnxruntime", "model.onnx"),
        ("edge-sacro-classifier", "onnxruntime", "model.onnx"),
    ):
        text = (repository / name / "config.pbtxt").read_text()
        config = text_format.Parse(text, schema.ModelConfig())
        assert (config.name, config.backend, config.default_model_filename) == (name, backend, file)
        assert (config.max_batch_size, list(config.version_policy.specific.versions)) == (0, [1])
        with pytest.raises(text_format.ParseError):
            text_format.Parse(text.replace("TYPE_", "KIND_"), schema.ModelConfig())
    assert [(each.name, list(each.dims)) for each in config.input] == [("image", [1, 1, 32, 48])]


def test_the_same_bundle_gives_the_same_repository(bundle: Path, repository: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    call = ["triton", "export", "--bundle", str(bundle), "--out", str(again)]
    assert CliRunner().invoke(main, call).exit_code == 0
    for each in repository.rglob("*"):
        if each.is_file():
            assert (again / each.relative_to(repository)).read_bytes() == each.read_bytes()
    assert CliRunner().invoke(main, call).exit_code == 2, "no model of another export may be left among them"


def test_a_system_of_one_network_has_two_models(tmp_path: Path) -> None:
    bundle = write_standard_bundle(tmp_path / "standard")
    done = CliRunner().invoke(main, ["triton", "export", "--bundle", str(bundle), "--out", str(tmp_path / "out")])
    assert "out: edge-sacro, edge-sacro-classifier\n" in done.output


class _Tensor:
    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def as_numpy(self) -> Any:
        return self.value


class _Response:
    def __init__(self, output_tensors: list[_Tensor], error: Any = None) -> None:
        self.tensors, self.error = output_tensors, error


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Triton's stub gives a model, as far as this one uses it."""
    utils = types.ModuleType("triton_python_backend_utils")
    utils.Tensor, utils.InferenceResponse, utils.TritonError = _Tensor, _Response, str  # type: ignore[attr-defined]
    utils.get_input_tensor_by_name = lambda request, name: request[name]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", utils)


def arguments(repository: Path, **changes: str) -> dict[str, str]:
    """What Triton tells a model of the configuration."""
    text = (repository / "edge-sacro" / "config.pbtxt").read_text()
    pairs = dict(re.findall(r'key: "edge_sacro_(\w+)"\s+value \{\s+string_value: "([^"]*)"', text))
    parameters = {f"edge_sacro_{key}": {"string_value": value} for key, value in {**pairs, **changes}.items()}
    return {
        "model_config": json.dumps({"parameters": parameters}),
        "model_repository": str(repository / "edge-sacro"),
        "model_version": "1",
    }


@pytest.fixture
def model(repository: Path, stub: None) -> Iterator[Any]:
    place = repository / "edge-sacro" / "1" / "model.py"
    spec = importlib.util.spec_from_file_location("edge_sacro_triton_model", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.TritonPythonModel()
    made.initialize(arguments(repository))
    yield made
    made.finalize()


def request_of(data: bytes) -> dict[str, _Tensor]:
    return {"DICOM": _Tensor("DICOM", np.frombuffer(data, np.uint8))}


def test_the_model_answers_as_the_runtime_does(model: Any, bundle: Path, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm")
    good, bad = model.execute([request_of(path.read_bytes()), request_of(b"no file")])
    assert [each.name for each in good.tensors] == ["REPORT"]
    assert good.tensors[0].value.shape == (1,)
    report = Report.model_validate_json(good.tensors[0].value[0])
    with Runtime(bundle, threads=1) as runtime:
        expected = runtime.infer(path.read_bytes(), name="(request)")
    assert without_timings(report.results[0]) == without_timings(expected)
    refused = Report.model_validate_json(bad.tensors[0].value[0])
    assert (refused.results[0].reason_code, bad.error) == ("not_dicom", None)


def test_a_defect_is_an_error_of_that_request_alone(
    model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = write_dicom(tmp_path / "a.dcm").read_bytes()
    whole = model.report

    def report(given: bytes) -> str:
        if given == b"bad":
            raise InternalError("it broke")
        return str(whole(given))

    monkeypatch.setattr(model, "report", report)
    bad, good = model.execute([request_of(b"bad"), request_of(data)])
    assert "it broke" in bad.error
    assert bad.tensors == []
    assert good.error is None


def test_a_repository_of_another_version_or_bundle_is_not_loaded(repository: Path) -> None:
    made = serving.TritonPythonModel()
    with pytest.raises(BackendError, match=r"written by edge-sacro 0\.0"):
        made.initialize(arguments(repository, version="0.0"))
    with pytest.raises(BundleFileCorrupt, match="it is not the bundle"):
        made.initialize(arguments(repository, bundle="0" * 64))
    assert load_bundle(repository / "edge-sacro" / "1" / "bundle.zip").manifest.name == "tiny"


def test_inside_the_stub_a_python_on_the_path_reads_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert serving.interpreter() == sys.executable
    monkeypatch.setattr(sys, "executable", "/opt/triton_python_backend_stub")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InternalError, match="on the PATH"):
        serving.interpreter()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / name).touch(0o755)
    assert serving.interpreter() == str(tmp_path / name)
