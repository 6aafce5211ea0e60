"""The scorer against cases small enough to be counted by hand."""

from __future__ import annotations

import itertools
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parsnlp.errors import InputError
from parsnlp.evaluation import Evaluation, agreement, evaluate, evaluate_file
from parsnlp.evaluation import gold as golden
from parsnlp.evaluation.compare import Scored, match, same
from parsnlp.evaluation.figures import SEED, Tally, proportion
from parsnlp.evaluation.gold import GoldMention, read_annotations, read_archive, read_file, read_rows
from parsnlp.evaluation.score import Scorer
from parsnlp.extractor import Extractor, load
from parsnlp.interfaces import cli, sealed
from parsnlp.models import (
    Care,
    Code,
    CodeSet,
    Cue,
    Document,
    Finding,
    Imaging,
    NoteCondition,
    Policy,
    Query,
    Result,
    RuleSetInfo,
    Span,
    Step,
    Suppressed,
)

LYSIS, SLIP, FRACTURE = "spondylolysis", "spondylolisthesis", "traumatic_fracture"
TEXT = "x" * 200


# --- figures ---


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [  # by hand, z = 1.96: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (50, 100, 0.4038, 0.5962),
        (95, 100, 0.8882, 0.9785),
    ],
)
def test_wilson(right: int, of: int, low: float, high: float) -> None:
    share = proportion(right, of)
    assert share.value == right / of
    assert share.low == pytest.approx(low, abs=1e-4)
    assert share.high == pytest.approx(high, abs=1e-4)


def test_a_share_of_nothing_is_null() -> None:
    assert proportion(0, 0).model_dump() == {"right": 0, "of": 0, "value": None, "low": None, "high": None}


def test_f1_by_hand() -> None:
    tally = Tally(3)
    tally.add("k", 0, 3, 1, 0)
    tally.add("k", 1, 0, 0, 2)
    tally.add("k", 1, 1, 0, 0)
    score = tally.f1("k")
    assert (score.tp, score.fp, score.fn) == (4, 1, 2)
    assert score.precision.value == pytest.approx(4 / 5)
    assert score.recall.value == pytest.approx(4 / 6, abs=1e-6)
    assert score.f1 == pytest.approx(8 / 11, abs=1e-6)
    assert tally.f1("nothing").f1 is None
    assert (tally.f1("nothing").low, tally.f1("nothing").high) == (None, None)


def test_bootstrap_draws_whole_notes() -> None:
    tally = Tally(2)  # one note right, one wrong: a resample is both right (1), one of each (2/3) or both wrong (0)
    tally.add("k", 0, 1, 0, 0)
    tally.add("k", 1, 0, 0, 1)
    assert (tally.f1("k").low, tally.f1("k").high) == (0.0, 1.0)
    tally.add("right", 0, 5, 0, 0)
    assert (tally.f1("right").low, tally.f1("right").high) == (1.0, 1.0)
    tally.add("wrong", 1, 0, 5, 5)
    assert (tally.f1("wrong").low, tally.f1("wrong").high) == (0.0, 0.0)


def test_bootstrap_equals_one_written_out() -> None:
    chance = random.Random(7)
    counts = [(chance.randrange(4), chance.randrange(2), chance.randrange(2)) for _ in range(40)]
    tally = Tally(40)
    for note, (tp, fp, fn) in enumerate(counts):
        tally.add("k", note, tp, fp, fn)
    chance = random.Random(SEED)
    scores = []
    for _ in range(tally.resamples):
        drawn = [counts[note] for note in chance.choices(range(40), k=40)]
        tp, fp, fn = (sum(column) for column in zip(*drawn, strict=True))
        scores.append(2 * tp / (2 * tp + fp + fn))
    scores.sort()
    score = tally.f1("k")
    assert tally.resamples == 400
    assert score.low == pytest.approx(scores[9] + 0.975 * (scores[10] - scores[9]), abs=1e-6)  # 0.025 * 399 = 9.975
    assert score.high == pytest.approx(scores[389] + 0.025 * (scores[390] - scores[389]), abs=1e-6)
    assert score.low < score.f1 < score.high  # type: ignore[operator]


def test_large_corpora_are_resampled_less() -> None:
    assert Tally(1000).resamples == 400
    assert Tally(2000).resamples == 200
    assert Tally(10**6).resamples == 100


# --- matching ---


def mention(start: int, end: int, assertion: str = "affirmed", condition: str = SLIP) -> GoldMention:
    return GoldMention.model_validate({"condition": condition, "assertion": assertion, "start": start, "end": end})


@pytest.mark.parametrize(
    ("gold", "got", "pairs"),
    [
        ([mention(0, 5)], [mention(4, 9)], [(0, 0)]),
        ([mention(0, 5)], [mention(5, 9)], []),  # neighbours do not overlap
        ([mention(0, 5)], [mention(0, 5, condition=LYSIS)], []),
        ([mention(0, 5)], [mention(0, 5, "negated")], [(0, 0)]),  # the assertion is scored apart
        ([mention(0, 10)], [mention(0, 4), mention(5, 10)], [(0, 1)]),  # one to one; the longer overlap
        ([mention(0, 4), mention(5, 10)], [mention(0, 10)], [(0, 0)]),
        # the first takes its longest overlap, and gives it up when the second has no other
        ([mention(0, 10), mention(8, 9)], [mention(5, 12), mention(0, 3)], [(0, 1), (1, 0)]),
        ([], [mention(0, 4)], []),
        ([mention(0, 4)], [], []),
    ],
)
def test_match(gold: list[GoldMention], got: list[GoldMention], pairs: list[tuple[int, int]]) -> None:
    assert match(gold, got) == pairs


def test_match_with_assertion() -> None:
    gold = [mention(0, 10, "negated")]
    assert match(gold, [mention(0, 10), mention(8, 9, "negated")], assertion=True) == [(0, 1)]
    assert match(gold, [mention(0, 10)], assertion=True) == []


