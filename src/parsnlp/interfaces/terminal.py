"""What a terminal shows: the note with its evidence marked, and explanations, in colour or plain.

Plain (not a terminal, `NO_COLOR` set, or a dumb terminal): no escape codes, no wrapping, and each finding in brackets
with its condition and assertion. In colour: the condition is the colour, the assertion the style, and named where it
is not "affirmed".
"""

from __future__ import annotations

import os
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from parsnlp.explain import Line
    from parsnlp.models import Finding, Result

_SHORT = {"spondylolysis": "lysis", "spondylolisthesis": "slip", "traumatic_fracture": "fracture"}
_COLOUR = {"spondylolysis": "cyan", "spondylolisthesis": "yellow", "traumatic_fracture": "magenta"}
_STYLE = {
    "affirmed": Style(bold=True, reverse=True),
    "negated": Style(strike=True),
    "uncertain": Style(italic=True, underline=True),
    "hypothetical": Style(italic=True),
    "historical": Style(dim=True, underline=True),
    "family": Style(dim=True, italic=True),
    "generic": Style(dim=True),
}
_LINE_STYLE = {
    "heading": "bold underline",
    "code": "bold green",
    "review": "bold yellow",
    "step": "",
    "evidence": "dim",
    "item": "",
    "note": "italic",
}
_CUE = Style(underline=True)
_LEVEL = Style(bold=True)
_INDENT = 2
# A note's own control and direction characters would drive the terminal; each is shown as one harmless character.
_HARMLESS = {
    **{code: 0x2400 + code for code in range(32) if code not in (9, 10)},
    127: 0x2421,
    **dict.fromkeys(
        [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)], 0xFFFD
    ),
}


def harmless(text: str) -> str:
    """The text with whatever could drive the terminal replaced; line ends become plain ones."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_HARMLESS)


def console(stderr: bool = False) -> Console:
    """A console that is plain unless it is a terminal that may be coloured."""
    stream = sys.stderr if stderr else sys.stdout
    made = Console(file=stream, highlight=False, markup=False, emoji=False)
    if made.is_terminal and not made.is_dumb_terminal and not os.environ.get("NO_COLOR"):
        return made
    return Console(file=stream, highlight=False, markup=False, emoji=False, force_terminal=False, color_system=None)


def say(message: str) -> None:
    """A line for the person, on standard error."""
    print(harmless(message), file=sys.stderr, flush=True)


def show_lines(out: Console, lines: Iterable[Line]) -> None:
    """Print an explanation's lines, indented; a terminal wraps within the indentation."""
    for line in lines:
        text = Text(harmless(line.text), style=_LINE_STYLE[line.kind])
        if out.is_terminal:
            out.print(Padding(text, (0, 0, 0, _INDENT * line.depth), expand=False))
        else:
            out.print(Text(" " * _INDENT * line.depth).append_text(text), soft_wrap=True)


def show_note(out: Console, result: Result, text: str) -> None:
    """Print the note with every finding marked, and in colour a key to the marks."""
    coloured = out.color_system is not None
    out.print(_coloured(result, text) if coloured else Text(_bracketed(result, text)), soft_wrap=True)
    if coloured and result.findings:
        out.print(_key(result))


def _bracketed(result: Result, text: str) -> str:
    pieces, last = [], 0
    for finding in _apart(result):
        assertion = "" if finding.assertion == "affirmed" else f", {finding.assertion}"
        pieces.append(harmless(text[last : finding.start]))
        pieces.append(f"[{_SHORT[finding.condition]}{assertion}: {harmless(text[finding.start : finding.end])}]")
        last = finding.end
    return "".join([*pieces, harmless(text[last:])]).rstrip("\n")


def _coloured(result: Result, text: str) -> Text:
    marked, last = Text(), 0
    marks = _Marks(result)
    for finding in _apart(result):
        marked.append_text(marks.on(text, last, finding.start))
        marked.append_text(marks.on(text, finding.start, finding.end, _style(finding)))
        if finding.assertion != "affirmed":
            marked.append(f" ({finding.assertion})", Style(color=_COLOUR[finding.condition], italic=True))
        last = finding.end
    marked.append_text(marks.on(text, last, len(text)))
    marked.rstrip()
    return marked


class _Marks:
    """The lesser marks of a note, under those of its findings: the cues, and the levels that a code rests on."""

    def __init__(self, result: Result) -> None:
        cues = {(cue.start, cue.end, _CUE) for finding in result.findings for cue in finding.cues}
        levels = {
            (span.start, span.end, _LEVEL) for code in result.codes for span in code.evidence if span.rule == "level"
        }
        self.marks = sorted(cues | levels, key=lambda mark: mark[:2])
        self.starts = [mark[0] for mark in self.marks]
        self.longest = max((end - start for start, end, _ in self.marks), default=0)

    def on(self, text: str, start: int, end: int, style: Style | None = None) -> Text:
        """A stretch of the note with its marks; cut at each of them, since a replaced line end changes lengths."""
        near = self.marks[bisect_left(self.starts, start - self.longest) : bisect_left(self.starts, end)]
        cuts = sorted({start, end, *(place for mark in near for place in mark[:2] if start < place < end)})
        piece = Text(style=style or "")
        for left, right in pairwise(cuts):
            here = [mark[2] for mark in near if mark[0] <= left and right <= mark[1]]
            piece.append(harmless(text[left:right]), Style.combine([Style.null(), *here]))
        return piece


def _style(finding: Finding) -> Style:
    return Style(color=_COLOUR[finding.condition]) + _STYLE[finding.assertion]


def _key(result: Result) -> Text:
    seen = {(finding.condition, finding.assertion): finding for finding in result.findings}
    key = Text("Marked: ", style="dim")
    for number, finding in enumerate(seen.values()):
        key.append(", " if number else "").append(
            f"{finding.condition.replace('_', ' ')} {finding.assertion}", _style(finding)
        )
    return key


def _apart(result: Result) -> Iterator[Finding]:
    """The findings in order of place; of two that overlap, the first."""
    last = 0
    for finding in sorted(result.findings, key=lambda finding: (finding.start, -finding.end)):
        if finding.start >= last:
            yield finding
            last = finding.end
