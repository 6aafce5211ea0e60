"""The command batch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    INTERRUPTED,
    SOME_FAILED,
    Excludes1,
    NoText,
    Patterns,
    Procedures,
    Setting,
    StressFracture,
    StrictRelease,
    app,
    load,
)

if TYPE_CHECKING:
    from parsnlp.extractor import Extractor
    from parsnlp.interfaces.batch import Fact, Options, Tally
    from parsnlp.interfaces.job import Done
    from parsnlp.interfaces.sources import Sources

_TOLD = 10  # failures that are told one by one; all are in a file
_Step = Callable[["Tally", int, int], None]


def _column(what: str) -> Any:
    return typer.Option(metavar="NAME", help=f"The column of tables that holds {what}.")


@app.command()
def batch(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Folders, files, quoted patterns; - is standard input.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="OUT", help="Where the results go; its ending says the format.")
    ],
    form: Annotated[
        str | None, typer.Option("--format", metavar="jsonl|parquet|csv|duckdb", help="Whatever --out ends in.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Begin anew, and replace --out if it exists.")] = False,
    only: Annotated[
        str, typer.Option(metavar="all|coded|review", help="Which results to keep; all notes are read and counted.")
    ] = "all",
    no_text: NoText = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, metavar="N", help="Processes that share the work; results are the same.")
    ] = 1,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="The most time for one input; 0 for any.")
    ] = 60,
    max_size: Annotated[int, typer.Option(min=1, metavar="BYTES", help="The most text of one note.")] = 5_000_000,
    part_size: Annotated[
        int, typer.Option(min=1, metavar="N", help="Inputs done between two savings; a stop loses no more.")
    ] = 500,
    text_column: Annotated[str, _column("the note")] = "text",
    id_column: Annotated[str, _column("its id")] = "id",
    setting_column: Annotated[str, _column("outpatient or inpatient")] = "setting",
    date_column: Annotated[str, _column("the date")] = "date",
    patient_column: Annotated[str, _column("the patient's id")] = "patient",
    encounter_column: Annotated[
        str | None, _column("the encounter's id: its rows are then decided on together, wherever they stand")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
    engine: Annotated[str, typer.Option(metavar="local|spark", help="Where the work is done.")] = "local",
    master: Annotated[
        str | None, typer.Option(metavar="URL", help="With --engine spark: the cluster's master.")
    ] = None,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
    strict_release: StrictRelease = False,
    procedures: Procedures = None,
) -> None:
    """Read any number of notes; stop and resume it at will.

    Folders are searched at any depth. Read are .txt (a note each), tables with a note a row: .jsonl and .ndjson
    (objects with "text" and, where known, "id", "setting", "kind", "date"), .csv, .tsv and .parquet; all but the last
    packed by gzip or zstd too (.gz, .zst); and documents: .docx, .pdf (text layer), .rtf, .html, C-CDA .xml, HL7 v2
    .hl7 and FHIR .json, of which `parsnlp text` gives the text that offsets refer to. Standard input is JSON lines.

    --out ends in .jsonl (a result a line), .parquet or .csv (a folder with the tables of `parsnlp schema --tables`), or
    .duckdb (a file with these).

    An input that cannot be read, is too large or takes too long is passed over and told; the exit status is then 3.
    Beside the output stands the folder OUT.run, closed to others: what is done while the run goes on, and for good
    errors.jsonl, inputs.jsonl (what became of each input) and run.json (options, versions, counts). After a stop,
    a crash or a full disk, the same command with --resume goes on. The output appears when all is done, with the
    same bytes as if nothing had happened.

    --engine spark has a cluster do the work (docs/scale.md). SOURCE and OUT are then absolute paths that every worker
    reaches, and OUT is a folder of Parquet parts with a row for each note.

    \b
    Examples:
      parsnlp batch notes/ --out codes.jsonl
      parsnlp batch notes/ --out codes.jsonl --workers 4 --resume
      parsnlp batch 'export/**/*.csv.gz' --out codes.jsonl \\
          --text-column NOTE_TEXT --id-column NOTE_ID
      parsnlp batch notes.parquet --out codes.duckdb --only coded --no-text
      zcat notes.jsonl.gz | parsnlp batch - --out codes.jsonl --quiet
      parsnlp batch /data/notes --out /data/codes.parquet \\
          --engine spark --master spark://head:7077
    """
    from parsnlp.interfaces import job, outputs
    from parsnlp.interfaces.batch import PART_SIZE, Options
    from parsnlp.interfaces.sources import Columns, Sources

    columns = Columns(
        text=text_column,
        id=id_column,
        setting=setting_column,
        date=date_column,
        patient=patient_column,
        encounter=encounter_column,
    )
    options = Options(not no_text, only, timeout, max_size, part_size, columns)

    def loaded() -> Extractor:
        return load(setting, excludes1, stress_fracture, patterns, strict_release, procedures)

    if engine != "local":
        refused = {
            "--resume": resume,
            "--workers": workers > 1,
            "--part-size": part_size != PART_SIZE,
            "--encounter-column": encounter_column is not None,
        }
        _check_spark(engine, master, [*sources, str(out)], form, [name for name, given in refused.items() if given])
        _on_spark(
            str(master), Sources(sources, columns, max_size, without=(out,)), out, loaded(), options, force, quiet
        )
        return
    if master is not None:
        raise InputError("--master is the cluster's of --engine spark; give both or neither")
    form = outputs.format_of(out, form)
    folder = outputs.run_folder(out)
    found = Sources(sources, columns, max_size, without=(out, folder))
    extractor = loaded()
    told = 0

    def failed(fact: Fact) -> None:
        nonlocal told
        told += 1
        if told <= _TOLD:
            typer.echo(f"parsnlp: {fact['where']}: {fact['reason']}", err=True)
        elif told == _TOLD + 1:
            typer.echo(
                f"parsnlp: further failures are not told here; all will stand in {folder / 'errors.jsonl'}", err=True
            )

    try:
        with _progress(found.size, quiet) as step:
            done = job.run(
                found,
                out,
                extractor,
                options,
                workers=workers,
                resume=resume,
                force=force,
                format=form,
                failed=failed,
                step=step,
            )
    except KeyboardInterrupt:
        typer.echo("parsnlp: interrupted; what is done is kept, go on with the same command and --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        for line in _closing(done, found, out, str(folder / "errors.jsonl")):
            typer.echo(line, err=True)
    if done.tally.failed:
        raise typer.Exit(SOME_FAILED)


def _check_spark(engine: str, master: str | None, paths: list[str], form: str | None, refused: list[str]) -> None:
    """Raise `InputError` for what Spark cannot do here: nothing that is asked for is passed over."""
    if engine != "spark":
        raise InputError(f"--engine {engine} is not one of local, spark")
    if master is None:
        raise InputError("--engine spark needs --master, such as spark://HOST:7077, or local[*] for this machine")
    if refused:
        raise InputError(f"{', '.join(refused)}: not with --engine spark; see docs/scale.md")
    if (form or Path(paths[-1]).suffix.lower().lstrip(".")) != "parquet":
        raise InputError(f"{paths[-1]}: --engine spark writes a folder of Parquet parts; end --out in .parquet")
    for path in paths:
        if not Path(path).is_absolute():
            raise InputError(
                f"{path}: --engine spark needs absolute paths that every worker reaches; for other places, such as a bucket, "
                "read with Spark and use parsnlp.interfaces.spark"
            )


def _on_spark(
    master: str, found: Sources, out: Path, extractor: Extractor, options: Options, force: bool, quiet: bool
) -> None:
    from parsnlp.interfaces import spark
    from parsnlp.interfaces.job import Done

    with spark.session(master, progress=sys.stderr.isatty() and not quiet) as session:
        done = Done(spark.write(session, found, out, extractor, options, force))
    if not quiet:
        for line in _closing(done, found, out, "its rows whose 'state' is failed"):
            typer.echo(line, err=True)
    if done.tally.failed:
        raise typer.Exit(SOME_FAILED)


def _closing(done: Done, found: Sources, out: Path, errors: str) -> Iterator[str]:
    """What is told at the end."""
    if done.over:
        yield f"{out}: finished already, its inputs were not looked at again; --force does all anew"
    yield from done.tally.lines()
    if found.passed_over:
        over = sorted(found.passed_over.items())
        kinds = ", ".join(f"{count} {ending or 'without ending'}" for ending, count in over)
        yield f"passed over, of no kind that is read: {kinds}"
    if found.earlier:
        yield f"passed over, outputs of earlier runs: {found.earlier}"
    if done.fresh:
        yield f"{done.fresh} notes in {done.seconds:.1f} s, {done.fresh / max(done.seconds, 0.001):.0f} notes/s"
    if done.tally.failed:
        yield f"what failed, and why: {errors}"
    yield f"written to {out}"


@contextmanager
def _progress(size: int | None, quiet: bool) -> Iterator[_Step]:
    """What shows how far a run of so many bytes is: a bar, where standard error is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda tally, fresh, passed: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from parsnlp.interfaces import terminal

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    start = shown = time.monotonic()
    with Progress(*columns, console=terminal.console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=size)

        def step(tally: Tally, fresh: int, passed: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown >= 0.1:
                shown = now
                says = f"{tally.notes} notes, {fresh / (now - start):.0f}/s, {tally.coded} coded, {tally.failed} failed"
                progress.update(task, description=says, completed=passed)

        yield step
