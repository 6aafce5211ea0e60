"""Which found mention answers which gold mention: the same condition, overlapping spans, one to one, as many as can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Mention(Protocol):
    """What matching needs of a mention, gold or found."""

    @property
    def condition(self) -> str: ...
    @property
    def assertion(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def overlap(one: Mention, other: Mention) -> int:
    """How many characters two mentions of one note share; 0 for neighbours that only touch."""
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def match(gold: Sequence[Mention], got: Sequence[Mention], assertion: bool = False) -> list[tuple[int, int]]:
    """Pairs of indexes (gold, got), each index in at most one pair, in gold order.

    No other pairing has more pairs (augmenting paths, Kuhn's algorithm); of the candidates of one mention the longest
    overlap is tried first. `assertion=True`: the assertions must be the same too.
    """
    candidates = [
        sorted(
            (
                j
                for j, other in enumerate(got)
                if one.condition == other.condition
                and overlap(one, other)
                and not (assertion and one.assertion != other.assertion)
            ),
            key=lambda j: (-overlap(one, got[j]), got[j].start, j),  # noqa: B023 (used at once)
        )
        for one in gold
    ]
    taken: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j in candidates[i]:
            if j not in tried:
                tried.add(j)
                if j not in taken or place(taken[j], tried):
                    taken[j] = i
                    return True
        return False

    for i in range(len(gold)):
        place(i, set())
    return sorted((i, j) for j, i in taken.items())
