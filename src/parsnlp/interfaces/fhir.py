"""A result as FHIR R4 (4.0.1) resources: plain dicts, ready for `json.dumps`. `docs/fhir.md` says what becomes what.

A code is a candidate: its Condition is `provisional`, never `confirmed`. Ids are made from the result's content, so the
same call gives the same bytes. Offsets stand in HL7's extension derivation-reference and count code points.
"""

from __future__ import annotations

import base64
import datetime
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from parsnlp import letters
from parsnlp.errors import InputError
from parsnlp.extractor import Extractor
from parsnlp.interfaces import reading
from parsnlp.models import Code, Document, Edit, Note, NoteCondition, Query, Result, Span

Resource = dict[str, Any]

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
OWN = "https://parsnlp.org/fhir/CodeSystem/"
"""Where our own words are named: a name only, nothing is there to fetch."""
DERIVED = "http://hl7.org/fhir/StructureDefinition/derivation-reference"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ATTACHMENT = "DocumentReference.content[0].attachment"
"""The element that offsets count in, where the bundle has a DocumentReference of its own."""

_UNKNOWN: Resource = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}  # where FHIR demands an element
# FHIR grades by harm to the patient; an edit concerns the claim, so none is high.
_SEVERITIES = {"error": "moderate", "warning": "low", "info": "low"}
_TYPES = {
    "radiology": ("18748-4", "Diagnostic imaging study"),
    "consult": ("11488-4", "Consult note"),
    "progress": ("11506-3", "Progress note"),
    "discharge": ("18842-5", "Discharge summary"),
    "ed": ("34111-5", "Emergency department Note"),
    "operative": ("11504-8", "Surgical operation note"),
    "telephone": ("34748-4", "Telephone encounter Note"),
}
_NAMESPACE = uuid.UUID("6f0a3a0e-9c0b-5c55-8a55-0c1f8e6b7d21")
_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}|https?://\S+|urn:(?:uuid|oid):\S+")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_UNPAIRED = re.compile("[\ud800-\udfff]")
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")  # what no FHIR string holds


@dataclass(frozen=True)
class Context:
    """What the resources of one result share.

    `subject`, `encounter`: references such as "Patient/123". `recorded`: the instant of recording, with its zone.
    `texts`: the documents' texts by id, to attach. `sources`: by document id, the reference under which the caller
    keeps the document already. `text`: whether words of the notes may appear. Raises `InputError` for a reference or an
    instant that is none.
    """

    result: Result
    subject: str | None = None
    encounter: str | None = None
    recorded: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict)
    text: bool = True

    def __post_init__(self) -> None:
        for name, reference in (("subject", self.subject), ("encounter", self.encounter)):
            if reference is not None and not _REFERENCE.fullmatch(reference):
                raise InputError(f"{name} is not a FHIR reference such as Patient/123, an absolute URL or a urn:uuid:")
        if not all(_REFERENCE.fullmatch(reference) for reference in self.sources.values()):
            raise InputError("a source is not a FHIR reference such as DocumentReference/123")
        if self.recorded is not None and not _is_instant(self.recorded):
            raise InputError("recorded is not an instant with its time zone, such as 2026-05-12T14:30:00Z")

    @cached_property
    def _seed(self) -> str:
        # The words of the note stay out: an id tells nothing of them, and is the same with and without text.
        return "\n".join([self.result.to_json(text=False), self.subject or "", self.encounter or ""])

    def id(self, *name: object) -> str:
        """The id of the resource of that name."""
        return str(uuid.uuid5(_NAMESPACE, "\n".join([*map(str, name), self._seed])))

    @property
    def device(self) -> str:
        """The id of the software's Device: the same for all results of one version and rule set."""
        return str(uuid.uuid5(_NAMESPACE, f"Device\n{self.result.engine}\n{self.result.rule_set.hash}"))

    @property
    def patient(self) -> Resource:
        """The reference to the patient, empty when nobody has said who it is."""
        if self.subject:
            return {"reference": self.subject}
        known = {document.patient for document in self.result.documents}
        name = known.pop() if len(known) == 1 else None
        return {"type": "Patient", "identifier": {"value": string(name)}} if name and name.strip() else {}

    @property
    def visit(self) -> Resource:
        """The reference to the encounter, empty when nobody has said which it is."""
        return {"reference": self.encounter} if self.encounter else {}

    def document(self, id: str) -> str:
        """The reference to a document."""
        return self.sources.get(id) or f"urn:uuid:{self.id('DocumentReference', id)}"


