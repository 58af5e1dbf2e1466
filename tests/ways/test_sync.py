"""The synchronous loop: what comes back decides, waits, and the block form."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, constant, outcome, retry, sequence
from redouble.control import faults
from redouble.testing import fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.testing import FakeClock

policy = retry(attempts=3, on=OSError, backoff=constant(1))
FLAKY = (OSError, OSError, "body")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `time.sleep` was asked for, on the system's clock."""
    asked: list[float] = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged once in a process may be logged again."""
    monkeypatch.setattr(faults, "_said", set())


# Waits of the system's clock.


def test_a_wait_is_one_sleep(slept: list[float]) -> None:
    """On the system's clock the thread sleeps, once for each wait."""
    assert policy(backoff=sequence(1, 2)).call(scripted(*FLAKY)) == "body"
    assert slept == [1.0, 2.0]


def test_a_wait_of_zero_is_none(slept: list[float]) -> None:
    """A wait of 0 s is skipped."""
    assert policy(backoff=constant(0)).call(scripted(*FLAKY)) == "body"
    assert slept == []


def test_a_wait_with_a_stop_event(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    """With a stop event it is that which is waited for."""
    asked: list[float | None] = []

    def wait(event: threading.Event, timeout: float | None = None) -> bool:
        asked.append(timeout)
        return False

    monkeypatch.setattr(threading.Event, "wait", wait)
    assert policy(stop=threading.Event()).call(scripted(*FLAKY)) == "body"
    assert (asked, slept) == ([1.0, 1.0], [])


def test_a_wait_that_overslept_past_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the machine was suspended in a wait, no attempt begins after the deadline; the last error is raised."""
    with fake_time() as clock:
        real_sleep = clock.sleep

        def oversleep(seconds: float, stop: Any = None) -> None:
            real_sleep(seconds)
            clock.advance(3600)

        monkeypatch.setattr(clock, "sleep", oversleep)
        operation = scripted(OSError("down"))
        with pytest.raises(OSError, match="down") as caught:
            policy(deadline=60).call(operation)
    assert outcome(caught.value).reason is Reason.DEADLINE  # type: ignore[union-attr]
    assert len(operation.calls) == 1


# A wait in a running event loop.


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return [line for line in found if "event loop" in line]


def block(operation: Callable[[], Any]) -> Any:
    for attempt in policy:
        with attempt:
            return operation()
    raise AssertionError


@pytest.mark.parametrize("way", [policy.call, block, lambda operation: policy(operation)()])
def test_a_wait_in_a_running_event_loop_is_logged_once(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, way: Callable[[Any], Any]
) -> None:
    """A synchronous wait holds up all tasks: that is said once per function, with the asynchronous spelling."""

    async def main() -> None:
        for _ in range(3):
            assert way(scripted(*FLAKY)) == "body"

    asyncio.run(main())
    assert len(lines(caplog)) == 1
    assert "a synchronous wait of 1 s holds up the running event loop" in lines(caplog)[0]
    assert "async" in lines(caplog)[0] and "to_thread" in lines(caplog)[0]


def test_a_later_wait_in_a_running_event_loop_is_logged(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Also when it is not the first one that takes time."""

    async def main() -> None:
        policy(backoff=sequence(0, 5)).call(scripted(*FLAKY))

    asyncio.run(main())
    assert len(lines(caplog)) == 1


def test_a_wait_of_the_system_clock_in_a_running_event_loop(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """On the system's clock, too; the wait is what it was."""

    async def main() -> None:
        for way in (policy.call, block, policy.call):
            assert way(scripted(*FLAKY)) == "body"

    asyncio.run(main())
    assert len(lines(caplog)) == 2  # `scripted`, and `block`
    assert slept == [1.0] * 6


def test_a_wait_elsewhere_is_not_logged(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Without a running loop in the thread nothing is said; nor where nothing is waited for."""

    async def main() -> None:
        policy(backoff=constant(0)).call(scripted(*FLAKY))
        await asyncio.to_thread(policy.call, scripted(*FLAKY))

    policy.call(scripted(*FLAKY))
    asyncio.run(main())
    assert lines(caplog) == []


# A `for` that ought to be an `async for`.


@pytest.mark.parametrize("limits", [{}, {"deadline": 5}], ids=str)
def test_a_block_in_a_coroutine_that_waits_for_nothing(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, limits: dict[str, Any]
) -> None:
    """Nothing is said of a `for` in a coroutine as long as it waits for nothing: it may be meant."""

    async def forgetful() -> Any:
        for attempt in policy(**limits):
            with attempt:
                return "body"
        raise AssertionError

    async def generator() -> Any:
        for attempt in policy(**limits):
            with attempt:
                yield "body"

    async def main() -> None:
        assert await forgetful() == "body"
        assert [each async for each in generator()] == ["body"]

    asyncio.run(main())
    assert caplog.records == []


# What comes back decides.


class Client:
    """An asynchronous client, whose calls fail twice."""

    def __init__(self) -> None:
        self.operation = scripted(*FLAKY, asynchronous=True)

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        return await self.operation(*args, **kwargs)


class Awaitable_:
    def __init__(self, operation: Callable[[], Any]) -> None:
        self.operation = operation

    def __await__(self) -> Any:
        return self.operation().__await__()


class Caller:
    def __init__(self, client: Client) -> None:
        self.client = client

    def __call__(self) -> Any:
        return self.client.get()


def in_task(client: Client) -> Any:
    return lambda: asyncio.create_task(client.get())


def in_future(client: Client) -> Any:
    def send() -> asyncio.Future[Any]:
        return asyncio.ensure_future(client.get())

    return send


LATE = {
    "lambda": lambda client: lambda: client.get(),
    "partial of lambda": lambda client: functools.partial(lambda get: get(), client.get),
    "object": Caller,
    "task": in_task,
    "future": in_future,
    "awaitable": lambda client: lambda: Awaitable_(client.get),
    "gather": lambda client: lambda: asyncio.gather(client.get()),
}


@pytest.mark.parametrize("make", LATE.values(), ids=LATE)
@pytest.mark.parametrize("decorated", [True, False])
def test_what_comes_back_decides(clock: FakeClock, make: Callable[[Client], Any], decorated: bool) -> None:
    """When an attempt returns something to await, a coroutine comes back that awaits it and goes on in asyncio."""
    client = Client()

    async def main() -> Any:
        fn = make(client)
        coming = policy(fn)() if decorated else policy.call(fn)
        assert asyncio.iscoroutine(coming)
        return await coming

    assert asyncio.run(main()) in ("body", ["body"])
    assert len(client.operation.calls) == 3 and clock.sleeps == [1, 1]


def test_what_comes_back_later_decides_too(clock: FakeClock) -> None:
    """Also when the first attempt failed before anything came back: the first wait is synchronous then."""
    client = Client()
    outcomes = iter([OSError("before"), None, None, None])

    @policy(attempts=9)
    def send() -> Any:
        error = next(outcomes)
        if error is not None:
            raise error
        return client.get()

    async def main() -> Any:
        return await send()

    assert asyncio.run(main()) == "body"
    assert len(client.operation.calls) == 3 and clock.sleeps == [1, 1, 1]


def test_what_comes_back_in_turns(clock: FakeClock) -> None:
    """A function may fail before and after it returned something to await, and return a plain value in the end."""
    operation = scripted(OSError, asynchronous=True)
    outcomes = iter([operation, OSError("in between"), "body"])

    @policy(attempts=9)
    def send() -> Any:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome() if callable(outcome) else outcome

    async def main() -> Any:
        return await send()

    assert asyncio.run(main()) == "body" and clock.sleeps == [1, 1]


def test_the_type_of_a_value_is_not_taken_for_granted(clock: FakeClock) -> None:
    """A function that returned plain values before may return something to await the next time."""
    operation = scripted("body", asynchronous=True)
    results = iter([1, 2, operation, 3])

    @policy
    def send() -> Any:
        result = next(results)
        return result() if callable(result) else result

    async def main() -> list[Any]:
        return [send(), send(), await send(), send()]

    assert asyncio.run(main()) == [1, 2, "body", 3]


def test_generators_that_come_back_are_values() -> None:
    """A generator is no awaitable unless it was made one."""
    made = (each for each in "abc")
    assert retry.call(lambda: made) is made
    assert list(retry(lambda: iter("abc"))()) == ["a", "b", "c"]


def test_arguments_of_late_attempts(clock: FakeClock) -> None:
    """Every attempt gets the arguments of the call."""
    client = Client()

    async def main() -> Any:
        return await policy.call(lambda *args, **kwargs: client.get(*args, **kwargs), 1, key=2)

    assert asyncio.run(main()) == "body"
    assert client.operation.calls == [((1,), {"key": 2})] * 3


def test_an_unwanted_late_result(clock: FakeClock) -> None:
    """The awaited value is judged, not the coroutine."""
    operation = scripted("wait", "wait", "body", asynchronous=True)

    async def main() -> Any:
        return await policy(result=lambda value: value == "wait").call(lambda: operation())

    assert asyncio.run(main()) == "body" and len(operation.calls) == 3


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_what_is_never_awaited_is_python_s_to_say() -> None:
    """A coroutine that comes back and is dropped calls nothing a second time."""
    client = Client()
    policy.call(lambda: client.get())
    gc.collect()
    assert client.operation.calls == []


# The block form.


def test_a_block(clock: FakeClock) -> None:
    """The body runs until it succeeds; then the loop ends."""
    operation, numbers = scripted(*FLAKY), []
    for attempt in policy:
        with attempt:
            numbers.append(attempt.number)
            value = operation()
    assert (value, numbers, clock.sleeps) == ("body", [1, 2, 3], [1, 1])


def test_leaving_a_block(clock: FakeClock) -> None:
    """`break`, `return` and `continue` inside of the `with` are successes."""

    def returns() -> str:
        for attempt in policy:
            with attempt:
                return "body"
        raise AssertionError

    assert returns() == "body"
    rounds = []
    for attempt in policy:
        rounds.append("break")
        with attempt:
            break
    for attempt in policy:
        rounds.append("continue")
        with attempt:
            continue
    for attempt in policy:
        with attempt:
            rounds.append("after")
        break
    assert rounds == ["break", "continue", "after"]


def test_else_of_a_block(clock: FakeClock) -> None:
    """The `else` of the loop runs after a success."""
    operation = scripted(*FLAKY)
    for attempt in policy:
        with attempt:
            operation()
    else:
        operation.calls.append(((), {}))
    assert len(operation.calls) == 4


def test_a_forgotten_with_raises_at_the_second_pass() -> None:
    """A loop without `with attempt:` would try for ever."""
    passes = 0
    with pytest.raises(RuntimeError, match="the attempt was never entered: write `with attempt:` around the body"):
        for _ in policy:
            passes += 1
    assert passes == 1


def test_a_forgotten_with_after_a_failure(clock: FakeClock) -> None:
    """Also when only a later pass forgets it."""
    passes: list[int] = []
    with pytest.raises(RuntimeError, match="never entered"):
        for attempt in policy:
            passes.append(1)
            if len(passes) == 1:
                with attempt:
                    raise OSError("down")
    assert len(passes) == 2


def test_a_with_that_is_still_open() -> None:
    """The next attempt cannot begin inside of the one before."""
    attempts = iter(policy)
    with pytest.raises(RuntimeError, match="the attempt is still open"), next(attempts):
        next(attempts)


def test_an_attempt_is_entered_once() -> None:
    """A second `with attempt:` in one pass is refused."""
    for attempt in policy:
        with attempt:
            pass
        with pytest.raises(RuntimeError, match="enters an attempt once"), attempt:
            pass


def test_a_block_that_is_over_stays_over(clock: FakeClock) -> None:
    """After a success or an error the iterator gives no more attempts."""
    attempts = iter(policy)
    with next(attempts):
        pass
    assert list(attempts) == [] and list(attempts) == []
    attempts = iter(policy)
    with pytest.raises(KeyError), next(attempts):
        raise KeyError("not there")
    assert list(attempts) == []
    attempts = iter(policy)
    with pytest.raises(KeyboardInterrupt), next(attempts):
        raise KeyboardInterrupt
    assert list(attempts) == []


def test_a_block_that_ended_in_a_wait_stays_over(clock: FakeClock) -> None:
    """So it does when it was stopped in a wait."""
    stop = threading.Event()
    attempts = iter(policy(stop=stop))
    with next(attempts):
        raise OSError("down")
    stop.set()
    with pytest.raises(OSError, match="down"):
        next(attempts)
    assert list(attempts) == []


def test_a_policy_gives_a_fresh_block_each_time(clock: FakeClock) -> None:
    """Blocks of one policy are independent, also one inside of the other."""
    seen = []
    for outer in policy:
        with outer:
            for inner in policy:
                with inner:
                    seen.append((outer.number, inner.number))
                    if len(seen) == 1:
                        raise OSError("inner")
            if len(seen) == 2:
                raise OSError("outer")
    assert seen == [(1, 1), (1, 2), (2, 1)]


def test_results_of_a_block(clock: FakeClock) -> None:
    """`attempt.result(value)` is judged when the block ends; without it there is nothing to judge."""
    seen = []
    for attempt in policy(result=lambda value: value < 3):
        with attempt:
            seen.append(attempt.number)
            attempt.result(0)
            attempt.result(attempt.number)
    assert seen == [1, 2, 3]
    for attempt in policy(result=lambda value: True):
        with attempt:
            seen.append(attempt.number)
    assert seen == [1, 2, 3, 1]


def test_the_result_of_a_failed_attempt_is_forgotten(clock: FakeClock) -> None:
    """What a failed attempt came to is not judged for a later one."""
    judged = []
    for attempt in policy(result=judged.append):
        with attempt:
            if attempt.number == 1:
                attempt.result("old")
                raise OSError("down")
    assert judged == []


def test_an_attempt_in_a_synchronous_with_of_asyncio(clock: FakeClock) -> None:
    """A synchronous block inside of a coroutine is synchronous."""

    async def main() -> int:
        for attempt in policy(backoff=constant(0)):
            with attempt:
                if attempt.number < 3:
                    raise OSError("down")
                return attempt.number
        raise AssertionError

    assert asyncio.run(main()) == 3
