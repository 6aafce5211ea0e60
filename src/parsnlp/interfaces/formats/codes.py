"""What kind of note, and which setting, the codes of LOINC and HL7 name: `codes.json`, data that needs no code to grow.

A code that is not in the table tells nothing: the kind is then inferred from the text, as for plain text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib import resources

Coding = tuple[str, str]
"""A code's system (a URL, an OID, or HL7's name of the field) and the code."""


def kind(codings: Iterable[Coding]) -> str | None:
    """The kind of note that the first known code names.

    >>> kind([("http://example.org/local", "MRLS"), ("http://loinc.org", "18748-4")])
    'radiology'
    """
    return _first("kinds", codings)


def setting(codings: Iterable[Coding]) -> str | None:
    """outpatient or inpatient, as the first known code says."""
    return _first("settings", codings)


def _first(what: str, codings: Iterable[Coding]) -> str | None:
    table = _tables()[what]
    return next((table[coding] for coding in codings if coding in table), None)


@cache
def _tables() -> dict[str, dict[Coding, str]]:
    """For kinds and settings: what each system's code means, under every name of the system."""
    data = json.loads(resources.files(__package__).joinpath("codes.json").read_text("utf-8"))
    return {
        what: {
            (alias, code): meaning
            for system, meanings in data[what].items()
            for alias in data["systems"][system]
            for meaning, codes in meanings.items()
            for code in codes
        }
        for what in ("kinds", "settings")
    }
