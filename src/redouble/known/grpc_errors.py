"""Floor 2. gRPC: grpc and grpc.aio by status code, details and trailers; and what google-api-core makes of them.

`.code()`, `.details()` and `.trailing_metadata()` are methods, called on recognised classes alone and never trusted.
A port where nothing listens, a name that does not exist and a refused certificate are all UNAVAILABLE: the details,
which grpc writes in English, tell them apart.
"""

from __future__ import annotations

from redouble.core.verdict import Classification
from redouble.known.grpc_hints import TRAILERS, pushback, retry_info
from redouble.known.inside import answer, any_in, clipped
from redouble.known.roots import under
from redouble.known.rows import PERMANENT, TRANSIENT, Row, as_applied, by_class, coded, is_a, named, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_AIP = "AIP-194"
_STATUS = "grpc/grpc, doc/statuscodes.md"
_A6 = "gRPC proposal A6"
_GRPC = "grpc documentation"
_GROUPS = (
    (TRANSIENT, True, f"{_AIP}; {_A6}; {_STATUS}", "part of the request may have been sent", "UNAVAILABLE"),
    (TRANSIENT, True, f"{_STATUS}; policy", "of one attempt; the policy's own deadline decides", "DEADLINE_EXCEEDED"),
    (TRANSIENT, False, f"{_STATUS}; policy", "refused for want of quota or room", "RESOURCE_EXHAUSTED"),
    (TRANSIENT, False, _AIP, "a conflict: repeat the whole transaction", "ABORTED"),
    (PERMANENT, True, _AIP, "nobody knows what happened", "INTERNAL UNKNOWN DATA_LOSS CANCELLED"),
    (PERMANENT, False, _AIP, "who asks is not known or not allowed", "UNAUTHENTICATED PERMISSION_DENIED"),
    (PERMANENT, False, _AIP, "the request", "INVALID_ARGUMENT NOT_FOUND OUT_OF_RANGE UNIMPLEMENTED"),
    (PERMANENT, False, _AIP, "the state of what is asked for", "ALREADY_EXISTS FAILED_PRECONDITION"),
    (PERMANENT, True, _STATUS, "an error with a code that says that all is well", "OK"),
)
_CODES = coded("grpc", "RpcError", _GROUPS)
_BY_CODE = {row.code: row for row in _CODES}


def _unavailable(code: str, verdict: Any, note: str) -> Row:
    return Row("grpc", "RpcError", f"UNAVAILABLE, {code}", verdict, False, f"{_STATUS}; policy", note)


_UNSENT = _unavailable("not connected", TRANSIENT, "no connection came about: nothing was sent")
_NO_NAME = _unavailable("unknown name", PERMANENT, "the name does not exist")
_NO_TLS = _unavailable("TLS", PERMANENT, "a certificate that is refused, or a port that does not speak TLS")
_NO_HTTP2 = _unavailable("not HTTP/2", PERMANENT, "what answers is no gRPC server")
_LIMITS = "grpc documentation, max message length"
_TOO_LARGE = Row(
    "grpc",
    "RpcError",
    "RESOURCE_EXHAUSTED, too large",
    PERMANENT,
    True,
    _LIMITS,
    "a request or an answer above the limit of its receiver",
)
_TOO_LARGE_TO_SEND = Row(
    "grpc",
    "RpcError",
    "RESOURCE_EXHAUSTED, too large to send",
    PERMANENT,
    False,
    _LIMITS,
    "a request above the limit of the client: nothing was sent",
)
_PUSHED = Row(
    "grpc", "RpcError", "pushback", TRANSIENT, False, _A6, "grpc-retry-pushback-ms: the server declined, and says when"
)
_REFUSED = Row(
    "grpc", "RpcError", "pushback, no retry", PERMANENT, False, _A6, "negative or unparsable: do not try again"
)
_NAMES = ("Name or service not known", "nodename nor servname provided")  # of the native resolver
_DETAILS = {
    "UNAVAILABLE": (
        (_NO_TLS, ("CERTIFICATE_VERIFY_FAILED", "SSL_ERROR_SSL", "Hostname Verification", "TSI_PROTOCOL_FAILURE")),
        (
            _NO_NAME,
            ("Domain name not found", "DNS server returned answer with no data", "Misformatted domain name", *_NAMES),
        ),
        (_NO_HTTP2, ("http1.x server", "Failed parsing HTTP/2")),
        (_UNSENT, ("failed to connect to all addresses", "DNS resolution failed", "errors resolving ")),
    ),
    "RESOURCE_EXHAUSTED": (
        (_TOO_LARGE, ("SERVER: Sent message larger than max",)),  # its answer
        (_TOO_LARGE_TO_SEND, ("Sent message larger than max",)),
        (_TOO_LARGE, ("larger than max", "exceeds maximum size", "exceeds maximum length")),
    ),
}

