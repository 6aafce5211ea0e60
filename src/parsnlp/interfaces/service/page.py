"""The page for coders: look at notes and their evidence, decide on each code, go through a worklist, export.

All that it tells or keeps is asked for by its own script, as JSON, from its own origin alone. Notes are read by the
workers and forgotten; what coders decide is kept (see `decisions`).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from parsnlp.errors import InputError
from parsnlp.evaluation.figures import proportion
from parsnlp.interfaces import decisions, formats, reading
from parsnlp.interfaces.decisions import Decision, Decisions, Item
from parsnlp.interfaces.service import bodies, metrics
from parsnlp.interfaces.service.answers import checked
from parsnlp.interfaces.service.openapi import JSON
from parsnlp.interfaces.service.problems import Problem
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import Engine
from parsnlp.interfaces.worklist import FILTERS, Worklist
from parsnlp.models import SETTINGS
from parsnlp.view import asset, charts, environment

ASSETS = {
    "evidence.css": "text/css",
    "page.css": "text/css",
    "evidence.js": "text/javascript",
    "page.js": "text/javascript",
}
OPEN = frozenset({"/", *(f"/page/{name}" for name in ASSETS)})
"""Paths that need no token: a browser shows none when it opens a page. They tell nothing of anybody's."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_EXPORTS = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8", "gold": "application/x-ndjson"}
_BYTES = "application/octet-stream"
_STATES = ("open", "begun", "done")

_KEYS = (
    ("j, k", "next, previous code"),
    ("a", "accept the code"),
    ("r", "reject it, with a reason"),
    ("c", "change it"),
    ("t", "take back what was decided"),
    ("+", "add a code"),
    ("0", "no code is right (where none is suggested)"),
    ("e, E", "next, previous evidence in the note"),
    ("n, p", "next, previous item of the worklist"),
    ("i", "the note's text; Esc leaves it"),
    ("d", "decisions and export"),
    ("Tab, Enter", "through all links and buttons; follow or press"),
    ("?", "these keys"),
)
_SAMPLE = """\
SPINE CLINIC

HPI: 16-year-old gymnast, low back pain for 5 months, worse on extension.
LSO brace and physical therapy for 8 weeks, partly better. No trauma.
Family history: father with spondylolisthesis.

CT lumbar spine: chronic bilateral L5 pars defects. No slip. No acute fracture.

Assessment: Chronic bilateral L5 spondylolysis.
Plan: continue brace, no gymnastics, recheck in 3 months.
"""

T = TypeVar("T")


class Decided(BaseModel):
    """A decision as the page sends it. `texts`: of the item's documents, where they are to be kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    item: Item
    decision: Decision
    texts: dict[str, str] | None = Field(default=None, repr=False)


def routes(engine: Engine, settings: Settings) -> list[Route]:
    """The page and what its script asks."""
    page = _Page(engine, settings)
    asked: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("POST", "/page/view", page.view),
        ("POST", "/page/documents", page.documents),
        ("POST", "/page/decided", page.decided),
        ("POST", "/page/decide", page.decide),
        ("GET", "/page/rates", page.rates),
        ("GET", "/page/export", page.export),
        ("GET", "/page/work", page.work),
        ("GET", "/page/work/{number:int}", page.item),
    ]
    return [
        Route("/", page.whole),
        *(Route(f"/page/{name}", _served(name, media)) for name, media in ASSETS.items()),
        *(Route(path, _from_us(handler), methods=[method]) for method, path, handler in asked),
    ]


def _served(name: str, media: str) -> Callable[[Request], Awaitable[Response]]:
    content = str(asset(name)).encode()

    async def handler(request: Request) -> Response:
        return Response(content, media_type=f"{media}; charset=utf-8")

    return handler


def _from_us(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler for requests of the page itself. The browser says of each where it comes from; to change something it
    must say so."""

    async def guarded(request: Request) -> Response:
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        host = request.headers.get("host", "")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Problem(403, "only the page of this service may ask this: the request comes from another origin")
        if site is not None and site not in ("same-origin", "none"):
            raise Problem(403, "only the page of this service may ask this: the request comes from another site")
        if request.method != "GET" and origin is None and site is None:
            raise Problem(403, "only the page of this service may ask this: the request names no origin")
        return await handler(request)

    return guarded


