"""What the formats share: their limits, what an extraction gives, and errors that never quote what they were given."""

from __future__ import annotations

import base64
import binascii
import datetime
import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from parsnlp.errors import InputError
from parsnlp.interfaces import reading

MAX_BYTES = 64 * 1024 * 1024
"""The largest file, and the most that a compressed one may unpack to, in bytes."""
MAX_ATTACHMENT = 32 * 1024 * 1024
"""The largest attachment inside another document, in bytes once decoded."""
MAX_TEXT = 32 * 1024 * 1024
"""The longest text of one note, in code points."""
MAX_DOCUMENTS = 10_000
"""The most notes of one file."""
MAX_PAGES = 2_000
"""The most pages of a PDF."""
MAX_DEPTH = 200
"""How deep elements or groups may nest."""

_SAID = 3  # reasons told of what was left out
_CODECS = re.compile(r"(?:us-)?ascii|utf-?8|utf-16(?:le|be)?|iso-8859-\d{1,2}|windows-125\d", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")


@dataclass(frozen=True, slots=True)
class Extracted:
    """A text and what the reader should know of it."""

    text: str = field(repr=False)
    notices: tuple[str, ...] = ()

    def fields(self, notices: Sequence[str] = (), **facts: str | None) -> dict[str, object]:
        """The fields of a note: this text, the facts that are known, and a `notice` where there is something to say."""
        said = "; ".join(dict.fromkeys((*self.notices, *notices)))
        known = {name: fact for name, fact in facts.items() if fact}
        return {"text": self.text, **known, **({"notice": said} if said else {})}


def documents_from(found: list[dict[str, object]], where: str, left_out: Sequence[str] = ()) -> list[dict[str, object]]:
    """The notes as they are, each saying what of its file was left out. Lone surrogates become U+FFFD.

    Raises `InputError` when there is none, or one is too long, or holds no word.
    """
    if not found:
        raise InputError(f"{where}: {_listed(left_out) or 'holds no note'}")
    if len(found) > MAX_DOCUMENTS:
        raise InputError(f"{where}: holds more than {MAX_DOCUMENTS:,} notes; split it")
    for fields in found:
        text = str(fields["text"])
        if not text.strip():
            raise InputError(f"{where}: holds no text; if it is a scan or a picture, run OCR first")
        if len(text) > MAX_TEXT:
            raise InputError(f"{where}: its text is longer than {MAX_TEXT:,} characters; give it in parts")
        fields["text"] = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if left_out:
            notice = f"{where}: left out {len(left_out)} of {len(left_out) + len(found)}: {_listed(left_out)}"
            fields["notice"] = "; ".join(str(part) for part in (fields.get("notice"), notice) if part)
    return found


def _listed(reasons: Sequence[str]) -> str:
    more = len(reasons) - _SAID
    return "; ".join(reasons[:_SAID]) + (f"; and {more} more" if more > 0 else "")


def in_mib(size: int) -> str:
    """A limit in words."""
    return f"{size // (1024 * 1024)} MiB"


def library(name: str, what: str, where: str) -> Any:
    """An optional library's module. Raises `InputError` naming the extra when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{where}: reading {what} needs the extra: pip install 'parsnlp[formats]'") from None


@contextmanager
def refusing(says: str) -> Iterator[None]:
    """Whatever a library raises on a damaged document becomes an `InputError` of our words: its own may quote text."""
    try:
        yield
    except InputError:
        raise
    except Exception:
        raise InputError(says) from None


def decode(data: bytes, charset: str | None, where: str) -> Extracted:
    """Bytes to text: as their byte-order mark says, else by the charset declared, else as `reading.decode` finds."""
    if charset and _CODECS.fullmatch(charset) and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return Extracted(data.decode(charset))
        except UnicodeDecodeError:
            found = reading.decode(data, where)
            return Extracted(found.text, (f"{where}: is not in the charset it declares, read as {found.encoding}",))
    found = reading.decode(data, where)
    return Extracted(found.text, (found.notice,) if found.notice else ())


def from_base64(text: str, where: str) -> bytes:
    """The bytes that base64 stands for. Raises `InputError` when it is damaged, empty or too large."""
    if len(text) * 3 // 4 > MAX_ATTACHMENT + MAX_ATTACHMENT // 8:  # line breaks allowed for
        raise InputError(f"{where}: an attachment is larger than {in_mib(MAX_ATTACHMENT)}")
    try:
        data = base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{where}: an attachment's base64 is damaged or truncated") from None
    if not data:
        raise InputError(f"{where}: an attachment is empty")
    if len(data) > MAX_ATTACHMENT:
        raise InputError(f"{where}: an attachment is larger than {in_mib(MAX_ATTACHMENT)}")
    return data


def iso_date(value: str | None) -> str | None:
    """The day of a FHIR or HL7 time stamp, as YYYY-MM-DD and as written there; None for less than a day.

    >>> iso_date("20260512093000-0500"), iso_date("2026-05-12T09:30:00Z"), iso_date("2026-05")
    ('2026-05-12', '2026-05-12', None)
    """
    match = _DATE.match(value or "")
    if match is None:
        return None
    digits = match.group().replace("-", "")
    try:
        return datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).isoformat()
    except ValueError:
        return None
