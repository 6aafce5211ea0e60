"""How `patterns/` is read: every problem of every file at once, with file and line; the hash; where the rules lie."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import parsnlp
from parsnlp import rules
from parsnlp.errors import ParsnlpError, RuleError
from parsnlp.extract.matching import Matcher

GOOD = """\
category: spondylolysis
rules:
  - id: ours.spondylolyse
    literal: spondylolyse
    examples: |
      [[Spondylolyse]] L5.
    counter_examples: |
      Spondylosis.
"""
SHIPPED = rules.load()


def ours(tmp_path: Path, text: str | bytes, name: str = "targets/ours.yaml") -> Path:
    """A hospital's own folder, `ours`, with one file more."""
    root = tmp_path / "ours"
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def problems(root: Path) -> list[str]:
    with pytest.raises(RuleError) as caught:
        rules.load(root)
    return caught.value.problems


def with_line(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def found(rule: rules.Rule, text: str) -> list[str]:
    return [match.text for match in Matcher([rule]).find(text)]


# --- a folder of one's own -------------------------------------------------------------------------------------------


def test_a_folder_of_ones_own_adds_rules(tmp_path: Path) -> None:
    root = ours(tmp_path, GOOD)
    loaded = rules.load(root)
    assert loaded.by_id["ours.spondylolyse"].pattern == "spondylolyse"
    assert len(loaded.rules) == len(SHIPPED.rules) + 1
    assert loaded.sources == (str(rules.patterns_root()), str(root))


def test_a_folder_of_ones_own_overrides_an_id(tmp_path: Path) -> None:
    text = GOOD.replace("ours.spondylolyse", "spondylolysis.name")
    loaded = rules.load(ours(tmp_path, text))
    assert len(loaded.rules) == len(SHIPPED.rules)
    assert loaded.by_id["spondylolysis.name"].literal == "spondylolyse"
    assert [rule.literal for rule in loaded.rules if rule.id == "spondylolysis.name"] == ["spondylolyse"]
    assert SHIPPED.by_id["spondylolysis.name"].literal == "spondylolysis"


def test_the_last_folder_wins(tmp_path: Path) -> None:
    one = ours(tmp_path / "1", GOOD)
    two = ours(tmp_path / "2", GOOD.replace("literal: spondylolyse", "literal: lyse"))
    assert rules.load(one, two).by_id["ours.spondylolyse"].literal == "lyse"
    assert rules.load(two, one).by_id["ours.spondylolyse"].literal == "spondylolyse"


def test_a_literal_is_matched_letter_by_letter(tmp_path: Path) -> None:
    loaded = rules.load(ours(tmp_path, with_line("literal: spondylolyse", "literal: L5 (lyse)")))
    rule = loaded.by_id["ours.spondylolyse"]
    assert found(rule, "chronic l5 (lyse) seen") == ["l5 (lyse)"]
    assert found(rule, "chronic l5 lyse seen") == []


def test_vocabulary_of_ones_own_may_use_the_shipped_pieces(tmp_path: Path) -> None:
    root = ours(tmp_path, "our_level: 'segment {vertebra}'\n", "vocabulary.yaml")
    ours(tmp_path, with_line("literal: spondylolyse", "pattern: 'lyse {our_level}'"))
    rule = rules.load(root).by_id["ours.spondylolyse"]
    assert found(rule, "lyse segment l5") == ["lyse segment l5"]
    assert found(rule, "lyse l5") == []


def test_what_stands_before_and_after_goes_with_every_line_of_a_pattern(tmp_path: Path) -> None:
    lines = "before: '(?:an? )?'\n    pattern:\n      - 'lyse'\n      - 'klyse'\n    after: ' of {pars}'"
    rule = rules.load(ours(tmp_path, with_line("literal: spondylolyse", lines))).by_id["ours.spondylolyse"]
    assert found(rule, "a klyse of pars, lyse of pars") == ["a klyse of pars", "lyse of pars"]
    assert found(rule, "a klyse") == []


def test_scalars_stay_text(tmp_path: Path) -> None:
    text = with_line("literal: spondylolyse", "literal: no\n    value: 010")
    rule = rules.load(ours(tmp_path, text)).by_id["ours.spondylolyse"]
    assert (rule.literal, rule.value) == ("no", "010")


def test_examples_are_read_line_by_line(tmp_path: Path) -> None:
    text = with_line("[[Spondylolyse]] L5.", "[[Spondylolyse]] and [[spondylolyse]].\n\n      PMH:\\n[[spondylolyse]]")
    one, two = rules.load(ours(tmp_path, text)).by_id["ours.spondylolyse"].examples
    assert (one.text, one.spans) == ("Spondylolyse and spondylolyse.", ((0, 12), (17, 29)))
    assert (two.text, two.spans) == ("PMH:\nspondylolyse", ((5, 17),))


# --- malformed files -------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str | bytes, str]] = {
    "duplicate-key": (
        with_line("    literal: spondylolyse\n", "    literal: spondylolyse\n    literal: lyse\n"),
        "5: key 'literal' is given twice",
    ),
    "duplicate-key-of-the-file": ("category: spondylolysis\n" + GOOD, "2: key 'category' is given twice"),
    "unknown-key": (
        with_line("    literal:", "    severity: mild\n    literal:"),
        "4: rule 'ours.spondylolyse': unknown key 'severity'; allowed: ",
    ),
    "unknown-key-of-the-file": ("categorie: x\n" + GOOD, "1: unknown key 'categorie'; allowed: category, rules, "),
    "missing-id": (with_line("  - id: ours.spondylolyse\n    literal", "  - literal"), "3: 'id' is missing"),
    "id-without-a-dot": (with_line("ours.spondylolyse", "spondylolyse"), "3: rule 'spondylolyse': 'id' is missing or not"),
    "duplicate-id": (
        GOOD + GOOD.split("rules:\n")[1],
        "9: rule 'ours.spondylolyse' is already defined in ours/targets/ours.yaml:3",
    ),
    "bad-regex": (
        with_line("literal: spondylolyse", "pattern: 'lyse(s'"),
        "4: rule 'ours.spondylolyse': the pattern is not a valid regular expression: missing )",
    ),
    "unknown-piece": (
        with_line("literal: spondylolyse", "pattern: '{parz} lyse'"),
        "4: unknown piece '{parz}'; vocabulary.yaml has ",
    ),
    "neither-pattern-nor-literal": (with_line("    literal: spondylolyse\n", ""), "needs a 'pattern' or a 'literal'"),
    "no-category": (with_line("category: spondylolysis\n", ""), "no 'category' on the rule or at the top of the file"),
    "missing-examples": (with_line("    examples: |\n      [[Spondylolyse]] L5.\n", ""), "3: rule 'ours.spondylolyse': 'examples' is missing"),
    "missing-counter-examples": (
        with_line("    counter_examples: |\n      Spondylosis.\n", ""),
        "3: rule 'ours.spondylolyse': 'counter_examples' is missing",
    ),
    "blank-examples": (with_line("[[Spondylolyse]] L5.", ""), "'examples' is missing: at least one line is needed"),
    "unmarked-example": (with_line("[[Spondylolyse]]", "Spondylolyse"), "marks no span with [[ ]]"),
    "bad-case": (with_line("    literal:", "    case: lower\n    literal:"), "4: rule 'ours.spondylolyse': 'case' may only be upper"),
    "bad-max-scope": (with_line("    literal:", "    max_scope: two\n    literal:"), "4: rule 'ours.spondylolyse': 'max_scope' must be a whole number"),
    "terminated-by-a-word": (with_line("    literal:", "    terminated_by: but\n    literal:"), "4: 'terminated_by' must be a list"),
    "rules-not-a-list": ("category: x\nrules: none\n", "'rules' must be a list of at least one rule"),
    "rule-not-a-mapping": ("category: x\nrules:\n  - lyse\n", "3: each rule must be a mapping with an 'id'"),
    "not-utf-8": (GOOD.replace("Spondylosis", "Spondylosis l\u00e9g\u00e8re").encode("latin-1"), "8: not UTF-8 text; save the file as UTF-8"),
    "empty": ("", "1: the file is empty"),
    "only-comments": ("# to be written\n", "1: the file is empty"),
    "not-yaml": (GOOD + "    [: {\n", "not valid YAML: "),
    "a-tab": (GOOD + "\tpolicy: P-C1\n", "9: not valid YAML: "),
    "a-control-character": (GOOD + "# \x07\n", "not valid YAML: "),
    "not-a-mapping": ("- id: ours.spondylolyse\n", "1: the file must be a mapping of keys"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_malformed_file_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    text, expected = WRONG[name]
    (problem,) = problems(ours(tmp_path, text))
    assert problem.startswith("ours/targets/ours.yaml:")
    line, said = problem.removeprefix("ours/targets/ours.yaml:").split(":", 1)
    assert line.isdigit()
    assert expected in f"{line}:{said}"


def test_a_bad_direction_names_the_allowed_ones(tmp_path: Path) -> None:
    text = GOOD.replace("category: spondylolysis", "category: negated").replace(
        "    literal:", "    direction: forwards\n    literal:"
    )
    assert problems(ours(tmp_path, text, "context/ours.yaml")) == [
        "ours/context/ours.yaml:4: rule 'ours.spondylolyse': direction 'forwards' is not one of "
        "forward, backward, bidirectional, terminate, pseudo"
    ]


def test_a_context_rule_needs_a_direction(tmp_path: Path) -> None:
    (problem,) = problems(ours(tmp_path, GOOD, "context/ours.yaml"))
    assert "ours/context/ours.yaml:3: rule 'ours.spondylolyse': direction None is not one of" in problem


def test_a_section_rule_needs_headings(tmp_path: Path) -> None:
    (problem,) = problems(ours(tmp_path, GOOD, "sections/ours.yaml"))
    assert "ours/sections/ours.yaml:3: rule 'ours.spondylolyse': a section rule needs 'headings'" in problem


def test_a_bad_heading_is_found(tmp_path: Path) -> None:
    text = with_line("literal: spondylolyse", "headings: ['imp(']")
    (problem,) = problems(ours(tmp_path, text, "sections/ours.yaml"))
    assert "rule 'ours.spondylolyse': the pattern is not a valid regular expression" in problem


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    for name, (text, _) in WRONG.items():
        ours(tmp_path, text, f"targets/{name}.yaml")
    root = ours(tmp_path, GOOD.replace("literal", "litteral").replace("Spondylosis.", ""), "targets/three.yaml")
    with pytest.raises(RuleError) as caught:
        rules.load(root)
    found = caught.value.problems
    assert {problem.split(":")[0] for problem in found} == {f"ours/targets/{name}.yaml" for name in [*WRONG, "three"]}
    assert len([problem for problem in found if problem.startswith("ours/targets/three.yaml:")]) == 3
    head, *lines = str(caught.value).splitlines()
    assert head == f"{len(found)} problems in the rule files:"
    assert lines == found
    assert isinstance(caught.value, ParsnlpError)


def test_problems_of_two_folders_are_told_together(tmp_path: Path) -> None:
    one = ours(tmp_path / "1", WRONG["empty"][0])
    two = ours(tmp_path / "2", WRONG["bad-regex"][0])
    with pytest.raises(RuleError) as caught:
        rules.load(one, two)
    assert len(caught.value.problems) == 2


def test_a_missing_folder(tmp_path: Path) -> None:
    missing = tmp_path / "elsewhere"
    assert problems(missing) == [f"{missing}: no such folder of rules"]


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    path = ours(tmp_path, GOOD) / "targets" / "ours.yaml"
    assert problems(path) == [f"{path}: no such folder of rules"]


def test_a_folder_without_rules(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a rule")
    assert problems(tmp_path) == [f"{tmp_path}: holds no .yaml rule file"]


def test_a_rule_error_survives_pickling(tmp_path: Path) -> None:
    import pickle

    with pytest.raises(RuleError) as caught:
        rules.load(ours(tmp_path, ""))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert str(again) == str(caught.value)


# --- the hash --------------------------------------------------------------------------------------------------------


def test_the_hash_is_the_same_for_the_same_rules(tmp_path: Path) -> None:
    assert len(SHIPPED.hash) == 16
    assert rules.load().hash == SHIPPED.hash
    assert rules.load(ours(tmp_path / "1", GOOD)).hash == rules.load(ours(tmp_path / "2", GOOD)).hash


@pytest.mark.parametrize(
    "text", [GOOD.replace("Spondylosis.", "Spondylitis."), GOOD.replace("literal: spondylolyse", "literal: lyse")]
)
def test_the_hash_changes_with_a_rule(text: str, tmp_path: Path) -> None:
    before = rules.load(ours(tmp_path, GOOD)).hash
    after = rules.load(ours(tmp_path, text)).hash
    assert len({SHIPPED.hash, before, after}) == 3


def test_the_hash_changes_with_a_table_and_with_a_file_name(tmp_path: Path) -> None:
    hashes = {
        rules.load(ours(tmp_path / "1", GOOD)).hash,
        rules.load(ours(tmp_path / "2", GOOD, "targets/theirs.yaml")).hash,
        rules.load(
            ours(
                tmp_path / "1",
                "abbreviations: [dr]\nopen_endings: [a]\nbefore_levels: [at]\nshort_words: [disc]\n",
                "layout.yaml",
            )
        ).hash,
    }
    assert len(hashes) == 3


def test_line_ends_do_not_change_the_hash_nor_the_rules(tmp_path: Path) -> None:
    unix = rules.load(ours(tmp_path / "1", GOOD))
    windows = rules.load(ours(tmp_path / "2", GOOD.replace("\n", "\r\n")))
    assert windows.hash == unix.hash
    assert windows.rules == unix.rules


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    loaded = rules.load(ours(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()))
    assert loaded.rules == rules.load(ours(tmp_path / "2", GOOD)).rules


# --- where the rules lie ---------------------------------------------------------------------------------------------

LOOK = """
import json
import parsnlp
from parsnlp import rules
loaded = rules.load()
print(json.dumps([rules.__file__, str(rules.patterns_root()), loaded.hash, len(loaded.rules), loaded.sources]))
"""


def test_rules_load_from_an_installed_wheel(tmp_path: Path) -> None:
    """As the wheel lays them out: `patterns/` inside the package folder, and no checkout around it."""
    package = tmp_path / "site-packages" / "parsnlp"
    shutil.copytree(Path(rules.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "patterns"))
    shutil.copytree(rules.patterns_root(), package / "patterns")
    file, root, digest, count, sources = look(package.parent, tmp_path)
    assert Path(file) == package / "rules.py"
    assert Path(root) == package / "patterns"
    assert sources == [str(package / "patterns")]
    assert (digest, count) == (rules.load().hash, len(rules.load().rules))


def test_rules_load_from_a_checkout(tmp_path: Path) -> None:
    source = tmp_path / "checkout" / "src" / "parsnlp"
    shutil.copytree(Path(rules.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__", "patterns"))
    shutil.copytree(rules.patterns_root(), tmp_path / "checkout" / "patterns")
    _, root, digest, _, _ = look(source.parent, tmp_path)
    assert Path(root) == tmp_path / "checkout" / "patterns"
    assert digest == rules.load().hash


def test_the_wheel_takes_patterns_along() -> None:
    """The build's own word for it, where the checkout is at hand to ask."""
    settings = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    _, section = settings.split("[tool.hatch.build.targets.wheel.force-include]\n")
    assert section.splitlines()[0] == '"patterns" = "parsnlp/patterns"'


def look(path: Path, cwd: Path) -> list[Any]:
    """What another Python, with `path` before all else, finds."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def test_a_target_rule_that_proves_no_word_is_refused(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "own.yaml").write_text(
        "category: spondylolysis\nrules:\n  - id: own.anything\n    pattern: '\\w+'\n"
        "    examples: |\n      A [[word]].\n    counter_examples: |\n      ...\n",
        encoding="utf-8",
    )
    with pytest.raises(RuleError, match=r"own\.anything"):
        parsnlp.load(patterns=tmp_path)


def test_an_own_cue_says_by_its_value_which_paragraph_decides(tmp_path: Path) -> None:
    root = ours(
        tmp_path,
        "category: historical\nrules:\n  - id: ours.whispered\n    literal: the grapevine says\n    direction: forward\n"
        "    value: told\n    examples: |\n      The grapevine says [[spondylolysis]].\n    counter_examples: |\n      Spondylolysis.\n",
        "context/ours.yaml",
    )
    (finding,) = parsnlp.load(patterns=root).extract("The grapevine says L5 spondylolysis.").findings
    assert (finding.assertion, finding.trail[0].rule) == ("historical", "P-A9")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "vocabulary.yaml",
            "study: '('\n",
            r"ours/vocabulary\.yaml:1: piece 'study' is not a valid regular expression",
        ),
        (
            "binding.yaml",
            "stops: [of]\n",
            r"ours/binding\.yaml:1: the table lacks the key 'connectors', or it is not a list",
        ),
        ("codes.yaml", "families: M43\n", r"the key 'families', or it is not a mapping"),
        ("bindings.yaml", "stops: [of]\n", r"no table is named bindings\.yaml; tables are binding, codes"),
    ],
)
def test_a_piece_or_table_that_cannot_serve_is_named(tmp_path: Path, name: str, text: str, problem: str) -> None:
    with pytest.raises(RuleError, match=problem):
        parsnlp.load(patterns=ours(tmp_path, text, name))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)),
            "own.yaml:1: its aliases unfold",
        ),
        ("rules: &a [*a]\n", "own.yaml:1: nests too deep, or within itself"),
        ("rules: " + "[" * 5_000 + "]" * 5_000, "own.yaml:1: nests too deep"),
    ],
    ids=["aliases", "an alias that holds itself", "deep"],
)
def test_yaml_that_unfolds_without_end_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError) as caught:
        rules.load(tmp_path)
    assert says in str(caught.value)
