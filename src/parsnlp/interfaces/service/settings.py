"""What one service is told: its policy, its limits and who may call it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Given once.

    `setting`, `excludes1`, `stress_fracture`, `patterns`, `strict_release`: as for `parsnlp.load`, where a request does
    not say. `hosts`: names that callers may address the service by. `token`: what they must show; None on loopback.
    `origins`: web pages that may call it. `max_body`: bytes of a request, or of a line of a batch. `max_batch`,
    `max_lines`: bytes and lines of a batch. `max_concurrent`, `max_batches`: requests and batches at a time.
    `seconds`, `batch_seconds`: for a request, or a batch, to arrive. `access_log`: log a line for each request.
    `decisions`: the file of what coders decide on the page; None for the standard one. `keep_notes`: with the notes'
    texts. `results`: the output of a batch that the page lists.
    """

    setting: str = "outpatient"
    excludes1: str = "separate"
    stress_fracture: str = "M43.0"
    patterns: tuple[str, ...] = ()
    strict_release: bool = False
    hosts: frozenset[str] = LOOPBACK
    token: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    max_body: int = 1 << 20
    max_batch: int = 16 << 20
    max_lines: int = 10_000
    max_concurrent: int = 100
    max_batches: int = 4
    seconds: float = 10
    batch_seconds: float = 300
    access_log: bool = False
    decisions: Path | None = None
    keep_notes: bool = False
    results: Path | None = None
