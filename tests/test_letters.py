"""Query letters, measured by the AHIMA/ACDIS brief on compliant query practice (2022 update)."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp import letters
from parsnlp.errors import InputError
from parsnlp.interfaces import cli
from parsnlp.models import Note, Query, Result

ROOT = Path(__file__).parents[1]
DEV = ROOT / "corpora" / "dev"
# Written apart from letters.FORBIDDEN, which it also checks. Vertebrae such as T12 and policy ids are no codes.
ICD = re.compile(r"\b[A-TV-Z]\d[0-9A-Z]\.[0-9A-Z]+|\b(?:M43|M48|Q76|S12|S22|S32|S33)\w*|\b738\.4|\b756\.1", re.I)
IMPACT = re.compile(
    r"reimburs|payment|payer|\bdrg|denial|\bclaim|\bbill(?:ing|able|ed)?\b|revenue|\bcode[sd]?\b|coding", re.I
)
LEADING = re.compile(
    r"don't you|do you agree|isn't|would you agree|please (?:add|confirm)|should be documented|\bbecause\b", re.I
)
# Each kind of question with a note that raises it.
NOTES = {
    "body_fracture": "Fell off a roof. CT: L1 burst fracture with an acute traumatic left L1 lamina fracture.",
    "site_missing": "Assessment: spondylolisthesis, symptomatic.",
    "laterality_missing": "Assessment: chronic L5 pars defect.",
    "chronicity_missing": "Assessment: left L5 pars defect.",
    "congenital_vs_acquired": "Assessment: developmental spondylolisthesis L5-S1.",
    "level_not_in_assessment": (ROOT / "docs" / "example-note.txt").read_text(encoding="utf-8"),
    "imaging_only": "HPI: low back pain.\n\nImaging: XR lumbar spine shows L4-L5 spondylolisthesis.\n\nAssessment: Low back pain.",
    "lysis_slip_collapsed": "Assessment: isthmic spondylolisthesis L5-S1.",
    "historical_status": "PMH: history of L5 spondylolysis.\n\nAssessment: knee pain.",
    "trauma_chronic_conflict": "Assessment: Chronic bilateral L5 pars defects, found after a fall from a ladder.",
    "uncertain_wording": "Assessment: possible L5 spondylolysis.",
}


@functools.cache
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


@functools.cache
def read(text: str) -> Result:
    return extractor().extract(text)


@functools.cache
def dev() -> tuple[tuple[Note, Result], ...]:
    made = []
    for line in (DEV / "gold.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        with (DEV / row["file"]).open(newline="", encoding="utf-8") as file:
            note = Note(
                id=row["id"], text=file.read(), kind=row["kind"], setting=row["setting"], date=row["encounter_date"]
            )
        made.append((note, extractor().extract(note)))
    return tuple(made)


def everything() -> Iterator[tuple[Note, Result]]:
    yield from dev()
    for text in NOTES.values():
        yield Note(text=text), read(text)


def only(kind: str) -> Query:
    return next(query for query in read(NOTES[kind]).queries if query.kind == kind)


@pytest.mark.parametrize("kind", NOTES)
def test_every_kind_has_a_note_and_a_title_of_its_own(kind: str) -> None:
    asked = letters.question(only(kind), read(NOTES[kind]))
    assert asked.title == letters._TITLES[kind] and asked.indicators
    assert set(NOTES) == set(letters._TITLES)


def test_every_query_of_the_corpus_is_compliant() -> None:
    seen = set()
    for note, result in everything():
        for query in result.queries:
            seen.add(query.kind)
            words = " ".join((query.says, *query.options))
            for wrong in (ICD, IMPACT, LEADING, letters.FORBIDDEN):
                assert not wrong.search(words), (note.id, words)
            assert query.says.count("?") + query.says.count("Please") == 1, query.says
            assert query.evidence and all(note.text[s.start : s.end] == s.text for s in query.evidence)
            assert len(query.options) != 1 and len(set(query.options)) == len(query.options)
            if query.options:
                assert query.options[-2:] == ("other (please specify)", "unable to determine")
                assert len(query.options) >= 4  # never one answer and a way out
    assert seen == set(NOTES)


def test_no_query_names_a_condition_that_the_chart_does_not() -> None:
    for note, result in everything():
        held = {finding.condition for finding in result.findings if finding.assertion != "family"}
        for query in result.queries:
            words = " ".join((query.says, *query.options)).lower()
            for condition, names in (
                ("spondylolysis", ("spondylolysis", "pars defect")),
                ("spondylolisthesis", ("spondylolisthesis", "slip")),
                ("traumatic_fracture", ("fracture",)),
            ):
                if any(name in words for name in names):
                    assert condition in held, (note.id, query.says)


def test_every_letter_of_the_corpus_is_compliant_with_and_without_the_text() -> None:
    written = 0
    for note, result in everything():
        for texts in (None, {note.id: note.text}):
            for format in letters.FORMATS:
                made = letters.letter(result, format, texts)  # type: ignore[arg-type]
                for wrong in (ICD, IMPACT):
                    found = wrong.search(made)
                    assert not found, (note.id, found)
                asked = [query for query in result.queries if query.severity == "query"]
                assert (letters.NOTHING in made) == (not asked)
                assert ("Provider’s signature" in made) == ("into the record" in made) == bool(asked)
                assert made.count("unable to determine") == len(asked)
                written += bool(asked)
    assert written > 80


def test_each_indicator_is_quoted_from_its_place() -> None:
    for note, result in everything():
        made = letters.build(result, {note.id: note.text})
        for asked in (*made.questions, *made.tips):
            for item in asked.indicators:
                assert note.text[item.start : item.end] == item.text and item.document == note.id
                if item.quote is not None:
                    assert item.quote in " ".join(note.text.split()) and " ".join(item.text.split()) in item.quote


def test_a_letter_has_its_parts() -> None:
    text = "Assessment: possible L5 spondylolysis."
    result = extractor().extract(Note(id="enc-7", text=text, date="2026-05-12"))
    made = letters.letter(result, texts={"enc-7": text})
    assert made.startswith("DOCUMENTATION QUERY\n\nTo: the treating provider")
    assert "Patient: ____" in made and "Encounter or document: enc-7" in made
    at = text.index("spondylolysis")
    assert (
        f"- “Assessment: possible L5 spondylolysis.” (document enc-7, characters {at}-{at + 13}, section impression, 2026-05-12)"
        in made
    )
    assert "worded: “possible”" in made and "site: L5" in made
    assert "Question: Spondylolysis is documented in uncertain terms." in made
    assert "[ ] confirmed\n   [ ] ruled out\n   [ ] still under evaluation\n   [ ] other (please specify): ____" in made
    assert re.search(r"^Provider’s signature: _+ +Date and time: _+$", made, re.M)
    assert "write your answer into the record" in made


def test_the_date_of_the_study_comes_before_that_of_the_document() -> None:
    made = letters.build(read(NOTES["level_not_in_assessment"]))
    imaged, assessed = made.questions[0].indicators
    assert (imaged.date, assessed.date) == ("2026-05-04", None)
    assert "study: CT" in imaged.details


def test_indicators_in_one_sentence_share_its_quotation() -> None:
    text = NOTES["trauma_chronic_conflict"]
    built = letters.build(read(text), {"note": text})
    asked = next(asked for asked in built.questions if asked.kind == "trauma_chronic_conflict")
    assert len(asked.indicators) == 3
    made = letters.letter(read(text), texts={"note": text})
    assert made.count(f"“{text}”") == 1
    for item in asked.indicators:
        assert f"{item.start}-{item.end}" in made


def test_an_open_question_leaves_room_and_a_way_out() -> None:
    made = letters.letter(read(NOTES["site_missing"]))
    assert re.search(r"Answer: _+\n   \[ \] unable to determine", made)


def test_tips_stand_apart() -> None:
    result = read(NOTES["laterality_missing"])
    built = letters.build(result)
    assert [tip.kind for tip in built.tips] == ["laterality_missing"]
    assert all(asked.kind != "laterality_missing" for asked in built.questions)
    made = letters.letter(result)
    assert made.startswith("note: There is nothing to ask the provider.") and "Provider’s signature" not in made
    assert "DOCUMENTATION TIPS (not queries" in made and "[ ]" not in made
    assert "On which side" in made.partition("DOCUMENTATION TIPS")[2]


def test_a_side_that_is_half_given_offers_only_the_two_that_fit() -> None:
    result = read("Assessment: chronic unilateral L5 pars defect.")
    query = next(query for query in result.queries if query.kind == "laterality_missing")
    assert query.options[:-2] == ("left", "right")
    assert only("laterality_missing").options[:-2] == ("left", "right", "bilateral")


def test_nothing_to_ask() -> None:
    assert letters.letter(read("Knee pain.")) == "note: There is nothing to ask the provider."


@pytest.mark.parametrize(
    "text",
    [
        "Assessment: possible L5 spondylolysis (M43.06).",
        "Assessment: possible L5 spondylolysis, see S32.058A and payer denial.",
        "Assessment: possible L5 spondylolysis, 738.4 on the old claim.",
        "Assessment: possible L5 spondylolysis for reimbursement, DRG 552.",
    ],
)
def test_a_sentence_with_a_code_or_payment_words_is_not_quoted(text: str) -> None:
    result = read(text)
    made = letters.letter(result, texts={"note": text})
    assert "“spondylolysis”" in made
    assert not ICD.search(made) and not IMPACT.search(made)


def test_vertebrae_and_denials_of_symptoms_are_quoted() -> None:
    text = "Assessment: possible T12 spondylolysis, denied numbness."
    assert f"“{text}”" in letters.letter(read(text), texts={"note": text})


def test_a_text_that_is_not_the_documents_is_not_quoted() -> None:
    made = letters.build(read(NOTES["uncertain_wording"]), {"note": "Something else altogether, of other length."})
    assert [item.quote for item in made.questions[0].indicators] == [None]


def test_markdown_shows_the_notes_words_literally() -> None:
    text = "Assessment: possible L5 spondylolysis with <b>_x_ `z` #1"
    made = letters.letter(read(text), "markdown", {"note": text})
    assert made.startswith("# Documentation query\n")
    assert r"with \<b\>\_x\_ \`z\` \#1”" in made
    assert "- [ ] unable to determine" in made


def test_another_format_is_refused() -> None:
    with pytest.raises(InputError, match="format 'html' is not one of text, markdown"):
        letters.letter(read("x"), "html")  # type: ignore[arg-type]


def test_no_repr_shows_note_text(canary: str) -> None:
    text = f"Assessment: possible L5 spondylolysis {canary}."
    made = letters.build(extractor().extract(text), {"note": text})
    assert canary in made.model_dump_json()
    for item in (made, *made.questions, *made.questions[0].indicators):
        assert canary not in repr(item) and "spondylolysis" not in repr(item)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        made.id = "x"


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    load = parsnlp.extractor.load
    default = ("outpatient", "separate", "M43.0", None, False)
    monkeypatch.setattr(
        parsnlp.extractor, "load", lambda *options: extractor() if options == default else load(*options)
    )
    return lambda *arguments: CliRunner().invoke(cli.app, [str(a) for a in arguments], prog_name="parsnlp")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for kind, text in NOTES.items():
        (tmp_path / f"{kind}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "knee.txt").write_text("Knee pain.", encoding="utf-8")
    return {path.stem: path for path in tmp_path.iterdir()}


def test_query_prints_the_letters(run: Any, files: dict[str, Path]) -> None:
    done = run("query", files["uncertain_wording"], files["knee"], "--date", "2026-05-12")
    assert done.exit_code == 0, done.output
    assert "“Assessment: possible L5 spondylolysis.” (document uncertain_wording, " in done.stdout
    assert done.stdout.endswith("\nknee: There is nothing to ask the provider.\n")
    assert done.stderr == ""


def test_query_in_markdown_and_json(run: Any, files: dict[str, Path]) -> None:
    assert run("query", "--markdown", files["site_missing"]).stdout.startswith("# Documentation query")
    done = run("query", "--json", files["site_missing"], files["knee"])
    first, second = map(letters.Letter.model_validate_json, done.stdout.splitlines())
    assert [asked.kind for asked in first.questions] == ["site_missing"] and first.questions[0].indicators[0].quote
    assert second == letters.Letter(id="knee")
    assert run("query", "--json", "--markdown", files["knee"]).exit_code == 2


def test_query_goes_on_after_a_file_it_cannot_read(run: Any, files: dict[str, Path], tmp_path: Path) -> None:
    done = run("query", tmp_path / "missing.txt", files["knee"])
    assert done.exit_code == 3 and "knee: There is nothing" in done.stdout and "missing.txt" in done.stderr
    assert run("query", tmp_path / "missing.txt").exit_code == 2
    assert run("query", "-", "-").exit_code == 2


def test_query_takes_the_setting(run: Any, files: dict[str, Path]) -> None:
    assert run("query", "--setting", "inpatient", files["uncertain_wording"]).exit_code == 0
    assert run("query", "--setting", "moon", files["uncertain_wording"]).exit_code == 2
