"""Spark: what needs no Spark, then a real cluster on loopback, a master and two workers in processes of their own."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

import parsnlp
from parsnlp.errors import InputError, ParsnlpError
from parsnlp.interfaces import job, spark, tables
from parsnlp.interfaces.batch import Options, Reader
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.sources import Columns, Sources

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "scale.md"
PROGRAM = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]
LYSIS, SLIP = "CT: L5 pars defects.", "Grade 1 anterolisthesis of L4 on L5."
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


# --- without Spark --------------------------------------------------------------------------------------------------


def batches(rows: Rows, size: int) -> Iterator[pyarrow.RecordBatch]:
    """Rows as Spark hands them over, so many at a time."""
    yield from pyarrow.Table.from_pylist(rows).to_batches(max_chunksize=size)


def grouped(rows: Rows, size: int) -> list[tuple[str, list[str]]]:
    columns = Columns(encounter="visit")
    return [
        (item.id, [str(row.fields["id"]) for row in item.rows])
        for item in spark._inputs(spark._plain(batches(rows, size)), columns)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_group_that_straddles_batches_stays_whole(size: int) -> None:
    visits = [None, "", "A", "A", "A", "B", "C", "C", None, None]
    rows = [{"id": f"n{at}", "text": LYSIS, "visit": visit} for at, visit in enumerate(visits)]
    assert grouped(rows, size) == [
        ("n0", ["n0"]),
        ("n1", ["n1"]),
        ("A", ["n2", "n3", "n4"]),
        ("B", ["n5"]),
        ("C", ["n6", "n7"]),
        ("n8", ["n8"]),
        ("n9", ["n9"]),
    ]


def test_names_may_be_numbers() -> None:
    assert grouped([{"id": at, "text": LYSIS, "visit": at // 2} for at in range(4)], 3) == [
        ("0", ["0", "1"]),
        ("1", ["2", "3"]),
    ]


def worked(rows: Rows, extractor: parsnlp.Extractor, columns: Columns | None = None, **options: Any) -> Rows:
    columns = columns or Columns()
    shipped = spark._shipped(Reader(extractor, Options(columns=columns, **options)))
    items = spark._inputs(spark._plain(batches(rows, 3)), columns)
    made = list(spark._worked(items, shipped, False, spark._OUTCOME))
    return [row for batch in made for row in batch.to_pylist()]


def test_rows_hold_the_result_or_what_is_wrong(extractor: parsnlp.Extractor, canary: str) -> None:
    given = [
        {"id": "a", "text": f"{LYSIS} {canary}", "date": datetime.date(2026, 5, 1)},
        {"id": "b", "text": None, "date": None},
        {"id": None, "text": canary, "date": None},
        {"id": "d", "text": f"Knee pain, {canary}.", "date": None},
        {"id": "e", "text": f"{SLIP} " + canary * 100, "date": None},
    ]
    rows = worked(given, extractor, max_size=1_000, only="coded", text=False)
    assert [(row["id"], row["state"], row["stage"], row["reason"]) for row in rows] == [
        ("a", "done", None, None),
        ("b", "failed", "read", "'text' is missing"),
        ("", "failed", "read", "'id' is missing"),
        ("d", "left_out", None, None),
        ("e", "failed", "read", "larger than --max-size, 1000 bytes"),
    ]
    note = parsnlp.Note(id="a", text=str(given[0]["text"]), date="2026-05-01")
    assert rows[0]["result"] == extractor.extract(note).to_json(text=False) and rows[0]["codes"] == ["M43.06"]
    assert all(row["result"] is None and row["codes"] == [] for row in rows[1:])
    assert canary not in repr(rows)


def test_an_encounter_whose_documents_share_an_id_fails_alone(extractor: parsnlp.Extractor) -> None:
    given = [{"id": "a", "text": LYSIS, "visit": visit} for visit in ("1", "1", "2")]
    rows = worked(given, extractor, Columns(encounter="visit"))
    assert [(row["id"], row["state"]) for row in rows] == [("1", "failed"), ("2", "done")]
    assert rows[0]["reason"].startswith("two documents of this encounter have the same id")


def test_an_unforeseen_error_is_told_without_its_words(canary: str) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError(canary)

    with pytest.raises(ParsnlpError, match="a task stopped with ValueError") as raised:
        list(spark._quietly(broken()))
    assert raised.value.__suppress_context__


def test_a_worker_with_another_engine_or_edition_does_not_decide(extractor: parsnlp.Extractor) -> None:
    shipped = spark._shipped(Reader(extractor, Options()))
    assert spark._loaded(shipped) is spark._loaded(shipped)
    with pytest.raises(InputError, match=r"a worker has parsnlp .*, the driver parsnlp 9; install the same"):
        spark._loaded(shipped._replace(engine="parsnlp 9"))
    with pytest.raises(InputError, match="other editions"):
        spark._loaded(shipped._replace(editions=()))


TYPES = [("id", "bigint"), ("text", "string"), ("visit", "string"), ("date", "timestamp"), ("kind", "int")]


def test_columns_are_those_named_and_those_that_are_there() -> None:
    assert spark._wanted(TYPES, Columns(kind="", encounter="visit"), None) == ["text", "id", "date", "visit"]
    assert spark._wanted(TYPES, Columns(kind=""), "kind") == ["text", "id", "date", "kind"]


@pytest.mark.parametrize(
    ("columns", "order", "says"),
    [
        (Columns(text="note"), None, "the DataFrame has no column 'note'; it has id, text, visit, date, kind"),
        (Columns(kind="", id="number"), None, "no column 'number'"),
        (Columns(kind="", encounter="csn"), None, "no column 'csn'"),
        (Columns(kind=""), "at", "no column 'at'"),
        (Columns(), None, "the column 'kind', read as the kind, is of type int, not string; name another, or cast it"),
        (Columns(text="id", id="text", kind=""), None, "the column 'id', read as the text, is of type bigint"),
    ],
)
def test_columns_that_cannot_be_read(columns: Columns, order: str | None, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        spark._wanted(TYPES, columns, order)
    with pytest.raises(InputError, match="two columns of the DataFrame are named 'text'"):
        spark._wanted([*TYPES[:3], ("text", "string")], Columns(), None)


@pytest.mark.parametrize("name", [name for name in tables.TABLES if name != "run"])
def test_every_table_has_a_schema_in_spark_s_words(name: str) -> None:
    declared = tables.TABLES[name]
    ddl = spark._ddl(tables.arrow_schema(declared))
    assert re.findall(r"`(\w+)`", ddl) == [column.name for column in declared.columns]
    assert ddl.count(" NOT NULL") == sum(not column.nullable for column in declared.columns)


def test_the_rows_of_tables_are_those_of_a_batch(extractor: parsnlp.Extractor) -> None:
    rows = worked([{"id": "a", "text": f"{LYSIS} {SLIP}"}, {"id": "b", "text": None}], extractor)
    number = spark._number(rows[0])
    expected = list(tables.rows(number, json.loads(rows[0]["result"]), {}))
    assert 0 <= number < 2**63
    for name in ("notes", "codes", "findings", "evidence", "care"):
        found = [tuple(row.values()) for batch in spark._tabled(iter(rows), name) for row in batch.to_pylist()]
        assert found == [cells for each, cells in expected if each == name]
    (error,) = [row for batch in spark._tabled(iter(rows), "errors") for row in batch.to_pylist()]
    assert (error["result"], error["stage"], error["reason"]) == ("b", "read", "'text' is missing")


SPARK = ("--engine", "spark", "--master", "spark://127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "dask"], "--engine dask is not one of local, spark"),
        (["--engine", "spark"], "--engine spark needs --master"),
        (["--master", "local[2]"], "--master is the cluster's of --engine spark"),
        ([*SPARK, "--resume"], "--resume: not with --engine spark"),
        ([*SPARK, "--workers", "2", "--part-size", "7"], "--workers, --part-size: not with --engine spark"),
        ([*SPARK, "--encounter-column", "visit"], "--encounter-column: not with --engine spark"),
        ([*SPARK, "--format", "csv"], "writes a folder of Parquet parts"),
        ([*SPARK, "-"], "-: --engine spark needs absolute paths"),
    ],
)
def test_options_that_spark_does_not_have_are_refused(arguments: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LYSIS)
    done = CliRunner().invoke(app, ["batch", str(tmp_path), "--out", str(tmp_path / "o.parquet"), *arguments])
    assert done.exit_code == 2 and says in done.stderr
    assert not (tmp_path / "o.parquet").exists()


def test_without_spark_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    (tmp_path / "a.txt").write_text(LYSIS)
    done = CliRunner().invoke(app, ["batch", str(tmp_path), "--out", str(tmp_path / "o.parquet"), *SPARK])
    assert done.exit_code == 2 and "pip install 'parsnlp[spark]'" in done.stderr


# --- on a cluster ---------------------------------------------------------------------------------------------------


def on_a_cluster(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.slow(pytest.mark.allow_hosts(["127.0.0.1", "localhost"])(test))


@dataclass
class Cluster:
    """A master and two workers. `place`: what their processes print and log."""

    url: str
    place: Path
    environment: Mapping[str, str]
    workers: list[subprocess.Popen[bytes]]

    def start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        import pyspark

        command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), f"org.apache.spark.deploy.{what}"]
        with (self.place / f"{what}-{len(self.workers)}.log").open("ab") as log:
            return subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--webui-port", "0", *arguments],
                env=self.environment,
                cwd=self.place,
                stdout=log,
                stderr=log,
            )

    def add_worker(self) -> None:
        work = str(self.place / f"work-{len(self.workers)}")
        worker = self.start("worker.Worker", "--cores", "2", "--memory", "2g", "--work-dir", work, self.url)
        self.workers.append(worker)

    def executors(self) -> list[int]:
        """The processes that do the work, one of each worker."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                here = str(self.place) in str((path / "cwd").readlink())
                if here and b"CoarseGrainedExecutorBackend" in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
        return found

    def said(self) -> str:
        """All that master, workers and executors have printed or logged."""
        return "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in self.place.rglob("*")
            if path.is_file() and (path.suffix == ".log" or path.name in ("stdout", "stderr"))
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    assert shutil.which("java"), "Spark needs Java 17"
    place = tmp_path_factory.mktemp("cluster")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": paths}
    made = Cluster(f"spark://127.0.0.1:{port}", place, environment, [])
    master = made.start("master.Master", "--port", str(port))
    try:
        made.add_worker()
        made.add_worker()
        deadline = time.monotonic() + 120
        while made.said().count("Registering worker") < 2:
            assert time.monotonic() < deadline and master.poll() is None, made.said()
            time.sleep(0.2)
        yield made
    finally:
        for process in [*made.workers, master]:
            process.kill()
            process.wait()


