"""Floor 5. Progress, not time: ending what does not get on, and keeping a limit beneath those around it."""

from __future__ import annotations

from contextvars import ContextVar

from redouble.control import faults, scope
from redouble.control.clock import SYSTEM, guarded_now
from redouble.control.cut import Cut
from redouble.control.outcome import MARK, DeadlineExceeded, GaveUp, Reason, mark
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from redouble.control.clock import Clock
    from redouble.core.checks import Seconds

NEAR = 1e-9
"""So few seconds before its time a timer counts as due: sums of floats are not exact."""

_dogs: ContextVar[watchdog | None] = ContextVar("redouble.watchdog", default=None)


class watchdog:  # noqa: N801  # used as a noun with its number: with watchdog(90) as dog:
    """End what makes no progress, however long what does may take.

    As `async with` it cancels the body when nobody called `touch()` for `idle` seconds, and raises `DeadlineExceeded`
    (a `TimeoutError`) in place of the cancellation. Anybody else's cancellation, and a deadline around it that ends at
    the same moment, pass untouched. As `with`, in synchronous code, nothing can interrupt the body: there `touch()` and
    `check()` raise it once the time is over, and a body that calls neither is never ended.

    When it ends something, one line is logged on the logger `redouble` (WARNING). One timer is set at a time, none is
    left at the end.

    Args:
        idle: Seconds without a `touch()`, counted from the beginning at first; > 0. `None`: no such limit.
        hard_cap: Seconds for everything, touched or not. `None`, 0 or below: no such limit.

    Raises:
        TypeError, ValueError: When an argument is no such duration.

    Source: the idle and hard-cap watchdog of a syncing daemon, whose one export of 90 s raced a limit of 90 s for ever.

    >>> import asyncio
    >>> from redouble import DeadlineExceeded
    >>> from redouble.testing import fake_time
    >>> async def main():
    ...     try:
    ...         async with watchdog(90) as dog:
    ...             await asyncio.sleep(60)
    ...             dog.touch()
    ...             await asyncio.sleep(3600)
    ...     except DeadlineExceeded as error:
    ...         print(error, dog.expired)
    >>> with fake_time() as clock:
    ...     asyncio.run(main())
    ...     clock.now()
    no progress for 90 s, after 150 s in all True
    150.0
    """

    __module__ = "redouble"

    __slots__ = ("_began", "_cut", "_hard_cap", "_idle", "_now", "_open", "_outer", "_said", "_touched", "_why")

    _idle: float | None
    _hard_cap: float | None
    _now: Callable[[], float]
    _began: float
    _touched: float
    _cut: _Cut | None
    _outer: watchdog | None
    _open: bool
    _said: bool
    _why: str | None  # it ended: which limit was passed

    def __init__(self, idle: Seconds | None, hard_cap: Seconds | None = None) -> None:
        self._idle = checks.seconds_or_none("idle", idle, positive=True)
        self._hard_cap = _ceiling("hard_cap", hard_cap)
        self._now = SYSTEM.now
        self._began = self._touched = 0.0
        self._cut = self._outer = self._why = None
        self._open = self._said = False

    def touch(self) -> None:
        """Something got on: the `idle` seconds begin again.

        It only notes the time, so it may be called often, and from other threads too. Outside of the `with` it does
        nothing.

        Raises:
            DeadlineExceeded: Under a plain `with`, when the time was over before.
        """
        if self._open and self._cut is None:
            self.check()
        self._touched = self._now()

    def check(self) -> None:
        """Raise when the time is over: for the places of synchronous code where it can stop, but has not got on.

        Raises:
            DeadlineExceeded: When it is. No retried call within the `with` takes that for a failure to be retried.
        """
        if self._open and self.left() <= 0:
            self._note()
            error = self._end()
            # A retried call in the body must not take it for a failure of its own: it passes, as an inner retry's end.
            mark(error, GaveUp(Reason.PERMANENT, 0, self._now() - self._began), retried=False)
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    def left(self) -> float:
        """Seconds until it would end the body if nobody touched it; <= 0 when that is over; infinite without a limit."""
        now = self._now()
        idle = float("inf") if self._idle is None else self._touched + self._idle - now
        cap = float("inf") if self._hard_cap is None else self._began + self._hard_cap - now
        left = min(idle, cap)
        return 0.0 if left <= NEAR else left

    @property
    def expired(self) -> bool:
        """Whether it was this watchdog that ended the body."""
        return self._why is not None

    def __enter__(self) -> watchdog:
        self._begin(scope.current_clock())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        _dogs.set(self._outer)
        if self._why is not None and isinstance(error, DeadlineExceeded):
            error.__dict__.pop(MARK, None)  # out of the body it is a timeout as any other, which may be retried

    async def __aenter__(self) -> watchdog:
        clock = scope.current_clock()
        self._begin(clock)
        left = self.left()
        if left != float("inf"):
            try:
                self._cut = _Cut(clock, left, self)
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
        cut, self._cut = self._cut, None
        if cut is not None and cut.settle(error):
            raise self._end() from error
        if not self._said:
            self._why = None  # the timer fired, but somebody else ended the body

    def _begin(self, clock: Clock) -> None:
        if self._open:
            raise RuntimeError("this watchdog is open already; make a new one with watchdog(...)")
        self._open, self._said, self._why = True, False, None
        self._now = guarded_now(clock)
        self._began = self._touched = self._now()
        self._outer = _dogs.get()
        _dogs.set(self)

    def _note(self) -> None:
        """The time is over: note which limit it was, as what is cut off may still touch this while it ends."""
        now = self._now()
        if self._why is not None:
            return
        if self._idle is not None and now - self._touched >= self._idle - NEAR:
            self._why = f"no progress for {self._idle:g} s, after {round(now - self._began, 2):.9g} s in all"
        else:
            self._why = f"the hard cap of {self._hard_cap:g} s has passed"

    def _end(self) -> DeadlineExceeded:
        """The error that ends the body, which has been logged."""
        if not self._said:
            self._said = True
            faults.warn("watchdog: %s; what was under way ends", self._why)
        return DeadlineExceeded(self._why)


