"""The fake clock on asyncio event loops."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from redouble.testing import FakeClock, fake_time
from redouble.testing.loops import driver_of
from redouble.testing.waits import LoopWait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a loop whose debug mode is as usual."""
    return asyncio.run(main)


def patched(loop: asyncio.AbstractEventLoop) -> set[str]:
    """What has been put into a loop object, and its selector, that a fresh one does not have."""
    fresh = asyncio.SelectorEventLoop()
    fresh.close()
    selector = vars(loop)["_selector"]
    mine = vars(selector).keys() - vars(type(selector)()).keys() if selector is not None else set()
    return (vars(loop).keys() - vars(fresh).keys()) | mine


def test_a_wait_moves_time_at_once() -> None:
    """A wait of an hour ends at once, an hour later, and is recorded."""
    clock = FakeClock()

    async def main() -> None:
        await clock.sleep_async(3600)
        await clock.sleep_async(0)
        await clock.sleep_async(0.5)

    run(main())
    assert clock.now() == 3600.5
    assert clock.sleeps == [3600.0, 0.5]


def test_a_zero_wait_lets_others_run() -> None:
    """A wait of nothing takes no time, but gives other tasks their turn."""
    clock, log = FakeClock(), []

    async def main() -> None:
        other = asyncio.create_task(asyncio.sleep(0))
        other.add_done_callback(lambda _: log.append("other"))
        for _ in range(3):
            await clock.sleep_async(0)
        log.append("main")

    run(main())
    assert log == ["other", "main"]
    assert clock.now() == 0.0


def test_a_timeout_of_asyncio_is_in_virtual_time_and_exact() -> None:
    """`asyncio.timeout(4)` around waits of 2 and 3 s ends at exactly 4.0."""

    async def main() -> None:
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(4):
                    await clock.sleep_async(2)
                    assert clock.now() == 2.0
                    await clock.sleep_async(3)
        assert clock.now() == 4.0

    with fake_time() as clock:
        run(main())
    assert clock.sleeps == [2.0, 3.0]


def test_everything_of_asyncio_is_in_virtual_time() -> None:
    """`sleep`, `wait_for`, `call_later` and the loop's own clock agree with ours to the last bit."""
    log = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, lambda: log.append(clock.now()))
        clock.call_later(0.2, lambda: log.append(clock.now()))
        clock.call_later(0.25, lambda: log.append("cancelled")).cancel()
        await asyncio.sleep(0.3)
        log.append(clock.now())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.4)
        log.append(clock.now())
        assert loop.time() == clock.now()

    with fake_time() as clock:
        run(main())
    assert log == [0.1, 0.2, 0.3, 0.3 + 0.4]
    assert clock.sleeps == []


def test_no_wait_ends_an_instant_early() -> None:
    """A timer that is due a float's last bit later fires that bit later, not in the same turn."""
    log = []

    async def wait(seconds: float) -> None:
        await clock.sleep_async(seconds)
        log.append(clock.now())

    async def main() -> None:
        await asyncio.gather(wait(0.1 + 0.2), wait(0.3))

    with fake_time() as clock:
        run(main())
    assert log == [0.3, 0.1 + 0.2]
    assert log[0] < log[1]


def test_tasks_overlap() -> None:
    """Tasks that wait at the same time take as long as the longest."""
    clock, log = FakeClock(), []

    async def work(name: str, *waits: float) -> None:
        for wait in waits:
            await clock.sleep_async(wait)
            log.append((name, clock.now()))

    async def main() -> None:
        await asyncio.gather(work("a", 1, 1, 1), work("b", 0.5, 1, 1.25))

    run(main())
    assert log == [("b", 0.5), ("a", 1.0), ("b", 1.5), ("a", 2.0), ("b", 2.75), ("a", 3.0)]


def test_a_stop_of_asyncio_ends_a_wait_at_once() -> None:
    """An `asyncio.Event` that another task sets ends the wait at that moment; one that is set before, at once."""
    clock = FakeClock()

    async def main() -> None:
        stop = asyncio.Event()
        clock.call_later(2, stop.set)
        await clock.sleep_async(10, stop)
        assert clock.now() == 2.0
        await clock.sleep_async(10, stop)
        assert clock.now() == 2.0
        await clock.sleep_async(10, asyncio.Event())
        assert clock.now() == 12.0

    run(main())


