"""Documents inside other documents: bytes of a declared media type to text. A C-CDA is not read here but in `cda`."""

from __future__ import annotations

import re

from parsnlp.errors import InputError
from parsnlp.interfaces.formats import html, pdf, rtf, word
from parsnlp.interfaces.formats.common import Extracted, decode

_CHARSET = re.compile(r"""charset\s{0,5}=\s{0,5}["']?([\w-]{1,20})""", re.IGNORECASE)
_NO_TEXT = ("image/", "audio/", "video/")


def text(data: bytes, media_type: str, where: str) -> Extracted:
    """The text of an attachment, by how it begins, else by its media type ("text/html; charset=utf-8").

    Raises `InputError` for pictures and sound, and as the format's own adapter does.
    """
    media_type = media_type.strip().lower()
    if data.startswith(b"%PDF-"):
        return pdf.text(data, where)
    if data.startswith(b"{\\rtf"):
        return rtf.text(data, where)
    if data.startswith(b"PK\x03\x04"):
        return word.text(data, where)
    if media_type.startswith(_NO_TEXT):
        raise InputError(f"{where}: the attachment is a picture or a recording, not text; give its text")
    declared = _CHARSET.search(media_type)
    charset = declared.group(1) if declared else None
    if "html" in media_type:
        return html.text(data, where, charset)
    return decode(data, charset, where)
