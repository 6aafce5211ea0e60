"""Work spread over processes: the same results, in the same order, whatever their number."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import parsnlp
from parsnlp.errors import InputError, ParsnlpError
from parsnlp.interfaces.cli import app
from parsnlp.parallel import ordered

TEXTS = [
    text
    for number in range(12)
    for text in (
        f"CT {number}: L5 pars defects.",
        "Knee pain, no spine complaint.",
        "Grade 1 anterolisthesis of L4 on L5.",
    )
]


def test_results_and_order_do_not_depend_on_the_workers() -> None:
    extractor = parsnlp.load()
    alone = [result.to_json() for result in extractor.pipe(TEXTS)]
    assert alone == [result.to_json() for result in extractor.pipe(iter(TEXTS), workers=2, batch=5)]
    assert alone == [extractor.extract(text).to_json() for text in TEXTS]


def test_one_process_reads_as_it_is_asked() -> None:
    seen = []

    def notes() -> Iterator[str]:
        for text in TEXTS:
            seen.append(text)
            yield text

    results = parsnlp.load().pipe(notes())
    next(results)
    assert len(seen) == 1


def test_only_a_few_inputs_are_held() -> None:
    taken = 0

    def numbers() -> Iterator[int]:
        nonlocal taken
        while taken < 10_000:
            yield taken
            taken += 1

    results = ordered(abs, numbers(), workers=2, batch=10)
    assert next(results) == 0
    assert taken < 200
    results.close()  # type: ignore[attr-defined]


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(ParsnlpError, match="a worker process died"):
        list(ordered(os._exit, [1, 1, 1], workers=2, batch=1))


DEADLY = """
import os
from pathlib import Path

def unless_seven(number):
    return os._exit(1) if number % 10 == 7 else number

def once(marker):
    if Path(marker).exists():
        return "done"
    Path(marker).touch()
    os._exit(1)
"""


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Functions that end their process, in a module that another process can import."""
    (tmp_path / "deadly.py").write_text(DEADLY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "deadly", raising=False)
    return importlib.import_module("deadly")


def test_an_item_that_kills_its_process_is_passed_over(deadly: Any) -> None:
    found = list(ordered(deadly.unless_seven, range(20), workers=2, batch=3, crashed=lambda number: -number))
    assert found == [-number if number % 10 == 7 else number for number in range(20)]


def test_an_item_that_kills_its_process_once_is_done_again(deadly: Any, tmp_path: Path) -> None:
    assert list(ordered(deadly.once, [str(tmp_path / "marker")], workers=2, crashed=str)) == ["done"]


class Unreadable:
    """What no process can take over."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (1,)

    def __call__(self, item: int) -> int:
        return item


def test_processes_that_die_of_themselves_are_told() -> None:
    with pytest.raises(ParsnlpError, match="a worker process died"):
        list(ordered(Unreadable(), [1, 2], workers=2, crashed=abs))


def test_heavy_items_go_in_small_batches() -> None:
    taken = 0

    def numbers() -> Iterator[int]:
        nonlocal taken
        while taken < 1000:
            yield taken
            taken += 1

    results = ordered(abs, numbers(), workers=2, batch=100, weigh=lambda number: 600_000)
    assert next(results) == 0
    assert taken < 20
    results.close()  # type: ignore[attr-defined]


def test_no_process_outlives_the_program(tmp_path: Path) -> None:
    program = f"""
import os, time
from parsnlp.parallel import ordered

def work(number):
    open({str(tmp_path)!r} + f"/{{os.getpid()}}", "w").close()
    time.sleep(600)

if __name__ == "__main__":
    list(ordered(work, range(2), workers=2, batch=1))
"""
    (tmp_path / "script.py").write_text(program, encoding="utf-8")
    running = subprocess.Popen([sys.executable, str(tmp_path / "script.py")])

    def started() -> list[int]:
        return [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]

    assert wait_until(lambda: len(started()) == 2)
    running.kill()
    running.wait()
    assert wait_until(lambda: not any(lives(process) for process in started()))


def lives(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until(said: Callable[[], bool]) -> bool:
    for _ in range(600):
        if said():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("workers", "batch"), [(0, 1), (1, 0), (-1, 5)])
def test_fewer_than_one_is_refused(workers: int, batch: int) -> None:
    with pytest.raises(InputError, match="must be at least 1"):
        ordered(abs, [1], workers, batch)


def test_batch_writes_the_same_bytes_and_names_the_same_failures(tmp_path: Path) -> None:
    rows = [json.dumps({"id": f"n{i}", "text": text}) for i, text in enumerate(TEXTS)]
    rows.insert(7, '{"id": "bad"}')
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    outcomes = []
    for workers in ("1", "2"):
        out = tmp_path / f"{workers}.jsonl"
        done = CliRunner().invoke(app, ["batch", str(tmp_path / "rows.jsonl"), "--out", str(out), "--workers", workers])
        said = [line for line in done.output.replace(str(out), "OUT").splitlines() if "notes/s" not in line]
        outcomes.append((done.exit_code, said, out.read_bytes()))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == 3


def test_no_workers_are_refused() -> None:
    done = CliRunner().invoke(app, ["batch", ".", "--out", "x.jsonl", "--workers", "0"])
    assert done.exit_code == 2 and "--workers" in done.output


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_an_extractor_works_in_a_process_of_any_kind(method: str, tmp_path: Path) -> None:
    program = f"""
import multiprocessing, parsnlp

if __name__ == "__main__":
    extractor = parsnlp.load()
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print([result.codes[0].code for result in pool.map(extractor.extract, ["L5 pars defects."] * 3)])
"""
    (tmp_path / "script.py").write_text(program, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "['M43.06', 'M43.06', 'M43.06']\n"), done.stderr
