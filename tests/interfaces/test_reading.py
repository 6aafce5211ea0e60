"""Reading: what a file's bytes become, what is said of it, and that nothing of its text is told in an error."""

from __future__ import annotations

import codecs
import datetime
import io
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from parsnlp.errors import InputError
from parsnlp.interfaces import reading

TEXT = "Schober’s test: naïve.\r\nL5 pars defect – 4 mm.\n"

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(data: bytes) -> Path:
        path = tmp_path / "note.txt"
        path.write_bytes(data)
        return path

    return write


def test_utf8_is_read_without_a_word(write: Write) -> None:
    decoded = reading.read(write(TEXT.encode()))
    assert decoded == reading.Decoded(TEXT, "UTF-8")


@pytest.mark.parametrize(
    ("mark", "codec", "name"),
    [
        (codecs.BOM_UTF8, "utf-8", "UTF-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    ],
)
def test_a_byte_order_mark_decides_and_is_left_out(write: Write, mark: bytes, codec: str, name: str) -> None:
    decoded = reading.read(write(mark + TEXT.encode(codec)))
    assert (decoded.text, decoded.encoding) == (TEXT, name)
    assert decoded.notice is not None and f"read as {name}" in decoded.notice


@pytest.mark.parametrize(
    ("data", "text", "name"),
    [
        (TEXT.encode("cp1252"), TEXT, "windows-1252"),
        (b"caf\xe9 \x81", "café \x81", "Latin-1"),  # windows-1252 has no 0x81
    ],
)
def test_what_is_not_utf8_is_assumed_and_said(write: Write, data: bytes, text: str, name: str) -> None:
    decoded = reading.read(write(data))
    assert (decoded.text, decoded.encoding) == (text, name)
    assert decoded.notice is not None and f"assumed {name}" in decoded.notice


def test_line_ends_stay(write: Write) -> None:
    assert reading.read(write(b"a\r\nb\rc\n")).text == "a\r\nb\rc\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x00\x01binary", "binary"),
        ("L5".encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        (b"%PDF-1.7 text", "a PDF"),
        (b"{\\rtf1 text}", "an RTF document"),
        (b"PK\x03\x04", "a ZIP or Word file"),
        (codecs.BOM_UTF16_LE + b"L\x005", "UTF-16"),
        (codecs.BOM_UTF8 + b"caf\xe9", "UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(write: Write, data: bytes, says: str) -> None:
    path = write(data)
    with pytest.raises(InputError, match=says) as caught:
        reading.read(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        reading.read(tmp_path / "absent.txt")
    with pytest.raises(InputError, match=r"is a folder.*parsnlp batch"):
        reading.read(tmp_path)
    with pytest.raises(InputError, match="not a usable path"):
        reading.read("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="not run: needs a user other than root, who may read everything")
def test_unreadable_file(write: Write) -> None:
    path = write(b"text")
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        reading.read(path)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"L5\r\n")))
    assert reading.read("-").text == "L5\r\n"


def test_note_takes_known_fields_and_leaves_the_rest() -> None:
    note = reading.note({"text": "x", "id": 7, "setting": "inpatient", "kind": None, "date": "2026-05-01", "room": 3})
    assert (note.id, note.setting, note.kind, note.date) == ("7", "inpatient", None, "2026-05-01")


def test_note_takes_what_tables_hold() -> None:
    fields = {"text": "x", "id": 7, "encounter": 8, "patient": 9, "date": "2026-05-01T10:30:00Z"}
    note = reading.note(fields)
    assert (note.id, note.encounter, note.patient, note.date) == ("7", "8", "9", "2026-05-01")
    for date in (datetime.date(2026, 5, 1), datetime.datetime(2026, 5, 1, 10), "2026-05-01 10:30"):
        assert reading.note({"text": "x", "date": date}).date == "2026-05-01"


def test_lone_surrogates_become_one_character_each() -> None:
    assert reading.note({"text": "a\ud800b"}).text == "a\ufffdb"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "'text' is missing"),
        ({"text": 5}, "'text' must be a string, not a number"),
        ({"text": "", "id": True}, "'id' must be a string, not true or false"),
        ({"text": "", "patient": True}, "'patient' must be a string, not true or false"),
        ({"text": "", "id": 1.0}, "'id' must be a string, not a number"),
        ({"text": "", "date": "2026-05-01 or so"}, "'date' is not a calendar date"),
        ({"text": "", "setting": "home"}, "'setting' is not one of outpatient, inpatient"),
        ({"text": "", "setting": ["inpatient"]}, "'setting' must be a string, not a list"),
        ({"text": "", "kind": "poem"}, "'kind' is not one of radiology"),
        ({"text": "", "date": "2026-02-30"}, "'date' is not a calendar date"),
        ({"text": "", "date": "20260201"}, "'date' is not a calendar date"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as caught:
        reading.note(fields)
    assert says in str(caught.value)


def test_errors_tell_no_text(write: Write, canary: str) -> None:
    texts: list[str] = []
    for data in (f"{canary}\0".encode(), codecs.BOM_UTF8 + canary.encode() + b"\xe9", f"%PDF- {canary}".encode()):
        with pytest.raises(InputError) as caught:
            reading.read(write(data))
        texts.append(str(caught.value))
    for fields in ({"text": "", "kind": canary}, {"text": "", "date": canary}, {"text": "", "setting": canary}):
        with pytest.raises(InputError) as caught:
            reading.note(fields)
        texts.append(str(caught.value))
    assert len(texts) == 6
    assert canary not in " ".join(texts)
