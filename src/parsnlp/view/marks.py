"""A note's text cut where something is marked in it: what the terminal and the page both show, each in its own way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Generic, TypeVar

from parsnlp.models import Finding

T = TypeVar("T")

# A note's own control and direction characters would drive the terminal, or turn a page's words about; each is shown as
# one harmless character.
_HARMLESS = {
    **{code: 0x2400 + code for code in range(32) if code not in (9, 10)},
    127: 0x2421,
    **dict.fromkeys(
        [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)], 0xFFFD
    ),
}


def harmless(text: str) -> str:
    """The text with whatever could drive what shows it replaced; line ends become plain ones."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_HARMLESS)


def stretches(findings: Iterable[Finding], length: int) -> Iterator[tuple[int, int, Finding | None]]:
    """A document's text from its start to its end as stretches: those of a finding, and those between, which have None.

    `findings`: of one document, in any order; of two that overlap, the first in place has its stretch.
    """
    last = 0
    for finding in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        if finding.start >= last:
            if finding.start > last:
                yield last, finding.start, None
            yield finding.start, finding.end, finding
            last = finding.end
    if last < length:
        yield last, length, None


class Marks(Generic[T]):
    """Stretches of a document that are marked, each with what marks it; they may overlap."""

    def __init__(self, marks: Iterable[tuple[int, int, T]]) -> None:
        self._marks = sorted(marks, key=lambda mark: mark[:2])
        self._starts = [mark[0] for mark in self._marks]
        self._longest = max((end - start for start, end, _ in self._marks), default=0)

    def cut(self, start: int, end: int) -> Iterator[tuple[int, int, list[T]]]:
        """The stretch cut at each mark's start and end: the pieces in their order, each with the marks that hold it."""
        near = self._marks[bisect_left(self._starts, start - self._longest) : bisect_left(self._starts, end)]
        cuts = sorted({start, end, *(place for mark in near for place in mark[:2] if start < place < end)})
        for left, right in pairwise(cuts):
            yield left, right, [mark[2] for mark in near if mark[0] <= left and right <= mark[1]]
