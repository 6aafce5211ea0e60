"""An independent oracle of the coding policy: facts in, codes and statuses out, each by the paragraph that says so.

The tables are in policy_table.yaml; this file holds the procedure (`expected`) and the enumeration (`cases`).
A `Case` holds facts, no text.  How to read one:

* every `Fact` is a statement of its own, no two share a clause (P-C4's shared-clause exception never applies), the
  first not corrected by the second, all about the same time, no addendum, no newer study (P-A4's exceptions);
* `levels` and `regions` are already bound to the mention; a vertebra is "L5", a segment "L4-L5" ("L4-S1" is given as
  its two segments); `study_region` is only the heading of the imaging study that holds the mention;
* a traumatic_fracture is acute and documented as traumatic (`etiology` "traumatic"), tied as `tie` says;
* `places` "radiology_report" and "unsectioned" are whole documents, the others are sections of one clinical note.

Where the policy is silent or ambiguous `expected` raises `Undecided` with the id of the gap (policy_table.yaml, table
`undecided`), and `cases` leaves the combination out: it never guesses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import yaml

TABLE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "policy_table.yaml").read_text(encoding="utf-8"))

LYSIS, SLIP, FRACTURE = "spondylolysis", "spondylolisthesis", "traumatic_fracture"
ASSERTIONS = ("affirmed", "negated", "uncertain", "hypothetical", "historical", "family", "generic")
ROWS: dict[str, dict[str, Any]] = TABLE["regions"]["rows"]
REGIONS = tuple(ROWS)
VERTEBRAE = tuple(v for row in ROWS.values() for v in row["vertebrae"])
SEGMENTS = tuple(s for row in ROWS.values() for s in row["segments"])
CHAR = {level: row["char"] for row in ROWS.values() for level in (*row["vertebrae"], *row["segments"])}
JUNCTIONS: dict[str, dict[str, list[str]]] = {k: v for k, v in TABLE["junctions"].items() if k != "pid"}
JUNCTION_OF = {s: name for name, row in JUNCTIONS.items() for s in row["segments"]}
ORDER = {v: i for i, v in enumerate(("occiput", *(v for v in VERTEBRAE if v != "L6")))}


# ------------------------------------------------------------------------------------------------------------- facts
@dataclass(frozen=True)
class Fact:
    """One mention with its assertion and attributes (P-F1, P-F3, P-F4)."""

    condition: str
    assertion: str = "affirmed"
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    study_region: str | None = None
    etiology: str | None = None
    chronicity: str | None = None
    wording: str = "plain"
    displaced: str | None = None
    hangman_type: str | None = None
    tie: str = "same"
    place: str = "assessment"


@dataclass(frozen=True)
class Case:
    """The facts of one note, the encounter and the policy options; `why` is filled with the P-ids that decide it."""

    mentions: tuple[Fact, ...]
    phase: str | None = None
    open: bool = False
    follow_up: bool = False
    setting: str = "outpatient"
    excludes1: str = "separate"
    stress_fracture: str = "M43.0"
    group: str = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What the policy decides: code -> status, the conditions mentioned but given no code, the P-ids.

    `readings` names what the oracle took from a general sentence (policy_table.yaml, `readings`).
    """

    codes: dict[str, str]
    refused: frozenset[str]
    rules: tuple[str, ...]
    readings: tuple[str, ...] = ()


class Undecided(Exception):
    """The policy does not decide this; `uid` is the gap's id in policy_table.yaml."""

    def __init__(self, uid: str) -> None:
        super().__init__(f"{uid}: {TABLE['undecided'][uid]}")
        self.uid = uid


@dataclass
class Trail:
    """The rules met and the reasons for `review` (P-X6)."""

    rules: list[str] = field(default_factory=list)
    reviews: list[str] = field(default_factory=list)

    def rule(self, *pids: str) -> None:
        self.rules += [p for p in pids if p not in self.rules]

    def review(self, reason: str) -> None:
        self.reviews.append(reason)
        self.rule(TABLE["status"]["review"][reason]["pid"], "P-X6")


@dataclass
class Site:
    """Where one condition is: what its counted mentions name, and the heading if they name nothing (P-C5)."""

    levels: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    heading: str | None = None
    assessment_regions: frozenset[str] = frozenset()

    @property
    def named(self) -> bool:
        return bool(self.levels or self.regions)


@dataclass
class Claim:
    """One condition that is coded, before Excludes1 (P-X1, P-X2)."""

    condition: str
    site: Site
    kind: str
    causes: frozenset[str]
    codes: dict[str, str]
    trail: Trail
    stress: bool = False
    uncertain: bool = False


# ------------------------------------------------------------------------------------------- which mentions count (P-A)
def uncertain_rule(case: Case, fact: Fact) -> str:
    """P-F3, P-A10: coded | not | undecided for an uncertain mention."""
    rule: str = TABLE["assertions"][case.setting]["uncertain"]
    return str(TABLE["inpatient_uncertain"][fact.place]) if rule == "by_place" else rule


def check_documents(case: Case) -> None:
    """P-X6, P-A10: a report or an unsectioned note is a whole document."""
    places = {m.place for m in case.mentions}
    if len(places) > 1 and places & set(TABLE["places"]["whole_documents"]):
        raise Undecided("U-08")


def counted(case: Case, condition: str, trail: Trail) -> list[Fact]:
    """P-F3, P-A4, P-A10: the mentions that make the code and bring its site; empty when the condition is refused."""
    mentions = [m for m in case.mentions if m.condition == condition]
    affirmed = [m for m in mentions if m.assertion == "affirmed"]
    brought = [m for m in mentions if m.assertion == "uncertain" and uncertain_rule(case, m) != "not"]
    trail.rule("P-F3")
    if affirmed:
        if len(mentions) > 1:
            trail.rule("P-A4", "P-C5")
        if any(m.chronicity == "healed" for m in affirmed):
            raise Undecided("U-03")
        check_brought(affirmed, brought)
        return affirmed
    if case.setting == "inpatient" and any(m.assertion == "uncertain" for m in mentions):
        trail.rule("P-A10")
    if not brought:
        return []
    if any(uncertain_rule(case, m) == "undecided" for m in brought):
        raise Undecided("U-01")
    if any(m.assertion == "negated" for m in mentions):
        raise Undecided("U-05")
    trail.review("inpatient_uncertain")
    if any(m.assertion == "uncertain" and m not in brought for m in mentions):
        trail.rule("R-10")
    return brought


def check_brought(affirmed: list[Fact], brought: list[Fact]) -> None:
    """P-C5 against P-A10: beside an affirmed mention, an uncertain one may bring no other site."""
    levels = {x for m in affirmed for x in (*m.levels, *m.regions)}
    headings = {m.study_region for m in affirmed}
    for m in brought:
        if not levels >= {*m.levels, *m.regions} or (m.study_region and m.study_region not in headings):
            raise Undecided("U-02")


def note_conflict(case: Case, condition: str, trail: Trail) -> None:
    """P-A4: affirmed and negated at the same level is a conflict (review); at another named level it is none."""
    mentions = [m for m in case.mentions if m.condition == condition]
    affirmed = [m for m in mentions if m.assertion == "affirmed"]
    here = {x for m in affirmed for x in m.levels}
    for no in (m for m in mentions if m.assertion == "negated"):
        if not affirmed or condition == FRACTURE or not here or not no.levels:
            raise Undecided("U-04")
        if no.regions or any(m.regions for m in affirmed):
            raise Undecided("U-04")
        if set(no.levels) == here and all(m.place == no.place for m in affirmed):
            trail.review("conflict")
        elif not apart(set(no.levels), here):
            raise Undecided("U-04")


def note_imaging_only(case: Case, condition: str, facts: list[Fact], trail: Trail) -> None:
    """P-X6: only an imaging section of a clinical note states it, and no provider statement adopts it."""
    if any(m.place == "radiology_report" for m in facts):
        if case.setting == "inpatient":
            raise Undecided("U-06")
        trail.rule("P-X6")
    imaging = set(TABLE["places"]["imaging_only"])
    if any(m.place not in imaging for m in facts):
        return
    others = [m for m in case.mentions if m.condition == condition and m.place not in imaging]
    if any(m.assertion in ("uncertain", "historical") for m in others):
        raise Undecided("U-07")
    if others:
        trail.rule("R-09")
    trail.review("imaging_only")


