"""The normaliser on the device: every kind of stored pixel and table, every orientation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_sacro.cuda.image import gray_from_table, gray_table_on_device, image_from_radiograph, steps_to_canonical
from edge_sacro.cuda.session import Session
from edge_sacro.errors import ContradictoryAttributes, InternalError
from edge_sacro.orient import canonical_from_stored
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.types import Orientation, Radiograph
from tests.cuda.cases import canonical_gray
from tests.cuda.radiographs import ORIENTATIONS, kinds, made, twelve_bit

KINDS = kinds()


def _gray(session: Session, radiograph: Radiograph) -> np.ndarray:
    image = image_from_radiograph(session, radiograph)
    return gray_from_table(image, gray_table_on_device(image))


@pytest.mark.parametrize("kind", KINDS)
def test_gray_levels_have_the_references_bits(session: Session, kind: str) -> None:
    np.testing.assert_array_equal(_gray(session, KINDS[kind]), canonical_gray(KINDS[kind]))


def test_without_its_rule_each_kind_would_look_otherwise() -> None:
    """Padding, sense and border are exercised: to leave one out gives other levels."""
    padded, inverted, bordered = (KINDS[name] for name in ("signed, padded", "inverted", "border and saturation"))
    unpadded = replace(padded, grayscale=replace(padded.grayscale, padding=None))
    upright = replace(inverted, grayscale=replace(inverted.grayscale, inverted=False))
    assert (eight_bit_from_radiograph(unpadded) != eight_bit_from_radiograph(padded)).any()
    assert (eight_bit_from_radiograph(upright) != eight_bit_from_radiograph(inverted)).any()
    values = np.sort(bordered.stored, axis=None)
    low, high = (int(values[round(part * values.size)]) for part in (0.005, 0.998))
    assert (low, high) == (0, 4095)
    assert eight_bit_from_radiograph(bordered)[30:, :100].max() > int(bordered.stored[30:, :100].max()) * 255 // 4095


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_every_orientation_comes_to_the_canonical_view(session: Session, axes: str) -> None:
    radiograph = twelve_bit(70, 90, axes)
    found = _gray(session, radiograph)
    np.testing.assert_array_equal(found, canonical_gray(radiograph))
    assert axes == "LF" or found.shape != (70, 90) or (found != eight_bit_from_radiograph(radiograph)).any()


def test_steps_to_the_canonical_view_are_the_references() -> None:
    image = np.arange(6).reshape(2, 3)
    for axes in (*ORIENTATIONS, "LP", "RA", "PL", "AR"):
        orientation = Orientation(axes[0], axes[1], False)
        transposed, mirrored, inverted = steps_to_canonical(orientation)
        view = image.T if transposed else image
        view = view[:, ::-1] if mirrored else view
        np.testing.assert_array_equal(view[::-1] if inverted else view, canonical_from_stored(image, orientation))


def test_a_pixel_that_no_table_has_is_refused(session: Session) -> None:
    stored = np.full((20, 30), 100, np.uint16)
    stored[3, 4] = 4096
    with pytest.raises(ContradictoryAttributes, match="1 pixels hold values outside 0 to 4095"):
        image_from_radiograph(session, made(stored, 12))


def test_pixels_of_an_unknown_type_are_a_defect(session: Session) -> None:
    with pytest.raises(InternalError, match="float64"):
        image_from_radiograph(session, replace(twelve_bit(20, 20), stored=np.zeros((20, 20))))
