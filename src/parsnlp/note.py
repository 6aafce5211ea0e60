"""The text of a note: its offsets, its clean form, its lines, items and sentences.

Everything here is about layout, not about medicine. Offsets are 0-based code points into the text exactly as the
caller passed it, end exclusive. Two facts carry the rest of the library:

* **Locality.** Sentence boundaries depend only on the blank-line-bounded block around them, so reading a block alone
  gives the same sentences as reading the whole note.
* **The clean form** of a sentence (lower case, one space for any white space, plain hyphens and quotes, words joined
  over a line-end hyphen) is what rules match; `Clean` maps every clean offset back to the original text.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

MAX_BLOCK = 20_000
"""Longest run of text, in code points, that is laid out as one block; a longer one is cut at white space."""

MAX_SENTENCE = 1_500
"""Longest sentence, in code points; a longer one is cut at white space, so that no text costs more than its length."""


# --- the clean form -------------------------------------------------------------------------------------------------

_SPECIAL = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u00af", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u0060\u00b4\uff07", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2022\u25cf\u25aa\u25a0\u00b7\u2023\u25e6\u2043\uf0b7", "*"),
    **dict.fromkeys("\u2610\u25a1\u25fb\u274f\u2751", "\u2610"),
    **dict.fromkeys("\u2611\u2612\u2714\u2713\u2705\u25a3", "\u2611"),
    "\u2044": "/",
    "\u2215": "/",
    "\u00bd": "\u00bd",
}
_DROPPED = "\u00ad\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e\x00"


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    """One character to one lower-case, width-folded, unaccented character; length never changes."""
    if char in _SPECIAL:
        return _SPECIAL[char]
    if char.isspace() or char in "\x1c\x1d\x1e\x1f":
        return char if char in "\n\r\x0b\x0c\x85\u2028\u2029" else " "
    if char in _DROPPED:
        return char
    folded = unicodedata.normalize("NFKD", char)
    for part in folded:
        if not unicodedata.combining(part):
            lowered = part.lower()
            return lowered[0] if lowered else part
    return char


class _Folding(dict[int, str]):
    """A `str.translate` table that fills itself, so that any text folds in one C-speed pass after warm-up."""

    def __missing__(self, code: int) -> str:
        value = _fold_char(chr(code))
        if len(self) < 20_000:
            self[code] = value
        return value


_FOLDING = _Folding()
_SCANNED = re.compile(r"[01](?:(?<=[a-z]{2}[01])(?=[a-z]{2})|(?<=\bn0)(?= ))")
_IRREGULAR = re.compile(
    rf"(?<=[a-z])-[ \t]*(?:\r\n|[\n\r\x0b\x0c\x85\u2028\u2029])[ \t]*(?=[a-z])"  # a word cut at the line's end
    rf"|[{_DROPPED}]+"
    r"|\s{2,}|[^\S ]"
)


def fold(text: str) -> str:
    """The text lower-cased, unaccented and width-folded, of exactly the same length.

    >>> fold("Spondylolisthésis L4–L5")
    'spondylolisthesis l4-l5'
    """
    folded = text.translate(_FOLDING)
    if "0" in folded or "1" in folded:
        # A scanner's digits inside a word: "spondyl0listhesis", "eva1uate". A level such as "c1c2" has no two letters.
        return _SCANNED.sub(lambda match: "o" if match.group() == "0" else "l", folded)
    return folded


class Clean:
    """The clean form of a stretch of text, with its way back.

    `text`: what rules match. `start`, `end`: the stretch in the original text. `origin(i)` gives the original offset of
    clean offset `i`; `span(a, b)` the original span of `text[a:b]`.
    """

    __slots__ = ("_breaks", "_shifts", "end", "start", "text")

    def __init__(self, source: str, start: int, end: int) -> None:
        self.start = start
        self.end = end
        folded = fold(source[start:end])
        plain = folded.isascii() and "\0" not in folded and " ".join(folded.split()) == folded
        if plain or _IRREGULAR.search(folded) is None:
            self.text = folded
            self._breaks: list[int] = []
            self._shifts: list[int] = []
            return
        pieces: list[str] = []
        breaks: list[int] = []
        shifts: list[int] = []
        last = length = 0
        for match in _IRREGULAR.finditer(folded):
            piece = folded[last : match.start()]
            gap = match.group()
            fill = " " if gap[0] != "-" and gap[0] not in _DROPPED else ""
            pieces.append(piece)
            pieces.append(fill)
            length += len(piece) + len(fill)
            last = match.end()
            breaks.append(length)
            shifts.append(last - length)
        pieces.append(folded[last:])
        self.text = "".join(pieces)
        self._breaks = breaks
        self._shifts = shifts

    def origin(self, offset: int) -> int:
        """The original offset of the character at clean `offset`."""
        at = bisect_right(self._breaks, offset)
        return self.start + offset + (self._shifts[at - 1] if at else 0)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original `(start, end)` of clean `text[start:end]` (not empty)."""
        return self.origin(start), self.origin(end - 1) + 1

    def offset(self, origin: int) -> int:
        """The clean offset of original offset `origin`, clamped into the stretch."""
        low, high = 0, len(self.text)
        while low < high:
            middle = (low + high) // 2
            if self.origin(middle) < origin:
                low = middle + 1
            else:
                high = middle
        return low


