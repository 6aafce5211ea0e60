"""Runs the notebooks and keeps them as they are committed: with their outputs, without times and traces of a machine.

python tools/notebooks.py [NOTEBOOK ...]     runs them, by default all, and writes them back
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"


def executed(path: Path) -> Any:
    """The notebook with the outputs of a fresh run in its folder, tidied. Raises when a cell does."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    kernel = client.create_kernel_manager()
    with tempfile.TemporaryDirectory() as folder:  # of its sockets: no port is opened
        kernel.transport, kernel.connection_file = "ipc", str(Path(folder) / "kernel.json")
        client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def said(notebook: Any) -> list[list[tuple[str, str]]]:
    """What each code cell has put out, as kinds and texts; pictures, whose bytes depend on the machine, are left out."""
    return [[each for output in cell.outputs for each in _texts(output)] for cell in code(notebook)]


def code(notebook: Any) -> list[Any]:
    """The code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _texts(output: Any) -> list[tuple[str, str]]:
    if output.output_type == "stream":
        return [(output.name, output.text)]
    if output.output_type == "error":
        return [("error", output.ename)]
    return [(kind, text) for kind, text in sorted(output.data.items()) if kind.startswith("text/")]


def main(names: list[str]) -> None:
    for path in [Path(name) for name in names] or sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(executed(path), path)
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
