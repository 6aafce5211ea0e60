"""A PDF's text layer by pypdf, page by page with a form feed between pages. Nothing is recognised from pictures."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from parsnlp.errors import InputError
from parsnlp.interfaces.formats.common import MAX_PAGES, MAX_TEXT, Extracted, library, refusing

_LOCK = threading.Lock()


def text(data: bytes, where: str) -> Extracted:
    """The text layer of a PDF; pages without one are left out and told of.

    Raises `InputError` for a PDF under a password, a damaged one, one with too many pages, and one without any text.
    """
    pypdf = library("pypdf", "PDF", where)
    if b"%PDF-" not in data[:1024]:
        raise InputError(f"{where}: not a PDF; it does not begin with %PDF-")
    locked = f"{where}: under a password or an encryption that cannot be read; save it without one"
    damaged = f"{where}: a damaged or truncated PDF; get the whole file, or its text as .txt"
    pages: list[str] = []
    # A cipher may need a library that is not there, at any of these steps.
    with _silent("pypdf"), refusing(locked if b"/Encrypt" in data else damaged):
        reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise InputError(locked)
        if len(reader.pages) > MAX_PAGES:
            raise InputError(f"{where}: has more than {MAX_PAGES:,} pages; split it")
        for page in reader.pages:
            pages.append(page.extract_text())
            if sum(map(len, pages)) > MAX_TEXT:
                raise InputError(f"{where}: its text is longer than {MAX_TEXT:,} characters; give it in parts")
    empty = [str(number) for number, page in enumerate(pages, 1) if not page.strip()]
    if len(empty) == len(pages):
        raise InputError(f"{where}: has no text layer, as a scan has none; run OCR first and give its text")
    told = f"{', '.join(empty[:10])}{', …' if len(empty) > 10 else ''}"
    notice = f"{where}: {len(empty)} of {len(pages)} pages have no text layer (page {told}) and were left out"
    return Extracted("\f".join(page for page in pages if page.strip()), (notice,) if empty else ())


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a library's log, whose messages may quote the document, shut meanwhile; the lock lets levels be put back."""
    with _LOCK:
        known = [each for each in list(logging.Logger.manager.loggerDict) if each.startswith(f"{name}.")]
        levels = {each: logging.getLogger(each).level for each in (name, *known)}
        try:
            for each in levels:
                logging.getLogger(each).setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for each, level in levels.items():
                logging.getLogger(each).setLevel(level)
