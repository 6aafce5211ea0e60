"""The command decisions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import app

if TYPE_CHECKING:
    from parsnlp.interfaces.decisions import Decisions
    from parsnlp.interfaces.worklist import Worklist

_FORMS = ("jsonl", "csv", "gold")


@app.command()
def decisions(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A file of decisions; default: that of your data folder.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="|".join(_FORMS), help="Export, in this form.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the export here; default: standard output.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="OUT", help="What batch has written: where gold finds notes not kept."),
    ] = None,
) -> None:
    """Tell how coders have decided on the page of parsnlp serve, or export it.

    jsonl and csv hold every decision, the withdrawn too; gold holds the finished items with their texts, for
    parsnlp evaluate.

    \b
    Examples:
      parsnlp decisions
      parsnlp decisions --to csv --out decisions.csv
      parsnlp decisions --to gold --results codes.jsonl --out gold.jsonl
    """
    from parsnlp.interfaces import decisions as kept

    path = file or kept.standard_file()
    if to not in (None, *_FORMS):
        raise InputError(f"--to is not one of {', '.join(_FORMS)}")
    if to is None and out is not None:
        raise InputError("--out goes with --to: say in which form to export")
    if results is not None and to != "gold":
        raise InputError("--results goes with --to gold: only that needs the notes")
    if out is not None and out.exists() and path.exists() and out.samefile(path):
        raise InputError(f"{out}: is the file of decisions itself; name another for the export")
    if not path.exists():
        raise InputError(f"{path}: there is no file of decisions; the page of parsnlp serve makes it with the first")
    if path.is_file() and not path.stat().st_size:  # else it would become an empty one
        raise InputError(f"{path}: cannot be used for decisions: the file is empty")
    taken = kept.Decisions(path)
    if to is None:
        _tell(taken)
        return
    if to == "gold":
        work = _worklist(results) if results else None
        lines = list(kept.gold(taken, lambda of: work.texts(of.id) if work else None))
    else:
        lines = list(kept.csv(taken) if to == "csv" else kept.jsonl(taken))
    if out is None:
        sys.stdout.buffer.writelines(lines)
    else:
        with writing.replacing(out) as stream:
            stream.writelines(lines)
    told = f"{len(lines) - (to == 'csv'):,} decisions"
    if to == "gold":
        finished = sum(1 for _ in taken.finished())
        told = f"{len(lines):,} of {finished:,} finished items"
        if len(lines) < finished:
            told += "; of the others the text was not kept (parsnlp serve --keep-notes) and not found (--results)"
    typer.echo(f"parsnlp: {told}{f', written to {out}' if out else ''}", err=True)


def _tell(taken: Decisions) -> None:
    """How many are taken, of how many items, and how much of what was suggested is accepted, by day."""
    from parsnlp.interfaces import terminal

    rows = list(taken.log())
    states = list(taken.states().values())
    typer.echo(
        terminal.harmless(f"{taken.path}: {len(rows):,} decisions, the last {rows[-1]['at'] if rows else 'never'}")
    )
    typer.echo(f"items: {states.count('done'):,} finished, {states.count('begun'):,} begun")
    for name, accepted, of in taken.rates():
        typer.echo(f"  {name}  accepted {accepted:,} of {of:,} suggested codes decided on ({accepted / of:.0%})")


def _worklist(results: Path) -> Worklist:
    from parsnlp.interfaces.worklist import Worklist

    work = Worklist(results)
    work.load()
    if work.problem:
        raise InputError(work.problem)
    return work
