"""Floor 1. The rule for returned responses, and how those that nobody wants are let go."""

from __future__ import annotations

import asyncio
import gc
import io
import warnings
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from redouble import Verdict, http_response
from redouble.known.http_response import HttpResponse
from redouble.known.request import shows_unsafe_method


class Answer:
    """A response of some client, which notes what is done to it."""

    def __init__(self, status: Any = 503, headers: Any = None, **more: Any) -> None:
        self.status_code = status
        self.headers = headers or {}
        self.done: list[str] = []
        vars(self).update(more)

    def close(self) -> Any:
        self.done.append("close")


class AiohttpAnswer:
    """As aiohttp's: `status`, and a `release` that can be awaited but need not be."""

    def __init__(self, status: int = 503) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.request_info = SimpleNamespace(method="POST", headers={})
        self.done: list[str] = []

    def release(self) -> Any:
        self.done.append("release")
        return NotToBeAwaited()

    def close(self) -> None:
        self.done.append("close")


class NotToBeAwaited:
    """What aiohttp's `release` returns."""

    def __await__(self) -> Generator[Any, Any, None]:
        raise AssertionError("nobody should wait for this")


class AsyncAnswer(Answer):
    """As httpx's async responses: `close` raises."""

    is_closed = False

    def close(self) -> Any:
        raise RuntimeError("Attempted to call an sync close on an async stream.")

    async def aclose(self) -> None:
        self.done.append("aclose")


@pytest.mark.parametrize(("status", "applied"), [(429, False), (500, True), (502, True), (408, False)])
def test_responses_that_may_get_better(status: int, applied: bool) -> None:
    """Transient, with the hint that they carry."""
    found = http_response.ask(Answer(status, {"Retry-After": "7"}))
    assert found is not None
    assert (found.verdict, found.retry_after, found.applied) == (Verdict.TRANSIENT, 7.0, applied)
    assert found.reason.endswith(f"Answer {status}")
    found = http_response.ask(AiohttpAnswer(status))
    assert found is not None
    assert found.applied is applied


@pytest.mark.parametrize("status", [100, 200, 204, 302, 400, 401, 404, 409, 501, None, "503", True, 5.0])
def test_responses_that_are_answers(status: Any) -> None:
    """A 404 is an answer: no opinion, so that it is returned."""
    assert http_response.ask(Answer(status)) is None


@pytest.mark.parametrize("value", [None, 503, "503", {}, {"status": 503}, [], object(), Mock(), MagicMock()])
def test_what_is_no_response(value: Any) -> None:
    """No opinion, and nothing is done to it."""
    assert http_response.ask(value) is None
    assert http_response.discard(value) is None


def test_a_login_that_is_pending() -> None:
    """RFC 8628 for clients that do not raise."""
    found = http_response.ask(Answer(400, _content=b'{"error": "authorization_pending"}'))
    assert found is not None
    assert found.verdict is Verdict.PENDING


def test_the_wall_clock() -> None:
    """A Retry-After date without a Date is counted from the wall clock."""
    rule = HttpResponse(wall=lambda: 784111777.0 - 30)
    found = rule.ask(Answer(503, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}))
    assert found is not None
    assert found.retry_after == 30.0
    with pytest.raises(TypeError, match="wall must be"):
        HttpResponse(wall=5)  # type: ignore[arg-type]  # what is tested
    assert repr(http_response) == "http_response"


def test_plain_responses_are_closed() -> None:
    """Sync responses of requests and httpx."""
    answer = Answer()
    assert http_response.discard(answer) is None
    assert answer.done == ["close"]


def test_a_response_that_is_closed() -> None:
    """httpx: the body has been read, there is nothing left to do."""
    answer = AsyncAnswer(is_closed=True)
    assert http_response.discard(answer) is None
    assert answer.done == []


def test_aiohttp_responses_are_released() -> None:
    """`release`, not `close`: the connection may be used again. What it returns is not for awaiting."""
    answer = AiohttpAnswer()
    assert http_response.discard(answer) is None
    assert answer.done == ["release"]


