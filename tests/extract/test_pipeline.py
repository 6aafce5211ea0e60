"""The medspaCy pipeline: one engine behind `extract` and `nlp`, components for anybody's pipeline, ConText mended.

The second half holds each defect of medspaCy 1.3.1 that we measured (docs: performance), as a note that it gets wrong.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc

from parsnlp.errors import InputError
from parsnlp.extract import pipeline
from parsnlp.extract.pipeline import FLAGS, MAX_DOC, tokens
from parsnlp.extractor import Extractor, load

NOTES = {
    "plain": "CT: bilateral L5 pars defects, no slip.",
    "report": (
        "MRI LUMBAR SPINE\nINDICATION: Rule out spondylolysis.\n\nFINDINGS:\nL4-L5: Normal.\n"
        "L5-S1: Grade 1 anterolisthesis, no stenosis.\n\nIMPRESSION:\n1. Bilateral L5 pars defects.\n"
        "2. No other abnormality.\n"
    ),
    "crlf": "FAMILY HISTORY: Mother with spondylolisthesis.\r\n\r\nASSESSMENT:\r\n- Possible spondylolysis\r\n- No slip\r\n",
    "odd": "\ufeffL5 pars\u00a0defect \U0001f600 and spondylo\u00adlisthesis\x00 at L4\u20135, spondylo-\nlisthesis e\u0301.",
    "wrapped": (
        "The patient is a nineteen year old wrestler who presents today with a left\n"
        "pars defect at L5 and without evidence of any spondylolisthesis whatever on\n"
        "the standing films of last week."
    ),
    "nothing": "Sore throat for three days.",
    "spaces": "  \n\t \n",
    "empty": "",
}


@functools.cache
def engine() -> Extractor:
    return load()


@functools.cache
def foreign() -> spacy.Language:
    """A pipeline that is not ours: spaCy's blank English with its own tokenizer, and our four factories."""
    pipeline._import_medspacy()
    nlp = spacy.blank("en")
    for name in ("sentences", "sections", "targets", "context"):
        nlp.add_pipe(f"parsnlp_{name}")
    return nlp


def said(text: str) -> list[tuple[str, str]]:
    """The mentions of a text, white space made plain, with their assertions."""
    return [(" ".join(item.text.split()).lower(), item.assertion) for item in engine().extract(text).findings]


def assertions(text: str) -> list[tuple[str, str]]:
    return [(item.condition, item.assertion) for item in engine().extract(text).findings]


# --- the Doc --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOTES)
def test_the_doc_shows_what_extract_finds(name: str) -> None:
    text = NOTES[name]
    doc = engine().nlp(text)
    assert isinstance(doc, Doc)
    assert doc.text == text
    findings = engine().extract(text).findings
    assert [(ent.label_, ent.start_char, ent.end_char, ent._.assertion) for ent in doc.ents] == [
        (item.condition, item.start, item.end, item.assertion) for item in findings
    ]
    for ent, item in zip(doc.ents, findings, strict=True):
        assert ent.text == item.text
        assert ent._.cues == tuple(cue.rule for cue in item.cues)
        assert {flag for flag in FLAGS.values() if getattr(ent._, flag)} == {
            flag for assertion, flag in FLAGS.items() if assertion == item.assertion
        }


def test_the_doc_of_a_note_has_mentions() -> None:
    doc = engine().nlp(NOTES["report"])
    assert [(ent.label_, ent._.assertion) for ent in doc.ents] == [
        ("spondylolysis", "hypothetical"),
        ("spondylolisthesis", "affirmed"),
        ("spondylolysis", "affirmed"),
    ]


def test_lone_surrogates_show_as_replacement_characters() -> None:
    text = "\ud800 L5 pars defects \udfff"
    assert engine().nlp(text).text == "\ufffd L5 pars defects \ufffd"
    assert [ent.text for ent in engine().nlp(text).ents] == ["pars defects"]


def test_sections() -> None:
    doc = engine().nlp(NOTES["report"])
    category = {doc[slice(*section.title_span)].text: section.category for section in doc._.sections}
    assert list(category)[-3:] == ["INDICATION:", "FINDINGS:", "IMPRESSION:"]
    assert category["INDICATION:"] == "indication"
    assert category["IMPRESSION:"] == "impression"
    bodies = {section.category: doc[slice(*section.body_span)].text for section in doc._.sections}
    assert "Bilateral L5 pars defects" in bodies["impression"]
    assert "Grade 1" not in bodies["impression"]


