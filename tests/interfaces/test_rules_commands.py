"""`parsnlp rules diff` and `parsnlp rules coverage`: what a hospital's own rules would do, and which rules do anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp.evaluation.coverage import coverage, idle
from parsnlp.interfaces.cli import app
from parsnlp.models import Note

CHRONIC = """\
category: negated
rules:
  - id: ours.chronic
    literal: chronic
    direction: forward
    examples: |
      Chronic [[spondylolysis]].
    counter_examples: |
      Spondylolysis.
"""
NOTES = {
    "a": ("Assessment: chronic L5 spondylolysis.", ["M43.06"]),
    "b": ("CT: L4-5 anterolisthesis. Pars plana intact.", ["M43.16"]),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in (("ours", CHRONIC), ("back", CHRONIC.replace("literal: chronic", "literal: long-standing"))):
        (tmp_path / name / "context").mkdir(parents=True)
        text = text.replace("Chronic [[", "Long-standing [[") if name == "back" else text
        (tmp_path / name / "context" / "ours.yaml").write_text(text, encoding="utf-8")
    rows = [{"id": name, "text": text, "codes": codes} for name, (text, codes) in NOTES.items()]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "n.txt").write_text("No slip.", encoding="utf-8")
    return tmp_path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


@pytest.mark.prints_note_text
def test_diff_names_the_rules_and_the_notes_that_move(place: Path) -> None:
    done = run("diff", place / "ours", "--on", place / "gold.jsonl", "--on", place / "notes")
    assert done.exit_code == 1
    assert done.stdout.startswith("+ours.chronic\n")
    assert "a: M43.06 -> none   gold M43.06   broken" in done.stdout
    assert str(place / "gold.jsonl") in done.stdout and str(place / "notes") in done.stdout
    assert "1 notes compared: the codes of 0 moved" in done.stdout


def test_diff_is_against_the_rules_in_use(place: Path, canary: str) -> None:
    (place / "notes" / "n.txt").write_text(f"Chronic L5 spondylolysis. {canary}", encoding="utf-8")
    done = run("diff", place / "back", "--patterns", place / "ours", "--on", place / "notes", "--no-text")
    assert done.exit_code == 1 and done.stdout.startswith("~ours.chronic\n")
    assert "none -> M43.06" in done.stdout
    done = run("diff", place / "ours", "--patterns", place / "ours", "--on", place / "notes", "--no-text")
    assert done.exit_code == 0 and "the codes of 0 moved" in done.stdout


def test_coverage_counts_notes_by_corpus(place: Path) -> None:
    done = run("coverage", place / "gold.jsonl", place / "notes", "--patterns", place / "ours", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    gold, notes = str(place / "gold.jsonl"), str(place / "notes")
    assert found["notes"] == {gold: 2, notes: 1}
    use = {rule["rule"]: rule for rule in found["rules"]}
    assert use["ours.chronic"]["matched"] == {gold: 1, notes: 0}
    assert use["ours.chronic"]["credited"] == {gold: 1, notes: 0}
    decoys = [rule for rule in use.values() if rule["category"] == "decoy" and rule["matched"][gold]]
    assert decoys and not any(rule["credited"][gold] for rule in decoys)


def test_every_rule_that_a_result_names_matches_too() -> None:
    notes = [[Note(text=text, id=name)] for name, (text, _) in NOTES.items()]
    extractor = parsnlp.load()
    found = coverage(extractor, {"some": notes})
    assert [rule.rule for rule in found.rules] == [rule.id for rule in extractor.ruleset.rules]
    for rule in found.rules:
        assert rule.credited["some"] <= rule.matched["some"] or rule.category == "section", rule
    named = {finding.rule for each in notes for finding in extractor.extract_encounter(each).findings}
    assert named and all(rule.credited["some"] for rule in found.rules if rule.rule in named)


def test_never_lists_the_silent_rules_alone(place: Path) -> None:
    everything = run("coverage", place / "gold.jsonl").stdout.splitlines()
    silent = run("coverage", place / "gold.jsonl", "--never").stdout.splitlines()
    assert silent[-1] == everything[-1]
    assert len(silent) - 1 == int(silent[-1].split(": ")[1].split()[0]) < len(everything) - 2
    assert not any(line.startswith("spondylolysis.name ") for line in silent)


def test_idle_lists_the_rules_without_which_nothing_changes(place: Path) -> None:
    notes = {"some": [[Note(text="CT: L5 pars defects without slip.")]]}
    extractor = parsnlp.load()
    found = set(idle(extractor, notes))
    (finding, negated) = extractor.extract_encounter(notes["some"][0]).findings
    assert negated.cues and not found & {finding.rule, negated.rule, negated.cues[0].rule}
    assert "spondylolysis.perhaps-broken" in found  # silent
    done = run("coverage", place / "notes", "--idle")
    assert done.exit_code == 0 and "spondylolysis.perhaps-broken" in done.stdout.splitlines()
    assert run("coverage", place / "notes", "--idle", "--never").exit_code == 2


def test_a_corpus_named_twice_is_refused(place: Path) -> None:
    done = run("coverage", place / "notes", place / "notes")
    assert done.exit_code == 2 and "named twice" in done.stderr
