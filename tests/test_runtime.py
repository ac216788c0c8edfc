"""From DICOM to result: states, sides, spacing, determinism, threads and memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sacro.errors import BackendUnavailable, UsageError
from edge_sacro.runtime import Runtime
from edge_sacro.types import State
from tests.tiny import (
    CLASSIFIER,
    drawn_pelvis,
    slow_classifier,
    without_timings,
    write_bundle,
    write_dicom,
    write_standard_bundle,
)

RIGHT_JOINT, LEFT_JOINT = [195, 192, 208, 320], [304, 160, 317, 352]
"""Where the drawing's ilia meet its dilated sacrum, in the drawing's pixels."""

TOLERANCE_PX = 1
"""The half-width of the dilation is rounded."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def runtime(bundle: Path) -> Runtime:
    return Runtime(bundle, threads=1)


def _near(found: list[int] | None, expected: list[int]) -> bool:
    return found is not None and max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= TOLERANCE_PX


def test_both_joints_are_found_where_they_were_drawn(runtime: Runtime, tmp_path: Path) -> None:
    result = runtime.infer(write_dicom(tmp_path / "a.dcm"))
    assert result.state in {State.POSITIVE, State.NEGATIVE}
    left, right = result.joints.left, result.joints.right
    assert (left.state, right.state) == (State.LOCATED, State.LOCATED)
    assert _near(left.box_px, LEFT_JOINT)
    assert _near(right.box_px, RIGHT_JOINT)
    assert not _near(left.box_px, RIGHT_JOINT), "the two joints are far enough apart for this test to tell them"


def test_boxes_in_millimetres_take_row_and_column_spacing_apart(runtime: Runtime, tmp_path: Path) -> None:
    left = runtime.infer(write_dicom(tmp_path / "a.dcm")).joints.left
    assert left.box_px is not None
    assert left.box_mm == [0.25 * left.box_px[0], 0.5 * left.box_px[1], 0.25 * left.box_px[2], 0.5 * left.box_px[3]]


def test_without_spacing_millimetres_are_absent_with_a_reason(runtime: Runtime, tmp_path: Path) -> None:
    left = runtime.infer(write_dicom(tmp_path / "a.dcm", ImagerPixelSpacing=None)).joints.left
    assert left.box_mm is None
    assert "no pixel spacing" in (left.reason or "")


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (["L", "F"], lambda image: image),
        (["R", "F"], lambda image: image[:, ::-1]),
        (["L", "H"], lambda image: image[::-1]),
        (["R", "H"], lambda image: image[::-1, ::-1]),
        (["F", "L"], lambda image: image.T),
        (["H", "R"], lambda image: image[::-1, ::-1].T),
    ],
    ids=["LF", "RF", "LH", "RH", "FL", "HR"],
)
def test_left_is_the_patients_left_however_the_image_is_stored(
    runtime: Runtime, tmp_path: Path, orientation: list[str], stored: Any
) -> None:
    """The left joint's ilium is the taller one, drawn with the brightest level: its box has to lie on it."""
    usual = runtime.infer(write_dicom(tmp_path / "usual.dcm"))
    pixels = np.ascontiguousarray(stored(drawn_pelvis()))
    result = runtime.infer(write_dicom(tmp_path / "a.dcm", pixels, PatientOrientation=orientation))
    for joint, levels in ((result.joints.left, [4000, 4095]), (result.joints.right, [3000])):
        assert joint.box_px is not None
        x0, y0, x1, y1 = joint.box_px
        assert np.isin(pixels[y0:y1, x0:x1], levels).all()
    assert (result.probability, result.state) == (usual.probability, usual.state)


def test_an_image_stored_mirrored_without_saying_so_is_the_negative_control(runtime: Runtime, tmp_path: Path) -> None:
    mirrored = np.ascontiguousarray(drawn_pelvis()[:, ::-1])
    left = runtime.infer(write_dicom(tmp_path / "a.dcm", mirrored)).joints.left
    assert left.box_px is not None
    x0, y0, x1, y1 = left.box_px
    assert not np.isin(mirrored[y0:y1, x0:x1], [4000, 4095]).any()


