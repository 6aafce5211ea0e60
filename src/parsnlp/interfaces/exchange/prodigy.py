"""Prodigy: `notes.jsonl` for its span and entity recipes, tokens given, and `labels.txt` for `--label`.

Offsets are code points. Each label names condition and assertion; every mention begins and ends with a token. Codes, kind,
setting and date travel as `meta`. What a program found has no answer yet; only lines that were accepted are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from parsnlp.evaluation.gold import GoldNote
from parsnlp.interfaces.exchange.common import (
    LABELS,
    Files,
    Row,
    Rows,
    facts,
    found_in,
    json_line,
    json_lines,
    label,
    mentions,
    told,
    unlabelled,
)
from parsnlp.interfaces.exchange.tokens import tokenised


def files(rows: Sequence[GoldNote], by: str | None) -> Files:
    """The notes and the labels."""
    yield "labels.txt", "".join(f"{name}\n" for name in LABELS).encode("utf-8")
    answer = {"answer": "accept"} if by is None else {}
    yield "notes.jsonl", b"".join(json_line({**_task(row), **answer}) for row in rows)


def _task(row: GoldNote) -> Row:
    spotted = mentions(row)
    tokens = [
        {"text": token.text, "start": token.start, "end": token.end, "id": number, "ws": token.spaced}
        for number, token in enumerate(tokenised(row.text, spotted))
    ]
    starts = {token["start"]: token["id"] for token in tokens}
    ends = {token["end"]: token["id"] for token in tokens}
    spans = [
        {
            "start": each.start,
            "end": each.end,
            "token_start": starts[each.start],
            "token_end": ends[each.end],
            "label": label(each),
        }
        for each in spotted
    ]
    return {"text": row.text, "tokens": tokens, "spans": spans, "meta": {"note": row.id, **facts(row)}}


def rows(path: Path, problems: list[str]) -> Rows:
    """A row for each line that was accepted."""
    for each in found_in(path, "*.jsonl", "Prodigy"):
        for where, line in json_lines(each, problems):
            if line.get("answer") != "accept":
                continue
            text = line.get("text")
            if not isinstance(text, str):
                problems.append(f"{where}: has no text; export with prodigy db-out")
                continue
            meta = line["meta"] if isinstance(line.get("meta"), dict) else {}
            spans = list(_spans(where, line, problems))
            yield where, {"id": str(meta.get("note", where)), "text": text, **told(meta), "mentions": spans}


def _spans(where: str, line: Row, problems: list[str]) -> Iterator[Row]:
    spans = line.get("spans")
    for number, span in enumerate(spans if isinstance(spans, list) else (), 1):
        labelled = unlabelled(span.get("label")) if isinstance(span, dict) else None
        if labelled is None:
            problems.append(f"{where}, span {number}: its label is none of labels.txt (such as {LABELS[0]})")
        else:
            yield {**labelled, "start": span.get("start"), "end": span.get("end")}
