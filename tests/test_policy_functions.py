"""Each rule of the policy is one named function, and each matters: without it some note of its own comes out otherwise."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import parsnlp
from parsnlp.extract.attributes import Attributes
from parsnlp.models import Note

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parent / "policy_cases.yaml").read_text(encoding="utf-8")
)


@functools.cache
def extractor(setting: str, excludes1: str, stress_fracture: str) -> parsnlp.Extractor:
    return parsnlp.load(setting, excludes1, stress_fracture)


def nothing(*_: Any, **__: Any) -> None:
    return None


def first(value: Any, *_: Any) -> Any:
    return value


def third(_one: Any, _two: Any, value: Any, *_: Any) -> Any:
    return value


def empty(*_: Any) -> list[Any]:
    return []


# The function of each rule, and what stands in its place when it does nothing.
FUNCTIONS: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    "P-F1": [("extract.pipeline.p_f1", first)],
    "P-F2": [("extract.pipeline.p_f2", first)],
    "P-F3": [
        (f"extract.assertion.p_f3_{name}", nothing)
        for name in ("generic", "family", "worded", "hypothetical", "uncertain")
    ],
    "P-F4": [("extract.findings.p_f4", lambda _b, _r, _s, mentions: [Attributes() for _ in mentions])],
    "P-A1": [("extract.assertion.p_a1", nothing)],
    "P-A2": [("extract.context.p_a2", first)],
    "P-A3": [("extract.assertion.p_a3", nothing)],
    "P-A4": [("resolve.p_a4", lambda _record, affirmed, *_: (affirmed, False))],
    "P-A5": [("extract.assertion.p_a5", nothing)],
    "P-A6": [("extract.assertion.p_a6", nothing)],
    "P-A7": [("extract.assertion.p_a7", nothing)],
    "P-A8": [("extract.context.p_a8", first)],
    "P-A9": [("extract.assertion.p_a9", nothing), ("extract.assertion.p_a9_box", nothing)],
    "P-A10": [("resolve.p_a10", nothing)],
    "P-C1": [("coding.assign.p_c1", nothing)],
    "P-C2": [("coding.assign.p_c2", nothing)],
    "P-C3": [("coding.assign.p_c3", lambda *_: ("0", []))],
    "P-C4": [("coding.sites.p_c4", empty), ("coding.assign.p_c4_single_vertebra", nothing)],
    "P-C5": [("resolve.p_c5", nothing)],
    "P-C6": [("coding.assign.p_c6", third)],
    "P-C7": [("coding.assign.p_c7", third)],
    "P-C8": [("coding.injuries.p_c8", empty)],
    "P-C9": [("coding.injuries.p_c9", empty)],
    "P-C10": [("coding.injuries.p_c10", nothing)],
    "P-C11": [("extract.findings.p_c11", lambda _ages: False)],
    "P-C12": [("coding.assign.p_c12", first)],
    "P-X1": [("coding.excludes.p_x1", empty)],
    "P-X2": [("coding.assign.p_x2", nothing)],
    "P-X3": [("extractor.p_x3", empty)],
    "P-X4": [("extractor.p_x4", empty)],
    "P-X5": [("coding.assign.p_x5", lambda *_: ())],
    "P-X6": [("coding.assign.p_x6", nothing)],
}


def test_every_rule_has_its_function_and_three_notes() -> None:
    assert set(FUNCTIONS) == set(CASES)
    assert {pid: len(cases) for pid, cases in CASES.items() if len(cases) < 3} == {}


@pytest.mark.parametrize("pid", FUNCTIONS)
def test_the_rule_matters(pid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rule = [outcome(case) for case in CASES[pid]]
    assert all(shown.startswith("{") for shown in with_rule)
    for path, replacement in FUNCTIONS[pid]:
        module, name = path.rsplit(".", 1)
        monkeypatch.setattr(importlib.import_module(f"parsnlp.{module}"), name, replacement)
    without = [outcome(case) for case in CASES[pid]]
    changed = [case["id"] for case, one, other in zip(CASES[pid], with_rule, without, strict=True) if one != other]
    assert changed, f"{pid}: none of its {len(without)} notes comes out otherwise without the rule"


def outcome(case: dict[str, Any]) -> str:
    """What a note's case comes out as, or the error that leaving the rule out runs into."""
    policy = case.get("policy", {})
    engine = extractor(
        case.get("setting", "outpatient"), policy.get("excludes1", "separate"), policy.get("stress_fracture", "M43.0")
    )
    rows = case.get("notes") or [{"text": case["text"], "kind": case.get("kind")}]
    notes = [Note(**{**row, "text": unmarked(row["text"])}) for row in rows]
    try:
        result = engine.audit(notes, case["claim"]) if "claim" in case else engine.extract_encounter(notes)
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        return f"cannot go on without the rule: {type(error).__name__}"
    return result.to_json()


def unmarked(text: str) -> str:
    """A case's text without its marks: `[[pars defect|affirmed]]` is "pars defect"."""
    out = []
    for piece in text.split("[["):
        word, mark, rest = piece.partition("]]")
        out.append(word.split("|")[0] + rest if mark else piece)
    return "".join(out)