def test_an_orientation_that_had_to_be_assumed_is_a_note(runtime: Runtime, tmp_path: Path) -> None:
    said = runtime.infer(write_dicom(tmp_path / "a.dcm"))
    assumed = runtime.infer(write_dicom(tmp_path / "b.dcm", PatientOrientation=None))
    assert any("orientation" in note.lower() for note in assumed.notes)
    assert not any("orientation" in note.lower() for note in said.notes)


def test_monochrome1_gives_the_same_answer_as_its_monochrome2(runtime: Runtime, tmp_path: Path) -> None:
    plain = runtime.infer(write_dicom(tmp_path / "a.dcm"))
    turned = write_dicom(
        tmp_path / "b.dcm",
        np.asarray(4095 - drawn_pelvis(), np.uint16),
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
    )
    inverted = runtime.infer(turned)
    assert inverted.joints == plain.joints
    assert inverted.probability == pytest.approx(plain.probability, abs=5e-3)


def test_a_joint_at_the_border_is_not_assessable_and_never_negative(runtime: Runtime, tmp_path: Path) -> None:
    cut = np.repeat(drawn_pelvis()[:, :1], 512, axis=1)
    cut[:, 196:] = drawn_pelvis()[:, :-196]
    result = runtime.infer(write_dicom(tmp_path / "a.dcm", cut))
    assert result.state is State.NOT_ASSESSABLE
    assert result.reason_code == "joint_not_assessable"
    assert result.probability is None
    assert result.joints.left.state is State.NOT_ASSESSABLE
    assert result.joints.left.reason
    assert result.joints.right.state is State.LOCATED


def test_an_image_without_a_pelvis_is_not_assessable(runtime: Runtime, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (512, 512)).astype(np.uint16)
    result = runtime.infer(write_dicom(tmp_path / "a.dcm", noise))
    assert (result.state, result.probability) == (State.NOT_ASSESSABLE, None)


def test_a_refused_file_is_a_result_with_code_and_remedy(runtime: Runtime, tmp_path: Path) -> None:
    result = runtime.infer(tmp_path / "absent.dcm")
    assert (result.state, result.reason_code) == (State.REFUSED, "input_not_found")
    assert result.remedy
    assert result.source.sha256 is None
    assert result.joints.left.state is State.REFUSED
    text = tmp_path / "notes.txt"
    text.write_text("no DICOM")
    assert runtime.infer(text).source.sha256 == hashlib.sha256(b"no DICOM").hexdigest()


def test_an_overridden_refusal_is_said_in_the_report(bundle: Path, tmp_path: Path) -> None:
    chest = write_dicom(tmp_path / "a.dcm", BodyPartExamined="CHEST")
    with Runtime(bundle, threads=1) as strict:
        assert strict.infer(chest).reason_code == "wrong_body_part"
    with Runtime(bundle, threads=1, overrides={"wrong_body_part"}) as lenient:
        result = lenient.infer(chest)
    assert result.state is not State.REFUSED
    assert any("CHEST" in note for note in result.notes)


def test_the_decision_follows_the_operating_point_and_the_guard_band(tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "a.dcm")
    with Runtime(write_bundle(tmp_path / "plain"), threads=1) as plain:
        probability = plain.infer(file).probability
    assert probability is not None

    def state(threshold: float, half_width: float = 0.0) -> State:
        points = [{"name": "t", "threshold": threshold, "source": "test"}]
        band = {"half_width": half_width, "source": "test"}
        folder = write_bundle(
            tmp_path / f"{threshold}-{half_width}",
            operating_points=points,
            default_operating_point="t",
            guard_band=band,
        )
        with Runtime(folder, threads=1) as runtime:
            return runtime.infer(file).state

    assert state(round(probability - 0.01, 4)) is State.POSITIVE
    assert state(probability) is State.NEGATIVE
    assert state(round(probability + 0.01, 4)) is State.NEGATIVE
    assert state(round(probability + 0.01, 4), 0.02) is State.BORDERLINE


