"""The documentation checklist: what the founding brief wants in the chart, captured with its span or missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parsnlp.extract.findings import Found
from parsnlp.models import Care, ChecklistItem, Span
from parsnlp.resolve import Record, Resolved

_ASSESSED = ("impression", "final_diagnosis", "operative_diagnosis", "addendum")


def checklist(record: Record, conditions: Sequence[Resolved], care: Sequence[Care]) -> list[ChecklistItem]:
    """One item for each thing to document about the coded pars defects and slips; empty when there are none."""
    coded = [
        item
        for item in conditions
        if item.condition != "traumatic_fracture"
        and (item.assertion == "affirmed" or "uncertain_inpatient" in item.flags)
    ]
    return list(_items(record, conditions, coded, care)) if coded else []


def _items(
    record: Record, conditions: Sequence[Resolved], coded: Sequence[Resolved], care: Sequence[Care]
) -> Iterator[ChecklistItem]:
    for item in coded:
        name = item.condition
        spans = tuple(site.span for site in item.sites)
        yield _item("region", spans, f"{name}: level or region stated", f"At which level or region is the {name}?")
    yield _distinguished(record, conditions, coded)
    for item in coded:
        if item.condition == "spondylolysis":
            sides = _attribute(record, item, "sides", ("unilateral",))
            yield _item("laterality", sides, "side stated", "Is the pars defect left, right or bilateral?")
            ages = _attribute(record, item, "chronicity")
            yield _item("chronicity", ages, "acute or chronic stated", "Is the pars defect acute, subacute or chronic?")
    for item in coded:
        imaged = [found for found in item.deciding if found.documented_by == "imaging" and found.levels]
        if imaged:
            assessed = tuple(
                record.evidence(found, evidence)
                for found in item.deciding
                if found.section in _ASSESSED
                for evidence in (*found.attributes.levels, *found.attributes.regions)
            )
            yield _item(
                "imaging_level_in_assessment",
                assessed,
                f"{item.condition}: the assessment names the site that imaging shows",
                f"Imaging names a level for the {item.condition}; which site does the assessment name?",
            )
    # Only where the conditions are spoken of: a document of the record may be about another problem altogether.
    about = {record.documents[found.document].note.id for item in conditions for found in item.found}
    spans = tuple(Span(document=c.document, start=c.start, end=c.end, text=c.text) for c in care if c.document in about)
    yield _item(
        "conservative_care",
        spans,
        "conservative care stated",
        "Which conservative care was tried, how long, with what result?",
    )


def _distinguished(record: Record, conditions: Sequence[Resolved], coded: Sequence[Resolved]) -> ChecklistItem:
    """Lysis and slip told apart: a slip called isthmic needs a word on the pars itself."""
    both = {item.condition for item in conditions if any(f.assertion in ("affirmed", "negated") for f in item.found)}
    isthmic = [
        found
        for item in coded
        if item.condition == "spondylolisthesis"
        for found in item.deciding
        if any(evidence.value == "isthmic" for evidence in found.attributes.etiology)
    ]
    asks = "The slip is described as isthmic: is a separate pars defect present?"
    if isthmic and "spondylolysis" not in both:
        return ChecklistItem(item="lysis_and_slip", state="missing", says=asks, evidence=_at(record, isthmic))
    spans = _at(record, [item.deciding[0] for item in coded])
    return _item("lysis_and_slip", spans, "pars defect and slip told apart", asks)


def _attribute(record: Record, item: Resolved, lane: str, without: tuple[str, ...] = ()) -> tuple[Span, ...]:
    return tuple(
        record.evidence(found, evidence)
        for found in item.deciding
        for evidence in getattr(found.attributes, lane)
        if evidence.value not in without
    )


def _at(record: Record, found: Sequence[Found]) -> tuple[Span, ...]:
    return tuple(record.at(item) for item in found)


def _item(name: str, evidence: tuple[Span, ...], captured: str, missing: str) -> ChecklistItem:
    unique = tuple({(span.document, span.start, span.end): span for span in evidence}.values())
    if unique:
        return ChecklistItem(item=name, state="captured", says=captured, evidence=unique)
    return ChecklistItem(item=name, state="missing", says=missing)
