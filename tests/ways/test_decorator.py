"""Decorating and calling: every kind of callable, its name and signature, and what is refused."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import functools
import inspect
import operator
import os
import pickle
import socket
import threading
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import redouble
from redouble import Reason, RetryPolicy, constant, outcome, policy_of, retry
from redouble.testing import scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redouble.testing import FakeClock

policy = retry(attempts=3, on=OSError, backoff=constant(1))


pytestmark = pytest.mark.usefixtures("clock")


class Failing:
    """Says whether a call fails: the first two do."""

    def __init__(self) -> None:
        self.calls = 0

    def maybe(self) -> None:
        self.calls += 1
        if self.calls % 3:
            raise OSError("down")


failing = Failing()


@policy
def fetch(url: str, *, size: int = 3) -> str:
    """Fetch it."""
    failing.maybe()
    return url * size


@policy
async def fetch_async(url: str, *, size: int = 3) -> str:
    """Fetch it."""
    failing.maybe()
    return url * size


class Client:
    """Methods of every kind."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @policy
    def method(self, x: int) -> tuple[Client, int]:
        """Mine."""
        failing.maybe()
        return self, x

    @policy
    async def method_async(self, x: int) -> tuple[Client, int]:
        failing.maybe()
        return self, x

    @classmethod
    @policy
    def inside(cls, x: int) -> tuple[type, int]:
        failing.maybe()
        return cls, x

    @policy
    @classmethod
    def outside(cls, x: int) -> tuple[type, int]:
        failing.maybe()
        return cls, x

    @staticmethod
    @policy
    def static_inside(x: int) -> int:
        failing.maybe()
        return x

    @policy
    @staticmethod
    def static_outside(x: int) -> int:
        failing.maybe()
        return x

    @policy
    @staticmethod
    async def static_async(x: int) -> int:
        failing.maybe()
        return x

    def plain(self, x: int) -> tuple[Client, int]:
        failing.maybe()
        return self, x


class Callable_:
    """A callable object."""

    def __call__(self, x: int) -> int:
        failing.maybe()
        return x


class AsyncCallable:
    async def __call__(self, x: int) -> int:
        failing.maybe()
        return x


class SubClient(Client):
    @policy
    def method(self, x: int) -> tuple[Client, int]:
        return super().method(x)


def test_a_function(clock: FakeClock) -> None:
    """A decorated function is called with its arguments until it succeeds."""
    assert fetch("ab", size=2) == "abab"
    assert clock.sleeps == [1, 1]


def test_a_coroutine_function(clock: FakeClock) -> None:
    """So is a coroutine function, in asyncio."""
    assert asyncio.run(fetch_async("ab", size=2)) == "abab"
    assert clock.sleeps == [1, 1]


def test_names_and_signatures_survive() -> None:
    """Name, docstring, module, annotations and signature are the function's own, and it can be pickled."""
    for decorated, name in ((fetch, "fetch"), (fetch_async, "fetch_async")):
        assert (decorated.__name__, decorated.__qualname__, decorated.__doc__) == (name, name, "Fetch it.")
        assert decorated.__module__ == __name__
        assert str(inspect.signature(decorated)) == "(url: 'str', *, size: 'int' = 3) -> 'str'"
        assert decorated.__wrapped__.__name__ == name  # type: ignore[attr-defined]
    assert str(inspect.signature(Client().method)) == "(x: 'int') -> 'tuple[Client, int]'"
    assert Client.method.__qualname__ == "Client.method" and Client.method.__doc__ == "Mine."


def test_async_ness_survives() -> None:
    """Coroutine functions stay coroutine functions, for `inspect` and everybody else; the others do not become ones."""
    assert inspect.iscoroutinefunction(fetch_async) and inspect.iscoroutinefunction(Client().method_async)
    assert inspect.iscoroutinefunction(Client.static_async)
    assert inspect.iscoroutinefunction(policy(AsyncCallable())) and inspect.iscoroutinefunction(
        policy(functools.partial(fetch_async, "a"))
    )
    assert not inspect.iscoroutinefunction(fetch) and not inspect.iscoroutinefunction(policy(Callable_()))


