"""What "the same" means: mentions, code sets, conditions, attributes of a gold row and of a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, get_args

from parsnlp.evaluation.gold import GoldEdit, GoldNote, GoldService
from parsnlp.models import Condition, Edit, NoteCondition, Result, Service

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
ATTRIBUTES = ("levels", "laterality", "chronicity", "grade", "etiology", "direction")
QUERY_KINDS = frozenset(
    {
        "site_missing",
        "laterality_missing",
        "chronicity_missing",
        "congenital_vs_acquired",
        "level_not_in_assessment",
        "lysis_slip_collapsed",
        "historical_status",
        "uncertain_wording",
    }
)  # what gold rows list (P-X4); a query of another kind is not held against the extractor
_NO_CARE = frozenset({"operative", "discharge"})


class Scored(NamedTuple):
    """A gold row and what the extractor said of its note: `result` under `separate`, `strict` under `strict`.

    `audited`, `corrected`: the edits that the row's claim, and its mended claim, hit.
    """

    gold: GoldNote
    result: Result
    strict: Result | None = None
    audited: tuple[Edit, ...] | None = None
    corrected: tuple[Edit, ...] | None = None


class Mention(Protocol):
    """What matching needs of a mention, gold or found."""

    @property
    def condition(self) -> Condition | None: ...
    @property
    def assertion(self) -> str: ...
    @property
    def document(self) -> str | None: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def overlap(one: Mention, other: Mention) -> int:
    """How many characters two mentions of one note share; 0 for neighbours that only touch."""
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def match(gold: Sequence[Mention], got: Sequence[Mention], assertion: bool = False) -> list[tuple[int, int]]:
    """Pairs of indexes (gold, got) of the same condition and document and overlapping spans, each index in one pair at most.

    No other pairing has more pairs (augmenting paths, Kuhn's algorithm); of the candidates of one mention the longest
    overlap is tried first. `assertion=True`: the assertions must be the same too.
    """

    def candidates(one: Mention) -> list[int]:
        fitting = (
            j
            for j, other in enumerate(got)
            if one.condition in (None, other.condition)
            and one.document in (None, other.document)
            and overlap(one, other)
            and not (assertion and one.assertion != other.assertion)
        )
        return sorted(fitting, key=lambda j: (-overlap(one, got[j]), got[j].start, j))

    open_to = [candidates(one) for one in gold]
    taken: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j in open_to[i]:
            if j not in tried:
                tried.add(j)
                if j not in taken or place(taken[j], tried):
                    taken[j] = i
                    return True
        return False

    for i in range(len(gold)):
        place(i, set())
    return sorted((i, j) for j, i in taken.items())


def code_set(result: Result) -> frozenset[str]:
    """The codes of a result, suggested or for review."""
    return frozenset(code.code for code in result.codes)


def positive(result: Result) -> dict[Condition, NoteCondition]:
    """The conditions that the note as a whole has: affirmed, or uncertain and coded (P-A10)."""
    coded = {code.condition for code in result.codes}
    return {
        item.condition: item for item in result.conditions if item.assertion == "affirmed" or item.condition in coded
    }


def match_edits(gold: Sequence[GoldEdit], got: Sequence[Edit]) -> tuple[list[GoldEdit], list[Edit]]:
    """The gold edits that were not raised, and the edits raised beyond them: same kind, and the gold code among the codes.

    One edit raised twice, for a claim's code and for the same code typed in a note, may stand twice in gold or once.
    """
    missed = [edit for edit in gold if not any(edit.kind == one.kind and edit.code in one.codes for one in got)]
    spurious = [one for one in got if not any(edit.kind == one.kind and edit.code in one.codes for edit in gold)]
    return missed, spurious


def service_name(service: GoldService | Service) -> str:
    """What makes two services the same for a score: "MRI imaging ordered"."""
    return " ".join(filter(None, (service.modality, service.kind, service.status)))


def scored_for_care(gold: GoldNote) -> bool:
    """Conservative care is scored where it matters: an M43 or Q76.2 code, and no operative or discharge note."""
    return gold.kind not in _NO_CARE and any(code.startswith("M43") or code == "Q76.2" for code in gold.codes or ())


def same(attribute: str, gold: str | Sequence[str] | None, got: str | Sequence[str] | None) -> bool:
    """Levels as exact sets; the rest to the letter, but for letter case and blanks. No value is a value here."""
    if attribute == "levels":
        return frozenset(gold or ()) == frozenset(got or ())
    return _plain(gold) == _plain(got)


def _plain(value: str | Sequence[str] | None) -> str | None:
    return " ".join(str(value).casefold().split()) if value else None
