"""A run of many inputs: what it leaves, how it is stopped and resumed, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp import writing
from parsnlp.errors import InputError
from parsnlp.interfaces import batch, job
from parsnlp.interfaces.batch import Fact, Options
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.sources import Columns, Sources

SLIP = "Grade 1 anterolisthesis of L4 on L5."
TEXTS = ("CT: L5 pars defects.", "Knee pain, no spine complaint.", SLIP)


@pytest.fixture(scope="module")
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


@pytest.fixture
def folder(tmp_path: Path, canary: str) -> Path:
    """Seven notes; the fifth is binary."""
    made = tmp_path / "notes"
    made.mkdir()
    for number in range(7):
        (made / f"{number}.txt").write_text(f"{TEXTS[number % 3]} {canary}", encoding="utf-8")
    (made / "4.txt").write_bytes(b"\0")
    return made


Run = Callable[..., job.Done]


@pytest.fixture
def run(folder: Path, tmp_path: Path, extractor: parsnlp.Extractor) -> Run:
    """A run of the folder in parts of two."""

    def run(name: str = "out.jsonl", *, source: Path = folder, workers: int = 1, **given: Any) -> job.Done:
        options = {key: given.pop(key) for key in list(given) if key in Options.__slots__}
        made = Options(**{"part_size": 2, **options})
        sources = Sources([str(source)], made.columns, made.max_size)
        return job.run(sources, tmp_path / name, extractor, made, workers=workers, **given)

    return run


class Stopped(Exception):
    """The run is stopped from within, at a place that a test has chosen."""


def stop_after(parts: int) -> Callable[[Any, int, int], None]:
    """Stop once so many parts of two are done, and one note more."""

    def step(tally: Any, fresh: int, passed: int) -> None:
        if fresh > 2 * parts:
            raise Stopped

    return step


def facts(path: Path) -> list[Fact]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


LEFT = ["errors.jsonl", "inputs.jsonl", "lock", "run.json"]


def test_what_a_run_leaves(run: Run, tmp_path: Path, extractor: parsnlp.Extractor, folder: Path, canary: str) -> None:
    told: list[Fact] = []
    done = run(failed=told.append)
    out, beside = tmp_path / "out.jsonl", tmp_path / "out.jsonl.run"
    texts = [path for path in sorted(folder.iterdir()) if path.name != "4.txt"]
    alone = [extractor.extract(parsnlp.Note(id=path.stem, text=path.read_text("utf-8"))).to_json() for path in texts]
    assert out.read_text(encoding="utf-8").splitlines() == alone
    assert tree(beside) == LEFT and stat.S_IMODE(beside.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in [out, *beside.iterdir()]} == {0o600}
    rows = facts(beside / "inputs.jsonl")
    assert [(row["number"], row["id"], row["state"]) for row in rows] == [
        (number, str(number), "failed" if number == 4 else "done") for number in range(7)
    ]
    assert rows[0]["codes"] == ["M43.06"] and "codes" not in rows[1]
    assert facts(beside / "errors.jsonl") == [rows[4]] == told
    assert rows[4]["stage"] == "read" and rows[4]["reason"].startswith("binary")
    facts_of_run = json.loads((beside / "run.json").read_text(encoding="utf-8"))
    assert facts_of_run["state"] == "finished" and facts_of_run["counts"] == done.tally.counts()
    assert facts_of_run["rule_set"]["hash"] == extractor.ruleset.hash and facts_of_run["options"]["part_size"] == 2
    assert (done.tally.notes, done.tally.coded, done.tally.failed, done.fresh) == (6, 5, 1, 7)
    assert not any(canary in path.read_text(encoding="utf-8") for path in beside.iterdir())


def test_neither_parts_nor_workers_change_a_byte(run: Run, tmp_path: Path) -> None:
    run("one.jsonl")
    for name, options in (("two.jsonl", {"part_size": 500}), ("three.jsonl", {"workers": 2, "part_size": 3})):
        run(name, **options)  # type: ignore[arg-type]
        assert (tmp_path / name).read_bytes() == (tmp_path / "one.jsonl").read_bytes()
        for left in ("inputs.jsonl", "errors.jsonl"):
            whole = tmp_path / "one.jsonl.run" / left
            assert (tmp_path / f"{name}.run" / left).read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("parts", [0, 1, 2, 3])
def test_a_stopped_run_is_resumed_where_it_was(run: Run, tmp_path: Path, parts: int) -> None:
    run("whole.jsonl")
    with pytest.raises(Stopped):
        run(step=stop_after(parts))
    assert not (tmp_path / "out.jsonl").exists()
    done = run(resume=True)
    assert done.fresh == 7 - 2 * parts
    assert done.tally == run("whole.jsonl", resume=True).tally
    for name in ("", ".run/inputs.jsonl", ".run/errors.jsonl"):
        assert (tmp_path / f"out.jsonl{name}").read_bytes() == (tmp_path / f"whole.jsonl{name}").read_bytes()
    assert tree(tmp_path / "out.jsonl.run") == LEFT


def test_a_run_that_was_stopped_is_neither_passed_over_nor_lost(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(step=stop_after(2))
    with pytest.raises(InputError, match="not finished; go on with --resume, or begin anew with --force"):
        run()
    with pytest.raises(InputError, match="give one of them"):
        run(resume=True, force=True)
    assert len(list((tmp_path / "out.jsonl.run" / "parts").iterdir())) == 4
    assert run(force=True).fresh == 7


def test_a_finished_run_is_not_done_again(run: Run, tmp_path: Path, folder: Path) -> None:
    tally = run().tally
    before = (tmp_path / "out.jsonl").read_bytes()
    (folder / "0.txt").write_text("changed", encoding="utf-8")
    done = run(resume=True)
    assert done.over and done.fresh == 0 and done.tally == tally
    with pytest.raises(InputError, match="exists already"):
        run()
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert run(force=True).fresh == 7
    (tmp_path / "out.jsonl").unlink()
    with pytest.raises(InputError, match="was finished and is gone"):
        run(resume=True)
    assert run().fresh == 7  # nothing is lost by doing it anew


def test_resume_of_nothing_begins(run: Run) -> None:
    assert run(resume=True).fresh == 7


def test_somebody_elses_file_is_not_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("mine", encoding="utf-8")
    for resume in (False, True):
        with pytest.raises(InputError, match="exists already"):
            run(resume=resume)
    assert tree(tmp_path) == ["notes", *(f"notes/{number}.txt" for number in range(7)), "out.jsonl"]
    run(force=True)
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") != "mine"


def stop_and_change(run: Run, change: Callable[[], object]) -> job.Done:
    """The run resumed after its first three parts of four were done and the inputs changed."""
    with pytest.raises(Stopped):
        run(step=stop_after(3))
    change()
    return run(resume=True)


@pytest.mark.parametrize("what", ["changed", "added", "gone", "renamed", "none"])
def test_inputs_that_changed_are_done_anew(run: Run, tmp_path: Path, folder: Path, what: str) -> None:
    changes: dict[str, tuple[Callable[[], object], int]] = {
        "changed": (lambda: (folder / "2.txt").write_text("No slip.", encoding="utf-8"), 3),
        "added": (lambda: (folder / "25.txt").write_text("No slip.", encoding="utf-8"), 6),
        "gone": (lambda: (folder / "2.txt").unlink(), 4),
        "renamed": (lambda: (folder / "2.txt").rename(folder / "21.txt"), 3),
        "none": (lambda: None, 1),
    }
    change, fresh = changes[what]
    done = stop_and_change(run, change)
    assert done.fresh == fresh
    run("whole.jsonl")
    for name in ("", ".run/inputs.jsonl", ".run/errors.jsonl"):
        assert (tmp_path / f"out.jsonl{name}").read_bytes() == (tmp_path / f"whole.jsonl{name}").read_bytes()


def test_a_part_that_was_being_replaced_counts_no_more(
    run: Run, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs changed, the new results were there but not their facts, and the inputs changed back."""
    run("whole.jsonl")
    with pytest.raises(Stopped):
        run(step=stop_after(3))
    old = (folder / "0.txt").read_bytes()
    (folder / "0.txt").write_text("No slip.", encoding="utf-8")
    write = job._write_lines

    def stopping(path: Path, lines: Any) -> None:
        if path.name == "000000.inputs.jsonl":
            raise Stopped
        write(path, lines)

    with monkeypatch.context() as patched:
        patched.setattr(job, "_write_lines", stopping)
        with pytest.raises(Stopped):
            run(resume=True)
    (folder / "0.txt").write_bytes(old)
    run(resume=True)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"only": "coded"}, "options.only was all, is coded"),
        ({"text": False}, "options.text was True, is False"),
        ({"part_size": 3}, "options.part_size was 2, is 3"),
        ({"timeout": 1}, "options.timeout was 60.0, is 1"),
        ({"max_size": 9}, "options.max_size was 5000000, is 9"),
        ({"columns": Columns(encounter="visit")}, "options.columns.encounter was None, is visit"),
    ],
)
def test_options_that_changed_are_refused(run: Run, options: dict[str, Any], says: str) -> None:
    with pytest.raises(Stopped):
        run(step=stop_after(1))
    with pytest.raises(InputError) as caught:
        run(resume=True, **options)
    assert says in str(caught.value) and "--force" in str(caught.value)
    assert run(resume=True, workers=1).fresh == 5


