"""Conditions to codes (P-C1 to P-C12, P-X1, P-X2, P-X6). Each policy rule is one function that carries its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parsnlp.coding.icd10cm import Edition
from parsnlp.extract import levels as spine
from parsnlp.extract.findings import Found
from parsnlp.models import Alternative, Code, Condition, Drg, Policy, Span, Step, Suppressed
from parsnlp.resolve import Record, Resolved, Site

_NAMES: Mapping[Condition, str] = {
    "spondylolysis": "spondylolysis",
    "spondylolisthesis": "spondylolisthesis",
    "traumatic_fracture": "traumatic arch fracture or slip",
}
_STATEMENTS = ("impression", "final_diagnosis", "operative_diagnosis", "addendum")
_INJURY_ORDER: Mapping[Condition, int] = {"traumatic_fracture": 0, "spondylolisthesis": 1, "spondylolysis": 2}


@dataclass(slots=True)
class Draft:
    """A code being decided: its steps, the reasons for review, and what else it could have been."""

    code: str
    source: Resolved
    steps: list[Step]
    evidence: list[Span]
    reviews: list[Step] = field(default_factory=list)
    alternatives: list[Alternative] = field(default_factory=list)
    deciding: list[Found] = field(default_factory=list)


@dataclass(slots=True)
class Assigned:
    """The outcome: codes in P-C12 order and what was refused. `drafts` keep what `review` needs."""

    codes: list[Code]
    suppressed: list[Suppressed]
    drafts: list[Draft]
    pair: str | None = None


class Coder:
    """Assigns codes under one policy, from the tables of `patterns/codes.yaml` and one ICD-10-CM edition."""

    def __init__(self, tables: Mapping[str, Any], edition: Edition, policy: Policy) -> None:
        self.tables = tables
        self.edition = edition
        self.policy = policy
        self.regions: Mapping[str, Mapping[str, Any]] = tables["regions"]
        self._region_of = {
            name: region for region, row in self.regions.items() for name in (*row["vertebrae"], *row["segments"])
        }

    def assign(self, record: Record, conditions: Sequence[Resolved]) -> Assigned:
        """Codes and refusals for the record's conditions."""
        drafts: list[Draft] = []
        suppressed: list[Suppressed] = []
        for item in conditions:
            present = item.assertion == "affirmed" or "uncertain_inpatient" in item.flags
            if not present:
                suppressed.append(self._refused(record, item))
                continue
            if item.condition == "traumatic_fracture":
                drafts += self._injury(record, item, suppressed)
            else:
                drafts.append(self._acquired(record, item))
        drafts = p_c6(self, record, drafts, suppressed)
        pair = p_x2(self, record, drafts, suppressed)
        drafts = p_c7(self, record, drafts, suppressed)
        for draft in drafts:
            p_x6(self, record, draft)
        drafts = p_c12(drafts)
        return Assigned([self._code(record, draft) for draft in drafts], suppressed, drafts, pair)

    # -- sites -------------------------------------------------------------------------------------------------------

    def region_of(self, level: str) -> str | None:
        """The policy's region of a vertebra or segment."""
        return self._region_of.get(level)

    def character(self, item: Resolved) -> tuple[str, list[Step]]:
        """The fifth character of a condition's sites (P-C3, P-C4), with the steps that led to it."""
        steps: list[Step] = []
        sites = p_c4(self, item, steps)
        regions = list(dict.fromkeys(sites))
        spans = _spans(item.sites)
        if not regions:
            steps.append(Step(rule="P-C3", says="no site: fifth character 0, unspecified", evidence=_own(item)))
            return str(self.tables["unspecified_site"]), steps
        if len(regions) > 1:
            steps.append(Step(rule="P-C4", says=f"{' and '.join(regions)}: different sites, fifth character 9", evidence=spans))
            return str(self.tables["multiple_sites"]), steps
        character = str(self.regions[regions[0]]["character"])
        steps.append(Step(rule="P-C3", says=f"{regions[0]} region: fifth character {character}", evidence=spans))
        return character, steps

    # -- acquired conditions -----------------------------------------------------------------------------------------

    def _acquired(self, record: Record, item: Resolved) -> Draft:
        family = str(self.tables["families"][item.condition])
        rule = "P-C1" if item.condition == "spondylolysis" else "P-C2"
        evidence = [record.at(found) for found in item.deciding]
        steps = list(item.steps)
        steps.append(Step(rule=rule, says=f"acquired {_NAMES[item.condition]}: {family}-", evidence=tuple(evidence[:2])))
        character, more = self.character(item)
        draft = Draft(f"{family}{character}", item, steps + more, evidence, deciding=list(item.deciding))
        p_c4_single_vertebra(self, record, draft)
        return draft

    def _refused(self, record: Record, item: Resolved) -> Suppressed:
        """The code that a condition not coded would have had, and why it is refused."""
        spans = tuple(record.at(found) for found in item.deciding)
        if item.condition == "traumatic_fracture":
            code = "S12-S32"
            display = "vertebral fracture or dislocation"
        else:
            ghost = Resolved(item.condition, item.assertion, item.found, item.deciding, [], flags=set())
            for found in item.deciding:
                ghost.sites += [Site(e.value, e.category, record.evidence(found, e), e.how) for e in found.attributes.levels]
            character, _ = self.character(ghost)
            code = f"{self.tables['families'][item.condition]}{character}"
            display = self.edition.title(code)
        ruling = item.deciding[-1].ruling
        word = item.deciding[-1]
        text = record.at(word).text
        rule = item.steps[-1].rule if item.steps and item.steps[-1].rule == "P-A4" else ruling.rule
        return Suppressed(
            code=code, display=display, rule=rule, reason=f"{item.assertion}: “{text}” — {ruling.says}", evidence=spans
        )

    # -- injuries ----------------------------------------------------------------------------------------------------

    def _injury(self, record: Record, item: Resolved, suppressed: list[Suppressed]) -> list[Draft]:
        """P-C8, P-C9: the S codes of a traumatic condition, one for each fractured vertebra."""
        found: dict[str, Draft] = {}

        def add(stem: str, mention: Found, rule: str, says: str, key: str) -> None:
            draft = found.get(key)
            if draft is None:
                steps = [*item.steps, Step(rule=rule, says=says, evidence=(record.at(mention),))]
                draft = found[key] = Draft(stem, item, steps, [], deciding=[])
            draft.evidence.append(record.at(mention))
            draft.deciding.append(mention)

        slips, arches = [], []
        for mention in item.deciding:
            (slips if _is_slip(mention) else arches).append(mention)
        slip_vertebrae: set[str] = set()
        located = [mention for mention in slips if mention.levels]
        for mention in located or slips:
            for key, stem, says in p_c9(self, record, item, mention, suppressed):
                add(stem, mention, "P-C9", says, f"slip {key}")
                slip_vertebrae.add(key)
        located = [mention for mention in arches if mention.levels]
        for mention in located or arches:
            for key, stem, says in p_c8(self, record, item, mention, suppressed):
                if key in slip_vertebrae and key.startswith("C"):
                    continue  # at C2-C7 the slip's code is the fracture's code
                add(stem, mention, "P-C8", says, f"fracture {key}")
        arch_vertebrae = {key.split()[1] for key in found if key.startswith("fracture")}
        drafts = []
        for key, draft in found.items():
            kind, vertebra = key.split()
            if kind == "slip" and vertebra in arch_vertebrae and not draft.code.startswith("S33"):
                continue  # one code for a fractured vertebra
            p_c10(self, record, draft)
            drafts.append(draft)
        unnamed = {d.code[:3] for d in drafts if d.source.levels} if drafts else set()
        del unnamed
        return drafts

    def injury_levels(self, record: Record, item: Resolved, mention: Found) -> tuple[str, ...]:
        """A traumatic mention's own levels, else the condition's (its study's region comes as a region name)."""
        names = spine.substitute(mention.levels, record.changes)
        if names:
            return names
        regions = mention.regions or item.regions or tuple(site.name for site in item.sites if site.kind == "region")
        return item.levels or regions

    def nondisplaced(self, record: Record, item: Resolved) -> bool:
        """P-C8: nondisplaced only when a mention's sentence says so and none says displaced."""
        return bool(_phases(record, item.deciding, "nondisplaced"))

    # -- publishing --------------------------------------------------------------------------------------------------

    def _code(self, record: Record, draft: Draft) -> Code:
        reviews = draft.reviews
        entry = self.edition.entry(draft.code)
        item = draft.source
        words = _site_words(item)
        how = "affirmed" if item.assertion == "affirmed" else "uncertain at inpatient discharge"
        reason = f"{_NAMES[item.condition]} {how}" + (f" at {words}" if words else ", no site documented")
        where = next((found.section for found in draft.deciding if found.section in _STATEMENTS), None)
        if where:
            reason += f" ({where.replace('_', ' ')})"
        if reviews:
            reason += "; review: " + "; ".join(dict.fromkeys(step.says for step in reviews))
        return Code(
            code=draft.code,
            display=entry.title if entry else draft.code,
            status="review" if reviews else "suggested",
            condition=item.condition,
            reason=reason,
            evidence=_unique([*draft.evidence, *(_spans(item.sites))]),
            trail=tuple([*draft.steps, *reviews]),
            alternatives=tuple(dict.fromkeys(draft.alternatives)),
            drg=tuple(Drg(drg=group.code, title=group.title) for group in self.edition.drg_groups(draft.code)),
        )


