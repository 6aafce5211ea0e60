"""A result's trail as plain sentences for a coder: pure functions over a `Result`, no colour and no terminal.

`lines` gives `Line`s that a door may style; `explain` joins them to one text. Offsets stand in parentheses as
`(start-end)`, 0-based code points of the note, end exclusive; the rule that found the words follows in brackets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from parsnlp.models import Code, Finding, Result, Span, Step, Suppressed, WhatIf

Kind = Literal["heading", "code", "review", "step", "evidence", "item", "note"]

_INDENT = "  "
_LONGEST_QUOTE = 90
TITLES = {
    "P-F1": "what counts as a mention",
    "P-F2": "what is not a mention",
    "P-F3": "the assertion of a mention",
    "P-F4": "the attributes of a mention",
    "P-A1": "how far a negation reaches",
    "P-A2": "negations that affirm, such as “no change in”",
    "P-A3": "past and present of a chronic condition",
    "P-A4": "which statement wins",
    "P-A5": "healing is current, healed is past",
    "P-A6": "conditions after surgery",
    "P-A7": "indications of a study",
    "P-A8": "what a cue governs",
    "P-A9": "what a patient was told, and templates",
    "P-A10": "uncertain diagnoses of inpatients",
    "P-C1": "acquired spondylolysis",
    "P-C2": "acquired spondylolisthesis",
    "P-C3": "the region gives the fifth character",
    "P-C4": "one site or several",
    "P-C5": "where the site is taken from",
    "P-C6": "congenital conditions",
    "P-C7": "stress fractures",
    "P-C8": "acute traumatic arch fractures",
    "P-C9": "acute traumatic slips",
    "P-C10": "the seventh character",
    "P-C11": "no injury code for an established defect",
    "P-C12": "the order of the codes",
    "P-X1": "congenital with acquired (Excludes1)",
    "P-X2": "lysis with slip (Excludes1)",
    "P-X3": "edits",
    "P-X4": "queries to the provider",
    "P-X5": "MS-DRGs",
    "P-X6": "when a coder must review",
}
"""The coding policy's rules in a few words each, in its order."""
_REVIEW = "; review: "  # how `coding` joins what a coder must look at to a code's reason
_BREAKS = str.maketrans(dict.fromkeys("\n\r\t\v\f\x85\u2028\u2029", " "))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an explanation. `depth`: how far it is indented. `kind`: what it is, for a door that styles it."""

    text: str
    depth: int = 0
    kind: Kind = "item"

    def __str__(self) -> str:
        return _INDENT * self.depth + self.text


def explain(result: Result, quote: bool = True) -> str:
    """The full explanation as one text. `quote=False` keeps the note's words out: codes, rule ids and offsets only.

    >>> import parsnlp
    >>> print(explain(parsnlp.load().extract("CT: chronic bilateral L5 pars defects.")).splitlines()[0])
    M43.06 Spondylolysis, lumbar region (suggested)
    """
    return "\n".join(map(str, lines(result, quote)))


def lines(result: Result, quote: bool = True) -> list[Line]:
    """The full explanation: codes with their trail, refusals, edits, queries, every mention, and what it rests on."""
    found: list[Line] = []
    for code in result.codes:
        found += [*([Line("")] if found else []), *_code(code, _Places(result), quote)]
    if not result.codes:
        found.append(Line("No code is suggested.", kind="heading"))
    found += _section(
        "Considered and refused", (line for item in result.suppressed for line in _refused(item, result, quote))
    )
    found += _section("What would change the codes", map(_what_if, result.what_if))
    found += _section("Edits", _edits(result, quote))
    found += _section("Queries for the provider", _queries(result, quote, "query"))
    found += _section("Documentation tips", _queries(result, quote, "tip"))
    found += _section("Checklist", _checklist(result, quote))
    found += _section("Mentions", (line for finding in result.findings for line in _mention(finding, result, quote)))
    found += _section("Studies and care", _services(result, quote))
    found += _section("Policy rules cited", _cited(result))
    found += _section("Basis", basis(result))
    return found


def _what_if(item: WhatIf) -> Line:
    gives = [f"{each.code} {each.display}" + (", for review" if each.status == "review" else "") for each in item.gives]
    gone = f" in place of {', '.join(item.instead_of)}" if item.instead_of else ""
    if not gives:
        return Line(f"if {item.fact}: no {', '.join(item.instead_of)} [{item.rule}]", 1)
    return Line(f"if {item.fact}: {'; '.join(gives)}{gone} [{item.rule}]", 1)


def summary(result: Result, quote: bool = True) -> list[Line]:
    """The short form: each code with its why, each refusal, edit and query on a line of its own."""
    found: list[Line] = []
    for code in result.codes:
        found.append(_title(code))
        if quote:
            found += [Line(text, 1, kind) for text, kind in _why(code)]
        said = code.reason.partition(_REVIEW)[2]
        found += [_step(step, _Places(result), quote) for step in code.trail if not (quote and step.says == said)]
        for other in code.alternatives:
            found.append(Line(f"or {other.code}: {other.why} [{other.rule}]", 1, "note"))
    if not result.codes:
        found.append(Line("No code is suggested.", kind="heading"))
    for item in result.suppressed:
        found.append(Line(f"not {item.code} ({item.rule})" + (f": {flat(item.reason)}" if quote else ""), kind="note"))
    for edit in result.edits:
        found.append(
            Line(f"edit, {edit.severity} ({edit.rule}): {flat(edit.says) if quote else edit.kind}", kind="note")
        )
    for query in result.queries:
        found.append(Line(f"{query.severity} ({query.rule}): {flat(query.says) if quote else query.kind}", kind="note"))
    return found


def basis(result: Result) -> list[Line]:
    """What the result rests on: setting, policy choices, code set, rule set, engine, and any warning."""
    policy = result.policy
    kinds = ", ".join(
        f"{document.id}: {document.kind or 'kind not known'}{' (inferred)' if document.kind_inferred else ''}"
        for document in result.documents
    )
    valid = f"{result.code_set.name}, valid {result.code_set.valid_from} to {result.code_set.valid_to}"
    if result.code_set.stamp:
        valid += f". The encounter's date is outside this: {result.code_set.stamp}"
    return [
        Line(f"Documents: {kinds}", 1),
        Line(f"Setting {result.setting}; Excludes1 {policy.excludes1}; stress fracture {policy.stress_fracture}", 1),
        Line(valid, 1),
        Line(f"Rule set {result.rule_set.hash} ({result.rule_set.rules} rules); {result.engine}", 1),
        *(Line(f"Warning: {warning}", 1, "review") for warning in result.warnings),
    ]


def why(code: Code) -> tuple[str, str]:
    """Why a code is suggested, in a sentence, and what a coder must look at; "" when there is nothing."""
    reason, _, review = code.reason.partition(_REVIEW)
    return sentence(reason), f"{flat(review)}." if review else ""


def flat(text: str) -> str:
    """The text on one line: breaks and runs of blanks as one blank."""
    return " ".join(text.translate(_BREAKS).split())


def _cited(result: Result) -> Iterator[Line]:
    cited = {step.rule for code in result.codes for step in code.trail}
    cited |= {step.rule for finding in result.findings for step in finding.trail}
    cited |= {other.rule for code in result.codes for other in code.alternatives}
    cited |= {item.rule for item in result.suppressed}
    cited |= {item.rule for item in result.edits} | {item.rule for item in result.queries}
    yield from (Line(f"{rule} {title}", 1) for rule, title in TITLES.items() if rule in cited)


class _Places:
    """Says where a span stands; names its document only where there is more than one."""

    def __init__(self, result: Result) -> None:
        self.several = len(result.documents) > 1

    def __call__(self, spans: Iterable[Span], quote: bool) -> str:
        return ", ".join(self.one(span, quote) for span in spans)

    def one(self, span: Span, quote: bool) -> str:
        where = f"({span.document}:{span.start}-{span.end})" if self.several else f"({span.start}-{span.end})"
        words = f"“{short(span.text)}” " if quote else ""
        return f"{words}{where}" + (f" [{span.rule}]" if span.rule else "")


def _section(title: str, body: Iterable[Line]) -> list[Line]:
    inside = list(body)
    return [Line(""), Line(title, kind="heading"), *inside] if inside else []


def _title(code: Code) -> Line:
    return Line(f"{code.code} {code.display} ({code.status})", kind="code")


def _why(code: Code) -> Iterator[tuple[str, Kind]]:
    """The reason, and apart from it what a coder must look at."""
    reason, review = why(code)
    yield reason, "item"
    if review:
        yield f"Review: {review}", "review"


def _code(code: Code, places: _Places, quote: bool) -> Iterator[Line]:
    yield _title(code)
    if quote:
        for text, kind in _why(code):
            yield Line(text, 1, kind)
    for number, step in enumerate(code.trail, 1):
        says = f" {sentence(step.says)}" if quote else ""
        yield Line(f"{number}. {step.rule}{':' if says else ''}{says}", 1, "step")
        for span in step.evidence:
            yield Line(places.one(span, quote), 3, "evidence")
    for other in code.alternatives:
        yield Line(f"Alternative {other.code}: {flat(other.why)} [{other.rule}]", 1, "note")
    if code.drg:
        groups = " or ".join(f"{group.drg} ({group.title})" for group in code.drg)
        yield Line(f"MS-DRG as a medical principal diagnosis: {groups}", 1, "note")


def _step(step: Step, places: _Places, quote: bool) -> Line:
    if quote:
        return Line(f"{step.rule} {flat(step.says)}", 1, "step")
    return Line(f"{step.rule} {places(step.evidence, quote)}", 1, "step")


def _refused(item: Suppressed, result: Result, quote: bool) -> Iterator[Line]:
    yield Line(f"{item.code} {item.display}" + (f": {flat(item.reason)}" if quote else "") + f" [{item.rule}]", 1)
    yield from _evidence(item.evidence, result, quote)


def _edits(result: Result, quote: bool) -> Iterator[Line]:
    for edit in result.edits:
        yield Line(f"{edit.severity.capitalize()}: {flat(edit.says) if quote else edit.kind} [{edit.rule}]", 1)
        yield from _evidence(edit.evidence, result, quote)


def _queries(result: Result, quote: bool, severity: str) -> Iterator[Line]:
    for query in result.queries:
        if query.severity == severity:
            yield Line(f"{flat(query.says) if quote else query.kind} [{query.rule}]", 1)
            if query.options:
                yield Line(f"Options: {', '.join(query.options)}", 2, "note")
            yield from _evidence(query.evidence, result, quote)


def _checklist(result: Result, quote: bool) -> Iterator[Line]:
    for item in result.checklist:
        yield Line(f"{item.item.replace('_', ' ')}: {item.state}" + (f" ({flat(item.says)})" if quote else ""), 1)
        yield from _evidence(item.evidence, result, quote)


def _mention(finding: Finding, result: Result, quote: bool) -> Iterator[Line]:
    span = Span(document=finding.document, start=finding.start, end=finding.end, text=finding.text, rule=finding.rule)
    details = [
        *finding.levels,
        *finding.regions,
        finding.laterality,
        finding.chronicity,
        finding.etiology,
        finding.direction,
    ]
    grade = f"grade {finding.grade}" if finding.grade else None
    shown = ", ".join(text for text in (*details, grade) if text)
    where = f" in {finding.section.replace('_', ' ')}" if finding.section else ""
    author = ", documented by imaging" if finding.documented_by == "imaging" else ""
    yield Line(
        f"{finding.id} {finding.condition.replace('_', ' ')}, {finding.assertion}{where}{author}"
        + (f": {shown}" if shown else ""),
        1,
    )
    yield Line(_Places(result).one(span, quote), 3, "evidence")
    for cue in finding.cues:
        words = f"“{short(cue.text)}” " if quote else ""
        yield Line(f"cue, {cue.category}: {words}({cue.start}-{cue.end}) [{cue.rule}]", 3, "evidence")
    for step in finding.trail:
        yield Line(f"{step.rule}" + (f": {sentence(step.says)}" if quote else ""), 2, "step")


def _services(result: Result, quote: bool) -> Iterator[Line]:
    places = _Places(result)
    for study in result.imaging:
        details = ", ".join(text for text in (study.body_part, study.finding, study.date) if text)
        span = Span(document=study.document, start=study.start, end=study.end, text=study.text)
        yield Line(f"Study, {study.modality}{': ' if details else ''}{details} {places.one(span, quote)}", 1)
    for care in result.conservative_care:
        details = ", ".join(text for text in (care.duration if quote else None, care.outcome) if text)
        span = Span(document=care.document, start=care.start, end=care.end, text=care.text)
        kind = care.kind.replace("_", " ")
        yield Line(f"Care, {kind}{': ' if details else ''}{details} {places.one(span, quote)}", 1)
    for service in result.services:
        span = Span(document=service.document, start=service.start, end=service.end, text=service.text)
        named = " ".join(filter(None, (service.region, service.modality or service.kind.replace("_", " "))))
        numbers = f" ({', '.join(service.procedures)})" if service.procedures else ""
        for_what = ", ".join(service.codes or [each.replace("_", " ") for each in service.supports])
        tied = f"supports {for_what}" if for_what else "tied to none of these conditions"
        yield Line(f"Service, {named} {service.status}{numbers}: {tied} {places.one(span, quote)}", 1)
        for step in service.trail[1:]:
            yield Line(f"{step.rule}: {sentence(step.says)}", 2, "step")
            yield from _evidence(step.evidence, result, quote)


def _evidence(spans: Iterable[Span], result: Result, quote: bool) -> Iterator[Line]:
    places = _Places(result)
    for span in spans:
        yield Line(places.one(span, quote), 3, "evidence")


def short(text: str) -> str:
    """A quotation on one line, cut where it is long."""
    line = flat(text)
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """Words on one line as a sentence: with a capital and a stop."""
    line = flat(text)
    return f"{line[:1].upper()}{line[1:]}" + ("" if line.endswith((".", "?", "!")) else ".")
