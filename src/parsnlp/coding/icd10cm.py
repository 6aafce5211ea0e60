"""The part of the ICD-10-CM Tabular List this library codes to, as read-only lookups.

Each edition is one JSON file in `tables/`, made by `tools/make_icd10cm_tables.py` from the official tabular XML; the
file's header names its source. Files are read on the first call of `editions()` or `edition_for()`, then kept.
A table holds whole families (`Edition.families`), not the whole list: ask `Edition.carries()` before you call a code
outside them unknown.

Codes are written the way the Tabular List prints them: upper case, with the dot ("M43.06", "S32.058A").
`normalize()` turns other spellings into that form; no method of `Edition` does it for you.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TypedDict, cast

from parsnlp.errors import InputError

__all__ = [
    "DrgGroup",
    "Edition",
    "Entry",
    "LegacyCode",
    "difference",
    "edition_for",
    "editions",
    "imported",
    "normalize",
    "standing",
]

_CATEGORY = r"[A-Z](?:[0-9][0-9A-Z]|A[0-9])"
_CODE = re.compile(rf"({_CATEGORY})(?:\.?([0-9A-Z]{{1,4}}))?")
_REFERENCE = re.compile(
    rf"\b({_CATEGORY}(?:\.[0-9A-Z]{{1,4}})?)(?:-({_CATEGORY}(?:\.[0-9A-Z]{{1,4}})?))?(?![0-9A-Za-z])"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PARENTHESES = re.compile(r"\(([^()]*)\)")
_NO_SEVENTHS: Mapping[str, str] = MappingProxyType({})


class _Notes(TypedDict, total=False):
    excludes1: list[str]
    excludes2: list[str]
    includes: list[str]
    inclusion_terms: list[str]
    notes: list[str]


class _Row(_Notes):
    code: str
    title: str
    parent: str | None
    billable: bool
    seventh: str | None
    placeholder: str


class _LegacyRow(TypedDict):
    code: str
    title: str
    successors: list[str]


class _Icd9(TypedDict):
    source: str
    valid_to: str
    rows: list[_LegacyRow]


class _DrgRow(TypedDict):
    code: str
    title: str
    mcc: bool


class _Drg(TypedDict):
    source: str
    version: str
    families: list[str]
    rows: list[_DrgRow]


class _Table(TypedDict):
    id: str
    title: str
    valid_from: str
    valid_to: str
    source: str
    sha256: str
    codes_verified: bool
    notes_verified: bool
    verification: str
    families: list[str]
    sevenths: dict[str, dict[str, str]]
    rows: list[_Row]
    icd9: _Icd9
    drg: _Drg


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the Tabular List: a code, a category, or a block or chapter above it.

    - `code`: canonical form; a block is its range ("M40-M43"), a chapter its number ("13").
    - `title`: the official wording. A code made complete by a 7th character has that character's meaning after a comma.
    - `billable`: True when the code is complete and may stand on a claim.
    - `parent`: the code one step up; None for a chapter.
    - `seventh`: the characters that must follow this code to make it complete, each with its meaning; empty when the
      code takes none, is a header, or is complete already.
    - `excludes1`, `excludes2`, `includes`: the notes printed at this very entry. Notes of the entries above apply too;
      walk `Edition.ancestors()` for them.
    - `inclusion_terms`: conditions listed under the code; `notes`: its general notes, such as which default holds for a
      fracture not called open or closed. Own ones only. "Code first" and "code also" notes are not carried.
    """

    code: str
    title: str
    billable: bool
    parent: str | None
    seventh: Mapping[str, str] = field(hash=False)
    excludes1: tuple[str, ...]
    excludes2: tuple[str, ...]
    includes: tuple[str, ...]
    inclusion_terms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LegacyCode:
    """An ICD-9-CM code still met in notes, with the ICD-10-CM families its cases moved to.

    `code` and `title` are as CMS last published them (version 32, in force until September 30 2015). `successors` are
    families, or a single code; a family is completed by the site, which an ICD-9-CM code does not give.
    """

    code: str
    title: str
    successors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrgGroup:
    """An MS-DRG a medical stay can group to. `mcc` says whether it needs a major complication or comorbidity."""

    code: str
    title: str
    mcc: bool


@dataclass(frozen=True, slots=True)
class _Reference:
    """A code, or a range of codes, named by a note. Each end stands for everything below it."""

    first: str
    last: str

    def covers(self, code: str) -> bool:
        plain = code.replace(".", "")
        return self.first <= plain[: len(self.first)] and plain[: len(self.last)] <= self.last


