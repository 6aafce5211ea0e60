"""The service as it runs: real processes on loopback, clients that misbehave, workers that die. And schemathesis."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

import parsnlp
from parsnlp import Note
from parsnlp.interfaces import cds_hooks, decisions
from parsnlp.interfaces.service import workers
from parsnlp.interfaces.service.answers import Answer, Answers
from parsnlp.interfaces.service.app import application
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import warm

if TYPE_CHECKING:
    import random

pytestmark = [pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1", "0.0.0.0"])]

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]
TEXT = "CT: L5 pars defects with anterolisthesis of L5 on S1. No fracture."
LONG = " ".join([TEXT] * 3000)  # about 200,000 characters: long enough to be caught at work
JSON = {"Content-Type": "application/json"}


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    printed: IO[str]
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def all_printed(self) -> str:
        """What stands on standard output and error by now."""
        self.printed.seek(0)
        return self.printed.read()

    def client(self, **given: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **given)

    def wait(self) -> None:
        """Until the engine is warm."""
        with self.client() as client:
            until(lambda: client.get("/readyz").status_code == 200)

    def workers(self) -> list[int]:
        """The processes that read notes: those of its children that are Python's own, without the resource tracker."""
        task = Path(f"/proc/{self.process.pid}/task")
        found = []
        for child in " ".join(path.read_text() for path in task.glob("*/children")).split():
            with contextlib.suppress(OSError):  # it has just ended
                if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                    found.append(int(child))
        return found

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


def until(holds: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.TransportError):
            if holds():
                return
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@contextlib.contextmanager
def running(*arguments: str, program: list[str] = PROGRAM, warm: bool = True, **environment: str) -> Iterator[Running]:
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [*program, "serve", "--port", "0", *arguments],
            stdout=printed,
            stderr=printed,
            env={**os.environ, **environment},
        )
        service = Running(process, printed)
        try:
            until(lambda: "serving on" in service.all_printed() or process.poll() is not None)
            found = re.search(r"http://\S+:(\d+),", service.all_printed())
            assert found, service.all_printed()
            service.port = int(found.group(1))
            if warm:
                service.wait()
            yield service
        finally:
            process.kill()
            process.wait()


def ended(service: Running, sign: int = signal.SIGTERM) -> tuple[int, str]:
    """The exit status after a signal, and all that was printed."""
    service.process.send_signal(sign)
    return service.process.wait(60), service.all_printed()


@pytest.fixture(autouse=True)
def no_client_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx logs each URL that it asks for; it is the caller here, and no part of the service."""
    monkeypatch.setattr(httpx._client, "logger", SimpleNamespace(info=lambda *_: None))


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    """One for the tests that leave it as it was."""
    with running("--workers", "2", "--timeout", "2", "--max-body", "400000") as found:
        yield found


# --- the command ------------------------------------------------------------------------------------------------------


def test_it_says_where_it_listens_and_ends_cleanly() -> None:
    says = r"parsnlp: serving on http://127\.0\.0\.1:\d+, documentation at /docs; Ctrl-C stops\n"
    with running() as service:
        code, printed = ended(service)
        assert code == 0 and re.fullmatch(says, printed)
    with running() as service:
        code, printed = ended(service, signal.SIGINT)
        assert code == 130 and re.fullmatch(says + "parsnlp: interrupted\n", printed)


def test_it_does_not_start_on_misuse(tmp_path: Path) -> None:
    with running(warm=False) as service:
        taken = str(service.port)
        for arguments, says in (
            (["--port", taken], "choose another --port"),
            (["--port", "0", "--host", "0.0.0.0"], "give --token-file"),
            (["--port", "0", "--host", "no.such.host.invalid"], "no address of this machine"),
            (["--port", "0", "--token-file", str(tmp_path / "none")], "cannot be read as a token"),
            (["--port", "0", "--setting", "home"], "is not one of"),
            (["--port", "0", "--log-level", "loud"], "is not one of"),
        ):
            done = subprocess.run([*PROGRAM, "serve", *arguments], capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stdout) == (2, "") and says in done.stderr, done.stderr
            assert len(done.stderr.splitlines()) == 1


def test_beyond_loopback_it_needs_its_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    with running("--host", "0.0.0.0", "--token-file", str(token)) as service, service.client() as client:
        assert client.post("/v1/extract", json={"text": TEXT}).status_code == 401
        bearer = {"Authorization": "Bearer 0123456789abcdef"}
        assert client.post("/v1/extract", json={"text": TEXT}, headers=bearer).status_code == 200
        assert client.get("/healthz", headers={"Host": "coder.example"}).status_code == 421
        assert "not encrypted" in ended(service)[1]


def test_requests_that_come_before_the_engine_is_warm_wait_for_it() -> None:
    with running(warm=False) as service, service.client() as client:
        until(lambda: client.get("/healthz").status_code == 200)
        cold = client.get("/readyz")
        answered = client.post("/v1/extract", json={"text": TEXT})
        assert answered.status_code == 200
        assert cold.status_code == 503 and cold.headers["retry-after"] == "1"
        assert client.get("/readyz").status_code == 200


# --- clients that misbehave -------------------------------------------------------------------------------------------


def raw(service: Running, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that comes back for these bytes until the connection is closed."""
    found = b""
    with service.connect() as sock, contextlib.suppress(ConnectionError):
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(pause)
        while part := sock.recv(65536):
            found += part
    return found


