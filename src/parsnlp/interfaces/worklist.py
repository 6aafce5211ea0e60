"""The results of a batch as a coder's worklist: filtered, one after the other, each with its note where that is found.

An output quotes notes but does not hold them. It tells where the batch read them, so they are read there again, and only
for the one item that is looked at; a text that is gone or has changed since is not shown, and the evidence stands by the
output's quotations alone. What the list needs of the output is held in a temporary database of SQLite, which has no name
on the disk and is gone with the process.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from parsnlp.coding import icd10cm
from parsnlp.errors import InputError
from parsnlp.interfaces import outputs, sources
from parsnlp.interfaces.reading import Encounter
from parsnlp.interfaces.sources import Columns, Input, Sources
from parsnlp.interfaces.tables import NAMES, TABLES
from parsnlp.models import (
    Code,
    CodeSet,
    Document,
    Edit,
    Finding,
    Note,
    Policy,
    Query,
    Result,
    RuleSetInfo,
    Span,
    Step,
    Suppressed,
)

SHOWN = 100
"""How many items of the list are told at a time."""

FILTERS = ("code", "status", "edit", "query")
"""What the list may be filtered by."""

NO_CODE = "no code"
"""The status of a result that suggests none."""

_WANTED = ("notes", "codes", "suppressed", "findings", "edits", "queries")
_TABLES = """
CREATE TABLE item (number INTEGER PRIMARY KEY, result TEXT, codes TEXT);
CREATE TABLE told (number INTEGER, name TEXT, row TEXT);
CREATE INDEX item_of ON item (result);
CREATE INDEX told_of ON told (number);
CREATE TABLE fact (number INTEGER, name TEXT, value TEXT, PRIMARY KEY (name, value, number)) WITHOUT ROWID;
"""
_AT_ONCE = 5_000  # rows between two commits
_KEPT = 64  # inputs of tables that are remembered, so that one may go back
_GONE = "was not found where the batch read it ({where}); start parsnlp serve in the folder where the batch was started"
_CHANGED = "has changed since the batch read it ({where})"

_Named = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """An item of the list. `told`: what the output tells of it, its rows by table. `notes`: read again; empty where they
    are not found, of which `missing` then tells why."""

    number: int
    id: str
    told: Mapping[str, list[_Named]]
    notes: tuple[Note, ...] = ()
    missing: str = ""


class Worklist:
    """The items of an output. Raises `InputError` when it is not one of a batch.

    `load` takes them in; meanwhile the list grows. `problem`: what it stumbled over.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.loaded = False
        self.problem = ""
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        self._database.executescript(_TABLES)
        try:
            self._notes = _Notes({str(row[0]): row[1] for _, row in outputs.read(out, ("run",))})
        except (ValueError, TypeError, RecursionError):
            raise InputError(f"{outputs.run_folder(out)}: damaged: what it tells of the run cannot be read") from None

    def load(self) -> None:
        """Take in the output."""
        names = {name: [column.name for column in TABLES[name].columns] for name in _WANTED}
        try:
            for at, (table, row) in enumerate(outputs.read(self.out, _WANTED)):
                named = dict(zip(names[table], row, strict=True))
                with self._lock:
                    self._add(table, named)
                    if at % _AT_ONCE == 0:
                        self._database.commit()
        except InputError as error:
            self.problem = str(error)
        except sqlite3.Error:
            self.problem = f"{self.out}: not all of it could be held; is there room for temporary files?"
        self.loaded = True

    def listed(
        self,
        filters: Mapping[str, str],
        only: Sequence[int] | None = None,
        without: Sequence[int] = (),
        *,
        after: int = -1,
        before: int | None = None,
    ) -> _Named:
        """The items that pass all filters: how many, and some of them, the first behind the number `after`, or where it
        is given the last in front of `before`.

        `only`: numbers besides which none passes, None for any; `without`: numbers that do not pass.
        """
        where, values = ["number NOT IN (SELECT value FROM json_each(?))"], list[Any]([json.dumps(list(without))])
        for name, value in filters.items():
            where.append("number IN (SELECT number FROM fact WHERE name = ? AND value = ?)")
            values += [name, value]
        if only is not None:
            where.append("number IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(only)))
        passing = f"FROM item WHERE {' AND '.join(where)}"
        side, end = (
            ("number > ? ORDER BY number", after) if before is None else ("number < ? ORDER BY number DESC", before)
        )
        with self._lock:
            (count,) = self._database.execute(f"SELECT count(*) {passing}", values).fetchone()
            found = self._database.execute(f"SELECT * {passing} AND {side} LIMIT ?", [*values, end, SHOWN]).fetchall()
        if before is not None:
            found.reverse()
        items = [{"number": row["number"], "id": row["result"], "codes": json.loads(row["codes"])} for row in found]
        return {"count": count, "items": items}

    def choices(self) -> dict[str, list[tuple[str, int]]]:
        """For each filter its values, each with how many items have it, the most frequent first."""
        with self._lock:
            found = self._database.execute(
                "SELECT name, value, count(*) AS count FROM fact GROUP BY name, value ORDER BY count DESC, value"
            ).fetchall()
        return {name: [(row["value"], row["count"]) for row in found if row["name"] == name] for name in FILTERS}

    def numbers(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """The numbers of the items of these ids; the caller of the batch has chosen them, so several may share one."""
        found: dict[str, list[int]] = {}
        with self._lock:
            given = json.dumps(list(ids))
            for row in self._database.execute(
                "SELECT number, result FROM item WHERE result IN (SELECT value FROM json_each(?))", (given,)
            ):
                found.setdefault(row["result"], []).append(row["number"])
        return found

    def item(self, number: int) -> Found | None:
        """One item, with its notes where they are found."""
        with self._lock:
            found = self._database.execute("SELECT * FROM told WHERE number = ? ORDER BY rowid", (number,)).fetchall()
        told: dict[str, list[_Named]] = {name: [] for name in _WANTED}
        for row in found:
            told[row["name"]].append(json.loads(row["row"]))
        if not told["notes"]:
            return None
        note = told["notes"][0]
        notes, missing = self._notes.of(note["result"], note["source"], note["sha256"])
        return Found(number, note["result"], told, notes, missing)

    def texts(self, id: str) -> dict[str, str] | None:
        """The texts of the documents of the first item of this id whose notes are found; None where none is."""
        for number in self.numbers([id]).get(id, []):
            found = self.item(number)
            if found and found.notes:
                return {note.id: note.text for note in found.notes}
        return None

    def _add(self, table: str, row: _Named) -> None:
        number = row["number"]
        self._database.execute("INSERT INTO told VALUES (?, ?, ?)", (number, table, json.dumps(row, default=str)))
        facts: list[tuple[str, str]] = []
        if table == "notes":
            codes = (row["codes"] or "").split(NAMES) if row["codes"] else []
            self._database.execute(
                "INSERT OR REPLACE INTO item VALUES (?, ?, ?)", (number, row["result"], json.dumps(codes))
            )
            if not codes:
                facts.append(("status", NO_CODE))
        elif table == "codes":
            facts += [("code", row["code"]), ("status", row["status"])]
        elif table in ("edits", "queries"):
            facts.append(("edit" if table == "edits" else "query", row["kind"]))
        self._database.executemany("INSERT OR IGNORE INTO fact VALUES (?, ?, ?)", [(number, *fact) for fact in facts])


class _Notes:
    """Reads notes again where a batch read them. `facts`: those of its run."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        named = {
            field.name: facts.get(f"options.columns.{field.name}", field.default)
            for field in fields(Columns)
            if facts.get(f"options.columns.{field.name}", field.default) != "null"
        }
        self._columns = Columns(**named)
        self._max_size = int(facts.get("options.max_size") or sources.MAX_SIZE)
        self._given = [str(each) for each in json.loads(facts.get("sources") or "[]")]
        self._lock = threading.Lock()
        self._inputs: Iterator[Input] | None = None
        self._recent: dict[str, Input] = {}

    def of(self, result: str, where: str | None, sha256: str | None) -> tuple[tuple[Note, ...], str]:
        """The notes that a result was made of; or none, and why not."""
        if where is None or sha256 is None:
            return (), _GONE.format(where="which it does not tell")
        with self._lock:
            try:
                item = self._file(where) if Path(where).is_file() else self._row(where, sha256)
            except InputError:
                item = None
        if item is None:
            return (), _GONE.format(where=where)
        if item.sha256 != sha256:
            return (), _CHANGED.format(where=where)
        found = [
            each for each in sources.encounters(item, self._columns, self._max_size) if isinstance(each, Encounter)
        ]
        if len(found) > 1:  # a file of several; what stands before the colon is the file's own name
            found = [each for each in found if result.endswith(each.id.removeprefix(item.id))]
        if len(found) != 1:
            return (), _GONE.format(where=where)
        notes = found[0].notes
        if item.data is not None and len(notes) == 1:  # the batch may have named a file by its folder too
            notes = (notes[0].model_copy(update={"id": result}),)
        return notes, ""

    def _file(self, where: str) -> Input | None:
        """A file of its own, read alone."""
        item = next(Sources([where], self._columns, self._max_size).inputs(), None)
        return None if item is None or item.rows else item

    def _row(self, where: str, sha256: str) -> Input | None:
        """Rows of a table: its sources are read on from where they were left, and once from the start."""
        if sha256 in self._recent:
            return self._recent[sha256]
        if not Path(where.rpartition(":")[0]).is_file():
            return None
        for fresh in (False, True):
            if fresh or self._inputs is None:
                self._inputs = Sources(self._given, self._columns, self._max_size).inputs()
            for item in self._inputs:
                if not item.rows:
                    continue
                self._recent[item.sha256] = item
                if len(self._recent) > _KEPT:
                    self._recent.pop(next(iter(self._recent)))
                if item.where == where:
                    return item
            self._inputs = None
        return None


def quoted(found: Found) -> Result:
    """What an output tells of an item as a result, for when its notes are not found: of each thing its first evidence, of
    each code's trail the rules."""
    note = found.told["notes"][0]
    documents = dict.fromkeys(row["document"] for name in _WANTED for row in found.told[name] if row.get("document"))
    edition = next((each for each in icd10cm.editions() if each.id == note["edition"]), icd10cm.edition_for(None)[0])
    return Result(
        id=found.id,
        codes=tuple(
            Code(
                **_fields(Code, row),
                evidence=_span(row),
                trail=tuple(Step(rule=rule, says="") for rule in _items(row["rules"])),
            )
            for row in found.told["codes"]
        ),
        suppressed=tuple(
            Suppressed(**_fields(Suppressed, row), evidence=_span(row)) for row in found.told["suppressed"]
        ),
        findings=tuple(
            Finding(id=row["finding"], **_fields(Finding, row), **_place(row)) for row in found.told["findings"]
        ),
        edits=tuple(Edit(**_fields(Edit, row), evidence=_span(row)) for row in found.told["edits"]),
        queries=tuple(Query(**_fields(Query, row), evidence=_span(row)) for row in found.told["queries"]),
        documents=tuple(Document(id=name) for name in documents),
        setting=note["setting"],
        policy=Policy(excludes1=note["excludes1"], stress_fracture=note["stress_fracture"]),
        code_set=CodeSet(id=edition.id, name=edition.name, valid_from=edition.valid_from, valid_to=edition.valid_to),
        rule_set=RuleSetInfo(hash=note["rule_set"], rules=0),
        engine=note["engine"],
        warnings=(f"The note {found.missing}",),
    )


_LISTS = frozenset({"levels", "regions", "codes", "options"})
_ELSEWHERE = frozenset({"id", "evidence", "trail", "alternatives", "drg", "cues", "document", "start", "end", "text"})


def _fields(model: type[BaseModel], row: _Named) -> _Named:
    """The cells of a row that are fields of a model of that name; words that were left out are empty."""
    made: _Named = {}
    for name, field in model.model_fields.items():
        if name in row and name not in _ELSEWHERE:
            made[name] = _items(row[name]) if name in _LISTS else row[name]
            if made[name] is None and field.is_required():
                made[name] = ""
    return made


def _items(cell: str | None) -> tuple[str, ...]:
    return tuple(cell.split(NAMES)) if cell else ()


def _place(row: _Named) -> _Named:
    return {
        "document": row["document"],
        "start": row["start_offset"],
        "end": row["end_offset"],
        "text": row["text"] or "",
    }


def _span(row: _Named) -> tuple[Span, ...]:
    return () if row["document"] is None else (Span(**_place(row)),)
