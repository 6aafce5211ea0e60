"""The batch over documents of other formats and into every output, as its user runs it."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parsnlp.interfaces import outputs
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.tables import TABLES

HTML = "<h1>CT lumbar spine</h1><p>IMPRESSION: Bilateral L5 pars defects.</p>"
HL7 = (
    "MSH|^~\\&|A|B|C|D|20260302||ORU^R01|1|P|2.5\rPID|1||p1\rPV1|1|O|||||||||||||||||v1\r"
    "OBR|1||r1|18748-4^X^LN|||20260302\rOBX|1|TX|||IMPRESSION: Grade I anterolisthesis of L4 on L5.\r"
)
FHIR = {
    "resourceType": "DocumentReference",
    "id": "d1",
    "content": [{"attachment": {"contentType": "text/plain", "data": b64encode(b"L5 spondylolysis.").decode()}}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.html").write_text(HTML)
    (source / "b.hl7").write_text(HL7)
    (source / "c.json").write_text(json.dumps(FHIR))
    (source / "d.txt").write_text("No spondylolisthesis.")
    (source / "e.pdf").write_bytes(b"%PDF-1.4 broken")
    return source


def batch(folder: Path, out: Path, *more: str) -> int:
    return CliRunner().invoke(app, ["batch", str(folder), "--out", str(out), "--quiet", *more]).exit_code


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv", "duckdb"])
def test_documents_in_and_tables_out(folder: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"
    assert batch(folder, out) == 3  # the broken PDF
    rows = [
        (name, dict(zip((column.name for column in TABLES[name].columns), row, strict=True)))
        for name, row in outputs.read(out, ["notes", "codes", "errors"])
    ]
    codes = [row["code"] for name, row in rows if name == "codes"]
    assert codes == ["M43.06", "M43.16", "M43.06"]
    assert sum(name == "notes" for name, _ in rows) == 4
    (error,) = [row for name, row in rows if name == "errors"]
    assert error["source"] == str(folder / "e.pdf")
    assert batch(folder, out, "--resume") == 3  # finished already, with a failure
    assert batch(folder, out) == 2


def test_the_text_that_offsets_refer_to_can_be_saved(folder: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    done = CliRunner().invoke(app, ["text", str(folder / "a.html"), str(folder / "b.hl7"), "--out", str(texts)])
    assert done.exit_code == 0, done.output
    out = tmp_path / "out.jsonl"
    batch(folder, out)
    for line in out.read_text().splitlines():
        for finding in json.loads(line)["findings"]:
            path = texts / f"{Path(finding['document']).stem}.txt"
            if path.exists():
                text = path.read_bytes().decode()
                assert text[finding["start"] : finding["end"]] == finding["text"]
    assert {path.name for path in texts.iterdir()} == {"a.txt", "b.txt"}


def test_the_text_of_what_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["text", str(folder / "e.pdf")])
    assert done.exit_code == 2 and "e.pdf" in done.output
    done = CliRunner().invoke(app, ["text", str(folder / "a.html"), "--out", str(tmp_path / "absent")])
    assert done.exit_code == 2 and "no such folder" in done.output
