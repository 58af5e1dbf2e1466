"""What is particular to one HTTP client and its adapter, on loopback."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest

for _name in ("httpx", "requests", "urllib3", "aiohttp"):
    pytest.importorskip(_name, reason=f"{_name} is not installed: pip install {_name}")

import aiohttp  # after the skip
import httpx
import requests
import urllib3

from redouble import constant, outcome, retry
from redouble.adapters.aiohttp import RetryMiddleware
from redouble.adapters.httpx import AsyncRetryTransport, RetryTransport
from redouble.adapters.requests import RetryAdapter
from redouble.adapters.urllib3 import cut_timeout, retrying
from redouble.testing import fake_time
from tests.integration.clients.flaky_server import answer, fall_silent, hang_up, reset
from tests.integration.transports.misbehaviour import (
    OK,
    PART,
    PAYLOAD,
    MisbehavingServer,
    redirect,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

AT_ONCE = retry(backoff=constant(0))
AGAIN = "tries again by itself beneath redouble"


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[MisbehavingServer]:
    """The server."""
    with MisbehavingServer() as server:
        yield server


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is logged about clients' own retries, of which nothing was said before."""
    from redouble.control import faults

    monkeypatch.setattr(faults, "_said", set())
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if AGAIN in record.getMessage():
                lines.append(record.getMessage())

    handler = Handler()
    logging.getLogger("redouble").addHandler(handler)
    yield lines
    logging.getLogger("redouble").removeHandler(handler)


# httpx


def test_httpx_streams(misbehaving: MisbehavingServer) -> None:
    """A body that is streamed is there as it comes, after attempts that failed; one that breaks off is the caller's."""
    misbehaving.play(refuse(503), hang_up(PART))
    with (
        httpx.Client(transport=RetryTransport(policy=AT_ONCE)) as client,
        client.stream("GET", misbehaving.url) as response,
    ):
        parts = response.iter_raw()
        assert next(parts) == b"a part"
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)
    assert len(misbehaving.seen) == 2


def test_httpx_reads_the_body_within_the_attempt(misbehaving: MisbehavingServer) -> None:
    """With `read_body=True` an answer that breaks off is asked for again, and a stream has all of it, once."""
    misbehaving.play(hang_up(PART), answer(200, (("Content-Encoding", "identity"),), b"all of it"))
    transport = RetryTransport(policy=AT_ONCE, read_body=True)
    with httpx.Client(transport=transport) as client, client.stream("GET", misbehaving.url) as response:
        assert b"".join(response.iter_raw()) == b"all of it"
        with pytest.raises(httpx.StreamConsumed):
            next(response.iter_raw())


def test_httpx_streams_on_asyncio(misbehaving: MisbehavingServer) -> None:
    """As of the sync client."""
    misbehaving.play(refuse(503), fall_silent(PART))

    async def main() -> bytes:
        async with (
            httpx.AsyncClient(transport=AsyncRetryTransport(policy=AT_ONCE)) as client,
            client.stream("GET", misbehaving.url) as response,
        ):
            return await anext(response.aiter_raw())

    assert asyncio.run(main()) == b"a part"


def test_httpx_runs_on_trio(misbehaving: MisbehavingServer) -> None:
    """The async transport waits and is cut in trio as well."""
    trio = pytest.importorskip("trio", reason="trio is not installed: pip install trio")
    misbehaving.play(refuse(503), fall_silent(), OK)

    async def main() -> tuple[int, bytes]:
        transport = AsyncRetryTransport(policy=AT_ONCE, attempt_timeout=0.2)
        async with httpx.AsyncClient(transport=transport, timeout=60) as client:
            response = await client.get(misbehaving.url)
            return response.status_code, response.content

    assert trio.run(main) == (200, b"done")


@pytest.mark.parametrize("phase", ["attempt", "wait"])
def test_httpx_passes_a_cancellation(misbehaving: MisbehavingServer, phase: str) -> None:
    """A task that is cancelled, in an attempt or in a wait, ends; nothing is asked for again."""
    misbehaving.play(fall_silent() if phase == "attempt" else refuse(503))

    async def main() -> None:
        async with httpx.AsyncClient(transport=AsyncRetryTransport(backoff=constant(30))) as client:
            task = asyncio.create_task(client.get(misbehaving.url))
            while not misbehaving.seen:  # a thread, which has no event of asyncio's
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert len(misbehaving.seen) == 1


def test_httpx_is_told_once_of_its_own_retries(said: list[str]) -> None:
    """`HTTPTransport(retries=3)` beneath is said once, with what to write; a plain one is not."""
    RetryTransport()
    assert said == []
    for _ in range(2):
        RetryTransport(httpx.HTTPTransport(retries=3))
    AsyncRetryTransport(httpx.AsyncHTTPTransport(retries=3))
    assert said == [
        f"httpx: {kind}(retries=...) {AGAIN}, so waits and requests multiply; write retries=0"
        for kind in ("HTTPTransport", "AsyncHTTPTransport")
    ]


