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
    from parsnlp.models import Result


@app.command()
def code(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Notes to read; - is standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="One result a line, as JSON (see: parsnlp schema).")] = False,
    full: Annotated[
        bool, typer.Option("--explain", help="The full trail: every step, its rule and its evidence.")
    ] = False,
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
      parsnlp code --json --no-text *.txt > codes.jsonl
    """
    from parsnlp.interfaces import reading

    if files.count(reading.STDIN) > 1:
        raise InputError("- (standard input) can be read only once; name it once")
    reading.note({"text": "", "kind": kind, "date": date})  # a wrong option is said before anything is loaded
    extractor = load(setting, excludes1, stress_fracture, patterns, strict_release, procedures)
    told: set[str] = set()
    failed = 0
    for file in files:
        try:
            _code_file(
                told,
                extractor,
                file,
                len(files) > 1,
                as_json=as_json,
                full=full,
                text=not no_text,
                kind=kind,
                date=date,
            )
        except InputError as error:
            typer.echo(f"parsnlp: {error}", err=True)
            failed += 1
    if failed:
        raise typer.Exit(MISUSE if failed == len(files) else SOME_FAILED)


def _code_file(
    told: set[str],
    extractor: Extractor,
    file: str,
    several: bool,
    *,
    as_json: bool,
    full: bool,
    text: bool,
    kind: str | None,
    date: str | None,
) -> None:
    from parsnlp.interfaces import batch, reading

    decoded = reading.read(file)
    if decoded.notice:
        typer.echo(f"parsnlp: {decoded.notice}", err=True)
    note = reading.note({"id": named(file), "text": decoded.text, "kind": kind, "date": date})
    result = batch.with_notices(extractor.extract(note, what_if=full), [decoded.notice] if decoded.notice else [])
    say_stamp(result, told)
    if as_json:
        sys.stdout.buffer.write(result.to_json(text=text).encode("utf-8") + b"\n")
        return
    from parsnlp import explain
    from parsnlp.interfaces import terminal

    out = terminal.console()
    if several:
        out.print(f"--- {terminal.harmless(file)}", style="bold", soft_wrap=True)
    if text:
        terminal.show_note(out, result, decoded.text)
        out.print()
    terminal.show_lines(out, explain.lines(result, text) if full else explain.summary(result, text))


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
        else (reading.single(file, named(file), kind=kind, date=date) for file in files)
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
    full: Annotated[bool, typer.Option("--explain", help="Say why, step by step.")] = False,
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

    A folder of .txt notes is one encounter, a folder of such folders many. A manifest (.csv, .tsv, .jsonl) lists a
    document a row: encounter, note (a path), and where known kind, date, setting, author. An encounter of which a
    document cannot be read is told on standard error and left out; the exit status is then 3.

    \b
    Examples:
      parsnlp encounter chart/
      parsnlp encounter charts.csv --out results.jsonl
    """
    from parsnlp.explain import lines, summary
    from parsnlp.interfaces import encounters as charts
    from parsnlp.interfaces import terminal

    extractor = load(setting, excludes1, stress_fracture, patterns, strict_release, procedures)
    items = charts.encounters(source)
    if out is not None:
        read, failed = _write_encounters(items, source, out, force, extractor, not no_text)
    else:
        read = failed = 0
        told: set[str] = set()
        for item in items:
            result = decided(item, told, lambda item: extractor.extract_encounter(item.notes, what_if=full))
            if result is None:
                failed += 1
                continue
            read += 1
            console = terminal.console()
            console.print(f"--- {terminal.harmless(result.id)}", style="bold", soft_wrap=True)
            terminal.show_lines(console, lines(result, not no_text) if full else summary(result, not no_text))
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
        typer.Argument(metavar="FOLDER|FILE", help="The encounter's notes; a folder stands for its .txt files."),
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
    from parsnlp.interfaces import reading, terminal

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
    notes = []
    for path in _documents(inputs):
        decoded = reading.read(path)
        if decoded.notice:
            typer.echo(f"parsnlp: {decoded.notice}", err=True)
        notes.append(reading.note({"id": path, "text": decoded.text, "date": date}))
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
    """The files that the inputs name, a folder standing for its .txt files at any depth, in order."""
    found: list[str] = []
    for item in inputs:
        folder = Path(item)
        if folder.is_dir():
            inside = sorted(str(path) for path in folder.rglob("*.txt"))
            if not inside:
                raise InputError(f"{item}: the folder holds no .txt file")
            found += inside
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
    from parsnlp.interfaces import formats, reading

    if out is not None and not out.is_dir():
        raise InputError(f"{out}: no such folder; make it first")
    failed = 0
    for path in files:
        try:
            found = (
                formats.documents(reading.content(path), path.suffix, str(path))
                if path.suffix.lower() in formats.ENDINGS
                else [{"text": reading.read(path).text}]
            )
            for number, document in enumerate(found, 1):
                if document.get("notice"):
                    typer.echo(f"parsnlp: {document['notice']}", err=True)
                if out is None:
                    sys.stdout.buffer.write(str(document["text"]).encode("utf-8", "replace") + b"\n")
                else:
                    name = path.stem if len(found) == 1 else f"{path.stem}-{number}"
                    writing.write(out / f"{name}.txt", str(document["text"]))
        except InputError as error:
            typer.echo(f"parsnlp: {error}", err=True)
            failed += 1
    if failed:
        raise typer.Exit(MISUSE if failed == len(files) else SOME_FAILED)
