"""Scoring a sealed corpus: totals only, and a line in the accuracy log for every scoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from parsnlp import evaluation
from parsnlp.errors import InputError
from parsnlp.evaluation import F1, Evaluation, Proportion
from parsnlp.extractor import Extractor

CHECKOUT = Path(__file__).parents[3]


def default_archive() -> Path:
    """The sealed half of the blind corpus. Raises `InputError` for an installed package, which has none."""
    archive = CHECKOUT / "corpora" / "blind" / "sealed.zip"
    if not archive.is_file():
        raise InputError("the sealed corpus is in the source checkout only; name an archive: evaluate --sealed ARCHIVE")
    return archive


def default_log() -> Path | None:
    """The accuracy log of the checkout; none for an installed package."""
    docs = CHECKOUT / "docs"
    return docs / "accuracy-log.jsonl" if (CHECKOUT / "pyproject.toml").is_file() and docs.is_dir() else None


def score(archive: Path, extractor: Extractor) -> Evaluation:
    """Totals only. The extractor is not told the notes' kinds, as it is not told that of a note on its own."""
    return evaluation.evaluate_file(archive, extractor, sealed=True, infer_kind=True)


def entry(scored: Evaluation) -> dict[str, Any]:
    """A line of the log: what was scored with what, and every total by the name that the summary gives it."""
    return {
        "archive": scored.gold,
        "digest": scored.digest,
        "rule_set": scored.rule_set.hash,
        "engine": scored.engine,
        "notes": scored.notes,
        "kinds": scored.kinds,
        "stress_fracture": scored.policy.stress_fracture,
        "totals": {name: _counts(figure) for name, figure in scored.totals().items()},
    }


def append(log: Path, line: dict[str, Any]) -> None:
    """Add a line to the log, which grows only. Raises `InputError` when it cannot be written."""
    try:
        with log.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise InputError(f"{log}: cannot be written: {error.strerror or type(error).__name__}") from None


def _counts(figure: Proportion | F1) -> dict[str, int | float | None]:
    if isinstance(figure, F1):
        return {"tp": figure.tp, "fp": figure.fp, "fn": figure.fn, "f1": figure.f1}
    return {"right": figure.right, "of": figure.of}
