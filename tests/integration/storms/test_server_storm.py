"""Links on real sockets against a server that is killed, frozen, slow to close, and refuses with 429; in real time."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from redouble import EventKind, constant, known_errors, reconnect, retry, transient
from redouble.loops.link import LinkStatus
from redouble.loops.reconnect import Link
from tests.integration.storms.storms import PATIENCE, SCALE, StormServer, needs_linux, open_files, wait_for_threads

websockets: Any = pytest.importorskip("websockets", reason="websockets is not installed: pip install websockets")
asyncio_client: Any = pytest.importorskip("websockets.asyncio.client")
sync_client: Any = pytest.importorskip("websockets.sync.client")
trio: Any = pytest.importorskip("trio", reason="trio is not installed: pip install trio")
trio_client: Any = pytest.importorskip("websockets.trio.client")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redouble import Event, RetryPolicy

RECONNECTS = 500 * SCALE  # of all links together
SILENCE = 0.2  # seconds without a line, after which a client thinks that the server is gone
HOST = "127.0.0.1"


class Client:
    """A link that reads numbered lines, from the one on after the last that it has seen, and checks that none is missing."""

    def __init__(self, policy: RetryPolicy, **options: Any) -> None:
        self.seen = self.connections = 0
        self.link: Link[Any] = reconnect(self.dial, policy, stable_after=0, connect_timeout=0.5, **options)

    def dial(self, timeout: float | None = None) -> Any:
        """Open a connection."""
        raise NotImplementedError

    def take(self, line: str | bytes) -> None:
        """Take the next line."""
        number = int(line)
        assert number == self.seen + 1, f"line {number} after line {self.seen}"
        self.seen = number


class WebSocketInAsyncio(Client):
    """Reads from a WebSocket in a task."""

    url: str

    def dial(self, timeout: float | None = None) -> Any:
        uri = f"{self.url}/?resume={self.seen}"
        return asyncio_client.connect(uri, open_timeout=timeout, proxy=None, close_timeout=0.1)

    async def run(self) -> None:
        """Loop until the link is closed."""
        async for session in self.link:
            async with session as connection:
                self.connections += 1
                while True:
                    async with asyncio.timeout(SILENCE):
                        self.take(await connection.recv())


class WebSocketInAThread(Client):
    """Reads from a WebSocket in a thread."""

    url: str

    def dial(self, timeout: float | None = None) -> Any:
        uri = f"{self.url}/?resume={self.seen}"
        return sync_client.connect(uri, open_timeout=timeout, proxy=None, close_timeout=0.3)

    def run(self) -> None:
        """Loop until the link is closed."""
        for session in self.link:
            with session as connection:
                self.connections += 1
                while True:
                    self.take(connection.recv(SILENCE))


class WebSocketInTrio(Client):
    """Reads from a WebSocket in a task of trio, which runs in a thread."""

    url: str

    def dial(self, timeout: float | None = None) -> Any:
        uri = f"{self.url}/?resume={self.seen}"
        return trio_client.connect(uri, open_timeout=timeout, proxy=None, close_timeout=0.1)

    def run(self) -> None:
        """Run trio until the link is closed."""
        trio.run(self.loop)

    async def loop(self) -> None:
        """Loop until the link is closed."""
        async for session in self.link:
            async with session as connection:
                self.connections += 1
                while True:
                    with trio.move_on_after(SILENCE) as scope:
                        self.take(await connection.recv())
                    if scope.cancelled_caught:
                        raise TimeoutError


class TcpInAsyncio(Client):
    """Reads lines of plain TCP in a task."""

    port: int

    @asynccontextmanager
    async def dial(self, timeout: float | None = None) -> AsyncIterator[Any]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            writer.write(b"%d\n" % self.seen)
            yield reader
        finally:
            writer.transport.abort()

    async def run(self) -> None:
        """Loop until the link is closed."""
        async for session in self.link:
            async with session as reader:
                self.connections += 1
                while True:
                    async with asyncio.timeout(SILENCE):
                        line = await reader.readline()
                    if not line.endswith(b"\n"):
                        break  # the end, perhaps in the middle of a line
                    self.take(line)


class TcpInAThread(Client):
    """Reads lines of plain TCP in a thread."""

    port: int

    def dial(self, timeout: float | None = None) -> Any:
        connection = socket.create_connection((HOST, self.port), timeout)
        connection.settimeout(SILENCE)
        connection.sendall(b"%d\n" % self.seen)
        return connection

    def run(self) -> None:
        """Loop until the link is closed."""
        for session in self.link:
            with session as connection, connection.makefile("rb") as lines:
                self.connections += 1
                for line in lines:
                    if line.endswith(b"\n"):
                        self.take(line)


POLICY = retry(
    on=transient(TimeoutError, websockets.WebSocketException) | known_errors,
    attempts=None,
    backoff=constant(0.01),
    timeout_as="timeout",
    max_hint=5,
)


async def storm(clients: list[Any], server: StormServer) -> None:
    """Run all clients, those in threads too, until they have connected often enough together; then close the links."""
    threads = [threading.Thread(target=client.run) for client in clients if not asyncio.iscoroutinefunction(client.run)]
    for thread in threads:
        thread.start()
    tasks = [asyncio.create_task(client.run()) for client in clients if asyncio.iscoroutinefunction(client.run)]
    running = {*tasks}
    try:
        async with asyncio.timeout(PATIENCE * SCALE):
            while sum(client.connections for client in clients) < RECONNECTS or not (server.kills and server.freezes):
                done, running = await asyncio.wait(running, timeout=0.05)
                assert not done, [task.exception() for task in done]
                assert all(thread.is_alive() for thread in threads)
    finally:
        for client in clients:
            client.link.close()
        await asyncio.wait(tasks, timeout=PATIENCE)
        for thread in threads:
            await asyncio.to_thread(thread.join, PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    for task in tasks:
        task.result()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def is_429(error: Any) -> bool:
    """Tell whether an upgrade was refused with this status."""
    return isinstance(error, websockets.InvalidStatus) and error.response.status_code == 429


def asked_for(event: Any) -> float:
    """Return the seconds that the server asked for, or those of the curve where it asked for none."""
    return float(event.error.response.headers["Retry-After"]) or 0.01


@needs_linux
def test_five_hundred_reconnects() -> None:
    """No line is lost and none comes twice; neither socket, task nor thread is left; every Retry-After is heeded."""
    threads, files = set(threading.enumerate()), open_files()
    with StormServer(seed=0) as server:
        clients: list[Any] = []
        events: list[Event] = []
        policy = POLICY(observers=[events.append])  # one for all links
        for kind in (WebSocketInAsyncio, WebSocketInAThread, WebSocketInTrio, TcpInAsyncio, TcpInAThread):
            # in a thread the link goes on before the client has done with a close, which ends in a thread of its own
            client = kind(policy, close_timeout=0.1 if kind is WebSocketInAThread else 5)
            client.url, client.port = f"ws://{HOST}:{server.websocket}", server.tcp
            clients.append(client)
        asyncio.run(storm(clients, server))
    wait_for_threads(threads)
    assert open_files() == files
    for client in clients:
        assert client.seen >= client.connections > 5
        assert client.link.status is LinkStatus.IDLE
        name = f"{type(client).__name__}.dial"
        heard = [event.kind for event in events if event.name == name]
        assert heard.count(EventKind.CONNECTED) == client.connections
        assert EventKind.GIVE_UP not in heard and EventKind.PARKED not in heard
    limited = [event for event in events if event.kind is EventKind.RETRY and is_429(event.error)]
    assert limited
    assert all(asked_for(event) <= event.delay <= 1.1 * asked_for(event) for event in limited)