@functools.cache
def _references(note: str) -> tuple[_Reference, ...]:
    """The code references in a note's parentheses: "(M43.1)", "(M80.-)", "(Q76.3-Q76.4)", "(S12.0-S12.3-, S22.0-)"."""
    found: list[_Reference] = []
    for inside in _PARENTHESES.findall(note):
        for match in _REFERENCE.finditer(inside):
            first = match[1].replace(".", "")
            found.append(_Reference(first, match[2].replace(".", "") if match[2] else first))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Edition:
    """One release of the code set, limited to the families this library codes to.

    - `id`: the word results are stamped with ("icd10cm-2026-apr"); `name`: the release in words (`title` in the file;
      here `title()` is the method that gives a code's title).
    - `valid_from`, `valid_to`: first and last day it governs, ISO dates, both inclusive. The day that counts is the
      date of service, or of discharge for an inpatient stay.
    - `source`: the official file and how it reached us; `sha256`: that file's digest; `verification`: what the content
      was compared with.
    - `codes_verified`: codes and titles are this edition's own. `notes_verified`: the same of its notes. Either is
      False for an edition put together without the official file.
    - `families`: the codes under which the table holds every code there is.
    - `drg_version`: the MS-DRG version `drg_groups()` speaks of.
    """

    id: str
    name: str
    valid_from: str
    valid_to: str
    source: str
    sha256: str
    codes_verified: bool
    notes_verified: bool
    verification: str
    families: tuple[str, ...]
    drg_version: str
    _entries: Mapping[str, Entry] = field(repr=False)
    _children: Mapping[str, tuple[str, ...]] = field(repr=False)
    _stems: Mapping[str, str] = field(repr=False)
    _legacy: Mapping[str, LegacyCode] = field(repr=False)
    _drg_families: tuple[str, ...] = field(repr=False)
    _drg_groups: tuple[DrgGroup, ...] = field(repr=False)

    def codes(self) -> frozenset[str]:
        """The codes and categories of the table's own rows, without those that only a 7th character completes."""
        return frozenset(self._entries)

    def entry(self, code: str) -> Entry | None:
        """The entry of a code in canonical form, or None when this table has no such code.

        Complete 7-character codes have entries of their own: "S32.058A" is "Other fracture of fifth lumbar vertebra,
        initial encounter for closed fracture", billable, child of "S32.058". A code that lacks its placeholder
        ("S12.9A" for "S12.9XXA") or has a character its set does not list is no code.
        """
        return self._entries.get(code)

    def title(self, code: str) -> str:
        """The official title of a code. Raises LookupError for a code this table does not have."""
        return self._known(code).title

    def is_billable(self, code: str) -> bool:
        """True when the code is complete; False for headers, for codes that lack a 7th character, and for no code."""
        entry = self._entries.get(code)
        return entry is not None and entry.billable

    def is_known(self, code: str) -> bool:
        """True when the table has this code or category. Blocks and chapters are not codes.

        False proves that a code does not exist only where `carries(code)` is True.
        """
        return code in self._entries and _CODE.fullmatch(code) is not None

    def carries(self, code: str) -> bool:
        """True when the code lies in one of the families held whole, whether or not it exists.

        "M43.99" is carried and unknown: no such code. "M54.50" is not carried: this table cannot tell.
        """
        return code.startswith(self.families)

    def seventh_characters(self, code: str) -> Mapping[str, str]:
        """The 7th characters the code takes, with their meaning; empty when it takes none.

        The code may be written without the character ("S12.9"), with its placeholders ("S12.9XX"), or with any 7th
        character, right or wrong ("S12.9XXA", "S12.9XXZ").
        """
        for stem in (code, code[:-1]):
            base = self._entries.get(self._stems.get(stem, stem))
            if base is not None and base.seventh and (stem == code or stem in self._stems):
                return base.seventh
        return _NO_SEVENTHS

    def ancestors(self, code: str) -> tuple[str, ...]:
        """The codes above this one, nearest first, up to its block and chapter.

        "M43.06" gives ("M43.0", "M43", "M40-M43", "13"). Raises LookupError for a code this table does not have.
        """
        return tuple(self._above(self._known(code)))

    def children(self, code: str) -> tuple[str, ...]:
        """The codes one step below, in code order; complete codes below a code that takes a 7th character.

        Empty for a complete code. A category kept only as the parent of a family has just that family below it.
        Raises LookupError for a code this table does not have.
        """
        return self._children.get(self._known(code).code, ())

    def excludes1_conflict(self, a: str, b: str) -> str | None:
        """The Excludes1 note that forbids the two codes together, in its own words, or None.

        Notes at both codes and at everything above them count; those of `a` are read first, the nearest first. A
        note counts when a code or range in its parentheses covers the other code. Notes that point without a code
        ("code to Fracture, vertebra, by region") cannot be matched and are passed over. Neither code has to be in
        the table; one that is not brings only the notes of the nearest entry above it, if there is one.
        """
        for one, other in ((a, b), (b, a)):
            for entry in self._chain(one):
                for note in entry.excludes1:
                    if any(reference.covers(other) for reference in _references(note)):
                        return note
        return None

    def legacy(self, code: str) -> LegacyCode | None:
        """The ICD-9-CM code ("738.4", with its dot) and the families that succeeded it, or None if not carried."""
        return self._legacy.get(code)

    def legacy_codes(self) -> tuple[LegacyCode, ...]:
        """Every ICD-9-CM code the table carries, in code order."""
        return tuple(self._legacy.values())

    def drg_groups(self, code: str) -> tuple[DrgGroup, ...]:
        """The MS-DRGs of a stay with this principal diagnosis and no operating-room procedure.

        Carried for acquired spondylolysis and spondylolisthesis (M43.0-, M43.1-); empty for every other code and for
        a code that is not billable.
        """
        return self._drg_groups if code.startswith(self._drg_families) and self.is_billable(code) else ()

    def _known(self, code: str) -> Entry:
        entry = self._entries.get(code)
        if entry is None:
            hint = "check it with is_known() first" if self.carries(code) else "its family is not carried"
            raise LookupError(f"{code!r} is not in {self.id}: expected a code such as 'M43.06' or 'S32.058A'; {hint}")
        return entry

    def _above(self, entry: Entry) -> Iterator[str]:
        while entry.parent is not None:
            yield entry.parent
            entry = self._entries[entry.parent]

    def _chain(self, code: str) -> Iterator[Entry]:
        """The entry of the code, or of the longest start of it that has one, then all entries above."""
        for end in range(len(code), 2, -1):
            entry = self._entries.get(code[:end])
            if entry is not None:
                yield entry
                for above in self._above(entry):
                    yield self._entries[above]
                return


