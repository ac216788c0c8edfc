"""Simulated radiographs as the runtime sees them, with their truth, small enough to keep in memory.

Images come from two generators: the phantom inside Edge-Sacro, and folders of another simulator (``truth.json``, DICOM
files and ``masks/*.png``). Both pass through the runtime's own reader, normaliser and canonical view, so that training
and use see the same gray values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro import dicom
from edge_sacro.grades import is_definite
from edge_sacro.orient import canonical_from_stored
from edge_sacro.phantom import render
from edge_sacro.phantom.dx import bytes_from_phantom
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.resize import area_resize
from edge_sacro.types import SIDES, Box
from export.demonstration.labels import LEFT_JOINT, RIGHT_JOINT, Bits, Frame, joint_ellipse

Gray = npt.NDArray[np.uint8]
Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""

CACHED = 448
"""Rows and columns of a cached whole image; the network's are fewer, so that an augmented crop loses nothing."""

MARGIN = 0.3
"""How far a cached patch reaches beyond the box of both joints, as a part of that box."""


@dataclass(frozen=True, eq=False)
class Example:
    """One simulated radiograph in canonical view.

    Attributes:
        image: CACHED x CACHED, uint8, the whole radiograph, aspect not kept.
        bits: as ``image``; bits of sacrum, hip bones, and joints as ellipses in their true boxes.
        frame: rows and columns of the radiograph.
        boxes: left and right joint in the radiograph's pixels, cut at its border; None where nothing of it is inside.
        grades: modified New York grade, left and right.
        patch: pixels at full size around both joints.
        corner: column and row of the patch's first pixel in the radiograph.
        source: generator and number.
    """

    image: Gray
    bits: Bits
    frame: Frame
    boxes: tuple[Box | None, Box | None]
    grades: tuple[int, int]
    patch: Gray
    corner: tuple[int, int]
    source: str

    @property
    def positive(self) -> bool:
        """Definite radiographic disease by the modified New York criterion."""
        return is_definite(*self.grades)


@dataclass(frozen=True, eq=False)
class Source:
    """A radiograph as DICOM bytes with its truth, before any processing. Boxes as floats, stored pixels."""

    name: str
    data: bytes
    masks: Bits
    boxes: tuple[Corners, Corners]
    grades: tuple[int, int]


def simulator_files(folder: Path) -> list[Path]:
    """The DICOM files of one of the simulator's folders, in the order of its ``truth.json``.

    Raises:
        FileNotFoundError: the folder holds no ``truth.json``.
    """
    return [folder / record["file"] for record in _simulator_records(folder)]


@lru_cache(maxsize=32)
def _simulator_records(folder: Path) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads((folder / "truth.json").read_text())["images"])


def simulator_source(file: Path) -> Source:
    """One image of the simulator, with the truth that stands beside it.

    Raises:
        FileNotFoundError: its mask is absent.
        StopIteration: ``truth.json`` does not list it.
    """
    record = next(each for each in _simulator_records(file.parent) if each["file"] == file.name)
    mask = file.parent / record["mask"]
    masks = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
    if masks is None:
        raise FileNotFoundError(str(mask))
    joints = [record["sij"][side] for side in SIDES]
    return Source(
        f"simulator {file.name}",
        file.read_bytes(),
        np.asarray(masks, np.uint8),
        (_corners(joints[0]["box_px"]), _corners(joints[1]["box_px"])),
        (int(joints[0]["grade"]), int(joints[1]["grade"])),
    )


def _corners(values: Sequence[float]) -> Corners:
    x0, y0, x1, y1 = (float(value) for value in values)
    return x0, y0, x1, y1


def phantom_source(seed: int) -> Source:
    """The phantom of a seed, all else drawn from it."""
    phantom = render(seed)
    left, right = (phantom.truth.joint(side) for side in SIDES)
    boxes = _corners(left.box.as_list()), _corners(right.box.as_list())
    data = bytes_from_phantom(phantom)
    return Source(f"phantom {seed}", data, phantom.truth.masks, boxes, (left.grade, right.grade))


def example_from_source(source: Source) -> Example:
    """Read, normalise and shrink one radiograph.

    Raises:
        InputRefused: the runtime would refuse it.
    """
    radiograph = dicom.read(source.data, name=source.name, isolation="none")
    gray = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
    rows, columns = gray.shape
    image = np.rint(area_resize(gray, (CACHED, CACHED))).astype(np.uint8)
    bits: Bits = np.array(cv2.resize(source.masks & 7, (CACHED, CACHED), interpolation=cv2.INTER_NEAREST), np.uint8)
    scale = np.array([CACHED / columns, CACHED / rows] * 2)
    for box, bit in zip(source.boxes, (LEFT_JOINT, RIGHT_JOINT), strict=True):
        bits[joint_ellipse(bits.shape, tuple(np.array(box) * scale))] |= bit
    boxes = tuple(visible_box(box, (rows, columns)) for box in source.boxes)
    patch, corner = _patch(gray, source.boxes)
    return Example(
        image,
        bits,
        Frame(rows, columns),
        (boxes[0], boxes[1]),
        source.grades,
        patch,
        corner,
        source.name,
    )


def visible_box(box: Corners, shape: tuple[int, int]) -> Box | None:
    """The part of a box inside an image of ``shape``, on the pixel grid, or None."""
    x0, y0 = max(round(box[0]), 0), max(round(box[1]), 0)
    x1, y1 = min(round(box[2]), shape[1]), min(round(box[3]), shape[0])
    return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _patch(gray: Gray, boxes: tuple[Corners, ...]) -> tuple[Gray, tuple[int, int]]:
    corners = np.array(boxes)
    x0, y0 = corners[:, :2].min(axis=0)
    x1, y1 = corners[:, 2:].max(axis=0)
    wide, high = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
    box = visible_box((x0 - wide, y0 - high, x1 + wide, y1 + high), (gray.shape[0], gray.shape[1]))
    if box is None:
        return np.zeros((2, 2), np.uint8), (0, 0)
    return np.array(gray[box.y0 : box.y1, box.x0 : box.x1]), (box.x0, box.y0)
