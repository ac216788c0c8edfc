"""From quanta to display values as a workstation makes them, the beam's borders, the marker, the stored values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Processing:
    """How quanta become gray.

    Attributes:
        name: a style, for the record.
        equalise: 0 keeps broad contrast, 0.6 takes most of it away.
        broad_mm: what counts as broad.
        middle_gain, fine_gain: of detail below 6 mm and below 1 mm.
        soft_level, bone_level: display values of soft tissue and dense bone, 0 to 1.
        gamma: of the display values.
    """

    name: str
    equalise: float
    broad_mm: float
    middle_gain: float
    fine_gain: float
    soft_level: float
    bone_level: float
    gamma: float


STYLES = {
    "flat": ((0.05, 0.22), (1.0, 1.1), (1.0, 1.2)),
    "standard": ((0.25, 0.48), (1.05, 1.35), (1.2, 1.7)),
    "crisp": ((0.45, 0.65), (1.2, 1.6), (1.5, 2.4)),
    "soft": ((0.2, 0.45), (1.0, 1.15), (0.6, 0.95)),
}


def processing_from_rng(rng: np.random.Generator) -> Processing:
    """Draw a style."""
    name = str(rng.choice(list(STYLES), p=[0.2, 0.4, 0.25, 0.15]))
    equalise, middle, fine = (float(rng.uniform(*limits)) for limits in STYLES[name])
    return Processing(
        name=name,
        equalise=equalise,
        broad_mm=float(rng.uniform(14, 30)),
        middle_gain=middle,
        fine_gain=fine,
        soft_level=float(np.clip(rng.normal(0.30, 0.05), 0.18, 0.45)),
        bone_level=float(rng.uniform(0.84, 0.97)),
        gamma=float(np.exp(rng.normal(0.0, 0.10))),
    )


def display_from_quanta(quanta: F32, body: npt.NDArray[np.bool_], processing: Processing, pitch: float) -> F32:
    """Display values 0 (black) to 1 (white, dense).

    Args:
        quanta: detected, rows x columns.
        body: where the patient is in the beam; the levels are taken there.
        processing: the style.
        pitch: pixel distance in mm.
    """
    value = -np.log(quanta)
    inner = value[body] if body.any() else value.ravel()
    middle = float(np.median(inner[::37]))
    value = np.clip(value - np.float32(middle), -3.5, 4.0)
    broad = _low_pass(value, processing.broad_mm, pitch)
    medium = _low_pass(value, 2.2, pitch)
    fine = value - cv2.GaussianBlur(value, (0, 0), max(0.45 / pitch, 0.5))
    out = broad * np.float32(1.0 - processing.equalise)
    out += (value - broad) + np.float32(processing.middle_gain - 1.0) * (medium - broad)
    out += np.float32(processing.fine_gain - 1.0) * fine
    sample = out[body][::37] if body.any() else out.ravel()[::37]
    low, high = (float(q) for q in np.quantile(sample, [0.30, 0.992]))
    gain = (processing.bone_level - processing.soft_level) / max(high - low, 1e-3)
    shown = processing.soft_level + (out - np.float32(low)) * np.float32(gain)
    return _tone(shown, processing.gamma)


def _tone(shown: F32, gamma: float) -> F32:
    """A toe below 0.25 and a shoulder above 0.85, then a gamma."""
    toe = 0.25 * np.exp(np.minimum((shown - 0.25) / 0.25, 0.0))
    shoulder = 0.85 + 0.15 * (1.0 - np.exp(-np.maximum(shown - 0.85, 0.0) / 0.15))
    out = np.where(shown < 0.25, toe, np.where(shown > 0.85, shoulder, shown))
    final: F32 = (np.clip(out, 0.0, 1.0) ** np.float32(gamma)).astype(np.float32)
    return final


def _low_pass(value: F32, sigma_mm: float, pitch: float) -> F32:
    step = max(1, int(sigma_mm / pitch / 4))
    rows, columns = value.shape
    small = cv2.resize(value, (max(4, columns // step), max(4, rows // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_mm / (pitch * columns / small.shape[1]))
    out: F32 = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return out


@dataclass(frozen=True)
class Collimation:
    """The beam's border.

    Attributes:
        kind: ``"none"``, ``"black"`` or ``"white"``: what the display shows outside the beam.
        edges_mm: left, top, right, bottom, from the detector's border.
        turn_deg: of the collimator against the detector.
        soft_mm: width of the penumbra.
    """

    kind: Literal["none", "black", "white"]
    edges_mm: tuple[float, float, float, float]
    turn_deg: float
    soft_mm: float


def collimation_from_rng(rng: np.random.Generator, kind: Literal["none", "black", "white"] | None) -> Collimation:
    """Draw the collimator; ``kind`` lays down what is shown outside."""
    drawn = str(rng.choice(["none", "black", "white"], p=[0.35, 0.5, 0.15]))
    edges = rng.uniform(3.0, 22.0, 4)
    turn, soft = float(rng.normal(0.0, 0.5)), float(rng.choice([0.4, 1.2, 3.0]))
    chosen = kind or drawn
    if chosen == "none":
        return Collimation("none", (0.0, 0.0, 0.0, 0.0), 0.0, soft)
    left, top, right, bottom = (float(e) for e in edges)
    return Collimation("black" if chosen == "black" else "white", (left, top, right, bottom), turn, soft)


def field_from_collimation(collimation: Collimation, shape: tuple[int, int], pitch: float) -> F32:
    """1 in the beam, 0 outside, rows x columns."""
    if collimation.kind == "none":
        return np.ones(shape, np.float32)
    rows, columns = shape
    left, top, right, bottom = (e / pitch for e in collimation.edges_mm)
    corners = np.array([(left, top), (columns - right, top), (columns - right, rows - bottom), (left, rows - bottom)])
    a = np.deg2rad(collimation.turn_deg)
    middle = np.array([columns / 2, rows / 2])
    turned = (corners - middle) @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + middle
    field = np.zeros(shape, np.float32)
    cv2.fillConvexPoly(field, np.rint(turned * 16).astype(np.int32), 1.0, lineType=cv2.LINE_8, shift=4)
    blurred = cv2.GaussianBlur(field, (0, 0), max(collimation.soft_mm / pitch / 2, 0.3))
    out: F32 = blurred.astype(np.float32)
    return out


@dataclass(frozen=True)
class Marker:
    """A side marker burned in.

    Attributes:
        letter: ``"L"``, ``"R"`` or ``"none"``.
        at: column and row of the letter's middle, as shares of the image.
        height_mm: of the letter.
        turn_deg: clockwise.
        lead: True where it lay in the beam and has its noise, False where the workstation wrote it.
    """

    letter: Literal["L", "R", "none"]
    at: tuple[float, float]
    height_mm: float
    turn_deg: float
    lead: bool


def marker_from_rng(rng: np.random.Generator, letter: Literal["L", "R", "none"] | None) -> Marker:
    """Draw the marker; ``letter`` lays it down. It lies on its own side: the patient's left is on the image's right."""
    drawn = str(rng.choice(["L", "R", "none"], p=[0.45, 0.45, 0.1]))
    chosen = letter or drawn
    across = float(rng.uniform(0.06, 0.14))
    down = float(rng.choice([rng.uniform(0.08, 0.2), rng.uniform(0.6, 0.9)]))
    height, turn, lead = float(rng.uniform(9, 16)), float(rng.normal(0, 5)), bool(rng.random() < 0.5)
    if chosen == "L":
        return Marker("L", (1.0 - across, down), height, turn, lead)
    return Marker("R" if chosen == "R" else "none", (across, down), height, turn, lead)


def stencil_from_marker(marker: Marker, shape: tuple[int, int], pitch: float) -> F32:
    """1 on the letter, 0 elsewhere, rows x columns."""
    out = np.zeros(shape, np.float32)
    if marker.letter == "none":
        return out
    size = int(np.ceil(2 * marker.height_mm / pitch))
    tile = np.zeros((size, size), np.uint8)
    stroke = max(1, round(marker.height_mm / pitch / 7))
    face = cv2.FONT_HERSHEY_SIMPLEX
    (_, unit), _ = cv2.getTextSize(marker.letter, face, 1.0, stroke)
    scale = marker.height_mm / pitch / unit
    (width, height), _ = cv2.getTextSize(marker.letter, face, scale, stroke)
    cv2.putText(tile, marker.letter, ((size - width) // 2, (size + height) // 2), face, scale, 255, stroke)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), -marker.turn_deg, 1.0)
    turned = cv2.warpAffine(tile, turn, (size, size))
    left = int(np.clip(marker.at[0] * shape[1] - size / 2, 0, shape[1] - size))
    top = int(np.clip(marker.at[1] * shape[0] - size / 2, 0, shape[0] - size))
    out[top : top + size, left : left + size] = turned.astype(np.float32) / 255.0
    return out


@dataclass(frozen=True)
class Storage:
    """How display values are stored.

    Attributes:
        photometric: ``"MONOCHROME1"`` or ``"MONOCHROME2"``.
        bits_stored: 10 to 16.
        low, high: stored values of display 0 and 1 before a MONOCHROME1 inversion, as shares of the range.
    """

    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    bits_stored: int
    low: float
    high: float


def storage_from_rng(
    rng: np.random.Generator, photometric: Literal["MONOCHROME1", "MONOCHROME2"] | None, bits: int | None
) -> Storage:
    """Draw the storage; the arguments lay it down."""
    first = "MONOCHROME1" if rng.random() < 0.3 else "MONOCHROME2"
    drawn = int(rng.choice([10, 12, 12, 12, 14, 14, 15, 16]))
    full = rng.random() < 0.6
    low, high = float(rng.uniform(0, 0.06)), float(rng.uniform(0.86, 1.0))
    chosen = photometric or first
    return Storage(
        "MONOCHROME1" if chosen == "MONOCHROME1" else "MONOCHROME2",
        drawn if bits is None else bits,
        0.0 if full else low,
        1.0 if full else high,
    )


def stored_from_display(shown: F32, storage: Storage) -> npt.NDArray[np.uint16]:
    """Stored values, rows x columns."""
    top = (1 << storage.bits_stored) - 1
    value = np.rint(top * (storage.low + (storage.high - storage.low) * shown))
    if storage.photometric == "MONOCHROME1":
        value = top - value
    out: npt.NDArray[np.uint16] = value.astype(np.uint16)
    return out
