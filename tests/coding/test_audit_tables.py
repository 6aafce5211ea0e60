"""Every kind of edit, word for word: what the claim has, what the record says, what mends it (P-X3)."""

from __future__ import annotations

import pytest

import parsnlp

EXTRACTOR = parsnlp.load()
LYSIS, SLIP, CONGENITAL = "L5 pars defect.", "Spondylolisthesis at L5-S1.", "Congenital spondylolisthesis L5-S1."
NOTHING = "Low back pain."
ONE, TWO = (
    "MVC with acute traumatic L3 pedicle fracture.",
    "MVC with acute traumatic L3 pedicle fracture and L4 lamina fracture.",
)


def edits(note: str, *claim: str) -> list[tuple[str, str, str, str | None]]:
    audit = EXTRACTOR.audit(note, list(claim))
    assert {edit.rule for edit in audit.edits} <= {"P-X3"}
    return [(edit.kind, edit.severity, edit.says, edit.fix) for edit in audit.edits]


@pytest.mark.parametrize(
    ("note", "claim", "kind", "says", "fix"),
    [
        (
            LYSIS,
            ["738.4", "M43.06"],
            "icd9",
            "738.4: an ICD-9-CM code, not valid since October 1 2015",
            "use M43.06",
        ),
        (
            NOTHING,
            ["756.12"],
            "icd9",
            "756.12: an ICD-9-CM code, not valid since October 1 2015",
            "replace it by the ICD-10-CM code",
        ),
        (
            LYSIS,
            ["banana", "M43.06"],
            "unknown_code",
            "BANANA: not of the form of an ICD-10-CM code",
            "correct the code",
        ),
        (NOTHING, ["M43.06"], "no_finding", "M43.06: nothing in the record states this condition", "remove the code"),
        (NOTHING, ["M43.17"], "no_finding", "M43.17: nothing in the record states this condition", "remove the code"),
        (NOTHING, ["Q76.2"], "no_finding", "Q76.2: nothing in the record states this condition", "remove the code"),
        (
            NOTHING,
            ["S32.058A"],
            "no_finding",
            "S32.058A: nothing in the record states this condition",
            "remove the code",
        ),
        (
            "L5 pars stress fracture.",
            ["M48.46XA"],
            "policy_choice",
            "M48.46XA: a fatigue-fracture code; this policy codes stress fractures of the pars as spondylolysis",
            "use M43.06",
        ),
        (ONE, ["S22.038A"], "wrong_injury_code", "S22.038A: the record supports another injury code", "use S32.038A"),
        (
            CONGENITAL,
            ["M43.17"],
            "excludes1_q76",
            "M43.17: Excludes1 with Q76.2, which the record supports",
            "use Q76.2",
        ),
        (
            CONGENITAL,
            ["Q76.2", "M43.17"],
            "excludes1_q76",
            "M43.17 with Q76.2: an Excludes1 pair (“congenital spondylolisthesis (Q76.2)”)",
            "use Q76.2",
        ),
    ],
)
def test_an_edit_word_for_word(note: str, claim: list[str], kind: str, says: str, fix: str) -> None:
    assert edits(note, *claim) == [(kind, "error", says, fix)]


@pytest.mark.parametrize(
    ("note", "claim", "missing", "condition"),
    [
        (f"{LYSIS} Slip L5 on S1.", "M43.06", "M43.17", "spondylolisthesis"),
        (f"{LYSIS} Slip L5 on S1.", "M43.17", "M43.06", "spondylolysis"),
        (TWO, "S32.038A", "S32.048A", "traumatic fracture"),
        (TWO, "S32.048D", "S32.038A", "traumatic fracture"),
        (LYSIS, "banana", "M43.06", "spondylolysis"),
    ],
)
def test_what_the_claim_leaves_out_is_a_warning(note: str, claim: str, missing: str, condition: str) -> None:
    says = f"{missing}: the record documents {condition}, which no code of the claim names"
    assert ("missing_code", "warning", says, f"add {missing}") in edits(note, claim)


def test_a_wrong_injury_code_is_not_told_as_missing_too() -> None:
    assert [kind for kind, *_ in edits(ONE, "S32.048A")] == ["wrong_injury_code"]
    assert "missing_code" not in [kind for kind, *_ in edits(TWO, "S32.038A", "S32.048A")]


@pytest.mark.parametrize(
    ("note", "claim"), [(LYSIS, ["M43.06", "E11.9"]), (NOTHING, ["E11.9"]), (TWO, ["S32.038A", "S32.048A"])]
)
def test_a_clean_claim(note: str, claim: list[str]) -> None:
    assert edits(note, *claim) == []
