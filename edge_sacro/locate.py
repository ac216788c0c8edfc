"""Where the sacroiliac joints are: segmentation over sliding windows, then the joint regions of its labels.

Arrays are rows x columns in display orientation. Labels are 0 background, 1 sacrum, 2 and 3 the two halves of the
pelvis, which the published code calls left and right: those are sides of the image, label 2 on its left. A patient's
side is the caller's matter; :meth:`JointRegions.of_patient` names the mapping for an image displayed as usual.

A region that is not found, or that may go on beyond the image, is a reason and never a box. The published fallback, a
strip across the whole ilium, exists under ``numerics="published"`` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_sacro.errors import BundleContractBroken
from edge_sacro.preprocess.components import Mask, Zone, bounds, dilated_by_square, largest_component
from edge_sacro.preprocess.intensity import minus_one_to_one
from edge_sacro.preprocess.resize import area_resize, nearest_inverse
from edge_sacro.types import Box, Side

Network = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""A loaded network: one input array to one array of logits."""

Numerics = Literal["corrected", "published"]
"""``published`` reproduces the original's fallbacks and defects; ``corrected`` has reasons in their place."""

Labels = npt.NDArray[np.uint8]

CLASSES = 4
SACRUM, LEFT_PELVIS, RIGHT_PELVIS = 1, 2, 3


@dataclass(frozen=True)
class SegmentationGeometry:
    """How the image meets the network: a square of ``size`` pixels under square windows.

    Attributes:
        size: rows and columns that the image is resized to, whatever its aspect.
        window: rows and columns that the network takes, at most ``size``.
        overlap: part of a window that the next one covers again, 0 to below 1.
    """

    size: int = 768
    window: int = 512
    overlap: float = 0.75

    def __post_init__(self) -> None:
        if not (1 <= self.window <= self.size and 0 <= self.overlap < 1):
            raise ValueError(f"no windows of {self.window} with overlap {self.overlap} in {self.size}")

    @property
    def starts(self) -> tuple[int, ...]:
        """First pixel of each window along an axis; the last window ends with the image."""
        step = max(int(self.window * (1 - self.overlap)), 1)
        last = self.size - self.window
        return (*range(0, last, step), last)


@dataclass(frozen=True)
class RegionRules:
    """When a region counts as found. Ours, save the dilation; plain bounds that only nonsense should miss.

    Attributes:
        dilation: half-width of the square that the sacrum grows by, as a part of its vertical extent (published).
        border: a region whose box comes this close to the image's border, as a part of that side, may go on outside.
        area: least and largest area of the sacrum, and of each ilium, as a part of the image.
        height: least height of a region, as a part of the sacrum's: less is a touch and not a joint.
    """

    dilation: float = 0.05
    border: float = 0.005
    area: tuple[float, float] = (0.002, 0.4)
    height: float = 0.1


@dataclass(frozen=True)
class JointRegion:
    """One joint's box in pixels of the label map, or the reason why there is none.

    Reasons: ``sacrum_not_found``, ``sacrum_size_implausible``, ``ilium_not_found``, ``ilium_size_implausible``,
    ``sides_ambiguous`` (both ilia on one side of the sacrum), ``no_contact``, ``contact_too_small``,
    ``at_image_border``.
    """

    box: Box | None
    reason: str | None
    fallback: bool = False


@dataclass(frozen=True)
class JointRegions:
    """Both joints, by their side in the image."""

    image_left: JointRegion
    image_right: JointRegion

    @property
    def box(self) -> Box | None:
        """The box around both, or None where either is missing."""
        if self.image_left.box is None or self.image_right.box is None:
            return None
        return self.image_left.box.union(self.image_right.box)

    @property
    def reason(self) -> str | None:
        """Why there is no box, the image's left first."""
        return self.image_left.reason or self.image_right.reason

    def of_patient(self, side: Side) -> JointRegion:
        """The joint on a side of the patient, in an image whose left shows the patient's right (L, F orientation)."""
        return self.image_right if side == "left" else self.image_left