# --- lines, blocks, sentences ---------------------------------------------------------------------------------------

_LINE = re.compile(r"([^\n\r\x0b\x0c\x85\u2028\u2029]*)(\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]|\Z)")
_BULLET = re.compile(
    r"[ \t\u00a0]*(?:[-*+\u2022\u25cf\u25aa\u25a0\u00b7\u2023\u25e6\u2043\u2013\uf0b7>o\u2192](?=[ \t])"
    r"|[-\u2022*\u25cf](?=[A-Za-z])"
    r"|\(?(?:\d{1,2}|[A-Ha-h]|[ivx]{1,4})[.)](?=[ \t]|[A-Z])|#\d{1,2}\b[.):]?|\d{1,2}[-:][ \t](?=[A-Za-z]))"
)
_BOX = re.compile(
    r"\[[ \txX\u2713\u2714*_]{0,3}\]|\([ \txX\u2713\u2714]{1,3}\)|[\u2610\u25a1\u25fb\u274f\u2611\u2612\u2714\u2713\u2705]|_{2,4}(?=[ ]?[A-Z])"
)
_HEADING_SHAPE = re.compile(
    r"[ \t]*(?:\*\*|__|#{1,4} )?[A-Za-z][A-Za-z0-9 /&().,'\u2019+-]{0,48}?(?:\*\*|__)?[ \t]*:(?=\s|$|\*)"
)
_VALUE = re.compile(r"(?:[:|=>]|\.{2})\s*$")  # "listhesis: no" is a field and its value
_WIDEST = 160  # columns at which lines are broken; longer lines are paragraphs
_COLUMNS = re.compile(r"[^\s.:;?!,] {2,}(?=\S)|\S {3,}(?=\S)")  # a row: its cells stand apart
_FIELD_SHAPE = re.compile(r"[^|:\n]{3,60}?(?: (?:\||->|-|=)|:) \S+(?: \S+){0,2}(?<![.,;])")  # "spondylolysis - none"
_LEVEL_SHAPE = re.compile(
    r"[ \t]*(?:[CTLS]\d{1,2})(?:[ ]?[-/\u2010-\u2014][ ]?[CTLS]?\d{1,2})?[ \t]*(?:[:.\-\u2010-\u2014|]|[ \t]{2,}|$)"
)
# Each of these begins with a set of characters, which the regex engine finds fast.
# A run of stops is looked at from its first one alone, so that a long one costs no more than its length.
_END = re.compile(
    r"[.!?;](?:(?<=[.!?])(?<![.!?].)[.!?]*[\"'\u201d\u2019)\]]*(?=\s|$)|(?<=[a-z0-9)]\.)(?=[A-Z][a-z])|(?<=;))"
)
_NUMBERED = re.compile(r"\d[.)]\s")
_LIST_NUMBER = re.compile(
    r"(?<=[.;:,!?)\]])\s+(?=\(?[1-9]\d?[.)]\s+[A-Za-z])|(?<!\s)\s+(?=\(?[1-9]\d?\)\s+[A-Za-z])|(?<!\s)\s{2,}(?=[1-9]\.\s+[A-Z])"
)
_CELL = re.compile(
    r"(?<![ \t])(?:[ ]{2,}|[ ]*\t[ \t]*|[ ]+\|[ ]+)(?=[A-Za-z][A-Za-z0-9 /&.'-]{0,30}(?::(?:\s|$)|[ ]?[\[(][ xX]{1,3}[\])]))"
)
_SIGN = re.compile(r"(?<!\S)\([+-]\)(?=[ ]?[A-Za-z])")  # "(+) L5 spondylolysis (-) listhesis"
_ANSWER = re.compile(r"\s*(?:A:\s*)?(?:yes|no|none|y|n|not (?:seen|present|identified|noted)|negative|denied)\b", re.I)
_BOX_ANSWER = re.compile(r"\s*(?:yes|no|y|n|present|absent|none|n/a|positive|negative|denies)\b", re.I)
_LETTERS = re.compile(r"[^\W\d_]{2}")
_WORD = re.compile(r"\S+")
_LAST_WORD = re.compile(r"[A-Za-z]+$")
_BEFORE_STOP = re.compile(r"[A-Za-z][A-Za-z./]*$")


