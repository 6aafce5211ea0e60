"""The medspaCy pipeline: the only room that knows spaCy. It returns a plain `Reading`.

Four spaCy components, each a registered factory that works in anybody's pipeline, each holding medspaCy's own rule
objects: `parsnlp_sentences`, `parsnlp_sections`, `parsnlp_targets`, `parsnlp_context`. They set medspaCy's attributes:
`doc.sents`, `doc._.sections`, `doc.ents`, `doc._.context_graph` (hence `ent._.modifiers`). PyRuSH is never loaded.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from parsnlp.errors import InputError
from parsnlp.extract.context import Context
from parsnlp.extract.matching import Index, Indexed, Match, Matcher, gate, indexed, prune, silence
from parsnlp.extract.sections import Kinds, Mark, Section, Sectionizer, sections
from parsnlp.extract.tables import Columns
from parsnlp.models import Finding
from parsnlp.note import Layout, LayoutWords, Line, blocks, fold, layout, lines
from parsnlp.rules import Rule, RuleSet, Wording

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc as Doc

T = TypeVar("T")
MAX_DOC = 1_000_000
FLAGS = {
    "negated": "is_negated",
    "uncertain": "is_uncertain",
    "hypothetical": "is_hypothetical",
    "historical": "is_historical",
    "family": "is_family",
    "generic": "is_generic",
}
"""Our assertions and the span attribute that each sets; medspaCy's names where it has one."""

_TOGETHER = 256  # sentences whose wordings are looked up at once
_DENSE = 4  # a text of which more than this part has anchors is dense
_OPTIONS = 12  # boxes behind a mention that may be those of its field
_ECHOES = 6  # sentences behind a mention that may still speak of it
_registered = False
_TOKEN = re.compile(r"\w+|([^\w\s])\1*|\s+")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Cue:
    """A context cue that reached a mention: `start`, `end` index the note's text."""

    rule: Rule
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A target's match in the note. `start`, `end` index the note's text, `clean_*` the sentence's clean text."""

    rule: Rule
    start: int
    end: int
    sentence: int
    clean_start: int
    clean_end: int
    cues: tuple[Cue, ...] = ()


