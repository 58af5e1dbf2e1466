"""What is idle wakes nothing: loops that wait for an event look at no clock and at no event until something happens."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio

from redouble import constant, latest, reconnect, retry
from redouble.control.host import in_trio
from redouble.testing import scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    Begun = Callable[[], object]

IDLE = retry(on=OSError, attempts=1, backoff=constant(1))


class Watched(threading.Event):
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def is_set(self) -> bool:
        self.looks += 1
        return super().is_set()


Watched.__module__ = "threading"  # as Python's own: a class that is not is looked at now and then


async def parked(stop: Watched, wake: Watched, begun: Begun) -> None:
    """Park a link until the event is set."""
    del wake
    policy = IDLE(stop=stop, observers=[lambda event: begun() if event.kind.name == "PARKED" else None])
    async for _ in reconnect(scripted(OSError("down"), asynchronous=True), policy, give_up="park"):
        pytest.fail("there is nothing to connect to")


async def pushing(stop: Watched, wake: Watched, begun: Begun) -> None:
    """Push nothing until the event is set."""
    await latest(begun, scripted(asynchronous=True), wake, stop, IDLE)


async def pushing_by_events_of_the_loop(stop: Watched, wake: Watched, begun: Begun) -> None:
    """The same, where one of the events is the event loop's own."""
    changed: Any = wake if in_trio() else asyncio.Event()
    await latest(begun, scripted(asynchronous=True), changed, stop, IDLE)


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
@pytest.mark.parametrize("loop", [parked, pushing, pushing_by_events_of_the_loop])
def test_fifty_idle_loops_of_coroutines_wake_nothing(run: Any, loop: Any) -> None:
    """None of fifty loops looks at an event of `threading`, and each ends when that is set."""
    stop, wake, waiting = Watched(), Watched(), threading.Semaphore(0)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(loop, stop, wake, waiting.release)

    thread = threading.Thread(target=lambda: run(main) if run is trio.run else run(main()))
    thread.start()
    for _ in range(50):
        waiting.acquire()
    thread.join(0.1)
    before = stop.looks, wake.looks
    thread.join(0.15)  # three turns of what polls
    assert (stop.looks, wake.looks) == before
    stop.set()
    thread.join()
    assert not stop._cond._waiters and not wake._cond._waiters  # type: ignore[attr-defined]


def test_fifty_idle_loops_of_threads_wake_nothing() -> None:
    """Nor do fifty threads that push, or that park a link; all of them end when the event is set."""
    stop, wake, waiting = Watched(), Watched(), threading.Semaphore(0)

    def park() -> None:
        policy = IDLE(stop=stop, observers=[lambda event: event.kind.name == "PARKED" and waiting.release()])
        assert list(reconnect(scripted(OSError("down")), policy, give_up="park")) == []

    def push() -> None:
        latest(lambda: waiting.release(), scripted(), wake, stop, IDLE)

    threads = [threading.Thread(target=each) for each in [park, push] * 25]
    for thread in threads:
        thread.start()
    for _ in threads:
        waiting.acquire()
    threads[0].join(0.1)
    before = stop.looks, wake.looks
    threads[0].join(0.15)  # three turns of what polls
    assert (stop.looks, wake.looks) == before
    stop.set()
    for thread in threads:
        thread.join()