def bundle(
    result: Result,
    notes: Sequence[Note] | None = None,
    *,
    subject: str | None = None,
    encounter: str | None = None,
    recorded: str | None = None,
    sources: Mapping[str, str] | None = None,
    text: bool = True,
) -> Resource:
    """A Bundle (collection) of all that a result says: its documents, codes, negated conditions, edits and queries.

    `notes`: give them to have their texts attached to the DocumentReferences. `subject`, `encounter`: references such
    as "Patient/123". `recorded`: the instant for Provenance; without it that element says that it is unknown, as no
    clock is read. `sources`: by document id, the references of documents that your server has already; they get no
    DocumentReference here. `text=False` leaves every word of the notes out. Raises `InputError` as `Context` does, and
    for notes that the result was not made from, or notes together with `text=False`.
    """
    texts = {note.id: note.text for note in notes or ()}
    lengths = {document.id: document.length for document in result.documents}
    if any(lengths.get(id) != len(words) for id, words in texts.items()):
        raise InputError("notes: not those that the result was made from; an id or a length differs")
    if texts and not text:
        raise InputError("notes are attached with their text; leave them out where text=False")
    context = Context(result, subject, encounter, recorded, texts, sources or {}, text)
    documents = [document_reference(item, context) for item in result.documents if item.id not in context.sources]
    said = [
        *(condition(code, context) for code in result.codes),
        *(refuted(item, context) for item in ruled_out(result)),
        *(detected_issue(edit, context) for edit in result.edits),
        *(task(query, context) for query in result.queries if query.severity == "query"),
    ]
    made = [device(context), *said, provenance(said, context)] if said else []
    entries = {each["id"]: each for each in (*documents, *made)}  # what is said twice is one resource
    return _element(
        resourceType="Bundle",
        id=context.id("Bundle"),
        type="collection",
        timestamp=recorded,
        entry=[{"fullUrl": f"urn:uuid:{id}", "resource": each} for id, each in entries.items()],
    )


def answer(resource: object, extractor: Extractor, *, recorded: str | None = None, text: bool = True) -> Resource:
    """The Bundle for a posted DocumentReference, DiagnosticReport, or Bundle of these: the documents of one encounter.

    Its evidence refers to the documents as they were named. What was left out of a Bundle, or assumed of a document's
    encoding, an OperationOutcome says. Raises `InputError` for a resource without a document that can be read, and for
    documents of several patients or encounters.
    """
    from parsnlp.interfaces.formats import documents_of_resource

    found = documents_of_resource(resource, "the resource")
    notes = [reading.note({"id": f"document-{number}", **fields}) for number, fields in enumerate(found, 1)]
    patients = {note.patient for note in notes if note.patient}
    encounters = {note.encounter for note in notes if note.encounter}
    if len(patients) > 1 or len(encounters) > 1:
        raise InputError("the resource: holds documents of several patients or encounters; send those of one at a time")
    made = bundle(
        extractor.extract_encounter(notes),
        subject=next(filter(_REFERENCE.fullmatch, patients), None),
        encounter=next(filter(_REFERENCE.fullmatch, encounters), None),
        recorded=recorded,
        sources={note.id: note.id for note in notes if _REFERENCE.fullmatch(note.id)},
        text=text,
    )
    notices = list(dict.fromkeys(str(fields["notice"]) for fields in found if "notice" in fields))
    if notices:
        said = outcome("warning", "incomplete", *notices)
        said["id"] = str(uuid.uuid5(uuid.UUID(made["id"]), "OperationOutcome"))
        made.setdefault("entry", []).append({"fullUrl": f"urn:uuid:{said['id']}", "resource": said})
    return made


