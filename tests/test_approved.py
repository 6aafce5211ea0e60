"""Every word that the engine says of encounters, full-length notes and trail cases, as it was last read and approved.

A change that moves an answer, a reason, a step of a trail, an edit or a query shows here, note by note. When the change is
meant: read the difference, then `make approve`, and commit both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import parsnlp
from parsnlp.evaluation import gold as golden
from parsnlp.models import Note, Result, Span

ROOT = Path(__file__).parent
APPROVED = ROOT / "approved"
GOLD = {
    "encounters": ROOT.parent / "corpora" / "encounters" / "gold.jsonl",
    "full": ROOT.parent / "corpora" / "blind" / "full" / "gold.jsonl",
}
POLICIES = ("strict",), ("separate", "M48.4")
CASES = ROOT / "trail_cases.yaml"


def said(result: Result, whole: bool = False) -> dict[str, Any]:
    """What a coder reads of a result, in a form whose differences are easy to read. `whole`: also what programs read."""

    def places(spans: tuple[Span, ...]) -> list[str]:
        return [f"{span.document}:{span.start}-{span.end}" + f" {span.rule}" * whole for span in spans]

    def steps(trail: Any) -> list[str]:
        return [f"{step.rule}: {step.says} {places(step.evidence)}" for step in trail]

    return {
        "codes": [
            {
                "code": f"{code.code} {f'“{code.display}” ' * whole}{code.status}: {code.reason}",
                "evidence": places(code.evidence),
                "trail": steps(code.trail),
                "alternatives": [f"{item.code}: {item.why} ({item.rule})" for item in code.alternatives],
            }
            for code in result.codes
        ],
        "refused": [
            f"{item.code} {f'“{item.display}” ' * whole}{item.rule}: {item.reason} {places(item.evidence)}"
            for item in result.suppressed
        ],
        "conditions": [
            f"{item.condition} {item.assertion} {item.levels} {item.laterality} {item.documented_by}"
            + f" {item.regions} {item.chronicity} {item.etiology} {item.grade} {item.direction} {item.findings}" * whole
            + f": {steps(item.trail)}"
            for item in result.conditions
        ],
        "edits": [
            f"{item.kind} {item.severity} {item.codes} {item.rule}: {item.says} / {item.fix} {places(item.evidence)}"
            for item in result.edits
        ],
        "queries": [
            f"{item.kind} {item.severity} {item.rule}: {item.says} {item.options} {places(item.evidence)}"
            for item in result.queries
        ],
        "checklist": [f"{item.item} {item.state}: {item.says} {places(item.evidence)}" for item in result.checklist],
    }


@lru_cache(maxsize=3)
def extractor(excludes1: str, stress_fracture: str = "M43.0") -> parsnlp.Extractor:
    return parsnlp.load(excludes1=excludes1, stress_fracture=stress_fracture)


def cases() -> Iterator[tuple[str, list[Note], list[str] | None]]:
    for case in yaml.safe_load(CASES.read_text(encoding="utf-8")):
        documents = case.get("documents") or [{"id": "note", "text": case["text"], "kind": case.get("kind")}]
        setting = case.get("setting", "outpatient")
        yield case["id"], [Note(**one, setting=setting) for one in documents], case.get("claim")


def rows(name: str) -> Iterator[dict[str, Any]]:
    if name == "trails":
        for which, notes, claim in cases():
            whole = said(extractor("separate").audit(notes, claim), whole=True)
            strict, fatigue = (said(extractor(*policy).extract_encounter(notes))["codes"] for policy in POLICIES)
            yield {"id": which, **whole, "strict": strict, "fatigue": fatigue}
        return
    claims = {}
    for line in GOLD[name].read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        claims[row["id"]] = row.get("claim"), row.get("corrected_claim")
    for gold in golden.read_file(GOLD[name]):
        notes = gold.notes()
        one = {"id": gold.id, **said(extractor("separate").extract_encounter(notes))}
        fatigue = said(extractor("separate", "M48.4").extract_encounter(notes))["codes"]
        if fatigue != one["codes"]:
            one["fatigue"] = fatigue
        one["strict"] = said(extractor("strict").extract_encounter(notes))["codes"]
        for which, claim in zip(("claim", "corrected"), claims[gold.id], strict=True):
            if claim is not None:
                one[which] = said(extractor("separate").audit(notes, claim))["edits"]
        one["typed"] = said(extractor("separate").audit(notes))["edits"]
        yield one


@pytest.mark.parametrize("name", [*GOLD, "trails"])
def test_as_approved(name: str) -> None:
    path = APPROVED / f"{name}.jsonl"
    got = [json.dumps(row, ensure_ascii=False) for row in rows(name)]
    if os.environ.get("PARSNLP_APPROVE"):
        APPROVED.mkdir(exist_ok=True)
        path.write_text("\n".join(got) + "\n", encoding="utf-8", newline="\n")
    approved = path.read_text(encoding="utf-8").splitlines()
    assert len(got) == len(approved)
    for one, other in zip(got, approved, strict=True):
        assert json.loads(one) == json.loads(other)
