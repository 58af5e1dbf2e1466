"""A close that hangs on a peer that does not read: when `close_timeout` cuts it off, the socket is given back."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from redouble import reconnect, retry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CUT = 0.2
PATIENCE = 2.0
MUCH = b"x" * 10_000_000
"""More than the buffers of two sockets hold."""


async def given_back(fd: int, transport: Any) -> bool:
    """Wait for the socket to be closed, for a while."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < end:
        try:
            os.fstat(fd)
        except OSError:
            return bool(transport.is_closing())
        await asyncio.sleep(0.01)
    return False


async def by_connect(factory: Callable[[], Any], use: Callable[[Any], Awaitable[None]]) -> None:
    """Open by `connect`."""
    async with retry.connect(factory, close_timeout=CUT) as opened:
        await use(opened)


async def by_reconnect(factory: Callable[[], Any], use: Callable[[Any], Awaitable[None]]) -> None:
    """Open by `reconnect`."""
    async for session in reconnect(factory, retry, close_timeout=CUT):
        async with session as opened:
            await use(opened)
            break


@pytest.mark.parametrize("way", [by_connect, by_reconnect])
def test_a_websocket_whose_peer_does_not_answer_is_aborted(way: Any) -> None:
    """The closing handshake of websockets is not answered; a client of asyncio held its socket after the cut."""
    server = pytest.importorskip("websockets.asyncio.server", reason="not installed: pip install websockets")
    client = pytest.importorskip("websockets.asyncio.client", reason="not installed: pip install websockets")

    async def main() -> bool:
        seen: list[Any] = []
        over = asyncio.Event()

        async def deaf(ws: Any) -> None:
            ws.transport.pause_reading()
            await over.wait()

        async def use(ws: Any) -> None:
            seen.extend((ws.transport.get_extra_info("socket").fileno(), ws.transport))

        async with server.serve(deaf, "127.0.0.1", 0, close_timeout=0.01, ping_interval=None) as listening:
            uri = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
            await way(lambda: client.connect(uri, proxy=None, ping_interval=None), use)
            given = await given_back(*seen)
            over.set()
            return given

    assert asyncio.run(main()) is True


@asynccontextmanager
async def as_pair(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a pair that closes itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def writer_alone(port: int) -> asyncio.StreamWriter:
    """Open a writer, which has a `close` to be called."""
    return (await asyncio.open_connection("127.0.0.1", port))[1]


@pytest.mark.parametrize("factory", [as_pair, writer_alone])
@pytest.mark.parametrize("way", [by_connect, by_reconnect])
def test_a_stream_with_unsent_bytes_is_aborted(way: Any, factory: Any) -> None:
    """An asyncio transport that is closed waits for the peer to read what was sent, however long that takes."""

    async def main() -> bool:
        seen: list[Any] = []
        over = asyncio.Event()

        async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await over.wait()
            writer.transport.abort()

        async def use(opened: Any) -> None:
            writer = opened[1] if isinstance(opened, tuple) else opened
            writer.write(MUCH)
            seen.extend((writer.get_extra_info("socket").fileno(), writer.transport))

        listening = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1)
        try:
            await way(lambda: factory(listening.sockets[0].getsockname()[1]), use)
            return await given_back(*seen)
        finally:
            over.set()
            listening.close()

    assert asyncio.run(main()) is True
