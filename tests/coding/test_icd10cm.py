"""The ICD-10-CM table against the official data it was made from, and every lookup over it.

The oracle is `simple-icd-10-cm`, which parses the same edition on its own and joins the 7th characters its own way.
"""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import warnings
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from parsnlp.coding import icd10cm
from parsnlp.coding.icd10cm import DrgGroup, Edition, LegacyCode, edition_for, editions, normalize

TABLE_NAME = "icd10cm-2026-apr.json"
FRACTURE = "ABDGKS"
FATIGUE = "ADGS"
INJURY = "ADS"


@pytest.fixture(scope="module")
def oracle() -> Any:
    """The `simple_icd_10_cm` module; its import reads the whole classification and warns on Python 3.11."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("simple_icd_10_cm")


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    text = resources.files("parsnlp.coding").joinpath("tables").joinpath(TABLE_NAME).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.fixture(scope="module")
def edition() -> Edition:
    return editions()[-1]


def known_codes(edition: Edition, oracle: Any) -> list[str]:
    """Every code, category, block and chapter of the official data that lies in the carried families."""
    return [code for code in oracle.get_all_codes() if edition.carries(code) and "-" not in code]


# --- the table and the official data --------------------------------------------------------------------------------


def test_the_table_holds_every_official_code_of_its_families_and_no_other(edition: Edition, oracle: Any) -> None:
    official = set(known_codes(edition, oracle))
    ours = {code for family in edition.families for code in below(edition, family)}
    assert ours == official
    billable = sum(edition.is_billable(code) for code in official)
    assert billable == sum(oracle.is_leaf(code) for code in official)
    assert (len(official), billable) == (1587, 1261)


def below(edition: Edition, code: str) -> set[str]:
    return {code}.union(*(below(edition, child) for child in edition.children(code)))


def test_every_code_agrees_with_the_official_data(edition: Edition, oracle: Any) -> None:
    """Title, completeness, parent, children, ancestors, 7th characters and all notes, 7-character codes included."""
    for code in known_codes(edition, oracle):
        entry = edition.entry(code)
        assert entry is not None, code
        assert entry.code == code
        assert entry.title == edition.title(code) == oracle.get_description(code)
        assert entry.billable == edition.is_billable(code) == oracle.is_leaf(code), code
        assert entry.excludes1 == tuple(oracle.get_excludes1(code)), code
        assert entry.excludes2 == tuple(oracle.get_excludes2(code)), code
        assert entry.includes == tuple(oracle.get_includes(code)), code
        assert entry.inclusion_terms == tuple(oracle.get_inclusion_term(code)), code
        assert entry.notes == tuple(filter(None, oracle.get_notes(code).split("\n"))), code
        assert edition.children(code) == tuple(sorted(oracle.get_children(code))), code
        official_sevenths = oracle.get_seven_chr_def(code, search_in_ancestors=True)
        complete = {child[-1] for child in oracle.get_children(code) if oracle.is_extended_subcategory(child)}
        assert dict(entry.seventh) == {char: official_sevenths[char] for char in sorted(complete)}, code
        if oracle.is_extended_subcategory(code):
            assert dict(edition.seventh_characters(code)) == official_sevenths, code
        assert edition.ancestors(code) == official_ancestors(code, oracle), code
        assert entry.parent == official_ancestors(code, oracle)[0], code


def official_ancestors(code: str, oracle: Any) -> tuple[str, ...]:
    """The oracle's ancestors. It calls the block of one category "M99", like the category; the table "M99-M99"."""
    above = tuple(oracle.get_ancestors(code))
    return (*above[:-2], "M99-M99", above[-1]) if code.startswith("M99") else above


