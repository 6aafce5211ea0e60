"""What a JSON Lines file holds, by its first line: rows of gold, results, or notes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from parsnlp.errors import InputError
from parsnlp.models import Result

Held = Literal["gold", "results", "notes"]


def held(path: Path) -> Held:
    """What the file holds; notes where it is no JSON Lines. Raises `InputError` when it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            first = stream.readline()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__})") from None
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return "notes"
    if not isinstance(row, dict):
        return "notes"
    if "schema_version" in row:
        return "results"
    return "gold" if "codes" in row or "mentions" in row else "notes"


def results(path: str | Path) -> Iterator[Result]:
    """The results in a file, one at a time. Raises `InputError` naming the line that is none."""
    try:
        with Path(path).open(encoding="utf-8", newline="\n") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _result(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__})") from None


def _result(path: str | Path, number: int, line: str) -> Result:
    try:
        return Result.model_validate_json(line)
    except ValidationError as error:
        raise InputError(
            f"{path}:{number}: no result of parsnlp (batch and code --json write them, with text): "
            f"{error.errors(include_input=False, include_url=False)[0]['msg']}"
        ) from None
