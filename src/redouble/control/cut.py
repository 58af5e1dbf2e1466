"""Floor 3. Cutting off what an asyncio task is doing when its time is up, and telling whose cancellation it was."""

from __future__ import annotations

import sys

from redouble.control import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from redouble.control.clock import Clock


class Cut:
    """Cancels the current task after `seconds` of the clock, and tells that cancellation from anybody else's.

    As `asyncio.timeout` does it (the same counting of `Task.cancelling`), but on any clock, and without taking a
    `TimeoutError` of the task's own for the timer's.
    """

    __slots__ = ("_before", "_settled", "_task", "_timer", "fired")

    fired: bool  # whether the time ran out

    def __init__(self, clock: Clock, seconds: float) -> None:
        task: asyncio.Task[Any] | None = sys.modules["asyncio"].current_task()
        if task is None:
            raise RuntimeError("a time limit on asyncio code needs a task to cancel, and none is running")
        self._task = task
        self._before = task.cancelling()
        self.fired = self._settled = False
        self._timer = clock.call_later(max(0.0, seconds), self._fire)

    def _fire(self) -> None:
        if not self._settled:  # a timer that could not be cancelled may still come
            self.fired = True
            self._task.cancel()

    def _cancel_timer(self) -> None:
        try:
            self._timer.cancel()
        except Exception as error:  # whatever a user's clock gave
            faults.report("clock", type(self._timer), error, "a timer is left running")

    def settle(self, error: BaseException | None) -> bool:
        """The task is done with it, with `error` or without: was it cut off by this timer, and by nobody else?"""
        self._settled = True
        self._cancel_timer()
        if not self.fired:
            return False
        others = self._task.uncancel() > self._before
        return not others and isinstance(error, sys.modules["asyncio"].CancelledError)