def _spans(sites: Sequence[Site]) -> tuple[Span, ...]:
    return _unique([site.span for site in sites])


def _unique(spans: Sequence[Span]) -> tuple[Span, ...]:
    return tuple({(span.document, span.start, span.end): span for span in spans}.values())


def _own(item: Resolved) -> tuple[Span, ...]:
    return item.steps[-1].evidence if item.steps else ()


def _site_words(item: Resolved) -> str:
    return ", ".join(dict.fromkeys(site.name for site in item.sites))


def _is_slip(mention: Found) -> bool:
    return mention.mention.rule.category == "spondylolisthesis" or mention.mention.rule.value in ("dislocation", "subluxation") or mention.mention.rule.id == "traumatic_fracture.hangman"


def _phases(record: Record, mentions: Sequence[Found], *values: str) -> list[Span]:
    """Phase evidence standing in a mention's own sentence."""
    spans = []
    for mention in mentions:
        document = record.documents[mention.document]
        for evidence in document.phases:
            if evidence.value in values and evidence.how == str(mention.mention.sentence):
                spans.append(record.span(mention.document, evidence.start, evidence.end, evidence.rule))
    return spans


# --- P-C4 -----------------------------------------------------------------------------------------------------------


def p_c4(coder: Coder, item: Resolved, steps: list[Step]) -> list[str]:
    """P-C4: the regions of a condition's levels and named regions, junction members and containing regions merged."""
    names = list(dict.fromkeys(site.name for site in item.sites if site.kind == "level"))
    named = list(dict.fromkeys(site.name for site in item.sites if site.kind == "region"))
    singles = [name for name in names if "-" not in name]
    segments = [name for name in names if "-" in name]
    if item.condition == "spondylolisthesis" and len(singles) == 2 and not segments:
        upper, lower = spine.order(singles)
        if coder.region_of(f"{upper}-{lower}"):
            singles, segments = [], [f"{upper}-{lower}"]
    spans = {site.name: site.span for site in item.sites}
    regions: list[str] = []
    junctions = {name: row for name, row in coder.regions.items() if not row["vertebrae"]}
    for segment in segments:
        regions.append(coder.region_of(segment) or "")
    for vertebra in singles:
        holders = [segment for segment in segments if vertebra in spine.members(segment)]
        held = [region for region in named if region in junctions and any(vertebra in spine.members(s) for s in junctions[region]["segments"])]
        if holders:
            segment = next((s for s in holders if coder.region_of(s) in junctions), holders[0])
            regions.append(coder.region_of(segment) or "")
            if coder.region_of(segment) in junctions:
                steps.append(
                    Step(rule="P-C4", says=f"{vertebra} is a member of {segment}: one site", evidence=(spans[vertebra], spans[segment]))
                )
        elif held:
            regions.append(held[0])
            steps.append(
                Step(rule="P-C4", says=f"the named {held[0]} region contains {vertebra} and wins", evidence=(spans[held[0]], spans[vertebra]))
            )
        else:
            regions.append(coder.region_of(vertebra) or "")
    for region in named:
        row = coder.regions[region]
        near = {name for name in names if set(spine.members(name)) & _vertebrae(row)}
        if near and region not in regions:
            steps.append(
                Step(rule="P-C4", says=f"the levels are more specific than “{region}”", evidence=(spans[region], spans[sorted(near)[0]]))
            )
        elif not near and not (region in junctions and names and set(regions) & _neighbours(coder, region)):
            regions.append(region)
    # A junction region beside one of the regions it joins ("lumbar" and "lumbosacral", no level): the junction is meant.
    if not names and len(set(regions)) == 2:
        for region in regions:
            others = [other for other in regions if other != region]
            if region in junctions and set(others) <= _neighbours(coder, region):
                return [region]
    return [region for region in regions if region]


