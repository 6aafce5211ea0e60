"""What a run reads: which files, in which order, under which ids; and that a bad one is a failure in its place."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import io
import json
import os
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pytest
from pyarrow import parquet

from parsnlp.errors import InputError
from parsnlp.interfaces.reading import Encounter, Failure
from parsnlp.interfaces.sources import Columns, Sources

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Make files under a folder, which is then the working one."""
    monkeypatch.chdir(tmp_path)

    def tree(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return tree


def ids(*given: str, **options: object) -> list[str]:
    return [item.id for item in Sources(given, **options).inputs()]  # type: ignore[arg-type]


def notes(*given: str, **options: object) -> list[tuple[str, str]]:
    """Each encounter's id and the texts of its notes; of a failure its place and what it says."""
    found = []
    for item in Sources(given, **options).encounters():  # type: ignore[arg-type]
        if isinstance(item, Failure):
            found.append((f"failed {item.where}", item.says))
        else:
            found.append((item.id, " | ".join(note.text for note in item.notes)))
    return found


FILES = {
    "notes/b.txt": "B",
    "notes/a/z.TXT": "Z",
    "notes/a.txt": "A",
    "notes/a/rows.jsonl": '{"id": "r1", "text": "R1"}\n{"text": "R2"}\n',
    "notes/packed.txt.gz": gzip.compress(b"P"),
    "notes/readme.md": "no note",
    "notes/.hidden.txt": "no note",
    "notes/.git/x.txt": "no note",
}
FOUND = ["a", "r1", "a/rows.jsonl:row-2", "a/z", "b", "packed.txt.gz"]


def test_a_folder_is_searched_and_sorted(tree: Tree) -> None:
    tree(FILES)
    found = Sources(["notes/"])
    assert [item.id for item in found.inputs()] == FOUND
    assert [item.where for item in found.inputs()][:2] == ["notes/a.txt", "notes/a/rows.jsonl:1"]
    assert notes("notes")[-1] == ("packed.txt.gz", "P")
    assert found.passed_over == {".md": 1}
    assert found.size == [item.passed for item in found.inputs()][-1] - len("P") + len(FILES["notes/packed.txt.gz"])


def test_ids_of_several_sources_are_paths(tree: Tree) -> None:
    tree(FILES)
    assert ids("notes/b.txt") == ["b"]
    assert ids("notes/b.txt", "notes/a") == ["notes/b", "r1", "notes/a/rows.jsonl:row-2", "notes/a/z"]
    assert ids("notes/a/rows.jsonl") == ["r1", "row-2"]


def test_a_pattern_is_what_the_shell_would_make_of_it(tree: Tree) -> None:
    tree(FILES)
    assert ids("notes/*.txt") == ids("notes/a.txt", "notes/b.txt") == ["notes/a", "notes/b"]
    assert ids("notes/**/*.TXT") == ["notes/a/z"]
    assert sorted(ids("notes/**")) == sorted(ids("notes", "notes"))


def test_a_file_named_twice_is_read_once(tree: Tree) -> None:
    tree(FILES)
    assert ids("notes/b.txt", "notes", "./notes/a.txt").count("notes/b") == 1
    assert len(ids("notes/b.txt", "notes", "notes/**")) == len(FOUND)


def test_links_that_lead_out_are_not_followed(tree: Tree) -> None:
    folder = tree({"notes/a.txt": "A", "notes/data/blob": "B", "out/secret.txt": "S"})
    (folder / "notes" / "out.txt").symlink_to(folder / "out" / "secret.txt")
    (folder / "notes" / "out").symlink_to(folder / "out")
    (folder / "notes" / "loop").symlink_to(folder / "notes")
    (folder / "notes" / "inside.txt").symlink_to(folder / "notes" / "data" / "blob")
    (folder / "notes" / "gone.txt").symlink_to(folder / "notes" / "nothing")
    assert notes("notes") == [("a", "A"), ("inside", "B")]


def test_the_output_is_no_input(tree: Tree) -> None:
    folder = tree({"a.txt": "A", "out.jsonl": "{}", "out.jsonl.run/parts/0.jsonl": "{}", "out.jsonl.run/b.txt": "B"})
    ours = (folder / "out.jsonl", folder / "out.jsonl.run")
    assert ids(".", without=ours) == ["a"]
    assert ids("**/*", without=ours) == ["a"]
    with pytest.raises(InputError, match="is the input itself"):
        Sources(["out.jsonl"], without=ours)


def test_outputs_of_earlier_runs_are_no_inputs(tree: Tree) -> None:
    run = {"old.csv.run/run.json": "{}", "b/old.jsonl.run/run.json": "{}", "b/old.jsonl.run/inputs.jsonl": "{}"}
    tree({"a.txt": "A", "old.csv/notes.csv": "text", "b/old.jsonl": "{}", "b/c.txt": "C", **run})
    found = Sources(["."])
    assert [item.id for item in found.inputs()] == ["a", "b/c"]
    assert found.earlier == 2
    assert not found.passed_over


def test_a_folder_that_only_looks_like_a_runs_is_searched(tree: Tree) -> None:
    tree({"night.run/a.txt": "A", "night.txt": "N"})
    assert ids(".") == ["night.run/a", "night"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["absent"], "no such file or folder"),
        (["a\0b"], "no such file or folder"),
        (["x" * 5000], "cannot be read"),
        (["empty"], r"holds no file that is read \(\.txt, \.jsonl"),
        (["notes/*.pdf"], "matches no file that is read"),
        (["notes/readme.md"], "not a kind of file that is read"),
        (["-", "-"], "only once"),
        (["bad.csv"], "'text' among them"),
        (["bad.parquet"], "its column 'text' holds a number, not text"),
    ],
)
def test_what_is_named_wrongly_is_refused(tree: Tree, given: list[str], says: str) -> None:
    folder = tree({**FILES, "bad.csv": "id,note\n"})
    (folder / "empty").mkdir()
    parquet.write_table(pyarrow.table({"text": [1, 2]}), folder / "bad.parquet")
    with pytest.raises(InputError, match=says):
        Sources(given)


