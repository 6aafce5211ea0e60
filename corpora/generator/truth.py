"""The structured truth of a note, and the gold that the coding policy derives from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

LYSIS, SLIP, TRAUMA = "spondylolysis", "spondylolisthesis", "traumatic_fracture"


@dataclass(frozen=True)
class Finding:
    """What one statement says about its condition; empty where it does not say."""

    sites: tuple[str, ...] = ()
    side: str | None = None
    chronicity: str | None = None
    etiology: str | None = None
    grade: str | None = None
    direction: str | None = None
    kind: str = "plain"
    etiology_in_frame: bool = False


@dataclass(frozen=True)
class Injury:
    """A traumatic arch fracture, slip, subluxation or dislocation."""

    form: str  # lamina, pedicle, pars, neural arch, posterior arch, slip, hangman, subluxation, dislocation
    site: str
    side: str | None = None
    nondisplaced: bool = False
    type: str | None = None
    tied: str = "traumatic"  # traumatic, mechanism, untied
    acute: bool = True


@dataclass
class Statement:
    condition: str
    assertion: str
    finding: Finding = Finding()
    injury: Injury | None = None
    counts: bool = True  # False: overruled or superseded by a later statement


@dataclass
class Line:
    """One sentence, list item or row; two statements where they stand in one clause."""

    role: str
    statements: list[Statement]
    frame: str = ""
    study: int = 0
    register: str = ""
    shared: bool = False  # the second statement has no site of its own and takes the first one's


@dataclass
class Study:
    modality: str
    label: str = ""


@dataclass
class Case:
    """One patient's truth, before it is worded."""

    plot: str
    style: str
    spec: dict[str, Any]
    rng: Random
    setting: str = "outpatient"
    lines: list[Line] = field(default_factory=list)
    extra: dict[str, list[str]] = field(default_factory=dict)
    studies: list[Study] = field(default_factory=list)
    body: str = "lumbar"
    film: str = ""  # the region in the study's heading where a site is taken from it
    no_site: bool = False
    young: bool = False
    conflict: bool = False
    phase: str = "initial"
    omit: set[str] = field(default_factory=set)  # gold fields left out of the row
    care: set[str] = field(default_factory=set)
    cause: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return str(self.spec["kind"])

    @property
    def register(self) -> str:
        return str(self.spec["register"])

    @property
    def roles(self) -> set[str]:
        return {block["role"] for block in self.spec["blocks"]}

    @property
    def injured(self) -> bool:
        return any(s.condition == TRAUMA for line in self.lines for s in line.statements)

    def say(
        self, role: str, condition: str, assertion: str, finding: Finding | None = None, frame: str = "", **more: Any
    ) -> Line:
        injury, counts = more.pop("injury", None), more.pop("counts", True)
        line = Line(role, [Statement(condition, assertion, finding or Finding(), injury, counts)], frame, **more)
        self.lines.append(line)
        return line

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability


REGION_CHARS = {
    "cervical": "2",
    "cervicothoracic": "3",
    "thoracic": "4",
    "thoracolumbar": "5",
    "lumbar": "6",
    "lumbosacral": "7",
    "sacral": "8",
}
JUNCTIONS = "357"
SEVENTH = {
    "initial": "A",
    "routine": "D",
    "delayed": "G",
    "nonunion": "K",
    "sequela": "S",
    "unsettled": "D",
    "open": "B",
}
S12_BY_C = {f"C{n}": f"S12.{n - 1}" for n in range(2, 8)}
S22_BY_T = {"T1": "S22.01", "T2": "S22.02", "T3": "S22.03", "T4": "S22.04"} | {
    f"T{n}": f"S22.0{5 + (n - 5) // 2}" for n in range(5, 13)
}


def members(site: str) -> tuple[str, ...]:
    return tuple(site.split("-"))


def site_char(site: str) -> str:
    """Fifth character of one site (P-C3)."""
    if site in REGION_CHARS:
        return REGION_CHARS[site]
    upper, lower = members(site)[0], members(site)[-1]
    if upper in ("C1", "C2") and lower in ("C1", "C2"):
        return "1"
    if upper[0] != lower[0]:
        return {"C": "3", "T": "5", "L": "7"}[upper[0]]
    return {"C": "2", "T": "4", "L": "6", "S": "8"}[upper[0]]


