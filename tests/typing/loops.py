"""What type checkers make of the loops: checked as ways_in.py is, and never run."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, assert_type

from redouble import clamp_under, http_response, latest, poll, reconnect, resume, retry, watchdog
from redouble.loops import FileCheckpoint, Link, Session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator


class Client:
    def close(self) -> None: ...


@contextlib.contextmanager
def entered() -> Generator[int, None, None]:
    """Enters."""
    yield 1


@contextlib.asynccontextmanager
async def entered_async() -> AsyncGenerator[str, None]:
    """Enters in asyncio."""
    yield ""


async def awaited() -> Client:
    """Is awaited, and closed."""
    return Client()


async def awaited_manager() -> contextlib.AbstractAsyncContextManager[bytes]:
    """Is awaited, then entered."""
    raise OSError


def closed(timeout: float = 1) -> Client:
    """Is closed at the end."""
    return Client()


assert_type(reconnect(entered), Link[int])
assert_type(reconnect(entered_async, retry(attempts=3)), Link[str])
assert_type(reconnect(awaited, stable_after=3), Link[Client])
assert_type(reconnect(awaited_manager, half_open=3, park=OSError), Link[bytes])
assert_type(reconnect(entered, give_up="park", park=True, close_timeout=None), Link[int])
assert_type(reconnect(closed, connect_timeout=3), Link[Client])
assert_type(reconnect(lambda: socket.create_connection(("host", 1))), Link[socket.socket])
for session in reconnect(entered):
    assert_type(session, Session[int])
    with session as connection:
        assert_type(connection, int)


def anything() -> Any:
    """Return something."""


def state() -> str | None:
    """The state, if there is one."""
    return None


async def state_async() -> str:
    """The same in asyncio."""
    return ""


assert_type(poll(state, until=lambda found: found is not None), str | None)
assert_type(poll(anything), Any)


def send(state: str) -> None:
    """Sends it."""


latest(state, send, threading.Event())
clamped = clamp_under(5, 3, None, name="export_timeout")
assert_type(clamped, float)
retry(result=http_response)


def fetch(cursor: int | None) -> tuple[list[str], int | None]:
    """A page."""
    return [], None


async def fetch_async(cursor: int | None) -> tuple[list[bytes], int | None]:
    """A page, in asyncio."""
    return [], None


for page in resume(fetch, FileCheckpoint("cursor.json")):
    with page as items:
        assert_type(items, list[str])
        page.commit(7)
        page.commit()
assert_type(resume(fetch, FileCheckpoint("cursor.json")).advanced, bool)


async def main() -> None:
    """What is for coroutines alone."""
    async for session in reconnect(entered_async):
        async with session as connection:
            assert_type(connection, str)
    async for page in resume(fetch_async, FileCheckpoint("cursor.json"), stall_after=3):
        async with page as items:
            assert_type(items, list[bytes])
            await page.commit(7)
    async with watchdog(90) as dog:
        dog.touch()
    assert_type(await poll(state_async), str)


asyncio.run(main())
