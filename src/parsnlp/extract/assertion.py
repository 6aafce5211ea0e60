"""One mention's assertion (P-F3), from its cues, its section and the kind of note it stands in.

Each function is one rule of the policy, pure, and gives the assertion with the `Step` that says why, or None.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def decide(mention: Mention, context: Context) -> Ruling:
    """The mention's assertion (P-F3): the first rule below that has something to say, else affirmed."""
    return (
        p_a9_box(mention, context)
        or p_f3_generic(mention, context)
        or p_f3_family(mention, context)
        or p_f3_worded(mention, context)
        or p_f3_hypothetical(mention, context)
        or p_a1(mention, context)
        or p_a9_ticked(mention, context)
        or p_a7(mention, context)
        or p_a9(mention, context)
        or p_a6(mention, context)
        or p_a5(mention, context)
        or p_a3(mention, context)
        or p_f3_uncertain(mention, context)
        or Ruling("affirmed", "P-F3", "stated as present")
    )


def _of(mention: Mention, *categories: str) -> tuple[Cue, ...]:
    return tuple(cue for cue in mention.cues if cue.rule.category in categories) if mention.cues else ()


def _saying(mention: Mention, category: str, value: str | None) -> tuple[Cue, ...]:
    """The mention's cues of a category whose rules have this `value`; None: no value of their own."""
    return tuple(cue for cue in _of(mention, category) if cue.rule.value == value)


def _distance(mention: Mention, cues: Sequence[Cue]) -> int:
    return min((max(mention.start - cue.end, cue.start - mention.end) for cue in cues), default=10**9)


def p_a9_box(mention: Mention, context: Context) -> Ruling | None:
    """P-A9: an unticked box is generic."""
    ticked = _of(mention, "ticked")
    unticked = _saying(mention, "generic", "unticked")
    if unticked and _distance(mention, unticked) <= _distance(mention, ticked):
        return Ruling("generic", "P-A9", "an unticked box of a template", unticked)
    return None


def p_a9_ticked(mention: Mention, context: Context) -> Ruling | None:
    """P-A9: a ticked box, or a field answered yes, affirms; what is ticked may still be "suspected" or "healed"."""
    ticked = _of(mention, "ticked")
    if ticked and not any(cue.start >= mention.end for cue in _of(mention, "uncertain", "historical")):
        return Ruling("affirmed", "P-A9", "a ticked box or a field answered yes", ticked)
    return None


def p_f3_generic(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: teaching, definitions, cohorts, education text."""
    cues = _of(mention, "generic")
    if _of(mention, "ticked"):  # one of a field's boxes is filled in
        cues = tuple(cue for cue in cues if cue.rule.value != "unfilled")
    if cues:
        return Ruling("generic", "P-F3", "teaching or a definition, not about this patient", cues)
    if context.section == "education" and not _of(mention, "hypothetical", "known"):
        return Ruling("generic", "P-F3", "stands in education text")
    return None


def p_f3_family(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: a relative's condition."""
    cues = _of(mention, "family")
    if cues:
        return Ruling("family", "P-F3", "a relative's condition", cues)
    if context.section == "family":
        return Ruling("family", "P-F3", "stands in the family history")
    return None


def p_f3_worded(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: the mention's own words settle it: "the pars is intact", "L5 has not slipped", "may be broken"."""
    if mention.rule.value == "negated":
        return Ruling("negated", "P-F3", "said in so many words not to be there")
    if mention.rule.value == "uncertain":
        return Ruling("uncertain", "P-F3", "said in so many words to be uncertain")
    return None


def p_f3_hypothetical(mention: Mention, context: Context) -> Ruling | None:
    """P-F3: "rule out", "if", "risk of", where that cue stands nearer than any negation; a consent's list of risks."""
    if context.section == "risks":
        return Ruling("hypothetical", "P-F3", "stands among the risks of a consent")
    cues = _of(mention, "hypothetical")
    after = any(cue.start >= mention.end for cue in _of(mention, "negated"))
    if after and not _saying(mention, "hypothetical", "condition"):
        return None  # "work-up for X came back negative": the answer stands behind the question
    if cues and _distance(mention, cues) < _distance(mention, _of(mention, "negated")):
        return Ruling("hypothetical", "P-F3", "looked for or feared, not found", cues)
    return None


def p_a1(mention: Mention, context: Context) -> Ruling | None:
    """P-A1: a negation whose scope holds the mention."""
    cues = _of(mention, "negated")
    doubts = tuple(cue for cue in _of(mention, "uncertain") if cue.rule.direction == "backward")
    before = all(cue.start < mention.start for cue in cues)
    if before and _distance(mention, doubts) < _distance(mention, cues):
        return None  # "no thrombus in the vein, a slip below it cannot be excluded"
    if cues:
        return Ruling("negated", "P-A1", "negated", cues)
    return None


def p_a7(mention: Mention, context: Context) -> Ruling | None:
    """P-A7: an imaging report's indication is hypothetical unless it is plainly known disease."""
    report = context.kind in REPORTS
    if not (
        (context.section == "indication" and (report or context.kind is None))
        or (context.section == "history" and report)
    ):
        return None
    known = _of(mention, "known")
    historical = _of(mention, "historical")
    if known and not historical:
        return Ruling("affirmed", "P-A7", "an indication that is plainly known disease", known)
    if historical:
        return Ruling("historical", "P-A3", "past, and not stated as current", historical)
    return Ruling("hypothetical", "P-A7", "an indication, what the study looks for")


def p_a9(mention: Mention, context: Context) -> Ruling | None:
    """P-A9: what the patient was told of an earlier diagnosis is historical until a provider adopts it."""
    cues = _saying(mention, "historical", "told")
    return Ruling("historical", "P-A9", "told of an earlier diagnosis, adopted by no provider", cues) if cues else None


def p_a6(mention: Mention, context: Context) -> Ruling | None:
    """P-A6: what a past operation was for is past; today's operative and discharge diagnoses are present."""
    cues = _saying(mention, "historical", "operation")
    today = context.kind in ("operative", "discharge") and context.section not in ("past", "present", "history")
    return Ruling("historical", "P-A6", "what a past operation was for", cues) if cues and not today else None


def p_a5(mention: Mention, context: Context) -> Ruling | None:
    """P-A5: healed, resolved, united, prior are past; healing, nonunion and persistent are not among these cues."""
    cues = _saying(mention, "historical", None)
    return Ruling("historical", "P-A5", "past, and not stated as current", cues) if cues else None


def p_a3(mention: Mention, context: Context) -> Ruling | None:
    """P-A3: "history of" and a past-history list are historical; chronic, known and longstanding are not past."""
    cues = _saying(mention, "historical", "history")
    known = _of(mention, "known")
    listed = context.section == "past" and not _of(mention, "uncertain")
    if not cues and not listed:
        return None
    if known:
        return Ruling("affirmed", "P-A3", "carried in the history but called chronic or known", known)
    return Ruling("historical", "P-A3", "carried in the history, and not stated as current", cues)


def p_f3_uncertain(mention: Mention, context: Context) -> Ruling | None:
    """P-F3, P-A8: the finding itself, not its cause or age, is left unproved."""
    cues = _of(mention, "uncertain")
    if not cues and context.section == "differential" and not _of(mention, "known"):
        return Ruling("uncertain", "P-F3", "stands in a differential diagnosis")
    if not cues:
        return None
    confirmed = _saying(mention, "known", "confirmed")
    if confirmed:
        return Ruling("affirmed", "P-F3", "a suspicion that was confirmed", confirmed)
    return Ruling("uncertain", "P-F3", "left uncertain", cues)
