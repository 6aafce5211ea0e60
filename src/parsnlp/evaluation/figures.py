"""The arithmetic of a score: counts, proportions with Wilson intervals, F1 with bootstrap intervals over notes.

Every interval is at 95 %. A figure of nothing (0 of 0) is null, never 0 or 1.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Hashable, Sequence

from pydantic import BaseModel, ConfigDict

Z = 1.959963984540054  # the 97.5 % point of the normal distribution
RESAMPLES = 400
SEED = 4301
_DIGITS = 6
_Counts = tuple[int, int, int]


class Frozen(BaseModel):
    """Base of everything an evaluation is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Proportion(Frozen):
    """`right` of `of`, as `value` in 0..1, with its Wilson 95 % interval `low`..`high`; null when `of` is 0."""

    right: int
    of: int
    value: float | None
    low: float | None
    high: float | None


class F1(Frozen):
    """True positives, false positives, false negatives; precision and recall (Wilson), and F1.

    `low`..`high`: the percentile 95 % bootstrap interval of `f1` over notes. When no note errs it has no width, which
    says nothing of the next note: read the intervals of precision and recall then.
    """

    tp: int
    fp: int
    fn: int
    precision: Proportion
    recall: Proportion
    f1: float | None
    low: float | None
    high: float | None


def proportion(right: int, of: int) -> Proportion:
    """The share with its Wilson score interval.

    >>> share = proportion(8, 10)
    >>> share.value, round(share.low, 3), round(share.high, 3)
    (0.8, 0.49, 0.943)
    """
    if not of:
        return Proportion(right=0, of=0, value=None, low=None, high=None)
    share = right / of
    spread = 1 + Z * Z / of
    centre = (share + Z * Z / (2 * of)) / spread
    half = Z / spread * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    low = 0.0 if right == 0 else max(0.0, centre - half)
    high = 1.0 if right == of else min(1.0, centre + half)
    return Proportion(
        right=right, of=of, value=round(share, _DIGITS), low=round(low, _DIGITS), high=round(high, _DIGITS)
    )


def shown(value: float | None, nothing: str = "–") -> str:
    """Three decimals; what is short of 1 never reads as 1.

    >>> shown(0.99996), shown(1.0), shown(None)
    ('0.999', '1.000', '–')
    """
    if value is None:
        return nothing
    return f"{value:.3f}" if value == 1 or value < 0.9995 else "0.999"


def f1_of(tp: int, fp: int, fn: int) -> float | None:
    """2tp / (2tp + fp + fn): the harmonic mean of precision and recall; null when there is nothing to find or found."""
    of = 2 * tp + fp + fn
    return 2 * tp / of if of else None


class Tally:
    """Counts kept note by note under any key, so that notes can be drawn again for an interval.

    `notes`: how many notes there are. `resamples` falls with a large corpus, where the interval is narrow anyway.
    """

    def __init__(self, notes: int) -> None:
        self.notes = notes
        self.resamples = max(100, min(RESAMPLES, 400_000 // max(notes, 1)))
        self._counts: dict[Hashable, dict[int, _Counts]] = {}
        self._hits: dict[Hashable, tuple[int, int]] = {}
        self._draws: list[array[int]] = []

    def add(self, key: Hashable, note: int, tp: int, fp: int, fn: int) -> None:
        """Add to what note number `note` counts under `key`."""
        of_key = self._counts.setdefault(key, {})
        old = of_key.get(note, (0, 0, 0))
        of_key[note] = (old[0] + tp, old[1] + fp, old[2] + fn)

    def add_sets(self, key: Hashable, note: int, gold: frozenset[str], got: frozenset[str]) -> None:
        """Add two sets: what both hold is right, the rest is too much or missing."""
        self.add(key, note, len(gold & got), len(got - gold), len(gold - got))

    def hit(self, key: Hashable, right: bool, times: int = 1) -> None:
        """Add one trial (or `times`) to the proportion under `key`."""
        hits, of = self._hits.get(key, (0, 0))
        self._hits[key] = (hits + times * right, of + times)

    def proportion(self, key: Hashable) -> Proportion:
        """The proportion of the hits under `key`."""
        return proportion(*self._hits.get(key, (0, 0)))

    def f1(self, key: Hashable) -> F1:
        """The scores of the counts under `key`."""
        of_key = self._counts.get(key, {})
        tp, fp, fn = (sum(counts[i] for counts in of_key.values()) for i in range(3))
        low, high = self._interval(of_key)
        score = f1_of(tp, fp, fn)
        return F1(
            tp=tp,
            fp=fp,
            fn=fn,
            precision=proportion(tp, tp + fp),
            recall=proportion(tp, tp + fn),
            f1=None if score is None else round(score, _DIGITS),
            low=low,
            high=high,
        )

    def names(self, first: str) -> set[str]:
        """The names for which something was counted under a key (`first`, name)."""
        return {key[1] for key in self._counts if isinstance(key, tuple) and key[0] == first}

    def _interval(self, of_key: dict[int, _Counts]) -> tuple[float | None, float | None]:
        """Draw as many notes as there are, with replacement, again and again: the middle 95 % of the F1s."""
        items = [(note, 2 * tp, 2 * tp + fp + fn) for note, (tp, fp, fn) in of_key.items() if tp or fp or fn]
        scores = []
        for draw in self._drawn() if items else ():
            of = sum(draw[note] * weight for note, _, weight in items)
            if of:  # else: no note that counts here was drawn
                scores.append(sum(draw[note] * found for note, found, _ in items) / of)
        if not scores:
            return None, None
        scores.sort()
        return round(quantile(scores, 0.025), _DIGITS), round(quantile(scores, 0.975), _DIGITS)

    def _drawn(self) -> list[array[int]]:
        """For each resample, how often each note was drawn. The seed is fixed and all keys share the draws."""
        if not self._draws:
            chance = random.Random(SEED)
            for _ in range(self.resamples):
                draw = array("i", bytes(4 * self.notes))
                for note in chance.choices(range(self.notes), k=self.notes):
                    draw[note] += 1
                self._draws.append(draw)
        return self._draws


def quantile(ordered: Sequence[float], at: float) -> float:
    """Linear between the two neighbours, as the common default is."""
    place = at * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
