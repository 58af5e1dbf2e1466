"""Floor 4. The state of one retried call: the held error, the time limits, the observers, the mark.

The call has a tally, which counts and decides. A script (`redouble.calls.script`) yields its steps; a driver
(`redouble.calls.hosts`) performs each step and tells the call the outcome. While the call is under way, it is a link of
the chain of `redouble.control.around`.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from time import monotonic

from redouble.calls.timing import TimeoutAt, place_of_timeout, shortened
from redouble.calls.tracebacks import forget_earlier_passes
from redouble.control import faults
from redouble.control.around import (
    AROUND,
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
    bounds_of,
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
from redouble.control.cooldown import in_force
from redouble.control.events import Event, EventKind
from redouble.control.mark import ended_around, mark, mark_answer
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason, StillPending, Stopped, Unwanted
from redouble.control.policy import OWN_BUDGET
from redouble.control.scope import effective
from redouble.control.tally import Tally
from redouble.core.verdict import Classification, Verdict
from redouble.known.advice import advice, advice_unsafe
from redouble.known.classify import is_unknown, judge_exception, judge_result
from redouble.known.used_up import used_up
from redouble.known.whose import handed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any, Literal

    from redouble.control.around import Link, Node
    from redouble.control.budget import RetryBudget
    from redouble.control.cooldown import Cooldown
    from redouble.control.policy import Policy
    from redouble.core.verdict import Rule

_NOT_ASKED: Any = object()

FIRST_LOOK, LONGEST_LOOK = 0.001, 0.016
"""The seconds between two looks for the answer of a budget's store; most answers take a fraction of the first."""

PAST = -1e-6
"""The seconds left of a watchdog whose time is over, at most: below 0, so that no attempt begins, not even at once."""

STILL_PENDING = "still pending"
NO_ANSWER = "still pending: no question was answered in time"
"""The texts of a poll's end; the note adds the number of attempts and the time."""
SHORTEST_HOLD = 0.001
"""The seconds by which a cooldown has to grow before observers are told again."""

TOO_LONG = "the attempt took longer than its timeout"
TIMED_OUT = Classification(Verdict.TRANSIENT, reason=TOO_LONG)


class End(Enum):
    """The effect of an error on its call: the call goes on, ends with that error, or ends in order."""

    GOES_ON = 1
    RAISE = 2
    IN_ORDER = 3


class Site:
    """The holder of a decorated function's link until its first failure: policy, name, and the function's own parts.

    With it the success path makes no `Call`. If the attempt is asked for meanwhile, `call_at` makes one in its place.
    """

    __slots__ = ("budget", "cooldown", "judge", "name", "policy", "scoped", "timeout_at", "whose")

    is_attempt = True

    def __init__(
        self,
        policy: Policy,
        name: str | None,
        judge: Callable[[Policy], Judge] | None = None,
        budget: RetryBudget | None = None,
        scoped: bool = False,
    ) -> None:
        self.policy: Policy = policy
        self.scoped: bool = scoped  # whether the `override` scopes around it are in the policy already
        self.name: str | None = name
        self.judge: Callable[[Policy], Judge] | None = judge
        self.budget: RetryBudget | None = budget  # the function's own, unless a policy names another
        self.cooldown: Cooldown | None = None  # likewise
        self.timeout_at: TimeoutAt | None = None
        self.whose: str = ""  # the top package of a client's function that the user handed over as it is


class OnStop(Enum):
    """The end of a call that is stopped.

    `RAISE`: its last error is raised. `STOPPED`: `Stopped` is raised, also after an error. `END`: it ends in order.
    """

    RAISE = 1
    STOPPED = 2
    END = 3


class Judge:
    """Classifies the outcomes of a call and decides about its end; a loop has a judge of its own.

    Attributes:
        policy: The policy in force.
        on_stop: The end of the call when it is stopped.
        expires: Whether the policy's deadline is an expiry: its moment itself is too late, and an answer that was not
            ready by then is `StillPending`.
        most: The number of attempts in all, failed or not; `None`: no limit.
        hands_out: Whether a value is handed to a body that goes on with it: the attempt ends with that body, which
            tells the call its outcome.
    """

    __slots__ = ("policy",)

    on_stop = OnStop.RAISE
    expires = False
    most: int | None = None
    hands_out = False

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy = policy

    def error(self, error: Exception) -> Classification:
        """Classify the error of an attempt."""
        return judge_exception(error, self.policy.on, faults.rule_raised)

    def value(self, value: object) -> Classification | None:
        """Classify the value of an attempt; `None`: it is wanted."""
        rule = self.policy.result
        return None if rule is None else judge_result(value, rule, faults.rule_raised)

    def late(self) -> Classification:
        """Classify an attempt that took longer than its own timeout."""
        return TIMED_OUT

    def ends(self, end: GaveUp, error: Exception | None) -> End | None:
        """Return the end of a call that gives up, and tell observers; `None`: the call raises or stops as usual.

        Args:
            end: The decision to give up.
            error: The error on which it gives up; `None`: it gives up on a value.
        """
        return None


