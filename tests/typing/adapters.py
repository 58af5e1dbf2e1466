"""The adapters, as users write them: what type checkers say of that. Nothing here is run."""

from __future__ import annotations

from typing import assert_type

import aiohttp
import grpc  # type: ignore[import-untyped]  # grpcio has no types
import httpx
import requests
import urllib3

from redouble import retry
from redouble.adapters.aiohttp import RetryMiddleware
from redouble.adapters.grpc import RetryInterceptor, interceptors
from redouble.adapters.httpx import AsyncRetryTransport, RetryTransport
from redouble.adapters.requests import RetryAdapter
from redouble.adapters.urllib3 import retrying

mine = retry(attempts=5, idempotent=True)


def by_httpx() -> None:
    """httpx: transports, alone and around others."""
    with httpx.Client(transport=RetryTransport(attempts=5, deadline=30)) as client:
        assert_type(client.get("/"), httpx.Response)
    httpx.Client(mounts={"https://": RetryTransport(httpx.HTTPTransport(http2=True), mine, read_body=True)})


async def by_httpx_async() -> None:
    """Httpx on asyncio or trio."""
    async with httpx.AsyncClient(transport=AsyncRetryTransport(policy=mine)) as client:
        assert_type(await client.get("/"), httpx.Response)


def by_requests() -> None:
    """Requests."""
    session = requests.Session()
    session.mount("https://", RetryAdapter(mine, pool_maxsize=20, attempts=7))


async def by_aiohttp() -> None:
    """Aiohttp."""
    async with (
        aiohttp.ClientSession(middlewares=[RetryMiddleware(attempts=5)]) as session,
        session.get("/") as response,
    ):
        assert_type(response, aiohttp.ClientResponse)


def by_urllib3() -> None:
    """urllib3: the manager's own type comes back."""
    assert_type(retrying(urllib3.PoolManager(), attempts=5), urllib3.PoolManager)
    assert_type(retrying(urllib3.ProxyManager("http://proxy"), mine), urllib3.ProxyManager)


def by_grpc() -> None:
    """GRPC."""
    grpc.intercept_channel(grpc.insecure_channel("localhost:1"), RetryInterceptor(attempts=5))
    grpc.aio.insecure_channel("localhost:1", interceptors=interceptors(mine))
