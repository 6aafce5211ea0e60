"""Commands on notes and encounters: code, query, encounter, audit, demo."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    MISUSE,
    SOME_FAILED,
    Excludes1,
    NoText,
    Patterns,
    Procedures,
    Setting,
    StressFracture,
    StrictRelease,
    app,
    decided,
    load,
    named,
    say_failure,
    say_stamp,
)

if TYPE_CHECKING:
    from parsnlp.extractor import Extractor
    from parsnlp.interfaces.reading import Encounter
    from parsnlp.interfaces.reading import Failure as Failed
    from parsnlp.models import Note, Result


@app.command()
def code(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Notes: text, or documents such as .docx and .pdf; - is standard input."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One result a line, as JSON (see: parsnlp schema).")] = False,
    full: Annotated[
        bool, typer.Option("--explain", help="The full trail: every step, its rule and its evidence.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the notes and their codes as one page to look at."),
    ] = None,
    no_text: NoText = False,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
    strict_release: StrictRelease = False,
    procedures: Procedures = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="What the notes are, such as radiology or progress; inferred if not given."),
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The encounter's date; picks the code set's edition.")
    ] = None,
) -> None:
    """Read notes and show their codes, each with its evidence and its why.

    \b
    Examples:
      parsnlp code note.txt
      parsnlp code --explain --setting inpatient discharge.txt
      parsnlp code --html note.html note.txt
      parsnlp code --json --no-text *.txt > codes.jsonl
    """
    from parsnlp.interfaces import files as reader
    from parsnlp.interfaces import reading
    from parsnlp.interfaces.reading import Failure as Failed

    if files.count(reading.STDIN) > 1:
        raise InputError("- (standard input) can be read only once; name it once")
    if html is not None and (as_json or full or no_text):
        raise InputError("--html shows the whole notes with every step; leave out --json, --explain and --no-text")
    reading.note({"text": "", "kind": kind, "date": date})  # a wrong option is said before anything is loaded
    extractor = load(setting, excludes1, stress_fracture, patterns, strict_release, procedures)
    told: set[str] = set()
    failed = 0
    read: list[tuple[Result, dict[str, str]]] = []
    shown = 0
    for file in files:
        found = reader.read(file, named(file), kind=kind, date=date)
        for item in found:
            result = decided(
                item,
                told,
                lambda item: extractor.extract_encounter(item.notes, what_if=full or html is not None),
            )
            if result is None or isinstance(item, Failed):
                failed += 1
                continue
            shown += 1
            if html is not None:
                read.append((result, {note.id: note.text for note in item.notes}))
            elif as_json:
                sys.stdout.buffer.write(result.to_json(text=not no_text).encode("utf-8") + b"\n")
            else:
                _show_code(item, result, several=len(files) + len(found) > 2, full=full, quote=not no_text)
    if html is not None and read:
        _write_page(html, read, extractor)
    if failed:
        raise typer.Exit(SOME_FAILED if shown else MISUSE)


def _write_page(path: Path, read: list[tuple[Result, dict[str, str]]], extractor: Extractor) -> None:
    from parsnlp.view import evidence

    writing.write(path, evidence.pages(read, extractor.ruleset.tables))
    typer.echo(f"parsnlp: written to {path}", err=True)


def _show_code(item: Encounter, result: Result, *, several: bool, full: bool, quote: bool) -> None:
    from parsnlp import explain
    from parsnlp.interfaces import terminal

    out = terminal.console()
    if several:
        out.print(f"--- {terminal.harmless(item.where)}", style="bold", soft_wrap=True)
    if quote:
        terminal.show_note(out, result, item.notes[0].text)
        out.print()
    terminal.show_lines(out, explain.lines(result, quote) if full else explain.summary(result, quote))


@app.command()
def query(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Notes to read; - is standard input.")],
    whole: Annotated[
        bool, typer.Option("--encounters", help="The one input is a folder of encounters, or a manifest.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One letter a line, as JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Letters in Markdown.")] = False,
    setting: Setting = "outpatient",
    patterns: Patterns = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="What the notes are, such as radiology or progress; inferred if not given."),
    ] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The encounter's date.")] = None,
) -> None:
    """Write letters that ask the provider what the notes leave open.

    Each quotes its clinical indicators with document and date; documentation tips stand apart. With --encounters there
    is a letter for each encounter and, where the documents name their authors' roles, for each provider.

    \b
    Examples:
      parsnlp query note.txt
      parsnlp query --markdown *.txt > queries.md
      parsnlp query --encounters charts.csv
    """
    from parsnlp import letters
    from parsnlp.interfaces import encounters as charts
    from parsnlp.interfaces import files as reader
    from parsnlp.interfaces import reading, terminal
    from parsnlp.interfaces.reading import Failure as Failed

    if as_json and markdown:
        raise InputError("--json and --markdown are two formats; give one")
    if files.count(reading.STDIN) > 1:
        raise InputError("- (standard input) can be read only once; name it once")
    reading.note({"text": "", "kind": kind, "date": date})  # a wrong option is said before anything is loaded
    if whole and (len(files) != 1 or kind or date):
        raise InputError("--encounters takes one folder or manifest, without --kind and --date")
    extractor = load(setting, "separate", "M43.0", patterns)
    failed = number = 0
    found = (
        charts.encounters(Path(files[0]))
        if whole
        else (item for file in files for item in reader.read(file, named(file), kind=kind, date=date))
    )
    for item in found:
        result = decided(item, set(), lambda item: extractor.extract_encounter(item.notes))
        if result is None or isinstance(item, Failed):
            failed += 1
            continue
        texts = {note.id: note.text for note in item.notes}
        if as_json:
            sys.stdout.buffer.write(letters.build(result, texts).model_dump_json().encode("utf-8") + b"\n")
        else:
            written = letters.letter(result, "markdown" if markdown else "text", texts)
            typer.echo(("\n" if number else "") + terminal.harmless(written))
        number += 1
    if failed:
        raise typer.Exit(SOME_FAILED if number else MISUSE)


@app.command()
def encounter(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER|MANIFEST", help="An encounter, a folder of encounters, or a manifest.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.jsonl", help="Write the results, one a line, to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One result a line, as JSON (see: parsnlp schema).")] = False,
    full: Annotated[bool, typer.Option("--explain", help="Say why, step by step.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the encounters and their codes as one page to look at."),
    ] = None,
    no_text: NoText = False,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
    strict_release: StrictRelease = False,
    procedures: Procedures = None,
) -> None:
    """Read whole encounters: all documents of one are decided on together.

    A folder of notes (.txt, .docx, .pdf, …) is one encounter, a folder of such folders many. A manifest (.csv, .tsv, .jsonl) lists a
    document a row: encounter, note (a path), and where known kind, date, setting, author. An encounter of which a
    document cannot be read is told on standard error and left out; the exit status is then 3.

    \b
    Examples:
      parsnlp encounter chart/
      parsnlp encounter chart/ --html chart.html
      parsnlp encounter charts.csv --out results.jsonl
    """
    from parsnlp.explain import lines, summary
    from parsnlp.interfaces import encounters as charts
    from parsnlp.interfaces import terminal
    from parsnlp.interfaces.reading import Failure as Failed

    if html is not None and (as_json or full or no_text or out):
        raise InputError(
            "--html shows the whole notes with every step; leave out --json, --explain, --no-text and --out"
        )
    extractor = load(setting, excludes1, stress_fracture, patterns, strict_release, procedures)
    items = charts.encounters(source)
    if out is not None:
        read, failed = _write_encounters(items, source, out, force, extractor, not no_text)
    else:
        read = failed = 0
        told: set[str] = set()
        shown: list[tuple[Result, dict[str, str]]] = []
        for item in items:
            result = decided(
                item, told, lambda item: extractor.extract_encounter(item.notes, what_if=full or html is not None)
            )
            if result is None or isinstance(item, Failed):
                failed += 1
                continue
            read += 1
            if html is not None:
                shown.append((result, {note.id: note.text for note in item.notes}))
                continue
            if as_json:
                sys.stdout.buffer.write(result.to_json(text=not no_text).encode("utf-8") + b"\n")
                continue
            console = terminal.console()
            console.print(f"--- {terminal.harmless(result.id)}", style="bold", soft_wrap=True)
            terminal.show_lines(console, lines(result, not no_text) if full else summary(result, not no_text))
        if html is not None and shown:
            _write_page(html, shown, extractor)
    if failed:
        raise typer.Exit(SOME_FAILED if read else MISUSE)


def _write_encounters(
    items: Iterable[Encounter | Failed], source: Path, out: Path, force: bool, extractor: Extractor, text: bool
) -> tuple[int, int]:
    """Write the results to a file; how many encounters were read and how many could not be."""
    from parsnlp import writing
    from parsnlp.interfaces import batch, outputs
    from parsnlp.interfaces.reading import Failure as Failed

    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"{out}: is the input itself; choose another --out")
    outputs.check("jsonl", out, force)
    tally = batch.Tally()
    with writing.replacing(out) as stream:
        for item in items:
            line, fact = batch.decided(extractor, item, item.where, text)
            tally.add(fact)
            if line is None:
                say_failure(Failed(item.where, fact["reason"]))
            else:
                stream.write(line + b"\n")
    for told in (*tally.lines(), f"written to {out}"):
        typer.echo(told, err=True)
    return tally.notes, tally.failed


@app.command()
def audit(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER|FILE", help="The encounter's notes; a folder stands for its texts and documents."
        ),
    ],
    codes: Annotated[
        str,
        typer.Option(
            "--codes", metavar="CODE,CODE", help="The claim's codes; without it only typed codes are audited."
        ),
    ] = "",
    claims: Annotated[
        Path | None,
        typer.Option(
            "--claims",
            metavar="FILE.csv",
            help="Claims of many encounters: columns encounter and codes; one source then.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result with its edits, as JSON.")] = False,
    no_text: NoText = False,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
    strict_release: StrictRelease = False,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The encounter's date.")] = None,
) -> None:
    """Hold a claim, and the codes typed in the notes, against what the notes support.

    All inputs are documents of one encounter; with --claims the one input is a folder of encounters or a manifest, as
    for `parsnlp encounter`. Exit status 0: clean; 1: an edit stands; 2: misuse; 3: an encounter could not be audited.

    \b
    Examples:
      parsnlp audit visit/ --codes M43.06,M43.17
      parsnlp audit note.txt
      parsnlp audit charts/ --claims claims.csv --json > audits.jsonl
    """
    from parsnlp.interfaces import files, reading, terminal
    from parsnlp.interfaces.reading import Failure as Failed

    if claims is not None:
        if codes or date or len(inputs) != 1:
            raise InputError("--claims takes one folder of encounters or manifest, without --codes and --date")
        _audit_claims(
            Path(inputs[0]),
            claims,
            load(setting, excludes1, stress_fracture, patterns, strict_release),
            as_json,
            not no_text,
        )
        return

    reading.note({"text": "", "date": date})  # a wrong option is said before anything is loaded
    extractor = load(setting, excludes1, stress_fracture, patterns, strict_release)
    notes: list[Note] = []
    for path in _documents(inputs):
        for item in files.read(path, path, date=date):
            if isinstance(item, Failed):
                raise InputError(f"{item.where}: {item.says}")
            for notice in item.notices:
                typer.echo(f"parsnlp: {notice}", err=True)
            notes += item.notes
    result = extractor.audit(notes, [code for code in codes.replace(",", " ").split() if code])
    say_stamp(result, set())
    if as_json:
        sys.stdout.buffer.write(result.to_json(text=not no_text).encode("utf-8") + b"\n")
    else:
        for line in _audited(result, not no_text):
            typer.echo(terminal.harmless(line))
    if result.edits:
        raise typer.Exit(1)


def _audited(result: Result, text: bool) -> Iterator[str]:
    """An audit's edits for a terminal, each with its evidence and what would mend it."""
    yield f"The notes support: {', '.join(code.code for code in result.codes) or 'no code'}"
    for edit in result.edits:
        mend = f" To mend: {edit.fix}." if edit.fix else ""
        yield f"{edit.severity} {edit.kind} ({edit.rule}): {edit.says}.{mend}"
        for span in edit.evidence:
            quoted = f" “{' '.join(span.text.split())}”" if text else ""
            yield f"    {span.document} {span.start}-{span.end}{quoted}"
    yield "clean" if not result.edits else f"{len(result.edits)} edit{'s' if len(result.edits) > 1 else ''}"


