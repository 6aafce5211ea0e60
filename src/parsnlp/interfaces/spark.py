"""Notes in a Spark DataFrame, results in another: `annotate`, and `table` for the tables of these results.

Nothing of a note comes to the driver. What decides travels to the workers as it was loaded, the caller's own rules with
it; each of their Python processes makes an extractor of it once. The workers need the same parsnlp.

A result's bytes are those of `parsnlp batch`. What is wrong with a note stands in its row, never its text, and fails no
job; a note that ends the process which reads it is found when Spark tries again, and passed over.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_type_hints

from parsnlp import parallel
from parsnlp.coding import icd10cm
from parsnlp.errors import InputError, ParsnlpError
from parsnlp.extractor import ENGINE, Extractor, load
from parsnlp.interfaces import outputs, sources, tables
from parsnlp.interfaces.batch import TIMEOUT, Fact, Options, Outcome, Reader, Tally, crashed
from parsnlp.interfaces.reading import Failure
from parsnlp.interfaces.rows import Row
from parsnlp.interfaces.sources import MAX_SIZE, Columns, Input, Sources

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")

_AT_ONCE = 256  # rows that are plain Python objects at a time
_TASKS = 4  # for each core at least, so that a slow file holds up little
_TASK_BYTES = 128_000_000  # of files in a task at most, so that no more has to be done again, but one file
_OURS = re.compile(r"_SUCCESS|_temporary|\.?(_SUCCESS|part-.*)(\.crc)?")  # what Spark leaves in a folder that it writes
_TYPES = {
    "string": "string",
    "int64": "bigint",
    "bool": "boolean",
    "date32[day]": "date",
    "list<item: string>": "array<string>",
}
_NAMES = ("string", "bigint", "int", "smallint", "tinyint")
_ALLOWED = {
    "text": ("string",),
    "id": _NAMES,
    "encounter": _NAMES,
    "patient": _NAMES,
    "date": ("string", "date", "timestamp", "timestamp_ntz"),
}


def annotate(
    df: DataFrame,
    text: str = "text",
    id: str = "id",
    *,
    encounter: str | None = None,
    order: str | None = None,
    setting: str | None = "setting",
    kind: str | None = "kind",
    date: str | None = "date",
    author: str | None = "author",
    patient: str | None = "patient",
    extractor: Extractor | None = None,
    quote: bool = True,
    only: str = "all",
    timeout: float = TIMEOUT,
    max_size: int = MAX_SIZE,
) -> DataFrame:
    """A row for each note of `df`, or for each encounter, with its result and what became of it.

    `text` and `id` to `patient` name columns: the first two must be there, as must any other that is not named as it is
    here. `encounter`: rows with the same value are decided on together, in the order of the column `order` or else of
    their ids; those without one stay alone. `extractor`: what `parsnlp.load` gives, with its policy and rules.
    `quote=False` leaves the note's words out. `only`, `timeout`, `max_size`: as in `parsnlp batch`.

    Columns: `id`, `state` (done, left_out by `only`, failed), `result` (a `Result` as JSON), `codes`, `review`, what else
    `batch.Fact` counts, such as `unspecified` and `queries`, `stamp` (how the edition stands to a date it does not cover);
    of what failed `stage` and `reason`. Rows without encounters keep their order.
    Raises `InputError` for a column that is missing, there twice or of a type that cannot be meant, and for a wrong option.
    """
    columns = Columns(text, id, setting or "", kind or "", date or "", author or "", patient or "", encounter)
    wanted = _wanted(df.dtypes, columns, order)
    reader = Reader(extractor or load(), Options(quote, only, timeout, max_size, columns=columns))
    from pyspark.sql import functions as sql

    def column(name: str) -> Any:
        return df["`" + name.replace("`", "``") + "`"]

    given = df.select(*map(column, wanted))
    if encounter is not None:  # what must not come apart is sent to one task and laid side by side there
        name = column(encounter).cast("string")
        key = sql.when(name != "", name)
        given = given.repartition(sql.coalesce(key, column(id).cast("string")))
        given = given.sortWithinPartitions(key, column(order or id))
    shipped = _shipped(reader)

    def work(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        return _quietly(_worked(_inputs(_plain(batches), columns), shipped, _tried(), _OUTCOME))

    return given.mapInArrow(work, _ddl(_schema(_OUTCOME)))


def table(results: DataFrame, name: str) -> DataFrame:
    """A table of `parsnlp schema --tables`, such as codes, from what `annotate` gave.

    `number`, by which tables join, is made of the row's content here, since rows of a DataFrame have no place: join on
    `number` and `result` together. Results are read anew for each table: write them first, and take tables of what was
    written. Raises `InputError` for a name that is no table, or `run`, which only a batch has.
    """
    names = [each for each in tables.TABLES if each != "run"]
    if name not in names:
        raise InputError(f"{name!r} is not one of {', '.join(names)}")
    wanted = [each for each in _TABLED if each in results.columns]
    if missing := {"id", "state", "result"}.difference(wanted):
        raise InputError(f"the DataFrame has no column {min(missing)!r}; give what annotate() gave")

    def work(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        return _quietly(_tabled(_plain(batches), name))

    return results.select(*wanted).mapInArrow(work, _ddl(tables.arrow_schema(tables.TABLES[name])))


def files(spark: SparkSession, found: Sources, extractor: Extractor, options: Options) -> DataFrame:
    """What `annotate` gives, of the notes of files that every worker can reach by the same paths, in their order.

    With it come `source`, where the note stands, and `sha256`, of its content. A task reads whole files.
    Raises `InputError` for a folder that cannot be read, and for columns of encounters, whose rows may lie in several files.
    """
    if found.failures:
        raise InputError(f"{found.failures[0].where}: {found.failures[0].says}")
    if options.columns.encounter:
        raise InputError("files are read apart from one another; for encounters read them with Spark, and annotate()")
    paths = list(found.files())
    wanted = max(spark.sparkContext.defaultParallelism * _TASKS, (found.size or 0) // _TASK_BYTES)
    slices = max(1, min(len(paths), wanted))
    given = spark.createDataFrame(spark.sparkContext.parallelize(paths, slices), "path string, name string")
    shipped, columns, size = _shipped(Reader(extractor, options)), options.columns, options.max_size

    def work(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        items = (item for row in _plain(batches) for item in sources.inputs_of(row["path"], row["name"], columns, size))
        return _quietly(_worked(items, shipped, _tried(), _SOURCED))

    return given.mapInArrow(work, _ddl(_schema(_SOURCED)))


def session(master: str, progress: bool = False) -> SparkSession:
    """A session of the cluster at this URL, whose files only their owner can read. `progress`: Spark's bar, on stderr.

    Raises `InputError` when Spark is missing or does not start.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise InputError("--engine spark needs: pip install 'parsnlp[spark]'") from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("parsnlp batch").config("spark.log.level", "ERROR")
    builder = builder.config("spark.ui.enabled", False).config("spark.ui.showConsoleProgress", progress)
    builder = builder.config("spark.hadoop.fs.permissions.umask-mode", "077")
    with _told("does not start; it needs Java 17 or later, and a --master that answers"):
        return builder.getOrCreate()


