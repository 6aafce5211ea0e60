"""Reference cards: what a coder asks of one code, answered from the policy's tables and the ICD-10-CM edition.

The sentences are data, `patterns/reference.yaml`; this module fills them. `card` gives the facts, `lines` prints them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from parsnlp.coding import icd10cm
from parsnlp.coding.icd10cm import Edition, Entry
from parsnlp.errors import InputError, RuleError
from parsnlp.models import Drg

UNSPECIFIED = "site unspecified"
"""The name of the region of a code whose fifth character is 0 (P-C3)."""

_LONGEST_SHOWN = 24

Kind = Literal["heading", "code", "review", "step", "item", "note"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Named(_Model):
    """A code, category, block or chapter with its official title."""

    code: str
    title: str


class Region(_Model):
    """The region a code stands for (P-C3). `character`: the fifth; null for codes that have none, as injuries do."""

    name: str
    character: str | None = None
    vertebrae: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()


class Exclusion(_Model):
    """An Excludes1 note of the edition. `at`: the entry that prints it; `note`: its own words."""

    at: str
    note: str


class Seventh(_Model):
    """A 7th character the code may take: its meaning and the complete code."""

    character: str
    meaning: str
    code: str


class Text(_Model):
    """A sentence or two with the policy rules it rests on."""

    says: str
    rules: tuple[str, ...]


class Answer(_Model):
    """One of the seven questions coders ask, answered for one code. `rules`: the policy ids the answer rests on."""

    question: str
    asks: str
    says: str
    rules: tuple[str, ...]


class Card(_Model):
    """Everything the edition and the policy say of one code.

    `kind`: what it codes, in words. `missing`: what an incomplete code lacks; `complete`: the codes one step below it.
    `excludes1`: notes at the code and above it; `excluded_by`: notes elsewhere that name it. `siblings`: the family's
    other regions, or the category's other vertebrae. `drg`: MS-DRGs as a medical principal diagnosis (P-X5).
    """

    code: str
    title: str
    kind: str
    billable: bool
    missing: tuple[str, ...]
    complete: tuple[Named, ...]
    edition: str
    valid_from: str
    valid_to: str
    chapter: Named
    block: Named
    category: Named
    region: Region | None
    uses: tuple[Text, ...]
    inclusion_terms: tuple[str, ...]
    excludes1: tuple[Exclusion, ...]
    excluded_by: tuple[Exclusion, ...]
    siblings: tuple[Named, ...]
    sevenths: tuple[Seventh, ...]
    drg: tuple[Drg, ...]
    tips: tuple[Text, ...]
    pitfalls: tuple[Text, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class _Role:
    """A place of an injury code in the policy's tables: which table, which vertebra or segment, which column."""

    table: str
    name: str
    column: int
    of: int


@dataclass(slots=True)
class _Subject:
    """The code a card is of. `base`: its entry without 7th character; `stem`: the base with its placeholders."""

    code: str
    base: str
    stem: str
    seventh: str | None
    kind: str
    region: str | None = None
    roles: tuple[_Role, ...] = ()
    tags: set[str] = field(default_factory=set)

    @property
    def names(self) -> tuple[str, ...]:
        """The vertebrae or segments of an injury code."""
        return tuple(dict.fromkeys(role.name for role in self.roles))


def card(code: str, edition: Edition, tables: Mapping[str, Any]) -> Card:
    """The reference card of a code in scope, however it is spelled ("M4316", "m43.16", "S32.058-").

    `tables`: a rule set's tables, of which `codes` and `reference` are read. Raises `InputError` for a code that does
    not exist or lies outside the policy's families, and says what is in scope; `RuleError` for a faulty text.

    >>> from parsnlp import rules
    >>> card("m4316", icd10cm.edition_for(None)[0], rules.load().tables).title
    'Spondylolisthesis, lumbar region'
    """
    return _Maker(edition, tables["codes"], tables["reference"]).card(code)


