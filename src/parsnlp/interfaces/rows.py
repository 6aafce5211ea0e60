"""Tables to rows: JSON lines, CSV, TSV and Parquet, as they are or packed by gzip or zstd; read as a stream.

Whatever its size a file takes little memory: a row longer than the limit is passed over without being held. What is
wrong with a row is a `Failure` with its place ("notes.csv:17", the line it begins on; of Parquet the row) and nothing
of its text.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from parsnlp.errors import InputError
from parsnlp.interfaces import reading
from parsnlp.interfaces.reading import Failure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LINES = (".jsonl", ".ndjson")
ENDINGS = (*LINES, ".csv", ".tsv", ".parquet")
PACKED = (".gz", ".zst")
LIMIT = 50_000_000
"""How many bytes a row may have, unless the caller says otherwise."""

TOO_LONG = "larger than --max-size, or a quotation mark that is never closed"
_BLOCK = 1 << 16
_SQUEEZED = 512  # bytes that may unpack to 30,000 times as many, all of which are held
_PARQUET_ROWS = 256  # held at once


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row: `where` it stands, its line or number there, its fields, and what to know of its encoding.

    `passed`: how many bytes of the file had been read with it.
    """

    where: str
    number: int
    fields: Mapping[str, object]
    notice: str | None = None
    passed: int = 0


def kind(path: str | Path) -> tuple[str, str]:
    """The ending that says what a file is, and that of its packing or "": (".csv", ".gz")."""
    path = Path(path)
    packing = path.suffix.lower()
    if packing in PACKED:
        return Path(path.stem).suffix.lower(), packing
    return packing, ""


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The bytes of a file, unpacked, and how many of the file have been read. Raises `InputError` when it cannot be read or is damaged."""
    path = Path(path)
    with reading.stream(path) as raw:
        try:
            yield _unpacked(raw, kind(path)[1]), raw.tell
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise InputError(f"{path}: damaged, or cut off") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _unpacked(raw: IO[bytes], packing: str) -> IO[bytes]:
    if packing == ".gz":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if packing == ".zst":
        return io.BufferedReader(_Zstandard(raw))
    return raw


class _Zstandard(io.RawIOBase):
    """What zstd packed, as a stream; an `EOFError` where it is damaged or cut off, which zstd's own reader passes over."""

    def __init__(self, raw: IO[bytes]) -> None:
        try:
            import zstandard
        except ImportError:
            raise InputError("reading .zst needs: pip install 'parsnlp[batch]'") from None
        self._damage = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._raw = raw
        self._frame: Any = None
        self._packed = b""
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._left:
            block = self._packed or self._raw.read(_SQUEEZED)
            if not block and self._frame is None:
                return 0
            if not block:
                raise EOFError
            self._frame = self._frame or self._decompressor.decompressobj()
            try:
                self._left = memoryview(self._frame.decompress(block))
            except self._damage:
                raise EOFError from None
            self._packed = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        view = memoryview(buffer)
        size = min(len(view), len(self._left))
        view[:size], self._left = self._left[:size], self._left[size:]
        return size


def rows(
    path: str | Path, needed: Collection[str] = (), limit: int = LIMIT, only: Collection[str] | None = None
) -> Iterator[Row | Failure]:
    """Each row of a table, by the file's ending; blank lines are passed over.

    `needed`: columns that a table with a heading must have, once each. `limit`: bytes of a row. `only`: columns that
    are wanted; of Parquet no others are read. Raises `InputError` when the file cannot be read, at the place where it
    turns out to be damaged, or when its heading lacks a column.
    """
    ending, packing = kind(path)
    if ending == ".parquet" and not packing:
        yield from _parquet(Path(path), needed, only)
    elif ending in ENDINGS and ending != ".parquet":
        with opened(path) as (stream, passed):
            yield from lines(stream, str(path), ending, needed, limit, passed)
    else:
        raise InputError(f"{path}: not a table that is read; {', '.join(ENDINGS)} are, all but .parquet packed too")


