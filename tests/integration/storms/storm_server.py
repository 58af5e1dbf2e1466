"""A server of numbered lines, by WebSocket and by plain TCP, that does its clients every harm; a process of its own.

    python storm_server.py WEBSOCKET_PORT TCP_PORT SEED

A client says after which number it goes on (`?resume=7`, or `7` on a line of its own), gets some lines, and then something
happens to it by chance: an end in order, an end in the middle, silence, or a close that takes long. Some upgrades are
refused: with 429 and a Retry-After, or with 503. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"
LINES = 3  # in one connection
SLOW = 0.3  # seconds for which a slow one does not answer a close, and a silent one says nothing
REFUSALS = ((429, 0.02, "1"), (429, 0.08, "0"), (503, 0.05, None))
"""Status, chance and Retry-After."""


class Server:
    """Serves both protocols, and decides by chance what happens to a connection."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    async def talk(self, connection: Any) -> None:
        """Serve a WebSocket."""
        resume = parse_qs(urlsplit(connection.request.path).query)["resume"][0]
        for number in range(int(resume) + 1, int(resume) + 1 + LINES):
            await connection.send(str(number))
        match self.random.choice(["bye"] * 3 + ["away", "restart", "silent", "slow"] + ["abort"] * 3):
            case "bye":
                await connection.close(1000)
            case "away":
                await connection.close(1001)
            case "restart":
                await connection.close(1012)
            case "abort":
                connection.transport.abort()
            case "silent":
                await asyncio.sleep(SLOW)
            case "slow":
                connection.transport.pause_reading()  # so that the client's close is not answered
                await asyncio.sleep(SLOW)
                connection.transport.abort()

    def look_at(self, connection: Any, request: Any) -> Any:
        """Refuse an upgrade, now and then."""
        draw = self.random.random()
        for status, chance, retry_after in REFUSALS:
            if draw < chance:
                response = connection.respond(HTTPStatus(status), "not now\n")
                if retry_after is not None:
                    response.headers["Retry-After"] = retry_after
                return response
            draw -= chance
        return None

    async def lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve plain TCP."""
        with suppress(OSError, ValueError):
            resume = int(await reader.readline())
            for number in range(resume + 1, resume + 1 + LINES):
                writer.write(b"%d\n" % number)
            await writer.drain()
            what = self.random.choice(["bye", "abort", "middle"] * 3 + ["silent"])
            if what == "middle":
                writer.write(b"%d" % (resume + LINES + 1))  # a line that never ends
                await writer.drain()
            if what == "silent":
                await asyncio.sleep(SLOW)
            if what == "abort":
                writer.transport.abort()
        writer.close()


async def serve(websocket_port: int, tcp_port: int, seed: int) -> None:
    """Serve until standard input ends."""
    from websockets.asyncio.server import serve as serve_websocket

    server = Server(seed)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    waiting = threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set)), daemon=True)
    waiting.start()
    options = {"process_request": server.look_at, "close_timeout": SLOW, "reuse_address": True}
    async with (
        serve_websocket(server.talk, HOST, websocket_port, **options),
        await asyncio.start_server(server.lines, HOST, tcp_port, reuse_address=True),
    ):
        await over.wait()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