def test_httpx_is_told_of_httpx_retries_beneath(said: list[str]) -> None:
    """So is another transport that tries again."""
    theirs = pytest.importorskip("httpx_retries", reason="not installed: pip install httpx-retries")
    RetryTransport(theirs.RetryTransport())
    assert len(said) == 1


def test_httpx_leaves_the_request_as_it_was(misbehaving: MisbehavingServer) -> None:
    """The timeouts of an attempt are not left in the request, which the caller may send again."""
    misbehaving.play(OK)
    with httpx.Client(transport=RetryTransport(attempt_timeout=1), timeout=60) as client:
        request = client.build_request("GET", misbehaving.url)
        client.send(request)
    assert request.extensions["timeout"]["read"] == 60


def test_httpx_closes_the_transport_beneath() -> None:
    """Closing the client closes what sends the requests."""
    closed = []

    class Beneath(httpx.MockTransport):
        def close(self) -> None:
            closed.append(self)

    with httpx.Client(transport=RetryTransport(Beneath(lambda request: httpx.Response(200)))) as client:
        client.get("http://example.org")
    assert len(closed) == 1


# requests


def test_requests_streams(misbehaving: MisbehavingServer) -> None:
    """With `stream=True` the body is read as it comes, and one that breaks off is the caller's."""
    misbehaving.play(refuse(503), hang_up(PART))
    with requests.Session() as session:
        session.mount("http://", RetryAdapter(AT_ONCE))
        response = session.get(misbehaving.url, stream=True)
        parts = response.iter_content(6)
        assert next(parts) == b"a part"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(parts)
        response.close()
    assert len(misbehaving.seen) == 2


def test_requests_pickles_its_adapter(misbehaving: MisbehavingServer) -> None:
    """A session that was pickled, for another process, retries as before."""
    misbehaving.play(refuse(503), refuse(503), refuse(503), refuse(503), OK)
    with requests.Session() as session:
        session.mount("http://", RetryAdapter(attempts=5, backoff=constant(0)))
        with pickle.loads(pickle.dumps(session)) as restored:
            assert restored.get(misbehaving.url).status_code == 200


def test_requests_is_told_once_of_its_own_retries(said: list[str]) -> None:
    """`max_retries=3` is said once, with what to write."""
    RetryAdapter()
    for _ in range(2):
        RetryAdapter(max_retries=3)
    assert said == [
        f"requests: HTTPAdapter(max_retries=...) {AGAIN}, so waits and requests multiply; write max_retries=0"
    ]


def test_requests_own_retries_are_not_multiplied(misbehaving: MisbehavingServer) -> None:
    """Where urllib3's retries are on all the same, an error on which they gave up is not tried again."""
    misbehaving.play(reset())
    with requests.Session() as session:
        session.mount("http://", RetryAdapter(AT_ONCE, max_retries=urllib3.Retry(2)))
        with pytest.raises(requests.ConnectionError):
            session.get(misbehaving.url)
    assert len(misbehaving.seen) == 3


def test_requests_rewinds_for_a_redirect_and_a_retry(misbehaving: MisbehavingServer, tmp_path: Any) -> None:
    """A file goes along with a 307, and again after a reset there, from where it was."""
    path = tmp_path / "report"
    path.write_bytes(b"header" + PAYLOAD)
    misbehaving.play(answer(307, (("Location", "/there"),)), reset(), OK)
    with requests.Session() as session, path.open("rb") as file:
        file.seek(6)
        session.mount("http://", RetryAdapter(AT_ONCE))
        assert session.put(misbehaving.url, data=file).status_code == 200
    assert [seen.body for seen in misbehaving.seen] == [PAYLOAD] * 3


# urllib3


def test_urllib3_streams(misbehaving: MisbehavingServer) -> None:
    """With `preload_content=False` the body is read as it comes."""
    misbehaving.play(refuse(503), fall_silent(PART))
    with retrying(urllib3.PoolManager(), AT_ONCE) as http:
        response = http.request("GET", misbehaving.url, preload_content=False)
        assert response.read(6) == b"a part"
        response.close()
    assert len(misbehaving.seen) == 2


def test_urllib3_is_told_once_of_its_own_retries(misbehaving: MisbehavingServer, said: list[str]) -> None:
    """Retries that are written, for the manager or for a request, are said; the default is simply off."""
    misbehaving.play(redirect(), OK)
    with retrying(urllib3.PoolManager()) as http:
        assert http.request("GET", misbehaving.url).status == 200
        assert said == []
        for _ in range(2):
            http.request("GET", misbehaving.url, retries=2)
        assert len(said) == 1
        assert "retries=2" in said[0]


def test_urllib3_follows_as_many_redirects_as_it_is_told(misbehaving: MisbehavingServer) -> None:
    """What remains of urllib3's own retries are redirects, counted as it counts them."""
    misbehaving.play(redirect(), redirect(), OK)
    only = urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=1)
    with retrying(urllib3.PoolManager(retries=only)) as http, pytest.raises(urllib3.exceptions.MaxRetryError):
        http.request("GET", misbehaving.url)
    misbehaving.play(redirect(), redirect(), OK)
    with retrying(urllib3.PoolManager()) as http:
        assert http.request("GET", misbehaving.url).status == 200


