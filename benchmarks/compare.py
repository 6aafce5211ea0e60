"""Speed beside stock medspaCy, EDS-NLP and grep, in one run.

    python benchmarks/compare.py [--edsnlp PYTHON] [--notes FOLDER] [--rounds N] [--out FOLDER]

Each system runs in a process of its own, on one core, gets the same terms (the findings marked in the examples of the
target rules) and reads the same notes, rounds of all systems taking turns. Stock medspaCy is `medspacy.load()` with those
terms and its own context rules; EDS-NLP its tokenizer, sentences, matcher and negation. parsnlp does all it does: levels,
sides, codes and their trail, from text to `Result`. CPU time, medians of the rounds, least and greatest beside them; a
slow system reads fewer notes, from the beginning of the same sets. Latency and cold start are wall time. Notes are
generated; `--notes` takes a folder of real ones as the unselected set.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import notes

import parsnlp
from parsnlp import rules

HERE = Path(__file__).parent
COUNTS = {"parsnlp": (150, 2_000), "edsnlp": (150, 600), "medspacy": (12, 24)}
GOALS = {
    ("unselected", "medspacy"): 1_500,
    ("unselected", "edsnlp"): 40,
    ("dense", "medspacy"): 40,
    ("dense", "edsnlp"): 1.5,
}
ANCHORED = "CT: L5 pars defects with grade 1 anterolisthesis of L5 on S1."
PLAIN = "Seen for a sprained ankle after a fall. Ice and rest."


def terms() -> list[str]:
    """The surface forms marked in the examples of the target rules."""
    found = {
        example.text[start:end].lower()
        for rule in rules.load().folder("targets")
        if rule.category != "decoy"
        for example in rule.examples
        for start, end in example.spans
    }
    return sorted(" ".join(text.split()) for text in found)


def throughput(sets: dict[str, list[str]], pythons: dict[str, str], rounds: int) -> dict[str, Any]:
    """For each set and system: characters and notes a second of each round, and hits."""
    with tempfile.TemporaryDirectory() as place:
        given = Path(place) / "given.json"
        given.write_text(json.dumps({"terms": terms(), "sets": sets}), encoding="utf-8")
        running = {
            name: subprocess.Popen(
                [python, str(HERE / "systems.py"), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for name, python in pythons.items()
        }
        for process in running.values():
            process.stdin.write(f"{given}\n")  # type: ignore[union-attr]
        found: dict[str, Any] = {key: {name: {"rounds": [], "hits": 0} for name in [*running, "grep"]} for key in sets}
        for _ in range(rounds):
            for at, (key, texts) in enumerate(sets.items()):
                for name, process in running.items():
                    count = min(COUNTS[name][at], len(texts))
                    process.stdin.write(f"{key} {count}\n")  # type: ignore[union-attr]
                    process.stdin.flush()  # type: ignore[union-attr]
                    seconds, hits = process.stdout.readline().split()  # type: ignore[union-attr]
                    read = sum(map(len, texts[:count]))
                    found[key][name]["rounds"].append((read / float(seconds), count / float(seconds)))
                    found[key][name] |= {"hits": int(hits), "notes": count}
                found[key]["grep"]["rounds"].append(grep(texts, Path(place)))
                found[key]["grep"]["notes"] = len(texts)
        for process in running.values():
            process.stdin.close()  # type: ignore[union-attr]
            process.wait()
    return found


def grep(texts: list[str], place: Path) -> tuple[float, float]:
    """Characters and notes a second of `grep -c -i -E` for the terms, over the notes as lines of one file."""
    path = place / "notes.txt"
    if not path.exists() or path.stat().st_size != sum(len(text.encode()) + 1 for text in texts):
        path.write_text("".join(text.replace("\n", " ") + "\n" for text in texts), encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["grep", "-c", "-i", "-E", "|".join(terms()), str(path)], stdout=subprocess.PIPE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = max(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1e-6)
    return sum(map(len, texts)) / seconds, len(texts) / seconds


def latency(texts: list[str]) -> dict[str, float]:
    """Milliseconds of one `extract`, once loaded: p50, p95, p99, of texts never read before."""
    extractor = parsnlp.load()
    for text in texts[:50]:
        extractor.extract(text)
    times = []
    for text in texts[50:]:
        start = time.perf_counter()
        extractor.extract(text)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return {f"p{share}": round(times[min(len(times) * share // 100, len(times) - 1)], 2) for share in (50, 95, 99)}


def cold(programs: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    """Seconds from starting Python to having read the first note, for each program, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, command in programs.items():
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - start)
    return {name: values[1:] for name, values in times.items()}  # the first fills the caches of the disk