HEAD = b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("sent", [b"", b"POST /v1/ext", HEAD])
def test_slow_heads_are_hung_up_on(service: Running, sent: bytes) -> None:
    assert raw(service, sent) == b""


def test_a_dripping_head_is_hung_up_on(service: Running) -> None:
    assert raw(service, HEAD, *[b"X-Drip: 1\r\n"] * 30, pause=0.1) == b""


def test_a_dripping_head_on_a_connection_in_use_is_hung_up_on(service: Running) -> None:
    with service.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionError):
            for byte in b"GET /healthz?" + b"x" * 1000:
                sock.sendall(bytes([byte]))
                time.sleep(0.05)


def test_a_slow_body_is_refused(service: Running) -> None:
    found = raw(service, HEAD + b"Content-Length: 50\r\n\r\n", *[b"{"] * 5, pause=0.1)
    assert found.startswith(b"HTTP/1.1 408 ") and b"application/problem+json" in found


def test_a_client_that_takes_no_answer_is_hung_up_on(service: Running) -> None:
    line = json.dumps({"text": TEXT}).encode() + b"\n"
    body = line * 4000
    head = f"POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/jsonl\r\nContent-Length: {len(body)}\r\n\r\n"
    with service.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(head.encode() + body)
        time.sleep(20)  # long enough to fill what is in between, and for the patience after it
        taken = b""
        with contextlib.suppress(ConnectionError):
            while part := sock.recv(1 << 20):
                taken += part
    assert taken.startswith(b"HTTP/1.1 200") and not taken.endswith(b"0\r\n\r\n")


def test_oversized_bodies_are_refused_before_they_are_read(service: Running) -> None:
    declared = raw(service, HEAD + b"Content-Length: 10000000000\r\n\r\n")
    assert declared.startswith(b"HTTP/1.1 413 ")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    chunked = raw(service, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 8)
    assert chunked.startswith(b"HTTP/1.1 413 ")
    with service.client() as client:  # what was sent in whole is answered, and the connection goes on
        assert client.post("/v1/extract", json={"text": "x" * 500_000}).status_code == 413
        assert client.post("/v1/extract", json={"text": TEXT}).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"no http at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000,  # and no end
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_refused(service: Running, sent: bytes) -> None:
    found = raw(service, sent)
    assert found.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in found, found
    assert service.process.poll() is None