def _vertebrae(row: Mapping[str, Any]) -> set[str]:
    return set(row["vertebrae"]) | {vertebra for segment in row["segments"] for vertebra in spine.members(segment)}


def _neighbours(coder: Coder, junction: str) -> set[str]:
    """The regions that a junction joins: lumbar and sacral of lumbosacral."""
    return {coder.region_of(v) or "" for segment in coder.regions[junction]["segments"] for v in spine.members(segment)}


def p_c4_single_vertebra(coder: Coder, record: Record, draft: Draft) -> None:
    """P-C4, last clause: a slip sited only by one vertebra takes its region, for review, the segment as alternative."""
    item = draft.source
    levels = item.levels
    if item.condition != "spondylolisthesis" or len(levels) != 1 or "-" in levels[0]:
        return
    if any(site.kind == "region" and coder.regions[site.name]["vertebrae"] == [] for site in item.sites):
        return
    vertebra = levels[0]
    segment = next((s for row in coder.regions.values() for s in row["segments"] if spine.members(s)[0] == vertebra), None)
    says = f"a slip sited only by one vertebra, {vertebra}"
    draft.reviews.append(Step(rule="P-C4", says=says, evidence=_spans(item.sites)))
    if segment is not None:
        character = coder.regions[coder.region_of(segment) or ""]["character"]
        code = f"{coder.tables['families']['spondylolisthesis']}{character}"
        if code != draft.code:
            draft.alternatives.append(Alternative(code=code, why=f"if the slip is of {segment}", rule="P-C4"))


