"""`parsnlp diff`: whose codes move between two rule sets or two files of results, and by which rules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp import rules
from parsnlp.evaluation.diff import diff
from parsnlp.interfaces.cli import app
from parsnlp.models import Note

OURS = """\
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
    "b": ("CT: L4-5 anterolisthesis.", ["M43.16"]),
    "c": ("Assessment: chronic spondylolysis was excluded on CT.", []),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "ours" / "context").mkdir(parents=True)
    (tmp_path / "ours" / "context" / "ours.yaml").write_text(OURS, encoding="utf-8")
    rows = [{"id": name, "text": text, "codes": codes} for name, (text, codes) in NOTES.items()]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["diff", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.mark.prints_note_text
def test_a_rule_that_moves_codes_is_named(place: Path) -> None:
    status, shown = run("shipped", place / "ours", "--on", place / "gold.jsonl")
    assert status == 1
    assert "a: M43.06 -> none   gold M43.06   broken" in shown
    assert "spondylolysis assertion: affirmed -> negated at a:23-36 “spondylolysis”   +ours.chronic" in shown
    assert "3 notes compared: the codes of 1 moved (1 broken)" in shown
    assert "b:" not in shown


@pytest.mark.prints_note_text
def test_the_way_back_mends(place: Path) -> None:
    status, shown = run(place / "ours", "shipped", "--on", place / "gold.jsonl", "--json")
    moved = json.loads(shown)["moved"]
    assert status == 1 and [(item["id"], item["new"]) for item in moved] == [("a", ["M43.06"])]


def test_the_same_rules_move_nothing(place: Path) -> None:
    shutil.copytree(rules.patterns_root(), place / "patterns")
    status, shown = run("shipped", place / "patterns", "--on", place / "gold.jsonl", "--no-text")
    assert status == 0 and "the codes of 0 moved" in shown


@pytest.mark.prints_note_text
def test_results_of_two_runs(place: Path) -> None:
    paths = []
    for name, patterns in (("old", None), ("new", place / "ours")):
        extractor = parsnlp.load(patterns=patterns)
        paths.append(place / f"{name}.jsonl")
        lines = [extractor.extract(Note(text=text, id=key)).to_json() for key, (text, _) in NOTES.items()]
        paths[-1].write_text("\n".join(lines), encoding="utf-8")
    status, shown = run(*paths)
    assert status == 1 and "a: M43.06 -> none\n" in shown


def test_a_change_of_policy_shows_its_steps() -> None:
    note = Note(text="L5 pars defects with grade I anterolisthesis of L5 on S1.", id="n")
    sides = [[parsnlp.load(excludes1=mode).extract(note)] for mode in ("separate", "strict")]
    (moved,) = diff(*sides).moved
    assert moved.old == ("M43.17", "M43.06 (review)") and moved.new == ("M43.17",)
    assert moved.verdict is None
    right = diff(*sides, gold={"n": ("M43.17",)})
    assert '"verdict":"mended"' in right.model_dump_json()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shipped", "shipped"], "rules need notes to be tried on"),
        (["shipped", "nowhere", "--on", "{}/gold.jsonl"], "nowhere: neither 'shipped'"),
        (["shipped", "{}/gold.jsonl", "--on", "{}/gold.jsonl"], "gold.jsonl:1: no result of parsnlp"),
        (["shipped", "{}/none.jsonl"], "cannot be read"),
        (["shipped", "{}/ours", "--on", "{}/nothing"], "nothing"),
    ],
)
def test_misuse(place: Path, arguments: list[str], says: str) -> None:
    status, shown = run(*(argument.format(place) for argument in arguments))
    assert status == 2 and says in shown and "Traceback" not in shown


def test_rules_of_another_version_that_lack_a_piece(place: Path) -> None:
    shutil.copytree(rules.patterns_root(), place / "patterns")
    path = place / "patterns" / "vocabulary.yaml"
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("hedge:")]
    path.write_text("\n".join(kept), encoding="utf-8")
    status, shown = run("shipped", place / "patterns", "--on", place / "gold.jsonl")
    assert status == 2 and "lacks the piece 'hedge'" in shown
