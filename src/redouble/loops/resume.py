"""Floor 5. A long read that goes on where it stopped: page after page, each committed when its body has ended.

Here are the two ways in, `for` and `async for`; the run itself is written once, in `redouble.loops.reading`.
"""

from __future__ import annotations

from redouble.calls.hosts import coroutines, threads
from redouble.calls.tracebacks import strip
from redouble.control.policy import Policy, as_policy
from redouble.core import checks
from redouble.loops.reading import WHOLE, BasePage, Progress, Reading
from redouble.ways.policy import RetryPolicy, retry
from redouble.ways.shape import (
    name_of,
    refuse_other_arguments,
    refuse_own_cooldown,
    refuse_timeout_without_keyword,
    refuse_what_cannot_be_called,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
    from types import TracebackType
    from typing import Any, Generic, Self, TypeVar, overload

    from redouble.loops.checkpoint import Checkpoint

    T = TypeVar("T")
else:
    from redouble.loops.reading import Generic, T


class Resuming(Generic[T]):
    """A long read, made by `resume(...)`: each `for` or `async for` is a run that begins where the last one stopped."""

    __module__ = "redouble.loops"

    __slots__ = ("_checkpoint", "_fetch", "_policy", "_progress", "_stall_after")

    _fetch: Callable[..., Any]
    _checkpoint: Any
    _policy: Policy
    _stall_after: int | None
    _progress: Progress  # of the newest run

    def __init__(self, fetch: Callable[..., Any], checkpoint: Any, policy: Policy, stall_after: int | None) -> None:
        self._fetch = fetch
        self._checkpoint = checkpoint
        self._policy = policy
        self._stall_after = stall_after
        self._progress = Progress()

    @property
    def advanced(self) -> bool:
        """Whether the newest run has advanced: committed a page, or a part of one, and moved the cursor by it."""
        return self._progress.advanced

    def __iter__(self) -> Iterator[Page[T]]:
        refuse_timeout_without_keyword(self._policy, name_of(self._fetch))
        return Pages(self._begin(Page, asynchronous=False))

    def __aiter__(self) -> AsyncIterator[AsyncPage[T]]:
        return AsyncPages(self._begin(AsyncPage, asynchronous=True))

    def _begin(self, make_page: Any, *, asynchronous: bool) -> Reading:
        self._progress = progress = Progress()
        return Reading(
            self._fetch, self._checkpoint, self._policy, self._stall_after, progress, make_page, asynchronous
        )

    def __repr__(self) -> str:
        return f"<redouble.loops.Resuming {name_of(self._fetch)}>"


class Pages(Generic[T]):
    """The pages of `for page in resume(...): with page as items: ...`, one after the other."""

    __slots__ = ("_reading", "_script")

    def __init__(self, reading: Reading) -> None:
        self._reading, self._script = reading, reading.script()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Page[T]:
        try:
            page: Page[T] | None = threads.perform(self._reading.next_page(self._script, threads.drive))
        except BaseException as error:
            strip(error)
            raise
        if page is None:
            raise StopIteration
        return page


class AsyncPages(Generic[T]):
    """The pages of `async for page in resume(...): async with page as items: ...`, one after the other."""

    __slots__ = ("_reading", "_script")

    def __init__(self, reading: Reading) -> None:
        self._reading, self._script = reading, reading.script()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AsyncPage[T]:
        try:
            page: AsyncPage[T] | None = await coroutines.perform(
                self._reading.next_page(self._script, coroutines.drive)
            )
        except BaseException as error:
            strip(error)
            raise
        if page is None:
            raise StopAsyncIteration
        return page


class Page(BasePage[T]):
    """A page of a synchronous loop, for `with page as items:`."""

    __slots__ = ()

    def __enter__(self) -> T:
        return self._enter("with")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return threads.perform(self._leave(error))

    def commit(self, cursor: Any = WHOLE) -> None:
        """Commit this page now, or the part of it before `cursor`.

        Without a cursor the whole page is committed; the loop itself does so only when it asks for the next page, so
        call this before you leave the loop. An error of the body after that ends the run.

        With a cursor, that cursor is saved: after a failure, a restart or a `break`, reading goes on there. The
        failures in a row, the curve and the deadline begin again.

        Args:
            cursor: The cursor of the rest of the page, as `fetch` takes it.

        Raises:
            RuntimeError: When the page is not open any more, or the whole page has been committed.
            ValueError: For `None` within a page that is not the last: it would mean that everything has been read.
        """
        threads.perform(self._commit(cursor))


class AsyncPage(BasePage[T]):
    """A page of an asynchronous loop, for `async with page as items:`."""

    __slots__ = ()

    async def __aenter__(self) -> T:
        return self._enter("async with")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return await coroutines.perform(self._leave(error))

    def commit(self, cursor: Any = WHOLE) -> Coroutine[Any, Any, None]:
        """Commit this page now, or the part of it before `cursor`: `Page.commit` as a coroutine."""
        return coroutines.perform(self._commit(cursor))


if TYPE_CHECKING:

    @overload
    def resume(
        fetch: Callable[[Any], Awaitable[tuple[T, Any]]],
        checkpoint: Checkpoint,
        policy: RetryPolicy = ...,
        *,
        stall_after: int | None = None,
    ) -> Resuming[T]: ...
    @overload
    def resume(
        fetch: Callable[[Any], tuple[T, Any]],
        checkpoint: Checkpoint,
        policy: RetryPolicy = ...,
        *,
        stall_after: int | None = None,
    ) -> Resuming[T]: ...


def resume(
    fetch: Callable[[Any], Any], checkpoint: Checkpoint, policy: RetryPolicy = retry, *, stall_after: int | None = None
) -> Any:
    """Read page after page; after a failure, a restart or a `break`, go on with the first page not committed.

    Use it as `for page in resume(...): with page as items: ...`, or with `async for` and `async with`. A page is
    committed (the cursor of the next one is saved) when its `with` has ended without an error and the loop asks for the
    next page. A failure or a `break`, inside of the `with` or after it, does not commit the page. To leave the loop
    with a finished page, call `page.commit()`; to commit a part of a page, call `page.commit(cursor)` with the cursor
    of the rest. When the last page is committed, `None` is saved. A page has its `cursor`, `next` and `attempt`.

    The policy retries a failing fetch and a transient error of the body: the same page is fetched and given again, or
    its rest after `page.commit(cursor)`. The failures in a row, the curve and a written deadline begin again with every
    page. A permanent error, and one on which the policy gives up, ends the run. `stop` ends it in order. The loop has
    no limit of attempts and no deadline unless the policy has one; `result` rules are not used.

    Time limits apply to the fetch: in asyncio and trio `attempt_timeout` and a written deadline cut off a fetch, but
    not the body, and the time of a body is not counted. A `deadline` scope or a `watchdog` around the loop ends it; if
    its time is over between two pages, `DeadlineExceeded` is raised and no further page is fetched.

    Args:
        fetch: Fetches a page: called with a cursor, `None` at the beginning; returns `(items, next)`, where `next` is
            the cursor of the page after it and `None` the end. In the asynchronous form it may return an awaitable of
            that. With `timeout_as` it also receives its timeout.
        checkpoint: A `Checkpoint`, which remembers the cursor, such as a `FileCheckpoint`. Its errors are not retried,
            and a page whose cursor could not be saved is not committed.
        policy: The policy that retries the fetch and the body.
        stall_after: The read stalls after this number of runs in a row that failed without an advance of the cursor;
            >= 1. The last of them raises `Stalled`, from its error; every run after it raises `Stalled` at once and
            does not fetch. An advance sets the count back to 0. A cancellation or a killed process leaves the count; a
            run that a scope or a watchdog around it ended is counted. The checkpoint then needs `load_stalls()` and
            `save_stalls(stalls)` as well, so that the count holds across restarts. `None`: no limit.

    Returns:
        A `Resuming`: each `for` or `async for` over it is a run; its `advanced` tells whether the newest run advanced.

    Raises:
        TypeError, ValueError: When an argument is of a wrong kind or value.

    Source: commit after processing, and never before, is Kafka's at-least-once consumer; the stall guard is that of
    a syncing daemon whose export began anew for ever.

    >>> from redouble.testing import fake_time
    >>> pages = {None: ([1, 2], "b"), "b": ([3], None)}
    >>> class Memory:
    ...     cursor = None
    ...     def load(self): return self.cursor
    ...     def save(self, cursor): self.cursor = cursor
    >>> for page in resume(pages.get, Memory()):
    ...     with page as items:
    ...         print(page.cursor, items)
    None [1, 2]
    b [3]
    """
    checks.function("fetch", fetch)
    refuse_what_cannot_be_called(fetch, "resume")
    limit = checks.whole_or_none("stall_after", stall_after, least=1)
    methods = ("load", "save") if limit is None else ("load", "save", "load_stalls", "save_stalls")
    missing = [name for name in methods if not callable(getattr(checkpoint, name, None))]
    if missing or isinstance(checkpoint, type):
        why = "" if limit is None else " for stall_after"
        raise TypeError(f"checkpoint must have the methods {', '.join(methods)}{why}, got {checks.shown(checkpoint)}")
    as_policy("policy", policy)
    refuse_own_cooldown(policy, "resume")
    refuse_other_arguments("fetch", fetch, policy.timeout_as, "cursor")
    return Resuming(fetch, checkpoint, policy, limit)
