"""spaCy: `notes.spacy`, a `DocBin` to train on or to look at.

A mention is a span of `doc.spans["mentions"]` whose label is the condition and whose id is the assertion; `doc.user_data`
has what else is known of the note. Mentions that no other overlaps are `doc.ents` too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parsnlp.evaluation.gold import GoldNote
from parsnlp.interfaces import reading
from parsnlp.interfaces.exchange.common import (
    ASSERTIONS,
    CONDITIONS,
    Files,
    Row,
    Rows,
    allowed,
    facts,
    found_in,
    mentions,
    told,
)
from parsnlp.interfaces.exchange.tokens import english, tokenised

if TYPE_CHECKING:
    from spacy.tokens import Doc

SPANS = "mentions"
MOST = 1 << 30  # bytes that a file may unpack to
_Spotted = tuple[str, str, int, int]
"""Of a span: its label, its id, where it starts and ends in code points."""


def files(rows: Sequence[GoldNote], by: str | None) -> Files:
    """The one file."""
    from spacy.tokens import DocBin

    yield "notes.spacy", DocBin(store_user_data=True, docs=map(doc, rows)).to_bytes()


def doc(row: GoldNote) -> Doc:
    """A note as a `Doc` of spaCy's English tokens, cut where a mention begins or ends."""
    from spacy.tokens import Doc, Span
    from spacy.util import filter_spans

    spotted = mentions(row)
    tokens = tokenised(row.text, spotted)
    made = Doc(english().vocab, [token.text for token in tokens], [token.spaced for token in tokens])
    starts = {token.start: number for number, token in enumerate(tokens)}
    ends = {token.end: number + 1 for number, token in enumerate(tokens)}
    spans = [
        Span(made, starts[each.start], ends[each.end], label=str(each.condition), span_id=each.assertion)
        for each in spotted
    ]
    made.spans[SPANS] = spans
    made.set_ents(filter_spans(spans))
    made.user_data |= {"id": row.id, **facts(row)}
    return made


def rows(path: Path, problems: list[str]) -> Rows:
    """A row for each `Doc` of each `.spacy` file: of its group of spans, else of its entities, whose ids are assertions."""
    for each in found_in(path, "*.spacy", "spaCy"):
        data = reading.content(each)
        try:
            if len(zlib.decompressobj().decompress(data, MOST + 1)) > MOST:
                problems.append(f"{each}: unpacks to more than {MOST // 1024**2} MiB; write several smaller ones")
                continue
            docs = list(_docs(data))
        except Exception:  # whatever msgpack, zlib or spaCy stumbles over; it may quote what it read
            problems.append(f"{each}: damaged, or no DocBin of spaCy; write it with DocBin.to_disk")
            continue
        for number, (known, spotted) in enumerate(docs, 1):
            where = f"{each}: doc {number}"
            mentions = list(_mentions(where, spotted, problems))
            yield where, {"id": f"{each.stem}{number}", **known, "mentions": mentions}


def _docs(data: bytes) -> Iterator[tuple[Row, list[_Spotted]]]:
    """Of each `Doc` what is known of it, and its spans."""
    from spacy.tokens import DocBin

    for made in DocBin().from_bytes(data).get_docs(english().vocab):
        known = dict(made.user_data)
        named = {"id": str(known["id"])} if "id" in known else {}
        spans = made.spans.get(SPANS, made.ents)
        spotted = [(span.label_, span.id_, span.start_char, span.end_char) for span in spans]
        yield {**named, "text": made.text, **told(known)}, spotted


def _mentions(where: str, spotted: list[_Spotted], problems: list[str]) -> Iterator[Row]:
    for number, (condition, assertion, start, end) in enumerate(spotted, 1):
        if condition not in CONDITIONS:
            problems.append(f"{where}, span {number}: its label is none of {allowed(CONDITIONS)}")
        elif assertion not in ASSERTIONS:
            problems.append(f"{where}, span {number}: its id is no assertion ({allowed(ASSERTIONS)})")
        else:
            yield {"condition": condition, "assertion": assertion, "start": start, "end": end}
