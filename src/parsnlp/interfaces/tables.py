"""Results as tables: one declaration of their columns, and the rows that a result gives.

The declaration is the source of the Parquet schema, of DuckDB's tables, of the headings of the CSV files and of the
data dictionary. A list is one cell, its items joined, so that every format holds the same values.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from parsnlp.models import Assertion

if TYPE_CHECKING:
    import pyarrow

Type = Literal["string", "int64", "bool", "date"]
Cell = str | int | bool | datetime.date | None
Row = tuple[Cell, ...]

NAMES, SENTENCES = ";", " | "
"""What joins the items of a list in a cell: names, such as levels and codes; and sentences."""

_INTRODUCTION = """\
Every row but those of `run` carries `number`, the place of its input in the run, and `result`, the result's id; rows that
a result may have several of also `row`, their place in their table among the rows of that result. Tables join on
`number`; `number` and `row` together name a row. `evidence` belongs to the row `of_row` of the table `of_table`.
Offsets count code points of a document's text, the end exclusive. A list is one cell, its items joined, null when it is
empty. CSV: UTF-8, a null is an empty cell, and a text cell that a spreadsheet would run begins with an apostrophe.
What-ifs, the wording of alternatives and the titles of DRGs stay in the JSON results."""
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `says`: its meaning and unit. `source`: the policy rule behind it. `quotes`: null under --no-text.

    `joins`: the cell holds the items of a list with this between them.
    """

    name: str
    type: Type
    says: str
    nullable: bool = False
    source: str = ""
    quotes: bool = False
    joins: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `says`: what a row stands for. `key`: the columns that together name a row."""

    name: str
    says: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def place(self, column: str) -> int:
        """Where a column stands in a row."""
        return [each.name for each in self.columns].index(column)


def _text(name: str, says: str, source: str = "", *, null: bool = False, quotes: bool = False) -> Column:
    return Column(name, "string", says, null or quotes, source, quotes)


def _names(name: str, says: str, source: str = "") -> Column:
    return Column(name, "string", f"{says}; joined by “{NAMES}”", True, source, joins=NAMES)


def _count(name: str, says: str, source: str = "") -> Column:
    return Column(name, "int64", says, source=source)


def _flag(name: str, says: str, source: str = "", *, null: bool = False) -> Column:
    return Column(name, "bool", says, null, source)


_NUMBER = _count("number", "the place of the input in the run, from 0")
_RESULT = _text("result", "the id of the result: the note's or the encounter's; the caller's, so perhaps not unique")
_KEY = (_NUMBER, _RESULT, _count("row", "the place of the row in this table among the rows of its result, from 0"))
_SPAN = (
    _text("document", "the id of the document it stands in", null=True),
    Column("start_offset", "int64", "where it begins: code points into the document's text, from 0", True),
    Column("end_offset", "int64", "where it ends: code points, exclusive", True),
    _text("text", "the words that stand there", quotes=True),
)
_FIRST = tuple(
    Column(column.name, column.type, f"of the first piece of evidence (all are in evidence): {column.says}", True,
           quotes=column.quotes)
    for column in _SPAN
)  # fmt: skip
_ATTRIBUTES = (
    _names("levels", "vertebrae and segments, such as L5 or L5-S1", "P-F4"),
    _names("regions", "regions by name, such as lumbar", "P-F4"),
    _text("laterality", "left, right, bilateral or unilateral", "P-F4", null=True),
    _text("chronicity", "acute, subacute, chronic, acute on chronic, stress reaction, healing, nonunion, healed", "P-F4",
          null=True),
    _text("etiology", "the cause, such as isthmic, degenerative or congenital", "P-F4", null=True),
    _text("grade", "of a slip: I to V, or as percent or millimetres (“30%”, “4 mm”), low or high", "P-F4", null=True),
    _text("direction", "of a slip: antero, retro or latero", "P-F4", null=True),
    _text("documented_by", "provider, or imaging when the imaging part of a clinic note alone says it", "P-X4"),
)  # fmt: skip
_CONDITION = _text("condition", "spondylolysis, spondylolisthesis or traumatic_fracture", "P-F1")
_CONTEXT = (
    _text("patient", "the caller's name of the patient, from the first document that has one", null=True),
    Column("date", "date", "the date of the encounter: the latest of its documents' dates", True),
    _text("setting", "outpatient or inpatient: decides on uncertain diagnoses", "P-F3"),
    _text("excludes1", "policy for lysis with slip: separate or strict", "P-X2"),
    _text("stress_fracture", "policy for a pars stress fracture: the family M43.0 or M48.4", "P-C7"),
    _text("edition", "the id of the ICD-10-CM edition used"),
)
_SOURCE = (
    _text("source", "the file, or the row of a file, that the input came from", null=True),
    _text("sha256", "the hash of the input's content", null=True),
)


def _table(name: str, says: str, *columns: Column) -> Table:
    return Table(name, says, ("number", "row"), (*_KEY, *columns))


TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "notes",
            "A result: a note, or an encounter whose documents were decided on together.",
            ("number",),
            (
                _NUMBER,
                _RESULT,
                *_SOURCE,
                *_CONTEXT,
                _flag("edition_covers", "whether that edition is in force on the date; null without a date", null=True),
                _text("edition_stamp", "where it is not, what is known of the release that is", null=True),
                _names("kinds", "the kinds of its documents, each once, such as radiology or consult"),
                _count("documents", "documents"),
                _count("length", "the length of all its documents, in code points"),
                _names("codes", "the codes suggested, in the order of the policy", "P-C12"),
                _count("code_count", "codes suggested"),
                _flag("review", "a code has the status review", "P-X6"),
                _flag("unspecified", "a code has an unspecified site (fifth character 0)", "P-C3"),
                _count("suppressed", "codes considered and refused"),
                _count("findings", "mentions of a condition, whatever their assertion", "P-F1"),
                *(_count(name, f"mentions asserted as {name}", "P-F3") for name in get_args(Assertion)),
                _count("edits", "edits that a claim with these codes would hit", "P-X3"),
                _count("queries", "questions to the provider, tips among them", "P-X4"),
                _names("query_kinds", "the kinds of these, each once", "P-X4"),
                _count("imaging", "imaging studies whose result stands in the note", "P-F4"),
                _count("care", "mentions of conservative care", "P-F4"),
                _count("services", "services for the spine that the chart documents"),
                _count("captured", "items of the documentation checklist that the chart has"),
                _count("missing", "items of the documentation checklist that it lacks"),
                Column("warnings", "string", f"what to know of the reading, such as an encoding assumed; joined by “{SENTENCES}”",
                       True, joins=SENTENCES),
                _text("engine", "the program and its version"),
                _text("rule_set", "the hash of the rules"),
                _text("schema_version", "the version of the result's JSON Schema"),
            ),
        ),
        _table(
            "documents",
            "A document of a result.",
            _text("document", "its id"),
            _text("kind", "radiology, consult, progress, ed, discharge, operative ...", null=True),
            _flag("kind_inferred", "nobody told the kind; its title and headings did"),
            Column("date", "date", "its date", True),
            _text("author", "the author's role", null=True),
            _text("patient", "the caller's name of the patient", null=True),
            _count("length", "code points"),
        ),
        _table(
            "conditions",
            "A condition of the whole record: what its mentions come to.",
            _CONDITION,
            _text("assertion", "what the winning mention asserts", "P-A4"),
            *_ATTRIBUTES,
            _names("findings", "the ids of its mentions"),
            _names("rules", "the policy rules of its trail, in their order"),
        ),
        _table(
            "codes",
            "A suggested ICD-10-CM code.",
            *_CONTEXT,
            _text("code", "the code", "P-C1 to P-C10"),
            _text("display", "its title in the edition"),
            _text("status", "suggested, or review: a coder must look", "P-X6"),
            _CONDITION,
            _text("region", "the region that the code stands for; null for a code that names none", "P-C3", null=True),
            _flag("unspecified", "its site is unspecified (fifth character 0)", "P-C3"),
            *_ATTRIBUTES,
            _text("reason", "why, in words", quotes=True),
            _names("rules", "the policy rules of its trail, in their order"),
            _names("alternatives", "codes that another reading, policy or documentation would give"),
            _names("drg", "MS-DRGs as a medical principal diagnosis", "P-X5"),
            *_FIRST,
        ),
        _table(
            "suppressed",
            "A code that was considered and refused.",
            _text("code", "the code"),
            _text("display", "its title in the edition"),
            _text("rule", "the policy rule that refused it"),
            _text("reason", "why, in words", quotes=True),
            *_FIRST,
        ),
        _table(
            "findings",
            "A mention of a condition, whatever its assertion.",
            _text("finding", "its id in the result, such as f1"),
            _CONDITION,
            _text("assertion", ", ".join(get_args(Assertion)), "P-F3"),
            _text("section", "the section it stands in", null=True),
            *_ATTRIBUTES,
            _names("cues", "the categories of the words that decided the assertion", "P-A1 to P-A9"),
            _text("rule", "the rule that found it"),
            *_SPAN,
        ),
        _table(
            "edits",
            "What a claim with these codes would hit.",
            _text("kind", "such as excludes1_pair", "P-X1 to P-X3"),
            _text("severity", "error, warning or info"),
            _text("rule", "the policy rule"),
            _names("codes", "the codes it is about"),
            _text("fix", "what would mend it", null=True),
            _text("says", "the edit in words", quotes=True),
            *_FIRST,
        ),
        _table(
            "queries",
            "A question to put to the provider.",
            _text("kind", "such as site_missing", "P-X4"),
            _text("severity", "query; or tip, which moves no code"),
            _text("rule", "the policy rule"),
            _names("options", "the answers offered"),
            _text("says", "the question", quotes=True),
            *_FIRST,
        ),
        _table(
            "imaging",
            "A study of the spine whose result stands in the note.",
            _text("modality", "radiograph, CT, MRI, SPECT-CT, bone scan ...", "P-F4"),
            _text("body_part", "the region of the spine", null=True),
            _text("finding", "what it shows, such as defect line or slip", null=True),
            _text("date", "its date as far as it is known: YYYY, YYYY-MM or YYYY-MM-DD", null=True),
            _names("supports", "the ids of the findings it supports"),
            *_SPAN,
        ),
        _table(
            "care",
            "A mention of conservative care.",
            _text("kind", "bracing, physical_therapy, injection ...", "P-F4"),
            _text("detail", "which, such as the brace's type, as the note words it", quotes=True),
            _text("duration", "how long, as the note words it", quotes=True),
            _text("outcome", "failed, improved, ongoing, planned, completed", null=True),
            *_SPAN,
        ),
        _table(
            "services",
            "A service for the spine that the chart documents, whatever became of it.",
            _text("kind", "imaging, bracing, physical_therapy, injection, fusion ..."),
            _text("status", "done (also under way), ordered, planned, declined or failed"),
            _text("modality", "of imaging", null=True),
            _text("region", "the region of the spine", null=True),
            _names("supports", "the conditions that the chart gives it for"),
            _names("codes", "the codes suggested for these"),
            _names("procedures", "numbers from the caller's own table"),
            *_SPAN,
        ),
        _table(
            "checklist",
            "A thing that the chart should say of a coded pars defect or slip.",
            _text("item", "region, laterality, chronicity, lysis_and_slip ..."),
            _text("state", "captured or missing"),
            _text("says", "what is captured, or what to ask", quotes=True),
            *_FIRST,
        ),
        _table(
            "evidence",
            "A stretch of text that something rests on; or a step of its trail that rests on none.",
            _text("of_table", "the table of what it belongs to"),
            _count("of_row", "its row there: join on number and of_row = row"),
            _text("role", "evidence; step, of the trail; or cue, of an assertion"),
            Column("step", "int64", "which step of the trail, from 0", True),
            _text("step_rule", "the policy rule of the step", null=True),
            _text("says", "the step in words", quotes=True),
            _text("category", "of a cue: negated, uncertain, historical ...", null=True),
            _text("rule", "the rule that found it, where one did", null=True),
            *_SPAN,
        ),
        Table(
            "errors",
            "An input that gave no result.",
            ("number",),
            (
                _NUMBER,
                _text("result", "the id of the input, where it has one", null=True),
                *_SOURCE,
                _text("stage", "where it failed", null=True),
                _text("reason", "why; never a word of its text", null=True),
            ),
        ),
        Table(
            "run",
            "A fact of the run: its options, versions, counts.",
            ("name",),
            (
                _text("name", "the fact, such as counts.done"),
                _text("value", "its value; a list as JSON", null=True),
            ),
        ),
    )
}  # fmt: skip
"""The tables by name, in the order in which a result's rows come."""

