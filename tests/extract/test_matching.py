"""The index of required literals: a wording is tried wherever it can match, and hardly anywhere else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parsnlp import rules
from parsnlp.extract.matching import Index, Matcher
from parsnlp.note import Clean
from parsnlp.rules import Rule, Wording

RULES = rules.load()
INDEX = Index(rule for rule in RULES.rules if rule.folder != "sections")
LINES = sorted(
    {
        Clean(line, 0, len(line)).text
        for rule in RULES.rules
        for case in (*rule.examples, *rule.counter_examples)
        for line in case.text.split("\n")
    }
)


def ruled(*wordings: str) -> Rule:
    return Rule("own.rule", "targets", "own", "own", tuple(map(Wording, wordings)))


def test_a_wording_is_due_wherever_it_matches() -> None:
    due = INDEX.due(LINES)
    missed = [
        (rule.id, wording.pattern, line)
        for number, (rule, wording) in enumerate(INDEX.wordings)
        for line, numbers in zip(LINES, due, strict=True)
        if number not in numbers and any(hit.end() > hit.start() for hit in wording.regex.finditer(line))
    ]
    assert missed == []


def test_the_first_letters_hide_no_match() -> None:
    """A wording's expression looks at the first letter alone before all else; it finds what it would find without."""
    for _, wording in INDEX.wordings:
        lead = re.match(r"\(\?=\[.*?[^\\]\]\)", wording.regex.pattern) if wording.first_letters else None
        if lead is not None:
            plain = re.compile(wording.regex.pattern[lead.end() :])
            missed = [line for line in LINES if bool(plain.search(line)) is not bool(wording.regex.search(line))]
            assert missed == [], wording.pattern


def test_few_wordings_are_due_in_a_line() -> None:
    """The index earns its place: on average it leaves less than one wording in thirty to be tried."""
    tried = sum(map(len, INDEX.due(LINES)))
    assert tried < len(LINES) * len(INDEX.wordings) / 30


def test_lines_indexed_together_miss_nothing_that_one_alone_has() -> None:
    some = LINES[::17]
    assert all(alone <= held for held, (alone,) in zip(INDEX.due(some), map(INDEX.due, zip(some)), strict=True))


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("ct", "ct shows", True),
        ("ct", "fracture", False),
        ("ct", "defect", False),
        ("(?:a |the )*ct", "of the ct", True),
        ("(?:a |the )*ct", "direct", False),
        ("right|rt|r-sided", "rt pars", True),
        ("right|rt|r-sided", "bright", False),
        ("(?<=pars )defect", "pars defect", True),
        ("defect(?= of)", "defect of", True),
        ("x?y?z", "z", True),
        ("pars(?: \\w+){0,2}", "pars", True),
        ("[(]l[)]", "seen (l)", True),
        ("-ve", "fx -ve", True),
        ("l(?: or | and |/)r", "l/r", True),
        ("a?b?", "no letters here", True),
        (r"(?:[|]|->) ?no\b", "slip | no", True),
    ],
)
def test_what_a_pattern_needs(pattern: str, text: str, expected: bool) -> None:
    index = Index([ruled(pattern)])
    (due,) = index.due([text])
    assert bool(due or not index.wordings) is expected


@given(st.lists(st.text(alphabet="ctpars de\u0130\ud800f-.\n0l5", max_size=12), max_size=8))
@example(["", "ct", ""])
def test_any_texts(texts: list[str]) -> None:
    index = Index([ruled("ct", "pars", "l5", "-e", "def")])
    for text, due in zip(texts, index.due(texts), strict=True):
        for number, (_, wording) in enumerate(index.wordings):
            assert number in due or wording.regex.search(text) is None


def test_of_overlapping_wordings_the_longest_counts() -> None:
    rule = ruled("pars defect", "defect of the arch", "defect")
    assert [match.text for match in Matcher([rule], longest=False).find("pars defect of the arch")] == [
        "defect of the arch"
    ]
