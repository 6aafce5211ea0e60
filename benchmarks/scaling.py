"""Time and memory of `Extractor.extract` against size, over four decades, with the fitted exponent.

    python benchmarks/scaling.py [--most CHARACTERS] [--out FOLDER]

Texts are made here; no note is read. CPU time, and the greatest memory Python held meanwhile (a second run, since tracing
it is slow; left out for texts over a million characters). An exponent of 1 is linear.
"""

from __future__ import annotations

import argparse
import math
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random

import parsnlp

NOTE = (
    "CT LUMBAR SPINE\n\nINDICATION: Low back pain, rule out pars defect.\n\nFINDINGS: Alignment is normal at L3-4. There are "
    "bilateral L5 pars defects with grade 1 anterolisthesis of L5 on S1, measuring\n4 mm. No acute fracture of the pars at L4. "
    "The discs are preserved.\n- No spondylolisthesis at L4-5\n- Facets: mild degenerative change\n\nIMPRESSION:\n1. Chronic "
    "bilateral L5 spondylolysis.\n2. Grade 1 isthmic spondylolisthesis at L5-S1.\n\nPLAN: Bracing for 12 weeks, CT in 3 months.\n\n"
)
WORDS = [*NOTE.split(), "and", "but", "no", "L4-5,", "possible", "(", ")", ";", "fusion", "history of"]
PROSE = (
    "The patient slept well and ate breakfast. Blood pressure was 120/80 on admission, temperature normal.\n"
    "ASSESSMENT: stable. Continue medications as listed below; follow up with primary care in two weeks.\n\n"
)
SHAPES: dict[str, Callable[[int], str]] = {
    "spine notes, one after the other": lambda size: (NOTE * (size // len(NOTE) + 1))[:size],
    "one line of spine text": lambda size: (NOTE.replace("\n", " ") * (size // len(NOTE) + 1))[:size],
    "one word after the other, no stop": lambda size: ("pars defect l5 slip " * (size // 20 + 1))[:size],
    "targets, each on its line": lambda size: ("No evidence of spondylolisthesis.\n" * (size // 34 + 1))[:size],
    "cues without a target, then one": lambda size: (
        ("No evidence of it. Denies this. " * (size // 32 + 1))[:size] + " L5 pars defect."
    ),
    "sentences of one word": lambda size: ("Pars defect. " * (size // 13 + 1))[:size],
    "random words, no line break": lambda size: " ".join(Random(size).choices(WORDS, k=size // 6))[:size],
    "one anchor in unrelated prose": lambda size: "L5 pars defect.\n\n" + (PROSE * (size // len(PROSE) + 1))[:size],
    "unrelated prose, no anchor": lambda size: (PROSE * (size // len(PROSE) + 1))[:size],
    "underscores, an anchor": lambda size: "pars defect " + "_" * size,
    "spaces, an anchor": lambda size: "pars defect" + " " * size + "slip",
    "full stops, an anchor": lambda size: "pars defect " + "." * size,
    "brackets, an anchor": lambda size: "pars defect " + "[ ] (" * (size // 5),
}


def measure(extractor: parsnlp.Extractor, text: str) -> float:
    """CPU seconds of one `extract`; of short texts the best of three."""
    times = []
    for _ in range(3 if len(text) < 50_000 else 1):
        start = time.process_time()
        extractor.extract(text)
        times.append(time.process_time() - start)
    return min(times)


def memory(extractor: parsnlp.Extractor, text: str) -> float:
    """The greatest number of megabytes that `extract` held at once."""
    tracemalloc.start()
    extractor.extract(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


def exponent(sizes: list[int], values: list[float]) -> float:
    """The slope of log value over log size, by least squares."""
    xs = [math.log(size) for size in sizes]
    ys = [math.log(max(value, 1e-9)) for value in values]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000_000, help="longest text, in characters")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    most = chosen.most
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000, 10_000_000) if size <= most]
    extractor = parsnlp.load()
    extractor.extract(NOTE)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    say(f"{'text':36s}" + "".join(f"{size:>13,}" for size in sizes) + "   exponent")
    for name, make in SHAPES.items():
        times = [measure(extractor, make(size)) for size in sizes]
        shown = "".join(f"{seconds:>11.4f} s" for seconds in times)
        say(f"{name:36s}{shown}   {exponent(sizes, times):8.2f}")
        small = [size for size in sizes if size <= 1_000_000]
        held = [memory(extractor, make(size)) for size in small]
        shown = "".join(f"{megabytes:>10.2f} MB" for megabytes in held) + " " * (13 * (len(sizes) - len(small)))
        say(f"{'':36s}{shown}   {exponent(small, held):8.2f}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "scaling.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
