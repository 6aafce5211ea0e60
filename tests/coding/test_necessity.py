"""Linked services: what became of each, what it supports and why, and the user's own numbers."""

from __future__ import annotations

from functools import lru_cache

import pytest

import parsnlp
from parsnlp.coding.necessity import read_procedures
from parsnlp.errors import InputError
from parsnlp.models import Note, Service

KNOWN = "Assessment: L5 spondylolysis. "


@lru_cache
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


def services(*texts: str) -> list[Service]:
    notes = [Note(text=text, id=f"n{number}") for number, text in enumerate(texts)]
    found = extractor().extract_encounter(notes).services
    for service in found:
        text = notes[int(service.document[1:])].text
        assert text[service.start : service.end] == service.text
        assert service.trail and all(text_of(notes, span.document)[span.start : span.end] == span.text
                                     for step in service.trail for span in step.evidence)  # fmt: skip
    return list(found)


def text_of(notes: list[Note], name: str) -> str:
    return next(note.text for note in notes if note.id == name)


def said(*texts: str) -> list[str]:
    return [" ".join(filter(None, (each.modality or each.kind, each.status))) for each in services(*texts)]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Completed 8 weeks of PT.", ["physical_therapy done"]),
        ("He failed PT, a TLSO brace and an ESI.", ["physical_therapy failed", "bracing failed", "injection failed"]),
        ("Physical therapy for 6 weeks without relief.", ["physical_therapy failed"]),
        ("ESI x2 gave only temporary relief.", ["injection failed"]),
        ("Injections helped.", ["injection done"]),
        ("MRI lumbar spine ordered.", ["MRI ordered"]),
        ("Will get a CT of the lumbar spine.", ["CT ordered"]),
        ("Referral to physical therapy placed.", ["physical_therapy ordered"]),
        ("Rx for LSO brace given.", ["bracing ordered"]),
        ("If no better, consider an MRI.", ["MRI planned"]),
        ("L5-S1 fusion was discussed.", ["fusion planned"]),
        ("Surgery: TLIF scheduled for June 3.", ["fusion planned"]),
        ("Candidate for direct pars repair.", ["pars_repair planned"]),
        ("Bone stimulator recommended.", ["bone_stimulator planned"]),
        ("She declined an epidural injection.", ["injection declined"]),
        ("Injection was offered but the patient declined.", ["injection declined"]),
        ("Insurance denied the MRI.", ["MRI declined"]),
        ("s/p L5-S1 fusion in 2019.", ["fusion done"]),
        ("MRI 3/2026 showed bilateral L5 pars defects.", ["MRI done"]),
        ("Wears his TLSO 23 hours a day.", ["bracing done"]),
        ("Will start PT after failed bracing.", ["physical_therapy ordered", "bracing failed"]),
        ("No prior physical therapy.", []),
        ("Hold off on injections.", []),
        ("Surgery: fusion is not indicated.", []),
        ("Knee MRI ordered.", []),
        ("PT for the shoulder.", []),
        ("Patient has had no bracing.", []),
    ],
)
def test_what_became_of_it(sentence: str, expected: list[str]) -> None:
    assert said(KNOWN + sentence) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("- MRI L-spine\n", ["MRI ordered"]),
        ("- LSO\n", ["bracing ordered"]),
        ("- L5-S1 fusion\n", ["fusion planned"]),
        ("- LSO full-time for 6 weeks\n", ["bracing ordered"]),
        ("- Continue PT twice a week\n", ["physical_therapy done"]),
        ("- If CT shows nonunion, brace\n", ["CT planned", "bracing planned"]),
    ],
)
def test_a_bare_line_of_a_plan(line: str, expected: list[str]) -> None:
    assert said(f"Assessment: L5 spondylolysis.\n\nPlan:\n{line}") == expected


def test_one_service_stands_once_for_what_became_of_it() -> None:
    text = f"{KNOWN}MRI was discussed. MRI lumbar spine ordered today. MRI pending."
    (service,) = services(text)
    assert service.status == "ordered" and service.trail[0].says == "imaging ordered, 3 mentions"
    assert said(f"{KNOWN}PT for 6 weeks. He failed PT.") == ["physical_therapy failed"]
    assert said(f"{KNOWN}Ordered an LSO brace. Family declined the brace.") == ["bracing declined"]


def test_a_study_reported_later_is_no_longer_ordered() -> None:
    visit = "Assessment: spondylolysis suspected, L5 pars defect. CT lumbar spine ordered."
    report = "CT LUMBAR SPINE\nFINDINGS: Bilateral L5 pars defects."
    assert said(visit, report) == ["CT done"]
    assert said(visit) == ["CT ordered"]


@pytest.mark.parametrize(
    ("text", "supports", "codes", "says"),
    [
        (
            "Brace for L5 spondylolysis.",
            ("spondylolysis",),
            ("M43.06",),
            "named in one sentence with the spondylolysis",
        ),
        (
            "Assessment:\n1. L4-5 spondylolisthesis\n   - start PT\n2. Hypertension\n",
            ("spondylolisthesis",),
            ("M43.16",),
            "stands in the assessment under the spondylolisthesis",
        ),
        (
            "Assessment:\n1. L4-5 spondylolisthesis\n2. Shoulder pain\n   - start PT\n",
            (),
            (),
            None,
        ),
        ("Assessment: L5 spondylolysis. PT for radiculopathy.", (), (), None),
        ("Assessment: L5 spondylolysis. Cervical MRI ordered.", (), (), None),
        (
            "Assessment: L5 spondylolysis. MRI of the lumbar spine ordered.",
            ("spondylolysis",),
            ("M43.06",),
            "no other reason given in a record of the spondylolysis",
        ),
        (
            "MRI ordered to rule out spondylolysis.",
            ("spondylolysis",),
            (),
            "named in one sentence with the spondylolysis",
        ),
    ],
)
def test_what_it_supports(text: str, supports: tuple[str, ...], codes: tuple[str, ...], says: str | None) -> None:
    (service,) = services(text)
    assert (service.supports, service.codes) == (supports, codes)
    assert [step.says for step in service.trail[1:]] == ([says] if says else [])


def test_a_record_without_the_conditions_has_none() -> None:
    assert services("Shoulder pain. PT ordered.") == []


# --- the user's numbers ---------------------------------------------------------------------------------------------

TABLE = "kind,modality,region,procedure\nimaging,CT,lumbar,A1\nimaging,CT,,A2\nbracing,,,B1\n"


def test_numbers_come_from_the_users_table() -> None:
    extractor = parsnlp.load(procedures=read_procedures(TABLE, "table.csv"))
    text = f"{KNOWN}CT lumbar spine ordered. LSO brace given. PT started."
    assert [service.procedures for service in extractor.extract(text).services] == [("A1", "A2"), ("B1",), ()]
    assert all(not service.procedures for service in services(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t.csv: its first line must name the columns"),
        ("kind,code\nbracing,1\n", "t.csv: its first line must name the columns"),
        ("kind,procedure\n", "t.csv: holds no procedure"),
        ("kind,procedure\nbracing,\n", "t.csv:2: a row needs 'kind' and 'procedure'"),
        ("kind,procedure\nbracing,1,2\n", "t.csv:2: a row needs"),
    ],
)
def test_a_bad_table_is_named(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        read_procedures(text, "t.csv")
