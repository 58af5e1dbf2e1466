"""Floor 5. Closing within a time limit, so that a connection that hangs while it closes does not hold up the program.

A coroutine is cancelled, in the task that opened. A thread cannot be cut off: if the user wrote a limit, closing runs
in a thread of its own; else redouble waits, and logs that it does.
"""

from __future__ import annotations

from contextlib import suppress

from redouble.control import faults
from redouble.control.cancel import CUT_OFF, LET_GO
from redouble.control.clock import SYSTEM
from redouble.core import checks
from redouble.core.raw import probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from threading import Timer
    from typing import Any

    from redouble.control.cancel import TrioCancelScope
    from redouble.control.clock import Clock
    from redouble.core.checks import Seconds


class _Unwritten(float):
    """The default limit, of a class of its own: a user may write the same number."""

    __slots__ = ()


CLOSE_TIMEOUT: float = _Unwritten(5.0)
"""The default number of seconds that closing may take."""


class CloseLimit:
    """The time limit of closing.

    Args:
        seconds: The limit, > 0; `None`: no limit.
        name: The name of the connection in the log.
        clock: The clock that cancels coroutines; threads are waited for in real time.

    Raises:
        TypeError, ValueError: When `seconds` is not a positive duration.
    """

    __slots__ = ("_is_written", "_name", "_seconds", "clock")

    def __init__(self, seconds: Seconds | None, name: str, clock: Clock | None = None) -> None:
        self._is_written = not isinstance(seconds, _Unwritten)
        self._seconds = checks.seconds_or_none("close_timeout", seconds, positive=True)
        self._name = name
        self.clock: Clock = SYSTEM if clock is None else clock

    def call(self, leave: Callable[..., Any], *exc_info: Any) -> Any:
        """Close in a thread and return the value of `leave`; `None` if closing goes on in a thread of its own."""
        if self._seconds is None:
            return leave(*exc_info)
        if self._is_written:
            return self._call_beside(self._seconds, leave, exc_info)
        timer = self._say_later(self._seconds)
        try:
            return leave(*exc_info)
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()  # it ends at once: no thread outlives the connection

    async def finish(
        self, closing: Awaitable[Any], value: Any, *, plain: bool, scope: TrioCancelScope | None = None
    ) -> Any:
        """Await `closing` and return its value; `None` if it was cancelled, or goes on alone.

        Args:
            closing: The awaitable that closes the connection.
            value: The connection; its transport is aborted when the time is up, or asyncio would keep the socket.
            plain: Whether it is a plain `close` or `aclose`, which may go on alone when it outlives its cancellation. A
                context manager may not: it has to be left in the task that entered it.
            scope: Trio's cancel scope around the connection, which then sets the limit.
        """
        if scope is not None and self._seconds is not None:
            scope.arm(self._seconds)
        if scope is not None or self._seconds is None:
            return await closing
        from redouble.calls.hosts import coroutines

        answer = await coroutines.finish(closing, self.clock, self._seconds, plain)
        if answer is CUT_OFF:
            self.cut_off(value)
            return None
        if answer is LET_GO:
            _abort(value)
            faults.warn(
                "%s: closing took longer than %g s and did not heed its cancellation; it goes on alone",
                self._name,
                self._seconds,
            )
            return None
        return answer

    def cut_off(self, value: Any) -> None:
        """Abort the transport of the connection, and log that closing was cancelled."""
        _abort(value)
        faults.warn("%s: closing took longer than %g s and was cancelled", self._name, self._seconds)

    def _call_beside(self, seconds: float, leave: Callable[..., Any], exc_info: tuple[Any, ...]) -> Any:
        """Close in a daemon thread with a copy of the context, and wait for it at most `seconds`."""
        from contextvars import copy_context
        from threading import Thread

        ended: list[tuple[Any, BaseException | None]] = []

        def close() -> None:
            try:
                ended.append((leave(*exc_info), None))
            except BaseException as error:  # raised by the thread that waits, if it still does
                ended.append((None, error))

        thread = Thread(target=copy_context().run, args=(close,), name=f"redouble closes {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            return leave(*exc_info)
        thread.join(seconds)
        if not ended:
            faults.warn("%s: closing takes longer than %g s; it goes on alone, in a thread", self._name, seconds)
            return None
        value, error = ended.pop()
        try:
            if error is not None:
                raise error
            return value
        finally:
            del error  # its traceback holds this frame

    def _say_later(self, seconds: float) -> Timer | None:
        """Start a timer that logs that closing still goes on: the program gives no other hint of where it hangs."""
        from threading import Timer

        timer = Timer(
            seconds,
            faults.warn,
            (
                "%s: closing takes longer than %g s, and is waited for; write close_timeout=%g to go on without it",
                self._name,
                seconds,
                seconds,
            ),
        )
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            return None
        return timer


def _abort(value: Any) -> None:
    """Abort the asyncio transport of a connection, or of the writer of a pair, if it has one.

    An asyncio transport that was only closed keeps its socket until the peer has read all that was sent.

    Source: `asyncio.WriteTransport.abort`: "Close the transport immediately, without waiting for pending operations".
    """
    for each in value if type(value) is tuple else (value,):
        abort = probe(probe(each, "transport"), "abort")
        if callable(abort):
            with suppress(Exception):  # the event loop of the transport is closed
                abort()
