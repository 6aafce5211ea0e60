"""The evidence view, the page for coders without a browser, what coders decide, and the worklist."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from docx import Document
from typer.testing import CliRunner

import parsnlp
from parsnlp import Note, evaluation
from parsnlp.errors import InputError
from parsnlp.extractor import Extractor
from parsnlp.interfaces import decisions, outputs, worklist
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.decisions import Decision, Decisions, Mention
from parsnlp.interfaces.service.answers import Answer, Answers
from parsnlp.interfaces.service.app import application
from parsnlp.interfaces.service.page import ASSETS
from parsnlp.interfaces.service.problems import Problem
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import warm
from parsnlp.interfaces.worklist import Worklist
from parsnlp.models import Result
from parsnlp.view import asset, evidence
from parsnlp.view.marks import Marks, harmless, stretches

ROOT = Path(__file__).parents[2]
SHORT = "Assessment: L5 spondylolysis."
BOTH = "CT: chronic bilateral L5 pars defects, anterolisthesis of L5 on S1. Father had spondylolysis. No fracture."
HOSTILE = (
    "Dx: L5 spondylolysis <script>alert(1)</script> <img src=x onerror=alert(2)> &amp; \"quoted\" 'single' "
    "</div></style><style>*{display:none}</style> {{ 7*7 }} {% raw %} 'unsafe-inline' javascript:alert(3)\n"
    'Spondylolisthesis" onmouseover="alert(4) of L4 on L5.\u202e\x00\ud800\r\n\tPlan: <b>brace</b>'
)
HOST = {"Origin": "http://127.0.0.1:4306"}


@pytest.fixture(scope="module")
def answers() -> Answers:
    return warm(Settings())


@pytest.fixture(scope="module")
def extractor(answers: Answers) -> Extractor:
    return answers.extractor


class Shown(HTMLParser):
    """What a browser would make of a view: elements, their attributes, and the text of each document."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.notes: list[str] = []
        self.words: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        note = given.get("class") == "ev-note"
        if note:
            self.notes.append("")
        if tag not in ("input", "meta", "link", "img", "br", "option"):
            self._open.append((tag, note))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if any(note for _, note in self._open):
            self.notes[-1] += data

    def having(self, name: str) -> list[str]:
        return [given[name] for _, given in self.elements if name in given]


def viewed(extractor: Extractor, *texts: str, **given: Any) -> tuple[Result, Shown]:
    notes = [Note(id=f"doc{at}", text=text) for at, text in enumerate(texts)]
    result = extractor.extract_encounter(notes, what_if=True)
    made = evidence.fragment(result, {note.id: note.text for note in notes}, **given)
    return result, Shown(made)


# --- the text cut into pieces ---------------------------------------------------------------------------------------


def test_stretches_cover_the_text_and_of_findings_that_overlap_the_first_counts(extractor: Extractor) -> None:
    first, second, *_ = extractor.extract("L5 spondylolysis. L5-S1 spondylolisthesis.").findings
    wide = first.model_copy(update={"end": second.start + 3})
    text_length = 60
    for findings in ([first, second], [second, wide], [wide, first], []):
        found = list(stretches(findings, text_length))
        assert [start for start, _, _ in found] == [0, *(end for _, end, _ in found[:-1])]
        assert found[-1][1] == text_length
    assert [each for _, _, each in stretches([second, wide], text_length) if each] == [wide]


def test_marks_are_cut_where_any_of_them_starts_or_ends() -> None:
    marks = Marks([(0, 10, "a"), (5, 7, "b"), (20, 30, "c")])
    assert list(marks.cut(3, 25)) == [
        (3, 5, ["a"]), (5, 7, ["a", "b"]), (7, 10, ["a"]), (10, 20, []), (20, 25, ["c"]),
    ]  # fmt: skip
    assert list(marks.cut(11, 12)) == [(11, 12, [])]


# --- the view ---------------------------------------------------------------------------------------------------------


def test_the_note_stands_in_the_view_character_by_character(extractor: Extractor) -> None:
    texts = [path.read_bytes().decode() for path in sorted((ROOT / "corpora/dev/notes").glob("*.txt"))[::4]]
    assert len(texts) > 20
    for text in [*texts, HOSTILE, BOTH, "", "\n\nL5 pars defect"]:
        _, shown = viewed(extractor, text)
        assert shown.notes == [harmless(text)]


def test_a_note_full_of_html_is_text(extractor: Extractor) -> None:
    result, shown = viewed(extractor, HOSTILE, deciding=True)
    assert {code.code for code in result.codes} == {"M43.06", "M43.16"}
    tags = Counter(tag for tag, _ in shown.elements)
    assert tags["style"] == 1 and not tags.keys() & {"script", "img", "iframe", "object", "svg"}
    assert not [name for _, given in shown.elements for name in given if name.startswith("on") or name == "style"]
    assert all(href.startswith("#") for href in shown.having("href"))


def test_names_full_of_html_are_text_too(extractor: Extractor) -> None:
    name = '"><img src=x onerror=alert(1)>'
    result = extractor.extract_encounter([Note(id=name, text=BOTH, date="2026-05-12"), Note(id="b", text=SHORT)])
    whole = Shown(evidence.pages([(result, {name: BOTH, "b": SHORT})]))
    for shown in (whole, Shown(evidence.fragment(result, {name: BOTH, "b": SHORT}, deciding=True))):
        assert "img" not in {tag for tag, _ in shown.elements} and f"{name} (2026-05-12)" in shown.words


