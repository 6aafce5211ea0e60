"""Rules matched on the clean text of one sentence: the only place where patterns run.

A rule is tried only where one of its required literals stands (`Rule.literals`), so most of the rules cost nothing on most
sentences. Which rules can match in a sentence is found once, for all rules together (`Index`), however many matchers ask.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from parsnlp.errors import RuleError
from parsnlp.note import Clean
from parsnlp.rules import Rule


class Match(NamedTuple):
    """One rule's match: `start`, `end` are offsets into the clean text that was searched."""

    rule: Rule
    start: int
    end: int
    text: str
    groups: tuple[tuple[str, str], ...] = ()

    def group(self, *names: str) -> str | None:
        """The text of the first of the named groups that took part in the match."""
        for name, value in self.groups:
            if name in names:
                return value
        return None


_RARITY = " etaoinsrhldcumfpgwybvkxjqz"  # the commonest first; what is no letter counts less than a space

_Filed = tuple[str, tuple[str, ...]]


class Index:
    """Tells which of its rules can match in a text, by their required literals."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.id: rule for rule in rules}

    def holds(self, rule: Rule) -> bool:
        """Whether the index answers for `rule`: it knows it, and every match of it must hold a literal."""
        return self._rules.get(rule.id) is rule and bool(rule.literals)

    @cached_property
    def _table(self) -> tuple[frozenset[str], dict[str, list[_Filed]], list[_Filed]]:
        """Each literal with its rules' ids, filed under its rarest three letters: it is looked for only where they stand.

        Literals of one or two letters come apart: they are looked for everywhere.
        """
        by_literal: dict[str, list[str]] = {}
        for rule in filter(self.holds, self._rules.values()):
            for literal in rule.literals:
                by_literal.setdefault(literal, []).append(rule.id)
        filed: dict[str, list[_Filed]] = {}
        short: list[_Filed] = []
        for literal, names in by_literal.items():
            if len(literal) < 3:
                short.append((literal, tuple(names)))
                continue
            rarest = max(_grams(literal), key=lambda gram: (sum(map(_RARITY.find, gram)), gram))
            filed.setdefault(rarest, []).append((literal, tuple(names)))
        return frozenset(filed), filed, short

    def due(self, text: str) -> frozenset[str]:
        """The ids of the rules that can match in clean `text`."""
        grams, filed, short = self._table
        names: list[str] = []
        for literal, owners in short:
            if literal in text:
                names += owners
        for gram in grams.intersection(_grams(text)):
            for literal, owners in filed[gram]:
                if literal in text:
                    names += owners
        return frozenset(names)


def _grams(text: str) -> list[str]:
    return [text[i : i + 3] for i in range(len(text) - 2)]


class Indexed(Clean):
    """A clean sentence that finds out once which rules of an index can match in it."""

    __slots__ = ("_due", "index")

    def __init__(self, source: str, start: int, end: int, index: Index) -> None:
        super().__init__(source, start, end)
        self.index = index
        self._due: frozenset[str] | None = None

    @property
    def due(self) -> frozenset[str]:
        """The ids of the rules that can match here."""
        if self._due is None:
            self._due = self.index.due(self.text)
        return self._due


@dataclass(frozen=True, slots=True)
class _Plan:
    """A matcher's rules as one index sees them: those it answers for by id, and the others."""

    index: Index
    names: frozenset[str]
    by_name: dict[str, Rule]
    others: tuple[Rule, ...]


class Matcher:
    """Finds the matches of a group of rules.

    `longest`: of overlapping matches keep only the longest (the earliest of equals); without it overlaps of different
    categories all stand.
    """

    def __init__(self, rules: Iterable[Rule], longest: bool = True) -> None:
        self.rules = tuple(rules)
        self.longest = longest
        self._own = Index(self.rules)
        self._plan: _Plan | None = None

    def _planned(self, index: Index) -> _Plan:
        """The plan for `index`; a matcher nearly always meets the same one. Two threads may make it at once, alike."""
        plan = self._plan
        if plan is None or plan.index is not index:
            held = {rule.id: rule for rule in self.rules if index.holds(rule)}
            others = tuple(rule for rule in self.rules if rule.id not in held)
            plan = self._plan = _Plan(index, frozenset(held), held, others)
        return plan

    def find(self, source: str | Clean) -> list[Match]:
        """All matches in clean text, in order of place. An `Indexed` text is searched faster."""
        if isinstance(source, Indexed):
            text, plan, due = source.text, self._planned(source.index), source.due
        else:
            text = source if isinstance(source, str) else source.text
            plan, due = self._planned(self._own), self._own.due(text)
        found: list[Match] = []
        for name in plan.names & due:
            _run(plan.by_name[name], text, found)
        for rule in plan.others:
            _run(rule, text, found)
        if len(found) < 2:
            return found
        return (
            prune(found) if self.longest else sorted(found, key=lambda match: (match.start, match.end, match.rule.id))
        )


def _run(rule: Rule, text: str, found: list[Match]) -> None:
    for hit in rule.regex.finditer(text):
        start, end = hit.span()
        if end > start:
            groups = tuple((name, value) for name, value in hit.groupdict().items() if value is not None)
            found.append(Match(rule, start, end, hit.group(), groups))


def prune(matches: Sequence[Match], key: Callable[[Match], object] | None = None) -> list[Match]:
    """Of overlapping matches the longest, of equally long ones the earliest, then the first by rule id.

    `key`: matches compete only with those of the same key.
    """
    if len(matches) < 2:
        return list(matches)
    kept: list[Match] = []
    taken: dict[object, list[tuple[int, int]]] = {}
    for match in sorted(matches, key=lambda match: (match.start - match.end, match.start, match.rule.id)):
        lane = taken.setdefault(key(match) if key else None, [])
        # What is kept in a lane never overlaps, so only the neighbours can be in the way.
        at = bisect(lane, (match.start, match.end))
        if (at and lane[at - 1][1] > match.start) or (at < len(lane) and lane[at][0] < match.end):
            continue
        lane.insert(at, (match.start, match.end))
        kept.append(match)
    kept.sort(key=lambda match: (match.start, match.end))
    return kept


def silence(matches: Sequence[Match], silencers: Sequence[Match]) -> list[Match]:
    """The matches that no silencer at least as long overlaps; the silencers themselves are not among them."""
    if not silencers:
        return list(matches)
    spans = [(match.start, match.end) for match in silencers]
    return [
        match
        for match in matches
        if match not in silencers
        and not any(
            start < match.end and match.start < end and end - start >= match.end - match.start for start, end in spans
        )
    ]


def gate(rules: Iterable[Rule]) -> re.Pattern[str]:
    """One expression that finds every required literal of the rules: where it finds nothing, no rule can match.

    Raises `RuleError` naming every rule whose pattern proves no literal.
    """
    targets = list(rules)
    without = [rule.id for rule in targets if not rule.literals]
    if without:
        raise RuleError(
            [f"rule '{name}': its pattern holds no text that every match has; give it a fixed word" for name in without]
        )
    literals = {literal for rule in targets for literal in rule.literals}
    shortest = sorted(
        {literal for literal in literals if not any(other in literal for other in literals if other != literal)}
    )
    return re.compile("|".join(map(re.escape, shortest)))
