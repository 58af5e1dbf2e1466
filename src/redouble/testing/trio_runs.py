"""On top of the floors: runs of trio on the time of a fake clock. Imported only where trio is loaded.

A run takes part by two of trio's public hooks. As an *instrument*, a `TrioRun` is told when all tasks of the run are
blocked, and when the run goes on; that serves every run, on any clock. As its *clock*, `FakeClock.trio` makes the run's
own deadlines virtual: `trio.sleep`, cancel scopes. A run on another clock keeps those in its own time.

Another thread calls functions in a run by its token: `run_sync_soon`.
"""

from __future__ import annotations

import contextvars
import threading
from contextlib import suppress
from math import inf, nextafter
from time import monotonic
from typing import TYPE_CHECKING, Any

import trio
from trio.testing import active_thread_count, wait_all_tasks_blocked

from redouble.testing.hosts import current_loop
from redouble.testing.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.control.clock import Stop
    from redouble.testing.timeline import Timeline
    from redouble.testing.waits import TimelineOfWait

ASKED = 3600.0
"""The real seconds for which a run on virtual time asks to be blocked; time wakes it.

A run that blocks for less does not wait for time: `trio.testing.wait_all_tasks_blocked` is about to wake up.
"""

WAITING = ("tasks_waiting", "tasks_waiting_read", "tasks_waiting_write", "tasks_waiting_overlapped")
"""The names, in trio's statistics, of the number of tasks that wait for the network, by system."""


class TrioClock(trio.abc.Clock):
    """`FakeClock.trio`: virtual time as a clock of trio."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._here = threading.local()  # one clock may serve several runs, each in its thread

    def start_clock(self) -> None:
        self._here.run = TrioRun(self._timeline, virtual=True)

    def current_time(self) -> float:
        return self._timeline.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        self._here.run.deadline = deadline
        return ASKED if deadline > self._timeline.now else 0.0

    def __repr__(self) -> str:
        return f"<FakeClock.trio: now={self._timeline.now!r}>"


class TrioRun(trio.abc.Instrument):
    """One run of trio, as a driver of a `Timeline`. Made in the run's own thread.

    Attributes:
        token: The token by which other threads call into the run.
        deadline: The next of the run's own deadlines, as last told by trio; only on virtual time.
    """

    def __init__(self, timeline: Timeline, *, virtual: bool) -> None:
        self.token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()
        self.deadline: float = inf
        self.running: bool = True
        self.blocked: bool = False
        self.since: float = 0.0
        self.sees_workers: bool = True
        self.polled: bool = False  # only waits are polled, and the timeline knows them
        self._timeline = timeline
        self._virtual = virtual
        self._stepped = True
        self._workers = 0
        self._network = object()
        thread = threading.get_ident()
        self._thread = thread
        # As a guest it blocks no thread: its host, in the same one, goes on.
        self._seat: object = thread if current_loop() is None else self
        with timeline.changed:
            timeline.loops.append(self)
            timeline.enter(self._seat)
        trio.lowlevel.add_instrument(self)

    # The instrument.

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._stepped = True

    def before_io_wait(self, timeout: float) -> None:
        with self._timeline.changed:
            if self.running and self._is_blocked(timeout):
                self._block()
            self._stepped = False

    def after_io_wait(self, timeout: float) -> None:
        with self._timeline.changed:
            self._timeline.activity.drop(self._network)
            self._unblock()

    def after_run(self) -> None:
        with self._timeline.changed:
            for wait in [wait for wait in self._timeline.waits if getattr(wait, "run", None) is self]:
                self._timeline.end(wait)
            self._leave()

    def _is_blocked(self, timeout: float) -> bool:
        """Return whether all tasks wait, and not for `wait_all_tasks_blocked`, as far as visible.

        trio's `MockClock` never blocks while it jumps: there a run counts as blocked when no task ran since the last
        look. A run that has only trio's own two tasks left is about to end, and its timers with it.
        """
        blocked = timeout >= ASKED if self._virtual else timeout > 0 or not self._stepped
        return blocked and trio.lowlevel.current_statistics().tasks_living > 2

    def _block(self) -> None:
        timeline = self._timeline
        self._workers = active_thread_count()
        self.blocked, self.since = True, monotonic()
        timeline.park(self._seat)
        if self._waits_for_network():
            timeline.activity.hold(self._network, timeline.io_grace)
        timeline.wake_due()
        timeline.tick()

    def _waits_for_network(self) -> bool:
        statistics = trio.lowlevel.current_statistics().io_statistics
        return sum(getattr(statistics, name, 0) for name in WAITING) > 1  # one is trio's own, which wakes it

    def _unblock(self) -> None:
        if self.blocked:
            self.blocked = False
            self._timeline.resume(self._seat)

    def _leave(self) -> None:
        with self._timeline.changed:
            if self.running:
                self.running = self.blocked = False
                self._timeline.activity.drop(self._network)
                self._timeline.loops.remove(self)
                self._timeline.leave(self._seat)

    def let_go(self, timeline: Timeline) -> None:
        """Take a run on another clock off this time; one on virtual time has no other."""
        if not self._virtual:
            self._leave()
            self.soon(trio.lowlevel.remove_instrument, self)

    # Called by the timeline.

    def soon(self, fn: Callable[..., object], *args: object) -> None:
        """Call `fn` in the run, from any thread; do not call it when the run is over."""
        with suppress(trio.RunFinishedError):
            self.token.run_sync_soon(fn, *args)

    def go_on(self, fn: Callable[[], object]) -> None:
        """Call `fn` in the run, which is busy from this moment on, before its thread knows it."""
        self._unblock()
        self.soon(fn)

    def wake(self) -> None:
        self.go_on(_nothing)

    def next_due(self) -> float | None:
        return self.deadline if self.deadline < inf else None

    def events(self) -> list[tuple[float, str]]:
        deadline = self._deadline_now()
        return [(deadline, "a deadline of the trio run")] if deadline < inf else []

    def _deadline_now(self) -> float:
        """Return the next deadline; while the run is busy, other threads know only the one before."""
        if not self._virtual or self.blocked:
            return self.deadline
        if threading.get_ident() != self._thread:
            return self.deadline if self.deadline > self._timeline.now else inf
        now, left = self._timeline.now, trio.lowlevel.current_statistics().seconds_to_next_deadline
        sum_ = now + left  # not exact; the deadline must be `left` away to the last bit
        return next((near for near in (sum_, nextafter(sum_, inf), nextafter(sum_, 0)) if near - now == left), sum_)

    def busy_workers(self) -> int:
        """Return how many threads work for the tasks that wait: none can end unseen while the run is blocked."""
        return self._workers if self.blocked else 0

    def has_stopped_wait(self) -> bool:
        return False

    def fail(self, reason: str) -> None:
        """End the run, because time has stopped and only trio's own deadlines are pending."""
        self.go_on(lambda: _raise(reason))

    # Waits of its tasks.

    async def sleep(self, seconds: float, stop: Stop | None) -> None:
        """Suspend this task."""
        timeline = self._timeline
        with timeline.changed:
            timeline.record(seconds)
            wait = TrioWait(seconds, self, timeline.now, stop)
            timeline.add(wait)
        try:
            await wait.suspend()
        finally:
            with timeline.changed:
                timeline.end(wait)
        wait.check()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TrioTimer:
        """Call back, in the run, after `seconds`."""
        with self._timeline.changed:
            timer = TrioTimer(seconds, self, self._timeline, callback)
            self._timeline.add(timer)
            if timer.due <= self._timeline.now:
                self._timeline.end(timer)
        return timer


