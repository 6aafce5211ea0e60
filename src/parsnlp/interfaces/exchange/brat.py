"""brat: a `.txt` and a `.ann` a note, and the `annotation.conf` that lists what may be marked.

Offsets are code points. A span that runs over a line end is written in fragments, one a line, as brat wants it; spans in
fragments are read as the stretch from the first to the last, since a mention here is one stretch. brat has no place for
codes, kind, setting and date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from parsnlp.errors import InputError
from parsnlp.evaluation.gold import GoldNote
from parsnlp.interfaces.exchange.common import (
    ASSERTIONS,
    CONDITIONS,
    Files,
    Row,
    Rows,
    allowed,
    file_name,
    found_in,
    mentions,
    note_id,
    text_of,
)

_LINE = re.compile(r"[^\r\n]+")
_BREAK = re.compile(r"[\r\n]")
_SPAN = re.compile(r"(T\d+)\t(\S+) (\d{1,15} \d{1,15}(?:;\d{1,15} \d{1,15})*)\t(.*)")
_ATTRIBUTE = re.compile(r"[AM]\d+\tAssertion (T\d+) (\S+)")
_CONFIGURATION = f"""\
[entities]
{chr(10).join(CONDITIONS)}

[relations]

[events]

[attributes]
Assertion\tArg:<ENTITY>, Value:{"|".join(ASSERTIONS)}
"""


def files(rows: Sequence[GoldNote], by: str | None) -> Files:
    """A pair of files a note, and the configuration."""
    yield "annotation.conf", _CONFIGURATION.encode("utf-8")
    for row in rows:
        name = file_name(row)
        yield f"{name}.txt", row.text.encode("utf-8")
        yield f"{name}.ann", "".join(_annotations(row)).encode("utf-8")


def _annotations(row: GoldNote) -> Iterator[str]:
    for number, mention in enumerate(mentions(row), 1):
        pieces = [
            (mention.start + found.start(), mention.start + found.end())
            for found in _LINE.finditer(row.text[mention.start : mention.end])
        ]
        offsets = ";".join(f"{start} {end}" for start, end in pieces)
        yield f"T{number}\t{mention.condition} {offsets}\t{_quoted(row.text, pieces)}\n"
        yield f"A{number}\tAssertion T{number} {mention.assertion}\n"


def _quoted(text: str, pieces: Sequence[tuple[int, int]]) -> str:
    """The third column: the pieces joined by spaces, on one line."""
    return " ".join(_BREAK.sub(" ", text[start:end]) for start, end in pieces)


def _fits(text: str, pieces: Sequence[tuple[int, int]], quotation: str) -> bool:
    """Whether the third column quotes the pieces; those that add up to another length are not looked up."""
    length = sum(end - start for start, end in pieces) + len(pieces) - 1
    return length == len(quotation) and _quoted(text, pieces) == quotation


def rows(path: Path, problems: list[str]) -> Rows:
    """A row for each `.ann` file, from itself and the `.txt` beside it."""
    for each in found_in(path, "*.ann", "brat"):
        beside = each.with_suffix(".txt")
        try:
            text, annotations = text_of(beside), text_of(each)
        except InputError as error:
            problems.append(str(error))
            continue
        yield str(each), {"id": note_id(each), "text": text, "mentions": _mentions(each, text, annotations, problems)}


def _mentions(path: Path, text: str, annotations: str, problems: list[str]) -> list[Row]:
    found: dict[str, Row] = {}
    asserted: dict[str, str] = {}
    for number, line in enumerate(annotations.split("\n"), 1):
        line, where = line.rstrip("\r"), f"{path}:{number}"
        if line.startswith("T"):
            span = _SPAN.fullmatch(line)
            if span is None:
                problems.append(f"{where}: no text-bound annotation of brat: “T1<tab>Label 0 5<tab>text”")
                continue
            name, condition, offsets, quotation = span.groups()
            pieces = [(int(start), int(end)) for start, end in (piece.split() for piece in offsets.split(";"))]
            if condition not in CONDITIONS:
                problems.append(f"{where}: the label of {name} is none of {allowed(CONDITIONS)}")
            elif not _fits(text, pieces, quotation):
                problems.append(f"{where}: {name} quotes other text than the note has there; was the .txt changed?")
            else:
                start, end = min(start for start, _ in pieces), max(end for _, end in pieces)
                found[name] = {"condition": condition, "start": start, "end": end, "at": where}
        elif attribute := _ATTRIBUTE.fullmatch(line):
            if attribute[2] not in ASSERTIONS:
                problems.append(f"{where}: the Assertion of {attribute[1]} is none of {allowed(ASSERTIONS)}")
            asserted[attribute[1]] = attribute[2]
    for name, mention in found.items():
        if name not in asserted:
            problems.append(f"{mention['at']}: {name} has no Assertion; choose one of {allowed(ASSERTIONS)}")
    return [
        {"condition": item["condition"], "assertion": asserted[name], "start": item["start"], "end": item["end"]}
        for name, item in found.items()
        if asserted.get(name) in ASSERTIONS
    ]
