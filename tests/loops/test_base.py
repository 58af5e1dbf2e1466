"""What all loops share: limits that are lifted, and waits that several events may end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from redouble import override, retry
from redouble.calls.hosts import coroutines, threads
from redouble.calls.pause import AnyOf, Pause
from redouble.control.clock import SYSTEM
from redouble.loops.base import for_loop
from redouble.testing import fake_time


def test_a_loop_has_no_limits_unless_written() -> None:
    """What is long-lived goes on for ever, unless its policy says otherwise."""
    assert (for_loop(retry).attempts, for_loop(retry).deadline) == (None, None)
    assert (for_loop(retry(attempts=4)).attempts, for_loop(retry(attempts=4)).deadline) == (4, None)
    assert (for_loop(retry(deadline=9)).attempts, for_loop(retry(deadline=9)).deadline) == (None, 9.0)


def test_an_override_still_wins() -> None:
    """A scope replaces what the loop lifted."""
    with override(attempts=1):
        assert for_loop(retry).attempts == 1


def test_any_of_several_events() -> None:
    """Set when one of them is; what is `None` is none of them."""
    one, two = threading.Event(), threading.Event()
    both = AnyOf(one, None, two)
    assert not both.is_set()
    assert both.wait(0) is False
    two.set()
    assert both.is_set() and both.wait() and both.wait(5)


def test_a_single_event_is_waited_for_itself() -> None:
    """So that it is seen at once."""
    one = threading.Event()
    assert AnyOf(one).wait(0) is False
    one.set()
    assert AnyOf(one, None).wait()


def pause(clock: Any, seconds: float, *events: Any) -> None:
    """Wait as a loop in a thread does."""
    threads.pause(Pause(clock, seconds, events, "a loop"))


async def pause_async(clock: Any, seconds: float, *events: Any) -> None:
    """Wait as a loop in a coroutine does."""
    await coroutines.pause(Pause(clock, seconds, events, "a loop"))


class Waited(threading.Event):
    """An event that is waited for without taking time; what happens meanwhile is told by `then`."""

    def __init__(self, then: Any) -> None:
        super().__init__()
        self.then = then
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self.then()
        return self.is_set()


def test_a_thread_with_several_events_looks_at_those_that_cannot_wake_it() -> None:
    """An event of a kind of its own is waited for in short steps, and the others are looked at in between."""
    other = threading.Event()
    first = Waited(other.set)
    pause(SYSTEM, 60, first, other)
    assert first.waits == [0.05]
    assert AnyOf(first, other).wait()


@pytest.mark.parametrize("which", [0, 1])
def test_a_thread_is_woken_by_any_of_its_events(which: int) -> None:
    """Nothing looks now and then: the one that is set wakes it, and it leaves no waiter behind."""
    events = [threading.Event(), threading.Event()]
    threading.Timer(0, events[which].set).start()
    assert AnyOf(*events).wait(60)
    assert all(not event._cond._waiters for event in events)  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [(), (None,)])
def test_a_pause_without_events(given: tuple[Any, ...]) -> None:
    """It is a plain wait."""
    with fake_time() as clock:
        pause(clock, 3, *given)
        asyncio.run(pause_async(clock, 4, *given))
        assert clock.sleeps == [3, 4]


def test_a_pause_that_is_over_before_it_begins() -> None:
    """A set event, or no time at all: nothing is waited for."""
    told = threading.Event()
    told.set()
    with fake_time() as clock:
        pause(clock, 3, told)
        pause(clock, 0, None)
        asyncio.run(pause_async(clock, 3, told))
        assert clock.sleeps == []


@pytest.mark.parametrize("kinds", [(asyncio.Event, asyncio.Event), (asyncio.Event, threading.Event), (asyncio.Event,)])
def test_a_task_sees_any_of_its_events(kinds: tuple[Any, ...]) -> None:
    """Whichever kinds they are of; no watcher is left."""

    async def main() -> None:
        events = [kind() for kind in kinds]
        asyncio.get_running_loop().call_later(2, events[0].set)
        await pause_async(clock, 60, *events)
        assert clock.now() == pytest.approx(2)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    with fake_time() as clock:
        asyncio.run(main())


def test_an_event_of_another_loop_is_refused_by_the_wait() -> None:
    """Nothing that goes wrong in waiting for an event is lost."""

    class Foreign(asyncio.Event):
        async def wait(self) -> Any:
            raise RuntimeError("bound to a different event loop")

    async def main() -> None:
        with pytest.raises(RuntimeError, match="different event loop"):
            await pause_async(clock, 5, asyncio.Event(), Foreign())

    with fake_time() as clock:
        asyncio.run(main())


def test_the_time_of_a_task_with_several_events_runs_out() -> None:
    """When none is set."""
    with fake_time() as clock:

        async def main() -> None:
            await pause_async(clock, 5, asyncio.Event(), asyncio.Event())

        asyncio.run(main())
        assert clock.now() == 5
