"""One input of a long run to its results, and what is counted of them. The run itself is in `job`."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from parsnlp.errors import InputError
from parsnlp.interfaces import sources, tables
from parsnlp.interfaces.reading import Encounter, Failure
from parsnlp.interfaces.sources import MAX_SIZE, Columns, Input

if TYPE_CHECKING:
    from parsnlp.extractor import Extractor
    from parsnlp.models import Result

ONLY = ("all", "coded", "review")
PART_SIZE = 500
TIMEOUT = 60.0
_SHOWN = 8  # codes named in a summary


@dataclass(frozen=True, slots=True)
class Options:
    """What decides on the results beside the sources and the extractor.

    `text`: quote the notes in results. `only`: which results are kept. `timeout`: seconds that one input may take, 0 for
    any, where the platform has timers (all but Windows). `max_size`: bytes of text a note may have. `part_size`: inputs
    of a part. Raises `InputError` for a value of `only` that is not allowed.
    """

    text: bool = True
    only: str = "all"
    timeout: float = TIMEOUT
    max_size: int = MAX_SIZE
    part_size: int = PART_SIZE
    columns: Columns = field(default_factory=Columns)

    def __post_init__(self) -> None:
        if self.only not in ONLY:
            raise InputError(f"--only {self.only!r} is not one of {', '.join(ONLY)}")


class Fact(TypedDict, total=False):
    """What became of one note, without any of its text; absent means none, no or nought.

    `number`: its place in the run, from 0. `where`, `sha256`: of its input; a file of several notes has a fact for each.
    `state`: done, left_out (by --only) or failed, which alone has `stage` and `reason`. `sited`: how many of
    the codes name a site, `unspecified`: how many of these leave it open. `notices`: of encodings. `stamp`: how the edition used stands to the date.
    """

    number: int
    id: str
    where: str
    sha256: str
    state: Literal["done", "left_out", "failed"]
    stage: str
    reason: str
    codes: list[str]
    sited: int
    unspecified: int
    review: bool
    queries: int
    notices: int
    stamp: str


class Outcome(NamedTuple):
    """A note's result as its line of JSON, None where it failed or was left out, and what became of it."""

    line: bytes | None
    fact: Fact


@dataclass(slots=True)
class Tally:
    """What a run did. `notes`: those read, `written`: their results that were not left out."""

    notes: int = 0
    written: int = 0
    coded: int = 0
    sited: int = 0
    unspecified: int = 0
    review: int = 0
    queries: int = 0
    failed: int = 0
    assumed: int = 0
    stamps: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def add(self, fact: Fact) -> None:
        """Count one note."""
        if fact["state"] == "failed":
            self.failed += 1
            return
        codes = fact.get("codes", [])
        self.notes += 1
        self.written += fact["state"] == "done"
        self.coded += bool(codes)
        self.sited += fact.get("sited", 0)
        self.unspecified += fact.get("unspecified", 0)
        self.review += fact.get("review", False)
        self.queries += fact.get("queries", 0)
        self.assumed += bool(fact.get("notices"))
        self.stamps.update([fact["stamp"]] if "stamp" in fact else [])
        self.codes.update(codes)

    def counts(self) -> dict[str, Any]:
        """Every count, as JSON can hold it."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: dict(sorted(value.items())) if isinstance(value, Counter) else value for name, value in found.items()
        }

    @classmethod
    def again(cls, counts: Mapping[str, Any]) -> Tally:
        """The tally whose `counts` these are."""
        made = cls(**counts)
        made.stamps, made.codes = Counter(made.stamps), Counter(made.codes)
        return made

    def lines(self) -> list[str]:
        """The closing summary."""
        found = [
            f"{self.notes} read, {self.coded} with codes, {self.review} to review, "
            f"{self.queries} queries, {self.failed} failed"
        ]
        if self.written < self.notes:
            found.append(f"{self.notes - self.written} of them left out of the results, as --only says")
        if self.codes:
            most = sorted(self.codes.items(), key=lambda item: (-item[1], item[0]))
            named = ", ".join(f"{code} {count}" for code, count in most[:_SHOWN])
            found.append(f"codes: {named}" + (" …" if len(most) > _SHOWN else ""))
        if self.sited:
            share = f"{self.unspecified / self.sited:.0%}"
            found.append(f"unspecified site: {self.unspecified} of {self.sited} codes that name one ({share})")
        if self.assumed:
            found.append(f"{self.assumed} not plain UTF-8: each result's 'warnings' says which encoding was read")
        return [
            *found,
            *(f"{count} dated outside the editions carried: {stamp}" for stamp, count in self.stamps.items()),
        ]


class TooSlow(BaseException):
    """The time for one input is over; not an `Exception`, so that nothing on the way takes it for its own."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Decides on one input; picklable, so that another process can."""

    extractor: Extractor
    options: Options

    def __call__(self, item: Input) -> list[Outcome]:
        """What becomes of each note of the input. Raises no error."""
        options = self.options
        try:
            with _within(options.timeout):
                found = sources.encounters(item, options.columns, options.max_size)
                return [decided(self.extractor, each, item.id, options.text, options.only) for each in found]
        except TooSlow:
            return [failed(item.id, "timeout", f"took longer than {options.timeout:g} seconds; see --timeout")]
        except MemoryError:
            return [failed(item.id, "read", "needs more memory than there is; give a smaller input or fewer workers")]
        except Exception as error:  # its message may hold note text
            return [failed(item.id, "read", f"could not be read ({type(error).__name__}); please report this")]


