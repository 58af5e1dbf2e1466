"""Floor 3. Cutting off a task when its time is up, on virtual time, and whose cancellation it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from redouble.control import faults
from redouble.control.cancel import cancel_after
from redouble.testing import FakeClock
from redouble.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def on(clock: FakeClock, main: Callable[[], Awaitable[None]]) -> float:
    """Run a coroutine on the virtual time of a clock; how long it took."""

    async def attached() -> None:
        clock.now()  # attaches the loop
        await main()

    asyncio.run(attached())
    return clock.now()


def test_a_task_is_cut_off_when_its_time_is_up() -> None:
    """The task is cancelled after so many seconds, and it was this timer and nobody else."""
    clock = FakeClock()
    found: list[bool] = []

    async def main() -> None:
        cancel_scope = cancel_after(clock, 2.5)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            found.append(cancel_scope.exit(error))
        await asyncio.sleep(1)  # the cancellation is taken back
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0

    assert on(clock, main) == pytest.approx(3.5)
    assert found == [True]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_at_all(seconds: float) -> None:
    """Time that is over already cuts off at the next await."""
    clock = FakeClock()
    found: list[bool] = []

    async def main() -> None:
        cancel_scope = cancel_after(clock, seconds)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            found.append(cancel_scope.exit(error))

    assert on(clock, main) == 0.0
    assert found == [True]


def test_a_task_that_is_done_in_time() -> None:
    """A scope that was left does not fire later."""
    clock = FakeClock()

    async def main() -> None:
        cancel_scope = cancel_after(clock, 2.5)
        await asyncio.sleep(1)
        assert not cancel_scope.exit(None)
        await asyncio.sleep(10)

    assert on(clock, main) == pytest.approx(11.0)


def test_an_error_of_the_tasks_own() -> None:
    """An error in time is nobody's cancellation, a TimeoutError included."""
    clock = FakeClock()

    async def main() -> None:
        for error in (ValueError(), TimeoutError(), asyncio.CancelledError()):
            assert not cancel_after(clock, 2.5).exit(error)
        await asyncio.sleep(10)

    on(clock, main)


@pytest.mark.parametrize("error", [ValueError("while cleaning up"), TimeoutError("mine"), None])
def test_what_the_task_made_of_it(error: Exception | None) -> None:
    """A task that answers the cancellation with something else keeps that; the cancellation is taken back."""
    clock = FakeClock()
    found: list[bool] = []

    async def main() -> None:
        cancel_scope = cancel_after(clock, 1)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            found.append(cancel_scope.exit(error))
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0
        await asyncio.sleep(1)

    assert on(clock, main) == pytest.approx(2.0)
    assert found == [False]


def test_somebody_else_cancelled_first() -> None:
    """A cancellation from outside, before the time is up, is not the timer's."""
    clock = FakeClock()
    found: list[bool] = []

    async def victim() -> None:
        cancel_scope = cancel_after(clock, 5)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            found.append(cancel_scope.exit(error))
            raise

    async def main() -> None:
        task = asyncio.create_task(victim())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() and task.cancelling() == 1

    on(clock, main)
    assert found == [False]


def test_somebody_else_cancelled_in_the_same_moment() -> None:
    """When both fall together it is the outer cancellation that counts: nobody's wish to end is swallowed."""
    clock = FakeClock()
    found: list[bool] = []

    async def victim() -> None:
        cancel_scope = cancel_after(clock, 5)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            found.append(cancel_scope.exit(error))
            raise

    async def main() -> None:
        task = asyncio.create_task(victim())
        await asyncio.sleep(0)
        clock.call_later(5, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled() and task.cancelling() == 1

    on(clock, main)
    assert found == [False]


def test_a_cut_within_a_task_that_was_cancelled_before() -> None:
    """A task that cleans up after a cancellation may be cut off too: only later cancellations are others'."""
    clock = FakeClock()
    found: list[bool] = []

    async def victim() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancel_scope = cancel_after(clock, 2)
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError as error:
                found.append(cancel_scope.exit(error))
            raise

    async def main() -> None:
        task = asyncio.create_task(victim())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    assert on(clock, main) == pytest.approx(3.0)
    assert found == [True]


def test_one_cut_within_another() -> None:
    """Each timer takes back its own cancellation, the inner one first."""
    clock = FakeClock()
    found: list[str] = []

    async def main() -> None:
        outer = cancel_after(clock, 3)
        try:
            for _ in range(2):
                inner = cancel_after(clock, 2)
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError as error:
                    if not inner.exit(error):
                        raise
                    found.append("inner")
        except asyncio.CancelledError as error:
            if outer.exit(error):
                found.append("outer")

    assert on(clock, main) == pytest.approx(3.0)
    assert found == ["inner", "outer"]


class Stubborn:
    """A timer that cannot be cancelled."""

    def cancel(self) -> None:
        raise RuntimeError("no way back")


def test_a_timer_that_cannot_be_cancelled(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged once, and when the timer fires after all it cuts off nobody any more."""
    monkeypatch.setattr(faults, "_said", set())

    class Faulty(FakeClock):
        def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
            super().call_later(seconds, callback)
            return Stubborn()

    clock = Faulty()

    async def main() -> None:
        for _ in range(2):
            cancel_scope = cancel_after(clock, 2)
            await asyncio.sleep(1)
            assert not cancel_scope.exit(None)
        await asyncio.sleep(10)
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0

    assert on(clock, main) == pytest.approx(12.0)
    assert len(caplog.records) == 1 and "clock Stubborn raised RuntimeError('no way back')" in caplog.text


def test_a_time_limit_needs_a_task() -> None:
    """In a callback of the event loop there is no task to cancel."""
    caught: list[BaseException] = []

    def callback() -> None:
        with pytest.raises(RuntimeError, match="neither asyncio nor trio runs this coroutine") as info:
            cancel_after(SystemClock(), 5)
        caught.append(info.value)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert len(caught) == 1
