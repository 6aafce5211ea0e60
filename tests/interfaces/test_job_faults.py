"""A run killed at any instant, short of disk, robbed of its processes: resumed, it gives what an undisturbed one gives."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import parsnlp
from parsnlp.interfaces import job
from parsnlp.interfaces.batch import Options
from parsnlp.interfaces.sources import Sources

if TYPE_CHECKING:
    import random

DEV = Path(__file__).parents[2] / "corpora" / "dev" / "notes"
LEFT = {"errors.jsonl", "inputs.jsonl", "lock", "run.json"}
BYTES = ("", ".run/inputs.jsonl", ".run/errors.jsonl")


def same(one: Path, other: Path) -> None:
    """The output, what became of each input and the failures are alike to the byte, and nothing else is left."""
    for ending in BYTES:
        assert Path(f"{one}{ending}").read_bytes() == Path(f"{other}{ending}").read_bytes(), ending
    assert {path.name for path in Path(f"{one}.run").iterdir()} == LEFT
    assert not list(one.parent.glob(".*.part"))


def each_once(out: Path, count: int) -> None:
    """Every input has been decided on once, and every one that is done has its result."""
    facts = [json.loads(line) for line in Path(f"{out}.run/inputs.jsonl").read_bytes().splitlines()]
    assert [fact["number"] for fact in facts] == list(range(count)) and len({fact["where"] for fact in facts}) == count
    results = [json.loads(line)["id"] for line in out.read_bytes().splitlines()]
    assert results == [fact["id"] for fact in facts if fact["state"] == "done"]


# --- every step of writing, in this process --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def extractor() -> parsnlp.Extractor:
    """One that has read a note, so that its children need not build what it then builds."""
    made = parsnlp.load()
    made.extract("CT: L5 pars defects.")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    for number in range(7):
        (made / f"{number}.txt").write_text(("CT: L5 pars defects.", "Knee pain.")[number % 2], encoding="utf-8")
    (made / "4.txt").write_bytes(b"\0")
    return made


Forked = Callable[..., int]


@pytest.fixture
def forked(folder: Path, tmp_path: Path, extractor: parsnlp.Extractor) -> Forked:
    """A run in a child of this process that kills itself before its nth step of writing; its exit status."""

    def forked(name: str, at: int = 0, **options: Any) -> int:
        child = os.fork()
        if not child:
            steps = 0

            def counted(function: Callable[..., Any]) -> Callable[..., Any]:
                def step(*given: Any, **named: Any) -> Any:
                    nonlocal steps
                    steps += 1
                    if steps == at:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return function(*given, **named)

                return step

            os.fsync = counted(os.fsync)
            for method in ("replace", "unlink", "rmdir", "mkdir"):
                setattr(Path, method, counted(getattr(Path, method)))
            try:
                job.run(Sources([str(folder)]), tmp_path / name, extractor, Options(part_size=2), **options)
            except BaseException:
                os._exit(1)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return forked


@pytest.mark.slow
def test_killed_before_any_step_of_writing(forked: Forked, tmp_path: Path, noted: Callable[..., None]) -> None:
    assert forked("whole.jsonl") == 0
    step = 0
    while True:
        step += 1
        out = tmp_path / f"{step}.jsonl"
        status = forked(out.name, step)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        for path in tmp_path.glob(f"{step}.jsonl.run/parts/[!.]*"):
            assert all(json.loads(line) for line in path.read_bytes().splitlines())
        assert forked(out.name, resume=True) == 0, step
        same(out, tmp_path / "whole.jsonl")
        each_once(out, 7)
    assert step > 40
    noted("batch killed before each step of writing", kills=step - 1)


def test_killed_again_and_again(
    forked: Forked,
    tmp_path: Path,
    kills: Callable[[int], int],
    chance: Callable[[], random.Random],
    noted: Callable[..., None],
) -> None:
    assert forked("whole.jsonl") == 0
    choices = chance()
    killed = trials = 0
    while killed < kills(8):
        out = tmp_path / f"{trials}.jsonl"
        while (status := forked(out.name, choices.randrange(1, 25), resume=True)) != 0:
            assert status == -signal.SIGKILL
            killed += 1
        same(out, tmp_path / "whole.jsonl")
        each_once(out, 7)
        trials += 1
    noted("batch killed before random steps of writing", kills=killed)


@pytest.mark.slow
def test_killed_while_it_begins_anew(forked: Forked, tmp_path: Path, folder: Path, noted: Callable[..., None]) -> None:
    """The earlier output stands until the new one takes its place, and the two are never mixed."""
    assert forked("whole.jsonl") == 0
    old = (tmp_path / "whole.jsonl").read_bytes()
    for step in range(1, 100):
        out = tmp_path / f"{step}.jsonl"
        assert forked(out.name) == 0
        (folder / "0.txt").write_text("CT: L4 pars defects.", encoding="utf-8")
        status = forked(out.name, step, force=True)
        assert out.read_bytes() != b""
        if status == 0:
            break
        if out.read_bytes() == old:
            assert forked(out.name, force=True) == 0
        else:
            assert forked(out.name, resume=True) == 0
        assert b"M43.06" in out.read_bytes() and out.read_bytes() != old
        (folder / "0.txt").write_text("CT: L5 pars defects.", encoding="utf-8")
    assert status == 0 and step > 40
    noted("batch killed while it replaces an earlier output", kills=step - 1)


# --- as a program ---------------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path, canary: str) -> tuple[Path, int]:
    """A table of many notes, some of them bad, and how many."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(DEV.glob("*.txt"))]
    rows = [
        json.dumps({"id": f"n{number}", "text": f"{texts[number % len(texts)]}\n{canary}"}) for number in range(1500)
    ]
    rows[700] = f'"{canary}"'
    rows[1400] = json.dumps({"id": "n1400", "text": canary, "date": canary})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path / "in" / "rows.jsonl", len(rows)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With what the rules prove kept between starts, which makes them quick."""
    return {**os.environ, "PARSNLP_CACHE": str(tmp_path / "cache")}


def program(source: Path, out: Path, *options: object) -> list[str]:
    start = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]
    return [*start, "batch", str(source), "--out", str(out), "--part-size", "25", "--no-text", *map(str, options)]


def run(command: list[str], environment: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False, **options)


def leaks(folder: Path, canary: str) -> list[Path]:
    """The files under the folder, the inputs apart, that hold the canary."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and "in" not in path.relative_to(folder).parts and canary.encode() in path.read_bytes()
    ]


