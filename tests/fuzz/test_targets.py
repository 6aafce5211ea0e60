"""The fuzz targets, without the fuzzer: their seeds, what once broke something, and a bounded number of changed seeds."""

from __future__ import annotations

import importlib.util
import io
import os
import random
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_targets", Path(__file__).with_name("targets.py"))
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # its dataclasses look it up
    spec.loader.exec_module(made)
    return made


targets = loaded()
TRIES = 150
NAMELESS = io.BytesIO()
with zipfile.ZipFile(NAMELESS, "w") as archive:
    archive.writestr("n", "x")
BROKE = {
    "gold archive": [NAMELESS.getvalue().replace(b"n", b"\0").decode("utf-8", "surrogateescape")],  # a member without a name
    "note": ["." * 9_000 + "x\nL5 pars defects", "!?." * 3_000 + "a L5 pars defects", "L5 pars defects\udcff.\udcff no"],
    "encounter": ["\x1e\x1e", "\x01L5 pars defects\x1e\x01L5 pars defects"],
    "service": ["\x03\n\n{}\n[", "\x00" + '{"text": "\\ud800 L5 pars defects"}', "\x48" + '{"text": "\U0001f600 L5 pars defects"}'],
    "rules": ["category: a\nrules:\n  - id: own.a\n    pattern: '{level'\n", "rules: [" * 400, "&a [*a]", "a: &a [*a, *a]\nb: *a"],
    "gold": ["[" * 100_000, '{"documents": [{"text": "a"}], "mentions": 5}', '{"documents": [{"text": "a", "mentions": [1]}]}', '{"id": "a", "text": "x", "mentions": [{"start": 1e999}]}'],
    "jsonl": ["[" * 100_000, '{"text": ' + "9" * 5_000 + "}", '{"text": "a", "id": NaN}'],
    "csv": ['encounter,note\n"1,n.txt\n', "encounter,note\n1,\0\n", "encounter,note,note\n1,n.txt,n.txt\n"],
    "brat": ["abc\x1eT1\tspondylolysis 0 " + "9" * 5_000 + "\tabc"],
    "output": ["[" * 100_000, "{}\x1e" + '{"state": "done"}', '\x1e{"state": "failed", "number": "1"}', "\x1e\x1e" + '{"a":' * 9_000, '\x1e\x1e{"sources": 5}'],
    "tabular": ["<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a>" * 5_000, "<ICD10CM.tabular/>"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_client_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx logs each URL that it asks for; it is the caller here."""
    monkeypatch.setattr(targets.httpx._client.logger, "disabled", True)


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """What is made when first needed is not an input's time."""
    targets.extractor().extract("L5 pars defects.", what_if=True)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_and_what_once_broke(name: str) -> None:
    target = targets.TARGETS[name]
    seeds = list(target.seeds())
    assert seeds
    for data in [b"", b"\0", *seeds[:6], *(text.encode("utf-8", "surrogateescape") for text in BROKE.get(name, ()))]:
        targets.tried(target, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", targets.TARGETS)
def test_changed_seeds(name: str) -> None:
    """Bytes overwritten, taken out, repeated, words put in. The same inputs each time, unless PARSNLP_SEED is given."""
    target = targets.TARGETS[name]
    seeds, words = list(target.seeds()), list(target.words()) or [b"\0"]
    chance = random.Random(int(os.environ.get("PARSNLP_SEED", "1")))
    for data in seeds[:3]:
        targets.tried(target, data)
    for _ in range(TRIES):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at, size = chance.randrange(len(data) + 1), chance.randint(1, 40)
            change = chance.randrange(4)
            if change == 0:
                data[at : at + size] = chance.randbytes(size)
            elif change == 1:
                del data[at : at + size]
            elif change == 2:
                data[at:at] = bytes(data[at : at + size]) * chance.randint(1, 50)
            else:
                data[at:at] = chance.choice(words)
        targets.tried(target, bytes(data))
