"""The summary of a batch, as a page that can be sent on or as lines for a terminal.

Every number stands in a table beside its plot and opens on examples: where in which document it can be seen. The words
that stand there are shown only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from parsnlp.evaluation.figures import proportion
from parsnlp.view import charts, render

_SHOWN = 12
"""How many lines of a figure are shown at once; the rest is folded."""


@dataclass(frozen=True, slots=True)
class Example:
    """Where a number can be seen. `what`: such as the code. `start`, `end`: code points into the document."""

    result: str
    what: str
    document: str | None = None
    start: int | None = None
    end: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A number. `of`: the whole that it is a share of."""

    label: str
    count: int
    of: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """Numbers that belong together. `unit`: what is counted.

    `rates`: each line is a share of a whole of its own. `series`: the lines belong in a row, so none is folded.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    says: str = ""
    rates: bool = False
    series: bool = False

    @property
    def shown(self) -> int:
        """How many lines are shown at once."""
        return len(self.lines) if self.series else _SHOWN


@dataclass(frozen=True, slots=True)
class Summary:
    """What a batch found. `facts`: names and values that lead the page; `basis`: what it was made with."""

    name: str
    facts: tuple[tuple[str, str], ...]
    basis: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]


def page(summary: Summary, text: bool = False) -> str:
    """One self-contained HTML page; the words of the notes are in it with `text` only."""
    plots = [(figure, _plot(figure) if figure.lines else "", _rows(figure)) for figure in summary.figures]
    return render("summary.html", summary=summary, plots=plots, text=text)


def lines(summary: Summary) -> Iterator[str]:
    """The summary for a terminal, without examples."""
    yield summary.name
    wide = max(len(name) for name, _ in (*summary.facts, *summary.basis))
    for name, value in (*summary.facts, *summary.basis):
        yield f"  {name:<{wide}}  {value}"
    for figure in summary.figures:
        if figure.lines:
            yield ""
            yield f"{figure.title} ({figure.unit})"
            for line, share, between in _rows(figure):
                yield f"  {line.count:>9,}  {share:>7}  {line.label}" + (f" ({between})" if between else "")


def _rows(figure: Figure) -> list[tuple[Line, str, str]]:
    """Each line with its share in words and, of a rate, what it is of and its interval."""
    rows = []
    for line in figure.lines:
        share = proportion(line.count, line.of)
        between = f"of {line.of:,}; 95 %: {_percent(share.low)} to {_percent(share.high)}" if figure.rates else ""
        rows.append((line, _percent(share.value), between))
    return rows


def _plot(figure: Figure) -> Markup:
    most = max(line.count for line in figure.lines)
    bars = []
    for line in figure.lines[: figure.shown]:
        share = proportion(line.count, line.of)
        if figure.rates:
            bars.append(charts.Bar(line.label, _percent(share.value), share.value or 0.0, share.low, share.high))
        else:
            bars.append(charts.Bar(line.label, f"{line.count:,}", line.count / most if most else 0.0))
    return charts.bars(figure.title, bars)


def _percent(value: float | None) -> str:
    """A share in percent; what is not all or nothing never reads as such.

    >>> _percent(0.99996), _percent(1.0), _percent(0.0001), _percent(None)
    ('99.9 %', '100 %', '0.1 %', '–')
    """
    if value is None:
        return "–"
    if value in (0.0, 1.0):
        return f"{value:.0%}".replace("%", " %")
    return f"{min(max(100 * value, 0.1), 99.9):.1f} %"
