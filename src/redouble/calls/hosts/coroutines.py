"""Floor 4. The driver of coroutines, for asyncio and trio.

The two differ in waiting for several events, limiting an attempt, closing within a time, and awaiting during a
cancellation: `_sleep`, `_limit`, `limited`, `finish` and `shielded` ask which of them runs the coroutine. Their own
parts are in `asyncio.py` and `trio.py`.
"""

from __future__ import annotations

import sys
from itertools import chain
from math import inf

from redouble.calls.awaitable import is_awaitable
from redouble.calls.call import First, is_fault
from redouble.calls.hosts.threads import raise_held
from redouble.calls.pause import can_be_heard
from redouble.calls.script import ATTEMPT, HAND_OUT, PAUSE, PERFORM, WAIT
from redouble.control import faults
from redouble.control.clock import SYSTEM
from redouble.control.host import Host, NoHost, in_trio, running_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from typing import Any, TypeVar

    from redouble.calls.call import Call
    from redouble.calls.pause import Pause
    from redouble.calls.script import Script
    from redouble.control.around import Link
    from redouble.control.clock import Clock

    T = TypeVar("T")


async def drive(script: Script, call: Call | Any = None, *, pending: bool = False) -> Call | Any:  # noqa: C901  # not split: each function would show in tracebacks
    """Perform the steps of a script until it ends or hands out an attempt or an item, as the driver of threads does.

    Args:
        script: The script.
        call: The call with which the script begins, if there is one already.
        pending: Whether an attempt of that call, which the driver of threads began, is still to be awaited.
    """
    steps: Iterable[tuple[Any, Any]] = chain(((ATTEMPT, call),), script) if pending else script
    try:
        for step, subject in steps:
            if step is PAUSE:
                await pause(subject)
                continue
            if step is PERFORM:
                await perform(subject)
                continue
            call = subject
            if step is ATTEMPT:
                if call.fn is None:
                    return call
                try:
                    given, call.given = call.given, None
                    if given is None:
                        given = call.fn(*call.args, **call.kwargs)
                    value = await limited(given, call) if is_awaitable(given) else given
                except Exception as error:
                    try:
                        ends = call.failed(error)
                    except RecursionError:  # no stack is left even to judge it
                        call.raised, ends = error, True
                    except Exception as fault:
                        if fault is call.raised:  # meant for the caller
                            raise
                        call.raised, ends = error, is_fault(call.tally.name, fault)
                    if ends:
                        raise
                else:
                    call.returned(value)
            elif step is WAIT:
                await wait(call)
            elif step is HAND_OUT or (call.fn is None and isinstance(call.raised, StopIteration)):
                return call  # a coroutine cannot raise that: the block does
            else:
                raise_held(call)
        return None
    except BaseException as out:
        script.close()  # so that its links are closed here and now, in this context
        if call is None or out is call.raised or call.error is None or not is_fault(call.tally.name, out):
            raise
        call.raised = call.error
    raise_held(call)
    return None  # pragma: no cover  # the line above raises