class Reading:
    """What the pipeline saw in one text, as plain data.

    The layout is made when first asked for: where no document of a record has an anchor, nobody does.
    """

    def __init__(self, text: str, kind: str | None, pipeline: Pipeline) -> None:
        self.text = text
        self.mentions: list[Mention] = []
        self._kind = kind
        self._pipeline = pipeline
        self._cleans: dict[int, Indexed] = {}
        self.kept: dict[tuple[object, int], Any] = {}

    @cached_property
    def lines(self) -> list[Line]:
        """The note's lines."""
        return lines(self.text)

    @cached_property
    def _marks(self) -> list[Mark]:
        return self._pipeline.sectionizer.marks(self.text, self.lines)

    @cached_property
    def layout(self) -> Layout:
        """The note's lines and sentences."""
        return layout(self.text, self._pipeline.words, self.lines)

    @cached_property
    def sections(self) -> list[Section]:
        """The note's sections, in order."""
        return sections(self.layout, self._marks)

    @cached_property
    def kind(self) -> str | None:
        """The kind of document, as told or as its first lines and headings show."""
        return self._kind or self._pipeline.kinds.infer(self.text, self.lines, self._marks)

    def clean(self, sentence: int) -> Indexed:
        """The clean form of a sentence, by its number."""
        clean = self._cleans.get(sentence)
        if clean is None:
            first = sentence - sentence % _TOGETHER
            some = self.layout.sentences[first : first + _TOGETHER]
            made = indexed(self.text, ((found.start, found.end) for found in some), self._pipeline.index)
            self._cleans.update(enumerate(made, first))
            clean = self._cleans[sentence]
        return clean

    def where(self, matcher: Matcher) -> Iterator[int]:
        """The numbers of the sentences in which a matcher may find something, in order."""
        index = self._pipeline.index
        for first in range(0, len(self.layout.sentences), _TOGETHER):
            self.clean(first)  # and those after it
            some = [self._cleans[number] for number in range(first, min(first + _TOGETHER, len(self.layout.sentences)))]
            yield from matcher.where(index, some, first)

    def matches(self, matcher: Matcher, sentence: int) -> list[Match]:
        """What a matcher finds in a sentence, kept, since more than one may ask."""
        key = (matcher, sentence)
        if key not in self.kept:
            self.kept[key] = matcher.find(self.clean(sentence))
        found: list[Match] = self.kept[key]
        return found

    def once(self, what: str, sentence: int, look: Callable[[str], T]) -> T:
        """What `look` sees in a sentence's clean text, kept under the name `what`, since many mentions may ask."""
        key = (what, sentence)
        if key not in self.kept:
            self.kept[key] = look(self.clean(sentence).text)
        found: T = self.kept[key]
        return found

    def section(self, offset: int) -> Section | None:
        """The section whose body or heading holds `offset`."""
        low, high = 0, len(self.sections)
        while low < high:
            middle = (low + high) // 2
            if self.sections[middle].title_start <= offset:
                low = middle + 1
            else:
                high = middle
        found = self.sections[low - 1] if low else None
        return found if found is not None and offset < found.end else None


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Import medspaCy without what it does to its host: a warnings filter and a root log handler, both undone."""
    import logging

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)


def _import_medspacy() -> None:
    global _registered
    if _registered:
        return
    with _quiet_import():
        import medspacy.context
        import medspacy.section_detection
        import medspacy.target_matcher  # noqa: F401
    register()
    _extend()
    _registered = True


class Pipeline:
    """The compiled rules and, once a note has an anchor, the spaCy pipeline around them. Picklable; safe in threads.

    Components keep no state between documents, so one pipeline serves any number of threads.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self._prepare()

    def _prepare(self) -> None:
        self.sectionizer = Sectionizer(
            self.rules.folder("sections"), self.rules.piece("lone_heading"), self.rules.piece("announced")
        )
        self.kinds = Kinds(self.rules.folder("sections"))
        targets = [rule for rule in self.rules.folder("targets") if rule.category != "decoy"]
        self._gate = gate(targets)
        self.targets = Matcher(self.rules.folder("targets"), longest=False)
        self.index = Index(rule for rule in self.rules.rules if rule.folder != "sections")
        words = self.rules.tables["layout"]
        names = ("abbreviations", "open_endings", "before_levels", "short_words")
        stop = self.rules.piece("spoken_stop", re.IGNORECASE)
        self.words = LayoutWords(**{name: frozenset(words[name]) for name in names}, spoken_stop=stop)
        self._nlp: Language | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"rules": self.rules}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.rules = state["rules"]
        self._prepare()

    # -- the plain way: what `extract` uses --------------------------------------------------------------------------

    def opens(self, text: str) -> bool:
        """Whether a target matches anywhere in the text; most texts hold no anchor, a word that some target needs.

        Only the blocks that hold an anchor are laid out, and none where there is none: cheap, and without spaCy.
        """
        return self._opens(text, self._anchored(Reading(text, None, self)))

    def _opens(self, text: str, anchored: Iterable[list[Line]]) -> bool:
        for block in anchored:
            spans = ((each.start, each.end) for each in layout(text, self.words, block).sentences)
            if any(map(self._holds_target, indexed(text, spans, self.index))):
                return True
        return False

    def _anchored(self, reading: Reading) -> Iterator[list[Line]]:
        """The blocks of a text that hold an anchor."""
        folded = fold(reading.text)
        flat = _flat(folded)
        anchors = [anchor for anchor in self._gate if anchor in flat]
        if anchors:
            for block in blocks(reading.lines, reading.text):
                flat = _flat(folded[block[0].start : block[-1].end])
                if any(anchor in flat for anchor in anchors):
                    yield block

    def _holds_target(self, clean: Indexed) -> bool:
        return any(match.rule.category != "decoy" for match in self.targets.find(clean))

    def read(self, text: str, exhaustive: bool = False, kind: str | None = None) -> Reading:
        """Read one text. `exhaustive`: every sentence goes through the pipeline, not only those with an anchor.

        Both ways give the same `Reading`, since every component works within one sentence.
        """
        reading = Reading(text, kind, self)
        if not exhaustive:
            anchored: list[list[Line]] = []
            size = 0
            for block in self._anchored(reading):
                anchored.append(block)
                size += block[-1].end - block[0].start
                if size * _DENSE > len(text):
                    break  # all of it is laid out at once: to look first would cost more
            else:
                if not self._opens(text, anchored):
                    return reading
        chosen = range(len(reading.layout.sentences)) if exhaustive else self._chosen(reading)
        for part in _portions(chosen, reading.layout):
            doc = self._make_doc(reading, part)
            for _, component in self.nlp.pipeline:
                doc = component(doc)
            reading.mentions.extend(doc.user_data["parsnlp"].mentions)
        return reading

    def _chosen(self, reading: Reading) -> Iterator[int]:
        """The sentences that hold a target, or what looks like one and is silenced by a decoy."""
        for number in reading.where(self.targets):
            if any(match.rule.category != "decoy" for match in reading.matches(self.targets, number)):
                yield number

    # -- the spaCy way -----------------------------------------------------------------------------------------------

    @property
    def nlp(self) -> Language:
        """The spaCy `Language` with our four components."""
        if self._nlp is None:
            _import_medspacy()
            import spacy

            nlp = spacy.blank("en")
            nlp.tokenizer = _Tokenizer(nlp.vocab)
            for name in ("sentences", "sections", "targets", "context"):
                nlp.add_pipe(f"parsnlp_{name}")
                component: Any = nlp.get_pipe(f"parsnlp_{name}")
                component.use(self)
            self._nlp = nlp
        return self._nlp

    def doc(self, text: str, kind: str | None = None) -> tuple[Doc, Reading]:
        """The whole text as one `Doc` (`doc.text == text`, lone surrogates shown as U+FFFD) with its `Reading`.

        Raises `InputError` for a text over spaCy's 1,000,000 characters.
        """
        if len(text) > MAX_DOC:
            raise InputError(
                f"a spaCy Doc holds at most {MAX_DOC:,} characters, this text has {len(text):,}; extract() reads any length"
            )
        reading = Reading(text, kind, self)
        doc = self.nlp.make_doc(_SURROGATE.sub("\ufffd", text))
        doc.user_data["parsnlp"] = _Page(
            reading, [(number, s.start) for number, s in enumerate(reading.layout.sentences)]
        )
        for _, component in self.nlp.pipeline:
            doc = component(doc)
        reading.mentions.extend(doc.user_data["parsnlp"].mentions)
        return doc, reading

    def _make_doc(self, reading: Reading, chosen: list[int]) -> Doc:
        """A `Doc` of the chosen sentences only, one after the other, each as it stands in the note."""
        vocab = self.nlp.vocab  # imports spaCy and medspaCy first, quietly
        from spacy.tokens import Doc

        words: list[str] = []
        spaces: list[bool] = []
        starts: list[bool | int | None] = []
        windows: list[tuple[int, int]] = []
        at = 0
        for number in chosen:
            sentence = reading.layout.sentences[number]
            piece = _SURROGATE.sub("\ufffd", reading.text[sentence.start : sentence.end])
            windows.append((number, at))
            found, gaps = tokens(piece)
            gaps[-1] = True
            words += found
            spaces += gaps
            starts.append(True)
            starts += [False] * (len(found) - 1)
            at += len(piece) + (0 if found[-1].isspace() else 1)
        doc = Doc(vocab, words=words, spaces=spaces, sent_starts=starts)
        doc.user_data["parsnlp"] = _Page(reading, windows)
        return doc