def test_every_link_leads_somewhere_and_every_number_has_its_place(extractor: Extractor) -> None:
    for texts in ([BOTH], [HOSTILE], [BOTH, "Assessment: L5 spondylolysis. No slip.", "MRI: disc bulge at L4-5."]):
        _, shown = viewed(extractor, *texts, prefix="x7")
        ids = shown.having("id")
        assert len(ids) == len(set(ids)) and all(name.startswith("x7") for name in ids)
        assert {href[1:] for href in shown.having("href")} <= set(ids)
        assert {f"x7-e{number}" for numbers in shown.having("data-at") for number in numbers.split()} <= set(ids)


def test_what_a_mention_asserts_is_said_without_colour(extractor: Extractor) -> None:
    _, shown = viewed(extractor, BOTH)
    labels = {given["aria-label"]: given for _, given in shown.elements if "ev-f" in given.get("class", "").split()
              and "aria-label" in given}  # fmt: skip
    family = next(given for label, given in labels.items() if label.startswith("spondylolysis"))
    assert "ev-family" in family["class"] and family["data-said"].startswith("family")
    assert "spondylolysis: pars defect, of a relative" in labels
    assert "pars defects: pars defect, stated as present, L5 · bilateral · chronic" in labels
    assert "ruled out" in " ".join(shown.words)


def test_headings_stand_out_whether_anything_rests_on_them_or_not(extractor: Extractor) -> None:
    made = evidence.fragment(
        result := extractor.extract("HPI: pain.\nFamily history: mother with L5 spondylolysis.\nPlan: rest."),
        {result.documents[0].id: "HPI: pain.\nFamily history: mother with L5 spondylolysis.\nPlan: rest."},
    )
    assert re.findall('<b class="ev-heading">(.*?)</b>', made) == ["HPI", "Family history", "Plan"]


def test_without_its_text_the_evidence_stands_by_quotation(extractor: Extractor) -> None:
    result = extractor.extract(BOTH)
    shown = Shown(evidence.fragment(result))
    assert shown.notes == [] and "anterolisthesis" in shown.words
    assert shown.having("href") == ["#ev-M43_17", "#ev-M43_06"]  # from the title to each code, and none into a note
    assert "not at hand" in " ".join(shown.words)


def test_several_documents_stand_one_by_one_with_a_list_of_them(extractor: Extractor) -> None:
    _, shown = viewed(extractor, "CT: L5 pars defects.", "Assessment: spondylolysis.")
    assert len(shown.notes) == 2
    assert [href for href in shown.having("href") if re.fullmatch("#ev-d[12]", href)] == ["#ev-d1", "#ev-d2"]


def test_a_note_without_codes_says_why(extractor: Extractor) -> None:
    for text, says in (
        ("Sprained ankle.", "Nothing here names a pars defect"),
        ("MRI: no spondylolysis.", "pars defect, ruled out"),
    ):
        _, shown = viewed(extractor, text)
        assert says in " ".join(" ".join(shown.words).split())


def test_the_same_result_gives_the_same_bytes(extractor: Extractor) -> None:
    result = extractor.extract(BOTH, what_if=True)
    made = {evidence.pages([(result, {"note": BOTH})], extractor.ruleset.tables) for _ in range(3)}
    again = Result.model_validate_json(result.to_json())
    assert made == {evidence.pages([(again, {"note": BOTH})], extractor.ruleset.tables)}


def test_the_file_lets_the_browser_run_its_own_script_and_style_alone(extractor: Extractor) -> None:
    result = extractor.extract(HOSTILE)
    made = evidence.pages([(result, {"note": HOSTILE})])
    policy = re.search('Content-Security-Policy" content="([^"]*)"', made)
    assert policy and "unsafe" not in policy[1] and policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert policy[1].count("sha256") == 2 and "script-src 'sha256-" in policy[1]
    assert not re.findall(r"(?:src|href)=\"(?!#)|url\(|@import|https?://", made)


def test_code_writes_the_view_as_a_file(tmp_path: Path) -> None:
    for name, text in (("a", BOTH), ("b", "MRI: no spondylolysis.")):
        (tmp_path / f"{name}.txt").write_text(text)
    out = tmp_path / "out.html"
    run = CliRunner().invoke(app, ["code", "--html", str(out), *(str(tmp_path / name) for name in ("a.txt", "b.txt"))])
    assert (run.exit_code, run.stdout) == (0, "") and f"written to {out}" in run.stderr
    shown = Shown(out.read_text())
    assert shown.notes == [BOTH, "MRI: no spondylolysis."] and "About M43.06" in shown.words
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    partly = CliRunner().invoke(app, ["code", "--html", str(out), str(tmp_path / "a.txt"), str(tmp_path / "none.txt")])
    assert partly.exit_code == 3 and Shown(out.read_text()).notes == [BOTH]
    for other in ("--json", "--explain", "--no-text"):
        refused = CliRunner().invoke(app, ["code", "--html", str(out), other, str(tmp_path / "a.txt")])
        assert refused.exit_code == 2 and "leave out" in refused.stderr


