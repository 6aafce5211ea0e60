"""FHIR R4 bundles, held against the standard: our own table of R4 (4.0.1), its invariants by name, and R4B's classes.

`R4` lists every element of each resource and type that is used: least, most, type, and the codes of a required binding or
the resources that a reference may name. `problems` walks a bundle by that table; a test for each element shows that the
walk would find it broken.
"""

from __future__ import annotations

import base64
import copy
import datetime
import functools
import importlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import parsnlp
from parsnlp.errors import InputError
from parsnlp.evaluation import gold
from parsnlp.interfaces import fhir
from parsnlp.models import Edit, Note, Result, Span

CORPORA = Path(__file__).parents[2] / "corpora"
QUICK = ("dev", "encounters")
REST = ("blind/tuning", "blind/short", "blind/full")
RECORDED = "2026-05-12T14:30:00Z"

# --- the standard, as far as it is used -------------------------------------------------------------------------------

PRIMITIVES = {  # the regexes of R4, datatypes.html
    "string": r"[ \r\n\t\S]+",
    "markdown": r"[ \r\n\t\S]+",
    "code": r"[^\s]+(\s[^\s]+)*",
    "id": r"[A-Za-z0-9\-\.]{1,64}",
    "uri": r"\S+",
    "url": r"\S+",
    "canonical": r"\S+",
    "base64Binary": r"(\s*([0-9a-zA-Z\+\/=]){4}\s*)+",
    "date": r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1]))?)?",
    "dateTime": r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
    r"(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?",
    "instant": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
    r"(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))",
}
NUMBERS = {"integer": int, "unsignedInt": int, "positiveInt": int, "boolean": bool}
ANY = ("*",)
AGENTS = ("Practitioner", "PractitionerRole", "RelatedPerson", "Patient", "Device", "Organization")
OBSERVATION_STATUS = (
    "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
)  # fmt: skip
TASK_STATUS = (
    "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold", "failed",
    "completed", "entered-in-error",
)  # fmt: skip
TASK_INTENT = (
    "unknown", "proposal", "plan", "order", "original-order", "reflex-order", "filler-order", "instance-order", "option",
)  # fmt: skip
CLINICAL = ("active", "recurrence", "relapse", "inactive", "remission", "resolved")
VERIFICATION = ("unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error")
Element = tuple[int, str, str, tuple[str, ...]]


def one(type: str, *allowed: str, least: int = 0) -> Element:
    return (least, "1", type, allowed)


def many(type: str, *allowed: str, least: int = 0) -> Element:
    return (least, "*", type, allowed)


