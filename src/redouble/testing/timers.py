"""On top of the floors: the timers of one asyncio event loop, and the waits of tasks among them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redouble.testing.waits import LoopWait

if TYPE_CHECKING:
    from redouble.control.clock import Stop


class LoopTimers:
    """The timers of an event loop, and the waits among them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Any = loop  # typed as Any: a loop's timers are not in its public type
        self._waits: list[LoopWait] = []

    def add(self, seconds: float, now: float, stop: Stop | None) -> LoopWait:
        """Add a wait that begins now."""
        wait = LoopWait(seconds, now, stop)
        self._waits.append(wait)
        return wait

    async def sleep(self, wait: LoopWait) -> None:
        """Suspend this task until the wait is over, by the loop's own time."""
        try:
            await wait.suspend()
        finally:
            self._waits.remove(wait)

    def _pending(self) -> list[asyncio.TimerHandle]:
        return [timer for timer in list(self._loop._scheduled) if not timer.cancelled()]

    def next_due(self) -> float | None:
        """Return the time of a blocked loop's next timer: asyncio has removed cancelled ones from the head before."""
        scheduled = self._loop._scheduled
        return scheduled[0].when() if scheduled else None

    def events(self) -> list[tuple[float, str]]:
        """Return the times of all timers. Each wait has a timer as well, but is named first."""
        waits = [(wait.due, f"the end of {wait}") for wait in self._waits]
        return waits + [(timer.when(), f"a timer of the event loop, {timer!r}") for timer in self._pending()]

    def shift(self, seconds: float) -> None:
        """Shift all timers by a jump of the loop's time, so that their remaining times and the heap's order stay."""
        for timer in self._loop._scheduled:
            timer._when += seconds
        if self._loop.is_running() and self._loop.get_debug():
            self._allow_slow_callback()

    def _allow_slow_callback(self) -> None:
        """Keep asyncio's debug mode from warning that the running callback took as long as the jump."""
        usual = self._loop.slow_callback_duration
        if usual != float("inf"):
            self._loop.slow_callback_duration = float("inf")
            self._loop.call_soon(setattr, self._loop, "slow_callback_duration", usual)

    @property
    def polled(self) -> bool:
        """Whether a wait polls a `threading.Event`."""
        return any(wait.stop is not None for wait in self._waits)

    def has_stopped_wait(self) -> bool:
        """Return whether the stop event of a wait is set."""
        return any(wait.stopped() for wait in self._waits)

    def end_stopped(self) -> bool:
        """End the waits whose stop event is set, on the loop; return whether there are any."""
        stopped = [wait for wait in self._waits if wait.stopped()]
        for wait in stopped:
            wait.end()
        return bool(stopped)

    def fail(self, reason: str) -> None:
        """Raise the failure from the waits, or from the loop when none of its timers is a wait on the clock."""
        if not self._waits:
            raise RuntimeError(reason)
        for wait in self._waits:
            wait.end(RuntimeError(reason))