def test_methods() -> None:
    """`self` and `cls` arrive, with either order of the decorators."""
    client = Client()
    assert client.method(1) == (client, 1)
    assert Client.method(client, 1) == (client, 1)
    assert asyncio.run(client.method_async(2)) == (client, 2)
    assert client.inside(3) == Client.inside(3) == (Client, 3)
    assert client.outside(4) == Client.outside(4) == (Client, 4)
    assert client.static_inside(5) == Client.static_inside(5) == 5
    assert client.static_outside(6) == Client.static_outside(6) == 6
    assert asyncio.run(client.static_async(7)) == 7
    assert SubClient.inside(8) == (SubClient, 8) and SubClient.outside(8) == (SubClient, 8)


def test_super_of_a_decorated_method(clock: FakeClock) -> None:
    """A decorated method may call the decorated one that it replaces."""
    client = SubClient()
    assert client.method(1) == (client, 1)
    assert clock.sleeps == [1, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Client().plain,
        lambda: functools.partial(Client().plain),
        lambda: functools.partial(functools.partial(Callable_()), 1),
        Callable_,
        lambda: lambda x: failing.maybe(),
        lambda: mock.Mock(side_effect=[OSError, OSError, 1]),
        lambda: mock.MagicMock(side_effect=[OSError, OSError, 1]),
    ],
    ids=["bound method", "partial", "partial of partial", "object", "lambda", "Mock", "MagicMock"],
)
def test_other_callables(clock: FakeClock, make: Callable[[], Any]) -> None:
    """Bound methods, partials, callable objects, lambdas and mocks are decorated and called alike."""
    target = make()
    arguments = () if getattr(target, "args", None) == (1,) else (1,)
    decorated = policy(target)
    decorated(*arguments)
    assert clock.sleeps == [1, 1] and policy_of(decorated) is policy
    policy.call(make(), *arguments)
    assert clock.sleeps == [1, 1] * 2


@pytest.mark.parametrize(
    "make",
    [
        AsyncCallable,
        lambda: functools.partial(AsyncCallable(), x=1),
        lambda: functools.partial(Client().method_async.__wrapped__, Client(), 1),  # type: ignore[attr-defined]
        lambda: mock.AsyncMock(side_effect=[OSError, OSError, 1]),
    ],
    ids=["object", "partial of object", "partial", "AsyncMock"],
)
def test_other_coroutine_functions(clock: FakeClock, make: Callable[[], Any]) -> None:
    """So are those whose call gives a coroutine."""
    target = make()
    arguments = () if isinstance(target, functools.partial) else (1,)
    decorated = policy(target)
    assert inspect.iscoroutinefunction(decorated)
    asyncio.run(decorated(*arguments))
    assert clock.sleeps == [1, 1]


def test_names_of_callables_without_one() -> None:
    """Callables that have no name of their own get that of what they call."""
    assert policy(functools.partial(fetch.__wrapped__, "a")).__name__ == "fetch"  # type: ignore[attr-defined]
    assert str(inspect.signature(policy(functools.partial(fetch.__wrapped__, "a")))) == "(*, size: 'int' = 3) -> 'str'"  # type: ignore[attr-defined]
    assert str(inspect.signature(policy(Callable_()))) == "(x: 'int') -> 'int'"


@pytest.mark.parametrize(
    "builtin", [len, os.getpid, "text".upper, operator.itemgetter(0), [].append, socket.create_connection, mock.Mock()]
)
def test_builtins(builtin: Any) -> None:
    """Builtins, methods of C types and functions of the standard library can be decorated."""
    decorated = policy(builtin)
    assert policy_of(decorated) is policy and decorated.__wrapped__ is builtin


def test_what_builtins_do() -> None:
    """They are called as ever."""
    assert policy(len)("abc") == policy.call(len, "abc") == 3
    assert policy(operator.itemgetter(1))("abc") == "b"
    assert retry.call(int, "42") == 42


def test_what_is_called_gets_all_keywords() -> None:
    """No keyword is kept for ourselves: not even those that our own parameters have."""
    operation = scripted(*range(2))
    retry(operation)(1, fn=2, self=3, policy=4, name=5, kwargs=6)
    retry.call(operation, 1, fn=2, self=3, policy=4, name=5, kwargs=6)
    assert operation.calls == [((1,), {"fn": 2, "self": 3, "policy": 4, "name": 5, "kwargs": 6})] * 2


