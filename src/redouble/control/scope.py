"""Floor 3. Scopes: what holds for every retried call beneath a `with`: a deadline, and changed fields of policies."""

from __future__ import annotations

import sys
from _thread import allocate_lock
from contextvars import ContextVar

from redouble.control.clock import SYSTEM, guarded_now
from redouble.control.cut import Cut
from redouble.control.outcome import DeadlineExceeded
from redouble.control.policy import Policy
from redouble.control.stack import enclosing
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar, overload

    from redouble.control.clock import Clock
    from redouble.core.checks import Seconds

    P = TypeVar("P", bound=Policy)
    Scope = TypeVar("Scope", "override", "deadline")

overriding: int = 0
"""How many `override` scopes are open in this process: while there is none, no call need look for one."""

MOST_POLICIES = 64
"""How many changed policies a scope keeps: a loop may make a new policy in every round."""

_lock = allocate_lock()
# What a context was given, outermost first. A task may outlive a scope, and a generator may close one out of order, so
# that closed scopes are met here: whoever looks passes over them.
_overrides: ContextVar[tuple[override, ...]] = ContextVar("redouble.override", default=())
_deadlines: ContextVar[tuple[deadline, ...]] = ContextVar("redouble.deadline", default=())
_everywhere: list[override] = []


class override:  # noqa: N801  # used as a verb: with override(attempts=1):
    """Replace fields of every policy used beneath this `with`; `observers` are added to the policy's own.

    A context variable: it holds in this context and in those copied from it (tasks, `asyncio.to_thread`), for as long as
    it is open. Inner scopes win over outer ones.

    Args:
        everywhere: Also hold for contexts that have no `override` of their own: for test fixtures, which often run in
            another context than the test.
        fields: Any fields of `RetryPolicy`.

    Raises:
        TypeError: For a field that no policy has, or a value of a wrong kind.
        ValueError: For a value that breaks the field's rule.

    >>> from redouble import override, retry
    >>> from redouble.testing import fake_time, scripted
    >>> answer = scripted(ConnectionResetError, 42)
    >>> with fake_time(), override(attempts=1):
    ...     try:
    ...         retry.call(answer)
    ...     except ConnectionResetError:
    ...         print("tried once")
    tried once
    """

    __module__ = "redouble"

    def __init__(self, *, everywhere: bool = False, **fields: Any) -> None:
        Policy(**fields)  # refuses here what would be refused at the first call beneath
        self._fields = fields
        self._everywhere = checks.flag("everywhere", everywhere)
        self._outer: tuple[override, ...] = ()
        self._open = False
        self._made: dict[int, tuple[Policy, Policy]] = {}

    def __enter__(self) -> override:
        global overriding
        if self._open:
            raise RuntimeError("this override scope is open already; make a new one with override(...)")
        self._outer = _around()
        self._open = True
        _overrides.set((*_still_open(_overrides.get()), self))
        with _lock:
            overriding += 1
            if self._everywhere:
                _everywhere.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        global overriding
        with _lock:
            overriding -= 1
            if self._everywhere:
                _everywhere.remove(self)
        self._open = False
        _overrides.set(_still_open(_overrides.get()))
        self._made.clear()

    def over(self, policy: P) -> P:
        """The policy with the fields that this scope replaces."""
        made = self._made.get(id(policy))
        if made is None:
            changes = dict(self._fields)
            if "observers" in changes:
                changes["observers"] = (*policy.observers, *changes["observers"])
            if len(self._made) >= MOST_POLICIES:
                self._made.clear()
            made = self._made[id(policy)] = (policy, policy.overridden(**changes))
        found: P = made[1]  # type: ignore[assignment]  # overridden() keeps the class
        return found

    @property
    def clock(self) -> Clock | None:
        """The clock that this scope names; `None` when it names none."""
        clock: Clock | None = self._fields.get("clock")
        return clock


