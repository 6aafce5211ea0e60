"""The program `parsnlp`. What is heavy (spaCy, Rich, the rules) is imported inside the commands, so `--help` is quick.

Exit status: 0 done; 1 a check failed; 2 misuse or bad input; 3 done with some inputs failed; 130 interrupted.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from parsnlp import __version__, writing
from parsnlp.errors import InputError, ParsnlpError

if TYPE_CHECKING:
    from parsnlp.evaluation import Evaluation
    from parsnlp.extractor import Extractor
    from parsnlp.interfaces.batch import Tally
    from parsnlp.interfaces.reading import Encounter, Failure
    from parsnlp.models import Result
    from parsnlp.rules import Example, RuleSet

FAILED_CHECK, MISUSE, SOME_FAILED, INTERRUPTED = 1, 2, 3, 130


class _Group(TyperGroup):
    """Turns the library's own errors into a clear line on standard error and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a quotation must not crash a terminal that lacks a character
                stream.reconfigure(errors="backslashreplace")
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()
            return done
        except ParsnlpError as error:
            typer.echo(f"parsnlp: {error}", err=True)
            raise typer.Exit(MISUSE) from None
        except KeyboardInterrupt:
            typer.echo("parsnlp: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            if error.filename is not None or error.errno == errno.EPIPE:  # not our stream's, or a reader that left
                raise
            typer.echo(f"parsnlp: the output cannot be written ({error.strerror})", err=True)
            raise typer.Exit(MISUSE) from None


_HELP = """Find pars defects (spondylolysis) and vertebral slips (spondylolisthesis) in clinical notes and suggest
ICD-10-CM codes, each with its evidence. A suggestion is for a qualified coder to accept or refuse.

\b
Examples:
  parsnlp code note.txt                 one note: its codes and why
  parsnlp code --explain note.txt       the full trail, rule by rule
  parsnlp code - < note.txt             from standard input
  parsnlp batch notes/ --out codes.jsonl
  parsnlp demo                          the sample notes of the checkout

\b
Exit status: 0 done; 1 a check failed; 2 misuse or bad input;
3 done, but some inputs failed; 130 interrupted."""

app = typer.Typer(
    name="parsnlp",
    cls=_Group,
    help=_HELP,
    rich_markup_mode=None,  # Rich's help would double the time of --help
    pretty_exceptions_enable=False,  # they print local variables, which may hold note text
    add_completion=False,
    no_args_is_help=True,
)


def _group(name: str, help: str) -> typer.Typer:
    """A group of commands under `name`."""
    made = typer.Typer(cls=_Group, help=help, rich_markup_mode=None, no_args_is_help=True)
    app.add_typer(made, name=name)
    return made


rules_app = _group("rules", "Look at the rules and run their examples.")
codes_app = _group("codes", "The editions of the code set.")

Setting = Annotated[
    str,
    typer.Option(metavar="outpatient|inpatient", help="Decides on uncertain diagnoses (OCG IV.H, II.H)."),
]
Excludes1 = Annotated[
    str,
    typer.Option(
        "--excludes1", metavar="separate|strict", help="Lysis with slip: both codes, or the slip's alone (P-X2)."
    ),
]
StressFracture = Annotated[
    str,
    typer.Option("--stress-fracture", metavar="M43.0|M48.4", help="The family of a pars stress fracture (P-C7)."),
]
Patterns = Annotated[
    list[Path] | None,
    typer.Option(
        "--patterns", metavar="DIR", help="A folder of your own rules, read over the shipped ones; may be repeated."
    ),
]
StrictRelease = Annotated[
    bool, typer.Option("--strict-release", help="Refuse encounters dated outside the code set's editions carried.")
]
NoText = Annotated[
    bool, typer.Option("--no-text", help="Leave the note's words out: codes, rule ids and offsets only.")
]


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from parsnlp import rules
    from parsnlp.coding import icd10cm

    ruleset = rules.load()
    edition, _ = icd10cm.edition_for(None)
    typer.echo(f"parsnlp {__version__}")
    typer.echo(f"rule set {ruleset.hash} ({len(ruleset.rules)} rules)")
    typer.echo(f"code set {edition.name}, valid {edition.valid_from} to {edition.valid_to}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Engine, rule set and code set; then exit."
        ),
    ] = False,
) -> None:
    pass


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
    extractor = _load(setting, excludes1, stress_fracture, patterns, strict_release)
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
    note = reading.note({"id": _named(file), "text": decoded.text, "kind": kind, "date": date})
    result = batch.with_notices(extractor.extract(note, what_if=full), [decoded.notice] if decoded.notice else [])
    _say_stamp(result, told)
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
    card = reference.card(code, edition, _rules(patterns).tables)
    if as_json:
        typer.echo(card.model_dump_json(indent=2))
        return
    from parsnlp.explain import Line
    from parsnlp.interfaces import terminal

    terminal.show_lines(terminal.console(), [Line(*line) for line in reference.lines(card)])


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
    extractor = _load(setting, "separate", "M43.0", patterns)
    failed = number = 0
    found = (
        charts.encounters(Path(files[0]))
        if whole
        else (reading.single(file, _named(file), kind=kind, date=date) for file in files)
    )
    for item in found:
        result = _decided(item, set(), lambda item: extractor.extract_encounter(item.notes))
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