ELEMENT = {"id": one("string"), "extension": many("Extension")}
BACKBONE = {**ELEMENT, "modifierExtension": many("Extension")}
RESOURCE = {"id": one("id"), "meta": one("Meta"), "implicitRules": one("uri"), "language": one("code")}
DOMAIN = {
    **RESOURCE,
    "text": one("Narrative"),
    "contained": many("Resource"),
    "extension": many("Extension"),
    "modifierExtension": many("Extension"),
}
R4: dict[str, dict[str, Element]] = {
    "Extension": {
        **ELEMENT,
        "url": one("uri", least=1),
        "valueCode": one("code"),
        "valueInteger": one("integer"),
        "valueString": one("string"),
        "valueReference": one("Reference", *ANY),
    },
    "Meta": {
        **ELEMENT,
        "versionId": one("id"),
        "lastUpdated": one("instant"),
        "source": one("uri"),
        "profile": many("canonical"),
        "security": many("Coding"),
        "tag": many("Coding"),
    },
    "Coding": {
        **ELEMENT,
        "system": one("uri"),
        "version": one("string"),
        "code": one("code"),
        "display": one("string"),
        "userSelected": one("boolean"),
    },
    "CodeableConcept": {**ELEMENT, "coding": many("Coding"), "text": one("string")},
    "Reference": {
        **ELEMENT,
        "reference": one("string"),
        "type": one("uri"),
        "identifier": one("Identifier"),
        "display": one("string"),
    },
    "Identifier": {
        **ELEMENT,
        "use": one("code", "usual", "official", "temp", "secondary", "old"),
        "type": one("CodeableConcept"),
        "system": one("uri"),
        "value": one("string"),
        "period": one("Period"),
        "assigner": one("Reference", "Organization"),
    },
    "Annotation": {
        **ELEMENT,
        "authorReference": one("Reference", "Practitioner", "Patient", "RelatedPerson", "Organization"),
        "authorString": one("string"),
        "time": one("dateTime"),
        "text": one("markdown", least=1),
    },
    "Attachment": {
        **ELEMENT,
        "contentType": one("code"),
        "language": one("code"),
        "data": one("base64Binary"),
        "url": one("url"),
        "size": one("unsignedInt"),
        "hash": one("base64Binary"),
        "title": one("string"),
        "creation": one("dateTime"),
    },
    "Bundle": {
        **RESOURCE,
        "identifier": one("Identifier"),
        "type": one(
            "code",
            "document",
            "message",
            "transaction",
            "transaction-response",
            "batch",
            "batch-response",
            "history",
            "searchset",
            "collection",
            least=1,
        ),
        "timestamp": one("instant"),
        "total": one("unsignedInt"),
        "link": many("Bundle.link"),
        "entry": many("Bundle.entry"),
        "signature": one("Signature"),
    },
    "Bundle.entry": {
        **BACKBONE,
        "link": many("Bundle.link"),
        "fullUrl": one("uri"),
        "resource": one("Resource"),
        "search": one("Bundle.entry.search"),
        "request": one("Bundle.entry.request"),
        "response": one("Bundle.entry.response"),
    },
    "Condition": {
        **DOMAIN,
        "identifier": many("Identifier"),
        "clinicalStatus": one("CodeableConcept", *CLINICAL),
        "verificationStatus": one("CodeableConcept", *VERIFICATION),
        "category": many("CodeableConcept"),
        "severity": one("CodeableConcept"),
        "code": one("CodeableConcept"),
        "bodySite": many("CodeableConcept"),
        "subject": one("Reference", "Patient", "Group", least=1),
        "encounter": one("Reference", "Encounter"),
        "recordedDate": one("dateTime"),
        "recorder": one("Reference", "Practitioner", "PractitionerRole", "Patient", "RelatedPerson"),
        "asserter": one("Reference", "Practitioner", "PractitionerRole", "Patient", "RelatedPerson"),
        "stage": many("Condition.stage"),
        "evidence": many("Condition.evidence"),
        "note": many("Annotation"),
    },
    "Condition.evidence": {**BACKBONE, "code": many("CodeableConcept"), "detail": many("Reference", *ANY)},
    "DetectedIssue": {
        **DOMAIN,
        "identifier": many("Identifier"),
        "status": one("code", *OBSERVATION_STATUS, least=1),
        "code": one("CodeableConcept"),
        "severity": one("code", "high", "moderate", "low"),
        "patient": one("Reference", "Patient"),
        "identifiedDateTime": one("dateTime"),
        "author": one("Reference", "Practitioner", "PractitionerRole", "Device"),
        "implicated": many("Reference", *ANY),
        "evidence": many("DetectedIssue.evidence"),
        "detail": one("string"),
        "reference": one("uri"),
        "mitigation": many("DetectedIssue.mitigation"),
    },
    "DetectedIssue.evidence": {**BACKBONE, "code": many("CodeableConcept"), "detail": many("Reference", *ANY)},
    "Device": {
        **DOMAIN,
        "identifier": many("Identifier"),
        "status": one("code", "active", "inactive", "entered-in-error", "unknown"),
        "manufacturer": one("string"),
        "deviceName": many("Device.deviceName"),
        "modelNumber": one("string"),
        "type": one("CodeableConcept"),
        "version": many("Device.version"),
        "patient": one("Reference", "Patient"),
        "url": one("uri"),
    },
    "Device.deviceName": {
        **BACKBONE,
        "name": one("string", least=1),
        "type": one(
            "code",
            "udi-label-name",
            "user-friendly-name",
            "patient-reported-name",
            "manufacturer-name",
            "model-name",
            "other",
            least=1,
        ),
    },
    "Device.version": {
        **BACKBONE,
        "type": one("CodeableConcept"),
        "component": one("Identifier"),
        "value": one("string", least=1),
    },
    "DocumentReference": {
        **DOMAIN,
        "masterIdentifier": one("Identifier"),
        "identifier": many("Identifier"),
        "status": one("code", "current", "superseded", "entered-in-error", least=1),
        "docStatus": one("code", "preliminary", "final", "amended", "entered-in-error"),
        "type": one("CodeableConcept"),
        "category": many("CodeableConcept"),
        "subject": one("Reference", "Patient", "Practitioner", "Group", "Device"),
        "date": one("instant"),
        "author": many("Reference", *AGENTS),
        "description": one("string"),
        "content": many("DocumentReference.content", least=1),
        "context": one("DocumentReference.context"),
    },
    "DocumentReference.content": {**BACKBONE, "attachment": one("Attachment", least=1), "format": one("Coding")},
    "DocumentReference.context": {
        **BACKBONE,
        "encounter": many("Reference", "Encounter", "EpisodeOfCare"),
        "related": many("Reference", *ANY),
    },
    "Provenance": {
        **DOMAIN,
        "target": many("Reference", *ANY, least=1),
        "occurredDateTime": one("dateTime"),
        "recorded": one("instant", least=1),
        "policy": many("uri"),
        "location": one("Reference", "Location"),
        "reason": many("CodeableConcept"),
        "activity": one("CodeableConcept"),
        "agent": many("Provenance.agent", least=1),
        "entity": many("Provenance.entity"),
    },
    "Provenance.agent": {
        **BACKBONE,
        "type": one("CodeableConcept"),
        "role": many("CodeableConcept"),
        "who": one("Reference", *AGENTS, least=1),
        "onBehalfOf": one("Reference", *AGENTS),
    },
    "Provenance.entity": {
        **BACKBONE,
        "role": one("code", "derivation", "revision", "quotation", "source", "removal", least=1),
        "what": one("Reference", *ANY, least=1),
        "agent": many("Provenance.agent"),
    },
    "Task": {
        **DOMAIN,
        "identifier": many("Identifier"),
        "status": one("code", *TASK_STATUS, least=1),
        "intent": one("code", *TASK_INTENT, least=1),
        "priority": one("code", "routine", "urgent", "asap", "stat"),
        "code": one("CodeableConcept"),
        "description": one("string"),
        "focus": one("Reference", *ANY),
        "for": one("Reference", *ANY),
        "encounter": one("Reference", "Encounter"),
        "authoredOn": one("dateTime"),
        "lastModified": one("dateTime"),
        "requester": one("Reference", *AGENTS),
        "owner": one("Reference", "CareTeam", "HealthcareService", *AGENTS),
        "reasonCode": one("CodeableConcept"),
        "reasonReference": one("Reference", *ANY),
        "note": many("Annotation"),
        "input": many("Task.input"),
    },
    "Task.input": {
        **BACKBONE,
        "type": one("CodeableConcept", least=1),
        "valueString": one("string"),
        "valueReference": one("Reference", *ANY),
    },
}
R4["OperationOutcome"] = {**DOMAIN, "issue": many("OperationOutcome.issue", least=1)}
R4["OperationOutcome.issue"] = {
    **BACKBONE,
    "severity": one("code", "fatal", "error", "warning", "information", least=1),
    "code": one("code", "invalid", "incomplete", "not-supported", "processing", least=1),  # those of IssueType in use
    "details": one("CodeableConcept"),
    "diagnostics": one("string"),
}
MADE = ("Condition", "DetectedIssue", "Device", "DocumentReference", "Provenance", "Task")
SYSTEMS = {  # of the concepts with a required binding
    "clinicalStatus": "http://terminology.hl7.org/CodeSystem/condition-clinical",
    "verificationStatus": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
}


def problems(value: Any, type: str = "Bundle", path: str = "Bundle", allowed: tuple[str, ...] = ()) -> Iterator[str]:
    """What in a bundle breaks the table, each with the element's path."""
    if type == "Resource":
        type = value.get("resourceType") if isinstance(value, dict) else None
        if type not in (*MADE, "OperationOutcome"):
            yield f"{path}: not a resource that we make"
            return
        path = type
        value = {key: child for key, child in value.items() if key != "resourceType"}
    if type in PRIMITIVES:
        if not isinstance(value, str) or not re.fullmatch(PRIMITIVES[type], value):
            yield f"{path}: not a {type}"
        elif allowed and value not in allowed:
            yield f"{path}: not in its required value set"
        return
    if type in NUMBERS:
        if value.__class__ is not NUMBERS[type]:
            yield f"{path}: not a {type}"
        return
    if not isinstance(value, dict) or not value:
        yield f"{path}: not a {type}"
        return
    elements = R4[type]
    for name, child in value.items():
        if (type, name) == ("Bundle", "resourceType"):
            continue
        element = elements.get(name.removeprefix("_"))
        if element is None:
            yield f"{path}.{name}: R4 has no such element"
            continue
        least, most, kind, within = element
        here = f"{path}.{name}"
        if name.startswith("_"):
            yield from problems({"id": "x", **child}, "Reference", here)
            continue
        if (most == "*") != isinstance(child, list):
            yield f"{here}: {'must be a list' if most == '*' else 'more than one'}"
            continue
        if child == []:
            yield f"{here}: empty"
        for each in child if isinstance(child, list) else [child]:
            yield from problems(each, kind, here, within)
            if kind == "CodeableConcept" and within and isinstance(each, dict):
                yield from bound(each, here, name, within)
    for name, (least, *_) in elements.items():
        if least and name not in value and f"_{name}" not in value:
            yield f"{path}.{name}: missing"
    if type == "Reference" and allowed and allowed != ANY:
        target = re.fullmatch(r"(?:https?://.*/)?([A-Z][A-Za-z]+)/[^/]+", str(value.get("reference", "")))
        if target and target[1] not in allowed:
            yield f"{path}: may not refer to a {target[1]}"


