"""`parsnlp audit`: a claim against the notes, clean or with edits, and misuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parsnlp.interfaces.cli import app

NOTE = "Assessment: Chronic bilateral L5 spondylolysis. No spondylolisthesis."


def audit(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", *arguments])
    return done.exit_code, done.output


@pytest.fixture
def visit(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text(NOTE, encoding="utf-8")
    return tmp_path


@pytest.mark.prints_note_text
def test_a_right_claim_is_clean(visit: Path) -> None:
    assert audit(str(visit), "--codes", "M43.06") == (0, "The notes support: M43.06\nclean\n")


@pytest.mark.prints_note_text
@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        ("M43.00", "unspecified_code_site_documented"),
        ("m4317", "slip_code_for_lysis_only"),
        ("S32.058A", "s_code_for_chronic"),
        ("Q76.2", "congenital_not_documented"),
        ("M43.0", "not_billable"),
        ("M43.06,M43.17", "excludes1_pair"),
        ("M43.07", "wrong_site"),
    ],
)
def test_a_wrong_claim_names_its_edit_and_what_mends_it(visit: Path, codes: str, kind: str) -> None:
    status, shown = audit(str(visit / "a.txt"), "--codes", codes)
    assert status == 1 and f" {kind} (P-X3): " in shown and "To mend: " in shown


@pytest.mark.prints_note_text
def test_two_documents_are_one_encounter(tmp_path: Path) -> None:
    (tmp_path / "ct.txt").write_text("CT LUMBAR SPINE\nFINDINGS: Chronic bilateral L5 pars defects.", encoding="utf-8")
    (tmp_path / "visit.txt").write_text("Assessment: Spondylolysis.", encoding="utf-8")
    assert audit(str(tmp_path), "--codes", "M43.06")[0] == 0
    assert "unspecified_code_site_documented" in audit(str(tmp_path), "--codes", "M43.00")[1]


def test_json_without_text(visit: Path) -> None:
    status, shown = audit(str(visit), "--codes", "M43.16", "--json", "--no-text")
    assert status == 1 and "bilateral L5" not in shown
    assert {edit["kind"] for edit in json.loads(shown)["edits"]} == {"slip_code_for_lysis_only"}


def test_misuse_is_one_clear_line(tmp_path: Path) -> None:
    status, shown = audit(str(tmp_path / "absent.txt"), "--codes", "M43.06")
    assert status == 2 and "absent.txt" in shown and "Traceback" not in shown
    assert audit(str(tmp_path))[0] == 2
