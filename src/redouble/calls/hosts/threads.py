"""Floor 4. The driver of plain threads; it works with gevent and eventlet, also as a greenlet's first function."""

from __future__ import annotations

import time

from redouble.calls.awaitable import is_awaitable
from redouble.calls.call import is_fault
from redouble.calls.later import tell_if_later
from redouble.calls.script import ATTEMPT, HAND_OUT, PAUSE, PERFORM, WAIT
from redouble.calls.tracebacks import context_of, put_back, without_head
from redouble.control import faults
from redouble.control.host import in_event_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    from redouble.calls.call import Call
    from redouble.calls.pause import Pause
    from redouble.calls.script import Script

    T = TypeVar("T")


def drive(script: Script, call: Call | Any = None) -> Call | Any:  # noqa: C901  # not split: each function would show in tracebacks
    """Perform the steps of a script until it ends or hands out an attempt, an item or an awaitable.

    Args:
        script: The script.
        call: The call with which the script begins, if there is one already. (`Any` tells checkers that it is `None`
            only until a step has named a call.)

    Returns:
        The call, if an attempt was handed to a body, an item to a loop, or an awaitable (`call.given`) to a driver of
        coroutines, which then goes on; `None` when the script has ended.
    """
    try:
        for step, subject in script:
            if step is PAUSE:
                pause(subject)
                continue
            if step is PERFORM:
                perform(subject)
                continue
            call = subject
            if step is ATTEMPT:
                if call.fn is None:
                    return call
                try:
                    value = call.fn(*call.args, **call.kwargs)
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
                    if is_awaitable(value):
                        call.given = value
                        return call
                    tell_if_later(call.policy, call.tally.name, value)
                    call.returned(value)
            elif step is WAIT:
                wait(call)
            elif step is HAND_OUT:
                return call
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


PEP_479 = ("generator raised StopIteration",)
"""The arguments of the error that Python raises from a `StopIteration` in a generator (PEP 479)."""


def perform(steps: Generator[Any, Any, T]) -> T:
    """Run a generator that yields awaitables, in a thread, where they cannot be awaited.

    Raises:
        TypeError: When it yields an awaitable.
    """
    try:
        wanted = next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    except RuntimeError as error:
        if error.args == PEP_479 and error.__cause__ is not None:
            raise error.__cause__ from error.__cause__.__cause__
        raise
    if hasattr(wanted, "close"):
        wanted.close()  # a coroutine: Python would warn that it was never awaited
    steps.close()
    raise TypeError("this is asynchronous: write `async with` instead of `with`")


def wait(call: Call) -> None:
    """Block the thread between two attempts."""
    delay = call.delay
    if delay <= 0.0:
        return  # time.sleep(0) gives the processor away, and costs 80 us
    try:
        if in_event_loop():
            _warn_in_event_loop(call)
        if call.needs_checks:
            call.tally.clock.sleep(delay, call.policy.stop)
        else:
            time.sleep(delay)
    except Exception as fault:
        if faults.raised_by_signal(fault):
            raise
        call.clock_failed(fault)


def pause(asked: Pause) -> None:
    """Block the thread until one of the events is set, or the time is over."""
    if asked.seconds <= 0 or asked.is_over():
        return
    if in_event_loop() and faults.once("in loop", asked.name):
        faults.warn(
            "%s: a synchronous loop holds up the running event loop; use the asynchronous form, or run it in a thread"
            " (`asyncio.to_thread`, `trio.to_thread.run_sync`)",
            asked.name,
        )
    try:
        asked.clock.sleep(asked.seconds, asked.as_one())
    except Exception as fault:
        if asked.call is None or faults.raised_by_signal(fault):
            raise
        asked.call.clock_failed(fault)


def raise_held(call: Call) -> None:
    """Raise the error that ends the call, with the traceback and context that it had when its attempt raised it."""
    error = call.raised
    assert error is not None
    as_it_was = None
    try:
        as_it_was = without_head(error), context_of(error)
    except Exception as fault:
        is_fault(call.tally.name, fault)
    try:
        raise error
    except BaseException:
        if as_it_was is not None:
            put_back(error, *as_it_was)
        raise
    finally:
        del error  # its traceback holds this frame


def _warn_in_event_loop(call: Call) -> None:
    name = call.tally.name or "a retried call"
    if faults.once("in loop", name):
        faults.warn(
            "%s: a synchronous wait of %.3g s holds up the running event loop; make it `async def` (or `async for"
            " attempt in policy:`), or call it in a thread (`asyncio.to_thread`, `trio.to_thread.run_sync`)",
            name,
            call.delay,
        )
