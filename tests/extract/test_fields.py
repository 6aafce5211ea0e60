"""Forms: what a field behind a finding says of it, and fields that belong to something else."""

from __future__ import annotations

import functools

import pytest

import parsnlp

extractor = functools.cache(parsnlp.load)


def told(text: str) -> list[tuple[tuple[str, ...], str | None, str | None, str | None]]:
    return [(f.levels, f.laterality, f.chronicity, f.grade) for f in extractor().extract(text).findings]


@pytest.mark.parametrize(
    "form",
    [
        "{}: Yes\nLevel: L5-S1\nGrade: II\n",
        "{}: Yes   Level: L5-S1   Grade: II",
        "{}: present; Level: L5-S1; Grade: II",
        "{}: present. Level: L5-S1. Grade: II.",
        "Diagnosis: {}\r\nGrade: II\r\nLocation: L5-S1",
        "Finding: {} | Level(s): L5-S1 | Grade: II",
        "- {}: +\n- Level: L5-S1\n- Meyerding grade: 2",
        "Level: L5-S1\nFinding: {}\nGrade: II",
        "FINDINGS\nLevel: L5-S1\nFinding: {}\nGrade: II",
    ],
)
def test_fields_of_a_slip(form: str) -> None:
    assert told(form.format("Spondylolisthesis")) == [(("L5-S1",), None, None, "II")]


def test_fields_of_a_pars_defect() -> None:
    form = "Diagnosis: Spondylolysis\nLevel: L5\nSide: Bilateral\nStatus: chronic\nPlan: brace"
    assert told(form) == [(("L5",), "bilateral", "chronic", None)]


def test_each_finding_has_the_fields_behind_it() -> None:
    form = "Spondylolisthesis: yes\nLevel: L4-5\nGrade: I\nPars defect: yes\nLevel: L5\nSide: left"
    assert told(form) == [(("L4-L5",), None, None, "I"), (("L5",), "left", None, None)]


@pytest.mark.parametrize(
    "form",
    [
        "Primary dx: lumbar radiculopathy\nLevel: L4-5\nSecondary dx: spondylolisthesis",
        "Assessment: spondylolisthesis\nProcedure: epidural injection\nLevel: L4-5",
        "Spondylolisthesis: yes\n\nLevel: L4-5 disc bulge",
        "Spondylolisthesis: yes\nDisc: bulge. Level: L4-5",
    ],
)
def test_fields_of_something_else(form: str) -> None:
    assert [finding.levels for finding in extractor().extract(form).findings] == [()]


def codes(text: str) -> list[str]:
    return [code.code for code in extractor().extract(text).codes]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("Spondylolisthesis: [x] yes [ ] no   Level: [ ] L3-4 [x] L4-5 [ ] L5-S1", ["M43.16"]),
        ("Spondylolisthesis: ( ) L4-5 (x) L5-S1  Grade: (x) I ( ) II", ["M43.17"]),
        ("Spondylolisthesis\nLevel [ ] L3-4 [x] L4-5 [ ] L5-S1", ["M43.16"]),
        ("Spondylolisthesis\nLevel: L4-5 [ ] L5-S1 [x]", ["M43.17"]),
        ("Diagnosis: ☐ Spondylolysis ☒ Spondylolisthesis; level: ☐ L3-4 ☒ L4-5 ☐ L5-S1", ["M43.16"]),
        ("Pars defect: [ ] none [ ] left [ ] right [x] bilateral   Level: L5", ["M43.06"]),
        ("Level of lysis: ( ) L3 ( ) L4 (x) L5 ( ) other ____", ["M43.06"]),
        ("Spondylolisthesis: (x) none ( ) L4-5 ( ) L5-S1", []),
        ("Pars defect: [ ] left [ ] right [ ] bilateral", []),
        ("Spondylolisthesis [ ]  Stenosis [x]", []),
        ("Spondylolisthesis [x]  Stenosis [ ]", ["M43.10"]),
        ("Spondylolisthesis [x] yes [ ] no\nDisc herniation: [x] L4-5 [ ] L5-S1", ["M43.10"]),
        ("No spondylolisthesis.\n[x] Brace given", []),
    ],
)
def test_boxes_of_a_field(form: str, expected: list[str]) -> None:
    assert codes(form) == expected


def test_a_ticked_option_is_the_evidence() -> None:
    text = "Pars defect: [ ] none [ ] left [x] right   Level: L5"
    (finding,) = extractor().extract(text).findings
    assert (finding.assertion, finding.laterality, finding.levels) == ("affirmed", "right", ("L5",))
    assert [cue.text for cue in finding.cues if cue.category == "ticked"] == ["[x] right"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pars: L4 intact bilaterally, L5 defect bilaterally.", ["M43.06"]),
        ("Pars interarticularis: L3 normal; L4 normal; L5 defect R>L.", ["M43.06"]),
        ("Pars interarticularis:\n- L4: intact\n- L5: bilateral defects", ["M43.06"]),
        ("Endplates: L5 defect with a Schmorl node. The pars were seen.", []),
    ],
)
def test_a_pars_told_of_level_by_level(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "xrays show a grade 1 slip l5 on s1 pain with extension no meds",
        "xrays show a grade 1 slip l5 on s1 discs ok",
        "xrays show a grade 1 slip l5 on s1 refer to ortho",
        "xrays show a grade 1 slip l5 on s1, slr negative",
    ],
)
def test_a_slip_dictated_without_stops(text: str) -> None:
    assert codes(text) == ["M43.17"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("facet arthropathy l4-5 grade 1 slip l5 on s1", [("L5-S1",)]),
        ("disc bulge L3-4 and L5-S1 spondylolisthesis", [("L5-S1",)]),
        ("stenosis at L3-4 and L4-5 and grade 1 spondylolisthesis at L5-S1", [("L5-S1",)]),
        ("spina bifida occulta S1 and L5 spondylolysis", [("L5",)]),
        ("spondylolisthesis L3-4 and L4-5", [("L3-L4", "L4-L5")]),
        ("L3-4 and L4-5 spondylolisthesis", [("L3-L4", "L4-L5")]),
    ],
)
def test_a_level_behind_something_else_is_that_ones(text: str, expected: list[tuple[str, ...]]) -> None:
    assert [finding.levels for finding in extractor().extract(text).findings] == expected