_SPANNED = {"start": "start_offset", "end": "end_offset"}  # `end` is a word of SQL


def rows(number: int, result: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Row]]:
    """The rows of one result, each with the name of its table.

    `number`: the place of the input in the run, from 0. `result`: as `Result.to_json` has it, with text or without.
    `given`: what is known of the input: `where`, `sha256`.
    """
    key = {"number": number, "result": result["id"]}
    context = _context(result)
    conditions = {item["condition"]: item for item in result["conditions"]}
    sites = [region(code["code"], context["edition"]) for code in result["codes"]]
    unspecified = [site == unspecified_site() for site in sites]
    source = {"source": (given or {}).get("where"), "sha256": (given or {}).get("sha256")}
    yield _row("notes", key, source, context, _summary(result), {"unspecified": any(unspecified)})
    for row, item in enumerate(result["documents"]):
        yield _row("documents", key, item, {"row": row, "document": item["id"]})
    for row, item in enumerate(result["conditions"]):
        yield _row("conditions", key, item, {"row": row, "rules": _rules(item)})
    for row, item in enumerate(result["codes"]):
        made = {
            "row": row,
            "region": sites[row],
            "unspecified": unspecified[row],
            "rules": _rules(item),
            "alternatives": [each["code"] for each in item["alternatives"]],
            "drg": [each["drg"] for each in item["drg"]],
        }
        yield _row("codes", conditions.get(item["condition"], {}), item, context, key, _first(item), made)
    for name in ("suppressed", "findings", "edits", "queries", "imaging", "conservative_care", "services", "checklist"):
        table = _TABLE_OF.get(name, name)
        for row, item in enumerate(result[name]):
            first = _place(item) if "start" in item else _first(item)
            made = {"row": row, "finding": item["id"]} if name == "findings" else {"row": row}
            cues = {"cues": [cue["category"] for cue in item["cues"]]} if "cues" in item else {}
            yield _row(table, key, item, first, made, cues)
    for row, evidence in enumerate(_evidence(result)):
        yield _row("evidence", key, evidence, {"row": row})


