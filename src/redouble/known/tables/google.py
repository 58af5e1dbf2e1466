"""Floor 2. google-api-core and google-auth: errors of HTTP by status, errors of gRPC by code.

The classes are the same for both, and carry a `grpc_status_code` even for HTTP (a 503 and UNAVAILABLE are one class).
`response` tells them apart: an HTTP response, or an RpcError. An error without a response was made by hand (for a
long-running operation), and goes by its gRPC code where it has one, which tells more.
"""

from __future__ import annotations

from redouble.core.hints import retry_after
from redouble.core.raw import at, is_a, probe, whole
from redouble.core.verdict import Classification
from redouble.known.http_status import judge_status, loaded_body
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, Row, as_applied, named, shown_code
from redouble.known.table import Table, base, by, by_class, client
from redouble.known.tables.grpc import RPC, code_of, is_rpc_error, judge
from redouble.known.underlying import as_wrapped
from redouble.known.words import BY_STATUS, as_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "google/api_core/exceptions.py"
_AUTH = "google/auth/exceptions.py"
_REASONS = "Google Cloud documentation, error reasons"
_INTERNAL = "gRPC INTERNAL"


def read_call_error(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read an answer of a Google API, over HTTP or gRPC."""
    response = probe(error, "response")
    if whole(probe(response, "status_code")) is None:
        found = _by_grpc(error, rows)
        if found is not None:
            return found
        response = None
    return _by_status(error, response, known, rows)


def _by_grpc(error: Any, rows: Rows) -> Classification | None:
    """Read an error that came over gRPC, or was made by hand; `None` for an unknown code.

    `google.api_core.exceptions` gives ABORTED the HTTP status 409, and INTERNAL and UNKNOWN both 500: the gRPC code is
    read first, from the error, then from the RpcError that it keeps as `response` and as its cause. An error of REST
    has a gRPC code by its class as well, but an HTTP response: it is not read here.
    """
    call = next((each for each in (probe(error, "response"), probe(error, "__cause__")) if is_rpc_error(each)), error)
    name = code_of(probe(error, "grpc_status_code")) or code_of(call, method=True)
    row = rows[_INTERNAL] if name == "INTERNAL" else RPC.get(name)
    if row is None:
        return None
    found = judge(call, row)
    applied = found.applied or found.verdict is TRANSIENT
    return as_applied(found, applied) if call is error else as_wrapped(found, error, applied)


def _by_status(error: Any, response: Any, known: Asking, rows: Rows) -> Classification:
    who, status = named(error), whole(probe(error, "code"))
    body = loaded_body(response) if status == 400 else None
    found = judge_status(status, probe(response, "headers"), known.wall, who=who, body=body)
    if found is None:
        return rows[""].because(who)
    row = None if found.verdict is not PERMANENT else _reason(error, rows)
    if row is not None:
        found = row.because(f"{who} {status}{shown_code(row.code)}", found.retry_after)
    if found.verdict is TRANSIENT and found.retry_after is None:
        hint = _retry_info(probe(error, "details"))
        if hint is not None:
            return Classification(TRANSIENT, hint, found.applied, None, found.reason, row=found.row)
    return found


def read_rest_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read an answer of google-api-python-client or google-genai: `resp`, `error_details`; `response`, `details`."""
    response = next((each for name in ("resp", "response") if (each := probe(error, name)) is not None), None)
    headers = response if is_a(response, dict) else probe(response, "headers")  # httplib2's responses are dicts
    status = whole(probe(error, "status_code"))
    status = whole(probe(error, "code")) if status is None else status
    found = judge_status(status, headers, known.wall, who=named(error))
    row = None if found is None or found.verdict is not PERMANENT else _reason(error, rows)
    if found is not None and row is not None:
        found = row.because(f"{named(error)} {status}{shown_code(row.code)}", found.retry_after)
    if found is not None and found.verdict is TRANSIENT and found.retry_after is None:
        hint = _retry_info(_details(error))
        if hint is not None:
            return Classification(TRANSIENT, hint, found.applied, None, found.reason, row=found.row)
    return found


def _details(error: Any) -> Any:
    details = probe(error, "error_details") or probe(error, "details")
    return at(details, ("error", "details")) if is_a(details, dict) else details


def _reason(error: Any, rows: Rows) -> Row | None:
    """Return the row of the reason in the body: `{"errors": [{"reason": "rateLimitExceeded", ...}]}`."""
    errors = probe(error, "errors") or probe(error, "error_details")
    for each in errors[:16] if is_a(errors, list) else ():
        reason = dict.get(each, "reason") if is_a(each, dict) else None
        if type(reason) is str and reason in _TOLD:
            return rows[reason]
    return None


def _retry_info(details: Any) -> float | None:
    """Return the delay of a RetryInfo in JSON: `{"@type": ".../google.rpc.RetryInfo", "retryDelay": "34.5s"}`."""
    for detail in details[:16] if type(details) is list else ():
        kind = detail.get("@type") if type(detail) is dict else None
        delay = detail.get("retryDelay") if type(kind) is str and kind.endswith("/google.rpc.RetryInfo") else None
        if type(delay) is str and delay.endswith("s"):
            return retry_after(delay[:-1], None)
    return None


def read_auth_error(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a refused access token: the request itself was not sent."""
    if probe(error, "retryable") is True:
        return rows["retryable"].because(f"{named(error)} [retryable]")
    found = known.inner(probe(error, "__cause__"))
    return rows[""].because(named(error)) if found is None else as_wrapped(found, error, False)


_LIMITS = "rateLimitExceeded userRateLimitExceeded jobRateLimitExceeded"
_TOLD = frozenset((*_LIMITS.split(), "backendError"))
_ANSWERS = (
    (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers", BY_STATUS),
    (TRANSIENT, SURELY_NOT, _REASONS, "too many requests, told with a 403 or a 400", _LIMITS),
    (TRANSIENT, PERHAPS, _REASONS, "the backend failed, told with any status", "backendError"),
)

TABLE: Table = client(
    "google",
    base("google.api_core")((PERMANENT, SURELY_NOT, _EXC, "a mistake in the call", "GoogleAPIError")),
    by_class(
        (PERMANENT, SURELY_NOT, _EXC, "a mistake in the call", "DuplicateCredentialArgs"),
        (PERMANENT, PERHAPS, _EXC, "an upload that cannot go on", "UnseekableStreamError UploadCancelledError"),
        (TRANSIENT, PERHAPS, _EXC, "an upload that came to a standstill", "TransferStalledError"),
    ),
    as_beneath("cause")(
        (TRANSIENT, PERHAPS, "google/api_core/retry", "as its cause; retried already", "RetryError"),
        (
            TRANSIENT,
            PERHAPS,
            "google/auth/transport",
            "as the error beneath it",
            "TransportError TimeoutError ResponseError",
        ),
    ),
    by(read_call_error).of(
        "GoogleAPICallError",
        *_ANSWERS,
        (PERMANENT, PERHAPS, _EXC, "with neither a status nor a gRPC code", ""),
        (
            TRANSIENT,
            PERHAPS,
            "google/api_core/retry/retry_base.py, if_transient_error",
            "against AIP-194: Google's own clients try again",
            (_INTERNAL,),
        ),
        (
            TRANSIENT,
            PERHAPS,
            "google/api_core/exceptions.py; policy",
            "as the RpcError beneath; google-api-core may have tried before, so that a failure may always have been"
            " applied",
            ("by gRPC code",),
        ),
    ),
    by(read_auth_error).of(
        "GoogleAuthError",
        (PERMANENT, SURELY_NOT, _AUTH, "no access token, so nothing was sent", ""),
        (TRANSIENT, SURELY_NOT, _AUTH, "the error says so of itself", "retryable"),
    ),
    by(read_rest_error).of("APIError", *_ANSWERS),
) + client("googleapiclient", by(read_rest_error).of("HttpError", *_ANSWERS))
