"""The fake clock in runs of trio: on virtual time (`clock=clock.trio`), and on another clock."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from redouble import override
from redouble.testing import HANG, FakeClock, fake_time, scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EVENTS = [threading.Event, trio.Event, asyncio.Event]


@pytest.fixture(params=["on virtual time", "on its own time"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`run(clock, main, *args)` runs `main` in trio, on either kind of clock."""

    def run_it(clock: FakeClock, main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return trio.run(main, *args, clock=clock.trio if request.param == "on virtual time" else None)

    return run_it


@pytest.fixture(autouse=True)
def healthy(caplog: pytest.LogCaptureFixture) -> Any:
    """No hook of ours has failed: trio logs that, and goes on without it."""
    yield
    assert [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING] == []


async def waiter(clock: FakeClock, name: str, log: list[tuple[str, float]], sleep: Any, *waits: float) -> None:
    """Wait again and again, and note when each wait ended."""
    for seconds in waits:
        await sleep(seconds)
        log.append((name, clock.now()))


# In any run.


def test_tasks_take_turns_by_virtual_time(run: Any) -> None:
    """Waits of two tasks interleave, take no time, and are recorded."""
    clock, log = FakeClock(), []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiter, clock, "a", log, clock.sleep_async, 1, 1, 1)
            nursery.start_soon(waiter, clock, "b", log, clock.sleep_async, 0.5, 1, 1.25)

    run(clock, main)
    assert log == [("b", 0.5), ("a", 1.0), ("b", 1.5), ("a", 2.0), ("b", 2.75), ("a", 3.0)]
    assert sorted(clock.sleeps) == [0.5, 1.0, 1.0, 1.0, 1.0, 1.25]


def test_a_zero_wait_lets_others_run(run: Any) -> None:
    """A wait of nothing takes no time, is not recorded, and gives other tasks their turn."""
    clock, log = FakeClock(), []

    async def other() -> None:
        log.append("other")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            for _ in range(3):
                await clock.sleep_async(0)
            log.append("main")

    run(clock, main)
    assert log == ["other", "main"]
    assert clock.sleeps == []


def test_timers_are_virtual(run: Any) -> None:
    """`call_later` calls back in the run, in the caller's context, unless cancelled; one that is due, soon."""
    clock, log = FakeClock(), []

    async def main() -> None:
        token = trio.lowlevel.current_trio_token()
        with override(attempts=1):
            clock.call_later(2, lambda: log.append((clock.now(), trio.lowlevel.current_trio_token() is token)))
        clock.call_later(0, lambda: log.append("at once"))
        clock.call_later(1, lambda: log.append("cancelled")).cancel()
        late = clock.call_later(1, lambda: log.append("fired"))
        await clock.sleep_async(3)
        late.cancel()

    run(clock, main)
    assert log == ["at once", "fired", (2.0, True)]


def test_a_timer_that_is_cancelled_when_it_is_due(run: Any) -> None:
    """Cancelled by what ends at the same moment, before its turn, it is not called any more."""
    clock, log = FakeClock(), []

    async def main() -> None:
        timer = clock.call_later(2, lambda: log.append("called"))
        with clock.trap():
            clock.advance(2)  # it is on its way
            timer.cancel()
        await clock.settle()

    run(clock, main)
    assert log == []


@pytest.mark.parametrize("kind", EVENTS)
def test_a_stop_ends_a_wait(run: Any, kind: Any) -> None:
    """Whatever kind of event it is, it ends a wait at the moment at which it is set."""
    clock = FakeClock()

    async def main() -> float:
        stop = kind()
        clock.call_later(2, stop.set)
        await clock.sleep_async(10, stop)
        return clock.now()

    assert run(clock, main) == 2.0


@pytest.mark.parametrize("kind", EVENTS)
def test_a_stop_that_is_set_before(run: Any, kind: Any) -> None:
    """The wait ends as it begins."""
    clock = FakeClock()

    async def main() -> float:
        stop = kind()
        stop.set()
        await clock.sleep_async(10, stop)
        return clock.now()

    assert run(clock, main) == 0.0


def test_a_wait_can_be_cancelled(run: Any) -> None:
    """A cancel scope ends it, and leaves nothing behind that would move time."""
    clock = FakeClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.sleep_async, 100)
            await clock.sleep_async(1)
            nursery.cancel_scope.cancel()
        assert clock.now() == 1.0
        with clock.trap(), pytest.raises(RuntimeError, match="nothing waits"):
            clock.advance_to_next()

    run(clock, main)


def test_a_wait_that_nobody_advances_fails(run: Any) -> None:
    """It does not hang for ever, and says why."""
    clock = FakeClock(autoadvance=False)
    clock.patience = 0.01

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"a wait of 2 s has not ended within 0\.01 real seconds: autoadvance"):
            await clock.sleep_async(2)

    run(clock, main)


