"""What a finding is tied to: levels, regions, side, chronicity, cause, grade and direction, bound clause by clause.

Every modifier in a sentence looks for the head it stands with. Heads are the mentions and the *owners* (a disc bulge, a
fusion, a nerve root, leg pain ...); a modifier that belongs to an owner is nobody's attribute (P-F4, P-C5).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from parsnlp.extract import levels as spine
from parsnlp.extract.matching import Match, Matcher
from parsnlp.extract.pipeline import Mention, Reading
from parsnlp.extract.tables import Columns
from parsnlp.note import Clean
from parsnlp.rules import RuleSet

_SPACE_WORD = re.compile(r"[a-z0-9][a-z0-9'.-]*|[^\sa-z0-9]")
_BLANK = "\x01"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One attribute value with its place in the note. `how`: bound, row, weak (shared) or study (a film's name)."""

    category: str
    value: str
    start: int
    end: int
    rule: str | None
    how: str = "bound"


@dataclass(slots=True)
class Attributes:
    """The attribute evidence of one mention. `levels` holds level names, `regions` region names."""

    levels: list[Evidence] = field(default_factory=list)
    regions: list[Evidence] = field(default_factory=list)
    sides: list[Evidence] = field(default_factory=list)
    chronicity: list[Evidence] = field(default_factory=list)
    etiology: list[Evidence] = field(default_factory=list)
    grades: list[Evidence] = field(default_factory=list)
    directions: list[Evidence] = field(default_factory=list)
    weak_levels: list[Evidence] = field(default_factory=list)
    shared_levels: list[Evidence] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Head:
    start: int
    end: int
    mention: int | None
    kind: str


@dataclass(frozen=True, slots=True)
class _Modifier:
    category: str
    value: str
    start: int
    end: int
    rule: str | None


_LANES = {
    "laterality": "sides",
    "chronicity": "chronicity",
    "etiology": "etiology",
    "grade": "grades",
    "direction": "directions",
    "region": "regions",
    "level": "levels",
}


