"""Findings to note-level conditions: which mention wins (P-A3 to P-A6), and which site is the condition's (P-C4, P-C5).

Everything here works on all documents of a record at once, so that a note and a chart are decided the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from parsnlp.extract import findings as attributes_of
from parsnlp.extract import levels as spine
from parsnlp.extract.attributes import Evidence
from parsnlp.extract.findings import DocumentReading, Finder, Found, When
from parsnlp.models import Assertion, Condition, NoteCondition, Setting, Span, Step

CONDITIONS: tuple[Condition, ...] = ("spondylolisthesis", "spondylolysis", "traumatic_fracture")
_FINAL = ("final_diagnosis", "operative_diagnosis")
_AUTHORITY = {"addendum": 4, "final_diagnosis": 3, "operative_diagnosis": 3, "impression": 3, "plan": 2}
_LYING = frozenset({"lying"})
_STUDIES = frozenset({"radiograph", "tomography"})
_STANDING = frozenset({"standing"})


@dataclass(slots=True)
class Site:
    """One piece of site evidence: a level or a region name, with its place and how it was tied to the condition."""

    name: str
    kind: str
    span: Span
    how: str


@dataclass(slots=True)
class Resolved:
    """A condition of the record. `deciding`: the mentions that decide it; `flags`: conflict, uncertain_inpatient ..."""

    condition: Condition
    assertion: Assertion
    found: list[Found]
    deciding: list[Found]
    steps: list[Step]
    sites: list[Site] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)

    @property
    def levels(self) -> tuple[str, ...]:
        """Level names; of a slip, a vertebra that belongs to a named segment is not listed beside it."""
        names = spine.order(site.name for site in self.sites if site.kind == "level")
        return spine.segments_first(names) if self.condition == "spondylolisthesis" else names

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(site.name for site in self.sites if site.kind == "region" and site.how != "study"))

    @property
    def documented_by(self) -> str:
        return "provider" if any(item.documented_by == "provider" for item in self.deciding) else "imaging"


class Record:
    """The documents of one encounter, read, with helpers that turn places into spans."""

    def __init__(self, documents: Sequence[DocumentReading], finder: Finder, setting: Setting) -> None:
        self.documents = list(documents)
        self.finder = finder
        self.setting = setting
        self.changes = _changes(self.documents)

    @property
    def found(self) -> list[Found]:
        return [item for document in self.documents for item in document.found]

    def span(self, document: int, start: int, end: int, rule: str | None = None) -> Span:
        """The `Span` of a place in one of the documents."""
        read = self.documents[document]
        return Span(document=read.note.id, start=start, end=end, text=read.reading.text[start:end], rule=rule)

    def at(self, item: Found) -> Span:
        """The span of a found mention."""
        return self.span(item.document, item.mention.start, item.mention.end, item.mention.rule.id)

    def evidence(self, item: Found, evidence: Evidence) -> Span:
        """The span of one piece of attribute evidence of a found mention."""
        return self.span(item.document, evidence.start, evidence.end, evidence.rule)


def _changes(documents: Sequence[DocumentReading]) -> dict[str, str]:
    """The levels that addenda replace (P-A4), also the one level that the other documents name."""
    changes: dict[str, str] = {}
    for document in documents:
        for old, new in document.changes.items():
            size = len(spine.members(new))
            others = {
                level
                for other in documents
                if other is not document
                for item in other.found
                for level in item.levels
                if level != new and len(spine.members(level)) == size
            }
            if old:
                changes[old] = new
            elif len(others) == 1:
                changes[others.pop()] = new
    return changes


def resolve(record: Record) -> list[Resolved]:
    """The record's conditions, each once, in the order slip, lysis, traumatic fracture."""
    resolved = []
    for condition in CONDITIONS:
        found = [item for item in record.found if item.condition == condition]
        if found:
            resolved.append(_resolve(record, condition, found))
    for item in resolved:
        if item.assertion in ("affirmed", "uncertain"):
            p_c5(record, item, resolved)
    return resolved


