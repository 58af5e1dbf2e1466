"""The fake clock in one thread, and time moved by hand."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import operator
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redouble.testing import FakeClock, timeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.types import Clock


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Start a thread that no failing test leaves hanging about."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_it_fits_the_protocol() -> None:
    """A policy's `clock=` takes it."""
    clock: Clock = FakeClock()
    assert clock.now() == 0.0


def test_it_begins_where_told() -> None:
    """The first reading is `start`."""
    assert FakeClock(start=1000.5).now() == 1000.5


@pytest.mark.parametrize("start", [-1, float("nan"), float("inf")])
def test_a_wrong_start_is_refused(start: float) -> None:
    """The first reading is a finite number, not below zero."""
    with pytest.raises(ValueError, match="start must be a number >= 0"):
        FakeClock(start=start)


def test_a_wrong_flag_is_refused() -> None:
    """Nothing is configured by truthiness."""
    with pytest.raises(TypeError, match="autoadvance must be True or False, got 'yes'"):
        FakeClock(autoadvance="yes")  # type: ignore[arg-type]


def test_a_wait_moves_time_at_once() -> None:
    """A wait of an hour ends at once, an hour later."""
    clock = FakeClock()
    began = time.monotonic()
    clock.sleep(3600)
    assert clock.now() == 3600.0
    assert time.monotonic() - began < 5


@given(st.lists(st.floats(1e-6, 1e6), max_size=20))
def test_waits_add_up_exactly(waits: list[float]) -> None:
    """After any waits the clock reads their sum, to the last bit, and has recorded them in order."""
    clock = FakeClock()
    for wait in waits:
        clock.sleep(wait)
    assert clock.now() == functools.reduce(operator.add, waits, 0.0)
    assert clock.sleeps == waits


@pytest.mark.parametrize("seconds", [0, 0.0, -1.0])
def test_a_zero_wait_is_not_slept(seconds: float) -> None:
    """A wait of nothing is neither recorded nor moves time."""
    clock = FakeClock()
    clock.sleep(seconds)
    assert clock.now() == 0.0
    assert clock.sleeps == []


def test_its_repr_shows_time_and_waits() -> None:
    """Whoever prints it sees what it reads and what was waited."""
    clock = FakeClock()
    clock.sleep(2)
    assert repr(clock) == "<FakeClock: now=2.0, sleeps=[2.0]>"


def test_a_stop_that_is_set_ends_a_wait_before_it_begins() -> None:
    """The wait was asked for, so it is recorded, but takes no time."""
    clock, stop = FakeClock(), threading.Event()
    stop.set()
    clock.sleep(5, stop)
    assert clock.now() == 0.0
    assert clock.sleeps == [5.0]


def test_a_stop_that_stays_unset_changes_nothing() -> None:
    """A wait that nobody stops takes its time."""
    clock = FakeClock()
    clock.sleep(5, threading.Event())
    assert clock.now() == 5.0


def test_advance_moves_time() -> None:
    """Without anybody waiting, time moves as far as told."""
    clock = FakeClock()
    clock.advance(1.5)
    clock.advance(timedelta(seconds=1))
    clock.advance(0)
    assert clock.now() == 2.5
    assert clock.sleeps == []


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_advance_refuses_what_is_no_duration(seconds: float) -> None:
    """Time does not go back, nor for ever."""
    with pytest.raises(ValueError, match="seconds must be a duration"):
        FakeClock().advance(seconds)


def test_advance_to_the_next_event_ends_it() -> None:
    """A wait ends when time is moved exactly to its end."""
    clock = FakeClock(autoadvance=False)
    with clock.trap() as trap:
        thread = in_thread(functools.partial(clock.sleep, 2))
        assert trap.wait() == 2.0
        clock.advance(0.5)
        clock.advance(1.5)
        thread.join(5)
        assert not thread.is_alive()
    assert clock.now() == 2.0


def test_advancing_past_the_next_event_is_refused_by_name() -> None:
    """The refusal names the event and how far it is, and moves nothing."""
    clock = FakeClock(autoadvance=False, start=1)
    with clock.trap() as trap:
        thread = in_thread(functools.partial(clock.sleep, 2))
        trap.wait()
        message = (
            r"cannot advance by 5 s, past the next event: the end of a wait of 2 s, 2 s from now \(at 3\);"
            r" use advance_to_next\(\)"
        )
        with pytest.raises(ValueError, match=message):
            clock.advance(5)
        assert clock.now() == 1.0
        clock.advance(2)
        thread.join(5)


def test_advance_forgives_the_inexactness_of_floats() -> None:
    """Steps of 0.1 and 0.2 s reach an event after 0.3 s, though their sum is another float."""
    for wait, *steps in [(0.3, 0.1, 0.2), (0.1 + 0.2, 0.3)]:
        clock = FakeClock(autoadvance=False)
        with clock.trap() as trap:
            thread = in_thread(functools.partial(clock.sleep, wait))
            trap.wait()
            for step in steps:
                clock.advance(step)
            thread.join(5)
            assert not thread.is_alive()
        assert clock.now() == wait


def test_advance_to_next_says_how_far_it_went() -> None:
    """It moves to the earliest end of a wait, and returns the seconds."""
    clock = FakeClock(autoadvance=False)
    with clock.trap() as trap:
        threads = [in_thread(functools.partial(clock.sleep, seconds)) for seconds in (3, 1)]
        assert {trap.wait(), trap.wait()} == {1.0, 3.0}
        assert clock.advance_to_next() == 1.0
        assert clock.advance_to_next() == 2.0
        for thread in threads:
            thread.join(5)
    assert clock.now() == 3.0


