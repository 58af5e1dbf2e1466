"""Floor 4. One retried call: the controller that decides, and all that the loops of both colours do alike around it.

The loops in `sync` and `aio` only call, wait and call again. Here the observers are told, the error is marked, timeouts
are handed out, and what must not outlive the call is let go.
"""

from __future__ import annotations

import sys

from redouble.control import faults, scope
from redouble.control.clock import is_set
from redouble.control.controller import Status
from redouble.control.events import DEFAULT_LOG, Event, EventKind, audience
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason, StillPending, Stopped, mark
from redouble.control.policy import refuse_async_stop
from redouble.control.stack import least_left
from redouble.core.verdict import Classification, Verdict, ask_guarded
from redouble.known.classify import UNKNOWN, judge_exception
from redouble.wrappers.limits import TOO_LONG, Limited, is_cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import FrameType, TracebackType
    from typing import Any

    from redouble.control.clock import Clock
    from redouble.control.policy import Policy

CUT_OFF = Classification(Verdict.TRANSIENT, reason=TOO_LONG)


ATTEMPTING = Status.ATTEMPTING
# Past classes that guard their attributes: what Python itself reads and writes.
_TRACEBACK: Any = BaseException.__traceback__
_CONTEXT: Any = BaseException.__context__
_NOTHING_RAISED: tuple[None, None] = (None, None)