def descendants(process: int) -> list[int]:
    """The processes that this one has started and that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[1]) == process:
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_points(
    source: tuple[Path, int],
    environment: dict[str, str],
    tmp_path: Path,
    canary: str,
    workers: int,
    kills: Callable[[int], int],
    chance: Callable[[], random.Random],
    noted: Callable[..., None],
) -> None:
    rows, count = source
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    begun = time.monotonic()
    assert run(program(rows, whole), environment).returncode == 3
    longest = time.monotonic() - begun
    choices = chance()
    killed = landed = 0
    way = "--force"
    while killed < kills(40):
        command = program(rows, out, "--workers", workers, way)
        running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            _, told = running.communicate(timeout=choices.uniform(0, longest / 2))
        except subprocess.TimeoutExpired:
            children = descendants(running.pid)
            running.kill()
            _, told = running.communicate()
            killed += 1
            landed += any(tmp_path.glob("out.jsonl.run/parts/*"))
            way = "--resume" if Path(f"{out}.run/run.json").exists() else "--force"
            for _ in range(200):
                if not any(map(_command, children)):
                    break
                time.sleep(0.05)
            assert not any(map(_command, children)), "a worker outlives its program"
        else:
            assert running.returncode == 3, told
            same(out, whole)
            way = "--force"
        assert canary not in told and leaks(tmp_path, canary) == []
    done = run(program(rows, out, "--workers", workers, "--resume"), environment)
    assert done.returncode == 3, done.stderr
    same(out, whole)
    each_once(out, count)
    assert leaks(tmp_path, canary) == [] and canary not in done.stderr
    print(f"{landed} of {killed} kills came while there were parts")
    assert landed
    noted("batch killed at random points", kills=killed, while_there_were_parts=landed)


@pytest.mark.slow
def test_a_disk_that_fills(source: tuple[Path, int], environment: dict[str, str], tmp_path: Path) -> None:
    """No file may grow beyond a limit, which is lifted step by step: parts fit first, the output last."""
    rows, count = source
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert run(program(rows, whole), environment).returncode == 3
    refused = 0
    for limit in (1_000, 30_000, 300_000, 1_000_000, 1_000_000_000):
        done = run(
            program(rows, out, "--resume"),
            environment,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        if done.returncode == 3:
            break
        refused += 1
        assert done.returncode == 2 and "File too large" in done.stderr, done.stderr
        assert done.stderr.startswith("parsnlp: ") and "Traceback" not in done.stderr
        assert not out.exists() and not list(tmp_path.rglob("*.part"))
    assert refused >= 2
    same(out, whole)
    each_once(out, count)


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(
    source: tuple[Path, int], environment: dict[str, str], tmp_path: Path, noted: Callable[..., None]
) -> None:
    rows, _ = source
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert run(program(rows, whole), environment).returncode == 3
    running = subprocess.Popen(program(rows, out, "--workers", 2), env=environment, stderr=subprocess.PIPE, text=True)
    killed = 0
    for _ in range(6000):
        workers = [child for child in descendants(running.pid) if b"spawn_main" in _command(child)]
        if len(workers) == 2 and list(tmp_path.glob("out.jsonl.run/parts/*.inputs.jsonl")):
            os.kill(workers[killed], signal.SIGKILL)
            killed = 1
            break
        time.sleep(0.05)
    _, told = running.communicate(timeout=600)
    assert killed and running.returncode == 3, told
    same(out, whole)
    noted("worker of a batch killed", kills=killed)


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


DEADLY = """
import os, signal
from parsnlp.extractor import Extractor

