"""The tables say what the results say; their declaration is what every format and the dictionary are made from."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import duckdb
import pyarrow
import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp.interfaces import files, tables
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.encounters import encounters
from parsnlp.interfaces.reading import Encounter
from parsnlp.interfaces.tables import TABLES
from parsnlp.models import Assertion, Note, Result

CORPORA = Path(__file__).parents[2] / "corpora"
PYTHON = {"string": str, "int64": int, "bool": bool, "date": datetime.date}
SPAN = {"document": "document", "start": "start_offset", "end": "end_offset", "text": "text"}
Named = dict[str, Any]


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """Notes of all kinds, and encounters of several documents."""
    extractor = parsnlp.load()
    notes = [item for path in files.below(CORPORA / "dev" / "notes")[::3] for item in files.read(path, path.stem)]
    folder = sorted((CORPORA / "encounters" / "documents").iterdir())[0].parent
    many = [item for item in encounters(folder) if isinstance(item, Encounter)][:12]
    assert any(len(item.notes) > 1 for item in many)
    return [extractor.extract_encounter(item.notes) for item in (*notes, *many) if isinstance(item, Encounter)]


def named(number: int, result: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> dict[str, list[Named]]:
    """The rows of a result by table, each with its columns' names."""
    found: dict[str, list[Named]] = defaultdict(list)
    for name, row in tables.rows(number, result, given):
        found[name].append(dict(zip([column.name for column in TABLES[name].columns], row, strict=True)))
    return found


def each(results: list[Result], text: bool = True) -> Iterator[tuple[Named, dict[str, list[Named]]]]:
    for number, result in enumerate(results):
        plain = json.loads(result.to_json(text=text))
        yield plain, named(number, plain)


def joined(items: list[str]) -> str | None:
    return ";".join(items) or None


def span(row: Named) -> Named:
    return {key: row[column] for key, column in SPAN.items()}


def test_every_cell_is_of_its_column(results: list[Result]) -> None:
    for text in (True, False):
        for plain, found in each(results, text):
            for name, rows in found.items():
                for at, row in enumerate(rows):
                    assert row["result"] == plain["id"] and row.get("row", at) == at
                    for column in TABLES[name].columns:
                        value = row[column.name]
                        assert column.nullable if value is None else type(value) is PYTHON[column.type], (name, column)
                        assert text or not column.quotes or value is None, (name, column)


@pytest.mark.parametrize(
    ("name", "table"),
    [(name, name if name != "conservative_care" else "care") for name in (
        "documents", "conditions", "codes", "suppressed", "findings", "edits", "queries", "imaging",
        "conservative_care", "services", "checklist",
    )],
)  # fmt: skip
def test_rows_say_what_the_result_says(name: str, table: str, results: list[Result]) -> None:
    """Every field of a thing that its table has a column for, whatever its type; and its place."""
    compared = 0
    for plain, found in each(results):
        assert len(found[table]) == len(plain[name])
        for item, row in zip(plain[name], found[table], strict=True):
            first = item if "start" in item else (item.get("evidence") or [None])[0]
            assert first is None or "document" not in item or span(row) == {key: first[key] for key in SPAN}
            for field, value in item.items():
                if field in row and field not in (*SPAN, "cues", "alternatives", "drg"):
                    shown = row[field]
                    if isinstance(value, list):
                        value = joined(value)
                    assert (shown.isoformat() if isinstance(shown, datetime.date) else shown) == value, field
                    compared += 1
    assert compared or name in ("services",)  # no corpus note has a linked service yet


def test_codes_carry_what_analysts_group_by(results: list[Result]) -> None:
    regions = set()
    for plain, found in each(results):
        attributes = {item["condition"]: item for item in plain["conditions"]}
        for item, row in zip(plain["codes"], found["codes"], strict=True):
            condition = attributes[item["condition"]]
            for key in ("laterality", "chronicity", "etiology", "grade", "direction", "documented_by"):
                assert row[key] == condition[key]
            assert row["levels"] == joined(condition["levels"])
            assert row["setting"] == plain["setting"] and row["edition"] == plain["code_set"]["id"]
            assert row["excludes1"] == "separate" and row["stress_fracture"] == "M43.0"
            assert row["rules"] == joined(list(dict.fromkeys(step["rule"] for step in item["trail"])))
            assert row["alternatives"] == joined([other["code"] for other in item["alternatives"]])
            assert row["drg"] == joined([group["drg"] for group in item["drg"]])
            assert row["unspecified"] == (item["code"] in ("M43.00", "M43.10"))
            step = next((step["says"] for step in item["trail"] if step["rule"] == "P-C3"), "")
            if " region (" in step:
                assert row["region"] == step.split(" region")[0]
                regions.add(row["region"])
    assert {"lumbar", "lumbosacral"} <= regions


