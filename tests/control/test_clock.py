"""Floor 2. The system's clock, with stand-ins for its sleeps, and the protocol of clocks."""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import redouble
from redouble.control import clock as module
from redouble.control import faults
from redouble.control.clock import STOP_POLL, SYSTEM, guarded_now, is_set
from redouble.testing import FakeClock, fake_time
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `time.sleep` was asked for; it returns at once."""
    asked: list[float] = []
    monkeypatch.setattr(time, "sleep", asked.append)
    return asked


class Stop(threading.Event):
    """A stop that notes for how long it was waited for, instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


# Synchronous.


def test_the_time_is_the_monotonic_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's clock reads `time.monotonic`, whatever stands there."""
    monkeypatch.setattr(time, "monotonic", lambda: 42.0)
    assert SystemClock().now() == SYSTEM.now() == 42.0


@pytest.mark.parametrize("seconds", [0.001, 1.5, 3600])
def test_a_sleep_is_times(slept: list[float], seconds: float) -> None:
    """Without a stop it is `time.sleep` that blocks the thread."""
    SYSTEM.sleep(seconds)
    assert slept == [seconds]


@pytest.mark.parametrize("seconds", [0, 0.0, -1.0])
def test_a_sleep_of_nothing_is_none(slept: list[float], seconds: float) -> None:
    """A wait of zero, or one that is over, is not slept: `time.sleep(0)` costs, and a negative one raises."""
    SYSTEM.sleep(seconds)
    assert slept == []


def test_a_sleep_with_a_stop_is_the_stops(slept: list[float]) -> None:
    """With a stop it is the stop that is waited for, so that setting it ends the wait at once."""
    stop = Stop()
    SYSTEM.sleep(2.5, stop)
    assert (stop.waits, slept) == ([2.5], [])


def test_a_stop_that_is_set_ends_the_sleep_at_once(slept: list[float]) -> None:
    """A real stop that is set already costs no time at all."""
    stop = threading.Event()
    stop.set()
    SYSTEM.sleep(3600, stop)
    assert slept == []


def test_a_stop_set_by_another_thread_ends_the_sleep() -> None:
    """A thread that sleeps is woken by the stop, long before its time."""
    stop, over = threading.Event(), []

    def sleep() -> None:
        SYSTEM.sleep(3600, stop)
        over.append(stop.is_set())

    thread = threading.Thread(target=sleep)
    thread.start()
    stop.set()
    thread.join(30)
    assert over == [True]


class Odd:
    """A stop of another library's, whose `wait` raises."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    def is_set(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, timeout: float | None = None) -> Any:
        raise KeyError("wait")


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> list[float]:
    """As `slept`, and the clock shows what was slept."""
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(faults, "_said", set())
    return slept


@pytest.mark.parametrize("no_signals", [False, True])
def test_a_stop_that_cannot_wait_is_asked_now_and_then(
    virtual: list[float], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, no_signals: bool
) -> None:
    """It ends the wait all the same, a little later; that is logged once."""
    if no_signals:
        monkeypatch.delitem(sys.modules, "signal")
    for _ in range(2):
        SYSTEM.sleep(9, Odd([False, False, True]))
    assert virtual == [STOP_POLL] * 4
    (record,) = caplog.records
    assert record.getMessage().endswith("raised KeyError('wait'); " + module.CANNOT_WAKE)


def test_a_stop_that_can_do_nothing(virtual: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """One that cannot even be asked counts as not set: the wait is what it was."""
    SYSTEM.sleep(2.5 * STOP_POLL, Odd([ValueError("is_set")] * 9))
    assert virtual == pytest.approx([STOP_POLL, STOP_POLL, 0.5 * STOP_POLL])
    assert [record.getMessage().partition("; ")[2] for record in caplog.records] == [
        module.CANNOT_WAKE,
        "it counts as not set",
    ]


@pytest.mark.parametrize(
    ("answer", "expected"), [(True, True), (1, True), (False, False), (None, False), (ValueError(), False)]
)
def test_whether_a_stop_is_set(answer: Any, expected: bool) -> None:
    """What it answers, as a bool; one that raises is not set."""
    assert is_set(Odd([answer])) is expected


class Alarm:
    """A handler of a signal that raises an `Exception`, as a function, a method or an object."""

    def __call__(self, *_: object) -> None:
        raise TimeoutError("the alarm")

    def method(self, *_: object) -> None:
        raise TimeoutError("the alarm")


def alarm(*_: object) -> None:
    """The same as a function."""
    raise TimeoutError("the alarm")


@pytest.mark.parametrize("handler", [alarm, Alarm(), Alarm().method], ids=["function", "object", "method"])
@pytest.mark.parametrize("kind", [threading.Event, asyncio.Event, Odd])
def test_what_a_signal_raises_in_a_wait_passes(virtual: list[float], kind: type, handler: Callable[..., None]) -> None:
    """It is for the caller, whichever stop it interrupted."""
    stop: Any = kind() if kind is not Odd else Odd([])
    before = signal.signal(signal.SIGTERM, handler)
    try:
        stop.is_set = stop.wait = lambda timeout=None: signal.raise_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError, match="the alarm"):
            if kind is asyncio.Event:
                asyncio.run(SYSTEM.sleep_async(9, stop))
            else:
                SYSTEM.sleep(9, stop)
        with pytest.raises(TimeoutError, match="the alarm"):
            is_set(stop)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert virtual == []


def test_the_repr_of_the_systems_clock() -> None:
    """The repr evaluates back, and the clock needs no `__dict__`."""
    assert repr(SYSTEM) == "SystemClock()"
    assert type(SYSTEM) is SystemClock and not hasattr(SYSTEM, "__dict__")


# asyncio.


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `asyncio.sleep` was asked for; time passes by so much, and nobody waits."""
    asked: list[float] = []
    now = [100.0]
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        now[0] += seconds
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return asked


