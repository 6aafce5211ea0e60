"""OMOP's NOTE_NLP: the standard's columns, each assertion mapped as written, nothing from the clock."""

from __future__ import annotations

import csv
import datetime
import stat
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

import parsnlp
from parsnlp.errors import InputError
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.exchange import omop
from parsnlp.models import Assertion, Note, Result

# The table in CDM 5.4: name, whether it is required.
STANDARD = [
    ("note_nlp_id", True), ("note_id", True), ("section_concept_id", False), ("snippet", False), ("offset", False),
    ("lexical_variant", True), ("note_nlp_concept_id", False), ("note_nlp_source_concept_id", False),
    ("nlp_system", False), ("nlp_date", True), ("nlp_datetime", False), ("term_exists", False),
    ("term_temporal", False), ("term_modifiers", False),
]  # fmt: skip
TEXT = (
    "HPI: L5 pars defects. No slip. Possible listhesis. Mother has spondylolisthesis. History of spondylolysis.\r\n"
    "Return if a slip develops. 🙂 Assessment: L4-L5 anterolisthesis, grade I."
)
DAY = datetime.date(2026, 5, 12)


@pytest.fixture(scope="module")
def result() -> Result:
    return parsnlp.load().extract(Note(text=TEXT, id="17", kind="progress"))


def rows(result: Result, text: str | None = TEXT, **mapped: Any) -> list[dict[str, Any]]:
    found = [(result, {} if text is None else {"17": text})]
    names = [column.name for column in omop.NOTE_NLP.columns]
    return [dict(zip(names, row, strict=True)) for row in omop.rows(found, omop.Mapped(DAY, **mapped))]


def test_the_columns_are_the_standards_and_the_required_ones_are_never_null() -> None:
    assert [column.name for column in omop.NOTE_NLP.columns] == [name for name, _ in STANDARD]
    nullable = {column.name: column.nullable for column in omop.NOTE_NLP.columns}
    assert not any(nullable[name] for name, required in STANDARD if required)


def test_every_assertion_is_mapped_and_only_what_the_patient_has_or_had_exists() -> None:
    assert set(omop.ASSERTED) == set(get_args(Assertion))
    exists = {name: (row[0], row[1]) for name, row in omop.ASSERTED.items()}
    assert {name for name, (flag, _) in exists.items() if flag == "Y"} == {"affirmed", "historical"}
    assert exists["historical"] == ("Y", "Past") and exists["uncertain"] == ("N", "Present")
    assert [exists[name][1] for name in ("family", "generic", "hypothetical")] == [None, None, None]


def test_a_row_a_mention(result: Result) -> None:
    made = rows(result, first_id=100)
    assert [row["note_nlp_id"] for row in made] == list(range(100, 100 + len(result.findings)))
    by_assertion = {finding.assertion: row for finding, row in zip(result.findings, made, strict=True)}
    assert set(by_assertion) >= {"affirmed", "negated", "uncertain", "family", "historical", "hypothetical"}
    for finding, row in zip(result.findings, made, strict=True):
        assert TEXT[int(row["offset"]) :].startswith(row["lexical_variant"]) and row["lexical_variant"] == finding.text
        assert " ".join(finding.text.split()) in row["snippet"] and len(row["snippet"]) <= 250
        assert (row["note_id"], row["nlp_date"], row["nlp_datetime"]) == (17, DAY, None)
        assert row["note_nlp_concept_id"] == row["note_nlp_source_concept_id"] == row["section_concept_id"] == 0
        assert (row["term_exists"], row["term_temporal"]) == omop.ASSERTED[finding.assertion][:2]
        modifiers = dict(pair.split("=") for pair in row["term_modifiers"].split(";"))
        assert modifiers["condition"] == finding.condition and modifiers["assertion"] == finding.assertion
        assert modifiers.get("levels", "") == ",".join(finding.levels) and modifiers.get("grade") == finding.grade
        assert row["nlp_system"] == f"{result.engine}, rule set {result.rule_set.hash}"
    assert by_assertion["negated"]["term_modifiers"].startswith("negated=true;subject=patient;certainty=certain")
    assert "subject=family" in by_assertion["family"]["term_modifiers"]
    assert "conditional=true" in by_assertion["hypothetical"]["term_modifiers"]


