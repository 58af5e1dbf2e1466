"""websockets, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import assert_type

from websockets.asyncio.client import ClientConnection, connect
from websockets.sync.client import ClientConnection as ThreadedConnection
from websockets.sync.client import connect as connect_in_thread

from redouble import reconnect, retry
from redouble.loops import Link, Session


@retry(attempts=5)
async def greet(connection: ClientConnection) -> str | bytes:
    """Say something, and hear the answer."""
    await connection.send("hello")
    return await connection.recv()


async def in_asyncio(uri: str) -> None:
    """A connection that is opened, and one that is dialled again."""
    async with retry(deadline=90).connect(connect, uri, open_timeout=5) as connection:
        assert_type(connection, ClientConnection)
        assert_type(await greet(connection), str | bytes)
        assert_type(await retry.call(connection.recv), str | bytes)
    link = reconnect(lambda: connect(uri), retry(attempts=10), stable_after=30)
    assert_type(link, Link[ClientConnection])
    async for session in link:
        assert_type(session, Session[ClientConnection])
        async with session as again:
            assert_type(again, ClientConnection)


def in_threads(uri: str) -> None:
    """The same in threads."""
    with retry(deadline=90).connect(connect_in_thread, uri) as connection:
        assert_type(connection, ThreadedConnection)
    assert_type(reconnect(lambda: connect_in_thread(uri)), Link[ThreadedConnection])