class Binder:
    """Binds the modifiers of a sentence to its mentions."""

    def __init__(self, rules: RuleSet) -> None:
        names = ("laterality", "chronicity", "etiology", "grade", "direction", "region")
        self._modifiers = {name: Matcher(rules.category(name)) for name in names}
        self._owners = Matcher(rules.category("owner"))
        self._row_lead, self._row_end = rules.piece("row_lead"), rules.piece("row_end")
        self._region_of_film, self._film_of_region = rules.piece("region_of_film"), rules.piece("film_of_region")
        self._listed, self._upon, self._hedge = rules.piece("listed"), rules.piece("upon"), rules.piece("hedge")
        self._field, self._field_of_site = rules.piece("field"), rules.piece("field_of_site")
        self._option, self._ticked = rules.piece("option"), rules.piece("ticked_option")
        self._columns = Columns(rules)
        words = rules.tables["binding"]
        self._stops = frozenset(words["stops"])
        self._connectors = frozenset(words["connectors"])
        self._trailing = self._connectors | frozenset(words["trailing"])

    def bind(self, reading: Reading, number: int, mentions: Sequence[Mention]) -> list[Attributes]:
        """The attributes of each of the sentence's `mentions`, in their order."""
        clean = reading.clean(number)
        text = clean.text
        heads, taken = self._heads(clean, mentions)
        modifiers = self._find(clean, taken)
        bare = _blank(text, modifiers)
        found = [Attributes() for _ in mentions]
        loose: list[_Modifier] = []
        owned: dict[int, list[_Modifier]] = {}

        def give(mention: int, modifier: _Modifier, how: str = "bound") -> None:
            start, end = clean.span(modifier.start, modifier.end)
            lane = getattr(found[mention], _LANES[modifier.category])
            lane.append(Evidence(modifier.category, modifier.value, start, end, modifier.rule, how))

        owners = self._owners_of(text, bare, modifiers, heads)
        for modifier, (head, how) in zip(modifiers, owners, strict=True):
            if head is None:
                loose.append(modifier)
                continue
            if head.mention is None:
                if modifier.category in ("level", "region"):
                    owned.setdefault(heads.index(head), []).append(modifier)
                continue
            if how == "near" and modifier.category not in ("level", "region"):
                continue
            hedged = modifier.category in ("etiology", "chronicity") and self._hedge.search(
                text[: modifier.start][-40:]
            )
            if hedged and modifier.value not in ("acquired", "nontraumatic", "nonunion", "healed", "healing"):
                continue
            if modifier.category == "grade" and mentions[head.mention].rule.category == "spondylolysis":
                continue
            give(head.mention, modifier)
        self._spread(loose, heads, mentions, found, give)
        self._fields(reading, number, mentions, found)
        self._rows(reading, number, mentions, found)
        self._columns_of(reading, mentions, found)
        self._shares(clean, text, heads, owned, mentions, found)
        for mention, attributes in zip(mentions, found, strict=True):
            self._study_regions(text, clean, attributes)
            self._own_direction(mention, attributes)
            _pair_vertebrae(text, clean, mention, attributes, self._upon)
        return found

    def _heads(self, clean: Clean, mentions: Sequence[Mention]) -> tuple[list[_Head], list[tuple[int, int]]]:
        """The sentence's heads, and the spans of owners, inside which nothing is a modifier ("T2 hyperintensity")."""
        heads = [_Head(m.clean_start, m.clean_end, i, "mention") for i, m in enumerate(mentions)]
        spans = [(head.start, head.end) for head in heads]
        segments: list[tuple[int, int]] | None = None
        for match in self._owners.find(clean):
            if segments is None:
                segments = [(level.start, level.end) for level in spine.find(clean.text) if level.segment]
            if any(start <= match.start and match.end <= end for start, end in segments):
                continue  # the bodies of what slips
            if not any(start < match.end and match.start < end for start, end in spans):
                heads.append(_Head(match.start, match.end, None, match.rule.value or "other"))
        heads.sort(key=lambda head: head.start)
        taken = [(head.start, head.end) for head in heads if head.mention is None]
        # A signal or sequence owns no level: edema "at the L5 pars" is that of the pars.
        return [head for head in heads if head.kind != "study"], taken

    def _find(self, clean: Clean, owners: Sequence[tuple[int, int]]) -> list[_Modifier]:
        found: list[_Modifier] = []
        for level in spine.find(clean.text):
            if not any(start <= level.start and level.end <= end for start, end in owners):
                found += [_Modifier("level", name, level.start, level.end, None) for name in level.names]
        for category, matcher in self._modifiers.items():
            for match in matcher.find(clean):
                if any(start <= match.start and match.end <= end for start, end in owners):
                    continue
                value = _grade(match) if category == "grade" else match.rule.value
                if value:
                    found.append(_Modifier(category, value, match.start, match.end, match.rule.id))
        found.sort(key=lambda modifier: (modifier.start, modifier.end))
        return found

    def _owners_of(
        self, text: str, bare: str, modifiers: Sequence[_Modifier], heads: Sequence[_Head]
    ) -> list[tuple[_Head | None, str]]:
        """Each modifier's head. Levels in a list ("L2-3 and L3-4") go together: right with the last, left with the first."""
        ends = [head.end for head in heads]
        owners = [self._owner(bare, modifier, heads, bisect_right(ends, modifier.start)) for modifier in modifiers]
        places = [i for i, modifier in enumerate(modifiers) if modifier.category == "level"]
        behind = {i: _directly_behind(bare, modifiers[i], heads, ends) for i in places}
        with_level = {owners[i][0] for i in places}
        followed = {head for i, head in behind.items() if head is not None and "-" in modifiers[i].value}
        for place, head in behind.items():
            if head is None:
                continue
            owner = owners[place][0]
            if head.mention is not None and head not in with_level and head in followed:
                owners[place] = head, "left"  # dictated without stops: "a slip L5 on S1 pain with extension"
            elif (
                head.mention is None
                and head.kind != "part"
                and owner is not None
                and owner.mention is not None
                and owner in followed
            ):
                owners[place] = head, "left"  # "facet arthropathy L4-5 grade 1 slip L5 on S1"
        run: list[int] = []
        for i in [*places, None]:
            if i is not None and (not run or self._listed.fullmatch(text[modifiers[run[-1]].end : modifiers[i].start])):
                run.append(i)
                continue
            if len(run) > 1:
                chosen = owners[run[-1]] if owners[run[-1]][1] == "right" else owners[run[0]]
                first, joint = behind[run[0]], text[modifiers[run[-2]].end : modifiers[run[-1]].start]
                for j in run:
                    owners[j] = chosen
                if (
                    chosen[1] == "right"
                    and first is not None
                    and first.mention is None
                    and first.kind != "part"
                    and joint.strip(" ,")[:1] in ("a", "&")
                ):
                    for j in run[:-1]:  # "a bulge L4-5 and L5-S1 spondylolisthesis"
                        owners[j] = first, "left"
            run = [i] if i is not None else []
        return owners

    def _owner(self, bare: str, modifier: _Modifier, heads: Sequence[_Head], at: int) -> tuple[_Head | None, str]:
        """The head a modifier stands with and how it was found; (None, 'loose') when it heads its own clause.

        Heads never overlap; `at` is the first that ends after the modifier begins.
        """
        left = heads[at - 1] if at else None
        right = heads[at] if at < len(heads) else None
        if right is not None and right.start < modifier.end:
            return right, "inside"
        gap_right = _words(bare[modifier.end : right.start]) if right else None
        gap_left = _words(bare[left.end : modifier.start]) if left else None
        adjacent = (
            gap_right is not None
            and len(gap_right) <= 4
            and not any(word in self._stops or not word[0].isalnum() for word in gap_right)
        )
        allowed = (
            self._connectors if modifier.category in ("level", "region", "laterality", "grade") else self._trailing
        )
        connected = (
            gap_left is not None
            and len(gap_left) <= 9
            and all(
                word in allowed or word in (",", "(", ")", "-", ":", '"', "/") or word.replace(".", "").isdigit()
                for word in gap_left
            )
        )
        if adjacent and connected and gap_right and gap_left and gap_left[-1] in ("of", "at", "in", "on", "level", "("):
            return left, "left"
        if adjacent and connected and right is not None and right.kind == "part" and left and left.mention is not None:
            return left, "left"
        if adjacent:
            return right, "right"
        if connected:
            return left, "left"
        if left is None or modifier.category not in ("level", "region"):
            if modifier.category in ("level", "region"):
                return None, "loose"
            return self._near(bare, modifier, left, right)
        # A level in mid-sentence that is tied to nothing: after a comma it opens a clause, else it looks back.
        between = bare[left.end : modifier.start]
        if right is not None and re.search(r"[,:]|\band\b|\bbut\b", between):
            return right, "near"
        return left, "near"

    @staticmethod
    def _near(bare: str, modifier: _Modifier, left: _Head | None, right: _Head | None) -> tuple[_Head | None, str]:
        if modifier.category in ("grade", "direction"):
            for head, gap in (
                (left, bare[left.end : modifier.start] if left else ""),
                (right, bare[modifier.end : right.start] if right else ""),
            ):
                if head is not None and head.mention is not None and len(gap) < 60 and not re.search(r"[;]", gap):
                    return head, "grade"
        if left is None and right is not None:
            return right, "near"
        return (left, "near") if left is not None else (None, "loose")

    def _spread(
        self,
        loose: list[_Modifier],
        heads: Sequence[_Head],
        mentions: Sequence[Mention],
        found: list[Attributes],
        give: object,
    ) -> None:
        """A level before every head ("At L4-5 there is ...") is that of each following mention without one of its own.

        A segment is that of a slip of its upper vertebra too: "at L4-5 there is forward slippage of L4".
        """
        places = [modifier for modifier in loose if modifier.category in ("level", "region")]
        if not places:
            return
        for i, mention in enumerate(mentions):
            own = found[i].levels
            for modifier in places:
                of_upper = (
                    mention.rule.category == "spondylolisthesis"
                    and "-" in modifier.value
                    and [evidence.value for evidence in own] == [spine.members(modifier.value)[0]]
                )
                if modifier.end <= mention.clean_start and (
                    modifier.category == "region" or not own or own[-1].how == "spread" or of_upper
                ):
                    give(i, modifier, "spread")  # type: ignore[operator]

    def _fields(self, reading: Reading, number: int, mentions: Sequence[Mention], found: list[Attributes]) -> None:
        """What a form's fields behind a mention say of it: "Level: L5-S1", in its sentence or in those right after it.

        Of a field's boxes the ticked ones: "Level: [ ] L4 [x] L5".
        """
        clean, sentences = reading.clean(number), reading.layout.sentences
        for at, (mention, attributes) in enumerate(zip(mentions, found, strict=True)):
            last = at + 1 == len(mentions)
            places = [(clean, mention.clean_end, len(clean.text) if last else mentions[at + 1].clean_start)]
            below = number + 1
            ticked: list[Clean] = []
            while last and below < len(sentences) and sentences[below].block == sentences[number].block:
                line = reading.clean(below)
                if self._option.match(line.text):
                    # What is not ticked says nothing, and is no next finding either.
                    if self._ticked.match(line.text):
                        if _speaks(reading, below) or any(self._owners.find(line)):
                            break
                        ticked.append(line)
                elif _speaks(reading, below):
                    break
                elif self._field.match(line.text):
                    places.append((line, 0, len(line.text)))
                else:
                    break
                below += 1
            told = [evidence for place in places for evidence in self._of_fields(*place)]
            told += [evidence for line in ticked for evidence in self._of_option(line)]
            for category, lane in _LANES.items():
                held = getattr(attributes, lane)
                if category == "grade" and mention.rule.category == "spondylolysis":
                    continue
                if all(evidence.how == "spread" for evidence in held):
                    held += [evidence for evidence in told if evidence.category == category]

    def _of_fields(self, clean: Clean, start: int, end: int) -> Iterator[Evidence]:
        """The modifiers that the fields of a stretch of clean text hold, sites only where the field is one of sites."""
        labels = list(self._field.finditer(clean.text, start, end))
        if not labels:
            return
        modifiers = self._find(clean, ())
        for label, after in zip(labels, [*(label.start() for label in labels[1:]), end], strict=True):
            of_site = self._field_of_site.search(label.group())
            for modifier in modifiers:
                inside = label.start() <= modifier.start and label.end() <= modifier.end <= after
                if inside and (of_site or modifier.category not in ("level", "region")):
                    origin = clean.span(modifier.start, modifier.end)
                    yield Evidence(modifier.category, modifier.value, *origin, modifier.rule, "row")

    def _of_option(self, clean: Clean) -> Iterator[Evidence]:
        """The modifiers of an option that is ticked: "[x] L5"."""
        for modifier in self._find(clean, ()):
            yield Evidence(
                modifier.category, modifier.value, *clean.span(modifier.start, modifier.end), modifier.rule, "row"
            )

    def _rows(self, reading: Reading, number: int, mentions: Sequence[Mention], found: list[Attributes]) -> None:
        """A level that heads the list item, table row or line group is bound to the mentions under it (P-C5)."""
        row = self._row(reading, number)
        if not row:
            return
        for attributes in found:
            if all(evidence.how == "spread" for evidence in attributes.levels):
                held = {evidence.value for evidence in attributes.levels}
                attributes.levels += [evidence for evidence in row if evidence.value not in held]

    def _columns_of(self, reading: Reading, mentions: Sequence[Mention], found: list[Attributes]) -> None:
        """A mention that heads a column has the levels of the rows that say yes in it, and the grade they say."""
        for mention, attributes in zip(mentions, found, strict=True):
            for row in self._columns.answers(reading.text, mention.start, mention.end).yes:
                head = Clean(reading.text, row.head.start, row.head.end)
                for level in spine.find(head.text):
                    start, end = head.span(level.start, level.end)
                    attributes.levels += [Evidence("level", name, start, end, None, "row") for name in level.names]
                if row.cell is not None and mention.rule.category == "spondylolisthesis":
                    cell = Clean(reading.text, row.cell.start, row.cell.end)
                    for match in self._modifiers["grade"].find(cell):
                        value = _grade(match)
                        if value is not None:
                            attributes.grades.append(
                                Evidence("grade", value, *cell.span(match.start, match.end), match.rule.id)
                            )

    def _row(self, reading: Reading, number: int) -> list[Evidence]:
        sentences = reading.layout.sentences
        first = bisect_left(sentences, sentences[number].item, key=lambda sentence: sentence.item)
        head = self._row_head(reading, first, whole=False)
        if head:
            return head
        # A line that is a level alone heads the lines below it, to the next such line or the end of the block.
        at = first - 1
        while at >= 0 and sentences[at].block == sentences[number].block and first - at < 12:
            start = at
            while start > 0 and sentences[start - 1].item == sentences[at].item:
                start -= 1
            if start == at:
                head = self._row_head(reading, at, whole=True)
                if head:
                    # "Level: L5-S1" in mid-block is a field of what stands before it.
                    opens = at == 0 or sentences[at - 1].block != sentences[at].block or self._titles(reading, at - 1)
                    return head if opens or not self._field.match(reading.clean(at).text) else []
            if self._row_head(reading, start, whole=False):
                return []
            at = start - 1
        return []

    @staticmethod
    def _titles(reading: Reading, number: int) -> bool:
        """Whether a sentence is a heading and nothing besides."""
        sentence = reading.layout.sentences[number]
        section = reading.section(sentence.start)
        return (
            section is not None
            and section.title_start == sentence.start
            and not reading.text[section.title_end : sentence.end].strip(" \t:.-")
        )

    def _row_head(self, reading: Reading, number: int, whole: bool) -> list[Evidence]:
        key = ("row alone" if whole else "row", number)
        if key not in reading.kept:
            reading.kept[key] = self._level_lead(reading.clean(number), reading.text, whole)
        found: list[Evidence] = reading.kept[key]
        return found

    def _level_lead(self, clean: Clean, source: str, whole: bool) -> list[Evidence]:
        """The level that a sentence begins with, where that makes it the head of a row; `whole`: it is all it says."""
        text = clean.text
        lead = self._row_lead.match(text)
        at = lead.end() if lead else 0
        if not text[at : at + 1] or text[at] not in "ctdls":
            return []
        found = [level for level in spine.find(text[at : at + 40]) if level.start == 0]
        if not found:
            return []
        level = found[0]
        end = at + level.end
        if whole:
            if text[end:].strip(" :.-") not in ("", "level"):
                return []
        else:
            wide = re.match(r"(?:[ \t]{2,}|\t)", source[clean.origin(end - 1) + 1 : clean.origin(end - 1) + 4])
            if not self._row_end.match(text, end) and not wide:
                return []
        start, stop = clean.span(at, end)
        return [Evidence("level", name, start, stop, None, "row") for name in level.names]

    def _shares(
        self,
        clean: Clean,
        text: str,
        heads: Sequence[_Head],
        owned: dict[int, list[_Modifier]],
        mentions: Sequence[Mention],
        found: list[Attributes],
    ) -> None:
        """Levels of a neighbour in the same clause: another condition's (P-C4's exception) or a coordinated owner's."""
        for i, mention in enumerate(mentions):
            if found[i].levels:
                continue
            for j, other in enumerate(mentions):
                if i != j and other.rule.category != mention.rule.category and found[j].levels:
                    found[i].shared_levels += [e for e in found[j].levels if e.how != "weak"]
            for k, modifiers in owned.items():
                head = heads[k]
                low, high = sorted(((head.end, mention.clean_start), (mention.clean_end, head.start)))[
                    1 if head.start > mention.clean_start else 0
                ]
                gap = text[min(low, high) : max(low, high)]
                if (
                    head.kind in ("canal", "disc", "facet")
                    and len(gap) < 60
                    and not re.search(r"[;.]|\bno\b|\bwithout\b", gap)
                ):
                    for modifier in modifiers:
                        start, end = clean.span(modifier.start, modifier.end)
                        lane = found[i].weak_levels
                        lane.append(Evidence(modifier.category, modifier.value, start, end, modifier.rule, "weak"))

    def _study_regions(self, text: str, clean: Clean, attributes: Attributes) -> None:
        """A region that is part of a study's name ("XR lumbosacral spine") names the film, not the finding."""
        kept = []
        for evidence in attributes.regions:
            start = clean.offset(evidence.start)
            end = clean.offset(evidence.end - 1) + 1
            film = self._region_of_film.match(text, end) or self._film_of_region.search(text[:start])
            kept.append(
                Evidence("region", evidence.value, evidence.start, evidence.end, evidence.rule, "study")
                if film
                else evidence
            )
        attributes.regions[:] = kept

    @staticmethod
    def _own_direction(mention: Mention, attributes: Attributes) -> None:
        if mention.rule.category == "spondylolysis":
            attributes.directions.clear()
            return
        inside = [e for e in attributes.directions if mention.start <= e.start and e.end <= mention.end]
        if inside:
            attributes.directions[:] = inside[:1]


