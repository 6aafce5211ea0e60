"""Results against gold, note by note, into an `Evaluation`. Nothing here extracts: a result comes in as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, cast

from parsnlp.evaluation.explain import problems_of
from parsnlp.evaluation.figures import F1, Proportion, Tally, proportion
from parsnlp.evaluation.gold import GoldNote
from parsnlp.evaluation.match import match
from parsnlp.evaluation.models import (
    AttributeScores,
    CodeScores,
    ConditionScores,
    Evaluation,
    Group,
    MentionScores,
    Problem,
    RuleScores,
    WrongNote,
)
from parsnlp.models import Finding, NoteCondition, Result

CONDITIONS = ("spondylolysis", "spondylolisthesis", "traumatic_fracture")
ATTRIBUTES = ("levels", "laterality", "chronicity", "etiology", "grade", "direction")
QUERY_KINDS = frozenset(
    {
        "site_missing",
        "laterality_missing",
        "chronicity_missing",
        "congenital_vs_acquired",
        "level_not_in_assessment",
        "lysis_slip_collapsed",
        "historical_status",
        "uncertain_wording",
    }
)  # what gold rows may list; a query of another kind is not held against the extractor
_NO_CARE = frozenset({"operative", "discharge"})
_FIELDS = ("strict_codes", "review", "mentions", "attributes", "imaging", "conservative_care", "queries")
Role = Literal["target", "context", "policy"]


class Scored(NamedTuple):
    """A gold row and what the extractor said of its note: `result` under `separate`, `strict` under `strict`."""

    gold: GoldNote
    result: Result
    strict: Result | None


def positive(result: Result) -> dict[str, NoteCondition]:
    """The conditions that the note as a whole has: affirmed, or uncertain and coded (P-A10)."""
    coded = {code.condition for code in result.codes}
    return {
        item.condition: item for item in result.conditions if item.assertion == "affirmed" or item.condition in coded
    }


def scored_for_care(gold: GoldNote) -> bool:
    """Conservative care is scored where it matters: an M43 or Q76.2 code, and no operative or discharge note."""
    return gold.kind not in _NO_CARE and any(code.startswith("M43") or code == "Q76.2" for code in gold.codes)


def code_set(result: Result) -> frozenset[str]:
    """The codes of a result, suggested or for review."""
    return frozenset(code.code for code in result.codes)


class Scorer:
    """Adds notes up. `notes`: how many will come; `sealed`: keep nothing of single notes."""

    def __init__(self, notes: int, sealed: bool = False) -> None:
        self.tally = Tally(notes)
        self.sealed = sealed
        self.confusion: Counter[tuple[str, str]] = Counter()
        self.fired: dict[tuple[Role, str], Counter[str]] = {}
        self.groups: Counter[tuple[str, str]] = Counter()
        self.annotated: Counter[str] = Counter()
        self.errors: list[WrongNote] = []
        self._count = 0

    def add(self, item: Scored) -> None:
        """Score one note."""
        note, gold = self._count, item.gold
        self._count += 1
        self.annotated.update(name for name in _FIELDS if getattr(gold, name) is not None)
        groups = [("all", ""), ("kind", gold.kind or "unknown"), ("setting", gold.setting or "unknown")]
        self.groups.update(groups)
        self._codes(note, item, groups)
        pairs = self._mentions(note, gold, item.result.findings, groups)
        self._attributes(note, gold, positive(item.result))
        self._sets(note, gold, item.result)
        for document in item.result.documents:
            if document.kind_inferred or document.kind is None:
                self.tally.hit("kind_inferred", document.kind == gold.kind)
        if not self.sealed:
            self._wrong(gold, problems_of(gold, item.result, item.strict, pairs))

    def _codes(self, note: int, item: Scored, groups: Sequence[tuple[str, str]]) -> None:
        gold, got = frozenset(item.gold.codes), code_set(item.result)
        for group in groups:
            self.tally.hit(("exact", group), got == gold)
            self.tally.hit(("uncoded", group), not got, times=not gold)
            self.tally.add_sets(("codes", group), note, gold, got)
        for code in gold | got:
            self.tally.add_sets(("code", code), note, gold & {code}, got & {code})
        self._exact("codes", gold, got)
        if item.gold.strict_codes is not None and item.strict is not None:
            strict, strict_got = frozenset(item.gold.strict_codes), code_set(item.strict)
            self._exact("strict_codes", strict, strict_got)
            self.tally.add_sets("strict_codes", note, strict, strict_got)
        for code in item.result.codes:
            for rule in dict.fromkeys(step.rule for step in code.trail):
                self._fire("policy", rule, "right" if code.code in gold else "spurious")

    def _exact(self, mode: str, gold: frozenset[str], got: frozenset[str]) -> None:
        injured = any(code.startswith("S") for code in gold)
        for name in ("exact", "coded" if gold else "uncoded", "s_codes" if injured else "no_s_codes"):
            self.tally.hit((mode, name), gold == got)

    def _mentions(
        self, note: int, gold: GoldNote, got: Sequence[Finding], groups: Sequence[tuple[str, str]]
    ) -> list[tuple[int, int]]:
        if gold.mentions is None:
            return []
        add = self.tally.add
        pairs = match(gold.mentions, got)
        for group in groups:
            add(("mentions", group), note, len(pairs), len(got) - len(pairs), len(gold.mentions) - len(pairs))
        for condition in CONDITIONS:
            of_gold = sum(mention.condition == condition for mention in gold.mentions)
            of_got = sum(finding.condition == condition for finding in got)
            tp = sum(gold.mentions[i].condition == condition for i, _ in pairs)
            add(("condition mentions", condition), note, tp, of_got - tp, of_gold - tp)
        for i, j in pairs:
            self.confusion[gold.mentions[i].assertion, got[j].assertion] += 1
            for group in groups:
                self.tally.hit(("assertion", group), gold.mentions[i].assertion == got[j].assertion)
        asserted = match(gold.mentions, got, assertion=True)
        add("asserted", note, len(asserted), len(got) - len(asserted), len(gold.mentions) - len(asserted))
        hit_gold, hit_got = {i for i, _ in asserted}, {j for _, j in asserted}
        for i, mention in enumerate(gold.mentions):
            add(("assertion", mention.assertion), note, i in hit_gold, 0, i not in hit_gold)
        for j, finding in enumerate(got):
            if j not in hit_got:
                add(("assertion", finding.assertion), note, 0, 1, 0)
        partner = {j: gold.mentions[i] for i, j in pairs}
        for j, finding in enumerate(got):
            mate = partner.get(j)
            outcome = "spurious" if not mate else "right" if mate.assertion == finding.assertion else "misjudged"
            self._fire("target", finding.rule, outcome)
            for rule in dict.fromkeys(cue.rule for cue in finding.cues):
                self._fire("context", rule, outcome)
        return pairs

    def _attributes(self, note: int, gold: GoldNote, got: dict[str, NoteCondition]) -> None:
        if gold.attributes is None:
            return
        for condition in CONDITIONS:
            wanted = gold.attributes.get(condition)  # type: ignore[call-overload]
            found = got.get(condition)
            self.tally.add(
                ("condition notes", condition),
                note,
                bool(wanted and found),
                bool(found and not wanted),
                bool(wanted and not found),
            )
            for name in sorted(wanted.model_fields_set) if wanted else ():
                value = getattr(wanted, name)
                right = found is not None and same(name, value, getattr(found, name))
                for whose in ("all", condition):
                    self.tally.hit(("attribute", whose, name, "all"), right)
                    self.tally.hit(("attribute", whose, name, "documented" if value else "null"), right)

    def _sets(self, note: int, gold: GoldNote, result: Result) -> None:
        if gold.imaging is not None:
            got = frozenset(study.modality for study in result.imaging)
            self.tally.add_sets("imaging", note, frozenset(gold.imaging), got)
        if gold.conservative_care is not None and scored_for_care(gold):
            got = frozenset(care.kind for care in result.conservative_care)
            self.tally.add_sets("conservative_care", note, frozenset(gold.conservative_care), got)
        if gold.queries is not None:
            wanted = frozenset(gold.queries)
            got = frozenset(query.kind for query in result.queries) & (QUERY_KINDS | wanted)
            self.tally.add_sets("queries", note, wanted, got)
            for kind in wanted | got:
                self.tally.add_sets(("query", kind), note, wanted & {kind}, got & {kind})
        if gold.review is not None:
            flagged = any(code.status == "review" for code in result.codes)
            self.tally.add("review", note, gold.review and flagged, flagged and not gold.review, gold.review > flagged)
            self.tally.hit("review_agrees", flagged == gold.review)

    def _fire(self, role: Role, rule: str, outcome: str) -> None:
        self.fired.setdefault((role, rule), Counter())[outcome] += 1

    def _wrong(self, gold: GoldNote, problems: Iterable[Problem]) -> None:
        found = tuple(problems)
        if found:
            codes = next((problem for problem in found if problem.measure == "codes"), None)
            del codes
            self.errors.append(
                WrongNote(
                    id=gold.id,
                    file=gold.file,
                    line=gold.line,
                    kind=gold.kind,
                    setting=gold.setting,
                    gold_codes=gold.codes,
                    got_codes=(),
                    problems=found,
                )
            )
