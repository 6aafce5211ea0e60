"""What is installed and what is shipped: hashes for all, the same wheel from the same sources, nothing in it but the package."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def requirements(lock: Path) -> list[str]:
    """What a lock names, a line each with its hashes."""
    text = re.sub(r"(?m)^\s*#.*\n", "", lock.read_text(encoding="utf-8")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_everything_that_is_locked_has_a_version_and_a_hash(lock: Path) -> None:
    lines = requirements(lock)
    assert lines
    for line in lines:
        assert re.fullmatch(
            r"[a-z0-9_.\[\]-]+==\S+(\s*;.*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*(#.*)?", line.strip()
        ), line[:80]


def test_every_lock_has_what_it_was_made_of_and_is_installed_by_its_hashes() -> None:
    assert {path.stem for path in LOCKS} == {path.stem for path in (ROOT / "requirements").glob("*.in")}
    installs = [
        line
        for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
        if "install" in line and "-r " in line
    ]
    assert len(installs) >= 4 and all("--require-hashes" in line for line in installs)


def locked(name: str) -> dict[str, str]:
    return dict(
        re.findall(r"(?m)^([a-z0-9_.-]+)==(\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8"))
    )


def test_what_the_library_runs_on_is_in_the_list_of_licences(noted: Callable[..., None]) -> None:
    listed = dict(
        re.findall(r"(?m)^\| ([a-z0-9_.-]+) \| (\S+) \|", (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"))
    )
    assert {name: version for name, version in locked("run").items() if listed.get(name) != version} == {}
    noted(
        "locked requirements",
        kind="supply",
        requirements_with_hashes=sum(len(requirements(lock)) for lock in LOCKS),
        locks=len(LOCKS),
        of_the_library_itself_with_its_licence=len(locked("run")),
    )


def built(folder: Path) -> Path:
    """The wheel of a fresh copy of the sources, whose files are all younger than those of an earlier copy."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    for name in ("src", "patterns"):
        shutil.copytree(
            ROOT / name, tree / name, copy_function=shutil.copy, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(tree)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_same_sources_give_the_same_wheel(tmp_path: Path) -> None:
    one, other = built(tmp_path / "a"), built(tmp_path / "b")
    assert one.name == other.name and one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"parsnlp"}
    assert "parsnlp/py.typed" in names and "parsnlp/patterns/vocabulary.yaml" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert [
        name
        for name in names
        if Path(name).suffix not in (".py", ".json", ".yaml", ".md", ".html", ".css", ".js", ".typed", "")
        and ".dist-info/" not in name
    ] == []


def tool() -> ModuleType:
    """The module of the page of figures."""
    spec = importlib.util.spec_from_file_location("trust", ROOT / "tools" / "trust.py")
    assert spec is not None and spec.loader is not None
    trust = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trust)
    return trust


def test_every_promise_names_tests_that_are_there() -> None:
    promises = re.findall(r"(?m)^\| (?!promise|---)(.+) \|$", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(promises) > 12
    for promise in promises:
        named = re.findall(r"`(tests/[\w/.]+)`", promise)
        assert named, promise
        assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_page_of_figures_sums_what_is_tried_and_keeps_the_last_of_what_is_so() -> None:
    trust = tool()
    load = {"kind": "load", "name": "soak"}
    found = trust.page(
        [
            {"kind": "fault", "name": "batch", "kills": 1_000},
            {"kind": "fault", "name": "batch", "kills": 2},
            {"kind": "fault", "name": "Spark", "kills": 3},
            {**load, "requests": 5, "MB_grown_at_most": 9},
            {**load, "requests": 6, "MB_grown_at_most": 7},
            {"kind": "mutants", "name": "coding", "killed": 8, "survived": 2},
            {"kind": "mutants", "name": "coding", "killed": 9, "survived": 1},
        ]
    )
    for line in (
        "| batch | 2 | 1,002 kills |",
        "| all processes killed | 3 | 1,005 kills |",
        "| soak | 2 | 11 requests, 9 MB grown at most |",
        "| coding | 2 | 9 killed, 1 survived |",
    ):
        assert f"{line}\n" in found
    assert "What is installed" not in found


def test_the_page_of_figures_is_what_the_runs_noted() -> None:
    trust = tool()
    runs = [json.loads(line) for line in (ROOT / "docs" / "trust.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (ROOT / "docs" / "trust.md").read_text(encoding="utf-8") == trust.page(runs)
    assert f"{sum(run.get('inputs', 0) for run in runs):,}" in trust.page(runs)
