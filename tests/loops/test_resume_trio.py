"""Floor 5. Long reads in trio, on its own virtual time: fetched, retried, committed, cut off, cancelled and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from redouble import DeadlineExceeded, constant, deadline, override, resume, retry, watchdog
from redouble.control.clock import SystemClock
from redouble.loops import Stalled
from redouble.testing import scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

POLICY = retry(on=OSError, backoff=constant(1))
BOOK: dict[Any, tuple[list[int], Any]] = {None: ([1, 2], "b"), "b": ([3], "c"), "c": ([4, 5], None)}


class TrioClock(SystemClock):
    """Trio's own clock, whose time a `MockClock` makes virtual."""

    def now(self) -> float:
        return trio.current_time()


class Memory:
    """A checkpoint whose methods take their time, as a database does."""

    def __init__(self, stalls: int = 0) -> None:
        self.cursor: Any = None
        self.stalls = stalls
        self.saved: list[Any] = []

    async def load(self) -> Any:
        await trio.sleep(0)
        return self.cursor

    async def save(self, cursor: Any) -> None:
        await trio.sleep(0)
        self.cursor = cursor
        self.saved.append(cursor)

    async def load_stalls(self) -> int:
        await trio.sleep(0)
        return self.stalls

    async def save_stalls(self, stalls: int) -> None:
        await trio.sleep(0.5)
        self.stalls = stalls


def run(main: Callable[[], Awaitable[None]]) -> float:
    """Run in trio's virtual time; returns how long it took."""

    async def timed() -> float:
        began = trio.current_time()
        with override(clock=TrioClock()):
            await main()
        return trio.current_time() - began

    return trio.run(timed, clock=trio.testing.MockClock(autojump_threshold=0))


def later(fetch: Callable[[Any], Any], seconds: float = 0) -> Callable[[Any], Awaitable[Any]]:
    """A coroutine function that fetches after a while."""

    async def fetch_later(cursor: Any) -> Any:
        await trio.sleep(seconds)
        return fetch(cursor)

    return fetch_later


def test_every_page_comes_once() -> None:
    """Failures of fetch and body are retried, each page is committed once, in order; a part of one may be."""
    memory, read = Memory(), []
    fetch = scripted(OSError(), BOOK[None], BOOK["b"], BOOK["b"], ([5], None), ([5], None))
    bodies = scripted(None, OSError(), None, OSError(), None)

    async def main() -> None:
        async for page in resume(later(fetch), memory, POLICY, stall_after=2):
            async with page as items:
                bodies()
                read.extend(items)
                if page.cursor == "b":
                    await page.commit("bb")

    assert run(main) == pytest.approx(3)
    assert read == [1, 2, 3, 5] and memory.saved == ["b", "bb", "c", None]


@pytest.mark.parametrize("limits", [{"attempt_timeout": 4}, {"deadline": 4, "attempts": 2}])
def test_a_hanging_fetch_is_cut_off(limits: Any) -> None:
    """A time limit cuts off a fetch that hangs, and leaves the body its time."""
    memory, hanging = Memory(), [True]

    async def fetch(cursor: Any) -> Any:
        await trio.sleep(3600 if hanging.pop() else 0)
        return BOOK["c"]

    async def main() -> None:
        async for page in resume(fetch, memory, POLICY(**limits)):
            async with page:
                await trio.sleep(100)

    if "deadline" in limits:
        with pytest.raises(DeadlineExceeded):
            run(main)
        hanging[:] = [False]
        assert run(main) == pytest.approx(100)
    else:
        hanging[:] = [False, True]
        assert run(main) == pytest.approx(4 + 1 + 100)
    assert memory.saved == [None]


@pytest.mark.parametrize("where", ["fetch", "body", "wait"])
@pytest.mark.parametrize("around", [deadline, watchdog, trio.CancelScope])
def test_what_ends_a_run_is_counted(where: str, around: Any) -> None:
    """A deadline or a watchdog around a run counts it as stalled, by a checkpoint that waits, too; a cancellation does not."""
    memory = Memory()

    async def read() -> None:
        fetch = later(scripted(*[OSError("down")] * 9) if where == "wait" else BOOK.get, 99 if where == "fetch" else 0)
        async for page in resume(fetch, memory, POLICY(backoff=constant(4)), stall_after=1):
            async with page:
                await trio.sleep(99)

    async def main() -> None:
        if around is trio.CancelScope:
            with trio.move_on_after(5):
                await read()
        else:
            async with around(5):
                await read()

    if around is trio.CancelScope:
        run(main)
        assert memory.stalls == 0
        return
    with pytest.raises((DeadlineExceeded, Stalled)) as caught:
        run(main)
    assert (type(caught.value) is Stalled) is (where == "wait" and around is deadline)  # it sees that no wait fits
    assert memory.stalls == 1
    with pytest.raises(Stalled, match="1 of 1"):
        run(main)


def test_saving_the_count_is_bounded() -> None:
    """A checkpoint that hangs does not hold up a run that is being cancelled for ever."""
    memory = Memory()

    async def hang(stalls: int) -> None:
        await trio.sleep(3600)
        memory.stalls = stalls

    memory.save_stalls = hang  # type: ignore[method-assign]

    async def main() -> None:
        async with watchdog(5):
            async for _ in resume(later(BOOK.get, 99), memory, POLICY, stall_after=1):
                pass

    with pytest.raises(DeadlineExceeded):
        run(main)
    assert memory.stalls == 0


def test_a_stop_wakes_a_wait() -> None:
    """A `trio.Event` as `stop` ends the run at once, in order."""

    async def main() -> None:
        stop = trio.Event()

        async def then_stop() -> None:
            await trio.sleep(10)
            stop.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(then_stop)
            patient = POLICY(stop=stop, backoff=constant(3600))
            async for _ in resume(later(scripted(OSError())), Memory(), patient):
                pass

    assert run(main) == pytest.approx(10)
