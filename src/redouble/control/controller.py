"""Floor 3. The controller: the state of one retried call or one connection. It counts and decides, and only that."""

from __future__ import annotations

from enum import Enum
from time import monotonic

from redouble.control import faults
from redouble.control.clock import SYSTEM, guarded_now, is_set
from redouble.control.curves import OwnCurves, ended, safe_delay, sane
from redouble.control.outcome import GaveUp, Reason, Wait, given_up_since
from redouble.core import checks
from redouble.core.backoff import CEILING
from redouble.core.verdict import Classification, Verdict, ask_guarded
from redouble.known.classify import judge
from redouble.known.request import shows_unsafe_method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.control.clock import Clock
    from redouble.control.policy import Policy
    from redouble.core.backoff import Backoff

SHORTEST_PENDING = 0.1
PENDING_EVERY = 5.0
"""Seconds between two questions when nobody says how many (RFC 8628 3.5)."""

HINT_SPREAD = 0.1
"""By which share a server's hint is stretched at most, so that those who were told the same do not come together."""


class Status(Enum):
    """What a controller is doing: `IDLE ATTEMPTING WAITING SUCCEEDED GAVE_UP STOPPED`."""

    __module__ = "redouble"

    IDLE = "idle"
    ATTEMPTING = "attempting"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    GAVE_UP = "gave up"
    STOPPED = "stopped"

    def __repr__(self) -> str:
        return f"Status.{self.name}"


_IDLE, _ATTEMPTING, _WAITING, _SUCCEEDED = Status.IDLE, Status.ATTEMPTING, Status.WAITING, Status.SUCCEEDED
_TRANSIENT, _PENDING = Verdict.TRANSIENT, Verdict.PENDING