def test_arguments_are_the_same_objects_in_every_attempt(clock: FakeClock) -> None:
    """The operation is called again with the very same arguments."""
    operation, argument = scripted(OSError, OSError, "body"), object()
    policy(operation)(argument, key=argument)
    assert [(args[0] is argument, kwargs["key"] is argument) for args, kwargs in operation.calls] == [(True, True)] * 3


def test_policy_of() -> None:
    """It gives back the policy of decorated functions and methods, and `None` for others."""
    assert policy_of(fetch) is policy_of(fetch_async) is policy
    assert policy_of(Client().method) is policy_of(Client.outside) is policy_of(Client.static_outside) is policy
    assert policy_of(fetch.__wrapped__) is None and policy_of(len) is None  # type: ignore[attr-defined]
    assert policy_of(mock.MagicMock()) is None


def test_twice_decorated() -> None:
    """Of a function that was decorated twice it is the outer one."""
    outer = retry(attempts=2)
    assert policy_of(outer(fetch)) is outer


def test_retry_without_arguments() -> None:
    """`@retry` and `@retry()` are the same, and `retry()` is `retry`."""
    assert retry() is retry and policy_of(retry()(len)) is policy_of(retry(len)) is retry
    assert isinstance(retry, RetryPolicy) and retry == RetryPolicy()


def test_retry_with_keywords() -> None:
    """Keywords make a changed policy, which can be changed further; the first one stays as it is."""
    first = retry(attempts=5)
    second = first(deadline=90)
    assert (first.attempts, first.deadline) == (5, None)
    assert (second.attempts, second.deadline) == (5, 90.0)
    assert type(second) is RetryPolicy and retry.attempts == 3


class Stricter(RetryPolicy):
    """A user's own kind."""


def test_a_subclass_stays_one() -> None:
    """A changed policy is of the same class."""
    assert type(Stricter(attempts=2)(deadline=5)) is Stricter


def test_policies_can_be_pickled() -> None:
    """For processes."""
    given = retry(attempts=5, on=OSError, backoff=constant(1))
    assert pickle.loads(pickle.dumps(given)) == given


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:
    yield 1


class GeneratorObject:
    def __call__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    "function",
    [generator, async_generator, functools.partial(generator), GeneratorObject(), GeneratorObject().__call__],
)
@pytest.mark.parametrize("way", [policy, policy.call, policy.connect], ids=["decorate", "call", "connect"])
def test_generator_functions_are_refused(function: Any, way: Any) -> None:
    """Trying again would repeat items that were given out; the message says what to do instead."""
    with pytest.raises(
        TypeError, match=r"is a generator function: calling it again would repeat items.*keep the cursor"
    ):
        way(function)


def test_generator_functions_are_refused_beneath_staticmethod() -> None:
    """Also in a staticmethod or classmethod."""
    for kind in (staticmethod, classmethod):
        with pytest.raises(TypeError, match="generator is a generator function"):
            policy(kind(generator))


def test_a_class_is_refused() -> None:
    """A class is not decorated; the message names both things that may have been meant."""
    with pytest.raises(TypeError, match=r"Client is a class: decorate its methods, or write retry\.call\(Client"):
        retry(Client)
    assert isinstance(retry.call(Client), Client)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_class_is_refused(error: type[BaseException]) -> None:
    """`@retry(ValueError)` is told how to say it."""
    with pytest.raises(TypeError, match=rf"write retry\(on={error.__name__}\)"):
        retry(error)


@pytest.mark.parametrize("value", [5, None, "fetch", (OSError,), OSError("down"), 2.5])
def test_what_is_not_callable_is_refused(value: Any) -> None:
    """So is what cannot be called."""
    with pytest.raises(TypeError, match="takes a function, or keywords such as attempts=5, got"):
        retry(value)


