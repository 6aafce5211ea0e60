"""How right is an extractor? Scores it on gold rows (`corpora/README.md` has their format and what each figure means).

>>> import parsnlp.evaluation
>>> from parsnlp.extractor import load
>>> row = {"text": "CT: L5 pars defects, no slip.", "codes": ["M43.06"]}
>>> parsnlp.evaluation.evaluate([row], load()).codes.exact.right
1
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from parsnlp.errors import InputError
from parsnlp.evaluation import gold as golden
from parsnlp.evaluation.compare import CONDITIONS, Scored
from parsnlp.evaluation.figures import F1, Proportion, proportion
from parsnlp.evaluation.gold import GoldNote
from parsnlp.evaluation.models import Evaluation, Problem, RuleScores, Unrelated, WrongNote
from parsnlp.evaluation.score import Scorer
from parsnlp.extractor import Extractor
from parsnlp.models import Note, Policy, RuleSetInfo

__all__ = [
    "F1",
    "Evaluation",
    "GoldNote",
    "Problem",
    "Proportion",
    "RuleScores",
    "Unrelated",
    "WrongNote",
    "evaluate",
    "evaluate_file",
]


def evaluate_file(
    path: str | Path,
    extractor: Extractor,
    sealed: bool = False,
    *,
    infer_kind: bool = False,
    unrelated: str | Path | None = None,
) -> Evaluation:
    """Score an extractor on a gold file (JSON lines).

    `sealed`: totals only, nothing of single notes, codes or rules. `infer_kind`: the extractor is not told the notes'
    kinds. `unrelated`: a folder of notes (`*.txt`) that have no finding and no code; the folder of that name beside the
    gold file, when there is one. A zip archive (`gold.jsonl` and its notes) is read without unpacking it to disk, and
    only when `sealed`. Raises `InputError`, by file and line and without note text, for what cannot be used.
    """
    path = Path(path)
    if path.suffix == ".zip":
        if not sealed:
            raise InputError(f"{path}: an archive is a sealed corpus; it is scored with totals only (--sealed)")
        empty = None if unrelated is None else _unrelated(Path(unrelated), extractor, sealed)
        return _evaluate(golden.read_archive(path), extractor, path.name, sealed, infer_kind, empty)
    rows = golden.read_file(path)
    folder = path.parent / "unrelated" if unrelated is None else Path(unrelated)
    empty = _unrelated(folder, extractor, sealed) if unrelated is not None or folder.is_dir() else None
    return _evaluate(rows, extractor, path.name, sealed, infer_kind, empty)


def evaluate(
    rows: Iterable[Mapping[str, Any] | GoldNote],
    extractor: Extractor,
    sealed: bool = False,
    *,
    infer_kind: bool = False,
) -> Evaluation:
    """Score an extractor on gold rows at hand: `dict`s with a gold file's fields, the note as "text" or "file"."""
    return _evaluate(golden.read_rows(rows), extractor, "rows", sealed, infer_kind, None)


def _evaluate(
    rows: list[GoldNote],
    extractor: Extractor,
    name: str,
    sealed: bool,
    infer_kind: bool,
    unrelated: Unrelated | None,
) -> Evaluation:
    separate = _under("separate", extractor)
    strict = _under("strict", extractor) if any(row.strict_codes is not None for row in rows) else None
    scorer = Scorer(len(rows), sealed)
    engine = ""
    for row in rows:
        notes = row.notes(infer_kind)
        result = separate.extract_encounter(notes)
        engine = result.engine
        again = strict.extract_encounter(notes) if strict and row.strict_codes is not None else None
        claims = (row.claim, row.corrected_claim)
        audited = [None if claim is None else separate.audit(notes, claim).edits for claim in claims]
        scorer.add(Scored(row, result, again, *audited))
    ruleset = extractor.ruleset
    return scorer.evaluation(
        gold=name,
        digest=golden.digest(rows),
        kinds="inferred" if infer_kind else "given",
        engine=engine,
        rule_set=RuleSetInfo(hash=ruleset.hash, rules=len(ruleset.rules)),
        policy=separate.policy,
        known_rules=[
            rule.id
            for rule in ruleset.rules
            if (rule.folder == "targets" and rule.category in CONDITIONS)
            or (rule.folder == "context" and rule.direction not in ("terminate", "pseudo"))
        ],
        unrelated=unrelated,
    )


def _under(excludes1: Any, extractor: Extractor) -> Extractor:
    """The same extractor under another Excludes1 mode (P-X2)."""
    if extractor.policy.excludes1 == excludes1:
        return extractor
    policy = Policy(excludes1=excludes1, stress_fracture=extractor.policy.stress_fracture)
    return Extractor(extractor.ruleset, extractor.setting, policy)


def _unrelated(folder: Path, extractor: Extractor, sealed: bool) -> Unrelated:
    """Read every `*.txt` of a folder: none should have a code or a finding."""
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise InputError(f"{folder}: no unrelated notes (*.txt) there")
    coded: list[str] = []
    found: list[str] = []
    for file in files:
        try:
            text = golden.read_text(file)
        except UnicodeDecodeError as error:
            raise InputError(f"{file}: not UTF-8 (byte {error.start})") from None
        except OSError as error:
            raise InputError(f"{file}: cannot be read: {error.strerror or type(error).__name__}") from None
        result = extractor.extract(Note(text=text, id=file.stem))
        coded += [file.name] if result.codes else []
        found += [file.name] if result.findings else []
    return Unrelated(
        no_codes=proportion(len(files) - len(coded), len(files)),
        no_findings=proportion(len(files) - len(found), len(files)),
        wrong=() if sealed else tuple(sorted({*coded, *found})),
    )
