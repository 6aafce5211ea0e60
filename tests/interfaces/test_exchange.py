"""Out to annotation tools and back: every offset exact, proved by the tools' own libraries; what is malformed is told."""

from __future__ import annotations

import json
import random
import re
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cassis
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

import parsnlp
from parsnlp.errors import InputError
from parsnlp.evaluation import gold as golden
from parsnlp.evaluation.gold import GoldDocument, GoldMention, GoldNote
from parsnlp.interfaces import exchange
from parsnlp.interfaces.cli import app
from parsnlp.interfaces.exchange import common, docbin, inception, label_studio
from parsnlp.interfaces.exchange.tokens import tokenised
from parsnlp.models import Note

ROOT = Path(__file__).parents[2]
FORMATS = sorted(exchange.FORMATS)
CARRY_CODES = sorted(set(FORMATS) - {"brat"})


def marked(name: str, text: str, **fields: Any) -> GoldNote:
    """A row whose mentions stand in [[condition/assertion|words]]."""
    mentions, plain, at = [], "", 0
    for found in re.finditer(r"\[\[(\w+)/(\w+)\|(.*?)\]\]", text, re.S):
        plain += text[at : found.start()]
        start, at = len(plain), found.end()
        plain += found[3]
        mentions.append(GoldMention(condition=found[1], assertion=found[2], start=start, end=len(plain)))
    return GoldNote(id=name, text=plain + text[at:], mentions=tuple(mentions), **fields)


ROWS = (
    marked("plain", "CT: [[spondylolysis/affirmed|pars defects]] at L5.", codes=("M43.06",), kind="radiology"),
    marked("emoji 🙂/ü", "🙂🏴‍☠️ [[spondylolisthesis/negated|slip]]🙂[[spondylolysis/uncertain|lysis]] 🙂\n", codes=()),
    marked(
        "crlf",
        "A:\r\n[[spondylolisthesis/family|vertebral\r\nslip]] of mo\u0308ther\r\n\r\n[[spondylolysis/historical|pars\n\ndefect]]",
        setting="inpatient",
        encounter_date="2026-05-12",
    ),
    marked("inside", "x[[spondylolysis/generic|pars-defect]]y, z\u0301[[spondylolisthesis/hypothetical|slip ]]and"),
    marked(
        "marks", '<a&b>\u2028\u00a0\t[[spondylolysis/affirmed|"pars" defect\'s]]\u200b]]>', codes=("M43.06", "M43.16")
    ),
    marked("spaces", " [[spondylolysis/affirmed| lysis]]  [[spondylolisthesis/affirmed|  slip]] "),
    marked("nested", "[[traumatic_fracture/affirmed|L5 pars fracture]]").model_copy(
        update={
            "mentions": (
                GoldMention(condition="traumatic_fracture", assertion="affirmed", start=0, end=16),
                GoldMention(condition="spondylolysis", assertion="negated", start=3, end=7),
            )
        }
    ),
    marked("empty", ""),
    marked(".dots..", "none"),
)


def exported(tmp_path: Path, format: str, rows: Any = ROWS, by: str | None = None) -> Path:
    out = tmp_path / f"{format}-out"
    exchange.export(rows, format, out, by)
    return out


def essence(row: GoldNote) -> Any:
    return row.id, row.text, [(each.condition, each.assertion, each.start, each.end) for each in row.mentions or ()]


@pytest.mark.parametrize("format", FORMATS)
def test_what_comes_back_is_what_went_out(tmp_path: Path, format: str) -> None:
    back = {row.id: row for row in exchange.read(exported(tmp_path, format), format)}
    assert {name: essence(row) for name, row in back.items()} == {row.id: essence(row) for row in ROWS}
    for row in ROWS:
        if format in CARRY_CODES:
            kept = back[row.id]
            assert (kept.codes, kept.kind, kept.setting, kept.encounter_date) == (
                row.codes, row.kind, row.setting, row.encounter_date,
            )  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_rows_give_the_same_bytes_for_their_owner_alone(tmp_path: Path, format: str) -> None:
    (tmp_path / "again").mkdir()
    one, other = exported(tmp_path, format), exported(tmp_path / "again", format)
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in other.iterdir())
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in files)
    assert {stat.S_IMODE((one / name).stat().st_mode) for name in files} == {0o600}
    assert stat.S_IMODE(one.stat().st_mode) == 0o700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", one.name]


