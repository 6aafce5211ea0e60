"""What is fuzzed: each target takes any bytes, and raises `Fault` when a promise is broken.

A target is a line of `TARGETS`: its function, what its inputs begin from, and words that its inputs may hold. Errors that
are promised (`InputError` and its kin) are looked at for note text and otherwise passed over; any other is a fault.
`run.py` fuzzes them guided by coverage, `test_targets.py` tries a bounded number of inputs and everything that once broke.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import gzip
import importlib.util
import io
import json
import sqlite3
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

import parsnlp
from parsnlp import Note, rules
from parsnlp.coding import icd10cm, necessity, tabular
from parsnlp.errors import ParsnlpError
from parsnlp.evaluation import gold
from parsnlp.evaluation.gold import GoldMention, GoldNote
from parsnlp.interfaces import (
    decisions,
    encounters,
    exchange,
    files,
    holding,
    outputs,
    reading,
    rows,
    summary,
    utf16,
    worklist,
)
from parsnlp.interfaces.exchange import omop
from parsnlp.interfaces.reading import Failure
from parsnlp.interfaces.service.answers import Answer
from parsnlp.interfaces.service.app import application
from parsnlp.interfaces.service.problems import Problem
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import warm

CANARY = "Zyxcanaryquoll"
TESTS = Path(__file__).parents[1]
SECONDS, SECONDS_EACH = 2.0, 0.001  # of processor time: for an input, and for each of its bytes


class Fault(AssertionError):
    """A promise is broken. Its words say which."""


@dataclass(frozen=True)
class Target:
    """`run`: takes any bytes. `seeds`: what to begin from. `words`: pieces that get far."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: Callable[[], Sequence[bytes]] = tuple


def tried(target: Target, data: bytes) -> None:
    """Run a target on an input: no other error than those promised, none with note text, and time by length alone."""
    begun = time.process_time()
    try:
        target.run(data)
    except ParsnlpError as error:
        silent(error)
        if error.__cause__ is not None or (error.__context__ is not None and not error.__suppress_context__):
            raise Fault("an error is chained to one that may quote its input") from error
    spent = time.process_time() - begun
    if spent > SECONDS + SECONDS_EACH * len(data):
        raise Fault(f"took {spent:.1f} s of processor time for {len(data)} bytes")


def silent(told: object) -> None:
    """Hold a message to its promise: nothing of a note in it."""
    if CANARY.casefold() in str(told).casefold():
        raise Fault("a message quotes its input")


def fault(told: str, holds: bool) -> None:
    if not holds:
        raise Fault(told)