def _resolve(record: Record, condition: Condition, found: list[Found]) -> Resolved:
    steps: list[Step] = []
    flags: set[str] = set()
    affirmed = [item for item in found if item.assertion == "affirmed"]
    denied = [item for item in found if item.assertion == "negated" and _definite(item)]
    if affirmed:
        affirmed = p_a4_withdrawn(record, affirmed, steps)
    if affirmed and denied:
        affirmed, conflict = p_a4(record, affirmed, denied, steps)
        if conflict:
            flags.add("conflict")
    healed: list[Found] = []
    if affirmed:
        affirmed, healed = p_a5_newer(record, affirmed, found, steps)
    if affirmed:
        others = [item for item in found if item.assertion in ("uncertain", "hypothetical", "historical")]
        if others:
            steps.append(
                Step(
                    rule="P-A3" if any(item.assertion == "historical" for item in others) else "P-A4",
                    says="stated as present, which outweighs uncertain, hypothetical and historical mentions",
                    evidence=(record.at(affirmed[0]), *(record.at(item) for item in others[:3])),
                )
            )
        return Resolved(condition, "affirmed", found, affirmed, steps, flags=flags)
    left = [item for item in found if item.assertion != "affirmed"] or found
    assertion, deciding = _lesser(left)
    if assertion == "affirmed":
        assertion = "negated"  # all that affirm it are withdrawn (P-A4)
    elif healed:
        assertion, deciding = "historical", healed
    elif any(item.assertion == "affirmed" for item in found) and denied:
        assertion, deciding = "negated", denied
    resolved = Resolved(condition, assertion, found, deciding, steps, flags=flags)
    steps.append(
        Step(
            rule="P-A4" if "withdrawn" in deciding[-1].flags else deciding[-1].ruling.rule,
            says=f"no mention states it as present: {assertion}",
            evidence=(record.at(deciding[-1]),),
        )
    )
    if assertion == "uncertain" and record.setting == "inpatient":
        p_a10(record, resolved)
    return resolved


def p_a4_withdrawn(record: Record, affirmed: list[Found], steps: list[Step]) -> list[Found]:
    """P-A4, corrections: a statement said to be entered in error, or another patient's, does not count."""
    taken = [item for item in affirmed if "withdrawn" in item.flags]
    if taken:
        steps.append(
            Step(
                rule="P-A4",
                says="withdrawn: entered in error or another patient's",
                evidence=tuple(record.at(item) for item in taken[:2]),
            )
        )
    return [item for item in affirmed if "withdrawn" not in item.flags]


def p_a5_newer(
    record: Record, affirmed: list[Found], found: list[Found], steps: list[Step]
) -> tuple[list[Found], list[Found]]:
    """P-A5 with P-A4: a newer study that finds it healed or resolved holds for the present state.

    What still affirms it, and the mentions that find it healed where nothing does.
    """
    healed = [item for item in found if item.assertion == "historical" and item.ruling.rule == "P-A5"]
    dropped: set[object] = set()
    for kind, (item, *_) in _kinds(affirmed).items():
        for later in (group[-1] for group in _kinds(healed).values()):
            after = (later.document, later.mention.start) > (item.document, item.mention.start)
            newer = _newer(item, later)
            if _authority(item) < 3 and _compatible(item, later) and (newer is later or (newer is None and after)):
                dropped.add(kind)
                steps.append(
                    Step(
                        rule="P-A5",
                        says="a newer statement finds it healed or resolved",
                        evidence=(record.at(item), record.at(later)),
                    )
                )
                break
    kept = [item for item in affirmed if _kind(item) not in dropped]
    return kept, [] if kept else healed


def _definite(item: Found) -> bool:
    """A patient's denial is not a definite negation, but in a correction it is the provider who speaks."""
    return "correction" in item.flags or not any(cue.rule.value == "denied" for cue in item.ruling.cues)


def _authority(item: Found) -> int:
    return _AUTHORITY.get(item.section or "", 1)