class Sentence(NamedTuple):
    """A sentence, list item, table cell or heading line: the unit that context cues and level binding work in.

    `start`, `end`: its span, without surrounding white space. `item`: number of the line item (bullet, row, paragraph)
    it stands in; `block`: number of its blank-line-bounded block. `bullet`: its item begins with a list marker.
    """

    start: int
    end: int
    item: int
    block: int
    bullet: bool = False


@dataclass(frozen=True, slots=True)
class LayoutWords:
    """Words of the language that layout needs, from `patterns/layout.yaml`.

    `abbreviations`: lower-case words, without their full stop, after which a full stop ends no sentence.
    `short_words`: words that are no abbreviations, however short. `open_endings`: words that cannot end a line item;
    `before_levels`: those of them that want a level after them. `spoken_stop`: a dictated "period" or "new paragraph".
    """

    abbreviations: frozenset[str] = frozenset()
    open_endings: frozenset[str] = frozenset()
    before_levels: frozenset[str] = frozenset()
    short_words: frozenset[str] = frozenset()
    spoken_stop: re.Pattern[str] | None = None


NO_WORDS = LayoutWords()


@dataclass(slots=True)
class Line:
    """A line's content span, without its line break. `blank`: only white space."""

    start: int
    end: int
    blank: bool


@dataclass(slots=True)
class Layout:
    """A note's lines and sentences, in order of the text. `starts` are the sentences' starts, for look-up by offset."""

    text: str
    lines: list[Line]
    sentences: list[Sentence]
    starts: list[int] = field(default_factory=list)

    def at(self, offset: int) -> int:
        """Index of the sentence that holds `offset` (the one before it when it falls between two; 0 at the least)."""
        return max(bisect_right(self.starts, offset) - 1, 0)

    def item_end(self, offset: int) -> int:
        """Where the line item (with its soft-wrapped continuation) that holds `offset` ends."""
        at = self.at(offset)
        while at + 1 < len(self.sentences) and self.sentences[at + 1].item == self.sentences[at].item:
            at += 1
        return self.sentences[at].end if self.sentences else offset


def lines(text: str) -> list[Line]:
    """The lines of `text`, whatever its line ends."""
    found = []
    for match in _LINE.finditer(text):
        start, end = match.span(1)
        found.append(Line(start, end, not match.group(1).strip()))
        if not match.group(2):
            break
    return found


