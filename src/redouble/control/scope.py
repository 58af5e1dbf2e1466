"""Floor 3. Scopes: a deadline, or changed policy fields, for every retried call within a `with`."""

from __future__ import annotations

from _thread import allocate_lock
from math import inf
from time import monotonic

from redouble.control.around import (
    AROUND,
    ENDS,
    KIND,
    NAME,
    NODE,
    NOW,
    OUTER,
    close_link,
    first_live,
    innermost,
    leave_bound,
    left_around,
    left_of,
    new_bound,
    new_link,
    nodes,
)
from redouble.control.cancel import CancelScope, cancel_after
from redouble.control.clock import SYSTEM, guarded_now
from redouble.control.mark import ended_by, mark_bound, read
from redouble.control.outcome import DeadlineExceeded, Reason
from redouble.control.policy import Policy
from redouble.core import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar, overload

    from redouble.control.around import Link, Node
    from redouble.control.clock import Clock
    from redouble.core.checks import Seconds

    P = TypeVar("P", bound=Policy)

overriding: int = 0
"""The number of open `override` scopes in this process: while it is 0, no call looks for one."""

MOST_POLICIES = 64
"""The most changed policies that a scope keeps: a loop may make a new policy in every round."""

_lock = allocate_lock()
_everywhere: list[override] = []


CHANGES = "changes"
"""The kind of an `override` scope's node, which holds the scope (at `SCOPE`) until the scope has ended."""

SCOPE = 2


class _Within:
    """The owner in a scope's link: it only shows that the scope has not ended."""

    __slots__ = ()


_WITHIN = _Within()


def open_scope(node: Node) -> Link:
    """Open a scope: make a link with its node the innermost one; `close_link` ends it."""
    link = new_link(_WITHIN, innermost())
    node[OUTER] = first_live(link[NODE])
    link[NODE] = node
    AROUND.set(link)
    return link


class override:  # noqa: N801  # used as a verb: with override(attempts=1):
    """Replace fields of every policy used within this `with`; `observers` are added to the policy's own.

    It is kept in a context variable: it holds in this context and in those copied from it (tasks,
    `asyncio.to_thread`), while it is open. Inner scopes win over outer ones.

    Args:
        everywhere: Hold in all other contexts of the process too, where their own scopes win over it. For test
            fixtures, which often run in another context than the test.
        fields: Any fields of `RetryPolicy`.

    Raises:
        TypeError: For an unknown field, or a value of a wrong kind.
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
        Policy(**fields)  # refuses bad fields here, and not at the first call within
        self._fields = fields
        self._everywhere = checks.flag("everywhere", everywhere)
        self._link: Link | None = None
        self._made: dict[int, tuple[Policy, Policy]] = {}

    def __enter__(self) -> override:
        global overriding
        if self._link is not None:
            raise RuntimeError("this override scope is open already; make a new one with override(...)")
        self._link = open_scope([CHANGES, None, self])
        with _lock:
            overriding += 1
            if self._everywhere:
                _everywhere.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        global overriding
        with _lock:
            link, self._link = self._link, None
            if link is None:  # left a second time
                return
            overriding -= 1
            if self._everywhere:
                _everywhere.remove(self)
        link[NODE][:] = [None, link[NODE][OUTER], None]
        close_link(link)
        self._made.clear()

    def over(self, policy: P) -> P:
        """Return the policy with this scope's fields in place of its own."""
        made = self._made.get(id(policy))
        if made is None:
            if len(self._made) >= MOST_POLICIES:
                self._made.clear()
            made = self._made[id(policy)] = (policy, policy.overridden(**self._changes(policy)))
        found: P = made[1]  # type: ignore[assignment]  # overridden() keeps the class
        return found

    def _changes(self, policy: Policy) -> dict[str, Any]:
        """Return the fields to replace; observers are added, but a policy with `observers=None` stays silent."""
        changes = dict(self._fields)
        added = changes.get("observers")
        if added is not None:
            changes["observers"] = None if policy.observers is None else (*policy.observers, *added)
        return changes

    @property
    def outer(self) -> list[override]:
        """The open `override` scopes around this one, innermost first."""
        link = self._link  # another thread may end the scope meanwhile
        return [] if link is None else _changing(link[NODE][OUTER])

    @property
    def clock(self) -> Clock | None:
        """The clock that this scope names; `None` when it names none."""
        clock: Clock | None = self._fields.get("clock")
        return clock