@pytest.mark.parametrize("format", FORMATS)
def test_a_development_corpus_goes_round(tmp_path: Path, format: str) -> None:
    rows = golden.read_file(ROOT / "corpora/dev/gold.jsonl")[:40]
    back = {row.id: row for row in exchange.read(exported(tmp_path, format, rows), format)}
    ordered = [
        row.model_copy(update={"mentions": tuple(sorted(row.mentions or (), key=lambda m: (m.start, m.end)))})
        for row in rows
    ]
    assert [essence(back[row.id]) for row in ordered] == [essence(row) for row in ordered]


# --- the tools' own libraries ---------------------------------------------------------------------------------------


def test_cassis_reads_the_words_and_the_file_counts_code_units(tmp_path: Path) -> None:
    out = exported(tmp_path, "inception")
    types = cassis.load_typesystem(out / "TypeSystem.xml")
    for row in ROWS:
        path = out / f"{common.file_name(row)}.xmi"
        cas = cassis.load_cas_from_xmi(path, types)
        found = sorted(cas.select(inception.MENTION), key=lambda each: each.begin)
        assert cas.sofa_string == row.text
        assert [each.get_covered_text() for each in found] == [row.text[m.start : m.end] for m in row.mentions or ()]
        units = row.text.encode("utf-16-le")
        written = re.findall(r'custom:Mention [^>]*begin="(\d+)" end="(\d+)"', path.read_text(encoding="utf-8"))
        assert sorted(units[2 * int(b) : 2 * int(e)].decode("utf-16-le") for b, e in written) == sorted(
            row.text[m.start : m.end] for m in row.mentions or ()
        )


def test_what_cassis_writes_anew_is_read(tmp_path: Path) -> None:
    """An annotator adds a mention: the tool saves the CAS with its own ids and order."""
    out = exported(tmp_path, "inception", ROWS[1:2])
    types = cassis.load_typesystem(out / "TypeSystem.xml")
    path = next(out.glob("*.xmi"))
    cas = cassis.load_cas_from_xmi(path, types)
    cas.add(types.get_type(inception.MENTION)(begin=0, end=1, condition="spondylolysis", assertion="affirmed"))
    cas.to_xmi(path)
    (row,) = exchange.read(out, "inception")
    assert [row.text[m.start : m.end] for m in row.mentions or ()] == ["🙂", "slip", "lysis"]


def test_spacy_reads_the_docbin(tmp_path: Path) -> None:
    data = (exported(tmp_path, "docbin") / "notes.spacy").read_bytes()
    docs = list(DocBin(store_user_data=True).from_bytes(data).get_docs(spacy.blank("en").vocab))
    assert [doc.text for doc in docs] == [row.text for row in ROWS]
    for doc, row in zip(docs, ROWS, strict=True):
        spans = [(span.text, span.label_, span.id_) for span in doc.spans["mentions"]]
        assert spans == [(row.text[m.start : m.end], m.condition, m.assertion) for m in row.mentions or ()]
        assert doc.user_data["id"] == row.id
    assert [len(doc.ents) for doc in docs] == [1, 2, 2, 2, 1, 2, 1, 0, 0]


def test_prodigy_tokens_make_a_doc_in_which_every_span_fits(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (exported(tmp_path, "prodigy") / "notes.jsonl").open(encoding="utf-8")]
    for line in lines:
        tokens = line["tokens"]
        doc = Doc(spacy.blank("en").vocab, [t["text"] for t in tokens], [t["ws"] for t in tokens])
        assert doc.text == line["text"]
        assert [(t["start"], t["end"]) for t in tokens] == [(t.idx, t.idx + len(t.text)) for t in doc]
        for span in line["spans"]:
            fitted = doc.char_span(span["start"], span["end"])
            assert (fitted.start, fitted.end - 1) == (span["token_start"], span["token_end"])


