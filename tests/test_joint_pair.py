"""Two regions that cannot be the joints of one pelvis are no joints."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pydicom.data
import pytest

from edge_sacro.regions import RegionRules, joint_regions
from edge_sacro.runtime import Runtime
from edge_sacro.types import State


def _pelvis(right_rows: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A sacrum of 200 rows with an ilium of 100 on the image's left and another on its right."""
    labels = np.zeros((400, 400), np.uint8)
    labels[100:300, 160:240] = 1
    labels[110:210, 80:160] = 2
    labels[right_rows[0] : right_rows[1], 240:320] = 3
    return labels


@pytest.mark.parametrize("rows", [(110, 210), (150, 250), (180, 280), (110, 145)])
def test_joints_that_are_level_and_alike_are_a_pair(rows: tuple[int, int]) -> None:
    assert joint_regions(_pelvis(rows)).box is not None


@pytest.mark.parametrize("rows", [(185, 285), (110, 141)])
def test_joints_at_other_heights_or_of_other_size_are_none(rows: tuple[int, int]) -> None:
    found = joint_regions(_pelvis(rows))
    assert (found.image_left.reason, found.image_right.reason) == ("pair_implausible", "pair_implausible")
    assert joint_regions(_pelvis(rows), RegionRules(pair=(0.0, 100.0))).box is not None, "negative control: no rule"


@pytest.mark.parametrize(("rows", "pair"), [((100, 220), True), ((100, 290), False)])
def test_joints_too_close_for_their_height_are_none(rows: tuple[int, int], pair: bool) -> None:
    """Middles about 80 pixels apart: two bones of a leg, or a pelvis."""
    labels = np.zeros((400, 400), np.uint8)
    labels[100:300, 170:230] = 1
    labels[rows[0] : rows[1], 120:170] = 2
    labels[rows[0] : rows[1], 230:280] = 3
    found = joint_regions(labels)
    assert found.image_left.reason == (None if pair else "pair_implausible")
    assert joint_regions(labels, RegionRules(apart=0.0)).box is not None, "negative control: no rule"


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG3_UNCR.dcm"])
def test_a_real_radiograph_of_another_body_part_is_not_assessable_even_where_the_header_is_overridden(
    name: str,
) -> None:
    """A chest and a lower leg."""
    file = pydicom.data.get_testdata_file(name, download=False)
    with Runtime(overrides={"wrong_body_part"}) as runtime:
        result = runtime.infer(str(file))
    assert result.state is State.NOT_ASSESSABLE
    assert result.probability is None
