"""The commands export and import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    SOME_FAILED,
    Excludes1,
    Patterns,
    Setting,
    StressFracture,
    app,
    load,
    say_failure,
)

if TYPE_CHECKING:
    from parsnlp.extractor import Extractor
    from parsnlp.interfaces.exchange.omop import Mapped
    from parsnlp.interfaces.holding import Held
    from parsnlp.interfaces.reading import Encounter, Failure
    from parsnlp.interfaces.sources import Sources
    from parsnlp.models import Result

OMOP = "omop"
_TOOLS = "brat|docbin|doccano|inception|label-studio|prodigy"


def _option(name: str, metavar: str, says: str) -> Any:
    return typer.Option(name, metavar=metavar, help=f"For omop: {says}")


@app.command()
def export(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Notes as batch reads them, or a gold file; for omop results too."),
    ],
    to: Annotated[str, typer.Option("--to", metavar=f"{_TOOLS}|omop", help="The format.")],
    out: Annotated[Path, typer.Option("--out", metavar="OUT", help="A new folder; for omop a .csv or .parquet.")],
    nlp_date: Annotated[
        str | None, _option("--nlp-date", "YYYY-MM-DD", "the date of the processing; the clock is not read.")
    ] = None,
    concepts: Annotated[
        Path | None, _option("--concepts", "FILE.csv", "concept ids: term (a condition or section), concept_id.")
    ] = None,
    note_ids: Annotated[
        Path | None, _option("--note-ids", "FILE.csv", "document and note_id, where the ids are no whole numbers.")
    ] = None,
    first_id: Annotated[int, _option("--first-id", "N", "the first note_nlp_id.")] = 1,
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column of tables that holds the note.")
    ] = "text",
    id_column: Annotated[str, typer.Option(metavar="NAME", help="The column of tables that holds its id.")] = "id",
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
) -> None:
    """Take notes with their mentions and codes to an annotation tool, or to OMOP's table NOTE_NLP.

    Notes are read by the rules first, and what is found is there to be corrected; of a gold file (.jsonl with "codes" or
    "mentions") goes out what it says. `parsnlp import` brings the annotated notes back. The files hold the notes' text,
    readable by you alone. inception needs pip install 'parsnlp[exchange]'.

    \b
    Examples:
      parsnlp export notes/ --to label-studio --out to-annotate/
      parsnlp export corpora/dev/gold.jsonl --to brat --out brat/
      parsnlp export results.jsonl --to omop --nlp-date 2026-05-12 \\
          --out note_nlp.parquet
    """
    from parsnlp.interfaces import exchange, holding
    from parsnlp.interfaces.sources import Columns, Sources

    if to != OMOP and to not in exchange.FORMATS:
        raise InputError(f"--to is not one of {', '.join([*exchange.FORMATS, OMOP])}")
    if to != OMOP and (nlp_date, concepts, note_ids, first_id) != (None, None, None, 1):
        raise InputError("--nlp-date, --concepts, --note-ids and --first-id go with --to omop")
    file = Path(sources[0]) if len(sources) == 1 and sources[0].endswith(".jsonl") else None
    holds = holding.held(file) if file is not None else "notes"
    failures: list[Failure] = []
    decided: Iterator[tuple[Result, Encounter]] = iter(())
    if holds == "notes":
        found_notes = Sources(sources, Columns(text=text_column, id=id_column), without=(out,))
        decided = _decided(found_notes, load(setting, excludes1, stress_fracture, patterns), failures)
    if to == OMOP:
        mapped = _mapped(nlp_date, concepts, note_ids, first_id)
        written = f"{_to_omop(sources[0], holds, decided, out, mapped)} mentions"
    else:
        written = f"{_to_tool(sources[0], holds, decided, out, to)} notes"
    typer.echo(f"parsnlp: {written} written to {out}", err=True)
    if failures:
        raise typer.Exit(SOME_FAILED)


def _decided(sources: Sources, extractor: Extractor, failures: list[Failure]) -> Iterator[tuple[Result, Encounter]]:
    """The result of each encounter with its notes; what cannot be read is told, and added to `failures`."""
    from parsnlp.interfaces.reading import Encounter

    for item in sources.encounters():
        if isinstance(item, Encounter):
            yield extractor.extract_encounter(item.notes), item
        else:
            say_failure(item)
            failures.append(item)


def _to_tool(source: str, holds: Held, decided: Iterator[tuple[Result, Encounter]], out: Path, to: str) -> int:
    """Export to an annotation tool what was decided, or a gold file as it stands; how many notes."""
    from parsnlp.evaluation import gold
    from parsnlp.extractor import ENGINE
    from parsnlp.interfaces import exchange

    if holds == "results":
        raise InputError(f"{source}: results do not hold the notes' text; export the notes themselves")
    if holds == "gold":
        return exchange.export(gold.read_file(source), to, out)
    return exchange.export(
        (row for result, item in decided for row in exchange.of_result(result, item.notes)), to, out, ENGINE
    )


def _to_omop(source: str, holds: Held, decided: Iterator[tuple[Result, Encounter]], out: Path, mapped: Mapped) -> int:
    """Write the mentions of what was decided, or of results in a file; how many."""
    from parsnlp.interfaces import holding
    from parsnlp.interfaces.exchange import omop

    if holds == "gold":
        raise InputError("--to omop takes notes or results, not gold: NOTE_NLP holds what a program found")
    if holds == "results":
        return omop.write(out, ((result, {}) for result in holding.results(source)), mapped)
    return omop.write(out, ((result, result.texts) for result, _ in decided), mapped)


def _mapped(nlp_date: str | None, concepts: Path | None, note_ids: Path | None, first_id: int) -> Mapped:
    import datetime

    from parsnlp.interfaces.exchange import omop

    if nlp_date is None:
        raise InputError("--to omop needs --nlp-date YYYY-MM-DD: the standard wants it, and the clock is not read")
    try:
        day = datetime.date.fromisoformat(nlp_date)
    except ValueError:
        raise InputError("--nlp-date is not a calendar date of the form YYYY-MM-DD") from None
    return omop.Mapped(
        day,
        omop.read_numbers(concepts, "term", "concept_id") if concepts else {},
        omop.read_numbers(note_ids, "document", "note_id") if note_ids else None,
        first_id,
    )


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What the tool has exported: a folder, or its file.")
    ],
    source_format: Annotated[str, typer.Option("--from", metavar=_TOOLS, help="The format.")],
    out: Annotated[Path, typer.Option("--out", metavar="GOLD.jsonl", help="The gold file to write.")],
    onto: Annotated[
        Path | None,
        typer.Option(
            "--onto", metavar="GOLD.jsonl", help="Gold of the same notes, for all that the tool does not carry."
        ),
    ] = None,
) -> None:
    """Make a gold file of what was annotated, for `parsnlp evaluate`, `agree` and `rules diff`.

    Whatever does not fit is told by file and place, without a word of the notes, and nothing is written.

    \b
    Examples:
      parsnlp import annotated/ --from label-studio --out gold.jsonl
      parsnlp import brat/ --from brat --onto old.jsonl --out gold.jsonl
    """
    from parsnlp.evaluation import gold
    from parsnlp.interfaces import exchange

    if source_format not in exchange.FORMATS:
        raise InputError(f"--from is not one of {', '.join(exchange.FORMATS)}")
    rows = exchange.read(source, source_format)
    if onto is not None:
        rows = exchange.onto(rows, gold.read_file(onto))
    writing.write(out, exchange.gold_lines(rows))
    typer.echo(f"parsnlp: {len(rows)} notes written to {out}", err=True)
