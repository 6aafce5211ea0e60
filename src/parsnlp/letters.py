"""A result's questions to the provider as letters that keep to compliant query practice.

The measure is the AHIMA/ACDIS brief “Guidelines for Achieving a Compliant Query Practice” (2022 update): the chart's own
words as clinical indicators, an open question or options with a way out, nothing of codes or of what an answer is
worth, no diagnosis the chart does not hold. Documentation tips stand apart and are no queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from parsnlp.errors import InputError
from parsnlp.explain import flat
from parsnlp.models import Finding, Query, Result, Span
from parsnlp.note import layout

FORMATS = ("text", "markdown")
NOTHING = "There is nothing to ask the provider."
"""The line of a letter without questions."""

FORBIDDEN = re.compile(
    r"\b[A-TV-Z]\d[0-9A-Z]\.[0-9A-Z]{1,4}\b|\b(?:M43|M48|Q76|S12|S13|S22|S23|S32|S33)(?:\d{1,2}[0-9AXDGKSB]{0,3})?\b"
    r"|\b(?:738\.4|756\.1[12])\b|\b[A-Z]\d\d\.(?:\d|-)"
    r"|\b(?:icd|cpt|drgs?|hcc|reimburs\w*|pay(?:ment|er|or|ers|ors)?|bill(?:ing|able|ed)?|claims?|denials?"
    r"|revenue|insurance|insurer|quality (?:scores?|measures?)|severity of illness|risk adjustment)\b",
    re.I,
)
"""What no query may hold: codes, and words of payment, grouping, denial or measurement."""

_TITLES = {  # neutral: a title must not name an answer
    "site_missing": "Site of the documented condition",
    "laterality_missing": "Side of the documented pars defect",
    "chronicity_missing": "Acuity of the documented pars defect",
    "congenital_vs_acquired": "Origin of the documented condition",
    "level_not_in_assessment": "Level in the assessment",
    "body_fracture": "Type of the vertebral fracture",
    "imaging_only": "Imaging finding without a provider’s statement",
    "lysis_slip_collapsed": "Description of the documented slip",
    "historical_status": "Present status of the documented condition",
    "trauma_chronic_conflict": "Injury and long-standing features of the pars defect",
    "uncertain_wording": "Status of the documented condition",
}
_OTHER_TITLE = "Clarification of the documentation"
_PLACEHOLDER = "____________________"
_OPENING = (
    "Please review the indicators below, which are quoted from this record, and answer from your own clinical "
    "judgment. No particular answer is expected."
)
_CLOSING = (
    "Please write your answer into the record, as an addendum or in your next note, dated and signed. This letter by "
    "itself does not change the record; keep it as your facility’s policy on queries says."
)
_LONGEST = 300
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Indicator(_Model):
    """A clinical indicator: words of the record, where they stand, and what is documented with them.

    `start`, `end`: 0-based code points of the document, end exclusive, of the marked words `text`. `quote`: the sentence
    they stand in, where the document's text was given and holds no code or payment wording. `date`: of a study or
    document, where known. `details`: the record's attributes of the finding, such as its level and its wording cue.
    """

    document: str
    start: int
    end: int
    text: str = Field(repr=False)
    quote: str | None = Field(default=None, repr=False)
    date: str | None = None
    section: str | None = None
    details: tuple[str, ...] = Field(default=(), repr=False)


class Question(_Model):
    """One query or tip: a neutral title, the question, its options if it has any, and its indicators.

    `to`: the author's role of the document that it asks about, where known.
    """

    kind: str
    title: str
    asks: str = Field(repr=False)
    options: tuple[str, ...] = ()
    indicators: tuple[Indicator, ...] = ()
    to: str | None = None


class Letter(_Model):
    """All that one result asks. `questions` are queries to the provider; `tips` are documentation tips, no queries."""

    id: str
    questions: tuple[Question, ...] = ()
    tips: tuple[Question, ...] = ()


def build(result: Result, texts: Mapping[str, str] | None = None) -> Letter:
    """The letter of a result as data.

    `texts`: the documents' texts by id. With them an indicator quotes its whole sentence; without, the marked words.
    """
    made = {
        severity: tuple(question(query, result, texts) for query in result.queries if query.severity == severity)
        for severity in ("query", "tip")
    }
    return Letter(id=result.id, questions=made["query"], tips=made["tip"])


def question(query: Query, result: Result, texts: Mapping[str, str] | None = None) -> Question:
    """One query of a result with its indicators."""
    return Question(
        kind=query.kind,
        title=_TITLES.get(query.kind, _OTHER_TITLE),
        asks=query.says,
        options=query.options,
        indicators=tuple(_indicator(span, result, texts or {}) for span in query.evidence),
        to=next(
            (each.author for span in query.evidence for each in result.documents if each.id == span.document), None
        ),
    )


def by_provider(made: Letter) -> list[Letter]:
    """The letter in parts, one for each provider that it asks, in the order of the first question to each."""
    providers = dict.fromkeys(asked.to for asked in (*made.questions, *made.tips))
    if len(providers) < 2:
        return [made]
    return [
        Letter(
            id=made.id,
            questions=tuple(asked for asked in made.questions if asked.to == provider),
            tips=tuple(tip for tip in made.tips if tip.to == provider),
        )
        for provider in providers
    ]


def letter(result: Result, format: Literal["text", "markdown"] = "text", texts: Mapping[str, str] | None = None) -> str:
    """The letter to the provider; one line when there is nothing to ask. Raises `InputError` for another format.

    >>> import parsnlp
    >>> print(letter(parsnlp.load().extract("Impression: chronic L5 pars defect, left.")))
    note: There is nothing to ask the provider.
    """
    if format not in FORMATS:
        raise InputError(f"format {format!r} is not one of {', '.join(FORMATS)}")
    made = build(result, texts)
    if not made.questions and not made.tips:
        return f"{_escaped(made.id) if format == 'markdown' else flat(made.id)}: {NOTHING}"
    pages = ("\n".join(_markdown(part) if format == "markdown" else _text(part)) for part in by_provider(made))
    return "\n\n".join(pages)


def _indicator(span: Span, result: Result, texts: Mapping[str, str]) -> Indicator:
    found = next(
        (f for f in result.findings if (f.document, f.start, f.end) == (span.document, span.start, span.end)), None
    )
    studies = [study for study in result.imaging if found is not None and found.id in study.supports]
    dates = [study.date for study in studies if study.date]
    dates += [document.date for document in result.documents if document.id == span.document and document.date]
    return Indicator(
        document=span.document,
        start=span.start,
        end=span.end,
        text=span.text,
        quote=_sentence(texts.get(span.document), span),
        date=dates[0] if dates else None,
        section=found.section if found is not None else None,
        details=tuple(_details(found)) + tuple(f"study: {study.modality}" for study in studies) if found else (),
    )


def _details(found: Finding) -> Iterator[str]:
    """What the record says with the mention, so that a reader sees why it is asked about."""
    for name, values in (
        ("site", (*found.levels, *found.regions)),
        ("side", (found.laterality,)),
        ("age", (found.chronicity,)),
        ("cause as worded", (found.etiology,)),
        ("grade", (found.grade,)),
    ):
        said = [value.replace("_", " ") for value in values if value]
        if said:
            yield f"{name}: {', '.join(said)}"
    for cue in found.cues:
        if cue.category in ("uncertain", "historical") and not FORBIDDEN.search(cue.text):
            yield f"worded: “{flat(cue.text)}”"


def _sentence(text: str | None, span: Span) -> str | None:
    """The sentence that holds the span; None when it cannot be quoted in a query, or adds nothing."""
    if text is None or text[span.start : span.end] != span.text:
        return None
    made = layout(text)
    if not made.sentences:
        return None
    sentence = made.sentences[made.at(span.start)]
    if not sentence.start <= span.start or sentence.end < span.end:
        return None
    words = flat(text[sentence.start : sentence.end])
    return words if words != flat(span.text) and len(words) <= _LONGEST and not FORBIDDEN.search(words) else None


# --- printing -------------------------------------------------------------------------------------------------------


def _head(made: Letter) -> list[tuple[str, str]]:
    return [
        ("To", f"{_to(made) or 'the treating provider'} {_PLACEHOLDER}"),
        ("Patient", f"{_PLACEHOLDER} (from the record)"),
        ("Encounter or document", made.id),
        ("Date of this query", _PLACEHOLDER),
        ("From", _PLACEHOLDER),
    ]


def _to(made: Letter) -> str | None:
    """The role of the provider whom all of the letter's questions ask; None where it is not known."""
    roles = {asked.to for asked in (*made.questions, *made.tips)}
    return roles.pop() if len(roles) == 1 else None


