"""The two sides of `parsnlp diff`: rule sets tried on the same notes, or results that lie in files."""

from __future__ import annotations

from pathlib import Path

from parsnlp import rules
from parsnlp.errors import InputError
from parsnlp.evaluation import gold as golden
from parsnlp.extractor import Extractor, checked_policy
from parsnlp.interfaces import holding
from parsnlp.interfaces.reading import Failure
from parsnlp.interfaces.sources import Sources
from parsnlp.models import Note, Result

SHIPPED = "shipped"
Encounters = dict[str, list[Note]]


def sides(
    old: str, new: str, on: Path | None, options: tuple[str, str, str]
) -> tuple[dict[str, tuple[str, ...]] | None, tuple[list[Result], list[Result]]]:
    """The gold codes by note, where `on` is a gold file, and the results of both sides.

    Raises `InputError` for a side that is neither rules nor results, or rules without notes to try them on.
    """
    given = [list(holding.results(side)) if side.endswith(".jsonl") else None for side in (old, new)]
    gold = None
    encounters: Encounters = {}
    if on is None and None in given:
        raise InputError("rules need notes to be tried on: add --on GOLD.jsonl or --on FOLDER")
    if on is not None:
        gold, encounters = notes(on)
    made = [
        results if results is not None else tried(_rules(side), encounters, options)
        for side, results in zip((old, new), given, strict=True)
    ]
    return gold, (made[0], made[1])


def tried(ruleset: rules.RuleSet, encounters: Encounters, options: tuple[str, str, str]) -> list[Result]:
    """What the rules make of each encounter, under setting and policy (see `checked_policy`)."""
    setting, policy = checked_policy(*options)
    extractor = Extractor(ruleset, setting, policy)
    return [extractor.extract_encounter(some).model_copy(update={"id": name}) for name, some in encounters.items()]


def moved_rules(old: rules.RuleSet, new: rules.RuleSet) -> list[str]:
    """The ids of rules that are gone (-), new (+), or say something else (~), in the order of their ids."""
    signs = dict.fromkeys(old.by_id.keys() - new.by_id.keys(), "-")
    signs |= dict.fromkeys(new.by_id.keys() - old.by_id.keys(), "+")
    signs |= {name: "~" for name in old.by_id.keys() & new.by_id.keys() if old.by_id[name] != new.by_id[name]}
    return [f"{signs[name]}{name}" for name in sorted(signs)]


def _rules(side: str) -> rules.RuleSet:
    if side == SHIPPED:
        return rules.load()
    folder = Path(side)
    if not folder.is_dir():
        raise InputError(f"{side}: neither 'shipped', nor a folder of rules, nor a .jsonl of results")
    whole = all((folder / name).exists() for name in ("targets", "context", "vocabulary.yaml"))
    return rules.load(folder, shipped=not whole)


def notes(on: Path) -> tuple[dict[str, tuple[str, ...]] | None, Encounters]:
    """The gold codes by note, where `on` is a gold file, and its encounters by id. Raises `InputError`."""
    if on.is_file() and on.suffix == ".jsonl" and holding.held(on) == "gold":
        rows = golden.read_file(on)
        return {row.id: row.codes for row in rows if row.codes is not None}, {row.id: row.notes() for row in rows}
    encounters: Encounters = {}
    for item in Sources([str(on)]).encounters():
        if isinstance(item, Failure):
            raise InputError(f"{item.where}: {item.says}")
        encounters[item.id] = list(item.notes)
    return None, encounters
