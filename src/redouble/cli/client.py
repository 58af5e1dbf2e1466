"""On top of the floors: the demo's HTTP clients, as one would write them without any thought of retries."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager, suppress
from http.client import parse_headers
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from http.client import HTTPResponse

TIMEOUT = 1.0


def open_answer(url: str) -> HTTPResponse:
    """The answer to a GET, to be read and closed."""
    opener = build_opener(ProxyHandler({}))  # the service is on this machine, whatever proxy is set for others
    answer: HTTPResponse = opener.open(url, timeout=TIMEOUT)
    return answer


def fetch(url: str) -> str:
    """The text of the answer to a GET."""
    with open_answer(url) as answer:
        return answer.read().decode()


@asynccontextmanager
async def open_answer_async(url: str) -> AsyncIterator[asyncio.StreamReader]:
    """The answer to a GET, to be read; closed at the end.

    Raises:
        HTTPError: For an answer of status 400 or more.
    """
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(f"GET {where.path} HTTP/1.0\r\nHost: {where.netloc}\r\n\r\n".encode())
        head = io.BytesIO(await reader.readuntil(b"\r\n\r\n"))
        _, status, reason = head.readline().decode().split(maxsplit=2)
        if int(status) >= 400:
            raise HTTPError(url, int(status), reason.strip(), parse_headers(head), io.BytesIO(await reader.read()))
        yield reader
    finally:
        writer.close()
        with suppress(OSError):  # what broke the connection has been raised already
            await writer.wait_closed()


async def fetch_async(url: str) -> str:
    """The text of the answer to a GET."""
    async with open_answer_async(url) as answer:
        return (await answer.read()).decode()