# ------------------------------------------------------------------------------------------------ sites (P-C3..P-C5)
def members(level: str) -> frozenset[str]:
    """The vertebrae of a level: itself, or both ends of a segment."""
    return frozenset(level.split("-"))


def distance(a: str, b: str) -> int:
    """P-X1, P-X2: 0 = a vertebra in common, 1 = neighbours, 2 and more = apart."""
    if "L6" in members(a) | members(b):
        raise Undecided("U-23")
    return min(abs(ORDER[v] - ORDER[w]) for v in members(a) for w in members(b))


def apart(some: Iterable[str], others: Iterable[str]) -> bool:
    """Every level of the one a whole vertebra or more away from every level of the other."""
    return all(distance(a, b) >= 2 for a, b in product(some, others))


def site_of(facts: list[Fact], trail: Trail) -> Site:
    """P-C5: (1) named levels and regions of the counted mentions, (2) else the heading that holds them, (3) none."""
    site = Site(
        frozenset(x for m in facts for x in m.levels),
        frozenset(x for m in facts for x in m.regions),
        None,
        frozenset(x for m in facts if m.place in TABLE["places"]["assessment"] for x in m.regions),
    )
    trail.rule("P-C5")
    headings = {m.study_region for m in facts if m.study_region}
    if site.named or not headings:
        return site
    if len(headings) > 1:
        raise Undecided("U-14")
    if any(m.study_region is None for m in facts):
        trail.rule("R-17")
    return replace(site, heading=headings.pop())


def level_chars(levels: Iterable[str]) -> dict[str, str]:
    """P-C3, P-C4: the character of each level; a member vertebra of a junction segment is that segment's site."""
    levels = set(levels)
    ends = {v for s in levels if s in JUNCTION_OF for v in members(s)}
    if {"C2", "C2-C3"} <= levels:
        raise Undecided("U-10")
    left = {x for x in levels if x not in ends}
    lone = [v for v in left if "-" not in v]
    for a, b in combinations(lone, 2):
        if CHAR[a] != CHAR[b] and neighbours(a, b):
            raise Undecided("U-09")
    return {x: CHAR[x] for x in left}


def neighbours(a: str, b: str) -> bool:
    """Two vertebrae with none between them (an L6 counts as L5's and S1's neighbour)."""
    if "L6" in (a, b):
        return bool({a, b} & {"L5", "S1"})
    return abs(ORDER[a] - ORDER[b]) == 1


def overlapping(a: str, b: str) -> bool:
    """P-C4: two region names of which one may contain a part of the other."""
    for x, y in ((a, b), (b, a)):
        if x in JUNCTIONS and y in JUNCTIONS[x]["neighbours"]:
            return True
    return {a, b} == {"occipito-atlanto-axial", "cervical"}


def region_chars(site: Site, trail: Trail) -> set[str]:
    """P-C3, P-C4: the characters of the levels together with the one region named beside them."""
    if any(overlapping(a, b) for a, b in combinations(sorted(site.regions), 2)):
        raise Undecided("U-13")
    levels = level_chars(site.levels)
    if not site.levels:
        return {ROWS[r]["char"] for r in site.regions}
    if len(site.regions) > 1:
        raise Undecided("U-13")
    for region in site.regions:
        return with_region(region, levels, region in site.assessment_regions, trail)
    return set(levels.values())


def with_region(region: str, levels: dict[str, str], assessment: bool, trail: Trail) -> set[str]:
    """P-C4: the assessment's region containing the vertebra wins; a junction segment beats its plain neighbour."""
    chars: set[str] = set()
    keep = True
    for level, char in sorted(levels.items()):
        if region in JUNCTIONS and level in JUNCTIONS[region]["members"]:
            if not assessment:
                raise Undecided("U-12")
        elif region in JUNCTIONS and any(ROWS[n]["char"] == char for n in JUNCTIONS[region]["neighbours"]):
            raise Undecided("U-11")
        elif level in JUNCTION_OF and region in JUNCTIONS[JUNCTION_OF[level]]["neighbours"]:
            keep = False
            chars.add(char)
            if (region, level) != ("lumbar", "L5-S1"):
                trail.rule("R-01")
        elif char != ROWS[region]["char"] and overlapping(region, region_of(level)):
            raise Undecided("U-11")
        else:
            chars.add(char)
    return chars | {ROWS[region]["char"]} if keep else chars


def region_of(level: str) -> str:
    """P-C3: the name of the row that holds a level."""
    return next(r for r, row in ROWS.items() if level in row["vertebrae"] or level in row["segments"])


def characters(site: Site, trail: Trail) -> set[str]:
    """P-C3..P-C5: every fifth character of the site, before 'multiple' and 'unspecified'."""
    trail.rule("P-C3")
    if site.named:
        if len(site.levels) + len(site.regions) > 1:
            trail.rule("P-C4")
        return region_chars(site, trail)
    if site.heading is None:
        return set()
    if site.heading == TABLE["regions"]["film_title_review"]:
        trail.review("film_title")
    return {ROWS[site.heading]["char"]}


def fifth(chars: set[str]) -> str:
    """P-C3: one character; 9 for several, 0 for none."""
    if not chars:
        return str(TABLE["regions"]["unspecified"])
    return next(iter(chars)) if len(chars) == 1 else str(TABLE["regions"]["multiple"])


def lone_vertebrae(site: Site) -> list[str]:
    """Vertebrae that are not an end of a segment named for the same condition."""
    ends = {v for s in site.levels if "-" in s for v in members(s)}
    return [x for x in site.levels if "-" not in x and x not in ends]


def note_one_vertebra(site: Site, congenital: bool, trail: Trail) -> None:
    """P-C4, P-X6: a slip sited only by one vertebra is review."""
    lone = lone_vertebrae(site)
    if not lone:
        return
    if congenital:
        raise Undecided("U-16")
    if len(lone) > 1 or len(site.levels) > 1 or site.regions:
        raise Undecided("U-15")
    trail.review("slip_one_vertebra")
    if not any(lone[0] in row["members"] for row in JUNCTIONS.values()):
        trail.rule("R-06")


def relation(site: Site, other: Site) -> str:
    """P-X1, P-X2: same | touch | apart | unstated, of the first site as seen from the other."""
    if not site.named or not other.named:
        return unnamed_relation(site, other)
    if site.regions or other.regions:
        return region_relation(site, other)
    if site.levels == other.levels:
        return "same"
    near = [min(distance(a, b) for b in other.levels) for a in site.levels]
    if all(n == 0 for n in near):
        return "touch"
    if all(n >= 2 for n in near):
        return "apart"
    raise Undecided("U-23" if 0 in near else "U-22")


def unnamed_relation(site: Site, other: Site) -> str:
    """P-X1: a site that no statement names is unstated; two bare mentions under one heading are at the same site."""
    if site.named == other.named:
        if site.heading and other.heading:
            if site.heading != other.heading:
                raise Undecided("U-24")
            return "same"
        return "unstated"
    if site.heading or other.heading:
        raise Undecided("U-24")
    return "unstated"


def region_relation(site: Site, other: Site) -> str:
    """P-X1, P-C4: the same region name, or a region's name and levels of that region, are the same site."""
    if not site.levels and not other.levels and site.regions == other.regions and len(site.regions) == 1:
        return "same"
    for a, b in ((site, other), (other, site)):
        if len(a.regions) == 1 and not a.levels and not b.regions:
            (region,) = a.regions
            inside = {*ROWS[region]["vertebrae"], *ROWS[region]["segments"]}
            if b.levels <= inside | set(JUNCTIONS.get(region, {}).get("members", [])):
                return "same"
    raise Undecided("U-23")


