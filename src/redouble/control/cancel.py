"""Floor 3. Cancels a coroutine when its time is up, and tells that cancellation from all others."""

from __future__ import annotations

import sys

from redouble.control import faults
from redouble.control.host import Host, running_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.control.clock import Clock


CUT_OFF, LET_GO = object(), object()
"""The two ends of a coroutine whose time is up: it was cancelled, or it goes on and redouble stops waiting for it."""


class CancelScope:
    """Cancel the coroutine after `seconds` of the clock, or on `fire`; made by `cancel_after`, left by `exit`.

    Args:
        clock: The clock whose `call_later` is used.
        seconds: Seconds until it fires. `None`: only when `fire` is called.
        again: Called when the time is up; returns the seconds to wait longer, <= 0 to fire now. `None`: fire now.

    Attributes:
        fired: Whether the time ran out.
    """

    __slots__ = ("_again", "_clock", "_exited", "_timer", "fired")

    fired: bool
    _again: Callable[[], float] | None
    _timer: Any

    def __init__(self, clock: Clock, seconds: float | None, again: Callable[[], float] | None) -> None:
        self._clock, self._again = clock, again
        self.fired = self._exited = False
        self._timer = None if seconds is None else clock.call_later(max(0.0, seconds), self._fire)

    def fire(self) -> None:
        """Cancel the coroutine now, unless it is done or already cancelled; call it on the coroutine's event loop."""
        if not (self._exited or self.fired):
            self.fired = True
            self._cancel()

    def _fire(self) -> None:
        if self._exited:  # a timer that could not be cancelled may still fire
            return
        left = 0.0 if self._again is None else self._again()
        if left > 0:
            self._timer = self._clock.call_later(left, self._fire)
            return
        self.fire()

    def _cancel(self) -> None:
        raise NotImplementedError

    def exit(self, error: BaseException | None) -> bool:
        """Leave the scope: the coroutine is done, with `error` or without.

        Returns:
            `True` when this scope, and no other cancellation, ended the coroutine.
        """
        self._exited = True
        self._stop_timer()
        return self._was_this(error)

    def _stop_timer(self) -> None:
        try:
            if self._timer is not None:
                self._timer.cancel()
        except Exception as fault:  # the timer of a user's clock may be any object
            faults.report("clock", type(self._timer), fault, "a timer is left running")

    def _was_this(self, error: BaseException | None) -> bool:
        raise NotImplementedError


class AsyncioCancelScope(CancelScope):
    """Cancel a task as `asyncio.timeout` does (the same counting of `Task.cancelling`), but on any clock.

    A `TimeoutError` that the task raised itself is not taken for the timer's.
    """

    __slots__ = ("_before", "_task")

    _before: int
    _task: Any  # an asyncio.Task; None when it has been left

    def __init__(
        self,
        clock: Clock,
        seconds: float | None,
        again: Callable[[], float] | None = None,
        before: int | None = None,
    ) -> None:
        self._task = task = sys.modules["asyncio"].current_task()
        self._before = task.cancelling() if before is None else before
        super().__init__(clock, seconds, again)

    def _cancel(self) -> None:
        self._task.cancel()

    def _was_this(self, error: BaseException | None) -> bool:
        task, self._task = self._task, None  # else a cycle: an error's frames hold this scope, the task holds its error
        if not self.fired:
            return False
        others = task.uncancel() > self._before
        return not others and isinstance(error, sys.modules["asyncio"].CancelledError)


class TrioCancelScope(CancelScope):
    """Cancel the body by a trio cancel scope that the clock's timer fires.

    Trio's scopes are left in the reverse order of entering. So a scope around the opening of a connection (which may
    hold scopes of its own) stays open until the connection is closed: it rests in between, and is armed again for the
    closing.
    """

    __slots__ = ("_scope",)

    def __init__(self, clock: Clock, seconds: float | None, again: Callable[[], float] | None = None) -> None:
        self._scope: Any = sys.modules["trio"].CancelScope()
        super().__init__(clock, seconds, again)
        self._scope.__enter__()

    def rest(self) -> None:
        """Stop the timer until `arm` is called."""
        self._stop_timer()
        self._timer = self._again = None

    def arm(self, seconds: float) -> None:
        """Fire `seconds` from now."""
        self._timer = self._clock.call_later(seconds, self._fire)

    def _cancel(self) -> None:
        self._scope.cancel()

    def _was_this(self, error: BaseException | None) -> bool:
        kind, traceback = (None, None) if error is None else (type(error), error.__traceback__)
        swallowed = self._scope.__exit__(kind, error, traceback)
        return error is not None and bool(swallowed)  # trio answers the same where there was nothing to swallow


def cancel_after(clock: Clock, seconds: float | None, again: Callable[[], float] | None = None) -> CancelScope:
    """Cancel the running coroutine after `seconds`, unless the scope is left before; `None`: only on `fire`.

    Raises:
        NoHost: When the coroutine does not run under asyncio or trio.
    """
    kind = TrioCancelScope if running_host() is Host.TRIO else AsyncioCancelScope
    return kind(clock, seconds, again)