def outcome(severity: Literal["error", "warning"], code: str, *says: str) -> Resource:
    """An OperationOutcome with an issue for each sentence. `code`: of R4's issue types, such as invalid or incomplete."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": string(each)} for each in says],
    }


def condition(code: Code, context: Context) -> Resource:
    """The Condition of a suggested code: an encounter diagnosis, provisional. Its tag is the code's status."""
    result = context.result
    alone = sum(other.condition == code.condition for other in result.codes) == 1
    sites = [item for item in result.conditions if item.condition == code.condition and alone]
    coding = {"system": ICD10CM, "version": result.code_set.id, "code": code.code, "display": code.display}
    return _condition(
        context,
        context.id("Condition", code.code),
        "provisional",
        {"coding": [coding], "text": code.display},
        code.evidence,
        tag=code.status,
        # Of several codes for one condition each names its own site; the condition's sites belong to them all.
        sites=[site for item in sites for site in item.levels or item.regions],
        note=code.reason,
    )


def ruled_out(result: Result) -> list[NoteCondition]:
    """The conditions that the record denies, and that have no code."""
    coded = {code.condition for code in result.codes}
    return [item for item in result.conditions if item.assertion == "negated" and item.condition not in coded]


def refuted(item: NoteCondition, context: Context) -> Resource:
    """The Condition of a negated condition: refuted, without a code of ICD-10-CM, which has none for absence."""
    denials = [
        Span(document=found.document, start=found.start, end=found.end, text=found.text)
        for found in context.result.findings
        if found.id in item.findings and found.assertion == "negated"
    ]
    return _condition(
        context,
        context.id("Condition", "refuted", item.condition),
        "refuted",
        _concept("condition", item.condition),
        denials,
        sites=item.levels or item.regions,
    )


def detected_issue(edit: Edit, context: Context) -> Resource:
    """The DetectedIssue of an edit. What would mend it stands in its detail: `mitigation` is for what has been done."""
    says = [f"{edit.says}." if context.text else "", f"To mend it: {edit.fix}." if edit.fix else ""]
    coded = {code.code for code in context.result.codes}
    code = _concept("edit", edit.kind)
    code["coding"].append({"system": f"{OWN}rule", "code": edit.rule})
    return _element(
        resourceType="DetectedIssue",
        id=context.id("DetectedIssue", context.result.edits.index(edit)),
        status="preliminary",
        code=code,
        severity=_SEVERITIES[edit.severity],
        patient=context.patient,
        identifiedDateTime=context.recorded,
        author=_reference(context.device),
        implicated=[_reference(context.id("Condition", code)) for code in edit.codes if code in coded],
        evidence=_evidence(edit.evidence, context),
        detail=string(" ".join(filter(None, says))),
    )


def task(query: Query, context: Context) -> Resource:
    """The Task of a query: a draft that proposes that the provider add to the document it rests on.

    Its inputs are the clinical indicators and, where there are any, the options to answer with.
    """
    code = _concept("query", query.kind) | {"text": letters.question(query, context.result).title}
    indicators = [
        {
            "extension": [_derived(span, context)],
            "type": _concept("input", "clinical_indicator"),
            **(
                {"valueString": string(span.text)}
                if context.text
                else {"valueReference": {"reference": context.document(span.document)}}
            ),
        }
        for span in query.evidence
    ]
    options = [{"type": _concept("input", "option"), "valueString": string(option)} for option in query.options]
    return _element(
        {"for": context.patient},
        resourceType="Task",
        id=context.id("Task", context.result.queries.index(query)),
        status="draft",
        intent="proposal",
        code=code,
        description=string(query.says) if context.text else None,
        focus=next(({"reference": context.document(span.document)} for span in query.evidence), None),
        encounter=context.visit,
        authoredOn=context.recorded,
        requester=_reference(context.device),
        input=[*indicators, *options],
    )


