"""On top of the floors: waits on a fake clock, of threads and of tasks."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from redouble.control.clock import is_set

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
        return self.stop is not None and is_set(self.stop)

    def __str__(self) -> str:
        return f"a wait of {self.seconds:g} s"


class LoopWait(Wait):
    """A wait of a task on an attached event loop, whose own timer ends it; an `asyncio.Event` does so at once.

    Nothing is cancelled to end it: while a task goes on from a cancellation, asyncio holds the frames that it passed.
    """

    __slots__ = ("_event", "_woken")

    def __init__(self, seconds: float, now: float, stop: Stop | None) -> None:
        self._event = stop if isinstance(stop, asyncio.Event) else None
        super().__init__(seconds, now, stop if self._event is None else None)
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def suspend(self) -> None:
        """Suspend the task until the timer has run out or the stop event is set."""
        loop = asyncio.get_running_loop()
        timer = loop.call_at(self.due, self.end)
        watcher = None if self._event is None else loop.create_task(self._watch(self._event))
        try:
            await self._woken
        finally:
            timer.cancel()
            if watcher is not None:
                watcher.cancel()

    async def _watch(self, event: asyncio.Event) -> None:
        try:
            await event.wait()
        except Exception as error:
            self.end(error)
        else:
            self.end()

    def end(self, error: Exception | None = None) -> None:
        """End it now, on its loop; raise `error` there."""
        if not self._woken.done():
            self.over = True
            if error is None:
                self._woken.set_result(None)
            else:
                self._woken.set_exception(error)
