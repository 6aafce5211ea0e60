"""Work spread over processes, its results in the order of the inputs whatever the number of processes."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

from parsnlp.errors import InputError, ParsnlpError

T = TypeVar("T")
R = TypeVar("R")

BATCH = 32
"""How many inputs go to a process at once."""

_WAITING = 4  # batches per process that are under way at most, so that memory does not grow with the input
_function: Any = None


def ordered(function: Callable[[T], R], items: Iterable[T], workers: int = 1, batch: int = BATCH) -> Iterator[R]:
    """`function` of each item, in order. `workers`: processes; with 1 all is done here.

    More than one are started anew ("spawn"), so that no thread or lock of the caller is copied: `function`, items and
    results must pickle, and a script that calls this needs the usual `if __name__ == "__main__":`. At most a few batches
    are under way at once. Raises `InputError` for `workers` or `batch` below 1, `ParsnlpError` when a process dies.
    """
    if workers < 1 or batch < 1:
        raise InputError(f"workers and batch must be at least 1, not {workers} and {batch}")
    if workers == 1:
        return map(function, items)
    return _spread(function, iter(items), workers, batch)


def _spread(function: Callable[[T], R], items: Iterator[T], workers: int, batch: int) -> Iterator[R]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (function,))
    under_way: deque[Future[list[R]]] = deque()
    try:
        while some := list(islice(items, batch)):
            under_way.append(pool.submit(_work, some))
            if len(under_way) >= workers * _WAITING:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    except BrokenProcessPool:
        raise ParsnlpError(
            "a worker process died, perhaps for lack of memory; try fewer workers, and say if one note does it"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _start(function: Any) -> None:
    """What a process does first: take the function, and leave an interrupt to the process that started it."""
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _function = function


def _work(items: list[Any]) -> list[Any]:
    return [_function(item) for item in items]
