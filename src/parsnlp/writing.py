"""Files that the program writes: whole or not at all, and readable by their owner alone, for they may hold note text."""

from __future__ import annotations

import os
import shutil
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


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A private folder beside `target` to make it in, which is gone afterwards; `take_place` puts what was made there.

    Raises `InputError` when something in it cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name[:80]}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror})") from None
    try:
        yield folder
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); nothing was kept") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(target: Path) -> None:
    """Remove what a killed process left beside `target`. Only for who knows that no other is writing it now."""
    begins = f".{target.name[:80]}."
    for path in target.parent.iterdir():
        if path.name.startswith(begins) and path.suffix == ".part" and path.name.count(".") == begins.count(".") + 1:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def take_place(made: Path, target: Path) -> None:
    """Let what was made in a scratch folder take the place of `target`, a file or a folder; an old one goes with the rest.

    A file is replaced at once. Of a folder the old one steps aside first, and comes back when the new one cannot come.
    """
    if not target.is_dir():
        made.replace(target)
        return
    old = made.with_name("old")
    target.rename(old)
    try:
        made.rename(target)
    except OSError:
        old.rename(target)
        raise


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