def test_a_timer_that_nobody_advances_ends_the_run(run: Any) -> None:
    """A timer has nobody to tell, so all ends, with the reason beneath."""
    clock = FakeClock(autoadvance=False)
    clock.patience = 0.01

    async def main() -> None:
        clock.call_later(2, lambda: None)
        await trio.sleep_forever()

    with pytest.raises(trio.TrioInternalError) as caught:
        run(clock, main)
    assert caught.value.__cause__ is not None
    assert reasons(caught.value.__cause__) == [
        "a timer of 2 s has not ended within 0.01 real seconds: autoadvance=False, and nobody called advance()"
    ]


def reasons(error: BaseException) -> list[str]:
    """The texts of all errors in a group."""
    if isinstance(error, BaseExceptionGroup):
        return [text for each in error.exceptions for text in reasons(each)]
    return [str(error)]


def test_traps_and_time_by_hand(run: Any) -> None:
    """A task awaits the wait of another one, moves time by hand, and lets what is due run."""
    clock = FakeClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            with clock.trap() as trap:
                nursery.start_soon(clock.sleep_async, 3)
                assert await trap.wait_async() == 3.0
                clock.advance(2)
                await clock.settle()
                assert len(nursery.child_tasks) == 1
                with pytest.raises(ValueError, match="past the next event: the end of a wait of 3 s, 1 s from now"):
                    clock.advance(2)
                assert clock.advance_to_next() == 1.0
                await clock.settle()
                assert not nursery.child_tasks
                with pytest.raises(TimeoutError, match="caught no further wait"):
                    await trap.wait_async(timeout=0.01)

    run(clock, main)
    assert clock.now() == 3.0


def test_time_waits_for_threads_of_trio(run: Any) -> None:
    """What `trio.to_thread` runs holds time up until it waits itself, also when the limiter lets only two run."""
    clock, log = FakeClock(), []
    clock.io_grace = 0

    def work(name: str) -> None:
        log.append((name, clock.now()))
        clock.sleep(1.5)
        log.append((name, clock.now()))

    async def main() -> None:
        limiter = trio.CapacityLimiter(2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiter, clock, "task", log, clock.sleep_async, 1, 1)
            for name in "ab":
                nursery.start_soon(functools.partial(trio.to_thread.run_sync, work, name, limiter=limiter))

    run(clock, main)
    assert sorted(log, key=lambda entry: (entry[1], entry[0])) == [
        ("a", 0.0),
        ("b", 0.0),
        ("task", 1.0),
        ("a", 1.5),
        ("b", 1.5),
        ("task", 2.0),
    ]


def test_a_thread_of_a_task_that_is_cancelled(run: Any) -> None:
    """It is waited for all the same, since trio does."""
    clock = FakeClock()

    def work() -> None:
        clock.sleep(2)
        clock.sleep(3)

    async def main() -> float:
        with trio.CancelScope() as scope:
            clock.call_later(1, scope.cancel)
            await trio.to_thread.run_sync(work)
        return clock.now()

    assert run(clock, main) == 5.0


def test_a_bound_function_in_a_thread_of_trio(run: Any) -> None:
    """It is waited for as well, and its result is there at the moment at which it ends."""
    clock = FakeClock()

    async def main() -> float:
        await trio.to_thread.run_sync(clock.bind(lambda: clock.sleep(2)))
        return clock.now()

    assert run(clock, main) == 2.0


def test_bound_threads_and_tasks_share_the_time(run: Any) -> None:
    """A bound thread and a task interleave by virtual time."""
    clock, log = FakeClock(), []
    clock.grace = 5

    def work() -> None:
        for _ in range(3):
            clock.sleep(1)
            log.append(("thread", clock.now()))

    async def main() -> None:
        await waiter(clock, "task", log, clock.sleep_async, 0.75, 0.75, 0.75)

    threads = [threading.Thread(target=clock.bind(job)) for job in (work, lambda: run(clock, main))]
    for thread in threads:
        thread.start()
    with clock.joining():
        for thread in threads:
            thread.join(20)
    assert log == [("task", 0.75), ("thread", 1.0), ("task", 1.5), ("thread", 2.0), ("task", 2.25), ("thread", 3.0)]


def test_a_sync_wait_within_a_task_moves_time(run: Any) -> None:
    """A blocking wait in a task blocks the run, and ends."""
    clock = FakeClock()

    async def main() -> float:
        clock.sleep(5)
        return clock.now()

    assert run(clock, main) == 5.0


def test_fake_time_within_a_run(run: Any) -> None:
    """Opened in a task it serves that task; afterwards the clock still ends what waits on it."""
    outer = FakeClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            with fake_time() as clock:
                await clock.sleep_async(7)
                assert clock.now() == 7.0
                nursery.start_soon(clock.sleep_async, 3)
                await clock.settle()
        assert clock.now() == 10.0
        await clock.sleep_async(1)
        assert clock.now() == 11.0

    run(outer, main)
    assert outer.now() == 0.0