def test_notes_count_their_own_rows(results: list[Result]) -> None:
    for plain, found in each(results):
        (note,) = found["notes"]
        for name in ("documents", "suppressed", "findings", "edits", "queries", "imaging", "care", "services"):
            assert note[name] == len(found[name])
        for name in get_args(Assertion):
            assert note[name] == sum(row["assertion"] == name for row in found["findings"])
        assert note["captured"] + note["missing"] == len(found["checklist"])
        assert note["codes"] == joined([row["code"] for row in found["codes"]])
        assert note["code_count"] == len(found["codes"])
        assert note["review"] == any(row["status"] == "review" for row in found["codes"])
        assert note["unspecified"] == any(row["unspecified"] for row in found["codes"])
        assert note["length"] == sum(document["length"] for document in plain["documents"])
        assert note["rule_set"] == plain["rule_set"]["hash"] and note["engine"] == plain["engine"]


def test_evidence_gives_back_every_span_cue_and_step(results: list[Result]) -> None:
    for plain, found in each(results):
        got: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for row in found["evidence"]:
            of = (row["of_table"], row["of_row"])
            if row["role"] == "cue":
                got[(*of, "cue")].append((row["category"], row["rule"], span(row)))
            elif row["role"] == "step":
                step = got[(*of, "step")]
                if len(step) == row["step"]:
                    step.append((row["step_rule"], row["says"], []))
                if row["document"] is not None:
                    step[row["step"]][2].append((row["rule"], span(row)))
            else:
                got[(*of, "evidence")].append((row["rule"], span(row)))
        wanted: dict[tuple[Any, ...], list[Any]] = {}
        for name in ("conditions", "codes", "suppressed", "findings", "edits", "queries", "services", "checklist"):
            for at, item in enumerate(plain[name]):
                wanted[name, at, "evidence"] = [_cited(one) for one in item.get("evidence", [])]
                wanted[name, at, "cue"] = [
                    (cue["category"], cue["rule"], {"document": item["document"], **_placed(cue)})
                    for cue in item.get("cues", [])
                ]
                wanted[name, at, "step"] = [
                    (step["rule"], step["says"], [_cited(one) for one in step["evidence"]])
                    for step in item.get("trail", [])
                ]
        assert got == {key: value for key, value in wanted.items() if value}


def _placed(one: Named) -> Named:
    return {key: one[key] for key in SPAN if key in one}


def _cited(one: Named) -> tuple[str | None, Named]:
    return one["rule"], _placed(one)


def test_context_is_that_of_the_latest_document() -> None:
    notes = [
        Note(text="Assessment: spondylolysis at L5.", id="a", date="2026-05-02", patient="p7"),
        Note(text="CT: pars defects at L5.", id="b", date="2026-06-01", kind="radiology"),
    ]
    result = json.loads(parsnlp.load("inpatient", excludes1="strict").extract_encounter(notes).to_json())
    found = named(41, result, {"where": "notes.jsonl:42", "sha256": "ab"})
    (note,), (code,) = found["notes"], found["codes"]
    assert (note["number"], note["source"], note["sha256"]) == (41, "notes.jsonl:42", "ab")
    for row in (note, code):
        assert row["date"] == datetime.date(2026, 6, 1) and row["patient"] == "p7"
        assert row["setting"] == "inpatient" and row["excludes1"] == "strict"
    assert (code["number"], code["row"], code["code"], code["region"]) == (41, 0, "M43.06", "lumbar")


def test_an_unspecified_site_and_a_code_without_one() -> None:
    extractor = parsnlp.load()
    for text, code, region, unspecified in (
        ("Assessment: spondylolysis.", "M43.00", "site unspecified", True),
        ("Assessment: spondylolisthesis at L4-5 and L5-S1.", "M43.19", "multiple sites", False),
        ("Assessment: congenital spondylolysis.", "Q76.2", None, False),
        ("Assessment: acute traumatic fracture of the L5 pars from a fall.", "S32.058A", "lumbar", False),
    ):
        found = named(0, json.loads(extractor.extract(text).to_json()))
        assert [(row["code"], row["region"], row["unspecified"]) for row in found["codes"]] == [
            (code, region, unspecified)
        ]
        assert found["notes"][0]["unspecified"] is unspecified