def test_a_stop_of_threading_ends_a_wait_at_once() -> None:
    """A `threading.Event` set on the same loop ends the wait at that moment; one that is set before, at once."""
    clock = FakeClock()

    async def main() -> None:
        stop = threading.Event()
        clock.call_later(2, stop.set)
        await clock.sleep_async(10, stop)
        assert clock.now() == 2.0
        await clock.sleep_async(10, stop)
        assert clock.now() == 2.0
        await clock.sleep_async(10, threading.Event())
        assert clock.now() == 12.0

    run(main())


def test_a_stop_set_by_a_bound_thread() -> None:
    """The wait of a task ends at the very moment at which a bound thread sets the event."""

    async def main() -> float:
        done = asyncio.get_running_loop().run_in_executor(None, lambda: (clock.sleep(2), stop.set(), clock.sleep(1)))
        await clock.sleep_async(10, stop)
        ended = clock.now()
        await done
        return ended

    stop = threading.Event()
    with fake_time() as clock:
        clock.grace = 5
        assert run(main()) == 2.0
        assert clock.now() == 3.0


def test_a_stop_set_while_time_stands_still() -> None:
    """A wait that a trap holds ends when any thread sets its event."""
    clock, stop = FakeClock(), threading.Event()
    with clock.trap() as trap, ThreadPoolExecutor() as pool:
        done = pool.submit(asyncio.run, clock.sleep_async(10, stop))
        assert trap.wait() == 10.0
        stop.set()
        done.result(20)
    assert clock.now() == 0.0


def test_a_timeout_error_from_within_a_wait_passes() -> None:
    """Only the wait's own end is swallowed: what a stop event raises is not."""
    clock = FakeClock()

    class Broken(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]
            raise TimeoutError("not ours")

    async def main() -> None:
        with pytest.raises(TimeoutError, match="not ours"):
            await clock.sleep_async(1, Broken())

    run(main())


def test_a_cancelled_wait_takes_no_time() -> None:
    """Cancelling ends a wait at once, and leaves no event behind."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap():
            task = asyncio.create_task(clock.sleep_async(10))
            await clock.settle()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(RuntimeError, match="there is no next event"):
                clock.advance_to_next()

    run(main())
    assert clock.now() == 0.0


def test_threads_of_the_loop_take_part() -> None:
    """Time waits for what `to_thread` and `run_in_executor` run, and moves when it waits."""

    async def main() -> None:
        async with asyncio.timeout(10):
            with ThreadPoolExecutor() as pool:
                loop = asyncio.get_running_loop()
                await asyncio.gather(asyncio.to_thread(clock.sleep, 3), loop.run_in_executor(pool, clock.sleep, 2))
                assert clock.now() == 3.0
                assert await loop.run_in_executor(pool, compute, "result") == "result"
                assert clock.now() == 3.0

    def compute(value: str) -> str:
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            pass
        return value

    with fake_time() as clock:
        clock.grace = 5
        run(main())
        assert clock.now() == 3.0


def test_processes_do_not_take_part() -> None:
    """What runs in another process cannot wait on this clock, and is handed on as it is."""

    class Inline(ProcessPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result((fn, args))
            return future

    async def main() -> None:
        assert await asyncio.get_running_loop().run_in_executor(Inline(1), abs, -1) == (abs, (-1,))

    with fake_time():
        run(main())


def test_a_bound_thread_hands_its_result_to_the_loop_in_time() -> None:
    """A timeout does not strike while a result that is there is on its way to the loop."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor() as pool:
            for _ in range(20):
                job = clock.bind(functools.partial(clock.sleep, 1))
                await asyncio.wait_for(asyncio.wrap_future(pool.submit(job), loop=loop), 1.5)

    with fake_time() as clock:
        clock.grace = 5
        run(main())
        assert clock.now() == 20.0


def test_two_loops_share_the_time() -> None:
    """Loops in two threads interleave by virtual time alone."""
    log = []

    async def work(name: str, *waits: float) -> None:
        for wait in waits:
            await asyncio.sleep(wait)
            log.append((name, clock.now()))

    with fake_time() as clock:
        clock.grace = 5
        jobs = [lambda: run(work("a", 1, 1, 1)), lambda: run(work("b", 0.5, 1, 1.25))]
        threads = [threading.Thread(target=clock.bind(job)) for job in jobs]
        for thread in threads:
            thread.start()
        with clock.joining():
            for thread in threads:
                thread.join(20)
    assert log == [("b", 0.5), ("a", 1.0), ("b", 1.5), ("a", 2.0), ("b", 2.75), ("a", 3.0)]


