"""What a system is to the runtime: what it reads, what it computes, and where its cut-offs were published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sacro.classify import classification_from_logits
from edge_sacro.engine import Engine
from edge_sacro.explain import OUTPUT, ClassMaps, View
from edge_sacro.locate import Labels
from edge_sacro.manifest import Manifest, NetworkName
from edge_sacro.orient import canonical_size
from edge_sacro.regions import JointRegion
from edge_sacro.slices import SliceSelection
from edge_sacro.stages import StageClock
from edge_sacro.systems.contract import BundleContract
from edge_sacro.systems.inputs import Inputs
from edge_sacro.types import Box, OperatingPoint, Radiograph

Array = npt.NDArray[np.float32]

RADIOGRAPHY = frozenset({"DX", "CR"})
"""Values of Modality that a radiograph has."""

NOT_LOCATED = JointRegion(None, "not_located_by_system")
"""A joint of a system that classifies the whole image."""

DISEASE = (
    ("no definite radiographic sacroiliitis", "definite radiographic sacroiliitis"),
    ("nr-axSpA", "r-axSpA"),
)
"""Wordings of two classes of which the second is definite radiographic sacroiliitis."""


@dataclass(frozen=True)
class Assessment:
    """What a system computes from one image, before any decision. Boxes are in canonical view.

    Attributes:
        left, right: the patient's joints.
        crop: what the classifier saw, or None where it did not run or saw the whole image.
        probability: of the disease in the image, 0 to 1, or None where there is none.
        reason_code: why there is no probability, or why it holds for one joint alone: it is then the larger of those
            that there are, a positive one decides, and any other leaves the image not assessable. Else None.
        notes: what a reader of the report must know.
        left_probability, right_probability: of the disease in each joint, where the system tells them apart.
        maps: what the classifier's graph explains of its answer; None where it has no such output or did not run.
        labels: the anatomy of each pixel in canonical view, as ``edge_sacro.locate`` numbers it; None where the system
            segments nothing.
    """

    left: JointRegion
    right: JointRegion
    crop: Box | None
    probability: float | None
    reason_code: str | None
    notes: tuple[str, ...] = ()
    left_probability: float | None = None
    right_probability: float | None = None
    maps: ClassMaps | None = None
    labels: Labels | None = None


AssessWith: TypeAlias = Callable[[Radiograph, Manifest, Mapping[str, Engine], StageClock, Inputs], Assessment]


@dataclass(frozen=True)
class System:
    """A published system.

    Attributes:
        name: as manifests give it.
        citation: the paper.
        modalities: values of Modality (0008,0060) that it reads.
        operating_points: the cut-offs, the one to begin with first; each source says who states it.
        contract: what a bundle with this manifest must be.
        assess: the method, from one image to an assessment. A series is many images, each with its own.
        assess_with: the same with its networks' inputs made by whom the runtime chooses; None where the system makes
            them itself, on the host.
        networks: that a bundle brings; with each, the manifest has that network's settings.
        hounsfield_window: whether the manifest has a window for CT values.
        reference: the paper's name in ``edge_sacro.reference.PAPERS``; None where its figures are not held.
        high_risk: above it the publication calls a prediction confident; None where it has no such rule.
        select: whether a slice counts for its series; None where images are no slices and there is no series.
    """

    name: str
    citation: str
    modalities: frozenset[str]
    operating_points: tuple[OperatingPoint, ...]
    contract: Callable[[Manifest], BundleContract]
    assess: Callable[[Radiograph, Manifest, Mapping[str, Engine], StageClock], Assessment]
    networks: frozenset[NetworkName] = frozenset({"classifier"})
    hounsfield_window: bool = False
    reference: str | None = None
    high_risk: OperatingPoint | None = None
    select: Callable[[Radiograph], SliceSelection] | None = None
    assess_with: AssessWith | None = None


def canonical_shape(radiograph: Radiograph) -> tuple[int, int]:
    """Rows and columns of the radiograph's canonical view."""
    return canonical_size(radiograph.orientation, (radiograph.rows, radiograph.columns))


def outputs_from_image(engine: Engine, image: Array, clock: StageClock) -> dict[str, Array]:
    """Run a network of one input before the deadline."""
    (given,) = engine.spec.inputs
    return engine.run({given.name: image}, deadline=clock.deadline)


def classified(engine: Engine, image: Array, clock: StageClock, view: View) -> tuple[float, ClassMaps | None]:
    """Run a classifier: the probability of disease, and its own explanation where it has one.

    Args:
        engine: the classifier.
        image: its input.
        clock: whose deadline holds.
        view: how the image stands in the input.
    """
    return classification(outputs_from_image(engine, image, clock), view)


def classification(outputs: Mapping[str, Array], view: View) -> tuple[float, ClassMaps | None]:
    """A classifier's answer: the probability of disease, and its own explanation where it has one.

    Args:
        outputs: of the classifier.
        view: how the image stands in its input.
    """
    maps = ClassMaps(outputs[OUTPUT][0], view) if OUTPUT in outputs else None
    return classification_from_logits(outputs["logits"]).probability, maps
