"""Training of the classifier: the pair's criterion and each joint's grade, on the runtime's own input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edge_sacro.classify import ClassifierGeometry
from edge_sacro.grades import is_definite
from export.demonstration.crops import Piece, network_input, piece_from_example, varied
from export.demonstration.data import Example
from export.demonstration.loop import Log, Regularisation, Schedule, trained
from export.demonstration.networks import CLASSIFIER_SIZE, Classifier

SMOOTHING = 0.03
"""Label smoothing, so that a probability near 0 or 1 is rare."""

GRADE_WEIGHT = 2.0
"""Weight of the joints' grades against the pair's criterion."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Network inputs with their truth.

    Attributes:
        inputs: n x rows x columns, uint8: 0 to 1 in 255 steps.
        positive: n, 0 or 1.
        grades: n x 2, the joint in the left half of the input first; that is the patient's left, since inputs are
            mirrored.
    """

    inputs: npt.NDArray[np.uint8]
    positive: npt.NDArray[np.int64]
    grades: npt.NDArray[np.int64]

    def joined(self, other: Crops) -> Crops:
        """Both."""
        return Crops(
            np.concatenate((self.inputs, other.inputs)),
            np.concatenate((self.positive, other.positive)),
            np.concatenate((self.grades, other.grades)),
        )


def crops_from_examples(examples: Sequence[Example], variants: int, seed: int, workers: int) -> Crops:
    """The classifier's inputs.

    Args:
        examples: those with a joint out of view are left out.
        variants: how many each; 0 gives one, from the true boxes and pixels as they are.
        seed: with the example's number and the variant's it decides the variation.
        workers: processes.
    """
    tasks = [
        (piece, example.grades, (seed, number, variant) if variants else None)
        for number, example in enumerate(examples)
        for variant in range(max(variants, 1))
        if (piece := piece_from_example(example)) is not None
    ]
    if workers > 1:
        with get_context("fork").Pool(workers) as pool:
            made = pool.map(_made, tasks, chunksize=16)
    else:
        made = [_made(task) for task in tasks]
    grades = np.array([each for _, each in made], np.int64).reshape(-1, 2)
    positive = np.array([is_definite(left, right) for left, right in grades.tolist()], bool)
    rows, columns = CLASSIFIER_SIZE
    inputs = np.array([each for each, _ in made], np.uint8).reshape(-1, rows, columns)
    return Crops(inputs, positive.astype(np.int64), grades)


def _made(task: tuple[Piece, tuple[int, int], tuple[int, ...] | None]) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    cv2.setNumThreads(1)
    piece, grades, seed = task
    if seed is not None:
        piece = varied(piece, np.random.default_rng(seed))
    values = network_input(piece, ClassifierGeometry(*CLASSIFIER_SIZE))
    return np.rint(values * 255).astype(np.uint8), grades


def train_classifier(net: Classifier, crops: Crops, schedule: Schedule, log: Log) -> nn.Module:
    """Train in place on the CPU and return the averaged weights' network."""
    torch.manual_seed(schedule.seed)
    random = np.random.default_rng(schedule.seed)

    def losses() -> Iterator[torch.Tensor]:
        for _ in range(schedule.steps):
            chosen = random.integers(len(crops.inputs), size=schedule.batch)
            values, truth = _disturbed(crops.inputs[chosen], crops.grades[chosen], random)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits, grades = net.with_grades(torch.from_numpy(values))
            positive = torch.from_numpy(crops.positive[chosen])
            yield classification_loss(logits.float(), positive, grades.float(), torch.from_numpy(truth))

    return trained(
        net, losses(), schedule, Regularisation(2e-2, 0.2), lambda **row: log({"network": "classifier", **row})
    )


def classification_loss(
    logits: torch.Tensor, positive: torch.Tensor, grades: torch.Tensor, truth: torch.Tensor
) -> torch.Tensor:
    """Smoothed cross-entropy of the pair, and of 'grade k or more' for each joint and k of 1 to 4."""
    pair = nn.functional.cross_entropy(logits, positive, label_smoothing=SMOOTHING)
    reached = (truth[:, :, None] > torch.arange(grades.shape[2])).float()
    joints = nn.functional.binary_cross_entropy_with_logits(grades, reached * (1 - SMOOTHING) + SMOOTHING / 2)
    return pair + GRADE_WEIGHT * joints


def _disturbed(
    inputs: npt.NDArray[np.uint8], grades: npt.NDArray[np.int64], random: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Mirror, move, erase and curve the finished inputs a little: what costs little to vary anew at each step."""
    values: npt.NDArray[np.float32] = inputs.astype(np.float32)[:, None] / np.float32(255)
    grades = grades.copy()
    rows, columns = inputs.shape[1:]
    for number, (image,) in enumerate(values):
        if random.random() < 0.5:
            image[:] = image[:, ::-1].copy()
            grades[number] = grades[number, ::-1].copy()
        centre = np.array([columns / 2, rows / 2])
        linear = np.eye(2) + random.normal(0, 0.03, (2, 2))
        shift = centre - linear @ centre + random.normal(0, 4, 2)
        image[:] = cv2.warpAffine(image, np.column_stack((linear, shift)), (columns, rows))
        if random.random() < 0.3:
            y, x = int(random.integers(rows)), int(random.integers(columns))
            image[y : y + int(random.integers(8, 36)), x : x + int(random.integers(8, 36))] = random.random()
        image[:] = np.power(image, np.exp(random.normal(0, 0.15)))
    return values, grades
