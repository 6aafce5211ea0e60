"""Mentions to findings: assertion and attributes put together, one document at a time."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from parsnlp.extract import levels as spine
from parsnlp.extract.assertion import REPORTS, Context, Ruling, decide
from parsnlp.extract.attributes import Attributes, Binder, Evidence
from parsnlp.extract.matching import Matcher
from parsnlp.extract.pipeline import Cue as PipelineCue
from parsnlp.extract.pipeline import Mention, Pipeline, Reading
from parsnlp.models import Assertion, Condition, Cue, DocumentedBy, Finding, Note, Span, Step
from parsnlp.note import Clean, fold
from parsnlp.rules import RuleSet

When = tuple[int, int, int]

_OF_STUDY = frozenset({"standing", "lying", "now", "before"})  # flags of when and how a study was made
_ASSESSED = frozenset({"impression", "final_diagnosis", "operative_diagnosis", "plan"})
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    r"(?<![\d/.-])(?:(?P<iso>(?:19|20)\d\d)-(?P<im>\d{1,2})-(?P<id>\d{1,2})"
    r"|(?P<m>\d{1,2})[/.-](?P<d>\d{1,2})[/.-](?P<y>(?:19|20)?\d\d)"
    r"|(?P<mm>\d{1,2})/(?P<my>(?:19|20)\d\d)"
    rf"|(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)? )?{_MONTH}(?: (?P<day2>\d{{1,2}})(?:st|nd|rd|th)?,?(?= (?:19|20)\d\d))?,? (?P<year>(?:19|20)\d\d)"
    r"|(?P<only>(?:19|20)\d\d))(?![\d/-])"
)
_DATED = re.compile(r"\d[\d/.-]\d")  # every date above holds this; looking for it first is far cheaper


@dataclass(slots=True)
class Found:
    """A finding in the making: what the record's rules need beyond the published `Finding`.

    `date`: of the study or statement, as the text gives it; `filed`: of the document, as the caller gives it.
    """

    condition: Condition
    assertion: Assertion
    ruling: Ruling
    mention: Mention
    attributes: Attributes
    document: int
    section: str | None
    kind: str | None
    documented_by: DocumentedBy
    date: When | None
    flags: frozenset[str]
    filed: When | None = None
    tie: str | None = None
    finding: Finding | None = None
    extra: dict[str, str] = field(default_factory=dict)
    _levels: tuple[Condition, tuple[str, ...]] | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """Level names; of a slip, a vertebra that belongs to a named segment is not listed beside it."""
        if self._levels is None or self._levels[0] != self.condition:  # asked for often, and never changed once bound
            names = spine.order(evidence.value for evidence in self.attributes.levels)
            if self.condition == "spondylolisthesis":
                names = spine.segments_first(names)
            self._levels = (self.condition, names)
        return self._levels[1]

    @property
    def is_slip(self) -> bool:
        """Whether it is worded as a slip, subluxation or dislocation; a traumatic condition may be that or an arch fracture."""
        rule = self.mention.rule
        return rule.category == "spondylolisthesis" or rule.value in ("dislocation", "subluxation", "hangman")

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(e.value for e in self.attributes.regions if e.how != "study"))

    @property
    def published(self) -> Finding:
        assert self.finding is not None
        return self.finding


@dataclass(slots=True)
class DocumentReading:
    """One document read: the note, its reading and its findings.

    `changes`: levels that it corrects, old to new; the old one is "" when it stands in another document.
    """

    note: Note
    reading: Reading
    found: list[Found]
    changes: dict[str, str] = field(default_factory=dict)
    trauma: list[Evidence] = field(default_factory=list)
    phases: list[Evidence] = field(default_factory=list)


class Finder:
    """Finds a document's findings. Holds compiled rules only; safe in threads."""

    def __init__(self, rules: RuleSet, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._binder = Binder(rules)
        self._trauma = Matcher(rules.category("trauma"))
        self._phase = Matcher(rules.category("phase"))
        self._correction = Matcher(rules.category("correction"), longest=False)
        self._retracts = Matcher(rule for rule in rules.category("correction") if rule.value == "retracted")
        self._unites = Matcher(rule for rule in rules.category("correction") if rule.value == "united")
        self._not_united, self._side = rules.piece("not_united"), rules.piece("one_side")
        self._fused_spine = rules.piece("fused_spine")
        self._corrects = Matcher(rule for rule in rules.category("correction") if rule.value == "correction")
        self._regions = Matcher(rules.category("region"))
        self._modality = Matcher(rules.category("modality"))
        self._spine, self._study = rules.piece("spine_context"), rules.piece("study")
        self._pars_sign = rules.piece("pars_sign")
        self._fracture, self._stress = rules.piece("fracture_word"), rules.piece("stress_word")
        self._injured = rules.piece("traumatic_before")
        self._amends, self._amended_to = rules.piece("amends"), rules.piece("amended_to")
        self._rather_than, self._epiphysis = rules.piece("rather_than"), rules.piece("epiphysis")
        self._other_reason, self._other_problem = rules.piece("other_reason"), rules.piece("other_problem")
        self._provider_voice = rules.piece("provider_voice")
        self._not_provider = rules.piece("not_provider")
        self._own_reading, self._own_error = rules.piece("own_reading"), rules.piece("own_error")
        # A line that reports a study: its name, perhaps region and date, then a colon or dash.
        self._study_line = re.compile(
            rf"(?:{rules.vocabulary['study_lead']})*(?:{rules.vocabulary['study']}|report)\b[^.;]{{0,60}}?"
            r"(?::| - |\.|,? report pasted)"
        )

    def find(self, note: Note, reading: Reading, number: int) -> DocumentReading:
        """All findings of one document; `number` is its place in the record."""
        found: list[Found] = []
        weak: list[Found] = []
        author = self._author(note)
        filed = _iso(note.date)
        for sentence, group in groupby(reading.mentions, key=lambda mention: mention.sentence):
            mentions = list(group)
            flags = self._flags(reading, sentence)
            for mention, attributes in zip(mentions, p_f4(self._binder, reading, sentence, mentions), strict=True):
                section = reading.section(mention.start)
                category = section.category if section else None
                ruling = decide(mention, Context(category, reading.kind))
                item = Found(
                    condition=mention.rule.category,  # type: ignore[arg-type]
                    assertion=ruling.assertion,
                    ruling=ruling,
                    mention=mention,
                    attributes=attributes,
                    document=number,
                    section=category,
                    kind=reading.kind,
                    documented_by=self._documented_by(reading, mention, category, flags),
                    date=self._date(reading, mention, section),
                    filed=filed,
                    flags=flags | ({mention.rule.value} if mention.rule.value else set()) | author,
                )
                if mention.rule.value == "beside-pars" and not self._beside_pars(reading, mention):
                    continue
                (weak if mention.rule.value == "weak" else found).append(item)
        if weak and self._epiphysis.search(fold(reading.text[:20_000])):
            weak = [
                item for item in weak if item.levels or self._spine.search(reading.clean(item.mention.sentence).text)
            ]
        if weak and (found or self._about_spine(reading)):
            found += weak
            found.sort(key=lambda item: item.mention.start)
        result = DocumentReading(note, reading, found)
        if found:
            self._retracted(reading, found)
            self._united(reading, found)
            result.trauma = list(self._all(reading, self._trauma))
            self._traumatic(result)
            if any(item.condition == "traumatic_fracture" or _stressed(item) for item in found):
                result.phases = list(self._all(reading, self._phase))
            result.changes = self._changes(reading, found)
        return result

    def other_reason(self, document: DocumentReading, sentence: int) -> bool:
        """Whether a service has a reason that is none of the conditions found here.

        Its sentence gives one, or its line speaks of another problem and of none of these conditions.
        """
        reading, sentences = document.reading, document.reading.layout.sentences
        if self._other_reason.search(reading.clean(sentence).text):
            return True
        item = sentences[sentence].item
        if any(sentences[found.mention.sentence].item == item for found in document.found):
            return False
        line = (at for at in range(max(sentence - 12, 0), sentence + 1) if sentences[at].item == item)
        return any(self._other_problem.search(reading.clean(at).text) for at in line)

    def _author(self, note: Note) -> frozenset[str]:
        """Whether a provider, who may establish a diagnosis, wrote the document; nothing where its author is not known."""
        if note.author is None:
            return frozenset()
        return frozenset({"not_provider" if self._not_provider.search(fold(note.author)) else "provider"})

    def _beside_pars(self, reading: Reading, mention: Mention) -> bool:
        """Whether a bare "stress reaction" stands in or after a sentence about the pars, or beside other pars mentions."""
        sentence = mention.sentence
        if any("pars" in reading.clean(at).text for at in (sentence, sentence - 1) if at >= 0):
            return True
        reaction = "fract" not in reading.text[mention.start : mention.end].lower()
        return reaction and any(m.rule.category == "spondylolysis" and m.rule.value is None for m in reading.mentions)

    def _about_spine(self, reading: Reading) -> bool:
        return any(
            self._spine.search(reading.clean(number).text) for number in range(min(len(reading.layout.sentences), 400))
        )

    def _flags(self, reading: Reading, sentence: int) -> frozenset[str]:
        """What the sentence (or the one beside it, for a reader's disagreement) says of time, position and correction."""
        flags = {match.rule.value or "" for match in self._correction.find(reading.clean(sentence))}
        here = reading.layout.sentences[sentence]
        # "I disagree." and "Dictation error above." govern the next sentences of their paragraph too.
        for before in range(max(sentence - 4, 0), sentence):
            if reading.layout.sentences[before].block == here.block:
                flags |= {
                    match.rule.value or ""
                    for match in self._correction.find(reading.clean(before))
                    if (match.rule.value == "overrule" and not self._own_reading.search(match.text))
                    or (match.rule.value == "correction" and self._own_error.search(match.text))
                }
        if not flags & _OF_STUDY:
            # "Standing films were taken today. ... There is no slip.": what follows is seen on these.
            for before in range(sentence - 1, max(sentence - 5, -1), -1):
                if reading.layout.sentences[before].block != here.block:
                    break
                clean = reading.clean(before)
                if self._study.search(clean.text):
                    flags |= {match.rule.value or "" for match in self._correction.find(clean)} & _OF_STUDY
                    break
        section = reading.section(here.start)
        if section is not None and section.category == "addendum":
            flags.add("correction")
        return frozenset(flags)

    def _retracted(self, reading: Reading, found: list[Found]) -> None:
        """Negate what a report is quoted for and the provider takes back without naming it again (P-A4).

        "The report mentions a slip. I do not agree: that is rotation." The words stand behind the mention in its
        sentence, or in the next one of its paragraph, and no other mention of the condition stands there.
        """
        sentences = reading.layout.sentences
        for item in found:
            if item.assertion not in ("affirmed", "uncertain"):
                continue
            if "reported" not in item.flags and item.documented_by != "imaging":
                continue
            mention = item.mention
            for at in (mention.sentence, mention.sentence + 1):
                if at == len(sentences) or sentences[at].block != sentences[mention.sentence].block:
                    break
                clean = reading.clean(at)
                words = [
                    match
                    for match in self._retracts.find(clean)
                    if at > mention.sentence or match.start >= mention.clean_end
                ]
                if any(
                    other is not item and other.condition == item.condition and other.mention.sentence == at
                    for other in found
                ):
                    break
                if words:
                    start, end = clean.span(words[0].start, words[0].end)
                    cue = PipelineCue(words[0].rule, start, end, words[0].text)
                    item.assertion = "negated"
                    item.ruling = Ruling("negated", "P-A4", "the provider takes back what the report says", (cue,))
                    item.flags |= {"overrule"}
                    break

    def _united(self, reading: Reading, found: list[Found]) -> None:
        """Make a pars fracture historical whose union a later sentence states without naming it again (P-A5).

        "L5 pars stress fracture in March. ... CT: complete bony union. A: Healed." Not where the pars is said to be
        broken behind that sentence, where it speaks of another level or side, or stands outside the assessment that
        names the fracture, or where the spine was fused.
        """
        broken = [item for item in found if item.condition == "spondylolysis" and item.assertion == "affirmed"]
        if not broken:
            return
        for at in reading.where(self._unites):
            clean = reading.clean(at)
            if at <= broken[0].mention.sentence or self._not_united.search(clean.text):
                continue
            if any(item.mention.sentence == at for item in found):
                continue
            if broken[-1].mention.sentence > at or self._other_problem.search(reading.clean(at - 1).text):
                continue
            matches = self._unites.find(clean)
            if not matches:
                continue
            if self._fused_spine.search(fold(reading.text)):
                return
            match = matches[0]
            start, end = clean.span(match.start, match.end)
            section = reading.section(start)
            assessed = section is not None and section.category in _ASSESSED
            levels = [name for level in spine.find(clean.text) for name in level.names]
            sides = {side.group() for side in self._side.finditer(clean.text)}
            for item in broken:
                own = {evidence.value for evidence in item.attributes.sides}
                if item.section in _ASSESSED and not assessed:
                    continue
                if levels and item.levels and not _touching(levels, item.levels):
                    continue
                if len(sides) == 1 and own and own != sides:
                    continue
                cue = PipelineCue(match.rule, start, end, match.text)
                item.assertion = "historical"
                item.ruling = Ruling("historical", "P-A5", "healed by a later statement", (cue,))
            return

    def _documented_by(
        self, reading: Reading, mention: Mention, section: str | None, flags: frozenset[str]
    ) -> DocumentedBy:
        """Imaging when a clinic note's imaging part, or a sentence led by a study, says it; else the provider (P-X4)."""
        if reading.kind in REPORTS or section in (
            "impression",
            "final_diagnosis",
            "operative_diagnosis",
            "plan",
            "procedure",
        ):
            return "provider"
        if reading.kind == "operative":
            return "provider"
        if section in ("imaging", "findings", "technique"):
            own = self._provider_voice.match(reading.clean(mention.sentence).text)
            return "provider" if own is not None and section == "imaging" else "imaging"
        if reading.kind == "letter":
            return "provider"
        sentences = reading.layout.sentences
        at = mention.sentence
        while at >= 0 and sentences[at].block == sentences[mention.sentence].block and mention.sentence - at < 12:
            if at == 0 or sentences[at - 1].item != sentences[at].item:
                lead = reading.clean(at).text
                study = self._study_line.match(lead)
                if at == mention.sentence or sentences[at].item == sentences[mention.sentence].item:
                    if study is not None and (at < mention.sentence or study.end() <= mention.clean_start):
                        return "imaging"
                    if section is not None:
                        break
                elif lead.endswith((":", "pasted")):
                    return "imaging" if study is not None else "provider"
            at -= 1
        return "provider"

    def _date(self, reading: Reading, mention: Mention, section: object) -> When | None:
        """The date of the study or statement: in the sentence before the mention, else in its item, else its heading."""
        before = [when for at, when in reading.once("dates", mention.sentence, _dates) if at < mention.clean_start]
        if before:
            return before[-1]
        sentences = reading.layout.sentences
        at = mention.sentence - 1
        while at >= 0 and sentences[at].item == sentences[mention.sentence].item and mention.sentence - at < 6:
            dates = [when for _, when in reading.once("dates", at, _dates)]
            if dates and self._study.search(reading.clean(at).text):
                return dates[-1]
            at -= 1
        title_start, title_end = getattr(section, "title_start", None), getattr(section, "title_end", None)
        if title_start is not None and title_end is not None:
            dates = [when for _, when in _dates(reading.text[title_start:title_end].lower())]
            if dates:
                return dates[-1]
        return None

    def _all(self, reading: Reading, matcher: Matcher) -> Iterable[Evidence]:
        for number in reading.where(matcher):
            clean = reading.clean(number)
            for match in matcher.find(clean):
                start, end = clean.span(match.start, match.end)
                yield Evidence(match.rule.category, match.rule.value or "", start, end, match.rule.id, str(number))

    # -- trauma ------------------------------------------------------------------------------------------------------

    def _traumatic(self, result: DocumentReading) -> None:
        """Move a pars fracture or a slip with traumatic wording to `traumatic_fracture` (P-C7 to P-C11)."""
        told = {evidence.how for evidence in result.trauma if evidence.value == "trauma"}
        told -= {evidence.how for evidence in result.trauma if evidence.value in ("none", "old")}
        stressed = any(
            "stress" in {e.value for e in i.attributes.etiology} for i in result.found if i.assertion == "affirmed"
        )
        none = any(evidence.value == "none" for evidence in result.trauma) and not told
        for item in result.found:
            here = str(item.mention.sentence) in told
            if item.condition == "traumatic_fracture":
                causes = {evidence.value for evidence in item.attributes.etiology}
                named = "traumatic" in causes or here or item.mention.rule.value
                item.tie = "same" if named else "across"
                continue
            causes = {evidence.value for evidence in item.attributes.etiology}
            ages = {evidence.value for evidence in item.attributes.chronicity}
            whole = result.reading.clean(item.mention.sentence).text
            text = whole[item.mention.clean_start : item.mention.clean_end]
            if self._injured.search(whole[: item.mention.clean_start]) and not p_c11(ages):
                item.condition, item.tie = (
                    "traumatic_fracture",
                    "same",
                )  # "no traumatic listhesis" is a mention of one too
                continue
            if causes & {
                "old_traumatic",
                "nontraumatic",
                "congenital",
                "dysplastic",
                "degenerative",
                "iatrogenic",
                "pathologic",
            }:
                continue
            if p_c11(ages) or "stress" in causes or self._stress.search(text):
                continue
            fracture = item.condition == "spondylolisthesis" or bool(self._fracture.search(text))
            if not fracture:
                continue
            if "traumatic" in causes or ("acute" in ages and here and item.assertion == "affirmed"):
                item.tie = "same"
            elif "acute" in ages and told and not none and not stressed and item.assertion in ("affirmed", "uncertain"):
                item.tie = "across"
            else:
                continue
            item.condition = "traumatic_fracture"
        moved = [i for i in result.found if i.condition == "traumatic_fracture" and i.assertion == "affirmed"]
        for item in result.found:
            # Other mentions of the same traumatic pars fracture or slip need not repeat the trauma.
            if item.assertion != "affirmed" or p_c11({evidence.value for evidence in item.attributes.chronicity}):
                continue
            if item.condition == "spondylolysis":
                clean = result.reading.clean(item.mention.sentence)
                text = clean.text[item.mention.clean_start : item.mention.clean_end]
                if not self._fracture.search(text) or self._stress.search(text):
                    continue
                same = [m for m in moved if not m.levels or not item.levels or _touching(m.levels, item.levels)]
            elif item.condition == "spondylolisthesis" and not item.attributes.etiology:
                slips = [(m, ("C2",) if m.mention.rule.value == "hangman" else m.levels) for m in moved if m.is_slip]
                same = [m for m, levels in slips if _touching(levels, item.levels)]
            else:
                continue
            if same:
                item.condition, item.tie = "traumatic_fracture", same[0].tie

    # -- corrections and titles --------------------------------------------------------------------------------------

    def _changes(self, reading: Reading, found: Sequence[Found]) -> dict[str, str]:
        """Levels that an addendum or correction replaces: {"L5-S1": "L4-L5"} (P-A4)."""
        known = {level for item in found for level in item.levels}
        for number in self._correcting(reading):
            clean = reading.clean(number)
            if not self._amends.search(clean.text):
                continue
            named = [level for level in spine.find(clean.text) if len(level.names) == 1]
            if len(named) == 2:
                one, two = named
                between = clean.text[one.end : two.start]
                first_is_new = self._rather_than.search(between) is not None
                new, old = (one, two) if first_is_new else (two, one)
                if old.names[0] in known:
                    return {old.names[0]: new.names[0]}
            if len(named) == 1 and self._amended_to.search(clean.text[: named[0].start]):
                new_name = named[0].names[0]
                others = {
                    level
                    for item in found
                    for level in item.levels
                    if level != new_name
                    and item.mention.sentence != number
                    and len(spine.members(level)) == len(spine.members(new_name))
                }
                if len(others) == 1:
                    return {others.pop(): new_name}
                if not others:
                    return {"": new_name}  # what it replaces stands in another document
        return {}

    def _correcting(self, reading: Reading) -> list[int]:
        """The sentences that correct something: by their wording, or since they stand in an addendum."""
        numbers = {number for number in reading.where(self._corrects) if self._corrects.find(reading.clean(number))}
        plain = reading.layout
        for section in reading.sections:
            if section.category == "addendum":
                at = bisect_left(plain.starts, section.title_start)
                numbers.update(range(at, bisect_left(plain.starts, section.end)))
        return sorted(numbers)

    def _title_region(self, reading: Reading) -> Evidence | None:
        """The region that a report's title lines name ("XR LUMBAR SPINE"); for clinic notes none."""
        if reading.kind not in ("radiology", None):
            return None
        for number in range(min(len(reading.layout.sentences), 14)):
            clean = reading.clean(number)
            section = reading.section(clean.start)
            body = section is not None and section.start <= clean.start
            if (
                number
                and section is not None
                and body
                and section.category in ("indication", "impression", "findings", "history")
            ):
                break
            if self._study.search(clean.text) or self._modality.find(clean) or number < 3:
                evidence = self._film(clean)
                if evidence is not None:
                    return evidence
        return None

    def _film(self, clean: Clean) -> Evidence | None:
        text: str = clean.text
        if not self._study.search(text) and "spine" not in text:
            return None
        for match in self._regions.find(clean):
            start, end = clean.span(match.start, match.end)
            return Evidence("region", match.rule.value or "", start, end, match.rule.id, "study")
        return None

    def pars_signs(self, document: DocumentReading) -> Iterator[Evidence]:
        """P-C5: the levels at which a document tells of edema, uptake, sclerosis and the like of a pars, unless denied."""
        reading = document.reading
        for number in range(len(reading.layout.sentences)):
            clean = reading.clean(number)
            if "pars" not in clean.text:
                continue
            for sign in self._pars_sign.finditer(clean.text):
                if sign.group("denied"):
                    continue
                for level in spine.find(sign.group()):
                    start, end = clean.span(sign.start() + level.start, sign.start() + level.end)
                    yield from (Evidence("level", name, start, end, None, "sign") for name in level.names)

    def study_region(self, document: DocumentReading, item: Found) -> Evidence | None:
        """P-C5 (2): the region of the study or section heading that holds the mention."""
        own = [evidence for evidence in item.attributes.regions if evidence.how == "study"]
        if own:
            return own[0]
        reading = document.reading
        section = reading.section(item.mention.start)
        low = section.start if section is not None else 0
        sentences = reading.layout.sentences
        at = item.mention.sentence - 1
        while at >= 0 and sentences[at].end > low and item.mention.sentence - at < 15:
            clean = reading.clean(at)
            if self._study.search(clean.text):
                evidence = self._film(clean)
                if evidence is not None:
                    return evidence
                break
            at -= 1
        if section is not None:
            evidence = self._film(Clean(reading.text, section.title_start, section.title_end))
            if evidence is not None:
                return evidence
        return self._title_region(reading)


def p_f4(binder: Binder, reading: Reading, sentence: int, mentions: Sequence[Mention]) -> list[Attributes]:
    """P-F4: the levels, sides, ages, causes and grades that belong to each mention of a sentence."""
    return binder.bind(reading, sentence, mentions)


def _stressed(item: Found) -> bool:
    return any(evidence.value == "stress" for evidence in item.attributes.etiology)


def p_c11(ages: set[str]) -> bool:
    """P-C11: an established or chronic defect is never an injury, even in a patient who also fell."""
    return bool(ages & {"chronic", "acute_on_chronic"})


def _iso(date: str | None) -> When | None:
    """A document's date as the dates in its text are held."""
    if date is None:
        return None
    year, month, day = (int(part) for part in date.split("-"))
    return year, month, day


def _dates(text: str) -> list[tuple[int, When]]:
    """Dates in clean text with their place, as (year, month, day), 0 for a part not given."""
    found: list[tuple[int, When]] = []
    if _DATED.search(text) is None:
        return found
    for match in _DATE.finditer(text):
        if match["iso"]:
            when = (int(match["iso"]), int(match["im"]), int(match["id"]))
        elif match["y"]:
            year = int(match["y"])
            when = (year if year > 99 else 2000 + year, int(match["m"]), int(match["d"]))
        elif match["my"]:
            when = (int(match["my"]), int(match["mm"]), 0)
        elif match["year"]:
            when = (int(match["year"]), _MONTHS[match["month"]], int(match["day"] or match["day2"] or 0))
        else:
            when = (int(match["only"]), 0, 0)
        found.append((match.start(), when))
    return found


# --- publishing -----------------------------------------------------------------------------------------------------

_AGES = ("nonunion", "healing", "acute_on_chronic", "stress_reaction", "acute", "subacute", "chronic", "healed")
_CAUSES = (
    "congenital", "dysplastic", "developmental", "pathologic", "iatrogenic", "old_traumatic", "traumatic", "isthmic",
    "degenerative", "stress",
)  # fmt: skip


def laterality(values: Iterable[str]) -> str | None:
    """One side of several statements: left and right of one level are bilateral (P-F4)."""
    sides = set(values)
    if "bilateral" in sides or {"left", "right"} <= sides:
        return "bilateral"
    for side in ("left", "right", "unilateral"):
        if side in sides:
            return side
    return None


def first_of(order: Sequence[str], values: Iterable[str]) -> str | None:
    """The value that comes first in `order`."""
    held = set(values)
    return next((value for value in order if value in held), None)


def chronicity(values: Iterable[str]) -> str | None:
    """How old the defect is, the most telling statement first (P-A5, P-F4)."""
    return first_of(_AGES, values)


def etiology(values: Iterable[str]) -> str | None:
    """What made it; "acquired" and "nontraumatic" state no cause."""
    cause = first_of(_CAUSES, values)
    return "traumatic" if cause == "old_traumatic" else cause


def grade(values: Iterable[str]) -> str | None:
    """Meyerding numeral before percent before millimetres (P-F4)."""
    ranked = sorted(values, key=lambda value: (value.endswith("mm"), value.endswith("%"), value in ("low", "high")))
    return ranked[0] if ranked else None


def _touching(one: Sequence[str], other: Sequence[str]) -> bool:
    return any(spine.touch(a, b) for a in one for b in other)


def publish(document: DocumentReading, item: Found, number: int, changes: dict[str, str]) -> Finding:
    """The public `Finding` of a found mention."""
    note, reading = document.note, document.reading
    attributes = item.attributes

    def span(start: int, end: int, rule: str | None = None) -> Span:
        return Span(document=note.id, start=start, end=end, text=reading.text[start:end], rule=rule)

    ruling = item.ruling
    cues = tuple(
        Cue(
            category=cue.rule.category,
            start=cue.start,
            end=cue.end,
            text=reading.text[cue.start : cue.end],
            rule=cue.rule.id,
        )
        for cue in item.mention.cues
    )
    words = " and ".join(f"“{reading.text[cue.start : cue.end]}”" for cue in ruling.cues[:2])
    says = f"{ruling.says}: {words}" if words else ruling.says
    mention = item.mention
    step = Step(
        rule=ruling.rule,
        says=says,
        evidence=(
            span(mention.start, mention.end, mention.rule.id),
            *(span(cue.start, cue.end, cue.rule.id) for cue in ruling.cues),
        ),
    )
    return Finding(
        id=f"f{number}",
        condition=item.condition,
        assertion=item.assertion,
        document=note.id,
        start=mention.start,
        end=mention.end,
        text=reading.text[mention.start : mention.end],
        section=item.section,
        cues=cues,
        levels=spine.substitute(item.levels, changes),
        regions=item.regions,
        laterality=laterality(e.value for e in attributes.sides),
        chronicity=chronicity(e.value for e in attributes.chronicity),
        etiology=etiology(e.value for e in attributes.etiology),
        grade=grade(e.value for e in attributes.grades) if item.condition != "spondylolysis" else None,
        direction=attributes.directions[0].value if attributes.directions else None,
        documented_by=item.documented_by,
        rule=mention.rule.id,
        trail=(step,),
    )
