"""Imaging studies read and conservative care documented (P-F4)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parsnlp.extract.findings import DocumentReading, Found
from parsnlp.extract.matching import Match, Matcher
from parsnlp.extract.pipeline import Reading
from parsnlp.models import Care, Imaging
from parsnlp.note import Clean
from parsnlp.rules import RuleSet

_NOT_READ = ("plan", "order", "education", "indication", "medications")
_NUCLEAR = ("SPECT-CT", "SPECT", "bone scan")
_SHOWS = (("spondylolisthesis", "slip"), ("spondylolysis", "defect line"), ("traumatic_fracture", "fracture line"))


class Services:
    """Finds imaging and care in a document. Holds compiled rules only."""

    def __init__(self, rules: RuleSet) -> None:
        self._modality = Matcher(rules.category("modality"))
        self._status = Matcher(rules.category("study_status"), longest=False)
        self._regions = Matcher(rules.category("region"))
        self._care = Matcher([*rules.category("care"), *rules.category("exercise")])
        self._outcome = Matcher(rules.category("outcome"))
        self._duration = Matcher(rules.category("duration"))
        self._care_status = Matcher(rules.category("care_status"))
        self._study_read, self._study_denied = rules.piece("study_read"), rules.piece("study_denied")

    def imaging(self, document: DocumentReading) -> list[Imaging]:
        """Spine studies whose result is in the note; ordered, compared and refused ones are not."""
        reading = document.reading
        found: list[Imaging] = []
        affirmed: dict[int, list[Found]] = {}
        for item in document.found:
            if item.assertion == "affirmed":
                affirmed.setdefault(item.mention.sentence, []).append(item)
        for number in reading.where(self._modality):
            sentence, clean = reading.layout.sentences[number], reading.clean(number)
            matches = self._modality.find(clean)
            if not matches:
                continue
            section = reading.section(sentence.start)
            category = section.category if section else None
            if reading.kind == "radiology" and self._report(reading, number, category, bool(found), matches) is False:
                continue
            title = reading.kind == "radiology"
            statuses = self._status.find(clean)
            for match in matches:
                if not title and not self._read(reading, number, clean.text, match, statuses, category):
                    continue
                start, end = clean.span(match.start, match.end)
                seen = _shown_by(reading, number, affirmed, title)
                found.append(
                    Imaging(
                        modality=match.rule.value or "",
                        body_part=self._part(reading, number),
                        finding=next(
                            (words for condition, words in _SHOWS if any(i.condition == condition for i in seen)), None
                        ),
                        date=_date(seen),
                        document=document.note.id,
                        start=start,
                        end=end,
                        text=reading.text[start:end],
                        supports=tuple(item.published.id for item in seen),
                    )
                )
        return found

    @staticmethod
    def _report(reading: Reading, number: int, category: str | None, named: bool, matches: Sequence[Match]) -> bool:
        """In a radiologist's report the title names the study; later lines add only a nuclear study's parts."""
        if category in ("indication", "history", "plan", "education"):
            return False
        if category == "technique" or named:
            nuclear = all(match.rule.value in _NUCLEAR for match in matches)
            return nuclear or (not named and category != "technique")
        return True

    def _read(
        self, reading: Reading, number: int, text: str, match: Match, statuses: Sequence[Match], category: str | None
    ) -> bool:
        """Whether this mention of a modality is of a study of the spine that was read."""
        around = [s for s in statuses if s.rule.value == "elsewhere" and -14 <= s.start - match.end <= 10]
        if around and "spine" not in text[match.end : match.end + 25] and "l-s" not in text:
            return False
        if reading.kind == "order" or (category in _NOT_READ and not self._shown(statuses, match)):
            return False
        if category == "technique" and reading.kind == "radiology":
            return match.rule.value in _NUCLEAR
        before = [s for s in statuses if s.rule.value == "ordered" and 0 <= match.start - s.end <= 40]
        after = [s for s in statuses if s.rule.value == "ordered" and 0 <= s.start - match.end <= 22]
        shown = self._shown(statuses, match)
        strong = self._study_read.search(text[match.end : match.end + 80])
        if (before or after) and not strong:
            return False
        return shown or not self._study_denied.search(text[: match.start])

    @staticmethod
    def _shown(statuses: Sequence[Match], match: Match) -> bool:
        return any(
            s.rule.value == "result" and s.start >= match.end - 1 and s.start - match.end <= 120 for s in statuses
        )

    def _part(self, reading: Reading, number: int) -> str | None:
        for at in (number, number - 1):
            if at >= 0:
                found = self._regions.find(reading.clean(at))
                if found:
                    return found[0].rule.value
        return None

    def care(self, document: DocumentReading) -> list[Care]:
        """Conservative care, with what brace, how long and how it went where the sentence says so."""
        reading = document.reading
        found: list[Care] = []
        for number in reading.where(self._care):
            sentence, clean = reading.layout.sentences[number], reading.clean(number)
            matches = self._care.find(clean)
            if not matches:
                continue
            section = reading.section(sentence.start)
            if section is not None and section.category in (
                "family",
                "education",
                "technique",
                "indication",
                "systems",
            ):
                continue
            negations = self._care_status.find(clean)
            outcomes = self._outcome.find(clean)
            durations = self._duration.find(clean)
            for match in matches:
                if _negated(clean.text, match, negations):
                    continue
                start, end = clean.span(match.start, match.end)
                if match.rule.case == "upper" and not _upper(
                    reading.text[start:end], reading.text[sentence.start : sentence.end]
                ):
                    continue
                found.append(
                    Care(
                        kind=match.rule.value or "",
                        detail=reading.text[start:end],
                        duration=self._duration_of(reading, clean, match, durations),
                        outcome=_value(match, outcomes, 60),
                        document=document.note.id,
                        start=start,
                        end=end,
                        text=reading.text[start:end],
                    )
                )
        return found

    @staticmethod
    def _duration_of(reading: Reading, clean: Clean, match: Match, others: Sequence[Match]) -> str | None:
        """The duration that stands nearest, within 45 characters, as the note words it."""
        near = [(max(other.start - match.end, match.start - other.end), other.start, other) for other in others]
        gap, _, other = min(near, default=(46, 0, match))
        if not 0 <= gap <= 45:
            return None
        start, end = clean.span(other.start, other.end)
        return reading.text[start:end].strip()


def _upper(word: str, sentence: str) -> bool:
    """Whether `word` is in capitals where the sentence is not all in capitals."""
    return word.isupper() and not sentence.isupper()


def _negated(text: str, match: Match, negations: Sequence[Match]) -> bool:
    for negation in negations:
        gap = text[negation.end : match.start]
        if 0 <= match.start - negation.end <= 28 and not re.search(r"[,;.:]|\bbut\b|\bwith\b", gap):
            return True
    return False


def _value(match: Match, others: Sequence[Match], reach: int) -> str | None:
    near = [(max(other.start - match.end, match.start - other.end), other.rule.value or "") for other in others]
    near = [(gap, value) for gap, value in near if -1 <= gap <= reach]
    return min(near)[1] if near else None


def _shown_by(reading: Reading, number: int, affirmed: dict[int, list[Found]], report: bool) -> list[Found]:
    """The affirmed findings that a study supports: those of its sentence and of the rest of its line or paragraph.

    In a radiologist's report that is all the report affirms.
    """
    if report:
        return [item for items in affirmed.values() for item in items]
    sentences = reading.layout.sentences
    seen = list(affirmed.get(number, []))
    at = number + 1
    while at < len(sentences) and sentences[at].item == sentences[number].item:
        seen += affirmed.get(at, [])
        at += 1
    return seen


def _date(seen: Sequence[Found]) -> str | None:
    for item in seen:
        if item.date is not None:
            year, month, day = item.date
            return f"{year:04d}" + (f"-{month:02d}" if month else "") + (f"-{day:02d}" if month and day else "")
    return None
