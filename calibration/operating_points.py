"""Cut-offs that weight sensitivity against specificity, chosen by repeated cross-validation.

Bressem 2021 (Statistical analysis; Results) chose three by repeated cross-validation: one "favouring sensitivity", one
"favouring specificity", and one of the largest sum of both; how much the first two favour, it does not say. Dorfner
2024 (2.6) took the cut-off of the highest accuracy on the validation set. All four are one rule: the largest
``w * sensitivity + (1 - w) * specificity``. With w = 1/2 that is the largest sum (Youden 1950), which is the largest
balanced accuracy too; with w = the share of positive images it is accuracy. Of the three published cut-offs, the one
that favours sensitivity is the best for w from 0.864 on, and the one that favours specificity for w up to 0.230
(Bressem 2021, Table 2); here w is 0.9 and 0.1 unless another is asked for.

Each of the repeats splits the patients into folds, chooses on all folds but one and counts on that one. The cut-off is
the median of all that were chosen. What it gives on the same images is too good; the cross-validated figures say by how
much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from calibration.roc import QUANTILES, Curve, Floats, Integers, Interval, exact_interval
from calibration.scores import STEPS, Scores
from edge_sacro.errors import CalibrationRefused, UsageError


@dataclass(frozen=True)
class Options:
    """How to choose.

    Attributes:
        weight: of sensitivity in the first cut-off and of specificity in the second, above 0.5 and below 1.
        folds: of each cross-validation.
        repeats: of the cross-validation.
        resamples: of the bootstrap; both publications with a bootstrap took 1000.
        seed: of folds and resamples.
    """

    weight: float = 0.9
    folds: int = 10
    repeats: int = 100
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.5 < self.weight < 1:
            raise UsageError(f"it is {self.weight}, and must be above 0.5 and below 1", source="weight")
        if self.folds < 2 or self.repeats < 1 or self.resamples < 100 or self.seed < 0:
            raise UsageError("2 folds, 1 repeat, 100 resamples and the seed 0 are the least", source="options")

    def weights(self) -> dict[str, float | None]:
        """The weight of sensitivity by the cut-off's name; None for the share of positive images."""
        return {"sensitivity": self.weight, "specificity": 1 - self.weight, "balanced": 0.5, "accuracy": None}


@dataclass(frozen=True)
class Rate:
    """A sensitivity or a specificity.

    Attributes:
        hits: images of the class that were called right.
        images: of the class.
        value: hits over images, at the cut-off, on the images that it was chosen on.
        exact: Clopper-Pearson's interval of that, which takes the images for independent.
        bootstrap: percentile interval over resampled patients at the same cut-off.
        cross_validated: median over the repeats of what the left-out folds gave.
        spread: of that over the repeats: how much the splits matter, no confidence interval.
    """

    hits: int
    images: int
    value: float
    exact: Interval
    bootstrap: Interval
    cross_validated: float
    spread: Interval


@dataclass(frozen=True)
class Chosen:
    """A cut-off.

    Attributes:
        name: ``sensitivity``, ``specificity``, ``balanced`` or ``accuracy``.
        weight: of sensitivity.
        threshold: positive above it, strictly; a multiple of 1 / ``STEPS``.
        bootstrap: percentile interval of the cut-off when it is chosen on resampled patients.
        spread: of the cut-offs that were chosen in cross-validation.
    """

    name: str
    weight: float
    threshold: float
    bootstrap: Interval
    spread: Interval
    sensitivity: Rate
    specificity: Rate


@dataclass(frozen=True)
class OperatingPoints:
    """Cut-offs and what they were chosen on.

    Attributes:
        auc: area under the ROC curve, ties counted half.
        auc_bootstrap: its percentile interval over resampled patients.
        sha256: of the file of scores.
    """

    images: int
    patients: int
    positive: int
    auc: float
    auc_bootstrap: Interval
    points: tuple[Chosen, ...]
    options: Options
    sha256: str