@pytest.mark.parametrize("value", [5, None, "fetch"])
def test_what_is_not_callable_is_not_called(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    """`call` refuses it at once, without a word about errors that are not retried."""
    with pytest.raises(TypeError, match=r"takes a function, which it calls itself: write retry\.call\(function\)"):
        retry.call(value)
    assert caplog.records == []


def test_more_than_one_function_is_refused() -> None:
    """One function, or keywords."""
    with pytest.raises(TypeError, match=r"write retry\(attempts=5\)\(function\)"):
        retry(fetch, fetch)
    with pytest.raises(TypeError, match=r"write retry\(attempts=5\)\(function\)"):
        retry(fetch, attempts=5)


def test_attempt_timeout_on_a_synchronous_function_is_refused() -> None:
    """Nothing can stop it; the message names `timeout_as` and `async def`."""
    given = retry(attempt_timeout=5)
    for way in (given, given.call):
        with pytest.raises(TypeError, match=r"cannot cut off the synchronous .*fetch.*timeout_as='timeout'.*async def"):
            way(fetch.__wrapped__)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="cannot cut off"), given.connect(fetch.__wrapped__, "a"):  # type: ignore[attr-defined]
        pass
    assert policy_of(given(fetch_async)) is given


@pytest.mark.parametrize(
    "function",
    [lambda size: size, lambda timeout, /: timeout, lambda *timeout: timeout, functools.partial(lambda x: x)],
)
def test_timeout_as_that_the_function_does_not_take_is_refused(function: Any) -> None:
    """The message names the keyword and the function."""
    given = retry(attempt_timeout=5, timeout_as="timeout")
    for way in (given, given.call):
        with pytest.raises(TypeError, match=r"timeout_as must name a keyword that .* takes, got 'timeout'"):
            way(function)


@pytest.mark.parametrize(
    "function", [lambda timeout: timeout, lambda *, timeout: timeout, lambda **more: more["timeout"]]
)
def test_timeout_as_that_the_function_takes(function: Any) -> None:
    """By keyword, by a keyword alone, or among any keywords."""
    assert retry(attempt_timeout=5, timeout_as="timeout")(function)() == 5.0


def test_timeout_as_on_a_builtin_that_tells_nothing() -> None:
    """A builtin without a signature is taken at its word."""
    given = retry(attempt_timeout=5, timeout_as="key")
    assert policy_of(given(min)) is given
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(min)


def test_a_stop_event_of_asyncio_is_refused_for_a_synchronous_function() -> None:
    """Where a function is decorated it can be told that only an event loop can wait for the event."""
    given = retry(stop=asyncio.Event())
    with pytest.raises(TypeError, match=r"^stop must be a threading\.Event for the synchronous fetch: an event of"):
        given(fetch.__wrapped__)  # type: ignore[attr-defined]
    assert policy_of(retry(stop=threading.Event())(len)) is not None


def test_a_stop_event_of_asyncio_is_looked_at_elsewhere(clock: FakeClock) -> None:
    """Direct calls and blocks may be made anywhere: there nothing is refused, and the event ends them when it is set."""
    for way in ("call", "block"):
        stop = asyncio.Event()
        given = policy(stop=stop, attempts=None)
        with pytest.raises(OSError) as caught:
            if way == "call":
                given.call(stopping, stop)
            for attempt in given:
                with attempt:
                    stopping(stop)
        end = outcome(caught.value)
        assert end is not None and (end.reason, end.attempts) == (Reason.STOPPED, 1)


def stopping(stop: Any) -> None:
    """An operation that fails, and is stopped meanwhile."""
    stop.set()
    raise OSError("down")


def test_decorating_calls_nothing() -> None:
    """Nothing happens before the call."""
    operation = scripted()
    policy(operation)
    policy.connect(operation)
    iter(policy)
    policy.__aiter__()
    assert operation.calls == []


def test_the_success_of_a_coroutine_function_awaits_nothing() -> None:
    """A coroutine that does not suspend makes none that does."""

    @policy
    async def at_once() -> str:
        return "body"

    coroutine = at_once()
    assert isinstance(coroutine, Awaitable)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)  # type: ignore[attr-defined]
    assert done.value.value == "body"


def test_preview() -> None:
    """The rows are those of the policy."""
    assert [row.typical for row in policy.preview()] == [1.0, 1.0]
    with pytest.raises(ValueError, match="failures"):
        policy.preview(failures=0)


def test_names_are_those_of_the_package() -> None:
    """Reprs and tracebacks name things by where they are imported from."""
    assert RetryPolicy.__module__ == redouble.Attempt.__module__ == "redouble"
    assert redouble.types.Connecting.__module__ == "redouble.types"
    assert repr(retry(attempts=5)) == "redouble.RetryPolicy(attempts=5)"
