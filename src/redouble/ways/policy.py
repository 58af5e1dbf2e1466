"""Floor 5. The policy with its ways in: decorate, call, loop over a block, connect."""

from __future__ import annotations

from functools import update_wrapper

from redouble.calls.tracebacks import strip
from redouble.control.budget import RetryBudget
from redouble.control.cooldown import Cooldown
from redouble.control.policy import OWN_BUDGET, Policy, refuse_async_stop
from redouble.core import checks
from redouble.ways import wrap
from redouble.ways.block import AsyncBlock, Block
from redouble.ways.closing import CLOSE_TIMEOUT
from redouble.ways.connect import Connecting
from redouble.ways.first import NONE, Own
from redouble.ways.shape import (
    is_coroutine_function,
    name_of,
    refuse_context_manager,
    refuse_own_cooldown,
    refuse_timeout_without_keyword,
    refuse_what_cannot_be_called,
    refuse_what_cannot_be_retried,
    top_package,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
        Iterable,
        Iterator,
    )
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Any, Literal, ParamSpec, Protocol, Self, TypeVar, Unpack, overload

    from redouble.control.policy import PolicyFields
    from redouble.control.preview import PreviewRow
    from redouble.core.checks import Seconds

    F = TypeVar("F", bound=Callable[..., Any])
    P = ParamSpec("P")
    R = TypeVar("R")
    T = TypeVar("T")
    S = TypeVar("S")
    M = TypeVar("M", bound="AbstractContextManager[Any, Any] | AbstractAsyncContextManager[Any, Any]")

    R_co = TypeVar("R_co", covariant=True)

    class OpenToKeywords(Protocol[R_co]):
        """A callable whose parameters a type checker may fail to hand on, such as `psycopg.connect`.

        mypy does not solve a function that is generic in its result if it is only handed on. This matches functions
        that take any keywords, about which a checker knows little; functions with fixed parameters stay checked.
        """

        def __call__(self, arg: Any = ..., /, **kwargs: Any) -> R_co: ...

    class NotDecorated:
        """The type that a checker gives to `retry` applied to a class: decorating one is a mistake."""


POLICY = "__redouble_policy__"


