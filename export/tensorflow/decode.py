"""Anchors and the box coder of the Object Detection API, and the best boxes of each class.

Sources: ``multiscale_grid_anchor_generator.py``, ``grid_anchor_generator.py``, ``faster_rcnn_box_coder.py``. A box is
ymin, xmin, ymax, xmax in fractions of the network's square input, not clipped to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from export.tensorflow.pipeline import BoxScales, Pipeline

_LARGEST_LOGARITHM = 80.0
"""The API's own bound: the exponential stays finite."""


def anchor_boxes(pipeline: Pipeline) -> npt.NDArray[np.float32]:
    """All anchors as (anchors, 4) boxes: levels from fine to coarse, rows, columns, ratios, scales within a ratio."""
    return np.concatenate([_level_boxes(pipeline, level) for level in pipeline.pyramid.levels])


class BoxDecoder(nn.Module):
    """Codes of chosen anchors to boxes; the anchors are constants of the graph.

    Args:
        anchors: (anchors, 4) boxes.
        scales: the coder's divisors.
    """

    def __init__(self, anchors: npt.NDArray[np.float32], scales: BoxScales) -> None:
        super().__init__()
        sizes = anchors[:, 2:] - anchors[:, :2]
        centres = anchors[:, :2] + sizes / 2
        self.register_buffer("anchors", torch.from_numpy(np.concatenate([centres, sizes], axis=1)), persistent=False)
        divisors = torch.tensor([scales.y, scales.x, scales.height, scales.width])
        self.register_buffer("divisors", divisors, persistent=False)

    def forward(self, codes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        """Codes (..., 4) and the anchors' centres and sizes (..., 4) to boxes (..., 4)."""
        codes = codes / self.get_buffer("divisors")
        centres = codes[..., :2] * anchors[..., 2:] + anchors[..., :2]
        halves = torch.exp(codes[..., 2:].clamp(max=_LARGEST_LOGARITHM)) * anchors[..., 2:] / 2
        return torch.cat([centres - halves, centres + halves], dim=-1)

    def every(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes of every anchor, (n, anchors, 4), to boxes."""
        boxes: torch.Tensor = self(codes, self.get_buffer("anchors"))
        return boxes

    def best(self, logits: torch.Tensor, codes: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The best boxes of each class of one image.

        Args:
            logits: (1, anchors, classes).
            codes: (1, anchors, 4).
            count: how many, at most the anchors.

        Returns:
            Scores (1, classes, count), descending, 0 to 1, and boxes (1, classes, count, 4).
        """
        best, chosen = torch.topk(logits.transpose(1, 2), count, dim=2)
        places, shape = chosen.flatten(), (1, logits.shape[2], count, 4)
        found = torch.index_select(codes[0], 0, places).reshape(shape)
        anchors = torch.index_select(self.get_buffer("anchors"), 0, places).reshape(shape)
        return torch.sigmoid(best), self(found, anchors)


def _level_boxes(pipeline: Pipeline, level: int) -> npt.NDArray[np.float32]:
    """One level's anchors; a size that the stride divides has the first centre half a stride from the edge."""
    stride, side, anchors = 2**level, pipeline.size, pipeline.anchors
    sizes = np.array(
        [2 ** (index / anchors.scales_per_octave) for index in range(anchors.scales_per_octave)], np.float32
    )
    ratios = np.sqrt(np.array(anchors.aspect_ratios, np.float32))[:, None]
    base = np.float32(stride * anchors.scale)
    heights, widths = (sizes / ratios * base).ravel(), (sizes * ratios * base).ravel()
    centres = np.arange(side // stride, dtype=np.float32) * np.float32(stride) + np.float32(stride / 2)
    y, x, shape = np.meshgrid(centres, centres, np.arange(heights.size), indexing="ij")
    halves = np.stack([heights[shape], widths[shape]], axis=-1) * np.float32(0.5)
    middle = np.stack([y, x], axis=-1)
    corners = np.concatenate([middle - halves, middle + halves], axis=-1)
    return np.asarray(corners.reshape(-1, 4) / np.float32(side), dtype=np.float32)
