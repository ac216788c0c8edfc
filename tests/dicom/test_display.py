"""The display view follows the standard's formulas, and DCMTK's dcm2pnm within one level of 255."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest

from edge_sacro.dicom import ReadLimits, Window, display_from_radiograph, read
from edge_sacro.dicom.display import View, display_table
from edge_sacro.dicom.part10 import part10_from_bytes
from edge_sacro.dicom.reader import opened
from edge_sacro.dicom.voi import default_view, voi_luts_from_header, windows_from_header
from edge_sacro.errors import ContradictoryAttributes
from edge_sacro.types import Grayscale, Radiograph
from tests.dicom.synthetic import EXPLICIT, dataset, dicom, drawn, file_bytes, lut, native

LIMITS = ReadLimits(min_side=1)
BOUND = 1
REAL = (
    "693_UNCR.dcm",
    "693_J2KI.dcm",
    "693_J2KR.dcm",
    "CT_small.dcm",
    "explicit_VR-UN.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "17106",
    "17196",
    "6293",
    "RG1_UNCI.dcm",
    "RG1_UNCR.dcm",
    "RG1_J2KR.dcm",
    "RG1_J2KI.dcm",
    "RG3_UNCR.dcm",
    "RG3_J2KI.dcm",
    "6154",
    "6247",
    "6278",
    "MR2_UNCR.dcm",
    "MR2_J2KI.dcm",
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR-SIEMENS-DICOM-WithOverlays.dcm",
    "JPEG-lossy.dcm",
    "JPEG-LL.dcm",
    "JPGExtended.dcm",
    "JPEGLSNearLossless_16.dcm",
    "mlut_18.dcm",
    "vlut_04.dcm",
    "image_dfl.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "15820",
)
"""Monochrome files of pydicom and pydicom-data: CR, CT, MR, NM, US; all syntaxes."""


def hard_cases() -> Iterator[tuple[str, bytes]]:
    """Files that display pipelines get wrong."""
    window = {"WindowCenter": "2000", "WindowWidth": "1500"}
    yield "monochrome1", dicom(PhotometricInterpretation="MONOCHROME1", **window)
    yield "inverse", dicom(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE", **window)
    yield "identity", dicom(PresentationLUTShape="IDENTITY", **window)
    yield "several windows", dicom(WindowCenter=["500", "2000", "3000.5"], WindowWidth=["1", "333.3", "4096"])
    yield "sigmoid", dicom(VOILUTFunction="SIGMOID", **window)
    yield "linear exact", dicom(VOILUTFunction="LINEAR_EXACT", **window)
    yield "empty function", dicom(VOILUTFunction="", **window)
    yield "rescaled", dicom(RescaleSlope="2", RescaleIntercept="-1024", WindowCenter="40", WindowWidth="400")
    yield "negative slope", dicom(RescaleSlope="-1", RescaleIntercept="4095", **window)
    yield "8 bits", dicom(bits=8, WindowCenter="100", WindowWidth="90")
    for bits in (8, 10, 12, 16):
        data = (((np.arange(3000) / 2999) ** 2) * ((1 << bits) - 1)).astype(np.uint16)
        yield f"VOI LUT of {bits} bits", dicom(VOILUTSequence=[lut(500, data, bits)])
    halves = (np.arange(4096) // 2).astype(np.uint16)
    yield "modality LUT, then window", dicom(ModalityLUTSequence=[lut(0, halves, 16, ModalityLUTType="US")], **window)
    yield (
        "rescale, then VOI LUT",
        dicom(RescaleSlope="1", RescaleIntercept="-2048", VOILUTSequence=[lut(-1000, halves[:2000], 12)]),
    )
    left = drawn(10) << 6
    yield (
        "left-justified",
        file_bytes(dataset(left, 10, HighBit=15, WindowCenter="500", WindowWidth="400"), native(left)),
    )
    overlay = drawn(12) | 0x9000
    yield "overlay in high bits", file_bytes(dataset(overlay, 12, **window), native(overlay))
    signed = drawn(12).astype(np.int16) - 2048
    yield "signed", file_bytes(dataset(signed, 12, WindowCenter="-100", WindowWidth="1000"), native(signed))


HARD = dict(hard_cases())


def views(data: bytes) -> tuple[Radiograph, list[tuple[list[str], View]]]:
    """The radiograph, and each of its presets with dcm2pnm's options for it."""
    radiograph = read(data, limits=LIMITS, overrides=frozenset({"wrong_view"}))
    header = opened(part10_from_bytes(data, LIMITS), 0, LIMITS)[0]
    chosen: list[tuple[list[str], View]] = [
        (["+Wi", str(window.index + 1)], window) for window in windows_from_header(header)
    ]
    luts = voi_luts_from_header(header, radiograph.grayscale)
    chosen += [(["+Wl", str(index + 1)], each) for index, each in enumerate(luts)]
    return radiograph, chosen or [(["+Wm"], None)]


