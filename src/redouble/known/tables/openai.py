"""Floor 2. The SDKs of OpenAI and Anthropic, which are made by the same generator and stand on httpx2.

Their errors carry the response; `x-should-retry` outranks the status, and an error code in the body outranks a 429 that
waiting does not cure. An error in the middle of a stream comes with the 200 of the stream, or without any response.
"""

from __future__ import annotations

from redouble.core.hints import LIMITS, WANTED, picked
from redouble.core.raw import is_a, probe, whole
from redouble.core.verdict import Classification
from redouble.known.http_status import (
    judge_response,
    judge_status,
    loaded_body,
    poll,
    row_of,
    should_retry,
)
from redouble.known.row import (
    PENDING,
    PERHAPS,
    PERMANENT,
    SURELY_NOT,
    TRANSIENT,
    Row,
    as_applied,
    named,
    shown_code,
)
from redouble.known.table import Part, Table, by, by_class, client
from redouble.known.words import BY_STATUS, as_beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.row import Asking
    from redouble.known.table import Rows

_WANTED = WANTED | LIMITS
_WORKLOAD = "anthropic/lib/credentials/_workload.py"
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
_SPENT = ("insufficient_quota", "contract_spend_limit_reached", "enforced_spend_limit_reached")
"""The codes of a 429 that waiting does not cure."""
_as_beneath = as_beneath().read


def read_status_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read an answer of 400 or more, or an error event in a stream that began with 200."""
    who = named(error)
    response = probe(error, "response")
    status = whole(probe(response, "status_code"))
    headers = picked(probe(response, "headers"), _WANTED)
    body = loaded_body(response) if status == 400 else None
    found = judge_status(status, headers, known.wall, who=who, body=body)
    if found is None:
        return read_api_error(error, known, rows)
    if found.verdict is PENDING or should_retry(headers) is not None:
        return found
    if status == 429:
        spent = _spent(error, rows)
        return found if spent is None else spent.because(f"{who} 429 [{spent.code}]")
    if status == 409:
        return rows["409"].because(f"{who} 409", found.retry_after)
    return found


def read_api_error(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an error event in a stream by the type or the code in the body: the server had begun the request."""
    body = _mapping(probe(error, "body"))
    inner = _mapping(body.get("error")) or body
    for word in (inner.get("code"), inner.get("type")):
        if type(word) is str:
            if word in _SPENT and word in rows:
                return rows[word].because(f"{named(error)}{shown_code(word)}", applied=True)
            if word in _TYPES:
                return row_of(_TYPES[word]).because(f"{named(error)}{shown_code(word)} in a stream", applied=True)
    return rows["an unknown type"].because(named(error))


def _spent(error: Any, rows: Rows) -> Row | None:
    """Return OpenAI's `code` or Anthropic's `error.details.error_code`."""
    for code in (probe(error, "error_code"), probe(error, "code"), probe(error, "type")):
        if type(code) is str and code in _SPENT and code in rows:
            return rows[code]
    return None


def _mapping(value: Any) -> dict[Any, Any]:
    return value if type(value) is dict else {}


def read_oauth_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read a login: pending as RFC 8628 says, else by its status."""
    word = probe(error, "error")
    if type(word) is str and word in ("authorization_pending", "slow_down"):
        return rows["authorization_pending slow_down"].because(f"{named(error)} {word}", backoff=poll(word))
    return read_status_error(error, known, rows)


def read_exchange_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read a refused token by the status of the token endpoint. The request itself was not sent."""
    response = probe(error, "response")
    found = judge_response(error if response is None else response, known.wall, who=named(error))
    return rows[""].because(named(error)) if found is None else as_applied(found, False)