class _Cut(Cut):
    """A cut that is put off as long as somebody touches the watchdog: one timer, that looks again when it was early."""

    __slots__ = ("_clock", "_dog")

    def __init__(self, clock: Clock, seconds: float, dog: watchdog) -> None:
        self._clock, self._dog = clock, dog
        super().__init__(clock, seconds)

    def _fire(self) -> None:
        left = self._dog.left()
        if left > 0 and not self._settled:
            self._timer = self._clock.call_later(left, self._fire)
            return
        self._dog._note()
        super()._fire()


def expired_around() -> bool:
    """Whether a watchdog around the caller has ended what it watches."""
    dog = _dogs.get()
    while dog is not None:
        if dog._open and dog.expired:
            return True
        dog = dog._outer
    return False


def clamp_under(value: Seconds, *ceilings: Seconds | None, fraction: float = 0.75) -> float:
    """A limit that ends before those around it do, so that its end can still be acted upon.

    Args:
        value: The limit that was asked for, in seconds or as a `timedelta`; >= 0.
        ceilings: The limits around it, such as the `idle` and the `hard_cap` of a watchdog. `None`, 0 and below mean
            that there is none.
        fraction: Which share of the least of them is left to it; in (0, 1].

    Returns:
        Seconds: `value`, or `fraction` of the least ceiling where that is less. Then, and only then, one line is logged
        on the logger `redouble` (WARNING) that names both: nobody's setting is changed in silence.

    Raises:
        TypeError, ValueError: When an argument is of no such kind.

    >>> clamp_under(45, 90, None)
    45.0
    >>> clamp_under(120, 90, 0)
    67.5
    """
    asked = checks.seconds("value", value)
    share = checks.number("fraction", fraction, least=0, most=1)
    if share == 0:
        raise ValueError(f"fraction must be a number in (0, 1], got {checks.shown(fraction)}")
    found = [ceiling for each in ceilings if (ceiling := _ceiling("each ceiling", each)) is not None]
    least = min(found, default=float("inf"))
    limit = share * least
    if asked <= limit:
        return asked
    faults.warn(
        "a limit of %g s was asked for, %g s is used (%g of it): it has to end before the one of %g s around it",
        asked,
        limit,
        share,
        least,
    )
    return limit


def _ceiling(name: str, value: Seconds | None) -> float | None:
    """Seconds; `None`, 0 and what is below say that there is no limit, as settings do."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
        return None
    if getattr(value, "days", 0) < 0:  # a timedelta
        return None
    return checks.seconds_or_none(name, value) or None