def bound(concept: dict[str, Any], path: str, name: str, within: tuple[str, ...]) -> Iterator[str]:
    """A required binding of a concept: one coding at least is of the value set."""
    codings = [each for each in concept.get("coding", ()) if isinstance(each, dict)]
    if not any(each.get("system") == SYSTEMS[name] and each.get("code") in within for each in codings):
        yield f"{path}: not in its required value set"


# --- the bundles ----------------------------------------------------------------------------------------------------


@functools.cache
def results(*corpora: str) -> list[tuple[Result, list[Note]]]:
    """Every result of these corpora with its notes."""
    rows = itertools.chain(*(gold.read_file(CORPORA / name / "gold.jsonl") for name in corpora))
    notes = [row.notes() for row in rows]
    return [(extractor().extract_encounter(each), each) for each in notes]


@functools.cache
def bundles(*corpora: str) -> list[dict[str, Any]]:
    """Every result as a bundle: bare, with all that a caller can say, and without text, in turn."""
    ways: list[Callable[[Result, list[Note]], dict[str, Any]]] = [
        lambda result, notes: fhir.bundle(result),
        lambda result, notes: fhir.bundle(
            result, notes, subject="Patient/p1", encounter="Encounter/e1", recorded=RECORDED
        ),
        lambda result, notes: fhir.bundle(result, subject="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", text=False),
    ]
    return [way(result, notes) for (result, notes), way in zip(results(*corpora), itertools.cycle(ways))]


def resources(kind: str, *corpora: str) -> list[dict[str, Any]]:
    return [
        entry["resource"]
        for each in bundles(*(corpora or QUICK))
        for entry in each["entry"]
        if entry["resource"]["resourceType"] == kind
    ]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a resource, itself included."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from walk(child)


@functools.cache
def extractor() -> parsnlp.Extractor:
    return parsnlp.load()


def extract(text: str, **fields: str) -> Result:
    return extractor().extract(Note(text=text, **fields))  # type: ignore[arg-type]


def of(made: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in made["entry"] if entry["resource"]["resourceType"] == kind]


RICH = (
    "HISTORY: Low back pain.\nCT lumbar spine: bilateral L5 pars defects, chronic, 4 mm anterolisthesis of L5 on S1.\n"
    "Assessment: spondylolysis with spondylolisthesis. Plan: brace."
)


@pytest.fixture
def full() -> dict[str, Any]:
    """A bundle with every resource and nearly every element that we make, its to break."""
    note = Note(text=RICH, kind="progress", date="2026-05-12", author="provider")
    result = extract(RICH, kind="progress", date="2026-05-12", author="provider")
    made = fhir.bundle(result, [note], subject="Patient/p1", encounter="Encounter/e1", recorded=RECORDED)
    assert {entry["resource"]["resourceType"] for entry in made["entry"]} == set(MADE)
    return copy.deepcopy(made)


# --- the table, element by element ------------------------------------------------------------------------------------


def test_bundles_keep_to_r4() -> None:
    """Every element of every resource: known to R4, within its cardinality, of its type and required value set."""
    assert {entry["resource"]["resourceType"] for each in bundles(*QUICK) for entry in each["entry"]} == set(MADE)
    for each in bundles(*QUICK):
        assert list(problems(each)) == []


@pytest.mark.slow
def test_bundles_of_all_corpora_keep_to_r4_and_r4b() -> None:
    from fhir.resources.R4B.bundle import Bundle

    for each in bundles(*REST):
        assert list(problems(each)) == []
        assert list(broken(each)) == []
        Bundle.model_validate(each)


def test_bundles_validate_as_r4b() -> None:
    """`fhir.resources` has no R4; its R4B classes check each resource, and write back what they read."""
    from fhir.resources.R4B.bundle import Bundle

    for each in bundles(*QUICK):
        again = json.loads(Bundle.model_validate(each).model_dump_json())
        assert again["entry"] == each["entry"]