def _audit_claims(source: Path, claims: Path, extractor: Extractor, as_json: bool, text: bool) -> None:
    """Audit the claims of many encounters; each that lacks a claim, or a chart, is told."""
    from parsnlp.interfaces import encounters as charts
    from parsnlp.interfaces import terminal
    from parsnlp.interfaces.reading import Failure as Failed

    claimed = charts.claims(claims)
    clean = standing = failed = 0
    told: set[str] = set()
    for item in charts.encounters(source):
        codes = () if isinstance(item, Failed) else claimed.pop(item.id, None)
        if codes is None and not isinstance(item, Failed):
            item = Failed(item.where, f"encounter {item.id}: {claims} holds no claim of it")
        result = decided(item, told, lambda item, codes=codes or (): extractor.audit(item.notes, codes))  # type: ignore[misc]
        if result is None:
            failed += 1
            continue
        standing, clean = standing + bool(result.edits), clean + (not result.edits)
        if as_json:
            sys.stdout.buffer.write(result.to_json(text=text).encode("utf-8") + b"\n")
        else:
            typer.echo(terminal.harmless(f"--- {result.id}: claimed {', '.join(codes or ()) or 'nothing'}"))
            for line in _audited(result, text):
                typer.echo(terminal.harmless(line))
    for name in claimed:
        say_failure(Failed(str(claims), f"encounter {name}: no such encounter in {source}"))
        failed += 1
    typer.echo(f"{clean} clean, {standing} with edits, {failed} not audited", err=True)
    if failed or standing:
        raise typer.Exit(SOME_FAILED if failed else 1)


