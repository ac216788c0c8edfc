"""Which class a pixel is taught, so that the fixed joint rule gives the joint's true box.

In a projection sacrum and ilium overlap, but a network answers with one class a pixel, and the runtime's rule is fixed:
the sacrum, dilated by a square of ``dilation`` times its height, where it meets an ilium. So the joint is painted as a
rounded box of its true extents: inside it a core of sacrum, one radius smaller all round and joined to the sacrum's
body by a neck, and around the core a ring of ilium. Outside the joint no ilium may come within a radius of the sacrum;
such pixels are background. The rule then finds the ring, and the ring's box is the joint's.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.locate import LEFT_PELVIS, RIGHT_PELVIS, SACRUM, Labels

Bits = npt.NDArray[np.uint8]

SACRUM_BIT, LEFT_HIP, RIGHT_HIP, LEFT_JOINT, RIGHT_JOINT = 1, 2, 4, 8, 16
"""Bits of a truth mask, by the patient's side; masks overlap as projections do."""

ROUNDNESS = 5.0
"""Exponent of the superellipse that stands for a joint: 2 is an ellipse, infinity its box."""

INSET = 0.06, 0.02
"""Parts of its width and of its height by which a painted joint stands back, on its inner side and at either end.

Networks blur such edges and a box takes the outermost pixel, so that found boxes reached so far beyond the true ones on
validation images.
"""

NECK = 0.34
"""Part of the core's height that joins it to the sacrum's body."""

CLEARANCE = 2.2
"""How far outside the joints the ilium keeps from the sacrum, in radii: a leak there would stretch the joint's box."""

LEAST = 6
"""A joint of fewer pixels than this either way is no joint: its ring would have no core."""


@dataclass(frozen=True)
class Frame:
    """Rows and columns of the radiograph that the square label map stands for; the aspect is not kept."""

    rows: int
    columns: int


def labels_from_bits(bits: Bits, frame: Frame, dilation: float) -> Labels:
    """Paint one class a pixel from overlapping truth masks.

    Args:
        bits: rows x columns, uint8, the masks' bits, canonical view.
        frame: size of the radiograph that the masks were resized from.
        dilation: the rule's half-width as a fraction of the sacrum's height.

    Returns:
        rows x columns, uint8: 0 background, 1 sacrum, 2 the ilium at the image's left (the patient's right), 3 the
        other.
    """
    sacrum = (bits & SACRUM_BIT) > 0
    occupied = np.flatnonzero(sacrum.any(axis=1))
    height = occupied[-1] - occupied[0] if occupied.size else 0
    down = round(float(dilation * height))
    across = round(float(dilation * height * (frame.rows / bits.shape[0]) / (frame.columns / bits.shape[1])))
    radius = max(down, 1), max(across, 1)
    pelvis = {LEFT_PELVIS: (bits & RIGHT_HIP) > 0, RIGHT_PELVIS: (bits & LEFT_HIP) > 0}
    joints = np.zeros_like(sacrum)
    cores = np.zeros_like(sacrum)
    beside = np.zeros_like(sacrum)
    clear = round(CLEARANCE * radius[0]) + 1, round(CLEARANCE * radius[1]) + 1
    for label, bit in ((LEFT_PELVIS, RIGHT_JOINT), (RIGHT_PELVIS, LEFT_JOINT)):
        joint = rounded_box((bits & bit) > 0, medial_is_right=label == LEFT_PELVIS)
        core = _core(joint, radius, medial_is_right=label == LEFT_PELVIS)
        pelvis[label] |= joint
        joints |= joint
        cores |= core
        beside |= _beside(joint, clear[1], outwards=-1 if label == LEFT_PELVIS else 1)
    body = sacrum & ~joints & ~beside
    near = (cv2.dilate(body.view(np.uint8), _rectangle(clear)) > 0) & ~beside
    labels = np.zeros(bits.shape, np.uint8)
    for label, mask in pelvis.items():
        labels[mask & (joints | ~near)] = label
    labels[body | cores] = SACRUM
    return labels


def rounded_box(mask: npt.NDArray[np.bool_], *, medial_is_right: bool) -> npt.NDArray[np.bool_]:
    """The superellipse in the box around a mask, less ``INSET``; empty where the mask is empty or too small."""
    result = np.zeros_like(mask)
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    inner, ends = round(INSET[0] * width), round(INSET[1] * height)
    x, width = x if medial_is_right else x + inner, width - inner
    y, height = y + ends, height - 2 * ends
    if min(width, height) < LEAST:
        return result
    down = np.abs((np.arange(height) + 0.5) / height * 2 - 1) ** ROUNDNESS
    across = np.abs((np.arange(width) + 0.5) / width * 2 - 1) ** ROUNDNESS
    result[y : y + height, x : x + width] = down[:, None] + across[None, :] <= 1
    return result


def _core(joint: npt.NDArray[np.bool_], radius: tuple[int, int], *, medial_is_right: bool) -> npt.NDArray[np.bool_]:
    """The joint less one radius all round, with the neck that leads to the sacrum's body."""
    core = cv2.erode(joint.view(np.uint8), _rectangle(radius), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    x, y, width, height = cv2.boundingRect(core.view(np.uint8))
    if width == 0:
        return core
    half = max(round(NECK * height / 2), 1)
    middle = y + height // 2
    start, stop = (x, x + width + radius[1] + 2) if medial_is_right else (max(x - radius[1] - 2, 0), x + width)
    core[max(middle - half, 0) : middle + half, start:stop] = True
    return core


def _beside(joint: npt.NDArray[np.bool_], width: int, *, outwards: int) -> npt.NDArray[np.bool_]:
    """What lies just outside the joint on its outer side, at half height: there the ring goes over into the ilium."""
    strip = np.zeros_like(joint)
    x, y, columns, rows = cv2.boundingRect(joint.view(np.uint8))
    if columns:
        start, stop = (x + columns // 2, x + columns + width) if outwards > 0 else (max(x - width, 0), x + columns // 2)
        strip[y + rows // 4 : y + rows - rows // 4, start:stop] = True
    return strip & ~joint


def _rectangle(radius: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return np.ones((2 * radius[0] + 1, 2 * radius[1] + 1), np.uint8)


def joint_ellipse(shape: tuple[int, ...], box: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    """A superellipse in a joint's box that may reach beyond the image: what is warped in training in place of the box.

    Args:
        shape: rows and columns of the mask.
        box: x0, y0, x1, y1 in its pixels.
    """
    x0, y0, x1, y1 = box
    down = np.abs((np.arange(shape[0]) + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2)) ** 2.5
    across = np.abs((np.arange(shape[1]) + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2)) ** 2.5
    return np.asarray(down[:, None] + across[None, :] <= 1)
