"""What was derived from the rules, kept between runs, so that a program starts without deriving it again.

The cache holds rules and nothing of any note: one JSON file for each rule set, in the user's cache folder
(`$XDG_CACHE_HOME` or `~/.cache`, or `%LOCALAPPDATA%`), readable and trusted only where the user owns it. The environment
variable `PARSNLP_CACHE` names another folder, or `off`. A file that is missing, foreign or damaged is derived again; a
folder that cannot be written is no error.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from parsnlp import writing
from parsnlp.errors import InputError

VARIABLE = "PARSNLP_CACHE"
_MOST = 8  # rule sets kept


def folder() -> Path | None:
    """The cache folder, whether it exists or not; None when the cache is off."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return None if named == "off" else Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "parsnlp"
    except RuntimeError:  # no home
        return None


def find(key: str) -> dict[str, Any] | None:
    """What was kept under `key` by this very program and version of Python; None when there is nothing to be trusted."""
    path = _path(key)
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            held = os.fstat(stream.fileno())
            if hasattr(os, "getuid") and (held.st_uid != os.getuid() or held.st_mode & 0o022):
                return None
            check, _, body = stream.read().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != check:
            return None
        found: dict[str, Any] = json.loads(body)
    except (OSError, ValueError):
        return None
    return found


def keep(key: str, value: dict[str, Any]) -> None:
    """Keep plain data under `key`; the oldest rule sets beyond a few go."""
    path = _path(key)
    if path is None:
        return
    body = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
    with suppress(OSError, InputError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with writing.replacing(path) as stream:
            stream.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        for old in sorted(path.parent.glob("rules-*.json"), key=lambda each: -each.stat().st_mtime)[_MOST:]:
            old.unlink()


def _path(key: str) -> Path | None:
    place = folder()
    if place is None:
        return None
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("rules.py", "literals.py", "rulecache.py")]
    python = f"{sys.implementation.cache_tag} {key}"
    whole = hashlib.sha256(b"\0".join([python.encode(), *sources])).hexdigest()[:32]
    return place / f"rules-{whole}.json"
