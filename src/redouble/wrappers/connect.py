"""Floor 3. Opening something for the body of a `with`: only the opening is retried, and what was opened is closed."""

from __future__ import annotations

from redouble.control.policy import refuse_async_stop
from redouble.wrappers import sync
from redouble.wrappers.run import trim
from redouble.wrappers.shape import is_awaitable, is_coroutine_function, name_of, refuse_timeout_without_keyword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Generic, TypeAlias, TypeVar

    from redouble.control.policy import Policy

    T = TypeVar("T")
    Leave: TypeAlias = Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], Any]
else:
    T = None

    class Generic:
        """Lets `Connecting[T]` be written at run time without loading `typing`."""

        def __class_getitem__(cls, item):
            return cls


class Connecting(Generic[T]):
    """Something to be opened, made by `policy.connect(...)`: for `with` or `async with`, one at a time."""

    __module__ = "redouble"

    __slots__ = ("_args", "_closing", "_factory", "_kwargs", "_leave", "_policy")

    def __init__(
        self, policy: Policy, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], closing: bool
    ) -> None:
        self._policy = policy
        self._factory = factory
        self._args = args
        self._kwargs = kwargs
        self._closing = closing
        self._leave: Leave | None = None

    def __enter__(self) -> T:
        self._refuse_open()
        policy = self._without_result_rules()
        refuse_timeout_without_keyword(policy, self._name)
        refuse_async_stop(policy)
        try:
            value, leave = sync.retrying(policy, self._open, self._name)(**self._kwargs)
        except BaseException as error:
            trim(error)
            raise
        return self._usable(value, leave)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        leave, self._leave = self._leave, None
        suppress: bool | None = None if leave is None else leave(kind, error, traceback)
        return suppress

    async def __aenter__(self) -> T:
        from redouble.wrappers import aio

        self._refuse_open()
        open_ = aio.retrying(self._without_result_rules(), self._open_async, self._name)
        try:
            value, leave = await open_(**self._kwargs)
        except BaseException as error:
            trim(error)
            raise
        return self._usable(value, leave)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        leave, self._leave = self._leave, None
        if leave is None:
            return None
        answer = leave(kind, error, traceback)
        suppress: bool | None = await answer if is_awaitable(answer) else answer
        return suppress

    @property
    def _name(self) -> str:
        return name_of(self._factory)

    def _refuse_open(self) -> None:
        if self._leave is not None:
            raise RuntimeError("this connect(...) is open already; call connect(...) again for another one")

    def _without_result_rules(self) -> Policy:
        """A connection is no answer to be judged: it is there, or there was an error."""
        policy = self._policy
        return policy if policy.result is None else policy.changed(result=None)

    def _usable(self, value: Any, leave: Leave | None) -> T:
        """The opened value; what cannot be used is refused here, outside of the loop, where no rule retries it."""
        if leave is None:
            raise TypeError(value)
        self._leave = leave
        usable: T = value
        return usable

    def _open(self, **kwargs: Any) -> tuple[Any, Leave | None]:
        thing = self._factory(*self._args, **kwargs)
        if not self._closing and _enters(thing):
            return _enter(thing)
        if is_awaitable(thing) or (_enters_async(thing) and not self._closing):
            _discard(thing)
            return f"what {self._name} gives is asynchronous: write `async with` instead of `with`", None
        asynchronous = f"closing what {self._name} gives is asynchronous: write `async with` instead of `with`"
        if is_coroutine_function(getattr(thing, "close", None)):
            return asynchronous, None
        return self._closed_at_end(thing, lambda close: _leave_now(close, asynchronous), "close")

    async def _open_async(self, **kwargs: Any) -> tuple[Any, Leave | None]:
        thing = self._factory(*self._args, **kwargs)
        if not self._closing and _enters_async(thing):
            return await _enter_async(thing)
        if is_awaitable(thing):
            thing = await thing
        if not self._closing and _enters_async(thing):
            return await _enter_async(thing)
        if not self._closing and _enters(thing):
            return await _enter_in_async(thing)
        return self._closed_at_end(thing, _leave_later, "aclose", "close")

    def _closed_at_end(
        self, thing: Any, leave_by: Callable[[Callable[[], Any]], Leave], *methods: str
    ) -> tuple[Any, Leave | None]:
        for method in methods:
            close = getattr(thing, method, None)
            if callable(close):
                return thing, leave_by(close)
        return (
            f"connect cannot close what {self._name} gives: {type(thing).__qualname__} is no context manager and has no"
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
        _discard(thing)
        raise


async def _enter_async(thing: Any) -> tuple[Any, Leave]:
    leave: Leave = thing.__aexit__
    try:
        return await thing.__aenter__(), leave
    except BaseException:
        await _discard_async(thing)
        raise


async def _enter_in_async(thing: Any) -> tuple[Any, Leave]:
    leave: Leave = thing.__exit__
    try:
        return thing.__enter__(), leave
    except BaseException:
        await _discard_async(thing)
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


def _discard(thing: Any) -> None:
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


async def _discard_async(thing: Any) -> None:
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
