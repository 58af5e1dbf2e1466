"""Floor 3. The counts of one retried call or one connection, and the decision that follows from an outcome.

Lean on purpose: every failure of every retried call goes through `Tally.decide`. `BackoffController` checks the input
of outside callers (late reports, draws, status); `redouble.calls.call` keeps the state of a call. Both hold a tally; no
class inherits from it.
"""

from __future__ import annotations

from math import inf, nextafter
from time import monotonic

from redouble.control import faults
from redouble.control.clock import SYSTEM, guarded_now, is_set
from redouble.control.curves import OwnCurves, ended, safe_delay, sane
from redouble.control.host import in_event_loop
from redouble.control.mark import given_up_during
from redouble.control.outcome import GaveUp, Reason
from redouble.core import checks
from redouble.core.backoff import CEILING
from redouble.core.verdict import Classification, Verdict
from redouble.known.own_retries import given_up_by
from redouble.known.request import sends_unsafely, shows_engine, shows_safe_method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from redouble.control.budget import RetryBudget
    from redouble.control.clock import Clock
    from redouble.control.cooldown import Cooldown
    from redouble.control.leases import Question
    from redouble.control.policy import Policy
    from redouble.core.backoff import Backoff
    from redouble.known.handed import Handed
    from redouble.known.own_retries import OwnRetries
    from redouble.known.request import Sent

SHORTEST_PENDING = 0.1
PENDING_EVERY = 5.0
"""Seconds before a pending result is asked for again, when no rule or server names a wait (RFC 8628 3.5)."""

NEAR = 1e-6
"""Seconds that count as none."""

HINT_SPREAD = 0.1
"""The largest share by which a server's hint is lengthened, so that clients with the same hint do not come together."""

_TRANSIENT, _PENDING = Verdict.TRANSIENT, Verdict.PENDING


