"""The fifth character: regions of levels and names, junctions and single vertebrae (P-C3, P-C4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parsnlp.coding.drafts import CodeBook, Draft, own_spans, site_spans
from parsnlp.extract import levels as spine
from parsnlp.models import Alternative, Step
from parsnlp.resolve import Resolved


def p_c3(book: CodeBook, item: Resolved) -> tuple[str, list[Step]]:
    """P-C3: the fifth character of a condition's sites, with the steps that led to it."""
    steps: list[Step] = []
    regions = list(dict.fromkeys(p_c4(book, item, steps)))
    spans = site_spans(item.sites)
    if not regions:
        steps.append(Step(rule="P-C3", says="no site: fifth character 0, unspecified", evidence=own_spans(item)))
        return str(book.tables["unspecified_site"]), steps
    if len(regions) > 1:
        says = f"{' and '.join(regions)}: different sites, fifth character 9"
        steps.append(Step(rule="P-C4", says=says, evidence=spans))
        return str(book.tables["multiple_sites"]), steps
    row = book.regions[regions[0]]
    character = str(row["character"])
    says = f"{regions[0]} region ({row['holds']}): fifth character {character}"
    steps.append(Step(rule="P-C3", says=says, evidence=spans))
    return character, steps


def p_c4(book: CodeBook, item: Resolved, steps: list[Step]) -> list[str]:
    """P-C4: the regions of a condition's levels and named regions, junction members and containing regions merged."""
    names = list(dict.fromkeys(site.name for site in item.sites if site.kind == "level"))
    named = list(dict.fromkeys(site.name for site in item.sites if site.kind == "region"))
    singles = [name for name in names if "-" not in name]
    segments = [name for name in names if "-" in name]
    if item.condition == "spondylolisthesis" and len(singles) == 2 and not segments:
        upper, lower = spine.order(singles)
        if book.region_of(f"{upper}-{lower}"):
            singles, segments = [], [f"{upper}-{lower}"]
    spans = {site.name: site.span for site in item.sites}
    regions: list[str] = []
    junctions = {name: row for name, row in book.regions.items() if not row["vertebrae"]}
    for segment in segments:
        regions.append(book.region_of(segment) or "")
    for vertebra in singles:
        holders = [segment for segment in segments if vertebra in spine.members(segment)]
        held = [
            region
            for region in named
            if region in junctions and any(vertebra in spine.members(s) for s in junctions[region]["segments"])
        ]
        if holders:
            segment = next((s for s in holders if book.region_of(s) in junctions), holders[0])
            regions.append(book.region_of(segment) or "")
            if book.region_of(segment) in junctions:
                steps.append(
                    Step(
                        rule="P-C4",
                        says=f"{vertebra} is a member of {segment}: one site",
                        evidence=(spans[vertebra], spans[segment]),
                    )
                )
        elif held:
            regions.append(held[0])
            steps.append(
                Step(
                    rule="P-C4",
                    says=f"the named {held[0]} region contains {vertebra} and wins",
                    evidence=(spans[held[0]], spans[vertebra]),
                )
            )
        else:
            regions.append(book.region_of(vertebra) or "")
    for region in named:
        row = book.regions[region]
        near = {name for name in names if set(spine.members(name)) & _vertebrae(row)}
        if near and region not in regions:
            steps.append(
                Step(
                    rule="P-C4",
                    says=f"the levels are more specific than “{region}”",
                    evidence=(spans[region], spans[sorted(near)[0]]),
                )
            )
        elif not near and not (region in junctions and names and set(regions) & _neighbours(book, region)):
            regions.append(region)
    # A junction region beside one of the regions it joins ("lumbar" and "lumbosacral", no level): the junction is meant.
    if not names and len(set(regions)) == 2:
        for region in regions:
            others = [other for other in regions if other != region]
            if region in junctions and set(others) <= _neighbours(book, region):
                return [region]
    return [region for region in regions if region]


def _vertebrae(row: Mapping[str, Any]) -> set[str]:
    return set(row["vertebrae"]) | {vertebra for segment in row["segments"] for vertebra in spine.members(segment)}


def _neighbours(book: CodeBook, junction: str) -> set[str]:
    """The regions that a junction joins: lumbar and sacral of lumbosacral."""
    return {book.region_of(v) or "" for segment in book.regions[junction]["segments"] for v in spine.members(segment)}


def p_c4_single_vertebra(book: CodeBook, draft: Draft) -> None:
    """P-C4, last clause: a slip sited only by one vertebra takes its region, for review, the segment as alternative."""
    item = draft.source
    levels = item.levels
    if item.condition != "spondylolisthesis" or len(levels) != 1 or "-" in levels[0]:
        return
    if any(site.kind == "region" and book.regions[site.name]["vertebrae"] == [] for site in item.sites):
        return
    vertebra = levels[0]
    below = [s for row in book.regions.values() for s in row["segments"] if spine.members(s)[0] == vertebra]
    segment = next((s for s in below if "L6" not in s or vertebra == "L6"), None)
    says = f"a slip sited only by one vertebra, {vertebra}"
    draft.reviews.append(Step(rule="P-C4", says=says, evidence=site_spans(item.sites)))
    if segment is not None:
        character = book.regions[book.region_of(segment) or ""]["character"]
        code = f"{book.tables['families']['spondylolisthesis']}{character}"
        if code != draft.code:
            draft.alternatives.append(Alternative(code=code, why=f"if the slip is of {segment}", rule="P-C4"))
