"""Floor 5. An answer that is not ready yet: ask for it at an interval, until it is there or the time is up."""

from __future__ import annotations

import sys
from math import inf, nextafter

from redouble.control.controller import SHORTEST_PENDING, Status
from redouble.control.policy import refuse_async_stop
from redouble.control.stack import known_by
from redouble.core import checks
from redouble.core.backoff import constant
from redouble.core.record import Record
from redouble.core.verdict import Classification, Rule, Verdict, as_rule, ask_guarded, first_of
from redouble.loops.base import for_loop
from redouble.wrappers.decorator import RetryPolicy, retry
from redouble.wrappers.run import Run, run_of, trim
from redouble.wrappers.shape import (
    is_awaitable,
    is_coroutine_function,
    name_of,
    refuse_missing_keyword,
    refuse_timeout_without_keyword,
    refuse_what_cannot_be_called,
)
from redouble.wrappers.sync import wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import FrameType
    from typing import Any, TypeVar, overload

    from redouble.control.outcome import GaveUp
    from redouble.core.backoff import Backoff
    from redouble.core.checks import Seconds
    from redouble.core.verdict import Fault, RuleLike

    T = TypeVar("T")

SLOWER: Backoff = constant(5)
"""By how many seconds "slow down" lengthens the interval (RFC 8628 3.5). As the curve of a classification it is the
mark, known by identity, of a server that has said so: what joins and copies classifications keeps their curve."""

_NO_FAULT: Exception = Exception()


