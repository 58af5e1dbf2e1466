"""On top of the floors: the thread that looks at a fake clock now and then, while its users are blocked."""

from __future__ import annotations

import contextvars
import threading
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from redouble.testing.activity import Activity


class Looked(Protocol):
    """The part of a `Timeline` that its keeper uses."""

    lock: threading.RLock
    activity: Activity

    def pause(self) -> float | None: ...
    def look(self) -> None: ...


class Keeper:
    """Looks at a `Timeline` again and again, as long as a wait depends on real time.

    Such waits are a hold that runs out, a `threading.Event` in a coroutine, and the end of patience. One thread looks for
    all waits: if each of 500 blocked threads woke to look, no other work would get to run. It is a daemon that ends by
    itself soon after the last wait.

    The lock of the timeline guards this.
    """

    def __init__(self, timeline: Looked) -> None:
        self._timeline = timeline
        self._earlier = threading.Condition(timeline.lock)
        self._thread: threading.Thread | None = None
        self._next: float = inf

    def call(self, pause: float) -> None:
        """Have the timeline looked at within `pause` real seconds."""
        if self._thread is None or not self._thread.is_alive():  # in a forked process it is dead, but not None
            self._start()
        elif self._next > monotonic() + pause:
            self._earlier.notify()

    def _start(self) -> None:
        self._next = 0.0
        context = contextvars.copy_context()  # an exception of a user's stop event is reported where the clock is used
        self._thread = threading.Thread(target=context.run, args=(self._keep,), name="redouble-clock", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while self._is_needed():
            if self._timeline.activity.held:
                _see_a_thread_begin()
            with self._timeline.lock:
                self._timeline.look()

    def _is_needed(self) -> bool:
        """Wait for the time of the next look; return whether it is still needed."""
        with self._timeline.lock:
            pause = self._timeline.pause()
            if pause is None:
                self._thread = None
                return False
            self._next = monotonic() + pause
            self._earlier.wait(pause)
            return True


def _see_a_thread_begin() -> None:
    """Start a thread and wait for it: as long as a thread takes to run on this machine, at this moment."""
    probe = threading.Thread(target=_nothing, name="redouble-probe", daemon=True)
    probe.start()
    probe.join()


def _nothing() -> None:
    """Return at once: that the thread ran was its only use."""
