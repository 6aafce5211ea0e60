"""Files that the program writes: whole or not at all, and readable by their owner alone, for they may hold note text."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from parsnlp.errors import InputError


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `target` when all went well; else `target` is as it was.

    Once it has taken its place it is on the disk: a loss of power leaves the one or the other, whole. Raises `InputError` when it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:80]}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror})") from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(handle)
        temporary.replace(target)
        settle(target.parent)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); nothing was kept") from None
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def settle(folder: Path) -> None:
    """Have the disk hold what the folder lists. Raises `OSError`."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(target: Path, text: str) -> None:
    """Write a whole text as UTF-8. Raises `InputError` when it cannot be written."""
    if target.is_dir():
        raise InputError(f"{target}: is a folder; name a file in it")
    with replacing(target) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
