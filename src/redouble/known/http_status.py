"""Floor 2. HTTP statuses and the headers that go with them, for the errors and responses of every HTTP client."""

from __future__ import annotations

from redouble.core.backoff import constant
from redouble.core.hints import LIMITS, Picked, from_headers, from_limits, header, picked, retry_after, text_of
from redouble.core.raw import is_a, probe, whole
from redouble.core.verdict import Classification, Verdict
from redouble.known.row import PERMANENT, TRANSIENT, Row, remember, rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from redouble.core.backoff import Backoff

POLL = constant(5.0)
"""The backoff between polls of a device grant when the server gives no interval (RFC 8628, 3.2 and 3.5)."""

SLOWER = constant(10.0)
"""The same after a slow_down, which adds five seconds to all later polls (RFC 8628, 3.5). The caller remembers that."""


def poll(state: str) -> Backoff:
    """Return the backoff curve of a pending login, by the error code that the server gives."""
    return SLOWER if state in _SLOW_DOWN else POLL


_RFC = "RFC 9110 15"
_CLOUDFLARE = "Cloudflare documentation, 5xx errors"
_SDKS = "openai/_base_client.py, _should_retry"
_GROUPS = (
    (TRANSIENT, False, "RFC 9110 15.5.9", "the server gave up waiting for the request", "408"),
    (TRANSIENT, False, "RFC 9110 15.5.20", "on another connection, with any method", "421"),
    (TRANSIENT, False, "RFC 8470 5.2", "not in early data", "425"),
    (TRANSIENT, False, "RFC 6585 4", "too many requests", "429"),
    (TRANSIENT, True, "RFC 9110 15.6", "the server may have done it", "500 502 504"),
    (TRANSIENT, True, "RFC 9110 15.6.4", "a gateway may say so of an answer that it lost", "503"),
    (TRANSIENT, False, "botocore data/_retry.json", "bandwidth limit", "509"),
    (TRANSIENT, True, _CLOUDFLARE, "the origin may have done it", "520 522 524"),
    (TRANSIENT, False, _CLOUDFLARE, "the origin refuses or cannot be reached", "521 523"),
    (TRANSIENT, False, "Anthropic API documentation, errors", "overloaded", "529"),
    (PERMANENT, False, _RFC, "Retry-After does not change it", "401 404 405 410 501 505"),
    (PERMANENT, False, "RFC 9110 15.5.14", "transient with Retry-After", "413"),
    (PERMANENT, False, _RFC + "; policy", "a conflict that the same request meets again", "409 412 423"),
    (TRANSIENT, False, "Azure Cosmos DB documentation, HTTP status codes", "retry with: a conflict of writes", "449"),
    (PERMANENT, False, "RFC 9110 15.6, RFC 2295, RFC 4918, RFC 5842, RFC 2774, RFC 6585", "", "506 507 508 510 511"),
    (PERMANENT, False, _CLOUDFLARE, "TLS to the origin is set up wrong", "525 526"),
    (PERMANENT, False, _RFC, "redirects are the client's to follow", "3xx"),
    (PERMANENT, False, _RFC, "the same request fails again; transient with Retry-After (policy)", "4xx"),
    (TRANSIENT, True, _RFC, "a status that is not known counts as 500", "5xx"),
)

_STATUSES = rows_of("http", "status", _GROUPS)
_BY_STATUS = {row.code: row for row in _STATUSES}


def _row(code: str, verdict: Verdict, source: str, note: str) -> Row:
    return Row("http", "status", code, verdict, False, source, note)


_ASKED = _row("4xx with Retry-After", TRANSIENT, f"{_RFC}; policy", "it names a time to come back, so it is worth it")
_TRUE = _row("x-should-retry: true", TRANSIENT, _SDKS, "outranks a status of 400 or more; applied as the status tells")
_FALSE = _row(
    "x-should-retry: false", PERMANENT, _SDKS, "outranks a status of 400 or more; applied as the status tells"
)
_TOLD = _row("503 with Retry-After", TRANSIENT, "RFC 9110 15.6.4", "refused before anything was done")
_LOGIN = _row("400 authorization_pending slow_down", Verdict.PENDING, "RFC 8628 3.5", "a login that waits for somebody")
ROWS: tuple[Row, ...] = (*_STATUSES, _TOLD, _ASKED, _TRUE, _FALSE, _LOGIN)

_LIMITED = frozenset((429, 503))
"""The statuses whose rate limit headers tell when to come back; with any other they are only information."""

_FIRM = frozenset((401, 404, 405, 410, 501, 505))
_SLOW_DOWN = ("slow_down", "SlowDownException")
_PENDING = ("authorization_pending", "slow_down")
_PENDING_IN: tuple[tuple[Any, ...], ...] = (_PENDING, tuple(word.encode() for word in _PENDING))
_cache: dict[tuple[str, int], Classification] = {}


