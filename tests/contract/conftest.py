"""The surfaces of the contract: every way in that a policy has, each trying one and the same operation."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redouble import RetryPolicy

    Operation = Callable[[], Any]


class Opened:
    """A context manager that tries the operation when it is entered; with no frame of the standard library."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    def __enter__(self) -> Any:
        return self.operation()

    def __exit__(self, *exc_info: object) -> None: ...


class OpenedAsync(Opened):
    async def __aenter__(self) -> Any:
        return self.operation()

    async def __aexit__(self, *exc_info: object) -> None: ...


# The synchronous ways in.


def decorator(policy: RetryPolicy, operation: Operation) -> Any:
    @policy
    def operate() -> Any:
        return operation()

    return operate()


def call(policy: RetryPolicy, operation: Operation) -> Any:
    return policy.call(operation)


def block(policy: RetryPolicy, operation: Operation) -> Any:
    value = None
    for attempt in policy:
        with attempt:
            value = operation()
            attempt.result(value)
    return value


def connect(policy: RetryPolicy, operation: Operation) -> Any:
    with policy.connect(Opened, operation) as value:
        return value


# Those of asyncio.


def asynchronous(operation: Operation) -> Callable[[], Awaitable[Any]]:
    async def operate() -> Any:
        return operation()

    return operate


async def async_decorator(policy: RetryPolicy, operation: Operation) -> Any:
    @policy
    async def operate() -> Any:
        return operation()

    return await operate()


async def async_call(policy: RetryPolicy, operation: Operation) -> Any:
    return await policy.call(asynchronous(operation))


async def late_decorator(policy: RetryPolicy, operation: Operation) -> Any:
    """Of a function that does not look asynchronous, and gives something to await."""
    operate = asynchronous(operation)

    @policy
    def send() -> Awaitable[Any]:
        return operate()

    return await send()


async def late_call(policy: RetryPolicy, operation: Operation) -> Any:
    operate = asynchronous(operation)
    return await policy.call(lambda: operate())


async def async_block(policy: RetryPolicy, operation: Operation) -> Any:
    value = None
    async for attempt in policy:
        with attempt:
            value = operation()
            attempt.result(value)
    return value


async def async_with_block(policy: RetryPolicy, operation: Operation) -> Any:
    value = None
    async for attempt in policy:
        async with attempt:
            value = operation()
            attempt.result(value)
    return value


async def async_connect(policy: RetryPolicy, operation: Operation) -> Any:
    async with policy.connect(OpenedAsync, operation) as value:
        return value


class Surface:
    """One way in: `play` tries an operation (a function without arguments) by it, on an event loop if need be."""

    def __init__(self, way: Callable[[RetryPolicy, Operation], Any]) -> None:
        self.way = way
        self.name = way.__name__
        self.is_async = inspect.iscoroutinefunction(way)
        self.is_block = "block" in self.name
        self.is_connect = "connect" in self.name

    def play(self, policy: RetryPolicy, operation: Operation) -> Any:
        return asyncio.run(self.way(policy, operation)) if self.is_async else self.way(policy, operation)

    def fail(self, policy: RetryPolicy, operation: Operation) -> BaseException:
        """The error that comes out of it; without the frames of whoever catches it here."""
        error = self.run(self.caught(policy, operation))
        assert error is not None, f"{self.name} raised nothing"
        return error

    def run(self, body: Any) -> Any:
        """Run a coroutine on an event loop; without one where this way is synchronous (it never suspends then)."""
        if self.is_async:
            return asyncio.run(body)
        with pytest.raises(StopIteration) as done:
            body.send(None)
        return done.value.value

    async def attempt(self, policy: RetryPolicy, operation: Operation) -> Any:
        """As `play`, from inside of `run`."""
        played = self.way(policy, operation)
        return await played if self.is_async else played

    async def caught(self, policy: RetryPolicy, operation: Operation) -> BaseException | None:
        """The error that comes out of it."""
        try:
            played = self.way(policy, operation)
            if self.is_async:
                await played
        except BaseException as error:
            return error
        return None


WAYS = [
    decorator, call, block, connect,
    async_decorator, async_call, late_decorator, late_call, async_block, async_with_block, async_connect,
]  # fmt: skip


@pytest.fixture
def surfaces() -> list[Surface]:
    """All ways in, for a case that is about each of them."""
    return [Surface(way) for way in WAYS]


@pytest.fixture(params=[Surface(way) for way in WAYS], ids=lambda surface: surface.name)
def surface(request: pytest.FixtureRequest) -> Surface:
    """Each way in, in turn."""
    chosen: Surface = request.param
    return chosen


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody keep log records, which hold what they tell of."""
    monkeypatch.setattr(logging.getLogger("redouble"), "disabled", True)
