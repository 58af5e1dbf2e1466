"""Floor 4. Limiting time in asyncio: the heap of timers, what is closed halfway, what goes on alone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from redouble.calls.hosts import asyncio as host
from redouble.control import faults
from redouble.control.cancel import LET_GO, AsyncioCancelScope
from redouble.control.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Loop:
    """As much of an event loop as timers need, with a time that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., None], *args: Any) -> None:
        self.calls.append((when, callback, args))

    def go_on(self, to: float) -> None:
        """Let the time pass, and call what is due on the way."""
        while due := sorted((call for call in self.calls if call[0] <= to), key=lambda call: call[0]):
            self.calls.remove(due[0])
            self.now, callback, args = due[0]
            callback(*args)
        self.now = to


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A loop that counts as the running one."""
    running = Loop()
    monkeypatch.setattr(host, "get_running_loop", lambda: running)
    return running


def test_timers_come_in_the_order_of_their_times(loop: Loop) -> None:
    """Each callback is called once, at its time; the loop's own timer is set for the first of them alone."""
    timers, called = host._Timers(), []
    for seconds in (5.0, 2.0, 3.0):
        timers.call_later(seconds, lambda seconds=seconds: called.append((seconds, loop.now)))  # type: ignore[misc]
    assert [when for when, _, _ in loop.calls] == [5.0, 2.0]
    loop.go_on(2.5)
    assert called == [(2.0, 2.0)]
    loop.go_on(10.0)
    assert called == [(2.0, 2.0), (3.0, 3.0), (5.0, 5.0)]
    assert loop.calls == []


def test_a_cancelled_timer_is_not_called(loop: Loop) -> None:
    """It is left out when it comes up, and may be cancelled again, also after its time."""
    timers, called = host._Timers(), []
    gone = timers.call_later(1.0, lambda: called.append("gone"))
    there = timers.call_later(2.0, lambda: called.append("there"))
    gone.cancel()
    gone.cancel()
    loop.go_on(3.0)
    there.cancel()
    assert called == ["there"]
    heap: Any = gone.heap
    assert (heap._timers, heap._cancelled) == ([], 0)


def test_a_callback_may_set_an_earlier_timer(loop: Loop) -> None:
    """What a callback adds comes at its time, before the one that was there already."""
    timers, called = host._Timers(), []

    def first() -> None:
        called.append(loop.now)
        timers.call_later(1.0, lambda: called.append(loop.now))

    timers.call_later(1.0, first)
    timers.call_later(5.0, lambda: called.append(loop.now))
    loop.go_on(6.0)
    assert called == [1.0, 2.0, 5.0]


def test_many_cancelled_timers_are_swept_out(loop: Loop) -> None:
    """When more than a few, and more than half, are cancelled the heap lets go of them; the others still come."""
    timers, called = host._Timers(), list[object]()
    kept = timers.call_later(9.0, lambda: called.append(loop.now))
    for _ in range(host.FEW + 1):
        timers.call_later(8.0, lambda: called.append("cancelled")).cancel()
    heap: Any = kept.heap
    assert heap._timers == [kept]
    loop.go_on(10.0)
    assert called == [9.0]


