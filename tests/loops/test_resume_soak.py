"""A thousand runs of a long read that fail, are left, cancelled and restarted at random: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redouble import constant, deadline, resume, retry
from redouble.calls.call import Call
from redouble.loops.reading import BasePage, Reading
from redouble.testing import fake_time

PAGES = 25
RUNS = 100
EXAMPLES = settings().max_examples // 10  # in each colour: 2 * 5 * 100 runs

policy = retry(on=ConnectionError, attempts=3, backoff=constant(1))


class Diary:
    """The checkpoint, and what must hold whenever it is written: the page was dealt with to its end, and is the next one."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.cursor: int | None = None
        self.finished: int | None = -1  # the page whose body last came to its end
        self.committed: list[int] = []
        self.laps = 0
        self.stalls = 0

    def load(self) -> int | None:
        return self.cursor

    def save(self, cursor: int | None) -> None:
        page = PAGES - 1 if cursor is None else cursor - 1
        assert page == self.finished == len(self.committed)
        if self.chance.random() < 0.05:
            raise OSError("the disk is full")
        self.cursor = cursor
        self.committed.append(page)
        if cursor is None:
            assert self.committed == list(range(PAGES))
            self.committed.clear()
            self.laps += 1

    def load_stalls(self) -> int:
        return self.stalls

    def save_stalls(self, stalls: int) -> None:
        assert stalls in (0, self.stalls + 1)
        self.stalls = stalls


class World:
    """The server and the body, which do at random what can happen to them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.diary = Diary(self.chance)
        self.ended: dict[str, int] = {}

    def happens(self) -> str:
        """What happens now: mostly nothing."""
        kinds = ["nothing"] * 24 + ["transient"] * 4 + ["permanent", "break", "interrupt", "hang"]
        return self.chance.choice(kinds)

    def go_wrong(self, what: str) -> None:
        if what == "transient":
            raise ConnectionResetError
        if what == "permanent":
            raise ValueError("permanent")
        if what == "interrupt":
            raise KeyboardInterrupt

    def fetch(self, cursor: int | None) -> tuple[list[int], int | None]:
        what = self.happens()
        self.go_wrong(what)
        page = cursor or 0
        return [page], page + 1 if page + 1 < PAGES else None

    def ends(self, how: str) -> None:
        self.ended[how] = self.ended.get(how, 0) + 1

    def lap(self) -> None:
        """One run of the synchronous loop."""
        before = len(self.diary.committed), self.diary.laps, self.diary.stalls
        try:
            for page in resume(self.fetch, self.diary, policy, stall_after=10**6):
                with page as items:
                    assert items == [len(self.diary.committed)]  # never a committed page again, and none is left out
                    what = self.happens()
                    if what == "break":
                        break
                    self.go_wrong(what)
                    self.diary.finished = items[0]
        except (ConnectionError, ValueError, OSError, KeyboardInterrupt) as error:
            self.judge(type(error).__name__, before, isinstance(error, Exception))
        else:
            self.judge("in order", before, failed=False)

    def judge(self, how: str, before: tuple[int, int, int], failed: bool) -> None:
        """A failed run without an advance counts, an advance sets the count back, anything else leaves it."""
        self.ends(how)
        advanced = (len(self.diary.committed), self.diary.laps) != before[:2]
        assert self.diary.stalls == (0 if advanced else before[2] + failed)

    async def fetch_async(self, cursor: int | None) -> tuple[list[int], int | None]:
        await asyncio.sleep(self.chance.random())
        found = self.fetch(cursor)
        if self.happens() == "hang":
            await asyncio.sleep(10**6)
        return found

    async def read(self) -> None:
        async for page in resume(self.fetch_async, self.diary, policy, stall_after=10**6):
            async with page as items:
                assert items == [len(self.diary.committed)]
                what = self.happens()
                if what == "break":
                    break
                self.go_wrong(what)
                if what == "hang":
                    await asyncio.sleep(10**6)
                self.diary.finished = items[0]

    async def lap_async(self) -> None:
        """One run of the asynchronous loop, which somebody cancels, or a deadline ends, if nothing else does."""
        before = len(self.diary.committed), self.diary.laps, self.diary.stalls
        by_deadline = self.chance.random() < 0.5
        limit = 100 * self.chance.random()

        async def bounded() -> None:
            async with deadline(limit if by_deadline else None):
                await self.read()

        task = asyncio.create_task(bounded())
        try:
            done, _ = await asyncio.wait([task], timeout=None if by_deadline else limit)
            if not done:
                task.cancel()
            await task
        except asyncio.CancelledError:
            self.judge("cancelled", before, failed=False)
        except (TimeoutError, ConnectionError, ValueError, OSError) as error:
            self.judge(type(error).__name__, before, failed=True)
        else:
            self.judge("in order", before, failed=False)
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture(scope="module", autouse=True)
def what_was_before_is_left_out() -> None:
    """The soaks look at all objects again and again: those of earlier tests, if there were any, are left out."""
    gc.collect()
    gc.freeze()


def alive() -> list[object]:
    """All runs of the loop, and what they raise, that have not gone."""
    gc.collect()
    kinds = (Reading, BasePage, Call, ConnectionResetError)
    return [thing for thing in gc.get_objects() if isinstance(thing, kinds)]


def assert_nothing_is_left(of_others: list[object]) -> None:
    """No run of the loop, and nothing that was opened for one, is alive, but what other tests have left."""
    assert [thing for thing in alive() if not any(thing is other for other in of_others)] == []


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_runs_of_the_synchronous_loop(seed: int) -> None:
    """Whatever happens, page after page is committed in order, each once a lap, and nothing is left behind."""
    others, world = alive(), World(seed)
    with fake_time(draw=0.5):
        for _ in range(RUNS):
            world.lap()
        while world.diary.committed:  # and however it stands, it can be brought to its end
            world.lap()
    assert set(world.ended) <= {"in order", "ConnectionResetError", "ValueError", "OSError", "KeyboardInterrupt"}
    assert_nothing_is_left(others)


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_runs_of_the_asynchronous_loop(seed: int) -> None:
    """The same in asyncio, where runs are also cancelled, and ended by deadlines, at random moments."""
    others, world = alive(), World(seed)
    world.happens = lambda: random_without_interrupt(world.chance)  # type: ignore[method-assign]

    async def main() -> None:
        for _ in range(RUNS):
            await world.lap_async()
        while world.diary.committed:
            await world.lap_async()

    with fake_time(draw=0.5):
        asyncio.run(main())
    assert_nothing_is_left(others)


def random_without_interrupt(chance: random.Random) -> str:
    """As `World.happens`; Ctrl-C would end the event loop itself."""
    return chance.choice(["nothing"] * 24 + ["transient"] * 4 + ["permanent", "break", "hang"])


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_the_soak_sees_everything(colour: str) -> None:
    """A seed shows that each kind of end happens, so that what is said above was looked at."""
    world = World(1)
    with fake_time(draw=0.5):
        if colour == "sync":
            for _ in range(500):
                world.lap()
            expected = {"in order", "ConnectionResetError", "ValueError", "OSError", "KeyboardInterrupt"}
        else:
            world.happens = lambda: random_without_interrupt(world.chance)  # type: ignore[method-assign]

            async def main() -> Any:
                for _ in range(500):
                    await world.lap_async()

            asyncio.run(main())
            expected = {"in order", "ConnectionResetError", "ValueError", "OSError", "cancelled", "DeadlineExceeded"}
    assert set(world.ended) == expected and world.diary.laps > 0
