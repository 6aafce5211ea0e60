"""RTF to text by striprtf: cells end in "|", rows and paragraphs end lines.

Left out, as striprtf leaves them: headers, footers, footnotes, text boxes, pictures, and the addresses of links.
"""

from __future__ import annotations

import codecs
import re

from parsnlp.errors import InputError
from parsnlp.interfaces.formats.common import MAX_DEPTH, Extracted, decode, library, refusing

_CODE_PAGE = re.compile(rb"\\ansicpg(\d{1,5})")
_BRACE = re.compile(r"\\[\\{}]|[{}]")
_FONT_TABLE = re.compile(r"\{\\fonttbl")
_FONT = re.compile(r"\\f(\d{1,9})(?!\d)")
_FONT_CHARSET = re.compile(r"\\fcharset(\d{1,9})")
_FIELD = re.compile(r"(\\fldinst)\{", re.IGNORECASE)


def text(data: bytes, where: str) -> Extracted:
    """The text of an RTF document, its bytes read by the code page that it declares. Raises `InputError`."""
    striprtf = library("striprtf.striprtf", "RTF", where)
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rtf"):
        raise InputError(f"{where}: not an RTF document; it does not begin with {{\\rtf")
    source, codec, notices = _source(data, where)
    _check_groups(source, where)
    with refusing(f"{where}: a damaged RTF document; open it in a word processor and save it again"):
        found = striprtf.rtf_to_text(_tamed(source), encoding=codec, errors="replace")
    if "\ufffd" in found and "\ufffd" not in source:
        notices = (*notices, f"{where}: some characters are not in their font's charset and became U+FFFD")
    return Extracted(found, notices)


def _source(data: bytes, where: str) -> tuple[str, str, tuple[str, ...]]:
    """The document's source, the codec of its escaped bytes, and what was assumed of it."""
    declared = _CODE_PAGE.search(data)
    codec = f"cp{declared.group(1).decode()}" if declared else "cp1252"
    try:
        codecs.lookup(codec)
    except LookupError:
        codec = "cp1252"
    if data.isascii():
        return data.decode("ascii"), codec, ()
    if declared:
        try:
            return data.decode(codec), codec, ()
        except (UnicodeDecodeError, LookupError):
            pass
    found = decode(data.lstrip(b"\xef\xbb\xbf \t\r\n")[1:], None, where)  # past its brace: that is how RTF is told
    return "{" + found.text, codec, found.notices or (f"{where}: holds bytes that RTF does not allow, read as UTF-8",)


def _check_groups(source: str, where: str) -> None:
    """Raise `InputError` when groups are left open, as in a truncated file, or nest too deep."""
    depth = 0
    for match in _BRACE.finditer(source):
        brace = match.group()
        depth += (brace == "{") - (brace == "}")
        if depth > MAX_DEPTH:
            raise InputError(f"{where}: its groups nest deeper than {MAX_DEPTH}; save it again from a word processor")
        if depth == 0 and brace == "}":
            return
    if "\\bin" not in source:  # what follows \bin may hold any byte
        raise InputError(f"{where}: truncated: {depth} of its groups are not closed; get the whole file")


def _tamed(source: str) -> str:
    """The same document in a form on which striprtf's patterns for links and fonts cost no more than its length.

    Line ends in RTF's source mean nothing; one after `\\fldinst` hides links from the pattern that would add their
    addresses to the text. Fonts are listed anew, each with its own charset and nothing else.
    """
    source = _FIELD.sub("\\1\n{", source)
    table = _FONT_TABLE.search(source)
    if table is None:
        return source
    end = _closing(source, table.start())
    fonts = []
    for entry in source[table.end() : end].split(";"):
        font, charset = _FONT.search(entry), _FONT_CHARSET.search(entry)
        if font and charset:
            fonts.append(f"{{\\f{font.group(1)}\\fcharset{charset.group(1)} x;}}")
    return source[: table.end()] + "".join(fonts) + source[end:]


def _closing(source: str, start: int) -> int:
    """The place of the brace that closes the group at `start`, or the end."""
    depth = 0
    for match in _BRACE.finditer(source, start):
        depth += (match.group() == "{") - (match.group() == "}")
        if depth == 0 and match.group() == "}":
            return match.start()
    return len(source)
