"""Traps, which hold time still."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from redouble.testing import FakeClock


def test_a_trap_holds_time_until_it_is_released() -> None:
    """While it is set nothing advances by itself; afterwards everything does."""
    clock = FakeClock()
    trap = clock.trap()
    with ThreadPoolExecutor() as pool:
        done = pool.submit(clock.sleep, 3)
        assert trap.wait() == 3.0
        assert not done.done()
        assert clock.now() == 0.0
        trap.release()
        done.result(20)
    assert clock.now() == 3.0


def test_a_trap_is_a_context_manager() -> None:
    """It is released at the end of its `with`, and says so."""
    clock = FakeClock()
    with clock.trap() as trap:
        assert repr(trap) == "<set trap: waits=[]>"
    assert repr(trap) == "<released trap: waits=[]>"
    trap.release()
    clock.sleep(1)
    assert clock.now() == 1.0


def test_a_trap_lists_what_it_caught() -> None:
    """`waits` has the waits that began since the trap was set, and only those."""
    clock = FakeClock()
    clock.sleep(1)
    with ThreadPoolExecutor() as pool, clock.trap() as trap:
        for seconds in (2, 3):
            pool.submit(clock.sleep, seconds)
            assert trap.wait() == seconds
        assert trap.waits == [2.0, 3.0]
    clock.sleep(4)
    assert trap.waits == [2.0, 3.0]


def test_traps_add_up() -> None:
    """Time stands still until the last one is released."""
    clock = FakeClock()
    clock.patience = 0
    with clock.trap():
        with clock.trap():
            pass
        with pytest.raises(RuntimeError, match="a trap holds the clock"):
            clock.sleep(1)
    clock.sleep(1)
    assert clock.now() == 1.0


def test_waiting_for_nothing_runs_out() -> None:
    """When no wait is caught in time, that is an error which tells what was."""
    clock = FakeClock()
    with (
        clock.trap() as trap,
        pytest.raises(TimeoutError, match=r"caught no further wait within 0 real seconds, only \[\]"),
    ):
        trap.wait(timeout=0)


def test_time_by_hand_under_a_trap() -> None:
    """`advance` fires what is due, step by step, while the trap stays set."""
    clock = FakeClock()
    ended: list[float] = []

    def work() -> None:
        for seconds in (1, 2):
            clock.sleep(seconds)
            ended.append(clock.now())

    with clock.trap() as trap:
        thread = threading.Thread(target=work)
        thread.start()
        assert trap.wait() == 1.0
        clock.advance(1)
        assert trap.wait() == 2.0
        assert ended == [1.0]
        assert clock.advance_to_next() == 2.0
        thread.join(20)
    assert ended == [1.0, 3.0]


def test_a_trap_in_a_coroutine() -> None:
    """A coroutine awaits the wait of another task, moves time by hand, and lets what is due run."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap() as trap:
            task = asyncio.create_task(clock.sleep_async(3))
            assert await trap.wait_async() == 3.0
            clock.advance(2)
            await clock.settle()
            assert not task.done()
            clock.advance(1)
            assert not task.done()  # it runs when this coroutine next awaits
            await clock.settle()
            assert task.done()
            task = asyncio.create_task(clock.sleep_async(4))
            assert await trap.wait_async() == 4.0
        await task
        assert clock.now() == 7.0

    asyncio.run(main())


def test_a_trap_tells_at_once_what_it_has_caught_before() -> None:
    """Each call tells the next wait, one that began long ago included."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap() as trap:
            tasks = [asyncio.create_task(clock.sleep_async(seconds)) for seconds in (1, 2)]
            await clock.settle()
            assert [await trap.wait_async(), await trap.wait_async()] == [1.0, 2.0]
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_a_trap_tells_a_coroutine_about_a_thread() -> None:
    """A wait of another thread wakes the coroutine that awaits it."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap() as trap:
            done = asyncio.get_running_loop().run_in_executor(None, clock.sleep, 5)
            assert await trap.wait_async() == 5.0
            clock.advance_to_next()
            await done

    asyncio.run(main())
    assert clock.now() == 5.0


def test_awaiting_nothing_runs_out_in_real_time() -> None:
    """In a coroutine, too, the timeout is in real seconds: virtual ones stand still."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap() as trap:
            with pytest.raises(
                TimeoutError, match=r"within 0\.01 real seconds, only \[\] .*await trap\.wait_async\(\)"
            ):
                await trap.wait_async(timeout=0.01)
            assert clock.now() == 0.0

    asyncio.run(main())


def test_awaiting_a_trap_can_be_cancelled() -> None:
    """Who gives up waiting leaves no thread behind."""
    clock = FakeClock()

    async def main() -> None:
        with clock.trap() as trap:
            task = asyncio.create_task(trap.wait_async(timeout=60))
            await clock.settle()
            watchers = [thread for thread in threading.enumerate() if thread.name == "redouble-trap"]
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        for watcher in watchers:
            watcher.join(20)
            assert not watcher.is_alive()

    asyncio.run(main())


def test_a_released_trap_lets_an_event_loop_go_on() -> None:
    """Another thread releases the trap that holds a loop."""
    clock = FakeClock()
    trap = clock.trap()

    async def main() -> float:
        await clock.sleep_async(2)
        return clock.now()

    with ThreadPoolExecutor() as pool:
        done = pool.submit(asyncio.run, main())
        assert trap.wait() == 2.0
        trap.release()
        assert done.result(20) == 2.0


def test_a_wait_that_a_trap_tells_of_is_an_event() -> None:
    """Whoever is told of a wait, of a task in another thread for one, can at once advance to its end."""
    clock = FakeClock()
    with clock.trap() as trap, ThreadPoolExecutor(1) as pool:
        for seconds in range(1, 20):
            done = pool.submit(asyncio.run, clock.sleep_async(seconds))
            assert trap.wait() == clock.advance_to_next() == seconds
            done.result(20)
