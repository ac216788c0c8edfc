"""What stands around the application: access, security headers, and no error that gets out unanswered."""

from __future__ import annotations

import traceback

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_sacro.errors import EdgeSacroError, InternalError, StorageFailed
from edge_sacro.node.complaints import Complaints
from edge_sacro.node.web.access import OPEN_FOLDER, Access, address_of
from edge_sacro.node.web.limits import BODY_READ, drain
from edge_sacro.node.web.problems import Problem, problem_from_error, response_from_problem
from edge_sacro.node.web.services import Services

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_KEPT_OUT = (401, 403)


class Guard:
    """Middleware, outermost. Args: the application, the rules and the node."""

    def __init__(self, app: ASGIApp, access: Access, services: Services) -> None:
        self._app, self._access, self._services = app, access, services
        self._complaints = Complaints(services.journal, "http_refused")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started: list[int] = []

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message["status"])
                headers = MutableHeaders(raw=message["headers"])
                headers.update(SECURITY)
                headers["Cache-Control"] = "no-cache" if scope["path"].startswith(OPEN_FOLDER) else "no-store"
                message["headers"] = headers.raw
            await send(message)

        read: list[bool] = []
        scope[BODY_READ] = read

        async def noted() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                read.append(True)
            return message

        request = Request(scope, noted)
        try:
            self._access.check(request, scope["method"])
            await self._app(scope, noted, guarded)
        except Problem as problem:
            if problem.status in _KEPT_OUT:
                await run_in_threadpool(self._complaints.tell, problem.code, address_of(request))
            await drain(request)
            await response_from_problem(problem)(scope, noted, guarded)
        except Exception as defect:  # noqa: BLE001 - it is told and answered, and the node goes on
            where = traceback.extract_tb(defect.__traceback__)[-1]
            name = where.filename.rsplit("/", 1)[-1]
            self._services.journal.event("http_defect", kind=type(defect).__name__, where=f"{name}:{where.lineno}")
            if not started:
                await response_from_problem(_problem(defect))(scope, noted, guarded)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._services.metrics.request(route, started[0] if started else 499)


def handle_errors(app: FastAPI, services: Services) -> None:
    """Have every error answered as a problem."""

    async def answered(request: Request, error: Exception) -> Response:
        if isinstance(error, ClientDisconnect):
            return Response(status_code=400)
        if isinstance(error, StorageFailed):
            services.storage_failed(error)
        await drain(request)
        return response_from_problem(_problem(error))

    for kind in (Problem, EdgeSacroError, ClientDisconnect, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answered)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, EdgeSacroError):
        return problem_from_error(error)
    if isinstance(error, HTTPException):
        return Problem(error.status_code, "http", str(error.detail), "See /docs.", error.headers)
    if isinstance(error, RequestValidationError):
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return Problem(422, "parameter", told, "See /docs.")
    return problem_from_error(InternalError(type(error).__name__))
