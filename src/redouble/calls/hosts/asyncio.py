"""Floor 4. Limiting the time of an attempt in asyncio: armed only when the operation suspends for the first time."""

from __future__ import annotations

from asyncio import CancelledError, Event, Task, current_task, ensure_future
from types import CoroutineType, coroutine

from redouble.calls.pause import AnyOf
from redouble.control import faults
from redouble.control.cut import AsyncioCut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Any

    from redouble.control.clock import Clock


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
