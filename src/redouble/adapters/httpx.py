"""On top of the floors: transports for httpx, which send a request again by a redouble policy.

Particular to httpx are its timeouts, which travel in the request's extensions, and its bodies, which are streams around
the caller's object. The rest is in `_http.py`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from redouble.adapters._http import AsyncSender, Sender, say_own_retries
from redouble.calls.timing import shortened
from redouble.core import checks
from redouble.ways.policy import retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self, Unpack

    from redouble.control.policy import PolicyFields
    from redouble.ways.policy import RetryPolicy

_TIMEOUTS = ("connect", "read", "write", "pool")


class RetryTransport(httpx.BaseTransport):
    """A transport that sends a request again until it succeeds or the policy gives up.

    It is beneath the client's redirects and its authentication: each request of theirs is retried by itself.

    Args:
        transport: The transport that sends a request once. `None`: a new `httpx.HTTPTransport()`. It is closed with
            this one.
        policy: The policy; its `result` is `http_response` unless written.
        read_body: Whether the body of an answer is read within the attempt, so that a truncated answer is retried;
            `client.stream(...)` then has the whole body before it begins. `False`: bodies are streamed, and the caller
            handles a truncated one.
        fields: Changes of the policy, as keywords: `attempts=5`.

    Raises:
        TypeError, ValueError: For a value that is not a policy, and for wrong fields.

    >>> import httpx
    >>> from redouble.adapters.httpx import RetryTransport
    >>> from redouble.testing import fake_time
    >>> answers = [httpx.Response(503), httpx.Response(200)]
    >>> flaky = httpx.MockTransport(lambda request: answers.pop(0))
    >>> with fake_time(), httpx.Client(transport=RetryTransport(flaky, attempts=5)) as client:
    ...     client.get("http://example.org")
    <Response [200 OK]>
    """

    def __init__(
        self,
        transport: httpx.BaseTransport | None = None,
        policy: RetryPolicy = retry,
        *,
        read_body: bool = False,
        **fields: Unpack[PolicyFields],
    ) -> None:
        self._send = Sender("httpx", policy, fields)
        self._reads = checks.flag("read_body", read_body)
        self._transport = httpx.HTTPTransport() if transport is None else transport
        _look_for_retries(self._transport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        def send(limit: float | None) -> httpx.Response:
            with _limited(request, limit):
                response = self._transport.handle_request(request)
                if self._reads:
                    _keep(response, _read(response))
                return response

        return _readable(self._send(request, _body_of(request), send))

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._transport.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        self._transport.close()


class AsyncRetryTransport(httpx.AsyncBaseTransport):
    """As `RetryTransport`, for `httpx.AsyncClient`, on asyncio and trio.

    Args:
        transport: The transport that sends a request once. `None`: a new `httpx.AsyncHTTPTransport()`. It is closed
            with this one.
        policy, read_body, fields: As of `RetryTransport`.

    Raises:
        TypeError, ValueError: As `RetryTransport`.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        policy: RetryPolicy = retry,
        *,
        read_body: bool = False,
        **fields: Unpack[PolicyFields],
    ) -> None:
        self._send = AsyncSender("httpx", policy, fields)
        self._reads = checks.flag("read_body", read_body)
        self._transport = httpx.AsyncHTTPTransport() if transport is None else transport
        _look_for_retries(self._transport)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def send(limit: float | None) -> httpx.Response:
            with _limited(request, limit):
                response = await self._transport.handle_async_request(request)
                if self._reads:
                    _keep(response, await _read_async(response))
                return response

        return _readable(await self._send(request, _body_of(request), send))

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        await self._transport.aclose()


@contextmanager
def _limited(request: httpx.Request, seconds: float | None) -> Iterator[None]:
    """Shorten the request's timeouts to the time of the attempt; restore the caller's own afterwards."""
    if seconds is None:
        yield
        return
    given = request.extensions
    timeouts = given.get("timeout") or dict.fromkeys(_TIMEOUTS)
    request.extensions = {**given, "timeout": {name: shortened(value, seconds) for name, value in timeouts.items()}}
    try:
        yield
    finally:
        request.extensions = given


def _body_of(request: httpx.Request) -> Any:
    """Return the body that the caller handed in, where httpx streams it; for a form, its worst file."""
    stream = request.stream
    if isinstance(stream, httpx.ByteStream):
        return None
    for field in getattr(stream, "fields", ()):  # of a multipart form: httpx itself rewinds its files
        file = getattr(field, "file", None)
        if hasattr(file, "read") and not hasattr(file, "seek"):
            return file
    return getattr(stream, "_stream", None)


def _read(response: httpx.Response) -> bytes:
    try:
        return b"".join(response.stream)  # type: ignore[arg-type]  # of a sync transport, a sync stream
    finally:
        response.close()


async def _read_async(response: httpx.Response) -> bytes:
    try:
        return b"".join([part async for part in response.stream])  # type: ignore[union-attr]  # as above
    finally:
        await response.aclose()


def _keep(response: httpx.Response, body: bytes) -> None:
    """Give a response its body, still encoded, instead of a stream that is read already."""
    response.stream = httpx.ByteStream(body)
    response.is_closed = False


def _readable(response: httpx.Response) -> httpx.Response:
    """Make a dropped response, which is the last one after all, readable as one without a body.

    When `stop` or a deadline ends a wait, the connection of this response has already gone back to its pool.
    """
    if response.is_closed and not hasattr(response, "_content"):
        _keep(response, b"")
    return response


def _look_for_retries(transport: object) -> None:
    """Log once when the transport beneath has retries of its own."""
    name = type(transport).__name__
    if getattr(getattr(transport, "_pool", None), "_retries", 0):
        say_own_retries("httpx", f"{name}(retries=...)", "retries=0")
    elif type(transport).__module__.partition(".")[0] in ("httpx_retries", "tenacity"):
        say_own_retries(
            "httpx", f"{type(transport).__module__}.{name}", "RetryTransport() around httpx's own transport"
        )