def document_reference(document: Document, context: Context) -> Resource:
    """The DocumentReference of a document that was read. Its attachment holds the text only where it was given."""
    words = context.texts.get(document.id)
    data = None if words is None else base64.b64encode(_UNPAIRED.sub("\ufffd", words).encode()).decode("ascii")
    attachment = _element(
        contentType="text/plain; charset=utf-8",
        data=data,
        creation=document.date,  # the resource's own `date` is an instant, which nobody has said
    )
    return _element(
        resourceType="DocumentReference",
        id=context.id("DocumentReference", document.id),
        identifier=[{"value": string(document.id)}] if document.id.strip() else None,
        status="current",
        type=_type(document.kind),
        subject=context.patient,
        author=[{"display": string(document.author)}] if document.author and document.author.strip() else None,
        content=[{"attachment": attachment}],
        context={"encounter": [context.visit]} if context.visit else None,
    )


def device(context: Context) -> Resource:
    """The Device of the software: its version and the hash of its rules."""
    name, _, version = context.result.engine.partition(" ")
    return _element(
        resourceType="Device",
        id=context.device,
        status="active",
        deviceName=[{"name": name, "type": "model-name"}],
        version=[
            {"type": {"text": "software"}, "value": version},
            {"type": {"text": "rule set"}, "value": context.result.rule_set.hash},
        ],
    )


def provenance(made: Iterable[Resource], context: Context) -> Resource:
    """The Provenance of resources: made by the software, from the documents."""
    return _element(
        resourceType="Provenance",
        id=context.id("Provenance"),
        target=[_reference(each["id"]) for each in made],
        recorded=context.recorded,
        _recorded=None if context.recorded else _UNKNOWN,
        agent=[{"who": _reference(context.device)}],
        entity=[
            {"role": "source", "what": {"reference": context.document(document.id)}}
            for document in context.result.documents
        ],
    )


def string(text: str) -> str:
    """The text as FHIR's strings allow it: control characters and lone surrogates become U+FFFD, one for one."""
    return _UNFIT.sub("\ufffd", text)


def _condition(
    context: Context,
    id: str,
    verification: str,
    code: Resource,
    evidence: Iterable[Span],
    *,
    tag: str | None = None,
    sites: Iterable[str] = (),
    note: str = "",
) -> Resource:
    return _element(
        resourceType="Condition",
        id=id,
        meta={"tag": [{"system": f"{OWN}status", "code": tag}]} if tag else None,
        verificationStatus={"coding": [{"system": f"{TERMINOLOGY}condition-ver-status", "code": verification}]},
        category=[{"coding": [{"system": f"{TERMINOLOGY}condition-category", "code": "encounter-diagnosis"}]}],
        code=code,
        bodySite=[{"text": site.replace("_", " ")} for site in sites],
        subject=context.patient or _UNKNOWN,
        encounter=context.visit,
        evidence=_evidence(evidence, context),
        note=[{"text": string(note)}] if note and context.text else None,
    )


def _evidence(spans: Iterable[Span], context: Context) -> list[Resource]:
    return [
        _element(
            extension=[_derived(span, context)],
            code=[{"text": string(span.text)}] if context.text and span.text.strip() else None,
            detail=[{"reference": context.document(span.document)}],
        )
        for span in spans
    ]


def _derived(span: Span, context: Context) -> Resource:
    parts = [
        {"url": "reference", "valueReference": {"reference": context.document(span.document)}},
        {"url": "offset", "valueInteger": span.start},
        {"url": "length", "valueInteger": span.end - span.start},
    ]
    if span.document not in context.sources:
        parts.insert(1, {"url": "path", "valueString": ATTACHMENT})
    return {"url": DERIVED, "extension": parts}


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": OWN + system, "code": code}], "text": code.replace("_", " ")}


def _type(kind: str | None) -> Resource | None:
    if kind is None:
        return None
    code, display = _TYPES.get(kind, ("", ""))
    return _element(
        coding=[{"system": LOINC, "code": code, "display": display}] if code else None, text=kind.replace("_", " ")
    )


def _reference(id: str) -> Resource:
    return {"reference": f"urn:uuid:{id}"}


def _element(given: Mapping[str, Any] | None = None, /, **more: Any) -> Resource:
    """The element without what is empty, as FHIR allows no empty one."""
    return {name: value for name, value in {**more, **(given or {})}.items() if value not in (None, "", [], {})}


def _is_instant(text: str) -> bool:
    if not _INSTANT.fullmatch(text):
        return False
    try:
        datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
    except ValueError:
        return False
    return True
