"""DICOMweb in: the Store transaction (STOW-RS, PS3.18 10.5) of DICOM files. Nothing is retrieved over DICOMweb here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from edge_sacro.dicom.geometry import is_uid
from edge_sacro.dicom.part10 import file_meta
from edge_sacro.dicom.summary import summary_from_file
from edge_sacro.errors import DiskFull, InputRefused, QueueFull
from edge_sacro.node.intake import META_BYTES
from edge_sacro.node.spool import Part
from edge_sacro.node.web.access import peer_of
from edge_sacro.node.web.api import problems, views_of
from edge_sacro.node.web.limits import TOO_LARGE, Pace, PartWriter, body
from edge_sacro.node.web.multipart import Begin, Event, Multipart, Piece, boundary_from_type
from edge_sacro.node.web.problems import Problem
from edge_sacro.node.web.services import Services

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])

MEDIA_TYPE = "application/dicom+json"
MOST_PARTS = 2000
CANNOT_UNDERSTAND, NO_RESOURCES, OTHER_STUDY = 0xC000, 0xA700, 0xA900
"""Failure Reason (0008,1197), as C-STORE has them (PS3.4 B.2.3). A900 is an error that a data set does not match."""

_CLASS, _INSTANCE, _URL = "00081150", "00081155", "00081190"
_FAILED, _REFERENCED, _REASON = "00081198", "00081199", "00081197"

_BODY = {
    "requestBody": {
        "required": True,
        "description": "DICOM Part 10 files, each as a part of Content-Type application/dicom",
        "content": {'multipart/related; type="application/dicom"': {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "All were stored", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
    202: {"description": "Some failed", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
    409: {"description": "All failed", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
}


@dataclass
class _Stored:
    """What became of the parts so far."""

    referenced: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Parts whose fate is known."""
        return len(self.referenced) + len(self.failed)

    def response(self) -> JSONResponse:
        """The Store response (PS3.18, I.2); nothing is retrieved here, so that its URLs are empty."""
        document: dict[str, Any] = {_URL: {"vr": "UR"}}
        for tag, items in ((_REFERENCED, self.referenced), (_FAILED, self.failed)):
            if items:
                document[tag] = {"vr": "SQ", "Value": items}
        status = 200 if not self.failed else 202 if self.referenced else 409
        return JSONResponse(document, status, media_type=MEDIA_TYPE)


@router.post(
    "/studies",
    summary="Store instances (STOW-RS)",
    responses={**problems(400, 401, 403, 406, 408, 415, 503, 507), **_ANSWERS},
    openapi_extra=_BODY,
)
async def store(request: Request) -> Response:
    """Store instances of any study. What is told as stored is on stable storage."""
    return await _store(request, None)


@router.post(
    "/studies/{study}",
    summary="Store instances of one study (STOW-RS)",
    responses={**problems(400, 401, 403, 406, 408, 415, 503, 507), **_ANSWERS},
    openapi_extra=_BODY,
)
async def store_study(request: Request, study: Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]) -> Response:
    """As ``/studies``; an instance of another study fails."""
    return await _store(request, study)


async def _store(request: Request, study: str | None) -> Response:
    services = views_of(request).services
    accepted = request.headers.get("accept", "*/*").lower()
    if not any(each in accepted for each in ("*/*", "application/*", "application/dicom+json", "application/json")):
        remedy = f"Accept {MEDIA_TYPE}."
        raise Problem(406, "not_acceptable", f"the answer is {MEDIA_TYPE} alone", remedy)
    boundary = boundary_from_type(request.headers.get("content-type", ""), "application/dicom")
    stored, multipart, peer = _Stored(), Multipart(boundary), peer_of(request)
    events = _events(request, multipart, Pace(services.config.limits.pdu_s))
    async for event in events:
        if stored.count >= MOST_PARTS:
            remedy = "Send them in several requests; those that came first are kept."
            raise Problem(413, "too_many_parts", f"more than {MOST_PARTS} parts", remedy)
        if isinstance(event, Begin):
            await _enter(stored, services, _Incoming(event, events, study, peer))
    if not multipart.complete:
        remedy = "Send it again; an instance that is kept already is known again."
        raise Problem(400, "multipart", "the body ends before its closing delimiter", remedy)
    if not stored.count:
        raise Problem(400, "multipart", "the body has no part", "Send one DICOM file at least.")
    return stored.response()


