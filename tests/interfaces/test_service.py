"""The service in process: its answers, its refusals, and that nothing of what is sent gets anywhere else."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jsonschema
import pytest

import parsnlp
from parsnlp import Note
from parsnlp.errors import InputError
from parsnlp.interfaces.service import metrics, serving
from parsnlp.interfaces.service.answers import Answer, Answers
from parsnlp.interfaces.service.app import application
from parsnlp.interfaces.service.guards import Outer
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import Failed, warm
from parsnlp.interfaces.utf16 import NOTICE, in_utf16
from parsnlp.models import Policy, Result

TEXT = "CT: L5 pars defects with anterolisthesis of L5 on S1. No fracture."
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}


class Inside:
    """An engine without processes. `fails`: raise this in place of an answer. `waits`: a request waits for it."""

    def __init__(self, answers: Answers | None) -> None:
        self.answers = answers
        self.fails: Exception | None = None
        self.waits: asyncio.Event | None = None
        self.asked = 0

    @property
    def ready(self) -> bool:
        return self.answers is not None

    async def answer(self, method: str, *arguments: object) -> Answer:
        self.asked += 1
        if self.waits is not None:
            await self.waits.wait()
        if self.fails is not None:
            raise self.fails
        made: Answer = getattr(self.answers, method)(*arguments)
        return made

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def answers() -> Answers:
    return warm(Settings())


@pytest.fixture
def engine(answers: Answers) -> Inside:
    return Inside(answers)


class Client:
    """Asks an application, one request after another."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        if isinstance(given.get("content"), Iterator):
            given["content"] = asynchronous(given["content"])

        async def ask() -> httpx.Response:
            async with asking(self.app) as client:
                return await client.request(method, path, **given)

        return asyncio.run(ask())

    get = functools.partialmethod(request, "GET")
    post = functools.partialmethod(request, "POST")