def choose(scores: Scores, options: Options | None = None) -> OperatingPoints:
    """Choose the cut-offs.

    Raises:
        CalibrationRefused: no cut-off tells any two images apart, or a class has fewer patients than there are folds.
        UsageError: an option is out of range.
    """
    options = options or Options()
    if len(np.unique(scores.steps)) < 2:
        raise CalibrationRefused(
            "all scores are the same", remedy="Give the scores of a network that tells them apart."
        )
    splits = _splits(scores, options)
    resampled = _resampled_weights(scores, options)
    curves = [Curve(scores, weights) for weights in resampled]
    low, high = np.quantile([curve.auc() for curve in curves], QUANTILES)
    return OperatingPoints(
        images=len(scores.steps),
        patients=scores.patient_count,
        positive=int(scores.positive.sum()),
        auc=Curve(scores, np.ones(len(scores.steps))).auc(),
        auc_bootstrap=Interval(float(low), float(high)),
        points=tuple(
            _chosen(name, weight, scores, splits, list(zip(resampled, curves, strict=True)))
            for name, weight in options.weights().items()
        ),
        options=options,
        sha256=scores.sha256,
    )


def _chosen(
    name: str, weight: float | None, scores: Scores, splits: list[Integers], resampled: list[tuple[Floats, Curve]]
) -> Chosen:
    found, held_out = [], []
    for folds in splits:
        called = np.zeros(len(scores.steps), np.bool_)
        for fold in range(folds.max() + 1):
            left_out = folds == fold
            found.append(Curve(scores, (~left_out).astype(np.float64)).best(weight))
            called[left_out] = scores.steps[left_out] > found[-1]
        held_out.append(_rates(called, scores, np.ones(len(called))))
    threshold = int(np.median(found))
    called = scores.steps > threshold
    again = [_rates(called, scores, weights) for weights, _ in resampled]
    return Chosen(
        name=name,
        weight=float(scores.positive.mean()) if weight is None else round(weight, 6),
        threshold=threshold / STEPS,
        bootstrap=_steps_interval([curve.best(weight) for _, curve in resampled]),
        spread=_steps_interval(found),
        sensitivity=_rate(called[scores.positive], [each[0] for each in again], [each[0] for each in held_out]),
        specificity=_rate(~called[~scores.positive], [each[1] for each in again], [each[1] for each in held_out]),
    )


def _rate(right: npt.NDArray[np.bool_], resampled: list[float], held_out: list[float]) -> Rate:
    hits, images = int(right.sum()), len(right)
    return Rate(
        hits=hits,
        images=images,
        value=hits / images,
        exact=exact_interval(hits, images),
        bootstrap=_interval(resampled),
        cross_validated=float(np.median(held_out)),
        spread=_interval(held_out),
    )


def _rates(called: npt.NDArray[np.bool_], scores: Scores, weights: Floats) -> tuple[float, float]:
    sick, well = weights * scores.positive, weights * ~scores.positive
    return float((sick * called).sum() / sick.sum()), float((well * ~called).sum() / well.sum())


def _interval(values: list[float]) -> Interval:
    low, high = np.quantile(values, QUANTILES)
    return Interval(float(low), float(high))


def _steps_interval(values: list[int]) -> Interval:
    """Ends that are cut-offs themselves."""
    low, high = np.quantile(values, QUANTILES, method="nearest")
    return Interval(int(low) / STEPS, int(high) / STEPS)


def _splits(scores: Scores, options: Options) -> list[Integers]:
    """For each repeat, the fold of each image; a patient's images are in one fold, classes are spread evenly."""
    for name, of_class in (("positive", scores.positive), ("negative", ~scores.positive)):
        count = len(np.unique(scores.patients[of_class]))
        if count < options.folds:
            raise CalibrationRefused(
                f"{count} patients have {name} images, and {options.folds} folds were asked for",
                remedy="Give the scores of more patients, or ask for fewer folds.",
            )
    alone = scores.patient_count == len(scores.steps)
    kind, groups = (StratifiedKFold, None) if alone else (StratifiedGroupKFold, scores.patients)
    splits = []
    for repeat in range(options.repeats):
        folds = np.zeros(len(scores.steps), np.int64)
        splitter = kind(options.folds, shuffle=True, random_state=(options.seed * 100_003 + repeat) % (1 << 32))
        for number, (_, left_out) in enumerate(splitter.split(scores.steps, scores.positive, groups)):
            folds[left_out] = number
        splits.append(folds)
    return splits


def _resampled_weights(scores: Scores, options: Options) -> list[Floats]:
    """For each resample, how often each image counts: patients are drawn with replacement, from both classes."""
    generator = np.random.default_rng(options.seed)
    _, places = np.unique(scores.patients, return_inverse=True)
    count = scores.patient_count
    drawn: list[Floats] = []
    while len(drawn) < options.resamples:
        weights = np.bincount(generator.integers(0, count, count), minlength=count)[places].astype(np.float64)
        if weights[scores.positive].any() and weights[~scores.positive].any():
            drawn.append(weights)
    return drawn