# --- P-C6, P-X1 -----------------------------------------------------------------------------------------------------


def _causes(found: Found) -> set[str]:
    return {evidence.value for evidence in found.attributes.etiology}


def p_c6(coder: Coder, record: Record, drafts: list[Draft], suppressed: list[Suppressed]) -> list[Draft]:
    """P-C6: congenital or dysplastic is Q76.2 and then no M43 code; "developmental" alone likewise, for review."""
    family = str(coder.tables["families"]["congenital"])
    acquired = [draft for draft in drafts if draft.code.startswith("M43")]
    inborn = [found for draft in acquired for found in draft.deciding if _causes(found) & {"congenital", "dysplastic"}]
    rule, says, review = "P-C6", "congenital or dysplastic", False
    if not inborn:
        inborn = [found for draft in acquired for found in draft.deciding if "developmental" in _causes(found)]
        says, review = "developmental alone", True
    denied = [found for draft in acquired for found in draft.deciding if "acquired" in _causes(found)]
    if not inborn or (denied and not any(_causes(found) & {"congenital", "dysplastic"} for found in inborn)):
        return drafts
    source = next(draft.source for draft in acquired if any(found in draft.deciding for found in inborn))
    spans = []
    for found in inborn:
        spans.append(record.at(found))
        spans += [record.evidence(found, e) for e in found.attributes.etiology]
    step = Step(rule=rule, says=f"{says}: {family}", evidence=_unique(spans))
    new = Draft(family, source, [*source.steps, step], [record.at(found) for found in inborn], deciding=inborn)
    if review:
        new.reviews.append(Step(rule="P-C6", says="“developmental” does not say congenital or acquired", evidence=_unique(spans)))
        new.alternatives += [Alternative(code=draft.code, why="if the provider documents it as acquired", rule="P-C6") for draft in acquired]
    kept = [draft for draft in drafts if not draft.code.startswith("M43")]
    unrelated = p_x1(coder, record, acquired, inborn)
    for draft in acquired:
        if draft in unrelated:
            continue
        suppressed.append(
            Suppressed(
                code=draft.code,
                display=coder.edition.title(draft.code),
                rule="P-X1",
                reason=f"Excludes1 with {family} at the same or an unstated site",
                evidence=tuple(draft.evidence[:2]),
            )
        )
    for draft in unrelated:
        step = Step(
            rule="P-X1",
            says="an acquired cause at a level that does not touch the congenital one: unrelated, both codes, for review",
            evidence=tuple(draft.evidence[:2]),
        )
        draft.reviews.append(step)
        if not any(review.rule == "P-X1" for review in new.reviews):
            new.reviews.append(step)
    return [new, *unrelated, *kept]


