"""Codes of several vertebrae and of several mentions: what each rests on (P-C8, P-C9)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

import parsnlp
from parsnlp.coding.injuries import _of_another, _opens

EXTRACTOR = parsnlp.load()


def test_a_code_of_two_vertebrae_rests_on_the_evidence_and_steps_of_both() -> None:
    note = "MVC with acute traumatic T5 lamina fracture. Acute T6 pedicle fracture from the same crash."
    (code,) = EXTRACTOR.extract(note).codes
    words = [note[span.start : span.end] for span in code.evidence]
    assert code.code == "S22.058A"
    assert any("T5 lamina fracture" in told for told in words) and any("T6 pedicle fracture" in told for told in words)
    says = [step.says for step in code.trail]
    assert {"traumatic arch fracture of T5: S22.058-", "traumatic arch fracture of T6: S22.058-"} <= set(says)
    assert len(says) == len(set(says)) and len(words) == len({(span.start, span.end) for span in code.evidence})


@pytest.mark.parametrize(
    ("note", "codes"),
    [
        # The word is inside, before, behind, or in front of another vertebra's fracture.
        ("MVC with acute nondisplaced C6 lamina fx and C7 pedicle fx.", ["S12.591A", "S12.690A"]),
        ("MVC with acute C6 lamina fracture and C7 pedicle fracture, nondisplaced.", ["S12.590A", "S12.691A"]),
        ("MVC with acute C6 lamina fracture, nondisplaced, C7 pedicle fracture.", ["S12.591A", "S12.690A"]),
        ("MVC with acute C6 lamina fracture and a nondisplaced C7 pedicle fracture.", ["S12.590A", "S12.691A"]),
        ("MVC, nondisplaced: acute C6 lamina fracture and C7 pedicle fracture.", ["S12.591A", "S12.690A"]),
        # Another mention of the same vertebra says it.
        ("MVC with acute C6 lamina fracture. CT: nondisplaced C6 lamina fracture.", ["S12.591A"]),
    ],
)
def test_nondisplaced_is_said_of_one_vertebra(note: str, codes: list[str]) -> None:
    assert [code.code for code in EXTRACTOR.extract(note).codes] == codes


@pytest.mark.parametrize(
    ("note", "codes"),
    [
        # A region that holds none of the stated vertebrae is a fracture of its own; one that holds them is theirs.
        (
            "MVC with acute C4 lamina fracture. Acute thoracic pedicle fracture from the crash.",
            ["S12.390A", "S22.008A"],
        ),
        ("MVC with acute T5 lamina fracture. Acute thoracic lamina fracture from the crash.", ["S22.058A"]),
        ("MVC with acute T12 lamina fracture. Acute thoracolumbar lamina fracture from the crash.", ["S22.088A"]),
        ("MVC with acute T5 lamina fracture. Acute lamina fracture from the crash.", ["S22.058A"]),
        ("MVC with acute thoracic lamina fracture. Acute lamina fracture from the crash.", ["S22.008A"]),
    ],
)
def test_a_region_without_a_stated_vertebra_is_another_fracture(note: str, codes: list[str]) -> None:
    assert [code.code for code in EXTRACTOR.extract(note).codes] == codes


def test_an_arch_fracture_of_no_site_is_refused_and_asked_about() -> None:
    result = EXTRACTOR.extract("MVC today. Acute traumatic pars fracture.")
    assert not result.codes
    assert [(item.code, item.rule) for item in result.suppressed] == [("S32.0-", "P-C5")]
    assert [query.kind for query in result.queries] == ["site_missing"]


def test_a_hangmans_fracture_is_of_the_axis() -> None:
    result = EXTRACTOR.extract("Diving accident. Acute hangman's fracture.")
    assert result.conditions[0].levels == ("C2",) and not result.queries
    assert "at C2" in result.codes[0].reason


@pytest.mark.parametrize("kind", ["progress", "consult", "radiology", "ed", "operative", "discharge"])
@pytest.mark.parametrize(
    ("category", "early", "opens"),
    [
        (None, True, True),
        (None, False, False),
        ("present", False, True),
        ("impression", False, True),
        ("history", False, True),
        ("exam", False, False),
        ("exam", True, True),
        ("plan", True, False),
        ("order", True, False),
        ("education", True, False),
        ("technique", True, False),
    ],
)
def test_where_a_follow_up_wording_names_this_visit(kind: str, category: str | None, early: bool, opens: bool) -> None:
    section = None if category is None else SimpleNamespace(category=category)
    document = SimpleNamespace(reading=SimpleNamespace(kind=kind, section=lambda start: section))
    visit = kind in ("progress", "consult")
    assert _opens(document, SimpleNamespace(start=0, how="5" if early else "6")) is (opens and visit)


@pytest.mark.parametrize(
    ("text", "own", "others", "theirs"),
    [
        # own and others: the mentions; the word is "nondisplaced".
        ("nondisplaced C6 lamina fx and C7 pedicle fx", "C7 pedicle fx", ["nondisplaced C6 lamina fx"], True),
        ("nondisplaced C6 lamina fx and C7 pedicle fx", "nondisplaced C6 lamina fx", ["C7 pedicle fx"], False),
        ("C6 fx, nondisplaced, C7 fx", "C6 fx", ["C7 fx"], False),
        ("C6 fx, nondisplaced, C7 fx", "C7 fx", ["C6 fx"], True),
        ("C6 fx and nondisplaced C7 fx", "C6 fx", ["C7 fx"], True),
        ("C6 fx and nondisplaced C7 fx", "C7 fx", ["C6 fx"], False),
        ("C6 fx and C7 fx, nondisplaced", "C6 fx", ["C7 fx"], True),
        ("C6 fx and C7 fx, nondisplaced", "C7 fx", ["C6 fx"], False),
        ("nondisplaced: C6 fx and C7 fx", "C7 fx", ["C6 fx"], True),
        ("nondisplaced: C6 fx and C7 fx", "C6 fx", ["C7 fx"], False),
        ("C5 fx, C6 fx and nondisplaced C7 fx", "C5 fx", ["C6 fx", "C7 fx"], True),
        ("C5 fx, C6 fx and nondisplaced C7 fx", "C7 fx", ["C5 fx", "C6 fx"], False),
        ("nondisplaced C6 fx", "C6 fx", [], False),
    ],
)
def test_whose_word_it_is(text: str, own: str, others: list[str], theirs: bool) -> None:
    def place(words: str) -> SimpleNamespace:
        start = text.index(words)
        return SimpleNamespace(
            document=0, mention=SimpleNamespace(start=start, end=start + len(words), sentence=0, words=words)
        )

    record = SimpleNamespace(documents=[SimpleNamespace(reading=SimpleNamespace(text=text))])
    word = place("nondisplaced").mention
    elsewhere = [
        SimpleNamespace(document=1, mention=word),
        SimpleNamespace(document=0, mention=SimpleNamespace(start=word.start, end=word.end, sentence=1)),
    ]
    found = [*elsewhere, *(place(words) for words in others)]
    assert _of_another(cast(Any, record), cast(Any, word), cast(Any, place(own)), cast(Any, found)) is theirs
