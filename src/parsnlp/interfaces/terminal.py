"""What a terminal shows: the note with its evidence marked, and explanations, in colour or plain.

Plain (not a terminal, `NO_COLOR` set, or a dumb terminal): no escape codes, no wrapping, and each finding in brackets
with its condition and assertion. In colour: the condition is the colour, the assertion the style, and named where it
is not "affirmed".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.text import Text

from parsnlp.view.marks import Marks, stretches
from parsnlp.view.marks import harmless as harmless

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
    pieces = []
    for start, end, finding in stretches(result.findings, len(text)):
        words = harmless(text[start:end])
        if finding is not None:
            assertion = "" if finding.assertion == "affirmed" else f", {finding.assertion}"
            words = f"[{_SHORT[finding.condition]}{assertion}: {words}]"
        pieces.append(words)
    return "".join(pieces).rstrip("\n")


def _coloured(result: Result, text: str) -> Text:
    """The note with its findings and, under these, its lesser marks: the cues, and the levels that a code rests on."""
    cues = {(cue.start, cue.end, _CUE) for finding in result.findings for cue in finding.cues}
    levels = {(span.start, span.end, _LEVEL) for code in result.codes for span in code.evidence if span.rule == "level"}
    marks, shown = Marks(cues | levels), Text()
    for start, end, finding in stretches(result.findings, len(text)):
        piece = Text(style=_style(finding) if finding else "")
        for left, right, styles in marks.cut(start, end):
            piece.append(harmless(text[left:right]), Style.combine([Style.null(), *styles]))
        shown.append_text(piece)
        if finding is not None and finding.assertion != "affirmed":
            shown.append(f" ({finding.assertion})", Style(color=_COLOUR[finding.condition], italic=True))
    shown.rstrip()
    return shown


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
