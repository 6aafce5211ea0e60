"""CDS Hooks 2.0 as pure functions: what is offered, cards for the sign-off of a note or an encounter, and feedback.

Nothing is kept, and nobody is called: the client's `fhirServer` is never used, so what is needed must be prefetched, with
its text inline. `docs/cds-hooks.md` shows how an EHR calls it.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from parsnlp import letters
from parsnlp.errors import InputError
from parsnlp.explain import flat
from parsnlp.extractor import Extractor
from parsnlp.interfaces import fhir, reading
from parsnlp.models import ChecklistItem, Code, Edit, Note, Query, Result

Json = dict[str, Any]

NOTE_SIGN = "org.parsnlp.note-sign"
"""Our own hook: a clinician signs a note. The published library has none; `docs/cds-hooks.md` defines it."""
LONGEST = 139
"""The most characters of a card's summary: fewer than 140."""

_PREFETCH = {
    "documents": "DocumentReference?patient={{context.patientId}}&encounter=Encounter/{{context.encounterId}}",
    "reports": "DiagnosticReport?patient={{context.patientId}}&encounter=Encounter/{{context.encounterId}}",
    "encounter": "Encounter/{{context.encounterId}}",
}
_SERVICES = {
    "parsnlp-note-sign": {
        "hook": NOTE_SIGN,
        "title": "Spine coding: when a note is signed",
        "description": "Candidate ICD-10-CM codes for pars defects and vertebral slips with their evidence, and what the "
        "record leaves open, when a note is signed",
    },
    "parsnlp-encounter-discharge": {
        "hook": "encounter-discharge",
        "title": "Spine coding: when an encounter ends",
        "description": "Candidate ICD-10-CM codes for pars defects and vertebral slips with their evidence, and what the "
        "record leaves open, when an encounter ends",
    },
}
_CONTEXT = ("userId", "patientId", "encounterId")  # both hooks demand these
_DOCUMENTS = ("DocumentReference", "DiagnosticReport")
_INDICATORS = {"error": "warning", "warning": "warning", "info": "info"}
_TOPICS = {
    "codes": "Candidate codes",
    "edit": "Conflict between codes",
    "query": "Documentation query",
    "checklist": "Documentation checklist",
}
_REASONS = {  # why a card may be put aside
    "codes": {
        "not-supported": "The record does not support it",
        "coded-otherwise": "It is coded in another way",
        "later": "To be decided by coding staff",
    },
    "edit": {
        "separate": "Both are right as documented",
        "mended": "Mended already",
        "later": "To be decided by coding staff",
    },
    "query": {
        "answered": "The record answers it already",
        "undetermined": "Clinically unable to determine",
        "not-relevant": "Not relevant to this encounter",
    },
    "checklist": {"documented": "Documented elsewhere", "not-relevant": "Not relevant to this encounter"},
}
_OF_CLAIMS = re.compile(r"\b(?:scrubbers?|claims?|denials?|den(?:y|ied)|pay(?:er|ment)s?|bill(?:ing|ed)?)\b", re.I)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]00:00)")