def crashed(item: Input) -> list[Outcome]:
    """What becomes of an input that ends its process."""
    return [failed(item.id, "crash", "its process died twice, perhaps for lack of memory")]


def decided(
    extractor: Extractor, item: Encounter | Failure, name: str, text: bool = True, only: str = "all"
) -> Outcome:
    """What becomes of one encounter. `name`: the id of what could not be read."""
    if isinstance(item, Failure):
        return failed(name, item.stage, item.says)
    try:
        result = with_notices(extractor.extract_encounter(item.notes), item.notices)
        line = result.to_json(text=text).encode("utf-8")
    except InputError as error:  # strict release
        return failed(item.id, "extract", str(error))
    except MemoryError:
        return failed(item.id, "extract", "needs more memory than there is; give a smaller note or fewer workers")
    except Exception as error:  # one note must not end the run; its text may be in the message, so not that
        what = type(error).__name__
        return failed(item.id, "extract", f"could not be read by the extractor ({what}); please report this")
    review = any(code.status == "review" for code in result.codes)
    kept = only == "all" or (review if only == "review" else bool(result.codes))
    fact = Fact(id=result.id, state="done" if kept else "left_out")
    if result.codes:
        fact["codes"] = [code.code for code in result.codes]
    regions = [tables.region(code.code, result.code_set.id) for code in result.codes]
    if sited := sum(region is not None for region in regions):
        fact["sited"] = sited
    if unspecified := regions.count(tables.unspecified_site()):
        fact["unspecified"] = unspecified
    if review:
        fact["review"] = True
    if result.queries:
        fact["queries"] = len(result.queries)
    if item.notices:
        fact["notices"] = len(item.notices)
    if result.code_set.stamp:
        fact["stamp"] = result.code_set.stamp
    return Outcome(line if kept else None, fact)


def failed(name: str, stage: str, reason: str) -> Outcome:
    """What becomes of an input that cannot be used."""
    return Outcome(None, Fact(id=name, state="failed", stage=stage, reason=reason))


def with_notices(result: Result, notices: Sequence[str]) -> Result:
    """The result with the notices of its encodings among its warnings, since its offsets hang on them."""
    return result.model_copy(update={"warnings": (*result.warnings, *notices)}) if notices else result


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` when the body takes longer; only the main thread of a process can be so interrupted."""
    if not seconds or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _late)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _late(number: int, frame: object) -> None:
    raise TooSlow