def _quoted(indicators: Iterable[Indicator]) -> Iterator[tuple[str, str, str]]:
    """Quotation, place and details; indicators in one sentence share its quotation."""
    groups: dict[tuple[str, str], list[Indicator]] = {}
    for item in indicators:
        groups.setdefault((item.document, item.quote or f"{item.text} {item.start}"), []).append(item)
    for items in groups.values():
        parts = [f"document {items[0].document}"]
        parts.append("characters " + ", ".join(f"{item.start}-{item.end}" for item in items))
        sections = dict.fromkeys(item.section.replace("_", " ") for item in items if item.section)
        parts += [f"section {name}" for name in sections]
        parts += dict.fromkeys(item.date for item in items if item.date)
        details = dict.fromkeys(detail for item in items for detail in item.details)
        yield flat(items[0].quote or items[0].text), ", ".join(parts), "; ".join(details)


def _text(made: Letter) -> Iterator[str]:
    if made.questions:
        yield "DOCUMENTATION QUERY"
        yield ""
        yield from (f"{name}: {flat(value)}" for name, value in _head(made))
        yield ""
        yield _OPENING
        for number, asked in enumerate(made.questions, 1):
            yield ""
            yield f"{number}. {asked.title}"
            yield "   Clinical indicators:"
            for words, place, details in _quoted(asked.indicators):
                yield f"   - “{words}” ({place})"
                if details:
                    yield f"     {details}"
            yield f"   Question: {asked.asks}"
            for option in asked.options:
                yield f"   [ ] {_option(option)}"
            if not asked.options:
                yield f"   Answer: {_PLACEHOLDER * 2}"
                yield "   [ ] unable to determine"
        yield ""
        yield f"Provider’s signature: {_PLACEHOLDER}   Date and time: {_PLACEHOLDER}"
        yield ""
        yield _CLOSING
    else:
        yield f"{flat(made.id)}: {NOTHING}"
    if made.tips:
        yield ""
        yield "DOCUMENTATION TIPS (not queries; no answer is asked for)"
        for tip in made.tips:
            places = "; ".join(f"“{words}” ({place})" for words, place, _ in _quoted(tip.indicators))
            yield f"- {tip.title}: {tip.asks} {places}"


