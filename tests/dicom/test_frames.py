"""Frames of CT objects: each is a slice by its functional groups, or refused by its number."""

from __future__ import annotations

import copy
import dataclasses
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from edge_sacro.dicom import Frame, ReadLimits, read, read_frames
from edge_sacro.dicom.reader import FRAMES_AT_ONCE
from edge_sacro.errors import (
    ContradictoryAttributes,
    DecodeLimitExceeded,
    InputRefused,
    MissingAttributes,
    MultiFrameImage,
    SizeLimitExceeded,
    TruncatedFile,
)
from edge_sacro.phantom import CtOptions, ct_from_series, render_ct
from edge_sacro.types import Radiograph
from tests.dicom import synthetic
from tests.systems.enhanced import CONVERTED, ENHANCED, SECONDARY_CAPTURE, enhanced_from_slices, group, item

SLICES = 3


@pytest.fixture(scope="module")
def slices() -> list[FileDataset]:
    """Slices of the phantom, each with a rescale of its own."""
    series = render_ct((6, 0), CtOptions(slices=SLICES, size=256))
    made = [ct_from_series(series, number) for number in range(SLICES)]
    for number, each in enumerate(made):
        each.RescaleIntercept = str(-1024 - number)
        each.ConvolutionKernel = "B60s"
    return made


def in_bytes(dataset: FileDataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def images(frames: list[Frame]) -> list[Radiograph]:
    assert all(isinstance(each.content, Radiograph) for each in frames), [each.content for each in frames]
    return [each.content for each in frames if isinstance(each.content, Radiograph)]


def units(image: Radiograph) -> np.ndarray[Any, np.dtype[np.float32]]:
    return image.grayscale.table[image.stored.astype(np.int32) - image.grayscale.first]


@pytest.mark.parametrize("sop_class", [ENHANCED, CONVERTED, SECONDARY_CAPTURE])
@pytest.mark.parametrize("isolation", ["process", "none"])
def test_each_frame_is_the_slice_that_it_was_made_of(slices: list[FileDataset], sop_class: Any, isolation: Any) -> None:
    frames = list(read_frames(in_bytes(enhanced_from_slices(slices, sop_class)), isolation=isolation))
    assert [(each.number, each.frames) for each in frames] == [(1, 3), (2, 3), (3, 3)]
    seen = images(frames)
    for image, dataset in zip(seen, slices, strict=True):
        alone = read(in_bytes(dataset))
        assert np.array_equal(image.stored, alone.stored)
        assert np.array_equal(units(image), units(alone))
        assert (image.plane, image.spacing, image.orientation) == (alone.plane, alone.spacing, alone.orientation)
        assert (image.notes, image.body_part, image.grayscale.rescale_type) == (alone.notes, "PELVIS", "HU")
    assert seen[0].plane is not None
    assert seen[0].plane.kernel == "B60S"
    assert not np.array_equal(units(seen[0]), units(seen[1])), "negative control: frames differ"
    assert len({image.plane for image in seen}) == SLICES, "negative control: planes differ"


def test_a_converted_object_keeps_its_kernel_where_its_converter_left_it(slices: list[FileDataset]) -> None:
    whole = enhanced_from_slices(slices, CONVERTED)
    for number, kernel in enumerate(("H30s", "B70f", "B70f"), 1):
        del group(whole, number).CTReconstructionSequence
        group(whole, number).UnassignedPerFrameConvertedAttributesSequence = [item(ConvolutionKernel=kernel)]
    kernels = [image.plane and image.plane.kernel for image in images(list(read_frames(in_bytes(whole))))]
    assert kernels == ["H30S", "B70F", "B70F"]


def test_a_real_object_reads_as_pydicoms_functional_groups_say() -> None:
    path = pydicom.data.get_testdata_file("eCT_Supplemental.dcm", download=False)
    if path is None:
        pytest.skip("pydicom-data has no eCT_Supplemental.dcm")
    dataset = pydicom.dcmread(str(path))
    shared = dataset.SharedFunctionalGroupsSequence[0]
    rescale = shared.PixelValueTransformationSequence[0]
    seen = images(list(read_frames(str(path))))
    assert len(seen) == dataset.NumberOfFrames == 2
    for image, own, pixels in zip(seen, dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True):
        assert image.plane is not None
        assert image.spacing is not None
        assert np.array_equal(image.stored, pixels)
        assert np.array_equal(units(image), pixels * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept))
        assert list(image.plane.position_mm or ()) == own.PlanePositionSequence[0].ImagePositionPatient
        assert list(image.plane.axes or ()) == shared.PlaneOrientationSequence[0].ImageOrientationPatient
        spacing = shared.PixelMeasuresSequence[0].PixelSpacing
        assert [image.spacing.row_mm, image.spacing.column_mm] == spacing
    assert seen[0].plane != seen[1].plane, "negative control: the frames lie apart"


