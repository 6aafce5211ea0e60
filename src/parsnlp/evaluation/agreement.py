"""How far two annotations of the same notes agree: shares, Cohen's kappa, F1 of the spans, each with its interval.

Rows are gold rows, paired by `id`; the notes themselves are not needed. A field that either row leaves out is not compared.
Kappa is null where chance agreement is 1: both always say the same one thing. Its interval, like that of F1, is the middle
95 % of a bootstrap over notes, since what is said of one note hangs together.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence

from parsnlp.evaluation.compare import ATTRIBUTES, CONDITIONS, match
from parsnlp.evaluation.figures import F1, RESAMPLES, SEED, Frozen, Proportion, Tally, proportion, quantile, shown
from parsnlp.evaluation.gold import GoldNote
from parsnlp.models import Condition

Pair = tuple[Hashable, Hashable]
_DIGITS = 6


class Agreement(Frozen):
    """One thing that two annotators have said of each note: how often the same, and Cohen's kappa with its interval."""

    item: str
    agreed: Proportion
    kappa: float | None
    low: float | None
    high: float | None


class Agreements(Frozen):
    """Two annotations compared. `notes`: in both. `alone`: ids in one only. F1 takes the first as the standard.

    `spans`: mentions of one condition that overlap; `exact`: that begin and end alike; each paired one to one.
    """

    notes: int
    alone: tuple[str, ...]
    items: tuple[Agreement, ...]
    spans: F1
    exact: F1


def agree(first: Iterable[GoldNote], second: Iterable[GoldNote]) -> Agreements:
    """Compare two annotations of the same notes."""
    ours, theirs = {row.id: row for row in first}, {row.id: row for row in second}
    notes = [(ours[name], theirs[name]) for name in ours if name in theirs]
    spans, exact = _spans(notes)
    return Agreements(
        notes=len(notes),
        alone=tuple(sorted(ours.keys() ^ theirs.keys())),
        items=tuple(_agreement(item, said) for item, said in _items(notes) if any(said)),
        spans=spans,
        exact=exact,
    )


def lines(found: Agreements) -> Iterator[str]:
    """The comparison for a terminal."""
    yield f"{found.notes} notes in both" + (f", {len(found.alone)} in one only, left out" if found.alone else "")
    yield ""
    yield f"{'':34} {'agreed':>12}  {'share':24} kappa"
    for each in found.items:
        agreed = each.agreed
        share = f"{shown(agreed.value)} ({shown(agreed.low)} to {shown(agreed.high)})"
        kappa = "–" if each.kappa is None else f"{each.kappa:.3f} ({shown(each.low)} to {shown(each.high)})"
        yield f"{each.item:34} {f'{agreed.right}/{agreed.of}':>12}  {share:24} {kappa}"
    yield ""
    for name, score in (("mentions, overlapping", found.spans), ("mentions, same span", found.exact)):
        interval = f"({shown(score.low)} to {shown(score.high)})"
        yield f"{name:34} F1 {shown(score.f1)} {interval}: {score.tp} in both, {score.fn} in the first only, {score.fp} in the second only"


def kappa(pairs: Iterable[Pair]) -> float | None:
    """Cohen's kappa of two raters' labels; None where it is not defined.

    >>> kappa([(1, 1), (1, 1), (0, 0), (0, 1)])
    0.5
    """
    return _kappa(Counter(pairs))


def _kappa(counts: Counter[Pair]) -> float | None:
    n = sum(counts.values())
    first: Counter[Hashable] = Counter()
    second: Counter[Hashable] = Counter()
    for (one, other), times in counts.items():
        first[one] += times
        second[other] += times
    chance = sum(first[label] * second[label] for label in first)  # times n², so that whole numbers decide on 1
    if chance == n * n:
        return None
    observed = sum(times for (one, other), times in counts.items() if one == other)
    return (observed * n - chance) / (n * n - chance)