def test_the_rows_above_the_families_agree_too(edition: Edition, oracle: Any, table: dict[str, Any]) -> None:
    above = [row["code"] for row in table["rows"] if not edition.carries(row["code"]) or "-" in row["code"]]
    assert {"M48", "M53", "M99", "Q76", "S13", "S22", "S23", "S32", "S33", "13", "17", "19", "S30-S39"} <= set(above)
    for code in above:
        official = "M99" if code == "M99-M99" else code
        entry = edition.entry(code)
        assert entry is not None
        block = code == "M99-M99"
        assert entry.title == oracle.get_description(official, prioritize_blocks=block)
        assert not entry.billable
        assert not entry.seventh
        assert entry.excludes1 == tuple(oracle.get_excludes1(official, prioritize_blocks=block)), code
        assert entry.excludes2 == tuple(oracle.get_excludes2(official, prioritize_blocks=block)), code
        assert entry.includes == tuple(oracle.get_includes(official, prioritize_blocks=block)), code
        assert entry.notes == tuple(filter(None, oracle.get_notes(official, prioritize_blocks=block).split("\n"))), code
    assert edition.ancestors("M99.13") == ("M99.1", "M99", "M99-M99", "13")


def test_rows_are_sorted_complete_and_free_of_expanded_codes(table: dict[str, Any]) -> None:
    codes = [row["code"] for row in table["rows"]]
    assert codes == sorted(set(codes))
    assert {row["parent"] for row in table["rows"]} - {None} <= set(codes)
    for row in table["rows"]:
        if row["seventh"]:
            assert row["seventh"] in table["sevenths"]
            assert len(row["code"].replace(".", "") + row["placeholder"]) == 6
            assert not row["billable"]
        else:
            assert row["placeholder"] == ""


def test_the_header_names_edition_source_and_checks(table: dict[str, Any]) -> None:
    assert table["id"] == TABLE_NAME.removesuffix(".json")
    assert (table["valid_from"], table["valid_to"]) == ("2026-04-01", "2026-09-30")
    assert re.fullmatch(r"[0-9a-f]{64}", table["sha256"])
    assert table["codes_verified"] is True
    assert table["notes_verified"] is True
    assert "April 1 2026" in table["title"]
    assert "icd10c-tabular-April-1-2026.xml" in table["source"]
    assert table["generator"] == "tools/make_icd10cm_tables.py"
    text = json.dumps(table)
    assert len(text) < 150_000
    assert "://" not in text
    assert not re.search(r"/(tmp|home|usr|work|Users)/", text)


def test_the_checked_in_table_is_what_the_generator_writes(oracle: Any) -> None:
    script = Path(__file__).resolve().parents[2] / "tools" / "make_icd10cm_tables.py"
    if not script.is_file():
        pytest.skip("not a checkout")
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_excludes1_reference_is_one_the_parser_understands(edition: Edition, table: dict[str, Any]) -> None:
    """Each note with a code in it yields a reference; none carries a condition ("with fifth character 6")."""
    for row in table["rows"]:
        for note in row.get("excludes1", ()):
            references = icd10cm._references(note)
            assert bool(references) == bool(re.search(r"[A-Z]\d", note)), note
            assert "character" not in note


# --- the policy's codes ---------------------------------------------------------------------------------------------

REGIONS = {
    "0": "site unspecified",
    "1": "occipito-atlanto-axial region",
    "2": "cervical region",
    "3": "cervicothoracic region",
    "4": "thoracic region",
    "5": "thoracolumbar region",
    "6": "lumbar region",
    "7": "lumbosacral region",
    "8": "sacral and sacrococcygeal region",
    "9": "multiple sites in spine",
}


@pytest.mark.parametrize(("char", "region"), REGIONS.items())
def test_p_c3_fifth_characters(edition: Edition, char: str, region: str) -> None:
    for family, name in (("M43.0", "Spondylolysis"), ("M43.1", "Spondylolisthesis")):
        assert edition.title(family + char) == f"{name}, {region}"
        assert edition.is_billable(family + char)
        assert not edition.seventh_characters(family + char)


def test_p_c6_congenital(edition: Edition) -> None:
    entry = edition.entry("Q76.2")
    assert entry is not None
    assert (entry.title, entry.billable) == ("Congenital spondylolisthesis", True)
    assert entry.inclusion_terms == ("Congenital spondylolysis",)