def used(value: Any, type: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every element that is given: its parent, the parent's type, and its name."""
    if type == "Resource":
        type = value["resourceType"]
    if type not in R4:
        return
    for name, child in list(value.items()):
        if name == "resourceType":
            continue
        yield value, type, name
        for each in child if isinstance(child, list) else [child]:
            if isinstance(each, dict):
                yield from used(each, R4[type][name][2])


ELEMENTS = [(type, name) for type, elements in R4.items() for name in elements if name not in DOMAIN or name == "meta"]
NOT_GIVEN = {  # elements of R4 that we do not make
    "Meta": {"versionId", "lastUpdated", "source", "profile", "security"},
    "Coding": {"userSelected"},
    "Reference": {"type", "identifier"},
    "Identifier": {"use", "type", "system", "period", "assigner"},
    "Annotation": {"authorReference", "authorString", "time"},
    "Attachment": {"language", "url", "size", "hash", "title"},
    "Extension": {"valueCode"},
    "Bundle": {"identifier", "total", "link", "signature", "meta"},
    "Bundle.entry": {"link", "search", "request", "response"},
    "Condition": {
        "identifier", "clinicalStatus", "severity", "recordedDate", "recorder", "asserter", "stage",
    },
    "DetectedIssue": {"identifier", "reference", "mitigation", "meta"},
    "Device": {"identifier", "manufacturer", "modelNumber", "type", "patient", "url", "meta"},
    "Device.version": {"component"},
    "DocumentReference": {"masterIdentifier", "docStatus", "category", "date", "description", "meta"},
    "DocumentReference.content": {"format"},
    "DocumentReference.context": {"related"},
    "Provenance": {"occurredDateTime", "policy", "location", "reason", "activity", "meta"},
    "Provenance.agent": {"type", "role", "onBehalfOf"},
    "Provenance.entity": {"agent"},
    "Task": {
        "identifier", "priority", "lastModified", "owner", "reasonCode", "reasonReference", "note", "meta",
    },
    "Task.input": {"valueReference"},
}  # fmt: skip
GIVEN = [
    (type, name)
    for type, name in ELEMENTS
    if name not in NOT_GIVEN.get(type, ()) and not type.startswith("OperationOutcome")
]


@pytest.mark.parametrize(("type", "name"), GIVEN, ids=lambda value: value)
def test_the_walk_finds_each_element_broken(full: dict[str, Any], type: str, name: str) -> None:
    """The element: missing where R4 requires it, of another type, repeated or alone, empty, out of its value set."""
    places = [parent for parent, kind, found in used(full, "Bundle") if (kind, found) == (type, name)]
    assert places, "the full bundle gives every element that is not listed as not given"
    parent = places[0]
    least, most, kind, allowed = R4[type][name]
    right = parent[name]
    assert list(problems(full)) == []
    wrong: list[Any] = [{"no": "such"}, 7.5, "", [], {}, None, [right] if most == "1" else right[0]]
    if allowed and allowed != ANY and kind == "code":
        wrong.append("elsewhere")
    if allowed and kind == "CodeableConcept":
        wrong.append({"coding": [{"system": SYSTEMS[name], "code": "elsewhere"}]})
        wrong.append({"text": right["coding"][0]["code"]})
    if allowed and allowed != ANY and kind == "Reference":
        elsewhere = {"reference": "Location/1"}
        wrong.append([elsewhere] if most == "*" else elsewhere)
    if kind in ("uri", "id", "instant", "dateTime"):
        wrong.append("not one")
    for value in wrong:
        parent[name] = value
        assert list(problems(full)), f"{type}.{name} = {value!r}"
    del parent[name]
    missing = any(problem.endswith(f".{name}: missing") for problem in problems(full))
    assert missing == bool(least) if parent else list(problems(full))  # its only element gone, the parent is empty
    parent[name] = right
    parent[f"{name}ed"] = right
    assert [problem.split(f".{name}ed: ")[1:] for problem in problems(full)] == [["R4 has no such element"]]


TYPES = {
    **{type: type for type in ("Bundle", *MADE)},
    "Bundle.entry": "BundleEntry",
    "Condition.evidence": "ConditionEvidence",
    "DetectedIssue.evidence": "DetectedIssueEvidence",
    "Device.deviceName": "DeviceDeviceName",
    "Device.version": "DeviceVersion",
    "DocumentReference.content": "DocumentReferenceContent",
    "DocumentReference.context": "DocumentReferenceContext",
    "Provenance.agent": "ProvenanceAgent",
    "Provenance.entity": "ProvenanceEntity",
    "Task.input": "TaskInput",
}


@pytest.mark.parametrize("type", TYPES)
def test_the_table_agrees_with_r4b(type: str) -> None:
    """R4B left these resources as R4 has them: the same elements, least and most, and targets of references."""
    module = importlib.import_module(f"fhir.resources.R4B.{type.split('.')[0].lower()}")
    model = getattr(module, TYPES[type])
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, (least, most, kind, allowed) in R4[type].items():
        field = fields[name]
        extra = field.json_schema_extra or {}
        assert ("List[" in str(field.annotation)) == (most == "*"), name
        assert (field.is_required() or extra.get("element_required", False)) == bool(least), name
        targets = extra.get("enum_reference_types")
        if kind == "Reference" and not name.startswith("value"):
            assert set(targets) == ({"Resource"} if allowed == ANY else set(allowed)), name
        codes = extra.get("enum_values")
        if codes and kind == "code":
            assert set(codes) - {"+"} <= set(allowed), name


# --- invariants of R4 ---------------------------------------------------------------------------------------------------


def codes(concept: dict[str, Any]) -> set[str]:
    return {coding["code"] for coding in concept.get("coding", ())}


def con_1(resource: dict[str, Any]) -> bool:
    """Condition.stage: a summary or an assessment."""
    return all(stage.keys() & {"summary", "assessment"} for stage in resource.get("stage", ()))


def con_2(resource: dict[str, Any]) -> bool:
    """Condition.evidence: a code or a detail."""
    return all(each.keys() & {"code", "detail"} for each in resource.get("evidence", ()))


def con_3(resource: dict[str, Any]) -> bool:
    """Condition.clinicalStatus: there, unless entered in error or not of the problem list (a guideline)."""
    listed = any("problem-list-item" in codes(category) for category in resource.get("category", ()))
    return not listed or "clinicalStatus" in resource or in_error(resource)


def con_4(resource: dict[str, Any]) -> bool:
    """Condition.abatement[x]: only where the clinical status says that it is over."""
    abated = any(name.startswith("abatement") for name in resource)
    return not abated or bool(codes(resource.get("clinicalStatus", {})) & {"resolved", "remission", "inactive"})


def con_5(resource: dict[str, Any]) -> bool:
    """Condition.clinicalStatus: not where the condition was entered in error."""
    return not (in_error(resource) and "clinicalStatus" in resource)


def in_error(resource: dict[str, Any]) -> bool:
    return "entered-in-error" in codes(resource.get("verificationStatus", {}))


def inv_1(resource: dict[str, Any]) -> bool:
    """Task.lastModified: not before authoredOn."""
    return resource.get("lastModified", "9") >= resource.get("authoredOn", "")


def dom_2_3_4_5(resource: dict[str, Any]) -> bool:
    """DomainResource.contained: nothing is contained, so nothing is nested, unused, versioned or labelled."""
    return not any("contained" in each for each in walk(resource))


def ele_1(resource: dict[str, Any]) -> bool:
    """Element: a value or children, not an id alone; so nothing is null or empty."""
    children = [child for each in walk(resource) for child in each.values()]
    return all(child not in (None, "", [], {}) for child in children) and all(
        set(each) != {"id"} for each in walk(resource)
    )


def ext_1(resource: dict[str, Any]) -> bool:
    """Extension: nested extensions or a value, not both, not neither."""
    extensions = [each for parent in walk(resource) for each in parent.get("extension", ())]
    return all(
        ("extension" in each) != any(name.startswith("value") for name in each) and "url" in each for each in extensions
    )


def ref_1(resource: dict[str, Any]) -> bool:
    """Reference.reference: none is local, as nothing is contained."""
    return not any(str(each.get("reference", "")).startswith("#") for each in walk(resource))


def att_1(resource: dict[str, Any]) -> bool:
    """Attachment.contentType: there, where there are data."""
    return all("contentType" in each for each in walk(resource) if "data" in each)


def der_1(resource: dict[str, Any]) -> bool:
    """derivation-reference: a length only beside an offset."""
    parts = [{part["url"] for part in each["extension"]} for each in walk(resource) if each.get("url") == fhir.DERIVED]
    return all("offset" in each or "length" not in each for each in parts)


def bdl_1(made: dict[str, Any]) -> bool:
    """Bundle.total: only of a search or history."""
    return "total" not in made


def bdl_2(made: dict[str, Any]) -> bool:
    """Bundle.entry.search: only of a search."""
    return not any("search" in entry for entry in made["entry"])


def bdl_3_4(made: dict[str, Any]) -> bool:
    """Bundle.entry.request and response: only of a batch, transaction or history."""
    return not any(entry.keys() & {"request", "response"} for entry in made["entry"])


def bdl_5(made: dict[str, Any]) -> bool:
    """Bundle.entry: a resource, as there is no request or response."""
    return all("resource" in entry for entry in made["entry"])


def bdl_7(made: dict[str, Any]) -> bool:
    """Bundle.entry.fullUrl: each once."""
    urls = [entry["fullUrl"] for entry in made["entry"]]
    return len(set(urls)) == len(urls)


def bdl_8(made: dict[str, Any]) -> bool:
    """Bundle.entry.fullUrl: of no particular version."""
    return not any("/_history/" in entry["fullUrl"] for entry in made["entry"])


def bdl_9_to_12(made: dict[str, Any]) -> bool:
    """Bundle.type: neither a document nor a message, whose demands would follow."""
    return made["type"] == "collection"


def full_url(made: dict[str, Any]) -> bool:
    """Bundle.entry.fullUrl: a lower-case urn:uuid: of the resource's own id."""
    uuid = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    return all(
        uuid.fullmatch(entry["fullUrl"]) and entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}"
        for entry in made["entry"]
    )


