"""A long run of `parsnlp batch` on generated notes: speed, memory, a kill in the middle and its resumption, grep beside it.

    python benchmarks/scale.py [--notes N] [--workers N] [--folder FOLDER] [--out FOLDER]

One note in twenty is about the spine. The notes lie in JSON lines, 20,000 to a file, each file made from its own seed. The
run is done twice: undisturbed, and killed with its processes (SIGKILL) once half of its parts stand, then resumed; both must
give the same bytes. `--folder` is where notes and outputs go, and what of the notes is there already is not made again; it is
left behind, while without it all goes. CPU is that of all processes; `others` is how much of all cores the rest of the
machine used meanwhile, from /proc/stat: with much of it the wall times say little.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import compare
import notes

import parsnlp

HERE = Path(__file__).parent
PROGRAM = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]
IN_A_FILE = 20_000
SEED = 1_000
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Run:
    """One run of a command: seconds on the wall and of CPU, of its first process alone too; MB; others' share of the cores.

    `resident`: the most that all its processes held at once, what they share counted in each. `each`: the most of one.
    """

    wall: float
    cpu: float
    first: float
    resident: float
    each: float
    others: float
    status: int


def make(place: Path, count: int) -> int:
    """Write the notes that are not there yet; bytes of all."""
    place.mkdir(parents=True, exist_ok=True)
    wanted = [
        (place / f"notes-{at // IN_A_FILE:05d}.jsonl", at, min(IN_A_FILE, count - at))
        for at in range(0, count, IN_A_FILE)
    ]
    if extra := {path.name for path in place.iterdir()} - {path.name for path, _, _ in wanted}:
        raise SystemExit(f"{place}: holds {min(extra)}, which is not of {count} notes; name another folder")
    with Pool() as pool:
        pool.starmap(make_file, [each for each in wanted if not each[0].exists()], chunksize=1)
    return sum(path.stat().st_size for path, _, _ in wanted)


def make_file(path: Path, first: int, count: int) -> None:
    """Write so many notes, whole or not at all."""
    half = path.with_suffix(".half")
    with half.open("w", encoding="utf-8") as stream:
        for number, text in enumerate(notes.unselected(count, SEED + first // IN_A_FILE), first):
            stream.write(json.dumps({"id": f"n{number:07d}", "text": text}, ensure_ascii=False) + "\n")
    half.rename(path)


def watched(command: list[str], look: Callable[[float], bool] = lambda seconds: False) -> Run:
    """Run a command to its end. `look` gets the seconds so far, a few times each second; once it says so, all is killed."""
    busy, reaped, start = _busy(), _reaped(), time.perf_counter()
    resident = each = cpu = first = 0.0
    with tempfile.TemporaryFile() as printed:  # /dev/null will not do: there grep ends with its first hit
        process = subprocess.Popen(command, start_new_session=True, stdout=printed, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        held = {pid: size for pid in _family(process.pid) if (size := _resident(pid))}
        resident, each = max(resident, sum(held.values())), max(each, *held.values(), 0.0)
        with suppress(OSError, IndexError):
            first = max(first, _cpu(process.pid, children=False))
            cpu = max(cpu, sum(_cpu(pid, children=True) for pid in held))
        if look(time.perf_counter() - start):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            break
        time.sleep(0.2)
    wall, cpu = time.perf_counter() - start, max(cpu, _reaped() - reaped)
    others = max(0.0, (_busy() - busy - cpu) / wall / (os.cpu_count() or 1))
    return Run(wall, cpu, first, resident / 1e6, each / 1e6, others, process.returncode)


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for path in Path(f"/proc/{each}/task").glob("*/children"):
                found += map(int, path.read_text().split())
    return found


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return 0


def _cpu(pid: int, children: bool) -> float:
    """CPU seconds of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if children else 13])) / TICKS


