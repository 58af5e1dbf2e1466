"""The fake clock on event loops that cannot be attached."""

from __future__ import annotations

import asyncio
import selectors
import threading

import pytest

from redouble.testing import FakeClock, fake_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class Foreign:
    """A selector that is none by its type: its loop looks as little like asyncio's own as that of uvloop."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop that cannot be attached."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Foreign())) as runner:  # type: ignore[arg-type]
        return runner.run(main)


def test_waits_are_virtual() -> None:
    """Tasks that wait on the clock interleave by virtual time, and the loop is left alone."""
    log = []

    async def work(name: str, *waits: float) -> None:
        for wait in waits:
            await clock.sleep_async(wait)
            log.append((name, clock.now()))

    async def main() -> None:
        before = vars(asyncio.get_running_loop()).copy()
        await clock.sleep_async(0)
        await asyncio.gather(work("a", 1, 1, 1), work("b", 0.5, 1, 1.25))
        assert vars(asyncio.get_running_loop()).keys() == before.keys()

    with fake_time() as clock:
        run(main())
    assert log == [("b", 0.5), ("a", 1.0), ("b", 1.5), ("a", 2.0), ("b", 2.75), ("a", 3.0)]
    assert clock.sleeps == [1.0, 0.5, 1.0, 1.0, 1.25, 1.0]


def test_timers_are_virtual() -> None:
    """`call_later` calls back in virtual time, unless cancelled."""
    clock, log = FakeClock(), []

    async def main() -> None:
        clock.call_later(2, lambda: log.append(clock.now()))
        clock.call_later(1, lambda: log.append("cancelled")).cancel()
        await clock.sleep_async(3)

    run(main())
    assert log == [2.0]
    assert clock.sleeps == [3.0]


@pytest.mark.parametrize("kind", [asyncio.Event, threading.Event])
def test_a_stop_ends_a_wait(kind: type[asyncio.Event] | type[threading.Event]) -> None:
    """Either kind of event ends a wait at the moment at which it is set."""
    clock = FakeClock()

    async def main() -> None:
        stop = kind()
        clock.call_later(2, stop.set)
        await clock.sleep_async(10, stop)
        assert clock.now() == 2.0

    run(main())


def test_traps_hold_it() -> None:
    """A coroutine awaits the wait of another task, and moves time by hand."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap() as trap:
            task = asyncio.create_task(clock.sleep_async(3))
            assert await trap.wait_async() == 3.0
            clock.advance(3)
            await task
        assert clock.now() == 3.0

    run(main())


def test_a_wait_that_nobody_advances_fails() -> None:
    """It does not hang for ever, and says why."""
    clock = FakeClock(autoadvance=False)
    clock.patience = 0

    async def main() -> None:
        with pytest.raises(RuntimeError, match="a wait of 2 s has not ended within 0 real seconds: autoadvance=False"):
            await clock.sleep_async(2)

    run(main())


def test_it_shares_the_time_with_threads() -> None:
    """A bound thread and a task interleave by virtual time."""
    clock, log = FakeClock(), []
    clock.grace = 5

    def work() -> None:
        for _ in range(3):
            clock.sleep(1)
            log.append(("thread", clock.now()))

    async def main() -> None:
        for _ in range(3):
            await clock.sleep_async(0.75)
            log.append(("task", clock.now()))

    threads = [threading.Thread(target=clock.bind(job)) for job in (work, lambda: run(main()))]
    for thread in threads:
        thread.start()
    with clock.joining():
        for thread in threads:
            thread.join(20)
    assert sorted(log, key=lambda entry: entry[1]) == log
    assert log == [("task", 0.75), ("thread", 1.0), ("task", 1.5), ("thread", 2.0), ("task", 2.25), ("thread", 3.0)]


def test_a_second_clock_on_an_attached_loop() -> None:
    """A loop is on one clock at a time; waits on another one are virtual all the same."""
    other = FakeClock()

    async def main() -> None:
        await asyncio.gather(clock.sleep_async(2), other.sleep_async(5))
        assert asyncio.get_running_loop().time() == 2.0

    with fake_time() as clock:
        asyncio.run(main())
    assert (clock.now(), other.now()) == (2.0, 5.0)
