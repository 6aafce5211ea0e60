"""`parsnlp summary`: the same figures from every format, each with examples, on a page that gives nothing away."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp.interfaces import outputs, summary
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.outputs import FORMATS, Part
from parsnlp.models import Note, Result
from parsnlp.view import summary as view
from parsnlp.view.summary import Example, Figure, Line, Summary

TEXTS = (
    "Assessment: L5 spondylolysis, bilateral, with grade I anterolisthesis of L5 on S1. Brace for 3 months.",
    "Chest film: clear.",
    "CT lumbar spine. IMPRESSION: L4-5 anterolisthesis, 4 mm. No pars defect.",
    "Assessment: spondylolysis. MRI shows no slip. Mother has spondylolisthesis.",
    "Assessment: chronic left L5 spondylolysis.",
)
PATIENTS = (
    ("p-ann", "2026-05-12"),
    ("p-bob", "2026-01-02"),
    ("p-cid", "2026-05-30"),
    ("p-ann", "2026-03-01"),
    (None, None),
)


@pytest.fixture(scope="module")
def results() -> list[Result]:
    notes = [
        Note(text=text, id=f"n{at}", patient=patient, date=date)
        for at, (text, (patient, date)) in enumerate(zip(TEXTS, PATIENTS, strict=True))
    ]
    return list(parsnlp.load().pipe(notes))


def written(folder: Path, results: list[Result], format: str = "jsonl", text: bool = True) -> Path:
    """An output with the folder of its run: these results, an input left out, and one that failed."""
    states: list[dict[str, Any]] = [{"id": result.id, "state": "done"} for result in results]
    states += [
        {"id": "quiet", "state": "left_out"},
        {"id": None, "state": "failed", "stage": "read", "reason": "binary"},
    ]
    run = folder / "out.run"
    run.mkdir(exist_ok=True)
    part = Part(folder / "part.jsonl", run / "inputs.jsonl")
    part.results.write_text("".join(result.to_json(text=text) + "\n" for result in results), encoding="utf-8")
    part.inputs.write_text(
        "".join(json.dumps({"number": number, **state}) + "\n" for number, state in enumerate(states)), encoding="utf-8"
    )
    out = folder / "out"
    outputs.write(format, out, [part], {}, replace=True)
    return out


def figures(found: Summary) -> dict[str, dict[str, Line]]:
    return {figure.title: {line.label: line for line in figure.lines} for figure in found.figures}


def test_figures_are_what_the_results_say(results: list[Result], tmp_path: Path) -> None:
    found = summary.summarise(written(tmp_path, results))
    codes = [code for result in results for code in result.codes]
    assert dict(found.facts) == {
        "inputs": "7", "results": "5", "left out (--only)": "1", "failed": "1", "with a code": "4",
        "to review": str(sum(any(c.status == "review" for c in r.codes) for r in results)), "codes": str(len(codes)),
        "queries": str(sum(len(r.queries) for r in results)), "patients coded": "2",
        "first date": "2026-01-02", "last date": "2026-05-30",
    }  # fmt: skip
    shown = figures(found)

    def counts(title: str) -> dict[str, int]:
        return {label: line.count for label, line in shown[title].items()}

    assert counts("Code") == Counter(f"{code.code} {code.display}" for code in codes)
    assert counts("Condition") == Counter(code.condition for code in codes)
    assert counts("Region") == {"lumbar": 3, "lumbosacral": 1, "site unspecified": 1}
    assert counts("Setting") == {"outpatient": len(codes)}
    assert counts("Query") == Counter(q.kind.replace("_", " ") for r in results for q in r.queries)
    assert counts("Modality") == Counter(study.modality for r in results for study in r.imaging)
    assert counts("Assertion") == Counter(f.assertion for r in results for f in r.findings)
    assert counts("Grade") == {"I": 1, "4 mm": 1}
    assert counts("Laterality") == {"bilateral": 1, "left": 1} and counts("Chronicity") == {"chronic": 1}
    assert counts("Failed at") == {"read": 1}
    captured = Counter(i.item.replace("_", " ") for r in results for i in r.checklist if i.state == "captured")
    asked = Counter(i.item.replace("_", " ") for r in results for i in r.checklist)
    assert {label: (line.count, line.of) for label, line in shown["Documentation captured"].items()} == {
        label: (captured[label], of) for label, of in asked.items()
    }
    unspecified = {label: (line.count, line.of) for label, line in shown["Unspecified site"].items()}
    assert unspecified == {
        "all codes": (1, 5),
        "outpatient": (1, 5),
        "spondylolysis": (1, 3),
        "spondylolisthesis": (0, 2),
    }
    assert {label: (line.count, line.of) for label, line in shown["To review"].items()}["all codes"] == (
        sum(code.status == "review" for code in codes), len(codes),
    )  # fmt: skip


def test_a_patient_counts_once_on_the_first_coded_date(results: list[Result], tmp_path: Path) -> None:
    """Ann was coded in March and in May, though May was read first; Bob was never coded; the last note has no patient."""
    (cohort,) = [figure for figure in summary.summarise(written(tmp_path, results)).figures if figure.series]
    assert [(line.label, line.count, line.of) for line in cohort.lines] == [("2026-03", 1, 2), ("2026-05", 1, 2)]
    assert [[example.result for example in line.examples] for line in cohort.lines] == [["n3"], ["n2"]]


def test_many_months_are_told_by_the_year(results: list[Result], tmp_path: Path) -> None:
    many = [
        results[0].model_copy(
            update={
                "id": f"m{number}",
                "documents": (
                    results[0].documents[0].model_copy(
                        update={"patient": str(number), "date": f"{2000 + number // 12}-{number % 12 + 1:02d}-01"}
                    ),
                ),
            }
        )
        for number in range(40)
    ]  # fmt: skip
    cohort = figures(summary.summarise(written(tmp_path, many)))["First coded"]
    assert {year: line.count for year, line in cohort.items()} == {"2000": 12, "2001": 12, "2002": 12, "2003": 4}
    assert [example.result for example in cohort["2001"].examples] == ["m12", "m13", "m14"]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_summary(format: str, results: list[Result], tmp_path: Path) -> None:
    wanted = summary.summarise(written(tmp_path, results))
    (tmp_path / "out").unlink()
    assert summary.summarise(written(tmp_path, results, format)) == wanted


def test_every_number_leads_to_evidence(results: list[Result], tmp_path: Path) -> None:
    texts = {result.id: text for result, text in zip(results, TEXTS, strict=True)}
    for figure in summary.summarise(written(tmp_path, results)).figures:
        for line in figure.lines:
            assert len(line.examples) == min(line.count, 3), (figure.title, line.label)
            for example in line.examples:
                if figure.title != "Failed at":
                    assert example.document == example.result
                    assert texts[example.result][example.start : example.end] == example.text


def test_without_its_run_folder_it_says_only_what_it_knows(results: list[Result], tmp_path: Path) -> None:
    path = tmp_path / "alone.jsonl"
    path.write_text("".join(result.to_json() + "\n" for result in results), encoding="utf-8")
    facts = dict(summary.summarise(path).facts)
    assert facts["results"] == "5" and not {"inputs", "failed", "left out (--only)"} & set(facts)


def test_a_damaged_run_folder_is_told(results: list[Result], tmp_path: Path) -> None:
    out = written(tmp_path, results, "csv")
    (outputs.run_folder(out) / "inputs.jsonl").write_text("{")
    done = CliRunner().invoke(app, ["summary", str(out)])
    assert done.exit_code == 2 and "inputs.jsonl:1: damaged" in done.stderr


def test_nothing_found_is_a_summary_too(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    path.write_text("")
    found = summary.summarise(path)
    assert dict(found.facts)["results"] == "0" and not any(figure.lines for figure in found.figures)
    assert "None." in view.page(found) and list(view.lines(found))


class Parsed(HTMLParser):
    """The elements of a page, and what an attribute could load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}


