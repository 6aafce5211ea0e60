"""P-X3: a claim, and the codes typed in the notes, held against what the record supports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from parsnlp.coding.assign import Assigned
from parsnlp.coding.drafts import CodeBook, Draft, causes
from parsnlp.coding.icd10cm import Edition, normalize
from parsnlp.models import Condition, Edit, Span
from parsnlp.resolve import Record, Resolved

_TYPED = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-TV-Z]\d[0-9AB]\.?[0-9A-Z]{0,4}|(?<![$\d.])(?:738\.4|756\.1[12]))(?![A-Za-z0-9]|\.\d)"
)
_FAMILIES: Mapping[str, Condition] = {"M43.0": "spondylolysis", "M43.1": "spondylolisthesis"}
_OTHER: Mapping[Condition, Condition] = {
    "spondylolysis": "spondylolisthesis",
    "spondylolisthesis": "spondylolysis",
}
_INJURIES = ("S12", "S22", "S32", "S33")
_MALFORMATIONS = ("Q76.0", "Q76.1", "Q76.3", "Q76.4")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A code to audit in its official form, and where it was typed (None on a claim)."""

    code: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is wrong with a code. `instead`: the code that the record supports in its place."""

    kind: str
    says: str
    fix: str
    evidence: tuple[Span, ...] = ()
    instead: str | None = None


def _use(kind: str, says: str, draft: Draft) -> _Verdict:
    """A code for which the record supports another one."""
    return _Verdict(kind, says, f"use {draft.code}", tuple(draft.evidence[:2]), draft.code)


def typed_codes(book: CodeBook, record: Record) -> list[Claimed]:
    """The codes of the policy's families that stand in the notes ("M43.06", "ICD-10: M4306", "738.4")."""
    found = []
    starts = _starts(book.edition)
    for number, document in enumerate(record.documents):
        text = document.reading.text
        if not any(start in text for start in starts):
            continue  # nearly every text, told at a glance
        for match in _TYPED.finditer(text):
            code = _official(match.group().rstrip("."))
            if code is not None and (book.edition.carries(code) or book.edition.legacy(code)):
                found.append(Claimed(code, record.span(number, match.start(), match.end())))
    return found


@lru_cache(maxsize=8)
def _starts(edition: Edition) -> tuple[str, ...]:
    """What a code of the edition's families begins with, as it is typed."""
    legacy = {item.code for item in edition.legacy_codes()}
    return tuple(sorted({family[:3] for family in edition.families} | legacy))


def claimed_codes(claim: Sequence[str]) -> list[Claimed]:
    """The codes of a claim; one that is not of a code's shape keeps its spelling and is reported as unknown."""
    return [Claimed(_official(code.strip()) or code.strip().upper()) for code in claim]


def _official(code: str) -> str | None:
    if re.fullmatch(r"738\.4|756\.1[12]", code):
        return code
    try:
        return normalize(code)
    except ValueError:
        return None


def p_x3(
    book: CodeBook,
    record: Record,
    conditions: Sequence[Resolved],
    assigned: Assigned,
    claim: Sequence[Claimed],
    typed: Sequence[Claimed],
) -> list[Edit]:
    """Every edit that a claim, or the codes typed in the notes, would hit, with what would mend it."""
    found: list[Edit] = []
    held = {_named(item.code) for item in claim}
    for group in (claim, typed):
        verdicts = [(item, _verdict(book, record, conditions, assigned, item.code)) for item in group]
        pairs = [_proven(edit, verdicts) for edit in _pairs(book, group)]
        paired = {(edit.kind, code) for edit in pairs for code in edit.codes}
        for item, verdict in verdicts:
            if verdict is not None and (verdict.kind, item.code) not in paired:
                found.append(_edit(item, verdict))
            if verdict is not None and verdict.instead and group is claim:
                held.add(_named(verdict.instead))  # its edit asks for this code already
        found += pairs
    for draft in assigned.drafts if claim else ():
        if _named(draft.code) not in held:
            verdict = _Verdict(
                "missing_code",
                f"the record documents {draft.source.condition.replace('_', ' ')}, which no code of the claim names",
                f"add {draft.code}",
                tuple(draft.evidence[:2]),
            )
            found.append(_edit(Claimed(draft.code), verdict, severity="warning"))
    return _joined(found)