def test_urllib3_responses_are_closed_and_released() -> None:
    """Without `release_conn` a closed connection keeps its place in a pool that blocks."""
    answer = Answer()
    vars(answer)["release_conn"] = lambda: answer.done.append("release_conn")
    assert http_response.discard(answer) is None
    assert answer.done == ["close", "release_conn"]


def test_async_responses_are_closed_when_awaited() -> None:
    """httpx: what is left to do comes back."""
    answer = AsyncAnswer()
    closing = http_response.discard(answer)
    assert closing is not None
    assert answer.done == []

    async def main() -> None:
        await closing

    asyncio.run(main())
    assert answer.done == ["aclose"]


def test_a_close_that_is_a_coroutine_function() -> None:
    """azure-core's async responses."""

    class Azure(Answer):
        async def close(self) -> None:
            self.done.append("close")

    async def main() -> list[str]:
        answer = Azure()
        closing = http_response.discard(answer)
        assert closing is not None
        await closing
        return answer.done

    assert asyncio.run(main()) == ["close"]


def test_what_nobody_awaits_does_not_warn() -> None:
    """A sync caller lets it be."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        http_response.discard(AsyncAnswer())
        gc.collect()


def test_closing_never_raises() -> None:
    """A connection that cannot even be closed is no reason not to try again."""

    class Broken(Answer):
        def close(self) -> None:
            raise OSError("closed already")

    class BrokenAsync(AsyncAnswer):
        async def aclose(self) -> None:
            raise OSError("closed already")

    class NoCoroutine(AsyncAnswer):
        def aclose(self) -> Any:
            return 5

    async def main() -> None:
        for answer in (BrokenAsync(), NoCoroutine()):
            closing = http_response.discard(answer)
            assert closing is not None
            await closing

    assert http_response.discard(Broken()) is None
    assert http_response.discard(Answer(close=5)) is None
    asyncio.run(main())


def test_an_aiohttp_lookalike_without_release() -> None:
    """Closed instead."""
    answer = AiohttpAnswer()
    vars(answer)["release"] = None
    assert http_response.discard(answer) is None
    assert answer.done == ["close"]


def test_the_request_of_a_response() -> None:
    """A response tells its request, as an error does."""
    assert shows_unsafe_method(AiohttpAnswer())
    assert shows_unsafe_method(Answer(request=SimpleNamespace(method="POST", headers={})))
    assert not shows_unsafe_method(Answer(request=SimpleNamespace(method="GET", headers={})))
    assert not shows_unsafe_method(Answer())
    assert not shows_unsafe_method(None)


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
def test_real_httpx(package: str) -> None:
    """A streamed response gives its connection back, sync and async."""
    httpx = pytest.importorskip(package)
    sync = httpx.Response(503, headers={"Retry-After": "2"}, stream=httpx.ByteStream(b"x"))
    found = http_response.ask(sync)
    assert found is not None
    assert found.retry_after == 2.0
    assert http_response.discard(sync) is None
    assert sync.is_closed

    async def body() -> Any:
        yield b"x"

    async def main() -> None:
        answer = httpx.Response(503, content=body())
        closing = http_response.discard(answer)
        assert closing is not None
        await closing
        assert answer.is_closed

    asyncio.run(main())


def test_real_requests() -> None:
    """A response whose body was not read gives its connection back."""
    requests, urllib3 = pytest.importorskip("requests"), pytest.importorskip("urllib3")
    response = requests.Response()
    response.status_code = 503
    response.headers["Retry-After"] = "2"
    response.raw = urllib3.HTTPResponse(body=io.BytesIO(b"x"), preload_content=False)
    found = http_response.ask(response)
    assert found is not None
    assert found.retry_after == 2.0
    assert http_response.discard(response) is None
    assert response.raw.closed


def test_real_urllib3() -> None:
    """urllib3's own response."""
    urllib3 = pytest.importorskip("urllib3")
    response = urllib3.HTTPResponse(
        body=io.BytesIO(b"x"), status=503, headers={"retry-after": "2"}, preload_content=False
    )
    found = http_response.ask(response)
    assert found is not None
    assert found.retry_after == 2.0
    assert http_response.discard(response) is None
    assert response.closed
