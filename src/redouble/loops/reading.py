"""Floor 5. One run of a `resume` loop: the page that it is about, what has been committed, and what counts as stalled.

What both colours do alike; in `resume` they fetch, wait and save.
"""

from __future__ import annotations

import sys

from redouble.control import faults
from redouble.control.clock import is_set
from redouble.control.controller import Status
from redouble.control.outcome import DeadlineExceeded
from redouble.control.scope import remaining
from redouble.control.stack import close_block, open_block
from redouble.core import checks
from redouble.loops.watchdog import expired_around
from redouble.wrappers.run import Run, traceback_of
from redouble.wrappers.shape import is_awaitable, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, Generic, TypeVar

    from redouble.control.policy import Policy

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Lets `X[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


EARLY = 0.02
"""So many seconds before its time a timer of asyncio may come: the resolution of the coarsest system clock."""

# What the loop is about: nothing yet; a page that was given out, is open, has been dealt with, or must come again;
# nothing between two pages; nothing any more.
NEW, GIVEN, OPEN, DONE, AGAIN, BETWEEN, OVER = range(7)


class Stalled(Exception):  # noqa: N818  # it tells of a state, as the errors of `redouble.control.outcome` do
    """So many runs of a `resume` loop in a row ended in a failure without reading a single page to its end.

    Raised from the error of the last run; by a later run at once, without any error and without fetching anything.

    Attributes:
        stalls: How many runs it were.
        stall_after: How many the loop allows.
    """

    __module__ = "redouble"

    def __init__(self, stalls: int = 0, stall_after: int = 0) -> None:
        super().__init__(
            f"stalled: {stalls} of {stall_after} runs in a row failed without an advance of the cursor; a higher"
            " stall_after, or checkpoint.save_stalls(0), lets it try again"
        )
        self.stalls = stalls
        self.stall_after = stall_after

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.stalls, self.stall_after), self.__dict__


class Reading(Generic[T]):
    """One run of the loop, and the page that it is about: what both colours do alike.

    Each page is a retried call of its own, whose attempts are a fetch and what the body does with the page.
    """

    __slots__ = (
        "_advanced",
        "_checkpoint",
        "_committed",
        "_cursor",
        "_fetch",
        "_frame",
        "_items",
        "_next",
        "_policy",
        "_run",
        "_stall_after",
        "_stalls",
        "_state",
    )

    _fetch: Callable[..., Any]
    _checkpoint: Any
    _policy: Policy
    _stall_after: int | None
    _run: Run
    _frame: int  # the `id` of the frame that the attempt stands in
    _state: int
    _committed: bool  # whether the page at hand has been
    _cursor: Any  # of the page at hand
    _next: Any  # of the page after it
    _items: Any
    _stalls: int  # runs in a row that came to nothing
    _advanced: bool  # whether this run has got on

    def __init__(self, fetch: Callable[..., Any], checkpoint: Any, policy: Policy, stall_after: int | None) -> None:
        self._fetch, self._checkpoint = fetch, checkpoint
        self._policy, self._stall_after = policy, stall_after
        self._state = NEW
        self._cursor = self._next = self._items = None
        self._stalls = self._frame = 0
        self._committed = self._advanced = False

    @property
    def cursor(self) -> Any:
        """The cursor that this page was fetched with; `None` for the first."""
        return self._cursor

    @property
    def next(self) -> Any:
        """The cursor that is saved when this page is committed; `None` for the last one."""
        return self._next

    @property
    def attempt(self) -> int:
        """The how many-th time it is that this page is fetched and dealt with, from 1."""
        return self._run.attempt

    # Between two pages.

    def _refuse_forgotten_with(self, keyword: str) -> None:
        if self._state == GIVEN:
            raise RuntimeError(f"the page was never entered: write `{keyword} page as items:` in the body of the loop")
        if self._state == OPEN:
            raise RuntimeError("the page is still open: the next one comes when its `with` has ended")

    def _refuse_stalled(self, stalls: Any) -> None:
        """Fetch nothing at all where the runs before this one came to nothing too often."""
        self._stalls = checks.whole("what Checkpoint.load_stalls gives", stalls, least=0)
        if self._is_stalled():
            self._state = OVER
            raise self._stalled()

    def _begins_at(self, cursor: Any) -> None:
        self._next = cursor
        self._state = BETWEEN

    def _is_over(self) -> bool:
        """Whether no page comes any more; also when somebody stopped it."""
        if self._is_stopped():
            self._state = OVER
        return self._state == OVER

    def _is_stopped(self) -> bool:
        return self._policy.stop is not None and is_set(self._policy.stop)

    def _begin_page(self, frame: FrameType, *, asynchronous: bool) -> None:
        """The next page: a retried call of its own, whose failures, curve and deadline begin afresh."""
        first = not self._committed
        self._cursor, self._committed = self._next, False
        self._frame = id(frame)
        self._run = Run(self._policy, name_of(self._fetch), {}, frame, asynchronous)
        left = self._run.left()
        if left is not None and left <= 0 and not first:
            self._interrupted()
            raise DeadlineExceeded("the time for reading was over between two pages")

    # Fetching.

    def _open(self) -> dict[str, Any]:
        """What is called from here on is inside of the attempt; the keywords that `fetch` is given."""
        open_block(self._frame, self._run)
        return self._run.kwargs or {}

    def _fetched(self, found: Any) -> None:
        """A page has come: `(items, next)`. What is none is a mistake in the program, which no rule retries."""
        self._close()
        if not isinstance(found, tuple) or len(found) != 2:
            self._interrupted()
            refuse_awaitable("fetch", found)
            raise TypeError(f"fetch must return a tuple (items, next), got {checks.shown(found)}")
        self._items, self._next = found
        self._state = GIVEN

    def _failed(self, error: Exception) -> bool:
        """The attempt failed; `True`: and so does the run, `False`: the page comes again, or the run was stopped."""
        run = self._run
        if isinstance(error, DeadlineExceeded) and expired_around():  # not this loop's to retry
            over = True
        else:
            over = run.failed(error) and run.status is not Status.STOPPED
        self._close()
        self._state = OVER if over else AGAIN
        if over:
            run.let_go()
        return over

    def _close(self) -> None:
        """The fetch, or the body, is done; a time limit of attempts is the fetch's: the body may take its time."""
        close_block(self._frame, self._run)
        self._run._cut_settled(None)

    def _interrupted(self) -> None:
        """The run is over, without anything to be judged."""
        self._state = OVER
        self._close()
        self._run.let_go()

    def _may_wait(self) -> bool:
        return not self._is_stopped() and self._run.status is not Status.STOPPED

    def _end_of_wait(self) -> Exception | None:
        """The wait was the end: the error to raise, `None` when the run was stopped, which ends it in order."""
        error = self._run.error if self._may_wait() else None
        self._state = OVER
        if not isinstance(error, Exception):
            self._run.let_go()
            return None
        return error

    # The body.

    def _enter(self, keyword: str, frame: FrameType) -> T:
        if self._state != GIVEN:
            raise RuntimeError(f"`{keyword} page:` enters a page once, as soon as the loop has given it")
        self._state = OPEN
        self._frame = id(frame)
        open_block(self._frame, self._run)
        items: T = self._items
        return items

    def _left(self, error: BaseException | None) -> bool:
        """The body ended; `True`: its error is dealt with here."""
        self._close()
        self._items = None
        run = self._run
        if error is None:  # or somebody is leaving the loop by `break`: that shows when no page is asked for any more
            run.error = run.passed = None
            self._state = self._after() if self._committed else DONE
            return False
        if self._committed or not isinstance(error, Exception):
            self._interrupted()
            return False
        if error is run.error:  # the same object came back: its traceback must not grow
            BaseException.with_traceback(error, run.passed)
        if self._failed(error):
            return False
        run.passed = traceback_of(error)
        return True

    # Committing.

    def _refuse_commit(self) -> None:
        if self._state not in (OPEN, DONE) or self._committed:
            raise RuntimeError("commit() is for a page that is open, once")

    def _saved(self) -> bool:
        """The cursor of the next page has been saved; `True`: the runs that came to nothing are to be forgotten."""
        self._committed = True
        self._run.succeeded()
        if self._state == DONE:
            self._state = self._after()
        if self._next is not None and self._next == self._cursor:  # a stream that has nothing new
            return False
        self._advanced = True
        stalls, self._stalls = self._stalls, 0
        return stalls > 0

    def _after(self) -> int:
        return OVER if self._next is None else BETWEEN

    # Stalling.

    def _counts(self, error: BaseException) -> bool:
        """The run ends with `error`: one more that came to nothing? A cancellation tells nothing, a deadline does."""
        failed = isinstance(error, Exception) or (_is_cancellation(error) and _time_is_over())
        if self._stall_after is None or self._advanced or not failed:
            return False
        self._stalls += 1
        return True

    def _is_stalled(self) -> bool:
        return self._stall_after is not None and self._stalls >= self._stall_after

    def _stalled(self) -> Stalled:
        return Stalled(self._stalls, self._stall_after or 0)

    def _not_counted(self, fault: Exception) -> None:
        faults.report("checkpoint", type(self._checkpoint), fault, "the stalled run is not counted")


def refuse_awaitable(what: str, value: Any) -> None:
    """In the synchronous form nobody awaits what comes."""
    if is_awaitable(value):
        if hasattr(value, "close"):
            value.close()  # a coroutine: let it not complain
        raise TypeError(f"{what} gives something to await: write `async for page in resume(...)`")


def plain(what: str, value: Any) -> Any:
    """A value that can be used as it is."""
    refuse_awaitable(what, value)
    return value


async def settled(value: Any) -> Any:
    """What comes back decides: awaited when it can be."""
    return await value if is_awaitable(value) else value


def refuse_silence(error: BaseException) -> None:
    """What would end the loop as if everything had been read is raised as Python does it for generators (PEP 479)."""
    if isinstance(error, (StopIteration, StopAsyncIteration)):
        raise RuntimeError(f"fetch raised {type(error).__name__}") from error


def _is_cancellation(error: BaseException) -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def _time_is_over() -> bool:
    """Whether a deadline or a watchdog around the caller has ended what is under way: else somebody cancelled it."""
    left = remaining()
    return expired_around() or (left is not None and left <= EARLY)
