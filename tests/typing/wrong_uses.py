"""What type checkers must refuse: each line with an ignore is an error for mypy and for pyright, or the ignore is one.

Both heed `type: ignore`, and both complain of one that ignores nothing: mypy because it is strict, pyright because of
the setting below. Checked with the settings of pyproject.toml (`nox -s types`): `mypy` and `pyright`. Nothing here runs.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redouble import (
    BackoffController,
    RetryPolicy,
    classify,
    constant,
    deadline,
    exponential,
    linear,
    outcome,
    pending,
    permanent,
    proportional,
    remaining,
    retry,
    sequence,
    transient,
)
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from redouble import Event
    from redouble.types import Clock


@retry
def fetch(url: str, *, size: int = 1) -> bytes:
    """A decorated function."""
    return url.encode() * size


@retry(attempts=5)
async def fetch_async(url: str) -> bytes:
    """A decorated coroutine function."""
    return url.encode()


@contextmanager
def opened(path: str) -> Generator[int, None, None]:
    """A context manager function."""
    yield len(path)


class Client:
    """A class with a decorated method."""

    @retry
    def fetch(self, url: str) -> bytes:
        """A method."""
        return url.encode()


def decorating() -> None:
    """`retry` takes functions, or keywords; what comes of anything else cannot be used."""
    retry(ValueError)(fetch)  # type: ignore[operator]
    retry(Client).fetch  # type: ignore[attr-defined]  # noqa: B018
    retry(5)  # type: ignore[call-overload]
    retry("fetch")  # type: ignore[call-overload]
    retry(None)  # type: ignore[call-overload]
    retry(fetch, attempts=5)  # type: ignore[call-overload]
    retry(fetch, fetch)  # type: ignore[call-overload]


def decorated() -> None:
    """A decorated function takes what it took before."""
    fetch()  # type: ignore[call-arg]
    fetch(5)  # type: ignore[arg-type]
    fetch("/", 2)  # type: ignore[call-arg]
    fetch("/", sizes=2)  # type: ignore[call-arg]
    Client().fetch()  # type: ignore[call-arg]
    answer: str = fetch("/")  # type: ignore[assignment]
    print(answer)


async def decorated_async() -> None:
    """A decorated coroutine function stays one."""
    fetch_async("/")  # type: ignore[unused-coroutine]
    await fetch_async()  # type: ignore[call-arg]
    answer: bytes = fetch_async("/")  # type: ignore[assignment]
    print(answer)


def fields(word: str) -> None:
    """Fields have their names and types."""
    retry(attempts="3")  # type: ignore[call-overload]
    retry(attempts=2.5)  # type: ignore[call-overload]
    retry(cooldown=5)  # type: ignore[call-overload]
    retry(tries=3)  # type: ignore[call-overload]
    retry(deadline="90s")  # type: ignore[call-overload]
    retry(backoff=5)  # type: ignore[call-overload]
    retry(backoff=exponential)  # type: ignore[arg-type]
    retry(idempotent="yes")  # type: ignore[call-overload]
    retry(nested="twice")  # type: ignore[call-overload]
    retry(long_hints="wait")  # type: ignore[call-overload]
    retry(unwanted=None)  # type: ignore[call-overload]
    retry(stop=True)  # type: ignore[call-overload]
    retry(observers=print)  # type: ignore[call-overload]
    retry(clock=5)  # type: ignore[call-overload]
    retry(draw=0.5)  # type: ignore[call-overload]
    retry(timeout_as=5)  # type: ignore[call-overload]
    RetryPolicy(tries=3)  # type: ignore[call-arg]
    RetryPolicy(attempts="3")  # type: ignore[arg-type]
    retry.attempts = 5  # type: ignore[misc]


def rules() -> None:
    """Only exceptions can be asked for, by all ways to write a rule."""
    retry(on=KeyboardInterrupt)  # type: ignore[arg-type]
    retry(on=asyncio.CancelledError)  # type: ignore[arg-type]
    retry(on=(OSError, SystemExit))  # type: ignore[arg-type]
    retry(on=[KeyboardInterrupt])  # type: ignore[list-item]
    retry(on="OSError")  # type: ignore[call-overload]
    retry(on=OSError())  # type: ignore[call-overload]
    retry(on={OSError})  # type: ignore[call-overload]
    retry(on=judge_later)  # type: ignore[arg-type]
    transient(KeyboardInterrupt)  # type: ignore[arg-type]
    permanent(asyncio.CancelledError)  # type: ignore[arg-type]
    pending(GeneratorExit)  # type: ignore[arg-type]
    transient((OSError, KeyError))  # type: ignore[arg-type]
    transient(OSError, when=5)  # type: ignore[arg-type]
    transient(OSError, when=judge_later)  # type: ignore[arg-type]
    transient(OSError, applied="no")  # type: ignore[arg-type]
    transient(OSError, backoff=5)  # type: ignore[arg-type]
    permanent(OSError, retry_after=5)  # type: ignore[call-arg]
    pending(OSError, every=None)  # type: ignore[arg-type]
    transient(OSError) | 5  # type: ignore[operator]
    classify("error")  # type: ignore[arg-type]
    classify(OSError)  # type: ignore[arg-type]
    classify(OSError(), KeyboardInterrupt)  # type: ignore[arg-type]
    outcome(OSError)  # type: ignore[arg-type]


async def judge_later(error: Exception) -> bool:
    """A predicate that would have to be awaited."""
    return True


def calling() -> None:
    """A call takes what the function takes."""
    retry.call()  # type: ignore[call-overload]
    retry.call(5)  # type: ignore[call-overload]
    retry.call(fetch)  # type: ignore[arg-type]
    retry.call(fetch, 5)  # type: ignore[arg-type]
    retry.call(fetch, "/", sizes=2)  # type: ignore[call-arg]
    retry.call(fetch, "/", attempts=5)  # type: ignore[call-arg]
    answer: str = retry.call(fetch, "/")  # type: ignore[assignment]
    print(answer)


def connecting() -> None:
    """`connect` takes what the factory takes."""
    retry.connect(5)  # type: ignore[call-overload]
    retry.connect(opened)  # type: ignore[arg-type]
    retry.connect(opened, 5)  # type: ignore[arg-type]
    retry.connect(opened, "path", 5)  # type: ignore[arg-type]
    retry.connect(socket.create_connection, ("host", 1), time=5)  # type: ignore[call-arg, arg-type]
    retry.connect(opened, "path", closing="yes")  # type: ignore[call-arg, arg-type]
    with retry.connect(opened, "path") as number:
        word: str = number  # type: ignore[assignment]
    print(word)


def blocks() -> None:
    """An attempt is entered by `with`, and tells numbers."""
    for attempt in retry:
        with attempt:
            attempt.number = 5  # type: ignore[misc]
            attempt.progress(5)  # type: ignore[call-arg]
            attempt.result()  # type: ignore[call-arg]
            timeout: float = attempt.remaining  # type: ignore[assignment]
            print(timeout)


def curves() -> None:
    """Curves are made of durations, keywords and known words."""
    exponential("1")  # type: ignore[arg-type]
    exponential(1, 2)  # type: ignore[call-arg]
    exponential(jitter=5)  # type: ignore[arg-type]
    exponential(factor=None)  # type: ignore[arg-type]
    linear(1)  # type: ignore[call-arg]
    constant()  # type: ignore[call-arg]
    constant(1).take(2.5)  # type: ignore[arg-type]
    constant(1).then(5)  # type: ignore[arg-type]
    constant(1).forever()  # type: ignore[attr-defined]
    constant(1) + 5  # type: ignore[operator]
    constant(1).at_least("2")  # type: ignore[arg-type]
    constant(1).skip(2.5)  # type: ignore[arg-type]
    sequence("1")  # type: ignore[arg-type]
    proportional("half")  # type: ignore[arg-type]


class NoClock:
    """Something that tells the time and cannot wait for it."""

    def now(self) -> float:
        """The time."""
        return 0.0


def others(event: Event) -> None:
    """Controllers, scopes, clocks and records."""
    BackoffController()  # type: ignore[call-arg]
    BackoffController(5)  # type: ignore[arg-type]
    BackoffController(retry).record_failure("error")  # type: ignore[arg-type]
    clock: Clock = NoClock()  # type: ignore[assignment]
    retry(clock=SystemClock)  # type: ignore[call-overload]
    deadline()  # type: ignore[call-arg]
    deadline("5s")  # type: ignore[arg-type]
    left: float = remaining()  # type: ignore[assignment]
    remaining("5s")  # type: ignore[call-overload]
    event.kind = None  # type: ignore[misc, assignment]
    print(clock, left)


def ticks(count: int) -> Iterator[int]:
    """A stream."""
    yield count


def streams() -> None:
    """Streams."""
    retry.opening(5)  # type: ignore[call-overload]
    retry.opening(ticks)("many")  # type: ignore[arg-type]
