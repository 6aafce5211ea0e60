"""What the commands share: the program itself, its options and how it speaks of errors.

What is heavy (spaCy, Rich, the rules) is imported inside the commands, so that `--help` is quick.

Exit status: 0 done; 1 a check failed; 2 misuse or bad input; 3 done with some inputs failed; 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from parsnlp import __version__
from parsnlp.errors import InputError, ParsnlpError

if TYPE_CHECKING:
    from parsnlp.extractor import Extractor
    from parsnlp.interfaces.reading import Encounter, Failure
    from parsnlp.models import Result
    from parsnlp.rules import RuleSet


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
        except MemoryError:
            typer.echo("parsnlp: out of memory; give smaller inputs, fewer workers, or more memory", err=True)
            raise typer.Exit(MISUSE) from None
        except OSError as error:
            if error.filename is not None or error.errno == errno.EPIPE:  # not our stream's, or a reader that left
                raise
            if error.errno == errno.ENOENT:  # of `os.getcwd`, alone among what fails without naming a file
                typer.echo("parsnlp: the folder that it was started in is gone; change to another", err=True)
            else:
                typer.echo(f"parsnlp: the output cannot be written ({error.strerror})", err=True)
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - or Python tries, and complains, once more at its end
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


def group(name: str, help: str) -> typer.Typer:
    """A group of commands under `name`."""
    made = typer.Typer(cls=_Group, help=help, rich_markup_mode=None, no_args_is_help=True)
    app.add_typer(made, name=name)
    return made


rules_app = group("rules", "Look at the rules and run their examples.")


codes_app = group("codes", "The editions of the code set.")


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


Procedures = Annotated[
    Path | None,
    typer.Option(
        "--procedures",
        metavar="FILE.csv",
        help="Your own table of procedure numbers for linked services: kind, modality, region, procedure.",
    ),
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


def load(
    setting: str = "outpatient",
    excludes1: str = "separate",
    stress_fracture: str = "M43.0",
    patterns: list[Path] | None = None,
    strict_release: bool = False,
    procedures: Path | None = None,
) -> Extractor:
    from parsnlp.extractor import load

    if procedures is None:
        return load(setting, excludes1, stress_fracture, patterns, strict_release)
    from parsnlp.coding import necessity
    from parsnlp.interfaces import reading

    table = necessity.read_procedures(reading.read(procedures).text, str(procedures))
    return load(setting, excludes1, stress_fracture, patterns, strict_release, table)


def read_rules(patterns: list[Path] | None) -> RuleSet:
    from parsnlp import rules

    return rules.load(*(patterns or []))


def named(file: str) -> str:
    """The id of a file's note."""
    return "stdin" if file == "-" else Path(file).stem


def decided(item: Encounter | Failure, told: set[str], decide: Callable[[Encounter], Result]) -> Result | None:
    """What is decided of one encounter, its notices told; None, and told why, where it cannot be."""
    from parsnlp.interfaces import batch
    from parsnlp.interfaces.reading import Failure as Failed

    if isinstance(item, Failed):
        say_failure(item)
        return None
    for notice in item.notices:
        typer.echo(f"parsnlp: {notice}", err=True)
    try:
        result = batch.with_notices(decide(item), item.notices)
    except InputError as error:  # strict release
        say_failure(Failed(item.where, f"{item.id}: {error}"))
        return None
    say_stamp(result, told)
    return result


def say_stamp(result: Result, told: set[str]) -> None:
    """Tell, once a run, how the edition used stands to a date that none covers."""
    stamp = result.code_set.stamp
    if stamp and stamp not in told:
        told.add(stamp)
        typer.echo(f"parsnlp: {stamp}", err=True)


def say_failure(failure: Failure) -> None:
    typer.echo(f"parsnlp: {failure.where}: {failure.says}", err=True)
