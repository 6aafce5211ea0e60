"""Errors as `application/problem+json` (RFC 9457). None holds anything that the caller sent but the request's own id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

MEDIA = "application/problem+json"
REQUEST_ID = "parsnlp.request_id"
"""Where a request's scope keeps its id."""

FAILED = "the service failed on this; its log has the place, by the request's id"

_ROUTING = {
    404: "no such path; /docs lists those there are",
    405: "the path is there, but not for this method; the header Allow lists those it has",
}
_RULES = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_unicode": "must be a string",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has not the form that is asked for",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "too_short": "must not be empty",
    "extra_forbidden": "has a field that is not known; /docs lists those that are",
}


class Problem(HTTPException):
    """A refusal. `detail`: one sentence of ours, never the caller's words."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)


def fields(status: int, detail: str, request_id: str) -> dict[str, Any]:
    """The members of a problem."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": request_id}


def response(problem: HTTPException, scope: Scope) -> Response:
    """The answer to a request that is refused, by us or by the router."""
    detail = problem.detail if isinstance(problem, Problem) else _ROUTING.get(problem.status_code, "refused")
    content = json.dumps(fields(problem.status_code, detail, scope[REQUEST_ID]))
    return Response(content, problem.status_code, problem.headers, MEDIA)


def of_line(error: Exception, line: int, request_id: str) -> bytes:
    """The problem with one line of a batch."""
    status, detail = (error.status_code, error.detail) if isinstance(error, Problem) else (500, FAILED)
    return json.dumps(fields(status, detail, request_id) | {"line": line}).encode()


async def handle(request: Request, error: Exception) -> Response:
    """Starlette's handler of `HTTPException`."""
    assert isinstance(error, HTTPException)
    return response(error, request.scope)


async def handle_failure(request: Request, error: Exception) -> Response:
    """Starlette's handler of any other error, which it raises again, so that `guards.Outer` can log it."""
    return response(Problem(500, FAILED), request.scope)


def of_validation(error: ValidationError) -> Problem:
    """What keeps a request from its model: each place and its rule, never the value, nor a name that the caller made up."""
    found = [
        _sentence(item["type"], item["loc"], item.get("ctx", {}))
        for item in error.errors(include_url=False, include_input=False)
    ]
    return Problem(422, "; ".join(dict.fromkeys(found[:10])))


def _sentence(kind: str, place: tuple[int | str, ...], context: Mapping[str, Any]) -> str:
    if kind == "extra_forbidden":
        place = place[:-1]  # its last step is the caller's own word
    where = ""
    for step in place:
        where += f"[{step}]" if isinstance(step, int) else f".{step}" if where else step
    where = where or "the request"
    if kind == "literal_error":
        return f"{where}: must be one of {str(context['expected']).replace(' or ', ', ')}"
    if kind in ("too_long", "string_too_long"):
        return f"{where}: holds more than {context['max_length']:,}"
    if kind == "value_error":  # raised by a validator of ours, whose words these are
        return f"{where}: {context['error']}"
    return f"{where}: {_RULES.get(kind, 'is not as asked for')}"
