"""Floor 4. Limiting the time of an attempt in trio: a cancel scope around it."""

from __future__ import annotations

import sys

from redouble.calls.pause import AnyOf, can_be_heard, hear
from redouble.control import faults
from redouble.control.cancel import CUT_OFF, TrioCancelScope
from redouble.control.clock import SYSTEM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from redouble.control.clock import Clock


async def limit(
    given: Awaitable[Any],
    clock: Clock,
    cut_in: Callable[[], float],
    cut_off: Callable[[BaseException], TimeoutError],
) -> Any:
    """Await `given`, and cancel it when its time is up; the arguments are those of asyncio's `limit`.

    The scope is entered at the beginning: entered later, it would be in the wrong place in the stack of scopes.
    """
    try:
        cancel_scope = TrioCancelScope(clock, cut_in(), cut_in)
    except Exception as fault:
        faults.report("clock", type(clock), fault, "attempts have no time limit")
        return await given
    try:
        value = await given
    except sys.modules["trio"].Cancelled as cancelled:
        ours = cancel_scope.exit(cancelled)
        if not ours:
            raise
        error = cut_off(cancelled)
    except BaseException as other:
        cancel_scope.exit(other)
        raise
    else:
        cancel_scope.exit(None)
        return value
    raise error


async def finish(closing: Awaitable[Any], clock: Clock, seconds: float) -> Any:
    """Await `closing`, and cancel it when its time is up; the trio part of `coroutines.finish`.

    Closing that shields itself from cancellation is waited for: in trio it cannot go on without its task.
    """
    try:
        cancel_scope = TrioCancelScope(clock, seconds)
    except Exception as fault:
        faults.report("clock", type(clock), fault, "closing has no time limit")
        return await closing
    try:
        value = await closing
    except BaseException as error:
        if cancel_scope.exit(error):
            return CUT_OFF
        raise
    cancel_scope.exit(None)
    return value


async def sleep_until_any(clock: Clock, seconds: float, events: tuple[Any, ...]) -> None:
    """Sleep until one of several events is set: at once for trio's and `threading`'s; others are polled."""
    trio: Any = sys.modules["trio"]
    own = [event for event in events if isinstance(event, trio.Event)]
    heard = [event for event in events if clock is SYSTEM and can_be_heard(event)]  # a fake clock looks at them itself
    if len(own) + len(heard) < len(events):
        await clock.sleep_async(seconds, AnyOf(*events))
        return
    told = trio.Event()
    wake = trio.lowlevel.current_trio_token().run_sync_soon
    ears = [hear(event, lambda: wake(told.set)) for event in heard]

    async def watch(event: Any) -> None:
        await event.wait()
        told.set()

    try:
        async with trio.open_nursery() as nursery:
            for event in own:
                nursery.start_soon(watch, event)
            await clock.sleep_async(seconds, told)
            nursery.cancel_scope.cancel()
    finally:
        for leave in ears:
            leave()
