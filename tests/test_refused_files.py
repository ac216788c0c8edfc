"""A wrong file of each refused kind, as a person would give it to the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from click.testing import CliRunner
from pydicom.encaps import encapsulate

from edge_sacro.cli import main
from edge_sacro.errors import InputRefused
from tests.tiny import dataset_from_pixels, drawn_pelvis, write_bundle, write_dicom

FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
JPEG_LS = "1.2.840.10008.1.2.4.80"
MPEG2 = "1.2.840.10008.1.2.4.100"


def _as(**attributes: Any) -> Callable[[Path], None]:
    return lambda path: void(write_dicom(path, **attributes))


def void(_: object) -> None:
    """Drop a value."""


def _text(path: Path) -> None:
    path.write_text("this is a letter, and no radiograph " * 10)


def _cut(path: Path) -> None:
    content = write_dicom(path).read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])


def _encapsulated(uid: str, codestream: Callable[[], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        dataset = dataset_from_pixels(drawn_pelvis())
        dataset.file_meta.TransferSyntaxUID = uid
        dataset.PixelData = encapsulate([codestream()])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path, enforce_file_format=True)

    return write


def _damaged_jpeg_ls() -> bytes:
    """The size and the end are right; what lies between is not."""
    content = bytearray(imagecodecs.jpegls_encode(drawn_pelvis()))
    content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
    return bytes(content)


def _report(path: Path) -> None:
    dataset = dataset_from_pixels(drawn_pelvis(), SOPClassUID=STRUCTURED_REPORT, Modality="SR")
    dataset.file_meta.MediaStorageSOPClassUID = STRUCTURED_REPORT
    del dataset.PixelData
    dataset.save_as(path, enforce_file_format=True)


def _small(path: Path) -> None:
    write_dicom(path, np.zeros((100, 100), np.uint16))


FILES: dict[str, Callable[[Path], None]] = {
    "not_dicom": _text,
    "truncated": _cut,
    "unsupported_transfer_syntax": _encapsulated(MPEG2, lambda: b"\0" * 64),
    "no_pixels": _report,
    "colour": _as(PhotometricInterpretation="RGB", SamplesPerPixel=3, PlanarConfiguration=0),
    "wrong_modality": _as(Modality="MR"),
    "wrong_body_part": _as(BodyPartExamined="CHEST"),
    "wrong_view": _as(ViewPosition="LL"),
    "multi_frame": _as(NumberOfFrames=2),
    "contradictory_attributes": _as(BitsStored=12, HighBit=5),
    "missing_attributes": _as(BitsStored=None, HighBit=None),
    "size_limit": _small,
    "decode_failed": _encapsulated(JPEG_LS, _damaged_jpeg_ls),
    "for_processing": _as(PresentationIntentType="FOR PROCESSING", SOPClassUID=FOR_PROCESSING),
    "lossy_limit": _as(LossyImageCompression="01", LossyImageCompressionRatio="80", LossyImageCompressionMethod="X"),
    "input_not_found": void,
}

ELSEWHERE = {"input_refused", "decode_limit"}
"""The base class, and the limits of decoding, which tests/dicom/test_isolation.py passes."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))


def test_there_is_a_file_for_each_refusal() -> None:
    codes = {error.code for error in (InputRefused, *InputRefused.__subclasses__())}
    assert set(FILES) | ELSEWHERE == codes


@pytest.mark.parametrize("code", sorted(FILES))
def test_it_is_refused_by_its_name_with_a_remedy_and_beside_it_a_good_file_is_read(
    bundle: str, tmp_path: Path, code: str
) -> None:
    wrong, good = tmp_path / "wrong.dcm", write_dicom(tmp_path / "good.dcm")
    FILES[code](wrong)
    arguments = ["infer", "--bundle", bundle, "--threads", "1", str(wrong), str(good)]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    expected = {error.code: error.exit_code for error in InputRefused.__subclasses__()}[code]
    first, second = json.loads(done.stdout)["results"]
    assert (first["state"], first["reason_code"]) == ("refused", code), first["reason"]
    assert done.exit_code == expected
    assert first["remedy"]
    assert first["probability"] is None
    assert second["state"] in {"positive", "negative"}
    text = CliRunner().invoke(main, arguments).stdout
    assert "wrong.dcm" in text
    assert code in text
