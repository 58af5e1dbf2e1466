"""Floor 4. What bounds one attempt: its own time limit, the deadline of the call, and those of the calls around it."""

from __future__ import annotations

from time import monotonic

from redouble.control import faults, scope
from redouble.control.controller import BackoffController
from redouble.control.cut import Cut
from redouble.control.outcome import DeadlineExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.control.clock import Clock
    from redouble.control.policy import Policy

SHORTEST = 0.001
"""Seconds that an operation gets where no time is left: to most clients a timeout of 0 means another thing."""

TOO_LONG = "the attempt took longer than its timeout"


class Limited(BackoffController):
    """A controller whose attempts are given time limits, and cut off at them where they can be."""

    __slots__ = ("_asynchronous", "_attempt_ends", "_bounding", "_cut", "_given", "clock", "cut", "error", "kwargs")

    began: float
    kwargs: dict[str, Any] | None
    clock: Clock
    error: BaseException | None
    cut: TimeoutError | None  # what is raised for an attempt that its time limit cuts off
    _cut: Cut | None
    _bounding: list[scope.deadline] | None
    _attempt_ends: float | None  # by attempt_timeout
    _given: Any  # the timeout with which the caller called
    _asynchronous: bool

    def cause(self, cancelled: BaseException) -> BaseException:
        """What `cut` is raised from: a deadline's from the last error, so that it is not lost."""
        return self.error if self.error is not None and isinstance(self.cut, DeadlineExceeded) else cancelled

    def left(self) -> float | None:
        """Seconds until the deadline of this call, < 0 when it has passed; `None` when nothing bounds it."""
        return None if self._ends is None else self._ends - self.now()

    def timeout(self) -> float | None:
        """Seconds that the current attempt may take: `attempt_timeout`, never more than what is left."""
        left, timeout = self.left(), self.policy.attempt_timeout
        if left is not None:
            left = max(0.0, left)
        if timeout is None:
            return left
        return timeout if left is None else min(timeout, left)

    def _bind(self, least: float | None) -> None:
        """Bound the call by the retried calls (`least`) and the scopes around it, and remember what scopes do it."""
        scopes = scope.innermost_deadlines()
        for each in scopes:
            left = each.left()
            if left is not None and (least is None or left < least):
                least = left
                self._bounding = scopes
        if least is not None:
            self.bound(self.now() + least)

    def _prepare(self) -> None:
        """Give the attempt that begins its time limits."""
        self.began = monotonic()  # marks of inner retries are compared with it, whatever clock the policy has
        keyword = self.policy.timeout_as
        if keyword is not None and self.kwargs is not None:
            self._hand_out(keyword, self.kwargs)
        if self._asynchronous and is_cut(self.policy):
            limit = self.timeout()
            self._attempt_ends = None if self.policy.attempt_timeout is None or limit is None else self.now() + limit
            self._arm()

    def _hand_out(self, keyword: str, kwargs: dict[str, Any]) -> None:
        """Give the operation its timeout, which never is longer than the one that it was called with."""
        timeout = self.timeout()
        if timeout is None:
            return
        if self._given is None:
            self._given = kwargs.get(keyword, float("inf"))
        try:
            least = min(timeout, self._given)
        except TypeError:  # a timeout of the client's own kind
            least = timeout
        kwargs[keyword] = max(least, SHORTEST) if least is timeout else least

    def _arm(self) -> None:
        """Set the timer that cuts the attempt off, and make the error that will stand for it."""
        policy, own = self.policy, self.own_end
        limit = float("inf") if self._attempt_ends is None else max(0.0, self._attempt_ends - self.now())
        self.cut = TimeoutError(TOO_LONG)
        if own is not None and "deadline" in policy.written:
            left = own - self.now()
            if left <= limit:
                limit = left
                self.cut = DeadlineExceeded(f"the deadline of {policy.deadline:g} s has passed")
        self._set_timer(limit)

    def _set_timer(self, seconds: float) -> None:
        try:
            self._cut = Cut(self.clock, seconds)
        except Exception as error:
            self.cut = None
            faults.report("clock", type(self.clock), error, "attempts have no time limit")

    def record_progress(self, now: float | None = None) -> None:
        """As a controller does, with a new timer for the deadline that begins again."""
        super().record_progress(now)
        if self._cut is not None:
            self._cut.settle(None)
            self._arm()

    def _cut_settled(self, error: BaseException | None) -> bool:
        """Disarm the time limit; was it that, and nobody else, who cancelled?"""
        cut, self._cut = self._cut, None
        if cut is not None and cut.settle(error):
            return True
        self.cut = None
        return False


def is_cut(policy: Policy) -> bool:
    """Whether asyncio attempts are cut off when their time is up."""
    return policy.attempt_timeout is not None or ("deadline" in policy.written and policy.deadline is not None)
