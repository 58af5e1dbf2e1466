"""Floor 2. urllib3: by class, and by what lies beneath where a class stands for several things."""

from __future__ import annotations

from redouble.known.http_status import row_of
from redouble.known.roots import wrapper, wrappers
from redouble.known.rows import PERMANENT, TRANSIENT, Row, as_applied, by_class, first_text, is_a, named, probe
from redouble.known.tls import telling_handshakes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_EXC = "urllib3/exceptions.py"
_POOL = "urllib3/connectionpool.py, urlopen"


def _rows(verdict: Any, applied: bool, source: str, note: str, names: str) -> tuple[Row, ...]:
    return tuple(Row("urllib3", name, "", verdict, applied, source, note) for name in names.split())


_PLAIN = (
    *_rows(TRANSIENT, False, _EXC, "no connection was made: nothing was sent", "ConnectTimeoutError"),
    *_rows(TRANSIENT, False, _EXC, "the pool is in use; nothing was sent", "EmptyPoolError"),
    *_rows(TRANSIENT, True, _EXC, "the server may have done it", "ReadTimeoutError TimeoutError"),
    *_rows(TRANSIENT, True, _EXC, "the answer was cut", "IncompleteRead InvalidChunkLength"),
    *_rows(PERMANENT, True, _EXC, "an answer that cannot be decoded", "DecodeError HeaderParsingError"),
    *_rows(
        PERMANENT,
        True,
        _EXC,
        "a mistake in the calls, after the answer",
        "ResponseNotChunked BodyNotHttplibCompatible FullPoolError",
    ),
    *_rows(
        PERMANENT,
        False,
        _EXC,
        "a mistake in the calls or in the settings",
        "ClosedPoolError HostChangedError LocationValueError TimeoutStateError InvalidHeader UnrewindableBodyError"
        " ProxySchemeUnsupported CertificateError",
    ),
)
_NEW = Row("urllib3", "NewConnectionError", "", TRANSIENT, False, _EXC, "no connection was made: nothing was sent")
_NAME = Row(
    "urllib3",
    "NameResolutionError",
    "",
    PERMANENT,
    False,
    _EXC + "; policy",
    "as the look-up says; else as no such name",
)
_PROTOCOL = Row("urllib3", "ProtocolError", "", TRANSIENT, True, _POOL, "the connection broke, as the error beneath it")
_MAX = Row("urllib3", "MaxRetryError", "", TRANSIENT, True, "urllib3/util/retry.py", "as its reason; retried already")
_TLS = Row("urllib3", "SSLError", "", PERMANENT, False, _POOL, "as the error beneath it; else as a certificate")
_PROXY = Row("urllib3", "ProxyError", "", TRANSIENT, False, _POOL, "as the error beneath it: no way through the proxy")
_REFUSED = Row(
    "urllib3",
    "ProxyError",
    "Tunnel connection failed",
    TRANSIENT,
    False,
    "http.client, _tunnel",
    "as the proxy's status",
)
_STATUSES = Row(
    "urllib3", "ResponseError", "too many N error responses", TRANSIENT, True, "urllib3/util/retry.py", "as HTTP N"
)
_REDIRECTS = Row("urllib3", "ResponseError", "", PERMANENT, False, "urllib3/util/retry.py", "too many redirects")
ROWS: tuple[Row, ...] = (*_PLAIN, _NEW, _NAME, _PROTOCOL, _MAX, _TLS, _PROXY, _REFUSED, _STATUSES, _REDIRECTS)

_read_protocol = wrapper(_PROTOCOL)
_read_tls = wrapper(_TLS)
_read_proxy = wrapper(_PROXY, "original_error")


def read_protocol_error(error: Any, known: Asking) -> Classification | None:
    """In flight, unless a refused connection lies beneath: adapters for unix sockets connect while they send."""
    found = _read_protocol(error, known)
    args = probe(error, "args")
    if found is not None and type(args) is tuple and any(is_a(each, ConnectionRefusedError) for each in args[:3]):
        return as_applied(found, False)
    return found


def read_tls_error(error: Any, known: Asking) -> Classification | None:
    """From the handshake, so surely not applied, only where the peer hung up and no cause was set.

    urllib3's `urlopen` wraps without a cause, also what goes wrong while it waits for the answer (a record that cannot
    be decrypted; an end of file Python's `ssl` hides there); its `HTTPResponse._error_catcher` wraps with one.
    """
    found = _read_tls(error, known)
    if found is None or found.verdict is not TRANSIENT:
        return found
    args = probe(error, "args")
    inner = args[0] if type(args) is tuple and args else None
    hung_up = "SSLEOFError" in (type(inner).__name__, type(probe(error, "__context__")).__name__)
    return as_applied(found, is_a(probe(error, "__cause__"), Exception) or not hung_up)


def read_proxy_error(error: Any, known: Asking) -> Classification | None:
    """No way through a proxy: as the error beneath, or as the status that the proxy gave to CONNECT."""
    status = tunnel_status(probe(error, "original_error"))
    if status is None:
        return _read_proxy(error, known)
    found = row_of(status).because(f"{named(error)} {status} for CONNECT")
    return as_applied(found, False)


def tunnel_status(error: Any) -> int | None:
    """The status in `OSError("Tunnel connection failed: 407 Proxy Authentication Required")`, as http.client words it."""
    return status_in(first_text(error) if is_a(error, OSError) else "", "Tunnel connection failed: ")


def status_in(text: str, before: str) -> int | None:
    """The status code of an error, 300 to 599, that stands in `text` right behind `before`."""
    if text.startswith(before):
        digits = text[len(before) : len(before) + 4].partition(" ")[0]
        if len(digits) == 3 and digits.isascii() and digits.isdigit() and "300" <= digits <= "599":
            return int(digits)
    return None


def read_response_error(error: Any, _: Asking) -> Classification:
    """Why urllib3's own retries ended: the user's list of statuses says that these may pass; redirects do not."""
    status = status_in(first_text(error), "too many ")
    if status is None:
        return _REDIRECTS.because(named(error))
    return as_applied(_STATUSES.because(f"{named(error)} {status}"), row_of(status).applied)


TABLE: Table = {
    **by_class(_PLAIN),
    **telling_handshakes(by_class(_PLAIN), ("urllib3", "ReadTimeoutError")),
    **wrappers((_NEW,)),
    **wrappers((_NAME,), "_reason"),
    **wrappers((_MAX,), "reason", as_inner=True),
    ("urllib3", "ProtocolError"): read_protocol_error,
    ("urllib3", "SSLError"): read_tls_error,
    ("urllib3", "ProxyError"): read_proxy_error,
    ("urllib3", "ResponseError"): read_response_error,
}
