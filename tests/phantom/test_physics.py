"""Projection, attenuation and noise behave as X-rays do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_sacro.phantom import PhantomOptions, render
from edge_sacro.phantom.acquisition import detected, exposure_from_rng, transmission
from edge_sacro.phantom.mesh import Grid, mesh_from_distance, mesh_from_faces
from edge_sacro.phantom.projection import Camera, thickness
from edge_sacro.phantom.skeleton import mean_bones
from edge_sacro.phantom.solids import ellipsoid

RADIUS = 20.0


@pytest.fixture(scope="module")
def ball():
    grid = Grid.spanning((-24.0, -24.0, -24.0), (24.0, 24.0, 24.0), 1.6)
    return mesh_from_distance(ellipsoid(grid.axes(), (0.0, 0.0, 0.0), (RADIUS,) * 3), grid)


def camera(below: float, distance: float = 1000.0) -> Camera:
    return Camera((0.0, 0.0, distance - below), -below, 0.5, (200, 200), (0.0, 0.0))


@pytest.mark.parametrize("below", [50.0, 150.0, 400.0])
def test_ball_is_magnified_by_source_detector_over_source_object(ball, below: float) -> None:
    shadow = thickness(ball, camera(below)) > 2.0
    radius = np.sqrt(shadow.sum() * 0.25 / np.pi)
    # The cone touches a ball a little before its middle: R / sqrt(1 - (R / distance)^2).
    near = RADIUS / np.sqrt(1 - (RADIUS / (1000.0 - below)) ** 2)
    assert radius == pytest.approx(near * 1000.0 / (1000.0 - below), rel=0.01)
    assert radius != pytest.approx(near, rel=0.02)


def test_thickness_through_the_middle_of_a_ball_is_its_diameter(ball) -> None:
    crossed = thickness(ball, camera(100.0))
    assert crossed.max() == pytest.approx(2 * RADIUS, rel=0.005)
    assert crossed[:, 0].max() == 0.0
    assert crossed[0].max() == 0.0


def test_summed_thickness_is_the_volume(ball) -> None:
    view = Camera((0.0, 0.0, 100_000.0), -50.0, 0.5, (200, 200), (0.0, 0.0))
    volume = float(thickness(ball, view).sum(dtype=np.float64)) * 0.25
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.01)


def test_open_surfaces_are_refused() -> None:
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="open edge"):
        mesh_from_faces(corners, np.array([[0, 1, 2]]))


def test_every_bone_is_closed_turned_outward_and_of_its_size() -> None:
    limits = {"hip": (150, 400), "femur": (100, 350), "sacrum": (80, 250), "L": (30, 90)}
    for bone in mean_bones():
        corner = bone.outer.vertices[bone.outer.faces]
        cm3 = np.einsum("ij,ij->i", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])).sum() / 6000
        low, high = next(v for k, v in limits.items() if k in bone.name)
        assert low < cm3 < high, bone.name


def test_more_of_anything_lets_less_through() -> None:
    exposure = exposure_from_rng(np.random.default_rng(0), 1.0)
    base = np.full((1, 1), 100.0, np.float32)
    none = np.zeros((1, 1), np.float32)
    first = transmission(base, base, none + 5, none, exposure)
    for more in ((base + 10, base, none + 5, none), (base, base + 10, none + 5, none)):
        assert transmission(*more, exposure) < first
    assert transmission(base, base, none + 6, none, exposure) < first
    assert transmission(base, base, none + 5, none + 1, exposure) < 0.6 * first
    assert transmission(base, base, none + 5, none, exposure) == first


def test_bone_attenuates_more_than_muscle_and_muscle_more_than_fat() -> None:
    exposure = exposure_from_rng(np.random.default_rng(0), 1.0)
    none, some = np.zeros((1, 1), np.float32), np.full((1, 1), 10.0, np.float32)
    fat = transmission(none, some, none, none, exposure)
    muscle = transmission(some, none, none, none, exposure)
    bone = transmission(some, none, some, none, exposure)
    assert bone < muscle < fat < 1.0


@pytest.mark.parametrize("quanta", [500.0, 20_000.0])
def test_noise_is_that_of_counted_quanta(quanta: float) -> None:
    field = np.full((400, 400), quanta, np.float32)
    noisy = detected(np.random.default_rng(1), field)
    assert noisy.mean() == pytest.approx(quanta, rel=0.005)
    assert noisy.std() == pytest.approx(np.sqrt(quanta), rel=0.15)


def test_fewer_quanta_make_a_noisier_image(coarse: PhantomOptions) -> None:
    plain = replace(coarse, gas=False, collimation="none", photometric="MONOCHROME2", bits_stored=14)

    def grain(dose: float) -> float:
        shown = render((6, 6), replace(plain, dose=dose)).pixels.astype(float)
        middle = shown[200:260, 230:340]
        return float(np.abs(np.diff(middle, axis=1)).mean())

    assert grain(0.02) > 2 * grain(20.0)


def test_thicker_bodies_let_fewer_quanta_through(coarse: PhantomOptions) -> None:
    from edge_sacro.phantom.body import soft_tissue_from_rng
    from edge_sacro.phantom.subject import camera_from_rng, subject_from_rng

    subject = subject_from_rng(np.random.default_rng(1))
    view = camera_from_rng(np.random.default_rng(2), 1.0, (350, 400))
    exposure = exposure_from_rng(np.random.default_rng(0), 1.0)
    through = []
    for mm in (180.0, 220.0, 300.0):
        soft = soft_tissue_from_rng(np.random.default_rng(3), subject, view, mm, gas=False)
        none = np.zeros_like(soft.muscle)
        through.append(float(transmission(soft.muscle, soft.fat, none, none, exposure)[100:120, 120:130].mean()))
    assert through[0] > 1.5 * through[1] > 1.5 * through[2]