def test_sockets_get_a_moment_before_time_moves() -> None:
    """An answer that comes over a real socket is not overtaken by a timeout in virtual time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"ping\n")
                assert await reader.readline() == b"ping\n"
            writer.close()
        assert clock.now() == 0.0

    with fake_time() as clock:
        clock.io_grace = 5
        run(main())


def test_a_silent_socket_delays_time_no_longer_than_the_grace() -> None:
    """Nothing comes: after the grace time moves, and the timeout strikes."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ours, 1), 30)
        assert clock.now() == 30.0

    with fake_time() as clock:
        clock.io_grace = 0.001
        run(main())


def test_a_callback_from_a_thread_that_is_not_bound() -> None:
    """`call_soon_threadsafe` wakes a loop that has nothing else to do."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        threading.Thread(target=loop.call_soon_threadsafe, args=(future.set_result, "called")).start()
        return await future

    with fake_time():
        assert run(main()) == "called"


def test_advancing_past_a_timer_of_the_loop_is_refused_by_name() -> None:
    """The timers of the loop are events as well, and waits are named before their timers."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap():
            task = asyncio.create_task(clock.sleep_async(2))
            clock.call_later(3, lambda: None)
            await clock.settle()
            with pytest.raises(ValueError, match=r"the end of a wait of 2 s, 2 s from now \(at 2\)"):
                clock.advance(5)
            clock.advance(2)
            await clock.settle()
            assert task.done()
            with pytest.raises(ValueError, match=r"a timer of the event loop, <TimerHandle .*>, 1 s from now \(at 3\)"):
                clock.advance(5)
            assert clock.advance_to_next() == 1.0

    run(main())


def test_the_timers_of_a_loop_that_does_not_run_are_no_events() -> None:
    """Nothing would make them fire."""
    loop = asyncio.SelectorEventLoop()
    with fake_time() as clock:
        loop.run_until_complete(clock.sleep_async(1))
        loop.call_later(1, lambda: None)
        clock.advance(5)
        with pytest.raises(RuntimeError, match="there is no next event"):
            clock.advance_to_next()
    loop.close()


def test_waits_that_nobody_advances_fail() -> None:
    """With autoadvance=False a wait of a task does not hang for ever, and says why; others go on."""

    async def main() -> None:
        with pytest.raises(
            RuntimeError, match=r"a wait on the event loop has not .* 0\.05 real seconds: autoadvance=F"
        ):
            await clock.sleep_async(2)
        with clock.trap(), pytest.raises(RuntimeError, match="a trap holds the clock"):
            await clock.sleep_async(2)

    with fake_time(autoadvance=False) as clock:
        clock.patience = 0.05
        run(main())


def test_a_timer_that_nobody_advances_ends_the_run() -> None:
    """When only timers that are not ours are held, there is no wait to fail: the loop itself does."""
    with fake_time(autoadvance=False) as clock:
        clock.patience = 0.05
        with pytest.raises(RuntimeError, match="a wait on the event loop has not ended within"):
            run(asyncio.sleep(2))


def test_settle_waits_for_bound_threads() -> None:
    """After an advance by hand it returns when woken threads wait again, or are done."""
    clock, log = FakeClock(), []

    def work() -> None:
        for _ in range(3):
            clock.sleep(1)
            log.append(clock.now())

    async def main() -> None:
        with clock.trap() as trap:
            done = asyncio.get_running_loop().run_in_executor(None, work)
            for n in (1.0, 2.0, 3.0):
                await trap.wait_async()
                clock.advance(1)
                await clock.settle()
                assert log[-1] == n
            await done

    run(main())


