"""Floor 5. Streams: only the opening is retried, up to the first item; the rest is passed on as it comes.

An attempt calls the function and asks for the first item. An error after that is not retried, since another attempt
would give out the same items again. The synchronous and the asynchronous form have an attempt and a generator each.
"""

from __future__ import annotations

from contextlib import suppress
from functools import update_wrapper

from redouble.calls.awaitable import is_awaitable
from redouble.calls.tracebacks import strip
from redouble.control.policy import refuse_async_stop
from redouble.ways import wrap
from redouble.ways.shape import (
    is_async_generator_function,
    is_coroutine_function,
    is_generator_function,
    name_of,
    refuse_timeout_without_keyword,
    top_package,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Any, TypeAlias

    from redouble.control.policy import Policy
    from redouble.ways.first import Own

    AnyGenerator: TypeAlias = Generator[Any, Any, Any]
    AnyAsyncGenerator: TypeAlias = AsyncGenerator[Any, Any]


class Begun:
    """A stream whose first item is there, or that ended without one.

    Attributes:
        source: The object that the function returned.
        items: The iterator over it.
        first: The first item.
        ended: Whether the stream ended without an item.
        value: The return value of a generator without items.
        refusal: The reason why the object cannot be looped over; empty if it can.
    """

    __slots__ = ("ended", "first", "items", "refusal", "source", "value")

    ended: bool
    first: Any
    items: Any
    refusal: str
    source: Any
    value: Any

    def __init__(self, source: Any, items: Any = None, first: Any = None, refusal: str = "") -> None:
        self.source, self.items, self.first = source, items, first
        self.value = None
        self.ended = False
        self.refusal = refusal

    def take_first(self) -> Any:
        """Return the first item and hold it no longer.

        Raises:
            TypeError: When the object cannot be looped over.
        """
        if self.refusal:
            raise TypeError(self.refusal)
        first, self.first = self.first, None
        return first


def opening(policy: Policy, fn: Any, own: Own) -> Callable[..., Any]:
    """Return a function that streams the items of `fn` and retries until the first item.

    Args:
        policy: The policy.
        fn: A generator function or an async generator function, for which it returns generators of the same kind; or
            a callable that returns an iterable, for which the first use of the stream decides the kind.
        own: The budget and the cooldown of the function.
    """
    streams = _Streams(policy, fn, own)
    made: Any
    if is_async_generator_function(fn) or is_coroutine_function(fn):
        made = streams.asynchronous()
    elif is_generator_function(fn):
        refuse_async_stop(policy, streams.name)
        made = streams.synchronous()
    else:
        made = streams.either()
    made.__name__ = made.__qualname__ = name_of(fn)  # a partial has no name that `update_wrapper` could copy
    update_wrapper(made, fn)
    return made  # type: ignore[no-any-return]


class _Streams:
    """Makes the streams of one function."""

    __slots__ = ("_fn", "_own", "_policy", "_whose", "name")

    def __init__(self, policy: Policy, fn: Any, own: Own) -> None:
        # Without rules for results: an item is no answer to be judged, as a connection is none.
        self._policy = policy if policy.result is None else policy.overridden(result=None)
        self._fn, self._own = fn, own
        self._whose = top_package(fn)
        self.name: str = policy.name or name_of(fn)

    def synchronous(self) -> Callable[..., AnyGenerator]:  # noqa: C901  # not split, see below
        """Return the generator function of threads.

        Raises:
            TypeError: For `attempt_timeout` without `timeout_as`: a running function cannot be stopped.
        """
        refuse_timeout_without_keyword(self._policy, self.name)
        begin = _beginning(self._fn, self.name)
        open_ = wrap.retrying(self._policy, begin, self.name, self._own, self._whose)

        def stream(*args: Any, **kwargs: Any) -> AnyGenerator:
            try:
                begun: Begun = open_(*args, **kwargs)
                args, kwargs = (), {}  # or the arguments would be held for as long as the stream lasts
                given = begun.take_first()
            except BaseException as error:
                strip(error)
                raise
            if begun.ended:
                return begun.value
            # Not split into functions, as each one would show in tracebacks.
            try:
                while True:
                    try:
                        sent = yield given
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        given = _throw(begun.items, error)
                    else:
                        given = next(begun.items) if sent is None else begun.items.send(sent)
            except StopIteration as end:
                _close(begun)
                return end.value
            except GeneratorExit:
                _close(begun)
                raise
            except BaseException:
                with suppress(Exception):  # the error of the stream matters more
                    _close(begun)
                raise

        return stream

    def asynchronous(self) -> Callable[..., AnyAsyncGenerator]:  # noqa: C901  # not split, as above
        """Return the async generator function of asyncio and trio."""
        from redouble.ways import wrap_async

        begin = _beginning_async(self._fn, self.name)
        open_ = wrap_async.retrying(self._policy, begin, self.name, self._own, self._whose)

        async def stream(*args: Any, **kwargs: Any) -> AnyAsyncGenerator:
            try:
                begun: Begun = await open_(*args, **kwargs)
                args, kwargs = (), {}
                given = begun.take_first()
            except BaseException as error:
                strip(error)
                raise
            if begun.ended:
                return
            try:
                while True:
                    try:
                        sent = yield given
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        given = await _throw_async(begun.items, error)
                    else:
                        given = await (begun.items.__anext__() if sent is None else begun.items.asend(sent))
            except StopAsyncIteration:
                await _close_async(begun)
            except GeneratorExit:
                await _close_async(begun)
                raise
            except BaseException:
                with suppress(Exception):  # the error of the stream matters more
                    await _close_async(begun)
                raise

        return stream

    def either(self) -> Callable[..., Stream]:
        """Return a function whose streams work with both `for` and `async for`."""

        def stream(*args: Any, **kwargs: Any) -> Stream:
            return Stream(self, args, kwargs)

        return stream


class Stream:
    """A stream of a function that may be synchronous or asynchronous: a generator for `for` and for `async for`."""

    __module__ = "redouble"

    __slots__ = ("_args", "_async", "_kwargs", "_streams", "_sync")

    def __init__(self, streams: _Streams, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._streams, self._args, self._kwargs = streams, args, kwargs
        self._sync: AnyGenerator | None = None
        self._async: AnyAsyncGenerator | None = None

    def _handed(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the function and hold them no longer."""
        handed = self._args, self._kwargs
        self._args, self._kwargs = (), {}
        return handed

    def _for(self) -> AnyGenerator:
        if self._async is not None:
            raise TypeError(f"this stream of {self._streams.name} is looped over with `async for` already")
        if self._sync is None:
            refuse_async_stop(self._streams._policy, self._streams.name)
            stream = self._streams.synchronous()
            args, kwargs = self._handed()
            self._sync = stream(*args, **kwargs)
        return self._sync

    def _async_for(self) -> AnyAsyncGenerator:
        if self._sync is not None:
            raise TypeError(f"this stream of {self._streams.name} is looped over with a plain `for` already")
        if self._async is None:
            args, kwargs = self._handed()
            self._async = self._streams.asynchronous()(*args, **kwargs)
        return self._async

    def __iter__(self) -> AnyGenerator:
        return self._for()

    def __next__(self) -> Any:
        return next(self._for())

    def send(self, value: Any) -> Any:
        """Send a value into the generator, as `generator.send` does."""
        return self._for().send(value)

    def throw(self, error: BaseException) -> Any:
        """Raise an error in the generator, as `generator.throw` does."""
        return self._for().throw(error)

    def close(self) -> None:
        """Close the stream, which may not have begun."""
        self._for().close()

    def __aiter__(self) -> AnyAsyncGenerator:
        return self._async_for()

    def __anext__(self) -> Any:
        return self._async_for().__anext__()

    def asend(self, value: Any) -> Any:
        """Send a value into the async generator, as `agen.asend` does."""
        return self._async_for().asend(value)

    def athrow(self, error: BaseException) -> Any:
        """Raise an error in the async generator, as `agen.athrow` does."""
        return self._async_for().athrow(error)

    def aclose(self) -> Any:
        """Close the stream, which may not have begun."""
        return self._async_for().aclose()

    def __repr__(self) -> str:
        return f"<redouble.Stream of {self._streams.name}>"


# The attempts.


def _beginning(factory: Any, name: str) -> Callable[..., Begun]:
    def begin(*args: Any, **kwargs: Any) -> Begun:
        source = factory(*args, **kwargs)
        if not hasattr(type(source), "__iter__"):
            return Begun(source, refusal=_refusal(source, name))
        begun = Begun(source)
        try:
            begun.items = iter(source)
            begun.first = next(begun.items)
        except StopIteration as end:
            begun.ended, begun.value = True, end.value
            _close(begun)
        except BaseException:
            with suppress(Exception):  # the error of the attempt matters
                _close(begun)
            raise
        return begun

    return update_wrapper(begin, factory)


def _beginning_async(factory: Any, name: str) -> Callable[..., Any]:
    async def begin(*args: Any, **kwargs: Any) -> Begun:
        source = factory(*args, **kwargs)
        if is_awaitable(source) and not hasattr(type(source), "__aiter__"):
            source = await source
        if not hasattr(type(source), "__aiter__"):
            return Begun(source, refusal=_refusal_async(source, name))
        begun = Begun(source)
        try:
            begun.items = source.__aiter__()
            begun.first = await begun.items.__anext__()
        except StopAsyncIteration:
            begun.ended = True
            await _close_async(begun)
        except BaseException:
            with suppress(Exception):
                await _close_async(begun)
            raise
        return begun

    return update_wrapper(begin, factory)


def _refusal(source: Any, name: str) -> str:
    if is_awaitable(source) or hasattr(type(source), "__aiter__"):
        if hasattr(source, "close") and is_awaitable(source):
            source.close()  # a coroutine: Python would warn that it was never awaited
        return f"the stream of {name} is asynchronous: write `async for` instead of `for`"
    return _no_stream(source, name)


def _refusal_async(source: Any, name: str) -> str:
    if hasattr(type(source), "__iter__"):
        return f"the stream of {name} is not asynchronous: write `for` instead of `async for`"
    return _no_stream(source, name)


def _no_stream(source: Any, name: str) -> str:
    return (
        f"opening takes a function that gives something to loop over, and {name} gave {type(source).__qualname__}; to"
        " open a connection, or enter a context manager, write connect"
    )


# After the first item.


def _throw(items: Any, error: BaseException) -> Any:
    """Raise the consumer's error within the stream; if the stream is no generator, raise it here."""
    throw = getattr(items, "throw", None)
    if throw is None:
        raise error
    return throw(error)


async def _throw_async(items: Any, error: BaseException) -> Any:
    throw = getattr(items, "athrow", None)
    if throw is None:
        raise error
    return await throw(error)


def _close(begun: Begun) -> None:
    """Close the iterator and the object that it iterates over."""
    for each in _to_close(begun):
        close = getattr(each, "close", None)
        if callable(close):
            close()


async def _close_async(begun: Begun) -> None:
    for each in _to_close(begun):
        close = getattr(each, "aclose", None) or getattr(each, "close", None)
        if callable(close):
            closing: Any = close()
            if is_awaitable(closing):
                await closing


def _to_close(begun: Begun) -> tuple[Any, ...]:
    """Return the objects to close: one for a generator, which is its own iterator."""
    if begun.items is begun.source or begun.items is None:
        return (begun.source,)
    return begun.items, begun.source
