"""Editions of the code set: listed, imported from official XML, chosen by date, refused under strict release."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result as Outcome
from typer.testing import CliRunner

import parsnlp
from parsnlp.coding import icd10cm
from parsnlp.errors import InputError
from parsnlp.interfaces.cli import app
from parsnlp.models import Note

TEXT = "L5 pars defects."
FY2027 = ("--name", "FY2027", "--from", "2026-10-01", "--to", "2027-09-30")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PARSNLP_CODES", str(tmp_path / "editions"))
    icd10cm.editions.cache_clear()
    yield tmp_path / "editions"
    icd10cm.editions.cache_clear()


@pytest.fixture(scope="module")
def official() -> str:
    spec = importlib.util.find_spec("simple_icd_10_cm")
    assert spec is not None and spec.submodule_search_locations
    (path,) = Path(spec.submodule_search_locations[0], "data").glob("*tabular*.xml")
    return path.read_text(encoding="utf-8")


def run(*arguments: object) -> Outcome:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    icd10cm.editions.cache_clear()
    return done


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def dated(date: str, **options: bool) -> parsnlp.Result:
    return parsnlp.load(**options).extract(Note(text=TEXT, date=date))  # type: ignore[arg-type]


# --- dates that no edition covers -----------------------------------------------------------------------------------


def test_a_covered_date_and_none_have_no_stamp() -> None:
    assert dated("2026-05-01").code_set.stamp is None
    assert parsnlp.load().extract(TEXT).code_set.covers is None


def test_fy2027_is_stamped() -> None:
    result = dated("2026-11-22")
    assert result.code_set.covers is False and [code.code for code in result.codes] == ["M43.06"]
    assert result.code_set.stamp is not None
    assert result.code_set.stamp.startswith("FY2027 is in force and not carried; its codes are unchanged")


def test_a_far_date_gets_the_nearest_edition() -> None:
    stamp = dated("2035-01-01").code_set.stamp
    assert stamp is not None and "no release in force at that date is carried" in stamp


@pytest.mark.parametrize("date", ["2026-11-22", "2035-01-01", "2019-01-01"])
def test_strict_release_refuses(date: str) -> None:
    with pytest.raises(InputError, match="strict release refuses") as caught:
        dated(date, strict_release=True)
    assert date not in str(caught.value)


def test_strict_release_takes_what_is_covered() -> None:
    assert dated("2026-05-01", strict_release=True).codes


def test_the_last_document_dates_the_encounter() -> None:
    notes = [Note(text=TEXT, id="a", date="2026-09-29"), Note(text="Discharged.", id="b", date="2026-10-02")]
    assert parsnlp.load().extract_encounter(notes).code_set.covers is False


def test_a_batch_tells_it_once(tmp_path: Path) -> None:
    row = {"text": TEXT, "date": "2026-11-22"}
    rows = write(tmp_path / "rows.jsonl", "".join(json.dumps(row) + "\n" for _ in range(3)))
    done = run("batch", rows, "--out", tmp_path / "out.jsonl")
    assert done.exit_code == 0 and done.output.count("FY2027") == 1
    assert "3 dated outside the editions carried" in done.output
    refused = run("batch", rows, "--out", tmp_path / "strict.jsonl", "--strict-release")
    assert refused.exit_code == 3 and "0 read" in refused.output


def test_one_note_tells_it(tmp_path: Path) -> None:
    note = write(tmp_path / "n.txt", TEXT)
    assert "FY2027 is in force" in run("code", note, "--date", "2026-11-22", "--no-text").output
    assert run("code", note, "--date", "2026-11-22", "--no-text", "--strict-release").exit_code == 2
    assert "FY2027" not in run("code", note, "--date", "2026-05-01", "--no-text").output


# --- import ---------------------------------------------------------------------------------------------------------


def test_the_same_release_has_no_difference(tmp_path: Path, official: str) -> None:
    done = run("codes", "import", write(tmp_path / "t.xml", official), *FY2027)
    assert done.exit_code == 0 and "no difference in the families" in done.output
    result = dated("2026-11-22", strict_release=True)
    assert (result.code_set.id, result.code_set.covers) == ("icd10cm-2026-10-01", True)


def test_another_release_shows_its_differences_and_is_used(tmp_path: Path, official: str, place: Path) -> None:
    altered = official.replace("Spondylolysis, lumbar region", "Spondylolysis of the lumbar region")
    altered = altered.replace("<name>M43.05</name>", "<name>M43.0Y</name>")
    done = run("codes", "import", write(tmp_path / "t.xml", altered), *FY2027)
    assert "retitled M43.06: Spondylolysis, lumbar region -> Spondylolysis of the lumbar region" in done.output
    assert "added M43.0Y" in done.output and "removed M43.05" in done.output
    assert dated("2026-11-22").codes[0].display == "Spondylolysis of the lumbar region"
    assert dated("2026-05-01").codes[0].display == "Spondylolysis, lumbar region"
    assert "FY2027" in run("codes", "list").output
    assert [path.name for path in place.iterdir()] == ["icd10cm-2026-10-01.json"]
    assert run("codes", "import", tmp_path / "t.xml", *FY2027).exit_code == 2
    assert run("codes", "import", tmp_path / "t.xml", *FY2027, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not XML"),
        ("<a>", "not XML"),
        ("<html/>", "not an ICD-10-CM tabular list"),
        ("<ICD10CM.tabular/>", "lacks M43"),
        ("<ICD10CM.tabular><chapter/></ICD10CM.tabular>", "not of the layout"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><ICD10CM.tabular>&a;</ICD10CM.tabular>', "declares a document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><ICD10CM.tabular/>', "declares a document type"),
        ("<a>" * 5_000 + "</a>" * 5_000, "not an ICD-10-CM tabular list"),
    ],
)
def test_other_xml_is_refused(tmp_path: Path, text: str, says: str, place: Path) -> None:
    done = run("codes", "import", write(tmp_path / "t.xml", text), *FY2027)
    assert done.exit_code == 2 and says in done.output and not place.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--name", "x", "--from", "2026-13-01", "--to", "2027-09-30"), "--from is not a calendar date"),
        (("--name", "x", "--from", "2026-10-01", "--to", "soon"), "--to is not a calendar date"),
        (("--name", "x", "--from", "2026-10-01", "--to", "2025-09-30"), "--to lies before --from"),
    ],
)
def test_wrong_dates_are_refused(tmp_path: Path, official: str, options: tuple[str, ...], says: str) -> None:
    done = run("codes", "import", write(tmp_path / "t.xml", official), *options)
    assert done.exit_code == 2 and says in done.output


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in run("codes", "import", tmp_path / "none.xml", *FY2027).output


def test_a_damaged_import_is_named(place: Path) -> None:
    place.mkdir()
    write(place / "icd10cm-2026-10-01.json", "{}")
    done = run("codes", "list")
    assert done.exit_code == 2 and "icd10cm-2026-10-01.json" in done.output and "Traceback" not in done.output


@pytest.mark.parametrize(("name", "value"), [("valid_from", 5), ("valid_from", "soon"), ("rows", 5), ("drg", [])])
def test_an_import_with_another_thing_in_a_field_is_named(place: Path, name: str, value: object) -> None:
    place.mkdir()
    table = {**json.loads(icd10cm.shipped()[-1]), name: value}
    write(place / "icd10cm-2026-10-01.json", json.dumps(table))
    done = run("codes", "list")
    assert done.exit_code == 2 and "icd10cm-2026-10-01.json" in done.output and "Traceback" not in done.output


def test_what_is_carried_is_listed() -> None:
    done = run("codes", "list")
    assert done.exit_code == 0
    assert "icd10cm-2026-apr" in done.output and "codes verified, notes verified" in done.output
    assert "FY2027, in force 2026-10-01 to 2027-09-30: not carried" in done.output
