"""Small plots as inline SVG that follows the page's colours. Each has a title and is told again by a table beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from parsnlp.evaluation.figures import shown

_ROW = 22
_LABEL = 300
_PLOT = 360
_NUMBERS = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure between 0 and 1 with its 95 % interval; nulls draw an empty row. `count`: such as "47/49"."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    count: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the length `value`, 0 to 1, with what to write at its end; `low`, `high`: its interval, where it has one."""

    label: str
    shown: str
    value: float
    low: float | None = None
    high: float | None = None


def bars(title: str, rows: Sequence[Bar]) -> Markup:
    """A bar for each row, its label above it: narrow enough for the screen of a telephone."""
    width, step, longest = 320, 36, 42
    parts = [_open(title, width, step * len(rows) + 2)]
    for at, row in enumerate(rows):
        y = at * step
        label = row.label if len(row.label) <= longest else row.label[: longest - 1] + "…"
        parts.append(
            f'<text x="0" y="{y + 14}">{escape(label)}</text>'
            f'<text x="{width}" y="{y + 14}" text-anchor="end">{escape(row.shown)}</text>'
            f'<rect class="track" x="0" y="{y + 20}" width="{width}" height="8" rx="2"/>'
            f'<rect class="bar" x="0" y="{y + 20}" width="{round(row.value * width, 1)}" height="8" rx="2"/>'
        )
        if row.low is not None and row.high is not None:
            low, high = round(row.low * width, 1), round(row.high * width, 1)
            parts.append(f'<line class="between" x1="{low}" x2="{high}" y1="{y + 24}" y2="{y + 24}"/>')
    return Markup("".join([*parts, "</svg>"]))


def intervals(title: str, rows: Sequence[Interval], goal: Mapping[str, float] | None = None) -> Markup:
    """A dot and whisker for each figure, one below the other; `goal`: a mark to reach, by label."""
    floor = min((row.low for row in rows if row.low is not None), default=0.0)
    left = max(0.0, int(floor * 10 - 0.5) / 10)
    if left > 0.8:
        left = 0.8

    def x(value: float) -> float:
        return round(_LABEL + (max(value, left) - left) / (1 - left) * _PLOT, 1)

    height = _ROW * len(rows) + 34
    width = _LABEL + _PLOT + _NUMBERS
    parts = [_open(title, width, height)]
    ticks = [left + (1 - left) * step / 5 for step in range(6)]
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="4" y2="{height - 26}"/>'
            f'<text class="tick" x="{x(tick)}" y="{height - 10}" text-anchor="middle">{tick:.2f}</text>'
        )
    for at, row in enumerate(rows):
        y = at * _ROW + 16
        parts.append(f'<text x="{_LABEL - 12}" y="{y + 4}" text-anchor="end">{escape(row.label)}</text>')
        if row.value is None:
            parts.append(f'<text class="tick" x="{_LABEL + 4}" y="{y + 4}">nothing to score</text>')
            continue
        wanted = (goal or {}).get(row.label)
        if wanted is not None:
            parts.append(
                f'<path class="goal" d="M{x(wanted)} {y - 8}V{y + 8}"><title>to reach: {wanted}</title></path>'
            )
        if row.low is not None and row.high is not None:
            parts.append(f'<line class="whisker" x1="{x(row.low)}" x2="{x(row.high)}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot" cx="{x(row.value)}" cy="{y}" r="4.5"/>')
        parts.append(f'<text x="{_LABEL + _PLOT + 14}" y="{y + 4}">{shown(row.value)}  {escape(row.count)}</text>')
    return Markup("".join([*parts, "</svg>"]))


def matrix(title: str, table: Mapping[str, Mapping[str, int]], names: Sequence[str]) -> Markup:
    """Counts of gold (rows) against got (columns), each cell shaded by its share of the row."""
    cell, head = 74, 96
    width, height = head + 26 + cell * len(names), 70 + 34 * len(names)
    parts = [_open(title, width, height), f'<text class="tick" x="{head}" y="14">got</text>']
    for column, name in enumerate(names):
        parts.append(
            f'<text x="{head + cell * column + cell / 2}" y="34" text-anchor="middle" class="small">{escape(name)}</text>'
        )
    for line, name in enumerate(names):
        row = table.get(name, {})
        total = sum(row.values())
        y = 44 + 34 * line
        parts.append(f'<text x="{head - 10}" y="{y + 21}" text-anchor="end" class="small">{escape(name)}</text>')
        for column, got in enumerate(names):
            count = row.get(got, 0)
            share = count / total if total else 0.0
            kind = "right" if name == got else "wrong"
            x = head + cell * column
            parts.append(
                f'<rect class="{kind}" x="{x + 1}" y="{y + 1}" width="{cell - 2}" height="32" '
                f'fill-opacity="{round(0.06 + 0.6 * share, 3) if count else 0}"/>'
            )
            if count:
                parts.append(f'<text x="{x + cell / 2}" y="{y + 21}" text-anchor="middle">{count}</text>')
    return Markup("".join([*parts, "</svg>"]))


def _open(title: str, width: float, height: float) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" preserveAspectRatio="xMinYMin meet">'
        f"<title>{escape(title)}</title>"
    )
