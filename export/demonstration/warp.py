"""Other anatomy, other pose, other field of view: smooth warps of a cached radiograph and its masks together.

A warp is a map from the augmented image's pixels to the cached one's. It crops or widens the field, turns, shears,
stretches either axis and bends smoothly, and mirrors with the sides' bits exchanged, so that the patient's left stays
at the image's right.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from export.demonstration.labels import (
    LEFT_HIP,
    LEFT_JOINT,
    RIGHT_HIP,
    RIGHT_JOINT,
    SACRUM_BIT,
    Bits,
    Frame,
)

Gray = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """What part of the cached image is seen, and how.

    Attributes:
        centre: x and y in the cached image, 0 to 1.
        extent: width and height seen, in parts of the cached image.
        turn: radians.
        shear: horizontal, in parts of the height.
        bend: standard deviation of the smooth displacement, in parts of the extent.
        mirrored: left and right exchanged, sides too.
    """

    centre: tuple[float, float]
    extent: tuple[float, float]
    turn: float
    shear: float
    bend: float
    mirrored: bool


def random_view(random: np.random.Generator, bits: Bits) -> View:
    """Draw a field of view: mostly the whole pelvis, sometimes one side or a part, sometimes much around it."""
    kind = random.random()
    # Radiographs are upright or oblong and all become square: an aspect is a stretch.
    stretch = np.exp(random.normal(0, 0.14))
    if kind < 0.62:
        zoom = random.uniform(0.78, 1.18)
        centre = random.normal(0.5, 0.05, 2)
    elif kind < 0.88:
        zoom = random.uniform(0.45, 0.9)
        stretch = np.exp(random.normal(-0.1, 0.22))
        centre = _point_near_bone(random, bits)
    else:
        zoom = random.uniform(1.15, 1.7)
        centre = random.normal(0.5, 0.12, 2)
    return View(
        (float(centre[0]), float(centre[1])),
        (float(zoom * stretch), float(zoom / stretch)),
        float(random.normal(0, 0.07)),
        float(random.normal(0, 0.06)),
        float(random.choice([0.0, 0.01, 0.02, 0.03])),
        bool(random.random() < 0.5),
    )


def _point_near_bone(random: np.random.Generator, bits: Bits) -> npt.NDArray[np.float64]:
    """A centre somewhere in one hip bone or in the sacrum, moved a little."""
    bit = (SACRUM_BIT, LEFT_HIP, RIGHT_HIP)[int(random.integers(3))]
    rows, columns = np.nonzero(bits & bit)
    if rows.size == 0:
        return random.normal(0.5, 0.1, 2)
    chosen = int(random.integers(rows.size))
    point = np.array([columns[chosen] / bits.shape[1], rows[chosen] / bits.shape[0]])
    return np.asarray(point + random.normal(0, 0.06, 2))


def warped(
    image: Gray, bits: Bits, frame: Frame, view: View, size: int, random: np.random.Generator
) -> tuple[Gray, Bits, Frame]:
    """See image and masks through a view.

    Args:
        image: cached radiograph, square.
        bits: its masks.
        frame: rows and columns of the radiograph; turning keeps its physical aspect.
        view: what to see.
        size: rows and columns of the result.
        random: for the bend and the gray outside the image.

    Returns:
        size x size image and bits, and the size of the radiograph that they would be a reduction of. A joint that the
        border cuts has no bits: it is taught as absent, since its box could not be told.
    """
    map_x, map_y = _maps(frame, view, size, random)
    scale = np.float32(image.shape[0])
    outside = int(random.choice([0, 0, 0, 255, int(random.integers(256))]))
    seen = cv2.remap(image, map_x * scale - 0.5, map_y * scale - 0.5, cv2.INTER_LINEAR, borderValue=outside)
    remapped = cv2.remap(bits, map_x * scale - 0.5, map_y * scale - 0.5, cv2.INTER_NEAREST, borderValue=0)
    rows, columns = round(frame.rows * view.extent[1]), round(frame.columns * view.extent[0])
    seen_bits: Bits = np.array(remapped, np.uint8)
    for bit in (LEFT_JOINT, RIGHT_JOINT):
        if _touches_border(seen_bits, bit) or _touches_border(bits, bit):
            seen_bits &= np.uint8(255 - bit)
    if view.mirrored:
        seen_bits = sides_exchanged(seen_bits)
    return np.asarray(seen, np.uint8), seen_bits, Frame(max(rows, 1), max(columns, 1))


def sides_exchanged(bits: Bits) -> Bits:
    """The same masks with left and right named the other way."""
    table = np.arange(256, dtype=np.uint8)
    for left, right in ((LEFT_HIP, RIGHT_HIP), (LEFT_JOINT, RIGHT_JOINT)):
        has_left, has_right = (table & left) > 0, (table & right) > 0
        swap = has_left != has_right
        table[swap] ^= np.uint8(left | right)
    return np.asarray(table[bits])


def _touches_border(bits: Bits, bit: int) -> bool:
    mask = (bits & bit) > 0
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _maps(frame: Frame, view: View, size: int, random: np.random.Generator) -> tuple[Map, Map]:
    """For each pixel of the result, x and y in the cached image, 0 to 1."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    x, y = np.meshgrid(axis * view.extent[0] * frame.columns, axis * view.extent[1] * frame.rows)
    if view.mirrored:
        x = -x
    x = x + view.shear * y
    cosine, sine = np.cos(view.turn), np.sin(view.turn)
    x, y = cosine * x - sine * y, sine * x + cosine * y
    if view.bend > 0:
        reach = view.bend * max(frame.rows * view.extent[1], frame.columns * view.extent[0])
        x, y = x + reach * _smooth(random, size), y + reach * _smooth(random, size)
    map_x, map_y = x / frame.columns + view.centre[0], y / frame.rows + view.centre[1]
    return map_x.astype(np.float32), map_y.astype(np.float32)


def _smooth(random: np.random.Generator, size: int) -> Map:
    """A smooth field of about unit deviation."""
    knots = int(random.integers(4, 8))
    field = random.normal(0, 1, (knots, knots)).astype(np.float32)
    return np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
