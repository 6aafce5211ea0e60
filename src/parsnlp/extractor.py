"""The `Extractor`: notes in, `Result` out. It composes the rooms below and holds no clinical logic of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsnlp import __version__, parallel, rules
from parsnlp.coding import icd10cm, whatif
from parsnlp.coding.assign import assign
from parsnlp.coding.audit import claimed_codes, p_x3, typed_codes
from parsnlp.coding.checklist import checklist
from parsnlp.coding.drafts import CodeBook
from parsnlp.coding.necessity import Procedure, linked
from parsnlp.coding.review import edits, p_x4
from parsnlp.errors import InputError
from parsnlp.extract.findings import DocumentReading, Finder, publish
from parsnlp.extract.pipeline import Pipeline, Reading, annotate
from parsnlp.extract.service_events import Event, ServiceFinder
from parsnlp.extract.services import Services
from parsnlp.models import (
    EXCLUDES1,
    SETTINGS,
    STRESS_FRACTURE,
    CodeSet,
    Document,
    Finding,
    Note,
    Policy,
    Result,
    RuleSetInfo,
    Setting,
)
from parsnlp.resolve import Record, resolve
from parsnlp.resolve import publish as publish_condition

if TYPE_CHECKING:
    from parsnlp.extract.pipeline import Doc

ENGINE = f"parsnlp {__version__}"


class Extractor:
    """Reads notes and suggests codes. Cheap to call, picklable, safe in threads: it keeps no note."""

    def __init__(
        self,
        ruleset: rules.RuleSet,
        setting: Setting = "outpatient",
        policy: Policy | None = None,
        strict_release: bool = False,
        procedures: Sequence[Procedure] = (),
    ) -> None:
        self.ruleset = ruleset
        self.procedures = tuple(procedures)
        self.setting = setting
        self.strict_release = strict_release
        self.policy = policy or Policy()
        self._pipeline = Pipeline(ruleset)
        self._finder = Finder(ruleset, self._pipeline)
        self._services = Services(ruleset)
        self._service_events = ServiceFinder(ruleset)

    def __getstate__(self) -> dict[str, Any]:
        names = ("ruleset", "setting", "policy", "strict_release", "procedures")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def under(self, setting: Setting, policy: Policy) -> Extractor:
        """The same rules under another setting and policy. Costs nothing: what is loaded and compiled is shared."""
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "setting": setting, "policy": policy}
        return view

    def extract(self, note: str | Note, *, exhaustive: bool = False, what_if: bool = False) -> Result:
        """Read one note. Never raises on any `str`; a `TypeError` names anything else. For `InputError` see `load`.

        `what_if`: also say which other facts would change the codes, in the result's `what_if`.

        >>> import parsnlp
        >>> [code.code for code in parsnlp.load().extract("CT: L5 pars defects, no slip.").codes]
        ['M43.06']
        """
        if isinstance(note, str):
            note = Note(text=note)
        elif not isinstance(note, Note):
            raise TypeError(f"extract() takes a str or a parsnlp.Note, not {type(note).__name__}")
        return self.extract_encounter([note], exhaustive=exhaustive, what_if=what_if)

    def extract_encounter(self, notes: Sequence[Note], *, exhaustive: bool = False, what_if: bool = False) -> Result:
        """Read all documents of one encounter and decide on them together.

        Those with dates are read in the order of these, whatever order they are given in.

        Raises `InputError` for no notes, or two notes of one id.
        """
        return self._encounter(notes, exhaustive, None, what_if)

    def _encounter(
        self, notes: Sequence[Note], exhaustive: bool, claim: Sequence[str] | None, what_if: bool = False
    ) -> Result:
        if not notes:
            raise InputError("an encounter needs at least one note")
        ids = [note.id for note in notes]
        if len(set(ids)) < len(ids):
            raise InputError("two notes of one encounter have the same id; give each document its own")
        # Dated documents are read in the order of their dates, whatever order they are given in; an undated one stays put.
        dated = iter(sorted((note for note in notes if note.date), key=lambda note: (note.date or "", note.id)))
        notes = [next(dated) if note.date else note for note in notes]
        setting = next((note.setting for note in notes if note.setting), self.setting)
        readings = self._readings(notes, exhaustive)
        documents = [
            self._finder.find(note, reading, i) for i, (note, reading) in enumerate(zip(notes, readings, strict=True))
        ]
        return self._result(notes, documents, setting, claim, what_if)

    def pipe(self, notes: Iterable[str | Note], *, workers: int = 1, batch: int = parallel.BATCH) -> Iterator[Result]:
        """Read many notes, one result each, in their order. `notes` may be a generator: only a few are held at once.

        `workers`: processes that share the work; the results are the same whatever their number. A script that uses
        more than one needs the usual `if __name__ == "__main__":`. Raises as `extract`, and `ParsnlpError` when a
        process dies.
        """
        if workers == 1:
            return map(self.extract, notes)
        lines = parallel.ordered(_Plainly(self), notes, workers, batch)
        return map(Result.model_validate_json, lines)

    def audit(self, notes: str | Note | Sequence[Note], claim: Sequence[str] = ()) -> Result:
        """Hold a claim's codes, and the codes typed in the notes, against the record (P-X3).

        `claim`: ICD-10-CM codes in any usual spelling. The `Result` is that of `extract_encounter`, with every edit in
        `edits`: its `kind`, `codes`, evidence and `fix`. An empty claim audits the typed codes alone.
        Raises `InputError` as `extract_encounter` does.
        """
        record = [Note(text=notes)] if isinstance(notes, str) else [notes] if isinstance(notes, Note) else list(notes)
        if isinstance(claim, str):
            raise TypeError("claim must be a sequence of codes, not one str")
        return self._encounter(record, exhaustive=False, claim=claim)

    def _readings(self, notes: Sequence[Note], exhaustive: bool) -> list[Reading]:
        return [self._pipeline.read(note.text, exhaustive, note.kind) for note in notes]

    def _result(
        self,
        notes: Sequence[Note],
        documents: list[DocumentReading],
        setting: Setting,
        claim: Sequence[str] | None,
        what_if: bool,
    ) -> Result:
        record = Record(documents, self._finder, setting)
        number = 0
        for document in documents:
            for item in document.found:
                number += 1
                item.finding = publish(document, item, number, record.changes)
        conditions = resolve(record)
        published = [publish_condition(record, item) for item in conditions]
        dates = sorted(note.date for note in notes if note.date)
        date = dates[-1] if dates else None  # of an inpatient's documents the last is the discharge's
        edition, covers = icd10cm.edition_for(date)
        stamp = icd10cm.standing(date, self.ruleset.tables["codes"]["releases"])
        if stamp and self.strict_release:
            raise InputError(f"strict release refuses the encounter's date: {stamp}")
        book = CodeBook(self.ruleset.tables["codes"], edition, self.policy)
        assigned = assign(book, record, conditions)
        typed = typed_codes(book, record)
        if claim is None:
            found = edits(record, assigned)
        else:
            found = p_x3(book, record, conditions, assigned, claimed_codes(claim), typed)
        anchored = bool(record.found or typed)  # one mention, or one code, opens every document of the record
        care = [item for document in documents for item in self._services.care(document)] if anchored else []
        imaging = [study for document in documents for study in self._services.imaging(document)] if anchored else []
        events = self._events(documents) if anchored else ()
        return Result(
            id=notes[0].encounter or notes[0].id,
            codes=tuple(assigned.codes),
            suppressed=tuple(assigned.suppressed),
            findings=tuple(item.published for item in record.found),
            conditions=tuple(published),
            imaging=tuple(imaging),
            conservative_care=tuple(care),
            services=linked(book, record, conditions, assigned, events, self.procedures),
            checklist=tuple(checklist(record, conditions, care)),
            edits=tuple(found),
            queries=tuple(p_x4(record, conditions, published, assigned)),
            what_if=whatif.what_if(book, record, conditions, assigned) if what_if else (),
            documents=tuple(
                Document(
                    id=note.id,
                    kind=note.kind or (document.reading.kind if anchored else None),
                    kind_inferred=anchored and note.kind is None and document.reading.kind is not None,
                    date=note.date,
                    author=note.author,
                    patient=note.patient,
                    length=len(note.text),
                )
                for note, document in zip(notes, documents, strict=True)
            ),
            setting=setting,
            policy=self.policy,
            code_set=CodeSet(
                id=edition.id,
                name=edition.name,
                valid_from=edition.valid_from,
                valid_to=edition.valid_to,
                covers=covers,
                stamp=stamp,
            ),
            rule_set=RuleSetInfo(hash=self.ruleset.hash, rules=len(self.ruleset.rules)),
            engine=ENGINE,
        ).remembering({note.id: note.text for note in notes})

    def _events(self, documents: Sequence[DocumentReading]) -> Iterator[Event]:
        for number, document in enumerate(documents):
            yield from self._service_events.events(document, number)

    def nlp(self, text: str) -> Doc:
        """The note as a spaCy `Doc` that carries the same mentions, assertions and sections as `extract(text).findings`.

        `doc.ents` are the mentions; `ent._.finding`, `ent._.assertion`, medspaCy's `ent._.is_negated` and its like,
        `ent._.modifiers`. `doc.spans["cues"]` are the words that decided the assertions, `doc._.sections` the sections.
        Raises `InputError` over 1,000,000 characters, spaCy's limit.
        """
        doc, reading = self._pipeline.doc(text)
        document = self._finder.find(Note(text=text), reading, 0)
        found: list[Finding] = [
            publish(document, item, i, document.changes) for i, item in enumerate(document.found, 1)
        ]
        return annotate(doc, found)


class _Plainly:
    """`extract` for another process: a result comes back as plain text, which costs less than its objects."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor

    def __call__(self, note: str | Note) -> str:
        return self.extractor.extract(note).to_json()