def test_sentences_follow_the_layout() -> None:
    doc = engine().nlp("- no pars defect\n- spondylolisthesis at L5-S1. It is old.\n \nPlan: rest.")
    assert [sentence.text.strip() for sentence in doc.sents] == [
        "- no pars defect",
        "- spondylolisthesis at L5-S1.",
        "It is old.",
        "Plan: rest.",
    ]


def test_modifiers_and_context_graph() -> None:
    doc = engine().nlp("No pars defect at L5. Spondylolisthesis at L4-5.")
    (negated, affirmed) = doc.ents
    assert [modifier.category.lower() for modifier in negated._.modifiers] == ["negated"]
    assert negated._.is_negated is True
    assert affirmed._.is_negated is False
    assert affirmed._.modifiers == ()
    assert len(doc._.context_graph.targets) == 2
    assert [edge[0].text for edge in doc._.context_graph.edges] == ["pars defect"]


def test_a_text_over_the_limit_of_spacy_is_refused() -> None:
    with pytest.raises(InputError, match="1,000,000"):
        engine().nlp("x" * (MAX_DOC + 1))
    assert engine().nlp("x" * MAX_DOC).text == "x" * MAX_DOC


# --- anybody's pipeline ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOTES)
def test_the_factories_in_a_foreign_pipeline(name: str) -> None:
    """Spans widen to spaCy's tokens; what is found and which cues reach it are ours."""
    text = NOTES[name]
    doc = foreign()(text)
    assert doc.text == text
    ours = engine().nlp(text)
    assert [(ent.label_, [m.category for m in ent._.modifiers]) for ent in doc.ents] == [
        (ent.label_, [m.category for m in ent._.modifiers]) for ent in ours.ents
    ]
    for ent, item in zip(doc.ents, engine().extract(text).findings, strict=True):
        assert ent.start_char <= item.start < item.end <= ent.end_char


def test_foreign_sections_and_sentences() -> None:
    doc = foreign()(NOTES["report"])
    assert "impression" in [section.category for section in doc._.sections]
    assert any(sentence.text.strip() == "L4-L5: Normal." for sentence in doc.sents)


def test_foreign_pipe_gives_the_same() -> None:
    texts = list(NOTES.values())
    piped = [[(ent.label_, ent.start_char) for ent in doc.ents] for doc in foreign().pipe(texts)]
    assert piped == [[(ent.label_, ent.start_char) for ent in foreign()(text).ents] for text in texts]
    assert any(piped)


def test_rules_of_ones_own() -> None:
    from medspacy.context import ConTextRule
    from medspacy.target_matcher import TargetRule

    nlp = spacy.blank("en")
    for name in ("sentences", "sections", "targets", "context"):
        nlp.add_pipe(f"parsnlp_{name}")
    targets: Any = nlp.get_pipe("parsnlp_targets")
    context: Any = nlp.get_pipe("parsnlp_context")
    targets.add([TargetRule("bamboo spine", "ankylosis")])
    context.add([ConTextRule("not a trace of", "NEGATED", direction="FORWARD")])
    doc = nlp("Not a trace of bamboo spine. Pars defect at L5.")
    assert [(ent.text, ent.label_, [m.category.lower() for m in ent._.modifiers]) for ent in doc.ents] == [
        ("bamboo spine", "ankylosis", ["negated"]),
        ("Pars defect", "spondylolysis", []),
    ]
    assert [
        item.condition for item in engine().extract("Bamboo spine.").findings
    ] == []  # the shipped rules are as before


def test_token_patterns_are_refused_with_a_reason() -> None:
    from medspacy.target_matcher import TargetRule

    nlp = spacy.blank("en")
    nlp.add_pipe("parsnlp_targets")
    targets: Any = nlp.get_pipe("parsnlp_targets")
    with pytest.raises(InputError, match="token patterns"):
        targets.add([TargetRule("x", "ankylosis", pattern=[{"LOWER": "x"}])])


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [*NOTES.values(), "a  b", " a", "a ", "a \n b", "____", "....", "a_b-c", "\t", "x" * 5000]
)
def test_tokens_hold_the_text(text: str) -> None:
    words, spaces = tokens(text)
    if text:
        assert "".join(word + " " * space for word, space in zip(words, spaces, strict=True)) == text
    assert all(words)


