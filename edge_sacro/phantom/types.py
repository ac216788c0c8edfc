"""What the phantom takes and gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import UsageError
from edge_sacro.grades import is_definite
from edge_sacro.phantom.disease import JointDisease
from edge_sacro.types import SIDES, Box, Side

SACRUM, LEFT_HIP, RIGHT_HIP, LEFT_JOINT, RIGHT_JOINT = 1, 2, 4, 8, 16
"""Bits of :attr:`PhantomTruth.masks`."""
GRADES = range(5)
NOTICE = "SIMULATED PHANTOM - NOT A PATIENT - NOT FOR CLINICAL USE"


@dataclass(frozen=True)
class PhantomOptions:
    """What is laid down beforehand; None is drawn from the seed.

    Attributes:
        spacing_mm: distance of detector pixels, 0.1 to 1.0.
        field_mm: height and width of the detector, each 200 to 450.
        left_grade, right_grade: 0 to 4, of the patient's left and right joint.
        marker: letter burned in on its own side, or ``"none"``.
        photometric: Photometric Interpretation.
        bits_stored: 10 to 16.
        collimation: what lies outside the beam: ``"none"``, ``"black"`` or ``"white"`` borders.
        implant: a hip prosthesis on one side.
        gas: bowel gas and stool.
        tilt_deg: pelvic tilt, front down positive, -25 to 25.
        rotation_deg: towards the patient's left, -15 to 15.
        roll_deg: in the image plane, -15 to 15.
        thickness_mm: of the body from front to back at the hips, 140 to 420.
        dose: quanta behind the body against the usual exposure, 0.02 to 20.
    """

    spacing_mm: float = 0.2
    field_mm: tuple[float, float] | None = None
    left_grade: int | None = None
    right_grade: int | None = None
    marker: Literal["L", "R", "none"] | None = None
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] | None = None
    bits_stored: int | None = None
    collimation: Literal["none", "black", "white"] | None = None
    implant: bool | None = None
    gas: bool | None = None
    tilt_deg: float | None = None
    rotation_deg: float | None = None
    roll_deg: float | None = None
    thickness_mm: float | None = None
    dose: float | None = None

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "spacing_mm": (0.1, 1.0),
            "left_grade": (0, 4),
            "right_grade": (0, 4),
            "bits_stored": (10, 16),
            "tilt_deg": (-25, 25),
            "rotation_deg": (-15, 15),
            "roll_deg": (-15, 15),
            "thickness_mm": (140, 420),
            "dose": (0.02, 20),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"the phantom's {name} is {value}, not within {low} to {high}", source=name)
        if self.field_mm is not None and not all(200 <= v <= 450 for v in self.field_mm):
            raise UsageError(f"the phantom's field is {self.field_mm} mm, not within 200 to 450", source="field_mm")


@dataclass(frozen=True)
class JointTruth:
    """One joint.

    Attributes:
        grade: 0 to 4.
        box: in stored pixels, tight round the projected joint space (0.5 to 99.5 percent of it along either axis),
            cut at the image's border.
        whole: False where the image's border cuts more than 2 percent of the joint off.
        disease: what was drawn beside the grade.
    """

    grade: int
    box: Box
    whole: bool
    disease: JointDisease


@dataclass(frozen=True, eq=False)
class PhantomTruth:
    """What is true of one simulated radiograph.

    Attributes:
        left, right: the patient's joints; the left one lies on the right of the image.
        masks: rows x columns, uint8, bits 1 sacrum, 2 left and 4 right hip bone, 8 left and 16 right joint space;
            they overlap, as projections do, and go on under collimated borders.
        parameters: pose, body, exposure, processing, marker, collimation, as plain numbers and strings.
    """

    left: JointTruth
    right: JointTruth
    masks: npt.NDArray[np.uint8]
    parameters: dict[str, Any]

    def joint(self, side: Side) -> JointTruth:
        """The joint of the patient's ``side``."""
        return self.left if side == "left" else self.right

    @property
    def mny_positive(self) -> bool:
        """The modified New York criterion."""
        return is_definite(self.left.grade, self.right.grade)

    def box_of(self, bit: int) -> Box | None:
        """The box round one bit's mask, or None where it is empty."""
        ys, xs = np.nonzero(self.masks & bit)
        return Box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1) if ys.size else None

    def as_dict(self) -> dict[str, Any]:
        """Everything but the masks, as JSON takes it."""
        joints = {}
        for side in SIDES:
            joint = self.joint(side)
            joints[side] = {
                "grade": joint.grade,
                "box_px": joint.box.as_list(),
                "whole": joint.whole,
                "disease": asdict(joint.disease),
            }
        bones = {"sacrum": SACRUM, "left_hip": LEFT_HIP, "right_hip": RIGHT_HIP}
        boxes = {name: self.box_of(bit) for name, bit in bones.items()}
        return {
            "joints": joints,
            "mny_positive": self.mny_positive,
            "bone_boxes_px": {name: box.as_list() if box else None for name, box in boxes.items()},
            "parameters": self.parameters,
        }


@dataclass(frozen=True, eq=False)
class Phantom:
    """One simulated radiograph.

    Attributes:
        pixels: rows x columns, uint16, stored values.
        bits_stored: 10 to 16.
        photometric_interpretation: ``"MONOCHROME1"`` or ``"MONOCHROME2"``.
        spacing_mm: distance of detector pixels, both axes.
        window: centre and width that display it well, in stored values.
        seed: what it was drawn from.
        truth: what is true of it.
    """

    pixels: npt.NDArray[np.uint16]
    bits_stored: int
    photometric_interpretation: Literal["MONOCHROME1", "MONOCHROME2"]
    spacing_mm: float
    window: tuple[float, float]
    seed: tuple[int, ...]
    truth: PhantomTruth