def cold_programs(pythons: dict[str, str]) -> dict[str, list[str]]:
    """The commands whose start is timed."""
    read = "import parsnlp; parsnlp.load().extract({!r})".format
    stock = (
        "from loguru import logger; logger.remove(); import medspacy; from medspacy.ner import TargetRule; "
        "nlp = medspacy.load(); nlp.get_pipe('medspacy_target_matcher').add([TargetRule('pars defect', 'X')]); "
        f"nlp({ANCHORED!r})"
    )
    found = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "parsnlp, no anchor": [sys.executable, "-c", read(PLAIN)],
        "parsnlp, an anchor": [sys.executable, "-c", read(ANCHORED)],
        "medspacy": [sys.executable, "-c", stock],
    }
    if "edsnlp" in pythons:
        other = (
            "import edsnlp; nlp = edsnlp.blank('eds'); nlp.add_pipe('eds.sentences'); "
            f"nlp.add_pipe('eds.matcher', config=dict(terms=dict(x=['pars defect']))); nlp({ANCHORED!r})"
        )
        found["edsnlp"] = [pythons["edsnlp"], "-c", other]
    return found


def spread(texts: list[str]) -> dict[str, float]:
    """Wall seconds of reading the notes with one and two processes, with and without the start of the processes."""
    extractor = parsnlp.load()
    extractor.extract(ANCHORED)
    found: dict[str, float] = {}
    for workers in (1, 2):
        start = time.perf_counter()
        results = extractor.pipe(texts, workers=workers, batch=16)
        for number, _ in enumerate(results):
            if number == len(texts) // 4:
                steady = time.perf_counter()
        found[f"{workers} in all"] = time.perf_counter() - start
        found[f"{workers} last three quarters"] = time.perf_counter() - steady
    found["ratio in all"] = found["1 in all"] / found["2 in all"]
    found["ratio steady"] = found["1 last three quarters"] / found["2 last three quarters"]
    return {name: round(value, 2) for name, value in found.items()}


# --- telling --------------------------------------------------------------------------------------------------------


def middle(rounds: Iterable[tuple[float, float]], at: int) -> tuple[float, float, float]:
    values = sorted(each[at] for each in rounds)
    return statistics.median(values), values[0], values[-1]


def table(found: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    lines = [
        "# Speed",
        "",
        f"{found['when']}, parsnlp {parsnlp.__version__}, rules {found['rules']}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {found['machine']}. Written by `make bench`; CPU time on one core, medians of "
        f"{found['rounds']} rounds (least to greatest).",
    ]
    for key, systems in found["throughput"].items():
        ours = middle(systems["parsnlp"]["rounds"], 0)[0]
        lines += [
            "",
            f"## {found['sets'][key]}",
            "",
            "| system | notes/s | MB/s | parsnlp is | wanted |",
            "|---|---|---|---|---|",
        ]
        for name, system in systems.items():
            chars, low, high = middle(system["rounds"], 0)
            notes_per_second = middle(system["rounds"], 1)[0]
            ratio = "" if name == "parsnlp" else f"{ours / chars:.3g} ×"
            goal = GOALS.get((key, name))
            lines.append(
                f"| {name} | {notes_per_second:,.0f} | {chars / 1e6:.3f} ({low / 1e6:.3f} to {high / 1e6:.3f}) | {ratio} | "
                f"{f'{goal} ×' if goal else ''} |"
            )
    late = found["latency"]
    lines += [
        "",
        "## Latency",
        "",
        "One `extract` of a dense note of 3,000 characters, once loaded, wall milliseconds.",
        "",
    ]
    lines += [
        "| | p50 | p95 | p99 |",
        "|---|---|---|---|",
        f"| parsnlp | {late['p50']} | {late['p95']} | {late['p99']} |",
    ]
    lines += [
        "| wanted | 4 | | 12 |",
        "",
        "## Cold start",
        "",
        "From starting Python to the first result, wall seconds.",
        "",
    ]
    lines += ["| program | median | least to greatest | wanted |", "|---|---|---|---|"]
    wanted = {"parsnlp, no anchor": "0.25", "parsnlp, an anchor": "1.4"}
    for name, times in found["cold"].items():
        lines.append(
            f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} to {max(times):.2f} | {wanted.get(name, '')} |"
        )
    lines += [
        "",
        "## Two processes",
        "",
        "Wall seconds for the dense notes, by `Extractor.pipe`.",
        "",
        "| | seconds |",
        "|---|---|",
    ]
    lines += [f"| {name} | {value} |" for name, value in found["workers"].items()]
    return lines


