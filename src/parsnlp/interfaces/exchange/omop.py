"""OMOP CDM 5.4, the table NOTE_NLP: a row a mention, as CSV or Parquet.

What each assertion comes to is written out in `ASSERTED`: a term exists only where the patient has it, or had it. A merely
uncertain one does not, though the convention of the table would let it. Nothing is guessed: concepts are 0 unless a
table of the caller's maps them, and the date of the processing is the caller's.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces import outputs, reading, tables
from parsnlp.interfaces.tables import Cell, Column, Row, Table
from parsnlp.models import Finding, Result

NAME, LONGEST = "note_nlp", 250
ENDINGS = (".csv", ".parquet")
_WINDOW = 90  # characters of context on each side of a mention
_AT_ONCE = 20_000

ASSERTED: Mapping[str, tuple[str, str | None, str]] = {
    "affirmed": ("Y", "Present", "negated=false;subject=patient;certainty=certain;conditional=false;generic=false"),
    "historical": ("Y", "Past", "negated=false;subject=patient;certainty=certain;conditional=false;generic=false"),
    "negated": ("N", "Present", "negated=true;subject=patient;certainty=certain;conditional=false;generic=false"),
    "uncertain": ("N", "Present", "negated=false;subject=patient;certainty=uncertain;conditional=false;generic=false"),
    "hypothetical": ("N", None, "negated=false;subject=patient;certainty=uncertain;conditional=true;generic=false"),
    "family": ("N", None, "negated=false;subject=family;certainty=certain;conditional=false;generic=false"),
    "generic": ("N", None, "negated=false;subject=none;certainty=certain;conditional=false;generic=true"),
}
"""Of each assertion: `term_exists`, `term_temporal`, and what `term_modifiers` begins with."""

_ATTRIBUTES = ("levels", "regions", "laterality", "chronicity", "etiology", "grade", "direction")

NOTE_NLP = Table(
    NAME,
    "A mention of a condition in a note, whatever its assertion.",
    ("note_nlp_id",),
    (
        Column("note_nlp_id", "int64", "counted from the first id given, in the order of notes and mentions"),
        Column("note_id", "int64", "the note's NOTE.note_id: the document's id, or what the caller's table says of it"),
        Column("section_concept_id", "int64", "of the section it stands in, by the caller's table of concepts; else 0"),
        Column("snippet", "string", "the text around it, at most 250 characters; null where only results are at hand", True),
        Column("offset", "string", "where it begins: code points into the note's text, from 0"),
        Column("lexical_variant", "string", "the words that stand there, at most 250 characters"),
        Column("note_nlp_concept_id", "int64", "of the condition, by the caller's table of concepts; else 0"),
        Column("note_nlp_source_concept_id", "int64", "0: no source vocabulary is used"),
        Column("nlp_system", "string", "the engine with its version, and the hash of its rules"),
        Column("nlp_date", "date", "the date of the processing, as the caller gives it"),
        Column("nlp_datetime", "string", "null: the time is not known", True),
        Column("term_exists", "string", "Y: the patient has it or had it; N: negated, uncertain, hypothetical, family, generic"),
        Column("term_temporal", "string", "Present, Past (historical), or null where the patient's own time is not meant", True),
        Column(
            "term_modifiers",
            "string",
            "what the assertion comes to, then condition, assertion, section and attributes, as name=value; parted by “;”",
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the caller knows: the date of the processing, concepts by condition or section, note ids by document."""

    nlp_date: datetime.date
    concepts: Mapping[str, int] = field(default_factory=dict)
    note_ids: Mapping[str, int] | None = None
    first_id: int = 1


def write(out: Path, found: Iterable[tuple[Result, Mapping[str, str]]], mapped: Mapped) -> int:
    """Write the mentions of results to a `.csv` or `.parquet`; gives how many. Beside each result the texts it quotes.

    The texts are by document, and may be missing. Raises `InputError` for a document whose note id is not known, or a
    result without the words of its notes.
    """
    ending = out.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{out}: the table is written as {' or '.join(ENDINGS)}; choose one of these endings")
    made = rows(found, mapped)
    count = 0
    with writing.replacing(out) as stream:
        if ending == ".csv":
            stream.write(outputs.csv_line(column.name for column in NOTE_NLP.columns))
            for row in made:
                stream.write(outputs.csv_line(row))
                count += 1
            return count
        try:
            from pyarrow import parquet
        except ImportError:
            raise InputError("Parquet needs: pip install 'parsnlp[batch]'") from None
        schema = tables.arrow_schema(NOTE_NLP)

        with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
            for group in _groups(made):
                writer.write_table(outputs.arrow(NOTE_NLP, schema, group))
                count += len(group)
    return count