def _markdown(made: Letter) -> Iterator[str]:
    if made.questions:
        yield "# Documentation query"
        yield ""
        yield from (f"- **{name}:** {_escaped(value)}" for name, value in _head(made))
        yield ""
        yield _OPENING
        for number, asked in enumerate(made.questions, 1):
            yield ""
            yield f"## {number}. {asked.title}"
            yield ""
            yield "Clinical indicators:"
            yield ""
            for words, place, details in _quoted(asked.indicators):
                yield f"- “{_escaped(words)}” ({_escaped(place)}) {_escaped(details)}".rstrip()
            yield ""
            yield f"**Question:** {_escaped(asked.asks)}"
            yield ""
            yield from (f"- [ ] {_escaped(_option(option))}" for option in asked.options)
            if not asked.options:
                yield f"- Answer: {_escaped(_PLACEHOLDER * 2)}"
                yield "- [ ] unable to determine"
        yield ""
        yield f"Provider’s signature: {_escaped(_PLACEHOLDER)} Date and time: {_escaped(_PLACEHOLDER)}"
        yield ""
        yield _CLOSING
    else:
        yield f"{_escaped(made.id)}: {NOTHING}"
    if made.tips:
        yield ""
        yield "## Documentation tips"
        yield ""
        yield "These are not queries; no answer is asked for."
        yield ""
        for tip in made.tips:
            places = "; ".join(
                f"“{_escaped(words)}” ({_escaped(place)})" for words, place, _ in _quoted(tip.indicators)
            )
            yield f"- {tip.title}: {_escaped(tip.asks)} {places}"


def _option(option: str) -> str:
    return f"other (please specify): {_PLACEHOLDER}" if option.startswith("other") else option


def _escaped(text: str) -> str:
    """The text as Markdown that shows it literally, on one line."""
    return _SPECIAL.sub(r"\\\1", flat(text))
