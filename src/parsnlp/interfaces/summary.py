"""The figures of a batch, counted as a stream over its output in any format: memory does not grow with the notes.

Of each number the first few examples in the order of the run are kept. The first date on which a patient was coded is
found in a database of SQLite on disk that holds a hash of the patient's name and is gone when all is counted.
"""

from __future__ import annotations

import datetime
import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from parsnlp.interfaces import outputs
from parsnlp.interfaces.tables import TABLES
from parsnlp.view.summary import Example, Figure, Line, Summary

_EXAMPLES = 3
_MONTHS = 36  # more than these are told by the year
_FEW = 5  # versions, editions and policies that are named
_Named = dict[str, Any]


def summarise(out: Path) -> Summary:
    """Count an output. Raises `InputError` when it is not one of a batch."""
    counted = _Counted()
    with closing(_Firsts()) as firsts:
        for name, row in _named(out, tuple(counted.takes)):
            counted.takes[name](row)
            if name == "codes":
                firsts.add(row)
        cohort = firsts.lines(out)
    states = Counter(str(given.get("state")) for given in outputs.inputs(out))
    return Summary(
        name=f"Summary of {out.name}",
        facts=tuple(counted.facts(states, sum(line.count for line in cohort))),
        basis=tuple((name, _listed(values)) for name, values in counted.basis.items() if values),
        figures=(
            *counted.figures(),
            Figure("First coded", "patients", cohort, "The earliest date on which a patient has a code.", series=True),
        ),
    )


def _named(out: Path, only: tuple[str, ...]) -> Iterator[tuple[str, _Named]]:
    columns = {name: [column.name for column in table.columns] for name, table in TABLES.items()}
    for name, row in outputs.read(out, only):
        yield name, dict(zip(columns[name], row, strict=True))


class _Lines:
    """The counts of a figure by label, each with its first examples; `of`: how many there were to be counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.of: Counter[str] = Counter()
        self.examples: dict[str, list[Example]] = defaultdict(list)

    def add(self, label: str | None, row: _Named, what: str, counts: bool = True) -> None:
        """Count a row under a label, or only that it could have counted."""
        if label is None:
            return
        label = label.replace("_", " ")
        self.of[label] += 1
        if counts:
            self.counts[label] += 1
            if len(self.examples[label]) < _EXAMPLES:
                self.examples[label].append(_example(row, what))

    def shares(self) -> tuple[Line, ...]:
        """Each label's count as a share of its own whole, the largest whole first."""
        ordered = sorted(self.of.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Line(label, self.counts[label], of, tuple(self.examples[label])) for label, of in ordered)

    def most(self) -> tuple[Line, ...]:
        """The labels by count, each a share of all."""
        of = sum(self.counts.values())
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Line(label, count, of, tuple(self.examples[label])) for label, count in ordered)


