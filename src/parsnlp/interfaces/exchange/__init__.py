"""Notes and their mentions out to annotation tools and back: brat, doccano, DocBin, INCEpTION, Label Studio, Prodigy.

What goes out and comes back are rows of a gold file (`GoldNote`), so that `parsnlp evaluate` scores against what was
annotated. Every format's offsets are converted exactly; what comes back is checked like any gold file.
`omop` is apart: it leaves only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.evaluation import gold as golden
from parsnlp.evaluation.gold import GoldMention, GoldNote
from parsnlp.interfaces.exchange import brat, docbin, doccano, inception, label_studio, prodigy
from parsnlp.interfaces.exchange.common import Format
from parsnlp.models import Note, Result

__all__ = ["FORMATS", "export", "flat", "gold_lines", "of_result", "onto", "read"]

_SURROGATE = re.compile("[\ud800-\udfff]")
FORMATS = {
    "brat": Format("brat standoff", brat.files, brat.rows),
    "docbin": Format("spaCy's DocBin", docbin.files, docbin.rows),
    "doccano": Format("doccano JSONL", doccano.files, doccano.rows),
    "inception": Format("INCEpTION, UIMA CAS XMI", inception.files, inception.rows),
    "label-studio": Format("Label Studio JSON", label_studio.files, label_studio.rows),
    "prodigy": Format("Prodigy JSONL", prodigy.files, prodigy.rows),
}


def export(rows: Iterable[GoldNote], to: str, out: Path, by: str | None = None) -> int:
    """Write rows as files of a format into the folder `out`, which must not be there yet; gives how many.

    `by`: the program that found the mentions; None where people have marked them. Tools that know the difference show a
    program's as suggestions. Raises `InputError` for two rows of one id, or what the format cannot hold.
    """
    format = _format(to)
    if out.exists():
        raise InputError(f"{out}: is there already; choose another --out, so that no annotation is overwritten")
    some = [each for row in rows for each in flat(row)]
    if not some:
        raise InputError("no note to export")
    if len({row.id for row in some}) < len(some):
        raise InputError("two notes have the same id; give each its own, by which it is known when it comes back")
    for row in some:
        if _SURROGATE.search(row.text):
            raise InputError(f"note {row.id!r} holds a lone surrogate, which no file can; replace it by U+FFFD")
    with writing.scratch(out) as folder:
        made = folder / "made"
        made.mkdir(mode=0o700)
        for name, content in format.files(some, by):
            target = made / name
            target.write_bytes(content)
            target.chmod(0o600)
        writing.take_place(made, out)
    writing.settle(out.parent)
    return len(some)


def read(path: Path, format: str) -> list[GoldNote]:
    """The rows in a file or folder of a format. Raises `InputError`, which tells every problem by its place."""
    problems: list[str] = []
    found = list(_format(format).rows(path, problems))
    if problems:
        raise InputError(golden.listed(problems))
    if not found:
        raise InputError(f"{path}: holds no annotated note")
    return [_in_order(row) for row in golden.read_places(found)]


def _in_order(row: GoldNote) -> GoldNote:
    ordered = sorted(row.mentions or (), key=lambda mention: (mention.start, mention.end))
    return row.model_copy(update={"mentions": tuple(ordered)})


def flat(row: GoldNote) -> list[GoldNote]:
    """A row's documents as rows of their own, without the codes of the whole encounter; a single note as it is."""
    if not row.documents:
        return [row]
    return [
        GoldNote(
            id=f"{row.id}/{document.id}",
            text=document.text,
            kind=document.kind,
            setting=row.setting,
            encounter_date=document.date,
            mentions=None
            if row.mentions is None
            else tuple(
                each.model_copy(update={"document": None}) for each in row.mentions if each.document == document.id
            ),
        )
        for document in row.documents
    ]


def of_result(result: Result, notes: Sequence[Note]) -> list[GoldNote]:
    """What was found in these notes, as rows, one a note; codes only where the note was decided on alone."""
    return [
        GoldNote(
            id=note.id if len(notes) == 1 else f"{result.id}/{note.id}",
            text=note.text,
            kind=note.kind,
            setting=note.setting,
            encounter_date=note.date,
            codes=tuple(code.code for code in result.codes) if len(notes) == 1 else None,
            mentions=tuple(
                GoldMention(condition=each.condition, assertion=each.assertion, start=each.start, end=each.end)
                for each in result.findings
                if each.document == note.id
            ),
        )
        for note in notes
    ]


def onto(rows: Iterable[GoldNote], gold: Iterable[GoldNote]) -> list[GoldNote]:
    """Rows with all that the gold rows of their ids say besides: attributes, queries, and codes where they have none.

    Raises `InputError` for a row that has no such gold row, or another text.
    """
    known = {each.id: each for each in gold}
    made = []
    for row in rows:
        other = known.get(row.id)
        if other is None or other.text != row.text:
            raise InputError(
                f"note {row.id!r}: the gold has {'no such note' if other is None else 'another text for it'}"
            )
        codes = other.codes if row.codes is None else row.codes
        made.append(other.model_copy(update={"mentions": row.mentions, "codes": codes, "file": None}))
    return made


def gold_lines(rows: Iterable[GoldNote]) -> str:
    """Rows as a gold file: JSON Lines, each note's text in its row."""
    lines = []
    for row in rows:
        values = row.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"line", "file", "mentions"})
        if row.mentions is not None:
            values["mentions"] = [
                {**each.model_dump(exclude_none=True), "text": row.text[each.start : each.end]} for each in row.mentions
            ]
        lines.append(json.dumps({"id": row.id, "text": row.text, **values}, ensure_ascii=False) + "\n")
    return "".join(lines)


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"{name!r} is not one of {', '.join(FORMATS)}")
    return FORMATS[name]
