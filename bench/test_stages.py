"""What each stage costs, beside peers: ``pytest bench --benchmark-enable --benchmark-only``. Read ratios, not times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from skimage.exposure import equalize_adapthist

from edge_sacro.dicom import read
from edge_sacro.orient import canonical_from_stored
from edge_sacro.phantom import PhantomOptions, write_study
from edge_sacro.preprocess.clahe import adaptive_equalisation, clahe_variant
from edge_sacro.preprocess.field import exposed_field
from edge_sacro.preprocess.intensity import zero_to_one
from edge_sacro.preprocess.normalise import eight_bit_from_radiograph
from edge_sacro.preprocess.resize import area_resize
from edge_sacro.runtime import Runtime


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


def test_clahe_variant(benchmark: Any, study: Path) -> None:
    """The contrast filter on a crop of both joints' size."""
    radiograph = read(study)
    image = canonical_from_stored(eight_bit_from_radiograph(radiograph), radiograph.orientation)
    benchmark(clahe_variant, image[200:744, 300:1200])


def test_adaptive_equalisation(benchmark: Any, study: Path) -> None:
    """Its last step alone, beside scikit-image's below."""
    image = zero_to_one(eight_bit_from_radiograph(read(study))[200:744, 300:1200].astype("float32"))
    benchmark(adaptive_equalisation, image)


def test_adaptive_equalisation_by_scikit_image(benchmark: Any, study: Path) -> None:
    """The peer."""
    image = zero_to_one(eight_bit_from_radiograph(read(study))[200:744, 300:1200].astype("float32"))
    kernel = [side // 8 for side in image.shape]
    benchmark(equalize_adapthist, image, kernel_size=kernel, clip_limit=0.01, nbins=256)


def test_whole_demonstration(benchmark: Any, study: Path) -> None:
    """From file to result with the bundle that ships, warm."""
    with Runtime() as runtime:
        benchmark(runtime.infer, study)
