"""The lexicon files, and which of their distractors a case may carry."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from generator.truth import Case

LEXICON = Path(__file__).parent / "lexicon"


@cache
def lexicon() -> dict[str, Any]:
    """All lexicon files; the held-out styles' wording is merged in under registers of its own."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    files = {p.stem: yaml.load(p.read_text(encoding="utf-8"), loader) for p in sorted(LEXICON.glob("*.yaml"))}
    held = files["held_out"]
    frames = files["assertions"]
    for name, registers in held["assertions"].items():
        if name == "pairs":
            for key, more in registers.items():
                frames["pairs"][key].update(more)
        else:
            frames[name].update(registers)
    frames.update(frames.pop("pairs"))
    lists = files["distractors"]
    for register, more in held["distractors"].items():
        for name, values in more.items():
            lists.setdefault(name, {})[register] = values
    return {
        "frames": frames,
        "distractors": lists,
        "styles": files["styles"] | held["styles"],
        "conditions": files["conditions"],
    }


@cache
def available(register: str) -> frozenset[str]:
    """The frame sets that a register has; "pairs" stands for the three pair sets."""
    names = {name for name, registers in lexicon()["frames"].items() if register in registers}
    return frozenset(names | ({"pairs"} if "negated_negated" in names else set()))


ADULT = re.compile(
    r"desk|walks the dog|quarter mile|microdisc|diabet|HTN|DM2|hypertens|gout|osteopenia|statin|metformin|ESI|epidural"
    r"|TFESI|hip osteo|Obesity|Chronic pain|slipped disc old|smoker|lisinopril|spondylosis|stenosis|sertraline"
    r"|in childhood|age 12|2009|pre-DM|R hip OA|as child",
    re.I,
)
NOT_ON_FILM = re.compile(r"disc\b|conus|marrow|cord|cyst|annular|bulge|protrusion|soft tissue|DDD", re.I)
SITE_WORD = re.compile(r"lumb|cervic|thorac|sacr|neck|dorsal|\b[CTLS]\d|\bLSO\b|TLSO|SI joint|Slipped disc|DDD", re.I)


def allowed(case: Case, text: str) -> bool:
    if case.no_site and SITE_WORD.search(text):
        return False
    if case.young and ADULT.search(text):
        return False
    if case.injured and re.search(r"injur|no compression|fractur", text, re.I):
        return False
    return not (
        case.plot in ("congenital", "developmental", "congenital_and_acquired") and re.search(r"spondylosis at", text)
    )


def distractor(case: Case, name: str) -> str:
    values = [
        t
        for t in lexicon()["distractors"][name][
            case.register if case.register in lexicon()["distractors"][name] else "prose"
        ]
        if allowed(case, t)
    ]
    return str(case.rng.choice(values))


def cause(case: Case) -> dict[str, str]:
    """The one cause of a note's injury."""
    if not case.cause:
        case.cause = case.rng.choice(lexicon()["conditions"]["trauma"]["causes"])
    return case.cause


def event(case: Case) -> str:
    return str(cause(case)["short" if case.register in ("tele", "form", "phone") else "event"])