# ---------------------------------------------------------------------------- lysis and slip (P-C1, P-C2, P-C6, P-C7)
def kind_of(facts: list[Fact]) -> tuple[str, frozenset[str]]:
    """P-C6, P-C1, P-C2: congenital | developmental | acquired, and the causes stated."""
    table = TABLE["etiologies"]
    for m in facts:
        if m.etiology == "traumatic" and m.chronicity not in table["traumatic_needs_chronicity"]:
            raise Undecided("U-18")
    stated = frozenset(m.etiology for m in facts if m.etiology)
    kinds = {k for k in ("congenital", "developmental", "acquired") if stated & set(table[k])}
    if len(kinds) > 1:
        raise Undecided("U-17")
    return (kinds.pop() if kinds else "acquired"), stated


def is_stress_code(case: Case, facts: list[Fact]) -> bool:
    """P-C7: does the option M48.4 take these mentions (stress *fracture* wording, not its nonunion)?"""
    table = TABLE["stress_fracture"]
    if case.stress_fracture != table["option"] or facts[0].condition != LYSIS:
        return False
    verdicts = {m.wording in table["wordings"] and m.chronicity != "nonunion" for m in facts}
    if len(verdicts) > 1:
        raise Undecided("U-19")
    for m in facts:
        plain_but = m.wording == "plain" and (
            m.etiology == "stress" or m.chronicity in ("acute", "subacute", "acute on chronic")
        )
        if plain_but or (True in verdicts and m.chronicity not in (None, "acute")):
            raise Undecided("U-19")
        if True in verdicts and m.etiology not in (None, "stress"):
            raise Undecided("U-19")
    return verdicts.pop()


def status(reviews: Iterable[str]) -> str:
    """P-X6: review exactly when there is a reason, otherwise suggested."""
    return "review" if list(reviews) else str(TABLE["status"]["otherwise"])


def column_claim(case: Case, condition: str, trail: Trail) -> Claim | None:
    """P-C1, P-C2, P-C6, P-C7: the claim of a lysis or a slip, None if refused."""
    facts = counted(case, condition, trail)
    if not facts:
        return None
    uncertain = facts[0].assertion == "uncertain"
    if not uncertain:
        note_conflict(case, condition, trail)
    note_imaging_only(case, condition, facts, trail)
    kind, causes = kind_of(facts)
    site = site_of(facts, trail)
    claim = Claim(condition, site, kind, causes, {}, trail, uncertain=uncertain)
    if condition == SLIP:
        note_one_vertebra(site, kind != "acquired", trail)
    if any(m.chronicity in ("nonunion", "healing") for m in facts):
        trail.rule("P-A5")
    if kind != "acquired":
        if any(m.etiology is None for m in facts):
            trail.rule("R-11")
        congenital_code(claim)
    elif is_stress_code(case, facts):
        stress_codes(case, claim)
    else:
        acquired_code(case, claim, facts)
    return claim


def congenital_code(claim: Claim) -> None:
    """P-C6: Q76.2 for either condition; developmental is review."""
    if claim.site.heading == TABLE["regions"]["film_title_review"]:
        raise Undecided("U-16")
    claim.trail.rule("P-C6")
    if claim.kind == "developmental":
        claim.trail.review("developmental")
    claim.codes = {TABLE["families"]["congenital"]["code"]: status(claim.trail.reviews)}


def acquired_code(case: Case, claim: Claim, facts: list[Fact]) -> None:
    """P-C1, P-C2: M43.0x or M43.1x by the site; P-C7: a stress fracture too; P-C10: no 7th character."""
    family = TABLE["families"][claim.condition]
    claim.trail.rule(family["pid"])
    if any(m.wording != "plain" or m.chronicity == "stress_reaction" for m in facts):
        claim.trail.rule("P-C7")
    if "traumatic" in claim.causes:
        claim.trail.rule("P-C11" if claim.condition == LYSIS else "P-C9")
    if case.phase or case.follow_up:
        claim.trail.rule("P-C10")
    code = family["acquired"] + fifth(characters(claim.site, claim.trail))
    claim.codes = {code: status(claim.trail.reviews)}


def stress_codes(case: Case, claim: Claim) -> None:
    """P-C7: M48.4nX-, one code for each region, 0 for no site; 7th character by P-C10."""
    claim.stress = True
    claim.trail.rule("P-C7")
    chars = characters(claim.site, claim.trail)
    if not chars:
        claim.trail.rule("R-07")
    if case.follow_up:
        claim.trail.rule("R-14")
    chars = chars or {fifth(set())}
    bases = [TABLE["stress_fracture"]["code"].format(char=c) for c in sorted(chars)]
    if case.open or case.phase == "K":
        raise Undecided("U-20")
    finals = [base + seventh(case, base, claim.trail) for base in bases]
    claim.codes = {code: status(claim.trail.reviews) for code in finals}


# --------------------------------------------------------------------------------------------- Excludes1 (P-X1, P-X2)
def combine_pair(case: Case, lysis: Claim, slip: Claim) -> tuple[dict[str, str], set[str], list[str]]:
    """P-X1, P-X2: the codes of both conditions, those refused, the rules."""
    if lysis.stress:
        raise Undecided("U-21")
    if lysis.uncertain or slip.uncertain:
        raise Undecided("U-28")
    congenital = [c for c in (lysis, slip) if c.kind != "acquired"]
    if len(congenital) == 2:
        if lysis.kind != slip.kind or lysis.codes != slip.codes:
            raise Undecided("U-27")
        return dict(slip.codes), set(), ["P-C6"]
    if congenital:
        return congenital_pair(congenital[0], slip if congenital[0] is lysis else lysis)
    return acquired_pair(case, lysis, slip)


def congenital_pair(congenital: Claim, acquired: Claim) -> tuple[dict[str, str], set[str], list[str]]:
    """P-X1, P-C6: Q76.2 alone, unless the acquired one has its own stated cause and does not touch."""
    rel = relation(acquired.site, congenital.site)
    alone = dict(congenital.codes), {acquired.condition}, ["P-C6", "P-X1"]
    note_relation(rel, acquired.site, congenital.site, acquired.trail)
    if rel != "apart":
        return alone
    if congenital.kind == "developmental":
        raise Undecided("U-26")
    if not acquired.causes:
        acquired.trail.rule("R-02")
        return alone
    if not acquired.causes <= set(TABLE["etiologies"]["stated_acquired_cause"]):
        raise Undecided("U-25")
    both = dict.fromkeys((*congenital.codes, *acquired.codes), "review")
    return both, set(), ["P-C6", "P-X1", "P-X6"]


def note_relation(rel: str, site: Site, other: Site, trail: Trail) -> None:
    """R-15: the same site by a region's name."""
    if rel == "same" and (site.regions or other.regions):
        trail.rule("R-15")


def acquired_pair(case: Case, lysis: Claim, slip: Claim) -> tuple[dict[str, str], set[str], list[str]]:
    """P-X2: separate = both, the lysis review; strict = the slip alone, unless the lysis does not touch it."""
    both = {**slip.codes, **dict.fromkeys(lysis.codes, "review")}
    if case.excludes1 == "separate":
        return both, set(), ["P-X2", "P-X6"]
    rel = relation(lysis.site, slip.site)
    note_relation(rel, lysis.site, slip.site, lysis.trail)
    if rel == "apart":
        return both, set(), ["P-X2", "P-X6"]
    if rel == "unstated":
        lysis.trail.rule("R-08")
    return dict(slip.codes), {LYSIS}, ["P-X2"]


# ----------------------------------------------------------------------------------------------- injuries (P-C8..P-C10)
@dataclass
class Injury:
    """One code without its 7th character, the mention it comes from and the vertebrae it stands for."""

    base: str
    fact: Fact
    vertebrae: frozenset[str]
    kind: str


