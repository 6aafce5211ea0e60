"""What coders decide on suggested codes: kept in one SQLite file that only its owner may read, and exported.

Decisions are added, never changed: of those on one code of one item the last counts, and none is lost. An item is a note or
an encounter, known by its id and by a digest of its documents, so that a decision never passes to a text that it was not
made on. The file holds no note text but for reasons that a coder types, unless the caller asks to keep the texts.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from parsnlp.coding import icd10cm
from parsnlp.errors import InputError
from parsnlp.interfaces.outputs import csv_line
from parsnlp.interfaces.tables import NAMES
from parsnlp.models import Assertion, Condition, Note, Result, Setting, Status

Act = Literal["accept", "reject", "change", "add", "none", "wrong", "withdraw"]
"""accept, reject or change a suggested code; add a code of one's own; none: that no code is right, where none is suggested;
wrong: that a mention is misread; withdraw: take back what was decided on the same code or mention."""

_VERSION = 2
_WAIT = 10  # seconds for another process that writes
_TABLES = """
CREATE TABLE item (id TEXT, digest TEXT, facts TEXT NOT NULL, texts TEXT, PRIMARY KEY (id, digest));
CREATE TABLE decision (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL,
  subject TEXT NOT NULL, act TEXT NOT NULL, code TEXT, right_code TEXT, mention TEXT, reason TEXT,
  coder TEXT);
CREATE INDEX decision_of ON decision (id, digest, subject, number);
"""
_CURRENT = """SELECT * FROM decision WHERE number IN (SELECT max(number) FROM decision GROUP BY id, digest, subject)"""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Suggested(_Model):
    """A code that was suggested."""

    code: str = Field(max_length=10)
    status: Status


class Read(_Model):
    """A document as it was read: no word of it. `kind`: where it was told, not inferred. `sha256`: of its text."""

    id: str
    kind: str | None = None
    date: str | None = None
    author: str | None = None
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    length: int = Field(ge=0)


class Item(_Model):
    """What is decided on: a result's id, its documents and the codes that were suggested, with what suggested them."""

    id: str
    digest: str = Field(pattern="^[0-9a-f]{16}$")
    setting: Setting
    excludes1: str
    stress_fracture: str
    engine: str
    rule_set: str
    documents: tuple[Read, ...] = Field(max_length=500)
    codes: tuple[Suggested, ...] = Field(max_length=100)


class Mention(_Model):
    """A finding that a coder says is misread."""

    document: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    condition: Condition
    assertion: Assertion


class Decision(_Model):
    """A decision on an item. `code`: which; `right`: the code in its place, of a change; `mention`: of a wrong one.
    `coder`: who decides, where a name is given."""

    act: Act
    code: str | None = Field(default=None, max_length=20)
    right: str | None = Field(default=None, max_length=20)
    mention: Mention | None = None
    reason: str = Field(default="", max_length=2000, repr=False)
    coder: str = Field(default="", max_length=100, repr=False)


_TEXTS = TypeAdapter(dict[str, str])


def item(result: Result, notes: Sequence[Note]) -> Item:
    """A result as something to decide on. `notes`: what it was made of."""
    texts = {note.id: note.text for note in notes}
    read = [
        Read(
            id=each.id,
            kind=None if each.kind_inferred else each.kind,
            date=each.date,
            author=each.author,
            sha256=_sha256(texts[each.id]),
            length=each.length,
        )
        for each in result.documents
    ]
    return item_of(result, read)


def item_of(result: Result, read: Sequence[Read]) -> Item:
    """A result as something to decide on, made of documents that were so read."""
    return Item(
        id=result.id,
        digest=_digest((each.id, each.sha256) for each in read),
        setting=result.setting,
        excludes1=result.policy.excludes1,
        stress_fracture=result.policy.stress_fracture,
        engine=result.engine,
        rule_set=result.rule_set.hash,
        documents=tuple(read),
        codes=tuple(Suggested(code=code.code, status=code.status) for code in result.codes),
    )


def _digest(documents: Iterable[tuple[str, str]]) -> str:
    """Sixteen hexadecimal digits for documents, each given by its id and the SHA-256 of its text, in any order."""
    return hashlib.sha256(json.dumps(sorted(documents)).encode()).hexdigest()[:16]


def standard_file() -> Path:
    """Where decisions lie unless a file is named: the user's data folder as the platform has it, or the current one for a
    user who has no home."""
    named = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_DATA_HOME")
    below = {"win32": "AppData/Local", "darwin": "Library/Application Support"}.get(sys.platform, ".local/share")
    try:
        base = Path(os.environ.get(named) or Path.home() / below)
    except RuntimeError:
        base = Path()
    return base / "parsnlp" / "decisions.sqlite"