@pytest.mark.parametrize("char", "012345678")
def test_p_c7_fatigue_fracture(edition: Edition, char: str) -> None:
    assert edition.title(f"M48.4{char}") == f"Fatigue fracture of vertebra, {REGIONS[char]}"
    assert "".join(edition.seventh_characters(f"M48.4{char}")) == FATIGUE
    assert [edition.is_billable(f"M48.4{char}X{last}") for last in "ADGSK"] == [True, True, True, True, False]


def test_p_c7_fatigue_fracture_has_no_multiple_sites_code(edition: Edition) -> None:
    assert not edition.is_known("M48.49")


ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth", 7: "seventh"}
LUMBAR = {0: "unspecified", 1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}
THORACIC = {
    0: "unspecified thoracic vertebra",
    1: "first thoracic vertebra",
    2: "second thoracic vertebra",
    3: "third thoracic vertebra",
    4: "fourth thoracic vertebra",
    5: "T5-T6 vertebra",
    6: "T7-T8 vertebra",
    7: "T9-T10 vertebra",
    8: "T11-T12 vertebra",
}


def injury_codes() -> dict[str, tuple[str, str]]:
    """Every S code of P-C8 and P-C9, up to its 7th character, with its official title and its 7th characters."""
    codes = {
        "S12.030": ("Displaced posterior arch fracture of first cervical vertebra", FRACTURE),
        "S12.031": ("Nondisplaced posterior arch fracture of first cervical vertebra", FRACTURE),
        "S12.000": ("Unspecified displaced fracture of first cervical vertebra", FRACTURE),
        "S12.001": ("Unspecified nondisplaced fracture of first cervical vertebra", FRACTURE),
        "S12.14X": ("Type III traumatic spondylolisthesis of second cervical vertebra", FRACTURE),
        "S12.150": ("Other traumatic displaced spondylolisthesis of second cervical vertebra", FRACTURE),
        "S12.151": ("Other traumatic nondisplaced spondylolisthesis of second cervical vertebra", FRACTURE),
        "S12.9XX": ("Fracture of neck, unspecified", INJURY),
        "S32.19X": ("Other fracture of sacrum", FRACTURE),
        "S32.10X": ("Unspecified fracture of sacrum", FRACTURE),
        "S33.100": ("Subluxation of unspecified lumbar vertebra", INJURY),
        "S33.101": ("Dislocation of unspecified lumbar vertebra", INJURY),
    }
    for number, word in ORDINALS.items():
        vertebra, stem = f"{word} cervical vertebra", f"S12.{number - 1}"
        for last, form in ("0", "displaced"), ("1", "nondisplaced"):
            codes[f"{stem}9{last}"] = (f"Other {form} fracture of {vertebra}", FRACTURE)
            codes[f"{stem}0{last}"] = (f"Unspecified {form} fracture of {vertebra}", FRACTURE)
            codes[f"{stem}3{last}"] = (f"Unspecified traumatic {form} spondylolisthesis of {vertebra}", FRACTURE)
    for number, vertebra in THORACIC.items():
        codes[f"S22.0{number}8"] = (f"Other fracture of {vertebra}", FRACTURE)
        codes[f"S22.0{number}9"] = (f"Unspecified fracture of {vertebra}", FRACTURE)
    codes["S22.068"] = ("Other fracture of T7-T8 thoracic vertebra", FRACTURE)  # the official title's own wording
    for number, word in LUMBAR.items():
        codes[f"S32.0{number}8"] = (f"Other fracture of {word} lumbar vertebra", FRACTURE)
        codes[f"S32.0{number}9"] = (f"Unspecified fracture of {word} lumbar vertebra", FRACTURE)
    for number in range(1, 5):
        codes[f"S33.1{number}0"] = (f"Subluxation of L{number}/L{number + 1} lumbar vertebra", INJURY)
        codes[f"S33.1{number}1"] = (f"Dislocation of L{number}/L{number + 1} lumbar vertebra", INJURY)
    return codes


