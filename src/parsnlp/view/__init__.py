"""Pages: self-contained HTML made of plain data. Every text is escaped, nothing is loaded from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from parsnlp.evaluation.figures import shown


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
    made.filters["number"] = shown
    return made


def render(template: str, **values: Any) -> str:
    """One page. The same values give the same bytes."""
    return environment().get_template(template).render(**values)
