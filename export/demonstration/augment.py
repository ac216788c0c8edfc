"""Other exposures, other vendors' processing, and what stands in a radiograph that is no bone.

Everything here changes gray values alone, but for a collimator, behind which nothing is taught. Functions take and
return float32 images, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from export.demonstration.labels import LEFT_JOINT, RIGHT_JOINT, Bits, Frame
from export.demonstration.warp import random_view, warped

Image = npt.NDArray[np.float32]
Random = np.random.Generator

WHOLE = 0.9
"""A joint of which a collimator leaves less than this part is taught as absent, since its box could not be told."""

NEGATIVE = 0.03
"""Part of the images that show no pelvis at all."""


def augmented(
    image: npt.NDArray[np.uint8], bits: Bits, frame: Frame, size: int, random: Random
) -> tuple[Image, Bits, Frame]:
    """A radiograph as another patient on another machine might have given it.

    Args:
        image: whole radiograph, as an example has it.
        bits: its masks.
        frame: its rows and columns.
        size: rows and columns of the result.
        random: everything is drawn from it.

    Returns:
        image 0 to 1, its bits, and the radiograph's size that it stands for.
    """
    if random.random() < NEGATIVE:
        return no_pelvis(size, random), np.zeros((size, size), np.uint8), frame
    seen, seen_bits, seen_frame = warped(image, bits, frame, random_view(random, bits), size, random)
    values: Image = np.asarray(seen, np.float32) / np.float32(255)
    for chance, change in OBJECTS:
        if random.random() < chance:
            values = change(values, random)
    values = processed(values, random)
    if random.random() < 0.3:
        values, seen_bits = collimated(values, seen_bits, random)
    if random.random() < 0.5:
        values = marked(values, random)
    return stretched(values, random), seen_bits, seen_frame


def processed(values: Image, random: Random) -> Image:
    """Exposure and processing: the changes of ``PROCESSING``, each by its chance, in random order."""
    for index in random.permutation(len(PROCESSING)):
        chance, change = PROCESSING[int(index)]
        if random.random() < chance:
            values = change(values, random)
    return values


def stretched(values: Image, random: Random) -> Image:
    """The normaliser's range, a little off, and now and then the wrong way round."""
    low, high = np.quantile(values[::4, ::4], [random.uniform(0, 0.015), random.uniform(0.985, 1)])
    values = np.clip((values - low) / max(float(high - low), 1e-3), 0, 1).astype(np.float32)
    return 1 - values if random.random() < 0.04 else values


def curved(values: Image, random: Random) -> Image:
    """A gamma curve or a sigmoid one, as display curves are."""
    if random.random() < 0.6:
        return np.asarray(np.power(np.clip(values, 0, 1), np.exp(random.normal(0, 0.4))), np.float32)
    centre, slope = random.uniform(0.3, 0.7), random.uniform(4, 9)
    return np.asarray(1 / (1 + np.exp(-slope * (values - centre))), np.float32)


def flattened(values: Image, random: Random) -> Image:
    """Take a part of the slow gray out, as processing for dynamic range does, or bring the detail forward."""
    sigma = random.uniform(0.03, 0.15) * values.shape[0]
    slow = cv2.GaussianBlur(values, (0, 0), sigma)
    return np.asarray(slow * random.uniform(0.1, 1.0) + (values - slow) * random.uniform(0.8, 2.5), np.float32)


def equalised(values: Image, random: Random) -> Image:
    """Contrast-limited equalisation of few or many tiles."""
    tiles = int(random.integers(1, 9))
    equaliser = cv2.createCLAHE(clipLimit=float(random.uniform(1, 6)), tileGridSize=(tiles, tiles))
    return np.asarray(np.asarray(equaliser.apply(_eight_bit(values)), np.float32) / 255, np.float32)


def sharpened(values: Image, random: Random) -> Image:
    """An unsharp mask."""
    fine = values - cv2.GaussianBlur(values, (0, 0), random.uniform(0.8, 4))
    return np.asarray(values + random.uniform(0.3, 2) * fine, np.float32)