def test_doccano_counts_code_units_as_a_browser_does(tmp_path: Path) -> None:
    for line in (exported(tmp_path, "doccano") / "notes.jsonl").open(encoding="utf-8"):
        note = json.loads(line)
        row = next(row for row in ROWS if row.id == note["note"])
        units = note["text"].encode("utf-16-le")
        words = [units[2 * start : 2 * end].decode("utf-16-le") for start, end, _ in note["label"]]
        assert words == [row.text[m.start : m.end].replace("\r", " ") for m in row.mentions or ()]
        assert "\r" not in note["text"]  # a browser makes one character of CRLF


def test_an_offset_in_code_units_is_found_without_going_through_the_whole_text() -> None:
    looks = 0

    class Watched(list[int]):
        def __getitem__(self, at: Any) -> Any:
            nonlocal looks
            looks += 1
            return super().__getitem__(at)

    places = Watched(common.utf16_places("\U0001f642" * 10_000))
    assert [common.from_utf16(places, offset) for offset in (0, 9_999, 10_000, 20_000)] == [0, None, 5_000, 10_000]
    assert looks < 200


def test_doccano_exports_with_entities_and_meta_are_read(tmp_path: Path) -> None:
    entity = {"id": 9, "label": "spondylolysis/negated", "start_offset": 3, "end_offset": 7}
    lines = [
        {"id": 1, "text": "🙂 pars", "entities": [entity], "relations": [], "Comments": [], "note": "a", "codes": []},
        {"id": 2, "text": "🙂 pars", "label": [[3, 7, "spondylolysis/negated"]], "meta": {"note": "b", "kind": "ed"}},
    ]
    path = tmp_path / "all.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    one, other = exchange.read(path, "doccano")
    assert (one.id, one.codes, other.id, other.codes, other.kind) == ("a", (), "b", None, "ed")
    assert essence(one)[2] == essence(other)[2] == [("spondylolysis", "negated", 2, 6)]


def test_brat_fragments_cover_no_line_end_and_are_joined_by_a_space(tmp_path: Path) -> None:
    out = exported(tmp_path, "brat", [row for row in ROWS if row.id == "crlf"])
    text = (out / "crlf.txt").read_bytes().decode("utf-8")
    lines = (out / "crlf.ann").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "T1\tspondylolisthesis 4 13;15 19\tvertebral slip"
    for line in lines[::2]:
        _, places, words = line.split("\t")
        pieces = [text[int(a) : int(b)] for a, b in (piece.split() for piece in places.split(" ", 1)[1].split(";"))]
        assert " ".join(pieces) == words
    configuration = (out / "annotation.conf").read_text(encoding="utf-8")
    assert "Value:affirmed|negated|uncertain|hypothetical|historical|family|generic" in configuration


def test_brat_reads_what_annotators_make(tmp_path: Path) -> None:
    """Fragments with words between them, other kinds of lines, lines that Windows ended."""
    (tmp_path / "a.txt").write_bytes(b"pars of L5 defect\r\nslip")
    (tmp_path / "a.ann").write_bytes(
        b"T2\tspondylolisthesis 19 23\tslip\r\nT1\tspondylolysis 0 4;11 17\tpars defect\r\nA1\tAssertion T1 affirmed\r\n"
        b"M2\tAssertion T2 negated\r\n#1\tAnnotatorNotes T1\tsee film\r\nR1\tsame Arg1:T1 Arg2:T2\t\r\n"
    )
    (row,) = exchange.read(tmp_path, "brat")
    assert essence(row)[2] == [("spondylolysis", "affirmed", 0, 17), ("spondylolisthesis", "negated", 19, 23)]


