"""The command summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import app


@app.command()
def summary(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="What batch has written, in any of its formats.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="A page with plots and examples, to send on.")
    ] = None,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="With --html: also quote the notes in the examples.")
    ] = False,
) -> None:
    """Sum up what a batch has found: codes, regions, unspecified sites, what is captured, queries, grades, studies.

    The page is one file that loads nothing from elsewhere. Each number opens on examples: the id of a result and
    where in its document the evidence stands.

    \b
    Examples:
      parsnlp summary codes.jsonl
      parsnlp summary codes.parquet --html summary.html
    """
    from parsnlp.interfaces import summary as counting
    from parsnlp.interfaces import terminal
    from parsnlp.view import summary as view

    if with_text and html is None:
        raise InputError("--with-text goes with --html: the summary in the terminal quotes nothing")
    found = counting.summarise(out)
    if html is None:
        for line in view.lines(found):
            typer.echo(terminal.harmless(line))
        return
    writing.write(html, view.page(found, with_text))
    typer.echo(f"parsnlp: written to {html}", err=True)