def test_bad_json_over_the_wire(service: Running) -> None:
    with service.client() as client:
        for body, status in (
            (b"[" * 300_000, 400),
            (b'{"text": "\xff"}', 400),
            (b'{"text": 5}', 422),
            (b'{"text": NaN}', 400),
        ):
            response = client.post("/v1/extract", content=body, headers=JSON)
            assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


def test_a_probe_is_answered_while_all_workers_are_at_work(service: Running) -> None:
    def ask() -> None:
        with service.client() as client:
            done.append(client.post("/v1/extract", json={"text": LONG}).status_code)

    done: list[int] = []
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    with service.client() as client:
        assert client.get("/healthz").status_code == 200
    assert not done
    for thread in threads:
        thread.join()
    assert done == [200] * 3


def test_a_batch_answers_while_it_is_sent(service: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.putrequest("POST", "/v1/batch")
    connection.putheader("Content-Type", "application/x-ndjson")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()

    def send(line: bytes) -> None:
        connection.send(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    send(b'{"id": "one", "text": "L5 pars defects."}\n')
    response = connection.getresponse()
    assert json.loads(response.readline())["id"] == "one"
    send(b'{"id": "two", "text": ""}\n')
    assert json.loads(response.readline())["id"] == "two"
    connection.send(b"0\r\n\r\n")
    assert response.read() == b""


# --- processes that die -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_killed_under_load_is_an_error_to_its_caller_and_replaced(
    workers: int, noted: Callable[..., None]
) -> None:
    with running("--workers", str(workers)) as service:
        outcomes: list[int] = []

        def ask() -> None:
            with service.client() as client:
                while not stop.is_set():
                    outcomes.append(client.post("/v1/extract", json={"text": LONG[:20_000]}).status_code)

        stop = threading.Event()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(outcomes) > 3)
        before = service.workers()
        assert len(before) == workers
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        killed = len(outcomes)
        until(lambda: len(outcomes) > killed + 8)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(outcomes) == {200, 500} and outcomes[-1] == 200  # an answer to each, and none but those two kinds
        assert outcomes.count(500) == workers
        until(lambda: len(service.workers()) == workers)
        assert not set(before) & set(service.workers())
        assert "the worker died; another takes its place" in ended(service)[1]
    noted("all workers of the service killed at once under load", kills=workers)


def test_workers_killed_at_random_moments_cost_their_own_request_alone(
    kills: Callable[[int], int], chance: Callable[[], random.Random], noted: Callable[..., None]
) -> None:
    """Workers that answer, that are idle and that warm up; whoever is not told of an error has the whole answer."""
    choices = chance()
    stop = threading.Event()
    texts = [f"{TEXT} {LONG[: 400 * number]}" for number in range(4)]
    outcomes: list[int] = []
    wrong: list[str] = []

    def ask(text: str) -> None:
        with service.client() as client:
            while not stop.is_set():
                response = client.post("/v1/extract", json={"text": text})
                outcomes.append(response.status_code)
                if response.status_code == 200 and response.text != expected[text]:
                    wrong.append("another answer than before the kills")

    with running("--workers", "2") as service:
        with service.client() as client:
            expected = {text: client.post("/v1/extract", json={"text": text}).text for text in texts}
        threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        killed = 0
        while killed < kills(6):
            good = outcomes.count(200)
            until(lambda at=good: outcomes.count(200) > at)  # else none would ever be warm
            time.sleep(choices.uniform(0, 0.5))
            with contextlib.suppress(ProcessLookupError):  # it has just been ended as one that could not start
                os.kill(choices.choice(service.workers()), signal.SIGKILL)
                killed += 1
        good = outcomes.count(200)
        until(lambda: outcomes.count(200) > good + 8)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(outcomes) <= {200, 500} and outcomes.count(500) <= killed and not wrong
        until(lambda: len(service.workers()) == 2)
        with service.client() as client:
            assert {text: client.post("/v1/extract", json={"text": text}).text for text in texts} == expected
    noted("worker of the service killed under load", kills=killed, requests=len(outcomes), errors=outcomes.count(500))


