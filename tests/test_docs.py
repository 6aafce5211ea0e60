"""What the documents show is what happens: every block of code in README, docs and the rules' README; docstrings, commands."""

from __future__ import annotations

import doctest
import gzip
import importlib
import json
import os
import pkgutil
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from pytest_examples import CodeExample, EvalExample, find_examples
from typer.testing import CliRunner

import parsnlp
from parsnlp import rulecheck, rules
from parsnlp.interfaces import cli, exchange
from parsnlp.models import Note

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ALL = [README, ROOT / "patterns" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# The examples of two documents need the service and Spark: tests/interfaces/test_service_processes.py and test_spark.py
# run them.
ELSEWHERE = {"service.md": {"sh", "python", "js"}, "scale.md": {"python"}}
CLUSTER = "--master spark://head:7077"  # in a block that test_spark.py runs
PYTHON = [
    example
    for example in find_examples(*(str(path) for path in ALL if path.name not in ELSEWHERE))
    if example.prefix == "python"
]
SESSIONS = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.S)


class Block(NamedTuple):
    """A fenced block of a document. `language`: empty where none is given."""

    document: str
    line: int
    language: str
    text: str

    @property
    def is_elsewhere(self) -> bool:
        return self.language in ELSEWHERE.get(Path(self.document).name, ()) or CLUSTER in self.text


def blocks() -> Iterator[Block]:
    for path in ALL:
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(path.relative_to(ROOT).as_posix(), line, found[1], found[2])


BLOCKS = list(blocks())
COMMANDS = [
    block
    for block in BLOCKS
    if block.language in ("sh", "console") and block.document != "README.md" and not block.is_elsewhere
] + [block for block in BLOCKS if block.document == "README.md" and block.language == "sh"]


def modules() -> Iterator[str]:
    yield "parsnlp"
    for module in pkgutil.walk_packages(parsnlp.__path__, "parsnlp."):
        yield module.name


def commands(group: Any = None, path: str = "parsnlp") -> Iterator[str]:
    group = group or typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


@pytest.mark.prints_note_text
@pytest.mark.parametrize("example", PYTHON, ids=str)
def test_python(example: CodeExample, eval_example: EvalExample) -> None:
    eval_example.run_print_check(example)