def segment(image: npt.NDArray[np.generic], network: Network, geometry: SegmentationGeometry | None = None) -> Labels:
    """Label each pixel of a radiograph.

    Args:
        image: rows x columns, display orientation, any real type and range.
        network: (1, 1, window, window) float32, -1 to 1, to logits (1, 4, window, window).
        geometry: published sizes where None.

    Returns:
        labels 0 to 3 of the image's size; of each class only its largest component.

    Raises:
        BundleContractBroken: the network's logits have another shape.
    """
    geometry = geometry or SegmentationGeometry()
    logits = mean_logits(segmentation_input(image, geometry), network, geometry)
    labels = largest_components(labels_from_logits(logits))
    at_size: Labels = nearest_inverse(labels, (image.shape[0], image.shape[1]))
    return at_size


def segmentation_input(image: npt.NDArray[np.generic], geometry: SegmentationGeometry) -> npt.NDArray[np.float32]:
    """The whole image as the windows are cut from it: size x size, float32, -1 to 1."""
    return minus_one_to_one(area_resize(image, (geometry.size, geometry.size)))


def mean_logits(
    image: npt.NDArray[np.float32], network: Network, geometry: SegmentationGeometry
) -> npt.NDArray[np.float32]:
    """Plain mean of the windows' logits, (4, size, size), float32.

    Windows run one at a time (a batch costs more for the same numbers), down each column from the left, and are summed
    in single precision in that order: the published one, its arrays being transposed.

    Args:
        image: size x size, float32, -1 to 1.
        network: (1, 1, window, window) to (1, 4, window, window).
        geometry: sizes; ``image`` fits them.
    """
    window = geometry.window
    total = np.zeros((CLASSES, geometry.size, geometry.size), np.float32)
    count = np.zeros((geometry.size, geometry.size), np.float32)
    for x in geometry.starts:
        for y in geometry.starts:
            part = np.ascontiguousarray(image[None, None, y : y + window, x : x + window])
            logits = network(part)
            if logits.shape != (1, CLASSES, window, window):
                expected = (1, CLASSES, window, window)
                raise BundleContractBroken(f"segmentation logits are {logits.shape}, the contract says {expected}")
            total[:, y : y + window, x : x + window] += logits[0]
            count[y : y + window, x : x + window] += 1
    return total / count


def labels_from_logits(logits: npt.NDArray[np.float32]) -> Labels:
    """The class of the highest logit, the lowest class on ties. (4, rows, columns) to (rows, columns)."""
    return np.asarray(np.argmax(logits, axis=0), dtype=np.uint8)


def largest_components(labels: Labels) -> Labels:
    """Keep the largest component of each class, diagonal neighbours being connected; the rest becomes 0.

    Of several largest the last is kept, counted by their first pixels column by column.
    """
    kept = np.zeros_like(labels)
    for label in (SACRUM, LEFT_PELVIS, RIGHT_PELVIS):
        component = largest_component(labels == label, connectivity=8, tie=-1)
        if component is not None:
            kept[component] = label
    return kept


def joint_regions(labels: Labels, rules: RegionRules | None = None, numerics: Numerics = "corrected") -> JointRegions:
    """The joint regions: the dilated sacrum where it meets each ilium, largest component of each.

    Under ``corrected`` numerics a joint's image side is where its ilium lies against the sacrum; the labels' names play
    no part. Under ``published`` label 2 is the image's left, no rule applies but that there is a region, and a region
    that is empty becomes the published strip.

    Args:
        labels: rows x columns, 0 to 3, at the radiograph's size, at most one component a class.
        rules: bounds of what counts as found; the documented ones where None.
        numerics: see :data:`Numerics`.
    """
    rules = rules or RegionRules()
    bones = {label: _Bone.of(labels == label) for label in (SACRUM, LEFT_PELVIS, RIGHT_PELVIS)}
    sacrum = bones[SACRUM]
    reason = _bone_reason("sacrum", sacrum, rules, numerics)
    if sacrum.box is None or reason is not None:
        return JointRegions(JointRegion(None, reason), JointRegion(None, reason))
    # Rows, and their extent without the last one, rounded half to even: as published.
    radius = int(np.round(rules.dilation * (sacrum.box.height - 1)))
    zone = dilated_by_square(sacrum.mask, sacrum.box, radius)
    found = [_region(bones[pelvis], zone, sacrum.box, rules, numerics) for pelvis in (LEFT_PELVIS, RIGHT_PELVIS)]
    if numerics == "published":
        return JointRegions(found[0], found[1])
    return _by_image_side(sacrum.box, [(bones[LEFT_PELVIS], found[0]), (bones[RIGHT_PELVIS], found[1])])


