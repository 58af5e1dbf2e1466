"""On top of the floors: which threads run, so that a fake clock stands still, and what else holds it."""

from __future__ import annotations

import threading
from time import monotonic

TURNS = 25
"""How often the keeper looks at least before a hold is over.

Seconds alone say nothing on a busy machine, where all that a hold waits for is as late as the rest. Before each look a
thread has begun and ended (see `Keeper`), so that who is about to do something had as many turns.
"""


class _Hold:
    """For how long time is held, in real seconds without a sign of life, counted from the first look after it."""

    __slots__ = ("_left", "_news", "_seconds", "_seen")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = seconds
        self._news: int | None = None
        self._seen = 0.0

    def look(self, real: float, news: int) -> bool:
        """Return whether it is over; `news` is the number of signs of life so far."""
        if news != self._news:
            self._news, self._left = news, self._seconds
        else:
            self._left -= min(real - self._seen, self._seconds / TURNS)
        self._seen = real
        return self._left <= 0


class Activity:
    """Tells which threads a clock waits for.

    A *member* is a thread that runs a bound function, or an event loop. While one runs outside of a wait, time stands
    still. A *hold* stands for what may be under way unseen: a bound function whose thread has not started, a thread
    just out of a wait, which may begin the next one. It lasts until nothing has happened for some real seconds,
    counted from when time could have moved but for it, and no longer than the thread lives. A sign of life of anybody
    begins it anew: whoever starts 500 bound threads may need longer for that than any hold lasts, but not from one to
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
        """Note a sign of life: holds begin anew."""
        self._news += 1

    def enter(self, who: object) -> None:
        """Make a thread (by its identifier), or what runs in the place of one, a member, and running."""
        self.sign()
        self._members[who] = self._members.get(who, 0) + 1
        self.drop(who)
        self._running.add(who)

    def leave(self, who: object) -> bool:
        """Take away a membership; `False`: there is another one left."""
        self.sign()
        self._members[who] -= 1
        if self._members[who]:
            return False
        del self._members[who]
        self.park(who)
        return True

    def park(self, who: object) -> None:
        """Note that it runs no more: it waits, or has ended."""
        self._running.discard(who)
        self.drop(who)

    def resume(self, who: object, grace: float) -> None:
        """Note that it runs again. One that is no member may do anything next, so it merely holds time a while."""
        if who in self._members:
            self._running.add(who)
        else:
            self.hold(who, grace)

    def hold(self, key: object, seconds: float) -> None:
        """Hold time until `drop`, but no longer than for so many real seconds without a sign of life."""
        if seconds > 0:
            self._holds[key] = _Hold(seconds)

    def drop(self, key: object) -> None:
        """Let go of a hold, if there is one."""
        self._holds.pop(key, None)

    def somebody_runs(self) -> bool:
        """Return whether a member runs outside of a wait."""
        return bool(self._running)

    def others_run(self) -> bool:
        """Return whether a member other than this thread runs outside of a wait."""
        return bool(self._running - {threading.get_ident()})

    def is_held(self) -> bool:
        """Return whether something holds time, which could move otherwise."""
        self.held = bool(self._holds)
        return self.held

    def look(self) -> None:
        """Let go of the holds that are over, and of those for threads that are gone; only the keeper calls this."""
        real = monotonic()
        threads = threading.enumerate()
        if any(thread.ident is None for thread in threads):  # it has been started, and is about to begin
            self.sign()
        # The keeper itself waits for nothing, but may have been given the identifier of a thread that is gone.
        alive = {thread.ident for thread in threads} - {threading.get_ident()}
        for key, hold in list(self._holds.items()):
            if hold.look(real, self._news) or (isinstance(key, int) and key not in alive):
                del self._holds[key]
