"""The operations under /v1: notes, encounters, claims, batches and reference cards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from parsnlp.coding.reference import Card
from parsnlp.errors import InputError
from parsnlp.interfaces import reading
from parsnlp.interfaces.service import bodies, guards, metrics, problems
from parsnlp.interfaces.service.answers import Answer
from parsnlp.interfaces.service.openapi import BODY, JSON, NDJSON, Operation
from parsnlp.interfaces.service.problems import REQUEST_ID, Problem
from parsnlp.interfaces.service.schemas import (
    AuditEncounterRequest,
    AuditNoteRequest,
    EncounterRequest,
    ExtractRequest,
)
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import Engine, Failed
from parsnlp.models import Result

_LINES = (NDJSON, "application/jsonl")
_UNITS = ("code_points", "utf16")
_OFFSETS = {
    "name": "offsets",
    "in": "query",
    "description": "What `start`, `end` and `length` count: code points, or UTF-16 code units for JavaScript's strings.",
    "schema": {"type": "string", "enum": list(_UNITS), "default": _UNITS[0]},
}
_DATE = {
    "name": "date",
    "in": "query",
    "description": "The encounter's date; it picks the edition of the code set.",
    "schema": {"type": "string", "format": "date"},
}


def operations(engine: Engine, settings: Settings) -> list[Operation]:
    """What is answered under /v1."""
    batches = Batches(engine, settings)
    return [
        Operation(
            "extract",
            "POST",
            "/v1/extract",
            "Read one note",
            "Suggests codes with their evidence and says why others were refused. A scribe posts the whole note again "
            "whenever a sentence was added: nothing is kept between requests, and `checklist` tells what is captured and "
            "what to ask while the patient is still there.",
            _answering(engine, settings, "extract"),
            gives=Result,
            takes=(ExtractRequest,),
            query=(_OFFSETS,),
            examples={
                "note": {"text": "CT: L5 pars defects with anterolisthesis of L5 on S1. No fracture."},
                "policy": {
                    "id": "visit-7",
                    "text": "Assessment: possible spondylolysis, L5.",
                    "kind": "progress",
                    "date": "2026-05-12",
                    "setting": "inpatient",
                    "policy": {"excludes1": "strict"},
                    "what_if": True,
                },
            },
            refuses=BODY,
        ),
        Operation(
            "encounter",
            "POST",
            "/v1/encounter",
            "Decide on all documents of an encounter together",
            "Documents that all have dates are read in their order, others as they are given. Each has an `id` of its own.",
            _answering(engine, settings, "encounter"),
            gives=Result,
            takes=(EncounterRequest,),
            query=(_OFFSETS,),
            examples={
                "visit": {
                    "id": "encounter-1",
                    "documents": [
                        {"id": "ct", "kind": "radiology", "text": "IMPRESSION: Bilateral L5 pars defects."},
                        {"id": "note", "kind": "progress", "text": "Assessment: spondylolysis. No slip on imaging."},
                    ],
                }
            },
            refuses=BODY,
        ),
        Operation(
            "audit",
            "POST",
            "/v1/audit",
            "Hold a claim's codes against a note or an encounter",
            "`edits` says what the claim, or a code typed in the notes, would hit, and what would mend it.",
            _answering(engine, settings, "audit"),
            gives=Result,
            takes=(AuditNoteRequest, AuditEncounterRequest),
            query=(_OFFSETS,),
            examples={
                "note": {"text": "CT: L5 pars defects, no slip.", "codes": ["M43.17"]},
                "encounter": {
                    "documents": [{"id": "ct", "text": "IMPRESSION: L4 spondylolysis."}],
                    "codes": ["M43.06", "M43.16"],
                },
            },
            refuses=BODY,
        ),
        Operation(
            "batch",
            "POST",
            "/v1/batch",
            "Read many notes, a line each",
            "JSON lines in, each as for `/v1/extract`; JSON lines out in the same order, each a result, or a problem with "
            "its `line`, after which the batch goes on. Answers come while lines are still being sent. Blank lines are "
            "passed over.",
            batches.answer,
            gives=Result,
            media=NDJSON,
            takes=(ExtractRequest,),
            lines=True,
            query=(_OFFSETS,),
            examples={
                "two": [
                    {"id": "a", "text": "CT: L5 pars defects."},
                    {"id": "b", "text": "Grade I spondylolisthesis at L4-L5."},
                ]
            },
            refuses=BODY,
        ),
        Operation(
            "reference",
            "GET",
            "/v1/reference/{code}",
            "The reference card of a code",
            "What the edition and the policy say of one code, with the seven questions that coders ask of it.",
            _reference(engine),
            gives=Card,
            query=(_DATE,),
            examples={"slip": "M43.16", "injury": "S32.058A"},
            refuses=(404, 422),
        ),
    ]


def _answering(engine: Engine, settings: Settings, method: str) -> Callable[[Request], Awaitable[Response]]:
    """The handler that answers a body of JSON by a method of `Answers`."""

    async def handler(request: Request) -> Response:
        utf16 = _utf16(request)
        bodies.check(request, (JSON,), settings.max_body)
        body = await bodies.whole(request, settings.max_body, settings.seconds)
        answer = await engine.answer(method, body, utf16)
        _count(answer)
        return Response(answer.content, media_type=JSON)

    return handler


def _count(answer: Answer) -> None:
    metrics.notes.inc(answer.notes)
    metrics.characters.inc(answer.characters)


def _reference(engine: Engine) -> Callable[[Request], Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        date = _query(request, "date")
        try:
            reading.note({"text": "", "date": date})
        except InputError:
            raise Problem(422, "date: must be a calendar date of the form YYYY-MM-DD") from None
        answer = await engine.answer("reference", request.path_params["code"], date)
        return Response(answer.content, media_type=JSON)

    return handler


def _query(request: Request, name: str) -> str | None:
    """The one parameter that may stand behind the path. Raises `Problem` (422) for others: a misspelt one would be missed."""
    given = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if any(key != name for key, _ in given) or len(given) > 1:
        raise Problem(422, f"the query may hold {name}, once, and nothing else")
    return given[0][1] if given else None


def _utf16(request: Request) -> bool:
    offsets = _query(request, "offsets")
    if offsets not in (None, *_UNITS):
        raise Problem(422, f"offsets: must be one of {', '.join(_UNITS)}")
    return offsets == "utf16"


class Batches:
    """A few batches at a time, so that they leave room for callers who wait for one note."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.busy = 0

    async def answer(self, request: Request) -> Response:
        """The handler of `/v1/batch`."""
        utf16 = _utf16(request)
        bodies.check(request, _LINES, self.settings.max_batch)
        if self.busy >= self.settings.max_batches:
            raise guards.busy("batches")
        return _Stream(self, request, utf16)


