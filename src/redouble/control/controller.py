"""Floor 3. The public controller: the state of one retried call or connection, for callers that write the loop."""

from __future__ import annotations

from enum import Enum
from time import monotonic

from redouble.control import faults
from redouble.control.cooldown import in_force
from redouble.control.keys import checked, fresh
from redouble.control.mark import NOWHERE
from redouble.control.outcome import GaveUp, Reason, Wait
from redouble.control.policy import OWN_BUDGET, as_policy
from redouble.control.tally import Tally
from redouble.core import checks
from redouble.core.verdict import Classification, Verdict
from redouble.known.classify import judge, judge_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.control.policy import Policy

UNJUDGED = Classification(Verdict.TRANSIENT, applied=False, reason="a failure without an error")
"""The classification of a failure that is recorded without an error, such as a callback's "closed"."""


class Status(Enum):
    """The state of a controller: `IDLE ATTEMPTING WAITING SUCCEEDED GAVE_UP STOPPED`."""

    __module__ = "redouble"

    IDLE = "idle"
    ATTEMPTING = "attempting"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    GAVE_UP = "gave up"
    STOPPED = "stopped"

    def __repr__(self) -> str:
        return f"Status.{self.name}"


class BackoffController:
    """Count attempts and decide about retries of one call or connection; never sleeps and never calls.

    Use a lock to share one between threads. `now` (a reading of the policy's clock, in seconds) and `draw` (a float in
    [0, 1)) default to the policy's clock and draw in every method; tests and other event loops pass them.

    Args:
        policy: A `RetryPolicy`.

    Attributes:
        status: A `Status`.
        attempt: The number of the last attempt that began; 0 before the first. A number is never used twice, so that
            a late report of an old attempt can be told from one of the current attempt.
        failures: The number of attempts that failed in a row.
        retries: The number of attempts since the first one, or since the connection was last up.
        policy: The policy.
        name: The policy's name, which a `GaveUp` carries; may be set.

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

    __slots__ = ("_key", "_tally", "status")

    _key: str | None
    _tally: Tally
    status: Status

    def __init__(self, policy: Policy) -> None:
        self._tally = Tally(as_policy("policy", policy))
        if policy.budget is not OWN_BUDGET:  # only decorated functions have one of their own
            self._tally.budget = policy.budget
        self._key = None
        self._tally.cooldown = in_force(policy.cooldown, None, policy.clock)
        self.status = Status.IDLE

    @property
    def policy(self) -> Policy:
        return self._tally.policy

    @property
    def name(self) -> str | None:
        return self._tally.name

    @name.setter
    def name(self, name: str | None) -> None:
        self._tally.name = name

    @property
    def attempt(self) -> int:
        return self._tally.attempt

    @property
    def failures(self) -> int:
        return self._tally.failures

    @property
    def retries(self) -> int:
        return max(0, self._tally.attempt - self._tally.earlier - 1)

    # Recording.

    def start(self, now: float | None = None) -> int:
        """Begin an attempt. The first one fixes the deadline; one after a success begins a new episode.

        Without `now`, a wait under way counts as over, even when the clock stands still.

        Returns:
            The attempt's number.

        Raises:
            RuntimeError: While an attempt is under way, and after giving up or stopping (see `reset`).
        """
        tally, status = self._tally, self.status
        if status is Status.SUCCEEDED:
            self._key = None  # a new episode is another request, with a key of its own
            tally.begin_again()
        elif status not in (Status.IDLE, Status.WAITING):
            raise RuntimeError(f"start() is for an idle, waiting or succeeded controller, this one is {status.value}")
        if now is None:
            now = tally.now()
            tally.pass_wait(now)
        checks.number("now", now, least=float("-inf"))
        tally.began = monotonic()
        tally.begin(now)
        self.status = Status.ATTEMPTING
        return tally.attempt

    def record_failure(
        self,
        error: BaseException | None = None,
        now: float | None = None,
        draw: float | None = None,
        attempt: int | None = None,
    ) -> Wait | GaveUp | None:
        """Record that the attempt failed, and decide: wait and try again, or give up.

        After a success it records a dropped connection: the first failure of a new episode.

        Args:
            error: The exception. One that is not an `Exception` is PERMANENT: it always passes. `None`: a failure
                without an error, such as a callback's "closed"; it is transient.
            now: A reading of the clock.
            draw: A float in [0, 1).
            attempt: The number of the attempt that failed, where reports may come late.

        Returns:
            `Wait` or `GaveUp`; `None` for a late report of an older attempt, which is ignored.

        Raises:
            RuntimeError: When no attempt is under way.
            TypeError: When `error` is no exception.
            ValueError: When `attempt` has not begun yet.
        """
        tally = self._tally
        if tally.end is not None:
            return tally.end
        if not self._is_current(attempt, "record_failure"):
            return None
        moment = self._now(now)
        if self.status is Status.SUCCEEDED:
            tally.drop(moment)
        found = UNJUDGED if error is None else judge(checks.error("error", error), tally.policy.on, faults.rule_raised)
        return self._decided(found, error, moment, draw)

    def failed(
        self, error: BaseException | None = None, now: float | None = None, draw: float | None = None
    ) -> float | None:
        """Record that a connection failed or was closed, for code that is driven by callbacks.

        A simpler `record_failure`. `start` need not be called: the attempt counts as begun. A call during a wait is
        taken for a second report of the same failure (some clients report one end by two callbacks) and is ignored.

        Args:
            error: The exception, if the callback passes one. `None`: a failure without an error; it is transient.
            now: A reading of the clock.
            draw: A float in [0, 1).

        Returns:
            Seconds until the next attempt is due; `None`: give up. Six retries after a first attempt are `attempts=7`.

        >>> from redouble import BackoffController, constant, retry
        >>> controller = BackoffController(retry(attempts=3, backoff=constant(2)))
        >>> controller.failed(now=0.0), controller.failed(now=0.5), controller.failed(now=2.5)
        (2.0, 1.5, 2.0)
        >>> controller.failed(now=5.0), controller.retries
        (None, 2)
        """
        moment = self._now(now)
        if self._tally.end is not None:
            return None
        left = self.due_in(moment)
        if left > 0:
            return left
        if self.status in (Status.IDLE, Status.WAITING):
            self.start(moment)
        decision = self.record_failure(error, moment, draw)
        return decision.delay if isinstance(decision, Wait) else None

    def record_result(
        self,
        value: object,
        now: float | None = None,
        draw: float | None = None,
        attempt: int | None = None,
    ) -> Wait | GaveUp | None:
        """Record that the attempt returned `value`, and judge it by the policy's `result` rules.

        Returns:
            `None` when the value is wanted (the success is recorded) or the report is late; else `Wait` or `GaveUp`.

        Raises:
            RuntimeError: When no attempt is under way.
            ValueError: When `attempt` has not begun yet.
        """
        tally = self._tally
        if tally.end is not None:
            return tally.end
        if not self._is_current(attempt, "record_result"):
            return None
        rule = tally.policy.result
        found = None if rule is None else judge_result(value, rule, faults.rule_raised)
        if found is None:
            self.record_success(now)
            return None
        return self._decided(found, None, self._now(now), draw, value)

    def record_success(self, now: float | None = None) -> None:
        """Record that the attempt succeeded: the failures and the backoff curve start again.

        Raises:
            RuntimeError: When no attempt is under way.
        """
        self._is_current(None, "record_success")
        self._tally.succeeded()
        self._tally.ended_at = self._now(now)
        self._tally.forget_failures()
        self.status = Status.SUCCEEDED

    def record_progress(self, now: float | None = None) -> None:
        """Record that the attempt made progress: the failures, the backoff curve and the deadline start again.

        Raises:
            RuntimeError: When no attempt is under way.
        """
        self._is_current(None, "record_progress")
        self._tally.forget_failures()
        self._tally.fix_deadline(self._now(now))

    def reset(self) -> None:
        """Start again from the beginning, also after giving up or stopping, as when a person asks for it."""
        self._key = None
        self._tally.begin_again()
        self.status = Status.IDLE

    def stop(self, now: float | None = None) -> GaveUp:
        """Stop until `reset`: `start` raises, each recorded failure returns the same `GaveUp` (`Reason.STOPPED`)."""
        self.status = Status.STOPPED
        return self._tally.give_up(Reason.STOPPED, self._now(now))

    def idempotency_key(self, value: str | None = None) -> str:
        """Return an idempotency key for the attempt under way, and mark that attempt as safe to repeat.

        As `redouble.idempotency_key`, for callers that write the loop.

        Args:
            value: The caller's own key for this request; it is returned unchanged. `None`: make a key, the same in
                every attempt up to a success or a `reset`; a key made before a snapshot is the same after `restore`.

        Raises:
            TypeError, ValueError: When `value` is not a string, or is empty.
            RuntimeError: When no attempt is under way.
        """
        value = checked(value)
        self._is_current(None, "idempotency_key")
        self._tally.vouched = True
        if value is not None:
            return value
        if self._key is None:
            self._key = fresh()
        return self._key

    # Reading.

    @property
    def elapsed(self) -> float:
        """Seconds from the beginning of the first attempt to the end, or until now; 0.0 before the first attempt."""
        return self._tally.elapsed(self._now(self._tally.ended_at))

    def due_in(self, now: float | None = None) -> float:
        """Return the seconds left of the wait; 0.0 when it is over or none is under way."""
        due = self._tally.due
        return 0.0 if due is None else max(0.0, due - self._now(now))

    def snapshot(self, now: float | None = None) -> dict[str, Any]:
        """Return the state as a small dict for JSON: durations and counts, no readings of a clock."""
        from redouble.control import snapshots  # loaded late: few programs take a snapshot

        return {**snapshots.taken(self._tally, self.status, self._now(now)), "key": self._key}

    @classmethod
    def restore(cls, policy: Policy, snapshot: dict[str, Any], now: float | None = None) -> BackoffController:
        """Return a controller that goes on exactly where the snapshot was taken.

        The time in between does not count. A wait that was under way counts as waited in full.

        Raises:
            ValueError: When `snapshot` was not taken by this version of redouble.
        """
        from redouble.control import snapshots

        controller = cls(policy)
        status = snapshots.load(controller._tally, snapshot, controller._now(now))
        controller.status = Status[status]
        controller._key = snapshots.key_of(snapshot)
        return controller

    def _decided(
        self, found: Classification, error: BaseException | None, now: float, draw: float | None, value: object = None
    ) -> Wait | GaveUp:
        tally = self._tally
        decision = tally.decide(found, error, now, self._drawn(draw), value, NOWHERE)
        if isinstance(decision, GaveUp):
            self.status = Status.STOPPED if decision.reason is Reason.STOPPED else Status.GAVE_UP
            return decision
        self.status = Status.WAITING
        return Wait(decision, found)

    def _now(self, now: float | None) -> float:
        return self._tally.now() if now is None else checks.number("now", now, least=float("-inf"))

    def _drawn(self, draw: float | None) -> float:
        if draw is None:
            return self._tally.draw()
        if not 0.0 <= draw < 1.0:
            raise ValueError(f"draw must be in [0, 1), got {draw!r}")
        return draw

    def _is_current(self, attempt: int | None, method: str) -> bool:
        """Return whether a report is about the attempt under way, and not a late one about an older attempt."""
        last = self._tally.attempt
        if attempt is not None and attempt > last:
            raise ValueError(f"attempt must have begun: the last one that has is {last}, got {attempt!r}")
        if attempt is not None and attempt < last:
            return False
        dropped = self.status is Status.SUCCEEDED and method == "record_failure"
        if self.status is Status.ATTEMPTING or dropped:
            return True
        if attempt is not None:
            return False
        raise RuntimeError(f"{method}() needs an attempt under way, this controller is {self.status.value}")
