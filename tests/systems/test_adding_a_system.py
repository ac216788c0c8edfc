"""A sixth system is one file and one entry: ``docs/adding-a-system.md``, followed to the letter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from onnx import helper

from edge_sacro.bundle import load_bundle
from edge_sacro.cli import main
from edge_sacro.dicom import read
from edge_sacro.errors import BundleContractBroken, BundleManifestInvalid
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.runtime import Runtime
from edge_sacro.systems import SYSTEMS
from export.bundle_folder import bundle_from_networks
from tests.conftest import ROOT
from tests.systems import toy2026
from tests.systems.bundles import model
from tests.tiny import drawn_pelvis, write_dicom

GUIDE = ROOT / "docs" / "adding-a-system.md"
SIZE = 32
GAIN = 6.0


def python_of_the_guide(number: int) -> str:
    """The guide's block of Python of this number."""
    return re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)[number]


def fields() -> dict[str, Any]:
    """The manifest's fields as the guide has them."""
    names: dict[str, Any] = {}
    exec(python_of_the_guide(1).partition("\nmanifest = ")[0], names)  # noqa: S102 - the guide's own lines are the test
    written: dict[str, Any] = names["fields"]
    return written


def classifier(channels: int = 1) -> bytes:
    """Logits (0, ``GAIN`` times the mean) and a map of the bright parts."""
    weights = {
        "weight": np.array([[0.0, GAIN]] * channels, np.float32),
        "kernel": np.ones((2, channels, 4, 4), np.float32),
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "weight"], ["logits"]),
        helper.make_node("Conv", ["image", "kernel"], ["explanation"], strides=[4, 4]),
    ]
    outputs = {"logits": [1, 2], "explanation": [1, 2, SIZE // 4, SIZE // 4]}
    return model(nodes, weights, [1, channels, SIZE, SIZE], outputs)


def write_toy(folder: Path, channels: int = 1) -> Path:
    """The toy's bundle."""
    network = folder.with_suffix(".onnx")
    network.write_bytes(classifier(channels))
    bundle_from_networks(folder, {"classifier": network}, fields())
    return folder


@pytest.fixture
def entry() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SYSTEMS, toy2026.SYSTEM.name, toy2026.SYSTEM)
        yield


@pytest.fixture
def bundle(entry: None, tmp_path: Path) -> Path:
    return write_toy(tmp_path / "toy")


def changed_pelvis(rows: slice, columns: slice, value: int) -> npt.NDArray[np.uint16]:
    pixels = drawn_pelvis()
    pixels[rows, columns] = value
    return pixels


def test_the_guide_shows_the_very_file_of_these_tests() -> None:
    assert python_of_the_guide(0) == Path(toy2026.__file__).read_text()


def test_nothing_else_in_the_device_knows_a_system_by_its_name() -> None:
    apart = {"systems", "reference"}
    names = re.compile("[\"'](" + "|".join(sorted({name.split("-")[0] for name in SYSTEMS})) + ")")
    device = ROOT / "edge_sacro"
    files = [path for path in device.rglob("*.py") if path.relative_to(device).parts[0] not in apart]
    knowing = {path.relative_to(device).as_posix() for path in files if names.search(path.read_text())}
    # The published cohorts are data of the papers, as the reference is.
    assert knowing == {"evaluation/cohorts.py"}


def test_from_dicom_to_a_report(bundle: Path, tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "pelvis.dcm")
    gray = eight_bit_from_radiograph(read(file.read_bytes(), name="pelvis"))
    expected = 1 / (1 + np.exp(-GAIN * gray[128:384, 128:384].mean(dtype=np.float64) / 255))
    with Runtime(bundle, threads=1) as runtime:
        result = runtime.infer(file)
        report = runtime.report([result])
    assert result.system == "toy2026"
    assert result.state == "positive"
    assert result.crop_px == [128, 128, 384, 384]
    assert result.probability == pytest.approx(expected, abs=5.1e-5)
    assert result.probability != pytest.approx(1 / (1 + np.exp(-GAIN * gray.mean() / 255)), abs=5.1e-5)
    assert result.operating_point.threshold == 0.42
    assert "J Examples" in result.operating_point.source
    assert report.bundle.name == "toy"


def test_the_middle_decides_and_the_rest_does_not(bundle: Path, tmp_path: Path) -> None:
    images = {
        "as drawn": drawn_pelvis(),
        "corner": changed_pelvis(slice(490, 500), slice(20, 100), 2000),
        "middle": changed_pelvis(slice(200, 280), slice(200, 280), 4095),
    }
    with Runtime(bundle, threads=1) as runtime:
        found = {
            name: runtime.infer(write_dicom(tmp_path / f"{name}.dcm", pixels)).probability
            for name, pixels in images.items()
        }
    assert found["corner"] == found["as drawn"]
    assert found["middle"] != found["as drawn"]


def test_a_dark_middle_is_not_assessable_and_the_reason_is_told(bundle: Path, tmp_path: Path) -> None:
    pixels = changed_pelvis(slice(120, 392), slice(120, 392), 0)
    with Runtime(bundle, threads=1) as runtime:
        result = runtime.infer(write_dicom(tmp_path / "dark.dcm", pixels))
    assert (result.state, result.reason_code, result.probability) == ("not_assessable", "crop_is_dark", None)


def test_the_command_line_takes_it_as_any_other(bundle: Path, tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "pelvis.dcm")
    picture = tmp_path / "where.png"
    options = ["--bundle", str(bundle), "--threads", "1"]
    done = CliRunner().invoke(main, ["infer", str(file), *options, "--json", "--explain", str(picture)])
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)["results"]
    assert (result["system"], result["state"]) == ("toy2026", "positive")
    assert picture.read_bytes().startswith(b"\x89PNG")
    shown = CliRunner().invoke(main, ["bundle", "show", str(bundle)])
    assert shown.exit_code == 0
    assert "toy2026" in shown.stdout


def test_what_the_file_does_not_take_is_refused(entry: None, tmp_path: Path) -> None:
    with pytest.raises(BundleContractBroken, match=re.escape("the stages give (1, 1, 32, 32)")):
        Runtime(write_toy(tmp_path / "color", channels=3))
    other = write_toy(tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["segmentation"] = {"size": 64, "window": 64, "overlap": 0.5, "dilation_fraction": 0.05}
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleManifestInvalid, match="segmentation does not fit system toy2026"):
        load_bundle(other)


def test_without_the_entry_the_error_names_the_systems_that_there_are(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SYSTEMS, toy2026.SYSTEM.name, toy2026.SYSTEM)
        folder = write_toy(tmp_path / "toy")
    with pytest.raises(BundleManifestInvalid, match=r"system: .*no system is called 'toy2026'; there are .*noh2021"):
        load_bundle(folder)
