"""The demonstration networks' training: what is taught, and that the command works and repeats itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

from click.testing import CliRunner

from edge_sacro.bundle import load_bundle
from edge_sacro.locate import LEFT_PELVIS, RIGHT_PELVIS, largest_components
from edge_sacro.preprocess.resize import nearest_inverse
from edge_sacro.regions import RegionRules, joint_regions
from edge_sacro.types import SIDES
from export.__main__ import main
from export.demonstration.augment import augmented, collimated
from export.demonstration.data import Example
from export.demonstration.labels import (
    LEFT_HIP,
    LEFT_JOINT,
    RIGHT_HIP,
    RIGHT_JOINT,
    SACRUM_BIT,
    Bits,
    Frame,
    joint_ellipse,
    labels_from_bits,
)
from export.demonstration.metrics import auc
from export.demonstration.operating import youden_threshold
from export.demonstration.store import examples_from_tasks, read_example, write_example
from export.demonstration.train_segmenter import PAINTED_DILATION
from export.demonstration.warp import View, sides_exchanged, warped

pytestmark = pytest.mark.heavy

SEEDS = (910_000, 910_001)
LEAST_BOUND = 0.8
"""The painted labels' joint boxes overlap the true ones at least so much."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def phantoms(cache: Path) -> list[Example]:
    return examples_from_tasks([("phantom", seed) for seed in SEEDS], cache, 1)


def _overlaps(labels: Bits, example: Example) -> list[float]:
    whole = nearest_inverse(largest_components(labels), (example.frame.rows, example.frame.columns))
    regions = joint_regions(whole, RegionRules(dilation=PAINTED_DILATION))
    pairs = [(regions.of_patient(side).box, box) for side, box in zip(SIDES, example.boxes, strict=True)]
    return [found.iou(true) if found and true else 0.0 for found, true in pairs]


def _naive(bits: Bits) -> Bits:
    labels = np.zeros_like(bits)
    labels[(bits & SACRUM_BIT) > 0] = 1
    labels[(bits & RIGHT_HIP) > 0] = LEFT_PELVIS
    labels[(bits & LEFT_HIP) > 0] = RIGHT_PELVIS
    return labels


def test_the_fixed_joint_rule_finds_the_true_boxes_in_painted_labels(phantoms: list[Example]) -> None:
    for example in phantoms:
        painted = labels_from_bits(example.bits, example.frame, PAINTED_DILATION)
        assert min(_overlaps(painted, example)) > LEAST_BOUND
        assert max(_overlaps(_naive(example.bits), example)) < LEAST_BOUND, "negative control: masks as they are"


def test_a_mirrored_view_keeps_the_patients_left_at_the_images_right(phantoms: list[Example]) -> None:
    example = phantoms[0]
    for mirrored in (False, True):
        view = View((0.5, 0.5), (1.0, 1.0), 0.0, 0.0, 0.0, mirrored)
        _, bits, _ = warped(example.image, example.bits, example.frame, view, 160, np.random.default_rng(0))
        left, right = (np.nonzero(bits & bit)[1].mean() for bit in (LEFT_JOINT, RIGHT_JOINT))
        assert left > right
        wrong_left, wrong_right = (
            np.nonzero(sides_exchanged(bits) & bit)[1].mean() for bit in (LEFT_JOINT, RIGHT_JOINT)
        )
        assert wrong_left < wrong_right, "negative control: exchanged once more"


def test_exchanging_sides_twice_changes_nothing() -> None:
    bits = np.arange(32, dtype=np.uint8).reshape(4, 8)
    assert np.array_equal(sides_exchanged(sides_exchanged(bits)), bits)
    assert not np.array_equal(sides_exchanged(bits), bits)


def test_a_joint_that_the_view_cuts_is_taught_as_absent(phantoms: list[Example]) -> None:
    example = phantoms[0]
    columns = np.nonzero(example.bits & LEFT_JOINT)[1]
    middle = float(columns.mean()) / example.bits.shape[1]
    view = View((middle - 0.5, 0.5), (1.0, 1.0), 0.0, 0.0, 0.0, False)
    _, bits, _ = warped(example.image, example.bits, example.frame, view, 160, np.random.default_rng(0))
    assert not (bits & LEFT_JOINT).any()
    assert (bits & RIGHT_JOINT).any()