class First:
    """The time limit of a first attempt, set by written deadlines alone, before there is a call."""

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def cut_in(self) -> float:
        """Return the seconds until the attempt is cut off, as `Call.cut_in` does."""
        left = min(map(left_of, bounds_of(self._link)), default=inf)
        return 0.0 if left <= NEAR else left

    def cut_off(self, cancelled: BaseException) -> TimeoutError:
        """Make the call, and return the error of its `cut_off`."""
        return call_at(self._link).cut_off(cancelled)


class Call:
    """One retried call under way.

    Attributes:
        policy, tally: The policy in force, and the counts.
        link: Its link in the chain; for a block, the link of the current attempt.
        bound: The node of a written deadline, for all calls beneath; `None`: no deadline is written.
        fn, args, kwargs: The operation; `fn` is `None` if a body is the operation.
        given: The awaitable that the operation returned; `None`: call the operation.
        attempting: Whether an attempt is under way.
        over: Whether the last attempt ended the call.
        error: The error that is held during a wait, as it may have to be raised after it.
        raised: The error with which the call ends. Drivers compare with it by identity: any other exception is a fault
            of redouble's.
        value: The last value.
        delay: Seconds to wait before the next attempt.
        rest: Seconds to wait after `delay`: beneath a watchdog a wait is cut in pieces.
        closing: The awaitable that closes a dropped result.
        needs_checks: Whether more than the time has to be checked between attempts.
        cooled: Whether a cooldown may hold attempts back.
        held: Whether the cooldown holds back the first attempt, which has not begun then.
    """

    __slots__ = (
        "_bounding",
        "_bounds",
        "_given_timeout",
        "_heard",
        "_held_until",
        "_judge",
        "_refused",
        "_timed_out",
        "_timeout_at",
        "_timeout_ends",
        "_ungranted",
        "args",
        "attempting",
        "bound",
        "closing",
        "cooled",
        "delay",
        "error",
        "fn",
        "given",
        "held",
        "keys",
        "kwargs",
        "link",
        "needs_checks",
        "over",
        "policy",
        "raised",
        "rest",
        "serial",
        "tally",
        "value",
        "whose",
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
    keys: dict[Any, tuple[str, int, int]] | None  # made by `idempotency_key`, by the names of the calls beneath
    serial: int  # the number by which `idempotency_key` tells the call from others of its name
    whose: str
    delay: float
    rest: float
    closing: Awaitable[object] | None
    needs_checks: bool
    cooled: bool
    held: bool
    _judge: Judge | None
    _heard: bool  # whether the log or an observer hears of a retry
    _refused: Classification | None  # the outcome for which a budget's store refused a retry
    _ungranted: tuple[float, Classification] | None  # the wait that the store has still to grant, and its outcome
    _held_until: float  # the end of a cooldown of which observers were told last
    _bounds: Sequence[Node]  # around the call
    _bounding: Node | None  # the one of them that is over first
    _timed_out: TimeoutError | None  # the error of an attempt that its time limit cut off
    _timeout_at: TimeoutAt | None  # the place at which the operation takes its timeout
    _timeout_ends: float  # the moment at which the attempt's own timeout is over
    _given_timeout: Any  # the timeout with which the caller called

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
        budget: RetryBudget | None = None,
        timeout_at: TimeoutAt | None = None,
        cooldown: Cooldown | None = None,
        first: bool = False,
    ) -> None:
        self.policy = policy
        self.tally = tally = Tally(policy, name)
        self.link = link
        self.fn, self.args, self.kwargs = fn, args, {} if kwargs is None else kwargs
        self._judge = judge
        self.delay = self.rest = 0.0
        self.over = False
        self.whose = ""
        self.keys = None
        self.serial = 0
        self.given = self.error = self.raised = self.value = self.closing = self._bounding = self._timed_out = None
        self._ungranted = self._refused = None
        self._timeout_ends = inf
        self._given_timeout = _NOT_ASKED
        self._timeout_at = timeout_at
        self._heard = policy.audience.hears(EventKind.RETRY)
        began = link[BEGAN]
        tally.began = began
        if judge is not None:
            tally.exclusive, tally.loops = judge.expires, judge.on_stop is not OnStop.RAISE
            tally.most = judge.most
        if policy.budget is not None:
            tally.budget = _budget_of(policy, budget)
            tally.asks = judge is None and getattr(tally.budget, "is_remote", False)  # a loop goes on in any case
        tally.begin(began if tally.clock is SYSTEM else tally.now())
        outer = link[NODE] if bound is None else bound[OUTER]
        self._bounds = () if outer is None else _bounds_from(outer, began)
        if bound is None and policy.is_bounded:
            link[NODE] = bound = new_bound(first_live(outer), tally.now, tally.own_end)
        self.bound = bound
        self.cooled = self.held = False
        if policy.cooldown is not None:
            self._cool(cooldown, first)
        self.needs_checks = self.cooled or not (
            policy.stop is None
            and policy.timeout_as is None
            and policy.attempt_timeout is None
            and tally.clock is SYSTEM
            and judge is None
            and not policy.observers
            and not self._bounds
        )
        if self.held:
            self.attempting = False
        elif self.needs_checks:
            self._begin_attempt()
        else:
            self.attempting = True

    def _cool(self, own: Cooldown | None, first: bool) -> None:
        """Find the cooldown of the call, and note whether it holds back a first attempt that is still to be made."""
        self.tally.cooldown = found = in_force(self.policy.cooldown, own, self.policy.clock)
        self._held_until = -inf
        self.cooled = found is not None
        self.held = found is not None and first and bool(found.gate)

    # Called by the drivers.

    def failed(self, error: Exception) -> bool:
        """Judge the error of an attempt; return whether to raise it, which ends the call.

        This is the guard between catching the user's error and raising it: no fault of redouble's comes out of here.
        """
        self.raised = error
        self.attempting = False
        try:
            ends = self._is_end(error)
            self.over = ends is not End.GOES_ON
        except Exception as fault:
            if fault is self.raised:  # meant for the caller
                raise
            is_fault(self.tally.name, fault)
            self.raised, self.over, ends = error, True, End.RAISE
        if ends is End.RAISE:
            self.error = None
            return True
        self.error, self.raised = None if self.over else error, None
        return False

    def returned(self, value: object) -> bool:
        """Judge the value of an attempt; return whether the call is over and returns the value.

        Raises:
            StillPending, Stopped: When the answer is not ready, and there is no time to ask again.
            Unwanted: When the value is unwanted, the call is over, and the policy has `unwanted="raise"`.
        """
        self.value = value
        if self._judge is not None and self._judge.hands_out:
            self.error = None
            return False
        self.attempting = False
        self.over = over = self._is_wanted(value)
        return over

    def succeeded(self) -> None:
        """Note that the attempt succeeded; the call is over."""
        self.error = None
        self.attempting = False
        self.over = True
        tally = self.tally
        if tally.budget is not None:
            tally.succeeded()
        if tally.failures:
            if self._heard:
                self.tell(EventKind.SUCCESS)
        elif self.policy.observers:
            self.tell(EventKind.CALL)

    def take_over(self, earlier: Call, held: Exception | None) -> None:
        """Go on with a call in which a driver of threads received an awaitable; a first attempt begins its time here.

        Args:
            earlier: The call of the driver of threads, which holds its error no longer.
            held: The error of its last failed attempt.
        """
        self.error = held
        if self._judge is not None:
            self._judge = earlier._judge
        if earlier.tally.attempt > 1:
            self.tally = earlier.tally
            self._move_bound()

    def clock_failed(self, fault: Exception) -> None:
        """Report that the clock could not wait, and end the call with the error that it holds."""
        faults.report("clock", type(self.tally.clock), fault, "the retried call ends")
        self.tally.bound = -inf
        self._bounds = ()
        self.tally.due = None

    # Called by the scripts.

    def sleeps_on(self) -> bool:
        """Return whether to wait `delay` more seconds after a wait, or a piece of it, is over.

        Beneath a watchdog that cannot cancel, a wait is cut in pieces that end with its time. A cooldown may hold back
        an attempt that was due; if it lasts too long, the call is over.

        Raises:
            StillPending, Unwanted: As `goes_on` does, when the call is over.
        """
        rest, stop = self.rest, self.policy.stop
        if stop is not None and is_set(stop):
            return False
        if self._ungranted is not None:
            return self._hear_store(*self._ungranted)
        if not rest:
            return self.cooled and self.is_held_again()
        if not patience(self._bounds, self.tally.began):
            self.tally.due = None  # the time of the whole wait has not passed
            return False
        self._set_delay(rest)
        return True

    def _hear_store(self, wait: float, found: Classification) -> bool:
        """Look for the answer of the budget's store; return whether to wait on.

        If the retry is granted, the rest of the wait follows; if it is refused, the call ends. Without an answer, the
        next look comes after twice the time; the question itself ends within a time limit of its own.
        """
        tally = self.tally
        assert tally.question is not None
        try:
            granted = tally.question.answer()
        except Exception as fault:
            faults.report("budget", type(tally.budget), fault, "the retry is granted")
            granted = True
        if granted is None:
            self.delay = min(2.0 * self.delay, LONGEST_LOOK)
            return True
        tally.question = self._ungranted = None
        self.rest = 0.0
        self._refused = None if granted else found
        if granted:
            self._set_delay(0.0 if tally.due is None else max(0.0, tally.due - tally.now()))
            if self._heard:
                self.tell(EventKind.RETRY, wait, self.error, found)
            if self.error is None:
                self._discard(self.value)
        return granted

    def _wait_for_store(self, wait: float, found: Classification) -> None:
        """Wait for the answer of the budget's store first: observers hear of a retry only when it is granted."""
        self._ungranted = wait, found
        self.delay, self.rest = FIRST_LOOK, wait or FIRST_LOOK

    # A cooldown.

    def is_held(self) -> bool:
        """Return whether the first attempt is held back for `delay` more seconds.

        If it would be held back for too long, it begins at once, so that the caller sees the server's answer.
        """
        if self.policy.stop is not None and is_set(self.policy.stop):
            return False
        return 0.0 < self._held() < inf and self.delay > 0.0

    def begin_held(self) -> None:
        """Begin the first attempt, which was held back."""
        tally = self.tally
        self.held = False
        self.rest = 0.0
        tally.due = tally.held_since = None
        tally.began = monotonic()
        self._begin_attempt()

    def is_held_again(self) -> bool:
        """Return whether an attempt that was due is held back for `delay` more seconds; if too long, end the call.

        Raises:
            StillPending, Unwanted: As `goes_on` does, when the call is over.
        """
        wait = self._held()
        if wait == inf:
            self._give_up_waiting(self.tally.held_too_long(self.tally.now(), None, self.error))
            return False
        return wait > 0.0 and self.delay > 0.0

    def _held(self) -> float:
        """Return the seconds that the next attempt is held back, and set the wait; infinite: longer than allowed."""
        tally = self.tally
        now = tally.now()
        self._pass_wait(now)
        if tally.cooldown is None or not tally.cooldown.gate:
            return 0.0
        if self._bounds:
            self._look_around(now)
        wait = tally.held(now, tally.draw())
        if not 0.0 < wait < inf:
            return wait
        self._set_delay(wait)
        self.rest = 0.0  # the cooldown is looked at again after each piece
        tally.due = now + self.delay
        self._tell_held(wait, now + wait)
        return wait

    def _tell_held(self, wait: float, until: float) -> None:
        """Tell observers that the attempt is held back, once for each moment at which that ends."""
        tally = self.tally
        if until <= self._held_until + SHORTEST_HOLD:
            return
        self._held_until = until
        tally.delay_by = "cooldown"
        self.tell(EventKind.HELD, wait, None, None, attempt=tally.attempt + (not self.held))

    def _set_delay(self, seconds: float) -> None:
        """Set the next wait to `seconds`, or to a piece of them beneath a watchdog."""
        if self._bounds:
            self.delay = min(seconds, patience(self._bounds, self.tally.began))
            self.rest = seconds - self.delay
        else:
            self.delay = seconds

    def goes_on(self, *, early: bool = False) -> bool:  # a list of cases, in their order
        """Begin the next attempt after the wait; return `False` if the call ended meanwhile.

        Args:
            early: Whether an event other than `stop` ended the wait before its time.

        Raises:
            StillPending, Stopped, Unwanted: As `returned` does, when the call ended without an error to raise.
        """
        tally = self.tally
        now = tally.now()
        if self._refused is not None:
            return self._give_up_waiting(tally.give_up(Reason.BUDGET, now, self._refused, self.error))
        if not self.needs_checks:  # only the time has to be checked
            if now < tally.due:  # type: ignore[operator]  # it was due
                tally.pass_wait(now)
                self._move_bound()
            own = tally.own_end
            if own is None or now <= own:
                self.value = tally.due = None
                tally.attempt += 1
                tally.vouched = False
                tally.began = now
                self.link[NUMBER] = 0
                self.attempting = True
                return True
        stopped = self.needs_checks and self.policy.stop is not None and is_set(self.policy.stop)
        if not (stopped or early):
            self._pass_wait(now)
        if self._bounds:
            self._look_around(now)
        own = tally.own_end
        if now > tally.bound or (own is not None and now > own):
            return self._give_up_waiting(tally.give_up(Reason.DEADLINE, now, None, self.error))
        if stopped:
            return self._give_up_waiting(tally.give_up(Reason.STOPPED, now, None, self.error))
        if self._judge is None:
            self.value = None
        tally.begin(now)
        tally.began = monotonic()
        self.link[NUMBER] = 0
        self._begin_attempt()
        return True

    def _pass_wait(self, now: float) -> None:
        """Note that the wait is over; if the clock is behind, move the limits back with it."""
        if self.tally.pass_wait(now):
            self._move_bound()
        self.tally.due = None

    def _begin_attempt(self) -> None:
        self.attempting = True
        policy = self.policy
        if policy.attempt_timeout is not None or policy.timeout_as is not None:
            self._limit_attempt()
        if policy.observers and policy.audience.hears(EventKind.ATTEMPT):
            self.tell(EventKind.ATTEMPT)

    def let_go(self) -> None:
        """End the call: release its errors, values and arguments, and limit no call that begins later."""
        self.error = self.raised = self.closing = self._timed_out = self.given = self.value = None
        self.tally.handed = self.tally.until = None
        self.args, self.kwargs = (), {}
        self.attempting = False
        if self.bound is not None:
            try:
                leave_bound(self.bound)
            except Exception as fault:
                is_fault(self.tally.name, fault)

    # Called from inside of an attempt.

    def progress(self) -> None:
        """Begin failures, curve and deadline again, as the attempt has made progress."""
        tally = self.tally
        tally.forget_failures()
        tally.fix_deadline(tally.now())
        self._move_bound()

    # Called by `reconnect` and `resume`: their calls go on after a success, and after an end.

    def is_up(self) -> None:
        """Note that the connection is up: until it drops, the deadline does not limit tasks that its opening began."""
        if self.bound is not None:
            self.bound[ENDS] = None

    def drop(self, now: float, stable: bool) -> None:
        """Note that the connection dropped; if it was stable, failures, curve and deadline begin again."""
        if stable:
            self.tally.drop(now)
        self._move_bound()

    def begin_again(self) -> None:
        """Begin failures, curve and deadline again, so that the next attempt comes at once."""
        tally = self.tally
        self.error = None
        tally.begin_again()
        tally.started = now = tally.now()
        tally.fix_deadline(now)
        self._move_bound()

    def end_around(self) -> GaveUp:
        """Return the decision to give up on a limit around the call that has passed between two attempts."""
        tally = self.tally
        now = tally.now()
        tally.own_end = None
        self._look_around(now)
        return tally.give_up(Reason.DEADLINE, now)

    def postpone(self, seconds: float) -> None:
        """Leave `seconds` out of the policy's deadline, such as those of a body that went on with a value."""
        tally = self.tally
        if tally.own_end is not None:
            tally.own_end += seconds
        self._move_bound()

    def _move_bound(self) -> None:
        if self.bound is not None:
            self.bound[ENDS] = self.tally.own_end

    # Time.

    def left(self) -> float:
        """Return the seconds until the nearest written deadline; below 0: it has passed; infinite: no limit."""
        least = self.left_around() if self._bounds else inf
        return least if self.bound is None else min(least, left_of(self.bound))

    def left_around(self) -> float:
        """Return the seconds until the nearest deadline around the call; below 0: it has passed; infinite: no limit."""
        least = inf
        for each in self._bounds:
            if each[KIND] is BOUND and holds(each, self.tally.began):
                least = min(least, left_of(each) - self.tally.lag)
        return least

    def timeout(self) -> float:
        """Return the seconds that the attempt may take, >= 0: the lesser of timeout and time left; infinite: no limit."""
        limit, left = self.policy.attempt_timeout, max(0.0, self.left())
        return left if limit is None else min(limit, left)

    def cut_in(self) -> float:
        """Return the seconds until the attempt has to be cut off; infinite: never."""
        left = self.left()
        if self._timeout_ends != inf:
            left = min(left, self._timeout_ends - self.tally.now())
        return 0.0 if left <= NEAR else left

    def cut_off(self, cancelled: BaseException | None) -> TimeoutError:
        """Return the error of an attempt that was cancelled because its time was up.

        The error of a deadline has the last error as its cause, so that this is not lost. `cancelled` is `None` if the
        attempt did not heed the cancellation and came too late.
        """
        left = self.left()
        if self._timeout_ends - self.tally.now() < left:
            self._timed_out = cut = TimeoutError(TOO_LONG)
            cut.__cause__ = cancelled
            return cut
        own = self.bound is not None and left_of(self.bound) <= left
        whose = f"of {self.policy.deadline:g} s" if own else "around the call"
        self._timed_out = cut = DeadlineExceeded(f"the deadline {whose} has passed")
        cut.__cause__ = cancelled if self.error is None else self.error
        return cut

    def _limit_attempt(self) -> None:
        """Fix the moment at which the attempt's timeout is over, and hand the timeout to the operation."""
        policy = self.policy
        if policy.attempt_timeout is not None:
            self._timeout_ends = self.tally.now() + policy.attempt_timeout
        if policy.timeout_as is not None and self.fn is not None:
            at = self._timeout_at
            if at is None or at.keyword != policy.timeout_as:  # a direct call, or a scope names another keyword
                at = self._timeout_at = place_of_timeout(self.fn, policy.timeout_as)
            if at is not None:
                self._hand_out(at)

    def _hand_out(self, at: TimeoutAt) -> None:
        """Give the operation its timeout, never a longer one than the caller's or its own default."""
        if self._given_timeout is _NOT_ASKED:
            self._given_timeout = at.given(self.args, self.kwargs)
        timeout = self.timeout()
        if timeout != inf:
            self.args, self.kwargs = at.put(shortened(self._given_timeout, timeout), self.args, self.kwargs)

    def _look_around(self, now: float) -> None:
        """Find the limit around the call that is over first; of several that are over already, the outermost.

        A watchdog counts only when its time is over: it may be touched during a wait.
        """
        least, self._bounding = inf, None
        for each in self._bounds:
            if holds(each, self.tally.began):
                left = left_of(each) - self.tally.lag
                if each[KIND] is WATCHDOG:
                    if left > NEAR:
                        continue
                    left = min(left, PAST)
                if left <= least or left <= 0:
                    least, self._bounding = min(left, least), each
        self.tally.bound = now + least

    # Judging.

    def _is_end(self, error: Exception) -> End:  # noqa: C901  # a list of cases, in their order
        tally = self.tally
        if tally.attempt > 1:
            forget_earlier_passes(error)
        if self.args or self.kwargs:
            self._look_at_arguments()
        now = tally.now()
        if self._bounds:
            self._look_around(now)
            if ended_around(error, self._bounds, tally.began):
                tally.give_up(Reason.DEADLINE, now, None, error)
                return End.RAISE  # passed on as it is, like a cancellation
        cut = self._timed_out
        if cut is not None:
            self._timed_out = None
        if error is cut:
            if isinstance(error, DeadlineExceeded):
                return self._give_up_cut_off(tally.give_up(Reason.DEADLINE, now, TIMED_OUT, error), error)
            found = TIMED_OUT if self._judge is None else self._judge.late()
        elif self._judge is not None and self._was_stopped_within(error):
            tally.give_up(Reason.STOPPED, now)
            return End.IN_ORDER
        elif self._judge is None:
            found = (
                self._judge_of(self.whose, error)
                if self.whose
                else judge_exception(error, self.policy.on, faults.rule_raised)
            )
        else:
            found = self._judge.error(error)
        decision = tally.decide(found, error, now, tally.draw(), None, self.link[NUMBER])
        if decision.__class__ is GaveUp:
            return self._give_up(decision, error)  # pyright: ignore[reportArgumentType]  # no type() on this way
        if tally.question is not None:
            self._wait_for_store(decision, found)  # type: ignore[arg-type]  # a decision is a GaveUp or seconds
            return End.GOES_ON
        if self._bounds:
            self._set_delay(decision)  # type: ignore[arg-type]  # likewise
        else:
            self.delay = decision  # type: ignore[assignment]  # likewise
        if self._heard:
            self.tell(EventKind.RETRY, decision, error, found)  # type: ignore[arg-type]
        return End.GOES_ON

    def _look_at_arguments(self) -> None:
        """Note the arguments, and those that the attempt used up: any attempt may be the first to read one."""
        tally = self.tally
        tally.handed = self.fn, self.args, self.kwargs
        tally.used_up = used_up(*tally.handed)

    def _judge_of(self, package: str, error: Exception) -> Classification:
        """Judge an error of a client's own function: its errors came from the server."""
        token = handed.set(package)
        try:
            return judge_exception(error, self.policy.on, faults.rule_raised)
        finally:
            handed.reset(token)

    def _was_stopped_within(self, error: Exception) -> bool:
        """Return whether a loop within an attempt of this loop saw the stop first."""
        judge, stop = self._judge, self.policy.stop
        ends = judge is not None and judge.on_stop is OnStop.END
        return ends and isinstance(error, Stopped) and stop is not None and is_set(stop)

    def _is_wanted(self, value: object) -> bool:
        policy = self.policy
        found = None
        if self._judge is not None or policy.result is not None:
            try:
                found = (self._judge or Judge(policy)).value(value)
            except Exception as error:  # an error of a loop's own judge is meant for the caller
                self.raised = error
                raise
        self.error = None
        if found is None:
            self.succeeded()
            return True
        tally = self.tally
        if self.args or self.kwargs:
            self._look_at_arguments()
        now = tally.now()
        if self._bounds:
            self._look_around(now)
        decision = tally.decide(found, None, now, tally.draw(), value, self.link[NUMBER])
        if isinstance(decision, GaveUp):
            if self._becomes(decision, None) is None:
                self._raise_for_value(decision)
            return True
        if tally.question is not None:
            self._wait_for_store(decision, found)
            return False
        self._set_delay(decision)
        if self._heard:
            self.tell(EventKind.RETRY, decision, None, found)
        self._discard(value)
        return False

    def _discard(self, value: object) -> None:
        """Let the rules release the resources of a dropped result, such as its connection."""
        rule = self.policy.result
        try:
            self.closing = None if rule is None else rule.discard(value)
        except Exception as error:
            faults.report("rule", rule, error, "the dropped result is left as it is")

    # Ending.

    def _give_up(self, end: GaveUp, error: Exception) -> End:
        return self._becomes(end, error) or End.RAISE

    def _becomes(self, end: GaveUp, error: Exception | None) -> End | None:
        """Tell observers of the end, unless the judge handles it; return the judge's end, `None` to raise the error."""
        instead = None if self._judge is None else self._judge.ends(end, error)
        if instead is not None:
            return instead
        self.tell_end(end, error)
        return self._stops(end, error)

    def _give_up_cut_off(self, end: GaveUp, error: DeadlineExceeded) -> End:
        """Return the end of a call whose attempt a written deadline cut off; for a poll the deadline is the expiry."""
        if self._judge is None or not self._judge.expires or end.limit != "own":
            return self._give_up(end, error)
        if self.error is not None:
            self.tell_end(end, self.error)
            self.raised = self.error
            raise self.error
        self.tell(EventKind.GIVE_UP, None, error, end.classification, end.reason, end.limit)
        unanswered = self.tally.attempt == 1  # else an earlier question was answered: not ready
        self.raised = late = StillPending(NO_ANSWER if unanswered else STILL_PENDING, self.value)
        self._mark(end, late)
        late.__cause__ = error
        del late  # or a frame of its own traceback would hold it
        raise self.raised

    def _give_up_waiting(self, end: GaveUp) -> bool:
        """End a call during a wait, with the error that it holds, else with its last value; return `False`."""
        self.over = True
        error, self.error = self.error, None
        if self._becomes(end, error) is None:
            self.raised = error
            if error is None:
                self._raise_for_value(end)
        return False

    def _stops(self, end: GaveUp, error: Exception | None) -> End | None:
        """Return the end of a stopped call; `None` to raise the error, or if the call was not stopped."""
        judge = self._judge
        if judge is None or end.reason is not Reason.STOPPED or judge.on_stop is OnStop.RAISE:
            return None
        if judge.on_stop is OnStop.END:
            return End.IN_ORDER
        self.raised = stopped = Stopped("stopped while the answer was still pending")
        self._mark(end, stopped)
        stopped.__cause__ = error
        del stopped  # as above
        raise self.raised

    def _raise_for_value(self, end: GaveUp) -> None:
        """Raise the error for a value at the end of a call; an unwanted value is returned unless the policy raises."""
        found = end.classification
        error: Exception | None = None
        pending = self.tally.failures == 0 if found is None else found.verdict is Verdict.PENDING
        if pending and end.reason is Reason.STOPPED:
            error = Stopped("stopped while the answer was still pending")
        elif pending:
            error = StillPending(STILL_PENDING, self.value)
        elif self.policy.unwanted == "raise":
            error = Unwanted(self.value, f"the value returned last is unwanted: {end}")
        if error is not None:
            self._mark(end, error)
            self.raised = error
            del error  # as above
            raise self.raised
        mark_answer(self.value, end, self.link)

    def tell_end(self, end: GaveUp, error: BaseException | None) -> None:
        if error is not None:
            self._mark(end, error)
        if end.reason is Reason.BUDGET and self.policy.budget is OWN_BUDGET and self.policy.observers is not None:
            say_refused(self.tally.name)
        self.tell(EventKind.GIVE_UP, None, error, end.classification, end.reason, end.limit)

    def _mark(self, end: GaveUp, error: BaseException) -> None:
        if end.reason is not Reason.PERMANENT or end.attempts > 1:
            bound = self._bounding if end.limit == "scope" else None
            mark(error, end, end.attempts > 1, self.link, bound, self._advice(end, error))
        elif end.classification is not None and is_unknown(end.classification) and self.policy.observers is not None:
            say_unknown(self.tally.name, error, self.policy.on)

    def _advice(self, end: GaveUp, error: BaseException) -> str:
        """Return the advice at the end of the note: how to let such a call go on; empty if there is none."""
        tally = self.tally
        if end.reason is Reason.UNSAFE:
            return advice_unsafe(error, self.policy.idempotent, tally.sent, tally.used_up, self.policy.on)
        if end.reason is Reason.NESTED and tally.own_retries is not None:
            return tally.own_retries.advice
        return ""

    def tell(
        self,
        kind: EventKind,
        delay: float | None = None,
        error: BaseException | None = None,
        found: Classification | None = None,
        reason: Reason | None = None,
        ended_by: Literal["own", "scope"] | None = None,
        attempt: int | None = None,
    ) -> None:
        tally, policy = self.tally, self.policy
        if not policy.audience.hears(kind):
            return
        elapsed = tally.elapsed(tally.now() if tally.ended_at is None else tally.ended_at)
        counts = tally.name, tally.attempt if attempt is None else attempt, tally.failures, elapsed
        whose = None if delay is None else tally.delay_by
        event = Event(kind, *counts, delay, error, found, reason, policy.attempts, ended_by, whose)
        try:
            policy.audience.tell(event)
        except BaseException as raised:
            self.raised = raised
            self.let_go()
            raise