class Refused(InputError):
    """A request that cannot be answered. `status`: of HTTP, 404 for a service that is not offered, 412 for data that are
    lacking, 400 for all else. The message holds nothing of the request."""

    def __init__(self, says: str, status: int = 400) -> None:
        super().__init__(says)
        self.status = status


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user did with a card. `suggestions`: the ids accepted. `reason`: the code of an override's reason.

    A user's comment is not kept: it may hold anything.
    """

    card: str
    outcome: str
    at: str
    suggestions: tuple[str, ...] = ()
    reason: str | None = None


def discovery() -> Json:
    """What `GET /cds-services` answers."""
    return {"services": [{"id": id, **described, "prefetch": dict(_PREFETCH)} for id, described in _SERVICES.items()]}


def cards(service: str, request: object, extractor: Extractor) -> Json:
    """What `POST /cds-services/{service}` answers: cards for the documents of one encounter, perhaps none.

    The documents are those prefetched and, where a note is being signed, the one in the context. Raises `Refused`.
    """
    asked = _Asked.of(service, request)
    notes = asked.notes()
    if not notes:
        return {"cards": []}
    try:
        result = extractor.extract_encounter(notes)
    except InputError as error:  # such as a date that a strict release refuses; the words are ours
        raise Refused(str(error)) from None
    texts = {note.id: note.text for note in notes}
    missing = [item for item in result.checklist if item.state == "missing"]
    made = [
        *([_codes(result, notes, asked)] if result.codes else []),
        *(_edit(edit, number, asked) for number, edit in enumerate(result.edits)),
        *(
            _query(query, number, result, texts, asked)
            for number, query in enumerate(result.queries)
            if query.severity == "query"
        ),
        *([_checklist(missing, asked)] if missing else []),
    ]
    return {"cards": made}


def feedback(service: str, body: object) -> tuple[Feedback, ...]:
    """What a client posts to `/cds-services/{service}/feedback`, checked. Raises `Refused`."""
    _offered(service)
    given = _object(body, "the body").get("feedback")
    if not isinstance(given, list) or not given:
        raise Refused("feedback must be an array that is not empty")
    return tuple(_feedback(each, f"feedback[{number}]") for number, each in enumerate(given))


# --- what is asked ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that has been checked."""

    instance: str
    context: Mapping[str, Any]
    prefetch: Mapping[str, Any]

    @classmethod
    def of(cls, service: str, request: object) -> _Asked:
        hook = _offered(service)["hook"]
        body = _object(request, "the body")
        if body.get("hook") != hook:
            raise Refused(f"hook must be {hook} for this service")
        if not _is_uuid(body.get("hookInstance")):
            raise Refused("hookInstance must be a UUID")
        if "fhirAuthorization" in body and not isinstance(body.get("fhirServer"), str):
            raise Refused("fhirServer is required beside fhirAuthorization")
        context = _object(body.get("context"), "context")
        for name in _CONTEXT:
            if not isinstance(context.get(name), str) or not context[name]:
                raise Refused(f"context.{name} must be a string that is not empty")
        for name in _CONTEXT[1:]:
            if not _ID.fullmatch(context[name]):
                raise Refused(f"context.{name} is not the id of a FHIR resource")
        prefetch = _object(body.get("prefetch", {}), "prefetch")
        # All that is malformed is told (400) before anything that is lacking (412).
        given = [(f"prefetch.{key}", prefetch.get(key)) for key in _PREFETCH] + [("context.note", context.get("note"))]
        for where, resource in given:
            if resource is not None and not isinstance(_object(resource, where).get("resourceType"), str):
                raise Refused(f"{where} is no FHIR resource: it has no resourceType")
        return cls(body["hookInstance"], context, prefetch)

    def uuid(self, *name: object) -> str:
        """The id of a card or suggestion: its own within this call, and the same whenever the call is repeated."""
        return str(uuid.uuid5(uuid.UUID(self.instance), " ".join(map(str, name))))

    def notes(self) -> list[Note]:
        """The documents of the encounter. Raises `Refused`: 412 where some are lacking or unreadable."""
        from parsnlp.interfaces.formats import documents_of_resource

        setting = self._setting()
        notes = []
        for name, where, resource in self._documents():
            if not _is_of(resource, self.context["patientId"]):
                raise Refused(f"{where} is about another patient than the context's")
            try:
                (fields,) = documents_of_resource(resource, where)  # one for one, as it is no Bundle
                given = {**fields, "id": name, "setting": setting, "encounter": self.context["encounterId"]}
                notes.append(reading.note(given))
            except InputError as error:  # the words are ours, and never those of a note
                raise Refused(str(error), 412) from None
        return notes

    def _documents(self) -> Iterator[tuple[str, str, Json]]:
        """Each document once, with its name and where it stands; the one being signed goes before its stored state."""
        seen: set[str] = set()
        signed = self.context.get("note")
        places = [] if signed is None else [("context.note", signed)]
        if signed is None or "documents" in self.prefetch:
            places += self._prefetched("documents", needed=True)
        places += self._prefetched("reports", needed=False)
        for where, resource in places:
            if resource.get("resourceType") not in _DOCUMENTS:
                raise Refused(f"{where} is neither a DocumentReference nor a DiagnosticReport")
            if resource.get("status") == "entered-in-error":
                continue
            id = resource.get("id")
            stored = isinstance(id, str) and _ID.fullmatch(id)
            name = f"{resource['resourceType']}/{id}" if stored else f"document-{len(seen) + 1}"
            if name not in seen:
                seen.add(name)
                yield name, where, resource

    def _prefetched(self, key: str, needed: bool) -> list[tuple[str, Json]]:
        """The resources under a key. A key that is absent, or failed, is lacking; one that is null has no data."""
        given = self.prefetch.get(key)
        failed = given is not None and given["resourceType"] == "OperationOutcome"
        if key not in self.prefetch or failed:
            if needed:
                raise Refused(f"prefetch.{key} is lacking, and this service calls no FHIR server", 412)
            return []
        if given is None:
            return []
        if given["resourceType"] != "Bundle":
            return [(f"prefetch.{key}", given)]
        entries, links = given.get("entry", []), given.get("link", [])
        if not isinstance(entries, list) or not isinstance(links, list):
            raise Refused(f"prefetch.{key}: entry and link must be arrays")
        if any(isinstance(link, dict) and link.get("relation") == "next" for link in links):
            raise Refused(f"prefetch.{key} is not all of the data: it links to a next page", 412)
        found = []
        for number, entry in enumerate(entries):
            where = f"prefetch.{key}.entry[{number}].resource"
            resource = _object(_object(entry, where).get("resource"), where)
            if resource.get("resourceType") != "OperationOutcome":  # a server's remark on the search
                found.append((where, resource))
        return found

    def _setting(self) -> str | None:
        """outpatient or inpatient, as the encounter's class says."""
        from parsnlp.interfaces.formats import codes

        classes = [encounter.get("class") for _, encounter in self._prefetched("encounter", needed=False)]
        given = [(each.get("system"), each.get("code")) for each in classes if isinstance(each, dict)]
        return codes.setting((str(system), str(code)) for system, code in given)


