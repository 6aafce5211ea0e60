"""Outputs in four formats: the same rows from each, whole or not at all, private, and the same bytes each time."""

from __future__ import annotations

import csv
import json
import os
import resource
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pytest
from pyarrow import parquet

import parsnlp
from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces import outputs, tables
from parsnlp.interfaces.outputs import FORMATS, Part
from parsnlp.interfaces.tables import TABLES
from parsnlp.models import Note

TEXTS = (
    "Assessment: L5 spondylolysis, bilateral, with grade I anterolisthesis of L5 on S1. Brace for 3 months.",
    "Chest film: clear.",
    'IMPRESSION:\n=HYPERLINK("http://x","y") L4-5 anterolisthesis, "stable", 4 mm.\nNo pars defect; no fracture.',
    "Assessment: spondylolysis. MRI of the lumbar spine: no slip. Family history: mother with spondylolisthesis.",
)
RUN = {"counts": {"done": 8, "failed": 2}, "options": {"setting": "outpatient"}}
Row = tuple[str, tables.Row]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    extractor = parsnlp.load()
    notes = [Note(text=text, id=f"={at}", date="2026-05-12", patient=f"p{at}") for at, text in enumerate(TEXTS)]
    return [result.to_json() for result in extractor.pipe(notes)]


def part(folder: Path, name: str, lines: list[str], first: int) -> Part:
    """A part of each of these results, one input that was left out and one that failed."""
    given: list[dict[str, Any]] = [
        {"id": json.loads(line)["id"], "where": f"notes/{at}.txt", "sha256": "0" * 64, "state": "done", "stage": None,
         "reason": None}
        for at, line in enumerate(lines)
    ]  # fmt: skip
    blank = {"id": None, "where": "notes/-x.txt", "sha256": None, "stage": None, "reason": None}
    given.insert(1, {**blank, "id": "quiet", "state": "left_out"})
    given.insert(3, {**blank, "state": "failed", "stage": "read", "reason": "binary"})
    made = Part(folder / f"{name}.jsonl", folder / f"{name}.inputs.jsonl")
    made.results.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    made.inputs.write_text(
        "".join(json.dumps({"number": first + at, **row}) + "\n" for at, row in enumerate(given)), encoding="utf-8"
    )
    return made


@pytest.fixture
def parts(tmp_path: Path, lines: list[str]) -> list[Part]:
    return [part(tmp_path, "one", lines, 0), part(tmp_path, "two", lines[::-1], 6)]


def expected(parts: list[Part]) -> list[Row]:
    """The rows by the plain way: each result whole in memory."""
    found: list[Row] = []
    for each in parts:
        results = iter(each.results.read_text(encoding="utf-8").splitlines())
        for given in map(json.loads, each.inputs.read_text(encoding="utf-8").splitlines()):
            if given["state"] == "done":
                found += tables.rows(given["number"], json.loads(next(results)), given)
            elif given["state"] == "failed":
                found.append(tables.error(given))
    found += tables.run(RUN)
    return found


def by_table(rows: Iterator[Row] | list[Row]) -> dict[str, list[tables.Row]]:
    sorted_out: dict[str, list[tables.Row]] = {name: [] for name in TABLES}
    for name, row in rows:
        sorted_out[name].append(row)
    return sorted_out


def side(out: Path, parts: list[Part]) -> None:
    """What the job leaves beside an output."""
    folder = outputs.run_folder(out)
    folder.mkdir()
    (folder / "inputs.jsonl").write_bytes(b"".join(each.inputs.read_bytes() for each in parts))
    (folder / "run.json").write_text(json.dumps(RUN), encoding="utf-8")


