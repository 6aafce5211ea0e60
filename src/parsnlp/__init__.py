"""Read clinical notes and say, with proof, which ICD-10-CM code a pars defect or a vertebral slip deserves.

>>> import parsnlp
>>> extractor = parsnlp.load()
>>> [code.code for code in extractor.extract("CT: L5 pars defects with anterolisthesis of L5 on S1.").codes]
['M43.17', 'M43.06']

Everything but `__version__` is imported when first asked for, so that `import parsnlp` itself costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parsnlp.errors import InputError, ParsnlpError, RuleError
    from parsnlp.extractor import Extractor, load
    from parsnlp.models import (
        Alternative,
        Care,
        ChecklistItem,
        Code,
        CodeSet,
        Cue,
        Document,
        Drg,
        Edit,
        Finding,
        Imaging,
        Note,
        NoteCondition,
        Outcome,
        Policy,
        Query,
        Result,
        RuleSetInfo,
        Span,
        Step,
        Suppressed,
        WhatIf,
    )

__version__ = "0.1.0"

__all__ = [
    "Alternative",
    "Care",
    "ChecklistItem",
    "Code",
    "CodeSet",
    "Cue",
    "Document",
    "Drg",
    "Edit",
    "Extractor",
    "Finding",
    "Imaging",
    "InputError",
    "Note",
    "NoteCondition",
    "Outcome",
    "ParsnlpError",
    "Policy",
    "Query",
    "Result",
    "RuleError",
    "RuleSetInfo",
    "Span",
    "Step",
    "Suppressed",
    "WhatIf",
    "__version__",
    "load",
]

_HOMES = {
    "Extractor": "extractor",
    "load": "extractor",
    "InputError": "errors",
    "ParsnlpError": "errors",
    "RuleError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'parsnlp' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"parsnlp.{_HOMES.get(name, 'models')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
