"""The simulated CT series: what a plane shows, what a grade changes, and a sound DICOM object."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_sacro.dicom import read
from edge_sacro.errors import UsageError
from edge_sacro.phantom import CtOptions, CtSeries, render_ct, write_ct_study


@pytest.fixture(scope="module")
def sound() -> CtSeries:
    return render_ct((4, 0), CtOptions(slices=5, size=384, left_grade=0, right_grade=0))


def test_values_are_those_of_air_fat_muscle_and_bone(sound: CtSeries) -> None:
    middle = sound.slices[2].values
    assert abs(np.median(middle[:10]) + 1000) < 30
    assert (np.abs(middle - 55) < 40).mean() > 0.15, "muscle"
    assert (np.abs(middle + 95) < 40).mean() > 0.05, "fat"
    assert 0.005 < (middle > 600).mean() < 0.05, "cortical bone"


def test_only_planes_between_the_joints_ends_cut_them(sound: CtSeries) -> None:
    assert [piece.joint for piece in sound.slices] == [False, True, True, True, False]
    assert all(np.diff([piece.height_mm for piece in sound.slices]) > 0)


def test_a_grade_changes_its_own_joint_and_nothing_else(sound: CtSeries) -> None:
    ill = render_ct((4, 0), CtOptions(slices=5, size=384, left_grade=4, right_grade=0))
    changed = np.abs(ill.slices[2].values.astype(int) - sound.slices[2].values) > 60
    assert changed.sum() > 100
    columns = np.flatnonzero(changed.any(axis=0))
    assert columns.min() > 384 / 2, "the patient's left is on the image's right"
    assert (ill.left.grade, ill.right.grade) == (4, 0)


def test_the_same_seed_gives_the_same_values_and_another_one_others(sound: CtSeries) -> None:
    options = CtOptions(slices=1, size=256)
    first, again, other = (render_ct(seed, options).slices[0].values for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("wrong", [{"slices": 0}, {"size": 100}, {"field_mm": 20.0}, {"left_grade": 5}])
def test_what_cannot_be_meant_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CtOptions(**wrong)  # type: ignore[arg-type]


def test_the_objects_are_read_back_and_the_truth_names_each(tmp_path: Path) -> None:
    truth = json.loads(write_ct_study(tmp_path, 1, 4, CtOptions(slices=2, size=256, right_grade=3)).read_text())
    (series,) = truth["series"]
    assert series["joints"]["right"]["grade"] == 3
    assert series["mny_positive"]
    values = render_ct((4, 0), CtOptions(slices=2, size=256, right_grade=3)).slices[1].values
    radiograph = read(tmp_path / series["slices"][1]["file"])
    modality = radiograph.grayscale.table[radiograph.stored.astype(np.int32) - radiograph.grayscale.first]
    assert np.array_equal(modality, values)
    assert radiograph.grayscale.rescale_type == "HU"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
def test_dciodvfy_finds_nothing_wrong(tmp_path: Path) -> None:
    write_ct_study(tmp_path, 1, 4, CtOptions(slices=1, size=256))
    (file,) = tmp_path.glob("*.dcm")
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr + done.stdout
    assert "CTImage" in done.stderr + done.stdout, "it looked at the object"
