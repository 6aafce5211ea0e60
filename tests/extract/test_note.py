"""Layout: lines, blocks, items and sentences, and the clean form with its way back to the original text."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parsnlp import rules
from parsnlp.extract.pipeline import Pipeline
from parsnlp.note import MAX_BLOCK, Clean, LayoutWords, fold, layout, lines

characters = st.characters(exclude_categories=())
bits = st.sampled_from(
    ["pars defect", "L5-S1", " ", "  ", "\n", "\r\n", "\n\n", "\n \n", "- ", "1. ", "spondylo-\nlisthesis", "\u00ad", "\x00",
     "\u200b", "\u00a0", "\ufeff", "\uff30", "\ufb01", "\u0130", "\ud800", ". ", ": ", "; ", "? ", "\u2028", "\x85", "[x] ", "\t", "|"]
)  # fmt: skip
messy = st.lists(st.one_of(bits, st.text(characters, max_size=5)), max_size=25).map("".join)
fast = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def sentences(text: str, abbreviations: tuple[str, ...] = ()) -> list[str]:
    return [text[item.start : item.end] for item in layout(text, LayoutWords(frozenset(abbreviations))).sentences]


def clean(text: str) -> str:
    return Clean(text, 0, len(text)).text


# --- the clean form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("Pars Defect", "pars defect"),
        ("pars\ndefect", "pars defect"),
        ("pars\r\ndefect", "pars defect"),
        ("pars  defect", "pars defect"),
        ("pars \t defect", "pars defect"),
        ("pars\u00a0defect", "pars defect"),
        ("pars\u2028defect", "pars defect"),
        ("spondylo-\nlisthesis", "spondylolisthesis"),
        ("spondylo-\r\n   listhesis", "spondylolisthesis"),
        ("spondylo\u00adlisthesis", "spondylolisthesis"),
        ("spondylo\u200blisthesis", "spondylolisthesis"),
        ("\ufeffpars", "pars"),
        ("pars\x00defect", "parsdefect"),
        ("\uff50\uff41\uff52\uff53", "pars"),
        ("L4\u2013L5", "l4-l5"),
        ("L4\u2212L5", "l4-l5"),
        ("spondylolisth\u00e9sis", "spondylolisthesis"),
        ("hangman\u2019s", "hangman's"),
        ("L5-\nS1", "l5- s1"),
        ("", ""),
    ],
)
def test_clean(given: str, wanted: str) -> None:
    assert clean(given) == wanted


def test_clean_keeps_a_level_cut_at_the_line_end_apart_from_a_word() -> None:
    """Only letters are joined over a line-end hyphen: "L5-" before "S1" keeps its hyphen."""
    assert "-" in clean("L5-\nS1")


@pytest.mark.parametrize(
    "text", ["abc", "\u0130", "\ufb03", "\u017f", "\u00df", "e\u0301", "\u1e9e", "\U0001f600", "\ud800", "\u0345"]
)
def test_fold_keeps_the_length(text: str) -> None:
    assert len(fold(text)) == len(text)


@fast
@given(st.text(characters))
def test_fold_keeps_any_length(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


@fast
@given(messy)
@example("spondylo-\nlisthesis\x00 of\u00ad L4\u2013L5")
def test_clean_offsets_lead_back(text: str) -> None:
    form = Clean(text, 0, len(text))
    origins = [form.origin(at) for at in range(len(form.text))]
    assert origins == sorted(set(origins)), "each clean character has an original place of its own, in order"
    for at, origin in enumerate(origins):
        assert 0 <= origin < len(text)
        if form.text[at] != " ":
            assert fold(text[origin]) == form.text[at]
        start, end = form.span(at, at + 1)
        assert (start, end) == (origin, origin + 1)
        assert form.offset(origin) == at


def test_clean_of_a_stretch() -> None:
    text = "First line.\nThe pars-\ndefect is  old."
    start = text.index("The")
    form = Clean(text, start, len(text))
    at = form.text.index("old")
    assert text[slice(*form.span(at, at + 3))] == "old"
    at = form.text.index("parsdefect")
    assert text[slice(*form.span(at, at + 10))] == "pars-\ndefect"


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"], ids=repr)
def test_line_ends(end: str) -> None:
    text = end.join(["one", "", " \t", "two"])
    found = lines(text)
    assert [text[line.start : line.end] for line in found] == ["one", "", " \t", "two"]
    assert [line.blank for line in found] == [False, True, True, False]


@fast
@given(messy)
def test_lines_hold_everything_but_the_breaks(text: str) -> None:
    found = lines(text)
    assert "".join(text[line.start : line.end] for line in found) == "".join(
        char for char in text if char not in "\n\r\x0b\x0c\x85\u2028\u2029"
    )
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


# --- sentences ------------------------------------------------------------------------------------------------------


@fast
@given(messy)
def test_sentences_hold_every_character_once(text: str) -> None:
    plain = layout(text)
    assert plain.starts == [item.start for item in plain.sentences]
    covered = [False] * len(text)
    for item in plain.sentences:
        assert item.start < item.end
        for at in range(item.start, item.end):
            assert not covered[at]
            covered[at] = True
    assert all(inside or text[at].isspace() for at, inside in enumerate(covered))
    for number, item in enumerate(plain.sentences):
        assert plain.at(item.start) == number
        assert plain.at(item.end - 1) == number
        assert text[item.start : item.end].strip() == text[item.start : item.end]
        for line in plain.lines:
            if line.blank and item.start < line.start:
                assert not (line.start < item.end and line.end > line.start), "a sentence crosses a blank line"


@fast
@given(st.lists(messy.filter(lambda text: bool(text.strip())), min_size=1, max_size=4))
def test_a_block_alone_reads_as_in_the_note(parts: list[str]) -> None:
    """Locality, the theorem that windows rest on: sentences depend on their blank-line-bounded block only."""
    text = "\n\n".join(parts)
    apart: list[str] = []
    for part in parts:
        apart += sentences(part)
    assert sentences(text) == apart


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("No fracture. Pars defects are seen.", ["No fracture.", "Pars defects are seen."]),
        ("- no pars defect\n- spondylolisthesis", ["- no pars defect", "- spondylolisthesis"]),
        ("\u2022 no pars defect\n\u2022 spondylolisthesis", ["\u2022 no pars defect", "\u2022 spondylolisthesis"]),
        ("1. Spondylolysis L5\n2. Back pain", ["1. Spondylolysis L5", "2. Back pain"]),
        ("No fracture\n \nSpondylolisthesis present", ["No fracture", "Spondylolisthesis present"]),
        ("There is a 4.5 mm slip.", ["There is a 4.5 mm slip."]),
        ("FINDINGS: No slip.\nIMPRESSION: Normal.", ["FINDINGS: No slip.", "IMPRESSION: Normal."]),
        ("", []),
        (" \n\t\n ", []),
        ("(+) L5 lysis (-) slip", ["(+) L5 lysis", "(-) slip"]),
        ("Slip (-), cough (+)", ["Slip (-), cough (+)"]),
        ("Slip: No  Level: L4-5", ["Slip: No", "Level: L4-5"]),
        ("Lysis [x] yes [ ] no   Slip [ ] yes [x] no", ["Lysis [x] yes [ ] no", "Slip [ ] yes [x] no"]),
        (
            "Lysis ..... YES, BILATERAL\nSlip ..... NO\nDisc ..... L5-S1",
            ["Lysis ..... YES, BILATERAL", "Slip ..... NO", "Disc ..... L5-S1"],
        ),
    ],
)
def test_sentences(text: str, wanted: list[str]) -> None:
    assert sentences(text) == wanted


def test_a_hard_wrap_is_no_boundary() -> None:
    text = (
        "The patient is a nineteen year old wrestler who presents today with no\n"
        "evidence of a pars defect on the computed tomography of last Thursday and\n"
        "wishes to return to sport."
    )
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("FINDINGS: Lordosis is preserved without evidence of fracture, spondylolysis,",
         "spondylolisthesis, or suspicious marrow lesion. L4-L5: left paracentral extrusion"),
        ("There is no edema on the fluid-sensitive images of this study. There is no",
         "forward slip: the posterior body line is straight."),
    ],
)  # fmt: skip
def test_a_wrapped_line_with_a_colon_is_no_heading(above: str, below: str) -> None:
    words = LayoutWords(open_endings=frozenset({"no"}))
    assert len({item.item for item in layout(f"{above}\n{below}", words).sentences}) == 1


@pytest.mark.parametrize("below", ["spondylolisthesis: none", "slip: none seen"])
def test_a_field_under_a_field_is_one(below: str) -> None:
    above = "pars interarticularis: intact at all levels on both sides"
    assert sentences(f"{above}\n{below}") == [above, below]


def test_abbreviations_end_no_sentence() -> None:
    assert sentences("Seen by Dr. Smith for spondylolysis.", ("dr",)) == ["Seen by Dr. Smith for spondylolysis."]


def test_items_and_bullets() -> None:
    plain = layout("ASSESSMENT:\n- Spondylolysis. Chronic.\n- Back pain")
    assert [item.bullet for item in plain.sentences] == [False, True, True, True]
    first, second, third, fourth = (item.item for item in plain.sentences)
    assert second == third
    assert len({first, second, fourth}) == 3


@pytest.mark.parametrize("unit", ["x", "_", " x", "x. ", "no ", "[ ] ", "- ", "\n", "a\n"], ids=repr)
def test_no_sentence_is_longer_than_a_block(unit: str) -> None:
    text = unit * (3 * MAX_BLOCK // len(unit))
    assert all(item.end - item.start <= MAX_BLOCK for item in layout(text).sentences)


@pytest.mark.parametrize(
    "unit", ["x", "_", " ", "x ", "x. ", "\n", "a\n", "1. ", "[ ] ", ".", "-\n", ": ", "(", "\t"], ids=repr
)
def test_layout_is_linear(unit: str) -> None:
    """200,000 characters of anything are laid out in seconds; a quadratic layout would take minutes."""
    text = unit * (200_000 // len(unit))
    begun = time.process_time()
    for item in layout(text).sentences:
        Clean(text, item.start, item.end)
    assert time.process_time() - begun < 10


def test_dictated_stops_end_sentences() -> None:
    """Two or more: a single one may be a period of time."""
    text = (
        "Films show a slip of L five on S one period The L three disc is narrow period New line\nPlan: six weeks period"
    )
    words = Pipeline(rules.load()).words
    told = [text[s.start : s.end] for s in layout(text, words).sentences]
    assert told[:3] == [
        "Films show a slip of L five on S one period",
        "The L three disc is narrow period",
        "New line",
    ]
    for one in ("L5 slip over a long period of time, stable.", "The period at L5 was long. Slip period unknown."):
        assert len(layout(one, words).sentences) == one.count(".")
