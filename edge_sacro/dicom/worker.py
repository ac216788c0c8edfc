"""The child that takes hostile bytes apart: one job after another, each under limits, until its input ends.

Run by ``edge_sacro.dicom.isolation``. It is a fence against bombs and crashes, not a sandbox: it holds the rights of
the process that started it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO

from edge_sacro.dicom.limits import ReadLimits
from edge_sacro.dicom.mapped import FileBytes, mapped
from edge_sacro.dicom.reader import frames_from_bytes, radiograph_from_bytes
from edge_sacro.dicom.summary import message_from_prefix
from edge_sacro.dicom.wire import PREFIX, header_bytes, message_from_error, message_from_frames, message_from_radiograph
from edge_sacro.errors import DecodeLimitExceeded, EdgeSacroError, InternalError


def main() -> None:
    """Answer jobs on standard input until it ends."""
    # file descriptor 1 is ours alone: a library that prints must not speak into the answers
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _load_decoders()
    base = _address_space()
    _send(answers, {"ready": True}, ())
    jobs = sys.stdin.buffer
    while True:
        prefix = jobs.read(PREFIX.size)
        if len(prefix) < PREFIX.size:
            return
        header_size, payload_size = PREFIX.unpack(prefix)
        job = json.loads(jobs.read(header_size))
        limits = ReadLimits(**job["limits"])
        _limit(limits, base, job.get("bytes", payload_size))
        header, parts = _answer(job, jobs, payload_size, limits)
        _send(answers, header, parts)
        del parts  # the next job's limit is on what it takes beside the process at rest
        if header.get("ending"):
            return


def _answer(
    job: dict[str, Any], jobs: BinaryIO, size: int, limits: ReadLimits
) -> tuple[dict[str, Any], Iterable[memoryview]]:
    """The answer to one job. After running out of memory the child ends, for nothing it holds can be trusted."""
    try:
        if "file" in job:
            data: FileBytes = mapped(job["file"], job["bytes"])
        else:
            data = _received(jobs, size)
        overrides, frame = frozenset(job["overrides"]), job["frame"]
        if job.get("summary"):
            return message_from_prefix(bytes(data)), ()
        if job.get("many"):
            return message_from_frames(*frames_from_bytes(data, limits=limits, overrides=overrides, start=frame))
        # the sender hashes the file meanwhile
        found = radiograph_from_bytes(data, limits=limits, overrides=overrides, frame=frame, sha256="")
        return message_from_radiograph(found, data)
    except MemoryError:
        error: EdgeSacroError = DecodeLimitExceeded(f"reading it takes more than {limits.memory_bytes} bytes of memory")
        return message_from_error(error) | {"ending": True}, ()
    except EdgeSacroError as refusal:
        ending = isinstance(refusal, DecodeLimitExceeded)
        return message_from_error(refusal) | ({"ending": True} if ending else {}), ()
    except Exception as defect:  # noqa: BLE001 - the one place where a defect of ours becomes an answer
        return message_from_error(InternalError(f"{type(defect).__name__} while reading {_where(defect)}")), ()


def _received(jobs: BinaryIO, size: int) -> bytes:
    data = jobs.read(size)
    if len(data) != size:
        raise InternalError("the decoding process received other bytes than were sent")
    return data


def _where(error: BaseException) -> str:
    """File and line where an error was raised; its message may quote the header, and is not passed on."""
    trace = error.__traceback__
    place = "an unknown line"
    while trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119
        trace = trace.tb_next
    return place


def _load_decoders() -> None:
    """Load every decoder now, so that the address space at rest is known and no job pays for it."""
    import imagecodecs

    for decode in ("jpeg8_decode", "jpegls_decode", "jpeg2k_decode", "packbits_decode"):
        getattr(imagecodecs, decode)


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell, and no memory limit is set then."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123
            return int(stream.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _limit(limits: ReadLimits, base: int, payload: int) -> None:
    """Set the limits of the next job: soft ones, which the one after it may set anew."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _soft(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + limits.cpu_s)
    if base:
        # the file itself is held once beside what reading it takes
        _soft(resource.RLIMIT_AS, base + payload + limits.memory_bytes)


def _soft(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _send(answers: BinaryIO, header: dict[str, Any], parts: Iterable[memoryview]) -> None:
    """Write one message whole."""
    parts = list(parts)
    for part in (memoryview(header_bytes(header, sum(part.nbytes for part in parts))), *parts):
        sent = 0
        while sent < part.nbytes:
            sent += answers.write(part[sent:]) or 0


if __name__ == "__main__":
    main()