def _bounds_from(node: Node, began: float) -> tuple[Node, ...]:
    """Return the deadlines and watchdogs from a node outwards that limit a call which began at `began`."""
    return tuple(each for each in nodes(node) if ends_calls(each) and holds(each, began))


def is_fault(name: str | None, fault: BaseException) -> bool:
    """Report a fault of redouble's between catching the user's error and raising it; return `True`.

    An exception that is no `Exception`, or that a signal handler raised, is meant for the caller and raised again.
    """
    if not isinstance(fault, Exception):
        raise fault
    try:
        by_signal = faults.raised_by_signal(fault)
        if not by_signal:
            faults.report("redouble", name or "a retried call", fault, "the call ends with the operation's error")
    except Exception:  # the user's error matters more than this report
        by_signal = False
    if by_signal:
        raise fault
    return True


def new_call(
    site: Site,
    link: Link,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    first: bool = True,
) -> Call:
    """Begin a call of a site, under its policy as the scopes around the call change it.

    Args:
        site: The site of the function.
        link: The call's link in the chain.
        fn, args, kwargs: The operation.
        first: Whether its first attempt is still to be made, so that a cooldown may hold it back.
    """
    policy = site.policy if site.scoped else effective(site.policy)
    judge = None if site.judge is None else site.judge(policy)
    own = site.budget, site.timeout_at, site.cooldown
    link[WHO] = call = Call(policy, site.name, link, fn, args, kwargs, judge, None, *own, first)
    call.whose = site.whose
    return call


