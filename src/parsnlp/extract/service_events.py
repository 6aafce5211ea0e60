"""Services that a document speaks of, and what became of each: done, ordered, planned, declined or failed.

A service takes the nearest status word of its clause, in front of it or behind it; a word in front of a list ("failed PT,
NSAIDs and an ESI") goes for the whole list. Without one, the section decides: what stands in a plan is ordered, an
operation there planned, and what stands anywhere else is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parsnlp.extract import levels
from parsnlp.extract.findings import DocumentReading
from parsnlp.extract.matching import Match, Matcher
from parsnlp.extract.pipeline import Reading
from parsnlp.models import ServiceStatus
from parsnlp.rules import RuleSet

_OPERATIONS = ("fusion", "pars_repair")
_KINDS = ("bracing", "physical_therapy", "injection", "bone_stimulator", *_OPERATIONS)
_PASSED_OVER = ("family", "education", "systems", "medications")
_DECISIVE = ("failed", "declined", "none")
_REACH = 60  # characters between a status in front and its service
_BEHIND = 34
_CLOSER = 10  # by so many characters a status behind must stand nearer than one in front
_AT = 14  # characters behind a service in which its levels stand


@dataclass(frozen=True, slots=True)
class Event:
    """One service as one document names it.

    `start`, `end`: its words in the text; `cue`: those of its status. `levels`: of an injection or operation.
    """

    kind: str
    status: ServiceStatus
    document: int
    sentence: int
    start: int
    end: int
    rule: str
    modality: str | None = None
    region: str | None = None
    levels: tuple[str, ...] = ()
    cue: tuple[int, int, str] | None = None


class ServiceFinder:
    """Finds service events. Holds compiled rules only; safe in threads."""

    def __init__(self, rules: RuleSet) -> None:
        named = [rule for rule in rules.category("care") if rule.value in _KINDS]
        self._services = Matcher([*named, *rules.category("procedure"), *rules.category("modality")])
        self._before = Matcher(rules.category("service_before"))
        self._after = Matcher(rules.category("service_after"))
        self._link, self._break, self._turn = (rules.piece(f"service_{name}") for name in ("link", "break", "turn"))
        self._not_given = rules.piece("service_not_given")
        self._condition = rules.piece("service_condition")
        self._regions = Matcher(rules.category("region"))
        self._elsewhere = Matcher(rule for rule in rules.category("study_status") if rule.value == "elsewhere")

    def events(self, document: DocumentReading, number: int) -> Iterator[Event]:
        """The services of one document, in their order; `number` is its place in the record."""
        reading = document.reading
        others = {item.mention.sentence for item in document.found if item.assertion in ("family", "generic")}
        for at in reading.where(self._services):
            section = reading.section(reading.layout.sentences[at].start)
            category = section.category if section else None
            if category not in _PASSED_OVER and at not in others:
                yield from self._of_sentence(reading, number, at, category)

    def _of_sentence(self, reading: Reading, number: int, at: int, category: str | None) -> Iterator[Event]:
        clean = reading.clean(at)
        found = [match for match in self._services.find(clean) if self._counts(reading, at, match)]
        if not found:
            return
        before = self._before.find(clean)
        found = [_core(match, before) for match in found]
        before, after = (
            [cue for cue in cues if not any(cue.start < match.end and match.start < cue.end for match in found)]
            for cues in (before, self._after.find(clean))
        )
        for place, match in enumerate(found):
            cue = self._cue(clean.text, found, place, before, after)
            status = self._status(reading, category, match, cue)
            if status in ("done", "ordered") and self._condition.search(clean.text):
                status = "planned"
            if status == "none":
                continue
            start, end = clean.span(match.start, match.end)
            imaging = match.rule.category == "modality"
            yield Event(
                kind="imaging" if imaging else match.rule.value or "",
                status=status,  # type: ignore[arg-type]
                document=number,
                sentence=at,
                start=start,
                end=end,
                rule=match.rule.id,
                modality=match.rule.value if imaging else None,
                region=self._region(reading, at, match) if imaging else None,
                levels=() if imaging else _levels(clean.text, match),
                cue=(*clean.span(cue.start, cue.end), cue.rule.id) if cue is not None else None,
            )

    def _counts(self, reading: Reading, at: int, match: Match) -> bool:
        """Whether it is a service for the spine, in the capitals that its rule may want."""
        clean = reading.clean(at)
        start, end = clean.span(match.start, match.end)
        sentence = reading.layout.sentences[at]
        if match.rule.case == "upper" and not (
            reading.text[start:end].isupper() and not reading.text[sentence.start : sentence.end].isupper()
        ):
            return False
        if match.rule.value == "injection" and reading.kind == "radiology" and " " not in match.text:
            return False  # of contrast or a tracer
        if self._not_given.search(clean.text[: match.start]):
            return False
        return not any(
            -16 <= other.start - match.end <= 12 or 0 <= match.start - other.end <= 3
            for other in self._elsewhere.find(clean)
        )

    @staticmethod
    def _status(reading: Reading, category: str | None, match: Match, cue: Match | None) -> str:
        """What the status word says; a plan's bare services, and those with how long or how often, are ordered."""
        ahead = category in ("plan", "order") or reading.kind == "order"
        if cue is None or (ahead and cue.rule.value == "measure"):
            return "done" if not ahead else "planned" if match.rule.value in _OPERATIONS else "ordered"
        value = cue.rule.value or ""
        if ahead and value == "done" and cue.rule.category == "service_after" and match.rule.category == "care":
            return "ordered"
        return "done" if value == "measure" else value

    def _region(self, reading: Reading, at: int, match: Match) -> str | None:
        """The region of a study: the nearest that its sentence names."""
        here = self._regions.find(reading.clean(at))
        if here:
            near = min(here, key=lambda one: (max(one.start - match.end, match.start - one.end), one.start))
            return near.rule.value
        return None

    def _cue(
        self, text: str, services: Sequence[Match], place: int, before: Sequence[Match], after: Sequence[Match]
    ) -> Match | None:
        """The status word of one of a sentence's services: the nearest in its clause, or that of the list it stands in."""
        front = back = None
        for cue in reversed(before):
            if self._leads(text, cue, services, place) and (front is None or front.rule.value == "measure"):
                front = cue
        for cue in after:
            if self._follows(text, cue, services, place) and (
                back is None or (back.rule.value not in _DECISIVE and cue.rule.value in _DECISIVE)
            ):
                back = cue
        if front is None or back is None:
            return front or back
        # A word behind tells what became of what a weaker word in front introduces: "had an ESI without relief".
        if back.rule.value in _DECISIVE or front.rule.value == "measure":
            return back
        if front.rule.value == "done":
            return back if back.rule.value != "done" else front
        nearer = back.start - services[place].end < services[place].start - front.end - _CLOSER
        return back if nearer or (back.rule.value, front.rule.value) == ("ordered", "planned") else front

    def _leads(self, text: str, cue: Match, services: Sequence[Match], place: int) -> bool:
        """Whether nothing but a list of services stands between a status and the service after it."""
        service = services[place]
        if cue.end > service.start or self._break.search(text[cue.end : service.start]):
            return False
        at = cue.end
        for other in services[: place + 1]:
            if other.start < cue.end:
                continue
            gap = text[at : other.start]
            if at == cue.end:
                fits = len(gap) <= _REACH
            else:
                fits = self._link.search(gap) is not None or (other is service and len(gap) <= _BEHIND)
            if not fits:
                return False
            at = other.end
        return True

    def _follows(self, text: str, cue: Match, services: Sequence[Match], place: int) -> bool:
        """Whether nothing but a list of services stands between a service and the status behind it."""
        at = services[place].end
        gap = text[at : cue.start]
        if cue.start < at or self._break.search(gap) or self._turn.search(gap):
            return False
        for other in services[place + 1 :]:
            if other.start >= cue.start:
                break
            if not self._link.search(text[at : other.start]):
                return False
            at = other.end
        return cue.start - at <= (_REACH if cue.rule.value in _DECISIVE else _BEHIND)


def _levels(text: str, match: Match) -> tuple[str, ...]:
    """The levels that an injection or operation is at: within its words, or right behind them."""
    return tuple(name for level in levels.find(text[match.start : match.end + _AT]) for name in level.names)


def _core(match: Match, before: Sequence[Match]) -> Match:
    """A service without the status that its rule takes in: "PT" of "failed PT"."""
    inside = [cue.end for cue in before if cue.start <= match.start < cue.end < match.end]
    start = max(inside, default=match.start)
    return match._replace(start=start + (match.text[start - match.start :].startswith(" ")))
