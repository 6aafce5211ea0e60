"""Encounters on disk: folders, folders of folders, manifests; and the claims of many encounters."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import Result as Outcome
from typer.testing import CliRunner

import parsnlp
from parsnlp.errors import InputError
from parsnlp.evaluation import gold as golden
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.encounters import Encounter, claims, encounters
from parsnlp.interfaces.reading import Failure

CT = "CT LUMBAR SPINE: bilateral L5 pars defects, chronic."
VISIT = "Assessment: spondylolysis. Plan: physical therapy."
GOLD = golden.read_file(Path(__file__).parents[2] / "corpora" / "encounters" / "gold.jsonl")


def run(*arguments: object) -> Outcome:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    return folder


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    write(tmp_path / "charts" / "e1", ct=CT, visit=VISIT)
    write(tmp_path / "charts" / "e2", visit=VISIT)
    return tmp_path / "charts"


@pytest.mark.prints_note_text
def test_a_folder_is_one_encounter(charts: Path) -> None:
    done = run("encounter", charts / "e1")
    assert done.exit_code == 0 and "M43.06" in done.output and "--- e1" in done.output


def test_a_folder_of_folders_is_many(charts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = run("encounter", charts, "--out", out, "--no-text")
    results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert done.exit_code == 0
    assert [(row["id"], [code["code"] for code in row["codes"]]) for row in results] == [
        ("e1", ["M43.06"]),
        ("e2", ["M43.00"]),
    ]
    assert run("encounter", charts, "--out", out).exit_code == 2  # it is there already


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_a_manifest_lists_the_documents(charts: Path, ending: str) -> None:
    rows = [
        {"encounter": "x", "note": "e1/visit.txt", "kind": "consult", "date": "2026-05-02", "setting": "outpatient"},
        {"encounter": "y", "note": "e2/visit.txt", "kind": "", "date": "", "setting": ""},
        {"encounter": "x", "note": "e1/ct.txt", "kind": "radiology", "date": "2026-05-01", "setting": ""},
    ]
    path = charts / f"manifest.{ending}"
    with path.open("w", encoding="utf-8", newline="") as stream:
        if ending == "jsonl":
            stream.write("".join(json.dumps(row) + "\n" for row in rows))
        else:
            table = csv.DictWriter(stream, list(rows[0]), delimiter="," if ending == "csv" else "\t")
            table.writeheader()
            table.writerows(rows)
    found = list(encounters(path))
    assert [(item.id, [note.id for note in item.notes]) for item in found if isinstance(item, Encounter)] == [
        ("x", ["e1/visit.txt", "e1/ct.txt"]),
        ("y", ["e2/visit.txt"]),
    ]
    assert isinstance(found[0], Encounter) and found[0].notes[1].kind == "radiology"


def test_rows_may_hold_the_text(tmp_path: Path) -> None:
    path = tmp_path / "charts.jsonl"
    path.write_text(
        "".join(json.dumps({"encounter": 7, "text": text}) + "\n" for text in (CT, VISIT)), encoding="utf-8"
    )
    (item,) = encounters(path)
    assert isinstance(item, Encounter)
    assert item.id == "7" and [note.text for note in item.notes] == [CT, VISIT]


def test_a_document_that_cannot_be_read_fails_its_encounter_alone(charts: Path, canary: str) -> None:
    (charts / "e1" / "scan.txt").write_bytes(f"\x00{canary}".encode())
    found = list(encounters(charts))
    assert isinstance(found[0], Failure) and "encounter e1" in found[0].says
    assert isinstance(found[1], Encounter)
    done = run("encounter", charts, "--no-text")
    assert done.exit_code == 3 and "binary" in done.output


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("m.csv", "chart,note\na,b.txt\n", "its first line must name the columns, 'encounter' among them"),
        ("m.csv", "encounter,note\na,\n", "m.csv:2: a document needs 'encounter' and 'note'"),
        ("m.csv", "encounter,note\na,b.txt,c\n", "m.csv:2: has more fields than the heading"),
        ("m.csv", "encounter,note\n", "lists no document"),
        ("m.jsonl", "{}\n", "m.jsonl:1: a document needs"),
        ("m.jsonl", "[]\n", "m.jsonl:1: must be an object"),
        ("m.pdf", "x", "neither a folder nor a manifest"),
    ],
)
def test_a_bad_manifest_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    done = run("encounter", tmp_path / name)
    assert done.exit_code == 2 and says in " ".join(done.output.split())


def test_nothing_to_read(tmp_path: Path) -> None:
    assert "holds no .txt file nor document" in run("encounter", tmp_path).output
    assert "no such file or folder" in run("encounter", tmp_path / "none").output


def test_a_missing_document_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("encounter,note\na,gone.txt\n", encoding="utf-8")
    done = run("encounter", tmp_path / "m.csv")
    assert done.exit_code == 2 and "gone.txt" in done.output and "Traceback" not in done.output


def test_the_order_of_documents_and_their_way_to_disk_do_not_matter(tmp_path: Path) -> None:
    """Every encounter of the corpus, from a manifest in either order, as from the library."""
    extractor = parsnlp.load()
    for direction in (1, -1):
        path = tmp_path / f"{direction}.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            for row in GOLD:
                for note in row.notes()[::direction]:
                    fields = note.model_dump(exclude_none=True) | {"encounter": row.id, "text": note.text}
                    stream.write(json.dumps(fields) + "\n")
        for row, item in zip(GOLD, encounters(path), strict=True):
            assert isinstance(item, Encounter)
            ours, theirs = extractor.extract_encounter(item.notes), extractor.extract_encounter(row.notes())
            assert [code.code for code in ours.codes] == [code.code for code in theirs.codes], row.id


# --- claims ---------------------------------------------------------------------------------------------------------


def test_claims_of_many_encounters(charts: Path, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text('encounter,codes\ne1,M43.00\ne2,"M43.00"\n', encoding="utf-8")
    done = run("audit", charts, "--claims", tmp_path / "claims.csv", "--no-text")
    assert done.exit_code == 1
    assert "--- e1: claimed M43.00" in done.output and "add_site" not in done.output
    assert "1 clean, 1 with edits, 0 not audited" in done.output


def test_a_corrected_claim_is_clean(charts: Path, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text("encounter,code\ne1,M4306\ne2,M43.00\n", encoding="utf-8")
    done = run("audit", charts, "--claims", tmp_path / "claims.csv", "--json", "--no-text")
    assert done.exit_code == 0
    assert "2 clean, 0 with edits, 0 not audited" in done.output


def test_a_claim_without_a_chart_and_a_chart_without_a_claim(charts: Path, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text("encounter,codes\ne1,M43.06\ne9,M43.06\n", encoding="utf-8")
    done = run("audit", charts, "--claims", tmp_path / "claims.csv", "--no-text")
    assert done.exit_code == 3
    assert "encounter e2:" in done.output and "encounter e9: no such encounter" in done.output


@pytest.mark.parametrize("text", ["encounter,codes\n", "encounter\ne1\n", "encounter,codes\n,M43.06\n"])
def test_bad_claims(tmp_path: Path, text: str) -> None:
    (tmp_path / "claims.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="claim"):
        claims(tmp_path / "claims.csv")


def test_claims_exclude_codes(charts: Path) -> None:
    done = run("audit", charts, "--claims", "claims.csv", "--codes", "M43.06")
    assert done.exit_code == 2 and "--claims takes" in done.output


def test_codes_may_be_parted_in_any_usual_way(tmp_path: Path) -> None:
    (tmp_path / "claims.tsv").write_text(
        "encounter\tcodes\na\tM43.06, M43.17;Q76.2\nb\tM43.06\nb\tM43.17\n", encoding="utf-8"
    )
    assert claims(tmp_path / "claims.tsv") == {"a": ("M43.06", "M43.17", "Q76.2"), "b": ("M43.06", "M43.17")}


# --- letters --------------------------------------------------------------------------------------------------------


@pytest.mark.prints_note_text
def test_letters_by_encounter_and_provider(tmp_path: Path) -> None:
    rows = [
        ("a", "surgeon", "2026-05-02", "Assessment: spondylolisthesis, plan fusion."),
        ("a", "therapist", "2026-05-03", "PT visit. Spondylolysis."),
        ("b", "surgeon", "2026-05-04", "Assessment: spondylolisthesis."),
    ]
    path = tmp_path / "charts.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for number, (encounter, author, date, text) in enumerate(rows):
            row = {"encounter": encounter, "author": author, "date": date, "text": text, "id": f"d{number}"}
            stream.write(json.dumps(row) + "\n")
    done = run("query", "--encounters", path)
    assert done.exit_code == 0
    heads = [line for line in done.output.splitlines() if line.startswith(("To:", "Encounter"))]
    assert [head.rstrip("_ ") for head in heads] == [
        "To: surgeon", "Encounter or document: a",
        "To: therapist", "Encounter or document: a",
        "To: surgeon", "Encounter or document: b",
    ]  # fmt: skip
    assert "document d0" in done.output and "2026-05-02" in done.output


def test_letters_of_encounters_take_one_source(charts: Path) -> None:
    assert run("query", "--encounters", charts, charts).exit_code == 2
    assert run("query", "--encounters", charts, "--kind", "consult").exit_code == 2
