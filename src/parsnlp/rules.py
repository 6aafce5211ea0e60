"""`patterns/` read, validated and frozen into a `RuleSet`. Rules are data; this module only knows their shape."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from parsnlp import literals, rulecache
from parsnlp.errors import RuleError

FOLDERS = ("targets", "context", "attributes", "sections")
DIRECTIONS = ("forward", "backward", "bidirectional", "terminate", "pseudo")
_FILE_KEYS = {"category", "terminated_by", "rules"}
_RULE_KEYS = {
    "id", "literal", "pattern", "before", "after", "category", "value", "direction", "max_scope", "max_targets", "terminated_by",
    "headings", "scope", "case", "policy", "source", "examples", "counter_examples",
}  # fmt: skip
_MOST_VALUES = 200_000  # of one file; the shipped ones have a few thousand
_ID = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_PIECE = re.compile(r"\{([a-z_]+)\}")
_MARKED = re.compile(r"\[\[(.+?)\]\]", re.S)

Direction = Literal["forward", "backward", "bidirectional", "terminate", "pseudo"]


@dataclass(frozen=True, slots=True)
class Example:
    """One example line of a rule: `spans` are the marked stretches of `text`, `[[ ]]` taken out."""

    text: str
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Wording:
    """One line of a rule's pattern, matched as whole words; it is tried only where words that it needs stand.

    `shape`: the regular expression, with one character in place of each of the `pieces` of the vocabulary.
    """

    shape: str
    pieces: literals.Pieces = field(default=literals.NO_PIECES, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # A compiled expression is slower to send to another process than to make there.
        return {name: value for name, value in self.__dict__.items() if name != "regex"}

    @property
    def pattern(self) -> str:
        """The regular expression, with all pieces filled in."""
        return self.pieces.pattern(self.shape)

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled expression; compiled at first use, since most notes need few of the wordings."""
        # Looking at the first letter alone passes most places of a text by before anything dearer is tried.
        first = self.first_letters
        lead = rf"(?=[{re.escape(''.join(sorted(first)))}])" if first else ""
        return re.compile(rf"{lead}(?<![a-z0-9](?=[a-z0-9]))(?:{self.pattern})(?!(?<=[a-z0-9])[a-z0-9])")

    @cached_property
    def first_letters(self) -> frozenset[str]:
        """The characters that a match can begin with; empty when that is not known."""
        return self.pieces.first_letters(self.shape)

    @cached_property
    def literals(self) -> frozenset[str]:
        """Texts of which every match holds at least one; `literals.EDGE` in them is the border of a word."""
        return self.pieces.required(self.shape)


@dataclass(frozen=True)
class Rule:
    """One rule of a file in `patterns/`.

    `wordings`: regular expressions over the clean form of a sentence (lower case, single spaces, plain hyphens), the
    named pieces of `vocabulary.yaml` filled in; any may match, of overlapping matches the longest counts. `value` is what
    an attribute or section rule states. The other fields are medspaCy's, as `patterns/README.md` explains.
    """

    id: str
    folder: str
    category: str
    literal: str
    wordings: tuple[Wording, ...]
    value: str | None = None
    direction: Direction | None = None
    max_scope: int | None = None
    max_targets: int | None = None
    terminated_by: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    scope: str = "section"
    case: str | None = None
    policy: str | None = None
    source: str | None = None
    examples: tuple[Example, ...] = ()
    counter_examples: tuple[Example, ...] = ()

    @property
    def pattern(self) -> str:
        """All wordings as one expression."""
        return "|".join(wording.pattern for wording in self.wordings)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """Few texts of which every match of the rule holds at least one; empty when its pattern proves none."""
        shapes = [wording.shape for wording in self.wordings]
        return self.wordings[0].pieces.anchors("|".join(shapes))


