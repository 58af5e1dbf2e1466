"""Floor 2. aiohttp's client: answers by status, failed connections by the OSError that they carry, the others by class.

Never by `code`, which warns, nor by the status of a cause: its parser's errors carry a 400 that nobody sent.
"""

from __future__ import annotations

from redouble.known.http_status import judge_status
from redouble.known.roots import wrapper, wrappers
from redouble.known.rows import (
    PERMANENT,
    TRANSIENT,
    Row,
    as_applied,
    by_class,
    coded,
    first_text,
    named,
    probe,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Reader, Table

_EXC = "aiohttp client reference, hierarchy of exceptions"
_CONNECTOR = "aiohttp/connector.py"


def _rows(verdict: Any, applied: bool, source: str, note: str, names: str) -> tuple[Row, ...]:
    return tuple(Row("aiohttp", name, "", verdict, applied, source, note) for name in names.split())


_PLAIN = (
    *_rows(TRANSIENT, False, "aiohttp/client.py, _request", "nothing was sent", "ConnectionTimeoutError"),
    *_rows(TRANSIENT, True, _EXC, "the server may have done it", "ServerTimeoutError SocketTimeoutError"),
    *_rows(
        TRANSIENT,
        True,
        _EXC,
        "the connection broke: the server may have done it",
        "ServerDisconnectedError ServerConnectionError ClientConnectionResetError UploadAbortedError",
    ),
    *_rows(PERMANENT, False, _EXC, "the certificate is not the one that was pinned", "ServerFingerprintMismatch"),
    *_rows(PERMANENT, False, _CONNECTOR, "a certificate that was refused", "ClientConnectorCertificateError"),
    *_rows(PERMANENT, False, _EXC, "a mistake in the call: nothing was sent", "InvalidURL NonHttpUrlClientError"),
    *_rows(PERMANENT, False, _EXC, "redirects to nowhere, or without end", "RedirectClientError TooManyRedirects"),
    *_rows(PERMANENT, True, _EXC, "a message of another type than was asked for", "WSMessageTypeError"),
)
_CONNECTING = (
    *_rows(TRANSIENT, False, _CONNECTOR, "as the OSError that it carries: nothing was sent", "ClientConnectorError"),
    *_rows(PERMANENT, False, _CONNECTOR, "as the error that it carries", "ClientSSLError ClientConnectorSSLError"),
    *_rows(
        PERMANENT,
        False,
        _CONNECTOR + "; policy",
        "as the look-up says; else as no such name",
        "ClientConnectorDNSError",
    ),
)
_IN_FLIGHT = _rows(TRANSIENT, True, "aiohttp/client.py, _request", "as the OSError beneath it", "ClientOSError")
_CONNECTION = Row("aiohttp", "ClientConnectionError", "", TRANSIENT, True, _EXC, "as the error beneath it")
_CLOSED = Row(
    "aiohttp", "ClientConnectionError", "Connector is closed", PERMANENT, False, _CONNECTOR, "a mistake in the calls"
)
_PAYLOAD = Row("aiohttp", "ClientPayloadError", "", TRANSIENT, True, _EXC, "the answer was cut")
_ENCODING = Row(
    "aiohttp", "ClientPayloadError", "ContentEncodingError", PERMANENT, True, _EXC, "an answer that cannot be decoded"
)
_STATUS = Row(
    "aiohttp",
    "ClientResponseError",
    "by status",
    TRANSIENT,
    True,
    "RFC 9110 15",
    "by its status and headers, if it was sent",
)
_OTHERWISE = Row(
    "aiohttp", "ClientResponseError", "", PERMANENT, True, _EXC, "what came is no HTTP, or not what was asked for"
)
_TUNNEL = Row(
    "aiohttp",
    "ClientHttpProxyError",
    "by status",
    TRANSIENT,
    False,
    _CONNECTOR,
    "by the status that the proxy gave to CONNECT",
)

# What aiodns, which aiohttp prefers when it is installed, puts beneath ClientConnectorDNSError: c-ares' own numbers.
_ARES = {1: "ENODATA", 3: "ESERVFAIL", 4: "ENOTFOUND", 6: "EREFUSED", 11: "ECONNREFUSED", 12: "ETIMEOUT", 15: "ENOMEM"}
_ARES_ROWS = coded(
    "aiodns",
    "DNSError",
    (
        (TRANSIENT, False, "ares_strerror(3)", "the name server has no answer for the moment", "ESERVFAIL EREFUSED"),
        (TRANSIENT, False, "ares_strerror(3)", "the name server cannot be reached", "ECONNREFUSED ETIMEOUT ENOMEM"),
        (PERMANENT, False, "ares_strerror(3); policy", "no such name", "ENODATA ENOTFOUND"),
    ),
)
ROWS: tuple[Row, ...] = (
    *_PLAIN,
    *_CONNECTING,
    *_IN_FLIGHT,
    _CONNECTION,
    _CLOSED,
    _PAYLOAD,
    _ENCODING,
    _STATUS,
    _OTHERWISE,
    _TUNNEL,
    *_ARES_ROWS,
)

_read_connection = wrapper(_CONNECTION)
_read_payload: Reader = by_class((_PAYLOAD,))["aiohttp", "ClientPayloadError"]


def read_response_error(error: Any, known: Asking) -> Classification | None:
    """An answer, by its status: also of a page that came where JSON was wanted (`ContentTypeError`).

    aiohttp invents a status 400 for what its parser refuses, and 0 or 200 stand in others: those are no answers.
    """
    invented = _defined_in(probe(error, "__cause__"), "aiohttp.http_exceptions")
    found = None
    if invented and "chunk size" in str(probe(probe(error, "__cause__"), "message")):
        return _PAYLOAD.because(f"{named(error)} [chunk size]")
    if not invented:
        found = judge_status(probe(error, "status"), probe(error, "headers"), known.wall, who=named(error))
    return _OTHERWISE.because(named(error) + (" [not HTTP]" if invented else "")) if found is None else found


def read_tunnel_error(error: Any, known: Asking) -> Classification | None:
    """What the proxy said to CONNECT: the request itself was not sent."""
    found = read_response_error(error, known)
    return None if found is None else as_applied(found, False)


def read_connection_error(error: Any, known: Asking) -> Classification | None:
    """A broken connection, unless it was us who closed the connector."""
    if first_text(error).startswith("Connector is closed"):
        return _CLOSED.because(f"{named(error)} [connector closed]")
    return _read_connection(error, known)


def read_payload_error(error: Any, known: Asking) -> Classification | None:
    """An answer that was cut, or one whose encoding is damaged or not installed here."""
    cause = probe(error, "__cause__")
    if _defined_in(cause, "aiohttp.http_exceptions") and probe(type(cause), "__name__") == "ContentEncodingError":
        return _ENCODING.because(f"{named(error)} [ContentEncodingError]")
    return _read_payload(error, known)


def _defined_in(error: Any, module: str) -> bool:
    return bool(probe(type(error), "__module__") == module)


def read_ares(error: Any, _: Asking) -> Classification | None:
    """A look-up by aiodns, by the number that comes first."""
    args = probe(error, "args")
    code = _ARES.get(whole(args[0]) or 0) if type(args) is tuple and args else None
    return next((row.because(f"{named(error)} [{code}]") for row in _ARES_ROWS if row.code == code), None)


TABLE: Table = {
    **by_class(_PLAIN),
    **wrappers(_CONNECTING, "os_error"),
    **wrappers(_IN_FLIGHT),
    ("aiohttp", "ClientConnectionError"): read_connection_error,
    ("aiohttp", "ClientPayloadError"): read_payload_error,
    ("aiohttp", "ClientResponseError"): read_response_error,
    ("aiohttp", "ClientHttpProxyError"): read_tunnel_error,
    ("aiodns", "DNSError"): read_ares,
}
