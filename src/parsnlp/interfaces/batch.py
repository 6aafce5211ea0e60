"""A folder or a JSON-lines file of notes to one JSON-lines file of results. A bad input is counted and passed over.

Results go to a temporary file beside the target, readable by the owner alone, renamed when all is done: the target is
never there half written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parsnlp import parallel, writing
from parsnlp.errors import InputError
from parsnlp.interfaces import reading
from parsnlp.interfaces.reading import Encounter, Failure

if TYPE_CHECKING:
    from parsnlp.extractor import Extractor
    from parsnlp.models import Result


@dataclass(slots=True)
class Tally:
    """What a run did. `notes`: results written. `codes`: how often each code was suggested."""

    notes: int = 0
    coded: int = 0
    review: int = 0
    queries: int = 0
    failed: int = 0
    assumed: int = 0
    stamps: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def add(self, done: Done) -> None:
        """Count one result."""
        self.notes += 1
        self.coded += bool(done.codes)
        self.review += done.review
        self.queries += done.queries
        self.assumed += done.assumed
        self.stamps.update([done.stamp] if done.stamp else [])
        self.codes.update(done.codes)

    def lines(self) -> list[str]:
        """The closing summary."""
        found = [
            f"{self.notes} read, {self.coded} with codes, {self.review} to review, "
            f"{self.queries} queries, {self.failed} failed"
        ]
        if self.codes:
            most = sorted(self.codes.items(), key=lambda item: (-item[1], item[0]))[:8]
            found.append(
                "codes: " + ", ".join(f"{code} {count}" for code, count in most) + (" …" if len(self.codes) > 8 else "")
            )
        if self.assumed:
            found.append(f"{self.assumed} not plain UTF-8: each result's 'warnings' says which encoding was read")
        return [
            *found,
            *(f"{count} dated outside the editions carried: {stamp}" for stamp, count in self.stamps.items()),
        ]


@dataclass(frozen=True, slots=True)
class Done:
    """One result as its line of JSON, and what is counted of it."""

    line: bytes
    codes: tuple[str, ...]
    review: bool
    queries: int
    assumed: bool
    stamp: str | None


class Reader:
    """Reads one input; made once in each process. `text`: quote the notes in the results."""

    def __init__(self, extractor: Extractor, text: bool) -> None:
        self.extractor = extractor
        self.text = text

    def __call__(self, item: Encounter | Failure) -> Done | Failure:
        if isinstance(item, Failure):
            return item
        try:
            result = with_notices(self.extractor.extract_encounter(item.notes), item.notices)
            line = result.to_json(text=self.text).encode("utf-8")
        except InputError as error:  # strict release
            return Failure(item.where, str(error))
        except Exception as error:  # one note must not end the run; its text may be in the message, so not that
            what = type(error).__name__
            return Failure(item.where, f"could not be read by the extractor ({what}); please report this")
        return Done(
            line,
            tuple(code.code for code in result.codes),
            any(code.status == "review" for code in result.codes),
            len(result.queries),
            bool(item.notices),
            result.code_set.stamp,
        )


def run(
    source: Path,
    out: Path,
    extractor: Extractor,
    *,
    text: bool = True,
    force: bool = False,
    workers: int = 1,
    items: Iterable[Encounter | Failure] | None = None,
    failed: Callable[[Failure], None],
    step: Callable[[], None] = lambda: None,
) -> Tally:
    """Read every note of `source` and write a `Result` a line to `out`, in the order of the inputs.

    `items`: what to read in place of `source`'s notes one by one, such as its encounters. `workers`: processes that share
    the work. `failed` is called for each input that cannot be used, `step` after each input. Raises `InputError` when
    `source` holds nothing to read or `out` cannot be written.
    """
    check_out(source, out, force)
    tally = Tally()
    with writing.replacing(out) as stream:
        for done in parallel.ordered(Reader(extractor, text), inputs(source) if items is None else items, workers):
            if isinstance(done, Failure):
                tally.failed += 1
                failed(done)
            else:
                tally.add(done)
                stream.write(done.line + b"\n")
            step()
    return tally


def check_out(source: Path, out: Path, force: bool) -> None:
    """Raise `InputError` when `out` is a folder, the source itself, in no folder, or there already without `force`."""
    if out.is_dir():
        raise InputError(f"{out}: is a folder; --out names a file, such as {out / 'results.jsonl'}")
    if not out.parent.is_dir():
        raise InputError(f"{out}: its folder {out.parent} does not exist; make it first")
    if out.exists():
        if source.exists() and out.samefile(source):
            raise InputError(f"{out}: is the input itself; choose another --out")
        if not force:
            raise InputError(f"{out}: exists already; choose another --out, or --force to replace it")


def count(source: Path) -> int:
    """How many inputs there are, for a progress bar."""
    if source.is_dir():
        return len(reading.texts(source))
    return reading.count_rows(source)


def inputs(source: Path) -> Iterator[Encounter | Failure]:
    """Every note of a folder (its `.txt` files, sorted) or of a JSON-lines file, or what is wrong with it."""
    if source.is_dir():
        for path in reading.texts(source):
            yield reading.single(path, path.relative_to(source).with_suffix("").as_posix())
    elif source.suffix.lower() == ".txt":
        raise InputError(f"{source}: is a single note; use: parsnlp code {source}")
    else:
        for where, row in reading.rows(source):
            yield _from_row(where, row)


def _from_row(where: str, row: object) -> Encounter | Failure:
    if isinstance(row, Failure):
        return row
    assert isinstance(row, dict)
    try:
        number = where.rpartition(":")[2]
        note = reading.note({**row, "id": row["id"] if row.get("id") is not None else f"row-{number}"})
    except InputError as error:
        return Failure(where, str(error))
    return Encounter(note.id, where, (note,))


def with_notices(result: Result, notices: Sequence[str]) -> Result:
    """The result with the notices of its encodings among its warnings, since its offsets hang on them."""
    return result.model_copy(update={"warnings": (*result.warnings, *notices)}) if notices else result
