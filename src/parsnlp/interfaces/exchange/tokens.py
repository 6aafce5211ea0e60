"""A note in spaCy's tokens, cut further where a mention begins or ends inside one, so that every span fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from parsnlp.evaluation.gold import GoldMention

if TYPE_CHECKING:
    from spacy.language import Language


@dataclass(frozen=True, slots=True)
class Token:
    """A token at `start`..`end`, code points. `spaced`: one space that belongs to no token follows it."""

    text: str
    start: int
    end: int
    spaced: bool


@lru_cache(maxsize=1)
def english() -> Language:
    """spaCy's English tokeniser and nothing else."""
    import spacy

    made = spacy.blank("en")
    made.max_length = 10**9  # it bounds what models need; there is none
    return made


def tokenised(text: str, mentions: Sequence[GoldMention]) -> list[Token]:
    """The tokens of the text. Joined, with a space after each that is `spaced`, they are the text again."""
    starts, ends = {mention.start for mention in mentions}, {mention.end for mention in mentions}
    cuts = sorted(starts | ends)
    found: list[Token] = []
    at = 0  # the first cut not yet passed
    for token in english()(text):
        start, end = token.idx, token.idx + len(token.text)
        while at < len(cuts) and cuts[at] <= start:
            at += 1
        while at < len(cuts) and cuts[at] < end:
            found.append(Token(text[start : cuts[at]], start, cuts[at], False))
            start, at = cuts[at], at + 1
        alone = end in starts or end + 1 in ends  # a mention begins or ends with the space
        spaced = bool(token.whitespace_)
        found.append(Token(text[start:end], start, end, spaced and not alone))
        if spaced and alone:
            found.append(Token(text[end], end, end + 1, False))
    return found