def _pair_vertebrae(text: str, clean: Clean, mention: Mention, attributes: Attributes, upon: re.Pattern[str]) -> None:
    """ "L3 anterolisthesis on L4" names the segment L3-L4."""
    singles = [evidence for evidence in attributes.levels if "-" not in evidence.value]
    if (
        mention.rule.category == "spondylolysis"
        or not singles
        or len({e.value for e in singles}) != len(attributes.levels)
    ):
        return
    last = singles[-1]
    at = clean.offset(last.start)
    if not upon.search(text[:at]):
        return
    # The upper vertebra is bound too, or it is the subject: "L4 is mildly anterolisthetic on L5".
    uppers = [level.names[0] for level in spine.find(text[: max(at, 0)]) if not level.segment]
    segment = spine.pair(uppers[-1], last.value) if uppers else None
    if segment and len(singles) <= 2:
        attributes.levels[:] = [
            Evidence(e.category, segment, e.start, e.end, e.rule, e.how) if e in singles else e
            for e in attributes.levels
        ]


_REMARK = re.compile(r"\([^()]{0,40}\x01[^()]{0,40}\)")


def _speaks(reading: Reading, sentence: int) -> bool:
    """Whether a sentence holds a mention."""
    at = bisect_left(reading.mentions, sentence, key=lambda mention: mention.sentence)
    return at < len(reading.mentions) and reading.mentions[at].sentence == sentence