def test_match_finds_as_many_pairs_as_there_can_be() -> None:
    chance = random.Random(3)

    def some() -> list[GoldMention]:
        starts = [chance.randrange(20) for _ in range(chance.randrange(6))]
        return [mention(at, at + chance.randint(1, 8), condition=chance.choice([LYSIS, SLIP])) for at in starts]

    def most(gold: Sequence[GoldMention], got: Sequence[GoldMention]) -> int:
        if len(gold) > len(got):
            gold, got = got, gold
        return max(
            sum(
                a.condition == b.condition and a.start < b.end and b.start < a.end
                for a, b in zip(gold, order, strict=False)
            )
            for order in itertools.permutations(got, len(gold))
        )

    for _ in range(300):
        gold, got = some(), some()
        pairs = match(gold, got)
        assert len(pairs) == most(gold, got)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("attribute", "gold", "got", "right"),
    [
        ("levels", ("L4", "L5"), ("L5", "L4"), True),
        ("levels", ("L5",), ("L4", "L5"), False),
        ("levels", (), (), True),
        ("levels", None, (), True),
        ("grade", "4 mm", "4  MM", True),
        ("grade", "II", "I", False),
        ("grade", None, "I", False),
        ("laterality", "left", None, False),
        ("laterality", None, None, True),
    ],
)
def test_same(attribute: str, gold: Any, got: Any, right: bool) -> None:
    assert same(attribute, gold, got) is right


# --- a corpus of hand-made results ---


def code(name: str, condition: str, status: str = "suggested") -> Code:
    span = Span(document="n", start=0, end=4, text="slip")
    step = Step(rule="P-C2", says="why", evidence=(span,))
    values = {"code": name, "display": "", "status": status, "condition": condition, "reason": "r"}
    return Code.model_validate({**values, "evidence": (span,), "trail": (step, step)})


def finding(condition: str, assertion: str, start: int, end: int, rule: str = "slip.one", *cues: str) -> Finding:
    found = [Cue(category="negated", start=0, end=2, text="no", rule=cue) for cue in cues]
    values = {"condition": condition, "assertion": assertion, "document": "n", "start": start, "end": end}
    return Finding.model_validate({**values, "id": f"f{start}", "text": "", "rule": rule, "cues": tuple(found)})


def condition(name: str, assertion: str = "affirmed", **attributes: Any) -> NoteCondition:
    return NoteCondition.model_validate({"condition": name, "assertion": assertion, **attributes})


def result(**parts: Any) -> Result:
    edition = CodeSet(id="e", name="e", valid_from="2025-10-01", valid_to="2026-09-30")
    return Result(id="n", code_set=edition, rule_set=RuleSetInfo(hash="h", rules=2), engine="test", **parts)


def study(modality: str) -> Imaging:
    return Imaging(modality=modality, document="n", start=0, end=2, text="MR")


def care(kind: str) -> Care:
    return Care(kind=kind, document="n", start=0, end=2, text="PT")


def query(kind: str) -> Query:
    return Query(kind=kind, severity="query", says="?", rule="P-X4")


def gold_mention(name: str, assertion: str, start: int, end: int) -> dict[str, Any]:
    return {"condition": name, "assertion": assertion, "start": start, "end": end}


def score(cases: list[tuple[dict[str, Any], Result, Result | None]], sealed: bool = False) -> Evaluation:
    rows = read_rows([{"text": TEXT, **row} for row, _, _ in cases])
    scorer = Scorer(len(rows), sealed)
    for row, (_, got, strict) in zip(rows, cases, strict=True):
        scorer.add(Scored(row, got, strict))
    return scorer.evaluation(
        gold="rows",
        digest="0",
        kinds="given",
        engine="test",
        rule_set=RuleSetInfo(hash="h", rules=2),
        policy=Policy(),
        known_rules=["slip.one", "slip.never"],
    )


