"""On top of the floors: when the time of a fake clock moves.

It moves by itself, to the next event, when somebody waits, no trap is set, and its `Presence` has nothing against it.

Everything here is guarded by one condition, `changed`. Three things poll: a wait for a `threading.Event`, an event loop
while others keep it from moving time, and, while something holds time (not for long), whoever could move it.
"""

from __future__ import annotations

import functools
import threading
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from redouble.testing.presence import Presence

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from redouble.testing.waits import Wait

P = ParamSpec("P")
R = TypeVar("R")

STOP_POLL = 0.01
"""How often, in real seconds, a wait that is not over looks at its `threading.Event`: nothing can await one."""


HOLD_POLL = 0.002
"""How often, in real seconds, who could move time looks whether a thread that holds it has begun to wait for others."""


class Driver(Protocol):
    """What drives an event loop on this time."""

    loop: asyncio.AbstractEventLoop
    blocked: bool

    @property
    def running(self) -> bool: ...
    def detach(self, line: Timeline) -> None: ...
    def next_due(self) -> float | None: ...
    def events(self) -> list[tuple[float, str]]: ...
    def has_stopped_wait(self) -> bool: ...
    def wake(self) -> None: ...


class Catcher(Protocol):
    """What catches waits: a trap."""

    def catch(self, seconds: float) -> None: ...
    def release(self) -> None: ...


class Timeline:
    """The time of one `FakeClock`, and all who live on it."""

    def __init__(self, start: float, autoadvance: bool) -> None:
        self.now: float = start
        self.autoadvance: bool = autoadvance
        self.grace: float = 0.2
        self.io_grace: float = 0.05
        self.patience: float = 10.0
        self.closed: bool = False
        self.sleeps: list[float] = []
        self.changed: threading.Condition = threading.Condition()
        self.presence: Presence = Presence()
        self.loops: list[Driver] = []
        self.traps: list[Catcher] = []
        self.waits: list[Wait] = []
        self.moved: float = monotonic()

    @property
    def state(self) -> tuple[object, ...]:
        """Changes whenever a wait begins or ends."""
        return self.now, len(self.sleeps), len(self.waits)

    # Waits of threads.

    def record(self, seconds: float) -> None:
        """Note a wait that was asked for, and let the traps catch it."""
        with self.changed:
            self.sleeps.append(float(seconds))
            for trap in self.traps:
                trap.catch(float(seconds))
            self.changed.notify_all()

    def sleep(self, wait: Wait) -> None:
        """Block this thread until the wait is over.

        Raises:
            RuntimeError: When no time has passed for `patience` real seconds.
        """
        with self.changed:
            self.park(wait.thread)
            self.waits.append(wait)
            began = monotonic()
            try:
                self.tick()
                while not wait.over:
                    self.wait_for_change(wait, began)
            finally:
                self.end(wait)

    def wait_for_change(self, wait: Wait, began: float) -> None:
        """Block until something may have ended the wait."""
        self.changed.wait(self.real_wait(began, watching=wait.polled))
        self.tick()
        if not wait.over and self.is_impatient(began):
            raise RuntimeError(self.complaint(wait))

    def end(self, wait: Wait) -> None:
        """The wait is over; harmless when it has been already."""
        if not wait.over:
            wait.over = True
            self.waits.remove(wait)
            self.resume(wait.thread)
            self.changed.notify_all()

    # Who runs.

    def carry(self, fn: Callable[P, R], by: int) -> Callable[P, R]:
        """`fn` as a member: time stands still while it runs outside of a wait, and until it has begun once.

        The thread `by` which this is done is given time to begin a wait of its own.
        """
        ticket = object()
        with self.changed:
            self.presence.hold(ticket, self.grace)
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

    def enter(self, thread: int, ticket: object = None) -> None:
        """The thread becomes a member."""
        with self.changed:
            self.presence.drop(ticket)
            self.presence.enter(thread)

    def leave(self, thread: int) -> None:
        """The thread is a member no more."""
        with self.changed:
            if not self.presence.leave(thread):
                return
            if any(driver.running for driver in self.loops):  # it may be about to hand its result to that loop
                self.presence.hold(thread, self.grace)
            self.go_on()

    def park(self, thread: int) -> None:
        """The thread waits."""
        self.presence.park(thread)
        self.changed.notify_all()

    def resume(self, thread: int) -> None:
        """The thread has done with waiting."""
        self.presence.resume(thread, self.grace)

    # When time moves.

    def go_on(self) -> None:
        """Something that kept time from moving is gone."""
        self.changed.notify_all()
        self.tick()

    def tick(self) -> None:
        """End the waits whose `stop` is set; then move to the next event, if nothing runs and nothing forbids it."""
        known, self.presence.held = self.presence.held, False
        self._end_stopped()
        if self.presence.somebody_runs() or self.traps or not self.autoadvance:
            return
        due = self._next_due()
        if due is None:
            return
        if not self.presence.is_held():
            self.move_to(due)
        elif not known:
            self.changed.notify_all()  # who looks when that is over may have left by then

    def _end_stopped(self) -> None:
        for wait in [wait for wait in self.waits if wait.stopped()]:
            self.end(wait)
        for driver in self.loops:
            if driver.blocked and driver.has_stopped_wait():
                driver.wake()

    def _next_due(self) -> float | None:
        dues = [wait.due for wait in self.waits]
        dues += [due for driver in self.loops if driver.blocked and (due := driver.next_due()) is not None]
        return min(dues, default=None)

    def move_to(self, when: float) -> None:
        """Make it `when`, and wake all who waited for that."""
        self.now = max(self.now, when)
        self.moved = monotonic()
        self.wake_due()

    def wake_due(self) -> None:
        """Wake all who wait for what is due by now."""
        for wait in [wait for wait in self.waits if wait.due <= self.now]:
            self.end(wait)
        for driver in self.loops:
            if driver.blocked and (due := driver.next_due()) is not None and due <= self.now:
                driver.wake()

    def next_event(self) -> tuple[float, str] | None:
        """When the next event is due, and what it is; loops that are busy count too."""
        events = [(wait.due, f"the end of {wait}") for wait in self.waits]
        for driver in self.loops:
            events += driver.events()
        return min(events, key=lambda event: event[0], default=None)

    # Real time, which bounds how long nothing may happen.

    def real_wait(self, began: float, *, watching: bool) -> float:
        """How many real seconds to block before looking again."""
        ends = [max(self.moved, began) + self.patience]
        if self.presence.held:
            ends.append(monotonic() + HOLD_POLL)
        left = max(0.0, min(ends) - monotonic())
        return min(left, STOP_POLL) if watching else left

    def is_impatient(self, began: float) -> bool:
        """Whether no time has passed for `patience` real seconds."""
        return monotonic() - max(self.moved, began) >= self.patience

    def complaint(self, what: object) -> str:
        """Why `what` has not ended."""
        if self.traps:
            why = "a trap holds the clock: release() it, or advance() the clock"
        elif not self.autoadvance:
            why = "autoadvance=False, and nobody called advance()"
        else:
            why = "a bound function or an event loop runs on without waiting on the clock"
        return f"{what} has not ended within {self.patience:g} real seconds: {why}"