class _Page:
    """The handlers, with what they share: the file of decisions and the worklist."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.kept = Decisions(settings.decisions or decisions.standard_file())
        if settings.decisions:  # else who does not decide anything need not care
            self.kept.check()
        self.list = Worklist(settings.results) if settings.results else None
        if self.list:
            threading.Thread(target=self.list.load, daemon=True).start()

    async def whole(self, request: Request) -> Response:
        """The page itself; it holds nothing of anybody's."""
        content = (
            environment()
            .get_template("page.html")
            .render(
                s=self.settings,
                settings=SETTINGS,
                kinds=reading.KINDS,
                keys=_KEYS,
                sample=_SAMPLE,
                endings=sorted(formats.ENDINGS),
            )
        )
        return HTMLResponse(content, headers={"Content-Security-Policy": _POLICY})

    async def view(self, request: Request) -> Response:
        """The evidence view of the documents that were sent."""
        answer = await self.engine.answer("view", await self._body(request))
        metrics.notes.inc(answer.notes)
        metrics.characters.inc(answer.characters)
        return Response(answer.content, media_type=JSON)

    async def documents(self, request: Request) -> Response:
        """The texts in a file of another kind than plain text; its name stands in X-File-Name, percent-encoded."""
        bodies.check(request, (_BYTES,), self.settings.max_batch)
        name = unquote(request.headers.get("x-file-name", ""))[:255]
        body = await bodies.whole(request, self.settings.max_batch, self.settings.seconds)
        answer = await self.engine.answer("documents", body, name)
        return Response(answer.content, media_type=JSON)

    async def decided(self, request: Request) -> Response:
        """What stands decided on an item."""
        of = checked(Item, bodies.parse(await self._body(request)))
        return JSONResponse(await self._stands(of))

    async def decide(self, request: Request) -> Response:
        """Take a decision; it is on the disk when this is answered with what then stands decided on its item."""
        given = checked(Decided, bodies.parse(await self._body(request)))
        texts = given.texts if self.settings.keep_notes else None
        await self._kept(lambda: self.kept.take(given.item, given.decision, texts))
        return JSONResponse(await self._stands(given.item))

    async def rates(self, request: Request) -> Response:
        """How much of what was suggested is accepted, over time, as HTML."""
        found = await self._kept(self.kept.rates)
        bars = [_bar(name, accepted, of) for name, accepted, of in found]
        total = (sum(accepted for _, accepted, _ in found), sum(of for _, _, of in found))
        content = environment().get_template("rates.html").render(
            rates=found,
            file=self.kept.path,
            total=total,
            share=_percent(*total),
            plot=charts.bars("Accepted codes by day", bars) if bars else "",
        )  # fmt: skip
        return HTMLResponse(content)

    async def export(self, request: Request) -> Response:
        """All decisions as a file."""
        form = request.query_params.get("form", "")
        if form not in _EXPORTS:
            raise Problem(422, f"form: must be one of {', '.join(_EXPORTS)}")

        def made() -> tuple[bytes, int]:
            if form == "gold":
                lines = list(decisions.gold(self.kept, lambda of: self.list.texts(of.id) if self.list else None))
                return b"".join(lines), len(lines)
            lines = list(decisions.csv(self.kept) if form == "csv" else decisions.jsonl(self.kept))
            return b"".join(lines), len(lines) - (form == "csv")

        content, count = await self._kept(made)
        finished = await self._kept(lambda: sum(1 for _ in self.kept.finished()))
        headers = {"X-Count": str(count), "X-Finished": str(finished)}
        return Response(content, media_type=_EXPORTS[form], headers=headers)

    async def work(self, request: Request) -> Response:
        """The worklist, as the filters have it."""
        work = self._worklist()
        asked = dict(request.query_params)
        filters = {name: asked[name] for name in FILTERS if asked.get(name)}
        state = asked.get("state", "")
        at = {name: asked[name] for name in ("after", "before") if name in asked}
        if state not in ("", *_STATES) or not all(re.fullmatch("[0-9]{1,15}", value) for value in at.values()):
            raise Problem(422, "the query is not one of the page's")
        states = await self._kept(self.kept.states)
        by_id = {id: how for (id, _), how in states.items()}

        def found() -> dict[str, Any]:
            numbers = work.numbers(by_id)
            decided = {number: by_id[id] for id, all_of in numbers.items() for number in all_of}
            only = [number for number, how in decided.items() if how == state] if state in ("begun", "done") else None
            without = list(decided) if state == "open" else []
            listed = work.listed(filters, only, without, **{name: int(value) for name, value in at.items()})
            for each in listed["items"]:
                each["state"] = decided.get(each["number"], "open")
            return {**listed, "choices": work.choices(), "loaded": work.loaded, "problem": work.problem}

        return JSONResponse(await run_in_threadpool(found))

    async def item(self, request: Request) -> Response:
        """An item of the worklist: its documents, or where they are not found its view by quotation."""
        work, number = self._worklist(), request.path_params["number"]
        found = await run_in_threadpool(lambda: work.item(number))
        if found is None:
            raise Problem(404, "the worklist has no item of this number")
        note = found.told["notes"][0]
        told = {
            "number": number,
            "id": found.id,
            "documents": [note.model_dump(exclude={"encounter"}, exclude_none=True) for note in found.notes],
            "setting": note["setting"],
            "policy": {name: note[name] for name in ("excludes1", "stress_fracture")},
            "missing": found.missing,
        }
        if not found.notes:
            answer = await self.engine.answer("told", found)
            told["view"] = json.loads(answer.content)
        return JSONResponse(told)

    async def _body(self, request: Request) -> bytes:
        bodies.check(request, (JSON,), self.settings.max_body)
        return await bodies.whole(request, self.settings.max_body, self.settings.seconds)

    async def _stands(self, of: Item) -> dict[str, Any]:
        found = await self._kept(lambda: self.kept.on(of.id, of.digest))
        return {"decided": found, "done": decisions.right_codes(of, found) is not None}

    async def _kept(self, call: Callable[[], T]) -> T:
        """What a call on the file of decisions gives. Raises `Problem` (422) for what it refuses."""

        def safe() -> T:
            try:
                return call()
            except InputError as error:  # its words are ours
                raise Problem(422, str(error)) from None

        return await run_in_threadpool(safe)

    def _worklist(self) -> Worklist:
        if self.list is None:
            raise Problem(404, "there is no worklist; start the service with --results")
        return self.list


def _bar(name: str, accepted: int, of: int) -> charts.Bar:
    share = proportion(accepted, of)
    return charts.Bar(name, f"{_percent(accepted, of)} of {of}", share.value or 0.0, share.low, share.high)


def _percent(right: int, of: int) -> str:
    return f"{right / of:.0%}".replace("%", " %") if of else "–"
