"""Floor 4. Limiting time and waiting for several events in trio, on a time that is virtual."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from redouble.calls.hosts import coroutines
from redouble.calls.hosts import trio as host
from redouble.calls.pause import Pause
from redouble.control import faults
from redouble.control.cancel import CUT_OFF
from redouble.control.clock import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run on virtual time; return what came of it, and how long it took."""

    async def timed() -> tuple[Any, float]:
        begun = trio.current_time()
        value = await main()
        return value, trio.current_time() - begun

    return trio.run(timed, clock=trio.testing.MockClock(autojump_threshold=0))


class Broken:
    """A clock without timers."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
        raise ValueError("no timers")


def cut_off(cancelled: BaseException) -> TimeoutError:
    """Stand in for the method of a call."""
    return TimeoutError("cut off")


def test_a_clock_without_timers_limits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operation is awaited without a limit, as is what closes, and both are reported."""
    lines: list[str] = []
    monkeypatch.setattr(faults, "listeners", [lambda line, error: lines.append(line)])
    clock: Any = Broken()

    async def operation() -> int:
        await trio.sleep(2)
        return 5

    async def main() -> tuple[int, int]:
        return (
            await host.limit(operation(), clock, lambda: 1.0, cut_off),
            await host.finish(operation(), clock, 1.0),
        )

    assert run(main) == ((5, 5), 4.0)
    assert [line.rpartition("; ")[2] for line in lines] == ["attempts have no time limit", "closing has no time limit"]


def test_what_closes_in_its_time() -> None:
    """What came of it is returned; what takes longer is cut off; what it raises is raised."""

    async def closing(seconds: float) -> str:
        await trio.sleep(seconds)
        if seconds == 2:
            raise ValueError("cannot close")
        return "closed"

    async def main() -> tuple[Any, Any]:
        with pytest.raises(ValueError, match="cannot close"):
            await host.finish(closing(2), SYSTEM, 3.0)
        return await host.finish(closing(1), SYSTEM, 3.0), await host.finish(closing(5), SYSTEM, 3.0)

    assert run(main) == (("closed", CUT_OFF), 6.0)


@pytest.mark.parametrize(("set_at", "takes"), [(1.0, 1.0), (9.0, 4.0)])
def test_the_first_of_trios_events_ends_the_wait(set_at: float, takes: float) -> None:
    """One that is set is seen at once; where none is, the time is slept."""

    async def main() -> tuple[bool, float]:
        first, second = trio.Event(), trio.Event()
        begun = trio.current_time()

        async def setting() -> None:
            await trio.sleep(set_at)
            second.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(setting)
            pausing = Pause(SYSTEM, 4.0, (first, second), "a loop")
            await coroutines.pause(pausing)
            nursery.cancel_scope.cancel()
        return pausing.is_over(), trio.current_time() - begun

    assert run(main)[0] == (takes < 4.0, pytest.approx(takes))


def test_other_events_are_looked_at_now_and_then() -> None:
    """An event of `threading` among those of trio ends the wait, too; the clock is handed all as one."""
    handed: list[Any] = []

    class Quick:
        async def sleep_async(self, seconds: float, stop: Any = None) -> None:
            handed.append((seconds, stop.is_set()))
            ended.set()
            handed.append((seconds, stop.is_set()))

    ended = threading.Event()
    clock: Any = Quick()

    async def main() -> None:
        await host.sleep_until_any(clock, 4.0, (trio.Event(), ended))

    run(main)
    assert handed == [(4.0, False), (4.0, True)]


def test_the_system_clock_looks_at_other_events() -> None:
    """In trio a wait with an event of `threading` ends when that is set, which is seen now and then."""
    ended = threading.Event()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(SYSTEM.sleep_async, 3600.0, ended)
            await trio.testing.wait_all_tasks_blocked()
            ended.set()

    _, took = run(main)
    assert took <= 0.1