SLIP_GOLD = {"levels": ["L4-L5"], "grade": "I", "etiology": None, "direction": "antero"}
LYSIS_GOLD = {"levels": ["L5"], "laterality": "left", "chronicity": None, "etiology": None}
CASES: list[tuple[dict[str, Any], Result, Result | None]] = [
    (  # a: a pair under separate, one code under strict; all right but the grade and one care
        {
            "id": "a",
            "kind": "consult",
            "setting": "outpatient",
            "codes": ["M43.16", "M43.06"],
            "strict_codes": ["M43.16"],
            "review": True,
            "mentions": [gold_mention(SLIP, "affirmed", 10, 20), gold_mention(LYSIS, "affirmed", 30, 40)],
            "attributes": {SLIP: SLIP_GOLD, LYSIS: LYSIS_GOLD},
            "imaging": ["MRI", "CT"],
            "conservative_care": ["bracing"],
            "queries": ["chronicity_missing"],
        },
        result(
            codes=(code("M43.06", LYSIS, "review"), code("M43.16", SLIP)),
            findings=(finding(SLIP, "affirmed", 12, 20), finding(LYSIS, "affirmed", 30, 44, "lysis.one")),
            conditions=(
                condition(SLIP, levels=("L4-L5",), grade="II", direction="antero"),
                condition(LYSIS, levels=("L5",), laterality="left"),
            ),
            imaging=(study("MRI"), study("MRI"), study("CT")),
            conservative_care=(care("bracing"), care("injection")),
            queries=(query("chronicity_missing"), query("site_missing"), query("something_new")),
        ),
        result(codes=(code("M43.16", SLIP),)),
    ),
    (  # b: nothing to code; a negated mention read as affirmed gives a code too much
        {
            "id": "b",
            "kind": "radiology",
            "setting": "outpatient",
            "codes": [],
            "strict_codes": [],
            "review": False,
            "mentions": [gold_mention(SLIP, "negated", 10, 20)],
            "attributes": {SLIP: None, LYSIS: None},
            "imaging": ["CT"],
            "conservative_care": [],
            "queries": [],
        },
        result(
            codes=(code("M43.10", SLIP, "review"),),
            findings=(finding(SLIP, "affirmed", 10, 20, "slip.one", "negated.no"),),
            conditions=(condition(SLIP),),
            imaging=(),
            conservative_care=(care("injection"),),
        ),
        result(codes=(code("M43.10", SLIP),)),
    ),
    (  # c: an S code missed, with its mention; another mention too much; a discharge note, so care does not count
        {
            "id": "c",
            "kind": "discharge",
            "setting": "inpatient",
            "codes": ["S32.058A", "M43.16"],
            "strict_codes": ["S32.058A", "M43.16"],
            "review": False,
            "mentions": [gold_mention(FRACTURE, "affirmed", 50, 60), gold_mention(SLIP, "uncertain", 70, 80)],
            "attributes": {
                SLIP: {"levels": [], "grade": None},
                LYSIS: None,
                FRACTURE: {"levels": ["L5"], "laterality": None},
            },
            "imaging": [],
            "conservative_care": ["bracing"],
            "queries": ["uncertain_wording"],
        },
        result(
            codes=(code("M43.16", SLIP),),
            findings=(finding(SLIP, "uncertain", 70, 80), finding(LYSIS, "negated", 90, 99, "lysis.one", "negated.no")),
            conditions=(condition(SLIP, "uncertain"), condition(FRACTURE, "negated", levels=("L5",))),
            suppressed=(Suppressed(code="S32.058A", display="", rule="P-C9", reason="told so"),),
        ),
        result(codes=(code("M43.16", SLIP), code("S32.058A", FRACTURE))),
    ),
    (  # d: only codes are annotated; all right
        {"id": "d", "codes": [], "kind": "radiology"},
        result(),
        None,
    ),
]


@pytest.fixture(scope="module")
def scored() -> Evaluation:
    return score(CASES)


def counts(score: Any) -> tuple[int, int, int]:
    return (score.tp, score.fp, score.fn)


def share(figure: Any) -> tuple[int, int]:
    return (figure.right, figure.of)


def test_codes(scored: Evaluation) -> None:
    codes = scored.codes
    assert share(codes.exact) == (2, 4)
    assert share(codes.coded) == (1, 2)
    assert share(codes.uncoded) == (1, 2)
    assert share(codes.s_codes) == (0, 1)
    assert share(codes.no_s_codes) == (2, 3)
    assert counts(codes.micro) == (3, 1, 1)
    assert codes.micro.f1 == 0.75


def test_strict_codes(scored: Evaluation) -> None:
    assert share(scored.strict.exact) == (2, 3)  # a and c; d is not annotated
    assert share(scored.strict.coded) == (2, 2)
    assert share(scored.strict.uncoded) == (0, 1)
    assert counts(scored.strict.micro) == (3, 1, 0)


def test_per_code(scored: Evaluation) -> None:
    assert {name: counts(score) for name, score in scored.per_code.items()} == {
        "M43.06": (1, 0, 0),
        "M43.10": (0, 1, 0),
        "M43.16": (2, 0, 0),
        "S32.058A": (0, 0, 1),
    }
    assert list(scored.per_code) == sorted(scored.per_code)


def test_mentions(scored: Evaluation) -> None:
    assert counts(scored.mentions.spans) == (4, 1, 1)  # a 2, b 1, c 1; c has one too much and one missed
    assert counts(scored.mentions.asserted) == (3, 2, 2)
    assert share(scored.mentions.assertion) == (3, 4)
    assert scored.mentions.confusion == {
        "affirmed": {"affirmed": 2},
        "negated": {"affirmed": 1},
        "uncertain": {"uncertain": 1},
    }
    assert {name: counts(score) for name, score in scored.mentions.by_assertion.items()} == {
        "affirmed": (2, 1, 1),
        "negated": (0, 1, 1),
        "uncertain": (1, 0, 0),
    }


def test_per_condition(scored: Evaluation) -> None:
    assert {name: (counts(scores.mentions), counts(scores.notes)) for name, scores in scored.per_condition.items()} == {
        LYSIS: ((1, 1, 0), (1, 0, 0)),
        SLIP: ((3, 0, 0), (2, 1, 0)),
        FRACTURE: ((0, 0, 1), (0, 0, 1)),
    }


def test_attributes(scored: Evaluation) -> None:
    figures = {
        (item.condition, item.attribute): (share(item.all), share(item.documented), share(item.null))
        for item in scored.attributes
    }
    # levels: slip and lysis of a, slip of c (null) right; the fracture of c was not affirmed, so it is wrong
    assert figures["all", "levels"] == ((3, 4), (2, 3), (1, 1))
    assert figures[FRACTURE, "levels"] == ((0, 1), (0, 1), (0, 0))
    assert figures["all", "grade"] == ((1, 2), (0, 1), (1, 1))
    assert figures["all", "laterality"] == ((1, 2), (1, 1), (0, 1))
    assert figures["all", "chronicity"] == ((1, 1), (0, 0), (1, 1))
    assert figures["all", "etiology"] == ((2, 2), (0, 0), (2, 2))
    assert figures["all", "direction"] == ((1, 1), (1, 1), (0, 0))
    assert (LYSIS, "grade") not in figures


def test_services_queries_and_review(scored: Evaluation) -> None:
    assert counts(scored.imaging) == (2, 0, 1)  # sets: MRI twice is once
    assert counts(scored.conservative_care) == (1, 1, 0)  # a alone: b has no code, c is a discharge note
    assert counts(scored.queries) == (1, 1, 1)  # something_new is no kind that gold could list
    assert {kind: counts(score) for kind, score in scored.per_query.items()} == {
        "chronicity_missing": (1, 0, 0),
        "site_missing": (0, 1, 0),
        "uncertain_wording": (0, 0, 1),
    }
    assert counts(scored.review) == (1, 1, 0)
    assert share(scored.review_agrees) == (2, 3)


