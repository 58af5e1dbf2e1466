"""Floor 4. The attempt as the operation sees it from inside."""

from __future__ import annotations

from math import inf

from redouble.calls.call import call_at
from redouble.control.around import AROUND, WHO, is_attempt, links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.calls.call import Call


class Attempt:
    """One attempt of a retried call, as seen from inside of it.

    A block gives it (`for attempt in retry: ...`); in a called function, `current_attempt()` finds it.
    """

    __module__ = "redouble"

    __slots__ = ("_of",)

    is_attempt = True

    def __init__(self, call: Call) -> None:
        self._of = call

    @property
    def _call(self) -> Call:
        """The call; a block makes it only when it is needed."""
        return self._of

    @property
    def number(self) -> int:
        """The number of the attempt, from 1."""
        return self._call.tally.attempt

    @property
    def failures(self) -> int:
        """The number of attempts before it that have failed in a row."""
        return self._call.tally.failures

    @property
    def limit(self) -> int | None:
        """The number of failures in a row at which the call gives up; `None`: no limit."""
        return self._call.policy.attempts

    @property
    def is_last(self) -> bool:
        """Whether a failure of this attempt would use up the attempts."""
        limit = self.limit
        return limit is not None and self.failures + 1 >= limit

    @property
    def elapsed(self) -> float:
        """The seconds since the first attempt began."""
        tally = self._call.tally
        return tally.elapsed(tally.now() if tally.ended_at is None else tally.ended_at)

    @property
    def remaining(self) -> float | None:
        """The seconds until the nearest written deadline, >= 0; `None` when none is written."""
        left = self._call.left()
        return None if left == inf else max(0.0, left)

    @property
    def timeout(self) -> float | None:
        """The seconds that this attempt may take: `attempt_timeout`, never more than `remaining`; `None`: no limit."""
        timeout = self._call.timeout()
        return None if timeout == inf else timeout

    def progress(self) -> None:
        """Report progress: failures, curve and deadline begin again.

        Raises:
            RuntimeError: When the attempt is over.
        """
        if not self._call.attempting:
            raise RuntimeError("progress() is for an attempt under way, and this one is over")
        self._call.progress()

    def result(self, value: object) -> None:
        """Set the value of a block; the policy's `result` rules judge it when the block ends.

        Raises:
            RuntimeError: In a called function, whose returned value is judged.
        """
        raise RuntimeError("result() is for the block form; of a retried function the returned value is judged")

    def __repr__(self) -> str:
        return f"<redouble.{type(self).__name__} {self.number} of {self._call.tally.name or 'a retried call'}>"


def current_attempt() -> Attempt | None:
    """Return the innermost attempt around the caller; `None` outside of an attempt.

    It is found in the same thread or task, and in threads and tasks that were given a copy of its context.

    >>> from redouble import current_attempt, retry
    >>> @retry
    ... def fetch():
    ...     return current_attempt().number
    >>> fetch()
    1
    """
    for link in links(AROUND.get()):
        if is_attempt(link):
            who = link[WHO]
            return who if isinstance(who, Attempt) else Attempt(call_at(link))
    return None
