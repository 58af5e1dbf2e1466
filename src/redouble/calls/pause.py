"""Floor 4. Waits that several events may end: what a loop waits by."""

from __future__ import annotations

from time import monotonic

from redouble.control.clock import STOP_POLL, is_set, wakes_threads
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.calls.call import Call
    from redouble.control.clock import Clock
    from redouble.control.policy import Stop

FOR_GOOD: float = min(1e9, checks.LONGEST)
"""How many seconds "until an event is set" is: some thirty years, or what the system allows."""


class AnyOf:
    """Several events as one: set when any of them is."""

    __slots__ = ("events",)

    def __init__(self, *events: Stop | None) -> None:
        self.events = tuple(event for event in events if event is not None)

    def is_set(self) -> bool:
        """Return whether one of the events is set."""
        return any(is_set(event) for event in self.events)

    def wait(self, timeout: float | None = None) -> bool:
        """Block the thread until an event is set, or for `timeout` seconds; return whether one is set."""
        waking: list[Any] = [event for event in self.events if wakes_threads(event)]
        if len(self.events) == 1 and waking:
            return bool(waking[0].wait(timeout))
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


class Pause:
    """A wait of a loop.

    Attributes:
        clock: The clock that waits.
        seconds: The longest that it takes.
        events: What ends it.
        name: The loop, for the log.
        call: The call whose wait it is; `None`: that of no call.
    """

    __slots__ = ("call", "clock", "events", "name", "seconds")

    def __init__(
        self, clock: Clock, seconds: float, events: tuple[Stop | None, ...], name: str, call: Call | None = None
    ) -> None:
        self.call = call
        self.clock = clock
        self.seconds = seconds
        self.events = tuple(event for event in events if event is not None)
        self.name = name

    def is_over(self) -> bool:
        """Return whether one of the events is set already."""
        return any(is_set(event) for event in self.events)

    def as_one(self) -> Any:
        """Return the events as one; `None` where there is none."""
        return None if not self.events else self.events[0] if len(self.events) == 1 else AnyOf(*self.events)
