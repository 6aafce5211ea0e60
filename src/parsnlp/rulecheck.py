"""Every rule's examples and counter-examples, run, and its patterns timed: for `parsnlp rules check` and for the tests.

What a rule does to a text is its *credits*, spans of that text. An example passes when each span it marks is credited
to its rule, a counter-example when nothing is. What is credited depends on the rule's folder:

* target: a mention found by this rule, exactly the marked span. The rule alone must find the same span.
* decoy: this rule's match covers the span, and wins over every target rule there.
* context: a mention that one of this rule's cues reaches.
* context, `pseudo` and `terminate`: a mention that loses a cue when this rule is the only one of its direction. In an
  example no such cue may reach the mention with all rules at work, nor, for `pseudo`, any other of the same category.
* attribute: this rule's match, exactly the marked span, longer matches of its category having won.
* section: a heading that this rule knows, and no other rule knew first; kind: a text of the rule's kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from parsnlp import backtracking
from parsnlp.extract.context import Context
from parsnlp.extract.matching import Match, Matcher
from parsnlp.extract.pipeline import Mention, Pipeline, Reading
from parsnlp.note import Clean
from parsnlp.rules import Example, Rule, RuleSet

Kind = Literal["example", "counter_example"]
_Span = tuple[int, int]
_Reach = set[tuple[str, int, int]]

_ALL_STAND = frozenset({"study_status", "correction"})
"""Attribute categories whose overlapping matches all stand, as in `extract.services` and `extract.findings`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a rule's examples or counter-examples. `number`: its place among them, from 1."""

    rule: Rule
    kind: Kind
    number: int
    example: Example

    @property
    def name(self) -> str:
        """The case as tests show it: `spondylolysis.pars-break/example-1`."""
        return f"{self.rule.id}/{self.kind}-{self.number}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that does not pass. `rule`: the rule's id; `number`: the line's place among its kind, from 1."""

    rule: str
    kind: Kind
    number: int
    says: str

    def __str__(self) -> str:
        return f"rule '{self.rule}': {self.kind.replace('_', '-')} {self.number}: {self.says}"


def cases(ruleset: RuleSet) -> Iterator[Case]:
    """Every example and counter-example line of every rule, in the order of the files."""
    for rule in ruleset.rules:
        for number, example in enumerate(rule.examples, 1):
            yield Case(rule, "example", number, example)
        for number, example in enumerate(rule.counter_examples, 1):
            yield Case(rule, "counter_example", number, example)


def slow(ruleset: RuleSet) -> Iterator[str]:
    """What is wrong with rules whose search of a sentence could take beyond measure: the rule, the part, on what text."""
    for rule in ruleset.rules:
        for number, wording in enumerate(rule.wordings if not rule.headings else (), 1):
            if found := backtracking.costly(wording.pattern, wording.regex.findall):
                yield f"rule '{rule.id}': pattern {number} backtracks on {found}; bound its repetitions, such as {{0,6}}"
        for number, heading in enumerate(rule.headings, 1):
            if found := backtracking.costly(heading, re.compile(heading).fullmatch):
                yield f"rule '{rule.id}': heading {number} backtracks on {found}; bound its repetitions, such as {{0,6}}"


def check(ruleset: RuleSet) -> list[Problem]:
    """Run every line of every rule; the lines that do not pass, in the order of the files. Empty: all is well."""
    checker = Checker(ruleset)
    return [problem for case in cases(ruleset) for problem in checker.run(case)]


