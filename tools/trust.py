"""docs/trust.jsonl holds what was tried to break parsnlp, a line a run; `python tools/trust.py` makes docs/trust.md of it.

`make fuzz`, `faults`, `soak`, `bench-service` and `mutants` add lines; no figure is written by hand.
`python tools/trust.py mutants STATS.json` adds what mutmut has counted.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
RUNS = Path(os.environ.get("PARSNLP_TRUST") or DOCS / "trust.jsonl")

_HEAD = """# What was tried to break it

Made by `make trust` of what the runs have noted in `docs/trust.jsonl`; no figure is written by hand. What is promised, and
which test holds each promise, stands in [SECURITY.md](../SECURITY.md).
"""
_FUZZ = """
## Hostile inputs, guided by coverage

`make fuzz` tries each target for a while: inputs grow from samples wherever a change reaches new code. A fault is an
exception that is not promised, a span that is not its words, note text in a message, a chained error of a library, or more
than two seconds of processor time and a millisecond a byte. Faults are those of the target's last run.

| target | runs | inputs | seconds | faults at last |
|---|---:|---:|---:|---:|
"""
_COUNTED = """
| what | runs | what was counted |
|---|---:|---|
"""
_SUMMED = {
    "fault": """
## Faults of the machine

`make faults` injects them; each run ends as an undisturbed one does, or the test fails and nothing is noted. Requests and
decisions are those under way meanwhile; an error is one told to the caller of a request whose worker was killed.
""",
    "load": """
## Load

`make soak` and `make bench-service`. An error is an answer that is not as it should be, or none.
""",
}
_LAST = {
    "mutants": """
## Mutants

`make mutants` changes the code that decides on codes, one change at a time; a change that fails no test survives. Figures
of the last run.
""",
    "rules": """
## Rules that matter to no note

Of the open corpora, a rule's own examples not among them: without any one of these rules every result says the same. Each
names the source of its wording, or the test fails. `parsnlp rules coverage --idle` lists them. Figures of the last run.
""",
    "supply": """
## What is installed

`make faults` counts it too. Figures of the last run.
""",
}


def add(kind: str, name: str, **figures: int) -> None:
    """Note a run: what `kind` of attempt, its `name`, and what was counted."""
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    with RUNS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"date": day, "kind": kind, "name": name, **figures}) + "\n")


def add_mutants(stats: Mapping[str, int]) -> None:
    """Note a run of mutmut by what `mutmut export-cicd-stats` tells of it."""
    killed = sum(stats[name] for name in ("killed", "timeout", "segfault", "suspicious"))
    add("mutants", "coding and resolve", killed=killed, survived=stats["survived"], without_a_test=stats["no_tests"])


def page(runs: Iterable[Mapping[str, str | int]]) -> str:
    """The page for these runs."""
    of: dict[str, dict[str, list[Mapping[str, str | int]]]] = {kind: {} for kind in ("fuzz", *_SUMMED, *_LAST)}
    for run in runs:
        of[str(run["kind"])].setdefault(str(run["name"]), []).append(run)
    made = _HEAD + _FUZZ
    whole = [0, 0, 0, 0]
    for name, its in of["fuzz"].items():
        figures = [len(its), total(its, "inputs"), total(its, "seconds"), int(its[-1]["faults"])]
        whole = [one + other for one, other in zip(whole, figures, strict=True)]
        made += row(name, *figures)
    made += row("all", *whole)
    for kind, head in (_SUMMED | _LAST).items():
        if of[kind]:
            made += head + _COUNTED
        for name, its in of[kind].items():
            made += row(name, len(its), counted(its if kind in _SUMMED else its[-1:]))
        if kind == "fault":
            every = [run for its in of[kind].values() for run in its if "kills" in run]
            made += row("all processes killed", len(every), f"{total(every, 'kills'):,} kills")
    return made


def counted(runs: Sequence[Mapping[str, str | int]]) -> str:
    """The figures of runs in words: their sums, of those "at most" the largest."""
    figures = [key for key in runs[-1] if key not in ("date", "kind", "name")]
    return ", ".join(f"{total(runs, key):,} {key.replace('_', ' ')}" for key in figures)


def total(runs: Iterable[Mapping[str, str | int]], figure: str) -> int:
    return (max if figure.endswith("at_most") else sum)(int(run.get(figure, 0)) for run in runs)


def row(*cells: str | int) -> str:
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells) + " |\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["mutants"]:
        add_mutants(json.loads(Path(sys.argv[2]).read_bytes()))
    lines = RUNS.read_text(encoding="utf-8").splitlines()
    (DOCS / "trust.md").write_text(page(map(json.loads, lines)), encoding="utf-8")
