"""Has Label Studio's own library check what parsnlp writes for it. Runs in the environment of that library alone.

    python tools/label_studio.py FOLDER...      folders made by `parsnlp export … --to label-studio`

The interface must be valid, every task, annotation and prediction must fit it, and the library's own converter must give
back spans whose words stand at their offsets.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface


def check(folder: Path) -> int:
    """Check one folder; gives how many spans it holds. Raises `AssertionError` for what does not fit."""
    config = (folder / "config.xml").read_text(encoding="utf-8")
    tasks: list[dict[str, Any]] = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    interface = LabelInterface(config)
    interface.validate()
    for number, task in enumerate(tasks):
        assert interface.validate_task({"data": task["data"]}), f"{folder}: task {number}"
        for annotation in task.get("annotations", ()):
            assert interface.validate_annotation(annotation), f"{folder}: annotation of task {number}"
        for prediction in task.get("predictions", ()):
            assert interface.validate_prediction(prediction), f"{folder}: prediction of task {number}"
        # What the server adds when tasks are imported and submitted.
        results = [each["result"] for each in (*task.get("annotations", ()), *task.get("predictions", ()))]
        task |= {"id": number, "annotations": [{"id": number, "result": results[0]}]}
    return sum(_converted(config, folder, tasks))


def _converted(config: str, folder: Path, tasks: list[dict[str, Any]]) -> list[int]:
    """By task, how many spans the library's converter reads, each with its words in place."""
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place) / "export.json", Path(place) / "out"
        source.write_text(json.dumps(tasks), encoding="utf-8")
        Converter(config, place).convert_to_json_min(str(source), str(out), is_dir=False)
        rows = json.loads((out / "result.json").read_text(encoding="utf-8"))
    found = []
    for task, row in zip(tasks, rows, strict=True):
        spans, text = row.get("condition", []), task["data"]["text"]
        assert all(text[span["start"] : span["end"]] == span["text"] for span in spans), f"{folder}: task {task['id']}"
        found.append(len(spans))
    return found


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {check(Path(name))} spans read by Label Studio's library")
