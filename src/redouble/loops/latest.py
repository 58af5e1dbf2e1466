"""Floor 5. Pushing the newest state: after every change, again until it is accepted, and never an older one."""

from __future__ import annotations

import sys

from redouble.control import faults
from redouble.control.clock import SYSTEM, is_set
from redouble.control.controller import Status
from redouble.control.outcome import Stopped
from redouble.control.scope import remaining
from redouble.control.stack import known_by
from redouble.core import checks
from redouble.loops.base import FOR_GOOD, AnyOf, for_loop, pause, pause_async
from redouble.wrappers.decorator import RetryPolicy, retry
from redouble.wrappers.run import Run, in_event_loop, run_of, trim
from redouble.wrappers.shape import (
    is_awaitable,
    is_coroutine_function,
    name_of,
    refuse_missing_keyword,
    refuse_timeout_without_keyword,
    refuse_what_cannot_be_called,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Awaitable, Callable, Coroutine
    from types import FrameType
    from typing import Any, TypeVar, overload

    from redouble.control.clock import Clock
    from redouble.control.policy import Stop

    S = TypeVar("S")


if TYPE_CHECKING:

    @overload
    def latest(  # type: ignore[overload-overlap]  # a function that returns awaitables returns objects
        get: Callable[[], S | None],
        push: Callable[[S], Awaitable[object]],
        changed: Stop,
        closed: Stop | None = None,
        policy: RetryPolicy = ...,
        *,
        supersede: bool = False,
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def latest(
        get: Callable[[], S | None],
        push: Callable[[S], object],
        changed: asyncio.Event,
        closed: Stop | None = None,
        policy: RetryPolicy = ...,
        *,
        supersede: bool = False,
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def latest(
        get: Callable[[], S | None],
        push: Callable[[S], object],
        changed: threading.Event,
        closed: threading.Event | None = None,
        policy: RetryPolicy = ...,
        *,
        supersede: bool = False,
    ) -> None: ...
    def latest(
        get: Callable[[], Any],
        push: Callable[[Any], object],
        changed: Stop,
        closed: Stop | None = None,
        policy: RetryPolicy = retry,
        *,
        supersede: bool = False,
    ) -> Any:
        """Push the newest state after every change: see below."""
        ...

else:

    def latest(get, push, changed, closed=None, policy=retry, *, supersede=False):
        """Push the newest state: at once, and then after every change, until `closed` or the policy's `stop` is set.

        Changes that come while a push is under way, or waits to be tried again, are pushed as one: the newest state
        alone. No two pushes run at once, none is older than the one before it, and the last state always comes through
        unless the loop ends. A push that fails is tried again as the policy says, without limits unless it has some; its
        `attempts`, `deadline` and curve begin again with every push. What the server rejects for good is for `push` to
        return from: the loop goes on with the next change.

        Args:
            get: Gives the newest state; `None`: there is none yet, wait for a change.
            push: Sends a state; a function or a coroutine function. When what it returns can be awaited, a coroutine
                comes back that awaits it and goes on in asyncio; also when one of the events is an `asyncio.Event`.
            changed: A `threading.Event` or an `asyncio.Event` that is set after every change of the state, and cleared
                here before the state is read.
            closed: Such an event that ends the loop; it is looked at before every push, while waiting for a change and
                between attempts. `None`: only `stop` ends it.
            policy: What errors mean, and how patiently a push is tried again.
            supersede: Whether a change ends the wait after a failure, so that the newest state goes next. The failures
                and the curve go on: what failed is the server. `False`: the same state is tried until it is accepted.

        Returns:
            `None` when it has ended, or a coroutine of it. What was not pushed by then is not pushed any more.

        Raises:
            Exception: What `push` raised, when it is permanent or a limit of the policy is reached; what `get` raised.
            TypeError, ValueError: When an argument is of no such kind.

        >>> import threading
        >>> from redouble import exponential, latest, retry
        >>> from redouble.testing import fake_time
        >>> closed, outcomes = threading.Event(), [TimeoutError("no answer"), TimeoutError("no answer")]
        >>> def push(state):
        ...     if outcomes:
        ...         raise outcomes.pop()
        ...     print("pushed", state)
        ...     closed.set()
        >>> with fake_time() as clock:
        ...     latest(lambda: "v1", push, threading.Event(), closed, retry(backoff=exponential(1, jitter=None)))
        ...     clock.sleeps
        pushed v1
        [1.0, 2.0]
        """
        work = _work(get, push, changed, closed, policy, supersede)
        if work.asynchronous:
            return _loop_async(work, None, None)
        try:
            return _loop(work)
        except BaseException as error:
            trim(error)
            raise


class _Work:
    """What both colours of the loop do alike: what is pushed, and when it is over."""

    __slots__ = (
        "_first",
        "_get",
        "_policy",
        "asynchronous",
        "changed",
        "clock",
        "ends",
        "name",
        "policy",
        "push",
        "state",
        "stopped",
        "supersede",
    )

    push: Callable[..., Any]
    state: Any
    changed: Any
    ends: tuple[Stop | None, Stop | None]
    """`closed` and the policy's `stop`."""
    clock: Clock
    policy: RetryPolicy
    name: str
    asynchronous: bool
    supersede: bool
    stopped: bool

    def __init__(self, get: Any, push: Any, changed: Any, closed: Any, policy: RetryPolicy, supersede: bool) -> None:
        self._get: Callable[[], Any] = get
        self._policy = self.policy = policy
        self._first = True
        self.push = push
        self.state = None
        self.changed = changed
        self.ends = closed, policy.stop
        self.clock = SYSTEM
        self.name = policy.name or name_of(push)
        self.supersede = supersede
        self.stopped = False
        events = changed, closed, for_loop(policy).stop
        self.asynchronous = is_coroutine_function(push) or any(map(_is_asyncio, events))

    def begin(self) -> None:
        """The loop begins, beneath the scopes that are around it now."""
        policy = for_loop(self._policy)
        self.ends = self.ends[0], policy.stop
        self.clock = SYSTEM if policy.clock is None else policy.clock
        self.policy = policy.overridden(stop=AnyOf(*self.ends), nested="multiply")

    def begin_push(self, frame: FrameType | None) -> Run:
        """A push begins: fresh failures, a fresh curve."""
        return Run(self.policy, self.name, {}, frame, False)

    def over(self) -> bool:
        """Whether the loop was told to end."""
        return self.stopped or any(event is not None and is_set(event) for event in self.ends)

    def is_due(self) -> bool:
        """Whether there is something to push now; it is read then, as `state`."""
        if self._first or self.changed.is_set():
            self._first = False
            self.changed.clear()  # before the state is read, so that a change in between is not lost
            self.state = self._get()
        else:
            self.state = None  # what has been pushed is not held on to
        return self.state is not None

    def renewed(self) -> bool:
        """A push is to be tried again: with what state? `False`: there is none any more."""
        return not (self.supersede and self.changed.is_set()) or self.is_due()

    def failed(self, run: Run, error: Exception) -> bool:
        """A push failed; whether its error is to be raised."""
        if isinstance(error, Stopped) and self.over():  # a loop within the push has heard it first
            self.stopped = True
            return False
        over = run.failed(error)
        self.stopped = run.status is Status.STOPPED
        return over and not self.stopped

    def accepted(self, run: Run, value: object) -> bool:
        """A push returned; whether it is done with."""
        try:
            return run.returned(value)
        except Stopped:
            self.stopped = True
            return True

    def goes_on(self, run: Run) -> bool:
        """The wait after a failure is over; whether the next attempt has begun."""
        try:
            begun = run.after_wait()
        except Stopped:
            begun = False
        self.stopped = run.status is Status.STOPPED
        return begun

    def alarms(self) -> tuple[Stop | None, ...]:
        """What ends the wait after a failure."""
        return (*self.ends, self.changed) if self.supersede else self.ends


def _work(get: Any, push: Any, changed: Any, closed: Any, policy: Any, supersede: Any) -> _Work:
    """Everything is checked before anything is called."""
    checks.plain_function("get", get)
    checks.function("push", push)
    refuse_what_cannot_be_called(push)
    _event("changed", changed)
    if closed is not None:
        _event("closed", closed)
    if not isinstance(policy, RetryPolicy):
        raise TypeError(f"policy must be a RetryPolicy such as retry(attempts=5), got {checks.shown(policy)}")
    work = _Work(get, push, changed, closed, policy, checks.flag("supersede", supersede))
    if policy.timeout_as is not None:
        refuse_missing_keyword(push, policy.timeout_as)
    if not work.asynchronous:
        refuse_timeout_without_keyword(policy, work.name)
    return work


def _event(name: str, value: Any) -> None:
    shape = all(callable(getattr(value, method, None)) for method in ("is_set", "wait", "clear"))
    if not shape or isinstance(value, type):
        raise TypeError(f"{name} must be a threading.Event or an asyncio.Event, got {checks.shown(value)}")


def _is_asyncio(event: object) -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(event, asyncio.Event)


def _loop(work: _Work) -> Any:
    """The loop of synchronous code; its twin is `_loop_async`, which goes on here where a push is to be awaited."""
    work.begin()
    while _wait_for_state(work):
        run, given = work.begin_push(sys._getframe(1)), None
        try:
            given = _push(work, run)
        finally:
            if given is None:
                run.let_go()
        if given is not None:
            return _loop_async(work, run, given)
    return None


async def _loop_async(work: _Work, run: Run | None, given: Any) -> None:
    """The loop of asyncio; `run` and `given`: the push that is under way, and what it returned."""
    try:
        if run is None:
            work.begin()
        while run is not None or await _wait_for_state_async(work):
            if run is None:
                run = work.begin_push(sys._getframe(1))
            run.become_asynchronous()
            try:
                await _push_async(work, run, given)
            finally:
                run.let_go()
            run = given = None
    except BaseException as error:
        trim(error)
        raise


def _wait_for_state(work: _Work) -> bool:
    """Block until there is something to push; `False`: it is over."""
    while not work.over():
        if work.is_due():
            return True
        left = remaining()
        if left == 0.0:
            return False
        _pause(work, FOR_GOOD if left is None else left, work.changed, *work.ends)
    return False


async def _wait_for_state_async(work: _Work) -> bool:
    """As `_wait_for_state`; others run, and a cancellation is seen, also when no wait is needed."""
    await sys.modules["asyncio"].sleep(0)
    while not work.over():
        if work.is_due():
            return True
        left = remaining()
        if left == 0.0:
            return False
        await pause_async(work.clock, FOR_GOOD if left is None else left, work.changed, *work.ends)
    return False


def _push(work: _Work, run: Run) -> Any:  # noqa: C901  # see sync.retrying
    """Push the state until it is done with, or a newer one; returns what is to be awaited first, if there is such."""
    call = [0.0, run]  # noqa: F841  # by which `run_of` finds it
    while True:
        try:
            given = work.push(work.state, **run.kwargs or {})
        except Exception as error:
            if work.failed(run, error):
                raise
        else:
            if is_awaitable(given):
                return given
            if work.accepted(run, given):
                return None
        if work.stopped or not _back_off(work, run):
            if run.error is None or work.stopped:
                return None
            try:
                raise run.error
            except Exception as error:
                run.as_raised(error)
                raise
        if not work.renewed():
            return None


async def _push_async(work: _Work, run: Run, given: Any) -> None:  # noqa: C901  # see sync.retrying
    """As `_push`; `given` is what the attempt under way returned."""
    asyncio = sys.modules["asyncio"]
    call = [0.0, run]  # noqa: F841  # by which `run_of` finds it
    while True:
        try:
            try:
                if given is None:
                    given = work.push(work.state, **run.kwargs or {})
                value = await given if is_awaitable(given) else given
            except asyncio.CancelledError as cancelled:
                if not run.cut_off(cancelled) or run.cut is None:
                    raise
                raise run.cut from run.cause(cancelled)
        except Exception as error:
            if work.failed(run, error):
                raise
        else:
            if work.accepted(run, value):
                return
        given = None
        if work.stopped or not await _back_off_async(work, run):
            if run.error is None or work.stopped:
                return
            try:
                raise run.error
            except Exception as error:
                run.as_raised(error)
                raise
        if not work.renewed():
            return


known_by(_push.__code__, run_of)
known_by(_push_async.__code__, run_of)


def _back_off(work: _Work, run: Run) -> bool:
    """Wait before the next attempt; `False` when the push, or the loop, ended meanwhile."""
    try:
        _pause(work, run.delay, *work.alarms())
    except Exception as error:
        if run.clock is SYSTEM:  # a signal handler raised: that is for the caller
            raise
        run.clock_failed(error)
    return work.goes_on(run)


async def _back_off_async(work: _Work, run: Run) -> bool:
    """As `_back_off`; also where no wait is needed others run."""
    try:
        await sys.modules["asyncio"].sleep(0)
        await pause_async(run.clock, run.delay, *work.alarms())
    except Exception as error:
        if run.clock is SYSTEM:
            raise
        run.clock_failed(error)
    return work.goes_on(run)


def _pause(work: _Work, seconds: float, *events: Stop | None) -> None:
    if in_event_loop() and faults.once("in loop", work.name):
        faults.warn(
            "%s: a synchronous loop holds up the running event loop; give `latest` a coroutine function or an"
            " asyncio.Event, or call it with `await asyncio.to_thread(...)`",
            work.name,
        )
    pause(work.clock, seconds, *events)