def test_fake_time_that_ends_elsewhere(run: Any) -> None:
    """A run in another thread is let go of at the end, and goes on."""
    told, ended = threading.Event(), threading.Event()

    async def main(clock: FakeClock) -> float:
        await clock.sleep_async(1)
        told.set()
        with clock.joining():
            ended.wait(20)
        await trio.lowlevel.checkpoint()
        return clock.now()

    with ThreadPoolExecutor(1) as pool:
        with fake_time() as clock:
            done = pool.submit(clock.bind(run), clock, main, clock)
            told.wait(20)
        ended.set()
        assert done.result(20) == 1.0


def test_an_outcome_that_never_comes(run: Any) -> None:
    """`HANG` hangs in trio, too, until it is cancelled."""
    clock = FakeClock()

    async def main() -> None:
        with trio.CancelScope() as scope:
            clock.call_later(4, scope.cancel)
            await scripted(HANG, asynchronous=True)()
        assert scope.cancelled_caught
        assert clock.now() == 4.0

    run(clock, main)


# On virtual time.


def test_everything_of_trio_is_in_virtual_time() -> None:
    """`sleep`, cancel scopes and trio's own clock agree with ours to the last bit."""
    clock, log = FakeClock(start=0.1), []

    async def main() -> None:
        assert trio.current_time() == 0.1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiter, clock, "trio", log, trio.sleep, 0.2, 3600)
            nursery.start_soon(waiter, clock, "ours", log, clock.sleep_async, 0.2, 3599)
        with trio.move_on_after(2) as scope:
            await clock.sleep_async(5)
        assert scope.cancelled_caught
        assert trio.current_time() == clock.now()

    trio.run(main, clock=clock.trio)
    moment = 0.1 + 0.2
    assert sorted(log[:2]) == [("ours", moment), ("trio", moment)]
    assert log[2:] == [("ours", moment + 3599), ("trio", moment + 3600)]
    assert clock.now() == moment + 3600 + 2


def test_its_clock_is_one_object() -> None:
    """It is made once, is a clock of trio's, and shows the time."""
    clock = FakeClock(start=3)
    assert clock.trio is clock.trio
    assert isinstance(clock.trio, trio.abc.Clock)
    assert repr(clock.trio) == "<FakeClock.trio: now=3.0>"


def test_several_runs_at_the_same_time() -> None:
    """Runs in several threads share one time."""
    clock, log = FakeClock(), []

    def work(name: str, *waits: float) -> Callable[[], None]:
        return clock.bind(lambda: trio.run(waiter, clock, name, log, trio.sleep, *waits, clock=clock.trio))

    clock.grace = 5
    threads = [threading.Thread(target=work(*job)) for job in (("a", 1, 1), ("b", 0.5, 1))]
    for thread in threads:
        thread.start()
    with clock.joining():
        for thread in threads:
            thread.join(20)
    assert log == [("b", 0.5), ("a", 1.0), ("b", 1.5), ("a", 2.0)]


def test_a_deadline_that_nobody_advances_ends_the_run() -> None:
    """Where only trio's own deadlines are waited for, all ends, with the reason beneath."""
    clock = FakeClock(autoadvance=False)
    clock.patience = 0.01
    with pytest.raises(trio.TrioInternalError) as caught:
        trio.run(trio.sleep, 5, clock=clock.trio)
    assert caught.value.__cause__ is not None
    assert reasons(caught.value.__cause__) == [
        "a wait on the event loop has not ended within 0.01 real seconds: autoadvance=False, and nobody called advance()"
    ]


def test_deadlines_are_events() -> None:
    """Time is moved by hand to a deadline of trio's, exactly, and never past it."""
    clock = FakeClock(autoadvance=False, start=0.1)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 0.7)
            await clock.settle()
            with pytest.raises(ValueError, match=r"past the next event: a deadline of the trio run, 0\.7 s from now"):
                clock.advance(1)
            clock.advance(0.3)
            await clock.settle()
            assert nursery.child_tasks
            clock.advance_to_next()
            await clock.settle()
            assert not nursery.child_tasks
        assert clock.now() == 0.1 + 0.7

    trio.run(main, clock=clock.trio)


def test_deadlines_are_events_for_other_threads() -> None:
    """A thread moves the time of a run that is blocked."""
    clock = FakeClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 5)
            await clock.sleep_async(7)

    with clock.trap() as trap, ThreadPoolExecutor(1) as pool:
        done = pool.submit(trio.run, main, clock=clock.trio)
        trap.wait()
        while not clock._timeline.loops[0].blocked:
            pass
        assert clock.advance_to_next() == 5.0
        assert clock.advance_to_next() == 2.0
        done.result(20)


