"""Every example and counter-example line of `patterns/`, a case each, named by its rule's id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import parsnlp
from parsnlp import rulecheck, rules
from parsnlp.evaluation import coverage
from parsnlp.interfaces import comparison
from parsnlp.rules import Example, Rule, RuleSet, Wording

RULES = rules.load()
CASES = list(rulecheck.cases(RULES))
FOLDERS = ("targets", "context", "attributes", "sections")


@pytest.fixture(scope="module")
def checker() -> rulecheck.Checker:
    return rulecheck.Checker(RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_line(case: rulecheck.Case, checker: rulecheck.Checker) -> None:
    problems = checker.run(case)
    assert not problems, "\n".join([case.example.text, *map(str, problems)])


def test_every_rule_has_cases_of_both_kinds() -> None:
    assert {rule.folder for rule in RULES.rules} == set(FOLDERS)
    for kind in ("example", "counter_example"):
        assert {case.rule.id for case in CASES if case.kind == kind} == {rule.id for rule in RULES.rules}
    repeated = [name for name, count in Counter(case.name for case in CASES).items() if count > 1]
    assert not repeated


CORPORA = Path(__file__).parents[1] / "corpora"
OPEN = (
    "dev/gold.jsonl", "blind/full/gold.jsonl", "blind/short/gold.jsonl", "blind/tuning/gold.jsonl", "blind/snippets.jsonl",
    "encounters/gold.jsonl", "services/notes", "assertion/sentences.jsonl", "assertion/general.jsonl",
    "assertion/snippets.jsonl",
)  # fmt: skip


@pytest.mark.slow
def test_a_rule_that_matters_to_no_note_names_the_source_of_its_wording(noted: Callable[..., None]) -> None:
    corpora = {name: list(comparison.notes(CORPORA / name)[1].values()) for name in OPEN}
    idle = list(coverage.idle(parsnlp.load(), corpora))
    assert [name for name in idle if RULES.by_id[name].source is None] == []
    noted(
        "rules without which every result says the same",
        "rules",
        rules=len(RULES.rules),
        records=sum(map(len, corpora.values())),
        such_rules_each_with_a_source=len(idle),
    )


# --- the check itself can fail ---------------------------------------------------------------------------------------


def changed(ruleset: RuleSet, folder: str, change: dict[str, object]) -> RuleSet:
    """The rule set with every rule of one folder changed."""
    made = tuple(replace(rule, **change) if rule.folder == folder else rule for rule in ruleset.rules)  # type: ignore[arg-type]
    return replace(ruleset, rules=made, by_id={rule.id: rule for rule in made})


@pytest.mark.parametrize("folder", FOLDERS)
def test_rules_that_match_nothing_fail_every_example(folder: str) -> None:
    mute = changed(RULES, folder, {"wordings": (Wording("zzqx"),), "headings": ("zzqx",)})
    failed = {(p.rule, p.number) for p in rulecheck.check(mute) if p.kind == "example"}
    expected = {(case.rule.id, case.number) for case in CASES if case.kind == "example" and case.rule.folder == folder}
    assert {case for case in failed if mute.by_id[case[0]].folder == folder} == expected


def test_an_example_given_as_counter_example_fails() -> None:
    """What passes as an example is credited to the rule, so that a counter-example of the same text cannot pass."""
    swapped = tuple(
        replace(rule, counter_examples=tuple(Example(e.text) for e in rule.examples)) for rule in RULES.rules
    )
    found = rulecheck.check(replace(RULES, rules=swapped, by_id={rule.id: rule for rule in swapped}))
    failed = {(p.rule, p.number) for p in found if p.kind == "counter_example"}
    passing_examples = {(rule.id, n) for rule in swapped for n in range(1, len(rule.examples) + 1)} - {
        (p.rule, p.number) for p in found if p.kind == "example"
    }
    assert len(passing_examples) > 200
    assert passing_examples <= failed


def test_a_shorter_or_longer_span_fails() -> None:
    rule = RULES.by_id["spondylolisthesis.ptosis"]
    text = "L5-S1 spondyloptosis."
    assert [span for span in ((6, 20), (6, 19), (0, 20)) if not problems_of(rule, Example(text, (span,)))] == [(6, 20)]


def test_one_of_two_marked_spans_may_not_be_missed() -> None:
    rule = RULES.by_id["spondylolisthesis.ptosis"]
    says = [problem.says for problem in problems_of(rule, Example("Spondyloptosis, not slip.", ((0, 14), (20, 24))))]
    assert len(says) == 1
    assert says[0].startswith("'slip' is not found by this rule")


def test_a_problem_names_rule_kind_and_number() -> None:
    rule = RULES.by_id["spondylolisthesis.ptosis"]
    (problem,) = problems_of(rule, Example("L5 pars defect.", ((3, 14),)))
    assert (problem.rule, problem.kind, problem.number) == (rule.id, "example", 1)
    assert str(problem) == (
        "rule 'spondylolisthesis.ptosis': example 1: 'pars defect' is not found by this rule; "
        "found there: 'pars defect' by spondylolysis.pars-break"
    )


def problems_of(rule: Rule, example: Example) -> list[rulecheck.Problem]:
    return rulecheck.Checker(RULES).run(rulecheck.Case(rule, "example", 1, example))
