"""The application: routes, what stands in front of them, and the page's files."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

from edge_sacro import __version__
from edge_sacro.node.web import api, dicomweb
from edge_sacro.node.web.access import Access
from edge_sacro.node.web.guard import Guard, handle_errors
from edge_sacro.node.web.looks import Looks
from edge_sacro.node.web.metrics import CONTENT_TYPE, QueueCollector
from edge_sacro.node.web.models import Health, Readiness
from edge_sacro.node.web.problems import Problem
from edge_sacro.node.web.services import Services
from edge_sacro.node.web.views import Views

PAGES = Path(__file__).parent / "pages"
_MEDIA: Mapping[str, str] = MappingProxyType(
    {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
)
_DESCRIPTION = (
    "Submit radiographs of the pelvis and ask for their results. An instance that was answered with 2xx is on stable "
    "storage. Every answer that is no result says so; none of them means that nothing was found."
)


def app_from_node(services: Services) -> FastAPI:
    """Make the application.

    Args:
        services: the node.

    Raises:
        NodeConfigInvalid: the token file is none.
    """
    app = FastAPI(
        title="Edge-Sacro node",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.views = Views(services)
    app.state.looks = Looks(services.accessed, services.listed)
    app.state.waiting = set()
    app.state.stopping = threading.Event()
    collector = QueueCollector(services)
    services.metrics.registry.register(collector)
    for router in (api.router, dicomweb.router):
        app.include_router(router)
    _add_health(app)
    _add_pages(app)
    handle_errors(app, services)
    app.add_middleware(Guard, access=Access(services.config.http), services=services)
    return app


def _add_health(app: FastAPI) -> None:
    @app.get(
        "/healthz",
        tags=["node"],
        response_model=Health,
        summary="Whether the process answers and its assessor goes on",
        responses={503: {"model": Health}},
    )
    def healthz(request: Request) -> JSONResponse:
        alive = api.views_of(request).services.alive()
        return JSONResponse({"status": "ok" if alive else "stuck"}, 200 if alive else 503)

    @app.get(
        "/readyz",
        tags=["node"],
        response_model=Readiness,
        summary="Whether instances are taken and assessed",
        responses={503: {"model": Readiness}},
    )
    def readyz(request: Request) -> JSONResponse:
        found = api.views_of(request).problems()
        ready = Readiness(ready=not found, problems=found)
        return JSONResponse(ready.model_dump(), 503 if found else 200)

    @app.get(
        "/metrics",
        tags=["node"],
        summary="For Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **api.problems(401, 403)},
    )
    def metrics(request: Request) -> Response:
        return Response(api.views_of(request).services.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _add_pages(app: FastAPI) -> None:
    files = {each.name: each.read_bytes() for each in PAGES.iterdir() if each.suffix in _MEDIA}

    def answered(name: str) -> Response:
        content = files.get(name)
        if content is None:
            raise Problem(404, "no_page", "there is no such file", "Open the page at /.")
        return Response(content, headers={"Content-Type": _MEDIA[Path(name).suffix]})

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return answered("index.html")

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return answered("docs.html")

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        return answered(name)
