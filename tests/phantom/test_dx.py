"""The written objects are valid, say what they are, and hold the pixels."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from edge_sacro.errors import OutputNotWritten, UsageError
from edge_sacro.phantom import NOTICE, PhantomOptions, render, write_dx, write_study
from edge_sacro.phantom.dx import bytes_from_phantom

SMALL = PhantomOptions(spacing_mm=1.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("phantoms"), 4, 21, SMALL).parent


@pytest.fixture(scope="module")
def truth(study: Path) -> dict:
    return json.loads((study / "truth.json").read_text())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("marker", ["L", "none"])
def test_dciodvfy_finds_no_error(tmp_path: Path, photometric: str, marker: str) -> None:
    path = tmp_path / "phantom.dcm"
    options = PhantomOptions(spacing_mm=1.0, photometric=photometric, marker=marker)
    write_dx(render(4, options), path)
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr + told.stdout
    assert "DXImageForPresentation" in told.stderr + told.stdout
    broken = pydicom.dcmread(path)
    del broken.PatientOrientation
    broken.save_as(path)
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Error" in told.stderr + told.stdout


def test_pixels_and_attributes_come_back(tmp_path: Path) -> None:
    phantom = render((8, 8), PhantomOptions(spacing_mm=0.8))
    write_dx(phantom, tmp_path / "a.dcm")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert np.array_equal(dataset.pixel_array, phantom.pixels)
    assert dataset.pixel_array.max() < 1 << dataset.BitsStored
    assert [float(v) for v in dataset.ImagerPixelSpacing] == [0.8, 0.8]
    assert "PixelSpacing" not in dataset
    assert (dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition) == ("DX", "PELVIS", "AP")
    assert list(dataset.PatientOrientation) == ["L", "F"]
    shape = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
    assert dataset.PresentationLUTShape == shape[dataset.PhotometricInterpretation]


def test_every_object_says_that_it_is_simulated(study: Path) -> None:
    files = sorted(study.glob("*.dcm"))
    assert len(files) == 4
    for path in files:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        for attribute in ("ImageComments", "SeriesDescription", "StudyDescription", "PatientComments"):
            assert dataset[attribute].value == NOTICE
        assert str(dataset.PatientName).startswith("PHANTOM^")
        assert dataset.Manufacturer == "Edge-Sacro"


def test_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    first, second = render(31, SMALL), render(31, SMALL)
    assert bytes_from_phantom(first) == bytes_from_phantom(second)
    assert bytes_from_phantom(render(32, SMALL)) != bytes_from_phantom(first)


def test_uids_differ_between_images_and_are_valid(study: Path) -> None:
    sets = [pydicom.dcmread(path, stop_before_pixels=True) for path in study.glob("*.dcm")]
    uids = [uid for d in sets for uid in (d.SOPInstanceUID, d.SeriesInstanceUID, d.StudyInstanceUID)]
    assert len(set(uids)) == len(uids)
    assert all(uid.is_valid and uid.startswith("2.25.") for uid in uids)


def test_truth_names_each_file_by_its_hash(study: Path, truth: dict) -> None:
    assert truth["notice"] == NOTICE
    for entry in truth["images"]:
        content = (study / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        dataset = pydicom.dcmread(study / entry["file"], stop_before_pixels=True)
        assert entry["sop_instance_uid"] == dataset.SOPInstanceUID
        mask = cv2.imread(str(study / entry["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (entry["rows"], entry["columns"]) == (dataset.Rows, dataset.Columns)
        for side in ("left", "right"):
            x0, y0, x1, y1 = entry["joints"][side]["box_px"]
            assert (mask[y0:y1, x0:x1] & truth["mask_bits"][f"{side}_joint"]).any()


def test_a_longer_study_begins_as_a_shorter_one(study: Path, tmp_path: Path) -> None:
    write_study(tmp_path, 1, 21, SMALL)
    name = "phantom-21-000.dcm"
    assert (tmp_path / name).read_bytes() == (study / name).read_bytes()


def test_window_holds_the_patient(study: Path) -> None:
    for path in study.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        low = dataset.WindowCenter - dataset.WindowWidth / 2
        high = dataset.WindowCenter + dataset.WindowWidth / 2
        rows, columns = dataset.Rows, dataset.Columns
        middle = dataset.pixel_array[rows // 4 : rows * 3 // 4, columns // 4 : columns * 3 // 4]
        assert ((middle >= low) & (middle <= high)).mean() > 0.9


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_study(tmp_path, 0, 1, SMALL)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputNotWritten):
        write_study(tmp_path / "file", 1, 1, SMALL)
    with pytest.raises(OutputNotWritten):
        write_dx(render(1, SMALL), tmp_path / "absent" / "a.dcm")
