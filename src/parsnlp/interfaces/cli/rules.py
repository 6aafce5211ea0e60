"""Commands on the rules: list, check, show, diff, coverage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    FAILED_CHECK,
    Excludes1,
    NoText,
    Patterns,
    Setting,
    StressFracture,
    load,
    read_rules,
    rules_app,
)

if TYPE_CHECKING:
    from parsnlp.rules import Example


@rules_app.command("list")
def rules_list(patterns: Patterns = None) -> None:
    """List every rule: its id, category and policy rule.

    \b
    Example:
      parsnlp rules list | grep negated
    """
    for rule in read_rules(patterns).rules:
        typer.echo(f"{rule.id:44} {rule.category:24} {rule.policy or ''}".rstrip())


@rules_app.command("check")
def rules_check(patterns: Patterns = None) -> None:
    """Run every rule's examples and counter-examples, and time its patterns on hostile texts; exit status 1 if one fails.

    \b
    Examples:
      parsnlp rules check
      parsnlp rules check --patterns our-rules/
    """
    from parsnlp import rulecheck

    ruleset = read_rules(patterns)
    problems = [*map(str, rulecheck.check(ruleset)), *rulecheck.slow(ruleset)]
    for problem in problems:
        typer.echo(problem)
    examples = sum(len(rule.examples) + len(rule.counter_examples) for rule in ruleset.rules)
    typer.echo(f"{len(ruleset.rules)} rules, {examples} example lines, {len(problems)} wrong")
    if problems:
        raise typer.Exit(FAILED_CHECK)


@rules_app.command("show")
def rules_show(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="A rule's id, as trails and findings cite it.")],
    patterns: Patterns = None,
) -> None:
    """Show one rule: what it matches, its examples and counter-examples.

    \b
    Example:
      parsnlp rules show spondylolysis.name
    """
    ruleset = read_rules(patterns)
    rule = ruleset.by_id.get(rule_id)
    if rule is None:
        from difflib import get_close_matches

        close = get_close_matches(rule_id, ruleset.by_id, n=3, cutoff=0.5)
        raise InputError(
            f"no rule '{rule_id}'" + (f"; nearest: {', '.join(close)}" if close else "; parsnlp rules list shows all")
        )
    typer.echo(rule.id)
    fields = {
        "folder": rule.folder,
        "category": rule.category,
        "value": rule.value,
        "policy": rule.policy,
        "source": rule.source,
        "direction": rule.direction,
        "max scope": rule.max_scope,
        "max targets": rule.max_targets,
        "terminated by": ", ".join(rule.terminated_by),
        "literal": rule.literal,
        "pattern": "" if rule.headings else rule.pattern,
    }
    for name, value in fields.items():
        if value:
            typer.echo(f"  {name:14} {value}")
    for heading in rule.headings:
        typer.echo(f"  {'heading':14} {heading}")
    for example in rule.examples:
        typer.echo(f"  {'example':14} {_marked(example)}")
    for example in rule.counter_examples:
        typer.echo(f"  {'counter':14} {_marked(example)}")


@rules_app.command("diff")
def rules_diff(
    new: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of rules to be adopted.")],
    on: Annotated[
        list[Path],
        typer.Option("--on", metavar="NOTES", help="A gold file, folder or .jsonl of notes; may be repeated."),
    ],
    no_text: NoText = False,
    setting: Setting = "outpatient",
    excludes1: Excludes1 = "separate",
    stress_fracture: StressFracture = "M43.0",
    patterns: Patterns = None,
) -> None:
    """Show what a folder of rules would change, note by note, before it is adopted: over the rules in use.

    In use are the shipped rules and those of --patterns. Exit status 0: no code moves; 1: some do.

    \b
    Examples:
      parsnlp rules diff our-rules/ --on corpora/dev/gold.jsonl
      parsnlp rules diff new-rules/ --patterns our-rules/ --on notes/
    """
    from parsnlp.evaluation import diff as comparing
    from parsnlp.interfaces import comparison

    in_use, adopted = read_rules(patterns), read_rules([*(patterns or ()), new])
    for rule in comparison.moved_rules(in_use, adopted):
        typer.echo(rule)
    moved = False
    for notes in on:
        gold, encounters = comparison.notes(notes)
        options = (setting, excludes1, stress_fracture)
        before, after = (comparison.tried(ruleset, encounters, options) for ruleset in (in_use, adopted))
        found = comparing.diff(before, after, gold)
        moved = moved or bool(found.moved)
        typer.echo(f"\n{notes}")
        for line in comparing.lines(found, text=not no_text):
            typer.echo(line)
    if moved:
        raise typer.Exit(FAILED_CHECK)


@rules_app.command("coverage")
def rules_coverage(
    corpora: Annotated[
        list[Path], typer.Argument(metavar="NOTES...", help="Gold files, folders or .jsonl of notes: each a corpus.")
    ],
    never: Annotated[bool, typer.Option("--never", help="Only the rules that match in no note.")] = False,
    idle: Annotated[
        bool, typer.Option("--idle", help="Only the rules without which every result says the same; takes minutes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All counts, as JSON.")] = False,
    patterns: Patterns = None,
) -> None:
    """Count, by corpus, the notes in which each rule's wording stands, and in brackets those whose result names it.

    A rule's own examples do not count. Headings, outcomes of care and rules that only take others away go unnamed.

    \b
    Examples:
      parsnlp rules coverage corpora/dev/gold.jsonl corpora/blind/full/gold.jsonl
      parsnlp rules coverage notes/ --never --patterns our-rules/
      parsnlp rules coverage corpora/dev/gold.jsonl corpora/blind/*/gold.jsonl \\
          --idle
    """
    from parsnlp.evaluation import coverage
    from parsnlp.interfaces import comparison

    names = [str(path) for path in corpora]
    if len(set(names)) < len(names):
        raise InputError("a corpus is named twice; name each once")
    if never + idle + as_json > 1:
        raise InputError("--never, --idle and --json are three answers; ask for one")
    extractor = load(patterns=patterns)
    notes = {name: comparison.notes(Path(name))[1].values() for name in names}
    if idle:
        for rule in coverage.idle(extractor, notes):
            typer.echo(rule)
        return
    found = coverage.coverage(extractor, notes)
    for line in [found.model_dump_json()] if as_json else coverage.lines(found, never):
        typer.echo(line)


def _marked(example: Example) -> str:
    """An example as its rule file writes it: the expected spans in [[ ]], breaks as \\n."""
    text = example.text
    for start, end in sorted(example.spans, reverse=True):
        text = f"{text[:start]}[[{text[start:end]}]]{text[end:]}"
    return text.replace("\n", "\\n")
