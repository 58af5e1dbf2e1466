"""Floor 3. A retry budget that a store keeps for many processes: the part of it that one process has leased.

The store keeps one bucket (`Bucket` is its definition in Python, and a script does the same where the store runs). A
process asks it only when a retry is wanted and no leased token is at hand (`LeasedBudget`). How the store is reached,
and who waits for its answer, is up to the adapter: `redouble.adapters.redis`.

In an event loop nothing may wait for the store in the middle of a decision. So there the decision is to wait, and the
answer is heard during that wait, before the next attempt: see `Question` and `redouble.calls.call.Call.sleeps_on`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from redouble.control import faults
from redouble.control.budget import HINTED_COST, TINY, RetryBudget
from redouble.control.host import in_event_loop
from redouble.control.masking import clean
from redouble.core import checks

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.core.checks import Seconds

LEASE = 5.0
"""Tokens that a process has at hand at most; it asks for more than one only where it asked within `EMPTY` before."""

EMPTY = 1.0
"""Seconds for which a refusal of the store holds: retries that are wanted meanwhile are refused without asking."""

IDLE = 1.0
"""Seconds after which tokens at hand that no retry wanted go back to the store."""

AWAY = 5.0
"""Seconds for which a process goes by a budget of its own after the store has failed, until it is tried again."""

TIMEOUT = 0.05
"""Seconds that a retry waits for the store at most."""

FOREVER = 1e18
"""Seconds since the last answer, where there was none."""


class Request(NamedTuple):
    """One question to the store.

    Fields:
        successes: On the first attempt, since the last request; those from before the window count less.
        back: Tokens that go back: of retries that worked, and leased ones that no retry wanted.
        need: Tokens without which the answer is a refusal; 0: none are asked for.
        most: Tokens that are welcome.
        since: Seconds since the last answered request of this process: more cannot have passed for the bucket, whatever
            the clock of the store says.
    """

    successes: float
    back: float
    need: float
    most: float
    since: float


class Reply(NamedTuple):
    """The answer: the tokens that are leased now, and those that are left in the bucket."""

    leased: float
    tokens: float


class Bucket:
    """The bucket that a store keeps, in Python: the definition that a store's script is held to.

    Args:
        budget: Has the settings.
    """

    def __init__(self, budget: RetryBudget) -> None:
        self._budget = budget
        self.tokens = budget.burst
        self._at: float | None = None

    def answer(self, request: Request, now: float) -> Reply:
        """Count what the request brings, and lease what it asks for where it can be had.

        A lease is what is needed, or a quarter of the bucket where more is welcome: one process never empties it.
        """
        budget, tokens = self._budget, self.tokens
        at, self._at = self._at, now
        passed = 0.0 if at is None else max(0.0, min(now - at, request.since))
        if tokens > budget.burst:
            tokens = budget.burst + (tokens - budget.burst) * max(0.0, 1.0 - passed / budget.window)
        else:
            tokens = min(budget.burst, tokens + budget.trickle * passed)
        tokens += budget.ratio * request.successes + request.back
        leased = 0.0
        if request.need > 0 and tokens >= request.need - TINY:
            leased = min(tokens, request.most, max(request.need, tokens // 4))
        self.tokens = tokens = tokens - leased
        return Reply(leased, tokens)


class Question:
    """A retry that waits for the store: granted or refused by the time that `ends` tells, whatever the store does.

    It holds no token until `answer` grants it, so one that is dropped loses none.
    """

    __slots__ = ("_began", "_budget", "_hinted", "_ticket", "ends")

    def __init__(self, budget: LeasedBudget, hinted: bool, now: float) -> None:
        self._budget = budget
        self._hinted = hinted
        self._began = now
        self.ends = now + budget.timeout
        self._ticket = budget._register(hinted)

    def answer(self) -> bool | None:
        """Return whether the retry is granted, and take its token then; `None`: it is not known yet."""
        budget = self._budget
        now = budget._clock()
        found = budget._decide(now, self._hinted)
        if found is not None:
            return found
        if now >= self.ends:
            return budget._decide_late(now, self._hinted, self._began)
        if budget._served >= self._ticket:  # answered, but another retry was faster
            self._ticket = budget._register(self._hinted)
        return None

    def wait(self) -> bool:
        """Block until the answer is known."""
        while (found := self.answer()) is None:
            self._budget._await(self._ticket, self.ends)
        return found


class LeasedBudget(RetryBudget):
    """What one process knows of a budget that a store keeps: the tokens at hand, and whether the store is away.

    As a `RetryBudget` it is also the budget of this process alone, by which it goes while the store is away; `share` is
    for that one. An adapter says how a request is made: it wakes whatever makes requests in `_wake`, gets each from
    `_next`, and tells its outcome to `_answered` or `_lose`.

    Args:
        timeout: Seconds that a retry waits for the store at most, > 0.
        settings: As for `RetryBudget`.
    """

    __slots__ = (
        "_ahead",
        "_answered_at",
        "_asked_at",
        "_away",
        "_away_until",
        "_empty_until",
        "_hand",
        "_need",
        "_out",
        "_owed",
        "_probing",
        "_served",
        "_serving",
        "_tickets",
        "_told",
        "_used_at",
        "_want",
        "timeout",
    )

    is_remote = True

    _ahead: float  # tokens that the next request asks for, at least
    _answered_at: float | None  # when the last request was sent that was answered
    _asked_at: float  # when a token was last asked for
    _away: bool
    _away_until: float  # when the store is to be tried again
    _empty_until: float
    _hand: float  # leased tokens, not spent
    _need: float  # the least that a waiting retry needs
    _out: float  # leased tokens, spent and not refunded
    _owed: float  # refunds that go back with the next request
    _probing: bool  # whether the store that is away is to be tried
    _served: int  # up to which ticket retries have been answered
    _serving: int  # and will be, when the request under way is
    _tickets: int  # retries that had to wait
    _told: float  # tokens that were left in the store
    _used_at: float  # when the tokens at hand last changed
    _want: float  # what the waiting retries need together

    def __init__(self, *, timeout: Seconds = TIMEOUT, **settings: Any) -> None:
        self.timeout = checks.seconds("timeout", timeout, positive=True)
        super().__init__(**settings)

    def _begin(self, now: float) -> None:
        super()._begin(now)
        self._hand = self._out = self._owed = self._need = self._want = 0.0  # a child's parent has the leases
        self._tickets = self._served = self._serving = 0
        self._ahead = 1.0
        self._answered_at = None
        self._asked_at = self._empty_until = self._away_until = self._used_at = float("-inf")
        self._away = self._probing = False
        self._told = self.burst

    def fresh(self, clock: Callable[[], float] | None = None) -> RetryBudget:
        """Return a full budget of this process alone with the same settings, `share` apart: for tests and virtual time."""
        settings: dict[str, Any] = self._settings() | {"share": 1.0}
        return RetryBudget(**settings, clock=self._clock if clock is None else clock)

    # A retry.

    def take(self, now: float | None = None, hinted: bool = False) -> bool:
        """Return whether a retry is granted; it takes its token then.

        Waits for the store for `timeout` seconds at most. In an event loop it does not wait: where no token is at hand,
        it refuses, and asks the store for the next retry. (The retried calls of redouble do better there: `ask`.)

        Args:
            now: A reading of the budget's clock; `None` reads it.
            hinted: Whether the server said when to come back: such a retry takes 5/14 of a token.
        """
        found = self.ask(hinted, now)
        if isinstance(found, bool):
            return found
        if not in_event_loop():
            return found.wait()
        with self._lock:
            self._denied += 1
        return False

    def ask(self, hinted: bool = False, now: float | None = None) -> bool | Question:
        """Return whether a retry is granted, as `take`, or where the store is to be asked, the question; never blocks."""
        if self._lock._is_owned():  # as in `RetryBudget.take`
            return False
        now = self._clock() if now is None else now
        found = self._decide(now, hinted)
        return Question(self, hinted, now) if found is None else found

    def refund(self, hinted: bool = False) -> None:
        """Give back the token of a granted retry that worked; `hinted` as it was taken.

        It is at hand for the next retry, and goes back to the store within a second otherwise.
        """
        if self.strict or self._lock._is_owned():
            return
        with self._lock:
            cost = self._returned(hinted)
            if self._away or not cost or self._out < cost - TINY:  # the store has lent none
                self._back += cost
                return
            self._out = max(0.0, self._out - cost)
            if self._hand + cost <= LEASE:
                self._hand += cost
            else:
                self._owed += cost
            self._used_at = self._clock()
        self._wake()

    def _decide(self, now: float, hinted: bool) -> bool | None:
        """Grant or refuse by what is known here; `None`: the store is to be asked."""
        cost = _cost(hinted)
        with self._lock:
            if self._hand >= cost - TINY:
                self._hand = max(0.0, self._hand - cost)
                self._out += cost
                self._used_at = now
                self._count(hinted)
                return True
            if not self._away and now >= self._empty_until:
                return None
            away, probing = self._away, False
            if not away:
                self._denied += 1
            elif now >= self._away_until:  # in the background: no call waits for a store that was away
                self._away_until = now + AWAY
                self._probing = probing = True
        if probing:
            self._wake()
        granted = away and super().take(now, hinted)
        if not granted:
            self._say_refused()
        return granted

    def _decide_late(self, now: float, hinted: bool, began: float) -> bool:
        """Decide without the store, which left a retry waiting since `began`.

        It is away unless it has answered meanwhile: then other retries were faster, again and again, and this one is
        refused.
        """
        with self._lock:
            if self._answered_at is not None and self._answered_at >= began:
                self._denied += 1
                return False
        self._lose(now, None)
        return bool(self._decide(now, hinted))

    def _count(self, hinted: bool) -> None:
        if hinted:
            self._hinted += 1
        else:
            self._whole += 1

    def _say_refused(self) -> None:
        """Log the first refusal of a budget."""
        if self.name is not None and faults.once("leased budget", self.name):
            faults.warn(
                "the retry budget %r of the fleet refused a retry: too many calls fail, so they are not retried until"
                " others succeed",
                self.name,
            )

    # Requests to the store: whoever makes them calls these.

    def _register(self, hinted: bool) -> int:
        """Note that a retry waits for the store; return its ticket."""
        cost = _cost(hinted)
        with self._lock:
            self._need = min(self._need or cost, cost)
            self._want += cost
            self._tickets += 1
            ticket = self._tickets
        self._wake()
        return ticket

    def _next(self, now: float) -> Request | None:
        """Return the request that is due, if one is."""
        with self._lock:
            return self._due(now)

    def _due(self, now: float) -> Request | None:
        since = FOREVER if self._answered_at is None else max(0.0, now - self._answered_at)
        if self._want:
            if now - self._asked_at <= EMPTY:
                self._ahead = min(LEASE, 2.0 * self._ahead)
            else:
                self._ahead = 1.0
            need, most = self._need, min(LEASE, max(self._want, self._ahead))
            self._asked_at, self._serving = now, self._tickets
            self._want = self._need = 0.0
            back, self._owed = self._owed, 0.0
            return Request(self._collect(now), back, need, max(need, most), since)
        if self._away:
            probing, self._probing = self._probing, False
            return Request(0.0, 0.0, 0.0, 0.0, since) if probing else None
        if self._hand + self._owed > TINY and now - self._used_at >= IDLE - TINY:
            back, self._owed, self._hand = self._owed + self._hand, 0.0, 0.0
            self._serving = self._tickets
            return Request(self._collect(now), back, 0.0, 0.0, since)
        return None

    def _collect(self, now: float) -> float:
        """Return the successes that no request has carried yet; those from before the window count less.

        They are gone for the budget of this process, whose own tokens are counted up to now.
        """
        passed = max(0.0, now - self._at)
        self._tokens, self._at = self._level(passed, 0, 0.0), max(now, self._at)
        new = max(0, self.hits - self._seen)
        self._seen += new
        return new * min(1.0, self.window / passed) if passed else float(new)

    def _answered(self, request: Request, reply: Reply, sent: float, now: float) -> None:
        """Note the answer to a request that was sent at `sent`; one that came too late brings the store not back."""
        with self._lock:
            self._hand += reply.leased
            self._told = reply.tokens
            self._answered_at = sent
            self._served = self._serving
            if reply.leased:
                self._used_at = now
            elif request.need:
                self._empty_until = now + EMPTY
            if now - sent <= self.timeout:
                self._away = False

    def _lose(self, now: float, error: Exception | None) -> None:
        """Note that the store failed, or did not answer in time; `request` and what it carried are lost."""
        with self._lock:
            was, self._away = self._away, True
            self._away_until = now + AWAY
            self._served = self._serving = self._tickets
            self._want = self._need = 0.0
        if not was and self.name is not None and faults.once("store of a budget", self.name):
            late = f"did not answer within {self.timeout * 1000:.0f} ms"
            why = late if error is None else f"failed ({faults.kind_name(error)}: {clean(str(error), 80)})"
            faults.warn(
                "the store of the retry budget %r %s; this process goes by a budget of its own meanwhile",
                self.name,
                why,
            )

    def _wake(self) -> None:
        """Let the request be made that is due now or becomes due; the lock is free, so that greenlets may switch here."""
        raise NotImplementedError

    def _await(self, ticket: int, ends: float) -> None:
        """Block until the ticket has been served, or until `ends`."""
        raise NotImplementedError

    # Telling.

    def snapshot(self, now: float | None = None) -> dict[str, Any]:
        """Return its state in this process as a dict for JSON and for metrics, and change nothing.

        Returns:
            As `RetryBudget.snapshot`, of this process; `tokens` are those of the fleet when the store last told, and
            those at hand, or while the store is away those of this process alone; `leased`, tokens at hand; `away`,
            whether the store is.
        """
        with self._lock:
            told = super().snapshot(now)
            if not self._away:
                told["tokens"] = self._told + self._hand
            return told | {"leased": self._hand, "away": self._away}


def _cost(hinted: bool) -> float:
    return HINTED_COST if hinted else 1.0
