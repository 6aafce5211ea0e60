"""Word (.docx) to text by python-docx: paragraphs and tables in their order, a line each.

The headers of the first section come first, once each, since they hold letterheads, titles and dates. Insertions of
tracked changes are kept, deletions left out, as are hidden runs, footers, comments, footnotes, and the numbers and bullets
of lists, which Word does not store as text. A text box follows the paragraph that it hangs on.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from parsnlp.errors import InputError
from parsnlp.interfaces.formats.common import MAX_BYTES, Extracted, in_mib, library, refusing
from parsnlp.interfaces.formats.page import Page

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MOST_PARTS = 5_000
_LEFT_OUT = frozenset(
    f"{_W}{name}"
    for name in ("del", "moveFrom", "delText", "instrText", "pPr", "rPr", "sdtPr", "tblPr", "trPr", "tcPr")
)
_SIGNS = {
    f"{_W}tab": "\t",
    f"{_W}br": "\n",
    f"{_W}cr": "\n",
    f"{_W}noBreakHyphen": "\u2011",
    f"{_W}softHyphen": "\u00ad",
}


def text(data: bytes, where: str) -> Extracted:
    """The text of a Word document. Raises `InputError` for what is none, is damaged, or unpacks to too much."""
    docx = library("docx", "Word files", where)
    _check_archive(data, where)
    with refusing(f"{where}: not a Word document, or a damaged one; open it in Word and save it again as .docx"):
        document = docx.Document(io.BytesIO(data))
        page = Page()
        for header in _headers(document):
            page.verbatim(header)
            page.paragraph()
        _lay_out(document.element.body, page)
    return Extracted(page.text())


def _check_archive(data: bytes, where: str) -> None:
    """Raise `InputError` for what is no ZIP file, and before a byte is unpacked for one that is too large unpacked."""
    with refusing(f"{where}: not a Word document (.docx), or a truncated one; get the whole file"):
        parts = zipfile.ZipFile(io.BytesIO(data)).infolist()
    if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > MAX_BYTES:
        raise InputError(f"{where}: unpacks to more than {in_mib(MAX_BYTES)}; save it without its pictures")


def _headers(document: Any) -> Iterator[str]:
    """The text of the first section's headers, that of its first page first; each once."""
    section = document.sections[0] if len(document.sections) else None
    if section is None:
        return
    wanted = [section.first_page_header] if section.different_first_page_header_footer else []
    seen = set()
    for header in (*wanted, section.header):
        if not header.is_linked_to_previous:
            page = Page()
            _lay_out(header._element, page)
            found = page.text()
            if found and found not in seen:
                seen.add(found)
                yield found


def _children(element: Any) -> Iterator[Any]:
    """The elements within one, without what is left out; of two versions for newer and older readers the first."""
    for child in element:
        if child.tag == f"{_MC}AlternateContent":
            chosen = child.find(f"{_MC}Choice")
            yield from _children(chosen if chosen is not None else child)
        elif isinstance(child.tag, str) and child.tag not in _LEFT_OUT and child.find(f"{_W}rPr/{_W}vanish") is None:
            yield child


def _lay_out(container: Any, page: Page) -> None:
    """The paragraphs and tables of a body, header, cell or text box. lxml bounds how deep they may nest."""
    for element in _children(container):
        if element.tag == f"{_W}p":
            _paragraph(element, page)
        elif element.tag == f"{_W}tbl":
            for row in _within(element, f"{_W}tr"):
                page.row([_cell(cell) for cell in _within(row, f"{_W}tc")])
        else:  # a content control, an insertion
            _lay_out(element, page)


def _within(element: Any, tag: str) -> Iterator[Any]:
    """The rows of a table, or the cells of a row, also in content controls; not those of tables inside it."""
    for child in _children(element):
        if child.tag == tag:
            yield child
        elif child.tag not in (f"{_W}p", f"{_W}tbl"):
            yield from _within(child, tag)


def _cell(cell: Any) -> str:
    page = Page()
    _lay_out(cell, page)
    return page.text()


def _paragraph(paragraph: Any, page: Page) -> None:
    pieces: list[str] = []
    boxes: list[Any] = []
    _runs(paragraph, pieces, boxes)
    line = "".join(pieces)
    if line.strip():
        page.verbatim(line)
    page.line_break()
    for box in boxes:
        _lay_out(box, page)


def _runs(element: Any, pieces: list[str], boxes: list[Any]) -> None:
    """Add the words of a paragraph to `pieces`, and its text boxes to `boxes`."""
    for child in _children(element):
        if child.tag == f"{_W}t":
            pieces.append(child.text or "")
        elif child.tag in _SIGNS:
            pieces.append(_SIGNS[child.tag])
        elif child.tag == f"{_W}txbxContent":
            boxes.append(child)
        else:
            _runs(child, pieces, boxes)