def _entries(table: _Table) -> tuple[dict[str, Entry], dict[str, str]]:
    """All entries by code, complete 7-character codes included, and the base code of every padded stem."""
    sevenths = {name: MappingProxyType(meanings) for name, meanings in table["sevenths"].items()}
    entries: dict[str, Entry] = {}
    stems: dict[str, str] = {}
    for row in table["rows"]:
        code, title = row["code"], row["title"]
        seventh = sevenths[row["seventh"]] if row["seventh"] else _NO_SEVENTHS
        entries[code] = Entry(
            code=code,
            title=title,
            billable=row["billable"],
            parent=row["parent"],
            seventh=seventh,
            excludes1=tuple(row.get("excludes1", ())),
            excludes2=tuple(row.get("excludes2", ())),
            includes=tuple(row.get("includes", ())),
            inclusion_terms=tuple(row.get("inclusion_terms", ())),
            notes=tuple(row.get("notes", ())),
        )
        if seventh:
            stem = code + row["placeholder"]
            stems[stem] = code
            for character, meaning in seventh.items():
                complete = stem + character
                entries[complete] = Entry(complete, f"{title}, {meaning}", True, code, _NO_SEVENTHS, (), (), ())
    return entries, stems


def _edition(table: _Table) -> Edition:
    entries, stems = _entries(table)
    children: dict[str, list[str]] = {}
    for entry in entries.values():
        if entry.parent is not None:
            children.setdefault(entry.parent, []).append(entry.code)
    drg = table["drg"]
    for day in (table["valid_from"], table["valid_to"]):
        datetime.date.fromisoformat(day)  # raises for what is no date
    return Edition(
        id=table["id"],
        name=table["title"],
        valid_from=table["valid_from"],
        valid_to=table["valid_to"],
        source=table["source"],
        sha256=table["sha256"],
        codes_verified=table["codes_verified"],
        notes_verified=table["notes_verified"],
        verification=table["verification"],
        families=tuple(table["families"]),
        drg_version=drg["version"],
        _entries=MappingProxyType(entries),
        _children=MappingProxyType({code: tuple(sorted(below)) for code, below in children.items()}),
        _stems=MappingProxyType(stems),
        _legacy=MappingProxyType(
            {
                row["code"]: LegacyCode(row["code"], row["title"], tuple(row["successors"]))
                for row in table["icd9"]["rows"]
            }
        ),
        _drg_families=tuple(drg["families"]),
        _drg_groups=tuple(DrgGroup(row["code"], row["title"], row["mcc"]) for row in drg["rows"]),
    )


