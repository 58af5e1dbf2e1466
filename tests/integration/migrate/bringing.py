"""What the tests of `redouble migrate` share: running it on some text, and playing old and new code alike."""

from __future__ import annotations

import datetime
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redouble import Unwanted
from redouble.cli import main
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Brought(NamedTuple):
    """What the command made of a file."""

    text: str
    code: int
    said: str

    @property
    def flat(self) -> str:
        """The text without comments and line breaks, to look for code in."""
        lines = [line.partition("  # ")[0].strip() for line in self.text.splitlines()]
        joined = " ".join(line for line in lines if not line.startswith("#"))
        return " ".join(joined.split()).replace("( ", "(").replace(", )", ")").replace(",)", ")")


def bring(folder: Path, text: str, name: str = "shop.py", **others: str) -> Brought:
    """Write files, run `redouble migrate --write` on them, and return what became of the first."""
    for each, content in {name: text, **{f"{other}.py": content for other, content in others.items()}}.items():
        (folder / each).write_text(content, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("sys.stderr", _Kept(said))
        code = main(["migrate", "--write", str(folder)])
    return Brought((folder / name).read_text(encoding="utf-8"), code, "".join(said))


class _Kept:
    def __init__(self, said: list[str]) -> None:
        self.write = said.append

    def flush(self) -> None: ...


class Played(NamedTuple):
    """What a retried call did: how often it called, how long it waited, and how it ended."""

    calls: int
    waits: list[float]
    end: tuple[str, Any]


class Script:
    """An operation that fails as told, and takes its time."""

    def __init__(self, outcomes: list[Any], takes: float, advance: Callable[[float], None]) -> None:
        self.outcomes, self.takes, self.advance, self.calls = outcomes, takes, advance, 0

    def __call__(self, *args: Any) -> Any:
        outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
        self.calls += 1
        if self.takes:
            self.advance(self.takes)
        if isinstance(outcome, Exception):
            raise type(outcome)(*outcome.args)
        return outcome


def play_old(text: str, outcomes: list[Any], takes: float = 0.0, draw: float = 0.5) -> Played:
    """Play code of another library, whose `work` calls `operation`, under virtual time."""
    now, waits = [1000.0], list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    class Datetime(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:  # noqa: ARG003  # as the real one
            return datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=now[0])

    operation = Script(outcomes, takes, sleep_into(now))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", sleep)
        patch.setattr(time, "monotonic", lambda: now[0])
        patch.setattr(time, "time", lambda: now[0])
        patch.setattr(datetime, "datetime", Datetime)
        patch.setattr(random, "random", lambda: draw)
        patch.setattr(random, "uniform", lambda low, high: low + (high - low) * draw)
        patch.setattr(random, "randint", lambda low, high: low + (high - low) * draw)
        end = _end(text, operation)
    return Played(operation.calls, [round(wait, 9) for wait in waits if wait > 0], end)


def sleep_into(now: list[float]) -> Callable[[float], None]:
    """Return a function that moves a clock."""

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def play_new(text: str, outcomes: list[Any], takes: float = 0.0, draw: float = 0.5) -> Played:
    """Play code of redouble's, whose `work` calls `operation`, under virtual time."""
    with fake_time(draw=draw) as clock:
        operation = Script(outcomes, takes, clock.advance)
        end = _end(text, operation)
        waits = [round(wait, 9) for wait in clock.sleeps if wait > 0]
    return Played(operation.calls, waits, end)


def _end(text: str, operation: Script) -> tuple[str, Any]:
    names: dict[str, Any] = {"operation": operation, "__name__": "shop"}
    exec(compile(text, "shop.py", "exec"), names)
    try:
        return "returned", names["work"]()
    except Unwanted as error:
        return "unwanted", error.value
    except Exception as error:
        last = getattr(error, "last_attempt", None)
        if last is None:
            return "raised", type(error).__name__
        if getattr(last, "has_exception", getattr(last, "failed", None)):
            value = last.exception() if hasattr(last, "exception") else last.value[1]
            return "raised", type(value).__name__
        return "unwanted", last.result() if hasattr(last, "result") else last.value
