"""For notebooks: a result as the evidence view, and as displaCy shows entities.

A result that an extractor has just made knows the texts of its documents; one that was read back does not, and wants
them given. Where they are missing the evidence is shown by quotation alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape

from parsnlp.errors import InputError
from parsnlp.models import Note, Result

_SURROGATES = re.compile("[\ud800-\udfff]")
COLOURS = {"spondylolysis": "#9ecae1", "spondylolisthesis": "#fdd0a2", "traumatic_fracture": "#a1d99b"}
"""Of the conditions, light enough for black letters."""


def html(result: Result, notes: Iterable[Note] = ()) -> str:
    """The evidence view as a piece of HTML; what a notebook shows of a `Result`. Same result, same text.

    `notes`: those that the result was made of, where it does not know their texts.
    """
    from parsnlp.view import evidence

    # Its own prefix, so that the links of two views in one notebook do not cross.
    prefix = f"ev-{hashlib.sha256(result.to_json().encode('utf-8')).hexdigest()[:8]}"
    return _sendable(str(evidence.fragment(result, _texts(result, notes), prefix=prefix)))


class Html(str):
    """HTML that a notebook shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<HTML, {len(self)} characters>"

    def _repr_html_(self) -> str:
        return str(self)


def displacy(result: Result, notes: Iterable[Note] = ()) -> Html:
    """The mentions in their text as HTML, by spaCy's displaCy; what a notebook shows when it ends a cell.

    `notes`: as for `html`. Raises `InputError` where no text is known.
    """
    from spacy import displacy as spacys

    texts = _texts(result, notes)
    known = [document.id for document in result.documents if document.id in texts]
    if not known:
        raise InputError("a result that was read back does not hold its notes' texts; give the notes")
    entities = {name: _entities(result, name) for name in known}
    colours = {
        each["label"]: COLOURS[str(each["label"]).partition(" ")[0]] for some in entities.values() for each in some
    }
    shown = [
        {"text": texts[name], "title": escape(name) if len(known) > 1 else None, "ents": entities[name]}
        for name in known
    ]
    options = {"colors": colours}
    # Not shown by displaCy itself, whose way to do so newer versions of IPython no longer have.
    return Html(_sendable(spacys.render(shown, style="ent", manual=True, jupyter=False, options=options)))


def _sendable(shown: str) -> str:
    """A page that UTF-8 can carry to the browser: without lone surrogates."""
    return _SURROGATES.sub("\ufffd", shown)


def _entities(result: Result, document: str) -> list[dict[str, str | int]]:
    """The mentions of a document in their order; one that begins within another is left out, as displaCy wants it."""
    found: list[dict[str, str | int]] = []
    at = 0
    for each in sorted(result.findings, key=lambda finding: (finding.start, -finding.end)):
        if each.document == document and each.start >= at:
            at = each.end
            label = each.condition if each.assertion == "affirmed" else f"{each.condition} {each.assertion}"
            found.append({"start": each.start, "end": each.end, "label": label})
    return found


def _texts(result: Result, notes: Iterable[Note]) -> Mapping[str, str]:
    return {**result.texts, **{note.id: note.text for note in notes}}