async def asynchronous(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:4306")


@pytest.fixture(autouse=True)
def no_client_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx logs each URL that it asks for; it is the caller here, and no part of the service."""
    monkeypatch.setattr(httpx._client, "logger", SimpleNamespace(info=lambda *_: None))


@pytest.fixture
def client(engine: Inside) -> Client:
    return made(engine)


def made(engine: Inside, **settings: Any) -> Client:
    return Client(application(Settings(**settings), engine))


def refused(response: httpx.Response, status: int) -> str:
    """The detail of a problem, once its form is as RFC 9457 has it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert (found["status"], found["type"]) == (status, "about:blank")
    assert found["title"] and found["instance"] == response.headers["x-request-id"]
    detail: str = found["detail"]
    return detail


# --- answers ----------------------------------------------------------------------------------------------------------


def test_extract_gives_the_library_s_result(client: Client) -> None:
    response = client.post("/v1/extract", json={"text": TEXT, "id": "visit-7", "date": "2026-05-12"})
    assert response.status_code == 200 and response.headers["content-type"] == "application/json"
    expected = parsnlp.load().extract(Note(text=TEXT, id="visit-7", date="2026-05-12"))
    assert response.content == expected.to_json().encode()


def test_each_part_of_a_request_reaches_the_extractor(client: Client) -> None:
    sent = {
        "text": "Assessment: possible spondylolysis with spondylolisthesis, L5-S1.",
        "kind": "progress",
        "author": "provider",
        "patient": "p",
        "encounter": "e",
        "setting": "inpatient",
        "policy": {"excludes1": "strict", "stress_fracture": "M48.4"},
        "what_if": True,
    }
    result = Result.model_validate_json(client.post("/v1/extract", json=sent).content)
    assert (result.id, result.setting) == ("e", "inpatient")
    assert result.policy == Policy(excludes1="strict", stress_fracture="M48.4")
    assert result.what_if
    (document,) = result.documents
    assert (document.kind, document.author, document.patient) == ("progress", "provider", "p")


def test_null_counts_as_absent(client: Client) -> None:
    nulls = dict.fromkeys(("id", "kind", "date", "setting", "author", "patient", "encounter"))
    given = client.post("/v1/extract", json={"text": TEXT, **nulls, "policy": {"excludes1": None}})
    assert given.content == client.post("/v1/extract", json={"text": TEXT}).content


def test_what_a_request_leaves_out_is_as_the_service_was_started_with() -> None:
    started = Settings(setting="inpatient", excludes1="strict")
    client = made(Inside(warm(started)), setting="inpatient", excludes1="strict")
    whole = client.post("/v1/extract", json={"text": TEXT, "policy": {"stress_fracture": "M48.4"}}).json()
    assert whole["setting"] == "inpatient"
    assert whole["policy"] == {"excludes1": "strict", "stress_fracture": "M48.4"}
    assert client.post("/v1/extract", json={"text": TEXT, "setting": "outpatient"}).json()["setting"] == "outpatient"


def test_another_policy_neither_loads_nor_compiles_the_rules_again(answers: Answers) -> None:
    extractor = answers.extractor
    view = extractor.under("inpatient", Policy(excludes1="strict"))
    assert view._pipeline is extractor._pipeline and view._finder is extractor._finder
    assert (extractor.setting, extractor.policy) == ("outpatient", Policy())
    assert view.extract(TEXT) == parsnlp.load("inpatient", "strict").extract(TEXT)


def test_an_encounter_is_decided_on_together(client: Client) -> None:
    documents = [
        {"text": "IMPRESSION: Bilateral L5 pars defects.", "kind": "radiology"},
        {"text": "Assessment: spondylolysis.", "kind": "progress"},
    ]
    response = client.post("/v1/encounter", json={"id": "e-1", "documents": documents, "setting": "inpatient"})
    notes = [Note(id=f"document-{n}", encounter="e-1", **item) for n, item in enumerate(documents, 1)]
    assert response.content == parsnlp.load("inpatient").extract_encounter(notes).to_json().encode()
    own = client.post(
        "/v1/encounter", json={"documents": [{**documents[0], "setting": "outpatient"}], "setting": "inpatient"}
    )
    assert own.json()["setting"] == "outpatient"


def test_two_documents_of_one_id_are_refused(client: Client) -> None:
    same = {"text": TEXT, "id": "x"}
    assert "same id" in refused(client.post("/v1/encounter", json={"documents": [same, same]}), 422)


@pytest.mark.parametrize(
    "record", [{"text": "CT: L5 pars defects."}, {"documents": [{"text": "CT: L5 pars defects."}]}]
)
def test_audit_holds_a_claim_against_the_record(client: Client, record: dict[str, Any]) -> None:
    found = client.post("/v1/audit", json={**record, "codes": ["M43.17"]}).json()
    assert any("M43.17" in edit["codes"] for edit in found["edits"])
    assert not client.post("/v1/audit", json={**record, "codes": ["M43.06"]}).json()["edits"]


def test_reference(client: Client) -> None:
    card = client.get("/v1/reference/m4316", params={"date": "2026-05-12"}).json()
    assert (card["code"], card["billable"]) == ("M43.16", True)
    detail = refused(client.get("/v1/reference/J45.909"), 404)
    assert "J45" not in detail
    assert refused(client.get("/v1/reference/M43.16?date=2026-02-30"), 422).startswith("date:")


def test_probes(client: Client) -> None:
    assert client.get("/healthz").json() == client.get("/readyz").json()
    cold = made(Inside(None))
    assert cold.get("/healthz").status_code == 200
    assert "not warm" in refused(response := cold.get("/readyz"), 503)
    assert response.headers["retry-after"] == "1"


# --- batches ----------------------------------------------------------------------------------------------------------


def batch(client: Client, body: bytes, **kwargs: Any) -> list[dict[str, Any]]:
    response = client.post("/v1/batch", content=body, headers=LINES, **kwargs)
    assert response.status_code == 200 and response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.content.splitlines()]


def test_a_batch_keeps_its_order_and_survives_bad_lines(client: Client) -> None:
    rows = [b'{"id": "a", "text": "L5 pars defects."}', b"", b"{", b'{"text": 5}', b"\xff", b' {"id": "z", "text": ""}']
    found = batch(client, b"\n".join(rows))
    assert [item.get("id", item.get("line")) for item in found] == ["a", 3, 4, 5, "z"]
    assert [item.get("status") for item in found] == [None, 400, 422, 400, None]
    assert found[2]["detail"] == "text: must be a string"
    single = client.post("/v1/extract", json={"id": "a", "text": "L5 pars defects."})
    assert found[0] == single.json()


def test_a_batch_in_pieces_is_the_batch(client: Client) -> None:
    body = b'{"text": "L5 pars defects."}\n{"text": "none"}\n'

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    whole = client.post("/v1/batch", content=body, headers=LINES)
    assert client.post("/v1/batch", content=pieces(), headers=LINES).content == whole.content


def test_a_line_too_long_is_passed_over(engine: Inside) -> None:
    client = made(engine, max_body=100)
    long = b'{"text": "' + b"x" * 300 + b'"}'
    found = batch(client, b"\n".join([long, b'{"text": ""}', long]))
    assert [(item.get("line"), item.get("status")) for item in found] == [(1, 413), (None, None), (3, 413)]


