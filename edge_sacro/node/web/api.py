"""``/v1``: submit an instance, ask for its result, look at the queue."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse

from edge_sacro.node.audited import acting
from edge_sacro.node.records import Accepted, Instance, State
from edge_sacro.node.web import views
from edge_sacro.node.web.access import peer_of
from edge_sacro.node.web.limits import Pace, PartWriter, body, check_announced
from edge_sacro.node.web.models import (
    Detail,
    Entry,
    ImageView,
    NodeStatus,
    ProblemDocument,
    StateName,
    Submitted,
    Worklist,
)
from edge_sacro.node.web.problems import Problem
from edge_sacro.node.web.views import Views

router = APIRouter(prefix="/v1", tags=["instances"])

Sequence = Annotated[int, Path(ge=1, le=2**53, description="an instance's number in the queue", examples=[7])]
Wait = Annotated[
    float | None,
    Query(ge=0, description="seconds to wait for the result, up to http.wait_s; 202 and no result at the deadline"),
]
Size = Annotated[int, Query(ge=256, le=4096, description="longest side at most, in pixels")]
_WAITERS, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 64, 0.03, 0.3
ENDED = frozenset({State.SENDING, State.DELIVERED, State.REFUSED, State.QUARANTINED})
"""States in which no more can come of waiting for a result."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for OpenAPI."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {status: {"model": ProblemDocument, "content": content} for status in statuses}


def views_of(request: Request) -> Views:
    """What the application was made with."""
    found = request.app.state.views
    if not isinstance(found, Views):
        raise TypeError("the application was not made by app_from_node")
    return found