def fitting(table: Table) -> Callable[[Row], bool]:
    """What tells whether a row is one of the table: as many cells, each of its column's type, a number of 64 bits."""
    of = {"string": str, "int64": int, "bool": bool, "date": datetime.date}
    allowed = [(of[column.type], type(None) if column.nullable else of[column.type]) for column in table.columns]

    def fits(row: Row) -> bool:
        return (
            len(row) == len(allowed)
            and all(type(cell) in types for cell, types in zip(row, allowed, strict=True))
            and all(-(1 << 63) <= cell < 1 << 63 for cell in row if isinstance(cell, int))
        )

    return fits


_TABLE_OF = {"conservative_care": "care"}


def error(given: Mapping[str, Any]) -> tuple[str, Row]:
    """The row of an input that failed: `number`, `id`, `where`, `sha256`, `stage`, `reason`."""
    return _row("errors", given, {"result": given.get("id"), "source": given.get("where")})


def run(facts: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    """The rows of the facts of a run, however they are nested: `{"counts": {"done": 5}}` gives counts.done."""
    for name, value in _leaves(facts):
        yield _row("run", {"name": name, "value": value})


def _leaves(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str | None]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}.")
        elif value is None or isinstance(value, str):
            yield f"{above}{name}", value
        else:
            yield f"{above}{name}", json.dumps(value, ensure_ascii=False)


