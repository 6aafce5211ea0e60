"""The coding policy as notes and what must come of them: `policy_cases.yaml`, at least three notes for each P-id."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from parsnlp.extractor import Extractor, load
from parsnlp.models import Finding, Note, Result, Step

TABLE = Path(__file__).parent / "policy_cases.yaml"
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
POLICY_IDS = [
    *(f"P-F{n}" for n in range(1, 5)),
    *(f"P-A{n}" for n in range(1, 11)),
    *(f"P-C{n}" for n in range(1, 13)),
    *(f"P-X{n}" for n in range(1, 7)),
]
KEYS = {
    *("id", "text", "notes", "kind", "setting", "policy", "claim", "codes", "findings", "conditions", "suppressed"),
    *("alternatives", "trail", "edits", "queries", "no_queries", "modalities", "care", "drg", "documented_by"),
}
CONDITIONS = ("spondylolysis", "spondylolisthesis", "traumatic_fracture")
ASSERTIONS = ("affirmed", "negated", "uncertain", "hypothetical", "historical", "family", "generic")
_MARK = re.compile(r"\[\[([^\[\]|]+)\|([^\[\]|]+)\]\]")

pytestmark = pytest.mark.prints_note_text  # a failing case shows its own (invented) note


class Mark(NamedTuple):
    """Words of a note with what is asked of them: an assertion, perhaps a condition, or "-" for no finding."""

    start: int
    end: int
    words: str
    condition: str | None
    assertion: str | None


def unmark(marked: str) -> tuple[str, list[Mark]]:
    """The note's text without its marks, and the marks with their offsets in it."""
    text, marks, last = "", [], 0
    for match in _MARK.finditer(marked):
        text += marked[last : match.start()]
        *condition, assertion = match.group(2).split()
        start = len(text)
        text += match.group(1)
        wanted = None if assertion == "-" else assertion
        marks.append(Mark(start, len(text), match.group(1), condition[0] if condition else None, wanted))
        last = match.end()
    return text + marked[last:], marks


@functools.cache
def extractor(setting: str, excludes1: str, stress_fracture: str) -> Extractor:
    return load(setting=setting, excludes1=excludes1, stress_fracture=stress_fracture)


def documents(case: dict[str, Any]) -> list[tuple[Note, list[Mark]]]:
    found = []
    for row in case.get("notes") or [{"text": case["text"], "kind": case.get("kind")}]:
        text, marks = unmark(row["text"])
        found.append((Note(**{**row, "text": text}), marks))
    return found


def steps(result: Result) -> Iterator[Step]:
    for holder in (*result.codes, *result.findings, *result.conditions):
        yield from holder.trail


def listing() -> list[Any]:
    return [pytest.param(case, id=f"{pid}-{case['id']}") for pid, cases in CASES.items() for case in cases]


@pytest.mark.parametrize("case", listing())
def test_policy(case: dict[str, Any]) -> None:
    policy = case.get("policy", {})
    engine = extractor(
        case.get("setting", "outpatient"), policy.get("excludes1", "separate"), policy.get("stress_fracture", "M43.0")
    )
    read = documents(case)
    notes = [note for note, _ in read]
    result = engine.audit(notes, case["claim"]) if "claim" in case else engine.extract_encounter(notes)
    wrong = [*check_marks(result, read), *check(result, case)]
    shown = "\n---\n".join(note.text for note in notes)
    assert not wrong, "\n".join([*wrong, "in:", shown])


def check_marks(result: Result, read: list[tuple[Note, list[Mark]]]) -> Iterator[str]:
    for note, marks in read:
        for mark in marks:
            hits = [
                item
                for item in result.findings
                if item.document == note.id and item.start < mark.end and mark.start < item.end
            ]
            got = ", ".join(f"{item.condition} {item.assertion}" for item in hits) or "no finding"
            if mark.assertion is None:
                if hits:
                    yield f"“{mark.words}”: expected no finding, got {got}"
            elif not any(fits(item, mark) for item in hits):
                yield f"“{mark.words}”: expected {mark.condition or 'a finding'} {mark.assertion}, got {got}"


def fits(item: Finding, mark: Mark) -> bool:
    return item.assertion == mark.assertion and mark.condition in (None, item.condition)