def test_groups(scored: Evaluation) -> None:
    assert list(scored.by_kind) == ["consult", "discharge", "radiology"]
    radiology = scored.by_kind["radiology"]
    assert (radiology.notes, share(radiology.exact), share(radiology.uncoded)) == (2, (1, 2), (1, 2))
    assert (counts(radiology.codes), counts(radiology.mentions)) == ((0, 1, 0), (1, 0, 0))
    assert share(radiology.assertion) == (0, 1)
    assert {name: group.notes for name, group in scored.by_setting.items()} == {
        "inpatient": 1,
        "outpatient": 2,
        "unknown": 1,
    }


def test_rules(scored: Evaluation) -> None:
    fired = {
        (rule.role, rule.rule): (rule.fired, rule.right, rule.misjudged, rule.spurious, rule.share_right.right)
        for rule in scored.rules
    }
    assert fired == {
        ("context", "negated.no"): (2, 0, 1, 1, 0),
        ("policy", "P-C2"): (4, 3, 0, 1, 3),  # once a code, though it stands on the trail twice
        ("target", "lysis.one"): (2, 1, 0, 1, 1),
        ("target", "slip.one"): (3, 2, 1, 0, 3),  # the misjudged one is no fault of the target rule
    }
    assert scored.silent_rules == ("slip.never",)


def test_errors(scored: Evaluation) -> None:
    wrong = {note.id: [(item.measure, item.what) for item in note.problems] for note in scored.errors}
    assert wrong == {
        "a": [
            ("attributes", f"grade of {SLIP}"),
            ("conservative_care", "care too much"),
            ("queries", "query not in gold"),
        ],
        "b": [
            ("codes", "code too much"),
            ("strict_codes", "code too much"),
            ("assertion", f"assertion: {SLIP}"),
            ("conditions", f"condition too much: {SLIP}"),
            ("imaging", "study missing"),
            ("review", "review"),
        ],
        "c": [
            ("codes", "code missing"),
            ("mentions", f"mention missed: {FRACTURE}"),
            ("mentions", f"mention too much: {LYSIS}"),
            ("conditions", f"condition missing: {FRACTURE}"),
            ("queries", "query missing"),
        ],
    }
    missing = scored.errors[2].problems[0]
    assert missing.gold == "S32.058A"
    assert [(step.rule, step.says) for step in missing.trail] == [("P-C9", "S32.058A: told so")]
    misjudged = scored.errors[1].problems[2]
    assert (misjudged.gold, misjudged.got, misjudged.start, misjudged.end) == ("negated", "affirmed", 10, 20)
    assert misjudged.rules == ("slip.one", "negated.no")


def test_summary_and_errors_as_text(scored: Evaluation) -> None:
    summary = scored.summary()
    assert "codes: exact set                                0.500 [0.150, 0.850]  2/4" in summary
    assert "annotated in fewer notes: strict_codes 3, review 3" in summary
    assert "gold negated    affirmed 1" in summary
    assert "negated.no (context)" in summary
    text = scored.errors_text()
    assert "c  (inline, line 3; discharge, inpatient)" in text
    assert "codes: gold S32.058A M43.16; got M43.16" in text
    assert "    P-C9 S32.058A: told so" in text
    assert text.endswith("3 of 4 notes listed\n")
    assert scored.errors_text(only=["mentions"]).endswith("1 of 4 notes listed\n")


def test_a_figure_short_of_one_never_reads_as_one() -> None:
    scorer = Scorer(1)
    for _ in range(9999):
        scorer.tally.hit("x", True)
    scorer.tally.hit("x", False)
    from parsnlp.evaluation.printing import _number

    assert _number(scorer.tally.proportion("x").value) == "0.999"
    assert _number(1.0) == "1.000"


def test_json_is_the_same_each_time(scored: Evaluation) -> None:
    assert scored.to_json() == score(CASES).to_json()
    data = json.loads(scored.to_json())
    assert data["codes"]["micro"]["tp"] == 3
    assert Evaluation.model_validate_json(scored.to_json()) == scored


def test_sealed_gives_totals_only() -> None:
    sealed = score(CASES, sealed=True)
    assert sealed.totals() == score(CASES).totals()
    data = json.loads(sealed.to_json())
    for name in ("per_code", "per_condition", "per_query", "by_kind", "by_setting", "rules", "silent_rules", "errors"):
        assert not data[name], name
    assert not data["mentions"]["confusion"]
    assert {item["condition"] for item in data["attributes"]} == {"all"}
    assert "slip.one" not in sealed.summary() + sealed.to_json()
    assert "M43" not in sealed.summary().replace("stress_fracture M43.0", "")
    assert sealed.errors_text() == "sealed: single notes are not shown\n"


def test_inferred_kinds_are_scored() -> None:
    right = result(documents=(Document(id="n", kind="consult", kind_inferred=True),))
    wrong = result(documents=(Document(id="n", kind="ed", kind_inferred=True),))
    none = result(documents=(Document(id="n"),))
    given = result(documents=(Document(id="n", kind="consult"),))
    cases: list[tuple[dict[str, Any], Result, Result | None]] = [
        ({"id": str(i), "codes": [], "kind": "consult"}, got, None) for i, got in enumerate((right, wrong, none, given))
    ]
    assert share(score(cases).kind_inferred) == (1, 3)


# --- with the extractor ---


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return load()


PAIR = "IMPRESSION: Bilateral L4 pars defects. Grade I anterolisthesis of L4 on L5."


