"""Headings and sections, and what kind of document a note is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from parsnlp.note import Layout, fold
from parsnlp.rules import Rule

_LEAD = r"[\s>*#_=~\-]*(?:\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]\s+)?[*_#]*"
_INLINE = re.compile(
    r"(?<=[.;:!?)\]])\s+([A-Za-z][A-Za-z /&]{0,30}?):(?=\s)|[ \t]{3,}([A-Za-z][A-Za-z /&]{0,30}?):(?=\s)"
)
_SHAPE = re.compile(r"\s*(?:[*_#]+\s*)?([A-Za-z][\w /&().,'+-]{0,45}?)(?:\*\*|__)?\s*:(?:\s|$|\*)")


@dataclass(frozen=True, slots=True)
class Section:
    """A section: `category`, the heading's span, and the body's span. `rule` is the rule that knew the heading."""

    category: str
    rule: str | None
    title_start: int
    title_end: int
    start: int
    end: int


class Sectionizer:
    """Finds sections by the heading rules of `patterns/sections/`."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = {rule.id: rule for rule in rules if rule.category == "section"}
        # One expression per rule; a heading is matched whole, so their order does not matter but for ties (file order).
        self._whole = [(rule, re.compile(rf"(?:{'|'.join(rule.headings)})")) for rule in self.rules.values()]
        self._cache: dict[str, Rule | None] = {}

    def heading(self, title: str) -> Rule | None:
        """The rule that knows `title` (folded, stripped) as a heading, or None."""
        if title not in self._cache:
            if len(self._cache) > 50_000:
                self._cache.clear()
            self._cache[title] = next((rule for rule, regex in self._whole if regex.fullmatch(title)), None)
        return self._cache[title]

    def sections(self, layout: Layout) -> list[Section]:
        """The note's sections in order. Text before the first heading, or after one that closed, is in none."""
        text = layout.text
        marks: list[tuple[int, int, Rule | None, bool, bool]] = []  # title start, end, rule, inline body, upper case
        blank_before = True
        for line in layout.lines:
            if line.blank:
                marks.append((line.start, line.end, None, False, False))
                blank_before = True
                continue
            self._line(text, line.start, line.end, blank_before, marks)
            blank_before = False
        return self._spans(text, marks)

    def _line(
        self, text: str, start: int, end: int, after_blank: bool, marks: list[tuple[int, int, Rule | None, bool, bool]]
    ) -> None:
        raw = text[start:end]
        folded = fold(raw)
        lead = re.match(_LEAD, folded)
        offset = lead.end() if lead else 0
        body = folded[offset:]
        title, stop = self._title(body)
        rule = self.heading(title) if title else None
        if rule is None and offset:
            title, stop = self._title(folded.lstrip())
            rule = self.heading(title) if title else None
            if rule is not None:
                offset = len(folded) - len(folded.lstrip())
        if rule is not None:
            head = raw[offset : offset + len(title)]
            inline = bool(folded[offset + stop :].strip(" *_-:\t"))
            marks.append((start + offset, start + offset + stop, rule, inline, head.isupper()))
        else:
            shape = _SHAPE.match(raw)
            if shape and not re.match(r"\s*[ctls]\d", folded):
                name = shape.group(1)
                marks.append((start, start + shape.end(), None, True, name.isupper() and len(name) > 2))
        for match in _INLINE.finditer(raw):
            name = match.group(1) or match.group(2)
            at = match.start(1) if match.group(1) else match.start(2)
            inner = self.heading(fold(name).strip())
            if inner is not None and (len(name) > 1 or name.isupper()):
                marks.append((start + at, start + match.end(), inner, True, name.isupper()))

    @staticmethod
    def _title(body: str) -> tuple[str, int]:
        """The folded heading candidate at the start of a line and where its body begins, or ('', 0)."""
        colon = re.match(r"([^:\n]{1,60}?)[*_]{0,2}\s*:(?!\d)[*_]{0,2}", body)
        if colon:
            return re.sub(r"\s+", " ", colon.group(1)).strip(" *_"), colon.end()
        dash = re.match(r"([^\n]{1,45}?)\s+(?:-{1,2}|=)(?=\s|$)", body)
        if dash:
            return re.sub(r"\s+", " ", dash.group(1)).strip(" *_"), dash.end()
        stripped = body.strip(" \t*_#=~-.")
        if stripped and len(stripped) <= 60:
            letter = re.match(r"([soap])\. ", body)
            if letter:
                return letter.group(1), 2
            lone = re.match(r"(s|o|a|p|a/p|hpi|pmh|psh|fh|fhx|pe|imp|ap) {2,}\S", body)
            if lone:
                return lone.group(1), lone.end(1)
            return re.sub(r"\s+", " ", stripped), len(body)
        letter = re.match(r"([soap])\. ", body) or re.match(r"([soap]) {2,}", body)
        if letter:
            return letter.group(1), 2
        word = re.match(r"([a-z][a-z ]{3,30})\. ", body)
        return (word.group(1), word.end()) if word else ("", 0)

    def _spans(self, text: str, marks: list[tuple[int, int, Rule | None, bool, bool]]) -> list[Section]:
        found: list[Section] = []
        open_: tuple[Rule, int, int, bool, bool] | None = None

        def close(at: int) -> None:
            nonlocal open_
            if open_ is not None:
                rule, title_start, title_end, _, _ = open_
                found.append(Section(rule.value or rule.id, rule.id, title_start, title_end, title_end, at))
            open_ = None

        marks.sort(key=lambda mark: (mark[0], mark[1]))
        seen_body = False
        for start, end, rule, inline, upper in marks:
            blank = not text[start:end].strip()
            if rule is not None:
                close(start)
                open_ = (rule, start, end, inline, upper)
                seen_body = inline
                continue
            if open_ is None:
                continue
            if blank:
                body = seen_body or bool(text[open_[2] : start].strip(" \t\r\n:*_-="))
                if open_[0].scope == "paragraph" and body:
                    close(start)
            elif upper and open_[4]:
                # An unknown heading in capitals ends a section whose own heading was in capitals.
                close(start)
            elif open_[0].scope == "paragraph" and open_[3]:
                close(start)
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

    def infer(self, layout: Layout, sections: list[Section]) -> str | None:
        """The kind, or None when nothing tells. The title lines decide; then a report's own headings."""
        seen = 0
        categories = {section.category for section in sections}
        clinic = bool(categories & {"present", "past", "plan", "social", "medications"})
        for line in layout.lines:
            if line.blank:
                continue
            seen += 1
            if seen > self.LINES:
                break
            title = re.sub(r"\s+", " ", fold(layout.text[line.start : line.end])).strip(" *_#=-\t")
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
        if {"technique", "impression"} <= categories and not categories & {"present", "plan", "past"}:
            return "radiology"
        if "operative_diagnosis" in categories and "procedure" in categories:
            return "operative"
        if "order" in categories:
            return "order"
        return None
