"""Floor 5. What all loops share: a policy without the limits of single calls, and waits that several events may end."""

from __future__ import annotations

import sys
from time import monotonic

from redouble.control import scope
from redouble.control.clock import is_set
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from redouble.control.clock import Clock
    from redouble.control.policy import Policy, Stop

    P = TypeVar("P", bound=Policy)

FOR_GOOD: float = min(1e9, checks.LONGEST)
"""How many seconds "until somebody comes" is: some thirty years, or what the system allows."""

POLL = 0.05
"""How often, in seconds, a blocked thread looks at its events where there are several: it can wait for one alone."""


def for_loop(policy: P) -> P:
    """The policy as it holds in a loop: what is long-lived has no limit of attempts and no deadline, unless written.

    Beneath the scopes around the caller, whose fields win.
    """
    if not policy.written & {"attempts", "deadline"}:
        policy = policy.overridden(attempts=None, deadline=None)
    return scope.effective(policy)


class AnyOf:
    """Several events as one: set when any of them is."""

    __slots__ = ("_events",)

    def __init__(self, *events: Stop | None) -> None:
        self._events = tuple(event for event in events if event is not None)

    def is_set(self) -> bool:
        return any(is_set(event) for event in self._events)

    def wait(self, timeout: float | None = None) -> bool:
        """Block the thread until one is set, or for so many seconds; whether one is set."""
        if len(self._events) == 1:
            return bool(self._events[0].wait(timeout))  # type: ignore[call-arg]  # a threading.Event: checked before
        end = None if timeout is None else monotonic() + timeout
        while not self.is_set():
            left = POLL if end is None else min(POLL, end - monotonic())
            if left <= 0:
                return False
            self._events[0].wait(left)  # type: ignore[call-arg]
        return True


def pause(clock: Clock, seconds: float, *events: Stop | None) -> None:
    """Block this thread for so long, or until one of the `threading.Event`s is set."""
    told: Any = AnyOf(*events)
    if seconds > 0 and not told.is_set():
        clock.sleep(seconds, told if any(event is not None for event in events) else None)


async def pause_async(clock: Clock, seconds: float, *events: Stop | None) -> None:
    """Suspend this task for so long, or until one of the events is set; of `asyncio.Event`s that is seen at once."""
    given = [event for event in events if event is not None]
    if any(is_set(event) for event in given):
        return
    asyncio: Any = sys.modules["asyncio"]
    if len(given) > 1 and all(isinstance(event, asyncio.Event) for event in given):
        await _pause_for_any(clock, seconds, given)
    else:
        told: Any = given[0] if len(given) == 1 else AnyOf(*given) if given else None
        await clock.sleep_async(seconds, told)


async def _pause_for_any(clock: Clock, seconds: float, events: list[Any]) -> None:
    asyncio: Any = sys.modules["asyncio"]
    told = asyncio.Event()
    watchers = [asyncio.ensure_future(event.wait()) for event in events]
    for watcher in watchers:
        watcher.add_done_callback(lambda _: told.set())
    try:
        await clock.sleep_async(seconds, told)
    finally:
        over = [watcher for watcher in watchers if not watcher.cancel()]
    for watcher in over:
        watcher.result()  # raises what an event could not wait for, such as one of another loop