def test_both_excludes1_modes(extractor: Extractor) -> None:
    row = {"text": PAIR, "codes": ["M43.16", "M43.06"], "strict_codes": ["M43.16"]}
    for used in (extractor, load(excludes1="strict")):  # the extractor's own mode does not matter
        scored = evaluate([row], used)
        assert share(scored.codes.exact) == (1, 1)
        assert share(scored.strict.exact) == (1, 1)
    assert scored.policy.excludes1 == "separate"


def test_kind_and_setting_reach_the_extractor(extractor: Extractor) -> None:
    text = "Final diagnosis: probable spondylolisthesis at L4-L5."
    row = {"text": text, "codes": ["M43.16"], "kind": "discharge", "encounter_date": "2026-02-01"}
    assert share(evaluate([{**row, "setting": "inpatient"}], extractor).codes.exact) == (1, 1)
    assert share(evaluate([{**row, "setting": "outpatient"}], extractor).codes.exact) == (0, 1)
    assert evaluate([row], extractor).kind_inferred.of == 0
    assert evaluate([row], extractor, infer_kind=True).kind_inferred.of == 1


def test_no_note_text_where_none_is_asked_for(extractor: Extractor, canary: str) -> None:
    text = f"{canary} L5 pars defect, {canary}. No spondylolisthesis {canary}."
    row = {"text": text, "codes": [], "mentions": [gold_mention(LYSIS, "negated", 30, 34)], "imaging": ["MRI"]}
    scored = evaluate([row], extractor)
    assert scored.errors
    for shown in (scored.summary(), repr(scored), scored.errors_text(text=False), scored.to_json(text=False)):
        assert canary not in shown
    assert canary in scored.errors_text()
    assert "[[pars defect]]" in scored.errors_text()


# --- gold files ---


def write(folder: Path, *rows: dict[str, Any] | str, name: str = "gold.jsonl") -> Path:
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_offsets_count_the_file_as_it_lies(tmp_path: Path, extractor: Extractor) -> None:
    (tmp_path / "n.txt").write_bytes("\ufeffMRI\r\nL4-5 slip: anterolisthesis é\r\n".encode())
    text = (tmp_path / "n.txt").read_bytes().decode()
    start = text.index("anterolisthesis")
    row = gold_mention(SLIP, "affirmed", start, start + 15) | {"text": "anterolisthesis"}
    path = write(tmp_path, "", {"file": "n.txt", "codes": ["M43.16"], "mentions": [row]})
    (note,) = read_file(path)
    assert (note.id, note.line, note.text) == ("n", 2, text)
    assert evaluate_file(path, extractor).mentions.spans.tp == 1


def test_gold_file_oddities(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_bytes('\ufeff{"text": "a\u2028b", "codes": [], "extra": 1}\r\n\r\n'.encode())
    (note,) = read_file(path)
    assert (note.id, note.text, note.line) == ("row1", "a\u2028b", 1)


def test_digest_follows_content_alone(tmp_path: Path, extractor: Extractor) -> None:
    first = evaluate([{"text": "one", "codes": [], "id": "a"}], extractor).digest
    assert first == evaluate([{"id": "a", "codes": [], "text": "one"}], extractor).digest
    assert first != evaluate([{"text": "two", "codes": [], "id": "a"}], extractor).digest
    assert first != evaluate([{"text": "one", "codes": ["M43.06"], "id": "a"}], extractor).digest


def test_unrelated_notes(tmp_path: Path, extractor: Extractor) -> None:
    path = write(tmp_path, {"text": "Cough.", "codes": []})
    assert evaluate_file(path, extractor).unrelated is None
    (tmp_path / "unrelated").mkdir()
    (tmp_path / "unrelated" / "a.txt").write_text("Cough.", encoding="utf-8")
    (tmp_path / "unrelated" / "b.txt").write_text("No spondylolisthesis.", encoding="utf-8")
    (tmp_path / "unrelated" / "c.txt").write_text("L4-5 anterolisthesis.", encoding="utf-8")
    unrelated = evaluate_file(path, extractor).unrelated
    assert unrelated is not None
    assert (share(unrelated.no_codes), share(unrelated.no_findings)) == ((2, 3), (1, 3))
    assert unrelated.wrong == ("b.txt", "c.txt")
    sealed = evaluate_file(path, extractor, sealed=True).unrelated
    assert sealed is not None
    assert sealed.wrong == ()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "ZZZ", "codes": [}', "gold.jsonl:2: malformed JSON at column"),
        ("[1]", "gold.jsonl:2: a row is a JSON object, not list"),
        ("[" * 100_000, "gold.jsonl:2: malformed JSON"),
        ('{"codes": []}', 'gold.jsonl:2: give "file" (the path of the note, relative to the gold file) or "text"'),
        ('{"text": "ZZZ"}', "gold.jsonl:2: field codes: Field required"),
        ('{"text": "ZZZ", "codes": "M43.06"}', "gold.jsonl:2: field codes: "),
        ('{"text": 5, "codes": []}', "gold.jsonl:2: field text: "),
        ('{"file": "none.txt", "codes": []}', "gold.jsonl:2: note file 'none.txt' cannot be read: No such file"),
        ('{"file": "latin.txt", "codes": []}', "gold.jsonl:2: note file 'latin.txt' is not UTF-8 (byte 3)"),
        ('{"file": "a\\u0000b", "codes": []}', "gold.jsonl:2: note file 'a\\x00b' cannot be read"),
        ('{"file": ".", "codes": []}', "gold.jsonl:2: note file '.' cannot be read: Is a directory"),
        (
            '{"text": "ZZZ", "codes": [], "setting": "home"}',
            "gold.jsonl:2: field setting: Input should be 'outpatient'",
        ),
        ('{"text": "ZZZ", "codes": [], "encounter_date": "1/2/26"}', "gold.jsonl:2: field encounter_date: "),
        ('{"text": "ZZZ", "codes": [], "attributes": {"spondylolysis": {"side": "left"}}}', "spondylolysis.side"),
        ('{"text": "ZZZ", "codes": [], "mentions": [{"condition": "spondylolysis"}]}', "field mentions.0.assertion: "),
        (
            '{"text": "ZZZ", "codes": [], "mentions": [{"condition": "spondylolysis", "assertion": "negated", "start": 1, "end": 9}]}',
            "gold.jsonl:2: mentions.0: 1-9 is no stretch of the note, which has 3 characters",
        ),
        (
            '{"text": "ZZZ", "codes": [], "mentions": [{"condition": "spondylolysis", "assertion": "negated", "start": 0, "end": 2, "text": "ZZZ"}]}',
            "gold.jsonl:2: mentions.0: 0-2: the note has another text there",
        ),
        ('{"text": "ZZZ", "codes": [], "id": "first"}', "gold.jsonl:2: the id 'first' is taken by"),
        ('{"documents": [{"text": "ZZZ"}], "mentions": 5}', "gold.jsonl:2: field mentions: a list of objects"),
        ('{"documents": [{"text": "ZZZ", "mentions": [5]}]}', "gold.jsonl:2: field mentions.0: "),
    ],
    ids=itertools.count(),
)
def test_bad_rows(tmp_path: Path, extractor: Extractor, line: str, says: str) -> None:
    (tmp_path / "latin.txt").write_bytes("abcé".encode("latin-1"))
    path = write(tmp_path, {"text": "fine", "codes": [], "id": "first"}, line)
    with pytest.raises(InputError) as caught:
        evaluate_file(path, extractor)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "ZZZ" not in str(caught.value)


