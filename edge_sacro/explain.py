"""Where the classifier looked: its graph's own Grad-CAM, brought back to the radiograph's stored pixels.

Selvaraju RR et al., Grad-CAM, ICCV 2017. The graph gives one coarse map for each class, at least 0, of which each cell
is that cell's part of the class's logit, with what lowers it left out. Here it goes the way of the image backwards:
bilinear from its cells to the network's input, off the padding, through the resize and the mirroring to the crop, and
to the stored image. It tells where the network looked; it outlines no lesion and measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edge_sacro import native
from edge_sacro.classify import RADIOGRAPHIC, ClassifierGeometry, Placement, placement
from edge_sacro.orient import stored_box_from_canonical, stored_from_canonical
from edge_sacro.preprocess.resize import Positions, Size, bilinear_between
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
        seen: the part of the stored image that the network saw.
        on_seen: rows x columns of that part, float32, 0 to 1 of ``maximum``.
        size: rows and columns of the stored image.
        maximum: the largest value on the image, in the graph's own units (logit of a cell). A strong map and a weak one
            have the same ``strength``: this tells them apart. 0 where nothing speaks for the class.
        class_index, class_name: which class, as the bundle has them.
        on_padding: part of the map, 0 to 1, that lies beside the image, on padding.
        cells: the graph's map of the class, h x w, in the network's own view, which may be mirrored.
    """

    seen: Box
    on_seen: Floats
    size: Size
    maximum: float
    class_index: int
    class_name: str
    on_padding: float
    cells: Floats

    @cached_property
    def strength(self) -> Floats:
        """``on_seen`` on the whole stored image, rows x columns; 0 where the network saw nothing."""
        whole = np.zeros(self.size, np.float32)
        whole[self.seen.y0 : self.seen.y1, self.seen.x0 : self.seen.x1] = self.on_seen
        return whole


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
    part = part / np.float32(maximum) if maximum > 0 else np.zeros_like(part)
    stored_size = (radiograph.rows, radiograph.columns)
    return Explanation(
        seen=stored_box_from_canonical(seen, radiograph.orientation, stored_size),
        on_seen=stored_from_canonical(part, radiograph.orientation),
        size=stored_size,
        maximum=maximum,
        class_index=class_index,
        class_name=classes[class_index],
        on_padding=_part_on_padding(cells, view),
        cells=cells.copy(),
    )


def at_input_size(cells: Floats, size: Size) -> Floats:
    """A map of cells at the size of the network's input: bilinear between the cells' centres, flat beyond the outer."""
    return _interpolated(cells, (np.arange(size[0], dtype=np.float64), np.arange(size[1], dtype=np.float64)), size)


def _part_on_padding(cells: Floats, view: View) -> float:
    """The map's part beside the image: sums of ``at_input_size``, of which each axis has its own share."""
    target = view.placement.target
    rows, columns = (
        _positions(np.arange(length, dtype=np.float64), count, length)
        for count, length in zip(cells.shape, view.size, strict=True)
    )
    total = _sum(cells, rows, columns, (slice(None), slice(None)))
    image = _sum(cells, rows, columns, (slice(target.y0, target.y1), slice(target.x0, target.x1)))
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
    """Bilinear values at every pair of a row's and a column's position on the input, which the cells cover evenly.

    No product of matrices: the threads of its library would go on spinning, and take the processor from the network.
    """
    rows, columns = (_positions(each, cells.shape[axis], size[axis]) for axis, each in enumerate(at))
    return bilinear_between(np.ascontiguousarray(cells, np.float32), rows, columns, native.fastest())


def _positions(position: npt.NDArray[np.floating], cells: int, length: int) -> Positions:
    """The cells between whose centres each position on an axis of the input lies."""
    place = np.clip((position + 0.5) * (cells / length) - 0.5, 0, cells - 1)
    first = np.minimum(place.astype(np.int64), max(cells - 2, 0))
    return np.stack([first, np.minimum(first + 1, cells - 1)], axis=1), (place - first).astype(np.float32)


def _sum(cells: Floats, rows: Positions, columns: Positions, part: tuple[slice, slice]) -> float:
    """Sum of the bilinear values at every pair of a row's and a column's position, or a part of them."""
    down, across = (
        np.bincount(at[where, 0], 1.0 - second[where], length) + np.bincount(at[where, 1], second[where], length)
        for (at, second), where, length in zip((rows, columns), part, cells.shape, strict=True)
    )
    return float((down[:, None] * cells * across).sum())