def plot(found: dict[str, Any]) -> str:
    """Throughput of all systems on a logarithmic scale, as SVG."""
    rows = [
        (key, name, middle(system["rounds"], 0)[0])
        for key, systems in found["throughput"].items()
        for name, system in sorted(systems.items(), key=lambda item: middle(item[1]["rounds"], 0)[0])
    ]
    low = math.floor(math.log10(min(value for *_, value in rows)))
    high = math.ceil(math.log10(max(value for *_, value in rows)))
    parts = []
    for power in range(low, high + 1):
        x = 190 + (power - low) / (high - low) * 480
        label = f"{10 ** (power - 6):g} MB/s"
        parts.append(
            f'<line x1="{x:.0f}" x2="{x:.0f}" y1="20" y2="{len(rows) * 26 + 40}" stroke="#ddd"/>'
            f'<text x="{x:.0f}" y="{len(rows) * 26 + 58}" text-anchor="middle" fill="#555">{label}</text>'
        )
    for at, (key, name, value) in enumerate(rows):
        y = 34 + at * 26
        width = (math.log10(value) - low) / (high - low) * 480
        colour = "#1f6f8b" if name == "parsnlp" else "#a9b8bf"
        parts.append(
            f'<text x="182" y="{y + 12}" text-anchor="end">{name}, {key}</text>'
            f'<rect x="190" y="{y}" width="{width:.0f}" height="17" fill="{colour}"/>'
            f'<text x="{196 + width:.0f}" y="{y + 13}">{value / 1e6:.3g}</text>'
        )
    height = len(rows) * 26 + 70
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" width="760" font-family="sans-serif" '
        f'font-size="13"><title>Characters read a second, logarithmic scale</title>'
        f'<rect width="760" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--edsnlp", metavar="PYTHON", help="the Python of an environment that has EDS-NLP")
    parser.add_argument(
        "--notes", type=Path, metavar="FOLDER", help="real notes (.txt) in place of the unselected ones"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    chosen = parser.parse_args()
    pythons = {"parsnlp": sys.executable, "medspacy": sys.executable}
    if chosen.edsnlp:
        pythons["edsnlp"] = chosen.edsnlp
    dense = notes.spine(150, notes.DENSE, 11)
    sets = {"dense": dense, "unselected": notes.folder(chosen.notes) if chosen.notes else notes.unselected(2_000, 12)}
    share = sum(parsnlp.load()._pipeline.opens(text) for text in sets["unselected"]) / len(sets["unselected"])
    found = {
        "when": time.strftime("%Y-%m-%d"),
        "machine": platform.machine(),
        "rules": rules.load().hash,
        "rounds": chosen.rounds,
        "sets": {
            "dense": f"Dense: {len(dense)} generated spine notes of about {notes.DENSE:,} characters",
            "unselected": f"Unselected: {len(sets['unselected']):,} {'notes of a folder' if chosen.notes else 'generated notes'}, "
            f"{share:.1%} of them about the spine",
        },
        "throughput": throughput(sets, pythons, chosen.rounds),
        "latency": latency(notes.spine(450, 3_000, 13)),
        "cold": cold(cold_programs(pythons), chosen.rounds),
        "workers": spread(dense * 4),
    }
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "speed.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (chosen.out / "speed.md").write_text("\n".join(table(found)) + "\n", encoding="utf-8")
    (chosen.out / "speed.svg").write_text(plot(found), encoding="utf-8")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