def _still_open(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    return tuple(each for each in scopes if each._open)


def _around() -> tuple[override, ...]:
    """The open `override` scopes around the caller, outermost first; where there is none, those that hold everywhere."""
    own = _still_open(_overrides.get()) or tuple(_everywhere[-1:])
    return (*_still_open(own[0]._outer), *own) if own else ()


def effective(policy: P) -> P:
    """The policy with the fields that the scopes around the caller replace."""
    for scope in _around():
        policy = scope.over(policy)
    return policy


def current_clock() -> Clock:
    """The clock that scopes around the caller name, else the system's."""
    for scope in reversed(_around()):
        if scope.clock is not None:
            return scope.clock
    return SYSTEM


class deadline:  # noqa: N801  # used as a noun with its number: with deadline(5) as limit:
    """Bound every retried call beneath: attempts, waits and nested calls together.

    As `with` it bounds what is retried: no wait is begun that would end after it, and `remaining()` tells what is left
    to whoever takes a timeout. As `async with` it also cancels what still runs when the time is up, and raises
    `DeadlineExceeded` (a `TimeoutError`). A context variable: it travels with copied contexts, and bounds there for as
    long as it is open: a task that outlives it is bounded no more.

    Args:
        seconds: From entering the scope, in seconds or as a `timedelta`; >= 0. `None`: no limit.

    Attributes:
        expired: Whether it was this scope that ended something beneath: it cancelled, or a retried call gave up because
            of it, or its time is over.

    Raises:
        TypeError, ValueError: When `seconds` is no such duration.

    >>> from redouble import deadline, remaining
    >>> from redouble.testing import fake_time
    >>> with fake_time(), deadline(5) as limit:
    ...     remaining(), remaining(at_most=2), limit.expired
    (5.0, 2.0, False)
    """

    __module__ = "redouble"

    __slots__ = ("_blamed", "_clock", "_cut", "_ends", "_now", "_open", "_seconds")

    def __init__(self, seconds: Seconds | None) -> None:
        self._seconds = checks.seconds_or_none("seconds of deadline()", seconds)
        self._clock: Clock = SYSTEM
        self._now: Callable[[], float] = SYSTEM.now
        self._ends: float | None = None
        self._cut: Cut | None = None
        self._blamed = False
        self._open = False

    def left(self) -> float | None:
        """Seconds until this deadline, below 0 when it has passed; `None` for no limit."""
        return None if self._ends is None else self._ends - self._now()

    @property
    def expired(self) -> bool:
        if self._open:
            left = self.left()
            return self._blamed or (left is not None and left <= 0)
        return self._blamed

    def blame(self) -> None:
        """A retried call beneath gave up because of this deadline."""
        self._blamed = True

    def __enter__(self) -> deadline:
        if self._open:
            raise RuntimeError("this deadline scope is open already; make a new one with deadline(...)")
        self._open = True
        self._blamed = False
        if self._seconds is not None:
            self._clock = current_clock()
            self._now = guarded_now(self._clock)
            self._ends = self._now() + self._seconds
        _deadlines.set((*_still_open(_deadlines.get()), self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._blamed = self.expired  # as it stands now: what ended in time does not expire later
        self._open = False
        _deadlines.set(_still_open(_deadlines.get()))

    async def __aenter__(self) -> deadline:
        self.__enter__()
        if self._seconds is not None:
            try:
                self._cut = Cut(self._clock, self._seconds)
            except BaseException:
                self.__exit__()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__()
        cut, self._cut = self._cut, None
        if cut is not None and cut.settle(error):
            self._blamed = True
            raise DeadlineExceeded(f"the deadline of {self._seconds:g} s has passed") from error


def in_deadline() -> bool:
    """Whether the caller is inside of a `deadline` scope."""
    scopes = _deadlines.get()
    return bool(scopes) and any(each._open for each in scopes)  # every call that fails asks: mostly there is none


def innermost_deadlines() -> list[deadline]:
    """The open `deadline` scopes around the caller that have a limit, innermost first."""
    return [each for each in reversed(_deadlines.get()) if each._open and each.left() is not None]


if TYPE_CHECKING:

    @overload
    def remaining(at_most: None = None) -> float | None: ...
    @overload
    def remaining(at_most: Seconds) -> float: ...
    def remaining(at_most: Seconds | None = None) -> float | None:
        """What is left of the time: see below."""
        ...

else:

    def remaining(at_most=None):
        """What is left of the time, for whoever takes a timeout: `read(timeout=remaining(5))`.

        The least of what is left of the `deadline` scopes and of the retried calls around the caller (those in the same
        thread or task).

        Args:
            at_most: Seconds that the answer never exceeds. `None`: only the deadlines count.

        Returns:
            Seconds, >= 0; `None` when nothing bounds and `at_most` is `None`.

        Raises:
            TypeError, ValueError: When `at_most` is no duration.

        >>> from redouble import remaining
        >>> remaining(at_most=5)
        5.0
        >>> remaining() is None
        True
        """
        lefts = [scope.left() for scope in innermost_deadlines()]
        lefts += [call.left() for call in enclosing(sys._getframe(1))]
        lefts.append(checks.seconds_or_none("at_most", at_most))
        known = [left for left in lefts if left is not None]
        return max(0.0, min(known)) if known else None
