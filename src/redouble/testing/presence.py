"""On top of the floors: who runs while a fake clock stands still, and what holds it."""

from __future__ import annotations

import threading
from time import monotonic

STRIDE = 0.02
"""How many real seconds count at most between two looks at a hold.

A whole process may stand still for longer than a hold lasts (a collection of garbage, a busy machine): then none of
its threads could show what it was about to do.
"""


class _Hold:
    """For how long time is held, in real seconds, counted from the first look: when it could have moved."""

    __slots__ = ("left", "seen")

    def __init__(self, seconds: float) -> None:
        self.left: float = seconds
        self.seen: float | None = None

    def look(self, real: float) -> float:
        """How many seconds are left."""
        if self.seen is not None:
            self.left -= min(real - self.seen, STRIDE)
        self.seen = real
        return self.left


class Presence:
    """The threads that a clock waits for.

    A *member* is a thread that runs a bound function, or an attached event loop. While one runs outside of a wait, time
    stands still. A *hold* stands for what may be under way unseen: a bound function whose thread has not started, a
    thread just out of a wait, which may begin the next one. It lasts some real seconds at most, counted from when time
    could have moved but for it, and no longer than the thread lives.

    The condition of the `Timeline` guards this.
    """

    def __init__(self) -> None:
        self.held: bool = False
        self._members: dict[int, int] = {}
        self._running: set[int] = set()
        self._holds: dict[object, _Hold] = {}

    def enter(self, thread: int) -> None:
        """The thread becomes a member, and runs."""
        self._members[thread] = self._members.get(thread, 0) + 1
        self.drop(thread)
        self._running.add(thread)

    def leave(self, thread: int) -> bool:
        """The thread is a member no more; `False`: it still is, for another reason."""
        self._members[thread] -= 1
        if self._members[thread]:
            return False
        del self._members[thread]
        self.park(thread)
        return True

    def park(self, thread: int) -> None:
        """The thread runs no more: it waits, or has ended."""
        self._running.discard(thread)
        self.drop(thread)

    def resume(self, thread: int, grace: float) -> None:
        """The thread runs again. Nobody knows what one that is no member does next, so it merely holds time a while."""
        if thread in self._members:
            self._running.add(thread)
        else:
            self.hold(thread, grace)

    def hold(self, key: object, seconds: float) -> None:
        """Hold time until `drop`, but no longer than so many real seconds."""
        self._holds[key] = _Hold(seconds)

    def drop(self, key: object) -> None:
        """Let go of a hold, if there is one."""
        self._holds.pop(key, None)

    def somebody_runs(self) -> bool:
        """Whether a member runs outside of a wait."""
        return bool(self._running)

    def others_run(self) -> bool:
        """Whether a member other than this thread runs outside of a wait."""
        return bool(self._running - {threading.get_ident()})

    def is_held(self) -> bool:
        """Whether something holds time, which could move otherwise."""
        real = monotonic()
        alive = {thread.ident for thread in threading.enumerate()}
        for key, hold in list(self._holds.items()):
            if hold.look(real) <= 0 or (isinstance(key, int) and key not in alive):
                del self._holds[key]
        self.held = bool(self._holds)
        return self.held
