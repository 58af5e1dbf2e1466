"""On top of the floors: the time of a fake clock, and the moments at which it moves.

Time moves by itself, to the next event, when there is a wait, no trap is set, and its `Activity` agrees. Each change
that may allow it calls `tick`: a thread parks, a loop blocks, a trap is released. The `Keeper` handles waits that
depend on real time.

One lock guards all state. Each wait is woken on its own; `changed`, on the same lock, is for the few that watch all
waits: traps, and `settle`.
"""

from __future__ import annotations

import functools
import itertools
import threading
from heapq import heapify, heappop, heappush
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from redouble.testing.activity import Activity
from redouble.testing.hosts import is_worker_of_trio
from redouble.testing.keeper import Keeper
from redouble.testing.waits import ThreadWait

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.control.clock import Stop
    from redouble.testing.waits import Wait

P = ParamSpec("P")
R = TypeVar("R")

HOLD_POLL = 0.002
"""The real seconds between the keeper's looks while time is held."""

STOP_POLL = 0.01
"""The real seconds between the keeper's looks at a stop that is a `threading.Event`, which cannot be awaited."""

CALM_POLL = 0.05
"""The real seconds between the keeper's other looks, and checks whether it is still needed."""

FEW = 100
"""The waits that ended early and may stay in the heap, beyond the number of live ones."""


class Driver(Protocol):
    """The driver of an event loop on this time: one of asyncio, or a run of trio.

    Attributes:
        blocked: Whether it has no task ready to run.
        since: The real time since when it is blocked.
        sees_workers: Whether `busy_workers` counts threads that are not members.
    """

    blocked: bool
    since: float
    sees_workers: bool

    @property
    def running(self) -> bool: ...
    @property
    def polled(self) -> bool: ...
    def let_go(self, timeline: Timeline) -> None: ...
    def next_due(self) -> float | None: ...
    def events(self) -> list[tuple[float, str]]: ...
    def busy_workers(self) -> int: ...
    def has_stopped_wait(self) -> bool: ...
    def wake(self) -> None: ...
    def fail(self, reason: str) -> None: ...


class Catcher(Protocol):
    """A catcher of waits: a trap."""

    def catch(self, seconds: float) -> None: ...
    def release(self) -> None: ...


