"""Conditions to codes (P-C1, P-C2, P-C12, P-X6). Each policy rule is one function that carries its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parsnlp.coding.drafts import CodeBook, Draft, site_spans, site_words, unique
from parsnlp.coding.excludes import p_c6, p_x2
from parsnlp.coding.injuries import injury_drafts, p_c7
from parsnlp.coding.sites import p_c3, p_c4_single_vertebra
from parsnlp.extract.assertion import REPORTS
from parsnlp.extract.findings import Found
from parsnlp.models import Alternative, Code, Condition, Drg, Step, Suppressed
from parsnlp.resolve import Record, Resolved, Site

_NAMES: Mapping[Condition, str] = {
    "spondylolysis": "spondylolysis",
    "spondylolisthesis": "spondylolisthesis",
    "traumatic_fracture": "traumatic arch fracture or slip",
}
_STATEMENTS = ("impression", "final_diagnosis", "operative_diagnosis", "addendum")
_INJURY_ORDER: Mapping[Condition, int] = {"traumatic_fracture": 0, "spondylolisthesis": 1, "spondylolysis": 2}


@dataclass(slots=True)
class Assigned:
    """The outcome: codes in P-C12 order and what was refused. `drafts` keep what `review` needs."""

    codes: list[Code]
    suppressed: list[Suppressed]
    drafts: list[Draft]


def assign(book: CodeBook, record: Record, conditions: Sequence[Resolved]) -> Assigned:
    """Codes and refusals for the record's conditions."""
    drafts: list[Draft] = []
    suppressed: list[Suppressed] = []
    for item in conditions:
        present = item.assertion == "affirmed" or "uncertain_inpatient" in item.flags
        if not present:
            suppressed.append(_refused(book, record, item))
        elif item.condition == "traumatic_fracture":
            drafts += injury_drafts(book, record, item, suppressed)
        elif item.condition == "spondylolysis":
            drafts.append(p_c1(book, record, item))
        else:
            drafts.append(p_c2(book, record, item))
    drafts = p_c6(book, record, drafts, suppressed)
    p_x2(book, drafts, suppressed)
    drafts = p_c7(book, record, drafts)
    for draft in drafts:
        p_x6(draft)
    drafts = p_c12(drafts)
    return Assigned([_code(book, draft) for draft in drafts], suppressed, drafts)


def p_c1(book: CodeBook, record: Record, item: Resolved) -> Draft:
    """P-C1: acquired spondylolysis is M43.0-."""
    return _acquired(book, record, item, "P-C1")


def p_c2(book: CodeBook, record: Record, item: Resolved) -> Draft:
    """P-C2: acquired spondylolisthesis, whatever its acquired cause and direction, is M43.1-."""
    draft = _acquired(book, record, item, "P-C2")
    p_c4_single_vertebra(book, draft)
    return draft


def _acquired(book: CodeBook, record: Record, item: Resolved, rule: str) -> Draft:
    family = book.families[item.condition]
    evidence = [record.at(found) for found in item.deciding]
    says = f"{_NAMES[item.condition]}, not called congenital: {family}-"
    step = Step(rule=rule, says=says, evidence=tuple(evidence[:2]))
    character, more = p_c3(book, item)
    return Draft(f"{family}{character}", item, [*item.steps, step, *more], evidence, deciding=list(item.deciding))


def _refused(book: CodeBook, record: Record, item: Resolved) -> Suppressed:
    """The code that a condition not coded would have had, and why it is refused."""
    ghost = Resolved(item.condition, item.assertion, item.found, item.deciding, [], flags=set())
    for found in item.deciding:
        ghost.sites += [Site(e.value, e.category, record.evidence(found, e), e.how) for e in found.attributes.levels]
    if item.condition == "traumatic_fracture":
        drafts = injury_drafts(book, record, ghost, [])
        code = drafts[0].code if drafts else book.tables["fractures"]["lumbar"]["unspecified"][0] + "A"
    else:
        character, _ = p_c3(book, ghost)
        code = f"{book.families[item.condition]}{character}"
    last = item.deciding[-1]
    count = (
        "the only mention is" if len(item.found) == 1 else f"no mention states it as present; it is {item.assertion}"
    )
    rule, says = last.ruling.rule, f"{count} {last.ruling.says}" if len(item.found) == 1 else count
    if "withdrawn" in last.flags:
        rule, says = "P-A4", "the statement is withdrawn as entered in error or another patient's"
    return Suppressed(
        code=code,
        display=book.title(code),
        rule=rule,
        reason=f"{says}, “{_quoted(record, last)}”",
        evidence=tuple(record.at(found) for found in item.deciding),
    )