def _lesser(found: Sequence[Found]) -> tuple[Assertion, list[Found]]:
    """The assertion of a condition that nothing affirms (P-A4, second sentence)."""
    uncertain = [item for item in found if item.assertion == "uncertain"]
    negated = [item for item in found if item.assertion == "negated"]
    if uncertain and negated:
        last = max(uncertain, key=lambda item: (item.document, item.mention.start))
        settles = [
            item
            for item in negated
            if (item.document, item.mention.start) > (last.document, last.mention.start)
            and (_authority(item) >= _authority(last) or _newer(item, last) is item or _filed_after(item, last))
            and _compatible(last, item)
        ]
        return ("negated", settles) if settles else ("uncertain", uncertain)
    order: tuple[Assertion, ...] = ("uncertain", "negated", "historical", "hypothetical", "family", "generic")
    past = [item for item in found if item.assertion == "historical"]
    if past and negated:
        settles = [
            n
            for n in negated
            if (n.document, n.mention.start) > (past[0].document, past[0].mention.start) and _definite(n)
        ]
        return ("negated", settles) if settles else ("historical", past)
    for assertion in order:
        chosen = [item for item in found if item.assertion == assertion]
        if chosen:
            return assertion, chosen
    return found[0].assertion, list(found)


# --- P-A4: statements against each other ----------------------------------------------------------------------------


def p_a4(record: Record, affirmed: list[Found], denied: list[Found], steps: list[Step]) -> tuple[list[Found], bool]:
    """P-A4: corrections, a provider who overrules, newer studies and standing films win; what is left is a conflict."""
    # Mentions that say the same in the same kind of place share one fate: a long record costs no more than its kinds.
    items, denials = _kinds(affirmed), _kinds(denied)
    firsts = [kinds[0] for kinds in items.values()]
    anywhere = tuple(dict.fromkeys(level for first in firsts for level in _reach(first)))
    sides = frozenset(side.value for first in firsts for side in first.attributes.sides)
    pairs = [
        (one, other, *_winner(items[one][0], denials[other][-1]))
        for one in items
        for other in denials
        if _compatible(items[one][0], denials[other][-1], anywhere, sides)
    ]
    defeated: set[object] = set()
    for one, other, winner, why in pairs:
        if winner is items[one][0] and other not in defeated:
            defeated.add(other)
            steps.append(
                Step(rule="P-A4", says=why, evidence=(record.at(denials[other][-1]), record.at(items[one][0])))
            )
    fallen: set[object] = set()
    conflicts: list[tuple[object, object]] = []
    for one, other, winner, why in pairs:
        if other in defeated or one in fallen:
            continue
        if winner is denials[other][-1]:
            fallen.add(one)
            steps.append(
                Step(rule="P-A4", says=why, evidence=(record.at(items[one][0]), record.at(denials[other][-1])))
            )
        else:
            conflicts.append((one, other))
    kept = [item for item in affirmed if _kind(item) not in fallen]
    left = [(items[one][0], denials[other][-1]) for one, other in conflicts if one not in fallen]
    if left:
        steps.append(
            Step(
                rule="P-A4",
                says="one statement affirms and another denies it at the same level and time: coded, for review",
                evidence=(record.at(left[0][0]), record.at(left[0][1])),
            )
        )
    return kept, bool(left)


