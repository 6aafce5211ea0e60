"""What an evaluation says: figures, and (unless the corpus is sealed) every wrong note with its trail."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Literal

from pydantic import Field

from parsnlp.evaluation.figures import F1, Frozen, Proportion
from parsnlp.models import Policy, RuleSetInfo, Step

Measure = Literal[
    "codes",
    "strict_codes",
    "mentions",
    "assertion",
    "conditions",
    "attributes",
    "imaging",
    "conservative_care",
    "queries",
    "services",
    "review",
    "audit",
]
_QUOTING = frozenset({"text", "says"})


class CodeScores(Frozen):
    """Codes under one Excludes1 mode.

    `exact`: notes whose code set is the gold set. `coded`, `uncoded`: those with, without gold codes (`uncoded` is the
    no-code notes kept empty). `s_codes`, `no_s_codes`: those with, without an S code in gold. `micro`: over all pairs
    of note and code.
    """

    exact: Proportion
    coded: Proportion
    uncoded: Proportion
    s_codes: Proportion
    no_s_codes: Proportion
    micro: F1


class MentionScores(Frozen):
    """`spans`: condition and overlapping span, one to one. `asserted`: with the assertion as well, paired anew.

    `assertion`: accuracy on the pairs of `spans`; `negated`: negation as a find of its own (a negated mention missed,
    or another one called negated, is wrong). `confusion`: the pairs' assertions, gold to got to count.
    `by_assertion`: `asserted`, by the gold (or, for what is too much, the found) assertion.
    """

    spans: F1
    asserted: F1
    assertion: Proportion
    negated: F1
    confusion: dict[str, dict[str, int]] = Field(default_factory=dict)
    by_assertion: dict[str, F1] = Field(default_factory=dict)


class ConditionScores(Frozen):
    """One condition: its mentions (span), and its notes (affirmed by the note as a whole, or coded while uncertain)."""

    mentions: F1
    notes: F1


class AttributeScores(Frozen):
    """One attribute, where gold has the condition; a condition that was not found has every attribute wrong.

    `condition`: "all" or one. `documented`, `null`: where gold has a value, has none.
    """

    condition: str
    attribute: str
    all: Proportion
    documented: Proportion
    null: Proportion


class Group(Frozen):
    """The main figures of the notes of one kind or one setting."""

    notes: int
    exact: Proportion
    uncoded: Proportion
    codes: F1
    mentions: F1
    assertion: Proportion


class RuleScores(Frozen):
    """How often a rule fired, and on what.

    `role`: target (the finding's own rule), context (a cue on a finding), policy (a step on the trail of a code).
    Target and context: `right`, the mention is in gold with this assertion; `misjudged`, in gold with another one;
    `spurious`, not in gold. A cue counts on every mention that it touched. Policy: `right` and `spurious` codes.
    `share_right`: of those fired; a misjudged mention is no fault of its target rule.
    """

    rule: str
    role: Literal["target", "context", "policy"]
    fired: int
    right: int
    misjudged: int
    spurious: int
    share_right: Proportion


class AuditScores(Frozen):
    """Claims held against their charts.

    `exact`: claims that hit the gold edits and no other; `edits`: over all pairs of code and kind; `corrected`: mended
    claims that hit only what gold says still stands.
    """

    exact: Proportion
    edits: F1
    corrected: Proportion


class Unrelated(Frozen):
    """Notes of other specialties: how many have no code, no finding; and the names of those that have."""

    no_codes: Proportion
    no_findings: Proportion
    wrong: tuple[str, ...] = ()


class Problem(Frozen):
    """One thing wrong with a note. `gold`, `got`: null when there is none. `start`, `end`: the mention meant, if one,
    in `document` when the row is an encounter.

    `text`: the line around it, the mention in `[[ ]]`. `rules`: the target rule and the cues. `trail`: of what was got,
    or of what refused the gold code.
    """

    measure: Measure
    what: str
    gold: str | None = None
    got: str | None = None
    document: str | None = None
    start: int | None = None
    end: int | None = None
    text: str | None = Field(default=None, repr=False)
    rules: tuple[str, ...] = ()
    trail: tuple[Step, ...] = ()


class WrongNote(Frozen):
    """A note that is not right in every scored respect. `codes`: gold and got, under `separate`."""

    id: str
    file: str | None
    line: int
    kind: str | None
    setting: str | None
    gold_codes: tuple[str, ...]
    got_codes: tuple[str, ...]
    problems: tuple[Problem, ...]


class Evaluation(Frozen):
    """An extractor scored on gold rows. `annotated`: how many rows carry each field; only those are scored on it.

    Sealed: totals only. What tells of single notes, codes or rules is empty.
    """

    gold: str
    digest: str
    notes: int
    sealed: bool
    kinds: Literal["given", "inferred"]
    engine: str
    rule_set: RuleSetInfo
    policy: Policy
    resamples: int
    annotated: dict[str, int]
    codes: CodeScores
    strict: CodeScores
    mentions: MentionScores
    attributes: tuple[AttributeScores, ...]
    imaging: F1
    conservative_care: F1
    queries: F1
    services: F1
    service_ties: Proportion
    review: F1
    review_agrees: Proportion
    kind_inferred: Proportion
    audits: AuditScores
    unrelated: Unrelated | None = None
    per_code: dict[str, F1] = Field(default_factory=dict)
    per_condition: dict[str, ConditionScores] = Field(default_factory=dict)
    per_query: dict[str, F1] = Field(default_factory=dict)
    by_kind: dict[str, Group] = Field(default_factory=dict)
    by_setting: dict[str, Group] = Field(default_factory=dict)
    by_phenomenon: dict[str, Group] = Field(default_factory=dict)
    rules: tuple[RuleScores, ...] = ()
    silent_rules: tuple[str, ...] = ()
    errors: tuple[WrongNote, ...] = ()

    def totals(self) -> dict[str, Proportion | F1]:
        """The main figures by name, for a table or a log."""
        figures: dict[str, Proportion | F1] = {}
        for mode, scores in (("codes", self.codes), ("strict codes", self.strict)):
            figures[f"{mode}: exact set"] = scores.exact
            figures[f"{mode}: exact set, notes with codes"] = scores.coded
            figures[f"{mode}: no-code notes kept empty"] = scores.uncoded
            figures[f"{mode}: exact set, notes with S codes"] = scores.s_codes
            figures[f"{mode}: exact set, notes without S codes"] = scores.no_s_codes
            figures[f"{mode}: F1"] = scores.micro
        figures["mentions: F1"] = self.mentions.spans
        figures["mentions with assertion: F1"] = self.mentions.asserted
        figures["assertion on matched mentions"] = self.mentions.assertion
        figures["negation: F1"] = self.mentions.negated
        for item in self.attributes:
            if item.condition == "all":
                figures[item.attribute] = item.all
                figures[f"{item.attribute}, documented in gold"] = item.documented
                figures[f"{item.attribute}, null in gold"] = item.null
        figures["imaging: F1"] = self.imaging
        figures["conservative care: F1"] = self.conservative_care
        if self.annotated.get("services"):
            figures["services: F1"] = self.services
            figures["services tied to the right conditions"] = self.service_ties
        figures["queries: recall of the listed"] = self.queries.recall
        figures["queries: precision over the listed kinds"] = self.queries.precision
        figures["review: F1"] = self.review
        figures["review: note agrees"] = self.review_agrees
        if self.kind_inferred.of:
            figures["kind of note inferred"] = self.kind_inferred
        if self.audits.exact.of:
            figures["audits: exact edits of a claim"] = self.audits.exact
            figures["audits: F1 of edits"] = self.audits.edits
            figures["audits: mended claims"] = self.audits.corrected
        if self.unrelated is not None:
            figures["unrelated notes without codes"] = self.unrelated.no_codes
            figures["unrelated notes without findings"] = self.unrelated.no_findings
        return figures

    def to_json(self, text: bool = True) -> str:
        """All of it as one line of JSON, the same bytes each time; `text=False` leaves quotations of notes out."""
        data: Any = self.model_dump(mode="json")
        return json.dumps(data if text else _without_text(data), ensure_ascii=True, separators=(",", ":"))

    def summary(self) -> str:
        """The figures as text for a terminal; no note text is in it."""
        from parsnlp.evaluation import printing

        return printing.summary(self)

    def errors_text(self, text: bool = True, only: Collection[Measure] = ()) -> str:
        """Each wrong note: gold against got, its spans, and the trail. `text=False`: offsets and rules only.

        `only`: the measures to list, such as `("codes", "mentions")`; all by default.
        """
        from parsnlp.evaluation import printing

        return printing.errors_text(self, text, only)


def _without_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_text(child) for key, child in value.items() if key not in _QUOTING}
    if isinstance(value, list):
        return [_without_text(child) for child in value]
    return value
