"""Floor 5. One loop over a link: its script, and the judge of its outcomes.

A `Line` has a call, whose attempts are the dials, and judges it: the end of a session is judged as if the dial had
ended then. A request from outside, in any thread, is noted under a lock and looked at where the script decides; a bell
wakes the waits.
"""

from __future__ import annotations

from _thread import allocate_lock
from enum import Enum

from redouble.calls.call import TIMED_OUT, Call, End, Judge, OnStop
from redouble.calls.hosts import coroutines, threads
from redouble.calls.pause import FOR_GOOD, AnyOf, Pause
from redouble.calls.script import ATTEMPT, HAND_OUT, PAUSE, RAISE
from redouble.calls.tracebacks import traceback_of
from redouble.control import faults
from redouble.control.around import AROUND, NODE, OUTER, close_link, first_live, innermost, new_link, patience_around
from redouble.control.cancel import CancelScope, cancel_after
from redouble.control.clock import SYSTEM, is_set
from redouble.control.events import ENDED, EventKind
from redouble.control.host import Host
from redouble.control.outcome import DeadlineExceeded, GaveUp, Reason
from redouble.core.causes import is_exception
from redouble.core.record import Record
from redouble.core.verdict import Classification, Rule, Verdict
from redouble.known.classify import is_unknown, judge_exception
from redouble.loops.base import for_loop
from redouble.loops.orderly import is_orderly
from redouble.loops.session import Session
from redouble.loops.watch import Watch
from redouble.ways.closing import CloseLimit
from redouble.ways.opening import Opened, Opening, leaving, open_under, opening, scope_of_opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from threading import Event
    from types import TracebackType
    from typing import Any, Literal

    from redouble.calls.script import Script
    from redouble.control.clock import Clock, Stop
    from redouble.control.policy import Policy
    from redouble.core.checks import Seconds
    from redouble.loops.bell import Bell


class LinkStatus(Enum):
    """The status of a link: `IDLE CONNECTING CONNECTED CLOSING WAITING PARKED`.

    `IDLE`: no loop runs over the link, or the loop is between two passes. `CLOSING`: a session has ended, and its
    connection is being closed. `WAITING`: it waits for the next dial. `PARKED`: it has given up and waits for
    `Link.reset()`.
    """

    __module__ = "redouble.loops"

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSING = "closing"
    WAITING = "waiting"
    PARKED = "parked"

    def __repr__(self) -> str:
        return f"LinkStatus.{self.name}"


_S = LinkStatus

MOVES: dict[tuple[LinkStatus, LinkStatus], str] = {
    (_S.IDLE, _S.CONNECTING): "the first dial",
    (_S.IDLE, _S.WAITING): "the session ended",
    (_S.IDLE, _S.PARKED): "gave up on it",
    (_S.CONNECTING, _S.CONNECTED): "is up",
    (_S.CONNECTING, _S.WAITING): "the dial failed",
    (_S.CONNECTING, _S.PARKED): "gave up",
    (_S.CONNECTING, _S.CLOSING): "up too late",
    (_S.CONNECTING, _S.IDLE): "the loop ends",
    (_S.CONNECTED, _S.CLOSING): "its body ended",
    (_S.CLOSING, _S.IDLE): "closed",
    (_S.WAITING, _S.CONNECTING): "time is over, reset()",
    (_S.WAITING, _S.IDLE): "the loop ends",
    (_S.PARKED, _S.CONNECTING): "reset(), half_open",
    (_S.PARKED, _S.IDLE): "the loop ends",
}
"""All moves of a link from one status to another, each with its cause."""


class Next(Enum):
    """The next step of the script."""

    DIAL = 1
    WAIT = 2
    PARK = 3
    END = 4


class Wish(Enum):
    """A user's request from outside, until the script has granted it.

    `FRESH`: forget the failures, and dial at once if the link waits. `ANEW`: also end the session that is up.
    """

    FRESH = 1
    ANEW = 2