def region(code: str, edition: Edition, tables: Mapping[str, Any]) -> str | None:
    """The region that a code stands for (P-C3): lumbar, lumbosacral ..., "multiple sites" or `UNSPECIFIED`.

    None for a code that names no site, such as Q76.2, and for one outside the scope of `card`.

    >>> from parsnlp import rules
    >>> region("M43.17", icd10cm.edition_for(None)[0], rules.load().tables)
    'lumbosacral'
    """
    maker = _Maker(edition, tables["codes"], tables["reference"])
    try:
        found = maker.region(maker.subject(code))
    except InputError:
        return None
    return found.name if found else None


def scope(edition: Edition, tables: Mapping[str, Any]) -> tuple[str, ...]:
    """Every code that has a card, in code order: headers, codes that lack a 7th character, and complete codes."""
    maker = _Maker(edition, tables["codes"], tables["reference"])
    bases = {family for name, family in maker.families.items() if name != "congenital"}
    bases |= {child for family in bases for child in edition.children(family)} | {maker.families["congenital"]}
    bases |= set(maker.roles)
    complete = {child for base in bases if edition.seventh_characters(base) for child in edition.children(base)}
    return tuple(sorted(bases | complete))


@functools.cache
def _noted(edition: Edition) -> tuple[Entry, ...]:
    """Every entry of the edition that prints an Excludes1 note, each once."""
    found: dict[str, Entry | None] = {}
    waiting = [code for family in edition.families for code in (*reversed(edition.ancestors(family)), family)]
    while waiting:
        code = waiting.pop(0)
        if code not in found:
            found[code] = edition.entry(code)
            waiting = [*edition.children(code), *waiting]
    return tuple(entry for _, entry in sorted(found.items()) if entry is not None and entry.excludes1)