def load(
    setting: str = "outpatient",
    excludes1: str = "separate",
    stress_fracture: str = "M43.0",
    patterns: str | Path | Sequence[str | Path] | None = None,
    strict_release: bool = False,
    procedures: Sequence[Procedure] = (),
) -> Extractor:
    """An `Extractor` under one policy.

    `setting`: outpatient or inpatient (decides on uncertain diagnoses, OCG II.H, IV.H). `excludes1`: separate or strict
    (P-X2). `stress_fracture`: M43.0 or M48.4 (P-C7). `patterns`: a folder of your own rules, read over the shipped ones.
    `strict_release`: refuse, with `InputError`, an encounter dated outside the code set's editions that are carried.
    `procedures`: your own table of procedure numbers (`coding.necessity.read_procedures`), named beside linked services.
    Raises `InputError` for a value that is not allowed, `RuleError` for malformed rules.
    """
    folders: list[str | Path] = (
        [] if patterns is None else [patterns] if isinstance(patterns, str | Path) else list(patterns)
    )
    decided, policy = checked_policy(setting, excludes1, stress_fracture)
    return Extractor(rules.load(*folders), decided, policy, strict_release, procedures)


def checked_policy(setting: str, excludes1: str, stress_fracture: str) -> tuple[Setting, Policy]:
    """The setting and the policy of these words. Raises `InputError` for a value that is not allowed."""
    for name, value, allowed in (
        ("setting", setting, SETTINGS),
        ("excludes1", excludes1, EXCLUDES1),
        ("stress_fracture", stress_fracture, STRESS_FRACTURE),
    ):
        if value not in allowed:
            raise InputError(f"{name} {value!r} is not one of {', '.join(allowed)}")
    policy = Policy(excludes1=excludes1, stress_fracture=stress_fracture)  # type: ignore[arg-type]
    return setting, policy  # type: ignore[return-value]
