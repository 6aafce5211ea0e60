"""One system under measurement, in a process of its own: notes in, CPU seconds out.

    python benchmarks/systems.py SYSTEM

SYSTEM is parsnlp, medspacy or edsnlp. The first line of standard input names a JSON file with the `terms` to find and the
sets of notes; each further line is a set's name and a number of notes. For each the CPU time of reading them, in seconds,
and the number of hits are printed. Each system gets the same terms; it is loaded and warm before it is measured.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Read = Callable[[str], int]
WARM_UP = "CT: L5 pars defects with grade 1 anterolisthesis of L5 on S1. No spondylolysis at L4."

NEGATION = {
    "preceding": [
        "no",
        "no evidence of",
        "without",
        "denies",
        "negative for",
        "not",
        "ruled out",
        "absence of",
        "never",
    ],
    "following": ["is ruled out", "not seen", "not identified", "absent", "unlikely", "was excluded"],
    "verbs": [],
    "pseudo": ["no change", "no increase", "not only", "no further"],
    "termination": ["but", "however", "although", "with", "which", "."],
}


def parsnlp(terms: list[str]) -> Read:
    import parsnlp

    extractor = parsnlp.load()
    return lambda text: len(extractor.extract(text).findings)


def medspacy(terms: list[str]) -> Read:
    from loguru import logger

    logger.remove()
    import medspacy
    from medspacy.ner import TargetRule

    nlp = medspacy.load()
    nlp.get_pipe("medspacy_target_matcher").add([TargetRule(term, "FINDING") for term in terms])
    return lambda text: len(nlp(text).ents)


def edsnlp(terms: list[str]) -> Read:
    import edsnlp

    nlp: Any = edsnlp.blank("eds")
    nlp.add_pipe("eds.sentences")
    nlp.add_pipe("eds.matcher", config={"terms": {"finding": terms}, "attr": "LOWER"})
    nlp.add_pipe("eds.negation", config=NEGATION)
    return lambda text: len(nlp(text).ents)


SYSTEMS = {"parsnlp": parsnlp, "medspacy": medspacy, "edsnlp": edsnlp}


def main() -> None:
    given = json.loads(Path(sys.stdin.readline().strip()).read_text(encoding="utf-8"))
    read = SYSTEMS[sys.argv[1]](given["terms"])
    read(WARM_UP)
    for line in sys.stdin:
        name, count = line.split()
        notes = given["sets"][name][: int(count)]
        start = time.process_time()
        hits = sum(map(read, notes))
        print(time.process_time() - start, hits, flush=True)


if __name__ == "__main__":
    main()