def test_a_batch_has_limits(engine: Inside) -> None:
    rows = b'{"text": ""}\n' * 5
    found = batch(made(engine, max_lines=3), rows)
    assert [item.get("status") for item in found] == [None, None, None, 413] and found[3]["line"] == 4
    refused(made(engine, max_batch=30).post("/v1/batch", content=rows, headers=LINES), 413)

    def undeclared() -> Iterator[bytes]:
        yield rows

    found = batch(made(engine, max_batch=30), undeclared())
    assert [item["status"] for item in found] == [413]


def test_a_batch_that_arrives_too_slowly_ends_in_a_problem(engine: Inside) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"text": ""}\n'
        await asyncio.sleep(5)

    async def ask() -> httpx.Response:
        async with asking(application(Settings(batch_seconds=0.1), engine)) as client:
            return await client.post("/v1/batch", content=slow(), headers=LINES)

    first, last = asyncio.run(ask()).text.splitlines()
    assert "status" not in json.loads(first) and json.loads(last)["status"] == 408


def test_a_failing_line_does_not_end_the_batch(engine: Inside) -> None:
    engine.fails = Failed("the worker died")
    assert [item["status"] for item in batch(made(engine), b'{"text": ""}\n{"text": ""}')] == [500, 500]


def test_a_client_that_leaves_ends_its_batch(engine: Inside) -> None:
    async def ask() -> None:
        rows = b'{"text": ""}\n' * 50
        messages = iter([{"type": "http.request", "body": rows, "more_body": False}, {"type": "http.disconnect"}])
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/batch",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/x-ndjson")],
        }

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            await asyncio.sleep(0)

        await application(Settings(), engine)(scope, receive, send)

    asyncio.run(ask())
    assert engine.asked < 5


def test_few_batches_at_a_time(engine: Inside) -> None:
    async def ask() -> list[int]:
        engine.waits = asyncio.Event()
        async with asking(application(Settings(max_batches=1), engine)) as client:
            first = asyncio.create_task(client.post("/v1/batch", content=b'{"text": ""}', headers=LINES))
            while not engine.asked:
                await asyncio.sleep(0)
            second = await client.post("/v1/batch", content=b'{"text": ""}', headers=LINES)
            engine.waits.set()
            return [(await first).status_code, second.status_code]

    assert asyncio.run(ask()) == [200, 503]


# --- UTF-16 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "é ", "🙂 ", "𝕏🙂👩‍⚕️ ", "🙂" * 30 + "\n"])
def test_utf16_offsets_quote_the_same_words(client: Client, before: str) -> None:
    text = f"{before}CT: L5 pars defects 🦴 with anterolisthesis of L5 on S1. 🙂"
    units = text.encode("utf-16-le")
    result = client.post("/v1/extract?offsets=utf16", json={"text": text}).json()
    found = list(spans(result))
    assert len(found) > 5
    for span in found:
        assert units[2 * span["start"] : 2 * span["end"]].decode("utf-16-le") == span["text"]
    assert result["documents"][0]["length"] == len(units) // 2
    assert result["warnings"] == [NOTICE]