def _compatible(
    item: Found, denial: Found, anywhere: tuple[str, ...] = (), any_side: frozenset[str] = frozenset()
) -> bool:
    """Whether a denial speaks of the same thing: same level (or none named), side, direction, age and place.

    `anywhere`, `any_side`: the levels and sides of all that affirm it, for one that names none itself.
    """
    if item.condition == "traumatic_fracture" and item.is_slip != denial.is_slip:
        return False  # "L4 lamina fracture. No traumatic listhesis."
    denied_levels = _reach(denial)
    levels = _reach(item) or anywhere
    if denied_levels and not any(_same(a, b) for a in levels for b in denied_levels):
        return False
    sides = {e.value for e in item.attributes.sides} or set(any_side)
    denied_sides = {e.value for e in denial.attributes.sides}
    if sides and denied_sides and "bilateral" not in sides | denied_sides and not sides & denied_sides:
        return False
    if "bilateral" in sides and denied_sides == {"bilateral"} and "unilateral" in sides:
        return False
    directions = {e.value for e in item.attributes.directions}
    denied_directions = {e.value for e in denial.attributes.directions}
    if directions and denied_directions and not directions & denied_directions:
        return False
    ages = {e.value for e in denial.attributes.chronicity}
    if ages & {"acute", "subacute", "healed", "stress_reaction"} and not ages & {
        e.value for e in item.attributes.chronicity
    }:
        return False
    causes = {e.value for e in denial.attributes.etiology}
    if causes & {"traumatic", "congenital", "degenerative", "isthmic", "stress"} and not causes & {
        e.value for e in item.attributes.etiology
    }:
        return False
    if "elsewhere" in denial.flags and "amended" not in denial.flags:
        return False
    return (
        item.mention.sentence != denial.mention.sentence
        or item.document != denial.document
        or not (item.levels and denial.levels)
    )


def _kind(item: Found) -> tuple[object, ...]:
    """What P-A4 reads of a mention, besides its place in the text."""
    attributes = item.attributes
    lanes = (attributes.sides, attributes.directions, attributes.chronicity, attributes.etiology)
    values = tuple(frozenset(evidence.value for evidence in lane) for lane in lanes)
    return (item.document, item.levels, _reach(item), values, item.flags, item.date, item.documented_by, item.section)


def _kinds(found: Sequence[Found]) -> dict[object, list[Found]]:
    groups: dict[object, list[Found]] = {}
    for item in found:
        groups.setdefault(_kind(item), []).append(item)
    return groups


def _reach(item: Found) -> tuple[str, ...]:
    """The levels a mention speaks of: its own, else those it shares its clause with."""
    return item.levels or tuple(
        e.value for e in (*item.attributes.shared_levels, *item.attributes.weak_levels) if e.category == "level"
    )


def _same(one: str, other: str) -> bool:
    """One level, or a vertebra of the segment; two neighbouring segments are not the same level."""
    return one == other or (("-" in one) != ("-" in other) and spine.touch(one, other))


def _winner(item: Found, denial: Found) -> tuple[Found | None, str]:
    """Which of an affirmation and a compatible denial holds, with the reason; (None, '') for a conflict."""
    if ("amended" in denial.flags) != ("amended" in item.flags):
        return (denial if "amended" in denial.flags else item), "a correction takes the other statement back"
    if "correction" in denial.flags and "correction" not in item.flags:
        return denial, "an addendum or correction withdraws the earlier statement"
    if "correction" in item.flags and "correction" not in denial.flags:
        return item, "an addendum or correction replaces the earlier statement"
    if (
        "overrule" in denial.flags
        and "overrule" not in item.flags
        and (item.documented_by == "imaging" or "reported" in item.flags)
    ):
        return denial, "the provider overrules the reading"
    later = (denial.document, denial.mention.start) > (item.document, item.mention.start)
    if "reported" in item.flags and "reported" not in denial.flags and denial.documented_by == "provider" and later:
        return denial, "the provider's own statement overrules the report it quotes"
    if "overrule" in item.flags and "overrule" not in denial.flags:
        return item, "the provider overrules the reading"
    if {"provider", "not_provider"} <= item.flags | denial.flags:
        provider = item if "provider" in item.flags else denial
        return provider, "the provider's statement outweighs one of an author who establishes no diagnosis"
    newer = _newer(item, denial)
    if newer is not None:
        if newer is denial:
            return denial, "a newer study or date holds for the present state"
        return item, "a newer study or date holds for the present state"
    if item.condition == "spondylolysis":
        for better, other in ((denial, item), (item, denial)):
            if better.flags & _STUDIES == {"tomography"} and other.flags & _STUDIES == {"radiograph"}:
                return better, "what CT, MRI or SPECT shows of the pars holds against a radiograph"
    if denial.flags & _LYING and item.flags & _STANDING and not item.flags & _LYING:
        return item, "absent supine, present standing: present"
    if item.condition == "spondylolisthesis" and item.flags & _STANDING and not denial.flags & _STANDING:
        return item, "present on the standing or dynamic view: present"
    return None, ""


