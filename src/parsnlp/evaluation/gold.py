"""Gold files: JSON lines that say what is right for a note. `corpora/README.md` documents every field.

A field that a row leaves out is not scored on that row; an empty one (`[]`, `false`) states that there is nothing.
Problems are reported all at once, by file and line, without a word of any note.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from parsnlp.errors import InputError
from parsnlp.evaluation.figures import Frozen
from parsnlp.models import Assertion, Condition, Setting

_MOST_PROBLEMS = 20


class GoldMention(Frozen):
    """A mention as annotated. `text`, where given, must be the note's text at `start`..`end`."""

    condition: Condition
    assertion: Assertion
    start: int = Field(ge=0)
    end: int = Field(ge=1)
    text: str | None = Field(default=None, repr=False)


class GoldAttributes(Frozen):
    """The attributes of a condition that the note affirms. Only those a row names are scored; null: not documented."""

    levels: tuple[str, ...] | None = None
    laterality: str | None = None
    chronicity: str | None = None
    etiology: str | None = None
    grade: str | None = None
    direction: str | None = None


class GoldNote(Frozen, extra="ignore"):
    """One row of a gold file with the text of its note. `line`: the row's place in the file, from 1."""

    id: str
    codes: tuple[str, ...]
    text: str = Field(repr=False)
    file: str | None = None
    line: int = 0
    kind: str | None = None
    setting: Setting | None = None
    encounter_date: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    strict_codes: tuple[str, ...] | None = None
    review: bool | None = None
    mentions: tuple[GoldMention, ...] | None = None
    attributes: dict[Condition, GoldAttributes | None] | None = None
    imaging: tuple[str, ...] | None = None
    conservative_care: tuple[str, ...] | None = None
    queries: tuple[str, ...] | None = None


def read_file(path: str | Path) -> list[GoldNote]:
    """The rows of a gold file; a row's `file` is relative to the gold file's folder.

    Raises `InputError`, which names each problem as `file:line: what`.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the gold file in it, such as {path / 'gold.jsonl'}")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start}); save the gold file as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    reader = _Reader(path.parent)
    for number, line in enumerate(content.split("\n"), 1):  # not splitlines(): U+2028 may stand inside a JSON string
        if line.strip():
            reader.read_line(f"{path}:{number}", number, line)
    if not reader.rows and not reader.problems:
        raise InputError(f"{path}: holds no rows; a gold file has one JSON object a line")
    return reader.done()


def read_rows(rows: Iterable[Mapping[str, Any] | GoldNote], folder: Path | None = None) -> list[GoldNote]:
    """Rows at hand, as `dict`s of a gold file's fields or as `GoldNote`s; `file` is relative to `folder`."""
    reader = _Reader(folder or Path())
    for number, row in enumerate(rows, 1):
        where = f"row {number}"
        if isinstance(row, GoldNote):
            reader.keep(where, row)
        else:
            reader.read_row(where, number, row)
    return reader.done()


def digest(rows: Iterable[GoldNote]) -> str:
    """Sixteen hexadecimal digits that identify the rows and their notes, wherever they lie."""
    sha = hashlib.sha256()
    for row in rows:
        sha.update(json.dumps(row.model_dump(exclude={"line", "text"}), sort_keys=True).encode("ascii"))
        sha.update(row.text.encode("utf-8", "surrogatepass"))
    return sha.hexdigest()[:16]


def read_text(path: Path) -> str:
    """A note exactly as it lies on disk: UTF-8, line ends and a byte-order mark kept, so that offsets hold."""
    return path.read_bytes().decode("utf-8")


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[GoldNote] = []
        self.problems: list[str] = []
        self._places: dict[str, str] = {}

    def read_line(self, where: str, number: int, line: str) -> None:
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            self.problems.append(f"{where}: malformed JSON at column {error.colno}: {error.msg}")
        except (ValueError, RecursionError):
            self.problems.append(f"{where}: malformed JSON")
        else:
            self.read_row(where, number, row)

    def read_row(self, where: str, number: int, row: object) -> None:
        if not isinstance(row, Mapping):
            self.problems.append(f"{where}: a row is a JSON object, not {type(row).__name__}")
            return
        values = {**row, "line": number}
        text, file = values.get("text"), values.get("file")
        if text is None and not isinstance(file, str):
            self.problems.append(f'{where}: give "file" (the path of the note, relative to the gold file) or "text"')
            return
        if text is None:
            text = self._note(where, str(file))
            if text is None:
                return
        values["text"] = text
        values.setdefault("id", Path(file).stem if isinstance(file, str) else f"row{number}")
        try:
            note = GoldNote.model_validate(values)
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_context=False, include_input=False):
                place = ".".join(str(part)[:40] for part in problem["loc"])
                self.problems.append(f"{where}: field {place}: {problem['msg']}")
        else:
            self.keep(where, note)

    def keep(self, where: str, note: GoldNote) -> None:
        if note.id in self._places:
            self.problems.append(f"{where}: the id {note.id[:80]!r} is taken by {self._places[note.id]}")
        self._places.setdefault(note.id, where)
        for i, mention in enumerate(note.mentions or ()):
            span = f"{where}: mentions.{i}: {mention.start}-{mention.end}"
            if mention.start >= mention.end or mention.end > len(note.text):
                self.problems.append(f"{span} is no stretch of the note, which has {len(note.text)} characters")
            elif mention.text is not None and note.text[mention.start : mention.end] != mention.text:
                self.problems.append(f"{span}: the note has another text there; offsets count code points of the file")
        self.rows.append(note)

    def done(self) -> list[GoldNote]:
        if self.problems:
            rest = len(self.problems) - _MOST_PROBLEMS
            more = [f"... and {rest} more problems"] if rest > 0 else []
            raise InputError("\n".join(self.problems[:_MOST_PROBLEMS] + more))
        return self.rows

    def _note(self, where: str, file: str) -> str | None:
        try:
            return read_text(self.folder / file)
        except UnicodeDecodeError as error:
            self.problems.append(f"{where}: note file {file!r} is not UTF-8 (byte {error.start})")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = getattr(error, "strerror", None) or "no usable name"
            self.problems.append(f"{where}: note file {file!r} cannot be read: {why}")
        return None
