"""Measure by how much a call overruns its deadline, on the real clock.

    python tests/bench/overruns.py [rounds]

Four things that would keep a caller waiting: an attempt that hangs, a last sleep, a nested call, and a server that asks
for an hour. Prints for each of them, and for threads, asyncio and trio, when the error came out, as milliseconds after
(+) or before (-) the deadline: the median of 20 rounds, and the nine in ten that are below. What comes after it is the
time that the host takes to notice, one step of its scheduler: the first line, a bare sleep of the same length, tells how
long that is on this machine now. What comes before was refused because no attempt would have fitted.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from redouble import constant, retry, transient

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 0.1
RESET = ConnectionResetError("reset")
TIMELY = retry(deadline=LIMIT, observers=None)
HOUR = TIMELY(on=transient(ConnectionError, retry_after=3600), max_hint=None)
PATIENT = retry(deadline=3600, backoff=constant(0.03), observers=None)


def fails() -> None:
    """Fail at once."""
    raise RESET


async def fails_async() -> None:
    """Fail at once."""
    raise RESET


def hangs(timeout: float) -> None:
    """Hang for as long as it is allowed to."""
    threading.Event().wait(timeout)
    raise TimeoutError


def sleeps() -> None:
    """Wait for as long as the deadline is, without redouble."""
    time.sleep(LIMIT)
    raise TimeoutError


IN_THREADS: dict[str, Callable[[], Any]] = {
    "a bare sleep": sleeps,
    "an attempt that hangs": lambda: TIMELY(timeout_as="timeout").call(hangs, timeout=3600.0),
    "a last sleep": lambda: TIMELY(backoff=constant(0.04)).call(fails),
    "a nested call": lambda: TIMELY.call(lambda: PATIENT.call(fails)),
    "Retry-After: 3600": lambda: HOUR.call(fails),
}


def in_coroutines(sleep: Any) -> dict[str, Callable[[], Any]]:
    """The same, where an attempt can be cut off."""

    async def hang() -> None:
        await sleep(3600)

    async def nested() -> None:
        await PATIENT.call(hang)

    async def sleeps() -> None:
        await sleep(LIMIT)
        raise TimeoutError

    return {
        "a bare sleep": sleeps,
        "an attempt that hangs": lambda: TIMELY.call(hang),
        "a last sleep": lambda: TIMELY(backoff=constant(0.04)).call(fails_async),
        "a nested call": lambda: TIMELY.call(nested),
        "Retry-After: 3600": lambda: HOUR.call(fails_async),
    }


def over(began: float) -> float:
    """Milliseconds past the deadline of a call that began then and is over now."""
    return (time.monotonic() - began - LIMIT) * 1000


def once(call: Callable[[], Any]) -> float:
    """The overrun of one call in this thread."""
    began = time.monotonic()
    try:
        call()
    except (ConnectionError, TimeoutError):
        return over(began)
    raise AssertionError("it ended without an error")


async def once_async(call: Callable[[], Any]) -> float:
    """The overrun of one call in this coroutine."""
    began = time.monotonic()
    try:
        await call()
    except (ConnectionError, TimeoutError):
        return over(began)
    raise AssertionError("it ended without an error")


def main(rounds: int) -> None:
    """Print the table."""
    hosts: dict[str, tuple[dict[str, Callable[[], Any]], Callable[[Any], float]]] = {
        "threads": (IN_THREADS, once),
        "asyncio": (in_coroutines(asyncio.sleep), lambda call: asyncio.run(once_async(call))),
    }
    if find_spec("trio") is not None:
        trio = import_module("trio")
        hosts["trio"] = in_coroutines(trio.sleep), lambda call: float(trio.run(once_async, call))
    print(f"{'ms after the deadline: median, 9 in 10':<38}" + "".join(f"{host:>18}" for host in hosts))
    for what in IN_THREADS:
        line = f"{what:<38}"
        for cases, measured in hosts.values():
            found = [measured(cases[what]) for _ in range(rounds)]
            tenths = quantiles(found, n=10)
            line += f"{tenths[4]:>+9.1f}{tenths[8]:>+9.1f}"
        print(line)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
