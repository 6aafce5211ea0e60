"""Work spread over processes, its results in the order of the inputs whatever the number of processes."""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, Generic, TypeVar

from parsnlp.errors import InputError, ParsnlpError

T = TypeVar("T")
R = TypeVar("R")

BATCH = 32
"""How many inputs go to a process at once."""

_HEAVY = 1_000_000  # a batch that weighs so much is full
_WAITING = 4  # batches per process that are under way at most, so that memory does not grow with the input
_DIED = "a worker process died, perhaps for lack of memory; try fewer workers, and say if one note does it"
_function: Any = None


def ordered(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int = 1,
    batch: int = BATCH,
    *,
    weigh: Callable[[T], int] = lambda item: 0,
    crashed: Callable[[T], R] | None = None,
) -> Iterator[R]:
    """`function` of each item, in order. `workers`: processes; with 1 all is done here.

    More than one are started anew ("spawn"), so that no thread or lock of the caller is copied: `function`, items and
    results must pickle, and a script that calls this needs the usual `if __name__ == "__main__":`. At most a few batches
    are under way at once; `weigh` gives an item's bytes, so that a batch of heavy ones stays small. When a process
    dies, what was under way is done again one by one, and `crashed` gives the result of an item that kills its process
    once more. Raises `InputError` for `workers` or `batch` below 1, `ParsnlpError` when a process dies and `crashed` is
    not given, or when new processes die of themselves.
    """
    if workers < 1 or batch < 1:
        raise InputError(f"workers and batch must be at least 1, not {workers} and {batch}")
    if workers == 1:
        return map(function, items)
    return _spread(function, in_batches(items, batch, weigh), workers, crashed)


def in_batches(items: Iterable[T], batch: int, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """Lists of `batch` items, or of fewer that are heavy together; `weigh` gives an item's bytes."""
    some: list[T] = []
    weight = 0
    for item in items:
        some.append(item)
        weight += weigh(item)
        if len(some) == batch or weight >= _HEAVY:
            yield some
            some, weight = [], 0
    if some:
        yield some


def _spread(
    function: Callable[[T], R], batches: Iterator[list[T]], workers: int, crashed: Callable[[T], R] | None
) -> Iterator[R]:
    under_way: deque[tuple[list[T], Future[list[R]]]] = deque()
    pool = _Pool(function, workers)
    more = True
    try:
        while more or under_way:
            while more and len(under_way) < workers * _WAITING:
                some = next(batches, None)
                if some is None:
                    more = False
                else:
                    under_way.append((some, pool.submit(some)))
            if not under_way:
                break
            try:
                done = under_way[0][1].result()
            except BrokenProcessPool:
                if crashed is None:
                    raise ParsnlpError(_DIED) from None
                pool.stop()
                again = list(under_way)
                under_way.clear()
                yield from _one_by_one(function, again, crashed)
                pool = _Pool(function, workers)
            else:
                under_way.popleft()
                yield from done
    except BaseException:  # an interrupt or the caller's leaving too: nobody waits for what is under way
        pool.stop()
        raise
    pool.end()


def _one_by_one(
    function: Callable[[T], R], batches: Iterable[tuple[list[T], Future[list[R]]]], crashed: Callable[[T], R]
) -> Iterator[R]:
    """The results of batches that were under way when a process died; what is not done yet, each item alone."""
    pool: _Pool[T, R] | None = None
    try:
        for some, future in batches:
            if future.done() and not future.cancelled() and future.exception() is None:
                yield from future.result()
                continue
            for item in some:
                if pool is None:
                    pool = _Pool(function, 1)
                    if not pool.lives():
                        raise ParsnlpError(_DIED)
                try:
                    yield pool.submit([item]).result()[0]
                except BrokenProcessPool:
                    pool.stop()
                    pool = None
                    yield crashed(item)
    finally:
        if pool is not None:
            pool.stop()


class _Pool(Generic[T, R]):
    """Processes that end with this one: each holds the end of a pipe, and goes when the other end is closed.

    So none outlives a program that was killed, and an interrupt need not wait for what is under way.
    """

    def __init__(self, function: Callable[[T], R], workers: int) -> None:
        context = get_context("spawn")
        self._theirs, self._ours = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(workers, context, _start, (function, self._theirs))

    def submit(self, items: list[T]) -> Future[list[R]]:
        """The future results of these items; one that fails when the processes are dead already."""
        try:
            return self._pool.submit(_work, items)
        except BrokenProcessPool as error:
            failed: Future[list[R]] = Future()
            failed.set_exception(error)
            return failed

    def lives(self) -> bool:
        """Whether a process starts at all."""
        try:
            self._pool.submit(_work, []).result()
        except BrokenProcessPool:
            return False
        return True

    def stop(self) -> None:
        """End the processes now."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._close()

    def end(self) -> None:
        """End the processes when they have done their work."""
        self._pool.shutdown()
        self._close()

    def _close(self) -> None:
        self._ours.close()
        self._theirs.close()


def _start(function: Any, line: Connection) -> None:
    """What a process does first: take the function, and leave an interrupt to the process that started it."""
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(line,), daemon=True).start()
    _function = function
    settle()


def settle() -> None:
    """Have the garbage collector leave alone what is loaded, and look less often; only for processes of our own.

    The rules stay for good: to look through them again and again, as often as it does by itself, costs a sixth of the
    time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def _end_with(line: Connection) -> None:
    with suppress(EOFError, OSError):
        line.recv_bytes()
    os._exit(1)


def _work(items: list[Any]) -> list[Any]:
    return [_function(item) for item in items]
