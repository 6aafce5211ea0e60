"""What a batch has read, in the format that was asked for: JSON lines, Parquet, CSV or DuckDB; and back again.

An output is made from the finished parts of a run, as a stream: memory does not grow with the number of notes. It appears
when it is whole, readable by its owner alone, and the same parts give the same rows in the same order. The bytes are the
same too, but for DuckDB, which gives each file a number of its own.

JSON lines are one file of results. Parquet is a folder with a folder for each table, CSV a folder with a file for each,
DuckDB one file. Beside an output lies the folder `run_folder(out)` with `run.json` and `inputs.jsonl`, which the job
writes; JSON lines have their `errors` and `run` from there.
"""

from __future__ import annotations

import csv
import datetime
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces import tables
from parsnlp.interfaces.tables import TABLES, Cell, Column, Row, Table

if TYPE_CHECKING:
    import pyarrow

FORMATS = ("jsonl", "parquet", "csv", "duckdb")
_ENDINGS = {".jsonl": "jsonl", ".parquet": "parquet", ".csv": "csv", ".duckdb": "duckdb", ".db": "duckdb"}
_FOLDERS = ("parquet", "csv")
_RUN_ENDING = ".run"
RUN = "run.json"
"""What tells of a run, in its folder."""
_AT_ONCE = 8_192  # rows of a table that are held, and that stand together in a Parquet file
_IN_A_FILE = 128  # of these to a Parquet file
_DUCKDB = {
    "threads": 1,
    "memory_limit": "1GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
# What a spreadsheet would run: a formula's sign, also a full-width one, first or behind blanks, quotes and marks that do
# not show; and a tab or line end in front, which some drop before they look.
_RUNS = re.compile("[\t\r\n]|[\\s\"'`‘’“”\u200b-\u200f\u2060\ufeff]*[=+\\-@＝＋－＠]")

_Put = Callable[[Table, Sequence[Row]], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part of a run, in the order of its inputs.

    `inputs`: JSON lines that say what became of each input: `number`, its place over the whole run, `id`, `where`,
    `sha256`, `state` (done, left_out, failed), `stage`, `reason`. `results`: a `Result` a line, of those that are done.
    """

    results: Path
    inputs: Path


def format_of(out: Path, given: str | None) -> str:
    """The format of an output: as it is given, else by its ending. Raises `InputError` when neither tells."""
    if given is not None:
        if given not in FORMATS:
            raise InputError(f"--format {given} is not one of {', '.join(FORMATS)}")
        return given
    found = _ENDINGS.get(out.suffix.lower())
    if found is None:
        raise InputError(f"{out}: its ending says no format; end it in {', '.join(_ENDINGS)}, or give --format")
    return found


def run_folder(out: Path) -> Path:
    """The folder beside an output that tells of its run."""
    return out.with_name(f"{out.name}{_RUN_ENDING}")


def of_run(folder: str) -> str | None:
    """The path of the output beside which the folder lies, if it tells of a run."""
    if folder.endswith(_RUN_ENDING) and os.path.isfile(os.path.join(folder, RUN)):  # noqa: PTH113, PTH118 - of a million
        return folder.removesuffix(_RUN_ENDING)
    return None


def check(format: str, out: Path, replace: bool = False) -> None:
    """Raise `InputError` when `out` cannot be written in this format: worth knowing before the work.

    That is when its folder or a library is missing, or when it is there already, unless `replace` and it is of its kind: a
    folder with anything else in it is never replaced.
    """
    if format == "parquet":
        _pyarrow()
    if format == "duckdb":
        _pyarrow()
        _duckdb()
    if not out.parent.is_dir():
        raise InputError(f"{out}: its folder {out.parent} does not exist; make it first")
    try:
        there = out.exists()
    except OSError as error:  # a name that is too long
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None
    if not there:
        return
    if out.is_dir() != (format in _FOLDERS):
        found, wanted = ("a folder", "a file") if out.is_dir() else ("a file", "a folder")
        raise InputError(f"{out}: is {found}, and {format} makes {wanted}; choose another --out")
    if not replace:
        raise InputError(f"{out}: exists already; choose another --out, or --force to replace it")
    if out.is_dir():
        ours = {table if format == "parquet" else f"{table}.csv" for table in TABLES}
        if any(path.name not in ours for path in out.iterdir()):
            raise InputError(f"{out}: holds other files, which --force does not replace; choose another --out")


def write(format: str, out: Path, parts: Iterable[Part], run: Mapping[str, Any], *, replace: bool = False) -> None:
    """Make `out` from the parts of a run and the facts about it, whole or not at all.

    Raises `InputError` as `check` does, when it cannot be written, or when a part is damaged.
    """
    check(format, out, replace)
    if format == "jsonl":
        with writing.replacing(out) as stream:
            for part in parts:
                with _opened(part.results) as results:
                    shutil.copyfileobj(results, stream)
        return
    making = {"parquet": _parquet, "csv": _csv, "duckdb": _duckdb_file}[format]
    with writing.scratch(out) as scratch:
        made = scratch / "new"
        with making(made) as put:
            _pour(_rows(parts, run), put)
        writing.take_place(made, out)


def read(out: Path, only: Collection[str] = tuple(TABLES)) -> Iterator[tuple[str, Row]]:
    """The rows of an output in any of the formats, each with the name of its table; those of the tables `only`.

    Rows of a table come in the order of the run. JSON lines give the tables result by result, the others one by one.
    Raises `InputError` when it is not an output of a batch.
    """
    if not out.exists():
        raise InputError(f"{out}: no such file or folder; check the path")
    wanted = [table for name, table in TABLES.items() if name in only]
    reading = {"jsonl": _read_jsonl, "parquet": _read_parquet, "csv": _read_csv, "duckdb": _read_duckdb}
    return _of_their_types(out, reading[_format_there(out)](out, wanted))


def inputs(out: Path) -> Iterator[Mapping[str, Any]]:
    """What the folder of an output's run tells of each input; nothing when that folder is gone."""
    path = run_folder(out) / "inputs.jsonl"
    if path.exists():
        yield from (given for _, given in _json_lines(path))


def _of_their_types(out: Path, rows: Iterable[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    """The rows, every cell of its column's type: whoever reads them may rely on it. Raises `InputError` for another."""
    fits = {name: tables.fitting(table) for name, table in TABLES.items()}
    for name, row in rows:
        if not fits[name](row):
            raise InputError(f"{out}: not of this version of parsnlp: table {name!r} holds a cell of another type")
        yield name, row


# --- parts to rows --------------------------------------------------------------------------------------------------


def _rows(parts: Iterable[Part], run: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    for part in parts:
        yield from _of_part(part)
    yield from tables.run(run)


def _of_part(part: Part) -> Iterator[tuple[str, Row]]:
    """The rows of a part: of each result, and of each input that failed."""
    results = _json_lines(part.results)
    for _, given in _json_lines(part.inputs):
        if given.get("state") == "failed":
            yield tables.error(given)
        elif given.get("state") == "done":
            where, result = next(results, (None, {}))
            if where is None:
                raise InputError(f"{part.results}: cut off: it lacks results that {part.inputs} tells of")
            yield from _of_result(where, result, given)
    if next(results, None) is not None:
        raise InputError(f"{part.results}: holds results that {part.inputs} does not tell of")


def _of_result(where: str, result: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    try:
        yield from tables.rows(given["number"], result, given)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):  # their messages may hold note text
        raise InputError(f"{where}: not a result of this version of parsnlp") from None


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a file with where they stand."""
    with _opened(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                raise InputError(f"{path}:{number}: damaged, or not an output of parsnlp batch")
            yield f"{path}:{number}", found


def _pour(rows: Iterable[tuple[str, Row]], put: _Put) -> None:
    """Hand the rows on, some of a table at a time; each table once at the end, with what is left or nothing."""
    held: dict[str, list[Row]] = {name: [] for name in TABLES}
    for name, row in rows:
        held[name].append(row)
        if len(held[name]) == _AT_ONCE:
            put(TABLES[name], held[name])
            held[name] = []
    for name, left in held.items():
        put(TABLES[name], left)


# --- Parquet --------------------------------------------------------------------------------------------------------


@contextmanager
def _parquet(folder: Path) -> Iterator[_Put]:
    """A folder of files for each table, each with at most so many rows whatever the parts were."""
    from pyarrow import parquet

    schemas = {name: tables.arrow_schema(table) for name, table in TABLES.items()}
    groups = dict.fromkeys(TABLES, 0)
    folder.mkdir(mode=0o700)
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        files: dict[str, ExitStack] = {name: stack.enter_context(ExitStack()) for name in TABLES}

        def put(table: Table, rows: Sequence[Row]) -> None:
            name, number = table.name, groups[table.name]
            if not rows and number:
                return
            if number % _IN_A_FILE == 0:
                files[name].close()
                (folder / name).mkdir(mode=0o700, exist_ok=True)
                stream = files[name].enter_context(_created(folder / name / f"part-{number // _IN_A_FILE:06d}.parquet"))
                writers[name] = files[name].enter_context(
                    parquet.ParquetWriter(stream, schemas[name], compression="zstd", store_schema=True)
                )
            writers[name].write_table(arrow(table, schemas[name], rows))
            groups[name] += 1

        yield put


def arrow(table: Table, schema: pyarrow.Schema, rows: Sequence[Row]) -> pyarrow.Table:
    """Rows of a table as Arrow has them. `schema`: `tables.arrow_schema` of the table."""
    columns: Iterable[Sequence[Cell]] = zip(*rows, strict=True) if rows else [() for _ in table.columns]
    pyarrow = _pyarrow()
    arrays = [pyarrow.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _read_parquet(out: Path, wanted: Sequence[Table]) -> Iterator[tuple[str, Row]]:
    pyarrow = _pyarrow()
    from pyarrow import parquet

    for table in wanted:
        names = [column.name for column in table.columns]
        paths = sorted((out / table.name).glob("*.parquet"))
        if not paths:
            raise InputError(f"{out / table.name}: missing; {out} is not a whole output of parsnlp batch")
        for path in paths:
            try:
                with parquet.ParquetFile(path) as file:
                    for batch in file.iter_batches(_AT_ONCE, columns=names):
                        if batch.schema.names != names:
                            raise InputError(f"{path}: not a table of this version of parsnlp")
                        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                            yield table.name, row
            except (pyarrow.ArrowException, OSError, ValueError, OverflowError):
                raise InputError(f"{path}: damaged, or not an output of parsnlp batch") from None


# --- CSV ------------------------------------------------------------------------------------------------------------


@contextmanager
def _csv(folder: Path) -> Iterator[_Put]:
    """A file for each table: UTF-8, CRLF (RFC 4180); text is quoted, a null is an empty cell."""
    folder.mkdir(mode=0o700)
    with ExitStack() as stack:
        files = {name: stack.enter_context(_created(folder / f"{name}.csv")) for name in TABLES}
        for name, table in TABLES.items():
            files[name].write(csv_line(column.name for column in table.columns))

        def put(table: Table, rows: Sequence[Row]) -> None:
            for row in rows:
                files[table.name].write(csv_line(row))

        yield put


def csv_line(row: Iterable[Cell]) -> bytes:
    """A line of CSV: text quoted, a null empty, and a cell that a spreadsheet would run behind an apostrophe."""
    return (",".join(map(_csv_cell, row)) + "\r\n").encode("utf-8")


def _csv_cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = value.replace("\0", "\ufffd")  # few readers of CSV bear a NUL
        defused = f"'{text}" if _RUNS.match(text) else text
        return '"' + defused.replace('"', '""') + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_csv(out: Path, wanted: Sequence[Table]) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a reason may quote much
    for table in wanted:
        path = out / f"{table.name}.csv"
        try:
            with path.open("r", encoding="utf-8", newline="") as stream:
                lines = csv.reader(stream, strict=True)
                if next(lines, None) != [column.name for column in table.columns]:
                    raise InputError(f"{path}: not a table of this version of parsnlp")
                for line in lines:
                    yield (
                        table.name,
                        tuple(_csv_value(column, cell) for column, cell in zip(table.columns, line, strict=True)),
                    )
        except FileNotFoundError:
            raise InputError(f"{path}: missing; {out} is not a whole output of parsnlp batch") from None
        except (csv.Error, OSError, ValueError):
            raise InputError(f"{path}: damaged, or not an output of parsnlp batch") from None


def _csv_value(column: Column, cell: str) -> Cell:
    if cell == "" and column.nullable:
        return None
    if column.type == "int64":
        return int(cell)
    if column.type == "bool":
        return cell == "true"
    if column.type == "date":
        return datetime.date.fromisoformat(cell)
    return cell[1:] if cell.startswith("'") and _RUNS.match(cell[1:]) else cell


# --- DuckDB ---------------------------------------------------------------------------------------------------------


@contextmanager
def _duckdb_file(path: Path) -> Iterator[_Put]:
    """A database with the tables and what their columns mean."""
    duckdb = _duckdb()
    schemas = {name: tables.arrow_schema(table) for name, table in TABLES.items()}
    try:
        with duckdb.connect(path, config=_DUCKDB) as database:
            path.chmod(0o600)
            for table in TABLES.values():
                for statement in tables.ddl(table):
                    database.execute(statement)

            def put(table: Table, rows: Sequence[Row]) -> None:
                database.register("these_rows", arrow(table, schemas[table.name], rows))
                database.execute(f'INSERT INTO "{table.name}" SELECT * FROM these_rows')
                database.unregister("these_rows")

            yield put
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    except duckdb.Error as error:  # its message may quote a row
        raise OSError(errno.EIO, f"DuckDB stopped: {type(error).__name__}; is the disk full?") from None


def _read_duckdb(out: Path, wanted: Sequence[Table]) -> Iterator[tuple[str, Row]]:
    duckdb = _duckdb()
    try:
        with duckdb.connect(out, read_only=True, config={**_DUCKDB, "enable_external_access": False}) as database:
            stored = {
                name
                for (name,) in database.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
                ).fetchall()
            }
            for table in wanted:
                if table.name not in stored:  # a view would be a program of whoever made the file
                    raise InputError(f"{out}: not an output of parsnlp batch: it has no table '{table.name}'")
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                found = database.execute(f'SELECT {names} FROM "{table.name}"')
                while some := found.fetchmany(_AT_ONCE):
                    yield from ((table.name, row) for row in some)
    except duckdb.Error:
        raise InputError(f"{out}: damaged, in use, or not an output of parsnlp batch") from None


# --- JSON lines -----------------------------------------------------------------------------------------------------


def _read_jsonl(out: Path, wanted: Sequence[Table]) -> Iterator[tuple[str, Row]]:
    """Results to rows, with what the run's folder tells of their inputs where there is one."""
    names = {table.name for table in wanted}
    folder = run_folder(out)
    inputs, facts = folder / "inputs.jsonl", folder / RUN
    if inputs.exists():
        found = _of_part(Part(out, inputs))
    else:
        found = (
            row
            for at, (where, result) in enumerate(_json_lines(out))
            for row in _of_result(where, result, {"number": at})
        )
    if names != {"run"}:  # else there is no need to read the results
        yield from (row for row in found if row[0] in names)
    if "run" in names and facts.exists():
        try:
            yield from tables.run(json.loads(facts.read_bytes()))
        except (AttributeError, ValueError, RecursionError):
            raise InputError(f"{facts}: damaged") from None


# --- common ---------------------------------------------------------------------------------------------------------


def _format_there(out: Path) -> str:
    """The format of an output that is there, by what it holds."""
    if out.is_dir():
        if (out / "notes.csv").exists():
            return "csv"
        if (out / "notes").is_dir():
            return "parquet"
        raise InputError(f"{out}: not an output of parsnlp batch: it has no table 'notes'")
    with _opened(out) as stream:
        return "duckdb" if stream.read(12)[8:] == b"DUCK" else "jsonl"


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


@contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    """A new file, its owner's alone, that is on the disk when it is closed."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise InputError("Parquet and DuckDB need: pip install 'parsnlp[batch]'") from None
    return pyarrow


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise InputError("DuckDB needs: pip install 'parsnlp[batch]'") from None
    return duckdb