def _agreement(item: str, said: Sequence[Counter[Pair]]) -> Agreement:
    """`said`: by note, what the two annotators have said, as pairs with how often."""
    pooled = sum(said, Counter[Pair]())
    value = _kappa(pooled)
    scores: list[float] = []
    chance = random.Random(SEED)
    for _ in range(RESAMPLES if value is not None else 0):
        drawn: Counter[Pair] = Counter()
        for counts in chance.choices(said, k=len(said)):
            drawn.update(counts)
        score = _kappa(drawn)
        if score is not None:
            scores.append(score)
    scores.sort()
    low, high = (round(quantile(scores, at), _DIGITS) if scores else None for at in (0.025, 0.975))
    same = sum(times for (one, other), times in pooled.items() if one == other)
    return Agreement(
        item=item,
        agreed=proportion(same, pooled.total()),
        kappa=None if value is None else round(value, _DIGITS),
        low=low,
        high=high,
    )


_Notes = Sequence[tuple[GoldNote, GoldNote]]
_Said = list[Counter[Pair]]


def _items(notes: _Notes) -> Iterator[tuple[str, _Said]]:
    for field in ("codes", "strict_codes"):
        sets = [(_codes(one, field), _codes(other, field)) for one, other in notes]
        used = sorted({code for pair in sets for codes in pair if codes for code in codes})
        known = [(one, other) for one, other in sets if one is not None and other is not None]
        name = "codes" if field == "codes" else "strict codes"
        yield f"{name}: the same set", [Counter([(one, other)]) for one, other in known]
        yield f"{name}: code or no code", [Counter([(bool(one), bool(other))]) for one, other in known]
        yield (
            f"{name}: each code of each note",
            [Counter((code in one, code in other) for code in used) for one, other in known],
        )
    yield "assertion of matched mentions", [Counter(_assertions(one, other)) for one, other in notes]
    judged = [(one, other) for one, other in notes if one.attributes is not None and other.attributes is not None]
    yield (
        "condition present",
        [Counter((_has(one, name), _has(other, name)) for name in CONDITIONS) for one, other in judged],
    )
    for attribute in ATTRIBUTES:
        yield f"{attribute}, where both have it", [Counter(_attributes(one, other, attribute)) for one, other in judged]
    reviewed = [(one.review, other.review) for one, other in notes if None not in (one.review, other.review)]
    yield "review", [Counter([pair]) for pair in reviewed]


def _codes(row: GoldNote, field: str) -> frozenset[str] | None:
    codes = getattr(row, field)
    return None if codes is None else frozenset(codes)


def _assertions(one: GoldNote, other: GoldNote) -> Iterator[Pair]:
    first, second = one.mentions or (), other.mentions or ()
    for i, j in match(first, second):
        yield first[i].assertion, second[j].assertion


def _has(row: GoldNote, condition: Condition) -> bool:
    return bool((row.attributes or {}).get(condition))


def _attributes(one: GoldNote, other: GoldNote, name: str) -> Iterator[Pair]:
    """The attribute in both rows, for each condition that both have and one of them states it of."""
    for condition in CONDITIONS:
        mine, yours = ((row.attributes or {}).get(condition) for row in (one, other))
        if mine and yours and name in mine.model_fields_set | yours.model_fields_set:
            yield _plain(getattr(mine, name)), _plain(getattr(yours, name))


def _plain(value: str | Sequence[str] | None) -> Hashable:
    if value is None or isinstance(value, str):
        return value.casefold().replace("_", " ") if value else None
    return frozenset(value) or None


def _spans(notes: _Notes) -> tuple[F1, F1]:
    tally = Tally(len(notes))
    for number, (one, other) in enumerate(notes):
        if one.mentions is None or other.mentions is None:
            continue
        both = len(match(one.mentions, other.mentions))
        tally.add("spans", number, both, len(other.mentions) - both, len(one.mentions) - both)
        places = [
            Counter((each.condition, each.document, each.start, each.end) for each in row.mentions or ())
            for row in (one, other)
        ]
        same = sum((places[0] & places[1]).values())
        tally.add("exact", number, same, len(other.mentions) - same, len(one.mentions) - same)
    return tally.f1("spans"), tally.f1("exact")