def p_x1(coder: Coder, record: Record, acquired: list[Draft], inborn: list[Found]) -> list[Draft]:
    """P-X1: the acquired conditions that are unrelated to the congenital one, coded beside Q76.2 (OCG I.A.12.a)."""
    levels = {level for found in inborn for level in found.levels}
    unrelated = []
    for draft in acquired:
        own = [
            found
            for found in draft.deciding
            if found not in inborn
            and _causes(found) & {"degenerative", "traumatic", "old_traumatic", "iatrogenic"}
            and found.levels
            and levels
            and not any(spine.touch(a, b) for a in found.levels for b in levels)
        ]
        if own:
            source = draft.source
            names = {level for found in own for level in found.levels}
            part = Resolved(source.condition, source.assertion, source.found, own, source.steps, flags=source.flags)
            part.sites = [site for site in source.sites if site.kind == "level" and site.name in names]
            character, steps = coder.character(part)
            code = f"{coder.tables['families'][source.condition]}{character}"
            draft.code, draft.source, draft.deciding = code, part, own
            draft.evidence = [record.at(found) for found in own]
            draft.steps = [*source.steps, *steps]
            unrelated.append(draft)
    return unrelated


# --- P-X2 -----------------------------------------------------------------------------------------------------------


def p_x2(coder: Coder, record: Record, drafts: list[Draft], suppressed: list[Suppressed]) -> str | None:
    """P-X2: lysis and slip together: `separate` codes both, the lysis for review; `strict` keeps the slip alone."""
    lysis = next((d for d in drafts if d.code.startswith("M43.0")), None)
    slip = next((d for d in drafts if d.code.startswith("M43.1")), None)
    if lysis is None or slip is None:
        return None
    evidence = (lysis.evidence[0], slip.evidence[0])
    if coder.policy.excludes1 == "separate":
        lysis.reviews.append(
            Step(rule="P-X2", says=f"Excludes1 pair with {slip.code}; coded separately by policy, {slip.code} survives a scrubber", evidence=evidence)
        )
        slip.steps.append(Step(rule="P-X2", says=f"under strict Excludes1 {lysis.code} would be suppressed", evidence=evidence))
        return "separate"
    apart = lysis.source.levels and slip.source.levels and not any(
        spine.touch(a, b) for a in lysis.source.levels for b in slip.source.levels
    )
    if apart:
        lysis.reviews.append(
            Step(rule="P-X2", says="at a level that does not touch the slip's: unrelated (OCG I.A.12.a), stays for review", evidence=evidence)
        )
        return "unrelated"
    drafts.remove(lysis)
    slip.steps.append(Step(rule="P-X2", says=f"Excludes1: {lysis.code} is suppressed; policy separate would keep it", evidence=evidence))
    slip.alternatives.append(Alternative(code=lysis.code, why="beside the slip under policy separate", rule="P-X2"))
    suppressed.append(
        Suppressed(
            code=lysis.code,
            display=coder.edition.title(lysis.code),
            rule="P-X2",
            reason=f"Excludes1 with {slip.code} (policy strict)",
            evidence=tuple(lysis.evidence[:2]),
        )
    )
    return "strict"


