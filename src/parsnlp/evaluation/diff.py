"""What moves between two rule sets or versions: the notes whose codes differ, and the rules behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import Field, computed_field

from parsnlp.evaluation.figures import Frozen
from parsnlp.models import Finding, Result


class Change(Frozen):
    """One finding that differs. `what`: appeared, vanished, assertion, or site. `rules`: its rules, gone (-) and new (+)."""

    what: str
    condition: str
    document: str
    start: int
    end: int
    text: str = Field(repr=False)
    old: str | None = None
    new: str | None = None
    rules: tuple[str, ...] = ()


class Moved(Frozen):
    """A note whose codes or their status differ. `gold`: the right codes, where they are known.

    `steps`: the policy rules on the codes' trails that only one side has, gone (-) and new (+).
    """

    id: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    gold: tuple[str, ...] | None = None
    changes: tuple[Change, ...] = ()
    steps: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> str | None:
        """Against gold: mended, broken, or the same: as right or as wrong as before; null without gold."""
        if self.gold is None:
            return None
        gold, old, new = set(self.gold), set(_bare(self.old)), set(_bare(self.new))
        return "mended" if new == gold != old else "broken" if old == gold != new else "same against gold"


class Difference(Frozen):
    """Two sides compared. `old`, `new`: engine and rule set of each. `quiet`: notes with other findings, same codes."""

    old: str
    new: str
    notes: int
    missing: tuple[str, ...]
    moved: tuple[Moved, ...]
    quiet: tuple[str, ...]


def diff(old: Iterable[Result], new: Iterable[Result], gold: Mapping[str, tuple[str, ...]] | None = None) -> Difference:
    """Compare results note by note, by their ids. `gold`: the right codes by id, to tell mended from broken."""
    ours, theirs = {item.id: item for item in old}, {item.id: item for item in new}
    moved, quiet = [], []
    for name, one in ours.items():
        other = theirs.get(name)
        if other is None:
            continue
        changes = tuple(_changes(one, other))
        if _codes(one) != _codes(other):
            right = gold.get(name) if gold is not None else None
            steps = _signed(_steps(one), _steps(other))
            moved.append(
                Moved(id=name, old=_codes(one), new=_codes(other), gold=right, changes=changes, steps=tuple(steps))
            )
        elif changes:
            quiet.append(name)
    return Difference(
        old=_side(ours.values()),
        new=_side(theirs.values()),
        notes=len(ours.keys() & theirs.keys()),
        missing=tuple(sorted(ours.keys() ^ theirs.keys())),
        moved=tuple(moved),
        quiet=tuple(quiet),
    )


def lines(difference: Difference, text: bool = True) -> Iterator[str]:
    """The comparison for a terminal; `text=False` leaves the findings' words out."""
    yield f"old: {difference.old}"
    yield f"new: {difference.new}"
    yield ""
    for note in difference.moved:
        verdict = f"   {note.verdict}" if note.verdict else ""
        gold = f"   gold {' '.join(note.gold) or 'none'}" if note.gold is not None else ""
        yield f"{note.id}: {' '.join(note.old) or 'none'} -> {' '.join(note.new) or 'none'}{gold}{verdict}"
        for change in note.changes:
            words = f" “{' '.join(change.text.split())}”" if text else ""
            values = (
                f": {change.old or 'none'} -> {change.new or 'none'}" if change.what in ("assertion", "site") else ""
            )
            place = f"{change.document}:{change.start}-{change.end}"
            rules = f"   {' '.join(change.rules)}" if change.rules else ""
            yield f"  {change.condition} {change.what}{values} at {place}{words}{rules}"
        if note.steps and not note.changes:
            yield f"  policy steps: {' '.join(note.steps)}"
    if difference.moved:
        yield ""
    verdicts = [note.verdict for note in difference.moved if note.verdict]
    counts = [
        f"{verdicts.count(name)} {name}" for name in ("mended", "broken", "same against gold") if name in verdicts
    ]
    told = f" ({', '.join(counts)})" if counts else ""
    yield (
        f"{difference.notes} notes compared: the codes of {len(difference.moved)} moved{told}; "
        f"{len(difference.quiet)} more have other findings and the same codes"
    )
    if difference.missing:
        yield f"{len(difference.missing)} notes are on one side only"


def _side(results: Iterable[Result]) -> str:
    sides = {f"{item.engine}, rule set {item.rule_set.hash} ({item.rule_set.rules} rules)" for item in results}
    return "; ".join(sorted(sides)) or "nothing"


def _codes(result: Result) -> tuple[str, ...]:
    return tuple(code.code + (" (review)" if code.status == "review" else "") for code in result.codes)


def _bare(codes: Iterable[str]) -> list[str]:
    return [code.split()[0] for code in codes]


def _steps(result: Result) -> set[str]:
    return {step.rule for code in result.codes for step in code.trail}


def _signed(old: set[str], new: set[str]) -> list[str]:
    return [f"-{name}" for name in sorted(old - new)] + [f"+{name}" for name in sorted(new - old)]


def _changes(old: Result, new: Result) -> Iterator[Change]:
    def by_place(result: Result) -> dict[tuple[str, int, int], Finding]:
        return {(item.document, item.start, item.end): item for item in result.findings}

    ours, theirs = by_place(old), by_place(new)
    for place in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(place), theirs.get(place)
        shown = other or one
        assert shown is not None
        what, before, after = _what(one, other)
        if what is not None:
            yield Change(
                what=what,
                condition=shown.condition,
                document=shown.document,
                start=shown.start,
                end=shown.end,
                text=shown.text,
                old=before,
                new=after,
                rules=tuple(_signed(_rules(one), _rules(other))),
            )


def _what(one: Finding | None, other: Finding | None) -> tuple[str | None, str | None, str | None]:
    if one is None or other is None:
        return ("appeared" if one is None else "vanished"), None, None
    if (one.condition, one.assertion) != (other.condition, other.assertion):
        return "assertion", one.assertion, other.assertion
    before, after = (", ".join((*item.levels, *item.regions)) for item in (one, other))
    return ("site", before, after) if before != after else (None, None, None)


def _rules(finding: Finding | None) -> set[str]:
    return {finding.rule, *(cue.rule for cue in finding.cues)} if finding is not None else set()
