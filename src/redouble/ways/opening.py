"""Floor 5. The steps from a factory's object to the value of a `with`: it is entered, or closed at the end.

They are written once for all hosts, as generators that yield awaitables. Only the driver of coroutines awaits them.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf

from redouble.calls.awaitable import is_awaitable
from redouble.calls.hosts import coroutines
from redouble.control import faults
from redouble.control.cancel import TrioCancelScope
from redouble.core.raw import probe
from redouble.ways.shape import is_coroutine_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType
    from typing import Any, TypeAlias

    from redouble.calls.call import Call
    from redouble.control.cancel import CancelScope
    from redouble.control.clock import Clock
    from redouble.ways.closing import CloseLimit

    Leave: TypeAlias = Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], Any]


class Opening:
    """A plan for opening a connection.

    Args:
        factory: Makes the connection; called with `args` and the keywords of each attempt.
        args: The positional arguments of `factory`.
        name: The name of the factory in messages.
        by: The way in that messages name: `connect` or `reconnect`.
        closing: Whether context managers are closed as well, instead of entered.
        asynchronous: Whether it is for `async with`.
        limit: The time limit of closing.
    """

    __slots__ = ("args", "asynchronous", "by", "closing", "factory", "limit", "name")

    factory: Callable[..., Any]
    args: tuple[Any, ...]
    name: str
    by: str
    closing: bool
    asynchronous: bool
    limit: CloseLimit

    def __init__(
        self,
        factory: Callable[..., Any],
        args: tuple[Any, ...],
        name: str,
        by: str,
        *,
        closing: bool,
        asynchronous: bool,
        limit: CloseLimit,
    ) -> None:
        self.factory, self.args, self.name, self.by = factory, args, name, by
        self.closing, self.asynchronous, self.limit = closing, asynchronous, limit


class Opened:
    """An opened connection: the value for the body and the function that closes it, or the reason to refuse it.

    Attributes:
        value: The value for the body.
        leave: Closes it; takes the arguments of an `__exit__`. `None`: it needs no closing.
        refusal: The reason why the value cannot be used; empty if it can.
        plain: Whether `leave` is a plain `close` or `aclose`, and no context manager's.
        scope: Trio's cancel scope around it, which is left after it.
    """

    __slots__ = ("leave", "plain", "refusal", "scope", "value")

    value: Any
    leave: Leave | None
    refusal: str
    plain: bool

    def __init__(self, value: Any, leave: Leave | None = None, refusal: str = "", *, plain: bool = False) -> None:
        self.value, self.leave, self.refusal, self.plain = value, leave, refusal, plain
        self.scope: TrioCancelScope | None = None


def opening(how: Opening, kwargs: dict[str, Any]) -> Generator[Any, Any, Opened]:
    """Call the factory, then enter or await its object; return the value with the function that closes it.

    An async context manager is entered; any other awaitable is awaited. The value is then entered if it is a context
    manager, else closed at the end. `None`, as a probe returns it, needs no closing. If entering fails, the object is
    closed.
    """
    thing = how.factory(*how.args, **kwargs)
    if not how.asynchronous:
        refusal = _refusal_to_wait(thing, how)
        if refusal:
            yield from discarding(thing, how)
            return Opened(thing, refusal=refusal)
    elif is_awaitable(thing) and (how.closing or not _enters_async(thing)):
        thing = yield thing
    if not how.closing and how.asynchronous and _enters_async(thing):
        return (yield from _enter(thing, thing.__aenter__, thing.__aexit__, how))
    if not how.closing and _enters(thing):
        return (yield from _enter(thing, thing.__enter__, thing.__exit__, how))
    return _to_be_closed(thing, how)


def _refusal_to_wait(thing: Any, how: Opening) -> str:
    """Return the reason why a synchronous `with` cannot use the object; empty if it can."""
    if not how.closing and _enters(thing):
        return ""
    if is_awaitable(thing) or (_enters_async(thing) and not how.closing):
        return f"what {how.name} gives is asynchronous: write `async with` instead of `with`"
    if is_coroutine_function(getattr(thing, "close", None)):
        return _closes_asynchronously(how)
    return ""


def _closes_asynchronously(how: Opening) -> str:
    return f"closing what {how.name} gives is asynchronous: write `async with` instead of `with`"


def _enter(thing: Any, enter: Callable[[], Any], leave: Leave, how: Opening) -> Generator[Any, Any, Opened]:
    try:
        entered = enter()
        return Opened((yield entered) if is_awaitable(entered) and how.asynchronous else entered, leave)
    except BaseException:
        yield from discarding(thing, how)
        raise


def _to_be_closed(thing: Any, how: Opening) -> Opened:
    if thing is None:
        return Opened(thing)
    methods = ("aclose", "close") if how.asynchronous else ("close",)
    for method in methods:
        close = getattr(thing, method, None)
        if callable(close):
            return Opened(thing, _leave_by(close, how, thing), plain=True)
    refusal = (
        f"{how.by} cannot close what {how.name} gives: {type(thing).__qualname__} is no context manager and has no"
        f" {' or '.join(methods)}(); open it in a function of your own with contextlib.contextmanager"
    )
    return Opened(thing, refusal=refusal)


def _leave_by(close: Callable[[], Any], how: Opening, thing: Any) -> Leave:
    """Return an `__exit__` that closes and suppresses no error."""

    def leave(kind: type[BaseException] | None, *_: object) -> Any:
        closed = close()
        if not is_awaitable(closed):
            return _closed_down(thing) if how.asynchronous and closed is None and _closes_later(thing) else None
        if how.asynchronous:
            return _finished(closed)
        _close_coroutine(closed)
        if kind is None:
            raise TypeError(_closes_asynchronously(how))
        return None

    return leave


def _closes_later(thing: Any) -> bool:
    """Return whether `close` only begins to close, as an asyncio `StreamWriter` does: it sends its buffer first."""
    transport = probe(thing, "transport")
    return callable(probe(transport, "abort")) and is_coroutine_function(probe(thing, "wait_closed"))


async def _closed_down(thing: Any) -> None:
    """Wait until a writer has closed, within the time of closing; an `OSError` of the peer is dropped."""
    with suppress(OSError):
        await thing.wait_closed()


async def _finished(closing: Any) -> None:
    await closing


async def open_under(cancel_scope: CancelScope | None, how: Opening, kwargs: dict[str, Any], call: Call) -> Opened:
    """Open in a coroutine, under a cancel scope.

    Args:
        cancel_scope: Cancels the opening, besides the limit of the driver; trio's stays around an entered connection.
        how, kwargs: The arguments of `opening`.
        call: The call whose attempt it is.
    """
    try:
        opened = await coroutines.perform(opening(how, kwargs))
    except BaseException as error:
        if cancel_scope is None or not cancel_scope.exit(error):
            await _absorb(cancel_scope)
            raise
        raise call.cut_off(error)  # noqa: B904  # it has its cause already
    if isinstance(cancel_scope, TrioCancelScope) and opened.leave is not None and not opened.plain:
        cancel_scope.rest()
        opened.scope = cancel_scope
    elif cancel_scope is not None:
        cancel_scope.exit(None)
        await _absorb(cancel_scope)
    return opened


async def _absorb(cancel_scope: CancelScope | None) -> None:
    """Absorb a cancellation that came when the opening was done, such as one that the opening asked for itself."""
    if cancel_scope is not None and cancel_scope.fired and not isinstance(cancel_scope, TrioCancelScope):
        from redouble.calls.hosts.asyncio import absorb

        await absorb(cancel_scope)


def scope_of_opening(clock: Clock, call: Call) -> TrioCancelScope:
    """Return trio's cancel scope for an opening, with the time limits of its attempt.

    If the clock fails, the opening has no limit.
    """
    seconds = call.cut_in()
    try:
        return TrioCancelScope(clock, None if seconds == inf else seconds, call.cut_in)
    except Exception as fault:
        faults.report("clock", type(clock), fault, "attempts have no time limit")
        return TrioCancelScope(clock, None)


def leaving(
    opened: Opened,
    how: Opening,
    kind: type[BaseException] | None = None,
    error: BaseException | None = None,
    traceback: TracebackType | None = None,
) -> Generator[Any, Any, Any]:
    """Close a connection within its time limit; return whether the error is suppressed."""
    if opened.leave is None:
        return None
    if not how.asynchronous:
        return how.limit.call(opened.leave, kind, error, traceback)
    scope = opened.scope
    try:
        answer = opened.leave(kind, error, traceback)
        if is_awaitable(answer):
            answer = yield how.limit.finish(answer, opened.value, plain=opened.plain, scope=scope)
    except BaseException as closing:
        if scope is None or not scope.exit(closing):
            raise
        how.limit.cut_off(opened.value)
        return None
    if scope is not None:
        scope.exit(None)
    return answer


def discarding(thing: Any, how: Opening) -> Generator[Any, Any, None]:
    """Close the object of a failed attempt; an error of closing is dropped, as the attempt's own error matters more."""
    for method in ("aclose", "close") if how.asynchronous else ("close",):
        close = getattr(thing, method, None)
        if callable(close):
            try:
                closed: Any = close() if how.asynchronous else how.limit.call(close)
                if is_awaitable(closed):
                    if how.asynchronous:
                        yield how.limit.finish(_finished(closed), thing, plain=True)
                    else:
                        _close_coroutine(closed)
            except Exception:
                return
            return


def _close_coroutine(coroutine: Any) -> None:
    """Close a coroutine that cannot be awaited here, so that Python does not warn of it."""
    if hasattr(coroutine, "close"):
        coroutine.close()


def _enters(thing: Any) -> bool:
    kind = type(thing)
    return hasattr(kind, "__enter__") and hasattr(kind, "__exit__")


def _enters_async(thing: Any) -> bool:
    kind = type(thing)
    return hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__")
