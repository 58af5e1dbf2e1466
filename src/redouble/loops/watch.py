"""Floor 5. Hears of a `stop` while the body of a session runs, which does not ask for it."""

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
    """Calls something when an event is set, until it is ended.

    An event of `threading` says so itself, and nothing waits for that. For others a task waits where the loop lives, or a
    daemon thread; an event that wakes neither of them is looked at now and then.

    Args:
        stop: The event.
        bell: The bell of the loop.
        act: What is called: on the host of the loop, or in a thread of its own.
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
        """Call nothing any more. Called where the loop lives."""
        self._act = _nothing
        self._leave()

    def _fire(self) -> None:
        self._act()

    def _fire_apart(self) -> None:
        """Close a connection, which may take its time, in a thread of its own: the one that sets the event holds its lock."""
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
    """Stands for what is not to be called any more."""


def _in_a_thread(act: Callable[..., object], *args: Any) -> None:
    from threading import Thread

    Thread(target=act, args=args, name="redouble-stop", daemon=True).start()