def resolves(made: dict[str, Any]) -> bool:
    """Reference.reference: every urn:uuid: stands in the bundle, but for the patient and encounter the caller named."""
    urls = {entry["fullUrl"] for entry in made["entry"]}
    named = {
        resource["subject"].get("reference") for resource in of(made, "Condition") + of(made, "DocumentReference")
        if "subject" in resource
    }  # fmt: skip
    said = {each["reference"] for each in walk(made) if isinstance(each.get("reference"), str)}
    return all(url in urls | named for url in said if url.startswith("urn:"))


OF_CONDITIONS = (con_1, con_2, con_3, con_4, con_5)
OF_ALL = (dom_2_3_4_5, ele_1, ext_1, ref_1, att_1, der_1)
OF_BUNDLES = (bdl_1, bdl_2, bdl_3_4, bdl_5, bdl_7, bdl_8, bdl_9_to_12, full_url, resolves)


def broken(made: dict[str, Any]) -> Iterator[str]:
    """The names of the invariants that a bundle breaks."""
    for rule in (*OF_BUNDLES, *OF_ALL):
        if not rule(made):
            yield rule.__name__
    for rule in OF_CONDITIONS:
        if not all(rule(resource) for resource in of(made, "Condition")):
            yield rule.__name__
    if not all(inv_1(resource) for resource in of(made, "Task")):
        yield "inv_1"


def test_bundles_keep_the_invariants() -> None:
    for each in bundles(*QUICK):
        assert list(broken(each)) == []


def entry(made: dict[str, Any], kind: str) -> dict[str, Any]:
    return of(made, kind)[0]


CONCEPT = {"coding": [{"system": SYSTEMS["verificationStatus"], "code": "entered-in-error"}]}
LISTED = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "problem-list-item"}]
}
BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "con_1": lambda made: entry(made, "Condition").update(stage=[{"type": {"text": "grade"}}]),
    "con_2": lambda made: [entry(made, "Condition")["evidence"][0].pop(name) for name in ("code", "detail")],
    "con_3": lambda made: entry(made, "Condition").update(category=[LISTED]),
    "con_4": lambda made: entry(made, "Condition").update(abatementString="over"),
    "con_5": lambda made: entry(made, "Condition").update(verificationStatus=CONCEPT, clinicalStatus=CONCEPT),
    "inv_1": lambda made: entry(made, "Task").update(lastModified="2020-01-01T00:00:00Z"),
    "dom_2_3_4_5": lambda made: entry(made, "Task").update(contained=[{"resourceType": "Device"}]),
    "ele_1": lambda made: entry(made, "Task").update(code={"id": "a"}),
    "ext_1": lambda made: made["entry"][2]["resource"]["evidence"][0]["extension"][0].update(valueString="both"),
    "ref_1": lambda made: entry(made, "Task")["focus"].update(reference="#a"),
    "att_1": lambda made: entry(made, "DocumentReference")["content"][0]["attachment"].pop("contentType"),
    "der_1": lambda made: entry(made, "Task")["input"][0]["extension"][0]["extension"].pop(2),
    "bdl_1": lambda made: made.update(total=1),
    "bdl_2": lambda made: made["entry"][0].update(search={"mode": "match"}),
    "bdl_3_4": lambda made: made["entry"][0].update(request={"method": "GET", "url": "a"}),
    "bdl_5": lambda made: made["entry"].append({"fullUrl": made["entry"][0]["fullUrl"][:-1] + "0"}),
    "bdl_7": lambda made: made["entry"].append(made["entry"][0]),
    "bdl_8": lambda made: made["entry"][0].update(fullUrl="http://x.org/Task/1/_history/2"),
    "bdl_9_to_12": lambda made: made.update(type="document"),
    "full_url": lambda made: entry(made, "Task").update(id="other"),
    "resolves": lambda made: entry(made, "Task")["focus"].update(reference="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_each_invariant_is_seen_broken(full: dict[str, Any], name: str) -> None:
    assert list(broken(full)) == []
    BREAKS[name](full)
    try:
        seen = list(broken(full))
    except KeyError:  # an entry without a resource breaks the rules that follow, too
        assert name == "bdl_5" and not bdl_5(full)
        return
    assert name in seen


def test_every_invariant_has_a_break() -> None:
    rules = {rule.__name__ for rule in (*OF_CONDITIONS, *OF_ALL, *OF_BUNDLES, inv_1)}
    assert rules == set(BREAKS)


# --- a resource in, a bundle out ----------------------------------------------------------------------------------------


def posted(text: str, id: str, patient: str = "Patient/p1", **more: Any) -> dict[str, Any]:
    attachment = {"contentType": "text/plain; charset=utf-8", "data": base64.b64encode(text.encode()).decode()}
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "subject": {"reference": patient},
        "context": {"encounter": [{"reference": "Encounter/e1"}]},
        "content": [{"attachment": attachment}],
        **more,
    }