def lines(
    stream: IO[bytes],
    name: str,
    ending: str = ".jsonl",
    needed: Collection[str] = (),
    limit: int = LIMIT,
    passed: Callable[[], int] = lambda: 0,
) -> Iterator[Row | Failure]:
    """Each row of a stream of JSON lines, CSV or TSV, which `name` stands for in messages."""
    plain, notice = _plain(stream, name)
    source = _Lines(plain, name, limit, ending not in LINES, notice, passed)
    try:
        if ending in LINES:
            yield from _json_lines(source)
        else:
            yield from _delimited(source, "\t" if ending == ".tsv" else ",", needed)
    except UnicodeDecodeError:
        raise InputError(
            f"{name}: not all of it is in the encoding its byte-order mark says; save it as UTF-8"
        ) from None


def _plain(stream: IO[bytes], name: str) -> tuple[IO[bytes], str | None]:
    """The stream without its byte-order mark, and as UTF-8 where the mark says otherwise, with what to say of it."""
    seen: Any = stream if hasattr(stream, "peek") else io.BufferedReader(cast(Any, stream))
    start = seen.peek(4)[:4]
    for mark, codec, called in reading.MARKS:
        if start.startswith(mark):
            seen.read(len(mark))
            if codec == "utf-8":
                return seen, None
            says = f"{name}: read as {called}, as its byte-order mark says"
            return io.BufferedReader(_Recoded(seen, codec)), says
    return seen, None


