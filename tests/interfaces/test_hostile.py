"""What an attacker, a careless operator or a failing machine would do, where no other test does it."""

from __future__ import annotations

import json
import logging
import os
import pickle
import resource
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import parsnlp
from parsnlp import Note, models
from parsnlp.errors import InputError, ParsnlpError
from parsnlp.evaluation import gold
from parsnlp.interfaces import encounters, exchange, files, formats, job, reading, rows
from parsnlp.interfaces.batch import Options
from parsnlp.interfaces.reading import Encounter
from parsnlp.interfaces.sources import Sources

ROOT = Path(__file__).parents[2]
TEXT = "CT: bilateral L5 pars defects, grade 1 anterolisthesis of L5 on S1."
PROGRAM = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]


@pytest.fixture(scope="module")
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


def run(*arguments: object, start: list[str] = PROGRAM, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [*start, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=300, check=False, **options
    )


# --- note text: errors ------------------------------------------------------------------------------------------------


def wrongly_built(canary: str) -> dict[str, Callable[[], object]]:
    """Each way to be refused, with the canary in what is refused."""
    row = {"id": "a", "text": canary}
    return {
        "a note's text": lambda: Note(text=[canary]),  # type: ignore[arg-type]
        "a note's date": lambda: Note(text="", date=canary),
        "a note's setting": lambda: Note(text=canary, setting=canary),  # type: ignore[arg-type]
        "a field that is none": lambda: Note.model_validate({"text": "", "note": canary}),
        "a note of JSON": lambda: Note.model_validate_json(f'{{"text": "{canary}"'),
        "a result": lambda: models.Result.model_validate(
            {"id": [canary], "codes": [{"code": canary}], "findings": canary}
        ),
        "a result of JSON": lambda: models.Result.model_validate_json(json.dumps({"id": 1, "documents": [canary]})),
        "a code without evidence": lambda: models.Code.model_validate(
            {"code": "M43.06", "reason": [canary], "evidence": []}
        ),
        "no text": lambda: parsnlp.load().extract(canary.encode()),  # type: ignore[arg-type]
        "a frozen note": lambda: setattr(Note(text=canary), "text", canary),
        "loose fields": lambda: reading.note({"text": canary, "kind": canary}),
        "loose date": lambda: reading.note({"text": canary, "date": canary}),
        "a loose text": lambda: reading.note({"text": [canary]}),
        "gold, condition": lambda: gold.read_rows([{**row, "mentions": [{"condition": canary, "start": 0, "end": 1}]}]),
        "gold, span": lambda: gold.read_rows(
            [
                {
                    **row,
                    "mentions": [
                        {"condition": "spondylolysis", "assertion": "affirmed", "start": 0, "end": 3, "text": canary}
                    ],
                }
            ]
        ),
        "two documents of one id": lambda: parsnlp.load().extract_encounter([Note(text=canary), Note(text=canary)]),
    }


@pytest.mark.parametrize("name", wrongly_built(""))
def test_no_error_tells_what_it_refused(name: str, canary: str) -> None:
    with pytest.raises((ParsnlpError, ValidationError, TypeError, ValueError)) as caught:
        wrongly_built(canary)[name]()
    error = caught.value
    told = [str(error), repr(error), "".join(traceback.format_exception_only(error))]
    if isinstance(error, ParsnlpError):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        told += [repr(again), str(error.__cause__), "" if error.__suppress_context__ else str(error.__context__)]
    assert [each for each in told if canary in each] == []


def public_models() -> list[type[BaseModel]]:
    return [
        each
        for each in vars(models).values()
        if isinstance(each, type) and issubclass(each, BaseModel) and each is not BaseModel
    ]


@pytest.mark.parametrize("model", public_models(), ids=lambda model: model.__name__)
def test_no_model_s_validation_tells_what_it_refused(model: type[BaseModel], canary: str) -> None:
    for given in ({name: {canary: [canary]} for name in model.model_fields}, {canary: canary}, [canary]):
        try:
            model.model_validate(given)
        except ValidationError as error:
            # The name of a field that is none is the caller's own, and no text of a note.
            assert canary not in str(error).replace(f"{canary}\n", "\n") and canary not in repr(error).replace(
                f"{canary}\n", "\n"
            )


# --- note text: every channel of a run --------------------------------------------------------------------------------

LOUD = """
import logging, sys, warnings
from loguru import logger
logger.remove(); logger.add(sys.stderr, level=0, backtrace=True, diagnose=True)
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
warnings.simplefilter("always")
from parsnlp.interfaces.cli import main; main()
"""


def hostile_folder(folder: Path, canary: str) -> None:
    """A folder with the canary in the content of good and broken inputs of every kind."""
    folder.mkdir()
    text = f"{TEXT} {canary}\n"
    for ending in sorted({".txt", *formats.ENDINGS}):
        (folder / f"broken{ending}").write_bytes(b"\0<{" + text.encode() + b"\xff\xfe}")
        (folder / f"text{ending}").write_text(text, encoding="utf-8")
    (folder / "latin.txt").write_bytes(text.encode() + b"\xe9")
    (folder / "fhir.json").write_text(
        json.dumps({"resourceType": canary, "content": [canary], "text": text}), encoding="utf-8"
    )
    (folder / "page.html").write_text(f"<p>{text}</p><script>{canary}", encoding="utf-8")
    (folder / "scan.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n(" + canary.encode() + b")\ntrailer << /Root 1 0 R >>")
    (folder / "rich.rtf").write_bytes(rb"{\rtf1 " + text.encode() + rb"{\*\x " + canary.encode())


def tables(folder: Path, canary: str) -> list[Path]:
    folder.mkdir()
    good = json.dumps({"id": "a", "text": f"{TEXT} {canary}"})
    bad = json.dumps({"id": "b", "text": canary, "date": canary, "kind": canary})
    (folder / "rows.jsonl").write_text(f'{good}\n{bad}\n"{canary}"\n{{"text": "{canary}\n', encoding="utf-8")
    (folder / "rows.csv").write_text(
        f'id,text\na,"{TEXT} {canary}"\nb,{canary},{canary}\nc,"{canary}\n', encoding="utf-8"
    )
    (folder / "broken.parquet").write_bytes(b"PAR1" + canary.encode() * 9 + b"PAR1")
    return sorted(folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_canary_turns_up_in_no_channel_of_a_run(
    tmp_path: Path, canary: str, workers: int, noted: Callable[..., None]
) -> None:
    """Every logger at DEBUG, loguru with the values of variables, every warning; what is left in any folder too."""
    hostile_folder(tmp_path / "in", canary)
    given = tables(tmp_path / "tables", canary)
    for name in ("tmp", "cache", "home", "out"):
        (tmp_path / name).mkdir()
    environment = {
        **os.environ, "TMPDIR": str(tmp_path / "tmp"), "PARSNLP_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path / "home"),
        "PYTHONWARNINGS": "always", "PYTHONFAULTHANDLER": "1",
    }  # fmt: skip
    loud = [sys.executable, "-c", LOUD]
    (tmp_path / "gold.jsonl").write_text(
        json.dumps({"id": canary[:3], "text": canary, "codes": [{}], "kind": [canary]}), encoding="utf-8"
    )
    commands: list[tuple[tuple[object, ...], set[int]]] = [
        (("batch", tmp_path / "in", "--out", tmp_path / "out" / "a.jsonl", "--no-text", "--workers", workers), {3}),
        *(
            (
                ("batch", each, "--out", tmp_path / "out" / f"{each.name}.jsonl", "--no-text", "--workers", workers),
                {2, 3},
            )
            for each in given
        ),
        (("code", "--json", "--no-text", *sorted((tmp_path / "in").iterdir())), {3}),
        (("encounter", tmp_path / "in", "--json", "--no-text"), {2, 3}),
        (("evaluate", tmp_path / "gold.jsonl"), {2}),
        (("audit", tmp_path / "in" / "text.txt", "--codes", "M43.06"), {0, 1, 2}),
    ]
    for arguments, statuses in commands:
        done = run(*arguments, start=loud, env=environment)
        assert done.returncode in statuses, (arguments[0], done.returncode)
        shown = [line for line in (done.stdout + done.stderr).splitlines() if canary in line]
        assert shown == [] and "Traceback" not in done.stderr, arguments[0]
    left = [path for name in ("tmp", "cache", "home", "out") for path in (tmp_path / name).rglob("*")]
    assert left and [path for path in left if canary in path.name] == []
    assert [path for path in left if path.is_file() and canary.encode() in path.read_bytes()] == []
    assert list((tmp_path / "tmp").iterdir()) == []
    private = [path for path in left if path.is_file() and path.is_relative_to(tmp_path / "out")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    noted("commands searched for note text, every logger at DEBUG", commands=len(commands))


def test_a_reader_s_debug_log_holds_no_text(tmp_path: Path, canary: str, caplog: pytest.LogCaptureFixture) -> None:
    hostile_folder(tmp_path / "in", canary)
    caplog.set_level(logging.DEBUG)
    for path in sorted((tmp_path / "in").iterdir()):
        for item in files.read(path, path.stem):
            assert canary not in (item.says if isinstance(item, reading.Failure) else repr(item))
    for path in tables(tmp_path / "tables", canary):
        try:
            for row in rows.rows(path):
                assert canary not in (row.says if isinstance(row, reading.Failure) else row.where)
        except InputError as error:
            assert canary not in str(error)


# --- network ----------------------------------------------------------------------------------------------------------

WATCH = """
import os, sys
def look(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        with open(os.environ["SEEN"], "a") as stream: stream.write(event + "\\n")
sys.addaudithook(look)
"""


@pytest.mark.slow
def test_library_and_batch_open_no_connection(tmp_path: Path) -> None:
    """Python's own record of it, in every process that is started."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    (tmp_path / "in").mkdir()
    for number in range(40):
        (tmp_path / "in" / f"{number}.txt").write_text(TEXT, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "SEEN": str(tmp_path / "seen")}
    outside = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))"
    run("-c", outside, start=[sys.executable], env=environment)
    assert (tmp_path / "seen").read_text() == "socket.connect\n", "what watches does not see"
    (tmp_path / "seen").unlink()
    done = run("batch", tmp_path / "in", "--out", tmp_path / "o.parquet", "--workers", 2, env=environment)
    assert done.returncode == 0, done.stderr
    program = f"import parsnlp; e = parsnlp.load(); e.extract({TEXT!r}, what_if=True); e.nlp({TEXT!r})"
    assert run("-c", program, start=[sys.executable], env=environment).returncode == 0
    assert not (tmp_path / "seen").exists()


# --- files ------------------------------------------------------------------------------------------------------------

NAMES = (
    "new\nline",
    "quote\"'`",
    "two  spaces ",
    "\U0001f600" * 20,
    "a" * 250,
    "\u202egnp",
    "-rf",
    "$(x)",
    "%s%n",
    "\x1b[31mred",
    "é" * 120,
)


def test_any_file_name_is_taken_and_comes_out_as_it_is(tmp_path: Path, extractor: parsnlp.Extractor) -> None:
    (tmp_path / "in").mkdir()
    for name in NAMES:
        (tmp_path / "in" / f"{name}.txt").write_text(TEXT, encoding="utf-8")
    job.run(Sources([str(tmp_path / "in")]), tmp_path / "out.jsonl", extractor, Options())
    found = [
        json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").split("\n") if line
    ]
    assert sorted(found) == sorted(NAMES)
    (whole,) = encounters.encounters(tmp_path / "in")
    assert isinstance(whole, reading.Encounter) and len(whole.notes) == len(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "a" * 250 and name != "é" * 120])
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_any_output_name_is_taken(tmp_path: Path, extractor: parsnlp.Extractor, name: str, ending: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / f"{name}{ending}"
    job.run(Sources([str(tmp_path / "in")]), out, extractor, Options())
    assert out.exists()


@pytest.mark.parametrize("name", ["a" * 248 + ".jsonl", "\U0001f600" * 62 + ".jsonl", "é" * 130 + ".jsonl"])
def test_too_long_an_output_name_is_told(tmp_path: Path, extractor: parsnlp.Extractor, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(TEXT, encoding="utf-8")
    with pytest.raises(InputError):
        job.run(Sources([str(tmp_path / "in")]), tmp_path / name, extractor, Options())


def test_links_in_a_circle_and_pipes_hang_nothing(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "in" / "deep" / "round").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self.txt").symlink_to("self.txt")
    os.mkfifo(tmp_path / "in" / "pipe.txt")
    assert [path.name for path in files.below(tmp_path / "in")] == ["a.txt"]
    read = [item.where for item in Sources([str(tmp_path / "in")]).inputs()]
    assert [Path(each).name for each in read if Path(each).name == "a.txt"] == ["a.txt"] and not any(
        "pipe" in each for each in read
    )


def test_a_link_out_of_a_folder_of_encounters_or_annotations_is_refused(tmp_path: Path, canary: str) -> None:
    (tmp_path / "secret.txt").write_text(canary, encoding="utf-8")
    (tmp_path / "in" / "visit").mkdir(parents=True)
    (tmp_path / "in" / "visit" / "a.ann").write_text("", encoding="utf-8")
    (tmp_path / "in" / "visit" / "whole").write_text(TEXT, encoding="utf-8")
    link = tmp_path / "in" / "visit" / "a.txt"
    link.symlink_to("whole")
    assert [item.notes[0].text for item in encounters.encounters(tmp_path / "in") if isinstance(item, Encounter)] == [
        TEXT
    ]
    assert [row.text for row in exchange.read(tmp_path / "in", "brat")] == [TEXT]
    link.unlink()
    link.symlink_to(tmp_path / "secret.txt")
    reads: list[Callable[[], object]] = [
        lambda: list(encounters.encounters(tmp_path / "in")),
        lambda: exchange.read(tmp_path / "in", "brat"),
    ]
    for read in reads:
        with pytest.raises(InputError, match=r"a\.txt: is a link out of its folder"):
            read()


# --- memory, threads --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("command", ["code", "batch"])
def test_too_little_memory_is_told_and_no_traceback_shown(
    tmp_path: Path, canary: str, command: str, noted: Callable[..., None]
) -> None:
    (tmp_path / "big.txt").write_text(f"{TEXT} {canary}\n" * 1_000_000, encoding="utf-8")
    limit = 600 * 1024 * 1024
    more = ["--out", tmp_path / "o.jsonl", "--max-size", "1000000000"] if command == "batch" else []
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = run(
        command, tmp_path / "big.txt", *more, env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert done.returncode in (2, 3), done.stderr[-300:]
    assert "Traceback" not in done.stderr and canary not in done.stderr + done.stdout
    assert "memory" in done.stderr
    noted("memory limits hit", limits=1)


@pytest.mark.slow
def test_ten_thousand_calls_in_threads_agree_with_the_serial_answer(
    extractor: parsnlp.Extractor, noted: Callable[..., None]
) -> None:
    notes = [
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "corpora" / "dev" / "notes").glob("*.txt"))[:40]
    ]
    notes += [f"{TEXT} Seen {number}." for number in range(210)]
    wanted = [extractor.extract(note).to_json() for note in notes]
    fresh = pickle.loads(pickle.dumps(extractor))  # what it makes when first needed is made in the threads
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda number: fresh.extract(notes[number % len(notes)]).to_json(), range(10_000))
        assert all(each == wanted[number % len(notes)] for number, each in enumerate(found))
    noted("one extractor called from 8 threads", calls=10_000)
