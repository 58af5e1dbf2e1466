"""Floor 5. Watching for a `stop` while the body of a session runs, as the body does not look for it."""

from __future__ import annotations

from redouble.calls.hosts import coroutines
from redouble.calls.pause import FOR_GOOD, AnyOf, Pause, can_be_heard, hear
from redouble.control import faults
from redouble.control.clock import CANNOT_WAKE, SYSTEM, is_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.loops.bell import Bell


class Watch:
    """Calls a function when an event is set, until the watch is ended.

    A `threading.Event` makes the call itself, without a task or thread that waits. For another event a task waits where
    the loop runs, or a daemon thread; if the event wakes no waiter, it is looked at now and then.

    Args:
        stop: The event.
        bell: The bell of the loop.
        act: The function to call, on the host of the loop or in a thread of its own.
        asynchronous: Whether a coroutine runs the loop.
    """

    __slots__ = ("_act", "_bell", "_leave", "_stop")

    _leave: Callable[[], None]

    def __init__(self, stop: Any, bell: Bell, act: Callable[[], object], *, asynchronous: bool) -> None:
        self._stop, self._bell, self._act = stop, bell, act
        if is_set(stop):
            self._leave = _nothing
            act()
        elif can_be_heard(stop):
            self._leave = hear(stop, (lambda: bell.call(self._fire)) if asynchronous else self._fire_apart)
        else:
            over = bell.new_event()
            self._leave = over.set
            if asynchronous:
                bell.spawn(self._wait_async, over)
            else:
                _in_a_thread(self._wait, over)

    def end(self) -> None:
        """End the watch, so that the function is not called. Called where the loop runs."""
        self._act = _nothing
        self._leave()

    def _fire(self) -> None:
        self._act()

    def _fire_apart(self) -> None:
        """Call the function in a thread of its own: the thread that sets the event holds its lock meanwhile."""
        _in_a_thread(self._fire)

    def _wait(self, over: Any) -> None:
        AnyOf(self._stop, over).wait()
        self._fire()

    async def _wait_async(self, over: Any) -> None:
        try:
            await coroutines.pause(Pause(SYSTEM, FOR_GOOD, (self._stop, over), "stop"))
        except Exception as fault:  # such as an event of another event loop
            faults.report("stop", type(self._stop), fault, CANNOT_WAKE)
        else:
            self._fire()


def _nothing() -> None:
    """Do nothing: stands for a function that must not be called any more."""


def _in_a_thread(act: Callable[..., object], *args: Any) -> None:
    from threading import Thread

    Thread(target=act, args=args, name="redouble-stop", daemon=True).start()
