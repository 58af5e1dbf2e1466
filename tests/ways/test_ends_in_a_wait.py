"""Floor 3. What comes back when a call ends while it waits, and when an attempt ends in what is no Exception."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from redouble import EventKind, constant, retry, transient
from redouble.testing import fake_time


def stopped_in_the_wait(**fields: Any) -> Any:
    """A policy that is stopped as soon as it waits for the first time."""
    stop = threading.Event()

    def observe(event: Any) -> None:
        if event.kind is EventKind.RETRY:
            stop.set()

    return retry(stop=stop, observers=[observe], backoff=constant(1), attempts=5, **fields)


UNWANTED = transient(when=lambda value: value == "busy")


async def busy() -> str:
    """What is not wanted."""
    return "busy"


def test_an_unwanted_result_of_a_coroutine_is_returned_when_stopped() -> None:
    """The last value comes back as it is."""
    with fake_time():
        assert asyncio.run(stopped_in_the_wait(result=UNWANTED)(busy)()) == "busy"


def test_an_unwanted_result_of_an_awaitable_is_returned_when_stopped() -> None:
    """So it does where a function turned out to give something to await."""
    with fake_time():
        assert asyncio.run(stopped_in_the_wait(result=UNWANTED).call(lambda: busy())) == "busy"


def test_an_async_block_with_an_unwanted_result_ends_when_stopped() -> None:
    """The loop just ends: the block has kept its value itself."""
    numbers = []

    async def main() -> None:
        async for attempt in stopped_in_the_wait(result=UNWANTED):
            async with attempt:
                numbers.append(attempt.number)
                attempt.result("busy")

    with fake_time():
        asyncio.run(main())
    assert numbers == [1]


class Halt(BaseException):
    """No Exception, and nobody's cancellation."""


def test_what_is_no_exception_leaves_a_first_attempt_in_asyncio() -> None:
    """It passes before anything of the retry was made."""

    async def halt() -> None:
        raise Halt

    with pytest.raises(Halt):
        asyncio.run(retry(halt)())


class Answer:
    """Awaitable, and nothing that could be closed."""

    def __await__(self) -> Any:
        yield


class Opened:
    """Tells only when it is closed that closing is asynchronous."""

    def close(self) -> Answer:
        return Answer()


def test_a_close_that_turns_out_to_be_asynchronous_is_told() -> None:
    """Under a plain `with` nobody can await it, and a body that ended well must hear of that."""
    with pytest.raises(TypeError, match="write `async with`"), retry.connect(Opened):
        pass
