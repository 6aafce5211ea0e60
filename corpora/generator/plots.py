"""The plots: each samples a truth that the coding policy decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from generator.lexicons import available, distractor, event, lexicon
from generator.sampling import (
    a_condition,
    affirm,
    body_of,
    deny,
    fresh,
    lysis_finding,
    other,
    reduced,
    sample,
    slip_finding,
    study,
    weighted,
)
from generator.truth import LYSIS, REGION_CHARS, SLIP, TRAUMA, Case, Finding, Injury, Statement, Study

Plot = Callable[[Case], None]


@dataclass(frozen=True)
class PlotSpec:
    make: Plot
    weight: float
    coded: bool
    rules: tuple[str, ...]
    why: str
    needs: frozenset[str]
    kinds: frozenset[str]  # only these kinds of note; empty: all
    never: frozenset[str]  # kinds that cannot carry the plot
    frames: tuple[str, ...]  # frame sets of the lexicon that the style's register must have


PLOTS: dict[str, PlotSpec] = {}


def plot(
    weight: float,
    coded: bool,
    rules: str,
    why: str,
    needs: str = "assessment",
    kinds: str = "",
    never: str = "",
    frames: str = "",
) -> Callable[[Plot], Plot]:
    def register(make: Plot) -> Plot:
        PLOTS[make.__name__] = PlotSpec(
            make,
            weight,
            coded,
            tuple(rules.split()),
            why,
            frozenset(needs.split()),
            frozenset(kinds.split()),
            frozenset(never.split()),
            tuple(frames.split()),
        )
        return make

    return register


@plot(12, True, "P-C1 P-C3 P-C5", "spondylolysis, present")
def lysis(case: Case) -> None:
    finding = lysis_finding(case.rng)
    case.young = True
    if len(finding.sites) == 2:
        case.omit.add("attributes")  # "L4 and L5" may be read as two vertebrae or a segment
    affirm(case, LYSIS, finding)
    if case.chance(0.4) and case.kind != "operative":
        deny(case, SLIP)


@plot(14, True, "P-C2 P-C3 P-C5", "spondylolisthesis, present")
def slip(case: Case) -> None:
    affirm(case, SLIP, slip_finding(case.rng))
    if case.chance(0.35) and case.kind != "operative":
        deny(case, LYSIS)


@plot(4, True, "P-A1 P-C1", "one condition without the other, in one clause", never="operative", frames="pairs")
def one_without_other(case: Case) -> None:
    condition = a_condition(case)
    finding = sample(case.rng, condition) if condition == SLIP else lysis_finding(case.rng, "plain", chronicity=None)
    if len(finding.sites) == 2 and condition == LYSIS:
        finding = replace(finding, sites=("L5",))
    case.body = body_of(finding.sites)
    if case.kind == "radiology":
        study(case)
        case.say("imaging", condition, "affirmed", finding)
    line = case.say("assessment", condition, "affirmed", finding, "affirmed_negated")
    line.statements.append(Statement(other(condition), "negated"))


def pair(rng: Random) -> tuple[Finding, Finding]:
    vertebra, segment = weighted(
        rng,
        {
            ("L5", "L5-S1"): 60,
            ("L4", "L4-L5"): 20,
            ("L3", "L3-L4"): 5,
            ("L5", "L4-L5"): 6,
            ("L5", "L3-L4"): 5,
            ("C6", "C6-C7"): 4,
        },
    )
    low = lysis_finding(rng, "plain", sites=(vertebra,))
    return replace(low, chronicity=rng.choice(["chronic", None])), slip_finding(
        rng, sites=(segment,), etiology=None, direction=rng.choice(["antero", None])
    )


@plot(8, True, "P-C4 P-X2 P-X6", "lysis and slip both affirmed, each with its own level")
def both(case: Case) -> None:
    defect, shift = pair(case.rng)
    case.young = True
    case.body = body_of(shift.sites)
    if "imaging" in case.roles and (case.kind == "radiology" or case.chance(0.6)):
        study(case)
        case.say("imaging", LYSIS, "affirmed", defect)
        case.say("imaging", SLIP, "affirmed", shift)
    if case.chance(0.5) and "pairs" in available(case.register):
        line = case.say("assessment", LYSIS, "affirmed", defect, "affirmed_affirmed")
        line.statements.append(Statement(SLIP, "affirmed", shift))
    else:
        case.say("assessment", SLIP, "affirmed", shift)
        case.say("assessment", LYSIS, "affirmed", defect)


@plot(3, True, "P-C4 P-X2 P-X6", "the slip has no site of its own and shares the clause's segment", frames="shared")
def shared_clause(case: Case) -> None:
    segment = weighted(case.rng, {"L5-S1": 70, "L4-L5": 30})
    defect = Finding(
        (segment,), case.rng.choice(["bilateral", None]), case.rng.choice(["chronic", None]), kind="clause"
    )
    if case.kind == "radiology":
        study(case)
        line = case.say("imaging", LYSIS, "affirmed", defect, "shared", shared=True)
        line.statements.append(Statement(SLIP, "affirmed", Finding(grade=case.rng.choice(["I", "II", None]))))
    line = case.say("assessment", LYSIS, "affirmed", defect, "shared", shared=True)
    line.statements.append(
        Statement(
            SLIP, "affirmed", Finding(grade=None if case.kind == "radiology" else case.rng.choice(["I", "II", None]))
        )
    )


@plot(4, True, "P-C6", "congenital or dysplastic: Q76.2", never="operative")
def congenital(case: Case) -> None:
    condition = weighted(case.rng, {SLIP: 70, LYSIS: 30})
    site = (
        weighted(case.rng, {"L5-S1": 80, "L4-L5": 10, "C6" if condition == LYSIS else "C2-C3": 10})
        if condition == SLIP
        else weighted(case.rng, {"L5": 80, "L4": 10, "C6": 10})
    )
    frame = case.rng.choice(["", "since_birth"])
    etiology = "congenital" if frame or condition == LYSIS else case.rng.choice(["congenital", "dysplastic"])
    fixed = {"sites": (site,), "etiology": etiology}
    finding = (
        slip_finding(case.rng, **fixed, direction=None)
        if condition == SLIP
        else lysis_finding(case.rng, "plain", chronicity=None, **fixed)
    )
    case.young = True
    affirm(case, condition, replace(finding, etiology_in_frame=bool(frame)), frame, history=False)
    if condition == SLIP and site == "L5-S1" and case.chance(0.25):
        case.say("assessment", LYSIS, "affirmed", Finding(("L5",), "bilateral"))
        case.omit.add("queries")  # the lysis is affirmed, yet gets no code beside Q76.2


@plot(2, True, "P-C6 P-X6", "developmental alone: Q76.2 for review, query", never="operative")
def developmental(case: Case) -> None:
    condition = a_condition(case)
    site = "L5" if condition == LYSIS else "L5-S1"
    case.young = True
    affirm(
        case,
        condition,
        Finding(
            (site,), etiology="developmental", grade=None if condition == LYSIS else case.rng.choice([None, "I", "II"])
        ),
        history=False,
    )


@plot(
    1.5,
    True,
    "P-X1 P-X6",
    "congenital slip and an unrelated degenerative one at a level that does not touch",
    never="operative problem_list",
)
def congenital_and_acquired(case: Case) -> None:
    upper = case.rng.choice(["L2-L3", "L3-L4"])
    if "imaging" in case.roles:
        study(case)
        case.say(
            "imaging",
            SLIP,
            "affirmed",
            Finding((upper,), etiology="degenerative", direction="retro" if case.chance(0.5) else "antero"),
        )
    case.say(
        "assessment", SLIP, "affirmed", Finding(("L5-S1",), etiology=case.rng.choice(["congenital", "dysplastic"]))
    )
    case.say("assessment", SLIP, "affirmed", Finding((upper,), etiology="degenerative"))
    case.omit |= {"attributes", "queries"}


@plot(2, True, "P-C6", "congenital negated, acquired: M43", frames="not_congenital", never="operative")
def not_congenital(case: Case) -> None:
    condition = a_condition(case)
    finding = (
        lysis_finding(case.rng, "plain", sites=("L5",), chronicity=None)
        if condition == LYSIS
        else slip_finding(case.rng, etiology=None)
    )
    affirm(case, condition, finding, "not_congenital", history=False)


@plot(4, True, "P-C6 P-X4", "isthmic slip, no separate lysis documented: query")
def isthmic_slip(case: Case) -> None:
    affirm(
        case,
        SLIP,
        slip_finding(
            case.rng,
            sites=(weighted(case.rng, {"L5-S1": 75, "L4-L5": 25}),),
            etiology="isthmic",
            direction=case.rng.choice(["antero", None]),
        ),
        history=False,
    )


@plot(
    4,
    True,
    "P-C7",
    "stress fracture or reaction or acute pars fracture without trauma: M43.0",
    needs="history assessment",
    never="operative",
)
def sport_stress(case: Case) -> None:
    kind = weighted(case.rng, {"stress_fracture": 50, "stress_reaction": 30, "fracture": 20})
    finding = lysis_finding(case.rng, kind, sites=(weighted(case.rng, {"L5": 65, "L4": 25, "L3": 10}),))
    if kind == "fracture":
        finding = replace(finding, chronicity="acute")
    case.young = True
    case.extra["history"] = [distractor(case, "mechanism_sport")]
    affirm(case, LYSIS, finding)


@plot(
    2,
    True,
    "P-C11",
    "chronic defect in a patient who also fell: no S code",
    needs="history assessment",
    never="operative",
)
def chronic_and_fell(case: Case) -> None:
    case.extra["history"] = [distractor(case, "fall_only")]
    affirm(
        case,
        LYSIS,
        lysis_finding(case.rng, "plain", sites=("L5",), side="bilateral", chronicity="chronic"),
        history=False,
    )


@plot(
    4,
    True,
    "P-C5",
    "bare assessment, the level stands only in the imaging report",
    needs="imaging assessment",
    never="radiology operative",
)
def bare_assessment(case: Case) -> None:
    condition = a_condition(case)
    finding = lysis_finding(case.rng, "plain") if condition == LYSIS else slip_finding(case.rng)
    if (len(finding.sites) == 2 and condition == LYSIS) or finding.sites[0] in REGION_CHARS:
        finding = replace(finding, sites=("L5",) if condition == LYSIS else ("L4-L5",))
    case.body = body_of(finding.sites)
    study(case)
    case.say("imaging", condition, "affirmed", finding, "fresh" if fresh(finding) else "")
    case.say("assessment", condition, "affirmed", Finding())


@plot(
    2,
    True,
    "P-C4",
    "region of the assessment contains the level of the report",
    needs="imaging assessment",
    never="radiology operative",
)
def region_and_level(case: Case) -> None:
    condition = a_condition(case)
    region = case.rng.choice(["lumbosacral", "lumbar"])
    site = "L5" if condition == LYSIS else "L5-S1"
    study(case)
    case.say(
        "imaging",
        condition,
        "affirmed",
        sample(case.rng, condition, sites=(site,))
        if condition == SLIP
        else lysis_finding(case.rng, "plain", sites=(site,), chronicity=None),
    )
    case.say("assessment", condition, "affirmed", Finding((region,)))


@plot(2, True, "P-C4", "L5 defects and lysis at L5-S1 are one site", needs="imaging assessment", never="operative")
def vertebra_and_junction(case: Case) -> None:
    study(case)
    case.say(
        "imaging",
        LYSIS,
        "affirmed",
        lysis_finding(case.rng, "plain", sites=("L5",), chronicity=case.rng.choice(["chronic", None])),
    )
    case.say("assessment", LYSIS, "affirmed", Finding(("L5-S1",), kind="clause"))


@plot(9, True, "P-C5", "site only in the heading of the study", kinds="radiology")
def heading_site(case: Case) -> None:
    condition = a_condition(case)
    films = 0 if case.style == "radiology_levels" else 40
    case.film = weighted(case.rng, {"lumbar": 50, "lumbosacral": films, "cervical": 12, "thoracic": 8})
    case.body = case.film if case.film != "lumbosacral" else "lumbar"
    finding = replace(
        lysis_finding(case.rng, "plain", chronicity=None)
        if condition == LYSIS
        else slip_finding(case.rng, etiology=None),
        sites=(),
    )
    study(case, *(["radiograph"] if case.film == "lumbosacral" else []))
    case.say("imaging", condition, "affirmed", finding)
    case.say("assessment", condition, "affirmed", replace(finding, grade=None))


@plot(3, True, "P-C5 P-X4", "no site anywhere: unspecified, query", never="radiology operative")
def unspecified_site(case: Case) -> None:
    condition = a_condition(case)
    case.no_site = True
    finding = (
        Finding(side=case.rng.choice(["bilateral", None]))
        if condition == LYSIS
        else Finding(grade=case.rng.choice(["I", None]), etiology=case.rng.choice(["degenerative", None]))
    )
    case.say("assessment", condition, "affirmed", finding)
    if "history" in case.roles and case.chance(0.4):
        case.say("history", condition, "affirmed", Finding())


@plot(2, True, "P-C4 P-X6", "slip sited by one vertebra")
def slip_one_vertebra(case: Case) -> None:
    affirm(
        case,
        SLIP,
        Finding(
            (weighted(case.rng, {"L5": 60, "L4": 30, "L3": 10}),),
            grade=case.rng.choice(["I", "II", None]),
            direction=case.rng.choice(["antero", None]),
        ),
    )


@plot(1, True, "P-X6", "nontraumatic subluxation read as a slip", never="operative chiro")
def subluxation(case: Case) -> None:
    affirm(
        case,
        SLIP,
        Finding(
            (weighted(case.rng, {"L4-L5": 60, "L3-L4": 25, "L5-S1": 15}),),
            etiology="degenerative",
            direction="antero",
            kind="subluxation",
        ),
        "fresh",
        history=False,
    )
    for line in case.lines:
        line.statements[0].finding = replace(line.statements[0].finding, kind="subluxation")


@plot(
    3,
    True,
    "P-X6",
    "only an imaging section states it",
    needs="imaging assessment",
    never="radiology operative scribe chiro letter telephone",
)
def imaging_only(case: Case) -> None:
    condition = a_condition(case)
    finding = lysis_finding(case.rng, "plain") if condition == LYSIS else slip_finding(case.rng)
    if len(finding.sites) == 2 and condition == LYSIS:
        finding = replace(finding, sites=("L5",))
    case.body = body_of(finding.sites)
    study(case)
    case.studies[0].label = "radiology report"
    case.say(
        "imaging",
        condition,
        "affirmed",
        finding,
        "fresh" if fresh(finding) else "",
        register="report" if case.register == "prose" else "",
    )


@plot(6, True, "P-A4 P-X6", "findings against impression within one report", kinds="radiology")
def conflict(case: Case) -> None:
    condition = a_condition(case)
    case.conflict = True
    finding = (
        lysis_finding(case.rng, "plain", sites=("L5",))
        if condition == LYSIS
        else slip_finding(case.rng, sites=(case.rng.choice(["L4-L5", "L5-S1"]),))
    )
    study(case)
    case.say("imaging", condition, "affirmed", finding, "fresh")
    case.say(
        "assessment",
        condition,
        "negated",
        Finding(finding.sites if case.chance(0.4) else (), kind="clause"),
        "flat_denial",
    )


@plot(3, True, "P-A2", "pseudo-negation affirms", frames="pseudo", never="operative problem_list")
def pseudo_negation(case: Case) -> None:
    condition = a_condition(case)
    finding = (
        lysis_finding(case.rng, "plain", chronicity=case.rng.choice([None, "chronic"]))
        if condition == LYSIS
        else slip_finding(case.rng)
    )
    if len(finding.sites) == 2 and condition == LYSIS:
        finding = replace(finding, sites=("L4",))
    case.body = body_of(finding.sites)
    if case.kind == "radiology":
        study(case)
    case.say("assessment", condition, "affirmed", finding, "pseudo")
    if case.kind == "radiology":
        case.say("imaging", condition, "affirmed", finding, "pseudo" if case.chance(0.5) else "")


@plot(2, True, "P-A3", "history of, and also described as present", needs="pmh assessment")
def history_and_current(case: Case) -> None:
    condition = a_condition(case)
    case.say("pmh", condition, "historical", Finding(), "history_of")
    affirm(
        case,
        condition,
        lysis_finding(case.rng, "plain", sites=("L5",)) if condition == LYSIS else slip_finding(case.rng),
        history=False,
    )


@plot(
    2,
    True,
    "P-A6",
    "slip after fusion, affirmed in the assessment",
    frames="after_fusion",
    never="radiology operative pt",
)
def slip_after_fusion(case: Case) -> None:
    case.say(
        "assessment",
        SLIP,
        "affirmed",
        slip_finding(case.rng, sites=(case.rng.choice(["L4-L5", "L5-S1"]),)),
        "after_fusion",
    )


@plot(6, True, "P-A7 P-A2", "known disease in the indication, unchanged", kinds="radiology")
def known_indication(case: Case) -> None:
    condition = a_condition(case)
    finding = (
        lysis_finding(case.rng, "plain", sites=("L5",), chronicity=None)
        if condition == LYSIS
        else slip_finding(case.rng, sites=(case.rng.choice(["L4-L5", "L5-S1"]),), etiology=None)
    )
    study(case)
    case.say("indication", condition, "affirmed", replace(finding, grade=None), "known")
    case.say("imaging", condition, "affirmed", finding)
    case.say("assessment", condition, "affirmed", finding, "pseudo" if case.chance(0.5) else "")


@plot(
    3,
    True,
    "P-A4",
    "suspected on film, confirmed on CT",
    needs="imaging assessment",
    never="radiology operative discharge",
)
def suspected_then_confirmed(case: Case) -> None:
    finding = lysis_finding(case.rng, "plain", sites=(case.rng.choice(["L5", "L4"]),))
    case.young = True
    study(case, "radiograph", "CT")
    case.say("imaging", LYSIS, "uncertain", Finding(finding.sites))
    case.say("imaging", LYSIS, "affirmed", finding, "fresh", study=1)
    case.say("assessment", LYSIS, "affirmed", reduced(case.rng, finding), "fresh")


@plot(2, True, "P-A4", "absent supine, present standing", needs="imaging assessment", never="radiology operative")
def supine_and_standing(case: Case) -> None:
    finding = slip_finding(
        case.rng, sites=(case.rng.choice(["L4-L5", "L5-S1", "L3-L4"]),), direction=case.rng.choice(["antero", None])
    )
    case.studies = [Study("MRI", "supine"), Study("radiograph", "standing")]
    case.say("imaging", SLIP, "negated", Finding(kind="clause"), "flat_denial", counts=False)
    case.say("imaging", SLIP, "affirmed", finding, "fresh", study=1)
    case.say("assessment", SLIP, "affirmed", finding, "fresh")


@plot(4, True, "P-A4", "an addendum corrects a denial", kinds="radiology")
def corrected(case: Case) -> None:
    condition = a_condition(case)
    finding = (
        lysis_finding(case.rng, "plain", sites=("L5",), chronicity=None)
        if condition == LYSIS
        else slip_finding(case.rng, sites=("L4-L5",))
    )
    study(case)
    case.say("imaging", condition, "negated", Finding(kind="clause"), "flat_denial", counts=False)
    case.say("assessment", condition, "affirmed", finding, "corrected")


@plot(2, True, "P-C2", "old traumatic slip: M43.1", never="operative")
def old_trauma_slip(case: Case) -> None:
    affirm(case, SLIP, Finding((case.rng.choice(["L5-S1", "L4-L5", "C5-C6"]),), etiology="traumatic"), history=False)


@plot(2, True, "P-A8", "the cause is hedged, the slip affirmed", frames="cause", never="operative")
def cause_uncertain(case: Case) -> None:
    affirm(case, SLIP, slip_finding(case.rng, etiology=None), "cause", history=False)
    case.omit.add("attributes")


@plot(1.5, True, "P-A8 P-X4", "age indeterminate, the defect affirmed", frames="age_unknown", never="operative")
def age_indeterminate(case: Case) -> None:
    finding = lysis_finding(case.rng, "plain", sites=(case.rng.choice(["L5", "L4"]),), chronicity=None)
    affirm(case, LYSIS, finding, "age_unknown", history=False)


@plot(
    2, True, "P-A1 P-C5", "slip absent at one level, present at another", needs="imaging assessment", never="operative"
)
def level_negation(case: Case) -> None:
    present, absent = case.rng.sample(["L3-L4", "L4-L5", "L5-S1"], 2)
    study(case)
    case.say("imaging", SLIP, "affirmed", slip_finding(case.rng, sites=(present,)))
    case.say("imaging", SLIP, "negated", Finding((absent,)), "flat_denial", counts=False)
    case.say(
        "assessment",
        SLIP,
        "affirmed",
        slip_finding(case.rng, sites=(present,), grade=None, direction=None, etiology=None),
    )


@plot(
    2,
    True,
    "P-A3",
    "treatment that presupposes the condition",
    needs="plan",
    frames="presupposed_plan",
    never="radiology operative discharge problem_list",
)
def presupposed(case: Case) -> None:
    condition = a_condition(case)
    finding = (
        Finding(("L5",), case.rng.choice(["bilateral", None]))
        if condition == LYSIS
        else Finding((case.rng.choice(["L4-L5", "L5-S1"]),))
    )
    case.say("plan", condition, "affirmed", finding, "presupposed_plan")
    if "history" in case.roles:
        case.say("history", condition, "affirmed", Finding(finding.sites))


@plot(14, True, "P-A10 P-X6", "uncertain final diagnosis of an inpatient: coded, for review", kinds="discharge")
def inpatient_uncertain(case: Case) -> None:
    condition = a_condition(case)
    finding = (
        Finding(("L5",), case.rng.choice(["bilateral", "left", None]))
        if condition == LYSIS
        else Finding((case.rng.choice(["L4-L5", "L5-S1"]),), grade=case.rng.choice(["I", None]))
    )
    case.say("assessment", condition, "uncertain", finding)
    case.omit.add("queries")


def an_injury(rng: Random, **fixed: Any) -> Injury:
    site = weighted(
        rng,
        {
            "L1": 4,
            "L2": 5,
            "L3": 8,
            "L4": 12,
            "L5": 14,
            "C1": 4,
            "C3": 3,
            "C4": 4,
            "C5": 6,
            "C6": 7,
            "C7": 6,
            "T1": 1,
            "T4": 2,
            "T6": 3,
            "T8": 2,
            "T9": 2,
            "T11": 3,
            "T12": 5,
            "lumbar": 2,
            "cervical": 1,
            "thoracic": 2,
        },
    )
    forms = {"lamina": 40, "pedicle": 35, "neural arch": 8, "pars": 17 if site[0] == "L" and site != "L1" else 0}
    form = "posterior arch" if site == "C1" else weighted(rng, forms)
    if site in REGION_CHARS:
        form = rng.choice(["lamina", "pedicle"])
    side = None if form in ("neural arch", "posterior arch") else weighted(rng, {"left": 45, "right": 45, None: 10})
    return replace(
        Injury(
            form,
            site,
            side,
            site[0] == "C" and len(site) == 2 and rng.random() < 0.5,
            tied=rng.choice(["traumatic", "mechanism"]),
        ),
        **fixed,
    )


def state_injury(case: Case, *injuries: Injury, frame: str = "fresh") -> None:
    case.body = body_of((injuries[0].site,))
    case.omit.add("queries")
    if "imaging" in case.roles and case.phase in ("initial", "open"):
        study(case, weighted(case.rng, {"CT": 85, "MRI": 15}))
        for injury in injuries:
            case.say("imaging", TRAUMA, "affirmed", injury=injury, frame="fresh")
    for injury in injuries:
        case.say("assessment", TRAUMA, "affirmed", injury=injury, frame=frame)


INJURY_STYLES = {"never": "operative pt chiro letter telephone problem_list", "frames": "fresh"}


@plot(7, True, "P-C8 P-C10", "traumatic arch fracture, trauma tied in the statement", **INJURY_STYLES)
def arch_fracture(case: Case) -> None:
    if "history" in case.roles:
        case.extra["history"] = [event(case)]
    first = an_injury(case.rng)
    injuries = [first]
    if case.chance(0.12) and first.site in ("L3", "L4", "C5", "C6"):
        injuries.append(replace(first, site=first.site[0] + str(int(first.site[1]) + 1)))
    if case.chance(0.06) and case.register in ("prose", "tele"):
        case.phase = "open"
    if case.phase == "open" and first.site == "cervical":
        case.phase = "initial"
    state_injury(case, *injuries, frame="phase_open" if case.phase == "open" else "fresh")


@plot(3, True, "P-C8 P-X6", "trauma tied only across sentences", needs="history assessment", **INJURY_STYLES)
def arch_fracture_untied(case: Case) -> None:
    case.extra["history"] = [event(case)]
    state_injury(case, an_injury(case.rng, tied="untied"))


@plot(4, True, "P-C9", "acute traumatic slip, hangman's fracture, subluxation or dislocation", **INJURY_STYLES)
def traumatic_slip(case: Case) -> None:
    form = weighted(case.rng, {"slip": 40, "hangman": 35, "subluxation": 15, "dislocation": 10})
    site = {
        "slip": weighted(
            case.rng, {"L5-S1": 35, "L4-L5": 20, "L3-L4": 10, "C5-C6": 12, "C6-C7": 10, "C4-C5": 8, "T11-T12": 5}
        ),
        "hangman": "C2",
    }.get(form) or case.rng.choice(["L1-L2", "L2-L3", "L3-L4", "L4-L5"])
    kind = weighted(case.rng, {None: 60, "I": 8, "II": 20, "III": 12}) if form == "hangman" else None
    injury = Injury(form, site, nondisplaced=form == "hangman" and kind is None and case.chance(0.3), type=kind)
    injuries = [injury]
    if site == "L4-L5" and form == "subluxation" and case.chance(0.5):
        injuries.append(Injury("lamina", "L4", case.rng.choice(["left", "right"])))
    state_injury(case, *injuries)


@plot(
    4,
    True,
    "P-C10",
    "traumatic fracture at a follow-up",
    needs="history assessment",
    kinds="progress scribe",
    frames="phase_routine",
)
def fracture_follow_up(case: Case) -> None:
    case.phase = weighted(case.rng, {"routine": 35, "delayed": 20, "nonunion": 15, "sequela": 12, "unsettled": 18})
    injury = an_injury(case.rng, tied="traumatic", acute=False)
    while injury.site == "cervical":
        injury = an_injury(case.rng, tied="traumatic", acute=False)
    case.extra["history"] = [case.rng.choice(lexicon()["distractors"]["phase_note"][case.register])]
    state_injury(case, injury, frame=f"phase_{case.phase}")


@plot(20, False, "P-A1", "both denied", never="operative problem_list")
def denied(case: Case) -> None:
    first = a_condition(case)
    if case.kind == "radiology":
        study(case)
        if case.chance(0.6):
            case.say("indication", a_condition(case), "hypothetical")
    if case.chance(0.4) and "pairs" in available(case.register):
        role = "imaging" if "imaging" in case.roles and case.chance(0.6) else "assessment"
        if role == "imaging" and not case.studies:
            study(case)
        line = case.say(role, first, "negated", frame="negated_negated")
        line.statements.append(Statement(other(first), "negated"))
    else:
        deny(case, first, finding=some_site(case, first))
        if case.chance(0.5):
            deny(case, other(first))
    if case.kind == "radiology" and case.chance(0.5):
        deny(case, first, "assessment")


def some_site(case: Case, condition: str) -> Finding:
    if case.chance(0.7):
        return Finding()
    return Finding((case.rng.choice(["L5", "L4"]),) if condition == LYSIS else (case.rng.choice(["L4-L5", "L5-S1"]),))


@plot(14, False, "P-F3", "uncertain wording, outpatient: not coded", never="operative discharge")
def uncertain(case: Case) -> None:
    condition = a_condition(case)
    if case.kind == "radiology":
        study(case)
        case.say("imaging", condition, "uncertain", some_site(case, condition))
    case.say("assessment", condition, "uncertain", some_site(case, condition))
    if case.chance(0.3):
        deny(case, other(condition))


@plot(
    5,
    False,
    "P-A4",
    "suspected, then ruled out by the better study",
    needs="imaging assessment",
    never="radiology operative discharge problem_list",
    frames="ruled_out",
)
def suspected_then_ruled_out(case: Case) -> None:
    study(case, "radiograph", case.rng.choice(["CT", "MRI"]))
    case.say("imaging", LYSIS, "uncertain", some_site(case, LYSIS))
    if case.chance(0.6):
        case.say("imaging", LYSIS, "negated", Finding(kind="clause"), "flat_denial", study=1)
    else:
        case.extra["study1"] = [
            {"tele": "posterior elements normal", "form": "Posterior elements | normal", "phone": "scan normal"}.get(
                case.register, "Posterior elements are normal."
            )
        ]
    case.say("assessment", LYSIS, "negated", Finding(kind="clause"), "ruled_out")


@plot(8, False, "P-A7", "indication only", never="operative")
def indication_only(case: Case) -> None:
    condition = a_condition(case)
    role = "indication" if case.kind == "radiology" else "plan"
    if case.kind == "radiology":
        study(case)
    case.say(role, condition, "hypothetical", some_site(case, condition))
    if case.chance(0.3) and role == "plan":
        case.say(role, other(condition), "hypothetical")


@plot(9, False, "P-F3 P-A6 P-A9", "historical only", needs="pmh", never="radiology operative")
def historical(case: Case) -> None:
    condition = a_condition(case)
    case.say("pmh", condition, "historical", some_site(case, condition))


@plot(6, False, "P-F3", "a relative's condition", needs="pmh", never="radiology operative")
def family(case: Case) -> None:
    case.say("pmh", a_condition(case), "family", some_site(case, LYSIS) if case.chance(0.2) else None)
    if case.chance(0.5) and case.kind != "problem_list":
        deny(case, a_condition(case))


@plot(
    5,
    False,
    "P-F3 P-A9",
    "general talk or an unfilled pick-list",
    needs="history",
    never="radiology operative discharge",
)
def generic(case: Case) -> None:
    first = a_condition(case)
    role = "exam" if case.register == "form" else "history"
    case.say(role, first, "generic")
    if case.chance(0.4):
        case.say(role, other(first), "generic")


@plot(8, False, "P-F2", "look-alikes only", needs="assessment")
def look_alikes(case: Case) -> None:
    if case.register in ("prose", "tele") and "pmh" in case.roles and case.kind != "operative":
        case.extra["pmh"] = [distractor(case, "look_alikes")]
    if case.kind == "radiology":
        study(case)


@plot(
    4,
    False,
    "P-A4",
    "a reading that the treating provider overrules",
    needs="imaging assessment",
    never="operative discharge problem_list",
    frames="overruled",
)
def overruled(case: Case) -> None:
    finding = lysis_finding(case.rng, "plain", sites=(case.rng.choice(["L5", "L4"]),), chronicity=None)
    study(case, case.rng.choice(["CT", "MRI"]))
    case.studies[0].label = "" if case.kind == "radiology" else "radiology report"
    case.say(
        "imaging",
        LYSIS,
        "affirmed",
        finding,
        "fresh",
        counts=False,
        register="report" if case.register == "prose" else "",
    )
    case.say("assessment", LYSIS, "negated", Finding(kind="clause"), "overruled")


@plot(4, False, "P-A1", "injury work-up without an arch fracture", kinds="ed radiology")
def injury_denied(case: Case) -> None:
    if "history" in case.roles:
        case.extra["history"] = [event(case)]
    case.body = "cervical"
    study(case, "CT")
    case.say("imaging", TRAUMA, "negated", frame="negated_trauma")
    if case.chance(0.5):
        deny(case, SLIP, "imaging", frame="flat_denial")


@plot(2, False, "P-C9", "cervical traumatic subluxation: a finding, no code here", kinds="ed radiology")
def cervical_subluxation(case: Case) -> None:
    state_injury(
        case, Injury(case.rng.choice(["subluxation", "dislocation"]), case.rng.choice(["C4-C5", "C5-C6", "C6-C7"]))
    )


@plot(8, False, "P-A10", "inpatient uncertain wording outside the final diagnosis", kinds="discharge")
def inpatient_workup(case: Case) -> None:
    condition = a_condition(case)
    role = case.rng.choice(["history", "imaging"])
    if role == "imaging":
        study(case)
    case.say(role, condition, "uncertain", some_site(case, condition), register="report" if role == "imaging" else "")
    case.omit.add("queries")


def add_ons(case: Case) -> None:
    """Now and then something besides the plot that changes no code."""
    said = {s.condition for line in case.lines for s in line.statements}
    free = [c for c in (LYSIS, SLIP) if c not in said]
    if case.kind in ("radiology", "operative", "problem_list") or not free or TRAUMA in said:
        if (
            case.kind == "radiology"
            and "indication" not in {line.role for line in case.lines}
            and case.plot != "look_alikes"
            and case.chance(0.3)
        ):
            case.say("indication", case.rng.choice((LYSIS, SLIP)), "hypothetical")
        return
    if case.plot in ("look_alikes", "developmental", "isthmic_slip"):
        return
    condition = case.rng.choice(free)
    if "pmh" in case.roles and case.chance(0.07):
        case.say("pmh", condition, "family")
    if case.kind != "discharge" and case.chance(0.05):
        case.say("exam" if case.register == "form" else "history", condition, "generic")
    if "plan" in case.roles and case.chance(0.08):
        case.say("plan", condition, "hypothetical")
    if "pmh" in case.roles and case.chance(0.04):
        case.say("pmh", condition, "historical")