@functools.cache
def editions() -> tuple[Edition, ...]:
    """Every edition this installation carries, and those the user imported, oldest first; read on the first call only.

    Raises `InputError` naming an imported file that cannot be read.
    """
    found = list(map(read, shipped()))
    place = imported()
    for path in sorted(place.glob("icd10cm-*.json")) if place is not None and place.is_dir() else ():
        try:
            found.append(read(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: not an edition that can be read ({type(error).__name__}); import it anew or remove it"
            ) from None
    return tuple(sorted(found, key=lambda edition: (edition.valid_from, edition.id)))


def shipped() -> list[str]:
    """The texts of the tables that this installation carries, in the order of their names."""
    folder = resources.files("parsnlp.coding").joinpath("tables")
    files = [file for file in folder.iterdir() if file.name.startswith("icd10cm-") and file.name.endswith(".json")]
    if not files:
        raise LookupError("parsnlp.coding.tables holds no icd10cm-*.json: the installation is incomplete; reinstall it")
    return [file.read_text(encoding="utf-8") for file in sorted(files, key=lambda file: file.name)]


def read(text: str) -> Edition:
    """The edition of one table's text."""
    return _edition(cast(_Table, json.loads(text)))


def imported() -> Path | None:
    """The folder of the editions that the user imported, whether it exists or not; None where there is no home.

    The environment variable `PARSNLP_CODES` names it, else it lies in `$XDG_DATA_HOME` or `~/.local/share`.
    """
    named = os.environ.get("PARSNLP_CODES")
    if named:
        return Path(named)
    base = os.environ.get("XDG_DATA_HOME")
    try:
        return (Path(base) if base else Path.home() / ".local" / "share") / "parsnlp" / "editions"
    except RuntimeError:
        return None


def difference(old: Edition, new: Edition) -> list[str]:
    """What differs between two editions in their families: codes added, removed, retitled, and changed notes."""
    lines = []
    for code in sorted(old.codes() | new.codes()):
        one, other = old.entry(code), new.entry(code)
        if one is None or other is None:
            lines.append(f"{'added' if one is None else 'removed'} {code} {(other or one).title}")  # type: ignore[union-attr]
            continue
        if one.title != other.title:
            lines.append(f"retitled {code}: {one.title} -> {other.title}")
        if (one.billable, one.seventh) != (other.billable, other.seventh):
            lines.append(
                f"changed {code}: billable {one.billable} -> {other.billable}, 7th characters "
                f"{''.join(one.seventh) or 'none'} -> {''.join(other.seventh) or 'none'}"
            )
        for what in ("excludes1", "excludes2", "includes", "inclusion_terms", "notes"):
            before, after = getattr(one, what), getattr(other, what)
            lines += [f"{what} of {code}: - {text}" for text in before if text not in after]
            lines += [f"{what} of {code}: + {text}" for text in after if text not in before]
    return lines


def edition_for(date: str | None) -> tuple[Edition, bool | None]:
    """The edition for a date of service (or of inpatient discharge), and whether it really covers that date.

    `date` is an ISO date, "2026-04-15". True: the date lies within the edition's validity; of two such editions the
    newer one is given. False: no edition carried covers the date, and this one is nearest to it. None: no date was
    given, and this is the newest. The clock of the machine is never read. Raises ValueError for anything else.
    """
    carried = editions()
    if date is None:
        return carried[-1], None
    day = _day(date)

    def distance(edition: Edition) -> int:
        before, after = _day(edition.valid_from) - day, day - _day(edition.valid_to)
        return max(before.days, after.days, 0)

    nearest = min(reversed(carried), key=distance)
    return nearest, distance(nearest) == 0


def standing(date: str | None, releases: Sequence[Mapping[str, str]] = ()) -> str | None:
    """How the edition used stands to a date that no edition carried covers; None for a covered date, or none.

    `releases`: what is known of releases that are not carried, as `patterns/codes.yaml` lists them (`name`, `valid_from`,
    `valid_to`, `says`). The text names no date of the encounter.
    """
    edition, covers = edition_for(date)
    if covers is not False or date is None:
        return None
    for release in releases:
        if release["valid_from"] <= date <= release["valid_to"]:
            return f"{release['name']} is in force and not carried; {release['says']}; {edition.name} is used"
    return f"no release in force at that date is carried; the nearest, {edition.name}, is used"


def _day(date: str) -> datetime.date:
    try:
        if not _DATE.fullmatch(date):  # Python 3.11 would read week dates and dates without dashes too
            raise ValueError
        return datetime.date.fromisoformat(date)
    except ValueError:
        raise ValueError(f"date {date!r} is not an ISO date; write year-month-day, such as '2026-04-15'") from None


def normalize(code: str) -> str:
    """The code in canonical form: upper case, dot after the third character, no white space around it.

    "M4306" gives "M43.06", "s32058a" gives "S32.058A", "m43" gives "M43". Only the shape is looked at (a letter, two
    characters, then at most four more); whether the code exists is for `Edition.is_known()`. Raises ValueError for
    any other shape: a family written with a dash ("M43.1-"), an ICD-9-CM code ("738.4"), a range, a word.
    """
    match = _CODE.fullmatch(code.strip().upper())
    if match is None:
        raise ValueError(f"{code!r} has not the shape of an ICD-10-CM code; write it such as 'M43.06' or 'S32058A'")
    return f"{match[1]}.{match[2]}" if match[2] else match[1]
