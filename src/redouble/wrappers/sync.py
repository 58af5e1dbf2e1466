"""Floor 4. The loops of synchronous code; their twins for asyncio are in `aio`, and a test keeps them alike."""

from __future__ import annotations

import sys
import time
from time import monotonic

from redouble.control import faults, scope
from redouble.control.clock import SYSTEM
from redouble.control.policy import thread_event
from redouble.control.stack import known_by
from redouble.wrappers.attempt import BlockAttempt
from redouble.wrappers.limits import is_cut
from redouble.wrappers.run import Run, begin, in_event_loop, is_plain, run_of
from redouble.wrappers.shape import GENERATOR, is_awaitable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from redouble.control.policy import Policy

IN_COROUTINE = 0x80 | 0x200
"""The flags of code that may write `async for`: `inspect.CO_COROUTINE` and `inspect.CO_ASYNC_GENERATOR`."""


def retrying(policy: Policy, fn: Callable[..., Any], name: str | None) -> Callable[..., Any]:  # noqa: C901  # see below
    """A function that calls `fn` until it succeeds or the policy gives up.

    What the success path pays: one reading of the clock, a list that holds it, and a look at the type of what came
    back. All else is made after the first failure.
    """
    eager = not is_plain(policy)
    plain: type | None = None  # the type of the last value: known to be none that is awaited

    # The loop is one piece: every function that it were cut into would show in the user's traceback.
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: C901
        nonlocal plain
        call: list[Any] = [monotonic()]
        run = begin(policy, name, kwargs, call, first=True) if eager or scope.overriding else None
        while True:
            try:
                value = fn(*args, **kwargs)
            except Exception as error:
                if run is None:
                    run = begin(policy, name, kwargs, call)
                if run.failed(error):
                    raise
            except BaseException:
                if run is not None:
                    run.let_go()
                raise
            else:
                if type(value) is not plain:
                    if is_awaitable(value):
                        return _carry_on(policy, name, call, value, fn, args, kwargs)
                    plain = None if type(value) is GENERATOR else type(value)
                if run is None or run.returned(value):
                    return value
            if not wait(run):
                if run.error is None:
                    return run.value
                try:
                    raise run.error
                except Exception as error:
                    run.as_raised(error)
                    raise

    known_by(wrapper.__code__, run_of)
    return wrapper


def _carry_on(*call: Any) -> Any:
    """Go on in asyncio, which is loaded for the first thing that is awaited."""
    from redouble.wrappers.aio import carry_on

    return carry_on(*call)


def wait(run: Run) -> bool:
    """Wait before the next attempt; `False` when the call ended meanwhile."""
    try:
        delay = run.delay
        if delay > 0.0:
            if run.alert:
                _warn_in_event_loop(run)
                run.clock.sleep(delay, thread_event(run.policy.stop))
            else:
                time.sleep(delay)
    except Exception as error:
        if run.clock is SYSTEM:  # a signal handler raised: that is for the caller
            run.let_go()
            raise
        run.clock_failed(error)
    except BaseException:
        run.let_go()
        raise
    return run.after_wait()


def _warn_in_event_loop(run: Run) -> None:
    if in_event_loop() and faults.once("in loop", run.name):
        faults.warn(
            "%s: a synchronous wait of %.3g s holds up the running event loop; make it `async def` (or `async for"
            " attempt in policy:`), or call it with `await asyncio.to_thread(...)`",
            run.name or "a retried call",
            run.delay,
        )


def _warn_of_for_in_coroutine(run: Run, flags: int) -> None:
    """A `for` that ought to be an `async for` is seen only by what it does not do: its limits cut nothing off."""
    if flags & IN_COROUTINE and is_cut(run.policy) and in_event_loop() and faults.once("for", run.name):
        faults.warn(
            "%s: `for` in a coroutine cannot cut an attempt off when its time is up; write `async for attempt in policy:`",
            run.name,
        )


class Block(BlockAttempt):
    """The attempts of `for attempt in policy: with attempt: ...`."""

    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Self:
        if self._over:
            raise StopIteration
        if self._run is None:
            self._begin(asynchronous=False)
            if self._run.alert:
                _warn_of_for_in_coroutine(self._run, sys._getframe(1).f_code.co_flags)
            return self
        self._refuse_forgotten_with("with")
        if wait(self._run):
            self._due = True
        elif self._ended_in_wait():
            try:
                raise self._run.error  # type: ignore[misc]  # there is one
            except Exception as error:
                self._run.as_raised(error)
                raise
        elif self._over:
            raise StopIteration
        return self
