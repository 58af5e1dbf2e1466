"""Links that threads reset, reconnect and close at random moments, ten thousand times; sessions are socket pairs."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
import tracemalloc
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, reconnect, retry
from redouble.loops.link import LinkStatus
from tests.integration.storms.storms import PATIENCE, SCALE, needs_linux, open_files, wait_for_threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WARM = 500  # cycles after which memory is measured first
FLAT = 100_000  # bytes that memory may grow by: ten a cycle
ACTS = ("reconnect",) * 6 + ("reset",) * 3 + ("close",)


class Storm:
    """A link whose waits last an hour, so that a request that is lost is noticed, and what asks it for things.

    Attributes:
        length: How many sessions there are.
    """

    length: int

    def __init__(self) -> None:
        self.link: Any = None
        self.dials = self.cycles = self.open = self.asked = self.memory = 0
        self.over = threading.Event()
        self.lost: list[str] = []
        self.threads = [threading.Thread(target=self.ask, args=(seed,)) for seed in range(3)]

    def opens(self) -> None:
        """Count a dial; there may be no other connection."""
        self.dials += 1
        self.open += 1
        assert self.open == 1, "two connections at once"

    def closes(self) -> None:
        """Count a close."""
        self.open -= 1

    def begins(self) -> bool:
        """Count a session; return whether it is the last one."""
        self.cycles += 1
        if self.cycles == WARM:
            gc.collect()
            self.memory = tracemalloc.get_traced_memory()[0]
        return self.cycles >= self.length

    def ask(self, seed: int) -> None:
        """Ask for something at random moments, in a thread, and see that it is done.

        In the first half of the storm only one thread asks for dials, so that no other request makes up for one that is
        lost; in the second half all do, so that requests meet.
        """
        random = Random(seed)
        while not self.over.is_set() and not self.lost:
            time.sleep(random.random() * 0.0005)
            alone = seed > 0 and 2 * self.cycles < self.length
            act = "reset" if alone else random.choice(ACTS)
            dials = self.dials - (self.link.status is LinkStatus.CONNECTING)
            getattr(self.link, act)()
            self.asked += 1
            if act != "reset":
                self.wait_for_a_dial(act, dials)

    def wait_for_a_dial(self, act: str, dials: int) -> None:
        """Wait for the dial that was asked for, or that of the next loop; a dial that was under way counts."""
        end = time.monotonic() + PATIENCE
        while self.dials <= dials and not self.over.is_set():
            if time.monotonic() > end:
                self.lost.append(f"{act} after dial {dials}: {self.link!r}")
                self.link.close()
                return
            time.sleep(0.0001)

    def check(self, files: int, threads: set[threading.Thread]) -> None:
        """Nothing is lost, open or left, and memory is flat."""
        assert self.lost == []
        assert (self.cycles, self.open, self.link.status) == (self.length, 0, LinkStatus.IDLE)
        wait_for_threads(threads)
        assert open_files() == files
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - self.memory < FLAT

    def run(self) -> None:
        """Loop again and again, in this thread."""
        raise NotImplementedError


class InThreads(Storm):
    """Reads in a thread."""

    length = 6_000 * SCALE

    def dial(self) -> Pair:
        """Open a connection."""
        return Pair(self)

    def run(self) -> None:
        while not self.lost:
            for session in self.link:
                with session as connection:
                    if self.begins():
                        return
                    connection.socket.recv(1)


class Pair:
    """One end of a socket pair, closed together with the other one."""

    def __init__(self, storm: Storm) -> None:
        self.socket, self.other = socket.socketpair()
        self.storm = storm
        self.closed, self.lock = False, threading.Lock()
        storm.opens()

    def shutdown(self, how: int) -> None:
        self.socket.shutdown(how)

    def close(self) -> None:
        """Close it; the thread that asked for the end of the session does so, too."""
        with self.lock:
            if not self.closed:
                self.closed = True
                self.socket.close()
                self.other.close()
                self.storm.closes()


class InCoroutines(Storm):
    """Reads in a task."""

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Any]:
        """Open a connection."""
        ends = socket.socketpair()
        self.opens()
        try:
            yield ends[0]
        finally:
            for end in ends:
                end.close()
            self.closes()

    async def read(self, connection: socket.socket) -> None:
        """Read until cancelled."""
        raise NotImplementedError

    async def loop(self) -> None:
        """Loop again and again."""
        while not self.lost:
            async for session in self.link:
                async with session as connection:
                    if self.begins():
                        return
                    await self.read(connection)


class InAsyncio(InCoroutines):
    """Reads in a task of asyncio."""

    length = 2_000 * SCALE

    async def read(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_recv(connection, 1)

    async def main(self) -> None:
        """Loop, and look for tasks that are left."""
        await self.loop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def run(self) -> None:
        asyncio.run(self.main())


class InTrio(InCoroutines):
    """Reads in a task of trio."""

    length = 2_000 * SCALE

    async def read(self, connection: socket.socket) -> None:
        import trio

        await trio.lowlevel.wait_readable(connection)

    async def main(self) -> None:
        """Loop, and look for tasks that are left: ours, and the two that trio has itself."""
        import trio.testing

        before = trio.lowlevel.current_statistics().tasks_living
        await self.loop()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before

    def run(self) -> None:
        trio: Any = pytest.importorskip("trio", reason="trio is not installed: pip install trio")
        trio.run(self.main)


@needs_linux
@pytest.mark.parametrize("kind", [InThreads, InAsyncio, InTrio])
def test_asked_ten_thousand_times(kind: type[Storm]) -> None:
    """Whatever threads ask for at whatever moment is done: nothing is lost, left open or held, and memory is flat."""
    files, threads = open_files(), set(threading.enumerate())
    storm = kind()
    storm.link = reconnect(storm.dial, retry(backoff=constant(3600)))  # type: ignore[attr-defined]
    tracemalloc.start()
    try:
        for thread in storm.threads:
            thread.start()
        try:
            storm.run()
        finally:
            storm.over.set()
            for thread in storm.threads:
                thread.join()
        storm.check(files, threads)
    finally:
        tracemalloc.stop()
