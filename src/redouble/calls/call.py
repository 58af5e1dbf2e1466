"""Floor 4. The state of one retried call: the error held, the time limits, whom to tell, the mark.

It has a tally, which counts and decides; a script (`redouble.calls.script`) says how it goes on; a driver
(`redouble.calls.hosts`) performs that and tells the call what came of it. A call is a link of the chain of
`redouble.control.around` while it is under way.
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
"""Seconds between two looks for the answer of a budget's store, which takes a fraction of the first as a rule."""

PAST = -1e-6
"""So many seconds are left at most of a watchdog whose time is over: no attempt begins any more, not even at once."""

STILL_PENDING = "still pending"
NO_ANSWER = "still pending: no question was answered in time"
"""How a poll ended; the note says after what."""
SHORTEST_HOLD = 0.001
"""Seconds by which a cooldown has to be longer for observers to be told again."""

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
        self.scoped: bool = scoped  # whether the fields of the scopes around are in the policy already
        self.name: str | None = name
        self.judge: Callable[[Policy], Judge] | None = judge
        self.budget: RetryBudget | None = budget  # of the function's own, unless a policy names another
        self.cooldown: Cooldown | None = None  # likewise
        self.timeout_at: TimeoutAt | None = None
        self.whose: str = ""  # the top package of a function that was handed over straight out of it


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
        most: How many attempts there are in all, whatever became of them; `None`: no limit.
        hands_out: Whether a value is handed to a body that goes on with it: the attempt ends with that body, which tells
            the call what came of it.
    """

    __slots__ = ("policy",)

    on_stop = OnStop.RAISE
    expires = False
    most: int | None = None
    hands_out = False

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy = policy

    def error(self, error: Exception) -> Classification:
        """Classify what an attempt raised."""
        return judge_exception(error, self.policy.on, faults.rule_raised)

    def value(self, value: object) -> Classification | None:
        """Classify what an attempt returned; `None`: it is wanted."""
        rule = self.policy.result
        return None if rule is None else judge_result(value, rule, faults.rule_raised)

    def late(self) -> Classification:
        """Classify an attempt that took longer than its own timeout."""
        return TIMED_OUT

    def ends(self, end: GaveUp, error: Exception | None) -> End | None:
        """Say what follows where the call gives up, and tell of it; `None`: what `on_stop` says, else it is raised.

        Args:
            end: The decision to give up.
            error: The error on which it does; `None`: a value.
        """
        return None


class First:
    """The time limit of a first attempt by written deadlines alone, before there is a call."""

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def cut_in(self) -> float:
        """As that of a call."""
        left = min(map(left_of, bounds_of(self._link)), default=inf)
        return 0.0 if left <= NEAR else left

    def cut_off(self, cancelled: BaseException) -> TimeoutError:
        """As that of a call, which is made for it."""
        return call_at(self._link).cut_off(cancelled)


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
        cooled: Whether a cooldown may hold attempts back.
        held: Whether it holds the first attempt back, which has not begun then.
    """

    __slots__ = (
        "_bounding",
        "_bounds",
        "_cut",
        "_given_timeout",
        "_heard",
        "_held_until",
        "_judge",
        "_refused",
        "_timeout_at",
        "_timeout_ends",
        "_ungranted",
        "alert",
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
    serial: int  # of the call, by which `idempotency_key` tells it from others of its name
    whose: str
    delay: float
    rest: float
    closing: Awaitable[object] | None
    alert: bool
    cooled: bool
    held: bool
    _judge: Judge | None
    _heard: bool  # whether somebody hears of a retry
    _refused: Classification | None  # what a budget's store refused a retry for
    _ungranted: tuple[float, Classification] | None  # the wait that it has still to grant, and what that is for
    _held_until: float  # of which moment of a cooldown observers have been told
    _bounds: Sequence[Node]  # around the call
    _bounding: Node | None  # the one of them that is over first
    _cut: TimeoutError | None  # what stands for the attempt that its time limit cut off
    _timeout_at: TimeoutAt | None  # where the operation takes its timeout
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
        self.given = self.error = self.raised = self.value = self.closing = self._bounding = self._cut = None
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
        self.alert = self.cooled or not (
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
        elif self.alert:
            self._begin_attempt()
        else:
            self.attempting = True

    def _cool(self, own: Cooldown | None, first: bool) -> None:
        """Look for the cooldown of the call, and whether it holds back a first attempt that is still to be made."""
        self.tally.cooldown = found = in_force(self.policy.cooldown, own, self.policy.clock)
        self._held_until = -inf
        self.cooled = found is not None
        self.held = found is not None and first and bool(found.gate)

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
            is_fault(self.tally.name, fault)
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
        tally = self.tally
        if tally.budget is not None:
            tally.succeeded()
        if tally.failures:
            if self._heard:
                self.tell(EventKind.SUCCESS)
        elif self.policy.observers:
            self.tell(EventKind.CALL)

    def take_over(self, earlier: Call, held: Exception | None) -> None:
        """Go on where a driver of threads was given something to await; the clock of a first attempt begins here.

        Args:
            earlier: The call of the driver of threads, which has let go of what it held.
            held: The error of its last failed attempt.
        """
        self.error = held
        if self._judge is not None:
            self._judge = earlier._judge
        if earlier.tally.attempt > 1:
            self.tally = earlier.tally
            self._move_bound()

    def clock_failed(self, fault: Exception) -> None:
        """The clock could not wait: reported; the call ends, with the error that it holds."""
        faults.report("clock", type(self.tally.clock), fault, "the retried call ends")
        self.tally.bound = -inf
        self._bounds = ()
        self.tally.due = None

    # What the scripts ask.

    def sleeps_on(self) -> bool:
        """A wait is over, or a piece of it: whether `delay` more seconds are to be waited.

        Beneath a watchdog that cannot cancel, a wait is cut in pieces that end with its time. A cooldown may hold back
        what was due: where that takes too long, the call is over.

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
        """Hear the answer of the budget's store; return whether there is more to wait.

        Granted, the rest of the wait follows; refused, the call ends. Looked for again and again, at doubled intervals:
        the question itself ends within its time.
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
        """Wait for the answer of the budget's store first: nothing is told of a retry that is not granted yet."""
        self._ungranted = wait, found
        self.delay, self.rest = FIRST_LOOK, wait or FIRST_LOOK

    # A cooldown.

    def is_held(self) -> bool:
        """Return whether the first attempt is held back for `delay` more seconds.

        One that is held for longer than it may be begins: the server's answer to it is what the caller has to see.
        """
        if self.policy.stop is not None and is_set(self.policy.stop):
            return False
        return 0.0 < self._held() < inf and self.delay > 0.0

    def begin_held(self) -> None:
        """The first attempt begins, which was held back."""
        tally = self.tally
        self.held = False
        self.rest = 0.0
        tally.due = tally.held_since = None
        tally.began = monotonic()
        self._begin_attempt()

    def is_held_again(self) -> bool:
        """Return whether an attempt that was due is held back for `delay` more seconds; too long, the call is over.

        Raises:
            StillPending, Unwanted: As `goes_on` does, when the call is over.
        """
        wait = self._held()
        if wait == inf:
            self._ends_waiting(self.tally.held_too_long(self.tally.now(), None, self.error))
            return False
        return wait > 0.0 and self.delay > 0.0

    def _held(self) -> float:
        """Return how long the next attempt is held back, as the tally does; where it can wait so long, it is to wait."""
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
        """Tell observers once of each time until which the attempt is held back."""
        tally = self.tally
        if until <= self._held_until + SHORTEST_HOLD:
            return
        self._held_until = until
        tally.delay_by = "cooldown"
        self.tell(EventKind.HELD, wait, None, None, attempt=tally.attempt + (not self.held))

    def _set_delay(self, seconds: float) -> None:
        """Wait so long, or for a piece of it."""
        if self._bounds:
            self.delay = min(seconds, patience(self._bounds, self.tally.began))
            self.rest = seconds - self.delay
        else:
            self.delay = seconds

    def goes_on(self, *, early: bool = False) -> bool:  # a list of cases, in their order
        """The wait is over: begin the next attempt; `False`: the call ended meanwhile.

        Args:
            early: Whether something other than `stop` ended the wait before its time.

        Raises:
            StillPending, Stopped, Unwanted: When the call ended without an error to raise, as of `returned`.
        """
        tally = self.tally
        now = tally.now()
        if self._refused is not None:
            return self._ends_waiting(tally.give_up(Reason.BUDGET, now, self._refused, self.error))
        if not self.alert:  # nothing but time
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
        stopped = self.alert and self.policy.stop is not None and is_set(self.policy.stop)
        if not (stopped or early):
            self._pass_wait(now)
        if self._bounds:
            self._look_around(now)
        own = tally.own_end
        if now > tally.bound or (own is not None and now > own):
            return self._ends_waiting(tally.give_up(Reason.DEADLINE, now, None, self.error))
        if stopped:
            return self._ends_waiting(tally.give_up(Reason.STOPPED, now, None, self.error))
        if self._judge is None:
            self.value = None
        tally.begin(now)
        tally.began = monotonic()
        self.link[NUMBER] = 0
        self._begin_attempt()
        return True

    def _pass_wait(self, now: float) -> None:
        """The wait is over: where the clock stayed behind it, the limits move with the clock."""
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
        """The call ends: hold nothing any more, and bound nothing that begins later."""
        self.error = self.raised = self.closing = self._cut = self.given = self.value = None
        self.tally.handed = self.tally.until = None
        self.args, self.kwargs = (), {}
        self.attempting = False
        if self.bound is not None:
            try:
                leave_bound(self.bound)
            except Exception as fault:
                is_fault(self.tally.name, fault)

    # What an attempt tells from inside.

    def progress(self) -> None:
        """The attempt got somewhere: failures, curve and deadline begin again."""
        tally = self.tally
        tally.forget_failures()
        tally.fix_deadline(tally.now())
        self._move_bound()

    # What is only so of a connection that is kept: it goes on after a success, and after an end.

    def is_up(self) -> None:
        """The connection is up: until it drops, the deadline bounds nothing of what its opening left running."""
        if self.bound is not None:
            self.bound[ENDS] = None

    def drop(self, now: float, stable: bool) -> None:
        """The connection dropped: a new episode begins where it was stable, else the old one goes on."""
        if stable:
            self.tally.drop(now)
        self._move_bound()

    def begin_again(self) -> None:
        """Everything is fresh, and the next attempt comes at once."""
        tally = self.tally
        self.error = None
        tally.begin_again()
        tally.started = now = tally.now()
        tally.fix_deadline(now)
        self._move_bound()

    def end_around(self) -> GaveUp:
        """A bound around the call has passed while nothing was attempted: the decision to give up."""
        tally = self.tally
        now = tally.now()
        tally.own_end = None
        self._look_around(now)
        return tally.give_up(Reason.DEADLINE, now)

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
        least = self.left_around() if self._bounds else inf
        return least if self.bound is None else min(least, left_of(self.bound))

    def left_around(self) -> float:
        """Seconds until the nearest bound around the call, below 0 when it has passed; infinite where nothing bounds."""
        least = inf
        for each in self._bounds:
            if each[KIND] is BOUND and holds(each, self.tally.began):
                least = min(least, left_of(each) - self.tally.lag)
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

    def cut_off(self, cancelled: BaseException | None) -> TimeoutError:
        """Return the error that stands for the attempt, which was cancelled because its time was up.

        That of a deadline is raised from the last error, so that this is not lost. `cancelled` is `None` where the
        attempt did not heed that, and came too late.
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
        if policy.timeout_as is not None and self.fn is not None:
            at = self._timeout_at
            if at is None or at.keyword != policy.timeout_as:  # a direct call, or a scope says another
                at = self._timeout_at = place_of_timeout(self.fn, policy.timeout_as)
            if at is not None:
                self._hand_out(at)

    def _hand_out(self, at: TimeoutAt) -> None:
        """Give the operation its timeout, which never is longer than the one that it was called with, or has by itself."""
        if self._given_timeout is _NOT_ASKED:
            self._given_timeout = at.given(self.args, self.kwargs)
        timeout = self.timeout()
        if timeout != inf:
            self.args, self.kwargs = at.put(shortened(self._given_timeout, timeout), self.args, self.kwargs)

    def _look_around(self, now: float) -> None:
        """Find the bound around the call that is over first; of several that are over already, the outermost.

        A watchdog counts when its time is over, and not before: somebody may touch it during a wait.
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
                return End.RAISE  # as it is, as a cancellation would pass
        cut = self._cut
        if cut is not None:
            self._cut = None
        if error is cut:
            if isinstance(error, DeadlineExceeded):
                return self._ends_cut_off(tally.give_up(Reason.DEADLINE, now, TIMED_OUT, error), error)
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
            return self._ends(decision, error)  # pyright: ignore[reportArgumentType]  # no type() on this way
        if tally.question is not None:
            self._wait_for_store(decision, found)  # type: ignore[arg-type]  # what is no GaveUp is seconds
            return End.GOES_ON
        if self._bounds:
            self._set_delay(decision)  # type: ignore[arg-type]  # what is no GaveUp is seconds
        else:
            self.delay = decision  # type: ignore[assignment]  # likewise
        if self._heard:
            self.tell(EventKind.RETRY, decision, error, found)  # type: ignore[arg-type]
        return End.GOES_ON

    def _look_at_arguments(self) -> None:
        """See what the attempt was handed, and what it has used up of that: any attempt may be the first to read it."""
        tally = self.tally
        tally.handed = self.fn, self.args, self.kwargs
        tally.used_up = used_up(*tally.handed)

    def _judge_of(self, package: str, error: Exception) -> Classification:
        """Judge an error of a function that a client's own package defines: its errors were received."""
        token = handed.set(package)
        try:
            return judge_exception(error, self.policy.on, faults.rule_raised)
        finally:
            handed.reset(token)

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
        """Let the rules give back what a dropped result holds, such as its connection."""
        rule = self.policy.result
        try:
            self.closing = None if rule is None else rule.discard(value)
        except Exception as error:
            faults.report("rule", rule, error, "the dropped result is left as it is")

    # Ending.

    def _ends(self, end: GaveUp, error: Exception) -> End:
        return self._becomes(end, error) or End.RAISE

    def _becomes(self, end: GaveUp, error: Exception | None) -> End | None:
        """Tell of the end; return what its judge makes of it, `None` where the error is to be raised."""
        instead = None if self._judge is None else self._judge.ends(end, error)
        if instead is not None:
            return instead
        self.tell_end(end, error)
        return self._stops(end, error)

    def _ends_cut_off(self, end: GaveUp, error: DeadlineExceeded) -> End:
        """A written deadline cut the attempt off; that of a poll is its expiry, as if the answer had come too late."""
        if self._judge is None or not self._judge.expires or end.limit != "own":
            return self._ends(end, error)
        if self.error is not None:
            self.tell_end(end, self.error)
            self.raised = self.error
            raise self.error
        self.tell(EventKind.GIVE_UP, None, error, end.classification, end.reason, end.limit)
        unanswered = self.tally.attempt == 1  # else the last question was answered: that answer is not ready
        self.raised = late = StillPending(NO_ANSWER if unanswered else STILL_PENDING, self.value)
        self._mark(end, late)
        late.__cause__ = error
        del late  # a frame of its own traceback must not hold it
        raise self.raised

    def _ends_waiting(self, end: GaveUp) -> bool:
        """The call ended while waiting: with the error that it holds, else with what became of the last value."""
        self.over = True
        error, self.error = self.error, None
        if self._becomes(end, error) is None:
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
        stopped.__cause__ = error
        del stopped  # as above
        raise self.raised

    def _raise_for_value(self, end: GaveUp) -> None:
        """Raise what a value at the end stands for; an unwanted one is returned unless the policy says otherwise."""
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
        """What to write so that the call would have gone on, for the end of the note; empty where there is nothing."""
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
    """The bounds and watchdogs from a node outwards that hold for a call that began then."""
    return tuple(each for each in nodes(node) if ends_calls(each) and holds(each, began))


def is_fault(name: str | None, fault: BaseException) -> bool:
    """Report a fault of ours between catching the user's error and raising it; return `True`.

    What is no `Exception` passes, and so does what the handler of a signal raised: it is the caller's.
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
    """Begin a call of a site, under the policy that the scopes around it make of the site's.

    Args:
        site, link: Whose call it is, and its link in the chain.
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
    """Return the call of a wrapper's first attempt: the one that was asked for from deeper down, or a new one.

    Asked for from deeper down it has no operation yet, and gets it when the attempt has failed.
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
    """Return the call of the attempt that has just begun: what calls this is its operation."""
    link = AROUND.get()
    assert link is not None
    return call_at(link)


def call_at(link: Link) -> Call:
    """Return the call of an attempt's link; a decorated function that has not failed yet has none, and gets it now."""
    who = link[WHO]
    if isinstance(who, Site):
        return call_of(link, None, (), {})
    found: Any = getattr(who, "_call", who)  # a block keeps its call
    call_found: Call = found
    return call_found


def say_unknown(name: str | None, error: BaseException, rule: Rule | None) -> None:
    """Log once per function and type that an error is not known, and what to write to change that and nothing else."""
    kind = faults.kind_name(error)
    if faults.once("unknown", name, type(error).__module__, kind):
        text = advice(error, rule) if isinstance(error, Exception) else None
        if text is not None:
            faults.warn(
                "%s: %s is not known to be transient, so it is not retried; %s", name or "a retried call", kind, text
            )


def say_refused(name: str | None) -> None:
    """Log once per function that the budget, which nobody wrote, refused a retry, and what to write instead."""
    if faults.once("budget", name):
        faults.warn(
            "%s: too many of its calls fail, so this one is not retried: each decorated function has a retry budget; "
            "write budget=RetryBudget(burst=...) for a larger one, or budget=None for none",
            name or "a retried call",
        )


def _budget_of(policy: Policy, own: RetryBudget | None) -> RetryBudget | None:
    """The budget of a call: the policy's, else the function's own; under a fake clock a fresh one."""
    budget = own if policy.budget is OWN_BUDGET else policy.budget
    fresh = getattr(policy.clock, "fresh_budget", None)
    if budget is None or fresh is None:
        return budget
    try:
        found: RetryBudget = fresh(budget)
    except Exception as fault:  # a clock of the user's
        faults.report("clock", type(policy.clock), fault, "the call has no retry budget")
        return None
    return found