class _Recoded(io.RawIOBase):
    """A stream of another encoding as UTF-8."""

    def __init__(self, stream: IO[bytes], codec: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(codec)()
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while not self._left:
            block = self._stream.read(_BLOCK)
            self._left = self._decoder.decode(block, final=not block).encode("utf-8", "replace")
            if not block:
                break
        size = min(len(view), len(self._left))
        view[:size], self._left = self._left[:size], self._left[size:]
        return size


class _TooLong(Exception):
    """A row went beyond the limit; it has been passed over."""


class _Binary(Exception):
    """A row holds a NUL."""


class _Lines:
    """The lines of a stream, row by row.

    `first`, `number`: the line its row begins on, and the last one read. `quoting`: whether a row may go on within
    quotation marks. `ended`: a line was asked for and there was none. `notice`: what to know of the row's encoding.
    """

    def __init__(
        self, stream: IO[bytes], name: str, limit: int, quoting: bool, notice: str | None, passed: Callable[[], int]
    ) -> None:
        self.name = name
        self.number = 0
        self.ended = False
        self._stream = stream
        self._limit = limit
        self._quoting = quoting
        self._always = notice
        self._passed = passed
        self.begin()

    def begin(self) -> None:
        """A new row begins with the next line."""
        self.first = self.number + 1
        self.notice = self._always
        self._size = 0
        self._quoted = False

    @property
    def where(self) -> str:
        """Where the row stands."""
        return f"{self.name}:{self.first}"

    def row(self, fields: Mapping[str, object]) -> Row:
        """The row that has been read."""
        return Row(self.where, self.first, fields, self.notice, self._passed())

    def line(self) -> bytes | None:
        """The next line, None at the end. Raises `_TooLong` after passing over the row, its last quotation included."""
        line = self._stream.readline(self._limit - self._size + 1)
        if not line:
            self.ended = True
            return None
        self.number += 1
        self._size += len(line)
        self._count(line)
        if self._size <= self._limit:
            return line
        while not line.endswith(b"\n") or self._quoted:
            more = self._stream.readline(_BLOCK)
            if not more:
                break
            self.number += line.endswith(b"\n")
            self._count(more)
            line = more
        raise _TooLong

    def _count(self, piece: bytes) -> None:
        self._quoted ^= self._quoting and piece.count(b'"') % 2 == 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        """The next line as text. Raises `_TooLong`, `_Binary`."""
        line = self.line()
        if line is None:
            raise StopIteration
        if b"\0" in line:
            raise _Binary
        read = reading.assumed(line, f"{self.name}:{self.number}")
        self.notice = self.notice or read.notice
        return read.text


def _json_lines(source: _Lines) -> Iterator[Row | Failure]:
    while True:
        source.begin()
        try:
            line = source.line()
        except _TooLong:
            yield Failure(source.where, TOO_LONG)
            continue
        if line is None:
            return
        if line.strip():
            fields = _object(line, source.where)
            if isinstance(fields, Failure):
                yield fields
            else:
                yield source.row(fields)


def _object(line: bytes, where: str) -> Mapping[str, object] | Failure:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Failure(where, f"not UTF-8 (byte {error.start} of the line); JSON lines must be UTF-8")
    except json.JSONDecodeError as error:
        return Failure(where, f"not JSON: {error.msg} at column {error.colno}")
    except (RecursionError, ValueError):
        return Failure(where, "not JSON that can be read: nested too deep, or a number too long")
    if not isinstance(row, dict):
        return Failure(where, f'must be an object such as {{"id": …, "text": …}}, not {reading.named(row)}')
    return row


def _delimited(source: _Lines, delimiter: str, needed: Collection[str]) -> Iterator[Row | Failure]:
    csv.field_size_limit(2**31 - 1)  # ours holds for the whole row
    table = csv.reader(source, delimiter=delimiter)
    heading: list[str] | None = None
    while True:
        source.begin()
        wrong = None
        cells: list[str] = []
        try:
            cells = next(table)
        except StopIteration:
            break
        except _TooLong:
            wrong = TOO_LONG
        except _Binary:
            wrong = "holds a NUL, so it is binary or UTF-16 without a byte-order mark; save the table as UTF-8"
        except csv.Error as error:
            wrong = f"not a row that can be read ({error})"
        if source.ended and not wrong:
            wrong = "a quotation mark is never closed; what follows it cannot be told apart"
        if heading is None:
            if wrong:
                raise InputError(f"{source.where}: {wrong}")
            heading = [name.strip() for name in cells]
            _check(source.name, heading, needed)
        elif wrong:
            yield Failure(source.where, wrong)
        elif cells and len(cells) != len(heading):
            count = "more" if len(cells) > len(heading) else "fewer"
            yield Failure(source.where, f"has {count} fields than the heading")
        elif cells:
            yield source.row(dict(zip(heading, cells, strict=True)))
    if heading is None:
        _check(source.name, [], needed)


def _check(name: str, heading: Collection[str], needed: Collection[str]) -> None:
    """Raise `InputError` when a column needed is not there once."""
    for column in needed:
        if column not in heading:
            # What stands there instead is not told: where there is no heading it is a note.
            raise InputError(f"{name}: its first line must name the columns, {column!r} among them")
        if list(heading).count(column) > 1:
            raise InputError(f"{name}: two of its columns are named {column!r}; give each its own name")


def _parquet(path: Path, needed: Collection[str], only: Collection[str] | None) -> Iterator[Row | Failure]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InputError("reading .parquet needs: pip install 'parsnlp[batch]'") from None
    with reading.stream(path) as stream:
        try:
            file = parquet.ParquetFile(stream)
            for column in needed:
                if column not in file.schema_arrow.names:
                    raise InputError(f"{path}: has no column {column!r}; it has {', '.join(file.schema_arrow.names)}")
            wanted = None if only is None else [name for name in file.schema_arrow.names if name in only]
            each = path.stat().st_size / max(file.metadata.num_rows, 1)
            number = 0
            for batch in file.iter_batches(_PARQUET_ROWS, columns=wanted):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}:{number}", number, fields, passed=int(each * number))
        except (ArrowException, UnicodeDecodeError, OSError):  # their messages may quote the file
            raise InputError(f"{path}: not a Parquet file that can be read; it may be damaged or cut off") from None
