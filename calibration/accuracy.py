"""The gate: how far a bundle's answers move in another precision, end to end through the runtime, and how far they may.

The reference is the same bundle in FP32 on the same DICOM files. A flip is counted at every operating point of the
bundle; it is outside the guard band where one answer is positive and the other negative.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.graph import EXPLANATION, Array
from edge_sacro.bundle import Bundle
from edge_sacro.decide import state_from_probability
from edge_sacro.engine import Engine, NetworkSpec, open_engine
from edge_sacro.errors import CalibrationRefused, UsageError
from edge_sacro.manifest import Manifest
from edge_sacro.report import Result
from edge_sacro.runtime import Runtime
from edge_sacro.types import State


@dataclass(frozen=True)
class Budget:
    """What another precision may cost.

    Attributes:
        probability: largest absolute difference of a probability.
        auc: largest absolute difference of the area under the ROC curve, where truth is known.
        cosine: least cosine between two explanations of one image.
        peak: least part of the FP32 explanation's peak that it still has where the other one peaks.
    """

    probability: float = 0.02
    auc: float = 0.005
    cosine: float = 0.95
    peak: float = 0.9


UNLIMITED = Budget(probability=math.inf, auc=math.inf, cosine=-math.inf, peak=-math.inf)
"""No budget."""


@dataclass(frozen=True)
class Answer:
    """What the runtime said of one file: its probabilities by ``image``, ``left`` and ``right``, and the crop."""

    sha256: str | None
    probabilities: Mapping[str, float]
    crop: tuple[int, ...] | None


@dataclass(frozen=True)
class Figures:
    """How two precisions differ on the same files.

    Attributes:
        images: with a probability in both.
        max_dp, mean_dp: absolute difference of probabilities; the largest is of the stable images.
        auc: of the reference; None where truth is unknown or of one class.
        delta_auc: the other precision's less the reference's.
        flips: decisions that differ, the guard band apart, over all operating points.
        flips_outside: those of them that are positive in one and negative in the other.
        lost: images that have a probability in one of them alone.
        least_iou, mean_iou: of the crops; 1 where the system has none.
        unstable: images that were told apart, whose FP32 answer does not withstand their own noise; 0 where none were.
        unstable_max_dp: largest absolute difference on those.
    """

    images: int
    max_dp: float
    mean_dp: float
    auc: float | None
    delta_auc: float | None
    flips: int
    flips_outside: int
    lost: int
    least_iou: float
    mean_iou: float
    unstable: int = 0
    unstable_max_dp: float = 0.0

    def record(self) -> dict[str, Any]:
        """Rounded, for a record."""
        return {name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(self).items()}


NOT_ASSESSED = Figures(0, 0.0, 0.0, None, None, 0, 0, 0, 0.0, 0.0)
"""Figures of no image."""


def answers(bundle: Bundle, files: Sequence[Path], models: Mapping[str, bytes], backend: str) -> list[Answer]:
    """Assess files in FP32, with other networks in the place of those that are named in ``models``."""

    def opener(backend: str, spec: NetworkSpec, model: bytes, threads: int) -> Engine:
        return open_engine(backend, spec, models.get(spec.name, model), threads)

    with Runtime(bundle, backend=backend, precision="fp32", opener=opener) as runtime:
        return [_answer(runtime.infer(file)) for file in files]


def truths_from_json(path: Path) -> dict[str, bool]:
    """Truth by a file's SHA-256, from ``{"images": [{"sha256": …, "mny_positive": …}]}``.

    Raises:
        UsageError: the file has no such list.
    """
    try:
        return {each["sha256"]: bool(each["mny_positive"]) for each in json.loads(path.read_text())["images"]}
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path}: every image needs sha256 and mny_positive; {error} is missing") from error


def compared(
    reference: Sequence[Answer],
    other: Sequence[Answer],
    truths: Mapping[str, bool],
    manifest: Manifest,
    unstable: Collection[str] = (),
) -> Figures:
    """Figures of two runs over the same files.

    Args:
        reference: of FP32.
        other: of the other precision, in the same order.
        truths: by a file's SHA-256.
        manifest: its operating points and guard band decide.
        unstable: files, by SHA-256, that count neither for the largest difference nor for flips.

    Raises:
        CalibrationRefused: no stable file has a probability in both.
    """
    both = [(one, two) for one, two in zip(reference, other, strict=True) if one.probabilities and two.probabilities]
    stable = [(one, two) for one, two in both if one.sha256 not in unstable]
    apart = [(one, two) for one, two in both if one.sha256 in unstable]
    pairs = probability_pairs(*_sides(stable))
    if not len(pairs):
        raise CalibrationRefused("no file of the validation set has a probability in both precisions")
    differences = np.abs(np.diff(probability_pairs(reference, other)))
    known = [pair for pair in both if pair[0].sha256 in truths and "image" in pair[0].probabilities]
    labels = np.array([truths[str(one.sha256)] for one, _ in known], bool)
    areas = [
        auc_from_scores(np.array([pair[side].probabilities["image"] for pair in known]), labels) for side in (0, 1)
    ]
    flips, outside = _flips(pairs, manifest)
    overlaps = [_iou(one.crop, two.crop) for one, two in both]
    return Figures(
        images=len(both),
        max_dp=float(np.abs(np.diff(pairs)).max()),
        mean_dp=float(differences.mean()),
        auc=areas[0],
        delta_auc=None if areas[0] is None or areas[1] is None else areas[1] - areas[0],
        flips=flips,
        flips_outside=outside,
        lost=sum(set(a.probabilities) != set(b.probabilities) for a, b in zip(reference, other, strict=True)),
        least_iou=min(overlaps),
        mean_iou=float(np.mean(overlaps)),
        unstable=len(apart),
        unstable_max_dp=float(np.abs(np.diff(probability_pairs(*_sides(apart)))).max(initial=0.0)),
    )


def probability_pairs(reference: Sequence[Answer], other: Sequence[Answer]) -> npt.NDArray[np.float64]:
    """Probabilities that both have, n x 2."""
    pairs = [
        (one.probabilities[name], two.probabilities[name])
        for one, two in zip(reference, other, strict=True)
        for name in one.probabilities
        if name in two.probabilities
    ]
    return np.array(pairs, np.float64).reshape(-1, 2)


def faults(figures: Figures, budget: Budget) -> list[str]:
    """Where the figures pass the budget; empty where they keep it."""
    found = []
    if figures.max_dp > budget.probability:
        found.append(f"max |dp| {figures.max_dp:.4f} is above {budget.probability:g}")
    if figures.delta_auc is not None and abs(figures.delta_auc) > budget.auc:
        found.append(f"|dAUC| {abs(figures.delta_auc):.4f} is above {budget.auc:g}")
    if figures.flips_outside:
        found.append(f"{figures.flips_outside} decisions flip outside the guard band")
    if figures.lost:
        found.append(f"{figures.lost} images have an answer in one precision alone")
    return found


def network_faults(
    reference: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]], budget: Budget
) -> list[str]:
    """What one network alone already breaks on the same inputs: a classifier's probability, its explanation."""
    broken = []
    if "logits" in reference[0] and reference[0]["logits"].ndim == 2:
        moved = max(
            float(np.abs(_softmax(one["logits"]) - _softmax(two["logits"])).max())
            for one, two in zip(reference, found, strict=True)
        )
        if moved > budget.probability:
            broken.append(f"on the same inputs max |dp| is {moved:.4f}")
    if EXPLANATION in reference[0]:
        cosine, peak = explanation_agreement(reference, found)
        if cosine < budget.cosine:
            broken.append(f"the least cosine of explanations {cosine:.3f} is below {budget.cosine:g}")
        if peak < budget.peak:
            broken.append(f"an explanation peaks where the other has {peak:.3f} of its peak, below {budget.peak:g}")
    return broken


