"""Floor 5. The state of a link while a loop is at work on it: what a failure leads to, and what observers are told.

No waiting and no dialling here: the two colours in `reconnect` do that, and ask this what comes next.
"""

from __future__ import annotations

import sys
from enum import Enum

from redouble.control import faults, scope
from redouble.control.clock import is_set
from redouble.control.controller import BackoffController
from redouble.control.cut import Cut
from redouble.control.events import ENDED, Event, EventKind, audience
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason, mark
from redouble.control.stack import least_left
from redouble.core.verdict import Classification, Verdict
from redouble.known.classify import UNKNOWN, judge_exception
from redouble.loops.base import FOR_GOOD, for_loop
from redouble.wrappers.run import ATTEMPTING, CUT_OFF, say_unknown, traceback_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from types import CodeType, FrameType
    from typing import Any

    from redouble.control.clock import Clock
    from redouble.control.policy import Policy
    from redouble.core.verdict import Rule

OUTER: str = "the deadline around the loop has passed"

OURS: set[CodeType] = set()
"""The code of the functions that dial and close."""


class LinkStatus(Enum):
    """What a link is doing: `IDLE CONNECTING CONNECTED WAITING PARKED`.

    `IDLE`: no loop is at work on it, or it is between two passes of its loop. `WAITING`: for the next dial. `PARKED`:
    it has given up, and waits for `Link.reset()`.
    """

    __module__ = "redouble"

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    PARKED = "parked"

    def __repr__(self) -> str:
        return f"LinkStatus.{self.name}"


class Next(Enum):
    """What the next pass of a loop does."""

    DIAL = 1
    WAIT = 2
    PARK = 3
    END = 4