class Run(Limited):
    """One retried call.

    The last error is held here from its failure until the next outcome: it may have to be raised after the wait, a
    deadline's error is raised from it, and the same object may come back. Whoever ends the call lets it go, on every
    way out: an error holds its frames, and they hold this.
    """

    __slots__ = (
        "_heard",
        "_raised",
        "alert",
        "closing",
        "delay",
        "passed",
        "value",
    )

    began: float
    status: Status
    attempt: int
    clock: Clock
    cut: TimeoutError | None
    error: BaseException | None
    delay: float
    value: object
    closing: Awaitable[object] | None  # what is left to do for a dropped result
    passed: TracebackType | None  # of the held error, as a block's attempt left it
    alert: bool  # whether something besides the deadline is to be looked at between attempts
    _raised: tuple[TracebackType | None, BaseException | None]
    _heard: bool

    def __init__(
        self,
        policy: Policy,
        name: str | None,
        kwargs: dict[str, Any] | None,
        frame: FrameType | None,
        asynchronous: bool,
        began: float | None = None,
    ) -> None:
        Limited.__init__(self, policy)
        if policy.name is None:
            self.name = name
        self.clock = self._clock
        self.kwargs = kwargs
        self.delay = 0.0
        self.error = self.cut = self.value = self.passed = self.closing = None
        self._raised = _NOTHING_RAISED
        self._cut = self._bounding = self._attempt_ends = self._given = None
        self._asynchronous = asynchronous
        self._heard = bool(policy.observers) or DEFAULT_LOG.hears_retries()
        self.alert = (
            policy.stop is not None
            or policy.clock is not None
            or policy.timeout_as is not None
            or (is_cut(policy) if asynchronous else in_event_loop())
        )
        self.start(began)
        if began is not None:
            self.began = began
        least = None if frame is None else least_left(frame)
        if least is not None or scope.in_deadline():
            self._bind(least)
        if self.alert:
            self._prepare()

    # What the loops tell.

    def failed(self, error: Exception) -> bool:
        """The attempt raised; `True`: it is over, raise it again."""
        if self.attempt > 1 and self.kwargs is not None:  # a block has no frame that errors pass through
            forget_earlier_passes(error)
        if self.cut is not None:
            return self._failed_with_limit(error)
        found = judge_exception(error, self.policy.on, faults.rule_raised)
        decision = self.decide(found, error, self._now(), self._draw())
        if self._heard or decision.__class__ is GaveUp:
            return self._goes_on_or_ends(found, error, decision)
        self.delay = decision  # type: ignore[assignment]  # what is no GaveUp is seconds
        self.error = error
        return False

    def returned(self, value: object) -> bool:
        """The attempt returned; `True`: it is over, return the value.

        Raises:
            StillPending, Stopped: When the value says that the answer is not ready, and there is no time to ask again.
        """
        rule = self.policy.result
        found = None if rule is None else ask_guarded(rule, value, faults.rule_raised)
        if found is None:
            self.succeeded()
            return True
        if self.cut is not None:
            self._cut_settled(None)
        self.error, self.passed, self.value = None, None, value
        decision = self.decide(found, None, self._now(), self._draw(), value)
        over = self._goes_on_or_ends(found, None, decision)
        if not over:
            self._discard(value)
        else:
            self.value = None
            if found.verdict is Verdict.PENDING and isinstance(decision, GaveUp):
                raise self._never_ready(decision, value)
        return over

    def _discard(self, value: object) -> None:
        """Let the rules give back what a dropped result holds, such as its connection."""
        rule = self.policy.result
        try:
            self.closing = None if rule is None else rule.discard(value)
        except Exception as error:
            faults.report("rule", rule, error, "the dropped result is left as it is")

    def succeeded(self) -> None:
        """The attempt is what was wanted."""
        failures = self.failures
        self.error = self.passed = None
        if self.cut is not None:
            self._cut_settled(None)
        self.status = Status.SUCCEEDED  # as record_success(), for a call that ends with it
        if failures and self.policy.observers:
            self._tell(EventKind.SUCCESS, failures=failures)

    def cut_off(self, cancelled: BaseException) -> bool:
        """The attempt was cancelled; `True`: by its time limit, so that `cut` is to be raised in its place."""
        if self._cut_settled(cancelled):
            return True
        self.let_go()
        return False

    def after_wait(self) -> bool:
        """The wait is over; `True`: the next attempt has begun, `False`: it ended meanwhile.

        Raises:
            StillPending, Stopped: When what it waited for was not ready.
        """
        now = self._now()
        if self._ends is not None and now > self._ends:
            return self._ended_in_wait(self.expire(now))
        if self.alert and self.policy.stop is not None and is_set(self.policy.stop):
            return self._ended_in_wait(self.stop(now))
        self.value = None
        self.status = ATTEMPTING  # as start(), without its questions
        self.attempt += 1
        self.began = now
        if self.alert:
            self._prepare()
        return True

    def as_raised(self, error: BaseException) -> None:
        """Take back what raising the held error a second time did to it, and let it go."""
        traceback, context = self._raised
        _TRACEBACK.__set__(error, traceback)
        _CONTEXT.__set__(error, context)
        self.let_go()

    def let_go(self) -> None:
        """The call ends: hold nothing any more."""
        self.error = self.cut = self.passed = self.value = self.closing = None
        self._raised = _NOTHING_RAISED

    def become_asynchronous(self) -> None:
        """What the attempt returned is awaited: from here on its time limits can cut it off."""
        self._asynchronous = True
        if is_cut(self.policy):
            self.alert = True
            self._prepare()

    def clock_failed(self, error: Exception) -> None:
        """The clock could not wait: logged once; the last error matters more, so the call ends."""
        faults.report("clock", type(self.clock), error, "the retried call ends")
        self.bound(float("-inf"))

    def _failed_with_limit(self, error: Exception) -> bool:
        """The attempt had a time limit: is the error that limit's, and whose limit was it?"""
        if self._cut is not None:
            self._cut_settled(error)
        ours = error is self.cut
        self.cut = None
        if ours and isinstance(error, DeadlineExceeded):
            return self._goes_on_or_ends(CUT_OFF, error, self.expire())
        found = CUT_OFF if ours else judge_exception(error, self.policy.on, faults.rule_raised)
        return self._goes_on_or_ends(found, error, self.decide(found, error, self._now(), self._draw()))

    # What is told, and where.

    def _goes_on_or_ends(self, found: Classification, error: Exception | None, decision: float | GaveUp) -> bool:
        if isinstance(decision, GaveUp):
            self.error = None
            self._tell_end(decision, error)
            return True
        self.delay = decision
        self.error = error
        if self._heard:
            self._tell(EventKind.RETRY, decision, error, found)
        return False

    def _ended_in_wait(self, end: GaveUp) -> bool:
        self._tell_end(end, self.error)
        if self.error is not None:
            self._raised = traceback_of(self.error), _CONTEXT.__get__(self.error)
        elif self.failures == 0:
            raise self._never_ready(end, self.value)
        return False

    def _tell_end(self, end: GaveUp, error: BaseException | None) -> None:
        if end.reason is Reason.DEADLINE and self._bounding is not None:
            self._blame(self._bounding)
        if error is not None:
            self._mark(end, error)
        self._tell(EventKind.GIVE_UP, None, error, end.classification, end.reason)

    def _blame(self, scopes: list[scope.deadline]) -> None:
        """Tell the scope that bounded the call first that it was its end."""
        if self.own_end is not None and self.own_end == self.ends:
            return
        lefts = [each.left() for each in scopes]
        least = min(left for left in lefts if left is not None)
        for each, left in zip(scopes, lefts, strict=True):
            if left == least:
                each.blame()

    def _mark(self, end: GaveUp, error: BaseException) -> None:
        if end.reason is not Reason.PERMANENT or end.attempts > 1:
            mark(error, end, end.attempts > 1)
        elif end.classification is not None and end.classification.reason.startswith(UNKNOWN):
            say_unknown(self.name, type(error))

    def _tell(
        self,
        kind: EventKind,
        delay: float | None = None,
        error: BaseException | None = None,
        found: Classification | None = None,
        reason: Reason | None = None,
        failures: int | None = None,
    ) -> None:
        count = self.failures if failures is None else failures
        attempts = self.policy.attempts
        event = Event(
            kind, self.name, self.attempt, count, self.elapsed, delay, error, found, reason, attempts=attempts
        )
        try:
            audience(self.policy.observers).tell(event)
        except BaseException:
            self.let_go()
            raise

    def _never_ready(self, end: GaveUp, value: object) -> Exception:
        error: Exception
        if end.reason is Reason.STOPPED:
            error = Stopped("stopped while the answer was still pending")
        else:
            error = StillPending(f"still pending: {end}", value)
        mark(error, end, False)
        return error


