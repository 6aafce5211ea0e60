"""The notebooks are committed with their outputs, and these are what a run gives. `make notebooks` makes them anew."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tour_is_complete() -> None:
    names = ["01-tour", "02-your-own-rules", "03-batch-and-cohort", "04-evaluate", "05-annotate"]
    assert [path.stem for path in PATHS] == names


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_outputs_are_there_without_errors_and_traces_of_a_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = tool().code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(not cell.metadata for cell in notebook.cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert len(outputs) > len(cells) / 2
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    texts = json.dumps(tool().said(notebook))
    assert not re.search(r"/(?:work|home|root|tmp|Users)/|0x[0-9a-f]{6,}", texts)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_run_gives_the_outputs_that_are_committed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    module = tool()
    committed = nbformat.read(path, as_version=4)
    assert module.said(module.executed(path)) == module.said(committed)
