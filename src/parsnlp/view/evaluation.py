"""The page of an evaluation: figures with their intervals as plots and tables, and every wrong note with its trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from parsnlp.evaluation.figures import F1, Proportion
from parsnlp.evaluation.models import Evaluation, Group
from parsnlp.models import Assertion
from parsnlp.view import charts, render

GOALS = {
    "codes: exact set": 0.95,
    "codes: no-code notes kept empty": 0.98,
    "codes: precision": 0.98,
    "codes: recall": 0.96,
    "mentions: F1": 0.98,
    "assertion on matched mentions": 0.97,
    "negation: F1": 0.985,
    "levels": 0.97,
}  # what the project wants to reach on notes not tuned to


def page(evaluation: Evaluation, text: bool = True) -> str:
    """One self-contained HTML page; `text=False` leaves every quotation of a note out."""
    figures = evaluation.totals()
    figures["codes: precision"] = evaluation.codes.micro.precision
    figures["codes: recall"] = evaluation.codes.micro.recall
    totals = [_interval(name, figure) for name, figure in figures.items() if not _empty(figure)]
    erring = [rule for rule in evaluation.rules if rule.share_right.right < rule.share_right.of]
    erring.sort(key=lambda rule: (rule.share_right.right - rule.share_right.of, rule.role, rule.rule))
    attributes = [
        _interval(f"{item.attribute} of {item.condition}", item.all)
        for item in evaluation.attributes
        if item.condition != "all"
    ]
    return render(
        "evaluation.html",
        e=evaluation,
        text=text,
        totals=totals,
        headline=charts.intervals("Main figures", [row for row in totals if row.label in GOALS], GOALS),
        conditions=[
            (f"{name}, {level}", score)
            for name, scores in evaluation.per_condition.items()
            for level, score in (("mentions", scores.mentions), ("notes", scores.notes))
        ],
        confusion=charts.matrix("Assertion", evaluation.mentions.confusion, get_args(Assertion)),
        attributes=charts.intervals("Attributes", attributes) if attributes else "",
        groups=_groups(evaluation),
        fired=sum(rule.role != "policy" for rule in evaluation.rules),
        erring=erring,
        earning=[rule for rule in evaluation.rules if rule not in erring],
    )


def _groups(evaluation: Evaluation) -> list[tuple[str, object]]:
    """A plot for each grouping: codes where there are codes, else assertion."""
    coded = bool(evaluation.codes.exact.of)
    found: list[tuple[str, object]] = []
    groupings: tuple[tuple[str, Mapping[str, Group]], ...] = (
        ("kind", evaluation.by_kind),
        ("setting", evaluation.by_setting),
        ("phenomenon", evaluation.by_phenomenon),
    )
    for title, groups in groupings:
        rows = [_interval(name, group.exact if coded else group.assertion) for name, group in groups.items()]
        if len(rows) > 1:
            what = "code set exact" if coded else "assertion right"
            found.append((f"{title}: {what}", charts.intervals(f"By {title}", rows)))
    return found


def _interval(name: str, figure: Proportion | F1) -> charts.Interval:
    if isinstance(figure, F1):
        return charts.Interval(
            name, figure.f1, figure.low, figure.high, f"tp {figure.tp}, fp {figure.fp}, fn {figure.fn}"
        )
    return charts.Interval(name, figure.value, figure.low, figure.high, f"{figure.right} of {figure.of}")


def _empty(figure: Proportion | F1) -> bool:
    return figure.f1 is None if isinstance(figure, F1) else figure.value is None
