"""Floor 2. The SDKs of OpenAI and Anthropic, which are made by the same generator and stand on httpx2.

Their errors carry the response; `x-should-retry` outranks the status, and an error code in the body outranks a 429 that
waiting does not cure. An error in the middle of a stream comes with the 200 of the stream, or without any response.
"""

from __future__ import annotations

from redouble.core.hints import LIMITS, WANTED, picked
from redouble.core.verdict import Classification, Verdict
from redouble.known.http_status import (
    judge_response,
    judge_status,
    loaded_body,
    poll,
    row_of,
    should_retry,
)
from redouble.known.roots import wrapper
from redouble.known.rows import (
    PERMANENT,
    TRANSIENT,
    Row,
    as_applied,
    by_class,
    coded,
    is_a,
    named,
    probe,
    shown_code,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Reader, Table

_SDKS = ("openai", "anthropic")
_POLICY = "_base_client.py, _should_retry"
_EXC = "_exceptions.py"


def _rows(
    verdict: Any, applied: bool, source: str, note: str, names: str, packages: tuple[str, ...] = _SDKS
) -> tuple[Row, ...]:
    return tuple(
        Row(package, name, "", verdict, applied, f"{package}/{source}", note)
        for package in packages
        for name in names.split()
    )


_PLAIN = (
    *_rows(PERMANENT, False, _EXC, "a mistake in the settings, or in the calls", "OpenAIError", ("openai",)),
    *_rows(PERMANENT, False, _EXC, "a mistake in the settings, or in the calls", "AnthropicError", ("anthropic",)),
    *_rows(PERMANENT, True, _EXC, "an answer of another shape than was agreed", "APIResponseValidationError"),
    *_rows(PERMANENT, True, _EXC, "the whole answer is there", "LengthFinishReasonError", ("openai",)),
    *_rows(PERMANENT, True, _EXC, "the answer was withheld", "ContentFilterFinishReasonError", ("openai",)),
    *_rows(PERMANENT, False, _EXC, "a webhook that somebody else sent", "InvalidWebhookSignatureError", ("openai",)),
    *_rows(
        TRANSIENT, True, _EXC, "messages were lost with the connection", "WebSocketConnectionClosedError", ("openai",)
    ),
    *_rows(
        TRANSIENT, False, _EXC, "the queue is full until the connection is back", "WebSocketQueueFullError", ("openai",)
    ),
    *_rows(PERMANENT, False, _EXC, "no credentials", "CredentialsError", ("anthropic",)),
    *_rows(TRANSIENT, True, _EXC, "raised to ask for another try", "RetryableError", ("anthropic",)),
)
_CONNECTION = _rows(TRANSIENT, True, "_base_client.py, request", "as the httpx2 error beneath it", "APIConnectionError")
_STATUS = tuple(
    Row(package, "APIStatusError", "by status", TRANSIENT, True, f"RFC 9110 15, {package}/{_POLICY}", "and its headers")
    for package in _SDKS
)
_LOCKED = tuple(
    Row(package, "APIStatusError", "409", TRANSIENT, False, f"{package}/{_POLICY}", "a lock that timed out")
    for package in _SDKS
)
_SPENT = (
    *coded(
        "openai",
        "APIStatusError",
        (
            (
                PERMANENT,
                False,
                "OpenAI documentation, error codes",
                "a 429 that waiting does not cure",
                "insufficient_quota",
            ),
        ),
    ),
    *coded(
        "anthropic",
        "APIStatusError",
        (
            (
                PERMANENT,
                False,
                "anthropic/types/shared",
                "a 429 that waiting does not cure",
                "contract_spend_limit_reached enforced_spend_limit_reached",
            ),
        ),
    ),
)
_IN_STREAM = tuple(
    Row(package, "APIError", "by type", TRANSIENT, True, f"{package}/_streaming.py", "as the status that the type has")
    for package in _SDKS
)
_ODD = tuple(
    Row(package, "APIError", "", PERMANENT, True, f"{package}/_streaming.py", "an error event of an unknown type")
    for package in _SDKS
)
_NO_TOKEN = tuple(
    Row(package, name, "", PERMANENT, False, source, "without a status: a mistake in the settings")
    for package, name, source in (
        ("openai", "SubjectTokenProviderError", "openai/auth"),
        ("anthropic", "WorkloadIdentityError", "anthropic/lib/credentials/_workload.py"),
    )
)
_EXCHANGE = Row(
    "anthropic",
    "WorkloadIdentityError",
    "by status",
    TRANSIENT,
    False,
    "RFC 9110 15, anthropic/lib/credentials/_workload.py",
    "the exchange of a token failed",
)
_SUBJECT = Row(
    "openai",
    "SubjectTokenProviderError",
    "by status",
    TRANSIENT,
    True,
    "RFC 9110 15, openai/auth",
    "no token was given",
)
_LOGIN = Row(
    "openai", "OAuthError", "authorization_pending slow_down", Verdict.PENDING, False, "RFC 8628 3.5", "else by status"
)
ROWS: tuple[Row, ...] = (
    *_PLAIN,
    *_CONNECTION,
    *_STATUS,
    *_LOCKED,
    *_SPENT,
    *_IN_STREAM,
    *_ODD,
    _EXCHANGE,
    *_NO_TOKEN,
    _SUBJECT,
    _LOGIN,
)

_BY_SPENT = {row.code: row for row in _SPENT}
_WANTED = WANTED | LIMITS
_TYPES = {
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
    "overloaded_error": 529,
    "service_unavailable_error": 503,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "timeout_error": 504,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
}
"""The types of errors in the middle of a stream, where no status can follow (Anthropic API documentation, errors)."""


def read_status_error(error: Any, known: Asking) -> Classification | None:
    """An answer of 400 or more, or an error event in a stream that began with 200."""
    who = named(error)
    response = probe(error, "response")
    status = whole(probe(response, "status_code"))
    headers = picked(probe(response, "headers"), _WANTED)
    body = loaded_body(response) if status == 400 else None
    found = judge_status(status, headers, known.wall, who=who, body=body)
    if found is None:
        return _by_type(error)
    if found.verdict is Verdict.PENDING or should_retry(headers) is not None:
        return found
    if status == 429:
        spent = _spent(error)
        return found if spent is None else spent.because(f"{who} 429 [{spent.code}]")
    if status == 409:
        return _own(_LOCKED, error).because(f"{who} 409", found.retry_after)
    return found


def read_api_error(error: Any, _: Asking) -> Classification:
    """An error event in a stream, which the SDK raises without a response."""
    return _by_type(error)


def _by_type(error: Any) -> Classification:
    """By the type or the code in the body; the stream had begun, so that the request has been at work."""
    body = _mapping(probe(error, "body"))
    inner = _mapping(body.get("error")) or body
    for word in (inner.get("code"), inner.get("type")):
        if type(word) is str:
            if word in _BY_SPENT:
                return _BY_SPENT[word].because(f"{named(error)}{shown_code(word)}", applied=True)
            if word in _TYPES:
                return row_of(_TYPES[word]).because(f"{named(error)}{shown_code(word)} in a stream", applied=True)
    return _own(_ODD, error).because(named(error))


def _spent(error: Any) -> Row | None:
    """OpenAI's `code`, Anthropic's `error.details.error_code`; whichever is there."""
    for code in (probe(error, "error_code"), probe(error, "code"), probe(error, "type")):
        if type(code) is str and code in _BY_SPENT:
            return _BY_SPENT[code]
    return None


def _mapping(value: Any) -> dict[Any, Any]:
    return value if type(value) is dict else {}


def _own(rows: tuple[Row, ...], error: Any) -> Row:
    """The row of two that is of the error's own SDK."""
    return rows[named(error).startswith("anthropic.")]


def read_oauth_error(error: Any, known: Asking) -> Classification | None:
    """A login: pending as RFC 8628 says, else by its status."""
    word = probe(error, "error")
    if type(word) is str and word in ("authorization_pending", "slow_down"):
        return _LOGIN.because(f"{named(error)} {word}", backoff=poll(word))
    return read_status_error(error, known)


def read_exchange_error(error: Any, known: Asking) -> Classification | None:
    """A token that was not given: by the status of who should have given it. The request itself was not sent."""
    response = probe(error, "response")
    found = judge_response(error if response is None else response, known.wall, who=named(error))
    return _own(_NO_TOKEN, error).because(named(error)) if found is None else as_applied(found, False)


def _connection_reader(row: Row) -> Reader:
    """Anthropic wraps whatever was raised: a host that cannot be (`UnicodeError`) will not be next time either."""
    below = wrapper(row, as_inner=True)

    def read(error: Any, known: Asking) -> Classification | None:
        cause = probe(error, "__cause__")
        if is_a(cause, ValueError) and type(cause).__module__ == "builtins":
            return Classification(PERMANENT, None, False, None, f"{named(cause)} under {named(error)}")
        return below(error, known)

    return read


TABLE: Table = {
    **by_class(_PLAIN),
    **{(row.package, row.name): _connection_reader(row) for row in _CONNECTION},
    **{(row.package, row.name): read_status_error for row in _STATUS},
    **{(row.package, row.name): read_api_error for row in _IN_STREAM},
    ("openai", "OAuthError"): read_oauth_error,
    ("openai", "SubjectTokenProviderError"): read_exchange_error,
    ("anthropic", "WorkloadIdentityError"): read_exchange_error,
}
