"""Returned responses: how they are judged, and that those which nobody wants do not keep their connections."""

# ruff: noqa: D103  # the pools are listed in `POOLS`, by names that say which they are

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from redouble import Verdict, constant, http_response, retry
from tests.integration.clients.clients import PATIENT, body_of, need
from tests.integration.clients.flaky_server import answer
from tests.integration.clients.provocations import HEADERS, STATUSES, right_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from redouble import RetryPolicy
    from tests.integration.clients.flaky_server import FlakyServer

Exchange: TypeAlias = "Callable[[str, str], tuple[int, int]]"

TWO = 2  # connections in each pool
SOON = 0.3  # seconds to wait for one of them
LONG = b"x" * 3_000_000  # more than what lies ready between two sockets: it is not read unless somebody wants it


class Pool:
    """A client with two connections, whose `get` returns a response without having read its body.

    `retrying` gives a function of URL and method that makes the call under a policy, and then reads the last response: its
    status and the length of its body.
    """

    def __init__(
        self,
        get: Callable[[str, str], Any],
        retrying: Callable[[RetryPolicy], Exchange],
        let_go: Callable[[Any], object],
        starves: type[Exception] | None,
    ) -> None:
        self.get = get
        self.retrying = retrying
        self.let_go = let_go
        self.starves = starves


def synchronous(get: Callable[[str, str], Any], read: Callable[[Any], tuple[int, int]]) -> Any:
    """`retrying` of a synchronous client."""

    def retrying(policy: RetryPolicy) -> Exchange:
        return lambda url, method: read(policy.call(get, url, method))

    return retrying


@contextmanager
def requests_pool() -> Iterator[Pool]:
    requests = need("requests", "requests")
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=TWO, pool_block=True))

        def get(url: str, method: str) -> Any:
            return session.request(method, url, data=body_of(method), stream=True, timeout=PATIENT)

        # It cannot be told how long to wait for a connection: without one it hangs, and nothing is raised.
        yield Pool(get, synchronous(get, lambda last: (last.status_code, len(last.content))), close_now, None)


@contextmanager
def urllib3_pool(preload: bool) -> Iterator[Pool]:
    urllib3 = need("urllib3", "urllib3")
    with urllib3.PoolManager(maxsize=TWO, block=True, retries=False, timeout=PATIENT) as pool:

        def get(url: str, method: str) -> Any:
            body = body_of(method)
            return pool.request(method, url, body=body, preload_content=preload, pool_timeout=SOON)

        def read(last: Any) -> tuple[int, int]:
            found = last.status, len(last.data)
            last.release_conn()
            return found

        def let_go(response: Any) -> None:
            response.close()
            response.release_conn()

        yield Pool(get, synchronous(get, read), let_go, None if preload else urllib3.exceptions.EmptyPoolError)


@contextmanager
def httpx_pool(package: str) -> Iterator[Pool]:
    httpx = need(package, package)
    limits = httpx.Limits(max_connections=TWO)
    with httpx.Client(limits=limits, timeout=httpx.Timeout(PATIENT, pool=SOON), trust_env=False) as client:

        def get(url: str, method: str) -> Any:
            return client.send(client.build_request(method, url, content=body_of(method)), stream=True)

        yield Pool(
            get, synchronous(get, lambda last: (last.status_code, len(last.read()))), close_now, httpx.PoolTimeout
        )


def asynchronous(
    runner: asyncio.Runner, get: Callable[[str, str], Any], read: Callable[[Any], Any], let_go: Callable[[Any], Any]
) -> tuple[Any, Any, Any]:
    """`get`, `retrying` and `let_go` of an asynchronous client."""

    async def finish(given: Any) -> Any:
        return None if given is None else await given

    def retrying(policy: RetryPolicy) -> Exchange:
        @policy
        async def call(url: str, method: str) -> Any:
            return await get(url, method)

        async def whole(url: str, method: str) -> tuple[int, int]:
            found: tuple[int, int] = await read(await call(url, method))
            return found

        return lambda url, method: runner.run(whole(url, method))

    return (
        lambda url, method: runner.run(get(url, method)),
        retrying,
        lambda response: runner.run(finish(let_go(response))),
    )


@contextmanager
def httpx_async_pool(package: str) -> Iterator[Pool]:
    httpx = need(package, package)
    client = httpx.AsyncClient(
        limits=httpx.Limits(max_connections=TWO), timeout=httpx.Timeout(PATIENT, pool=SOON), trust_env=False
    )

    async def get(url: str, method: str) -> Any:
        return await client.send(client.build_request(method, url, content=body_of(method)), stream=True)

    async def read(last: Any) -> tuple[int, int]:
        return last.status_code, len(await last.aread())

    with asyncio.Runner() as runner:
        try:
            yield Pool(*asynchronous(runner, get, read, lambda response: response.aclose()), httpx.PoolTimeout)
        finally:
            runner.run(client.aclose())


@contextmanager
def aiohttp_pool() -> Iterator[Pool]:
    aiohttp = need("aiohttp", "aiohttp")
    limits = aiohttp.ClientTimeout(connect=SOON, sock_read=PATIENT)

    async def open_session() -> Any:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=TWO), timeout=limits)

    async def get(url: str, method: str) -> Any:
        return await session.request(method, url, data=body_of(method))

    async def read(last: Any) -> tuple[int, int]:
        return last.status, len(await last.read())

    with asyncio.Runner() as runner:
        session = runner.run(open_session())
        try:
            yield Pool(
                *asynchronous(runner, get, read, lambda response: response.close()), aiohttp.ConnectionTimeoutError
            )
        finally:
            runner.run(session.close())


