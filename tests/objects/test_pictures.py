"""What a viewer shows of the objects is on the right pixels, and gray as the image itself is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from edge_sacro.locate import LEFT_PELVIS, RIGHT_PELVIS, SACRUM
from edge_sacro.objects import Answered, Making, NoObject, result_objects
from edge_sacro.orient import stored_from_canonical
from edge_sacro.overlay import overlay_from_result
from edge_sacro.report import Report
from edge_sacro.runtime import Runtime
from tests.objects.answers import answered_from_bytes, file_bytes, objects_by_kind
from tests.objects.tools import complaints, run
from tests.tiny import drawn_pelvis, write_bundle, write_dicom

NAMED = {"StudyInstanceUID": "2.25.2", "SeriesInstanceUID": "2.25.3", "PatientID": "T", "PatientName": "T"}


def gray(path: Path) -> npt.NDArray[np.int64]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.int64)


def shown(folder: Path, state: Path, source: Path, window: str = "+Wi") -> tuple[int, npt.NDArray[np.int64]]:
    """The largest difference between what dcmtk shows with the presentation state and with the image's own window."""
    run("dcmp2pgm", "-p", state, source, folder / "state.pgm")
    run(
        "dcm2pnm",
        "-O",
        "--write-raw-pnm",
        *([window, "1"] if window == "+Wi" else [window]),
        source,
        folder / "own.pgm",
    )
    with_state, own = gray(folder / "state.pgm"), gray(folder / "own.pgm")
    return int(np.abs(with_state - own).max()), with_state


def test_the_presentation_state_shows_the_image_as_its_own_window_does(files: Path, tmp_path: Path) -> None:
    difference, _ = shown(tmp_path, files / "pr.dcm", files / "source.dcm")
    assert difference <= 1
    state = pydicom.dcmread(files / "pr.dcm")
    state.PresentationLUTShape = {"IDENTITY": "INVERSE", "INVERSE": "IDENTITY"}[state.PresentationLUTShape]
    state.save_as(tmp_path / "inverted.dcm")
    difference, _ = shown(tmp_path, tmp_path / "inverted.dcm", files / "source.dcm")
    assert difference > 100, "negative control"