class Checker:
    """Runs cases of one rule set. Compiles once, so that one checker serves all cases."""

    def __init__(self, ruleset: RuleSet) -> None:
        self.rules = ruleset
        self._pipeline = Pipeline(ruleset)
        self._targets = Matcher(ruleset.folder("targets"))
        self._attributes: dict[str, Matcher] = {}
        self._bare: dict[str, Context] = {}

    def run(self, case: Case) -> list[Problem]:
        """The problems of one case: none when it passes."""
        says = self._example(case) if case.kind == "example" else self._counter_example(case)
        return [Problem(case.rule.id, case.kind, case.number, text) for text in says]

    def _example(self, case: Case) -> list[str]:
        rule, text = case.rule, case.example.text
        reading = self._read(rule, text)
        credited = self._credits(rule, reading)
        covers = rule.folder == "sections" or rule.category == "decoy"
        says = []
        for start, end in case.example.spans:
            marked = f"'{text[start:end]}'"
            if covers:
                found = any(left <= start and end <= right for left, right in credited)
            else:
                found = (start, end) in credited
            if not found:
                says.append(f"{marked} is not found by this rule{self._instead(rule, reading, start, end)}")
            elif rule.folder == "targets" and not covers and (start, end) not in self._alone(rule, reading):
                says.append(f"{marked} is not found when this rule stands alone")
            elif rule.folder == "context" and (left_over := self._left_over(rule, reading, (start, end))):
                says.append(f"{marked} is still reached by {left_over}")
        return says

    def _counter_example(self, case: Case) -> list[str]:
        text = case.example.text
        credited = dict.fromkeys(self._credits(case.rule, self._read(case.rule, text)))
        return [f"'{text[start:end]}' is credited to this rule" for start, end in credited]

    def _read(self, rule: Rule, text: str) -> Reading:
        return self._pipeline.read(text, exhaustive=rule.folder in ("targets", "context"))

    # -- credits, by folder ------------------------------------------------------------------------------------------

    def _credits(self, rule: Rule, reading: Reading) -> list[_Span]:
        """The spans of the text that are this rule's doing."""
        if rule.folder == "context":
            if rule.direction in ("pseudo", "terminate"):
                return [_place(mention) for mention in reading.mentions if self._cut(rule, reading, mention)]
            return [_place(m) for m in reading.mentions if any(cue.rule.id == rule.id for cue in m.cues)]
        if rule.folder == "sections":
            return self._headings(rule, reading)
        if rule.category == "decoy":
            return _matches(reading, self._targets.find, rule)
        if rule.folder == "targets":
            return [_place(mention) for mention in reading.mentions if mention.rule.id == rule.id]
        found = _matches(reading, self._attribute(rule.category).find, rule)
        return [(a, b) for a, b in found if rule.case != "upper" or reading.text[a:b].isupper()]

    @staticmethod
    def _headings(rule: Rule, reading: Reading) -> list[_Span]:
        if rule.category == "kind":
            return [(0, len(reading.text))] if reading.kind == rule.value else []
        return [(s.title_start, s.title_end) for s in reading.sections if s.rule == rule.id]

    def _attribute(self, category: str) -> Matcher:
        if category not in self._attributes:
            self._attributes[category] = Matcher(self.rules.category(category), longest=category not in _ALL_STAND)
        return self._attributes[category]

    @staticmethod
    def _alone(rule: Rule, reading: Reading) -> list[_Span]:
        return _matches(reading, Matcher([rule]).find, rule)

    # -- rules that take a cue away ----------------------------------------------------------------------------------

    def _cut(self, rule: Rule, reading: Reading, mention: Mention) -> _Reach:
        """The cues that this rule, the only one of its direction, keeps from the mention."""
        others = [other for other in self.rules.folder("context") if other.direction != rule.direction]
        direction = str(rule.direction)
        if direction not in self._bare:
            self._bare[direction] = Context(others)
        if rule.id not in self._bare:
            self._bare[rule.id] = Context([*others, rule])
        return _reach(self._bare[direction], reading, mention) - _reach(self._bare[rule.id], reading, mention)

    def _left_over(self, rule: Rule, reading: Reading, span: _Span) -> str:
        """The rules whose cues reach the mention although this rule is there to keep them off."""
        if rule.direction not in ("pseudo", "terminate"):
            return ""
        found: dict[str, None] = {}
        for mention in reading.mentions:
            if _place(mention) != span:
                continue
            clean = reading.clean(mention.sentence)
            cut = {(name, *clean.span(start, end)) for name, start, end in self._cut(rule, reading, mention)}
            for cue in mention.cues:
                guarded = rule.direction == "pseudo" and cue.rule.category == rule.category
                if guarded or (cue.rule.id, cue.start, cue.end) in cut:
                    found[cue.rule.id] = None
        return ", ".join(found)

    # -- what stands there instead -----------------------------------------------------------------------------------

    def _instead(self, rule: Rule, reading: Reading, start: int, end: int) -> str:
        """What was found at the marked span, as the end of a sentence; empty when nothing was."""
        text = reading.text
        if rule.folder == "sections":
            if rule.category == "kind":
                return f"; the kind is {reading.kind}" if reading.kind else ""
            near = [(s.title_start, s.title_end, str(s.rule)) for s in reading.sections]
        elif rule.folder == "attributes":
            near = _named(reading, self._attribute(rule.category).find)
        else:
            near = _named(reading, self._targets.find)
        there = [f"'{text[a:b]}' by {name}" for a, b, name in near if a < end and start < b]
        if rule.folder == "context":
            exact = [mention for mention in reading.mentions if _place(mention) == (start, end)]
            if exact:
                cues = ", ".join(dict.fromkeys(cue.rule.id for cue in exact[0].cues)) or "none"
                return f"; cues that reach it: {cues}"
        return f"; found there: {', '.join(there)}" if there else ""


def _place(mention: Mention) -> _Span:
    return mention.start, mention.end


def _named(reading: Reading, find: Callable[[Clean], list[Match]]) -> list[tuple[int, int, str]]:
    """The matches of all sentences, as spans of the text with the rule's id."""
    found = []
    for number in range(len(reading.layout.sentences)):
        clean = reading.clean(number)
        found += [(*clean.span(match.start, match.end), match.rule.id) for match in find(clean)]
    return found


def _matches(reading: Reading, find: Callable[[Clean], list[Match]], rule: Rule) -> list[_Span]:
    return [(start, end) for start, end, name in _named(reading, find) if name == rule.id]


def _reach(context: Context, reading: Reading, mention: Mention) -> _Reach:
    """The cues of the mention's own sentence that reach it under `context`, as rule id and clean offsets."""
    mates = [other for other in reading.mentions if other.sentence == mention.sentence]
    targets = [(mate.clean_start, mate.clean_end) for mate in mates]
    scopes = context.scopes(reading.clean(mention.sentence), targets)
    edges = context.edges(scopes, targets)[mates.index(mention)]
    return {(scope.match.rule.id, scope.match.start, scope.match.end) for scope in edges}
