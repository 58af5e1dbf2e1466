"""Floor 2. Results that are HTTP responses: the rule `http_response`, and the release of responses that are dropped."""

from __future__ import annotations

import time

from redouble.core import checks
from redouble.core.raw import probe, whole
from redouble.core.record import Record
from redouble.core.verdict import Rule
from redouble.known.row import PERMANENT, named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from redouble.core.verdict import Classification, Fault


class HttpResponse(Rule, Record):
    """The rule for returned responses; `http_response` is the one to use.

    Fields:
        wall: The wall clock, as for `known_errors`: seconds since the epoch, for a Retry-After date without a Date.

    Raises:
        TypeError: When `wall` is not callable.
    """

    wall: Callable[[], float]

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        object.__setattr__(self, "wall", checks.function("wall", wall))

    def ask(self, subject: Any, on_fault: Fault | None = None) -> Classification | None:
        """Judge a response by its status; `None` for one not to retry, and for a value that is not a response.

        A 404 is an answer: the caller gets it, without an opinion. Never raises.
        """
        status = _status(subject)
        if status is None or status < 300:
            return None  # the table of statuses is loaded when one is looked for
        from redouble.known.http_status import judge_response

        found = judge_response(subject, self.wall, who=named(subject))
        return None if found is None or found.verdict is PERMANENT else found

    def discard(self, value: Any) -> Closing | None:
        """Give the connection of a response back to its pool; the body that was not read is lost.

        The retry loop calls it with a result that it drops for another attempt, before the wait, so that no connection
        is held during the wait. Never raises; ignores any value that is not a response.

        Returns:
            `None` when the response is closed. For an async client's response, an awaitable that closes it; a sync
            caller ignores it, as no sync client returns such a response.

        Source: the documentation of each client: `close` of requests and httpx (`aclose` of its async responses),
        `release` of aiohttp, `close` and `release_conn` of urllib3 (a closed connection keeps its place in a pool that
        blocks, until it is released).
        """
        if _status(value) is None:
            return None
        if probe(value, "release_conn") is not None:  # urllib3
            _called(value, "close")
            _called(value, "release_conn")
            return None
        if probe(value, "request_info") is not None and _called(value, "release") is not _FAILED:  # aiohttp
            return None  # its result is awaitable only for old code: there is no need to await it
        if probe(value, "is_closed") is True:
            return None  # httpx; an async response would refuse `close` all the same
        answer = _called(value, "close")
        if answer is _FAILED:  # httpx: `close` of an async response
            closing = probe(value, "aclose")
            return None if closing is None else Closing(closing)
        return Closing(lambda: answer) if _is_awaitable(answer) else None

    def __repr__(self) -> str:
        return "http_response"


class Closing:
    """The closing of an async response, to be awaited. Left alone, it starts no work and gives no warning."""

    __slots__ = ("_close",)

    def __init__(self, close: Callable[[], Any]) -> None:
        self._close = close

    def __await__(self) -> Generator[Any, Any, None]:
        return _quietly(self._close).__await__()


async def _quietly(close: Callable[[], Any]) -> None:
    """Close a response; a connection that cannot be closed does not stop the retry."""
    try:
        answer = close()
        if _is_awaitable(answer):
            await answer
    except Exception:
        return


_FAILED = object()


def _called(value: Any, name: str) -> Any:
    """Call a method without arguments and return its result; `_FAILED` when it is missing or raises."""
    try:
        return getattr(value, name)()
    except Exception:
        return _FAILED


def _is_awaitable(answer: Any) -> bool:
    return hasattr(type(answer), "__await__")


def _status(value: Any) -> int | None:
    status = whole(probe(value, "status_code"))
    return whole(probe(value, "status")) if status is None else status


http_response: HttpResponse = HttpResponse()
"""The rule for `result=`: retries responses with a status that may pass by HTTP, after the wait that they ask for.

It judges the responses of requests, httpx, aiohttp and urllib3, and any object with a whole number as `status_code` or
`status`, by status and headers (RFC 9110 15), as `known_errors` judges the errors that these clients raise for them. A
503 is retried after its Retry-After, a 404 is returned. The connection of a dropped response goes back to its pool; the
last response is returned unchanged.

>>> class Answer:
...     status_code = 503
...     headers = {"Retry-After": "7"}
>>> http_response.ask(Answer()).retry_after
7.0
>>> Answer.status_code = 404
>>> http_response.ask(Answer()) is None
True
"""
