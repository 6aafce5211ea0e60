"""Commands that measure: evaluate, diff, agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    FAILED_CHECK,
    Excludes1,
    NoText,
    Patterns,
    Setting,
    StressFracture,
    app,
    load,
)

if TYPE_CHECKING:
    from parsnlp.evaluation import Evaluation
    from parsnlp.extractor import Extractor


@app.command()
def evaluate(
    gold: Annotated[
        Path | None,
        typer.Argument(
            metavar="GOLD.jsonl",
            help="Notes with the codes and mentions they should give; with --sealed an archive of them.",
            show_default=False,
        ),
    ] = None,
    sealed: Annotated[
        bool,
        typer.Option(
            "--sealed", help="Totals only, and a line in the accuracy log; by default corpora/blind/sealed.zip."
        ),
    ] = False,
    no_log: Annotated[bool, typer.Option("--no-log", help="With --sealed: leave the accuracy log alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures, as JSON.")] = False,
    errors: Annotated[
        bool, typer.Option("--errors", help="Also each wrong note: gold, got, and the trail. Quotes the notes.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also a page with plots and the wrong notes. Quotes the notes."),
    ] = None,
    no_text: NoText = False,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
) -> None:
    """Measure the extractor against notes whose codes are known.

    \b
    Examples:
      parsnlp evaluate corpora/dev/gold.jsonl
      parsnlp evaluate gold.jsonl --errors --patterns our-rules/
      parsnlp evaluate gold.jsonl --html accuracy.html
      parsnlp evaluate --sealed
    """
    from parsnlp import evaluation

    if sealed:
        if errors:
            raise InputError("--sealed gives totals only; leave --errors out")
        extractor = load(setting, excludes1, stress_fracture, patterns)
        _evaluate_sealed(gold, extractor, as_json=as_json, html=html, log=not no_log)
        return
    if no_log:
        raise InputError("--no-log goes with --sealed; nothing else is logged")
    if gold is None:
        raise InputError("name a gold file (parsnlp evaluate GOLD.jsonl), or give --sealed")
    scored = evaluation.evaluate_file(gold, load(setting, excludes1, stress_fracture, patterns))
    _page(html, scored, text=not no_text)
    if as_json:
        typer.echo(scored.to_json(text=not no_text))
        return
    typer.echo(scored.summary())
    if errors:
        typer.echo(scored.errors_text(text=not no_text))


def _evaluate_sealed(
    archive: Path | None, extractor: Extractor, *, as_json: bool, html: Path | None, log: bool
) -> None:
    from parsnlp.interfaces import sealed

    scored = sealed.score(archive or sealed.default_archive(), extractor)
    to = sealed.default_log() if log else None
    if to is not None:
        sealed.append(to, sealed.entry(scored))
    elif log:
        typer.echo("parsnlp: not logged: the accuracy log is in the source checkout only", err=True)
    _page(html, scored, text=False)
    typer.echo(scored.to_json() if as_json else scored.summary())


def _page(html: Path | None, scored: Evaluation, text: bool) -> None:
    if html is None:
        return
    from parsnlp.view import evaluation as view

    writing.write(html, view.page(scored, text))
    typer.echo(f"parsnlp: written to {html}", err=True)


@app.command()
def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="'shipped', a folder of rules, or results (.jsonl) of batch.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same, for the other side.")],
    on: Annotated[
        Path | None,
        typer.Option(
            "--on", metavar="NOTES", help="What rules are tried on: a gold file, a folder or a .jsonl of notes."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as JSON.")] = False,
    no_text: NoText = False,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
) -> None:
    """Compare two rule sets, or the results of two versions: whose codes move, and by which rules.

    A folder of rules counts over the shipped ones, as --patterns does; a folder
    that holds a whole rule set (targets, context and vocabulary.yaml) stands alone.
    Exit status 0: no code moves; 1: some do.

    \b
    Examples:
      parsnlp diff shipped our-rules/ --on corpora/dev/gold.jsonl
      parsnlp diff last-release/patterns shipped --on notes/
      parsnlp diff results-of-may.jsonl results-of-june.jsonl
    """
    from parsnlp.evaluation import diff as comparing
    from parsnlp.interfaces import comparison

    gold, sides = comparison.sides(old, new, on, (setting, excludes1, stress_fracture))
    found = comparing.diff(*sides, gold=gold)
    if as_json:
        typer.echo(
            found.model_dump_json(
                exclude={"moved": {"__all__": {"changes": {"__all__": {"text"}}}}} if no_text else None
            )
        )
    else:
        for line in comparing.lines(found, text=not no_text):
            typer.echo(line)
    if found.moved:
        raise typer.Exit(FAILED_CHECK)


@app.command()
def agree(
    first: Annotated[Path, typer.Argument(metavar="A.jsonl", help="One annotator's gold file.")],
    second: Annotated[Path, typer.Argument(metavar="B.jsonl", help="The other's, of the same notes by their ids.")],
    as_json: Annotated[bool, typer.Option("--json", help="All figures, as JSON.")] = False,
) -> None:
    """Tell how far two annotators agree: shares, Cohen's kappa, and F1 of the mentions, with 95 % intervals.

    The notes need not be there. What either leaves out of a row is not compared.

    \b
    Example:
      parsnlp agree corpora/blind/tuning/first.jsonl \\
          corpora/blind/tuning/second.jsonl
    """
    from parsnlp.evaluation import agreement
    from parsnlp.evaluation.gold import read_annotations

    found = agreement.agree(read_annotations(first), read_annotations(second))
    if not found.notes:
        raise InputError(f"{first} and {second} have no note in common; notes are paired by their ids")
    for line in [found.model_dump_json()] if as_json else agreement.lines(found):
        typer.echo(line)
