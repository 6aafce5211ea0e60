"""Reference cards (`parsnlp explain CODE`): every code in scope, and nothing else, answered from tables that are right."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp import explain, rules
from parsnlp.coding import icd10cm, reference
from parsnlp.errors import InputError, RuleError
from parsnlp.interfaces import cli

EDITION, _ = icd10cm.edition_for(None)
QUESTIONS = ["unspecified", "lysis_with_slip", "congenital", "stress_or_trauma", "drg", "seventh", "imaging"]
CODE = re.compile(r"\b[MQS]\d\d(?:\.[0-9A-Z]{1,4})?(?![0-9A-Za-z=.])")


@functools.cache
def tables() -> dict[str, Any]:
    return dict(rules.load().tables)


@functools.cache
def card(code: str) -> reference.Card:
    return reference.card(code, EDITION, tables())


@functools.cache
def scope() -> tuple[str, ...]:
    return reference.scope(EDITION, tables())


def below(stem: str) -> list[str]:
    found = [code for code in scope() if code.startswith(stem)]
    assert found
    return found


def says(made: reference.Card, question: str) -> str:
    return next(answer.says for answer in made.answers if answer.question == question)


def sentences(made: reference.Card) -> Iterator[tuple[str, tuple[str, ...]]]:
    for item in (*made.uses, *made.tips, *made.pitfalls, *made.answers):
        yield item.says, item.rules


def test_the_scope_is_the_policys() -> None:
    families = [f"M43.{n}{char}" for n in "01" for char in ["", *"0123456789"]] + ["M48.4", "Q76.2"]
    families += [f"M48.4{n}{end}" for n in range(9) for end in ["", "XA", "XD", "XG", "XS"]]
    stems = set()
    for row in tables()["codes"]["fractures"].values():
        stems |= {*row["arch"], *row["unspecified"]}
    for name in ("traumatic_slips", "hangman", "dislocations"):
        stems |= {code for row in tables()["codes"][name].values() for code in row}
    injuries = {stem.rstrip("X") for stem in stems}
    for stem in stems:
        letters = "ADS" if stem.startswith(("S33", "S12.9")) else "ABDGKS"
        injuries |= {stem + letter for letter in letters}
    assert set(scope()) == {*families, *injuries}


@pytest.mark.parametrize("stem", ["M43.0", "M43.1", "M48.4", "Q76.2", "S12", "S22", "S32", "S33"])
def test_every_card_is_whole(stem: str) -> None:
    for code in below(stem):
        made = card(code)
        assert made.code == code and made.title == EDITION.title(code)
        assert made.billable == EDITION.is_billable(code) == (not made.missing)
        assert [answer.question for answer in made.answers] == QUESTIONS
        assert made.uses and made.tips and made.pitfalls and made.kind
        for text, cited in sentences(made):
            assert text and not re.search(r"[{}]|\bNone\b(?! until|:)|  |none in the policy", text), text
            assert cited and set(cited) <= set(explain.TITLES), text
        printed = "\n".join(text for text, _, _ in reference.lines(made))
        for answer in made.answers:
            assert answer.asks in printed and answer.says in printed


@pytest.mark.parametrize("stem", ["M43.0", "M43.1", "M48.4", "Q76.2", "S12", "S22", "S32", "S33"])
def test_every_code_that_a_card_names_exists(stem: str) -> None:
    for code in below(stem):
        made = card(code)
        for text, _ in sentences(made):
            for named in CODE.findall(text):
                stem = named.rstrip("X")
                assert not EDITION.carries(stem) or EDITION.is_known(stem) or EDITION.seventh_characters(named), (
                    named,
                    text,
                )
        for item in (*made.siblings, *made.complete):
            assert EDITION.title(item.code) == item.title
        for seventh in made.sevenths:
            assert EDITION.is_billable(seventh.code) or seventh.code in EDITION.children(code)
            assert EDITION.title(seventh.code).endswith(seventh.meaning)


def test_every_sentence_of_the_data_is_on_some_card() -> None:
    """A text whose conditions never hold would be dead."""
    shown = {text for code in scope() for text, _ in sentences(card(code))}
    every = "\n".join(shown)
    for kind, texts in tables()["reference"]["kinds"].items():
        rows = [*texts["uses"], *texts["tips"], *texts["pitfalls"]]
        rows += [row for answers in texts["answers"].values() for row in answers]
        for row in rows:
            if "{slip_note}" in row["says"]:
                continue  # for an edition in which M48.4 and M43.1 exclude each other
            pattern = ".+?".join(re.escape(piece) for piece in re.split(r"\{[a-z_]+\}", row["says"]))
            assert re.search(pattern, every), (kind, row["says"])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("M43.16", "M43.16"), ("M4316", "M43.16"), ("m43.16", "M43.16"), (" m4316\n", "M43.16"), ("M43.1-", "M43.1"),
        ("m43.1", "M43.1"), ("M48.46X-", "M48.46"), ("m4846xa", "M48.46XA"), ("S32.058", "S32.058"), ("s32058a", "S32.058A"),
        ("S12.9XX", "S12.9"), ("S12.9XXA", "S12.9XXA"), ("S32.19X-", "S32.19"), ("S12.14X", "S12.14"), ("q762", "Q76.2"),
    ],
)  # fmt: skip
def test_spellings(given: str, wanted: str) -> None:
    assert card(given).code == wanted


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("M43.99", "is no code of"), ("M48.49", "is no code of"), ("M43.16A", "M43.16 is complete"), ("M43.16X", "M43.16 is complete"),
        ("S33.100K", "S33.100A, S33.100D, S33.100S"), ("S12.9A", "S12.9XXA"), ("S32.05", "S32.058, S32.059"),
        ("M43", "lies outside"), ("M43.20", "is no code of|lies outside"), ("M54.50", "lies outside"), ("S32.001A", "lies outside"),
        ("S13.110A", "lies outside"), ("738.4", "ICD-9-CM"), ("756.12", "Q76.2"), ("hello", "shape"), ("", "shape"), ("Q76.22", "Q76.2"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_in_scope(given: str, part: str) -> None:
    with pytest.raises(InputError, match=part) as caught:
        card(given)
    says = str(caught.value)
    assert "In scope: M43.0-, M43.1-, M48.4-, Q76.2" in says or re.search(r"complete|completed|policy's codes", says)


def test_a_long_argument_is_not_echoed_whole(canary: str) -> None:
    with pytest.raises(InputError) as caught:
        card("x" * 60 + canary)
    assert canary not in str(caught.value)


def test_lumbar_slip() -> None:
    made = card("M43.16")
    assert made.billable and made.missing == () and made.sevenths == ()
    assert (made.chapter.code, made.block.code, made.category.code) == ("13", "M40-M43", "M43")
    assert made.region is not None and made.region.name == "lumbar" and made.region.character == "6"
    assert made.region.segments == ("L1-L2", "L2-L3", "L3-L4", "L4-L5", "L5-L6")
    here = {(item.at, item.note) for item in made.excludes1}
    assert ("M43.1", "congenital spondylolisthesis (Q76.2)") in here and ("M43", "spina bifida occulta (Q76.0)") in here
    assert {(item.at, item.note) for item in made.excluded_by} == {
        ("M43.0", "spondylolisthesis (M43.1)"),
        ("Q76.2", "spondylolisthesis (acquired) (M43.1-)"),
    }
    assert [item.code for item in made.siblings] == [f"M43.1{n}" for n in "012345789"]
    assert [group.drg for group in made.drg] == ["551", "552"]
    assert "551" in says(made, "drg") and says(made, "seventh").startswith("No.")
    assert "M43.10 is right" in says(made, "unspecified")
    assert "“spondylolisthesis (M43.1)” at M43.0" in says(made, "lysis_with_slip")
    for stem in ("S32.019-", "S32.029-", "S32.039-", "S32.049-", "S33.100-"):
        assert stem in says(made, "stress_or_trauma")


def test_lumbar_lysis_names_the_stress_fracture_and_the_arch_codes() -> None:
    text = says(card("M43.06"), "stress_or_trauma")
    assert "M48.46X-" in text
    for stem in ("S32.018-", "S32.028-", "S32.038-", "S32.048-", "S32.058-"):
        assert stem in text
    assert "S22" not in text and "S12" not in text
    assert "S32.058-" in says(card("M43.07"), "stress_or_trauma")


def test_unspecified_and_multiple() -> None:
    assert "is that unspecified code" in says(card("M43.00"), "unspecified")
    assert "not the unspecified code" in says(card("M43.19"), "unspecified")
    assert "no code for multiple sites" in says(card("M48.46"), "unspecified")


def test_headers_say_what_is_missing() -> None:
    assert card("M43.1").missing == ("5th character: the region",) and card("M43.1").drg == ()
    assert says(card("M43.1"), "drg").startswith("None until")
    assert card("M48.4").missing[0].startswith("5th") and card("M48.4").missing[-1] == "7th character: A, D, G or S"
    assert card("M48.46").missing == ("6th character: placeholder X", "7th character: A, D, G or S")
    assert card("S32.058").missing == ("7th character: A, B, D, G, K or S",)
    assert card("S12.9").missing == (
        "5th character: placeholder X",
        "6th character: placeholder X",
        "7th character: A, D or S",
    )


def test_congenital() -> None:
    made = card("Q76.2")
    assert made.billable and made.region is None and made.siblings == ()
    assert {item.at for item in made.excluded_by} == {"M43", "M43.0", "M43.1"}
    assert "Congenital spondylolysis" in says(made, "lysis_with_slip")


def test_injuries() -> None:
    made = card("S32.058A")
    assert made.billable and made.region is not None and made.region.vertebrae == ("L5",)
    assert "S32.059-" in says(made, "unspecified") and "S32.008-" in says(made, "unspecified")
    assert "A, initial encounter for closed fracture" in says(made, "seventh")
    assert "S33.100-" in says(made, "lysis_with_slip")
    assert "S32.048A" in [item.code for item in made.siblings] and "S32.058A" not in [
        item.code for item in made.siblings
    ]
    assert "M43.06" in says(made, "stress_or_trauma")
    assert ("M48.4", "traumatic fracture of vertebrae (S12.0-S12.3-, S22.0-, S32.0-)") in {
        (item.at, item.note) for item in made.excluded_by
    }
    assert card("S22.058").region == reference.Region(name="thoracic", vertebrae=("T5", "T6"))
    assert card("S33.120").region == reference.Region(name="lumbar", segments=("L2-L3",))
    assert "hangman" in " ".join(text.says for text in card("S12.14").uses)
    assert "delayed" not in " ".join(text.says for text in card("S33.100").tips)


@pytest.mark.parametrize("stem", ["M43.0", "M43.1", "M48.4", "Q76.2", "S12", "S22", "S32", "S33"])
def test_excludes1_both_ways_is_the_editions(stem: str) -> None:
    """Each conflict that the edition knows between the families is on the card, on one side or the other."""
    for code in below(stem):
        made = card(code)
        notes = {item.note for item in (*made.excludes1, *made.excluded_by)}
        for other in ("M43.06", "M43.16", "Q76.2", "Q76.0", "M48.46XA", "S32.058A", "S33.100A", "S12.130A"):
            note = EDITION.excludes1_conflict(code, other)
            assert note is None or note in notes


@pytest.mark.parametrize(
    ("note", "acquired"),
    [
        ("Acute traumatic spondylolisthesis of L5 on S1 after a fall today.", "M43.17"),
        ("Acute traumatic spondylolisthesis of L3 on L4 after a fall today.", "M43.16"),
        ("Acute traumatic spondylolisthesis of C5 on C6 after a fall today.", "M43.12"),
        ("Acute traumatic spondylolisthesis of T11 on T12 after a fall today.", "M43.14"),
    ],
)
def test_the_card_names_the_code_that_the_extractor_gives(note: str, acquired: str) -> None:
    codes = [code.code for code in parsnlp.load().extract(note).codes]
    assert len(codes) == 1 and codes[0].startswith("S")
    assert f"{codes[0][:-1]}-" in says(card(acquired), "stress_or_trauma")


def test_a_faulty_text_is_told() -> None:
    broken = copy.deepcopy(tables())
    broken["reference"]["kinds"]["slip"]["tips"][0]["says"] = "See {bogus}."
    with pytest.raises(RuleError, match=r"reference\.yaml: kind 'slip'.*bogus"):
        reference.card("M43.16", EDITION, broken)
    broken = copy.deepcopy(tables())
    broken["reference"]["kinds"]["slip"]["answers"]["drg"] = []
    with pytest.raises(RuleError, match="'drg' with nothing"):
        reference.card("M43.16", EDITION, broken)


def test_cards_are_frozen_and_read_back() -> None:
    made = card("M43.16")
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        made.title = "x"
    assert reference.Card.model_validate_json(made.model_dump_json()) == made


# --- the command ----------------------------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments), prog_name="parsnlp")


def test_explain_prints_the_card() -> None:
    done = run("explain", "m4316")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("M43.16 Spondylolisthesis, lumbar region\n")
    for answer in card("M43.16").answers:
        assert answer.says in done.stdout
    assert "\x1b" not in done.stdout and done.stderr == ""


def test_explain_as_json() -> None:
    done = run("explain", "S32.058A", "--json")
    assert reference.Card.model_validate(json.loads(done.stdout)) == card("S32.058A")


def test_explain_refuses_with_2() -> None:
    done = run("explain", "M54.5")
    assert done.exit_code == 2 and "In scope: M43.0-" in done.stderr and done.stdout == ""
    assert run("explain", "M43.16", "--date", "bogus").exit_code == 2


def test_explain_says_when_the_edition_does_not_cover_the_date() -> None:
    assert "no edition carried is in force on 2019-01-01" in run("explain", "M43.16", "--date", "2019-01-01").stderr
    assert run("explain", "M43.16", "--date", EDITION.valid_from).stderr == ""
