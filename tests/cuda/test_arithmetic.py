"""What a device adds to the arithmetic: half precision, order of threads, shapes at the edges, published figures."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_sacro.classify import ClassifierGeometry, classifier_input
from edge_sacro.cuda.binaries import SOURCES
from edge_sacro.cuda.contrast import classifier_crops
from edge_sacro.cuda.image import image_from_radiograph, table_on_device
from edge_sacro.cuda.session import Session
from edge_sacro.cuda.structs import KERNELS, STRUCTS, Encoding
from edge_sacro.preprocess import clahe
from edge_sacro.types import Box
from tests.cuda.cases import CASES
from tests.cuda.emulated import EMULATION, ORDERS, EmulatedDevice, build, compiler
from tests.cuda.radiographs import made
from tests.golden.arrays import golden, worst
from tests.golden.images import radiograph
from tests.golden.subset import CLASSIFIER_CASES

PUBLISHED = 1e-4
"""Between this package's reference and the published application's own arrays."""

PROBE = """
#include "emulation.h"
#include "all.cu"
#include <cstddef>
extern "C" void halves(const float *values, word *found, long count) {
    for (long index = 0; index < count; index++) found[index] = half_of(values[index]);
}
extern "C" void bins(const float *values, byte *found, long count, float low, float high) {
    Equalisation how = {0.01, 16384, 65};
    for (long index = 0; index < count; index++) found[index] = bin_of(values[index], low, high, how);
}
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("probe")
    sizes = "".join(f'extern "C" size_t size_of_{name}() {{ return sizeof({name}); }}\n' for name in STRUCTS)
    offsets = "".join(
        f'extern "C" size_t offset_of_{name}_{field}() {{ return offsetof({name}, {field}); }}\n'
        for name, dtype in STRUCTS.items()
        for field in dtype.names or ()
    )
    (folder / "probe.cpp").write_text(PROBE + sizes + offsets)
    library = folder / "libprobe.so"
    flags = ("-O1", "-std=c++17", "-shared", "-fPIC", "-ffp-contract=off", f"-I{EMULATION}", f"-I{SOURCES}")
    subprocess.run([compiler(), *flags, "-o", str(library), str(folder / "probe.cpp")], check=True)
    return ctypes.CDLL(str(library))


def _halves(probe: ctypes.CDLL, values: np.ndarray) -> np.ndarray:
    found = np.empty(values.shape, np.uint16)
    probe.halves(ctypes.c_void_p(values.ctypes.data), ctypes.c_void_p(found.ctypes.data), ctypes.c_long(values.size))
    return found


def test_half_precision_rounds_as_ieee_754_does(probe: ctypes.CDLL) -> None:
    """Every half, what lies half-way to the next, and one bit to either side of that; and a spread of all floats."""
    finite = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = ((finite[:-1].astype(np.float64) + finite[1:]) / 2).astype(np.float32)
    spread = np.arange(0, 1 << 32, 40503, dtype=np.uint64).astype(np.uint32).view(np.float32)
    positive = np.concatenate(
        [finite, between, np.nextafter(between, np.float32(0)), np.nextafter(between, finite[1:])]
    )
    values = np.concatenate([positive, -positive, spread[~np.isnan(spread)]])
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(_halves(probe, values), expected)
    assert np.isnan(_halves(probe, np.array([np.nan], np.float32)).view(np.float16)).all()


def test_a_cut_in_place_of_rounding_is_found_out(probe: ctypes.CDLL) -> None:
    values = np.linspace(0, 1, 4097, dtype=np.float32)
    cut = (values.view(np.uint32) & 0xFFFFE000).view(np.float32).astype(np.float16).view(np.uint16)
    assert (_halves(probe, values) != cut).any()


@pytest.mark.parametrize("span", [(0.0, 1.0), (-0.25, 1.4), (0.5, 0.5), (0.0, 0.0)])
def test_bins_of_the_equalisation_are_the_references_for_every_level(
    probe: ctypes.CDLL, span: tuple[float, float]
) -> None:
    """Whole arithmetic in the kernel, double precision in the reference."""
    low, high = (np.float32(end) for end in span)
    values = np.linspace(low, high, 200_001, dtype=np.float32)
    found = np.empty(values.shape, np.uint8)
    places = (ctypes.c_void_p(array.ctypes.data) for array in (values, found))
    probe.bins(*places, ctypes.c_long(values.size), ctypes.c_float(low), ctypes.c_float(high))
    expected = clahe._bins_of(clahe.zero_to_one(values[None]))[0]
    np.testing.assert_array_equal(found, expected)


