"""The parts of `corpora/generate.py`: truth, plots, wording and the lexicon. Development only."""
