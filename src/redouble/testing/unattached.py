"""On top of the floors: waits on a fake clock by tasks of an asyncio loop whose own time is another.

Such a wait lets the other tasks of the loop run a few times, then takes it that all of them wait, and moves time.
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
"""How many turns the other tasks of the loop get, after the last that happened on the clock, before time moves."""


async def let_others_run() -> None:
    """Give the other tasks of the loop a few turns."""
    for _ in range(YIELDS):
        await asyncio.sleep(0)


async def sleep(line: Timeline, seconds: float, stop: Stop | None) -> None:
    """Suspend this task.

    Raises:
        RuntimeError: When no time has passed for `patience` real seconds, or no loop of asyncio runs this.
    """
    if current_loop() is None:
        raise RuntimeError("a FakeClock waits in coroutines of asyncio and trio; neither of them runs this one")
    with line.changed:
        line.record(seconds)
        wait = _add(line, seconds, stop)
    await _sleep(line, wait)


def _add(line: Timeline, seconds: float, stop: Stop | None = None) -> Wait:
    """Begin a wait."""
    wait = Wait(seconds, line.now, stop)
    line.add(wait)
    return wait


async def _sleep(line: Timeline, wait: Wait) -> None:
    line.enter(wait.thread)  # so that only this moves time: who else could, does not know of the other tasks
    try:
        while not wait.over:
            if await _nothing_happens(line, wait):
                _try_to_end(line, wait)
    finally:
        with line.changed:
            line.end(wait)
            line.step_back(wait.thread)
    wait.check()


async def _nothing_happens(line: Timeline, wait: Wait) -> bool:
    """Return whether neither this wait nor any other began or ended in the last few turns."""
    before = line.state
    for _ in range(YIELDS):
        await asyncio.sleep(0)
        if line.state != before or wait.over:
            return False
    return True


def _try_to_end(line: Timeline, wait: Wait) -> None:
    """Every task of this thread had its turn, so the thread waits: shortly, in real time, when that moves nothing."""
    with line.changed:
        before = line.state
        line.park(wait.thread)
        try:
            line.tick()
            if line.state == before:
                line.changed.wait(STOP_POLL)
        finally:
            line.resume(wait.thread)


def call_later(line: Timeline, seconds: float, callback: Callable[[], None]) -> TaskTimer:
    """Call back after so much time."""

    async def wait_and_call() -> None:
        with line.changed:
            wait = _add(line, seconds)
        await _sleep(line, wait)
        callback()

    return TaskTimer(asyncio.get_running_loop().create_task(wait_and_call()))


class TaskTimer:
    """A timer that is a task."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        """Make sure that the callback is not called any more."""
        self._task.cancel()
