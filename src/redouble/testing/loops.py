"""On top of the floors: asyncio event loops on the time of a fake clock.

While a loop is attached to a clock, a `LoopDriver` stands in for a few methods of that one loop object (and for the
`select` of its selector), so that all code that asks the loop for time is in virtual time: `asyncio.sleep`,
`asyncio.timeout`, `call_later`.

Loops without a selector (uvloop, the proactor of Windows) cannot be attached.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from concurrent.futures import ThreadPoolExecutor
from math import ulp
from time import monotonic
from typing import TYPE_CHECKING, Any

from redouble.testing.timers import LoopTimers

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.control.clock import Stop
    from redouble.testing.timeline import Timeline

DRIVER = "_redouble_driver"
"""The attribute of an attached loop that holds its driver."""

LOOK_AGAIN = 0.05
"""The real seconds after which a thread that waits for another thread's loop looks whether it still runs."""


class LoopDriver:
    """Puts one event loop on the virtual time of the clock that attached last, until it detaches."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.timelines: list[Timeline] = []
        self.blocked: bool = False
        self.since: float = 0.0
        self.sees_workers: bool = False
        self._passing: set[Timeline] = set()
        self._thread: int | None = None
        self._failure: str | None = None
        self._timers = LoopTimers(loop)
        self._undo: list[Callable[[], None]] = []
        self._selector: Any = vars(loop)["_selector"]
        self._time = loop.time
        self._stop = loop.stop
        self._call_soon_threadsafe: Callable[..., asyncio.Handle] = loop.call_soon_threadsafe
        self._run_in_executor: Callable[..., asyncio.Future[Any]] = loop.run_in_executor
        self._shutdown_default_executor = loop.shutdown_default_executor
        self._select: Callable[[float | None], list[Any]] = self._selector.select

    @property
    def timeline(self) -> Timeline:
        """The time that the loop is on."""
        return self.timelines[-1]

    # Attaching and detaching, in the loop's own thread or while it does not run.

    def attach(self, timeline: Timeline, *, passing: bool = False) -> None:
        """Put the loop on this time; `passing`: only until it stops."""
        if timeline in self.timelines:
            return
        self._leave()
        before = self.time()
        if not self.timelines:
            self._install()
        self.timelines.append(timeline)
        timeline.loops.append(self)
        if passing:
            self._passing.add(timeline)
        self._timers.shift(timeline.now - before)
        if self.loop.is_running():
            self.begin()

    def detach(self, timeline: Timeline) -> None:
        """Take the loop off this time; harmless when it is not on it."""
        if timeline not in self.timelines:
            return
        running = self.running
        self._leave()
        before = self.time()
        self.timelines.remove(timeline)
        self._passing.discard(timeline)
        with timeline.changed:
            timeline.loops.remove(self)
            timeline.changed.notify_all()
        self._timers.shift(self.time() - before)
        if not self.timelines:
            self._uninstall()
        elif running:
            self.begin()

    def let_go(self, timeline: Timeline) -> None:
        """Take the loop off this time; if it runs in another thread, do so there."""
        loop = self.loop
        if loop.is_running() and asyncio._get_running_loop() is not loop:
            loop.call_soon_threadsafe(self.detach, timeline)
            with timeline.changed:
                while loop.is_running() and not timeline.changed.wait_for(
                    lambda: self not in timeline.loops, LOOK_AGAIN
                ):
                    pass  # the loop is busy; its turn comes
        self.detach(timeline)

    def _install(self) -> None:
        names = ("time", "stop", "call_soon_threadsafe", "run_in_executor", "shutdown_default_executor")
        stand_ins: dict[str, object] = {name: getattr(self, name) for name in names}
        stand_ins |= {DRIVER: self, "_clock_resolution": 0.0}
        self._undo = [_replace(self.loop, stand_ins), _replace(self._selector, {"select": self.select})]

    def _uninstall(self) -> None:
        for undo in self._undo:
            undo()

    # The loop's thread is a member while the loop runs.

    @property
    def running(self) -> bool:
        """Whether the loop runs."""
        return self._thread is not None

    def begin(self) -> None:
        """Note that the loop runs, in this thread."""
        if self._thread is None:
            self._thread = threading.get_ident()
            self.timeline.enter(self._thread)

    def _leave(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self.timeline.leave(thread)

    def rest(self) -> None:
        """Note that the loop stops, or is about to: detach it from clocks that are merely passing."""
        self._leave()
        for timeline in list(self._passing):
            self.detach(timeline)

    # The stand-ins for methods of the loop. Code that got hold of one while it was attached may call it later.

    def time(self) -> float:
        """Stand in for `loop.time`."""
        return self.timeline.now if self.timelines else self._time()

    def stop(self) -> None:
        """Stand in for `loop.stop`: the last sign of a run's end from within it."""
        self._stop()
        self.rest()

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, **context: Any) -> asyncio.Handle:
        """Stand in for `loop.call_soon_threadsafe`: the loop is busy at once, before its thread knows it."""
        timelines = self.timelines[-1:]  # a copy: another thread may be detaching the loop
        if not timelines:
            return self._call_soon_threadsafe(callback, *args, **context)
        with timelines[0].changed:
            timelines[0].activity.drop(threading.get_ident())
            self._unblock()
            return self._call_soon_threadsafe(callback, *args, **context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Stand in for `loop.run_in_executor`: functions in threads are members; processes cannot wait on the clock."""
        if self.timelines and (executor is None or isinstance(executor, ThreadPoolExecutor)):
            func = self.timeline.carry(func, by=threading.get_ident())
        return self._run_in_executor(executor, func, *args)

    async def shutdown_default_executor(self, *_timeout: float | None) -> None:
        """Stand in for `loop.shutdown_default_executor`: its timeout is in real seconds, not in virtual ones."""
        await self._shutdown_default_executor()

    def select(self, timeout: float | None = None) -> list[Any]:
        """Stand in for `selector.select`: instead of blocking until a timer is due, move time there."""
        ready = self._select(0)
        if not (ready or self._timers.end_stopped()) and (timeout is None or timeout > 0):
            ready = self._block()
            self._timers.end_stopped()
        # The smallest step that fires the timers due now, and none that is due later:
        vars(self.loop)["_clock_resolution"] = ulp(self.timeline.now)
        return ready

    # Blocking.

    def _block(self) -> list[Any]:
        """Block until something is ready, or time has moved on to a timer of this loop."""
        self.begin()
        timeline = self.timeline
        try:
            ready = self._give_up_turn()
            while self.blocked and not ready:
                ready = self._select(None)
        finally:
            with timeline.changed:
                timeline.activity.drop(self)
                self._unblock()
                failure, self._failure = self._failure, None
        if failure is not None:
            self._timers.fail(failure)
        return ready

    def _give_up_turn(self) -> list[Any]:
        """Let time move, unless an event is ready by now; return the ready ones."""
        with self.timeline.changed:
            ready = self._select(0)  # a thread may have called since the loop looked; from here on a call unblocks it
            if ready:
                return ready
            self.timeline.park(threading.get_ident())
            self.blocked, self.since = True, monotonic()
            if len(self._selector.get_map()) > 1:  # more than the pipe that wakes the loop: wait for the network a bit
                self.timeline.activity.hold(self, self.timeline.io_grace)
            self.timeline.wake_due()  # another thread may have moved time since this loop looked at it
            self.timeline.tick()
        return []

    def _unblock(self) -> None:
        if self._thread is not None and self.blocked:
            self.blocked = False
            self.timeline.resume(self._thread)

    # Called by the timeline.

    def wake(self) -> None:
        """Wake the loop for a timer that is due: it is busy again, and its `select` returns."""
        self._unblock()
        if self._thread != threading.get_ident():
            self._call_soon_threadsafe(_nothing)

    def fail(self, reason: str) -> None:
        """Fail the waits of this blocked loop, on which time has stopped."""
        self._failure = reason
        self.wake()

    @property
    def polled(self) -> bool:
        return self._timers.polled

    def busy_workers(self) -> int:
        return 0  # its functions in threads are members

    def has_stopped_wait(self) -> bool:
        return self._timers.has_stopped_wait()

    def next_due(self) -> float | None:
        return self._timers.next_due()

    def events(self) -> list[tuple[float, str]]:
        """Return the times of the timers; a loop that does not run has none."""
        return self._timers.events() if self.running else []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after `seconds`."""
        return self.loop.call_later(seconds, callback)

    async def sleep(self, seconds: float, stop: Stop | None) -> None:
        """Suspend this task."""
        timeline = self.timeline
        with timeline.changed:  # so that a trap that learns of the wait finds it among the events
            timeline.record(seconds)
            wait = self._timers.add(seconds, timeline.now, stop)
        await self._timers.sleep(wait)


def _nothing() -> None:
    """Do no work: the call has woken the event loop, which now runs its due timers."""


def _replace(owner: object, names: dict[str, object]) -> Callable[[], None]:
    """Set attributes of an object; return a function that restores the old ones and removes the others."""
    had = {name: vars(owner)[name] for name in names if name in vars(owner)}
    vars(owner).update(names)

    def undo() -> None:
        for name in names:
            del vars(owner)[name]
        vars(owner).update(had)

    return undo


def driver_of(loop: asyncio.AbstractEventLoop) -> LoopDriver | None:
    """Return the driver of a loop that is attached to some clock."""
    driver: LoopDriver | None = getattr(loop, DRIVER, None)
    return driver


def attach(loop: asyncio.AbstractEventLoop, timeline: Timeline, *, passing: bool = False) -> LoopDriver | None:
    """Put the loop on this time; return `None` when it cannot be, for want of a selector.

    A clock that is merely `passing` (until the loop stops) does not supplant another one.
    """
    driver = driver_of(loop)
    if passing and driver is not None:
        return driver if driver.timeline is timeline else None
    if timeline.closed or not isinstance(getattr(loop, "_selector", None), selectors.BaseSelector):
        return None
    if passing and vars(loop)["_stopping"]:  # no hook would tell when to detach
        return None
    driver = driver or LoopDriver(loop)
    driver.attach(timeline, passing=passing)
    return driver


def is_busy(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether more than the caller is ready to run on this loop, as far as visible."""
    return bool(getattr(loop, "_ready", ()))
