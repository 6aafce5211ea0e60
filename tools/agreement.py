"""How far two annotations of the same notes agree: shares, F1 of mentions, Cohen's kappa.

    python tools/agreement.py A.jsonl B.jsonl

Rows are gold rows (corpora/README.md), paired by `id`; the note itself is not needed. What each line counts:

- code set: notes whose set of codes is the same; kappa of code / no code; kappa of single codes, pooled over every pair
  of a note and a code that either annotator used in any note;
- mentions: same condition and overlapping spans, paired one to one, as many pairs as there can be; the assertion on the pairs;
- condition present: each condition in each note, by its attributes (null: the note as a whole does not have it);
- attributes: where both have the condition; levels as a set, the rest to the letter, "not documented" being a value;
- review: note by note.

Kappa is not defined where chance agreement is 1 (both always say the same one thing); it is then shown as "-".
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

from parsnlp.evaluation.compare import ATTRIBUTES, CONDITIONS, match
from parsnlp.evaluation.gold import GoldMention

Row = dict[str, Any]
Pair = tuple[Hashable, Hashable]


def kappa(pairs: Sequence[Pair]) -> float | None:
    """Cohen's kappa of two raters' labels; None where it is not defined.

    >>> kappa([(1, 1), (1, 1), (0, 0), (0, 1)])
    0.5
    """
    n = len(pairs)
    if not n:
        return None
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[label] * second[label] for label in first)  # times n², so that whole numbers decide on 1
    if chance == n * n:
        return None
    observed = sum(a == b for a, b in pairs)
    return (observed * n - chance) / (n * n - chance)


def mentions(row: Row) -> list[GoldMention]:
    return [GoldMention.model_validate(mention) for mention in row["mentions"]]


def attribute(row: Row, condition: str, name: str) -> Hashable:
    """An attribute of a condition as something to compare; None: not documented."""
    value = row["attributes"][condition].get(name)
    if name == "levels":
        return frozenset(value or ())
    return str(value).casefold().replace("_", " ") if value else None


def present(row: Row, condition: str) -> bool:
    return bool((row.get("attributes") or {}).get(condition))


def agreement(first: dict[str, Row], second: dict[str, Row]) -> list[tuple[str, str, float | None]]:
    """Lines of (item, agreement, kappa or None) over the notes that both have."""
    notes = [(first[name], second[name]) for name in first if name in second]
    lines: list[tuple[str, str, float | None]] = []

    def add(item: str, pairs: Iterable[Pair]) -> None:
        of = list(pairs)
        lines.append((item, f"{sum(a == b for a, b in of)}/{len(of)}", kappa(of)))

    def sets(field: str) -> None:
        lines.append(
            (f"{field}: set exact", f"{sum(set(a[field]) == set(b[field]) for a, b in notes)}/{len(notes)}", None)
        )
        add(f"{field}: code or no code", ((bool(a[field]), bool(b[field])) for a, b in notes))
        used = sorted({code for pair in notes for row in pair for code in row[field]})
        add(f"{field}: single codes, note x code", ((c in a[field], c in b[field]) for a, b in notes for c in used))

    sets("codes")
    sets("strict_codes")
    matched = [(a, b, match(mentions(a), mentions(b))) for a, b in notes]
    mine, theirs = (sum(len(pair[k]["mentions"]) for pair in notes) for k in (0, 1))
    both = sum(len(pairs) for *_, pairs in matched)
    f1 = 2 * both / (mine + theirs) if mine + theirs else 0.0
    lines.append(("mentions", f"{mine} and {theirs}, {both} matched, F1 {f1:.3f}", None))
    add(
        "assertion on matched mentions",
        ((a["mentions"][i]["assertion"], b["mentions"][j]["assertion"]) for a, b, pairs in matched for i, j in pairs),
    )
    add("condition present, note x condition", ((present(a, c), present(b, c)) for a, b in notes for c in CONDITIONS))
    shared = [(a, b, c) for a, b in notes for c in CONDITIONS if present(a, c) and present(b, c)]
    for name in ATTRIBUTES:
        having = [(a, b, c) for a, b, c in shared if name in a["attributes"][c] or name in b["attributes"][c]]
        add(name, ((attribute(a, c, name), attribute(b, c, name)) for a, b, c in having))
    add("review", ((bool(a["review"]), bool(b["review"])) for a, b in notes))
    return lines


def read(path: Path) -> dict[str, Row]:
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return {row["id"]: row for row in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description="Agreement of two annotations of the same notes.")
    parser.add_argument("first", type=Path, metavar="A.jsonl")
    parser.add_argument("second", type=Path, metavar="B.jsonl")
    given = parser.parse_args()
    first, second = read(given.first), read(given.second)
    alone = first.keys() ^ second.keys()
    if alone:
        print(f"not in both, left out: {len(alone)} notes", file=sys.stderr)
    print(f"{'notes in both':42} {len(first.keys() & second.keys())}")
    for item, share, k in agreement(first, second):
        print(f"{item:42} {share:42} {'-' if k is None else f'kappa {k:.3f}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
