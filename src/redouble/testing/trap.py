"""On top of the floors: traps, which hold a fake clock still so that a test can look at the waits."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from redouble.testing.hosts import trio_is_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.testing.timeline import Timeline


class Trap:
    """Holds a `FakeClock` still: while it is set, time moves by `advance()` alone. Made by `FakeClock.trap()`.

    As a context manager it releases itself at the end.

    Attributes:
        waits: The durations, in seconds, of the waits that began since the trap was set.

    >>> import threading
    >>> from redouble.testing import FakeClock
    >>> clock = FakeClock()
    >>> with clock.trap() as trap:
    ...     threading.Thread(target=clock.sleep, args=(3,)).start()
    ...     trap.wait(), clock.now()
    (3.0, 0.0)
    """

    def __init__(self, timeline: Timeline) -> None:
        self.waits: list[float] = []
        self._timeline = timeline
        self._told = 0
        with timeline.changed:
            timeline.traps.append(self)

    def release(self) -> None:
        """Let time move by itself again, unless another trap is set; harmless when it is released already."""
        with self._timeline.changed:
            if self in self._timeline.traps:
                self._timeline.traps.remove(self)
                self._timeline.go_on()

    def __enter__(self) -> Trap:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def wait(self, timeout: float = 5.0) -> float:
        """Block this thread until a wait has been caught; each call returns the next one.

        Args:
            timeout: How many real seconds to wait for it.

        Returns:
            The duration of the wait, in seconds.

        Raises:
            TimeoutError: When no wait has been caught in time.
        """
        with self._timeline.changed:
            self._timeline.changed.wait_for(self._has_news, timeout)
            return self._tell(timeout)

    async def wait_async(self, timeout: float = 5.0) -> float:  # noqa: ASYNC109  # real seconds, on a loop in virtual time
        """Wait as `wait` does, in a coroutine.

        Args:
            timeout: How many real seconds to wait for it.

        Returns:
            The duration of the wait, in seconds.

        Raises:
            TimeoutError: When no wait has been caught in time.
        """
        if not self._has_news():
            await self._await_news(timeout)
        return self._tell(timeout)

    async def _await_news(self, seconds: float) -> None:
        gone = threading.Event()

        def watch(tell: Callable[[], None]) -> None:
            threading.Thread(target=look, args=(tell,), name="redouble-trap", daemon=True).start()

        def look(tell: Callable[[], None]) -> None:  # in a thread: no timer of this loop runs in real time
            with self._timeline.changed:
                self._timeline.changed.wait_for(lambda: self._has_news() or gone.is_set(), seconds)
                if not gone.is_set():
                    tell()

        try:
            await _until_told(watch)
        finally:
            with self._timeline.changed:
                gone.set()
                self._timeline.changed.notify_all()

    def _has_news(self) -> bool:
        return self._told < len(self.waits)

    def _tell(self, timeout: float) -> float:
        with self._timeline.changed:
            if not self._has_news():
                raise TimeoutError(
                    f"the trap has caught no further wait within {timeout:g} real seconds, only {self.waits}"
                    " (in a coroutine: await trap.wait_async())"
                )
            self._told += 1
            return self.waits[self._told - 1]

    def catch(self, seconds: float) -> None:
        """Catch a wait that begins."""
        self.waits.append(seconds)

    def __repr__(self) -> str:
        return f"<{'set' if self in self._timeline.traps else 'released'} trap: waits={self.waits}>"


async def _until_told(watch: Callable[[Callable[[], None]], None]) -> None:
    """Suspend this task until any thread calls the function that `watch` gets."""
    if trio_is_here():
        from redouble.testing import trio_runs

        await trio_runs.until_told(watch)
    else:
        await _until_told_on_asyncio(watch)


async def _until_told_on_asyncio(watch: Callable[[Callable[[], None]], None]) -> None:
    loop = asyncio.get_running_loop()
    over = loop.create_future()

    def told() -> None:
        loop.call_soon_threadsafe(over.cancel)

    watch(told)
    await asyncio.wait([over])