@pytest.mark.parametrize(("stem", "title", "characters"), [(stem, *row) for stem, row in injury_codes().items()])
def test_p_c8_to_p_c10_injury_codes(edition: Edition, stem: str, title: str, characters: str) -> None:
    assert "".join(edition.seventh_characters(stem)) == characters
    for character, meaning in edition.seventh_characters(stem).items():
        assert edition.is_billable(stem + character)
        assert edition.title(stem + character) == f"{title}, {meaning}"
    assert not edition.is_billable(stem)


# --- the lookups ----------------------------------------------------------------------------------------------------


def test_a_complete_code_has_an_entry_of_its_own(edition: Edition) -> None:
    entry = edition.entry("S32.058A")
    assert entry is not None
    assert entry.title == "Other fracture of fifth lumbar vertebra, initial encounter for closed fracture"
    assert (entry.billable, entry.parent, dict(entry.seventh)) == (True, "S32.058", {})
    assert edition.entry("S12.14XA") is not None
    assert edition.children("S12.14") == tuple(f"S12.14X{last}" for last in FRACTURE)


@pytest.mark.parametrize(
    "code", ["M4306", "m43.06", "S32058A", "S12.9A", "S12.9XX", "S12.9XXB", "S32.058Z", "", "738.4"]
)
def test_anything_but_a_canonical_existing_code_has_no_entry(edition: Edition, code: str) -> None:
    assert edition.entry(code) is None
    assert not edition.is_known(code)
    assert not edition.is_billable(code)
    with pytest.raises(LookupError, match="is not in icd10cm-2026-apr"):
        edition.title(code)
    with pytest.raises(LookupError):
        edition.ancestors(code)
    with pytest.raises(LookupError):
        edition.children(code)


def test_entries_cannot_be_changed(edition: Edition) -> None:
    entry = edition.entry("S32.058")
    assert entry is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.title = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        entry.seventh["Z"] = "x"  # type: ignore[index]
    assert hash(entry) == hash(edition.entry("S32.058"))
    assert not hasattr(entry, "__dict__")


def test_is_known_means_codes_not_blocks_or_chapters(edition: Edition) -> None:
    assert edition.is_known("M43")
    assert edition.is_known("S32")
    assert edition.is_known("S32.058A")
    assert edition.entry("M40-M43") is not None
    assert not edition.is_known("M40-M43")
    assert not edition.is_known("13")


def test_carries_tells_unknown_from_not_carried(edition: Edition) -> None:
    assert edition.carries("M43.99")
    assert not edition.is_known("M43.99")
    assert not edition.carries("M54.50")
    assert not edition.carries("S32.401A")
    assert not edition.carries("Q76")
    assert edition.carries("S12.9XXZ")
    with pytest.raises(LookupError, match="family is not carried"):
        edition.title("M54.50")


@pytest.mark.parametrize(
    ("code", "characters"),
    [
        ("S32.058", FRACTURE),
        ("S32.058A", FRACTURE),
        ("S32.058Z", FRACTURE),
        ("S12.9", INJURY),
        ("S12.9XX", INJURY),
        ("S12.9XXA", INJURY),
        ("S12.9XXB", INJURY),
        ("S12.9A", ""),
        ("S32.05", ""),
        ("S32", ""),
        ("M43.06", ""),
        ("M43.069", ""),
        ("M54.50", ""),
        ("", ""),
    ],
)
def test_seventh_characters(edition: Edition, code: str, characters: str) -> None:
    assert "".join(edition.seventh_characters(code)) == characters