def test_an_async_sleep_is_asyncios(asleep: list[float]) -> None:
    """Without a stop it is `asyncio.sleep` that suspends the task."""
    asyncio.run(SYSTEM.sleep_async(2.5))
    assert asleep == [2.5]


def test_an_async_sleep_of_nothing_lets_others_run(asleep: list[float]) -> None:
    """A wait of zero is an `asyncio.sleep(0)`, which gives other tasks their turn."""
    asyncio.run(SYSTEM.sleep_async(0))
    assert asleep == [0]


def test_a_threading_stop_is_looked_at_in_short_steps(asleep: list[float]) -> None:
    """Nothing can await a threading.Event, so the wait looks at it every 50 ms, and never waits too long."""
    asyncio.run(SYSTEM.sleep_async(0.12, threading.Event()))
    assert [step for step in asleep if step] == pytest.approx([STOP_POLL, STOP_POLL, 0.02])
    assert STOP_POLL == 0.05


def test_a_threading_stop_ends_an_async_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A threading.Event that is set during the wait ends it at the next look."""
    stop, steps = threading.Event(), []

    async def sleep(seconds: float) -> None:
        if seconds:
            steps.append(seconds)
        if len(steps) == 3:
            stop.set()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(SYSTEM.sleep_async(3600, stop))
    assert steps == [STOP_POLL] * 3


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_threading_stop_that_is_set_costs_no_time(asleep: list[float], seconds: float) -> None:
    """A stop that is set already is not waited for."""
    stop = threading.Event()
    stop.set()
    asyncio.run(SYSTEM.sleep_async(seconds, stop))
    assert sum(asleep) == 0


@pytest.mark.parametrize("kind", [threading.Event, asyncio.Event])
def test_a_wait_of_nothing_with_a_stop_lets_others_run(kind: Callable[[], Any]) -> None:
    """Also with a stop a wait of zero gives other tasks their turn, so that one of them may set the stop."""
    turns: list[str] = []

    async def other() -> None:
        turns.append("other")

    async def main() -> None:
        stop = kind()
        task = asyncio.create_task(other())
        for _ in range(3):
            await SYSTEM.sleep_async(0, stop)
        turns.append("main")
        await task

    asyncio.run(main())
    assert turns == ["other", "main"]


def test_an_asyncio_stop_ends_an_async_sleep_at_once() -> None:
    """An asyncio.Event that is set by another task ends the wait without any time passing."""

    async def main() -> float:
        stop = asyncio.Event()
        began = asyncio.get_running_loop().time()
        asyncio.get_running_loop().call_soon(stop.set)
        await SYSTEM.sleep_async(3600, stop)
        return asyncio.get_running_loop().time() - began

    with fake_time():
        assert asyncio.run(main()) == 0.0


def test_an_asyncio_stop_that_nobody_sets() -> None:
    """The wait ends when its time is over."""

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        await SYSTEM.sleep_async(2.5, asyncio.Event())
        return asyncio.get_running_loop().time() - began

    with fake_time():
        assert asyncio.run(main()) == pytest.approx(2.5)


@pytest.mark.parametrize("kind", [TimeoutError, RuntimeError])
def test_an_asyncio_stop_that_cannot_be_awaited(kind: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    """Such as one that belongs to another loop: it is asked now and then, and the wait is what it was."""

    class Broken(asyncio.Event):
        async def wait(self) -> Any:
            raise kind("mine")

    async def main() -> float:
        loop, stop = asyncio.get_running_loop(), Broken()
        began = loop.time()
        await SYSTEM.sleep_async(2.5, stop)
        loop.call_later(1, stop.set)
        await SYSTEM.sleep_async(10, stop)
        return loop.time() - began

    with fake_time() as clock, pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "_said", set())
        patch.setattr(time, "monotonic", clock.now)
        assert asyncio.run(main()) == pytest.approx(3.5, abs=2 * STOP_POLL)
    (record,) = caplog.records
    assert record.getMessage().endswith("raised " + repr(kind("mine")) + "; " + module.CANNOT_WAKE)


@pytest.mark.parametrize("kind", [threading.Event, asyncio.Event, lambda: None])
def test_a_cancellation_ends_an_async_sleep(kind: Callable[[], Any]) -> None:
    """Whoever cancels the task wakes it, with or without a stop."""

    async def main() -> None:
        task = asyncio.create_task(SYSTEM.sleep_async(3600, kind()))
        asyncio.get_running_loop().call_later(1, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    with fake_time() as clock:
        asyncio.run(main())
        assert clock.now() == pytest.approx(1.0)


def test_call_later_is_the_loops() -> None:
    """The callback is called on the running loop when the time has come, and not when the timer was cancelled."""
    called: list[str] = []

    async def main() -> None:
        SYSTEM.call_later(2, lambda: called.append("kept"))
        timer = SYSTEM.call_later(1, lambda: called.append("cancelled"))
        timer.cancel()
        timer.cancel()
        await asyncio.sleep(1.9)
        assert called == []
        await asyncio.sleep(0.2)

    with fake_time():
        asyncio.run(main())
    assert called == ["kept"]


# The protocol, and clocks of the user's own.


@pytest.mark.parametrize("kind", [SystemClock, FakeClock])
def test_our_clocks_have_the_methods_that_the_protocol_names(kind: type) -> None:
    """Both clocks take the same arguments under the same names."""
    for method, names in {
        "now": ["self"],
        "sleep": ["self", "seconds", "stop"],
        "sleep_async": ["self", "seconds", "stop"],
        "call_later": ["self", "seconds", "callback"],
    }.items():
        assert list(inspect.signature(getattr(kind, method)).parameters) == names


def test_the_protocol_is_documented_where_it_is_exported() -> None:
    """`redouble.types.Clock` says what a clock has to have."""
    assert redouble.types.Clock.__module__ == "redouble.types"
    for method in ("now()", "sleep(", "sleep_async(", "call_later("):
        assert method in str(redouble.types.Clock.__doc__)


def test_a_clock_that_works_is_read_each_time() -> None:
    """A user's clock is read as it is, as a float."""

    class Counting(SystemClock):
        def __init__(self) -> None:
            self.count = 0

        def now(self) -> Any:
            self.count += 1
            return self.count

    now = guarded_now(Counting())
    readings = [now(), now()]
    assert readings == [1.0, 2.0] and all(type(reading) is float for reading in readings)


@pytest.mark.parametrize("answer", [RuntimeError("broken"), "soon", None, [], float("nan")], ids=repr)
def test_a_clock_that_goes_wrong_stands_still(
    answer: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A reading that is none is logged once, and the last good one stands for it."""
    monkeypatch.setattr(faults, "_said", set())

    class Broken(SystemClock):
        readings = iter((3.0, answer, answer, 5.0))

        def now(self) -> Any:
            reading = next(self.readings)
            if isinstance(reading, Exception):
                raise reading
            return reading

    now = guarded_now(Broken())
    assert [now() for _ in range(4)] == [3.0, 3.0, 3.0, 5.0]
    assert len(caplog.records) == 1
    assert "Broken raised" in caplog.text and "it seems to stand still" in caplog.text
