"""The bundle on simulated radiographs of unseen seeds, by the runtime's own stages, from DICOM to probability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro import dicom
from edge_sacro.bundle import Bundle, load_bundle
from edge_sacro.engine import Engine, open_engine
from edge_sacro.grades import is_definite
from edge_sacro.locate import Labels, SegmentationGeometry, segment
from edge_sacro.orient import canonical_from_stored
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.stages import StageClock
from edge_sacro.systems import SYSTEMS
from edge_sacro.types import Box
from export.demonstration.baseline import trivial_features
from export.demonstration.data import Gray, Source, phantom_source, simulator_files, simulator_source, visible_box
from export.demonstration.labels import LEFT_JOINT, RIGHT_JOINT, Frame, joint_ellipse, labels_from_bits
from export.demonstration.train_segmenter import PAINTED_DILATION

FIRST_HELD_OUT_SEED = 900_000
"""Phantoms from this seed on are never trained on."""

EDGE = 2
"""A true joint box this close to the image's border, in pixels, belongs to a joint that is cut off."""


@dataclass(frozen=True, eq=False)
class Case:
    """One radiograph's answer beside its truth. Boxes are left and right joint, in canonical pixels.

    Attributes:
        source: generator and number.
        truth, found: boxes; None where a joint is cut off, or was not found.
        grades: modified New York grade, left and right.
        probability: None where not assessable.
        reasons: why a joint has no box.
        dice: of sacrum, image-left and image-right ilium as the network was taught them.
        features: trivial ones, for the baseline.
        preview: the image with labels and boxes.
    """

    source: str
    truth: tuple[Box | None, Box | None]
    found: tuple[Box | None, Box | None]
    grades: tuple[int, int]
    probability: float | None
    reasons: tuple[str | None, str | None]
    dice: tuple[float, float, float]
    features: npt.NDArray[np.float64]
    preview: Gray

    @property
    def positive(self) -> bool:
        """Definite radiographic disease by the modified New York criterion."""
        return is_definite(*self.grades)

    @property
    def ious(self) -> list[float]:
        """Of each joint that is whole in truth; 0 where it was not found."""
        pairs = zip(self.truth, self.found, strict=True)
        return [true.iou(box) if box else 0.0 for true, box in pairs if true]


class Evaluator:
    """A bundle's networks, opened once. Close it after use.

    Args:
        bundle: folder, zip file, or ``"demonstration"``.
        threads: threads of one inference.
    """

    def __init__(self, bundle: str | Path, threads: int = 1) -> None:
        self.bundle: Bundle = load_bundle(bundle)
        self._stack = ExitStack()
        self.engines: dict[str, Engine] = {}
        for name, network in self.bundle.manifest.networks.items():
            model = self.bundle.model(name, self.bundle.manifest.default_precision, "onnxruntime")
            engine = open_engine("onnxruntime", network.spec(name), model, threads)
            self.engines[name] = self._stack.enter_context(closing(engine))

    def close(self) -> None:
        """Give back the networks."""
        self._stack.close()

    def case(self, source: Source) -> Case:
        """Assess one simulated radiograph.

        Raises:
            InputRefused: the runtime would refuse it.
        """
        manifest = self.bundle.manifest
        radiograph = dicom.read(source.data, name=source.name, isolation="none")
        assessment = SYSTEMS[manifest.system].assess(radiograph, manifest, self.engines, StageClock())
        gray = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
        labels = self.labels(gray)
        truth = tuple(whole_box(box, gray.shape) for box in source.boxes)
        regions = assessment.left, assessment.right
        found = regions[0].box, regions[1].box
        return Case(
            source.name,
            (truth[0], truth[1]),
            found,
            source.grades,
            assessment.probability,
            (regions[0].reason, regions[1].reason),
            self._dice(labels, source),
            trivial_features(gray, source.boxes),
            _preview(gray, labels, source, found),
        )

    def labels(self, gray: Gray) -> Labels:
        """What the segmenter makes of a radiograph, at its size."""
        settings = self.bundle.manifest.segmentation
        if settings is None:
            raise ValueError("the bundle has no segmenter")
        geometry = SegmentationGeometry(settings.size, settings.window, settings.overlap)
        engine = self.engines["segmenter"]
        return segment(gray, lambda image: engine.run({"image": image})["logits"], geometry)

    def _dice(self, labels: Labels, source: Source) -> tuple[float, float, float]:
        settings = self.bundle.manifest.segmentation
        if settings is None:
            raise ValueError("the bundle has no segmenter")
        size = settings.size
        bits = np.array(cv2.resize(source.masks & 7, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8)
        scale = np.array([size / labels.shape[1], size / labels.shape[0]] * 2)
        for box, bit in zip(source.boxes, (LEFT_JOINT, RIGHT_JOINT), strict=True):
            bits[joint_ellipse(bits.shape, tuple(np.array(box) * scale))] |= bit
        taught = labels_from_bits(bits, Frame(*labels.shape), PAINTED_DILATION)
        small = cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST)
        values = [dice(small == label, taught == label) for label in (1, 2, 3)]
        return values[0], values[1], values[2]


def held_out_sources(phantoms: int, folders: Sequence[Path]) -> Iterator[tuple[str, Source]]:
    """Every held-out radiograph with the name of its generator."""
    for number in range(phantoms):
        yield "phantom", phantom_source(FIRST_HELD_OUT_SEED + number)
    for folder in folders:
        for file in simulator_files(folder):
            yield "simulator", simulator_source(file)


def dice(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """Twice the common area over the sum of both; 1 where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0


def whole_box(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> Box | None:
    """The true box on the pixel grid, or None where the image's border cuts it."""
    inside = box[0] >= EDGE and box[1] >= EDGE and box[2] <= shape[1] - EDGE and box[3] <= shape[0] - EDGE
    return visible_box(box, (shape[0], shape[1])) if inside else None


PALETTE = np.array([[0, 0, 0], [0, 80, 80], [0, 0, 90], [90, 0, 0]], np.float32)
TRUE_COLOUR, FOUND_COLOUR = (0, 255, 0), (255, 255, 255)


def _preview(gray: Gray, labels: Labels, source: Source, found: Sequence[Box | None]) -> Gray:
    canvas = np.clip(gray[..., None] * np.float32(0.75) + PALETTE[labels], 0, 255).astype(np.uint8)
    for box in source.boxes:
        corners = [round(value) for value in box]
        cv2.rectangle(canvas, (corners[0], corners[1]), (corners[2], corners[3]), TRUE_COLOUR, 4)
    for each in found:
        if each:
            cv2.rectangle(canvas, (each.x0, each.y0), (each.x1, each.y1), FOUND_COLOUR, 4)
    height = round(480 * gray.shape[0] / gray.shape[1])
    return np.asarray(cv2.resize(canvas, (480, height), interpolation=cv2.INTER_AREA), np.uint8)
