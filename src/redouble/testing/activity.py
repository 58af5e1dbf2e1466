"""On top of the floors: the running threads, which keep a fake clock still, and the holds on it."""

from __future__ import annotations

import threading
from time import monotonic

TURNS = 25
"""The least number of the keeper's looks before a hold is over.

Seconds alone do not suffice on a busy machine, where the threads that a hold waits for are late as well. Before each
look a thread has begun and ended (see `Keeper`), so other threads have had as many turns.
"""


class _Hold:
    """A hold on time: it ends after some real seconds without a sign of life, from the first look after the last one."""

    __slots__ = ("_left", "_news", "_seconds", "_seen")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = seconds
        self._news: int | None = None
        self._seen = 0.0

    def look(self, real: float, news: int) -> bool:
        """Return whether the hold is over; `news` is the number of signs of life so far."""
        if news != self._news:
            self._news, self._left = news, self._seconds
        else:
            self._left -= min(real - self._seen, self._seconds / TURNS)
        self._seen = real
        return self._left <= 0


class Activity:
    """Tells which threads a clock waits for.

    A *member* is a thread that runs a bound function, or an event loop. While one runs outside of a wait, time stands
    still. A *hold* stands for work that the clock cannot see: a bound function whose thread has not started, or a
    thread just out of a wait, which may begin the next one. It lasts for some real seconds without a sign of life,
    counted from the moment when it alone kept time from moving, and no longer than its thread. Any thread's sign of
    life restarts it: a test that starts 500 bound threads may need longer than a hold lasts, but not from one thread to
    the next.

    The lock of the `Timeline` guards this.
    """

    def __init__(self) -> None:
        self.held: bool = False
        self._members: dict[object, int] = {}
        self._running: set[object] = set()
        self._holds: dict[object, _Hold] = {}
        self._news: int = 0

    def sign(self) -> None:
        """Note a sign of life: all holds restart."""
        self._news += 1

    def enter(self, who: object) -> None:
        """Make a thread (by its identifier), or a stand-in for one, a running member."""
        self.sign()
        self._members[who] = self._members.get(who, 0) + 1
        self.drop(who)
        self._running.add(who)

    def leave(self, who: object) -> bool:
        """Remove a membership; return `False` when the thread has another one left."""
        self.sign()
        self._members[who] -= 1
        if self._members[who]:
            return False
        del self._members[who]
        self.park(who)
        return True

    def park(self, who: object) -> None:
        """Note that a member stopped running: it waits, or has ended."""
        self._running.discard(who)
        self.drop(who)

    def resume(self, who: object, grace: float) -> None:
        """Note that a thread runs again. One that is not a member may begin a wait next, so it holds time a while."""
        if who in self._members:
            self._running.add(who)
        else:
            self.hold(who, grace)

    def hold(self, key: object, seconds: float) -> None:
        """Hold time until `drop`, or for at most `seconds` real seconds without a sign of life."""
        if seconds > 0:
            self._holds[key] = _Hold(seconds)

    def drop(self, key: object) -> None:
        """Release a hold, if there is one."""
        self._holds.pop(key, None)

    def somebody_runs(self) -> bool:
        """Return whether a member runs outside of a wait."""
        return bool(self._running)

    def others_run(self) -> bool:
        """Return whether a member other than this thread runs outside of a wait."""
        return bool(self._running - {threading.get_ident()})

    def is_held(self) -> bool:
        """Return whether there are holds; asked when all members wait."""
        self.held = bool(self._holds)
        return self.held

    def look(self) -> None:
        """Release the holds that are over, and those for threads that are gone; only the keeper calls this."""
        real = monotonic()
        threads = threading.enumerate()
        if any(thread.ident is None for thread in threads):  # started, and about to begin
            self.sign()
        # The keeper itself never waits on the clock, but may have got the identifier of a thread that is gone.
        alive = {thread.ident for thread in threads} - {threading.get_ident()}
        for key, hold in list(self._holds.items()):
            if hold.look(real, self._news) or (isinstance(key, int) and key not in alive):
                del self._holds[key]
