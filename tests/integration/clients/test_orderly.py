"""The orderly closes of real clients, over real sockets: what a link takes for an end in order."""

# ruff: noqa: D103  # stand-ins need no docstring; every test has a sentence

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from redouble.loops.orderly import is_orderly

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def error_of(operation: Callable[[], Awaitable[Any]]) -> Exception:
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await asyncio.wait_for(operation(), 5)
        except Exception as error:
            return error
    pytest.fail("it raised nothing")


@pytest.mark.parametrize(("code", "orderly"), [(1000, True), (1001, True), (1011, False)])
def test_websockets(code: int, orderly: bool) -> None:
    """1000 and 1001 are orderly, read by `recv()` or `send()`; other codes are not."""
    websockets: Any = pytest.importorskip("websockets.asyncio.client")
    server_of: Any = pytest.importorskip("websockets.asyncio.server")

    async def handler(socket: Any) -> None:
        await socket.close(code)

    async def main() -> list[bool]:
        async with server_of.serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with websockets.connect(f"ws://127.0.0.1:{port}", proxy=None) as socket:
                reads = [socket.recv, lambda: socket.send("x")]
                return [is_orderly(await error_of(read)) for read in reads]

    assert asyncio.run(main()) == [orderly] * 2


@pytest.mark.parametrize(("code", "orderly"), [(1000, True), (1001, True), (1011, False)])
def test_aiohttp(code: int, orderly: bool) -> None:
    """Aiohttp raises what came instead of a text; its code is in the message."""
    aiohttp: Any = pytest.importorskip("aiohttp")
    web: Any = pytest.importorskip("aiohttp.web")

    async def handler(request: Any) -> Any:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close(code=code)
        return socket

    async def main() -> bool:
        app = web.Application()
        app.router.add_get("/", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            address = site._server.sockets[0].getsockname()
            url = f"http://127.0.0.1:{address[1]}/"
            async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
                return is_orderly(await error_of(socket.receive_str))
        finally:
            await runner.cleanup()

    assert asyncio.run(main()) is orderly


@pytest.mark.parametrize(("how", "orderly"), [("exit", True), ("disconnect", True), ("abort", False)])
def test_asyncssh(how: str, orderly: bool) -> None:
    """A session and a connection that end in order give the EOF of a stream; a lost connection is lost."""
    asyncssh: Any = pytest.importorskip("asyncssh")

    class Server(asyncssh.SSHServer):  # type: ignore[misc]  # which is Any here
        def begin_auth(self, _username: str) -> bool:
            return False

    def act(process: Any) -> None:
        connection = process.channel.get_connection()
        {"exit": lambda: process.exit(0), "disconnect": connection.close, "abort": connection.abort}[how]()

    async def main() -> bool:
        key = asyncssh.generate_private_key("ssh-ed25519")
        async with asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=[key], process_factory=act
        ) as server:
            port = server.sockets[0].getsockname()[1]
            options = {"known_hosts": None, "username": "u", "client_keys": None, "config": None}
            async with asyncssh.connect("127.0.0.1", port, **options) as connection:
                process = await connection.create_process("x")
                return is_orderly(await error_of(lambda: process.stdout.readexactly(4)))

    assert asyncio.run(main()) is orderly


def test_a_stream_of_asyncio() -> None:
    """The EOF between two messages is orderly, one in the midst of a message is not."""

    async def main(sent: bytes) -> bool:
        async def handler(_reader: Any, writer: Any) -> None:
            writer.write(sent)
            writer.close()

        async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                return is_orderly(await error_of(lambda: reader.readuntil(b"\n")))
            finally:
                writer.close()

    assert asyncio.run(main(b"")) is True
    assert asyncio.run(main(b"half a li")) is False