class Timeline:
    """The time of one `FakeClock`, with its waits, loops and threads."""

    def __init__(self, start: float, autoadvance: bool) -> None:
        self.now: float = start
        self.autoadvance: bool = autoadvance
        self.grace: float = 0.2
        self.io_grace: float = 0.05
        self.patience: float = 10.0
        self.closed: bool = False
        self.sleeps: list[float] = []
        self.lock: threading.RLock = threading.RLock()
        self.changed: threading.Condition = threading.Condition(self.lock)
        self.activity: Activity = Activity()
        self.loops: list[Driver] = []
        self.traps: list[Catcher] = []
        self.waits: dict[Wait, None] = {}  # in order, and quick to remove from
        self.moved: float = monotonic()
        self._keeper = Keeper(self)
        self._stoppable: dict[Wait, None] = {}
        self._dues: list[tuple[float, int, Wait]] = []  # a heap; waits that ended early stay until they are the first
        self._numbers = itertools.count()
        self._parked_workers: set[object] = set()

    @property
    def state(self) -> tuple[object, ...]:
        """Changes whenever a wait begins or ends."""
        return self.now, len(self.sleeps), len(self.waits)

    # Waits.

    def record(self, seconds: float) -> None:
        """Note a requested wait, and let the traps catch it."""
        with self.changed:
            self.activity.sign()
            self.sleeps.append(float(seconds))
            for trap in self.traps:
                trap.catch(float(seconds))
            self.changed.notify_all()

    def sleep(self, seconds: float, stop: Stop | None) -> None:
        """Block this thread for `seconds`, or until `stop` is set.

        Raises:
            RuntimeError: When no time has passed for `patience` real seconds.
        """
        with self.changed:
            self.record(seconds)
            wait = ThreadWait(seconds, self, stop)
            self.park(wait.thread)
            self.add(wait)
            try:
                self.tick()
                wait.block()
            finally:
                self.end(wait)
        wait.check()

    def add(self, wait: Wait) -> None:
        """Begin a wait: it ends when it is due, or when its stop is set."""
        self.waits[wait] = None
        heappush(self._dues, (wait.due, next(self._numbers), wait))
        if wait.stop is not None:
            self._stoppable[wait] = None

    def end(self, wait: Wait) -> None:
        """End a wait; harmless when it has ended already."""
        if not wait.over:
            wait.over = True
            del self.waits[wait]
            self._stoppable.pop(wait, None)
            if len(self._dues) > 2 * len(self.waits) + FEW:
                self._dues = [entry for entry in self._dues if not entry[2].over]
                heapify(self._dues)
            wait.wake(self)
            self.changed.notify_all()

    # The running threads and loops.

    def carry(self, fn: Callable[P, R], by: int) -> Callable[P, R]:
        """Return `fn` as a member: time stands still while it runs outside of a wait, and until it has begun once.

        The thread that hands it on, `by`, gets time to begin a wait of its own.
        """
        ticket = object()
        with self.changed:
            self.activity.sign()
            self.activity.hold(ticket, self.grace)
            self.resume(by)

        @functools.wraps(fn)
        def carried(*args: P.args, **kwargs: P.kwargs) -> R:
            thread = threading.get_ident()
            self.enter(thread, ticket)
            try:
                return fn(*args, **kwargs)
            finally:
                self.leave(thread)

        return carried

    def enter(self, who: object, ticket: object = None) -> None:
        """Make a thread, or a stand-in for one, a member."""
        with self.changed:
            self.activity.drop(ticket)
            self.activity.enter(who)

    def leave(self, who: object) -> None:
        """Remove a membership."""
        with self.changed:
            if not self.activity.leave(who):
                return
            if any(driver.running for driver in self.loops):  # it may be about to hand its result to that loop
                seen = is_worker_of_trio() and self._sees_workers()
                self.activity.hold(who, 0.0 if seen else self.grace)
            self.go_on()

    def step_back(self, who: object) -> None:
        """Remove a membership of a thread that goes on running, and gets time to begin another wait."""
        with self.changed:
            self.activity.leave(who)
            self.resume(who)

    def park(self, who: object) -> None:
        """Note that a member waits."""
        if is_worker_of_trio():
            self._parked_workers.add(who)
        self.activity.park(who)
        self.changed.notify_all()

    def resume(self, who: object) -> None:
        """Note that a member's wait is over."""
        seen = who in self._parked_workers and self._sees_workers()
        self._parked_workers.discard(who)
        self.activity.resume(who, 0.0 if seen else self.grace)

    # Moving time.

    def go_on(self) -> None:
        """Note that a reason to stand still is gone, and move time if it can."""
        self.changed.notify_all()
        self.tick()

    def tick(self) -> None:
        """End the waits whose `stop` is set; then move to the next event, unless a thread runs or time is held."""
        self._end_stopped()
        self._move_if_free()
        pause = self.pause()
        if pause is not None:
            self._keeper.call(pause)

    def _end_stopped(self) -> None:
        for wait in [wait for wait in self._stoppable if wait.stopped()]:
            self.end(wait)
        for driver in self.loops:
            if driver.blocked and driver.has_stopped_wait():
                driver.wake()

    def _move_if_free(self) -> None:
        self.activity.held = False
        if self.traps or not self.autoadvance or self.activity.somebody_runs():
            return
        due = self._next_due()
        if due is not None and not self._has_busy_workers() and not self.activity.is_held():
            self.move_to(due)

    def _sees_workers(self) -> bool:
        """Return whether a loop counts its worker threads: then none of them needs a hold."""
        return any(driver.sees_workers for driver in self.loops)

    def _has_busy_workers(self) -> bool:
        return sum(driver.busy_workers() for driver in self.loops) > len(self._parked_workers)

    def _next_due(self) -> float | None:
        dues = [due for driver in self.loops if driver.blocked and (due := driver.next_due()) is not None]
        wait = self._next_wait()
        return min(dues if wait is None else [*dues, wait.due], default=None)

    def _next_wait(self) -> Wait | None:
        while self._dues and self._dues[0][2].over:
            heappop(self._dues)
        return self._dues[0][2] if self._dues else None

    def move_to(self, when: float) -> None:
        """Move time to `when`, and end the waits due then."""
        self.now = max(self.now, when)
        self.moved = monotonic()
        self.wake_due()

    def wake_due(self) -> None:
        """End all waits that are due by now, and wake the loops whose timers are due."""
        while (wait := self._next_wait()) is not None and wait.due <= self.now:
            self.end(wait)
        for driver in self.loops:
            if driver.blocked and (due := driver.next_due()) is not None and due <= self.now:
                driver.wake()

    def next_event(self) -> tuple[float, str] | None:
        """Return the time of the next event, and the event; loops that are busy count too."""
        events = [(wait.due, f"the end of {wait}") for wait in self.waits]
        for driver in self.loops:
            events += driver.events()
        return min(events, key=lambda event: event[0], default=None)

    # Real time, for events that no call announces, and for patience.

    def pause(self) -> float | None:
        """Return the real seconds until the next look; `None`: no wait needs one."""
        blocked = [driver for driver in self.loops if driver.blocked]
        if not self.waits and all(driver.next_due() is None for driver in blocked):
            return None
        if self.activity.held:
            return HOLD_POLL
        polled = self._stoppable or any(driver.polled for driver in blocked)
        return min(STOP_POLL if polled else CALM_POLL, self.patience)

    def look(self) -> None:
        """Tick, and fail the waits that have lasted too long."""
        if self.activity.held:
            self.activity.look()
        self.tick()
        for wait in [wait for wait in self.waits if self.is_impatient(wait.began)]:
            wait.failure = self.complaint(wait)
            self.end(wait)
        for driver in self.loops:
            if driver.blocked and driver.next_due() is not None and self.is_impatient(driver.since):
                driver.fail(self.complaint("a wait on the event loop"))

    def is_impatient(self, began: float) -> bool:
        """Return whether no time has passed for `patience` real seconds."""
        return monotonic() - max(self.moved, began) >= self.patience

    def complaint(self, what: object) -> str:
        """Return the message that tells why a wait has not ended."""
        if self.traps:
            why = "a trap holds the clock: release() it, or advance() the clock"
        elif not self.autoadvance:
            why = "autoadvance=False, and nobody called advance()"
        else:
            why = (
                "a bound function or an event loop runs on without waiting on the clock;"
                " what waits for other threads says so by clock.joining()"
            )
        return f"{what} has not ended within {self.patience:g} real seconds: {why}"
