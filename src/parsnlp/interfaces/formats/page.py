"""Lines of text out of marked-up documents, laid out as a browser copies them, but with bars between cells."""

from __future__ import annotations

import re

_SPACE = re.compile(r"[ \t\r\n\f]+")


class Page:
    """Takes words, breaks and rows in order. White space between words is one space, save in `verbatim`."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._breaks = 0  # line ends owed before the next word
        self._space = False  # a space is owed, unless a line begins

    def write(self, words: str) -> None:
        """Words of running text."""
        said = _SPACE.sub(" ", words)
        self._space = self._space or said.startswith(" ")
        if said.strip(" "):
            self._put(said.strip(" "))
            self._space = said.endswith(" ")

    def verbatim(self, lines: str) -> None:
        """Text whose white space counts; a line end at either end of it is left out, as a browser does after `<pre>`."""
        lines = lines.replace("\r\n", "\n").replace("\r", "\n")
        if lines.strip("\n"):
            self._put(lines.strip("\n"))
        elif "\n" in lines:
            self.line()
        if lines.endswith("\n"):
            self.line()

    def line(self) -> None:
        """What follows begins a line."""
        self._breaks = max(self._breaks, 1)

    def line_break(self) -> None:
        """A line ends here, even an empty one; no more than one blank line comes of it."""
        self._breaks = min(self._breaks + 1, 2)

    def paragraph(self) -> None:
        """What follows begins a line after a blank one."""
        self._breaks = 2

    def row(self, cells: list[str]) -> None:
        """A row of a table: a line with bars between its cells, or the cells line by line where one has several lines."""
        self.line()
        if any("\n" in cell for cell in cells):
            cells = [cell for cell in cells if cell]
            for cell in cells:
                self._put(cell)
                self.line()
        elif any(cells):
            self._put(" | ".join(cells).rstrip())
        self.line()

    def text(self) -> str:
        """All of it, without white space at its ends."""
        return "".join(self._pieces)

    def _put(self, words: str) -> None:
        if self._pieces:
            self._pieces.append("\n" * self._breaks or (" " if self._space else ""))
        self._pieces.append(words)
        self._breaks, self._space = 0, False