class RetryPolicy(Policy):
    """A retry policy: the failures to retry, the limits and the waits. Frozen, and checked when it is written.

    `retry` is the default policy. Call a policy with a function to decorate it, or with keywords to get a changed
    policy. Its other ways in are `call`, `for attempt in policy:`, `async for attempt in policy:`, `connect` and
    `opening`.

    The default limits, 3 attempts and a deadline of 60 s, hold unless one is written. Writing a number for one lifts
    the other to `None`. `attempts=None` retries for ever and lifts the default deadline too; `deadline=None` lifts only
    itself. Pending answers are no failures, so `attempts` does not limit them: write a `deadline` too.

    A written deadline cancels a running asyncio or trio attempt and is handed down to nested calls. The default
    deadline only refuses waits that would end after it.

    Args:
        on: Rules for errors: a rule, an exception type, a tuple or list of them, `X | Y`, or a callable of the error.
            `None`: no error is retried.
        result: Rules for returned values: a rule, or a callable of the value. `None`: every value is wanted.
        idempotent: `False`: retry only failures that surely had no effect. `True`: retry all. `None`: as `False` when
            the error shows that the request is a POST or PATCH without an idempotency key of the caller's, else as
            `True` (RFC 9110 9.2.2). Not every error shows its request: where repeating would do harm, write `False`.
        attempts: The number of failures in a row after which redouble gives up, the first included; >= 1. `None`: no
            limit, and an inner give-up is a failure like any other unless `nested` is written.
        deadline: Seconds for the whole call, attempts and waits together; > 0. `None`: no limit of time.
        attempt_timeout: Seconds for one attempt, never more than the time left; > 0. `None`: no limit.
        timeout_as: The parameter in which each attempt receives its timeout, such as `"timeout"`: `attempt_timeout` or
            the rest of a written deadline, whichever is less. It works however the caller passes that parameter. The
            caller's own timeout, or the function's default, is never lengthened: a number, or each number of a tuple,
            is cut to the time left; another object is passed on as it is. If no limit applies to the attempt, its
            arguments are left as they are. `None`: no timeout is handed over.
        backoff: The curve of the waits, or a callable of the number of failures that returns seconds.
        budget: A `RetryBudget`, tokens that many calls share; a string: the budget of that name in this process. By
            default each decorated function has one for all its callers; direct calls, blocks, `connect`, loops and
            policies without a limit of attempts have none. `None`: no budget.
        cooldown: Share the waits that a server asks for (`Retry-After` and its kin) among calls, first attempts
            included. A string: among all calls in this process that name it. A `Cooldown`: among all calls with it.
            `True`: among all callers of the decorated function (direct calls, blocks, `connect` and loops take a
            name). An attempt is held back within its deadline and `max_hint`. If the cooldown lasts longer, a first
            attempt is made at once, and a later one gives up. `None`: each call waits for its own hints.
        max_hint: The longest wait, in seconds, that a server may ask for; `long_hints` decides about a longer one.
            `None`: no limit.
        long_hints: `"stop"`: a hint above `max_hint` ends the call. `"cap"`: redouble waits for `max_hint` only.
        unwanted: `"return"`: at the end an unwanted result is returned as it is. `"raise"`: `Unwanted` is raised, with
            the result as its `value`.
        nested: `"once"`: an error on which an inner retry gave up during this attempt, redouble's or a client's own, is
            not retried again. `"multiply"`: it is retried; the default where `attempts=None` is written.
        stop: An event that ends retrying when it is set: a `threading.Event` (waits of threads end at once, those of
            asyncio and trio within 50 ms), or an `asyncio.Event` or `trio.Event` (at once on its own loop; refused for
            a synchronous function). `None`: no event.
        observers: Callables that receive each `Event`, besides the log. `None`: no events, not even the log.
        name: The label in logs, notes and events. `None`: the function's name.
        clock: The source of time and waits. `None`: the system's monotonic clock.
        draw: A callable that gives a float in [0, 1) for jitter. `None`: `random.random`.

    Raises:
        TypeError: For an unknown field or a value of a wrong kind.
        ValueError: For a value out of its bounds, and for values that contradict each other.

    >>> from redouble import RetryPolicy, retry
    >>> retry(attempts=5)
    redouble.RetryPolicy(attempts=5)
    >>> retry(attempts=5).deadline is None, retry.deadline
    (True, 60.0)
    >>> retry(attempts=0)
    Traceback (most recent call last):
        ...
    ValueError: attempts must be a whole number >= 1 or None, got 0
    """

    __module__ = "redouble"

    if TYPE_CHECKING:

        def __init__(self, **fields: Unpack[PolicyFields]) -> None: ...

    if TYPE_CHECKING:  # overloads stand alone, else mypy does not take the function below for their implementation

        @overload
        def __call__(self, fn: type[Any], /) -> NotDecorated: ...  # pyright: ignore[reportOverlappingOverload]
        @overload
        def __call__(self, fn: F, /) -> F: ...
        @overload
        def __call__(self, **changes: Unpack[PolicyFields]) -> Self: ...

    def __call__(self, *fn: Any, **changes: Any) -> Any:
        """Decorate a function, or return this policy with some fields changed.

        Raises:
            TypeError: For a generator or async generator function, a class, an object that is not callable,
                `attempt_timeout` on a synchronous function without `timeout_as`, and a `timeout_as` that the
                function does not take.

        >>> from redouble import retry
        >>> @retry(attempts=5)
        ... def fetch(url): return url
        >>> fetch("/")
        '/'
        """
        if len(fn) == 1 and not changes:
            return _decorate(self, fn[0])
        if fn:
            raise TypeError(
                "retry takes one function to decorate, or keywords: write retry(attempts=5)(function), and"
                " retry(on=(OSError, ...)) to say what is retried"
            )
        return self.changed(**changes) if changes else self

    if TYPE_CHECKING:

        @overload
        def call(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
        @overload
        def call(self, fn: OpenToKeywords[R], /, *args: Any, **kwargs: Any) -> R: ...

    def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call `fn(*args, **kwargs)` until it succeeds or the policy gives up.

        Args:
            fn: Any callable. If it returns an awaitable, `call` returns a coroutine that awaits and retries it in
                asyncio or trio. No awaitable is returned unretried.

        Returns:
            The value that `fn` returned, or a coroutine of it.

        Raises:
            TypeError: For the callables that decorating refuses.

        >>> from redouble import retry
        >>> retry(attempts=5).call(int, "42")
        42
        """
        refuse_what_cannot_be_called(fn)
        refuse_context_manager(fn)
        refuse_own_cooldown(self, "a direct call")
        wrapper = bind(self, fn, NONE, top_package(fn))
        try:
            return wrapper(*args, **kwargs)
        except BaseException as error:
            strip(error)
            raise

    if TYPE_CHECKING:

        @overload
        def connect(
            self,
            factory: Callable[..., M],
            /,
            *args: Any,
            closing: Literal[True],
            close_timeout: Seconds | None = ...,
            **kwargs: Any,
        ) -> Connecting[M]: ...
        @overload
        def connect(
            self,
            factory: Callable[..., Awaitable[T]],
            /,
            *args: Any,
            closing: Literal[True],
            close_timeout: Seconds | None = ...,
            **kwargs: Any,
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self,
            factory: Callable[..., T],
            /,
            *args: Any,
            closing: Literal[True],
            close_timeout: Seconds | None = ...,
            **kwargs: Any,
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self,
            factory: Callable[..., AbstractAsyncContextManager[T]],
            /,
            *args: Any,
            close_timeout: Seconds | None,
            **kwargs: Any,
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self,
            factory: Callable[..., Awaitable[AbstractAsyncContextManager[T]]],
            /,
            *args: Any,
            close_timeout: Seconds | None,
            **kwargs: Any,
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self,
            factory: Callable[..., Awaitable[AbstractContextManager[T]]],
            /,
            *args: Any,
            close_timeout: Seconds | None,
            **kwargs: Any,
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: Callable[..., Awaitable[T]], /, *args: Any, close_timeout: Seconds | None, **kwargs: Any
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self,
            factory: Callable[..., AbstractContextManager[T]],
            /,
            *args: Any,
            close_timeout: Seconds | None,
            **kwargs: Any,
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: Callable[..., T], /, *args: Any, close_timeout: Seconds | None, **kwargs: Any
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: Callable[P, AbstractAsyncContextManager[T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: Callable[P, Awaitable[AbstractAsyncContextManager[T]]], /, *args: P.args, **kwargs: P.kwargs
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: Callable[P, Awaitable[AbstractContextManager[T]]], /, *args: P.args, **kwargs: P.kwargs
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: Callable[P, AbstractContextManager[T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> Connecting[T]: ...
        @overload
        def connect(self, factory: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Connecting[T]: ...
        @overload
        def connect(
            self, factory: OpenToKeywords[AbstractContextManager[T]], /, *args: Any, **kwargs: Any
        ) -> Connecting[T]: ...

    def connect(  # type: ignore[misc]  # keywords of these names are for `connect`, even if the factory has them too
        self,
        factory: Callable[..., Any],
        /,
        *args: Any,
        closing: bool = False,
        close_timeout: Seconds | None = CLOSE_TIMEOUT,
        **kwargs: Any,
    ) -> Connecting[Any]:
        """Open a connection with `factory(*args, **kwargs)` for the body of a `with` or an `async with`.

        Only the opening is retried, which includes entering a context manager. Errors of the body are not retried.
        A context manager is entered; any other object is closed at the end, by its `aclose` or `close`. Under `async
        with` an async context manager is entered, and any other awaitable is awaited first. A connection that a
        failed attempt opened is closed.

        Args:
            factory: The function that opens the connection, such as `socket.create_connection`.
            closing: Whether to close at the end, with `aclose` or `close`, instead of entering: for context managers
                that do not close, such as those of `sqlite3` (there `with` ends a transaction).
            close_timeout: Seconds that closing may take; > 0. Under `async with` closing is then cancelled, in the
                task that opened, and an asyncio transport is aborted; a plain `close` or `aclose` that does not heed
                its cancellation in asyncio goes on alone, with a line in the log. Under a plain `with` redouble waits
                for closing, as a thread cannot be cut off, and logs a line after 5 s. If a number is written, closing
                runs in a daemon thread with a copy of the context, and redouble goes on without it after that many
                seconds. `None`: redouble waits until it is closed. (If the factory has a keyword of that name, bind it
                with `functools.partial`.)

        Raises:
            TypeError: When the object has no way to be entered or closed; for an async factory under a plain `with`.
            TypeError, ValueError: When `close_timeout` is not a positive duration.

        >>> import io
        >>> from redouble import retry
        >>> with retry(deadline=90).connect(io.StringIO, "hello") as stream:
        ...     stream.read()
        'hello'
        """
        refuse_what_cannot_be_called(factory, "retry.connect")
        refuse_own_cooldown(self, "connect")
        return Connecting(self, factory, args, kwargs, checks.flag("closing", closing), close_timeout)

    if not TYPE_CHECKING:
        # These exist for their messages alone: a policy is no context manager, and type checkers know it.
        def __enter__(self):
            raise TypeError("a policy is looped over: write `for attempt in retry:` and `with attempt:` in it")

        def __exit__(self, *exc_info): ...

        async def __aenter__(self):
            raise TypeError("a policy is looped over: write `async for attempt in retry:` and `with attempt:` in it")

        async def __aexit__(self, *exc_info): ...

    if TYPE_CHECKING:

        @overload
        def opening(self, fn: Callable[P, Generator[T, S, R]], /) -> Callable[P, Generator[T, S, R]]: ...
        @overload
        def opening(self, fn: Callable[P, AsyncGenerator[T, S]], /) -> Callable[P, AsyncGenerator[T, S]]: ...
        @overload
        def opening(self, fn: Callable[P, Awaitable[AsyncIterable[T]]], /) -> Callable[P, AsyncGenerator[T, Any]]: ...
        @overload
        def opening(self, fn: Callable[P, AsyncIterable[T]], /) -> Callable[P, AsyncGenerator[T, Any]]: ...
        @overload
        def opening(self, fn: Callable[P, Iterable[T]], /) -> Callable[P, Generator[T, Any, Any]]: ...

    def opening(self, fn: Any, /) -> Any:
        """Return a function that streams the items of `fn` and retries until the first item; also a decorator.

        An attempt calls `fn` and asks for the first item. A failure before the first item is retried as the policy
        says. An error after the first item is raised untouched, since another attempt would give out items twice.
        As in every generator, the function runs when the first item is asked for. The policy's time limits apply to
        the opening; its `result` rules are not used.

        Args:
            fn: A generator function or an async generator function: its streams are generators of the same kind;
                `send`, `throw` and a generator's return value pass through. Or any callable that returns an iterable
                (for `async for`, also an awaitable of one), such as a client's method with `stream=True`: its streams
                are generators of the items, for both `for` and `async for`, in place of the client's object.

        Returns:
            A function with the parameters of `fn`. When its stream ends, fails or is closed, the iterator is closed
            (`close`, `aclose`), and so is the object that `fn` returned. A loop that is left early closes it
            soon in threads; `contextlib.closing` and `contextlib.aclosing` close it in place.

        Raises:
            TypeError: When `fn` cannot be called; for `attempt_timeout` on a synchronous function without
                `timeout_as`; at the first item, when the object that `fn` returned is not iterable.

        Source: Google's client for Python also retries a streamed answer until its first message
        (`google.api_core.grpc_helpers._StreamingResponseIterator` fetches it with the call).

        >>> from redouble import constant, retry
        >>> from redouble.testing import fake_time, scripted
        >>> connect = scripted(ConnectionResetError, ["Hel", "lo"])
        >>> @retry(backoff=constant(2)).opening
        ... def answer(prompt):
        ...     yield from connect(prompt)
        >>> with fake_time() as clock:
        ...     list(answer("hi")), clock.sleeps
        (['Hel', 'lo'], [2.0])
        """
        from redouble.ways import streams  # loaded here, as few programs stream

        if isinstance(fn, (staticmethod, classmethod)):
            return type(fn)(self.opening(fn.__func__))
        if not callable(fn):
            raise TypeError(f"opening takes a function that gives something to loop over, got {checks.shown(fn)}")
        made = streams.opening(self, fn, own_of(self))
        setattr(made, POLICY, self)
        return made

    def __iter__(self) -> Iterator[Block]:
        """Return the attempts of a block: `for attempt in policy: with attempt: ...`."""
        if self.cooldown is True:
            refuse_own_cooldown(self, "a block")
        return Block(self)

    def __aiter__(self) -> AsyncIterator[AsyncBlock]:
        """Return the attempts of a block in a coroutine: `async for attempt in policy: with attempt: ...`."""
        if self.cooldown is True:
            refuse_own_cooldown(self, "a block")
        return AsyncBlock(self)

    def __getitem__(self, part: slice) -> tuple[RetryPolicy, ...]:
        """Return the policy as a sequence of one decorator: Django's `method_decorator` reverses any iterable.

        Raises:
            TypeError: For anything but a slice.
        """
        if not isinstance(part, slice):
            raise TypeError(f"a policy is no sequence: iterate it, or call it with a function; got [{part!r}]")
        return tuple([self][part])

    def preview(self, failures: int = 10) -> list[PreviewRow]:
        """Return the waits that this policy would make if every attempt failed at once.

        Args:
            failures: The largest number of rows; >= 1.

        Returns:
            One `PreviewRow` per failure that is followed by a wait. The last one has `past_deadline=True` if its
            wait would end past the deadline.

        Raises:
            TypeError, ValueError: When `failures` is not a whole number >= 1.

        >>> from redouble import exponential, retry
        >>> for row in retry(attempts=4, backoff=exponential(1)).preview():
        ...     print(row.attempt, row.earliest, row.typical, round(row.latest, 2), row.cumulated)
        1 0.0 0.5 1.0 0.5
        2 0.0 1.0 2.0 1.5
        3 0.0 2.0 4.0 3.5
        """
        from redouble.control.preview import preview

        return preview(self, checks.whole("failures", failures, least=1))


RetryPolicy.__module__ = "redouble"

retry: RetryPolicy = RetryPolicy()
"""The default policy: `@retry`, `retry.call(...)`, `retry(attempts=5)`, ..."""


def policy_of(fn: Callable[..., Any]) -> RetryPolicy | None:
    """Return the policy that a function was decorated with; `None` for any other function.

    >>> from redouble import policy_of, retry
    >>> @retry(attempts=5)
    ... def fetch(): ...
    >>> policy_of(fetch)
    redouble.RetryPolicy(attempts=5)
    """
    policy = getattr(fn, POLICY, None)
    return policy if isinstance(policy, RetryPolicy) else None


def _decorate(policy: RetryPolicy, fn: Any) -> Any:
    if isinstance(fn, (staticmethod, classmethod)):
        return type(fn)(_decorate(policy, fn.__func__))
    refuse_what_cannot_be_retried(fn)
    if not is_coroutine_function(fn):
        refuse_async_stop(policy, name_of(fn))
    wrapper: Any = bind(policy, fn, own_of(policy))
    wrapper.__name__ = wrapper.__qualname__ = name_of(fn)  # a partial has no name that `update_wrapper` could copy
    update_wrapper(wrapper, fn)
    setattr(wrapper, POLICY, policy)
    return wrapper


def own_of(policy: Policy) -> Own:
    """Return the budget and the cooldown that all callers of a decorated function share."""
    budget = RetryBudget.for_attempts(policy.attempts) if policy.budget is OWN_BUDGET and policy.attempts else None
    return Own(budget, Cooldown())


def bind(policy: RetryPolicy, fn: Any, own: Own = NONE, whose: str = "") -> Callable[..., Any]:
    """Return the retrying wrapper of a function, synchronous or asynchronous as the function is."""
    name = policy.name or name_of(fn)
    if is_coroutine_function(fn):
        from redouble.ways import wrap_async

        return wrap_async.retrying(policy, fn, name, own, whose)
    refuse_timeout_without_keyword(policy, name)
    return wrap.retrying(policy, fn, name, own, whose)