def blurred(values: Image, random: Random) -> Image:
    """A Gaussian blur, or fewer pixels."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), random.uniform(0.4, 1.8)), np.float32)


def noisy(values: Image, random: Random) -> Image:
    """Quantum noise, more where less gets through, sometimes coarse."""
    grain = random.normal(0, random.uniform(0.01, 0.07), values.shape).astype(np.float32)
    if random.random() < 0.4:
        grain = np.asarray(2 * cv2.GaussianBlur(grain, (0, 0), random.uniform(0.6, 1.2)), np.float32)
    return np.asarray(values + grain * (0.4 + values), np.float32)


def shaded(values: Image, random: Random) -> Image:
    """Slow brightness over the image: soft tissue, heel effect, a body that is thicker on one side."""
    knots = random.normal(0, random.uniform(0.05, 0.25), (int(random.integers(2, 6)),) * 2).astype(np.float32)
    field = cv2.resize(knots, values.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(values * (1 + field) if random.random() < 0.5 else values + field, np.float32)


def blobs(values: Image, random: Random) -> Image:
    """Bowel gas and stool: soft dark or bright patches."""
    mask = np.zeros_like(values)
    for _ in range(int(random.integers(1, 9))):
        axes = random.uniform(0.01, 0.09, 2) * values.shape[0]
        cv2.ellipse(mask, _point(values, random), (int(axes[0]) + 1, int(axes[1]) + 1), float(random.uniform(0, 180)),
                    0, 360, float(random.uniform(0.3, 1)), -1)  # fmt: skip
    soft = cv2.GaussianBlur(mask, (0, 0), random.uniform(0.5, 4))
    return np.asarray(values - random.choice([1, 1, 1, -0.7]) * random.uniform(0.05, 0.35) * soft, np.float32)


def implanted(values: Image, random: Random) -> Image:
    """Metal: a hip prosthesis, screws, clips, a coil; white and with hard edges."""
    metal = np.zeros_like(values)
    size = values.shape[0]
    kind = int(random.integers(3))
    x, y = _point(values, random)
    if kind == 0:
        radius = int(size * random.uniform(0.025, 0.06))
        cv2.circle(metal, (x, y), radius, 1.0, -1)
        angle = random.uniform(0.2, 2.9)
        tip = np.array([np.cos(angle), np.sin(angle)]) * size * random.uniform(0.1, 0.3)
        cv2.line(metal, (x, y), (x + int(tip[0]), y + int(tip[1])), 1.0, max(int(radius * random.uniform(0.4, 1)), 1))
    else:
        for _ in range(int(random.integers(1, 6))):
            start = _point(values, random)
            reach = random.normal(0, size * (0.08 if kind == 1 else 0.015), 2)
            end = start[0] + int(reach[0]), start[1] + int(reach[1])
            cv2.line(metal, start, end, 1.0, int(random.integers(1, 6 if kind == 1 else 3)))
    level = random.uniform(0.85, 1.3)
    return np.asarray(values * (1 - metal) + level * metal, np.float32)


def limbs(values: Image, random: Random) -> Image:
    """Long bones that lie elsewhere than in the simulation: abducted femurs, hands, edges of a table."""
    result = values
    for _ in range(int(random.integers(1, 3))):
        bar = np.zeros_like(values)
        x, y = _point(values, random)
        reach = random.normal(0, 0.5 * values.shape[0], 2)
        width = int(values.shape[0] * random.uniform(0.02, 0.1)) + 1
        cv2.line(bar, (x, y), (x + int(reach[0]), y + int(reach[1])), 1.0, width)
        inner = cv2.GaussianBlur(bar, (0, 0), width / 4)
        shaft = np.clip(bar - 0.5 * inner, 0, 1) * cv2.GaussianBlur(bar, (0, 0), 1.0)
        result = result + random.uniform(0.05, 0.45) * shaft
    return np.asarray(result, np.float32)


def erased(values: Image, random: Random) -> Image:
    """Rectangles of one gray or of noise, small enough to leave the anatomy readable."""
    values = values.copy()
    for _ in range(int(random.integers(1, 4))):
        x, y = _point(values, random)
        width, height = (int(values.shape[0] * random.uniform(0.02, 0.12)) for _ in range(2))
        values[y : y + height, x : x + width] = random.uniform(0, 1)
    return values


def marked(values: Image, random: Random) -> Image:
    """Side markers and annotations: letters, bright or dark, anywhere."""
    for _ in range(int(random.integers(1, 4))):
        text = str(random.choice(["R", "L", "AP", "STEH", "LIEGEND", "12:40", "KV 77", "PORT", "O", "+"]))
        size = values.shape[0] / 320 * random.uniform(0.4, 1.6)
        level, width = float(random.choice([1.0, 1.0, 0.0, 0.8])), int(random.integers(1, 4))
        ink = np.zeros(values.shape, np.uint8)
        cv2.putText(ink, text, _point(values, random), cv2.FONT_HERSHEY_SIMPLEX, size, 255, width, cv2.LINE_AA)
        share = ink.astype(np.float32) / 255
        values = np.asarray(values * (1 - share) + level * share, np.float32)
    return values


def collimated(values: Image, bits: Bits, random: Random) -> tuple[Image, Bits]:
    """A collimator's border, turned a little, black, white or glowing; a joint that it cuts is taught as absent."""
    size = values.shape[0]
    near, far = random.uniform(-0.15, 0.25, 2) * size, random.uniform(-0.15, 0.25, 2) * size
    corners = np.array(
        [[near[0], near[1]], [size - far[0], near[1]], [size - far[0], size - far[1]], [near[0], size - far[1]]]
    )
    turn = random.normal(0, 0.03)
    centre = corners.mean(axis=0)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = (corners - centre) @ matrix.T + centre
    field = np.zeros_like(values)
    cv2.fillPoly(field, [np.rint(corners).astype(np.int32)], 1.0)
    inside = field > 0
    soft = cv2.GaussianBlur(field, (0, 0), random.uniform(0.3, 2.5))
    level = np.full_like(values, random.choice([0.0, 0.0, 1.0, 1.0, random.uniform(0, 1)]))
    if random.random() < 0.3:
        level = shaded(level, random)
    cut = np.where(inside, bits, 0).astype(np.uint8)
    for bit in (LEFT_JOINT, RIGHT_JOINT):
        if np.count_nonzero(cut & bit) < WHOLE * np.count_nonzero(bits & bit):
            cut &= np.uint8(255 - bit)
    return np.asarray(values * soft + level * (1 - soft), np.float32), cut


def no_pelvis(size: int, random: Random) -> Image:
    """Something that is no pelvis: clouds, bars, discs, letters, noise."""
    values = np.full((size, size), random.uniform(0, 0.6), np.float32)
    for change in (shaded, blobs, limbs, shaded, implanted, noisy):
        if random.random() < 0.7:
            values = change(values, random)
    return stretched(marked(processed(values, random), random), random)


def _point(values: Image, random: Random) -> tuple[int, int]:
    return int(random.integers(values.shape[1])), int(random.integers(values.shape[0]))


def _eight_bit(values: Image) -> npt.NDArray[np.uint8]:
    return np.asarray(np.clip(values, 0, 1) * 255, np.uint8)


Change = Callable[[Image, Random], Image]

OBJECTS: tuple[tuple[float, Change], ...] = ((0.4, blobs), (0.2, implanted), (0.2, limbs), (0.15, erased))
"""What stands in the image, and how often."""

PROCESSING: tuple[tuple[float, Change], ...] = (
    (0.6, curved),
    (0.3, flattened),
    (0.12, equalised),
    (0.25, sharpened),
    (0.25, blurred),
    (0.5, noisy),
    (0.5, shaded),
)
"""What is done to the image, and how often; the order is drawn."""
