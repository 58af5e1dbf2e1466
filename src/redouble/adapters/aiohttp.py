"""On top of the floors: a client middleware for aiohttp, which sends a request again by a redouble policy.

Particular to aiohttp: it rewinds bodies itself, and tells which ones it cannot; and it has one retry of its own, which
cannot be turned off, around its middlewares. The rest is in `_http.py`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectorError, ClientOSError, RequestInfo, ServerDisconnectedError

from redouble.adapters._http import AsyncSender
from redouble.control.mark import MARK, read
from redouble.core import checks
from redouble.known.request import SAFE_METHODS
from redouble.ways.policy import retry

if TYPE_CHECKING:
    from typing import Unpack

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

    from redouble.control.policy import PolicyFields
    from redouble.ways.policy import RetryPolicy

_ended: ContextVar[tuple[object, Exception] | None] = ContextVar("redouble.aiohttp.ended", default=None)
"""The request on which a middleware gave up in this task, by the timer that all its repetitions share, and the error."""


class RetryMiddleware:
    """A middleware that sends a request again until it succeeds or the policy gives up.

    It is beneath the session's redirects: each request of theirs is retried by itself. aiohttp's `ClientTimeout(total=)`
    bounds all attempts and waits together; `attempt_timeout` is for one.

    Args:
        policy: The policy; its `result` is `http_response` unless written.
        read_body: Whether the body of an answer is read within the attempt, so that a truncated answer is retried; then
            `read()`, `text()` and `json()` return it, and the stream `content` is empty. `False`: bodies are streamed,
            and the caller handles a truncated one.
        fields: Changes of the policy, as keywords: `attempts=5`.

    Raises:
        TypeError, ValueError: For a value that is not a policy, and for wrong fields.

    >>> from redouble.adapters.aiohttp import RetryMiddleware
    >>> middlewares = (RetryMiddleware(attempts=5),)  # for aiohttp.ClientSession(middlewares=middlewares)
    """

    def __init__(self, policy: RetryPolicy = retry, *, read_body: bool = False, **fields: Unpack[PolicyFields]) -> None:
        self._send = AsyncSender("aiohttp", policy, fields)
        self._reads = checks.flag("read_body", read_body)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        _raise_again(request)

        async def send(_: float | None) -> ClientResponse:  # with a timeout that redouble itself shortens
            await request.close()  # the writer of an attempt before, which reads the same body
            response = await handler(request)
            if self._reads:
                await response.read()
            return response

        try:
            response = await self._send(request, _body_of(request), send)
        except (ClientOSError, ServerDisconnectedError) as error:
            if not isinstance(error, ClientConnectorError):
                _remember(request, error)
            raise
        if response._released and response._body is None:  # dropped before a wait that was ended: its body is lost
            response._released, response._body = False, b""
        if read(response) is not None:
            response._request_info = _Marked.of(response)
            getattr(response, "_cache", {}).pop("request_info", None)  # the earlier requests are kept there
        return response


class _Marked(RequestInfo):
    """A request's facts, from which `raise_for_status` makes its error, with the mark of the answer beside them."""

    @classmethod
    def of(cls, response: ClientResponse) -> _Marked:
        found = cls(*response.request_info)
        setattr(found, MARK, read(response))
        return found


def _body_of(request: ClientRequest) -> Any:
    """Return the body that the caller handed in; of a multipart form, a part that can be read only once."""
    values = [getattr(part, "_value", None) for part, *_ in getattr(request.body, "_parts", ())]
    once = [value for value in values if hasattr(value, "__anext__")]
    return once[0] if once else getattr(request.body, "_value", None)


def _remember(request: ClientRequest, error: Exception) -> None:
    """Keep the error for aiohttp's own retry, which follows at once, if at all."""
    timer: Any = getattr(request, "_timer", None)
    if timer is not None and request.method in SAFE_METHODS:
        _ended.set((timer, error))


def _raise_again(request: ClientRequest) -> None:
    """Raise the error on which the policy gave up this very request, when aiohttp sends it once more by itself.

    aiohttp's own retry (of idempotent methods, after a lost connection) is around the middlewares, and would double all
    attempts.
    """
    ended = _ended.get()
    if ended is not None:
        _ended.set(None)
        if ended[0] is getattr(request, "_timer", None):
            raise ended[1]