def test_all_problems_at_once(tmp_path: Path, extractor: Extractor) -> None:
    path = write(tmp_path, *["{}"] * 25)
    with pytest.raises(InputError) as caught:
        evaluate_file(path, extractor)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "... and 5 more problems"


def test_bad_files(tmp_path: Path, extractor: Extractor) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        evaluate_file(tmp_path / "none.jsonl", extractor)
    with pytest.raises(InputError, match="is a folder"):
        evaluate_file(tmp_path, extractor)
    with pytest.raises(InputError, match="holds no rows"):
        evaluate_file(write(tmp_path, ""), extractor)
    (tmp_path / "utf16.jsonl").write_bytes('{"text": "a"}'.encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8"):
        evaluate_file(tmp_path / "utf16.jsonl", extractor)
    with pytest.raises(InputError, match="no unrelated notes"):
        evaluate_file(write(tmp_path, {"text": "a", "codes": []}), extractor, unrelated=tmp_path / "nowhere")
    with pytest.raises(InputError, match="row 1: field codes"):
        evaluate([{"text": "a"}], extractor)


# --- sealed archives ---


SEALED_ROWS = [
    {
        "id": "secret1",
        "file": "notes/secret1.txt",
        "codes": ["M43.16"],
        "strict_codes": ["M43.16"],
        "kind": "radiology",
    },
    {"id": "secret2", "file": "notes/secret2.txt", "codes": ["M43.07"], "strict_codes": [], "kind": "consult"},
]
SEALED_NOTES = {
    "notes/secret1.txt": "\ufeffIMPRESSION:\r\nAnterolisthesis of L4 on L5.\r\n",
    "notes/secret2.txt": "No spondylolisthesis.",
}


def archive(folder: Path, members: dict[str, str | bytes] | None = None, name: str = "sealed.zip") -> Path:
    if members is None:
        members = {"gold.jsonl": "".join(json.dumps(row) + "\n" for row in SEALED_ROWS), **SEALED_NOTES}
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for member, content in members.items():
            pack.writestr(member, content)
    return path


def test_an_archive_reads_as_its_folder_does(tmp_path: Path, extractor: Extractor) -> None:
    path = archive(tmp_path)
    for member, text in SEALED_NOTES.items():
        (tmp_path / member).parent.mkdir(exist_ok=True)
        (tmp_path / member).write_bytes(text.encode())
    write(tmp_path, *SEALED_ROWS)
    assert read_archive(path) == read_file(tmp_path / "gold.jsonl")
    before = sorted(tmp_path.rglob("*"))
    scored = evaluate_file(path, extractor, sealed=True)
    assert sorted(tmp_path.rglob("*")) == before  # nothing unpacked
    assert scored.totals() == evaluate_file(tmp_path / "gold.jsonl", extractor, sealed=True).totals()
    assert (scored.gold, share(scored.codes.exact), share(scored.strict.exact)) == ("sealed.zip", (1, 2), (2, 2))
    with pytest.raises(InputError, match="scored with totals only"):
        evaluate_file(path, extractor)


def test_bad_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(path: Path, what: str) -> None:
        with pytest.raises(InputError, match=what) as caught:
            read_archive(path)
        assert str(path) in str(caught.value) and "ZZZ" not in str(caught.value)

    says(tmp_path / "none.zip", "cannot be read: No such file")
    says(tmp_path, "cannot be read: Is a directory")
    text = tmp_path / "text.zip"
    text.write_text("ZZZ", encoding="utf-8")
    says(text, "no zip archive, or a damaged one")
    whole = archive(tmp_path).read_bytes()
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(whole[:45] + bytes(byte ^ 0xFF for byte in whole[45:75]) + whole[75:])
    says(damaged, "no zip archive, or a damaged one")
    says(archive(tmp_path, {"notes/a.txt": "ZZZ"}), "holds no gold.jsonl")
    says(archive(tmp_path, {"gold.jsonl": "\n"}), "holds no rows")
    says(archive(tmp_path, {"gold.jsonl": '{"text": "ZZZ"}'}), "gold.jsonl:1: field codes")
    outside = tmp_path / "outside.txt"
    outside.write_text("ZZZ", encoding="utf-8")
    for file in ("../outside.txt", str(outside), "notes/none.txt"):
        row = json.dumps({"file": file, "codes": []})
        says(archive(tmp_path, {"gold.jsonl": row}), "no such member of the archive")
    locked = tmp_path / "locked.zip"
    locked.write_bytes(
        whole.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
        )
    )
    says(locked, "encrypted")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "twice.zip", "w") as pack:
        pack.writestr("gold.jsonl", "{}")
        pack.writestr("gold.jsonl", "{}")
    says(tmp_path / "twice.zip", "two files of one name")
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as pack:
        pack.writestr("gold.jsonl", "{}")
    says(tmp_path / "lzma.zip", "compressed otherwise than by deflate")