# --- P-C7 -----------------------------------------------------------------------------------------------------------


def p_c7(coder: Coder, record: Record, drafts: list[Draft], suppressed: list[Suppressed]) -> list[Draft]:
    """P-C7: a stress fracture without trauma is M43.0-; the policy option codes it M48.4-, one code for each region."""
    result: list[Draft] = []
    for draft in drafts:
        stress = [found for found in draft.deciding if "stress" in _causes(found)]
        fracture = [found for found in stress if _fracture_words(record, found)]
        nonunion = any(e.value == "nonunion" for found in draft.deciding for e in found.attributes.chronicity)
        if not draft.code.startswith("M43.0") or not stress:
            result.append(draft)
            continue
        spans = tuple(record.at(found) for found in (fracture or stress)[:2])
        family = str(coder.tables["families"]["fatigue_fracture"])
        regions = list(dict.fromkeys(p_c4(coder, draft.source, [])))
        letter = _seventh_stress(record, draft)
        codes = [f"{family}{coder.regions[region]['character']}X{letter}" for region in regions] or [f"{family}0X{letter}"]
        if coder.policy.stress_fracture == "M48.4" and fracture and not nonunion:
            for code in codes:
                step = Step(rule="P-C7", says=f"stress fracture, by policy {family}-: {code}; the default is {draft.code}", evidence=spans)
                new = Draft(code, draft.source, [*draft.steps, step], list(draft.evidence), list(draft.reviews), deciding=draft.deciding)
                new.alternatives.append(Alternative(code=draft.code, why="under the default policy for stress fractures", rule="P-C7"))
                result.append(new)
            continue
        draft.steps.append(
            Step(rule="P-C7", says=f"stress injury without documented trauma stays {draft.code}; never an S code", evidence=spans)
        )
        for code in codes if fracture else []:
            draft.alternatives.append(Alternative(code=code, why="under policy stress_fracture=M48.4 (fatigue fracture of vertebra)", rule="P-C7"))
        result.append(draft)
    return result


def _fracture_words(record: Record, found: Found) -> bool:
    text = record.at(found).text.lower()
    return "fract" in text or "fx" in text


def _seventh_stress(record: Record, draft: Draft) -> str:
    for letter, values in (("S", ("S",)), ("G", ("G",)), ("D", ("D",))):
        if _phases(record, draft.deciding, *values):
            return letter
    return "A"


# --- P-C8, P-C9, P-C10 ----------------------------------------------------------------------------------------------

_BROAD = {
    "occipito-atlanto-axial": "cervical",
    "cervical": "cervical",
    "cervicothoracic": "cervical",
    "thoracic": "thoracic",
    "thoracolumbar": "lumbar",
    "lumbar": "lumbar",
    "lumbosacral": "lumbar",
    "sacral": "sacral",
}


def p_c8(
    coder: Coder, record: Record, item: Resolved, mention: Found, suppressed: list[Suppressed]
) -> list[tuple[str, str, str]]:
    """P-C8: (vertebra, code without 7th character, words) for each vertebra of an arch fracture."""
    column = "unspecified" if mention.mention.rule.value == "unspecified" else "arch"
    found = []
    for name in coder.injury_levels(record, item, mention):
        vertebra = spine.members(name)[0] if name not in _BROAD else _BROAD[name]
        row = coder.tables["fractures"].get(vertebra) or coder.tables["fractures"].get(
            "sacral" if vertebra.startswith("S") else ""
        )
        if row is None:
            continue
        if _phases(record, [mention], "burst") and any(vertebra in spine.members(level) for level in mention.levels):
            suppressed.append(
                Suppressed(
                    code=row[column][0],
                    display=coder.edition.title(row[column][0].rstrip("X")) if coder.edition.is_known(row[column][0].rstrip("X")) else "",
                    rule="P-C8",
                    reason=f"the arch fracture is part of a body fracture of {vertebra}: no code in this family, query",
                    evidence=(record.at(mention),),
                )
            )
            continue
        codes = row[column]
        code = codes[1] if len(codes) > 1 and coder.nondisplaced(record, item) else codes[0]
        found.append((vertebra, str(code), f"traumatic {column} fracture of {vertebra}: {code}-"))
    return found


