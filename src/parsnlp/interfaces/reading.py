"""Files, standard input and JSON rows to `Note`s. No message holds anything of a note's text.

An encoding is never guessed silently: `Decoded.notice` says what was assumed. Line ends stay as they are in the file,
so offsets refer to the decoded text exactly.
"""

from __future__ import annotations

import codecs
import datetime
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from parsnlp.errors import InputError

if TYPE_CHECKING:
    from parsnlp.models import Note

STDIN = "-"
KINDS = (
    "radiology", "consult", "progress", "ed", "discharge", "operative", "pt", "chiro", "order", "problem_list",
    "telephone", "letter", "scribe",
)  # fmt: skip
_FIELDS = ("setting", "kind", "date", "author", "encounter", "patient")
_NAMES = ("id", "encounter", "patient")
_TIME = re.compile(r"[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:?\d{2})?$")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SURROGATES = re.compile("[\ud800-\udfff]")
MARKS = (  # UTF-32's little-endian mark begins with UTF-16's, so it comes first
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_FORMATS = ((b"%PDF-", "a PDF"), (b"{\\rtf", "an RTF document"), (b"PK\x03\x04", "a ZIP or Word file"))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text that was read. `encoding`: its name. `notice`: what the reader should know of it; None for plain UTF-8."""

    text: str
    encoding: str
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be used: `where` it is and what it `says`, without any of its text.

    `stage`: how far it came: read, extract, timeout or crash.
    """

    where: str
    says: str
    stage: str = "read"


@dataclass(frozen=True, slots=True)
class Encounter:
    """Notes that are decided on together, perhaps only one. `where` they stand. `notices`: of encodings assumed."""

    id: str
    where: str
    notes: tuple[Note, ...]
    notices: tuple[str, ...] = ()


def read(path: str | Path) -> Decoded:
    """The text of a file, or of standard input for "-".

    Raises `InputError` for a missing or unreadable file, a folder, a binary file, or bytes that belie their own mark.
    """
    if str(path) == STDIN:
        return decode(standard_input(), "standard input")
    return decode(content(Path(path)), str(path))


def standard_input() -> bytes:
    """All of it. Raises `InputError` where it is closed or cannot be read."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise InputError(f"standard input: cannot be read ({error.strerror})") from None


def decode(data: bytes, where: str) -> Decoded:
    """Bytes to text: by byte-order mark, else UTF-8, else windows-1252 or Latin-1, which `notice` then says.

    >>> decode("Schober’s test".encode("cp1252"), "a.txt").encoding
    'windows-1252'
    """
    for mark, codec, name in MARKS:
        if data.startswith(mark):
            try:
                text = data[len(mark) :].decode(codec)
            except UnicodeDecodeError as error:
                at = error.start + len(mark)
                raise InputError(
                    f"{where}: its byte-order mark says {name}, but byte {at} is not; save it as UTF-8"
                ) from None
            return Decoded(
                text, name, f"{where}: read as {name}, as its byte-order mark says; offsets leave the mark out"
            )
    for signature, what in _FORMATS:
        if data.startswith(signature):
            raise InputError(f"{where}: this is {what}, not text; give its text as a UTF-8 .txt file")
    nul = data.find(b"\0")
    if nul >= 0:
        raise InputError(
            f"{where}: binary, or UTF-16 without a byte-order mark (a NUL at byte {nul}); give text, best as UTF-8"
        )
    return assumed(data, where)


def assumed(data: bytes, where: str) -> Decoded:
    """Bytes to text where nothing marks the encoding: UTF-8, else windows-1252 or Latin-1, which `notice` then says."""
    try:
        return Decoded(data.decode("utf-8"), "UTF-8")
    except UnicodeDecodeError as error:
        at = error.start
    for codec, name in (("cp1252", "windows-1252"), ("latin-1", "Latin-1")):
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        return Decoded(text, name, f"{where}: not UTF-8 (byte {at}), assumed {name}; offsets refer to the text so read")
    raise AssertionError("Latin-1 decodes every byte")


def note(fields: Mapping[str, object]) -> Note:
    """A `Note` from loose fields: `text`, and optionally `id`, `setting`, `kind`, `date`, `author`, `encounter`, `patient`.

    Other fields are ignored, null counts as absent; names may be whole numbers, a date may have a time after it, which
    is dropped; lone surrogates, which no file can hold, become U+FFFD.
    Raises `InputError` naming the field, never showing its value.
    """
    from parsnlp.models import SETTINGS, Note

    text = fields.get("text")
    if not isinstance(text, str):
        raise InputError("'text' is missing" if text is None else f"'text' must be a string, not {named(text)}")
    given = {name: fields[name] for name in _FIELDS if fields.get(name) is not None}
    name = fields.get("id")
    for key, value in (("id", name), *given.items()):
        if isinstance(value, datetime.date) and key == "date":
            given[key] = value.isoformat()
        elif isinstance(value, int) and not isinstance(value, bool) and key in _NAMES:
            given[key] = str(value)
        elif not isinstance(value, str | None):
            raise InputError(f"'{key}' must be a string, not {named(value)}")
    if given.get("setting", SETTINGS[0]) not in SETTINGS:
        raise InputError(f"'setting' is not one of {', '.join(SETTINGS)}")
    if given.get("kind", KINDS[0]) not in KINDS:
        raise InputError(f"'kind' is not one of {', '.join(KINDS)}; leave it out to have it inferred")
    if "date" in given:
        given["date"] = _TIME.sub("", str(given["date"]))
    if "date" in given and not _is_date(str(given["date"])):
        raise InputError("'date' is not a calendar date of the form YYYY-MM-DD")
    loose = {"text": text, "id": "note" if name is None else name, **given}
    return Note(**{key: _SURROGATES.sub("\ufffd", str(value)) for key, value in loose.items()})  # type: ignore[arg-type]


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return _DATE.fullmatch(text) is not None


def named(value: object) -> str:
    """What a value is, in words, without showing it."""
    names = {
        dict: "an object",
        list: "a list",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
    }
    return "null" if value is None else names.get(type(value), "what it is")


def stays(link: Path, root: Path) -> bool:
    """Whether a link leads to somewhere below a folder. `root`: the folder, resolved."""
    return root in Path(os.path.realpath(link)).parents


def stay(folder: Path) -> None:
    """Look that no file of a folder is a link that leads out of it. Raises `InputError` naming one: it would be missed."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and path.is_file() and not stays(path, root):
            raise InputError(f"{path}: is a link out of its folder; put the file itself there, or remove the link")


def content(path: Path) -> bytes:
    """The bytes of a file. Raises `InputError` when it cannot be read."""
    with stream(path) as opened:
        try:
            return opened.read()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def stream(path: Path) -> IO[bytes]:
    """A file opened for reading. Raises `InputError` when it cannot be."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(
            f"{path}: is a folder, not a file; for a folder use: parsnlp batch {path} --out FILE.jsonl"
        ) from None
    except (OSError, ValueError) as error:
        says = error.strerror if isinstance(error, OSError) else "not a usable path"
        raise InputError(f"{path}: cannot be read ({says})") from None