@functools.cache
def module(name: str) -> ModuleType:
    """A test module, for the samples in it."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, TESTS / name)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@functools.cache
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


# --- the extractor ----------------------------------------------------------------------------------------------------


def text_of(data: bytes) -> str:
    """Any text, lone surrogates among it: each byte that is no UTF-8 becomes one."""
    return data.decode("utf-8", "surrogateescape")


def quoted(value: Any, document: str | None = None) -> Iterator[tuple[str | None, int, int, str]]:
    """Every (document, start, end, text) anywhere inside a result."""
    if isinstance(value, BaseModel):
        document = getattr(value, "document", document)
        if hasattr(value, "start"):
            yield document, value.start, value.end, value.text  # type: ignore[attr-defined]
        for name in type(value).model_fields:
            yield from quoted(getattr(value, name), document)
    elif isinstance(value, tuple):
        for child in value:
            yield from quoted(child, document)


def spans(result: parsnlp.Result, texts: dict[str, str]) -> None:
    for document, start, end, words in quoted(result):
        fault("a span is not its words", 0 <= start < end and texts[str(document)][start:end] == words)


def exact(result: parsnlp.Result, texts: dict[str, str]) -> None:
    spans(result, texts)
    told = repr(result)
    for name in (result.id, *texts):  # a name is its giver's, and shown; an HL7 message names its documents itself
        told = told.replace(repr(name)[1:-1], "")
    silent(told)


def note(data: bytes) -> None:
    text = text_of(data)
    result = extractor().extract(text, what_if=True)
    exact(result, {"note": text})
    fault("exhaustive reading differs", extractor().extract(text, exhaustive=True, what_if=True) == result)
    json.loads(result.to_json().encode())
    silent(result.to_json(text=False))
    in_units = utf16.in_utf16(result, [Note(text=text)])
    wide = text.encode("utf-16-le", "surrogatepass")
    for _, start, end, words in quoted(in_units):
        fault(
            "a span in UTF-16 is not its words", wide[2 * start : 2 * end] == words.encode("utf-16-le", "surrogatepass")
        )


def encounter(data: bytes) -> None:
    parts = data.split(b"\x1e")[:6]
    kinds = (None, *reading.KINDS)
    notes = [
        Note(id=f"d{number}", text=text_of(part[1:]), kind=kinds[part[0] % len(kinds)] if part else None)
        for number, part in enumerate(parts)
    ]
    result = extractor().extract_encounter(notes, what_if=True)
    exact(result, {item.id: item.text for item in notes})
    claim = [code.code for code in result.codes] or ["M43.06"]
    exact(extractor().audit(notes, claim), {item.id: item.text for item in notes})


def notes_of_corpus() -> list[bytes]:
    invariants = module("test_invariants.py")
    return [f"{text[:1500]}\n{CANARY}".encode("utf-8", "surrogateescape") for text in invariants.texts()[:60]]


def fragments() -> list[bytes]:
    invariants = module("test_invariants.py")
    words = (*invariants.FRAGMENTS, *invariants.GLUE, *(odd[:20] for odd in invariants.ODD))
    spoken = [example.text for rule in rules.load().rules for example in rule.examples[:1]]
    return [word.encode("utf-8", "surrogatepass") for word in (*words, *spoken, CANARY)]


# --- documents --------------------------------------------------------------------------------------------------------


def document(ending: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        for item in files.notes(data, f"note{ending}", "note"):
            if isinstance(item, Failure):
                silent(item.says)
                continue
            silent(item.notices)
            exact(extractor().extract_encounter(item.notes), {one.id: one.text for one in item.notes})

    return run


def inside_word(data: bytes) -> None:
    """The XML of a Word document that is otherwise in order: the fuzzer cannot mend a zip's sums."""
    sample, _ = module("interfaces/test_formats.py").WHOLE["docx"]
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sample)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, data if name == "word/document.xml" else old.read(name))
    document(".docx")(made.getvalue())


