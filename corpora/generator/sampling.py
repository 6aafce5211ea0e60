"""Samplers of findings, and the few ways in which a plot states one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from generator.truth import LYSIS, REGION_CHARS, SLIP, Case, Finding, Study


def weighted(rng: Random, table: Mapping[Any, float]) -> Any:
    return rng.choices(list(table), list(table.values()))[0]


LYSIS_SITES: dict[tuple[str, ...], float] = {
    ("L5",): 50,
    ("L4",): 11,
    ("L3",): 6,
    ("L2",): 2,
    ("L1",): 1,
    ("L5-S1",): 9,
    ("L4-L5",): 3,
    ("lumbar",): 5,
    ("lumbosacral",): 3,
    ("C6",): 3,
    ("C2",): 1,
    ("T12",): 1,
    ("T11",): 1,
    ("S1",): 1,
    ("cervical",): 1,
    ("thoracic",): 1,
    ("L3", "L5"): 2,
    ("L4", "L5"): 2,
}
SLIP_SITES: dict[tuple[str, ...], float] = {
    ("L4-L5",): 30,
    ("L5-S1",): 25,
    ("L3-L4",): 10,
    ("L2-L3",): 4,
    ("L1-L2",): 2,
    ("C4-C5",): 3,
    ("C3-C4",): 3,
    ("C5-C6",): 1,
    ("C2-C3",): 1,
    ("C7-T1",): 3,
    ("T12-L1",): 2,
    ("T11-T12",): 2,
    ("S1-S2",): 1,
    ("L6-S1",): 1,
    ("lumbar",): 4,
    ("lumbosacral",): 2,
    ("cervical",): 1,
    ("cervicothoracic",): 1,
    ("thoracolumbar",): 1,
    ("L3-L4", "L4-L5"): 4,
    ("L4-L5", "L5-S1"): 5,
    ("L2-L3", "L4-L5"): 2,
}


def lysis_finding(rng: Random, kind: str = "", **fixed: Any) -> Finding:
    kind = kind or weighted(
        rng, {"plain": 80, "nonunion": 5, "stress_fracture": 8, "stress_reaction": 4, "fracture": 3}
    )
    sites = weighted(rng, LYSIS_SITES)
    side = weighted(rng, {"bilateral": 45, "left": 16, "right": 16, "unilateral": 3, None: 20})
    if sites[0] in REGION_CHARS:
        side = None
    chronicity = {
        "plain": weighted(rng, {"chronic": 35, None: 60, "acute_on_chronic": 2, "subacute": 3}),
        "nonunion": "nonunion",
        "stress_reaction": "stress_reaction",
        "stress_fracture": weighted(rng, {None: 50, "acute": 25, "healing": 15, "subacute": 10}),
        "fracture": weighted(rng, {None: 30, "healing": 20, "acute": 30, "chronic": 20}),
    }[kind]
    etiology = "stress" if kind.startswith("stress") else None
    return replace(Finding(sites, side, chronicity, etiology, kind=kind), **fixed)


def slip_finding(rng: Random, **fixed: Any) -> Finding:
    sites = fixed.get("sites") or weighted(rng, SLIP_SITES)
    direction = weighted(rng, {"antero": 40, "retro": 12, "latero": 2, None: 46})
    etiology = weighted(rng, {None: 50, "degenerative": 42, "pathologic": 2, "iatrogenic": 6})
    grade = weighted(rng, {None: 25, "I": 32, "II": 12, "III": 3, "IV": 1, "low": 3, "high": 1, "mm": 15, "%": 8})
    if direction in ("retro", "latero") or sites[0][0] in "CTct":
        grade = weighted(rng, {None: 40, "I": 30, "mm": 30})
    if grade == "mm":
        grade = f"{rng.randint(2, 9)} mm"
    elif grade == "%":
        grade = f"{rng.choice([10, 15, 20, 25, 30, 35, 40])}%"
    return replace(Finding(sites, None, None, etiology, grade, direction), **(fixed | {"sites": sites}))


def body_of(sites: tuple[str, ...]) -> str:
    first = sites[0] if sites else "lumbar"
    if first in REGION_CHARS:
        return first if first in ("cervical", "thoracic") else {"cervicothoracic": "cervical"}.get(first, "lumbar")
    return {"C": "cervical", "T": "thoracic"}.get(first[0], "lumbar") if first != "T12-L1" else "lumbar"


def sample(rng: Random, condition: str, **fixed: Any) -> Finding:
    return lysis_finding(rng, **fixed) if condition == LYSIS else slip_finding(rng, **fixed)


def fresh(finding: Finding) -> bool:
    return finding.chronicity in ("acute", "subacute", "stress_reaction", "acute_on_chronic")


def reduced(rng: Random, finding: Finding) -> Finding:
    """The same finding as an assessment words it: some attributes left off, the site kept."""
    return replace(
        finding,
        side=finding.side if rng.random() < 0.6 else None,
        grade=finding.grade if rng.random() < 0.6 else None,
        direction=finding.direction if rng.random() < 0.5 else None,
        chronicity=finding.chronicity if rng.random() < 0.6 else None,
    )


def a_condition(case: Case) -> str:
    return case.rng.choice((LYSIS, SLIP))


def other(condition: str) -> str:
    return SLIP if condition == LYSIS else LYSIS


def study(case: Case, *modalities: str) -> None:
    films = 0 if case.style == "radiology_levels" else 30  # a report by level speaks of discs, which films do not show
    for modality in modalities or (weighted(case.rng, {"radiograph": films, "CT": 35, "MRI": 35}),):
        case.studies.append(Study(modality))


def affirm(case: Case, condition: str, finding: Finding, frame: str = "", history: bool = True) -> None:
    """State a finding as a chart does: seen on imaging, adopted in the assessment, sometimes in the history too."""
    case.body = body_of(finding.sites)
    frame = frame or ("fresh" if fresh(finding) else "")
    in_imaging = "imaging" in case.roles and (case.kind == "radiology" or case.chance(0.6))
    if in_imaging:
        if not case.studies:
            study(case)
        shown = (
            finding
            if frame not in ("cause", "not_congenital", "since_birth", "after_fusion")
            else replace(finding, etiology=None)
        )
        case.say("imaging", condition, "affirmed", shown, "fresh" if fresh(finding) else "")
    short = reduced(case.rng, finding) if in_imaging and not frame else finding
    case.say(
        "assessment",
        condition,
        "affirmed",
        replace(short, kind="plain") if short.kind == "subluxation" else short,
        frame,
    )
    if history and "history" in case.roles and frame == "" and case.chance(0.25):
        case.say("history", condition, "affirmed", Finding(finding.sites if case.chance(0.6) else ()))


def deny(
    case: Case, condition: str, role: str = "", finding: Finding | None = None, frame: str = "", **more: Any
) -> None:
    if not role:
        role = "imaging" if "imaging" in case.roles and case.chance(0.6) else "assessment"
    if role == "imaging" and not case.studies:
        study(case)
    case.say(role, condition, "negated", finding, frame, **more)
