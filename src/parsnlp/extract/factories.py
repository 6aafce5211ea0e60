"""What spaCy finds of ours by itself: `nlp.add_pipe("parsnlp_targets")` works wherever parsnlp is installed."""

from __future__ import annotations

from parsnlp.extract import pipeline

factories = pipeline.register()
