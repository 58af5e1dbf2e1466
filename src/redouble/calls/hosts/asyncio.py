"""Floor 4. Limiting the time of an attempt in asyncio: armed only when the operation suspends for the first time."""

from __future__ import annotations

from asyncio import CancelledError, Event, Task, current_task, ensure_future, sleep
from types import CoroutineType, coroutine

from redouble.calls.pause import AnyOf
from redouble.control import faults
from redouble.control.cut import CUT_OFF, LET_GO, AsyncioCut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Any

    from redouble.control.clock import Clock
    from redouble.control.cut import Cut


async def limit(
    given: Awaitable[Any],
    clock: Clock,
    cut_in: Callable[[], float],
    cut_off: Callable[[BaseException], TimeoutError],
) -> Any:
    """Await `given`, and cancel it when its time is up.

    Most operations that do not wait are done at their first step, so that is made by hand and needs no timer.

    Args:
        given: What the operation returned.
        clock: The clock whose timer is set.
        cut_in: Answers in how many seconds to cut it off; asked again when the timer fires.
        cut_off: Makes the error that stands for the attempt from its cancellation.
    """
    task: Task[Any] = current_task()  # type: ignore[assignment]  # the driver has found one
    before = task.cancelling()  # whatever the first step does to it
    if given.__class__ is CoroutineType:
        try:
            first = given.send(None)  # type: ignore[attr-defined]  # a coroutine
        except StopIteration as end:
            return end.value
        given = _rest(given, first)
    try:
        cut = AsyncioCut(clock, cut_in(), cut_in, before)
    except Exception as fault:
        faults.report("clock", type(clock), fault, "attempts have no time limit")
        return await given
    try:
        value = await given
    except CancelledError as cancelled:
        if cut.settle(cancelled):
            raise cut_off(cancelled)  # noqa: B904  # it has its cause: the last error, where there is one
        raise
    except BaseException as error:
        cut.settle(error)
        raise
    cut.settle(None)
    return value


@coroutine
def _rest(running: Any, first: Any) -> Generator[Any, Any, Any]:
    """What is left of a coroutine after its first step, which yielded `first`."""
    given = first
    while True:
        try:
            yield given
        except GeneratorExit:
            running.close()
            raise
        except BaseException as error:
            try:
                given = running.throw(error)
            except StopIteration as end:
                return end.value
        else:
            return (yield from running)


_alone: set[Task[None]] = set()
"""What closes without being waited for, held here: an event loop itself holds tasks weakly."""


async def finish(closing: Awaitable[Any], clock: Clock, seconds: float, plain: bool) -> Any:
    """Await what closes something, and cancel it when its time is up; as of `coroutines.finish`."""
    try:
        cut = AsyncioCut(clock, seconds)
    except Exception as fault:
        faults.report("clock", type(clock), fault, "closing has no time limit")
        return await closing
    if plain and closing.__class__ is CoroutineType:
        closing = _until_cut_off(closing, cut)
    try:
        value = await closing
    except CancelledError as cancelled:
        if cut.settle(cancelled):
            return CUT_OFF
        raise
    except BaseException as error:
        cut.settle(error)
        raise
    cut.settle(None)
    return value


@coroutine
def _until_cut_off(closing: Any, cut: AsyncioCut) -> Generator[Any, Any, Any]:
    """Run a coroutine that closes something; all that it does after its cancellation is done in a task of its own."""
    step, value = closing.send, None
    while True:
        try:
            given = step(value)
        except StopIteration as end:
            return end.value
        if cut.fired:
            _go_on_alone(closing, given)
            return LET_GO
        try:
            step, value = closing.send, (yield given)
        except GeneratorExit:
            closing.close()
            raise
        except BaseException as error:
            step, value = closing.throw, error


def _go_on_alone(closing: Any, given: Any) -> None:
    async def rest() -> None:
        try:
            await _rest(closing, given)
        except Exception:  # of interest to nobody any more
            return

    task = ensure_future(rest())
    _alone.add(task)
    task.add_done_callback(_alone.discard)


async def absorb(cut: Cut) -> None:
    """Take a cancellation that was asked for, but not delivered before the body had ended, out of its way.

    Python 3.13 does that by itself, when the request is taken back.
    """
    task: Any = current_task()
    if cut.fired and getattr(task, "_must_cancel", False) and not task.cancelling():
        try:
            await sleep(0)
        except CancelledError:
            return


async def sleep_until_any(clock: Clock, seconds: float, events: tuple[Any, ...]) -> None:
    """Sleep until one of several events is set; that of a loop's own events is seen at once, of others now and then."""
    if not all(isinstance(event, Event) for event in events):
        await clock.sleep_async(seconds, AnyOf(*events))
        return
    told = Event()
    watchers = [ensure_future(event.wait()) for event in events]
    for watcher in watchers:
        watcher.add_done_callback(lambda _: told.set())
    try:
        await clock.sleep_async(seconds, told)
    finally:
        over = [watcher for watcher in watchers if not watcher.cancel()]
    for watcher in over:
        watcher.result()  # raises what an event could not wait for, such as one of another loop
