"""Floor 4. The state of one retried call: the error held, the time limits, whom to tell, the mark.

It has a tally, which counts and decides; a script (`redouble.calls.script`) says how it goes on; a driver
(`redouble.calls.hosts`) performs that and tells the call what came of it. A call is a link of the chain of
`redouble.control.around` while it is under way.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from time import monotonic

from redouble.calls.tracebacks import forget_earlier_passes
from redouble.control import faults
from redouble.control.around import (
    BEGAN,
    BOUND,
    ENDS,
    KIND,
    NEAR,
    NODE,
    NUMBER,
    OUTER,
    WATCHDOG,
    WHO,
    ends_calls,
    first_live,
    holds,
    leave_bound,
    left_of,
    new_bound,
    nodes,
    patience,
)
from redouble.control.clock import SYSTEM, is_set
from redouble.control.events import DEFAULT_LOG, Event, EventKind, log_retries, notify
from redouble.control.mark import ended_around, mark
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason, StillPending, Stopped, Unwanted
from redouble.control.scope import effective
from redouble.control.tally import Tally
from redouble.core.verdict import Classification, Verdict, ask_guarded
from redouble.known.classify import UNKNOWN, judge_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from redouble.control.around import Link, Node
    from redouble.control.policy import Policy

SHORTEST = 0.001
"""Seconds that an operation gets where no time is left: to most clients a timeout of 0 means another thing."""

PAST = -1e-6
"""So many seconds are left at most of a watchdog whose time is over: no attempt begins any more, not even at once."""

TOO_LONG = "the attempt took longer than its timeout"
TIMED_OUT = Classification(Verdict.TRANSIENT, reason=TOO_LONG)


class End(Enum):
    """What follows from an error: the call goes on, it ends with that error, or it ends in order."""

    GOES_ON = 1
    RAISE = 2
    IN_ORDER = 3


class Site:
    """What the link of a decorated function stands for until its first failure: the policy, and whom it is called.

    So that the success path makes nothing: whoever asks for the attempt meanwhile turns it into a call (`call_at`).
    """

    __slots__ = ("judge", "name", "policy")

    is_attempt = True

    def __init__(self, policy: Policy, name: str | None, judge: Callable[[Policy], Judge] | None = None) -> None:
        self.policy = policy
        self.name = name
        self.judge = judge


class OnStop(Enum):
    """What becomes of a call that is stopped.

    `RAISE`: its last error is raised. `STOPPED`: `Stopped` is raised, whatever happened last. `END`: it ends in order.
    """

    RAISE = 1
    STOPPED = 2
    END = 3


class Judge:
    """Says what the outcomes of a call mean, and how it ends; a loop has one of its own.

    Attributes:
        policy: The policy in force.
        on_stop: What becomes of the call when it is stopped.
        expires: Whether the policy's deadline is an expiry: its moment itself is too late, and what was not ready by
            then is `StillPending`.
        hands_out: Whether a value is handed to a body that goes on with it: the attempt ends with that body, which tells
            the call what came of it.
    """

    __slots__ = ("policy",)

    on_stop = OnStop.RAISE
    expires = False
    hands_out = False

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def error(self, error: Exception) -> Classification:
        """Classify what an attempt raised."""
        return judge_exception(error, self.policy.on, faults.rule_raised)

    def value(self, value: object) -> Classification | None:
        """Classify what an attempt returned; `None`: it is wanted."""
        rule = self.policy.result
        return None if rule is None else ask_guarded(rule, value, faults.rule_raised)


class Call:
    """One retried call under way.

    Attributes:
        policy, tally: The policy in force, and the counts.
        link: Its link in the chain; that of a block is the link of the current attempt.
        bound: The moment of a written deadline, for all that is beneath; `None`: no deadline is written.
        fn, args, kwargs: The operation; `fn` is `None` where a body is the operation.
        given: What the operation returned, to be awaited; `None`: call the operation.
        attempting: Whether an attempt is under way.
        over: Whether the last attempt ended the call.
        error: The error that is held during a wait: it may have to be raised after it.
        raised: The error that ends the call, by which it can be told from a fault of ours.
        value: The last value.
        delay: Seconds to wait, where the call goes on.
        rest: Seconds to wait after those: beneath a watchdog a wait is cut in pieces.
        closing: What is left to await of a dropped result.
        alert: Whether something besides the time is to be looked at between attempts.
    """

    __slots__ = (
        "_bounding",
        "_bounds",
        "_cut",
        "_given_timeout",
        "_heard",
        "_judge",
        "_lag",
        "_timeout_ends",
        "alert",
        "args",
        "attempting",
        "bound",
        "closing",
        "delay",
        "error",
        "fn",
        "given",
        "kwargs",
        "link",
        "over",
        "policy",
        "raised",
        "rest",
        "tally",
        "value",
    )

    is_attempt = True

    policy: Policy
    tally: Tally
    link: Link
    bound: Node | None
    fn: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    given: Any
    attempting: bool
    over: bool
    error: Exception | None
    raised: BaseException | None
    value: Any
    delay: float
    rest: float
    closing: Awaitable[object] | None
    alert: bool
    _judge: Judge | None
    _heard: bool  # whether somebody hears of a retry
    _bounds: Sequence[Node]  # around the call
    _bounding: Node | None  # the one of them that is over first
    _cut: TimeoutError | None  # what stands for the attempt that its time limit cut off
    _timeout_ends: float  # the moment at which the attempt's own timeout is over
    _given_timeout: Any  # the timeout with which the caller called
    _lag: float  # by how much the clock stayed behind the waits

    def __init__(
        self,
        policy: Policy,
        name: str | None,
        link: Link,
        fn: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        judge: Judge | None = None,
        bound: Node | None = None,
    ) -> None:
        self.policy = policy
        self.tally = tally = Tally(policy, name)
        self.link = link
        self.fn, self.args, self.kwargs = fn, args, kwargs or {}
        self._judge = judge
        self.delay = self._lag = self.rest = 0.0
        self.over = False
        self.given = self.error = self.raised = self.value = self.closing = self._bounding = self._cut = None
        self._given_timeout = self._timeout_ends = inf
        observers = policy.observers
        self._heard = observers is not None and (observers != () or DEFAULT_LOG.hears_retries())
        self.alert = policy.stop is not None or policy.timeout_as is not None or tally.clock is not SYSTEM
        began = link[BEGAN]
        tally.began = began
        tally.exclusive = judge is not None and judge.expires
        tally.begin(began if tally.clock is SYSTEM else tally.now())
        self.attempting = True
        outer = link[NODE] if bound is None else bound[OUTER]
        self._bounds = () if outer is None else _bounds_from(outer, began)
        if bound is None and policy.is_bounded:
            link[NODE] = bound = new_bound(first_live(outer), tally.now, tally.own_end)
        self.bound = bound
        if policy.attempt_timeout is not None or policy.timeout_as is not None:
            self._limit_attempt()

    # What the drivers tell.

    def failed(self, error: Exception) -> bool:
        """Judge what an attempt raised; return whether it is to be raised, which ends the call.

        The guard between catching the user's error and raising it: nothing of ours comes out of here.
        """
        self.raised = error
        self.attempting = False
        try:
            ends = self._is_end(error)
            self.over = ends is not End.GOES_ON
        except Exception as fault:
            if fault is self.raised:  # meant for the caller
                raise
            self.fault(fault)
            self.raised, self.over, ends = error, True, End.RAISE
        if ends is End.RAISE:
            self.error = None
            return True
        self.error, self.raised = None if self.over else error, None
        return False

    def returned(self, value: object) -> bool:
        """Judge what an attempt returned; return whether the call is over, so that the value is to be returned.

        Raises:
            StillPending, Stopped: When the value says that the answer is not ready, and there is no time to ask again.
            Unwanted: When it is unwanted, the call is over, and the policy says so.
        """
        self.value = value
        if self._judge is not None and self._judge.hands_out:
            self.error = None
            return False
        self.attempting = False
        self.over = over = self._is_wanted(value)
        return over

    def succeeded(self) -> None:
        """The attempt is done, with nothing to be judged."""
        self.error = None
        self.attempting = False
        self.over = True
        if self.tally.failures and self._heard:
            self._tell(EventKind.SUCCESS)

    def take_over(self, earlier: Call) -> None:
        """Go on where a driver of threads was given something to await; the clock of a first attempt begins here."""
        if self._judge is not None:
            self._judge = earlier._judge
        if earlier.tally.attempt > 1:
            self.tally = earlier.tally
            self._move_bound()

    def fault(self, fault: Exception) -> None:
        """Report a fault between catch and raise, unless it is none: what a signal handler raises is the caller's."""
        if faults.raised_by_signal(fault):
            self.let_go()
            raise fault
        faults.report(
            "redouble", self.tally.name or "a retried call", fault, "the call ends with the operation's error"
        )

    def owns(self, error: BaseException) -> bool:
        """Whether an error that comes out of the call is meant to: any other is a fault of ours."""
        return error is self.raised or not isinstance(error, Exception) or faults.raised_by_signal(error)

    def clock_failed(self, fault: Exception) -> None:
        """The clock could not wait: reported; the call ends, with the error that it holds."""
        faults.report("clock", type(self.tally.clock), fault, "the retried call ends")
        self.tally.bound = -inf
        self._bounds = ()
        self.tally.due = None

    # What the scripts ask.

    def sleeps_on(self) -> bool:
        """A wait is over, or a piece of it: whether `delay` more seconds are to be waited.

        Beneath a watchdog that cannot cancel, a wait is cut in pieces that end with its time.
        """
        rest, stop = self.rest, self.policy.stop
        if not rest or (stop is not None and is_set(stop)):
            return False
        if not patience(self._bounds, self.tally.began):
            self.tally.due = None  # the time of the whole wait has not passed
            return False
        self._set_delay(rest)
        return True

    def _set_delay(self, seconds: float) -> None:
        """Wait so long, or for a piece of it."""
        if self._bounds:
            self.delay = min(seconds, patience(self._bounds, self.tally.began))
            self.rest = seconds - self.delay
        else:
            self.delay = seconds

    def goes_on(self) -> bool:
        """The wait is over: begin the next attempt; `False`: the call ended meanwhile.

        Raises:
            StillPending, Stopped, Unwanted: When the call ended without an error to raise, as of `returned`.
        """
        tally = self.tally
        now = tally.now()
        lag = tally.pass_wait(now)
        if lag:
            self._lag += lag
            self._move_bound()
        if self._bounds:
            self._look_around(now)
        own = tally.own_end
        if now > tally.bound or (own is not None and now > own):
            return self._ends_waiting(tally.give_up(Reason.DEADLINE, now, None, self.error))
        if self.alert and self.policy.stop is not None and is_set(self.policy.stop):
            return self._ends_waiting(tally.give_up(Reason.STOPPED, now, None, self.error))
        if self._judge is None:
            self.value = None
        tally.begin(now)
        tally.began = monotonic()
        self.link[NUMBER] = 0
        self.attempting = True
        if self.policy.attempt_timeout is not None or self.policy.timeout_as is not None:
            self._limit_attempt()
        return True

    def let_go(self) -> None:
        """The call ends: hold nothing any more, and bound nothing that begins later."""
        self.error = self.raised = self.closing = self._cut = self.given = self.value = None
        self.attempting = False
        if self.bound is not None:
            leave_bound(self.bound)

    # What an attempt tells from inside.

    def progress(self) -> None:
        """The attempt got somewhere: failures, curve and deadline begin again."""
        tally = self.tally
        tally.forget_failures()
        tally.fix_deadline(tally.now())
        self._move_bound()

    def postpone(self, seconds: float) -> None:
        """Leave so many seconds out of the policy's deadline, such as those of a body that went on with a value."""
        tally = self.tally
        if tally.own_end is not None:
            tally.own_end += seconds
        self._move_bound()

    def _move_bound(self) -> None:
        if self.bound is not None:
            self.bound[ENDS] = self.tally.own_end

    # Time.

    def left(self) -> float:
        """Seconds until the nearest written deadline, below 0 when it has passed; infinite where nothing bounds."""
        least = inf if self.bound is None else left_of(self.bound)
        for each in self._bounds:
            if each[KIND] is BOUND and holds(each, self.tally.began):
                least = min(least, left_of(each) - self._lag)
        return least

    def timeout(self) -> float:
        """Seconds that the attempt may take, >= 0: its own timeout, never more than what is left; infinite: no limit."""
        limit, left = self.policy.attempt_timeout, max(0.0, self.left())
        return left if limit is None else min(limit, left)

    def cut_in(self) -> float:
        """Seconds until the attempt is to be cut off; infinite: never."""
        left = self.left()
        if self._timeout_ends != inf:
            left = min(left, self._timeout_ends - self.tally.now())
        return 0.0 if left <= NEAR else left

    def cut_off(self, cancelled: BaseException) -> TimeoutError:
        """Return the error that stands for the attempt, which was cancelled because its time was up.

        That of a deadline is raised from the last error, so that this is not lost.
        """
        left = self.left()
        if self._timeout_ends - self.tally.now() < left:
            self._cut = cut = TimeoutError(TOO_LONG)
            cut.__cause__ = cancelled
            return cut
        own = self.bound is not None and left_of(self.bound) <= left
        whose = f"of {self.policy.deadline:g} s" if own else "around the call"
        self._cut = cut = DeadlineExceeded(f"the deadline {whose} has passed")
        cut.__cause__ = cancelled if self.error is None else self.error
        return cut

    def _limit_attempt(self) -> None:
        """An attempt begins: fix the moment of its timeout, and hand it out."""
        policy = self.policy
        if policy.attempt_timeout is not None:
            self._timeout_ends = self.tally.now() + policy.attempt_timeout
        keyword = policy.timeout_as
        if keyword is not None and self.fn is not None:
            self._hand_out(keyword)

    def _hand_out(self, keyword: str) -> None:
        """Give the operation its timeout, which never is longer than the one that it was called with."""
        timeout = self.timeout()
        if self._given_timeout == inf:
            self._given_timeout = self.kwargs.get(keyword, inf)
        if timeout == inf:
            return
        try:
            least = min(timeout, self._given_timeout)
        except TypeError:  # a timeout of the client's own kind
            least = timeout
        self.kwargs = {**self.kwargs, keyword: max(least, SHORTEST) if least is timeout else least}

    def _look_around(self, now: float) -> None:
        """Find the bound around the call that is over first; of several that are over already, the outermost.

        A watchdog counts when its time is over, and not before: somebody may touch it during a wait.
        """
        least, self._bounding = inf, None
        for each in self._bounds:
            if holds(each, self.tally.began):
                left = left_of(each) - self._lag
                if each[KIND] is WATCHDOG:
                    if left > NEAR:
                        continue
                    left = min(left, PAST)
                if left <= least or left <= 0:
                    least, self._bounding = min(left, least), each
        self.tally.bound = now + least

    # Judging.

    def _is_end(self, error: Exception) -> End:
        tally = self.tally
        if tally.attempt > 1:
            forget_earlier_passes(error)
        now = tally.now()
        if self._bounds:
            self._look_around(now)
            if ended_around(error, self._bounds, tally.began):
                tally.give_up(Reason.DEADLINE, now, None, error)
                return End.RAISE  # as it is, as a cancellation would pass
        cut, self._cut = self._cut, None
        if error is cut:
            found = TIMED_OUT
            if isinstance(error, DeadlineExceeded):
                return self._ends_cut_off(tally.give_up(Reason.DEADLINE, now, found, error), error)
        elif self._was_stopped_within(error):
            tally.give_up(Reason.STOPPED, now)
            return End.IN_ORDER
        elif self._judge is None:
            found = judge_exception(error, self.policy.on, faults.rule_raised)
        else:
            found = self._judge.error(error)
        decision = tally.decide(found, error, now, tally.draw(), None, self.link[NUMBER])
        if decision.__class__ is GaveUp:
            return self._ends(decision, error)  # type: ignore[arg-type]
        self._set_delay(decision)  # type: ignore[arg-type]  # what is no GaveUp is seconds
        if self._heard:
            self._tell(EventKind.RETRY, decision, error, found)  # type: ignore[arg-type]
        return End.GOES_ON

    def _was_stopped_within(self, error: Exception) -> bool:
        """Whether a loop within a loop's attempt heard of the stop first."""
        judge, stop = self._judge, self.policy.stop
        ends = judge is not None and judge.on_stop is OnStop.END
        return ends and isinstance(error, Stopped) and stop is not None and is_set(stop)

    def _is_wanted(self, value: object) -> bool:
        policy = self.policy
        found = None
        if self._judge is not None or policy.result is not None:
            try:
                found = (self._judge or Judge(policy)).value(value)
            except Exception as error:  # what a loop's own judge raises is meant for the caller
                self.raised = error
                raise
        self.error = None
        if found is None:
            self.succeeded()
            return True
        tally = self.tally
        now = tally.now()
        if self._bounds:
            self._look_around(now)
        decision = tally.decide(found, None, now, tally.draw(), value, self.link[NUMBER])
        if isinstance(decision, GaveUp):
            self._tell_end(decision, None)
            if self._stops(decision, None) is None:
                self._raise_for_value(decision)
            return True
        self._set_delay(decision)
        if self._heard:
            self._tell(EventKind.RETRY, decision, None, found)
        self._discard(value)
        return False

    def _discard(self, value: object) -> None:
        """Let the rules give back what a dropped result holds, such as its connection."""
        rule = self.policy.result
        try:
            self.closing = None if rule is None else rule.discard(value)
        except Exception as error:
            faults.report("rule", rule, error, "the dropped result is left as it is")

    # Ending.

    def _ends(self, end: GaveUp, error: Exception) -> End:
        self._tell_end(end, error)
        return self._stops(end, error) or End.RAISE

    def _ends_cut_off(self, end: GaveUp, error: DeadlineExceeded) -> End:
        """A written deadline cut the attempt off; that of a poll is its expiry, as if the answer had come too late."""
        if self._judge is None or not self._judge.expires or end.limit != "own":
            return self._ends(end, error)
        if self.error is not None:
            self._tell_end(end, self.error)
            self.raised = self.error
            raise self.error
        self._tell_end(end, None)
        self.raised = late = StillPending(f"still pending: {end}", self.value)
        self._mark(end, late)
        raise late from error

    def _ends_waiting(self, end: GaveUp) -> bool:
        """The call ended while waiting: with the error that it holds, else with what became of the last value."""
        self.over = True
        error, self.error = self.error, None
        self._tell_end(end, error)
        if self._stops(end, error) is None:
            self.raised = error
            if error is None:
                self._raise_for_value(end)
        return False

    def _stops(self, end: GaveUp, error: Exception | None) -> End | None:
        """What a stop ends with; `None` when it was none, or the error is to be raised."""
        judge = self._judge
        if judge is None or end.reason is not Reason.STOPPED or judge.on_stop is OnStop.RAISE:
            return None
        if judge.on_stop is OnStop.END:
            return End.IN_ORDER
        self.raised = stopped = Stopped("stopped while the answer was still pending")
        self._mark(end, stopped)
        raise stopped from error

    def _raise_for_value(self, end: GaveUp) -> None:
        """Raise what a value at the end stands for; an unwanted one is returned unless the policy says otherwise."""
        found, error = end.classification, None
        pending = self.tally.failures == 0 if found is None else found.verdict is Verdict.PENDING
        if pending and end.reason is Reason.STOPPED:
            error = Stopped("stopped while the answer was still pending")
        elif pending:
            error = StillPending(f"still pending: {end}", self.value)
        elif self.policy.unwanted == "raise":
            error = Unwanted(self.value, f"the value returned last is unwanted: {end}")
        if error is not None:
            self._mark(end, error)
            self.raised = error
            raise error

    def _tell_end(self, end: GaveUp, error: BaseException | None) -> None:
        if error is not None:
            self._mark(end, error)
        self._tell(EventKind.GIVE_UP, None, error, end.classification, end.reason)

    def _mark(self, end: GaveUp, error: BaseException) -> None:
        if end.reason is not Reason.PERMANENT or end.attempts > 1:
            ours = isinstance(error, (StillPending, Stopped, Unwanted))  # whose text says it already
            bound = self._bounding if end.limit == "scope" else None
            mark(error, end, end.attempts > 1 and not ours, self.link, bound)
        elif end.classification is not None and end.classification.reason.startswith(UNKNOWN):
            say_unknown(self.tally.name, type(error))

    def _tell(
        self,
        kind: EventKind,
        delay: float | None = None,
        error: BaseException | None = None,
        found: Classification | None = None,
        reason: Reason | None = None,
    ) -> None:
        tally, observers = self.tally, self.policy.observers
        if observers is None:
            return
        if not any(isinstance(observer, log_retries) for observer in observers):
            observers = (DEFAULT_LOG, *observers)
        elapsed = tally.elapsed(tally.now() if tally.ended_at is None else tally.ended_at)
        event = Event(kind, tally.name, tally.attempt, tally.failures, elapsed, delay, error, found, reason)
        try:
            notify(observers, event)
        except BaseException as error:
            self.raised = error
            self.let_go()
            raise


def _bounds_from(node: Node, began: float) -> tuple[Node, ...]:
    """The bounds and watchdogs from a node outwards that hold for a call that began then."""
    return tuple(each for each in nodes(node) if ends_calls(each) and holds(each, began))


def new_call(site: Site, link: Link, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Begin a call of a site, under the policy that the scopes around it make of the site's."""
    policy = effective(site.policy)
    judge = None if site.judge is None else site.judge(policy)
    link[WHO] = call = Call(policy, site.name, link, fn, args, kwargs, judge)
    return call


def call_at(link: Link) -> Call:
    """Return the call of an attempt's link; a decorated function that has not failed yet has none, and gets it now."""
    who = link[WHO]
    if isinstance(who, Site):
        own = link[NODE] if who.policy.is_bounded else None
        link[WHO] = who = Call(who.policy, who.name, link, bound=own)
    call: Call = getattr(who, "_call", who)
    return call


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