class Line(BackoffController):
    """One loop over a link: counts, decides and tells.

    While a connection is up its attempt is still under way: only when it ends can be said whether it was stable.
    """

    __slots__ = (
        "_alarmed",
        "_bounding",
        "_half_open",
        "_outer_first",
        "_park",
        "_parks",
        "_since",
        "_stable_after",
        "_trial",
        "asked",
        "clock",
        "cut",
        "doing",
        "end",
        "ended_at",
        "loop",
        "next",
        "over",
        "session",
    )

    asked: Any  # an event: somebody asked for a fresh start
    clock: Clock
    cut: TimeoutError | None  # what stands for a dial that its time limit cut off
    doing: LinkStatus
    end: GaveUp | None  # why it is parked
    ended_at: float | None  # when the last connection ended in order
    loop: asyncio.AbstractEventLoop | None
    name: str | None
    next: Next
    over: bool
    session: Any  # what the loop has given, until it is closed
    _alarmed: bool  # whether observers know that it is parked
    _bounding: scope.deadline | None
    _half_open: float | None
    _outer_first: bool  # whether a parked link waits for the end of a scope
    _park: Rule | None
    _parks: bool  # whether the error at hand parks the link, whatever the policy says of it
    _since: float  # when the connection came up
    _stable_after: float
    _trial: bool  # whether this is the one dial of a parked link

    def __init__(
        self, policy: Policy, name: str, stable_after: float, half_open: float | None, park: Rule | None, asked: Any
    ) -> None:
        super().__init__(for_loop(policy))
        self.name = self.policy.name or name
        self.clock = self._clock
        self.asked = asked
        self.doing = LinkStatus.IDLE
        self.next = Next.DIAL
        self.cut = self.end = self.ended_at = self.loop = self.session = self._bounding = None
        self.over = self._alarmed = self._outer_first = self._parks = self._trial = False
        self._since = 0.0
        self._stable_after, self._half_open, self._park = stable_after, half_open, park

    # What a pass of the loop asks, in this order.

    def begin(self, frame: FrameType) -> None:
        """A pass begins: decide now what follows from a connection that ended in order.

        Not before: a `break` is no reason to connect again.
        """
        if self.attempt == 0:
            self._bind(frame)
        if self.status is ATTEMPTING:
            at = self.now(self.ended_at)
            self.ended_at = None
            self._dropped(None, ENDED, at)
        if self.is_stopped():
            self.next = Next.END

    def pause(self) -> float:
        """For how many seconds to wait, unless one of the events is set before."""
        if self.next is Next.WAIT:
            self.doing = LinkStatus.WAITING
            return self.due_in()
        self.doing = LinkStatus.PARKED
        if not self._alarmed:
            self._alarmed = True
            self._tell(EventKind.PARKED, None, None if self.end is None else self.end.classification, self._half_open)
        seconds = FOR_GOOD if self._half_open is None else self._half_open
        left = self._left_of_bound()
        self._outer_first = left is not None and left <= seconds
        return seconds if left is None else min(seconds, left)

    def rested(self) -> None:
        """The wait is over: what ended it?

        Raises:
            DeadlineExceeded: When the time of a scope around the loop did.
        """
        if self.is_stopped():
            self.next = Next.END
        elif self.asked.is_set():
            self._fresh()
            self.next = Next.DIAL
        elif self.next is Next.WAIT:
            self._waited()
        elif self._outer_first:
            self._blame()
            raise DeadlineExceeded(OUTER)
        elif self._half_open is not None:
            self.reset()
            self._trial = True
            self.next = Next.DIAL
        else:  # nobody came in thirty years, which virtual time may skip
            self.next = Next.END

    def _waited(self) -> None:
        """After a wait that overslept a deadline no dial begins."""
        now = self.now()
        self.next = Next.DIAL
        if self._ends is not None and now > self._ends:
            self._decided_by(self.expire(now), None, None)

    def dial(self) -> dict[str, float]:
        """A dial begins; the keywords for it."""
        self.doing = LinkStatus.CONNECTING
        self.start()
        timeout, keyword = self.timeout(), self.policy.timeout_as
        return {} if keyword is None or timeout is None else {keyword: timeout}

    def limit(self) -> Cut | None:
        """The timer that cuts off a dial in asyncio; `cut` is what stands for one that it did cut off."""
        limit, policy = self.policy.attempt_timeout, self.policy
        if limit is not None:
            self.cut = TimeoutError(f"no connection within {limit:g} s")
        if self.own_end is not None:
            left = self.own_end - self.now()
            if limit is None or left <= limit:
                limit = left
                self.cut = DeadlineExceeded(f"the deadline of {policy.deadline:g} s has passed")
        try:
            return None if limit is None else Cut(self.clock, limit)
        except Exception as error:
            faults.report("clock", type(self.clock), error, "dials have no time limit")
            return None

    def failed(self, error: Exception) -> bool:
        """The dial failed; `True`: raise it again."""
        self._forgive_if_asked()
        ours, self.cut = error is self.cut, None
        found = CUT_OFF if ours else judge_exception(error, self.policy.on, faults.rule_raised)
        if ours and isinstance(error, DeadlineExceeded):
            return self._decided_by(self.expire(), error, found)
        return self._decided(error, found, self.now())

    def arrived(self) -> bool:
        """The dial succeeded; `False`: but nobody wants the connection any more."""
        self.cut = None
        if self.is_stopped():
            self.next = Next.END
            return False
        self._since = self.now()
        self.doing = LinkStatus.CONNECTED
        if self.failures:
            self._tell(EventKind.SUCCESS)
        self._tell(EventKind.CONNECTED)
        return True

    # What a session tells.

    def ended(self, error: Exception | None) -> bool:
        """The connection is closed; `True`: its error ends the loop."""
        self._forgive_if_asked()
        self.doing = LinkStatus.IDLE
        if error is None:
            self.ended_at = self.now()
            return False
        return self._dropped(error, judge_exception(error, self.policy.on, faults.rule_raised), self.now())

    def finish(self) -> None:
        """The loop is over."""
        self.over = True
        self.next = Next.END
        self.doing = LinkStatus.IDLE
        self.cut = None

    # What happens from outside.

    def is_stopped(self) -> bool:
        """Whether the policy's `stop` is set."""
        stop = self.policy.stop
        return stop is not None and is_set(stop)

    def ask(self) -> None:
        """Somebody asks for a fresh start, perhaps in another thread."""
        if self.over:
            return
        loop = self.loop
        if loop is None or sys.modules["asyncio"]._get_running_loop() is loop:
            self.asked.set()
        else:
            try:
                loop.call_soon_threadsafe(self.asked.set)
            except RuntimeError:  # the event loop is closed, and nobody is at work on the link any more
                self.finish()

    @property
    def in_a_row(self) -> int:
        """How many dials and connections have failed in a row, by what is known now."""
        stable = self.doing is LinkStatus.CONNECTED and self.now() - self._since >= self._stable_after
        return 0 if stable or self.asked.is_set() else self.failures

    # What is asked from within a dial, as of any retried call.

    def left(self) -> float | None:
        """Seconds until the deadline, < 0 when it has passed; `None` when nothing bounds the dial."""
        return None if self._ends is None else self._ends - self.now()

    def timeout(self) -> float | None:
        """Seconds that the dial may take, never more than what is left; `None`: no limit."""
        known = [limit for limit in (self.policy.attempt_timeout, self.left()) if limit is not None]
        return max(0.0, min(known)) if known else None

    # Deciding.

    def _dropped(self, error: Exception | None, found: Classification, at: float) -> bool:
        if at - self._since >= self._stable_after:
            self._drop(at)
            self._unpark()
        self._tell(EventKind.DROPPED, error, found)
        return self._decided(error, found, at)

    def _decided(self, error: Exception | None, found: Classification, at: float) -> bool:
        found = found if error is None else self._parking(error, found)
        return self._decided_by(self.decide(found, error, at, self._draw()), error, found)

    def _decided_by(self, decision: float | GaveUp, error: Exception | None, found: Classification | None) -> bool:
        if not isinstance(decision, GaveUp):
            self._goes_on(decision, error, found)
        elif decision.reason is Reason.STOPPED:
            self.next = Next.END
        elif self._is_last(decision):
            self._ends_with(decision, error)
            return True
        else:
            self._gives_up(decision, error, found)
        if error is not None:
            _forget(error)
        return False

    def _goes_on(self, delay: float, error: Exception | None, found: Classification | None) -> None:
        if self._trial:
            self.next = Next.PARK
        else:
            self.next = Next.WAIT
            self._tell(EventKind.RETRY, error, found, delay)

    def _gives_up(self, end: GaveUp, error: Exception | None, found: Classification | None) -> None:
        """It is parked; who was told of that already is not told again."""
        self.next = Next.PARK
        if not self._trial:
            self.end = end
            self._tell(EventKind.GIVE_UP, error, found, None, end.reason)

    def _is_last(self, end: GaveUp) -> bool:
        """Whether the loop ends: by a permanent error, or by the time of others, beyond which parking is of no use."""
        if end.reason is Reason.DEADLINE:
            return self._bound is not None and (self.own_end is None or self._bound <= self.own_end)
        return end.reason is Reason.PERMANENT and not self._parks

    def _ends_with(self, end: GaveUp, error: Exception | None) -> None:
        self.finish()
        found = end.classification
        if end.reason is Reason.DEADLINE:
            self._blame()
        if error is None:
            self._tell(EventKind.GIVE_UP, None, found, None, end.reason)
            raise DeadlineExceeded(OUTER)
        if end.reason is not Reason.PERMANENT or end.attempts > 1:
            mark(error, end, end.attempts > 1)
        elif found is not None and found.reason.startswith(UNKNOWN):
            say_unknown(self.name, type(error))
        self._tell(EventKind.GIVE_UP, error, found, None, end.reason)

    def _parking(self, error: Exception, found: Classification) -> Classification:
        """The classification of an error, which for one that parks the link is PERMANENT."""
        self._parks = False
        if self._park is None:
            return found
        park = judge_exception(error, self._park, faults.rule_raised)
        self._parks = park.verdict is not Verdict.PERMANENT or UNKNOWN not in park.reason
        if not self._parks:
            return found
        return Classification(Verdict.PERMANENT, reason=park.reason, redact=park.redact or found.redact)

    def _forgive_if_asked(self) -> None:
        """Somebody asked for a fresh start of what was under way: only the counts can be."""
        if self.asked.is_set():
            self.asked.clear()
            self._unpark()
            self.record_progress()

    def _fresh(self) -> None:
        self.asked.clear()
        self._unpark()
        self.reset()

    def _unpark(self) -> None:
        self._trial = self._alarmed = False
        self.end = None

    # The scopes and retried calls around the loop.

    def _bind(self, frame: FrameType) -> None:
        least = least_left(frame)
        for each in scope.innermost_deadlines():
            left = each.left()
            if left is not None and (least is None or left < least):
                least, self._bounding = left, each
        if least is not None:
            self.bound(self.now() + least)

    def _left_of_bound(self) -> float | None:
        return None if self._bound is None else self._bound - self.now()

    def _blame(self) -> None:
        if self._bounding is not None:
            self._bounding.blame()

    # Telling.

    def _tell(
        self,
        kind: EventKind,
        error: Exception | None = None,
        found: Classification | None = None,
        delay: float | None = None,
        reason: Reason | None = None,
    ) -> None:
        attempts = self.policy.attempts
        event = Event(
            kind, self.name, self.attempt, self.failures, self.elapsed, delay, error, found, reason, attempts=attempts
        )
        audience(self.policy.observers).tell(event)


def _forget(error: Exception) -> None:
    """An error that nobody gets from us may come back: cut its traceback to the first pass, so that it does not grow.

    A body's error is known by the user's frame, through which it passes once; another by the code of ours.
    """
    head = traceback_of(error)
    at = None if head is None else head.tb_next
    while head is not None and at is not None:
        if at.tb_frame is head.tb_frame or at.tb_frame.f_code is head.tb_frame.f_code in OURS:
            BaseException.with_traceback(error, at)
            return
        at = at.tb_next
