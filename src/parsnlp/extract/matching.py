"""Rules matched on the clean text of one sentence: the only place where patterns run.

A rule is tried only where one of its required literals stands (`Rule.literals`), so most of the rules cost nothing on most
sentences.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from parsnlp.note import Clean, grams
from parsnlp.rules import Rule


@dataclass(frozen=True, slots=True)
class Match:
    """One rule's match: `start`, `end` are offsets into the clean text that was searched."""

    rule: Rule
    start: int
    end: int
    text: str
    groups: tuple[tuple[str, str], ...] = field(default=())

    def group(self, *names: str) -> str | None:
        """The text of the first of the named groups that took part in the match."""
        for name, value in self.groups:
            if name in names:
                return value
        return None


class Matcher:
    """Finds the matches of a group of rules.

    `longest`: of overlapping matches keep only the longest (the earliest of equals); without it overlaps of different
    categories all stand.
    """

    def __init__(self, rules: Iterable[Rule], longest: bool = True) -> None:
        self.rules = tuple(rules)
        self.longest = longest
        self._always = tuple(rule for rule in self.rules if not rule.literals)
        by_literal: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for literal in rule.literals:
                by_literal.setdefault(literal, []).append(rule)
        # A literal is looked for only where its rarest three letters (two, for a literal of two) stand.
        counts = Counter(gram for literal in by_literal for gram in grams(literal))
        index: dict[str, list[tuple[str, tuple[Rule, ...]]]] = {}
        for literal, found in by_literal.items():
            rarest = min(grams(literal), key=lambda gram: (counts[gram], gram))
            index.setdefault(rarest, []).append((literal, tuple(found)))
        self._index = index
        self._keys = frozenset(index)

    def find(self, source: str | Clean) -> list[Match]:
        """All matches in clean text, in order of place. A `Clean` is searched faster, since it keeps its `grams`."""
        text, held = (source, grams(source)) if isinstance(source, str) else (source.text, source.grams)
        due: dict[str, Rule] = {rule.id: rule for rule in self._always}
        for gram in self._keys & held:
            for literal, rules in self._index[gram]:
                if literal in text:
                    for rule in rules:
                        due[rule.id] = rule
        if not due:
            return []
        found = [
            Match(
                rule,
                hit.start(),
                hit.end(),
                hit.group(),
                tuple((name, value) for name, value in hit.groupdict().items() if value is not None)
                if rule.regex.groupindex
                else (),
            )
            for rule in due.values()
            for hit in rule.regex.finditer(text)
            if hit.end() > hit.start()
        ]
        if len(found) < 2:
            return found
        return (
            prune(found) if self.longest else sorted(found, key=lambda match: (match.start, match.end, match.rule.id))
        )


def prune(matches: Sequence[Match], key: Callable[[Match], object] | None = None) -> list[Match]:
    """Of overlapping matches the longest, of equally long ones the earliest, then the first by rule id.

    `key`: matches compete only with those of the same key.
    """
    kept: list[Match] = []
    taken: dict[object, list[tuple[int, int]]] = {}
    for match in sorted(matches, key=lambda match: (match.start - match.end, match.start, match.rule.id)):
        lane = taken.setdefault(key(match) if key else None, [])
        if any(start < match.end and match.start < end for start, end in lane):
            continue
        lane.append((match.start, match.end))
        kept.append(match)
    kept.sort(key=lambda match: (match.start, match.end))
    return kept


def silence(matches: Sequence[Match], silencers: Sequence[Match]) -> list[Match]:
    """The matches that no silencer at least as long overlaps; the silencers themselves are not among them."""
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

    Raises `ValueError` naming a rule whose pattern proves no literal.
    """
    literals: set[str] = set()
    for rule in rules:
        if not rule.literals:
            raise ValueError(f"rule '{rule.id}' has no literal that every match must hold")
        literals |= rule.literals
    shortest = sorted(
        {literal for literal in literals if not any(other in literal for other in literals if other != literal)}
    )
    return re.compile("|".join(map(re.escape, shortest)))
