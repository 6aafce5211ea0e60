"""What record systems call: FHIR R4 resources under /fhir, and CDS Hooks 2.0 under /cds-services.

A refusal of a FHIR operation is an OperationOutcome, as its callers expect; CDS Hooks leaves the form to the service.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from parsnlp.interfaces import cds_hooks, fhir
from parsnlp.interfaces.service import bodies
from parsnlp.interfaces.service.openapi import BODY, JSON, Operation
from parsnlp.interfaces.service.problems import FAILED, Problem
from parsnlp.interfaces.service.schemas import (
    FhirDocuments,
    FhirResource,
    HookCards,
    HookFeedback,
    HookRequest,
    HookServices,
    Nothing,
)
from parsnlp.interfaces.service.settings import Settings
from parsnlp.interfaces.service.workers import Engine, Failed

FHIR = "application/fhir+json"

_NOTE = "CT: L5 pars defects with anterolisthesis of L5 on S1. No fracture."
_DOCUMENT = {
    "resourceType": "DocumentReference",
    "id": "note-1",
    "status": "current",
    "subject": {"reference": "Patient/p1"},
    "content": [
        {"attachment": {"contentType": "text/plain; charset=utf-8", "data": b64encode(_NOTE.encode()).decode()}}
    ],
}
_CALL = {
    "hook": "encounter-discharge",
    "hookInstance": "5d9f4c5e-2f0e-4a5e-9a3c-8d1f0b6f3a11",
    "context": {"userId": "Practitioner/d1", "patientId": "p1", "encounterId": "e1"},
    "prefetch": {
        "documents": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": _DOCUMENT}]},
    },
}


def operations(engine: Engine, settings: Settings) -> list[Operation]:
    """What record systems are answered."""
    first = cds_hooks.discovery()["services"][-1]
    told = {
        "card": _CALL["hookInstance"],
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": _CALL["hookInstance"]}],
        "outcomeTimestamp": "2026-05-12T10:00:00Z",
    }
    return [
        Operation(
            "fhir",
            "POST",
            "/fhir/$extract",
            "Read the documents of a FHIR R4 resource",
            "Takes a DocumentReference, a DiagnosticReport or a Bundle of these, of one encounter, with their data inside: "
            "nothing is fetched. Answers a Bundle of provisional Conditions, DetectedIssues, Tasks and their Provenance; a "
            "refusal is an OperationOutcome.",
            _fhir(engine, settings),
            gives=FhirResource,
            media=FHIR,
            takes=(FhirDocuments,),
            examples={"note": _DOCUMENT},
            refuses=BODY,
            refuses_as=FHIR,
        ),
        Operation(
            "hooks",
            "GET",
            "/cds-services",
            "The CDS services that are offered",
            "CDS Hooks 2.0, discovery.",
            _discovery,
            gives=HookServices,
            needs_token=False,
        ),
        Operation(
            "cards",
            "POST",
            "/cds-services/{service}",
            "Cards for the sign-off of a note or an encounter",
            "CDS Hooks 2.0. The documents come prefetched; nothing is fetched from the caller's FHIR server.",
            _hook(engine, settings, "cards"),
            gives=HookCards,
            takes=(HookRequest,),
            examples={first["id"]: _CALL},
            refuses=(*BODY, 404, 412),
        ),
        Operation(
            "feedback",
            "POST",
            "/cds-services/{service}/feedback",
            "What became of cards",
            "CDS Hooks 2.0, feedback. It is checked, and nothing is kept of it.",
            _hook(engine, settings, "feedback"),
            gives=Nothing,
            takes=(HookFeedback,),
            examples={first["id"]: {"feedback": [told]}},
            refuses=(*BODY, 404),
        ),
    ]


async def _discovery(request: Request) -> Response:
    return JSONResponse(cds_hooks.discovery())


def _hook(engine: Engine, settings: Settings, method: str) -> Callable[[Request], Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        bodies.check(request, (JSON,), settings.max_body)
        body = await bodies.whole(request, settings.max_body, settings.seconds)
        answer = await engine.answer(method, body, request.path_params["service"])
        return Response(answer.content, media_type=JSON)

    return handler


def _fhir(engine: Engine, settings: Settings) -> Callable[[Request], Awaitable[Response]]:
    async def handler(request: Request) -> Response:
        try:
            bodies.check(request, (FHIR, JSON), settings.max_body)
            body = await bodies.whole(request, settings.max_body, settings.seconds)
            answer = await engine.answer("fhir", body)
        except (Problem, Failed) as error:
            status, says = (error.status_code, error.detail) if isinstance(error, Problem) else (500, FAILED)
            kind = "invalid" if status < 500 else "exception"
            return Response(json.dumps(fhir.outcome("error", kind, says)), status, media_type=FHIR)
        return Response(answer.content, media_type=FHIR)

    return handler
