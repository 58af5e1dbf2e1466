"""What an adapter costs a request that succeeds: the request through the adapter, less that of the bare client.

    python tests/bench/adapters.py [rounds]

In microseconds of processor time of the client's process, each figure the least of the rounds (of 50 requests; the two
take turns), so that other programs on the machine matter little. *Null*: a transport that answers at
once, so that the adapter itself is seen. *Loopback*: a server in another process, over a kept connection
(that of gRPC in this one).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import httpx
import requests
import urllib3
from requests.adapters import HTTPAdapter

from redouble.adapters.aiohttp import RetryMiddleware
from redouble.adapters.grpc import RetryInterceptor
from redouble.adapters.httpx import AsyncRetryTransport, RetryTransport
from redouble.adapters.requests import RetryAdapter
from redouble.adapters.urllib3 import retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUESTS = 50


class Handler(BaseHTTPRequestHandler):
    """Answers each GET with two bytes, over a kept connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def timed(ask: Callable[[], object]) -> float:
    """Microseconds of one request."""
    began = time.process_time()
    for _ in range(REQUESTS):
        ask()
    return (time.process_time() - began) / REQUESTS * 1e6


def compare(name: str, bare: Callable[[], object], ours: Callable[[], object], rounds: int) -> None:
    """Print what each takes, and the difference."""
    bare(), ours()
    pairs = [(timed(bare), timed(ours)) for _ in range(rounds)]
    show(name, pairs)


def show(name: str, pairs: list[tuple[float, float]]) -> None:
    """Print the least of each, and the difference."""
    bare, ours = (min(each) for each in zip(*pairs, strict=True))
    print(f"{name:30} {bare:9.1f} {ours:9.1f} {ours - bare:+8.1f}")


class Nothing(HTTPAdapter):
    """Answers at once."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        response._content = b"ok"
        return response


def null(rounds: int) -> None:
    """The clients over a transport that answers at once."""
    request = httpx.Request("GET", "http://example.org")
    nothing = httpx.MockTransport(lambda _: httpx.Response(200))
    through = RetryTransport(nothing)
    compare(
        "httpx, null",
        lambda: nothing.handle_request(request),
        lambda: through.handle_request(request),
        rounds,
    )
    ours = type("Ours", (RetryAdapter, Nothing), {})()
    prepared = requests.Request("GET", "http://example.org").prepare()
    bare = Nothing()
    compare("requests, null", lambda: bare.send(prepared), lambda: ours.send(prepared), rounds)

    async def in_asyncio() -> None:
        transport = AsyncRetryTransport(nothing)
        middleware = RetryMiddleware()
        async with aiohttp.ClientSession() as session:
            asked = aiohttp.ClientRequest(
                "GET", session._build_url("http://example.org"), loop=asyncio.get_running_loop(), session=session
            )

            class Answer:
                status = 200

            async def handler(_: Any) -> Any:
                return Answer()

            pairs = {
                "httpx async, null": (
                    lambda: nothing.handle_async_request(request),
                    lambda: transport.handle_async_request(request),
                ),
                "aiohttp, null": (lambda: handler(asked), lambda: middleware(asked, handler)),
            }
            for name, (bare, through) in pairs.items():
                await compare_async(name, bare, through, rounds)

    asyncio.run(in_asyncio())


async def timed_async(ask: Callable[[], Any]) -> float:
    """Microseconds of one request."""
    began = time.process_time()
    for _ in range(REQUESTS):
        await ask()
    return (time.process_time() - began) / REQUESTS * 1e6


async def compare_async(name: str, bare: Callable[[], Any], ours: Callable[[], Any], rounds: int) -> None:
    """As `compare`."""
    await bare()
    await ours()
    pairs = [(await timed_async(bare), await timed_async(ours)) for _ in range(rounds)]
    show(name, pairs)


def loopback(url: str, rounds: int) -> None:
    """The clients over a kept connection."""
    with httpx.Client() as bare, httpx.Client(transport=RetryTransport()) as ours:
        compare("httpx, loopback", lambda: bare.get(url), lambda: ours.get(url), rounds)
    with requests.Session() as plain, requests.Session() as retried:
        plain.trust_env = retried.trust_env = False
        retried.mount("http://", RetryAdapter())
        compare("requests, loopback", lambda: plain.get(url), lambda: retried.get(url), rounds)
    with urllib3.PoolManager() as pool, retrying(urllib3.PoolManager()) as manager:
        compare("urllib3, loopback", lambda: pool.request("GET", url), lambda: manager.request("GET", url), rounds)

    async def in_asyncio() -> None:
        async with (
            aiohttp.ClientSession() as bare,
            aiohttp.ClientSession(middlewares=(RetryMiddleware(),)) as ours,
            httpx.AsyncClient() as client,
            httpx.AsyncClient(transport=AsyncRetryTransport()) as through,
        ):

            async def ask(session: aiohttp.ClientSession) -> None:
                async with session.get(url) as response:
                    await response.read()

            await compare_async("aiohttp, loopback", lambda: ask(bare), lambda: ask(ours), rounds)
            await compare_async("httpx async, loopback", lambda: client.get(url), lambda: through.get(url), rounds)

    asyncio.run(in_asyncio())


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """Answers each call."""

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


def over_grpc(rounds: int) -> None:
    """A unary call, over a channel in this process."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=(Service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        bare = channel.unary_unary("/a/b")
        ours = grpc.intercept_channel(channel, RetryInterceptor()).unary_unary("/a/b")
        compare("grpc, loopback", lambda: bare(b"x"), lambda: ours(b"x"), rounds)
    server.stop(None).wait()


def observed(rounds: int) -> None:
    """A decorated function that succeeds at once, with each observer and without: all but two hear of no such call."""
    from prometheus_client import CollectorRegistry

    from redouble import retry
    from redouble.adapters import opentelemetry
    from redouble.adapters.prometheus import RetryMetrics
    from redouble.adapters.sentry import Breadcrumbs
    from redouble.adapters.structlog import LogRetries

    observers = {
        "structlog": LogRetries(),
        "Prometheus": RetryMetrics(CollectorRegistry()),
        "OpenTelemetry, events of spans": opentelemetry.SpanEvents(),
        "OpenTelemetry, metrics": opentelemetry.RetryMetrics(),
        "Sentry": Breadcrumbs(),
    }
    bare = retry(lambda: 42)
    for name, observer in observers.items():
        ours = retry(observers=[observer])(lambda: 42)
        compare(name, lambda: [bare() for _ in range(100)], lambda ours=ours: [ours() for _ in range(100)], rounds)


def served() -> Iterator[str]:
    """A server on loopback, in a process of its own, so that it does not wait for the clients' interpreter."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def serve() -> None:
    """Be the server, and say where it is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def main(rounds: int) -> None:
    """Print all of them."""
    print(f"{'us per request':30} {'bare':>9} {'redouble':>9} {'cost':>8}")
    null(rounds)
    for url in served():
        loopback(url, rounds)
    over_grpc(rounds)
    print(f"\n{'us per 100 calls':30} {'bare':>9} {'observed':>9} {'cost':>8}")
    observed(rounds)


if __name__ == "__main__" and sys.argv[1:] == ["--serve"]:
    serve()
elif __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
