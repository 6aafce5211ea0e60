"""The official tabular XML of ICD-10-CM read to a table: the families this library codes to, and those above them.

Only the layout that NCHS has published since 2015 is known. No document type, entity or outside reference is accepted, and
no file over 100 million bytes, so that a hostile file costs no more than reading it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from parsnlp.coding import icd10cm
from parsnlp.errors import InputError

LONGEST = 100_000_000
"""Bytes of the largest XML that is read; the official files have about nine million."""

#: Families whose every code is kept. Their ancestors, up to the chapter, are kept as well.
FAMILIES = (
    "M43", "M48.4", "M53.2", "M99.1", "Q76.0", "Q76.1", "Q76.2", "Q76.3", "Q76.4",
    "S12", "S13.1", "S22.0", "S23.1", "S32.0", "S32.1", "S33.1",
)  # fmt: skip

#: Names of the 7th-character sets, keyed by the characters and the meaning of the first one.
SET_NAMES = {
    ("ABDGKS", "initial encounter for closed fracture"): "vertebral-fracture",
    ("ADGS", "initial encounter for fracture"): "fatigue-fracture",
    ("ADS", "initial encounter"): "injury",
}

NOTE_FIELDS = {
    "excludes1": "excludes1",
    "excludes2": "excludes2",
    "includes": "includes",
    "inclusionTerm": "inclusion_terms",
    "notes": "notes",
}

Row = dict[str, object]


def parse(data: bytes, where: str) -> Slice:
    """The rows of a tabular XML. Raises `InputError` for one that is too large, unsafe, broken or of another layout."""
    if len(data) > LONGEST:
        raise InputError(f"{where}: larger than {LONGEST:,} bytes, which no tabular list is")
    _refuse_declarations(data, where)
    try:
        root = ElementTree.fromstring(data)
        if root.tag != "ICD10CM.tabular":
            raise InputError(f"{where}: not an ICD-10-CM tabular list (its root is not ICD10CM.tabular)")
        part = Slice()
        part.chapters(root)
    except ElementTree.ParseError as error:
        line, column = error.position
        raise InputError(f"{where}: not XML that can be read (line {line}, column {column})") from None
    except (ValueError, KeyError, RecursionError) as error:
        raise InputError(f"{where}: not of the layout of a tabular list ({type(error).__name__}: {error})") from None
    missing = [family for family in FAMILIES if not any(row["code"] == family for row in part.rows)]
    if missing:
        raise InputError(f"{where}: lacks {', '.join(missing)}; give the whole tabular list")
    return part


def _refuse_declarations(data: bytes, where: str) -> None:
    """Stop at a document type, the place of entities, before anything is expanded."""

    def refuse(*_: Any) -> None:
        raise InputError(f"{where}: declares a document type or entities; the official tabular XML does not")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputError(f"{where}: not XML that can be read (line {error.lineno}, column {error.offset})") from None


def text_of(node: ElementTree.Element | None, where: str) -> str:
    """The node's text, which must be there and must carry no white space around it."""
    text = node.text if node is not None else None
    if not text or text != text.strip():
        raise ValueError(f"{where}: empty or padded text {text!r} in the tabular XML")
    return text


def notes_of(node: ElementTree.Element, code: str) -> Iterator[tuple[str, str]]:
    """The (field, text) pairs of the notes that stand at this very node, in the order of the XML."""
    for child in node:
        if child.tag in NOTE_FIELDS:
            for note in child.findall("note"):
                yield NOTE_FIELDS[child.tag], text_of(note, code)


def in_families(code: str) -> bool:
    return code.startswith(FAMILIES)


def leads_to_family(code: str) -> bool:
    return any(family.startswith(code) for family in FAMILIES)


