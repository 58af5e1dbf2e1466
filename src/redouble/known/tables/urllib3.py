"""Floor 2. urllib3: by class, and by the error beneath where a class stands for several conditions."""

from __future__ import annotations

from redouble.core.raw import is_a, probe
from redouble.known.error_text import first_text
from redouble.known.http_status import row_of
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, as_applied, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.words import as_beneath, beneath, handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "urllib3/exceptions.py"
_POOL = "urllib3/connectionpool.py, urlopen"
_RETRY = "urllib3/util/retry.py"

_as_beneath = beneath().read
_as_original = beneath("original_error").read


def read_protocol_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read an error in flight, unless a refused connection is beneath: a unix socket connects while it sends."""
    found = _as_beneath(error, known, rows)
    args = probe(error, "args")
    if found is not None and type(args) is tuple and any(is_a(each, ConnectionRefusedError) for each in args[:3]):
        return as_applied(found, False)
    return found


def read_tls_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read a TLS error: surely not applied, as in a handshake, only where the peer hung up and no cause was set.

    urllib3's `urlopen` wraps without a cause, even errors while it waits for the answer (a record that cannot be
    decrypted; an end of file Python's `ssl` hides there); its `HTTPResponse._error_catcher` wraps with one.
    """
    found = _as_beneath(error, known, rows)
    if found is None or found.verdict is not TRANSIENT:
        return found
    args = probe(error, "args")
    inner = args[0] if type(args) is tuple and args else None
    hung_up = "SSLEOFError" in (type(inner).__name__, type(probe(error, "__context__")).__name__)
    return as_applied(found, is_a(probe(error, "__cause__"), Exception) or not hung_up)


def read_proxy_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read a proxy's failure as the error beneath, or as the status that the proxy gave to CONNECT."""
    status = tunnel_status(probe(error, "original_error"))
    if status is None:
        return _as_original(error, known, rows)
    return as_applied(row_of(status).because(f"{named(error)} {status} for CONNECT"), False)


def tunnel_status(error: Any) -> int | None:
    """Return the status in `OSError("Tunnel connection failed: 407 Proxy Authentication Required")` of http.client."""
    return status_in(first_text(error) if is_a(error, OSError) else "", "Tunnel connection failed: ")


def status_in(text: str, before: str) -> int | None:
    """Return the status code of an error, 300 to 599, right behind `before` in `text`."""
    if text.startswith(before):
        digits = text[len(before) : len(before) + 4].partition(" ")[0]
        if len(digits) == 3 and digits.isascii() and digits.isdigit() and "300" <= digits <= "599":
            return int(digits)
    return None


def read_response_error(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read the end of urllib3's own retries: the user's list of statuses says that these may pass; redirects do not."""
    status = status_in(first_text(error), "too many ")
    if status is None:
        return rows[""].because(named(error))
    found = rows["too many N error responses"].because(f"{named(error)} {status}")
    return as_applied(found, row_of(status).applied)


TABLE: Table = client(
    "urllib3",
    by_class(
        (TRANSIENT, SURELY_NOT, _EXC, "no connection was made: nothing was sent", "ConnectTimeoutError"),
        (TRANSIENT, SURELY_NOT, _EXC, "the pool is in use; nothing was sent", "EmptyPoolError"),
        (TRANSIENT, PERHAPS, _EXC, "the server may have done it", "TimeoutError"),
        (TRANSIENT, PERHAPS, _EXC, "the answer was cut", "IncompleteRead InvalidChunkLength"),
        (PERMANENT, PERHAPS, _EXC, "an answer that cannot be decoded", "DecodeError HeaderParsingError"),
        (
            PERMANENT,
            PERHAPS,
            _EXC,
            "a mistake in the calls, after the answer",
            "ResponseNotChunked BodyNotHttplibCompatible FullPoolError",
        ),
        (
            PERMANENT,
            SURELY_NOT,
            _EXC,
            "a mistake in the calls or in the settings",
            "ClosedPoolError HostChangedError LocationValueError TimeoutStateError InvalidHeader UnrewindableBodyError"
            " ProxySchemeUnsupported CertificateError",
        ),
    ),
    handshake((TRANSIENT, PERHAPS, _EXC, "the server may have done it", "ReadTimeoutError")),
    beneath()((TRANSIENT, SURELY_NOT, _EXC, "no connection was made: nothing was sent", "NewConnectionError")),
    beneath("_reason")(
        (PERMANENT, SURELY_NOT, _EXC + "; policy", "as the look-up says; else as no such name", "NameResolutionError"),
    ),
    as_beneath("reason")((TRANSIENT, PERHAPS, _RETRY, "as its reason; retried already", "MaxRetryError")),
    by(read_protocol_error)(
        (TRANSIENT, PERHAPS, _POOL, "the connection broke, as the error beneath it", "ProtocolError")
    ),
    by(read_tls_error)((PERMANENT, SURELY_NOT, _POOL, "as the error beneath it; else as a certificate", "SSLError")),
    by(read_proxy_error).of(
        "ProxyError",
        (TRANSIENT, SURELY_NOT, _POOL, "as the error beneath it: no way through the proxy", ""),
        (
            TRANSIENT,
            SURELY_NOT,
            "http.client, _tunnel",
            "as the proxy's status",
            ("Tunnel connection failed",),
        ),
    ),
    by(read_response_error).of(
        "ResponseError",
        (TRANSIENT, PERHAPS, _RETRY, "as HTTP N", ("too many N error responses",)),
        (PERMANENT, SURELY_NOT, _RETRY, "too many redirects", ""),
    ),
)