def _context(result: Mapping[str, Any]) -> dict[str, Any]:
    documents = result["documents"]
    return {
        "patient": next((item["patient"] for item in documents if item.get("patient") is not None), None),
        "date": max((item["date"] for item in documents if item["date"]), default=None),
        "setting": result["setting"],
        **result["policy"],
        "edition": result["code_set"]["id"],
    }


def _summary(result: Mapping[str, Any]) -> dict[str, Any]:
    assertions = Counter(item["assertion"] for item in result["findings"])
    states = Counter(item["state"] for item in result["checklist"])
    counted = {
        _TABLE_OF.get(name, name): len(result[name])
        for name in (
            "documents", "suppressed", "findings", "edits", "queries", "imaging", "conservative_care", "services",
        )
    }  # fmt: skip
    return {
        **counted,
        **{name: assertions[name] for name in get_args(Assertion)},
        **{name: states[name] for name in ("captured", "missing")},
        "edition_covers": result["code_set"]["covers"],
        "edition_stamp": result["code_set"]["stamp"],
        "kinds": _each_once(item["kind"] for item in result["documents"] if item["kind"]),
        "length": sum(item["length"] for item in result["documents"]),
        "codes": [item["code"] for item in result["codes"]],
        "code_count": len(result["codes"]),
        "review": any(item["status"] == "review" for item in result["codes"]),
        "query_kinds": _each_once(item["kind"] for item in result["queries"]),
        "warnings": result["warnings"],
        "engine": result["engine"],
        "rule_set": result["rule_set"]["hash"],
        "schema_version": result["schema_version"],
    }


