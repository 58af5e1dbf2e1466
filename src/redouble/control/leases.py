"""Floor 3. A retry budget that a store keeps for many processes: the part of it that one process has leased.

The store keeps one bucket (`Bucket` defines it in Python, a script does the same in the store). A process asks the
store only when it wants a retry and has no leased token left (`LeasedBudget`). The adapter sends the requests and waits
for the answers: `redouble.adapters.redis`.

An event loop must not block on the store in the middle of a decision. There the decision is to wait, and the store's
answer is read during that wait, before the next attempt: see `Question` and `redouble.calls.call.Call.sleeps_on`.
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
"""The most leased tokens that a process keeps; it asks for more than one only if it asked before within `EMPTY`."""

EMPTY = 1.0
"""Seconds for which a refusal of the store holds: further retries are refused without asking."""

IDLE = 1.0
"""Seconds after which leased tokens that no retry took go back to the store."""

AWAY = 5.0
"""Seconds for which a process uses a budget of its own after the store has failed, before it tries the store again."""

TIMEOUT = 0.05
"""The most seconds that a retry waits for the store."""

FOREVER = 1e18
"""Seconds since the last answer, if there was none."""


class Request(NamedTuple):
    """A request to the store.

    Fields:
        successes: Successes on the first attempt since the last request; those from before the window count less.
        back: Tokens to give back: of retries that succeeded, and leased ones that no retry took.
        need: The fewest tokens wanted; with fewer in the bucket the answer is a refusal. 0: none are asked for.
        most: The most tokens wanted.
        since: Seconds since the last answered request of this process: the bucket counts no longer time than this, even
            if the store's clock does.
    """

    successes: float
    back: float
    need: float
    most: float
    since: float


class Reply(NamedTuple):
    """The store's answer: the tokens leased now, and the tokens left in the bucket."""

    leased: float
    tokens: float


