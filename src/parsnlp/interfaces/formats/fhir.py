"""Notes in FHIR JSON (STU3 to R5): DocumentReference, DiagnosticReport, Composition, and Bundles of these.

An attachment is read by its media type, a C-CDA included; one that is held in a Binary of the same Bundle, or contained,
is found there, but nothing is fetched. What is entered in error is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from parsnlp.errors import InputError
from parsnlp.interfaces import reading
from parsnlp.interfaces.formats import cda, codes, html
from parsnlp.interfaces.formats.common import (
    MAX_BYTES,
    Extracted,
    documents_from,
    from_base64,
    in_mib,
    iso_date,
    refusing,
)

_Resource = Mapping[str, Any]
_MOST_NESTED = 3  # Bundles within Bundles
_MOST_SECTIONS = 20  # sections within sections
_EXACT = ("text/plain", "text/html", "xml", "rtf")  # the likelier a type keeps the words as written, the earlier
_READ = "DocumentReference, DiagnosticReport, Composition, or a Bundle of these"


def documents(data: bytes, where: str) -> list[dict[str, object]]:
    """The notes of a file that holds one resource. Raises `InputError`."""
    decoded = reading.decode(data, where)
    with refusing(f"{where}: not JSON, truncated, or nested too deep; give one FHIR resource as UTF-8 JSON"):
        resource = json.loads(decoded.text)
    found = documents_of_resource(resource, where)
    for fields in found:
        if decoded.notice:
            fields["notice"] = "; ".join(str(part) for part in (decoded.notice, fields.get("notice")) if part)
    return found


def documents_of_resource(resource: object, where: str) -> list[dict[str, object]]:
    """The notes of one FHIR resource as parsed from JSON, as fields for `parsnlp.interfaces.reading.note`.

    `where`: names the resource in messages. A document of a Bundle that cannot be read is left out, which the `notice` of
    the others says. Raises `InputError` for another type of resource, and when no document can be read.
    """
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise InputError(f"{where}: not a FHIR resource: it has no 'resourceType'")
    bundle = resource["resourceType"] == "Bundle"
    entries = list(_entries(resource, where))
    reader = _Reader(entries)
    found: list[dict[str, object]] = []
    left_out: list[str] = []
    for number, (_, entry) in enumerate(entries, 1):
        read = reader.readers.get(str(entry.get("resourceType")))
        if read is None:
            continue
        place = f"{where}: entry {number}" if bundle else where
        try:
            if entry.get("status") == "entered-in-error":
                raise InputError(f"{place}: is marked as entered in error")
            found.append(read(entry, place))
        except InputError as error:
            left_out.append(str(error).removeprefix(f"{where}: "))
    if not found and not left_out:
        raise InputError(f"{where}: a FHIR resource of another type; what is read is {_READ}")
    return documents_from(found, where, left_out)


def _entries(resource: _Resource, where: str, depth: int = 0) -> Iterator[tuple[str, _Resource]]:
    """The resource, or all resources of a Bundle, each with its full URL."""
    if resource.get("resourceType") != "Bundle":
        yield "", resource
        return
    if depth == _MOST_NESTED:
        raise InputError(f"{where}: its Bundles nest deeper than {_MOST_NESTED}; take them apart")
    for entry in _dicts(resource.get("entry")):
        held = entry.get("resource")
        if isinstance(held, dict):
            for url, inner in _entries(held, where, depth + 1):
                yield url or _string(entry.get("fullUrl")), inner


class _Reader:
    """Reads the documents among some resources, which may refer to each other."""

    def __init__(self, entries: list[tuple[str, _Resource]]) -> None:
        self.readers = {
            "DocumentReference": self._document_reference,
            "DiagnosticReport": self._diagnostic_report,
            "Composition": self._composition,
        }
        self._known: dict[str, _Resource] = {}
        for url, resource in entries:
            named = _name(resource)
            self._known.update({key: resource for key in (url, named) if key})
        self._left = 4 * MAX_BYTES  # one Binary may be referred to again and again

    def _document_reference(self, resource: _Resource, where: str) -> dict[str, object]:
        context = resource.get("context")  # R5: a list of references; before, an object
        encounters = _dicts(context.get("encounter") if isinstance(context, dict) else context)
        period = _dict(_dict(context).get("period") or resource.get("period"))
        attached = [_dict(content.get("attachment")) for content in _dicts(resource.get("content"))]
        if not attached:
            raise InputError(f"{where}: a DocumentReference without content")
        created = next((_string(each.get("creation")) for each in attached if each.get("creation")), "")
        dates = (_string(resource.get("date")), _string(resource.get("indexed")), created, _string(period.get("start")))
        return self._fields(self._presented(attached, resource, where), resource, dates, encounters)

    def _diagnostic_report(self, resource: _Resource, where: str) -> dict[str, object]:
        period = _dict(resource.get("effectivePeriod"))
        dates = tuple(map(_string, (resource.get("effectiveDateTime"), period.get("start"), resource.get("issued"))))
        encounters = _dicts(resource.get("encounter") or resource.get("context"))
        forms = _dicts(resource.get("presentedForm"))
        extracted = self._presented(forms, resource, where) if forms else _told(resource, where)
        return self._fields(extracted, resource, dates, encounters)

    def _composition(self, resource: _Resource, where: str) -> dict[str, object]:
        parts = list(_sections(resource, where))
        if not parts:
            raise InputError(f"{where}: a Composition none of whose sections has a narrative")
        extracted = Extracted("\n\n".join(parts))
        return self._fields(extracted, resource, (_string(resource.get("date")),), _dicts(resource.get("encounter")))

    def _fields(
        self, extracted: Extracted, resource: _Resource, dates: tuple[str, ...], encounters: list[_Resource]
    ) -> dict[str, object]:
        encounter = next((found for found in map(_reference, encounters) if found), None)
        concepts = [*_dicts(resource.get("type")), *_dicts(resource.get("category")), *_dicts(resource.get("code"))]
        return extracted.fields(
            id=_name(resource),
            kind=codes.kind(coding for concept in concepts for coding in _codings(concept)),
            date=next((day for day in map(iso_date, dates) if day), None),
            encounter=encounter,
            patient=_reference(_dict(resource.get("subject"))),
            setting=self._setting(encounter),
        )

    def _setting(self, encounter: str | None) -> str | None:
        """outpatient or inpatient, where the encounter itself is among the resources and says its class."""
        known = self._known.get(encounter or "", {})
        classes = _dicts(known.get("class"))  # a coding; since R5 concepts
        return codes.setting(coding for each in classes for coding in _codings({"coding": each, **each}))

    def _presented(self, attached: list[_Resource], resource: _Resource, where: str) -> Extracted:
        """The text of the same document in one or several formats: of the first that can be read, plain text before PDF."""
        failed: InputError | None = None
        for attachment in sorted(attached, key=_rank):
            try:
                return self._attachment(attachment, resource, where)
            except InputError as error:
                failed = failed or error
        raise failed or InputError(f"{where}: a document without content")

    def _attachment(self, attachment: _Resource, resource: _Resource, where: str) -> Extracted:
        data, media_type, url = (_string(attachment.get(name)) for name in ("data", "contentType", "url"))
        if not data and url:
            held = self._known.get(url) or _contained(resource, url)
            if held.get("resourceType") != "Binary":
                raise InputError(
                    f"{where}: its attachment is given by an address only, and nothing is fetched; put its base64 in 'data'"
                )
            data, media_type = _string(held.get("data")), _string(held.get("contentType")) or media_type
        if not data:
            raise InputError(f"{where}: its attachment has no 'data'")
        content = from_base64(data, where)
        self._left -= len(content)
        if self._left < 0:
            raise InputError(
                f"{where}: the attachments are larger than {in_mib(4 * MAX_BYTES)} in all; split the Bundle"
            )
        return cda.attachment(content, media_type, where)


def _told(resource: _Resource, where: str) -> Extracted:
    """A report's narrative, and its conclusion where that is not in it."""
    narrative = _narrative(resource, where)
    conclusion = _string(resource.get("conclusion")).strip()
    if " ".join(conclusion.split()) in " ".join(narrative.split()):
        conclusion = ""
    if not narrative and not conclusion:
        raise InputError(f"{where}: a DiagnosticReport without a presented form, a conclusion or a narrative")
    return Extracted("\n\n".join(part for part in (narrative, conclusion and f"CONCLUSION:\n{conclusion}") if part))


