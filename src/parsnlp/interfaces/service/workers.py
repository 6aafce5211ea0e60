"""The processes that read notes. The process that faces the network reads none, so that it answers at once whatever they do.

All requests wait in one line for the next free worker: no worker is idle while another has a queue, however the callers'
connections fall. A worker that dies, or works on one request beyond measure, costs the one caller it worked for an error;
another takes its place.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from parsnlp.interfaces.service.answers import Answer, Answers
from parsnlp.interfaces.service.problems import Problem
from parsnlp.interfaces.service.settings import Settings
from parsnlp.parallel import settle

WORK_SECONDS = 60
"""How long one request may be worked on; the longest that is taken, a mebibyte of dense notes, needs a tenth of it."""

_ANCHORED = "CT: L5 pars defects with grade 1 anterolisthesis of L5 on S1."
_PACKAGE = f"{Path(__file__).parents[2]}{os.sep}"

log = logging.getLogger("parsnlp.service")


class Failed(Exception):
    """A worker failed on a request. Its words are ours: the type of the error and its place, or that the worker died."""


class Engine(Protocol):
    """What the routes ask."""

    @property
    def ready(self) -> bool:
        """Whether a request would be worked on at once."""

    async def answer(self, method: str, *arguments: object) -> Answer:
        """The answer of the method of `Answers` so named. Raises `Problem`, or `Failed`."""

    def start(self) -> None:
        """Begin to warm up, without waiting for it."""

    def close(self) -> None:
        """End at once."""


class Workers:
    """`count` processes with an extractor each."""

    def __init__(self, settings: Settings, count: int) -> None:
        self.settings = settings
        self.count = count
        self._warm = 0
        self._closed = False
        self._lock = threading.Lock()
        self._all: set[Worker] = set()
        self._free: SimpleQueue[Worker] = SimpleQueue()
        self._threads = ThreadPoolExecutor(count, "parsnlp")  # each waits for one worker's answer

    @property
    def ready(self) -> bool:
        """Whether a worker is warm."""
        return self._warm > 0

    def start(self) -> None:
        """Start all, without waiting until they are warm; requests wait meanwhile."""
        for _ in range(self.count):
            threading.Thread(target=self._add, daemon=True).start()

    async def answer(self, method: str, *arguments: object) -> Answer:
        """The answer of the next free worker."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, method, arguments)

    def close(self) -> None:
        """End the workers at once, those that still warm up too."""
        with self._lock:
            self._closed = True
            for worker in self._all:
                worker.process.kill()
        self._threads.shutdown()

    def _ask(self, method: str, arguments: tuple[object, ...]) -> Answer:
        try:
            worker = self._free.get(timeout=WORK_SECONDS)
        except Empty:
            raise Problem(503, "no worker is ready", {"Retry-After": "5"}) from None
        try:
            reply = worker.ask(method, arguments)
        except (EOFError, OSError, TimeoutError) as error:
            self._drop(worker, 1)
            threading.Thread(target=self._add, daemon=True).start()
            what = "took too long" if isinstance(error, TimeoutError) else "died"
            raise Failed(f"the worker {what}; another takes its place") from None
        self._free.put(worker)
        if isinstance(reply, str):
            raise Failed(reply)
        if isinstance(reply, tuple):
            raise Problem(*reply)
        return reply

    def _add(self) -> None:
        """Start a worker, and try again while that fails, as it may for want of memory."""
        while True:
            with self._lock:  # so that none is started that `close` would not see
                if self._closed:
                    return
                worker = Worker(self.settings)
                self._all.add(worker)
            try:
                worker.wait()
            except (EOFError, OSError, TimeoutError):
                self._drop(worker, 0)
                if not self._closed:
                    log.error("a worker could not start")
                    time.sleep(1)
                continue
            with self._lock:
                self._warm += 1
            self._free.put(worker)
            return

    def _drop(self, worker: Worker, warm: int) -> None:
        worker.kill()
        with self._lock:
            self._all.discard(worker)
            self._warm -= warm


class Worker:
    """One process, asked through a pipe. It ends when the pipe does, so none outlives the service."""

    def __init__(self, settings: Settings) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(settings, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def wait(self) -> None:
        """Wait until it is warm. Raises `EOFError` when it ends before."""
        self._reply()

    def ask(self, method: str, arguments: tuple[object, ...]) -> Answer | tuple[int, str] | str:
        """An answer, a problem's status and detail, or how it failed. Raises `EOFError` or `OSError` when it died."""
        self.connection.send((method, arguments))
        reply: Answer | tuple[int, str] | str = self._reply()
        return reply

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _reply(self) -> Any:
        if not self.connection.poll(WORK_SECONDS):
            raise TimeoutError
        return self.connection.recv()


def _work(settings: Settings, connection: Connection) -> None:
    """What a worker does: warm up, say so, then answer until the pipe ends. Signals are for the process that faces the network."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = warm(settings)
    settle()
    try:
        connection.send(None)
        while True:
            method, arguments = connection.recv()
            connection.send(_reply(answers, method, arguments))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def warm(settings: Settings) -> Answers:
    """Load the rules and read a note, so that no caller waits for what is made when first needed."""
    from parsnlp.extractor import load

    extractor = load(
        settings.setting, settings.excludes1, settings.stress_fracture, settings.patterns, settings.strict_release
    )
    extractor.ruleset.compile()
    extractor.extract(_ANCHORED, what_if=True)
    return Answers(extractor)


def _reply(answers: Answers, method: str, arguments: tuple[object, ...]) -> Answer | tuple[int, str] | str:
    try:
        answer: Answer = getattr(answers, method)(*arguments)
    except Problem as problem:
        return problem.status_code, problem.detail
    except Exception as error:
        return f"{type(error).__name__} at {where(error)}"
    return answer


def where(error: Exception) -> str:
    """The innermost place of an error in our own modules, and no word of it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(_PACKAGE)]
    return f"{ours[-1].filename[len(_PACKAGE) :]}:{ours[-1].lineno}" if ours else "a library"
