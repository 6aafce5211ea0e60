"""Pages: self-contained HTML made of plain data. Every text is escaped, nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from parsnlp.evaluation.figures import shown

_STYLE = re.compile("<style>(.*?)</style>", re.S)
_SCRIPT = re.compile('<script type="module">(.*?)</script>', re.S)


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
    made.globals["asset"] = asset
    return made


def render(template: str, **values: Any) -> str:
    """One page, whose policy lets the browser use its own style and script and nothing else.

    The same values give the same bytes.
    """
    page = environment().get_template(template).render(**values)
    allowed = _hashes(_STYLE, page)
    script = _hashes(_SCRIPT, page)
    if script:
        allowed += f"; script-src {script}"
    return page.replace("'unsafe-inline'", allowed, 1) if allowed else page


def asset(name: str) -> Markup:
    """A style sheet or script of ours, as it stands in `static/`."""
    return Markup((resources.files("parsnlp.view") / "static" / name).read_text(encoding="utf-8"))


def _hashes(kind: re.Pattern[str], page: str) -> str:
    """The elements of a kind that a page has, as a policy names them."""
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in kind.findall(page))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
