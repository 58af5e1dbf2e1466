"""Floor 4. From what a factory gave to what the body of a `with` gets: entered, or closed at the end."""

from __future__ import annotations

from redouble.wrappers.shape import is_awaitable, is_coroutine_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeAlias

    Leave: TypeAlias = Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], Any]
    Opened: TypeAlias = tuple[Any, Leave | None]
    """The value, and what ends it; `None` when the value cannot be used, and then it says why."""


def opened(thing: Any, name: str, closing: bool, by: str) -> Opened:
    """In synchronous code: a context manager is entered, anything else closed by its `close` at the end.

    Args:
        thing: What the factory gave.
        name: The factory's.
        closing: Close also context managers instead of entering them.
        by: Which way in speaks in messages.
    """
    if not closing and _enters(thing):
        return _enter(thing)
    if is_awaitable(thing) or (_enters_async(thing) and not closing):
        discard(thing)
        return f"what {name} gives is asynchronous: write `async with` instead of `with`", None
    asynchronous = f"closing what {name} gives is asynchronous: write `async with` instead of `with`"
    if is_coroutine_function(getattr(thing, "close", None)):
        return asynchronous, None
    return _closed_at_end(thing, name, by, lambda close: _leave_now(close, asynchronous), "close")


async def opened_async(thing: Any, name: str, closing: bool, by: str) -> Opened:
    """In asyncio: as `opened`, with an async context manager entered and anything that can be awaited awaited first."""
    if not closing and _enters_async(thing):
        return await _enter_async(thing)
    if is_awaitable(thing):
        thing = await thing
    if not closing and _enters_async(thing):
        return await _enter_async(thing)
    if not closing and _enters(thing):
        return await _enter_in_async(thing)
    return _closed_at_end(thing, name, by, _leave_later, "aclose", "close")


def _closed_at_end(
    thing: Any, name: str, by: str, leave_by: Callable[[Callable[[], Any]], Leave], *methods: str
) -> Opened:
    for method in methods:
        close = getattr(thing, method, None)
        if callable(close):
            return thing, leave_by(close)
    return (
        f"{by} cannot close what {name} gives: {type(thing).__qualname__} is no context manager and has no"
        f" {' or '.join(methods)}(); open it in a function of your own with contextlib.contextmanager",
        None,
    )


def _enters(thing: Any) -> bool:
    kind = type(thing)
    return hasattr(kind, "__enter__") and hasattr(kind, "__exit__")


def _enters_async(thing: Any) -> bool:
    kind = type(thing)
    return hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__")


def _enter(thing: Any) -> tuple[Any, Leave]:
    leave: Leave = thing.__exit__
    try:
        return thing.__enter__(), leave
    except BaseException:
        discard(thing)
        raise


async def _enter_async(thing: Any) -> tuple[Any, Leave]:
    leave: Leave = thing.__aexit__
    try:
        return await thing.__aenter__(), leave
    except BaseException:
        await discard_async(thing)
        raise


async def _enter_in_async(thing: Any) -> tuple[Any, Leave]:
    leave: Leave = thing.__exit__
    try:
        return thing.__enter__(), leave
    except BaseException:
        await discard_async(thing)
        raise


def _leave_now(close: Callable[[], Any], asynchronous: str) -> Leave:
    """An `__exit__` that closes, and suppresses nothing."""

    def leave(kind: type[BaseException] | None, *_: object) -> None:
        closed = close()
        if is_awaitable(closed):
            _close_coroutine(closed)
            if kind is None:
                raise TypeError(asynchronous)

    return leave


def _leave_later(close: Callable[[], Any]) -> Leave:
    """The same for `async with`: what closing gives is awaited."""

    def leave(*_: object) -> Any:
        closed = close()
        return _finished(closed) if is_awaitable(closed) else None

    return leave


async def _finished(closing: Any) -> None:
    await closing


def discard(thing: Any) -> None:
    """Close what a failed attempt had opened; its own error matters, one of closing does not."""
    close = getattr(thing, "close", None)
    if callable(close):
        try:
            closed: Any = close()
            if is_awaitable(closed):
                _close_coroutine(closed)
        except Exception:
            return


def _close_coroutine(coroutine: Any) -> None:
    """Nobody can await it here: let it not complain of that."""
    if hasattr(coroutine, "close"):
        coroutine.close()


async def discard_async(thing: Any) -> None:
    """The same in asyncio, where closing may be awaited."""
    for method in ("aclose", "close"):
        close = getattr(thing, method, None)
        if callable(close):
            try:
                closed: Any = close()
                if is_awaitable(closed):
                    await closed
            except Exception:
                return
            return