def test_the_page_is_self_contained_and_strict(results: list[Result], tmp_path: Path) -> None:
    page = view.page(summary.summarise(written(tmp_path, results)), text=True)
    style = re.search("<style>(.*?)</style>", page, re.S)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}'; img-src data:\"" in page
    parsed = Parsed(page)
    assert not set(parsed.tags) & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert not parsed.attributes & {"src", "href", "style", "srcset"} and not any(
        name.startswith("on") for name in parsed.attributes
    )
    assert "url(" not in page and "://" not in page and "@import" not in page
    assert parsed.tags["svg"] == parsed.tags["section"] == parsed.tags["h2"] - 1 and parsed.tags["details"]


def test_what_comes_from_the_notes_is_escaped(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    example = Example(bad, bad, bad + "d", 0, 3, bad)
    found = Summary(bad, ((bad, bad),), ((bad, bad),), (Figure(bad, bad, (Line(bad, 1, 1, (example,)),), bad),))
    page = view.page(found, text=True)
    assert "<script" not in page and "&lt;script&gt;" in page


def test_the_notes_words_are_left_out_unless_asked_for(tmp_path: Path, canary: str) -> None:
    text = f"Assessment: no {canary} listhesis. L5 spondylolysis of {canary}. {canary} brace."
    result = parsnlp.load().extract(Note(text=text, id="n", patient="Ann Other", date="2026-05-12"))
    found = summary.summarise(written(tmp_path, [result]))
    silent, quoting = view.page(found), view.page(found, text=True)
    assert "“spondylolysis”" in quoting and "“" not in silent and canary not in silent
    assert "Ann Other" not in quoting and not any("Ann Other" in line for line in view.lines(found))
    without = view.page(summary.summarise(written(tmp_path, [result], text=False)), text=True)
    assert "“" not in without


def test_the_command_writes_a_private_page_or_prints(results: list[Result], tmp_path: Path) -> None:
    out, page = written(tmp_path, results, "parquet"), tmp_path / "summary.html"
    done = CliRunner().invoke(app, ["summary", str(out), "--html", str(page)])
    assert done.exit_code == 0 and done.stdout == "" and f"written to {page}" in done.stderr
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    first = page.read_bytes()
    assert first == view.page(summary.summarise(out)).encode("utf-8")
    assert CliRunner().invoke(app, ["summary", str(out), "--html", str(page), "--with-text"]).exit_code == 0
    assert page.read_bytes() != first and "“spondylolysis”" in page.read_text(encoding="utf-8")
    printed = CliRunner().invoke(app, ["summary", str(out)])
    assert printed.exit_code == 0
    lines = printed.stdout.splitlines()
    assert lines[0] == "Summary of out" and "  with a code        4" in lines
    assert "          3   60.0 %  lumbar" in lines
    assert "          1   20.0 %  all codes (of 5; 95 %: 3.6 % to 62.4 %)" in lines


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["nowhere.jsonl"], "no such file"), (["here", "--with-text"], "--with-text goes with --html")],
)
def test_misuse_is_told(arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["summary", *arguments])
    assert done.exit_code == 2 and says in done.stderr


def test_long_figures_are_folded_but_series_are_not() -> None:
    lines = tuple(Line(f"line {number}", 1, 30) for number in range(30))
    for series in (False, True):
        figure = Figure("Many", "things", lines, series=series)
        page = view.page(Summary("s", (), (("a", "b"),), (figure,)))
        assert page.count('class="bar"') == (30 if series else 12)
        assert ("<summary>18 more</summary>" in page) is not series
        assert all(f">line {number}</th>" in page for number in range(30))
