"""One mention's assertion (P-F3), from its cues, its section and the kind of note it stands in.

Each function is one rule of the policy, pure, and gives the assertion with the `Step` that says why, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parsnlp.extract.pipeline import Cue, Mention
from parsnlp.models import Assertion

REPORTS = frozenset({"radiology", "order"})
"""Kinds of note whose bare "History" is the study's indication (P-A7)."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """An assertion with the policy rule and the cues that decided it."""

    assertion: Assertion
    rule: str
    says: str
    cues: tuple[Cue, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a mention's assertion depends on besides its own cues."""

    section: str | None
    kind: str | None
    title: bool = False


def decide(mention: Mention, context: Context) -> Ruling:
    """The mention's assertion: the first rule below that has something to say, else affirmed."""
    for rule in RULES:
        ruling = rule(mention, context)
        if ruling is not None:
            return ruling
    return Ruling("affirmed", "P-F3", "stated as present")


def _of(mention: Mention, *categories: str) -> tuple[Cue, ...]:
    return tuple(cue for cue in mention.cues if cue.rule.category in categories)


def _nearest(mention: Mention, cues: Sequence[Cue]) -> Cue:
    return min(cues, key=lambda cue: max(mention.start - cue.end, cue.start - mention.end))


def _distance(mention: Mention, cues: Sequence[Cue]) -> int:
    return min((max(mention.start - cue.end, cue.start - mention.end) for cue in cues), default=10**9)


def box(mention: Mention, context: Context) -> Ruling | None:
    """P-A9: a ticked box affirms, an unticked one is generic."""
    ticked = _of(mention, "ticked")
    unticked = tuple(cue for cue in _of(mention, "generic") if cue.rule.id == "generic.unticked")
    if unticked and _distance(mention, unticked) <= _distance(mention, ticked):
        return Ruling("generic", "P-A9", "an unticked box of a template", unticked)
    if ticked and not _of(mention, "negated"):
        return Ruling("affirmed", "P-A9", "a ticked box or a field answered yes", ticked)
    return None


def generic(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: teaching, definitions, cohorts, education text."""
    cues = _of(mention, "generic")
    if cues:
        return Ruling("generic", "P-F3", "teaching or a definition, not about this patient", cues)
    if context.section == "education":
        return Ruling("generic", "P-F3", "stands in education text")
    return None


def family(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: a relative's condition."""
    cues = _of(mention, "family")
    if cues:
        return Ruling("family", "P-F3", "a relative's condition", cues)
    if context.section == "family":
        return Ruling("family", "P-F3", "stands in the family history")
    return None


def intact(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: the mention itself says that the pars is whole."""
    if mention.rule.value == "negated":
        return Ruling("negated", "P-F3", "the pars is said to be whole")
    return None


def hypothetical_near(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: "rule out", "if", "risk of", where that cue stands nearer than any negation."""
    cues = _of(mention, "hypothetical")
    if cues and _distance(mention, cues) < _distance(mention, _of(mention, "negated")):
        return Ruling("hypothetical", "P-F3", "looked for or feared, not found", cues)
    return None


def negated(mention: Mention, context: Context) -> Ruling | None:
    """P-A1: a negation whose scope holds the mention."""
    cues = _of(mention, "negated")
    if cues:
        return Ruling("negated", "P-A1", "negated", cues)
    return None


def indication(mention: Mention, context: Context) -> Ruling | None:
    """P-A7: an imaging report's indication is hypothetical unless it is plainly known disease."""
    indicated = context.section == "indication" or (context.section == "history" and context.kind in REPORTS)
    if (
        not ((indicated and context.kind in (*REPORTS, None)) or context.section == "indication")
        or context.section is None
    ):
        return None
    known = _of(mention, "known")
    historical = _of(mention, "historical")
    if known and not historical:
        return Ruling("affirmed", "P-A7", "an indication that is plainly known disease", known)
    if historical:
        return Ruling("historical", "P-A3", "past, and not stated as current", historical)
    return Ruling("hypothetical", "P-A7", "an indication, what the study looks for")


def historical(mention: Mention, context: Context) -> Ruling | None:
    """P-A3, P-A5, P-A6, P-A9: past and not stated as current; chronicity words are not past."""
    cues = _of(mention, "historical")
    known = _of(mention, "known")
    listing = tuple(cue for cue in cues if cue.rule.id == "historical.history-of")
    operative = tuple(cue for cue in cues if cue.rule.id == "historical.after-operation")
    if (
        operative
        and context.kind in ("operative", "discharge")
        and context.section not in ("past", "present", "history")
    ):
        cues = tuple(cue for cue in cues if cue not in operative)
    if known and cues and cues == listing:
        return Ruling("affirmed", "P-A3", "carried in the history but called chronic or known", known)
    if cues:
        rule = {"historical.told": "P-A9", "historical.after-operation": "P-A6"}.get(_nearest(mention, cues).rule.id)
        rule = rule or ("P-A3" if cues == listing else "P-A5")
        return Ruling("historical", rule, "past, and not stated as current", cues)
    if context.section == "past":
        if known:
            return Ruling("affirmed", "P-A3", "in the past history but called chronic or known", known)
        if not _of(mention, "uncertain"):
            return Ruling("historical", "P-A3", "stands in the past history")
    return None


def uncertain(mention: Mention, context: Context) -> Ruling | None:
    """P-F3, P-A8: the finding itself, not its cause or age, is left unproved."""
    cues = _of(mention, "uncertain")
    if cues:
        return Ruling("uncertain", "P-F3", "left uncertain", cues)
    return None


RULES: tuple[Callable[[Mention, Context], Ruling | None], ...] = (
    box,
    generic,
    family,
    intact,
    hypothetical_near,
    negated,
    indication,
    historical,
    uncertain,
)
