"""Assertion on general sentences: parsnlp beside stock medspaCy, on the same sentences and the same scoring.

    python benchmarks/assertion.py [FILE.jsonl | ARCHIVE.zip ...]

Stock medspaCy: `medspacy.load()` with its own context rules and one target, the literal "spondylolisthesis". Its ConText
has categories for negated, uncertain (POSSIBLE_EXISTENCE), hypothetical, historical and family; where several hold, the
first in that order counts. It has none for generic, so only negation compares like with like.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import parsnlp
from parsnlp.evaluation import gold as golden
from parsnlp.evaluation.gold import GoldNote

CORPORA = Path(__file__).parents[1] / "corpora" / "assertion"
DEFAULT = ("sentences.jsonl", "general.jsonl", "sealed.jsonl.zip")
Reader = Callable[[str], list[tuple[int, int, str]]]


def ours() -> Reader:
    extractor = parsnlp.load()
    return lambda text: [(f.start, f.end, f.assertion) for f in extractor.extract(text).findings]


def stock() -> Reader:
    from loguru import logger

    logger.disable("PyRuSH")
    import medspacy
    from medspacy.ner import TargetRule

    nlp = medspacy.load()
    nlp.get_pipe("medspacy_target_matcher").add([TargetRule("spondylolisthesis", "FINDING")])

    def read(text: str) -> list[tuple[int, int, str]]:
        return [(entity.start_char, entity.end_char, _assertion(entity)) for entity in nlp(text).ents]

    return read


def _assertion(entity: Any) -> str:
    for name, value in (
        ("is_negated", "negated"),
        ("is_hypothetical", "hypothetical"),
        ("is_family", "family"),
        ("is_historical", "historical"),
        ("is_uncertain", "uncertain"),
    ):
        if getattr(entity._, name):
            return value
    return "affirmed"


def score(rows: Iterable[GoldNote], read: Reader) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for row in rows:
        got = read(row.text)
        for mention in row.mentions or ():
            said = next((a for start, end, a in got if start < mention.end and mention.start < end), "missed")
            counts["right"] += said == mention.assertion
            counts["of"] += 1
            counts["tp"] += said == "negated" == mention.assertion
            counts["fp"] += said == "negated" != mention.assertion
            counts["fn"] += mention.assertion == "negated" != said
    f1 = 2 * counts["tp"] / (2 * counts["tp"] + counts["fp"] + counts["fn"])
    return {"mentions": counts["of"], "assertion": counts["right"] / counts["of"], "negation F1": f1}


def main(names: list[str]) -> None:
    readers = {"parsnlp": ours(), "stock medspaCy": stock()}
    for path in [Path(name) for name in names] or [CORPORA / name for name in DEFAULT]:
        rows = golden.read_archive(path) if path.suffix == ".zip" else golden.read_file(path)
        for name, read in readers.items():
            figures = score(rows, read)
            print(
                f"{path.name:24} {name:16} mentions {figures['mentions']:4.0f}   "
                f"assertion {figures['assertion']:.3f}   negation F1 {figures['negation F1']:.3f}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
