"""A service to measure: started on a free port, its processes and their memory, a paced client."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PROGRAM = [sys.executable, "-c", "from parsnlp.interfaces.cli import main; main()"]


@dataclass(frozen=True)
class Served:
    """A service that runs. `pid`: the process that faces the network."""

    url: str
    pid: int

    def processes(self) -> dict[str, int]:
        """Its processes by what they do."""
        found = [
            int(child)
            for path in Path(f"/proc/{self.pid}/task").glob("*/children")
            for child in path.read_text().split()
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
        ]
        return {"network": self.pid} | {f"worker {number}": pid for number, pid in enumerate(sorted(found), 1)}

    def memory(self) -> dict[str, float]:
        """MB of resident memory of each process."""
        return {name: _status(pid, "VmRSS") for name, pid in self.processes().items()}

    def peaks(self) -> dict[str, float]:
        """MB that each process had at most."""
        return {name: _status(pid, "VmHWM") for name, pid in self.processes().items()}

    def cpu(self) -> float:
        """Seconds of processor time of all processes."""
        times = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.processes().values()]
        return sum(int(each[11]) + int(each[12]) for each in times) / os.sysconf("SC_CLK_TCK")


def _status(pid: int, name: str) -> float:
    return int(re.findall(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


@contextmanager
def serving(workers: int) -> Iterator[Served]:
    """A service that is warm."""
    command = [*PROGRAM, "serve", "--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r"http://\S+:\d+", process.stderr.readline())
        assert found is not None
        served = Served(found.group(), process.pid)
        while httpx.get(f"{served.url}/readyz").status_code != 200 or len(served.processes()) <= workers:
            time.sleep(0.1)
        time.sleep(2)  # the other workers may still warm up
        yield served
    finally:
        process.terminate()
        process.wait()


def noted(name: str, **figures: int) -> None:
    """Note a run in the file that PARSNLP_TRUST names, for docs/trust.md; without it nothing is noted."""
    if os.environ.get("PARSNLP_TRUST"):
        sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
        import trust

        trust.add("load", name, **figures)


async def paced(url: str, texts: list[str], rate: float, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of requests sent `rate` a second whatever the answers do, in order of size; and how many failed.

    A few requests that are not timed come first, for the client's own beginnings.
    """
    times: list[float] = []
    failed = 0

    async def ask(client: httpx.AsyncClient, text: str, due: float) -> None:
        nonlocal failed
        response = await client.post("/v1/extract", json={"text": text})
        times.append((time.perf_counter() - due) * 1000)
        failed += response.status_code != 200

    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client, asyncio.TaskGroup() as group:
        await asyncio.gather(*(ask(client, text, 0.0) for text in texts[:8]))
        times.clear()
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(client, texts[number % len(texts)], due))
    return sorted(times), failed


def share(times: list[float], percent: int) -> float:
    """The time that so many percent stay within."""
    return times[min(len(times) * percent // 100, len(times) - 1)]
