"""Whether an axial CT slice passes through both sacroiliac joints, told from Hounsfield units and geometry alone.

Ours: Fu 2024 does not say how its slices were chosen. On a grid of 1 mm, in the patient's own directions:

1. The body is the largest piece above ``BODY_HU``, without the couch; its posterior half lies below its middle row.
2. Bone is what is above ``BONE_HU`` after a light blur, its cancellous inside filled. Its midline lies halfway between
   its outermost columns, and ``LOPSIDED_MM`` from the body's at most: else a side is missing.
3. The sacrum is the bone at the midline in the posterior half, with what lies within a foramen's width of it; bone of
   less than ``SACRUM_MM2`` there is no sacrum but a coccyx or a spinous process.
4. The ilium of a side is the piece that reaches furthest out, ``ILIUM_OUT_MM`` from the midline at least.
5. The slice passes through the joints where, on both sides, sacrum and ilium are one piece (a joint that is narrow or
   ankylosed) or face each other at up to ``GAP_MM`` over ``CONTACT_MM`` of depth, in the posterior half.

Above the joints the ilia stand apart from L5 and the promontory, below them the sciatic notch lies between.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.orient import canonical_from_stored
from edge_sacro.types import Radiograph

BODY_HU, BONE_HU = -300.0, 150.0
BLUR_MM = 0.8
FIELD_MM = (100, 1000)
"""Sides of the image; a header that says otherwise is wrong, and a grid of its size would take any memory."""

HOLE_MM2 = 2500.0
"""Cancellous bone of low density, a canal or a foramen is a hole of at most this area; the pelvis is a larger one."""

BODY_MM2, SPECK_MM2, ILIUM_MM2, SACRUM_MM2 = 10_000.0, 20.0, 150.0, 200.0
COUCH_MM, FORAMEN_MM = 4, 12
LOPSIDED_MM = 30.0
MIDLINE_MM, ALA_MM, ILIUM_OUT_MM = 12.0, 32.0, 65.0
"""From the midline: how far the sacrum's own bone starts, its ala, and where an ilium must reach to."""

GAP_MM, CONTACT_MM, SACRUM_HALF_MM = 7.0, 8.0, 50.0
_AIR = -1024.0

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Pieces = npt.NDArray[np.int32]


@dataclass(frozen=True)
class SliceSelection:
    """Whether a slice passes through both joints.

    Attributes:
        through_joints: it does.
        reason: a code of ``edge_sacro.reasons.SLICE_REASONS`` where it does not, else None.
    """

    through_joints: bool
    reason: str | None


def selection_from_radiograph(radiograph: Radiograph) -> SliceSelection:
    """The selection of an axial slice in Hounsfield units, however it is stored."""
    spacing = radiograph.spacing
    if spacing is None:
        return SliceSelection(False, "spacing_absent")
    gray = radiograph.grayscale
    table = gray.table.copy()
    if gray.padding is not None:
        first, last = (bound - gray.first for bound in gray.padding)
        table[max(first, 0) : max(last + 1, 0)] = _AIR
    units = canonical_from_stored(table[radiograph.stored.astype(np.int32) - gray.first], radiograph.orientation)
    steps = (spacing.row_mm, spacing.column_mm)
    return selection_from_units(units, steps[::-1] if radiograph.orientation.row in "AP" else steps)


def selection_from_units(units: Floats, steps_mm: tuple[float, float]) -> SliceSelection:
    """The selection of a slice in canonical view.

    Args:
        units: rows x columns, Hounsfield units; the patient's left at the right, the front at the top.
        steps_mm: between rows, between columns.
    """
    rows, columns = (round(min(n * step, 2 * FIELD_MM[1])) for n, step in zip(units.shape, steps_mm, strict=True))
    if not (FIELD_MM[0] <= min(rows, columns) and max(rows, columns) <= FIELD_MM[1]):
        return SliceSelection(False, "spacing_implausible")
    finer = min(steps_mm) < 1.0
    resized = cv2.resize(units, (columns, rows), interpolation=cv2.INTER_AREA if finer else cv2.INTER_LINEAR)
    grid = np.asarray(resized, np.float32)
    body = _body_middle(grid)
    reason = "body_not_found" if body is None else _reason_against(_bone_pieces(grid), body)
    return SliceSelection(reason is None, reason)