def spans(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "start" in value:
            yield value
        value = list(value.values())
    for child in value if isinstance(value, list) else []:
        yield from spans(child)


def test_utf16_tells_the_documents_of_an_encounter_apart() -> None:
    notes = [
        Note(id="a", text="🙂🙂 L5 pars defects."),
        Note(id="b", text="Grade I slip of L5 on S1, spondylolisthesis."),
    ]
    plain = parsnlp.load().extract_encounter(notes)
    moved = in_utf16(plain, notes)
    by = {note.id: note.text.encode("utf-16-le") for note in notes}
    assert {item.document for item in moved.findings} == {"a", "b"}
    for item in moved.findings:
        assert by[item.document][2 * item.start : 2 * item.end].decode("utf-16-le") == item.text
    assert in_utf16(plain, notes[::-1]) == moved


def test_code_points_are_what_is_counted_unless_asked(client: Client) -> None:
    body = {"text": f"🙂 {TEXT}"}
    plain = client.post("/v1/extract", json=body)
    assert client.post("/v1/extract?offsets=code_points", json=body).content == plain.content
    assert plain.json()["findings"][0]["start"] == body["text"].index("pars")


def test_lone_surrogates_are_one_unit_each(client: Client) -> None:
    sent = b'{"text": "\\ud83d CT: L5 pars defects \\udc00.", "id": "\\ud800"}'
    for units in ("code_points", "utf16"):
        found = client.post(f"/v1/extract?offsets={units}", content=sent, headers=JSON)
        assert found.json()["findings"][0]["start"] == 9, found.text


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON: line 1, column 1"),
        (b'{"text": "a"', 400, "not JSON: line 1, column 13"),
        (b'{"text": "\xff"}', 400, "not UTF-8 (byte 10)"),
        (b"[" * 100_000 + b"]" * 100_000, 400, "nested too deep"),
        (b'{"a": ' * 100_000, 400, "nested too deep"),
        (b'{"text": "a", "what_if": ' + b"9" * 5000 + b"}", 400, "a number too long"),
        (b'{"text": NaN}', 400, "NaN and Infinity"),
        (b'{"text": -Infinity}', 400, "NaN and Infinity"),
        (b'{"text": "a", "text": "b"}', 400, "the same name twice"),
        (b'{"text": "a", "policy": {"excludes1": null, "excludes1": null}}', 400, "the same name twice"),
        (b"null", 422, "the request: must be an object"),
        (b"[]", 422, "the request: must be an object"),
        (b"{}", 422, "text: is missing"),
        (b'{"text": null}', 422, "text: must be a string"),
        (b'{"text": 5}', 422, "text: must be a string"),
        (b'{"text": {"a": 1}}', 422, "text: must be a string"),
        (b'{"text": "a", "id": 5}', 422, "id: must be a string"),
        (b'{"text": "a", "id": ""}', 422, "id: must not be empty"),
        (b'{"text": "a", "id": "' + b"i" * 201 + b'"}', 422, "id: holds more than 200"),
        (b'{"text": "a", "kind": "poem"}', 422, "kind: must be one of radiology, "),
        (b'{"text": "a", "date": "2026-02-30"}', 422, "date: must be a calendar date"),
        (b'{"text": "a", "date": "today"}', 422, "date: must be a calendar date"),
        (b'{"text": "a", "setting": "home"}', 422, "setting: must be one of 'outpatient', 'inpatient'"),
        (b'{"text": "a", "what_if": "yes"}', 422, "what_if: must be true or false"),
        (b'{"text": "a", "what_if": 1}', 422, "what_if: must be true or false"),
        (b'{"text": "a", "policy": "strict"}', 422, "policy: must be an object"),
        (b'{"text": "a", "policy": {"excludes1": "both"}}', 422, "policy.excludes1: must be one of"),
        (b'{"text": "a", "John Smith": 1}', 422, "the request: has a field that is not known"),
        (b'{"text": "a", "policy": {"John Smith": 1}}', 422, "policy: has a field that is not known"),
    ],
)
def test_bad_bodies(client: Client, body: bytes, status: int, says: str) -> None:
    detail = refused(client.post("/v1/extract", content=body, headers=JSON), status)
    assert says in detail and "Smith" not in detail and len(detail) < 400


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/encounter", {}, "documents: is missing"),
        ("/v1/encounter", {"documents": []}, "documents: must not be empty"),
        ("/v1/encounter", {"documents": {}}, "documents: must be a list"),
        ("/v1/encounter", {"documents": [{"text": ""}, {"text": 5}]}, "documents[1].text: must be a string"),
        ("/v1/encounter", {"documents": [{"text": ""}] * 501}, "documents: holds more than 500"),
        ("/v1/audit", {"codes": []}, "text: is missing"),
        ("/v1/audit", {"text": "", "codes": "M43.06"}, "codes: must be a list"),
        ("/v1/audit", {"text": "", "codes": [5]}, "codes[0]: must be a string"),
        ("/v1/audit", {"documents": [{}], "codes": []}, "documents[0].text: is missing"),
        ("/v1/audit", {"documents": [{"text": ""}], "text": ""}, "the request: has a field that is not known"),
    ],
)
def test_wrong_types_are_named_by_place_and_rule(client: Client, path: str, body: Any, says: str) -> None:
    assert says in refused(client.post(path, json=body), 422)


@pytest.mark.parametrize("query", ["offsets=bytes", "offset=utf16", "offsets=utf16&offsets=utf16", "offsets", "x=%FF"])
def test_a_query_that_is_not_known_is_refused(client: Client, query: str) -> None:
    assert "offsets" in refused(client.post(f"/v1/extract?{query}", json={"text": ""}), 422)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/x-ndjson"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
def test_other_media_types_are_refused(client: Client, headers: dict[str, str]) -> None:
    refused(client.post("/v1/extract", content=b'{"text": ""}', headers=headers), 415)


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
def test_usual_spellings_of_the_media_type_are_taken(client: Client, media: str) -> None:
    assert client.post("/v1/extract", content=b'{"text": ""}', headers={"Content-Type": media}).status_code == 200