def _changing(node: Node | None) -> list[override]:
    """Return the open `override` scopes from a node outwards, innermost first."""
    return [each[SCOPE] for each in nodes(node) if each[KIND] is CHANGES]


def _around() -> list[override]:
    """Return the open `override` scopes around the caller, innermost first, then those that hold everywhere."""
    link = innermost()
    own = [] if link is None else _changing(link[NODE])
    for last in _everywhere[-1:]:  # read in one step: another thread may end the scope at any moment
        own += [each for each in (last, *last.outer) if each not in own]
    return own


def effective(policy: P) -> P:
    """Return the policy with the fields of the scopes around the caller in place of its own."""
    if overriding:
        for scope in reversed(_around()):
            policy = scope.over(policy)
    return policy


def current_clock() -> Clock:
    """Return the clock of the innermost scope around the caller that has one, else the system's."""
    for scope in _around() if overriding else ():
        if scope.clock is not None:
            return scope.clock
    return SYSTEM


class deadline:  # noqa: N801  # used as a noun with its number: with deadline(5) as limit:
    """Set a deadline for every retried call within: attempts, waits and nested calls together.

    As `with` it bounds retried calls: they begin no wait that would end after the deadline, asyncio and trio attempts
    are cancelled at it, and `remaining()` returns the seconds left, for operations that take a timeout. As `async with`
    it also cancels the body when the time is up, and raises `DeadlineExceeded` (a `TimeoutError`).

    It is kept in a context variable, so it travels with copied contexts (tasks, `asyncio.to_thread`). A scope that is
    left in time no longer bounds any call. One that is left after its deadline still bounds calls that began within it,
    such as those of a thread, but no later ones.

    Args:
        seconds: Seconds from entering the scope, or a `timedelta`; >= 0. `None`: no limit.

    Attributes:
        expired: `True` when the deadline has passed; after leaving the scope, when it had passed by then.

    Raises:
        TypeError, ValueError: When `seconds` is not such a duration.

    >>> from redouble import deadline, remaining
    >>> from redouble.testing import fake_time
    >>> with fake_time(), deadline(5) as limit:
    ...     remaining(), remaining(at_most=2), limit.expired
    (5.0, 2.0, False)
    """

    __module__ = "redouble"

    __slots__ = ("_bound", "_cancel_scope", "_clock", "_expired", "_link", "_seconds")

    def __init__(self, seconds: Seconds | None) -> None:
        self._seconds = checks.seconds_or_none("seconds of deadline()", seconds)
        self._clock: Clock = SYSTEM
        self._bound: Node = new_bound(None, monotonic, None)
        self._cancel_scope: CancelScope | None = None
        self._expired = False
        self._link: Link | None = None

    @property
    def expired(self) -> bool:
        return left_of(self._bound) <= 0 if self._link is not None else self._expired

    def ended(self, error: BaseException) -> bool:
        """Return whether this scope, and no scope around it, ended the call that raised `error`.

        It did if its time was up, or if the next wait did not fit into it. When the wait that the server asked for does
        not fit, the server ended the call and not the scope (`Reason.HINT`).

        Args:
            error: An exception that came out of a call within, or out of this scope; its causes count as well.
        """
        number: int = self._bound[NAME]
        return number != 0 and ended_by(error, number)

    def __enter__(self) -> deadline:
        if self._link is not None:
            raise RuntimeError("this deadline scope is open already; make a new one with deadline(...)")
        self._expired = False
        self._clock = current_clock()
        now = monotonic if self._clock is SYSTEM else guarded_now(self._clock)
        self._bound = new_bound(None, now, None if self._seconds is None else now() + self._seconds)
        self._link = open_scope(self._bound)
        return self

    def __exit__(self, *exc_info: object) -> None:
        link, self._link = self._link, None
        if link is not None:
            self._expired = left_of(self._bound) <= 0
            leave_bound(self._bound)
            close_link(link)

    async def __aenter__(self) -> deadline:
        self.__enter__()
        if self._seconds is not None:
            try:
                self._cancel_scope = cancel_after(self._clock, self._seconds)
            except BaseException:
                self.__exit__()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        cancel_scope, self._cancel_scope = self._cancel_scope, None
        was_this = cancel_scope is not None and cancel_scope.exit(error)
        if was_this:  # a timer may fire a little early, and the time is over all the same
            self._bound[ENDS] = self._bound[NOW]()
        self.__exit__()
        if was_this:
            over = DeadlineExceeded(f"the deadline of {self._seconds:g} s has passed")
            mark_bound(over, self._bound)
            raise over from error


