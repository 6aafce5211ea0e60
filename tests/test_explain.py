"""Explanations: everything a result says is in them, with where it stands; without quotes, nothing of the note is."""

from __future__ import annotations

import pytest

import parsnlp
from parsnlp import explain
from parsnlp.models import ChecklistItem, Code, Document, Result, Span, Step

LYSIS_AND_SLIP = (
    "CT LUMBAR SPINE\n\nFINDINGS:\nChronic bilateral L5 pars defects with grade 1 anterolisthesis\nof L5 on S1.\n\n"
    "IMPRESSION:\n1. Bilateral L5 pars defects, chronic.\n2. Grade 1 anterolisthesis, L5 on S1.\n"
)


@pytest.fixture(scope="module")
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


@pytest.fixture(scope="module")
def result(extractor: parsnlp.Extractor) -> parsnlp.Result:
    return extractor.extract(LYSIS_AND_SLIP)


def test_every_code_step_and_span_is_there(result: parsnlp.Result) -> None:
    text = explain.explain(result)
    assert [code.code for code in result.codes] == ["M43.17", "M43.06"]
    for code in result.codes:
        assert f"{code.code} {code.display} ({code.status})" in text
        for step in code.trail:
            assert f"{step.rule}: " in text
            for span in step.evidence:
                assert f"“{span.text}” ({span.start}-{span.end})" in text
                assert LYSIS_AND_SLIP[span.start : span.end] == span.text


def test_edits_mentions_queries_and_basis_are_there(extractor: parsnlp.Extractor, result: parsnlp.Result) -> None:
    text = explain.explain(result)
    for edit in result.edits:
        assert edit.says in text and f"[{edit.rule}]" in text
    for finding in result.findings:
        assert f"{finding.id} {finding.condition}, {finding.assertion}" in text
    assert result.rule_set.hash in text and result.code_set.name in text and result.engine in text
    asked = extractor.extract("Possible L5 spondylolysis. No spondylolisthesis.")
    text = explain.explain(asked)
    assert text.startswith("No code is suggested.")
    assert asked.queries and asked.suppressed
    for query in asked.queries:
        assert query.says in text
    for item in asked.suppressed:
        assert f"{item.code} {item.display}" in text and f"[{item.rule}]" in text


def test_the_reason_for_review_has_a_line_of_its_own(result: parsnlp.Result) -> None:
    reviews = [line for line in explain.summary(result) if line.kind == "review"]
    assert len(reviews) == 1 and reviews[0].text.startswith("Review: Excludes1 pair with M43.17")


def test_cited_policy_rules_are_named_in_words(result: parsnlp.Result) -> None:
    assert "P-X2 lysis with slip (Excludes1)" in explain.explain(result)


def test_without_quotes_nothing_of_the_note_shows(extractor: parsnlp.Extractor, canary: str) -> None:
    text = f"Possible {canary} L5 spondylolysis. L4-5 anterolisthesis, {canary}. TLSO brace for 3 months. CT: L5 pars defect."
    result = extractor.extract(text)
    shown = explain.explain(result, quote=False) + "\n".join(map(str, explain.summary(result, quote=False)))
    assert "“" not in shown and "anterolisthesis" not in shown and canary not in shown and "3 months" not in shown
    for code in result.codes:
        assert code.code in shown


def test_several_documents_are_named_and_breaks_are_flattened(result: parsnlp.Result) -> None:
    span = Span(document="ct", start=3, end=15, text="pars\r\n  defect" + "s" * 200)
    code = Code(
        code="M43.06", display="Spondylolysis, lumbar region", status="suggested", condition="spondylolysis",
        reason="why", evidence=(span,), trail=(Step(rule="P-C1", says="acquired", evidence=(span,)),),
    )  # fmt: skip
    documents = (Document(id="ct"), Document(id="visit"))
    item = ChecklistItem(item="level", state="missing", says="ask for the level")
    made = Result(
        id="e", codes=(code,), documents=documents, checklist=(item,), code_set=result.code_set,
        rule_set=result.rule_set, engine="x", warnings=("odd",),
    )  # fmt: skip
    text = explain.explain(made)
    assert "(ct:3-15)" in text and "“pars defects" in text and "…”" in text
    assert "level: missing (ask for the level)" in text and "Warning: odd" in text


def test_a_date_outside_the_code_set_is_told(extractor: parsnlp.Extractor) -> None:
    result = extractor.extract(parsnlp.Note(text="L5 pars defect.", date="2031-01-01"))
    assert result.code_set.covers is False
    assert "outside" in explain.explain(result)
