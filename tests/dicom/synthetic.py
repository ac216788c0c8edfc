"""Small DICOM files of every transfer syntax and of every oddity that the tests need, written by pydicom."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

DATA = Path(__file__).parent / "data"
IMPLICIT, EXPLICIT, DEFLATED, BIG = (f"1.2.840.10008.1.2{each}" for each in ("", ".1", ".1.99", ".2"))
RLE, BASELINE, EXTENDED, P14, SV1, JLS, JLS_NEAR, J2K, J2K_LOSSY, HT, HT_RPCL, HT_LOSSY = (
    f"1.2.840.10008.1.2.{each}"
    for each in ("5", "4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.201", "4.202", "4.203")
)
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
COMPRESSED = (RLE, BASELINE, EXTENDED, P14, SV1, JLS, JLS_NEAR, J2K, J2K_LOSSY, HT, HT_RPCL, HT_LOSSY)
HTJ2K = (HT, HT_RPCL, HT_LOSSY)
DX = "1.2.840.10008.5.1.4.1.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ROWS, COLUMNS = 272, 260


def drawn(bits: int = 12, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """A smooth field with one edge, without noise, from 0 to the highest value of ``bits`` bits."""
    y, x = np.mgrid[:rows, :columns]
    field = (np.sin(x / 31) * np.cos(y / 43) + 1) / 2 * 0.8 + 0.2 * (x > columns // 3)
    field = (field - field.min()) / (field.max() - field.min())
    return np.rint(field * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def codestream(array: np.ndarray, uid: str, bits: int) -> bytes:  # noqa: PLR0911 - one line a syntax
    """One frame, encoded."""
    if uid == RLE:
        return rle_frame(array)
    if uid == BASELINE:
        return imagecodecs.jpeg8_encode(array, 95)
    if uid == EXTENDED:
        return imagecodecs.jpeg8_encode(array, 95, bitspersample=bits)
    if uid in (P14, SV1):
        return imagecodecs.jpeg8_encode(array, lossless=True, predictor=6 if uid == P14 else 1, bitspersample=bits)
    if uid in (JLS, JLS_NEAR):
        return imagecodecs.jpegls_encode(array, 0 if uid == JLS else 3)
    if uid in (J2K, J2K_LOSSY):
        options = {"reversible": True} if uid == J2K else {"level": 60, "reversible": False}
        return imagecodecs.jpeg2k_encode(array, codecformat="J2K", bitspersample=bits, **options)
    return golden_htj2k(uid)


def golden_htj2k(uid: str) -> bytes:
    """``drawn()`` as OpenJPH 0.26.3 encoded it; not every imagecodecs that is supported has that encoder."""
    return (DATA / ("htj2k_lossy.j2c" if uid == HT_LOSSY else "htj2k_lossless.j2c")).read_bytes()


def rle_frame(array: np.ndarray) -> bytes:
    """PS3.5 G, each row of each byte plane packed apart."""
    planes = array.dtype.itemsize
    raw = np.ascontiguousarray(array).view(np.uint8).reshape(*array.shape, planes)
    segments = []
    for plane in reversed(range(planes)):
        packed = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in raw[:, :, plane])
        segments.append(packed + b"\0" * (len(packed) % 2))
    offsets = np.zeros(16, "<u4")
    offsets[0] = planes
    offsets[1 : planes + 1] = 64 + np.cumsum([0, *map(len, segments[:-1])])
    return offsets.tobytes() + b"".join(segments)


def dataset(array: np.ndarray, bits: int, **attributes: Any) -> Dataset:
    """The attributes of a DX image of the pelvis that shows ``array``; a value of None removes an attribute."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = DX, "1.2.3.4"
    header.Modality, header.BodyPartExamined, header.ViewPosition = "DX", "PELVIS", "AP"
    header.PresentationIntentType = "FOR PRESENTATION"
    header.PatientName, header.PatientOrientation = "Nobody^Synthetic", ["L", "F"]
    header.PixelSpacing, header.ImagerPixelSpacing = [0.15, 0.15], [0.16, 0.16]
    header.Rows, header.Columns = array.shape[-2:]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = array.dtype.itemsize * 8
    header.BitsStored, header.HighBit = bits, bits - 1
    header.PixelRepresentation = int(array.dtype.kind == "i")
    for keyword, value in attributes.items():
        if value is None:
            delattr(header, keyword)
        else:
            setattr(header, keyword, value)
    return header


def file_bytes(header: Dataset, pixels: bytes | None, uid: str = EXPLICIT, vr: str = "OW") -> bytes:
    """A Part 10 file. ``pixels`` is the value of Pixel Data, native or encapsulated."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = UID(uid), header.get("SOPClassUID", DX)
    meta.MediaStorageSOPInstanceUID = header.get("SOPInstanceUID", "1.2.3.4")
    stream = io.BytesIO()
    whole = FileDataset(
        stream, {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=uid == IMPLICIT, is_little_endian=uid != BIG
    )
    whole.update(header)
    if pixels is not None:
        compressed = uid in COMPRESSED
        whole.add_new("PixelData", "OB" if compressed else vr, pixels)
        whole["PixelData"].is_undefined_length = compressed
    whole.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def native(array: np.ndarray, uid: str = EXPLICIT) -> bytes:
    """Native pixel data, even."""
    raw = array.astype(array.dtype.newbyteorder(">" if uid == BIG else "<")).tobytes()
    return raw + b"\0" * (len(raw) % 2)


def dicom(array: np.ndarray | None = None, uid: str = EXPLICIT, bits: int = 12, **attributes: Any) -> bytes:
    """A DX file that shows ``array`` (``drawn(bits)`` by default) in a transfer syntax."""
    array = drawn(bits) if array is None else array
    header = dataset(array, bits, **attributes)
    if uid in NATIVE:
        return file_bytes(header, native(array, uid), uid)
    return file_bytes(header, encapsulate([codestream(array, uid, bits)]), uid)


def lut(first: int, data: np.ndarray, bits: int, **attributes: Any) -> Dataset:
    """An item of a LUT sequence. 8-bit data are packed two to a word, as OW has them."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [data.size % 65536, first, bits])
    raw = data.astype("u1" if bits <= 8 else "<u2").tobytes()
    item.add_new("LUTData", "OW", raw + b"\0" * (len(raw) % 2))
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