class gave_up_as:  # noqa: N801  # used as a verb: with gave_up_as(MyError):
    """Raise an exception of another type when a retried call within this `with` gives up; the error is its cause.

    For callers that catch one type, as they did with a library that wraps errors. An error on which no retried call
    gave up passes unchanged, and so does a permanent one, on whichever attempt it came: trying again was no matter of
    patience, and the caller should see the mistake.

    Args:
        kind: An exception type, called with the text of the error; or a callable that makes the new exception from the
            error.

    Raises:
        TypeError: When `kind` is not one of these.

    >>> from redouble import gave_up_as, retry
    >>> from redouble.testing import fake_time, scripted
    >>> class Unavailable(Exception): ...
    >>> try:
    ...     with fake_time(), gave_up_as(Unavailable):
    ...         retry(attempts=1).call(scripted(ConnectionResetError("gone")))
    ... except Unavailable as error:
    ...     print(error, "from", repr(error.__cause__))
    gone from ConnectionResetError('gone')
    """

    __module__ = "redouble"

    __slots__ = ("_began", "_kind")

    def __init__(self, kind: type[Exception] | Callable[[BaseException], Exception]) -> None:
        if not callable(kind) or (isinstance(kind, type) and not issubclass(kind, Exception)):
            raise TypeError(
                "gave_up_as takes an exception type, or a callable that makes an exception from the error, got"
                f" {checks.shown(kind)}"
            )
        self._kind: Any = kind if isinstance(kind, type) else checks.takes("kind of gave_up_as", kind, "error")
        self._began = inf

    def __enter__(self) -> gave_up_as:
        self._began = monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        data = None if error is None else read(error)
        if error is None or data is None or data.get("reason") in (None, Reason.PERMANENT.name):
            return
        if data["at"] < self._began:
            return
        raise self._kind(str(error) if isinstance(self._kind, type) else error) from error

    async def __aenter__(self) -> gave_up_as:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


if TYPE_CHECKING:

    @overload
    def remaining(at_most: None = None) -> float | None: ...
    @overload
    def remaining(at_most: Seconds) -> float: ...


def remaining(at_most: Seconds | None = None) -> float | None:
    """Return the seconds left until the deadline, for operations that take a timeout: `read(timeout=remaining(5))`.

    The nearest deadline counts, of the `deadline` scopes and of the retried calls with a written deadline around the
    caller. A default deadline does not count.

    Args:
        at_most: Seconds that the answer never exceeds. `None`: only the deadlines count.

    Returns:
        Seconds, >= 0; `None` when there is no deadline and `at_most` is `None`.

    Raises:
        TypeError, ValueError: When `at_most` is not a duration.

    >>> from redouble import remaining
    >>> remaining(at_most=5)
    5.0
    >>> remaining() is None
    True
    """
    most = checks.seconds_or_none("at_most", at_most)
    least = min(left_around(), inf if most is None else most)
    return None if least == inf else max(0.0, least)
