"""What each stage costs, beside peers: ``pytest bench --benchmark-enable --benchmark-only``. Read ratios, not times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter, median_filter
from skimage.exposure import equalize_adapthist

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.crop import crop_from_box, pixels
from edge_sacro.dicom import read
from edge_sacro.locate import largest_components
from edge_sacro.orient import canonical_from_stored
from edge_sacro.phantom import (
    LEFT_HIP,
    RIGHT_HIP,
    SACRUM,
    CtOptions,
    PhantomOptions,
    render,
    write_ct_study,
    write_study,
)
from edge_sacro.preprocess.clahe import clahe_variant
from edge_sacro.preprocess.contrast import contrast_filter
from edge_sacro.preprocess.field import exposed_field
from edge_sacro.preprocess.intensity import zero_to_one
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.resize import area_resize
from edge_sacro.preprocess.squish import squished
from edge_sacro.preprocess.tf_resize import detector_input
from edge_sacro.preprocess.window import windowed
from edge_sacro.regions import joint_regions
from edge_sacro.runtime import Runtime
from edge_sacro.slices import selection_from_radiograph
from edge_sacro.types import Box


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One simulated radiograph at full size."""
    folder = tmp_path_factory.mktemp("bench")
    write_study(folder, 1, 930_000, PhantomOptions())
    return next(folder.glob("*.dcm"))


@pytest.mark.parametrize("isolation", ["process", "none"])
def test_read(benchmark: Any, study: Path, isolation: Any) -> None:
    """Reading in the child process, beside reading in this one."""
    benchmark(read, study, isolation=isolation)


def test_normalise(benchmark: Any, study: Path) -> None:
    """Stored values to 8-bit gray."""
    benchmark(eight_bit_from_radiograph, read(study))


def test_area_resize(benchmark: Any, study: Path) -> None:
    """The radiograph to the published segmenter's size."""
    benchmark(area_resize, eight_bit_from_radiograph(read(study)), (768, 768))


def test_exposed_field(benchmark: Any, study: Path) -> None:
    """The part that collimators left open."""
    benchmark(exposed_field, eight_bit_from_radiograph(read(study)))


@pytest.fixture(scope="module")
def joints_crop(study: Path) -> npt.NDArray[np.uint8]:
    """A crop of both joints' size, mirrored as the classifier takes it."""
    radiograph = read(study)
    image = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
    return np.ascontiguousarray(image[200:744, 300:1200][:, ::-1])


def test_contrast_filter(benchmark: Any, joints_crop: npt.NDArray[np.uint8]) -> None:
    """The contrast filter as the runtime applies it."""
    benchmark(contrast_filter, joints_crop)


def test_contrast_filter_by_numpy(benchmark: Any, joints_crop: npt.NDArray[np.uint8]) -> None:
    """Its specification."""
    benchmark(clahe_variant, joints_crop)


def test_contrast_filter_by_scikit_image(benchmark: Any, joints_crop: npt.NDArray[np.uint8]) -> None:
    """The peer: the same steps by SciPy and scikit-image, whose levels differ a little from the published ones."""

    def published() -> npt.NDArray[Any]:
        median = median_filter(zero_to_one(joints_crop.astype(np.float32)), 3)
        sharpened = zero_to_one(median - np.float32(0.6) * gaussian_filter(median, 1))
        filtered: npt.NDArray[Any] = equalize_adapthist(sharpened, clip_limit=0.01, nbins=256)
        return filtered

    assert np.abs(benchmark(published) - contrast_filter(joints_crop)).max() <= 0.05


@pytest.fixture(scope="module")
def ct_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One simulated CT slice at full size."""
    folder = tmp_path_factory.mktemp("bench-ct")
    write_ct_study(folder, 1, 930_000, CtOptions(slices=1))
    return next(folder.rglob("*.dcm"))


@pytest.fixture(scope="module")
def labels() -> npt.NDArray[np.uint8]:
    """The true bones of a phantom at full size, with the segmenter's labels: 1 the sacrum, 2 and 3 the hips."""
    masks = render((930_000, 0), PhantomOptions()).truth.masks
    found = np.zeros(masks.shape, np.uint8)
    for label, bit in ((2, RIGHT_HIP), (3, LEFT_HIP), (1, SACRUM)):
        found[(masks & bit) != 0] = label
    return found


def test_largest_components(benchmark: Any, labels: npt.NDArray[np.uint8]) -> None:
    """One piece of each bone, part of segmenting."""
    benchmark(largest_components, labels)


def test_joint_regions(benchmark: Any, labels: npt.NDArray[np.uint8]) -> None:
    """Both joints from the bones, part of locating."""
    regions = benchmark(joint_regions, largest_components(labels))
    assert regions.box is not None


def test_crop(benchmark: Any, study: Path) -> None:
    """The crop's box, trimmed, and its pixels."""
    image = eight_bit_from_radiograph(read(study))

    def cropped() -> int:
        crop = crop_from_box(image, Box(300, 200, 1200, 744))
        assert crop.box is not None
        return pixels(image, crop.box).size

    assert benchmark(cropped) > 0


def test_classifier_input(benchmark: Any, study: Path) -> None:
    """The crop as the published classifier takes it."""
    crop = eight_bit_from_radiograph(read(study))[200:744, 300:1200]
    benchmark(classifier_input, crop, ClassifierGeometry(416, 628))


def test_squish(benchmark: Any, study: Path) -> None:
    """The radiograph as a square of the published classifiers of whole images."""
    benchmark(squished, eight_bit_from_radiograph(read(study)), (768, 768))


def test_detector_input(benchmark: Any, study: Path) -> None:
    """The radiograph as the published detector takes it."""
    benchmark(detector_input, eight_bit_from_radiograph(read(study)), 640)


def test_window(benchmark: Any, ct_slice: Path) -> None:
    """A CT slice's Hounsfield window."""
    benchmark(windowed, read(ct_slice), 400.0, 1800.0)


def test_select(benchmark: Any, ct_slice: Path) -> None:
    """Whether a CT slice passes through both joints."""
    benchmark(selection_from_radiograph, read(ct_slice))


def test_whole_demonstration(benchmark: Any, study: Path) -> None:
    """From file to result with the bundle that ships, warm."""
    with Runtime() as runtime:
        benchmark(runtime.infer, study)