def _offered(service: str) -> Mapping[str, str]:
    if service not in _SERVICES:
        raise Refused(f"no such service; there are {', '.join(_SERVICES)}", 404)
    return _SERVICES[service]


def _object(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise Refused(f"{where} must be an object")
    return value


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def _is_of(resource: Json, patient: str) -> bool:
    """Whether a document is about the patient, as far as it says."""
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return (
        not isinstance(reference, str)
        or "/" not in reference
        or reference.split("/_history/")[0].rsplit("/", 1)[1] == patient
    )


def _feedback(value: object, where: str) -> Feedback:
    given = _object(value, where)
    card, outcome, at = (given.get(name) for name in ("card", "outcome", "outcomeTimestamp"))
    if not isinstance(card, str) or not card:
        raise Refused(f"{where}.card must be the uuid of a card")
    if outcome not in ("accepted", "overridden"):
        raise Refused(f"{where}.outcome must be accepted or overridden")
    if not isinstance(at, str) or not _is_utc(at):
        raise Refused(f"{where}.outcomeTimestamp must be an ISO time stamp in UTC")
    accepted = given.get("acceptedSuggestions", [])
    if not isinstance(accepted, list) or (outcome == "accepted" and not accepted):
        raise Refused(f"{where}.acceptedSuggestions must be an array, not empty where the outcome is accepted")
    ids = [_object(each, f"{where}.acceptedSuggestions").get("id") for each in accepted]
    if not all(isinstance(id, str) and id for id in ids):
        raise Refused(f"{where}.acceptedSuggestions: each must have the id of a suggestion")
    override = _object(given.get("overrideReason", {}), f"{where}.overrideReason")
    reason = _object(override["reason"], f"{where}.overrideReason.reason") if "reason" in override else {}
    if reason and not all(isinstance(reason.get(name), str) and reason[name] for name in ("code", "system")):
        raise Refused(f"{where}.overrideReason.reason must have a code and a system")
    if not isinstance(override.get("userComment", ""), str):
        raise Refused(f"{where}.overrideReason.userComment must be a string")
    return Feedback(card, str(outcome), at, tuple(map(str, ids)), reason.get("code"))


def _is_utc(text: str) -> bool:
    if not _UTC.fullmatch(text):
        return False
    try:
        datetime.datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True


# --- what is answered -------------------------------------------------------------------------------------------------


def _codes(result: Result, notes: Iterable[Note], asked: _Asked) -> Json:
    context = fhir.Context(
        result,
        subject=f"Patient/{asked.context['patientId']}",
        encounter=f"Encounter/{asked.context['encounterId']}",
        sources={note.id: note.id for note in notes if "/" in note.id},  # those that are stored
    )
    many = f"{len(result.codes)} candidate ICD-10-CM codes" if len(result.codes) > 1 else "Candidate ICD-10-CM code"
    return _card(
        asked,
        "codes",
        (),
        f"{many}: {', '.join(code.code for code in result.codes)}",
        "info",
        "\n".join(_told(code) for code in result.codes),
        suggestions=[
            {
                "label": f"Add {code.code} as a provisional diagnosis",
                "uuid": asked.uuid("suggestion", code.code),
                "actions": [
                    {
                        "type": "create",
                        "description": f"Add {code.code} {code.display} as a provisional encounter diagnosis",
                        "resource": _created(code, context),
                    }
                ],
            }
            for code in result.codes
        ],
        selectionBehavior="any",
    )


def _told(code: Code) -> str:
    words = ", ".join(dict.fromkeys(f"“{_markdown(span.text)}”" for span in code.evidence))
    reason = _markdown(_without_claims(code.reason))
    return f"- **{code.code}** {_markdown(code.display)} ({code.status}): {reason}. Evidence: {words}"


def _created(code: Code, context: fhir.Context) -> Json:
    """The Condition to create, with such evidence as the client's server can look up."""
    made = fhir.condition(code, context)
    known = [each for each in made.pop("evidence") if each["detail"][0]["reference"] in context.sources.values()]
    return {**made, "evidence": known} if known else made


def _edit(edit: Edit, number: int, asked: _Asked) -> Json:
    says = _without_claims(edit.says) or f"{edit.kind.replace('_', ' ')}: {', '.join(edit.codes)}"
    words = [f"“{_markdown(span.text)}” ({_markdown(span.document)})" for span in edit.evidence]
    detail = [f"{_markdown(says)} ({edit.rule})", *(f"- {each}" for each in words)]
    return _card(asked, "edit", (number,), says, _INDICATORS[edit.severity], _paragraphs(detail[0], *detail[1:]))


def _query(query: Query, number: int, result: Result, texts: Mapping[str, str], asked: _Asked) -> Json:
    question = letters.question(query, result, texts)
    indicators = [
        f"- “{_markdown(item.quote or item.text)}” ({_markdown(item.document)}, characters {item.start}-{item.end})"
        for item in question.indicators
    ]
    options = [f"- {_markdown(option)}" for option in question.options]
    detail = "\n\n".join(
        part
        for part in (
            _paragraphs("Clinical indicators:", *indicators) if indicators else "",
            _paragraphs(_markdown(question.asks), *options),
        )
        if part
    )
    return _card(
        asked, "query", (number,), question.asks if len(question.asks) <= LONGEST else question.title, "info", detail
    )


def _checklist(missing: list[ChecklistItem], asked: _Asked) -> Json:
    names = dict.fromkeys(item.item.replace("_", " ") for item in missing)
    detail = "\n".join(f"- {_markdown(item.says)}" for item in missing)
    return _card(asked, "checklist", (), f"Not found in the record: {', '.join(names)}", "info", detail)


def _card(
    asked: _Asked, topic: str, name: Iterable[object], summary: str, indicator: str, detail: str, **more: object
) -> Json:
    return {
        "uuid": asked.uuid(topic, *name),
        "summary": _short(summary),
        "indicator": indicator,
        "detail": detail,
        "source": {
            "label": "parsnlp",
            "topic": {"system": f"{fhir.OWN}topic", "code": topic, "display": _TOPICS[topic]},
        },
        **more,
        "overrideReasons": [
            {"system": f"{fhir.OWN}override", "code": code, "display": display}
            for code, display in _REASONS[topic].items()
        ],
    }


def _short(text: str) -> str:
    """One line that is shorter than 140 characters, cut after a word where it must be."""
    line = flat(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rsplit(' ', 1)[0]}…"


def _without_claims(says: str) -> str:
    """What is said but for its clauses about claims: a clinician is not told what an answer is worth."""
    return "; ".join(clause for clause in says.split("; ") if not _OF_CLAIMS.search(clause))


def _paragraphs(lead: str, *items: str) -> str:
    return "\n".join([lead, "", *items]) if items else lead


def _markdown(text: str) -> str:
    """The text as Markdown that shows it literally, on one line."""
    return _SPECIAL.sub(r"\\\1", flat(text))