def blocks(all_lines: list[Line], text: str) -> Iterator[list[Line]]:
    """Runs of non-blank lines; an over-long run or line is cut, so that no block exceeds `MAX_BLOCK`.

    `layout` of a block's lines alone gives the sentences that `layout` of the whole note gives there.
    """
    block: list[Line] = []
    size = 0
    for line in all_lines:
        if line.blank:
            if block:
                yield block
            block, size = [], 0
            continue
        for piece in _cut(line, text):
            if block and size + piece.end - piece.start > MAX_BLOCK:
                yield block
                block, size = [], 0
            block.append(piece)
            size += piece.end - piece.start + 1
    if block:
        yield block


def _cut(line: Line, text: str) -> Iterator[Line]:
    start = line.start
    while line.end - start > MAX_BLOCK:
        stop = text.rfind(" ", start + MAX_BLOCK // 2, start + MAX_BLOCK)
        stop = stop + 1 if stop > 0 else start + MAX_BLOCK
        yield Line(start, stop, False)
        start = stop
    if start < line.end:
        yield Line(start, line.end, not text[start : line.end].strip())


def _joins(text: str, this: Line, following: Line, width: int, words: LayoutWords) -> bool:
    """Whether the break between two lines of a block is a soft wrap inside one sentence or paragraph."""
    after = text[following.start : following.end]
    if _BULLET.match(after) or _BOX.match(after.lstrip()):
        return False
    before = text[this.start : this.end].rstrip()
    last = _LAST_WORD.search(before)
    if _LEVEL_SHAPE.match(after):
        # A row, unless the line before cannot end there: "spondylolisthesis at / L5-S1".
        return last is not None and last.group().lower() in words.before_levels
    if _COLUMNS.search(before) and _COLUMNS.search(after):
        return False
    word = _WORD.search(after)
    first = len(word.group()) if word else 0
    hard = 45 <= width <= _WIDEST
    wrapped = hard and len(before) + 1 + first > width - 2
    runs_on = hard and after.lstrip()[:1].islower() and len(before) >= 0.6 * width
    lower = after.lstrip()[:1].islower()
    open_end = (
        last is not None and last.group().lower() in words.open_endings and not _VALUE.search(before, 0, last.start())
    )
    # A list that goes on: "... without evidence of fracture, / spondylolisthesis, or a mass. L4-5: ...".
    listing = before[-1:] == "," and (wrapped or runs_on) and (lower or before.isupper())
    if not listing:
        heading = ":" in after and _HEADING_SHAPE.match(after)
        if heading and not ((wrapped or open_end) and lower and before[-1:].isalpha()):
            return False
        if _FIELD_SHAPE.fullmatch(after.strip()):
            return False
    if not before or before[-1] in ":|" or any(sign in before and sign in after for sign in ("|", "\t", "....")):
        return False
    if before[-1] == "-" and len(before) > 1 and before[-2].isalpha() and lower:
        return True
    if before[-1] in ".!?;":
        return wrapped
    return wrapped or before[-1] == "," or open_end or runs_on


def _units(text: str, block: list[Line], words: LayoutWords) -> Iterator[tuple[int, int]]:
    """The block's items: a bullet, row, heading line or paragraph with its soft-wrapped continuation lines."""
    width = max(line.end - line.start for line in block)
    start, last = block[0].start, block[0]
    for line in block[1:]:
        if not _joins(text, last, line, width, words):
            yield start, last.end
            start = line.start
        last = line
    yield start, last.end


def _cuts(text: str, start: int, end: int, dictated: re.Pattern[str] | None, words: LayoutWords) -> list[int]:
    """Offsets inside an item at which a new sentence begins. `dictated`: what ends one in words, in a text that has it."""
    cuts: set[int] = set()
    marker = _BULLET.match(text, start, end)
    body = marker.end() if marker else start
    for match in _END.finditer(text, body, end):
        at = match.end()
        if match.group().startswith("..."):
            continue  # dot leaders, or a pause
        if match.group()[0] == "?" and (match.start() <= body or text[match.start() - 1].isspace()):
            continue  # a question mark in front of what it questions
        if match.group()[0] == ".":
            word = _BEFORE_STOP.search(text[max(body, match.start() - 14) : match.start()])
            token = word.group().lower() if word else ""
            following = text[at : at + 40].lstrip()
            if token in words.abbreviations:
                continue
            if not word and match.start() - body <= 2:
                continue  # the marker "1." of a list
            if following[:1].islower() and 0 < len(token) <= 4 and token not in words.short_words:
                continue  # an abbreviation of the writer's own
        elif match.group()[0] == "?" and (_ANSWER.match(text, at) or not _LETTERS.search(text, at, end)):
            continue
        cuts.add(at)
    piece = text[body:end]
    if dictated is not None:
        spoken = [match.end() for match in dictated.finditer(piece)]
        if len(spoken) > 1:  # one may be a period of time
            cuts.update(body + stop for stop in spoken)
    # The next three are dear, so they are looked for only where what they cannot do without stands.
    if _NUMBERED.search(piece):
        for match in _LIST_NUMBER.finditer(text, body, end):
            cuts.add(match.end())
    if (":" in piece or "[" in piece or "(" in piece) and ("  " in piece or "\t" in piece or " |" in piece):
        for match in _CELL.finditer(text, body, end):
            cuts.add(match.end())
    signs = list(_SIGN.finditer(text, body, end)) if "(-)" in piece else []
    if len(signs) > 1 and text[body : signs[0].start()].rstrip()[-1:] in ("", ":"):
        cuts.update(sign.start() for sign in signs)
    boxes = []
    if "[" in piece or "(" in piece or "__" in piece or not piece.isascii():
        boxes = [box for box in _BOX.finditer(text, body, end) if not _BOX_ANSWER.match(text, box.end())]
    if len(boxes) == 2 and boxes[0].start() > body and not text[boxes[0].end() : boxes[1].start()].strip():
        boxes = []  # the boxes of two columns, which answer the row's question
    if boxes:
        first = text[start : boxes[0].start()]
        rest = text[boxes[-1].end() : end].strip()
        leads = (
            not first.strip()
            or first.rstrip()[-1:] in ":-*.)?"
            or (len(boxes) > 1 and rest != "" and (":" not in rest or not first.strip().isalpha()))
        )
        for box in boxes:
            cuts.add(box.start() if leads else box.end())
    return sorted(cut for cut in cuts if start < cut < end)


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence in pieces of at most `MAX_SENTENCE`, cut at white space where there is any."""
    while end - start > MAX_SENTENCE:
        stop = text.rfind(" ", start + MAX_SENTENCE // 2, start + MAX_SENTENCE)
        stop = stop if stop > 0 else start + MAX_SENTENCE
        yield start, stop
        start = stop
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end


def layout(text: str, words: LayoutWords = NO_WORDS, all_lines: list[Line] | None = None) -> Layout:
    """Lay a note out in sentences, with the help of a few words of the language. `all_lines`: its lines, where known.

    Sentences never overlap, never cross a blank line, and together hold every character that is not white space.
    """
    all_lines = lines(text) if all_lines is None else all_lines
    sentences: list[Sentence] = []
    span = (all_lines[0].start, all_lines[-1].end) if all_lines else (0, 0)
    dictated = words.spoken_stop if words.spoken_stop and words.spoken_stop.search(text, *span) else None
    item = 0
    for number, block in enumerate(blocks(all_lines, text)):
        for start, end in _units(text, block, words):
            bullet = _BULLET.match(text, start, end) is not None
            edges = [start, *_cuts(text, start, end, dictated, words), end]
            for left, right in itertools.pairwise(edges):
                piece = text[left:right]
                stripped = piece.strip()
                if stripped:
                    left += len(piece) - len(piece.lstrip())
                    for begin, stop in _bounded(text, left, left + len(stripped)):
                        sentences.append(Sentence(begin, stop, item, number, bullet))
            item += 1
    return Layout(text, all_lines, sentences, [sentence.start for sentence in sentences])
