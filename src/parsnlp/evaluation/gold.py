"""Gold files: JSON lines that say what is right for a note. `corpora/README.md` documents every field.

A field that a row leaves out is not scored on that row; an empty one (`[]`, `false`) states that there is nothing.
Problems are reported all at once, by file and line, without a word of any note.
"""

from __future__ import annotations

import errno
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from parsnlp.errors import InputError
from parsnlp.evaluation.figures import Frozen
from parsnlp.models import Assertion, Condition, Note, ServiceStatus, Setting

_MOST_PROBLEMS = 20
GOLD_MEMBER = "gold.jsonl"
MOST_MEMBERS = 10_000
MOST_BYTES = 64 * 1024 * 1024  # of an archive, and of all that it unpacks to


class GoldMention(Frozen, extra="ignore"):
    """A mention as annotated. `text`, where given, must be the note's text at `start`..`end`.

    `condition`: null in sentences that test assertion alone. `document`: in an encounter, the document it stands in.
    """

    condition: Condition | None = None
    assertion: Assertion
    start: int = Field(ge=0)
    end: int = Field(ge=1)
    text: str | None = Field(default=None, repr=False)
    document: str | None = None


class GoldDocument(Frozen, extra="ignore"):
    """One document of an encounter. `id`: by default its file's name without the ending."""

    id: str
    text: str = Field(repr=False)
    file: str | None = None
    kind: str | None = None
    date: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    author: str | None = None


class GoldAttributes(Frozen):
    """The attributes of a condition that the note affirms. Only those a row names are scored; null: not documented."""

    levels: tuple[str, ...] | None = None
    laterality: str | None = None
    chronicity: str | None = None
    etiology: str | None = None
    grade: str | None = None
    direction: str | None = None


class GoldService(Frozen, extra="ignore"):
    """A service that the chart documents, what became of it, and the conditions it is given for."""

    kind: str
    status: ServiceStatus
    modality: str | None = None
    supports: tuple[Condition, ...] = ()


class GoldEdit(Frozen, populate_by_name=True):
    """An edit that a claim should hit. `other`, "with" in the file: the second code of a pair."""

    code: str
    kind: str
    other: str | None = Field(default=None, alias="with")


class GoldNote(Frozen, extra="ignore"):
    """One row of a gold file with the text of its note, or with the documents of its encounter.

    `line`: the row's place in the file, from 1. `phenomenon`: what a test sentence tries. `claim`: codes to audit, with
    the edits these should hit (`claim_edits`), the mended claim and what it may still hit, and what the codes typed in
    the notes hit under either.
    """

    id: str
    codes: tuple[str, ...] | None = None
    text: str = Field(default="", repr=False)
    documents: tuple[GoldDocument, ...] = ()
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
    services: tuple[GoldService, ...] | None = None
    phenomenon: str | None = None
    claim: tuple[str, ...] | None = None
    claim_edits: tuple[GoldEdit, ...] = ()
    corrected_claim: tuple[str, ...] | None = None
    corrected_edits: tuple[GoldEdit, ...] = ()
    typed_edits: tuple[GoldEdit, ...] = ()

    def notes(self, infer_kind: bool = False) -> list[Note]:
        """What the extractor is given: the note, or the documents of the encounter in their order."""
        documents = self.documents or [
            GoldDocument(id=self.id, text=self.text, kind=self.kind, date=self.encounter_date)
        ]
        return [
            Note(
                text=document.text,
                id=document.id,
                kind=None if infer_kind else document.kind,
                setting=self.setting,
                date=document.date,
                author=document.author,
                encounter=self.id if self.documents else None,
            )
            for document in documents
        ]

    def text_of(self, document: str | None) -> str:
        """The text of the document of that id; of a single note, its text."""
        return next((item.text for item in self.documents if item.id == document), self.text)