class _Maker:
    def __init__(self, edition: Edition, codes: Mapping[str, Any], texts: Mapping[str, Any]) -> None:
        self.edition = edition
        self.codes = codes
        self.texts = texts
        self.families: Mapping[str, str] = codes["families"]
        self.regions: Mapping[str, Mapping[str, Any]] = codes["regions"]
        self.roles: dict[str, list[_Role]] = {}
        for name, row in codes["fractures"].items():
            for table in ("arch", "unspecified"):
                self._roles(table, name, row[table])
        for table in ("traumatic_slips", "hangman"):
            for name, row in codes[table].items():
                self._roles(table, name, row)
        for name, row in codes["dislocations"].items():
            self._roles("dislocations", name, row)

    def _roles(self, table: str, name: str, row: Sequence[str]) -> None:
        for column, stem in enumerate(row):
            self.roles.setdefault(stem.rstrip("X"), []).append(_Role(table, name, column, len(row)))

    # --- which code -------------------------------------------------------------------------------------------------

    def subject(self, given: str) -> _Subject:
        """The code that was given, resolved; `InputError` when there is no card for it."""
        code = self._canonical(given)
        seventh: str | None = None
        entry = self.edition.entry(code)
        base = code
        if entry is None:
            base = code.rstrip("X")
            if self.edition.entry(base) is None or not self.edition.seventh_characters(base):
                self._refuse_unknown(code)
            code = base
        elif not self.edition.seventh_characters(code[:-1]) or entry.parent is None or not entry.billable:
            base = code
        else:
            base, seventh = entry.parent, code[-1]
        return self._placed(code, base, seventh)

    def _canonical(self, given: str) -> str:
        shown = given.strip()[:_LONGEST_SHOWN]
        try:
            return icd10cm.normalize(given.strip().rstrip("-").rstrip("."))
        except ValueError:
            legacy = self.edition.legacy(given.strip())
            if legacy is not None:
                now = " or ".join(legacy.successors)
                raise InputError(
                    f"{shown!r} is an ICD-9-CM code ({legacy.title}); it became {now} in ICD-10-CM. {self._scope()}"
                ) from None
            raise InputError(f"{shown!r} has not the shape of an ICD-10-CM code. {self._scope()}") from None

    def _refuse_unknown(self, code: str) -> None:
        for end in range(len(code) - 1, 3, -1):
            base = code[:end].rstrip("X").rstrip(".")
            entry = self.edition.entry(base)
            if entry is None or not self._in_scope(base):
                continue
            if entry.seventh:
                ways = ", ".join(self.edition.children(base))
                raise InputError(f"{code!r} is no code of {self.edition.name}; {base} is completed to {ways}")
            if entry.billable:
                raise InputError(f"{code!r} is no code of {self.edition.name}; {base} is complete and takes no more")
            break
        if self.edition.carries(code):
            raise InputError(f"{code!r} is no code of {self.edition.name}. {self._scope()}")
        raise InputError(f"{code!r} lies outside the families that parsnlp knows. {self._scope()}")

    def _in_scope(self, base: str) -> bool:
        open_families = [family for name, family in self.families.items() if name != "congenital"]
        return base in self.roles or base == self.families["congenital"] or base.startswith(tuple(open_families))

    def _placed(self, code: str, base: str, seventh: str | None) -> _Subject:
        if not self._in_scope(base):
            below = sorted(stem for stem in self.roles if stem.startswith(base))
            title = self.edition.title(base)
            if below:
                raise InputError(f"{code!r} ({title}) is a header; the policy's codes under it: {', '.join(below)}")
            raise InputError(f"{code!r} ({title}) lies outside the families of the policy. {self._scope()}")
        children = self.edition.children(base)
        stem = children[0][:-1] if self.edition.seventh_characters(base) else base
        subject = _Subject(code, base, stem, seventh, "congenital")
        if base in self.roles:
            self._place_injury(subject)
        else:
            for name, kind in (
                ("spondylolysis", "lysis"),
                ("spondylolisthesis", "slip"),
                ("fatigue_fracture", "fatigue"),
            ):
                family = self.families[name]
                if base.startswith(family):
                    subject.kind = kind
                    subject.region = self._region_of(base[len(family) :])
                    subject.tags |= self._region_tags(subject.region)
        entry = self.edition.entry(base)
        if seventh is not None:
            subject.tags |= {"has_seventh", f"seventh_{seventh}"}
        if entry is not None and entry.seventh and len(entry.seventh) == 3:
            subject.tags.add("short")
        return subject

    def _region_of(self, character: str) -> str | None:
        if not character:
            return None
        if character == self.codes["unspecified_site"]:
            return "unspecified"
        if character == self.codes["multiple_sites"]:
            return "multiple"
        return next(name for name, row in self.regions.items() if row["character"] == character)

    def _region_tags(self, region: str | None) -> set[str]:
        if region is None:
            return {"header"}
        if region in self.regions:
            return {"region", region} | (set() if self.regions[region]["vertebrae"] else {"junction"})
        return {region}

    def _place_injury(self, subject: _Subject) -> None:
        roles = self.roles[subject.base]
        tables = {role.table for role in roles}
        if tables & {"traumatic_slips", "hangman"}:
            subject.kind = "traumatic_slip"
        elif "dislocations" in tables:
            subject.kind = "dislocation"
        elif "unspecified" in tables:
            subject.kind = "unspecified_fracture"
        else:
            subject.kind = "arch_fracture"
        wanted = {
            "traumatic_slip": ("traumatic_slips",),
            "dislocation": ("dislocations",),
            "unspecified_fracture": ("unspecified",),
            "arch_fracture": ("arch",),
        }[subject.kind]
        tags = subject.tags
        if {"arch", "unspecified"} <= tables:
            tags.add("apart")
        hangman = {role.name for role in roles if role.table == "hangman"}
        tags |= {
            tag
            for name, tag in (("default", "hangman"), ("type-I-II", "hangman_other"), ("type-III", "hangman_three"))
            if name in hangman
        }
        if hangman and "default" not in hangman:
            tags.add("hangman_type")
        subject.roles = tuple(role for role in roles if role.table in wanted) or (_Role("hangman", "C2", 0, 1),)
        if subject.kind != "dislocation" and any(role.of > 1 for role in roles):
            tags.add("nondisplaced" if any(role.column for role in roles) else "displaced")
        names = subject.names
        if set(names) & {"cervical", "thoracic", "lumbar", "other"}:
            tags.add("levelless")
        if names == ("C1",):
            tags.add("posterior_arch")
        if subject.base.startswith("S33"):
            tags.add("s33")
        subject.region = self._injury_region(names[0])
        tags.add(subject.region)
        slips = self._slips(names)
        if slips and all(code in self._slip_table("C2", "C7") for code in slips):
            tags.add("cervical_slip")
        if any(code.startswith("S33") for code in slips):
            tags.add("s33_slip")
        if subject.stem in slips or subject.base in {code.rstrip("X") for code in slips}:
            tags.add("slip_here")

    def _injury_region(self, name: str) -> str:
        """The region (P-C3) of an injury code's vertebra or segment."""
        if name in self.regions:
            return name
        if name == "other":
            return "lumbar"
        found = [region for region, row in self.regions.items() if name in row["vertebrae"] or name in row["segments"]]
        return found[0]

    def _slip_table(self, *ends: str) -> set[str]:
        first, last = (int(end[1:]) for end in ends)
        rows = [self.codes["traumatic_slips"].get(f"C{n}", ()) for n in range(first, last + 1)]
        return {code for row in rows for code in row}

    def _slips(self, names: Iterable[str]) -> list[str]:
        """P-C9: the stems of an acute traumatic slip whose upper vertebra (or segment, or region) is one of `names`."""
        slips, fractures = self.codes["traumatic_slips"], self.codes["fractures"]
        found: list[str] = []
        for name in names:
            upper = name.split("-")[0]
            if name in ("lumbar", "lumbosacral", "other", "L5", "L5-S1", "L6-S1"):
                found += slips["lumbosacral"]
            elif upper in slips:
                found += slips[upper]
            else:
                row = fractures.get(upper) or fractures.get("sacral" if upper.startswith("S") else "")
                found += row["unspecified"] if row else ()
        return list(dict.fromkeys(found))

    def _arches(self, names: Iterable[str]) -> list[str]:
        """P-C8: the stems of an arch fracture of each of the vertebrae."""
        fractures = self.codes["fractures"]
        rows = [fractures.get(name) or fractures.get("sacral" if name.startswith("S") else "") for name in names]
        return list(dict.fromkeys(code for row in rows if row for code in row["arch"]))

    def _scope(self) -> str:
        names = self.families
        injuries = ", ".join(sorted({stem.partition(".")[0] for stem in self.roles}))
        return (
            f"In scope: {names['spondylolysis']}-, {names['spondylolisthesis']}-, {names['fatigue_fracture']}-, "
            f"{names['congenital']}, and the injury codes of the policy's tables in {injuries} (P-C8, P-C9)"
        )

    # --- the card ---------------------------------------------------------------------------------------------------

    def card(self, given: str) -> Card:
        subject = self.subject(given)
        edition = self.edition
        entry = self._entry(subject.code)
        above = edition.ancestors(subject.code)
        chain = [subject.code, *above]
        category = next(code for code in chain if "." not in code and "-" not in code)
        sevenths = edition.seventh_characters(subject.code)
        names = self._filled(subject)
        texts = self.texts["kinds"][subject.kind]
        return Card(
            code=subject.code,
            title=entry.title,
            kind=texts["name"],
            billable=entry.billable,
            missing=tuple(self._missing(subject, entry)),
            complete=tuple(Named(code=code, title=edition.title(code)) for code in edition.children(subject.code)),
            edition=edition.name,
            valid_from=edition.valid_from,
            valid_to=edition.valid_to,
            chapter=Named(code=above[-1], title=edition.title(above[-1])),
            block=Named(code=above[-2], title=edition.title(above[-2])),
            category=Named(code=category, title=edition.title(category)),
            region=self.region(subject),
            uses=self._texts(subject, texts["uses"], names),
            inclusion_terms=tuple(term for code in chain[:-2] for term in self._entry(code).inclusion_terms),
            excludes1=tuple(Exclusion(at=code, note=note) for code in chain for note in self._entry(code).excludes1),
            excluded_by=tuple(self._excluded_by(subject.code, chain)),
            siblings=tuple(Named(code=code, title=edition.title(code)) for code in self._siblings(subject)),
            sevenths=tuple(
                Seventh(character=character, meaning=meaning, code=subject.stem + character)
                for character, meaning in sevenths.items()
            ),
            drg=tuple(Drg(drg=group.code, title=group.title) for group in edition.drg_groups(subject.code)),
            tips=self._texts(subject, texts["tips"], names),
            pitfalls=self._texts(subject, texts["pitfalls"], names),
            answers=tuple(self._answers(subject, texts["answers"], names)),
        )

    def _entry(self, code: str) -> Entry:
        entry = self.edition.entry(code)
        if entry is None:
            raise LookupError(f"{code!r} is not in {self.edition.id}")
        return entry

    def _missing(self, subject: _Subject, entry: Entry) -> Iterator[str]:
        if entry.billable:
            return
        if "header" in subject.tags:
            yield "5th character: the region"
        fatigue_header = subject.kind == "fatigue" and "header" in subject.tags
        first = self.edition.children(subject.code)[0] if fatigue_header else subject.code
        sevenths = self.edition.seventh_characters(first)
        if sevenths:
            stem = self.edition.children(first)[0][:-1]
            for place in range(len(first.replace(".", "")) + 1, 7):
                yield f"{place}th character: placeholder {stem[-1]}"
            yield f"7th character: {_listed(sevenths, 'or')}"

    def region(self, subject: _Subject) -> Region | None:
        """The region of the code, with the levels it covers."""
        if subject.roles:
            name = subject.region or ""
            level = [n for n in subject.names if n not in ("other", *self.regions)]
            return Region(
                name=name,
                vertebrae=tuple(n for n in level if "-" not in n),
                segments=tuple(n for n in level if "-" in n),
            )
        if subject.region is None:
            return None
        row = self.regions.get(subject.region)
        if row is None:
            if subject.region == "unspecified":
                return Region(name=UNSPECIFIED, character=self.codes["unspecified_site"])
            return Region(name="multiple sites", character=self.codes["multiple_sites"])
        return Region(
            name=subject.region,
            character=row["character"],
            vertebrae=tuple(row["vertebrae"]),
            segments=tuple(row["segments"]),
        )

    def _excluded_by(self, code: str, chain: Sequence[str]) -> Iterator[Exclusion]:
        """The notes of other entries that name this code."""
        for entry in _noted(self.edition):
            if entry.code not in chain:
                note = self.edition.excludes1_conflict(entry.code, code)
                if note in entry.excludes1:
                    yield Exclusion(at=entry.code, note=note or "")

    def _siblings(self, subject: _Subject) -> list[str]:
        if subject.kind == "congenital" or "header" in subject.tags:
            return []
        if subject.roles:
            table = {role.table for role in subject.roles}
            category = subject.base.partition(".")[0]
            bases = sorted(
                base
                for base, roles in self.roles.items()
                if base.startswith(category) and table & {role.table for role in roles}
            )
            if subject.kind == "traumatic_slip":
                bases = sorted(
                    base
                    for base, roles in self.roles.items()
                    if base.startswith(category)
                    and {"traumatic_slips", "hangman", "dislocations"} & {r.table for r in roles}
                )
        else:
            bases = list(self.edition.children(self._entry(subject.base).parent or ""))
        if subject.seventh is None:
            return [base for base in bases if base != subject.base]
        found = []
        for base in bases:
            found += [code for code in self.edition.children(base) if code[-1] == subject.seventh]
        return [code for code in found if code != subject.code]

    # --- the texts --------------------------------------------------------------------------------------------------

    def _answers(self, subject: _Subject, answers: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Answer]:
        for question, asks in self.texts["questions"].items():
            parts = self._texts(subject, answers[question], names)
            if not parts:
                raise RuleError(
                    [f"reference.yaml: kind '{subject.kind}' answers '{question}' with nothing for {subject.code}"]
                )
            yield Answer(
                question=question,
                asks=asks,
                says=" ".join(part.says for part in parts),
                rules=tuple(dict.fromkeys(rule for part in parts for rule in part.rules)),
            )

    def _texts(
        self, subject: _Subject, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]
    ) -> tuple[Text, ...]:
        found = []
        for row in rows:
            if "when" in row and not subject.tags & set(row["when"]):
                continue
            if subject.tags & set(row.get("unless", ())):
                continue
            try:
                says = str(row["says"]).format_map(names)
            except KeyError as error:
                raise RuleError(
                    [f"reference.yaml: kind '{subject.kind}': no such placeholder for {subject.code}: {error}"]
                ) from None
            found.append(Text(says=says, rules=tuple(row["rules"])))
        return tuple(found)

    def _filled(self, subject: _Subject) -> dict[str, str]:
        """What the placeholders stand for; also sets the tags that depend on the edition's notes."""
        families = self.families
        congenital = families["congenital"]
        names = {"code": subject.code, "stem": subject.stem, "congenital": congenital}
        names["drg_version"] = self.edition.drg_version
        names["inclusion"] = "; ".join(self._entry(congenital).inclusion_terms)
        acquired = {"lysis": families["spondylolysis"], "slip": families["spondylolisthesis"]}
        unspecified = self.codes["unspecified_site"]
        for kind, family in acquired.items():
            character = (
                self._character(subject, family) if subject.roles else subject.base[len(families["fatigue_fracture"]) :]
            )
            if subject.kind == "congenital":
                character = unspecified
            names[kind] = f"{family}{character or '-'}"
        if subject.roles:
            names |= self._filled_injury(subject)
        else:
            names |= self._filled_regional(subject, acquired)
        meanings = self.edition.seventh_characters(
            subject.code if "header" not in subject.tags else f"{subject.base}{unspecified}"
        )
        names["sevenths"] = "; ".join(f"{letter} {meaning}" for letter, meaning in meanings.items())
        if subject.seventh:
            names["given_seventh"] = f"{subject.seventh}, {meanings[subject.seventh]}"
        return names

    def _character(self, subject: _Subject, family: str) -> str:
        region = subject.region or ""
        return str(self.regions[region]["character"]) if region in self.regions else ""

    def _filled_regional(self, subject: _Subject, acquired: Mapping[str, str]) -> dict[str, str]:
        """For the families with a fifth character, and the congenital code."""
        families, regions = self.families, self.regions
        family = {**acquired, "fatigue": families["fatigue_fracture"], "congenital": families["congenital"]}[
            subject.kind
        ]
        other = {"lysis": "slip", "slip": "lysis"}.get(subject.kind, "slip")
        companion = acquired[other]
        names = {
            "family": family,
            "unspecified": family + self.codes["unspecified_site"],
            "multiple": family + self.codes["multiple_sites"],
            "lumbar": family + regions["lumbar"]["character"],
            "lumbosacral": family + regions["lumbosacral"]["character"],
            "companion_family": companion,
            "companion_lumbar": companion + regions["lumbar"]["character"],
            "companion_lumbosacral": companion + regions["lumbosacral"]["character"],
            "fatigue_family": f"{families['fatigue_fracture']}-",
        }
        if subject.kind == "fatigue":
            names["unspecified"] = f"{self.edition.children(names['unspecified'])[0][:-1]}-"
        character = subject.base[len(family) :]
        fatigue = f"{families['fatigue_fracture']}{character}" if character else f"{families['fatigue_fracture']}-"
        names["fatigue"] = f"{self.edition.children(fatigue)[0][:-1]}-" if self.edition.is_known(fatigue) else fatigue
        row = regions.get(subject.region or "")
        levels: Sequence[str] = ()
        if row is not None:
            names["region"] = subject.region or ""
            names["sites"] = _sites(row)
            levels = row["vertebrae"] or row["segments"]
        members = [vertebra for level in levels for vertebra in level.split("-")]
        arches = self._arches(members or [*self.codes["fractures"]])
        every = [name for name in self.codes["fractures"] if name not in regions]
        slips = self._slips([*row["segments"], *([subject.region] if subject.region else [])] if row else every)
        names["arch_codes"] = _ranged(arches) if members else _families(arches)
        names["slip_codes"] = _ranged(slips) if row else _families(slips)
        groups = self.edition.drg_groups(family + self.codes["unspecified_site"])
        names["drgs"] = " or ".join(f"{group.code} ({group.title})" for group in groups)
        for tag, name, a, b in (
            ("no_pair", "pair", family, companion),
            ("no_slip_pair", "slip", family, acquired["slip"]),
            ("no_congenital_pair", "congenital", family, families["congenital"]),
            ("no_trauma_pair", "trauma", family, f"{next(iter(arches), '')}A"),
        ):
            note = self.edition.excludes1_conflict(a, b)
            if note is None:
                subject.tags.add(tag)
            else:
                names[f"{name}_note"] = note
                names[f"{name}_at"] = self._printed_at(note, a, b)
        return names

    def _printed_at(self, note: str, *codes: str) -> str:
        """The entry that prints a note, at one of the codes or above."""
        for code in codes:
            chain = [code, *self.edition.ancestors(code)] if self.edition.entry(code) else []
            for at in chain:
                if note in self._entry(at).excludes1:
                    return at
        return codes[0]

    def _filled_injury(self, subject: _Subject) -> dict[str, str]:
        fractures = self.codes["fractures"]
        broad = {"S12": "cervical", "S22": "thoracic", "S32": "lumbar", "S33": "lumbar"}[subject.base[:3]]
        column = 1 if "nondisplaced" in subject.tags else 0
        levels = [name for name in subject.names if name != "other"]
        rows = [fractures[name.split("-")[0]] for name in levels if name.split("-")[0] in fractures]
        row = rows[0] if rows else fractures[broad]

        def pick(codes: Sequence[str]) -> str:
            return f"{codes[min(column, len(codes) - 1)]}-"

        names = {
            "vertebrae": _said(subject.names),
            "slip_codes": _ranged(self._slips(subject.names)),
            "arch_codes": _ranged(self._arches(["L5"])) if "s33" in subject.tags else pick(row["arch"]),
            "unspecified_fracture": pick(row["unspecified"]),
            "arch_fracture": pick(row["arch"]),
            "levelless": f"{fractures[broad]['arch' if subject.kind == 'arch_fracture' else 'unspecified'][0]}-",
            "segment_codes": _ranged(self._slips([f"L{n}-L{n + 1}" for n in range(1, 5)])),
            "movement": "subluxation" if any(role.column == 0 for role in subject.roles) else "dislocation",
        }
        if subject.kind == "dislocation":
            names["levelless"] = f"{self.codes['dislocations']['other'][subject.roles[0].column]}-"
        elif "s33" in subject.tags:
            names["levelless"] = f"{self.codes['traumatic_slips']['lumbosacral'][0]}-"
        return names


