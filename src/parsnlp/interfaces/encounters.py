"""Encounters on disk: a folder is one, a folder of folders many; or a manifest lists the documents of each.

Texts (`.txt`) and documents (Word, PDF and so on, see `formats`) count as notes. A manifest is a table (CSV, TSV, JSON lines, Parquet), a document a row: `encounter` and `note` (a path, from the
manifest's folder) or `text`, and where known `kind`, `date`, `setting`, `author`, `patient`. Rows of one encounter need
not stand together. A document that cannot be read fails its whole encounter: a site is undocumented only if the whole
record is silent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parsnlp.errors import InputError
from parsnlp.interfaces import files, reading, rows
from parsnlp.interfaces.reading import Encounter, Failure

if TYPE_CHECKING:
    from parsnlp.models import Note

_KNOWN = ("encounter", "patient", "kind", "date", "setting", "author")
_Rows = list[tuple[str, Mapping[str, object]]]


def encounters(source: Path) -> Iterator[Encounter | Failure]:
    """Every encounter of a folder or manifest, in order, or what is wrong with it.

    Raises `InputError` for a source that holds none, or a manifest that cannot be read.
    """
    if source.is_dir():
        yield from _of_folder(source)
    elif rows.kind(source)[0] in rows.ENDINGS:
        yield from _of_manifest(source)
    elif source.exists():
        raise InputError(f"{source}: neither a folder nor a manifest ({', '.join(rows.ENDINGS)})")
    else:
        raise InputError(f"{source}: no such file or folder; check the path")


def claims(path: Path) -> dict[str, tuple[str, ...]]:
    """The codes claimed for each encounter, from a CSV or TSV file with `encounter` and `codes` (or `code`, a row each).

    Several codes in one field are parted by spaces, commas or semicolons. Raises `InputError` naming the row.
    """
    found: dict[str, list[str]] = {}
    for where, row in _table(path):
        name, codes = row.get("encounter"), row.get("codes", row.get("code"))
        if not name or codes is None:
            raise InputError(f"{where}: a row of claims needs 'encounter' and 'codes'")
        found.setdefault(str(name), []).extend(re.findall(r"[^\s,;]+", str(codes)))
    if not found:
        raise InputError(f"{path}: holds no claim")
    return {name: tuple(codes) for name, codes in found.items()}


def _of_folder(source: Path) -> Iterator[Encounter | Failure]:
    found = files.below(source)
    if any(path.parent == source for path in found):
        yield _gathered(source.resolve().name, str(source), _rows(source, found))
        return
    folders: dict[str, list[Path]] = {}
    for path in found:
        folders.setdefault(path.relative_to(source).parts[0], []).append(path)
    for name, inside in sorted(folders.items()):
        yield _gathered(name, str(source / name), _rows(source / name, inside))


def _rows(folder: Path, found: Sequence[Path]) -> _Rows:
    """A row for each file; its path without the ending is the note's id, unless that tells two apart."""
    names = Counter(path.with_suffix("") for path in found)
    return [
        (
            str(path),
            {
                "id": (path if names[path.with_suffix("")] > 1 else path.with_suffix(""))
                .relative_to(folder)
                .as_posix(),
                "note": path,
            },
        )
        for path in found
    ]


def _of_manifest(path: Path) -> Iterator[Encounter | Failure]:
    groups: dict[str, _Rows] = {}
    for where, row in _table(path):
        name = row.get("encounter")
        if not isinstance(name, str | int) or not str(name) or not (row.get("note") or row.get("text")):
            raise InputError(f"{where}: a document needs 'encounter' and 'note'")
        fields = {key: value for key, value in row.items() if value not in (None, "")}
        if fields.get("note"):
            fields["note"] = path.parent / str(fields["note"])
            fields.setdefault("id", str(row["note"]))
        groups.setdefault(str(name), []).append((where, fields))
    if not groups:
        raise InputError(f"{path}: lists no document")
    for name, documents in groups.items():
        yield _gathered(name, documents[0][0], documents)


def _gathered(name: str, where: str, documents: _Rows) -> Encounter | Failure:
    """The encounter of these documents, or what keeps one of them from being read."""
    notes: list[Note] = []
    notices: list[str] = []
    for number, (place, fields) in enumerate(documents, 1):
        given = {"id": f"document-{number}", **fields, "encounter": name}
        try:
            told = reading.note({**given, "text": fields.get("text", "")})
        except InputError as error:
            return Failure(place, f"encounter {name}: {error}")
        if "note" not in fields:
            notes.append(told)
            continue
        known = {key: getattr(told, key) for key in ("encounter", *given) if key in _KNOWN}
        for item in files.read(str(fields["note"]), told.id, **known):
            if isinstance(item, Failure):
                return Failure(
                    place,
                    f"encounter {name}: {item.says}"
                    if item.where == place
                    else f"encounter {name}: {item.where}: {item.says}",
                )
            notes += item.notes
            notices += item.notices
    if len({note.id for note in notes}) < len(notes):
        return Failure(where, f"encounter {name}: two documents have the same id; give each its own")
    return Encounter(name, where, tuple(notes), tuple(notices))


def _table(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The rows of a table with where they stand. Raises `InputError` for a row that cannot be read."""
    needed = () if rows.kind(path)[0] in rows.LINES else ("encounter",)
    for row in rows.rows(path, needed):
        if isinstance(row, Failure):
            raise InputError(f"{row.where}: {row.says}")
        yield row.where, row.fields
