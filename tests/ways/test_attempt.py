"""What an attempt tells and takes."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import threading
from contextvars import Context
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Attempt, constant, current_attempt, deadline, outcome, remaining, retry, sequence
from redouble.control.around import AROUND
from redouble.testing import scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.testing import FakeClock

policy = retry(attempts=3, on=OSError, backoff=constant(1))


pytestmark = pytest.mark.usefixtures("clock")


def test_an_attempt_tells_where_it_stands(clock: FakeClock) -> None:
    """Number, failures in a row, and time since the first attempt began."""
    told = []
    for attempt in policy:
        with attempt:
            told.append((attempt.number, attempt.failures, attempt.elapsed))
            clock.advance(2)
            if attempt.number < 3:
                raise OSError("down")
    assert told == [(1, 0, 0.0), (2, 1, 3.0), (3, 2, 6.0)]


def test_an_attempt_tells_what_is_left(clock: FakeClock) -> None:
    """`remaining` is what is left until the deadline, `None` without one, never below 0."""
    told = []
    for attempt in policy(attempts=None, deadline=10):
        with attempt:
            told.append(attempt.remaining)
            clock.advance(3)
            told.append(attempt.remaining)
            if attempt.number == 1:
                raise OSError("down")
            clock.advance(9)
            told.append(attempt.remaining)
    assert told == [10.0, 7.0, 6.0, 3.0, 0.0]
    for attempt in policy:
        with attempt:
            assert (attempt.remaining, attempt.timeout) == (None, None)


def test_an_attempt_tells_its_timeout(clock: FakeClock) -> None:
    """`timeout` is `attempt_timeout`, never more than what is left."""
    told = []
    for attempt in policy(attempts=None, attempt_timeout=4, deadline=10):
        with attempt:
            clock.advance(1)
            told.append(attempt.timeout)
            if attempt.number < 5:
                raise OSError("down")
    assert told == [4.0, 4.0, 4.0, 3.0, 1.0]
    for attempt in policy(deadline=3):
        with attempt:
            assert attempt.timeout == 3.0
    for attempt in policy(attempt_timeout=3):
        with attempt:
            assert attempt.timeout == 3.0


@pytest.mark.parametrize("asynchronous", [False, True])
def test_timeout_as_hands_out_the_timeout(clock: FakeClock, asynchronous: bool) -> None:
    """Each attempt gets its timeout under that keyword: the least of `attempt_timeout` and what is left."""
    given = policy(attempts=None, attempt_timeout=4, deadline=10, timeout_as="timeout", backoff=constant(3))
    operation = scripted(OSError, OSError, OSError, "body", asynchronous=asynchronous)
    if asynchronous:

        @given
        async def fetch_async(*, timeout: float = 99) -> Any:
            return await operation(timeout=timeout)

        asyncio.run(fetch_async())
    else:

        @given
        def fetch(*, timeout: float = 99) -> Any:
            return operation(timeout=timeout)

        fetch()
    assert [call[1]["timeout"] for call in operation.calls] == [4.0, 4.0, 4.0, 1.0]


def test_timeout_as_takes_the_place_of_the_callers(clock: FakeClock) -> None:
    """What the caller gave under that keyword is replaced; without a limit it stays."""

    def fetch(timeout: float) -> float:
        return timeout

    assert policy(timeout_as="timeout", attempt_timeout=4)(fetch)(timeout=99) == 4.0
    assert policy(timeout_as="timeout")(fetch)(timeout=99) == 99


def test_timeout_as_of_connect(clock: FakeClock) -> None:
    """`connect` hands it out as well."""
    opened = scripted(OSError, memoryview(b""))
    with policy(timeout_as="timeout", attempt_timeout=4).connect(opened, "host"):
        pass
    assert opened.calls == [(("host",), {"timeout": 4.0})] * 2


def test_progress(clock: FakeClock) -> None:
    """After `progress()` failures, curve and deadline begin again."""
    told = []
    for attempt in policy(attempts=2, deadline=10, backoff=sequence(1, 2)):
        with attempt:
            told.append((attempt.failures, attempt.remaining))
            clock.advance(3)
            if attempt.number < 5:
                attempt.progress()
                assert (attempt.failures, attempt.remaining) == (0, 10.0)
                raise OSError("down")
    assert told == [(0, 10.0), (1, 9.0), (1, 9.0), (1, 9.0), (1, 9.0)]
    assert clock.sleeps == [1] * 4


def test_progress_after_the_attempt_is_refused() -> None:
    """When the attempt is over there is nothing to get anywhere with."""
    for attempt in policy:
        with attempt:
            pass
    with pytest.raises(RuntimeError, match=r"progress\(\) is for an attempt under way, and this one is over"):
        attempt.progress()


# current_attempt


def deeper(found: list[Any]) -> None:
    attempt = current_attempt()
    assert attempt is not None
    found.append((attempt.number, attempt.failures, attempt.remaining))


def test_current_attempt_in_every_way_in(clock: FakeClock) -> None:
    """It is found from deeper down, in functions, calls, blocks and connects, in the first attempt and later ones."""
    given = policy(deadline=10)

    def operation() -> memoryview:
        deeper(found)
        if len(found) < 2:
            raise OSError("down")
        return memoryview(b"")

    def by_block() -> None:
        for attempt in given:
            with attempt:
                operation()

    def by_connect() -> None:
        with given.connect(operation):
            pass

    for way in (given(operation), lambda: given.call(operation), by_block, by_connect):
        found: list[Any] = []
        way()
        assert found == [(1, 0, 10.0), (2, 1, 9.0)]


def test_current_attempt_in_asyncio(clock: FakeClock) -> None:
    """So it is in coroutines."""
    given = policy(deadline=10)

    async def operation() -> Any:
        await asyncio.sleep(1)
        deeper(found)
        if len(found) < 2:
            raise OSError("down")

        class Opened:
            async def aclose(self) -> None: ...

        return Opened()

    async def by_block() -> None:
        async for attempt in given:
            with attempt:
                await operation()

    async def by_connect() -> None:
        async with given.connect(operation):
            pass

    async def by_late_call() -> None:
        await given.call(lambda: operation())

    for way in (given(operation), by_late_call, by_block, by_connect):
        found: list[Any] = []
        asyncio.run(way())  # type: ignore[arg-type]
        assert found == [(1, 0, 9.0), (2, 1, 7.0)]


def test_current_attempt_is_the_innermost() -> None:
    """Of nested attempts it is the inner one; after that the outer one again."""
    found = []

    def inner() -> None:
        deeper(found)

    for attempt in policy(deadline=10):
        with attempt:
            deeper(found)
            policy(deadline=5).call(inner)
            for each in policy(deadline=7):
                with each:
                    assert current_attempt() is each
                    deeper(found)
            assert current_attempt() is attempt
    assert [each[2] for each in found] == [10.0, 5.0, 7.0]


def test_current_attempt_outside() -> None:
    """Outside of any attempt there is none: not before, not between, not after, not in another thread."""
    assert current_attempt() is None
    seen = []
    for attempt in policy:
        seen.append(current_attempt())
        with attempt:
            thread = threading.Thread(target=Context().run, args=(lambda: seen.append(current_attempt()),))
            thread.start()
            thread.join()
        seen.append(current_attempt())
    assert seen == [None] * 3


def test_current_attempt_travels_with_copied_contexts() -> None:
    """Tasks and `to_thread` get a copy of the context, and the attempt with it; for as long as it is under way."""
    seen: list[Any] = []

    async def another_task() -> None:
        seen.append(current_attempt())

    async def main() -> None:
        async for attempt in policy:
            with attempt:
                await asyncio.create_task(another_task())
                await asyncio.to_thread(lambda: seen.append(current_attempt()))
                late = asyncio.create_task(another_task())
            await late
            assert seen == [attempt, attempt, None]

    asyncio.run(main())
    assert len(seen) == 3


def test_current_attempt_makes_progress(clock: FakeClock) -> None:
    """What is found in a function can tell of progress."""
    operation = scripted(OSError, OSError, OSError, "body")

    @policy(attempts=2)
    def fetch() -> Any:
        attempt = current_attempt()
        assert attempt is not None
        attempt.progress()
        return operation()

    assert fetch() == "body" and clock.sleeps == [1, 1, 1]


@pytest.mark.parametrize("first", [True, False])
def test_current_attempt_in_a_function_takes_no_result(first: bool) -> None:
    """There the returned value is judged."""

    @policy
    def fetch() -> str:
        attempt = current_attempt()
        assert type(attempt) is Attempt
        with pytest.raises(RuntimeError, match="of a retried function the returned value is judged"):
            attempt.result("body")
        if attempt.number == 1 and not first:
            raise OSError("down")
        return "body"

    assert fetch() == "body"


def test_asking_for_the_current_attempt_changes_nothing(clock: FakeClock) -> None:
    """A call whose first attempt was looked at goes on as any other: limits, name and all."""

    @policy
    def fetch() -> None:
        assert remaining() is None
        deeper([])
        raise OSError("down")

    with pytest.raises(OSError, match="down") as caught:
        fetch()
    end = outcome(caught.value)
    assert end is not None and (end.attempts, end.elapsed) == (3, 2.0)
    assert end.name is not None and end.name.endswith("fetch")


def test_asking_on_the_system_clock() -> None:
    """So it does where the call had no state yet; only a written deadline is told."""
    found: list[Any] = []
    assert retry.call(lambda: deeper(found)) is None
    assert retry(deadline=60).call(lambda: deeper(found)) is None
    assert found[0] == (1, 0, None)
    assert found[1][:2] == (1, 0) and 59 < found[1][2] <= 60

    async def ask() -> None:
        deeper(found)

    asyncio.run(retry.call(ask))
    asyncio.run(retry(deadline=60).call(ask))
    assert found[2] == (1, 0, None)
    assert found[3][:2] == (1, 0) and 59 < found[3][2] <= 60


def test_blocks_leave_nothing_behind() -> None:
    """Open attempts are forgotten when they end, also by an error, a `break` or Ctrl-C."""
    before = AROUND.get()
    for attempt in policy:
        with attempt:
            break
    with pytest.raises(KeyError):
        for attempt in policy:
            with attempt:
                raise KeyError("not there")
    with pytest.raises(KeyboardInterrupt):
        for attempt in policy:
            with attempt:
                raise KeyboardInterrupt
    assert AROUND.get() is before and current_attempt() is None


def test_a_scope_that_is_over_bounds_no_more(clock: FakeClock) -> None:
    """`deadline(...)` bounds `remaining` of the attempts beneath it, and of no others."""

    def left() -> float | None:
        for attempt in policy:
            with attempt:
                return attempt.remaining
        raise AssertionError

    with deadline(5):
        assert left() == 5.0
    assert left() is None


@pytest.mark.parametrize("make", [iter, lambda policy: policy.__aiter__()])
def test_the_repr_names_attempt_and_function(make: Callable[[Any], Any]) -> None:
    """For logs and debuggers."""
    for attempt in policy(name="fetch"):
        with attempt:
            assert repr(attempt).startswith("<redouble.") and "1 of fetch" in repr(attempt)
    found = policy.call(current_attempt)
    assert repr(found) == "<redouble.Attempt 1 of current_attempt>"
    assert isinstance(repr(make(policy)), str)