def test_bad_files_are_failures_in_their_place(tree: Tree) -> None:
    folder = tree(
        {
            "n/a.txt": "A",
            "n/b.txt": b"\0",
            "n/c.txt": "x" * 101,
            "n/d.txt": "gone soon",
            "n/e.csv": "id,note\na,b\n",
            "n/f.csv.gz": b"no gzip",
            "n/g.txt.gz": gzip.compress(b"x" * 1_000_000),
            "n/h.jsonl": json.dumps({"text": "y" * 101}),
            "n/i.parquet": b"PAR1",
            "n/z.txt": "Z",
        }
    )
    found = Sources(["n"], max_size=100)
    (folder / "n" / "d.txt").unlink()
    says = dict(
        (item.where.removeprefix("n/"), item.says) if isinstance(item, Failure) else (item.id, "read")
        for item in found.encounters()
    )
    expected = {
        "a": "read",
        "b.txt": "binary",
        "c.txt": "larger than --max-size, 100 bytes",
        "d.txt": "no such file",
        "e.csv": "its first line must name the columns, 'text' among them",
        "f.csv.gz": "damaged, or cut off",
        "g.txt.gz": "larger than --max-size",
        "h.jsonl:1": "larger than --max-size",
        "i.parquet": "not a Parquet file",
        "z": "read",
    }
    assert list(says) == list(expected)
    for where, start in expected.items():
        assert says[where].startswith(start), where


def test_a_folder_that_cannot_be_read_is_told(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree({"n/a.txt": "A", "n/sub/b.txt": "B"})
    scandir = os.scandir

    def refused(path: Path) -> object:
        if path.name == "sub":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert notes("n") == [("failed n/sub", "the folder cannot be read (Permission denied)"), ("a", "A")]


def test_standard_input_is_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b'{"id": 7, "text": "A"}\n{"text": "B"}\n[]\n'
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(lines)))
    found = Sources(["-"])
    assert found.size is None
    assert [(item.id, item.where) for item in found.inputs()] == [
        ("7", "standard input:1"),
        ("row-2", "standard input:2"),
        ("row-3", "standard input:3"),
    ]


def test_columns_are_named(tree: Tree) -> None:
    columns = Columns(text="NOTE", id="ID", date="WHEN", patient="MRN", setting="class")
    head = "ID,NOTE,WHEN,MRN,class,text\n"
    tree({"a.csv": head + "1,L5 fine,2026-05-01 10:30:00,77,inpatient,no\n2,x,1 May,,,\n,,,,,\n"})
    first, second, third = Sources(["a.csv"], columns).encounters()
    assert isinstance(first, Encounter)
    (note,) = first.notes
    assert (note.id, note.text, note.date, note.patient, note.setting) == (
        "1",
        "L5 fine",
        "2026-05-01",
        "77",
        "inpatient",
    )
    assert isinstance(second, Failure) and second.says.startswith("'WHEN' is not a calendar date")
    assert isinstance(third, Encounter) and third.notes[0].text == "" and third.id == "row-4"
    with pytest.raises(InputError, match="'VISIT' among them"):
        Sources(["a.csv"], Columns(text="NOTE", encounter="VISIT"))


