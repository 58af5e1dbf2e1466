"""Floor 2. httpx, httpx2 and the httpcore beneath each: by class; where a class hides the root, by what lies beneath.

httpcore ends with `raise exc from None`, so the root of a ConnectError is only in a suppressed context.
"""

from __future__ import annotations

from redouble.known.http_status import judge_response, row_of
from redouble.known.roots import wrapper, wrappers
from redouble.known.rows import PERMANENT, TRANSIENT, Row, as_applied, by_class, first_text, named, probe
from redouble.known.urllib3_errors import status_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Reader, Table

_EXC = "httpx documentation, exceptions"
_OUTER = ("httpx", "httpx2")
_INNER = ("httpcore", "httpcore2")


def _rows(
    verdict: Any, applied: bool, source: str, note: str, names: str, packages: tuple[str, ...] = _OUTER + _INNER
) -> tuple[Row, ...]:
    return tuple(
        Row(package, name, "", verdict, applied, source, note) for package in packages for name in names.split()
    )


_PLAIN = (
    *_rows(TRANSIENT, False, _EXC, "nothing was sent", "ConnectTimeout PoolTimeout"),
    *_rows(TRANSIENT, True, _EXC, "the server may have done it", "ReadTimeout WriteTimeout TimeoutException"),
    *_rows(TRANSIENT, True, _EXC, "the connection could not be closed in good order", "CloseError", _OUTER),
    *_rows(
        TRANSIENT, False, "httpcore, _sync/connection_pool.py", "to be tried again", "ConnectionNotAvailable", _INNER
    ),
    *_rows(PERMANENT, False, _EXC, "a mistake in the call: nothing was sent", "UnsupportedProtocol LocalProtocolError"),
    *_rows(PERMANENT, False, _EXC, "a mistake in the call: nothing was sent", "InvalidURL CookieConflict", _OUTER),
    *_rows(PERMANENT, False, _EXC, "redirects that do not end", "TooManyRedirects", _OUTER),
    *_rows(PERMANENT, True, _EXC, "an answer that cannot be decoded", "DecodingError", _OUTER),
    *_rows(PERMANENT, True, _EXC, "a mistake in the calls", "StreamError", _OUTER),
    *_rows(PERMANENT, True, "httpx2/_sse.py", "the answer is no event stream", "SSEError", ("httpx2", "httpx_sse")),
)
_CONNECTING = _rows(TRANSIENT, False, _EXC, "as the error beneath it: nothing was sent", "ConnectError")
_IN_FLIGHT = _rows(TRANSIENT, True, _EXC, "as the error beneath it", "NetworkError ReadError WriteError")
_CUT = _rows(TRANSIENT, True, _EXC, "the server hung up, or broke the protocol", "RemoteProtocolError")
_NOT_HTTP = tuple(
    Row(row.package, row.name, "illegal status line", PERMANENT, True, "h11; policy", "the port does not speak HTTP")
    for row in _CUT
)
_PROXY = _rows(TRANSIENT, False, "httpcore, http_proxy.py", "no way through the proxy", "ProxyError")
_OBJECTION = "by the status that the proxy gave to CONNECT, or by what a SOCKS proxy objects to"
_PROXY_SAYS_NO = tuple(
    Row(row.package, row.name, "by its text", PERMANENT, False, "httpcore, http_proxy.py, socks_proxy.py", _OBJECTION)
    for row in _PROXY
)
_STATUS = tuple(
    Row(package, "HTTPStatusError", "by status", TRANSIENT, True, "RFC 9110 15", "by its status and headers")
    for package in _OUTER
)
ROWS: tuple[Row, ...] = (
    *_PLAIN,
    *_CONNECTING,
    *_IN_FLIGHT,
    *_CUT,
    *_NOT_HTTP,
    *_PROXY,
    *_PROXY_SAYS_NO,
    *_STATUS,
)

_ILLEGAL = (
    "illegal status line",
    "illegal request line",  # what h11 says of an answer too, when its first byte is no text: a TLS server's
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


def read_status_error(error: Any, known: Asking) -> Classification | None:
    """An answer that `raise_for_status` did not like."""
    return judge_response(probe(error, "response"), known.wall, who=named(error))


def _text(error: Any) -> str:
    """The text of an error; httpcore's own errors carry h11's error in its place."""
    args = probe(error, "args")
    return first_text(error) or first_text(args[0] if type(args) is tuple and args else None)


def _remote_protocol_reader(cut: Row, not_http: Row) -> Reader:
    """By h11's text: what speaks something else on this port will go on doing so; a server that hung up may not.

    The classes beneath are h11's and h2's, which the tables do not know: an inner ValueError must not decide.
    """
    plain = by_class((cut,))[cut.package, cut.name]

    def read(error: Any, known: Asking) -> Classification | None:
        if _text(error).startswith(_ILLEGAL):
            return not_http.because(f"{named(error)} [not HTTP]")
        return plain(error, known)

    return read


def _proxy_reader(row: Row, says_no: Row) -> Reader:
    """By the text that httpcore writes: `407 Proxy Authentication Required`, or what a SOCKS proxy objects to."""
    below = wrapper(row)

    def read(error: Any, known: Asking) -> Classification | None:
        text = first_text(error)
        status = status_in(text, "")
        if status is not None:
            return as_applied(row_of(status).because(f"{named(error)} {status} for CONNECT"), False)
        if text.startswith(_SOCKS):
            return says_no.because(named(error))
        return below(error, known)

    return read


TABLE: Table = {
    **by_class(_PLAIN),
    **wrappers(_CONNECTING),
    **wrappers(_IN_FLIGHT),
    **{(cut.package, cut.name): _remote_protocol_reader(cut, no) for cut, no in zip(_CUT, _NOT_HTTP, strict=True)},
    **{(row.package, row.name): _proxy_reader(row, no) for row, no in zip(_PROXY, _PROXY_SAYS_NO, strict=True)},
    **{(row.package, row.name): read_status_error for row in _STATUS},
}
