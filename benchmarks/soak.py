"""Many requests to the service, and whether its memory stays flat.

    python benchmarks/soak.py [--requests N] [--workers N] [--connections N]

Notes of all kinds and lengths, one request in fifty wrong on purpose, to /v1/extract, /v1/encounter, /v1/audit and
/v1/batch. Exit status 1 when an answer is not as it should be, or a process ends more than a tenth larger than after the
first tenth of the requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter

import httpx
import notes
import served

GROWTH = 1.1


def requests(count: int) -> list[tuple[str, bytes, int]]:
    """Requests to take turns with: path, body, the status they should have."""
    made = []
    texts = notes.unselected(count - 40, 21) + notes.spine(40, 3_000, 22)
    for number, text in enumerate(texts):
        if number % 50 == 49:
            made.append(("/v1/extract", b'{"text": 5}', 422))
        elif number % 10 == 3:
            documents = [{"text": text}, {"text": texts[number - 1]}]
            made.append(("/v1/encounter", json.dumps({"documents": documents}).encode(), 200))
        elif number % 10 == 5:
            made.append(("/v1/audit", json.dumps({"text": text, "codes": ["M43.06"]}).encode(), 200))
        elif number % 10 == 7:
            made.append(("/v1/batch", (json.dumps({"text": text}) + "\nno\n").encode(), 200))
        else:
            made.append(
                (f"/v1/extract{'?offsets=utf16' if number % 2 else ''}", json.dumps({"text": text}).encode(), 200)
            )
    return made


async def soak(service: served.Served, total: int, connections: int) -> bool:
    """Send so many requests. Tells memory along the way; whether all went well."""
    given = requests(600)
    seen: Counter[str] = Counter()
    numbers = iter(range(total))
    settled: dict[str, float] = {}
    started = time.perf_counter()

    async def caller(client: httpx.AsyncClient) -> None:
        for number in numbers:
            path, body, expected = given[number % len(given)]
            media = "application/x-ndjson" if path == "/v1/batch" else "application/json"
            try:
                response = await client.post(path, content=body, headers={"Content-Type": media})
                good = response.status_code == expected
            except httpx.HTTPError:
                good = False
            seen["as it should" if good else "wrong"] += 1
            if number % max(1, total // 10) == 0:
                show(f"{number:>9,}", service.memory())
            if number == total // 10:
                settled.update(service.memory())

    def show(label: str, memory: dict[str, float]) -> None:
        print(label, ", ".join(f"{name} {size:.0f} MB" for name, size in memory.items()), flush=True)

    processes = service.processes()
    show("    start", service.memory())
    async with (
        httpx.AsyncClient(base_url=service.url, timeout=60, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(connections):
            group.create_task(caller(client))
    end = service.memory()
    show("      end", end)
    peaks = service.peaks()
    show("     peak", peaks)
    seconds = time.perf_counter() - started
    print(f"{total:,} requests in {seconds:.0f} s ({total / seconds:.0f}/s):", dict(seen))
    flat = all(end[name] <= settled[name] * GROWTH for name in end)
    same = service.processes() == processes
    print("memory is flat" if flat else "MEMORY GROWS", "and no process died" if same else "AND A PROCESS DIED")
    served.noted(
        "soak of the service",
        requests=total,
        errors=total - seen["as it should"],
        processes_that_died=sum(pid not in processes.values() for pid in service.processes().values()),
        MB_grown_at_most=max(round(peaks[name] - settled[name]) for name in peaks),
    )
    return flat and same and seen["as it should"] == total


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--connections", type=int, default=8)
    chosen = parser.parse_args()
    with served.serving(chosen.workers) as service:
        good = asyncio.run(soak(service, chosen.requests, chosen.connections))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
