"""Floor 2. gRPC: grpc and grpc.aio by status code, details and trailers.

`.code()`, `.details()` and `.trailing_metadata()` are methods, called on recognised classes alone and never trusted.
A closed port, an unknown name and a refused certificate are all UNAVAILABLE: the details, which grpc writes in English,
tell them apart.
"""

from __future__ import annotations

from redouble.core.raw import is_a, probe
from redouble.known.error_text import any_in, clipped
from redouble.known.grpc_hints import TRAILERS, pushback, retry_info
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, Row, answer, named
from redouble.known.table import Table, by, by_class, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_AIP = "AIP-194"
_STATUS = "grpc/grpc, doc/statuscodes.md"
_A6 = "gRPC proposal A6"
_GRPC = "grpc documentation"
_LIMITS = "grpc documentation, max message length"

_NO_TLS = "UNAVAILABLE, TLS"
_NO_NAME = "UNAVAILABLE, unknown name"
_NO_HTTP2 = "UNAVAILABLE, not HTTP/2"
_UNSENT = "UNAVAILABLE, not connected"
_TOO_LARGE = "RESOURCE_EXHAUSTED, too large"
_TOO_LARGE_TO_SEND = "RESOURCE_EXHAUSTED, too large to send"
_DETAILS = {
    "UNAVAILABLE": (
        (_NO_TLS, ("CERTIFICATE_VERIFY_FAILED", "SSL_ERROR_SSL", "Hostname Verification", "TSI_PROTOCOL_FAILURE")),
        (
            _NO_NAME,
            (
                "Domain name not found",
                "DNS server returned answer with no data",
                "Misformatted domain name",
                "Name or service not known",  # of the native resolver, as the next
                "nodename nor servname provided",
            ),
        ),
        # An HTTP/1 server: until 1.68 the connection ended with "OK", as if it had succeeded.
        (_NO_HTTP2, ("http1.x server", "Failed parsing HTTP/2", "last error: OK")),
        (_UNSENT, ("failed to connect to all addresses", "DNS resolution failed", "errors resolving ")),
    ),
    "RESOURCE_EXHAUSTED": (
        (_TOO_LARGE, ("SERVER: Sent message larger than max",)),  # its answer
        (_TOO_LARGE_TO_SEND, ("Sent message larger than max",)),
        (_TOO_LARGE, ("larger than max", "exceeds maximum size", "exceeds maximum length")),
    ),
}