def explanation_agreement(
    reference: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]]
) -> tuple[float, float]:
    """Least cosine, and least part of the reference's peak at the other's peak, over all images and classes.

    A map that is zero in the reference says nothing and is left out; one that is zero in the other alone counts as 0.
    """
    cosines, peaks = [1.0], [1.0]
    for one, two in zip(reference, found, strict=True):
        for true, other in zip(one[EXPLANATION][0], two[EXPLANATION][0], strict=True):
            if not true.any():
                continue
            product = float(np.linalg.norm(true)) * float(np.linalg.norm(other))
            cosines.append(float(np.vdot(true, other)) / product if product else 0.0)
            peaks.append(float(true.ravel()[int(np.argmax(other))]) / float(true.max()) if true.max() > 0 else 1.0)
    return min(cosines), min(peaks)


def auc_from_scores(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve: how often a positive scores above a negative, ties half; None with one class."""
    positive, negative = scores[labels], scores[~labels]
    if not len(positive) or not len(negative):
        return None
    difference = positive[:, None] - negative[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _sides(pairs: Sequence[tuple[Answer, Answer]]) -> tuple[list[Answer], list[Answer]]:
    return [one for one, _ in pairs], [two for _, two in pairs]


def _answer(result: Result) -> Answer:
    given = {"image": result.probability}
    given |= {"left": result.joints.left.probability, "right": result.joints.right.probability}
    known = {name: value for name, value in given.items() if value is not None}
    return Answer(result.source.sha256, known, None if result.crop_px is None else tuple(result.crop_px))


def _flips(pairs: npt.NDArray[np.float64], manifest: Manifest) -> tuple[int, int]:
    """Decisions that differ at any operating point without the guard band, and with it."""
    flips = outside = 0
    for point in manifest.operating_points:
        cut_off = point.operating_point()
        for one, two in pairs:
            flips += state_from_probability(one, cut_off, 0) != state_from_probability(two, cut_off, 0)
            states = {state_from_probability(each, cut_off, manifest.guard_band.half_width) for each in (one, two)}
            outside += states == {State.POSITIVE, State.NEGATIVE}
    return flips, outside


def _iou(one: tuple[int, ...] | None, two: tuple[int, ...] | None) -> float:
    if one is None or two is None:
        return 1.0 if one == two else 0.0
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    shared = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, two))
    return shared / (areas - shared)


def _softmax(logits: Array) -> npt.NDArray[np.float64]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(weights / weights.sum())