def touches(first: set[str], second: set[str]) -> bool:
    return bool({v for s in first for v in members(s)} & {v for s in second for v in members(s)})


def fifth_character(sites: set[str]) -> str:
    """The one character of a condition's sites (P-C3, P-C4)."""
    regions = {s for s in sites if s in REGION_CHARS}
    levels = sites - regions
    if not levels:
        chars = {site_char(s) for s in regions}
    elif "lumbosacral" in regions and levels <= {"L5", "L5-S1"}:
        return "7"
    else:
        junctions = {s for s in levels if "-" in s and site_char(s) in JUNCTIONS}
        chars = {site_char(s) for s in levels if "-" in s or not touches({s}, junctions)}
    return chars.pop() if len(chars) == 1 else "9" if chars else "0"


def injury_code(injury: Injury, phase: str) -> str | None:
    """The S code of an injury (P-C8, P-C9, P-C10); None for a finding that has no code here."""
    seventh = SEVENTH[phase]
    upper = members(injury.site)[0]
    still = "1" if injury.nondisplaced else "0"
    if injury.form in ("subluxation", "dislocation"):
        if upper[0] != "L":
            return None
        digit = {"L1": "1", "L2": "2", "L3": "3", "L4": "4"}.get(upper, "0")
        return f"S33.1{digit}{'1' if injury.form == 'dislocation' else '0'}{seventh}"
    if injury.form == "hangman":
        if injury.type == "III":
            return f"S12.14X{seventh}"
        return f"S12.1{'5' if injury.type else '3'}{still}{seventh}"
    if injury.form == "slip":
        if injury.site in ("L5-S1", "lumbar", "lumbosacral"):
            return f"S33.100{seventh}"
        if upper[0] == "C":
            return f"{S12_BY_C[upper]}30{seventh}"
        return f"{S22_BY_T[upper] if upper[0] == 'T' else 'S32.0' + upper[1]}9{seventh}"
    if injury.site in ("cervical", "thoracic", "lumbar", "sacral"):
        return {"cervical": "S12.9XX", "thoracic": "S22.008", "lumbar": "S32.008", "sacral": "S32.19X"}[
            injury.site
        ] + seventh
    if upper == "C1":
        return f"S12.03{still}{seventh}"
    if upper[0] == "C":
        return f"{S12_BY_C[upper]}9{still}{seventh}"
    if upper[0] == "S":
        return f"S32.19X{seventh}"
    return f"{S22_BY_T[upper] if upper[0] == 'T' else 'S32.0' + upper[1]}8{seventh}"


def sited(case: Case) -> list[tuple[Line, Statement, tuple[str, ...]]]:
    """Every statement with the sites bound to it."""
    return [
        (line, s, line.statements[0].finding.sites if line.shared and s is not line.statements[0] else s.finding.sites)
        for line in case.lines
        for s in line.statements
    ]