@dataclass(frozen=True, eq=False)
class _Bone:
    """One label's mask, its box and its part of the image."""

    mask: Mask
    box: Box | None
    part: float

    @classmethod
    def of(cls, mask: Mask) -> _Bone:
        return cls(mask, bounds(mask), np.count_nonzero(mask) / mask.size)


def _by_image_side(sacrum: Box, found: list[tuple[_Bone, JointRegion]]) -> JointRegions:
    sides: dict[bool, JointRegion] = {}
    for ilium, region in found:
        if ilium.box is None:
            continue
        on_left = ilium.box.x0 + ilium.box.x1 < sacrum.x0 + sacrum.x1
        if on_left in sides:
            ambiguous = JointRegion(None, "sides_ambiguous")
            return JointRegions(ambiguous, ambiguous)
        sides[on_left] = region
    missing = JointRegion(None, "ilium_not_found")
    return JointRegions(sides.get(True, missing), sides.get(False, missing))


def _region(ilium: _Bone, zone: Zone, sacrum: Box, rules: RegionRules, numerics: Numerics) -> JointRegion:
    reason = _bone_reason("ilium", ilium, rules, numerics)
    if reason is not None:
        return JointRegion(None, reason)
    box = _contact(ilium.mask, zone)
    if numerics == "published":
        strip = None if box else _published_strip(ilium.mask)
        return JointRegion(box or strip, None if box or strip else "no_contact", fallback=strip is not None)
    reason = _contact_reason(box, sacrum, ilium.mask.shape, rules)
    return JointRegion(box if reason is None else None, reason)


def _contact_reason(box: Box | None, sacrum: Box, shape: tuple[int, ...], rules: RegionRules) -> str | None:
    if box is None:
        return "no_contact"
    if box.height < rules.height * sacrum.height:
        return "contact_too_small"
    margin_y, margin_x = (max(1, round(rules.border * n)) for n in shape)
    inside = (
        box.y0 >= margin_y and box.x0 >= margin_x and box.y1 <= shape[0] - margin_y and box.x1 <= shape[1] - margin_x
    )
    return None if inside else "at_image_border"


def _contact(ilium: Mask, zone: Zone) -> Box | None:
    """Box of the largest piece of the ilium within the dilated sacrum; of equal ones the first."""
    part = ilium[zone.rows, zone.columns] & zone.mask
    piece = largest_component(part, connectivity=4, tie=0)
    inner = None if piece is None else bounds(piece)
    if inner is None:
        return None
    x, y = zone.columns.start, zone.rows.start
    return Box(inner.x0 + x, inner.y0 + y, inner.x1 + x, inner.y1 + y)


def _bone_reason(name: str, bone: _Bone, rules: RegionRules, numerics: Numerics) -> str | None:
    if bone.box is None:
        return f"{name}_not_found"
    if numerics == "corrected" and not rules.area[0] <= bone.part <= rules.area[1]:
        return f"{name}_size_implausible"
    return None


def _published_strip(ilium: Mask) -> Box | None:
    """Ten rows about each row whose horizontal span is the median span, as wide as that; the largest piece of them."""
    rows = np.flatnonzero(ilium.any(axis=1))
    first = ilium[rows].argmax(axis=1)
    span = ilium.shape[1] - ilium[rows, ::-1].argmax(axis=1) - first
    median = int(np.round(np.median(span)))
    strip = np.zeros(ilium.shape, bool)
    for index in np.flatnonzero(span == median):
        row, column = int(rows[index]), int(first[index])
        strip[max(row - 5, 0) : row + 5, column : column + median] = True
    piece = largest_component(strip, connectivity=4, tie=0)
    return None if piece is None else bounds(piece)
