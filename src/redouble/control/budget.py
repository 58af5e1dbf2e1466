"""Floor 3. The retry budget: a bucket of tokens that successes fill, so that retries never make an outage worse.

Backoff and jitter only move retries about in time; a limit on their number ends a retry storm. The success path adds 1
to an integer; all other counting is put off until a retry asks for a token (`take`). `redouble simulate`
(`redouble.cli.storm`) draws a storm with and without a budget.
"""

from __future__ import annotations

import os
from _thread import RLock
from _weakref import ref
from time import monotonic

from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from redouble.core.checks import Seconds

RATIO = 0.1
"""Tokens that a success on the first attempt deposits (SRE book, chapter 22; gRPC A6; Brooker, 2022)."""

BURST = 20.0
"""Tokens of a full bucket: ten calls may fail all of their three attempts before the budget refuses a retry."""

WINDOW = 10.0
"""Seconds after which a deposit above `burst` is gone."""

TRICKLE = 1 / 300
"""Tokens a second that need no success: 12 an hour, enough for the retries of an hourly job, too few for a storm."""

HINTED_COST = 5 / 14
"""Tokens of a retry whose wait the server named (the AWS SDKs: 5 of their units for throttling, 14 for others)."""

INFINITE = float("inf")

TINY = 1e-9
"""The rounding error that is forgiven: ten deposits of 0.1 buy one token, though they add up to a little less."""