Session = Any


@pytest.fixture(scope="module")
def session(cluster: Cluster) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SPARK_LOCAL_IP", "PYSPARK_PYTHON", "PYTHONPATH"):
            patch.setenv(name, cluster.environment[name])
        patch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.cores.max=2 pyspark-shell")  # leaves some to the commands
        with spark.session(cluster.url) as made:
            made.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 7)  # so that groups straddle batches
            made.conf.set("spark.sql.shuffle.partitions", 3)
            yield made


@pytest.fixture(scope="module")
def notes() -> Rows:
    """Notes about the spine and others, so many that each task takes a while."""
    texts = [path.read_text("utf-8") for path in sorted((ROOT / "corpora" / "dev" / "notes").glob("*.txt"))]
    texts += [LYSIS, SLIP, "Knee pain.", "\u200bpars \U0001f9b4 defect at L5", ""]
    return [{"id": f"n{at:04d}", "text": texts[at % len(texts)], "visit": f"v{at % 97}"} for at in range(400)]


def locally(rows: Rows, place: Path, extractor: parsnlp.Extractor, columns: Columns | None = None) -> list[str]:
    """The JSON lines that `parsnlp batch` makes of rows."""
    given, out = place / "rows.jsonl", place / "local.jsonl"
    given.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    columns = columns or Columns()
    job.run(Sources([str(given)], columns), out, extractor, Options(columns=columns), force=True)
    return out.read_text(encoding="utf-8").split("\n")[:-1]