def test_ancestors_and_children(edition: Edition) -> None:
    assert edition.ancestors("M43.06") == ("M43.0", "M43", "M40-M43", "13")
    assert edition.ancestors("S32.058A") == ("S32.058", "S32.05", "S32.0", "S32", "S30-S39", "19")
    assert edition.ancestors("M43.5X6")[:3] == ("M43.5X", "M43.5", "M43")
    assert edition.ancestors("13") == ()
    assert edition.children("M43.0") == tuple(f"M43.0{char}" for char in REGIONS)
    assert edition.children("M43.06") == ()
    assert edition.children("S32") == ("S32.0", "S32.1")
    assert edition.children("17") == ("Q65-Q79",)


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        ("M43.06", "M43.16", "spondylolisthesis (M43.1)"),
        ("M43.16", "M43.06", "spondylolisthesis (M43.1)"),
        ("M43.06", "Q76.2", "congenital spondylolysis (Q76.2)"),
        ("Q76.2", "M43.06", "spondylolysis (acquired) (M43.0-)"),
        ("M43.17", "Q76.2", "congenital spondylolisthesis (Q76.2)"),
        ("Q76.2", "M43.17", "spondylolisthesis (acquired) (M43.1-)"),
        ("M43.27", "Q76.2", "congenital spondylolysis and spondylolisthesis (Q76.2)"),
        ("M43.06", "Q76.0", "spina bifida occulta (Q76.0)"),
        ("M43.06", "Q76.1", "Klippel-Feil syndrome (Q76.1)"),
        ("M43.06", "Q76.3", "hemivertebra (Q76.3-Q76.4)"),
        ("M43.06", "Q76.49", "hemivertebra (Q76.3-Q76.4)"),
        ("Q76.426", "M43.16", "hemivertebra (Q76.3-Q76.4)"),
        ("M43.17", "S33.100A", "acute traumatic of lumbosacral region (S33.1)"),
        ("S33.140D", "M43.16", "acute traumatic of lumbosacral region (S33.1)"),
        ("M48.46XA", "S32.058A", "traumatic fracture of vertebrae (S12.0-S12.3-, S22.0-, S32.0-)"),
        ("M48.42XA", "S12.391A", "traumatic fracture of vertebrae (S12.0-S12.3-, S22.0-, S32.0-)"),
        ("M48.42XA", "S12.490A", None),
        ("M43.16", "M80.08XA", "spinal curvature in osteoporosis (M80.-)"),
        ("M80.08XA", "M43.16", "spinal curvature in osteoporosis (M80.-)"),
        ("M43.99", "Q76.2", "congenital spondylolysis and spondylolisthesis (Q76.2)"),
        ("M53.2X7", "M46.46", "discitis NOS (M46.4-)"),
        ("M43.5X6", "M99.13", "biomechanical lesions NEC (M99.-)"),
        ("M43.16", "S12.130A", None),
        ("M43.06", "S32.058A", None),
        ("S32.058A", "S33.140A", None),
        ("M43.06", "M43.06", None),
        ("M43.06", "M43.07", None),
        ("M43.06", "M54.50", None),
        ("M54.50", "M47.816", None),
        ("M43.06", "Q76.5", None),
        ("", "", None),
    ],
)
def test_excludes1_conflict(edition: Edition, a: str, b: str, note: str | None) -> None:
    assert edition.excludes1_conflict(a, b) == note


def test_excludes1_conflict_does_not_depend_on_the_order(edition: Edition) -> None:
    codes = ["M43.06", "M43.16", "Q76.2", "Q76.49", "M48.46XA", "S32.058A", "S33.100A", "S12.130A", "M43.5X6", "M99.13"]
    for a in codes:
        for b in codes:
            assert (edition.excludes1_conflict(a, b) is None) == (edition.excludes1_conflict(b, a) is None), (a, b)


def test_legacy_codes(edition: Edition) -> None:
    assert edition.legacy("738.4") == LegacyCode("738.4", "Acquired spondylolisthesis", ("M43.0", "M43.1"))
    assert edition.legacy("756.11") == LegacyCode("756.11", "Spondylolysis, lumbosacral region", ("Q76.2",))
    assert edition.legacy("756.12") == LegacyCode("756.12", "Spondylolisthesis", ("Q76.2",))
    assert edition.legacy("724.2") is None
    assert [legacy.code for legacy in edition.legacy_codes()] == ["738.4", "756.11", "756.12"]
    assert all(edition.is_known(family) for legacy in edition.legacy_codes() for family in legacy.successors)


def test_p_x5_drg_groups(edition: Edition) -> None:
    pair = (
        DrgGroup("551", "Medical Back Problems with MCC", True),
        DrgGroup("552", "Medical Back Problems without MCC", False),
    )
    assert edition.drg_version == "43.1"
    for char in REGIONS:
        assert edition.drg_groups(f"M43.0{char}") == pair
        assert edition.drg_groups(f"M43.1{char}") == pair
    for code in ("M43.0", "M43.27", "Q76.2", "S32.058A", "M43.0Z", "M54.50"):
        assert edition.drg_groups(code) == ()


