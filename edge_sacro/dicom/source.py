"""``read`` and ``read_frames``: path, bytes or file object -> Radiograph, one or one for each frame."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from edge_sacro.dicom.acceptance import checked_overrides
from edge_sacro.dicom.limits import ReadLimits
from edge_sacro.dicom.mapped import MAPPED_FROM, holds
from edge_sacro.errors import (
    EdgeSacroError,
    InputNotFound,
    InputRefused,
    InternalError,
    SizeLimitExceeded,
    UsageError,
)
from edge_sacro.types import Radiograph

Source: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes]"
Isolation: TypeAlias = Literal["process", "none"]
DEFAULT_LIMITS = ReadLimits()


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of an object.

    Attributes:
        number: from 1, as DICOM counts them.
        frames: how many the object holds.
        content: the image, or why it is refused.
    """

    number: int
    frames: int
    content: Radiograph | InputRefused


def read(
    source: Source,
    *,
    limits: ReadLimits = DEFAULT_LIMITS,
    overrides: frozenset[str] = frozenset(),
    frame: int = 0,
    name: str | None = None,
    isolation: Isolation = "process",
) -> Radiograph:
    """Read one DICOM file.

    Whether the image suits a system is not asked here, but in ``check_acceptance``; only a lateral Patient
    Orientation is refused here, because no left and right could be told.

    Args:
        source: path, the file's bytes, or a binary file object, which is read to its end.
        limits: what reading may cost.
        overrides: codes of refusals that become notes; ``"wrong_view"`` has a meaning here.
        frame: which frame of a CT object to read, from 0.
        name: what to call the source in errors and reports, where not its path.
        isolation: ``"process"`` decodes in a child process. ``"none"`` decodes in this one, where a hostile file can
            take any memory and time and can end the process; it is meant for tests and debuggers.

    Returns:
        The image, its arrays read-only.

    Raises:
        InputRefused: one of its classes, each with a code and a remedy (docs/dicom-input.md).
        UsageError: there is no such frame, or an override is none.
        InternalError: a defect of ours, or the child could not be started.
    """
    checked_overrides(overrides)
    label = name or (str(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else _label(source))
    data = bytes_from_source(source, limits, label)
    if isolation == "none":
        from edge_sacro.dicom.reader import radiograph_from_bytes

        try:
            return radiograph_from_bytes(data, limits=limits, overrides=overrides, frame=frame, source=label)
        except EdgeSacroError as error:
            raise error.with_source(label) from error.__cause__
    if isolation != "process":
        raise UsageError(f"isolation is {isolation!r}; 'process' and 'none' exist")
    return read_bytes(data, label, path_of(source), overrides, limits, frame)


def read_bytes(
    data: bytes,
    label: str,
    path: Path | None = None,
    overrides: frozenset[str] = frozenset(),
    limits: ReadLimits = DEFAULT_LIMITS,
    frame: int = 0,
) -> Radiograph:
    """As ``read``, of bytes that the caller has taken from their source already.

    Args:
        data: the file's bytes.
        label: what to call the file in errors and reports.
        path: where it stands, so that a large one need not be sent to the child; None where it is no file.
        overrides: as in ``read``.
        limits: as in ``read``.
        frame: as in ``read``.
    """
    job = {"limits": limits.as_dict(), "overrides": sorted(overrides), "frame": frame}
    radiograph = None
    with ThreadPoolExecutor(max_workers=1) as pool:
        # on another processor, while the child reads
        digest = pool.submit(hashlib.sha256, data)
        if path is not None and len(data) >= MAPPED_FROM:
            shared = {**job, "file": str(path.absolute()), "bytes": len(data)}
            try:
                radiograph = _single(shared, b"", data, digest, limits, label)
            except EdgeSacroError as error:
                # what counts is said of the bytes: the file may have changed, or been cut short under the child
                if not isinstance(error, InputNotFound) and holds(path, data):
                    raise
        radiograph = radiograph or _single(job, data, data, digest, limits, label)
    if radiograph is None:
        raise InternalError("the decoding process answered for other bytes than were sent", source=label)
    return radiograph


def _single(
    job: dict[str, object], sent: bytes, data: bytes, digest: Future[Any], limits: ReadLimits, label: str
) -> Radiograph | None:
    """The image, from a child process; None where it was made of other bytes than ``data``."""
    from edge_sacro.dicom.isolation import children
    from edge_sacro.dicom.wire import radiograph_from_message, was_received

    header, payload = children().answer(job, sent, limits, label)
    radiograph = radiograph_from_message(header, payload, label, data)
    sha256 = digest.result().hexdigest()
    return replace(radiograph, sha256=sha256) if was_received(header, radiograph, data, sha256) else None


def warm_up() -> None:
    """Start a decoding process while the caller goes on; a call before the first ``read`` shortens that one."""
    from edge_sacro.dicom.isolation import children

    children().warm()


def read_frames(
    source: Source,
    *,
    limits: ReadLimits = DEFAULT_LIMITS,
    overrides: frozenset[str] = frozenset(),
    name: str | None = None,
    isolation: Isolation = "process",
) -> Iterator[Frame]:
    """Read every frame of one DICOM file, in the order of their numbers, a few at a time.

    Of several frames of CT each is a slice: its functional groups must say where it lies and what its values mean, and
    one whose groups do not is refused by its number. An object of one frame is read as ``read`` reads it. What several
    frames mean in any other modality is not known here, so such an object is refused whole.

    Arguments are those of ``read``. The limits of time and memory hold for the frames that are decoded at once; past
    one of them the frames that were not yet given are refused, each by its number.

    Raises:
        InputRefused: the object is refused, before its first frame.
        UsageError, InternalError: as ``read``.
    """
    checked_overrides(overrides)
    if isolation not in ("process", "none"):
        raise UsageError(f"isolation is {isolation!r}; 'process' and 'none' exist")
    label = name or (str(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else _label(source))
    data = bytes_from_source(source, limits, label)
    sha256 = hashlib.sha256(data).hexdigest()
    job = {"limits": limits.as_dict(), "overrides": sorted(overrides), "many": True}
    frames = given = 0
    while not given or given < frames:
        found: list[Radiograph | InputRefused]
        try:
            if isolation == "none":
                from edge_sacro.dicom.reader import frames_from_bytes

                frames, found = frames_from_bytes(
                    data, limits=limits, overrides=overrides, start=given, source=label, sha256=sha256
                )
            else:
                frames, found = _from_child({**job, "frame": given}, data, sha256, limits, label)
        except InputRefused as refusal:
            if not given:
                raise refusal.with_source(label) from refusal.__cause__
            what = f"{refusal.what}, while frames from {given + 1} on were read"
            found = [type(refusal)(what, source=label, remedy=refusal.remedy)] * (frames - given)
        for each in found:
            given += 1
            yield Frame(given, frames, each)


def _from_child(
    job: dict[str, object], data: bytes, sha256: str, limits: ReadLimits, label: str
) -> tuple[int, list[Radiograph | InputRefused]]:
    """Some frames, from a child process; it answers for the bytes that it was sent."""
    from edge_sacro.dicom.isolation import children
    from edge_sacro.dicom.wire import frames_from_message

    header, payload = children().answer(job, data, limits, label)
    frames, found = frames_from_message(header, payload, label)
    if any(isinstance(each, Radiograph) and each.sha256 != sha256 for each in found):
        raise InternalError("the decoding process answered for other bytes than were sent", source=label)
    return frames, found


def bytes_from_source(source: Source, limits: ReadLimits, label: str) -> bytes:
    """The file's bytes.

    Raises:
        InputNotFound: there is no such file, it may not be read, or it is no regular file.
        SizeLimitExceeded: it is larger than ``limits.file_bytes``.
    """
    if isinstance(source, (str, os.PathLike)):
        data = _bytes_from_path(Path(source), limits, label)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    else:
        try:
            data = source.read(limits.file_bytes + 1)
        except OSError as error:
            raise InputNotFound(f"the file object cannot be read ({error.strerror})", source=label) from error
    if len(data) > limits.file_bytes:
        raise SizeLimitExceeded(f"the file has more than {limits.file_bytes} bytes", source=label)
    return data


def path_of(source: Source) -> Path | None:
    """The path that a source is; None where it is bytes or a file object."""
    return Path(source) if isinstance(source, (str, os.PathLike)) else None


def _bytes_from_path(path: Path, limits: ReadLimits, label: str) -> bytes:
    """Open without blocking, so that a FIFO is refused and not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InputNotFound(f"the file cannot be opened ({reason})", source=label) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise InputNotFound("it is a folder", source=label, remedy="Let find_instances list its files.")
        raise InputNotFound("it is no regular file", source=label)
    with os.fdopen(descriptor, "rb") as stream:
        try:
            # a file that grows meanwhile is read as far as it was when it was opened
            return stream.read(min(status.st_size, limits.file_bytes + 1))
        except OSError as error:
            raise InputNotFound(f"the file cannot be read ({error.strerror})", source=label) from error


def _label(source: object) -> str:
    named = getattr(source, "name", None)
    return named if isinstance(named, str) else "<bytes>"
