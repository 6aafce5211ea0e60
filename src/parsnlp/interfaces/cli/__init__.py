"""The program `parsnlp`: a module for each group of its commands."""

import os
import sys

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
    _fill_closed_streams()
    app(prog_name="parsnlp")


def _fill_closed_streams() -> None:
    """Give each standard stream that the shell has closed (`>&-`) a descriptor again, on which it fails when used.

    Else the next file that is opened would take its number, and what is said on the stream would go into that file.
    """
    for number, name, mode, flags in (
        (0, "stdin", "r", os.O_WRONLY),
        (1, "stdout", "w", os.O_RDONLY),
        (2, "stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
