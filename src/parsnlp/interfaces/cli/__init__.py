"""The program `parsnlp`: a module for each group of its commands."""

from parsnlp.interfaces.cli import batch, measure, notes, reference, rules, summary
from parsnlp.interfaces.cli.common import app

__all__ = ["app", "batch", "main", "measure", "notes", "reference", "rules", "summary"]


def main() -> None:
    """The entry point of the program `parsnlp`."""
    app(prog_name="parsnlp")