def test_advance_to_next_needs_an_event() -> None:
    """When nobody waits, there is nothing to advance to."""
    with pytest.raises(RuntimeError, match="there is no next event to advance to: nothing waits on this clock"):
        FakeClock().advance_to_next()


def test_a_wait_that_nobody_advances_fails() -> None:
    """With autoadvance=False a wait does not hang for ever, and says why."""
    clock = FakeClock(autoadvance=False)
    clock.patience = 0
    with pytest.raises(
        RuntimeError, match=r"a wait of 2 s has not ended within 0 real seconds: autoadvance=False, and"
    ):
        clock.sleep(2)
    assert clock.now() == 0.0


def test_a_wait_that_a_trap_holds_fails() -> None:
    """A trap that nobody releases does not hang a wait for ever; afterwards the clock works on."""
    clock = FakeClock()
    clock.patience = 0
    with clock.trap(), pytest.raises(RuntimeError, match=r"a trap holds the clock: release\(\) it, or advance\(\)"):
        clock.sleep(2)
    clock.sleep(1)
    assert clock.now() == 1.0


def test_patience_starts_anew_when_time_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait is not given up while a test moves time step by step."""
    real = 100.0
    monkeypatch.setattr(timeline, "monotonic", lambda: real)
    line = timeline.Timeline(0.0, autoadvance=False)
    began, real = real, 109.9
    assert not line.is_impatient(began)
    line.move_to(1.0)
    real = 119.8
    assert not line.is_impatient(began)
    real = 119.9
    assert line.is_impatient(began)


@pytest.mark.parametrize("name", ["grace", "io_grace", "patience"])
def test_its_real_durations_are_checked(name: str) -> None:
    """`grace`, `io_grace` and `patience` are durations, and read as they were set."""
    clock = FakeClock()
    setattr(clock, name, 1)
    assert getattr(clock, name) == 1.0
    with pytest.raises(ValueError, match=f"{name} must be a duration"):
        setattr(clock, name, -1)


def test_the_defaults_of_its_real_durations() -> None:
    """A wait is given up after 10 real seconds; threads unseen are given 0.2 of one, sockets 0.05."""
    clock = FakeClock()
    assert (clock.grace, clock.io_grace, clock.patience) == (0.2, 0.05, 10.0)


def test_timers_need_an_event_loop() -> None:
    """`call_later` is for coroutines: without a running loop there is nothing to call back."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        FakeClock().call_later(1, lambda: None)


def test_bind_keeps_signature_and_result() -> None:
    """A bound function is called as the one it was made of, and returns what that returns."""

    def add(a: int, *, b: int) -> int:
        """Add."""
        return a + b

    bound = FakeClock().bind(add)
    assert bound(1, b=2) == 3
    assert bound.__doc__ == "Add."


def test_bind_lets_errors_pass() -> None:
    """An error of a bound function is its caller's, and time moves on after it."""
    clock = FakeClock()

    def fail() -> None:
        raise KeyError("oops")

    with pytest.raises(KeyError, match="oops"):
        clock.bind(fail)()
    clock.sleep(1)
    assert clock.now() == 1.0


def test_bind_carries_the_context() -> None:
    """A bound function sees the context variables of where it was bound, in every thread that calls it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    clock = FakeClock()
    variable.set("bound")
    read = clock.bind(lambda _: (clock.sleep(1), variable.get())[1])
    variable.set("changed")
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(read, range(3))) == ["bound"] * 3


def test_a_bound_function_may_call_another() -> None:
    """The thread stays bound until the outer one returns."""
    clock = FakeClock()
    inner = clock.bind(lambda: clock.sleep(1))
    outer = clock.bind(lambda: (inner(), clock.sleep(1)))
    outer()
    assert clock.now() == 2.0


def test_a_sync_wait_within_an_event_loop_moves_time() -> None:
    """It blocks the loop, as it would in real life; the loop's timers fire late."""
    clock = FakeClock()
    fired: list[float] = []

    async def main() -> None:
        clock.call_later(1, lambda: fired.append(clock.now()))
        clock.sleep(3)
        await clock.settle()

    asyncio.run(main())
    assert fired == [3.0]


def test_waits_that_end_early_are_forgotten() -> None:
    """Thousands of waits that a stop has ended long before they were due do not pile up behind one that goes on."""
    clock = FakeClock()
    stops = weakref.WeakSet[threading.Event]()
    with clock.trap() as trap:
        thread = in_thread(lambda: clock.sleep(1))
        trap.wait()
        for _ in range(1000):
            stop = threading.Event()
            stop.set()
            stops.add(stop)
            clock.sleep(3600, stop)
        assert len(stops) <= 200
    thread.join(20)
    assert clock.now() == 1.0


async def later() -> None:
    """A coroutine function."""


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (later, r"bind `lambda: asyncio.run\(co\(\)\)`"),
        (functools.partial(later), r"bind `lambda: asyncio.run\(co\(\)\)`"),
        (7, "fn must be a callable, got 7"),
    ],
)
def test_what_cannot_run_in_a_thread_is_not_bound(fn: Any, message: str) -> None:
    """A coroutine would run elsewhere, on real time: it is refused when it is bound, with what to bind instead."""
    with pytest.raises(TypeError, match=message):
        FakeClock().bind(fn)
