"""Tables in plain text: what stands under a heading of a column, row by row.

Columns are parted by bars, tabs or two and more spaces, and matched by number, or by place where a row leaves cells out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from parsnlp.extract import levels
from parsnlp.note import fold
from parsnlp.rules import RuleSet

_CELL = re.compile(r"[^\s|](?:[^|\t\r\n]*?[^\s|])??(?=\s*(?:\||\t|$)| {2,})")
_BREAK = re.compile(r"[\r\n]")
_RULER = re.compile(r"[\s|+:=_-]+")
_MOST_ROWS = 40
_MOST_LINES = 8  # between a row and the levels that head its columns
_SPARE = 8  # characters of a heading's cell beside the finding's name: "any listhesis?"
_LONGEST = 400  # characters of a line that may be a row


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: `start`, `end` index the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row under a heading: its first cell, and its cell in that column (None where it has none)."""

    head: Cell
    cell: Cell | None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a column says of its heading: the rows that answer no, and those that answer yes."""

    no: list[Row]
    yes: list[Row]


class Columns:
    """Reads the columns of tables. Holds compiled wording only."""

    def __init__(self, rules: RuleSet) -> None:
        self._no, self._yes = rules.piece("cell_no"), rules.piece("cell_yes")
        self._levels = rules.piece("level_heading")

    def answers(self, text: str, start: int, end: int) -> Answers:
        """The rows under the heading that holds `text[start:end]`, by what they answer. Other rows are left out.

        Where it heads a row instead, the columns of that row, each under its level.
        """
        found = Answers([], [])
        for row in column(text, start, end, self._levels) or across(text, start, end):
            if row.cell is not None:
                said = fold(text[row.cell.start : row.cell.end])
                if self._no.fullmatch(said):
                    found.no.append(row)
                elif self._yes.match(said):
                    found.yes.append(row)
        return found


def column(text: str, start: int, end: int, of_levels: re.Pattern[str]) -> list[Row]:
    """The rows under the column whose heading holds `text[start:end]`; none where that is no heading of a table.

    A heading is a line of three cells or more, or of two where the first says that levels stand below it (`of_levels`),
    that is followed, at once or after a ruler, by lines of two or more. A line whose first cell is a level is none.
    """
    line_start = (
        max(text.rfind("\n", max(start - _LONGEST, 0), start), text.rfind("\r", max(start - _LONGEST, 0), start)) + 1
    )
    line_end = _line_end(text, start)
    if line_end - line_start > _LONGEST or (line_start == 0 and start > _LONGEST):
        return []
    line = text[line_start:line_end]
    if "|" not in line and "\t" not in line and "  " not in line:
        return []
    heads = _cells(text, line_start, line_end)
    at = next((i for i, cell in enumerate(heads) if cell.start <= start and end <= cell.end), None)
    if not at:
        return []
    first = fold(text[heads[0].start : heads[0].end])
    if (len(heads) < 3 and not of_levels.fullmatch(first)) or any(level.start == 0 for level in levels.find(first)):
        return []
    if heads[at].end - heads[at].start > end - start + _SPARE:
        return []
    place = (heads[at].start - line_start, heads[at].end - line_start)
    rows: list[Row] = []
    while line_end < len(text) and len(rows) < _MOST_ROWS:
        line_start = line_end + (2 if text.startswith("\r\n", line_end) else 1)
        line_end = _line_end(text, line_start)
        body = text[line_start : min(line_end, line_start + _LONGEST)]
        if body.strip() and _RULER.fullmatch(body):
            continue
        cells = _cells(text, line_start, line_end) if line_end - line_start <= _LONGEST else []
        if len(cells) < 2:
            break
        rows.append(Row(cells[0], cells[at] if len(cells) == len(heads) else _below(place, cells[1:], line_start)))
    return rows


def across(text: str, start: int, end: int) -> list[Row]:
    """The cells of the row whose first cell holds `text[start:end]`, each with the level that heads its column.

    None where no line above, in the same table, names a level over each of three columns or two.
    """
    line_start = _line_start(text, start)
    line_end = _line_end(text, start)
    cells = _cells(text, line_start, line_end) if line_end - line_start <= _LONGEST else []
    if len(cells) < 3 or not cells[0].start <= start <= end <= cells[0].end <= end + _SPARE:
        return []
    for _ in range(_MOST_LINES):
        if line_start < 1:
            break
        above_end = line_start - (2 if text.startswith("\r\n", line_start - 2) else 1)
        line_start = _line_start(text, above_end)
        if above_end - line_start > _LONGEST:
            break
        body = text[line_start:above_end]
        if body.strip() and _RULER.fullmatch(body):
            continue
        heads = _cells(text, line_start, above_end)
        if len(heads) < 2:
            break
        over = heads[-len(cells) + 1 :]  # the corner may be empty
        if len(heads) - len(over) <= 1 and all(_is_level(text, head) for head in over):
            return (
                [Row(head, cell) for head, cell in zip(over, cells[1:], strict=True)]
                if len(over) + 1 == len(cells)
                else []
            )
    return []


def _is_level(text: str, cell: Cell) -> bool:
    said = fold(text[cell.start : cell.end])
    return any(level.start == 0 and level.end == len(said) for level in levels.find(said))


def _line_start(text: str, at: int) -> int:
    """Where the line that holds `at` begins; looked for no further than a row may be long."""
    low = max(at - _LONGEST - 1, 0)
    return max(text.rfind("\n", low, at), text.rfind("\r", low, at), low - 1) + 1


def _line_end(text: str, start: int) -> int:
    """Where the line that holds `start` ends; looked for no further than a row may be long."""
    found = _BREAK.search(text, start, min(start + _LONGEST + 1, len(text)))
    return found.start() if found else min(start + _LONGEST + 1, len(text))


def _cells(text: str, start: int, end: int) -> list[Cell]:
    return [Cell(match.start(), match.end()) for match in _CELL.finditer(text, start, end) if match.group().strip()]


def _below(place: tuple[int, int], cells: list[Cell], line_start: int) -> Cell | None:
    """The one cell of a row that stands under the heading's place on the line."""
    low, high = place
    near = [cell for cell in cells if cell.start - line_start <= high and low <= cell.end - line_start]
    return near[0] if len(near) == 1 else None
