"""Tables to rows: what each kind of file gives, what is wrong with a row, and that no size or damage is fatal."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from parsnlp.errors import InputError
from parsnlp.interfaces import rows
from parsnlp.interfaces.reading import Failure
from parsnlp.interfaces.rows import Row

TABLE = [
    {"id": "a", "text": 'He said "no slip",\nL5 fine.', "date": "2026-05-01"},
    {"id": "b", "text": "Schober’s: naïve", "date": ""},
]
Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def packed(data: bytes, packing: str) -> bytes:
    return gzip.compress(data) if packing == ".gz" else zstandard.compress(data) if packing == ".zst" else data


def table(ending: str, path: Path) -> Path:
    if ending == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(TABLE), path, row_group_size=1)
    elif ending in rows.LINES:
        path.write_text("".join(json.dumps(row) + "\n" for row in TABLE), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(TABLE[0]), delimiter="\t" if ending == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(TABLE)
    return path


def said(found: Sequence[Row | Failure]) -> list[str]:
    return [f"{item.where.rpartition(':')[2]}: {item.says}" for item in found if isinstance(item, Failure)]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("ending", rows.ENDINGS)
def test_every_kind_gives_the_same_rows(tmp_path: Path, ending: str, packing: str) -> None:
    path = table(ending, tmp_path / f"notes{ending}")
    if packing:
        path = path.with_name(path.name + packing)
        path.write_bytes(packed(path.with_suffix("").read_bytes(), packing))
    if ending == ".parquet" and packing:
        with pytest.raises(InputError, match=r"not a table that is read"):
            list(rows.rows(path))
        return
    found = list(rows.rows(path, ["text"]))
    assert [item.fields for item in found if isinstance(item, Row)] == TABLE
    assert [item.passed for item in found if isinstance(item, Row)][-1] == path.stat().st_size


def test_a_row_stands_where_it_begins(tmp_path: Path) -> None:
    found = [item.where for item in rows.rows(table(".csv", tmp_path / "notes.csv"))]
    assert found == [f"{tmp_path / 'notes.csv'}:2", f"{tmp_path / 'notes.csv'}:4"]


def test_json_lines_say_what_is_wrong(write: Write) -> None:
    lines = [
        codecs.BOM_UTF8 + b'{"text": "a"}',
        b"",
        b"{not json",
        b"[1]",
        b'"\xe9"',
        b"[" * 100_000,
        b'{"text": "' + b"x" * 200_000 + b'"}',
        json.dumps({"text": 'z "'}).encode(),
    ]
    found = list(rows.rows(write("rows.jsonl", b"\r\n".join(lines)), limit=150_000))
    assert [(item.number, item.fields) for item in found if isinstance(item, Row)] == [
        (1, {"text": "a"}),
        (8, {"text": 'z "'}),
    ]
    wrong = dict(line.split(": ", 1) for line in said(found))
    assert list(wrong) == ["3", "4", "5", "6", "7"]
    for number, says in zip("34567", ("not JSON", "must be an object", "not UTF-8", "not JSON", "larger"), strict=True):
        assert says in wrong[number]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"id,text\na,b,c\nd,e\n", ["2: has more fields than the heading"]),
        (b"id,text,date\na,first line\nrest,2026\nd,e,f\n", ["2: has fewer fields", "3: has fewer fields"]),
        (b"id,text\na,b\0c\nd,e\n", ["2: holds a NUL"]),
        (b"id,text\na,x\ry\nd,e\n", ["2: not a row that can be read"]),
        (b'id,text\na,"' + b"x\n" * 600 + b'"\nd,e\n', ["2: larger than --max-size"]),
        (b'id,text\na,"' + b"x" * 1200 + b'"\nd,e\n', ["2: larger than --max-size"]),
        (b"id,text\na," + b"x" * 1200 + b"\nd,e\n", ["2: larger than --max-size"]),
    ],
)
def test_a_bad_row_of_csv_is_named_and_the_next_is_read(write: Write, data: bytes, says: list[str]) -> None:
    found = list(rows.rows(write("rows.csv", data), limit=1000))
    assert [line.startswith(start) for line, start in zip(said(found), says, strict=True)] == [True] * len(says)
    assert isinstance(found[-1], Row) and found[-1].fields["id"] == "d"


def test_a_quotation_that_never_ends_takes_no_memory_and_is_told(write: Write) -> None:
    short = list(rows.rows(write("short.csv", b'id,text\na,b\nc,"open\nd,e\n')))
    assert said(short) == ["3: a quotation mark is never closed; what follows it cannot be told apart"]
    long = list(rows.rows(write("long.csv", b'id,text\na,b\nc,"open\n' + b"d,e\n" * 5000), limit=1000))
    assert said(long) == ["3: larger than --max-size, or a quotation mark that is never closed"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_bomb_does_not_fill_memory(write: Write, ending: str, packing: str) -> None:
    data = packed(b"text\n" + b"a" * 200_000_000 + b'\n{"text": "b"}\n', packing)
    path = write(f"bomb{ending}{packing}", data)
    del data
    tracemalloc.start()
    try:
        found = list(rows.rows(path, limit=1_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
    assert isinstance(found[-1], Row) and any("larger" in says for says in said(found))


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_what_is_cut_off_is_read_until_there(write: Write, packing: str) -> None:
    lines = b"".join(json.dumps({"text": f"note {number} {number**30}"}).encode() + b"\n" for number in range(50_000))
    whole = packed(lines, packing)
    assert len(list(rows.rows(write(f"twice.jsonl{packing}", whole + whole)))) == 100_000
    read = 0
    with pytest.raises(InputError, match="damaged, or cut off"):
        for _ in rows.rows(write(f"cut.jsonl{packing}", whole[: len(whole) // 2])):
            read += 1
    assert read > 1000
    with pytest.raises(InputError, match="damaged, or cut off"):
        list(rows.rows(write(f"none.jsonl{packing}", b"no such packing")))


@pytest.mark.parametrize(("codec", "mark"), [("utf-16-le", codecs.BOM_UTF16_LE), ("utf-32-be", codecs.BOM_UTF32_BE)])
def test_a_byte_order_mark_decides(write: Write, codec: str, mark: bytes) -> None:
    text = "id\ttext\r\na\tSchober’s\r\n"
    (found,) = rows.rows(write("rows.tsv", mark + text.encode(codec)))
    assert isinstance(found, Row) and found.fields == {"id": "a", "text": "Schober’s"}
    assert found.notice is not None and "as its byte-order mark says" in found.notice
    with pytest.raises(InputError, match="byte-order mark"):
        list(rows.rows(write("rows.tsv", mark + text.encode(codec)[:-1])))


def test_an_assumed_encoding_is_told_of_its_row_alone(write: Write) -> None:
    first, second = rows.rows(write("rows.csv", b"id,text\na,caf\xc3\xa9\nb,caf\xe9\n"))
    assert isinstance(first, Row) and first.fields["text"] == "café" and first.notice is None
    assert isinstance(second, Row) and second.fields["text"] == "café"
    assert second.notice is not None and "rows.csv:3: not UTF-8 (byte 5), assumed windows-1252" in second.notice


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.csv", b"", "its first line must name the columns, 'text' among them"),
        ("a.csv", b"id;text\n", "'text' among them"),
        ("a.csv", b"text,text\n", "two of its columns are named 'text'"),
        ("a.csv", b'"text\n', "a quotation mark is never closed"),
        ("a.parquet", b"PAR1 no", "not a Parquet file that can be read"),
        ("a.xlsx", b"", "not a table that is read"),
    ],
)
def test_a_table_that_cannot_be_one_is_refused(write: Write, name: str, data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(rows.rows(write(name, data), ["text"]))


def test_parquet_names_its_columns_and_reads_only_what_is_wanted(tmp_path: Path) -> None:
    path = table(".parquet", tmp_path / "notes.parquet")
    with pytest.raises(InputError, match="has no column 'note'; it has id, text, date"):
        list(rows.rows(path, ["note"]))
    found = [item.fields for item in rows.rows(path, ["text"], only={"text"}) if isinstance(item, Row)]
    assert found == [{"text": row["text"]} for row in TABLE]


def test_a_damaged_parquet_is_told(tmp_path: Path) -> None:
    path = table(".parquet", tmp_path / "notes.parquet")
    data = bytearray(path.read_bytes())
    data[4:60] = b"\xff" * 56
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a Parquet file that can be read"):
        list(rows.rows(path))


def test_no_message_holds_text(write: Write, canary: str) -> None:
    says = []
    for name, data in (
        ("a.jsonl", f'"{canary}"\n{{"text": "{canary}\n[{canary}]\n'),
        ("a.csv", f'id,text\n{canary},{canary},{canary}\n{canary}\n{canary}\0,a\n{canary}\r{canary},x\na,"{canary}'),
        ("b.csv", f"{canary}\n"),
        ("c.csv", f'"{canary}\n'),
    ):
        try:
            says += said(list(rows.rows(write(name, data.encode()), ["text"])))
        except InputError as error:
            says.append(str(error))
    assert len(says) == 10
    assert canary not in " ".join(says)