def _sections(resource: _Resource, where: str, depth: int = 0) -> Iterator[str]:
    """Each section's title and narrative, nested ones after the one that they stand in."""
    if depth > _MOST_SECTIONS:
        raise InputError(f"{where}: its sections nest deeper than {_MOST_SECTIONS}")
    for section in _dicts(resource.get("section")):
        narrative = _narrative(section, where)
        title = " ".join(_string(section.get("title")).split())
        inner = list(_sections(section, where, depth + 1))
        if narrative or inner:
            yield "\n".join(part for part in (title, narrative) if part)
        yield from inner


def _narrative(resource: _Resource, where: str) -> str:
    div = _string(_dict(resource.get("text")).get("div"))
    return html.narrative(div, where) if div else ""


def _contained(resource: _Resource, url: str) -> _Resource:
    return next((each for each in _dicts(resource.get("contained")) if url == f"#{each.get('id')}"), {})


def _rank(attachment: _Resource) -> int:
    media_type = _string(attachment.get("contentType")).lower()
    return next((rank for rank, exact in enumerate(_EXACT) if exact in media_type), len(_EXACT))


def _name(resource: _Resource) -> str | None:
    kind, name = resource.get("resourceType"), resource.get("id")
    return f"{kind}/{name}" if isinstance(name, str) and name else None


def _reference(reference: _Resource) -> str | None:
    """What a reference points to, as it is written, else its identifier."""
    return _string(reference.get("reference")) or _string(_dict(reference.get("identifier")).get("value")) or None


def _codings(concept: _Resource) -> list[codes.Coding]:
    return [(_string(each.get("system")), _string(each.get("code"))) for each in _dicts(concept.get("coding"))]


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: object) -> _Resource:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[_Resource]:
    """The objects of a list, or the one object: FHIR's versions differ in which of the two an element is."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