def test_each_loop_has_timers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer of one loop does not come on another."""
    timers, called, loops = host._Timers(), [], [Loop(), Loop()]
    for number, each in enumerate(loops):
        monkeypatch.setattr(host, "get_running_loop", lambda each=each: each)
        timers.call_later(1.0, lambda number=number: called.append(number))  # type: ignore[misc]
    loops[1].go_on(2.0)
    assert called == [1]


def cut_off(cancelled: BaseException) -> TimeoutError:
    """Stand in for the method of a call."""
    return TimeoutError("cut off")


def test_what_is_no_coroutine_is_limited_too() -> None:
    """A future is awaited as it is, and its timer is taken back."""

    async def main() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "done")
        value: str = await host.limit(future, SYSTEM, lambda: 3600.0, cut_off)
        return value

    assert asyncio.run(main()) == "done"


def test_time_that_is_up_cuts_off_on_the_system_clock() -> None:
    """With no time left, a real loop cancels the operation at its first suspension, and the error stands for it."""
    seen: list[str] = []

    async def stuck() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        with pytest.raises(TimeoutError, match="cut off"):
            await host.limit(stuck(), SYSTEM, lambda: 0.0, cut_off)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(main())
    assert seen == ["cancelled"]


def test_an_operation_that_is_closed_halfway() -> None:
    """Closing the limited coroutine closes the operation in it."""
    seen: list[str] = []

    async def operation() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append("closed")

    async def main() -> None:
        limited = host.limit(operation(), SYSTEM, lambda: 3600.0, cut_off)
        limited.send(None)
        limited.close()

    asyncio.run(main())
    assert seen == ["closed"]


def test_closing_that_is_closed_halfway() -> None:
    """Closing what limits a closing closes that, too."""
    seen: list[str] = []

    async def closing() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append("closed")

    async def main() -> None:
        finishing = host.finish(closing(), SYSTEM, 3600.0, True)
        finishing.send(None)
        finishing.close()

    asyncio.run(main())
    assert seen == ["closed"]


def test_closing_that_fails_alone_is_of_no_interest() -> None:
    """What goes on after its time, and raises then, is let go: nobody is told, and it is not held any more."""
    seen: list[str] = []
    unseen: list[dict[str, Any]] = []

    async def closing() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("raises")
            raise ValueError from None

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        assert await host.finish(closing(), SYSTEM, 0.0, True) is LET_GO
        assert len(host._alone) == 1
        for _ in range(4):
            await asyncio.sleep(0)
        assert not host._alone

    asyncio.run(main())
    assert (seen, unseen) == (["raises"], [])


@pytest.mark.parametrize("delivered", [True, False])
def test_a_cancellation_that_comes_late_is_absorbed(monkeypatch: pytest.MonkeyPatch, delivered: bool) -> None:
    """As before Python 3.13, where a request that was taken back is still delivered; none may come, either."""

    async def main() -> str:
        task = asyncio.current_task()
        assert task is not None
        cancel_scope: Any = SimpleNamespace(fired=True)
        if delivered:
            task.cancel()
        monkeypatch.setattr(host, "current_task", lambda: SimpleNamespace(_must_cancel=True, cancelling=lambda: 0))
        await host.absorb(cancel_scope)
        task.uncancel()
        await asyncio.sleep(0)
        return "goes on"

    assert asyncio.run(main()) == "goes on"


def test_a_request_of_others_is_not_absorbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody else asked for a cancellation, too, that stays to be delivered."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        monkeypatch.setattr(host, "current_task", lambda: SimpleNamespace(_must_cancel=True, cancelling=lambda: 1))
        cancel_scope: Any = SimpleNamespace(fired=True)
        await host.absorb(cancel_scope)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        task.uncancel()

    asyncio.run(main())


class Broken:
    """A clock without timers."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
        raise ValueError("no timers")


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of what is reported."""
    lines: list[str] = []
    monkeypatch.setattr(faults, "listeners", [lambda line, error: lines.append(line)])
    return lines


def test_a_clock_without_timers_limits_nothing(reports: list[str]) -> None:
    """The operation is awaited without a limit, as is what closes, and both are reported."""
    clock: Any = Broken()

    async def operation() -> int:
        await asyncio.sleep(0)
        return 5

    async def main() -> tuple[int, int]:
        return (
            await host.limit(operation(), clock, lambda: 1.0, cut_off),
            await host.finish(operation(), clock, 1.0, True),
        )

    assert asyncio.run(main()) == (5, 5)
    assert [line.rpartition("; ")[2] for line in reports] == [
        "attempts have no time limit",
        "closing has no time limit",
    ]


def test_a_cut_of_a_task_that_is_done() -> None:
    """Firing after the end, and firing twice, cancel nothing."""

    async def main() -> int:
        cancel_scope = AsyncioCancelScope(SYSTEM, None)
        assert cancel_scope.exit(None) is False
        cancel_scope.fire()
        task = asyncio.current_task()
        assert task is not None
        assert cancel_scope.fired is False
        return task.cancelling()

    assert asyncio.run(main()) == 0


def test_an_awaitable_of_ones_own_is_limited_too() -> None:
    """What has only `__await__` is awaited as it is."""

    class Own:
        def __await__(self) -> Generator[Any, Any, int]:
            yield from asyncio.sleep(0).__await__()
            return 7

    async def main() -> Any:
        return await host.limit(Own(), SYSTEM, lambda: 3600.0, cut_off)

    assert asyncio.run(main()) == 7