def seventh(case: Case, base: str, trail: Trail, sequela: bool = False) -> str:
    """P-C10: the 7th character, if the code takes it."""
    table = TABLE["seventh"]
    trail.rule("P-C10")
    if case.follow_up and (case.phase or sequela):
        raise Undecided("U-29")
    if sequela and case.phase not in (None, "S"):
        raise Undecided("U-29")
    if sequela:
        char = "S"
    elif case.phase:
        char = table["phases"][case.phase]
    elif case.follow_up:
        char = table["follow_up"]
        if "follow_up_default" not in trail.reviews:
            trail.review("follow_up_default")
    else:
        char = table["default"]
    char = table["open_initial"] if case.open and char == "A" else char
    if case.open and char != table["open_initial"]:
        trail.rule("R-12")
    takes = table["takes"][max((p for p in table["takes"] if base.startswith(p)), key=len)]
    if char not in takes or (case.open and "B" not in takes):
        raise Undecided("U-30")
    return str(char)


def pick(entry: str | dict[str, str], fact: Fact) -> str:
    """P-C8, P-C10: a cell of the table; not stated is displaced."""
    return entry if isinstance(entry, str) else entry[fact.displaced or TABLE["seventh"]["not_stated"]["displaced"]]


def injuries_of(fact: Fact, trail: Trail) -> list[Injury]:
    """P-C8, P-C9: the codes of one traumatic mention."""
    if fact.chronicity not in (None, "acute") or fact.etiology not in (None, "traumatic"):
        raise Undecided("U-39")
    if fact.tie == "across" and fact.wording not in ("arch", "unspecified", "slip"):
        raise Undecided("U-37")
    if fact.wording in ("arch", "unspecified"):
        trail.rule("P-C8")
        return fractures_of(fact, trail)
    trail.rule("P-C9")
    if fact.wording in ("subluxation", "dislocation"):
        return subluxation_of(fact, trail)
    if fact.wording == "hangman":
        sites = TABLE["slips"]["hangman"]["sites"]
        if fact.regions or ",".join(fact.levels) not in sites:
            raise Undecided("U-31")
        return [upper_slip("C2", fact)]
    return [slip_of(fact, trail)]


def fractures_of(fact: Fact, trail: Trail) -> list[Injury]:
    """P-C8: one code for each vertebra; by the region if no level is given."""
    rows = TABLE["fractures"]["by_vertebra"]
    if fact.levels:
        if fact.regions or any(v not in rows for v in fact.levels):
            raise Undecided("U-31")
        if fact.wording == "unspecified" and fact.displaced == "nondisplaced" and {*fact.levels} & set(VERTEBRAE[1:7]):
            trail.rule("R-03")
        return [Injury(pick(rows[v][fact.wording], fact), fact, frozenset((v,)), "fracture") for v in fact.levels]
    region = region_alone(fact, trail)
    row = TABLE["fractures"]["level_not_given"].get(region, {})
    if fact.wording not in row:
        raise Undecided("U-31")
    return [Injury(pick(row[fact.wording], fact), fact, frozenset(), "fracture")]


def region_alone(fact: Fact, trail: Trail) -> str:
    """P-C5: the one region named, else the heading of the study that holds the mention."""
    if len(fact.regions) == 1:
        return fact.regions[0]
    if fact.regions or fact.study_region is None:
        raise Undecided("U-31")
    trail.rule("P-C5", "R-05")
    return fact.study_region


def slip_of(fact: Fact, trail: Trail) -> Injury:
    """P-C9: acute traumatic spondylolisthesis by its segment, else by its region."""
    table = TABLE["slips"]
    home = table["lumbosacral"]
    if not fact.levels:
        region = region_alone(fact, trail)
        if region in home["regions"]:
            code = home["code"]
            if not fact.regions and region == TABLE["regions"]["film_title_review"]:
                trail.review("film_title")
        elif region in table["other_site_regions"]:
            code = TABLE["fractures"]["level_not_given"][region][table["other_site"]]
            trail.rule("R-04")
        else:
            raise Undecided("U-31")
        if fact.hangman_type:
            raise Undecided("U-33")
        return Injury(code, fact, frozenset(), "slip")
    if len(fact.levels) > 1 or fact.regions:
        raise Undecided("U-31")
    (level,) = fact.levels
    if "-" not in level:
        raise Undecided("U-32")
    if level in home["segments"] and not fact.hangman_type:
        if level != "L5-S1":
            trail.rule("R-16")
        return Injury(home["code"], fact, members(level), "slip")
    return upper_slip(level.split("-")[0], fact)


def upper_slip(vertebra: str, fact: Fact) -> Injury:
    """P-C9: the slip code of the upper vertebra (C2-C7), elsewhere its unspecified fracture (P-C8's last column)."""
    table = TABLE["slips"]
    over = members(fact.levels[0]) if fact.levels else frozenset((vertebra,))
    if vertebra in table["by_upper_vertebra"]:
        row = table["by_upper_vertebra"][vertebra].get(fact.hangman_type or "unnamed_type", {})
        if (fact.displaced or TABLE["seventh"]["not_stated"]["displaced"]) not in row:
            raise Undecided("U-33")
        return Injury(pick(row, fact), fact, over, "slip")
    if fact.hangman_type:
        raise Undecided("U-33")
    rows = TABLE["fractures"]["by_vertebra"]
    if vertebra not in rows:
        raise Undecided("U-31")
    return Injury(pick(rows[vertebra][table["other_site"]], fact), fact, over, "slip")


def subluxation_of(fact: Fact, trail: Trail) -> list[Injury]:
    """P-C9: traumatic subluxation or dislocation: lumbar S33.1-, cervical and thoracic no code here."""
    table = TABLE["slips"]["subluxation"]
    rest, outside = table["other_or_none"], table["outside_the_family"]
    if len(fact.levels) + len(fact.regions) != 1:
        raise Undecided("U-34")
    (place,) = (*fact.levels, *fact.regions)
    if place in table["by_segment"]:
        base = table["by_segment"][place]
    elif place in rest["segments"] or place in rest["regions"]:
        base = rest["code"]
        trail.rule("R-13")
    elif place in outside["regions"] or (place in SEGMENTS and region_of(place) in outside["segment_rows"]):
        return []
    else:
        raise Undecided("U-34")
    return [Injury(base + table["sixth"][fact.wording], fact, members(place), fact.wording)]


def merge_injuries(injuries: list[Injury]) -> list[Injury]:
    """P-C8, P-C9: one code per vertebra; at C2-C7 the slip's code is the fracture's; L5 with L5-S1 both."""
    if len({i.base for i in injuries}) < 2:
        return injuries
    if any(i.kind in ("subluxation", "dislocation") or i.fact.wording == "slip_sequela" for i in injuries):
        raise Undecided("U-40")
    slips = [i for i in injuries if i.kind == "slip"]
    fractures = [i for i in injuries if i.kind == "fracture"]
    if len({i.base for i in slips}) > 1 or any(not i.vertebrae for i in injuries):
        raise Undecided("U-40")
    for a, b in combinations(fractures, 2):
        if a.vertebrae == b.vertebrae and a.base != b.base:
            raise Undecided("U-40")
    return slips + [f for f in fractures if not any(absorbed(f, s) for s in slips)]


def absorbed(fracture: Injury, slip: Injury) -> bool:
    """P-C8, P-C9: is the fracture's code the slip's? (same upper vertebra, C2-C7)"""
    table = TABLE["slips"]
    if slip.base == TABLE["fractures"]["by_vertebra"]["S1"]["unspecified"] and fracture.base.startswith("S32.1"):
        raise Undecided("U-35")
    if not fracture.vertebrae & slip.vertebrae:
        return False
    (vertebra,) = fracture.vertebrae
    if slip.fact.levels == (table["both_codes"]["slip"],) and slip.base == table["lumbosacral"]["code"]:
        if vertebra == table["both_codes"]["fracture"] and fracture.fact.wording == "arch":
            return False
        raise Undecided("U-35")
    upper = slip.fact.levels[0].split("-")[0] if slip.fact.levels else table["hangman"]["vertebra"]
    if vertebra != upper or vertebra not in table["one_code_vertebrae"]:
        raise Undecided("U-35")
    if fracture.fact.displaced != slip.fact.displaced:
        raise Undecided("U-40")
    return True