def _named(file: str) -> str:
    """The id of a file's note."""
    return "stdin" if file == "-" else Path(file).stem


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
    from parsnlp.interfaces import batch as batches
    from parsnlp.interfaces import encounters as charts
    from parsnlp.interfaces import terminal

    extractor = _load(setting, excludes1, stress_fracture, patterns, strict_release)
    items = charts.encounters(source)
    if out is not None:
        text = not no_text
        tally = batches.run(source, out, extractor, text=text, force=force, items=items, failed=_say_failure)
        for line in (*tally.lines(), f"written to {out}"):
            typer.echo(line, err=True)
        read, failed = tally.notes, tally.failed
    else:
        read = failed = 0
        told: set[str] = set()
        for item in items:
            result = _decided(item, told, lambda item: extractor.extract_encounter(item.notes, what_if=full))
            if result is None:
                failed += 1
                continue
            read += 1
            console = terminal.console()
            console.print(f"--- {terminal.harmless(result.id)}", style="bold", soft_wrap=True)
            terminal.show_lines(console, lines(result, not no_text) if full else summary(result, not no_text))
    if failed:
        raise typer.Exit(SOME_FAILED if read else MISUSE)


def _decided(item: Encounter | Failure, told: set[str], decide: Callable[[Encounter], Result]) -> Result | None:
    """What is decided of one encounter, its notices told; None, and told why, where it cannot be."""
    from parsnlp.interfaces.reading import Failure as Failed

    if isinstance(item, Failed):
        _say_failure(item)
        return None
    for notice in item.notices:
        typer.echo(f"parsnlp: {notice}", err=True)
    try:
        result = decide(item)
    except InputError as error:  # strict release
        _say_failure(Failed(item.where, f"{item.id}: {error}"))
        return None
    _say_stamp(result, told)
    return result


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
            _load(setting, excludes1, stress_fracture, patterns, strict_release),
            as_json,
            not no_text,
        )
        return

    reading.note({"text": "", "date": date})  # a wrong option is said before anything is loaded
    extractor = _load(setting, excludes1, stress_fracture, patterns, strict_release)
    notes = []
    for path in _documents(inputs):
        decoded = reading.read(path)
        if decoded.notice:
            typer.echo(f"parsnlp: {decoded.notice}", err=True)
        notes.append(reading.note({"id": path, "text": decoded.text, "date": date}))
    result = extractor.audit(notes, [code for code in codes.replace(",", " ").split() if code])
    _say_stamp(result, set())
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
        result = _decided(item, told, lambda item, codes=codes or (): extractor.audit(item.notes, codes))  # type: ignore[misc]
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
        _say_failure(Failed(str(claims), f"encounter {name}: no such encounter in {source}"))
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
    extractor = _load(setting, excludes1, stress_fracture, patterns, strict_release)

    def run(step: Any) -> Tally:
        return batches.run(
            source, out, extractor, text=not no_text, force=force, workers=workers, failed=_say_failure, step=step
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


def _say_stamp(result: Result, told: set[str]) -> None:
    """Tell, once a run, how the edition used stands to a date that none covers."""
    stamp = result.code_set.stamp
    if stamp and stamp not in told:
        told.add(stamp)
        typer.echo(f"parsnlp: {stamp}", err=True)


def _say_failure(failure: Failure) -> None:
    typer.echo(f"parsnlp: {failure.where}: {failure.says}", err=True)


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
        extractor = _load(setting, excludes1, stress_fracture, patterns)
        _evaluate_sealed(gold, extractor, as_json=as_json, html=html, log=not no_log)
        return
    if no_log:
        raise InputError("--no-log goes with --sealed; nothing else is logged")
    if gold is None:
        raise InputError("name a gold file (parsnlp evaluate GOLD.jsonl), or give --sealed")
    scored = evaluation.evaluate_file(gold, _load(setting, excludes1, stress_fracture, patterns))
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
def schema() -> None:
    """Print the JSON Schema of a result, the format of `code --json` and of `batch`.

    \b
    Example:
      parsnlp schema > result.schema.json
    """
    import json

    from parsnlp.models import Result

    typer.echo(json.dumps(Result.model_json_schema(mode="serialization"), indent=2))


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

    demonstration.run(folder or demonstration.notes_folder(), _load())


@rules_app.command("list")
def rules_list(patterns: Patterns = None) -> None:
    """List every rule: its id, category and policy rule.

    \b
    Example:
      parsnlp rules list | grep negated
    """
    for rule in _rules(patterns).rules:
        typer.echo(f"{rule.id:44} {rule.category:24} {rule.policy or ''}".rstrip())


@rules_app.command("check")
def rules_check(patterns: Patterns = None) -> None:
    """Run every rule's examples and counter-examples; exit status 1 if one fails.

    \b
    Examples:
      parsnlp rules check
      parsnlp rules check --patterns our-rules/
    """
    from parsnlp import rulecheck

    ruleset = _rules(patterns)
    problems = rulecheck.check(ruleset)
    for problem in problems:
        typer.echo(str(problem))
    examples = sum(len(rule.examples) + len(rule.counter_examples) for rule in ruleset.rules)
    typer.echo(f"{len(ruleset.rules)} rules, {examples} example lines, {len(problems)} wrong")
    if problems:
        raise typer.Exit(FAILED_CHECK)


@rules_app.command("show")
def rules_show(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="A rule's id, as trails and findings cite it.")],
    patterns: Patterns = None,
) -> None:
    """Show one rule: what it matches, its examples and counter-examples.

    \b
    Example:
      parsnlp rules show spondylolysis.name
    """
    ruleset = _rules(patterns)
    rule = ruleset.by_id.get(rule_id)
    if rule is None:
        from difflib import get_close_matches

        close = get_close_matches(rule_id, ruleset.by_id, n=3, cutoff=0.5)
        raise InputError(
            f"no rule '{rule_id}'" + (f"; nearest: {', '.join(close)}" if close else "; parsnlp rules list shows all")
        )
    typer.echo(rule.id)
    fields = {
        "folder": rule.folder,
        "category": rule.category,
        "value": rule.value,
        "policy": rule.policy,
        "source": rule.source,
        "direction": rule.direction,
        "max scope": rule.max_scope,
        "max targets": rule.max_targets,
        "terminated by": ", ".join(rule.terminated_by),
        "literal": rule.literal,
        "pattern": "" if rule.headings else rule.pattern,
    }
    for name, value in fields.items():
        if value:
            typer.echo(f"  {name:14} {value}")
    for heading in rule.headings:
        typer.echo(f"  {'heading':14} {heading}")
    for example in rule.examples:
        typer.echo(f"  {'example':14} {_marked(example)}")
    for example in rule.counter_examples:
        typer.echo(f"  {'counter':14} {_marked(example)}")


def _marked(example: Example) -> str:
    """An example as its rule file writes it: the expected spans in [[ ]], breaks as \\n."""
    text = example.text
    for start, end in sorted(example.spans, reverse=True):
        text = f"{text[:start]}[[{text[start:end]}]]{text[end:]}"
    return text.replace("\n", "\\n")


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
    for release in _rules(patterns).tables["codes"]["releases"]:
        if icd10cm.edition_for(release["valid_from"])[1]:
            continue  # imported
        typer.echo(f"{release['name']}, in force {release['valid_from']} to {release['valid_to']}: not carried")
        typer.echo(f"    {release['says']}")


def _load(
    setting: str = "outpatient",
    excludes1: str = "separate",
    stress_fracture: str = "M43.0",
    patterns: list[Path] | None = None,
    strict_release: bool = False,
) -> Extractor:
    from parsnlp.extractor import load

    return load(setting, excludes1, stress_fracture, patterns, strict_release)


def _rules(patterns: list[Path] | None) -> RuleSet:
    from parsnlp import rules

    return rules.load(*(patterns or []))


def main() -> None:
    """The entry point of the program `parsnlp`."""
    app(prog_name="parsnlp")