def test_what_is_told_as_decided_outlives_a_service_that_is_killed(
    tmp_path: Path, kills: Callable[[int], int], chance: Callable[[], random.Random], noted: Callable[..., None]
) -> None:
    """The page takes decision after decision until its service is killed: each that it told as taken is there once."""
    choices = chance()
    file = tmp_path / "decisions.sqlite"
    note = Note(text=TEXT)
    item = decisions.item(parsnlp.load().extract(note), [note]).model_dump(mode="json")
    told: list[str] = []

    def decide() -> None:
        with service.client(headers={"Sec-Fetch-Site": "same-origin"}) as client, contextlib.suppress(httpx.HTTPError):
            while True:
                reason = f"{killed}-{len(sent)}"
                sent.append(reason)
                decision = {"act": "reject", "code": item["codes"][0]["code"], "reason": reason}
                assert client.post("/page/decide", json={"item": item, "decision": decision}).status_code == 200
                told.append(reason)

    killed = 0
    while killed < kills(4):
        sent: list[str] = []
        before = len(told)
        with running("--decisions", str(file), warm=False) as service:
            thread = threading.Thread(target=decide)
            thread.start()
            until(lambda at=before: len(told) > at)
            time.sleep(choices.uniform(0, 0.3))
            service.process.kill()
            killed += 1
            thread.join()
        kept = [row["reason"] for row in decisions.Decisions(file).log()]
        assert len(set(kept)) == len(kept) and kept[-1] in sent[-2:]
        unanswered = set(kept) - set(told)
        assert [reason for reason in kept if reason in told] == told and len(unanswered) <= killed
    noted("service killed while the page decides", kills=killed, decisions_told_as_taken=len(told))


def test_a_worker_that_dies_while_idle_is_noticed() -> None:
    with running() as service, service.client() as client:
        os.kill(service.workers()[0], signal.SIGKILL)
        until(lambda: client.post("/v1/extract", json={"text": TEXT}).status_code == 200)


def test_sigterm_lets_a_request_finish() -> None:
    with running("--workers", "1") as service:
        answered: list[httpx.Response] = []

        def ask() -> None:
            with service.client() as client:
                answered.append(client.post("/v1/extract", json={"text": LONG}))

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.5)
        workers = service.workers()
        service.process.send_signal(signal.SIGTERM)
        for pid in workers:
            os.kill(pid, signal.SIGTERM)  # as a supervisor may that signals the whole group
        time.sleep(0.3)
        assert not answered
        with pytest.raises(ConnectionRefusedError):
            service.connect()
        thread.join()
        assert answered[0].status_code == 200 and answered[0].json()["codes"]
        assert service.process.wait(60) == 0
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_a_second_ctrl_c_does_not_wait() -> None:
    with running("--workers", "1") as service:
        with service.connect() as sock:
            body = json.dumps({"text": LONG * 3}).encode()
            sock.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.5)
            workers = service.workers()
            service.process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            code, printed = ended(service, signal.SIGINT)
            assert sock.recv(100).startswith(b"HTTP/1.1 503 ")
        assert code == 130 and "Traceback" not in printed
        until(lambda: not any(alive(pid) for pid in workers))


def test_work_beyond_measure_ends_with_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = workers.Workers(Settings(), 1)
    engine.start()
    body = json.dumps({"text": LONG}).encode()
    try:
        until(lambda: engine.ready)
        monkeypatch.setattr(workers, "WORK_SECONDS", 0.05)
        with pytest.raises(workers.Failed, match="took too long"):
            asyncio.run(engine.answer("extract", body, False))
        monkeypatch.undo()
        until(lambda: engine.ready)
        assert asyncio.run(engine.answer("extract", body, False)).characters == len(LONG)
    finally:
        engine.close()