class Tally:
    """Counts attempts and failures, and decides.

    Attributes:
        policy: The policy in force.
        name: The name that a decision to give up carries.
        clock, now, draw: The clock, its guarded reading, and the guarded randomness.
        attempt: The number of the last attempt that began; 0 before the first.
        earlier: The number of attempts in earlier episodes.
        earlier_errors: The count of errors by the name of their type, over the attempts that another one followed.
        failures: The number of attempts that failed in a row.
        began: When the current attempt began, always by `time.monotonic` and not by the policy's clock.
        delay_by: The origin of the last wait: the backoff curve, the server or the cooldown.
        started: When the first attempt of the episode began; `None` before.
        ended_at: When the episode ended; `None` while it is under way.
        exclusive: `True`: a wait that ends exactly at the policy's deadline is too late.
        own_end: The moment of the policy's deadline; `None`: no deadline.
        bound: The earliest end of the bounds around the call; infinite: no bound.
        due: When the wait under way is over; `None`: no wait is under way.
        budget: The retry budget; `None`: no budget.
        cooldown: The cooldown that holds attempts back until the server wants them; `None`: no cooldown.
        held_since: The moment since which the next attempt is held back; `None`: it is not.
        lag: Seconds by which the clock stayed behind the waits.
        loops: `True` for the call of a loop, which does not end when the budget refuses.
        most: The most attempts in all, failed or not; `None`: no limit.
        asks: `True`: the wait before a retry may also be used to wait for the store of a budget (`question`).
        question: The open question to that store, which grants or refuses the retry; `None`: none is open.
        took: The cost of the last retry, as taken from the budget.
        handed: The function, its arguments and keyword arguments, to be searched for a caller's idempotency key.
        until: The error that was being handled when the call began.
        keys: The idempotency keys that earlier attempts sent.
        spared: `True`: the current outcome counts as no failure, though a wait follows it.
        sent: The findings about the last failed attempt's requests; `None`: not searched.
        own_retries: The client that gave up on the last error after retries of its own; `None`: none did.
        used_up: The argument that a failed attempt used up; `None`: there is none.
        vouched: `True`: the current attempt is known to be safe to repeat.
        end: The decision to give up; `None` before.
    """

    __slots__ = (
        "asks",
        "attempt",
        "began",
        "bound",
        "budget",
        "clock",
        "cooldown",
        "curves",
        "delay_by",
        "draw",
        "due",
        "earlier",
        "earlier_errors",
        "end",
        "ended_at",
        "exclusive",
        "failures",
        "handed",
        "held_since",
        "keys",
        "lag",
        "loops",
        "most",
        "name",
        "now",
        "own_end",
        "own_retries",
        "policy",
        "previous",
        "question",
        "sent",
        "spared",
        "started",
        "took",
        "until",
        "used_up",
        "vouched",
    )

    asks: bool
    attempt: int
    began: float
    bound: float
    budget: RetryBudget | None
    clock: Clock
    cooldown: Cooldown | None
    curves: OwnCurves | None
    delay_by: Literal["curve", "server", "cooldown"]
    draw: Callable[[], float]
    due: float | None
    earlier: int
    earlier_errors: dict[str, int] | None
    end: GaveUp | None
    ended_at: float | None
    exclusive: bool
    failures: int
    handed: Handed | None
    held_since: float | None
    keys: tuple[str, ...]
    lag: float
    loops: bool
    most: int | None
    name: str | None
    now: Callable[[], float]
    own_end: float | None
    own_retries: OwnRetries | None
    policy: Policy
    previous: float | None
    question: Question | None
    sent: Sent | None
    spared: bool
    started: float | None
    took: Literal["nothing", "token", "hinted token"]
    until: BaseException | None
    used_up: str | None
    vouched: bool

    def __init__(self, policy: Policy, name: str | None = None) -> None:
        self.policy = policy
        self.name = policy.name or name
        clock = policy.clock
        if clock is None:
            self.clock, self.now = SYSTEM, monotonic
        else:
            self.clock, self.now = clock, guarded_now(clock)
        self.draw = (_system_draw or _load_system_draw()) if policy.draw is None else _guarded_draw(policy.draw)
        self.attempt = self.failures = self.earlier = 0
        self.began = 0.0
        self.bound = inf
        self.lag = 0.0
        self.started = self.ended_at = self.own_end = self.due = self.previous = None
        self.curves = self.end = self.used_up = self.earlier_errors = None
        self.budget = self.handed = self.until = self.sent = self.own_retries = None
        self.cooldown = self.held_since = None
        self.keys = ()
        self.loops = self.asks = False
        self.most = self.question = None
        self.took = "nothing"
        self.vouched = self.exclusive = self.spared = False
        self.delay_by = "curve"

    # An episode.

    def begin(self, now: float) -> None:
        """Begin an attempt; the first of an episode fixes the deadline."""
        if self.started is None:
            self.started = now
            self.fix_deadline(now)
        self.due = self.held_since = None
        self.attempt += 1
        self.vouched = False

    def fix_deadline(self, now: float) -> None:
        """Count the policy's deadline from `now` on."""
        deadline = self.policy.deadline
        if deadline is None:
            self.own_end = None
        else:
            self.own_end = nextafter(now + deadline, -inf) if self.exclusive else now + deadline

    def pass_wait(self, now: float) -> float:
        """End the wait: its time has passed, even when the clock stands still.

        Returns:
            The seconds by which the clock lags behind; the moments of the episode are moved back by as much.
        """
        lag = 0.0 if self.due is None else self.due - now
        if lag > 0.0:
            self.started = None if self.started is None else self.started - lag
            self.own_end = None if self.own_end is None else self.own_end - lag
            self.bound -= lag
            self.lag += lag
            return lag
        return 0.0

    def forget_failures(self) -> None:
        """Start the failures and the curves again."""
        self.failures = 0
        self.previous = self.curves = None

    def begin_again(self) -> None:
        """Start a new episode with the next attempt."""
        self.forget_failures()
        self.earlier = self.attempt
        self.took = "nothing"
        self.spared = False
        self.started = self.own_end = self.due = self.ended_at = self.end = self.earlier_errors = None

    def drop(self, now: float) -> None:
        """Start a new episode because a connection that was up has dropped."""
        self.begin_again()
        self.earlier = self.attempt - 1
        self.started = now
        self.fix_deadline(now)

    def elapsed(self, now: float) -> float:
        """Return the seconds since the episode began; 0.0 before its first attempt."""
        return 0.0 if self.started is None else max(0.0, now - self.started)

    @property
    def ends(self) -> float:
        """The moment after which no wait may end; infinite without a deadline."""
        own, bound = self.own_end, self.bound
        return bound if own is None or bound < own else own

    # The decision.

    def decide(  # noqa: C901  # one list of steps, in the order that the documentation promises
        self,
        found: Classification,
        error: BaseException | None,
        now: float,
        draw: float,
        value: object = None,
        number: int = 0,
    ) -> float | GaveUp:
        """Return the seconds to wait after an outcome, or the decision to give up.

        The numbers in comments are the steps of the decision order in docs/explanation/architecture.md.

        Args:
            found: The judgement of the outcome.
            error: The error that the attempt raised; `None`: it returned `value`, or failed without an error.
            now: A reading of the clock.
            draw: A float in [0, 1).
            value: The value that the attempt returned.
            number: The number of the attempt's link in the chain; 0: it has none.
        """
        policy = self.policy
        if found.verdict is not _TRANSIENT:
            if found.verdict is _PENDING:
                return self._ask_again_later(found, error, now, draw)
            return self.give_up(Reason.PERMANENT, now, found, error)  # 3
        # Before any refusal: other calls must learn of the hint, even if this call gives up.
        held = 0.0 if self.cooldown is None else self._share(found, now, draw)
        self.failures = failures = self.failures + 1
        refused = self._refusal(found, error, value, number)
        if refused is not None:
            return self.give_up(refused, now, found, error)  # 4, 5
        if policy.stop is not None and is_set(policy.stop):
            return self.give_up(Reason.STOPPED, now, found, error)  # 6
        limit = None if self.spared else policy.attempts
        if (limit is not None and failures >= limit) or (self.loops and self._has_had_its_most()):
            return self.give_up(Reason.ATTEMPTS, now, found, error)  # 7
        if found.backoff is None and self.curves is None:  # the common case, without the cost of a further call
            try:
                wait = policy.backoff.delay(failures, self.previous, draw)
                if wait.__class__ is not float or not 0.0 <= wait <= CEILING:  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]  # a float: its class says so
                    wait = sane(policy.backoff, wait)
            except Exception as fault:
                wait = ended(policy.backoff, fault)
            self.previous = wait
        else:
            wait = self._next_of_curves(found.backoff, draw, found.rule)
        if wait is None:
            return self.give_up(Reason.CURVE, now, found, error)  # 8
        if found.retry_after is not None:
            asked = self._asked(found, draw)
            if asked is None or (asked > 0 and now + asked > self.ends):
                return self.give_up(Reason.HINT, now, found, error)  # 9
            self.delay_by = "server" if asked > wait else "curve"
            wait = max(wait, asked)
        else:
            self.delay_by = "curve"
        if held > wait:
            if held == inf:
                return self.held_too_long(now, found, error)  # 9
            wait, self.delay_by = held, "cooldown"
        self.due = due = now + wait
        own = self.own_end
        if due > self.bound or (own is not None and due > own):
            return self.give_up(Reason.DEADLINE, now, found, error)  # 10
        # Last, so that a retry that is refused for another reason takes no token.
        if self.budget is not None and not self._take():
            if not self.loops:
                return self.give_up(Reason.BUDGET, now, found, error)  # 11
            self.due, wait = now + 2 * wait, 2 * wait  # a loop does not end: it waits twice as long
            if self.due > self.ends:
                return self.give_up(Reason.DEADLINE, now, found, error)  # 10
        if error is not None:
            self._remember(error)
        elif self.spared:
            self.forget_failures()
            self.spared = False
        return wait  # 12

    def _has_had_its_most(self) -> bool:
        return self.most is not None and self.attempt >= self.most

    def _take(self) -> bool:
        """Take a token for a retry, and return whether there was one; a budget that raises grants the retry."""
        hinted = self.delay_by != "curve"
        budget: Any = self.budget  # the caller has checked that it is not None
        try:
            granted: Any
            if self.asks and in_event_loop():  # an event loop must not block on a store
                granted = budget.ask(hinted)
                if granted.__class__ is not bool:
                    self.question, granted = granted, True
            else:
                granted = budget.take(None, hinted)
        except Exception as fault:
            faults.report("budget", type(self.budget), fault, "the retry is granted")
            return True
        self.took = "nothing" if not granted else "hinted token" if hinted else "token"
        return bool(granted)

    def succeeded(self) -> None:
        """Tell the budget that the attempt succeeded."""
        budget = self.budget
        if budget is None:
            return
        if self.attempt - self.earlier == 1:
            budget.hits += 1
        elif self.took != "nothing":
            budget.refund(self.took == "hinted token")
        self.took = "nothing"

    # A cooldown.

    def _share(self, found: Classification, now: float, draw: float) -> float:
        """Hold other calls back for as long as the server asked this one to wait; return the answer of `held`.

        A hint above `max_hint` that ends this call holds no other calls back: each of them would end at it, too.
        """
        assert self.cooldown is not None
        held, most = self.held(now, draw), self.policy.max_hint
        if found.retry_after is not None:
            hint = _sane_hint(found)
            if most is None or hint <= most:
                self.cooldown.hold(hint, now + self.lag)
            elif self.policy.long_hints == "cap":
                self.cooldown.hold(most, now + self.lag)
        return held

    def held(self, now: float, draw: float) -> float:
        """Return the seconds, spread, for which the cooldown holds the next attempt back.

        Returns:
            0.0 when it does not, or has done so for `max_hint`; infinity when that would be longer than `max_hint` or
            the deadline allow.
        """
        left = 0.0 if self.cooldown is None else self.cooldown.left(now + self.lag)
        if not left:
            return 0.0
        if self.held_since is None:
            self.held_since = now
        most = self.policy.max_hint
        allowed = inf if most is None else most - (now - self.held_since)
        if left > allowed:
            if self.policy.long_hints == "stop":
                return inf
            wait = allowed if allowed > NEAR else 0.0  # a rest left by rounding would be waited for again and again
        else:
            wait = self._spread(now, draw)
        return inf if now + wait > self.ends else wait

    def _spread(self, now: float, draw: float) -> float:
        assert self.cooldown is not None
        return self.cooldown.left(now + self.lag, spread=HINT_SPREAD * draw)

    def held_too_long(
        self, now: float, found: Classification | None = None, error: BaseException | None = None
    ) -> GaveUp:
        """End the episode because the next attempt is held back for longer than the policy allows."""
        left = None if self.cooldown is None else self.cooldown.left(now + self.lag)
        return self.give_up(Reason.HINT, now, found, error, left)

    def _refusal(self, found: Classification, error: BaseException | None, value: object, number: int) -> Reason | None:
        """Return the reason not to repeat the attempt at all, by steps 4 and 5; `None`: it may be repeated."""
        policy = self.policy
        more = error is None or _may_carry_more(error)
        if more and policy.nested == "once":
            self.own_retries = None if error is None else given_up_by(error)
            outcome = value if error is None else error
            if self.own_retries is not None or given_up_during(outcome, self.began, number):
                return Reason.NESTED  # 4
        idempotent = policy.idempotent
        if idempotent is True or self.vouched:
            return None
        if self.used_up is not None or (idempotent is False and found.applied):
            return Reason.UNSAFE  # 5
        if not found.applied or idempotent is False or not (more or shows_engine(error)):
            return None
        self.sent = sent = sends_unsafely(value if error is None else error, self.handed, self.until, self.keys)
        self.keys = (*self.keys, *sent.keys)
        unsafe = sent.unsafe or (
            found.guessed and error is not None and may_be_applied(found) and not shows_safe_method(error)
        )
        return Reason.UNSAFE if unsafe else None  # 5

    def _asked(self, found: Classification, draw: float) -> float | None:
        """Return the server's hint in seconds, spread, or capped by the policy; `None`: it is too long."""
        hint, policy = _sane_hint(found), self.policy
        if policy.max_hint is not None and hint > policy.max_hint:
            if policy.long_hints == "stop":
                return None
            return policy.max_hint
        return hint * (1 + HINT_SPREAD * draw)

    def _ask_again_later(
        self, found: Classification, error: BaseException | None, now: float, draw: float
    ) -> float | GaveUp:
        """Decide after a PENDING outcome, which counts as no failure.

        Of the steps it takes 5 (used-up arguments only), 6, 7 (`most` only), 8 (loops only), 9 and 10.
        """
        self.forget_failures()
        policy = self.policy
        if self.used_up is not None and policy.idempotent is not True and not self.vouched:
            return self.give_up(Reason.UNSAFE, now, found, error)  # 5
        if policy.stop is not None and is_set(policy.stop):
            return self.give_up(Reason.STOPPED, now, found, error)  # 6
        if self._has_had_its_most():
            return self.give_up(Reason.ATTEMPTS, now, found, error)  # 7
        if found.retry_after is not None:
            asked = self._asked(found, draw)
            if asked is None:
                return self.give_up(Reason.HINT, now, found, error)  # 9
            wait, self.delay_by = max(SHORTEST_PENDING, asked), "server"
            late = Reason.HINT if asked > 0 else Reason.DEADLINE
        else:
            spread = (
                draw if self.loops else 0.5
            )  # a rule's `every` is waited without jitter, the interval of a loop with its curve's
            every = PENDING_EVERY if found.backoff is None else safe_delay(found.backoff, 1, None, spread)
            if every is None and self.loops:
                return self.give_up(Reason.CURVE, now, found, error)  # 8
            wait = PENDING_EVERY if every is None else max(every, SHORTEST_PENDING)
            late, self.delay_by = Reason.DEADLINE, "curve"
        held = self.held(now, draw)
        if held > wait:
            if held == inf:
                return self.held_too_long(now, found, error)  # 9
            wait, self.delay_by = held, "cooldown"
        self.due = now + wait
        return self.give_up(late, now, found, error) if self.due > self.ends else wait  # 9, 10, 12

    def give_up(
        self,
        reason: Reason,
        now: float,
        found: Classification | None = None,
        error: BaseException | None = None,
        hint: float | None = None,
    ) -> GaveUp:
        """End the episode, and return the decision.

        Args:
            reason, now, found: The reason, the moment, and the judgement of the last outcome.
            error: The last error, left out of the history.
            hint: Seconds that the server asked another call to wait; a hint of this outcome takes precedence.
        """
        self.ended_at = now
        self.due = None
        limit: Literal["own", "scope"] | None = None
        if reason is Reason.DEADLINE:
            limit = "own" if self.own_end is not None and self.own_end <= self.bound else "scope"
        if found is not None and found.retry_after is not None:
            hint = found.retry_after
        attempts, elapsed = self.attempt - self.earlier, self.elapsed(now)
        self.end = GaveUp(reason, attempts, elapsed, self.name, hint, self._history(error), limit, found)
        return self.end

    def _history(self, error: BaseException | None) -> tuple[tuple[str, int], ...]:
        """Return the types of the earlier errors that differ from the last one, each with its count."""
        if self.earlier_errors is None:
            return ()
        last = None if error is None else _name(type(error))
        return tuple((name, times) for name, times in self.earlier_errors.items() if name != last)

    def _remember(self, error: BaseException) -> None:
        kinds = self.earlier_errors = self.earlier_errors or {}
        name = _name(type(error))
        kinds[name] = kinds.get(name, 0) + 1

    def _next_of_curves(self, own: Backoff | None, draw: float, rule: object) -> float | None:
        """Return the next wait where rules have curves of their own; each curve counts only its own failures."""
        if self.curves is None:
            self.curves = OwnCurves()
        if own is not None:
            return self.curves.next(own, draw, rule)
        count = self.failures - self.curves.total
        self.previous = wait = safe_delay(self.policy.backoff, count, self.previous, draw)
        return wait


