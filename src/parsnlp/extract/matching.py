"""Rules matched on the clean text of one sentence: the only place where patterns run.

A wording is tried only where one of its required literals stands (`Wording.literals`), so most of them cost nothing on
most sentences. Which can match in which sentence is found once, for all together (`Index`), however many matchers ask.
"""

from __future__ import annotations

import re
import warnings
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any, NamedTuple

from parsnlp.errors import RuleError
from parsnlp.note import Clean
from parsnlp.rules import Rule, Wording

if TYPE_CHECKING:
    from numpy import dtype, ndarray, uint32


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


_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_BITS = 17  # of the number of a gram
_PADDING = 5


class Index:
    """Tells which wordings of its rules can match where, by their required literals.

    A literal is compared only where a few letters of it stand that few others share. A word's border counts as a letter,
    so that "ct" is not found in every "fracture".
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.id: rule for rule in rules}

    def holds(self, rule: Rule) -> bool:
        """Whether the index answers for `rule`: it knows it, and every match of it must hold a literal."""
        return self._rules.get(rule.id) is rule and all(wording.literals for wording in rule.wordings)

    @cached_property
    def wordings(self) -> list[tuple[Rule, Wording]]:
        """The wordings it answers for; their places in this list are the numbers that `due` gives."""
        return [(rule, wording) for rule in filter(self.holds, self._rules.values()) for wording in rule.wordings]

    @cached_property
    def _literals(self) -> _Literals:
        owners: dict[str, list[int]] = {}
        for number, (_, wording) in enumerate(self.wordings):
            for literal in wording.literals:
                owners.setdefault(literal, []).append(number)
        return _Literals(owners)

    def due(self, texts: Sequence[str]) -> list[set[int]]:
        """For each clean text the numbers of the wordings that can match in it."""
        literals = self._literals
        found: list[set[int]] = [set() for _ in texts]
        ends = list(accumulate(len(text) + 1 for text in texts))
        whole = "\n".join([*texts, ""])
        classes = literals.classes(whole)
        for size in literals.sizes:
            at_text = 0
            for place, filed in literals.candidates(classes, size):
                while ends[at_text] <= place:
                    at_text += 1
                for word, before, owners in filed:
                    if place >= before and classes.startswith(word, place - before):
                        found[at_text].update(owners)
        for sign, numbers in literals.signs:
            if sign in whole:
                for held, text in zip(found, texts, strict=True):
                    if sign in text:
                        held.update(numbers)
        return found


class _Literals:
    """Literals filed by gram: a few of a text's letter classes in one number. `signs`: those that hold no letter.

    The classes are numbers: 0 for all that is no part of a word, then the letters and digits. A literal of five or more
    is filed under five of its classes, a shorter one under three.
    """

    sizes = (5, 3)

    def __init__(self, owners: Mapping[str, Sequence[int]]) -> None:
        # Here, since a text without an anchor never comes so far; numpy changes its host's warning filters.
        with warnings.catch_warnings():
            import numpy as np

        self._np = np
        self._class_of = np.zeros(129, dtype=np.uint8)
        for number, letter in enumerate(_LETTERS, 1):
            self._class_of[ord(letter)] = number
        self._known = {size: np.zeros(1 << _BITS, dtype=np.bool_) for size in self.sizes}
        self._filed: dict[int, dict[int, list[tuple[bytes, int, tuple[int, ...]]]]] = {size: {} for size in self.sizes}
        self.signs: list[tuple[str, tuple[int, ...]]] = []
        words: dict[bytes, set[int]] = {}
        for literal, numbers in owners.items():
            classes = bytes(_LETTERS.find(letter) + 1 for letter in literal)
            if any(classes):
                words.setdefault(classes, set()).update(numbers)
            else:
                self.signs.append((literal, tuple(numbers)))
        common = Counter(gram for word in words for gram in _grams(word))
        for word, mine in words.items():
            gram = min(_grams(word), key=lambda gram: (common[gram], gram))
            # One of less than three letters stands under every gram that begins with it.
            grams = [bytes((*gram, *more)) for more in product(range(len(_LETTERS) + 1), repeat=max(3 - len(gram), 0))]
            for key in self._keys(b"".join(grams), len(grams[0]))[:: len(grams[0])].tolist():
                self._known[len(grams[0])][key] = True
                self._filed[len(grams[0])].setdefault(key, []).append((word, word.find(gram), tuple(mine)))

    def classes(self, text: str) -> bytes:
        """The class of each of the text's characters, between borders: that of `text[i]` stands at i + 1."""
        np = self._np
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        inner: bytes = self._class_of[np.minimum(codes, 128)].tobytes()
        return b"\0" + inner + b"\0" * _PADDING

    def candidates(self, classes: bytes, size: int) -> Iterator[tuple[int, list[tuple[bytes, int, tuple[int, ...]]]]]:
        """The places of filed grams in the classes, in order, with the literals under each: (literal, gram's place, owners)."""
        keys = self._keys(classes[: len(classes) - _PADDING + size - 2], size)
        places = self._np.flatnonzero(self._known[size][keys])
        return zip(places.tolist(), map(self._filed[size].__getitem__, keys[places].tolist()), strict=True)

    def _keys(self, classes: bytes, size: int) -> ndarray[Any, dtype[uint32]]:
        """A number for the gram at each place; of two grams the numbers may be alike."""
        np = self._np
        letters = np.frombuffer(classes, dtype=np.uint8).astype(np.uint32)
        count = len(letters) - size + 1
        keys = letters[:count]
        for step in range(1, size):
            keys = keys * np.uint32(37) + letters[step : count + step]
        mixed: ndarray[Any, dtype[uint32]] = (keys * np.uint32(0x9E3779B1)) >> np.uint32(32 - _BITS)
        return mixed