_BODY = {
    "requestBody": {
        "required": True,
        "description": "a DICOM Part 10 file",
        "content": {"application/dicom": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/instances",
    status_code=201,
    response_model=Submitted,
    summary="Submit a DICOM file",
    responses={
        200: {"model": Submitted, "description": "The result is here, or these bytes were known already"},
        202: {"model": Submitted, "description": "Kept, and no result before the deadline; ask for it later"},
        **problems(400, 401, 403, 408, 413, 415, 422, 503, 507),
    },
    openapi_extra=_BODY,
)
async def submit(request: Request, wait: Wait = None) -> Response:
    """Put one instance on stable storage and enter it in the queue. Any answer of 2xx means that it is kept."""
    shown = views_of(request)
    seconds = _seconds(shown, wait)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/dicom":
        remedy = "Send Content-Type: application/dicom and the file as it is."
        raise Problem(415, "media_type", "the body is said to be no DICOM file", remedy)
    accepted = await _taken(request, shown)
    instance = await _waited(request, shown, accepted.sequence, seconds)
    answer = views.submitted(instance, accepted)
    status = 200 if accepted.what == "again" else 201
    if seconds is not None:
        status = 200 if instance.state in ENDED else 202
    return JSONResponse(answer.model_dump(mode="json"), status, {"Location": answer.href})


async def _taken(request: Request, shown: Views) -> Accepted:
    """Receive the body into a part and take it."""
    services = shown.services
    limit = services.config.limits.instance_mb << 20
    check_announced(request, limit)
    with await run_in_threadpool(services.intake.part) as part:
        writer = PartWriter(part, limit)
        async for piece in body(request, Pace(services.config.limits.pdu_s)):
            await writer.write(piece)
        await writer.flush()
        return await run_in_threadpool(services.intake.take, part, via="http", peer=peer_of(request))


def _seconds(shown: Views, wait: float | None) -> float | None:
    return None if wait is None else min(wait, shown.services.config.http.wait_s)


async def _waited(request: Request, shown: Views, sequence: int, seconds: float | None) -> Instance:
    """The instance once no more can come of waiting, or at the deadline."""
    end, pause = time.monotonic() + (seconds or 0.0), _FIRST_PAUSE_S
    waiting: set[object] = request.app.state.waiting
    mark = object()
    if len(waiting) >= _WAITERS:
        end = 0.0  # too many wait: this one is answered at once, as at its deadline
    waiting.add(mark)
    try:
        while True:
            instance = await run_in_threadpool(shown.known, sequence)
            left = end - time.monotonic()
            if left <= 0 or instance.state in ENDED or request.app.state.stopping.is_set():
                return instance
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
    finally:
        waiting.discard(mark)


@router.get("/instances", response_model=Worklist, summary="The worklist", responses=problems(401, 403, 422))
def worklist(
    request: Request,
    state: Annotated[StateName | None, Query(description="of this state alone")] = None,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="older than this number")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Worklist:
    """Instances, the newest first."""
    shown = views_of(request)
    found = shown.services.store.page(limit=limit, before=before, state=state)
    if found:
        request.app.state.looks.at_list(peer_of(request), found[0].sequence, found[-1].sequence, state)
    entries = [Entry(**shown.entry(each)) for each in found]
    return Worklist(instances=entries, next=found[-1].sequence if len(found) == limit else None)


@router.get(
    "/instances/{sequence}",
    response_model=Detail,
    summary="One instance",
    responses={202: {"model": Detail, "description": "No result before the deadline"}, **problems(401, 403, 404)},
)
async def instance(request: Request, response: Response, sequence: Sequence, wait: Wait = None) -> Detail:
    """Everything that is known of one instance."""
    shown = views_of(request)
    found = await _waited(request, shown, sequence, _seconds(shown, wait))
    if wait is not None and found.state not in ENDED:
        response.status_code = 202
    await run_in_threadpool(request.app.state.looks.at_instance, peer_of(request), sequence)
    return await run_in_threadpool(shown.detail, found)


@router.get(
    "/instances/{sequence}/report",
    summary="The report (docs/report.md)",
    response_class=JSONResponse,
    responses={
        200: {
            "content": {"application/json": {"schema": {"type": "object"}}},
            "description": "docs/report.schema.json",
        },
        **problems(401, 403, 404),
    },
)
def report(request: Request, sequence: Sequence) -> Response:
    """The canonical JSON of the report, byte for byte as it was made."""
    found = views_of(request).known(sequence)
    if found.report is None or found.state not in ENDED:
        raise Problem(404, "no_report", f"there is no report of instance {sequence} (yet)", "Ask again later.")
    views_of(request).services.accessed(sequence, peer_of(request), "report")
    return Response(found.report, media_type="application/json")


@router.get(
    "/instances/{sequence}/results/{name}",
    summary="A result object",
    response_class=FileResponse,
    responses=problems(401, 403, 404),
)
def result_file(
    request: Request, sequence: Sequence, name: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
) -> FileResponse:
    """One of the files that were made of an instance."""
    shown = views_of(request)
    place = shown.result_place(shown.known(sequence), name)
    shown.services.accessed(sequence, peer_of(request), name)
    return FileResponse(place, media_type=views.media_type(name), filename=f"{sequence}-{name}")


@router.get(
    "/instances/{sequence}/image",
    response_model=ImageView,
    summary="How to draw the radiograph",
    responses=problems(401, 403, 404, 410, 413, 422),
)
def image(request: Request, sequence: Sequence, size: Size = 2048) -> ImageView:
    """Size, values, windows and boxes of the pixels."""
    shown = views_of(request)
    return shown.image(shown.known(sequence), size)


@router.get(
    "/instances/{sequence}/pixels",
    summary="The radiograph's pixels",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(401, 403, 404, 410, 413, 422),
    },
)
def pixels(request: Request, sequence: Sequence, size: Size = 2048) -> Response:
    """uint16, little-endian, row after row, as ``image`` describes them."""
    shown = views_of(request)
    picture = shown.picture(shown.known(sequence), size)
    shown.services.accessed(sequence, peer_of(request), "pixels")
    return Response(picture.levels.astype("<u2", copy=False).tobytes(), media_type="application/octet-stream")


@router.post(
    "/instances/{sequence}/requeue",
    response_model=Entry,
    summary="Try an instance again that was set aside",
    responses=problems(401, 403, 404, 409),
)
def requeue(request: Request, sequence: Sequence) -> Entry:
    """An operator's wish; only an instance in quarantine is taken."""
    shown = views_of(request)
    shown.known(sequence)
    with acting(peer_of(request)):
        requeued = shown.services.store.requeue(sequence)
    if not requeued:
        remedy = "Only an instance that was set aside can be tried again."
        raise Problem(409, "not_quarantined", f"instance {sequence} is not set aside", remedy)
    shown.services.journal.event("requeued", instance=sequence, via="http")
    shown.services.intake.arrived.set()
    return Entry(**shown.entry(shown.known(sequence)))


@router.get("/node", response_model=NodeStatus, tags=["node"], summary="How the node is", responses=problems(401, 403))
def node(request: Request) -> NodeStatus:
    """Queue, disk, destinations and bundle."""
    return views_of(request).node()