class Decisions:
    """The decisions of a file, which is made when the first is taken. Every call stands for itself: nothing is held open.

    Each raises `InputError` when the file cannot be used, or is no file of decisions.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Look whether the file can be used, if it is there."""
        if self.path.exists():
            with self._opened():
                pass

    def take(self, of: Item, decision: Decision, texts: Mapping[str, str] | None = None) -> None:
        """Add a decision; when this returns it is on the disk. `texts`: to keep, by document.

        Raises `InputError` for a decision that does not fit its item or names no code that can be.
        """
        decision = _checked(of, decision)
        row = (
            _now(), of.id, of.digest, _subject(decision), decision.act, decision.code, decision.right,
            decision.mention.model_dump_json() if decision.mention else None, decision.reason or None,
            decision.coder or None,
        )  # fmt: skip
        with self._opened() as database, database:
            database.execute(
                "INSERT INTO item VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET facts = excluded.facts, texts = coalesce(excluded.texts, texts)",
                (of.id, of.digest, of.model_dump_json(), json.dumps(texts) if texts is not None else None),
            )
            database.execute(
                "INSERT INTO decision (at, id, digest, subject, act, code, right_code, mention, reason, coder) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def on(self, id: str, digest: str) -> list[dict[str, Any]]:
        """What stands decided on an item: each code and mention once, in the order of their first decision."""
        if not self.path.exists():
            return []
        with self._opened() as database:
            rows = database.execute(f"{_CURRENT} AND id = ? AND digest = ?", (id, digest)).fetchall()
            return [_plain(row) for row in rows if row["act"] != "withdraw"]

    def log(self) -> Iterator[dict[str, Any]]:
        """Every decision in the order they were taken. `current`: whether it is the last on its code or mention."""
        if not self.path.exists():
            return
        with self._opened() as database:
            last = {row["number"] for row in database.execute(_CURRENT)}
            items = {(of.id, of.digest): of for of, _ in _items(database)}
            for row in database.execute("SELECT * FROM decision ORDER BY number"):
                of = items[row["id"], row["digest"]]
                yield {
                    "at": str(row["at"]),
                    "id": of.id,
                    "digest": of.digest,
                    **_plain(row),
                    "current": row["number"] in last,
                    "suggested": [each.code for each in of.codes],
                    **of.model_dump(include={"setting", "excludes1", "stress_fracture", "engine", "rule_set"}),
                }

    def finished(self) -> Iterator[tuple[Item, list[str], dict[str, str] | None]]:
        """The items of which every suggested code is decided on: each with its right codes, and its texts where kept.

        An item without suggestions is finished when a coder has added a code or said that none is right.
        """
        if not self.path.exists():
            return
        with self._opened() as database:
            taken: dict[tuple[str, str], list[dict[str, Any]]] = {}
            for row in database.execute(f"{_CURRENT} ORDER BY number"):
                taken.setdefault((row["id"], row["digest"]), []).append(_plain(row))
            for of, texts in _items(database):
                right = right_codes(of, taken.get((of.id, of.digest), []))
                if right is not None:
                    yield of, right, texts

    def states(self) -> dict[tuple[str, str], str]:
        """How far each item is, by id and digest: "done" or "begun"; what nobody has decided on is not named."""
        if not self.path.exists():
            return {}
        done = {(of.id, of.digest) for of, _, _ in self.finished()}
        with self._opened() as database:
            found = database.execute(f"SELECT DISTINCT id, digest FROM ({_CURRENT}) WHERE act <> 'withdraw'")
            return {key: "done" if key in done else "begun" for key in (tuple(row) for row in found)}

    def rates(self) -> list[tuple[str, int, int]]:
        """Acceptance over time: each day, or each month once there are many days, with how many of the suggested codes
        decided on were accepted, and how many were decided on. Days are those of UTC."""
        if not self.path.exists():
            return []
        with self._opened() as database:
            counted: dict[str, list[int]] = {}
            for row in database.execute(f"{_CURRENT} ORDER BY at"):
                if row["act"] in ("accept", "reject", "change"):
                    day = counted.setdefault(str(row["at"])[:10], [0, 0])
                    day[0] += row["act"] == "accept"
                    day[1] += 1
        if len(counted) > 31:
            months: dict[str, list[int]] = {}
            for day_name, (accepted, of) in counted.items():
                month = months.setdefault(day_name[:7], [0, 0])
                month[0] += accepted
                month[1] += of
            counted = months
        return [(name, accepted, of) for name, (accepted, of) in counted.items()]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file, which is made with its folder where it is not there."""
        try:
            if not self.path.exists():
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self.path, timeout=_WAIT)) as database:
                database.row_factory = sqlite3.Row
                database.execute("PRAGMA synchronous = FULL")
                self._prepare(database)
                yield database
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be used for decisions ({error.strerror}); name another file"
            ) from None
        except (sqlite3.Error, ValueError, LookupError, TypeError):  # their words may quote what was written
            raise InputError(
                f"{self.path}: cannot be used for decisions: not a file of them, damaged, or locked"
            ) from None

    def _prepare(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        # A view or a trigger would be a program of whoever made the file.
        if database.execute("SELECT 1 FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone():
            raise InputError(
                f"{self.path}: cannot be used for decisions: it holds views or triggers; name another file"
            )
        if version == _VERSION:
            return
        if version == 1:  # before coders could give their names
            with database:
                database.executescript(
                    f"BEGIN IMMEDIATE;ALTER TABLE decision ADD COLUMN coder TEXT;PRAGMA user_version = {_VERSION};COMMIT;"
                )
            return
        if version or database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise InputError(f"{self.path}: holds something else than the decisions of this version; name another file")
        with database:
            database.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {_VERSION};COMMIT;")


def right_codes(of: Item, taken: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """The codes that an item should have, by what stands decided on it; None while something is left to decide."""
    on = {row["code"]: row for row in taken if row["act"] in ("accept", "reject", "change")}
    added = [row["code"] for row in taken if row["act"] == "add"]
    none = any(row["act"] == "none" for row in taken)
    if any(each.code not in on for each in of.codes) or not (of.codes or added or none):
        return None
    kept = [on[each.code] for each in of.codes if on[each.code]["act"] != "reject"]
    return list(dict.fromkeys([*(row["right"] or row["code"] for row in kept), *added]))


def jsonl(decisions: Decisions) -> Iterator[bytes]:
    """Every decision as a line of JSON."""
    for row in decisions.log():
        yield json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def csv(decisions: Decisions) -> Iterator[bytes]:
    """Every decision as a line of CSV below a heading: UTF-8, CRLF; what a spreadsheet would run begins with an apostrophe."""
    columns = (
        "at", "id", "digest", "act", "code", "right", "document", "start", "end", "condition", "assertion", "reason",
        "coder", "current", "suggested", "setting", "excludes1", "stress_fracture", "engine", "rule_set",
    )  # fmt: skip
    yield csv_line(columns)
    for row in decisions.log():
        flat = {**row, **(row["mention"] or {}), "suggested": NAMES.join(row["suggested"])}
        yield csv_line(flat.get(name) for name in columns)


def gold(decisions: Decisions, texts_of: Callable[[Item], Mapping[str, str] | None]) -> Iterator[bytes]:
    """The finished items whose texts are to be had, as lines of a gold file for `parsnlp evaluate`, texts and all.

    `texts_of`: the texts of an item's documents where they were not kept; those that are not what was decided on are
    passed over.
    """
    named: set[str] = set()
    for of, right, kept in decisions.finished():
        texts = kept or texts_of(of)
        if texts is None or any(_sha256(texts.get(each.id, "")) != each.sha256 for each in of.documents):
            continue
        name = of.id if of.id not in named else f"{of.id}#{of.digest}"
        named.add(name)
        documents = [
            {**each.model_dump(exclude_none=True, exclude={"sha256", "length"}), "text": texts[each.id]}
            for each in of.documents
        ]
        made: dict[str, Any] = {"id": name, "setting": of.setting, "codes": right}
        if len(documents) > 1:
            made["documents"] = documents
        else:
            spelled = {"date": "encounter_date", "kind": "kind", "text": "text"}
            made |= {spelled[key]: value for key, value in documents[0].items() if key in spelled}
        yield json.dumps(made).encode() + b"\n"


def _checked(of: Item, given: Decision) -> Decision:
    """The decision with its codes spelled as codes are. Raises `InputError`."""
    suggested = {each.code for each in of.codes}
    if (given.act == "wrong") != (given.mention is not None) and given.act != "withdraw":
        raise InputError("a mention, and nothing else, can be wrong")
    if given.act in ("accept", "reject", "change") and given.code not in suggested:
        raise InputError("only a code that is suggested can be accepted, rejected or changed")
    if given.act == "none" and (suggested or given.code):
        raise InputError("that no code is right can be said where none is suggested; reject those that are")
    update = {
        name: _normal(value)
        for name, value, wanted in (
            ("code", given.code, given.act == "add"),
            ("right", given.right, given.act == "change"),
        )
        if wanted
    }
    made = given.model_copy(update=update)
    if made.act == "add" and made.code in suggested:
        raise InputError("this code is suggested already; accept it")
    if made.act == "change" and made.right == made.code:
        raise InputError("this is the same code; accept it")
    return made


def _normal(code: str | None) -> str:
    try:
        return icd10cm.normalize(code or "")
    except ValueError:
        raise InputError("not the form of an ICD-10-CM code; write it such as M43.06 or S32.058A") from None


def _subject(decision: Decision) -> str:
    """What is decided on within an item, so that a later decision on it takes the place of an earlier one."""
    if decision.mention:
        return f"{decision.mention.document}:{decision.mention.start}-{decision.mention.end}"
    return decision.code or ""


def _items(database: sqlite3.Connection) -> Iterator[tuple[Item, dict[str, str] | None]]:
    """The items in the order of their first decision, with their texts where these are kept."""
    for row in database.execute("SELECT facts, texts FROM item ORDER BY rowid"):
        texts = _TEXTS.validate_json(row["texts"]) if row["texts"] else None
        yield Item.model_validate_json(row["facts"]), texts


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    made = Decision(
        act=row["act"],
        code=row["code"],
        right=row["right_code"],
        mention=Mention.model_validate_json(row["mention"]) if row["mention"] else None,
        reason=row["reason"] or "",
        coder=row["coder"] or "",
    )
    return {**made.model_dump(), "reason": made.reason or None, "coder": made.coder or None}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
