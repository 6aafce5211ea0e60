"""Load on the service: wrk with 1 to 64 connections, and requests paced at 50 a second.

    python benchmarks/service.py [--workers N] [--seconds N] [--out FOLDER]

Dense generated notes of 3,000 characters to POST /v1/extract, the load tool on the same cores. Needs wrk (Debian: wrk).
`busy` is how much of all cores others used meanwhile, from /proc/stat: figures with much of it say little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import notes
import served

import parsnlp

HERE = Path(__file__).parent
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
SCRIPT = """
local bodies, at = {}, 0
for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function() at = at % #bodies + 1 return wrk.format(nil, "/v1/extract", nil, bodies[at]) end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("figures %d %d %f %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(95), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Row:
    """One run: how many requests, requests a second, milliseconds, failed requests, CPU milliseconds of the service a request, others' share."""

    name: str
    requests: int
    rate: float
    p50: float
    p95: float
    p99: float
    failed: int
    cpu: float
    others: float


class Watch:
    """What the service and the others on the machine used between two looks."""

    def __init__(self, service: served.Served) -> None:
        self.service = service
        self.start = (time.perf_counter(), service.cpu(), _busy(), _children())

    def used(self) -> tuple[float, float]:
        """CPU seconds of the service, and the share of all cores that neither it nor the load tool used."""
        then, cpu, busy, tool = self.start
        seconds = time.perf_counter() - then
        own = self.service.cpu() - cpu
        others = _busy() - busy - own - (_children() - tool)
        return own, max(0.0, others / seconds / (os.cpu_count() or 1))


def _busy() -> float:
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _children() -> float:
    """CPU seconds of this process and of what it ran to its end."""
    return sum(os.times()[:4])


def loaded(service: served.Served, bodies: Path, connections: int, seconds: int) -> Row:
    """One run of wrk."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.replace("BODIES", str(bodies)))
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "30s",
            "-s",
            script.name,
            service.url,
        ]
        watch = Watch(service)
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        cpu, others = watch.used()
    found = re.search(r"figures (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", shown)
    assert found is not None, shown
    count, duration, p50, p95, p99, failed = map(float, found.groups())
    rate = count / duration * 1e6
    return Row(
        str(connections), int(count), rate, p50 / 1000, p95 / 1000, p99 / 1000, int(failed), cpu / count * 1000, others
    )


def at_pace(service: served.Served, texts: list[str], rate: int, seconds: int) -> Row:
    """One run of requests at a given pace, timed from when each was due."""
    watch = Watch(service)
    times, failed = asyncio.run(served.paced(service.url, texts, rate, seconds))
    cpu, others = watch.used()
    p50, p95, p99 = (served.share(times, percent) for percent in (50, 95, 99))
    return Row(
        f"paced, {rate}/s", len(times), len(times) / seconds, p50, p95, p99, failed, cpu / len(times) * 1000, others
    )


def table(rows: list[Row], workers: int) -> list[str]:
    """The results as Markdown."""
    lines = [
        "# The service under load",
        "",
        f"{time.strftime('%Y-%m-%d')}, parsnlp {parsnlp.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, {workers} workers. Written by `make bench-service`: dense generated notes of 3,000 characters to "
        "`POST /v1/extract`, wrk (and, for the paced run, a client in Python) on the same cores. Milliseconds, wall time. "
        "CPU is that of all processes of the service for a request. Others is the share of the cores that neither the service "
        "nor the load tool used: what is more than a few percent makes the figures beside it too bad.",
        "",
        "| connections | requests/s | p50 | p95 | p99 | errors | CPU ms | others |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = f"{row.p50:.1f} | {row.p95:.1f} | {row.p99:.1f}"
        lines.append(f"| {row.name} | {row.rate:.0f} | {times} | {row.failed} | {row.cpu:.1f} | {row.others:.0%} |")
    wanted = "Wanted: 200 requests/s at 16 connections with p99 of 150; p99 of 40 at a paced 50/s; p95 of 15 at 1 connection."
    return [*lines, "", wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("needs wrk (Debian: apt-get install wrk)")
    texts = notes.spine(400, 3_000, 13)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as bodies, served.serving(chosen.workers) as service:
        bodies.writelines(f"{json.dumps({'text': text})}\n" for text in texts)
        bodies.flush()
        loaded(service, Path(bodies.name), 4, 3)
        rows = [loaded(service, Path(bodies.name), count, chosen.seconds) for count in CONNECTIONS]
        rows.append(at_pace(service, texts, 50, chosen.seconds * 2))
    text = "\n".join(table(rows, chosen.workers))
    requests, errors = sum(row.requests for row in rows), sum(row.failed for row in rows)
    served.noted("the service under wrk, 1 to 64 connections, and paced", requests=requests, errors=errors)
    (chosen.out / "service.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
