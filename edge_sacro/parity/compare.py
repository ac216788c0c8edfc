"""One image: a contender's tensors and answer against the reference's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from edge_sacro.decide import state_from_probability
from edge_sacro.engine import Engine
from edge_sacro.engine.base import Array
from edge_sacro.parity.document import SUBJECTS, Answer, Comparison, Flip, Instance, Subject, TensorDifference
from edge_sacro.parity.tensors import Difference, map_agreement
from edge_sacro.parity.watch import Call
from edge_sacro.report import PixelBox, Result
from edge_sacro.types import SIDES, Box, OperatingPoint, State

EXPLANATION = "explanation"
"""Name of the output that shows where a decision came from."""

_OPPOSITE = {State.POSITIVE, State.NEGATIVE}


def answer_from_result(result: Result) -> Answer:
    """The part of a result that is compared."""
    joints = {side: getattr(result.joints, side) for side in SIDES}
    probabilities: dict[Subject, float | None] = {"image": result.probability}
    probabilities.update({side: joint.probability for side, joint in joints.items()})
    return Answer(
        state=result.state,
        reason_code=result.reason_code,
        probabilities={subject: value for subject, value in probabilities.items() if value is not None},
        crop_px=result.crop_px,
        joints_px={side: joint.box_px for side, joint in joints.items() if joint.box_px is not None},
    )


def comparison(
    instance: Instance,
    answer: Answer,
    tensors: list[TensorDifference],
    points: Sequence[OperatingPoint],
    guard_band: float,
) -> Comparison:
    """Hold a contender's answer against the reference's.

    Args:
        instance: the image with the reference's answer.
        answer: the contender's.
        tensors: as :func:`tensor_differences` gives them.
        points: every cut-off that decisions are compared at.
        guard_band: half-width of the borderline range.
    """
    before = instance.reference
    both = [s for s in SUBJECTS if s in before.probabilities and s in answer.probabilities]
    boxes: dict[Literal["crop", "left", "right"], tuple[PixelBox | None, PixelBox | None]] = {
        "crop": (before.crop_px, answer.crop_px)
    }
    for side in SIDES:
        boxes[side] = (before.joints_px.get(side), answer.joints_px.get(side))
    return Comparison(
        instance=instance.name,
        answer=answer,
        probability_differences={s: round(answer.probabilities[s] - before.probabilities[s], 6) for s in both},
        box_iou={name: Box(*a).iou(Box(*b)) for name, (a, b) in boxes.items() if a is not None and b is not None},
        disagreement=_disagreement(before, answer),
        tensors=tensors,
        flips=[flip for s in both for point in points for flip in _flips(instance, answer, s, point, guard_band)],
    )


def tensor_differences(
    reference: Sequence[Call], contender: Sequence[Call], engines: Mapping[str, Engine]
) -> list[TensorDifference]:
    """Hold the networks' tensors against one another.

    What came in is compared as it came, so that it shows what earlier stages did. What came out is compared on the
    reference's inputs: where the contender was given others, its network runs once more.

    Args:
        reference: calls of the reference, in order.
        contender: calls of the contender, which may be fewer or more.
        engines: the contender's networks by name.

    Raises:
        BackendError: a network failed.
    """
    found: dict[tuple[str, str, Literal["input", "output"]], Difference] = {}
    maps: dict[tuple[str, str], list[tuple[float, float]]] = {}
    left = {name: iter([call for call in contender if call.network == name]) for name in engines}
    for call in reference:
        other = next(left[call.network], None)
        if other is not None:
            for name, array in call.inputs.items():
                found.setdefault((call.network, name, "input"), Difference()).add(array, other.inputs[name])
        outputs = _answers(call, other, engines[call.network])
        for name, array in call.outputs.items():
            found.setdefault((call.network, name, "output"), Difference()).add(array, outputs[name])
            if name == EXPLANATION:
                maps.setdefault((call.network, name), []).append(map_agreement(array, outputs[name]))
    return [
        TensorDifference(
            network=network,
            tensor=name,
            role=role,
            max_abs=difference.max_abs,
            rms=difference.rms,
            relative_rms=difference.relative_rms,
            cosine=difference.cosine,
            correlation=min((c for c, _ in maps.get((network, name), [])), default=None),
            peak_distance=max((d for _, d in maps.get((network, name), [])), default=None),
        )
        for (network, name, role), difference in found.items()
    ]


def _answers(call: Call, other: Call | None, engine: Engine) -> Mapping[str, Array]:
    """The contender's outputs for the reference's inputs."""
    if other is not None and all(np.array_equal(array, other.inputs[name]) for name, array in call.inputs.items()):
        return other.outputs
    return engine.run(call.inputs)


def _flips(
    instance: Instance, answer: Answer, subject: Subject, point: OperatingPoint, guard_band: float
) -> list[Flip]:
    values = (instance.reference.probabilities[subject], answer.probabilities[subject])
    plain = {state_from_probability(value, point, 0.0) for value in values}
    if len(plain) == 1:
        return []
    states = {state_from_probability(value, point, guard_band) for value in values}
    return [
        Flip(
            instance=instance.name,
            subject=subject,
            operating_point=point.name,
            threshold=point.threshold,
            reference=values[0],
            contender=values[1],
            kind="outside" if states == _OPPOSITE else "inside",
        )
    ]


def _disagreement(before: Answer, after: Answer) -> str | None:
    """What one of both could do and the other could not."""
    for subject in SUBJECTS:
        if (subject in before.probabilities) != (subject in after.probabilities):
            who, code = (
                ("the contender", after.reason_code)
                if subject in before.probabilities
                else ("the reference", before.reason_code)
            )
            return f"{who} has no probability for the {_name(subject)} ({code or after.state.value})"
    for side in SIDES:
        if (side in before.joints_px) != (side in after.joints_px):
            who = "the contender" if side in before.joints_px else "the reference"
            return f"{who} does not locate the {_name(side)}"
    return None


def _name(subject: Subject) -> str:
    return "image" if subject == "image" else f"{subject} joint"