async def perform(steps: Generator[Any, Any, T]) -> T:
    """Run a generator that yields awaitables, and send it the value or the error of each."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            wanted = steps.send(value) if error is None else steps.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            error = None
        try:
            value = await wanted
        except BaseException as raised:
            error = raised


async def shielded(given: Awaitable[T], seconds: float) -> T | None:
    """Await `given` in a coroutine that is being cancelled, for at most `seconds`.

    In trio every await of a cancelled task raises, so it is shielded; asyncio cancels only once.

    Raises:
        TimeoutError: In asyncio, when it took too long.
    """
    if running_host() is not Host.TRIO:
        async with sys.modules["asyncio"].timeout(seconds):
            return await given
    trio: Any = sys.modules["trio"]
    with trio.move_on_after(seconds, shield=True):
        return await given
    return None


async def wait(call: Call) -> None:
    """Suspend the coroutine between two attempts; even a wait of 0 s lets other tasks run and sees a cancellation."""
    if call.closing is not None:
        await _finish(call)
    clock = call.tally.clock
    try:
        await clock.sleep_async(call.delay, call.policy.stop)
    except Exception as fault:
        if faults.raised_by_signal(fault):
            raise
        call.clock_failed(fault)


async def pause(asked: Pause) -> None:
    """Suspend the coroutine until one of the events is set, or the time is over; other tasks run in any case."""
    clock, events = asked.clock, asked.events
    if asked.call is not None and asked.call.closing is not None:
        await _finish(asked.call)
    try:
        await _sleep(clock, 0.0 if asked.is_over() else asked.seconds, asked, events)
    except Exception as fault:
        if asked.call is None or faults.raised_by_signal(fault):
            raise
        asked.call.clock_failed(fault)


async def _sleep(clock: Clock, seconds: float, asked: Pause, events: tuple[Any, ...]) -> None:
    if seconds <= 0:
        await SYSTEM.sleep_async(0)  # no time passes, so the policy's clock is not needed
    elif len(events) < 2 and not (clock is SYSTEM and any(map(can_be_heard, events))):
        await clock.sleep_async(seconds, asked.as_one())
    elif running_host() is Host.TRIO:
        from redouble.calls.hosts.trio import sleep_until_any

        await sleep_until_any(clock, seconds, events)
    else:
        from redouble.calls.hosts.asyncio import sleep_until_any

        await sleep_until_any(clock, seconds, events)


async def _finish(call: Call) -> None:
    """Await the closing of a dropped result; an error of it is reported, and the call goes on."""
    closing, call.closing = call.closing, None
    try:
        if closing is not None:
            await closing
    except Exception as error:
        faults.report("rule", call.policy.result, error, "the dropped result is left as it is")


def limited_first(given: Awaitable[Any], link: Link) -> Awaitable[Any]:
    """Await a first attempt as `limited` does, before there is a `Call`."""
    first = First(link)
    return _limit()(given, SYSTEM, first.cut_in, first.cut_off)


def _limit() -> Callable[..., Awaitable[Any]]:
    """Return the `limit` of the library that runs this coroutine; without one, asyncio's, which reports that."""
    if in_trio():
        from redouble.calls.hosts import trio

        return trio.limit
    global _asyncio_limit
    if _asyncio_limit is None:
        from redouble.calls.hosts import asyncio

        _asyncio_limit = asyncio.limit
    return _asyncio_limit


_asyncio_limit: Callable[..., Awaitable[Any]] | None = None


async def limited(given: Awaitable[Any], call: Call) -> Any:
    """Await the operation's awaitable, and cut it off when the time of the attempt is up."""
    try:
        seconds = call.cut_in()
    except Exception as fault:
        is_fault(call.tally.name, fault)
        return await given
    if seconds == inf:
        return await given
    if getattr(call.fn, "limits_itself", False) and in_trio():  # an opening, whose scope stays around the connection
        return await given
    return await _limit()(given, call.tally.clock, call.cut_in, call.cut_off)


async def finish(closing: Awaitable[Any], clock: Clock, seconds: float, plain: bool) -> Any:
    """Await `closing`, and cancel it when its time is up.

    Args:
        closing: The awaitable that closes a connection.
        clock: The clock that sets the timer.
        seconds: The time limit.
        plain: Whether it may go on alone when it does not heed its cancellation; in trio it cannot.

    Returns:
        Its value; `CUT_OFF` when it was cancelled, `LET_GO` when it goes on alone.
    """
    try:
        host = running_host()
    except NoHost:
        return await closing
    if host is Host.TRIO:
        from redouble.calls.hosts import trio

        return await trio.finish(closing, clock, seconds)
    from redouble.calls.hosts import asyncio

    return await asyncio.finish(closing, clock, seconds, plain)