def test_archives_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "MOST_BYTES", 1024**2)
    bomb = archive(tmp_path, {"gold.jsonl": "{}", "a": bytes(600_000), "b": bytes(600_000)}, "bomb.zip")
    assert bomb.stat().st_size < 10_000
    with pytest.raises(InputError, match="unpacks to more than 1 MiB"):
        read_archive(bomb)
    (tmp_path / "big.zip").write_bytes(bytes(1024**2 + 1))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_archive(tmp_path / "big.zip")
    monkeypatch.setattr(golden, "MOST_MEMBERS", 2)
    with pytest.raises(InputError, match="holds 3 files; 2 is the most"):
        read_archive(archive(tmp_path))


def test_sealed_scoring_prints_totals_and_logs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, log = archive(tmp_path), tmp_path / "log.jsonl"
    monkeypatch.setattr(sealed, "default_log", lambda: log)
    monkeypatch.setattr(sealed, "default_archive", lambda: path)

    def run(*arguments: str | Path) -> str:
        done = CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)])
        assert done.exit_code == 0, done.output
        for word in ("secret", "listhesis of", "M43.16", "M43.07", "slip."):
            assert word not in done.output
        return done.stdout

    assert "codes: exact set                                0.500 [0.095, 0.905]  1/2" in run(
        "--sealed", path, "--no-log"
    )
    assert not log.exists()
    run("--sealed")
    json.loads(run("--sealed", path, "--json"))
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    logged = json.loads(lines[0])
    assert list(logged) == [
        "archive", "digest", "rule_set", "engine", "notes", "kinds", "stress_fracture", "totals",
    ]  # fmt: skip
    assert (logged["archive"], logged["notes"], logged["kinds"]) == ("sealed.zip", 2, "inferred")
    assert logged["digest"] == golden.digest(read_archive(path))
    assert logged["totals"]["codes: exact set"] == {"right": 1, "of": 2}
    assert logged["totals"]["codes: F1"] == {"tp": 1, "fp": 0, "fn": 1, "f1": 0.666667}
    assert "secret" not in lines[0] and "M43.16" not in lines[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sealed", "--errors"], "--sealed gives totals only"),
        (["gold.jsonl", "--no-log"], "--no-log goes with --sealed"),
        ([], "name a gold file"),
        (["a.zip"], "scored with totals only"),
        (["--sealed", "absent.zip"], "cannot be read: No such file"),
    ],
)
def test_misuse_of_sealed(arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "append", lambda *_: pytest.fail("logged"))
    done = CliRunner().invoke(cli.app, ["evaluate", *arguments])
    assert done.exit_code == 2
    assert says in done.stderr


def test_the_log_of_a_checkout_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        sealed.append(tmp_path / "none" / "log.jsonl", {})


# --- agreement of two annotations ---


def test_kappa_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, chance 0.5, kappa 0.4
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert agreement.kappa(pairs) == pytest.approx(0.4)
    assert agreement.kappa([]) is agreement.kappa([(1, 1), (1, 1)]) is None
    assert agreement.kappa([(1, 2), (1, 2)]) == 0


def annotated(name: str, codes: list[str], assertion: str, **more: Any) -> dict[str, Any]:
    slip = {"levels": ["L4-L5"], "grade": "I"} if codes else None
    row = {"id": name, "codes": codes, "strict_codes": codes, "review": False}
    return {**row, "mentions": [gold_mention(SLIP, assertion, 4, 10)], "attributes": {SLIP: slip}, **more}


def test_agree_compares_what_both_state(tmp_path: Path) -> None:
    one = write(tmp_path, annotated("a", ["M43.16"], "affirmed"), annotated("b", [], "negated"), name="one.jsonl")
    two = write(
        tmp_path,
        annotated("a", ["M43.16"], "affirmed", attributes={SLIP: {"levels": ["L4-L5"], "grade": None}}),
        annotated("b", ["M43.17"], "uncertain", review=True, mentions=[gold_mention(SLIP, "uncertain", 5, 10)]),
        annotated("c", [], "negated"),
        name="two.jsonl",
    )
    done = CliRunner().invoke(cli.app, ["agree", str(one), str(two), "--json"])
    assert done.exit_code == 0, done.stderr
    found = agreement.Agreements.model_validate_json(done.stdout)
    items = {item.item: (item.agreed.right, item.agreed.of, item.kappa) for item in found.items}
    assert (found.notes, found.alone) == (2, ("c",))
    assert items["codes: the same set"][:2] == (1, 2)
    assert items["codes: code or no code"] == (1, 2, 0.0)
    assert items["codes: each code of each note"] == (3, 4, 0.5)
    assert items["assertion of matched mentions"] == (1, 2, pytest.approx(1 / 3, abs=1e-6))
    assert items["levels, where both have it"] == (1, 1, None)
    assert items["grade, where both have it"] == (0, 1, 0.0)
    assert items["review"] == (1, 2, 0.0)
    assert (found.spans.tp, found.spans.fp, found.spans.fn) == (2, 0, 0)
    assert (found.exact.tp, found.exact.fp, found.exact.fn) == (1, 1, 1)
    shown = CliRunner().invoke(cli.app, ["agree", str(one), str(two)])
    assert "2 notes in both, 1 in one only, left out" in shown.stdout