def fracture_claim(case: Case, trail: Trail) -> Claim | None:
    """P-C8..P-C10: the S codes, None if refused or outside the family."""
    facts = counted(case, FRACTURE, trail)
    if not facts:
        return None
    if facts[0].assertion == "affirmed":
        note_conflict(case, FRACTURE, trail)
    note_imaging_only(case, FRACTURE, facts, trail)
    made = [i for m in facts for i in injuries_of(m, trail)]
    injuries = merge_injuries(made)
    if not injuries:
        return None
    if len({(m.place == "imaging_section", m.study_region) for m in facts}) > 1 and len({i.base for i in injuries}) > 1:
        raise Undecided("U-40")
    codes: dict[str, str] = {}
    for base in dict.fromkeys(i.base for i in injuries):
        own = [i.fact for i in injuries if i.base == base]
        across = all(m.tie == "across" for m in own)
        if across != all(m.tie == "across" for m in facts) and len(made) != len(injuries):
            raise Undecided("U-40")
        code = base + seventh(case, base, trail, any(m.wording == "slip_sequela" for m in own))
        if across:
            trail.rule("P-C8", "P-X6")
        codes[code] = status([*trail.reviews, *(["tie_across"] if across else [])])
    site = Site(frozenset(x for m in facts for x in m.levels), frozenset(x for m in facts for x in m.regions))
    return Claim(FRACTURE, site, "traumatic", frozenset(), codes, trail, uncertain=facts[0].assertion == "uncertain")


def check_beside_injury(case: Case, claim: Claim, injury: Claim) -> None:
    """P-C11: an established lysis or slip keeps its M43 code beside an injury elsewhere."""
    if claim.stress or claim.kind != "acquired" or claim.uncertain or injury.uncertain:
        raise Undecided("U-21" if claim.stress else "U-36")
    facts = [m for m in case.mentions if m.condition == claim.condition and m.assertion == "affirmed"]
    if any(m.chronicity != "chronic" for m in facts):
        raise Undecided("U-36")
    if not claim.site.levels or not injury.site.levels or claim.site.regions or injury.site.regions:
        raise Undecided("U-36")
    if not apart(claim.site.levels, injury.site.levels):
        raise Undecided("U-36")


# --------------------------------------------------------------------------------------------------------- the oracle
def expected(case: Case) -> Expected:
    """The codes, their statuses and the refusals that the policy decides for these facts."""
    check_documents(case)
    mentioned = {m.condition for m in case.mentions}
    trails = {c: Trail() for c in (SLIP, LYSIS, FRACTURE) if c in mentioned}
    lysis = column_claim(case, LYSIS, trails[LYSIS]) if LYSIS in mentioned else None
    slip = column_claim(case, SLIP, trails[SLIP]) if SLIP in mentioned else None
    injury = fracture_claim(case, trails[FRACTURE]) if FRACTURE in mentioned else None
    claims = [c for c in (slip, lysis, injury) if c is not None]
    if case.open and injury is None:
        raise Undecided("U-38")
    rules: list[str] = []
    refused = mentioned - {c.condition for c in claims}
    codes: dict[str, str] = {}
    for claim in claims:
        codes.update(claim.codes)
    if injury and len(claims) == 2:
        check_beside_injury(case, claims[0], injury)
        rules += ["P-C11"] if lysis else []
    elif len(claims) == 3:
        raise Undecided("U-36")
    elif lysis and slip:
        codes, gone, more = combine_pair(case, lysis, slip)
        refused |= gone
        rules += more
    rules = list(dict.fromkeys([*(r for t in trails.values() for r in t.rules), *rules]))
    met = {prefix: tuple(r for r in rules if r.startswith(prefix)) for prefix in ("P-", "R-")}
    return Expected(codes, frozenset(refused), met["P-"], met["R-"])


# ------------------------------------------------------------------------------------------------------ the enumeration
@dataclass(frozen=True)
class Spot:
    """A site to enumerate: levels, regions, heading."""

    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    heading: str | None = None


ETIOLOGIES = (
    None, "isthmic", "degenerative", "dysplastic", "congenital", "developmental", "traumatic", "pathologic",
    "iatrogenic", "stress", "acquired",
)  # fmt: skip
SETTINGS = ("outpatient", "inpatient")
POLICIES = tuple(product(("separate", "strict"), ("M43.0", "M48.4")))
PAIRS_IN_ONE = (
    ("L3", "L4"), ("L4", "L5"), ("L1", "L5"), ("C4", "C5"), ("C1", "C2"), ("T3", "T9"), ("S1", "S2"), ("L5", "L6"),
    ("L3-L4", "L4-L5"), ("L1-L2", "L3-L4"), ("C3-C4", "C6-C7"), ("T4-T5", "T5-T6"), ("S1-S2", "S2-S3"),
    ("C2-C3", "C3-C4"),
    ("occiput-C1", "C1-C2"), ("L4", "L4-L5"), ("L5", "L4-L5"), ("C5", "C5-C6"), ("T6", "T6-T7"), ("C1", "occiput-C1"),
    ("C3", "C2-C3"), ("S1", "S1-S2"), ("L5", "L5-L6"), ("L6", "L5-L6"), ("L2", "L4-L5"), ("C2", "C1-C2"),
)  # fmt: skip
JUNCTION_PAIRS = (
    ("C7", "C7-T1"), ("T1", "C7-T1"), ("T12", "T12-L1"), ("L1", "T12-L1"), ("L5", "L5-S1"), ("S1", "L5-S1"),
    ("L6", "L6-S1"), ("S1", "L6-S1"), ("C7", "T1", "C7-T1"), ("T12", "L1", "T12-L1"), ("L5", "S1", "L5-S1"),
    ("C6", "C7-T1"), ("T2", "C7-T1"), ("T11", "T12-L1"), ("L2", "T12-L1"), ("L4", "L5-S1"), ("S2", "L5-S1"),
    ("L5", "L6-S1"), ("L4-L5", "L5-S1"), ("L5", "L4-L5", "L5-S1"), ("L5-S1", "S1-S2"), ("T11-T12", "T12-L1"),
    ("T12-L1", "L1-L2"), ("C6-C7", "C7-T1"), ("C7-T1", "T1-T2"), ("L5-L6", "L6-S1"), ("C1-C2", "C2-C3"),
    ("C2", "C2-C3"), ("L5", "S1"), ("T12", "L1"), ("C7", "T1"), ("C2", "C3"),
)  # fmt: skip
SPANS = (
    ("L3-L4", "L4-L5", "L5-S1"), ("L2-L3", "L3-L4", "L4-L5"), ("T11-T12", "T12-L1"), ("C5-C6", "C6-C7"),
    ("C6-C7", "C7-T1"), ("C1-C2", "C2-C3"), ("T10-T11", "T11-T12", "T12-L1", "L1-L2"), ("L3", "L4", "L5"),
)  # fmt: skip
REPRESENTATIVES = ("C1-C2", "C4-C5", "C7-T1", "T5-T6", "T12-L1", "L3-L4", "L5-S1", "S1-S2")
VERTEBRA_REPS = ("C1", "C5", "T6", "L3", "S2")


def single_spots() -> list[Spot]:
    """P-C3..P-C5: every kind of site one condition may have."""
    spots = [Spot()]
    spots += [Spot((x,)) for x in (*VERTEBRAE, *SEGMENTS)]
    spots += [Spot((), (r,)) for r in REGIONS]
    spots += [Spot((), (), r) for r in REGIONS]
    spots += [Spot(x) for x in (*JUNCTION_PAIRS, *PAIRS_IN_ONE, *SPANS)]
    spots += [Spot(x) for x in combinations(REPRESENTATIVES, 2)]
    spots += [Spot(x) for x in combinations(VERTEBRA_REPS, 2)]
    spots += [Spot((), x) for x in combinations(REGIONS, 2)]
    spots += [Spot((x,), (), "lumbosacral") for x in ("L5", "L4-L5", "L5-S1", "L3", "S1")]
    spots += [Spot((x,), (), "lumbar") for x in ("L5", "L5-S1", "T12-L1", "L2-L3")]
    spots += [Spot((), (r,), "lumbosacral") for r in ("lumbar", "sacral", "lumbosacral", "thoracic")]
    return list(dict.fromkeys(spots))