def write(
    spark: SparkSession, found: Sources, out: Path, extractor: Extractor, options: Options, force: bool = False
) -> Tally:
    """Read the files and write `out`, a folder of Parquet parts with the columns of `files`, in the order of the notes.

    Raises `InputError` as `files` does, when `out` is there and not to be replaced (`force`), and when the job fails.
    """
    if not out.parent.is_dir():
        raise InputError(f"{out}: its folder {out.parent} does not exist; make it first")
    if out.exists() and not force:
        raise InputError(f"{out}: exists already; choose another --out, or --force to replace it")
    if out.exists() and not (out.is_dir() and all(_OURS.fullmatch(path.name) for path in out.iterdir())):
        raise InputError(f"{out}: is or holds something else, which --force does not replace; choose another --out")
    with _told("stopped before the work was done; the logs of its driver and its workers tell why"):
        files(spark, found, extractor, options).write.mode("overwrite").parquet(str(out))
        return tally(spark.read.parquet(str(out)))


@contextmanager
def _told(says: str) -> Iterator[None]:
    """Tell of an error of Spark's as our own, without its message, which may be long and quote anything."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise InputError(f"Spark {says} ({type(error).__name__})") from None


def tally(results: DataFrame) -> Tally:
    """What is counted of results: counts alone come to the driver."""
    from pyspark.sql import functions as sql

    def total(condition: Any, name: str) -> Any:
        return sql.coalesce(sql.sum(condition.cast("bigint")), sql.lit(0)).alias(name)

    state = sql.col("state")
    kept = {each.name for each in fields(Tally)}
    row = results.agg(
        total(state != "failed", "notes"),
        total(state == "done", "written"),
        total(state == "failed", "failed"),
        total(sql.size("codes") > 0, "coded"),
        total(sql.col("review"), "review"),
        total(sql.col("notices") > 0, "assumed"),
        *(total(sql.col(name), name) for name in _COUNTS if name in kept),
    ).first()
    assert row is not None
    codes = results.select(sql.explode("codes").alias("code")).groupBy("code").count().collect()
    stamps = results.where("stamp is not null").groupBy("stamp").count().collect()
    return Tally.again({**row.asDict(), "stamps": dict(stamps), "codes": dict(codes)})


# --- on the driver --------------------------------------------------------------------------------------------------

_COUNTS = tuple(name for name, kind in get_type_hints(Fact).items() if kind is int and name != "number")
_OUTCOME = ("id", "state", "result", "codes", "review", *_COUNTS, "stamp", "stage", "reason")
_SOURCED = (*_OUTCOME, "source", "sha256")
_TABLED = ("id", "state", "result", "stage", "reason", "source", "sha256")


def _schema(names: Sequence[str]) -> pyarrow.Schema:
    """The types of these columns. Raises `InputError` when pyarrow is missing."""
    try:
        import pyarrow
    except ImportError:
        raise InputError("Spark needs: pip install 'parsnlp[spark]', here and on its workers") from None
    types = {"codes": pyarrow.list_(pyarrow.field("item", pyarrow.string())), "review": pyarrow.bool_()}
    types |= dict.fromkeys(_COUNTS, pyarrow.int64())
    always = {"id", "state", *types}
    return pyarrow.schema(
        [pyarrow.field(name, types.get(name, pyarrow.string()), name not in always) for name in names]
    )


def _ddl(schema: pyarrow.Schema) -> str:
    """An Arrow schema in Spark's words."""
    return ", ".join(
        f"`{field.name}` {_TYPES[str(field.type)]}{'' if field.nullable else ' NOT NULL'}" for field in schema
    )


