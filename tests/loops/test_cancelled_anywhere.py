"""Cancellation at every await, one after the other, of all long-lived work and of calls, on asyncio and trio.

Each world does something that fails by chance. It is played again and again, and cancelled at its first await, then at its
second, until it comes to its own end; hundreds of moments on each host, in two plays or more, one of which is
cancelled twice. REDOUBLE_EXAMPLES asks for more of them.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio
from hypothesis import settings

from redouble import (
    constant,
    deadline,
    latest,
    pending,
    poll,
    reconnect,
    resume,
    retry,
    transient,
    watchdog,
)
from redouble.loops.link import LinkStatus
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator

MOMENTS = settings().max_examples  # of each of seven worlds


class DownError(Exception):
    """A failure that may pass."""


class NotYetError(Exception):
    """An answer that is not ready."""


policy = retry(on=transient(DownError) | pending(NotYetError, every=1), attempts=None, backoff=constant(1))


class World:
    """Something under way, of which only one may be open at once."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.open = 0

    async def step(self) -> None:
        """Take some time, or none, and fail now and then."""
        await anyio.sleep(self.random.choice([0, 0.5, 1]))
        if self.random.random() < 0.3:
            raise DownError("down")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open something, which takes time to open and to close."""
        await self.step()
        self.open += 1
        assert self.open == 1, "two at once"
        try:
            yield
        finally:
            try:
                await anyio.sleep(1)
            finally:
                self.open -= 1

    async def work(self) -> None:
        """Do it, to its own end."""
        raise NotImplementedError

    async def check(self) -> None:
        """Nothing is open, and the work can be done anew."""
        assert self.open == 0
        await self.work()
        assert self.open == 0


class Called(World):
    """A retried call."""

    async def operate(self) -> int:
        async with self.opened():
            await self.step()
            return 1

    async def work(self) -> None:
        assert await policy.call(self.operate) == 1


class Scoped(Called):
    """A retried call beneath a deadline and a watchdog."""

    async def work(self) -> None:
        async with deadline(1e6), watchdog(1e5) as dog:
            await super().work()
            dog.touch()
            await super().work()


class Connected(World):
    """A connection."""

    async def work(self) -> None:
        try:
            async with policy.connect(self.opened):
                await self.step()
        except DownError:
            return


class Polled(World):
    """Questions."""

    async def ask(self) -> str:
        async with self.opened():
            if self.random.random() < 0.5:
                raise NotYetError
            return "ready"

    async def work(self) -> None:
        assert await poll(self.ask, policy, interval=2) == "ready"


class Linked(World):
    """A connection that drops."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.link = reconnect(self.opened, policy)

    async def work(self) -> None:
        sessions = 0
        async for session in self.link:
            async with session:
                sessions += 1
                assert self.open == 1
                await self.step()
                if sessions >= 2:
                    break

    async def check(self) -> None:
        assert self.link.status is LinkStatus.IDLE
        await super().check()


class Read(World):
    """Pages, whose items are kept together with the cursor."""

    PAGES = 4

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.kept: list[int] = []
        self.read: list[int] = []

    def load(self) -> int | None:
        return len(self.kept) or None

    def save(self, cursor: int | None) -> None:
        self.kept += self.read
        self.read = []
        assert self.kept == list(range(self.PAGES if cursor is None else cursor))

    async def fetch(self, cursor: int | None) -> tuple[list[int], int | None]:
        async with self.opened():
            page = cursor or 0
            return [page], None if page == self.PAGES - 1 else page + 1

    async def work(self) -> None:
        async for page in resume(self.fetch, self, policy):
            async with page as items:
                self.read = list(items)
                await self.step()

    async def check(self) -> None:
        assert self.kept == list(range(len(self.kept)))
        if len(self.kept) < self.PAGES:
            await self.work()
        assert (self.kept, self.open) == (list(range(self.PAGES)), 0)


class Pushed(World):
    """States, of which the last one comes through."""

    LAST = 3

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.version = 1
        self.pushed: list[int] = []
        self.changed, self.closed = threading.Event(), threading.Event()

    async def push(self, version: int) -> None:
        assert version >= max(self.pushed, default=0), "an older state"
        async with self.opened():
            await self.step()
        self.pushed.append(version)
        self.version = min(self.version + 1, self.LAST)
        self.changed.set()
        if version == self.LAST:
            self.closed.set()

    async def work(self) -> None:
        await latest(lambda: self.version, self.push, self.changed, self.closed, policy)

    async def check(self) -> None:
        self.closed.clear()
        await super().check()
        assert self.pushed[-1] == self.LAST


class Stepped:
    """A coroutine that is interrupted just before one of its awaits suspends it, and perhaps at the next one again.

    Attributes:
        reached: Whether it has come so far.
    """

    def __init__(
        self, work: Coroutine[Any, Any, None], moment: int, again: bool, interrupt: Callable[[], object]
    ) -> None:
        self.work, self.interrupt = work, interrupt
        self.moments = {moment, moment + again}
        self.reached = False

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self.work.__await__()
        value: Any = None
        error: BaseException | None = None
        for at in count(1):
            try:
                trap = steps.send(value) if error is None else steps.throw(error)
            except StopIteration:
                return
            if at in self.moments:
                self.reached = True
                self.interrupt()
            value = error = None
            try:
                value = yield trap
            except BaseException as raised:
                error = raised


async def run(stepped: Stepped) -> None:
    """Await it, as a coroutine."""
    await stepped


async def on_asyncio(world: World, moment: int, again: bool) -> bool:
    """Cancel a task at a moment; return whether there was such a moment."""
    stepped = Stepped(world.work(), moment, again, lambda: task.cancel())
    task = asyncio.ensure_future(run(stepped))
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    assert task.cancelled() == stepped.reached, "a cancellation was lost"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return stepped.reached


async def on_trio(world: World, moment: int, again: bool) -> bool:
    """Cancel a scope at a moment; return whether there was such a moment."""
    before = trio.lowlevel.current_statistics().tasks_living
    with trio.CancelScope() as scope:
        stepped = Stepped(world.work(), moment, again, scope.cancel)
        await stepped
    assert scope.cancelled_caught == stepped.reached, "a cancellation was lost"
    assert trio.lowlevel.current_statistics().tasks_living == before
    return stepped.reached


async def at_every_moment(kind: type[World], play: Callable[[World, int, bool], Any]) -> int:
    """Play worlds of a kind, each cancelled at each of its moments in turn; return the number of moments."""
    moments = 0
    for seed in count():
        for moment in count(1):
            world = kind(seed)
            reached = await play(world, moment, seed % 2 == 1)
            if not reached:
                break
            moments += 1
            await world.check()
        if moments >= MOMENTS and seed:
            return moments
    raise AssertionError


@pytest.mark.parametrize("host", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", [Called, Scoped, Connected, Polled, Linked, Read, Pushed])
def test_cancelled_at_every_await(kind: type[World], host: str) -> None:
    """Wherever it is cancelled, the cancellation comes through, nothing is open or left, and it can be done anew."""
    with fake_time(draw=0.5) as clock:
        if host == "asyncio":
            moments = asyncio.run(at_every_moment(kind, on_asyncio))
        else:
            moments = trio.run(at_every_moment, kind, on_trio, clock=clock.trio)
    assert moments >= MOMENTS