def test_workers_end_when_the_service_is_killed() -> None:
    with running("--workers", "2") as service:
        workers = service.workers()
        service.process.kill()
        until(lambda: not any(alive(pid) for pid in workers))


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# --- the documentation --------------------------------------------------------------------------------------------------

GUIDE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```(sh|python|js)\n(.*?)```", GUIDE, re.S)
RUN = {"sh": ["bash", "-ec"], "python": [sys.executable, "-c"], "js": ["node", "--input-type=module", "-e"]}


@pytest.mark.parametrize(("language", "code"), EXAMPLES, ids=[language for language, _ in EXAMPLES])
def test_the_guide_s_examples_print_what_they_say(service: Running, language: str, code: str) -> None:
    expected = re.findall(r"^(?:#|//)> ?(.*)$", code, re.M)
    done = subprocess.run(
        [*RUN[language], code.replace("127.0.0.1:4306", f"127.0.0.1:{service.port}")], capture_output=True, text=True
    )
    assert expected and done.stdout.splitlines() == expected, done.stderr


def test_the_guide_has_an_example_in_each_language_and_every_operation(service: Running) -> None:
    assert {language for language, _ in EXAMPLES} == set(RUN)
    with service.client() as client:
        for path in client.get("/openapi.json").json()["paths"]:
            assert path in GUIDE


def test_the_page_s_curl_commands_work(service: Running) -> None:
    with service.client() as client:
        page = html.unescape(client.get("/docs").text)
    commands = re.findall(r'<code class="quote">(curl .*?)</code>', page, re.S)
    assert len(commands) > 8
    for command in commands:
        done = subprocess.run(
            ["bash", "-ec", f"{command} --fail"], capture_output=True, env={**os.environ, "URL": service.url}
        )
        assert done.returncode == 0 and done.stdout, command


# --- what gets out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["trace", "debug"])
def test_the_canary_is_printed_at_no_level(level: str, canary: str) -> None:
    with running("--log-level", level, "--access-log", "--timeout", "2", "--workers", "2") as service:
        with service.client() as client:
            good = client.post("/v1/extract", json={"text": f"L5 pars defects {canary}"})
            assert good.status_code == 200
            for path in ("/v1/extract", "/v1/encounter", "/v1/audit", f"/{canary}", f"/v1/extract?offsets={canary}"):
                for body in (
                    canary,
                    f'{{"text": "{canary}',
                    f'{{"{canary}": "{canary}"}}',
                    f'{{"text": ["{canary}"]}}',
                ):
                    response = client.post(path, content=body.encode(), headers=JSON)
                    assert response.status_code >= 400 and canary not in response.text
            client.post("/v1/batch", content=f"{canary}\n".encode() * 3, headers={"Content-Type": "application/jsonl"})
            client.get(f"/v1/reference/{canary}")
            client.get("/healthz", headers={"Host": canary, "Cookie": canary, canary: canary})
            os.kill(service.workers()[0], signal.SIGKILL)
            for _ in range(3):
                client.post("/v1/extract", json={"text": canary})
            assert canary.casefold() not in client.get("/metrics").text.casefold()
        name = canary.encode()
        for sent in (
            name,
            b"GET /" + name + b" HTTP/9\r\n\r\n",
            HEAD + b"Content-Length: 99\r\n\r\n" + name,
            HEAD + name,
        ):
            assert name not in raw(service, sent)
        code, printed = ended(service)
        assert code == 0
        assert "POST /v1/extract 422" in printed and "GET /v1/reference/{code} 404" in printed  # it does log
        assert canary.casefold() not in printed.casefold()


