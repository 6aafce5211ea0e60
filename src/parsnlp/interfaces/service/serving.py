"""Sockets and connections: where the service listens, whom it lets in, how patient it is, how it stops."""

from __future__ import annotations

import ipaddress
import json
import socket
import stat
from asyncio import TimerHandle, Transport
from pathlib import Path
from signal import SIGTERM, signal
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from parsnlp.errors import InputError
from parsnlp.interfaces.service import problems
from parsnlp.interfaces.service.app import application
from parsnlp.interfaces.service.settings import LOOPBACK, Settings
from parsnlp.interfaces.service.workers import Workers

LOG_LEVELS = ("error", "warning", "info", "debug", "trace")
GRACE = 30
"""Seconds that requests under way have when the service is told to stop."""

_HEAD = 16 * 1024  # bytes of a request line with its headers
_IDLE = 15  # seconds that a connection may stand idle between requests


def server(settings: Settings, workers: int = 1, log_level: str = "warning") -> uvicorn.Server:
    """The service, not begun yet. Raises `InputError` for files that it was told of and cannot use."""
    config = Config(
        settings.seconds,
        app=application(settings, Workers(settings, workers)),
        http=Connection,
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=logs(log_level, settings.access_log),
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=_HEAD,
    )
    return uvicorn.Server(config)


def serve(service: uvicorn.Server, sock: socket.socket) -> None:
    """Serve on a socket that listens, until SIGTERM, or SIGINT, which raises `KeyboardInterrupt` in the end.

    Requests under way are finished.
    """
    signal(SIGTERM, lambda *_: None)  # uvicorn raises it once more when it is done, and we would end as if killed
    service.run([sock])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens. Port 0 takes a free one.

    Raises `InputError` when there is no such address, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)  # named, or asyncio would not send small parts at once
    except OSError:
        raise InputError(f"{host}: is no address of this machine; 127.0.0.1 is the usual one") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise InputError(
            f"cannot listen on {host} port {port} ({error.strerror}); choose another --port, or 0 for any that is free"
        ) from None
    return sock


def is_loopback(sock: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(sock.getsockname()[0]).is_loopback


def hosts(host: str, sock: socket.socket, allowed: list[str]) -> frozenset[str]:
    """The names that a Host header may have: this machine's, the one that is bound, and those allowed besides."""
    bound = {host.lower(), sock.getsockname()[0]}
    named = {name for name in bound if name not in ("", "0.0.0.0", "::")}
    return frozenset(LOOPBACK | named | {name.lower() for name in allowed})


def read_token(path: Path) -> str:
    """The secret in a file, its line end left out.

    Raises `InputError` when others than its owner and group can read it, or it holds no token of 16 signs or more.
    """
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise InputError(f"{path}: anybody on this machine can read it; run: chmod 600 {path}")
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: cannot be read as a token; put one line of ASCII letters and digits in it") from None
    if len(token) < 16 or not token.isprintable() or " " in token:
        raise InputError(f"{path}: a token has at least 16 signs and no space; make one with: openssl rand -hex 32")
    return token


def logs(level: str, access: bool) -> dict[str, Any]:
    """The logging of a process, all to standard error. uvicorn's trace of each request, which shows its path, stays off."""
    shown = {"handlers": ["stderr"], "level": 5 if level == "trace" else level.upper(), "propagate": False}
    silent = {"handlers": [], "level": "CRITICAL", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "parsnlp: %(levelname)s: %(message)s"},
            "access": {"format": "%(asctime)s %(message)s"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
            "access": {"class": "logging.StreamHandler", "formatter": "access"},
        },
        "loggers": {
            "uvicorn": shown,
            "asyncio": shown,
            "parsnlp.service": shown,
            "uvicorn.asgi": silent,
            "uvicorn.access": silent,
            "parsnlp.access": {"handlers": ["access"], "level": "INFO", "propagate": False} if access else silent,
        },
    }


class Config(uvicorn.Config):
    """uvicorn's, with the seconds that a client may keep a connection waiting."""

    def __init__(self, seconds: float, **given: Any) -> None:
        super().__init__(**given)
        self.seconds = seconds


class Connection(H11Protocol):
    """uvicorn's connection, with an end to its patience: for the head of a request, and for a client that reads nothing.

    The head must be whole so many seconds after its first byte, or after the connection was made; what is left of a body
    that was refused counts as waiting for the next head.
    """

    config: Config
    _head: TimerHandle | None = None
    _write: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = self.loop.call_later(self.config.seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._head is None and self.cycle.response_complete:
            self._head = self.loop.call_later(self.config.seconds, self.transport.abort)
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._head = _stop(self._head)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write = self.loop.call_later(self.config.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write = _stop(self._write)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._write = _stop(self._head), _stop(self._write)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is answered as a problem too, if nothing has been answered yet."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        content = json.dumps(problems.fields(400, "not HTTP that can be read", "-")).encode()
        headers = [("content-type", problems.MEDIA), ("content-length", str(len(content))), ("connection", "close")]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=content), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _stop(timer: TimerHandle | None) -> TimerHandle | None:
    """No timer, whether there was one or not."""
    if timer is not None:
        timer.cancel()
    return None