def held(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


def test_answer_refers_to_what_was_posted() -> None:
    """Reference: evidence, patient and encounter are those of the resource, which is not sent back."""
    for resource in (posted(RICH, "77"), held(posted(RICH, "77"))):
        made = fhir.answer(resource, extractor(), recorded=RECORDED)
        assert list(problems(made)) == [] and list(broken(made)) == [] and made["timestamp"] == RECORDED
        assert not of(made, "DocumentReference") and not of(made, "OperationOutcome")
        first = of(made, "Condition")[0]
        assert first["subject"] == {"reference": "Patient/p1"} and first["encounter"] == {"reference": "Encounter/e1"}
        assert first["evidence"][0]["detail"] == [{"reference": "DocumentReference/77"}]
    assert "evidence" in json.dumps(made) and "defects" not in json.dumps(
        fhir.answer(resource, extractor(), text=False)
    )


def test_answer_decides_on_all_documents_together() -> None:
    parts = [posted("CT: bilateral L5 pars defects.", "1"), posted("Assessment: spondylolysis.", "2")]
    made = fhir.answer(held(*parts), extractor())
    assert [codes(each["code"]) for each in of(made, "Condition")] == [{"M43.06"}]
    assert [each["what"]["reference"] for each in of(made, "Provenance")[0]["entity"]] == [
        "DocumentReference/1",
        "DocumentReference/2",
    ]


def test_answer_says_what_was_left_out() -> None:
    """OperationOutcome: a warning, beside what the other documents say."""
    linked = posted(RICH, "2", content=[{"attachment": {"contentType": "text/plain", "url": "http://x.org/Binary/1"}}])
    made = fhir.answer(held(posted(RICH, "1"), linked), extractor())
    (said,) = of(made, "OperationOutcome")
    assert [(issue["severity"], issue["code"]) for issue in said["issue"]] == [("warning", "incomplete")]
    assert of(made, "Condition") and list(problems(made)) == [] and list(broken(made)) == []


def test_answer_is_of_one_encounter() -> None:
    with pytest.raises(InputError, match="several patients or encounters"):
        fhir.answer(held(posted(RICH, "1"), posted(RICH, "2", "Patient/p2")), extractor())
    other = posted(RICH, "2", context={"encounter": [{"reference": "Encounter/e2"}]})
    with pytest.raises(InputError, match="several patients or encounters"):
        fhir.answer(held(posted(RICH, "1"), other), extractor())


@pytest.mark.parametrize("resource", [None, [], "a", {}, {"resourceType": "Patient"}, held(), posted("", "1")])
def test_answer_refuses_what_holds_no_document(resource: object) -> None:
    with pytest.raises(InputError):
        fhir.answer(resource, extractor())


def test_nothing_said_of_what_was_posted_is_an_empty_bundle() -> None:
    """Bundle.entry: optional, so where nothing is said of known documents there is none."""
    made = fhir.answer(posted("Seen for a cold.", "1"), extractor())
    assert set(made) == {"resourceType", "id", "type"} and list(problems(made)) == []


def test_outcome_of_an_error() -> None:
    """OperationOutcome.issue: severity, code and diagnostics; R4B's class accepts it."""
    from fhir.resources.R4B.operationoutcome import OperationOutcome

    made = fhir.outcome("error", "invalid", "one", "two")
    OperationOutcome.model_validate(made)
    assert [issue["diagnostics"] for issue in made["issue"]] == ["one", "two"]
    assert list(problems(made, "Resource")) == []


# --- what we promise beyond the standard --------------------------------------------------------------------------------


def test_condition_verification_status_is_never_confirmed() -> None:
    """Condition.verificationStatus: a code is provisional, a denial without a code refuted; nothing else occurs."""
    provisional = refuted = 0
    for (result, _), made in zip(results(*QUICK), bundles(*QUICK), strict=True):
        coded = {code.code for code in result.codes}
        found = of(made, "Condition")
        for resource in found:
            status = codes(resource["verificationStatus"])
            assert status in ({"provisional"}, {"refuted"})
            assert "clinicalStatus" not in resource
            if status == {"provisional"}:
                assert codes(resource["code"]) <= coded
            provisional += status == {"provisional"}
            refuted += status == {"refuted"}
        denied = [item for item in result.conditions if item.assertion == "negated"]
        denied = [item for item in denied if item.condition not in {code.condition for code in result.codes}]
        assert len(found) == len(result.codes) + len(denied)
    assert provisional > 100 and refuted > 20


def test_condition_code_has_the_edition() -> None:
    """Condition.code.coding: ICD-10-CM's system, the code with its dot, its title, and the edition as version."""
    result = extract(RICH)
    coding = [resource["code"]["coding"] for resource in of(fhir.bundle(result), "Condition")]
    assert coding == [
        [{"system": fhir.ICD10CM, "version": result.code_set.id, "code": code.code, "display": code.display}]
        for code in result.codes
    ]
    assert fhir.ICD10CM == "http://hl7.org/fhir/sid/icd-10-cm"


def test_condition_tag_tells_suggested_from_review() -> None:
    """Condition.meta.tag: the code's own status."""
    result = extract(RICH)
    tags = [resource["meta"]["tag"][0]["code"] for resource in of(fhir.bundle(result), "Condition")]
    assert tags == [code.status for code in result.codes] == ["suggested", "review"]


def test_condition_body_site() -> None:
    """Condition.bodySite: the levels, else the regions; of several codes for one condition, none."""
    sites = {
        next(iter(codes(resource["code"]))): [site["text"] for site in resource["bodySite"]]
        for resource in of(fhir.bundle(extract(RICH)), "Condition")
    }
    assert sites == {"M43.17": ["L5-S1"], "M43.06": ["L5"]}
    several = extract("Assessment: acute traumatic pars fractures of L2 and T12 after a fall.")
    assert len(several.codes) > 1 and len({code.condition for code in several.codes}) == 1
    assert all("bodySite" not in resource for resource in of(fhir.bundle(several), "Condition"))


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("MRI lumbar spine: No spondylolisthesis.", [("refuted", "spondylolisthesis")]),
        ("Assessment: possible spondylolysis at L5.", []),
        ("Assessment: history of spondylolysis, healed.", []),
        ("Family history: father with spondylolisthesis.", []),
    ],
)
def test_condition_only_of_the_patient_and_now(text: str, given: list[tuple[str, str]]) -> None:
    """Condition: uncertain, historical and family mentions are none; a denial is refuted and names no ICD-10-CM code."""
    made = of(fhir.bundle(extract(text)), "Condition")
    assert [(*codes(each["verificationStatus"]), each["code"]["text"]) for each in made] == given
    assert fhir.ICD10CM not in json.dumps(made)


def test_condition_subject_unknown() -> None:
    """Condition.subject: required; unnamed, it says so; the notes' one patient is named by identifier."""
    unknown = of(fhir.bundle(extract(RICH)), "Condition")[0]["subject"]
    assert unknown == {"extension": [{"url": fhir.ABSENT, "valueCode": "unknown"}]}
    named = of(fhir.bundle(extract(RICH, patient="p-7")), "Condition")[0]["subject"]
    assert named == {"type": "Patient", "identifier": {"value": "p-7"}}
    both = extractor().extract_encounter([Note(text=RICH, id="a", patient="1"), Note(text="x", id="b", patient="2")])
    assert of(fhir.bundle(both), "Condition")[0]["subject"] == unknown