def _named(code: str) -> str:
    """What of a code names the condition: its family; of an injury the vertebra too, as each has a code (P-C8)."""
    return code[:7] if code.startswith("S") else code[:5]


def _joined(edits: Iterable[Edit]) -> list[Edit]:
    """One edit for what is wrong with a code, however often it is claimed or typed, with all its evidence."""
    joined: dict[tuple[object, ...], Edit] = {}
    for edit in edits:
        key = (edit.kind, edit.severity, edit.codes, edit.fix)
        first = joined.setdefault(key, edit)
        evidence = tuple(dict.fromkeys((*first.evidence, *edit.evidence)))
        if evidence != first.evidence:
            joined[key] = first.model_copy(update={"evidence": evidence})
    return list(joined.values())


def _proven(pair: Edit, verdicts: Sequence[tuple[Claimed, _Verdict | None]]) -> Edit:
    """An Excludes1 pair with what the record has to say of it, where a code of it was judged for the same reason."""
    for item, verdict in verdicts:
        if verdict is not None and verdict.kind == pair.kind and item.code in pair.codes:
            return pair.model_copy(update={"evidence": (*pair.evidence, *verdict.evidence), "fix": verdict.fix})
    return pair


def _edit(item: Claimed, verdict: _Verdict, severity: str = "error") -> Edit:
    evidence = (*((item.span,) if item.span else ()), *verdict.evidence)
    return Edit(
        kind=verdict.kind,
        severity="warning" if severity == "warning" else "error",
        says=f"{item.code}: {verdict.says}",
        rule="P-X3",
        codes=(item.code,),
        evidence=evidence,
        fix=verdict.fix,
    )


def _verdict(
    book: CodeBook, record: Record, conditions: Sequence[Resolved], assigned: Assigned, code: str
) -> _Verdict | None:
    edition = book.edition
    legacy = edition.legacy(code)
    if legacy is not None:
        says = "an ICD-9-CM code, not valid since October 1 2015"
        heir = next((d for d in assigned.drafts if d.code.startswith(tuple(legacy.successors))), None)
        return _use("icd9", says, heir) if heir else _Verdict("icd9", says, "replace it by the ICD-10-CM code")
    if not edition.carries(code):
        shape = re.fullmatch(r"[A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?", code)
        return None if shape else _Verdict("unknown_code", "not of the form of an ICD-10-CM code", "correct the code")
    sevenths = edition.seventh_characters(code)
    if not edition.is_known(code):
        if sevenths and len(code.replace(".", "")) == 7:
            allowed = ", ".join(sorted(sevenths))
            return _Verdict(
                "seventh_character_invalid", f"the 7th character must be one of {allowed}", "correct the 7th character"
            )
        return _Verdict("unknown_code", f"no such code in {edition.name}", "correct the code")
    if not edition.is_billable(code):
        if sevenths:
            return _Verdict(
                "seventh_character_missing", "a 7th character is required", "add the 7th character of the phase of care"
            )
        return _Verdict("not_billable", "a category, not a billable code", "use the code with its site")
    if any(draft.code == code for draft in assigned.drafts):
        return None
    return _against_record(book, record, conditions, assigned, code)


def _against_record(
    book: CodeBook, record: Record, conditions: Sequence[Resolved], assigned: Assigned, code: str
) -> _Verdict | None:
    suggested = {draft.code: draft for draft in assigned.drafts}
    lysis = next((d for c, d in suggested.items() if d.source.condition == "spondylolysis"), None)
    condition = _FAMILIES.get(code[:5])
    if condition is not None:
        return _acquired(book, record, conditions, suggested, code, condition)
    if code == book.families["congenital"]:
        acquired = [d for c, d in suggested.items() if c.startswith("M43")]
        if acquired:
            return _use(
                "congenital_not_documented", "nothing in the record calls the condition congenital", acquired[0]
            )
        return _unsupported(record, conditions, ("spondylolysis", "spondylolisthesis"))
    if code.startswith(_INJURIES):
        injuries = [d for c, d in suggested.items() if c.startswith(_INJURIES)]
        same = next((d for d in injuries if d.code[:-1] == code[:-1]), None)
        if same is not None:
            return _use("seventh_character_wrong", "the record supports another phase of care", same)
        if injuries:  # of the same vertebra, if the record has one
            near = next((d for d in injuries if d.code[:6] == code[:6]), injuries[0])
            return _use("wrong_injury_code", "the record supports another injury code", near)
        if lysis is not None and any("stress" in causes(found) for found in lysis.deciding):
            return _use("s_code_for_stress", "an injury code for a stress fracture without trauma", lysis)
        if lysis is not None:
            return _use("s_code_for_chronic", "an injury code for an established pars defect", lysis)
        return _unsupported(record, conditions, ("traumatic_fracture",))
    if code.startswith(book.families["fatigue_fracture"]) and lysis is not None:
        return _use(
            "policy_choice",
            "a fatigue-fracture code; this policy codes stress fractures of the pars as spondylolysis",
            lysis,
        )
    return None