def read_connection_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read a connection error. Anthropic wraps any error: an impossible host name (`UnicodeError`) is permanent."""
    cause = probe(error, "__cause__")
    if is_a(cause, ValueError) and type(cause).__module__ == "builtins":
        return rows["a ValueError"].because(f"{named(cause)} under {named(error)}")
    return _as_beneath(error, known, rows)


def sdk(name: str, *spent: Any) -> tuple[Part, ...]:
    """Return the table's parts for an SDK made by this generator; `spent`: its groups of a permanent 429."""
    exc, policy = f"{name}/_exceptions.py", f"{name}/_base_client.py, _should_retry"
    streaming = f"{name}/_streaming.py"
    statuses = (
        (TRANSIENT, PERHAPS, f"RFC 9110 15, {policy}", "and its headers", BY_STATUS),
        (TRANSIENT, SURELY_NOT, policy, "a lock that timed out", "409"),
        *spent,
        (PERMANENT, PERHAPS, streaming, "an error event of an unknown type", ("an unknown type",)),
    )
    return (
        by_class((PERMANENT, PERHAPS, exc, "an answer of another shape than was agreed", "APIResponseValidationError")),
        by(read_connection_error).of(
            "APIConnectionError",
            (TRANSIENT, PERHAPS, f"{name}/_base_client.py, request", "as the httpx error beneath it", ""),
            (PERMANENT, SURELY_NOT, f"{name}/_base_client.py, request", "a host that cannot be", ("a ValueError",)),
        ),
        by(read_status_error).of("APIStatusError", *statuses),
        by(read_api_error).of(
            "APIError",
            (TRANSIENT, PERHAPS, streaming, "as the status that the type has", ("by type",)),
            *spent,
            (PERMANENT, PERHAPS, streaming, "an error event of an unknown type", ("an unknown type",)),
        ),
        by(read_oauth_error).of(
            "OAuthError",
            (PENDING, SURELY_NOT, "RFC 8628 3.5", "else by status", ("authorization_pending slow_down",)),
            *statuses,
        ),
    )


_EXC = "openai/_exceptions.py"
_SUBJECT = "without a status: a mistake in the settings"

TABLE: Table = client(
    "openai",
    *sdk(
        "openai",
        (PERMANENT, SURELY_NOT, "OpenAI documentation, error codes", "a 429 that waiting does not cure", _SPENT[:1]),
    ),
    by_class(
        (PERMANENT, SURELY_NOT, _EXC, "a mistake in the settings, or in the calls", "OpenAIError"),
        (PERMANENT, PERHAPS, _EXC, "the whole answer is there", "LengthFinishReasonError"),
        (PERMANENT, PERHAPS, _EXC, "the answer was withheld", "ContentFilterFinishReasonError"),
        (PERMANENT, SURELY_NOT, _EXC, "a webhook that somebody else sent", "InvalidWebhookSignatureError"),
        (TRANSIENT, PERHAPS, _EXC, "messages were lost with the connection", "WebSocketConnectionClosedError"),
        (TRANSIENT, SURELY_NOT, _EXC, "the queue is full until the connection is back", "WebSocketQueueFullError"),
    ),
    by(read_exchange_error).of(
        "SubjectTokenProviderError",
        (TRANSIENT, PERHAPS, "RFC 9110 15, openai/auth", "no token was given", BY_STATUS),
        (PERMANENT, SURELY_NOT, "openai/auth", _SUBJECT, ""),
    ),
) + client(
    "anthropic",
    *sdk(
        "anthropic",
        (PERMANENT, SURELY_NOT, "anthropic/types/shared", "a 429 that waiting does not cure", _SPENT[1:]),
    ),
    by_class(
        (
            PERMANENT,
            SURELY_NOT,
            "anthropic/_exceptions.py",
            "a mistake in the settings, or in the calls",
            "AnthropicError",
        ),
        (PERMANENT, SURELY_NOT, "anthropic/_exceptions.py", "no credentials", "CredentialsError"),
        (TRANSIENT, PERHAPS, "anthropic/_exceptions.py", "raised to ask for another try", "RetryableError"),
    ),
    by(read_exchange_error).of(
        "WorkloadIdentityError",
        (TRANSIENT, SURELY_NOT, f"RFC 9110 15, {_WORKLOAD}", "the exchange of a token failed", BY_STATUS),
        (PERMANENT, SURELY_NOT, _WORKLOAD, _SUBJECT, ""),
    ),
)
