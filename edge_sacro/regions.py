"""Where the sacroiliac joints are: the dilated sacrum where it meets each ilium, as published.

A region that is not found, or that may go on beyond the image, is a reason and never a box. The published fallback, a
strip across the whole ilium, exists under ``numerics="published"`` alone. A patient's side is the caller's matter;
:meth:`JointRegions.of_patient` names the mapping for an image displayed as usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_sacro.locate import LEFT_PELVIS, RIGHT_PELVIS, SACRUM, Labels, Numerics
from edge_sacro.preprocess.components import Mask, Zone, bounds, dilated_by_square, extents, largest_component
from edge_sacro.preprocess.resize import Size
from edge_sacro.types import Box, Side


@dataclass(frozen=True)
class RegionRules:
    """When a region counts as found. Ours, save the dilation; plain bounds that only nonsense should miss.

    Attributes:
        dilation: half-width of the square that the sacrum grows by, as a part of its vertical extent (published).
        border: a region whose box comes this close to the image's border, as a part of that side, may go on outside.
        field_border: the same for a border of the exposed field, which is seldom sharp.
        area: least and largest area of the sacrum, and of each ilium, as a part of the image.
        height: least height of a region, as a part of the sacrum's: less is a touch and not a joint.
        pair: least part of the smaller joint's rows that the other one shares, and the largest ratio of their heights;
            what was found on both sides and is farther from a pair is none, and no pelvis.
        apart: least distance between the middles of the joints, as a part of the taller one's height: the bones of a
            leg lie closer. A pelvis has 1.1 to 1.9 (160 phantoms and simulated radiographs).
    """

    dilation: float = 0.05
    border: float = 0.005
    field_border: float = 0.01
    area: tuple[float, float] = (0.002, 0.4)
    height: float = 0.1
    pair: tuple[float, float] = (0.3, 3.0)
    apart: float = 0.5


@dataclass(frozen=True)
class JointRegion:
    """One joint's box in pixels of the label map, or the reason why there is none.

    Reasons: ``sacrum_not_found``, ``sacrum_size_implausible``, ``ilium_not_found``, ``ilium_size_implausible``,
    ``sides_ambiguous`` (both ilia on one side of the sacrum), ``no_contact``, ``contact_too_small``,
    ``at_image_border``, ``at_field_border``, ``pair_implausible``.
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


def joint_regions(
    labels: Labels, rules: RegionRules | None = None, numerics: Numerics = "corrected", field: Box | None = None
) -> JointRegions:
    """The joint regions: the dilated sacrum where it meets each ilium, largest component of each.

    Under ``corrected`` numerics a joint's image side is where its ilium lies against the sacrum; the labels' names play
    no part. Under ``published`` label 2 is the image's left, no rule applies but that there is a region, and a region
    that is empty becomes the published strip.

    Args:
        labels: rows x columns, 0 to 3, at the radiograph's size, at most one component a class.
        rules: bounds of what counts as found; the documented ones where None.
        numerics: see :data:`Numerics`.
        field: the exposed part of the image; all of it where None.
    """
    rules = rules or RegionRules()
    limits = _Limits.of((labels.shape[0], labels.shape[1]), field, rules)
    bones = {
        label: _Bone(labels, label, extent.box, extent.pixels / labels.size)
        for label, extent in extents(labels).items()
    }
    sacrum = bones[SACRUM]
    reason = _bone_reason("sacrum", sacrum, rules, numerics)
    if sacrum.box is None or reason is not None:
        return _neither(reason)
    # Rows, and their extent without the last one, rounded half to even: as published.
    radius = int(np.round(rules.dilation * (sacrum.box.height - 1)))
    zone = dilated_by_square(labels, SACRUM, sacrum.box, radius)
    found = [_region(bones[pelvis], zone, sacrum.box, limits, numerics) for pelvis in (LEFT_PELVIS, RIGHT_PELVIS)]
    if numerics == "published":
        return JointRegions(found[0], found[1])
    sides = _by_image_side(sacrum.box, [(bones[LEFT_PELVIS], found[0]), (bones[RIGHT_PELVIS], found[1])])
    return sides if _is_pair(sides, rules) else _neither("pair_implausible")


