"""The bones beside the pelvis in a CT slice: the lower lumbar vertebrae and both femora, each with an even wall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_sacro.phantom.mesh import Floats, Grid
from edge_sacro.phantom.solids import F32
from edge_sacro.phantom.spine_femur import FEMUR_GRID, VERTEBRA_GRID, femur_field, vertebra_field


@dataclass(frozen=True)
class Neighbour:
    """A bone and where it lies.

    Attributes:
        field: its signed distance, mm, on ``grid``.
        grid: in the bone's own frame.
        wall_mm: thickness of its cortical bone.
        turn_deg: about x; positive, the front goes down.
        to: where its origin lies in the mean anatomy, mm.
        side: -1.0 where it is the mirror image of the bone that the field holds.
    """

    field: Callable[[], F32]
    grid: Grid
    wall_mm: float
    turn_deg: float = 0.0
    to: tuple[float, float, float] = (0.0, 0.0, 0.0)
    side: float = 1.0

    def own_points(self, points: Floats) -> Floats:
        """Points of the mean anatomy, n x 3 in mm, in the bone's own frame."""
        a = np.deg2rad(self.turn_deg)
        turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        moved: Floats = (points * np.array([self.side, 1.0, 1.0]) - np.array(self.to)) @ turn
        return moved


def neighbour_bones() -> tuple[Neighbour, ...]:
    """L5, L4 and the femora, where the radiographs' pelvis has them."""
    return (
        Neighbour(vertebra_field, VERTEBRA_GRID, 0.8, 24.0, (0.0, 138.0, -11.0)),
        Neighbour(vertebra_field, VERTEBRA_GRID, 0.8, 8.0, (0.0, 174.0, -1.0)),
        Neighbour(femur_field, FEMUR_GRID, 0.9),
        Neighbour(femur_field, FEMUR_GRID, 0.9, side=-1.0),
    )
