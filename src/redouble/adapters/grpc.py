"""On top of the floors: client interceptors for grpc and grpc.aio, which make a call again by a redouble policy.

A call with one request and one response is retried whole. A call with a stream of responses is retried only before its
first message: until then the caller has received no part of it. A stream of requests is sent again where it can be
iterated over anew, such as a list; an iterator is used up, so a call with one is made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import grpc  # type: ignore[import-untyped]  # grpcio has no types
from grpc import aio

from redouble.adapters._http import policy_from
from redouble.calls.timing import shortened
from redouble.control import faults
from redouble.control.policy import refuse_async_stop
from redouble.ways.policy import bind, own_of, retry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Unpack

    from redouble.control.policy import PolicyFields
    from redouble.ways.policy import RetryPolicy

_END: Any = object()
"""Stands for the first message of a stream without messages."""


class RetryInterceptor(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]  # grpcio has no types; so below
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    """An interceptor for `grpc.intercept_channel` that makes a call again until it succeeds or the policy gives up.

    Not retried: a call made with `.future()`, a stream of responses after its first message, and a call with an
    iterator of requests. gRPC does not say which methods can be repeated: `idempotent=False` retries only calls that
    surely had no effect on the server.

    Args:
        policy: The policy.
        fields: Changes of the policy, as keywords: `attempts=5`.

    Raises:
        TypeError, ValueError: For a value that is not a policy, and for wrong fields.

    >>> import grpc
    >>> from redouble.adapters.grpc import RetryInterceptor
    >>> channel = grpc.insecure_channel("localhost:50051", options=[("grpc.enable_retries", 0)])
    >>> channel = grpc.intercept_channel(channel, RetryInterceptor(attempts=5))
    """

    def __init__(self, policy: RetryPolicy = retry, **fields: Unpack[PolicyFields]) -> None:
        policy = policy_from(policy, fields, "grpc")
        refuse_async_stop(policy, "interceptor of grpc")
        own = own_of(policy)
        self._call = bind(policy, _call, own)
        self._open = bind(policy, _open, own)

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._call(continuation, client_call_details, request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        requests = _Requests.of(request_iterator)
        if requests is None:
            return continuation(client_call_details, request_iterator)
        return self._call(continuation, client_call_details, requests)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return _Responses(self._open, continuation, client_call_details, request)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        requests = _Requests.of(request_iterator)
        if requests is None:
            return continuation(client_call_details, request_iterator)
        return _Responses(self._open, continuation, client_call_details, requests)


class _Requests:
    """Requests that can be iterated over anew, for each attempt from the first one on."""

    __slots__ = ("_all",)

    def __init__(self, requests: Any) -> None:
        self._all = requests

    @classmethod
    def of(cls, requests: Any) -> _Requests | None:
        """Wrap requests that can be iterated over anew; `None` for an iterator, which can be read only once."""
        is_once = requests is None or hasattr(requests, "__next__") or hasattr(requests, "__anext__")
        return None if is_once else cls(requests)

    def again(self) -> Any:
        return iter(self._all) if hasattr(self._all, "__iter__") else self._all


def _again(request: Any) -> Any:
    return request.again() if isinstance(request, _Requests) else request


class _Details(NamedTuple):
    """The details of a call, with a timeout of redouble's."""

    method: Any
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


def _limited(details: Any, limit: float | None) -> Any:
    """Return the details of a call with a timeout of at most `seconds`, and never a longer one than it had."""
    if limit is None:
        return details
    kept = (getattr(details, name, None) for name in ("metadata", "credentials", "wait_for_ready", "compression"))
    return _Details(details.method, shortened(details.timeout, limit), *kept)


def _call(continuation: Any, details: Any, request: Any, limit: float | None = None) -> Any:
    """Make a call with one response, once; return it when it has succeeded, else raise its error."""
    call = continuation(_limited(details, limit), _again(request))
    if _goes_on_alone(call):
        if faults.once("grpc future", details.method):
            faults.warn("%s: a call made with .future() is not retried; make it in a thread instead", details.method)
        return call
    error = call.exception()
    if error is not None:
        raise error
    return call


def _goes_on_alone(call: Any) -> bool:
    """Return whether a call was begun with `.future()`: a blocking one is over when it gets here."""
    return type(call).__name__ == "_MultiThreadedRendezvous" or not call.done()


def _open(responses: _Responses, limit: float | None = None) -> Any:  # noqa: ARG001  # see `_Responses`
    """Open a stream of responses, once, and return its first message."""
    return responses.open_once()


