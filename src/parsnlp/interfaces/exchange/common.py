"""What the formats of annotation tools share: labels, file names, JSON lines, and how problems are told."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, unquote

from parsnlp.errors import InputError
from parsnlp.evaluation.gold import GoldMention, GoldNote
from parsnlp.interfaces import reading
from parsnlp.models import Assertion, Condition

CONDITIONS: tuple[str, ...] = get_args(Condition)
ASSERTIONS: tuple[str, ...] = get_args(Assertion)
LABELS = tuple(f"{condition}/{assertion}" for condition in CONDITIONS for assertion in ASSERTIONS)
"""For tools whose spans carry one label and nothing else."""
COLOURS = ("#0072b2", "#d55e00", "#009e73")  # of the conditions; told apart by the colour-blind too

Row = dict[str, Any]
Rows = Iterator[tuple[str, Row]]
Files = Iterator[tuple[str, bytes]]
"""Names of files, and what they hold."""

FACTS = ("kind", "setting", "encounter_date")
_LONGEST_NAME = 200  # of most file systems 255 bytes, some for the ending
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Format:
    """A format. `says`: whose it is. `files` of rows, made `by` a program or by people (None). `rows` of what lies at a path.

    `rows` adds what is wrong to the list it is given, each with its place and what to do, and goes on.
    """

    says: str
    files: Callable[[Sequence[GoldNote], str | None], Files]
    rows: Callable[[Path, list[str]], Rows]


def label(mention: GoldMention) -> str:
    """Condition and assertion in one, such as spondylolysis/negated."""
    return f"{mention.condition}/{mention.assertion}"


def unlabelled(name: object) -> Row | None:
    """The condition and assertion of such a label; None when it is none."""
    if not isinstance(name, str) or name not in LABELS:
        return None
    condition, assertion = name.split("/")
    return {"condition": condition, "assertion": assertion}


def mentions(note: GoldNote) -> Sequence[GoldMention]:
    """The mentions that a tool can show: those of a condition."""
    return [mention for mention in note.mentions or () if mention.condition is not None]


def facts(note: GoldNote) -> Row:
    """What else is known of a note: its kind, setting, date and codes."""
    known = {name: getattr(note, name) for name in FACTS if getattr(note, name) is not None}
    return known if note.codes is None else {**known, "codes": list(note.codes)}


def told(values: Mapping[str, object]) -> Row:
    """The same facts out of what a tool has kept; empty ones are absent."""
    known: Row = {name: values[name] for name in FACTS if values.get(name)}
    codes = values.get("codes")
    return known if codes is None else {**known, "codes": codes}


def file_name(note: GoldNote) -> str:
    """The note's id as a file's name without ending: whatever is no letter, digit, `.`, `_` or `-` percent-encoded."""
    name = quote(note.id, safe="")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    if not name or len(name) > _LONGEST_NAME:
        raise InputError(f"the id of a note is {'too long' if name else 'empty'} for a file's name; give it another")
    return name


def note_id(path: Path) -> str:
    """The id that a file's name stands for."""
    return unquote(path.stem)


def utf16_places(text: str) -> list[int]:
    """Where the text's characters beyond U+FFFF stand, in code points: each shifts what follows by one code unit."""
    return [match.start() for match in _ASTRAL.finditer(text)]


def to_utf16(places: Sequence[int], offset: int) -> int:
    """A code-point offset in UTF-16 code units.

    >>> to_utf16(utf16_places("🙂 L5"), 2)
    3
    """
    return offset + bisect_left(places, offset)


def from_utf16(places: Sequence[int], offset: object) -> int | None:
    """An offset in UTF-16 code units in code points; None when it is no number or splits a character.

    >>> from_utf16(utf16_places("🙂 L5"), 3), from_utf16(utf16_places("🙂 L5"), 1)
    (2, None)
    """
    if not isinstance(offset, int) or isinstance(offset, bool):
        return None
    passed = bisect_left(range(len(places)), offset, key=lambda number: places[number] + number)
    found = offset - passed
    return found if to_utf16(places, found) == offset else None


def json_line(value: Row) -> bytes:
    """One line of JSON Lines."""
    return (json.dumps(value, ensure_ascii=False) + "\n").encode("utf-8")


def json_lines(path: Path, problems: list[str]) -> Iterator[tuple[str, Row]]:
    """The objects of a JSON Lines file, each with its place."""
    for number, line in enumerate(text_of(path).split("\n"), 1):  # not splitlines(): U+2028 may stand in a string
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(f"{path}:{number}: malformed JSON; each line must hold one object (JSONL)")
            continue
        if isinstance(value, dict):
            yield f"{path}:{number}", value
        else:
            problems.append(f"{path}:{number}: {reading.named(value)}, not an object; export as JSONL")


def text_of(path: Path) -> str:
    """The text of a UTF-8 file, line ends and all. Raises `InputError` when it cannot be read."""
    data = reading.content(path)
    try:
        return data.decode("utf-8-sig" if path.suffix in (".json", ".jsonl") else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start}); export it again as UTF-8") from None


def found_in(path: Path, pattern: str, what: str) -> list[Path]:
    """The file itself, or the files of a folder at any depth that match, in order.

    Raises `InputError` for none, or when a link leads out of the folder.
    """
    if path.is_file():
        return [path]
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    reading.stay(path)
    found = sorted(each for each in path.rglob(pattern) if each.is_file())
    if not found:
        raise InputError(f"{path}: holds no {pattern} of {what}")
    return found


def allowed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(names)
