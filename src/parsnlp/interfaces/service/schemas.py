"""What callers send, as closed and strict models: a field that is not known, or of another type, is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from parsnlp.errors import InputError
from parsnlp.interfaces import reading
from parsnlp.models import Note, Policy, Setting


def _kind(value: str) -> str:
    if value not in reading.KINDS:
        raise ValueError(f"must be one of {', '.join(reading.KINDS)}; leave it out to have it inferred")
    return value


def _date(value: str) -> str:
    try:
        reading.note({"text": "", "date": value})
    except InputError:
        raise ValueError("must be a calendar date of the form YYYY-MM-DD") from None
    return value


Name = Annotated[str, Field(min_length=1, max_length=200)]
Kind = Annotated[str, AfterValidator(_kind), Field(json_schema_extra={"enum": list(reading.KINDS)})]
Date = Annotated[str, AfterValidator(_date), Field(json_schema_extra={"format": "date"})]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class PolicyChoice(_Given):
    """The choices that the coding policy leaves open; what is left out is as the service was started with."""

    excludes1: Literal["separate", "strict"] | None = None
    stress_fracture: Literal["M43.0", "M48.4"] | None = None

    def over(self, policy: Policy) -> Policy:
        """The service's policy with these choices in its place."""
        return policy.model_copy(update=self.model_dump(exclude_none=True))


class GivenDocument(_Given):
    """One document. `kind` is inferred when absent; `setting` goes before that of the request or the service."""

    text: str = Field(repr=False)
    id: Name | None = None
    kind: Kind | None = None
    date: Date | None = None
    setting: Setting | None = None
    author: Name | None = None
    patient: Name | None = None

    def note(self, name: str = "note", encounter: str | None = None) -> Note:
        """The library's note. `name`: its id when it has none. Lone surrogates become U+FFFD, one for one."""
        given = {name: value for name, value in self.__dict__.items() if name in GivenDocument.model_fields}
        return reading.note({**given, "id": self.id or name, "encounter": encounter})


class ExtractRequest(GivenDocument):
    """One note to read. `what_if`: also say which other facts would change the codes."""

    encounter: Name | None = None
    policy: PolicyChoice = PolicyChoice()
    what_if: bool = False


class _Encounter(_Given):
    documents: list[GivenDocument] = Field(min_length=1, max_length=500)
    id: Name | None = None
    setting: Setting | None = None
    policy: PolicyChoice = PolicyChoice()

    def notes(self) -> list[Note]:
        """The library's notes; a document without an id is named by its place, "document-1" the first."""
        return [item.note(f"document-{at}", self.id) for at, item in enumerate(self.documents, 1)]


class EncounterRequest(_Encounter):
    """All documents of one encounter, decided on together; each has an id of its own, or none."""

    what_if: bool = False


Codes = Annotated[list[Annotated[str, Field(min_length=1, max_length=20)]], Field(max_length=100)]


class AuditNoteRequest(GivenDocument):
    """A claim's codes to hold against one note. Without `codes` the codes typed in the note are audited alone."""

    codes: Codes = Field(default_factory=list)
    policy: PolicyChoice = PolicyChoice()


class AuditEncounterRequest(_Encounter):
    """A claim's codes to hold against all documents of an encounter."""

    codes: Codes = Field(default_factory=list)


# What record systems send is checked where it is read (`fhir`, `cds_hooks`); these models describe it for OpenAPI.


class _Described(BaseModel):
    model_config = ConfigDict(extra="allow")


class FhirResource(_Described):
    """A FHIR R4 resource: the standard says what it holds."""

    resourceType: str


class FhirDocuments(_Described):
    """Documents of one encounter with their data inside, as FHIR R4 describes them."""

    resourceType: Literal["DocumentReference", "DiagnosticReport", "Composition", "Bundle"]


class HookServices(BaseModel):
    """The CDS services that are offered, as CDS Hooks 2.0 describes them."""

    services: list[dict[str, Any]]


_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]
_Some = Annotated[str, Field(min_length=1)]


class HookContext(_Described):
    """Who signs what. `note`: a DocumentReference or DiagnosticReport that is being signed."""

    userId: _Some
    patientId: _Id
    encounterId: _Id
    note: FhirResource | None = None


class HookPrefetch(_Described):
    """What discovery asks for, by its keys; null where there is none."""

    documents: FhirResource | None = None
    reports: FhirResource | None = None
    encounter: FhirResource | None = None


class HookRequest(_Described):
    """A call of a CDS service, as CDS Hooks 2.0 describes it."""

    hook: str
    hookInstance: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    context: HookContext
    prefetch: HookPrefetch = HookPrefetch()


class HookCards(BaseModel):
    """The answer of a CDS service."""

    cards: list[dict[str, Any]]


class HookSuggestion(_Described):
    """A suggestion that was taken, by its id."""

    id: _Some


class HookReason(_Described):
    """Why a card was put aside: one of its `overrideReasons`."""

    code: _Some
    system: _Some


class HookOverride(_Described):
    """Why a card was put aside. The comment is not kept."""

    reason: HookReason = Field(default=None)  # type: ignore[assignment] # absent, or an object
    userComment: str = ""


class _Outcome(_Described):
    card: _Some
    outcomeTimestamp: Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="In UTC.")]
    overrideReason: HookOverride = Field(default=None)  # type: ignore[assignment] # absent, or an object


class HookAccepted(_Outcome):
    """A card some suggestions of which were taken."""

    outcome: Literal["accepted"]
    acceptedSuggestions: list[HookSuggestion] = Field(min_length=1)


class HookOverridden(_Outcome):
    """A card that was put aside."""

    outcome: Literal["overridden"]
    acceptedSuggestions: list[HookSuggestion] = []


class HookFeedback(_Described):
    """What became of cards, as CDS Hooks 2.0 describes it."""

    feedback: list[HookAccepted | HookOverridden] = Field(min_length=1)


class Nothing(BaseModel):
    """An empty object."""


class Problem(BaseModel):
    """Why a request, or a line of a batch (`line`, from 1), was refused (RFC 9457). `instance`: the request's id."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    line: int | None = None


class State(BaseModel):
    """How the process is: `status` is ok; `/readyz` says 503 until the engine is warm."""

    status: Literal["ok"] = "ok"
    engine: str