def _without(sequence: str, keyword: str | None = None) -> Callable[[FileDataset], None]:
    def change(whole: FileDataset) -> None:
        places = [group(whole, 2), whole.SharedFunctionalGroupsSequence[0]]
        place = next(each for each in places if sequence in each)
        if keyword is None:
            delattr(place, sequence)
        else:
            delattr(place[sequence].value[0], keyword)

    return change


@pytest.mark.parametrize(
    ("change", "named", "refused"),
    [
        (_without("PlanePositionSequence"), "ImagePositionPatient", {2}),
        (_without("PixelValueTransformationSequence"), "RescaleIntercept, RescaleSlope", {2}),
        (_without("PixelValueTransformationSequence", "RescaleSlope"), "RescaleSlope", {2}),
        (_without("PlaneOrientationSequence"), "ImageOrientationPatient", {1, 2, 3}),
    ],
    ids=["position", "rescale", "slope", "orientation"],
)
def test_a_frame_whose_groups_do_not_make_it_a_slice_is_refused_by_its_number(
    slices: list[FileDataset], change: Callable[[FileDataset], None], named: str, refused: set[int]
) -> None:
    whole = enhanced_from_slices(slices)
    change(whole)
    # what stands in the object itself is that of no frame in particular
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"):
        setattr(whole, keyword, slices[0][keyword].value)
    frames = list(read_frames(in_bytes(whole), name="a.dcm"))
    assert {each.number for each in frames if isinstance(each.content, InputRefused)} == refused
    refusal = frames[1].content
    assert isinstance(refusal, MissingAttributes)
    assert refusal.what == f"frame 2: absent or empty in its functional groups: {named}"
    assert refusal.source == "a.dcm"


@pytest.mark.parametrize(
    ("keyword", "value", "missing", "noted"),
    [
        ("ImagePositionPatient", ["0", "0", "1e300"], "position_mm", "no place in a scanner"),
        ("ImageOrientationPatient", ["1", "0", "0", "0", "0.5", "0"], "axes", "not two perpendicular directions"),
    ],
)
def test_a_plane_that_cannot_be_is_left_out_and_noted(
    slices: list[FileDataset], keyword: str, value: list[str], missing: str, noted: str
) -> None:
    usual = read(in_bytes(slices[0]))
    changed = copy.deepcopy(slices[0])
    setattr(changed, keyword, value)
    seen = read(in_bytes(changed))
    assert usual.plane is not None
    assert getattr(usual.plane, missing) is not None
    assert seen.plane == dataclasses.replace(usual.plane, **{missing: None})
    (note,) = seen.notes
    assert noted in note
    assert not usual.notes


def test_frames_without_any_functional_groups_are_refused_each(slices: list[FileDataset]) -> None:
    whole = enhanced_from_slices(slices, SECONDARY_CAPTURE)
    del whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence
    frames = list(read_frames(in_bytes(whole)))
    assert [type(each.content) for each in frames] == [MissingAttributes] * SLICES
    assert "frame 3: " in str(frames[2].content)


def test_functional_groups_of_another_number_of_frames_are_refused(slices: list[FileDataset]) -> None:
    whole = enhanced_from_slices(slices)
    del whole.PerFrameFunctionalGroupsSequence[1]
    refusals = [each.content for each in read_frames(in_bytes(whole))]
    assert all(isinstance(each, ContradictoryAttributes) for each in refusals)
    assert "functional groups of 2" in str(refusals[0])


def test_an_object_is_refused_whole_before_its_first_frame(slices: list[FileDataset]) -> None:
    short = enhanced_from_slices(slices)
    short.PixelData = short.PixelData[: -256 * 256 * 2]
    radiographs = enhanced_from_slices(slices, pydicom.uid.UID("1.2.840.10008.5.1.4.1.1.1.1"))
    radiographs.Modality = "DX"
    for dataset, refusal in ((short, TruncatedFile), (radiographs, MultiFrameImage)):
        with pytest.raises(refusal):
            next(read_frames(in_bytes(dataset)))
    with pytest.raises(SizeLimitExceeded, match="3 frames; up to 2"):
        next(read_frames(in_bytes(enhanced_from_slices(slices)), limits=ReadLimits(max_frames=2)))
    assert len(list(read_frames(in_bytes(enhanced_from_slices(slices)), limits=ReadLimits(max_frames=3)))) == SLICES


