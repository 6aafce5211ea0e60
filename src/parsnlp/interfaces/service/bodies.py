"""Reading what callers send: never more than the limit, never longer than the deadline, JSON and nothing but JSON."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import anyio
from starlette.requests import Request

from parsnlp.interfaces.service.problems import Problem

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def check(request: Request, media: tuple[str, ...], limit: int) -> None:
    """Refuse a body by its headers alone: another media type, an encoding, or a length over the limit."""
    given = request.headers.get("content-type", "")
    name, _, rest = given.partition(";")
    parameters = rest.strip().lower().replace('"', "")
    if name.strip().lower() not in media or parameters not in ("", "charset=utf-8"):
        raise Problem(415, f"the body must be {' or '.join(media)}, as UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "the body must not be compressed")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise too_large(limit)


async def whole(request: Request, limit: int, seconds: float) -> bytes:
    """The body. Raises `Problem`: 413 as soon as it is longer than `limit`, 408 when it takes longer than `seconds`."""
    parts: list[bytes] = []
    size = 0
    try:
        with anyio.fail_after(seconds):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise too_slow(seconds) from None
    return b"".join(parts)


async def lines(request: Request, longest: int, most: int, limit: int) -> AsyncIterator[bytes | Problem]:
    """The lines of a streamed body as they arrive, or what is wrong with one.

    A line over `longest` bytes is a `Problem` and passed over. More than `most` lines or `limit` bytes end the stream
    with a `Problem`. Blank lines come too, so that the caller can count.
    """
    kept = bytearray()
    dropped = False
    size = count = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            yield too_large(limit)
            return
        *ended, rest = part.split(b"\n")
        for end in ended:
            count += 1
            if count > most:
                yield Problem(413, f"a batch holds at most {most:,} lines; send the rest in another")
                return
            kept += end
            yield too_large(longest) if dropped or len(kept) > longest else bytes(kept)
            kept.clear()
            dropped = False
        kept += rest
        if len(kept) > longest:
            dropped = True
            kept.clear()
    if dropped or kept:
        yield too_large(longest) if dropped else bytes(kept)


def parse(body: bytes) -> Any:
    """The value that a JSON text stands for. Raises `Problem` (400) without any of its words.

    Stricter than Python: no NaN or Infinity, no name twice in an object, no number too long to be one. A lone surrogate,
    which JavaScript may send, becomes U+FFFD, so that no offset moves.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
        return _whole(value) if _SURROGATE.search(body) else value
    except UnicodeDecodeError as error:
        raise Problem(400, f"not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise Problem(400, f"not JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Problem(400, "not JSON that can be read: nested too deep") from None
    except ValueError:
        raise Problem(400, "not JSON that can be read: a number too long") from None


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_whole(child) for child in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(child) for key, child in value.items()}
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(400, "not JSON that can be read: an object has the same name twice")
    return found


def _constant(_: str) -> NoReturn:
    raise Problem(400, "not JSON: NaN and Infinity are no JSON numbers")


def too_large(limit: int) -> Problem:
    """More bytes than allowed."""
    return Problem(413, f"larger than {limit:,} bytes, the most that is taken")


def too_slow(seconds: float) -> Problem:
    """A body that did not arrive in time; what is left of it is not waited for."""
    return Problem(408, f"the body did not arrive within {seconds:g} seconds", {"Connection": "close"})