def fact(condition: str, assertion: str, spot: Spot, place: str, etiology: str | None = None, **more: Any) -> Fact:
    """A mention at a spot; a traumatic lysis or slip is an old one, so that the policy decides it (P-C9, P-C11)."""
    plain = condition != FRACTURE
    chronicity = more.pop("chronicity", "chronic" if plain and etiology == "traumatic" else None)
    return replace(
        Fact(condition, assertion, spot.levels, spot.regions, spot.heading, etiology, chronicity, place=place), **more
    )


def home(setting: str, spot: Spot) -> str:
    """Where a single mention stands: with a heading in an imaging study, else in the diagnostic statement."""
    if spot.heading:
        return "radiology_report" if setting == "outpatient" else "imaging_section"
    return "assessment" if setting == "outpatient" else "final_diagnosis"


def single_affirmed() -> Iterator[Case]:
    """Every site x etiology x setting; two policy pairs for the lysis, which the options concern."""
    for spot, condition, etiology, setting in product(single_spots(), (LYSIS, SLIP), ETIOLOGIES, SETTINGS):
        m = fact(condition, "affirmed", spot, home(setting, spot), etiology)
        both = condition == LYSIS and setting == "outpatient"
        for excludes1, stress in (POLICIES[0], POLICIES[3]) if both else POLICIES[:1]:
            yield Case((m,), setting=setting, excludes1=excludes1, stress_fracture=stress, group="single.affirmed")


def single_other_assertions() -> Iterator[Case]:
    """Every other assertion x every site x setting; inpatient uncertain with more etiologies (P-A10)."""
    for spot, condition, assertion, setting in product(single_spots(), (LYSIS, SLIP), ASSERTIONS[1:], SETTINGS):
        special = setting == "inpatient" and assertion == "uncertain"
        if setting == "inpatient" and not special and len(spot.levels) + len(spot.regions) > 1:
            continue
        group = "single.inpatient_uncertain" if special else "single.not_coded"
        for etiology in (None, "degenerative", "congenital", "developmental") if special else (None,):
            yield Case((fact(condition, assertion, spot, home(setting, spot), etiology),), setting=setting, group=group)


def single_not_coded_etiologies() -> Iterator[Case]:
    """No etiology or policy makes a code of a mention that is not coded (P-F3)."""
    spots = (Spot(), Spot(("L5",)), Spot(("L5-S1",)), Spot((), ("lumbar",)))
    for spot, condition, assertion, etiology, (setting, (e1, stress)) in product(
        spots, (LYSIS, SLIP), ASSERTIONS[1:], ETIOLOGIES[1:], zip(SETTINGS, (POLICIES[3], POLICIES[0]), strict=True)
    ):
        if setting == "inpatient" and assertion == "uncertain":
            continue
        m = fact(condition, assertion, spot, home(setting, spot), etiology)
        yield Case((m,), setting=setting, excludes1=e1, stress_fracture=stress, group="single.not_coded")


def single_region_and_level() -> Iterator[Case]:
    """P-C4: each region's name with each level, in one assessment mention."""
    for region, level, condition in product(REGIONS, (*VERTEBRAE, *SEGMENTS), (LYSIS, SLIP)):
        yield Case((fact(condition, "affirmed", Spot((level,), (region,)), "assessment"),), group="single.region+level")


def single_places() -> Iterator[Case]:
    """P-X6, P-A10: each place x assertion x setting x some sites; policies in turn."""
    spots = (Spot(), Spot(("L5",)), Spot(("L5-S1",)), Spot(("C5-C6",)), Spot((), ("lumbar",)), Spot(("L4-L5", "L5-S1")))
    places = ("assessment", "imaging_section", "hpi", "final_diagnosis", "radiology_report", "unsectioned")
    for place, assertion, spot, setting, condition, etiology in product(
        places, ASSERTIONS, spots, SETTINGS, (LYSIS, SLIP), (None, "congenital")
    ):
        yield Case((fact(condition, assertion, spot, place, etiology),), setting=setting, group="single.place")


def single_chronicity() -> Iterator[Case]:
    """P-A5, P-C7, P-C11: no chronicity moves the M43 code; P-C10: nor does a phase give it a 7th character."""
    spots = (Spot(), Spot(("L5",)), Spot(("L5-S1",)), Spot(("L4-L5",)), Spot((), (), "lumbar"), Spot(("L5", "L5-S1")))
    words = ("acute", "subacute", "chronic", "acute on chronic", "stress_reaction", "healing", "nonunion", "healed")
    causes = (None, "isthmic", "stress")
    for spot, chronicity, etiology, setting in product(spots, words, causes, SETTINGS):
        for condition, (e1, stress) in product((LYSIS, SLIP), POLICIES):
            if condition == SLIP and chronicity in ("stress_reaction", "healing", "nonunion"):
                continue
            m = fact(condition, "affirmed", spot, home(setting, spot), etiology, chronicity=chronicity)
            yield Case((m,), setting=setting, excludes1=e1, stress_fracture=stress, group="single.chronicity")
    for spot, condition, phase in product(spots, (LYSIS, SLIP), ("A", "D", "G", "K", "S", None)):
        m = fact(condition, "affirmed", spot, home("outpatient", spot))
        yield Case((m,), phase=phase, follow_up=phase is None, group="single.phase_of_M43")


def stress_fractures() -> Iterator[Case]:
    """P-C7: stress wording x every site x policy x phase."""
    wordings = ("stress_fracture", "stress_reaction", "stress_nonunion")
    for spot, wording in product(single_spots(), wordings):
        m = fact(LYSIS, "affirmed", spot, home("outpatient", spot), wording=wording)
        yield Case((m,), group="stress.M43.0")
        stated_phases = ("", "D", "G", "K", "S", "follow") if wording == "stress_fracture" else ("", "follow")
        for phase in stated_phases:
            follow = phase == "follow"
            stated = None if follow or not phase else phase
            yield Case((m,), stated, False, follow, stress_fracture="M48.4", group="stress.M48.4")
    spots = (Spot(), Spot(("L5",)), Spot(("L4-L5", "L5-S1")), Spot(("T12-L1",)), Spot((), (), "lumbosacral"))
    for spot, wording, assertion, (e1, stress), setting, place in product(
        spots, wordings, ASSERTIONS, POLICIES[:2], SETTINGS, ("final_diagnosis", "imaging_section", "hpi")
    ):
        m = fact(LYSIS, assertion, spot, place, "stress" if place == "hpi" else None, wording=wording)
        yield Case((m,), setting=setting, excludes1=e1, stress_fracture=stress, group="stress.assertion")
    for spot, chronicity, (e1, stress) in product(spots, (None, "acute", "chronic", "healing", "nonunion"), POLICIES):
        m = fact(LYSIS, "affirmed", spot, "assessment", chronicity=chronicity, wording="stress_fracture")
        yield Case((m,), excludes1=e1, stress_fracture=stress, group="stress.chronicity")


def pair_sites() -> Iterator[Case]:
    """P-X2: lysis and slip at every pair of sites, both policies."""
    dull = {"T3", "T4", "T7", "T8", "T9", "T10"}
    levels = [x for x in (*VERTEBRAE, *SEGMENTS) if not members(x) & {"L6", *dull}]
    spots = [Spot(), *(Spot((x,)) for x in levels), *(Spot((), (r,)) for r in REGIONS)]
    for a, b, e1 in product(spots, spots, ("separate", "strict")):
        mentions = (fact(LYSIS, "affirmed", a, "assessment"), fact(SLIP, "affirmed", b, "assessment"))
        yield Case(mentions, excludes1=e1, group=f"pair.sites.{e1}")


def pair_etiologies() -> Iterator[Case]:
    """P-X1, P-X2, P-C6: every pair of etiologies at same, touching, apart and unstated sites."""
    spots = [Spot(), *(Spot((x,)) for x in ("L5", "L5-S1", "L2-L3", "C5-C6")), Spot((), ("lumbar",))]
    for a, b, x, y, e1 in product(spots, spots, ETIOLOGIES, ETIOLOGIES, ("separate", "strict")):
        mentions = (fact(LYSIS, "affirmed", a, "assessment", x), fact(SLIP, "affirmed", b, "assessment", y))
        special = {"congenital", "dysplastic", "developmental"} & {x, y}
        if not special and None not in (x, y) and x != y:
            continue
        yield Case(mentions, excludes1=e1, group="pair.congenital" if special else "pair.acquired")


