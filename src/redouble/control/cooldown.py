"""Floor 3. A cooldown: what the server asked of one call, and all that share it wait for.

A rate limit is one server's, and its 429 answers one call of many. The others would each find out for themselves, by a
request that is known to fail. A cooldown is the moment until which the server wants no request; whoever is about to
begin an attempt looks at it (`redouble.calls.call.Call.is_held`), and the decision after a failure writes it
(`redouble.control.tally`).
"""

from __future__ import annotations

import os
from _thread import RLock
from _weakref import ref
from time import monotonic

from redouble.control import faults
from redouble.control.clock import SystemClock
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, Self

    from redouble.control.clock import Clock
    from redouble.core.checks import Seconds

NEAR = 1e-6
"""Seconds that no clock tells from none, such as those that rounding leaves of a wait that is over."""


class Cooldown:
    """The moment until which a server wants no request, shared by all calls whose policies name it.

    When the server tells one of these calls how long to wait (`Retry-After` and its kin), none of the others begins an
    attempt before that time is over, its first attempt included. A later hint may lengthen the time, never shorten it.

    A cooldown may be shared by threads, tasks, event loops and greenlets. The child of a `fork` goes on with the time
    that is left; other processes have their own. Copying gives the same object; unpickling gives one that holds nothing
    back, or the one that is shared by its name.

    Args:
        name: A label. Two cooldowns with one label are two cooldowns; `named` shares one.
        clock: Tells the time in seconds where the methods are not told; `now` is a reading of this clock.

    Attributes:
        name: As it was given; not to be set.
        gate: A list that is empty while nothing is held back: the hot path looks at its truth alone.

    Raises:
        TypeError, ValueError: When `name` is no string, or empty.

    Source: RFC 9110, 10.2.3 (`Retry-After`), and RFC 6585, 4 (429).

    >>> cooldown = Cooldown("openai", clock=lambda: 0.0)
    >>> cooldown.hold(10)
    >>> cooldown.left(), cooldown.left(now=4.0), cooldown.left(now=11.0)
    (10.0, 6.0, 0.0)
    """

    __module__ = "redouble"

    __slots__ = ("__weakref__", "_clock", "_lock", "_under", "gate", "holds", "name")

    name: str | None
    gate: list[tuple[float, float]]  # the moment, and the seconds of the hint that gave it
    holds: int
    _clock: Callable[[], float]
    _lock: Any
    _under: Any  # the cooldowns that stand for this one on other clocks

    def __init__(self, name: str | None = None, *, clock: Callable[[], float] = monotonic) -> None:
        self.name = _label(name)
        self._clock = checks.plain_function("clock", clock)
        self._under = None
        self.gate = []
        self.holds = 0
        self._renew_lock()
        _alive.add(ref(self, _alive.discard))

    def _renew_lock(self) -> None:
        """Make the lock: at first, and in the child of a fork, where no thread would let go of the old one."""
        self._lock = RLock()

    # Sharing.

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the cooldown that this process shares by `name`, made when it is first asked for.

        Raises:
            TypeError, ValueError: When `name` is no string, or empty.

        >>> Cooldown.named("maps") is Cooldown.named("maps")
        True
        """
        if name is None:
            raise TypeError("name must be a string that is not empty, got None")
        found: Self = _named.get((cls, name)) or _named.setdefault((cls, name), cls(name))  # one, also of two threads
        return found

    def under(self, clock: Clock) -> Cooldown:
        """Return the cooldown that stands for this one in the time of a clock, the same at each call.

        That of the system's clock is this one itself. So a test under `fake_time` begins with nothing held back.

        >>> from redouble.testing import FakeClock
        >>> clock = FakeClock()
        >>> Cooldown.named("maps").under(clock) is Cooldown.named("maps").under(clock)
        True
        """
        if type(clock) is SystemClock:
            return self
        with self._lock:
            if self._under is None:
                from weakref import WeakKeyDictionary

                self._under = WeakKeyDictionary()
            found: Cooldown | None = self._under.get(clock)
            if found is None:
                found = self._under[clock] = type(self)(self.name, clock=_reads(clock))
            return found

    # Holding back.

    def hold(self, seconds: Seconds, now: float | None = None) -> None:
        """Hold back every attempt that has not begun, for so many seconds from now; never for less than before.

        A retried call whose policy names the cooldown does this by itself. Tell it from outside where the server said
        so elsewhere: in a header of an answer that succeeded, or to a client that is not retried.

        Args:
            seconds: How long; >= 0.
            now: A reading of the cooldown's clock; `None` reads it.

        Raises:
            TypeError, ValueError: When `seconds` is no such duration.
        """
        asked = checks.seconds("seconds", seconds)
        moment = (self._clock() if now is None else now) + asked
        with self._lock:
            if asked and (not self.gate or moment > self.gate[0][0]):
                self.gate[:] = [(moment, asked)]
                self.holds += 1

    def left(self, now: float | None = None, *, spread: float = 0.0) -> float:
        """Return for how many seconds attempts are held back; 0.0 when they are not.

        Args:
            now: A reading of the cooldown's clock; `None` reads it.
            spread: Which part of the server's hint is added, so that those who wait do not come at once.
        """
        now = self._clock() if now is None else now
        try:
            moment, asked = self.gate[0]
        except IndexError:
            return 0.0
        left = moment - now
        if left > NEAR:
            return left + spread * asked
        with self._lock:
            if self.gate and self.gate[0][0] == moment:
                self.gate.clear()
        return 0.0

    # Telling.

    def snapshot(self, now: float | None = None) -> dict[str, Any]:
        """Return its state as a dict for JSON and for metrics, and change nothing.

        Returns:
            `name`; `left`, the seconds for which attempts are held back; `holds`, how often a hint made that longer.

        >>> Cooldown("openai").snapshot()
        {'name': 'openai', 'left': 0.0, 'holds': 0}
        """
        return {"name": self.name, "left": self.left(now), "holds": self.holds}

    def __repr__(self) -> str:
        made = "Cooldown.named" if self._is_shared() else "Cooldown"
        return f"redouble.{made}({'' if self.name is None else repr(self.name)})"

    def _is_shared(self) -> bool:
        return _named.get((type(self), self.name)) is self

    # A cooldown is there to be shared: a copy would be a second one.

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.name, self._is_shared())


_named: dict[tuple[type, str | None], Any] = {}
_alive: set[ref[Cooldown]] = set()
"""All cooldowns, for the child of a fork."""


def in_force(written: Cooldown | Literal[True] | None, own: Cooldown | None, clock: Clock | None) -> Cooldown | None:
    """Return the cooldown of a call, in the time of its clock; `None`: it has none.

    Args:
        written: What the policy says.
        own: That of the decorated function, which `True` names; `None`: there is no such function.
        clock: The policy's; `None`: the system's.
    """
    found = own if written is True else written
    if found is None or clock is None:
        return found
    try:
        return found.under(clock)
    except Exception as fault:  # a clock of the user's, which cannot be a key
        faults.report("clock", type(clock), fault, "the call has no cooldown")
        return None


def _reads(clock: Clock) -> Callable[[], float]:
    """Return what reads a clock, without keeping it alive: it is the key by which the cooldown is found."""
    kept = ref(clock)

    def now() -> float:
        found = kept()
        return 0.0 if found is None else found.now()

    return now


def _unpickled(cls: type[Cooldown], name: str | None, shared: bool) -> Cooldown:
    return cls.named(name) if shared and name is not None else cls(name)


def _label(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"name must be a string that is not empty, or None, got {checks.shown(value)}")


def _renew_locks_in_child() -> None:
    for cooldown in filter(None, [each() for each in tuple(_alive)]):
        cooldown._renew_lock()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_locks_in_child)