def _wanted(types: Sequence[tuple[str, str]], columns: Columns, order: str | None) -> list[str]:
    """The columns to read, by the names and types of those that are there."""
    there = dict(types)
    names = [name for name, _ in types]
    for name in dict.fromkeys([*columns.needed(), columns.id, *([order] if order else [])]):
        if name not in there:
            raise InputError(f"the DataFrame has no column {name!r}; it has {', '.join(names)}")
    wanted = {key: name for key, name in columns.names().items() if name in there}
    for key, name in wanted.items():
        if names.count(name) > 1:
            raise InputError(f"two columns of the DataFrame are named {name!r}; give each its own name")
        allowed = _ALLOWED.get(key, ("string",))
        if there[name].partition("(")[0] not in allowed:
            raise InputError(
                f"the column {name!r}, read as the {key}, is of type {there[name]}, not {' or '.join(allowed)}; "
                f"name another, or cast it"
            )
    return list(dict.fromkeys([*wanted.values(), *([order] if order else [])]))


class _Shipped(NamedTuple):
    """A reader on its way, and what must be the same where it arrives."""

    packed: bytes
    engine: str
    editions: tuple[tuple[str, str], ...]


def _shipped(reader: Reader) -> _Shipped:
    return _Shipped(pickle.dumps(reader), ENGINE, _editions())


def _editions() -> tuple[tuple[str, str], ...]:
    return tuple((edition.id, edition.sha256) for edition in icd10cm.editions())


# --- on the workers -------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def _loaded(shipped: _Shipped) -> Reader:
    """The reader, made once in a process and kept for its next tasks. Raises `InputError` when it would decide otherwise here."""
    if shipped.engine != ENGINE:
        raise InputError(f"a worker has {ENGINE}, the driver {shipped.engine}; install the same on all")
    if shipped.editions != _editions():
        raise InputError("a worker has other editions of ICD-10-CM than the driver; import the same on all")
    reader: Reader = pickle.loads(shipped.packed)
    return reader


