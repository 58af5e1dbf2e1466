"""Floor 5. One connection of a link: entered by a `with`, whose end closes it and decides the next step."""

from __future__ import annotations

from _thread import allocate_lock

from redouble.calls.hosts import coroutines, threads
from redouble.control.cancel import cancel_after
from redouble.control.host import Host, running_host
from redouble.ways.opening import leaving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType
    from typing import Any, Generic, Protocol, TypeVar

    from redouble.control.cancel import CancelScope
    from redouble.control.clock import Clock
    from redouble.loops.bell import Bell
    from redouble.ways.opening import Opened, Opening

    T = TypeVar("T")

    class Keeper(Protocol):
        """The loop that gave a session, as the session sees it."""

        clock: Clock

        @property
        def name(self) -> str: ...
        def is_ending(self) -> bool: ...
        def begins(self) -> None: ...
        def closes(self) -> None: ...
        def ended(self, error: BaseException | None) -> bool: ...
else:
    T = None

    class Generic:
        """Lets `Session[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


BOTH_WAYS = 2
"""`socket.SHUT_RDWR`, on every system."""


class Session(Generic[T]):
    """One connection of a `Link`, to be entered once: `with session as conn:`, or `async with session as conn:`.

    The connection is open already, and the end of that `with` closes it. After a normal end, an orderly close or a
    transient error the loop goes on; any other error is raised and ends the loop. A session that is not entered is
    closed when the loop lets go of it.

    Attributes:
        number: The number of the dial that opened it, from 1.
    """

    __module__ = "redouble.loops"

    __slots__ = ("_cancel_scope", "_entered", "_how", "_line", "_lock", "_opened", "number")

    number: int
    _cancel_scope: CancelScope | None  # cancels the body when the end of the session is asked for
    _opened: Opened | None  # `None` once its closing has begun

    def __init__(self, line: Keeper, opened: Opened, how: Opening, number: int) -> None:
        self.number = number
        self._line, self._how = line, how
        self._opened = opened
        self._lock = allocate_lock()
        self._entered = False
        self._cancel_scope = None

    def __enter__(self) -> T:
        if self._how.asynchronous:
            raise TypeError("this session was given by `async for`: write `async with session:`")
        value = self._enter("with")
        self._line.begins()
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return threads.perform(self._leaving(error, kind, error, traceback))

    async def __aenter__(self) -> T:
        if not self._how.asynchronous:
            raise TypeError("this session was given by a plain `for`: write `with session:`")
        value = self._enter("async with")
        self._cancel_scope = cancel_after(self._line.clock, None)
        self._line.begins()
        if self._line.is_ending():
            self._cancel_scope.fire()
        return value

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        ended = await self._without_ours(error)
        dealt_with = await coroutines.perform(self._leaving(ended, kind, error, traceback))
        if ended is error or dealt_with:
            return dealt_with
        if ended is None:
            return True
        raise ended

    async def _without_ours(self, error: BaseException | None) -> BaseException | None:
        """Return the error of the body without the cancellation that the link asked for."""
        cancel_scope, self._cancel_scope = self._cancel_scope, None
        if cancel_scope is None or not cancel_scope.fired:
            if cancel_scope is not None:
                cancel_scope.exit(error)
            return error
        try:
            if cancel_scope.exit(error):
                return None
        except BaseException as rest:  # trio's scope takes its own out of a group
            return rest
        if running_host() is Host.ASYNCIO:
            from redouble.calls.hosts.asyncio import absorb

            await absorb(cancel_scope)
        return error

    @property
    def is_entered(self) -> bool:
        """Whether the session was entered: then the end of its `with` closes it."""
        return self._entered

    def take(self) -> Opened | None:
        """Take over the connection of a session that was never entered, to close it; `None` if it was, or is closed."""
        with self._lock:
            if self._entered:
                return None
            self._entered = True
            opened, self._opened = self._opened, None
            return opened

    def end(self, bell: Bell | None) -> None:
        """Make the body of the session end, perhaps from another thread.

        A coroutine is cancelled. A thread cannot be cancelled: its connection is shut down, which wakes a read, and
        closed.
        """
        if self._how.asynchronous:
            cancel_scope = self._cancel_scope
            if cancel_scope is not None and bell is not None:
                bell.call(cancel_scope.fire)
            return
        opened = self._opened
        if opened is not None:
            _break(opened.value)

    def _enter(self, keyword: str) -> T:
        with self._lock:
            if self._entered or self._opened is None:
                raise RuntimeError(
                    f"`{keyword} session:` enters a session once, as soon as the loop has given it, and before the loop"
                    " goes on or ends"
                )
            self._entered = True
            value: T = self._opened.value
            return value

    def _leaving(self, ended: BaseException | None, *exc_info: Any) -> Generator[Any, Any, bool]:
        """Close the connection and let the loop judge the session; return whether to suppress the error.

        Args:
            ended: The error of the body, by which the loop judges the session.
            exc_info: The arguments for the `__exit__` of the connection.
        """
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is None or not self._entered:
            raise RuntimeError("this session is closed already")
        suppressed = None
        self._line.closes()
        try:
            suppressed = yield from leaving(opened, self._how, *exc_info)
        except BaseException as closing:
            if _counts(closing, ended):
                if not self._line.ended(closing):
                    raise
                return True
        return self._line.ended(None if suppressed else ended) or bool(suppressed)

    def __repr__(self) -> str:
        return f"<redouble.loops.Session {self.number} of {self._line.name}>"


def _break(connection: Any) -> None:
    """Shut a connection down if it has `shutdown`, then close it; it may be broken already."""
    for method, args in (("shutdown", (BOTH_WAYS,)), ("close", ())):
        act = getattr(connection, method, None)
        if callable(act):
            try:
                act(*args)
            except Exception:  # such as OSError: not connected any more
                continue


def _counts(closing: BaseException, error: BaseException | None) -> bool:
    """Return whether the error of closing replaces the error of the body.

    It does if it was raised in place of the body's error on purpose (`from`, or a group). An error of closing a broken
    connection must not hide the error of the body.
    """
    if error is None or not isinstance(closing, Exception):
        return True
    return closing is not error and (closing.__suppress_context__ or isinstance(closing, BaseExceptionGroup))
