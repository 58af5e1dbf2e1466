"""Floor 2. websockets: closed connections by the code in `rcvd` (`code` itself warns), and failed handshakes.

A server that refused the handshake got no message; it may have acted on one sent before a connection ended.
"""

from __future__ import annotations

from redouble.core.raw import probe, whole
from redouble.known.http_status import judge_status
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer, as_applied, named
from redouble.known.table import Table, by, by_class, client
from redouble.known.words import as_carried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_CODES = "RFC 6455 7.4.1, IANA WebSocket close codes"
_EXC = "websockets/exceptions.py"
_HANDSHAKE = "websockets/client.py, process_exception"
_MANY = 256
"""The most headers that are read; websockets itself takes 128."""


def read_closed(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read a closed connection by the code received, else by the code sent, if that tells of a fault."""
    code = whole(probe(probe(error, "rcvd"), "code"))
    if code is not None:
        return answer(error, rows.get(str(code)) or rows["other"])
    sent = whole(probe(probe(error, "sent"), "code"))
    row = None if sent is None else rows.get(str(sent))
    # 1000 was sent and never answered: the connection was lost while it was being closed.
    return answer(error, row if row is not None and row.verdict is PERMANENT and sent != 1000 else rows["1006"])


def read_status(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a handshake, or a proxy's CONNECT, that got another status."""
    answered = probe(error, "response")
    answered = error if answered is None else answered
    headers = _as_dict(probe(answered, "headers"))
    found = judge_status(probe(answered, "status_code"), headers, known.wall, who=named(error))
    return answer(error, rows[""]) if found is None else as_applied(found, False)


def _as_dict(headers: Any) -> Any:
    """Return the headers as a plain dict, the first of each name: websockets' own raises and catches for each miss."""
    try:
        pairs = [pair for _, pair in zip(range(_MANY), headers.raw_items(), strict=False)]
        return dict(reversed(pairs))
    except Exception:  # missing, or not such an object
        return headers


TABLE: Table = client(
    "websockets",
    by(read_closed).of(
        "ConnectionClosed",
        (
            TRANSIENT,
            PERHAPS,
            _CODES,
            "going away: a server that restarts, although the class says ConnectionClosedOK",
            "1001",
        ),
        (TRANSIENT, PERHAPS, _CODES, "the connection was lost without a word", "1006"),
        (
            TRANSIENT,
            PERHAPS,
            _CODES,
            "an error or restart of the server, or of one behind it",
            "1011 1012 1013 1014",
        ),
        (PERMANENT, PERHAPS, _CODES, "the normal end", "1000 1005"),
        (PERMANENT, PERHAPS, _CODES, "the message is not acceptable", "1002 1003 1007 1008 1009 1010"),
        (PERMANENT, SURELY_NOT, _CODES, "TLS could not come about", "1015"),
        (
            PERMANENT,
            PERHAPS,
            _CODES + "; policy",
            "3000 to 4999, defined by the application, and any other",
            "other",
        ),
    ),
    by(read_status)(
        (
            PERMANENT,
            SURELY_NOT,
            _HANDSHAKE,
            "by its status; with none of 300 or more",
            "InvalidStatus InvalidStatusCode InvalidProxyStatus",
        ),
    ),
    as_carried("__cause__", unsent=True)(
        (
            PERMANENT,
            SURELY_NOT,
            _HANDSHAKE,
            "unless its cause is known, such as an EOFError",
            "InvalidMessage ProxyError",
        ),
    ),
    by_class(
        (PERMANENT, PERHAPS, _EXC, "a frame that breaks the protocol", "ProtocolError"),
        (PERMANENT, PERHAPS, _EXC, "", "PayloadTooBig"),
        (PERMANENT, SURELY_NOT, _HANDSHAKE, "the server does not speak WebSocket", "InvalidHandshake"),
        (PERMANENT, SURELY_NOT, _EXC, "misuse, or a bad URI or proxy", "WebSocketException"),
    ),
)
