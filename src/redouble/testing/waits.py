"""On top of the floors: waits on a fake clock, of threads and of tasks."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redouble.control.policy import Stop


class Wait:
    """One wait: how long, until when, in which thread, and what else may end it."""

    __slots__ = ("due", "over", "polled", "seconds", "stop", "thread")

    def __init__(self, seconds: float, now: float, stop: Stop | None, *, polled: bool = False) -> None:
        self.seconds: float = seconds
        self.due: float = now + seconds
        self.stop: Stop | None = stop
        self.polled: bool = polled or stop is not None
        self.thread: int = threading.get_ident()
        self.over: bool = False

    def stopped(self) -> bool:
        """Whether its stop event is set."""
        return self.stop is not None and self.stop.is_set()

    def __str__(self) -> str:
        return f"a wait of {self.seconds:g} s"


class LoopWait(Wait):
    """A wait of a task on an attached event loop, whose own timer ends it; an `asyncio.Event` does so at once."""

    __slots__ = ("_error", "_event", "_limit")

    def __init__(self, seconds: float, now: float, stop: Stop | None) -> None:
        self._event = stop if isinstance(stop, asyncio.Event) else None
        super().__init__(seconds, now, stop if self._event is None else None)
        self._limit = asyncio.timeout_at(self.due)
        self._error: RuntimeError | None = None

    async def suspend(self) -> None:
        """Suspend the task until the timer has run out or the stop event is set."""
        try:
            async with self._limit:
                await (asyncio.get_running_loop().create_future() if self._event is None else self._event.wait())
        except TimeoutError:
            if not self._limit.expired():
                raise
        if self._error is not None:
            raise self._error

    def end(self, error: RuntimeError | None = None) -> None:
        """End it now, on its loop; raise `error` there."""
        if not (self.over or self._limit.expired()):
            self.over = True
            self._error = error
            self._limit.reschedule(float("-inf"))  # at once
