"""Two promises that the whole suite holds: no network, and no note text in output or logs.

Network: sockets other than Unix ones are refused, during collection too. A test of a local server takes
`@pytest.mark.allow_hosts(["127.0.0.1"])` from pytest-socket.

Note text: put the `canary` into a note. A test fails when the canary shows, whatever its letter case, on stdout or
stderr, in what `capsys`, `capfd` or Typer's `CliRunner` hand back, or in any record of `logging` or loguru down to DEBUG
(levels set higher, handlers missing and `logging.disable` hide nothing; only a logger shut above CRITICAL is silent).
A test whose subject prints evidence takes `@pytest.mark.prints_note_text`; its log records are checked all the same.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import random
import sys
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket

CANARY = "Zyxcanaryquoll"  # one word of letters: survives tokenisation, escaping and file names

disable_socket(allow_unix_socket=True)
# No test depends on, or leaves, anything in the user's folders.
os.environ["PARSNLP_CACHE"] = "off"
os.environ["PARSNLP_CODES"] = os.devnull
os.environ["XDG_DATA_HOME"] = os.devnull


@pytest.fixture(scope="session")
def canary() -> str:
    """A word for a note's text that must not turn up outside a result."""
    return CANARY


@pytest.fixture(scope="session")
def noted() -> Callable[..., None]:
    """Notes what a test has tried in the file that PARSNLP_TRUST names, for docs/trust.md; else does nothing.

    `kind`: of what the page tells together, unless it is a fault of the machine.
    """
    if not os.environ.get("PARSNLP_TRUST"):
        return lambda name, kind="", **figures: None
    spec = importlib.util.spec_from_file_location("trust", Path(__file__).parents[1] / "tools" / "trust.py")
    assert spec is not None and spec.loader is not None
    trust = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trust)
    return lambda name, kind="fault", **figures: trust.add(kind, name, **figures)


@pytest.fixture(scope="session")
def kills() -> Callable[[int], int]:
    """How many processes a test kills: as many as it says, unless PARSNLP_KILLS has another number for all of them."""
    return lambda count: int(os.environ.get("PARSNLP_KILLS") or count)


@pytest.fixture(scope="session")
def chance() -> Callable[[], random.Random]:
    """The random choices of a test: the same each time, unless PARSNLP_SEED is given."""
    return lambda: random.Random(int(os.environ.get("PARSNLP_SEED", "1")))


class Leaks:
    """Where the canary was seen in the test now running."""

    def __init__(self) -> None:
        self.printed: list[str] = []
        self.logged: list[str] = []
        self.sink: int | None = None  # loguru's id of our handler

    def clear(self) -> None:
        self.printed.clear()
        self.logged.clear()


LEAKS = Leaks()


def shows_canary(text: object) -> bool:
    return CANARY.casefold() in str(text).casefold()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "prints_note_text: the subject's output, not its logs, may hold note text")
    config.option.disable_socket = True  # pytest-socket reads both when its own configure runs, after this
    config.option.allow_unix_socket = True
    watch_logging()
    watch_readouterr()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    LEAKS.clear()
    try:
        return (yield)
    finally:
        unwatch_loguru()
        disable_socket(allow_unix_socket=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    enable_socket()  # lift the guard of between tests; pytest-socket, next, sets this test's own
    watch_loguru()
    watch_cli_runner()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    logged = list(LEAKS.logged)
    printed = list(LEAKS.printed)
    for title, content in report.sections:  # such as "Captured stderr call"
        if title.endswith(f" {report.when}") and shows_canary(content):
            (logged if title.startswith("Captured log") else printed).append(title)
    LEAKS.clear()
    leaks = logged if item.get_closest_marker("prints_note_text") else logged + printed
    if leaks:
        message = f"note text (the canary) shows during {report.when}, in: " + "; ".join(dict.fromkeys(leaks))
        if report.failed:
            report.sections.append(("Note text", message))
        else:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {message}"
    return report


def watch_logging() -> None:
    """Look at every record that is logged at any level; let pass what would have passed."""
    enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

    def is_enabled_for(self: logging.Logger, level: int) -> bool:
        # A logger above every level has been shut by our code for the while, whatever its host had set.
        shut = self.getEffectiveLevel() > logging.CRITICAL
        return (level >= logging.DEBUG and not shut) or enabled(self, level)

    def watched_handle(self: logging.Logger, record: logging.LogRecord) -> None:
        fields = [str(value) for name, value in vars(record).items() if name != "exc_info"]
        if record.exc_info and record.exc_info[0] is not None:
            fields += traceback.format_exception(*record.exc_info)
        if any(shows_canary(field) for field in [record.getMessage(), *fields]):
            LEAKS.logged.append(f"logger {record.name}, {record.levelname}")
        if enabled(self, record.levelno):
            handle(self, record)

    logging.Logger.isEnabledFor = is_enabled_for  # type: ignore[method-assign]
    logging.Logger.handle = watched_handle  # type: ignore[method-assign]


def watch_loguru() -> None:
    """Add a sink of our own, anew for each test as a test may remove all sinks. Modules disabled stay silent."""
    if "loguru" in sys.modules and LEAKS.sink is None:
        from loguru import logger

        def sink(message: Any) -> None:
            record = message.record
            if shows_canary(message) or shows_canary(record["extra"]):
                LEAKS.logged.append(f"loguru {record['name']}, {record['level'].name}")

        LEAKS.sink = logger.add(sink, level=0, format="{message}\n{exception}", diagnose=False)


def unwatch_loguru() -> None:
    if LEAKS.sink is not None:
        from loguru import logger

        with contextlib.suppress(ValueError):  # the test removed it
            logger.remove(LEAKS.sink)
        LEAKS.sink = None


def watch_returned(method: Callable[..., Any], names: tuple[str, ...], source: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def watched(*args: Any, **kwargs: Any) -> Any:
        returned = method(*args, **kwargs)
        for name in names:
            if shows_canary(getattr(returned, name, "")):
                LEAKS.printed.append(f"{source}.{name}")
        return returned

    watched.is_watched = True  # type: ignore[attr-defined]
    return watched


def watch_readouterr() -> None:
    pytest.CaptureFixture.readouterr = watch_returned(  # type: ignore[method-assign]
        pytest.CaptureFixture.readouterr, ("out", "err"), "readouterr()"
    )


def watch_cli_runner() -> None:
    """Typer's runner captures for itself; its class is watched once a test module has imported it."""
    testing = sys.modules.get("typer.testing")
    if testing is not None and not hasattr(testing.CliRunner.invoke, "is_watched"):
        testing.CliRunner.invoke = watch_returned(testing.CliRunner.invoke, ("stdout", "stderr"), "CliRunner")