def read_file(path: str | Path) -> list[GoldNote]:
    """The rows of a gold file; a row's `file` is relative to the gold file's folder.

    Raises `InputError`, which names each problem as `file:line: what`.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the gold file in it, such as {path / 'gold.jsonl'}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    return _read(str(path), content, lambda file: (path.parent / file).read_bytes())


def read_annotations(path: str | Path) -> list[GoldNote]:
    """The rows of a gold file without their notes, which need not be there: what two annotators say can be compared so.

    Raises `InputError` as `read_file` does.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    return _read(str(path), content, lambda file: b"", texts=False)


def read_archive(path: str | Path) -> list[GoldNote]:
    """The rows of a zip archive that holds `gold.jsonl` and its notes; nothing is unpacked to disk.

    A row's `file` is the name of a member. Raises `InputError` for what is no such archive, has more than
    `MOST_MEMBERS` members, or is or unpacks to more than `MOST_BYTES`; the sizes it states are not trusted.
    """
    members = _members(Path(path))
    rows = [GOLD_MEMBER] if GOLD_MEMBER in members else [name for name in members if name.endswith(".jsonl")]
    if len(rows) != 1:
        raise InputError(f"{path}: holds no {GOLD_MEMBER}; a sealed archive has it at its top, beside its notes")

    def fetch(file: str) -> bytes:
        if file not in members:
            raise FileNotFoundError(errno.ENOENT, "no such member of the archive")
        return members[file]

    return _read(f"{path}/{rows[0]}", members[rows[0]], fetch)


def _members(path: Path) -> dict[str, bytes]:
    """What the files of a zip archive hold, by name."""
    members: dict[str, bytes] = {}
    room = MOST_BYTES
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: larger than {MOST_BYTES // 1024**2} MiB")
        with zipfile.ZipFile(path) as archive:
            files = [member for member in archive.infolist() if not member.is_dir()]
            if len(files) > MOST_MEMBERS:
                raise InputError(f"{path}: holds {len(files)} files; {MOST_MEMBERS} is the most")
            for member in files:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
                    raise InputError(f"{path}: encrypted, or compressed otherwise than by deflate")
                if member.filename in members:
                    raise InputError(f"{path}: holds two files of one name")
                with archive.open(member) as stream:
                    members[member.filename] = content = stream.read(room + 1)
                room -= len(content)
                if room < 0:
                    raise InputError(f"{path}: unpacks to more than {MOST_BYTES // 1024**2} MiB")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, IndexError, NotImplementedError):
        raise InputError(f"{path}: no zip archive, or a damaged one") from None
    return members


def _read(name: str, content: bytes, fetch: Callable[[str], bytes], texts: bool = True) -> list[GoldNote]:
    try:
        lines = content.decode("utf-8-sig").split("\n")  # not splitlines(): U+2028 may stand inside a JSON string
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 (byte {error.start}); save the gold file as UTF-8") from None
    reader = _Reader(fetch, texts)
    for number, line in enumerate(lines, 1):
        if line.strip():
            reader.read_line(f"{name}:{number}", number, line)
    if not reader.rows and not reader.problems:
        raise InputError(f"{name}: holds no rows; a gold file has one JSON object a line")
    return reader.done()


def read_rows(rows: Iterable[Mapping[str, Any] | GoldNote], folder: Path | None = None) -> list[GoldNote]:
    """Rows at hand, as `dict`s of a gold file's fields or as `GoldNote`s; `file` is relative to `folder`."""
    reader = _Reader(lambda file: ((folder or Path()) / file).read_bytes())
    for number, row in enumerate(rows, 1):
        where = f"row {number}"
        if isinstance(row, GoldNote):
            reader.keep(where, row)
        else:
            reader.read_row(where, number, row)
    return reader.done()