def test_other_rules_policy_engine_or_sources_are_refused(
    run: Run, tmp_path: Path, folder: Path, extractor: parsnlp.Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        run(step=stop_after(1))

    def refused(extractor: parsnlp.Extractor, source: Path = folder) -> str:
        with pytest.raises(InputError) as caught:
            job.run(Sources([str(source)]), tmp_path / "out.jsonl", extractor, Options(part_size=2), resume=True)
        return str(caught.value)

    assert "policy.setting was outpatient, is inpatient" in refused(parsnlp.load(setting="inpatient"))
    assert "policy.excludes1 was separate, is strict" in refused(parsnlp.load(excludes1="strict"))
    assert "sources was" in refused(extractor, tmp_path)
    monkeypatch.setattr(job, "ENGINE", "parsnlp 9")
    assert "engine was parsnlp" in refused(extractor)
    monkeypatch.setattr(job, "ENGINE", parsnlp.extractor.ENGINE)
    before = extractor.ruleset.hash
    monkeypatch.setattr(extractor, "ruleset", dataclasses.replace(extractor.ruleset, hash="0" * 16))
    assert f"rule_set.hash was {before}, is {'0' * 16}" in refused(extractor)


def test_what_cannot_be_read_back_is_told(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(step=stop_after(2))
    (tmp_path / "out.jsonl.run" / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.json: cannot be read, so nothing can be resumed; --force"):
        run(resume=True)
    assert run(force=True).fresh == 7


@pytest.mark.parametrize("damage", ["000000.results.jsonl", "000000.inputs.jsonl"])
def test_a_part_that_lacks_a_file_is_done_anew(run: Run, tmp_path: Path, damage: str) -> None:
    with pytest.raises(Stopped):
        run(step=stop_after(3))
    (tmp_path / "out.jsonl.run" / "parts" / damage).unlink()
    assert run(resume=True).fresh == 3


def test_a_damaged_part_is_not_put_into_the_output(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(step=stop_after(3))
    (tmp_path / "out.jsonl.run" / "parts" / "000000.results.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="parts are damaged"):
        run(resume=True)
    assert not (tmp_path / "out.jsonl").exists()


def test_what_a_killed_run_left_half_written_goes(run: Run, tmp_path: Path, canary: str) -> None:
    with pytest.raises(Stopped):
        run(step=stop_after(2))
    beside = tmp_path / "out.jsonl.run"
    left = [
        beside / "parts" / ".000002.results.jsonl.x.part",
        beside / ".run.json.x.part",
        tmp_path / ".out.jsonl.x.part",
    ]
    others = [tmp_path / ".out.jsonl.old.x.part", tmp_path / ".other.x.part"]
    for path in left + others:
        path.write_text(canary, encoding="utf-8")
    run(resume=True)
    assert tree(beside) == LEFT
    assert [path.exists() for path in left + others] == [False, False, False, True, True]


@pytest.mark.parametrize(("only", "kept"), [("all", 6), ("coded", 5), ("review", 0)])
def test_only_some_results_are_kept_and_all_are_counted(run: Run, tmp_path: Path, only: str, kept: int) -> None:
    done = run(only=only)
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == kept == done.tally.written
    assert (done.tally.notes, done.tally.coded) == (6, 5)
    states = [row["state"] for row in facts(tmp_path / "out.jsonl.run" / "inputs.jsonl")]
    assert (states.count("done"), states.count("left_out"), states.count("failed")) == (kept, 6 - kept, 1)


def test_only_review_keeps_those_to_review(tmp_path: Path, run: Run, folder: Path) -> None:
    (folder / "5.txt").write_text(
        "IMPRESSION: L5-S1 spondylolisthesis, grade I. Bilateral L5 pars defects, chronic.", encoding="utf-8"
    )
    run(only="review")
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()] == ["5"]


def test_a_wrong_choice_is_refused() -> None:
    with pytest.raises(InputError, match="--only 'none' is not one of all, coded, review"):
        Options(only="none")


def test_rows_of_an_encounter_are_decided_on_together(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text(
        "id,visit,text\na,v1,CT: bilateral L5 pars defects.\nb,v2,Knee pain.\nc,v1,Assessment: spondylolysis.\n",
        "utf-8",
    )
    run(source=table, columns=Columns(encounter="visit"))
    results = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [(row["id"], [item["id"] for item in row["documents"]]) for row in results] == [
        ("v2", ["b"]),
        ("v1", ["a", "c"]),
    ]


def test_a_part_of_heavy_inputs_holds_fewer(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_PART_BYTES", 50)
    with pytest.raises(Stopped):
        run(part_size=500, step=stop_after(2))
    assert len(list((tmp_path / "out.jsonl.run" / "parts").glob("*.inputs.jsonl"))) == 2


# --- notes that go wrong --------------------------------------------------------------------------------------------


def broken(extractor: parsnlp.Extractor, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[str], object]) -> None:
    """Let the extractor go wrong on the note 2."""
    extract = extractor.extract_encounter

    def extracting(notes: Sequence[parsnlp.Note]) -> parsnlp.Result:
        if notes[0].id == "2":
            wrong(notes[0].text)
        return extract(notes)

    monkeypatch.setattr(extractor, "extract_encounter", extracting)


def test_an_error_of_one_note_tells_its_kind_alone(
    run: Run, tmp_path: Path, extractor: parsnlp.Extractor, monkeypatch: pytest.MonkeyPatch, canary: str
) -> None:
    def wrong(text: str) -> None:
        raise ValueError(text)

    broken(extractor, monkeypatch, wrong)
    assert run().tally.failed == 2
    row = facts(tmp_path / "out.jsonl.run" / "errors.jsonl")[0]
    assert (row["id"], row["stage"]) == ("2", "extract") and "(ValueError)" in row["reason"]
    assert canary not in row["reason"]


def test_a_note_that_takes_too_long_is_passed_over(
    run: Run, tmp_path: Path, extractor: parsnlp.Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(text: str) -> None:
        while True:
            try:
                time.sleep(10)
            except Exception:
                continue

    broken(extractor, monkeypatch, wrong)
    before = signal.getsignal(signal.SIGALRM)
    assert run(timeout=0.3).tally.failed == 2
    assert signal.getsignal(signal.SIGALRM) == before
    row = facts(tmp_path / "out.jsonl.run" / "errors.jsonl")[0]
    assert (row["id"], row["stage"], row["reason"]) == ("2", "timeout", "took longer than 0.3 seconds; see --timeout")


def test_too_large_a_note_is_passed_over(run: Run, folder: Path) -> None:
    (folder / "2.txt").write_text("x" * 301, encoding="utf-8")
    told: list[Fact] = []
    run(max_size=300, failed=told.append)
    assert [(row["id"], row["stage"]) for row in told] == [("2", "read"), ("4", "read")]
    assert told[0]["reason"] == "larger than --max-size, 300 bytes"


# --- what cannot be written -----------------------------------------------------------------------------------------


def test_a_full_disk_keeps_what_is_done(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("whole.jsonl")
    fsync, calls = os.fsync, 0
    for fails_at in range(1, 30):
        calls = 0

        def full(handle: int, fails_at: int = fails_at) -> None:
            nonlocal calls
            calls += 1
            if calls == fails_at:
                raise OSError(28, "No space left on device")
            fsync(handle)

        with monkeypatch.context() as patched:
            patched.setattr(writing.os, "fsync", full)
            try:
                run(resume=True)
            except InputError as error:
                assert "No space left on device" in str(error)
            else:
                break
    assert fails_at > 5
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert tree(tmp_path / "out.jsonl.run") == LEFT


def test_a_folder_that_may_not_be_written_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", refused)
        with pytest.raises(InputError, match=r"out\.jsonl\.run: cannot be written \(Permission denied\)"):
            run()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refused)
        with pytest.raises(InputError, match="cannot be written"):
            run()
    assert run(resume=True).fresh == 7


def test_where_nothing_can_be_written_is_refused_at_once(run: Run, tmp_path: Path) -> None:
    for name, says in (("none/out.jsonl", "does not exist"), ("notes", "is a folder")):
        with pytest.raises(InputError, match=says):
            run(name)
    (tmp_path / "out.jsonl.run").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        run()


# --- as a program ---------------------------------------------------------------------------------------------------


def program(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()", "batch", *map(str, arguments)]


@pytest.fixture
def many(tmp_path: Path, canary: str) -> Path:
    """A table that takes a while."""
    rows = [json.dumps({"id": f"n{number}", "text": f"{SLIP} {canary}"}) for number in range(50_000)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path / "rows.jsonl"


@pytest.fixture
def running(many: Path) -> Iterator[subprocess.Popen[str]]:
    """A program at work, some parts of which are done."""
    command = program(many.name, "--out", "out.jsonl", "--part-size", 20)
    started = subprocess.Popen(command, cwd=many.parent, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if (many.parent / "out.jsonl.run" / "parts" / "000002.inputs.jsonl").exists():
            break
        time.sleep(0.05)
    yield started
    started.kill()
    started.communicate()


@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_cleanly(running: subprocess.Popen[str], many: Path, wanted: signal.Signals) -> None:
    running.send_signal(wanted)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert stderr == "parsnlp: interrupted; what is done is kept, go on with the same command and --resume\n"
    assert not (many.parent / "out.jsonl").exists()
    assert not [path for path in tree(many.parent) if path.endswith(".part")]


def test_two_runs_into_one_output_are_refused(running: subprocess.Popen[str], many: Path) -> None:
    for options in ((), ("--resume",), ("--force",)):
        command = program(many.name, "--out", "out.jsonl", "--part-size", 20, *options)
        second = subprocess.run(command, cwd=many.parent, capture_output=True, text=True, timeout=120, check=False)
        assert second.returncode == 2
        assert (
            second.stderr
            == "parsnlp: out.jsonl: another run is writing to it; wait until it ends, or choose another --out\n"
        )
    assert running.poll() is None and (many.parent / "out.jsonl.run" / "parts" / "000002.inputs.jsonl").exists()


def test_many_failures_do_not_flood(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("[]\n" * 1000, encoding="utf-8")
    done = CliRunner().invoke(app, ["batch", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "out.jsonl")])
    assert done.exit_code == 3
    assert done.stderr.count("must be an object") == 10 and "further failures are not told here" in done.stderr
    assert "1000 failed" in done.stderr and "what failed, and why:" in done.stderr
    assert len(facts(tmp_path / "out.jsonl.run" / "errors.jsonl")) == 1000


def test_the_closing_summary(folder: Path, tmp_path: Path) -> None:
    (folder / "readme.md").write_text("no note", encoding="utf-8")
    (folder / "7.txt").write_text("Assessment: spondylolysis.", encoding="utf-8")
    command = ["batch", str(folder), "--out", str(tmp_path / "out.jsonl"), "--only", "coded"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 3
    for says in (
        "7 read, 6 with codes, 0 to review,",
        "1 of them left out of the results, as --only says",
        "codes: M43.06 3, M43.16 2, M43.00 1",
        "unspecified site: 1 of 6 codes that name one (17%)",
        "passed over, of no kind that is read: 1 .md",
        " notes/s",
    ):
        assert says in done.stderr, says
    again = CliRunner().invoke(app, [*command, "--resume"])
    assert again.exit_code == 3 and "finished already" in again.stderr and "7 read, 6 with codes" in again.stderr


def test_a_terminal_shows_how_far_it_is(folder: Path, tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = program(folder, "--out", tmp_path / "out.jsonl")
    started = subprocess.Popen(command, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 1 << 16)
        except OSError:
            break
        if not block:
            break
        shown += block
    os.close(ours)
    assert started.wait(timeout=60) == 3
    assert b"reading" in shown and b"6 read, 5 with codes" in shown and b"binary" in shown


def test_tally_survives_json() -> None:
    tally = batch.Tally(notes=3, codes=batch.Counter({"M43.06": 2}))
    assert batch.Tally.again(json.loads(json.dumps(tally.counts()))) == tally
