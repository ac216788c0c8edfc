"""The parity document: what was compared, what was measured, what the budget allows, as JSON has it."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_sacro import __version__
from edge_sacro.manifest import Precision
from edge_sacro.report import Ignored, PixelBox, Probability, Software
from edge_sacro.types import State

Subject = Literal["image", "left", "right"]
"""Whose probability it is: the image's, or that of a joint of the patient."""

SUBJECTS: tuple[Subject, ...] = ("image", "left", "right")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Budget(_Strict):
    """The largest differences from the reference that are allowed, of one precision. A missing row is an error.

    Attributes:
        probability: absolute difference of a probability.
        auc: absolute difference of the area under the ROC curve, where truth is known.
        auc_pairs: pairs of a positive and a negative image below which that area is not judged: with fewer, one pair
            that changes places moves it by more than is allowed.
        box_iou: least overlap of a crop or a joint's box with the reference's, as intersection over union.
        explanation: least correlation of an explanation with the reference's.
        flips: decisions from positive to negative or back, the guard band applied.
        disagreements: images or joints that one of both could assess or locate, and the other could not.
    """

    probability: Annotated[float, Field(ge=0, le=1)]
    auc: Annotated[float, Field(ge=0, le=1)]
    auc_pairs: Annotated[int, Field(ge=1)]
    box_iou: Annotated[float, Field(ge=0, le=1)]
    explanation: Annotated[float, Field(ge=-1, le=1)]
    flips: Annotated[int, Field(ge=0)]
    disagreements: Annotated[int, Field(ge=0)]


class BundleRecord(_Strict):
    """Which networks were compared. ``networks`` has the SHA-256 of each ONNX file, whatever else the bundle holds."""

    name: str
    version: str
    system: str
    demonstration: bool
    statement: str
    networks: dict[str, str]


class CutOff(_Strict):
    """An operating point that decisions were compared at."""

    name: str
    threshold: float
    source: str


class Answer(_Strict):
    """What one contender, or the reference, said of an image; the probability of each subject that has one."""

    state: State
    reason_code: str | None
    probabilities: dict[Subject, Probability]
    crop_px: PixelBox | None
    joints_px: dict[Literal["left", "right"], PixelBox]


class Instance(_Strict):
    """One image, the reference's answer, and the truth where a phantom's record tells it."""

    name: str
    sha256: str | None
    truth: bool | None
    reference: Answer


class TensorDifference(_Strict):
    """One tensor of one network, over its calls for an image.

    Attributes:
        role: ``input``: as the stages before made it, end to end. ``output``: answers to the reference's own inputs.
        relative_rms: ``rms`` as a part of the reference's root mean square.
        correlation, peak_distance: of an explanation alone, the latter in its cells.
    """

    network: str
    tensor: str
    role: Literal["input", "output"]
    max_abs: float
    rms: float
    relative_rms: float
    cosine: float
    correlation: float | None = None
    peak_distance: float | None = None


class Flip(_Strict):
    """A cut-off that lies between the reference's probability and the contender's.

    Attributes:
        kind: ``outside``: one answers positive and the other negative. ``inside``: the guard band makes at least one
            of them borderline, so that nobody is told the opposite.
    """

    instance: str
    subject: Subject
    operating_point: str
    threshold: float
    reference: float
    contender: float
    kind: Literal["inside", "outside"]


class Comparison(_Strict):
    """One image, contender against reference.

    Attributes:
        probability_differences: contender less reference.
        box_iou: of ``crop``, ``left`` and ``right``, where both have one.
        disagreement: what one of both could do and the other could not, or None.
    """

    instance: str
    answer: Answer
    probability_differences: dict[Subject, float]
    box_iou: dict[Literal["crop", "left", "right"], float]
    disagreement: str | None
    tensors: list[TensorDifference]
    flips: list[Flip]


class Worst(_Strict):
    """The value that is farthest from the reference, and the image that has it."""

    value: float
    instance: str


class TensorSummary(_Strict):
    """One tensor over all images: the worst of each measure."""

    network: str
    tensor: str
    role: Literal["input", "output"]
    max_abs: Worst
    relative_rms: Worst
    cosine: Worst


class Area(_Strict):
    """Areas under the ROC curve on the images that both gave a probability for.

    Attributes:
        pairs: of a positive and a negative image.
        judged: whether they are enough for the budget to apply.
    """

    reference: float
    contender: float
    difference: float
    pairs: int
    judged: bool


class Summary(_Strict):
    """All images of one contender. None where there was nothing to measure it on."""

    instances: int
    with_probability: int
    probability: Worst | None
    probability_median: float | None
    area: Area | None
    box_iou: Worst | None
    explanation: Worst | None
    flips_outside: int
    flips_inside: int
    disagreements: int
    tensors: list[TensorSummary]


class Breach(_Strict):
    """One line of the budget that is broken."""

    measure: str
    sentence: str


class Contender(_Strict):
    """One backend in one precision.

    Attributes:
        failure: the backend's error, where it refused a network or failed; its images end there.
    """

    backend: str
    version: str
    precision: Precision
    budget: Budget
    failure: str | None
    comparisons: list[Comparison]
    summary: Summary
    breaches: list[Breach]

    @property
    def name(self) -> str:
        """As the command line has it."""
        return f"{self.backend}:{self.precision}"


class LeftOut(_Strict):
    """A backend that nobody asked for by name and that cannot be used here."""

    name: str
    reason: str


class Layer(_Strict):
    """One activation inside a network, quantised against FP32, over the images it was measured on.

    Attributes:
        position: of the operator that makes it, in the FP32 graph's order.
        elements: values in it.
    """

    network: str
    precision: Precision
    tensor: str
    operator: str
    position: int
    elements: int
    max_abs: float
    relative_rms: float
    cosine: float


class Reference(_Strict):
    """What everything is held against."""

    backend: str
    version: str
    precision: Precision


class Document(_Strict):
    """One parity measurement."""

    schema_version: Literal["1.0"] = "1.0"
    software: Software = Software(version=__version__)
    bundle: BundleRecord
    reference: Reference
    control: str | None
    guard_band: float
    operating_points: list[CutOff]
    instances: list[Instance]
    contenders: list[Contender]
    left_out: list[LeftOut]
    ignored: list[Ignored]
    layers: list[Layer] = []

    @property
    def holds(self) -> bool:
        """Whether every contender keeps its budget, and there is one."""
        return bool(self.contenders) and not any(contender.breaches for contender in self.contenders)

    def record(self) -> Document:
        """The document as a bundle keeps it: figures of all images, and no image, name or path."""
        contenders = [
            contender.model_copy(update={"comparisons": [], "summary": _nameless(contender.summary)})
            for contender in self.contenders
        ]
        return self.model_copy(update={"instances": [], "ignored": [], "contenders": contenders})


def json_from_document(document: Document) -> str:
    """Canonical JSON: keys sorted, one space, UTF-8 text, one line end at the end."""
    return json.dumps(document.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _nameless(summary: Summary) -> Summary:
    def bare(worst: Worst | None) -> Worst | None:
        return None if worst is None else Worst(value=worst.value, instance="")

    tensors = [
        tensor.model_copy(update={key: bare(getattr(tensor, key)) for key in ("max_abs", "relative_rms", "cosine")})
        for tensor in summary.tensors
    ]
    update = {key: bare(getattr(summary, key)) for key in ("probability", "box_iou", "explanation")}
    return summary.model_copy(update={**update, "tensors": tensors})
