"""Floor 5. Waking a loop that waits, from any thread or task, by an event of the loop's own host instead of polling."""

from __future__ import annotations

import sys

from redouble.control.host import Host, in_trio, running_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_tasks: set[Any] = set()
"""The tasks that bells spawned: an event loop holds its tasks weakly, so they are kept here."""


class Bell:
    """Wakes a loop in a thread.

    Attributes:
        event: The event that the loop waits for.
    """

    __slots__ = ("event",)

    event: Any

    def __init__(self) -> None:
        self.event = self.new_event()

    def ring(self) -> None:
        """Wake the loop. May be called from any thread or task."""
        self.call(self._set)

    def call(self, act: Callable[[], object]) -> None:
        """Call a function where the loop runs: at once from its own thread, soon from another one."""
        act()

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a coroutine function in a task of its own; called where the loop runs."""

    def renew(self) -> None:
        """Forget earlier rings. The loop looks after this at everything that they may have been about."""
        self.event.clear()

    def _set(self) -> None:
        self.event.set()

    def new_event(self) -> Any:
        """Make an event of the loop's host."""
        from threading import Event

        return Event()


class AsyncioBell(Bell):
    """Wakes a loop in a task of asyncio."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: Any = sys.modules["asyncio"].get_running_loop()
        super().__init__()

    def call(self, act: Callable[[], object]) -> None:
        if sys.modules["asyncio"]._get_running_loop() is self._loop:
            act()
            return
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:  # the event loop is closed: there is no loop to wake
            return

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        task = self._loop.create_task(function(*args))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    def new_event(self) -> Any:
        return sys.modules["asyncio"].Event()


class TrioBell(Bell):
    """Wakes a loop in a task of trio, whose events cannot be cleared."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token: Any = sys.modules["trio"].lowlevel.current_trio_token()
        super().__init__()

    def call(self, act: Callable[[], object]) -> None:
        trio: Any = sys.modules["trio"]
        if in_trio() and trio.lowlevel.current_trio_token() is self._token:
            act()
            return
        try:
            self._token.run_sync_soon(act)
        except trio.RunFinishedError:  # trio has ended: there is no loop to wake
            return

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        sys.modules["trio"].lowlevel.spawn_system_task(function, *args)

    def renew(self) -> None:
        self.event: Any = self.new_event()

    def new_event(self) -> Any:
        return sys.modules["trio"].Event()


def bell_here() -> Bell:
    """Return a bell for the library that runs this coroutine.

    Raises:
        NoHost: When it runs outside of asyncio and trio.
    """
    return TrioBell() if running_host() is Host.TRIO else AsyncioBell()
