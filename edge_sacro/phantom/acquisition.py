"""From path lengths to detected quanta: attenuation at three energies, scatter, blur, noise.

Linear attenuation coefficients in 1/mm at 42, 55 and 70 keV are round values for muscle-like tissue, fat, and cortical
bone of density 1.9; they are for the look of an image, not for dosimetry.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.phantom.body import SoftTissue

F32 = npt.NDArray[np.float32]
MUSCLE = (0.0268, 0.0225, 0.0202)
FAT = (0.0219, 0.0192, 0.0177)
CORTICAL = (0.118, 0.073, 0.052)
METAL = (1.6, 0.85, 0.5)
QUANTA_PER_MM2 = 100_000.0
"""Behind the body, at dose 1."""


@dataclass(frozen=True)
class Exposure:
    """How the image was taken.

    Attributes:
        kvp: tube voltage.
        dose: quanta against the usual.
        scatter: scattered against primary quanta behind a body of 220 mm, behind the grid.
        scatter_mm: spread of the scatter on the detector.
        blur_mm: spread of focal spot and detector.
    """

    kvp: float
    dose: float
    scatter: float
    scatter_mm: float
    blur_mm: float

    def spectrum(self) -> tuple[float, float, float]:
        """Shares of the three energies before the patient."""
        hard = (self.kvp - 75.0) / 40.0
        weights = (0.40 - 0.25 * hard, 0.38, 0.22 + 0.25 * hard)
        total = sum(weights)
        return (weights[0] / total, weights[1] / total, weights[2] / total)


def exposure_from_rng(rng: np.random.Generator, dose: float | None) -> Exposure:
    """Draw an exposure; ``dose`` lays the quanta down."""
    drawn = float(np.exp(rng.normal(0.0, 0.55)))
    return Exposure(
        kvp=float(rng.choice([70.0, 73.0, 75.0, 77.0, 80.0, 85.0])),
        dose=drawn if dose is None else dose,
        scatter=float(rng.uniform(0.2, 0.8)),
        scatter_mm=float(rng.uniform(22, 42)),
        blur_mm=float(rng.uniform(0.10, 0.19)),
    )


def transmission(muscle: F32, fat: F32, bone: F32, metal: F32, exposure: Exposure) -> F32:
    """The share of primary quanta that reach the detector; path lengths in mm, bone in place of soft tissue."""
    out = np.zeros_like(bone)
    soft_under_bone = np.float32(0.93)
    for weight, m, f, c, t in zip(exposure.spectrum(), MUSCLE, FAT, CORTICAL, METAL, strict=True):
        line = m * muscle + f * fat + (c - soft_under_bone * m) * bone + t * metal
        out += np.float32(weight) * np.exp(-line)
    return out


def quanta_from_transmission(primary: F32, field: F32, soft: SoftTissue, exposure: Exposure, pitch: float) -> F32:
    """Expected quanta for each pixel, scaled so that the median behind the body is the exposure's.

    Args:
        primary: transmitted share.
        field: 1 in the beam, 0 outside.
        soft: for the amount of scatter.
        exposure: how it was taken.
        pitch: pixel distance in mm.
    """
    primary = primary * field
    rows, columns = primary.shape
    size = (max(8, int(columns * pitch / 8.0)), max(8, int(rows * pitch / 8.0)))
    small = cv2.resize(primary, size, interpolation=cv2.INTER_AREA)
    body = cv2.resize(soft.muscle + soft.fat, size, interpolation=cv2.INTER_AREA)
    amount = exposure.scatter * np.clip(cv2.GaussianBlur(body, (0, 0), 3.0) / 220.0, 0.03, 1.6)
    spread = cv2.GaussianBlur(small, (0, 0), exposure.scatter_mm / 8.0, borderType=cv2.BORDER_REFLECT) * amount
    scatter = cv2.resize(spread, (columns, rows), interpolation=cv2.INTER_LINEAR)
    total = primary + scatter * (0.15 + 0.85 * field)
    sigma = exposure.blur_mm / pitch
    if sigma > 0.15:
        total = cv2.GaussianBlur(total, (0, 0), sigma)
    inner = cv2.resize(total, size, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(field, size, interpolation=cv2.INTER_AREA)
    behind = inner[(body > 60.0) & (seen > 0.9)]
    level = float(np.median(behind)) if behind.size else float(np.median(inner))
    out: F32 = (total * np.float32(exposure.dose * QUANTA_PER_MM2 * pitch * pitch / level)).astype(np.float32)
    return out


def detected(rng: np.random.Generator, quanta: F32) -> F32:
    """One noisy exposure: quantum noise, a little spread by the scintillator, and electronic noise of 3 quanta."""
    noise = rng.standard_normal(quanta.shape, dtype=np.float32) * np.sqrt(quanta)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.5).astype(np.float32) * np.float32(1.0 / 0.62)
    noise += rng.standard_normal(quanta.shape, dtype=np.float32) * np.float32(3.0)
    out: F32 = np.maximum(quanta + noise, 1.0).astype(np.float32)
    return out
