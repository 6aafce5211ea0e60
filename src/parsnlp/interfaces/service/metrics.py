"""What the service counts, for Prometheus: numbers by route and status, nothing of what was sent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

MEDIA = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
_registry = CollectorRegistry()

requests = Counter("parsnlp_requests", "Requests answered", ["route", "status"], registry=_registry)
seconds = Histogram(
    "parsnlp_request_seconds",
    "From a request's head to the end of its answer",
    ["route"],
    buckets=_BOUNDS,
    registry=_registry,
)
notes = Counter("parsnlp_notes", "Documents read", registry=_registry)
characters = Counter("parsnlp_characters", "Characters of the documents read", registry=_registry)
lines = Counter("parsnlp_batch_lines", "Lines of batches answered", ["outcome"], registry=_registry)


def exposition() -> bytes:
    """The figures as Prometheus reads them."""
    return generate_latest(_registry)
