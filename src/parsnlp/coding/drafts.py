"""What codes are made from: the code book of one policy and edition, and a code while it is being decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parsnlp.coding.icd10cm import Edition
from parsnlp.extract.findings import Found
from parsnlp.models import Alternative, Policy, Span, Step
from parsnlp.resolve import Record, Resolved, Site


class CodeBook:
    """The tables of `patterns/codes.yaml`, one ICD-10-CM edition and the user's policy."""

    def __init__(self, tables: Mapping[str, Any], edition: Edition, policy: Policy) -> None:
        self.tables = tables
        self.edition = edition
        self.policy = policy
        self.regions: Mapping[str, Mapping[str, Any]] = tables["regions"]
        self.families: Mapping[str, str] = tables["families"]
        self._region_of = {
            name: region for region, row in self.regions.items() for name in (*row["vertebrae"], *row["segments"])
        }

    def region_of(self, level: str) -> str | None:
        """The policy's region (P-C3) of a vertebra or segment."""
        return self._region_of.get(level)

    def title(self, code: str) -> str:
        """The code's official title, or the code itself when the edition does not carry it."""
        entry = self.edition.entry(code)
        return entry.title if entry else code


@dataclass(slots=True)
class Draft:
    """A code being decided: its steps, the reasons for review, and what else it could have been."""

    code: str
    source: Resolved
    steps: list[Step]
    evidence: list[Span]
    reviews: list[Step] = field(default_factory=list)
    alternatives: list[Alternative] = field(default_factory=list)
    deciding: list[Found] = field(default_factory=list)


def causes(found: Found) -> set[str]:
    return {evidence.value for evidence in found.attributes.etiology}


def site_spans(sites: Sequence[Site]) -> tuple[Span, ...]:
    return unique([site.span for site in sites])


def unique(spans: Sequence[Span]) -> tuple[Span, ...]:
    return tuple({(span.document, span.start, span.end): span for span in spans}.values())


def own_spans(item: Resolved) -> tuple[Span, ...]:
    return item.steps[-1].evidence if item.steps else ()


def site_words(item: Resolved) -> str:
    return ", ".join(dict.fromkeys(site.name for site in item.sites))


def phases_at(record: Record, mentions: Sequence[Found], *values: str) -> list[Span]:
    """Phase evidence standing in a mention's own sentence."""
    spans = []
    for mention in mentions:
        document = record.documents[mention.document]
        for evidence in document.phases:
            if evidence.value in values and evidence.how == str(mention.mention.sentence):
                spans.append(record.span(mention.document, evidence.start, evidence.end, evidence.rule))
    return spans
