"""The error tree. No message ever carries note text: offsets, ids, paths and rule ids only."""

from __future__ import annotations


class ParsnlpError(Exception):
    """Base of every error that parsnlp raises on purpose. The message says what is wrong, where, and what to do."""


class InputError(ParsnlpError):
    """An input cannot be used: a missing file, undecodable bytes, a row without text, a wrong option value."""


class RuleError(ParsnlpError):
    """One or more rule files are malformed.

    `problems`: one line each, `file:line: what is wrong and what is allowed`; the message joins them all.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the rule files:"
        super().__init__("\n".join([head, *self.problems]))

    def __reduce__(self) -> tuple[type[RuleError], tuple[list[str]]]:
        return type(self), (self.problems,)
