"""The loop of asyncio: its waits, and the asynchronous block form."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, StillPending, constant, outcome, pending, retry, sequence
from redouble.testing import HANG, scripted

if TYPE_CHECKING:
    from redouble import Event
    from redouble.testing import FakeClock

policy = retry(attempts=3, on=OSError, backoff=constant(1))
FLAKY = (OSError, OSError, "body")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `asyncio.sleep` was asked for, on the system's clock."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


def test_a_wait_is_one_sleep(slept: list[float]) -> None:
    """On the system's clock the task sleeps, once for each wait; a wait of 0 s lets the others run."""
    operation = scripted(*FLAKY, asynchronous=True)
    assert asyncio.run(policy(backoff=sequence(0, 2)).call(operation)) == "body"
    assert slept == [0.0, 2.0]


def test_a_wait_in_a_late_call(slept: list[float]) -> None:
    """So it does where something to await came back from a function that does not look asynchronous."""
    operation = scripted(*FLAKY, asynchronous=True)

    async def main() -> Any:
        return await policy.call(lambda: operation())

    assert asyncio.run(main()) == "body" and slept == [1.0, 1.0]


def test_nothing_is_waited_for_in_a_synchronous_way(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait of asyncio blocks the thread: the other tasks go on."""
    monkeypatch.setattr(clock, "sleep", lambda *_: pytest.fail("a synchronous wait"))
    ticks = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.5)
            ticks.append(clock.now())

    async def main() -> None:
        ticking = asyncio.create_task(tick())
        assert await policy.call(scripted(*FLAKY, asynchronous=True)) == "body"
        ticking.cancel()

    asyncio.run(main())
    assert len(ticks) >= 3


def test_a_block(clock: FakeClock) -> None:
    """The body runs until it succeeds; `with attempt` and `async with attempt` are the same."""
    operation = scripted(*FLAKY, *FLAKY, asynchronous=True)

    async def main() -> list[int]:
        numbers = []
        async for attempt in policy:
            with attempt:
                numbers.append(attempt.number)
                await operation()
        async for attempt in policy:
            async with attempt:
                numbers.append(attempt.number)
                await operation()
        return numbers

    assert asyncio.run(main()) == [1, 2, 3, 1, 2, 3]
    assert clock.sleeps == [1] * 4


def test_leaving_a_block(clock: FakeClock) -> None:
    """`break`, `return` and `continue` inside of the `with` are successes."""

    async def returns() -> str:
        async for attempt in policy:
            async with attempt:
                return "body"
        raise AssertionError

    async def main() -> list[str]:
        rounds = [await returns()]
        async for attempt in policy:
            with attempt:
                rounds.append("break")
                break
        async for attempt in policy:
            with attempt:
                rounds.append("continue")
                continue
        return rounds

    assert asyncio.run(main()) == ["body", "break", "continue"]


def test_a_forgotten_with_raises_at_the_second_pass() -> None:
    """A loop without `with attempt:` would try for ever."""

    async def main() -> None:
        async for _ in policy:
            pass

    with pytest.raises(RuntimeError, match="the attempt was never entered"):
        asyncio.run(main())


def test_a_with_that_is_still_open() -> None:
    """The next attempt cannot begin inside of the one before."""

    async def main() -> None:
        attempts = policy.__aiter__()
        with await anext(attempts):
            await anext(attempts)

    with pytest.raises(RuntimeError, match="the attempt is still open"):
        asyncio.run(main())


def test_a_block_that_is_over_stays_over(clock: FakeClock) -> None:
    """After a success, an error, or an end in a wait the iterator gives no more attempts."""
    stop = threading.Event()

    async def rest(attempts: Any) -> list[Any]:
        return [each async for each in attempts]

    async def main() -> None:
        attempts = policy.__aiter__()
        with await anext(attempts):
            pass
        assert await rest(attempts) == []
        attempts = policy.__aiter__()
        with pytest.raises(KeyError), await anext(attempts):
            raise KeyError("not there")
        assert await rest(attempts) == []
        attempts = policy(stop=stop).__aiter__()
        with await anext(attempts):
            raise OSError("down")
        stop.set()
        with pytest.raises(OSError, match="down"):
            await anext(attempts)
        assert await rest(attempts) == []

    asyncio.run(main())


def test_an_unwanted_result_that_ends_in_a_wait(clock: FakeClock) -> None:
    """A block whose result was unwanted to the end just ends; one that was still pending raises."""
    stop = threading.Event()

    def set_it(event: Event) -> None:
        stop.set()

    async def main(given: Any) -> int:
        passes = 0
        async for attempt in given:
            with attempt:
                passes += 1
                attempt.result("wait")
        return passes

    assert asyncio.run(main(policy(result=lambda value: True, stop=stop, observers=[set_it]))) == 1
    with pytest.raises(StillPending):
        asyncio.run(main(retry(result=pending(when=lambda value: True), deadline=1)))


def test_a_block_is_cut_off(clock: FakeClock) -> None:
    """The body of a block is cut off as a call is; the next pass tries again."""
    operation = scripted(HANG, HANG, "body", asynchronous=True)

    async def main() -> Any:
        async for attempt in policy(attempt_timeout=3):
            async with attempt:
                assert attempt.timeout == 3.0
                return await operation()
        raise AssertionError

    assert asyncio.run(main()) == "body" and clock.now() == 8.0


def test_a_deadline_that_has_passed_before_an_attempt_ends(clock: FakeClock) -> None:
    """A body that blocks the loop beyond the deadline cannot be cut off; its error is judged, and is the last."""

    async def main() -> None:
        async for attempt in policy(attempts=None, deadline=5):
            with attempt:
                clock.advance(5)
                raise OSError("late")

    with pytest.raises(OSError, match="late") as caught:
        asyncio.run(main())
    assert outcome(caught.value).reason is Reason.DEADLINE  # type: ignore[union-attr]


def test_a_block_in_an_async_generator(clock: FakeClock) -> None:
    """An async generator of the user's that is closed inside of a block is closed quietly."""
    closed = []

    async def rows() -> Any:
        async for attempt in policy:
            with attempt:
                try:
                    yield attempt.number
                finally:
                    closed.append(attempt.number)

    async def main() -> None:
        generator = rows()
        assert await anext(generator) == 1
        await generator.aclose()

    asyncio.run(main())
    assert closed == [1]


def test_decorated_methods_in_many_loops(clock: FakeClock) -> None:
    """A decorated coroutine function belongs to no loop."""
    operation = scripted(*FLAKY * 3, asynchronous=True)
    fetch = policy(operation)
    assert [asyncio.run(fetch()) for _ in range(3)] == ["body"] * 3
