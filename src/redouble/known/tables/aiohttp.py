"""Floor 2. aiohttp's client: answers by status, failed connections by the OSError that they carry, the others by class.

Never by `code`, which warns, nor by the status of a cause: the errors of aiohttp's parser carry a 400 that no server
sent.
"""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.error_text import first_text
from redouble.known.http_status import judge_status
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer, as_applied, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.words import BY_STATUS, beneath, number_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "aiohttp client reference, hierarchy of exceptions"
_CONNECTOR = "aiohttp/connector.py"
_CLIENT = "aiohttp/client.py, _request"
_ARES = {1: "ENODATA", 3: "ESERVFAIL", 4: "ENOTFOUND", 6: "EREFUSED", 11: "ECONNREFUSED", 12: "ETIMEOUT", 15: "ENOMEM"}
"""The numbers of c-ares, which aiohttp prefers where aiodns is installed; found beneath ClientConnectorDNSError."""

_as_beneath = beneath().read


def read_response_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read an answer by its status: also for a page that came where JSON was wanted (`ContentTypeError`).

    aiohttp sets status 400 on input that its parser refuses, and 0 or 200 on other errors: those are not answers.
    """
    cause = probe(error, "__cause__")
    invented = _defined_in(cause, "aiohttp.http_exceptions")
    if invented and "chunk size" in str(probe(cause, "message")):
        return rows["chunk size"].because(f"{named(error)} [chunk size]")
    found = None
    if not invented:
        found = judge_status(probe(error, "status"), probe(error, "headers"), known.wall, who=named(error))
    return rows[""].because(named(error) + (" [not HTTP]" if invented else "")) if found is None else found


def read_tunnel_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read the proxy's answer to CONNECT: the request itself was not sent."""
    found = read_response_error(error, known, rows)
    return None if found is None else as_applied(found, False)


def read_connection_error(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read a broken connection, unless the user closed the connector."""
    if first_text(error).startswith("Connector is closed"):
        return rows["Connector is closed"].because(f"{named(error)} [connector closed]")
    return _as_beneath(error, known, rows)


def read_payload_error(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read an answer that was cut, or one whose encoding is damaged or not installed here."""
    cause = probe(error, "__cause__")
    if _defined_in(cause, "aiohttp.http_exceptions") and probe(type(cause), "__name__") == "ContentEncodingError":
        return answer(error, rows["ContentEncodingError"])
    return answer(error, rows[""])


def _defined_in(error: Any, module: str) -> bool:
    return bool(probe(type(error), "__module__") == module)


_CUT = (TRANSIENT, PERHAPS, _EXC, "the answer was cut")
_NOT_HTTP = (PERMANENT, PERHAPS, _EXC, "the answer is not HTTP, or not as requested", "")
_CHUNK = (*_CUT, ("chunk size",))

TABLE: Table = client(
    "aiohttp",
    by_class(
        (TRANSIENT, SURELY_NOT, _CLIENT, "nothing was sent", "ConnectionTimeoutError"),
        (TRANSIENT, PERHAPS, _EXC, "the server may have done it", "ServerTimeoutError SocketTimeoutError"),
        (
            TRANSIENT,
            PERHAPS,
            _EXC,
            "the connection broke: the server may have done it",
            "ServerDisconnectedError ServerConnectionError ClientConnectionResetError UploadAbortedError",
        ),
        (PERMANENT, SURELY_NOT, _EXC, "the certificate is not the one that was pinned", "ServerFingerprintMismatch"),
        (PERMANENT, SURELY_NOT, _CONNECTOR, "a certificate that was refused", "ClientConnectorCertificateError"),
        (PERMANENT, SURELY_NOT, _EXC, "a mistake in the call: nothing was sent", "InvalidURL NonHttpUrlClientError"),
        (PERMANENT, SURELY_NOT, _EXC, "redirects to nowhere, or without end", "RedirectClientError TooManyRedirects"),
        (PERMANENT, PERHAPS, _EXC, "a message of another type than was asked for", "WSMessageTypeError"),
    ),
    beneath("os_error")(
        (
            TRANSIENT,
            SURELY_NOT,
            _CONNECTOR,
            "as the OSError that it carries: nothing was sent",
            "ClientConnectorError",
        ),
        (PERMANENT, SURELY_NOT, _CONNECTOR, "as the error that it carries", "ClientSSLError ClientConnectorSSLError"),
        (
            PERMANENT,
            SURELY_NOT,
            _CONNECTOR + "; policy",
            "as the look-up says; else as no such name",
            "ClientConnectorDNSError",
        ),
    ),
    beneath()((TRANSIENT, PERHAPS, _CLIENT, "as the OSError beneath it", "ClientOSError")),
    by(read_connection_error).of(
        "ClientConnectionError",
        (TRANSIENT, PERHAPS, _EXC, "as the error beneath it", ""),
        (PERMANENT, SURELY_NOT, _CONNECTOR, "a mistake in the calls", ("Connector is closed",)),
    ),
    by(read_payload_error).of(
        "ClientPayloadError",
        (*_CUT, ""),
        (PERMANENT, PERHAPS, _EXC, "an answer that cannot be decoded", "ContentEncodingError"),
    ),
    by(read_response_error).of(
        "ClientResponseError",
        (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers, if it was sent", BY_STATUS),
        _NOT_HTTP,
        _CHUNK,
    ),
    by(read_tunnel_error).of(
        "ClientHttpProxyError",
        (TRANSIENT, SURELY_NOT, _CONNECTOR, "by the status that the proxy gave to CONNECT", BY_STATUS),
        _NOT_HTTP,
        _CHUNK,
    ),
) + client(
    "aiodns",
    number_at("args.0", names=_ARES).of(
        "DNSError",
        (
            TRANSIENT,
            SURELY_NOT,
            "ares_strerror(3)",
            "the name server has no answer for the moment",
            "ESERVFAIL EREFUSED",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            "ares_strerror(3)",
            "the name server cannot be reached",
            "ECONNREFUSED ETIMEOUT ENOMEM",
        ),
        (PERMANENT, SURELY_NOT, "ares_strerror(3); policy", "no such name", "ENODATA ENOTFOUND"),
    ),
)
