"""No pattern, ours or a user's, searches a text for longer than its length explains."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp import backtracking, rulecheck, rules
from parsnlp.interfaces.cli import app
from parsnlp.note import MAX_SENTENCE

CHEAP = (r"a+b", r"[^.]{0,60}x", r"(?:ab){1,9}c", r"(?:no |the ){0,6}slip", r"\bpars (?:defect|lysis)\b")
DEAR = {
    r"(a+)+b": "'a' over and over",
    r"(a|a)*c": "'a' over and over",
    r"a*a*b": "'a' over and over",
    r"x.{0,400}.{0,400}b": "over and over after 'x'",
    r"(?=(a|aa)+$)b": "'a' over and over",
}
MATCHED = {
    "_SHAPE",
    "_COLON_TITLE",
    "_DASH_TITLE",
    "_BULLET",
    "_HEADING_SHAPE",
    "_ANSWER",
    "_BOX_ANSWER",
    "_ID",
    "_PROBLEM",
}
"""Patterns of the code that are held against one place and never searched for."""


OWN = """category: spondylolysis
rules:
  - id: own.slow
    pattern:
      - 'pars zap'
      - 'pars (?:a|aa)+ zip'
    examples: |
      [[pars zap]] at L5.
    counter_examples: |
      pars intact
"""


@pytest.mark.parametrize("expression", CHEAP)
def test_what_is_cheap_is_passed(expression: str) -> None:
    assert backtracking.costly(expression, re.compile(expression).findall) is None


@pytest.mark.parametrize("expression", DEAR)
def test_what_is_dear_is_told(expression: str) -> None:
    assert DEAR[expression] in str(backtracking.costly(expression, re.compile(expression).findall))


def test_longer_texts_are_tried_than_rules_are_matched_on() -> None:
    assert backtracking.LENGTH >= 2 * MAX_SENTENCE


@pytest.mark.slow
def test_no_shipped_rule_backtracks() -> None:
    assert list(rulecheck.slow(rules.load())) == []


@pytest.mark.slow
def test_no_pattern_of_the_code_backtracks() -> None:
    seen = set()
    for module in pkgutil.walk_packages(parsnlp.__path__, "parsnlp."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str) and value not in seen:
                seen.add(value)
                search = value.fullmatch if name in MATCHED else value.findall
                assert backtracking.costly(value.pattern, search) is None, f"{module.name}.{name}"
    assert len(seen) > 80


def test_a_user_s_rule_is_named_with_its_part(tmp_path: Path) -> None:
    own = tmp_path / "targets" / "own.yaml"
    own.parent.mkdir()
    own.write_text(OWN, encoding="utf-8")
    (told,) = rulecheck.slow(rules.load(tmp_path, shipped=False))
    assert told.startswith("rule 'own.slow': pattern 2 backtracks on 'a' over and over after 'pars '; bound")


@pytest.mark.slow
def test_rules_check_tells_of_a_user_s_slow_rule(tmp_path: Path) -> None:
    own = tmp_path / "targets" / "own.yaml"
    own.parent.mkdir()
    own.write_text(OWN, encoding="utf-8")
    done = CliRunner().invoke(app, ["rules", "check", "--patterns", str(tmp_path)])
    assert done.exit_code == 1 and "rule 'own.slow': pattern 2 backtracks" in done.output and "1 wrong" in done.output


@pytest.mark.parametrize(
    "unit", ["." * 30_000 + "x", "!?." * 10_000 + "a", "." * 5_000 + "x " * 5], ids=["dots", "mixed", "several"]
)
def test_a_run_of_stops_ends_no_sentence_within(unit: str) -> None:
    """Such runs once cost the square of their length: 120 kB of them took half a minute."""
    text = unit * 4 + "\nL5 pars defects.\n"
    (finding,) = parsnlp.load().extract(text).findings
    assert text[finding.start : finding.end] == finding.text == "pars defects"