def test_urllib3_goes_through_a_proxy(misbehaving: MisbehavingServer) -> None:
    """A `ProxyManager` is retried as a `PoolManager` is."""
    misbehaving.play(refuse(503), OK)
    with retrying(urllib3.ProxyManager(misbehaving.url), AT_ONCE) as http:
        assert http.request("GET", "http://example.org/").status == 200
    assert [seen.path for seen in misbehaving.seen] == ["http://example.org/"] * 2


def test_urllib3_refuses_what_is_no_manager() -> None:
    """A pool, a session or a number is refused by name."""
    with pytest.raises(TypeError, match=r"manager must be a urllib3.PoolManager or ProxyManager, got 3"):
        retrying(3)  # type: ignore[type-var]


def test_a_timeout_of_urllib3_is_cut_and_never_lengthened() -> None:
    """A `Timeout`, a number, a tuple: each part is at most what is left."""
    assert str(cut_timeout(urllib3.Timeout(60), 5.0)) == str(urllib3.Timeout(connect=5.0, read=5.0, total=5.0))
    assert str(cut_timeout(urllib3.Timeout(connect=1, read=60), 5.0)) == str(
        urllib3.Timeout(connect=1.0, read=5.0, total=5.0)
    )
    assert cut_timeout((3.05, 27), 5.0) == (3.05, 5.0)
    assert cut_timeout(2, 5.0) == 2
    assert cut_timeout(None, 5.0) == 5.0


# aiohttp


def test_aiohttp_streams(misbehaving: MisbehavingServer) -> None:
    """The stream of a body is there as it comes, unless the middleware was asked to read it."""
    misbehaving.play(refuse(503), fall_silent(PART))

    async def main() -> bytes:
        async with (
            aiohttp.ClientSession(middlewares=(RetryMiddleware(AT_ONCE),)) as session,
            session.get(misbehaving.url) as response,
        ):
            return await response.content.read(6)

    assert asyncio.run(main()) == b"a part"


def test_aiohttps_own_retry_does_not_double_the_attempts(misbehaving: MisbehavingServer) -> None:
    """Aiohttp sends a GET once more around its middlewares; the error on which they gave up stands, and is the same."""
    misbehaving.play(reset())
    raised: list[BaseException] = []

    class Seeing(RetryMiddleware):
        async def __call__(self, request: Any, handler: Any) -> Any:
            try:
                return await super().__call__(request, handler)
            except Exception as error:
                raised.append(error)
                raise

    async def main() -> None:
        async with aiohttp.ClientSession(middlewares=(Seeing(AT_ONCE),)) as session:
            for times in (1, 2):  # the second request is one of its own, although it is the same
                with pytest.raises(aiohttp.ClientOSError) as caught:
                    await session.get(misbehaving.url)
                assert len(misbehaving.seen) == 3 * times
                told = outcome(caught.value)
                assert told is not None
                assert told.attempts == 3

    asyncio.run(main())
    assert raised[0] is raised[1]


def test_aiohttp_does_not_send_a_form_with_a_used_up_part(misbehaving: MisbehavingServer) -> None:
    """A multipart form with an async generator in it is sent once."""

    async def rows() -> AsyncIterator[bytes]:
        yield PAYLOAD

    async def main() -> int:
        async with aiohttp.ClientSession(middlewares=(RetryMiddleware(AT_ONCE, idempotent=True),)) as session:
            with aiohttp.MultipartWriter() as form:
                form.append("text")
                form.append(rows())
            return (await session.post(misbehaving.url, data=form)).status

    misbehaving.play(refuse(503), OK)
    assert asyncio.run(main()) == 503


def test_aiohttps_total_timeout_bounds_all_attempts(misbehaving: MisbehavingServer) -> None:
    """`ClientTimeout(total=...)` ends attempts and waits together, also in the middle of a wait."""
    misbehaving.play(refuse(503))

    async def main() -> None:
        timeout = aiohttp.ClientTimeout(total=0.2)
        middleware = RetryMiddleware(backoff=constant(30))
        async with aiohttp.ClientSession(timeout=timeout, middlewares=(middleware,)) as session:
            with pytest.raises(TimeoutError):
                await session.get(misbehaving.url)

    asyncio.run(main())
    assert len(misbehaving.seen) == 1


def test_many_at_once(misbehaving: MisbehavingServer) -> None:
    """Thirty requests at once through one transport each have their own attempts."""
    misbehaving.play(*[refuse(503)] * 15, OK)
    with fake_time(), httpx.Client(transport=RetryTransport(attempts=20, budget=None)) as client:
        answers: list[int] = []
        lock = threading.Lock()

        def ask() -> None:
            status = client.get(misbehaving.url).status_code
            with lock:
                answers.append(status)

        threads = [threading.Thread(target=copy_context().run, args=(ask,)) for _ in range(30)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert answers == [200] * 30
    assert len(misbehaving.seen) == 45
