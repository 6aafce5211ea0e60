"""A long run that can be stopped at any instant and resumed: inputs in, one output file, nothing lost, nothing twice.

Beside the output stands its folder `OUT.run`, which only the owner may enter. Inputs are decided on in parts; of each
part there are the results, as JSON lines, and the facts: what became of every input, with its hash. Both are written
whole, the facts last, so a part that has its facts is done. When all parts are, the output is put together and the
parts go; `run.json`, `inputs.jsonl` (all facts) and `errors.jsonl` (those of failures) stay, and hold no note text.

To resume is to read all inputs again and to keep each part whose inputs have not changed: the output is then, byte for
byte, that of a run which was never stopped.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from parsnlp import parallel, writing
from parsnlp.coding import icd10cm
from parsnlp.errors import InputError
from parsnlp.extractor import ENGINE, Extractor
from parsnlp.interfaces import outputs
from parsnlp.interfaces.batch import Fact, Options, Outcome, Reader, Tally, crashed
from parsnlp.interfaces.outputs import RUN, Part, run_folder
from parsnlp.interfaces.sources import Input, Sources

_PART_BYTES = 16_000_000  # a part of heavy inputs holds fewer of them, so that memory stays bounded
_INPUTS, _ERRORS, _PARTS, _LOCK = "inputs.jsonl", "errors.jsonl", "parts", "lock"
_DECIDES = ("sources", "options", "policy", "procedures", "engine", "rule_set", "code_sets", "libraries")


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did: `fresh` notes in `seconds`, the rest were done before; all of them when it was `over` already."""

    tally: Tally
    fresh: int = 0
    seconds: float = 0.0
    over: bool = False


def run(
    sources: Sources,
    out: Path,
    extractor: Extractor,
    options: Options,
    *,
    workers: int = 1,
    resume: bool = False,
    force: bool = False,
    format: str = "jsonl",
    failed: Callable[[Fact], None] = lambda fact: None,
    step: Callable[[Tally, int, int], None] = lambda tally, fresh, passed: None,
) -> Done:
    """Decide on every input of the sources and write the results to `out`, in the order of the inputs.

    `resume`: go on with what an earlier run has left, or begin. `force`: begin anew whatever is there. `format`: of the
    output, see `outputs`. `failed` is
    called for each new failure; `step` after each input that is decided on, with how many notes were so far and how many
    bytes of the sources have passed, and after each part that was there. Raises `InputError` when there is something to
    go on with or to replace and neither is asked for, when what decides on the results has changed since, when another
    run writes to `out`, or when something cannot be written; what is done stays. A signal to stop (SIGINT, SIGTERM)
    raises `KeyboardInterrupt`.
    """
    if resume and force:
        raise InputError("--resume goes on and --force begins anew; give one of them")
    folder = run_folder(out)
    there = os.path.isfile(folder / RUN)  # noqa: PTH113 - false of a name that is too long, which is told below
    outputs.check(format, out, replace=force or there)
    facts = _described(sources, extractor, options)
    with _held(out), _stoppable():
        before = None if force else _before(folder)
        over = before is not None and _over(before, facts, out, resume)
        _sweep(out)
        if before is None or not resume:
            _clear(folder)
        if before is not None and over:
            _drop(folder)
            return Done(Tally.again(before["counts"]), over=True)
        started = {**facts, "started": _now()}
        _write_json(folder / RUN, {**started, "state": "running"})
        work = _Work(folder, Reader(extractor, options))
        done = work.through(sources.inputs(), options.part_size, workers, failed, step)
        counts = done.tally.counts()
        _finish(out, work.parts, done.tally.written, format, {**facts, "counts": counts})
        speed = {"seconds": round(done.seconds, 1), "fresh": done.fresh}
        _write_json(folder / RUN, {**started, "state": "finished", "ended": _now(), **speed, "counts": counts})
        _drop(folder)
        return done


