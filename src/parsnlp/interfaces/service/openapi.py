"""The operations of the service as data, and what is made of them: the OpenAPI 3.1 document and the page at /docs."""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from parsnlp import __version__
from parsnlp.interfaces.service import problems, schemas
from parsnlp.view import render

JSON, NDJSON, TEXT = "application/json", "application/x-ndjson", "text/plain"

REFUSALS = {
    400: "The body is not JSON, not UTF-8, nested too deep, or has a name twice.",
    401: "The token is missing or wrong (only where the service has one).",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    412: "The request lacks prefetched data that the service needs; it fetches nothing itself.",
    413: "The body, or a batch, is larger than is taken.",
    415: "The body has another media type, or is compressed.",
    421: "The Host header names another service.",
    422: "The JSON is not as asked for; `detail` names each place and its rule.",
    500: "The service failed; its log has the request's id and the place.",
    503: "Too many requests at a time, or the engine is not ready; `Retry-After` says when to try again.",
}
_ALWAYS = (401, 421, 500, 503)
BODY = (400, 408, 413, 415, 422)
"""What any operation that takes a body may refuse it for."""

_TOP = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Operation:
    """One operation: where it is, what it does, who answers.

    `gives`: the model of its answer, or None for a text of type `media`. `takes`: the models of which the body is one;
    of its lines when `lines`. `examples`: bodies by name (a list is the lines of a batch), or path parameters; where there
    are both, a body's name is the path parameter. `query`:
    parameters that may stand behind the path, as OpenAPI has them. `refuses_as`: the media type of its own refusals, where it
    is another than that of problems. `needs_token`: False where anybody may ask.
    """

    id: str
    method: str
    path: str
    summary: str
    description: str
    handler: Callable[[Request], Awaitable[Response]]
    gives: type[BaseModel] | None = None
    media: str = JSON
    takes: tuple[type[BaseModel], ...] = ()
    lines: bool = False
    query: tuple[Mapping[str, Any], ...] = ()
    examples: Mapping[str, Any] = field(default_factory=dict)
    refuses: tuple[int, ...] = ()
    refuses_as: str | None = None
    needs_token: bool = True


def document(operations: Sequence[Operation], token: bool) -> dict[str, Any]:
    """The OpenAPI document. `token`: whether callers must show one."""
    taken = {model for operation in operations for model in operation.takes}
    given = {operation.gives for operation in operations if operation.gives} | {schemas.Problem}
    inputs = sorted(taken, key=lambda model: model.__name__)
    outputs = sorted(given, key=lambda model: model.__name__)
    _, found = models_json_schema(
        [(model, "validation") for model in inputs] + [(model, "serialization") for model in outputs], ref_template=_TOP
    )
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, token)
    components: dict[str, Any] = {
        "schemas": found["$defs"],
        "responses": {
            str(status): {
                "description": says,
                "headers": _HEADERS,
                "content": {problems.MEDIA: {"schema": {"$ref": _TOP.format(model="Problem")}}},
            }
            for status, says in REFUSALS.items()
        },
    }
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "parsnlp",
            "version": __version__,
            "description": "ICD-10-CM codes for pars defects and vertebral slips in clinical notes, with their evidence. "
            "A code is a suggestion for a qualified coder, who decides. Nothing that is sent is kept.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": components,
    }


_HEADERS = {
    "X-Request-ID": {
        "description": "The id that the caller gave the request, or one that was made.",
        "schema": {"type": "string"},
    }
}


def _described(operation: Operation, token: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if operation.gives and not operation.lines:
        schema = {"$ref": _TOP.format(model=operation.gives.__name__)}
    made: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*_in_path(operation), *operation.query],
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": _HEADERS,
                "content": {operation.media: {"schema": schema}},
            },
            **{
                str(status): _refused(operation, status)
                for status in sorted({*_ALWAYS, *operation.refuses})
                if token or status != 401
            },
        },
    }
    if operation.takes:
        models = [{"$ref": _TOP.format(model=model.__name__)} for model in operation.takes]
        body: dict[str, Any] = models[0] if len(models) == 1 else {"anyOf": models}
        media: dict[str, Any] = {"schema": body}
        if operation.lines:  # OpenAPI 3.1 cannot say of what the lines are
            media = {"schema": {"description": f"JSON lines, each of {operation.takes[0].__name__}."}}
        media["examples"] = {name: {"value": sent(value)} for name, value in operation.examples.items()}
        made["requestBody"] = {"required": True, "content": {NDJSON if operation.lines else JSON: media}}
    if token and operation.needs_token:
        made["security"] = [{"token": []}]
    return made


def _refused(operation: Operation, status: int) -> dict[str, Any]:
    if operation.refuses_as is None:
        return {"$ref": f"#/components/responses/{status}"}
    content = {media: {"schema": {"type": "object"}} for media in (operation.refuses_as, problems.MEDIA)}
    return {"description": REFUSALS[status], "headers": _HEADERS, "content": content}


def sent(example: Any) -> Any:
    """An example as it is sent: a list as the lines of a batch."""
    return "".join(f"{json.dumps(line)}\n" for line in example) if isinstance(example, list) else example


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "examples": {
                key: {"value": key if operation.takes else value} for key, value in operation.examples.items()
            },
        }
        for name in re.findall(r"{(\w+)}", operation.path)
    ]


def page(operations: Sequence[Operation], token: bool) -> tuple[str, str]:
    """The documentation as HTML that loads nothing, and the Content-Security-Policy under which it shows."""
    made = render(
        "service.html",
        version=__version__,
        operations=[(operation, _curls(operation, token)) for operation in operations],
        refusals=REFUSALS,
        always=_ALWAYS,
        token=token,
        schemas=document(operations, token)["components"]["schemas"],
    )
    hashes = " ".join(
        f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        for style in re.findall(r"<style>(.*?)</style>", made, re.S)
    )
    return made, f"default-src 'none'; style-src {hashes}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def _curls(operation: Operation, token: bool) -> list[tuple[str, str]]:
    """Each example as a curl command, by its name."""
    start = "curl -sS" + (' -H "Authorization: Bearer $TOKEN"' if token and operation.needs_token else "")
    found = []
    for name, example in (operation.examples or {"": ""}).items():
        path = re.sub(r"{\w+}", name if operation.takes else str(example), operation.path).replace("$", r"\$")
        if not operation.takes:
            found.append((name, f"{start} $URL{path}"))
            continue
        media = NDJSON if operation.lines else JSON
        body = sent(example) if operation.lines else json.dumps(example)
        found.append((name, f"{start} $URL{path} -H 'Content-Type: {media}' --data-binary {shlex.quote(body)}"))
    return found
