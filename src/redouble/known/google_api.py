"""Floor 2. google-api-core and google-auth: errors that were born of HTTP, by status; those of gRPC are handed on.

The classes are the same for both, and carry a `grpc_status_code` even for HTTP (a 503 and UNAVAILABLE are one class).
What tells them apart is `response`: an HTTP response, or an RpcError. What has neither was made by hand (the error of a
long-running operation), and goes by its gRPC code where it has one, which tells more. `grpc_errors` judges all of gRPC.
"""

from __future__ import annotations

from redouble.core.hints import retry_after
from redouble.core.verdict import Classification
from redouble.known.grpc_errors import read_google
from redouble.known.http_status import judge_status, loaded_body
from redouble.known.roots import under, wrappers
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, named, probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_EXC = "google/api_core/exceptions.py"
_AUTH = "google/auth/exceptions.py"


def _rows(verdict: Any, applied: bool, source: str, note: str, names: str) -> tuple[Row, ...]:
    return tuple(Row("google", name, "", verdict, applied, source, note) for name in names.split())


_PLAIN = (
    *_rows(PERMANENT, False, _EXC, "a mistake in the call", "GoogleAPIError DuplicateCredentialArgs"),
    *_rows(PERMANENT, True, _EXC, "an upload that cannot go on", "UnseekableStreamError UploadCancelledError"),
    *_rows(TRANSIENT, True, _EXC, "an upload that came to a standstill", "TransferStalledError"),
)
_WRAPPERS = (
    *_rows(TRANSIENT, True, "google/api_core/retry", "as its cause; retried already", "RetryError"),
    *_rows(
        TRANSIENT, True, "google/auth/transport", "as the error beneath it", "TransportError TimeoutError ResponseError"
    ),
)
_CALL = Row("google", "GoogleAPICallError", "by status", TRANSIENT, True, "RFC 9110 15", "by its status and headers")
_NO_STATUS = Row("google", "GoogleAPICallError", "", PERMANENT, True, _EXC, "with neither a status nor a gRPC code")
_AUTHENTICATION = Row("google", "GoogleAuthError", "", PERMANENT, False, _AUTH, "no access token, so nothing was sent")
_RETRYABLE = Row("google", "GoogleAuthError", "retryable", TRANSIENT, False, _AUTH, "the error says so of itself")
ROWS: tuple[Row, ...] = (*_PLAIN, *_WRAPPERS, _CALL, _NO_STATUS, _AUTHENTICATION, _RETRYABLE)


def read_call_error(error: Any, known: Asking) -> Classification:
    """An answer of a Google API, over HTTP or gRPC."""
    response = probe(error, "response")
    if whole(probe(response, "status_code")) is None:
        found = read_google(error, known)
        if found is not None:
            return found
        response = None
    return _by_status(error, response, known)


def _by_status(error: Any, response: Any, known: Asking) -> Classification:
    who, status = named(error), whole(probe(error, "code"))
    body = loaded_body(response) if status == 400 else None
    found = judge_status(status, probe(response, "headers"), known.wall, who=who, body=body)
    if found is None:
        return _NO_STATUS.because(who)
    if found.verdict is TRANSIENT and found.retry_after is None:
        hint = _retry_info(probe(error, "details"))
        if hint is not None:
            return Classification(TRANSIENT, hint, found.applied, None, found.reason)
    return found


def _retry_info(details: Any) -> float | None:
    """The `retryDelay` of a google.rpc.RetryInfo, as JSON has it: `{"@type": ".../google.rpc.RetryInfo", "retryDelay": "34.5s"}`."""
    for detail in details[:16] if type(details) is list else ():
        kind = detail.get("@type") if type(detail) is dict else None
        delay = detail.get("retryDelay") if type(kind) is str and kind.endswith("/google.rpc.RetryInfo") else None
        if type(delay) is str and delay.endswith("s"):
            return retry_after(delay[:-1], None)
    return None


def read_auth_error(error: Any, known: Asking) -> Classification:
    """An access token that was not given: the request itself was not sent."""
    if probe(error, "retryable") is True:
        return _RETRYABLE.because(f"{named(error)} [retryable]")
    found = known.inner(probe(error, "__cause__"))
    return _AUTHENTICATION.because(named(error)) if found is None else under(found, error, False)


TABLE: Table = {
    **by_class(_PLAIN),
    **wrappers(_WRAPPERS, "cause", as_inner=True),
    ("google", "GoogleAPICallError"): read_call_error,
    ("google", "GoogleAuthError"): read_auth_error,
}