def annotate(doc: Doc, findings: Iterable[Finding]) -> Doc:
    """Put findings on a `Doc` of the same text: `doc.ents` with `_.finding`, `_.assertion`, `_.cues`, medspaCy's flags
    and modifiers; and `doc.spans["cues"]`, the words that decided, each with its category and its rule as label and id."""
    cues: dict[tuple[int, int, str], Any] = {}
    before = {(span.start_char, span.end_char): span._.modifiers for span in doc.ents}
    spans: list[Any] = []
    for finding in findings:
        span: Any = doc.char_span(finding.start, finding.end, label=finding.condition, alignment_mode="expand")
        if span is None or (spans and span.start < spans[-1].end):
            continue
        span._.finding = finding
        span._.assertion = finding.assertion
        span._.cues = tuple(cue.rule for cue in finding.cues)
        span._.modifiers = before.get((span.start_char, span.end_char), ())
        flag = FLAGS.get(finding.assertion)
        if flag:
            setattr(span._, flag, True)
        spans.append(span)
        for cue in finding.cues:
            cues[cue.start, cue.end, cue.rule] = doc.char_span(
                cue.start, cue.end, label=cue.category, span_id=cue.rule, alignment_mode="expand"
            )
    doc.set_ents(spans)
    doc.spans["cues"] = [cue for _, cue in sorted(cues.items()) if cue is not None]
    return doc


