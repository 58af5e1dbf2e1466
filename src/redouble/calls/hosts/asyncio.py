"""Floor 4. Limiting the time of an attempt in asyncio: armed only when the operation suspends for the first time."""

from __future__ import annotations

from asyncio import (
    AbstractEventLoop,
    CancelledError,
    Event,
    Task,
    current_task,
    ensure_future,
    get_running_loop,
    sleep,
)
from heapq import heapify, heappop, heappush
from math import inf
from time import get_clock_info
from types import CoroutineType, coroutine
from weakref import WeakKeyDictionary

from redouble.calls.pause import AnyOf, can_be_heard, hear
from redouble.control import faults
from redouble.control.cancel import CUT_OFF, LET_GO, AsyncioCancelScope
from redouble.control.clock import SYSTEM
from redouble.control.host import NoHost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Any

    from redouble.control.cancel import CancelScope
    from redouble.control.clock import Clock


async def limit(
    given: Awaitable[Any],
    clock: Clock,
    cut_in: Callable[[], float],
    cut_off: Callable[[BaseException], TimeoutError],
) -> Any:
    """Await `given`, and cancel it when its time is up.

    An operation that does not wait is done at its first step. That step is made by hand, and needs no timer.

    Args:
        given: The awaitable that the operation returned.
        clock: The clock that sets the timer.
        cut_in: Returns the seconds after which to cut it off; called again when the timer fires.
        cut_off: Makes the error of the attempt from its cancellation.
    """
    try:
        # Read before the first step, which may cancel the task. The task is not kept: errors hold this frame.
        before = current_task().cancelling()  # type: ignore[union-attr]  # where there is none, see below
    except (RuntimeError, AttributeError):
        faults.report("host", "of a retried call", NoHost(), "attempts have no time limit")
        return await given
    if given.__class__ is CoroutineType:
        try:
            first = given.send(None)  # pyright: ignore[reportAttributeAccessIssue]  # a coroutine: its class says so
        except StopIteration as end:
            return end.value
        given = _rest(given, first)
    try:
        timing: Any = TIMERS if clock is SYSTEM else clock
        cancel_scope = AsyncioCancelScope(timing, cut_in(), cut_in, before)
    except Exception as fault:
        faults.report("clock", type(clock), fault, "attempts have no time limit")
        return await given
    try:
        value = await given
    except CancelledError as cancelled:
        if cancel_scope.exit(cancelled):
            raise cut_off(cancelled)  # noqa: B904  # it has its cause: the last error, where there is one
        raise
    except BaseException as error:
        cancel_scope.exit(error)
        raise
    cancel_scope.exit(None)
    if cancel_scope.fired:
        await absorb(cancel_scope)
    return value


class _Timers:
    """The timers of attempts on the system's clock: a heap per event loop, for which the loop has one timer of its own.

    Most attempts are done long before their time. So a cancelled timer is only marked; it is dropped when it comes up,
    or when more than half of the heap is cancelled.
    """

    __slots__ = ("_heaps",)

    def __init__(self) -> None:
        self._heaps: WeakKeyDictionary[AbstractEventLoop, _Heap] = WeakKeyDictionary()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> _Timer:
        """Call `callback` on the running event loop after `seconds`, unless the timer is cancelled."""
        loop = get_running_loop()
        heap = self._heaps.get(loop)
        if heap is None:
            heap = self._heaps[loop] = _Heap()
        return heap.add(loop, loop.time() + seconds, callback)


class _Timer:
    __slots__ = ("callback", "heap", "when")

    when: float
    heap: _Heap

    def __init__(self, when: float, callback: Callable[[], None], heap: _Heap) -> None:
        self.when, self.heap = when, heap
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: _Timer) -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self.heap.cancelled()