def test_concepts_and_note_ids_come_from_the_callers_tables(result: Result) -> None:
    section = next(finding.section for finding in result.findings if finding.section)
    made = rows(result, concepts={"spondylolysis": 11, section: 22}, note_ids={"17": 9000})
    assert {row["note_id"] for row in made} == {9000}
    for finding, row in zip(result.findings, made, strict=True):
        assert row["note_nlp_concept_id"] == (11 if finding.condition == "spondylolysis" else 0)
        assert row["section_concept_id"] == (22 if finding.section == section else 0)


def test_without_the_text_there_is_no_snippet(result: Result) -> None:
    assert {row["snippet"] for row in rows(result, None)} == {None}


def test_a_snippet_is_bounded_whatever_stands_there() -> None:
    assert omop.snippet("x" * 1000, 400, 800) == "x" * 250
    assert omop.snippet("word " * 100 + "slip " + "word " * 100, 500, 504).split().count("slip") == 1


def test_csv_and_parquet_hold_the_same(tmp_path: Path, result: Result) -> None:
    found = [(result, {"17": TEXT})]
    for ending in omop.ENDINGS:
        assert omop.write(tmp_path / f"n{ending}", found, omop.Mapped(DAY)) == len(result.findings)
        assert stat.S_IMODE((tmp_path / f"n{ending}").stat().st_mode) == 0o600
    with (tmp_path / "n.csv").open(encoding="utf-8", newline="") as stream:
        from_csv = list(csv.DictReader(stream))
    table = parquet.read_table(tmp_path / "n.parquet")
    assert table.schema.field("nlp_date").type == pa.date32() and table.schema.field("note_id").type == pa.int64()
    as_text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in table.to_pylist()]
    assert from_csv == as_text
    empty = tmp_path / "none.parquet"
    assert omop.write(empty, [], omop.Mapped(DAY)) == 0 and parquet.read_table(empty).num_rows == 0


def test_an_id_that_is_no_number_needs_a_table(result: Result, canary: str) -> None:
    other = parsnlp.load().extract(Note(text=f"No spondylolisthesis. {canary}", id="n-1"))
    with pytest.raises(InputError, match=r"document 'n-1': its id is no whole number"):
        rows(other)
    with pytest.raises(InputError, match=r"document 'n-1': the table of note ids does not name it"):
        rows(other, note_ids={"17": 1})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\nx,1\n", "its first line must name the columns term and concept_id"),
        ("term,concept_id\nx,one\n", ":2: a row needs 'term', and a whole number"),
        ("term,concept_id\nx,1\nx,2\n", ":3: names its 'term' a second time"),
    ],
)
def test_a_table_that_is_wrong_is_told_by_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.csv") as raised:
        omop.read_numbers(path, "term", "concept_id")
    assert says in str(raised.value)


def test_results_and_notes_give_the_same_table_but_for_snippets(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "17.txt").write_bytes(TEXT.encode())
    (tmp_path / "ids.csv").write_text("document,note_id\n17.txt,5\n17,5\n", encoding="utf-8")
    (tmp_path / "concepts.csv").write_text("term,concept_id\nspondylolysis,7\n", encoding="utf-8")

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    assert run("batch", notes, "--out", tmp_path / "r.jsonl", "--quiet").exit_code == 0
    common = [
        "--to",
        "omop",
        "--nlp-date",
        "2026-05-12",
        "--note-ids",
        tmp_path / "ids.csv",
        "--concepts",
        tmp_path / "concepts.csv",
    ]
    for source, name in ((notes, "a.csv"), (tmp_path / "r.jsonl", "b.csv")):
        done = run("export", source, "--out", tmp_path / name, *common)
        assert done.exit_code == 0 and "mentions written" in done.stderr, done.stderr
    tables = [list(csv.DictReader((tmp_path / name).open(encoding="utf-8", newline=""))) for name in ("a.csv", "b.csv")]
    assert [{**row, "snippet": ""} for row in tables[0]] == tables[1] and tables[0][0]["snippet"]
    assert {row["note_nlp_concept_id"] for row in tables[0]} == {"0", "7"}
    done = run("export", notes, "--out", tmp_path / "c.txt", *common)
    assert done.exit_code == 2 and ".csv or .parquet" in done.stderr
    done = run("export", notes, "--to", "omop", "--out", tmp_path / "c.csv", "--nlp-date", "12 May")
    assert done.exit_code == 2 and "no calendar date" in done.stderr.replace("not a", "no")