def decide(case: Case) -> dict[str, Any]:
    """Codes, strict codes, review, attributes and queries of a truth, by the policy alone."""
    rows = sited(case)
    review = case.conflict
    queries: set[str] = set()
    attributes: dict[str, Any] = {}
    codes: dict[str, str] = {}  # condition -> code
    sites_of: dict[str, set[str]] = {}
    congenital: set[str] = set()
    extra_codes: list[str] = []
    for condition in (SLIP, LYSIS):
        mine = [(line, s, sites) for line, s, sites in rows if s.condition == condition and s.counts]
        live = [row for row in mine if row[1].assertion == "affirmed"]
        if not live and case.kind == "discharge":
            live = [row for row in mine if row[1].assertion == "uncertain" and row[0].role == "assessment"]
            review |= bool(live)
        attributes[condition] = None
        if not live:
            states = {s.assertion for _, s, _ in mine}
            if "uncertain" in states and not states & {"negated"}:
                queries.add("uncertain_wording")
            if "historical" in states and not states & {"negated", "uncertain"}:
                queries.add("historical_status")
            continue
        findings = [s.finding for _, s, _ in live]
        sites = {x for _, _, bound in live for x in bound}
        sites_of[condition] = sites
        attributes[condition] = merged(condition, findings, sites)
        etiologies = {f.etiology for f in findings}
        inborn = etiologies & {"congenital", "dysplastic", "developmental"}
        if inborn:
            congenital.add(condition)
            review |= inborn == {"developmental"}
            if inborn == {"developmental"}:
                queries.add("congenital_vs_acquired")
            acquired = {x for _, s, bound in live for x in bound if s.finding.etiology == "degenerative"}
            if acquired:  # P-X1: unrelated acquired condition at a level that does not touch
                extra_codes.append(f"M43.1{fifth_character(acquired)}")
                review = True
            continue
        char = fifth_character(sites)
        if not sites and case.film:
            char = REGION_CHARS[case.film]
            review |= case.film == "lumbosacral"
        elif not sites:
            queries.add("site_missing")
        if (
            condition == SLIP
            and len(sites) == 1
            and "-" not in (only := next(iter(sites)))
            and only not in REGION_CHARS
        ):
            review = True
        review |= any(f.kind == "subluxation" for f in findings)
        if case.kind != "radiology" and all(line.role == "imaging" for line, _, _ in live):
            review = True
        elif case.kind != "radiology":
            seen = {x for line, _, bound in live if line.role == "imaging" for x in bound} - set(REGION_CHARS)
            concluded = {x for line, _, bound in live if line.role == "assessment" for x in bound} - set(REGION_CHARS)
            if seen and not concluded:
                queries.add("level_not_in_assessment")
        codes[condition] = f"M43.{'0' if condition == LYSIS else '1'}{char}"
        if condition == LYSIS:
            if attributes[condition]["laterality"] in (None, "unilateral"):
                queries.add("laterality_missing")
            if attributes[condition]["chronicity"] is None and attributes[condition]["etiology"] != "stress":
                queries.add("chronicity_missing")
        elif "isthmic" in etiologies and not any(
            s.condition == LYSIS and s.assertion == "affirmed" for _, s, _ in rows
        ):
            queries.add("lysis_slip_collapsed")
    injuries = [s.injury for _, s, _ in rows if s.condition == TRAUMA and s.assertion == "affirmed" and s.injury]
    s_codes = list(dict.fromkeys(c for i in injuries if (c := injury_code(i, case.phase))))
    if injuries:
        review |= bool(s_codes) and (case.phase == "unsettled" or all(i.tied == "untied" for i in injuries))
        sides = {i.side for i in injuries if i.side}
        attributes[TRAUMA] = {
            "levels": sorted({i.site for i in injuries if i.site not in REGION_CHARS}),
            "laterality": sides.pop() if len(sides) == 1 else None,
        }
    acquired_codes = [codes[c] for c in (SLIP, LYSIS) if c in codes]
    if congenital:
        acquired_codes = ["Q76.2", *extra_codes]
    strict = list(acquired_codes)
    if not congenital and SLIP in codes and LYSIS in codes:
        review = True
        if touches(sites_of[LYSIS], sites_of[SLIP]):
            strict.remove(codes[LYSIS])
    return {
        "codes": s_codes + acquired_codes,
        "strict_codes": s_codes + strict,
        "review": bool(review),
        "attributes": attributes,
        "queries": sorted(queries),
    }


def merged(condition: str, findings: list[Finding], sites: set[str]) -> dict[str, Any]:
    """The attributes of a condition over its statements."""

    def one(name: str) -> str | None:
        return next((value for f in findings if (value := getattr(f, name))), None)

    levels = sorted(s for s in sites if s not in REGION_CHARS)
    if condition == LYSIS:
        return {
            "levels": levels,
            "laterality": one("side"),
            "chronicity": one("chronicity"),
            "etiology": one("etiology"),
        }
    return {"levels": levels, "grade": one("grade"), "etiology": one("etiology"), "direction": one("direction")}