def judge_status(
    status: Any,
    headers: Any,
    wall: Callable[[], float],
    *,
    who: str = "HTTP",
    body: Any = None,
    seconds_first: bool = False,
) -> Classification | None:
    """Judge an HTTP response by its status and headers.

    Args:
        status: The status code; any value but a whole number in 300..599 gives `None`.
        headers: The headers of the answer, anything with a `get`, or `None`. Retry-After makes a refusal transient
            (except 401, 404, 405, 410, 501, 505), `x-should-retry` outranks the status. Of a 429 or 503 without
            Retry-After the rate limit headers are read.
        wall: Gives seconds since the epoch, for a Retry-After date in an answer without a Date header.
        who: The name of the error in the reason: `urllib.HTTPError`.
        body: The body, if it is *loaded* already: bytes, text or a parsed dict. Read only for a 400, where by RFC 8628
            it may say that a login is still pending, and give the `interval` between polls.
        seconds_first: Whether Retry-After outranks its kin in milliseconds.

    Source: RFC 9110 15 and 10.2.3, RFC 6585 4, RFC 8470 5.2, RFC 8628 3.5.

    >>> judge_status(503, {"Retry-After": "7"}, wall=float).retry_after
    7.0
    >>> judge_status(404, None, wall=float).reason
    'HTTP 404'
    >>> judge_status(200, None, wall=float) is None
    True
    """
    number = whole(status)
    if number is None or not 300 <= number <= 599:
        return None
    given = headers
    headers = picked(headers)
    if type(headers) is Picked and not headers:
        headers = None
    hint = None if headers is None else from_headers(headers, now_of(wall), seconds_first)
    if hint is None and number in _LIMITED:
        hint = from_limits(picked(given, LIMITS))
    if number == 400 and body is not None:
        state, interval = _oauth(body)
        if state is not None:
            return _LOGIN.because(f"{who} 400 {state}", interval if hint is None else hint, backoff=poll(state))
    asked = should_retry(headers)
    if asked is not None and number >= 400:
        return _as_asked(number, asked, hint, who)
    if hint is None:
        return _plain(number, who)
    return _hinted(number, hint, who)


def judge_response(
    response: Any, wall: Callable[[], float], *, who: str, seconds_first: bool = False
) -> Classification | None:
    """Judge a response object of any client by its `status_code` or `status`, its headers, and a loaded body.

    `None` for an object without a status in 300..599. Does not read from the network, and leaves streams alone.
    """
    status = whole(probe(response, "status_code"))
    if status is None:
        status = whole(probe(response, "status"))
    body = loaded_body(response) if status == 400 else None
    headers = probe(response, "headers")
    return judge_status(status, headers, wall, who=who, body=body, seconds_first=seconds_first)


def loaded_body(response: Any) -> Any:
    """Return the body of a response if it is in memory already; `None` for a stream, which may block."""
    for name in ("_content", "_body"):  # requests, httpx; aiohttp, urllib3: their public names would read
        body = probe(response, name)
        if is_a(body, (bytes, str)):
            return body
    return None


def row_of(status: int) -> Row:
    """Return the row of a status in 300..599."""
    return _BY_STATUS.get(str(status)) or _BY_STATUS[f"{status // 100}xx"]


def _plain(number: int, who: str) -> Classification:
    found = _cache.get((who, number))
    if found is None:
        found = row_of(number).because(f"{who} {number}")
        remember(_cache, (who, number), found)
    return found


def _hinted(number: int, hint: float, who: str) -> Classification:
    row = row_of(number)
    if number < 400 or number in _FIRM:
        return _plain(number, who)
    if row.verdict is TRANSIENT:
        return (_TOLD if number == 503 else row).because(f"{who} {number}", hint)
    return _ASKED.because(f"{who} {number} with Retry-After", hint, row.applied)


def should_retry(headers: Any) -> bool | None:
    """Read `x-should-retry`, by which OpenAI's and Anthropic's servers outrank their own status."""
    value = None if headers is None else header(headers, "x-should-retry")
    if value is None and headers is not None:
        value = header(headers, "stripe-should-retry")
    if value is None:
        return None
    return {"true": True, "false": False}.get((text_of(value) or "").lower())


def _as_asked(number: int, again: bool, hint: float | None, who: str) -> Classification:
    applied = row_of(number).applied
    if again:
        return _TRUE.because(f"{who} {number} [x-should-retry: true]", hint, applied)
    # The server's word on a retry tells no more of the failed attempt: a 500 may have been applied all the same.
    return _FALSE.because(f"{who} {number} [x-should-retry: false]", None, applied)


def now_of(wall: Callable[[], float]) -> float | None:
    """Read a wall clock, in seconds since the epoch; `None` when it raises."""
    try:
        return float(wall())
    except Exception:  # a user's clock; without it only dates are ignored
        return None


def _oauth(body: Any) -> tuple[str | None, float | None]:
    """Return the `error` of a small JSON object if it means a pending login, and its `interval`."""
    try:
        if is_a(body, (bytes, str)):
            if len(body) > 10_000 or not any(word in body for word in _PENDING_IN[is_a(body, bytes)]):
                return None, None  # spares the parser for the most common errors
            from json import loads

            body = loads(body)
        state = dict.get(body, "error")
        if type(state) is str and state in _PENDING:
            return state, retry_after(dict.get(body, "interval"), None)
    except Exception:  # not JSON, nested without end, or not an object
        pass
    return None, None