_BROAD_WORDS = {
    "cervical": "a cervical vertebra not named",
    "thoracic": "a thoracic vertebra not named",
    "lumbar": "a lumbar vertebra not named",
    "sacral": "the sacrum",
    "other": "another lumbar segment or none named",
    "lumbosacral": "the lumbosacral segment",
}


def _said(names: Sequence[str]) -> str:
    return _listed([_BROAD_WORDS.get(name, name.replace("-", "/") if "-" in name else name) for name in names], "or")


def _listed(words: Iterable[str], last: str) -> str:
    items = list(words)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def _sites(row: Mapping[str, Any]) -> str:
    vertebrae, segments = row["vertebrae"], row["segments"]
    parts = []
    if vertebrae:
        parts.append(f"{vertebrae[0]} to {vertebrae[-1]}")
    if segments:
        parts.append(_listed(segments, "or") if len(segments) <= 5 else f"{segments[0]} to {segments[-1]}")
    return ", and the segments ".join(parts) if len(parts) == 2 else parts[0]


def _ranged(stems: Sequence[str]) -> str:
    return _listed([f"{stem}-" for stem in stems], "or") if stems else "none in the policy's tables"


def _families(stems: Iterable[str]) -> str:
    return _listed(dict.fromkeys(f"{stem[:5]}-" for stem in stems), "or")


