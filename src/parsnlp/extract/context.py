"""ConText, one sentence at a time: which cue reaches which target.

The algorithm is medspaCy's ConText with its two terminator defects mended (a rule with `max_scope` obeys terminators; of
several terminators the nearest counts) and with scopes that never leave the sentence, so its cost is linear in the note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from parsnlp.extract.matching import Match, Matcher, prune, silence
from parsnlp.note import Clean
from parsnlp.rules import Rule

_LANES = frozenset({"known", "family", "generic"})
_WORD = re.compile(r"[^ ]+")
_FIELD = re.compile(r"(?: ?(?::|\||->|=)(?= ))?")  # "R/O: x", "brother | x": what parts a field's name from its value


@dataclass(frozen=True, slots=True)
class Scope:
    """A cue's match and its reach in the clean sentence: `before` and `after` are (start, end) or None.

    `limit`: with `max_scope`, where the last word within it ends; a target must begin before that.
    """

    match: Match
    before: tuple[int, int] | None
    after: tuple[int, int] | None
    limit: int | None = None

    def reaches(self, start: int, end: int) -> bool:
        """Whether a target at clean `start:end` lies in the reach."""
        if self.before is not None and self.before[0] <= start and end <= self.before[1]:
            return True
        if self.after is None or start < self.after[0] or end > self.after[1]:
            return False
        return self.limit is None or start < self.limit


class Context:
    """The context rules, ready to run."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._matcher = Matcher(rules, longest=False)

    def scopes(self, clean: Clean, targets: Sequence[tuple[int, int]]) -> list[Scope]:
        """The cues of a clean sentence with their reach. A cue that overlaps a target is part of it, not a cue."""
        text = clean.text
        hits = self._matcher.find(clean)
        if not hits:
            return []
        covers = [hit for hit in hits if hit.rule.direction == "pseudo"]
        hits = [hit for hit in p_a8(p_a2(hits)) if hit.rule.direction != "pseudo"]
        if targets:
            # A cue that no target lies before or behind, as it looks, is only a place where another's reach may end.
            first, last = targets[0][0], targets[-1][1]
            idle = [hit for hit in hits if not _terminates(hit) and not _looks_at(hit, first, last)]
            hits = [hit for hit in hits if hit not in idle]
        else:
            idle = []
        # Cues compete with cues (the longest wins), but whose condition it is, and whether it is known or taught, are
        # questions of their own; terminators of one category compete among themselves; neither a cue's nor a target's
        # own words end a cue's reach.
        kept = prune(
            hits, key=lambda hit: hit.rule.category if _terminates(hit) or hit.rule.category in _LANES else None
        )
        cues = [hit for hit in kept if not _terminates(hit)]
        stops = [
            hit
            for hit in kept
            if _terminates(hit)
            and not any(cue.start <= hit.start and hit.end <= cue.end for cue in (*cues, *covers))
            and not any(start < hit.end and hit.start < end for start, end in targets)
        ]
        found = []
        for cue in cues:
            into = min((start for start, _ in targets if cue.start < start < cue.end), default=None)
            if into is not None:
                cue = cue._replace(end=into)  # "no acute" before "acute fracture of the lamina"
            if any(start < cue.end and cue.start < end for start, end in targets):
                continue
            if cue.rule.direction == "forward":
                cue = cue._replace(end=_FIELD.match(text, cue.end).end())  # type: ignore[union-attr]
            found.append(self._scope(text, cue, [*stops, *cues, *idle]))
        return found

    @staticmethod
    def _scope(text: str, cue: Match, others: Sequence[Match]) -> Scope:
        names = cue.rule.terminated_by
        stoppers = [other for other in others if other is not cue and other.rule.category in names]
        before = after = limit = None
        if cue.rule.direction in ("forward", "bidirectional"):
            stop = min((other.start for other in stoppers if other.start >= cue.end), default=len(text))
            after = (cue.end, stop)
            limit = _limit(text, cue.end, stop, cue.rule.max_scope)
        if cue.rule.direction in ("backward", "bidirectional"):
            stop = max((other.end for other in stoppers if other.end <= cue.start), default=0)
            before = (_limited_back(text, stop, cue.start, cue.rule.max_scope), cue.start)
        return Scope(cue, before, after, limit)

    @staticmethod
    def edges(scopes: Sequence[Scope], targets: Sequence[tuple[int, int]]) -> list[list[Scope]]:
        """For each target the scopes that reach it, `max_targets` obeyed (the nearest targets win)."""
        reached: list[list[Scope]] = [[] for _ in targets]
        for scope in scopes:
            hit = [i for i, (start, end) in enumerate(targets) if scope.reaches(start, end)]
            limit = scope.match.rule.max_targets
            if limit is not None and len(hit) > limit:
                middle = scope.match
                hit.sort(key=lambda i: max(targets[i][0] - middle.end, middle.start - targets[i][1]))
                hit = hit[:limit]
            for i in hit:
                reached[i].append(scope)
        return reached


def _looks_at(hit: Match, first: int, last: int) -> bool:
    """Whether some target may lie in the cue's direction, the first starting at `first`, the last ending at `last`."""
    if hit.rule.direction == "forward":
        return last >= hit.end
    if hit.rule.direction == "backward":
        return first <= hit.start
    return True


def p_a2(hits: list[Match]) -> list[Match]:
    """P-A2: a pseudo cue ("no progression of", "previously noted") silences the cues that it covers."""
    return _without(hits, [hit for hit in hits if hit.rule.direction == "pseudo" and hit.rule.policy != "P-A8"])


def p_a8(hits: list[Match]) -> list[Match]:
    """P-A8: a cue that stands with a cause, an age or another thing leaves the finding itself certain."""
    return _without(hits, [hit for hit in hits if hit.rule.direction == "pseudo" and hit.rule.policy == "P-A8"])


def _without(hits: list[Match], pseudo: list[Match]) -> list[Match]:
    silenced: set[int] = set()
    for category in {hit.rule.category for hit in pseudo}:
        cues = [hit for hit in hits if hit.rule.category == category]
        left = silence(cues, [hit for hit in pseudo if hit.rule.category == category])
        silenced |= {id(hit) for hit in cues} - {id(hit) for hit in left} - {id(hit) for hit in pseudo}
    return [hit for hit in hits if id(hit) not in silenced]


def _terminates(match: Match) -> bool:
    return match.rule.direction == "terminate"


def _limit(text: str, start: int, stop: int, words: int | None) -> int | None:
    """Where the last of `words` words after `start` ends, or None when all up to `stop` are within."""
    if words is not None:
        for count, word in enumerate(_WORD.finditer(text, start, stop), 1):
            if count == words:
                return word.end()
    return None


def _limited_back(text: str, stop: int, end: int, words: int | None) -> int:
    if words is None:
        return stop
    starts = [word.start() for word in _WORD.finditer(text, stop, end)]
    return starts[-words] if len(starts) > words else stop