def p_c9(
    coder: Coder, record: Record, item: Resolved, mention: Found, suppressed: list[Suppressed]
) -> list[tuple[str, str, str]]:
    """P-C9: (vertebra or segment, code without 7th character, words) for a traumatic slip, subluxation or dislocation."""
    tables = coder.tables
    nondisplaced = 1 if coder.nondisplaced(record, item) else 0

    def pick(codes: Sequence[str]) -> str:
        return str(codes[min(nondisplaced, len(codes) - 1)])

    rule = mention.mention.rule
    if rule.id == "traumatic_fracture.hangman":
        kinds = {e.value for d in record.documents for e in d.phases if e.value in ("type-III", "type-I-II") and _near(d, e, item)}
        kind = "type-III" if "type-III" in kinds else "type-I-II" if "type-I-II" in kinds else "default"
        if kind == "type-I-II" and not _named_type_covers(tables):
            kind = "default"
        return [("C2", pick(tables["hangman"][kind]), "hangman's fracture: traumatic spondylolisthesis of C2")]
    names = coder.injury_levels(record, item, mention)
    if rule.value in ("dislocation", "subluxation"):
        sixth = 1 if rule.value == "dislocation" else 0
        out = []
        for name in names or ("lumbar",):
            broad = _BROAD.get(name) or _BROAD.get(coder.region_of(name) or "", "")
            if broad in ("cervical", "thoracic"):
                suppressed.append(
                    Suppressed(
                        code="S13.1-" if broad == "cervical" else "S23.1-",
                        display=f"Subluxation and dislocation of {broad} vertebrae",
                        rule="P-C9",
                        reason=f"a {broad} {rule.value} not called spondylolisthesis lies outside this family: no code here",
                        evidence=(record.at(mention),),
                    )
                )
                continue
            codes = tables["dislocations"].get(name, tables["dislocations"]["other"])
            out.append((name, str(codes[sixth]), f"traumatic {rule.value} of {name}: {codes[sixth]}-"))
        return out
    out = []
    for name in names or ("lumbar",):
        upper = spine.members(name)[0]
        region = name if name in coder.regions else coder.region_of(name)
        if region == "lumbosacral" or name == "lumbar":
            out.append((name, str(tables["traumatic_slips"]["lumbosacral"][0]), "acute traumatic lumbosacral slip"))
        elif upper in tables["traumatic_slips"]:
            out.append((upper, pick(tables["traumatic_slips"][upper]), f"acute traumatic slip of {upper}"))
        else:
            row = tables["fractures"].get(upper) or tables["fractures"].get(_BROAD.get(name, ""))
            if row:
                out.append((upper, pick(row["unspecified"]), f"acute traumatic slip of {upper}: unspecified fracture of the upper vertebra"))
    return out


def _named_type_covers(tables: Mapping[str, Any]) -> bool:
    return "type-I-II" in tables["hangman"]


def _near(document: Any, evidence: Any, item: Resolved) -> bool:
    return any(evidence.how == str(found.mention.sentence) for found in item.deciding)