# --- editions and normalize -----------------------------------------------------------------------------------------


def test_editions(edition: Edition, table: dict[str, Any]) -> None:
    assert editions() is editions()
    assert [one.id for one in editions()] == ["icd10cm-2026-apr"]
    assert edition.name == table["title"]
    for name in (
        "id",
        "valid_from",
        "valid_to",
        "source",
        "sha256",
        "codes_verified",
        "notes_verified",
        "verification",
    ):
        assert getattr(edition, name) == table[name]
    assert edition.families == tuple(table["families"])
    assert len(repr(edition)) < 3000


@pytest.mark.parametrize(
    ("date", "covers"),
    [
        (None, None),
        ("2026-04-01", True),
        ("2026-09-30", True),
        ("2026-03-31", False),
        ("2026-10-01", False),
        ("2015-01-01", False),
    ],
)
def test_edition_for(edition: Edition, date: str | None, covers: bool | None) -> None:
    found, covered = edition_for(date)
    assert found is edition
    assert covered is covers


def test_edition_for_picks_the_covering_else_the_nearest(edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    old = dataclasses.replace(edition, id="old", valid_from="2024-10-01", valid_to="2025-03-31")
    both = (old, edition)
    monkeypatch.setattr(icd10cm, "editions", lambda: both)
    assert edition_for("2025-01-01") == (old, True)
    assert edition_for("2025-05-01") == (old, False)
    assert edition_for("2026-03-01") == (edition, False)
    assert edition_for("2027-01-01") == (edition, False)
    assert edition_for(None) == (edition, None)
    revised = dataclasses.replace(edition, id="revised", valid_from="2026-07-01")
    monkeypatch.setattr(icd10cm, "editions", lambda: (*both, revised))
    assert edition_for("2026-08-01") == (revised, True)
    assert edition_for("2026-05-01") == (edition, True)


@pytest.mark.parametrize(
    "date", ["", "2026", "20260415", "2026-13-01", "2026-02-30", "04/15/2026", "2026-04-15T08:00", "2026-W16-3"]
)
def test_edition_for_refuses_what_is_no_date(date: str) -> None:
    with pytest.raises(ValueError, match="is not an ISO date"):
        edition_for(date)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("M4306", "M43.06"),
        ("m43.06", "M43.06"),
        (" M43.06\n", "M43.06"),
        ("S32058A", "S32.058A"),
        ("s32.058a", "S32.058A"),
        ("s129xxa", "S12.9XXA"),
        ("M43", "M43"),
        ("q762", "Q76.2"),
        ("QA0", "QA0"),
        ("C4A0", "C4A.0"),
    ],
)
def test_normalize(given: str, canonical: str) -> None:
    assert normalize(given) == canonical
    assert normalize(canonical) == canonical


@pytest.mark.parametrize(
    "given",
    [
        "",
        "M4",
        "M43.",
        "M430.6",
        "M43.1-",
        "M43.0.6",
        "738.4",
        "756.11",
        "L5-S1",
        "S32.058AA",
        "M40-M43",
        "spine",
        "M43 06",
    ],
)
def test_normalize_refuses_other_shapes(given: str) -> None:
    with pytest.raises(ValueError, match="has not the shape"):
        normalize(given)


def test_normalize_reaches_every_code(edition: Edition, table: dict[str, Any]) -> None:
    for row in table["rows"]:
        if edition.is_known(row["code"]):
            assert normalize(row["code"].replace(".", "").lower()) == row["code"]


def test_import_reads_no_table_and_needs_no_other_package() -> None:
    program = (
        "import sys, parsnlp.coding.icd10cm as m; assert m.editions.cache_info().currsize == 0; "
        "print([n for n in sys.modules if n in ('spacy', 'pydantic', 'yaml', 'simple_icd_10_cm')])"
    )
    source = Path(icd10cm.__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(source)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
