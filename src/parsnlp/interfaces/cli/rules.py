"""Commands on the rules: list, check, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from parsnlp.errors import InputError
from parsnlp.interfaces.cli.common import (
    FAILED_CHECK,
    Patterns,
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
    """Run every rule's examples and counter-examples; exit status 1 if one fails.

    \b
    Examples:
      parsnlp rules check
      parsnlp rules check --patterns our-rules/
    """
    from parsnlp import rulecheck

    ruleset = read_rules(patterns)
    problems = rulecheck.check(ruleset)
    for problem in problems:
        typer.echo(str(problem))
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


def _marked(example: Example) -> str:
    """An example as its rule file writes it: the expected spans in [[ ]], breaks as \\n."""
    text = example.text
    for start, end in sorted(example.spans, reverse=True):
        text = f"{text[:start]}[[{text[start:end]}]]{text[end:]}"
    return text.replace("\n", "\\n")
