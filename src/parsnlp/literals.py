"""What texts a regular expression needs: derived from the parsed expression, so that it is tried only where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

EDGE = "\x02"
"""In a required text: the border of a word, where a match begins or ends."""

_FIRST = 0xE000  # of the characters that stand for pieces
_MOST = 80
_ANY = frozenset({""})
_Texts = frozenset[str]


class Pieces:
    """The named pieces that patterns are made of, each proved once however many patterns use it.

    A pattern's *shape* holds one character of a private range in place of each piece. `common`: words that tell little
    of a note, each between spaces.
    """

    def __init__(self) -> None:
        self._shapes: list[str] = []
        self._signs: dict[str, str] = {}
        self._few, self._rare = _Prover(_fewest, self), _Prover(_rarest, self)
        self.common = ""

    def __getstate__(self) -> dict[str, Any]:
        return {"shapes": self._shapes, "signs": self._signs, "common": self.common}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._shapes, self._signs, self.common = state["shapes"], state["signs"], state["common"]
        self._few, self._rare = _Prover(_fewest, self), _Prover(_rarest, self)

    def add(self, name: str, shape: str) -> None:
        """Name a piece. What was made with an earlier piece of the name keeps that."""
        self._signs[name] = chr(_FIRST + len(self._shapes))
        self._shapes.append(shape)

    def sign(self, name: str) -> str | None:
        """The character that stands for a piece in a shape; None for a name that is not known."""
        return self._signs.get(name)

    def shape(self, sign: int) -> str | None:
        """The shape of the piece that a character stands for; None for any other character."""
        return self._shapes[sign - _FIRST] if _FIRST <= sign < _FIRST + len(self._shapes) else None

    def pattern(self, shape: str) -> str:
        """The regular expression that a shape is, its pieces filled in."""
        return "".join(
            char if (piece := self.shape(ord(char))) is None else f"(?:{self.pattern(piece)})" for char in shape
        )

    def anchors(self, shape: str) -> _Texts:
        """Few texts of which every match holds at least one; empty when the expression proves none.

        In a sequence the most telling part wins, of an alternation all branches are needed.

        >>> sorted(Pieces().anchors("pars (?:interarticularis )?(?:defect|fracture)s?"))
        ['pars ']
        """
        return _least(self._few.sequence(parse(shape)).best)

    def required(self, shape: str) -> _Texts:
        """Rare texts of which every match, as whole words, holds at least one; empty when the expression proves none.

        `EDGE` in a text stands for the border of a word, where the match begins or ends.

        >>> sorted(text.replace(EDGE, "|") for text in Pieces().required("ct|mri"))
        ['|ct|', '|mri|']
        """
        return _least(self._rare.joined(self._rare.sequence(parse(shape), _BORDER), _BORDER).best)

    def first_letters(self, shape: str) -> _Texts:
        """The characters that a match can begin with; empty when that is not known."""
        proof = self._few.sequence(parse(shape))
        return frozenset() if proof.empty or "" in proof.begin else frozenset(text[0] for text in proof.begin)


@lru_cache(maxsize=4096)  # a shape is parsed when it is read, and again for its proofs
def parse(shape: str) -> Any:
    """The parsed expression. Raises `re.error`."""
    import importlib
    import sys

    # The parser moved into the re package with Python 3.11.
    return importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse").parse(shape)


def _least(texts: _Texts | None) -> _Texts:
    """The texts without those that hold another of them."""
    found = {_EDGE_OF_NOTHING.sub("", text) for text in texts or ()}
    return frozenset(text for text in found if not any(part in text for part in found if part != text))


# --- how telling a text is ------------------------------------------------------------------------------------------

_EDGE_OF_NOTHING = re.compile(f"^{EDGE}(?![a-z0-9])|(?<![a-z0-9]){EDGE}$")
_SHARE = 0.08  # of a note's characters, that one letter is, roughly


@lru_cache(maxsize=50_000)
def _told(text: str, common: str) -> int:
    """How much a text tells of a note: its letters, a third of them in common words, and the borders of words."""
    bare = text.strip(EDGE)
    if bare in common:
        return len(bare.strip()) // 3 + len(text) - len(bare)
    words = bare.split()
    return sum(len(word) // (3 if f" {word} " in common else 1) for word in words) + len(text) - len(bare)


@lru_cache(maxsize=50_000)
def _rarest(texts: _Texts, common: str) -> tuple[float, ...]:
    """The more the least telling text tells (four letters are enough) and the rarer all are, the less."""
    told = [_told(text, common) for text in texts]
    return -min(4, min(told)), sum(_SHARE**letters for letters in sorted(told)) + 2e-6 * len(texts)


@lru_cache(maxsize=50_000)
def _fewest(texts: _Texts, common: str) -> tuple[float, ...]:
    """As `_rarest`, but of sets that tell as much the smaller one is less."""
    told, rate = _rarest(texts, common)
    return told, len(texts), rate


# --- the proof ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is known of the texts that an expression matches: all of them, if few (`all`), and how they begin and end.

    `best`: texts of which each match holds at least one. `empty`: it may match nothing; `begin` and `end` are then those
    of the matches that are something.
    """

    all: _Texts | None = None
    begin: _Texts = _ANY
    end: _Texts = _ANY
    best: _Texts | None = None
    empty: bool = False


