"""`corpora/generate.py`: its gold is sound, and parsnlp gets its notes right but for the limits that are written down."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import parsnlp
from parsnlp.coding import icd10cm
from parsnlp.evaluation import evaluate

CORPORA = Path(__file__).parents[1] / "corpora"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    sys.path.insert(0, str(CORPORA))
    try:
        spec = importlib.util.spec_from_file_location("generate", CORPORA / "generate.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(CORPORA))
    return module


def all_styles(generate: ModuleType) -> tuple[str, ...]:
    return tuple(generate.lexicon()["styles"])


def test_the_gold_is_sound(generate: ModuleType) -> None:
    edition, _ = icd10cm.edition_for(None)
    for row in generate.notes(400, 5, all_styles(generate)):
        generate.check(row)
        for mention in row["mentions"]:
            assert row["text"][mention["start"] : mention["end"]] == mention["text"]
        assert all(edition.is_billable(code) for code in (*row["codes"], *row["strict_codes"]))


def test_the_same_seed_gives_the_same_notes(generate: ModuleType) -> None:
    def once(seed: int) -> str:
        return json.dumps(list(generate.notes(30, seed)))

    assert once(1) == once(1) != once(2)


def test_held_out_styles_must_be_asked_for(generate: ModuleType) -> None:
    assert not {row["style"] for row in generate.notes(200, 3)} & set(generate.HELD_OUT)
    assert {row["style"] for row in generate.notes(60, 3, generate.HELD_OUT)} == set(generate.HELD_OUT)


def test_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "notes.jsonl"
    command = [sys.executable, str(CORPORA / "generate.py"), "--notes", "5", "--seed", "1", "--out", str(out)]
    subprocess.run(command, check=True, cwd=tmp_path)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 5 and all(row["truth"]["plot"] for row in rows)


def test_it_knows_nothing_of_the_rules() -> None:
    for path in (CORPORA / "generate.py", *(CORPORA / "generator").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert "parsnlp" not in source and "patterns" not in source, path


def undocumented(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    limits = yaml.safe_load((CORPORA / "generator" / "limits.yaml").read_text(encoding="utf-8"))
    known = {(limit["plot"], style) for limit in limits for style in limit["styles"]}
    by_id = {row["id"]: row for row in rows}
    scored = evaluate(rows, parsnlp.load())
    wrong = [by_id[note.id] for note in scored.errors if set(note.gold_codes) != set(note.got_codes)]
    places = [(row["truth"]["plot"], row["style"], row["id"]) for row in wrong]
    return [place for place in places if place[:2] not in known]


def test_a_thousand_notes_round_trip(generate: ModuleType) -> None:
    assert undocumented(list(generate.notes(1_000, 7, all_styles(generate)))) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 2026])
def test_ten_thousand_notes_round_trip(generate: ModuleType, seed: int) -> None:
    assert undocumented(list(generate.notes(10_000, seed, all_styles(generate)))) == []