def test_label_studio_reads_what_is_submitted_and_no_suggestion(tmp_path: Path) -> None:
    out = exported(tmp_path, "label-studio", ROWS[:2], by="parsnlp")
    tasks = json.loads((out / "tasks.json").read_bytes())
    assert [len(task["predictions"]) for task in tasks] == [1, 1] and "annotations" not in tasks[0]
    with pytest.raises(InputError, match="holds no annotated note"):
        exchange.read(out, "label-studio")
    submitted = {**tasks[1], "annotations": [{"result": tasks[1]["predictions"][0]["result"]}]}
    skipped = {**tasks[0], "annotations": [{"was_cancelled": True, "result": []}]}
    (out / "tasks.json").write_text(json.dumps([skipped, submitted]), encoding="utf-8")
    assert [essence(row) for row in exchange.read(out, "label-studio")] == [essence(ROWS[1])]


def test_label_studio_offsets_in_code_units_are_known_by_their_quotation(tmp_path: Path) -> None:
    task = json.loads((exported(tmp_path, "label-studio", ROWS[1:2]) / "tasks.json").read_bytes())[0]
    places = common.utf16_places(ROWS[1].text)
    for region in task["annotations"][0]["result"]:
        if "start" in region["value"]:
            region["value"] |= {key: common.to_utf16(places, region["value"][key]) for key in ("start", "end")}
    path = tmp_path / "old.json"
    path.write_text(json.dumps([task]), encoding="utf-8")
    assert essence(exchange.read(path, "label-studio")[0]) == essence(ROWS[1])