def tokens(text: str) -> tuple[list[str], list[bool]]:
    """The tokens of `text` and whether a space follows each. Linear in any text; a run of one symbol is one token."""
    words: list[str] = []
    spaces: list[bool] = []
    for match in _TOKEN.finditer(text):
        piece = match.group()
        if piece.isspace():
            if piece[0] == " " and words and not words[-1].isspace() and not spaces[-1]:
                spaces[-1] = True
                piece = piece[1:]
            if piece:
                words.append(piece)
                spaces.append(False)
        else:
            words.append(piece)
            spaces.append(False)
    return words or [" "], spaces or [False]


def _portions(chosen: Iterable[int], plain: Layout, size: int = 200_000) -> Iterator[list[int]]:
    """The chosen sentences in portions of at most `size` characters, so that no `Doc` grows without bound."""
    part: list[int] = []
    length = 0
    for number in chosen:
        sentence = plain.sentences[number]
        if part and length + sentence.end - sentence.start > size:
            yield part
            part, length = [], 0
        part.append(number)
        length += sentence.end - sentence.start
    if part:
        yield part


_LINE_END_HYPHEN = re.compile(r"-[ \t]*[\r\n\x0b\x0c\x85\u2028\u2029]+[ \t]*")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff\x00]+")


def _flat(folded: str) -> str:
    """Folded text on one line: it holds, word by word, all that any sentence's clean form does.

    With zero-width characters or hyphens at line ends it comes again without them, since what they part may be one word.
    """
    flat = f" {folded} ".replace("\n", " ").replace("\r", " ").replace("\x0b", " ").replace("\x0c", " ")
    hidden = not folded.isascii() or "\x00" in folded
    if hidden:
        flat = " ".join(["", *_INVISIBLE.sub("", flat).split(), "", *flat.split(), ""])
    if "-" in folded and _LINE_END_HYPHEN.search(folded):
        shown = _INVISIBLE.sub("", folded) if hidden else folded
        flat = f"{flat} {' '.join(_LINE_END_HYPHEN.sub('', shown).split())} "
    return flat


# --- the components -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Page:
    """What the components hand on with a `Doc`: the reading, which sentences the `Doc` holds and where, the mentions."""

    reading: Reading
    windows: list[tuple[int, int]]
    mentions: list[Mention] = field(default_factory=list)
    spans: list[tuple[int, list[tuple[Match, int, int]]]] = field(default_factory=list)


class _Tokenizer:
    """spaCy's tokenizer interface over `tokens`."""

    def __init__(self, vocab: Any) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Doc:
        from spacy.tokens import Doc

        words, spaces = tokens(text) if text else ([], [])
        return Doc(self.vocab, words=words, spaces=spaces)


class _Component:
    """Base of the four components: rules by default, an owner when `Pipeline` built them, a page for any `Doc`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._owner: Pipeline | None = None

    def use(self, owner: Pipeline) -> None:
        """Take rules, layout and sections from `owner`."""
        self._owner = owner
        self._ready()

    @property
    def owner(self) -> Pipeline:
        if self._owner is None:
            from parsnlp.rules import load

            self.use(Pipeline(load()))
        assert self._owner is not None
        return self._owner

    def page(self, doc: Doc) -> _Page:
        page = doc.user_data.get("parsnlp")
        if page is None:
            reading = Reading(doc.text, None, self.owner)
            page = _Page(reading, [(number, s.start) for number, s in enumerate(reading.layout.sentences)])
            doc.user_data["parsnlp"] = page
        assert isinstance(page, _Page)
        return page

    def _ready(self) -> None:
        """Compile what the component needs from its owner's rules."""


