"""Columns of plain-text tables: which rows stand under a finding's name, and what they answer."""

from __future__ import annotations

import pytest

import parsnlp
from parsnlp import rules
from parsnlp.extract.tables import across, column

LEVELS = rules.load().piece("level_heading")
SPACED = (
    "Level      Disc            Listhesis   Pars defect   Canal\n"
    "L3-L4      bulge           No          No            patent\n"
    "L4-L5      bulge           {slip:<12}{lysis:<14}mild\n"
    "L5-S1      vacuum          No          No            patent\n"
)


def rows(text: str, name: str) -> list[tuple[str, str | None]]:
    at = text.index(name)
    found = column(text, at, at + len(name), LEVELS)
    return [
        (text[row.head.start : row.head.end], text[row.cell.start : row.cell.end] if row.cell else None)
        for row in found
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Level | Disc | Listhesis\nL3-4 | bulge | no\nL4-5 | ok | grade 1\n\nEnd | of | it",
        "| Level | Disc | Listhesis |\n|-------|------|-----------|\n| L3-4 | bulge | no |\n| L4-5 | ok | grade 1 |",
        "Level\tDisc\tListhesis\r\nL3-4\tbulge\tno\r\nL4-5\tok\tgrade 1\r\n",
        "Level    Disc     Listhesis\rL3-4     bulge    no\rL4-5     ok       grade 1",
    ],
)
def test_bars_tabs_and_spaces_part_columns(text: str) -> None:
    assert rows(text, "Listhesis") == [("L3-4", "no"), ("L4-5", "grade 1")]


def test_two_columns_are_enough_where_the_first_is_of_levels() -> None:
    assert rows("| Level | Slip |\n|---|---|\n| L4-5 | no |\n| L5-S1 | grade 1 |", "Slip") == [
        ("L4-5", "no"),
        ("L5-S1", "grade 1"),
    ]
    assert rows("Visit   Slip\nMay     no\nJune    no", "Slip") == []


def test_a_row_of_a_level_is_no_heading() -> None:
    """Else "normal" one row below would deny what stands in it."""
    table = "Level\tAlignment\tCanal\nL3-4\tnormal\tok\nL4-5\tslip\tnarrow\nL5-S1\tnormal\tok"
    assert rows(table, "slip") == []
    codes = parsnlp.load().extract(table.replace("slip", "G1 anterolisthesis")).codes
    assert [code.code for code in codes] == ["M43.16"]


def test_a_row_that_leaves_a_cell_out_is_matched_by_place() -> None:
    text = "Level   Disc     Slip     Canal\nL4-5             3 mm     ok\nL5-S1   bulge             ok"
    assert rows(text, "Slip") == [("L4-5", "3 mm"), ("L5-S1", None)]


@pytest.mark.parametrize(
    "text",
    [
        "There is no spondylolisthesis.\nL4-5: bulge.",
        "spondylolisthesis | asthma | gout",
        "mat. grandmother  spondylolisthesis  two operations",
        "A   B   spondylolisthesis with stenosis and pain\n1   2   no",
    ],
)
def test_what_is_no_table_has_no_rows(text: str) -> None:
    assert rows(text, "spondylolisthesis") == []


@pytest.mark.parametrize(
    ("slip", "lysis", "codes"),
    [
        ("No", "No", []),
        ("grade 1", "No", ["M43.16"]),
        ("-", "bilateral", ["M43.06"]),
        ("3 mm", "left", ["M43.16", "M43.06"]),
    ],
)
def test_a_column_decides_its_headings_finding(slip: str, lysis: str, codes: list[str]) -> None:
    text = "CT LUMBAR SPINE\n\n" + SPACED.format(slip=slip, lysis=lysis)
    assert [code.code for code in parsnlp.load().extract(text).codes] == codes


def test_a_yes_in_a_column_brings_its_row() -> None:
    result = parsnlp.load().extract("MRI\n\n" + SPACED.format(slip="grade 2", lysis="No"))
    slip = next(item for item in result.conditions if item.condition == "spondylolisthesis")
    assert (slip.levels, slip.grade) == (("L4-L5",), "II")
    cues = [cue for finding in result.findings for cue in finding.cues]
    assert [cue.text for cue in cues] == ["grade 2", "No", "No", "No"]


def test_a_crowded_line_is_no_heading() -> None:
    text = "  ".join(["spondylolisthesis"] * 20_000)
    assert not any(column(text, at, at + 17, LEVELS) for at in range(0, len(text), 1900))


@pytest.mark.parametrize(
    ("cell", "codes"), [("bilateral defects", ["M43.06"]), ("intact", []), ("left lysis", ["M43.06"]), ("fine", [])]
)
@pytest.mark.parametrize("gap", [" | ", "\t", "     "])
def test_a_column_of_the_pars(cell: str, codes: list[str], gap: str) -> None:
    rows_ = (("Level", "Pars", "Facets"), ("L4", "intact", "OA"), ("L5", cell, "OA"))
    text = "CT\n\n" + "\n".join(gap.join(row) for row in rows_)
    assert [code.code for code in parsnlp.load().extract(text).codes] == codes


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        (("none", "none", "none"), []),
        (("none", "5 mm", "none"), ["M43.16"]),
        (("none", "grade 1", "grade 1"), ["M43.19"]),
        (("-", "-", "4 mm"), ["M43.17"]),
    ],
)
@pytest.mark.parametrize("corner", ["Segment", ""])
@pytest.mark.parametrize("gap", [" | ", "\t", "     "])
def test_a_row_under_levels(cells: tuple[str, ...], codes: list[str], corner: str, gap: str) -> None:
    rows_ = ((corner, "L3-4", "L4-5", "L5-S1"), ("Disc", "ok", "bulge", "ok"), ("Listhesis", *cells))
    text = "CT\n\n" + "\n".join(gap.join(row) for row in rows_)
    assert [code.code for code in parsnlp.load().extract(text).codes] == codes


def test_a_row_under_other_headings_is_none_under_levels() -> None:
    text = "Level   Left   Right\nSlip    no     yes"
    assert across(text, text.index("Slip"), text.index("Slip") + 4) == []


def test_a_crowded_line_is_no_row() -> None:
    text = "L4 " * 20_000 + "\nslip  no  no"
    assert across(text, text.index("slip"), text.index("slip") + 4) == []