def laid(rows: Rows, path: Path, files: int = 6) -> str:
    """Rows as a Parquet dataset, in order."""
    path.mkdir()
    for at in range(files):
        some = rows[at * len(rows) // files : (at + 1) * len(rows) // files]
        parquet.write_table(pyarrow.Table.from_pylist(some), path / f"{at:03d}.parquet")
    return str(path)


def lines(frame: Any) -> list[str]:
    """The results of a frame in the order of their ids."""
    return [row.result for row in frame.orderBy("id").collect() if row.result is not None]


@on_a_cluster
def test_the_bytes_of_a_local_run(session: Session, notes: Rows, tmp_path: Path, extractor: parsnlp.Extractor) -> None:
    frame = session.read.parquet(laid(notes, tmp_path / "notes"))
    results = spark.annotate(frame)
    assert lines(results) == locally(notes, tmp_path, extractor)
    assert [name for name, _ in results.dtypes] == list(spark._OUTCOME) and dict(results.dtypes)[
        "codes"
    ] == "array<string>"


@on_a_cluster
def test_encounters_are_decided_on_together(
    session: Session, notes: Rows, tmp_path: Path, extractor: parsnlp.Extractor
) -> None:
    alone = [{**row, "visit": "" if at % 2 else None} for at, row in enumerate(notes[-20:])]
    rows = [*notes[:-20], *alone]
    frame = session.read.parquet(laid(rows, tmp_path / "notes"))
    results = spark.annotate(frame, encounter="visit")
    local = locally(rows, tmp_path, extractor, Columns(encounter="visit"))
    assert lines(results) == sorted(local, key=lambda line: json.loads(line)["id"])
    assert len(local) == 97 + 20


@on_a_cluster
def test_documents_come_in_the_order_that_is_named(session: Session, tmp_path: Path) -> None:
    rows = [{"id": f"n{at}", "text": LYSIS, "visit": "v", "at": -at} for at in range(30)]
    (row,) = spark.annotate(
        session.read.parquet(laid(rows, tmp_path / "notes")), encounter="visit", order="at"
    ).collect()
    assert [each["id"] for each in json.loads(row.result)["documents"]] == [f"n{at}" for at in reversed(range(30))]


@on_a_cluster
def test_own_rules_and_policy_travel(session: Session, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "targets").mkdir(parents=True)
    (own / "targets" / "own.yaml").write_text(
        "category: spondylolysis\nrules:\n  - id: own.gap\n    literal: isthmus gap\n"
        "    pattern: '\\bisthmus gaps?\\b'\n    policy: P-C1\n"
        "    examples: |\n      Bilateral [[isthmus gap]] at L5.\n    counter_examples: |\n      Thyroid isthmus.\n"
    )
    rows = [{"id": "a", "text": "CT: isthmus gap at L5."}, {"id": "b", "text": f"{LYSIS} {SLIP}"}]
    frame = session.read.parquet(laid(rows, tmp_path / "notes", 1))
    loaded = parsnlp.load(patterns=own, excludes1="strict")
    shutil.rmtree(own)
    first, second = spark.annotate(frame, extractor=loaded, quote=False).orderBy("id").collect()
    assert first.codes == ["M43.06"]
    expected = [loaded.extract(parsnlp.Note(**row)).to_json(text=False) for row in rows]
    assert [first.result, second.result] == expected


@on_a_cluster
def test_tables_and_counts(session: Session, notes: Rows, tmp_path: Path) -> None:
    rows = [*notes[:40], {"id": "bad", "text": None, "visit": None}]
    spark.annotate(session.read.parquet(laid(rows, tmp_path / "notes"))).write.parquet(str(tmp_path / "out"))
    results = session.read.parquet(str(tmp_path / "out"))
    codes = [code for row in results.collect() for code in row.codes]
    assert codes and sorted(row.code for row in spark.table(results, "codes").collect()) == sorted(codes)
    assert spark.table(results, "notes").count() == 40
    (error,) = spark.table(results, "errors").collect()
    assert (error.result, error.reason) == ("bad", "'text' is missing")
    counted = spark.tally(results)
    assert (counted.notes, counted.failed, counted.codes.total()) == (40, 1, len(codes))
    with pytest.raises(InputError, match="'run' is not one of notes"):
        spark.table(results, "run")


def in_the_middle(session: Session, kill: Callable[[], bool]) -> threading.Thread:
    """What calls `kill` until it says that it has, when some tasks of a job are done and others are not."""

    def watch() -> None:
        tracker = session.sparkContext.statusTracker()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for stage in tracker.getActiveStageIds():
                found = tracker.getStageInfo(stage)
                if found and found.numTasks > 8 and found.numCompletedTasks and found.numActiveTasks and kill():
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@on_a_cluster
@pytest.mark.parametrize("what", ["python", "executor", "worker"])
def test_what_is_killed_in_the_middle_changes_nothing(
    cluster: Cluster,
    session: Session,
    notes: Rows,
    tmp_path: Path,
    extractor: parsnlp.Extractor,
    what: str,
    kills: Callable[[int], int],
    noted: Callable[..., None],
) -> None:
    expected = locally(notes, tmp_path, extractor)
    frame = session.read.parquet(laid(notes, tmp_path / "notes")).repartition(24)
    killed: list[int] = []

    def kill() -> bool:
        executors = cluster.executors()
        if what == "worker":
            lost = cluster.workers.pop(0)
            doomed = [lost.pid, *(pid for pid in executors if parent(pid) == lost.pid)]
        else:
            doomed = executors[:1] if what == "executor" else pythons(executors)
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        if what == "worker":
            lost.wait()
            cluster.add_worker()
        killed.extend(doomed)
        return bool(doomed)

    while len(killed) < kills(1):
        before = len(killed)
        watching = in_the_middle(session, kill)
        found = lines(spark.annotate(frame))
        watching.join()
        assert len(killed) > before
        assert found == expected
    noted(f"Spark: {what} killed in the middle of a job", kills=len(killed))


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pythons(executors: Sequence[int]) -> list[int]:
    """The processes that read notes for these executors: children of the daemon below each."""
    below = {int(path.name): parent(int(path.name)) for path in Path("/proc").glob("[0-9]*") if path.exists()}
    daemons = {pid for pid, above in below.items() if above in executors}
    return [pid for pid, above in below.items() if above in daemons]


DEADLY = """
import os, signal, time
from parsnlp.extractor import Extractor

class Deadly(Extractor):
    def extract_encounter(self, notes, **given):
        text = notes[0].text
        if "fatal" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "endless" in text:
            time.sleep(60)
        if "broken" in text:
            raise ValueError(text)
        return super().extract_encounter(notes, **given)

class Unloadable(Extractor):
    def __getstate__(self):
        return {"text": self.text}

    def __setstate__(self, state):
        raise ValueError(state["text"])
"""


@pytest.fixture(scope="module")
def deadly(session: Session, cluster: Cluster) -> Iterator[Any]:
    """A module of extractors that do not behave, which the workers have too."""
    path = cluster.place / "deadly.py"
    path.write_text(DEADLY)
    session.sparkContext.addPyFile(str(path))
    import deadly

    yield deadly


@on_a_cluster
def test_a_note_that_fails_fails_alone_and_no_log_has_its_text(
    cluster: Cluster, session: Session, deadly: Any, tmp_path: Path, canary: str, extractor: parsnlp.Extractor
) -> None:
    texts = {"fatal": "crash", "endless": "timeout", "broken": "extract"}
    rows = [{"id": f"n{at}", "text": f"{LYSIS} {canary}"} for at in range(30)]
    rows += [{"id": word, "text": f"{word} {canary}"} for word in texts]
    frame = session.read.parquet(laid(rows, tmp_path / "notes", 2))
    session.sparkContext.setLogLevel("DEBUG")
    try:
        found = spark.annotate(frame, extractor=deadly.Deadly(extractor.ruleset), timeout=15).collect()
    finally:
        session.sparkContext.setLogLevel("ERROR")
    failed = {row.id: row for row in found if row.state == "failed"}
    assert {name: row.stage for name, row in failed.items()} == texts
    assert failed["broken"].reason.startswith("could not be read by the extractor (ValueError)")
    assert len(found) == 33 and all(row.codes == ["M43.06"] for row in found if row.id not in texts)
    assert not any(canary in str(row.reason) for row in found)
    assert "Finished task" in cluster.said() and canary not in cluster.said()


@on_a_cluster
def test_an_error_that_crosses_to_the_driver_quotes_nothing(
    cluster: Cluster, session: Session, deadly: Any, tmp_path: Path, canary: str, extractor: parsnlp.Extractor
) -> None:
    from pyspark.errors import PySparkException

    unloadable = deadly.Unloadable(extractor.ruleset)
    unloadable.text = canary
    frame = session.read.parquet(laid([{"id": "a", "text": canary}], tmp_path / "notes", 1))
    with pytest.raises(PySparkException) as raised:
        spark.annotate(frame, extractor=unloadable).collect()
    assert "a task stopped with ValueError; please report this" in str(raised.value)
    assert canary not in str(raised.value) and canary not in repr(raised.value)
    assert "a task stopped with ValueError" in cluster.said() and canary not in cluster.said()


def program(cluster: Cluster, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "batch", *map(str, arguments)]
    return subprocess.run(command, env=cluster.environment, capture_output=True, text=True, check=False)


@on_a_cluster
def test_the_command_gives_the_bytes_and_failures_of_a_local_run(cluster: Cluster, tmp_path: Path, canary: str) -> None:
    given = tmp_path / "notes"
    (given / "inside").mkdir(parents=True)
    for at in range(20):
        (given / "inside" / f"{at:02d}.txt").write_text(f"{LYSIS} {SLIP} {canary} {at}")
    (given / "binary.txt").write_bytes(b"\0" + canary.encode())
    (given / "latin.txt").write_bytes(f"{LYSIS} Ménière, {canary}".encode("latin-1"))
    (given / "table.csv").write_text(f"id,text\na,{LYSIS} {canary}\n,{SLIP}\nc,{canary},{canary}\n")
    (given / "lines.jsonl").write_text(f'{{"id": "x", "text": "{SLIP}"}}\n{{"text": {canary}\n')
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2], "text": [LYSIS, None]}), given / "t.parquet")
    local, out = tmp_path / "local.jsonl", tmp_path / "out.parquet"
    alone = program(cluster, given, "--out", local)
    assert alone.returncode == 3
    done = program(cluster, given, "--out", out, "--engine", "spark", "--master", cluster.url)
    assert done.returncode == 3, done.stderr
    rows = [row for path in sorted(out.glob("part-*.parquet")) for row in parquet.read_table(path).to_pylist()]
    facts = [json.loads(line) for line in Path(f"{local}.run/inputs.jsonl").read_text().splitlines()]
    assert [row["result"] for row in rows if row["result"]] == local.read_text(encoding="utf-8").splitlines()
    for row, fact in zip(rows, facts, strict=True):
        told = (fact["id"], fact["state"], fact.get("stage"), fact.get("reason"), fact["where"], fact["sha256"])
        assert (row["id"], row["state"], row["stage"], row["reason"], row["source"], row["sha256"]) == told
    (counted,) = (line for line in alone.stderr.splitlines() if " read, " in line)
    assert counted.startswith("25 read, 25 with codes") and counted in done.stderr.splitlines()
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}
    assert canary not in done.stderr + done.stdout + cluster.said()
    before = parquet.read_table(sorted(out.glob("part-*.parquet"))[0])
    again = program(cluster, given, "--out", out, "--engine", "spark", "--master", cluster.url, "--force", "--quiet")
    assert again.returncode == 3 and "read," not in again.stderr
    assert parquet.read_table(sorted(out.glob("part-*.parquet"))[0]).equals(before)