def _name(kind: type) -> str:
    try:
        name = kind.__qualname__
    except Exception:  # a metaclass that guards its attributes
        name = None
    return name if type(name) is str else "an error"


def may_be_applied(guess: Classification) -> bool:
    """Return whether a guess is about a response after which the request may have taken effect: 500, 502, 504."""
    return guess.row is not None and guess.row.code in ("500", "502", "504")


def _sane_hint(found: Classification) -> float:
    """Return the server's hint in seconds; one of a user's rule that is no duration is logged once and counts as 0."""
    try:
        return checks.seconds("retry_after", found.retry_after)
    except (TypeError, ValueError) as error:
        faults.report("rule", found.reason, error, "its hint is left out")
        return 0.0


_system_draw: Callable[[], float] | None = None


def _load_system_draw() -> Callable[[], float]:
    """Load `random.random` at the first failure: importing it takes longer than importing redouble.

    While it cannot be loaded, as without a free file descriptor, every draw is 0.5.
    """
    global _system_draw
    try:
        from random import random
    except Exception:
        return _half
    _system_draw = random
    return random


def _half() -> float:
    return 0.5


def _guarded_draw(draw: Callable[[], float]) -> Callable[[], float]:
    """Guard a user's draw; one that raises or returns no number in [0, 1) is logged once, and 0.5 is taken."""

    def drawn() -> float:
        try:
            chance = float(draw())
            if 0.0 <= chance < 1.0:
                return chance
            raise ValueError(f"a draw must be in [0, 1), got {chance!r}")
        except Exception as error:
            faults.report("draw", draw, error, "0.5 is taken")
            return 0.5

    return drawn


def _may_carry_more(error: BaseException) -> bool:
    """Return whether an error may bear the mark of an inner retry or its request; most errors bear none."""
    try:
        kind = type(error)
        bare = error.__cause__ is None and kind.__module__ == "builtins" and kind is not ExceptionGroup
        return not bare or bool(error.__dict__)
    except Exception:  # a class that guards its attributes
        return False