class Sentences(_Component):
    """Sets sentence starts: local, aware of soft wraps, bullets, blank lines and tables."""

    def __call__(self, doc: Doc) -> Doc:
        if doc.has_annotation("SENT_START") or not len(doc):
            self.page(doc)
            return doc
        page = self.page(doc)
        starts = {at for _, at in page.windows}
        begin = False
        for token in doc:
            begin = begin or any(offset in starts for offset in range(token.idx, token.idx + min(len(token), 64)))
            token.is_sent_start = begin or token.i == 0
            begin = False
        return doc


class Sections(_Component):
    """Sets `doc._.sections` (medspaCy `Section` objects) from our headings."""

    rules: list[Any]

    def _ready(self) -> None:
        from medspacy.section_detection import SectionRule

        self.rules = [
            SectionRule(literal=rule.id, category=rule.value or rule.id, metadata={"id": rule.id})
            for rule in self.owner.sectionizer.rules.values()
        ]

    def __call__(self, doc: Doc) -> Doc:
        self.owner  # noqa: B018  (loads the shipped rules first)
        page = self.page(doc)
        if doc.text and len(page.windows) == len(page.reading.layout.sentences):
            doc._.sections = list(self._sections(doc, page))
        return doc

    def _sections(self, doc: Doc, page: _Page) -> Iterator[Any]:
        from medspacy.section_detection.section import Section as MedspacySection

        rules = {rule.metadata["id"]: rule for rule in self.rules}
        for section in page.reading.sections:
            title = doc.char_span(section.title_start, section.title_end, alignment_mode="expand")
            if title is not None and section.end <= len(doc.text):
                body = doc.char_span(section.start, max(section.end, section.start + 1), alignment_mode="expand")
                ends = (body.start, body.end) if body is not None else (title.end, title.end)
                yield MedspacySection(section.category, title.start, title.end, *ends, rule=rules.get(section.rule))


class Targets(_Component):
    """Finds mentions and sets `doc.ents`, by medspaCy `TargetRule`s whose pattern is a regular expression or literal."""

    rules: list[Any]

    def _ready(self) -> None:
        from medspacy.target_matcher import TargetRule

        self.rules = [
            TargetRule(rule.literal, rule.category, rule.pattern, metadata={"id": rule.id, "rule": rule})
            for rule in self.owner.rules.folder("targets")
        ]
        self.matcher = self.owner.targets
        self.columns, self.pars_field = Columns(self.owner.rules), self.owner.rules.piece("pars_field")

    def add(self, rules: Iterable[Any]) -> None:
        """Add medspaCy `TargetRule`s. A token pattern (a list) is refused: write it as a regular expression."""
        self.owner  # noqa: B018  (loads the shipped rules first)
        self.rules.extend(rules)
        self.matcher = Matcher((_rule_of(rule, "targets") for rule in self.rules), longest=False)

    def __call__(self, doc: Doc) -> Doc:
        page = self.page(doc)
        self.owner  # noqa: B018
        ents = []
        for number, at in page.windows:
            clean = page.reading.clean(number)
            found = [
                match
                for match in page.reading.matches(self.matcher, number)
                if self._stands(page.reading, number, match)
            ]
            matches = p_f1(p_f2(found))
            if not matches:
                continue
            placed = []
            for match in matches:
                start, end = clean.span(match.start, match.end)
                span = doc.char_span(
                    start - clean.start + at, end - clean.start + at, label=match.rule.category, alignment_mode="expand"
                )
                ents.append(span)
                placed.append((match, start, end))
            page.spans.append((number, placed))
        doc.set_ents(list(_apart(ents)), default="unmodified")
        return doc

    def _stands(self, reading: Reading, number: int, match: Match) -> bool:
        """Whether a word that is a finding only in a table's column, or in a field of the pars, stands in one."""
        if match.rule.value == "column":
            said = self.columns.answers(reading.text, *reading.clean(number).span(match.start, match.end))
            return bool(said.yes or said.no)
        if match.rule.value != "field":
            return True
        sentences = reading.layout.sentences
        for before in range(number, max(number - _OPTIONS, -1), -1):
            if sentences[before].block != sentences[number].block:
                return False
            label = self.pars_field.match(reading.clean(before).text)
            if label and (sentences[before].item == sentences[number].item or not label.string[label.end() :]):
                return True
        return False


