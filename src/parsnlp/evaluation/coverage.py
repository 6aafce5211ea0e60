"""Which rules fire on which corpora, and which never do. A rule's own examples are no corpus and do not count."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from parsnlp.evaluation.figures import Frozen
from parsnlp.extract.matching import Matcher
from parsnlp.extract.pipeline import Pipeline
from parsnlp.extractor import Extractor
from parsnlp.models import Note
from parsnlp.rules import Rule, RuleSet, Wording


class RuleUse(Frozen):
    """A rule's use by corpus, in notes. `matched`: its wording stands there; `credited`: the result names it."""

    rule: str
    folder: str
    category: str
    matched: dict[str, int]
    credited: dict[str, int]


class Coverage(Frozen):
    """The use of every rule. `notes`: how many each corpus has."""

    rule_set: str
    notes: dict[str, int]
    rules: tuple[RuleUse, ...]

    @property
    def silent(self) -> list[RuleUse]:
        """The rules whose wording stands in no note of any corpus."""
        return [rule for rule in self.rules if not any(rule.matched.values())]


def coverage(extractor: Extractor, corpora: Mapping[str, Iterable[Sequence[Note]]]) -> Coverage:
    """Count by corpus in how many notes each rule fires. A corpus gives encounters: notes that are decided on together.

    A section rule matches by its heading, a kind of note by being inferred. A result names the rules of findings and
    cues and of most evidence; headings, outcomes and the rules that only take others away (pseudo cues, terminators,
    decoys) go unnamed.
    """
    watcher = _Watcher(extractor.ruleset)
    matched: dict[str, Counter[str]] = {}
    credited: dict[str, Counter[str]] = {}
    notes: dict[str, int] = {}
    for name, encounters in corpora.items():
        matched[name], credited[name], notes[name] = Counter(), Counter(), 0
        for encounter in encounters:
            result = extractor.extract_encounter(encounter)
            credited[name].update(set(_named(result.model_dump())))
            for note in encounter:
                notes[name] += 1
                matched[name].update(watcher.matched(note))
    return Coverage(
        rule_set=extractor.ruleset.hash,
        notes=notes,
        rules=tuple(
            RuleUse(
                rule=rule.id,
                folder=rule.folder,
                category=rule.category,
                matched={name: matched[name][rule.id] for name in notes},
                credited={name: credited[name][rule.id] for name in notes},
            )
            for rule in extractor.ruleset.rules
        ),
    )


def idle(extractor: Extractor, corpora: Mapping[str, Iterable[Sequence[Note]]]) -> Iterator[str]:
    """The rules that matter to no corpus, in file order: without any one of them every result says the same.

    Each rule is taken out by itself, and the encounters that its wording stands in are read again. Two rules that do
    the same work are thus both listed; take out one and count anew. Takes some minutes for thousands of notes.
    """
    watcher = _Watcher(extractor.ruleset)
    where: dict[str, list[Sequence[Note]]] = {}
    for encounter in itertools.chain.from_iterable(corpora.values()):
        for name in set().union(*(watcher.matched(note) for note in encounter)):
            where.setdefault(name, []).append(encounter)
    for rule in extractor.ruleset.rules:
        less = Extractor(_without(extractor.ruleset, rule), extractor.setting, extractor.policy)
        if all(
            less.extract_encounter(encounter).model_copy(update={"rule_set": None})
            == extractor.extract_encounter(encounter).model_copy(update={"rule_set": None})
            for encounter in where.get(rule.id, ())
        ):
            yield rule.id


def _without(ruleset: RuleSet, rule: Rule) -> RuleSet:
    """The same rules, of which this one never matches. It stays there, since the engine asks for some by their place."""
    never = dataclasses.replace(rule, wordings=(Wording("x(?<!x)"),), headings=())
    kept = tuple(never if other is rule else other for other in ruleset.rules)
    return dataclasses.replace(ruleset, rules=kept, by_id={other.id: other for other in kept})


def lines(found: Coverage, never: bool = False) -> Iterator[str]:
    """The table for a terminal: notes matched, and in brackets credited, by corpus. `never`: the silent rules alone."""
    shown = found.silent if never else found.rules
    width = max((len(rule.rule) for rule in shown), default=0)
    if not never:
        yield f"{'notes':{width}}  " + "  ".join(f"{name} {count}" for name, count in found.notes.items())
    for rule in shown:
        counts = (f"{rule.matched[name]:6} ({rule.credited[name]})" for name in found.notes)
        yield f"{rule.rule:{width}}  {rule.category:20}" + (
            "" if never else "".join(f"{each:16}" for each in counts).rstrip()
        )
    yield f"{len(found.rules)} rules on {sum(found.notes.values())} notes: {len(found.silent)} never match"


class _Watcher:
    """Tells which rules' wordings stand in a note, each rule for itself."""

    def __init__(self, ruleset: RuleSet) -> None:
        self._pipeline = Pipeline(ruleset)
        self._kinds = [rule for rule in ruleset.folder("sections") if rule.category == "kind"]
        self._matcher = Matcher((rule for rule in ruleset.rules if rule.folder != "sections"), longest=False)

    def matched(self, note: Note) -> set[str]:
        reading = self._pipeline.read(note.text, True, None)
        found = {rule.id for rule in self._kinds if rule.value == reading.kind}
        found |= {section.rule for section in reading.sections if section.rule}
        for number in range(len(reading.layout.sentences)):
            clean = reading.clean(number)
            for match in self._matcher.find(clean):
                if _cased(match.rule, reading.text, clean.span(match.start, match.end)):
                    found.add(match.rule.id)
        return found


def _cased(rule: Rule, text: str, span: tuple[int, int]) -> bool:
    return rule.case != "upper" or text[slice(*span)].isupper()


def _named(value: Any) -> Iterator[str]:
    """Every `rule` that anything in a result names."""
    if isinstance(value, dict):
        if isinstance(value.get("rule"), str):
            yield value["rule"]
        for child in value.values():
            yield from _named(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _named(child)
