"""Requests to answers, without HTTP: bytes of JSON in, bytes of JSON out, or a `Problem`. This is what the workers do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from parsnlp.coding import icd10cm, reference
from parsnlp.errors import InputError
from parsnlp.extractor import Extractor
from parsnlp.interfaces import cds_hooks, decisions, fhir, files, formats, worklist
from parsnlp.interfaces.reading import Encounter, Failure
from parsnlp.interfaces.service import bodies, problems
from parsnlp.interfaces.service.problems import Problem
from parsnlp.interfaces.service.schemas import (
    AuditEncounterRequest,
    AuditNoteRequest,
    EncounterRequest,
    ExtractRequest,
    PolicyChoice,
)
from parsnlp.interfaces.utf16 import in_utf16
from parsnlp.models import Note, Result, Setting
from parsnlp.view import evidence


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered. `notes`, `characters`: how much was read for it."""

    content: bytes
    notes: int = 0
    characters: int = 0


M = TypeVar("M", bound=BaseModel)


class Answers:
    """What the service says, by one extractor. Keeps nothing of what it is asked. `utf16`: count offsets as JavaScript does."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor

    def extract(self, body: bytes, utf16: bool) -> Answer:
        """The result of one note."""
        asked = checked(ExtractRequest, bodies.parse(body))
        notes = [asked.note(encounter=asked.encounter)]
        extractor = self._under(asked.policy)
        return told(notes, utf16, lambda: extractor.extract_encounter(notes, what_if=asked.what_if))

    def encounter(self, body: bytes, utf16: bool) -> Answer:
        """The result of the documents of one encounter."""
        asked = checked(EncounterRequest, bodies.parse(body))
        notes = asked.notes()
        extractor = self._under(asked.policy, asked.setting)
        return told(notes, utf16, lambda: extractor.extract_encounter(notes, what_if=asked.what_if))

    def audit(self, body: bytes, utf16: bool) -> Answer:
        """The result of a note or an encounter with the edits that a claim would hit."""
        given = bodies.parse(body)
        if isinstance(given, dict) and "documents" in given:
            whole = checked(AuditEncounterRequest, given)
            notes, codes, extractor = whole.notes(), whole.codes, self._under(whole.policy, whole.setting)
        else:
            single = checked(AuditNoteRequest, given)
            notes, codes, extractor = [single.note()], single.codes, self._under(single.policy)
        return told(notes, utf16, lambda: extractor.audit(notes, codes))

    def view(self, body: bytes) -> Answer:
        """The evidence view of an encounter's documents, for the page."""
        asked = checked(EncounterRequest, bodies.parse(body))
        notes = asked.notes()
        extractor = self._under(asked.policy, asked.setting)
        try:
            result = extractor.extract_encounter(notes, what_if=True)
        except InputError as error:  # its words are ours
            raise Problem(422, str(error)) from None
        return self._viewed(result, decisions.item(result, notes), {note.id: note.text for note in notes})

    def documents(self, body: bytes, name: str) -> Answer:
        """The texts in a file that is no plain text, for the page, with what the file tells of them. `name`: the file's.

        `notices` says what was assumed, and what could not be read.
        """
        path = PurePath(name)
        found: list[Encounter | Failure] = []
        if path.suffix.lower() in formats.ENDINGS:
            found = files.notes(body, path.name, path.stem[:150] or "note")
            notices = [item.says for item in found if isinstance(item, Failure)]
        else:
            notices = [f"not one of {', '.join(sorted(formats.ENDINGS))}; save it as plain text"]
        read = [item for item in found if isinstance(item, Encounter)]
        notices += [notice for item in read for notice in item.notices]
        notes = [note for item in read for note in item.notes]
        given = [note.model_dump(include={"id", "text", "kind", "date", "author"}, exclude_none=True) for note in notes]
        content = {"documents": given, "notices": notices}
        return Answer(json.dumps(content).encode(), len(notes), sum(len(note.text) for note in notes))

    def told(self, found: worklist.Found) -> Answer:
        """The evidence view of what a batch tells of an item whose notes are not found."""
        note = found.told["notes"][0]
        sha256 = note["sha256"] or hashlib.sha256().hexdigest()
        try:
            result = worklist.quoted(found)
            item = decisions.item_of(result, [decisions.Read(id=found.id, sha256=sha256, length=note["length"])])
        except ValidationError:
            raise Problem(422, "what the output tells of this item is no result of this version of parsnlp") from None
        return self._viewed(result, item, {})

    def _viewed(self, result: Result, item: decisions.Item, texts: Mapping[str, str]) -> Answer:
        cards = evidence.reference_cards(result, self.extractor.ruleset.tables)
        made = evidence.fragment(result, texts, cards=cards, style=False, deciding=True)
        content = {"html": made, "says": evidence.headline(result), "item": item.model_dump(mode="json")}
        return Answer(json.dumps(content).encode(), len(texts), sum(map(len, texts.values())))

    def reference(self, code: str, date: str | None) -> Answer:
        """The reference card of a code."""
        edition, _ = icd10cm.edition_for(date)
        try:
            card = reference.card(code, edition, self.extractor.ruleset.tables)
        except InputError:  # its words quote the code
            raise Problem(
                404, "no ICD-10-CM code of the families that parsnlp codes; `parsnlp explain` says which"
            ) from None
        return Answer(card.model_dump_json().encode())

    def fhir(self, body: bytes) -> Answer:
        """The Bundle for a posted FHIR R4 resource that holds documents."""
        given = bodies.parse(body)
        try:
            made = fhir.answer(given, self.extractor)
        except InputError as error:  # its words are ours
            raise Problem(422, str(error)) from None
        return Answer(json.dumps(made, separators=(",", ":")).encode())

    def cards(self, body: bytes, service: str) -> Answer:
        """The CDS Hooks cards for a request to one of our hook services."""
        return self._hooked(lambda given: cds_hooks.cards(service, given, self.extractor), body)

    def feedback(self, body: bytes, service: str) -> Answer:
        """Checks what a client tells of our cards; nothing is kept of it."""

        def checked(given: object) -> dict[str, object]:
            cds_hooks.feedback(service, given)
            return {}

        return self._hooked(checked, body)

    def _hooked(self, decide: Callable[[object], object], body: bytes) -> Answer:
        given = bodies.parse(body)
        try:
            return Answer(json.dumps(decide(given), separators=(",", ":")).encode())
        except cds_hooks.Refused as error:  # its words are ours
            raise Problem(error.status, str(error)) from None

    def _under(self, chosen: PolicyChoice, setting: Setting | None = None) -> Extractor:
        return self.extractor.under(setting or self.extractor.setting, chosen.over(self.extractor.policy))


def checked(model: type[M], value: Mapping[str, Any]) -> M:
    """What was sent, as its model. Raises `Problem` (422)."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise problems.of_validation(error) from None


def told(notes: Sequence[Note], utf16: bool, decide: Callable[[], Result]) -> Answer:
    """A result as JSON. Raises `Problem` (422) for what the extractor refuses, such as two documents of one id."""
    try:
        result = decide()
    except InputError as error:  # its words are ours
        raise Problem(422, str(error)) from None
    made = (in_utf16(result, notes) if utf16 else result).to_json().encode()
    return Answer(made, len(notes), sum(len(note.text) for note in notes))
