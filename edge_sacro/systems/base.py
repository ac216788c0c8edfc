"""What a system is to the runtime: what it reads, what it computes, and where its cut-offs were published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_sacro.engine import Engine
from edge_sacro.manifest import Manifest
from edge_sacro.regions import JointRegion
from edge_sacro.stages import StageClock
from edge_sacro.types import Box, OperatingPoint, Radiograph


@dataclass(frozen=True)
class Assessment:
    """What a system computes from one radiograph, before any decision. Boxes are in canonical view.

    Attributes:
        left, right: the patient's joints.
        crop: what the classifier saw, or None where it did not run.
        probability: of definite radiographic sacroiliitis, 0 to 1, or None where the classifier did not run.
        reason_code: why there is no probability, or None.
        notes: what a reader of the report must know.
    """

    left: JointRegion
    right: JointRegion
    crop: Box | None
    probability: float | None
    reason_code: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """A published system.

    Attributes:
        name: as manifests give it.
        citation: the paper.
        modalities: values of Modality (0008,0060) that it reads.
        operating_points: the published cut-offs.
        assess: the method, from a radiograph to an assessment.
    """

    name: str
    citation: str
    modalities: frozenset[str]
    operating_points: tuple[OperatingPoint, ...]
    assess: Callable[[Radiograph, Manifest, Mapping[str, Engine], StageClock], Assessment]
