"""The evidence view: notes with their evidence in place beside the codes that rest on it, as HTML.

`fragment` gives a piece of HTML with its own style, for a page, a file or a notebook; `pages` one self-contained file.
Every evidence that a step names is a link to its place in the note, so the view works without a script; with one
(`static/evidence.js`), pointing at a step lights its evidence, and pointing at evidence lights what rests on it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import Markup, escape

from parsnlp import explain
from parsnlp.coding import icd10cm, reference
from parsnlp.coding.reference import Card
from parsnlp.models import (
    Care,
    ChecklistItem,
    Document,
    Edit,
    Finding,
    Imaging,
    Query,
    Result,
    Service,
    Span,
    Suppressed,
)
from parsnlp.view import asset, environment, render
from parsnlp.view.marks import Marks, harmless, stretches

CONDITIONS = {
    "spondylolysis": "pars defect",
    "spondylolisthesis": "slip",
    "traumatic_fracture": "fracture",
}
"""The conditions in the fewest words."""

ASSERTIONS = {
    "affirmed": "stated as present",
    "negated": "ruled out",
    "uncertain": "only suspected",
    "hypothetical": "only considered",
    "historical": "in the past",
    "family": "of a relative",
    "generic": "said of nobody",
}
"""What an assertion says, in words for who does not know the terms."""

_ATTRIBUTES = frozenset({"laterality", "chronicity", "etiology", "grade", "direction"})
_HEADING = re.compile(r"^[ \t]*(?:[A-Z][^\W\d_a-z][^\n:]{1,50}|[A-Z][\w /&().,'-]{1,50}?)(?=:)", re.M)
_SEVERITY = {"error": "Error", "warning": "Warning", "info": "Note"}

_Place = tuple[str, int, int]
"""Where a span stands: document, start, end."""

_Spanned = Span | Finding | Imaging | Care | Service


def fragment(
    result: Result,
    texts: Mapping[str, str] | None = None,
    *,
    cards: Mapping[str, Card] | None = None,
    prefix: str = "ev",
    style: bool = True,
    deciding: bool = False,
) -> Markup:
    """The view of one result as HTML to put into a page. The same values give the same text.

    `texts`: those of its documents, by their ids, exactly as they were read; of a document that is not there the evidence is
    shown by quotation alone. `cards`: reference cards by code (see `reference_cards`). `prefix`: begins the ids of its elements,
    so that several views can stand on one page. `style`: with its style before it. `deciding`: with what
    `parsnlp serve` needs so that a coder decides on each code.
    """
    view = _View(result, texts or {}, prefix)
    made = (
        environment()
        .get_template("evidence.html")
        .render(
            v=view,
            r=result,
            cards=cards or {},
            deciding=deciding,
            title=explain.TITLES.get,
            flat=explain.flat,
            sentence=explain.sentence,
            why=explain.why,
            basis=explain.basis,
            anchor=_anchor,
            severities=_SEVERITY,
            conditions=CONDITIONS,
            assertions=ASSERTIONS,
            others=_others(result) if deciding else {},
        )
    )
    return Markup(f"<style>{asset('evidence.css')}</style>\n" if style else "") + Markup(made)


def pages(items: Iterable[tuple[Result, Mapping[str, str]]], tables: Mapping[str, Any] | None = None) -> str:
    """One self-contained page with the views of results, one below the other; a result with its documents' texts.

    Style and script stand within it, and its policy lets the browser use nothing else. `tables`: those of the rule set
    that made the results, for the reference cards of their codes.
    """
    views = [
        (
            result,
            fragment(
                result,
                texts,
                cards=reference_cards(result, tables) if tables else None,
                prefix=f"ev{number}",
                style=False,
            ),
        )
        for number, (result, texts) in enumerate(items, 1)
    ]
    return render("evidence_page.html", views=views, harmless=harmless)


def headline(result: Result) -> str:
    """The codes in a line, to be read out: "M43.17, suggested; M43.06, for review"."""
    said = [f"{code.code}, {'suggested' if code.status == 'suggested' else 'for review'}" for code in result.codes]
    return "; ".join(said) or "No code is suggested"


def reference_cards(result: Result, tables: Mapping[str, Any]) -> dict[str, Card]:
    """The reference cards of the codes of a result, by code. `tables`: those of the rule set that made it."""
    edition = next(each for each in icd10cm.editions() if each.id == result.code_set.id)
    return {code.code: reference.card(code.code, edition, tables) for code in result.codes}


@dataclass(frozen=True, slots=True)
class Quote:
    """Evidence as a step shows it: its words (its offsets where they were left out), its number, where it leads to.

    `under`: of words that stand more than once in the same step, the heading above each, to tell them apart.
    """

    words: str
    at: int
    href: str | None
    under: str = ""


@dataclass(slots=True)
class _Mark:
    """What stands at a place of a document. `kinds`: cue, level, laterality ...; `users`: codes that rest on it."""

    number: int
    kinds: set[str] = field(default_factory=set)
    users: list[str] = field(default_factory=list)


class _View:
    """A result as the template needs it: every place of evidence numbered, every document as marked HTML."""

    def __init__(self, result: Result, texts: Mapping[str, str], prefix: str) -> None:
        self.result, self.texts, self.prefix = result, texts, prefix
        self._marks: dict[_Place, _Mark] = {}
        for place in sorted(set(_places(result))):
            self._marks[place] = _Mark(len(self._marks) + 1)
        self.kinds = set()
        for document, start, end, kind in _kinds(result):
            self._marks[document, start, end].kinds.add(kind)
            self.kinds.add(kind)
        for code in result.codes:
            for span in (*code.evidence, *(span for step in code.trail for span in step.evidence)):
                users = self._marks[_place(span)].users
                if code.code not in users:
                    users.append(code.code)
        self.shown = [document for document in result.documents if document.id in texts]
        self.seen = list(dict.fromkeys((each.condition, each.assertion) for each in result.findings))

    def quotes(self, spans: Iterable[_Spanned]) -> list[Quote]:
        """Evidence with its words, once each, in the order given."""
        found = {}
        for span in spans:
            place = _place(span)
            number = self._marks[place].number
            href = f"#{self.prefix}-e{number}" if span.document in self.texts and span.start < span.end else None
            words = explain.short(harmless(span.text)) or f"{span.start}–{span.end}"
            found[place] = Quote(words, number, href)
        often = Counter(quote.words for quote in found.values())
        return [
            replace(quote, under=self._heading(place)) if often[quote.words] > 1 else quote
            for place, quote in found.items()
        ]

    def _heading(self, place: _Place) -> str:
        """The heading above a place, as the note has it, or nothing."""
        document, start, _ = place
        above = ""
        for match in _HEADING.finditer(self.texts.get(document, ""), 0, start):
            above = match.group()
        return explain.short(harmless(above.strip()))

    def at(self, spans: Iterable[_Spanned]) -> str:
        """The numbers of some evidence, for the script."""
        return " ".join(str(number) for number in sorted({self._marks[_place(span)].number for span in spans}))

    def named(self, document: Document) -> str:
        """A document's name for its reader: its id, with kind and date where they were told."""
        kind = None if document.kind_inferred or document.kind is None else document.kind.replace("_", " ")
        known = [text for text in (kind, document.date) if text]
        return f"{document.id} ({', '.join(known)})" if known else document.id

    def details(self, finding: Finding) -> str:
        """The attributes of a finding in a few words, such as "L5 · bilateral"."""
        grade = finding.grade and (f"grade {finding.grade}" if finding.grade.isalpha() else finding.grade)
        known = (*finding.levels, finding.laterality, finding.chronicity, finding.etiology, grade)
        return " · ".join(text.replace("_", " ") for text in known if text)

    def users(self, finding: Finding) -> list[str]:
        """The codes that rest on a finding."""
        return self._marks[_place(finding)].users

    def note(self, document: Document) -> Markup:
        """A document's text, marked. Every character of it is escaped; nothing is added that a copy would carry along."""
        text = self.texts[document.id]
        findings = [finding for finding in self.result.findings if finding.document == document.id]
        marks: list[tuple[int, int, _Mark | None]] = [  # None is a heading
            (place[1], place[2], mark) for place, mark in self._marks.items() if place[0] == document.id
        ]
        marked = Marks([*marks, *((match.start(), match.end(), None) for match in _HEADING.finditer(text))])
        started: set[int] = set()
        parts: list[Markup] = []
        for start, end, finding in stretches(findings, len(text)):
            own = self._marks[_place(finding)] if finding else None
            inside = [
                self._piece(
                    text[left:right],
                    [mark for mark in here if mark is None or mark is not own],
                    started,
                    own is not None,
                )
                for left, right, here in marked.cut(start, end)
            ]
            parts.append(self._finding(finding, inside) if finding else Markup("").join(inside))
        return Markup("").join(parts)

    def _finding(self, finding: Finding, inside: list[Markup]) -> Markup:
        """A finding as a link to what is said of it. Its label stands beside it by the style sheet alone."""
        mark = self._marks[_place(finding)]
        details = self.details(finding)
        label = details if finding.assertion == "affirmed" else " · ".join(filter(None, (finding.assertion, details)))
        condition = CONDITIONS[finding.condition]
        spoken = f"{explain.flat(harmless(finding.text))}: {condition}, {ASSERTIONS[finding.assertion]}"
        return Markup(
            '<a class="ev-f ev-{} ev-{}" id="{}-e{}" href="#{}-{}" data-at="{}" data-said="{}" aria-label="{}">{}</a>'
        ).format(
            finding.condition,
            finding.assertion,
            self.prefix,
            mark.number,
            self.prefix,
            finding.id,
            mark.number,
            label,
            f"{spoken}, {details}" if details else spoken,
            Markup("").join(inside),
        )

    def _piece(self, words: str, here: Sequence[_Mark | None], started: set[int], in_link: bool) -> Markup:
        """A piece of the text with its marks. Of a place cut into pieces the first carries the id that links lead to."""
        made = escape(harmless(words))
        marks = [mark for mark in here if mark is not None]
        if len(marks) < len(here) and not in_link:
            made = Markup('<b class="ev-heading">{}</b>').format(made)
        for mark in marks:
            if mark.number not in started:
                started.add(mark.number)
                made = Markup('<span id="{}-e{}">{}</span>').format(self.prefix, mark.number, made)
        if not marks:
            return made
        classes = " ".join(["ev-e", *sorted({f"ev-{kind}" for mark in marks for kind in mark.kinds})])
        numbers = " ".join(str(mark.number) for mark in marks)
        users = [code for mark in marks for code in mark.users]
        if in_link or not users:
            return Markup('<span class="{}" data-at="{}">{}</span>').format(classes, numbers, made)
        return Markup('<a class="{}" data-at="{}" href="#{}-{}">{}</a>').format(
            classes, numbers, self.prefix, _anchor(users[0]), made
        )


