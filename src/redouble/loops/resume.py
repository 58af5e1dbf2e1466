"""Floor 5. A long read that goes on where it stopped: page after page, each one committed when it has been dealt with."""

from __future__ import annotations

import sys

from redouble.control.policy import Policy, refuse_async_stop
from redouble.core import checks
from redouble.loops.base import for_loop
from redouble.loops.reading import AGAIN, BETWEEN, DONE, NEW, OVER, Reading, plain, refuse_silence, settled
from redouble.wrappers import sync
from redouble.wrappers.decorator import retry
from redouble.wrappers.shape import is_awaitable, name_of, refuse_missing_keyword, refuse_timeout_without_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Any, Generic, Self, TypeVar, overload

    from redouble.loops.checkpoint import Checkpoint
    from redouble.wrappers.decorator import RetryPolicy
    from redouble.wrappers.run import Run

    T = TypeVar("T")
else:
    T = None

    class Generic:
        """Lets `X[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


class Resuming(Generic[T]):
    """A long read, made by `resume(...)`: for `for` or `async for`; each of them is a run that begins where the last stopped."""

    __module__ = "redouble"

    __slots__ = ("_checkpoint", "_fetch", "_policy", "_stall_after")

    _fetch: Callable[..., Any]
    _checkpoint: Any
    _policy: Policy
    _stall_after: int | None

    def __init__(self, fetch: Callable[..., Any], checkpoint: Any, policy: Policy, stall_after: int | None) -> None:
        self._fetch = fetch
        self._checkpoint = checkpoint
        self._policy = policy
        self._stall_after = stall_after

    def __iter__(self) -> Pages[T]:
        policy = self._begin()
        refuse_async_stop(policy)
        refuse_timeout_without_keyword(policy, name_of(self._fetch))
        return Pages(self._fetch, self._checkpoint, policy, self._stall_after)

    def __aiter__(self) -> AsyncPages[T]:
        return AsyncPages(self._fetch, self._checkpoint, self._begin(), self._stall_after)

    def _begin(self) -> Policy:
        """The policy of a run: a page is no answer to be judged, and every failure counts, wherever it was retried."""
        policy: Policy = for_loop(self._policy).overridden(result=None, nested="multiply")
        return policy

    def __repr__(self) -> str:
        return f"<redouble.Resuming {name_of(self._fetch)}>"


class Pages(Reading[T]):
    """The pages of `for page in resume(...): with page as items: ...`, one after the other; what `with page:` enters."""

    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Self:
        self._refuse_forgotten_with("with")
        if self._state == NEW:
            self._load()
        elif self._state == DONE:
            self._commit_done()
        if self._state == BETWEEN and not self._is_over():
            self._begin_page(sys._getframe(1), asynchronous=False)
        while self._state != OVER:
            if self._state == AGAIN and not self._wait():
                self._end_in_order(self._end_of_wait())
                break
            try:
                found = self._fetch(self._cursor, **self._open())
            except Exception as error:
                if self._failed(error):
                    self._end(error)
                    refuse_silence(error)
                    raise
            except BaseException as error:
                self._interrupted()
                self._end(error)
                raise
            else:
                self._fetched(found)
                return self
        raise StopIteration

    def __enter__(self) -> T:
        return self._enter("with", sys._getframe(1))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        suppress = self._left(error)
        if error is not None and not suppress:
            self._end(error)
        return suppress

    def commit(self) -> None:
        """Commit this page now, for whoever leaves the loop with it: by itself it is when the next one is asked for.

        An error of the body after that ends the run.

        Raises:
            RuntimeError: When no page is open, or it has been committed.
        """
        self._refuse_commit()
        plain("Checkpoint.save", self._checkpoint.save(self._next))
        if self._saved():
            self._save_stalls()

    def _load(self) -> None:
        if self._stall_after is not None:
            self._refuse_stalled(plain("Checkpoint.load_stalls", self._checkpoint.load_stalls()))
        self._begins_at(plain("Checkpoint.load", self._checkpoint.load()))

    def _commit_done(self) -> None:
        try:
            self.commit()
        except BaseException as error:
            self._interrupted()
            self._end(error)
            raise

    def _wait(self) -> bool:
        try:
            return self._may_wait() and sync.wait(self._run)
        except BaseException as error:
            self._interrupted()
            self._end(error)
            raise

    def _end_in_order(self, error: Exception | None) -> None:
        """The run ends after a wait: with the last error, or in order when it was stopped."""
        if error is not None:
            try:
                raise error
            except Exception as last:
                self._run.as_raised(last)
                self._end(last)
                refuse_silence(last)
                raise

    def _end(self, error: BaseException) -> None:
        """The run ends with `error`.

        Raises:
            Stalled: When that makes one too many.
        """
        if self._counts(error):
            self._save_stalls()
            if self._is_stalled() and isinstance(error, Exception):
                raise self._stalled() from error

    def _save_stalls(self) -> None:
        try:
            plain("Checkpoint.save_stalls", self._checkpoint.save_stalls(self._stalls))
        except Exception as fault:
            self._not_counted(fault)


class AsyncPages(Reading[T]):
    """The pages of `async for page in resume(...): async with page as items: ...`, one after the other."""

    __slots__ = ()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Self:  # noqa: C901  # one piece: what it were cut into would show in tracebacks
        self._refuse_forgotten_with("async with")
        if self._state == NEW:
            await self._load()
        elif self._state == DONE:
            await self._commit_done()
        if self._state == BETWEEN and not self._is_over():
            self._begin_page(sys._getframe(1), asynchronous=True)
        while self._state != OVER:
            if self._state == AGAIN and not await self._wait():
                await self._end_in_order(self._end_of_wait())
                break
            try:
                try:
                    given = self._fetch(self._cursor, **self._open())
                    found = await given if is_awaitable(given) else given
                except sys.modules["asyncio"].CancelledError as cancelled:
                    if not self._run.cut_off(cancelled) or self._run.cut is None:
                        raise
                    raise self._run.cut from self._run.cause(cancelled)
            except Exception as error:
                if self._failed(error):
                    await self._end(error)
                    refuse_silence(error)
                    raise
            except BaseException as error:
                self._interrupted()
                await self._end(error)
                raise
            else:
                self._fetched(found)
                return self
        raise StopAsyncIteration

    async def __aenter__(self) -> T:
        return self._enter("async with", sys._getframe(1))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        suppress = self._left(error)
        if error is not None and not suppress:
            await self._end(error)
        return suppress

    async def commit(self) -> None:
        """Commit this page now, for whoever leaves the loop with it: by itself it is when the next one is asked for.

        An error of the body after that ends the run.

        Raises:
            RuntimeError: When no page is open, or it has been committed.
        """
        self._refuse_commit()
        await settled(self._checkpoint.save(self._next))
        if self._saved():
            await self._save_stalls()

    async def _load(self) -> None:
        if self._stall_after is not None:
            self._refuse_stalled(await settled(self._checkpoint.load_stalls()))
        self._begins_at(await settled(self._checkpoint.load()))

    async def _commit_done(self) -> None:
        try:
            await self.commit()
        except BaseException as error:
            self._interrupted()
            await self._end(error)
            raise

    async def _wait(self) -> bool:
        try:
            return self._may_wait() and await _wait_in_asyncio(self._run)
        except BaseException as error:
            self._interrupted()
            await self._end(error)
            raise

    async def _end_in_order(self, error: Exception | None) -> None:
        """The run ends after a wait: with the last error, or in order when it was stopped."""
        if error is not None:
            try:
                raise error
            except Exception as last:
                self._run.as_raised(last)
                await self._end(last)
                refuse_silence(last)
                raise

    async def _end(self, error: BaseException) -> None:
        """The run ends with `error`.

        Raises:
            Stalled: When that makes one too many.
        """
        if self._counts(error):
            await self._save_stalls()
            if self._is_stalled() and isinstance(error, Exception):
                raise self._stalled() from error

    async def _save_stalls(self) -> None:
        try:
            await settled(self._checkpoint.save_stalls(self._stalls))
        except Exception as fault:
            self._not_counted(fault)


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
    def resume(fetch: Any, checkpoint: Any, policy: Any = retry, *, stall_after: int | None = None) -> Any:
        """Read page after page: see below."""
        ...

else:

    def resume(fetch, checkpoint, policy=retry, *, stall_after=None):
        """Read page after page, and after a failure, a restart or a `break` go on with the page that was not dealt with.

        `for page in resume(...): with page as items: ...`, or `async for` with `async with`. A page is committed (the
        cursor of the next one is saved) when its `with` has ended without an error and the loop asks for the next one:
        so neither after a failure nor after a `break`, inside of the `with` or behind it. Who leaves a loop with a page
        that has been dealt with calls `page.commit()`. When the last page is committed, `None` is saved.

        A failing fetch is retried by the policy, and so is a transient error of the body: the same page is fetched and
        given again. The failures in a row, the curve and a written deadline begin afresh with every page. A permanent
        error, and one on which the policy gives up, ends the run. `stop` ends it in order. A loop has no limit of
        attempts and no deadline unless the policy says so; `result` rules are not asked. In asyncio `attempt_timeout`
        and a written deadline cut off a fetch, never the body. When the time of a `deadline` scope around the loop is over
        between two pages, no further one is fetched: `DeadlineExceeded`.

        Args:
            fetch: Called with a cursor, `None` at the beginning; returns `(items, next)`, where `next` is the cursor of
                the page after it and `None` the end. In the asynchronous form what it returns may be awaitable. With
                `timeout_as` it is also given its timeout.
            checkpoint: A `Checkpoint`: what remembers the cursor, such as a `FileCheckpoint`. What it raises is not
                retried, and a page whose cursor could not be saved is not committed.
            policy: What is retried, and how patiently.
            stall_after: So many runs in a row that ended in a failure without an advance of the cursor are enough: the
                last one raises `Stalled`, from its error, and so does every run after it, at once and without fetching.
                An advance sets the count back; a cancellation leaves it; a deadline that ended a run counts. >= 1;
                `None`: no limit. The checkpoint then needs `load_stalls()` and `save_stalls(stalls)` as well.

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
        limit = checks.whole_or_none("stall_after", stall_after, least=1)
        methods = ("load", "save") if limit is None else ("load", "save", "load_stalls", "save_stalls")
        missing = [name for name in methods if not callable(getattr(checkpoint, name, None))]
        if missing or isinstance(checkpoint, type):
            why = "" if limit is None else " for stall_after"
            raise TypeError(
                f"checkpoint must have the methods {', '.join(methods)}{why}, got {checks.shown(checkpoint)}"
            )
        if not isinstance(policy, Policy):
            raise TypeError(f"policy must be a RetryPolicy such as retry(attempts=5), got {checks.shown(policy)}")
        if policy.timeout_as is not None:
            refuse_missing_keyword(fetch, policy.timeout_as)
        return Resuming(fetch, checkpoint, policy, limit)


async def _wait_in_asyncio(run: Run) -> bool:
    from redouble.wrappers import aio

    return await aio.wait(run)