def test_a_run_of_one_symbol_is_one_token() -> None:
    assert tokens("_" * 100_000)[0] == ["_" * 100_000]
    assert tokens("*" * 100_000)[0] == ["*" * 100_000]


def test_spacy_finds_the_components_by_itself() -> None:
    program = """
import spacy
nlp = spacy.blank("en")
for name in ("sentences", "sections", "targets", "context"):
    nlp.add_pipe(f"parsnlp_{name}")
print([(ent.text, len(ent._.modifiers)) for ent in nlp("No pars defect. L5-S1 slip.").ents])
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown == "[('pars defect', 1), ('slip', 0)]\n"


# --- ConText, mended ------------------------------------------------------------------------------------------------


def graph(text: str, *rules: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """What cues made from `rules` reach in a text, with no rules but these and plain targets."""
    from medspacy.context import ConTextRule

    nlp = spacy.blank("en")
    for name in ("sentences", "targets", "context"):
        nlp.add_pipe(f"parsnlp_{name}")
    context: Any = nlp.get_pipe("parsnlp_context")
    context.add([])
    context.rules = [ConTextRule(**rule) for rule in rules]
    context._compile()
    return [(ent.text, [m.category.lower() for m in ent._.modifiers]) for ent in nlp(text).ents]


NO: dict[str, Any] = {"literal": "nix", "category": "NEGATED", "direction": "FORWARD"}
OUT: dict[str, Any] = {"literal": "verworfen", "category": "NEGATED", "direction": "BACKWARD"}
BUT: dict[str, Any] = {"literal": "jedoch", "category": "TERMINATE", "direction": "TERMINATE"}
YET: dict[str, Any] = {"literal": "dennoch", "category": "TERMINATE", "direction": "TERMINATE"}


def test_a_rule_with_max_scope_heeds_terminators() -> None:
    text = "nix fracture jedoch spondylolisthesis"
    assert graph(text, NO, BUT) == [("spondylolisthesis", [])]
    assert graph(text, {**NO, "max_scope": 6}, BUT) == [("spondylolisthesis", [])]
    assert graph(text, {**NO, "max_scope": 6}) == [("spondylolisthesis", ["negated"])]


def test_max_scope_ends_the_reach() -> None:
    far = "nix one two three four five six spondylolisthesis"
    assert graph(far, {**NO, "max_scope": 3}) == [("spondylolisthesis", [])]
    assert graph(far, NO) == [("spondylolisthesis", ["negated"])]


def test_a_backward_cue_with_two_terminators_stops_at_the_nearer() -> None:
    text = "spondylolysis jedoch spondylolisthesis dennoch stenosis verworfen"
    assert graph(text, OUT, BUT, YET) == [("spondylolysis", []), ("spondylolisthesis", [])]
    assert graph(text, OUT, BUT) == [("spondylolysis", []), ("spondylolisthesis", ["negated"])]


def test_a_forward_cue_with_two_terminators_stops_at_the_nearer() -> None:
    text = "nix stenosis jedoch spondylolysis dennoch spondylolisthesis"
    assert graph(text, NO, BUT, YET) == [("spondylolysis", []), ("spondylolisthesis", [])]
    assert graph(text, NO, YET) == [("spondylolysis", ["negated"]), ("spondylolisthesis", [])]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("No fracture but spondylolisthesis of L4 on L5.", ["affirmed"]),
        ("Spondylolysis but spondylolisthesis present however stenosis was ruled out.", ["affirmed", "affirmed"]),
        ("-no pars defect", ["negated"]),
        ("-no pars defect\n-spondylolisthesis L4-5", ["negated", "affirmed"]),
        ("\u2022 no pars defect\n\u2022 spondylolisthesis", ["negated", "affirmed"]),
        ("No fracture\n \nSpondylolisthesis present", ["affirmed"]),
        ("no fracture\nspondylolisthesis l5", ["affirmed"]),
        ("1. No pars defect\n2. Spondylolisthesis at L5\n3.", ["negated", "affirmed"]),
        ("L4-5 w/o spondylolisthesis", ["negated"]),
        ("Suspected pars defect at L5.", ["uncertain"]),
        ("Spondylolisthesis: negative", ["negated"]),
        ("A pars defect cannot be excluded.", ["uncertain"]),
        ("Spondylolysis is unlikely.", ["uncertain", "negated"]),
        ("No known allergies. Spondylolisthesis at L4-5 today.", ["affirmed"]),
        ("I recommend CT.  Pars fracture at L5 on the left.", ["affirmed"]),
        (
            "After a long discussion of the films with the family, spondylolysis was ruled\nout by computed tomography.",
            ["negated"],
        ),
    ],
)
def test_cues_and_layout(text: str, wanted: list[str]) -> None:
    got = [assertion for _, assertion in assertions(text)]
    if text == "Spondylolysis is unlikely.":  # policy P-F3 lists neither; it must only not be affirmed
        assert len(got) == 1
        assert got[0] in wanted
    else:
        assert got == wanted


ODD_WORDS = [
    ("pars  defect", "spondylolysis"),
    ("pars\u00a0defect", "spondylolysis"),
    ("pars\tdefect", "spondylolysis"),
    ("spondylo-\nlisthesis", "spondylolisthesis"),
    ("spondylo-\r\n    listhesis", "spondylolisthesis"),
    ("spondylo\u00adlisthesis", "spondylolisthesis"),
    ("spondylo\u200blisthesis", "spondylolisthesis"),
    ("\uff53\uff50\uff4f\uff4e\uff44\uff59\uff4c\uff4f\uff4c\uff59\uff53\uff49\uff53", "spondylolysis"),
    ("\uff30\uff41\uff52\uff53 \uff44\uff45\uff46\uff45\uff43\uff54", "spondylolysis"),
    ("SPONDYLOLISTHESIS", "spondylolisthesis"),
    ("spondylolisth\u00e9sis", "spondylolisthesis"),
]
WRAPPED_WORDS = [
    ("pars\ndefect", "spondylolysis"),
    ("pars\r\ndefect", "spondylolysis"),
    ("pars\n   defect", "spondylolysis"),
]
SHORT = ("{} at L5 on the left.", "The film shows {}.", "{}", "\ufeff{}")
LONG = "The radiograph of the lumbar spine taken this morning shows a {} at L5 on the left."


@pytest.mark.parametrize(
    ("words", "condition", "frame"),
    [
        *((words, condition, frame) for words, condition in ODD_WORDS for frame in SHORT),
        *((words, condition, LONG) for words, condition in ODD_WORDS + WRAPPED_WORDS),
        ("pars\ndefect", "spondylolysis", "{} at L5"),  # lines too short to be a wrap by their width
    ],
    ids=ascii,
)
def test_words_that_a_token_matcher_misses(words: str, condition: str, frame: str) -> None:
    text = frame.format(words)
    result = engine().extract(text)
    assert [(item.condition, item.assertion) for item in result.findings] == [(condition, "affirmed")]
    (item,) = result.findings
    assert text[item.start : item.end] == item.text
    assert item.text == words


def test_a_target_glued_to_nul_is_found() -> None:
    assert assertions("L5 \x00spondylolysis\x00 on the left") == [("spondylolysis", "affirmed")]


def test_a_grade_over_a_line_break_is_kept() -> None:
    text = "Assessment: There is a grade\nI spondylolisthesis at L5-S1."
    (item,) = engine().extract(text).findings
    assert item.grade == "I"


def test_a_thousand_nested_cues_do_not_recurse() -> None:
    text = "no evidence of " * 2000 + "pars defect"
    assert len(engine().extract(text).findings) == 1


def test_negation_list_of_many_lines_is_read_line_by_line() -> None:
    text = "\n".join(["No evidence of spondylolysis."] * 800 + ["Spondylolisthesis at L4-5."])
    found = [item.assertion for item in engine().extract(text).findings]
    assert found == ["negated"] * 800 + ["affirmed"]


def test_an_ordinary_report() -> None:
    assert said(NOTES["report"]) == [
        ("spondylolysis", "hypothetical"),
        ("anterolisthesis", "affirmed"),
        ("pars defects", "affirmed"),
    ]