def test_agreement_of_an_annotation_with_itself_is_whole_and_its_intervals_hold_the_value() -> None:
    tuning = Path(__file__).parents[1] / "corpora/blind/tuning"
    first, second = (read_annotations(tuning / f"{name}.jsonl") for name in ("first", "second"))
    same = agreement.agree(first, first)
    assert all(item.kappa in (1.0, None) and item.agreed.right == item.agreed.of for item in same.items)
    assert same.spans.f1 == same.exact.f1 == 1.0
    found = agreement.agree(first, second)
    assert found == agreement.agree(first, second)
    by_item = {item.item: item for item in found.items}
    # The table of corpora/README.md
    etiology, review = by_item["etiology, where both have it"], by_item["review"]
    assert (etiology.agreed.right, etiology.agreed.of) == (39, 40)
    assert (review.agreed.right, review.agreed.of, review.kappa) == (80, 80, 1.0)
    assert (found.spans.tp, found.spans.fn, found.spans.fp) == (191, 1, 0)
    for item in found.items:
        if item.kappa is not None and item.low is not None and item.high is not None:
            assert item.low <= item.kappa <= item.high
    swapped = {item.item: item.kappa for item in agreement.agree(second, first).items}
    assert {item.item: item.kappa for item in found.items} == pytest.approx(swapped)


def test_a_field_that_one_leaves_out_is_not_compared(tmp_path: Path) -> None:
    one = write(tmp_path, {"id": "a", "codes": ["M43.16"]}, name="one.jsonl")
    two = write(tmp_path, {"id": "a", "mentions": []}, name="two.jsonl")
    found = agreement.agree(read_annotations(one), read_annotations(two))
    assert found.notes == 1 and not found.items and found.spans.f1 is None
    three = write(tmp_path, {"id": "b", "codes": []}, name="three.jsonl")
    done = CliRunner().invoke(cli.app, ["agree", str(one), str(three)])
    assert done.exit_code == 2 and "have no note in common" in done.stderr


# --- sentences, encounters, the page ---


def test_sentences_are_scored_on_assertion_alone(extractor: Extractor) -> None:
    rows = [
        {
            "text": "No spondylolisthesis.",
            "mentions": [{"start": 3, "end": 20, "assertion": "negated"}],
            "phenomenon": "no",
        },
        {"text": "Possible spondylolisthesis.", "mentions": [{"start": 9, "end": 26, "assertion": "negated"}]},
    ]
    scored = evaluate(rows, extractor)
    assert (scored.codes.exact.of, scored.mentions.spans.tp) == (0, 2)
    assert (scored.mentions.negated.tp, scored.mentions.negated.fn) == (1, 1)
    assert scored.by_phenomenon["no"].assertion.right == 1
    assert "codes: exact set" not in scored.summary()


def test_a_row_needs_codes_or_mentions(extractor: Extractor) -> None:
    with pytest.raises(InputError, match="field codes"):
        evaluate([{"text": "Nothing."}], extractor)


def test_an_encounter_is_scored_as_one_record(tmp_path: Path, extractor: Extractor) -> None:
    (tmp_path / "ct.txt").write_text("CT LUMBAR SPINE\nFINDINGS: bilateral L5 pars defects.", encoding="utf-8")
    row = {
        "id": "e1",
        "codes": ["M43.06"],
        "documents": [
            {
                "text": "Assessment: Spondylolysis.",
                "id": "visit",
                "mentions": [
                    {
                        "condition": "spondylolysis",
                        "assertion": "affirmed",
                        "start": 12,
                        "end": 25,
                        "text": "Spondylolysis",
                    }
                ],
            },
            {
                "file": "ct.txt",
                "kind": "radiology",
                "mentions": [{"condition": "spondylolysis", "assertion": "negated", "start": 40, "end": 52}],
            },
        ],
    }
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    scored = evaluate_file(path, extractor)
    assert scored.codes.exact.right == 1 and scored.mentions.spans.tp == 2
    (problem,) = (item for note in scored.errors for item in note.problems if item.measure == "assertion")
    assert (problem.document, problem.start) == ("ct", 39)
    assert " of ct" in scored.errors_text()


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        (["a"], "a document is a JSON object"),
        ([{"kind": "consult"}], 'give each document "file" or "text"'),
        ([{"text": "a", "id": "x"}, {"text": "b", "id": "x"}], "two documents have one id"),
        ([{"file": "missing.txt"}], "cannot be read"),
    ],
)
def test_bad_documents(extractor: Extractor, documents: list[Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        evaluate([{"codes": [], "documents": documents}], extractor)


@pytest.mark.prints_note_text
def test_the_page(tmp_path: Path, canary: str) -> None:
    gold = tmp_path / "gold.jsonl"
    text = f"Assessment: L5 spondylolysis. <script>alert(1)</script> {canary}"
    gold.write_text(json.dumps({"id": "<b>n", "text": text, "codes": [], "mentions": []}) + "\n", encoding="utf-8")
    page = tmp_path / "page.html"
    done = CliRunner().invoke(cli.app, ["evaluate", str(gold), "--html", str(page)])
    assert done.exit_code == 0
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;script&gt;" in html and "&lt;b&gt;n" in html
    assert "http" not in html.replace("http-equiv", "") and "<svg" in html
    assert page.stat().st_mode & 0o077 == 0
    done = CliRunner().invoke(cli.app, ["evaluate", str(gold), "--html", str(page), "--no-text"])
    assert done.exit_code == 0 and canary not in page.read_text(encoding="utf-8")
    assert CliRunner().invoke(cli.app, ["evaluate", str(gold), "--html", str(tmp_path)]).exit_code == 2