class _Stream(Response):
    """An answer that is made while the request is still coming in.

    What comes in is taken in at once, up to the limit of a batch: many clients read no answer before they have sent all.
    What goes out waits for the client to take it, and the work with it.
    """

    def __init__(self, batches: Batches, request: Request, utf16: bool) -> None:
        super().__init__(media_type=NDJSON)
        del self.headers["content-length"]
        self.batches = batches
        self.request = request
        self.utf16 = utf16
        self.gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waiting: asyncio.Queue[bytes | Problem | None] = asyncio.Queue()
        self.batches.busy += 1
        taking = asyncio.create_task(self._take(waiting))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            number = 0
            while (line := await waiting.get()) is not None and not self.gone:
                number += 1
                if isinstance(line, Problem) or line.strip():
                    made = await self._answered(line, number)
                    await send({"type": "http.response.body", "body": made + b"\n", "more_body": True})
            if taking.done():
                taking.result()  # raises what kept it from taking all
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            taking.cancel()
            self.batches.busy -= 1

    async def _answered(self, line: bytes | Problem, number: int) -> bytes:
        """The result of one line, or the problem with it; the batch goes on."""
        try:
            if isinstance(line, Problem):
                raise line
            answer = await self.batches.engine.answer("extract", line, self.utf16)
        except (Problem, Failed) as error:
            metrics.lines.labels("problem").inc()
            return problems.of_line(error, number, self.request.scope[REQUEST_ID])
        metrics.lines.labels("result").inc()
        _count(answer)
        return answer.content

    async def _take(self, waiting: asyncio.Queue[bytes | Problem | None]) -> None:
        """Fill the queue with lines, None at their end; then watch for a client that leaves."""
        settings = self.batches.settings
        lines = bodies.lines(self.request, settings.max_body, settings.max_lines, settings.max_batch)

        async def all_lines() -> None:
            async for line in lines:
                waiting.put_nowait(line)

        try:
            await asyncio.wait_for(all_lines(), settings.batch_seconds)
        except asyncio.TimeoutError:
            waiting.put_nowait(bodies.too_slow(settings.batch_seconds))
        except ClientDisconnect:
            self.gone = True
        finally:
            waiting.put_nowait(None)
        while not self.gone:
            self.gone = (await self.request.receive())["type"] == "http.disconnect"
