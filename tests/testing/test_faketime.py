"""`fake_time`, which puts a fake clock under every policy beneath."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import unittest
from asyncio import BaseEventLoop
from concurrent.futures import ThreadPoolExecutor

import pytest

from redouble import Stopped, constant, deadline, exponential, outcome, override, pending, retry, sequence
from redouble.control.scope import current_clock

from redouble.testing import loops  # isort: skip
from redouble.testing import HANG, FakeClock, fake_time, scripted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAKY = (ConnectionResetError, ConnectionResetError, "body")


def stand_ins(loop: asyncio.AbstractEventLoop) -> set[str]:
    """The names under which a loop object hides its class's methods."""
    return {name for name in vars(loop) if hasattr(type(loop), name)}


def test_a_retried_function_waits_in_virtual_time() -> None:
    """A decorated function is retried at once, with the waits that it would have made."""

    @retry(backoff=exponential(1))
    def fetch() -> str:
        return answer()

    answer = scripted(*FLAKY)
    with fake_time() as clock:
        assert fetch() == "body"
        assert clock.sleeps == [0.5, 1.0]
        assert clock.now() == 1.5


def test_a_retried_coroutine_function_waits_in_virtual_time() -> None:
    """So is a coroutine function, on a loop that starts beneath."""
    fetch = retry(backoff=exponential(1))(scripted(*FLAKY, asynchronous=True))
    with fake_time() as clock:
        assert asyncio.run(fetch()) == "body"
        assert clock.sleeps == [0.5, 1.0]


@pytest.mark.parametrize(("draw", "waits"), [(0.0, []), (0.25, [0.25, 0.5]), (lambda: 0.75, [0.75, 1.5])])
def test_the_draw_is_fixed(draw: Any, waits: list[float]) -> None:
    """Every jitter draws what it is told: a number, or what a callable returns."""
    with fake_time(draw) as clock:
        retry(backoff=exponential(1)).call(scripted(*FLAKY))
        assert clock.sleeps == waits


@pytest.mark.parametrize("draw", [1, -0.1, float("nan")])
def test_a_draw_outside_of_its_range_is_refused(draw: float) -> None:
    """A draw lies in [0, 1)."""
    with pytest.raises(ValueError, match="draw must be a number"):
        fake_time(draw)


def test_a_draw_of_a_wrong_kind_is_refused() -> None:
    """A draw is a number or a callable."""
    with pytest.raises(TypeError, match="draw must be a number"):
        fake_time("0.5")  # type: ignore[arg-type]