def check(result: Result, case: dict[str, Any]) -> Iterator[str]:
    codes = [code.code if code.status == "suggested" else f"{code.code} {code.status}" for code in result.codes]
    if "codes" in case and codes != case["codes"]:
        yield f"codes: expected {case['codes']}, got {codes}"
    if "findings" in case and len(result.findings) != case["findings"]:
        yield f"findings: expected {case['findings']}, got {[(item.condition, item.start) for item in result.findings]}"
    for name, wanted in case.get("conditions", {}).items():
        shown = next((item.model_dump(mode="json") for item in result.conditions if item.condition == name), {})
        for field, value in wanted.items():
            if not shown or shown[field] != value:
                yield f"{name}.{field}: expected {value!r}, got {shown.get(field, 'no such condition')!r}"
    alternatives = {alternative.code for code in result.codes for alternative in code.alternatives}
    got = {
        "suppressed": {item.code for item in result.suppressed},
        "alternatives": alternatives,
        "trail": {step.rule for step in steps(result)},
        "modalities": {study.modality for study in result.imaging},
        "care": {care.kind for care in result.conservative_care},
    }
    for key, have in got.items():
        if missing := sorted(set(case.get(key, ())) - have):
            yield f"{key}: expected {missing} among {sorted(have)}"
    kinds = sorted({query.kind for query in result.queries})
    for wanted in case.get("queries", ()):
        if not any(wanted in kind for kind in kinds):
            yield f"queries: expected {wanted} among {kinds}"
    if asked := sorted(set(case.get("no_queries", ())) & set(kinds)):
        yield f"queries: not expected {asked}"
    edits = [(edit.rule, set(edit.codes)) for edit in result.edits]
    if case.get("edits") == [] and edits:
        yield f"edits: expected none, got {edits}"
    for rule, *wanted in case.get("edits", ()):
        if not any(re.fullmatch(rule, have_rule) and set(wanted) <= have for have_rule, have in edits):
            yield f"edits: expected {rule} on {wanted}, got {edits}"
    for code, groups in case.get("drg", {}).items():
        carried = {item.code: [group.drg for group in item.drg] for item in result.codes}
        if carried.get(code) != groups:
            yield f"drg of {code}: expected {groups}, got {carried}"
    if "documented_by" in case and {item.documented_by for item in result.findings} != {case["documented_by"]}:
        yield f"documented_by: expected {case['documented_by']}, got {[item.documented_by for item in result.findings]}"


def test_every_policy_id_has_its_cases() -> None:
    assert list(CASES) == POLICY_IDS
    assert {pid: len(cases) for pid, cases in CASES.items() if len(cases) < 3} == {}


def test_the_table_is_well_formed() -> None:
    for pid, cases in CASES.items():
        names = [case["id"] for case in cases]
        assert len(names) == len(set(names)), pid
        for case in cases:
            assert not set(case) - KEYS, (pid, case["id"], set(case) - KEYS)
            assert ("text" in case) != ("notes" in case), (pid, case["id"])
            expected = set(case) - {"id", "text", "notes", "kind", "setting", "policy", "claim"}
            assert expected, f"{pid} {case['id']} expects nothing"
            for note, marks in documents(case):
                assert "[[" not in note.text and "]]" not in note.text, (pid, case["id"])
                for mark in marks:
                    assert mark.condition in (None, *CONDITIONS), (pid, case["id"], mark)
                    assert mark.assertion in (None, *ASSERTIONS), (pid, case["id"], mark)


def test_a_wrong_expectation_is_caught() -> None:
    """The checker itself can fail: each wrong expectation about a plain note yields a complaint."""
    result = extractor("outpatient", "separate", "M43.0").extract("Assessment: Bilateral L5 spondylolysis.")
    for wrong in (
        {"codes": ["M43.07"]},
        {"codes": ["M43.06 review"]},
        {"findings": 0},
        {"conditions": {"spondylolysis": {"levels": ["L4"]}}},
        {"conditions": {"spondylolisthesis": {"levels": []}}},
        {"suppressed": ["M43.16"]},
        {"alternatives": ["M43.07"]},
        {"trail": ["P-Z9"]},
        {"queries": ["site_missing"]},
        {"no_queries": ["chronicity_missing"]},
        {"edits": [["P-X2", "M43.16"]]},
        {"modalities": ["CT"]},
        {"care": ["bracing"]},
        {"drg": {"M43.06": []}},
        {"documented_by": "imaging"},
    ):
        assert list(check(result, wrong)), wrong
    note = Note(text="Assessment: Bilateral L5 spondylolysis.")
    assert list(check_marks(result, [(note, [Mark(25, 38, "spondylolysis", None, "negated")])]))
    assert list(check_marks(result, [(note, [Mark(25, 38, "spondylolysis", None, None)])]))
    assert list(check_marks(result, [(note, [Mark(0, 10, "Assessment", None, "affirmed")])]))
    assert not list(check_marks(result, [(note, [Mark(25, 38, "spondylolysis", "spondylolysis", "affirmed")])]))
