"""The application: operations, guards, and the life of the engine within."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from parsnlp.extractor import ENGINE
from parsnlp.interfaces.service import metrics, openapi, page, problems, records, v1
from parsnlp.interfaces.service.guards import Inner, Outer
from parsnlp.interfaces.service.openapi import TEXT, Operation
from parsnlp.interfaces.service.problems import Problem
from parsnlp.interfaces.service.schemas import State
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import Engine

DOORS = (v1.operations, records.operations)
"""Each gives the operations for one kind of caller. What else speaks to callers is added here."""


def application(settings: Settings, engine: Engine) -> ASGIApp:
    """The service as an ASGI application. The engine starts and ends with its lifespan."""
    operations = [operation for door in DOORS for operation in door(engine, settings)] + probes(engine)
    routes = [Route(item.path, item.handler, methods=[item.method]) for item in operations]
    pages = page.routes(engine, settings)
    described = openapi.document(operations, settings.token is not None)
    reference, policy = openapi.page(operations, settings.token is not None)

    async def document(request: Request) -> Response:
        return JSONResponse(described)

    async def docs(request: Request) -> Response:
        return HTMLResponse(reference, headers={"Content-Security-Policy": policy})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine.start()
        with suppress(asyncio.CancelledError):  # told to end a second time, the server waits for nothing
            yield
        engine.close()

    inside = Starlette(
        routes=[*routes, *pages, Route("/openapi.json", document), Route("/docs", docs)],
        exception_handlers={HTTPException: problems.handle, Exception: problems.handle_failure},
        lifespan=lifespan,
    )
    inside.router.redirect_slashes = False
    app: ASGIApp = Inner(inside, settings)
    if settings.origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    paths = {item.handler: item.path for item in operations} | {document: "/openapi.json", docs: "/docs"}
    paths |= {route.endpoint: route.path for route in pages}
    return Outer(app, settings, paths)


def probes(engine: Engine) -> list[Operation]:
    """What tells whoever runs the service how it is."""

    async def alive(request: Request) -> Response:
        return JSONResponse(State(engine=ENGINE).model_dump())

    async def ready(request: Request) -> Response:
        if not engine.ready:
            raise Problem(503, "the engine is not warm yet", {"Retry-After": "1"})
        return JSONResponse(State(engine=ENGINE).model_dump())

    async def figures(request: Request) -> Response:
        return Response(metrics.exposition(), media_type=metrics.MEDIA)

    return [
        Operation("healthz", "GET", "/healthz", "Whether the process lives", "", alive, gives=State, needs_token=False),
        Operation("readyz", "GET", "/readyz", "Whether the engine is warm", "", ready, gives=State, needs_token=False),
        Operation("metrics", "GET", "/metrics", "Figures for Prometheus", "", figures, media=TEXT),
    ]
