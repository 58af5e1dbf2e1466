"""Floor 3. A cooldown: a wait that the server asked of one call, and that all calls which share the cooldown keep.

A rate limit belongs to the server, but its 429 reaches one call of many. Each other call would have to send a request
that is known to fail. A cooldown holds the moment until which the server wants no request. Each call reads it before an
attempt (`redouble.calls.call.Call.is_held`), and the decision after a failure sets it (`redouble.control.tally`).
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
"""Seconds that count as none, such as a rest that rounding leaves of a wait that is over."""


class Cooldown:
    """Hold back attempts until the moment that a server named, in all calls whose policies have this cooldown.

    When the server tells one of these calls how long to wait (`Retry-After` and its kin), the other calls begin no
    attempt before that time is over, their first attempts included. A later hint may lengthen the time, never shorten
    it.

    Threads, tasks, event loops and greenlets may share a cooldown. The child of a `fork` keeps the time that is left;
    other processes have their own. Copying returns the same object. Unpickling returns an open cooldown, or for a
    `named` one the cooldown that the process shares by that name.

    Args:
        name: A label. Two cooldowns with one label are two cooldowns; `named` shares one.
        clock: A callable that returns the time in seconds, used where a method is called without `now`.

    Attributes:
        name: As given; read-only.
        gate: A list, empty while no attempt is held back: the success path only tests whether it is empty.

    Raises:
        TypeError, ValueError: When `name` is not a string, or is empty.

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
    _under: Any  # the cooldowns in place of this one on other clocks

    def __init__(self, name: str | None = None, *, clock: Callable[[], float] = monotonic) -> None:
        self.name = _label(name)
        self._clock = checks.plain_function("clock", clock)
        self._under = None
        self.gate = []
        self.holds = 0
        self._renew_lock()
        _alive.add(ref(self, _alive.discard))

    def _renew_lock(self) -> None:
        """Make the lock: at first, and in the child of a fork, where no thread would release the old one."""
        self._lock = RLock()

    # Sharing.

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the cooldown that this process shares by `name`, made at the first call.

        Raises:
            TypeError, ValueError: When `name` is not a string, or is empty.

        >>> Cooldown.named("maps") is Cooldown.named("maps")
        True
        """
        if name is None:
            raise TypeError("name must be a string that is not empty, got None")
        found: Self = _named.get((cls, name)) or _named.setdefault((cls, name), cls(name))  # safe between threads
        return found

    def under(self, clock: Clock) -> Cooldown:
        """Return the cooldown to use in place of this one with a clock; the same at each call.

        For the system's clock it is this cooldown itself. So a test under `fake_time` begins with an open one.

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
        """Hold back every attempt that has not begun, for `seconds` from now; never shortens the time.

        A retried call whose policy has the cooldown calls this itself. Call it where redouble cannot see the hint: in
        a header of a response that succeeded, or in a client that is not retried.

        Args:
            seconds: Seconds or a `timedelta`; >= 0.
            now: A reading of the cooldown's clock; `None` reads it.

        Raises:
            TypeError, ValueError: When `seconds` is not such a duration.
        """
        asked = checks.seconds("seconds", seconds)
        moment = (self._clock() if now is None else now) + asked
        with self._lock:
            if asked and (not self.gate or moment > self.gate[0][0]):
                self.gate[:] = [(moment, asked)]
                self.holds += 1

    def left(self, now: float | None = None, *, spread: float = 0.0) -> float:
        """Return the seconds for which attempts are still held back; 0.0 when they are not.

        Args:
            now: A reading of the cooldown's clock; `None` reads it.
            spread: The share of the server's hint that is added, so that waiting calls do not all come at once.
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

    # State.

    def snapshot(self, now: float | None = None) -> dict[str, Any]:
        """Return the state as a dict for JSON and metrics.

        Returns:
            `name`; `left`, the seconds for which attempts are held back; `holds`, how often a hint lengthened them.

        >>> Cooldown("openai").snapshot()
        {'name': 'openai', 'left': 0.0, 'holds': 0}
        """
        return {"name": self.name, "left": self.left(now), "holds": self.holds}

    def __repr__(self) -> str:
        made = "Cooldown.named" if self._is_shared() else "Cooldown"
        return f"redouble.{made}({'' if self.name is None else repr(self.name)})"

    def _is_shared(self) -> bool:
        return _named.get((type(self), self.name)) is self

    # A cooldown is made to be shared: a copy would be a second one.

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
    """Return the cooldown of a call, for its clock; `None`: it has none.

    Args:
        written: The policy's field.
        own: The cooldown of the decorated function, meant by `True`; `None`: there is no such function.
        clock: The policy's clock; `None`: the system's.
    """
    found = own if written is True else written
    if found is None or clock is None:
        return found
    try:
        return found.under(clock)
    except Exception as fault:  # a user's clock that cannot be hashed
        faults.report("clock", type(clock), fault, "the call has no cooldown")
        return None


def _reads(clock: Clock) -> Callable[[], float]:
    """Return a reader of a clock that does not keep the clock alive: it is the key of a weak dictionary."""
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
