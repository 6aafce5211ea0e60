"""An evaluation as plain text: figures for a terminal, and the wrong notes one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from parsnlp.evaluation.figures import F1, Proportion, shown
from parsnlp.evaluation.models import Evaluation, Measure, Problem, RuleScores


def summary(evaluation: Evaluation) -> str:
    """The figures with their 95 % intervals. No note text."""
    return "\n".join([*_head(evaluation), *_totals(evaluation), *_details(evaluation)]) + "\n"


def errors_text(evaluation: Evaluation, text: bool, only: Collection[Measure]) -> str:
    """Each wrong note; see `Evaluation.errors_text`."""
    if evaluation.sealed:
        return "sealed: single notes are not shown\n"
    notes = [(note, [item for item in note.problems if not only or item.measure in only]) for note in evaluation.errors]
    lines = []
    for note, problems in notes:
        if not problems:
            continue
        place = f"{note.file or 'inline'}, line {note.line}; {note.kind or 'no kind'}, {note.setting or 'no setting'}"
        lines += [
            f"{note.id}  ({place})",
            f"  codes: gold {' '.join(note.gold_codes) or 'none'}; got {' '.join(note.got_codes) or 'none'}",
        ]
        for problem in problems:
            lines += [f"  {line}" for line in _problem(problem, text)]
        lines.append("")
    wrong = sum(1 for _, problems in notes if problems)
    return "\n".join([*lines, f"{wrong} of {evaluation.notes} notes listed"]) + "\n"


def _problem(problem: Problem, text: bool) -> Iterator[str]:
    where = "" if problem.start is None else f" at {problem.start}-{problem.end}"
    where += f" of {problem.document}" if problem.document else ""
    rules = f" ({', '.join(problem.rules)})" if problem.rules else ""
    yield f"{problem.measure}: {problem.what}{where}: gold {problem.gold or 'none'}, got {problem.got or 'none'}{rules}"
    if text and problem.text is not None:
        yield f"    | {problem.text}"
    for step in problem.trail:
        spans = " ".join(f"{span.start}-{span.end}" for span in step.evidence)
        says = f" {step.says}" if text else ""
        yield f"    {step.rule}{says}{f' [{spans}]' if spans else ''}"


def _head(evaluation: Evaluation) -> Iterator[str]:
    policy = evaluation.policy
    yield f"{evaluation.gold} ({evaluation.digest}): {evaluation.notes} notes{', sealed' if evaluation.sealed else ''}"
    yield (
        f"{evaluation.engine}, rules {evaluation.rule_set.hash} ({evaluation.rule_set.rules}), "
        f"stress_fracture {policy.stress_fracture}, kinds {evaluation.kinds}"
    )
    partly = [f"{name} {count}" for name, count in evaluation.annotated.items() if count < evaluation.notes]
    if partly:
        yield f"annotated in fewer notes: {', '.join(partly)}"
    yield "in brackets: 95 % intervals, Wilson for shares, bootstrap over notes for F1"
    yield ""


def _totals(evaluation: Evaluation) -> Iterator[str]:
    totals = {name: figure for name, figure in evaluation.totals().items() if not _nothing(figure)}
    width = max(map(len, totals))
    for name, figure in totals.items():
        yield f"{name:<{width}}  {_shown(figure)}"


def _nothing(figure: Proportion | F1) -> bool:
    """Whether there was nothing to score; sentences have no codes, for one."""
    return not (figure.tp or figure.fp or figure.fn) if isinstance(figure, F1) else not figure.of


def _details(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.sealed:
        return
    yield from _table("code", ((name, _shown(score)) for name, score in evaluation.per_code.items()))
    yield from _table(
        "condition",
        (
            (f"{name}, {level}", _shown(score))
            for name, scores in evaluation.per_condition.items()
            for level, score in (("mentions", scores.mentions), ("notes", scores.notes))
        ),
    )
    yield from _table("assertion", ((name, _shown(score)) for name, score in evaluation.mentions.by_assertion.items()))
    yield from _table("assertion confusion", _confusion(evaluation.mentions.confusion))
    yield from _table(
        "attribute",
        (
            (f"{item.attribute} of {item.condition}", _shown(item.all))
            for item in evaluation.attributes
            if item.condition != "all"
        ),
    )
    yield from _table("query", ((name, _shown(score)) for name, score in evaluation.per_query.items()))
    for title, groups in (
        ("kind", evaluation.by_kind),
        ("setting", evaluation.by_setting),
        ("phenomenon", evaluation.by_phenomenon),
    ):
        yield from _table(
            title,
            (
                (
                    f"{name} ({group.notes})",
                    f"codes exact {_brief(group.exact)}  F1 {_number(group.codes.f1)}   "
                    f"mention F1 {_number(group.mentions.f1)}   assertion {_brief(group.assertion)}",
                )
                for name, group in groups.items()
            ),
        )
    erring = [rule for rule in evaluation.rules if rule.share_right.right < rule.share_right.of]
    erring.sort(key=lambda rule: (rule.share_right.right - rule.share_right.of, rule.role, rule.rule))
    yield from _table("rules that erred", ((f"{rule.rule} ({rule.role})", _fired(rule)) for rule in erring))
    fired = sum(rule.role != "policy" for rule in evaluation.rules)
    yield ""
    yield f"{fired} target and cue rules fired, {len(evaluation.silent_rules)} never did"
    if evaluation.unrelated is not None and evaluation.unrelated.wrong:
        yield f"unrelated notes with a code or a finding: {', '.join(evaluation.unrelated.wrong)}"
    yield f"{len(evaluation.errors)} notes are wrong in some respect: errors_text() lists them"


def _confusion(table: dict[str, dict[str, int]]) -> Iterator[tuple[str, str]]:
    for gold, row in table.items():
        yield f"gold {gold}", ", ".join(f"{got} {count}" for got, count in row.items())


def _fired(rule: RuleScores) -> str:
    return f"fired {rule.fired}: right {rule.right}, misjudged {rule.misjudged}, spurious {rule.spurious}"


def _table(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    listed: Sequence[tuple[str, str]] = list(rows)
    if listed:
        width = max(len(name) for name, _ in listed)
        yield from ("", f"By {title}:" if not title.startswith("rules") else f"{title.capitalize()}:")
        yield from (f"  {name:<{width}}  {value}" for name, value in listed)


def _shown(figure: Proportion | F1) -> str:
    if isinstance(figure, Proportion):
        return f"{_number(figure.value)} {_interval(figure.low, figure.high)}  {figure.right}/{figure.of}"
    return (
        f"{_number(figure.f1)} {_interval(figure.low, figure.high)}  P {_number(figure.precision.value)}"
        f"  R {_number(figure.recall.value)}  tp {figure.tp} fp {figure.fp} fn {figure.fn}"
    )


def _brief(figure: Proportion) -> str:
    return f"{_number(figure.value)} {_interval(figure.low, figure.high)}"


def _number(value: float | None) -> str:
    return shown(value, "    -")


def _interval(low: float | None, high: float | None) -> str:
    return f"{'[-]':<14}" if low is None or high is None else f"[{_number(low)}, {_number(high)}]"