def _newer(one: Found, other: Found) -> Found | None:
    """The later of two dated statements, or None when their dates do not settle it.

    An assessment is as new as its document, where another document has the other statement.
    """
    a, b = one.date, other.date
    if a is not None and b is not None and _apart(a, b):
        return one if a > b else other
    for late, early in ((one, other), (other, one)):
        if _authority(late) >= 3 and late.date is None and _filed_after(late, early):
            return late
    for late, early in ((one, other), (other, one)):
        if "now" not in late.flags or "before" in late.flags or "now" in early.flags:
            continue
        after = (late.document, late.mention.start) > (early.document, early.mention.start)
        if "before" in early.flags or (early.date is not None and late.date is None):
            return late
        if after and late.documented_by == "imaging" and _authority(early) < 3:
            return late
    return None


def _filed_after(late: Found, early: Found) -> bool:
    """Whether the document of one statement is dated after the other statement's, or the study it tells of."""
    before = early.date or early.filed
    return late.document != early.document and late.filed is not None and before is not None and late.filed > before


def _apart(a: When, b: When) -> bool:
    for x, y in zip(a, b, strict=True):
        if x == 0 or y == 0:
            return False
        if x != y:
            return True
    return False


def _final_sections(record: Record, item: Found) -> tuple[str | None, ...]:
    """Where a discharge document's final statement stands: under its own heading, else in its assessment."""
    sections = record.documents[item.document].reading.sections
    if any(section.category == "final_diagnosis" for section in sections):
        return ("final_diagnosis",)
    return ("impression", "operative_diagnosis", None)


def p_a10(record: Record, resolved: Resolved) -> None:
    """P-A10: an inpatient's uncertain diagnosis is coded only from the final diagnostic statement."""
    final = [
        item
        for item in resolved.found
        if item.assertion == "uncertain"
        and (
            item.section == "final_diagnosis"
            or (item.kind == "discharge" and item.section in _final_sections(record, item))
            or not record.documents[item.document].reading.sections
        )
    ]
    if final:
        resolved.deciding = final
        resolved.flags.add("uncertain_inpatient")
        resolved.steps.append(
            Step(
                rule="P-A10",
                says="inpatient, uncertain in the final diagnostic statement: coded as if present, for review",
                evidence=tuple(record.at(item) for item in final),
            )
        )


# --- P-C5: the site -------------------------------------------------------------------------------------------------


def p_c5(record: Record, item: Resolved, everything: Sequence[Resolved]) -> None:
    """P-C5: levels and regions of the deciding mentions; failing that a sign's or the study's; failing that none."""
    for found in item.deciding:
        for evidence in found.attributes.levels:
            name = record.changes.get(evidence.value, evidence.value)
            item.sites.append(Site(name, "level", record.evidence(found, evidence), evidence.how))
        for evidence in found.attributes.regions:
            if evidence.how != "study":
                item.sites.append(Site(evidence.value, "region", record.evidence(found, evidence), evidence.how))
        if found.mention.rule.value == "hangman" and not found.attributes.levels:
            item.sites.append(Site("C2", "level", record.at(found), "name"))  # the name is of the axis (P-C9)
    if item.sites:
        item.steps.append(
            Step(
                rule="P-C5",
                says="site stated with the finding: " + ", ".join(_named(item.sites)),
                evidence=_unique(site.span for site in item.sites),
            )
        )
        return
    shared = p_c4_shared(record, item, everything)
    if shared:
        return
    for found in item.deciding:
        for evidence in found.attributes.weak_levels:
            item.sites.append(Site(evidence.value, evidence.category, record.evidence(found, evidence), "weak"))
    if item.sites:
        item.steps.append(
            Step(
                rule="P-C5",
                says="site stated in the same clause: " + ", ".join(_named(item.sites)),
                evidence=_unique(site.span for site in item.sites),
            )
        )
        return
    if item.condition == "spondylolysis" and _p_c5_pars(record, item):
        return
    for found in item.deciding:
        evidence_ = record.finder.study_region(record.documents[found.document], found)
        if evidence_ is not None:
            span = record.evidence(found, evidence_)
            item.sites.append(Site(evidence_.value, "region", span, "study"))
            item.steps.append(
                Step(
                    rule="P-C5",
                    says=f"no site with the finding; the study or heading names the {evidence_.value} region",
                    evidence=(span,),
                )
            )
            return
    item.steps.append(
        Step(
            rule="P-C5",
            says="no site anywhere in the record",
            evidence=tuple(record.at(found) for found in item.deciding[:1]),
        )
    )


