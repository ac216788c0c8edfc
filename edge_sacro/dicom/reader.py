"""Bytes -> Radiograph, in this process. ``edge_sacro.dicom.read`` runs it in a child, unless it is told not to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from edge_sacro.dicom.attributes import Header, frame_header, require_slice
from edge_sacro.dicom.decoders import Syntax, syntax_from_uid
from edge_sacro.dicom.geometry import is_uid, orientation_from_header, plane_from_header, spacing_from_header
from edge_sacro.dicom.grayscale import grayscale_from_header
from edge_sacro.dicom.limits import MIB, ReadLimits
from edge_sacro.dicom.mapped import FileBytes
from edge_sacro.dicom.part10 import Part10, PixelElement, part10_from_bytes
from edge_sacro.dicom.pixels import PixelFormat, check_frames, pixel_format_from_header, stored_values
from edge_sacro.errors import (
    ContradictoryAttributes,
    DecodeLimitExceeded,
    ForProcessingImage,
    InputRefused,
    MissingAttributes,
    MultiFrameImage,
    NoPixelData,
    SizeLimitExceeded,
    TruncatedFile,
    UsageError,
    WrongView,
)
from edge_sacro.types import Acquisition, Radiograph

_DICOMDIR = "1.2.840.10008.1.3.10"
_FOR_PROCESSING = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{each}.1" for each in (1, 2, 3))
_CT = frozenset(f"1.2.840.10008.5.1.4.1.1.2{each}" for each in ("", ".1", ".2"))
_IMAGES = _FOR_PROCESSING | _CT | {f"1.2.840.10008.5.1.4.1.1.1{each}" for each in ("", ".1", ".2", ".3")}
FRAMES_BYTES, FRAMES_AT_ONCE = 32 * MIB, 64
"""What one answer holds of an object of many frames, at most: pixels and tables, and how many."""

VIEW_MEANINGS: Mapping[str, str] = MappingProxyType(
    {"ANTERO-POSTERIOR": "AP", "ANTEROPOSTERIOR": "AP", "POSTERO-ANTERIOR": "PA", "POSTEROANTERIOR": "PA"}
)
"""Code Meaning of View Code Sequence -> View Position."""


def radiograph_from_bytes(
    data: FileBytes,
    *,
    limits: ReadLimits,
    overrides: frozenset[str] = frozenset(),
    frame: int = 0,
    source: str = "<bytes>",
    sha256: str | None = None,
) -> Radiograph:
    """Read one file. Arguments and errors are those of ``edge_sacro.dicom.read``; ``sha256`` spares hashing it."""
    part10 = part10_from_bytes(data, limits)
    digest = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    return _radiograph(part10, frame, limits, overrides, source, digest)


def frames_from_bytes(
    data: FileBytes,
    *,
    limits: ReadLimits,
    overrides: frozenset[str] = frozenset(),
    start: int = 0,
    source: str = "<bytes>",
    sha256: str | None = None,
) -> tuple[int, list[Radiograph | InputRefused]]:
    """Read as many frames of one file, from ``start`` on, as one answer takes; always one, and all where they fit.

    Other arguments are those of ``edge_sacro.dicom.read``.

    Returns:
        how many frames the object holds; then each one, or why it is refused. A single frame is read as
        ``radiograph_from_bytes`` reads it.

    Raises:
        InputRefused: the object is refused, not a frame of it; or reading passed a limit.
    """
    part10 = part10_from_bytes(data, limits)
    _, pixel_format, pixels, frames = opened(part10, start, limits)
    if frames > limits.max_frames:
        raise SizeLimitExceeded(f"the object holds {frames} frames; up to {limits.max_frames} are read")
    if frames > 1:
        check_frames(part10, pixels, syntax_from_uid(part10.transfer_syntax_uid), pixel_format, frames)
    digest = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    most = min(FRAMES_BYTES, limits.answer_bytes) // pixel_format.answer_bytes
    last = min(start + max(min(most, FRAMES_AT_ONCE), 1), frames)
    if frames == 1:
        return 1, [_radiograph(part10, 0, limits, overrides, source, digest)]
    return frames, [_slice(part10, frame, limits, overrides, source, digest) for frame in range(start, last)]


def _slice(
    part10: Part10, frame: int, limits: ReadLimits, overrides: frozenset[str], source: str, sha256: str
) -> Radiograph | InputRefused:
    """One of several frames, or why it alone is refused.

    Raises:
        DecodeLimitExceeded: reading passed a limit; no other frame can be read then either.
    """
    header = Header(part10.header, part10.little_endian)
    try:
        require_slice(header, frame, header.integer("NumberOfFrames") or 1)
        return _radiograph(part10, frame, limits, overrides, source, sha256)
    except DecodeLimitExceeded:
        raise
    except InputRefused as refusal:
        return type(refusal)(f"frame {frame + 1}: {refusal.what}", source=source, remedy=refusal.remedy)


def _radiograph(
    part10: Part10, frame: int, limits: ReadLimits, overrides: frozenset[str], source: str, sha256: str
) -> Radiograph:
    """One frame of a file that was taken apart."""
    syntax = syntax_from_uid(part10.transfer_syntax_uid)
    header, pixel_format, pixels, frames = opened(part10, frame, limits)
    orientation = orientation_from_header(header, WrongView.code in overrides)
    grayscale = grayscale_from_header(header, pixel_format)
    stored = stored_values(part10, pixels, syntax, pixel_format, (frame, frames))
    stored.flags.writeable = False
    lossy, ratio = _loss(header, syntax)
    return Radiograph(
        stored=stored,
        grayscale=grayscale,
        bits_stored=pixel_format.bits_stored,
        spacing=spacing_from_header(header),
        orientation=orientation,
        sop_class_uid=header.uid("SOPClassUID") or part10.media_storage_sop_class_uid,
        sop_instance_uid=_instance_uid(header),
        transfer_syntax_uid=part10.transfer_syntax_uid,
        modality=header.text("Modality") or "",
        photometric_interpretation=pixel_format.photometric_interpretation,
        body_part=_body_part(header),
        view=_view(header),
        laterality=_laterality(header),
        lossy=lossy,
        lossy_ratio=ratio,
        frame=frame,
        frames=frames,
        sha256=sha256,
        source=source,
        plane=plane_from_header(header),
        acquisition=_acquisition(header),
        notes=tuple(dict.fromkeys(header.notes)),
    )


def opened(part10: Part10, frame: int, limits: ReadLimits) -> tuple[Header, PixelFormat, PixelElement, int]:
    """The frame's header and pixel format, the pixel data, and the number of frames, after every check before pixels.

    Raises:
        NoPixelData, TruncatedFile, ForProcessingImage, MultiFrameImage, ColourImage, MissingAttributes,
        ContradictoryAttributes, SizeLimitExceeded: as their names say.
        UsageError: there is no such frame.
    """
    whole = Header(part10.header, part10.little_endian, list(part10.notes))
    sop_class = whole.uid("SOPClassUID") or part10.media_storage_sop_class_uid
    pixels = _pixels(part10, sop_class)
    if sop_class in _FOR_PROCESSING or whole.text("PresentationIntentType") == "FOR PROCESSING":
        raise ForProcessingImage("the object is meant FOR PROCESSING")
    pixel_format = pixel_format_from_header(whole, limits)
    frames = whole.integer("NumberOfFrames")
    frames = 1 if frames is None else frames
    if frames < 1:
        raise ContradictoryAttributes(f"Number of Frames is {frames}")
    if frames > 1 and sop_class not in _CT and whole.text("Modality") != "CT":
        raise MultiFrameImage(f"the object holds {frames} frames")
    if not 0 <= frame < frames:
        raise UsageError(f"frame {frame} was asked for and the object holds {frames}, counted from 0")
    header = frame_header(whole, frame)
    if whole.text("BurnedInAnnotation") == "YES":
        header.notes.append("The sender says that text is burned into the image.")
    return header, pixel_format, pixels, frames


def _pixels(part10: Part10, sop_class: str) -> PixelElement:
    """The pixel data element, or why there is none."""
    if part10.pixels is not None:
        return part10.pixels
    if sop_class == _DICOMDIR:
        raise NoPixelData("the file is a DICOMDIR", remedy="Name the folder that it stands in.")
    if "FloatPixelData" in part10.header or "DoubleFloatPixelData" in part10.header:
        raise NoPixelData("the object holds floating-point pixels, which no radiograph has")
    if sop_class in _IMAGES:
        raise TruncatedFile("the file of an image ends before its pixel data")
    raise NoPixelData(f"an object of SOP class {sop_class[:64] or 'unknown'} without Pixel Data (7FE0,0010)")


def _instance_uid(header: Header) -> str:
    uid = header.uid("SOPInstanceUID")
    if not uid:
        raise MissingAttributes("absent or empty: SOPInstanceUID")
    if not is_uid(uid):
        # the UID names results and files; nothing but digits and dots may get there (PS3.5 9.1)
        raise ContradictoryAttributes("SOP Instance UID is no UID")
    return uid


def _body_part(header: Header) -> str | None:
    part = header.note_text("BodyPartExamined")
    if part is not None:
        return part
    places = header.items("AnatomicRegionSequence")
    if not places:
        places = tuple(
            item for each in header.items("FrameAnatomySequence") for item in each.items("AnatomicRegionSequence")
        )
    return next((meaning for place in places if (meaning := place.note_text("CodeMeaning"))), None)


def _view(header: Header) -> str | None:
    position = header.note_text("ViewPosition")
    if position is not None:
        return position
    for item in header.items("ViewCodeSequence"):
        meaning = item.note_text("CodeMeaning")
        if meaning is not None:
            return VIEW_MEANINGS.get(meaning, meaning)
    return None


def _laterality(header: Header) -> str | None:
    for keyword in ("ImageLaterality", "Laterality", "FrameLaterality"):
        letter = header.note_text(keyword)
        if letter in ("L", "R", "B", "U"):
            return letter
        if letter is not None:
            header.notes.append(f"{keyword} is none of L, R, B and U and was left out.")
    return None


def _acquisition(header: Header) -> Acquisition:
    """What cannot be read counts as absent, without a note: no decision depends on it."""
    quiet = Header(header.dataset, header.little_endian)
    named = ("Manufacturer", "ManufacturerModelName", "StationName", "DeviceSerialNumber")
    try:
        equipment = " | ".join(text for keyword in named if (text := quiet.note_text(keyword)))[:256]
        kvp, index, deviation = (
            next(iter(quiet.note_numbers(keyword)), None) for keyword in ("KVP", "ExposureIndex", "DeviationIndex")
        )
    except InputRefused:
        return Acquisition()
    return Acquisition(equipment or None, kvp, index, deviation)


def _loss(header: Header, syntax: Syntax) -> tuple[bool, float | None]:
    """Whether the pixels ever lost anything (PS3.3 C.7.6.1.1.5), and the largest ratio given."""
    flag = header.note_text("LossyImageCompression")
    ratios = header.note_numbers("LossyImageCompressionRatio")
    lossy = flag == "01" or syntax.always_loses or (syntax.may_lose and flag != "00")
    return lossy, max(ratios) if ratios and lossy else None