class TrioWait(Wait):
    """A wait of a task of trio: sleeps within a cancel scope, or waits there for its stop event if that is trio's."""

    __slots__ = ("_event", "_scope", "_suspended", "run")

    def __init__(self, seconds: float, run: TrioRun, now: float, stop: Any) -> None:
        is_ours = isinstance(stop, trio.Event)
        super().__init__(seconds, now, None if is_ours else stop)
        self._event: trio.Event = stop if is_ours else trio.Event()  # never set
        self.run: TrioRun = run
        self._scope = trio.CancelScope()
        self._suspended = True

    async def suspend(self) -> None:
        """Suspend the task until the wait has been ended."""
        try:
            with self._scope:
                await self._event.wait()
        finally:
            self._suspended = False

    def wake(self, timeline: TimelineOfWait) -> None:
        if self._suspended:
            self.run.go_on(self._scope.cancel)


class TrioTimer(Wait):
    """A callback with its time."""

    __slots__ = ("_call", "_timeline", "run")

    def __init__(self, seconds: float, run: TrioRun, timeline: Timeline, callback: Callable[[], None]) -> None:
        super().__init__(seconds, timeline.now)
        context = contextvars.copy_context()
        self.run: TrioRun = run
        self._timeline = timeline
        self._call: Callable[[], object] | None = lambda: context.run(callback)

    def cancel(self) -> None:
        """Prevent the callback from being called."""
        with self._timeline.changed:
            self._call = None
            self._timeline.end(self)

    def wake(self, timeline: TimelineOfWait) -> None:
        if self._call is not None:
            self.run.go_on(self._fire)

    def _fire(self) -> None:
        self.check()
        call, self._call = self._call, None
        if call is not None:
            call()

    def __str__(self) -> str:
        return f"a timer of {self.seconds:g} s"


def _nothing() -> None:
    """Do no work: the call has woken the run, which now looks at its deadlines."""


def _raise(reason: str) -> None:
    raise RuntimeError(reason)


def attach(timeline: Timeline) -> TrioRun:
    """Return the driver of the current run; a run on another clock gets a new one."""
    token = trio.lowlevel.current_trio_token()
    with timeline.changed:
        for driver in timeline.loops:
            if isinstance(driver, TrioRun) and driver.token is token:
                return driver
        return TrioRun(timeline, virtual=False)


async def until_told(watch: Callable[[Callable[[], None]], None]) -> None:
    """Suspend this task until any thread calls the function that `watch` gets."""
    token = trio.lowlevel.current_trio_token()
    with trio.CancelScope() as scope:

        def told() -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(scope.cancel)

        watch(told)
        await trio.sleep_forever()


async def let_all_block() -> None:
    """Suspend this task until all others of the run are blocked."""
    await wait_all_tasks_blocked()
