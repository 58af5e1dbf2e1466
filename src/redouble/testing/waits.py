"""On top of the floors: waits on a fake clock, of threads and of tasks."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from redouble.control.clock import is_set

if TYPE_CHECKING:
    from redouble.control.clock import Stop
    from redouble.testing.activity import Activity


class TimelineOfWait(Protocol):
    """The part of a `Timeline` that a wait on it uses."""

    now: float
    lock: threading.RLock
    activity: Activity

    def resume(self, who: object) -> None: ...


class Wait:
    """One wait: its length, its end, its thread, and the event that may end it early.

    Attributes:
        began: The real time at which it began.
        over: Whether it has ended.
        failure: The error with which it was given up, if it was: no time has passed for too long.
    """

    __slots__ = ("began", "due", "failure", "over", "seconds", "stop", "thread")

    def __init__(self, seconds: float, now: float, stop: Stop | None = None) -> None:
        self.seconds: float = seconds
        self.due: float = now + seconds
        self.stop: Stop | None = stop
        self.thread: int = threading.get_ident()
        self.began: float = monotonic()
        self.over: bool = False
        self.failure: str | None = None

    def stopped(self) -> bool:
        """Return whether its stop event is set."""
        return self.stop is not None and is_set(self.stop)

    def wake(self, timeline: TimelineOfWait) -> None:
        """Wake the waiter; the caller holds the lock of its timeline."""
        timeline.resume(self.thread)

    def check(self) -> None:
        """Raise the failure, if there is one.

        Raises:
            RuntimeError: When no time has passed for `patience` real seconds.
        """
        if self.failure is not None:
            raise RuntimeError(self.failure)

    def __str__(self) -> str:
        return f"a wait of {self.seconds:g} s"


class ThreadWait(Wait):
    """A wait that blocks its thread, with its own condition: a shared one would wake 500 threads to end one wait."""

    __slots__ = ("_woken",)

    def __init__(self, seconds: float, timeline: TimelineOfWait, stop: Stop | None) -> None:
        super().__init__(seconds, timeline.now, stop)
        self._woken = threading.Condition(timeline.lock)

    def block(self) -> None:
        """Block until the wait is over; the lock is released meanwhile."""
        while not self.over:
            self._woken.wait()

    def wake(self, timeline: TimelineOfWait) -> None:
        super().wake(timeline)
        self._woken.notify()


class LoopWait(Wait):
    """A wait of a task on an attached event loop: a timer of the loop ends it, or an `asyncio.Event` at once.

    It ends without a cancellation: while a task goes on from one, asyncio holds the frames that it passed.
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
        """End the wait now, on its loop; raise `error` there."""
        if not self._woken.done():
            self.over = True
            if error is None:
                self._woken.set_result(None)
            else:
                self._woken.set_exception(error)
