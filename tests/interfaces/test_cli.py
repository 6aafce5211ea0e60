"""The program, from outside: what it prints, where, and with which exit status."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import parsnlp
from parsnlp.interfaces import cli, reading

NOTE = "CT LUMBAR SPINE\r\n\r\nIMPRESSION:\r\nChronic bilateral L5 pars defects. No spondylolisthesis.\r\n"
BOTH = "IMPRESSION: L5-S1 spondylolisthesis, grade I. Bilateral L5 pars defects, chronic."

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, extractor: parsnlp.Extractor) -> Run:
    """Invoke the program in this process; the default extractor is loaded once for all tests."""
    load = parsnlp.extractor.load

    def loaded(*options: Any) -> parsnlp.Extractor:
        return extractor if options == ("outpatient", "separate", "M43.0", None, False) else load(*options)

    monkeypatch.setattr(parsnlp.extractor, "load", loaded)

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Any:
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments], input=stdin, prog_name="parsnlp")

    return run


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_bytes(NOTE.encode())
    return path


def program(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


# --- code -----------------------------------------------------------------------------------------------------------


@pytest.mark.prints_note_text
def test_code_marks_the_note_and_says_why(run: Run, note: Path, canary: str) -> None:
    note.write_bytes(NOTE.encode() + canary.encode())
    done = run("code", note)
    assert done.exit_code == 0, done.output
    assert "L5 [lysis: pars defects]. No [slip, negated: spondylolisthesis].\n" in done.stdout
    assert "M43.06 Spondylolysis, lumbar region (suggested)" in done.stdout
    assert re.search(r"^  P-C3 .*fifth character 6$", done.stdout, re.M)
    assert "not M43.1" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_code_explain_shows_the_full_trail(run: Run, note: Path) -> None:
    done = run("code", "--explain", note)
    start = NOTE.index("pars defects")
    assert f"“pars defects” ({start}-{start + 12}) [spondylolysis." in done.stdout
    assert "Considered and refused" in done.stdout and "Policy rules cited" in done.stdout


def test_code_json_is_one_result_a_line(run: Run, note: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(BOTH)
    done = run("code", "--json", note, other)
    results = [parsnlp.Result.model_validate_json(line) for line in done.stdout.splitlines()]
    assert [result.id for result in results] == ["note", "other"]
    assert [code.code for code in results[1].codes] == ["M43.17", "M43.06"]
    for finding in results[0].findings:
        assert NOTE[finding.start : finding.end] == finding.text


def test_code_without_text(run: Run, note: Path, canary: str) -> None:
    note.write_text(f"{canary}. Possible {canary} spondylolysis. {BOTH} {canary}")
    for options in ((), ("--json",), ("--explain",)):
        done = run("code", "--no-text", *options, note)
        assert done.exit_code == 0, done.output
        assert "M43.17" in done.stdout
        assert canary not in done.output and "pars defects" not in done.output


@pytest.mark.prints_note_text
def test_code_reads_standard_input(run: Run) -> None:
    done = run("code", "-", stdin=NOTE.encode())
    assert "M43.06" in done.stdout
    done = run("code", "-", "-", stdin=b"")
    assert done.exit_code == 2 and "only once" in done.stderr


@pytest.mark.prints_note_text
def test_code_says_which_encoding_was_assumed(run: Run, note: Path) -> None:
    note.write_bytes("Schober’s sign. L5 pars defect.".encode("cp1252"))
    done = run("code", "--json", note)
    assert "assumed windows-1252" in done.stderr
    result = json.loads(done.stdout)
    assert any("windows-1252" in warning for warning in result["warnings"])
    (finding,) = result["findings"]
    assert (finding["start"], finding["end"]) == (19, 30)


@pytest.mark.prints_note_text
def test_code_lets_no_control_character_through(run: Run, note: Path) -> None:
    note.write_bytes("\x1b]0;title\x07 L5 pars \x1b[31mdefect \u202e\x9b31m".encode())
    for options in ((), ("--explain",)):
        shown = run("code", *options, note).stdout
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)


@pytest.mark.prints_note_text
def test_code_goes_on_after_a_bad_file(run: Run, note: Path, tmp_path: Path) -> None:
    done = run("code", tmp_path / "absent.txt", note)
    assert done.exit_code == 3
    assert "absent.txt: no such file" in done.stderr and "M43.06" in done.stdout


@pytest.mark.prints_note_text
def test_policy_options_reach_the_extractor(run: Run, note: Path) -> None:
    note.write_text(BOTH)
    strict = json.loads(run("code", "--json", "--excludes1", "strict", note).stdout)
    assert [code["code"] for code in strict["codes"]] == ["M43.17"]
    dated = json.loads(run("code", "--json", "--date", "2026-05-02", "--kind", "radiology", note).stdout)
    assert dated["documents"][0]["kind"] == "radiology" and dated["code_set"]["covers"] is True
    inpatient = json.loads(run("code", "--json", "--setting", "inpatient", "--stress-fracture", "M48.4", note).stdout)
    assert inpatient["setting"] == "inpatient" and inpatient["policy"]["stress_fracture"] == "M48.4"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--setting", "home"], "setting 'home' is not one of outpatient, inpatient"),
        (["--excludes1", "lax"], "excludes1 'lax' is not one of separate, strict"),
        (["--stress-fracture", "M1"], "stress_fracture 'M1' is not one of M43.0, M48.4"),
        (["--kind", "poem"], "'kind' is not one of radiology"),
        (["--date", "2026-13-01"], "'date' is not a calendar date"),
        (["--patterns", "absent-folder"], "absent-folder: no such folder"),
    ],
)
def test_wrong_options_are_said(run: Run, note: Path, options: list[str], says: str) -> None:
    done = run("code", *options, note)
    assert done.exit_code == 2
    assert says in done.stderr and done.stdout == ""


@pytest.mark.parametrize("data", [b"%PDF-1.4", b"a\0b", None])
def test_bad_input_is_one_line_and_no_traceback(note: Path, data: bytes | None, canary: str) -> None:
    if data is None:
        note.unlink()
    else:
        note.write_bytes(data + canary.encode())
    done = program("code", note)
    assert done.returncode == 2
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert str(note) in done.stderr and canary not in done.stderr


@pytest.mark.prints_note_text
def test_a_terminal_that_lacks_a_character_does_not_crash(note: Path) -> None:
    note.write_text("L5 pars defect – naïve ☃.")
    done = program("code", "--explain", note, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr
    assert "M43.06" in done.stdout


@pytest.mark.prints_note_text
def test_colour_only_where_it_may_be(note: Path) -> None:
    def shown(**variables: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        return program("code", note, env={**kept, "TERM": "xterm-256color", **variables}).stdout

    coloured = shown(FORCE_COLOR="1")
    assert "\x1b[" in coloured and "[lysis:" not in coloured
    words = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert "L5 pars defects. No spondylolisthesis (negated)." in words  # the assertion does not rest on colour
    assert "Marked: spondylolysis affirmed, spondylolisthesis negated" in words
    for variables in ({}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"FORCE_COLOR": "1", "TERM": "dumb"}):
        plain = shown(**variables)
        assert "\x1b" not in plain and "[lysis: pars defects]" in plain


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="not run: needs /dev/full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_disk_is_said(note: Path, options: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()", "code", *options, str(note)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("parsnlp: the output cannot be written (") and done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="not run: needs a POSIX shell")
@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        ("code note.txt >&-", 2, "parsnlp: the output cannot be written (Bad file descriptor)\n"),
        ("code --json note.txt >&-", 2, "parsnlp: the output cannot be written (Bad file descriptor)\n"),
        ("code - <&-", 2, "parsnlp: -: standard input: cannot be read (Bad file descriptor)\n"),
        ("code --json note.txt 2>&- | grep -q schema_version", 0, ""),
        ("batch note.txt --out out.jsonl <&- >&- 2>&- && grep -q schema_version out.jsonl", 0, ""),
        ("batch - --quiet --out out.jsonl <&-", 3, "parsnlp: -: standard input cannot be read (Bad file descriptor)\n"),
    ],
)  # fmt: skip
def test_streams_that_the_shell_has_closed(note: Path, tmp_path: Path, command: str, status: int, says: str) -> None:
    (tmp_path / "note.txt").write_bytes(note.read_bytes())
    call = f'parsnlp() {{ "{sys.executable}" -m parsnlp "$@"; }}; parsnlp {command}'
    done = subprocess.run(call, shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr[-len(says) :] if says else done.stderr) == (status, says)
    assert done.stderr.count("\n") <= 1


@pytest.mark.skipif(os.name != "posix", reason="not run: elsewhere the folder in use cannot be removed")
def test_the_folder_that_it_was_started_in_is_gone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text(BOTH)
    call = (
        f'mkdir gone; cd gone; rmdir ../gone; "{sys.executable}" -m parsnlp batch "{tmp_path}/note.txt" --out o.jsonl'
    )
    done = subprocess.run(call, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr == "parsnlp: the folder that it was started in is gone; change to another\n"


# --- batch ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, canary: str) -> Path:
    made = tmp_path / "notes"
    (made / "sub").mkdir(parents=True)
    (made / "b.txt").write_text(f"{BOTH} {canary}")
    (made / "sub" / "a.txt").write_text(f"No slip. {canary}")
    (made / "readme.md").write_text("not a note")
    return made


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_batch_of_a_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = run("batch", folder, "--out", out)
    assert done.exit_code == 0, done.output
    assert [result["id"] for result in results(out)] == ["b", "sub/a"]
    assert [code["code"] for code in results(out)[0]["codes"]] == ["M43.17", "M43.06"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert done.stdout == "" and "2 read, 1 with codes, 1 to review" in done.stderr and "M43.06 1" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "out.jsonl", "out.jsonl.run"]


def test_batch_of_rows_goes_on_after_bad_ones(run: Run, tmp_path: Path, canary: str) -> None:
    rows = tmp_path / "rows.jsonl"
    good = {
        "id": "in",
        "text": "Final diagnosis: possible L5 spondylolysis.",
        "setting": "inpatient",
        "kind": "discharge",
    }
    lines = [
        json.dumps(good),
        canary,
        json.dumps({"text": 3}),
        json.dumps({"text": BOTH, "date": canary}),
        "",
        json.dumps({"text": f"pars\ud800 {BOTH}"}),
    ]
    rows.write_text("\n".join(lines))
    out = tmp_path / "out.jsonl"
    done = run("batch", rows, "--out", out)
    assert done.exit_code == 3
    assert [result["id"] for result in results(out)] == ["in", "row-6"]
    assert [code["code"] for code in results(out)[0]["codes"]] == ["M43.06"]
    for number in (2, 3, 4):
        assert f"rows.jsonl:{number}: " in done.stderr
    assert "3 failed" in done.stderr


def test_batch_counts_a_binary_file_and_tells_an_assumed_encoding(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.txt").write_bytes(b"\0")
    (folder / "old.txt").write_bytes("Schober’s. L5 pars defect".encode("cp1252"))
    out = tmp_path / "out.jsonl"
    done = run("batch", folder, "--out", out)
    assert done.exit_code == 3
    assert "bad.txt: binary" in done.stderr and "1 not plain UTF-8" in done.stderr
    assert "windows-1252" in results(out)[1]["warnings"][0]


def test_batch_without_text_and_quiet(run: Run, folder: Path, tmp_path: Path, canary: str) -> None:
    out = tmp_path / "out.jsonl"
    done = run("batch", folder, "--out", out, "--no-text", "--quiet")
    assert done.output == ""
    assert canary not in out.read_text() and "pars defects" not in out.read_text() and "M43.17" in out.read_text()


def test_batch_same_input_same_bytes(run: Run, folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    run("batch", folder, "--out", one)
    run("batch", folder, "--out", two)
    assert one.read_bytes() == two.read_bytes()


def test_batch_overwrites_only_when_told(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    done = run("batch", folder, "--out", out)
    assert done.exit_code == 2 and "exists already" in done.stderr and out.read_text() == "mine"
    assert run("batch", folder, "--out", out, "--force").exit_code == 0
    assert len(results(out)) == 2


def test_batch_refuses_what_cannot_be(run: Run, folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}")
    (tmp_path / "made.jsonl").mkdir()
    for source, out, says in (
        (tmp_path / "absent", tmp_path / "o.jsonl", "no such file or folder"),
        (empty, tmp_path / "o.jsonl", "holds no file that is read (.txt, .jsonl"),
        (folder, tmp_path / "no" / "o.jsonl", "does not exist"),
        (folder, tmp_path / "made.jsonl", "is a folder"),
        (folder, tmp_path / "o", "its ending says no format"),
        (folder / "readme.md", tmp_path / "o.jsonl", "not a kind of file that is read"),
    ):
        done = run("batch", source, "--out", out)
        assert done.exit_code == 2 and says in done.stderr, done.output
    done = run("batch", rows, "--out", rows, "--force")
    assert done.exit_code == 2 and "is the input itself" in done.stderr and rows.read_text() == "{}"


def test_batch_survives_an_error_in_one_note(
    run: Run, folder: Path, tmp_path: Path, extractor: parsnlp.Extractor, monkeypatch: pytest.MonkeyPatch, canary: str
) -> None:
    extract = extractor.extract_encounter

    def failing(notes: Sequence[parsnlp.Note]) -> parsnlp.Result:
        if notes[0].id == "b":
            raise ValueError(notes[0].text)
        return extract(notes)

    monkeypatch.setattr(extractor, "extract_encounter", failing)
    done = run("batch", folder, "--out", tmp_path / "out.jsonl")
    assert done.exit_code == 3 and "(ValueError)" in done.stderr and canary not in done.stderr
    assert [result["id"] for result in results(tmp_path / "out.jsonl")] == ["sub/a"]


# --- the other commands ---------------------------------------------------------------------------------------------


def test_schema_is_that_of_the_results(run: Run, note: Path) -> None:
    import jsonschema

    schema = json.loads(run("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(run("code", "--json", note).stdout), schema)


def test_rules_list_and_show(run: Run, extractor: parsnlp.Extractor) -> None:
    listed = run("rules", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [rule.id for rule in extractor.ruleset.rules]
    shown = run("rules", "show", "spondylolysis.name").stdout
    assert "spondylolysis.name" in shown and "pattern" in shown and "[[" in shown
    done = run("rules", "show", "spondylolysis.nam")
    assert done.exit_code == 2 and "nearest: spondylolysis.name" in done.stderr


def test_rules_check_tells_wrong_examples(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from parsnlp import rulecheck

    problem = rulecheck.Problem("spondylolysis.name", "example", 1, "is not matched")
    monkeypatch.setattr(rulecheck, "check", lambda ruleset: [problem])
    done = run("rules", "check")
    assert done.exit_code == 1 and str(problem) in done.stdout and "1 wrong" in done.stdout
    monkeypatch.setattr(rulecheck, "check", lambda ruleset: [])
    assert run("rules", "check").exit_code == 0


def test_malformed_rules_are_all_told(run: Run, tmp_path: Path, note: Path) -> None:
    folder = tmp_path / "ours" / "targets"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text("category: x\nrules:\n  - id: Bad\n    colour: red\n")
    for command in (("rules", "check"), ("code", note)):
        done = run(*command, "--patterns", tmp_path / "ours")
        assert done.exit_code == 2
        assert done.stderr.count("bad.yaml:3") >= 1 and "bad.yaml:4" in done.stderr


def test_evaluate(run: Run, tmp_path: Path) -> None:
    gold = Path(__file__).parents[2] / "corpora" / "dev" / "gold.jsonl"
    few = tmp_path / "gold.jsonl"
    rows = [json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines()[:3]]
    for row in rows:
        row["file"] = str((gold.parent / row["file"]).resolve())
        row["text"] = reading.read(row.pop("file")).text
    few.write_text("\n".join(map(json.dumps, rows)))
    done = run("evaluate", few, "--errors", "--no-text")
    assert done.exit_code == 0, done.output
    assert "codes" in done.stdout
    assert isinstance(json.loads(run("evaluate", few, "--json").stdout), dict)
    assert run("evaluate", tmp_path / "absent.jsonl").exit_code == 2


@pytest.mark.prints_note_text
def test_demo_shows_each_note_and_one_in_full(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("No spondylolisthesis.")
    (tmp_path / "b.txt").write_text(BOTH)
    (tmp_path / "c.txt").write_text("Sore throat.")
    done = run("demo", tmp_path)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("a      no code   M43.10 refused, the only mention is negated, “No spondylolisthesis”")
    assert lines[1].startswith("b      M43.17") and lines[2].startswith("       M43.06")
    assert lines[3] == "c      no code   no mention of these conditions"
    assert "3 notes, 1 with codes. One of them in full, b:" in lines and "Policy rules cited" in lines
    assert run("demo", tmp_path / "absent").exit_code == 2


@pytest.mark.prints_note_text
def test_demo_of_the_checkout(run: Run) -> None:
    done = run("demo")
    assert done.exit_code == 0, done.output
    assert "110 notes" in done.stdout and " (review)" in done.stdout


def test_version_tells_engine_rules_and_code_set(run: Run, extractor: parsnlp.Extractor) -> None:
    shown = run("--version").stdout
    assert f"parsnlp {parsnlp.__version__}" in shown
    assert extractor.ruleset.hash in shown and "ICD-10-CM" in shown


# --- help and start -------------------------------------------------------------------------------------------------


def commands(group: Any = None, path: Sequence[str] = ()) -> Iterator[list[str]]:
    group = group or typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, [*path, name])
        else:
            yield [*path, name]


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help_teaches_with_an_example(run: Run, path: list[str]) -> None:
    done = run(*path, "--help")
    assert done.exit_code == 0
    assert f"  parsnlp {' '.join(path)}" in done.stdout and "Example" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_misuse_is_2(run: Run) -> None:
    for arguments in (["bogus"], ["code"], ["batch", "x"], ["code", "--bogus", "x"], ["rules", "show"]):
        assert run(*arguments).exit_code == 2, arguments


def test_help_and_import_stay_light() -> None:
    heavy = "spacy", "medspacy", "pydantic", "rich", "yaml", "parsnlp.extractor", "parsnlp.models"
    check = f"import sys; print([name for name in {heavy!r} if name in sys.modules])"
    for start in ("import parsnlp; ", "import parsnlp.interfaces.cli; "):
        done = subprocess.run([sys.executable, "-c", start + check], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n", start


def test_the_package_offers_what_it_says() -> None:
    assert set(parsnlp.__all__) <= set(dir(parsnlp))
    for name in parsnlp.__all__:
        assert getattr(parsnlp, name) is not None
    with pytest.raises(AttributeError):
        _ = parsnlp.bogus