class _Work:
    """The parts of a run: those that are done already, and the making of the others."""

    def __init__(self, folder: Path, reader: Reader) -> None:
        self.folder = folder / _PARTS
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.reader = reader
        self.parts: list[Part] = []
        self.count = 0  # notes in these parts
        self.tally = Tally()

    def through(
        self,
        inputs: Iterable[Input],
        size: int,
        workers: int,
        failed: Callable[[Fact], None],
        step: Callable[[Tally, int, int], None],
    ) -> Done:
        """Make every part that is not there yet, and count the others in their turn."""
        start = time.monotonic()
        fresh = 0
        waiting: deque[_Planned] = deque()
        todo = self._todo(_in_parts(inputs, size), waiting, step)
        outcomes = parallel.ordered(self.reader, todo, workers, weigh=Input.size, crashed=crashed)
        for first in outcomes:
            part, heads, _ = waiting[0]
            lines: list[bytes] = []
            facts: list[Fact] = []
            for place, head in enumerate(heads):
                for outcome in first if place == 0 else next(outcomes):
                    fact = head.fact(self.count + len(facts), outcome)
                    facts.append(fact)
                    self.tally.add(fact)
                    fresh += 1
                    if outcome.line is not None:
                        lines.append(outcome.line)
                    if fact["state"] == "failed":
                        failed(fact)
                step(self.tally, fresh, head.passed)
            _forget(part)
            _write_lines(part.results, lines)
            _write_lines(part.inputs, map(_json, facts))
            self._ready(part, facts)
            waiting.popleft()
            self._pass(waiting, step)
        return Done(self.tally, fresh, time.monotonic() - start)

    def _todo(
        self, parts: Iterable[list[Input]], waiting: deque[_Planned], step: Callable[[Tally, int, int], None]
    ) -> Iterator[Input]:
        """The inputs of the parts that are to be made; parts are `waiting` for their turn."""
        for number, inputs in enumerate(parts):
            part = Part(self.folder / f"{number:06}.results.jsonl", self.folder / f"{number:06}.inputs.jsonl")
            heads = [_Head(item.where, item.sha256, item.passed) for item in inputs]
            if _is_of(part, heads):
                waiting.append(_Planned(part, [], heads[-1].passed))
                self._pass(waiting, step)
            else:
                waiting.append(_Planned(part, heads, heads[-1].passed))
                yield from inputs

    def _pass(self, waiting: deque[_Planned], step: Callable[[Tally, int, int], None]) -> None:
        """Count the parts next in turn that were there. Notes before them may have become more or fewer."""
        while waiting and not waiting[0].heads:
            part, _, passed = waiting.popleft()
            facts = _facts(part)
            for fact in facts:
                self.tally.add(fact)
            if facts[0]["number"] != self.count:
                for place, fact in enumerate(facts, self.count):
                    fact["number"] = place
                _write_lines(part.inputs, map(_json, facts))
            self._ready(part, facts)
            step(self.tally, 0, passed)

    def _ready(self, part: Part, facts: list[Fact]) -> None:
        self.parts.append(part)
        self.count += len(facts)


class _Head(NamedTuple):
    """What is kept of an input while it is decided on."""

    where: str
    sha256: str
    passed: int

    def fact(self, number: int, outcome: Outcome) -> Fact:
        """The fact of one of its notes."""
        return {"number": number, "where": self.where, "sha256": self.sha256, **outcome.fact}


class _Planned(NamedTuple):
    """A part with what is kept of its inputs, nothing where it is done already."""

    part: Part
    heads: list[_Head]
    passed: int


def _in_parts(inputs: Iterable[Input], size: int) -> Iterator[list[Input]]:
    some: list[Input] = []
    weight = 0
    for item in inputs:
        some.append(item)
        weight += item.size()
        if len(some) == size or weight >= _PART_BYTES:
            yield some
            some, weight = [], 0
    if some:
        yield some


def _is_of(part: Part, heads: list[_Head]) -> bool:
    """Whether the part is done and its inputs were these."""
    try:
        there = [key for key, _ in groupby((fact["where"], fact["sha256"]) for fact in _facts(part))]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return there == [head[:2] for head in heads] and part.results.exists()


def _forget(part: Part) -> None:
    """Let a part of other inputs count as done no more, before its results are replaced."""
    if part.inputs.exists():
        part.inputs.unlink()
        writing.settle(part.inputs.parent)


def _facts(part: Part) -> list[Fact]:
    return [json.loads(line) for line in part.inputs.read_bytes().splitlines()]


def _finish(out: Path, parts: list[Part], written: int, format: str, facts: dict[str, Any]) -> None:
    """Put the output together, then what stays in the folder."""
    folder = run_folder(out)
    if sum(_count(part.results) for part in parts) != written:
        raise InputError(f"{folder}: its parts are damaged; --force does all anew")
    try:
        outputs.write(format, out, parts, facts, replace=True)
    except InputError as error:
        raise InputError(f"{error}; {_KEPT}") from None
    with writing.replacing(folder / _INPUTS) as inputs, writing.replacing(folder / _ERRORS) as errors:
        for part in parts:
            for line in part.inputs.read_bytes().splitlines(keepends=True):
                inputs.write(line)
                if b'"state":"failed"' in line:
                    errors.write(line)


