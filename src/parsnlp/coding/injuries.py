"""Stress injuries and trauma: P-C7 to P-C10."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from parsnlp.coding.drafts import CodeBook, Draft, causes, phases_at
from parsnlp.coding.sites import p_c4
from parsnlp.extract import levels as spine
from parsnlp.extract.findings import Found
from parsnlp.models import Alternative, Span, Step, Suppressed
from parsnlp.resolve import Record, Resolved

_PARTED = re.compile(r"[,;]|\band\b|&", re.IGNORECASE)


def p_c7(book: CodeBook, record: Record, drafts: list[Draft]) -> list[Draft]:
    """P-C7: a stress fracture without trauma is M43.0-; the policy option codes it M48.4-, one code for each region."""
    result: list[Draft] = []
    for draft in drafts:
        stress = [found for found in draft.deciding if "stress" in causes(found)]
        fracture = [found for found in stress if _fracture_words(record, found)]
        nonunion = any(e.value == "nonunion" for found in draft.deciding for e in found.attributes.chronicity)
        if not draft.code.startswith("M43.0") or not stress:
            result.append(draft)
            continue
        spans = tuple(record.at(found) for found in (fracture or stress)[:2])
        family = str(book.tables["families"]["fatigue_fracture"])
        regions = list(dict.fromkeys(p_c4(book, draft.source, [])))
        letter, unsettled = _seventh_stress(record, draft)
        codes = [f"{family}{book.regions[region]['character']}X{letter}" for region in regions] or [
            f"{family}0X{letter}"
        ]
        if book.policy.stress_fracture == "M48.4" and fracture and not nonunion:
            for code in codes:
                step = Step(
                    rule="P-C7",
                    says=f"stress fracture, by policy {family}-: {code}; the default is {draft.code}",
                    evidence=spans,
                )
                new = Draft(
                    code,
                    draft.source,
                    [*draft.steps, step],
                    list(draft.evidence),
                    list(draft.reviews),
                    deciding=draft.deciding,
                )
                if unsettled is not None:
                    new.reviews.append(unsettled)
                new.alternatives.append(
                    Alternative(code=draft.code, why="under the default policy for stress fractures", rule="P-C7")
                )
                result.append(new)
            continue
        draft.steps.append(
            Step(
                rule="P-C7",
                says=f"stress injury without documented trauma stays {draft.code}; never an S code",
                evidence=spans,
            )
        )
        for code in codes if fracture else []:
            draft.alternatives.append(
                Alternative(
                    code=code, why="under policy stress_fracture=M48.4 (fatigue fracture of vertebra)", rule="P-C7"
                )
            )
        result.append(draft)
    return result


def _fracture_words(record: Record, found: Found) -> bool:
    text = record.at(found).text.lower()
    return "fract" in text or "fx" in text


def _seventh_stress(record: Record, draft: Draft) -> tuple[str, Step | None]:
    """The 7th character of a fatigue fracture by P-C10, and the reason for review where a visit does not settle it."""
    for letter in ("S", "G", "D"):
        if phases_at(record, draft.deciding, letter):
            return letter, None
    visits = _visits(record)
    if not visits:
        return "A", None
    return "D", Step(rule="P-C10", says=_UNSETTLED, evidence=tuple(visits[:2]))


def injury_drafts(book: CodeBook, record: Record, item: Resolved, suppressed: list[Suppressed]) -> list[Draft]:
    """P-C8, P-C9: the S codes of a traumatic condition, one for each fractured vertebra."""
    found: dict[str, Draft] = {}

    def add(stem: str, mention: Found, rule: str, says: str, key: str) -> None:
        draft = found.get(key)
        if draft is None:
            steps = [*item.steps, Step(rule=rule, says=says, evidence=(record.at(mention),))]
            draft = found[key] = Draft(stem, item, steps, [], deciding=[])
        draft.evidence.append(record.at(mention))
        draft.deciding.append(mention)

    slips: list[Found] = []
    arches: list[Found] = []
    for mention in item.deciding:
        (slips if mention.is_slip else arches).append(mention)
    slip_vertebrae: set[str] = set()
    for mention in _located(book, slips):
        for key, stem, says in p_c9(book, record, item, mention, suppressed):
            add(stem, mention, "P-C9", says, f"slip {key}")
            slip_vertebrae.add(key)
    for mention in _located(book, arches):
        for key, stem, says in p_c8(book, record, item, mention, suppressed):
            if key in slip_vertebrae and key.startswith("C"):
                continue  # at C2-C7 the slip's code is the fracture's code
            add(stem, mention, "P-C8", says, f"fracture {key}")
    arch_vertebrae = {key.split()[1] for key in found if key.startswith("fracture")}
    drafts = []
    for key, draft in found.items():
        kind, vertebra = key.split()
        if kind == "slip" and vertebra in arch_vertebrae and not draft.code.startswith("S33"):
            continue  # one code for a fractured vertebra
        p_c10(book, record, draft)
        drafts.append(draft)
    if arches and not item.sites:
        suppressed.append(
            Suppressed(
                code="S32.0-",
                display=book.title("S32.0"),
                rule="P-C5",
                reason="an arch fracture of no stated vertebra or region, which decide between S12, S22.0 and S32: query",
                evidence=tuple(record.at(mention) for mention in arches[:2]),
            )
        )
    return _once(drafts)


def _located(book: CodeBook, mentions: Sequence[Found]) -> Sequence[Found]:
    """The mentions with a level, and those of a region that holds none of these levels; all, where none has a level."""
    vertebrae = {vertebra for mention in mentions for level in mention.levels for vertebra in spine.members(level)}
    if not vertebrae:
        return mentions
    apart = {name for name, row in book.regions.items() if row["vertebrae"] and not vertebrae & set(row["vertebrae"])}
    return [
        mention for mention in mentions if mention.levels or (mention.regions and apart.issuperset(mention.regions))
    ]


def _once(drafts: list[Draft]) -> list[Draft]:
    """One draft for each code: T5 and T6 share one, and a code is reported once (OCG I.B.12)."""
    merged: dict[str, Draft] = {}
    for draft in drafts:
        first = merged.setdefault(draft.code, draft)
        if first is not draft:
            said = {(step.rule, step.says) for step in first.steps}
            first.steps += [step for step in draft.steps if (step.rule, step.says) not in said]
            first.evidence += [span for span in draft.evidence if span not in first.evidence]
            first.deciding += [found for found in draft.deciding if found not in first.deciding]
    return list(merged.values())


def injury_levels(record: Record, item: Resolved, mention: Found) -> tuple[str, ...]:
    """A traumatic mention's own levels or regions, else the condition's (its study's region comes as a region name)."""
    own = spine.substitute(mention.levels, record.changes) or mention.regions
    return own or item.levels or tuple(site.name for site in item.sites if site.kind == "region")


def nondisplaced(record: Record, item: Resolved, mention: Found) -> bool:
    """P-C8: nondisplaced only where a sentence says so of this vertebra's fracture; not stated is displaced."""
    own = set(mention.levels)
    same = [found for found in item.deciding if not own or not found.levels or own & set(found.levels)]
    others = [found for found in item.deciding if all(found is not it for it in same)]
    return any(
        not _of_another(record, span, found, others)
        for found in same
        for span in phases_at(record, [found], "nondisplaced")
    )


def _of_another(record: Record, span: Span, found: Found, others: Sequence[Found]) -> bool:
    """Whether a word of the mention's sentence stands with another vertebra's fracture there.

    It does inside that mention, before it with no comma or "and" between, or behind it and before this one's words.
    """
    text = record.documents[found.document].reading.text
    for other in others:
        at = other.mention
        if other.document != found.document or at.sentence != found.mention.sentence:
            continue
        if span.start < at.end and span.end > at.start:
            return True
        if found.mention.start < at.start and found.mention.end <= span.start and span.end <= at.start:
            if not _PARTED.search(text, span.end, at.start):
                return True
        elif at.start < found.mention.start and at.end <= span.start and span.end <= found.mention.start:
            if _PARTED.search(text, span.end, found.mention.start):
                return True
        elif found.mention.start < at.start <= span.start or span.end <= at.start < found.mention.start:
            return True
    return False


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
    book: CodeBook, record: Record, item: Resolved, mention: Found, suppressed: list[Suppressed]
) -> list[tuple[str, str, str]]:
    """P-C8: (vertebra, code without 7th character, words) for each vertebra of an arch fracture."""
    column = "unspecified" if mention.mention.rule.value == "unspecified" else "arch"
    found = []
    for name in injury_levels(record, item, mention):
        vertebra = spine.members(name)[0] if name not in _BROAD else _BROAD[name]
        row = _fracture_row(book, vertebra)
        if row is None:
            continue
        if _burst(record, mention, vertebra):
            suppressed.append(
                Suppressed(
                    code=row[column][0],
                    display=book.edition.title(row[column][0].rstrip("X"))
                    if book.edition.is_known(row[column][0].rstrip("X"))
                    else "",
                    rule="P-C8",
                    reason=f"the arch fracture is part of a body fracture of {vertebra}: no code in this family, query",
                    evidence=(record.at(mention),),
                )
            )
            continue
        codes = row[column]
        code = codes[1] if len(codes) > 1 and nondisplaced(record, item, mention) else codes[0]
        found.append((vertebra, str(code), f"traumatic {column} fracture of {vertebra}: {code}-"))
    return found


