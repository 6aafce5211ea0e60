"""Notes to measure with: generated spine notes, and unselected ones of which a few are about the spine."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "corpora"))

import generate  # noqa: E402
from generator.lexicons import lexicon  # noqa: E402

DENSE, UNSELECTED = (
    2_450,
    1_650,
)  # characters of a note, as in the collections that the yardsticks were first measured on
SHARE = 0.05


def spine(count: int, length: int, seed: int) -> list[str]:
    """Notes of about `length` characters, each of a few generated notes about the spine, in all styles."""
    styles = list(lexicon()["styles"])
    made: list[str] = []
    number = 0
    while len(made) < count:
        text = ""
        while len(text) < length - 200:
            text += generate.note(styles[number % len(styles)], seed, number)["text"] + "\n\n"
            number += 1
        made.append(text[: length + 200])
    return made


def unselected(count: int, seed: int) -> list[str]:
    """Notes of other specialties, paragraphs drawn anew, and one in twenty about the spine, spread evenly."""
    random = Random(seed)
    paragraphs = (Path(__file__).parent / "general.txt").read_text(encoding="utf-8").split("\n\n")
    about = iter(spine(int(count * SHARE) + 1, UNSELECTED, seed))
    made = []
    for number in range(count):
        if number % round(1 / SHARE) == 7:
            made.append(next(about))
            continue
        text = ""
        while len(text) < UNSELECTED:
            text += random.choice(paragraphs) + "\n\n"
        made.append(text)
    return made


def folder(path: Path) -> list[str]:
    """The `.txt` notes of a folder, at any depth."""
    files = sorted(path.rglob("*.txt"))
    return [file.read_text(encoding="utf-8", errors="replace") for file in files if file.stat().st_size]