def test_an_object_of_one_frame_reads_as_ever(slices: list[FileDataset]) -> None:
    (frame,) = read_frames(in_bytes(slices[0]))
    assert (frame.number, frame.frames) == (1, 1)
    assert np.array_equal(images([frame])[0].stored, read(in_bytes(slices[0])).stored)
    (radiograph,) = read_frames(synthetic.dicom())
    assert images([radiograph])[0].plane is None
    with pytest.raises(MissingAttributes, match=r"^(?!.*frame 1).*Rows"):
        next(read_frames(synthetic.dicom(Rows=None)))


def test_more_frames_than_one_answer_takes_come_in_order(slices: list[FileDataset]) -> None:
    count = FRAMES_AT_ONCE + 3
    whole = enhanced_from_slices([slices[number % SLICES] for number in range(count)])
    frames = list(read_frames(in_bytes(whole)))
    assert [each.number for each in frames] == list(range(1, count + 1))
    for number in (0, FRAMES_AT_ONCE - 1, FRAMES_AT_ONCE, count - 1):
        expected = np.frombuffer(slices[number % SLICES].PixelData, "<u2").reshape(256, 256)
        assert np.array_equal(images(frames)[number].stored, expected)


def test_an_answer_holds_no_more_than_the_limits_of_one_image(slices: list[FileDataset]) -> None:
    whole = in_bytes(enhanced_from_slices([slices[number % SLICES] for number in range(12)]))
    small = ReadLimits(min_side=256, max_side=256)
    assert len(images(list(read_frames(whole, limits=small)))) == 12


def test_decoding_past_a_limit_refuses_the_object_and_the_next_one_is_read(slices: list[FileDataset]) -> None:
    large = enhanced_from_slices([slices[number % SLICES] for number in range(FRAMES_AT_ONCE)])
    large.Rows = large.Columns = 512
    large.BitsStored, large.HighBit = 12, 11
    # something stands above the stored bits, so that every frame has to be taken out of its cells
    large.PixelData = b"\xff\x7f" * (FRAMES_AT_ONCE * 512 * 512)
    whole = in_bytes(large)
    with pytest.raises(DecodeLimitExceeded):
        next(read_frames(whole, limits=ReadLimits(memory_bytes=4 << 20)))
    assert len(images(list(read_frames(whole, limits=ReadLimits(memory_bytes=512 << 20))))) == FRAMES_AT_ONCE


def test_frames_that_a_limit_leaves_unread_are_refused_each(
    slices: list[FileDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_sacro.dicom import source

    whole = in_bytes(enhanced_from_slices([slices[number % SLICES] for number in range(FRAMES_AT_ONCE + 2)]))
    read_some = source._from_child

    def fails_later(job: dict[str, Any], *others: Any) -> Any:
        if job["frame"] > 0:
            raise DecodeLimitExceeded("reading it took longer than 30 s")
        return read_some(job, *others)

    monkeypatch.setattr(source, "_from_child", fails_later)
    frames = list(read_frames(whole))
    assert len(images(frames[:FRAMES_AT_ONCE])) == FRAMES_AT_ONCE
    assert [each.number for each in frames[FRAMES_AT_ONCE:]] == [FRAMES_AT_ONCE + 1, FRAMES_AT_ONCE + 2]
    assert all(isinstance(each.content, DecodeLimitExceeded) for each in frames[FRAMES_AT_ONCE:])


def test_a_broken_codestream_refuses_its_own_frame_alone(slices: list[FileDataset]) -> None:
    whole = enhanced_from_slices(slices)
    pixels = [np.frombuffer(each.PixelData, "<u2").reshape(256, 256) for each in slices]
    streams = [synthetic.codestream(np.ascontiguousarray(each), synthetic.JLS, 12) for each in pixels]
    streams[1] = streams[1][:200] + b"\0" * (len(streams[1]) - 202) + streams[1][-2:]
    whole.file_meta.TransferSyntaxUID = JPEGLSLossless
    whole.PixelData = encapsulate(streams)
    whole["PixelData"].VR, whole["PixelData"].is_undefined_length = "OB", True
    first, second, third = read_frames(in_bytes(whole))
    assert np.array_equal(images([first, third])[1].stored, pixels[2])
    broken = second.content
    unread = isinstance(broken, InputRefused) and broken.what.startswith("frame 2: ")
    assert unread or not np.array_equal(images([second])[0].stored, pixels[1])
    assert unread, "the decoder took a damaged codestream"