class _Heap:
    """The timers of one event loop, which is asked to wake for the first; a wake that comes early is set again."""

    __slots__ = ("_cancelled", "_set_for", "_timers")

    def __init__(self) -> None:
        self._timers: list[_Timer] = []
        self._cancelled = 0
        self._set_for = inf  # when the loop's timer comes

    def add(self, loop: AbstractEventLoop, when: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(when, callback, self)
        heappush(self._timers, timer)
        if when < self._set_for:
            self._set(loop, when)
        return timer

    def cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > FEW and self._cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if timer.callback is not None]
            heapify(self._timers)
            self._cancelled = 0

    def _set(self, loop: AbstractEventLoop, when: float) -> None:
        self._set_for = when
        loop.call_at(when, self._fire, loop, when)

    def _fire(self, loop: AbstractEventLoop, set_for: float) -> None:
        if set_for != self._set_for:
            return  # another one was set for an earlier moment, and goes on from there
        self._set_for = inf
        now = loop.time() + RESOLUTION
        while self._timers and (self._timers[0].callback is None or self._timers[0].when <= now):
            timer = heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is None:
                self._cancelled -= 1
            else:
                callback()
        if self._timers and self._timers[0].when < self._set_for:
            self._set(loop, self._timers[0].when)


FEW = 64
"""The number of cancelled timers up to which a sweep is not worth it."""

RESOLUTION = get_clock_info("monotonic").resolution

TIMERS = _Timers()


@coroutine
def _rest(running: Any, first: Any) -> Generator[Any, Any, Any]:
    """Run the rest of a coroutine after its first step, which yielded `first`."""
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
"""The tasks that close without being waited for: an event loop holds its tasks weakly, so they are kept here."""


async def finish(closing: Awaitable[Any], clock: Clock, seconds: float, plain: bool) -> Any:
    """Await `closing`, and cancel it when its time is up; the asyncio part of `coroutines.finish`."""
    try:
        cancel_scope = AsyncioCancelScope(clock, seconds)
    except Exception as fault:
        faults.report("clock", type(clock), fault, "closing has no time limit")
        return await closing
    if plain and closing.__class__ is CoroutineType:
        closing = _until_cut_off(closing, cancel_scope)
    try:
        value = await closing
    except CancelledError as cancelled:
        if cancel_scope.exit(cancelled):
            return CUT_OFF
        raise
    except BaseException as error:
        cancel_scope.exit(error)
        raise
    cancel_scope.exit(None)
    return value


@coroutine
def _until_cut_off(closing: Any, cancel_scope: AsyncioCancelScope) -> Generator[Any, Any, Any]:
    """Run a coroutine that closes a connection; after its cancellation it goes on in a task of its own."""
    step, value = closing.send, None
    while True:
        try:
            given = step(value)
        except StopIteration as end:
            return end.value
        if cancel_scope.fired:
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
        except Exception:  # the program has gone on without this closing
            return

    task = ensure_future(rest())
    _alone.add(task)
    task.add_done_callback(_alone.discard)


async def absorb(cancel_scope: CancelScope) -> None:
    """Absorb a cancellation that was asked for, but not delivered before the body had ended.

    Python 3.13 does that itself when the request is taken back.
    """
    task: Any = current_task()
    if cancel_scope.fired and getattr(task, "_must_cancel", False) and not task.cancelling():
        try:
            await sleep(0)
        except CancelledError:
            return


async def sleep_until_any(clock: Clock, seconds: float, events: tuple[Any, ...]) -> None:
    """Sleep until one of several events is set: at once for asyncio's and `threading`'s; others are polled."""
    own = [event for event in events if isinstance(event, Event)]
    heard = [event for event in events if clock is SYSTEM and can_be_heard(event)]  # a fake clock looks at them itself
    if len(own) + len(heard) < len(events):
        await clock.sleep_async(seconds, AnyOf(*events))
        return
    told = Event()
    watchers = [ensure_future(event.wait()) for event in own]
    for watcher in watchers:
        watcher.add_done_callback(lambda _: told.set())
    wake = get_running_loop().call_soon_threadsafe
    ears = [hear(event, lambda: wake(told.set)) for event in heard]
    try:
        await clock.sleep_async(seconds, told)
    finally:
        for leave in ears:
            leave()
        over = [watcher for watcher in watchers if not watcher.cancel()]
    for watcher in over:
        watcher.result()  # raises the error of an event that cannot be waited for, such as another loop's
