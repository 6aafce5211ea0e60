"""Linked services: what became of each service that the chart documents, and the diagnosis it supports.

Numbers of procedure codes come only from the user's own table (`read_procedures`); none are carried.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from parsnlp.coding.assign import Assigned
from parsnlp.coding.drafts import CodeBook
from parsnlp.errors import InputError
from parsnlp.extract.findings import Found
from parsnlp.extract.levels import members
from parsnlp.extract.service_events import Event
from parsnlp.models import Condition, Service, ServiceStatus, Step
from parsnlp.resolve import Record, Resolved

_RANK: dict[ServiceStatus, int] = {"declined": 4, "ordered": 3, "planned": 2, "failed": 1, "done": 0}
_PAST = ("failed", "done")
_STATED = ("affirmed", "uncertain", "historical")
_ASSESSED = ("impression", "plan", "final_diagnosis", None)
_PROBLEM = re.compile(r"\s*(?:#\s*\d*|\d{1,2}\s*[.)])")  # how a numbered line of an assessment begins
_COLUMNS = ("kind", "modality", "region", "procedure")


@dataclass(frozen=True, slots=True)
class Procedure:
    """A row of the user's table: the number for services of a kind, where given only of a modality or region."""

    kind: str
    procedure: str
    modality: str | None = None
    region: str | None = None

    def fits(self, event: Event) -> bool:
        """Whether the row speaks of this service."""
        return (
            self.kind == event.kind and self.modality in (None, event.modality) and self.region in (None, event.region)
        )


def read_procedures(text: str, where: str) -> tuple[Procedure, ...]:
    """The rows of a CSV table with the columns `kind`, `procedure` and, optionally, `modality` and `region`.

    Raises `InputError` naming the line.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""))
    found = []
    try:
        if not {"kind", "procedure"} <= set(rows.fieldnames or ()):
            raise InputError(
                f"{where}: its first line must name the columns {', '.join(_COLUMNS)} (two may be left out)"
            )
        for row in rows:
            values = {name: (row.get(name) or "").strip() or None for name in _COLUMNS}
            kind, procedure = values["kind"], values["procedure"]
            if None in row or kind is None or procedure is None:
                raise InputError(
                    f"{where}:{rows.line_num}: a row needs 'kind' and 'procedure', and no more than the heading"
                )
            found.append(Procedure(kind, procedure, values["modality"], values["region"]))
    except csv.Error as error:
        raise InputError(f"{where}:{rows.line_num}: not a table that can be read ({error})") from None
    if not found:
        raise InputError(f"{where}: holds no procedure")
    return tuple(found)


def linked(
    book: CodeBook,
    record: Record,
    conditions: Sequence[Resolved],
    assigned: Assigned,
    events: Iterable[Event],
    procedures: Sequence[Procedure] = (),
) -> tuple[Service, ...]:
    """The record's services, each once for what became of it, with the diagnoses they support and why."""
    return tuple(_service(book, record, conditions, assigned, group, procedures) for group in _merged(list(events)))


def _merged(events: Sequence[Event]) -> list[list[Event]]:
    """The events of one service together, the most telling first.

    A service refused is not also ordered or planned, one ordered not planned, one that failed not merely done; a study
    that a later document reports is no longer ordered.
    """
    groups: dict[tuple[str, str | None, str | None, bool], list[Event]] = {}
    named: dict[tuple[str, str | None], set[str]] = {}
    for event in events:
        if event.region is not None:
            named.setdefault((event.kind, event.modality), set()).add(event.region)
    for event in events:
        regions = named.get((event.kind, event.modality), set())
        region = event.region or (next(iter(regions)) if len(regions) == 1 else None)  # "the MRI" is the one there is
        groups.setdefault((event.kind, event.modality, region, event.status in _PAST), []).append(event)
    found = []
    for (kind, modality, region, past), group in groups.items():
        first = max(group, key=lambda event: _RANK[event.status])
        done = [] if past else groups.get((kind, modality, region, True), [])
        if (
            first.status in ("ordered", "planned")
            and kind == "imaging"
            and any(e.document > first.document for e in done)
        ):
            continue
        found.append([first, *(event for event in group if event is not first)])
    return sorted(found, key=lambda group: (group[0].document, group[0].start))