def _tried() -> bool:
    """Whether this task has failed before."""
    from pyspark import TaskContext

    task = TaskContext.get()
    return task is not None and task.attemptNumber() > 0


def _plain(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[Mapping[str, Any]]:
    """The rows of all batches, few of them as Python objects at a time."""
    for batch in batches:
        for at in range(0, batch.num_rows, _AT_ONCE):
            yield from batch.slice(at, _AT_ONCE).to_pylist()


def _inputs(given: Iterable[Mapping[str, Any]], columns: Columns) -> Iterator[Input]:
    """Rows as inputs, those of one encounter that stand next to each other together, whichever batch they came with."""
    numbered = ((number, columns.picked(row)) for number, row in enumerate(given))
    read = (Row(str(picked.get("id", "")), number, picked) for number, picked in numbered)
    for name, some in groupby(read, lambda row: sources.encounter_name(row) or row.number):
        together = tuple(some)
        alone = isinstance(name, int)
        yield _input(together[0].where if alone else str(name), together, columns)


def _input(name: str, together: tuple[Row, ...], columns: Columns) -> Input:
    if any("id" not in row.fields for row in together):
        return Input(name, name, "", 0, failure=Failure(name, f"{columns.id!r} is missing"))
    return Input(name, name, "", 0, rows=together)


def _worked(
    items: Iterable[Input], shipped: _Shipped, tried: bool, names: Sequence[str]
) -> Iterator[pyarrow.RecordBatch]:
    """What becomes of the inputs, as Arrow. `tried`: in processes of their own, so that what ends one is found."""
    import pyarrow

    schema = _schema(names)
    for some in parallel.in_batches(_decided(items, _loaded(shipped), tried), _AT_ONCE, _weight):
        columns = zip(*([row.get(name) for name in names] for row in some), strict=True)
        arrays = [pyarrow.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
        yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def _weight(row: Mapping[str, Any]) -> int:
    return len(row["result"] or "")


def _decided(items: Iterable[Input], reader: Reader, tried: bool) -> Iterator[Mapping[str, Any]]:
    heads: deque[tuple[str, str]] = deque()

    def noted() -> Iterator[Input]:
        for item in items:
            heads.append((item.where, item.sha256))
            yield item

    workers = 2 if tried else 1  # one would read here
    for outcomes in parallel.ordered(reader, noted(), workers, weigh=Input.size, crashed=crashed):
        head = heads.popleft()
        for outcome in outcomes:
            yield _row(outcome, *head)


def _row(outcome: Outcome, source: str, sha256: str) -> dict[str, Any]:
    line, fact = outcome
    return {
        "codes": [],
        "review": False,
        **dict.fromkeys(_COUNTS, 0),
        **fact,
        "result": None if line is None else line.decode("utf-8"),
        "source": source,
        "sha256": sha256,
    }


def _quietly(batches: Iterator[T]) -> Iterator[T]:
    """What is given; of an error on the way, which Spark would write to its logs, nothing but our own words or its type."""
    try:
        yield from batches
    except ParsnlpError:
        raise
    except Exception as error:  # its message may quote a note
        raise ParsnlpError(f"a task stopped with {type(error).__name__}; please report this") from None


def _tabled(given: Iterable[Mapping[str, Any]], name: str) -> Iterator[pyarrow.RecordBatch]:
    """The rows of one table, as Arrow."""
    declared = tables.TABLES[name]
    schema = tables.arrow_schema(declared)
    for some in parallel.in_batches(_rows_of_table(given, name), _AT_ONCE, lambda row: 0):
        yield from outputs.arrow(declared, schema, some).to_batches()


def _rows_of_table(given: Iterable[Mapping[str, Any]], name: str) -> Iterator[tables.Row]:
    for row in given:
        known = {"id": row["id"], "where": row.get("source"), "sha256": row.get("sha256")}
        if row["state"] == "done":
            yield from (
                cells for each, cells in tables.rows(_number(row), json.loads(row["result"]), known) if each == name
            )
        elif row["state"] == "failed" and name == "errors":
            yield tables.error(
                {**known, "number": _number(row), "stage": row.get("stage"), "reason": row.get("reason")}
            )[1]


def _number(row: Mapping[str, Any]) -> int:
    """A number of 63 bits made of a row's content."""
    content = json.dumps([row["id"], row["result"], row.get("source")])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") >> 1
