"""Commands that look things up: explain, schema, codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    Patterns,
    app,
    codes_app,
    read_rules,
)

if TYPE_CHECKING:
    pass


@app.command()
def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="An ICD-10-CM code in scope, such as M43.16 or m4316.")],
    as_json: Annotated[bool, typer.Option("--json", help="The card as JSON.")] = False,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The encounter's date; picks the code set's edition.")
    ] = None,
    patterns: Patterns = None,
) -> None:
    """Show a code's reference card, with the seven questions coders ask of it.

    In scope: M43.0-, M43.1-, M48.4-, Q76.2 and the injury codes of the policy's
    tables (S12, S22.0, S32.0, S32.1, S33.1), with or without the 7th character.

    \b
    Examples:
      parsnlp explain M43.16
      parsnlp explain S32.058A --json
    """
    from parsnlp.coding import icd10cm, reference
    from parsnlp.interfaces import reading

    reading.note({"text": "", "date": date})
    edition, covers = icd10cm.edition_for(date)
    if covers is False:
        typer.echo(f"parsnlp: no edition carried is in force on {date}; this is {edition.name}", err=True)
    card = reference.card(code, edition, read_rules(patterns).tables)
    if as_json:
        typer.echo(card.model_dump_json(indent=2))
        return
    from parsnlp.explain import Line
    from parsnlp.interfaces import terminal

    terminal.show_lines(terminal.console(), [Line(*line) for line in reference.lines(card)])


@app.command()
def schema(
    tables: Annotated[bool, typer.Option("--tables", help="The tables and columns that batch can write.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --tables: as JSON.")] = False,
) -> None:
    """Print the JSON Schema of a result, the format of `code --json` and of `batch`; or the dictionary of its tables.

    \b
    Examples:
      parsnlp schema > result.schema.json
      parsnlp schema --tables > tables.md
    """
    import json

    from parsnlp.models import Result

    if not tables:
        typer.echo(json.dumps(Result.model_json_schema(mode="serialization"), indent=2))
        return
    from parsnlp.interfaces import tables as declared

    typer.echo(json.dumps(declared.dictionary_data(), indent=2) if as_json else declared.dictionary())


@codes_app.command("import")
def codes_import(
    tabular: Annotated[
        Path, typer.Argument(metavar="TABULAR.xml", help="The official tabular XML of a release (CDC/NCHS).")
    ],
    name: Annotated[str, typer.Option("--name", metavar="WORDS", help="The release in words, such as FY2027.")],
    valid_from: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="The first day it is in force.")],
    valid_to: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="The last day it is in force.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an edition imported for the same first day.")] = False,
) -> None:
    """Read another release of ICD-10-CM from its official tabular XML, and show what differs.

    The edition is then chosen by the date of an encounter like those that are carried. It is kept in
    ~/.local/share/parsnlp/editions, or the folder that the environment variable PARSNLP_CODES names.

    \b
    Example:
      parsnlp codes import tabular-2027.xml --name FY2027 \\
          --from 2026-10-01 --to 2027-09-30
    """
    from parsnlp.coding import icd10cm
    from parsnlp.coding import tabular as tables
    from parsnlp.interfaces import reading

    for option, date in (("--from", valid_from), ("--to", valid_to)):
        try:
            reading.note({"text": "", "date": date})
        except InputError:
            raise InputError(f"{option} is not a calendar date of the form YYYY-MM-DD") from None
    if valid_to < valid_from:
        raise InputError("--to lies before --from")
    place = icd10cm.imported()
    if place is None:
        raise InputError("no home folder to keep the edition in; name one in the environment variable PARSNLP_CODES")
    target = place / f"icd10cm-{valid_from}.json"
    if target.exists() and not force:
        raise InputError(f"{target}: imported already; --force replaces it")
    text = tables.given(reading.content(tabular), tabular.name, name, valid_from, valid_to)
    before = icd10cm.editions()[-1]
    made = icd10cm.read(text)
    place.mkdir(parents=True, exist_ok=True)
    writing.write(target, text)
    differing = icd10cm.difference(before, made)
    typer.echo(f"{made.name}, in force {valid_from} to {valid_to}, against {before.name}:")
    for line in differing or ["no difference in the families of pars defects and slips"]:
        typer.echo(f"  {line}")
    typer.echo(f"kept as {target}", err=True)


@codes_app.command("list")
def codes_list(patterns: Patterns = None) -> None:
    """List the editions of ICD-10-CM that are carried, and what is known of releases that are not.

    An encounter's date chooses the edition (of an inpatient's, the last document's). Without a date it is the newest.

    \b
    Example:
      parsnlp codes list
    """
    from parsnlp.coding import icd10cm

    for edition in icd10cm.editions():
        typer.echo(f"{edition.id}  {edition.name}")
        typer.echo(f"    in force {edition.valid_from} to {edition.valid_to}; families {', '.join(edition.families)}")
        typer.echo(f"    source: {edition.source}")
        verified = (("codes", edition.codes_verified), ("notes", edition.notes_verified))
        checked = ", ".join(f"{what} {'verified' if done else 'not verified'}" for what, done in verified)
        typer.echo(f"    {checked}: {edition.verification}")
    for release in read_rules(patterns).tables["codes"]["releases"]:
        if icd10cm.edition_for(release["valid_from"])[1]:
            continue  # imported
        typer.echo(f"{release['name']}, in force {release['valid_from']} to {release['valid_to']}: not carried")
        typer.echo(f"    {release['says']}")
