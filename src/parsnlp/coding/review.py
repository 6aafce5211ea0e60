"""Edits a claim would hit and questions to put to the provider (P-X2 to P-X4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from parsnlp.coding.assign import Assigned
from parsnlp.extract.assertion import REPORTS
from parsnlp.extract.findings import Found
from parsnlp.models import Edit, NoteCondition, Query, Span
from parsnlp.resolve import Record, Resolved

_ASSESSED = ("impression", "final_diagnosis", "operative_diagnosis", "addendum")


def edits(record: Record, assigned: Assigned) -> list[Edit]:
    """The edits that the suggested codes themselves would hit."""
    found: list[Edit] = []
    codes = {draft.code: draft for draft in assigned.drafts}
    lysis = next((code for code in codes if code.startswith("M43.0")), None)
    slip = next((code for code in codes if code.startswith("M43.1")), None)
    inborn = "Q76.2" if "Q76.2" in codes else None
    if lysis and slip:
        found.append(
            Edit(
                kind="excludes1_pair",
                severity="warning",
                says=f"{lysis} with {slip}: the Excludes1 note at M43.0 names M43.1; a claim scrubber may reject the pair, and {slip} is the code that survives",
                rule="P-X2",
                codes=(slip, lysis),
                evidence=_both(codes[slip].evidence, codes[lysis].evidence),
            )
        )
    if inborn:
        for code in (lysis, slip):
            if code:
                found.append(
                    Edit(
                        kind="excludes1_congenital",
                        severity="warning",
                        says=f"{inborn} with {code}: an Excludes1 pair; kept because the acquired condition is at an unrelated site",
                        rule="P-X1",
                        codes=(inborn, code),
                        evidence=_both(codes[inborn].evidence, codes[code].evidence),
                    )
                )
    return found


def _both(one: Sequence[Span], other: Sequence[Span]) -> tuple[Span, ...]:
    return (*one[:1], *other[:1])


def p_x4(
    record: Record, conditions: Sequence[Resolved], published: Sequence[NoteCondition], assigned: Assigned
) -> list[Query]:
    """P-X4: questions to the provider, each with its clinical indicators."""
    found: list[Query] = []
    shown = {item.condition: item for item in published}
    coded = [item for item in conditions if item.assertion == "affirmed" or "uncertain_inpatient" in item.flags]
    for item in coded:
        if item.condition == "traumatic_fracture":
            if not item.levels:
                spans = tuple(record.at(mention) for mention in item.deciding[:2])
                found.append(
                    _query("site_missing", "Which vertebra or segment does the documented injury involve?", spans)
                )
            continue
        spans = tuple(record.at(mention) for mention in item.deciding[:2])
        name = item.condition
        if not item.sites:
            found.append(
                _query("site_missing", f"At which level or region of the spine is the documented {name}?", spans)
            )
        if name == "spondylolysis":
            condition = shown[name]
            if condition.laterality in (None, "unilateral"):
                found.append(
                    _query(
                        "laterality_missing",
                        "On which side is the documented pars defect?",
                        spans,
                        ("left", "right") if condition.laterality else ("left", "right", "bilateral"),
                        tip=True,
                    )
                )
            if condition.chronicity is None and condition.etiology not in ("congenital", "dysplastic", "developmental"):
                found.append(
                    _query(
                        "chronicity_missing",
                        "What is the acuity of the documented pars defect, in your clinical judgment?",
                        spans,
                        ("acute", "subacute", "chronic", "acute on chronic"),
                    )
                )
        causes = {e.value for mention in item.deciding for e in mention.attributes.etiology}
        if "developmental" in causes and not causes & {"congenital", "dysplastic", "acquired"}:
            found.append(
                _query(
                    "congenital_vs_acquired",
                    f"The documented {name} is described as developmental. What is its origin, in your clinical judgment?",
                    spans,
                    ("congenital", "acquired"),
                )
            )
        found += _level_not_in_assessment(record, item)
        if name == "spondylolysis":
            found += _trauma_and_chronic(record, item)
        if item.documented_by == "imaging":
            found.append(
                _query(
                    "imaging_only",
                    f"Imaging describes {name}, and no provider statement documents it as present. What is its clinical significance for this encounter, if any?",
                    spans,
                )
            )
    lysis = [
        item
        for item in conditions
        if item.condition == "spondylolysis"
        and any(f.assertion in ("affirmed", "negated", "uncertain") for f in item.found)
    ]
    for item in coded:
        if item.condition == "spondylolisthesis" and not lysis:
            isthmic = [f for f in item.deciding if any(e.value == "isthmic" for e in f.attributes.etiology)]
            if isthmic:
                found.append(
                    _query(
                        "lysis_slip_collapsed",
                        "The slip is described as isthmic. Please describe the pars interarticularis at that level, as far as it is known.",
                        tuple(record.at(f) for f in isthmic[:2]),
                    )
                )
    for refused in assigned.suppressed:
        if refused.rule == "P-C8":
            found.append(
                _query(
                    "body_fracture",
                    "An arch fracture is described together with a fracture of the same vertebra's body. "
                    "How do you document the fracture of that vertebra?",
                    refused.evidence,
                )
            )
    for item in conditions:
        historical = [f for f in item.found if f.assertion == "historical"]
        if item.assertion == "historical" and historical:
            found.append(
                _query(
                    "historical_status",
                    f"The record mentions {item.condition.replace('_', ' ')} in the past. What is its status at this encounter?",
                    tuple(record.at(f) for f in historical[:2]),
                    ("still present", "no longer present"),
                )
            )
        uncertain = [f for f in item.found if f.assertion == "uncertain"]
        if item.assertion == "uncertain" and uncertain:
            found.append(
                _query(
                    "uncertain_wording",
                    f"{item.condition.replace('_', ' ').capitalize()} is documented in uncertain terms. What is its status at this encounter?",
                    tuple(record.at(f) for f in uncertain[:2]),
                    ("confirmed", "ruled out", "still under evaluation"),
                )
            )
    return found


def _level_not_in_assessment(record: Record, item: Resolved) -> Iterable[Query]:
    """Imaging names a level that the assessment leaves out (clinic notes only)."""
    if any(f.kind in REPORTS for f in item.deciding):
        return
    assessed = [f for f in item.deciding if f.section in _ASSESSED]
    imaged: list[Found] = [f for f in item.deciding if f.documented_by == "imaging" and f.levels]
    if assessed and imaged and not any(f.levels for f in assessed):
        yield _query(
            "level_not_in_assessment",
            f"Imaging names a level for the documented {item.condition}; the assessment names none. Which level do you document?",
            tuple(record.at(f) for f in (*imaged[:1], *assessed[:1])),
        )


def _trauma_and_chronic(record: Record, item: Resolved) -> Iterable[Query]:
    """One statement gives both an injury and an established defect."""
    for mention in item.deciding:
        document = record.documents[mention.document]
        told = [e for e in document.trauma if e.value == "trauma" and e.how == str(mention.mention.sentence)]
        chronic = [e for e in mention.attributes.chronicity if e.value == "chronic"]
        if told and chronic:
            yield _query(
                "trauma_chronic_conflict",
                "The record documents an injury and long-standing features of the pars defect in one statement. How, if at all, do the two relate?",
                (
                    record.at(mention),
                    record.span(mention.document, told[0].start, told[0].end, told[0].rule),
                    record.evidence(mention, chronic[0]),
                ),
            )
            return


def _query(kind: str, says: str, spans: tuple[Span, ...], options: tuple[str, ...] = (), tip: bool = False) -> Query:
    choices = (*options, "other (please specify)", "unable to determine") if options else ()
    return Query(kind=kind, severity="tip" if tip else "query", says=says, rule="P-X4", evidence=spans, options=choices)