def _fracture_row(book: CodeBook, vertebra: str) -> Any:
    """P-C8's row of a vertebra, or of a region where no level is given; the sacrum has one for all its vertebrae."""
    rows = book.tables["fractures"]
    return rows.get(vertebra) or rows.get("sacral" if vertebra.startswith("S") else "")


def _burst(record: Record, mention: Found, vertebra: str) -> bool:
    """Whether the document calls the same vertebra's fracture burst, wedge or compression (P-C8)."""
    document = record.documents[mention.document]
    for evidence in document.phases:
        if evidence.value == "burst":
            sentence = int(evidence.how)
            here = sentence == mention.mention.sentence
            arches = [found.mention for found in document.found if found.mention.sentence == sentence]
            named = {  # a level inside an arch fracture's own words is not the body fracture's
                name
                for level in spine.find(document.reading.clean(sentence).text)
                if not any(arch.clean_start <= level.start < arch.clean_end for arch in arches)
                for name in level.names
            }
            if (here and not named) or any(vertebra in spine.members(name) for name in named):
                return True
    return False


def p_c9(
    book: CodeBook, record: Record, item: Resolved, mention: Found, suppressed: list[Suppressed]
) -> list[tuple[str, str, str]]:
    """P-C9: (vertebra or segment, code without 7th character, words) for a traumatic slip, subluxation or dislocation."""
    tables = book.tables
    column = 1 if nondisplaced(record, item, mention) else 0

    def pick(codes: Sequence[str]) -> str:
        return str(codes[min(column, len(codes) - 1)])

    rule = mention.mention.rule
    if rule.value == "hangman":
        return [("C2", pick(_hangman(book, record, item)), "hangman's fracture: traumatic spondylolisthesis of C2")]
    names = injury_levels(record, item, mention)
    if rule.value in ("dislocation", "subluxation"):
        sixth = 1 if rule.value == "dislocation" else 0
        out = []
        for name in names or ("lumbar",):
            broad = _BROAD.get(name) or _BROAD.get(book.region_of(name) or "", "")
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
        region = name if name in book.regions else book.region_of(name)
        if region == "lumbosacral" or name == "lumbar":
            out.append((name, str(tables["traumatic_slips"]["lumbosacral"][0]), "acute traumatic lumbosacral slip"))
        elif upper in tables["traumatic_slips"]:
            codes = _hangman(book, record, item) if upper == "C2" else tables["traumatic_slips"][upper]
            out.append((upper, pick(codes), f"acute traumatic slip of {upper}"))
        else:
            row = _fracture_row(book, upper) or tables["fractures"].get(_BROAD.get(name, ""))
            if row:
                out.append(
                    (
                        upper,
                        pick(row["unspecified"]),
                        f"acute traumatic slip of {upper}: unspecified fracture of the upper vertebra",
                    )
                )
    return out


