"""Floor 5. A connection that is dialled again when it drops, with waits, for as long as a loop runs over it."""

from __future__ import annotations

from redouble.calls.hosts import coroutines, threads
from redouble.calls.tracebacks import strip
from redouble.control.host import running_host
from redouble.control.policy import as_policy, refuse_async_stop
from redouble.core import checks
from redouble.core.verdict import as_rule
from redouble.loops.base import for_loop
from redouble.loops.bell import Bell, bell_here
from redouble.loops.link import Keeping, Line, LinkStatus, Wish
from redouble.loops.session import Session
from redouble.ways.closing import CLOSE_TIMEOUT, CloseLimit
from redouble.ways.policy import RetryPolicy, retry
from redouble.ways.shape import (
    name_of,
    refuse_other_arguments,
    refuse_own_cooldown,
    refuse_what_cannot_be_called,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Any, Generic, Literal, Self, TypedDict, TypeVar, Unpack, overload

    from redouble.calls.script import Script
    from redouble.control.outcome import GaveUp
    from redouble.control.policy import Policy
    from redouble.core.checks import Seconds
    from redouble.core.verdict import RuleLike

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Lets `Link[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


class Link(Generic[T]):
    """A connection that is dialled again when it drops, made by `reconnect(...)`: for `for` or `async for`.

    Each loop over it begins afresh; there can be one at a time. In asyncio and trio it may be entered, too: the end of
    `async with link:` ends the loop and closes a session that the loop left open.
    """

    __module__ = "redouble.loops"

    __slots__ = ("_line", "_plan")

    def __init__(self, plan: Keeping) -> None:
        self._plan = plan
        self._line: Line | None = None

    @property
    def status(self) -> LinkStatus:
        """The status of the link, such as `LinkStatus.CONNECTED`."""
        return LinkStatus.IDLE if self._line is None else self._line.status

    @property
    def attempt(self) -> int:
        """The number of the last dial of the loop; 0 before the first."""
        return 0 if self._line is None else self._line.attempt

    @property
    def failures(self) -> int:
        """The number of failures in a row so far: failed dials and unstable connections."""
        return 0 if self._line is None else self._line.failures

    @property
    def parked(self) -> bool:
        """Whether the link has given up and waits for `reset()` or `reconnect()`."""
        return self.status is LinkStatus.PARKED

    @property
    def gave_up(self) -> GaveUp | None:
        """The decision that parked the link, until a connection is stable or the link is reset; else `None`."""
        return None if self._line is None else self._line.end

    def reset(self) -> None:
        """Forget the failures and begin afresh. May be called from any thread or task.

        While the link waits or is parked, the next dial comes at once. A dial or a session under way goes on. On a link
        without a loop it does nothing, as a loop begins afresh anyway.
        """
        if self._line is not None:
            self._line.ask(Wish.FRESH)

    def reconnect(self) -> None:
        """End the live session and dial at once, with everything fresh. May be called from any thread or task.

        The body of the session is cancelled in asyncio and trio. A thread cannot be cancelled: there the connection is
        shut down if it has `shutdown`, then closed, so that the body fails or ends when it next reads or writes. An
        error that the body then raises is expected: it counts as no failure, and no wait follows.

        While the link waits, is parked, or a session is ending, the next dial comes at once. A dial under way goes on,
        and the failures before it are forgotten. A link without a loop dials at once when it gets one.
        """
        if self._line is not None:
            self._line.ask(Wish.ANEW)

    def close(self) -> None:
        """End the loop in order, and the live session as `reconnect()` does. May be called from any thread or task.

        It does not wait until the connection is closed; the loop does. In asyncio and trio, a task of its own closes a
        session that was never entered and whose loop is gone; `async with link:` closes it in place.
        """
        line = self._line
        if line is not None:
            line.close()
            line.close_what_was_left()

    def __iter__(self) -> Iterator[Session[T]]:
        policy, name = for_loop(self._plan.policy), self._plan.name
        refuse_async_stop(policy, name)
        if policy.attempt_timeout is not None and policy.timeout_as is None:
            raise TypeError(
                f"connect_timeout cannot cut off the synchronous {name}: nothing can stop a running function."
                " Give a policy with timeout_as='timeout' to hand each dial its timeout under that keyword, or loop"
                " with `async for`"
            )
        return _Sessions(self._begin(asynchronous=False))

    def __aiter__(self) -> AsyncIterator[Session[T]]:
        before = self._line
        return _AsyncSessions(self._begin(asynchronous=True), before)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        line = self._line
        if line is not None:
            line.close()
            await coroutines.perform(line.leftovers())
            if not (line.over or line.is_at_work):
                line.finish()

    def _begin(self, *, asynchronous: bool) -> Line:
        """Begin a loop."""
        if self._line is not None and self._line.is_at_work:
            raise RuntimeError("another loop is at work on this link, and it has one connection at a time")
        self._line = line = Line(self._plan, asynchronous)
        return line

    def __repr__(self) -> str:
        return f"<redouble.loops.Link by {self._plan.name}: {self.status.value}>"


class _Loop(Generic[T]):
    """A loop over a link: the part that is the same on all hosts."""

    __slots__ = ("_line", "_script")

    _script: Script | None

    def __init__(self, line: Line) -> None:
        self._line = line
        self._script = None

    def _forgotten(self, keyword: str) -> RuntimeError | None:
        """Return an error about the session that the last pass left behind; `None` if it has ended."""
        session = self._line.session
        if session is None:
            return None
        if session.is_entered:
            return RuntimeError("the session is still open: the next one begins when its `with` has ended")
        return RuntimeError(
            f"the session was never entered: write `{keyword} session as connection:` around the body of the loop"
        )

    def _refuse_to_end_in_silence(self, error: BaseException) -> None:
        """Raise a `RuntimeError` in place of an error that Python takes for the end of a loop, as PEP 479 does."""
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            raise RuntimeError(f"{self._line.name} raised {type(error).__name__}") from error


class _Sessions(_Loop[T]):
    """The sessions of `for session in link`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Session[T]]:
        return self

    def __next__(self) -> Session[T]:
        line = self._line
        refusal = self._forgotten("with")
        try:
            if refusal is not None:
                raise refusal
            if not line.over:
                if self._script is None:
                    self._script = line.sessions(Bell(), None)
                if threads.drive(self._script, line.call) is not None:
                    return line.handed_out()
        except BaseException as error:
            self._end_loop()
            strip(error)
            self._refuse_to_end_in_silence(error)
            raise
        self._end_loop()
        raise StopIteration

    def _end_loop(self) -> None:
        """End the loop; close a session that was handed out and never entered."""
        line = self._line
        threads.perform(line.leftovers())
        if not line.over:
            line.finish()

    def __del__(self) -> None:
        if not self._line.over and not (self._line.session is not None and self._line.session.is_entered):
            self._end_loop()


class _AsyncSessions(_Loop[T]):
    """The sessions of `async for session in link`."""

    __slots__ = ("_before",)

    _before: Line | None

    def __init__(self, line: Line, before: Line | None) -> None:
        super().__init__(line)
        self._before = before  # the loop before this one, which may have left a session open

    def __aiter__(self) -> AsyncIterator[Session[T]]:
        return self

    async def __anext__(self) -> Session[T]:
        line, before = self._line, self._before
        refusal = self._forgotten("async with")
        try:
            if refusal is not None:
                raise refusal
            if before is not None:
                self._before = None
                await coroutines.perform(before.leftovers())
            if not line.over:
                if self._script is None:
                    self._script = line.sessions(bell_here(), running_host())
                if await coroutines.drive(self._script, line.call) is not None:
                    return line.handed_out()
        except BaseException as error:
            await self._end_loop()
            strip(error)
            self._refuse_to_end_in_silence(error)
            raise
        await self._end_loop()
        raise StopAsyncIteration

    async def _end_loop(self) -> None:
        line = self._line
        await coroutines.perform(line.leftovers())
        if not line.over:
            line.finish()

    def __del__(self) -> None:
        self._line.leave()


if TYPE_CHECKING:

    class Options(TypedDict, total=False):
        """The keywords of `reconnect`, which documents them."""

        stable_after: Seconds
        connect_timeout: Seconds | None
        close_timeout: Seconds | None
        give_up: Literal["raise", "park"]
        park: RuleLike | Literal[True] | None
        half_open: Seconds | None
        stop_sessions: bool


if TYPE_CHECKING:  # pyrefly does not take the keywords below for those of `Options`

    @overload
    def reconnect(  # pyrefly: ignore[inconsistent-overload]
        open_: Callable[..., AbstractAsyncContextManager[T]],
        policy: RetryPolicy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(  # pyrefly: ignore[inconsistent-overload]
        open_: Callable[..., Awaitable[AbstractAsyncContextManager[T]]],
        policy: RetryPolicy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(  # pyrefly: ignore[inconsistent-overload]
        open_: Callable[..., Awaitable[AbstractContextManager[T]]],
        policy: RetryPolicy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(  # pyrefly: ignore[inconsistent-overload]
        open_: Callable[..., Awaitable[T]],
        policy: RetryPolicy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(  # pyrefly: ignore[inconsistent-overload]
        open_: Callable[..., AbstractContextManager[T]],
        policy: RetryPolicy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(  # pyrefly: ignore[inconsistent-overload]
        open_: Callable[..., T],
        policy: RetryPolicy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...


def reconnect(
    open_: Callable[..., Any],
    policy: RetryPolicy = retry,
    *,
    stable_after: Seconds = 5.0,
    connect_timeout: Seconds | None = None,
    close_timeout: Seconds | None = CLOSE_TIMEOUT,
    give_up: Literal["raise", "park"] = "raise",
    park: RuleLike | Literal[True] | None = None,
    half_open: Seconds | None = None,
    stop_sessions: bool = False,
) -> Link[Any]:
    """Keep a connection alive: dial, use it, and dial again when it drops.

    Use it as `for session in link: with session as conn: ...`, or with `async for` and `async with` in asyncio and
    trio. Each pass opens a connection with `open_`, as `RetryPolicy.connect` does, and waits between failures as the
    policy says (without its two default limits: a link is long-lived). The end of the `with` closes the connection.
    After a normal end, an orderly close or a transient error the next pass waits and dials again. A permanent error
    is raised and ends the loop; `break` closes and leaves.

    An orderly close is an end in order, whichever way the client reports it: the end of an `async for`, or an error of
    a read or write (websockets' `ConnectionClosedOK`, the EOF of a stream, the orderly closes of aiohttp and
    asyncssh).

    A connection that lasted less than `stable_after` counts as a failure, even if it ended in order, so that the link
    does not storm a server that accepts and closes. After a longer connection an end in order is no failure, and an
    error counts as the first.

    When attempts, curve or deadline are used up, or the server asks for a longer wait than `max_hint`, the operation's
    error is raised, as from any retried call (a `ConnectionError` if the connections ended in order). With
    `give_up="park"` the link is *parked* instead: observers get one `GIVE_UP` and one `PARKED`, and the loop waits for
    `Link.reset()` or `Link.reconnect()`. The end of a `deadline` scope around the loop ends it in any case.

    The policy's `stop` ends the loop in order, from every wait; with `stop_sessions` it also ends a session that is up,
    as `Link.close()` always does. `result` rules are not used, `idempotent` counts only if it is written, and an error
    on which an inner retry gave up is a failure like any other.

    Args:
        open_: The function that opens a connection, called without arguments (but with `timeout_as`, if the policy has
            one). It may return `None`: a probe, which needs no closing.
        policy: A `RetryPolicy`. Its `attempts` are failures in a row.
        stable_after: Seconds after which a connection counts as good, so that failures and curve begin again.
        connect_timeout: Seconds for one dial. Asyncio and trio cut it off with a `TimeoutError`, which is transient;
            a synchronous `open_` receives it in the policy's `timeout_as`. `None`: no limit but the policy's.
        close_timeout: Seconds for closing a connection, as for `RetryPolicy.connect`. `None`: no limit.
        give_up: `"raise"`, or `"park"`.
        park: Rules for errors that park the link at once, instead of ending the loop or being retried: such as a
            revoked key, until an operator has put in another one. `True`: all permanent errors. `None`: no errors.
        half_open: Seconds after which a parked link dials once. If that dial fails, the link stays parked, without a
            further event. A link with `half_open` parks when it gives up. `None`: a parked link dials only when it is
            reset.
        stop_sessions: Whether the policy's `stop` also ends a session that is up, as `Link.close()` does. `False`: the
            session runs to its own end.

    Raises:
        TypeError, ValueError: For an argument of a wrong kind or value.

    Source: a connection that is up counts as good only after a time, as in Kubernetes' CrashLoopBackOff; the one
    dial of a parked link is the half-open state of a circuit breaker (Nygard, Release It!).

    >>> import io
    >>> from redouble import constant, retry
    >>> from redouble.testing import fake_time, scripted
    >>> link = reconnect(scripted(ConnectionRefusedError, io.StringIO("hello")), retry(backoff=constant(1)))
    >>> with fake_time() as clock:
    ...     for session in link:
    ...         with session as stream:
    ...             print(stream.read(), "after", clock.sleeps)
    ...             break
    hello after [1.0]
    """
    refuse_what_cannot_be_called(open_, "reconnect")
    as_policy("policy", policy)
    refuse_own_cooldown(policy, "reconnect")
    refuse_other_arguments("open_", open_, policy.timeout_as)
    changes = _changes(policy, checks.seconds_or_none("connect_timeout", connect_timeout, positive=True))
    CloseLimit(close_timeout, "")  # only to check the value
    half_open = checks.seconds_or_none("half_open", half_open, positive=True)
    parks = checks.one_of("give_up", give_up, ("raise", "park")) == "park" or half_open is not None
    return Link(
        Keeping(
            open_,
            name_of(open_),
            policy.overridden(**changes),
            checks.seconds("stable_after", stable_after),
            parks,
            park if park is None or park is True else as_rule("park", park),
            half_open,
            close_timeout,
            checks.flag("stop_sessions", stop_sessions),
        )
    )


def _changes(policy: Policy, connect_timeout: float | None) -> dict[str, Any]:
    """Return the fields that differ in a link's policy: a dial may be repeated, and a connection is no answer."""
    changes: dict[str, Any] = {"nested": "multiply", "result": None}
    if policy.idempotent is None:
        changes["idempotent"] = True
    limits = [limit for limit in (connect_timeout, policy.attempt_timeout) if limit is not None]
    if limits:
        changes["attempt_timeout"] = min(limits)
    return changes