@pytest.mark.prints_note_text
@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.splitlines()[0])
def test_readme_sessions(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`$ cat FILE` and `$ parsnlp …`, each followed by exactly what comes out."""
    monkeypatch.chdir(ROOT)
    parts = re.split(r"^\$ (.*)\n", session, flags=re.M)[1:]
    assert parts, "a console block starts with a `$ command` line"
    for line, shown in zip(parts[::2], parts[1::2], strict=True):
        name, *arguments = shlex.split(line)
        if name == "cat":
            assert Path(arguments[0]).read_text(encoding="utf-8").strip() == shown.strip()
            continue
        assert name == "parsnlp"
        done = CliRunner().invoke(cli.app, arguments, prog_name="parsnlp")
        assert done.exit_code == 0, done.output
        assert done.stdout.strip() == shown.strip()


# What the commands of the documents find where they are run.
TEXT = "CT: chronic bilateral L5 pars defects. No slip."
OURS = """category: spondylolysis
rules:
  - id: ours.gap
    literal: zygodefect
    examples: |
      CT shows a [[zygodefect]].
    counter_examples: |
      No defect.
"""
PROGRAM = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with all that the commands name: notes, tables, rules, annotations, and a `parsnlp` to call."""
    made = tmp_path / "here"
    for folder in ("notes", "data/notes/2025-01", "results"):
        (made / folder).mkdir(parents=True)
        (made / folder / "one.txt").write_text(TEXT, encoding="utf-8")
    (made / "export" / "a").mkdir(parents=True)
    table = f"NOTE_ID,NOTE_TEXT\n1,{TEXT}\n2,Assessment: spondylolysis.\n"
    (made / "export" / "a" / "x.csv.gz").write_bytes(gzip.compress(table.encode()))
    (made / "our-rules" / "targets").mkdir(parents=True)
    (made / "our-rules" / "targets" / "ours.yaml").write_text(OURS, encoding="utf-8")
    note = Note(text=TEXT, id="one")
    row = exchange.of_result(parsnlp.load().extract(note), [note])
    exchange.export(row, "label-studio", tmp_path / "studio")
    for name in ("exported.json", "a.json", "b.json"):
        (made / name).write_bytes((tmp_path / "studio" / "tasks.json").read_bytes())
    (made / "corpora" / "dev").mkdir(parents=True)
    for name in ("gold.jsonl", "corpora/dev/gold.jsonl"):
        (made / name).write_text(json.dumps({"id": "one", "text": TEXT, "codes": ["M43.06"]}), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "parsnlp").write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n', encoding="utf-8")
    (tmp_path / "bin" / "parsnlp").chmod(0o700)
    return made


def shell(place: Path, commands: str) -> None:
    path = f"{place.parent / 'bin'}:{os.environ['PATH']}"
    commands = re.sub(r"/(data|results)\b", rf"{place}/\1", commands)
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=place,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def serve(place: Path, arguments: list[str], shown: str | None) -> None:
    """The service comes up, says what the document shows, and ends when it is asked to."""
    command = [*PROGRAM, *arguments, "--port", "0", "--decisions", str(place / "decisions.sqlite")]
    running = subprocess.Popen(
        command, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr
    try:
        said = re.sub(r":\d+,", ":4306,", running.stderr.readline())
        assert said.startswith("parsnlp: serving on "), said + running.stderr.read()
        assert shown is None or said == shown
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.prints_note_text
@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: f"{block.document}:{block.line}")
def test_commands(block: Block, place: Path) -> None:
    if block.language == "console":
        command, shown = block.text.removeprefix("$ ").split("\n", 1)
        serve(place, shlex.split(command)[1:], shown)
        return
    before, serving, arguments = block.text.partition("parsnlp serve ")
    shell(place, before)
    if serving:
        serve(place, ["serve", *shlex.split(arguments)], None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "sql"], ids=lambda block: block.document
)
def test_queries(block: Block, place: Path) -> None:
    """The queries run on what the first commands of the same document have written."""
    import duckdb

    first = next(other for other in BLOCKS if other.document == block.document and other.language == "sh")
    shell(place, first.text)
    with duckdb.connect(str(place / "codes.duckdb")) as tables:
        for query in filter(str.strip, block.text.split(";")):
            assert tables.execute(query).fetchall(), query


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "yaml"], ids=lambda block: block.document
)
def test_rules(block: Block, tmp_path: Path) -> None:
    """A rule that is shown as an example is one that passes its own, laid over the shipped rules."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "shown.yaml").write_text(f"category: spondylolysis\nrules:\n{block.text}", encoding="utf-8")
    ruleset = rules.load(tmp_path)
    checker = rulecheck.Checker(ruleset)
    (name,) = re.findall(r"id: (\S+)", block.text)
    assert not [problem for case in rulecheck.cases(ruleset) if case.rule.id == name for problem in checker.run(case)]


def test_no_block_of_code_is_left_out() -> None:
    run = {*COMMANDS, *(block for block in BLOCKS if block.language in ("python", "sql", "yaml") or block.is_elsewhere)}
    run |= {block for block in BLOCKS if block.document == "README.md" and block.language == "console"}
    rest = [block for block in BLOCKS if block not in run]
    # Two are no code: the layout of a folder, and a message.
    assert [(block.document, block.language) for block in rest] == [("patterns/README.md", "")] * 2


@pytest.mark.prints_note_text
@pytest.mark.parametrize("name", list(modules()))
def test_docstrings(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert command in README.read_text(encoding="utf-8")


def test_the_readme_has_examples_to_run() -> None:
    assert PYTHON and SESSIONS


def test_readme_names_only_files_and_targets_that_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"`make ([a-z-]+)`", text):
        assert re.search(rf"^{name}:", makefile, re.M), name