@dataclass(frozen=True, eq=False)
class _Bone:
    """One label of a map, its box and its part of the image."""

    labels: Labels
    label: int
    box: Box | None
    part: float

    def mask(self, rows: slice = slice(None), columns: slice = slice(None)) -> Mask:
        """Where it is, in a part of the image."""
        found: Mask = self.labels[rows, columns] == self.label
        return found


@dataclass(frozen=True)
class _Limits:
    """The rules in pixels of one label map: a region reaching beyond ``image`` or ``field`` may go on outside."""

    rules: RegionRules
    image: Box
    field: Box

    @classmethod
    def of(cls, size: Size, field: Box | None, rules: RegionRules) -> _Limits:
        rows, columns = size
        whole = Box(0, 0, columns, rows)
        x, y = max(1, round(rules.border * columns)), max(1, round(rules.border * rows))
        image = Box(x, y, columns - x, rows - y)
        x, y = round(rules.field_border * columns), round(rules.field_border * rows)
        # A side that lies at the image's border is the image's matter.
        inner = field or whole
        inner = Box(
            inner.x0 + x if inner.x0 > 0 else 0,
            inner.y0 + y if inner.y0 > 0 else 0,
            inner.x1 - x if inner.x1 < columns else columns,
            inner.y1 - y if inner.y1 < rows else rows,
        )
        return cls(rules, image, inner)


def _by_image_side(sacrum: Box, found: list[tuple[_Bone, JointRegion]]) -> JointRegions:
    sides: dict[bool, JointRegion] = {}
    for ilium, region in found:
        if ilium.box is None:
            continue
        on_left = ilium.box.x0 + ilium.box.x1 < sacrum.x0 + sacrum.x1
        if on_left in sides:
            return _neither("sides_ambiguous")
        sides[on_left] = region
    missing = JointRegion(None, "ilium_not_found")
    return JointRegions(sides.get(True, missing), sides.get(False, missing))


def _neither(reason: str | None) -> JointRegions:
    return JointRegions(JointRegion(None, reason), JointRegion(None, reason))


def _is_pair(sides: JointRegions, rules: RegionRules) -> bool:
    """Whether what was found can be the joints of one pelvis; a side without a box speaks against nothing."""
    left, right = sides.image_left.box, sides.image_right.box
    if left is None or right is None:
        return True
    return are_pair(left, right, rules)


def are_pair(left: Box, right: Box, rules: RegionRules) -> bool:
    """Whether boxes at the image's left and right can be the joints of one pelvis: apart, level, of like height."""
    shorter, taller = sorted((left.height, right.height))
    shared = min(left.y1, right.y1) - max(left.y0, right.y0)
    apart = (right.x0 + right.x1 - left.x0 - left.x1) / 2
    if left.x1 > right.x0 or apart < rules.apart * taller:
        return False
    return shared >= rules.pair[0] * shorter and taller <= rules.pair[1] * shorter


def _region(ilium: _Bone, zone: Zone, sacrum: Box, limits: _Limits, numerics: Numerics) -> JointRegion:
    reason = _bone_reason("ilium", ilium, limits.rules, numerics)
    if reason is not None:
        return JointRegion(None, reason)
    box = _contact(ilium, zone)
    if numerics == "published":
        strip = None if box else _published_strip(ilium.mask())
        return JointRegion(box or strip, None if box or strip else "no_contact", fallback=strip is not None)
    reason = _contact_reason(box, sacrum, limits)
    return JointRegion(box if reason is None else None, reason)


def _contact_reason(box: Box | None, sacrum: Box, limits: _Limits) -> str | None:
    if box is None:
        return "no_contact"
    if box.height < limits.rules.height * sacrum.height:
        return "contact_too_small"
    return _border_reason(box, limits)


def border_reason(box: Box, size: Size, field: Box | None, rules: RegionRules) -> str | None:
    """Why what lies in the box may go on outside an image of this size or its exposed field, or None."""
    return _border_reason(box, _Limits.of(size, field, rules))


def _border_reason(box: Box, limits: _Limits) -> str | None:
    if box.union(limits.image) != limits.image:
        return "at_image_border"
    return None if box.union(limits.field) == limits.field else "at_field_border"


def _contact(ilium: _Bone, zone: Zone) -> Box | None:
    """Box of the largest piece of the ilium within the dilated sacrum; of equal ones the first."""
    part = ilium.mask(zone.rows, zone.columns) & zone.mask
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