class _Responses:
    """A stream of responses, opened again until its first message has come; it delegates to the current call.

    The first attempt begins with the call, as in grpc; the first `next` waits through all attempts. The call's timeout
    is for the whole stream, so an attempt's own does not shorten it.
    """

    def __init__(self, opened: Callable[..., Any], continuation: Any, details: Any, request: Any) -> None:
        self._opened = opened
        self._make = continuation, details, request
        self._is_begun = self._is_taken = False
        self._current = continuation(details, _again(request))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._is_begun:
            return next(self._current)
        self._is_begun = True
        first = self._opened(self)
        if first is _END:
            raise StopIteration
        return first

    def open_once(self) -> Any:
        """Wait for the first message: of the call that was made already, then of new ones."""
        if self._is_taken:
            continuation, details, request = self._make
            self._current = continuation(details, _again(request))
        self._is_taken = True
        return next(self._current, _END)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._current, name)


class _Async:
    """The part that the asynchronous interceptors share: the policy, bound to a call and to a stream of responses."""

    def __init__(self, policy: RetryPolicy = retry, **fields: Unpack[PolicyFields]) -> None:
        policy = policy_from(policy, fields, "grpc")
        own = own_of(policy)
        self._call = bind(policy, _call_async, own)
        self._open = bind(policy(timeout_as=None), _open_async, own)


class AsyncRetryUnaryUnary(_Async, aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpcio has no types
    """As `RetryInterceptor`, for `grpc.aio`: calls with one request and one response; see `interceptors()`."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._call(continuation, client_call_details, request)


class AsyncRetryStreamUnary(_Async, aio.StreamUnaryClientInterceptor):  # type: ignore[misc]
    """As `AsyncRetryUnaryUnary`: calls with a stream of requests, retried where these can be iterated over anew."""

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        requests = _Requests.of(request_iterator)
        if requests is None:
            return await continuation(client_call_details, request_iterator)
        return await self._call(continuation, client_call_details, requests)


class AsyncRetryUnaryStream(_Async, aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """As `AsyncRetryUnaryUnary`: calls with a stream of responses, retried before the first of them."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return _handed_on(*await self._open(continuation, client_call_details, request))


class AsyncRetryStreamStream(_Async, aio.StreamStreamClientInterceptor):  # type: ignore[misc]
    """As `AsyncRetryUnaryUnary`: calls with streams of both, under the limits of both."""

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        requests = _Requests.of(request_iterator)
        if requests is None:
            return await continuation(client_call_details, request_iterator)
        return _handed_on(*await self._open(continuation, client_call_details, requests))


def interceptors(policy: RetryPolicy = retry, **fields: Unpack[PolicyFields]) -> list[aio.ClientInterceptor]:
    """Return the interceptors of all four kinds of calls, for `grpc.aio.insecure_channel(interceptors=...)`.

    In grpc.aio an interceptor is for one kind of call, so there are four. See `RetryInterceptor` for the calls that are
    not retried; for a stream, `attempt_timeout` bounds the wait for its first message.

    Args:
        policy: The policy.
        fields: Changes of the policy, as keywords: `attempts=5`.

    Raises:
        TypeError, ValueError: For a value that is not a policy, and for wrong fields.

    >>> from redouble.adapters.grpc import interceptors
    >>> [type(each).__name__ for each in interceptors(attempts=5)]
    ['AsyncRetryUnaryUnary', 'AsyncRetryUnaryStream', 'AsyncRetryStreamUnary', 'AsyncRetryStreamStream']
    """
    kinds = AsyncRetryUnaryUnary, AsyncRetryUnaryStream, AsyncRetryStreamUnary, AsyncRetryStreamStream
    return [kind(policy, **fields) for kind in kinds]


async def _call_async(continuation: Any, details: Any, request: Any, limit: float | None = None) -> Any:
    call = await continuation(_limited_async(details, limit), _again(request))
    await call
    return call


async def _open_async(continuation: Any, details: Any, request: Any) -> Any:
    call = await continuation(details, _again(request))
    responses = aiter(call)
    try:
        return await anext(responses, _END), responses
    except BaseException:
        call.cancel()  # an attempt that timed out is no longer awaited
        raise


async def _handed_on(first: Any, others: AsyncIterator[Any]) -> AsyncIterator[Any]:
    if first is not _END:
        yield first
        async for response in others:
            yield response


def _limited_async(details: Any, limit: float | None) -> Any:
    return details if limit is None else details._replace(timeout=shortened(details.timeout, limit))