@dataclass(frozen=True)
class RuleSet:
    """All rules of one or more `patterns/` folders. `hash` identifies their content; it is carried by every result."""

    rules: tuple[Rule, ...]
    vocabulary: Mapping[str, str]
    tables: Mapping[str, Any]
    hash: str
    sources: tuple[str, ...] = ()
    by_id: Mapping[str, Rule] = field(default_factory=dict)

    def folder(self, name: str) -> tuple[Rule, ...]:
        """The rules of one folder: `targets`, `context`, `attributes` or `sections`."""
        return tuple(rule for rule in self.rules if rule.folder == name)

    def category(self, name: str) -> tuple[Rule, ...]:
        """The rules of one category, in file order."""
        return tuple(rule for rule in self.rules if rule.category == name)

    def compile(self) -> None:
        """Compile every pattern now (a fifth of a second), for who has no time to when it is first needed."""
        for rule in self.rules:
            for wording in rule.wordings:
                wording.regex  # noqa: B018

    def piece(self, name: str, flags: int = 0) -> re.Pattern[str]:
        """One piece of `vocabulary.yaml`, compiled. Raises `RuleError` when these rules, of another version, lack it."""
        if name not in self.vocabulary:
            places = ", ".join(self.sources)
            raise RuleError([f"{places}: vocabulary.yaml lacks the piece '{name}', which this version needs"])
        return re.compile(self.vocabulary[name], flags)


# --- loading --------------------------------------------------------------------------------------------------------


def patterns_root() -> Path:
    """The folder of the rules that parsnlp ships: beside the installed package, else the checkout's own."""
    packaged = Path(__file__).parent / "patterns"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "patterns"


def load(*folders: str | Path, shipped: bool = True) -> RuleSet:
    """Read the shipped rules, then each extra folder (a hospital's own) over them: the same id replaces, new ids add.

    `shipped=False`: the folders alone, such as the whole `patterns/` of another version.
    Raises `RuleError` with every problem of every file (`file:line: what`), or when a folder is missing.
    """
    roots = [*([patterns_root()] if shipped else []), *map(Path, folders)]
    problems = [f"{root}: no such folder of rules" for root in roots if not root.is_dir()]
    if problems:
        raise RuleError(problems)
    files = [(root, _files(root)) for root in roots]
    digest = hashlib.sha256()
    for root, inside in files:
        for path, data in inside:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + data.replace(b"\r\n", b"\n") + b"\0")
    sources = tuple(str(root) for root in roots)
    kept = rulecache.find(digest.hexdigest())
    if kept is not None:
        return _unpacked(kept, digest.hexdigest()[:16], sources)
    reader = _Reader()
    for root, inside in files:
        reader.read_root(root, inside)
    if reader.problems:
        raise RuleError(reader.problems)
    words = " ".join(line for line in reader.tables.get("common", {}).get("words", ()))
    reader.pieces.common = f" {words} "
    found = RuleSet(
        rules=tuple(reader.rules.values()),
        vocabulary=reader.vocabulary,
        tables=reader.tables,
        hash=digest.hexdigest()[:16],
        sources=sources,
        by_id=reader.rules,
    )
    if rulecache.folder() is not None:
        rulecache.keep(digest.hexdigest(), _packed(found, reader.pieces))
    return found


def _files(root: Path) -> list[tuple[Path, bytes]]:
    """The rule files of a folder with their bytes, the vocabulary first."""
    files = sorted(path for path in root.rglob("*.yaml") if path.is_file())
    files.sort(key=lambda path: path.name != "vocabulary.yaml")
    return [(path, path.read_bytes()) for path in files]


def _packed(ruleset: RuleSet, pieces: literals.Pieces) -> dict[str, Any]:
    """The rule set as plain data, with what is derived from its patterns."""
    return {
        "rules": [
            {
                **{item.name: getattr(rule, item.name) for item in fields(rule)},
                "wordings": [(each.shape, sorted(each.literals), sorted(each.first_letters)) for each in rule.wordings],
                "examples": [(each.text, each.spans) for each in rule.examples],
                "counter_examples": [each.text for each in rule.counter_examples],
                "anchors": sorted(rule.anchors) if rule.folder == "targets" else None,
            }
            for rule in ruleset.rules
        ],
        "vocabulary": ruleset.vocabulary,
        "tables": ruleset.tables,
        "pieces": pieces.__getstate__(),
    }