def samples(ending: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        whole = module("interfaces/test_formats.py").WHOLE.values()
        found = [data for data, its in whole if its.lower() == ending]
        return [*found, *(data.replace(b"gymnast", CANARY.encode()) for data in found)]

    return seeds


def word_xml() -> list[bytes]:
    sample, _ = module("interfaces/test_formats.py").WHOLE["docx"]
    with zipfile.ZipFile(io.BytesIO(sample)) as archive:
        return [archive.read("word/document.xml").replace(b"gymnast", CANARY.encode())]


def tags(*given: str) -> Callable[[], list[bytes]]:
    return lambda: [*(tag.encode("latin-1") for tag in given), CANARY.encode(), b"L5 pars defects"]


def signs(*given: str) -> Callable[[], list[bytes]]:
    """Words of a file that is no note, and that messages may quote."""
    return lambda: [sign.encode() for sign in given]


XML = tags("<!DOCTYPE a [<!ENTITY b 'c'>]>", "&#x0;", "&amp;", "<![CDATA[", "]]>", "<!--", "-->", "<?xml ", "xmlns=''")
WORD = tags(
    "<w:p>", "</w:p>", "<w:tbl>", "<w:tr>", "<w:tc>", "<w:del>", "<w:ins>", "<w:vanish/>", "<w:txbxContent>", "<w:t>"
)
RTF = tags(
    "\\par",
    "\\u-10179?",
    "\\'e9",
    "{\\*",
    "\\bin9999999",
    "\\ucn",
    "\\uc0",
    "\\ansicpg1252",
    "{",
    "}",
    "\\row",
    "\\cell",
)
HTML = tags(
    "<table>",
    "<tr>",
    "<td>",
    "<script>",
    "<!--",
    "<style>",
    "&#0;",
    "&amp",
    "<pre>",
    "<br>",
    "<template>",
    "<p hidden>",
)
HL7 = tags(
    "MSH|^~\\&|", "OBX|1|TX|", "OBX|1|ED|", "\\.br\\", "\\X0D\\", "\\E\\", "\r", "PID|", "TXA|", "^Base64^", "OBR|"
)
PDF = tags(
    "BT",
    "ET",
    "Tj",
    "TJ",
    "/Filter /FlateDecode",
    "/ASCIIHexDecode",
    "endobj",
    "endstream",
    "/ToUnicode",
    "xref",
    "/ObjStm",
)
JSON = tags(
    '"resourceType":"DocumentReference"', '"resourceType":"Bundle"', '"resourceType":"DiagnosticReport"', '"entry":', '"data":',
    '"attachment":', '"content":', '"contained":', "null", "1e999", "[[[[", '"\\ud800"', '"text":', '"documents":', '"codes":',
    '"policy":', '"prefetch":', '"context":', '"hook":', "NaN", '"kind":"radiology"', '"date":"2026-02-29"', '"presentedForm":',
)  # fmt: skip


# --- tables -----------------------------------------------------------------------------------------------------------


def table(ending: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=scratch()) as folder:
            path = Path(folder) / f"t{ending}"
            path.write_bytes(data)
            for row in rows.rows(path, limit=1 << 20):
                if isinstance(row, Failure):
                    silent(row.says)
                    continue
                try:
                    reading.note(row.fields)
                except ParsnlpError as error:
                    silent(error)
            if ending == ".csv":
                (Path(folder) / "n.txt").write_text("L5 pars defects.", encoding="utf-8")
                for item in encounters.encounters(path):
                    # What stands before the last colon names the encounter, as its id may be named.
                    silent(item.says.rpartition(": ")[2] if isinstance(item, Failure) else "")

    return run


@functools.cache
def scratch() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def lines() -> list[bytes]:
    made = [
        {"id": 1, "text": f"L5 pars defects. {CANARY}"},
        {"id": "b", "text": "x", "date": "2026-01-02", "kind": "pt"},
    ]
    return ["\n".join(map(json.dumps, made)).encode(), b'{"text": "\\ud800"}\n\n[1]\n"' + CANARY.encode() + b'"']


MANIFEST = ("encounter", "note", "text", "date", "kind", "author", "setting", "patient")


def manifest(data: bytes) -> None:
    """A manifest of JSON lines, beside a note that it may name."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        (Path(folder) / "n.txt").write_text(f"L5 pars defects. {CANARY}", encoding="utf-8")
        path = Path(folder) / "t.jsonl"
        path.write_bytes(data)
        for item in encounters.encounters(path):
            silent(item.says.rpartition(": ")[2] if isinstance(item, Failure) else item.notices)


def charts() -> list[bytes]:
    whole = {"encounter": "a", "note": "n.txt", "date": "2026-01-02", "kind": "progress", "author": "nurse"}
    typed = {"encounter": 1, "text": f"x {CANARY}", "setting": "inpatient", "patient": "p"}
    return ["\n".join(map(json.dumps, (whole, {**whole, "note": "m.pdf"}, typed))).encode()]


def claimed(data: bytes) -> None:
    """A table of claims, and a note held against each."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder) / "claims.csv"
        path.write_bytes(data)
        found = encounters.claims(path)
    note = Note(text="L5 pars defects, grade 1 anterolisthesis of L5 on S1.")
    for codes in list(found.values())[:20]:
        spans(extractor().audit([note], codes), {note.id: note.text})


def procedures(data: bytes) -> None:
    necessity.read_procedures(reading.decode(data, "p.csv").text, "p.csv")


def concepts(data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder) / "concepts.csv"
        path.write_bytes(data)
        omop.read_numbers(path, "term", "concept_id")


def cells() -> list[bytes]:
    heading = "encounter,note,text,date,kind"
    return [
        f'{heading}\n1,,"L5 pars defects, ""{CANARY}""\nnext",2026-01-02,pt\n2,n.txt,,,\n'.encode(),
        f"{heading}\n1,,{CANARY},{CANARY},{CANARY}\n".encode("utf-16"),
    ]


def columns() -> list[bytes]:
    import pyarrow
    from pyarrow import parquet

    made = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": [1, 2], "text": [f"L5 pars defects {CANARY}", None]}), made)
    return [made.getvalue()]


def packed() -> list[bytes]:
    return [gzip.compress(each, mtime=0) for each in lines()] + [gzip.compress(b"", mtime=0) * 2]


def squeezed() -> list[bytes]:
    import zstandard

    return [zstandard.ZstdCompressor().compress(each) for each in lines()]


# --- rules, code sets, gold -------------------------------------------------------------------------------------------


def rule_files(data: bytes) -> None:
    """A file of rules in a folder of the user's, and what its patterns then do to a text."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder) / "targets" / "own.yaml"
        path.parent.mkdir()
        path.write_bytes(data)
        rules.load(folder, shipped=False)


def own_rules() -> list[bytes]:
    root = rules.patterns_root()
    return [
        (root / "targets" / "decoys.yaml").read_bytes()[:2000].rpartition(b"\n  - id")[0],
        b"category: decoy\nrules:\n  - id: own.a\n    pattern: ['a+ {level}', \"b(?=c)\"]\n    examples: |\n      [[a L5]]\n"
        b"    counter_examples: |\n      c\n",
    ]


def tabular_xml(data: bytes) -> None:
    tabular.parse(data, "tabular.xml")


def small_tabular() -> list[bytes]:
    return [
        b'<?xml version="1.0"?><ICD10CM.tabular><version>2026</version><chapter><name>13</name><desc>Musculo</desc>'
        b'<section id="M40-M43"><desc>D</desc><diag><name>M43</name><desc>Other</desc><excludes1><note>x (Q76.3)</note>'
        b'</excludes1><diag><name>M43.0</name><desc>Spondylolysis</desc><sevenChrDef><extension char="A">initial</extension>'
        b"</sevenChrDef></diag></diag></section></chapter></ICD10CM.tabular>"
    ]


def edition(data: bytes) -> None:
    """An edition of the code set as `codes import` keeps it."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder, pytest.MonkeyPatch.context() as patch:
        (Path(folder) / "icd10cm-2030-10-01.json").write_bytes(data)
        patch.setenv("PARSNLP_CODES", folder)
        patch.setattr(icd10cm, "shipped", carried)
        for found in icd10cm.editions.__wrapped__():
            found.codes()
            found.entry("S32.058A")


@functools.cache
def carried() -> list[str]:
    """An edition of few codes."""
    table = json.loads(icd10cm.shipped()[-1])
    table["rows"] = [row for row in table["rows"] if row["code"].startswith(("M43.0", "S32.05"))]
    table["icd9"]["rows"], table["drg"]["rows"] = table["icd9"]["rows"][:2], table["drg"]["rows"][:2]
    return [json.dumps(table)]


def small_editions() -> list[bytes]:
    return [carried()[0].encode()]


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """Hold what is told of a file to its promise, line by line: a field, an id or a file may be named."""
    try:
        yield
    except ParsnlpError as error:
        for line in str(error).splitlines():
            silent("" if ": the id '" in line else line.rpartition(": ")[2])


def gold_rows(data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        (Path(folder) / "gold.jsonl").write_bytes(data)
        for read in (gold.read_file, gold.read_annotations):
            with problems():
                read(Path(folder) / "gold.jsonl")


def gold_archive(data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        (Path(folder) / "gold.zip").write_bytes(data)
        gold.read_archive(Path(folder) / "gold.zip")


def gold_seeds() -> list[bytes]:
    text = f"L5 pars defects. {CANARY}"
    row = {
        "id": "a", "text": text, "codes": ["M43.06"], "kind": "radiology", "setting": "outpatient", "encounter_date": "2026-01-02",
        "mentions": [{"condition": "spondylolysis", "assertion": "affirmed", "start": 3, "end": 15, "text": "pars defects"}],
        "attributes": {"spondylolysis": {"levels": ["L5"]}}, "services": [{"kind": "imaging", "status": "done"}],
    }  # fmt: skip
    whole = {
        "id": "e",
        "documents": [{"id": "a", "text": text}],
        "claim": ["M43.06"],
        "claim_edits": [{"code": "x", "kind": "y"}],
    }
    return [json.dumps(row).encode(), json.dumps(whole).encode()]


def gold_zips() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", method) as archive:
            archive.writestr("gold.jsonl", json.dumps({"id": "a", "file": "../n.txt", "codes": []}))
            archive.writestr("../n.txt", CANARY)
        found.append(made.getvalue())
    return found


# --- what annotators hand in ------------------------------------------------------------------------------------------

PART = b"\x1e"
ANNOTATED = {
    "brat": ("a.txt", "a.ann"), "docbin": ("notes.spacy",), "doccano": ("notes.jsonl",), "inception": ("TypeSystem.xml", "a.xmi"),
    "label-studio": ("tasks.json",), "prodigy": ("notes.jsonl",),
}  # fmt: skip
"""The files that a tool is read by, in the order in which an input has them."""


def annotated(format: str) -> Callable[[bytes], None]:
    """What a tool has exported: what is read of it can be written as gold, and that read again is the same."""

    def run(data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=scratch()) as folder:
            for name, part in zip(ANNOTATED[format], data.split(PART), strict=False):
                (Path(folder) / name).write_bytes(part)
            with problems():
                found = exchange.read(Path(folder), format)
                for row in found:
                    for each in row.mentions or ():
                        fault("a mention is no stretch of its text", 0 <= each.start < each.end <= len(row.text))
                again = Path(folder) / "gold.jsonl"
                again.write_bytes(exchange.gold_lines(found).encode())
                fault(
                    "the gold written is not what was read",
                    exchange.gold_lines(gold.read_file(again)).encode() == again.read_bytes(),
                )

    return run


def handed(format: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        text = f"\U0001f642 CT: L5 pars defects,\r\nno slip. {CANARY}"
        mentions = (
            GoldMention(condition="spondylolysis", assertion="affirmed", start=9, end=21),
            GoldMention(condition="spondylolisthesis", assertion="negated", start=27, end=31),
        )
        made = []
        for some in (mentions, ()):
            row = GoldNote(
                id="a", text=text, codes=("M43.06",), kind="radiology", encounter_date="2026-01-02", mentions=some
            )
            with tempfile.TemporaryDirectory(dir=scratch()) as folder:
                exchange.export([row], format, Path(folder) / "out")
                made.append(PART.join((Path(folder) / "out" / name).read_bytes() for name in ANNOTATED[format]))
        return made

    return seeds


TOOLS = signs("\x1e", "T1\t", "A1\tAssertion T1 ", "spondylolysis", "affirmed", "spondylolysis/affirmed", " 0 3;5 9\t", '"label":', '"spans":', '"meta":', '"note":', "null", "1e999", "9" * 60, '"\\ud800"', '"from_name": "codes"', "<!DOCTYPE a [<!ENTITY b 'c'>]>", 'codes="')  # fmt: skip


# --- what a batch has written, and what coders decided ----------------------------------------------------------------


def looked_at(out: Path) -> None:
    """All that reads an output: the summary, the worklist, each item's view."""
    summary.summarise(out)
    work = worklist.Worklist(out)
    work.load()
    silent(work.problem)
    listed = work.listed({})
    work.choices()
    work.numbers(item["id"] for item in listed["items"])
    for item in listed["items"][:5]:
        found = work.item(item["number"])
        if found is not None:
            with contextlib.suppress(Problem):
                engine().answers.told(found)


def output(data: bytes) -> None:
    """An output as JSON lines, with what the folder of its run tells of its inputs and of itself."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        out = Path(folder) / "out.jsonl"
        results, *told = data.split(PART)
        out.write_bytes(results)
        if told:
            outputs.run_folder(out).mkdir()
        for name, part in zip(("inputs.jsonl", "run.json"), told, strict=False):
            (outputs.run_folder(out) / name).write_bytes(part)
        looked_at(out)


def results(data: bytes) -> None:
    """A file of results, as diff and export read it."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder) / "results.jsonl"
        path.write_bytes(data)
        holding.held(path)
        for result in holding.results(path):
            result.to_json()


@functools.cache
def sample() -> parsnlp.Result:
    return extractor().extract(f"CT: L5 pars defects. {CANARY}")


def written() -> list[bytes]:
    line = sample().to_json().encode()
    inputs = [
        {"number": 0, "state": "done", "id": "note", "where": "n.txt", "sha256": "0" * 64},
        {
            "number": 1,
            "state": "failed",
            "id": "b",
            "where": "b.txt",
            "sha256": None,
            "stage": "read",
            "reason": "no text",
        },
    ]
    facts = {"sources": ["n.txt"], "options": {"max_size": 9, "columns": {"text": "text"}}, "counts": {"done": 1}}
    return [line, PART.join([line, "\n".join(map(json.dumps, inputs)).encode(), json.dumps(facts).encode()])]


def output_table(data: bytes) -> None:
    """An output as CSV of which one table, chosen by the first byte, is another."""
    names = [*outputs.TABLES]
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        out = Path(folder) / "out.csv"
        out.mkdir()
        for name, content in output_tables().items():
            (out / f"{name}.csv").write_bytes(content)
        (out / f"{names[data[0] % len(names) if data else 0]}.csv").write_bytes(data[1:])
        looked_at(out)


@functools.cache
def output_tables() -> dict[str, bytes]:
    """The tables of a small output, by name."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        results, inputs, _ = written()[1].split(PART)
        part = outputs.Part(Path(folder) / "r", Path(folder) / "i")
        part.results.write_bytes(results)
        part.inputs.write_bytes(inputs)
        outputs.write("csv", Path(folder) / "o", [part], {"sources": ["n.txt"]})
        return {name: (Path(folder) / "o" / f"{name}.csv").read_bytes() for name in outputs.TABLES}


def output_database(data: bytes) -> None:
    """An output as DuckDB: with bytes changed (from 0x80 on: places and bytes in turn), or one table, chosen by the first
    byte, with columns and rows of any types, as DuckDB itself reads them from the CSV that follows."""
    import duckdb

    names = [*outputs.TABLES]
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        out, table = Path(folder) / "out.duckdb", Path(folder) / "table.csv"
        made = bytearray(small_database())
        if data[:1] >= b"\x80":
            for at in range(1, len(data) - 11, 12):
                place = int.from_bytes(data[at : at + 4], "little") % len(made)
                made[place : place + 8] = data[at + 4 : at + 12]
            out.write_bytes(made)
        else:
            out.write_bytes(made)
            table.write_bytes(data[1:])
            name = names[data[0] % len(names) if data else 0]
            with duckdb.connect(out) as database, contextlib.suppress(duckdb.Error):
                database.execute(f"CREATE OR REPLACE TABLE \"{name}\" AS FROM read_csv('{table}')")
        looked_at(out)


@functools.cache
def small_database() -> bytes:
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        results, inputs, _ = written()[1].split(PART)
        part = outputs.Part(Path(folder) / "r", Path(folder) / "i")
        part.results.write_bytes(results)
        part.inputs.write_bytes(inputs)
        outputs.write("duckdb", Path(folder) / "o.duckdb", [part], {"sources": ["n.txt"]})
        return (Path(folder) / "o.duckdb").read_bytes()


def taken(data: bytes) -> None:
    """A file of decisions that somebody else has made."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder) / "decisions.sqlite"
        path.write_bytes(data)
        kept = decisions.Decisions(path)
        reads: list[Callable[[], object]] = [
            kept.check, kept.states, kept.rates, lambda: list(decisions.jsonl(kept)), lambda: list(decisions.csv(kept)),
            lambda: list(decisions.gold(kept, lambda of: None)),
        ]  # fmt: skip
        for read in reads:
            try:
                read()
            except ParsnlpError as error:
                silent(error)


def decided() -> tuple[decisions.Item, list[decisions.Decision], dict[str, str]]:
    note = Note(text=f"CT: L5 pars defects. {CANARY}")
    item = decisions.item(extractor().extract(note), [note])
    wrong = decisions.Mention(document="note", start=8, end=20, condition="spondylolysis", assertion="affirmed")
    made = [
        decisions.Decision(act="accept", code=item.codes[0].code),
        decisions.Decision(act="wrong", mention=wrong, reason="as I see it"),
    ]
    return item, made, {"note": note.text}


def taken_files() -> list[bytes]:
    """A file with small pages, so that what it holds is no small part of it."""
    item, made, texts = decided()
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder) / "decisions.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA page_size = 512")
            database.execute("VACUUM")
        for decision in made:
            decisions.Decisions(path).take(item, decision, texts)
        return [path.read_bytes()]


# --- the service ------------------------------------------------------------------------------------------------------

PATHS = (
    "/v1/extract", "/v1/encounter", "/v1/audit", "/v1/batch", "/fhir/$extract", "/cds-services/parsnlp-note-sign",
    "/cds-services/parsnlp-encounter-discharge", "/cds-services/parsnlp-note-sign/feedback",
    "/cds-services/parsnlp-encounter-discharge/feedback", "/page/view", "/page/decided", "/page/decide",
)  # fmt: skip
_MEDIA = {"/v1/batch": "application/x-ndjson", "/fhir/$extract": "application/fhir+json"}


class Inline:
    """The service's engine without processes, so that an error is seen where it is raised."""

    ready = True

    def __init__(self) -> None:
        self.answers = warm(Settings())

    async def answer(self, method: str, *arguments: object) -> Answer:
        made: Answer = getattr(self.answers, method)(*arguments)
        return made

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


@functools.cache
def engine() -> Inline:
    return Inline()


@functools.cache
def service() -> Any:
    return application(Settings(decisions=kept_decisions(), keep_notes=True), engine())


@functools.cache
def kept_decisions() -> Path:
    place = tempfile.TemporaryDirectory(dir=scratch())
    atexit.register(place.cleanup)
    return Path(place.name) / "decisions.sqlite"


def body(data: bytes) -> None:
    """A request: its first byte chooses the path and how offsets count, the rest is its body."""
    first = data[0] if data else 0
    path = PATHS[first % len(PATHS)]

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(service(), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4306") as client:
            headers = {"Content-Type": _MEDIA.get(path, "application/json"), "Sec-Fetch-Site": "same-origin"}
            query = "?offsets=utf16" if first & 64 and path.startswith("/v1") else ""
            return await client.post(path + query, content=data[1:], headers=headers)

    kept_decisions().unlink(missing_ok=True)  # those of earlier inputs would take ever more time
    answered = asyncio.run(ask())
    fault(f"{path}: status {answered.status_code}", answered.status_code < 500)
    if answered.status_code >= 400:
        silent(answered.text)
    for line in answered.text.splitlines() if path == "/v1/batch" else [answered.text]:
        found = json.loads(line)
        fault(f"{path}: a line failed", not isinstance(found, dict) or found.get("status") != 500)
    silent(answered.headers)


def requests() -> list[bytes]:
    """The examples that the service's own description gives for each path, a batch with bad lines, what the page asks."""
    from parsnlp.interfaces.service import openapi, records, v1

    item, some, texts = decided()
    facts = item.model_dump(mode="json")
    asked = [("/page/view", {"documents": [{"text": texts["note"]}]}), ("/page/decided", facts)]
    asked += [
        ("/page/decide", {"item": facts, "decision": each.model_dump(mode="json"), "texts": texts}) for each in some
    ]
    made = [bytes([PATHS.index(path)]) + json.dumps(sent).encode() for path, sent in asked]
    made.append(bytes([PATHS.index("/v1/batch")]) + b"\n".join(lines()))
    for door in (v1.operations, records.operations):
        for operation in door(engine(), Settings()):
            for name, example in operation.examples.items() if operation.takes else ():
                path = operation.path.replace("{service}", name)
                sent = openapi.sent(example)
                text = sent if isinstance(sent, str) else json.dumps(sent)
                made.append(bytes([PATHS.index(path)]) + text.replace("L5 ", f"L5 {CANARY} ").encode())
    return made


# --- all of them: a line each -----------------------------------------------------------------------------------------

TARGETS = {
    "note": Target(note, notes_of_corpus, fragments),
    "encounter": Target(encounter, lambda: [b"\0" + b"\x1e\x01".join(notes_of_corpus()[:2])], fragments),
    "docx": Target(document(".docx"), samples(".docx"), tags("PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "word/document.xml")),
    "docx inside": Target(inside_word, word_xml, WORD),
    "pdf": Target(document(".pdf"), samples(".pdf"), PDF),
    "rtf": Target(document(".rtf"), samples(".rtf"), RTF),
    "html": Target(document(".html"), samples(".html"), HTML),
    "cda": Target(document(".xml"), samples(".xml"), XML),
    "hl7": Target(document(".hl7"), samples(".hl7"), HL7),
    "fhir": Target(document(".json"), samples(".json"), JSON),
    "txt": Target(document(".txt"), lambda: [*notes_of_corpus()[:5], b"\xff\xfea\0", b"\xef\xbb\xbfa"], fragments),
    "jsonl": Target(table(".jsonl"), lines, JSON),
    "csv": Target(table(".csv"), cells, tags('"', '""', ",", "\r\n", "\0", "\xff\xfe", "encounter", "note", "n.txt")),
    "parquet": Target(table(".parquet"), columns),
    "gz": Target(table(".jsonl.gz"), packed),
    "zst": Target(table(".jsonl.zst"), squeezed),
    "manifest": Target(manifest, charts, JSON),
    "claims": Target(claimed, lambda: [b"encounter,codes\n1,\"M43.06, M43.17\"\n2,M99;S32.058A\n"], signs('"', ",", ";", "\r\n", "\0", "encounter", "code", "M43.06", "M4")),
    "procedures": Target(procedures, lambda: [b"kind,modality,region,procedure\nimaging,ct,lumbar,00001\nbrace,,,L1\n"], signs('"', ",", "\r\n", "\0", "kind", "procedure")),
    "concepts": Target(concepts, lambda: [b"term,concept_id\nspondylolysis,12\nplan,9\n"], signs('"', ",", "\r\n", "\0", "term", "concept_id", "\u00b2")),
    **{name: Target(annotated(name), handed(name), TOOLS) for name in ANNOTATED},
    "output": Target(output, written, signs("\x1e", '"state":', '"done"', '"number":', "null", "[[[[", "9" * 30, '"codes":', '"evidence":', '"trail":')),
    "output table": Target(output_table, lambda: [bytes([at]) + each for at, each in enumerate(output_tables().values())], signs('"', ",", "\r\n", "\0", "true", "9" * 30, "2026-02-29", "; ")),
    "output database": Target(output_database, lambda: [b"\x80" + b"\x08\x10\0\0" + b"\xff" * 8, *(bytes([at]) + each for at, each in enumerate(output_tables().values()))], signs('"', ",", "\r\n", "\0", "true", "9" * 30, "2026-02-29", "; ", "1e999", "nan")),
    "results": Target(results, lambda: [sample().to_json().encode(), b'{"schema_version": "1"}\n'], JSON),
    "decisions": Target(taken, taken_files, signs("SQLite format 3\0", '"codes":', '"act":', "accept", "wrong", "null")),
    "edition": Target(edition, small_editions, signs("null", "[]", "{}", '"codes":', '"rows":', "[[[[", '"title":', "9" * 30)),
    "rules": Target(rule_files, own_rules, signs("{level}", "(?:", "[[", "]]", "\\b", "(?P<a>", "(?<=", "{1,9}", "*", "- id: own.b", "|\n")),
    "tabular": Target(tabular_xml, small_tabular, signs("<!DOCTYPE a [<!ENTITY b 'c'>]>", "&amp;", "<diag>", "<name>M43.1</name>", "</diag>")),
    "gold": Target(gold_rows, gold_seeds, JSON),
    "gold archive": Target(gold_archive, gold_zips, tags("PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "gold.jsonl")),
    "service": Target(body, requests, JSON),
}  # fmt: skip
