"""Each corpus against its expected results. The thresholds are promises: mend the rules, never the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parsnlp.evaluation import Evaluation, Proportion, evaluate_file
from parsnlp.evaluation.gold import read_archive, read_file
from parsnlp.extractor import load

CORPORA = Path(__file__).parents[1] / "corpora"
DEV = CORPORA / "dev"


@pytest.fixture(scope="module")
def dev() -> Evaluation:
    return evaluate_file(DEV / "gold.jsonl", load())


def at_least(share: Proportion, threshold: float) -> None:
    assert share.value is not None
    assert share.value >= threshold, f"{share.right} of {share.of} is less than {threshold}"


def test_dev_is_whole(dev: Evaluation) -> None:
    assert dev.notes == 110
    assert dev.codes.coded.of == 74
    assert dev.codes.uncoded.of == 36
    assert dev.mentions.spans.tp + dev.mentions.spans.fn == 250
    assert {name for name, count in dev.annotated.items() if count != 110} == {"services"}


def test_dev_code_sets_without_s_codes(dev: Evaluation) -> None:
    at_least(dev.codes.no_s_codes, 0.95)


def test_dev_mentions(dev: Evaluation) -> None:
    assert dev.mentions.spans.f1 is not None
    assert dev.mentions.spans.f1 >= 0.97


def test_dev_assertions(dev: Evaluation) -> None:
    at_least(dev.mentions.assertion, 0.97)


def test_dev_unrelated_notes_stay_empty(dev: Evaluation) -> None:
    assert dev.unrelated is not None
    assert dev.unrelated.no_codes.of == 60
    assert dev.unrelated.wrong == ()


def test_every_dev_note_has_a_row() -> None:
    rows = [json.loads(line) for line in (DEV / "gold.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(row["file"] for row in rows) == sorted(f"notes/{file.name}" for file in (DEV / "notes").iterdir())


BLIND = CORPORA / "blind"


@pytest.mark.parametrize(("folder", "notes"), [("tuning", 80), ("short", 440)])
def test_blind_corpora_are_whole(folder: str, notes: int) -> None:
    rows = read_file(BLIND / folder / "gold.jsonl")
    assert len(rows) == notes
    assert sorted(str(row.file) for row in rows) == sorted(
        f"notes/{f.name}" for f in (BLIND / folder / "notes").iterdir()
    )


def test_blind_snippets_are_gold_rows() -> None:
    assert len(read_file(BLIND / "snippets.jsonl")) == 420


def test_sealed_archive_is_whole_and_shares_no_note_with_the_open_ones() -> None:
    sealed = read_archive(BLIND / "sealed.zip")
    shown = {row.text for folder in ("tuning", "short") for row in read_file(BLIND / folder / "gold.jsonl")}
    shared = [row for row in sealed if row.text in shown]
    assert (len(sealed), len(shared)) == (88, 0)


def test_services_stay_as_good_as_they_were() -> None:
    """Read while rules were written; `corpora/README.md` has the figure on sealed notes."""
    scored = evaluate_file(CORPORA / "services" / "gold.jsonl", load())
    assert scored.services.f1 is not None and scored.services.f1 >= 0.79
    assert scored.service_ties.value is not None and scored.service_ties.value >= 0.80