def test_a_label_studio_quotation_is_looked_for_only_where_it_may_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many regions over a long text, each with few words: the text is not gone through for each."""
    letters = 0

    def flat(text: str) -> str:
        nonlocal letters
        letters += len(text)
        return "".join(text.replace("\\n", "\n").split())

    monkeypatch.setattr(label_studio, "_flat", flat)
    text = "Pars defects\nnow. " * 1_000
    regions = [
        {"id": str(at), "from_name": "condition", "value": {"start": at, "end": end, "text": words, "labels": ["x"]}}
        for at in range(100)
        for end, words in ((len(text), "Pars"), (at + 12, text[at : at + 12].replace("\n", "\\n")))
    ]
    (tmp_path / "tasks.json").write_text(json.dumps([{"data": {"text": text}, "annotations": [{"result": regions}]}]))
    with pytest.raises(InputError, match="its label is none of"):
        exchange.read(tmp_path, "label-studio")
    assert 100 * 24 <= letters < 100 * 30


def test_prodigy_passes_over_what_was_not_accepted(tmp_path: Path) -> None:
    (tmp_path / "found").mkdir()
    out = exported(tmp_path, "prodigy", ROWS[:3])
    lines = [json.loads(line) for line in (out / "notes.jsonl").open(encoding="utf-8")]
    for line, answer in zip(lines, ("reject", "accept", "ignore"), strict=True):
        line["answer"] = answer
    (out / "notes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert [row.id for row in exchange.read(out, "prodigy")] == [ROWS[1].id]
    with pytest.raises(InputError, match="holds no annotated note"):  # what the rules found is no answer
        exchange.read(exported(tmp_path / "found", "prodigy", by="parsnlp"), "prodigy")


# --- rows -----------------------------------------------------------------------------------------------------------


def test_results_become_rows_with_codes_where_a_note_stands_alone() -> None:
    extractor = parsnlp.load()
    alone = Note(text="CT: L5 pars defects. No slip.", id="a", kind="radiology", date="2026-05-12")
    (row,) = exchange.of_result(extractor.extract(alone), [alone])
    assert (row.codes, row.kind, row.encounter_date) == (("M43.06",), "radiology", "2026-05-12")
    assert [(row.text[m.start : m.end], m.assertion) for m in row.mentions or ()] == [
        ("pars defects", "affirmed"),
        ("slip", "negated"),
    ]
    notes = [alone, Note(text="Spondylolysis of L5.", id="b", encounter="e")]
    rows = exchange.of_result(extractor.extract_encounter(notes), notes)
    assert [(row.id, row.codes, len(row.mentions or ())) for row in rows] == [("a/a", None, 2), ("a/b", None, 1)]


def test_the_documents_of_an_encounter_go_out_one_by_one(tmp_path: Path) -> None:
    row = GoldNote(
        id="e",
        codes=("M43.06",),
        documents=(GoldDocument(id="a", text="Pars defect."), GoldDocument(id="b", text="No slip.", kind="ed")),
        mentions=(GoldMention(condition="spondylolisthesis", assertion="negated", start=3, end=7, document="b"),),
    )
    back = exchange.read(exported(tmp_path, "inception", [row]), "inception")
    assert [(each.id, each.kind, each.codes, len(each.mentions or ())) for each in back] == [
        ("e/a", None, None, 0),
        ("e/b", "ed", None, 1),
    ]


def test_onto_gold_adds_what_a_tool_does_not_carry(tmp_path: Path) -> None:
    gold = golden.read_file(ROOT / "corpora/dev/gold.jsonl")[:5]
    back = exchange.read(exported(tmp_path, "brat", gold), "brat")
    merged = exchange.onto(back, gold)
    assert [(row.codes, row.attributes, row.queries) for row in merged] == [
        (row.codes, row.attributes, row.queries) for row in gold
    ]
    path = tmp_path / "gold.jsonl"
    path.write_text(exchange.gold_lines(merged), encoding="utf-8")
    read = golden.read_file(path)
    assert [(essence(row), row.codes, row.attributes, row.review) for row in read] == [
        (essence(row), row.codes, row.attributes, row.review) for row in merged
    ]
    with pytest.raises(InputError, match="no such note"):
        exchange.onto([marked("other", "text")], gold)
    with pytest.raises(InputError, match="another text"):
        exchange.onto([marked(gold[0].id, "text")], gold)


TEXTS = st.text(st.sampled_from("ab \n\r\t.,-🙂e\u0301\u200d\u2028é"), max_size=30)


@given(TEXTS, st.data())
@settings(max_examples=150, deadline=None)
def test_tokens_and_offsets_fit_any_text(text: str, data: st.DataObject) -> None:
    places = st.integers(0, len(text))
    cut = [sorted(pair) for pair in data.draw(st.lists(st.tuples(places, places), max_size=3))]
    mentions = [GoldMention(condition="spondylolysis", assertion="affirmed", start=a, end=b) for a, b in cut if a < b]
    tokens = tokenised(text, mentions)
    assert "".join(token.text + " " * token.spaced for token in tokens) == text
    assert {m.start for m in mentions} <= {token.start for token in tokens}
    assert {m.end for m in mentions} <= {token.end for token in tokens}
    units = common.utf16_places(text)
    for at in range(len(text) + 1):
        assert common.to_utf16(units, at) == len(text[:at].encode("utf-16-le")) // 2
        assert common.from_utf16(units, common.to_utf16(units, at)) == at


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no note to export"),
        ([ROWS[0], ROWS[0]], "two notes have the same id"),
        ([GoldNote(id="a", text="\ud800 slip")], "lone surrogate"),
    ],
    ids=["none", "twice", "surrogate"],
)
def test_what_cannot_go_out_is_refused_and_leaves_nothing(tmp_path: Path, rows: list[GoldNote], says: str) -> None:
    for format in FORMATS:
        with pytest.raises(InputError, match=says):
            exported(tmp_path, format, rows)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    exported(tmp_path, "brat")
    with pytest.raises(InputError, match="is there already"):
        exported(tmp_path, "brat")


def test_a_control_character_is_no_xml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="note 'a' holds a control character"):
        exported(tmp_path, "inception", [GoldNote(id="a", text="slip\x0b")])
    with pytest.raises(InputError, match="too long for a file's name"):
        exported(tmp_path, "brat", [GoldNote(id="a" * 300, text="slip")])


def changed(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        path = next(out.glob(name))
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    return change


def written(name: str, data: bytes | None) -> Callable[[Path], None]:
    def write(out: Path) -> None:
        path = next(out.glob(name))
        path.unlink() if data is None else path.write_bytes(data)

    return write


def unlike_any(out: Path) -> None:
    """What is known of the note is a list."""
    made = spacy.blank("en")("pars defects")
    made.user_data |= {"kind": {"a": [1]}, "id": ["a"]}
    packed = zlib.decompress(DocBin(store_user_data=True, docs=[made]).to_bytes())
    (out / "notes.spacy").write_bytes(zlib.compress(packed.replace(b"\xa2id", b"\xa2\xff\xff")))


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xmi:XMI xmlns:xmi="http://www.omg.org/XMI">&b;</xmi:XMI>'
OUTSIDE = (
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xmi:XMI xmlns:xmi="http://www.omg.org/XMI">&a;</xmi:XMI>'
)
MALFORMED = [
    ("brat", changed("*.ann", b"T1\tspond", b"T1 spond"), "note.ann:1: no text-bound annotation"),
    ("brat", changed("*.ann", b"T1\tspondylolysis", b"T1\tslip"), "note.ann:1: the label of T1 is none of"),
    ("brat", changed("*.ann", b"T1 affirmed", b"T1 maybe"), "the Assertion of T1 is none of affirmed"),
    ("brat", changed("*.ann", b"A1\t", b"X1\t"), "note.ann:1: T1 has no Assertion"),
    ("brat", changed("*.ann", b" 1 ", b" 2 "), "T1 quotes other text"),
    ("brat", changed("*.ann", b" 1 ", b" 999 "), "T1 quotes other text"),
    ("brat", changed("*.ann", b" 1 ", b" " + b"9" * 5_000 + b" "), "note.ann:1: no text-bound annotation"),
    ("brat", changed("*.ann", b" 1 ", b" " + b"0 9;" * 20_000 + b"1 "), "T1 quotes other text"),
    ("brat", written("*.txt", None), "note.txt: no such file"),
    ("brat", written("*.txt", b"\xff"), "note.txt: not UTF-8"),
    ("brat", written("*.ann", None), "holds no *.ann of brat"),
    ("doccano", written("notes.jsonl", b"{"), "notes.jsonl:1: malformed JSON"),
    ("doccano", written("notes.jsonl", b"[]"), "notes.jsonl:1: a list, not an object"),
    ("doccano", written("notes.jsonl", b"{}"), "notes.jsonl:1: has no text"),
    ("doccano", changed("notes.jsonl", b"spondylolysis/affirmed", b"other"), "notes.jsonl:1, span 1: its label is none of"),
    ("doccano", changed("notes.jsonl", b"[[2, ", b"[[1, "), "span 1: its offsets split a character"),
    ("doccano", changed("notes.jsonl", b"[[2, ", b'[["2", '), "span 1: its offsets split a character"),
    ("doccano", changed("notes.jsonl", b"[[2, ", b"[[2222, "), "notes.jsonl:1: mentions.0: 2221-"),
    ("prodigy", changed("notes.jsonl", b"spondylolysis/affirmed", b"other"), "notes.jsonl:1, span 1: its label is none of"),
    ("prodigy", changed("notes.jsonl", b'"spans": [{"start": 1', b'"spans": [{"start": 999'), "notes.jsonl:1: mentions.0: 999-"),
    ("label-studio", written("tasks.json", b"{"), "tasks.json: malformed JSON"),
    ("label-studio", written("tasks.json", b"{}"), "tasks.json: an object, not a list"),
    ("label-studio", written("tasks.json", b'[{"text": "x"}]'), "task 1: has no data with a text"),
    ("label-studio", changed("tasks.json", b'"choices": [\n        "affirmed"', b'"choices": [\n        ""'), "task 1, region 1: has no assertion"),
    ("label-studio", changed("tasks.json", b'"labels": [\n        "spond', b'"labels": [\n        "x'), "region 1: its label is none of"),
    ("label-studio", changed("tasks.json", b'"start": 1', b'"start": 2'), "region 1: its offsets do not fit"),
    ("docbin", written("notes.spacy", b"nothing"), "notes.spacy: damaged, or no DocBin"),
    ("docbin", unlike_any, "notes.spacy: damaged, or no DocBin"),
    ("inception", written("note.xmi", b"<a"), "note.xmi: not well-formed XML"),
    ("inception", written("note.xmi", BOMB), "note.xmi: declares a DTD or entities"),
    ("inception", written("note.xmi", OUTSIDE), "note.xmi: declares a DTD or entities"),
    ("inception", written("TypeSystem.xml", BOMB), "TypeSystem.xml: declares a DTD or entities"),
    ("inception", written("note.xmi", b"<a/>"), "note.xmi: no UIMA CAS XMI"),
    ("inception", written("TypeSystem.xml", None), "TypeSystem.xml: no such file"),
    ("inception", changed("note.xmi", b'begin="2"', b'begin="1"'), "note.xmi: an offset splits a character"),
    ("inception", changed("note.xmi", b'"affirmed"', b'"maybe"'), "note.xmi: mention 1: its assertion is none of"),
    ("inception", changed("note.xmi", b'condition="spondylolysis"', b'condition="x"'), "mention 1: its condition is none of"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "change", "says"), MALFORMED)
def test_what_is_malformed_is_told_by_its_place_without_the_note(
    tmp_path: Path, format: str, change: Callable[[Path], None], says: str, canary: str
) -> None:
    out = exported(tmp_path, format, [marked("note", f"🙂[[spondylolysis/affirmed|{canary}]] {canary}")])
    change(out)
    with pytest.raises(InputError) as raised:
        exchange.read(out, format)
    assert says in str(raised.value)
    assert canary not in str(raised.value) and raised.value.__cause__ is None
    assert str(tmp_path) in str(raised.value)


def test_a_docbin_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = exported(tmp_path, "docbin", ROWS)
    monkeypatch.setattr(docbin, "MOST", 1_000_000)
    assert len(exchange.read(out, "docbin")) == len(ROWS)
    (out / "notes.spacy").write_bytes(zlib.compress(bytes(2_000_000)))
    with pytest.raises(InputError, match=r"notes.spacy: unpacks to more than 0 MiB; write several smaller ones"):
        exchange.read(out, "docbin")


def test_types_that_lack_a_feature_are_read_without_it(tmp_path: Path) -> None:
    out = exported(tmp_path, "inception", [marked("note", "[[spondylolysis/affirmed|lysis]]", codes=("M43.06",))])
    types = (out / "TypeSystem.xml").read_text()
    without = re.sub(
        r"<featureDescription>\s*<name>(documentId|codes)</name>.*?</featureDescription>", "", types, flags=re.S
    )
    assert without != types
    (out / "TypeSystem.xml").write_text(without)
    xmi = (out / "note.xmi").read_text()
    (out / "note.xmi").write_text(re.sub(r' (documentId|codes)="[^"]*"', "", xmi))
    (row,) = exchange.read(out, "inception")
    assert row.id == "note" and row.codes is None and row.mentions and len(row.mentions) == 1


NODES = [None, True, -1, 1.5, "x", [], {}, [[]], [{}], "spondylolysis", 10**30]
BYTES = [b"<!DOCTYPE a>", b"&x;", b"\t", b"\n", b"99", b'"', b"]", b"\0", b"\xff"]


def broken(data: bytes, suffix: str, chance: random.Random) -> bytes:
    """The file with a value of its JSON put otherwise, or with some bytes cut or put in."""
    if suffix in (".json", ".jsonl") and chance.random() < 0.7:
        parts = data.splitlines() if suffix == ".jsonl" else [data]
        at = chance.randrange(len(parts))
        value = json.loads(parts[at])
        nodes: list[tuple[Any, Any]] = []

        def walk(node: Any) -> None:
            for key, child in (
                node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
            ):
                nodes.append((node, key))
                walk(child)

        walk(value)
        holder, key = chance.choice(nodes)
        holder[key] = chance.choice(NODES)
        parts[at] = json.dumps(value).encode()
        return b"\n".join(parts)
    at, length = chance.randrange(len(data)), chance.randrange(6)
    return data[:at] + chance.choice(BYTES) + data[at + length :]


@pytest.mark.parametrize("format", FORMATS)
def test_whatever_is_broken_is_read_or_refused_in_words_of_ours(tmp_path: Path, format: str, canary: str) -> None:
    rows = [
        marked("a", f"🙂[[spondylolysis/affirmed|{canary} x]]\r\n{canary}", codes=("M43.06",), kind="ed"),
        marked("b", f"{canary} [[spondylolisthesis/negated|slip]]"),
    ]
    out = exported(tmp_path, format, rows)
    files = {path: path.read_bytes() for path in sorted(out.iterdir()) if path.suffix not in (".conf", ".txt")}
    chance = random.Random(5)
    refused = 0
    for _ in range(80):
        path = chance.choice(list(files))
        path.write_bytes(broken(files[path], path.suffix, chance))
        try:
            exchange.read(out, format)
        except InputError as error:
            refused += 1
            assert canary not in str(error) and error.__cause__ is None
        path.write_bytes(files[path])
    assert refused > 10


def test_two_annotators_of_a_task_are_not_one(tmp_path: Path) -> None:
    out = exported(tmp_path, "label-studio", ROWS[:1])
    tasks = json.loads((out / "tasks.json").read_bytes())
    tasks[0]["annotations"] *= 2
    (out / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    with pytest.raises(InputError, match="task 1: has 2 annotations"):
        exchange.read(out, "label-studio")


# --- the commands ---------------------------------------------------------------------------------------------------


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.mark.parametrize("format", FORMATS)
def test_notes_go_out_and_come_back_as_gold_that_they_meet(tmp_path: Path, format: str) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_bytes("🙂 CT: L5 pars defects.\r\nNo slip.\r\n".encode())
    (notes / "b.txt").write_text("Chest film: clear.", encoding="utf-8")
    done = run("export", notes, "--to", format, "--out", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (0, "") and "2 notes written" in done.stderr
    if format in ("label-studio", "prodigy"):  # nobody has submitted anything yet
        assert run("import", tmp_path / "out", "--from", format, "--out", tmp_path / "gold.jsonl").exit_code == 2
        return
    assert run("import", tmp_path / "out", "--from", format, "--out", tmp_path / "gold.jsonl").exit_code == 0
    scored = json.loads(run("evaluate", tmp_path / "gold.jsonl", "--json").stdout)
    assert scored["notes"] == 2 and scored["mentions"]["spans"]["f1"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", "{notes}", "--to", "bratt", "--out", "{out}"], "--to is not one of brat, docbin"),
        (["export", "{results}", "--to", "brat", "--out", "{out}"], "results do not hold the notes' text"),
        (["export", "{notes}", "--to", "brat", "--out", "{out}", "--nlp-date", "2026-01-01"], "go with --to omop"),
        (["export", "{notes}", "--to", "omop", "--out", "{out}"], "needs --nlp-date"),
        (["export", "{gold}", "--to", "omop", "--out", "{out}", "--nlp-date", "2026-01-01"], "not gold"),
        (["import", "{notes}", "--from", "csv", "--out", "{out}"], "--from is not one of"),
        (["import", "{notes}/none", "--from", "brat", "--out", "{out}"], "no such file or folder"),
    ],
)
def test_misuse_is_told(tmp_path: Path, arguments: list[str], says: str) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("No slip.", encoding="utf-8")
    results, gold = tmp_path / "results.jsonl", tmp_path / "gold.jsonl"
    results.write_text(parsnlp.load().extract("No slip.").to_json() + "\n", encoding="utf-8")
    gold.write_text(exchange.gold_lines(ROWS[:1]), encoding="utf-8")
    places = {"notes": notes, "results": results, "gold": gold, "out": tmp_path / "out"}
    done = run(*(each.format(**places) for each in arguments))
    assert done.exit_code == 2 and says in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_note_that_cannot_be_read_is_told_and_the_rest_goes_out(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("No slip.", encoding="utf-8")
    (notes / "b.txt").write_bytes(b"\0")
    done = run("export", notes, "--to", "doccano", "--out", tmp_path / "out")
    assert done.exit_code == 3 and "b.txt" in done.stderr
    assert [row.id for row in exchange.read(tmp_path / "out", "doccano")] == ["a"]
