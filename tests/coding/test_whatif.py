"""What would change the codes: each answer is what the same text with that fact would get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import parsnlp
from parsnlp.explain import explain
from parsnlp.models import Result

EXTRACTOR = parsnlp.load()
CORPORA = Path(__file__).parents[2] / "corpora"


def asked(text: str) -> Result:
    return EXTRACTOR.extract(text, what_if=True)


@pytest.mark.parametrize(
    ("text", "fact", "told"),
    [
        (
            "Assessment: spondylolysis.",
            "the pars defect were in the lumbar region",
            "Assessment: lumbar spondylolysis.",
        ),
        ("Assessment: spondylolysis.", "the pars defect were at L5-S1", "Assessment: spondylolysis at L5-S1."),
        ("Slip of L4 on L5, grade 1.", "the slip were at L5-S1", "Slip of L5 on S1, grade 1."),
        ("Chronic L5 pars defects.", "the pars defect were congenital", "Chronic congenital L5 pars defects."),
        ("Congenital spondylolisthesis of L5 on S1.", "the slip were acquired", "Spondylolisthesis of L5 on S1."),
        ("Possible pars defect at L5.", "the pars defect were stated as present", "Pars defect at L5."),
        ("No spondylolisthesis of L4 on L5.", "the slip were stated as present", "Spondylolisthesis of L4 on L5."),
        (
            "Acute traumatic fracture of the L4 lamina after a fall.",
            "the visit were for nonunion",
            "Nonunion of the traumatic fracture of the L4 lamina after a fall.",
        ),
    ],
)
def test_the_fact_gives_what_the_text_with_it_gets(text: str, fact: str, told: str) -> None:
    (found,) = [item for item in asked(text).what_if if item.fact == fact]
    assert {each.code for each in found.gives} == {code.code for code in EXTRACTOR.extract(told).codes}


def test_every_region_is_tried_where_no_site_is_documented() -> None:
    facts = [item for item in asked("Assessment: spondylolysis.").what_if if item.rule == "P-C3"]
    assert [each.code for item in facts for each in item.gives] == [f"M43.0{digit}" for digit in range(1, 9)]
    assert {item.instead_of for item in facts} == {("M43.00",)}


def test_an_imaging_finding_is_settled_by_the_providers_statement() -> None:
    text = "HPI: back pain.\nIMAGING: MRI shows an L5 pars defect.\nASSESSMENT: back pain."
    result = asked(text)
    assert [code.status for code in result.codes] == ["review"]
    (stated,) = [item for item in result.what_if if item.rule == "P-X4"]
    assert [(each.code, each.status) for each in stated.gives] == [("M43.06", "suggested")] and not stated.instead_of


def test_it_is_left_out_unless_asked_for() -> None:
    assert EXTRACTOR.extract("L5 pars defects.").what_if == ()
    assert asked("Knee pain.").what_if == ()


def test_asking_changes_nothing_else() -> None:
    rows = [json.loads(line) for line in (CORPORA / "dev" / "gold.jsonl").read_text(encoding="utf-8").splitlines()]
    names = [row["id"] for row in rows]
    for name in names:
        text = (CORPORA / "dev" / "notes" / f"{name}.txt").read_text(encoding="utf-8")
        plain, full = EXTRACTOR.extract(text), asked(text)
        assert full.model_copy(update={"what_if": ()}) == plain
        codes = {code.code: code.status for code in plain.codes}
        for item in full.what_if:
            assert item.instead_of or item.gives
            assert set(item.instead_of) <= codes.keys()
            assert all(codes.get(each.code) != each.status for each in item.gives)


def test_the_explanation_tells_it() -> None:
    shown = explain(asked("Assessment: spondylolysis."))
    assert (
        "if the pars defect were at L5-S1: M43.07 Spondylolysis, lumbosacral region in place of M43.00 [P-C3]" in shown
    )