def p_c10(coder: Coder, record: Record, draft: Draft) -> None:
    """P-C10: the 7th character by the phase of care; by default at a follow-up it is D, for review."""
    stem = draft.code
    short = any(stem.startswith(prefix) for prefix in coder.tables["short_seventh"])
    spans: tuple[Span, ...] = ()
    letter, says = "A", "initial, active treatment by default"
    for value, words in (("S", "sequela"), ("K", "nonunion"), ("G", "delayed healing"), ("B", "open fracture, initial")):
        if short and value != "S":
            continue
        evidence = _phases(record, draft.deciding, value)
        if evidence:
            letter, says, spans = value, words, tuple(evidence)
            break
    else:
        routine = [
            record.span(number, e.start, e.end, e.rule)
            for number, document in enumerate(record.documents)
            for e in document.phases
            if e.value == "D"
        ]
        visits = [
            record.span(number, e.start, e.end, e.rule)
            for number, document in enumerate(record.documents)
            for e in document.phases
            if e.value == "follow-up" and _opens(document, e)
        ]
        if routine:
            letter, says, spans = "D", "subsequent encounter, routine healing", tuple(routine[:2])
        elif visits:
            letter, says, spans = "D", "a follow-up visit whose phase is not settled: D by default", tuple(visits[:2])
            draft.reviews.append(Step(rule="P-C10", says=says, evidence=spans))
    seventh = f"{stem}{'X' * (7 - len(stem.replace('.', '')) - 1)}{letter}" if len(stem.replace(".", "")) < 6 else f"{stem}{letter}"
    draft.code = seventh
    draft.steps.append(Step(rule="P-C10", says=f"7th character {letter}: {says}", evidence=spans or tuple(draft.evidence[:1])))


def _opens(document: Any, evidence: Any) -> bool:
    """Whether a follow-up wording stands where it says what this visit is: title, opening, diagnosis, present history."""
    reading = document.reading
    section = reading.section(evidence.start)
    if section is not None and section.category in ("plan", "order", "education", "technique"):
        return False
    if reading.kind in ("radiology", "ed", "operative", "discharge"):
        return False
    return int(evidence.how) < 6 or (section is not None and section.category in ("present", "impression", "history"))


# --- P-X6, P-C12 ----------------------------------------------------------------------------------------------------


def p_x6(coder: Coder, record: Record, draft: Draft) -> None:
    """P-X6: the remaining reasons for which a code is for review."""
    item = draft.source
    spans = tuple(draft.evidence[:2])
    if "conflict" in item.flags:
        conflict = next((step for step in item.steps if step.rule == "P-A4" and "denies" in step.says), None)
        draft.reviews.append(Step(rule="P-A4", says="conflicting statements", evidence=conflict.evidence if conflict else spans))
    if "uncertain_inpatient" in item.flags:
        draft.reviews.append(Step(rule="P-A10", says="rests on an uncertain inpatient diagnosis", evidence=spans))
    if item.condition == "traumatic_fracture" and draft.deciding and all(found.tie == "across" for found in draft.deciding):
        draft.reviews.append(Step(rule="P-C8", says="trauma tied to the fracture only across sentences", evidence=spans))
    films = [site for site in item.sites if site.how == "study" and site.name == "lumbosacral"]
    if films and len(item.sites) == len(films):
        draft.reviews.append(Step(rule="P-C5", says="the site is only a film's title, “lumbosacral”", evidence=_spans(films)))
    subluxations = [f for f in item.deciding if "subluxation" in f.flags]
    if item.condition == "spondylolisthesis" and draft.code.startswith("M43.1") and len(subluxations) == len(item.deciding):
        draft.reviews.append(Step(rule="P-X6", says="nontraumatic “subluxation” read as a slip", evidence=spans))
        draft.alternatives += [
            Alternative(code="M43.5X-", why="if recurrent vertebral subluxation is meant", rule="P-X6"),
            Alternative(code="M99.1-", why="if a biomechanical subluxation is meant", rule="P-X6"),
        ]
    if item.documented_by == "imaging":
        draft.reviews.append(Step(rule="P-X4", says="only the imaging part states it; no provider statement adopts it", evidence=spans))


def p_c12(drafts: list[Draft]) -> list[Draft]:
    """P-C12: injuries first, then the condition of the assessment, slip before lysis where both stand there."""

    def key(draft: Draft) -> tuple[int, int, int]:
        injury = 0 if draft.source.condition == "traumatic_fracture" else 1
        assessed = 0 if any(found.section in _STATEMENTS for found in draft.deciding) else 1
        return injury, assessed, _INJURY_ORDER[draft.source.condition]

    return sorted(drafts, key=key)
