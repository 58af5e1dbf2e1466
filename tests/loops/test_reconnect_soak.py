"""reconnect for a long time: thousands of dials that fail in every way, with interruptions, and nothing is left over."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

import anyio
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from redouble import constant, exponential, reconnect, retry, transient
from redouble.loops.link import LinkStatus
from redouble.loops.reconnect import Link
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble import Event
    from redouble.testing import FakeClock

EXAMPLES, CYCLES = settings().max_examples // 10, 200  # together, in both colours, two thousand dials
MOMENTS = 40  # of a connection's life of 20 s: where a step begins or ends, and between
THREADED = settings().max_examples  # reconnects


class OverError(Exception):
    """The storm is over."""


class DownError(OSError):
    """A failure, of which none must be left over."""


errors: WeakSet[DownError] = WeakSet()


def down() -> DownError:
    """A failure that is looked for at the end."""
    error = DownError("down")
    errors.add(error)
    return error


connections: WeakSet[Connection] = WeakSet()


class Connection:
    """A real socket, closed by `close`, which may fail."""

    def __init__(self, storm: Storm) -> None:
        self.storm = storm
        self.socket, other = socket.socketpair()
        other.close()
        connections.add(self)
        storm.open.append(self)

    def close(self) -> None:
        self.socket.close()
        self.storm.open.remove(self)
        self.storm.closed += 1
        if self.storm.random.random() < 0.1:
            raise down()

    def end(self) -> None:
        """End in order or with an error, at once or later."""
        if self.storm.random.random() < 0.5:
            raise down()


class Storm:
    """A server that fails by chance, and a link to it that is interrupted by chance."""

    def __init__(self, seed: int, clock: FakeClock) -> None:
        self.random, self.clock = Random(seed), clock
        self.cycles, self.opened, self.closed = CYCLES, 0, 0
        self.open: list[Connection] = []
        self.stop: Any = threading.Event()
        self.task: asyncio.Task[None] | None = None
        self.interrupt: Callable[[], object] = self.raise_interrupt

    def link(self, open_: Callable[[], Any], **options: Any) -> Link[Connection]:
        """The link, with limits by chance, so that it is parked now and then."""
        policy = retry(
            on=transient(DownError, TimeoutError), backoff=exponential(1, maximum=30), attempts=self.random.choice([2, 5]),
            stop=self.stop, observers=[self.hear],
        )  # fmt: skip
        half_open = self.random.choice([None, 100])
        self.made = reconnect(
            open_, policy, stable_after=self.random.choice([0, 5]), half_open=half_open, give_up="park", **options
        )
        return self.made

    def hear(self, event: Event) -> None:
        """Now and then somebody does something while observers are told."""
        self.disturb(0.02)

    def disturb(self, chance: float) -> None:
        """Stop, reset or interrupt the loop, by chance."""
        if self.random.random() < chance:
            self.random.choice([self.stop.set, self.made.reset, self.made.reconnect, self.made.close, self.interrupt])()

    def raise_interrupt(self) -> None:
        raise KeyboardInterrupt

    def dial(self) -> Connection:
        """Fail, or open what must be the only connection."""
        self.cycles -= 1
        if self.cycles < 0:
            raise OverError
        assert not self.open, "two connections at once"
        self.disturb(0.05)
        if self.random.random() < 0.5:
            raise down()
        self.opened += 1
        return Connection(self)

    def seconds(self, most: float) -> float:
        """Some time, often none."""
        return self.random.choice([0.0, self.random.random() * most])

    def check(self) -> None:
        """Nothing is open, and as much was closed as was opened."""
        assert self.open == []
        assert self.closed == self.opened
        assert self.made.status is LinkStatus.IDLE


def run(storm: Storm) -> None:
    """Loop again and again until the storm is over."""
    link = storm.link(storm.dial)
    while True:
        storm.stop.clear()
        try:
            for session in link:
                with session as connection:
                    storm.clock.advance(storm.seconds(10))
                    storm.disturb(0.05)
                    if storm.random.random() < 0.05:
                        break
                    connection.end()
        except KeyboardInterrupt:
            storm.check()
        except OverError:
            return
        storm.check()


async def loop_once(storm: Storm, link: Link[Connection]) -> None:
    """One loop, in a task that may be cancelled at any time."""
    async for session in link:
        async with session as connection:
            await asyncio.sleep(storm.seconds(10))
            storm.disturb(0.05)
            if storm.random.random() < 0.05:
                break
            connection.end()


async def run_async(storm: Storm) -> None:
    """The same in asyncio, with cancellations, stops and resets at any time, and dials that take too long."""

    async def dial() -> Connection:
        await asyncio.sleep(storm.seconds(12))
        return storm.dial()

    storm.interrupt = lambda: storm.task is not None and storm.task.cancel()
    link = storm.link(dial, connect_timeout=10)
    loop = asyncio.get_running_loop()
    while True:
        storm.stop.clear()
        storm.task = asyncio.ensure_future(loop_once(storm, link))
        timers = [loop.call_later(storm.random.random() * 300, storm.disturb, 1.0) for _ in range(5)]
        try:
            await storm.task
        except asyncio.CancelledError:
            storm.check()
        except OverError:
            return
        finally:
            for timer in timers:
                timer.cancel()
        storm.check()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1


def file_descriptors() -> int:
    """How many files and sockets this process has open."""
    place = Path("/proc/self/fd")
    return sum(1 for _ in place.iterdir()) if place.exists() else 0


class Slow:
    """A connection whose every step takes its time, so that there is something to be interrupted."""

    open: int = 0

    async def __aenter__(self) -> Slow:
        await anyio.sleep(1)
        Slow.open += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await anyio.sleep(1)
        finally:
            Slow.open -= 1


async def cancelled_after(seconds: float, act: str) -> None:
    """A loop that dials (1 s, the second time in vain), is up (3 s), closes (1 s) and waits (2 s), interrupted somewhere."""
    dials = iter(range(1000))

    def dial() -> Slow:
        if next(dials) % 2:
            raise DownError("down")
        return Slow()

    link = reconnect(dial, retry(on=transient(DownError), backoff=constant(2)), stable_after=0)
    with anyio.move_on_after(seconds + (0 if act == "cancel" else 20)) as scope:
        async with anyio.create_task_group() as group:

            async def interrupt() -> None:
                await anyio.sleep(seconds)
                getattr(link, act)()

            if act != "cancel":
                group.start_soon(interrupt)
            async for session in link:
                async with session:
                    assert Slow.open == 1, "two connections at once"
                    await anyio.sleep(3)
    assert scope.cancelled_caught == (act != "close")
    assert (link.status, Slow.open) == (LinkStatus.IDLE, 0)


@pytest.mark.parametrize("act", ["cancel", "reset", "reconnect", "close"])
@pytest.mark.parametrize("host", ["asyncio", "trio"])
def test_interrupted_at_every_moment(host: str, act: str) -> None:
    """Wherever a loop is cancelled, reset, reconnected or closed: one connection at a time, and none left open."""
    with fake_time(draw=0.5) as clock:

        async def main() -> None:
            for moment in range(MOMENTS):
                await cancelled_after(moment * 20 / MOMENTS, act)

        if host == "asyncio":
            asyncio.run(main())
        else:
            trio.run(main, clock=clock.trio)


class Breakable:
    """A connection that lasts until somebody shuts it down."""

    open_now: ClassVar[list[Breakable]] = []

    def __init__(self) -> None:
        assert not self.open_now, "two connections at once"
        self.open_now.append(self)
        self.broken = threading.Event()

    def shutdown(self, _how: int) -> None:
        self.broken.set()

    def close(self) -> None:
        if self in self.open_now:
            self.open_now.remove(self)


def test_asked_by_threads_at_random_moments() -> None:
    """Threads that reset and reconnect a link of a thread at any moment lose nothing, and no wait of an hour is made."""
    cycles = 0
    link = reconnect(Breakable, retry(backoff=constant(3600)))
    over = threading.Event()

    def disturb(seed: int) -> None:
        random = Random(seed)
        while not over.is_set():
            random.choice([link.reset, link.reconnect, link.reconnect])()

    threads = [threading.Thread(target=disturb, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    try:
        for session in link:
            cycles += 1
            with session as connection:
                if cycles == THREADED:
                    break
                connection.broken.wait()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert (cycles, Breakable.open_now, link.status) == (THREADED, [], LinkStatus.IDLE)


@pytest.mark.parametrize("colour", ["sync", "async"])
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_thousands_of_dials(colour: str, seed: int) -> None:
    """However it fails and is interrupted: one connection at a time, each closed, and neither task, file nor error left."""
    gc.collect()
    before = file_descriptors()
    with fake_time(draw=Random(seed).random) as clock:
        storm = Storm(seed, clock)
        if colour == "sync":
            run(storm)
        else:
            asyncio.run(run_async(storm))
        assert storm.cycles < 0
        storm.check()
    del storm
    gc.collect()
    assert file_descriptors() == before
    assert (len(connections), len(errors)) == (0, 0)
