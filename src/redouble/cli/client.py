"""On top of the floors: the demo's HTTP clients, written without regard to retries."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager, suppress
from errno import ECONNRESET
from http.client import parse_headers
from os import strerror
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from http.client import HTTPResponse

TIMEOUT = 1.0


def open_answer(url: str) -> HTTPResponse:
    """Send a GET; return the answer, to be read and closed."""
    opener = build_opener(ProxyHandler({}))  # the service is on this machine: ignore a proxy that is set for others
    answer: HTTPResponse = opener.open(url, timeout=TIMEOUT)
    return answer


def request_to(url: str) -> tuple[str, int, bytes]:
    """Return the address of a GET, and its bytes."""
    where = urlsplit(url)
    return where.hostname or "", where.port or 80, f"GET {where.path} HTTP/1.0\r\nHost: {where.netloc}\r\n\r\n".encode()


def answer_of(url: str, received: bytes) -> bytes:
    """Return the body of an HTTP/1.0 answer.

    Raises:
        HTTPError: When its status is 400 or more.
        ConnectionResetError: When the connection ends without an answer.
    """
    stream = io.BytesIO(received)
    words = stream.readline().decode().split(maxsplit=2)
    if not words:
        raise ConnectionResetError(ECONNRESET, strerror(ECONNRESET))
    headers = parse_headers(stream)
    if int(words[1]) >= 400:
        raise HTTPError(url, int(words[1]), words[2].strip(), headers, io.BytesIO(stream.read()))
    return stream.read()


def fetch(url: str) -> str:
    """Return the text of the answer to a GET."""
    with open_answer(url) as answer:
        return answer.read().decode()


@asynccontextmanager
async def open_answer_async(url: str) -> AsyncIterator[bytes]:
    """Send a GET; yield the answer, and close the connection at the end.

    Raises:
        HTTPError: For an answer of status 400 or more.
    """
    host, port, request = request_to(url)
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        yield answer_of(url, await reader.read())
    finally:
        writer.close()
        with suppress(OSError):  # the error that broke the connection has been raised already
            await writer.wait_closed()


async def fetch_async(url: str) -> str:
    """Return the text of the answer to a GET."""
    async with open_answer_async(url) as answer:
        return answer.decode()
