"""What would change the codes: the coding rules run again on the same record with one fact altered.

Nothing here knows what follows from a fact; each answer is what the rules give. Facts that change nothing are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

from parsnlp.coding.assign import Assigned, assign
from parsnlp.coding.drafts import CodeBook, Draft
from parsnlp.extract.attributes import Evidence
from parsnlp.extract.findings import Found
from parsnlp.models import Condition, Outcome, WhatIf
from parsnlp.resolve import Record, Resolved, Site

_NAMES: dict[Condition, str] = {
    "spondylolysis": "the pars defect",
    "spondylolisthesis": "the slip",
    "traumatic_fracture": "the fracture",
}
_PHASES = (
    ("D", "routine healing at a later visit"),
    ("G", "delayed healing"),
    ("K", "nonunion"),
    ("S", "a sequela"),
)
_Variant = tuple[str, str, Record, Resolved | None]


def what_if(book: CodeBook, record: Record, conditions: Sequence[Resolved], assigned: Assigned) -> tuple[WhatIf, ...]:
    """Each fact that would change the codes, with the codes that it would take away and give."""
    before = _outcomes(book, assigned.drafts)
    found = []
    for at, item in enumerate(conditions):
        for rule, fact, altered, instead in _variants(book, record, item):
            others = [*conditions[:at], *([instead] if instead else []), *conditions[at + 1 :]]
            after = _outcomes(book, assign(book, altered, others).drafts)
            if after.keys() != before.keys() or any(after[code] != before[code] for code in after):
                found.append(
                    WhatIf(
                        condition=item.condition,
                        fact=fact,
                        rule=rule,
                        instead_of=tuple(code for code in before if code not in after),
                        gives=tuple(each for code, each in after.items() if before.get(code) != each),
                    )
                )
    return tuple(found)


def _outcomes(book: CodeBook, drafts: Sequence[Draft]) -> dict[str, Outcome]:
    return {
        draft.code: Outcome(
            code=draft.code, display=book.title(draft.code), status="review" if draft.reviews else "suggested"
        )
        for draft in drafts
    }


def _variants(book: CodeBook, record: Record, item: Resolved) -> Iterator[_Variant]:
    """The facts to try: rule, wording, and the record and condition as they would be (None: not there)."""
    name = _NAMES[item.condition]
    if item.assertion != "affirmed" and "uncertain_inpatient" not in item.flags:
        sites = item.sites or [
            Site(e.value, e.category, record.evidence(found, e), e.how)
            for found in item.deciding
            for e in (*found.attributes.levels, *found.attributes.regions)
        ]
        yield "P-F3", f"{name} were stated as present", record, replace(item, assertion="affirmed", sites=sites)
        return
    if item.condition == "traumatic_fracture":
        yield from _of_injury(record, item)
    else:
        yield from _of_acquired(book, record, item)
    yield "P-F3", f"{name} were only suspected, ruled out or a thing of the past", record, None


def _of_acquired(book: CodeBook, record: Record, item: Resolved) -> Iterator[_Variant]:
    name = _NAMES[item.condition]
    for words, site in _other_sites(book, record, item):
        yield "P-C3", f"{name} were {words}", record, replace(item, sites=[site])
    if item.documented_by == "imaging":
        stated = [replace(found, documented_by="provider") for found in item.deciding]
        yield "P-X4", f"the provider’s own statement named {name}", record, replace(item, deciding=stated)
    inborn = any(
        e.value in ("congenital", "dysplastic", "developmental") for f in item.deciding for e in f.attributes.etiology
    )
    if inborn:
        yield "P-C6", f"{name} were acquired", record, _caused(item, None)
    else:
        yield "P-C6", f"{name} were congenital", record, _caused(item, "congenital")
    injured = replace(
        _caused(item, "traumatic"),
        condition="traumatic_fracture",
        deciding=[_as_injury(found) for found in item.deciding],
    )
    yield "P-C8" if item.condition == "spondylolysis" else "P-C9", f"{name} were an acute injury", record, injured


def _of_injury(record: Record, item: Resolved) -> Iterator[_Variant]:
    name = _NAMES[item.condition]
    for value, words in _PHASES:
        yield "P-C10", f"the visit were for {words}", _phased(record, item, value), item
    yield "P-C8", f"{name} were nondisplaced", _phased(record, item, "nondisplaced"), item
    old = [replace(found, condition="spondylolysis", _levels=None) for found in item.deciding]
    yield "P-C11", f"{name} were an established defect", record, replace(item, condition="spondylolysis", deciding=old)


def _other_sites(book: CodeBook, record: Record, item: Resolved) -> Iterator[tuple[str, Site]]:
    """Every region where none is documented, else those next to the documented ones; a junction by its segment."""
    span = record.at(item.deciding[0])
    names = list(book.regions)
    held = {
        names.index(region)
        for site in item.sites
        for region in [site.name if site.kind == "region" else book.region_of(site.name)]
        if region in names
    }
    for at, (region, row) in enumerate(book.regions.items()):
        if held and (at in held or not held & {at - 1, at + 1}):
            continue
        if row["vertebrae"]:
            yield f"in the {region} region", Site(region, "region", span, "bound")
        else:
            yield f"at {row['segments'][0]}", Site(row["segments"][0], "level", span, "bound")


def _caused(item: Resolved, cause: str | None) -> Resolved:
    """The condition with one cause in place of those documented, or none."""

    def altered(found: Found) -> Found:
        mention = found.mention
        causes = [Evidence("etiology", cause, mention.start, mention.end, None)] if cause else []
        return replace(found, attributes=replace(found.attributes, etiology=causes))

    return replace(item, deciding=[altered(found) for found in item.deciding])


def _as_injury(found: Found) -> Found:
    return replace(found, condition="traumatic_fracture", tie="same", _levels=None)


def _phased(record: Record, item: Resolved, value: str) -> Record:
    """The record with one phase of care documented beside the deciding mentions, in place of all others."""
    altered = copy.copy(record)
    altered.documents = [
        replace(
            document,
            phases=[
                Evidence("phase", value, m.start, m.end, m.rule.id, str(m.sentence))
                for m in (found.mention for found in item.deciding if found.document == number)
            ],
        )
        for number, document in enumerate(record.documents)
    ]
    return altered
