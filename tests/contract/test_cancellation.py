"""Cancellation, Ctrl-C, stop and time limits: everything ends at once, and nothing is called again."""

# ruff: noqa: D103  # stand-ins need no docstring and may have short names; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import DeadlineExceeded, Reason, constant, deadline, outcome, retry
from redouble.testing import HANG, FakeClock, scripted
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redouble import RetryPolicy

policy = retry(attempts=9, on=OSError, backoff=constant(10))
Play = "Callable[[RetryPolicy, Any], Awaitable[Any]]"


async def by_decorator(policy: RetryPolicy, operation: Any) -> Any:
    return await policy(operation)()


async def by_late_call(policy: RetryPolicy, operation: Any) -> Any:
    return await policy(timeout_as="timeout").call(lambda **timeout: operation())


async def by_block(policy: RetryPolicy, operation: Any) -> Any:
    async for attempt in policy:
        with attempt:
            return await operation()
    raise AssertionError


class Connected:
    def __init__(self, value: Any) -> None:
        self.value = value

    async def aclose(self) -> None: ...


async def by_connect(policy: RetryPolicy, operation: Any) -> Any:
    async def opening() -> Connected:
        return Connected(await operation())

    async with policy.connect(opening) as connected:
        return connected.value


@pytest.fixture(params=[by_decorator, by_late_call, by_block, by_connect], ids=lambda way: way.__name__)
def play(request: pytest.FixtureRequest) -> Any:
    """Each way to await an operation that can be cancelled."""
    return request.param


# Cancellation.


@pytest.mark.parametrize("before", [0, 2])
def test_cancelled_during_an_attempt(play: Any, clock: FakeClock, before: int) -> None:
    """A task that is cancelled while the operation runs ends at once, with `CancelledError`."""
    operation = scripted(*[OSError] * before, HANG, asynchronous=True)

    async def main() -> None:
        task = asyncio.create_task(play(policy, operation))
        await asyncio.sleep(before * 10 + 1)
        task.cancel("by the user")
        with pytest.raises(asyncio.CancelledError, match="by the user"):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert len(operation.calls) == before + 1 and clock.now() == before * 10 + 1


@pytest.mark.parametrize("fields", [{}, {"on": None}, {"deadline": 99}, {"deadline": 99, "attempt_timeout": 60}])
def test_cancelled_during_a_wait(play: Any, clock: FakeClock, fields: dict[str, Any]) -> None:
    """A task that is cancelled while it waits for the next attempt ends at once, too."""
    operation = scripted(OSError, asynchronous=True)
    given = policy(**{"attempts": None, "deadline": None, **fields, "on": OSError})

    async def main() -> None:
        task = asyncio.create_task(play(given, operation))
        await asyncio.sleep(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.__context__ is None or not isinstance(caught.value.__context__, OSError)

    asyncio.run(main())
    assert len(operation.calls) == 1 and clock.now() == 4.0


def test_cancelled_during_a_wait_of_zero(play: Any, clock: FakeClock) -> None:
    """Even a wait of 0 s sees a cancellation, so that a loop of failures can be stopped."""
    calls = []

    async def operation() -> None:
        calls.append(1)
        raise OSError("down")

    async def main() -> None:
        task = asyncio.create_task(play(retry(attempts=None, on=OSError, backoff=constant(0)), operation))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert 1 <= len(calls) <= 20


def test_a_timeout_of_asyncio_around(play: Any, clock: FakeClock) -> None:
    """`asyncio.timeout` around a retried call ends it in a wait or in an attempt, with its own TimeoutError."""

    async def main(operation: Any, ends: float) -> None:
        began = clock.now()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(ends):
                await play(policy, operation)
        assert clock.now() - began == ends and outcome(caught.value) is None
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)

    asyncio.run(main(scripted(OSError, asynchronous=True), 5))
    asyncio.run(main(scripted(OSError, HANG, asynchronous=True), 15))


def test_a_timeout_of_asyncio_inside(play: Any, clock: FakeClock) -> None:
    """`asyncio.timeout` inside of the operation is the operation's own error: judged, and retried where a rule says so."""
    calls = []

    async def operation() -> str:
        calls.append(clock.now())
        if len(calls) == 3:
            return "body"
        async with asyncio.timeout(2):
            await asyncio.get_running_loop().create_future()
        raise AssertionError

    assert asyncio.run(play(policy(on=TimeoutError, deadline=999, attempt_timeout=50), operation)) == "body"
    assert calls == [0.0, 12.0, 24.0]


def test_a_task_group_around(play: Any, clock: FakeClock) -> None:
    """A sibling that fails in a TaskGroup cancels a retried call in its wait."""
    operation = scripted(OSError, asynchronous=True)

    async def sibling() -> None:
        await asyncio.sleep(3)
        raise KeyError("the sibling's")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(play(policy, operation))
            group.create_task(sibling())

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert [type(error) for error in caught.value.exceptions] == [KeyError]
    assert len(operation.calls) == 1 and clock.now() == 3.0