def _each_once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _rules(item: Mapping[str, Any]) -> list[str]:
    return _each_once(step["rule"] for step in item["trail"])


def _place(span: Mapping[str, Any]) -> dict[str, Any]:
    return {_SPANNED.get(name, name): span.get(name) for name in ("document", "start", "end", "text")}


def _first(item: Mapping[str, Any]) -> dict[str, Any]:
    return _place(item["evidence"][0]) if item["evidence"] else {}


def _evidence(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What everything in the result rests on: evidence, then cues, then the steps of the trail."""
    for name in (
        "conditions", "codes", "suppressed", "findings", "edits", "queries", "services", "checklist",
    ):  # fmt: skip
        for row, item in enumerate(result[name]):
            of = {"of_table": name, "of_row": row}
            for span in item.get("evidence", ()):
                yield {**of, "role": "evidence", "rule": span["rule"], **_place(span)}
            for cue in item.get("cues", ()):
                placed = _place({**cue, "document": item["document"]})
                yield {**of, "role": "cue", "category": cue["category"], "rule": cue["rule"], **placed}
            for number, step in enumerate(item.get("trail", ())):
                of_step = {**of, "role": "step", "step": number, "step_rule": step["rule"], "says": step.get("says")}
                for span in step["evidence"]:
                    yield {**of_step, "rule": span["rule"], **_place(span)}
                if not step["evidence"]:
                    yield of_step


def _row(name: str, *values: Mapping[str, Any]) -> tuple[str, Row]:
    """A row of a table from values by column; of several that name a column the last counts, others are passed over."""
    found: dict[str, Any] = {}
    for each in values:
        found.update(each)
    return name, tuple(_cell(column, found.get(column.name)) for column in TABLES[name].columns)


def _cell(column: Column, value: Any) -> Cell:
    if column.joins:
        value = column.joins.join(value or ()) or None
    if isinstance(value, str):
        if column.type == "date":
            return datetime.date.fromisoformat(value)
        if not value.isascii():
            return _SURROGATES.sub("\ufffd", value)  # no file of these formats can hold a lone surrogate
    cell: Cell = value
    return cell


@functools.cache
def region(code: str, edition: str) -> str | None:
    """The region that a code of an edition stands for, `unspecified_site()`, or None for one that names no site (P-C3)."""
    from parsnlp import rules
    from parsnlp.coding import icd10cm, reference

    carried = {each.id: each for each in icd10cm.editions()}
    return reference.region(code, carried.get(edition) or icd10cm.edition_for(None)[0], rules.load().tables)


def unspecified_site() -> str:
    """What the region of a code is called whose site is unspecified."""
    from parsnlp.coding import reference

    return reference.UNSPECIFIED


def ddl(table: Table) -> list[str]:
    """The statements that make the table in DuckDB, with what its columns mean as their comments."""
    types = {"string": "VARCHAR", "int64": "BIGINT", "bool": "BOOLEAN", "date": "DATE"}
    columns = ", ".join(
        f'"{column.name}" {types[column.type]}{"" if column.nullable else " NOT NULL"}' for column in table.columns
    )
    return [
        f'CREATE TABLE "{table.name}" ({columns})',
        f'COMMENT ON TABLE "{table.name}" IS {_quoted(table.says)}',
        *(
            f'COMMENT ON COLUMN "{table.name}"."{column.name}" IS {_quoted(_meaning(column))}'
            for column in table.columns
        ),
    ]


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def arrow_schema(table: Table) -> pyarrow.Schema:
    """The schema of the table in Arrow and Parquet, with what its columns mean as `description` of each field.

    Needs pyarrow, of the extra `batch`.
    """
    import pyarrow

    types = {
        "string": pyarrow.string(), "int64": pyarrow.int64(), "bool": pyarrow.bool_(), "date": pyarrow.date32(),
    }  # fmt: skip
    return pyarrow.schema(
        [
            pyarrow.field(column.name, types[column.type], column.nullable, {"description": _meaning(column)})
            for column in table.columns
        ]
    )


def _meaning(column: Column) -> str:
    """What a column means, with its policy rule and whether it quotes the note."""
    return "; ".join(
        [
            column.says,
            *([f"policy {column.source}"] if column.source else []),
            *(["null under --no-text"] if column.quotes else []),
        ]
    )


def dictionary() -> str:
    """The data dictionary as Markdown: a table of columns for each table."""
    lines: list[str] = ["# Tables of a batch", "", *_INTRODUCTION.splitlines()]
    for table in TABLES.values():
        lines += ["", f"## {table.name}", "", f"{table.says} Key: {', '.join(table.key)}.", ""]
        lines += ["| column | type | null? | meaning |", "|---|---|---|---|"]
        lines += [
            f"| {column.name} | {column.type} | {'yes' if column.nullable else 'no'} | {_cited(column)} |"
            for column in table.columns
        ]
    return "\n".join(lines)


def _cited(column: Column) -> str:
    return _meaning(column).replace("|", "\\|")


def dictionary_data() -> Sequence[Mapping[str, Any]]:
    """The data dictionary as plain data, for programs."""
    return [
        {
            "table": table.name,
            "says": table.says,
            "key": list(table.key),
            "columns": [
                {
                    "name": column.name,
                    "type": column.type,
                    "nullable": column.nullable,
                    "says": column.says,
                    "policy": column.source or None,
                    "quotes_the_note": column.quotes,
                    "joined_by": column.joins or None,
                }
                for column in table.columns
            ],
        }
        for table in TABLES.values()
    ]