def test_nothing_is_sent_anywhere() -> None:
    """Python's own record of it, in the process that faces the network, whatever telemetry the environment asks for."""
    code = (
        "import sys\n"
        "def look(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.sendto', 'socket.getaddrinfo'):\n"
        "        print(event, arguments[1:3], file=sys.stderr, flush=True)\n"
        "sys.addaudithook(look)\n"
        "from parsnlp.interfaces.cli import main; main()"
    )
    asked_for = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "FASTAPI_OTEL_AUTO_CONFIGURE": "true"}
    with running(program=[sys.executable, "-c", code], **asked_for) as service:
        with service.client() as client:
            assert client.post("/v1/extract", json={"text": TEXT}).status_code == 200
        _, printed = ended(service)
    events = [line for line in printed.splitlines() if line.startswith("socket.")]
    assert events == ["socket.getaddrinfo (0, 0)"]  # 127.0.0.1, where it listens


# --- schemathesis -----------------------------------------------------------------------------------------------------


class Inside:
    """An engine without processes, loaded when first asked."""

    ready = True

    def __init__(self) -> None:
        self._answers: Answers | None = None

    async def answer(self, method: str, *arguments: object) -> Answer:
        self._answers = self._answers or warm(Settings())
        made: Answer = getattr(self._answers, method)(*arguments)
        return made

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


TOKEN = "0123456789abcdef"
NAMES = frozenset({"localhost", "127.0.0.1", "testserver"})
OPEN_APP = application(Settings(hosts=NAMES), Inside())
TOKEN_APP = application(Settings(hosts=NAMES, token=TOKEN), Inside())


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: Any, value: Any) -> Any:
    return value if isinstance(value, str | bytes) else json.dumps(value)


DOCUMENT = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(b"L5 pars defects.").decode()}}],
}
HOOKS = {service["id"]: service["hook"] for service in cds_hooks.discovery()["services"]}


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case, kwargs: Any) -> None:
    """The rules that JSON Schema cannot say: ids that differ, documents that can be read, a service's own hook."""
    if not isinstance(case.body, dict):
        return
    if case.body.get("resourceType") in ("DocumentReference", "DiagnosticReport", "Composition", "Bundle"):
        case.body = {**case.body, **DOCUMENT}
    if isinstance(case.body.get("hook"), str):
        case.path_parameters = {"service": list(HOOKS)[-1]}
        case.body = {**case.body, "hook": list(HOOKS.values())[-1]}
        held = case.body.get("prefetch", {})
        if isinstance(held, dict) and all(
            held.get(key) is None or (isinstance(held[key], dict) and isinstance(held[key].get("resourceType"), str))
            for key in ("documents", "reports", "encounter")
        ):
            case.body["prefetch"] = {"documents": DOCUMENT}
        if (
            isinstance(case.body.get("context"), dict)
            and isinstance(case.body["context"].get("note"), dict)
            and isinstance(case.body["context"]["note"].get("resourceType"), str)
        ):
            case.body["context"] = {**case.body["context"], "note": DOCUMENT}
    if isinstance(case.body.get("feedback"), list):
        case.path_parameters = {"service": list(HOOKS)[-1]}
        for told in case.body["feedback"]:
            if isinstance(told, dict) and isinstance(told.get("outcomeTimestamp"), str):
                told["outcomeTimestamp"] = "2026-05-12T10:00:00Z"
    documents = case.body.get("documents")
    if isinstance(documents, list):
        made = [
            {**item, "id": f"{item['id'][:190]}{at}"}
            if isinstance(item, dict) and item.get("id") and isinstance(item["id"], str)
            else item
            for at, item in enumerate(documents)
        ]
        case.body = {**case.body, "documents": made}


open_schema = schemathesis.openapi.from_asgi("/openapi.json", OPEN_APP)
token_schema = schemathesis.openapi.from_asgi("/openapi.json", TOKEN_APP)
# The same calls each time, unless PARSNLP_SEED asks for others.
TRIES = settings(
    max_examples=int(os.environ.get("PARSNLP_TRIES", "60")),
    derandomize="PARSNLP_SEED" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@open_schema.parametrize()
@TRIES
def test_schemathesis(case: schemathesis.Case) -> None:
    case.call_and_validate()


@token_schema.parametrize()
@settings(TRIES, max_examples=20)
def test_schemathesis_with_a_token(case: schemathesis.Case) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})
