"""Levels: every way a note writes a vertebra or a segment, and the order of the spine."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsnlp.extract import levels
from parsnlp.extract.levels import SPINE


def names(text: str) -> list[tuple[str, ...]]:
    return [level.names for level in levels.find(text.lower())]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("L5", [("L5",)]),
        ("l-5", [("L5",)]),
        ("L 5", [("L5",)]),
        ("fifth lumbar vertebra", [("L5",)]),
        ("5th lumbar vertebra", [("L5",)]),
        ("twelfth thoracic vertebra", [("T12",)]),
        ("second cervical vertebra", [("C2",)]),
        ("D12", [("T12",)]),
        ("L6", [("L6",)]),
        ("atlas", [("C1",)]),
        ("L5-S1", [("L5-S1",)]),
        ("L5/S1", [("L5-S1",)]),
        ("L5S1", [("L5-S1",)]),
        ("L5 - S1", [("L5-S1",)]),
        ("L5 on S1", [("L5-S1",)]),
        ("L5 over S1", [("L5-S1",)]),
        ("L5 relative to S1", [("L5-S1",)]),
        ("L5 on the sacrum", [("L5-S1",)]),
        ("L4-5", [("L4-L5",)]),
        ("L4/5", [("L4-L5",)]),
        ("L4-L5", [("L4-L5",)]),
        ("L5-1", [("L5-S1",)]),
        ("C7-T1", [("C7-T1",)]),
        ("T12-L1", [("T12-L1",)]),
        ("C1-2", [("C1-C2",)]),
        ("S1-2", [("S1-S2",)]),
        ("L4 through S1", [("L4-L5", "L5-S1")]),
        ("L4-S1", [("L4-L5", "L5-S1")]),
        ("L3-5", [("L3-L4", "L4-L5")]),
        ("L3-4 and 4-5", [("L3-L4",), ("L4-L5",)]),
        ("L3-4, L4-5", [("L3-L4",), ("L4-L5",)]),
        ("L4 and L5", [("L4",), ("L5",)]),
        ("T11-L1", [("T11-T12", "T12-L1")]),
        ("L6-S1", [("L6-S1",)]),
        ("L5-L6", [("L5-L6",)]),
        ("LS on S1", [("L5-S1",)]),
        ("LS-Sl", [("L5-S1",)]),
        ("XR LS spine", []),
        ("L45", [("L4-L5",)]),
        ("LV4 on LV5", [("L4-L5",)]),
        ("L4 vertebral body on L5 vertebral body", [("L4-L5",)]),
        ("fifth lumbar on the sacral base", [("L5-S1",)]),
    ],
)
def test_find(text: str, wanted: list[tuple[str, ...]]) -> None:
    assert names(text) == wanted
    assert names(f"pars defect at {text}, left.") == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "L7",
        "C8",
        "T13",
        "S6",
        "L0",
        "L48",
        "C45",
        "class5",
        "cl5",
        "xl5",
        "5 lumbar",
        "t2.5",
        "sacrum",
        "l5.5 mm",
        "there's 4 mm of slip",
        "the patient's 5 mm slip",
        "t 4 mm",
        "grade 1",
        "on s",
        "12/5",
    ],
)
def test_not_a_level(text: str) -> None:
    assert names(text) == []


def test_offsets_hold_the_words() -> None:
    text = "slip of l4 on l5, defect of l5"
    found = levels.find(text)
    assert [text[level.start : level.end] for level in found] == ["l4 on l5", "l5"]
    assert [level.segment for level in found] == [True, False]


def test_every_vertebra_and_segment_is_found() -> None:
    for name in SPINE[1:]:
        assert names(name) == [(name,)], name
    without_l6 = [name for name in SPINE[1:] if name != "L6"]
    for upper, lower in [*itertools.pairwise(without_l6), ("L5", "L6"), ("L6", "S1")]:
        for join in ("-", "/", " on ", "\\"):
            assert names(f"{upper}{join}{lower}") == [(f"{upper}-{lower}",)], (upper, join, lower)


def test_spine_is_in_order_without_repeats() -> None:
    assert len(set(SPINE)) == len(SPINE) == 31
    for letter, count in (("C", 8), ("T", 12), ("L", 6), ("S", 5)):
        numbers = [int(name[1:]) for name in SPINE if name[0] == letter]
        assert numbers == sorted(numbers)
        assert len(numbers) == count
    assert "".join(letter for letter, _ in itertools.groupby(SPINE, lambda name: name[0])) == "CTLS"


def test_members() -> None:
    assert levels.members("L5") == ("L5",)
    assert levels.members("L5-S1") == ("L5", "S1")


def test_order() -> None:
    assert levels.order(["L5-S1", "C7", "L5", "L4-L5", "T12-L1", "L5"]) == ("C7", "T12-L1", "L4-L5", "L5", "L5-S1")
    assert levels.order([]) == ()


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("L5", "L5-S1", True),
        ("L4-L5", "L5-S1", True),
        ("L4", "L5-S1", False),
        ("L5", "L5", True),
        ("C4-C5", "L4-L5", False),
    ],
)
def test_touch(one: str, other: str, wanted: bool) -> None:
    assert levels.touch(one, other) is wanted
    assert levels.touch(other, one) is wanted


def test_substitute() -> None:
    assert levels.substitute(["L5-S1", "L3"], {"L5-S1": "L4-L5"}) == ("L3", "L4-L5")
    assert levels.substitute(["L3"], {}) == ("L3",)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.lists(
        st.one_of(
            st.text("lstcd0123456789-/ ,.", max_size=6), st.sampled_from(["l5-s1", " on ", " to ", "fifth lumbar"])
        ),
        max_size=12,
    ).map("".join)
)
def test_any_text(text: str) -> None:
    found = levels.find(text)
    known = set(SPINE)
    for level in found:
        assert level.names
        assert 0 <= level.start < level.end <= len(text)
        for name in level.names:
            parts = levels.members(name)
            assert set(parts) <= known
            if len(parts) == 2:
                assert SPINE.index(parts[0]) < SPINE.index(parts[1])
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
