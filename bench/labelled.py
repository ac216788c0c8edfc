"""A segmenter whose answers are replaced, for weights that mean nothing and find no joint."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_sacro.engine import Engine
from edge_sacro.engine.base import Array
from edge_sacro.locate import CLASSES, SegmentationGeometry
from edge_sacro.manifest import MANIFEST_NAME, manifest_from_json
from edge_sacro.parity.watch import AroundEngine


class LabelledSegmenters:
    """Makes segmenters that run, and then answer with the labels that they were given, window by window.

    Args:
        bundle: folder of the bundle whose windows they are.
        labels: label of each pixel, at any size.
    """

    def __init__(self, bundle: Path, labels: npt.NDArray[np.uint8]) -> None:
        settings = manifest_from_json((bundle / MANIFEST_NAME).read_bytes(), str(bundle)).segmentation
        if settings is None:
            raise TypeError("the bundle has no segmenter")
        starts = SegmentationGeometry(settings.size, settings.window, settings.overlap).starts
        small = cv2.resize(labels, (settings.size, settings.size), interpolation=cv2.INTER_NEAREST)
        planes = (small == np.arange(CLASSES)[:, None, None]).astype(np.float32)[None]
        part = settings.window
        self._answers = [planes[:, :, y : y + part, x : x + part] for x in starts for y in starts]

    def around(self, engine: Engine) -> Engine:
        """One that runs this engine."""
        return _Labelled(engine, self._answers)


class _Labelled(AroundEngine):
    def __init__(self, inner: Engine, answers: list[Array]) -> None:
        super().__init__(inner)
        self._answers = cycle(answers)

    def _run(self, inputs: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        self.inner.run(inputs, deadline=deadline)
        return {"logits": next(self._answers)}
