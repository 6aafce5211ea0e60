"""What is derived from the rules is kept between runs, trusted only where it is the user's own and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

import parsnlp
from parsnlp import rulecache, rules

TEXT = "CT: bilateral L5 pars defects with grade 1 anterolisthesis of L5 on S1. No fracture of the lamina."


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARSNLP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def the_file(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


def test_rules_from_the_cache_are_the_same_rules(cache: Path) -> None:
    first = rules.load()
    assert the_file(cache).stat().st_mode & 0o777 == 0o600 and cache.stat().st_mode & 0o777 == 0o700
    again = rules.load()
    assert again.rules == first.rules and again.hash == first.hash and again.tables == first.tables
    assert again.vocabulary == first.vocabulary and list(again.by_id) == list(first.by_id)
    for one, other in zip(first.rules, again.rules, strict=True):
        assert [w.literals for w in one.wordings] == [w.literals for w in other.wordings]
        assert [w.regex.pattern for w in one.wordings] == [w.regex.pattern for w in other.wordings]
        assert one.folder != "targets" or one.anchors == other.anchors
    assert "literals" in again.rules[0].wordings[0].__dict__  # they were not derived anew


def test_results_are_the_same_bytes() -> None:
    made = [parsnlp.load().extract(TEXT).to_json() for _ in range(2)]
    assert made[0] == made[1]


def test_a_changed_rule_is_not_read_from_the_cache(cache: Path, tmp_path: Path) -> None:
    rules.load()
    own = tmp_path / "own" / "targets"
    own.mkdir(parents=True)
    rule = "category: spondylolysis\nrules:\n  - id: own.lyse\n    literal: {}\n    examples: |\n      [[{}]]\n    counter_examples: |\n      knee\n"
    for word in ("lyse", "klyse"):
        (own / "own.yaml").write_text(rule.format(word, word), encoding="utf-8")
        assert rules.load(tmp_path / "own").by_id["own.lyse"].literal == word
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"{}", b"0" * 64 + b"\n{}"])
def test_a_damaged_file_is_derived_again(cache: Path, damage: bytes) -> None:
    whole = rules.load()
    path = the_file(cache)
    path.write_bytes(damage)
    assert rules.load().rules == whole.rules
    assert len(path.read_bytes()) > 100_000


def test_a_file_that_others_may_write_is_not_trusted(cache: Path) -> None:
    rules.load()
    the_file(cache).chmod(0o666)
    assert (
        "literals" not in rules.load().rules[0].wordings[0].__dict__ or the_file(cache).stat().st_mode & 0o777 == 0o600
    )


def test_a_folder_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("a file, not a folder", encoding="utf-8")
    assert rules.load().rules


def test_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARSNLP_CACHE", "off")
    rules.load()
    assert rulecache.folder() is None and not cache.exists()


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARSNLP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert rulecache.folder() == Path("/somewhere/parsnlp")


def test_only_a_few_rule_sets_are_kept(cache: Path) -> None:
    for number in range(12):
        rulecache.keep(str(number), {"number": number})
    assert len(list(cache.iterdir())) == 8
    assert rulecache.find("11") == {"number": 11}


def test_it_holds_nothing_of_a_note(cache: Path, canary: str) -> None:
    parsnlp.load().extract(f"{TEXT} {canary}")
    assert canary.encode() not in the_file(cache).read_bytes()