def pair_assertions() -> Iterator[Case]:
    """P-A1, P-F3, P-X2: the two conditions with every pair of assertions."""
    spots = ((Spot(("L5",)), Spot(("L5-S1",))), (Spot(), Spot()), (Spot(("L2",)), Spot(("L4-L5",))))
    for (a, b), x, y, e1, setting in product(spots, ASSERTIONS, ASSERTIONS, ("separate", "strict"), SETTINGS):
        place = home(setting, a)
        for etiology in (None, "congenital"):
            mentions = (fact(LYSIS, x, a, place, etiology), fact(SLIP, y, b, place))
            yield Case(mentions, excludes1=e1, setting=setting, group="pair.assertions")


def pair_places() -> Iterator[Case]:
    """P-X6 with P-X2: where each of the two is stated; bare under one heading."""
    spots = ((Spot(("L5",)), Spot(("L5-S1",))), (Spot(("L2",)), Spot(("L4-L5",))), (Spot(), Spot()))
    bare = tuple((Spot((), (), r), Spot((), (), r)) for r in REGIONS)
    for (a, b), x, y, e1, setting in product(
        spots + bare, ("assessment", "imaging_section", "hpi"), ("assessment", "imaging_section", "hpi"),
        ("separate", "strict"), SETTINGS,
    ):  # fmt: skip
        if a.heading and {x, y} != {"imaging_section"}:
            continue
        mentions = (fact(LYSIS, "affirmed", a, x), fact(SLIP, "affirmed", b, y))
        yield Case(mentions, excludes1=e1, setting=setting, group="pair.places")


def pair_wordings() -> Iterator[Case]:
    """P-C7 with P-X2: a stress lesion that stays M43.0x beside a slip."""
    spots = ((Spot(("L5",)), Spot(("L5-S1",))), (Spot(("L2",)), Spot(("L4-L5",))), (Spot(), Spot()))
    for (a, b), wording, (e1, stress), setting in product(
        spots, ("stress_fracture", "stress_reaction", "stress_nonunion"), POLICIES, SETTINGS
    ):
        lysis = fact(LYSIS, "affirmed", a, "assessment", wording=wording)
        mentions = (lysis, fact(SLIP, "affirmed", b, "assessment"))
        yield Case(mentions, None, False, False, setting, e1, stress, "pair.stress_wording")


def several_two() -> Iterator[Case]:
    """P-A4, P-C5: two mentions of one condition, every pair of assertions, places and sites."""
    spots = (Spot(), Spot(("L4-L5",)), Spot(("L5-S1",)), Spot(("L1-L2",)))
    outpatient = (("assessment", "hpi"), ("imaging_section", "assessment"), ("hpi", "imaging_section"))
    inpatient = (("final_diagnosis", "hpi"), ("imaging_section", "final_diagnosis"))
    places = [("outpatient", p) for p in outpatient] + [("inpatient", p) for p in inpatient]
    places += [("outpatient", (p, p)) for p in ("assessment", "radiology_report", "unsectioned")]
    for (setting, (p, q)), a, b, x, y, c in product(places, spots, spots, ASSERTIONS, ASSERTIONS, (LYSIS, SLIP)):
        if "affirmed" not in (x, y) and a != b and (setting, p) != ("inpatient", "final_diagnosis"):
            continue
        mentions = (fact(c, x, a, p), fact(c, y, b, q))
        yield Case(mentions, setting=setting, group=f"several.two.{setting}")


def several_imaging() -> Iterator[Case]:
    """P-C5: an imaging level counts for a bare assessment; a heading only if nothing is named."""
    for spot, c, setting, provider in product(single_spots(), (LYSIS, SLIP), SETTINGS, ("assessment", "hpi")):
        mentions = (fact(c, "affirmed", spot, "imaging_section"), fact(c, "affirmed", Spot(), provider))
        yield Case(mentions, setting=setting, group="several.imaging+bare")
    for region, level, c in product(REGIONS, (*VERTEBRAE, *SEGMENTS), (LYSIS, SLIP)):
        mentions = (
            fact(c, "affirmed", Spot((), (region,)), "assessment"),
            fact(c, "affirmed", Spot((level,), (), "lumbar"), "imaging_section"),
        )
        yield Case(mentions, group="several.assessment_region+imaging_level")


def several_stray() -> Iterator[Case]:
    """P-C5: sites bound only to mentions that are not affirmed never count; three mentions, etiology on one."""
    others = ASSERTIONS[1:]
    stray = (Spot(("C5",)), Spot(("L5-S1",)), Spot((), ("thoracic",)), Spot((), (), "lumbar"), Spot(("L4", "L5")))
    here = (Spot(), Spot(("L2-L3",)), Spot((), ("lumbar",)))
    for a, b, no, c, setting in product(here, stray, others, (LYSIS, SLIP), SETTINGS):
        last = "assessment" if setting == "outpatient" else "final_diagnosis"
        for place in ("hpi", "imaging_section"):
            two = (fact(c, no, b, place), fact(c, "affirmed", a, last))
            yield Case(two, setting=setting, group="several.stray_site")
            three = (*two, fact(c, "affirmed", Spot(("L2-L3",)), "imaging_section"))
            yield Case(three, setting=setting, group="several.stray_site")
    for a, etiology, c in product(single_spots(), ETIOLOGIES[1:], (LYSIS, SLIP)):
        if len(a.levels) > 1 or len(a.regions) > 1 or a.heading:
            continue
        mentions = (fact(c, "affirmed", a, "imaging_section"), fact(c, "affirmed", Spot(), "assessment", etiology))
        yield Case(mentions, group="several.etiology_on_one")


def injury(wording: str, spot: Spot, place: str = "assessment", assertion: str = "affirmed", **more: Any) -> Fact:
    """An acute traumatic mention (P-C8, P-C9)."""
    return fact(FRACTURE, assertion, spot, place, "traumatic", wording=wording, **more)


def phases() -> Iterator[tuple[str | None, bool]]:
    """P-C10: not stated, every phase, a follow-up that settles none."""
    yield from ((None, False), ("A", False), ("D", False), ("G", False), ("K", False), ("S", False), (None, True))


def fractures_single() -> Iterator[Case]:
    """P-C8: every vertebra x wording x displaced x phase x open x tie; and by region."""
    spots = [Spot((v,)) for v in VERTEBRAE] + [Spot((), (r,)) for r in REGIONS] + [Spot((), (), r) for r in REGIONS]
    for spot, wording, displaced, (phase, follow), is_open, tie in product(
        spots, ("arch", "unspecified"), (None, "displaced", "nondisplaced"), phases(), (False, True), ("same", "across")
    ):
        if (spot.regions or spot.heading) and displaced:
            continue
        if tie == "across" and (displaced == "displaced" or (is_open and phase not in (None, "D"))):
            continue
        place = home("outpatient", spot)
        m = injury(wording, spot, place, displaced=displaced, tie=tie)
        kind = "vertebra" if spot.levels else "region"
        yield Case((m,), phase, is_open, follow, group=f"fracture.{kind}.{wording}")