def _reason_against(pieces: Pieces, body: tuple[int, float]) -> str | None:
    """Why the slice does not pass through both joints, or None.

    Args:
        pieces: numbered bone.
        body: row and column of the body's middle.
    """
    taken = np.flatnonzero((pieces > 0).any(axis=0))
    if not taken.size:
        return "sacrum_not_seen"
    midline = (int(taken[0]) + int(taken[-1])) / 2
    if abs(midline - body[1]) > LOPSIDED_MM:
        return "ilium_not_seen"
    across = np.arange(pieces.shape[1], dtype=np.float64) - midline
    behind = pieces[body[0] :]
    ilia = [_ilium(pieces, across), _ilium(pieces, -across)]
    sacrum = _sacrum(behind, np.abs(across), ilia)
    if np.count_nonzero(sacrum[:, np.abs(across) <= SACRUM_HALF_MM]) < SACRUM_MM2:
        return "sacrum_not_seen"
    if 0 in ilia:
        return "ilium_not_seen"
    gap = cv2.distanceTransform((~sacrum).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    narrow = False
    for ilium, side in zip(ilia, (1, -1), strict=True):
        bone = (behind == ilium) & (across * side > 0)
        if (sacrum & bone).any() or bone[:, np.abs(across) <= ALA_MM].any():
            continue
        facing = int((bone & (gap <= GAP_MM)).any(axis=1).sum())
        if not facing:
            return "joint_space_wide"
        narrow = narrow or facing < CONTACT_MM
    return "slice_contact_short" if narrow else None


def _body_middle(grid: Floats) -> tuple[int, float] | None:
    """The row and the column halfway through the body, or None where there is none."""
    opened = cv2.morphologyEx((grid > BODY_HU).astype(np.uint8), cv2.MORPH_OPEN, _disc(COUCH_MM))
    count, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return None
    largest = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    if largest[cv2.CC_STAT_AREA] < BODY_MM2:
        return None
    row = int(largest[cv2.CC_STAT_TOP] + largest[cv2.CC_STAT_HEIGHT] // 2)
    return row, float(largest[cv2.CC_STAT_LEFT] + (largest[cv2.CC_STAT_WIDTH] - 1) / 2)


def _bone_pieces(grid: Floats) -> Pieces:
    """Bone with its holes filled, numbered by piece from 1; 0 elsewhere."""
    bone = (cv2.GaussianBlur(grid, (0, 0), BLUR_MM) > BONE_HU).astype(np.uint8)
    bone = np.asarray(cv2.morphologyEx(bone, cv2.MORPH_CLOSE, _disc(1)), np.uint8)
    _, holes, stats, _ = cv2.connectedComponentsWithStats(1 - bone, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] <= HOLE_MM2
    small[0] = False
    small[np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))] = False
    bone[small[holes]] = 1
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(bone, connectivity=8)
    pieces[(stats[:, cv2.CC_STAT_AREA] < SPECK_MM2)[pieces]] = 0
    return np.asarray(pieces, np.int32)


def _ilium(pieces: Pieces, outward: npt.NDArray[np.float64]) -> int:
    """The number of the piece that reaches furthest out on one side, or 0.

    Args:
        pieces: numbered bone.
        outward: of each column, mm from the midline; negative on the other side.
    """
    numbers, areas = np.unique(pieces[:, outward > 0], return_counts=True)
    found, furthest = 0, ILIUM_OUT_MM
    for number in numbers[(numbers > 0) & (areas >= ILIUM_MM2)]:
        reach = float(outward[(pieces == number).any(axis=0)].max())
        if reach > furthest:
            found, furthest = int(number), reach
    return found


def _sacrum(behind: Pieces, away: npt.NDArray[np.float64], ilia: list[int]) -> Mask:
    """The bone at the midline and, across foramina, what belongs to it.

    Args:
        behind: numbered bone of the posterior half.
        away: of each column, mm from the midline.
        ilia: numbers of the pieces that are ilia and are not taken across a foramen.
    """
    taken = set(np.unique(behind[:, away <= MIDLINE_MM]).tolist()) - {0}
    while True:
        mask = np.isin(behind, sorted(taken))
        near = cv2.dilate(mask.view(np.uint8), _disc(FORAMEN_MM)) > 0
        more = set(np.unique(behind[near]).tolist()) - {0, *ilia} - taken
        if not more:
            return mask
        taken |= more


def _disc(radius_mm: int) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_mm + 1, 2 * radius_mm + 1)), np.uint8)