def uncompressed(data: bytes, radiograph: Radiograph, folder: Path) -> Path:
    """A copy that dcm2pnm reads without a codec: here the grayscale is compared, and decoders elsewhere."""
    path = folder / "in.dcm"
    path.write_bytes(data)
    theirs = pydicom.dcmread(path)
    if theirs.file_meta.TransferSyntaxUID.is_encapsulated:
        theirs.file_meta.TransferSyntaxUID = EXPLICIT
        cells = radiograph.stored.astype(f"<{'i' if theirs.PixelRepresentation else 'u'}{theirs.BitsAllocated // 8}")
        del theirs.PixelData
        theirs.add_new("PixelData", "OW", cells.tobytes())
        theirs.save_as(path)
    return path


def dcm2pnm(path: Path, options: list[str]) -> np.ndarray | None:
    """What DCMTK displays, or None where it cannot."""
    out = path.with_suffix(".pgm")
    run = subprocess.run(["dcm2pnm", "-O", "--write-raw-pnm", *options, path, out], capture_output=True, check=False)
    if run.returncode:
        return None
    raw = out.read_bytes()
    match = re.match(rb"P5\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+(\d+)\s", raw)
    assert match is not None
    return np.frombuffer(raw, np.uint8, offset=match.end()).reshape(int(match[2]), int(match[1]))


@pytest.fixture
def needs_dcm2pnm() -> None:
    if shutil.which("dcm2pnm") is None:
        pytest.skip("dcm2pnm of DCMTK is not installed")


def worst_difference(data: bytes, folder: Path) -> tuple[int, int]:
    """The largest difference over every view that DCMTK renders, and how many it rendered."""
    radiograph, chosen = views(data)
    path = uncompressed(data, radiograph, folder)
    worst = rendered = 0
    for options, view in chosen:
        theirs = dcm2pnm(path, options)
        if theirs is not None:
            ours = display_from_radiograph(radiograph, view)
            worst, rendered = max(worst, int(np.abs(ours.astype(int) - theirs).max())), rendered + 1
    return worst, rendered


@pytest.mark.usefixtures("needs_dcm2pnm")
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("name", REAL)
def test_real_file_is_displayed_as_dcmtk_does(name: str, tmp_path: Path) -> None:
    path = pydicom.data.get_testdata_file(name, download=False) or _dicomdir_file(name)
    worst, rendered = worst_difference(Path(path).read_bytes(), tmp_path)
    assert rendered
    assert worst <= BOUND


def _dicomdir_file(name: str) -> Path:
    folder = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
    return next(path for path in sorted(folder.rglob(name)) if path.is_file())


@pytest.mark.usefixtures("needs_dcm2pnm")
@pytest.mark.parametrize("name", HARD)
def test_hard_case_is_displayed_as_dcmtk_does(name: str, tmp_path: Path) -> None:
    worst, rendered = worst_difference(HARD[name], tmp_path)
    assert rendered
    assert worst <= BOUND


@pytest.mark.usefixtures("needs_dcm2pnm")
def test_bound_is_passed_by_a_wrong_function_and_by_a_missing_inversion(tmp_path: Path) -> None:
    radiograph, chosen = views(HARD["sigmoid"])
    theirs = dcm2pnm(uncompressed(HARD["sigmoid"], radiograph, tmp_path), chosen[0][0])
    wrong = display_from_radiograph(radiograph, Window(2000, 1500, "LINEAR"))
    assert theirs is not None
    assert np.abs(wrong.astype(int) - theirs).max() > 10 * BOUND
    radiograph, chosen = views(HARD["monochrome1"])
    theirs = dcm2pnm(uncompressed(HARD["monochrome1"], radiograph, tmp_path), chosen[0][0])
    assert theirs is not None
    assert np.abs(255 - display_from_radiograph(radiograph, chosen[0][1]).astype(int) - theirs).max() > 100 * BOUND