def _hangman(book: CodeBook, record: Record, item: Resolved) -> Sequence[str]:
    """P-C9: the codes of a traumatic slip of the axis, by its type where one is named with it."""
    kinds = {e.value for d in record.documents for e in d.phases if _near(d, e, item)}
    named = next((kind for kind in ("type-III", "type-I-II") if kind in kinds), "default")
    codes: Sequence[str] = book.tables["hangman"][named]
    return codes


def _near(document: Any, evidence: Any, item: Resolved) -> bool:
    return any(evidence.how == str(found.mention.sentence) for found in item.deciding)


def p_c10(book: CodeBook, record: Record, draft: Draft) -> None:
    """P-C10: the 7th character by the phase of care; by default at a follow-up it is D, for review."""
    stem = draft.code
    short = any(stem.startswith(prefix) for prefix in book.tables["short_seventh"])
    spans: tuple[Span, ...] = ()
    letter, says = "A", "initial, active treatment by default"
    stated = [
        (value, words, tuple(phases_at(record, draft.deciding, value)))
        for value, words in (("S", "sequela"), ("K", "nonunion"), ("G", "delayed healing"))
        if value == "S" or not short
    ]
    routine = [
        record.span(number, e.start, e.end, e.rule)
        for number, document in enumerate(record.documents)
        for e in document.phases
        if e.value == "D"
    ]
    visits = _visits(record)
    opened = phases_at(record, draft.deciding, "B") if not short else []
    late = next((item for item in stated if item[2]), None)
    if late is not None:
        letter, says, spans = late
    elif routine:
        letter, says, spans = "D", "subsequent encounter, routine healing", tuple(routine[:2])
    elif visits:
        letter, says, spans = "D", _UNSETTLED, tuple(visits[:2])
        draft.reviews.append(Step(rule="P-C10", says=says, evidence=spans))
    elif opened:
        letter, says, spans = "B", "open fracture, initial", tuple(opened)
    draft.code = f"{stem}{letter}"  # the tables hold the placeholder X
    draft.steps.append(
        Step(rule="P-C10", says=f"7th character {letter}: {says}", evidence=spans or tuple(draft.evidence[:1]))
    )


_UNSETTLED = "a follow-up visit whose phase is not settled: D by default"


def _visits(record: Record) -> list[Span]:
    """Wording that makes this encounter a follow-up visit."""
    return [
        record.span(number, e.start, e.end, e.rule)
        for number, document in enumerate(record.documents)
        for e in document.phases
        if e.value == "follow-up" and _opens(document, e)
    ]


def _opens(document: Any, evidence: Any) -> bool:
    """Whether a follow-up wording stands where it says what this visit is: title, opening, diagnosis, present history."""
    reading = document.reading
    section = reading.section(evidence.start)
    if section is not None and section.category in ("plan", "order", "education", "technique"):
        return False
    if reading.kind in ("radiology", "ed", "operative", "discharge"):
        return False
    return int(evidence.how) < 6 or (section is not None and section.category in ("present", "impression", "history"))