class Slice:
    """Collects the rows of the families and of their ancestors, and the 7th-character sets they use."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.sets: dict[str, dict[str, str]] = {}

    def set_name(self, node: ElementTree.Element, inherited: str | None) -> str | None:
        """The 7th-character set in force at this node: its own, else the one it inherits."""
        definition = node.find("sevenChrDef")
        if definition is None:
            return inherited
        meanings = {item.attrib["char"]: text_of(item, "sevenChrDef") for item in definition.findall("extension")}
        name = SET_NAMES[("".join(sorted(meanings)), meanings["A"])]
        if self.sets.setdefault(name, meanings) != meanings:
            raise ValueError(f"two different 7th-character sets would be called {name!r}")
        return name

    def add(self, code: str, node: ElementTree.Element, parent: str | None, leaf: bool, seventh: str | None) -> None:
        row: Row = {
            "code": code,
            "title": text_of(node.find("desc"), code),
            "parent": parent,
            "billable": leaf and seventh is None,
            "seventh": seventh if leaf else None,
            "placeholder": "X" * (6 - len(code.replace(".", ""))) if leaf and seventh else "",
        }
        for field, text in notes_of(node, code):
            values = row.setdefault(field, [])
            assert isinstance(values, list)
            values.append(text)
        self.rows.append(row)

    def walk(self, node: ElementTree.Element, parent: str, inherited: str | None) -> None:
        code = text_of(node.find("name"), parent)
        if not (in_families(code) or leads_to_family(code)):
            return
        seventh = self.set_name(node, inherited)
        below = node.findall("diag")
        self.add(code, node, parent, leaf=not below, seventh=seventh)
        for child in below:
            self.walk(child, code, seventh)

    def chapters(self, root: ElementTree.Element) -> None:
        for chapter in root.findall("chapter"):
            number = text_of(chapter.find("name"), "chapter")
            kept = [section for section in chapter.findall("section") if self.keeps(section)]
            if not kept:
                continue
            self.add(number, chapter, None, leaf=False, seventh=None)
            for section in kept:
                # A block of one category has that category's name in the XML (M99); its range form keeps them apart.
                block = section.attrib["id"] if "-" in section.attrib["id"] else "-".join([section.attrib["id"]] * 2)
                self.add(block, section, number, leaf=False, seventh=None)
                for category in section.findall("diag"):
                    self.walk(category, block, None)

    @staticmethod
    def keeps(section: ElementTree.Element) -> bool:
        names = [text_of(category.find("name"), "category") for category in section.findall("diag")]
        return any(in_families(name) or leads_to_family(name) for name in names)


def complete_codes(rows: list[Row], sets: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Every code of the rows with its 7th character added, and without a dot, as the code list writes them."""
    codes: set[str] = set()
    for row in rows:
        code = str(row["code"])
        if not in_families(code):
            continue
        codes.add(code.replace(".", ""))
        if row["seventh"]:
            stem = code.replace(".", "") + str(row["placeholder"])
            codes.update(stem + character for character in sets[str(row["seventh"])])
    return codes


def one_a_line(rows: object) -> str:
    """A JSON array with one compact row on each line, so that a change shows as a short diff."""
    assert isinstance(rows, list | tuple)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return "[\n  " + ",\n  ".join(lines) + "\n ]"


def render(header: Mapping[str, object], part: Slice, icd9: Mapping[str, object], drg: Mapping[str, object]) -> str:
    """The text of an edition's table: its header, the rows of the XML, and what is not from the XML."""
    rows, sets = part.rows, part.sets

    def member(name: str, value: str) -> str:
        return f" {json.dumps(name)}: {value}"

    def table(source: Mapping[str, object]) -> str:
        parts = [
            f"  {json.dumps(key)}: {one_a_line(value) if key == 'rows' else json.dumps(value)}"
            for key, value in source.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n }"

    members = [member(key, json.dumps(value)) for key, value in header.items()]
    members.append(member("families", json.dumps(list(FAMILIES))))
    members.append(member("sevenths", json.dumps({name: dict(sorted(sets[name].items())) for name in sorted(sets)})))
    members.append(member("rows", one_a_line(sorted(rows, key=lambda row: str(row["code"])))))
    members.append(member("icd9", table(icd9)))
    members.append(member("drg", table(drg)))
    return "{\n" + ",\n".join(members) + "\n}\n"


def given(data: bytes, name: str, release: str, valid_from: str, valid_to: str) -> str:
    """The table of a release whose official XML the user gives. What is not in the XML is that of the newest table carried.

    `name`: of the file. Raises `InputError` as `parse` does.
    """
    newest = json.loads(icd10cm.shipped()[-1])
    header = {
        "id": f"icd10cm-{valid_from}",
        "title": f"ICD-10-CM Tabular List of Diseases and Injuries, {release}",
        "date": valid_from,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "source": f"tabular XML given by the user ({name})",
        "sha256": hashlib.sha256(data).hexdigest(),
        "codes_verified": True,
        "notes_verified": True,
        "verification": "read from that XML; it was not compared with another copy",
        "generator": "parsnlp codes import",
    }
    return render(header, parse(data, name), newest["icd9"], newest["drg"])
