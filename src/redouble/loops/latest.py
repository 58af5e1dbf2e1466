"""Floor 5. Pushing the newest state: after every change, until it is accepted, and never an older one."""

from __future__ import annotations

from redouble.calls.call import Call, Judge, OnStop, Site, new_call
from redouble.calls.hosts import threads
from redouble.calls.pause import FOR_GOOD, AnyOf, Pause
from redouble.calls.script import ATTEMPT, PAUSE, RAISE
from redouble.calls.tracebacks import strip
from redouble.control.around import close_link, open_link, patience_around
from redouble.control.clock import SYSTEM, is_set
from redouble.control.policy import as_policy, is_of_event_loop
from redouble.control.scope import remaining
from redouble.core import checks
from redouble.loops.base import end_beneath_watchdog, for_loop, refuse_awaitable
from redouble.ways.policy import RetryPolicy, retry
from redouble.ways.shape import (
    is_coroutine_function,
    name_of,
    refuse_other_arguments,
    refuse_own_cooldown,
    refuse_timeout_without_keyword,
    refuse_what_cannot_be_called,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any, TypeVar, overload

    from redouble.calls.script import Script
    from redouble.control.clock import Clock, Stop

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
    """Push the newest state: at once, and then after every change, until `closed` or the policy's `stop` is set.

    Changes that come while a push is under way, or waits to be tried again, are pushed as one: the newest state
    alone. No two pushes run at once, none is older than the one before it, and the last state always comes through
    unless the loop ends. A failed push is retried as the policy says, with no limit unless the policy has one; its
    `attempts`, `deadline` and curve begin again with every push. If the server rejects a state for good, `push`
    should return instead of raising; the loop then waits for the next change.

    Args:
        get: Returns the newest state; `None`: there is none yet, wait for a change.
        push: Sends a state; a function or a coroutine function. If it returns an awaitable, or one of the events
            belongs to an event loop, `latest` returns a coroutine that goes on in asyncio or trio.
        changed: A `threading.Event` or `asyncio.Event`. Set it after every change of the state; `latest` clears it
            before it reads the state. On trio use a `threading.Event`, as trio's own cannot be cleared: setting it wakes
            the loop, and it is not polled. An event of your own with `is_set`, `clear` and `wait` is looked at every
            50 ms.
        closed: Such an event, or a `trio.Event`, that ends the loop; it is looked at before every push, while waiting
            for a change and between attempts. `None`: only `stop` ends it.
        policy: The policy that retries a push.
        supersede: Whether a change ends the wait after a failure, so that the newest state goes next. The failures
            and the curve go on, as it is the server that failed. `False`: the same state is tried until it is accepted.

    Returns:
        `None` when the loop has ended, or a coroutine of it. A state that was not pushed by then is not pushed.

    Raises:
        Exception: The error of `push`, when it is permanent or a limit of the policy is reached; any error of `get`.
        TypeError, ValueError: When an argument is of a wrong kind or value.

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
        return _go_on(work.pushes())
    try:
        return _loop(work.pushes())
    except BaseException as error:
        strip(error)
        raise


class _Pushing(Judge):
    """Judges a push; when `closed` or `stop` is set, the push ends in order."""

    __slots__ = ()

    on_stop = OnStop.END


class _Work:
    """The work of one `latest` loop: its functions, its events, and the state to push."""

    __slots__ = (
        "_changed",
        "_clock",
        "_closed",
        "_ends",
        "_first",
        "_get",
        "_policy",
        "_push",
        "_state",
        "_supersede",
        "asynchronous",
        "name",
    )

    _ends: tuple[Stop | None, Stop | None]  # `closed`, and the policy's `stop`
    _clock: Clock

    def __init__(
        self,
        get: Callable[[], Any],
        push: Callable[..., Any],
        changed: Any,
        closed: Any,
        policy: RetryPolicy,
        supersede: bool,
    ) -> None:
        self._get, self._push, self._policy = get, push, policy
        self._changed, self._closed, self._supersede = changed, closed, supersede
        self._first = True
        self._state: Any = None
        self.name: str = policy.name or name_of(push)
        events = changed, closed, for_loop(policy).stop
        self.asynchronous: bool = is_coroutine_function(push) or any(map(is_of_event_loop, events))

    def pushes(self) -> Script:
        """Yield the steps of the loop, under the scopes around it when it begins."""
        policy = for_loop(self._policy)
        self._ends = self._closed, policy.stop
        self._clock = SYSTEM if policy.clock is None else policy.clock
        site = Site(policy.overridden(stop=AnyOf(*self._ends), nested="multiply"), self.name, _Pushing, scoped=True)
        while True:
            yield PAUSE, self._pause(0.0, None)  # in a coroutine this lets other tasks run, even without a wait
            if self._is_over():
                return
            end_beneath_watchdog()
            if self._is_due():
                yield from self._push_until_done(site)
                continue
            left = remaining()
            if left == 0.0:
                return
            yield PAUSE, self._pause(min(FOR_GOOD if left is None else left, patience_around()), self._changed)

    def _push_until_done(self, site: Site) -> Script:
        """Push the state, or a newer one, until it is accepted; failures and curve begin again with each push."""
        link = open_link(site)
        call = None
        try:
            call = new_call(site, link, self._send, (), {})
            if call.held:
                while call.is_held():
                    yield PAUSE, self._pause(call.delay, None, call)
                if self._is_over() or (self._changed.is_set() and not self._is_due()):
                    return
                call.begin_held()
            yield ATTEMPT, call
            while not call.over:
                also = self._changed if self._supersede else None
                yield PAUSE, self._pause(call.delay, also, call)
                while not (also is not None and is_set(also)) and call.sleeps_on():
                    yield PAUSE, self._pause(call.delay, also, call)
                if call.over or not call.goes_on(early=also is not None and is_set(also)):
                    if call.raised is not None:
                        yield RAISE, call
                    return
                if not self._is_still_wanted():
                    return
                yield ATTEMPT, call
        finally:
            close_link(link)
            if call is not None:
                call.let_go()

    def _send(self, **kwargs: Any) -> Any:
        return self._push(self._state, **kwargs)

    def _pause(self, seconds: float, also: Stop | None, call: Call | None = None) -> Pause:
        return Pause(self._clock, seconds, (*self._ends, also), self.name, call)

    def _is_over(self) -> bool:
        """Return whether the loop was told to end."""
        return any(event is not None and is_set(event) for event in self._ends)

    def _is_due(self) -> bool:
        """Read the state if it may have changed; return whether there is a state to push."""
        if self._first or self._changed.is_set():
            self._first = False
            self._changed.clear()  # before the state is read, so that a change in between is not lost
            self._state = self._get()
            refuse_awaitable("get", self._state)
        else:
            self._state = None  # or the pushed state would be held until the next change
        return self._state is not None

    def _is_still_wanted(self) -> bool:
        """Return whether there is a state to try again: the same, or a newer one that supersedes it."""
        return not (self._supersede and self._changed.is_set()) or self._is_due()


def _work(get: Any, push: Any, changed: Any, closed: Any, policy: Any, supersede: Any) -> _Work:
    """Check every argument before any function is called, and return the loop's work."""
    checks.plain_function("get", get)
    checks.function("push", push)
    refuse_what_cannot_be_called(push, "latest")
    if not _has(changed, "is_set", "wait", "clear"):
        raise TypeError(
            f"changed must be a threading.Event or an asyncio.Event, got {checks.shown(changed)}; on trio it is a"
            " threading.Event, as trio's own cannot be cleared"
        )
    if closed is not None and not _has(closed, "is_set", "wait"):
        raise TypeError(
            f"closed must be a threading.Event, an asyncio.Event or a trio.Event, got {checks.shown(closed)}"
        )
    as_policy("policy", policy)
    refuse_own_cooldown(policy, "latest")
    work = _Work(get, push, changed, closed, policy, checks.flag("supersede", supersede))
    checks.takes("get", get)
    refuse_other_arguments("push", push, policy.timeout_as, "state")
    if not work.asynchronous:
        refuse_timeout_without_keyword(policy, work.name)
    return work


def _has(event: Any, *methods: str) -> bool:
    """Return whether `event` is an object with these methods."""
    return not isinstance(event, type) and all(callable(getattr(event, method, None)) for method in methods)


def _loop(script: Script) -> Any:
    """Run the loop in a thread; if a push returns an awaitable, return a coroutine that goes on."""
    call = threads.drive(script)
    return None if call is None else _go_on(script, call)


async def _go_on(script: Script, call: Call | None = None) -> None:
    from redouble.calls.hosts import coroutines

    try:
        await coroutines.drive(script, call, pending=call is not None)
    except BaseException as error:
        strip(error)
        raise