def test_encounter_writes_the_view_as_a_file(tmp_path: Path) -> None:
    chart = tmp_path / "e1"
    chart.mkdir()
    for name, text in (("ct", "CT: bilateral L5 pars defects."), ("visit", "Assessment: spondylolysis.")):
        (chart / f"{name}.txt").write_text(text)
    out = tmp_path / "out.html"
    run = CliRunner().invoke(app, ["encounter", str(chart), "--html", str(out)])
    assert (run.exit_code, run.stdout) == (0, "") and f"written to {out}" in run.stderr
    shown = Shown(out.read_text())
    assert sorted(shown.notes) == ["Assessment: spondylolysis.", "CT: bilateral L5 pars defects."]
    assert "About M43.06" in shown.words
    for other in ("--json", "--explain", "--no-text", f"--out={tmp_path / 'o.jsonl'}"):
        refused = CliRunner().invoke(app, ["encounter", "--html", str(out), other, str(chart)])
        assert refused.exit_code == 2 and "leave out" in refused.stderr


# --- decisions --------------------------------------------------------------------------------------------------------


def item_of(extractor: Extractor, text: str, name: str = "note", **given: Any) -> decisions.Item:
    note = Note(id=name, text=text, **given)
    return decisions.item(extractor.extract(note), [note])


def test_of_decisions_on_one_code_the_last_counts_and_none_is_lost(tmp_path: Path, extractor: Extractor) -> None:
    kept = Decisions(tmp_path / "deep" / "d.sqlite")
    of = item_of(extractor, BOTH)
    assert kept.on(of.id, of.digest) == [] and not kept.path.exists()
    slip, lysis = (each.code for each in of.codes)
    for decision in (
        Decision(act="accept", code=slip),
        Decision(act="reject", code=lysis, reason="Excludes1"),
        Decision(act="change", code=slip, right="m4316"),
        Decision(act="withdraw", code=lysis),
    ):
        kept.take(of, decision)
    assert [(each["act"], each["code"], each["right"]) for each in kept.on(of.id, of.digest)] == [
        ("change", slip, "M43.16")
    ]
    again = list(Decisions(kept.path).log())
    assert [(each["act"], each["current"]) for each in again] == [
        ("accept", False), ("reject", False), ("change", True), ("withdraw", True),
    ]  # fmt: skip
    assert again[1]["reason"] == "Excludes1" and again[0]["suggested"] == [slip, lysis]
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600


def test_a_decision_does_not_pass_to_another_text_of_the_same_id(tmp_path: Path, extractor: Extractor) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    of, other = item_of(extractor, "L5 spondylolysis."), item_of(extractor, "L5 spondylolysis!")
    kept.take(of, Decision(act="accept", code="M43.06"))
    assert kept.on(other.id, other.digest) == [] and len(kept.on(of.id, of.digest)) == 1


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        (Decision(act="accept", code="M43.16"), "only a code that is suggested"),
        (Decision(act="change", code="M43.06", right="back pain"), "not the form"),
        (Decision(act="change", code="M43.06", right="M4306"), "the same code"),
        (Decision(act="add", code="x"), "not the form"),
        (Decision(act="add", code="m43.06"), "suggested already"),
        (Decision(act="none"), "reject those"),
        (Decision(act="wrong"), "a mention"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused(
    tmp_path: Path, extractor: Extractor, decision: Decision, says: str
) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    with pytest.raises(InputError, match=says):
        kept.take(item_of(extractor, "L5 spondylolysis."), decision)
    assert list(kept.log()) == []


def test_the_file_holds_no_word_of_a_note_unless_asked(tmp_path: Path, extractor: Extractor, canary: str) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    text = f"Assessment: L5 spondylolysis {canary}."
    of = item_of(extractor, text)
    finding = extractor.extract(text).findings[0]
    place = {name: getattr(finding, name) for name in Mention.model_fields}
    kept.take(of, Decision(act="wrong", mention=Mention(**place), reason="copied forward"))
    kept.take(of, Decision(act="accept", code="M43.06"))
    words = set(re.findall(r"\w{6,}", text))
    content = kept.path.read_bytes()
    assert not [word for word in words - {"spondylolysis"} if word.encode() in content]
    kept.take(of, Decision(act="accept", code="M43.06"), {"note": text})
    assert canary.encode() in kept.path.read_bytes()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path, extractor: Extractor) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("SPINE CLINIC " * 100)
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE patients (name TEXT)")
    database.close()
    for path in (text, other, tmp_path):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(InputError, match=r"name another file|cannot be used"):
            Decisions(path).check()
        with pytest.raises(InputError, match=r"cannot be used|holds something else"):
            Decisions(path).take(item_of(extractor, "L5 spondylolysis."), Decision(act="accept", code="M43.06"))
        assert (path.read_bytes() if path.is_file() else b"") == before


