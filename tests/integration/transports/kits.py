"""One way to ask for something by each client with its adapter, so that a fact is tested once for all of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import requests
import urllib3

from redouble import RetryPolicy, retry
from redouble.adapters.aiohttp import RetryMiddleware
from redouble.adapters.httpx import AsyncRetryTransport, RetryTransport
from redouble.adapters.requests import RetryAdapter
from redouble.adapters.urllib3 import retrying

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        url, method, headers, body: The request.
        policy, fields: Those of the adapter.
        around: A policy around each request; `None`: none.
        raises: Whether an answer of 400 or more is raised as the client's own error, within what is around.
        timeout: Seconds, as of the client's own timeout.
        small: Whether the pool has room for one connection.
        times: How many requests are made, one after the other.
    """

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    policy: RetryPolicy = retry
    fields: dict[str, Any] = field(default_factory=dict)
    around: RetryPolicy | None = None
    raises: bool = False
    timeout: float = 5.0
    small: bool = False
    times: int = 1


def _retried(wish: Wish, ask: Callable[[], Any]) -> Any:
    return ask() if wish.around is None else wish.around.call(ask)


def by_httpx(wish: Wish) -> tuple[int, bytes]:
    """By httpx."""
    limits = httpx.Limits(max_connections=1) if wish.small else httpx.Limits()
    transport = RetryTransport(httpx.HTTPTransport(limits=limits), wish.policy, **wish.fields)
    with httpx.Client(transport=transport, timeout=wish.timeout) as client:

        def ask() -> httpx.Response:
            answer = client.request(wish.method, wish.url, headers=wish.headers, content=wish.body)
            return answer.raise_for_status() if wish.raises else answer

        for _ in range(wish.times):
            answer = _retried(wish, ask)
        return answer.status_code, answer.content


def by_httpx_async(wish: Wish) -> tuple[int, bytes]:
    """By httpx on asyncio."""

    async def main() -> tuple[int, bytes]:
        limits = httpx.Limits(max_connections=1) if wish.small else httpx.Limits()
        transport = AsyncRetryTransport(httpx.AsyncHTTPTransport(limits=limits), wish.policy, **wish.fields)
        async with httpx.AsyncClient(transport=transport, timeout=wish.timeout) as client:

            async def ask() -> httpx.Response:
                answer = await client.request(wish.method, wish.url, headers=wish.headers, content=wish.body)
                return answer.raise_for_status() if wish.raises else answer

            for _ in range(wish.times):
                answer = await _retried(wish, ask)
            return answer.status_code, answer.content

    return asyncio.run(main())


def by_requests(wish: Wish) -> tuple[int, bytes]:
    """By requests."""
    pool = {"pool_maxsize": 1, "pool_block": True} if wish.small else {}
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", RetryAdapter(wish.policy, **pool, **wish.fields))

        def ask() -> requests.Response:
            answer = session.request(wish.method, wish.url, headers=wish.headers, data=wish.body, timeout=wish.timeout)
            if wish.raises:
                answer.raise_for_status()
            return answer

        for _ in range(wish.times):
            answer = _retried(wish, ask)
        return answer.status_code, answer.content


def by_urllib3(wish: Wish) -> tuple[int, bytes]:
    """By urllib3, which has no error for an answer of 400 or more."""
    pool: dict[str, Any] = {"maxsize": 1, "block": True} if wish.small else {}
    with retrying(urllib3.PoolManager(timeout=wish.timeout, **pool), wish.policy, **wish.fields) as manager:

        def ask() -> urllib3.BaseHTTPResponse:
            return manager.request(wish.method, wish.url, headers=wish.headers, body=wish.body)

        for _ in range(wish.times):
            answer = _retried(wish, ask)
        return answer.status, answer.data


def by_aiohttp(wish: Wish) -> tuple[int, bytes]:
    """By aiohttp."""

    async def main() -> tuple[int, bytes]:
        connector = aiohttp.TCPConnector(limit=1 if wish.small else 100)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(sock_read=wish.timeout),
            middlewares=(RetryMiddleware(wish.policy, **wish.fields),),
            raise_for_status=wish.raises,
        ) as session:

            async def ask() -> aiohttp.ClientResponse:
                return await session.request(wish.method, wish.url, headers=wish.headers, data=wish.body)

            for _ in range(wish.times):
                answer = await _retried(wish, ask)
                body = await answer.read()
            return answer.status, body

    return asyncio.run(main())


KITS: dict[str, Callable[[Wish], tuple[int, bytes]]] = {
    "httpx": by_httpx,
    "httpx async": by_httpx_async,
    "requests": by_requests,
    "urllib3": by_urllib3,
    "aiohttp": by_aiohttp,
}