def _service(
    book: CodeBook,
    record: Record,
    conditions: Sequence[Resolved],
    assigned: Assigned,
    events: Sequence[Event],
    procedures: Sequence[Procedure],
) -> Service:
    first = events[0]
    region = next((event.region for event in events if event.region), None)
    ties: dict[Condition, Step] = {}
    for event in events:
        for condition, step in _ties(book, record, conditions, event).items():
            ties.setdefault(condition, step)
    place = record.span(first.document, first.start, first.end, first.rule)
    says = f"{first.kind.replace('_', ' ')} {first.status}" + (f", {len(events)} mentions" if len(events) > 1 else "")
    cues = [record.span(event.document, *event.cue) for event in events[:1] if event.cue is not None]
    mentions = [record.span(event.document, event.start, event.end, event.rule) for event in events]
    return Service(
        kind=first.kind,
        status=first.status,
        modality=first.modality,
        region=region,
        supports=tuple(ties),
        codes=tuple(draft.code for draft in assigned.drafts if draft.source.condition in ties),
        procedures=tuple(dict.fromkeys(row.procedure for row in procedures if row.fits(first))),
        document=place.document,
        start=place.start,
        end=place.end,
        text=place.text,
        trail=(Step(rule="P-F4", says=says, evidence=(*cues, *mentions)), *ties.values()),
    )


def _ties(book: CodeBook, record: Record, conditions: Sequence[Resolved], event: Event) -> dict[Condition, Step]:
    """The conditions that one event supports, with how the chart ties it to each: the closest tie that there is."""
    document = record.documents[event.document]
    here = [item for item in document.found if item.mention.sentence == event.sentence and _names(item, event)]
    if here:
        return _tied(record, here, "named in one sentence with the")
    if record.finder.other_reason(document, event.sentence):
        return {}
    if event.kind == "imaging" and event.status == "done":
        shown = [item for item in document.found if item.assertion == "affirmed" and _near(record, item, event)]
        if shown:
            return _tied(record, shown, "shows the")
    under = _heading(record, event)
    if under is not None:
        return _tied(record, under, "stands in the assessment under the")
    treated = [
        found
        for item in conditions
        if item.assertion in ("affirmed", "uncertain") and not _apart(book, event, item)
        for found in item.deciding[:1]
    ]
    return _tied(record, treated, "no other reason given in a record of the") if document.found else {}


def _tied(record: Record, found: Sequence[Found], how: str) -> dict[Condition, Step]:
    ties: dict[Condition, Step] = {}
    for item in found:
        if item.condition not in ties:
            says = f"{how} {item.condition.replace('_', ' ')}"
            ties[item.condition] = Step(rule="P-F4", says=says, evidence=(record.at(item),))
    return ties


def _names(item: Found, event: Event) -> bool:
    """Whether a mention beside a service is a reason for it: a suspicion is one for a study alone."""
    return item.assertion in _STATED or (item.assertion == "hypothetical" and event.kind == "imaging")


def _near(record: Record, item: Found, event: Event) -> bool:
    """Whether a finding stands in what a study's report or line goes on to say."""
    reading = record.documents[event.document].reading
    if reading.kind == "radiology":
        return True
    sentences = reading.layout.sentences
    return (
        item.mention.sentence > event.sentence
        and sentences[item.mention.sentence].item == sentences[event.sentence].item
    )


def _heading(record: Record, event: Event) -> list[Found] | None:
    """What the numbered problem names that a service stands under; None when it stands under none."""
    document = record.documents[event.document]
    reading, sentences = document.reading, document.reading.layout.sentences
    section = reading.section(sentences[event.sentence].start)
    if (section.category if section else None) not in _ASSESSED:
        return None
    for at in range(event.sentence, max(event.sentence - 40, -1), -1):
        if section is not None and sentences[at].start < section.title_start:
            return None
        if at > 0 and sentences[at - 1].item == sentences[at].item:
            continue  # not the beginning of its line
        if _PROBLEM.match(reading.text, sentences[at].start):
            same = sentences[at].item == sentences[event.sentence].item
            named = [
                item
                for item in document.found
                if sentences[item.mention.sentence].item == sentences[at].item and item.assertion in _STATED
            ]
            return named or (None if same else [])
    return None


def _apart(book: CodeBook, event: Event, item: Resolved) -> bool:
    """Whether a service is for another part of the spine than the condition."""
    there = {vertebra for level in event.levels for vertebra in members(level)}
    there |= _vertebrae(book, event.region) if event.region else set()
    if not there or not item.sites:
        return False
    return not there & {
        vertebra
        for site in item.sites
        for vertebra in (members(site.name) if site.kind == "level" else _vertebrae(book, site.name))
    }


def _vertebrae(book: CodeBook, region: str) -> set[str]:
    row = book.regions.get(region)
    if row is None:
        return set()
    return {*row["vertebrae"], *(vertebra for segment in row["segments"] for vertebra in members(segment))}