def call_of(link: Link, fn: Callable[..., Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Return the call of a wrapper's first attempt: the one made during the attempt, or a new one.

    A call made during the attempt (`call_at`) has no operation; it gets it here, when the attempt has failed.
    """
    who = link[WHO]
    if who.__class__ is Site:
        bound = link[NODE] if who.policy.is_bounded else None
        own = who.budget, who.timeout_at, who.cooldown
        link[WHO] = call = Call(who.policy, who.name, link, fn, args, kwargs, None, bound, *own)
        call.whose = who.whose
        return call
    who.fn, who.args, who.kwargs = fn, args, kwargs
    found: Call = who
    return found


def call_of_attempt() -> Call:
    """Return the call of the innermost attempt; for the operation, at its beginning."""
    link = AROUND.get()
    assert link is not None
    return call_at(link)


def call_at(link: Link) -> Call:
    """Return the call of an attempt's link; make it for a decorated function that has not failed yet."""
    who = link[WHO]
    if isinstance(who, Site):
        return call_of(link, None, (), {})
    found: Any = getattr(who, "_call", who)  # a block keeps its call
    call_found: Call = found
    return call_found


def say_unknown(name: str | None, error: BaseException, rule: Rule | None) -> None:
    """Log once per function and type that an error is not known, and the rule that would retry only this error."""
    kind = faults.kind_name(error)
    if faults.once("unknown", name, type(error).__module__, kind):
        text = advice(error, rule) if isinstance(error, Exception) else None
        if text is not None:
            faults.warn(
                "%s: %s is not known to be transient, so it is not retried; %s", name or "a retried call", kind, text
            )


def say_refused(name: str | None) -> None:
    """Log once per function that its default budget refused a retry, and how to write another budget."""
    if faults.once("budget", name):
        faults.warn(
            "%s: too many of its calls fail, so this one is not retried: each decorated function has a retry budget; "
            "write budget=RetryBudget(burst=...) for a larger one, or budget=None for none",
            name or "a retried call",
        )


def _budget_of(policy: Policy, own: RetryBudget | None) -> RetryBudget | None:
    """Return the budget of a call: the policy's, else the function's own; under a fake clock a fresh one."""
    budget = own if policy.budget is OWN_BUDGET else policy.budget
    fresh = getattr(policy.clock, "fresh_budget", None)
    if budget is None or fresh is None:
        return budget
    try:
        found: RetryBudget = fresh(budget)
    except Exception as fault:  # the clock is a user's own
        faults.report("clock", type(policy.clock), fault, "the call has no retry budget")
        return None
    return found