@pytest.mark.parametrize(
    ("there", "force", "says"),
    [
        ("o.parquet/part-0.parquet", False, "exists already; choose another --out, or --force"),
        ("o.parquet/thesis.docx", True, "is or holds something else, which --force does not replace"),
        ("o.parquet", True, "is or holds something else, which --force does not replace"),
    ],
)
def test_what_is_there_is_not_replaced_unasked(
    there: str, force: bool, says: str, tmp_path: Path, extractor: parsnlp.Extractor
) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("")
    (tmp_path / "a.txt").write_text(LYSIS)
    with pytest.raises(InputError, match=says):
        spark.write(
            None,
            Sources([str(tmp_path / "a.txt")]),
            tmp_path / "o.parquet",
            extractor,
            Options(),
            force,  # type: ignore[arg-type]
        )
    assert (tmp_path / there).exists()


@on_a_cluster
def test_a_master_that_is_not_there_is_told(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LYSIS)
    done = program(cluster, tmp_path, "--out", tmp_path / "o.parquet", "--engine", "spark", "--master", "nonsense")
    assert done.returncode == 2 and "parsnlp: Spark does not start" in done.stderr and "Traceback" not in done.stderr


@on_a_cluster
@pytest.mark.prints_note_text
def test_the_guide_s_examples_print_what_they_say(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    assert examples
    for code in examples:
        exec(code, {"__name__": "example"})
        printed = capsys.readouterr().out.splitlines()
        assert printed == re.findall(r"^#> ?(.*)$", code, re.M)