_SOMETHING = _Proof()
_NOTHING = _Proof(empty=True)
_EMPTY = _Proof(_ANY, empty=True)
_BORDER = _Proof(*[frozenset({EDGE})] * 3)  # type: ignore[arg-type]


class _Prover:
    """Proves from parsed expressions; of required texts the set of least `cost` is kept."""

    def __init__(self, cost: Callable[[_Texts, str], tuple[float, ...]], pieces: Pieces) -> None:
        self._cost = cost
        self._pieces = pieces
        self._proofs: dict[tuple[str, bool], _Proof] = {}

    def sequence(self, items: Any, start: _Proof = _EMPTY) -> _Proof:
        """What is known of the texts of a parsed sequence that stands after `start`."""
        known, before = start, _EMPTY
        seen: _Texts | None = None  # what lookarounds need to stand in or beside the match
        word = ""
        for op, arg in [*items, ("AT", None)]:
            name = str(op)
            piece = self._pieces.shape(arg) if name == "LITERAL" else None
            if name == "LITERAL" and piece is None:
                word += chr(arg)
                continue
            if word:
                known, word = self.joined(known, self._exactly({word})), ""
            if piece is not None:
                first = known is start
                known = self._piece(piece, known) if first else self.joined(known, self._piece(piece, _EMPTY))
            elif name == "ASSERT":
                around = self.sequence(arg[1])
                if arg[0] > 0:
                    seen = self._better(seen, self.joined(known, around).best)
                elif known is start:
                    before, known, start = around, _EMPTY, _EMPTY
            elif name == "SUBPATTERN" and not arg[1]:
                first = known is start
                known = self.sequence(arg[3], known) if first else self.joined(known, self.sequence(arg[3]))
            elif name == "BRANCH":
                first = known is start
                known = self._either(arg[1], known) if first else self.joined(known, self._either(arg[1], _EMPTY))
            elif name not in ("AT", "ASSERT_NOT"):
                known = self.joined(known, self._item(name, arg))
        if before is not _EMPTY:
            seen = self._better(seen, self.joined(before, known).best)
        return replace(known, best=self._better(known.best, seen)) if seen else known

    def _piece(self, shape: str, start: _Proof) -> _Proof:
        """What is known of the texts of a named piece that stands after `start`: nothing, or the border of a word."""
        key = (shape, start is _BORDER)
        if start is not _BORDER and start is not _EMPTY:
            return self.sequence(parse(shape), start)
        if key not in self._proofs:
            self._proofs[key] = self.sequence(parse(shape), start)
        return self._proofs[key]

    def joined(self, left: _Proof, right: _Proof) -> _Proof:
        """What is known of a match of one expression followed by a match of another."""
        if left.all is not None and right.all is not None and (texts := _product(left.all, right.all)) is not None:
            return replace(self._exactly(texts), best=self._better(self._better(left.best, right.best), texts))
        begin = left.begin | right.begin if left.empty else left.begin
        end = left.end | right.end if right.empty else right.end
        if left.all is not None and not right.empty:
            begin = _first((_product(left.all, _cut(right.begin, size)) for size in _SIZES), begin)
        if right.all is not None and not left.empty:
            end = _first((_product(_cut(left.end, -size), right.all) for size in _SIZES), end)
        best = self._better(left.best, right.best)
        if not left.empty and not right.empty:
            for before, after in ((99, 99), (1, 99), (99, 1)):
                best = self._better(best, _product(_cut(left.end, -before), _cut(right.begin, after)))
        return _Proof(None, _few(begin, 1), _few(end, -1), best, left.empty and right.empty)

    def _exactly(self, texts: Iterable[str]) -> _Proof:
        known = frozenset(texts)
        some = known - _ANY or _ANY
        return _Proof(known, some, some, self._better(None, known), "" in known)

    def _better(self, one: _Texts | None, other: _Texts | None) -> _Texts | None:
        if not other or not all(text.strip(EDGE) for text in other):
            return one
        return min(one, other, key=lambda texts: self._cost(texts, self._pieces.common)) if one else other

    def _either(self, sequences: Any, start: _Proof) -> _Proof:
        """What is known of the texts of one of several sequences that stand after `start`."""
        branches = [self.sequence(branch, start) for branch in sequences]
        every = [branch.all for branch in branches if branch.all is not None]
        bests = [branch.best for branch in branches if branch.best]
        full = [branch for branch in branches if branch.all != _ANY]  # the others match nothing and only that
        whole = _Texts().union(*every)
        return _Proof(
            whole if len(every) == len(branches) and len(whole) <= _MOST else None,
            _few(_Texts().union(*(branch.begin for branch in full)) or _ANY, 1),
            _few(_Texts().union(*(branch.end for branch in full)) or _ANY, -1),
            _Texts().union(*bests) if len(bests) == len(branches) else None,
            any(branch.empty for branch in branches),
        )

    def _item(self, name: str, arg: Any) -> _Proof:
        """What is known of one item's match."""
        if name == "IN" and len(arg) <= 6 and all(str(op) == "LITERAL" for op, _ in arg):
            return self._exactly(chr(code) for _, code in arg)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = arg[0], arg[1], self.sequence(arg[2])
            if (least, most) == (0, 1) and inner.all is not None and len(inner.all) < _MOST:
                return _Proof(inner.all | _ANY, inner.begin, inner.end, empty=True)
            if least >= 1:
                return _Proof(None, inner.begin, inner.end, inner.best, inner.empty)
            return _Proof(None, inner.begin, inner.end, empty=True)
        return _SOMETHING if name in ("IN", "ANY", "NOT_LITERAL", "CATEGORY") else _NOTHING


NO_PIECES = Pieces()
_SIZES = (99, 2, 1)
"""Of too many texts only so many of their first or last letters are held against each other."""


def _product(left: _Texts, right: _Texts) -> _Texts | None:
    return frozenset(a + b for a in left for b in right) if len(left) * len(right) <= _MOST else None


def _cut(texts: _Texts, size: int) -> _Texts:
    """The texts' first letters, or with a negative size their last ones."""
    return frozenset(text[:size] if size > 0 else text[size:] for text in texts)


def _first(products: Iterable[_Texts | None], otherwise: _Texts) -> _Texts:
    return next((product for product in products if product), otherwise)


def _few(texts: _Texts, side: int) -> _Texts:
    """The texts, of too many only their first letters (`side` 1) or last ones (-1)."""
    return texts if len(texts) <= _MOST else _cut(texts, side)