def test_evidence_offsets_find_the_words() -> None:
    """Condition.evidence, DetectedIssue.evidence, Task.input: offset and length are code points of the document."""
    checked = 0
    for (_, notes), made in zip(results(*QUICK), bundles(*QUICK), strict=True):
        texts = {note.id: note.text for note in notes}
        documents = {f"urn:uuid:{each['id']}": each["identifier"][0]["value"] for each in of(made, "DocumentReference")}
        for each in walk(made):
            if not isinstance(each.get("extension"), list) or each["extension"][0]["url"] != fhir.DERIVED:
                continue
            parts = {part["url"]: part for part in each["extension"][0]["extension"]}
            assert list(parts) == ["reference", "path", "offset", "length"]
            text = texts[documents[parts["reference"]["valueReference"]["reference"]]]
            start = parts["offset"]["valueInteger"]
            words = text[start : start + parts["length"]["valueInteger"]]
            quoted = each["code"][0]["text"] if "code" in each else each.get("valueString", words)
            assert quoted == words != ""
            checked += quoted is not words
    assert checked > 400


def test_document_reference_data_is_the_text() -> None:
    """DocumentReference.content.attachment.data: UTF-8 in base64, only of notes that are given."""
    note = Note(text="Größe: 😀 L5 pars defect.\x0c", id="n")
    result = extractor().extract(note)
    attachment = of(fhir.bundle(result, [note]), "DocumentReference")[0]["content"][0]["attachment"]
    assert base64.b64decode(attachment["data"]).decode() == note.text
    assert attachment["contentType"] == "text/plain; charset=utf-8"
    assert "data" not in json.dumps(of(fhir.bundle(result), "DocumentReference"))


def test_document_reference_says_what_it_knows() -> None:
    """DocumentReference.type, identifier, author; the document's date is its attachment's creation, no instant."""
    result = extract(RICH, id="n1", kind="radiology", date="2026-05-12", author="radiologist")
    made = of(fhir.bundle(result), "DocumentReference")[0]
    assert made["type"]["coding"] == [{"system": fhir.LOINC, "code": "18748-4", "display": "Diagnostic imaging study"}]
    assert made["identifier"] == [{"value": "n1"}] and made["author"] == [{"display": "radiologist"}]
    assert made["content"][0]["attachment"]["creation"] == "2026-05-12" and "date" not in made
    without = of(fhir.bundle(extract("Nothing of note.", kind="pt")), "DocumentReference")[0]
    assert without["type"] == {"text": "pt"} and "author" not in without


def test_documents_that_are_sent_are_read_back() -> None:
    """DocumentReference: what `formats` reads of ours is what went in: the text, the kind, the date, the patient."""
    from parsnlp.interfaces.formats import documents_of_resource

    kinds = sorted(fhir._TYPES)
    given = [
        Note(text=f"{kind}: L5 pars defect, Größe 😀.\r\n", id=kind, kind=kind, date="2026-05-12") for kind in kinds
    ]
    made = fhir.bundle(extractor().extract_encounter(given), given, subject="Patient/p1", encounter="Encounter/e1")
    found = documents_of_resource(made, "ours")
    assert [each["text"] for each in found] == [note.text for note in given]
    assert [each["kind"] for each in found] == kinds
    assert {(each["date"], each["patient"], each["encounter"]) for each in found} == {
        ("2026-05-12", "Patient/p1", "Encounter/e1")
    }


def test_detected_issue_of_an_edit() -> None:
    """DetectedIssue: preliminary; code, rule, severity; the Conditions it is about; the fix in detail, not mitigation."""
    result = extractor().audit("Assessment: spondylolysis at L5.", ["M43.06", "M43.16"])
    made = fhir.bundle(result)
    issues = of(made, "DetectedIssue")
    assert len(issues) == len(result.edits) > 0
    ids = {next(iter(codes(each["code"]))): f"urn:uuid:{each['id']}" for each in of(made, "Condition")}
    for edit, issue in zip(result.edits, issues, strict=True):
        assert issue["status"] == "preliminary" and "mitigation" not in issue
        assert [coding["code"] for coding in issue["code"]["coding"]] == [edit.kind, edit.rule]
        assert issue["severity"] == {"error": "moderate", "warning": "low", "info": "low"}[edit.severity]
        assert [each["reference"] for each in issue.get("implicated", ())] == [ids[c] for c in edit.codes if c in ids]
        assert edit.says in issue["detail"] and (edit.fix or "") in issue["detail"]
        assert edit.says not in json.dumps(fhir.bundle(result, text=False))
    assert any(edit.fix for edit in result.edits) and any(
        "implicated" in issue for issue in of(fhir.bundle(extract(RICH)), "DetectedIssue")
    )


def test_detected_issue_severity_is_never_high() -> None:
    """DetectedIssue.severity: graded by harm to the patient, which no edit of a claim does gravely."""
    edits = tuple(
        Edit(kind=f"k{number}", severity=severity, says="x", rule="P-X3")
        for number, severity in enumerate(("error", "warning", "info"))
    )  # fmt: skip
    made = fhir.bundle(extract(RICH).model_copy(update={"edits": edits}))
    assert [issue["severity"] for issue in of(made, "DetectedIssue")] == ["moderate", "low", "low"]


def test_task_of_a_query() -> None:
    """Task: a draft proposal about the document, with the indicators and options as inputs; tips are no queries."""
    for (result, _), made in zip(results(*QUICK), bundles(*QUICK), strict=True):
        asked = [query for query in result.queries if query.severity == "query"]
        tasks = of(made, "Task")
        assert len(tasks) == len(asked)
        for query, task in zip(asked, tasks, strict=True):
            assert (task["status"], task["intent"]) == ("draft", "proposal")
            assert codes(task["code"]) == {query.kind} and "owner" not in task
            assert task.get("description", query.says) == query.says
            kinds = [next(iter(codes(each["type"]))) for each in task["input"]]
            assert kinds == ["clinical_indicator"] * len(query.evidence) + ["option"] * len(query.options)
            assert [each["valueString"] for each in task["input"][len(query.evidence) :]] == list(query.options)
    tips = extract("Assessment: chronic unilateral L5 spondylolysis.")
    assert [query.severity for query in tips.queries] == ["tip"] and not of(fhir.bundle(tips), "Task")


