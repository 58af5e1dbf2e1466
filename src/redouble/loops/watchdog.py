"""Floor 5. Ending work that makes no progress, and keeping a limit beneath those around it.

A watchdog is a node of the chain of `redouble.control.around`; `touch()` moves the moment at which it ends the body. In
a coroutine a timer cancels the body; everywhere else each retried call and each loop beneath it looks at the node.
"""

from __future__ import annotations

from math import inf

from redouble.control import faults
from redouble.control.around import ENDS, NAME, NEAR, close_link, leave_bound, new_watchdog
from redouble.control.cancel import cancel_after
from redouble.control.clock import SYSTEM, guarded_now
from redouble.control.mark import mark_bound, read, unmark
from redouble.control.outcome import DeadlineExceeded
from redouble.control.scope import current_clock, open_scope
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from redouble.control.around import Link, Node
    from redouble.control.cancel import CancelScope
    from redouble.core.checks import Seconds


class watchdog:  # noqa: N801  # used as a noun with its number: with watchdog(90) as dog:
    """End a body that makes no progress; a body that calls `touch()` may take as long as it needs.

    As `async with`, in asyncio and trio, it cancels the body when `touch()` was not called for `idle` seconds, and
    raises `DeadlineExceeded` (a `TimeoutError`) in place of the cancellation. Other cancellations, and a deadline
    around it that ends at the same moment, pass untouched.

    As `with`, in synchronous code, it cannot interrupt a function that runs. Once the time is over, `touch()` and
    `check()` raise, and every retried call and loop of redouble beneath it ends with its next failure, its next
    question, or in its wait, and is not tried again.

    When it ends the body, one line is logged on the logger `redouble` (WARNING). It sets one timer at a time, and
    leaves none at the end. Outside of the `with` its error is a timeout like any other, which a retry around it may
    retry.

    Args:
        idle: Seconds without a `touch()`, counted from the beginning at first; > 0. `None`: no such limit.
        hard_cap: Seconds for the whole body, touched or not. `None`, 0 or below: no such limit.

    Raises:
        TypeError, ValueError: When an argument is not such a duration.

    Source: the idle and hard-cap watchdog of a syncing daemon, where an export of 90 s raced a limit of 90 s for ever.

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

    __slots__ = ("_began", "_cancel_scope", "_hard_cap", "_idle", "_link", "_node", "_now", "_said", "_touched", "_why")

    _idle: float | None
    _hard_cap: float | None
    _now: Callable[[], float]
    _began: float
    _touched: float
    _cancel_scope: CancelScope | None
    _link: Link | None  # while it is open
    _node: Node
    _said: bool
    _why: str | None  # the limit that was passed, once its time is over

    def __init__(self, idle: Seconds | None, hard_cap: Seconds | None = None) -> None:
        self._idle = checks.seconds_or_none("idle", idle, positive=True)
        self._hard_cap = _ceiling("hard_cap", hard_cap)
        self._now = SYSTEM.now
        self._began = self._touched = 0.0
        self._cancel_scope = self._link = self._why = None
        self._node = new_watchdog(None, SYSTEM.now, None, cancels=False)
        self._said = False

    def touch(self) -> None:
        """Report progress: the `idle` seconds begin again.

        It only notes the time, so it may be called often, and from other threads too. Outside of the `with` it has no
        effect.

        Raises:
            DeadlineExceeded: Under a plain `with`, when the time was over before.
        """
        if self._link is None:
            return
        if self._cancel_scope is None:
            self.check()
        self._touched = self._now()
        if self._why is None:  # a body that is being ended may still touch it: that gives it no more time
            self._node[ENDS] = self._due()

    def check(self) -> None:
        """Raise if the time is over: for places of synchronous code that can stop, but have made no progress.

        Raises:
            DeadlineExceeded: When the time is over. No retried call within the `with` retries it.
        """
        if self._link is not None and self.left() <= 0:
            self._note()
            error = self._overdue()
            mark_bound(error, self._node)
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    def left(self) -> float:
        """Return the seconds until it ends the body unless it is touched; <= 0: they are over; infinite: no limit."""
        ends = self._due()
        left = inf if ends is None else ends - self._now()
        return 0.0 if left <= NEAR else left

    @property
    def expired(self) -> bool:
        """Whether this watchdog has ended the body."""
        return self._why is not None

    def __enter__(self) -> watchdog:
        self._begin(cancels=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()
        self._raise_for(error)

    async def __aenter__(self) -> watchdog:
        self._begin(cancels=True)
        left = self.left()
        if left != inf:
            try:
                self._cancel_scope = cancel_after(current_clock(), left, self._left_or_noted)
            except BaseException:
                self._close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()
        cancel_scope, self._cancel_scope = self._cancel_scope, None
        if cancel_scope is not None and cancel_scope.exit(error):
            raise self._overdue() from error
        self._raise_for(error)
        if not self._said:
            self._why = None  # the timer fired, but another cancellation ended the body

    def _begin(self, *, cancels: bool) -> None:
        if self._link is not None:
            raise RuntimeError("this watchdog is open already; make a new one with watchdog(...)")
        self._said, self._why = False, None
        self._now = guarded_now(current_clock())
        self._began = self._touched = self._now()
        self._node = new_watchdog(None, self._now, self._due(), cancels)
        self._link = open_scope(self._node)

    def _close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            leave_bound(self._node)
            close_link(link)

    def _due(self) -> float | None:
        """Return the moment at which it ends the body unless it is touched; `None`: never."""
        idle = inf if self._idle is None else self._touched + self._idle
        cap = inf if self._hard_cap is None else self._began + self._hard_cap
        ends = min(idle, cap)
        return None if ends == inf else ends

    def _left_or_noted(self) -> float:
        """Return the seconds left when the timer fires; if none are left, note the limit that was passed."""
        left = self.left()
        if left <= 0:
            self._note()
        return left

    def _note(self) -> None:
        """Note the limit that was passed, as a body that is being cut off may still touch this watchdog."""
        now = self._now()
        if self._why is not None:
            return
        if self._idle is not None and now - self._touched >= self._idle - NEAR:
            self._why = f"no progress for {self._idle:g} s, after {round(now - self._began, 2):.9g} s in all"
        else:
            self._why = f"the hard cap of {self._hard_cap:g} s has passed"
        self._node[ENDS] = now

    def _overdue(self) -> DeadlineExceeded:
        """Return the error that ends the body, and log it once."""
        if not self._said:
            self._said = True
            faults.warn("watchdog: %s; what was under way ends", self._why)
        return DeadlineExceeded(self._why)

    def _raise_for(self, error: BaseException | None) -> None:
        """Raise the watchdog's own error if it ended a call or a loop beneath it, which raised another error.

        From here on both errors are unmarked, so that a retry around the watchdog may retry them.
        """
        number = self._node[NAME]
        data = None if error is None or not number else read(error)
        if error is None or data is None or data.get("bound") != number:
            return
        unmark(error)
        if not (isinstance(error, DeadlineExceeded) and str(error) == self._why):
            self._note()
            raise self._overdue() from error


def clamp_under(value: Seconds, *ceilings: Seconds | None, fraction: float = 0.75, name: str | None = None) -> float:
    """Return a limit that ends before the limits around it, so that the program can still act on its end.

    Args:
        value: The limit that was asked for, in seconds or as a `timedelta`; >= 0.
        ceilings: The limits around it, such as the `idle` and the `hard_cap` of a watchdog. `None`, 0 and below mean
            that there is none.
        fraction: The share of the least ceiling that is left to it; in (0, 1].
        name: The setting that asks for `value`, as its user knows it (`"export_timeout"`), for the warning. `None`: the
            warning calls it a limit.

    Returns:
        Seconds: `value`, or `fraction` of the least ceiling if that is less. In the second case one line is logged
        on the logger `redouble` (WARNING) that names the setting and both values.

    Raises:
        TypeError, ValueError: When an argument is of a wrong kind or value.

    >>> clamp_under(45, 90, None)
    45.0
    >>> clamp_under(120, 90, 0)
    67.5
    """
    asked = checks.seconds("value", value)
    share = checks.number("fraction", fraction, least=0, most=1)
    if share == 0:
        raise ValueError(f"fraction must be a number in (0, 1], got {checks.shown(fraction)}")
    if not (name is None or (isinstance(name, str) and name)):
        raise TypeError(f"name must be a string that is not empty, or None, got {checks.shown(name)}")
    found = [ceiling for each in ceilings if (ceiling := _ceiling("each ceiling", each)) is not None]
    least = min(found, default=inf)
    limit = share * least
    if asked <= limit:
        return asked
    faults.warn(
        "%s of %g s was asked for, %g s is used (%g of it): it has to end before the one of %g s around it",
        name or "a limit",
        asked,
        limit,
        share,
        least,
    )
    return limit


def _ceiling(name: str, value: Seconds | None) -> float | None:
    """Return a ceiling in seconds; `None`, 0 and numbers below 0 mean that there is no limit, as in settings."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
        return None
    if getattr(value, "days", 0) < 0:  # a timedelta
        return None
    return checks.seconds_or_none(name, value) or None
