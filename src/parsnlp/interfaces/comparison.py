"""The two sides of `parsnlp diff`: rule sets tried on the same notes, or results that lie in files."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from parsnlp import rules
from parsnlp.errors import InputError
from parsnlp.evaluation import gold as golden
from parsnlp.extractor import Extractor, checked_policy
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
    given = [_results(side) if side.endswith(".jsonl") else None for side in (old, new)]
    gold = None
    encounters: Encounters = {}
    if on is None and None in given:
        raise InputError("rules need notes to be tried on: add --on GOLD.jsonl or --on FOLDER")
    if on is not None:
        gold, encounters = _notes(on)
    made = [
        results if results is not None else _extract(side, encounters, options)
        for side, results in zip((old, new), given, strict=True)
    ]
    return gold, (made[0], made[1])


def _extract(side: str, encounters: Encounters, options: tuple[str, str, str]) -> list[Result]:
    setting, policy = checked_policy(*options)
    extractor = Extractor(_rules(side), setting, policy)
    return [extractor.extract_encounter(notes).model_copy(update={"id": name}) for name, notes in encounters.items()]


def _rules(side: str) -> rules.RuleSet:
    if side == SHIPPED:
        return rules.load()
    folder = Path(side)
    if not folder.is_dir():
        raise InputError(f"{side}: neither 'shipped', nor a folder of rules, nor a .jsonl of results")
    whole = all((folder / name).exists() for name in ("targets", "context", "vocabulary.yaml"))
    return rules.load(folder, shipped=not whole)


def _results(side: str) -> list[Result]:
    try:
        lines = Path(side).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{side}: cannot be read ({type(error).__name__})") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(Result.model_validate_json(line))
        except ValidationError as error:
            raise InputError(
                f"{side}:{number}: no result of parsnlp (batch and code --json write them, with text): "
                f"{error.errors(include_input=False, include_url=False)[0]['msg']}"
            ) from None
    return found


def _notes(on: Path) -> tuple[dict[str, tuple[str, ...]] | None, Encounters]:
    if on.is_file() and on.suffix == ".jsonl" and _is_gold(on):
        rows = golden.read_file(on)
        return {row.id: row.codes for row in rows if row.codes is not None}, {row.id: row.notes() for row in rows}
    encounters: Encounters = {}
    for item in Sources([str(on)]).encounters():
        if isinstance(item, Failure):
            raise InputError(f"{item.where}: {item.says}")
        encounters[item.id] = list(item.notes)
    return None, encounters


def _is_gold(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            first = stream.readline()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__})") from None
    try:
        row = json.loads(first)
    except ValueError:
        return False
    return isinstance(row, dict) and "codes" in row