def _quoted(record: Record, found: Found) -> str:
    """The mention with its nearest deciding cue, when they stand close together: “no spondylolisthesis”."""
    text = record.documents[found.document].reading.text
    start, end = found.mention.start, found.mention.end
    for cue in found.ruling.cues[-1:]:
        start, end = min(start, cue.start), max(end, cue.end)
    if end - start > 80:
        start, end = found.mention.start, found.mention.end
    return " ".join(text[start:end].split())


def _titled(found: Found) -> str:
    """What a coder calls the section that a mention stands in: an impression is a report's, a clinic note has an assessment."""
    section = found.section or ""
    return "assessment" if section == "impression" and found.kind not in REPORTS else section.replace("_", " ")


def _sited(found: Found) -> bool:
    return bool(found.attributes.levels or found.attributes.regions)


def _code(book: CodeBook, draft: Draft) -> Code:
    reviews = draft.reviews
    item = draft.source
    words = site_words(item)
    how = "affirmed" if item.assertion == "affirmed" else "uncertain at inpatient discharge"
    stated = [found for found in draft.deciding if found.section in _STATEMENTS]
    where = f" ({_titled(stated[0])})" if stated else ""
    if not words:
        reason = f"{_NAMES[item.condition]} {how}, no site documented{where}"
    elif (
        not stated or any(_sited(found) for found in stated) or {site.how for site in item.sites} <= {"weak", "shared"}
    ):
        reason = f"{_NAMES[item.condition]} {how} at {words}{where}"
    else:
        source = next((found for found in item.found if _sited(found)), None)
        taken = _titled(source) if source is not None and source.section else "elsewhere in the record"
        if item.sites[0].how == "study":
            taken = "the study's or heading's region"
        reason = f"{_NAMES[item.condition]} {how}{where} at {words} ({taken})"
    if reviews:
        reason += "; review: " + "; ".join(dict.fromkeys(step.says for step in reviews))
    return Code(
        code=draft.code,
        display=book.title(draft.code),
        status="review" if reviews else "suggested",
        condition=item.condition,
        reason=reason,
        evidence=unique([*draft.evidence, *(site_spans(item.sites))]),
        trail=(*draft.steps, *reviews),
        alternatives=tuple(dict.fromkeys(draft.alternatives)),
        drg=p_x5(book, draft.code),
    )


def p_x5(book: CodeBook, code: str) -> tuple[Drg, ...]:
    """P-X5: the MS-DRGs of a pars defect or slip as a medical principal diagnosis; other families carry none."""
    return tuple(Drg(drg=group.code, title=group.title) for group in book.edition.drg_groups(code))


def p_x6(draft: Draft) -> None:
    """P-X6: the remaining reasons for which a code is for review."""
    item = draft.source
    spans = tuple(draft.evidence[:2])
    if "conflict" in item.flags:
        conflict = next((step for step in item.steps if step.rule == "P-A4" and "denies" in step.says), None)
        draft.reviews.append(
            Step(rule="P-A4", says="conflicting statements", evidence=conflict.evidence if conflict else spans)
        )
    if "uncertain_inpatient" in item.flags:
        draft.reviews.append(Step(rule="P-A10", says="rests on an uncertain inpatient diagnosis", evidence=spans))
    if (
        item.condition == "traumatic_fracture"
        and draft.deciding
        and all(found.tie == "across" for found in draft.deciding)
    ):
        draft.reviews.append(
            Step(rule="P-C8", says="trauma tied to the fracture only across sentences", evidence=spans)
        )
    films = [site for site in item.sites if site.how == "study" and site.name == "lumbosacral"]
    if films and len(item.sites) == len(films):
        draft.reviews.append(
            Step(rule="P-C5", says="the site is only a film's title, “lumbosacral”", evidence=site_spans(films))
        )
    subluxations = [f for f in item.deciding if "subluxation" in f.flags]
    if (
        item.condition == "spondylolisthesis"
        and draft.code.startswith("M43.1")
        and len(subluxations) == len(item.deciding)
    ):
        draft.reviews.append(Step(rule="P-X6", says="nontraumatic “subluxation” read as a slip", evidence=spans))
        draft.alternatives += [
            Alternative(code="M43.5X-", why="if recurrent vertebral subluxation is meant", rule="P-X6"),
            Alternative(code="M99.1-", why="if a biomechanical subluxation is meant", rule="P-X6"),
        ]
    if item.documented_by == "imaging":
        draft.reviews.append(
            Step(rule="P-X4", says="only the imaging part states it; no provider statement adopts it", evidence=spans)
        )


def p_c12(drafts: list[Draft]) -> list[Draft]:
    """P-C12: injuries first, then the condition of the assessment, slip before lysis where both stand there."""

    def key(draft: Draft) -> tuple[int, int, int]:
        injury = 0 if draft.source.condition == "traumatic_fracture" else 1
        assessed = 0 if any(found.section in _STATEMENTS for found in draft.deciding) else 1
        return injury, assessed, _INJURY_ORDER[draft.source.condition]

    return sorted(drafts, key=key)