def test_a_deadline_cuts_an_attempt_at_its_very_moment() -> None:
    """A written deadline ends a coroutine that hangs, in virtual time and exactly."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await retry(deadline=4, backoff=constant(2)).call(scripted(ConnectionResetError, HANG, asynchronous=True))
        assert clock.now() == 4.0
        with pytest.raises(TimeoutError):
            async with deadline(0.1):
                await asyncio.Event().wait()
        assert clock.now() == 4.1

    with fake_time() as clock:
        asyncio.run(main())


def test_an_attempt_that_takes_time() -> None:
    """An operation advances the clock by the time that it takes; the deadline sees it."""

    def slow() -> None:
        clock.advance(3)
        raise ConnectionResetError

    with fake_time() as clock:
        with pytest.raises(ConnectionResetError) as caught:
            retry(deadline=9, backoff=constant(2)).call(slow)
        assert clock.now() == 8.0
    ended = outcome(caught.value)
    assert ended is not None
    assert (ended.attempts, ended.elapsed) == (2, 8.0)


def test_a_stop_from_a_bound_thread_ends_a_retried_call() -> None:
    """One thread retries, another stops it: the result is the same in every run."""
    stop = threading.Event()
    with fake_time() as clock:
        clock.grace = 5
        stopper = threading.Thread(target=clock.bind(lambda: (clock.sleep(5), stop.set())))
        stopper.start()
        with pytest.raises(Stopped):
            retry(stop=stop, attempts=None, result=pending(when=lambda _: True, every=2)).call(lambda: None)
        stopper.join(20)
        assert clock.now() == 5.0
        assert sorted(clock.sleeps) == [2.0, 2.0, 2.0, 5.0]


def test_bind_carries_it_into_a_thread() -> None:
    """A thread has no context of its own; a bound function brings it along, and is retried in virtual time."""
    fetch = retry(backoff=sequence(3, 4))(scripted(*FLAKY))
    with fake_time() as clock, ThreadPoolExecutor() as pool:
        assert pool.submit(clock.bind(fetch)).result(20) == "body"
        assert clock.now() == 7.0


def test_to_thread_carries_it() -> None:
    """`asyncio.to_thread` copies the context, and time waits for what it runs."""
    fetch = retry(backoff=sequence(3, 4))(scripted(*FLAKY))

    async def main() -> None:
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(fetch) == "body"

    with fake_time() as clock:
        clock.grace = 5
        asyncio.run(main())
        assert clock.now() == 7.0


def test_it_is_a_context_variable() -> None:
    """It holds in contexts copied from this one, not in others; inner ones win."""
    empty = contextvars.Context()
    with fake_time() as outer:
        assert current_clock() is outer
        assert empty.run(current_clock) is not outer
        with fake_time() as inner:
            assert contextvars.copy_context().run(current_clock) is inner
        assert current_clock() is outer
    assert not isinstance(current_clock(), FakeClock)


def test_everywhere_serves_contexts_that_have_none_of_their_own() -> None:
    """A thread that nothing was bound for sees the clock as well, until the end."""
    with fake_time(everywhere=True) as clock, ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_clock).result(20) is clock
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_clock).result(20) is not clock


def test_it_works_with_override() -> None:
    """Other fields of the policies beneath can be replaced as well."""
    with fake_time() as clock, override(backoff=constant(9)):
        retry.call(scripted(*FLAKY))
        assert clock.sleeps == [9.0, 9.0]


def test_it_is_entered_once() -> None:
    """Each clock is fresh: one and the same object is not entered again."""
    scope = fake_time()
    with scope:
        pass
    with pytest.raises(RuntimeError, match=r"has been entered before; make a new one with fake_time\(\.\.\.\)"):
        scope.__enter__()


def test_within_a_running_loop() -> None:
    """Opened in a coroutine it attaches the loop that runs, and detaches it at the end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        real = loop.time()
        async with fake_time() as clock:
            assert loop.time() == 0.0
            assert "time" in stand_ins(loop)
            assert await retry(backoff=sequence(3, 4)).call(scripted(*FLAKY, asynchronous=True)) == "body"
            await asyncio.sleep(93)
            assert clock.now() == 100.0
        assert stand_ins(loop) == set()
        assert real <= loop.time() < real + 50

    asyncio.run(main())


def test_nothing_stays_patched() -> None:
    """At the end asyncio is as it was, the loops that ran beneath included."""
    run_forever = BaseEventLoop.run_forever
    open_loop, closed_loop = asyncio.SelectorEventLoop(), asyncio.SelectorEventLoop()
    with fake_time() as clock:
        for loop in (open_loop, closed_loop):
            loop.run_until_complete(clock.sleep_async(1))
        closed_loop.close()
        assert BaseEventLoop.run_forever is not run_forever
        assert open_loop.time() == clock.now() == 2.0
        with fake_time():
            pass
        assert BaseEventLoop.run_forever is not run_forever
    assert BaseEventLoop.run_forever is run_forever
    assert stand_ins(open_loop) == stand_ins(closed_loop) == set()
    assert "select" not in vars(vars(open_loop)["_selector"])
    open_loop.close()


def test_the_clock_takes_no_hold_of_loops_any_more() -> None:
    """After the end the clock can still be read and waited on, but leaves event loops alone."""

    async def main() -> None:
        with fake_time() as clock:
            await clock.sleep_async(2)
        assert clock.now() == 2.0
        assert stand_ins(asyncio.get_running_loop()) == set()
        await clock.sleep_async(3)
        assert clock.now() == 5.0
        assert stand_ins(asyncio.get_running_loop()) == set()

    asyncio.run(main())