def test_decisions_lie_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LOCALAPPDATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for platform, folder in (
        ("linux", ".local/share"), ("darwin", "Library/Application Support"), ("win32", "AppData/Local"),
    ):  # fmt: skip
        monkeypatch.setattr(decisions.sys, "platform", platform)
        assert decisions.standard_file() == tmp_path / folder / "parsnlp" / "decisions.sqlite"
    monkeypatch.setattr(decisions.sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert decisions.standard_file() == Path("/data/parsnlp/decisions.sqlite")


def test_gold_of_what_is_finished_is_scored_by_evaluate(tmp_path: Path, extractor: Extractor) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    texts = {
        "one": "Assessment: L5 spondylolysis.",
        "two": "Assessment: L4-5 spondylolisthesis.",
        "three": "Sprained ankle.",
        "half": BOTH,
        "gone": "Dx: spondylolysis L4.",
    }
    items = {name: item_of(extractor, text, name, date="2026-05-12") for name, text in texts.items()}
    kept.take(items["one"], Decision(act="accept", code="M43.06"), {"one": texts["one"]})
    kept.take(items["two"], Decision(act="change", code="M43.16", right="M43.17"))
    kept.take(items["three"], Decision(act="none"))
    kept.take(items["half"], Decision(act="accept", code=items["half"].codes[0].code))
    kept.take(items["gone"], Decision(act="accept", code="M43.06"))
    held = {name: {name: text} for name, text in texts.items() if name not in ("one", "gone")} | {
        "gone": {"gone": "other"}
    }
    gold = tmp_path / "gold.jsonl"
    gold.write_bytes(b"".join(decisions.gold(kept, lambda of: held.get(of.id))))
    rows = evaluation.gold.read_file(gold)
    assert [(row.id, row.codes, row.encounter_date) for row in rows] == [
        ("one", ("M43.06",), "2026-05-12"), ("two", ("M43.17",), "2026-05-12"), ("three", (), "2026-05-12"),
    ]  # fmt: skip
    exact = evaluation.evaluate(rows, extractor).codes.exact
    assert (exact.right, exact.of) == (2, 3)


def test_gold_of_an_encounter_has_its_documents(tmp_path: Path, extractor: Extractor) -> None:
    notes = [
        Note(id="ct", kind="radiology", text="IMPRESSION: L5 pars defects.", encounter="visit"),
        Note(id="plan", text="Assessment: spondylolysis.", encounter="visit"),
    ]
    result = extractor.extract_encounter(notes)
    kept = Decisions(tmp_path / "d.sqlite")
    kept.take(
        decisions.item(result, notes), Decision(act="accept", code="M43.06"), {each.id: each.text for each in notes}
    )
    (row,) = evaluation.gold.read_rows(map(json.loads, decisions.gold(kept, lambda of: None)))
    assert row.id == "visit" and [(each.id, each.kind) for each in row.documents] == [
        ("ct", "radiology"),
        ("plan", None),
    ]


def test_csv_holds_nothing_that_a_spreadsheet_would_run(tmp_path: Path, extractor: Extractor) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    kept.take(item_of(extractor, "L5 spondylolysis."), Decision(act="reject", code="M43.06", reason='=1+1, "so"'))
    head, line = decisions.csv(kept)
    assert head.startswith(b'"at","id",') and b'"\'=1+1, ""so"""' in line and line.endswith(b"\r\n")


def test_who_decided_is_kept_where_a_name_is_given(tmp_path: Path, extractor: Extractor) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    of = item_of(extractor, BOTH)
    slip, lysis = (each.code for each in of.codes)
    kept.take(of, Decision(act="accept", code=slip, coder="A. Coder"))
    kept.take(of, Decision(act="accept", code=lysis))
    assert [row["coder"] for row in kept.log()] == ["A. Coder", None]
    assert b'"A. Coder"' in list(decisions.csv(kept))[1]
    assert "A. Coder" not in repr(Decision(act="accept", code=slip, coder="A. Coder"))


def test_a_file_from_before_names_is_taken_on(tmp_path: Path, extractor: Extractor) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    of = item_of(extractor, SHORT)
    kept.take(of, Decision(act="accept", code="M43.06"))
    with sqlite3.connect(kept.path) as database:
        database.executescript("ALTER TABLE decision DROP COLUMN coder; PRAGMA user_version = 1;")
    assert [row["coder"] for row in kept.log()] == [None]
    kept.take(of, Decision(act="reject", code="M43.06", reason="no", coder="B"))
    assert [row["coder"] for row in kept.log()] == [None, "B"]


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["decisions", *map(str, arguments)])


def test_decisions_are_told_and_exported_without_the_page(tmp_path: Path, extractor: Extractor) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    for name, act in (("a", "accept"), ("b", "reject")):
        note = Note(id=name, text=SHORT)
        of = decisions.item(extractor.extract(note), [note])
        kept.take(of, Decision(act=act, code="M43.06", reason="no"), {name: SHORT} if name == "a" else None)
    told = command(kept.path)
    assert told.exit_code == 0 and "items: 2 finished, 0 begun" in told.stdout
    assert "accepted 1 of 2" in told.stdout and "2 decisions" in told.stdout
    for form in ("jsonl", "csv"):
        run = command(kept.path, "--to", form)
        assert (run.exit_code, run.stdout_bytes) == (0, b"".join(getattr(decisions, form)(kept)))
        assert "2 decisions" in run.stderr
    out = tmp_path / "gold.jsonl"
    run = command(kept.path, "--to", "gold", "--out", out)
    assert run.exit_code == 0 and "1 of 2 finished items" in run.stderr and "--results" in run.stderr
    assert [row.id for row in evaluation.gold.read_file(out)] == ["a"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_gold_without_the_page_finds_the_notes_of_a_batch(folder: Path, extractor: Extractor) -> None:
    batch("notes", "--out", "out.jsonl")
    work = loaded("out.jsonl")
    found = work.item(0)
    assert found is not None and found.notes
    kept = Decisions(folder / "d.sqlite")
    (note,) = found.notes
    kept.take(decisions.item(extractor.extract(note), [note]), Decision(act="accept", code="M43.06"))
    run = command(kept.path, "--to", "gold", "--results", "out.jsonl", "--out", "gold.jsonl")
    assert run.exit_code == 0 and "1 of 1 finished items" in run.stderr
    assert [row.text for row in evaluation.gold.read_file(Path("gold.jsonl"))] == [SHORT]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.sqlite"], "there is no file of decisions"),
        (["text.txt"], "not a file of them"),
        (["empty.txt"], "the file is empty"),
        (["text.txt", "--to", "csv", "--out", "text.txt"], "is the file of decisions itself"),
        (["text.txt", "--to", "xml"], "--to is not one of jsonl, csv, gold"),
        (["text.txt", "--out", "o"], "--out goes with --to"),
        (["text.txt", "--to", "csv", "--results", "o"], "--results goes with --to gold"),
    ],
)
def test_decisions_that_cannot_be_told(arguments: list[str], says: str, folder: Path) -> None:
    (folder / "text.txt").write_text("words")
    (folder / "empty.txt").touch()
    run = command(*arguments)
    assert run.exit_code == 2 and says in run.stderr and "Traceback" not in run.stderr