def test_a_task_group_inside(play: Any, clock: FakeClock) -> None:
    """A TaskGroup inside of the operation raises a group, of which every leaf must be transient."""
    outcomes = [[OSError("1"), OSError("2")], [OSError("3"), KeyError("4")]]
    groups = iter(outcomes)

    async def fail(error: Exception) -> None:
        raise error

    async def operation() -> None:
        async with asyncio.TaskGroup() as group:
            for error in next(groups):
                group.create_task(fail(error))

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(play(policy, operation))
    assert list(caught.value.exceptions) == outcomes[1]
    assert outcome(caught.value).reason is Reason.PERMANENT  # type: ignore[union-attr]
    assert clock.sleeps == [10]


def test_a_cancellation_that_the_operation_makes_itself(play: Any, clock: FakeClock) -> None:
    """A `CancelledError` that the operation raises, of a task that it awaited, passes as well."""
    calls = []

    async def operation() -> None:
        calls.append(1)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await play(policy(attempts=None, deadline=99, attempt_timeout=50), operation)

    asyncio.run(main())
    assert calls == [1]


# Ctrl-C.


class CtrlC(FakeClock):
    """A clock during whose sleeps somebody presses Ctrl-C."""

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        super().sleep(seconds)
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Hear of SIGINT also where this process was started with it ignored, as in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_a_wait() -> None:
    """Ctrl-C ends a synchronous wait, and nothing is called again; the error that was waited for is not its context."""
    for way in ("decorator", "call", "block", "connect"):
        clock, operation = CtrlC(), scripted(OSError)
        given = policy(clock=clock)
        with pytest.raises(KeyboardInterrupt) as caught:
            if way == "decorator":
                given(operation)()
            elif way == "call":
                given.call(operation)
            elif way == "connect":
                with given.connect(operation):
                    pass
            else:
                for attempt in given:
                    with attempt:
                        operation()
        assert len(operation.calls) == 1 and clock.sleeps == [10]
        assert caught.value.__context__ is None


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("stop", [None, threading.Event()], ids=["sleep", "stop"])
def test_ctrl_c_on_the_system_clock(monkeypatch: pytest.MonkeyPatch, stop: threading.Event | None) -> None:
    """So it does in a real wait."""

    def interrupted(*_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        return True

    monkeypatch.setattr("time.sleep", interrupted)
    monkeypatch.setattr(threading.Event, "wait", interrupted)
    operation = scripted(OSError)
    with pytest.raises(KeyboardInterrupt):
        policy(stop=stop).call(operation)
    assert len(operation.calls) == 1


@contextlib.contextmanager
def alarms() -> Iterator[None]:
    """SIGUSR1 raises an exception from its handler."""

    def alarm(*_: object) -> None:
        raise TimeoutError("from the alarm")

    before = signal.signal(signal.SIGUSR1, alarm)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception from a signal handler during a real wait is the caller's: it is no failure of the clock."""
    monkeypatch.setattr("time.sleep", lambda _: signal.raise_signal(signal.SIGUSR1))
    operation = scripted(OSError)
    with alarms(), pytest.raises(TimeoutError, match="from the alarm"):
        policy.call(operation)
    assert len(operation.calls) == 1


def test_a_real_wait_of_asyncio_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is in asyncio."""

    async def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGUSR1)

    operation = scripted(OSError, asynchronous=True)

    async def main() -> None:
        monkeypatch.setattr(asyncio, "sleep", interrupted)
        await policy.call(operation)

    with alarms(), pytest.raises(TimeoutError, match="from the alarm"):
        asyncio.run(main())
    assert len(operation.calls) == 1


# stop.


def test_stop_from_another_thread(clock: FakeClock) -> None:
    """`stop` set by another thread ends a synchronous wait at once."""
    for way in ("call", "block", "connect"):
        stop, operation = threading.Event(), scripted(OSError("down"))
        given = policy(stop=stop)
        trap, began = clock.trap(), clock.now()

        def stop_it(trap: Any = trap, stop: threading.Event = stop) -> None:
            trap.wait()
            stop.set()

        thread = threading.Thread(target=stop_it)
        thread.start()
        with pytest.raises(OSError, match="down") as caught:
            if way == "call":
                given.call(operation)
            elif way == "connect":
                with given.connect(operation):
                    pass
            else:
                for attempt in given:
                    with attempt:
                        operation()
        thread.join()
        trap.release()
        assert outcome(caught.value).reason is Reason.STOPPED  # type: ignore[union-attr]
        assert len(operation.calls) == 1 and clock.now() == began


@pytest.mark.parametrize("kind", [threading.Event, asyncio.Event])
def test_stop_from_another_task(play: Any, clock: FakeClock, kind: type[Any]) -> None:
    """`stop` set by another task ends a wait of asyncio: an `asyncio.Event` at once, a `threading.Event` soon."""
    operation = scripted(OSError("down"), asynchronous=True)

    async def main() -> None:
        stop = kind()
        if play is by_late_call and kind is asyncio.Event:
            play_ = asyncio.create_task(policy(stop=stop).call(lambda: operation()))
        else:
            play_ = asyncio.create_task(play(policy(stop=stop), operation))
        await asyncio.sleep(4)
        stop.set()
        with pytest.raises(OSError, match="down") as caught:
            await play_
        assert outcome(caught.value).reason is Reason.STOPPED  # type: ignore[union-attr]

    asyncio.run(main())
    assert len(operation.calls) == 1
    assert 4.0 <= clock.now() <= (4.0 if kind is asyncio.Event else 4.051)


def test_stop_from_a_thread_in_asyncio(clock: FakeClock) -> None:
    """`stop` set by a thread ends a wait of asyncio."""
    operation = scripted(OSError("down"), asynchronous=True)
    stop = threading.Event()

    async def main() -> None:
        task = asyncio.create_task(policy(stop=stop).call(operation))
        await asyncio.sleep(1)
        await asyncio.to_thread(stop.set)
        with pytest.raises(OSError, match="down"):
            await task

    asyncio.run(main())
    assert len(operation.calls) == 1 and clock.now() < 2


def test_stop_does_not_cut_an_attempt(play: Any, clock: FakeClock) -> None:
    """An attempt that runs is left to end; if it succeeds, that counts."""
    stop = threading.Event()

    async def operation() -> str:
        stop.set()
        await asyncio.sleep(5)
        return "body"

    assert asyncio.run(play(policy(stop=stop), operation)) == "body"


# attempt_timeout, and a written deadline.


def test_attempt_timeout_is_transient_whatever_the_rules(play: Any, clock: FakeClock) -> None:
    """An attempt that its timeout cuts off is tried again, even where no rule knows `TimeoutError`."""
    operation = scripted(HANG, HANG, "body", asynchronous=True)
    assert asyncio.run(play(retry(on=None, attempt_timeout=3, backoff=constant(1)), operation)) == "body"
    assert clock.now() == 8.0 and clock.sleeps == [1, 1]


def test_attempt_timeout_to_the_end(play: Any, clock: FakeClock) -> None:
    """When the attempts are used up the `TimeoutError` comes out, from the cancellation."""
    operation = scripted(HANG, HANG, asynchronous=True)
    with pytest.raises(TimeoutError, match="took longer than its timeout") as caught:
        asyncio.run(play(policy(attempts=2, attempt_timeout=3), operation))
    assert type(caught.value) is TimeoutError
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert outcome(caught.value).reason is Reason.ATTEMPTS  # type: ignore[union-attr]
    assert clock.now() == 16.0


def test_the_operations_own_timeout_error(play: Any, clock: FakeClock) -> None:
    """A `TimeoutError` of the operation's own is not mistaken for the limit's: the rules judge it."""
    error = TimeoutError("its own")
    operation = scripted(error, asynchronous=True)
    with pytest.raises(TimeoutError) as caught:
        asyncio.run(play(retry(on=ConnectionError, attempt_timeout=3), operation))
    assert caught.value is error and outcome(error) is None


def test_a_timeout_error_while_being_cut_off(play: Any, clock: FakeClock) -> None:
    """Nor is an error that the operation raises when it is cut off."""

    async def operation() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            raise KeyError("while cleaning up") from None

    async def main() -> None:
        with pytest.raises(KeyError):
            await play(policy(attempts=None, attempt_timeout=3), operation)
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0
        await asyncio.sleep(1)  # no cancellation is left over

    asyncio.run(main())
    assert clock.now() == 4.0


def test_an_operation_that_will_not_be_cut_off(play: Any, clock: FakeClock) -> None:
    """A value that comes in spite of the cut counts."""

    async def operation() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "body"
        raise AssertionError

    async def main() -> None:
        assert await play(policy(attempts=None, attempt_timeout=3), operation) == "body"
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0
        await asyncio.sleep(1)

    asyncio.run(main())


@pytest.mark.parametrize("limits", [{"attempt_timeout": 3}, {"deadline": 3}], ids=str)
@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_an_outer_cancellation_together_with_ours_wins(
    play: Any, clock: FakeClock, limits: dict[str, Any], order: str
) -> None:
    """When both fall together it is a cancellation, and nothing is tried again."""
    operation = scripted(HANG, asynchronous=True)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(play(policy(attempts=None, **limits), operation))
        if order == "theirs first":
            loop.call_later(3, task.cancel)
        else:
            await asyncio.sleep(0)
            loop.call_later(3, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert len(operation.calls) == 1 and clock.now() == 3.0


def test_a_cut_leaves_the_task_as_it_was(play: Any, clock: FakeClock) -> None:
    """After a cut the task is not being cancelled: a timeout of asyncio around it works as ever."""
    operation = scripted(HANG, HANG, "body", asynchronous=True)

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with asyncio.timeout(100):
            assert await play(policy(attempts=None, attempt_timeout=3), operation) == "body"
            assert task.cancelling() == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.sleep(2)

    asyncio.run(main())


def test_a_written_deadline_cuts_the_attempt(play: Any, clock: FakeClock) -> None:
    """Without an earlier error `DeadlineExceeded` comes from the cancellation."""
    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(play(policy(attempts=None, deadline=4), scripted(HANG, asynchronous=True)))
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert clock.now() == 4.0


def test_the_lesser_of_both_limits_cuts(play: Any, clock: FakeClock) -> None:
    """The attempt that both limits bound ends with the nearer one."""
    operation = scripted(HANG, HANG, asynchronous=True)
    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(play(policy(attempts=None, deadline=18, attempt_timeout=5), operation))
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert not isinstance(caught.value.__cause__, DeadlineExceeded)
    assert clock.now() == 18.0


def test_deadline_exceeded_is_not_retried_by_itself(play: Any, clock: FakeClock) -> None:
    """What the deadline cut off is over, whatever the rules say."""
    operation = scripted(HANG, asynchronous=True)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(play(policy(attempts=None, on=Exception, deadline=4), operation))
    assert len(operation.calls) == 1


def test_the_default_deadline_never_cancels(play: Any, clock: FakeClock) -> None:
    """The default deadline only bounds retrying: an attempt may take longer."""

    async def operation() -> str:
        await asyncio.sleep(600)
        return "body"

    assert asyncio.run(play(retry, operation)) == "body"
    assert clock.now() == 600.0


def test_the_default_deadline_bounds_retrying(play: Any, clock: FakeClock) -> None:
    """A failure after it is the last one."""

    async def operation() -> None:
        await asyncio.sleep(61)
        raise ConnectionResetError("late")

    with pytest.raises(ConnectionResetError) as caught:
        asyncio.run(play(retry, operation))
    assert outcome(caught.value).reason is Reason.DEADLINE  # type: ignore[union-attr]


def test_progress_moves_the_cut_of_a_deadline(clock: FakeClock) -> None:
    """An attempt that says that it got somewhere has its deadline before it again."""

    async def main() -> str:
        async for attempt in policy(attempts=None, deadline=10):
            with attempt:
                for _ in range(5):
                    await asyncio.sleep(8)
                    attempt.progress()
                return "body"
        raise AssertionError

    assert asyncio.run(main()) == "body"
    assert clock.now() == 40.0


def test_progress_does_not_move_the_cut_of_an_attempt(clock: FakeClock) -> None:
    """`attempt_timeout` is for the attempt, whatever it says."""

    async def main() -> None:
        async for attempt in policy(attempts=1, attempt_timeout=10):
            with attempt:
                await asyncio.sleep(8)
                attempt.progress()
                await asyncio.sleep(8)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert clock.now() == 10.0


def test_an_async_deadline_scope_cuts(play: Any, clock: FakeClock) -> None:
    """`async with deadline(...)` cancels what runs, and raises `DeadlineExceeded` itself."""
    operation = scripted(OSError, HANG, asynchronous=True)

    async def main() -> None:
        with pytest.raises(DeadlineExceeded) as caught:
            async with deadline(15) as limit:
                await play(policy, operation)
        assert limit.expired and isinstance(caught.value.__cause__, asyncio.CancelledError)

    asyncio.run(main())
    assert clock.now() == 15.0 and len(operation.calls) == 2


def test_an_inner_cut_is_an_outer_failure(play: Any, clock: FakeClock) -> None:
    """An inner retry whose attempts were all cut off has given up: the outer one does not multiply it."""
    operation = scripted(HANG, HANG, asynchronous=True)
    inner = policy(attempts=2, attempt_timeout=1)
    with pytest.raises(TimeoutError) as caught:
        asyncio.run(play(retry(on=TimeoutError), inner(operation)))
    assert outcome(caught.value).reason is Reason.NESTED  # type: ignore[union-attr]


def test_without_a_task_nothing_can_be_cut(clock: FakeClock) -> None:
    """A coroutine that something else than a task drives has no time limits, and works all the same."""
    coroutine = policy(attempts=None, attempt_timeout=3, clock=SystemClock())(scripted("body", asynchronous=True))()
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value == "body"