def test_settle_waits_for_a_bound_thread_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it runs: here, until settle() waits for it."""
    clock, began, go = FakeClock(), threading.Event(), threading.Event()
    wait = clock._timeline.changed.wait
    monkeypatch.setattr(clock._timeline.changed, "wait", lambda timeout: (go.set(), wait(timeout)))

    async def main() -> None:
        clock.now()
        done = asyncio.get_running_loop().run_in_executor(None, lambda: (began.set(), go.wait(20)))
        assert began.wait(20)
        await clock.settle()
        assert not clock._timeline.activity.others_run()
        await done

    run(main())


def test_settle_does_not_wait_for_ever_for_a_thread() -> None:
    """A bound function that goes on and on is an error, not a hang."""
    clock, began, go = FakeClock(), threading.Event(), threading.Event()
    clock.patience = 0

    async def main() -> None:
        clock.now()
        done = asyncio.get_running_loop().run_in_executor(None, lambda: (began.set(), go.wait(20)))
        assert began.wait(20)
        with pytest.raises(RuntimeError, match=r"settle\(\) has not ended within 0 real seconds: a bound function"):
            await clock.settle()
        go.set()
        await done

    run(main())


def test_settle_does_not_wait_for_ever_for_a_task() -> None:
    """A task that is always ready is given many turns, then left alone."""
    clock, turns = FakeClock(), 0

    async def spin() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(spin())
        await clock.settle()
        task.cancel()

    run(main())
    assert turns > 100


def test_nothing_stays_patched_after_a_run() -> None:
    """A clock without `fake_time` lets go of a loop when that stops, and takes hold of it again in the next run."""
    clock = FakeClock()
    loop = asyncio.SelectorEventLoop()
    assert patched(loop) == set()
    resolution = vars(loop)["_clock_resolution"]

    async def main() -> set[str]:
        await clock.sleep_async(5)
        return patched(loop)

    for n in (1, 2):
        assert {"time", "stop", "select"} <= loop.run_until_complete(main())
        assert patched(loop) == set()
        assert vars(loop)["_clock_resolution"] == resolution
        assert abs(loop.time() - time.monotonic()) < 5
        assert clock.now() == 5.0 * n
    loop.close()


def test_a_contact_while_the_loop_stops() -> None:
    """A task that meets the clock when nothing could let go of the loop any more does not take hold of it."""
    clock = FakeClock()
    loop = asyncio.SelectorEventLoop()
    loop.call_soon(loop.stop)
    loop.call_soon(clock.now)
    loop.run_forever()
    assert patched(loop) == set()
    loop.close()


def test_who_kept_a_method_of_an_attached_loop() -> None:
    """The stand-ins work on when the loop has been detached."""
    clock = FakeClock()
    loop = asyncio.SelectorEventLoop()

    async def main() -> tuple[Any, ...]:
        clock.now()
        return loop.call_soon_threadsafe, loop.run_in_executor, loop.time, loop.stop

    ring, run_in_executor, read, stop = loop.run_until_complete(main())
    assert patched(loop) == set()
    assert abs(read() - time.monotonic()) < 5
    assert loop.run_until_complete(run_in_executor(None, abs, -1)) == 1
    ring(stop)
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_timers_keep_what_is_left_of_them() -> None:
    """Timers from before the clock came, and those left when it goes, are moved along with the loop's time."""
    clock = FakeClock(start=1000)
    loop = asyncio.SelectorEventLoop()
    vars(loop)["time"] = lambda: 17.0  # a loop whose time was another's before, and is again afterwards

    async def main() -> None:
        early = asyncio.create_task(asyncio.sleep(100))
        await asyncio.sleep(0)
        assert loop.time() == 17.0
        assert clock.now() == loop.time() == 1000.0
        await early
        assert clock.now() == loop.time() == 1100.0
        loop.call_later(50, print)

    loop.run_until_complete(main())
    assert loop.time() == 17.0
    assert [timer.when() - loop.time() for timer in vars(loop)["_scheduled"]] == [50.0]
    loop.close()


def test_the_debug_mode_of_asyncio_does_not_complain(caplog: pytest.LogCaptureFixture) -> None:
    """The jump of the loop's time at either end is not taken for a slow callback; its threshold is kept."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 60
        with fake_time(), fake_time() as clock:
            await clock.sleep_async(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert loop.slow_callback_duration == 60

    with caplog.at_level(logging.WARNING, "asyncio"):
        asyncio.run(main(), debug=True)
    assert caplog.records == []


def test_a_thread_that_calls_just_before_the_loop_blocks_keeps_time_from_moving() -> None:
    """The loop has found nothing ready; a thread answers before the loop blocks; then the answer comes first."""

    async def main() -> float:
        driver, loop = driver_of(asyncio.get_running_loop()), asyncio.get_running_loop()
        assert driver is not None
        answer, select = loop.create_future(), driver._select

        def answered_too_late(timeout: float | None) -> list[Any]:
            driver._select = select
            ready = select(timeout)
            thread = threading.Thread(target=loop.call_soon_threadsafe, args=(answer.set_result, None))
            thread.start()
            thread.join()
            return ready

        driver._select = answered_too_late
        async with asyncio.timeout(10):
            await answer
        return clock.now()

    with fake_time() as clock:
        assert asyncio.run(main()) == 0


def test_a_wait_that_has_ended_does_not_end_again() -> None:
    """What comes too late, such as a complaint that nothing happens, changes nothing."""

    async def main() -> None:
        wait = LoopWait(5, 0.0, None)
        wait.end()
        wait.end(RuntimeError("too late"))
        await wait.suspend()
        assert wait.over

    asyncio.run(main())
