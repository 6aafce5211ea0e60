"""The program `parsnlp`: a module for each group of its commands."""

from parsnlp.interfaces.cli import batch, decisions, exchange, measure, notes, reference, rules, serve, summary
from parsnlp.interfaces.cli.common import app

__all__ = [
    "app",
    "batch",
    "decisions",
    "exchange",
    "main",
    "measure",
    "notes",
    "reference",
    "rules",
    "serve",
    "summary",
]


def main() -> None:
    """The entry point of the program `parsnlp`."""
    app(prog_name="parsnlp")