def test_unknown_paths_and_methods(client: Client) -> None:
    refused(client.get("/v1"), 404)
    refused(client.post("/v1/extract/", json={"text": ""}), 404)
    response = client.get("/v1/extract")
    refused(response, 405)
    assert response.headers["allow"] == "POST"


def test_too_large_by_its_own_word_or_by_what_comes(engine: Inside) -> None:
    client = made(engine, max_body=1000)
    body = json.dumps({"text": "x" * 2000}).encode()
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * 500

    assert "1,000 bytes" in refused(client.post("/v1/extract", content=body, headers=JSON), 413)
    assert "1,000 bytes" in refused(client.post("/v1/extract", content=pieces(), headers=JSON), 413)
    assert engine.asked == 0
    assert client.post("/v1/extract", content=b'{"text": "' + b"x" * 988 + b'"}', headers=JSON).status_code == 200


def test_a_body_that_arrives_too_slowly_is_refused(engine: Inside) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"text":'
        await asyncio.sleep(5)

    async def ask() -> httpx.Response:
        async with asking(application(Settings(seconds=0.1), engine)) as client:
            return await client.post("/v1/extract", content=slow(), headers=JSON)

    response = asyncio.run(ask())
    assert "0.1 seconds" in refused(response, 408)
    assert response.headers["connection"] == "close"


def test_no_more_requests_at_a_time_than_allowed(engine: Inside) -> None:
    async def ask() -> list[httpx.Response]:
        engine.waits = asyncio.Event()
        async with asking(application(Settings(max_concurrent=1), engine)) as client:
            first = asyncio.create_task(client.post("/v1/extract", json={"text": ""}))
            while not engine.asked:
                await asyncio.sleep(0)
            others = [await client.post("/v1/extract", json={"text": ""}), await client.get("/healthz")]
            engine.waits.set()
            others.append(await first)
            return [*others, await client.post("/v1/extract", json={"text": ""})]

    shed, probe, first, later = asyncio.run(ask())
    refused(shed, 503)
    assert shed.headers["retry-after"] == "1"
    assert (probe.status_code, first.status_code, later.status_code) == (200, 200, 200)


# --- who may call -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4306", "127.0.0.1:80", "[::1]:4306", "coder.example"])
def test_hosts_that_are_ours(engine: Inside, host: str) -> None:
    client = made(engine, hosts=Settings().hosts | {"coder.example"})
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "10.0.0.1"]
)
def test_other_hosts_are_refused(client: Client, host: str) -> None:
    for path in ("/healthz", "/docs", "/v1/reference/M43.06"):
        assert host not in (refused(client.get(path, headers={"Host": host}), 421)) or not host


def test_a_token_where_there_is_one(engine: Inside) -> None:
    token = "0123456789abcdef"
    client = made(engine, token=token)
    for given in (None, "", "Bearer", "Bearer wrong", f"Basic {token}", token, f"Bearer {token}x", "Bearer \xe9"):
        headers = {} if given is None else {"Authorization": given.encode("latin-1")}
        for path in ("/metrics", "/v1/reference/M43.06", "/nowhere"):
            response = client.get(path, headers=headers)
            assert "token" in refused(response, 401)
            assert response.headers["www-authenticate"] == "Bearer"
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert client.get("/v1/reference/M43.06", headers={"Authorization": f"bearer {token}"}).status_code == 200
    assert token not in repr(Settings(token=token))


def test_no_page_of_another_origin_may_call_unless_it_is_named(engine: Inside) -> None:
    asks = {"Origin": "https://scribe.example", "Access-Control-Request-Method": "POST"}
    plain = made(engine).request("OPTIONS", "/v1/extract", headers=asks)
    assert plain.status_code == 405 and "access-control-allow-origin" not in plain.headers
    named = made(engine, origins=("https://scribe.example",), token="0123456789abcdef")
    allowed = named.request("OPTIONS", "/v1/extract", headers=asks)
    assert allowed.status_code == 200 and allowed.headers["access-control-allow-origin"] == "https://scribe.example"
    other = named.request("OPTIONS", "/v1/extract", headers={**asks, "Origin": "https://evil.example"})
    assert other.status_code == 400 and "access-control-allow-origin" not in other.headers
    shown = named.post("/v1/extract", headers={"Origin": "https://scribe.example"})
    assert shown.status_code == 401 and shown.headers["access-control-allow-origin"] == "https://scribe.example"


