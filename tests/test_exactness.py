"""Gated and windowed reading equals exhaustive reading, byte for byte, whatever the text and its layout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

import parsnlp
from parsnlp import rules
from parsnlp.models import Note

CORPORA = Path(__file__).parents[1] / "corpora"
ENDS = ("\n", "\r\n", "\r", "\x0b", "\x85", "\u2028", "\n\n", "\n \n", "\n\t\n\n")
STRANGE = (
    "\u00ad\u200b\u2060\ufeff\u00a0\u202f\x00\ud800İſ²½é\u0301\U0001f600\u2011\u2013\u2022\u2610\u2713|_[](){}<>*#=~"
)
WORDS = sorted(
    {
        example.text[start:end]
        for rule in rules.load().rules
        if rule.folder in ("targets", "context", "attributes")
        for example in rule.examples
        for start, end in example.spans
    }
)


def texts() -> list[str]:
    """Every text of the open corpora."""
    found = [path.read_text(encoding="utf-8") for path in sorted(CORPORA.rglob("*.txt"))]
    for path in sorted(CORPORA.rglob("*.jsonl")):
        rows = map(json.loads, path.read_text(encoding="utf-8").split("\n")[:-1])
        found += [row["text"] for row in rows if isinstance(row.get("text"), str)]
    return found


def as_it_is(text: str, random: Random) -> str:
    return text


def other_line_ends(text: str, random: Random) -> str:
    end = random.choice(ENDS)
    return text.replace("\r\n", "\n").replace("\n", end)


def wrapped(text: str, random: Random) -> str:
    """Hard wraps anywhere, hyphens at some line ends."""
    width = random.randrange(8, 90)
    return "\n".join(
        text[at : at + width] + random.choice(("", "", "-", " ", "- ")) for at in range(0, len(text), width)
    )


def on_one_line(text: str, random: Random) -> str:
    return random.choice((" ", "  ", "\t", " | ")).join(text.split())


def strewn(text: str, random: Random) -> str:
    """Strange characters anywhere, also inside words."""
    for _ in range(random.randrange(1, 12)):
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(STRANGE) * random.randrange(1, 4) + text[at:]
    return text


def halved(text: str, random: Random) -> str:
    return text[random.randrange(len(text) + 1) :][: random.randrange(1, len(text) + 2)]


def shouted(text: str, random: Random) -> str:
    return text.upper()


CHANGES: tuple[Callable[[str, Random], str], ...] = (
    as_it_is, other_line_ends, wrapped, on_one_line, strewn, halved, shouted,
)  # fmt: skip


def salad(random: Random) -> str:
    """Words of the rules and noise in any order, in any layout."""
    parts = []
    for _ in range(random.randrange(1, 40)):
        kind = random.random()
        if kind < 0.6:
            parts.append(random.choice(WORDS))
        elif kind < 0.75:
            parts.append(
                random.choice((".", ",", ";", ":", " - ", "\n- ", "\n1. ", "?", " but ", "IMPRESSION:", "L5", "L4-5"))
            )
        else:
            parts.append(
                "".join(chr(random.choice((random.randrange(32, 127), random.randrange(0x110000)))) for _ in range(4))
            )
        parts.append(random.choice((" ", " ", " ", "", "  ", "\t", *ENDS)))
    return "".join(parts)


def many(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """`count` texts with a name each: corpora and generated notes, changed, and salads."""
    sys.path.insert(0, str(CORPORA))
    try:
        import generate
    finally:
        sys.path.remove(str(CORPORA))
    random = Random(seed)
    own = texts()
    styles = list(generate.lexicon()["styles"])
    for number in range(count):
        change = CHANGES[number % len(CHANGES)]
        kind = number // len(CHANGES) % 4
        if kind == 0:
            text = random.choice(own)
        elif kind == 1:
            text = generate.note(random.choice(styles), seed, number)["text"]
        elif kind == 2:
            text = random.choice(ENDS).join(random.choice(own) for _ in range(3))
        else:
            text = salad(random)
        yield f"seed {seed}, number {number}, {change.__name__}", change(text, random)


def differing(count: int, seed: int) -> list[str]:
    extractor = parsnlp.load()
    return [
        name
        for name, text in many(count, seed)
        if extractor.extract(text).to_json() != extractor.extract(text, exhaustive=True).to_json()
    ]


def test_windows_are_exact() -> None:
    assert differing(400, 1) == []


def test_windows_are_exact_in_an_encounter() -> None:
    """The gate is the encounter's: a document without an anchor is opened by one that has one."""
    extractor = parsnlp.load()
    drawn = iter(many(120, 3))
    for _ in range(30):
        some = [Note(text=text, id=f"d{number}") for number, (_, text) in zip(range(4), drawn, strict=False)]
        windowed, whole = (extractor.extract_encounter(some, exhaustive=mode) for mode in (False, True))
        assert windowed.to_json() == whole.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(11, 16))
def test_windows_are_exact_at_length(seed: int) -> None:
    """5 x 4,200 = 21,000 texts."""
    assert differing(4_200, seed) == []


def test_a_typed_code_opens_the_record() -> None:
    """Care and imaging are told where a mention or a code of the families opened the record, and only there."""
    extractor = parsnlp.load()
    told = "Physical therapy for six weeks. MRI lumbar spine shows a disc bulge."
    for code, opened in (("M43.06", True), ("M4316", True), ("738.4", True), ("M25.561", False), ("", False)):
        result = extractor.extract_encounter([Note(text=f"Dx {code}.", id="a"), Note(text=told, id="b")])
        assert bool(result.conservative_care) is bool(result.imaging) is opened, code
        assert not result.codes
