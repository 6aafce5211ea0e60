"""Pages: self-contained HTML made of plain data. Every text is escaped, nothing is loaded from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates of this folder, with escaping always on and no silent blanks for a missing name."""
    made = Environment(
        loader=PackageLoader("parsnlp.view"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    return made


def render(template: str, **values: Any) -> str:
    """One page. The same values give the same bytes."""
    return environment().get_template(template).render(**values)


def number(value: float | None) -> str:
    """Three decimals, a dash for nothing; what is short of 1 never reads as 1."""
    if value is None:
        return "–"
    return f"{value:.3f}" if value == 1 or value < 0.9995 else "0.999"