class RetryBudget:
    """Limit the retries of many calls by shared tokens, so that retries never make an outage worse.

    A success on the first attempt deposits `ratio` tokens. A retry takes one (5/14 when the server named the wait); a
    retry that succeeds gives it back. First attempts are never refused. At every instant, in tokens and under any
    interleaving of threads:

        granted - refunded <= burst + ratio * first_try_successes + trickle * elapsed

    The bound holds for each budget object: `n` processes, each with a budget of its own, may spend `n` bursts. After a
    `fork` the child keeps the parent's tokens, at most `burst`, and its counts begin at 0.

    Threads, tasks, event loops and greenlets may share a budget. Copying returns the same object. Unpickling returns a
    full budget with the same settings, or for a `named` one the budget that the process shares by that name.

    Args:
        ratio: Tokens that a success on the first attempt deposits, in [0, 1].
        burst: Tokens of a full bucket, >= 0: the number of retries granted before any success.
        window: Seconds after which deposits above `burst` have faded, > 0.
        trickle: Tokens added per second without any success, >= 0.
        name: A label. Two budgets with one label are two budgets; `named` shares one.
        strict: `True`: a retry that succeeds gives back no token, so retries never exceed `ratio` of the successes.
        share: The part of `burst` and `trickle` that belongs to this process, in (0, 1]: 1/n in a fleet of n.
        clock: A callable that returns the time in seconds, used where `take` and `snapshot` are called without `now`.

    Attributes:
        ratio, burst, window, trickle, name, strict, share: As given; read-only.
        hits: Successes on the first attempt. The code that makes the calls adds 1: `budget.hits += 1`, without a lock; an
            increment lost between two threads loses one deposit and no more.

    Raises:
        TypeError: For a value of the wrong type.
        ValueError: For a value out of its bounds.

    Source: Brooker, "Fixing retries with token buckets and circuit breakers" (2022); Google SRE book, chapter 22; the
    retry quota of the AWS SDKs, whose refund this is.

    >>> budget = RetryBudget(burst=2, clock=lambda: 0.0)
    >>> [budget.take() for _ in range(3)]
    [True, True, False]
    >>> budget.hits += 10
    >>> budget.take(), budget.take()
    (True, False)
    """

    __module__ = "redouble"

    is_remote = False  # True: `ask` may have to wait for a store (redouble.control.leases)

    __slots__ = (
        "__weakref__",
        "_at",
        "_back",
        "_base",
        "_began",
        "_clock",
        "_denied",
        "_full",
        "_hinted",
        "_hinted_back",
        "_income",
        "_lock",
        "_seen",
        "_tokens",
        "_whole",
        "_whole_back",
        "burst",
        "hits",
        "name",
        "ratio",
        "share",
        "strict",
        "trickle",
        "window",
    )

    ratio: float
    burst: float
    window: float
    trickle: float
    name: str | None
    strict: bool
    share: float
    hits: int
    _clock: Callable[[], float]
    _lock: Any
    _full: float  # burst, after share
    _income: float  # trickle, after share
    _tokens: float
    _back: float  # refunds that wait for the next `take`
    _base: int  # `hits` when counting began
    _seen: int  # the `hits` that have been deposited
    _began: float
    _at: float  # when the tokens were last counted
    _whole: int  # retries granted for a whole token
    _hinted: int  # retries granted for `HINTED_COST`
    _whole_back: int  # refunds of whole tokens
    _hinted_back: int  # refunds of `HINTED_COST`
    _denied: int

    def __init__(
        self,
        ratio: float = RATIO,
        burst: float = BURST,
        window: Seconds = WINDOW,
        trickle: float = TRICKLE,
        *,
        name: str | None = None,
        strict: bool = False,
        share: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.ratio = checks.number("ratio", ratio, least=0, most=1)
        self.burst = checks.number("burst", burst, least=0)
        self.window = checks.seconds("window", window, positive=True)
        self.trickle = checks.number("trickle", trickle, least=0)
        self.name = _name(name)
        self.strict = checks.flag("strict", strict)
        self.share = _share(share)
        self._clock = clock if clock is monotonic else checks.asked("clock", clock)
        self._full = self.burst * self.share
        self._income = self.trickle * self.share
        self.hits = 0
        self._tokens = self._full
        self._begin(self._clock())
        _alive.add(ref(self, _alive.discard))

    def _begin(self, now: float) -> None:
        """Begin to count: in `__init__`, and in the child of a fork."""
        self._lock = RLock()  # in a child, the old one may be held by a thread that does not exist there
        self._tokens = min(self._tokens, self._full)
        self._back = 0.0
        self._base = self._seen = self.hits
        self._began = self._at = now
        self._whole = self._whole_back = self._hinted = self._hinted_back = self._denied = 0

    # Sharing.

    @classmethod
    def named(cls, name: str, **settings: Any) -> Self:
        """Return the budget that this process shares by `name`, made at the first call.

        Args:
            name: A string that is not empty.
            settings: As for the class. A setting that is left out agrees with any value.

        Raises:
            ValueError: When the budget exists already with a different value of a given setting.

        >>> RetryBudget.named("inventory", ratio=0.2) is RetryBudget.named("inventory")
        True
        """
        if name is None:
            raise TypeError("name must be a string that is not empty, got None")
        wanted = cls(name=name, **settings)
        found = _named.setdefault((cls, name), wanted)  # two threads that make one both get the same
        for field in _DEFAULTS.keys() & settings:
            value, other = getattr(found, field), getattr(wanted, field)
            if value != other:
                raise ValueError(
                    f"the budget {name!r} has {field}={value!r} already, got {field}={other!r}:"
                    " write the settings where it is first named, and its name alone elsewhere"
                )
        budget: Self = found
        return budget

    @classmethod
    def for_attempts(cls, attempts: int, **settings: Any) -> Self:
        """Return a new budget whose `burst` is at least `attempts - 1`, so that one call can use all its attempts.

        >>> RetryBudget.for_attempts(50)
        redouble.RetryBudget(burst=49.0)
        >>> RetryBudget.for_attempts(3)
        redouble.RetryBudget()
        """
        least = checks.whole("attempts", attempts, least=1) - 1
        settings["burst"] = max(least, checks.number("burst", settings.get("burst", BURST), least=0))
        return cls(**settings)

    def fresh(self, clock: Callable[[], float] | None = None) -> RetryBudget:
        """Return a full budget with the same settings; `clock` replaces the clock, `None` keeps it."""
        return type(self)(**self._settings(), clock=self._clock if clock is None else clock)

    # A retry.

    def take(self, now: float | None = None, hinted: bool = False) -> bool:
        """Take a token for a retry, and return whether there was one: `False` refuses the retry.

        Args:
            now: A reading of the budget's clock; `None` reads it.
            hinted: `True` when the server named the wait: such a retry takes 5/14 of a token.
        """
        lock = self._lock
        if (
            lock._is_owned()
        ):  # called by a signal handler or a finalizer that interrupted this very method: tokens are half counted
            return False
        if now is None:
            now = self._clock()
        with lock:
            elapsed = now - self._at
            if 0.0 < elapsed < INFINITE:  # below 0 when another thread read the clock later but got the lock first
                self._at = now
            else:
                elapsed = 0.0
            # Mark as credited first, then credit: an exception in between (Ctrl-C) may only lose credit.
            new = self.hits - self._seen
            if new > 0:  # below 0 after a thread wrote a stale `hits`, until it has caught up
                self._seen += new
            else:
                new = 0
            back, self._back = self._back, 0.0
            self._tokens = tokens = self._level(elapsed, new, back)
            cost = HINTED_COST if hinted else 1.0
            if tokens < cost - TINY:
                self._denied += 1
                return False
            self._tokens = tokens - cost
            if hinted:
                self._hinted += 1
            else:
                self._whole += 1
            return True

    def refund(self, hinted: bool = False) -> None:
        """Give back the token of a retry that succeeded; pass `hinted` as it was passed to `take`.

        A `strict` budget takes none back, nor does one without an outstanding retry: a refund never creates tokens.
        """
        lock = self._lock
        if self.strict or lock._is_owned():  # as in `take`: the credit is lost, which is the safe side
            return
        with lock:
            self._back += self._returned(hinted)

    def _returned(self, hinted: bool) -> float:
        """Count a refund and return its tokens; 0.0 when no such retry is outstanding."""
        if hinted:
            if self._hinted_back < self._hinted:
                self._hinted_back += 1
                return HINTED_COST
        elif self._whole_back < self._whole:
            self._whole_back += 1
            return 1.0
        return 0.0

    def _level(self, elapsed: float, new: int, back: float) -> float:
        """Return the tokens after `elapsed` seconds with `new` successes and the refund `back`."""
        tokens, full, window = self._tokens, self._full, self.window
        if tokens > full:
            kept = 1.0 - elapsed / window
            tokens = full + (tokens - full) * kept if kept > 0.0 else full
        else:
            tokens += self._income * elapsed
            if tokens > full:
                tokens = full
        if new:  # deposits from before the window have faded
            deposit = self.ratio * new
            tokens += deposit * window / elapsed if elapsed > window else deposit
        return tokens + back

    # State.

    def snapshot(self, now: float | None = None) -> dict[str, Any]:
        """Return the state as a dict for JSON and metrics, without changing it.

        Returns:
            `name`; `tokens` at this moment; `granted`, `denied` and `refunded`, numbers of retries; `spent`, the tokens
            granted and not refunded; `successes` on the first attempt; `elapsed`, seconds since the counts began.

        >>> budget = RetryBudget(burst=2, clock=lambda: 0.0)
        >>> budget.take()
        True
        >>> budget.snapshot()["tokens"], budget.snapshot()["granted"]
        (1.0, 1)
        """
        now = self._clock() if now is None else now
        with self._lock:
            elapsed = max(0.0, now - self._at)
            new = max(0, self.hits - self._seen)
            whole, hinted = self._whole - self._whole_back, self._hinted - self._hinted_back
            return {
                "name": self.name,
                "tokens": max(0.0, self._level(elapsed, new, self._back)),
                "granted": self._whole + self._hinted,
                "denied": self._denied,
                "refunded": self._whole_back + self._hinted_back,
                "spent": whole + hinted * HINTED_COST,
                "successes": self._seen + new - self._base,
                "elapsed": self._at + elapsed - self._began,
            }

    def __repr__(self) -> str:
        shown = [f"{field}={value!r}" for field, value in self._settings().items() if value != _DEFAULTS[field]]
        return f"redouble.RetryBudget({', '.join(shown)})"

    def _settings(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in _DEFAULTS}

    # A budget is made to be shared: a copy would be a second bucket.

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        shared = _named.get((type(self), self.name)) is self
        return _unpickled, (type(self), self._settings(), shared)


_DEFAULTS: dict[str, Any] = {
    "ratio": RATIO,
    "burst": BURST,
    "window": WINDOW,
    "trickle": TRICKLE,
    "name": None,
    "strict": False,
    "share": 1.0,
}

_named: dict[tuple[type, str | None], Any] = {}
_alive: set[ref[RetryBudget]] = set()
"""All budgets, for the child of a fork."""


def _unpickled(cls: type[RetryBudget], settings: dict[str, Any], shared: bool) -> RetryBudget:
    """Make a budget again in another process, with that process's own clock: readings of another mean nothing there."""
    return cls.named(**settings) if shared else cls(**settings)


def _name(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    kind = ValueError if isinstance(value, str) else TypeError
    raise kind(f"name must be a string that is not empty, or None, got {checks.shown(value)}")


def _share(value: Any) -> float:
    share = checks.number("share", value, least=0, most=1)
    if share == 0:
        raise ValueError("share must be above 0, such as 1/n in a fleet of n processes, got 0")
    return share


def _begin_in_child() -> None:
    for budget in filter(None, [each() for each in tuple(_alive)]):
        budget._begin(budget._at)  # when its tokens were last counted


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows has no fork
    os.register_at_fork(after_in_child=_begin_in_child)