def test_acceptance_is_told_by_day_and_by_month_when_there_are_many(
    tmp_path: Path, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Decisions(tmp_path / "d.sqlite")
    assert kept.rates() == []
    for day in range(1, 34):
        moment = f"2026-0{1 + day // 32}-{(day - 1) % 31 + 1:02}T10:00:00+00:00"
        monkeypatch.setattr(decisions, "_now", lambda moment=moment: moment)
        act = "accept" if day % 3 else "reject"
        kept.take(item_of(extractor, "L5 spondylolysis.", f"n{day}"), Decision(act=act, code="M43.06", reason="no"))
        if day == 3:
            assert kept.rates() == [("2026-01-01", 1, 1), ("2026-01-02", 1, 1), ("2026-01-03", 0, 1)]
    assert kept.rates() == [("2026-01", 21, 31), ("2026-02", 1, 2)]


# --- the worklist -----------------------------------------------------------------------------------------------------

NOTES = {
    "a": SHORT,
    "b": BOTH,
    "c": "Sprained ankle.",
    "d": "Assessment: spondylolisthesis.",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with notes as files and in a table, which is the current one."""
    (tmp_path / "notes").mkdir()
    for name, text in NOTES.items():
        (tmp_path / "notes" / f"{name}.txt").write_bytes(text.encode())
    (tmp_path / "table.csv").write_text("id,text\n" + "".join(f'{name},"{text}"\n' for name, text in NOTES.items()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def batch(*arguments: str) -> None:
    run = CliRunner().invoke(app, ["batch", *arguments, "--quiet"])
    assert run.exit_code == 0, run.stderr


def loaded(out: str) -> Worklist:
    work = Worklist(Path(out))
    work.load()
    assert work.problem == ""
    return work


def ids(work: Worklist, only: Sequence[int] | None = None, without: Sequence[int] = (), **filters: str) -> list[str]:
    found = work.listed(filters, only, without)
    assert found["count"] == len(found["items"])
    return [each["id"] for each in found["items"]]


@pytest.mark.parametrize("form", outputs.FORMATS)
def test_the_list_of_any_output_is_filtered(folder: Path, form: str) -> None:
    batch("notes", "--out", f"out.{form}")
    work = loaded(f"out.{form}")
    assert ids(work) == ["a", "b", "c", "d"]
    assert ids(work, code="M43.06") == ["a", "b"]
    assert ids(work, code="M43.06", status="review") == ["b"]
    assert ids(work, status=worklist.NO_CODE) == ["c"]
    assert ids(work, edit="excludes1_pair") == ["b"]
    assert ids(work, only=[1, 3], without=[3]) == ["b"]
    assert [each["id"] for each in work.listed({"code": "M43.06"}, before=1)["items"]] == ["a"]
    choices = work.choices()
    assert dict(choices["code"])["M43.06"] == 2 and dict(choices["status"])[worklist.NO_CODE] == 1
    assert choices["query"] and set(choices) == set(worklist.FILTERS)
    found = work.item(1)
    assert found is not None and [note.text for note in found.notes] == [BOTH] and found.missing == ""
    assert work.item(9) is None


def test_notes_of_tables_are_read_again_in_any_order(folder: Path) -> None:
    batch("table.csv", "--out", "out.jsonl")
    work = loaded("out.jsonl")
    for number in (2, 0, 3, 1, 1):
        found = work.item(number)
        assert found is not None and [note.text for note in found.notes] == [list(NOTES.values())[number]]


def test_rows_of_one_encounter_come_together(folder: Path) -> None:
    Path("visits.csv").write_text(
        'id,visit,text\nct,v1,"IMPRESSION: L5 pars defects."\nx,v2,Ankle.\nplan,v1,"Assessment: spondylolysis."\n'
    )
    batch("visits.csv", "--out", "out.jsonl", "--encounter-column", "visit")
    work = loaded("out.jsonl")
    found = {each["id"]: work.item(each["number"]) for each in work.listed({}, None, [])["items"]}
    assert found["v1"] is not None and [note.id for note in found["v1"].notes] == ["ct", "plan"]


def test_a_note_that_has_changed_or_gone_is_not_shown(folder: Path, extractor: Extractor) -> None:
    batch("notes", "--out", "out.jsonl")
    Path("notes/a.txt").write_text("Something else.")
    Path("notes/b.txt").unlink()
    work = loaded("out.jsonl")
    changed, gone, there = (work.item(number) for number in (0, 1, 3))
    assert changed and changed.notes == () and "has changed" in changed.missing
    assert gone and gone.notes == () and "was not found" in gone.missing
    assert there and there.notes and there.missing == ""
    told = worklist.quoted(gone)
    whole = extractor.extract(Note(id="b", text=BOTH))
    assert [(code.code, code.status, code.reason) for code in told.codes] == [
        (code.code, code.status, code.reason) for code in whole.codes
    ]
    shown = Shown(evidence.fragment(told))
    assert "anterolisthesis" in shown.words and shown.notes == []


def test_an_output_without_words_is_told_by_offsets(folder: Path) -> None:
    batch("notes", "--out", "out.csv", "--no-text")
    shutil.rmtree("notes")
    found = loaded("out.csv").item(0)
    assert found is not None and "12–27" not in found.missing
    shown = Shown(evidence.fragment(worklist.quoted(found)))
    assert any(re.fullmatch(r"\d+–\d+", word) for word in shown.words) and "spondylolysis" not in shown.words


def test_what_is_no_output_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Worklist(folder / "none")
    Path("broken.jsonl").write_text("no JSON\n")
    work = Worklist(Path("broken.jsonl"))
    work.load()
    assert "damaged" in work.problem and work.loaded


def test_a_full_disk_ends_the_list_and_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    batch("notes", "--out", "out.jsonl")
    monkeypatch.setattr(Worklist, "_add", full)
    work = Worklist(Path("out.jsonl"))
    work.load()
    assert "is there room for temporary files?" in work.problem and work.loaded


@pytest.mark.parametrize("told", [{"sources": "["}, {"options": {"max_size": "much"}}, {"sources": 5}])
def test_a_run_that_is_told_otherwise_is_refused(folder: Path, told: dict[str, object]) -> None:
    batch("notes", "--out", "out.jsonl")
    Path("out.jsonl.run/run.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"out\.jsonl\.run: damaged"):
        Worklist(Path("out.jsonl"))


def test_an_item_that_is_no_result_has_no_view(folder: Path, answers: Answers) -> None:
    batch("notes", "--out", "out.jsonl")
    shutil.rmtree("notes")
    inputs = Path("out.jsonl.run/inputs.jsonl")
    inputs.write_text(re.sub(r'"sha256": ?"[0-9a-f]{64}"', '"sha256":"none"', inputs.read_text()))
    found = loaded("out.jsonl").item(0)
    assert found is not None
    with pytest.raises(Problem, match="422") as refused:
        answers.told(found)
    assert "no result of this version" in refused.value.detail


@pytest.mark.parametrize(
    "spoilt",
    [
        "UPDATE item SET facts = '{}'",
        "UPDATE item SET facts = x'00'",
        "UPDATE item SET texts = '[1]'",
        "DELETE FROM item",
        "UPDATE decision SET act = 'guess'",
        "UPDATE decision SET mention = '{'",
        "UPDATE decision SET reason = x'ff'",
    ],
)
def test_a_file_of_decisions_that_holds_another_thing_is_refused(
    tmp_path: Path, extractor: Extractor, spoilt: str
) -> None:
    kept = Decisions(tmp_path / "decisions.sqlite")
    note = Note(text=SHORT)
    kept.take(decisions.item(extractor.extract(note), [note]), Decision(act="accept", code="M43.06"), {"note": SHORT})
    with sqlite3.connect(kept.path) as database:
        database.execute(spoilt)
    database.close()
    told = 0
    for read in (kept.states, lambda: list(decisions.jsonl(kept)), lambda: list(decisions.csv(kept))):
        try:
            read()
        except InputError as error:
            told += 1
            assert "not a file of them, damaged, or locked" in str(error) and "spondylolysis" not in str(error)
    assert told


@pytest.mark.parametrize(
    "program",
    [
        "CREATE VIEW more AS WITH RECURSIVE a(b) AS (SELECT 1 UNION ALL SELECT b + 1 FROM a) SELECT b FROM a",
        "CREATE TRIGGER more AFTER INSERT ON decision BEGIN DELETE FROM decision; END",
    ],
)
def test_a_file_of_decisions_that_holds_programs_is_refused(tmp_path: Path, extractor: Extractor, program: str) -> None:
    kept = Decisions(tmp_path / "decisions.sqlite")
    note = Note(text=SHORT)
    kept.take(decisions.item(extractor.extract(note), [note]), Decision(act="accept", code="M43.06"), {"note": SHORT})
    with sqlite3.connect(kept.path) as database:
        database.execute(program)
    database.close()
    with pytest.raises(InputError, match="it holds views or triggers"):
        kept.states()


# --- over HTTP --------------------------------------------------------------------------------------------------------


class Inside:
    """An engine without processes."""

    ready = True

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    async def answer(self, method: str, *arguments: object) -> Answer:
        made: Answer = getattr(self.answers, method)(*arguments)
        return made

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


class Client:
    """Asks the application as the page's script does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._sent(method, path, json=body, headers=given if headers else HOST)

    def drop(self, content: bytes, name: str, **headers: str) -> httpx.Response:
        """Send a file as the page does."""
        given = {"Content-Type": "application/octet-stream", "X-File-Name": quote(name), **HOST, **headers}
        return self._sent("POST", "/page/documents", content=content, headers=given)

    def _sent(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4306") as client:
                return await client.request(method, path, **given)

        return asyncio.run(sent())


@pytest.fixture(autouse=True)
def no_client_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx logs each URL that it asks for; it is the caller here, and no part of the service."""
    monkeypatch.setattr(httpx._client, "logger", SimpleNamespace(info=lambda *_: None))


def client(answers: Answers, tmp_path: Path, **settings: Any) -> Client:
    return Client(application(Settings(decisions=tmp_path / "d.sqlite", **settings), Inside(answers)))


def view(page: Client, text: str = BOTH, name: str = "note", **given: Any) -> dict[str, Any]:
    answer = page.ask("POST", "/page/view", {"documents": [{"id": name, "text": text}], **given})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_the_page_loads_its_own_files_and_nothing_else(answers: Answers, tmp_path: Path) -> None:
    page = client(answers, tmp_path)
    answer = page.ask("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    shown = Shown(answer.text)
    loaded = {
        value for name in ("src", "href") for value in shown.having(name) if not value.startswith(("#", "data:,"))
    }
    assert loaded == {"/page/evidence.css", "/page/page.css", "/page/page.js"}
    assert not [name for _, given in shown.elements for name in given if name.startswith("on") or name == "style"]
    for name, media in ASSETS.items():
        found = page.ask("GET", f"/page/{name}")
        assert found.status_code == 200 and found.headers["content-type"].startswith(media)
        assert found.text == asset(name) and "http" not in found.text.replace("http-equiv", "")


def test_setting_and_policy_switch_the_answer(answers: Answers, tmp_path: Path) -> None:
    page = client(answers, tmp_path)
    separate, strict = (view(page, policy={"excludes1": value}) for value in ("separate", "strict"))
    assert [each["code"] for each in separate["item"]["codes"]] == ["M43.17", "M43.06"]
    assert [each["code"] for each in strict["item"]["codes"]] == ["M43.17"]
    asked = "DISCHARGE SUMMARY\n\nDischarge diagnosis: probable L5 spondylolysis."
    assert view(page, asked)["item"]["codes"] == []
    assert view(page, asked, setting="inpatient")["says"].startswith("M43.06")
    hostile = Shown(view(page, HOSTILE.replace("\ud800", ""))["html"])
    assert not [tag for tag, _ in hostile.elements if tag in ("script", "img", "style")]


def test_documents_that_are_dropped_give_their_texts(answers: Answers, tmp_path: Path) -> None:
    page = client(answers, tmp_path)
    made = Document()
    made.add_paragraph("Assessment: L5 spondylolysis.")
    word = io.BytesIO()
    made.save(word)
    for content, name in (
        (word.getvalue(), "visit é.docx"),
        (b"<p>Assessment: L5 spondylolysis.</p>", "../visit é.HTML"),
    ):
        answer = page.drop(content, name)
        assert answer.status_code == 200, answer.text
        (document,) = answer.json()["documents"]
        assert document["id"] == "visit é" and document["text"].strip() == "Assessment: L5 spondylolysis."
        assert view(page, document["text"])["item"]["codes"][0]["code"] == "M43.06"


def test_what_is_dropped_and_cannot_be_read_is_told_without_its_words(
    answers: Answers, tmp_path: Path, canary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = client(answers, tmp_path, max_batch=2000)
    for content, name, status, says in (
        (canary.encode(), "a.exe", 200, "not one of .docx"),
        (canary.encode(), "", 200, "save it as plain text"),
        (f"%PDF-1.4 {canary}".encode(), "a.pdf", 200, "PDF"),
        (b"PK" + canary.encode(), "a.docx", 200, "Word"),
        (b"x" * 2001, "a.html", 413, "2,000 bytes"),
    ):
        answer = page.drop(content, name)
        told = answer.json()
        assert answer.status_code == status and says in told.get("detail", "".join(told.get("notices", []))), (
            answer.text
        )
        assert not told.get("documents")
        assert canary not in answer.text
    assert page.drop(b"<p>x</p>", "a.html", **{"Content-Type": "text/html"}).status_code == 415
    assert page.drop(b"<p>x</p>", "a.html", Origin="http://evil.example").status_code == 403
    assert canary not in "".join(capsys.readouterr())


def test_a_decision_is_taken_kept_and_exported(answers: Answers, tmp_path: Path) -> None:
    page = client(answers, tmp_path, keep_notes=True)
    item = view(page)["item"]
    for code in item["codes"]:
        body = {"item": item, "decision": {"act": "accept", "code": code["code"]}, "texts": {"note": BOTH}}
        answer = page.ask("POST", "/page/decide", body)
    assert answer.json()["done"] and [each["act"] for each in answer.json()["decided"]] == ["accept", "accept"]
    again = client(answers, tmp_path)  # another service on the same file
    assert again.ask("POST", "/page/decided", item).json() == answer.json()
    assert "<strong>100 %</strong> of 2 suggested" in again.ask("GET", "/page/rates").text
    lines = again.ask("GET", "/page/export?form=jsonl").text.splitlines()
    assert [json.loads(line)["code"] for line in lines] == ["M43.17", "M43.06"]
    gold = again.ask("GET", "/page/export?form=gold")
    assert json.loads(gold.text)["text"] == BOTH and gold.headers["x-count"] == gold.headers["x-finished"] == "1"
    assert again.ask("GET", "/page/export?form=csv").text.count("\r\n") == 3
    assert again.ask("GET", "/page/export?form=xls").status_code == 422


def test_texts_are_not_kept_unless_the_service_was_told_to(answers: Answers, tmp_path: Path, canary: str) -> None:
    page = client(answers, tmp_path)
    item = view(page, f"L5 spondylolysis {canary}.")["item"]
    body = {"item": item, "decision": {"act": "accept", "code": "M43.06"}, "texts": {"note": canary}}
    assert page.ask("POST", "/page/decide", body).status_code == 200
    assert canary.encode() not in (tmp_path / "d.sqlite").read_bytes()
    assert page.ask("GET", "/page/export?form=gold").headers["x-count"] == "0"


def test_what_does_not_fit_is_refused_without_its_words(answers: Answers, tmp_path: Path, canary: str) -> None:
    page = client(answers, tmp_path)
    item = view(page)["item"]
    for body in (
        {"item": item, "decision": {"act": "change", "code": "M43.17", "right": canary[:10]}},
        {"item": item, "decision": {"act": canary}},
        {"item": {**item, "digest": canary}, "decision": {"act": "none"}},
        {"item": item},
    ):
        answer = page.ask("POST", "/page/decide", body)
        assert answer.status_code == 422 and canary[:10] not in answer.text
    assert not (tmp_path / "d.sqlite").exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:4306"}, 200),
        ({"Sec_Fetch_Site": "same-origin", "Origin": "http://127.0.0.1:4306"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:8000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Origin": "http://127.0.0.1:4306"}, 403),
        ({"X_Other": "1"}, 403),
    ],
)
def test_only_the_page_itself_may_decide(
    answers: Answers, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    page = client(answers, tmp_path, origins=("http://evil.example",))
    item = view(page)["item"]
    body = {"item": item, "decision": {"act": "accept", "code": "M43.17"}}
    assert page.ask("POST", "/page/decide", body, **headers).status_code == status
    assert (tmp_path / "d.sqlite").exists() == (status == 200)
    if "Origin" in headers or "Sec_Fetch_Site" in headers:
        assert page.ask("GET", "/page/export?form=jsonl", **headers).status_code == status


def test_a_form_of_another_page_cannot_decide(answers: Answers, tmp_path: Path) -> None:
    page = client(answers, tmp_path)
    answer = page.ask("POST", "/page/decide", None, Content_Type="text/plain", **HOST)
    assert answer.status_code == 415


def test_with_a_token_the_page_opens_and_tells_nothing_before_it(answers: Answers, tmp_path: Path) -> None:
    page = client(answers, tmp_path, token="0123456789abcdef")
    for path in ("/", *(f"/page/{name}" for name in ASSETS)):
        assert page.ask("GET", path).status_code == 200
    for path in ("/page/rates", "/page/export?form=jsonl", "/page/work", "/page/work/0"):
        assert page.ask("GET", path).status_code == 401
    assert page.ask("POST", "/page/view", {}).status_code == 401
    shown = page.ask("GET", "/page/rates", Authorization="Bearer 0123456789abcdef")
    assert shown.status_code == 200 and str(tmp_path) in shown.text


def until_loaded(page: Client) -> Iterator[dict[str, Any]]:
    while True:
        found = page.ask("GET", "/page/work").json()
        if found["loaded"]:
            yield found
            return


def test_the_worklist_over_http(answers: Answers, tmp_path: Path, folder: Path) -> None:
    batch("notes", "--out", "out.jsonl")
    page = client(answers, tmp_path, results=Path("out.jsonl"))
    (found,) = until_loaded(page)
    assert [each["id"] for each in found["items"]] == ["a", "b", "c", "d"] and found["count"] == 4
    opened = page.ask("GET", "/page/work/0").json()
    assert opened["documents"][0]["text"] == NOTES["a"] and opened["missing"] == ""
    item = view(page, NOTES["a"], "a")["item"]
    page.ask("POST", "/page/decide", {"item": item, "decision": {"act": "accept", "code": "M43.06"}})
    states = {each["id"]: each["state"] for each in page.ask("GET", "/page/work").json()["items"]}
    assert states == {"a": "done", "b": "open", "c": "open", "d": "open"}
    for state, wanted in (("open", ["b", "c", "d"]), ("done", ["a"]), ("begun", [])):
        assert [each["id"] for each in page.ask("GET", f"/page/work?state={state}").json()["items"]] == wanted
    assert [each["id"] for each in page.ask("GET", "/page/work?code=M43.06&after=0").json()["items"]] == ["b"]
    assert [each["id"] for each in page.ask("GET", "/page/work?before=2").json()["items"]] == ["a", "b"]
    for query in ("state=none", "after=x", "before=-1"):
        assert page.ask("GET", f"/page/work?{query}").status_code == 422
    assert page.ask("GET", "/page/work/77").status_code == 404
    gold = page.ask("GET", "/page/export?form=gold").text  # its text is read again, not kept
    assert json.loads(gold)["text"] == NOTES["a"]
    Path("notes/a.txt").unlink()
    gone = page.ask("GET", "/page/work/0").json()
    assert gone["documents"] == [] and "was not found" in gone["missing"] and "M43.06" in gone["view"]["html"]
    assert gone["view"]["item"]["digest"] == item["digest"]  # what was decided with the text stands without it
    assert page.ask("GET", "/page/export?form=gold").text == ""


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_serve_says_what_it_cannot_use(folder: Path) -> None:
    Path("broken.csv").mkdir()
    for option, value, says in (
        ("--results", "none.jsonl", "no such file"),
        ("--results", "broken.csv", "not an output"),
        ("--decisions", "notes/a.txt", "not a file of them"),
    ):
        run = CliRunner().invoke(app, ["serve", "--port", "0", option, value])
        assert run.exit_code == 2 and says in run.stderr and len(run.stderr.splitlines()) == 1


def test_without_results_there_is_no_worklist(answers: Answers, tmp_path: Path) -> None:
    assert client(answers, tmp_path).ask("GET", "/page/work").status_code == 404


def test_the_package_carries_the_pages_files() -> None:
    assert all(asset(name) for name in ASSETS)
    assert parsnlp.__version__
