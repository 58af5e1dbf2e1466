"""Floor 4. The loops of asyncio code; their twins for synchronous code are in `sync`, and a test keeps them alike.

Loading this loads asyncio, so it is imported when something asynchronous is decorated, called or entered.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from time import monotonic

from redouble.control import faults, scope
from redouble.control.clock import SYSTEM
from redouble.control.stack import known_by
from redouble.wrappers.attempt import BlockAttempt
from redouble.wrappers.limits import is_cut
from redouble.wrappers.run import Run, begin, is_plain, run_of
from redouble.wrappers.shape import is_awaitable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Self

    from redouble.control.policy import Policy


def retrying(policy: Policy, fn: Callable[..., Any], name: str | None) -> Callable[..., Any]:  # noqa: C901  # see sync
    """A coroutine function that awaits `fn` until it succeeds or the policy gives up."""
    eager = not is_plain(policy) or is_cut(policy)

    async def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: C901  # see sync
        call: list[Any] = [monotonic()]
        run = begin(policy, name, kwargs, call, asynchronous=True, first=True) if eager or scope.overriding else None
        while True:
            try:
                try:
                    value = await fn(*args, **kwargs)
                except CancelledError as cancelled:
                    if run is None or not run.cut_off(cancelled) or run.cut is None:
                        raise
                    raise run.cut from run.cause(cancelled)
            except Exception as error:
                if run is None:
                    run = begin(policy, name, kwargs, call, asynchronous=True)
                if run.failed(error):
                    raise
            except BaseException:
                if run is not None:
                    run.let_go()
                raise
            else:
                if run is None or run.returned(value):
                    return value
            if not await wait(run):
                if run.error is None:
                    return run.value
                try:
                    raise run.error
                except Exception as error:
                    run.as_raised(error)
                    raise

    known_by(wrapper.__code__, run_of)
    return wrapper


async def carry_on(  # noqa: C901  # see sync
    policy: Policy,
    name: str | None,
    call: list[Any],
    given: Any,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Go on where a synchronous wrapper was given something to await: `given` is its current attempt."""
    run = begin(policy, name, kwargs, call)
    run.become_asynchronous()
    while True:
        try:
            try:
                if given is None:
                    given = fn(*args, **kwargs)
                value = await given if is_awaitable(given) else given
            except CancelledError as cancelled:
                if not run.cut_off(cancelled) or run.cut is None:
                    raise
                raise run.cut from run.cause(cancelled)
        except Exception as error:
            if run.failed(error):
                raise
        except BaseException:
            run.let_go()
            raise
        else:
            if run.returned(value):
                return value
        given = None
        if not await wait(run):
            if run.error is None:
                return run.value
            try:
                raise run.error
            except Exception as error:
                run.as_raised(error)
                raise


known_by(carry_on.__code__, run_of)


async def wait(run: Run) -> bool:
    """Wait before the next attempt; `False` when the call ended meanwhile.

    A wait of 0 s still lets other tasks run, and a cancellation be seen.
    """
    try:
        if run.closing is not None:
            closing, run.closing = run.closing, None
            await _finished(closing, run.policy.result)
        if run.alert:
            await run.clock.sleep_async(run.delay, run.policy.stop)
        else:
            await asyncio.sleep(run.delay)
    except Exception as error:
        if run.clock is SYSTEM:
            run.let_go()
            raise
        run.clock_failed(error)
    except BaseException:
        run.let_go()
        raise
    return run.after_wait()


async def _finished(closing: Awaitable[object], rule: object) -> None:
    """Finish with a dropped result; what goes wrong there is no reason not to try again."""
    try:
        await closing
    except Exception as error:
        faults.report("rule", rule, error, "the dropped result is left as it is")


class Block(BlockAttempt):
    """The attempts of `async for attempt in policy: with attempt: ...`."""

    __slots__ = ()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Self:
        if self._over:
            raise StopAsyncIteration
        if self._run is None:
            self._begin(asynchronous=True)
            return self
        self._refuse_forgotten_with("with")
        if await wait(self._run):
            self._due = True
        elif self._ended_in_wait():
            try:
                raise self._run.error  # type: ignore[misc]  # there is one
            except Exception as error:
                self._run.as_raised(error)
                raise
        elif self._over:
            raise StopAsyncIteration
        return self