def test_the_null_backend_runs_the_whole_pipeline_and_decides_nothing(bundle: Path, tmp_path: Path) -> None:
    with Runtime(bundle, backend="null") as runtime:
        result = runtime.infer(write_dicom(tmp_path / "a.dcm"))
    assert (result.state, result.reason_code, result.probability) == (State.NOT_ASSESSABLE, "null_backend", None)
    assert {"read", "normalise", "segment", "locate", "crop", "classify", "total"} == set(result.timings_ms)


def test_published_numerics_wrap_pixels_and_corrected_ones_do_not(tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "a.dcm")
    with Runtime(write_bundle(tmp_path / "published", numerics="published"), threads=1) as published:
        wrapped = published.infer(file)
    with Runtime(write_bundle(tmp_path / "corrected"), threads=1) as corrected:
        right = corrected.infer(file)
    assert wrapped.probability is not None
    assert wrapped.probability != right.probability


def test_the_standard_model_sees_the_whole_radiograph_and_locates_no_joint(tmp_path: Path) -> None:
    from edge_sacro.classify import ClassifierGeometry, classifier_input
    from edge_sacro.dicom import read
    from edge_sacro.preprocess.normalise import eight_bit_from_radiograph

    file = write_dicom(tmp_path / "a.dcm")
    with Runtime(write_standard_bundle(tmp_path / "standard"), threads=1) as runtime:
        result = runtime.infer(file)
    seen = classifier_input(eight_bit_from_radiograph(read(file)), ClassifierGeometry(*CLASSIFIER))
    expected = 1 / (1 + np.exp(-8.0 * (float(seen.mean()) - 0.5)))
    assert result.probability == pytest.approx(expected, abs=2e-4)
    assert result.operating_point.threshold == 0.69
    assert result.crop_px is None
    assert result.joints.left.state is State.NOT_ASSESSABLE
    assert "locates no joint" in (result.joints.left.reason or "")


def test_a_deadline_that_is_over_before_reading_still_names_the_file(tmp_path: Path) -> None:
    file = write_dicom(tmp_path / "a.dcm")
    with Runtime(str(write_bundle(tmp_path / "bundle")), deadline_s=1e-9) as hurried:
        result = hurried.infer(file)
    assert (result.state, result.reason_code) == (State.NOT_ASSESSABLE, "deadline_exceeded")
    assert result.source.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_deadline_that_passes_is_not_assessable_and_coded(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "slow")
    slow = slow_classifier()
    (folder / "classifier.onnx").write_bytes(slow)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["classifier.onnx"] = hashlib.sha256(slow).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    file = write_dicom(tmp_path / "a.dcm")
    with Runtime(folder, threads=1) as patient:
        unhurried = patient.infer(file)
    assert unhurried.probability is not None
    deadline_s = (unhurried.timings_ms["total"] - 0.7 * unhurried.timings_ms["classify"]) / 1e3
    with Runtime(folder, threads=1, deadline_s=deadline_s) as hurried:
        result = hurried.infer(file)
    assert (result.state, result.reason_code, result.probability) == (State.NOT_ASSESSABLE, "deadline_exceeded", None)


def test_arguments_that_cannot_be_meant_are_refused(bundle: Path) -> None:
    for arguments in (
        {"threads": 0},
        {"deadline_s": 0.0},
        {"operating_point": "best"},
        {"overrides": {"truncated"}},
    ):
        with pytest.raises(UsageError):
            Runtime(bundle, **arguments)  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable):
        Runtime(bundle, backend="tensorrt")


def test_path_bytes_and_file_object_give_the_same_result(runtime: Runtime, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm")
    from_path = without_timings(runtime.infer(path))
    assert without_timings(runtime.infer(path.read_bytes(), name=str(path))) == from_path
    with path.open("rb") as file:
        assert without_timings(runtime.infer(file, name=str(path))) == from_path
