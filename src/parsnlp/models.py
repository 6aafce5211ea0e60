"""The nouns: what goes in (`Note`) and what comes out (`Result`). Frozen, typed, JSON-able; `repr` holds no note text.

Every `start`, `end` is a 0-based code-point offset into the document's text exactly as passed in, end exclusive:
`note.text[start:end] == span.text`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator
from pydantic_core import InitErrorDetails, PydanticSerializationError

Condition = Literal["spondylolysis", "spondylolisthesis", "traumatic_fracture"]
Assertion = Literal["affirmed", "negated", "uncertain", "hypothetical", "historical", "family", "generic"]
Setting = Literal["outpatient", "inpatient"]
Status = Literal["suggested", "review"]
ServiceStatus = Literal["done", "ordered", "planned", "declined", "failed"]
DocumentedBy = Literal["provider", "imaging"]

SCHEMA_VERSION = "1.0"
SETTINGS = ("outpatient", "inpatient")
EXCLUDES1 = ("separate", "strict")
STRESS_FRACTURE = ("M43.0", "M48.4")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__private_attributes__:
            return super().__setattr__(name, value)
        # Pydantic's own refusal shows the value, whatever `hide_input_in_errors` says.
        frozen = InitErrorDetails(type="frozen_instance", loc=(name,), input=None)
        raise ValidationError.from_exception_data(type(self).__name__, [frozen], hide_input=True)


class Note(_Model):
    """One document of an encounter.

    `text`: the note, any `str`. `id`: the caller's name for it. `kind`: radiology, consult, progress, ed, discharge,
    operative, pt, chiro, order, problem_list, telephone, letter, scribe; inferred when absent. `date`: ISO date of the
    encounter or document. `setting`: outpatient or inpatient, over the extractor's. `author`: role, such as provider.
    `encounter`, `patient`: the caller's names for them; neither decides anything.
    """

    text: str = Field(repr=False)
    id: str = "note"
    kind: str | None = None
    date: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    setting: Setting | None = None
    author: str | None = None
    encounter: str | None = None
    patient: str | None = Field(default=None, repr=False)

    @field_validator("date")
    @classmethod
    def _calendar(cls, value: str | None) -> str | None:
        if value is not None:
            datetime.date.fromisoformat(value)
        return value


class Span(_Model):
    """A stretch of a document's text. `document`: the note's id. `rule`: the rule that found it, where one did."""

    document: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    text: str = Field(repr=False)
    rule: str | None = None


class Step(_Model):
    """One decision: the policy rule, what it says of this note in words, and the evidence it rests on."""

    rule: str
    says: str = Field(repr=False)
    evidence: tuple[Span, ...] = ()


class Cue(_Model):
    """A context cue that decided or touched an assertion. `category`: negated, uncertain, historical, family ..."""

    category: str
    start: int
    end: int
    text: str = Field(repr=False)
    rule: str


class Finding(_Model):
    """One mention of a condition, whatever its assertion.

    `levels`: "L5" or "L5-S1". `regions`: lumbar, lumbosacral ... `laterality`: left, right, bilateral, unilateral.
    `chronicity`, `etiology`, `grade` ("II", "30%", "4 mm"), `direction` (antero, retro, latero): see the policy, P-F4.
    `documented_by`: provider, or imaging when a clinic note's imaging part alone says it. `rule`: the target rule.
    """

    id: str
    condition: Condition
    assertion: Assertion
    document: str
    start: int
    end: int
    text: str = Field(repr=False)
    section: str | None = None
    cues: tuple[Cue, ...] = ()
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    laterality: str | None = None
    chronicity: str | None = None
    etiology: str | None = None
    grade: str | None = None
    direction: str | None = None
    documented_by: DocumentedBy = "provider"
    rule: str
    trail: tuple[Step, ...] = ()


class NoteCondition(_Model):
    """A condition of the whole record: which mention won, its attributes, and why. `findings`: ids of its mentions."""

    condition: Condition
    assertion: Assertion
    levels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    laterality: str | None = None
    chronicity: str | None = None
    etiology: str | None = None
    grade: str | None = None
    direction: str | None = None
    documented_by: DocumentedBy = "provider"
    findings: tuple[str, ...] = ()
    trail: tuple[Step, ...] = ()


class Alternative(_Model):
    """A code that another reading, policy or documentation would give, and why."""

    code: str
    why: str
    rule: str


class Drg(_Model):
    """An MS-DRG that the code groups to as a medical principal diagnosis (P-X5)."""

    drg: str
    title: str


class Code(_Model):
    """A suggested ICD-10-CM code. It cannot be built without evidence and without a trail step (both not empty)."""

    code: str
    display: str
    status: Status
    condition: Condition
    reason: str = Field(repr=False)
    evidence: tuple[Span, ...] = Field(min_length=1)
    trail: tuple[Step, ...] = Field(min_length=1)
    alternatives: tuple[Alternative, ...] = ()
    drg: tuple[Drg, ...] = ()


class Outcome(_Model):
    """A code that another fact would give, and whether it would be suggested or for review."""

    code: str
    display: str
    status: Status


class WhatIf(_Model):
    """A fact that would change the codes: computed by running the coding rules on the record so altered.

    `fact`: what would have to be so, such as “the slip were at L5-S1”. `instead_of`: codes it would take away;
    `gives`: codes it would give, or whose status it would change.
    """

    condition: Condition
    fact: str
    rule: str
    instead_of: tuple[str, ...] = ()
    gives: tuple[Outcome, ...] = ()


class Suppressed(_Model):
    """A code considered and refused, with the rule that refused it."""

    code: str
    display: str
    rule: str
    reason: str = Field(repr=False)
    evidence: tuple[Span, ...] = ()


class Imaging(_Model):
    """A study of the spine whose result stands in the note. Modality and body part as the corpora spell them."""

    modality: str
    body_part: str | None = None
    finding: str | None = None
    date: str | None = None
    document: str
    start: int
    end: int
    text: str = Field(repr=False)
    supports: tuple[str, ...] = ()


class Care(_Model):
    """Conservative care documented: kind, detail (the brace's type) and duration as the note words them, outcome."""

    kind: str
    detail: str | None = Field(default=None, repr=False)
    duration: str | None = Field(default=None, repr=False)
    outcome: str | None = None
    document: str
    start: int
    end: int
    text: str = Field(repr=False)


class Service(_Model):
    """A service for the spine that the chart documents, whatever became of it, and the diagnoses it supports.

    `kind`: imaging, bracing, physical_therapy, injection, pars_repair, fusion, bone_stimulator. `status`: done (also
    under way), ordered, planned, declined, failed. `modality`, `region`: of imaging, as in `Imaging`. `supports`: the
    conditions that the chart gives it for, with `codes` suggested for these and, in `trail`, how they are tied.
    `procedures`: numbers from the caller's own table.
    """

    kind: str
    status: ServiceStatus
    modality: str | None = None
    region: str | None = None
    supports: tuple[Condition, ...] = ()
    codes: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    document: str
    start: int
    end: int
    text: str = Field(repr=False)
    trail: tuple[Step, ...] = ()


class Edit(_Model):
    """What a claim with these codes would hit, and what would mend it. `severity`: error, warning or info."""

    kind: str
    severity: Literal["error", "warning", "info"]
    says: str = Field(repr=False)
    rule: str
    codes: tuple[str, ...] = ()
    evidence: tuple[Span, ...] = ()
    fix: str | None = None


class Query(_Model):
    """A question to put to the provider: non-leading, with its clinical indicators as evidence."""

    kind: str
    severity: Literal["query", "tip"]
    says: str = Field(repr=False)
    rule: str
    evidence: tuple[Span, ...] = ()
    options: tuple[str, ...] = ()


class ChecklistItem(_Model):
    """One thing the chart should say. `state`: captured (with its span) or missing (with what to ask)."""

    item: str
    state: Literal["captured", "missing"]
    says: str = Field(repr=False)
    evidence: tuple[Span, ...] = ()


class Policy(_Model):
    """The choices that the coding policy leaves to the user (P-X2, P-C7)."""

    excludes1: Literal["separate", "strict"] = "separate"
    stress_fracture: Literal["M43.0", "M48.4"] = "M43.0"


class CodeSet(_Model):
    """The ICD-10-CM edition used. `covers`: whether it is in force at the encounter's date; null without a date.

    `stamp`: where it is not in force, what is known of the release that is.
    """

    id: str
    name: str
    valid_from: str
    valid_to: str
    covers: bool | None = None
    stamp: str | None = None


class RuleSetInfo(_Model):
    """Which rules made the result: a hash of their content and how many there are."""

    hash: str
    rules: int


class Document(_Model):
    """A document that was read: its id, kind, date, author's role, patient and length in code points.

    `kind_inferred`: nobody told the kind, its title and headings did; they are looked at only in a record with findings.
    """

    id: str
    kind: str | None = None
    kind_inferred: bool = False
    date: str | None = None
    author: str | None = None
    patient: str | None = Field(default=None, repr=False)
    length: int = 0


class _Texts:
    """Texts that a result can be shown with. No part of what it says: equal to any other, and gone in a pickle."""

    __slots__ = ("by_document",)

    def __init__(self, by_document: Mapping[str, str] | None = None) -> None:
        self.by_document: Mapping[str, str] = MappingProxyType(dict(by_document or {}))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Texts)

    def __hash__(self) -> int:
        return hash(_Texts)

    def __reduce__(self) -> tuple[type[_Texts], tuple[()]]:
        return _Texts, ()


