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
import shutil
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
from parsnlp.interfaces.batch import Fact, Options, Outcome, Reader, Tally, crashed
from parsnlp.interfaces.sources import Input, Sources

_PART_BYTES = 16_000_000  # a part of heavy inputs holds fewer of them, so that memory stays bounded
_RUN, _INPUTS, _ERRORS, _LOCK = "run.json", "inputs.jsonl", "errors.jsonl", "lock"
_DECIDES = ("sources", "options", "policy", "engine", "rule_set", "code_sets", "libraries")


class Part(NamedTuple):
    """The files of a part: results as JSON lines, and a `Fact` a line; the nth fact that is done has the nth result."""

    results: Path
    inputs: Path


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did: `fresh` notes in `seconds`, the rest were done before; all of them when it was `over` already."""

    tally: Tally
    fresh: int = 0
    seconds: float = 0.0
    over: bool = False


def concatenate(parts: Iterable[Part], target: Path) -> None:
    """The results of all parts as one file of JSON lines. Raises `InputError` when it cannot be written."""
    with writing.replacing(target) as stream:
        for part in parts:
            with part.results.open("rb") as results:
                shutil.copyfileobj(results, stream)


def run(
    sources: Sources,
    out: Path,
    extractor: Extractor,
    options: Options,
    *,
    workers: int = 1,
    resume: bool = False,
    force: bool = False,
    assemble: Callable[[Iterable[Part], Path], None] = concatenate,
    failed: Callable[[Fact], None] = lambda fact: None,
    step: Callable[[Tally, int, int], None] = lambda tally, fresh, passed: None,
) -> Done:
    """Decide on every input of the sources and write the results to `out`, in the order of the inputs.

    `resume`: go on with what an earlier run has left, or begin. `force`: begin anew whatever is there. `assemble` makes
    the output of the parts, at a path it is given. `failed` is called for each new failure; `step` after each input
    that is decided on, with how many notes were so far and how many bytes of the sources have passed, and after each
    part that was there. Raises `InputError` when there is something to go on with or to replace and
    neither is asked for, when what decides on the results has changed since, when another run writes to `out`, or when
    something cannot be written; what is done stays. A signal to stop (SIGINT, SIGTERM) raises `KeyboardInterrupt`.
    """
    if resume and force:
        raise InputError("--resume goes on and --force begins anew; give one of them")
    folder = folder_of(out)
    check_out(out, force or (folder / _RUN).exists())
    facts = _described(sources, extractor, options)
    with _held(out), _stoppable():
        before = None if force else _before(folder)
        over = before is not None and _over(before, facts, out, resume)
        if before is None or not resume:
            _clear(folder)
        if before is not None and over:
            return Done(Tally.again(before["counts"]), over=True)
        described = {**facts, **_circumstances()}
        _write_json(folder / _RUN, {**described, "state": "running"})
        _sweep(folder, parts=False)
        work = _Work(folder, Reader(extractor, options))
        done = work.through(sources.inputs(), options.part_size, workers, failed, step)
        _finish(folder, out, work.parts, done.tally.written, assemble)
        speed = {"seconds": round(done.seconds, 1), "fresh": done.fresh}
        counts = done.tally.counts()
        _write_json(folder / _RUN, {**described, "state": "finished", "ended": _now(), **speed, "counts": counts})
        _sweep(folder, parts=True)
        return done


def folder_of(out: Path) -> Path:
    """The folder of the run that writes `out`."""
    return out.with_name(f"{out.name}.run")


def check_out(out: Path, there: bool) -> None:
    """Raise `InputError` when `out` cannot be written. `there`: it may be there already."""
    if out.is_dir() and not there:
        raise InputError(f"{out}: is a folder; --out names a file, such as {out / 'results.jsonl'}")
    if not out.parent.is_dir():
        raise InputError(f"{out}: its folder {out.parent} does not exist; make it first")
    if out.exists() and not there:
        raise InputError(_exists(out))


class _Work:
    """The parts of a run: those that are done already, and the making of the others."""

    def __init__(self, folder: Path, reader: Reader) -> None:
        self.folder = folder / "parts"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.reader = reader
        self.parts: list[int] = []
        self.tally = Tally()

    def through(
        self,
        inputs: Iterable[Input],
        size: int,
        workers: int,
        failed: Callable[[Fact], None],
        step: Callable[[Tally, int, int], None],
    ) -> Done:
        """Make every part that is not there yet."""
        start = time.monotonic()
        fresh = 0
        waiting: deque[tuple[int, list[_Head]]] = deque()
        todo = self._todo(_in_parts(inputs, size), waiting, step)
        outcomes = parallel.ordered(self.reader, todo, workers, weigh=Input.size, crashed=crashed)
        for first in outcomes:
            number, heads = waiting.popleft()
            lines: list[bytes] = []
            facts: list[Fact] = []
            for place, head in enumerate(heads):
                for outcome in first if place == 0 else next(outcomes):
                    fact = head.fact(outcome)
                    facts.append(fact)
                    self.tally.add(fact)
                    fresh += 1
                    if outcome.line is not None:
                        lines.append(outcome.line)
                    if fact["state"] == "failed":
                        failed(fact)
                step(self.tally, fresh, head.passed)
            part = _part(self.folder, number)
            _write_lines(part.results, lines)
            _write_lines(part.inputs, map(_json, facts))
        return Done(self.tally, fresh, time.monotonic() - start)

    def _todo(
        self,
        parts: Iterable[list[Input]],
        waiting: deque[tuple[int, list[_Head]]],
        step: Callable[[Tally, int, int], None],
    ) -> Iterator[Input]:
        """The inputs of the parts that are to be made, which are then `waiting`; the others are counted."""
        first = 1
        for number, inputs in enumerate(parts):
            self.parts.append(number)
            heads = [_Head(first + place, item.where, item.sha256, item.passed) for place, item in enumerate(inputs)]
            first += len(inputs)
            there = _stored(_part(self.folder, number), heads)
            if there is None:
                waiting.append((number, heads))
                yield from inputs
            else:
                for fact in there:
                    self.tally.add(fact)
                step(self.tally, 0, heads[-1].passed)


class _Head(NamedTuple):
    """What is kept of an input while it is decided on."""

    number: int
    where: str
    sha256: str
    passed: int

    def fact(self, outcome: Outcome) -> Fact:
        """The fact of one of its notes."""
        return {"number": self.number, "where": self.where, "sha256": self.sha256, **outcome.fact}


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


def _part(folder: Path, number: int) -> Part:
    return Part(folder / f"{number:06}.results.jsonl", folder / f"{number:06}.inputs.jsonl")


def _stored(part: Part, heads: list[_Head]) -> list[Fact] | None:
    """The facts of a part that is done, if its inputs were these."""
    try:
        facts: list[Fact] = [json.loads(line) for line in part.inputs.read_bytes().splitlines()]
        there = [key for key, _ in groupby((fact["number"], fact["where"], fact["sha256"]) for fact in facts)]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts if there == [head[:3] for head in heads] and part.results.exists() else None


def _finish(
    folder: Path, out: Path, numbers: list[int], written: int, assemble: Callable[[Iterable[Part], Path], None]
) -> None:
    """Put the output together, then what stays in the folder."""
    parts = [_part(folder / "parts", number) for number in numbers]
    if sum(_count(part.results) for part in parts) != written:
        raise InputError(f"{folder}: its parts are damaged; --force does all anew")
    made = folder / f".made{''.join(out.suffixes)}.part"
    try:
        assemble(parts, made)
    except InputError as error:
        raise InputError(f"{out}: cannot be put together from its parts: {error}; {_KEPT}") from None
    _place(made, out, folder)
    with writing.replacing(folder / _INPUTS) as inputs, writing.replacing(folder / _ERRORS) as errors:
        for part in parts:
            for line in part.inputs.read_bytes().splitlines(keepends=True):
                inputs.write(line)
                if b'"state":"failed"' in line:
                    errors.write(line)


def _count(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def _place(made: Path, out: Path, folder: Path) -> None:
    """Put what was made in the output's place."""
    if out.is_dir() and made.is_dir():  # no system replaces a folder that holds something
        out.replace(folder / ".old.part")
    made.replace(out)
    writing.settle(out.parent)


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
        found: dict[str, Any] = json.loads((folder / _RUN).read_bytes())
        if found["state"] == "finished":
            Tally.again(found["counts"])
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder / _RUN}: cannot be read, so nothing can be resumed; --force does all anew") from None


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
    """What decides on the results; it comes back the same from JSON."""
    described = {
        "schema": 1,
        "sources": list(sources.given),
        "options": asdict(options),
        "policy": {
            "setting": extractor.setting,
            **extractor.policy.model_dump(),
            "strict_release": extractor.strict_release,
        },
        "engine": ENGINE,
        "rule_set": {"hash": extractor.ruleset.hash, "rules": len(extractor.ruleset.rules)},
        "code_sets": {edition.id: edition.sha256 for edition in icd10cm.editions()},
        "libraries": {name: metadata.version(name) for name in ("medspacy", "spacy")},
    }
    again: dict[str, Any] = json.loads(json.dumps(described))
    return again


def _circumstances() -> dict[str, str]:
    return {"python": platform.python_version(), "system": platform.platform(), "started": _now()}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _exists(out: Path) -> str:
    return f"{out}: exists already; choose another --out, or --force to replace it"


def _clear(folder: Path) -> None:
    """Leave nothing of an earlier run; what it says of itself goes first, so that half of it is never resumed."""
    for name in (_RUN, _INPUTS, _ERRORS):
        (folder / name).unlink(missing_ok=True)
    _sweep(folder, parts=True)


def _sweep(folder: Path, parts: bool) -> None:
    """Clear what was left half written; `parts`: and the parts that are done."""
    inside = folder / "parts"
    for path in [*folder.glob(".*.part"), *inside.glob(".*.part"), *(inside.glob("*.jsonl") if parts else ())]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if parts and inside.is_dir():
        inside.rmdir()


# --- one run at a time ----------------------------------------------------------------------------------------------


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """The run's folder, made where it is not there, held by this process until it ends, however it ends."""
    folder = folder_of(out)
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
        raise InputError(f"{folder_of(out)}: cannot be locked ({error.strerror}); choose an --out elsewhere") from None


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
