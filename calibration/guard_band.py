"""The guard band: how far a probability moves when a radiograph changes by less than its own noise.

A decision that would flip if the detector had rounded one level otherwise is no decision. So each image is assessed as
it is and again with every stored value moved at random by -1, 0 or +1 level. The band's half-width is the quantile
``QUANTILE`` of the differences, or more where a decision flips: then as much as puts one of the two answers inside, so
that no flip is one from positive to negative. It is rounded up to ``STEP``. The images should be none that the networks
were trained on.
"""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from edge_sacro.bundle import Bundle
from edge_sacro.errors import CalibrationRefused
from edge_sacro.manifest import MANIFEST_NAME, GuardBand
from edge_sacro.runtime import Runtime

QUANTILE = 0.95
STEP = 0.005


@dataclass(frozen=True)
class GuardBandMeasurement:
    """What was measured.

    Attributes:
        half_width: of the band, 0 to 1.
        images: how many images gave a probability both times.
        median: median difference.
        largest: largest difference.
        flips: decisions that changed, by the bundle's default operating point, with no band.
    """

    half_width: float
    images: int
    median: float
    largest: float
    flips: int


def measure_guard_band(bundle: Bundle, files: Iterable[Path], seed: int = 0) -> GuardBandMeasurement:
    """Assess each file twice, the second time with stored values moved by up to one level.

    Args:
        bundle: checked; its own guard band plays no part.
        files: uncompressed DICOM files of 16 bits allocated.
        seed: of the random moves.

    Raises:
        CalibrationRefused: fewer than 20 images gave a probability both times.
    """
    generator = np.random.default_rng(seed)
    pairs = []
    with Runtime(bundle) as runtime:
        for file in files:
            given, moved = (runtime.infer(source).probability for source in (file, _moved(file, generator)))
            if given is not None and moved is not None:
                pairs.append((given, moved))
        threshold = runtime.operating_point.threshold
    if len(pairs) < 20:
        raise CalibrationRefused(f"{len(pairs)} images gave a probability both times, and 20 are needed")
    return measurement_from_pairs(np.array(pairs), threshold)


def unstable_images(bundle: Bundle, files: Iterable[Path], limit: float, draws: int = 3) -> dict[str, float]:
    """Images whose FP32 probability moves by more than ``limit`` when stored values move by up to one level.

    Where rounding by the detector already moves an answer so far, no other precision can hold it: the same edge of a
    crop turns over. They are few, and each is counted.

    Args:
        bundle: with FP32 networks.
        files: uncompressed DICOM files of 16 bits allocated.
        limit: of the absolute difference.
        draws: random moves of each image.

    Returns:
        the largest move by the file's SHA-256.
    """
    generator = np.random.default_rng(0)
    found = {}
    with Runtime(bundle, precision="fp32") as runtime:
        for file in files:
            given = runtime.infer(file)
            moved = [runtime.infer(_moved(file, generator)).probability for _ in range(draws)]
            known = [
                abs(each - given.probability) for each in moved if each is not None and given.probability is not None
            ]
            if max(known, default=0.0) > limit:
                found[str(given.source.sha256)] = max(known)
    return found


def measurement_from_pairs(
    pairs: np.ndarray[tuple[int, int], np.dtype[np.float64]], threshold: float
) -> GuardBandMeasurement:
    """The band that pairs of probabilities of the same images, n x 2, ask for around a threshold; none for no pairs."""
    if not len(pairs):
        return GuardBandMeasurement(0.0, 0, 0.0, 0.0, 0)
    differences = np.abs(pairs[:, 0] - pairs[:, 1])
    flips = (pairs > threshold)[:, 0] != (pairs > threshold)[:, 1]
    nearer = np.abs(pairs - threshold).min(axis=1)
    needed = max(float(np.quantile(differences, QUANTILE)), float(nearer[flips].max(initial=0.0)))
    half_width = math.ceil(round(needed / STEP, 6)) * STEP
    return GuardBandMeasurement(
        half_width=round(half_width, 4),
        images=len(pairs),
        median=round(float(np.median(differences)), 5),
        largest=round(float(differences.max()), 5),
        flips=int(flips.sum()),
    )


def write_guard_band(bundle: Bundle, measurement: GuardBandMeasurement, images: str) -> Path:
    """Put the band into the manifest of a bundle's folder."""
    source = (
        f"{QUANTILE:.0%} quantile of |dp| when stored values move by up to one level, or what keeps flips inside; "
        f"{measurement.images} {images}: median {measurement.median}, largest {measurement.largest}, "
        f"flips without it {measurement.flips}"
    )
    band = GuardBand(half_width=measurement.half_width, source=source)
    manifest = bundle.manifest.model_copy(update={"guard_band": band})
    path = Path(bundle.path) / MANIFEST_NAME
    path.write_text(manifest.model_dump_json(indent=2) + "\n")
    return path


def as_text(measurement: GuardBandMeasurement) -> str:
    """One line for each figure."""
    return "\n".join(f"{name}: {value}" for name, value in dataclasses.asdict(measurement).items())


def _moved(file: Path, generator: np.random.Generator) -> bytes:
    dataset = pydicom.dcmread(file)
    stored = np.frombuffer(dataset.PixelData, np.uint16).astype(np.int32)
    moved = np.clip(stored + generator.integers(-1, 2, stored.size), 0, (1 << dataset.BitsStored) - 1)
    dataset.PixelData = moved.astype(np.uint16).tobytes()
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
