"""Offsets for callers whose strings are UTF-16: JavaScript, Java, C#.

parsnlp counts code points, as Python does. A character beyond U+FFFF, such as an emoji, is one code point but two UTF-16
code units, so every offset behind it moves. `in_utf16` is for a result that leaves Python.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from parsnlp.models import Note, Result

NOTICE = "every start, end and length counts UTF-16 code units, not code points"
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def in_utf16(result: Result, notes: Sequence[Note]) -> Result:
    """The result of these notes with every `start`, `end` and `length` in UTF-16 code units; a warning says so.

    `notes`: those that the result was made of, in any order. Raises `KeyError` when one of them is missing.

    >>> import parsnlp
    >>> note = parsnlp.Note(text="🙂 CT: L5 pars defects.")
    >>> finding = in_utf16(parsnlp.load().extract(note), [note]).findings[0]
    >>> note.text.encode("utf-16-le")[2 * finding.start : 2 * finding.end].decode("utf-16-le")
    'pars defects'
    """
    astral = {note.id: [match.start() for match in _ASTRAL.finditer(note.text)] for note in notes}
    update: dict[str, Any] = {"warnings": (*result.warnings, NOTICE)}
    if not any(astral.values()):
        return result.model_copy(update=update)
    return Result.model_validate({**_moved(result.model_dump(), astral, []), **update})


def _moved(value: Any, astral: Mapping[str, Sequence[int]], within: Sequence[int]) -> Any:
    """A part of a result with its offsets moved. `within`: where its document's long characters stand."""
    if isinstance(value, list | tuple):
        return [_moved(child, astral, within) for child in value]
    if not isinstance(value, dict):
        return value
    if "document" in value:
        within = astral[value["document"]]
    elif "length" in value:  # a document's own entry
        within = astral[value["id"]]
    return {
        key: child + bisect_left(within, child) if key in _OFFSETS else _moved(child, astral, within)
        for key, child in value.items()
    }


_OFFSETS = frozenset({"start", "end", "length"})
