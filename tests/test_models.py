"""The nouns: frozen, strict, JSON-able, and silent about the note's text."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from parsnlp import models
from parsnlp.models import (
    Alternative,
    Care,
    ChecklistItem,
    Code,
    CodeSet,
    Cue,
    Document,
    Drg,
    Edit,
    Finding,
    Imaging,
    Note,
    NoteCondition,
    Policy,
    Query,
    Result,
    RuleSetInfo,
    Span,
    Step,
    Suppressed,
)


def filled(word: str) -> list[BaseModel]:
    """One of each model that can quote the note, with `word` wherever note text may stand; a `Result` of them last."""
    span = Span(document="note", start=0, end=4, text=word, rule="spondylolysis.pars")
    step = Step(rule="P-C1", says=word, evidence=(span,))
    cue = Cue(category="negated", start=0, end=2, text=word, rule="negated.no")
    finding = Finding(
        id="f1", condition="spondylolysis", assertion="affirmed", document="note", start=0, end=4, text=word,
        cues=(cue,), rule="spondylolysis.pars", trail=(step,),
    )  # fmt: skip
    condition = NoteCondition(condition="spondylolysis", assertion="affirmed", findings=("f1",), trail=(step,))
    code = Code(
        code="M43.06", display="Spondylolysis, lumbar region", status="suggested", condition="spondylolysis",
        reason=word, evidence=(span,), trail=(step,), alternatives=(Alternative(code="M43.07", why="if", rule="P-C4"),),
        drg=(Drg(drg="552", title="Medical Back Problems without MCC"),),
    )  # fmt: skip
    suppressed = Suppressed(code="M43.16", display="x", rule="P-A1", reason=word, evidence=(span,))
    imaging = Imaging(modality="CT", document="note", start=0, end=2, text=word)
    care = Care(kind="bracing", detail=word, duration=word, document="note", start=0, end=2, text=word)
    edit = Edit(kind="excludes1_pair", severity="warning", says=word, rule="P-X2", evidence=(span,))
    query = Query(kind="site_missing", severity="query", says=word, rule="P-X4", evidence=(span,))
    item = ChecklistItem(item="level", state="captured", says=word, evidence=(span,))
    result = Result(
        id="note", codes=(code,), suppressed=(suppressed,), findings=(finding,), conditions=(condition,),
        imaging=(imaging,), conservative_care=(care,), edits=(edit,), queries=(query,), checklist=(item,),
        documents=(Document(id="note", length=4),),
        code_set=CodeSet(id="icd10cm-2026-apr", name="FY2026", valid_from="2026-04-01", valid_to="2026-09-30"),
        rule_set=RuleSetInfo(hash="abc", rules=1), engine="parsnlp 0",
    )  # fmt: skip
    note = Note(text=word, patient=word)
    seen = Document(id="note", patient=word)
    return [note, seen, span, step, cue, finding, condition, code, suppressed, imaging, care, edit, query, item, result]


def test_no_repr_shows_note_text(canary: str) -> None:
    for model in filled(canary):
        assert canary not in repr(model), type(model).__name__
        assert canary not in str(model), type(model).__name__


def test_json_quotes_the_note_unless_told_not_to(canary: str) -> None:
    result = filled(canary)[-1]
    assert isinstance(result, Result)
    assert canary in result.to_json()
    assert canary in result.to_json(text=True)
    silent = result.to_json(text=False)
    assert canary not in silent
    assert '"start":0' in silent
    assert "M43.06" in silent
    assert "P-C1" in silent


def test_json_reads_back() -> None:
    result = filled("pars")[-1]
    assert isinstance(result, Result)
    assert Result.model_validate_json(result.to_json()) == result


def test_every_model_is_frozen() -> None:
    for model in [*filled("pars"), Policy()]:
        name = next(iter(type(model).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, name, getattr(model, name))


def test_every_model_refuses_unknown_fields() -> None:
    for model in filled("pars"):
        fields = {name: getattr(model, name) for name in type(model).model_fields}
        assert type(model)(**fields) == model
        with pytest.raises(ValidationError, match="Extra inputs"):
            type(model)(**fields, levle="L5")


@pytest.mark.parametrize("missing", ["evidence", "trail"])
def test_a_code_needs_evidence_and_a_trail(missing: str) -> None:
    code = next(model for model in filled("pars") if isinstance(model, Code))
    fields: dict[str, Any] = {name: getattr(code, name) for name in Code.model_fields}
    with pytest.raises(ValidationError, match=missing):
        Code(**{**fields, missing: ()})
    del fields[missing]
    with pytest.raises(ValidationError, match=missing):
        Code(**fields)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Note, {"text": "x", "date": "03/02/2026"}),
        (Note, {"text": "x", "date": "2026-3-2"}),
        (Note, {"text": "x", "setting": "ambulatory"}),
        (Note, {"text": 5}),
        (Note, {"text": None}),
        (Note, {}),
        (Span, {"document": "note", "start": -1, "end": 2, "text": "x"}),
        (Policy, {"excludes1": "loose"}),
        (Policy, {"stress_fracture": "S32"}),
    ],
)
def test_wrong_values_are_refused(model: type[BaseModel], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model(**fields)


@pytest.mark.parametrize("field", ["date", "setting", "text"])
def test_a_refusal_does_not_quote_the_note(field: str, canary: str) -> None:
    given: dict[str, Any] = {
        "text": canary,
        "date": None,
        "setting": None,
        field: canary if field != "text" else [canary],
    }
    with pytest.raises(ValidationError) as caught:
        Note(**given)
    assert canary not in str(caught.value)
    assert canary not in repr(caught.value)


def test_a_note_holds_any_str() -> None:
    for text in ("", "\x00", "\ud800", "a\r\nb", "\U0001f600", "x" * 100_000):
        assert Note(text=text).text == text


def test_equal_and_hashable() -> None:
    assert filled("pars") == filled("pars")
    assert filled("pars") != filled("slip")
    span = Span(document="note", start=0, end=4, text="pars")
    assert len({span, Span(document="note", start=0, end=4, text="pars")}) == 1


def test_every_model_has_a_docstring() -> None:
    made = [item for item in vars(models).values() if isinstance(item, type) and issubclass(item, BaseModel)]
    assert len(made) >= 20
    for model in made:
        if model is not BaseModel and not model.__name__.startswith("_"):
            assert "__doc__" in vars(model), model.__name__
            assert vars(model)["__doc__"], model.__name__