def read_places(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[GoldNote]:
    """Rows at hand with the places they come from, which problems are told by; each has its `text`."""
    reader = _Reader(lambda file: Path(file).read_bytes())
    for number, (where, row) in enumerate(rows, 1):
        reader.read_row(where, number, row)
    return reader.done()


def listed(problems: Sequence[str]) -> str:
    """The first of the problems, a line each, and how many more there are."""
    rest = len(problems) - _MOST_PROBLEMS
    more = [f"... and {rest} more problems"] if rest > 0 else []
    return "\n".join([*problems[:_MOST_PROBLEMS], *more])


def digest(rows: Iterable[GoldNote]) -> str:
    """Sixteen hexadecimal digits that identify the rows and their notes, wherever they lie."""
    sha = hashlib.sha256()
    for row in rows:
        content = row.model_dump(exclude={"line", "text", "documents", "phenomenon"})
        for mention in content["mentions"] or () if not row.documents else ():
            del mention["document"]  # a single note has one
        sha.update(json.dumps(content, sort_keys=True).encode("ascii"))
        sha.update(row.text.encode("utf-8", "surrogatepass"))
        for document in row.documents:
            sha.update(json.dumps(document.model_dump(), sort_keys=True).encode("ascii"))
    return sha.hexdigest()[:16]


def read_text(path: Path) -> str:
    """A note exactly as it lies on disk: UTF-8, line ends and a byte-order mark kept, so that offsets hold."""
    return path.read_bytes().decode("utf-8")


class _Reader:
    def __init__(self, fetch: Callable[[str], bytes], texts: bool = True) -> None:
        self.fetch = fetch  # what a row's `file` holds
        self.texts = texts  # whether the notes must be there
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
        if isinstance(values.get("documents"), list):
            values = self._encounter(where, values)
            text = ""
        if not self.texts:
            text = ""
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
        if note.codes is None and note.mentions is None and note.services is None:
            self.problems.append(f'{where}: field codes: Field required (or "mentions" or "services" alone)')
        if len({document.id for document in note.documents}) < len(note.documents):
            self.problems.append(f"{where}: two documents have one id")
        for i, mention in enumerate((note.mentions or ()) if self.texts else ()):
            span = f"{where}: mentions.{i}: {mention.start}-{mention.end}"
            text = note.text_of(mention.document)
            if mention.start >= mention.end or mention.end > len(text):
                self.problems.append(f"{span} is no stretch of the note, which has {len(text)} characters")
            elif mention.text is not None and text[mention.start : mention.end] != mention.text:
                self.problems.append(f"{span}: the note has another text there; offsets count code points of the file")
        self.rows.append(note)

    def _encounter(self, where: str, values: dict[str, Any]) -> dict[str, Any]:
        """A row with `documents`: their texts fetched, and the mentions that stand in them gathered."""
        documents: list[Any] = []
        given = values.get("mentions")
        annotated = given is not None
        if annotated and not isinstance(given, list):
            self.problems.append(f"{where}: field mentions: a list of objects")
        mentions: list[Any] = [*given] if isinstance(given, list) else []
        for row in values["documents"]:
            if not isinstance(row, Mapping):
                self.problems.append(f"{where}: a document is a JSON object, not {type(row).__name__}")
                continue
            document = dict(row)
            file = document.get("file")
            document.setdefault("id", Path(file).stem if isinstance(file, str) else f"document{len(documents) + 1}")
            if document.get("text") is None:
                text = self._note(where, file) if isinstance(file, str) else None
                if not isinstance(file, str):
                    self.problems.append(f'{where}: give each document "file" or "text"')
                document["text"] = text or ""
            if isinstance(document.get("mentions"), list):
                annotated = True
                mentions += [
                    {**mention, "document": document["id"]} if isinstance(mention, Mapping) else mention
                    for mention in document["mentions"]
                ]
            documents.append(document)
        return {**values, "documents": documents, "mentions": mentions if annotated else None, "text": ""}

    def done(self) -> list[GoldNote]:
        if self.problems:
            raise InputError(listed(self.problems))
        return self.rows

    def _note(self, where: str, file: str) -> str | None:
        try:
            return self.fetch(file).decode("utf-8")  # line ends and a byte-order mark stay, so that offsets hold
        except UnicodeDecodeError as error:
            self.problems.append(f"{where}: note file {file!r} is not UTF-8 (byte {error.start})")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            why = getattr(error, "strerror", None) or "no usable name"
            self.problems.append(f"{where}: note file {file!r} cannot be read: {why}")
        return None
