"""On top of the floors: waits on a fake clock by tasks of an asyncio loop on another time.

Such a wait lets the other tasks of the loop run a few times, then assumes that all of them wait, and moves time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redouble.testing.hosts import current_loop
from redouble.testing.timeline import STOP_POLL
from redouble.testing.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.control.clock import Stop
    from redouble.testing.timeline import Timeline

YIELDS = 10
"""The turns of the loop's other tasks, after the last event on the clock, before time moves."""


async def let_others_run() -> None:
    """Give the other tasks of the loop a few turns."""
    for _ in range(YIELDS):
        await asyncio.sleep(0)


async def sleep(timeline: Timeline, seconds: float, stop: Stop | None) -> None:
    """Suspend this task.

    Raises:
        RuntimeError: When no time has passed for `patience` real seconds, or outside of asyncio.
    """
    if current_loop() is None:
        raise RuntimeError("a FakeClock waits in coroutines of asyncio and trio; neither of them runs this one")
    with timeline.changed:
        timeline.record(seconds)
        wait = _add(timeline, seconds, stop)
    await _sleep(timeline, wait)


def _add(timeline: Timeline, seconds: float, stop: Stop | None = None) -> Wait:
    """Begin a wait."""
    wait = Wait(seconds, timeline.now, stop)
    timeline.add(wait)
    return wait


async def _sleep(timeline: Timeline, wait: Wait) -> None:
    timeline.enter(wait.thread)  # so that only this moves time: other movers do not know of the other tasks
    try:
        while not wait.over:
            if await _nothing_happens(timeline, wait):
                _try_to_end(timeline, wait)
    finally:
        with timeline.changed:
            timeline.end(wait)
            timeline.step_back(wait.thread)
    wait.check()


async def _nothing_happens(timeline: Timeline, wait: Wait) -> bool:
    """Return whether no wait began or ended in the last few turns."""
    before = timeline.state
    for _ in range(YIELDS):
        await asyncio.sleep(0)
        if timeline.state != before or wait.over:
            return False
    return True


def _try_to_end(timeline: Timeline, wait: Wait) -> None:
    """Move time, since every task of this thread had its turn; if it cannot move, wait shortly in real time."""
    with timeline.changed:
        before = timeline.state
        timeline.park(wait.thread)
        try:
            timeline.tick()
            if timeline.state == before:
                timeline.changed.wait(STOP_POLL)
        finally:
            timeline.resume(wait.thread)


def call_later(timeline: Timeline, seconds: float, callback: Callable[[], None]) -> TaskTimer:
    """Call back after `seconds`."""

    async def wait_and_call() -> None:
        with timeline.changed:
            wait = _add(timeline, seconds)
        await _sleep(timeline, wait)
        callback()

    return TaskTimer(asyncio.get_running_loop().create_task(wait_and_call()))


class TaskTimer:
    """A timer that is a task."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        """Prevent the callback from being called."""
        self._task.cancel()