def rows(found: Iterable[tuple[Result, Mapping[str, str]]], mapped: Mapped) -> Iterator[Row]:
    """The table's rows, as `write` writes them."""
    number = mapped.first_id
    for result, texts in found:
        for finding in result.findings:
            yield _row(number, result, finding, texts.get(finding.document), mapped)
            number += 1


def _row(number: int, result: Result, finding: Finding, text: str | None, mapped: Mapped) -> Row:
    exists, temporal, modifiers = ASSERTED[finding.assertion]
    listed = [modifiers, f"condition={finding.condition}", f"assertion={finding.assertion}"]
    if finding.section:
        listed.append(f"section={finding.section}")
    for name in _ATTRIBUTES:
        value = getattr(finding, name)
        if value:
            listed.append(f"{name}={value if isinstance(value, str) else ','.join(value)}")
    cells: tuple[Cell, ...] = (
        number,
        _note_id(finding.document, mapped),
        mapped.concepts.get(finding.section or "", 0),
        None if text is None else snippet(text, finding.start, finding.end),
        str(finding.start),
        finding.text[:LONGEST],
        mapped.concepts.get(finding.condition, 0),
        0,
        f"{result.engine}, rule set {result.rule_set.hash}"[:LONGEST],
        mapped.nlp_date,
        None,
        exists,
        temporal,
        ";".join(listed)[:2000],
    )
    return cells


def _note_id(document: str, mapped: Mapped) -> int:
    if mapped.note_ids is not None:
        if document not in mapped.note_ids:
            raise InputError(f"document {document!r}: the table of note ids does not name it; add its row")
        return mapped.note_ids[document]
    if not (document.isascii() and document.isdigit()):
        raise InputError(
            f"document {document!r}: its id is no whole number, as NOTE_NLP.note_id must be; give a table of document "
            "and note_id"
        )
    return int(document)


def snippet(text: str, start: int, end: int) -> str:
    """A window of whole words around a stretch of text, its breaks as spaces, at most `LONGEST` characters.

    >>> snippet("HPI: brace. CT shows L5 pars defects.", 24, 36)
    'HPI: brace. CT shows L5 pars defects.'
    """
    first, last = max(0, start - _WINDOW), min(len(text), end + _WINDOW)
    before, after = text[first:start], text[end:last]
    if first:
        before = before.partition(" ")[2]
    if last < len(text):
        after = after.rpartition(" ")[0]
    return " ".join(f"{before}{text[start:end]}{after}".split())[:LONGEST]


def read_numbers(path: Path, key: str, number: str) -> dict[str, int]:
    """A CSV table of two columns as a mapping. Raises `InputError` naming the line."""
    lines = csv.DictReader(io.StringIO(reading.read(path).text, newline=""))
    found: dict[str, int] = {}
    try:
        if not {key, number} <= set(lines.fieldnames or ()):
            raise InputError(f"{path}: its first line must name the columns {key} and {number}")
        for line in lines:
            name, value = (line.get(key) or "").strip(), (line.get(number) or "").strip()
            if not name or not (value.isascii() and value.isdigit()):
                raise InputError(f"{path}:{lines.line_num}: a row needs '{key}', and a whole number as '{number}'")
            if name in found:
                raise InputError(f"{path}:{lines.line_num}: names its '{key}' a second time")
            found[name] = int(value)
    except csv.Error:
        raise InputError(f"{path}:{lines.line_num}: not a table that can be read; save it as CSV") from None
    return found


def _groups(found: Iterator[Row]) -> Iterator[list[Row]]:
    held: list[Row] = []
    for row in found:
        held.append(row)
        if len(held) == _AT_ONCE:
            yield held
            held = []
    yield held
