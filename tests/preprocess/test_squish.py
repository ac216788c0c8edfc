"""fastai's squish against Pillow, which fastai calls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edge_sacro.preprocess.squish import squished

Gray = npt.NDArray[np.uint8]
SIZES = [(600, 500), (96, 130), (50, 60), (64, 900), (1, 1), (3, 200), (700, 64), (64, 64)]


def _image(rows: int, columns: int) -> Gray:
    return np.random.default_rng(rows * 1000 + columns).integers(0, 256, (rows, columns)).astype(np.uint8)


def _pillow(image: Gray, rows: int, columns: int) -> Gray:
    pillow = pytest.importorskip("PIL.Image")
    return np.asarray(pillow.fromarray(image).resize((columns, rows), pillow.Resampling.BILINEAR))


@pytest.mark.parametrize("size", SIZES)
def test_it_is_pillows_bilinear_to_the_last_bit(size: tuple[int, int]) -> None:
    image = _image(*size)
    for target in ((64, 64), (100, 40), (1, 7)):
        assert np.array_equal(squished(image, target), _pillow(_pillow(image, size[0], target[1]), *target))


def test_one_axis_alone_is_pillows_too() -> None:
    for size in SIZES:
        image = _image(*size)
        assert np.array_equal(squished(image, (size[0], 33)), _pillow(image, size[0], 33))
        assert np.array_equal(squished(image, (33, size[1])), _pillow(image, 33, size[1]))


def test_a_radiographs_resize_in_one_call_is_within_a_level() -> None:
    """Pillow may take the axes in the other order and then rounds in between in another place."""
    image = _image(1500, 1200)
    ours, theirs = squished(image, (384, 384)).astype(int), _pillow(image, 384, 384).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - squished(image[1:, 1:], (384, 384)).astype(int)).max() > 1, (
        "negative control: half a pixel off"
    )


def test_a_bilinear_resize_without_smoothing_is_the_negative_control() -> None:
    cv2 = pytest.importorskip("cv2")
    image = _image(600, 500)
    plain = cv2.resize(image, (64, 64), interpolation=cv2.INTER_LINEAR)
    assert np.abs(plain.astype(int) - squished(image, (64, 64))).max() > 50


def test_a_constant_stays_and_the_image_itself_is_left_alone() -> None:
    flat = np.full((37, 91), 255, np.uint8)
    assert (squished(flat, (50, 20)) == 255).all()
    image = _image(64, 64)
    before = image.copy()
    assert np.array_equal(squished(image, (64, 64)), image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (np.zeros((4, 4), np.float32), (2, 2)),
        (np.zeros((4, 4, 3), np.uint8), (2, 2)),
        (np.zeros((0, 4), np.uint8), (2, 2)),
        (np.zeros((4, 4), np.uint8), (0, 2)),
    ],
)
def test_what_it_cannot_resize_is_refused(image: Gray, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot squish"):
        squished(image, size)