def test_deadlines_of_a_busy_run_are_events_for_other_threads() -> None:
    """While the run is busy, another thread moves time to the deadline that it was told last."""
    clock, told, go = FakeClock(autoadvance=False), threading.Event(), threading.Event()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 5)
            await clock.settle()
            told.set()
            go.wait(20)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(trio.run, main, clock=clock.trio)
        told.wait(20)
        assert clock.advance_to_next() == 5.0
        go.set()
        done.result(20)


def test_the_network_is_waited_for() -> None:
    """What comes through a socket comes before the time runs out that nobody needs."""
    clock = FakeClock()
    clock.io_grace = 5

    async def main() -> None:
        ours, theirs = socket.socketpair()
        mine = trio.socket.from_stdlib_socket(ours)
        with mine, theirs, trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(mine.recv, 1)
                await clock.settle()
                await trio.to_thread.run_sync(theirs.send, b"x")
        assert clock.now() == 0.0

    trio.run(main, clock=clock.trio)


def test_waiting_for_all_tasks_comes_before_time() -> None:
    """`trio.testing.wait_all_tasks_blocked` ends while the others wait, in real time, and moves none."""
    clock = FakeClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 5)
            for cushion in (0.0, 0.01):
                await trio.testing.wait_all_tasks_blocked(cushion)
                assert clock.now() == 0.0

    trio.run(main, clock=clock.trio)
    assert clock.now() == 5.0


def test_a_second_clock_in_a_run_on_virtual_time() -> None:
    """Waits on another clock are virtual all the same, each in its own time."""
    clock, other = FakeClock(), FakeClock()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.sleep_async, 2)
            nursery.start_soon(other.sleep_async, 5)
        assert trio.current_time() == 2.0

    trio.run(main, clock=clock.trio)
    assert (clock.now(), other.now()) == (2.0, 5.0)


def test_a_guest_of_asyncio() -> None:
    """In trio's guest mode both loops are on the one time."""

    async def guest(clock: FakeClock) -> float:
        await trio.sleep(2)
        await clock.sleep_async(1)
        return clock.now()

    async def main(clock: FakeClock) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            clock,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done.set_result,
            clock=clock.trio,
        )
        await asyncio.sleep(0.5)
        assert clock.now() == 0.5
        assert (await done).unwrap() == 3.0
        await clock.sleep_async(1)
        assert clock.now() == 4.0

    with fake_time() as clock:
        asyncio.run(main(clock))


# On other clocks.


def test_trio_keeps_its_own_time() -> None:
    """Beneath a run on another clock trio's deadlines are real: hours of ours pass within a second of theirs."""
    clock = FakeClock()

    async def main() -> None:
        with trio.fail_after(5):
            await clock.sleep_async(3600)

    trio.run(main)
    assert clock.now() == 3600.0


def test_beside_the_mock_clock_of_trio() -> None:
    """A `MockClock` that jumps by itself goes with it: each moves its own waits."""
    clock = FakeClock()
    mock = trio.testing.MockClock(autojump_threshold=0)

    async def main() -> None:
        await clock.sleep_async(3)
        await trio.sleep(2)
        await clock.sleep_async(1)

    trio.run(main, clock=mock)
    assert (clock.now(), mock.current_time()) == (4.0, 2.0)


def test_a_timer_of_a_run_that_is_over() -> None:
    """It is called no more, and harms nobody."""
    clock, log = FakeClock(), []

    async def main() -> None:
        clock.call_later(5, lambda: log.append("called"))

    trio.run(main)
    clock.sleep(10)
    assert (clock.now(), log) == (10.0, [])


def test_a_run_that_is_let_go_of_as_it_ends() -> None:
    """`fake_time` may end in one thread just after a run has ended in another one."""
    clock = FakeClock()

    async def main() -> Any:
        await clock.sleep_async(1)
        return clock._timeline.loops[0]

    driver = trio.run(main)
    driver.let_go(clock._timeline)
    clock.sleep(1)
    assert clock.now() == 2.0


# Without trio.


def test_no_host_at_all() -> None:
    """A coroutine that neither asyncio nor trio runs is told so."""
    wait = FakeClock().sleep_async(1)
    with pytest.raises(RuntimeError, match="asyncio and trio; neither of them runs this"):
        wait.send(None)


def test_trio_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """While trio is not loaded, nothing asks for it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "trio" or name.endswith("trio_runs")]:
        monkeypatch.delitem(sys.modules, name)
    with fake_time() as clock:
        clock.sleep(1)
        asyncio.run(clock.sleep_async(1))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(clock.bind(clock.sleep), 1).result(20)
    assert "trio" not in sys.modules
    assert clock.now() == 3.0
