"""The clients of the table: bare, with the retries that their users reach for, and with redouble's adapters.

All make three attempts at most. The peers are set up as their documentation shows it.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import requests
import urllib3
from requests.adapters import HTTPAdapter

from redouble.adapters.aiohttp import RetryMiddleware
from redouble.adapters.httpx import AsyncRetryTransport, RetryTransport
from redouble.adapters.requests import RetryAdapter
from redouble.adapters.urllib3 import retrying
from redouble.testing import fake_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.transports.misbehaviour import Asked

STATUSES = (429, 500, 502, 503, 504)
"""What everybody writes for `status_forcelist`."""


def by_httpx(asked: Asked, transport: httpx.BaseTransport) -> int:
    """Ask by httpx."""
    with httpx.Client(transport=transport, timeout=asked.patience, follow_redirects=True) as client:
        try:
            for _ in range(asked.times):
                body = asked.content()
                status = client.request(asked.method, asked.url, headers=asked.headers, content=body).status_code
        finally:
            asked.settle()
    return status


def by_httpx_async(asked: Asked, transport: httpx.AsyncBaseTransport) -> int:
    """Ask by httpx on asyncio."""

    async def main() -> int:
        async with httpx.AsyncClient(transport=transport, timeout=asked.patience, follow_redirects=True) as client:
            try:
                for _ in range(asked.times):
                    body = asked.content(is_async=asked.body == "generator")
                    body = body.read() if asked.body == "file" else body  # httpx takes no plain file there
                    answer = await client.request(asked.method, asked.url, headers=asked.headers, content=body)
            finally:
                asked.settle()
            return answer.status_code

    return asyncio.run(main())


def by_requests(asked: Asked, adapter: HTTPAdapter) -> int:
    """Ask by requests."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", adapter)
        try:
            for _ in range(asked.times):
                answer = session.request(
                    asked.method, asked.url, headers=asked.headers, data=asked.content(), timeout=asked.patience
                )
        finally:
            asked.settle()
    return answer.status_code


def by_urllib3(asked: Asked, manager: urllib3.PoolManager) -> int:
    """Ask by urllib3."""
    with manager:
        try:
            for _ in range(asked.times):
                answer = manager.request(asked.method, asked.url, headers=asked.headers, body=asked.content())
        finally:
            asked.settle()
    return answer.status


def by_aiohttp(asked: Asked, wrapped: Callable[[aiohttp.ClientSession], Any], **settings: Any) -> int:
    """Ask by aiohttp; `wrapped` gives what the requests are asked of."""

    async def main() -> int:
        timeout = aiohttp.ClientTimeout(sock_read=asked.patience, total=None)
        async with aiohttp.ClientSession(timeout=timeout, **settings) as session:
            try:
                for _ in range(asked.times):
                    content = asked.content(is_async=True)
                    async with wrapped(session).request(
                        asked.method, asked.url, headers=asked.headers, data=content
                    ) as answer:
                        await answer.read()
                        status: int = answer.status
            finally:
                asked.settle()
            return status

    return asyncio.run(main())


def with_aiohttp_retry(session: aiohttp.ClientSession) -> Any:
    """A session with aiohttp-retry around it."""
    from aiohttp_retry import ExponentialRetry, RetryClient

    errors: set[type[Exception]] = {aiohttp.ClientError, TimeoutError}
    options = ExponentialRetry(attempts=3, statuses=set(STATUSES), exceptions=errors)
    return RetryClient(client_session=session, retry_options=options)


def httpx_retries() -> httpx.BaseTransport:
    """The transport of httpx-retries."""
    from httpx_retries import Retry, RetryTransport

    return RetryTransport(retry=Retry(total=2, backoff_factor=0.1))


def urllib3_retry() -> urllib3.Retry:
    """The retries of urllib3, as everybody writes them."""
    return urllib3.Retry(total=2, backoff_factor=0.1, status_forcelist=STATUSES)


BARE: dict[str, Callable[[Asked], int]] = {
    "httpx": lambda asked: by_httpx(asked, httpx.HTTPTransport()),
    "requests": lambda asked: by_requests(asked, HTTPAdapter()),
    "urllib3": lambda asked: by_urllib3(asked, urllib3.PoolManager(timeout=asked.patience)),
    "aiohttp": lambda asked: by_aiohttp(asked, lambda session: session),
}
PEERS: dict[str, Callable[[Asked], int]] = {
    "httpx": lambda asked: by_httpx(asked, httpx_retries()),
    "requests": lambda asked: by_requests(asked, HTTPAdapter(max_retries=urllib3_retry())),
    "urllib3": lambda asked: by_urllib3(asked, urllib3.PoolManager(timeout=asked.patience, retries=urllib3_retry())),
    "aiohttp": lambda asked: by_aiohttp(asked, with_aiohttp_retry),
}
OURS: dict[str, Callable[[Asked], int]] = {
    "httpx": lambda asked: by_httpx(asked, RetryTransport(read_body=True)),
    "httpx async": lambda asked: by_httpx_async(asked, AsyncRetryTransport(read_body=True)),
    "requests": lambda asked: by_requests(asked, RetryAdapter()),
    "urllib3": lambda asked: by_urllib3(asked, retrying(urllib3.PoolManager(timeout=asked.patience))),
    "aiohttp": lambda asked: by_aiohttp(asked, lambda session: session, middlewares=(RetryMiddleware(read_body=True),)),
}
PEERS_NAMES = {
    "httpx": "httpx-retries",
    "requests": "urllib3.Retry",
    "urllib3": "urllib3.Retry",
    "aiohttp": "aiohttp-retry",
}


@contextmanager
def virtual_waits() -> Iterator[list[float]]:
    """Let redouble wait in virtual time; the waits are in the list, which may be emptied."""
    with fake_time(draw=0.5) as clock:
        yield clock.sleeps


@contextmanager
def recorded_waits() -> Iterator[list[float]]:
    """Let `time.sleep` and `asyncio.sleep` record how long they were asked to wait, and not wait."""
    waits: list[float] = []
    sleep, sleep_async = time.sleep, asyncio.sleep

    def record(seconds: float) -> None:
        waits.append(float(seconds))

    async def record_async(seconds: float, result: Any = None) -> Any:
        if seconds:
            waits.append(float(seconds))
        return await sleep_async(0, result)

    random.seed(7)
    time.sleep, asyncio.sleep = record, record_async
    try:
        yield waits
    finally:
        time.sleep, asyncio.sleep = sleep, sleep_async
