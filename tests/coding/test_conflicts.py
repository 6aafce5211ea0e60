"""P-A4, statement against statement: when an affirmation and a denial speak of the same thing, and which one holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from parsnlp.extract.assertion import Ruling
from parsnlp.extract.attributes import Attributes, Evidence
from parsnlp.extract.findings import Found
from parsnlp.extract.pipeline import Mention
from parsnlp.resolve import _compatible, _lesser, _newer, _winner

LANES = {"levels": "level", "sides": "side", "directions": "direction", "chronicity": "age", "etiology": "cause"}


def found(place: int = 0, document: int = 0, condition: str = "spondylolisthesis", **facts: Any) -> Found:
    """A mention at sentence `place`; `facts`: attributes by lane, and the fields of `Found`."""
    lanes = {
        lane: [Evidence(category, value, 0, 1, None) for value in facts.pop(lane, ())]
        for lane, category in LANES.items()
    }
    for lane in ("weak_levels", "shared_levels"):
        lanes[lane] = [Evidence("level", value, 0, 1, None) for value in facts.pop(lane, ())]
    rule = SimpleNamespace(id="test.rule", category=condition, value=None)
    values: dict[str, Any] = {"section": None, "kind": "progress", "documented_by": "provider", "date": None}
    flags = frozenset(facts.pop("flags", ()))
    return Found(
        condition=cast(Any, condition),
        assertion="affirmed",
        ruling=Ruling("affirmed", "P-F3", "stated"),
        mention=Mention(cast(Any, rule), place * 10, place * 10 + 5, place, 0, 5, ()),
        attributes=Attributes(**lanes),
        document=document,
        flags=flags,
        **{**values, **facts},
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({"levels": ["L4-L5"]}, {"levels": ["L4-L5"]}, True),
        ({"levels": ["L5"]}, {"levels": ["L5-S1"]}, True),
        ({"levels": ["L4-L5"]}, {"levels": ["L5-S1"]}, False),
        ({"levels": ["L4"]}, {"levels": ["L5"]}, False),
        ({"levels": ["L4-L5"]}, {}, True),
        ({}, {"levels": ["L4-L5"]}, False),
        ({"weak_levels": ["L4-L5"]}, {"levels": ["L4-L5"]}, True),
        ({"shared_levels": ["L4-L5"]}, {"weak_levels": ["L5-S1"]}, False),
        ({"sides": ["left"]}, {"sides": ["right"]}, False),
        ({"sides": ["left"]}, {"sides": ["left"]}, True),
        ({"sides": ["left"]}, {"sides": ["bilateral"]}, True),
        ({"sides": ["bilateral"]}, {"sides": ["right"]}, True),
        ({"sides": ["left"]}, {}, True),
        ({"sides": ["bilateral", "unilateral"]}, {"sides": ["bilateral"]}, False),
        ({"directions": ["antero"]}, {"directions": ["retro"]}, False),
        ({"directions": ["antero"]}, {"directions": ["antero"]}, True),
        ({"directions": ["antero"]}, {}, True),
        ({}, {"chronicity": ["acute"]}, False),
        ({}, {"chronicity": ["subacute"]}, False),
        ({}, {"chronicity": ["healed"]}, False),
        ({}, {"chronicity": ["stress_reaction"]}, False),
        ({"chronicity": ["acute"]}, {"chronicity": ["acute"]}, True),
        ({}, {"chronicity": ["chronic"]}, True),
        ({}, {"etiology": ["traumatic"]}, False),
        ({}, {"etiology": ["congenital"]}, False),
        ({}, {"etiology": ["degenerative"]}, False),
        ({}, {"etiology": ["isthmic"]}, False),
        ({}, {"etiology": ["stress"]}, False),
        ({"etiology": ["isthmic"]}, {"etiology": ["isthmic"]}, True),
        ({}, {"flags": ["elsewhere"]}, False),
    ],
)
def test_whether_a_denial_speaks_of_the_same_thing(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert _compatible(found(0, **one), found(1, **other)) is same


def test_two_levels_of_one_sentence_are_no_conflict() -> None:
    here = found(0, levels=["L4-L5"])
    assert not _compatible(here, found(0, levels=["L4-L5"]))
    assert _compatible(here, found(0))
    assert _compatible(here, found(0, document=1, levels=["L4-L5"]))


def test_a_bare_affirmation_has_the_levels_of_the_others() -> None:
    assert _compatible(found(0), found(1, levels=["L4-L5"]), ("L4-L5",))
    assert not _compatible(found(0), found(1, levels=["L4-L5"]), ("L5-S1",))


AFFIRMS, DENIES, CONFLICT = "affirms", "denies", "conflict"


@pytest.mark.parametrize(
    ("item", "denial", "winner", "why"),
    [
        ({}, {}, CONFLICT, ""),
        ({"flags": ["amended"]}, {}, AFFIRMS, "takes the other statement back"),
        ({}, {"flags": ["amended"]}, DENIES, "takes the other statement back"),
        ({"flags": ["amended"]}, {"flags": ["amended"]}, CONFLICT, ""),
        ({}, {"flags": ["correction"]}, DENIES, "withdraws the earlier statement"),
        ({"flags": ["correction"]}, {}, AFFIRMS, "replaces the earlier statement"),
        ({"flags": ["correction"]}, {"flags": ["correction"]}, CONFLICT, ""),
        ({"documented_by": "imaging"}, {"flags": ["overrule"]}, DENIES, "the provider overrules the reading"),
        ({"flags": ["reported"]}, {"flags": ["overrule"]}, DENIES, "the provider overrules the reading"),
        ({}, {"flags": ["overrule"]}, CONFLICT, ""),
        ({"documented_by": "imaging", "flags": ["overrule"]}, {"flags": ["overrule"]}, CONFLICT, ""),
        ({"flags": ["overrule"]}, {}, AFFIRMS, "the provider overrules the reading"),
        ({"flags": ["reported"]}, {}, DENIES, "overrules the report it quotes"),
        ({"flags": ["reported"]}, {"flags": ["reported"]}, CONFLICT, ""),
        ({"flags": ["reported"]}, {"documented_by": "imaging"}, CONFLICT, ""),
        ({"flags": ["provider"]}, {"flags": ["not_provider"]}, AFFIRMS, "an author who establishes no diagnosis"),
        ({"flags": ["not_provider"]}, {"flags": ["provider"]}, DENIES, "an author who establishes no diagnosis"),
        ({"flags": ["provider"]}, {"flags": ["provider"]}, CONFLICT, ""),
        ({"flags": ["not_provider"]}, {"flags": ["not_provider"]}, CONFLICT, ""),
        ({"date": (2026, 1, 1)}, {"date": (2026, 2, 1)}, DENIES, "a newer study or date"),
        ({"date": (2026, 3, 1)}, {"date": (2026, 2, 1)}, AFFIRMS, "a newer study or date"),
        ({"flags": ["standing"]}, {"flags": ["lying"]}, AFFIRMS, "absent supine, present standing"),
        ({"flags": ["standing", "lying"]}, {"flags": ["lying"]}, AFFIRMS, "standing or dynamic view"),
        ({"flags": ["standing"]}, {}, AFFIRMS, "standing or dynamic view"),
        ({"flags": ["standing"]}, {"flags": ["standing"]}, CONFLICT, ""),
        ({"flags": ["lying"]}, {"flags": ["standing"]}, CONFLICT, ""),
        ({}, {"flags": ["lying"]}, CONFLICT, ""),
    ],
)
def test_which_statement_holds(item: dict[str, Any], denial: dict[str, Any], winner: str, why: str) -> None:
    one, other = found(0, **item), found(1, **denial)
    holds, reason = _winner(one, other)
    assert (AFFIRMS if holds is one else DENIES if holds is other else CONFLICT) == winner
    assert why in reason and bool(why) == bool(reason)


def test_a_pars_defect_is_no_matter_of_posture() -> None:
    one, other = (found(place, condition="spondylolysis", flags=["standing"] * (not place)) for place in (0, 1))
    assert _winner(one, other) == (None, "")


@pytest.mark.parametrize(
    ("item", "denial", "winner"),
    [
        ("tomography", "radiograph", AFFIRMS),
        ("radiograph", "tomography", DENIES),
        ("tomography", "tomography", CONFLICT),
    ],
)
def test_tomography_of_the_pars_holds_against_a_radiograph(item: str, denial: str, winner: str) -> None:
    one, other = (found(n, condition="spondylolysis", flags=[flag]) for n, flag in enumerate((item, denial)))
    holds, reason = _winner(one, other)
    assert (AFFIRMS if holds is one else DENIES if holds is other else CONFLICT) == winner
    assert reason == (
        "" if winner == CONFLICT else "what CT, MRI or SPECT shows of the pars holds against a radiograph"
    )


def test_what_is_said_of_a_winner() -> None:
    told = {
        _winner(found(0, **item), found(1, **denial))[1]
        for item, denial in (
            ({"flags": ["reported"]}, {}),
            ({"flags": ["provider"]}, {"flags": ["not_provider"]}),
            ({"flags": ["standing"]}, {"flags": ["lying"]}),
        )
    }
    assert told == {
        "the provider's own statement overrules the report it quotes",
        "the provider's statement outweighs one of an author who establishes no diagnosis",
        "absent supine, present standing: present",
    }


def said_of(place: int, assertion: str, **facts: Any) -> Found:
    """A mention with its assertion, by default in no section."""
    one = found(place, **facts)
    one.assertion = cast(Any, assertion)
    return one


@pytest.mark.parametrize(
    ("possible", "denied", "outcome"),
    [
        ({}, {}, "negated"),
        ({"section": "plan"}, {}, "uncertain"),
        ({"section": "plan"}, {"section": "plan"}, "negated"),
        ({"section": "impression"}, {"section": "plan"}, "uncertain"),
        ({"section": "impression", "date": (2026, 1, 1)}, {"date": (2026, 2, 1)}, "negated"),
        ({"section": "impression", "date": (2026, 3, 1)}, {"date": (2026, 2, 1)}, "uncertain"),
        ({"levels": ["L4-L5"]}, {"levels": ["L2-L3"]}, "uncertain"),
    ],
)
def test_a_later_denial_of_weight_settles_what_was_possible(
    possible: dict[str, Any], denied: dict[str, Any], outcome: str
) -> None:
    pair = said_of(0, "uncertain", **possible), said_of(1, "negated", **denied)
    assertion, deciding = _lesser(pair)
    assert assertion == outcome and deciding == [pair[outcome == "negated"]]
    assert _lesser([said_of(1, "uncertain", **possible), said_of(0, "negated", **denied)])[0] == "uncertain"


def test_what_is_left_when_nothing_affirms() -> None:
    order = ["uncertain", "historical", "hypothetical", "family", "generic"]
    for number, first in enumerate(order):
        left = [said_of(place, assertion) for place, assertion in enumerate(reversed(order[number:]))]
        assert _lesser(left) == (first, left[-1:])
    past, denied = said_of(0, "historical"), said_of(1, "negated")
    assert _lesser([past, denied])[0] == "negated"
    assert _lesser([said_of(2, "historical"), denied])[0] == "historical"


def test_a_quoted_report_is_overruled_only_by_what_comes_after_it() -> None:
    quoted = {"flags": ["reported"]}
    assert _winner(found(1, **quoted), found(0)) == (None, "")
    denial = found(0, document=1)
    assert _winner(found(1, **quoted), denial)[0] is denial


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ({"date": (2026, 1, 0)}, {"date": (2026, 2, 0)}, 1),
        ({"date": (2026, 1, 0)}, {"date": (2026, 1, 9)}, None),
        ({"date": (2025, 0, 0)}, {"date": (2026, 0, 0)}, 1),
        ({"date": (2026, 0, 0)}, {"date": (2026, 5, 1)}, None),
        ({"date": (2026, 1, 1)}, {"date": (2026, 1, 1)}, None),
        ({"date": (2026, 1, 1)}, {}, None),
        ({"flags": ["before"]}, {"flags": ["now"]}, 1),
        ({"flags": ["now"]}, {"flags": ["before"]}, 0),
        ({"flags": ["now"]}, {"flags": ["now"]}, None),
        ({"flags": ["now", "before"]}, {"flags": ["now"]}, None),
        ({"flags": ["now"], "date": (2020, 1, 1)}, {"flags": ["now"]}, None),
        ({"flags": ["before"]}, {"flags": ["now", "before"]}, None),
        ({"date": (2020, 1, 1)}, {"flags": ["now"]}, 1),
        ({}, {"flags": ["now"]}, None),
        ({}, {"flags": ["now"], "documented_by": "imaging"}, 1),
        ({"section": "impression"}, {"flags": ["now"], "documented_by": "imaging"}, None),
        ({"flags": ["now"], "documented_by": "imaging"}, {}, None),
    ],
)
def test_which_statement_is_newer(one: dict[str, Any], other: dict[str, Any], newer: int | None) -> None:
    pair = found(0, **one), found(1, **other)
    assert _newer(*pair) is (None if newer is None else pair[newer])