def _grams(word: bytes) -> list[bytes]:
    size = 5 if len(word) >= 5 else 3
    return [word[at : at + size] for at in range(len(word) - size + 1)] or [word]


class Indexed(Clean):
    """A clean sentence for which it is known which wordings of an index can match in it (`due`)."""

    __slots__ = ("due", "index")

    def __init__(self, source: str, start: int, end: int, index: Index) -> None:
        super().__init__(source, start, end)
        self.index = index
        self.due: set[int] = set()


def indexed(source: str, spans: Iterable[tuple[int, int]], index: Index) -> list[Indexed]:
    """Clean sentences at their spans of `source`."""
    made = [Indexed(source, start, end, index) for start, end in spans]
    for clean, due in zip(made, index.due([clean.text for clean in made]), strict=True):
        clean.due = due
    return made


@dataclass(frozen=True, slots=True)
class _Plan:
    """A matcher's rules as one index sees them: the wordings it answers for by number, and the other rules'."""

    index: Index
    numbers: frozenset[int]
    others: tuple[tuple[Rule, Wording], ...]


class Matcher:
    """Finds the matches of a group of rules.

    `longest`: of overlapping matches keep only the longest (the earliest of equals); without it overlaps of different
    rules all stand.
    """

    def __init__(self, rules: Iterable[Rule], longest: bool = True) -> None:
        self.rules = tuple(rules)
        self.longest = longest
        self._own = Index(self.rules)
        self._plan: _Plan | None = None

    def planned(self, index: Index) -> _Plan:
        """The plan for `index`; a matcher nearly always meets the same one. Two threads may make it at once, alike."""
        plan = self._plan
        if plan is None or plan.index is not index:
            mine = {rule.id for rule in self.rules if index.holds(rule)}
            numbers = frozenset(number for number, (rule, _) in enumerate(index.wordings) if rule.id in mine)
            others = tuple((rule, wording) for rule in self.rules if rule.id not in mine for wording in rule.wordings)
            plan = self._plan = _Plan(index, numbers, others)
        return plan

    def where(self, index: Index, sources: Sequence[Indexed], first: int = 0) -> list[int]:
        """The places, counted from `first`, of the clean texts of `index` in which it may find something."""
        plan = self.planned(index)
        if plan.others:
            return list(range(first, first + len(sources)))
        apart = plan.numbers.isdisjoint
        return [place for place, source in enumerate(sources, first) if not apart(source.due)]

    def find(self, source: str | Clean) -> list[Match]:
        """All matches in clean text, in order of place. An `Indexed` text is searched faster."""
        if isinstance(source, Indexed):
            text, index, due = source.text, source.index, source.due
        else:
            text, index = source if isinstance(source, str) else source.text, self._own
            (due,) = index.due([text])
        plan = self.planned(index)
        numbers = plan.numbers & due
        if not numbers and not plan.others:
            return []
        found: list[Match] = []
        wordings = index.wordings
        for rule, wording in (*[wordings[number] for number in numbers], *plan.others):
            for hit in wording.regex.finditer(text):
                start, end = hit.span()
                if end > start:
                    named = wording.regex.groupindex and hit.groupdict().items()
                    groups = tuple((name, value) for name, value in named or () if value is not None)
                    found.append(Match(rule, start, end, hit.group(), groups))
        if len(found) < 2:
            return found
        if self.longest:
            return prune(found)
        return sorted(prune(found, _of_rule), key=lambda match: (match.start, match.end, match.rule.id))


def _of_rule(match: Match) -> str:
    return match.rule.id


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


def gate(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Words of which every match of a rule holds at least one, with the spaces around them that it needs.

    Raises `RuleError` naming every rule whose pattern proves none.
    """
    targets = list(rules)
    without = [rule.id for rule in targets if not rule.anchors]
    if without:
        raise RuleError(
            [f"rule '{name}': its pattern holds no text that every match has; give it a fixed word" for name in without]
        )
    # Of several words the longest is enough; white space may be wider in the note.
    texts = {max(re.findall(r" ?[^ ]+ ?", text), key=len) for rule in targets for text in rule.anchors}
    return tuple(sorted(text for text in texts if not any(other in text for other in texts if other != text)))
