"""The command batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    SOME_FAILED,
    Excludes1,
    NoText,
    Patterns,
    Setting,
    StressFracture,
    StrictRelease,
    app,
    load,
    say_failure,
)

if TYPE_CHECKING:
    from parsnlp.interfaces.batch import Tally


@app.command()
def batch(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|FILE.jsonl", help="A folder of .txt notes, or JSON rows.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl", help="Where the results go, one a line.")],
    no_text: NoText = False,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, metavar="N", help="Processes that share the work; results are the same.")
    ] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
    strict_release: StrictRelease = False,
) -> None:
    """Read a folder of notes, or a file of rows, into one file of results.

    A folder is searched at any depth for .txt files, one note each. Rows are JSON objects, one a line, with "text"
    and, where known, "id", "setting", "kind", "date". An input that cannot be read is told on standard error and the
    run goes on; the exit status is then 3. The file appears when all is done, readable by its owner alone.

    \b
    Examples:
      parsnlp batch notes/ --out codes.jsonl
      parsnlp batch notes.jsonl --out codes.jsonl --no-text --quiet
    """
    from parsnlp.interfaces import batch as batches

    if not source.exists():
        raise InputError(f"{source}: no such file or folder; check the path")
    batches.check_out(source, out, force)
    total = batches.count(source)
    extractor = load(setting, excludes1, stress_fracture, patterns, strict_release)

    def run(step: Any) -> Tally:
        return batches.run(
            source, out, extractor, text=not no_text, force=force, workers=workers, failed=say_failure, step=step
        )

    if quiet or not sys.stderr.isatty():
        tally = run(lambda: None)
    else:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from parsnlp.interfaces import terminal

        columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=terminal.console(stderr=True), transient=True) as progress:
            task = progress.add_task("notes", total=total)
            tally = run(lambda: progress.advance(task))
    if not quiet:
        for line in tally.lines():
            typer.echo(line, err=True)
        typer.echo(f"written to {out}", err=True)
    if tally.failed:
        raise typer.Exit(SOME_FAILED)