def test_a_collimator_hides_what_lies_behind_it() -> None:
    bits = np.full((64, 64), SACRUM_BIT, np.uint8)
    bits[joint_ellipse(bits.shape, (0, 20, 12, 44))] |= LEFT_JOINT
    hidden = 0
    for seed in range(30):
        values, cut = collimated(np.full((64, 64), 0.5, np.float32), bits, np.random.default_rng(seed))
        assert values.shape == cut.shape == (64, 64)
        kept = np.count_nonzero(cut & LEFT_JOINT)
        assert kept == 0 or kept >= 0.9 * np.count_nonzero(bits & LEFT_JOINT)
        hidden += kept == 0
    assert 0 < hidden < 30, "both outcomes occur"


def test_augmentation_is_decided_by_its_seed_and_stays_in_range(phantoms: list[Example]) -> None:
    example = phantoms[0]
    views = [
        augmented(example.image, example.bits, example.frame, 96, np.random.default_rng(seed)) for seed in (5, 5, 6)
    ]
    for values, bits, frame in views:
        assert values.dtype == np.float32
        assert values.shape == bits.shape == (96, 96)
        assert 0 <= values.min() <= values.max() <= 1
        assert min(frame.rows, frame.columns) > 0
    assert np.array_equal(views[0][0], views[1][0])
    assert not np.array_equal(views[0][0], views[2][0])


def test_an_example_survives_the_disk(phantoms: list[Example], tmp_path: Path) -> None:
    write_example(tmp_path / "a.npz", phantoms[0])
    again = read_example(tmp_path / "a.npz")
    assert again.boxes == phantoms[0].boxes
    assert again.grades == phantoms[0].grades
    assert again.frame == phantoms[0].frame
    assert np.array_equal(again.patch, phantoms[0].patch)
    assert np.array_equal(again.bits, phantoms[0].bits)


def test_labels_without_anatomy_are_background() -> None:
    assert not labels_from_bits(np.zeros((40, 40), np.uint8), Frame(400, 500), PAINTED_DILATION).any()


def test_auc_counts_ties_half_and_knows_when_there_is_none() -> None:
    assert auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])) == pytest.approx(0.875)
    assert auc(np.array([0.9, 0.1]), np.array([0, 1])) == 0
    assert auc(np.array([0.9, 0.1]), np.array([1, 1])) is None


def test_the_chosen_cut_off_separates_what_can_be_separated() -> None:
    figures = youden_threshold(np.array([0.1, 0.2, 0.7, 0.8]), np.array([0, 0, 1, 1]))
    assert 0.2 <= figures.threshold < 0.7
    assert (figures.sensitivity, figures.specificity) == (1, 1)
    mixed = youden_threshold(np.array([0.7, 0.2, 0.1, 0.8]), np.array([0, 0, 1, 1]))
    assert mixed.sensitivity + mixed.specificity < 2


def _train(folder: Path, cache: Path, seed: int) -> dict[str, bytes]:
    arguments = f"demonstration --phantoms 3 --batch 2 --variants 0 --workers 0 --seed {seed}"
    steps = "--segmenter-steps 2 --classifier-steps 2"
    paths = ["--out", str(folder / "bundle"), "--docs", str(folder / "docs"), "--cache", str(cache)]
    done = CliRunner().invoke(main, [*arguments.split(), *steps.split(), *paths], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return dict(load_bundle(folder / "bundle").files)


def test_the_command_trains_on_the_phantom_alone_and_repeats_itself(tmp_path: Path) -> None:
    first, again, other = (_train(tmp_path / str(run), tmp_path / "cache", seed) for run, seed in enumerate((1, 1, 2)))
    assert first == again
    assert all(first[name] != other[name] for name in first), "negative control: another seed"
    log = (tmp_path / "0" / "docs" / "training-log.csv").read_text().splitlines()
    assert log[0] == "network,step,loss,seconds"
    assert len(log) == 3
    manifest = load_bundle(tmp_path / "0" / "bundle").manifest
    assert manifest.demonstration
    assert not any("I-STAR" in credit for credit in manifest.credits), "no simulator was trained on"


def test_the_command_refuses_to_train_on_nothing() -> None:
    done = CliRunner().invoke(main, ["demonstration", "--phantoms", "0"])
    assert done.exit_code == 2
    assert "nothing to train on" in done.output