def _unpacked(data: dict[str, Any], digest: str, sources: tuple[str, ...]) -> RuleSet:
    """The rule set that `_packed` made plain data of."""
    pieces = literals.Pieces()
    pieces.__setstate__(data["pieces"])
    rules = []
    for row in data["rules"]:
        anchors = row.pop("anchors")
        wordings = []
        for shape, required, first in row["wordings"]:
            wording = Wording(shape, pieces)
            wording.__dict__.update(literals=frozenset(required), first_letters=frozenset(first))
            wordings.append(wording)
        row["wordings"] = tuple(wordings)
        row["examples"] = tuple(Example(text, tuple((a, b) for a, b in spans)) for text, spans in row["examples"])
        row["counter_examples"] = tuple(map(Example, row["counter_examples"]))
        for name in ("terminated_by", "headings"):
            row[name] = tuple(row[name])
        rule = Rule(**row)
        if anchors is not None:
            rule.__dict__["anchors"] = frozenset(anchors)
        rules.append(rule)
    by_id = {rule.id: rule for rule in rules}
    return RuleSet(tuple(rules), data["vocabulary"], data["tables"], digest, sources, by_id)


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self.rules: dict[str, Rule] = {}
        self.pieces = literals.Pieces()
        self.vocabulary: dict[str, str] = {}
        self.tables: dict[str, Any] = {}
        self.roots = 0
        self._left = 0  # values that the file being read may still unfold to

    def read_root(self, root: Path, files: list[tuple[Path, bytes]]) -> None:
        self.roots += 1
        if not files:
            self.problems.append(f"{root}: holds no .yaml rule file")
        seen: dict[str, str] = {}
        for path, data in files:
            shown = str(path.relative_to(root.parent))
            tree = self._parse_file(shown, data)
            if not isinstance(tree, dict):
                continue
            folder = path.relative_to(root).parts[0]
            if path.name == "vocabulary.yaml":
                self._read_vocabulary(shown, tree)
            elif folder in FOLDERS:
                self._read_file(shown, folder, tree, seen)
            else:
                self._read_table(shown, path.stem, _plain(tree))

    def _problem(self, shown: str, line: int, text: str) -> None:
        self.problems.append(f"{shown}:{line}: {text}")

    def _parse_file(self, shown: str, data: bytes) -> Any:
        import yaml

        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        try:
            node = yaml.compose(data.decode("utf-8-sig"), Loader=loader)
        except UnicodeDecodeError as error:
            self._problem(shown, data[: error.start].count(b"\n") + 1, "not UTF-8 text; save the file as UTF-8")
            return None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self._problem(shown, line, f"not valid YAML: {error.problem or 'cannot be read'}")
            return None
        except RecursionError:
            self._problem(shown, 1, "nests too deep, or within itself")
            return None
        except yaml.YAMLError:
            self._problem(shown, 1, "not valid YAML: holds a character that YAML does not allow")
            return None
        if node is None:
            self._problem(shown, 1, "the file is empty")
            return None
        self._left = _MOST_VALUES
        try:
            tree = self._node(shown, node)
        except RecursionError:
            self._problem(shown, 1, "nests too deep, or within itself")
            return None
        if self._left < 0:
            self._problem(shown, 1, f"its aliases unfold to more than {_MOST_VALUES:,} values; write out fewer")
            return None
        if not isinstance(tree, dict):
            self._problem(shown, 1, "the file must be a mapping of keys")
        return tree

    def _node(self, shown: str, node: Any) -> Any:
        """YAML nodes to plain values that know their line (`_Text`, `_Map`), with duplicate keys reported."""
        self._left -= 1
        if self._left < 0:
            return _Text("", 1)
        kind = node.id
        if kind == "scalar":
            return _Text(node.value, node.start_mark.line + 1)
        if kind == "sequence":
            return [self._node(shown, child) for child in node.value]
        mapping = _Map(node.start_mark.line + 1)
        for key, value in node.value:
            name = str(key.value)
            if name in mapping:
                self._problem(shown, key.start_mark.line + 1, f"key '{name}' is given twice")
            mapping[name] = self._node(shown, value)
        return mapping

    def _read_table(self, shown: str, name: str, table: dict[str, Any]) -> None:
        """A table replaces the one of that name, of which it must keep every key and each key's shape."""
        known = self.tables.get(name)
        if known is None and self.tables and self.roots > 1:
            self._problem(shown, 1, f"no table is named {name}.yaml; tables are {', '.join(sorted(self.tables))}")
            return
        for key, value in (known or {}).items():
            if type(table.get(key)) is not type(value):
                shape = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "text"
                self._problem(shown, 1, f"the table lacks the key '{key}', or it is not {shape}, as in the shipped one")
        self.tables[name] = table

    def _shapes(self, shown: str, entry: _Map, name: str, texts: list[Any]) -> list[str]:
        """The shape of each text; one that is no regular expression is reported with its line."""
        filled = []
        for text in texts:
            expression = self._shape(shown, _line(text), str(text))
            try:
                literals.parse(expression)
            except re.error as error:
                place = f"{error.msg} at {error.pos}"
                self._problem(
                    shown, _line(text), f"rule '{name}': the pattern is not a valid regular expression: {place}"
                )
            filled.append(expression)
        return filled

    def _read_vocabulary(self, shown: str, tree: dict[str, Any]) -> None:
        for name, value in tree.items():
            if not isinstance(value, (_Text, list)):
                self._problem(shown, getattr(tree, "line", 1), f"piece '{name}' must be a pattern or a list of them")
                continue
            parts = value if isinstance(value, list) else [value]
            shape = "|".join(self._shape(shown, _line(part), str(part)) for part in parts)
            try:
                literals.parse(shape)
            except re.error as error:
                self._problem(shown, _line(parts[0]), f"piece '{name}' is not a valid regular expression: {error}")
                continue
            self.pieces.add(name, shape)
            self.vocabulary[name] = self.pieces.pattern(shape)

    def _shape(self, shown: str, line: int, pattern: str) -> str:
        """The pattern with one character in place of each `{piece}`."""

        def sign(match: re.Match[str]) -> str:
            name = match.group(1)
            found = self.pieces.sign(name)
            if found is None:
                known = ", ".join(sorted(self.vocabulary))
                self._problem(shown, line, f"unknown piece '{{{name}}}'; vocabulary.yaml has {known}")
            return found or ""

        return _PIECE.sub(sign, pattern)

    def _read_file(self, shown: str, folder: str, tree: dict[str, Any], seen: dict[str, str]) -> None:
        for key in tree:
            if key not in _FILE_KEYS:
                self._problem(shown, _line(tree[key]), f"unknown key '{key}'; allowed: {', '.join(sorted(_FILE_KEYS))}")
        entries = tree.get("rules")
        if not isinstance(entries, list) or not entries:
            self._problem(shown, _line(tree), "'rules' must be a list of at least one rule")
            return
        shared = self._words(shown, tree.get("terminated_by"))
        for entry in entries:
            if not isinstance(entry, _Map):
                self._problem(shown, _line(entry), "each rule must be a mapping with an 'id'")
                continue
            rule = self._rule(shown, folder, str(tree.get("category", "")), shared, entry)
            if rule is None:
                continue
            if rule.id in seen:
                self._problem(shown, entry.line, f"rule '{rule.id}' is already defined in {seen[rule.id]}")
                continue
            seen[rule.id] = f"{shown}:{entry.line}"
            self.rules[rule.id] = rule

    def _words(self, shown: str, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self._problem(shown, _line(value), "'terminated_by' must be a list of categories")
            return ()
        return tuple(str(word) for word in value)

    def _rule(self, shown: str, folder: str, category: str, shared: tuple[str, ...], entry: _Map) -> Rule | None:
        before = len(self.problems)
        name = str(entry.get("id", ""))

        def wrong(text: str, key: str | None = None) -> None:
            line = _line(entry[key]) if key is not None and key in entry else entry.line
            self._problem(shown, line, f"rule '{name}': {text}" if name else text)

        if not _ID.fullmatch(name):
            wrong("'id' is missing or not of the form file.name in lower case", "id")
        for key in entry:
            if key not in _RULE_KEYS:
                wrong(f"unknown key '{key}'; allowed: {', '.join(sorted(_RULE_KEYS))}", key)
        headings = entry.get("headings")
        category = str(entry.get("category", category))
        if not category:
            wrong("no 'category' on the rule or at the top of the file")
        literal = str(entry.get("literal", ""))
        given = entry.get("pattern", "")
        patterns = given if isinstance(given, list) else [given] if given else []
        if folder == "sections":
            if not isinstance(headings, list) or not headings:
                wrong("a section rule needs 'headings', a list of heading patterns", "headings")
        elif not patterns and not literal:
            wrong("needs a 'pattern' or a 'literal'")
        titles = self._shapes(shown, entry, name, headings if isinstance(headings, list) else [])
        lines = self._shapes(shown, entry, name, patterns) if patterns else [re.escape(literal.lower())]
        if "before" in entry or "after" in entry:
            before_all, after_all = (
                "".join(self._shapes(shown, entry, name, [entry[key]] if key in entry else []))
                for key in ("before", "after")
            )
            lines = [f"{before_all}(?:{line}){after_all}" for line in lines]
        direction = str(entry["direction"]) if "direction" in entry else None
        if folder == "context" and direction not in DIRECTIONS:
            wrong(f"direction {direction!r} is not one of {', '.join(DIRECTIONS)}", "direction")
        numbers: dict[str, int | None] = {}
        for key in ("max_scope", "max_targets"):
            value = entry.get(key)
            if value is not None and not re.fullmatch(r"[1-9]\d*", str(value)):
                wrong(f"'{key}' must be a whole number of at least 1", key)
                value = None
            numbers[key] = int(str(value)) if value is not None else None
        scope = str(entry.get("scope", "section"))
        if scope not in ("section", "paragraph", "line"):
            wrong(f"scope '{scope}' is not one of section, paragraph, line", "scope")
        if str(entry.get("case", "upper")) != "upper":
            wrong("'case' may only be upper", "case")
        for key in ("examples", "counter_examples"):
            if not isinstance(entry.get(key), _Text) or not str(entry[key]).strip():
                wrong(f"'{key}' is missing: at least one line is needed")
        examples = tuple(_examples(entry.get("examples")))
        for example in examples:
            if not example.spans:
                wrong("an example line marks no span with [[ ]]", "examples")
        if len(self.problems) > before:
            return None
        return Rule(
            id=name,
            folder=folder,
            category=category,
            literal=literal or name,
            wordings=tuple(Wording(line, self.pieces) for line in lines),
            value=str(entry["value"]) if "value" in entry else None,
            direction=direction,  # type: ignore[arg-type]
            terminated_by=self._words(shown, entry.get("terminated_by")) or shared,
            headings=tuple(map(self.pieces.pattern, titles)),
            scope=scope,
            case=str(entry["case"]) if "case" in entry else None,
            policy=str(entry["policy"]) if "policy" in entry else None,
            source=str(entry["source"]) if "source" in entry else None,
            examples=examples,
            counter_examples=tuple(Example(example.text) for example in _examples(entry.get("counter_examples"))),
            **numbers,
        )


class _Text(str):
    """A YAML scalar that knows its line."""

    line: int

    def __new__(cls, value: str, line: int) -> _Text:
        text = super().__new__(cls, value)
        text.line = line
        return text


class _Map(dict[str, Any]):
    """A YAML mapping that knows its line."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def _line(value: Any) -> int:
    if isinstance(value, list):
        return _line(value[0]) if value else 1
    return int(getattr(value, "line", 1))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return str(value)


def _examples(block: Any) -> Iterator[Example]:
    for line in str(block or "").splitlines():
        if not line.strip():
            continue
        raw = line.strip().replace("\\n", "\n")
        text, spans, last = "", [], 0
        for match in _MARKED.finditer(raw):
            text += raw[last : match.start()]
            spans.append((len(text), len(text) + len(match.group(1))))
            text += match.group(1)
            last = match.end()
        yield Example(text + raw[last:], tuple(spans))
