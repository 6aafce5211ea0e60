"""What a long run reads: folders, patterns, files and standard input, as `Input`s in one fixed order.

A folder is searched at any depth and its files are taken in the order of their paths. An ending says what a file is: a
text, a table of notes (see `rows`), or a document of another format (see `formats`). An `Input` is as it was found;
`encounters` makes notes of it, which is the costly part and may be done in another process. Whatever is wrong with one
input is a `Failure` in its place; only what the caller named wrongly raises `InputError`.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from parsnlp.errors import InputError
from parsnlp.interfaces import files, formats, outputs, reading, rows
from parsnlp.interfaces.files import TEXT
from parsnlp.interfaces.reading import STDIN, Encounter, Failure
from parsnlp.interfaces.rows import Row

MAX_SIZE = 5_000_000
"""How many bytes of text a note may have, unless the caller says otherwise."""

_BESIDE = 20  # a document's file holds images and markup too, a table's row escapes and other columns


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a table holds what. `encounter`: where given, rows of one encounter are decided on together."""

    text: str = "text"
    id: str = "id"
    setting: str = "setting"
    kind: str = "kind"
    date: str = "date"
    author: str = "author"
    patient: str = "patient"
    encounter: str | None = None

    def names(self) -> dict[str, str]:
        """The column of each field of a note."""
        return dict(_named(self))

    def needed(self) -> list[str]:
        """The columns that a heading must hold: the text's, and those that the caller has named."""
        return [name for key, name in self.names().items() if key == "text" or name != key or key == "encounter"]

    def picked(self, row: Mapping[str, object]) -> dict[str, object]:
        """A row as the fields of a note; empty cells are left out, but not an empty text."""
        found = {key: row.get(name) for key, name in _named(self)}
        return {key: value for key, value in found.items() if value is not None and (value != "" or key == "text")}


@functools.cache
def _named(columns: Columns) -> tuple[tuple[str, str], ...]:
    """Field and column, found once for all rows of a table."""
    return tuple((item.name, name) for item in fields(columns) if (name := getattr(columns, item.name)))


@dataclass(frozen=True, slots=True)
class Input:
    """One input as it was found: a file's `data`, the `rows` of one encounter (mostly one row), or a `failure`.

    `sha256`: of the data, of the rows with their places, or of what is wrong. `passed`: how many of the sources' bytes
    had been read with it.
    """

    id: str
    where: str
    sha256: str
    passed: int
    data: bytes | None = None
    rows: tuple[Row, ...] = ()
    failure: Failure | None = None

    def size(self) -> int:
        """About how many bytes it has."""
        return len(self.data or b"") + sum(len(str(row.fields.get("text", ""))) for row in self.rows)


@dataclass(frozen=True, slots=True)
class _Group:
    """Files of one source: their paths after `before`, and what their ids have before the path."""

    before: str
    named: str
    paths: list[str]


