"""Which slices pass through both joints: on the phantom's whole pelvis, and on slices made wrong on purpose."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.orient import stored_from_canonical
from edge_sacro.phantom import CtOptions, CtSeries, ct_from_series, render_ct
from edge_sacro.phantom.ct import CtSlice
from edge_sacro.reasons import SLICE_REASONS
from edge_sacro.slices import SliceSelection, selection_from_radiograph, selection_from_units
from edge_sacro.types import Orientation, Radiograph
from tests.systems.enhanced import saved

BELOW_MM = 10.0
"""Below the joint's nominal lower end the phantom's bones still face each other at a joint's width."""

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module", params=[(11, 0, 4), (12, 2, 1)], ids=["normal and ankylosed", "grades 2 and 1"])
def pelvis(request: pytest.FixtureRequest) -> CtSeries:
    seed, left, right = request.param
    return render_ct((seed, 0), CtOptions(slices=23, size=256, left_grade=left, right_grade=right, pelvis=True))


@pytest.fixture(scope="module")
def joint(pelvis: CtSeries) -> CtSlice:
    """A slice through the middle of the joints."""
    through = [each for each in pelvis.slices if each.joint]
    return through[len(through) // 2]


def _selection(series: CtSeries, values: npt.NDArray[np.generic]) -> SliceSelection:
    return selection_from_units(values.astype(np.float32), (series.spacing_mm, series.spacing_mm))


def test_slices_through_the_joints_are_told_from_those_above_and_below(pelvis: CtSeries) -> None:
    lowest = min(each.height_mm for each in pelvis.slices if each.joint)
    for each in pelvis.slices:
        found = _selection(pelvis, each.values)
        if each.joint:
            assert found == SliceSelection(True, None), each.height_mm
        elif not lowest - BELOW_MM < each.height_mm < lowest:
            assert not found.through_joints, each.height_mm
            assert found.reason in SLICE_REASONS
    truth = [each.joint for each in pelvis.slices]
    assert 0 < sum(truth) < len(truth), "slices of both kinds were there"


def test_femoral_heads_and_l5_are_left_out_for_their_own_reason(pelvis: CtSeries) -> None:
    assert _selection(pelvis, pelvis.slices[1].values).reason == "sacrum_not_seen"
    above = next(each for each in pelvis.slices if each.height_mm > 128)
    assert _selection(pelvis, above.values).reason == "joint_space_wide"


@pytest.mark.parametrize("apart_mm", [0, 14])
def test_ilia_moved_away_from_the_sacrum_make_no_joint(pelvis: CtSeries, joint: CtSlice, apart_mm: int) -> None:
    """Soft tissue is put in at both joints, which is what the slices above the joints have there."""
    gap = round(apart_mm / pelvis.spacing_mm)
    middle, out = joint.values.shape[1] // 2, round(50 / pelvis.spacing_mm)
    parts = np.split(joint.values, [middle - out, middle + out], axis=1)
    soft = np.full((joint.values.shape[0], gap), 50, np.int16)
    found = _selection(pelvis, np.concatenate([parts[0], soft, parts[1], soft, parts[2]], axis=1))
    assert found.through_joints == (apart_mm == 0)


def test_one_joint_is_not_enough(pelvis: CtSeries, joint: CtSlice) -> None:
    half = joint.values.copy()
    half[:, half.shape[1] // 2 + 20 :] = 50
    assert _selection(pelvis, half).reason == "ilium_not_seen"


def test_bones_in_front_are_no_joint(pelvis: CtSeries, joint: CtSlice) -> None:
    assert _selection(pelvis, joint.values[::-1]).reason == "sacrum_not_seen"


def test_air_and_tissue_alone_are_no_joint(pelvis: CtSeries, joint: CtSlice) -> None:
    assert _selection(pelvis, np.full((256, 256), -1000)).reason == "body_not_found"
    assert _selection(pelvis, np.minimum(joint.values, 60)).reason == "sacrum_not_seen"


def test_the_couch_and_a_patient_who_is_off_centre_change_nothing(pelvis: CtSeries, joint: CtSlice) -> None:
    moved = np.roll(joint.values, (12, -14), axis=(0, 1))
    moved[-8:-5, 20:-20] = 300
    assert _selection(pelvis, moved).through_joints


@pytest.mark.parametrize(("row", "column"), [("L", "P"), ("R", "P"), ("L", "A"), ("P", "L"), ("A", "R")])
def test_the_selection_is_the_same_however_the_slice_is_stored(
    joint: CtSlice, pelvis: CtSeries, tmp_path_factory: pytest.TempPathFactory, row: str, column: str
) -> None:
    from edge_sacro.dicom import read

    path = tmp_path_factory.mktemp("slice") / "a.dcm"
    usual = read(saved(ct_from_series(pelvis, pelvis.slices.index(joint)), path))
    orientation = Orientation(row, column, assumed=False)
    image: Radiograph = dataclasses.replace(
        usual, stored=stored_from_canonical(usual.stored, orientation), orientation=orientation
    )
    assert selection_from_radiograph(image) == SliceSelection(True, None)
    flipped = Orientation("L", "A" if column == "P" else "P", assumed=False)
    wrong = dataclasses.replace(image, orientation=flipped)
    if row in "LR":
        assert not selection_from_radiograph(wrong).through_joints, "negative control: stored so without saying so"
    assert usual.spacing is not None
    assert selection_from_radiograph(dataclasses.replace(image, spacing=None)).reason == "spacing_absent"


@pytest.mark.parametrize("steps_mm", [(1e9, 1e9), (0.7, 1e300), (1e-9, 0.7), (0.01, 0.01), (9.0, 9.0)])
def test_a_spacing_that_no_scanner_has_is_not_measured_with(joint: CtSlice, steps_mm: tuple[float, float]) -> None:
    assert selection_from_units(joint.values.astype(np.float32), steps_mm).reason == "spacing_implausible"


def test_unequal_spacing_is_measured_along_its_own_axis(pelvis: CtSeries, joint: CtSlice) -> None:
    thinned: Floats = joint.values[::2].astype(np.float32)
    step = pelvis.spacing_mm
    assert selection_from_units(thinned, (2 * step, step)).through_joints
    assert not selection_from_units(thinned, (0.2 * step, step)).through_joints, "negative control"