def test_parquet_may_hold_numbers_and_dates(tree: Tree) -> None:
    folder = tree({})
    table = {
        "text": pyarrow.array(["A", None, "C"]).dictionary_encode(),
        "id": [1, 2, 3],
        "date": [datetime.datetime(2026, 5, 1, 10), None, None],
        "blob": [b"x", b"y", b"z"],
    }
    parquet.write_table(pyarrow.table(table), folder / "a.parquet")
    first, second, third = Sources(["a.parquet"]).encounters()
    assert isinstance(first, Encounter) and (first.id, first.notes[0].date) == ("1", "2026-05-01")
    assert isinstance(second, Failure) and second.says == "'text' is missing"
    assert isinstance(third, Encounter)


# --- encounters -----------------------------------------------------------------------------------------------------

VISITS = [
    {"visit": "e1", "id": "a", "text": "A"},
    {"visit": 2, "id": "b", "text": "B"},
    {"id": "alone", "text": "C"},
    {"visit": "e1", "id": "d", "text": "D"},
    {"visit": "2", "id": "e", "text": "E"},
    {"visit": "bad", "id": "f", "text": "F"},
    {"visit": "bad", "id": "g", "text": 5},
    {"visit": "twice", "id": "h", "text": "H"},
    {"visit": "twice", "id": "h", "text": "I"},
]
BY_VISIT = Columns(encounter="visit")


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_rows_of_an_encounter_are_taken_together_wherever_they_stand(tree: Tree) -> None:
    tree({"n/1.jsonl": lines(VISITS), "n/2.csv": "visit,id,text\ne1,z,Z\n"})
    assert notes("n", columns=BY_VISIT) == [
        ("alone", "C"),
        ("2", "B | E"),
        ("failed n/1.jsonl:7", "'text' must be a string, not a number"),
        ("failed n/1.jsonl:8", "two documents of this encounter have the same id; give each its own"),
        ("e1", "A | D | Z"),
    ]
    assert [key for key, _ in notes("n/1.jsonl")][:2] == ["a", "b"]  # without the column each row is a note of its own


def test_an_encounter_needs_two_passes(tree: Tree) -> None:
    with pytest.raises(InputError, match="reads its table twice"):
        Sources(["-"], BY_VISIT)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (VISITS[:1], ["e1"]),  # fewer rows: what came is read all the same
        ([*VISITS[:4], VISITS[0]], ["2", "alone", "e1", "failed a.jsonl:5"]),
    ],
)
def test_a_table_that_changes_between_the_passes_is_told(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, object]], expected: list[str]
) -> None:
    tree({"a.jsonl": lines(rows)})
    monkeypatch.setattr(Sources, "_rows_of_encounters", lambda self: Counter({"e1": 2, "2": 1}))
    assert [where for where, _ in notes("a.jsonl", columns=BY_VISIT)] == expected


# --- hashes and memory ----------------------------------------------------------------------------------------------


def test_a_hash_is_of_what_decides(tree: Tree) -> None:
    folder = tree({"a.txt": "A", "b.csv": "id,text,room\n1,A,5\n2,B,6\n"})

    def hashes() -> list[str]:
        return [item.sha256 for item in Sources(["a.txt", "b.csv"]).inputs()]

    before = hashes()
    assert before[0] == hashlib.sha256(b"A").hexdigest() and len(set(before)) == 3
    (folder / "b.csv").write_text("id,text,room\n1,A,7\n2,C,6\n")
    after = hashes()
    assert after[:2] == before[:2] and after[2] != before[2]


def test_memory_does_not_grow_with_a_table(tree: Tree) -> None:
    folder = tree({})
    with (folder / "a.jsonl").open("w", encoding="utf-8") as stream:
        for number in range(20_000):
            stream.write(json.dumps({"id": number, "text": "No slip. " * 200}) + "\n")
    tracemalloc.start()
    try:
        count = sum(1 for _ in Sources(["a.jsonl"]).inputs())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000 and peak < 2_000_000


def test_no_failure_holds_text(tree: Tree, canary: str) -> None:
    tree(
        {
            "n/a.txt": f"{canary}\0",
            "n/b.csv": f"id,text,date\n1,x,{canary}\n2,x,,{canary}\n",
            "n/c.csv": f"{canary}\n",
            "n/d.jsonl": f'{canary}\n{{"text": ["{canary}"]}}\n{{"text": "", "kind": "{canary}"}}\n',
        }
    )
    failures = [item for item in Sources(["n"]).encounters() if isinstance(item, Failure)]
    assert len(failures) == 7
    assert canary not in repr(failures)
