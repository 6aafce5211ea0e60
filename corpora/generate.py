"""Synthetic clinical notes about spondylolysis, spondylolisthesis and traumatic arch fractures, with known gold.

A plot (plots.py) samples the structured truth: what the note says, where, with which assertion. The coding policy
applied to that truth (truth.py) gives the gold. The lexicon under lexicon/ gives the words (lexicons.py, wording.py).
The text is never read back to find the gold.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from generator.lexicons import available, lexicon
from generator.plots import PLOTS, add_ons
from generator.truth import LYSIS, SLIP, Case, decide, sited
from generator.wording import Writer, unmarked

HELD_OUT = ("preauth_letter", "telephone", "template")
NO_CODE_SHARE = 0.45


@cache
def eligible(style: str, coded: bool) -> tuple[tuple[str, ...], tuple[float, ...]]:
    spec = lexicon()["styles"][style]
    roles = {block["role"] for block in spec["blocks"]}
    names = [
        name
        for name, p in PLOTS.items()
        if p.coded == coded
        and p.needs <= roles
        and (not p.kinds or spec["kind"] in p.kinds)
        and spec["kind"] not in p.never
        and set(p.frames) <= available(spec["register"])
    ]
    return tuple(names), tuple(PLOTS[n].weight for n in names)


def note(style: str, seed: int, number: int) -> dict[str, Any]:
    """One note of a style; the same arguments give the same note."""
    rng = Random(f"{seed}:{number}:{style}")
    spec = lexicon()["styles"][style]
    names, weights = eligible(style, rng.random() >= NO_CODE_SHARE)
    case = Case(rng.choices(names, weights)[0], style, spec, rng, spec["setting"])
    PLOTS[case.plot].make(case)
    add_ons(case)
    if case.kind == "operative":
        case.setting = rng.choice(["inpatient", "outpatient"])
    writer = Writer(case)
    text, mentions = unmarked(writer.text(), writer.marked)
    gold = decide(case)
    row = {
        "id": f"{style}-{seed}-{number:05d}",
        "text": text,
        "kind": case.kind,
        "setting": case.setting,
        "encounter_date": writer.day.isoformat(),
        "codes": gold["codes"],
        "strict_codes": gold["strict_codes"],
        "review": gold["review"],
        "mentions": mentions,
        "attributes": gold["attributes"],
        "imaging": sorted(set(writer.modalities)),
        "conservative_care": sorted(case.care | set(spec.get("care", []))),
        "queries": gold["queries"],
        "rules": list(PLOTS[case.plot].rules),
        "why": PLOTS[case.plot].why,
        "style": style,
        "truth": truth(case),
    }
    if case.kind in ("operative", "discharge"):
        case.omit.add("conservative_care")
    return {key: value for key, value in row.items() if key not in case.omit}


def truth(case: Case) -> dict[str, Any]:
    return {
        "plot": case.plot,
        "phase": case.phase,
        "film": case.film,
        "statements": [
            {
                "role": line.role,
                "frame": line.frame,
                "condition": s.condition,
                "assertion": s.assertion,
                "counts": s.counts,
                **(
                    {"injury": asdict(s.injury)}
                    if s.injury
                    else {k: v for k, v in asdict(replace(s.finding, sites=sites)).items() if v}
                ),
            }
            for line, s, sites in sited(case)
        ],
    }


def check(row: dict[str, Any]) -> None:
    """Raises AssertionError where a row contradicts itself or the policy's fixed combinations."""
    text, codes, conditions = row["text"], row["codes"], {m["condition"] for m in row["mentions"]}
    assert not re.search(r"[\ue000-\uf8ff{}]", text.replace("{choose}", "").replace("{CHOOSE}", "")), (
        f"{row['id']}: slot or mark left in the text {text}"
    )
    for m in row["mentions"]:
        assert text[m["start"] : m["end"]] == m["text"] and m["text"].strip() == m["text"] != "", (
            f"{row['id']}: offsets"
        )
    assert len(set(codes)) == len(codes) and set(row["strict_codes"]) <= set(codes)
    m430, m431 = [c for c in codes if c.startswith("M43.0")], [c for c in codes if c.startswith("M43.1")]
    assert len(m430) <= 1 and len(m431) <= 1
    assert not ("Q76.2" in codes and (m430 or m431)) or (
        row["truth"]["plot"] == "congenital_and_acquired" and row["review"]
    )
    assert not (m430 and m431) or row["review"]
    assert not row["review"] or codes
    assert not codes or conditions
    assert (
        not codes
        or any(m["assertion"] == "affirmed" for m in row["mentions"])
        or (row["setting"] == "inpatient" and row["review"])
    )
    assert bool(codes) == PLOTS[row["truth"]["plot"]].coded, f"{row['id']}: {row['truth']['plot']} {codes}"
    for condition, code in ((LYSIS, "M43.0"), (SLIP, "M43.1")):
        if any(c.startswith(code) for c in codes) and "attributes" in row:
            assert row["attributes"][condition], f"{row['id']}: attributes of {condition}"


def notes(count: int, seed: int, styles: tuple[str, ...] | None = None) -> Iterator[dict[str, Any]]:
    """Yields `count` rows of gold; by default from every style but the held-out ones."""
    chosen = styles or tuple(s for s in lexicon()["styles"] if s not in HELD_OUT)
    rng = Random(f"styles:{seed}")
    for number in range(count):
        row = note(rng.choice(chosen), seed, number)
        check(row)
        yield row


def main() -> None:
    every = tuple(lexicon()["styles"])
    parser = argparse.ArgumentParser(
        description="Write synthetic spine notes with gold, one JSON object a line.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"""\
styles:    {", ".join(s for s in every if s not in HELD_OUT)}
held out:  {", ".join(HELD_OUT)}  (left out unless asked for)

examples:
  python generate.py --notes 500 --seed 7 --out dev.jsonl
  python generate.py --notes 300 --seed 8 --held-out --out test.jsonl
  python generate.py --notes 5 --seed 1 --style ed soap --out -

Same arguments, same bytes. A gold field left out of a row is one that the policy does not settle for that note.""",
    )
    parser.add_argument("--notes", type=int, required=True, metavar="N", help="how many notes")
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="seed of the random numbers")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--style", nargs="+", choices=every, metavar="NAME", help="only these styles")
    group.add_argument("--held-out", action="store_true", help="only the three held-out styles")
    group.add_argument("--all-styles", action="store_true", help="every style, the held-out ones too")
    parser.add_argument("--out", required=True, metavar="FILE", help="JSON lines; - is standard output")
    args = parser.parse_args()
    styles = tuple(args.style) if args.style else HELD_OUT if args.held_out else every if args.all_styles else None
    with sys.stdout if args.out == "-" else Path(args.out).open("w", encoding="utf-8", newline="\n") as out:
        for row in notes(args.notes, args.seed, styles):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
