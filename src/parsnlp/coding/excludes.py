"""Codes that exclude each other: congenital and acquired (P-C6, P-X1), lysis and slip (P-X2)."""

from __future__ import annotations

from parsnlp.coding.drafts import CodeBook, Draft, causes, unique
from parsnlp.coding.sites import p_c3
from parsnlp.extract import levels as spine
from parsnlp.extract.findings import Found
from parsnlp.models import Alternative, Step, Suppressed
from parsnlp.resolve import Record, Resolved


def p_c6(book: CodeBook, record: Record, drafts: list[Draft], suppressed: list[Suppressed]) -> list[Draft]:
    """P-C6: congenital or dysplastic is Q76.2 and then no M43 code; "developmental" alone likewise, for review."""
    family = str(book.tables["families"]["congenital"])
    acquired = [draft for draft in drafts if draft.code.startswith("M43")]
    inborn = [found for draft in acquired for found in draft.deciding if causes(found) & {"congenital", "dysplastic"}]
    rule, says, review = "P-C6", "congenital or dysplastic", False
    if not inborn:
        # "Not congenital" or "acquired", said of the same condition, settles what "developmental" leaves open.
        inborn = [
            found
            for draft in acquired
            for found in draft.deciding
            if "developmental" in causes(found) and not any("acquired" in causes(other) for other in draft.deciding)
        ]
        says, review = "developmental alone", True
    if not inborn:
        return drafts
    source = next(draft.source for draft in acquired if any(found in draft.deciding for found in inborn))
    spans = []
    for found in inborn:
        spans.append(record.at(found))
        spans += [record.evidence(found, e) for e in found.attributes.etiology]
    step = Step(rule=rule, says=f"{says}: {family}", evidence=unique(spans))
    new = Draft(family, source, [*source.steps, step], [record.at(found) for found in inborn], deciding=inborn)
    if review:
        new.reviews.append(
            Step(rule="P-C6", says="“developmental” does not say congenital or acquired", evidence=unique(spans))
        )
        new.alternatives += [
            Alternative(code=draft.code, why="if the provider documents it as acquired", rule="P-C6")
            for draft in acquired
        ]
    kept = [draft for draft in drafts if not draft.code.startswith("M43")]
    unrelated = p_x1(book, record, acquired, inborn)
    for draft in acquired:
        if draft in unrelated:
            continue
        suppressed.append(
            Suppressed(
                code=draft.code,
                display=book.edition.title(draft.code),
                rule="P-X1",
                reason=f"Excludes1 with {family} at the same or an unstated site",
                evidence=tuple(draft.evidence[:2]),
            )
        )
    for draft in unrelated:
        step = Step(
            rule="P-X1",
            says="an acquired cause at a level that does not touch the congenital one: unrelated, both codes, for review",
            evidence=tuple(draft.evidence[:2]),
        )
        draft.reviews.append(step)
        if not any(review.rule == "P-X1" for review in new.reviews):
            new.reviews.append(step)
    return [new, *unrelated, *kept]


def p_x1(book: CodeBook, record: Record, acquired: list[Draft], inborn: list[Found]) -> list[Draft]:
    """P-X1: the acquired conditions that are unrelated to the congenital one, coded beside Q76.2 (OCG I.A.12.a)."""
    levels = {level for found in inborn for level in found.levels}
    unrelated = []
    for draft in acquired:
        own = [
            found
            for found in draft.deciding
            if found not in inborn
            and causes(found) & {"degenerative", "traumatic", "old_traumatic", "iatrogenic"}
            and found.levels
            and levels
            and not any(spine.touch(a, b) for a in found.levels for b in levels)
        ]
        if own:
            source = draft.source
            names = {level for found in own for level in found.levels}
            part = Resolved(source.condition, source.assertion, source.found, own, source.steps, flags=source.flags)
            part.sites = [site for site in source.sites if site.kind == "level" and site.name in names]
            character, steps = p_c3(book, part)
            code = f"{book.tables['families'][source.condition]}{character}"
            draft.code, draft.source, draft.deciding = code, part, own
            draft.evidence = [record.at(found) for found in own]
            rule = "P-C2" if source.condition == "spondylolisthesis" else "P-C1"
            says = f"{source.condition} of an acquired cause: {book.families[source.condition]}-"
            draft.steps = [*source.steps, Step(rule=rule, says=says, evidence=tuple(draft.evidence[:2])), *steps]
            unrelated.append(draft)
    return unrelated


def p_x2(book: CodeBook, drafts: list[Draft], suppressed: list[Suppressed]) -> None:
    """P-X2: lysis and slip together: `separate` codes both, the lysis for review; `strict` keeps the slip alone."""
    lysis = next((d for d in drafts if d.code.startswith("M43.0")), None)
    slip = next((d for d in drafts if d.code.startswith("M43.1")), None)
    if lysis is None or slip is None:
        return
    evidence = (lysis.evidence[0], slip.evidence[0])
    if book.policy.excludes1 == "separate":
        lysis.reviews.append(
            Step(
                rule="P-X2",
                says=f"Excludes1 pair with {slip.code}: this policy codes both; where a claim may hold only one, that is {slip.code}",
                evidence=evidence,
            )
        )
        slip.steps.append(
            Step(
                rule="P-X2",
                says=f"Excludes1 pair with {lysis.code}: under policy strict this code would stand alone",
                evidence=evidence,
            )
        )
        return
    apart = (
        lysis.source.levels
        and slip.source.levels
        and not any(spine.touch(a, b) for a in lysis.source.levels for b in slip.source.levels)
    )
    if apart:
        lysis.reviews.append(
            Step(
                rule="P-X2",
                says="at a level that does not touch the slip's: unrelated (OCG I.A.12.a), stays for review",
                evidence=evidence,
            )
        )
        return
    drafts.remove(lysis)
    slip.steps.append(
        Step(
            rule="P-X2",
            says=f"Excludes1 pair with {lysis.code}, which is left out; policy separate would code both",
            evidence=evidence,
        )
    )
    slip.alternatives.append(Alternative(code=lysis.code, why="beside the slip under policy separate", rule="P-X2"))
    suppressed.append(
        Suppressed(
            code=lysis.code,
            display=book.edition.title(lysis.code),
            rule="P-X2",
            reason=f"Excludes1 with {slip.code} (policy strict)",
            evidence=tuple(lysis.evidence[:2]),
        )
    )
