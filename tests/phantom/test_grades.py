"""Each grade changes the joint, on one anatomy, in the sense of its words."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from edge_sacro.phantom import LEFT_JOINT, Phantom, PhantomOptions, render
from edge_sacro.phantom.disease import joint_from_rng
from edge_sacro.phantom.joint import joint_lattice


def added(grade: int, seed: int = 1) -> np.ndarray:
    return joint_from_rng(np.random.default_rng(seed), grade)[0]


def iliac(field: np.ndarray, depth_mm: tuple[float, float]) -> float:
    """Mean mineral share at a depth below the healthy iliac surface."""
    lattice = joint_lattice()
    below = lattice.across - lattice.halfwidth[..., None]
    where = (below > depth_mm[0]) & (below < depth_mm[1]) & (lattice.inside > 2)[..., None]
    return float(field[where].mean())


def in_space(field: np.ndarray) -> float:
    lattice = joint_lattice()
    where = (np.abs(lattice.across) < 0.6) & (lattice.inside > 2)[..., None]
    return float(field[where].mean())


def test_iliac_bone_grows_denser_from_normal_to_definite() -> None:
    mean = {g: np.mean([iliac(added(g, s), (1.5, 5.0)) for s in range(8)]) for g in (0, 1, 2, 3)}
    assert mean[0] < mean[1] < mean[2] < mean[3]
    assert mean[3] > mean[0] + 0.1


def test_plate_fades_with_the_margin() -> None:
    mean = {g: np.mean([iliac(added(g, s), (0.1, 0.7)) for s in range(8)]) for g in (0, 1, 4)}
    assert mean[1] < 0.85 * mean[0]
    assert mean[4] < 0.5 * mean[0]


def test_joint_space_is_empty_when_sound_and_filled_when_fused() -> None:
    assert abs(in_space(added(0))) < 0.02
    assert in_space(added(4)) > 0.1


def test_erosions_come_with_grades_two_and_three() -> None:
    count = {g: np.mean([joint_from_rng(np.random.default_rng(s), g)[1].erosions for s in range(8)]) for g in range(5)}
    assert count[0] == count[4] == 0
    assert count[1] < count[2] < count[3]


def display(phantom: Phantom) -> np.ndarray:
    shown = phantom.pixels.astype(np.float32) / (1 << phantom.bits_stored)
    return 1 - shown if phantom.photometric_interpretation == "MONOCHROME1" else shown


def line_energy(phantom: Phantom) -> float:
    """Contrast of fine lines in the left joint's region."""
    shown = display(phantom)
    fine = cv2.GaussianBlur(shown, (0, 0), 0.8) - cv2.GaussianBlur(shown, (0, 0), 2.4)
    return float(fine[(phantom.truth.masks & LEFT_JOINT) > 0].std())


def test_joint_line_loses_contrast_when_fused(graded: dict[int, Phantom]) -> None:
    assert line_energy(graded[4]) < 0.9 * line_energy(graded[0])


def test_definite_sacroiliitis_is_brighter_beside_the_joint(graded: dict[int, Phantom]) -> None:
    where = graded[0].truth.masks & LEFT_JOINT
    rise = display(graded[3])[where > 0].mean() - display(graded[0])[where > 0].mean()
    assert rise > 0.01


def test_grades_change_the_image_at_the_joints_alone(graded: dict[int, Phantom]) -> None:
    for grade in (1, 2, 3, 4):
        change = np.abs(display(graded[grade]) - display(graded[0]))
        joint = (graded[0].truth.masks & LEFT_JOINT) > 0
        box = graded[0].truth.left.box
        far = change[: max(box.y0 - 60, 1), : box.x0 - 250]
        assert change[joint].mean() > 3 * far.mean()


def test_the_same_grade_changes_nothing(graded: dict[int, Phantom], coarse: PhantomOptions) -> None:
    options = replace(coarse, spacing_mm=0.5, gas=False, implant=False, collimation="none", dose=20.0)
    again = render((3, 5), replace(options, left_grade=0, right_grade=0))
    assert np.array_equal(again.pixels, graded[0].pixels)
    assert not np.array_equal(graded[1].pixels, graded[0].pixels)
