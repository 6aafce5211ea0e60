"""Text out of documents that are not plain text: Word, PDF, RTF, HTML, C-CDA, HL7 v2 and FHIR.

Offsets refer to the text as extracted here, which nothing changes afterwards; same bytes, same text. Every limit
is in `common`. Nothing is fetched, run or written, and no message holds anything of a document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from parsnlp.errors import InputError
from parsnlp.interfaces.formats import cda, fhir, html, pdf, rtf, v2, word
from parsnlp.interfaces.formats.common import MAX_BYTES, Extracted, documents_from, in_mib
from parsnlp.interfaces.formats.fhir import documents_of_resource

__all__ = ["ENDINGS", "documents", "documents_of_resource"]

_Adapter = Callable[[bytes, str], list[dict[str, object]]]


def _one(extract: Callable[[bytes, str], Extracted]) -> _Adapter:
    """The adapter of a format whose file is one note and tells nothing about it."""
    return lambda data, where: documents_from([extract(data, where).fields()], where)


_ADAPTERS: dict[str, _Adapter] = {
    ".docx": _one(word.text),
    ".pdf": _one(pdf.text),
    ".rtf": _one(rtf.text),
    ".html": _one(html.text),
    ".htm": _one(html.text),
    ".xml": cda.documents,
    ".hl7": v2.documents,
    ".json": fhir.documents,
}
_SIGNATURES = (  # how a file begins, what it is, and the ending that it should have
    (b"%PDF-", "a PDF", ".pdf"),
    (b"{\\rtf", "an RTF document", ".rtf"),
    (b"PK\x03\x04", "a Word (.docx) or other ZIP file", ".docx"),
    (b"MSH|", "an HL7 v2 message", ".hl7"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

ENDINGS = frozenset(_ADAPTERS)
"""The endings of file names, in lower case, that `documents` reads."""


def documents(data: bytes, ending: str, where: str) -> list[Mapping[str, object]]:
    """The notes of one file as fields for `parsnlp.interfaces.reading.note`, in the file's order; never none.

    `ending`: of the file's name, one of `ENDINGS` in any case. `where`: names the file in messages. Each has `text`, and
    where the format tells them `id`, `kind`, `date`, `author`, `encounter`, `patient`, `setting`; `notice` says where
    an encoding was assumed or something was left out. Raises `InputError` saying what is wrong and what to do.

    >>> documents(b"<p>No slip.</p><p>L5 pars defect.</p>", ".html", "note.html")
    [{'text': 'No slip.\\n\\nL5 pars defect.'}]
    """
    ending = ending.lower()
    if ending not in ENDINGS:
        raise InputError(f"{where}: {ending!r} is not one of the endings read here: {', '.join(sorted(ENDINGS))}")
    if not data:
        raise InputError(f"{where}: is empty")
    if len(data) > MAX_BYTES:
        raise InputError(f"{where}: is larger than {in_mib(MAX_BYTES)}; give its text in parts")
    _check_signature(data, ending, where)
    return list(_ADAPTERS[ending](data, where))


def _check_signature(data: bytes, ending: str, where: str) -> None:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    if start.startswith(_OLE):
        raise InputError(f"{where}: an old .doc file or one under a password; save it as .docx without a password")
    for signature, what, right in _SIGNATURES:
        if start.startswith(signature) and right != ending:
            raise InputError(f"{where}: this is {what}, not what {ending} says; let its name end in {right}")
