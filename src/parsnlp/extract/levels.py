"""Vertebrae and segments: reading them in clean text, and the spine's order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SPINE: tuple[str, ...] = (
    "C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7",
    "T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12",
    "L1", "L2", "L3", "L4", "L5", "L6", "S1", "S2", "S3", "S4", "S5",
)  # fmt: skip
"""Vertebrae from above down; C0 is the occiput. L6 exists only where the note names it."""

_PLACE = {name: place for place, name in enumerate(SPINE)}
_ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
    "sixth": 6, "6th": 6, "seventh": 7, "7th": 7, "eighth": 8, "8th": 8, "ninth": 9, "9th": 9, "tenth": 10, "10th": 10,
    "eleventh": 11, "11th": 11, "twelfth": 12, "12th": 12, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_LETTERS = {
    "cervical": "C",
    "thoracic": "T",
    "dorsal": "T",
    "lumbar": "L",
    "sacral": "S",
    "c": "C",
    "t": "T",
    "d": "T",
    "l": "L",
    "s": "S",
}
_ORDINAL = "|".join(
    sorted(
        (word for word in _ORDINALS if word[0].isdigit() or word.endswith(("th", "rst", "ond", "ird"))),
        key=len,
        reverse=True,
    )
)
_CARDINAL = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_BODY = (
    rf"(?:(?P<letter>[ctdls])(?:(?:[ .-]?|v)(?P<number>\d{{1,2}})|(?:[ -]|(?=three|four|five))(?P<word>{_CARDINAL}))(?![0-9])(?![a-z](?!\d))(?!\.\d)(?! ?[mc]m\b)"
    rf"|(?P<ordinal>{_ORDINAL}) (?P<region>cervical|thoracic|dorsal|lumbar|sacral)(?! (?:visit|view|injection|level|surgery|mri|ct))"
    # A scan's "LS-S1" is L5-S1.
    r"|(?P<bare>5)(?=-1(?![\w/.%-])(?! ?(?:mm|cm|times|years?|weeks?|days?|hours?|out of|ratio|x\b)))"
    r"|l(?P<roman>v|iv|iii|s(?= ?(?:-|/|on|over|upon) ?s ?[1il](?![a-z0-9])))(?![a-z0-9])|(?P<named>atlas|occiput|c-?0)(?![a-z])"
    r"|(?P<axis>axis)(?= (?:vertebra|fracture|pars|pedicle)|[,.;]|$)|(?P<sacrum>sacrum|sacral (?:base|promontory|end ?plate))(?![a-z]))"
)
# "There's 4 mm of slip" names no S4.
_VERTEBRA = re.compile(rf"(?<![a-z0-9])(?<![a-z0-9]')(?<![./:-]){_BODY}")
_NEXT = re.compile(_BODY)
# What joins two members of a segment, and what joins the ends of a range.
_JOIN = re.compile(
    r" ?(?:-|/|\\) ?(?:on )?| ?(?:on|over|upon|onto) (?:the )?(?:top of )?|(?: vertebra| vertebral body| body)?(?: has| is)? (?:(?:slipped|slid|slips|displaced|translated|shifted|moved) )?(?:anteriorly |forward |forwards |posteriorly |backward |backwards )?(?:on|over|relative to|with respect to|in relation to|with regard to|compared to|compared with)(?: the)? | ?(?:-|/)? ?(?:to|through|thru) | ?-- ?| (?=[cdtls]\d)| (?=[cdtls] (?:one|two|three|four|five)(?![a-z]))|(?=[cdtls]\d)|(?= ?$)"
)
_SHORT = re.compile(
    r" ?[-/] ?(\d{1,2}|s ?[1il](?![a-z0-9])|[s5]i(?![a-z]))(?![0-9a-z%])(?! ?(?:mm|cm|degrees|/))| (?:on|over) (?:s)?(\d)(?![0-9a-z%./])(?! ?mm)| (?:on|over) (?P<cardinal>two|three|four|five)(?![a-z])| (?:vertebrae? )?(?:on|over|upon) the (first|second|third|fourth|fifth)(?: (?:lumbar|sacral)(?: segment| vertebra)?)?"
)
_TOGETHER = {"l23": "L2-L3", "l34": "L3-L4", "l45": "L4-L5"}
"""Segments written in one; no spine has so many lumbar vertebrae that it could be one of them."""
# "of the L4 vertebral body over the L5 vertebral body": one expression.
_BODY_OF = re.compile(
    r" vertebral bod(?:y|ies)(?![a-z])(?! (?:fracture|height|compression|h[ae]*mangioma|endplate|edema|oedema|wedg))"
)
_LIST = re.compile(
    r"(?:,| and| &|, and| or|, or|/|;| as well as| plus) (?:at |also |the )?(?=\d-\d(?!\d))(\d{1,2}) ?- ?(\d{1,2}|s1)(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Level:
    """Levels as one expression of the text names them: `names` such as ("L5",) or ("L4-L5", "L5-S1").

    `start`, `end` are clean offsets. `segment`: written as a segment or range, not as single vertebrae.
    """

    names: tuple[str, ...]
    start: int
    end: int
    segment: bool


def find(text: str) -> list[Level]:
    """All level expressions in clean `text`, in order.

    >>> [level.names for level in find("l5 pars defects, slip of l5 on s1, fused l3-l5")]
    [('L5',), ('L5-S1',), ('L3-L4', 'L4-L5')]
    """
    found: list[Level] = []
    at = 0
    while True:
        match = _VERTEBRA.search(text, at)
        if match is None:
            return found
        first = _name(match)
        at = match.end()
        together = _TOGETHER.get(f"{match.group('letter')}{match.group('number')}")
        if together is not None:
            found.append(Level((together,), match.start(), at, True))
            continue
        if first is None or match.group("sacrum"):
            continue  # the sacrum is a level only as what a vertebra slips on
        start, end = match.start(), match.end()
        names: tuple[str, ...] = (first,)
        segment = False
        short = _SHORT.match(text, end)
        if short is not None:
            told = short.group(1) or short.group(2) or str(_ORDINALS[short.group("cardinal") or short.group(4)])
            below = _below(first, "s1" if "sacral" in short.group() else told)
            pair = _between(first, below) if below else ()
            if pair:
                names, segment, end = pair, True, short.end()
        else:
            join = _JOIN.match(text, end)
            other = _NEXT.match(text, join.end()) if join else None
            second = _name(other) if other else None
            if other is not None and second is not None and other.start() >= end:
                pair = _between(first, second)
                adjacent = len(pair) == 1
                explicit = join is not None and join.group().strip() != ""
                if pair and (adjacent or explicit):
                    body = _BODY_OF.match(text, other.end())
                    names, segment, end = pair, True, body.end() if body else other.end()
        found.append(Level(names, start, end, segment))
        at = end
        # "L3-4 and 4-5": the region letter is carried on.
        while segment:
            more = _LIST.match(text, at)
            if more is None:
                break
            letter = names[-1][0]
            upper = f"{letter}{int(more.group(1))}"
            below = _below(upper, more.group(2)) if upper in _PLACE else None
            pair = _between(upper, below) if below else ()
            if not pair:
                break
            found.append(Level(pair, more.start(1), more.end(), True))
            at = more.end()
            names = pair


def _name(match: re.Match[str] | None) -> str | None:
    if match is None:
        return None
    if match.group("letter"):
        number = int(match.group("number")) if match.group("number") else _ORDINALS[match.group("word")]
        name = f"{_LETTERS[match.group('letter')]}{number}"
    elif match.group("ordinal"):
        name = f"{_LETTERS[match.group('region')]}{_ORDINALS[match.group('ordinal')]}"
    elif match.group("bare"):
        name = "L5"
    elif match.group("roman"):
        name = {"v": "L5", "iv": "L4", "iii": "L3", "s": "L5"}[match.group("roman")]
    elif match.group("named"):
        name = "C1" if match.group("named") == "atlas" else "C0"
    elif match.group("axis"):
        name = "C2"
    else:
        name = "S1"
    return name if name in _PLACE else None


def _below(first: str, short: str) -> str | None:
    """The vertebra that "5" in "L4-5" or "S1" in "L5-S1" stands for."""
    short = short.replace(" ", "")
    if short[0] in "s5" and short[1:] in ("1", "i", "l"):
        return "S1"
    number = int(short)
    letter = first[0]
    upper = int(first[1:])
    if number > upper:
        name = f"{letter}{number}"
        return name if name in _PLACE else None
    if number == 1:
        return {"C7": "T1", "T12": "L1", "L5": "S1", "L6": "S1"}.get(first)
    return None


def _between(upper: str, lower: str | None) -> tuple[str, ...]:
    """The segments from one vertebra down to another; L6 is passed over unless named."""
    if lower is None:
        return ()
    a, b = _PLACE[upper], _PLACE[lower]
    if a > b and b >= 0:
        # "S1 on L5", "L5 over L4": the same segment told from below, only when they touch.
        if len(members := _chain(lower, upper)) == 2:
            return (f"{members[0]}-{members[1]}",)
        return ()
    if a == b:
        return ()
    members = _chain(upper, lower)
    return tuple(f"{one}-{two}" for one, two in itertools.pairwise(members))


def _chain(upper: str, lower: str) -> list[str]:
    a, b = _PLACE[upper], _PLACE[lower]
    return [name for name in SPINE[a : b + 1] if name != "L6" or "L6" in (upper, lower)]


def members(level: str) -> tuple[str, ...]:
    """The vertebrae of a level name: ("L5", "S1") of "L5-S1", ("L5",) of "L5"."""
    return tuple(level.split("-"))


def order(names: Iterable[str]) -> tuple[str, ...]:
    """Level names without repeats, from above down, a vertebra before the segment it begins."""
    return tuple(sorted(set(names), key=lambda name: (_PLACE[members(name)[0]], len(members(name)))))


def segments_first(names: Sequence[str]) -> tuple[str, ...]:
    """Level names without the single vertebrae that belong to a segment among them."""
    paired = {vertebra for name in names if "-" in name for vertebra in members(name)}
    return tuple(name for name in names if name not in paired)


def pair(upper: str, lower: str) -> str | None:
    """The segment of two neighbouring vertebrae, told in either order; None when they do not touch."""
    found = _between(upper, lower) or _between(lower, upper)
    return found[0] if len(found) == 1 else None


def touch(one: str, other: str) -> bool:
    """Whether two levels share a vertebra."""
    return bool(set(members(one)) & set(members(other)))


def substitute(names: Iterable[str], changes: Mapping[str, str]) -> tuple[str, ...]:
    """Level names with corrected ones put in place of what they correct."""
    return order(changes.get(name, name) for name in names)
