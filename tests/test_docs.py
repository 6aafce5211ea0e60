"""What the documents show is what happens: Python in README and docs, README's console sessions, docstrings, commands."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pytest_examples import CodeExample, EvalExample, find_examples
from typer.testing import CliRunner

import parsnlp
from parsnlp.interfaces import cli

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = [example for example in find_examples(*map(str, DOCUMENTS)) if example.prefix == "python"]
SESSIONS = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.S)


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