class _Counted:
    """All that is counted in one pass."""

    def __init__(self) -> None:
        self.notes: Counter[str] = Counter()
        self.failed = 0
        self.dates: list[datetime.date] = []
        self.basis: dict[str, list[str]] = {
            "engine": [], "rule set": [], "edition": [], "Excludes1": [], "stress fracture": [],
        }  # fmt: skip
        self.lines: dict[str, _Lines] = defaultdict(_Lines)
        self.takes = {
            "notes": self.note,
            "codes": self.code,
            "findings": self.finding,
            "queries": self.query,
            "imaging": self.study,
            "checklist": self.item,
            "errors": self.error,
        }

    def note(self, row: _Named) -> None:
        self.notes["all"] += 1
        self.notes["coded"] += row["code_count"] > 0
        self.notes["review"] += row["review"]
        self.notes["codes"] += row["code_count"]
        self.notes["queries"] += row["queries"]
        self.notes["warned"] += row["warnings"] is not None
        if row["date"] is not None:
            self.dates = [min([row["date"], *self.dates]), max([row["date"], *self.dates])]
        made = (row["engine"], row["rule_set"], row["edition"], row["excludes1"], row["stress_fracture"])
        for values, value in zip(self.basis.values(), made, strict=True):
            if value not in values and len(values) <= _FEW:
                values.append(value)

    def code(self, row: _Named) -> None:
        code, condition = row["code"], row["condition"]
        self.lines["code"].add(f"{code} {row['display']}", row, code)
        self.lines["region"].add(row["region"] or "none named by the code", row, code)
        self.lines["condition"].add(condition, row, code)
        self.lines["setting"].add(row["setting"], row, code)
        for label in ("all codes", condition, row["setting"]):
            self.lines["review"].add(label, row, code, row["status"] == "review")
            if row["region"] is not None:
                self.lines["unspecified"].add(label, row, code, row["unspecified"])
        for name in ("laterality", "chronicity", "grade"):
            self.lines[name].add(row[name], row, code)

    def finding(self, row: _Named) -> None:
        self.lines["assertion"].add(row["assertion"], row, row["condition"].replace("_", " "))

    def query(self, row: _Named) -> None:
        self.lines["query"].add(row["kind"], row, row["severity"])

    def study(self, row: _Named) -> None:
        self.lines["modality"].add(row["modality"], row, row["finding"] or row["body_part"] or "no finding told")

    def item(self, row: _Named) -> None:
        self.lines["captured"].add(row["item"], row, row["state"], row["state"] == "captured")

    def error(self, row: _Named) -> None:
        self.failed += 1
        named = {**row, "result": row["result"] or f"input {row['number']}"}
        self.lines["failed"].add(row["stage"] or "not told", named, row["reason"] or "no reason told")

    def facts(self, states: Counter[str], patients: int) -> Iterator[tuple[str, str]]:
        """What leads the page."""
        if states:
            yield "inputs", f"{sum(states.values()):,}"
        yield "results", f"{self.notes['all']:,}"
        if states["left_out"]:
            yield "left out (--only)", f"{states['left_out']:,}"
        if states or self.failed:
            yield "failed", f"{self.failed:,}"
        yield "with a code", f"{self.notes['coded']:,}"
        yield "to review", f"{self.notes['review']:,}"
        yield "codes", f"{self.notes['codes']:,}"
        yield "queries", f"{self.notes['queries']:,}"
        if patients:
            yield "patients coded", f"{patients:,}"
        if self.notes["warned"]:
            yield "with a warning", f"{self.notes['warned']:,}"
        if self.dates:
            yield "first date", self.dates[0].isoformat()
            yield "last date", self.dates[1].isoformat()

    def figures(self) -> Iterator[Figure]:
        """The figures in the order of the page."""
        most = {name: self.lines[name].most() for name in (
            "code", "region", "condition", "setting", "laterality", "chronicity", "grade", "query", "modality",
            "assertion", "failed",
        )}  # fmt: skip
        yield Figure("Code", "codes", most["code"])
        yield Figure("Region", "codes", most["region"], "The region that the code stands for.")
        yield Figure("Condition", "codes", most["condition"])
        yield Figure("Setting", "codes", most["setting"])
        yield Figure(
            "Unspecified site", "codes", self.lines["unspecified"].shares(),
            "Codes whose site is unspecified, of the codes that name a site. The stroke is the 95 % interval.",
            rates=True,
        )  # fmt: skip
        yield Figure(
            "To review", "codes", self.lines["review"].shares(),
            "Codes that a coder must look at before they are used.",
            rates=True,
        )  # fmt: skip
        yield Figure(
            "Documentation captured", "items", self.lines["captured"].shares(),
            "What the charts with a code say, of what they should say.",
            rates=True,
        )  # fmt: skip
        yield Figure("Laterality", "codes", most["laterality"], "Of the codes whose record states it.")
        yield Figure("Chronicity", "codes", most["chronicity"], "Of the codes whose record states it.")
        yield Figure("Grade", "codes", most["grade"], "Of the codes whose record states it.")
        yield Figure("Query", "queries", most["query"], "What was left open, to ask the provider.")
        yield Figure("Modality", "studies", most["modality"], "Imaging whose result stands in the notes.")
        yield Figure("Assertion", "mentions", most["assertion"], "All mentions, coded or not.")
        yield Figure("Failed at", "inputs", most["failed"], "Inputs that gave no result.")


class _Firsts:
    """The first code of each patient, by date and then by the order of the run."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # a file without a name, which goes when it is closed
        self._database.execute(
            "CREATE TABLE firsts (patient BLOB PRIMARY KEY, date TEXT, number INT, row INT) WITHOUT ROWID"
        )

    def add(self, code: _Named) -> None:
        """Take a code into account; one without a patient or a date tells nothing."""
        if code["patient"] is not None and code["date"] is not None:
            patient = hashlib.blake2b(code["patient"].encode("utf-8"), digest_size=16).digest()
            self._database.execute(
                "INSERT INTO firsts VALUES (?, ?, ?, ?) ON CONFLICT (patient) DO UPDATE SET"
                " date = excluded.date, number = excluded.number, row = excluded.row WHERE excluded.date < date",
                (patient, code["date"].isoformat(), code["number"], code["row"]),
            )

    def lines(self, out: Path) -> tuple[Line, ...]:
        """The patients by month, or by year when the months are many."""
        length = 7 if len(self._periods(7)) <= _MONTHS else 4
        periods = self._periods(length)
        wanted = {
            place: period
            for period in periods
            for place in self._database.execute(
                "SELECT number, row FROM firsts WHERE substr(date, 1, ?) = ? ORDER BY number, row LIMIT ?",
                (length, period, _EXAMPLES),
            )
        }
        examples: dict[str, list[Example]] = defaultdict(list)
        if wanted:
            for _, row in _named(out, ("codes",)):
                period = wanted.pop((row["number"], row["row"]), None)
                if period is not None:
                    examples[period].append(_example(row, f"{row['code']} on {row['date']}"))
                if not wanted:
                    break
        of = sum(periods.values())
        return tuple(Line(period, count, of, tuple(examples[period])) for period, count in periods.items())

    def _periods(self, length: int) -> dict[str, int]:
        return dict(
            self._database.execute(
                "SELECT substr(date, 1, ?) AS period, count(*) FROM firsts GROUP BY period ORDER BY period", (length,)
            )
        )

    def close(self) -> None:
        self._database.close()


def _example(row: _Named, what: str) -> Example:
    return Example(
        row["result"], what, row.get("document"), row.get("start_offset"), row.get("end_offset"), row.get("text")
    )


def _listed(values: list[str]) -> str:
    return ", ".join(values[:_FEW]) + (" …" if len(values) > _FEW else "")
