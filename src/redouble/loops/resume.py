"""Floor 5. A long read that goes on where it stopped: page after page, each one committed when it has been dealt with.

The two ways in, `for` and `async for`. What a run does is written once, in `redouble.loops.reading`.
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
    """A long read, made by `resume(...)`: for `for` or `async for`; each of them is a run that begins where the last stopped."""

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
        """Whether the newest run has advanced: committed a page, or a part of one, whose next cursor is another one."""
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
    """A page of a synchronous loop: what `with page as items:` enters."""

    __slots__ = ()

    def __enter__(self) -> T:
        return self._enter("with")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return threads.perform(self._leave(error))

    def commit(self, cursor: Any = WHOLE) -> None:
        """Commit this page now, or the part of it before `cursor`.

        Without a cursor the whole page is committed, for a loop that is left with it: by itself it is when the next page
        is asked for. An error of the body after that ends the run. With a cursor, that one is saved: what comes after a
        failure, a restart or a `break` begins there, and the failures in a row, the curve and the deadline begin again.

        Args:
            cursor: Where the rest of the page begins, such as `fetch` takes it.

        Raises:
            RuntimeError: When the page is not open any more, or the whole of it has been committed.
            ValueError: For `None` within a page that is not the last: it would say that everything has been read.
        """
        threads.perform(self._commit(cursor))


class AsyncPage(BasePage[T]):
    """A page of an asynchronous loop: what `async with page as items:` enters."""

    __slots__ = ()

    async def __aenter__(self) -> T:
        return self._enter("async with")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return await coroutines.perform(self._leave(error))

    def commit(self, cursor: Any = WHOLE) -> Coroutine[Any, Any, None]:
        """Commit this page now, or the part of it before `cursor`: as `Page.commit`, to be awaited."""
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
    """Read page after page, and after a failure, a restart or a `break` go on with the page that was not dealt with.

    `for page in resume(...): with page as items: ...`, or `async for` with `async with`. A page is committed (the
    cursor of the next one is saved) when its `with` has ended without an error and the loop asks for the next one:
    so neither after a failure nor after a `break`, inside of the `with` or behind it. To leave a loop with a page that
    has been dealt with, call `page.commit()`; to commit a part of a page, `page.commit(cursor)` with the cursor of the
    rest. When the last page is committed, `None` is saved. A page knows its `cursor`, `next` and `attempt`.

    A failing fetch is retried by the policy, and so is a transient error of the body: the same page is fetched and
    given again, or its rest after `page.commit(cursor)`. The failures in a row, the curve and a written deadline begin
    afresh with every page. A permanent error, and one on which the policy gives up, ends the run. `stop` ends it in
    order. A loop has no limit of attempts and no deadline unless the policy says so; `result` rules are not asked.

    Time limits are the fetch's: in asyncio and trio `attempt_timeout` and a written deadline cut off a fetch, never the
    body, and the time of a body is not counted. A `deadline` scope or a `watchdog` around the loop ends it; when its
    time is over between two pages, no further one is fetched: `DeadlineExceeded`.

    Args:
        fetch: Called with a cursor, `None` at the beginning; returns `(items, next)`, where `next` is the cursor of
            the page after it and `None` the end. In the asynchronous form what it returns may be awaitable. With
            `timeout_as` it is also given its timeout.
        checkpoint: A `Checkpoint`: what remembers the cursor, such as a `FileCheckpoint`. What it raises is not
            retried, and a page whose cursor could not be saved is not committed.
        policy: What is retried, and how patiently.
        stall_after: So many runs in a row that ended in a failure without an advance of the cursor are enough: the
            last one raises `Stalled`, from its error, and so does every run after it, at once and without fetching.
            An advance sets the count back; a cancellation leaves it, and so does a process that is killed; a scope or a
            watchdog around that ended a run counts. >= 1; `None`: no limit. The checkpoint then needs `load_stalls()`
            and `save_stalls(stalls)` as well, so that the count holds across restarts.

    Returns:
        A `Resuming`, each `for` or `async for` over which is a run; its `advanced` tells whether the newest one advanced.

    Raises:
        TypeError, ValueError: When an argument is of no such kind.

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
