"""Results against gold, note by note, into an `Evaluation`. Nothing here extracts: a result comes in as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from parsnlp.evaluation.compare import (
    ATTRIBUTES,
    CONDITIONS,
    QUERY_KINDS,
    Scored,
    code_set,
    match,
    match_edits,
    positive,
    same,
    scored_for_care,
    service_name,
)
from parsnlp.evaluation.figures import F1, Proportion, Tally, proportion
from parsnlp.evaluation.gold import GoldNote
from parsnlp.evaluation.models import (
    AttributeScores,
    AuditScores,
    CodeScores,
    ConditionScores,
    Evaluation,
    Group,
    MentionScores,
    RuleScores,
    Unrelated,
    WrongNote,
)
from parsnlp.evaluation.problems import problems_of
from parsnlp.models import Assertion, Condition, Finding, NoteCondition, Policy, Result, RuleSetInfo

_FIELDS = (
    "codes",
    "strict_codes",
    "review",
    "mentions",
    "attributes",
    "imaging",
    "conservative_care",
    "queries",
    "services",
)
_ALL = ("all", "")
_ASSERTIONS: tuple[str, ...] = get_args(Assertion)
Role = Literal["target", "context", "policy"]


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
        groups += [("phenomenon", gold.phenomenon)] if gold.phenomenon else []
        self.groups.update(groups)
        self._codes(note, item, groups)
        pairs = self._mentions(note, gold, item.result.findings, groups)
        self._attributes(note, gold, positive(item.result))
        self._sets(note, gold, item.result)
        self._audits(note, item)
        for document in item.result.documents:
            if gold.kind is not None and (document.kind_inferred or document.kind is None):
                self.tally.hit("kind_inferred", document.kind == gold.kind)
        if not self.sealed:
            self._wrong(item, pairs)

    def _codes(self, note: int, item: Scored, groups: Sequence[tuple[str, str]]) -> None:
        if item.gold.codes is None:
            return
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
        for given in item.result.codes:
            for rule in dict.fromkeys(step.rule for step in given.trail):
                self._fire("policy", rule, "right" if given.code in gold else "spurious")

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
            add(("by assertion", mention.assertion), note, i in hit_gold, 0, i not in hit_gold)
        for j, finding in enumerate(got):
            if j not in hit_got:
                add(("by assertion", finding.assertion), note, 0, 1, 0)
        partner = {j: gold.mentions[i] for i, j in pairs}
        for j, finding in enumerate(got):
            mate = partner.get(j)
            outcome = "spurious" if not mate else "right" if mate.assertion == finding.assertion else "misjudged"
            self._fire("target", finding.rule, outcome)
            for rule in dict.fromkeys(cue.rule for cue in finding.cues):
                self._fire("context", rule, outcome)
        return pairs

    def _attributes(self, note: int, gold: GoldNote, got: dict[Condition, NoteCondition]) -> None:
        if gold.attributes is None:
            return
        for condition in CONDITIONS:
            wanted = gold.attributes.get(condition)
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
        if gold.services is not None:
            of_gold = {service_name(each): set(each.supports) for each in gold.services}
            of_got = {service_name(each): set(each.supports) for each in result.services}
            self.tally.add_sets("services", note, frozenset(of_gold), frozenset(of_got))
            for name in of_gold.keys() & of_got.keys():
                self.tally.hit("service_ties", of_gold[name] == of_got[name])
        if gold.review is not None:
            flagged = any(code.status == "review" for code in result.codes)
            self.tally.add("review", note, gold.review and flagged, flagged and not gold.review, gold.review > flagged)
            self.tally.hit("review_agrees", flagged == gold.review)

    def _audits(self, note: int, item: Scored) -> None:
        gold = item.gold
        if item.audited is not None:
            wanted = [*gold.claim_edits, *gold.typed_edits]
            missed, spurious = match_edits(wanted, item.audited)
            self.tally.hit("audit_exact", not missed and not spurious)
            self.tally.add("audit_edits", note, len(wanted) - len(missed), len(spurious), len(missed))
        if item.corrected is not None:
            missed, spurious = match_edits([*gold.corrected_edits, *gold.typed_edits], item.corrected)
            self.tally.hit("audit_corrected", not missed and not spurious)

    def _fire(self, role: Role, rule: str, outcome: str) -> None:
        self.fired.setdefault((role, rule), Counter())[outcome] += 1

    def _wrong(self, item: Scored, pairs: Sequence[tuple[int, int]]) -> None:
        problems = problems_of(item, pairs)
        if problems:
            gold = item.gold
            self.errors.append(
                WrongNote(
                    id=gold.id,
                    file=gold.file,
                    line=gold.line,
                    kind=gold.kind,
                    setting=gold.setting,
                    gold_codes=gold.codes or (),
                    got_codes=tuple(code.code for code in item.result.codes),
                    problems=tuple(problems),
                )
            )

    def evaluation(
        self,
        *,
        gold: str,
        digest: str,
        kinds: Literal["given", "inferred"],
        engine: str,
        rule_set: RuleSetInfo,
        policy: Policy,
        known_rules: Sequence[str] = (),
        unrelated: Unrelated | None = None,
    ) -> Evaluation:
        """The figures of all notes added. `known_rules`: the target and cue rules there are, silent ones too."""
        tally = self.tally
        totals = Evaluation(
            gold=gold,
            digest=digest,
            notes=self._count,
            sealed=self.sealed,
            kinds=kinds,
            engine=engine,
            rule_set=rule_set,
            policy=policy,
            resamples=tally.resamples,
            annotated={name: self.annotated[name] for name in _FIELDS},
            codes=self._code_scores("codes", tally.f1(("codes", _ALL))),
            strict=self._code_scores("strict_codes", tally.f1("strict_codes")),
            mentions=MentionScores(
                spans=tally.f1(("mentions", _ALL)),
                asserted=tally.f1("asserted"),
                assertion=tally.proportion(("assertion", _ALL)),
                negated=tally.f1(("by assertion", "negated")),
            ),
            attributes=self._attribute_scores(("all",)),
            imaging=tally.f1("imaging"),
            conservative_care=tally.f1("conservative_care"),
            queries=tally.f1("queries"),
            services=tally.f1("services"),
            service_ties=tally.proportion("service_ties"),
            review=tally.f1("review"),
            review_agrees=tally.proportion("review_agrees"),
            kind_inferred=tally.proportion("kind_inferred"),
            audits=AuditScores(
                exact=tally.proportion("audit_exact"),
                edits=tally.f1("audit_edits"),
                corrected=tally.proportion("audit_corrected"),
            ),
            unrelated=unrelated,
        )
        if self.sealed:
            return totals
        fired = {rule for role, rule in self.fired if role != "policy"}
        details = {
            "mentions": totals.mentions.model_copy(
                update={"confusion": self._confusion(), "by_assertion": self._f1s("by assertion")}
            ),
            "attributes": self._attribute_scores(("all", *CONDITIONS)),
            "per_code": self._f1s("code"),
            "per_condition": {
                condition: ConditionScores(
                    mentions=tally.f1(("condition mentions", condition)), notes=tally.f1(("condition notes", condition))
                )
                for condition in CONDITIONS
            },
            "per_query": self._f1s("query"),
            "by_kind": self._groups("kind"),
            "by_setting": self._groups("setting"),
            "by_phenomenon": self._groups("phenomenon"),
            "rules": self._rules(),
            "silent_rules": tuple(sorted(set(known_rules) - fired)),
            "errors": tuple(self.errors),
        }
        return totals.model_copy(update=details)

    def _code_scores(self, mode: str, micro: F1) -> CodeScores:
        def of(name: str) -> Proportion:
            return self.tally.proportion((mode, name))

        return CodeScores(
            exact=of("exact"),
            coded=of("coded"),
            uncoded=of("uncoded"),
            s_codes=of("s_codes"),
            no_s_codes=of("no_s_codes"),
            micro=micro,
        )

    def _attribute_scores(self, whose: Sequence[str]) -> tuple[AttributeScores, ...]:
        def of(condition: str, name: str, part: str) -> Proportion:
            return self.tally.proportion(("attribute", condition, name, part))

        scores = (
            AttributeScores(
                condition=condition,
                attribute=name,
                all=of(condition, name, "all"),
                documented=of(condition, name, "documented"),
                null=of(condition, name, "null"),
            )
            for condition in whose
            for name in ATTRIBUTES
        )
        return tuple(score for score in scores if score.all.of or score.condition == "all")

    def _f1s(self, first: str) -> dict[str, F1]:
        """The scores under the keys (`first`, name), by name."""
        return {name: self.tally.f1((first, name)) for name in sorted(self.tally.names(first))}

    def _confusion(self) -> dict[str, dict[str, int]]:
        table: dict[str, dict[str, int]] = {}
        for gold, got in sorted(
            self.confusion, key=lambda pair: (_ASSERTIONS.index(pair[0]), _ASSERTIONS.index(pair[1]))
        ):
            table.setdefault(gold, {})[got] = self.confusion[gold, got]
        return table

    def _groups(self, by: str) -> dict[str, Group]:
        def scores(group: tuple[str, str]) -> Group:
            return Group(
                notes=self.groups[group],
                exact=self.tally.proportion(("exact", group)),
                uncoded=self.tally.proportion(("uncoded", group)),
                codes=self.tally.f1(("codes", group)),
                mentions=self.tally.f1(("mentions", group)),
                assertion=self.tally.proportion(("assertion", group)),
            )

        return {name: scores((by, name)) for of, name in sorted(self.groups) if of == by}

    def _rules(self) -> tuple[RuleScores, ...]:
        scores = []
        for (role, rule), outcomes in sorted(self.fired.items()):
            fired = sum(outcomes.values())
            right = outcomes["right"] + (outcomes["misjudged"] if role == "target" else 0)
            scores.append(
                RuleScores(
                    rule=rule,
                    role=role,
                    fired=fired,
                    right=outcomes["right"],
                    misjudged=outcomes["misjudged"],
                    spurious=outcomes["spurious"],
                    share_right=proportion(right, fired),
                )
            )
        return tuple(scores)
