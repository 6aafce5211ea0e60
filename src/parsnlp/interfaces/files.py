"""Files of one note or several: plain text, or documents whose text is extracted (`formats`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parsnlp.errors import InputError
from parsnlp.interfaces import reading, rows
from parsnlp.interfaces.reading import Encounter, Failure

if TYPE_CHECKING:
    from parsnlp.models import Note

TEXT = ".txt"


def read(path: str | Path, name: str, **given: str | None) -> list[Encounter | Failure]:
    """The notes of a file, or of standard input for "-", each as an encounter of its own, or what is wrong with it.

    `name`: the id of its note, or what the ids of several begin with. `given`: what the caller knows of them better
    than the file (kind, date, setting).
    """
    try:
        if str(path) == reading.STDIN:
            found = notes(reading.standard_input(), "standard input", name)
        else:
            found = notes(reading.content(Path(path)), str(path), name)
    except InputError as error:
        return [Failure(str(path), str(error).removeprefix(f"{path}: "))]
    known = {key: value for key, value in given.items() if value is not None}
    return [
        Encounter(item.id, item.where, tuple(note.model_copy(update=known) for note in item.notes), item.notices)
        if isinstance(item, Encounter)
        else item
        for item in found
    ]


def notes(data: bytes, where: str, name: str, together: bool = False) -> list[Encounter | Failure]:
    """The notes of a file's bytes; `together`: those of one encounter as one. `where`: its path, or what it is."""
    ending = rows.kind(where)[0]
    if ending not in ("", TEXT):
        from parsnlp.interfaces import formats

        if ending in formats.ENDINGS:
            return _documents(data, ending, where, name, together)
    try:
        decoded = reading.decode(data, where)
        note = reading.note({"id": name, "text": decoded.text})
    except InputError as error:
        return [Failure(where, str(error).removeprefix(f"{where}: "))]
    return [Encounter(name, where, (note,), (decoded.notice,) if decoded.notice else ())]


def below(folder: Path) -> list[Path]:
    """The folder's texts and documents at any depth, in the order of their paths.

    Raises `InputError` when there is none, or a link leads out of the folder.
    """
    from parsnlp.interfaces import formats

    reading.stay(folder)
    found = sorted(
        (
            path
            for path in folder.rglob("*")
            if (path.suffix.lower() == TEXT or path.suffix.lower() in formats.ENDINGS) and path.is_file()
        ),
        key=lambda path: path.relative_to(folder).as_posix(),
    )
    if not found:
        endings = ", ".join(sorted(formats.ENDINGS))
        raise InputError(f"{folder}: holds no {TEXT} file nor document ({endings}); put one note in each")
    return found


def _documents(data: bytes, ending: str, where: str, name: str, together: bool) -> list[Encounter | Failure]:
    from parsnlp.interfaces import formats

    try:
        found = formats.documents(data, ending, where)
        notes = [
            reading.note({**given, "id": name if len(found) == 1 else f"{name}:{given.get('id', number)}"})
            for number, given in enumerate(found, 1)
        ]
    except InputError as error:
        return [Failure(where, str(error).removeprefix(f"{where}: "))]
    groups: dict[str, list[tuple[Note, str | None]]] = {}
    for number, (note, given) in enumerate(zip(notes, found, strict=True)):
        group = note.encounter if together and note.encounter else f" {number}"
        groups.setdefault(group, []).append((note, str(given["notice"]) if given.get("notice") else None))
    made: list[Encounter | Failure] = []
    for members in groups.values():
        if len({note.id for note, _ in members}) < len(members):
            members = [
                (note.model_copy(update={"id": f"{note.id}#{at}"}), told) for at, (note, told) in enumerate(members, 1)
            ]
        notices = tuple(dict.fromkeys(told for _, told in members if told))
        made.append(Encounter(members[0][0].id, where, tuple(note for note, _ in members), notices))
    return made