def test_structures_are_laid_out_as_numpy_has_them(probe: ctypes.CDLL) -> None:
    for name, dtype in STRUCTS.items():
        assert getattr(probe, f"size_of_{name}")() == dtype.itemsize, name
        for field in dtype.names or ():
            assert getattr(probe, f"offset_of_{name}_{field}")() == (dtype.fields or {})[field][1], (name, field)


def test_the_table_of_arguments_is_that_of_the_sources() -> None:
    kinds = {"count": "<i4", "int": "<i4", "float": "<f4", "double": "<f8"}
    text = "".join(path.read_text() for path in sorted(SOURCES.glob("*.cu")))
    found = dict(re.findall(r"KERNEL (\w+)\(([^)]*)\)", text))
    assert sorted(found) == sorted(KERNELS)
    for kernel, parameters in found.items():
        names, types = [], []
        for parameter in parameters.split(","):
            kind, name = parameter.replace("const ", "").split()
            pointer = name.startswith("*")
            names.append(name.lstrip("*"))
            types.append(np.dtype("<u8") if pointer else STRUCTS.get(kind) or np.dtype(kinds[kind]))
        assert names == list(KERNELS[kernel].names or ()), kernel
        assert types == [KERNELS[kernel][name] for name in names], kernel


def test_an_atomic_sum_in_floating_point_does_not_compile(tmp_path: Path) -> None:
    """The emulated atomics take whole numbers alone; so did every kernel that the other tests ran."""
    source = tmp_path / "sum.cpp"
    source.write_text('#include "emulation.h"\nfloat add(float *sum) { return atomicAdd(sum, 1.0f); }\n')
    command = [compiler(), "-std=c++17", "-fsyntax-only", f"-I{EMULATION}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "order of threads" in done.stderr


@pytest.mark.parametrize("order", [order for order in ORDERS if order != "ascending"])
def test_the_order_of_threads_and_blocks_changes_no_bit(library: Path, order: str) -> None:
    with Session(EmulatedDevice(library, order)) as session:
        for case in CASES:
            case.check(session)


def test_a_result_that_depends_on_the_order_is_found_out(tmp_path: Path) -> None:
    """Where each thread adds its pixel to the bounds without an atomic maximum, the last one wins."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for path in SOURCES.iterdir():
        text = path.read_text().replace("atomicMax(&shared[1], most);", "shared[1] = most;")
        (sources / path.name).write_text(text)
    library, found = build(tmp_path, "-O1", sources=sources), []
    for order in ORDERS:
        with Session(EmulatedDevice(library, order)) as session:
            found.append(CASES[0].found(session))
    assert (found[0] != found[1]).any()
    assert (found[0] != found[2]).any()


def test_a_barrier_that_some_threads_miss_is_an_error(tmp_path: Path) -> None:
    """The emulation can see what a device would hang on."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for path in SOURCES.iterdir():
        text = path.read_text()
        text = text.replace(
            "    if (thread < 2) shared[thread] = 0;\n    __syncthreads();\n",
            "    if (thread < 2) shared[thread] = 0;\n    if (thread) __syncthreads();\n",
        )
        (sources / path.name).write_text(text)
    library = build(tmp_path, "-O1", sources=sources)
    with Session(EmulatedDevice(library)) as broken, pytest.raises(AssertionError, match="part at a barrier"):
        CASES[0].found(broken)


@pytest.mark.parametrize("case", CLASSIFIER_CASES)
def test_crops_are_those_of_the_published_application(session: Session, case: str) -> None:
    """The reference arrays themselves, at the published size."""
    rows, columns = (int(side) for side in case.split("_")[1].split("x"))
    gray = radiograph(rows, columns, CLASSIFIER_CASES[case])
    image = image_from_radiograph(session, made(gray, 8))
    table = table_on_device(image, "identity", np.arange(256, dtype=np.uint8))
    found = classifier_crops(image, table, [Box(0, 0, columns, rows)], ClassifierGeometry(), Encoding()).copy()[0, 0]
    np.testing.assert_array_equal(found, classifier_input(gray, ClassifierGeometry()))
    expected = golden("classifier")[f"{case}/input_sub8"]
    assert worst(found[::8, ::8], expected) <= PUBLISHED < worst(found[::8, ::8], expected[:, ::-1])