def say_unknown(name: str | None, kind: type) -> None:
    """Log once per function and type that an error is not known, and what to write to change it."""
    if faults.once("unknown", name, kind.__module__, kind.__qualname__):
        faults.warn(
            "%s: %s is not known to be transient, so it is not retried; if trying again can help, write"
            " on=transient(%s) | known_errors, else permanent(%s) | known_errors to be told no more",
            name or "a retried call",
            kind.__qualname__,
            kind.__name__,
            kind.__name__,
        )


def traceback_of(error: BaseException) -> TracebackType | None:
    """The traceback of an error."""
    found: TracebackType | None = _TRACEBACK.__get__(error)
    return found


def forget_earlier_passes(error: BaseException) -> None:
    """When the same error object came back to a loop, its traceback is as at its first pass, and grows no more.

    Known by the loop's own frame, which a loop passes an error through once.
    """
    head = traceback_of(error)
    if head is None:
        return
    frame, at = head.tb_frame, head.tb_next
    while at is not None:
        if at.tb_frame is frame:
            _TRACEBACK.__set__(error, at)
            return
        at = at.tb_next


def trim(error: BaseException, package: str = "redouble.") -> None:
    """Leave one frame of ours in the traceback, the outermost, where one way in stands upon another."""
    at = traceback_of(error)
    while at is not None:
        inner = at.tb_next
        while inner is not None and inner.tb_frame.f_globals.get("__name__", "").startswith(package):
            inner = inner.tb_next
        at.tb_next = inner
        at = inner


def begin(
    policy: Policy,
    name: str | None,
    kwargs: dict[str, Any] | None,
    call: list[Any],
    *,
    asynchronous: bool = False,
    first: bool = False,
) -> Run:
    """The run of a wrapper's call: the one that was made from deeper down, or a new one for its first attempt.

    Args:
        policy: The wrapper's.
        name: The function's.
        kwargs: What the function is called with; a timeout is put into it.
        call: When the call began by `time.monotonic`, then the run, once there is one.
        asynchronous: Whether the attempts can be cut off.
        first: Whether nothing has been attempted yet, so that a mistake in the program may be refused.
    """
    if len(call) == 1:
        outside = sys._getframe(2)
        began = call[0]
        if scope.overriding:
            policy = scope.effective(policy)
        if policy.clock is not None:
            began = None
        if first and not asynchronous:
            refuse_async_stop(policy)
        call.append(Run(policy, name, kwargs, outside, asynchronous, began))
    run: Run = call[1]
    return run


def in_event_loop() -> bool:
    """Whether an event loop is running here, without loading asyncio to find out."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def is_plain(policy: Policy) -> bool:
    """Whether a first attempt that succeeds needs nothing but the time at which it began."""
    return (
        policy.result is None and policy.attempt_timeout is None and policy.timeout_as is None and policy.clock is None
    )


def run_of(frame: FrameType) -> Run | None:
    """The run in a wrapper's frame; a call that has not failed yet has none, and gets it now."""
    variables = frame.f_locals
    call: list[Any] = variables.get("call", ())
    if len(call) == 1 and "policy" in variables:
        asynchronous = "plain" not in variables  # only the synchronous wrapper looks at types
        call.append(Run(variables["policy"], variables["name"], {}, frame.f_back, asynchronous, call[0]))
    return call[1] if len(call) == 2 else None