@dataclass(slots=True)
class Sources:
    """The files that the sources name. `size`: their bytes, None where that is unknown. `passed_over`: by ending.
    `earlier`: outputs of other runs that lay in a folder, which are passed over too. `failures`: folders that cannot be read.

    Raises `InputError` for a source that is not there, is of no kind that is read, holds nothing, or lacks a column.
    """

    given: Sequence[str]
    columns: Columns = field(default_factory=Columns)
    max_size: int = MAX_SIZE
    without: Collection[Path] = ()
    size: int | None = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    earlier: int = 0
    failures: list[Failure] = field(default_factory=list)
    _groups: list[_Group] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.given.count(STDIN) > 1:
            raise InputError("- (standard input) can be read only once; name it once")
        if STDIN in self.given and self.columns.encounter:
            raise InputError("--encounter-column reads its table twice, which standard input cannot be; give a file")
        self.without = {path.resolve() for path in self.without}
        alone = len(self.given) == 1
        for source in self.given:
            try:
                self._find(source, alone)
            except OSError as error:
                raise InputError(f"{source}: cannot be read ({error.strerror})") from None
        if len(self._groups) > 1:
            self._once()

    def inputs(self) -> Iterator[Input]:
        """Every input in order, read when it is asked for."""
        left = self._rows_of_encounters() if self.columns.encounter else Counter[str]()
        held: dict[str, list[Row]] = {}
        passed = 0
        yield from (_failed(str(failure.where), failure, 0) for failure in self.failures)
        for path, name in self.files():
            for found in inputs_of(path, name, self.columns, self.max_size, passed):
                yield from _gathered(found, held, left) if found.rows else [found]
            passed += _size(path)
        for name, some in held.items():  # a table that has lost rows since they were counted
            yield _of_rows(name, some, passed)

    def encounters(self) -> Iterator[Encounter | Failure]:
        """The notes of every input in order, or what is wrong with it."""
        for item in self.inputs():
            yield from encounters(item, self.columns, self.max_size)

    def _find(self, source: str, alone: bool) -> None:
        path = Path(source)
        if source == STDIN:
            self.size = None
            self._groups.append(_Group("", "", [STDIN]))
        elif path.is_dir():
            if not self._folder(path, "" if alone else _prefix(path)):
                raise InputError(f"{source}: holds no file that is read ({', '.join(_endings())}); check the folder")
        elif path.exists():
            self._file(path, alone)
        elif glob.has_magic(source):
            found = [self._match(Path(match)) for match in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207
            if not any(found):
                raise InputError(f"{source}: matches no file that is read ({', '.join(_endings())}); check the pattern")
        else:
            raise InputError(f"{source}: no such file or folder; check the path")

    def _file(self, path: Path, alone: bool) -> None:
        """A file that the caller has named: it must be one that is read."""
        ending, packing = rows.kind(path)
        if ending not in _endings():
            raise InputError(f"{path}: not a kind of file that is read; {', '.join(_endings())} are")
        if path.resolve() in self.without:
            raise InputError(f"{path}: is the input itself; choose another --out")
        if ending in rows.ENDINGS:
            first = next(rows.rows(path, self.columns.needed(), _BESIDE * self.max_size), None)
            text = first.fields.get(self.columns.text) if isinstance(first, Row) else None
            if not isinstance(text, str | None):
                raise InputError(f"{path}: its column {self.columns.text!r} holds {reading.named(text)}, not text")
        name = path.name.removesuffix(packing) if ending == TEXT and alone else str(path)
        self._add(str(path), name if ending == TEXT or not alone else "")

    def _match(self, path: Path) -> bool:
        """A folder or file that a pattern matches; a file of another kind is passed over."""
        if self._ours(path) or not path.exists():
            return False
        if path.is_dir():
            return self._folder(path, _prefix(path))
        ending = rows.kind(path)[0]
        if ending not in _endings():
            self.passed_over[ending] += 1
            return False
        self._add(str(path), str(path))
        return True

    def _add(self, path: str, name: str) -> None:
        self._groups.append(_Group(path, name, [""]))
        self.size = None if self.size is None else self.size + _size(path)

    def _folder(self, folder: Path, named: str) -> bool:
        """Every file under the folder that is read, whether there is one. No link is followed that leads out of it."""
        root = folder.resolve()
        ours = {path.name for path in self.without}
        found: list[str] = []
        inside = [""]
        while inside:
            below = inside.pop()
            try:
                with os.scandir(folder / below) as scanned:
                    entries = [entry for entry in scanned if not entry.name.startswith(".")]
                earlier = self._earlier(entries)
                for entry in entries:
                    path = below + entry.name
                    if entry.name in earlier or (entry.name in ours and self._ours(Path(entry.path))):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        inside.append(f"{path}/")
                    elif _is_file(entry) and (not entry.is_symlink() or reading.stays(Path(entry.path), root)):
                        ending = rows.kind(entry.name)[0]
                        if ending in _endings():
                            found.append(path)
                            self.size = None if self.size is None else self.size + entry.stat().st_size
                        else:
                            self.passed_over[ending] += 1
            except OSError as error:
                where = str(folder / below)
                self.failures.append(Failure(where, f"the folder cannot be read ({error.strerror})"))
        found.sort()
        self._groups.append(_Group(_prefix(folder), named, found))
        return bool(found)

    def _earlier(self, entries: list[os.DirEntry[str]]) -> set[str]:
        """The names of what earlier runs have left in a folder: each an output, and the folder that tells of its run."""
        found: set[str] = set()
        for entry in entries:
            out = outputs.of_run(entry.path)
            if out is not None and not self._ours(Path(entry.path)):
                found |= {os.path.basename(out), entry.name}  # noqa: PTH119
                self.earlier += 1
        return found

    def _ours(self, path: Path) -> bool:
        """Whether the path is of the output."""
        real = path.resolve()
        return any(real == other or other in real.parents for other in self.without)

    def _once(self) -> None:
        """Leave each file out where it is named again."""
        seen: set[str] = set()
        for group in self._groups:
            fresh = []
            for path in group.paths:
                whole = os.path.abspath(group.before + path)  # noqa: PTH100 - resolving a million links is slow
                if whole not in seen:
                    seen.add(whole)
                    fresh.append(path)
            group.paths[:] = fresh

    def files(self) -> Iterator[tuple[str, str]]:
        """Each file's path and id; the ending of a text is no part of its id."""
        for group in self._groups:
            for path in group.paths:
                name = group.named + path
                yield group.before + path, name[: -len(TEXT)] if name.lower().endswith(TEXT) else name

    def _rows_of_encounters(self) -> Counter[str]:
        """How many rows each encounter has in all tables."""
        counts: Counter[str] = Counter()
        only = Columns(encounter=self.columns.encounter, text=str(self.columns.encounter))
        for path, name in self.files():
            if rows.kind(path)[0] in rows.ENDINGS:
                for found in _of_table(path, name, only, self.max_size, 0):
                    counts.update(encounter_name(row) for row in found.rows if encounter_name(row))
        return counts


def inputs_of(path: str, name: str, columns: Columns, max_size: int = MAX_SIZE, passed: int = 0) -> Iterator[Input]:
    """The inputs of one file of `Sources.files`: a table's rows each alone, whatever their encounter; else one.

    `passed`: how many of the sources' bytes had been read before.
    """
    if path == STDIN or rows.kind(path)[0] in rows.ENDINGS:
        return _of_table(path, name, columns, max_size, passed)
    return iter([_of_file(path, name, max_size, passed)])


def _of_file(path: str, name: str, max_size: int, passed: int) -> Input:
    limit = max_size * (1 if rows.kind(path)[0] == TEXT else _BESIDE)
    try:
        with rows.opened(path) as (stream, _):
            data = stream.read(limit + 1)
    except InputError as error:
        return _failed(name, Failure(path, str(error).removeprefix(f"{path}: ")), passed)
    if len(data) > limit:
        return _failed(name, Failure(path, f"larger than --max-size, {max_size} bytes"), passed)
    return Input(name, path, hashlib.sha256(data).hexdigest(), passed + len(data), data=data)


def _of_table(path: str, name: str, columns: Columns, max_size: int, passed: int) -> Iterator[Input]:
    limit = _BESIDE * max_size
    if path == STDIN:
        table = rows.lines(sys.stdin.buffer, "standard input", limit=limit)
    else:
        table = rows.rows(path, columns.needed(), limit, set(columns.names().values()))
    try:
        for row in table:
            if isinstance(row, Failure):
                yield _failed(_row_id(name, row.where.rpartition(":")[2]), row, passed)
                continue
            picked = columns.picked(row.fields)
            picked.setdefault("id", _row_id(name, row.number))
            yield _of_rows(str(picked["id"]), [replace(row, fields=picked)], passed + row.passed)
    except InputError as error:
        yield _failed(name or path, Failure(path, str(error).removeprefix(f"{path}: ")), passed)
    except OSError as error:  # of standard input; `rows` tells those of files
        yield _failed(name or path, Failure(path, f"standard input cannot be read ({error.strerror})"), passed)


def encounters(item: Input, columns: Columns, max_size: int = MAX_SIZE) -> list[Encounter | Failure]:
    """The notes of an input, mostly one; of rows that belong together one encounter; or what is wrong with them."""
    if item.failure:
        return [item.failure]
    if item.rows:
        return [_encounter_of(item, columns, max_size)]
    assert item.data is not None
    return files.notes(item.data, item.where, item.id, together=columns.encounter is not None)


def _encounter_of(item: Input, columns: Columns, max_size: int) -> Encounter | Failure:
    notes = []
    for row in item.rows:
        text = row.fields.get("text")
        if isinstance(text, str) and len(text) * 4 > max_size and len(text.encode("utf-8", "replace")) > max_size:
            return Failure(row.where, f"larger than --max-size, {max_size} bytes")
        try:
            notes.append(reading.note(row.fields))
        except InputError as error:
            says = str(error)
            for key, name in columns.names().items():
                says = says.replace(f"'{key}'", f"'{name}'", 1) if says.startswith(f"'{key}'") else says
            return Failure(row.where, says)
    if len({note.id for note in notes}) < len(notes):
        return Failure(item.where, "two documents of this encounter have the same id; give each its own")
    notices = dict.fromkeys(row.notice for row in item.rows if row.notice)
    return Encounter(item.id, item.where, tuple(notes), tuple(notices))


def _gathered(found: Input, held: dict[str, list[Row]], left: Counter[str]) -> Iterator[Input]:
    """The row itself where it belongs to no encounter; else its encounter, once the last of its rows has come."""
    (row,) = found.rows
    name = encounter_name(row)
    if not name:
        yield found
    elif not left[name]:
        yield _failed(found.id, Failure(row.where, "the table changed while it was read; start again"), found.passed)
    else:
        held.setdefault(name, []).append(row)
        left[name] -= 1
        if not left[name]:
            yield _of_rows(name, held.pop(name), found.passed)


def _of_rows(name: str, some: Sequence[Row], passed: int) -> Input:
    content = json.dumps([[row.where, row.fields, row.notice] for row in some], sort_keys=True, default=str)
    return Input(name, some[0].where, hashlib.sha256(content.encode()).hexdigest(), passed, rows=tuple(some))


def _failed(name: str, failure: Failure, passed: int) -> Input:
    says = hashlib.sha256(failure.says.encode("utf-8", "replace")).hexdigest()
    return Input(name, failure.where, says, passed, failure=failure)


def encounter_name(row: Row) -> str:
    """The encounter that a row belongs to, "" for none."""
    name = row.fields.get("encounter", "")
    return str(name) if isinstance(name, str | int) else ""


def _row_id(name: str, number: int | str) -> str:
    """The id of a row that has none."""
    return f"{name}:row-{number}" if name not in ("", STDIN) else f"row-{number}"


def _endings() -> tuple[str, ...]:
    return (TEXT, *rows.ENDINGS, *sorted(formats.ENDINGS))


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is one or leads to one; a link that leads round in a circle does not."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _prefix(folder: Path) -> str:
    return "" if str(folder) == "." else f"{folder}/".replace("//", "/")


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size if path != STDIN else 0
    except OSError:
        return 0
