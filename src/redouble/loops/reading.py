"""Floor 5. One run of a `resume` loop, written once for all hosts: fetching, committing, and counting stalled runs.

Each page is a retried call of its own; an attempt is the fetch together with the body. The script of a run
(`Reading.script`) fetches, waits and commits; the end of the `with` tells the call of the page how the body ended.
`redouble.loops.resume` has the two ways in.
"""

from __future__ import annotations

import sys
from enum import Enum

from redouble.calls.awaitable import is_awaitable
from redouble.calls.call import Call, Judge, OnStop
from redouble.calls.script import ATTEMPT, HAND_OUT, PERFORM, RAISE, WAIT
from redouble.control import faults
from redouble.control.around import AROUND, ENDS, NODE, close_link, innermost, new_link, over_around
from redouble.control.clock import is_set
from redouble.core import checks
from redouble.loops.base import end_if_over, for_loop, refuse_awaitable
from redouble.ways.shape import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Generic, TypeAlias, TypeVar

    from redouble.calls.script import Script
    from redouble.control.around import Link
    from redouble.control.policy import Policy

    T = TypeVar("T")
    Steps: TypeAlias = Generator[Any, Any, T]
else:
    T = None

    class Generic:
        """Lets `X[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


EARLY = 0.02
"""The seconds by which a timer of asyncio may come early: the resolution of the coarsest system clock."""

ASYNC_FORM = ": write `async for page in resume(...)`"
"""The advice in the message about an awaitable in the synchronous form."""

SAVING = 5.0
"""The seconds that saving the count of stalled runs may take in a task that is being cancelled."""

WHOLE: Any = object()
"""Stands for the cursor of the next page: saving it commits the whole page."""


class Stalled(Exception):  # noqa: N818  # it tells of a state, as the errors of `redouble.control.outcome` do
    """Raised when too many runs of a `resume` loop in a row failed without an advance of the cursor.

    The last of these runs raises it from its own error. A later run raises it at once, without a cause and without
    fetching a page.

    Attributes:
        stalls: The number of such runs.
        stall_after: The number at which the loop stalls.
        cursor: The cursor with which a run begins.
        name: The policy's name, or the name of the function that fetches.
    """

    __module__ = "redouble.loops"

    def __init__(self, stalls: int = 0, stall_after: int = 0, cursor: Any = None, name: str | None = None) -> None:
        super().__init__(
            f"stalled: {stalls} of {stall_after} runs in a row of {name or 'a long read'} failed without an advance, at"
            f" cursor {checks.shown(cursor)}; a higher stall_after, or checkpoint.save_stalls(0), lets it try again"
        )
        self.stalls: int = stalls
        self.stall_after: int = stall_after
        self.cursor: Any = cursor
        self.name: str | None = name

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.stalls, self.stall_after, self.cursor, self.name), self.__dict__


class _Fetching(Judge):
    """Judges the attempts of a page: the fetched page goes to a body, and a stop ends the run in order."""

    __slots__ = ()

    on_stop = OnStop.END
    hands_out = True


class PageState(Enum):
    """The state of a page.

    `GIVEN`: the loop has given it. `OPEN`: its `with` is open. `DEALT_WITH`: the `with` ended without an error.
    `COMMITTED`: the cursor after it is saved. `FAILED`: the `with` ended with an error.
    """

    GIVEN = 1
    OPEN = 2
    DEALT_WITH = 3
    COMMITTED = 4
    FAILED = 5


_P = PageState

MOVES: dict[tuple[PageState, PageState], str] = {
    (_P.GIVEN, _P.OPEN): "`with` is entered",
    (_P.OPEN, _P.DEALT_WITH): "ends without an error",
    (_P.OPEN, _P.FAILED): "ends with an error",
    (_P.OPEN, _P.COMMITTED): "commit()",
    (_P.DEALT_WITH, _P.COMMITTED): "the next page is asked for, commit()",
}
"""All moves of a page from one state to another, each with its cause."""


class Turn:
    """The state of a page, which the page and its run share without holding each other.

    Attributes:
        next: The cursor that is saved when the whole page is committed.
    """

    __slots__ = ("_state", "next")

    next: Any

    def __init__(self, next_: Any) -> None:
        self._state, self.next = PageState.GIVEN, next_

    @property
    def state(self) -> PageState:
        """The state of the page; a move that is not in `MOVES` is reported."""
        return self._state

    @state.setter
    def state(self, to: PageState) -> None:
        move, self._state = (self._state, to), to
        if move not in MOVES:
            faults.report("redouble", "resume", RuntimeError(f"a page moved from {move[0]!r} to {to!r}"), "it goes on")


class BasePage(Generic[T]):
    """A fetched page: the part that is the same for `for` and `async for`.

    Attributes:
        cursor: The cursor with which it was fetched; `None` for the first page of all.
        next: The cursor that is saved when the page is committed; `None` for the last page.
        attempt: The number of this attempt at the page, from 1.
    """

    __slots__ = ("_items", "_link", "_reading", "_turn", "attempt", "cursor", "next")

    cursor: Any
    next: Any
    attempt: int
    _items: Any  # None once the body has ended

    def __init__(self, reading: Reading, items: Any, turn: Turn) -> None:
        self.cursor, self.next, self.attempt = reading.cursor, turn.next, reading.call.tally.attempt
        self._items, self._reading, self._turn = items, reading, turn
        self._link: Link = None  # type: ignore[assignment]  # made when it is entered

    def _enter(self, keyword: str) -> T:
        if self._turn.state is not PageState.GIVEN or self._reading.turn is not self._turn:
            raise RuntimeError(f"`{keyword} page:` enters a page once, as soon as the loop has given it")
        self._turn.state = PageState.OPEN
        self._link = self._reading.begin_body()
        items: T = self._items
        return items

    def _leave(self, error: BaseException | None) -> Steps[bool]:
        """Tell the call how the body ended; return whether to suppress the error."""
        close_link(self._link)
        self._items, turn = None, self._turn
        committed = turn.state is PageState.COMMITTED
        unsaved, self._reading.unsaved = self._reading.unsaved, None
        if error is None:  # perhaps a `break`: then the loop asks for no further page
            if not committed:
                turn.state = PageState.DEALT_WITH
            return False
        if not committed:
            turn.state = PageState.FAILED
            refused = error is unsaved  # an error of the checkpoint, which no rule retries
            if not refused and isinstance(error, Exception) and not self._reading.body_failed(error):
                return True
        yield from self._reading.ends_with(error)
        return False

    def _commit(self, cursor: Any) -> Steps[None]:
        turn = self._turn
        if turn.state not in (PageState.OPEN, PageState.DEALT_WITH) or self._reading.turn is not turn:
            raise RuntimeError("commit() is for a page that is open; the whole of it is committed once")
        if cursor is WHOLE or (cursor is None and self.next is None):
            yield from self._reading.commit(turn)
        elif cursor is None:
            raise ValueError(
                "commit(None) would say that everything has been read, and this is not the last page; commit() commits"
                " the whole page"
            )
        else:
            yield from self._reading.commit_until(cursor)

    def __repr__(self) -> str:
        state = self._turn.state.name.lower().replace("_", " ")
        return f"<redouble.Page of {self._reading.name}, attempt {self.attempt}, {state}>"


class Progress:
    """The progress of the newest run of a long read; shared by the read and its runs.

    Attributes:
        advanced: Whether that run has moved the cursor.
    """

    __slots__ = ("advanced",)

    def __init__(self) -> None:
        self.advanced: bool = False


class Reading:
    """One run of the loop.

    Attributes:
        asynchronous: Whether a coroutine runs it.
        call: The call of the current page.
        cursor: The cursor of the current page, or the last one that was committed within it.
        turn: The state of the current page; `None` before one was given out.
        unsaved: The error that the checkpoint raised within the current body, until that body ends; else `None`.
        name: The policy's name, or the name of the function that fetches.
    """

    __slots__ = (
        "_advanced",
        "_checkpoint",
        "_fetch",
        "_handed_at",
        "_make_page",
        "_over",
        "_policy",
        "_progress",
        "_stall_after",
        "_stalls",
        "asynchronous",
        "call",
        "cursor",
        "name",
        "turn",
        "unsaved",
    )

    asynchronous: bool
    call: Call
    cursor: Any
    turn: Turn | None
    unsaved: Exception | None
    _handed_at: float  # when the page was given out, by the policy's clock

    def __init__(
        self,
        fetch: Callable[..., Any],
        checkpoint: Any,
        policy: Policy,
        stall_after: int | None,
        progress: Progress,
        make_page: Callable[[Reading, Any, Turn], Any],
        asynchronous: bool,
    ) -> None:
        self._fetch, self._checkpoint = fetch, checkpoint
        self._policy: Policy = for_loop(policy).overridden(result=None, nested="multiply")
        self.name: str = policy.name or name_of(fetch)
        self._stall_after, self._stalls = stall_after, 0
        self._progress, self._make_page, self.asynchronous = progress, make_page, asynchronous
        progress.advanced = self._advanced = self._over = False
        self.call = None  # type: ignore[assignment]  # made with the first page
        self.cursor = self.turn = self.unsaved = None
        self._handed_at = 0.0

    # Called by the ways in.

    def next_page(self, script: Script, drive: Callable[[Script, Call | None], Any]) -> Steps[Any]:
        """Go on to the next page and return it; `None` at the end.

        Args:
            script: The script of this run. Only the loop holds it, so that it ends when the loop is left.
            drive: The driver of the host.
        """
        self._refuse_forgotten_with()
        if self._over:
            script.close()
        try:
            driven = drive(script, self.call)
            call = (yield driven) if self.asynchronous else driven
        except BaseException as error:
            yield from self.ends_with(error)
            if isinstance(error, (StopIteration, StopAsyncIteration)):  # it would pass for the end of the loop
                raise RuntimeError(f"fetch raised {type(error).__name__}") from error
            raise
        if call is None:
            return None
        try:
            return self._page_of(call)
        except BaseException as error:
            try:
                yield from self.ends_with(error)
            finally:
                script.close()
            raise

    def _page_of(self, call: Call) -> Any:
        """Make a page of the fetched value; a value of another shape is a mistake in the program, and not retried."""
        found = call.value if call.given is None else call.given
        call.value = call.given = None
        if not isinstance(found, tuple) or len(found) != 2:
            refuse_awaitable("fetch", found, ASYNC_FORM)
            raise TypeError(f"fetch must return a tuple (items, next), got {checks.shown(found)}")
        items, next_ = found
        self.turn = Turn(next_)
        return self._make_page(self, items, self.turn)

    def _refuse_forgotten_with(self) -> None:
        state = None if self.turn is None else self.turn.state
        keyword = "async with" if self.asynchronous else "with"
        if state is PageState.GIVEN:
            raise RuntimeError(f"the page was never entered: write `{keyword} page as items:` in the body of the loop")
        if state is PageState.OPEN:
            raise RuntimeError("the page is still open: the next one comes when its `with` has ended")

    # The script.

    def script(self) -> Script:
        """Yield the steps of the run."""
        yield PERFORM, self._load()
        first = True
        while not (self._over or self._is_stopped()):
            if not first:
                end_if_over("the time for reading was over between two pages")
            first = False
            yield from self._read_page()

    def _read_page(self) -> Script:
        """Fetch a page until its body ends without an error, then commit it."""
        link = new_link(None, innermost())
        self.call = call = Call(
            self._policy, self.name, link, self._fetch, (self.cursor,), judge=_Fetching(self._policy), first=True
        )
        try:
            if call.held:
                yield from self._hold_back(call)
            while not self._over:
                yield from self._fetch_once(call)
                turn = self.turn
                if turn is not None and turn.state is PageState.DEALT_WITH:
                    yield PERFORM, self.commit(turn)
                if turn is not None and turn.state is PageState.COMMITTED:
                    return
                if call.over:
                    self._over = True  # stopped
                    return
                yield WAIT, call
                while (call.rest or call.cooled) and call.sleeps_on():
                    yield WAIT, call
                if call.over or not call.goes_on():
                    if call.raised is not None:
                        yield RAISE, call
                    self._over = True
                    return
        finally:
            call.let_go()

    def _hold_back(self, call: Call) -> Script:
        """Let a cooldown hold the first fetch of a page back; a stop ends the run instead."""
        while call.is_held():
            yield WAIT, call
        self._over = self._is_stopped()
        if not self._over:
            call.begin_held()

    def _fetch_once(self, call: Call) -> Script:
        """Fetch the page at the cursor; if that succeeds, hand it out until its body has ended."""
        self.turn = None
        call.args = (self.cursor,)
        link = self._open_link(call.bound)
        try:
            yield ATTEMPT, call
        finally:
            close_link(link)
        if call.attempting:
            self._stop_deadline()
            yield HAND_OUT, call

    def _is_stopped(self) -> bool:
        return self._policy.stop is not None and is_set(self._policy.stop)

    # The body of a page.

    def _open_link(self, bound: Any) -> Link:
        """Make the call the innermost link: calls from here on are inside of its attempt."""
        link = new_link(self.call, innermost())
        if bound is not None:
            link[NODE] = bound
        self.call.link = link
        AROUND.set(link)
        return link

    def begin_body(self) -> Link:
        """Note that the body begins: inside of the attempt, but not beneath the deadline of the fetch."""
        return self._open_link(None)

    def body_failed(self, error: Exception) -> bool:
        """Tell the call of the page that its body failed; return whether to raise the error."""
        call = self.call
        call.postpone(call.tally.now() - self._handed_at)
        return call.failed(error)

    def _stop_deadline(self) -> None:
        """Stop the deadline of the page while its body runs, which may take any time."""
        self._handed_at = self.call.tally.now()
        if self.call.bound is not None:
            self.call.bound[ENDS] = None

    # Committing.

    def commit(self, turn: Turn) -> Steps[None]:
        """Commit the whole page: save the cursor of the next one."""
        advanced = yield from self._save(turn.next)
        turn.state = PageState.COMMITTED
        self._over = turn.next is None
        self.call.succeeded()
        yield from self._note(advanced)

    def commit_until(self, cursor: Any) -> Steps[None]:
        """Commit a part of the page, which is not given again."""
        advanced = yield from self._save(cursor)
        if advanced:
            self.call.progress()
            self._stop_deadline()
        yield from self._note(advanced)

    def _save(self, cursor: Any) -> Steps[bool]:
        """Save the cursor; return whether it has moved: a stream without news gives the same cursor again."""
        try:
            yield from self._awaited("Checkpoint.save", self._checkpoint.save(cursor))
        except Exception as error:
            if self.turn is not None and self.turn.state is PageState.OPEN:
                self.unsaved = error
            raise
        advanced = cursor is None or bool(cursor != self.cursor)
        self.cursor = cursor
        return advanced

    def _note(self, advanced: bool) -> Steps[None]:
        """Forget the stalled runs after an advance."""
        if advanced:
            self._advanced = self._progress.advanced = True
            stalls, self._stalls = self._stalls, 0
            if stalls:
                yield from self._save_stalls()

    def _load(self) -> Steps[None]:
        """Load the cursor at which the run begins, and the number of stalled runs.

        Raises:
            Stalled: When there were too many.
        """
        stalls = 0
        if self._stall_after is not None:
            stalls = yield from self._awaited("Checkpoint.load_stalls", self._checkpoint.load_stalls())
            self._stalls = checks.whole("what Checkpoint.load_stalls gives", stalls, least=0)
        self.cursor = yield from self._awaited("Checkpoint.load", self._checkpoint.load())
        if self._is_stalled():
            self._over = True  # so that this run is not counted
            raise self._stalled()

    def _awaited(self, what: str, value: Any) -> Steps[Any]:
        """Return a value; in the asynchronous form, await it first if it is awaitable."""
        if not self.asynchronous:
            refuse_awaitable(what, value, ASYNC_FORM)
            return value
        return (yield value) if is_awaitable(value) else value

    # Ending.

    def ends_with(self, error: BaseException) -> Steps[None]:
        """End the run, and count it if it failed without an advance.

        Raises:
            Stalled: When that reaches the limit.
        """
        counting, self._over = not self._over, True
        stalled = None
        try:
            if self.call is not None:
                self.call.let_go()
            if counting and self._counts(error):
                self._stalls += 1
                yield from self._save_stalls(cancelled=not isinstance(error, Exception))
                stalled = self._stalled() if self._is_stalled() and isinstance(error, Exception) else None
        except Exception as fault:  # a fault of redouble's: the error of the run matters more
            if faults.raised_by_signal(fault):
                raise
            faults.report("redouble", self.name, fault, "the stalled run is not counted")
        if stalled is not None:
            raise stalled from error

    def _counts(self, error: BaseException) -> bool:
        """Return whether the run counts as stalled; a cancellation does only if a scope or watchdog around caused it."""
        if self._stall_after is None or self._advanced:
            return False
        return isinstance(error, Exception) or (_is_cancellation(error) and over_around(EARLY) is not None)

    def _save_stalls(self, cancelled: bool = False) -> Steps[None]:
        try:
            saved = self._checkpoint.save_stalls(self._stalls)
            if cancelled and is_awaitable(saved):
                from redouble.calls.hosts.coroutines import shielded

                saved = shielded(saved, SAVING)
            yield from self._awaited("Checkpoint.save_stalls", saved)
        except Exception as fault:
            if faults.raised_by_signal(fault):  # meant for the caller
                raise
            faults.report("checkpoint", type(self._checkpoint), fault, "the stalled run is not counted")

    def _is_stalled(self) -> bool:
        return self._stall_after is not None and self._stalls >= self._stall_after

    def _stalled(self) -> Stalled:
        return Stalled(self._stalls, self._stall_after or 0, self.cursor, self.name)


def _is_cancellation(error: BaseException) -> bool:
    """Return whether an error is the cancellation of asyncio or trio: a library that raised it is loaded."""
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    kinds = getattr(asyncio, "CancelledError", None), getattr(trio, "Cancelled", None)
    return any(kind is not None and isinstance(error, kind) for kind in kinds)
