"""Label Studio: `tasks.json` for its JSON import, with `config.xml`, the labelling interface to set first.

Offsets are code points, as Label Studio stores them for text since it mended them; where a region's own quotation shows
that an older version counted UTF-16 code units, these are read. What a program found is written as predictions, which an
annotator submits; only submitted annotations are read, and tasks without one are passed over.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from parsnlp.evaluation.gold import GoldNote
from parsnlp.interfaces import reading
from parsnlp.interfaces.exchange.common import (
    ASSERTIONS,
    COLOURS,
    CONDITIONS,
    Files,
    Row,
    Rows,
    allowed,
    facts,
    found_in,
    from_utf16,
    mentions,
    text_of,
    told,
    utf16_places,
)

_FIRM = re.compile(r"[^\s\\n]")  # letters that stand in a quotation however its line ends are written
NO_CODE = "none"
"""What the field of the codes holds where the note has none; left empty, they are not annotated."""

_CONFIGURATION = f"""\
<View>
  <Labels name="condition" toName="text">
{chr(10).join(f'    <Label value={quoteattr(name)} background="{colour}"/>' for name, colour in zip(CONDITIONS, COLOURS, strict=True))}
  </Labels>
  <Text name="text" value="$text" granularity="word"/>
  <Choices name="assertion" toName="text" perRegion="true" choice="single" required="true">
{chr(10).join(f"    <Choice value={quoteattr(name)}/>" for name in ASSERTIONS)}
  </Choices>
  <Header value="ICD-10-CM codes, one a line; “{NO_CODE}” where the note supports no code"/>
  <TextArea name="codes" toName="text" editable="true" maxSubmissions="12"/>
</View>
"""


def files(rows: Sequence[GoldNote], by: str | None) -> Files:
    """The tasks and the labelling interface."""
    yield "config.xml", _CONFIGURATION.encode("utf-8")
    tasks = [_task(row, by) for row in rows]
    yield "tasks.json", (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def _task(row: GoldNote, by: str | None) -> Row:
    known = facts(row)
    codes = known.pop("codes", None)
    result = list(_regions(row, codes))
    made = (
        {"annotations": [{"result": result}]}
        if by is None
        else {"predictions": [{"model_version": by, "result": result}]}
    )
    return {"data": {"id": row.id, "text": row.text, **known}, **made}


def _regions(row: GoldNote, codes: list[str] | None) -> Iterator[Row]:
    for number, mention in enumerate(mentions(row), 1):
        place = {"start": mention.start, "end": mention.end, "text": row.text[mention.start : mention.end]}
        region = {"id": f"m{number}", "to_name": "text"}
        yield {**region, "from_name": "condition", "type": "labels", "value": {**place, "labels": [mention.condition]}}
        yield {
            **region,
            "from_name": "assertion",
            "type": "choices",
            "value": {**place, "choices": [mention.assertion]},
        }
    if codes is not None:
        texts = codes or [NO_CODE]
        yield {"id": "codes", "to_name": "text", "from_name": "codes", "type": "textarea", "value": {"text": texts}}


def rows(path: Path, problems: list[str]) -> Rows:
    """A row for each task that has a submitted annotation."""
    for each in found_in(path, "*.json", "Label Studio"):
        try:
            tasks = json.loads(text_of(each))
        except (ValueError, RecursionError):
            problems.append(f"{each}: malformed JSON; export the project as JSON")
            continue
        if not isinstance(tasks, list):
            problems.append(f"{each}: {reading.named(tasks)}, not a list of tasks; export the project as JSON")
            continue
        for number, task in enumerate(tasks, 1):
            yield from _row(f"{each}: task {number}", task, problems)


def _row(where: str, task: Any, problems: list[str]) -> Rows:
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("text"), str):
        problems.append(f"{where}: has no data with a text; export the project as JSON, not JSON_MIN")
        return
    made = task.get("annotations")
    submitted = [
        each
        for each in (made if isinstance(made, list) else ())
        if isinstance(each, dict) and not each.get("was_cancelled")
    ]
    if len(submitted) > 1:
        problems.append(f"{where}: has {len(submitted)} annotations; export those of one annotator at a time")
    if len(submitted) == 1:
        annotated = _annotated(where, data["text"], submitted[0].get("result"), problems)
        known = {name: value for name, value in told(data).items() if name != "codes"}
        yield where, {"id": str(data.get("id", task.get("id"))), "text": data["text"], **known, **annotated}


def _annotated(where: str, text: str, result: Any, problems: list[str]) -> Row:
    """The mentions, and the codes where there are any, of one annotation's result."""
    regions: dict[str, Row] = {}
    found: Row = {}
    within = _Text(text)
    for item in result if isinstance(result, list) else ():
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(value, dict):
            continue
        if item.get("from_name") == "codes":
            texts = value.get("text")
            codes = [str(each).strip().upper() for each in (texts if isinstance(texts, list) else [texts])]
            found["codes"] = [] if codes == [NO_CODE.upper()] else codes
            continue
        region = regions.setdefault(str(item.get("id")), {})
        if item.get("from_name") == "condition":
            region |= {"condition": _only(value.get("labels")), "span": within.span(value)}
        elif item.get("from_name") == "assertion":
            region["assertion"] = _only(value.get("choices"))
    for number, region in enumerate(regions.values(), 1):
        if region.get("condition") not in CONDITIONS:
            problems.append(f"{where}, region {number}: its label is none of {allowed(CONDITIONS)}")
        elif region.get("assertion") not in ASSERTIONS:
            problems.append(f"{where}, region {number}: has no assertion; choose one of {allowed(ASSERTIONS)}")
        elif region["span"] is None:
            problems.append(f"{where}, region {number}: its offsets do not fit its text; was the task's text changed?")
        else:
            start, end = region["span"]
            spotted = {"condition": region["condition"], "assertion": region["assertion"], "start": start, "end": end}
            found.setdefault("mentions", []).append(spotted)
    return {"mentions": [], **found}


def _only(values: Any) -> Any:
    return values[0] if isinstance(values, list) and len(values) == 1 else None


class _Text:
    """A task's text, and what finds a stretch in it without going through the whole of it each time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._places = utf16_places(text)
        self._firm = [match.start() for match in _FIRM.finditer(text)]

    def span(self, value: Row) -> tuple[int, int] | None:
        """Start and end in code points. A quotation decides between these and code units; line ends in it are loose."""
        start, end, quotation = value.get("start"), value.get("end"), value.get("text")
        for first, last in ((start, end), (from_utf16(self._places, start), from_utf16(self._places, end))):
            if (
                isinstance(first, int)
                and isinstance(last, int)
                and 0 <= first < last <= len(self._text)
                and (not isinstance(quotation, str) or self._has(first, last, quotation))
            ):
                return first, last
        return None

    def _has(self, first: int, last: int, quotation: str) -> bool:
        firm = bisect_left(self._firm, last) - bisect_left(self._firm, first)
        return firm == len(_FIRM.findall(quotation)) and _flat(self._text[first:last]) == _flat(quotation)


def _flat(text: str) -> str:
    return "".join(text.replace("\\n", "\n").split())