def test_an_unknown_edition_still_has_regions() -> None:
    result = json.loads(parsnlp.load().extract("Assessment: spondylolysis at L5.").to_json())
    result["code_set"]["id"] = "icd10cm-of-a-colleague"
    assert named(0, result)["codes"][0]["region"] == "lumbar"


@pytest.mark.prints_note_text
def test_without_text_no_word_of_the_note_is_in_a_cell(canary: str) -> None:
    text = f"Assessment: {canary} spondylolysis at L5, bilateral. {canary} brace since {canary}, PT since July."
    result = parsnlp.load().extract(text)
    assert any(care.duration for care in result.conservative_care)
    found = named(0, json.loads(result.to_json(text=False)))
    words = {"since", "July", "brace", "spondylolysis at", canary}
    for rows in found.values():
        for row in rows:
            assert not [word for cell in row.values() if isinstance(cell, str) for word in words if word in cell]
    assert found["codes"][0]["start_offset"] is not None


def test_a_lone_surrogate_cannot_stop_a_file() -> None:
    note = Note(text="Assessment: pars\ud800 defect. Spondylolysis\udfff at L5.", id="s\ud800")
    found = named(0, json.loads(parsnlp.load().extract(note).to_json()))
    assert found["notes"][0]["result"] == "s\ufffd"
    for rows in found.values():
        for row in rows:
            "".join(str(cell) for cell in row.values()).encode("utf-8")


def test_errors_and_facts_of_the_run() -> None:
    given = {
        "number": 9, "id": None, "where": "a.txt", "sha256": None, "state": "failed", "stage": "read", "reason": "binary",
    }  # fmt: skip
    assert tables.error(given) == ("errors", (9, None, "a.txt", None, "read", "binary"))
    facts = {"counts": {"done": 5, "codes": {"M43.06": 2}}, "started": "me", "options": {"text": True, "only": None}}
    assert dict(row for _, row in tables.run({**facts, "files": ["a", "b"]})) == {
        "counts.done": "5",
        "counts.codes.M43.06": "2",
        "started": "me",
        "options.text": "true",
        "options.only": None,
        "files": '["a", "b"]',
    }


def test_the_declaration_holds_together() -> None:
    for name, table in TABLES.items():
        names = [column.name for column in table.columns]
        assert table.name == name and len(set(names)) == len(names) and set(table.key) <= set(names)
        assert not any(column.quotes and not column.nullable for column in table.columns)
        assert all(column.says for column in table.columns)


@pytest.mark.parametrize("name", TABLES)
def test_duckdb_and_arrow_have_the_declared_schema(name: str) -> None:
    table = TABLES[name]
    schema = tables.arrow_schema(table)
    arrow = {
        "string": pyarrow.string(), "int64": pyarrow.int64(), "bool": pyarrow.bool_(), "date": pyarrow.date32(),
    }  # fmt: skip
    assert [(field.name, field.type, field.nullable) for field in schema] == [
        (column.name, arrow[column.type], column.nullable) for column in table.columns
    ]
    sql = {"string": "VARCHAR", "int64": "BIGINT", "bool": "BOOLEAN", "date": "DATE"}
    with duckdb.connect() as database:
        for statement in tables.ddl(table):
            database.execute(statement)
        described = database.execute(
            "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE table_name = ?", [name]
        ).fetchall()
        names = ", ".join(column.name for column in table.columns)
        database.execute(f"SELECT {names} FROM {name}")  # no name needs quoting
    assert [row[:3] for row in described] == [
        (column.name, sql[column.type], column.nullable) for column in table.columns
    ]
    assert all(row[3] == field.metadata[b"description"].decode() for row, field in zip(described, schema, strict=True))


def test_the_dictionary_is_printed_for_people_and_programs() -> None:
    shown = CliRunner().invoke(app, ["schema", "--tables"])
    data = json.loads(CliRunner().invoke(app, ["schema", "--tables", "--json"]).output)
    assert shown.exit_code == 0 and [table["table"] for table in data] == list(TABLES)
    for table in data:
        assert f"\n## {table['table']}\n" in shown.output
        for column in table["columns"]:
            assert f"\n| {column['name']} | {column['type']} |" in shown.output
    for line in shown.output.splitlines():
        if line.startswith("| "):
            assert line.replace("\\|", "").count("|") == 5
    assert CliRunner().invoke(app, ["schema"]).output.startswith("{")
