"""The code tables of `patterns/codes.yaml`: complete by the policy (P-C3, P-C8, P-C9), each code real and billable."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from parsnlp import rules
from parsnlp.coding import icd10cm
from parsnlp.coding.drafts import CodeBook
from parsnlp.extract.levels import SPINE, members
from parsnlp.models import Policy

EDITION, _ = icd10cm.edition_for(None)
CERVICAL = [f"C{n}" for n in range(1, 8)]
THORACIC = [f"T{n}" for n in range(1, 13)]
LUMBAR = [f"L{n}" for n in range(1, 6)]

# P-C3, as the policy prints it.
CHARACTERS = {
    **dict.fromkeys(["C1", "C2", "C0-C1", "C1-C2"], "1"),
    **dict.fromkeys(["C3", "C4", "C5", "C6", "C7", "C2-C3", "C3-C4", "C4-C5", "C5-C6", "C6-C7"], "2"),
    "C7-T1": "3",
    **dict.fromkeys(THORACIC, "4"),
    **dict.fromkeys([f"T{n}-T{n + 1}" for n in range(1, 12)], "4"),
    "T12-L1": "5",
    **dict.fromkeys([*LUMBAR, "L6", "L1-L2", "L2-L3", "L3-L4", "L4-L5", "L5-L6"], "6"),
    **dict.fromkeys(["L5-S1", "L6-S1"], "7"),
    **dict.fromkeys(["S1", "S2", "S3", "S4", "S5", "S1-S2"], "8"),
}
# P-C8: other (arch) fracture and unspecified fracture, displaced first where the code says so.
FRACTURES = {
    "C1": (["S12.030", "S12.031"], ["S12.000", "S12.001"]),
    **{f"C{n}": ([f"S12.{n - 1}90", f"S12.{n - 1}91"], [f"S12.{n - 1}00", f"S12.{n - 1}01"]) for n in range(2, 8)},
    **{f"T{n}": ([f"S22.0{n}8"], [f"S22.0{n}9"]) for n in range(1, 5)},
    **{f"T{n}": ([f"S22.0{(n + 5) // 2}8"], [f"S22.0{(n + 5) // 2}9"]) for n in range(5, 13)},
    **{f"L{n}": ([f"S32.0{n}8"], [f"S32.0{n}9"]) for n in range(1, 6)},
    "cervical": (["S12.9XX"], ["S12.9XX"]),
    "thoracic": (["S22.008"], ["S22.009"]),
    "lumbar": (["S32.008"], ["S32.009"]),
    "sacral": (["S32.19X"], ["S32.10X"]),
}
SLIPS = {f"C{n}": [f"S12.{n - 1}30", f"S12.{n - 1}31"] for n in range(2, 8)}
DISLOCATIONS = {
    "L1-L2": ["S33.110", "S33.111"],
    "L2-L3": ["S33.120", "S33.121"],
    "L3-L4": ["S33.130", "S33.131"],
    "L4-L5": ["S33.140", "S33.141"],
    "other": ["S33.100", "S33.101"],
}


@functools.cache
def tables() -> dict[str, Any]:
    return dict(rules.load().tables["codes"])


@functools.cache
def book() -> CodeBook:
    return CodeBook(tables(), EDITION, Policy())


def stems() -> Iterator[str]:
    """Every code of the injury tables, without its 7th character."""
    for row in tables()["fractures"].values():
        yield from row["arch"]
        yield from row["unspecified"]
    for name in ("traumatic_slips", "hangman", "dislocations"):
        for codes in tables()[name].values():
            yield from codes


@pytest.mark.parametrize("level", CHARACTERS)
def test_the_character_of_each_level(level: str) -> None:
    region = book().region_of(level)
    assert region is not None
    assert tables()["regions"][region]["character"] == CHARACTERS[level]


def test_every_vertebra_and_every_segment_has_one_region() -> None:
    spine = [name for name in SPINE if name != "L6"]
    wanted = {*SPINE, *(f"{upper}-{lower}" for upper, lower in itertools.pairwise(spine)), "L5-L6", "L6-S1"}
    listed = [name for row in tables()["regions"].values() for name in (*row["vertebrae"], *row["segments"])]
    assert sorted(listed) == sorted(wanted)
    assert len(listed) == len(set(listed))
    for name in wanted:
        assert book().region_of(name) is not None, name


def test_no_region_of_what_is_no_level() -> None:
    for name in ("L7", "L5-S2", "lumbar", "", "S1-L5"):
        assert book().region_of(name) is None


def test_regions_are_numbered_from_above_down() -> None:
    rows = tables()["regions"]
    assert [row["character"] for row in rows.values()] == list("12345678")
    assert (tables()["multiple_sites"], tables()["unspecified_site"]) == ("9", "0")
    for row in rows.values():
        for segment in row["segments"]:
            assert len(members(segment)) == 2


@pytest.mark.parametrize("family", ["spondylolysis", "spondylolisthesis", "fatigue_fracture"])
def test_every_sited_code_exists_and_says_its_region(family: str) -> None:
    words = {
        "1": "occipito-atlanto-axial", "2": "cervical", "3": "cervicothoracic", "4": "thoracic", "5": "thoracolumbar",
        "6": "lumbar", "7": "lumbosacral", "8": "sacral and sacrococcygeal", "9": "multiple", "0": "unspecified",
    }  # fmt: skip
    for character, word in words.items():
        code = f"{tables()['families'][family]}{character}"
        if family == "fatigue_fracture":
            if character == "9":
                assert not EDITION.is_known(code)  # P-C7: there is no multiple-sites code
                continue
            code += "XA"
        assert EDITION.is_billable(code), code
        assert word in EDITION.title(code).lower(), code


def test_the_families() -> None:
    assert tables()["families"] == {
        "spondylolysis": "M43.0",
        "spondylolisthesis": "M43.1",
        "congenital": "Q76.2",
        "fatigue_fracture": "M48.4",
    }
    assert EDITION.is_billable("Q76.2")


def test_the_fracture_table_is_the_policys() -> None:
    got = {name: (list(row["arch"]), list(row["unspecified"])) for name, row in tables()["fractures"].items()}
    assert got == FRACTURES


def test_the_slip_tables_are_the_policys() -> None:
    assert {name: list(codes) for name, codes in tables()["traumatic_slips"].items()} == {
        "lumbosacral": ["S33.100"],
        **SLIPS,
    }
    assert {name: list(codes) for name, codes in tables()["dislocations"].items()} == DISLOCATIONS
    assert {name: list(codes) for name, codes in tables()["hangman"].items()} == {
        "default": ["S12.130", "S12.131"],
        "type-III": ["S12.14X"],
        "type-I-II": ["S12.150", "S12.151"],
    }


def test_every_injury_code_is_billable_with_each_character_the_policy_gives_it() -> None:
    found = sorted(set(stems()))
    assert len(found) > 60
    for stem in found:
        short = stem.startswith(tuple(tables()["short_seventh"]))
        for character in "ADS" if short else "ABDGKS":
            assert EDITION.is_billable(f"{stem}{character}"), f"{stem}{character}"
        assert not EDITION.is_billable(stem), stem
        assert set(EDITION.seventh_characters(stem)) == set("ADS" if short else "ABDGKS"), stem


def test_titles_name_the_vertebra() -> None:
    ordinals = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"]
    for name, row in tables()["fractures"].items():
        for kind, word in (("arch", "other"), ("unspecified", "unspecified")):
            for code in row[kind]:
                title = EDITION.title(f"{code}A").lower()
                if name[0] in "CL" and name[1:].isdigit():
                    assert ordinals[int(name[1:]) - 1] in title, (name, code, title)
                elif name[0] == "T" and name[1:].isdigit():
                    assert f"t{name[1:]}" in title or ordinals[int(name[1:]) - 1] in title, (name, code, title)
                if name[1:].isdigit() and (name, kind) != ("C1", "arch"):
                    assert word in title, (name, code, title)


def test_displaced_comes_before_nondisplaced() -> None:
    pairs = [codes for codes in _pairs() if len(codes) == 2]
    assert len(pairs) >= 20
    for displaced, nondisplaced in pairs:
        title, other = EDITION.title(f"{displaced}A"), EDITION.title(f"{nondisplaced}A")
        if "nondisplaced" in other.lower():
            assert "displaced" in title.lower().replace("nondisplaced", ""), displaced
        else:
            assert ("Subluxation" in title, "Dislocation" in other) == (True, True), displaced


def _pairs() -> Iterator[list[str]]:
    for row in tables()["fractures"].values():
        yield from (row["arch"], row["unspecified"])
    for name in ("traumatic_slips", "hangman", "dislocations"):
        yield from tables()[name].values()


def test_the_codes_stand_apart() -> None:
    """No two vertebrae share a code, but for the pairs that the classification joins (T5-T6 and below)."""
    seen: dict[str, set[str]] = {}
    for name, row in tables()["fractures"].items():
        for code in {*row["arch"], *row["unspecified"]}:
            seen.setdefault(code, set()).add(name)
    shared = {frozenset(names) for names in seen.values() if len(names) > 1}
    assert shared == {frozenset({f"T{n}", f"T{n + 1}"}) for n in (5, 7, 9, 11)}