def test_provenance() -> None:
    """Provenance: all that is said, by the software and its version, from every document; recorded as the caller says."""
    made = fhir.bundle(extract(RICH), recorded=RECORDED)
    (provenance,), (device,) = of(made, "Provenance"), of(made, "Device")
    said = [
        entry["fullUrl"]
        for entry in made["entry"]
        if entry["resource"]["resourceType"] in ("Condition", "DetectedIssue", "Task")
    ]
    assert [target["reference"] for target in provenance["target"]] == said
    assert provenance["agent"] == [{"who": {"reference": f"urn:uuid:{device['id']}"}}]
    assert [each["value"] for each in device["version"]] == [parsnlp.__version__, extract(RICH).rule_set.hash]
    documents = [f"urn:uuid:{each['id']}" for each in of(made, "DocumentReference")]
    assert [(each["role"], each["what"]["reference"]) for each in provenance["entity"]] == [("source", documents[0])]
    assert provenance["recorded"] == RECORDED and made["timestamp"] == RECORDED


def test_provenance_recorded_unknown() -> None:
    """Provenance.recorded: required; as no clock is read, without the caller's word it says that it is unknown."""
    made = fhir.bundle(extract(RICH))
    (provenance,) = of(made, "Provenance")
    assert "recorded" not in provenance and "timestamp" not in made
    assert provenance["_recorded"] == {"extension": [{"url": fhir.ABSENT, "valueCode": "unknown"}]}


def test_nothing_said_is_documents_alone() -> None:
    """Provenance.target: at least one; so where nothing is said, there is neither Provenance nor Device."""
    made = fhir.bundle(extract("Seen for a cold."))
    assert [entry["resource"]["resourceType"] for entry in made["entry"]] == ["DocumentReference"]


def test_sources_stand_for_documents() -> None:
    """Reference: documents that the caller's server has are referred to there, and not sent again."""
    made = fhir.bundle(extract(RICH, id="n"), sources={"n": "DocumentReference/77"})
    assert not of(made, "DocumentReference")
    evidence = of(made, "Condition")[0]["evidence"][0]
    assert evidence["detail"] == [{"reference": "DocumentReference/77"}]
    parts = {part["url"]: part for part in evidence["extension"][0]["extension"]}
    assert parts["reference"]["valueReference"] == {"reference": "DocumentReference/77"} and "path" not in parts
    assert list(problems(made)) == [] and list(broken(made)) == []


def test_ids_are_of_the_content() -> None:
    """Resource.id: the same for the same call, text or none; another for another note, patient or encounter."""
    result = extract(RICH, id="n")
    once = fhir.bundle(result, subject="Patient/1")
    assert json.dumps(once) == json.dumps(fhir.bundle(result, subject="Patient/1"))
    urls = [entry["fullUrl"] for entry in once["entry"]]
    assert urls == [entry["fullUrl"] for entry in fhir.bundle(result, subject="Patient/1", text=False)["entry"]]
    for other in (
        fhir.bundle(result, subject="Patient/2"),
        fhir.bundle(result, subject="Patient/1", encounter="Encounter/1"),
        fhir.bundle(extract(RICH, id="m"), subject="Patient/1"),
        fhir.bundle(extract(f" {RICH}", id="n"), subject="Patient/1"),
    ):
        shared = {entry["fullUrl"] for entry in other["entry"]} & set(urls)
        assert shared == {f"urn:uuid:{of(once, 'Device')[0]['id']}"}  # the software is one and the same


def test_text_false_holds_no_word_of_the_notes() -> None:
    """string, markdown: without text no quotation, no reason that quotes; with text only what the result holds."""
    for result, notes in results(*QUICK):
        bare = json.dumps(fhir.bundle(result, text=False), ensure_ascii=False)
        for span in (each for code in result.codes for each in code.evidence):
            if len(span.text) > 12:
                assert f'"{span.text}"' not in bare
        held = {*strings(result.model_dump()), *(note.id for note in notes)}
        for text in strings(fhir.bundle(result)):
            if len(text) > 40 and any(text in note.text for note in notes):
                assert any(text in each for each in held)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from strings(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from strings(child)


def test_the_canary_stays_where_it_was_put(canary: str) -> None:
    note = Note(text=f"{canary} CT: L5 pars defects {canary}.", id="n")
    result = extractor().extract(note)
    assert canary not in json.dumps(fhir.bundle(result))
    assert canary not in repr(fhir.Context(result, texts={"n": note.text}))
    with pytest.raises(InputError) as error:
        fhir.bundle(result, [Note(text=note.text + canary, id="n")])
    assert canary not in str(error.value)


def test_strings_are_fit_for_fhir() -> None:
    """string: control characters and lone surrogates become U+FFFD, so offsets stay; an id of blanks is left out."""
    text = "CT: bilateral pars\x0bdefects at L5 \ud83d."
    result = extractor().extract(Note(text=text, id=" "))
    span = Span(document=" ", start=14, end=26, text=text[14:26])
    result = result.model_copy(
        update={"edits": (Edit(kind="k", severity="error", says="\ud83d\x00", rule="P-X3", evidence=(span,)),)}
    )
    made = fhir.bundle(result, [Note(text=text, id=" ")])
    assert list(problems(made)) == [] and list(broken(made)) == []
    json.dumps(made, ensure_ascii=False).encode()
    issue = of(made, "DetectedIssue")[0]
    assert issue["evidence"][0]["code"] == [{"text": "pars\ufffddefects"}] and issue["detail"] == "\ufffd\ufffd."
    assert "identifier" not in of(made, "DocumentReference")[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"subject": "123"}, "subject is not a FHIR reference"),
        ({"subject": ""}, "subject is not a FHIR reference"),
        ({"encounter": "Encounter/a b"}, "encounter is not a FHIR reference"),
        ({"sources": {"note": "77"}}, "a source is not a FHIR reference"),
        ({"recorded": "2026-05-12"}, "recorded is not an instant"),
        ({"recorded": "2026-05-12T14:30:00"}, "recorded is not an instant"),
        ({"recorded": "2026-02-30T14:30:00Z"}, "recorded is not an instant"),
        ({"notes": [Note(text="other")]}, "not those that the result was made from"),
        ({"notes": [Note(text=RICH, id="other")]}, "not those that the result was made from"),
        ({"notes": [Note(text=RICH)], "text": False}, "leave them out where text=False"),
    ],
)
def test_what_the_caller_gives_is_checked(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        fhir.bundle(extract(RICH), **given)


@pytest.mark.parametrize("recorded", ["2026-05-12T14:30:00.123456789+02:00", "2024-02-29T23:59:59-05:00"])
def test_instants_as_r4_writes_them(recorded: str) -> None:
    made = fhir.bundle(extract(RICH), recorded=recorded)
    assert made["timestamp"] == recorded and list(problems(made)) == []


def test_no_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Stopped:
            raise AssertionError("the clock was read")

    monkeypatch.setattr(fhir.datetime, "datetime", Stopped)
    assert fhir.bundle(extract(RICH), recorded=RECORDED)["timestamp"] == RECORDED
