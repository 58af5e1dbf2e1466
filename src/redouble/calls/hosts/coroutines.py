"""Floor 4. The driver of coroutines: asyncio and trio, which differ in two functions alone, waiting and limiting."""

from __future__ import annotations

import sys
from itertools import chain

from redouble.calls.awaitable import is_awaitable
from redouble.calls.hosts.threads import raise_held
from redouble.calls.script import ATTEMPT, HAND_OUT, PAUSE, PERFORM, WAIT
from redouble.control import faults
from redouble.control.clock import SYSTEM
from redouble.control.host import Host, NoHost, running_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterable
    from typing import Any, TypeVar

    from redouble.calls.call import Call
    from redouble.calls.pause import Pause
    from redouble.calls.script import Script

    T = TypeVar("T")


async def drive(script: Script, call: Call | None = None, *, pending: bool = False) -> Call | None:
    """Perform the steps of a script, until it ends or hands something out; as the driver of threads does.

    Args:
        script: The script.
        call: The call that it is about at first, if there is one already.
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
                    if ends:
                        raise
                else:
                    call.returned(value)
            elif step is WAIT:
                await wait(call)
            elif step is HAND_OUT:
                return call
            else:
                raise_held(call)
        return None
    except BaseException as out:
        script.close()  # whatever it opened is closed here and now, in this context
        if call is None or out is call.raised or call.error is None or call.owns(out):
            raise
        call.fault(out)  # type: ignore[arg-type]  # an Exception, or the call owned it
        call.raised = call.error
    raise_held(call)
    return None


async def perform(steps: Generator[Any, Any, T]) -> T:
    """Run a generator that yields what it wants awaited, and is sent what came of it."""
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
    """Await something short in a coroutine that is being cancelled, and let it go after so many seconds.

    In trio, where every await of a cancelled task raises, it is shielded; asyncio cancels once.

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
    """Suspend the coroutine between two attempts; a wait of 0 s still lets others run, and a cancellation be seen."""
    if call.closing is not None:
        await _finish(call)
    clock = call.tally.clock
    try:
        await clock.sleep_async(call.delay, call.policy.stop)
    except NoHost as fault:
        call.clock_failed(fault)
    except Exception as fault:
        if clock is SYSTEM or faults.raised_by_signal(fault):
            raise
        call.clock_failed(fault)


async def pause(asked: Pause) -> None:
    """Suspend the coroutine until one of the events is set, or the time is over; others run in any case."""
    clock, events = asked.clock, asked.events
    if asked.call is not None and asked.call.closing is not None:
        await _finish(asked.call)
    if asked.seconds <= 0 or asked.is_over():
        await clock.sleep_async(0)
    elif len(events) < 2:
        await clock.sleep_async(asked.seconds, asked.as_one())
    elif running_host() is Host.TRIO:
        from redouble.calls.hosts.trio import sleep_until_any

        await sleep_until_any(clock, asked.seconds, events)
    else:
        from redouble.calls.hosts.asyncio import sleep_until_any

        await sleep_until_any(clock, asked.seconds, events)


async def _finish(call: Call) -> None:
    """Finish with a dropped result; what goes wrong there is no reason not to try again."""
    closing, call.closing = call.closing, None
    try:
        if closing is not None:
            await closing
    except Exception as error:
        faults.report("rule", call.policy.result, error, "the dropped result is left as it is")


async def limited(given: Awaitable[Any], call: Call) -> Any:
    """Await what the operation returned, and cut it off when the time of the attempt is up."""
    seconds = call.cut_in()
    if seconds == float("inf"):
        return await given
    try:
        host = running_host()
    except NoHost as fault:
        faults.report("host of", call.tally.name or "a retried call", fault, "attempts have no time limit")
        return await given
    if host is Host.TRIO:
        from redouble.calls.hosts.trio import limit
    else:
        from redouble.calls.hosts.asyncio import limit
    return await limit(given, call.tally.clock, call.cut_in, call.cut_off)
