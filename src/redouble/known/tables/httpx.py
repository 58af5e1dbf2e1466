"""Floor 2. httpx, httpx2 and the httpcore beneath each: by class; where a class hides the root, by the error beneath.

httpcore ends with `raise exc from None`, so the root of a ConnectError is only in a suppressed context.
"""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.error_text import first_text
from redouble.known.http_status import row_of
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer, as_applied, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.tables.urllib3 import status_in
from redouble.known.words import BY_STATUS, answer_at, beneath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "httpx documentation, exceptions"
_PROXY = "httpcore, http_proxy.py"

_ILLEGAL = (
    "illegal status line",
    "illegal request line",  # h11's text also for an answer whose first byte is not text: a TLS server's
    "illegal header line",
    "no response line received",
    "Receive buffer too long",
)
_SOCKS = (
    "Invalid username/password",
    "Requested ",  # an authentication that the proxy does not offer
    "Proxy Server could not connect: Connection not allowed by ruleset",
    "Proxy Server could not connect: Command not supported",
    "Proxy Server could not connect: Address type not supported",
)
_as_beneath = beneath().read


def read_remote_protocol(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read h11's text: another protocol on this port is permanent; a server that hung up is not.

    The classes beneath are h11's and h2's, which the tables do not know: an inner ValueError must not decide.
    """
    if _text(error).startswith(_ILLEGAL):
        return rows["illegal status line"].because(f"{named(error)} [not HTTP]")
    return answer(error, rows[""])


def _text(error: Any) -> str:
    """Return the text of an error; httpcore's own errors carry h11's error in its place."""
    args = probe(error, "args")
    return first_text(error) or first_text(args[0] if type(args) is tuple and args else None)


def read_proxy(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read the text that httpcore writes: `407 Proxy Authentication Required`, or the objection of a SOCKS proxy."""
    text = first_text(error)
    status = status_in(text, "")
    if status is not None:
        return as_applied(row_of(status).because(f"{named(error)} {status} for CONNECT"), False)
    if text.startswith(_SOCKS):
        return rows["by its text"].because(named(error))
    return _as_beneath(error, known, rows)


_ALL = (
    by_class(
        (TRANSIENT, SURELY_NOT, _EXC, "nothing was sent", "ConnectTimeout PoolTimeout"),
        (TRANSIENT, PERHAPS, _EXC, "the server may have done it", "ReadTimeout WriteTimeout TimeoutException"),
        (
            PERMANENT,
            SURELY_NOT,
            _EXC,
            "a mistake in the call: nothing was sent",
            "UnsupportedProtocol LocalProtocolError",
        ),
    ),
    beneath()(
        (TRANSIENT, SURELY_NOT, _EXC, "as the error beneath it: nothing was sent", "ConnectError"),
        (TRANSIENT, PERHAPS, _EXC, "as the error beneath it", "NetworkError ReadError WriteError"),
    ),
    by(read_remote_protocol).of(
        "RemoteProtocolError",
        (TRANSIENT, PERHAPS, _EXC, "the server hung up, or broke the protocol", ""),
        (PERMANENT, PERHAPS, "h11; policy", "the port does not speak HTTP", ("illegal status line",)),
    ),
    by(read_proxy).of(
        "ProxyError",
        (TRANSIENT, SURELY_NOT, _PROXY, "no way through the proxy", ""),
        (
            PERMANENT,
            SURELY_NOT,
            "httpcore, http_proxy.py, socks_proxy.py",
            "by the status that the proxy gave to CONNECT, or by the objection of a SOCKS proxy",
            ("by its text",),
        ),
    ),
)
_SSE = by_class((PERMANENT, PERHAPS, "httpx2/_sse.py", "the answer is no event stream", "SSEError"))

TABLE: Table = (
    client(
        "httpx httpx2",
        *_ALL,
        by_class(
            (TRANSIENT, PERHAPS, _EXC, "the connection could not be closed in good order", "CloseError"),
            (PERMANENT, SURELY_NOT, _EXC, "a mistake in the call: nothing was sent", "InvalidURL CookieConflict"),
            (PERMANENT, SURELY_NOT, _EXC, "redirects that do not end", "TooManyRedirects"),
            (PERMANENT, PERHAPS, _EXC, "an answer that cannot be decoded", "DecodingError"),
            (PERMANENT, PERHAPS, _EXC, "a mistake in the calls", "StreamError"),
        ),
        answer_at("response").of(
            "HTTPStatusError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers", BY_STATUS)
        ),
    )
    + client("httpx2 httpx_sse", _SSE)
    + client(
        "httpcore httpcore2",
        *_ALL,
        by_class(
            (
                TRANSIENT,
                SURELY_NOT,
                "httpcore, _sync/connection_pool.py",
                "to be tried again",
                "ConnectionNotAvailable",
            ),
        ),
    )
)