class Bucket:
    """The bucket that a store keeps, in Python: a store's script must behave the same.

    Args:
        budget: The budget with the settings.
    """

    def __init__(self, budget: RetryBudget) -> None:
        self._budget = budget
        self.tokens: float = budget.burst
        self._at: float | None = None

    def answer(self, request: Request, now: float) -> Reply:
        """Add the tokens that a request brings, and lease those that it asks for if there are enough.

        A lease is `need`, or up to a quarter of the bucket where `most` is higher: one process never empties it.
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
    """A retry that waits for the store: granted or refused by the moment `ends`, even if the store never answers.

    It holds no token until `answer` grants it, so a question that is dropped loses none.
    """

    __slots__ = ("_began", "_budget", "_hinted", "_ticket", "ends")

    def __init__(self, budget: LeasedBudget, hinted: bool, now: float) -> None:
        self._budget = budget
        self._hinted = hinted
        self._began = now
        self.ends: float = now + budget.timeout
        self._ticket = budget._register(hinted)

    def answer(self) -> bool | None:
        """Take a token, and return whether there was one; `None`: the store has not answered yet."""
        budget = self._budget
        now = budget._clock()
        found = budget._decide(now, self._hinted)
        if found is not None:
            return found
        if now >= self.ends:
            return budget._decide_late(now, self._hinted, self._began)
        if budget._served >= self._ticket:  # the store answered, but another retry took the tokens
            self._ticket = budget._register(self._hinted)
        return None

    def wait(self) -> bool:
        """Block until the answer is known."""
        while (found := self.answer()) is None:
            self._budget._await(self._ticket, self.ends)
        return found


class LeasedBudget(RetryBudget):
    """The part of a store's budget that this process holds: the leased tokens, and the state of the store.

    As a `RetryBudget` it is also the budget of this process alone, used while the store is away; `share` applies to
    that one. An adapter sends the requests: `_wake` starts its sender, which gets each request from `_next` and reports
    the outcome to `_answered` or `_lose`.

    Args:
        timeout: The most seconds that a retry waits for the store, > 0.
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

    timeout: float
    _ahead: float  # the fewest tokens that the next request asks for
    _answered_at: float | None  # when the last answered request was sent
    _asked_at: float  # when a token was last asked for
    _away: bool
    _away_until: float  # when the store is to be tried again
    _empty_until: float
    _hand: float  # leased tokens, not spent
    _need: float  # the cost of the cheapest waiting retry
    _out: float  # leased tokens, spent and not refunded
    _owed: float  # refunds that go back with the next request
    _probing: bool  # the store is away, and is to be tried again
    _served: int  # the last ticket that has been answered
    _serving: int  # the last ticket that the request under way will answer
    _tickets: int  # the number of retries that had to wait
    _told: float  # the tokens in the store at its last answer
    _used_at: float  # when the leased tokens last changed
    _want: float  # the cost of all waiting retries together

    def __init__(self, *, timeout: Seconds = TIMEOUT, **settings: Any) -> None:
        self.timeout = checks.seconds("timeout", timeout, positive=True)
        super().__init__(**settings)

    def _begin(self, now: float) -> None:
        super()._begin(now)
        self._hand = self._out = self._owed = self._need = self._want = 0.0  # the leases stay with the parent
        self._tickets = self._served = self._serving = 0
        self._ahead = 1.0
        self._answered_at = None
        self._asked_at = self._empty_until = self._away_until = self._used_at = float("-inf")
        self._away = self._probing = False
        self._told = self.burst

    def fresh(self, clock: Callable[[], float] | None = None) -> RetryBudget:
        """Return a full budget of this process alone, with the same settings but for `share`: for tests."""
        settings: dict[str, Any] = self._settings() | {"share": 1.0}
        return RetryBudget(**settings, clock=self._clock if clock is None else clock)

    # A retry.

    def take(self, now: float | None = None, hinted: bool = False) -> bool:
        """Take a token for a retry, and return whether there was one: `False` refuses the retry.

        Waits for the store up to `timeout` seconds. In an event loop it does not wait: without a leased token it
        refuses, and asks the store for the next retry's. (redouble's own calls use `ask`, which does better there.)

        Args:
            now: A reading of the budget's clock; `None` reads it.
            hinted: `True` when the server named the wait: such a retry takes 5/14 of a token.
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
        """Take a token as `take` does, or return the question to the store; never blocks."""
        if self._lock._is_owned():  # as in `RetryBudget.take`
            return False
        now = self._clock() if now is None else now
        found = self._decide(now, hinted)
        return Question(self, hinted, now) if found is None else found

    def refund(self, hinted: bool = False) -> None:
        """Give back the token of a retry that succeeded; pass `hinted` as it was passed to `take`.

        The next retry may take the token; otherwise it goes back to the store within a second.
        """
        if self.strict or self._lock._is_owned():
            return
        with self._lock:
            cost = self._returned(hinted)
            if self._away or not cost or self._out < cost - TINY:  # the token was not the store's
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
        """Grant or refuse without asking the store; `None`: it must be asked."""
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
        """Decide without the store, because a retry has waited for it since `began`.

        If the store answered meanwhile, other retries took its tokens each time, and this one is refused. Otherwise the
        store counts as away.
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

    # Requests to the store: called by the adapter that sends them.

    def _register(self, hinted: bool) -> int:
        """Register a retry that waits for the store, and return its ticket."""
        cost = _cost(hinted)
        with self._lock:
            self._need = min(self._need or cost, cost)
            self._want += cost
            self._tickets += 1
            ticket = self._tickets
        self._wake()
        return ticket

    def _next(self, now: float) -> Request | None:
        """Return the request that is due; `None` when none is."""
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
        """Return the successes that no request has reported yet; those from before the window count less.

        The budget of this process alone no longer counts them; its own tokens are brought up to date first.
        """
        passed = max(0.0, now - self._at)
        self._tokens, self._at = self._level(passed, 0, 0.0), max(now, self._at)
        new = max(0, self.hits - self._seen)
        self._seen += new
        return new * min(1.0, self.window / passed) if passed else float(new)

    def _answered(self, request: Request, reply: Reply, sent: float, now: float) -> None:
        """Record the answer to a request sent at `sent`; after a late answer the store still counts as away."""
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
        """Record that the store failed or did not answer in time; the request, its tokens and successes are lost."""
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
        """Let the due request be sent, now or when it is due; called without the lock, so that greenlets may switch."""
        raise NotImplementedError

    def _await(self, ticket: int, ends: float) -> None:
        """Block until the ticket has been served, or until `ends`."""
        raise NotImplementedError

    # State.

    def snapshot(self, now: float | None = None) -> dict[str, Any]:
        """Return the state in this process as a dict for JSON and metrics, without changing it.

        Returns:
            As `RetryBudget.snapshot`, of this process. `tokens` are the store's at its last answer plus the leased
            ones; while the store is away, those of this process alone. Also `leased`, the leased tokens not spent, and
            `away`, `True` while the store is away.
        """
        with self._lock:
            told = super().snapshot(now)
            if not self._away:
                told["tokens"] = self._told + self._hand
            return told | {"leased": self._hand, "away": self._away}


def _cost(hinted: bool) -> float:
    return HINTED_COST if hinted else 1.0
