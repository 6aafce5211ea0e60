"""Headings and sections, and what kind of document a note is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from parsnlp.note import Layout, Line, fold
from parsnlp.rules import Rule

_LEADING = re.compile(
    r"[\s\ufeff\u200b>*#_=~\-\[]*(?:(?:section|part) \d{1,2}[.:)]?\s+|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]\s+)?[*_#]*"
)
_LEVEL = re.compile(r"[ctls]\d")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATED = re.compile(
    rf"(?<![\s,(-])[\s,(-]+(?:on |dated )?(?:\d{{1,4}}[/.-]\d{{1,2}}(?:[/.-]\d{{2,4}})?|\d{{1,2}}[- ]?{_MONTH}[- ]?\d{{2,4}}|{_MONTH} \d{{1,2}},? \d{{4}}|{_MONTH} \d{{4}})"
    r"(?:[ ,@]+(?:at )?\d{1,2}:?\d\d(?: ?[ap]m| ?hrs| ?h)?)?(?:,? [a-z. ]{1,30})?\)?$"
)
_INLINE = re.compile(
    r"(?<=[.;:!?)\]])\s+([A-Za-z][A-Za-z /&]{0,30}?):(?=\s)|(?<![ \t])[ \t]{3,}([A-Za-z][A-Za-z /&]{0,30}?):(?=\s)"
)
# What `_INLINE` cannot do without; looking for it first is far cheaper.
_INNER = re.compile(r"[.;:!?)\]]\s|[ \t]{3}")
_FIELD = re.compile(r":(?=\s)")
_SHAPE = re.compile(r"\s*(?:[*_#]+\s*)?([A-Za-z][\w /&().,'+-]{0,60}?)(?:\*\*|__)?\s*:(?:\s|$|\*)")


@dataclass(frozen=True, slots=True)
class Section:
    """A section: `category`, the heading's span, and the body's span. `rule` is the rule that knew the heading."""

    category: str
    rule: str | None
    title_start: int
    title_end: int
    start: int
    end: int


class Mark(NamedTuple):
    """A heading, or a blank line, seen in the text. `inline`: its body begins on its own line; `upper`: in capitals."""

    start: int
    end: int
    rule: Rule | None = None
    inline: bool = False
    upper: bool = False
    blank: bool = False


class Sectionizer:
    """Finds sections by the heading rules of `patterns/sections/`."""

    def __init__(self, rules: Iterable[Rule], lone: re.Pattern[str], announced: re.Pattern[str]) -> None:
        self.rules = {rule.id: rule for rule in rules if rule.category == "section"}
        self._lone, self._announced = lone, announced
        # One expression per rule; a heading is matched whole, so their order does not matter but for ties (file order).
        self._whole = [(rule, re.compile(rf"(?:{'|'.join(rule.headings)})")) for rule in self.rules.values()]
        self._cache: dict[str, Rule | None] = {}

    def heading(self, title: str) -> Rule | None:
        """The rule that knows `title` (folded, stripped) as a heading, or None."""
        if not title:
            return None
        if title not in self._cache:
            if len(self._cache) > 50_000:
                self._cache.clear()
            bare = _REMARK.sub("", title)  # "Admission H&P (excerpt)"
            self._cache[title] = next(
                (
                    rule
                    for rule, regex in self._whole
                    if regex.fullmatch(title) or (bare != title and regex.fullmatch(bare))
                ),
                None,
            )
        return self._cache[title]

    def marks(self, text: str, lines: Iterable[Line]) -> list[Mark]:
        """The headings and blank lines of a note, in order; sections are made of them."""
        marks: list[Mark] = []
        for line in lines:
            if line.blank:
                marks.append(Mark(line.start, line.end, blank=True))
            else:
                marks += self._marks(text, line.start, line.end)
        marks.sort(key=lambda mark: (mark.start, mark.end))
        return marks

    def _marks(self, text: str, start: int, end: int) -> Iterator[Mark]:
        """The headings of one line: one at its start, known or only shaped like one, and known ones inside it."""
        raw = text[start:end]
        folded = fold(raw)
        lead = _LEADING.match(folded)
        offset = lead.end() if lead else 0
        title, stop = _title(folded[offset:], self._lone)
        rule = self.heading(title)
        bare = len(folded) - len(folded.lstrip())
        if rule is None and offset > bare:
            # What looked like a list letter may be the heading itself: "S. Patient reports ..."
            offset = bare
            title, stop = _title(folded[offset:], self._lone)
            rule = self.heading(title)
        grid = _GRID.match(raw, offset) if rule is None and "   " in raw else None
        if grid is not None:
            title = fold(grid.group(1)).rstrip()
            stop = len(title)
            rule = self.heading(title)
        if rule is not None and rule.value == "addendum" and self._announced.search(folded):
            return
        if rule is not None:
            inline = bool(folded[offset + stop :].strip(" *_-:\t"))
            yield Mark(start + offset, start + offset + stop, rule, inline, raw[offset : offset + len(title)].isupper())
        elif ":" in raw:
            shape = _SHAPE.match(raw)
            if shape and not _LEVEL.match(folded.lstrip()) and not _runs_on(text, start, shape.group(1)):
                name = shape.group(1)
                yield Mark(start, start + shape.end(), inline=True, upper=name.isupper() and len(name) > 2)
        if _FIELD.search(raw) is None or _INNER.search(raw) is None:
            return
        for match in _INLINE.finditer(raw):
            group = 1 if match.group(1) else 2
            name = match.group(group)
            inner = self.heading(fold(name).strip())
            if inner is not None and (len(name) > 1 or name.isupper()):
                yield Mark(start + match.start(group), start + match.end(), inner, True, name.isupper())


def _runs_on(text: str, start: int, name: str) -> bool:
    """Whether what looks like a heading is the end of a wrapped sentence: "the impression should / read: no defect"."""
    before = text[max(start - 80, 0) : start].rstrip()
    return name[0].islower() and before[-1:].isalpha() and "\n" not in before[-45:] and len(before) >= 45


_GRID = re.compile(r"([A-Z]{2,15}(?: ?[ /&-][A-Z]{1,15}){0,5}) {3,}(?=\S)")  # a heading with those of its columns
_COLON_TITLE = re.compile(r"([^:\n]{1,60}?(?:\d:\d\d)?[^:\n]{0,20}?)[*_]{0,2}\s*:(?!\d)[*_]{0,2}")
_DASH_TITLE = re.compile(r"([^\n]{1,45}?)\s+(?:-{1,2}|=)(?=\s|$)")
_LETTER_TITLE = re.compile(r"([soap])(?:\.|>) |([soap]) {2,}")
_GAP = re.compile(r" {2,}\S")
_WORD_TITLE = re.compile(r"([a-z][a-z ]{3,30})\. ")
_REMARK = re.compile(r"\s*\([^()]{0,40}\)?$")
_DIGIT = re.compile(r"\d")


def _title(body: str, lone_heading: re.Pattern[str]) -> tuple[str, int]:
    """The folded heading candidate at the start of a line and where its body begins, or ('', 0).

    Each expression is tried only on a line that holds what it cannot do without.
    """
    colon = _COLON_TITLE.match(body) if ":" in body else None
    if colon:
        return _plain(colon.group(1)), colon.end()
    dash = _DASH_TITLE.match(body) if " -" in body or " =" in body else None
    if dash:
        return _plain(dash.group(1)), dash.end()
    letter = _LETTER_TITLE.match(body) if body[1:2] in (".", ">", " ") else None
    if letter:
        return letter.group(1) or letter.group(2), 2
    lone = lone_heading.match(body) if "  " in body else None
    if lone and _GAP.match(body, lone.end()):
        return lone.group(), lone.end()
    if len(body.strip()) <= 60 and body.strip(" \t*_#=~-."):
        return _plain(body), len(body)
    word = _WORD_TITLE.match(body)
    return (word.group(1), word.end()) if word else ("", 0)


def _plain(title: str) -> str:
    """A folded title, its white space single, without decoration and without the date or time that ends it."""
    bare = " ".join(title.split()).strip(" \t*_#=~-.[]")
    return (_DATED.sub("", bare) if _DIGIT.search(bare) else bare).strip(" ,-(")


def sections(layout: Layout, marks: Sequence[Mark]) -> list[Section]:
    """Sections from headings: each runs to the next heading, or as far as its rule's scope lets it.

    Text before the first heading, or after a section that closed, is in none.
    """
    text = layout.text
    found: list[Section] = []
    opened: Mark | None = None

    def close(at: int) -> None:
        nonlocal opened
        if opened is not None and opened.rule is not None:
            rule = opened.rule
            if rule.scope == "line" and opened.inline:
                at = min(at, max(layout.item_end(opened.start), opened.end))
            found.append(Section(rule.value or rule.id, rule.id, opened.start, opened.end, opened.end, at))
        opened = None

    for mark in marks:
        if mark.rule is not None:
            close(mark.start)
            opened = mark
        elif opened is None or opened.rule is None:
            continue
        elif mark.blank:
            body = opened.inline or bool(text[opened.end : mark.start].strip(" \t\r\n:*_-="))
            if opened.rule.scope != "section" and body:
                close(mark.start)
        elif opened.inline or (mark.upper and opened.upper):
            # An unknown heading of the same style as the open section's own ends it.
            close(mark.start)
    close(len(text))
    return found


class Kinds:
    """Infers a note's kind from its first lines and headings."""

    LINES = 12

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = [
            (rule.value or "", re.compile(rf"(?:{'|'.join(rule.headings)})"))
            for rule in rules
            if rule.category == "kind"
        ]

    def infer(self, text: str, lines: Iterable[Line], marks: Iterable[Mark]) -> str | None:
        """The kind, or None when nothing tells. The title lines decide; then a report's own headings."""
        seen = 0
        categories = {mark.rule.value or mark.rule.id for mark in marks if mark.rule is not None}
        clinic = bool(categories & {"present", "past", "plan", "social", "medications"})
        for line in lines:
            if line.blank:
                continue
            seen += 1
            if seen > self.LINES:
                break
            title = re.sub(r"\s+", " ", fold(text[line.start : line.end])).strip(" *_#=-\t")
            if len(title) > 160:
                continue
            for kind, regex in self._rules:
                if kind == "radiology" and clinic:
                    continue  # a clinic note that opens with, or quotes, a study
                if regex.fullmatch(title) and (seen <= 3 or kind in ("operative", "letter")):
                    return kind
        if {"findings", "impression"} <= categories and not categories & {
            "present",
            "plan",
            "exam",
            "past",
            "medications",
        }:
            return "radiology"
        if (
            "technique" in categories
            and categories & {"impression", "findings", "indication", "history"}
            and not categories & {"present", "plan", "past"}
        ):
            return "radiology"
        if "operative_diagnosis" in categories and "procedure" in categories:
            return "operative"
        if "order" in categories:
            return "order"
        return None
