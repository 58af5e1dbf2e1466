"""Floor 5. A connection that drops: dialled again, with waits, for as long as somebody loops over it."""

from __future__ import annotations

import sys

from redouble.control import faults
from redouble.control.policy import Policy, refuse_async_stop, thread_event
from redouble.control.stack import known_by
from redouble.core import checks
from redouble.core.verdict import as_rule
from redouble.loops.base import pause, pause_async
from redouble.loops.link import OURS, Line, LinkStatus, Next
from redouble.loops.session import Session
from redouble.wrappers.decorator import retry
from redouble.wrappers.opening import opened, opened_async
from redouble.wrappers.run import in_event_loop, trim
from redouble.wrappers.shape import is_awaitable, name_of, refuse_missing_keyword, refuse_what_cannot_be_called

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import FrameType
    from typing import Any, Generic, TypedDict, TypeVar, Unpack, overload

    from redouble.control.cut import Cut
    from redouble.control.outcome import GaveUp
    from redouble.core.checks import Seconds
    from redouble.core.verdict import Rule, RuleLike
    from redouble.wrappers.opening import Leave, Opened

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Lets `Link[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


_RESTS = (Next.WAIT, Next.PARK)


class Link(Generic[T]):
    """A connection that is dialled again when it drops, made by `reconnect(...)`: for `for` or `async for`.

    Each loop over it begins afresh; there can be one at a time.
    """

    __module__ = "redouble"

    __slots__ = ("_half_open", "_line", "_name", "_open", "_park", "_policy", "_stable_after")

    def __init__(
        self,
        open_: Callable[..., Any],
        policy: Policy,
        stable_after: float,
        half_open: float | None,
        park: Rule | None,
    ) -> None:
        self._open = open_
        self._name = name_of(open_)
        self._policy = policy
        self._stable_after = stable_after
        self._half_open = half_open
        self._park = park
        self._line: Line | None = None

    @property
    def status(self) -> LinkStatus:
        """What it is doing: a `LinkStatus`."""
        return LinkStatus.IDLE if self._line is None else self._line.doing

    @property
    def attempt(self) -> int:
        """The number of the last dial of the loop; 0 before the first."""
        return 0 if self._line is None else self._line.attempt

    @property
    def failures(self) -> int:
        """How many dials and unstable connections there were in a row, by what is known now."""
        return 0 if self._line is None else self._line.in_a_row

    @property
    def parked(self) -> bool:
        """Whether it has given up, and waits for `reset()`."""
        return self.status is LinkStatus.PARKED

    @property
    def gave_up(self) -> GaveUp | None:
        """Why it was parked, until a connection is stable or somebody resets it; `None` when it was not."""
        return None if self._line is None else self._line.end

    def reset(self) -> None:
        """Somebody asks for it: begin afresh. May be called from any thread or task.

        While it waits or is parked, the next dial comes at once. While it dials or is connected, that goes on, and only
        the failures are forgotten. Without a loop at work on it nothing happens.
        """
        if self._line is not None:
            self._line.ask()

    def __iter__(self) -> Iterator[Session[T]]:
        from threading import Event

        line = self._new_line(Event())
        refuse_async_stop(line.policy)
        if line.policy.attempt_timeout is not None and line.policy.timeout_as is None:
            raise TypeError(
                f"connect_timeout cannot cut off the synchronous {self._name}: nothing can stop a running function."
                " Give a policy with timeout_as='timeout' to hand each dial its timeout under that keyword, or loop"
                " with `async for`"
            )
        self._line = line
        return _Sessions(line, self._open, self._name)

    def __aiter__(self) -> AsyncIterator[Session[T]]:
        from asyncio import Event

        self._line = line = self._new_line(Event())
        return _AsyncSessions(line, self._open, self._name)

    def _new_line(self, asked: Any) -> Line:
        busy = self._line
        if busy is not None and (busy.session is not None or busy.doing is not LinkStatus.IDLE):
            raise RuntimeError("another loop is at work on this link, and it has one connection at a time")
        return Line(self._policy, self._name, self._stable_after, self._half_open, self._park, asked)

    def __repr__(self) -> str:
        return f"<redouble.Link by {self._name}: {self.status.value}>"


class _Dialling(Generic[T]):
    """What the loops of both colours do alike."""

    __slots__ = ("_line", "_name", "_open")

    def __init__(self, line: Line, open_: Callable[..., Any], name: str) -> None:
        self._line = line
        self._open = open_
        self._name = name

    def _session(self, value: Any, leave: Leave, asynchronous: bool) -> Session[T]:
        self._line.session = session = Session[T](self._line, value, leave, asynchronous)
        return session

    def _forgotten(self, keyword: str) -> tuple[Leave | None, RuntimeError]:
        """What closes the session that the pass before left behind, where nobody else does, and what to say of it."""
        session, self._line.session = self._line.session, None
        self._line.finish()
        if session.entered:
            return None, RuntimeError("the session is still open: the next one begins when its `with` has ended")
        return session.closer(), RuntimeError(
            f"the session was never entered: write `{keyword} session as connection:` around the body of the loop"
        )


class _Sessions(_Dialling[T]):
    """The sessions of `for session in link`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Session[T]]:
        return self

    def __next__(self) -> Session[T]:
        line = self._line
        if line.session is not None:
            self._refuse_forgotten_with()
        if not line.over:
            try:
                line.begin(sys._getframe(1))
                while self._rest():
                    session = self._dial()
                    if session is not None:
                        return session
                line.finish()
            except BaseException as error:
                line.finish()
                trim(error)
                raise
        raise StopIteration

    def _rest(self) -> bool:
        """Wait until the next dial; `False`: there is none."""
        line = self._line
        while line.next in _RESTS:
            seconds = line.pause()
            _warn_in_event_loop(line, seconds)
            pause(line.clock, seconds, thread_event(line.policy.stop), line.asked)
            line.rested()
        return line.next is not Next.END

    def _dial(self) -> Session[T] | None:
        line = self._line
        try:
            value, leave = opened(self._open(**line.dial()), self._name, False, "reconnect")
        except Exception as error:
            if line.failed(error):
                _refuse_to_end_in_silence(error, self._name)
                raise
            return None
        if leave is None:
            raise TypeError(value)
        try:
            if not line.arrived():
                _close(leave)
                return None
        except BaseException:
            _close(leave)
            raise
        return self._session(value, leave, asynchronous=False)

    def _refuse_forgotten_with(self) -> None:
        leave, refusal = self._forgotten("with")
        if leave is not None:
            _close(leave)
        raise refusal


class _AsyncSessions(_Dialling[T]):
    """The sessions of `async for session in link`."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Session[T]]:
        return self

    async def __anext__(self) -> Session[T]:
        line = self._line
        if line.session is not None:
            await self._refuse_forgotten_with()
        if not line.over:
            try:
                line.loop = sys.modules["asyncio"].get_running_loop()
                line.begin(sys._getframe(1))
                while await self._rest():
                    session = await self._dial()
                    if session is not None:
                        return session
                line.finish()
            except BaseException as error:
                line.finish()
                trim(error)
                raise
        raise StopAsyncIteration

    async def _rest(self) -> bool:
        """Wait until the next dial; `False`: there is none."""
        line = self._line
        while line.next in _RESTS:
            await pause_async(line.clock, line.pause(), line.policy.stop, line.asked)
            line.rested()
        return line.next is not Next.END

    async def _dial(self) -> Session[T] | None:
        line = self._line
        try:
            value, leave = await self._opened_in_time()
        except Exception as error:
            if line.failed(error):
                _refuse_to_end_in_silence(error, self._name)
                raise
            return None
        if leave is None:
            raise TypeError(value)
        try:
            if not line.arrived():
                await _close_async(leave)
                return None
        except BaseException:
            await _close_async(leave)
            raise
        return self._session(value, leave, asynchronous=True)

    async def _opened_in_time(self) -> Opened:
        line = self._line
        kwargs = line.dial()
        cut: Cut | None = line.limit()
        try:
            found = await opened_async(self._open(**kwargs), self._name, False, "reconnect")
        except BaseException as error:
            if cut is not None and cut.settle(error) and line.cut is not None:
                raise line.cut from error
            raise
        if cut is not None:
            cut.settle(None)
            if cut.fired and line.cut is not None:  # it took no notice, and came too late
                if found[1] is not None:
                    await _close_async(found[1])
                raise line.cut
        return found

    async def _refuse_forgotten_with(self) -> None:
        leave, refusal = self._forgotten("async with")
        if leave is not None:
            await _close_async(leave)
        raise refusal


def _close(leave: Leave) -> None:
    """Close what nobody will use; what goes wrong with that matters to nobody."""
    try:
        leave(None, None, None)
    except Exception:
        return


async def _close_async(leave: Leave) -> None:
    try:
        answer = leave(None, None, None)
        if is_awaitable(answer):
            await answer
    except Exception:
        return


def _refuse_to_end_in_silence(error: Exception, name: str) -> None:
    """An error that Python takes for the end of a loop is said in other words, as generators do (PEP 479)."""
    if isinstance(error, (StopIteration, StopAsyncIteration)):
        raise RuntimeError(f"{name} raised {type(error).__name__}") from error


def _warn_in_event_loop(line: Line, seconds: float) -> None:
    if seconds > 0 and in_event_loop() and faults.once("in loop", line.name):
        faults.warn(
            "%s: a synchronous wait of %.3g s holds up the running event loop; loop with `async for session in link`,"
            " or in a thread with `await asyncio.to_thread(...)`",
            line.name,
            seconds,
        )


def _line_of(frame: FrameType) -> Line | None:
    """The line of a frame that dials, for who asks from within."""
    found: Line | None = frame.f_locals["self"]._line
    return found


for _dials in (_Sessions._dial, _AsyncSessions._dial):
    known_by(_dials.__code__, _line_of)
    OURS.add(_dials.__code__)


if TYPE_CHECKING:

    class Options(TypedDict, total=False):
        """The keywords of `reconnect`, as they are documented there."""

        stable_after: Seconds
        connect_timeout: Seconds | None
        half_open: Seconds | None
        park: RuleLike | None

    @overload
    def reconnect(
        open_: Callable[..., AbstractAsyncContextManager[T]],
        policy: Policy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(
        open_: Callable[..., Awaitable[AbstractAsyncContextManager[T]]],
        policy: Policy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(
        open_: Callable[..., Awaitable[AbstractContextManager[T]]],
        policy: Policy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(
        open_: Callable[..., Awaitable[T]],
        policy: Policy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(
        open_: Callable[..., AbstractContextManager[T]],
        policy: Policy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    @overload
    def reconnect(
        open_: Callable[..., T],
        policy: Policy = ...,
        **options: Unpack[Options],
    ) -> Link[T]: ...
    def reconnect(open_: Any, policy: Policy = retry, **options: Unpack[Options]) -> Link[Any]:
        """Keep a connection alive: see below."""
        ...

else:

    def reconnect(
        open_,
        policy=retry,
        *,
        stable_after=5.0,
        connect_timeout=None,
        half_open=None,
        park=None,
    ):
        """Keep a connection alive: dial, use it, and dial again when it drops.

        Use it as `for session in link: with session as conn: ...`, or with `async for` and `async with`. Each pass dials
        what `open_` gives, in the way of `RetryPolicy.connect`, and waits between failures as the policy says (without
        its two default limits: a link is long-lived). The end of the `with` closes the connection. When that was a
        normal end or a transient error, the next pass waits and dials again; a permanent error passes and ends the loop;
        `break` closes and leaves.

        A connection that lasted less than `stable_after` counts as a failure, however it ended, so that a server which
        accepts and closes is not stormed. When attempts, curve or deadline are used up, or the server asks for a longer
        wait than `max_hint`, the link is *parked*: observers get one `GIVE_UP` and one `PARKED`, and the loop waits for
        `Link.reset()`. The policy's `stop` ends the loop in order, from every wait; `result` is not asked, `idempotent`
        counts only where it is written, and errors on which an inner retry gave up are failures like others.

        Args:
            open_: What opens a connection, called without arguments (and with `timeout_as`, where the policy has one).
            policy: A `RetryPolicy`. Its `attempts` are failures in a row.
            stable_after: After how many seconds a connection counts as good, so that failures and curve begin again.
            connect_timeout: Seconds for one dial; asyncio cuts it off with a `TimeoutError`, which is transient, and
                synchronous code is handed it as the policy's `timeout_as`. `None`: no limit but the policy's.
            half_open: Seconds after which a parked link dials once. When that fails it stays parked, and nobody is told
                again. `None`: it dials only when it is reset.
            park: Rules for errors that park the link at once, where they would end the loop or be retried: a key that
                was revoked, until somebody has put in another one. `None`: none do.

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
        refuse_what_cannot_be_called(open_)
        if not isinstance(policy, Policy):
            raise TypeError(f"policy must be a policy such as retry(...), got {checks.shown(policy)}")
        if policy.timeout_as is not None:
            refuse_missing_keyword(open_, policy.timeout_as)
        changes = {"nested": "multiply", "result": None}
        if policy.idempotent is None:
            changes["idempotent"] = True  # to dial again is what a link is for
        limits = [checks.seconds_or_none("connect_timeout", connect_timeout, positive=True), policy.attempt_timeout]
        known = [limit for limit in limits if limit is not None]
        if known:
            changes["attempt_timeout"] = min(known)
        return Link(
            open_,
            policy.overridden(**changes),
            checks.seconds("stable_after", stable_after),
            checks.seconds_or_none("half_open", half_open, positive=True),
            None if park is None else as_rule("park", park),
        )
