"""Codes of several vertebrae and of several mentions: what each rests on (P-C8, P-C9)."""

from __future__ import annotations

import pytest

import parsnlp

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