def _reaped() -> float:
    """CPU seconds of what this process has run to its end: of a killed run its first process alone."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy() -> float:
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / TICKS


def measured(place: Path, count: int, workers: int, save: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """All figures. `save` is called whenever there are more."""
    given = place / "notes"
    start = time.perf_counter()
    size = make(given, count)
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "parsnlp": parsnlp.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "share": notes.SHARE,
        "notes": count,
        "bytes": size,
        "workers": workers,
        "made_in": time.perf_counter() - start,
        "runs": {},
    }
    runs = found["runs"]

    def batch(out: Path, *more: str) -> list[str]:
        return [*PROGRAM, "batch", str(given), "--out", str(out), "--workers", str(workers), "--quiet", *more]

    def done(name: str, run: Run, wanted: int = 0) -> None:
        if run.status != wanted:
            raise SystemExit(f"{name}: ended with status {run.status}")
        runs[name] = asdict(run)
        save(found)
        print(f"{name}: {run.wall:.1f} s, CPU {run.cpu:.1f} s, {run.resident:.0f} MB", flush=True)

    pattern = "|".join(compare.terms())
    done("grep", watched(["grep", "-c", "-i", "-E", pattern, *map(str, sorted(given.iterdir()))]))

    whole, killed = place / "whole.jsonl", place / "killed.jsonl"
    done("batch", watched(batch(whole, "--force")))
    facts = json.loads(Path(f"{whole}.run/run.json").read_text(encoding="utf-8"))
    found["counts"] = facts["counts"]
    done("resume of a finished run", watched(batch(whole, "--resume")))

    parts = Path(f"{killed}.run/parts")
    total = -(-count // facts["options"]["part_size"])
    done("killed", watched(batch(killed, "--force"), lambda _: _standing(parts) >= total // 2), -signal.SIGKILL)
    before = _standing(parts)
    fresh: list[float] = []

    def look(seconds: float) -> bool:
        if not fresh and (_standing(parts) > before or not parts.exists()):
            fresh.append(seconds)
        return False

    done("resumed", watched(batch(killed, "--resume"), look))
    found["resumed"] = {"parts": total, "stood": before, "first_new_part": fresh[0]}
    found["same"] = _sha256(whole) == _sha256(killed)
    found["output_bytes"] = whole.stat().st_size
    save(found)
    return found


def _standing(parts: Path) -> int:
    """How many parts are done."""
    with suppress(FileNotFoundError):
        return sum(name.endswith(".inputs.jsonl") and not name.startswith(".") for name in os.listdir(parts))  # noqa: PTH208
    return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    count, size, runs = found["notes"], found["bytes"], found["runs"]
    batch, resumed, stood = runs["batch"], runs["resumed"], found["resumed"]
    lines = [
        "# A long run",
        "",
        f"{found['date']}, parsnlp {found['parsnlp']}, Python {found['python']}, {found['cores']} cores, {found['machine']}. Written by "
        f"`make bench-scale NOTES={count}`: {count:,} generated notes, {notes.SHARE:.0%} about the spine, {size / 1e6:,.0f} MB of JSON lines "
        f"in files of {IN_A_FILE:,}; `parsnlp batch --workers {found['workers']}` into JSON lines "
        f"({found['output_bytes'] / 1e6:,.0f} MB). CPU is that of all processes, the first the one that reads and writes; others is the "
        "share of the cores that the rest of the machine used meanwhile, for which the wall times are too long and the rates by wall "
        "too low. Memory is resident, all processes together (what they share counted in each) and the largest.",
        "",
        "| run | wall s | notes/s | MB/s | CPU s | of the first | notes per CPU s | memory MB | largest MB | others |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, run in runs.items():
        all_of_them = name in ("grep", "batch")
        rate = f"{count / run['wall']:,.0f} | {size / 1e6 / run['wall']:,.2f}" if all_of_them else " | "
        per_core = f"{count / run['cpu']:,.0f}" if all_of_them else ""
        lines.append(
            f"| {name} | {run['wall']:,.1f} | {rate} | {run['cpu']:,.1f} | {run['first']:,.1f} | {per_core} | "
            f"{run['resident']:,.0f} | {run['each']:,.0f} | {run['others']:.0%} |"
        )
    counts = found["counts"]
    return "\n".join(
        [
            *lines,
            "",
            f"{counts['coded']:,} notes have codes, {counts['failed']:,} failed. A note takes {batch['cpu'] / count * 1e3:.2f} ms of CPU, "
            f"{batch['first'] / count * 1e3:.3f} of it in the first process, which so could feed about "
            f"{(batch['cpu'] - batch['first']) / batch['first']:.0f} workers.",
            "",
            f"The killed run had {stood['stood']:,} of {stood['parts']:,} parts. Resumed, it found these again and made its first "
            f"new part within {stood['first_new_part']:.1f} s, and was done after {resumed['wall']:,.1f} s. Its output is "
            f"{'the same to the byte' if found['same'] else 'NOT THE SAME'}.",
            "",
            "grep looks for the words of the examples of the rules (`-c -i -E`); it says which notes hold one of them, no more.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--notes", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where notes and outputs go, and stay")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    chosen = parser.parse_args()

    def save(found: dict[str, Any]) -> None:
        (chosen.out / "scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    with ExitStack() as stack:
        place = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = measured(place, chosen.notes, chosen.workers, save)
    text = table(found)
    (chosen.out / "scale.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    raise SystemExit(0 if found["same"] else 1)


if __name__ == "__main__":
    main()
