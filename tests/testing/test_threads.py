"""The fake clock among threads."""

from __future__ import annotations

import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from redouble.testing import FakeClock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run_bound(clock: FakeClock, *jobs: Callable[[], object]) -> None:
    """Run each job in a thread of its own, all bound before the first starts."""
    clock.grace = 5  # on a slow machine a thread may be slow to start; it costs nothing when it is not
    threads = [threading.Thread(target=clock.bind(job), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    with clock.joining():
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()


def pass_real_time(seconds: float) -> None:
    """Let other threads run for a while."""
    idle = threading.Condition()
    with idle:
        idle.wait(seconds)


def waiter(clock: FakeClock, name: str, log: list[tuple[str, float]], *waits: float) -> Callable[[], None]:
    """A job that waits again and again, and notes when each wait ended."""

    def work() -> None:
        for seconds in waits:
            clock.sleep(seconds)
            log.append((name, clock.now()))

    return work


def test_bound_threads_take_turns_the_same_way_in_every_run() -> None:
    """Two threads interleave by virtual time alone."""
    clock, log = FakeClock(), []
    run_bound(clock, waiter(clock, "a", log, 1, 1, 1), waiter(clock, "b", log, 0.5, 1, 1.25))
    assert log == [("b", 0.5), ("a", 1.0), ("b", 1.5), ("a", 2.0), ("b", 2.75), ("a", 3.0)]


def test_many_threads_wait_at_the_same_time() -> None:
    """Waits that overlap take as long as the longest, not their sum."""
    clock, log = FakeClock(), []
    run_bound(clock, *(waiter(clock, str(n), log, n) for n in range(1, 11)))
    assert log == [(str(n), float(n)) for n in range(1, 11)]


def test_waits_that_end_together() -> None:
    """Threads that wait for the same moment all go on at it."""
    clock, log = FakeClock(), []
    run_bound(clock, *(waiter(clock, name, log, 2, 1) for name in "abc"))
    assert sorted(log) == [(name, moment) for name in "abc" for moment in (2.0, 3.0)]


def test_threads_that_meet_when_their_waits_end() -> None:
    """Threads woken at the same moment run at the same time: they can wait for each other."""
    clock, barrier = FakeClock(), threading.Barrier(2, timeout=20)
    run_bound(clock, *[lambda: (clock.sleep(1), barrier.wait(), clock.sleep(1))] * 2)
    assert clock.now() == 2.0


def test_time_waits_for_a_bound_thread_that_runs() -> None:
    """While one bound thread computes, the wait of another does not end."""
    clock, go = FakeClock(), threading.Event()
    seen: list[float] = []

    def compute() -> None:
        go.wait(20)
        seen.append(clock.now())

    threads = [threading.Thread(target=clock.bind(job)) for job in (compute, lambda: clock.sleep(5))]
    with clock.trap() as trap:
        for thread in threads:
            thread.start()
        trap.wait()
    go.set()
    for thread in threads:
        thread.join(20)
    assert seen == [0.0]
    assert clock.now() == 5.0


def test_the_thread_that_joins_holds_nobody_up() -> None:
    """The main thread waits for results, and time moves without it."""
    clock = FakeClock()
    jobs = [clock.bind(functools.partial(clock.sleep, seconds)) for seconds in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result(20)
    assert sorted(clock.sleeps) == [1.0, 2.0, 3.0]
    assert clock.now() >= 3.0


def test_a_pool_with_fewer_threads_than_jobs() -> None:
    """Bound jobs that no thread is free for delay time a little, in real time, and no longer."""
    clock = FakeClock()
    jobs = [clock.bind(functools.partial(clock.sleep, 1)) for _ in range(4)]
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result(20)
    assert clock.sleeps == [1.0] * 4
    assert 2.0 <= clock.now() <= 4.0


def test_a_bound_function_that_is_never_called() -> None:
    """It holds time up for the grace, once, and no longer."""
    clock = FakeClock()
    clock.grace = 0.05
    clock.bind(print)
    began = time.monotonic()
    clock.sleep(1)
    clock.sleep(1)
    assert 0.05 <= time.monotonic() - began < 5
    assert clock.now() == 2.0


def test_threads_that_are_not_bound() -> None:
    """They take part while they wait, and time moves for them."""
    clock = FakeClock()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(clock.sleep, [1, 2, 3]))
    assert sorted(clock.sleeps) == [1.0, 2.0, 3.0]
    assert 3.0 <= clock.now() <= 6.0


def test_a_thread_that_is_not_bound_keeps_its_turn() -> None:
    """After binding, and just out of a wait, it is given the grace to begin the next, and stays in step."""
    clock, log = FakeClock(), []
    clock.grace = 5
    bound = threading.Thread(target=clock.bind(waiter(clock, "bound", log, 1.5, 1)))
    bound.start()
    waiter(clock, "main", log, 1, 1, 1)()
    bound.join(20)
    assert log == [("main", 1.0), ("bound", 1.5), ("main", 2.0), ("bound", 2.5), ("main", 3.0)]


def test_a_thread_that_says_that_it_joins_others_is_not_waited_for() -> None:
    """However long the grace, and even if it is bound: time moves while it waits for other threads."""
    clock = FakeClock()
    clock.grace = 1000

    def join_another() -> None:
        inner = threading.Thread(target=clock.bind(functools.partial(clock.sleep, 2)))
        inner.start()
        with clock.joining():
            inner.join(20)
        clock.sleep(1)

    outer = threading.Thread(target=clock.bind(join_another))
    outer.start()
    with clock.joining():
        outer.join(20)
    assert clock.sleeps == [2.0, 1.0]
    assert clock.now() == 3.0


def test_joining_ends_with_an_error() -> None:
    """Afterwards the thread counts again, also when the joining failed."""
    clock = FakeClock()

    def work() -> None:
        with pytest.raises(KeyError), clock.joining():
            raise KeyError
        assert clock._timeline.activity.somebody_runs()

    clock.bind(work)()
    assert not clock._timeline.activity.somebody_runs()


def test_a_thread_that_ended_is_not_waited_for() -> None:
    """However long the grace: a thread that is gone begins no wait."""
    clock = FakeClock()
    clock.grace = 1000
    threads = [threading.Thread(target=clock.sleep, args=(seconds,)) for seconds in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert 2.0 <= clock.now() <= 3.0


def test_a_stop_set_by_another_thread() -> None:
    """The wait ends at the very moment at which a bound thread sets the event."""
    clock, stop = FakeClock(), threading.Event()
    ended: list[float] = []
    run_bound(
        clock,
        lambda: (clock.sleep(10, stop), ended.append(clock.now())),
        lambda: (clock.sleep(2), stop.set(), clock.sleep(1)),
    )
    assert ended == [2.0]
    assert clock.now() == 3.0


def test_a_stop_set_while_time_stands_still() -> None:
    """A wait that a trap holds ends when any thread sets its event."""
    clock, stop = FakeClock(), threading.Event()
    with clock.trap() as trap:
        thread = threading.Thread(target=clock.sleep, args=(10, stop))
        thread.start()
        assert trap.wait() == 10.0
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
    assert clock.now() == 0.0


def test_a_bound_thread_that_blocks_for_real_fails_the_waits() -> None:
    """A bound function that waits for something else than the clock ends the waits of others with an explanation."""
    clock, go = FakeClock(), threading.Event()
    clock.patience = 0.05
    thread = threading.Thread(target=clock.bind(go.wait))
    thread.start()
    try:
        with pytest.raises(
            RuntimeError, match="a bound function or an event loop runs on without waiting on the clock"
        ):
            clock.sleep(1)
    finally:
        go.set()
        thread.join(20)


@pytest.mark.parametrize("bound", ["all before the first starts", "each just before it starts"])
def test_five_hundred_bound_threads(bound: str) -> None:
    """They all end at the very moment at which each of them would alone, with nothing set and nothing said."""
    clock = FakeClock()
    ended: list[float] = []

    def work() -> None:
        for seconds in (1, 0.5, 2, 3):
            clock.sleep(seconds)
        ended.append(clock.now())

    threads = (threading.Thread(target=clock.bind(work)) for _ in range(500))
    if bound == "all before the first starts":
        threads = iter(list(threads))
    started = []
    for thread in threads:
        thread.start()
        started.append(thread)
    for thread in started:
        thread.join(20)
    assert ended == [6.5] * 500
    assert clock.now() == 6.5


def test_who_is_slow_to_start_many_threads_loses_no_time() -> None:
    """Each thread that begins gives the others the grace anew, however long all of them take together."""
    clock = FakeClock()
    ended: list[tuple[str, float]] = []
    threads = [threading.Thread(target=clock.bind(waiter(clock, "", ended, 1))) for _ in range(10)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
        pass_real_time(0.05)
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - began > 2 * clock.grace
    assert ended == [("", 1.0)] * 10


def test_what_looks_at_the_clock_ends_by_itself() -> None:
    """The thread that looks at a clock on which others are blocked is gone when none is blocked any more."""
    clock = FakeClock()
    with clock.trap() as trap:
        thread = threading.Thread(target=clock.sleep, args=(1,))
        thread.start()
        trap.wait()
        keepers = [each for each in threading.enumerate() if each.name == "redouble-clock"]
        assert len(keepers) == 1
    thread.join(20)
    keepers[0].join(20)
    assert not keepers[0].is_alive()
