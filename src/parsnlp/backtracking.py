"""How long a regular expression may search: tried on texts pumped from its own repetitions, which are what it backtracks on.

Texts of a few thousand characters tell a linear search (a few milliseconds) from a quadratic one (a tenth of a second) and
an exponential one (which is stopped long before, as texts grow step by step).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from parsnlp import literals

LENGTH = 3_000
"""Characters of the longest text that is tried, twice those of the longest sentence that rules are matched on."""
SECONDS = 0.03
"""Processor time that a search of it may take."""

_MANY = 16  # a repetition of fewer cannot cost much
_BY_ONES = 20  # repetitions up to which an exponential search begins to show; beyond, texts grow faster
_LIKELY = "a 0,.-:/x\n"  # what classes of characters are likely to share, first
_BODIES = 3


def costly(expression: str, search: Callable[[str], object]) -> str | None:
    """What, over and over, makes a search take longer than `SECONDS`; None when nothing does.

    `search`: looks for the expression in a text, as it is used.
    """
    for before, body in _repetitions(literals.parse(expression), ""):
        for piece in dict.fromkeys((body, before + body)):
            if piece and _slow(search, before, piece):
                return f"{piece!r} over and over" + (f" after {before!r}" if before else "")
    return None


def _slow(search: Callable[[str], object], before: str, piece: str) -> bool:
    count = 4
    while count * len(piece) <= LENGTH:
        text = before + piece * count + "\x01"
        if all(_spent(search, text) > SECONDS for _ in range(3)):
            return True
        count += max(1, count - _BY_ONES)
    return False


def _spent(search: Callable[[str], object], text: str) -> float:
    begun = time.process_time()
    search(text)
    return time.process_time() - begun


def _repetitions(parsed: Any, before: str) -> Iterator[tuple[str, str]]:
    """Each repetition of many: a text that leads to it, and one that its body matches."""
    for op, value in parsed:
        name = str(op)
        if name.endswith("REPEAT"):
            if int(value[1]) >= _MANY:
                for sample in islice(dict.fromkeys(_samples(value[2])), _BODIES):
                    yield before, sample
            yield from _repetitions(value[2], before)
        else:
            for inner in _inside(name, value):
                yield from _repetitions(inner, before)
        before += next(_samples([(op, value)]), "")


def _inside(name: str, value: Any) -> list[Any]:
    """The expressions within one node of a parsed expression."""
    if name == "SUBPATTERN":
        return [value[3]]
    if name == "BRANCH":
        return list(value[1])
    if name in ("ASSERT", "ASSERT_NOT"):
        return [value[1]]
    if name == "ATOMIC_GROUP":
        return [value]
    return [branch for branch in value[1:] if branch] if name == "GROUPREF_EXISTS" else []


def _samples(parsed: Any) -> Iterator[str]:
    """A few short texts that an expression matches, looking ahead and behind left aside."""
    choices = [list(islice(_node(str(op), value), _BODIES)) or [""] for op, value in parsed]
    for number in range(max(map(len, choices), default=1)):
        yield "".join(each[min(number, len(each) - 1)] for each in choices)


def _node(name: str, value: Any) -> Iterator[str]:
    if name == "LITERAL":
        yield chr(value)
    elif name in ("NOT_LITERAL", "ANY", "IN"):
        yield from (char for char in _LIKELY + _of_class(name, value) if _holds(name, value, char))
    elif name.endswith("REPEAT"):
        least, most, body = value
        for sample in _samples(body):
            yield sample * max(least, min(int(most), 1))
    elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
        yield from _samples(_inside(name, value)[0])
    elif name == "BRANCH":
        for branch in value[1]:
            yield from _samples(branch)


def _of_class(name: str, value: Any) -> str:
    if name != "IN":
        return ""
    return "".join(
        chr(each if str(op) == "LITERAL" else each[0]) for op, each in value if str(op) in ("LITERAL", "RANGE")
    )


_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w", "NOT_DIGIT": r"\D", "NOT_SPACE": r"\S", "NOT_WORD": r"\W"}


def _holds(name: str, value: Any, char: str) -> bool:
    """Whether a class of characters holds this one."""
    if name == "ANY":
        return char != "\n"
    if name == "NOT_LITERAL":
        return ord(char) != int(value)
    negated = str(value[0][0]) == "NEGATE"
    return negated is not any(
        ord(char) == each
        if str(op) == "LITERAL"
        else each[0] <= ord(char) <= each[1]
        if str(op) == "RANGE"
        else bool(re.match(_CATEGORIES[str(each).removeprefix("CATEGORY_")], char))
        for op, each in value
        if str(op) != "NEGATE"
    )