extract = Extractor.extract_encounter

def deadly(self, notes, **options):
    if notes[0].id == "n33":
        os.kill(os.getpid(), signal.SIGKILL)
    return extract(self, notes, **options)

Extractor.extract_encounter = deadly  # in the workers too, which import this module

if __name__ == "__main__":
    from parsnlp.interfaces.cli import main
    main()
"""


@pytest.mark.slow
def test_a_note_that_kills_its_worker_is_passed_over(
    source: tuple[Path, int], environment: dict[str, str], tmp_path: Path
) -> None:
    rows, count = source
    (tmp_path / "deadly.py").write_text(DEADLY, encoding="utf-8")
    out = tmp_path / "out.jsonl"
    command = [sys.executable, str(tmp_path / "deadly.py"), *program(rows, out, "--workers", 2)[3:]]
    done = run(command, environment)
    assert done.returncode == 3, done.stderr
    errors = [json.loads(line) for line in Path(f"{out}.run/errors.jsonl").read_bytes().splitlines()]
    assert [(row["number"], row["stage"]) for row in errors] == [(33, "crash"), (700, "read"), (1400, "read")]
    each_once(out, count)


@pytest.mark.slow
def test_an_interrupt_ends_the_workers(
    source: tuple[Path, int], environment: dict[str, str], tmp_path: Path, canary: str
) -> None:
    rows, _ = source
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert run(program(rows, whole), environment).returncode == 3
    running = subprocess.Popen(
        program(rows, out, "--workers", 2), env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for _ in range(6000):
        if list(tmp_path.glob("out.jsonl.run/parts/*.inputs.jsonl")):
            break
        time.sleep(0.05)
    children = descendants(running.pid)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told == "parsnlp: interrupted; what is done is kept, go on with the same command and --resume\n"
    assert children and not any(_command(child) for child in children)
    assert leaks(tmp_path, canary) == []
    assert run(program(rows, out, "--workers", 2, "--resume"), environment).returncode == 3
    same(out, whole)
