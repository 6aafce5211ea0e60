"""HTML, a page or a fragment such as FHIR's narrative, to text by the standard library's lenient parser.

Left out is what a browser does not show as text: the title, scripts, styles, comments, form fields, elements that are
hidden, and `del`. `pre` keeps its lines. A charset that the page declares counts; else `reading.decode` finds it.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from parsnlp.errors import InputError
from parsnlp.interfaces.formats.common import Extracted, decode, refusing
from parsnlp.interfaces.formats.page import Page

_PARAGRAPHS = frozenset((
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "hr",
))  # fmt: skip
_LINES = frozenset((
    "address", "article", "aside", "body", "caption", "dd", "details", "div", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "header", "legend", "li", "main", "nav", "option", "pre", "section", "summary",
    "tbody", "td", "tfoot", "th", "thead", "tr",
))  # fmt: skip
_HIDDEN = frozenset((
    "script", "style", "template", "title", "noscript", "del", "svg", "math", "textarea", "select", "object", "iframe",
))  # fmt: skip
_EMPTY = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
))  # fmt: skip
_ENDS_UNSAID = frozenset((
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "body", "html",
))  # fmt: skip
_UNSEEN = re.compile(r"display\s{0,5}:\s{0,5}none", re.IGNORECASE)
_DECLARATION = re.compile(r"<[!?][^>]*>")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s{0,5}=\s{0,5}["']?\s{0,5}([\w-]{1,20})""", re.IGNORECASE)


def text(data: bytes, where: str, charset: str | None = None) -> Extracted:
    """The text of an HTML document. `charset`: declared outside it; else the one that its `meta` declares counts."""
    declared = _CHARSET.search(data[:4096])
    if charset is None and declared and not declared.group(1).lower().startswith(b"utf-16"):  # or it were not found
        charset = declared.group(1).decode("ascii", "replace")
    source = decode(data, charset, where)
    return Extracted(narrative(source.text, where), source.notices)


def narrative(source: str, where: str) -> str:
    """The text of HTML source. Raises `InputError` for what no parser takes, or where much would be lost."""
    reader = _Reader()
    with refusing(f"{where}: not HTML that can be read; save it again from a browser, or as .txt"):
        reader.feed(_bare(source))
        reader.close()
    if reader.hidden:
        raise InputError(
            f"{where}: an element that is not shown, such as a script, is never closed; get the whole document"
        )
    return reader.finished()


def _bare(source: str) -> str:
    """The source without comments, declarations and a tag left open at its end.

    The parser takes the square of their length over malformed ones; an unclosed comment counts as text.
    """
    pieces, at = [], 0
    while (start := source.find("<!--", at)) >= 0 and (end := source.find("-->", start + 4)) >= 0:
        pieces.append(source[at:start])
        at = end + 3
    shown = "".join(pieces) + source[at:]
    last = shown.rfind(">") + 1
    return _DECLARATION.sub("", shown[:last]) + shown[last:].replace("<", "&lt;")


class _Reader(HTMLParser):
    """Lays elements out as they come, without a tree: nesting costs nothing, and what is left open does no harm."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pages = [(Page(), 0)]  # the page, and within it each cell that is open with the number of its table
        self._tables: list[list[str]] = []  # of each table that is open, the cells so far of its last row
        self.hidden: list[str] = []  # elements that are open and not shown
        self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.hidden:
            self.hidden += [tag] if tag == self.hidden[-1] else []
        elif tag in _HIDDEN or (tag not in _EMPTY | _ENDS_UNSAID and _hides(attrs)):
            self.hidden.append(tag)
        elif tag == "br":
            self._page.line_break()
        elif self._tables and tag in ("td", "th"):
            self._end_cell()
            self._pages.append((Page(), len(self._tables)))
        elif self._tables and tag == "tr":
            self._end_row()
        else:
            self._break(tag)
            self._verbatim += tag == "pre"
            self._tables += [[]] if tag == "table" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)  # as in XHTML, which FHIR's narrative is

    def handle_endtag(self, tag: str) -> None:
        if self.hidden:
            if tag == self.hidden[-1]:
                self.hidden.pop()
        elif self._tables and tag in ("td", "th"):
            self._end_cell()
        elif self._tables and tag in ("tr", "table"):
            self._end_row()
            if tag == "table":
                self._tables.pop()
                self._break(tag)
        elif tag not in _EMPTY:
            self._break(tag)
            self._verbatim = max(self._verbatim - (tag == "pre"), 0)

    def handle_data(self, data: str) -> None:
        if self.hidden:
            return
        if self._verbatim:
            self._page.verbatim(data)
        else:
            self._page.write(data)

    def finished(self) -> str:
        """The text of all that was fed."""
        while self._tables:
            self._end_row()
            self._tables.pop()
        return self._page.text()

    @property
    def _page(self) -> Page:
        return self._pages[-1][0]

    def _break(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._page.paragraph()
        elif tag in _LINES:
            self._page.line()

    def _end_cell(self) -> None:
        page, table = self._pages[-1]
        if table and table == len(self._tables):
            self._pages.pop()
            self._tables[-1].append(page.text())

    def _end_row(self) -> None:
        self._end_cell()
        if self._tables[-1]:
            self._page.row(self._tables[-1])
            self._tables[-1] = []


def _hides(attrs: list[tuple[str, str | None]]) -> bool:
    return any(name == "hidden" or (name == "style" and _UNSEEN.search(value or "")) for name, value in attrs)
