"""Where the classifier looked: its graph's own Grad-CAM, brought back to the radiograph's stored pixels.

Selvaraju RR et al., Grad-CAM, ICCV 2017. The graph gives one coarse map for each class, at least 0, of which each cell
is that cell's part of the class's logit, with what lowers it left out. Here it goes the way of the image backwards:
bilinear from its cells to the network's input, off the padding, through the resize and the mirroring to the crop, and
to the stored image. It tells where the network looked; it outlines no lesion and measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sacro.classify import RADIOGRAPHIC, ClassifierGeometry, Placement, placement
from edge_sacro.orient import canonical_size, stored_box_from_canonical, stored_from_canonical
from edge_sacro.preprocess.resize import Size
from edge_sacro.types import Box, Radiograph

Floats = npt.NDArray[np.float32]

OUTPUT = "explanation"
"""Name of the graph's output (1, classes, h, w)."""


@dataclass(frozen=True)
class View:
    """How the part of the canonical view that is classified stands in the network's input.

    Attributes:
        crop: that part.
        placement: where it stands in the input after its resize.
        size: rows and columns of the input.
        mirrored: whether left and right were turned over on the way.
        aligned_corners: whether the resize kept the corner pixels' centres in the corners; else it kept outer edges.
    """

    crop: Box
    placement: Placement
    size: Size
    mirrored: bool
    aligned_corners: bool


def cropped_view(crop: Box, geometry: ClassifierGeometry) -> View:
    """The view that :func:`edge_sacro.classify.classifier_input` has of a crop."""
    return View(crop, placement((crop.height, crop.width), geometry), geometry.size, True, True)


def squished_view(image_size: Size, size: Size) -> View:
    """The view of a network that sees the whole image, resized without regard to its aspect."""
    everything = Box(0, 0, size[1], size[0])
    return View(Box(0, 0, image_size[1], image_size[0]), Placement(size, everything, everything), size, False, False)


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """What the network gave, (classes, h, w), and its view of the image."""

    cells: Floats
    view: View


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where the classifier looked for one class, on the stored image's pixel grid.

    Attributes:
        strength: rows x columns of the stored image, float32, 0 to 1 of ``maximum``; 0 where the network saw nothing.
        maximum: the largest value on the image, in the graph's own units (logit of a cell). A strong map and a weak one
            have the same ``strength``: this tells them apart. 0 where nothing speaks for the class.
        class_index, class_name: which class, as the bundle has them.
        seen: the part of the stored image that the network saw.
        on_padding: part of the map, 0 to 1, that lies beside the image, on padding.
        cells: the graph's map of the class, h x w, in the network's own view, which may be mirrored.
    """

    strength: Floats
    maximum: float
    class_index: int
    class_name: str
    seen: Box
    on_padding: float
    cells: Floats


def explanation_from_maps(
    maps: ClassMaps, radiograph: Radiograph, classes: Sequence[str], class_index: int = RADIOGRAPHIC
) -> Explanation:
    """Bring the map of one class back to the stored image.

    Args:
        maps: of this radiograph.
        radiograph: whose pixel grid and orientation are used.
        classes: names, in the order of the maps.
        class_index: which class.
    """
    cells, view = maps.cells[class_index], maps.view
    rows, columns = _rows_seen(view), _columns_seen(view)
    part = _interpolated(cells, (rows[1], columns[1]), view.size)
    crop = view.crop
    (down, _), (across, _) = rows, columns
    seen = Box(crop.x0 + across.start, crop.y0 + down.start, crop.x0 + across.stop, crop.y0 + down.stop)
    maximum = float(part.max())
    stored_size = (radiograph.rows, radiograph.columns)
    canonical = np.zeros(canonical_size(radiograph.orientation, stored_size), np.float32)
    if maximum > 0:
        canonical[seen.y0 : seen.y1, seen.x0 : seen.x1] = part / np.float32(maximum)
    return Explanation(
        strength=stored_from_canonical(canonical, radiograph.orientation),
        maximum=maximum,
        class_index=class_index,
        class_name=classes[class_index],
        seen=stored_box_from_canonical(seen, radiograph.orientation, stored_size),
        on_padding=_part_on_padding(cells, view),
        cells=cells.copy(),
    )


def at_input_size(cells: Floats, size: Size) -> Floats:
    """A map of cells at the size of the network's input: bilinear between the cells' centres, flat beyond the outer."""
    return _interpolated(cells, (np.arange(size[0], dtype=np.float64), np.arange(size[1], dtype=np.float64)), size)


def _part_on_padding(cells: Floats, view: View) -> float:
    whole, target = at_input_size(cells, view.size), view.placement.target
    total = float(whole.sum(dtype=np.float64))
    image = float(whole[target.y0 : target.y1, target.x0 : target.x1].sum(dtype=np.float64))
    return max(1 - image / total, 0.0) if total > 0 else 0.0


Seen = tuple[slice, npt.NDArray[np.float64]]
"""Which pixels of an axis of the crop the network saw, and where each one's centre lies on the input's axis."""


def _rows_seen(view: View) -> Seen:
    where = view.placement
    axis = _Axis(view.crop.height, where.resized[0], view.aligned_corners, False)
    return axis.seen(where.source.y0, where.source.y1, where.target.y0)


def _columns_seen(view: View) -> Seen:
    where = view.placement
    axis = _Axis(view.crop.width, where.resized[1], view.aligned_corners, view.mirrored)
    return axis.seen(where.source.x0, where.source.x1, where.target.x0)


@dataclass(frozen=True)
class _Axis:
    """One axis of the crop and its resize; lengths in pixels."""

    length: int
    resized: int
    aligned_corners: bool
    mirrored: bool

    @property
    def step(self) -> float:
        """Resized pixels to a pixel of the crop."""
        if self.aligned_corners and self.length > 1:
            return (self.resized - 1) / (self.length - 1)
        return self.resized / self.length

    def seen(self, first: int, last: int, target: int) -> Seen:
        """The pixels of which any part is among the resized ones from ``first`` to before ``last``.

        Resized pixel ``first`` stands at ``target`` of the input.
        """
        # Both ways of resizing keep the middle in the middle.
        position = (np.arange(self.length) - (self.length - 1) / 2) * self.step + (self.resized - 1) / 2
        if self.mirrored:
            position = self.resized - 1 - position
        half = self.step / 2
        kept = np.flatnonzero((position + half > first - 0.5) & (position - half < last - 0.5))
        run = slice(int(kept[0]), int(kept[-1]) + 1)
        return run, np.asarray(position[run] - first + target, np.float64)


def _interpolated(cells: Floats, at: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], size: Size) -> Floats:
    """Bilinear values at every pair of a row's and a column's position on the input, which the cells cover evenly."""
    down, across = (_weights(each, cells.shape[axis], size[axis]) for axis, each in enumerate(at))
    return np.asarray(down @ cells @ across.T, np.float32)


def _weights(position: npt.NDArray[np.float64], cells: int, length: int) -> Floats:
    """The weight of each cell at each position, (positions, cells); two of a row differ from 0."""
    place = np.clip((position + 0.5) * (cells / length) - 0.5, 0, cells - 1)
    first = np.minimum(place.astype(np.int64), max(cells - 2, 0))
    weights = np.zeros((len(position), cells), np.float32)
    index = np.arange(len(position))
    weights[index, first] = 1 - (place - first)
    if cells > 1:
        weights[index, first + 1] = place - first
    return weights