def read(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read an RpcError; `None` for one that has no status code."""
    row = rows.get(code_of(error, method=True))
    return None if row is None else judge(error, row)


def is_rpc_error(value: Any) -> bool:
    """Return whether a value is an RpcError, by the names of its classes."""
    try:
        names = [(base.__module__.partition(".")[0], base.__name__) for base in type(value).__mro__]
    except Exception:  # a metaclass that raises
        return False
    return ("grpc", "RpcError") in names


def judge(call: Any, row: Row) -> Classification:
    """Judge an RpcError whose code has this row."""
    refined = _refined(call, row)
    if refined.verdict is PERMANENT:
        return answer(call, refined)
    trailers = _trailers(call)
    if "grpc-retry-pushback-ms" in trailers:  # outranks RetryInfo: the server speaks of this very call
        hint = pushback(trailers["grpc-retry-pushback-ms"])
        return answer(call, RPC["pushback, no retry"]) if hint is None else _hinted(call, row, RPC["pushback"], hint)
    hint = retry_info(trailers.get("grpc-status-details-bin"))
    return answer(call, refined) if hint is None else _hinted(call, row, refined, hint)


def _hinted(call: Any, row: Row, told: Row, hint: float) -> Classification:
    return told.because(f"{named(call)} [{row.code}]", hint)


def _refined(call: Any, row: Row) -> Row:
    """Return the row that the details select, where the code alone does not tell enough."""
    choices = _DETAILS.get(row.code, ())
    text = clipped(_call(call, "details")) if choices else ""
    for refined, marks in choices:
        if any_in(text, *marks):
            return RPC[refined]
    return row


def _trailers(call: Any) -> dict[str, Any]:
    """Return the trailers by name in lower case, the first of each; items that are not pairs are left out."""
    found: dict[str, Any] = {}
    metadata = _call(call, "trailing_metadata")
    try:
        if metadata:
            for _, pair in zip(range(TRAILERS), metadata, strict=False):
                if is_a(pair, tuple) and len(pair) == 2 and is_a(pair[0], str):
                    found.setdefault(str.lower(pair[0]), pair[1])
    except Exception:  # not iterable, or not to its end
        pass
    return found


def _call(error: Any, name: str) -> Any:
    """Call a method without arguments; `None` when it is missing, raises, or is a coroutine function."""
    try:
        found = getattr(error, name)()
        if type(found).__name__ == "coroutine":
            found.close()  # else Python would warn that it was never awaited
            return None
        return found
    except Exception:
        return None


def code_of(subject: Any, method: bool = False) -> str:
    """Return the name of a `grpc.StatusCode`, an enum, or of the one from an error's `code()`; else an empty text."""
    code = _call(subject, "code") if method else subject
    name = probe(code, "_name_")  # `name` is a slow property before Python 3.12
    return name if type(name) is str else ""


TABLE: Table = client(
    "grpc",
    by(read).of(
        "RpcError",
        (TRANSIENT, PERHAPS, f"{_AIP}; {_A6}; {_STATUS}", "part of the request may have been sent", "UNAVAILABLE"),
        (
            TRANSIENT,
            PERHAPS,
            f"{_STATUS}; policy",
            "of one attempt; the policy's own deadline decides",
            "DEADLINE_EXCEEDED",
        ),
        (TRANSIENT, SURELY_NOT, f"{_STATUS}; policy", "refused for want of quota or room", "RESOURCE_EXHAUSTED"),
        (TRANSIENT, SURELY_NOT, _AIP, "a conflict: repeat the whole transaction", "ABORTED"),
        (PERMANENT, PERHAPS, _AIP, "the outcome is unknown", "INTERNAL UNKNOWN DATA_LOSS CANCELLED"),
        (
            PERMANENT,
            SURELY_NOT,
            _AIP,
            "the caller is unknown, or lacks the permission",
            "UNAUTHENTICATED PERMISSION_DENIED",
        ),
        (PERMANENT, SURELY_NOT, _AIP, "the request", "INVALID_ARGUMENT NOT_FOUND OUT_OF_RANGE UNIMPLEMENTED"),
        (PERMANENT, SURELY_NOT, _AIP, "the state of the resource", "ALREADY_EXISTS FAILED_PRECONDITION"),
        (PERMANENT, PERHAPS, _STATUS, "an error with a code that says that all is well", "OK"),
        (
            TRANSIENT,
            SURELY_NOT,
            f"{_STATUS}; policy",
            "no connection came about: nothing was sent",
            (_UNSENT,),
        ),
        (PERMANENT, SURELY_NOT, f"{_STATUS}; policy", "the name does not exist", (_NO_NAME,)),
        (
            PERMANENT,
            SURELY_NOT,
            f"{_STATUS}; policy",
            "a certificate that is refused, or a port that does not speak TLS",
            (_NO_TLS,),
        ),
        (PERMANENT, SURELY_NOT, f"{_STATUS}; policy", "the server does not speak gRPC", (_NO_HTTP2,)),
        (
            PERMANENT,
            PERHAPS,
            _LIMITS,
            "a request or an answer above the limit of its receiver",
            (_TOO_LARGE,),
        ),
        (
            PERMANENT,
            SURELY_NOT,
            _LIMITS,
            "a request above the limit of the client: nothing was sent",
            (_TOO_LARGE_TO_SEND,),
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _A6,
            "grpc-retry-pushback-ms: the server declined, and says when",
            ("pushback",),
        ),
        (PERMANENT, SURELY_NOT, _A6, "negative or unparsable: do not try again", ("pushback, no retry",)),
    ),
    by_class(
        (TRANSIENT, PERHAPS, _GRPC, "waited for in vain; the call goes on", "FutureTimeoutError"),
        (PERMANENT, PERHAPS, _GRPC, "cancelled by the caller", "FutureCancelledError"),
        (PERMANENT, PERHAPS, "grpc/aio", "misuse of grpc.aio", "BaseError"),
    ),
)
RPC: Rows = TABLE.entries["grpc", "RpcError"].rows
"""The rows of an RpcError by their codes, for google-api-core as well."""
