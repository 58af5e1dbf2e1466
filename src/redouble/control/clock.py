"""Floor 3. Time: the system's clock, and the protocol that any other clock follows."""

from __future__ import annotations

import sys
import time

from redouble.control import faults
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable
    from typing import Any, Protocol

    class Timer(Protocol):
        """What `Clock.call_later` returns."""

        def cancel(self) -> None:
            """Make sure that the callback is not called any more; harmless when it has been called."""

    class Clock(Protocol):
        """What tells the time and waits for it; a policy's `clock=` takes any object of this shape."""

        def now(self) -> float:
            """Seconds on a clock that never goes back; only differences mean something."""
            ...

        def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
            """Block this thread for `seconds`, or until `stop` is set."""

        async def sleep_async(self, seconds: float, stop: threading.Event | asyncio.Event | None = None) -> None:
            """Suspend this task for `seconds`, or until `stop` is set."""

        def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
            """Call `callback` on the running event loop after `seconds`, unless the timer is cancelled."""
            ...

else:

    class Clock:
        """What tells the time and waits for it; a policy's `clock=` takes any object with these methods.

        `now()` is seconds that never go back. `sleep(seconds, stop=None)` blocks the thread, `sleep_async(seconds,
        stop=None)` is the coroutine that suspends the task, both until `stop` is set. `call_later(seconds, callback)`
        calls back on the running event loop, and returns something with `cancel()`.
        """

        __module__ = "redouble"


STOP_POLL = 0.05
"""How often, in seconds, an asyncio wait looks at a `threading.Event`: nothing can await one."""


CANNOT_WAKE = "it does not end the wait at once, and is asked now and then"


class SystemClock:
    """The system's monotonic clock, which a suspended computer may or may not stop (see `time.monotonic`)."""

    __module__ = "redouble"

    __slots__ = ()

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        if stop is not None:
            _wait(seconds, stop)
        elif seconds > 0:  # time.sleep(0) gives the processor away, and costs 80 us
            time.sleep(seconds)

    async def sleep_async(self, seconds: float, stop: threading.Event | asyncio.Event | None = None) -> None:
        asyncio: Any = sys.modules["asyncio"]  # loaded, or this would not run
        if stop is None:
            await asyncio.sleep(seconds)
        elif isinstance(stop, asyncio.Event):
            await _sleep_until_set(seconds, stop)
        else:
            await _sleep_polling(seconds, stop)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer: Timer = sys.modules["asyncio"].get_running_loop().call_later(seconds, callback)
        return timer

    def __repr__(self) -> str:
        return "SystemClock()"


async def _sleep_polling(seconds: float, stop: Any) -> None:
    asyncio = sys.modules["asyncio"]
    end = time.monotonic() + seconds
    await asyncio.sleep(0)  # also a wait of 0 s lets others run, and a cancellation be seen
    while not is_set(stop) and (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(STOP_POLL, left))


async def _sleep_until_set(seconds: float, stop: Any) -> None:
    end = time.monotonic() + seconds
    limit = sys.modules["asyncio"].timeout(seconds)
    try:
        async with limit:
            await stop.wait()
    except Exception as error:
        if isinstance(error, TimeoutError) and limit.expired():
            return
        if _is_not_its_own(error, stop):
            raise
        faults.report("stop", type(stop), error, CANNOT_WAKE)  # such as an event of another loop
        await _sleep_polling(end - time.monotonic(), stop)


def _wait(seconds: float, stop: Any) -> None:
    """Block until `stop` is set; one that cannot wait is asked now and then instead."""
    end = time.monotonic() + seconds
    try:
        stop.wait(seconds)
    except Exception as error:
        if _is_not_its_own(error, stop):
            raise
        faults.report("stop", type(stop), error, CANNOT_WAKE)
        while not is_set(stop) and (left := end - time.monotonic()) > 0:
            time.sleep(min(STOP_POLL, left))


def _is_not_its_own(error: Exception, stop: object) -> bool:
    """Whether not the stop raised this, but the handler of a signal: that is for the caller, whatever it interrupted."""
    if type(stop).__module__ == "threading" or isinstance(
        error, InterruptedError
    ):  # an Event raises nothing of its own
        return True
    signal: Any = sys.modules.get("signal")
    if signal is None:
        return False
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = [getattr(each, "__code__", None) or getattr(type(each).__call__, "__code__", None) for each in handlers]
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code in codes:
            return True
        at = at.tb_next
    return False


SYSTEM: SystemClock = SystemClock()


def is_set(stop: Any) -> bool:
    """Whether a policy's `stop` is set; one that cannot tell is logged once, and counts as not set."""
    try:
        return bool(stop.is_set())
    except Exception as error:
        if _is_not_its_own(error, stop):
            raise
        faults.report("stop", type(stop), error, "it counts as not set")
        return False


def guarded_now(clock: Clock) -> Callable[[], float]:
    """The readings of a user's clock; one that fails is logged once and seems to stand still."""
    last = 0.0

    def now() -> float:
        nonlocal last
        try:
            last = checks.number("now()", clock.now(), least=float("-inf"))
        except Exception as error:
            faults.report("clock", type(clock), error, "it seems to stand still")
        return last

    return now