def test_without_a_window_the_whole_range_is_one(runtime: Runtime, tmp_path: Path, making: Making) -> None:
    pixels = (drawn_pelvis() // 8 + 300).astype(np.uint16)
    source = write_dicom(tmp_path / "source.dcm", pixels, **NAMED, RescaleSlope="2", RescaleIntercept="-100")
    made = objects_by_kind(answered_from_bytes(runtime, source.read_bytes()), making)
    made["pr"].save_as(tmp_path / "pr.dcm", enforce_file_format=True)
    assert complaints(tmp_path / "pr.dcm") == []
    difference, state = shown(tmp_path, tmp_path / "pr.dcm", source, "+Wm")
    assert difference <= 1
    assert (state.min(), state.max()) == (0, 255)


@pytest.mark.parametrize("signed", [False, True])
def test_lookup_tables_are_carried_over(runtime: Runtime, tmp_path: Path, making: Making, signed: bool) -> None:
    pixels = (drawn_pelvis() // 16).astype(np.uint16)
    extra = {"PixelRepresentation": 1} if signed else {}
    source = pydicom.dcmread(write_dicom(tmp_path / "plain.dcm", pixels, **NAMED, **extra))
    del source.RescaleSlope, source.RescaleIntercept, source.RescaleType
    modality, voi = pydicom.Dataset(), pydicom.Dataset()
    modality.ModalityLUTType = "US"
    modality.add_new("LUTDescriptor", "SS" if signed else "US", [256, 0, 8])
    modality.add_new("LUTData", "OW", (255 - np.arange(256)).astype("u1").tobytes())
    voi.add_new("LUTDescriptor", "US", [256, 0, 16])
    voi.add_new("LUTData", "OW", (np.arange(256) ** 2).astype("<u2").tobytes())
    source.ModalityLUTSequence, source.VOILUTSequence = [modality], [voi]
    content = file_bytes(source)
    (tmp_path / "source.dcm").write_bytes(content)
    made = objects_by_kind(answered_from_bytes(runtime, content), making)
    made["pr"].save_as(tmp_path / "pr.dcm", enforce_file_format=True)
    assert complaints(tmp_path / "pr.dcm") == []
    run("dcmp2pgm", "-p", tmp_path / "pr.dcm", tmp_path / "source.dcm", tmp_path / "state.pgm")
    run("dcm2pnm", "-O", "--write-raw-pnm", "+Wl", "1", tmp_path / "source.dcm", tmp_path / "own.pgm")
    assert np.abs(gray(tmp_path / "state.pgm") - gray(tmp_path / "own.pgm")).max() <= 1
    plain = made["pr"]
    del plain.ModalityLUTSequence
    plain.save_as(tmp_path / "without.dcm", enforce_file_format=True)
    run("dcmp2pgm", "-p", tmp_path / "without.dcm", tmp_path / "source.dcm", tmp_path / "without.pgm")
    assert np.abs(gray(tmp_path / "without.pgm") - gray(tmp_path / "own.pgm")).max() > 30, "negative control"


def boxes(state: pydicom.Dataset) -> list[list[float]]:
    (annotation,) = state.GraphicAnnotationSequence
    return [list(map(float, graphic.GraphicData)) for graphic in annotation.GraphicObjectSequence]


def words(state: pydicom.Dataset) -> list[str]:
    (annotation,) = state.GraphicAnnotationSequence
    return [str(text.UnformattedTextValue) for text in annotation.TextObjectSequence]


def test_boxes_and_words_stand_where_the_joints_are(files: Path, answered: Answered, making: Making) -> None:
    state, joints = pydicom.dcmread(files / "pr.dcm"), answered.result.joints
    expected = []
    for joint in (joints.right, joints.left):
        assert joint.box_px is not None
        x0, y0, x1, y1 = map(float, joint.box_px)
        expected.append([x0, y0, x1, y0, x1, y1, x0, y1, x0, y0])
    assert boxes(state) == expected
    said = words(state)
    assert answered.result.reason in said[0]
    assert said[1] == making.bundle.statement
    assert said[2:] == ["right sacroiliac joint", "left sacroiliac joint"]
    (reference,) = state.GraphicAnnotationSequence[0].ReferencedImageSequence
    assert reference.ReferencedSOPInstanceUID == answered.header.SOPInstanceUID
    assert all(graphic.GraphicFilled == "N" for graphic in state.GraphicAnnotationSequence[0].GraphicObjectSequence)


def test_in_an_image_stored_turned_round_boxes_follow_the_stored_pixels(tmp_path: Path, making: Making) -> None:
    upright, turned = drawn_pelvis(), drawn_pelvis()[::-1, ::-1]
    with Runtime(write_bundle(tmp_path / "bundle"), threads=1) as runtime:
        made = []
        for number, (pixels, orientation) in enumerate(((upright, ["L", "F"]), (turned, ["R", "H"]))):
            path = write_dicom(tmp_path / f"{number}.dcm", pixels, **NAMED, PatientOrientation=orientation)
            answered = answered_from_bytes(runtime, path.read_bytes())
            made.append((objects_by_kind(answered, making), answered))
    (straight, first), (rotated, _) = made
    rows, columns = upright.shape
    for one, other in zip(boxes(straight["pr"]), boxes(rotated["pr"]), strict=True):
        (x0, y0), (x1, y1) = other[:2], other[4:6]
        assert [columns - x1, rows - y1, columns - x0, rows - y0] == [*one[:2], *one[4:6]]
        assert one != other, "negative control"
    one, other = straight["seg"].pixel_array, rotated["seg"].pixel_array
    assert np.array_equal(one, other[:, ::-1, ::-1])
    assert not np.array_equal(one, other)
    assert straight["sc"].pixel_array.shape[1] > 0
    assert np.array_equal(straight["sc"].pixel_array, rotated["sc"].pixel_array), "captures are in canonical view"
    assert first.labels is not None


def test_the_segmentation_is_the_label_map_by_the_patients_sides(files: Path, answered: Answered) -> None:
    segmentation = pydicom.dcmread(files / "seg.dcm")
    names = [str(segment.SegmentLabel) for segment in segmentation.SegmentSequence]
    assert names == ["Sacrum", "Right ilium", "Left ilium"]
    assert answered.labels is not None
    assert answered.radiograph is not None
    stored = stored_from_canonical(answered.labels, answered.radiograph.orientation)
    frames = segmentation.pixel_array
    for frame, label in zip(frames, (SACRUM, LEFT_PELVIS, RIGHT_PELVIS), strict=True):
        assert np.array_equal(frame.astype(bool), stored == label)
    assert not np.array_equal(frames[1], frames[2]), "negative control"
    right = segmentation.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0]
    assert right.CodeValue == "22356005"
    assert right.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "24028007"
    assert {str(segment.SegmentAlgorithmType) for segment in segmentation.SegmentSequence} == {"AUTOMATIC"}
    centre = [np.nonzero(frame)[1].mean() for frame in frames]
    assert centre[1] < centre[0] < centre[2], "the patient's right is at the image's left"


def test_halves_whose_side_cannot_be_told_have_none(answered: Answered, making: Making) -> None:
    assert answered.labels is not None
    without_sacrum = np.where(answered.labels == SACRUM, 0, answered.labels).astype(np.uint8)
    segmentation = objects_by_kind(replace(answered, labels=without_sacrum), making)["seg"]
    assert [str(segment.SegmentLabel) for segment in segmentation.SegmentSequence] == ["Ilium", "Ilium"]
    for segment in segmentation.SegmentSequence:
        assert "SegmentedPropertyTypeModifierCodeSequence" not in segment.SegmentedPropertyTypeCodeSequence[0]


@pytest.mark.parametrize("empty", [False, True])
def test_without_a_segmentation_there_is_a_reason(answered: Answered, making: Making, empty: bool) -> None:
    assert answered.labels is not None
    labels = np.zeros_like(answered.labels) if empty else None
    (outcome,) = result_objects(replace(answered, labels=labels), making, {"seg"})
    assert outcome == NoObject("seg", "the segmentation is empty" if empty else "nothing was segmented")


def test_the_capture_is_the_overlay(files: Path, answered: Answered, making: Making) -> None:
    capture = pydicom.dcmread(files / "sc.dcm")
    assert answered.radiograph is not None
    overlay = overlay_from_result(
        answered.result, answered.radiograph, Report(bundle=making.bundle, results=[answered.result])
    )
    assert np.array_equal(capture.pixel_array, overlay[..., ::-1])
    assert not np.array_equal(capture.pixel_array, overlay), "negative control"
    assert (capture.BurnedInAnnotation, capture.ConversionType) == ("YES", "WSD")
    assert list(capture.PatientOrientation) == ["L", "F"]
    (source,) = capture.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == answered.header.SOPInstanceUID


def test_the_capture_of_a_lossy_image_is_lossy(drawn: Answered, making: Making, tmp_path: Path) -> None:
    assert drawn.radiograph is not None
    for lossy, expected in ((False, "00"), (True, "01")):
        radiograph = replace(drawn.radiograph, lossy=lossy, lossy_ratio=12.5 if lossy else None)
        capture = objects_by_kind(replace(drawn, radiograph=radiograph), making)["sc"]
        assert capture.LossyImageCompression == expected
        assert capture.get("LossyImageCompressionRatio") == (12.5 if lossy else None)
        capture.save_as(tmp_path / "sc.dcm", enforce_file_format=True)
        assert complaints(tmp_path / "sc.dcm") == []
