"""What the kernels make of a radiograph, against the reference and against the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sacro.benchmark.quantiles import quantiles_from_samples, rounded
from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.cuda.contrast import classifier_crops
from edge_sacro.cuda.device import Buffer
from edge_sacro.cuda.image import DeviceImage, gray_table_on_device, image_from_radiograph
from edge_sacro.cuda.resized import detector_input, squished_input
from edge_sacro.cuda.segmenter import segmenter_windows
from edge_sacro.cuda.session import Session, Tensor
from edge_sacro.cuda.structs import Encoding
from edge_sacro.cuda.systems import fu2024_input
from edge_sacro.locate import SegmentationGeometry, segmentation_input
from edge_sacro.orient import canonical_from_stored, canonical_size
from edge_sacro.preprocess import tf_resize
from edge_sacro.preprocess.imagenet import imagenet_input
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.squish import squished
from edge_sacro.preprocess.window import windowed
from edge_sacro.types import Box, Radiograph

Array = npt.NDArray[Any]

SEGMENTATION, CLASSIFIER = SegmentationGeometry(), ClassifierGeometry()
SQUISHED, DETECTED, WINDOW, SLICE = (224, 224), 512, (400.0, 1800.0), (224, 224)
SLICE_TOLERANCE = 1e-6
"""OpenCV fuses multiplication and addition on some processors, and not on others."""


@dataclass(frozen=True)
class Input:
    """One network's input.

    Attributes:
        name: of the system and what it is for.
        made: on the device, from a radiograph, its image there and its table of gray levels.
        reference: the same by the specification.
        tolerance: largest absolute difference; 0 for the same bits.
        whole: whether it is made of the whole image, and not of :func:`crop_box`.
    """

    name: str
    made: Callable[[Session, Radiograph, DeviceImage, Buffer], Tensor]
    reference: Callable[[Radiograph], Array]
    tolerance: float = 0.0
    whole: bool = True


def crop_box(radiograph: Radiograph) -> Box:
    """The middle of the canonical view: as large as a crop around both joints is."""
    rows, columns = canonical_size(radiograph.orientation, (radiograph.rows, radiograph.columns))
    return Box(columns // 4, rows // 4, 3 * columns // 4, 5 * rows // 8)


def inputs() -> tuple[Input, ...]:
    """Every input that is not another one's special case."""
    encoding = Encoding()
    return (
        Input(
            "dorfner2024 segmenter",
            lambda _, __, image, table: segmenter_windows(image, SEGMENTATION, encoding, eight_bit=table),
            _windows,
        ),
        Input(
            "dorfner2024 classifier",
            lambda _, radiograph, image, table: classifier_crops(
                image, table, [crop_box(radiograph)], CLASSIFIER, encoding
            ),
            _crop,
            whole=False,
        ),
        Input(
            "bressem2021",
            lambda _, __, image, table: squished_input(image, table, SQUISHED, encoding),
            lambda radiograph: imagenet_input(
                squished(_gray(radiograph), SQUISHED).astype(np.float32) / np.float32(255)
            ),
        ),
        Input(
            "noh2021",
            lambda _, __, image, table: detector_input(image, table, DETECTED, encoding)[0],
            lambda radiograph: tf_resize.detector_input(_gray(radiograph), DETECTED)[0],
        ),
        Input(
            "fu2024",
            lambda session, radiograph, _, __: fu2024_input(session, _hounsfield(radiograph), WINDOW, SLICE, encoding),
            _slice,
            SLICE_TOLERANCE,
        ),
    )


def rows_from_comparison(session: Session, radiograph: Radiograph) -> list[dict[str, Any]]:
    """Each input against the reference. The control is the mirrored radiograph's, which must not pass for it."""
    rows = []
    mirrored = replace(radiograph, stored=np.ascontiguousarray(radiograph.stored[:, ::-1]))
    for each in inputs():
        image = image_from_radiograph(session, radiograph)
        found = each.made(session, radiograph, image, gray_table_on_device(image)).copy()
        expected = each.reference(radiograph)
        difference, control = (_difference(other, expected) for other in (found, each.reference(mirrored)))
        rows.append(
            {
                "input": each.name,
                "values": int(expected.size),
                "difference": difference,
                "tolerance": each.tolerance,
                "control": control,
                "passed": difference <= each.tolerance < control,
            }
        )
    return rows


def timed_stages(
    session: Session, radiograph: Radiograph, runs: int, copy_gb_s: float | None
) -> dict[str, dict[str, Any]]:
    """Milliseconds of each stage of preprocessing, from its call until the device is idle, once it is warm.

    Args:
        session: of the device.
        radiograph: that is prepared.
        runs: timed.
        copy_gb_s: what a copy within the device's memory reaches, to tell how near a stage comes to it; None where it
            is not known.
    """
    stages: dict[str, dict[str, Any]] = {}
    pixels = radiograph.stored.nbytes

    def measure(name: str, work: Callable[[], Any], moved: int) -> Any:
        seconds, made = _seconds(session, work, runs)
        p50_s = float(np.median(seconds))
        stages[name] = {
            "ms": quantiles_from_samples([1e3 * each for each in seconds]).model_dump(),
            "moved_mb": rounded(moved / 1e6),
            "gb_s": rounded(moved / p50_s / 1e9),
            "of_copy": None if copy_gb_s is None else rounded(moved / p50_s / 1e9 / copy_gb_s),
        }
        return made

    image = measure("pixels to the device, histogram", lambda: image_from_radiograph(session, radiograph), 2 * pixels)
    table = measure("gray table", lambda: gray_table_on_device(image), 4 * image.entries)
    for each in inputs():
        if each.name != "fu2024":  # which brings the pixels itself
            read = pixels if each.whole else crop_box(radiograph).area * radiograph.stored.itemsize
            moved = read + each.reference(radiograph).nbytes
            measure(each.name, partial(each.made, session, radiograph, image, table), moved)
    return stages


def _seconds(session: Session, work: Callable[[], Any], runs: int) -> tuple[list[float], Any]:
    made = work()
    session.device.synchronise()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        made = work()
        session.device.synchronise()
        seconds.append(time.perf_counter() - start)
    return seconds, made


def _difference(found: Array, expected: Array) -> float:
    return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max())


def _gray(radiograph: Radiograph) -> npt.NDArray[np.uint8]:
    return canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)


def _windows(radiograph: Radiograph) -> Array:
    resized, side = segmentation_input(_gray(radiograph), SEGMENTATION), SEGMENTATION.window
    starts = SEGMENTATION.starts
    return np.stack([resized[y : y + side, x : x + side] for x in starts for y in starts])[:, None]


def _crop(radiograph: Radiograph) -> Array:
    box = crop_box(radiograph)
    return classifier_input(_gray(radiograph)[box.y0 : box.y1, box.x0 : box.x1], CLASSIFIER)[None, None]


def _hounsfield(radiograph: Radiograph) -> Radiograph:
    """The same pixels, read as a CT slice's."""
    table = np.arange(radiograph.grayscale.table.size, dtype=np.float32) - 1024
    return replace(radiograph, grayscale=replace(radiograph.grayscale, table=table, rescale_type="HU"))


def _slice(radiograph: Radiograph) -> Array:
    import cv2

    image = canonical_from_stored(windowed(_hounsfield(radiograph), *WINDOW), radiograph.orientation)
    resized = cv2.resize(image, SLICE[::-1], interpolation=cv2.INTER_LINEAR)
    return imagenet_input(np.asarray(resized, np.float32))