if TYPE_CHECKING:

    @overload
    def poll(
        fn: Callable[[], Awaitable[T]],
        policy: RetryPolicy = ...,
        *,
        until: Callable[[T], object] | None = None,
        interval: Seconds = 5.0,
        slow_down: RuleLike | None = None,
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def poll(
        fn: Callable[[], T],
        policy: RetryPolicy = ...,
        *,
        until: Callable[[T], object] | None = None,
        interval: Seconds = 5.0,
        slow_down: RuleLike | None = None,
    ) -> T: ...
    def poll(
        fn: Callable[[], Any],
        policy: RetryPolicy = retry,
        *,
        until: Callable[[Any], object] | None = None,
        interval: Seconds = 5.0,
        slow_down: RuleLike | None = None,
    ) -> Any:
        """Ask until the answer is ready: see below."""
        ...

else:

    def poll(fn, policy=retry, *, until=None, interval=5.0, slow_down=None):
        """Call `fn()` at once and then at an interval, until its answer is ready; return that.

        An answer that is not ready is no failure: it begins the count of failures in a row again. There is no limit of
        failures and none of time unless the policy has one: its `attempts` are failures in a row, its `deadline` is the
        expiry, at which no question is asked any more.

        Args:
            fn: What asks, without arguments. When what it returns can be awaited, a coroutine comes back that awaits it
                and goes on in asyncio.
            policy: What errors mean, and the limits. Errors by a rule of `pending(...)` say that the answer is not
                ready, too; the interval holds for them, not the rule's `every`. A backoff that is written in it (or
                belongs to a rule) answers failures; else they wait for the interval.
            until: Asked of every value that the policy's `result` rules have no opinion on; a false answer: not ready.
                What it raises is raised at once. `None`: such a value is ready.
            interval: Seconds (> 0) between two questions when the server says nothing else (`Retry-After`, or whatever
                a rule gives as `retry_after`); under 0.1 s counts as 0.1 s. The default is RFC 8628's (section 3.2).
            slow_down: A rule, or exception types, for errors that say: not ready, and you ask too often. Each makes the
                interval 5 s longer for good, below which no hint goes from then on. `None`: there are no such errors.

        Returns:
            The first answer that is ready, or a coroutine of it.

        Raises:
            StillPending: At the deadline, when the last answer was a value that is not ready. Anything else is raised as
                it is: a pending error at the deadline, the last of too many failures, a permanent error.
            Stopped: When the policy's `stop` was set; from the last error, if there was one.
            TypeError, ValueError: When an argument is of no such kind; when `slow_down` leaves one of the policy's rules
                nothing to decide.

        Source: RFC 8628, 3.5 (the interval, `authorization_pending` and `slow_down`).

        >>> from redouble import poll
        >>> from redouble.testing import fake_time, scripted
        >>> state = scripted("queued", "running", ConnectionResetError, "done")
        >>> with fake_time() as clock:
        ...     poll(state, until=lambda job: job == "done", interval=2), clock.sleeps
        ('done', [2.0, 2.0, 2.0])
        """
        question = _question(fn, policy, until, interval, slow_down)
        if is_coroutine_function(fn):
            return _ask_async(question, [], None)
        refuse_timeout_without_keyword(policy, question.name)
        try:
            return _ask(question)
        except BaseException as error:
            trim(error)
            raise


class _Question(Record):
    """What is asked, and how."""

    fn: Callable[..., Any]
    name: str
    policy: RetryPolicy
    until: Callable[[Any], object] | None
    interval: float
    slow_down: Rule | None

    def begin(self, frame: FrameType | None) -> _Polling:
        """The state of the asking that begins here and now, with the scopes around `frame`."""
        policy = for_loop(self.policy)
        answers = _Answers(policy.result, self.until)
        errors = [rule for rule in (self.slow_down, policy.on) if rule is not None]
        changed = policy.overridden(
            on=first_of(*errors) if errors else None,
            result=policy.result if self.until is None else answers,
            nested="multiply",
        )
        return _Polling(changed, self, answers, frame)


def _question(fn: Any, policy: Any, until: Any, interval: Any, slow_down: Any) -> _Question:
    refuse_what_cannot_be_called(fn)
    if not isinstance(policy, RetryPolicy):
        raise TypeError(f"policy must be a RetryPolicy such as retry(attempts=5), got {checks.shown(policy)}")
    if policy.timeout_as is not None:
        refuse_missing_keyword(fn, policy.timeout_as)
    if until is not None:
        checks.plain_function("until", until)
    every = max(checks.seconds("interval", interval, positive=True), SHORTEST_PENDING)
    slower = None
    if slow_down is not None:
        rule = as_rule("slow_down", slow_down)
        if policy.on is not None:
            first_of(rule, policy.on)  # refuses what it would leave nothing to decide
        slower = _SlowDown(rule)
    return _Question(fn, policy.name or name_of(fn), policy, until, every, slower)


class _SlowDown(Rule):
    """The errors that say: not ready, and you ask too often."""

    __slots__ = ("_rule",)

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        found = ask_guarded(self._rule, subject, on_fault)
        if found is None:
            return None
        return Classification(Verdict.PENDING, found.retry_after, found.applied, SLOWER, found.reason, found.redact)


class _Answers(Rule):
    """The policy's rules for values, and then `until`; what that raises is kept for whoever asks."""

    __slots__ = ("_pending", "_rule", "_until", "fault")

    fault: Exception

    def __init__(self, rule: Rule | None, until: Callable[[Any], object] | None) -> None:
        self.fault = _NO_FAULT
        self._rule = rule
        self._until = until
        self._pending = Classification(Verdict.PENDING, reason=f"not ready: until={name_of(until)}")

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        found = None if self._rule is None else ask_guarded(self._rule, subject, on_fault)
        if found is not None or self._until is None:
            return found
        try:
            return None if self._until(subject) else self._pending
        except Exception as error:
            self.fault = error
            return None

    def discard(self, value: Any) -> Awaitable[object] | None:
        return None if self._rule is None else self._rule.discard(value)


class _Polling(Run):
    """A retried call in which all waits are at an interval, unless somebody knows better."""

    __slots__ = ("_answers", "_interval", "_paced", "_slowed")

    def __init__(self, policy: Any, question: _Question, answers: _Answers, frame: FrameType | None) -> None:
        self._answers = answers
        self._interval: float = question.interval
        self._slowed = False
        self._paced: bool = "backoff" not in policy.written
        super().__init__(policy, question.name, {}, frame, False)

    def decide(
        self, found: Classification, error: BaseException | None, now: float, draw: float, value: object = None
    ) -> float | GaveUp:
        """As a controller does, at the interval."""
        if found.backoff is SLOWER:
            self._slowed = True
            self._interval = self._interval + SLOWER.delay(1, None, 0.0)  # type: ignore[operator]  # it never ends
        return super().decide(self._at_interval(found), error, now, draw, value)

    def _at_interval(self, found: Classification) -> Classification:
        """What follows from an outcome, with the interval as the wait where the outcome does not say another."""
        hint = found.retry_after
        if found.verdict is Verdict.PENDING:
            if hint is not None and self._slowed:
                hint = max(hint, self._interval)
        elif found.backoff is not None or not self._paced:
            return found
        every = constant(self._interval)
        return Classification(found.verdict, hint, found.applied, every, found.reason, found.redact)

    def returned(self, value: object) -> bool:
        over = super().returned(value)
        answers = self._answers
        if answers.fault is not _NO_FAULT:
            try:
                raise answers.fault
            finally:
                answers.fault = _NO_FAULT
        if self.status is Status.STOPPED:
            raise self._stopped()
        return over

    def failed(self, error: Exception) -> bool:
        over = super().failed(error)
        if over and self.status is Status.STOPPED:
            raise self._stopped() from error
        return over

    def after_wait(self) -> bool:
        begun = super().after_wait()
        if self.status is Status.STOPPED:
            error = self.error
            self.let_go()
            raise self._stopped() from error
        return begun

    def _stopped(self) -> Exception:
        """Who stops the asking gets one kind of error, whatever was the last thing that happened."""
        assert self._end is not None
        return self._never_ready(self._end, None)

    def _fix_deadline(self, now: float) -> None:
        """What expires has expired at that moment: a question at the deadline comes too late."""
        super()._fix_deadline(now)
        if self._own_end is not None:
            self._own_end = nextafter(self._own_end, -inf)
            self._set_ends()


def _ask(question: _Question) -> Any:  # noqa: C901  # as there
    """The loop of synchronous code, as that of `sync.retrying`; what is to be awaited goes on in that of `aio`."""
    run = question.begin(sys._getframe(1))
    refuse_async_stop(run.policy)
    call = [0.0, run]
    while True:
        try:
            value = question.fn(**run.kwargs or {})
        except Exception as error:
            if run.failed(error):
                raise
        except BaseException:
            run.let_go()
            raise
        else:
            if is_awaitable(value):
                return _ask_async(question, call, value)
            if run.returned(value):
                return value
        if not wait(run):
            if run.error is None:
                return run.value
            try:
                raise run.error
            except Exception as error:
                run.as_raised(error)
                raise


known_by(_ask.__code__, run_of)


async def _ask_async(question: _Question, call: list[Any], given: Any) -> Any:
    """The loop of asyncio: `given` is what the attempt under way returned; without one the asking begins here."""
    from redouble.wrappers.aio import carry_on

    if not call:
        call += [0.0, question.begin(sys._getframe(1))]
    try:
        return await carry_on(question.policy, question.name, call, given, question.fn, (), call[1].kwargs)
    except BaseException as error:
        trim(error)
        raise