def test_headers_of_every_answer(client: Client) -> None:
    for response in (client.get("/healthz"), client.get("/nowhere"), client.get("/healthz", headers={"Host": "x"})):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_request_ids(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "scribe-17.a_b"}).headers["x-request-id"] == "scribe-17.a_b"
    for given in ("", "a b", "x" * 65, "<script>", "é"):
        made = client.get("/healthz", headers={"X-Request-ID": given.encode()}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", made)


# --- errors and what is told of them ------------------------------------------------------------------------------------


def test_an_error_tells_its_type_and_place_and_no_word_of_it(
    engine: Inside, canary: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine.fails = ValueError(f"in the note: {canary}")
    response = made(engine).post("/v1/extract", json={"text": canary}, headers={"X-Request-ID": "r-1"})
    assert "log" in refused(response, 500) and canary not in response.text
    (record,) = [item for item in caplog.records if item.name == "parsnlp.service"]
    assert re.fullmatch(r"request r-1 failed: ValueError at interfaces/service/v1\.py:\d+", record.getMessage())


def test_an_error_behind_the_beginning_of_an_answer_leaves_it_unfinished(engine: Inside, canary: str) -> None:
    engine.fails = RuntimeError(canary)
    sent = []

    async def ask() -> None:
        messages = iter([{"type": "http.request", "body": b'{"text": ""}\n', "more_body": False}])

        async def receive() -> Any:
            return next(messages, None) or await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/batch",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/x-ndjson")],
        }
        await application(Settings(), engine)(scope, receive, send)

    asyncio.run(ask())
    assert [message["type"] for message in sent] == ["http.response.start"]  # the server then closes on it


def test_the_access_log_holds_the_route_and_nothing_of_what_was_sent(
    engine: Inside, canary: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "parsnlp.access")
    client = made(engine, access_log=True)
    client.post(
        f"/v1/extract?offsets={canary}", json={"text": canary}, headers={"X-Request-ID": "r-1", "X-Other": canary}
    )
    client.get(f"/v1/reference/{canary}", headers={"X-Request-ID": "r-2"})
    client.request("QUERY", f"/{canary}", headers={"X-Request-ID": "r-3"})
    shown = [record.getMessage() for record in caplog.records if record.name == "parsnlp.access"]
    assert [re.sub(r"\d+\.\d ms", "T", line) for line in shown] == [
        "POST /v1/extract 422 T r-1",
        "GET /v1/reference/{code} 404 T r-2",
        "- - 404 T r-3",
    ]


