"""Same seed, same bytes; and every stated variation comes up."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np

from edge_sacro.phantom import Phantom, PhantomOptions, render

DIGEST = """
import hashlib, sys
import cv2
cv2.setNumThreads(int(sys.argv[1]))
from edge_sacro.phantom import PhantomOptions, render
p = render((7, 1), PhantomOptions(spacing_mm=0.7, field_mm=(350.0, 400.0)))
print(hashlib.sha256(p.pixels.tobytes() + p.truth.masks.tobytes()).hexdigest())
"""


def digest(phantom: Phantom) -> str:
    return hashlib.sha256(phantom.pixels.tobytes() + phantom.truth.masks.tobytes()).hexdigest()


def test_same_seed_gives_same_bytes_in_every_process_and_with_any_number_of_threads(coarse: PhantomOptions) -> None:
    here = digest(render((7, 1), coarse))
    for threads in ("1", "3"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", DIGEST, threads]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == here
    assert digest(render((7, 2), coarse)) != here


def test_laying_one_thing_down_leaves_the_rest_as_it_was(coarse: PhantomOptions) -> None:
    drawn = render((9, 4), coarse)
    grades = (drawn.truth.left.grade, drawn.truth.right.grade)
    same = render((9, 4), replace(coarse, left_grade=grades[0], right_grade=grades[1]))
    assert digest(same) == digest(drawn)
    other = render((9, 4), replace(coarse, left_grade=(grades[0] + 2) % 5, right_grade=grades[1]))
    assert digest(other) != digest(drawn)
    assert other.truth.parameters == drawn.truth.parameters
    assert other.truth.left.box == drawn.truth.left.box


def test_every_stated_variation_comes_up(many: list[Phantom]) -> None:
    parameters = [p.truth.parameters for p in many]
    assert {p.photometric_interpretation for p in many} == {"MONOCHROME1", "MONOCHROME2"}
    assert {p.bits_stored for p in many} >= {10, 12, 14}
    assert {p["collimation"]["kind"] for p in parameters} == {"none", "black", "white"}
    assert {p["marker"]["letter"] for p in parameters} == {"L", "R", "none"}
    assert {p["marker"]["lead"] for p in parameters} == {True, False}
    assert {p["subject"]["shape"] for p in parameters} == {"female", "male"}
    assert {p["processing"]["name"] for p in parameters} == {"flat", "standard", "crisp", "soft"}
    assert {True, False} == {p["subject"]["gas"] for p in parameters}
    assert {kind for p in parameters for kind in p["metal"]} >= {"clips", "phleboliths"}
    assert len({p["exposure"]["kvp"] for p in parameters}) >= 4
    assert {j.disease.mimic for p in many for j in (p.truth.left, p.truth.right)} == {
        "none",
        "condensans",
        "bone_island",
    }
    widths = {j.disease.width for p in many for j in (p.truth.left, p.truth.right)}
    assert widths == {"kept", "widened", "narrowed", "mixed", "fused"}


def test_pose_size_and_exposure_spread(many: list[Phantom]) -> None:
    subjects = [p.truth.parameters["subject"] for p in many]
    for name, spread in (("tilt_deg", 5.0), ("rotation_deg", 1.5), ("roll_deg", 0.9), ("thickness_mm", 20.0)):
        assert np.std([s[name] for s in subjects]) > spread
    doses = [p.truth.parameters["exposure"]["dose"] for p in many]
    assert max(doses) / min(doses) > 3


def test_grades_are_spread_and_the_sides_go_together(many: list[Phantom]) -> None:
    pairs = [(p.truth.left.grade, p.truth.right.grade) for p in many]
    assert set(np.ravel(pairs)) == {0, 1, 2, 3, 4}
    assert Counter(pairs)[(0, 0)] >= 5
    assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.4
    assert any(abs(a - b) >= 2 for a, b in pairs)


def test_marker_stands_on_its_own_side(many: list[Phantom]) -> None:
    for phantom in many:
        marker = phantom.truth.parameters["marker"]
        if marker["letter"] != "none":
            assert (marker["at"][0] > 0.5) == (marker["letter"] == "L")


def test_marker_is_bright_where_it_is_said_to_be(coarse: PhantomOptions) -> None:
    plain = replace(coarse, collimation="none", photometric="MONOCHROME2")
    written = render((2, 3), replace(plain, marker="L"))
    without = render((2, 3), replace(plain, marker="none"))
    where = written.truth.parameters["marker"]
    changed = np.argwhere(written.pixels.astype(int) - without.pixels > 0.2 * (1 << written.bits_stored))
    assert changed.size
    at = np.array([where["at"][1], where["at"][0]]) * written.pixels.shape
    assert np.abs(np.median(changed, axis=0) - at).max() * written.spacing_mm < where["height_mm"]