def test_a_loop_in_another_thread_is_detached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that still runs elsewhere at the end is back on real time afterwards, also one that is busy."""
    monkeypatch.setattr(loops, "LOOK_AGAIN", 0.0)
    loop = asyncio.SelectorEventLoop()
    with fake_time() as clock:
        thread = threading.Thread(target=clock.bind(loop.run_forever))
        thread.start()
        asyncio.run_coroutine_threadsafe(clock.sleep_async(5), loop).result(20)
        assert "time" in stand_ins(loop)
        busy = threading.Event()
        loop.call_soon_threadsafe(busy.wait, 20)
        threading.Thread(target=lambda: (clock.now(), busy.set())).start()
    assert stand_ins(loop) == set()
    assert abs(loop.time() - clock.now()) > 1
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


def test_a_loop_of_a_foreign_thread_is_left_alone() -> None:
    """A loop that is started in a thread which knows nothing of it stays on real time."""
    loop = asyncio.SelectorEventLoop()

    async def look() -> set[str]:
        return stand_ins(loop)

    with fake_time(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(loop.run_until_complete, look()).result(20) == set()
    loop.close()


def test_a_running_loop_cannot_be_run_again() -> None:
    """The error is asyncio's own."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            asyncio.get_running_loop().run_forever()

    with fake_time():
        asyncio.run(main())


def test_nested_ones_on_one_loop() -> None:
    """The inner one has the loop until it ends; the outer one goes on where it was."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with fake_time() as outer:
            await asyncio.sleep(5)
            with fake_time() as inner:
                await asyncio.sleep(2)
                assert (outer.now(), inner.now(), loop.time()) == (5.0, 2.0, 2.0)
            await asyncio.sleep(1)
            assert (outer.now(), inner.now(), loop.time()) == (6.0, 2.0, 6.0)

    asyncio.run(main())


def test_nested_ones_around_a_loop() -> None:
    """Between two runs, too, the inner one gives the loop back to the outer one."""
    loop = asyncio.SelectorEventLoop()
    with fake_time() as outer:
        loop.run_until_complete(asyncio.sleep(5))
        with fake_time() as inner:
            loop.run_until_complete(asyncio.sleep(2))
            assert loop.time() == inner.now() == 2.0
        assert loop.time() == outer.now() == 5.0
        loop.run_until_complete(asyncio.sleep(1))
        assert (outer.now(), inner.now()) == (6.0, 2.0)
    loop.close()


def test_overlapping_ones_on_one_loop() -> None:
    """The one that was opened first may end first."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = fake_time(), fake_time()
        clocks = [first.__enter__(), second.__enter__()]
        first.__exit__()
        await asyncio.sleep(2)
        assert [clock.now() for clock in clocks] == [0.0, 2.0]
        second.__exit__()
        assert stand_ins(loop) == set()

    asyncio.run(main())


def test_one_that_outlives_a_run() -> None:
    """Opened in one run of a loop and closed in another, as async fixtures are, it holds in between."""
    loop = asyncio.SelectorEventLoop()
    scope = fake_time()

    async def enter() -> FakeClock:
        return await scope.__aenter__()

    async def leave() -> None:
        await scope.__aexit__()

    clock = loop.run_until_complete(enter())
    loop.run_until_complete(asyncio.sleep(3))
    assert clock.now() == 3.0
    clock.sleep(1)
    loop.run_until_complete(leave())
    assert stand_ins(loop) == set()
    loop.close()


def test_traps_are_released_at_the_end() -> None:
    """A test that fails while a trap is set leaves no thread hanging."""
    with ThreadPoolExecutor() as pool:
        with fake_time() as clock:
            trap = clock.trap()
            done = pool.submit(clock.sleep, 5)
            trap.wait()
        done.result(20)
    assert clock.now() == 5.0


class InATestCase(unittest.IsolatedAsyncioTestCase):
    """`unittest` runs set-up, test and tear-down on one loop in debug mode."""

    async def asyncSetUp(self) -> None:
        self.clock = await self.enterAsyncContext(fake_time())

    async def test_a_retried_call(self) -> None:
        """A clock that `asyncSetUp` opened is under the test's policies."""
        with self.assertNoLogs("asyncio"):
            assert await retry(backoff=sequence(3, 4)).call(scripted(*FLAKY, asynchronous=True)) == "body"
            assert self.clock.sleeps == [3.0, 4.0]

    async def test_one_opened_in_the_test(self) -> None:
        """So is one that the test opens itself."""
        with fake_time() as clock:
            await retry(backoff=constant(2)).call(scripted(*FLAKY, asynchronous=True))
            assert clock.sleeps == [2.0, 2.0]
        assert self.clock.now() == 0.0
