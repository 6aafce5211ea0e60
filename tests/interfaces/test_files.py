"""Files of one note or several, as every command on notes reads them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from docx import Document
from typer.testing import CliRunner

from parsnlp.errors import InputError
from parsnlp.interfaces import files
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.reading import Encounter, Failure

MESSAGES = "\r".join(
    f"MSH|^~\\&|RIS|H|EHR|H|20260504||ORU^R01|{number}|P|2.5\rPID|1||p{number}\r"
    f"OBR|1|||CT^CT|||20260504\rOBX|1|TX|CT^CT||{text}||||||F"
    for number, text in ((1, "CT: L5 pars defects."), (2, "No slip."))
)


def word(*paragraphs: str) -> bytes:
    made = Document()
    for each in paragraphs:
        made.add_paragraph(each)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def test_texts_and_documents_are_found_at_any_depth_and_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/b/c.TXT", "a/other.md", "a/report.pdf", "gold.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [path.relative_to(tmp_path).as_posix() for path in files.below(tmp_path)]
    assert found == ["a/b/c.TXT", "a/report.pdf", "a/z.txt", "b.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.txt file nor document"):
        files.below(tmp_path / "empty")


def test_the_caller_knows_better_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.hl7").write_text(MESSAGES)
    found = files.read(tmp_path / "m.hl7", "m", kind="consult", date=None)
    assert all(isinstance(item, Encounter) for item in found) and len(found) == 2
    notes = [item.notes[0] for item in found if isinstance(item, Encounter)]
    assert {note.kind for note in notes} == {"consult"} and {note.date for note in notes} == {"2026-05-04"}
    assert len({note.id for note in notes}) == 2 and [note.patient for note in notes] == ["p1", "p2"]


def test_what_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    (missing,) = files.read(tmp_path / "none.docx", "none")
    assert missing == Failure(str(tmp_path / "none.docx"), "no such file; check the path")


def test_commands_on_notes_read_documents(tmp_path: Path) -> None:
    (tmp_path / "ct.docx").write_bytes(word("CT lumbar spine", "IMPRESSION: chronic bilateral L5 pars defects."))
    (tmp_path / "visit.txt").write_text("Assessment: spondylolysis.\nICD-10: M43.00")
    status, told = run("code", tmp_path / "ct.docx")
    assert status == 0 and "M43.06 Spondylolysis, lumbar region" in told
    status, told = run("encounter", tmp_path, "--json")
    assert status == 0
    result = json.loads(told)
    assert [code["code"] for code in result["codes"]] == ["M43.06"]
    assert {document["id"] for document in result["documents"]} == {"ct", "visit"}
    status, told = run("audit", tmp_path, "--codes", "M43.00")
    assert status == 1 and told.count("unspecified_code_site_documented") == 1  # claimed and typed: one thing to mend
    assert "“M43.00”" in told and "1 edit" in told
    status, told = run("query", tmp_path / "ct.docx")
    assert status == 0
    (tmp_path / "m.csv").write_text("encounter,note,kind\na,ct.docx,radiology\na,visit.txt,consult\n")
    status, told = run("encounter", tmp_path / "m.csv", "--json")
    assert status == 0
    assert [document["kind"] for document in json.loads(told)["documents"]] == ["radiology", "consult"]


def test_a_file_of_several_notes_gives_several_results(tmp_path: Path) -> None:
    (tmp_path / "m.hl7").write_text(MESSAGES)
    status, told = run("code", tmp_path / "m.hl7", "--json")
    assert status == 0
    results = [json.loads(line) for line in told.splitlines()]
    assert [[code["code"] for code in result["codes"]] for result in results] == [["M43.06"], []]
    status, told = run("code", tmp_path / "m.hl7", tmp_path / "none.pdf")
    assert status == 3 and told.count(f"--- {tmp_path / 'm.hl7'}") == 2 and "no such file" in told


def test_two_files_that_differ_in_their_ending_alone_are_two_documents(tmp_path: Path) -> None:
    (tmp_path / "ct.docx").write_bytes(word("L5 pars defects."))
    (tmp_path / "ct.txt").write_text("L5 pars defects.")
    status, told = run("encounter", tmp_path, "--json")
    assert status == 0
    assert [document["id"] for document in json.loads(told)["documents"]] == ["ct.docx", "ct.txt"]
