"""What is wrong with one note: gold against got, where in the note, and the trail that led astray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parsnlp.evaluation.compare import (
    CONDITIONS,
    QUERY_KINDS,
    Scored,
    code_set,
    match_edits,
    positive,
    same,
    scored_for_care,
    service_name,
)
from parsnlp.evaluation.gold import GoldMention, GoldNote
from parsnlp.evaluation.models import Measure, Problem
from parsnlp.models import Condition, Finding, Result, Step

_FAMILIES: tuple[tuple[str, tuple[Condition, ...]], ...] = (
    ("M43.0", ("spondylolysis",)),
    ("M48.4", ("spondylolysis",)),
    ("M43.1", ("spondylolisthesis",)),
    ("Q76.2", ("spondylolysis", "spondylolisthesis")),
    ("S", ("traumatic_fracture",)),
)
_AROUND = 60  # characters quoted on each side of a mention


def problems_of(item: Scored, pairs: Sequence[tuple[int, int]]) -> list[Problem]:
    """All that is wrong with a scored note. `pairs`: its mentions as matched, (gold, got)."""
    return [
        *_codes("codes", item.gold.codes, item.result),
        *(_codes("strict_codes", item.gold.strict_codes, item.strict) if item.strict else ()),
        *_mentions(item, pairs),
        *_conditions(item),
        *_sets(item),
        *_audits(item),
    ]


def _audits(item: Scored) -> Iterator[Problem]:
    gold = item.gold
    for what, wanted, got in (
        ("claim", gold.claim_edits, item.audited),
        ("mended claim", gold.corrected_edits, item.corrected),
    ):
        missed, spurious = match_edits([*wanted, *gold.typed_edits], got) if got is not None else ([], [])
        for edit in missed:
            yield Problem(measure="audit", what=f"edit of the {what} missing", gold=f"{edit.kind} {edit.code}")
        for one in spurious:
            yield Problem(measure="audit", what=f"edit of the {what} too much", got=f"{one.kind} {' '.join(one.codes)}")


def _codes(measure: Measure, gold: Sequence[str] | None, result: Result) -> Iterator[Problem]:
    if gold is None:
        return
    got = code_set(result)
    for code in (code for code in gold if code not in got):
        yield Problem(measure=measure, what="code missing", gold=code, trail=_why_not(code, result))
    for given in (given for given in result.codes if given.code not in gold):
        yield Problem(measure=measure, what="code too much", got=given.code, trail=given.trail)


def _why_not(code: str, result: Result) -> tuple[Step, ...]:
    """Why a code did not come out: what refused it, else refused its family, else how its condition was decided."""
    family = next((start for start, _ in _FAMILIES if code.startswith(start)), code[:3])
    refused = [item for item in result.suppressed if item.code == code] or [
        item for item in result.suppressed if item.code.startswith(family)
    ]
    steps = [Step(rule=item.rule, says=f"{item.code}: {item.reason}", evidence=item.evidence) for item in refused]
    if steps:
        return tuple(steps)
    conditions = next((names for start, names in _FAMILIES if start == family), CONDITIONS)
    return tuple(
        step
        for item in result.conditions
        if item.condition in conditions
        for step in (*item.trail, Step(rule="outcome", says=f"{item.condition} {item.assertion} in the note"))
    )


def _mentions(item: Scored, pairs: Sequence[tuple[int, int]]) -> Iterator[Problem]:
    if item.gold.mentions is None:
        return
    gold, got = item.gold.mentions, item.result.findings
    for i, j in pairs:
        if gold[i].assertion != got[j].assertion:
            yield _mention("assertion", "assertion", item.gold, gold[i], got[j])
    answered, right = {i for i, _ in pairs}, {j for _, j in pairs}
    for i, mention in enumerate(gold):
        if i not in answered:
            yield _mention("mentions", "mention missed", item.gold, mention, None)
    for j, finding in enumerate(got):
        if j not in right:
            yield _mention("mentions", "mention too much", item.gold, None, finding)


def _mention(measure: Measure, what: str, row: GoldNote, gold: GoldMention | None, finding: Finding | None) -> Problem:
    place = finding or gold
    assert place is not None
    return Problem(
        measure=measure,
        what=f"{what}: {place.condition}" if place.condition else what,
        gold=gold.assertion if gold else None,
        got=finding.assertion if finding else None,
        start=place.start,
        end=place.end,
        text=_quote(row.text_of(place.document), place.start, place.end),
        document=place.document if row.documents else None,
        rules=(finding.rule, *dict.fromkeys(cue.rule for cue in finding.cues)) if finding else (),
        trail=finding.trail if finding else (),
    )


def _quote(text: str, start: int, end: int) -> str:
    """The line around a mention, cut to `_AROUND` characters on each side, the mention in double brackets."""
    before = text[max(0, start - _AROUND) : start].splitlines()[-1:] if text[max(0, start - 1) : start] != "\n" else []
    after = text[end : end + _AROUND].splitlines()[:1]
    return "".join([*before, "[[", " ".join(text[start:end].split()), "]]", *after]).strip()


def _conditions(item: Scored) -> Iterator[Problem]:
    if item.gold.attributes is None:
        return
    got = positive(item.result)
    trails = {found.condition: found.trail for found in item.result.conditions}
    states = {found.condition: found.assertion for found in item.result.conditions}
    for condition in CONDITIONS:
        wanted, found = item.gold.attributes.get(condition), got.get(condition)
        if wanted and not found:
            state = states.get(condition, "not found")
            what = f"condition missing: {condition}"
            yield Problem(measure="conditions", what=what, gold="affirmed", got=state, trail=trails.get(condition, ()))
        elif found and not wanted:
            what = f"condition too much: {condition}"
            yield Problem(measure="conditions", what=what, got=found.assertion, trail=found.trail)
        elif wanted and found:
            for name in sorted(wanted.model_fields_set):
                value, other = getattr(wanted, name), getattr(found, name)
                if not same(name, value, other):
                    yield Problem(
                        measure="attributes",
                        what=f"{name} of {condition}",
                        gold=_shown(value),
                        got=_shown(other),
                        trail=found.trail if name == "levels" else (),
                    )


def _shown(value: str | Sequence[str] | None) -> str | None:
    return (value if isinstance(value, str) else ", ".join(value)) if value else None


def _sets(item: Scored) -> Iterator[Problem]:
    gold, result = item.gold, item.result
    studies = {study.modality: (study.document, study.start, study.end) for study in reversed(result.imaging)}
    if gold.imaging is not None:
        yield from _set("imaging", "study", gold, frozenset(gold.imaging), studies)
    care = {kind.kind: (kind.document, kind.start, kind.end) for kind in reversed(result.conservative_care)}
    if gold.conservative_care is not None and scored_for_care(gold):
        yield from _set("conservative_care", "care", gold, frozenset(gold.conservative_care), care)
    if gold.services is not None:
        given = {service_name(each): each for each in reversed(result.services)}
        wanted = {service_name(each): each for each in gold.services}
        places = {name: (each.document, each.start, each.end) for name, each in given.items()}
        yield from _set("services", "service", gold, frozenset(wanted), places)
        for name in sorted(wanted.keys() & given.keys()):
            tied, ties = given[name], wanted[name].supports
            if set(tied.supports) != set(ties):
                yield Problem(
                    measure="services",
                    what=f"what {name} supports",
                    gold=_shown(ties),
                    got=_shown(tied.supports),
                    start=tied.start,
                    end=tied.end,
                    text=_quote(gold.text_of(tied.document), tied.start, tied.end),
                    trail=tied.trail,
                )
    if gold.queries is not None:
        got = {query.kind for query in result.queries}
        for kind in sorted(set(gold.queries) - got):
            yield Problem(measure="queries", what="query missing", gold=kind)
        for kind in sorted((got & QUERY_KINDS) - set(gold.queries)):  # shown; gold lists only the least there must be
            yield Problem(measure="queries", what="query not in gold", got=kind)
    review = [code.code for code in result.codes if code.status == "review"]
    if gold.review is not None and gold.review != bool(review):
        trail = tuple(step for code in result.codes if code.status == "review" for step in code.trail)
        yield Problem(
            measure="review",
            what="review",
            gold="review" if gold.review else None,
            got=", ".join(review) or None,
            trail=trail,
        )


def _set(
    measure: Measure, noun: str, row: GoldNote, gold: frozenset[str], got: dict[str, tuple[str, int, int]]
) -> Iterator[Problem]:
    for name in sorted(gold - got.keys()):
        yield Problem(measure=measure, what=f"{noun} missing", gold=name)
    for name in sorted(got.keys() - gold):
        document, start, end = got[name]
        yield Problem(
            measure=measure,
            what=f"{noun} too much",
            got=name,
            document=document if row.documents else None,
            start=start,
            end=end,
            text=_quote(row.text_of(document), start, end),
        )