def files(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file()) if out.is_dir() else [out]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_rows_back(format: str, parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "out"
    outputs.write(format, out, iter(parts), RUN)
    side(out, parts)
    wanted = by_table(expected(parts))
    assert by_table(outputs.read(out)) == wanted
    assert wanted["errors"] and wanted["codes"] and [row[0] for row in wanted["notes"]] == [0, 2, 4, 5, 6, 8, 10, 11]
    only = by_table(outputs.read(out, ("codes", "run")))
    assert {name for name, rows in only.items() if rows} == {"codes", "run"} and only["codes"] == wanted["codes"]


def test_jsonl_is_the_parts_one_after_the_other(parts: list[Part], tmp_path: Path) -> None:
    outputs.write("jsonl", tmp_path / "a.jsonl", parts, RUN)
    assert (tmp_path / "a.jsonl").read_bytes() == b"".join(each.results.read_bytes() for each in parts)


def test_jsonl_without_its_run_folder_is_numbered_by_line(parts: list[Part], tmp_path: Path) -> None:
    outputs.write("jsonl", tmp_path / "a.jsonl", parts, RUN)
    found = by_table(outputs.read(tmp_path / "a.jsonl"))
    assert [row[0] for row in found["notes"]] == list(range(8)) and not found["errors"] and not found["run"]


@pytest.mark.parametrize("format", FORMATS)
def test_no_result_at_all_is_an_output_too(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outputs.write(format, out, [part(tmp_path, "none", [], 0)], {})
    found = by_table(outputs.read(out))
    assert not found["notes"] and bool(found["errors"]) == (format != "jsonl")


@pytest.mark.parametrize("format", ("jsonl", "parquet", "csv"))
def test_the_same_parts_give_the_same_bytes(format: str, parts: list[Part], tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        outputs.write(format, tmp_path / name, parts, RUN)
        made.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in files(tmp_path / name)])
    assert made[0] == made[1]


@pytest.mark.parametrize("format", FORMATS)
def test_how_the_run_was_parted_does_not_show(format: str, parts: list[Part], tmp_path: Path) -> None:
    whole = Part(tmp_path / "whole.jsonl", tmp_path / "whole.inputs.jsonl")
    whole.results.write_bytes(b"".join(each.results.read_bytes() for each in parts))
    whole.inputs.write_bytes(b"".join(each.inputs.read_bytes() for each in parts))
    outputs.write(format, tmp_path / "a", parts, RUN)
    outputs.write(format, tmp_path / "b", [whole], RUN)
    assert list(outputs.read(tmp_path / "a")) == list(outputs.read(tmp_path / "b"))
    if format != "duckdb":  # its header holds a random number
        assert [p.read_bytes() for p in files(tmp_path / "a")] == [p.read_bytes() for p in files(tmp_path / "b")]


@pytest.mark.parametrize("format", FORMATS)
def test_all_is_readable_by_the_owner_alone(format: str, parts: list[Part], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        out = tmp_path / "out"
        outputs.write(format, out, parts, RUN)
    finally:
        os.umask(before)
    for path in (out, *out.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_parquet_is_read_by_others(parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "results.parquet"
    outputs.write("parquet", out, parts, RUN)
    wanted = by_table(expected(parts))
    assert sorted(path.name for path in out.iterdir()) == sorted(TABLES)  # one with no row too
    for name, table in TABLES.items():
        read = parquet.read_table(out / name)
        assert read.schema.equals(tables.arrow_schema(table), check_metadata=True)
        assert [tuple(row.values()) for row in read.to_pylist()] == wanted[name]
    (path,) = (out / "codes").iterdir()
    assert path.name == "part-000000.parquet"
    assert parquet.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    found = duckdb.sql(f"SELECT code, date FROM '{out}/codes/*.parquet' ORDER BY number, row").fetchall()
    codes = TABLES["codes"]
    assert found == [(row[codes.place("code")], row[codes.place("date")]) for row in wanted["codes"]]


def test_duckdb_tables_join(parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "results.duckdb"
    outputs.write("duckdb", out, parts, RUN)
    with duckdb.connect(out, read_only=True) as database:
        assert {row[0] for row in database.execute("SHOW TABLES").fetchall()} == set(TABLES)
        found = database.execute(
            "SELECT n.source, c.code, e.text FROM codes c JOIN notes n USING (number)"
            " JOIN evidence e ON e.number = c.number AND e.of_table = 'codes' AND e.of_row = c.row"
            " WHERE e.role = 'evidence' AND n.number = 0 ORDER BY c.row, e.row"
        ).fetchall()
        for name, table in TABLES.items():  # together the key's columns name a row
            key = ", ".join(table.key)
            assert not database.execute(f"SELECT {key} FROM {name} GROUP BY {key} HAVING count(*) > 1").fetchall()
    assert ("notes/0.txt", "M43.17", "anterolisthesis") in found
    assert not list(tmp_path.glob("*.wal"))


def test_csv_is_as_rfc_4180_has_it(parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    outputs.write("csv", out, parts, RUN)
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{name}.csv" for name in TABLES)
    data = (out / "notes.csv").read_bytes()
    assert data.startswith(b'"number","result","source"') and data.endswith(b"\r\n")
    assert b"\n" not in data.replace(b"\r\n", b"")
    with (out / "codes.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, strict=True))
    assert [row["number"] for row in rows][:2] == ["0", "0"] and rows[0]["unspecified"] == "false"
    assert rows[0]["result"] == "'=0" and rows[0]["date"] == "2026-05-12" and rows[0]["direction"] == "antero"


@pytest.mark.parametrize(
    "cell",
    ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\tx", "\rx", "\nx", " =1", "  \t-1", '"=1', "'=1", "' = 1"[:3],
     "＝1", "＋1", "－1", "＠x", "\ufeff=1", "\u200b+1", "“=1”", "\xa0=1", "''=1", "\x0b=1"),
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_defused(cell: str, tmp_path: Path) -> None:
    shown = outputs._csv_cell(cell)
    assert shown.startswith("\"'") and shown.endswith('"')
    column = TABLES["run"].columns[1]
    assert outputs._csv_value(column, shown[1:-1].replace('""', '"')) == cell


@pytest.mark.parametrize("cell", ("L5-S1", "a=b", "'quoted'", "it's", "4 mm", "'", "", "M43.06;M43.17", "‘L5’"))
def test_other_text_is_left_alone(cell: str) -> None:
    assert outputs._csv_cell(cell) == f'"{cell}"'


def test_a_nul_is_shown_as_what_cannot_be_shown() -> None:
    assert outputs._csv_cell("\0=1") == '"\ufffd=1"'


def test_numbers_and_nulls_are_no_text() -> None:
    assert [outputs._csv_cell(value) for value in (-5, 0, True, False, None)] == ["-5", "0", "true", "false", ""]


@pytest.mark.parametrize("format", FORMATS)
def test_without_text_no_file_holds_a_word_of_the_note(format: str, tmp_path: Path, canary: str) -> None:
    """The canary stands within a quotation. Files are searched as bytes, and packed ones by reading them."""
    result = parsnlp.load().extract(f"No {canary} listhesis. L5 spondylolysis, bilateral. Brace since July.")
    for text in (True, False):
        each = part(tmp_path, f"part-{text}", [result.to_json(text=text)] * 2, 0)
        out = tmp_path / f"out-{text}"
        outputs.write(format, out, [each], RUN)
        read = "\n".join(str(cell) for _, row in outputs.read(out) for cell in row)
        read += "".join(path.read_bytes().decode("utf-8", "replace") for path in files(out))
        assert [word in read for word in (canary, "since July", "Brace")] == [text] * 3


def test_parts_are_read_one_at_a_time(parts: list[Part], tmp_path: Path) -> None:
    """A part is asked for when the one before has been read to its end, and rows go out while parts come in."""
    under_way: list[str] = []
    put: list[int] = []

    def coming() -> Iterator[Part]:
        for number in range(40):
            under_way.append(f"part {number}")
            yield parts[0]
            held = {name: len(rows) for name, rows in by_table(list(outputs._of_part(parts[0]))).items()}
            assert sum(put) >= number * sum(held.values()) - len(TABLES) * 16  # what is held does not grow

    def sink(table: tables.Table, rows: Any) -> None:
        put.append(len(rows))

    before = outputs._AT_ONCE
    outputs._AT_ONCE = 16
    try:
        outputs._pour(outputs._rows(coming(), RUN), sink)
    finally:
        outputs._AT_ONCE = before
    assert len(under_way) == 40 and max(put) <= 16


def test_many_rows_make_many_files(parts: list[Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_AT_ONCE", 3)
    monkeypatch.setattr(outputs, "_IN_A_FILE", 2)
    out = tmp_path / "out"
    outputs.write("parquet", out, parts, RUN)
    names = [path.name for path in sorted((out / "notes").iterdir())]
    assert names == ["part-000000.parquet", "part-000001.parquet"]  # 8 rows, 6 to a file
    assert by_table(outputs.read(out)) == by_table(expected(parts))


@pytest.mark.parametrize(
    ("name", "given", "format"),
    [("a.jsonl", None, "jsonl"), ("a.PARQUET", None, "parquet"), ("a.csv", None, "csv"), ("a.duckdb", None, "duckdb"),
     ("a.db", None, "duckdb"), ("a.txt", "csv", "csv"), ("a.csv", "jsonl", "jsonl")],
)  # fmt: skip
def test_the_format_is_told_by_the_ending_or_by_name(name: str, given: str | None, format: str) -> None:
    assert outputs.format_of(Path(name), given) == format


@pytest.mark.parametrize(("name", "given", "says"), [("a.txt", None, "its ending says no format"), ("a", "xml", "xml")])
def test_an_unknown_format_is_refused(name: str, given: str | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        outputs.format_of(Path(name), given)


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_there_is_replaced_only_when_told(format: str, parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "out"
    outputs.write(format, out, parts[:1], {})
    before = [path.read_bytes() for path in files(out)]
    with pytest.raises(InputError, match="exists already"):
        outputs.write(format, out, parts, {})
    assert [path.read_bytes() for path in files(out)] == before
    outputs.write(format, out, parts, {}, replace=True)
    assert len(by_table(outputs.read(out))["notes"]) == 8
    assert not list(tmp_path.glob(".*"))  # nothing is left beside it


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_not_ours_is_never_replaced(format: str, parts: list[Part], tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    (folder / "thesis.docx").write_text("years of work")
    file.write_text("x")
    with pytest.raises(InputError, match=r"is a folder|holds other files"):
        outputs.write(format, folder, parts, {}, replace=True)
    assert (folder / "thesis.docx").read_text() == "years of work"
    if format in ("parquet", "csv"):
        with pytest.raises(InputError, match="is a file"):
            outputs.write(format, file, parts, {}, replace=True)
    with pytest.raises(InputError, match="does not exist; make it first"):
        outputs.write(format, tmp_path / "nowhere" / "out", parts, {})


@pytest.mark.parametrize("format", ("parquet", "duckdb"))
def test_a_missing_library_is_named(format: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow" if format == "parquet" else "duckdb", None)
    with pytest.raises(InputError, match=r"pip install 'parsnlp\[batch\]'"):
        outputs.check(format, tmp_path / "out")
    outputs.check("jsonl", tmp_path / "out")
    outputs.check("csv", tmp_path / "out")


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """A disk that is full after so many bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_what_was_there(format: str, parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "out"
    outputs.write(format, out, parts[:1], {})
    before = [path.read_bytes() for path in files(out)]
    with files_no_longer_than(1000), pytest.raises(InputError, match=r"out: cannot be written .* nothing was kept"):
        outputs.write(format, out, parts * 20, {}, replace=True)
    assert [path.read_bytes() for path in files(out)] == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_that_may_not_be_written_is_told(
    format: str, parts: list[Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(InputError, match=r"out: cannot be written \(Permission denied\)"):
        outputs.write(format, tmp_path / "out", parts, {})


def test_a_new_folder_that_cannot_come_lets_the_old_one_back(
    parts: list[Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    outputs.write("csv", out, parts[:1], {})
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(InputError, match="nothing was kept"):
        outputs.write("csv", out, parts, {}, replace=True)
    assert len(by_table(outputs.read(out))["notes"]) == 4


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_killed_process_left_is_swept(format: str, parts: list[Part], tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    out = tmp_path / "out"
    (tmp_path / ".other.abc.part").write_text("of another")

    def dies() -> Iterator[Part]:
        yield parts[0]
        (found,) = tmp_path.glob(".out.*.part")
        found.rename(found.with_name(".out.dead.part"))  # out of reach of the tidying that a kill would not do
        raise Killed

    with pytest.raises(Killed):
        outputs.write(format, out, dies(), {})
    assert (tmp_path / ".out.dead.part").exists() and not out.exists()
    writing.sweep(out)
    assert [path.name for path in tmp_path.glob(".*")] == [".other.abc.part"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda each, canary: each.results.write_text(""), "cut off"),
        (lambda each, canary: each.inputs.write_text(""), "does not tell of"),
        (lambda each, canary: each.results.write_text(f'{{"id": "{canary}"\n'), "jsonl:1: damaged"),
        (lambda each, canary: each.results.write_text(f'{{"id": "{canary}"}}\n'), "jsonl:1: not a result"),
        (lambda each, canary: each.inputs.write_text("[]\n"), "inputs.jsonl:1: damaged"),
    ],
)
def test_a_damaged_part_is_refused(damage: Any, says: str, parts: list[Part], tmp_path: Path, canary: str) -> None:
    damage(parts[0], canary)
    with pytest.raises(InputError, match=says) as refused:
        outputs.write("csv", tmp_path / "out", parts, {})
    assert canary not in str(refused.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_output_is_refused(format: str, parts: list[Part], tmp_path: Path, canary: str) -> None:
    out = tmp_path / "out"
    outputs.write(format, out, parts, RUN)
    target = next(path for path in files(out) if path.name.startswith("codes") or "codes" in path.parts or path == out)
    for data in (target.read_bytes()[:200], canary.encode(), b'"a","b"\r\n' + target.read_bytes()):
        target.write_bytes(data)
        with pytest.raises(InputError, match=r"damaged|not a result|not a table") as refused:
            list(outputs.read(out))
        assert canary not in str(refused.value)


@pytest.mark.parametrize("cell", ["many", 2**63, 1.5, True, None, ["x"]])
def test_a_cell_of_another_type_is_refused(cell: object, parts: list[Part], tmp_path: Path) -> None:
    """Of Parquet each column has a type, which may be another than ours; JSON has none."""
    out = tmp_path / "out"
    outputs.write("parquet", out, parts, RUN)
    path = out / "codes" / "part-000000.parquet"
    table = parquet.read_table(path)
    cells = pyarrow.array([cell] * len(table), pyarrow.uint64() if cell == 2**63 else None)
    parquet.write_table(table.set_column(table.schema.names.index("number"), "number", cells), path)
    with pytest.raises(InputError, match="table 'codes' holds a cell of another type"):
        list(outputs.read(out))
    side(tmp_path / "out.jsonl", parts)
    inputs = [{"number": cell, "state": "failed", "id": "a"}]
    (tmp_path / "out.jsonl").write_text("")
    (tmp_path / "out.jsonl.run" / "inputs.jsonl").write_text("".join(map(json.dumps, inputs)))
    with pytest.raises(InputError, match="table 'errors' holds a cell of another type"):
        list(outputs.read(tmp_path / "out.jsonl"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("out.jsonl", "[" * 100_000),
        ("out.jsonl.run/inputs.jsonl", "[" * 100_000),
        ("out.jsonl.run/inputs.jsonl", '{"state": "done"}'),
        ("out.jsonl.run/run.json", '{"a":' * 100_000),
        ("out.jsonl.run/run.json", "[1]"),
    ],
)
def test_json_of_another_kind_is_refused(name: str, content: str, parts: list[Part], tmp_path: Path) -> None:
    outputs.write("jsonl", tmp_path / "out.jsonl", parts, RUN)
    side(tmp_path / "out.jsonl", parts)
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"damaged|not a result|not an output"):
        list(outputs.read(tmp_path / "out.jsonl"))


@pytest.mark.parametrize("format", ("parquet", "csv", "duckdb"))
def test_an_output_that_lacks_a_table_is_refused(format: str, parts: list[Part], tmp_path: Path) -> None:
    out = tmp_path / "out"
    outputs.write(format, out, parts, RUN)
    if format == "parquet":
        (out / "codes" / "part-000000.parquet").unlink()
    elif format == "csv":
        (out / "codes.csv").unlink()
    else:
        with duckdb.connect(out) as database:
            database.execute("DROP TABLE codes")
    with pytest.raises(InputError, match=r"missing|not an output"):
        list(outputs.read(out))


@pytest.mark.parametrize(
    "program",
    [
        "CREATE VIEW codes AS SELECT * FROM kept",
        "CREATE VIEW codes AS SELECT kept.* FROM kept, range(1000000000000)",
        "CREATE VIEW codes AS SELECT * REPLACE ((SELECT content FROM read_text('{secret}')) AS code) FROM kept",
        "CREATE SCHEMA other; CREATE TABLE other.codes AS FROM kept; CREATE VIEW codes AS FROM kept",
    ],
)
def test_a_database_whose_tables_are_programs_is_refused(program: str, parts: list[Part], tmp_path: Path) -> None:
    out, secret = tmp_path / "out.duckdb", tmp_path / "secret.txt"
    secret.write_text("of another file")
    outputs.write("duckdb", out, parts, RUN)
    with duckdb.connect(out) as database:
        database.execute("ALTER TABLE codes RENAME TO kept")
        database.execute(program.format(secret=secret))
    with pytest.raises(InputError, match="it has no table 'codes'"):
        list(outputs.read(out))


@pytest.mark.parametrize("format", FORMATS)
def test_a_part_that_is_gone_is_named(format: str, parts: list[Part], tmp_path: Path) -> None:
    parts[1].results.unlink()
    with pytest.raises(InputError, match=r"two.jsonl: cannot be read \(No such file or directory\)"):
        outputs.write(format, tmp_path / "out", parts, {})
    assert not (tmp_path / "out").exists()


def test_what_is_no_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        outputs.read(tmp_path / "nothing")
    with pytest.raises(InputError, match="has no table 'notes'"):
        outputs.read(tmp_path)