def _others(result: Result) -> dict[str, str]:
    """Codes that might stand in place of those suggested, each with what is known of it: to choose from."""
    alternatives = {other.code: other.why for code in result.codes for other in code.alternatives}
    return alternatives | {each.code: each.display for fact in result.what_if for each in fact.gives}


def _anchor(code: str) -> str:
    """The id of a code's card, without the dot that selectors would stumble over."""
    return code.replace(".", "_")


def _place(span: _Spanned) -> _Place:
    return span.document, span.start, span.end


def _spans(result: Result) -> Iterator[Span]:
    for code in result.codes:
        yield from code.evidence
        yield from (span for step in code.trail for span in step.evidence)
    resting: tuple[Suppressed | Edit | Query | ChecklistItem, ...]
    resting = (*result.suppressed, *result.edits, *result.queries, *result.checklist)
    for other in resting:
        yield from other.evidence
    for finding in result.findings:
        yield from (span for step in finding.trail for span in step.evidence)
    for service in result.services:
        yield from (span for step in service.trail for span in step.evidence)


def _events(result: Result) -> tuple[Imaging | Care | Service, ...]:
    return (*result.imaging, *result.conservative_care, *result.services)


def _places(result: Result) -> Iterator[_Place]:
    yield from map(_place, _spans(result))
    for finding in result.findings:
        yield _place(finding)
        yield from ((finding.document, cue.start, cue.end) for cue in finding.cues)
    yield from map(_place, _events(result))


def _kinds(result: Result) -> Iterator[tuple[str, int, int, str]]:
    """The places that are marked even when nothing points at them: cues, and what else than a mention codes rest on."""
    for finding in result.findings:
        for cue in finding.cues:
            yield finding.document, cue.start, cue.end, "cue"
    said = {_place(finding) for finding in result.findings}
    resting = {_place(span) for code in result.codes for step in code.trail for span in step.evidence}
    for span in _spans(result):
        kind = (span.rule or "").partition(".")[0]
        if kind in _ATTRIBUTES or _place(span) in resting - said:
            yield *_place(span), "attribute"