class Keeping(Record):
    """The settings of a link, as `reconnect` received them."""

    open_: Callable[..., Any]
    name: str
    policy: Policy
    stable_after: float
    parks: bool  # whether giving up parks
    park: Rule | Literal[True] | None  # the errors that park at once
    half_open: float | None
    close_timeout: Seconds | None
    stop_sessions: bool  # whether the policy's `stop` ends a session that is up


UNWANTED = Classification(Verdict.TRANSIENT, applied=False, reason="the connection came when nobody wanted it any more")
NOT_YET = Classification(Verdict.PERMANENT, reason="a parked link's one dial came to nothing")

_ENDED_IN_ORDER: Any = object()
"""The value that the call of a line receives when a session ended in order."""


class Line(Judge):
    """Counts, judges and decides for one loop over a link.

    Attributes:
        call: Its call; `None` before the first dial, and once the loop is over.
        status: The status of the link.
        session: The session that was handed out, until it is closed.
        end: The decision by which the link was parked.
        over: Whether the loop has ended.
        left: Whether the iterator is gone, with a session that was never entered.
    """

    __slots__ = (
        "_alarmed",
        "_bell",
        "_closed",
        "_counts",
        "_dialling",
        "_ended_at",
        "_host",
        "_how",
        "_in_pieces",
        "_lock",
        "_next",
        "_outer_first",
        "_parks",
        "_plan",
        "_since",
        "_status",
        "_stop",
        "_trial",
        "_until",
        "_watch",
        "_wish",
        "call",
        "clock",
        "end",
        "left",
        "over",
        "session",
    )

    on_stop = OnStop.END

    call: Call | None
    clock: Clock
    end: GaveUp | None
    left: bool
    over: bool
    session: Session[Any] | None
    _status: LinkStatus
    _bell: Bell | None
    _closed: Event  # set by `close`
    _counts: tuple[int, int]  # attempts and failures, once the loop is over
    _dialling: CancelScope | None  # cuts off the dial under way
    _ended_at: float | None  # when the last session ended in order
    _host: Host | None
    _in_pieces: bool  # whether a pause ends with the time of a watchdog around the loop
    _parks: bool  # whether the current outcome parks the link, even if the policy would retry it
    _since: float | None  # when the connection came up; `None`: none is up, or its end has been judged
    _stop: Stop | None  # the policy's
    _trial: bool  # whether this is the one dial of a parked link
    _until: float | None  # when the rest under way is over
    _watch: Watch | None  # hears of the stop while a session is up
    _wish: Wish | None

    def __init__(self, plan: Keeping, asynchronous: bool) -> None:
        from threading import Event

        policy = for_loop(plan.policy)
        self._stop, self._closed = policy.stop, Event()
        super().__init__(policy.overridden(stop=AnyOf(self._stop, self._closed)))
        self._status = LinkStatus.IDLE
        self._plan = plan
        self.clock = SYSTEM if policy.clock is None else policy.clock
        limit = CloseLimit(plan.close_timeout, plan.name, self.clock)
        self._how = Opening(
            plan.open_, (), plan.name, "reconnect", closing=False, asynchronous=asynchronous, limit=limit
        )
        self._lock = allocate_lock()
        self._counts = 0, 0
        self._next = Next.DIAL
        self.call = self.end = self.session = None
        self._bell = self._dialling = self._ended_at = self._host = self._since = self._until = self._watch = (
            self._wish
        ) = None
        self.over = self.left = self._in_pieces = self._alarmed = self._outer_first = self._parks = self._trial = False

    @property
    def status(self) -> LinkStatus:
        """The status of the link; a move that is not in `MOVES` is reported."""
        return self._status

    @status.setter
    def status(self, to: LinkStatus) -> None:
        move, self._status = (self._status, to), to
        if move not in MOVES and move[0] is not to:
            faults.report("redouble", self.name, RuntimeError(f"a link moved from {move[0]!r} to {to!r}"), "it goes on")

    @property
    def name(self) -> str:
        """The name of the link in messages."""
        return self.policy.name or self._plan.name

    # The script.

    def sessions(self, bell: Bell, host: Host | None) -> Script:
        """Yield the steps of the loop: dial, hand the session out, and decide when it has ended.

        Args:
            bell: The bell that wakes the loop.
            host: The library that runs the loop; `None`: a thread.
        """
        self._bell, self._host = bell, host
        while True:
            self._begin_pass()
            while self._next in (Next.WAIT, Next.PARK):
                yield PAUSE, self._pause()
                self._look_up()
            if self._next is Next.END:
                return
            begins, call = self._begin_dial()
            if begins:
                link = self._stand(call)
                try:
                    yield ATTEMPT, call
                finally:
                    close_link(link)
                    call.value = None
                if self._since is not None:
                    call.tell(EventKind.CONNECTED)
                    yield HAND_OUT, call
                elif not call.over:
                    self._next = Next.WAIT
            elif call.raised is not None:
                yield RAISE, call

    def _begin_pass(self) -> None:
        """Begin a pass: decide about the session that ended in order in the pass before.

        The decision waits until now, since a `break` in that pass must not connect again.
        """
        call = self.call
        if self._since is not None and call is not None:
            if self._wish is Wish.ANEW:
                self._drop(call, None, ENDED)
                self._next = Next.WAIT  # for 0 s: a coroutine lets other tasks run, and sees a cancellation
            else:
                call.returned(_ENDED_IN_ORDER)
                self._next = self._next if call.over else Next.WAIT
        if self.is_stopped():
            self._next = Next.END

    def _pause(self) -> Pause:
        """Return the wait for the next dial, or for a user to wake a parked link."""
        assert self.call is not None
        assert self._bell is not None
        now = self.call.tally.now()
        if self._until is None:
            self._until = now + self._rest(self.call, now)
        self._bell.renew()
        seconds = 0.0 if self._wish or self.is_stopped() else max(0.0, self._until - now)
        self._in_pieces = (piece := patience_around()) < seconds
        seconds = min(seconds, piece)
        return Pause(self.clock, seconds, (self._stop, self._bell.event), self.name)

    def _rest(self, call: Call, now: float) -> float:
        """Begin a rest, and return its length in seconds."""
        if self._next is Next.WAIT:
            self.status = LinkStatus.WAITING
            due = call.tally.due
            return 0.0 if due is None else due - now
        self.status = LinkStatus.PARKED
        half_open = self._plan.half_open
        if not self._alarmed:
            self._alarmed = True
            call.tell(EventKind.PARKED, half_open, None, None if self.end is None else self.end.classification)
        seconds, left = FOR_GOOD if half_open is None else half_open, call.left_around()
        self._outer_first = left <= seconds
        return min(seconds, left)

    def _look_up(self) -> None:
        """Find the reason why a pause ended, and choose the next step.

        Raises:
            DeadlineExceeded: When the time of a scope around the loop is over.
        """
        assert self._bell is not None
        if self.is_stopped():
            self._next = Next.END
        elif self._wish:
            self._next = Next.DIAL
        elif is_set(self._bell.event) or (self._in_pieces and patience_around() > 0.0):
            return  # the bell rang for a request that was granted already, or a watchdog was touched meanwhile
        elif self._next is Next.PARK:
            self._outer_first = self._outer_first or self._in_pieces
            self._next = self._after_parking()
        else:
            if self._in_pieces and self.call is not None:
                self.call.tally.due = None  # the time of the whole wait has not passed
            self._next = Next.DIAL
        self._until = None

    def _after_parking(self) -> Next:
        """Return the next step of a parked link whose rest is over."""
        assert self.call is not None
        if self._outer_first:
            self.ends(self.call.end_around(), None)  # raises
        if self._plan.half_open is None:
            return Next.END  # no reset in thirty years, which virtual time may skip
        self.call.begin_again()
        self._trial = True
        return Next.DIAL

    def _begin_dial(self) -> tuple[bool, Call]:
        """Begin a dial; return whether it has begun, and the call. It has not if the call ended during the wait."""
        with self._lock:
            wish, self._wish = self._wish, None
            self.status = LinkStatus.CONNECTING
        self._next = Next.DIAL
        call = self.call
        if call is None:
            dial = self._dial_async if self._how.asynchronous else self._dial
            self.call = call = Call(
                self.policy, self._plan.name, new_link(None, innermost()), dial, judge=self, first=True
            )
            return self._begins_first(call), call
        if call.held:
            return self._begins_first(call, at_once=bool(wish)), call
        if wish:
            self._forget(call)
        call.over = False
        if call.cooled and not wish and call.is_held_again():
            self._next = Next.WAIT
            return False, call
        return not call.over and call.goes_on(), call

    def _begins_first(self, call: Call, *, at_once: bool = False) -> bool:
        """Return whether the first dial begins; if not, a cooldown holds it back, and the wait has begun."""
        if not at_once and call.held and call.is_held():
            self._next = Next.WAIT
            return False
        if call.held:
            call.begin_held()
        return True

    def _stand(self, call: Call) -> Any:
        """Make the dial the innermost link of the chain, beneath the scopes around this pass of the loop."""
        call.link = link = new_link(call, innermost())
        if call.bound is not None:
            call.bound[OUTER] = first_live(link[NODE])
            link[NODE] = call.bound
        AROUND.set(link)
        return link

    # Dialling, called by the drivers.

    def _dial(self, **kwargs: Any) -> Opened:
        return threads.perform(opening(self._how, kwargs))

    async def _dial_async(self, **kwargs: Any) -> Opened:
        call = self.call
        assert call is not None
        on_trio = self._host is Host.TRIO
        cancel_scope = self._dialling = (
            scope_of_opening(self.clock, call) if on_trio else cancel_after(self.clock, None)
        )
        try:
            opened = await open_under(cancel_scope, self._how, kwargs, call)
        except TimeoutError:
            if cancel_scope.fired and self._closed.is_set():
                return Opened(None)  # `close()` cut it off: no connection is wanted any more
            raise
        finally:
            self._dialling = None
        if call.cut_in() <= 0.0:
            await coroutines.perform(self._closing_quietly(opened))
            raise call.cut_off(None)  # the dial did not heed its time limit and came too late
        return opened

    _dial_async.limits_itself = True  # type: ignore[attr-defined]

    def _closing_quietly(self, opened: Opened) -> Generator[Any, Any, None]:
        """Close a connection that will not be used; drop an error of closing."""
        try:
            yield from leaving(opened, self._how)
        except Exception:
            return

    # Judging, called by the call.

    def error(self, error: Exception) -> Classification:
        found = super().error(error)
        self._forgive()
        call = self.call
        assert call is not None
        _forget_earlier_passes(error)
        if self._since is not None:
            self._drop(call, error, found)
        return self._parking(error, found)

    def late(self) -> Classification:
        self._forgive()
        return self._parking(TimeoutError(), TIMED_OUT)

    def value(self, value: object) -> Classification | None:
        if value is _ENDED_IN_ORDER:
            assert self.call is not None
            self.call.tally.spared = self._drop(
                self.call, None, ENDED
            )  # a server that hangs up after a stable connection has not failed
            self._parks = self._trial
            return NOT_YET if self._trial else ENDED
        assert isinstance(value, Opened)
        if value.refusal:
            raise TypeError(value.refusal)
        return None if self._arrives(value) else UNWANTED

    def ends(self, end: GaveUp, error: Exception | None) -> End | None:
        call = self.call
        assert call is not None
        if end.reason is Reason.STOPPED:
            self._next = Next.END
            return End.IN_ORDER
        if self._gives_up_by_parking(end):
            self._next = Next.PARK
            if not self._trial:
                self.end = end
                call.tell(EventKind.GIVE_UP, None, error, end.classification, end.reason)
            return End.IN_ORDER
        if error is None:
            call.raised = error = _instead(end)
            call.tell_end(end, error)
            raise error
        return None

    def _gives_up_by_parking(self, end: GaveUp) -> bool:
        """Return whether giving up parks the link. The end of a scope does not: the caller is done with the link."""
        if end.reason is Reason.DEADLINE and end.limit == "scope":
            return False
        return self._parks if end.reason is Reason.PERMANENT else self._plan.parks

    def _parking(self, error: Exception, found: Classification) -> Classification:
        """Return the classification of an error: PERMANENT if it parks the link."""
        rule, permanent = self._plan.park, found.verdict is Verdict.PERMANENT
        self._parks = (rule is True and permanent) or (self._trial and not permanent)
        if rule is not None and rule is not True:
            park = judge_exception(error, rule, faults.rule_raised)
            if park.verdict is not Verdict.PERMANENT or not is_unknown(park):
                self._parks = True
                return Classification(Verdict.PERMANENT, reason=park.reason, redact=park.redact or found.redact)
        if self._parks and not permanent:
            return Classification(Verdict.PERMANENT, reason=found.reason, redact=found.redact)
        return found

    def _arrives(self, opened: Opened) -> bool:
        """Take the connection of a dial; return whether it is still wanted."""
        call = self.call
        assert call is not None
        session = Session[object](self, opened, self._how, call.tally.attempt)
        with self._lock:
            self.session = session
            if self.is_stopped():
                return False
            self.status = LinkStatus.CONNECTED
            self._since, self._ended_at = call.tally.now(), None
        self._forgive()
        call.is_up()
        return True

    def _drop(self, call: Call, error: Exception | None, found: Classification) -> bool:
        """Note that the connection dropped, and tell of it; return whether it was stable."""
        since, at = self._since, self._ended_at
        now = call.tally.now() if at is None else at
        stable = since is not None and now - since >= self._plan.stable_after
        call.drop(now, stable)
        if stable:
            self._unpark()
        call.tell(EventKind.DROPPED, None, error, found)
        self._since = self._ended_at = None
        return stable

    def handed_out(self) -> Session[Any]:
        """Return the session that the script has handed out."""
        assert self.session is not None
        return self.session

    # Called by the session.

    def begins(self) -> None:
        """Note that the body of the session begins."""
        if self._plan.stop_sessions and self._stop is not None and self._bell is not None:
            self._watch = Watch(self._stop, self._bell, self._stop_session, asynchronous=self._how.asynchronous)

    def closes(self) -> None:
        """Note that the body of the session has ended, and the connection is being closed."""
        self.status = LinkStatus.CLOSING
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()

    def ended(self, error: BaseException | None) -> bool:
        """Note that the connection is closed; return whether to suppress the error of its body."""
        with self._lock:
            self.session, self.status = None, LinkStatus.IDLE
            asked = self.is_ending()
        call, failed = self.call, is_exception(error)
        if call is None:  # the body asked for another pass, which ended the loop
            return False
        if is_exception(error) and not asked and not is_orderly(error):
            passes = call.failed(error)
            if passes:
                self.finish()
            elif not call.over:
                self._next = Next.WAIT
            return not passes
        self._ended_at = call.tally.now()
        self._forgive()
        return failed

    def is_ending(self) -> bool:
        """Return whether the session that is up has to end."""
        stops = self._plan.stop_sessions and self.is_stopped()
        return stops or self._wish is Wish.ANEW or self._closed.is_set()

    def _stop_session(self) -> None:
        session = self.session
        if session is not None and self.is_stopped():
            session.end(self._bell)

    # Called from outside, in any thread or task.

    def ask(self, wish: Wish) -> None:
        """Ask for a fresh start; a dial under way goes on, and only the failures are forgotten."""
        with self._lock:
            if self.over:
                return
            if self.status is LinkStatus.CONNECTING:
                wish = Wish.FRESH
            if self._wish is not Wish.ANEW:
                self._wish = wish
            session = self.session if wish is Wish.ANEW else None
        if session is not None:
            session.end(self._bell)
        self._ring()

    def close(self) -> None:
        """Ask for the end of the loop."""
        with self._lock:
            if self.over:
                return
            self._closed.set()
            session, dial = self.session, self._dialling
        if dial is not None and self._bell is not None:
            self._bell.call(dial.fire)
        if session is not None:
            session.end(self._bell)
        self._ring()

    def leave(self) -> None:
        """Note that the iterator is gone; the next loop, or the end of the link, closes its session."""
        session = self.session
        if session is None or not session.is_entered:
            self.left = True
            if session is None and not self.over:
                self.finish()

    def close_what_was_left(self) -> None:
        """Close the session of a loop that is gone, in a task of its own."""
        bell = self._bell
        if bell is not None and self.left and self.session is not None:
            bell.call(lambda: bell.spawn(coroutines.perform, self.leftovers()))

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.ring()

    def is_stopped(self) -> bool:
        """Return whether the policy's `stop` or `close` has asked for the end of the loop."""
        return self._closed.is_set() or (self._stop is not None and is_set(self._stop))

    @property
    def is_at_work(self) -> bool:
        """Whether the loop dials, waits, or has a session that may still be entered; then no other loop may begin."""
        if self.over:
            return False
        return self.session is not None and not self.left if self.status in _BETWEEN else True

    @property
    def attempt(self) -> int:
        """The number of the last dial."""
        return self._counts[0] if self.call is None else self.call.tally.attempt

    @property
    def failures(self) -> int:
        """The number of dials and connections that failed in a row; 0 as soon as a connection is stable."""
        call = self.call
        if call is None:
            return self._counts[1]
        up = self.status is LinkStatus.CONNECTED and self._since is not None
        stable = up and call.tally.now() - (self._since or 0.0) >= self._plan.stable_after
        return 0 if stable or self._wish else call.tally.failures

    # Forgetting and ending.

    def _forgive(self) -> None:
        """Grant a fresh start to the dial or the session under way, whose counts begin again."""
        with self._lock:
            if self._wish is not Wish.FRESH:
                return
            self._wish = None
        self._unpark()
        if self.call is not None:
            self.call.progress()

    def _forget(self, call: Call) -> None:
        """Forget failures, curve and parking, so that the next dial comes at once."""
        self._unpark()
        call.begin_again()

    def _unpark(self) -> None:
        self._trial = self._alarmed = False
        self.end = None

    def leftovers(self) -> Generator[Any, Any, None]:
        """Close a session that was handed out and never entered; an open `with` closes its own."""
        session = self.session
        opened = None if session is None else session.take()
        if opened is None:
            return
        self.status = LinkStatus.CLOSING
        try:
            yield from self._closing_quietly(opened)
        finally:
            self.session, self.status = None, LinkStatus.IDLE

    def finish(self) -> None:
        """End the loop and let go of its call."""
        self.over = True
        self._next, self.status = Next.END, LinkStatus.IDLE
        self._since = self._wish = None
        call, self.call = self.call, None
        if call is not None:
            self._counts = call.tally.attempt, call.tally.failures
            call.let_go()


_BETWEEN = (LinkStatus.IDLE, LinkStatus.CONNECTED)


def _instead(end: GaveUp) -> Exception:
    """Return the error of a link that gives up although its connections ended in order."""
    if end.reason is Reason.DEADLINE:
        whose = "around the loop" if end.limit == "scope" else "of the link"
        return DeadlineExceeded(f"the deadline {whose} has passed")
    return ConnectionError("the connection ended in order, again and again")


def _forget_earlier_passes(error: Exception) -> None:
    """Cut the traceback of an error object that several dials or closings raise, so that it does not grow."""
    passes = [at for at in _walk(traceback_of(error)) if at.tb_frame.f_code in _PASSES]
    if len(passes) > 1:
        passes[0].tb_next = passes[-1].tb_next


def _walk(at: TracebackType | None) -> Generator[TracebackType, None, None]:
    while at is not None:
        yield at
        at = at.tb_next


_PASSES = (Line._dial.__code__, Line._dial_async.__code__, Session._leaving.__code__)
