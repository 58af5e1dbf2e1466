"""Floor 5. Polling: ask for an answer at an interval, until it is ready or the time is up.

A poll is a retried call with a judge of its own: the wait is the interval, unless the server or the policy names
another wait.
"""

from __future__ import annotations

from redouble.calls.call import TIMED_OUT, Judge, OnStop, Site
from redouble.calls.tracebacks import strip
from redouble.control import faults
from redouble.control.policy import as_policy
from redouble.control.tally import SHORTEST_PENDING
from redouble.core import checks
from redouble.core.backoff import Backoff, as_curve, constant, wait_of
from redouble.core.record import Record
from redouble.core.verdict import Classification, Rule, Verdict, as_rule, first_of
from redouble.known.classify import judge_exception, judge_result
from redouble.loops.base import for_loop, refuse_awaitable
from redouble.ways import wrap
from redouble.ways.policy import RetryPolicy, retry
from redouble.ways.shape import (
    is_coroutine_function,
    name_of,
    refuse_other_arguments,
    refuse_own_cooldown,
    refuse_timeout_without_keyword,
    refuse_what_cannot_be_called,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any, Never, TypeVar, overload

    from redouble.control.policy import Policy
    from redouble.core.backoff import Curve, Draw
    from redouble.core.checks import Seconds
    from redouble.core.verdict import RuleLike

    T = TypeVar("T")

SLOW_DOWN = 5.0
"""The seconds by which "slow down" lengthens the interval (RFC 8628 3.5)."""


if TYPE_CHECKING:

    @overload
    def poll(  # of a function that returns `Any`, which else would count as awaitable
        fn: Callable[[], Never],
        policy: RetryPolicy = ...,
        *,
        until: Callable[[Any], object] | None = None,
        interval: Seconds | Curve = 5.0,
        questions: int | None = None,
        slow_down: RuleLike | None = None,
    ) -> Any: ...
    @overload
    def poll(
        fn: Callable[[], Awaitable[T]],
        policy: RetryPolicy = ...,
        *,
        until: Callable[[T], object] | None = None,
        interval: Seconds | Curve = 5.0,
        questions: int | None = None,
        slow_down: RuleLike | None = None,
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def poll(
        fn: Callable[[], T],
        policy: RetryPolicy = ...,
        *,
        until: Callable[[T], object] | None = None,
        interval: Seconds | Curve = 5.0,
        questions: int | None = None,
        slow_down: RuleLike | None = None,
    ) -> T: ...


def poll(
    fn: Callable[[], Any],
    policy: RetryPolicy = retry,
    *,
    until: Callable[[Any], object] | None = None,
    interval: Seconds | Curve = 5.0,
    questions: int | None = None,
    slow_down: RuleLike | None = None,
) -> Any:
    """Call `fn()` at once and then at an interval until its answer is ready, and return that answer.

    An answer that is not ready is no failure: it begins the count of failures in a row again. A poll has no limit of
    failures or time unless the policy has one: its `attempts` are failures in a row, and its `deadline` is the expiry,
    at which no further question is asked.

    Args:
        fn: The function that asks, without arguments. If it returns an awaitable, `poll` returns a coroutine that
            awaits it and goes on in asyncio or trio.
        policy: The rules for errors, and the limits. An error by a rule of `pending(...)` also means that the answer
            is not ready; it is followed by the interval, not by the rule's `every`. A failure is followed by the
            `backoff` that the policy or its rule names, else by the interval.
        until: A function of the answer that returns whether it is ready; called for every value that the policy's
            `result` rules do not judge. It must not be asynchronous, and its errors are raised at once. `bool`: a true
            value is ready. `None`: each such value is ready.
        interval: Seconds (> 0) between two questions, unless the server asks for another wait (`Retry-After`, or the
            `retry_after` of a rule); less than 0.1 s counts as 0.1 s. The default is RFC 8628's (section 3.2). Or a
            curve: its n-th wait follows the n-th question, and the poll ends with the curve, as at the deadline.
        questions: The number of questions (>= 1) after which the poll ends, failed ones included, as at the deadline.
            `None`: no limit.
        slow_down: A rule, or exception types, for errors that mean: not ready, and you ask too often. Each makes the
            interval 5 s longer for good; from then on no hint shortens it. `None`: there are no such errors.

    Returns:
        The first answer that is ready, or a coroutine of it.

    Raises:
        StillPending: At the deadline (or after `questions`, or at the end of a curve), when the last answer was a
            value that is not ready, which is its `value`; and in asyncio and trio, when the deadline cut off the first
            question, so that there is no answer (`value` is `None`, and the text says so). Other outcomes are raised as
            they are: a pending error at the deadline, the last of too many failures, a permanent error.
        Stopped: When the policy's `stop` was set; from the last error, if there was one.
        TypeError, ValueError: When an argument is of a wrong kind or value; when `slow_down` matches every error of one
            of the policy's rules; when `interval` is a curve with the jitter `decorrelated`.

    Source: RFC 8628, 3.5 (the interval, `authorization_pending` and `slow_down`).

    >>> from redouble import poll
    >>> from redouble.testing import fake_time, scripted
    >>> state = scripted("queued", "running", ConnectionResetError, "done")
    >>> with fake_time() as clock:
    ...     poll(state, until=lambda job: job == "done", interval=2), clock.sleeps
    ('done', [2.0, 2.0, 2.0])
    """
    question = _question(fn, policy, until, interval, questions, slow_down)
    site = Site(for_polling(policy), question.name, question.judge)
    if is_coroutine_function(fn):
        from redouble.ways.wrap_async import carry_on

        return carry_on(site, None, fn, (), {})
    refuse_timeout_without_keyword(policy, question.name)
    try:
        return wrap.run(site, fn, (), {})
    except BaseException as error:
        strip(error)
        raise


class _Question(Record):
    """The function and the settings of a poll."""

    fn: Callable[..., Any]
    name: str
    policy: RetryPolicy
    until: Callable[[Any], object] | None
    interval: Backoff
    questions: int | None
    slow_down: Rule | None

    def judge(self, policy: Policy) -> _Asking:
        """Return the judge of a poll that begins under this policy."""
        return _Asking(policy, self)


def _question(fn: Any, policy: Any, until: Any, interval: Any, questions: Any, slow_down: Any) -> _Question:
    refuse_what_cannot_be_called(fn, "poll")
    as_policy("policy", policy)
    refuse_own_cooldown(policy, "a poll")
    refuse_other_arguments("fn", fn, policy.timeout_as)
    if until is not None and until is not bool:
        if isinstance(until, type):  # most classes make a true object of any answer
            raise TypeError(f"until must be a function, or bool, and no other class, got {checks.shown(until)}")
        checks.asked("until", until, "value")
    if questions is not None:
        checks.whole("questions", questions, least=1)
    slower = None
    if slow_down is not None:
        slower = as_rule("slow_down", slow_down)
        if policy.on is not None:
            first_of(slower, policy.on)  # refuses a rule that `slow_down` makes useless
    return _Question(fn, policy.name or name_of(fn), policy, until, _pace("interval", interval), questions, slower)


def _pace(name: str, value: Any) -> Backoff:
    """Return the curve of the intervals; for a number, a constant one."""
    if isinstance(value, Backoff) or callable(value):
        curve = as_curve(name, value)
        if curve.remembers:
            raise ValueError(f"{name} cannot be a curve with the jitter 'decorrelated', got {checks.shown(value)}")
        return curve.at_least(SHORTEST_PENDING)
    return constant(max(checks.seconds(name, value, positive=True), SHORTEST_PENDING))


def for_polling(policy: Policy) -> Policy:
    """Return the policy for a poll, without the scopes around it: an inner give-up is a failure like any other."""
    policy = for_loop(policy, scopes=False)
    changed: Policy = policy.overridden(nested="multiply")
    return changed


class _Asking(Judge):
    """Judges the answers of a poll: they come at an interval, which "slow down" lengthens for good."""

    __slots__ = ("_asked", "_paced", "_question", "_slower", "most")

    on_stop = OnStop.STOPPED
    expires = True

    def __init__(self, policy: Policy, question: _Question) -> None:
        super().__init__(policy)
        self._question = question
        self.most = question.questions
        self._asked = 0
        self._slower = 0.0  # the seconds by which the interval is longer
        self._paced = "backoff" not in policy.written  # else failures wait by the policy's curve

    def error(self, error: Exception) -> Classification:
        rule = self._question.slow_down
        asked = None if rule is None else judge_exception(error, rule, faults.rule_raised)
        if asked is not None and asked.verdict is not Verdict.PERMANENT:
            self._slower += SLOW_DOWN
            return self._at_interval(_pending(asked))
        return self._at_interval(super().error(error))

    def late(self) -> Classification:
        return self._at_interval(TIMED_OUT)

    def value(self, value: object) -> Classification | None:
        rule, until = self.policy.result, self._question.until
        found = None if rule is None else judge_result(value, rule, faults.rule_raised)
        if found is None and until is not None:
            ready = until(value)
            refuse_awaitable("until", ready)
            if not ready:
                found = Classification(Verdict.PENDING, reason=f"not ready: until={name_of(until)}")
        return None if found is None else self._at_interval(found)

    def _at_interval(self, found: Classification) -> Classification:
        """Return the outcome with the interval as its wait, unless it has another wait."""
        self._asked += 1
        every = _Interval(self._question.interval, self._asked, self._slower)
        hint = found.retry_after
        if found.verdict is Verdict.PENDING:
            if hint is not None and self._slower:
                hint = max(hint, every.base(1) or 0.0)
        elif found.backoff is not None or not self._paced:
            return found
        return found.but(retry_after=hint, backoff=every)


class _Interval(Record, Backoff):
    """The wait after a question of a poll, failed or not: one place of its curve, plus the seconds of "slow down"."""

    curve: Backoff
    place: int
    slower: float

    def delay(self, failures: int, previous: float | None, draw: Draw) -> float | None:
        wait = wait_of(self.curve, self.place, None, draw)
        return None if wait is None else wait + self.slower


def _pending(found: Classification) -> Classification:
    return found.but(verdict=Verdict.PENDING, backoff=None)