def _acquired(
    book: CodeBook,
    record: Record,
    conditions: Sequence[Resolved],
    suggested: Mapping[str, Draft],
    code: str,
    condition: Condition,
) -> _Verdict | None:
    own = next((d for c, d in suggested.items() if c.startswith(code[:5])), None)
    other = next(
        (d for c, d in suggested.items() if c.startswith("M43") and d.source.condition == _OTHER[condition]), None
    )
    if own is not None:
        if code.endswith(str(book.tables["unspecified_site"])):
            return _use("unspecified_code_site_documented", "an unspecified site where the record documents one", own)
        return _use("wrong_site", "the record supports another site", own)
    inborn = suggested.get(book.families["congenital"])
    if inborn is not None:
        return _use("excludes1_q76", f"Excludes1 with {inborn.code}, which the record supports", inborn)
    if other is not None:
        kind = "slip_code_for_lysis_only" if condition == "spondylolisthesis" else "lysis_code_for_slip_only"
        named = {
            "spondylolisthesis": "a slip code where only a pars defect is documented",
            "spondylolysis": "a pars defect code where only a slip is documented",
        }
        return _use(kind, named[condition], other)
    return _unsupported(record, conditions, (condition,))


def _unsupported(record: Record, conditions: Sequence[Resolved], wanted: Sequence[Condition]) -> _Verdict:
    """No code of the record's supports it: because the finding is negated, historical ... or not there at all."""
    item = next((item for item in conditions if item.condition in wanted), None)
    if item is None:
        return _Verdict("no_finding", "nothing in the record states this condition", "remove the code")
    spans = tuple(record.at(found) for found in item.deciding[:2])
    return _Verdict(
        f"{item.assertion}_finding",
        f"the record's only statements of it are {item.assertion}",
        "remove the code, or ask the provider",
        spans,
    )


def _pairs(book: CodeBook, group: Sequence[Claimed]) -> Iterator[Edit]:
    """Excludes1 pairs within one claim, or within the codes typed in the notes."""
    codes = {item.code: item for item in group}
    lysis = next((c for c in codes if c.startswith("M43.0")), None)
    slip = next((c for c in codes if c.startswith("M43.1")), None)
    congenital = book.families["congenital"]
    pairs: list[tuple[str, str, str, str]] = []
    if lysis and slip:
        pairs.append(("excludes1_pair", lysis, slip, f"keep {slip} alone, or show that the sites are unrelated"))
    for code in (lysis, slip):
        if code and congenital in codes:
            pairs.append(("excludes1_q76", code, congenital, "code the condition as congenital or as acquired"))
    for code in (c for c in codes if c.startswith("M43")):
        for other in (c for c in codes if c.startswith(_MALFORMATIONS)):
            pairs.append(("excludes1_category", code, other, "the category M43 excludes this malformation; keep one"))
    for kind, one, other, fix in pairs:
        spans = tuple(codes[code].span for code in (one, other) if codes[code].span is not None)
        note = book.edition.excludes1_conflict(one, other)
        yield Edit(
            kind=kind,
            severity="warning" if kind == "excludes1_pair" and book.policy.excludes1 == "separate" else "error",
            says=f"{one} with {other}: an Excludes1 pair" + (f" (“{note}”)" if note else ""),
            rule="P-X3",
            codes=(one, other),
            evidence=tuple(span for span in spans if span is not None),
            fix=fix,
        )
