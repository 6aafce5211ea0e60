"""The narrative of a C-CDA document: each section's title on its own line, then its text; entries are not read.

Tables come row by row with bars between cells, lists item by item; text marked as deleted is left out. A body that is
not XML (`nonXMLBody`) is read as an attachment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from parsnlp.errors import InputError
from parsnlp.interfaces.formats import attachments, codes
from parsnlp.interfaces.formats.common import (
    MAX_DEPTH,
    Extracted,
    documents_from,
    from_base64,
    iso_date,
    library,
    refusing,
)
from parsnlp.interfaces.formats.page import Page

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_V3 = "{urn:hl7-org:v3}"
_NAMES = {"": "urn:hl7-org:v3"}
_PARAGRAPHS = frozenset(f"{_V3}{name}" for name in ("paragraph", "list", "table"))
_LINES = frozenset(f"{_V3}{name}" for name in ("caption", "item"))
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|(?:\w+:)?ClinicalDocument)")


def documents(data: bytes, where: str) -> list[dict[str, object]]:
    """The one note of a C-CDA document, with what its header tells. Raises `InputError`."""
    root = _root(data, where)
    encounter = root.find("componentOf/encompassingEncounter", _NAMES)
    facts = {
        "id": _id(root.find("id", _NAMES)),
        "kind": codes.kind(_codings(root.find("code", _NAMES))),
        "date": iso_date(_attribute(root.find("effectiveTime", _NAMES), "value")),
        "author": _attribute(root.find("author/assignedAuthor/code", _NAMES), "displayName"),
        "patient": _id(root.find("recordTarget/patientRole/id", _NAMES)),
    }
    if encounter is not None:
        facts["encounter"] = _id(encounter.find("id", _NAMES))
        facts["setting"] = codes.setting(_codings(encounter.find("code", _NAMES)))
    return documents_from([_body(root, where).fields((), **facts)], where)


def attachment(data: bytes, media_type: str, where: str) -> Extracted:
    """As `attachments.text`, and the narrative of a C-CDA document too."""
    if "html" not in media_type.lower() and _XML.match(data):
        return _body(_root(data, where), where)
    return attachments.text(data, media_type, where)


def _root(data: bytes, where: str) -> Element:
    """The document's element. Raises `InputError` for what is no C-CDA, declares a DTD or entities, or nests too deep."""
    defused = library("defusedxml", "XML", where)
    trees = library("defusedxml.ElementTree", "XML", where)
    with refusing(f"{where}: not well-formed XML, or truncated; get the whole document"):
        try:
            root: Element = trees.fromstring(data, forbid_dtd=True)
        except defused.DefusedXmlException:
            raise InputError(f"{where}: declares a DTD or entities, which no C-CDA has and are not read") from None
    if root.tag != f"{_V3}ClinicalDocument":
        raise InputError(f"{where}: XML, but not a C-CDA (a ClinicalDocument of urn:hl7-org:v3); give its text as .txt")
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return root
    raise InputError(f"{where}: its elements nest deeper than {MAX_DEPTH}; no C-CDA does")


def _body(root: Element, where: str) -> Extracted:
    page = Page()
    structured = root.find("component/structuredBody", _NAMES)
    if structured is not None:
        _sections(structured, page)
    found = page.text()
    if found:
        return Extracted(found)
    other = root.find("component/nonXMLBody/text", _NAMES)
    if other is None:
        raise InputError(f"{where}: a C-CDA without narrative: none of its sections has text; entries are not read")
    return _other_body(other, where)


def _other_body(element: Element, where: str) -> Extracted:
    """The text of a body that is not XML: base64 of a declared media type, or plain."""
    held = "".join(element.itertext())
    if element.get("representation") == "B64":
        return attachments.text(from_base64(held, where), element.get("mediaType", "text/plain"), where)
    if element.find("reference", _NAMES) is not None:
        raise InputError(f"{where}: its body is given by an address only, and nothing is fetched; give that document")
    return Extracted(held)


def _sections(container: Element, page: Page) -> None:
    for section in container.findall("component/section", _NAMES):
        title, narrative = section.find("title", _NAMES), section.find("text", _NAMES)
        page.paragraph()
        if title is not None:
            page.write("".join(title.itertext()))
            page.line()
        if narrative is not None:
            if len(narrative):
                _narrate(narrative, page)
            else:  # no markup at all: its lines are the only layout there is
                page.verbatim(narrative.text or "")
        _sections(section, page)


def _narrate(element: Element, page: Page) -> None:
    """Lay out one element of a narrative. `_root` bounds how deep they nest."""
    if element.get("revised") == "delete":
        return
    if element.tag == f"{_V3}br":
        page.line_break()
    elif element.tag == f"{_V3}tr":
        page.row([_cell(cell) for cell in element if cell.tag in (f"{_V3}td", f"{_V3}th")])
    else:
        _break(element, page)
        _narrate_within(element, page)
        _break(element, page)


def _narrate_within(element: Element, page: Page) -> None:
    page.write(element.text or "")
    for child in element:
        _narrate(child, page)
        page.write(child.tail or "")


def _cell(cell: Element) -> str:
    page = Page()
    _narrate_within(cell, page)
    return page.text()


def _break(element: Element, page: Page) -> None:
    if element.tag in _PARAGRAPHS:
        page.paragraph()
    elif element.tag in _LINES:
        page.line()


def _attribute(element: Element | None, name: str) -> str | None:
    return None if element is None else element.get(name)


def _id(element: Element | None) -> str | None:
    return _attribute(element, "extension") or _attribute(element, "root")


def _codings(code: Element | None) -> list[codes.Coding]:
    """A code and its translations."""
    if code is None:
        return []
    return [(each.get("codeSystem", ""), each.get("code", "")) for each in (code, *code.findall("translation", _NAMES))]