class ContextCues(_Component):
    """ConText, per sentence: sets `doc._.context_graph` from medspaCy `ConTextRule`s."""

    rules: list[Any]

    def _ready(self) -> None:
        from medspacy.context import ConTextRule

        self.rules = [
            ConTextRule(
                rule.literal,
                rule.category,
                rule.pattern,
                direction=(rule.direction or "bidirectional").upper(),
                max_scope=rule.max_scope,
                max_targets=rule.max_targets,
                terminated_by=set(rule.terminated_by),
                metadata={"id": rule.id, "rule": rule},
            )
            for rule in self.owner.rules.folder("context")
        ]
        self._compile()

    def add(self, rules: Iterable[Any]) -> None:
        """Add medspaCy `ConTextRule`s. A token pattern (a list) is refused: write it as a regular expression."""
        self.owner  # noqa: B018
        self.rules.extend(rules)
        self._compile()

    def _compile(self) -> None:
        self.context = Context(_rule_of(rule, "context") for rule in self.rules)
        self.pronoun, self.named_again = (self.owner.rules.piece(name) for name in ("pronoun", "named_again"))
        names = ("asked", "option", "ticked_option", "option_none")
        self.asked, self.option, self.ticked_option, self.option_none = map(self.owner.rules.piece, names)
        self.columns = Columns(self.owner.rules)
        cells = {rule.category: rule for rule in self.owner.rules.folder("context") if rule.value == "column"}
        self._no_cell, self._yes_cell = cells["negated"], cells["ticked"]
        self._unticked = next(
            rule
            for rule in self.owner.rules.folder("context")
            if rule.value == "unticked" and rule.direction == "backward"
        )
        self._medspacy = {_rule_of(rule, "context").id: rule for rule in self.rules}

    def __call__(self, doc: Doc) -> Doc:
        from medspacy.context.context_graph import ConTextGraph
        from medspacy.context.context_modifier import ConTextModifier

        page = self.page(doc)
        self.owner  # noqa: B018
        reading = page.reading
        at_of = dict(page.windows)
        modifiers: list[Any] = []
        edges: list[Any] = []
        intros: dict[int, list[Cue]] = {}
        spoken = {number for number, _ in page.spans}
        for number, placed in page.spans:
            clean = reading.clean(number)
            targets = [(match.start, match.end) for match, _, _ in placed]
            scopes = self.context.scopes(clean, targets)
            reached = self.context.edges(scopes, targets)
            carried = self._intro(reading, number, intros)
            at = at_of[number] - clean.start
            made = {}
            for scope in scopes:
                start, end = clean.span(scope.match.start, scope.match.end)
                span: Any = doc.char_span(start + at, end + at, alignment_mode="expand")
                reach = scope.after or scope.before or (scope.match.start, scope.match.end)
                reach_start, reach_end = clean.origin(reach[0]) + at, clean.origin(max(reach[1] - 1, reach[0])) + 1 + at
                wide = doc.char_span(reach_start, max(reach_end, reach_start + 1), alignment_mode="expand")
                modifier = ConTextModifier(
                    self._medspacy[scope.match.rule.id],
                    span.start,
                    span.end,
                    doc,
                    wide.start if wide is not None else span.start,
                    wide.end if wide is not None else span.end,
                )
                made[id(scope)] = (modifier, Cue(scope.match.rule, start, end, reading.text[start:end]))
                modifiers.append(modifier)
            for (match, start, end), hit in zip(placed, reached, strict=True):
                cues = [made[id(scope)][1] for scope in hit] + carried
                if match is placed[-1][0]:
                    cues += self._echo(reading, number, spoken) + self._options(reading, number, spoken, match)
                cues = self._with_cells(reading, start, end, cues)
                target: Any = doc.char_span(start + at, end + at, label=match.rule.category, alignment_mode="expand")
                modified = [made[id(scope)][0] for scope in hit]
                target._.modifiers = tuple(modified)
                edges.extend((target, modifier) for modifier in modified)
                page.mentions.append(Mention(match.rule, start, end, number, match.start, match.end, tuple(cues)))
        doc._.context_graph = ConTextGraph(list(doc.ents), modifiers, edges)
        return doc

    def _with_cells(self, reading: Reading, start: int, end: int, cues: list[Cue]) -> list[Cue]:
        """The cues, and those of the cells under a mention that heads a column, or behind one that heads a row (P-A9).

        All cells say no, or some say yes. What stands in such a cell is no cue for itself.
        """
        said = self.columns.answers(reading.text, start, end)
        cells = [row.cell for row in said.yes + said.no if row.cell is not None]
        cues = [cue for cue in cues if not any(cue.start < cell.end and cell.start < cue.end for cell in cells)]
        rule = self._yes_cell if said.yes else self._no_cell
        telling = cells[: len(said.yes)] if said.yes else cells
        return cues + [Cue(rule, cell.start, cell.end, reading.text[cell.start : cell.end]) for cell in telling]

    def _options(self, reading: Reading, number: int, spoken: set[int], match: Match) -> list[Cue]:
        """The ticked one of the boxes behind a finding's name: "Pars defect: [ ] none [ ] left [x] right" (P-A9).

        Where none is ticked, the first.
        """
        sentences = reading.layout.sentences
        text = reading.clean(number).text
        asked = text[match.end :]
        if not self.asked.fullmatch(asked) or self.option.match(text[: match.start]):
            return []  # the name is an option itself
        empty: list[Cue] = []
        for after in range(number + 1, min(number + _OPTIONS, len(sentences))):
            clean = reading.clean(after)
            parted = not asked.strip() and sentences[after].item != sentences[number].item
            if (
                after in spoken
                or parted
                or sentences[after].block != sentences[number].block
                or not self.option.match(clean.text)
            ):
                break
            none = self.option_none.search(clean.text)
            ticked = none or self.ticked_option.match(clean.text)
            start, stop = clean.span(*(none.span() if none else (0, len(clean.text))))
            rule = self._no_cell if none else self._yes_cell if ticked else self._unticked
            cue = Cue(rule, start, stop, reading.text[start:stop])
            if ticked:
                return [cue]
            empty.append(cue)
        return empty[:1]

    def _echo(self, reading: Reading, number: int, spoken: set[int]) -> list[Cue]:
        """Cues of a next sentence that speaks of the last mention by a pronoun: "It was ruled out on CT."."""
        sentences = reading.layout.sentences
        for after in range(number + 1, min(number + 1 + _ECHOES, len(sentences))):
            if after in spoken or sentences[after].block != sentences[number].block:
                return []
            clean = reading.clean(after)
            pronoun = (self.pronoun if after == number + 1 else self.named_again).match(clean.text)
            if pronoun is not None:
                return self._of_pronoun(clean, pronoun)
        return []

    def _of_pronoun(self, clean: Indexed, pronoun: re.Match[str]) -> list[Cue]:
        return [
            Cue(scope.match.rule, *clean.span(scope.match.start, scope.match.end), scope.match.text)
            for scope in self.context.scopes(clean, [(0, pronoun.end())])
            if scope.reaches(0, pronoun.end()) and scope.match.rule.category in ("negated", "uncertain", "historical")
        ]

    def _intro(self, reading: Reading, number: int, intros: dict[int, list[Cue]]) -> list[Cue]:
        """Cues carried from a line like "Negative for:" to the list items under it."""
        sentences = reading.layout.sentences
        if not sentences[number].bullet:
            return self._list_head(reading, number, intros)
        at = number
        while (
            at > 0
            and sentences[at].bullet
            and number - at < 60
            and sentences[at - 1].block >= sentences[number].block - 1
        ):
            at -= 1
        if sentences[at].bullet or not reading.clean(at).text.endswith(":"):
            return []
        section = reading.section(sentences[at].start)
        if section is not None and section.title_end >= sentences[at].end:
            return []  # a section's heading speaks through the section
        return self._open_cues(reading, at, intros)

    def _list_head(self, reading: Reading, number: int, intros: dict[int, list[Cue]]) -> list[Cue]:
        """Cues of the head of a list run on with semicolons: "Negative for: fracture; dislocation; slip"."""
        sentences = reading.layout.sentences
        at = number
        while at > 0 and sentences[at - 1].item == sentences[number].item and number - at < 30:
            if reading.text[sentences[at - 1].end - 1] != ";":
                break
            at -= 1
        if at == number:
            return []
        head = reading.clean(at)
        colon = head.origin(head.text.index(":")) if ":" in head.text else 0
        # The cue leads the list: not "Impression: no fracture; a slip". Criteria run on with semicolons without a colon.
        return [
            cue for cue in self._open_cues(reading, at, intros) if cue.start < colon or cue.rule.category == "generic"
        ]

    def _open_cues(self, reading: Reading, at: int, intros: dict[int, list[Cue]]) -> list[Cue]:
        """The forward cues of a sentence whose reach is still open at its end."""
        if at not in intros:
            clean = reading.clean(at)
            intros[at] = [
                Cue(scope.match.rule, *clean.span(scope.match.start, scope.match.end), scope.match.text)
                for scope in self.context.scopes(clean, [])
                if scope.after is not None
                and scope.after[1] >= len(clean.text.rstrip(";"))
                and scope.match.rule.category != "known"
            ]
        return intros[at]


