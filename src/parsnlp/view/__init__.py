"""Pages: self-contained HTML made of plain data. Every text is escaped, nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from parsnlp.evaluation.figures import shown

_STYLE = re.compile("<style>(.*?)</style>", re.S)


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
    """One page, whose policy lets the browser use its own style and nothing else. The same values give the same bytes."""
    page = environment().get_template(template).render(**values)
    style = _STYLE.search(page)
    if style is None:
        return page
    digest = base64.b64encode(hashlib.sha256(style[1].encode("utf-8")).digest()).decode("ascii")
    return page.replace("'unsafe-inline'", f"'sha256-{digest}'", 1)
