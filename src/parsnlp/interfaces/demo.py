"""`parsnlp demo`: the sample notes of the checkout, each with its codes in a line, and one explained in full."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from parsnlp import explain
from parsnlp.errors import InputError
from parsnlp.interfaces import files, terminal
from parsnlp.interfaces.reading import Failure

if TYPE_CHECKING:
    from parsnlp.extractor import Extractor
    from parsnlp.models import Result

_KNOWN = ("setting", "kind")


def notes_folder() -> Path:
    """The sample notes beside this checkout. Raises `InputError` for an installed package, which has none."""
    folder = Path(__file__).parents[3] / "corpora" / "dev" / "notes"
    if not folder.is_dir():
        raise InputError("the sample notes are in the source checkout only; name a folder: parsnlp demo FOLDER")
    return folder


def run(folder: Path, extractor: Extractor) -> None:
    """Print every note's codes with a one-line reason, then one note with lysis and slip in full."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one that holds notes as .txt files")
    known = _known(folder.parent / "gold.jsonl")
    out = terminal.console()
    shown: tuple[int, Result, str] | None = None
    coded = count = 0
    for path in files.below(folder):
        for item in files.read(path, path.stem, **known.get(path.stem, {})):
            if isinstance(item, Failure):
                terminal.say(f"parsnlp: {item.where}: {item.says}")
                continue
            result = extractor.extract_encounter(item.notes)
            text = item.notes[0].text
            count += 1
            coded += bool(result.codes)
            terminal.show_lines(out, _short(result))
            worth = _worth(result)
            if shown is None or worth > shown[0]:
                shown = (worth, result, text)
    out.print()
    out.print(
        f"{count} notes, {coded} with codes. One of them in full, {shown[1].id}:" if shown else "No note could be read."
    )
    if shown:
        out.print()
        terminal.show_note(out, shown[1], shown[2])
        out.print()
        terminal.show_lines(out, explain.lines(shown[1]))


def _short(result: Result) -> list[explain.Line]:
    name = f"{result.id:6} "
    if not result.codes:
        refused = result.suppressed[0] if result.suppressed else None
        why = f"{refused.code} refused, {explain.flat(refused.reason)}" if refused else "no mention of these conditions"
        return [explain.Line(f"{name}{'no code':9} {why}", kind="note")]
    return [
        explain.Line(f"{name if not number else ' ' * len(name)}{code.code:9} {explain.flat(code.reason)}")
        for number, code in enumerate(result.codes)
    ]


def _worth(result: Result) -> int:
    """How much a note shows: lysis and slip both coded first, then anything coded."""
    families = {code.code[:5] for code in result.codes}
    return 2 if {"M43.0", "M43.1"} <= families else int(bool(families))


def _known(gold: Path) -> Mapping[str, Mapping[str, str]]:
    """What the corpus says of each note's circumstances (not of its codes): setting and kind, by id."""
    if not gold.is_file():
        return {}
    rows = (json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines() if line.strip())
    return {row["id"]: {key: row.get(key) for key in _KNOWN} for row in rows}
