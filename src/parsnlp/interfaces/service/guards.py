"""What stands before the routes, as plain ASGI: the request's id, the Host check, the token, the limit on requests at a
time, the headers of every answer, and the last resort for errors. Nothing of a body, a query or an exception's words is
ever logged.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parsnlp.interfaces.service import metrics, page, problems
from parsnlp.interfaces.service.problems import REQUEST_ID, Problem
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import Failed, where

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json"}) | page.OPEN
"""Paths that need no token: they tell nothing of anybody's."""

UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that answer however busy the service is."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = logging.getLogger("parsnlp.service")
access = logging.getLogger("parsnlp.access")


class Outer:
    """Before all else: names the request, checks whom it is for, and answers for whatever goes wrong within.

    `routes`: the path, as it is declared, of each endpoint. A path as sent is never logged or counted: it may hold
    anything.
    """

    def __init__(self, app: ASGIApp, settings: Settings, routes: Mapping[Any, str]) -> None:
        self.app = app
        self.settings = settings
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        scope[REQUEST_ID] = _request_id(headers)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                made = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    made.setdefault(name, value)
                made["X-Request-ID"] = scope[REQUEST_ID]
            await send(message)

        try:
            if _host(headers.get("host", "")) not in self.settings.hosts:
                raise Problem(421, "the header Host names another service; --allow-host adds a name")
            await self.app(scope, receive, sending)
        except ClientDisconnect:
            status = status or 499  # nobody is there to be answered
        except asyncio.CancelledError:  # the server ends, and this is as far out as it matters
            if status == 0:
                ends = Problem(503, "the service is ending; it no longer waits for what is under way")
                await problems.response(ends, scope)(scope, receive, sending)
        except Problem as problem:
            await problems.response(problem, scope)(scope, receive, sending)
        except Exception as error:
            says = str(error) if isinstance(error, Failed) else f"{type(error).__name__} at {where(error)}"
            log.error("request %s failed: %s", scope[REQUEST_ID], says)
            if status == 0:
                failed = Problem(500, problems.FAILED)
                await problems.response(failed, scope)(scope, receive, sending)
            # else the answer has begun: it stays unfinished, and the connection is closed on it
        taken = time.perf_counter() - started
        route = self.routes.get(scope.get("endpoint"), "-")
        metrics.requests.labels(route, status).inc()
        metrics.seconds.labels(route).observe(taken)
        if self.settings.access_log:
            method = scope["method"] if scope["method"] in _METHODS else "-"
            access.info("%s %s %d %.1f ms %s", method, route, status, taken * 1000, scope[REQUEST_ID])


class Inner:
    """Before the routes: the token, where there is one, and no more requests at a time than can be answered."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        counted = scope["path"] not in UNCOUNTED
        problem = self._refused(scope, counted)
        if problem is not None:  # answered here, so that a page of an allowed origin may read it
            await problems.response(problem, scope)(scope, receive, send)
            return
        self.busy += counted
        try:
            await self.app(scope, receive, send)
        finally:
            self.busy -= counted

    def _refused(self, scope: Scope, counted: bool) -> Problem | None:
        token = self.settings.token
        if token is not None and scope["path"] not in OPEN and not _shows(Headers(scope=scope), token):
            return Problem(401, "give the service's token: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})
        if counted and self.busy >= self.settings.max_concurrent:
            return busy("requests")
        return None


def busy(what: str) -> Problem:
    """As many as can be answered are under way."""
    return Problem(503, f"too many {what} at a time; try again", {"Retry-After": "1"})


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex


def _host(header: str) -> str:
    """The name in a Host header, without its port.

    >>> _host("LocalHost:4306"), _host("[::1]:4306")
    ('localhost', '::1')
    """
    name = header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]
    return name.lower()


def _shows(headers: Headers, token: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and scheme.lower() == "bearer"