def close_now(response: Any) -> None:
    """Close a response of requests or httpx."""
    response.close()


POOLS: dict[str, Callable[[], AbstractContextManager[Pool]]] = {
    "requests": requests_pool,
    "urllib3": partial(urllib3_pool, preload=True),
    "urllib3 streaming": partial(urllib3_pool, preload=False),
    "httpx": partial(httpx_pool, package="httpx"),
    "httpx async": partial(httpx_async_pool, package="httpx"),
    "httpx2": partial(httpx_pool, package="httpx2"),
    "httpx2 async": partial(httpx_async_pool, package="httpx2"),
    "aiohttp": aiohttp_pool,
}
AT_ONCE = retry(result=http_response, attempts=6, backoff=constant(0))


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """What `call` returns; an error of its own, or a failure when it hangs."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append((call(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=run, name="might-hang", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        pytest.fail(f"nothing after {seconds} s: no connection came back to the pool")
    value, error = found.pop()
    if error is not None:
        raise error
    return value


@pytest.mark.parametrize("client", POOLS)
def test_responses_are_judged_as_errors_are(client: str, plain_surroundings: None, server: FlakyServer) -> None:
    """What is transient as an error is so as a response; of all the others nothing is said."""
    wrong: list[Any] = []
    with POOLS[client]() as pool:
        for status in STATUSES:
            for header, (headers, _) in HEADERS.items():
                server.play(answer(status, headers))
                response = pool.get(server.url, "GET")
                found = http_response.ask(response)
                pool.let_go(response)
                right = right_answer(client, status, header)
                expected = None if right[0] is Verdict.PERMANENT else right
                if (found and (found.verdict, found.retry_after, found.applied)) != expected:
                    wrong.append((status, header, found))
    assert wrong == []


@pytest.mark.parametrize("unread", [b"{}", LONG], ids=["short", "long"])
@pytest.mark.parametrize("client", POOLS)
def test_a_pool_of_two_does_not_starve(
    client: str, unread: bytes, plain_surroundings: None, server: FlakyServer
) -> None:
    """Five responses are dropped, and each gives its connection back: the sixth call has one, and its body is whole."""
    server.play(*[answer(503, body=unread)] * 5, answer(body=LONG))
    with POOLS[client]() as pool:
        call = pool.retrying(AT_ONCE)
        assert within(PATIENT, lambda: call(server.url, "GET")) == (200, len(LONG))
        assert len(server.seen) == 6
        server.play(answer(body=b"again"))
        assert within(PATIENT, lambda: call(server.url, "GET")) == (200, 5)


@pytest.mark.parametrize("client", POOLS)
def test_the_last_response_is_whole(client: str, plain_surroundings: None, server: FlakyServer) -> None:
    """When all attempts are used up, the last response comes back as it is, with its body still to be read."""
    server.play(answer(503, body=b"short"), answer(503, body=b"the last"))
    with POOLS[client]() as pool:
        call = pool.retrying(AT_ONCE(attempts=2))
        assert within(PATIENT, lambda: call(server.url, "GET")) == (503, 8)


@pytest.mark.parametrize("client", POOLS)
def test_a_post_that_failed_in_the_server(client: str, plain_surroundings: None, server: FlakyServer) -> None:
    """A 500 to a POST is returned at once: every response tells its request, those of urllib3 its method."""
    server.play(answer(500))
    with POOLS[client]() as pool:
        call = pool.retrying(AT_ONCE)
        assert within(PATIENT, lambda: call(server.url, "POST")) == (500, 2)
    assert len(server.seen) == 1


@pytest.mark.parametrize("client", ["urllib3 streaming", "httpx", "httpx async", "httpx2", "httpx2 async", "aiohttp"])
def test_a_pool_starves_on_responses_that_are_kept(client: str, plain_surroundings: None, server: FlakyServer) -> None:
    """What the tests above are about: a rule of one's own, which lets go of nothing, runs out of connections."""
    kept: list[Any] = []

    def keep(response: Any) -> Any:
        kept.append(response)
        return http_response.ask(response)

    server.play(answer(503, body=LONG))
    with POOLS[client]() as pool, ExitStack() as stack:
        stack.callback(lambda: [pool.let_go(each) for each in kept])
        call = pool.retrying(AT_ONCE(result=keep, on=None))
        assert pool.starves is not None
        with pytest.raises(pool.starves):
            call(server.url, "GET")
        assert len(kept) == TWO


def test_two_at_once_share_two_connections(plain_surroundings: None, server: FlakyServer) -> None:
    """Tasks that wait for one another's connections all come to their end."""
    httpx = need("httpx", "httpx")
    server.play(*[answer(503, body=LONG)] * 8, answer())

    async def main() -> Sequence[int]:
        async with httpx.AsyncClient(
            limits=httpx.Limits(max_connections=TWO), timeout=PATIENT, trust_env=False
        ) as client:

            @AT_ONCE(attempts=9)
            async def get() -> Any:
                return await client.send(client.build_request("GET", server.url), stream=True)

            async def status() -> int:
                response = await get()
                await response.aread()
                return int(response.status_code)

            return await asyncio.gather(*(status() for _ in range(6)))

    assert asyncio.run(main()) == [200] * 6
    assert len(server.seen) == 14
