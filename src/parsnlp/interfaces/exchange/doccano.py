"""doccano: `notes.jsonl` for a sequence-labelling project, and `labels.json`, its labels.

doccano counts UTF-16 code units, as its page does, unless a project counts grapheme clusters: leave that choice off. Each
label names condition and assertion. Codes, kind, setting and date travel as metadata, which annotators do not change; and
so do the places of carriage returns, for a browser makes one character of a CRLF: in their place doccano gets a space.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from parsnlp.evaluation.gold import GoldNote
from parsnlp.interfaces.exchange.common import (
    COLOURS,
    CONDITIONS,
    LABELS,
    Files,
    Row,
    Rows,
    facts,
    found_in,
    from_utf16,
    json_line,
    json_lines,
    label,
    mentions,
    to_utf16,
    told,
    unlabelled,
    utf16_places,
)

_RETURNS = "carriage_returns"


def files(rows: Sequence[GoldNote], by: str | None) -> Files:
    """The notes and the labels."""
    colours = dict(zip(CONDITIONS, COLOURS, strict=True))
    labels = [{"text": name, "backgroundColor": colours[name.split("/")[0]], "textColor": "#ffffff"} for name in LABELS]
    yield "labels.json", (json.dumps(labels, indent=1) + "\n").encode("utf-8")
    yield "notes.jsonl", b"".join(map(_line, rows))


def _line(row: GoldNote) -> bytes:
    places = utf16_places(row.text)
    spans = [[to_utf16(places, each.start), to_utf16(places, each.end), label(each)] for each in mentions(row)]
    returns = [at for at, letter in enumerate(row.text) if letter == "\r"]
    known = facts(row) | ({_RETURNS: returns} if returns else {})
    return json_line({"text": row.text.replace("\r", " "), "label": spans, "note": row.id, **known})


def rows(path: Path, problems: list[str]) -> Rows:
    """A row for each line of the exported JSONL, with relations or without."""
    for each in found_in(path, "*.jsonl", "doccano"):
        for where, line in json_lines(each, problems):
            text = line.get("text")
            if not isinstance(text, str):
                problems.append(f"{where}: has no text; export a sequence-labelling project as JSONL")
                continue
            meta = line["meta"] if isinstance(line.get("meta"), dict) else {}
            kept = {**meta, **line}
            name = kept.get("note", line.get("id"))
            text = _returned(text, kept.get(_RETURNS))
            spans = list(_spans(where, text, line, problems))
            yield where, {"id": str(name), "text": text, **told(kept), "mentions": spans}


def _returned(text: str, places: Any) -> str:
    """The text with its carriage returns where they stood."""
    letters = list(text)
    for at in places if isinstance(places, list) else ():
        if isinstance(at, int) and 0 <= at < len(letters) and letters[at] == " ":
            letters[at] = "\r"
    return "".join(letters)


def _spans(where: str, text: str, line: Row, problems: list[str]) -> Iterator[Row]:
    places = utf16_places(text)
    listed = line.get("entities", line.get("label"))
    for number, item in enumerate(listed if isinstance(listed, list) else (), 1):
        if isinstance(item, dict):
            item = [item.get("start_offset"), item.get("end_offset"), item.get("label")]
        if not isinstance(item, list) or len(item) != 3 or (labelled := unlabelled(item[2])) is None:
            problems.append(f"{where}, span {number}: its label is none of labels.json (such as {LABELS[0]})")
            continue
        start, end = (from_utf16(places, offset) for offset in item[:2])
        if start is None or end is None:
            problems.append(
                f"{where}, span {number}: its offsets split a character; is the project's choice to count grapheme "
                "clusters off?"
            )
        else:
            yield {**labelled, "start": start, "end": end}
