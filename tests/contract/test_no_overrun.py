"""A deadline holds: no call ends after it, whatever would keep it."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import trio

from redouble import Cooldown, constant, deadline, retry, transient
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from redouble.testing import FakeClock

LIMIT = 10.0
RESET = ConnectionResetError("reset")
HOUR = transient(ConnectionError, retry_after=3600)
TIMELY = retry(deadline=LIMIT)


def hung(clock: FakeClock) -> None:
    """An operation that hangs for as long as it is allowed to, and fails then."""

    def read(timeout: float = 3600.0) -> None:
        clock.sleep(timeout)
        raise TimeoutError

    TIMELY(timeout_as="timeout", backoff=constant(0.1)).call(read)


def last_sleep(clock: FakeClock) -> None:
    """A wait that would end just after the deadline."""
    TIMELY(backoff=constant(4)).call(fails)


def nested(clock: FakeClock) -> None:
    """An inner call that would go on for an hour, in each attempt of an outer one."""
    TIMELY.call(lambda: retry(deadline=3600, backoff=constant(3)).call(fails))


def hour(clock: FakeClock) -> None:
    """A server that asks for an hour, of a policy that would grant it."""
    TIMELY(on=HOUR, max_hint=None).call(fails)


def hour_for_others(clock: FakeClock) -> None:
    """A server that asked another call for an hour."""
    shared = Cooldown()
    shared.under(clock).hold(3600)
    TIMELY(max_hint=None, cooldown=shared, backoff=constant(1)).call(fails)


def scope(clock: FakeClock) -> None:
    """A hundred attempts, beneath a scope."""
    with deadline(LIMIT):
        retry(attempts=100, backoff=constant(3)).call(fails)


def fails() -> None:
    raise RESET


async def fails_async() -> None:
    raise RESET


async def hung_async(sleep: Any) -> None:
    @TIMELY
    async def hang() -> None:
        await sleep(3600)

    await hang()


async def last_sleep_async(sleep: Any) -> None:
    await TIMELY(backoff=constant(4)).call(fails_async)


async def nested_async(sleep: Any) -> None:
    @retry(deadline=3600, backoff=constant(3))
    async def inner() -> None:
        await sleep(0.5)
        raise RESET

    await TIMELY.call(inner)


async def nested_hang_async(sleep: Any) -> None:
    @retry(deadline=3600)
    async def inner() -> None:
        await sleep(3600)

    await TIMELY.call(inner)


async def hour_async(sleep: Any) -> None:
    await TIMELY(on=HOUR, max_hint=None).call(fails_async)


async def scope_async(sleep: Any) -> None:
    async with deadline(LIMIT):
        await sleep(3600)


IN_THREADS = [hung, last_sleep, nested, hour, hour_for_others, scope]
IN_COROUTINES = [hung_async, last_sleep_async, nested_async, nested_hang_async, hour_async, scope_async]


@pytest.mark.parametrize("case", IN_THREADS, ids=lambda case: case.__name__)
def test_in_threads(case: Callable[[FakeClock], None]) -> None:
    """In virtual time, where nothing else takes any, the error comes out at the deadline or before it."""
    with fake_time() as clock:
        with pytest.raises((ConnectionError, TimeoutError)):
            case(clock)
        assert clock.now() <= LIMIT + 1e-6


@pytest.mark.parametrize("host", ["asyncio", "trio"])
@pytest.mark.parametrize("case", IN_COROUTINES, ids=lambda case: case.__name__)
def test_in_coroutines(case: Callable[[Any], Coroutine[Any, Any, None]], host: str) -> None:
    """An attempt that hangs is cut off at the deadline, on either host."""
    with fake_time() as clock:
        with pytest.raises((ConnectionError, TimeoutError)):
            if host == "asyncio":
                asyncio.run(case(asyncio.sleep))
            else:
                trio.run(case, trio.sleep, clock=clock.trio)
        assert clock.now() <= LIMIT + 1e-6