def fractures_slip() -> Iterator[Case]:
    """P-C9: the traumatic slip at every segment and region; the hangman's types; sequela wording."""
    spots = [Spot((s,)) for s in (*SEGMENTS, "C2", "L5")]
    spots += [Spot((), (r,)) for r in REGIONS] + [Spot((), (), r) for r in REGIONS]
    for spot, displaced, (phase, follow), is_open, tie in product(
        spots, (None, "displaced", "nondisplaced"), phases(), (False, True), ("same", "across")
    ):
        if is_open and displaced == "displaced":
            continue
        m = injury("slip", spot, home("outpatient", spot), displaced=displaced, tie=tie)
        yield Case((m,), phase, is_open, follow, group="fracture.slip")
    for spot, name, displaced, (phase, follow), is_open, wording in product(
        (Spot(), Spot(("C2",)), Spot(("C2-C3",))), (None, "I", "II", "IIA", "III"), (None, "displaced", "nondisplaced"),
        phases(), (False, True), ("hangman", "slip"),
    ):  # fmt: skip
        m = injury(wording, spot, displaced=displaced, hangman_type=name)
        yield Case((m,), phase, is_open, follow, group="fracture.hangman")
    for spot, displaced, phase in product(spots, (None, "displaced", "nondisplaced"), (None, "S")):
        m = injury("slip_sequela", spot, home("outpatient", spot), displaced=displaced)
        yield Case((m,), phase, group="fracture.slip_sequela")


def fractures_subluxation() -> Iterator[Case]:
    """P-C9: traumatic subluxation and dislocation."""
    spots = [Spot((x,)) for x in (*SEGMENTS, "L3")] + [Spot((), (r,)) for r in REGIONS] + [Spot()]
    for spot, wording, (phase, follow), setting in product(spots, ("subluxation", "dislocation"), phases(), SETTINGS):
        m = injury(wording, spot, home(setting, spot))
        yield Case((m,), phase, False, follow, setting, group="fracture.subluxation")


def fractures_several() -> Iterator[Case]:
    """P-C8, P-C9: several vertebrae, the same one twice, a fracture with a slip."""
    vertebrae = [v for v in VERTEBRAE if v != "L6"]
    for (a, b), wording in product(combinations(vertebrae, 2), ("arch", "unspecified")):
        yield Case((injury(wording, Spot((a, b))),), group="fracture.several")
    some = ("C1", "C4", "C5", "T5", "T6", "L2", "L5", "S2")
    for a, b, x, y, (phase, follow) in product(some, some, (None, "nondisplaced"), ("same", "across"), phases()):
        if (y == "across" and x) or phase in ("A", "G"):
            continue
        mentions = (injury("arch", Spot((a,)), displaced=x), injury("arch", Spot((b,)), displaced=x, tie=y))
        yield Case(mentions, phase, False, follow, group="fracture.two_mentions")
    segments = [s for s in SEGMENTS if "occiput" not in s]
    for segment, v, (phase, follow) in product(segments, vertebrae, ((None, False), (None, True))):
        mentions = (injury("slip", Spot((segment,))), injury("arch", Spot((v,))))
        yield Case(mentions, phase, False, follow, group="fracture.arch+slip")
    for spot, v, name in product((Spot(), Spot(("C2",)), Spot(("C2-C3",))), ("C2", "C5", "L3"), (None, "II", "III")):
        mentions = (injury("hangman", spot, hangman_type=name), injury("arch", Spot((v,))))
        yield Case(mentions, group="fracture.arch+slip")


def fractures_assertions() -> Iterator[Case]:
    """P-F3, P-A10, P-X6: assertion, place and setting of an injury."""
    kinds = (
        ("arch", Spot(("L5",))), ("arch", Spot(("C4",))), ("unspecified", Spot(("T5",))), ("slip", Spot(("L5-S1",))),
        ("slip", Spot(("C4-C5",))), ("hangman", Spot()), ("subluxation", Spot(("L3-L4",))),
        ("subluxation", Spot(("C4-C5",))), ("slip_sequela", Spot(("L5-S1",))),
    )  # fmt: skip
    places = ("assessment", "imaging_section", "hpi", "final_diagnosis", "radiology_report", "unsectioned")
    for (wording, spot), place, assertion, setting, follow in product(
        kinds, places, ASSERTIONS, SETTINGS, (False, True)
    ):
        yield Case((injury(wording, spot, place, assertion),), None, False, follow, setting, group="fracture.assertion")


def beside_injury() -> Iterator[Case]:
    """P-C11: a chronic lysis or slip beside a fracture elsewhere."""
    old = [Spot((x,)) for x in ("L5", "L5-S1", "L4-L5", "C5-C6", "L3", "T12-L1")]
    for c, spot, v, (phase, follow), etiology, e1 in product(
        (LYSIS, SLIP), old, VERTEBRAE, phases(), (None, "degenerative"), ("separate", "strict")
    ):
        if (e1 == "strict" or etiology or phase in ("A", "G", "S")) and (phase or follow):
            continue
        mentions = (
            fact(c, "affirmed", spot, "assessment", etiology, chronicity="chronic"),
            injury("arch", Spot((v,))),
        )
        yield Case(mentions, phase, False, follow, excludes1=e1, group="beside_injury")


GROUPS = (
    single_affirmed, single_other_assertions, single_not_coded_etiologies, single_region_and_level, single_places,
    single_chronicity, stress_fractures, pair_sites, pair_etiologies, pair_assertions, pair_places, pair_wordings,
    several_two, several_imaging, several_stray, fractures_single, fractures_slip, fractures_subluxation,
    fractures_several, fractures_assertions, beside_injury,
)  # fmt: skip


def candidates() -> Iterator[Case]:
    """Every combination, in a fixed order, each once, the undecided ones included."""
    seen: set[Case] = set()
    for group in GROUPS:
        for case in group():
            bare = replace(case, group="")
            if bare not in seen:
                seen.add(bare)
                yield case


def cases() -> Iterator[Case]:
    """The combinations the policy decides, in a fixed order, with the paragraphs that decide them in `why`."""
    for case in candidates():
        try:
            yield replace(case, why=expected(case).rules)
        except Undecided:
            continue


def left_out() -> Counter[str]:
    """How many candidates each gap of the policy keeps out."""
    out: Counter[str] = Counter()
    for case in candidates():
        try:
            expected(case)
        except Undecided as gap:
            out[gap.uid] += 1
    return out


# ------------------------------------------------------------------------------------------------------- as a program
def describe(case: Case) -> str:
    """One line for a case: what is not at its default."""
    plain = Fact("")
    parts = []
    for m in case.mentions:
        extra = [f"{k}={v}" for k, v in vars(m).items() if k != "condition" and v != getattr(plain, k)]
        parts.append(f"{m.condition}({', '.join(extra)})")
    empty = Case(())
    hidden = ("mentions", "group", "why")
    options = [f"{k}={v}" for k, v in vars(case).items() if k not in hidden and v != getattr(empty, k)]
    return " + ".join(parts) + (f" [{', '.join(options)}]" if options else "")


def bad_codes(codes: Iterable[str]) -> list[str] | None:
    """Codes that are not billable leaves; None when simple_icd_10_cm is not installed."""
    try:
        import simple_icd_10_cm as icd  # type: ignore[import-untyped]
    except ImportError:
        return None
    return [c for c in codes if not (icd.is_valid_item(c) and icd.is_leaf(c))]


def main() -> None:
    """Counts by group, the gaps, the code check, a sample."""
    groups: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    read: Counter[str] = Counter()
    sample: dict[str, list[str]] = {}
    for case in cases():
        answer = expected(case)
        groups[case.group] += 1
        codes.update(list(answer.codes))
        read.update(answer.readings)
        if groups[case.group] in (7, 61):
            shown = ", ".join(f"{c} {s}" for c, s in answer.codes.items()) or "no code"
            refused = f"; refused {sorted(answer.refused)}" if answer.refused else ""
            line = f"  {describe(case)}\n    -> {shown}{refused}   by {' '.join([*answer.rules, *answer.readings])}"
            sample.setdefault(case.group, []).append(line)
    for name, count in groups.items():
        print(f"{count:7d}  {name}")
    print(f"{sum(groups.values()):7d}  cases, {len(codes)} different codes; not billable leaves: {bad_codes(codes)}")
    print("\nKept by a reading:")
    for uid, count in sorted(read.items()):
        print(f"{count:7d}  {uid} {TABLE['readings'][uid]}")
    print("\nLeft out (candidates):")
    gaps = left_out()
    for uid, text in TABLE["undecided"].items():
        print(f"{gaps[uid]:7d}  {uid} {text}")
    print("\nSample:")
    for name, lines in sample.items():
        print(name, *lines, sep="\n")


if __name__ == "__main__":
    main()