def p_f1(matches: list[Match]) -> list[Match]:
    """P-F1: what counts as a mention: each place once, by the longest rule that matches there."""
    return prune(matches)


def p_f2(matches: list[Match]) -> list[Match]:
    """P-F2: look-alikes are no findings: a decoy at least as long silences the targets that it overlaps."""
    kept = silence(matches, [match for match in matches if match.rule.category == "decoy"])
    return [match for match in kept if match.rule.category != "decoy"]


def _apart(spans: Iterable[Any]) -> Iterator[Any]:
    """Spans without those that would share a token with the one before (after widening to whole tokens)."""
    last = -1
    for span in spans:
        if span is not None and span.start >= last:
            last = span.end
            yield span


def _rule_of(rule: Any, folder: str) -> Rule:
    """Our `Rule` for a medspaCy rule object: the one it was made from, or one made for a rule a user added."""
    metadata = rule.metadata or {}
    if isinstance(metadata.get("rule"), Rule):
        made: Rule = metadata["rule"]
        return made
    if isinstance(rule.pattern, list):
        raise InputError(
            f"rule '{rule.literal}': parsnlp's components match regular expressions and literals on clean text, not spaCy "
            "token patterns; write the pattern as a string"
        )
    return Rule(
        id=str(metadata.get("id", f"user.{rule.literal}")),
        folder=folder,
        category=rule.category.lower() if folder == "context" else rule.category,
        literal=rule.literal,
        wordings=(Wording(rule.pattern or re.escape(rule.literal.lower())),),
        direction=rule.direction.lower() if folder == "context" else None,
        max_scope=getattr(rule, "max_scope", None),
        max_targets=getattr(rule, "max_targets", None),
        terminated_by=tuple(sorted(word.lower() for word in getattr(rule, "terminated_by", ()))) or ("terminate",),
    )


def register() -> dict[str, Any]:
    """Register the four factories with spaCy, once per process; medspaCy is imported when one of them is used."""
    from spacy.language import Language as SpacyLanguage

    parts = {"sentences": Sentences, "sections": Sections, "targets": Targets, "context": ContextCues}
    makers = {f"parsnlp_{name}": _maker(cls) for name, cls in parts.items()}
    for name, maker in makers.items():
        if not SpacyLanguage.has_factory(name):
            SpacyLanguage.factory(name, func=maker)
    return makers


def _extend() -> None:
    """Give spaCy's objects medspaCy's extension attributes and our own, once per process."""
    from spacy.tokens import Doc, Span

    if not Doc.has_extension("context_graph"):
        Doc.set_extension("context_graph", default=None)
    for name, default in (
        ("modifiers", ()),
        ("finding", None),
        ("assertion", None),
        ("cues", ()),
        *((f, False) for f in FLAGS.values()),
    ):
        if not Span.has_extension(name):
            Span.set_extension(name, default=default)


def _maker(cls: type[_Component]) -> Any:
    def make(nlp, name):  # type: ignore[no-untyped-def]  # spaCy resolves annotations at run time; ours are lazy
        _import_medspacy()
        return cls(name)

    return make