def _documents(inputs: list[str]) -> list[str]:
    """The files that the inputs name, a folder standing for its texts and documents at any depth, in order."""
    from parsnlp.interfaces import files

    found: list[str] = []
    for item in inputs:
        folder = Path(item)
        if folder.is_dir():
            found += map(str, files.below(folder))
        else:
            found.append(item)
    return found


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Notes as .txt; the checkout's own if not given.")
    ] = None,
) -> None:
    """Code the sample notes: each in a line, then one with lysis and slip explained in full.

    \b
    Examples:
      parsnlp demo
      parsnlp demo my-notes/
    """
    from parsnlp.interfaces import demo as demonstration

    demonstration.run(folder or demonstration.notes_folder(), load())


@app.command()
def text(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Documents: Word, PDF, RTF, HTML, C-CDA, HL7, FHIR.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Save each text there, as UTF-8, by its document's name."),
    ] = None,
) -> None:
    """Show or save the text of documents, to which the offsets of their results refer.

    Text files are given as they are. A file of several documents gives several texts; saved, they are numbered.

    \b
    Examples:
      parsnlp text report.pdf
      parsnlp text scans/*.docx --out texts/
    """
    from parsnlp.interfaces import files as reader
    from parsnlp.interfaces.reading import Failure as Failed

    if out is not None and not out.is_dir():
        raise InputError(f"{out}: no such folder; make it first")
    failed = shown = 0
    for path in files:
        found = reader.read(path, path.stem)
        for number, item in enumerate(found, 1):
            if isinstance(item, Failed):
                say_failure(item)
                failed += 1
                continue
            for notice in item.notices:
                typer.echo(f"parsnlp: {notice}", err=True)
            shown += 1
            words = item.notes[0].text
            if out is None:
                sys.stdout.buffer.write(words.encode("utf-8") + b"\n")
            else:
                writing.write(out / (f"{path.stem}.txt" if len(found) == 1 else f"{path.stem}-{number}.txt"), words)
    if failed:
        raise typer.Exit(SOME_FAILED if shown else MISUSE)