@pytest.mark.usefixtures("needs_dcm2pnm")
def test_monochrome1_with_identity_is_inverted_here_and_not_by_dcmtk(tmp_path: Path) -> None:
    # the two attributes exclude one another (PS3.3 C.7.6.1.1); Photometric Interpretation is the one that senders set
    data = dicom(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY")
    radiograph, chosen = views(data)
    theirs = dcm2pnm(uncompressed(data, radiograph, tmp_path), chosen[0][0])
    assert theirs is not None
    assert np.abs(255 - display_from_radiograph(radiograph, chosen[0][1]).astype(int) - theirs).max() <= BOUND


@pytest.mark.shared
@pytest.mark.usefixtures("needs_dcm2pnm")
def test_rg2_is_displayed_as_dcmtk_does(shared_dir: Path, tmp_path: Path) -> None:
    for path in sorted((shared_dir / "data" / "wg04_rg2").glob("*.dcm")):
        worst, rendered = worst_difference(path.read_bytes(), tmp_path)
        assert rendered
        assert worst <= BOUND


def identity(bits: int = 12, **changes: Any) -> Grayscale:
    fields = {"first": 0, "inverted": False, "padding": None, "rescale_type": "US"} | changes
    return Grayscale(table=np.arange(1 << bits, dtype=np.float32) + fields["first"], **fields)


def test_linear_window_follows_its_formula_at_every_value() -> None:
    # PS3.3 C.11.2.1.2.1, the pseudo code written out
    center, width = 2048.0, 100.0
    expected = []
    for x in range(4096):
        if x <= center - 0.5 - (width - 1) / 2:
            y = 0.0
        elif x > center - 0.5 + (width - 1) / 2:
            y = 255.0
        else:
            y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
        expected.append(int(y + 1e-9))
    np.testing.assert_array_equal(display_table(identity(), Window(center, width)), expected)


@pytest.mark.parametrize("width", [0.5, 33.3, 1.0, 4096.0])
def test_linear_exact_and_sigmoid_follow_their_formulas(width: float) -> None:
    # PS3.3 C.11.2.1.3.2 and C.11.2.1.3.1; DCMTK is up to 7 levels off LINEAR_EXACT at fractional widths
    x, center = np.arange(4096.0), 2048.0
    exact = np.clip((x - center) / width + 0.5, 0, 1) * 255
    np.testing.assert_array_equal(
        display_table(identity(), Window(center, width, "LINEAR_EXACT")), np.floor(exact + 1e-9)
    )
    with np.errstate(over="ignore"):
        sigmoid = 255 / (1 + np.exp(-4 * (x - center) / width))
    np.testing.assert_array_equal(display_table(identity(), Window(center, width, "SIGMOID")), np.floor(sigmoid + 1e-9))


def test_window_of_width_1_is_a_step() -> None:
    shown = display_table(identity(), Window(100, 1))
    assert (shown[99], shown[100]) == (0, 255)


@pytest.mark.parametrize(
    ("attributes", "usable", "noted"),
    [
        ({}, 0, False),
        ({"WindowCenter": "40"}, 0, True),
        ({"WindowWidth": "40"}, 0, True),
        ({"WindowCenter": "", "WindowWidth": ""}, 0, False),
        ({"WindowCenter": "40", "WindowWidth": "0"}, 0, True),
        ({"WindowCenter": "40", "WindowWidth": "0.5"}, 0, True),
        ({"WindowCenter": "40", "WindowWidth": "0.5", "VOILUTFunction": "LINEAR_EXACT"}, 1, False),
        ({"WindowCenter": "40", "WindowWidth": "-5", "VOILUTFunction": "SIGMOID"}, 0, True),
        ({"WindowCenter": "40", "WindowWidth": "9", "VOILUTFunction": ""}, 1, False),
        ({"WindowCenter": "40", "WindowWidth": "9", "VOILUTFunction": "LOGARITHM"}, 0, True),
        ({"WindowCenter": ["40", "50"], "WindowWidth": ["0", "9"]}, 1, True),
        ({"WindowCenter": ["40", "50"], "WindowWidth": ["9"]}, 1, True),
    ],
)
def test_window_that_cannot_be_meant_costs_only_itself(attributes: dict[str, Any], usable: int, noted: bool) -> None:
    # each of these makes pydicom 3.0.2 raise KeyError, TypeError, ValueError or AttributeError
    header = opened(part10_from_bytes(dicom(**attributes), LIMITS), 0, LIMITS)[0]
    windows = windows_from_header(header)
    assert len(windows) == usable
    assert bool(header.notes) is noted
    assert (default_view(header, identity()) is None) is (usable == 0)


@pytest.mark.parametrize(("center", "width"), [(np.nan, 1.0), (0.0, np.inf), (0.0, 0.0), (0.0, 0.99)])
def test_window_outside_the_standard_cannot_be_built(center: float, width: float) -> None:
    with pytest.raises(ContradictoryAttributes):
        Window(center, width)


def test_whole_range_leaves_padding_out_and_one_value_is_black() -> None:
    stored = drawn().copy()
    stored[:8] = 4095
    stored[8:] //= 4
    header = dataset(stored, 12)
    header.add_new("PixelPaddingValue", "US", 4095)
    radiograph = read(file_bytes(header, native(stored)))
    assert display_from_radiograph(radiograph)[8:].max() == 255
    forgotten = read(dicom(stored))
    assert display_from_radiograph(forgotten)[8:].max() < 70
    assert not display_from_radiograph(read(dicom(np.full_like(stored, 77)))).any()


def test_inversion_is_exactly_once() -> None:
    plain, inverted = display_table(identity(), None), display_table(identity(inverted=True), None)
    np.testing.assert_array_equal(255 - plain.astype(int), inverted)