class BackoffController:
    """The state of one retried call or one connection: it counts, decides, never sleeps and never calls.

    Not to be shared between threads without a lock. `now` (a reading of the policy's clock, in seconds) and `draw` (a
    float in [0, 1)) of every method default to the policy's clock and draw; tests and other event loops pass them.

    Args:
        policy: A `RetryPolicy`.

    Attributes:
        status: A `Status`.
        attempt: The number of the last attempt that was begun; 0 before the first. Numbers are never used twice, so
            that late news of an old attempt can be told from the current one's.
        failures: How many attempts have failed in a row.
        name: The policy's name, which a decision to give up carries; may be set.
        began: When the last attempt began, by `time.monotonic`, whatever clock the policy has.

    Source: the decision order is redouble's contract; a controller that only records and answers is Failsafe's
    `Execution`.

    >>> from redouble import BackoffController, retry, sequence
    >>> controller = BackoffController(retry(attempts=2, on=OSError, backoff=sequence(1)))
    >>> controller.start(now=0.0)
    1
    >>> controller.record_failure(OSError("down"), now=0.5).delay
    1.0
    >>> controller.start(now=1.5)
    2
    >>> controller.record_failure(OSError("down"), now=2.0).reason
    Reason.ATTEMPTS
    """

    __module__ = "redouble"

    __slots__ = (
        "_bound",
        "_clock",
        "_draw",
        "_due",
        "_earlier",
        "_end",
        "_ends",
        "_now",
        "_own_curves",
        "_own_end",
        "_previous",
        "_started",
        "_stopped_at",
        "attempt",
        "began",
        "failures",
        "name",
        "policy",
        "status",
    )

    policy: Policy
    name: str | None
    status: Status
    attempt: int
    failures: int
    began: float
    _clock: Clock
    _now: Callable[[], float]
    _draw: Callable[[], float]
    _earlier: int  # attempts that belong to episodes before this one
    _started: float | None  # when the first attempt of the episode began
    _stopped_at: float | None
    _own_end: float | None  # of the policy's deadline
    _bound: float | None  # what others around it allow
    _ends: float | None  # the lesser of the two
    _due: float | None  # when the wait is over
    _previous: float | None  # the last wait that the policy's curve gave
    _end: GaveUp | None
    _own_curves: OwnCurves | None

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.name = policy.name
        clock = policy.clock
        if clock is None:
            self._clock, self._now = SYSTEM, monotonic
        else:
            self._clock, self._now = clock, guarded_now(clock)
        self._draw = (_system_draw or _load_system_draw()) if policy.draw is None else _guarded_draw(policy.draw)
        self.status = _IDLE
        self.attempt = self.failures = self._earlier = 0
        self.began = 0.0
        self._started = self._stopped_at = self._own_end = self._bound = self._ends = self._due = None
        self._previous = self._end = self._own_curves = None

    # What a caller does.

    def start(self, now: float | None = None) -> int:
        """Begin an attempt. The first one fixes the deadline; one after a success begins a new episode.

        Returns:
            The attempt's number.

        Raises:
            RuntimeError: While an attempt is under way, and after giving up or stopping (see `reset`).
        """
        status = self.status
        if status is not _IDLE and status is not _WAITING:
            if status is not Status.SUCCEEDED:
                raise RuntimeError(
                    f"start() is for an idle, waiting or succeeded controller, this one is {status.value}"
                )
            self._begin_again()
        if now is None:
            now = self._now()
            self.began = now if self._clock is SYSTEM else monotonic()
        else:
            self.began = monotonic()
        if self._started is None:
            self._started = now
            self._fix_deadline(now)
        self.status = _ATTEMPTING
        self.attempt = attempt = self.attempt + 1
        self._due = None
        return attempt

    def record_failure(
        self,
        error: BaseException,
        now: float | None = None,
        draw: float | None = None,
        attempt: int | None = None,
    ) -> Wait | GaveUp | None:
        """The attempt failed with `error`: wait and try again, or give up?

        After a success it tells of a connection that was dropped: a failure, with which a new episode begins.

        Args:
            error: What was raised. One that is not an `Exception` is PERMANENT: it always passes.
            now: A reading of the clock.
            draw: A float in [0, 1).
            attempt: The number of the attempt that it is about, where late news is possible.

        Returns:
            `Wait` or `GaveUp`; `None` for the late news of an older attempt, which changes nothing.

        Raises:
            RuntimeError: When no attempt is under way.
            ValueError: When `attempt` has not begun yet.
        """
        if self.status is not _ATTEMPTING or attempt is not None:
            if self._end is not None:
                return self._end
            if not self._is_current(attempt, "record_failure"):
                return None
            if self.status is _SUCCEEDED:
                self._drop(self.now(now))
        found = judge(error, self.policy.on, faults.rule_raised)
        return _wait_or_end(self.decide(found, error, self.now(now), self._drawn(draw)), found)

    def record_result(
        self,
        value: object,
        now: float | None = None,
        draw: float | None = None,
        attempt: int | None = None,
    ) -> Wait | GaveUp | None:
        """The attempt returned `value`: is it wanted? Judged by the policy's `result` rules.

        Returns:
            `None` when it is wanted (the success is recorded) and for late news; else `Wait` or `GaveUp`.

        Raises:
            RuntimeError: When no attempt is under way.
            ValueError: When `attempt` has not begun yet.
        """
        if self._end is not None:
            return self._end
        if not self._is_current(attempt, "record_result"):
            return None
        rule = self.policy.result
        found = None if rule is None else ask_guarded(rule, value, faults.rule_raised)
        if found is None:
            self.record_success(now)
            return None
        return _wait_or_end(self.decide(found, None, self.now(now), self._drawn(draw), value), found)

    def record_success(self, now: float | None = None) -> None:
        """The attempt succeeded: the failures and the curve begin again.

        Raises:
            RuntimeError: When no attempt is under way.
        """
        if self.status is not _ATTEMPTING:
            self._is_current(None, "record_success")
        self._stopped_at = self.now(now)
        self.status = _SUCCEEDED
        self._forget_failures()

    def record_progress(self, now: float | None = None) -> None:
        """The attempt got somewhere: the failures, the curve and the deadline begin again.

        Raises:
            RuntimeError: When no attempt is under way.
        """
        self._is_current(None, "record_progress")
        self._forget_failures()
        self._fix_deadline(self.now(now))

    def reset(self) -> None:
        """A person asked for it: everything begins afresh, also after giving up or stopping."""
        self.status = Status.IDLE
        self._begin_again()

    def stop(self, now: float | None = None) -> GaveUp:
        """End: no attempt begins any more, and every failure is answered with `GaveUp` and `Reason.STOPPED`."""
        return self._finish(Reason.STOPPED, None, self.now(now))

    def expire(self, now: float | None = None) -> GaveUp:
        """The deadline has passed: no attempt begins any more."""
        return self._finish(Reason.DEADLINE, None, self.now(now))

    def bound(self, ends: float | None) -> None:
        """Let no wait end after `ends`, a reading of the clock, whatever the policy's own deadline; `None`: lift it."""
        self._bound = ends
        self._set_ends()

    # What it tells.

    @property
    def elapsed(self) -> float:
        """Seconds since the first attempt began, up to the end where there was one; 0.0 before it."""
        return self._elapsed(self.now(self._stopped_at))

    @property
    def ends(self) -> float | None:
        """The reading of the clock after which no wait may end; `None` when nothing bounds."""
        return self._ends

    @property
    def own_end(self) -> float | None:
        """The reading of the clock at which the policy's own deadline ends; `None` when it has none."""
        return self._own_end

    def due_in(self, now: float | None = None) -> float:
        """Seconds that are left of the wait; 0.0 when it is over or none is under way."""
        return 0.0 if self._due is None else max(0.0, self._due - self.now(now))

    def snapshot(self, now: float | None = None) -> dict[str, Any]:
        """The state as a small dict for JSON, without readings of any clock: only durations and counts."""
        from redouble.control import snapshots  # few take any

        return snapshots.taken(self, self.now(now))

    @classmethod
    def restore(cls, policy: Policy, snapshot: dict[str, Any], now: float | None = None) -> BackoffController:
        """A controller that goes on exactly where a snapshot was taken; the time in between does not count.

        Raises:
            ValueError: When `snapshot` is not one of this version's.
        """
        from redouble.control import snapshots

        controller = cls(policy)
        snapshots.load(controller, snapshot, controller.now(now))
        return controller

    def decide(  # noqa: C901  # a list of questions, in the order that the contract gives
        self, found: Classification, error: BaseException | None, now: float, draw: float, value: object = None
    ) -> float | GaveUp:
        """What follows from an outcome that has been judged, an error or else a value: seconds to wait, or the end.

        The numbers are the steps of the decision order in the documentation. Every failure of every retried call comes
        through here, so it is one piece, and asks nothing twice.
        """
        policy = self.policy
        if found.verdict is not _TRANSIENT:
            if found.verdict is _PENDING:
                return self._ask_again_later(found, now, draw)
            return self._finish(Reason.PERMANENT, found, now)  # 3
        self.failures = failures = self.failures + 1
        if error is None:
            if found.applied and self._is_unsafe(value):
                return self._finish(Reason.UNSAFE, found, now)  # 5
        elif _may_carry_more(error):
            refused = self._may_not_repeat(error, found)  # 4, 5
            if refused is not None:
                return self._finish(refused, found, now)
        elif policy.idempotent is False and found.applied:
            return self._finish(Reason.UNSAFE, found, now)  # 5
        if policy.stop is not None and is_set(policy.stop):
            return self._finish(Reason.STOPPED, found, now)  # 6
        limit = policy.attempts
        if limit is not None and failures >= limit:
            return self._finish(Reason.ATTEMPTS, found, now)  # 7
        if found.backoff is None and self._own_curves is None:
            try:
                wait = policy.backoff.delay(failures, self._previous, draw)
                if wait is None or not 0.0 <= wait <= CEILING:
                    wait = sane(policy.backoff, wait)
            except Exception as fault:
                wait = ended(policy.backoff, fault)
            self._previous = wait
        else:
            wait = self._next_of_curves(found.backoff, draw)
        if wait is None:
            return self._finish(Reason.CURVE, found, now)  # 8
        if found.retry_after is not None:
            hint = _sane_hint(found)
            if hint > policy.max_hint:
                return self._finish(Reason.HINT, found, now)  # 9
            wait = max(wait, hint * (1 + HINT_SPREAD * draw))
        self._due = due = now + wait
        if self._ends is not None and due > self._ends:
            return self._finish(Reason.DEADLINE, found, now)  # 10
        self.status = _WAITING
        return wait  # 12

    def _may_not_repeat(self, error: BaseException, found: Classification) -> Reason | None:
        """Asked of every error that carries more than a message."""
        if self.policy.nested == "once" and given_up_since(error, self.began):  # 4
            return Reason.NESTED
        return Reason.UNSAFE if found.applied and self._is_unsafe(error) else None  # 5

    def _is_unsafe(self, subject: object) -> bool:
        """Whether repeating may do the thing twice: the user says so, or the request that the outcome carries shows it."""
        idempotent = self.policy.idempotent
        return idempotent is False or (idempotent is None and shows_unsafe_method(subject))

    def _ask_again_later(self, found: Classification, now: float, draw: float) -> float | GaveUp:
        """PENDING is no failure: steps 6, 9 and 10 alone."""
        self._forget_failures()
        stop = self.policy.stop
        if stop is not None and is_set(stop):
            return self._finish(Reason.STOPPED, found, now)
        if found.retry_after is not None:
            hint = _sane_hint(found)
            if hint > self.policy.max_hint:
                return self._finish(Reason.HINT, found, now)
            return self._wait(max(SHORTEST_PENDING, hint * (1 + HINT_SPREAD * draw)), found, now)
        every = None if found.backoff is None else safe_delay(found.backoff, 1, None, 0.5)
        return self._wait(PENDING_EVERY if every is None else max(every, SHORTEST_PENDING), found, now)

    def _wait(self, wait: float, found: Classification, now: float) -> float | GaveUp:
        due = now + wait
        ends = self._ends
        if ends is not None and due > ends:
            return self._finish(Reason.DEADLINE, found, now)  # 10
        self.status = _WAITING  # 12
        self._due = due
        return wait

    def _finish(self, reason: Reason, found: Classification | None, now: float) -> GaveUp:
        self.status = Status.STOPPED if reason is Reason.STOPPED else Status.GAVE_UP
        self._stopped_at = now
        self._due = None
        hint = None if found is None else found.retry_after
        self._end = GaveUp(reason, self.attempt - self._earlier, self._elapsed(now), self.name, hint, found)
        return self._end

    def _next_of_curves(self, own: Backoff | None, draw: float) -> float | None:
        """The next wait where rules have curves of their own: each curve counts the failures that it answers itself."""
        if self._own_curves is None:
            self._own_curves = OwnCurves()
        if own is not None:
            return self._own_curves.next(own, draw)
        count = self.failures - self._own_curves.total
        self._previous = wait = safe_delay(self.policy.backoff, count, self._previous, draw)
        return wait

    # Small parts.

    def _drawn(self, draw: float | None) -> float:
        if draw is None:
            return self._draw()
        if not 0.0 <= draw < 1.0:
            raise ValueError(f"draw must be in [0, 1), got {draw!r}")
        return draw

    def _drop(self, now: float) -> None:
        """What had succeeded, a connection, was dropped: a new episode begins with that."""
        self._begin_again()
        self._earlier = self.attempt - 1
        self._started = now
        self._fix_deadline(now)

    def _is_current(self, attempt: int | None, method: str) -> bool:
        if attempt is not None and attempt > self.attempt:
            raise ValueError(f"attempt must have begun: the last one that has is {self.attempt}, got {attempt!r}")
        if attempt is not None and attempt < self.attempt:
            return False
        if self.status is _ATTEMPTING:
            return True
        if self.status is Status.SUCCEEDED and method == "record_failure":
            return True
        if attempt is not None:
            return False
        raise RuntimeError(f"{method}() needs an attempt under way, this controller is {self.status.value}")

    def _begin_again(self) -> None:
        self._forget_failures()
        self._earlier = self.attempt
        self._started = self._own_end = self._due = self._stopped_at = None
        self._set_ends()
        self._end = None

    def _forget_failures(self) -> None:
        self.failures = 0
        self._previous = None
        self._own_curves = None

    def _fix_deadline(self, now: float) -> None:
        if self.policy.deadline is not None:
            self._own_end = self._ends = now + self.policy.deadline
        if self._bound is not None:
            self._set_ends()

    def _set_ends(self) -> None:
        own, bound = self._own_end, self._bound
        self._ends = own if bound is None else bound if own is None else min(own, bound)

    def _elapsed(self, now: float) -> float:
        return 0.0 if self._started is None else max(0.0, now - self._started)

    def now(self, now: float | None = None) -> float:
        """`now`, or the reading of the policy's clock."""
        return self._now() if now is None else now


def _sane_hint(found: Classification) -> float:
    """What the server asked for; nonsense that a user's rule answered is logged once and counts as nothing."""
    try:
        return checks.seconds("retry_after", found.retry_after)
    except (TypeError, ValueError) as error:
        faults.report("rule", found.reason, error, "its hint is left out")
        return 0.0


_system_draw: Callable[[], float] | None = None


def _load_system_draw() -> Callable[[], float]:
    """`random.random`, loaded by the first failure: importing it takes longer than importing redouble."""
    global _system_draw
    from random import random

    _system_draw = random
    return random


def _guarded_draw(draw: Callable[[], float]) -> Callable[[], float]:
    """A user's draw; one that raises or answers nonsense is logged once, and 0.5 is taken."""

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
    """Whether an error may bear the mark of an inner retry, or tell of its request: most bear nothing at all."""
    try:
        kind = type(error)
        bare = error.__cause__ is None and kind.__module__ == "builtins" and kind is not ExceptionGroup
        return not bare or bool(error.__dict__)
    except Exception:  # a class that guards its attributes
        return False


def _wait_or_end(decision: float | GaveUp, found: Classification) -> Wait | GaveUp:
    return decision if isinstance(decision, GaveUp) else Wait(decision, found)