def _p_c5_pars(record: Record, item: Resolved) -> bool:
    """P-C5: what a study shows of a pars at a level ("edema in the L5 pars") sites a spondylolysis that has no site."""
    for number, document in enumerate(record.documents):
        for evidence in record.finder.pars_signs(document):
            span = record.span(number, evidence.start, evidence.end, evidence.rule)
            item.sites.append(Site(record.changes.get(evidence.value, evidence.value), "level", span, evidence.how))
    if item.sites:
        says = "no site with the finding; a sign of the pars is stated at " + ", ".join(_named(item.sites))
        item.steps.append(Step(rule="P-C5", says=says, evidence=_unique(site.span for site in item.sites)))
    return bool(item.sites)


def p_c4_shared(record: Record, item: Resolved, everything: Sequence[Resolved]) -> bool:
    """P-C4's exception: a condition without a site shares the site of the other, stated in one clause with it."""
    present = {id(found) for other in everything if other is not item for found in other.deciding}
    for found in item.deciding:
        for evidence in found.attributes.shared_levels:
            neighbours = [
                other
                for other in record.documents[found.document].found
                if other.mention.sentence == found.mention.sentence and id(other) in present
            ]
            if neighbours:
                item.sites.append(
                    Site(
                        record.changes.get(evidence.value, evidence.value),
                        "level",
                        record.evidence(found, evidence),
                        "shared",
                    )
                )
        if item.sites:
            item.steps.append(
                Step(
                    rule="P-C4",
                    says="no site of its own; it shares that of the condition stated in the same clause: "
                    + ", ".join(_named(item.sites)),
                    evidence=(record.at(found), *_unique(site.span for site in item.sites)),
                )
            )
            return True
    return False


def _named(sites: Iterable[Site]) -> list[str]:
    return list(dict.fromkeys(site.name for site in sites))


def _unique(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple({(span.document, span.start, span.end): span for span in spans}.values())


# --- publishing -----------------------------------------------------------------------------------------------------


def publish(record: Record, item: Resolved) -> NoteCondition:
    """The public condition: attributes gathered from its deciding mentions."""
    deciding = item.deciding

    def values(lane: str) -> list[str]:
        return [evidence.value for found in deciding for evidence in getattr(found.attributes, lane)]

    causes = values("etiology")
    return NoteCondition(
        condition=item.condition,
        assertion=item.assertion,
        levels=item.levels,
        regions=item.regions,
        laterality=attributes_of.laterality(values("sides")) if item.condition != "spondylolisthesis" else None,
        chronicity=attributes_of.chronicity(values("chronicity")),
        etiology=attributes_of.etiology(causes),
        grade=attributes_of.grade(values("grades")) if item.condition == "spondylolisthesis" else None,
        direction=next(iter(values("directions")), None),
        documented_by="provider" if item.documented_by == "provider" else "imaging",
        findings=tuple(found.published.id for found in item.found),
        trail=tuple(item.steps),
    )