_PLAIN = (
    Row("grpc", "FutureTimeoutError", "", TRANSIENT, True, _GRPC, "waited for in vain; the call goes on"),
    Row("grpc", "FutureCancelledError", "", PERMANENT, True, _GRPC, "cancelled by the caller"),
    Row("grpc", "BaseError", "", PERMANENT, True, "grpc/aio", "misuse of grpc.aio"),
)
_GOOGLE_INTERNAL = Row(
    "google",
    "GoogleAPICallError",
    "gRPC INTERNAL",
    TRANSIENT,
    True,
    "google/api_core/retry/retry_base.py, if_transient_error",
    "against AIP-194: Google's own clients try again",
)
_GOOGLE = Row(
    "google",
    "GoogleAPICallError",
    "by gRPC code",
    TRANSIENT,
    True,
    "google/api_core/exceptions.py; policy",
    "as the RpcError beneath; google-api-core may have tried before, so that a failure may always have been applied",
)
ROWS: tuple[Row, ...] = (
    *_CODES,
    _UNSENT,
    _NO_NAME,
    _NO_TLS,
    _NO_HTTP2,
    _TOO_LARGE,
    _TOO_LARGE_TO_SEND,
    _PUSHED,
    _REFUSED,
    *_PLAIN,
    _GOOGLE_INTERNAL,
    _GOOGLE,
)


def read(error: Any, _: Asking) -> Classification | None:
    """An RpcError; `None` for one that has no status code."""
    row = _BY_CODE.get(_name_of(_call(error, "code")))
    return None if row is None else _judge(error, row)


def read_google(error: Any, _: Asking) -> Classification | None:
    """An error of google-api-core that was born of gRPC, or made by hand; `None` for a code that is not known.

    `google.api_core.exceptions` gives ABORTED the HTTP status 409, and INTERNAL and UNKNOWN both 500: the gRPC code is
    read first, from the error, then from the RpcError that it keeps as `response` and as its cause. An error of REST
    has a gRPC code by its class as well, and an HTTP response: it is not for here.
    """
    call = next((each for each in (probe(error, "response"), probe(error, "__cause__")) if _is_rpc_error(each)), error)
    name = _name_of(probe(error, "grpc_status_code")) or _name_of(_call(call, "code"))
    row = _GOOGLE_INTERNAL if name == "INTERNAL" else _BY_CODE.get(name)
    if row is None:
        return None
    found = _judge(call, row)
    applied = found.applied or found.verdict is TRANSIENT
    return as_applied(found, applied) if call is error else under(found, error, applied)


def _is_rpc_error(value: Any) -> bool:
    try:
        names = [(base.__module__.partition(".")[0], base.__name__) for base in type(value).__mro__]
    except Exception:  # a metaclass of theirs
        return False
    return ("grpc", "RpcError") in names


def _judge(call: Any, row: Row) -> Classification:
    refined = _refined(call, row)
    if refined.verdict is PERMANENT:
        return answer(call, refined)
    trailers = _trailers(call)
    if "grpc-retry-pushback-ms" in trailers:  # outranks RetryInfo: the server speaks of this very call
        hint = pushback(trailers["grpc-retry-pushback-ms"])
        return answer(call, _REFUSED) if hint is None else _hinted(call, row, _PUSHED, hint)
    hint = retry_info(trailers.get("grpc-status-details-bin"))
    return answer(call, refined) if hint is None else _hinted(call, row, refined, hint)


def _hinted(call: Any, row: Row, told: Row, hint: float) -> Classification:
    return told.because(f"{named(call)} [{row.code}]", hint)


def _refined(call: Any, row: Row) -> Row:
    """The row that the details tell, where the code alone does not tell enough."""
    choices = _DETAILS.get(row.code, ())
    text = clipped(_call(call, "details")) if choices else ""
    for refined, marks in choices:
        if any_in(text, *marks):
            return refined
    return row


def _trailers(call: Any) -> dict[str, Any]:
    """The trailers by name in lower case, the first of each; what is no pair is left out."""
    found: dict[str, Any] = {}
    metadata = _call(call, "trailing_metadata")
    try:
        if metadata:
            for _, pair in zip(range(TRAILERS), metadata, strict=False):
                if is_a(pair, tuple) and len(pair) == 2 and is_a(pair[0], str):
                    found.setdefault(str.lower(pair[0]), pair[1])
    except Exception:  # not to be iterated over, or not to its end
        pass
    return found


def _call(error: Any, name: str) -> Any:
    """What a method without arguments answers; `None` when there is none, it raises, or it is a coroutine function."""
    try:
        found = getattr(error, name)()
        if type(found).__name__ == "coroutine":
            found.close()  # else Python would warn that nobody awaited it
            return None
        return found
    except Exception:
        return None


def _name_of(code: Any) -> str:
    """The name of a `grpc.StatusCode`, an enum; empty for anything else."""
    name = probe(code, "_name_")  # `name` is a slow property before Python 3.12
    return name if type(name) is str else ""


TABLE: Table = {**by_class(_PLAIN), ("grpc", "RpcError"): read}