def test_no_access_log_unless_asked(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client.post("/v1/extract", json={"text": TEXT})
    assert not [record for record in caplog.records if record.name.startswith("parsnlp")]


def test_the_canary_turns_up_in_results_alone(engine: Inside, canary: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every input of every operation, wrong on purpose; conftest watches the logs."""
    client = made(engine, access_log=True)
    field = {"text": f"{canary} L5 pars defects"}
    bodies: list[Any] = [
        canary, [canary], {canary: canary}, {**field, canary: 1}, {"text": [canary]},
        *({**field, name: canary} for name in ("kind", "date", "setting", "policy", "what_if", "documents", "codes")),
        *({**field, name: [canary]} for name in ("id", "author", "patient", "encounter")),
        {**field, "policy": {"excludes1": canary}}, {"documents": [{**field, "kind": canary}]}, {"documents": canary},
        {"documents": [{**field, "id": canary}] * 2}, {**field, "codes": [canary * 5]},
    ]  # fmt: skip
    wrong = 0
    for path in ("/v1/extract", "/v1/encounter", "/v1/audit", "/v1/batch", "/nowhere"):
        headers = LINES if path == "/v1/batch" else JSON
        for body in bodies:
            response = client.post(path, content=json.dumps(body).encode(), headers=headers)
            if response.status_code >= 400 or '"detail"' in response.text:
                wrong += 1
                assert canary not in response.text + str(response.headers)
        for raw in (
            f'{{"text": "{canary}',
            f"{canary}",
            f'{{"{canary}": 1, "{canary}": 1}}',
            f'{{"x": "{canary}\\q"}}',
        ):
            response = client.post(path, content=raw.encode(), headers=headers)
            assert canary not in response.text and ("detail" in response.text)
    assert wrong > 70
    for path in (f"/{canary}", f"/v1/reference/{canary}", f"/v1/reference/M43.06?date={canary}", f"/healthz?{canary}"):
        assert canary not in client.get(path).text
    for headers in ({"Host": canary}, {"Content-Type": canary}, {"Authorization": canary}, {"Cookie": canary}):
        assert canary not in client.post("/v1/extract", json=field, headers=headers).text.replace(
            json.dumps(field), ""
        ) or ("Host" not in headers and "Content-Type" not in headers)
    assert canary.casefold() not in client.get("/metrics").text.casefold()


# --- figures ----------------------------------------------------------------------------------------------------------


def figure(client: Client, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.M)
    return float(found.group(1)) if found else 0.0


def test_figures_count_by_route_and_status(client: Client) -> None:
    names = [
        'parsnlp_requests_total{route="/v1/extract",status="200"}',
        'parsnlp_requests_total{route="-",status="404"}',
        'parsnlp_request_seconds_count{route="/v1/extract"}',
        "parsnlp_notes_total",
        "parsnlp_characters_total",
        'parsnlp_batch_lines_total{outcome="problem"}',
    ]
    before = [figure(client, name) for name in names]
    client.post("/v1/extract", json={"text": TEXT})
    client.get("/some/where")
    batch(client, b"no")
    after = [figure(client, name) for name in names]
    assert [round(b - a) for a, b in zip(before, after, strict=True)] == [1, 1, 1, 1, len(TEXT), 1]
    assert client.get("/metrics").headers["content-type"] == metrics.MEDIA


# --- the OpenAPI document and the page ----------------------------------------------------------------------------------


def document(engine: Inside) -> dict[str, Any]:
    found: dict[str, Any] = made(engine).get("/openapi.json").json()
    return found


def test_every_example_of_the_document_is_answered_as_its_schema_says(engine: Inside) -> None:
    described = document(engine)
    client = made(engine)
    run = 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            content = operation["responses"]["200"]["content"]
            media, answer = next(iter(content.items()))
            for response in examples(client, path, method, operation):
                run += 1
                assert response.status_code == 200, response.text
                assert response.headers["content-type"].partition(";")[0] == media.partition(";")[0]
                if "$ref" in answer["schema"]:
                    jsonschema.validate(response.json(), {**answer["schema"], "components": described["components"]})
                if media == "application/x-ndjson":
                    one = {"$ref": "#/components/schemas/Result", "components": described["components"]}
                    for line in response.text.splitlines():
                        jsonschema.validate(json.loads(line), one)
    assert run >= 11


def examples(client: Client, path: str, method: str, operation: dict[str, Any]) -> Iterator[httpx.Response]:
    if "requestBody" in operation:
        ((media, body),) = operation["requestBody"]["content"].items()
        for name, example in body["examples"].items():
            value = example["value"]
            content = value if isinstance(value, str) else json.dumps(value)
            yield client.request(method, re.sub(r"{\w+}", name, path), content=content, headers={"Content-Type": media})
        return
    ways = [item["examples"] for item in operation["parameters"] if item["in"] == "path"]
    for value in [example["value"] for example in ways[0].values()] if ways else [""]:
        yield client.request(method, re.sub(r"{\w+}", value, path))


def test_refusals_are_as_the_document_says(client: Client, engine: Inside) -> None:
    described = document(engine)
    problem = {"$ref": "#/components/schemas/Problem", "components": described["components"]}
    for response in (client.post("/v1/extract", json={}), client.get("/v1/reference/X"), client.post("/v1/batch")):
        jsonschema.validate(response.json(), problem)


def test_the_document_declares_the_token_where_there_is_one(engine: Inside) -> None:
    plain, guarded = document(engine), made(engine, token="0123456789abcdef").get("/openapi.json").json()
    assert plain["openapi"] == "3.1.0" and "securitySchemes" not in plain["components"]
    assert guarded["paths"]["/v1/extract"]["post"]["security"] == [{"token": []}]
    assert "401" in guarded["paths"]["/v1/extract"]["post"]["responses"]
    assert "security" not in guarded["paths"]["/healthz"]["get"]


def test_the_page_loads_nothing_and_shows_every_operation(client: Client, engine: Inside) -> None:
    response = client.get("/docs")
    page, policy = response.text, response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert not re.findall(r"<(?:script|link|img|iframe)|\bsrc=|url\(|style=|https?://", page.replace("$URL", ""))
    for path, methods in document(engine)["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page
    targets = set(re.findall(r'id="(\w+)"', page))
    assert set(re.findall(r'href="#(\w+)"', page)) <= targets


# --- what the command checks before it serves ----------------------------------------------------------------------------


def test_token_files(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef\n")
    path.chmod(0o600)
    assert serving.read_token(path) == "0123456789abcdef"
    path.chmod(0o640)
    assert serving.read_token(path) == "0123456789abcdef"
    path.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        serving.read_token(path)
    path.chmod(0o600)
    for content in ("", "short", "0123456789 abcdef", "0123456789abcdef\nsecond line", "0123456789abcdé!"):
        path.write_text(content)
        with pytest.raises(InputError) as caught:
            serving.read_token(path)
        assert not content or content not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        serving.read_token(tmp_path / "none")


@pytest.mark.allow_hosts(["127.0.0.1", "0.0.0.0"])
def test_listening(tmp_path: Path) -> None:
    with serving.listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert serving.is_loopback(sock)
        assert serving.hosts("127.0.0.1", sock, ["Coder.Example"]) == Settings().hosts | {"coder.example"}
        with pytest.raises(InputError, match=rf"port {port} .*choose another --port"):
            serving.listening("127.0.0.1", port)
    with serving.listening("0.0.0.0", 0) as sock:
        assert not serving.is_loopback(sock)
        assert serving.hosts("0.0.0.0", sock, []) == Settings().hosts
    with pytest.raises(InputError, match="no address of this machine"):
        serving.listening("256.1.1.1", 0)


def test_nothing_of_opentelemetry_is_loaded() -> None:
    """Starlette can send traces where that is installed and asked for; the service never imports it."""
    code = (
        "import sys; from parsnlp.interfaces.service import app, serving; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'fastapi', 'starlette.middleware.open'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_parent_process_loads_no_spacy() -> None:
    code = "import sys; from parsnlp.interfaces.service import serving; print('spacy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_guard_that_fails_is_answered_for_as_well(canary: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(*_: Any) -> None:
        raise KeyError(canary)

    refused(Client(Outer(app, Settings(), {})).get("/"), 500)
    assert "KeyError at interfaces/service/guards.py" in caplog.text


# --- record systems -------------------------------------------------------------------------------------------------


DOCUMENT = {
    "resourceType": "DocumentReference",
    "id": "d1",
    "content": [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(TEXT.encode()).decode()}}],
}


def test_a_fhir_document_is_answered_with_a_bundle(client: Client) -> None:
    response = client.post("/fhir/$extract", json=DOCUMENT)
    made = response.json()
    assert response.headers["content-type"] == "application/fhir+json" and made["resourceType"] == "Bundle"
    found = [entry["resource"] for entry in made["entry"]]
    codes = [each["code"]["coding"][0]["code"] for each in found if each["resourceType"] == "Condition"]
    assert codes == ["M43.17", "M43.06"]
    assert client.post(
        "/fhir/$extract", content=json.dumps(DOCUMENT), headers={"Content-Type": "application/fhir+json"}
    ).content == response.content  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"resourceType": "Observation"}', 422),
        (b"[]", 422),
        (b'{"resourceType": "DocumentReference", "content": [{"attachment": {"url": "Binary/1"}}]}', 422),
    ],
)
def test_a_refused_fhir_resource_is_told_by_an_outcome(client: Client, body: bytes, status: int) -> None:
    response = client.post("/fhir/$extract", content=body, headers=JSON)
    assert response.status_code == status and response.headers["content-type"] == "application/fhir+json"
    made = response.json()
    assert made["resourceType"] == "OperationOutcome" and made["issue"][0]["severity"] == "error"


def test_a_canary_in_a_refused_fhir_resource_goes_nowhere(client: Client, canary: str) -> None:
    for body in ({"resourceType": canary}, {**DOCUMENT, "content": [{"attachment": {"url": canary}}]}, [canary]):
        assert canary not in client.post("/fhir/$extract", json=body).text


def test_hooks_are_discovered_called_and_told_of(client: Client) -> None:
    services = client.get("/cds-services").json()["services"]
    assert {service["hook"] for service in services} == {"org.parsnlp.note-sign", "encounter-discharge"}
    call = {
        "hook": "encounter-discharge",
        "hookInstance": "5d9f4c5e-2f0e-4a5e-9a3c-8d1f0b6f3a11",
        "context": {"userId": "Practitioner/d1", "patientId": "p1", "encounterId": "e1"},
        "prefetch": {"documents": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": DOCUMENT}]}},
    }
    cards = client.post("/cds-services/parsnlp-encounter-discharge", json=call).json()["cards"]
    assert cards and all(len(card["summary"]) < 140 for card in cards)
    suggested = [{"id": each["uuid"]} for each in cards[0]["suggestions"]]
    outcome = {"outcome": "accepted", "acceptedSuggestions": suggested, "outcomeTimestamp": "2026-05-12T10:00:00Z"}
    told = {"feedback": [{"card": cards[0]["uuid"], **outcome}]}
    assert client.post("/cds-services/parsnlp-encounter-discharge/feedback", json=told).json() == {}
    assert client.post("/cds-services/absent", json=call).status_code == 404
    assert client.post("/cds-services/parsnlp-encounter-discharge", json={**call, "prefetch": {}}).status_code == 412
    assert client.post("/cds-services/parsnlp-encounter-discharge", json={"hook": "x"}).status_code == 400
    assert client.post("/cds-services/parsnlp-encounter-discharge/feedback", json={}).status_code == 400
