"""Errors as HTTP tells them: ``application/problem+json`` (RFC 9457) with the error tree's code and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import JSONResponse

from edge_sacro.errors import (
    DiskFull,
    EdgeSacroError,
    InputNotFound,
    InputRefused,
    InternalError,
    QueueFull,
    SizeLimitExceeded,
    StorageFailed,
    UsageError,
)

STATUS: Mapping[type[EdgeSacroError], int] = MappingProxyType(
    {
        UsageError: 400,
        InputNotFound: 404,
        SizeLimitExceeded: 413,
        InputRefused: 422,
        QueueFull: 503,
        DiskFull: 507,
        StorageFailed: 503,
        EdgeSacroError: 500,
    }
)
"""By class, the nearest base where a class has none of its own."""

RETRY_AFTER_S: Mapping[type[EdgeSacroError], int] = MappingProxyType({QueueFull: 10, DiskFull: 60})
MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """What is wrong with a request, where the error tree has no class for it: the protocol's own matters.

    Args:
        status: HTTP status.
        code: stable, as in docs/http.md.
        what: what happened.
        remedy: how to mend it.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, what: str, remedy: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(what)
        self.status, self.code, self.what, self.remedy = status, code, what, remedy
        self.headers = dict(headers or {})


def problem_from_error(error: EdgeSacroError) -> Problem:
    """The problem that an error of the tree is; its ``source`` may be a path of this machine and is left out."""
    status = next(STATUS[each] for each in type(error).__mro__ if each in STATUS)
    if isinstance(error, (StorageFailed, InternalError)):
        # what the disk or a defect says is for the log of this machine
        what = "the node's disk failed" if isinstance(error, StorageFailed) else "a defect of the node"
        return Problem(status, error.code, what, error.remedy)
    retry = RETRY_AFTER_S.get(type(error))
    return Problem(status, error.code, error.what, error.remedy, {"Retry-After": str(retry)} if retry else None)


def response_from_problem(problem: Problem) -> JSONResponse:
    """The answer; the connection ends where the request's body may not have been read."""
    document = {
        "type": f"urn:edge-sacro:problem:{problem.code}",
        "title": problem.what,
        "status": problem.status,
        "code": problem.code,
        "what": problem.what,
        "remedy": problem.remedy,
    }
    return JSONResponse(document, problem.status, problem.headers, MEDIA_TYPE)