async def _events(request: Request, multipart: Multipart, pace: Pace) -> AsyncIterator[Event]:
    async for piece in body(request, pace):
        for event in multipart.feed(piece):
            yield event


class _Failed(Exception):
    """A part is not stored. Args: the Failure Reason, and the part's UIDs where they are known."""

    def __init__(self, reason: int, names: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason, self.names = reason, names or {}


class _Incoming:
    """One part on its way in. Args: its beginning, what comes behind it, the study that was named, and the client."""

    def __init__(self, begin: Begin, events: AsyncIterator[Event], study: str | None, peer: str) -> None:
        self.media_type = begin.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.study, self.peer, self.whole = study, peer, False
        self._events = events

    async def pieces(self) -> AsyncIterator[bytes]:
        """The part's bytes; ``whole`` once its end has come."""
        async for event in self._events:
            if not isinstance(event, Piece):
                self.whole = True
                return
            yield event.content

    async def skip(self) -> None:
        """Pass over what is left."""
        if not self.whole:
            async for _ in self.pieces():
                pass


async def _enter(stored: _Stored, services: Services, incoming: _Incoming) -> None:
    """Receive one part and note what became of it.

    Raises:
        QueueFull, DiskFull: no part was received so far, and none can be; later they fail their part alone.
        Problem, StorageFailed: nothing more can be received.
    """
    try:
        names = await _part(services, incoming)
    except (QueueFull, DiskFull):
        if not stored.count:
            raise
        failed = _Failed(NO_RESOURCES)
    except Problem as problem:
        if problem.code != TOO_LARGE:
            raise
        failed = _Failed(NO_RESOURCES)
    except _Failed as error:
        failed = error
    else:
        stored.referenced.append({**names, _URL: {"vr": "UR"}})
        return
    stored.failed.append({**failed.names, _REASON: {"vr": "US", "Value": [failed.reason]}})
    await incoming.skip()


async def _part(services: Services, incoming: _Incoming) -> dict[str, Any]:
    """Receive one part and take it; its item of the answer.

    Raises:
        _Failed: it is none that can be stored.
        QueueFull, DiskFull, StorageFailed, Problem: it cannot be received.
    """
    with await run_in_threadpool(services.intake.part) as part:
        writer = PartWriter(part, services.config.limits.instance_mb << 20)
        async for piece in incoming.pieces():
            await writer.write(piece)
        await writer.flush()
        if not incoming.whole or incoming.media_type != "application/dicom":
            raise _Failed(CANNOT_UNDERSTAND)
        names: dict[str, Any] = {}
        try:
            names = await run_in_threadpool(_names, part)
            if incoming.study is not None and await run_in_threadpool(_study, part) != incoming.study:
                raise _Failed(OTHER_STUDY, names)
            await run_in_threadpool(services.intake.take, part, via="http", peer=incoming.peer)
        except InputRefused as refusal:
            raise _Failed(CANNOT_UNDERSTAND, names) from refusal
    return names


def _names(part: Part) -> dict[str, Any]:
    """SOP class and instance of a received file, as the answer names them."""
    with part.path.open("rb") as file:
        meta, _ = file_meta(file.read(META_BYTES))
    found = {_CLASS: meta.get(0x0002, ""), _INSTANCE: meta.get(0x0003, "")}
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in found.items() if is_uid(uid)}


def _study(part: Part) -> str | None:
    """Its Study Instance UID, read where a hostile header can do no harm."""
    return summary_from_file(part.path).study_instance_uid