# --- printing -------------------------------------------------------------------------------------------------------


def lines(made: Card) -> Iterator[tuple[str, int, Kind]]:
    """The card for a reader: text, depth and kind (heading, code, item, note) of each line."""
    yield f"{made.code} {made.title}", 0, "code"
    yield made.kind, 1, "item"
    if made.billable:
        yield "Billable: yes", 1, "item"
    else:
        yield f"Billable: no; missing {'; '.join(made.missing)}", 1, "review"
    yield f"Chapter {made.chapter.code}: {made.chapter.title}", 1, "item"
    yield f"Block: {made.block.title}", 1, "item"
    yield f"Category {made.category.code}: {made.category.title}", 1, "item"
    if made.region is not None:
        levels = ", ".join((*made.region.vertebrae, *made.region.segments))
        character = f", fifth character {made.region.character}" if made.region.character else ""
        yield f"Region: {made.region.name}{character}" + (f" ({levels})" if levels else ""), 1, "item"
    if made.inclusion_terms:
        yield f"Inclusion terms: {'; '.join(made.inclusion_terms)}", 1, "item"
    yield from _listing("Used for", (_text(text) for text in made.uses))
    yield from _listing("Excludes1, at this code and above", (f"{note.at}: {note.note}" for note in made.excludes1))
    yield from _listing("Excludes1 elsewhere that names this code", (f"{n.at}: {n.note}" for n in made.excluded_by))
    yield from _listing("7th characters", (f"{s.character} {s.meaning}: {s.code}" for s in made.sevenths))
    if not made.sevenths:
        yield from _listing("Codes below", (f"{named.code} {named.title}" for named in made.complete))
    yield from _listing("Siblings", (f"{named.code} {named.title}" for named in made.siblings))
    yield from _listing("MS-DRG as a medical principal diagnosis (P-X5)", (f"{g.drg} {g.title}" for g in made.drg))
    yield "", 0, "item"
    yield "Seven questions", 0, "heading"
    for answer in made.answers:
        yield answer.asks, 1, "step"
        yield f"{answer.says} [{', '.join(answer.rules)}]", 2, "item"
    yield from _listing("Documentation tips", (_text(text) for text in made.tips))
    yield from _listing("Pitfalls", (_text(text) for text in made.pitfalls))
    yield "", 0, "item"
    yield f"{made.edition}, valid {made.valid_from} to {made.valid_to}", 0, "note"


def _text(text: Text) -> str:
    return f"{text.says} [{', '.join(text.rules)}]"


def _listing(title: str, items: Iterable[str]) -> Iterator[tuple[str, int, Kind]]:
    inside = list(items)
    if inside:
        yield "", 0, "item"
        yield title, 0, "heading"
        for item in inside:
            yield item, 1, "item"
