"""Work in a fresh context leaves the deadline around what started it, on threads, asyncio and trio."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

import pytest
import trio

from redouble import DeadlineExceeded, constant, deadline, override, poll, remaining, retry, watchdog
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENT = retry(attempts=20, on=OSError, backoff=constant(60))
OUTCOMES = *[OSError("down")] * 9, "everything"


@pytest.mark.parametrize("around", [deadline, watchdog])
def test_in_threads(around: Any) -> None:
    """A call and a loop within a fresh context take longer than what is around has; the caller gets what they return."""

    def pull() -> Any:
        assert remaining() is None
        found = PATIENT.call(scripted(*OUTCOMES))
        return poll(scripted(*["no"] * 9, found), interval=60, until=lambda value: value != "no")

    with fake_time() as clock:
        with around(30), fresh(clock) as context:
            assert context.run(pull) == "everything"
        assert clock.now() == 2 * 540


def test_in_asyncio() -> None:
    """A task with a context of its own outlives the scope that cancels its body; one without it does not."""

    async def main() -> None:
        pull = PATIENT(scripted(*OUTCOMES, asynchronous=True))
        bounded = PATIENT(scripted(*OUTCOMES, asynchronous=True))
        with pytest.raises(DeadlineExceeded):
            async with deadline(30):
                task = asyncio.create_task(pull(), context=context)
                within = asyncio.create_task(bounded())
                await asyncio.sleep(1000)
        assert clock.now() == 30
        assert await task == "everything"
        assert clock.now() == 540
        with pytest.raises(OSError):
            await within

    with fake_time() as clock, fresh(clock) as context:
        asyncio.run(main())


def test_in_trio() -> None:
    """A task that a nursery outside of the scope starts from a fresh context outlives that scope."""
    found = []

    async def main() -> None:
        pull = PATIENT(scripted(*OUTCOMES, asynchronous=True))

        async def keep() -> None:
            found.append((await pull(), clock.now()))

        async with trio.open_nursery() as nursery:
            with pytest.raises(DeadlineExceeded):
                async with deadline(30):
                    context.run(nursery.start_soon, keep)
                    await trio.sleep(1000)
            assert clock.now() == 30

    with fake_time() as clock, fresh(clock) as context:
        trio.run(main, clock=clock.trio)
    assert found == [("everything", 540)]


@contextmanager
def fresh(clock: Any) -> Iterator[Context]:
    """Make a context that knows of nothing but the fake clock, as long as this lasts."""
    context, scope = Context(), override(clock=clock, draw=lambda: 0.5)
    context.run(scope.__enter__)
    try:
        yield context
    finally:
        context.run(scope.__exit__, None, None, None)