def _directly_behind(bare: str, modifier: _Modifier, heads: Sequence[_Head], ends: Sequence[int]) -> _Head | None:
    """The head that a modifier follows with nothing between them but other modifiers."""
    at = bisect_right(ends, modifier.start)
    return heads[at - 1] if at and not bare[ends[at - 1] : modifier.start].strip() else None


def _words(gap: str) -> list[str]:
    """The words of a gap; brackets that hold modifiers, "(dysplastic, Wiltse type I)", are no words."""
    gap = _REMARK.sub(" ", gap)
    return [word for word in _SPACE_WORD.findall(gap.replace(_BLANK, " ")) if word.strip()]


def _blank(text: str, modifiers: Sequence[_Modifier]) -> str:
    """The text with every modifier's letters blanked, so that modifiers do not stand in one another's way."""
    letters = list(text)
    for modifier in modifiers:
        letters[modifier.start : modifier.end] = _BLANK * (modifier.end - modifier.start)
    return "".join(letters)


_ROMAN = {"1": "I", "2": "II", "3": "III", "4": "IV", "5": "V", "one": "I", "two": "II", "three": "III", "four": "IV", "five": "V",
          "first": "I", "second": "II", "third": "III", "fourth": "IV"}  # fmt: skip


def _grade(match: Match) -> str | None:
    """A grade as the corpora spell it: I to V, "30%", "4 mm", "low", "high"."""
    numeral = match.group("m", "g", "h", "o")
    if numeral:
        return _ROMAN.get(numeral, numeral.upper())
    percent = match.group("p")
    if percent:
        return f"{int(percent)}%" if 0 < int(percent) <= 100 else None
    size = match.group("d")
    if size:
        return f"{float(size):g} mm"
    return match.group("w")
