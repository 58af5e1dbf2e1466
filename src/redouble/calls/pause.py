"""Floor 4. Waits that several events may end, as loops use them."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

from redouble.control.clock import STOP_POLL, is_set, wakes_threads
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.calls.call import Call
    from redouble.control.clock import Clock, Stop

FOR_GOOD: float = min(1e9, checks.LONGEST)
"""The seconds of a wait "until an event is set": some thirty years, or the longest that the system allows."""


class AnyOf:
    """Several events as one: set when any of them is."""

    __slots__ = ("events",)

    def __init__(self, *events: Stop | None) -> None:
        self.events: tuple[Stop, ...] = tuple(event for event in events if event is not None)

    def is_set(self) -> bool:
        """Return whether one of the events is set."""
        return any(is_set(event) for event in self.events)

    def wait(self, timeout: float | None = None) -> bool:
        """Block the thread until an event is set, or for `timeout` seconds; return whether one is set."""
        waking: list[Any] = [event for event in self.events if wakes_threads(event)]
        if len(self.events) == 1 and waking:
            return bool(waking[0].wait(timeout))
        if all(map(can_be_heard, self.events)):
            _Waker().wait_among(waking, timeout)
            return self.is_set()
        end = None if timeout is None else monotonic() + timeout
        while not self.is_set():
            left = STOP_POLL if end is None else min(STOP_POLL, end - monotonic())
            if left <= 0:
                return False
            if waking:
                waking[0].wait(left)
            else:
                from time import sleep

                sleep(left)
        return True


class _Waker:
    """Stands among the waiters of several `threading.Event`s, as the lock of a thread that waits for one event does.

    The standard library cannot wait for two events. Looking at them twenty times a second would keep a computer awake
    for every loop that is idle.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        from threading import Lock

        self._lock = Lock()
        self._lock.acquire()

    def release(self) -> None:
        """Wake the thread; called by an event when it is set."""
        try:
            self._lock.release()
        except RuntimeError:  # another event has done so already
            return

    def wait_among(self, events: list[Any], timeout: float | None) -> None:
        """Block the thread until one of the events is set, or for `timeout` seconds."""
        conditions = [event._cond for event in events]
        for condition in conditions:
            with condition:
                condition._waiters.append(self)
        try:
            if not any(event.is_set() for event in events):
                self._lock.acquire(True, -1 if timeout is None else timeout)
        finally:
            for condition in conditions:
                with condition, suppress(ValueError):  # the event that woke it has removed it already
                    condition._waiters.remove(self)


class _Ear:
    """Stands among the waiters of a `threading.Event`, and calls a function when the event is set."""

    __slots__ = ("_act",)

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def release(self) -> None:
        """Call the function; called by the event when it is set."""
        with suppress(RuntimeError):  # the event loop is closed: there is no loop to wake
            self._act()


def hear(event: Any, act: Callable[[], object]) -> Callable[[], None]:
    """Call a function once when a `threading.Event` is set, in the thread that sets it; at once if it is set already.

    Args:
        event: The event, for which `can_be_heard` is true.
        act: The function. It must be quick, and must not use the event, whose lock is held meanwhile.

    Returns:
        A function that cancels the call; a second time it has no effect.
    """
    condition, ear = event._cond, _Ear(act)

    def leave() -> None:
        with condition, suppress(ValueError):  # the event that called it has removed it already
            condition._waiters.remove(ear)

    with condition:
        if event.is_set():
            ear.release()
        else:
            condition._waiters.append(ear)
    return leave


def can_be_heard(event: Any) -> bool:
    """Return whether an event is Python's own `threading.Event`; gevent's and a user's own have to be polled."""
    if type(event).__module__ != "threading":
        return False
    return hasattr(getattr(getattr(event, "_cond", None), "_waiters", None), "remove")


class Pause:
    """A wait of a loop.

    Attributes:
        clock: The clock that waits.
        seconds: The longest time that it takes.
        events: The events that end it.
        name: The name of the loop in the log.
        call: The call that waits; `None`: the loop waits outside of a call.
    """

    __slots__ = ("call", "clock", "events", "name", "seconds")

    def __init__(
        self, clock: Clock, seconds: float, events: tuple[Stop | None, ...], name: str, call: Call | None = None
    ) -> None:
        self.call: Call | None = call
        self.clock: Clock = clock
        self.seconds: float = seconds
        self.events: tuple[Stop, ...] = tuple(event for event in events if event is not None)
        self.name: str = name

    def is_over(self) -> bool:
        """Return whether one of the events is set already."""
        return any(is_set(event) for event in self.events)

    def as_one(self) -> Any:
        """Return the events as one event; `None` if there are none."""
        return None if not self.events else self.events[0] if len(self.events) == 1 else AnyOf(*self.events)