def _count(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


_KEPT = "what is done stays, go on with --resume"


def _write_lines(path: Path, lines: Iterable[bytes]) -> None:
    try:
        with writing.replacing(path) as stream:
            for line in lines:
                stream.write(line + b"\n")
    except InputError as error:
        raise InputError(f"{error}; {_KEPT}") from None


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with writing.replacing(path) as stream:
        stream.write(json.dumps(value, indent=2).encode() + b"\n")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# --- what there was before ------------------------------------------------------------------------------------------


def _before(folder: Path) -> dict[str, Any] | None:
    """What an earlier run says of itself; None where there was none."""
    try:
        found: dict[str, Any] = json.loads((folder / RUN).read_bytes())
        if found["state"] == "finished":
            Tally.again(found["counts"])
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder / RUN}: cannot be read, so nothing can be resumed; --force does all anew") from None


def _over(before: dict[str, Any], now: dict[str, Any], out: Path, resume: bool) -> bool:
    """Whether the earlier run is finished, so that nothing is left to resume; False to begin anew in its place too.

    Raises `InputError` where it can neither be resumed nor passed over.
    """
    finished: bool = before["state"] == "finished"
    if resume:
        _check_same(before, now)
        if finished and not out.exists():
            raise InputError(f"{out}: was finished and is gone; --force does all anew")
        return finished
    if not finished:
        raise InputError(f"{out}: a run of it is not finished; go on with --resume, or begin anew with --force")
    if out.exists():
        raise InputError(_exists(out))
    return False


def _check_same(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `InputError` naming what has changed of what decides on the results."""
    old = _flat({key: before.get(key) for key in _DECIDES})
    new = _flat({key: now[key] for key in _DECIDES})
    changed = [f"{key} was {old.get(key)}, is {new.get(key)}" for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        raise InputError(
            f"cannot be resumed, since results would differ: {'; '.join(changed)}. "
            "Resume as it was begun, or do all anew with --force"
        )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {key: leaf for part in value for key, leaf in _flat(value[part], f"{name}.{part}" if name else part).items()}


def _described(sources: Sources, extractor: Extractor, options: Options) -> dict[str, Any]:
    """What decides on the results, and where; it comes back the same from JSON."""
    described = {
        "schema": 1,
        "sources": list(sources.given),
        "options": asdict(options),
        "policy": {
            "setting": extractor.setting,
            **extractor.policy.model_dump(),
            "strict_release": extractor.strict_release,
        },
        "procedures": [asdict(row) for row in extractor.procedures],
        "engine": ENGINE,
        "rule_set": {"hash": extractor.ruleset.hash, "rules": len(extractor.ruleset.rules)},
        "code_sets": {edition.id: edition.sha256 for edition in icd10cm.editions()},
        "libraries": {name: metadata.version(name) for name in ("medspacy", "spacy")},
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    again: dict[str, Any] = json.loads(json.dumps(described))
    return again


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _exists(out: Path) -> str:
    return f"{out}: exists already; choose another --out, or --force to replace it"


def _clear(folder: Path) -> None:
    """Leave nothing of an earlier run; what it says of itself goes first, so that half of it is never resumed."""
    for name in (RUN, _INPUTS, _ERRORS):
        (folder / name).unlink(missing_ok=True)
    _drop(folder)


def _drop(folder: Path) -> None:
    """Remove the parts."""
    inside = folder / _PARTS
    if inside.is_dir():
        for path in inside.glob("*.jsonl"):
            path.unlink()
        inside.rmdir()


def _sweep(out: Path) -> None:
    """Remove what a killed run left half written."""
    folder = run_folder(out)
    writing.sweep(out)
    for path in [*folder.glob(".*"), *(folder / _PARTS).glob(".*")]:
        if path.suffix == ".part":
            path.unlink()


# --- one run at a time ----------------------------------------------------------------------------------------------


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """The run's folder, made where it is not there, held by this process until it ends, however it ends."""
    folder = run_folder(out)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        _lock(handle, out)
        yield
    except OSError as error:
        raise InputError(f"{folder}: cannot be written or read ({error.strerror}); {_KEPT}") from None
    finally:
        os.close(handle)


def _lock(handle: int, out: Path) -> None:
    """Lock the open file for this process alone."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise InputError(f"{out}: another run is writing to it; wait until it ends, or choose another --out") from None
    except OSError as error:
        raise InputError(f"{run_folder(out)}: cannot be locked ({error.strerror}); choose an --out elsewhere") from None


@contextmanager
def _stoppable() -> Iterator[None]:
    """Take a request to end (SIGTERM) as an interrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