class Result(_Model):
    """Everything parsnlp has to say of one note or encounter. See the README for a tour.

    `what_if` is empty unless it was asked for: `extract(note, what_if=True)`.
    """

    _texts: _Texts = PrivateAttr(default_factory=_Texts)

    schema_version: str = SCHEMA_VERSION
    id: str
    codes: tuple[Code, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    findings: tuple[Finding, ...] = ()
    conditions: tuple[NoteCondition, ...] = ()
    imaging: tuple[Imaging, ...] = ()
    conservative_care: tuple[Care, ...] = ()
    services: tuple[Service, ...] = ()
    edits: tuple[Edit, ...] = ()
    queries: tuple[Query, ...] = ()
    checklist: tuple[ChecklistItem, ...] = ()
    what_if: tuple[WhatIf, ...] = ()
    documents: tuple[Document, ...] = ()
    setting: Setting = "outpatient"
    policy: Policy = Policy()
    code_set: CodeSet
    rule_set: RuleSetInfo
    engine: str
    warnings: tuple[str, ...] = ()

    @property
    def texts(self) -> Mapping[str, str]:
        """The texts of its documents by id, to show it with; empty in a result that was read back or came from elsewhere.

        They are in no JSON, pickle or `repr`, and two results are equal whatever texts they have.
        """
        return self._texts.by_document

    def remembering(self, texts: Mapping[str, str]) -> Result:
        """This result, with the texts of its documents by id."""
        self._texts = _Texts(texts)
        return self

    def _repr_html_(self) -> str:
        """The evidence view, for a notebook."""
        # By name and when asked: a noun knows that it can be shown, not how.
        shown: str = import_module("parsnlp.interfaces.notebook").html(self)
        return shown

    def to_json(self, text: bool = True) -> str:
        """The result as one line of JSON; `text=False` leaves every quotation of the note out (offsets stay)."""
        import json

        if text:
            try:
                return self.model_dump_json()
            except PydanticSerializationError:
                # A quotation holds a lone surrogate, which JSON can carry only as an escape.
                return json.dumps(self.model_dump(), separators=(",", ":"))
        return json.dumps(_without_text(self.model_dump()), ensure_ascii=False, separators=(",", ":"))


_QUOTING = frozenset({"text", "detail", "duration", "says", "reason"})


def _without_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_text(child) for key, child in value.items() if key not in _QUOTING}
    if isinstance(value, list | tuple):
        return [_without_text(child) for child in value]
    return value
