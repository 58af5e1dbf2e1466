"""Floor 3. Time: the system's clock, and the protocol that any other clock follows."""

from __future__ import annotations

import sys
import time

from redouble.control import faults
from redouble.control.host import Host, running_host
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Coroutine
    from typing import Any, Protocol

    class Timer(Protocol):
        """A pending callback, returned by `Clock.call_later`."""

        def cancel(self) -> None:
            """Prevent the callback from being called; no effect once it has been."""

    class Stop(Protocol):
        """An event that ends waits: one of `threading`, asyncio or trio."""

        def is_set(self) -> bool: ...

    class Clock(Protocol):
        """A source of time and waits; a policy's `clock=` takes any object with these methods."""

        def now(self) -> float:
            """Return the seconds of a clock that never goes back; only differences have a meaning."""
            ...

        def sleep(self, seconds: float, stop: Any = None) -> None:
            """Block this thread for `seconds`, or until `stop` is set."""

        async def sleep_async(self, seconds: float, stop: Any = None) -> None:
            """Suspend this task for `seconds`, or until `stop` is set."""

        def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
            """Call `callback` on the running event loop after `seconds`, unless the timer is cancelled."""
            ...

else:

    class Clock:
        """A source of time and waits; a policy's `clock=` takes any object with these methods.

        `now()` returns seconds that never go back. `sleep(seconds, stop=None)` blocks the thread, the coroutine
        `sleep_async(seconds, stop=None)` suspends the task; setting `stop` ends both early. `call_later(seconds,
        callback)` calls back on the running event loop, and returns a timer with a method `cancel()`.
        """

        __module__ = "redouble.types"


STOP_POLL = 0.05
"""Seconds between two checks of a `threading.Event` during an asyncio wait, which cannot await the event."""


CANNOT_WAKE = "it does not end the wait at once, and is asked now and then"


class SystemClock:
    """The system's monotonic clock; a suspended computer may or may not stop it (see `time.monotonic`)."""

    __module__ = "redouble.types"

    __slots__ = ()

    def now(self) -> float:
        """Return the seconds of `time.monotonic`."""
        return time.monotonic()

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Block this thread for `seconds`, or until `stop` is set."""
        if stop is not None:
            _wait(seconds, stop)
        elif seconds > 0:  # time.sleep(0) gives the processor away, and costs 80 us
            time.sleep(seconds)

    async def sleep_async(self, seconds: float, stop: Any = None) -> None:
        """Suspend this task of asyncio or trio for `seconds`, or until `stop` is set."""
        await (_in_trio if running_host() is Host.TRIO else _in_asyncio)(seconds, stop)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the running event loop after `seconds`, unless the timer is cancelled."""
        if running_host() is Host.TRIO:
            return _TrioTimer(seconds, callback)
        timer: Timer = sys.modules["asyncio"].get_running_loop().call_later(seconds, callback)
        return timer

    def __repr__(self) -> str:
        return "SystemClock()"


def _in_asyncio(seconds: float, stop: Any) -> Coroutine[Any, Any, None]:
    asyncio: Any = sys.modules["asyncio"]
    sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
    if stop is None:
        return sleep(seconds)
    if isinstance(stop, asyncio.Event) and getattr(stop, "_loop", None) in (None, asyncio.get_running_loop()):
        return _until_set(seconds, stop, asyncio.timeout, sleep)
    return _polling(seconds, stop, sleep)


def _in_trio(seconds: float, stop: Any) -> Coroutine[Any, Any, None]:
    trio: Any = sys.modules["trio"]
    sleep: Callable[[float], Coroutine[Any, Any, None]] = trio.sleep
    if stop is None:
        return sleep(seconds)
    if isinstance(stop, trio.Event):
        return _until_set_in_trio(seconds, stop, trio.move_on_after)
    return _polling(seconds, stop, sleep)


async def _until_set_in_trio(seconds: float, stop: Any, timing: Any) -> None:
    with timing(seconds):
        await stop.wait()


class _TrioTimer:
    """A callback on trio's clock: a system task that sleeps, then calls it."""

    __slots__ = ("_callback", "_over", "_seconds")

    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        trio: Any = sys.modules["trio"]
        self._seconds, self._callback = seconds, callback
        self._over = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._run)

    async def _run(self) -> None:
        with self._over:
            await sys.modules["trio"].sleep(self._seconds)
            self._callback()

    def cancel(self) -> None:
        self._over.cancel()


async def _polling(seconds: float, stop: Any, sleep: Any) -> None:
    """Sleep, and look at `stop` every `STOP_POLL` seconds: it cannot be awaited here."""
    end = time.monotonic() + seconds
    await sleep(0)  # a wait of 0 s, too, lets other tasks run and a cancellation arrive
    while not is_set(stop) and (left := end - time.monotonic()) > 0:
        await sleep(min(STOP_POLL, left))


async def _until_set(seconds: float, stop: Any, timing: Any, sleep: Any) -> None:
    end = time.monotonic() + seconds
    limit = timing(seconds)
    try:
        async with limit:
            await stop.wait()
    except Exception as error:
        if isinstance(error, TimeoutError) and limit.expired():
            return
        if faults.raised_by_signal(error):
            raise
        faults.report("stop", type(stop), error, CANNOT_WAKE)  # such as an event of another loop
        await _polling(end - time.monotonic(), stop, sleep)


def _wait(seconds: float, stop: Any) -> None:
    """Block until `stop` is set; one that cannot wake a thread is looked at every `STOP_POLL` seconds."""
    end = time.monotonic() + seconds
    if wakes_threads(stop):
        try:
            stop.wait(seconds)
        except Exception as error:
            if _is_not_its_own(error, stop):
                raise
            faults.report("stop", type(stop), error, CANNOT_WAKE)
        else:
            return
    while not is_set(stop) and (left := end - time.monotonic()) > 0:
        time.sleep(min(STOP_POLL, left))


def wakes_threads(stop: Any) -> bool:
    """Return whether `stop.wait(seconds)` blocks a thread; that of an asyncio, trio or anyio event does not."""
    return type(stop).__module__.partition(".")[0] not in ("asyncio", "trio", "anyio")


def _is_not_its_own(error: Exception, stop: object) -> bool:
    """Return whether a signal handler raised this error, and not `stop`: the caller must get it."""
    if type(stop).__module__ == "threading" or isinstance(error, InterruptedError):
        return True  # an Event raises nothing of its own
    return faults.raised_by_signal(error)


SYSTEM: SystemClock = SystemClock()


def is_set(stop: Any) -> bool:
    """Return whether a policy's `stop` is set; one that raises is logged once, and counts as not set."""
    try:
        return bool(stop.is_set())
    except Exception as error:
        if _is_not_its_own(error, stop):
            raise
        faults.report("stop", type(stop), error, "it counts as not set")
        return False


def guarded_now(clock: Clock) -> Callable[[], float]:
    """Return a reader of a user's clock; a clock that fails is logged once and seems to stand still."""
    last = 0.0

    def now() -> float:
        nonlocal last
        try:
            last = checks.number("now()", clock.now(), least=float("-inf"))
        except Exception as error:
            faults.report("clock", type(clock), error, "it seems to stand still")
        return last

    return now
