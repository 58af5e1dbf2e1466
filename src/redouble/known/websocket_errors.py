"""Floor 2. websockets: how a connection closed, by the code in `rcvd` (`code` itself warns), and why none came about.

Nothing was asked of a server that refused the handshake; a message before the end of a connection it may have heeded.
"""

from __future__ import annotations

from redouble.known.http_status import judge_status
from redouble.known.inside import answer
from redouble.known.roots import under
from redouble.known.rows import PERMANENT, TRANSIENT, Row, as_applied, by_class, coded, named, probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_CODES = "RFC 6455 7.4.1, IANA WebSocket close codes"
_EXC = "websockets/exceptions.py"
_HANDSHAKE = "websockets/client.py, process_exception"
_GROUPS = (
    (TRANSIENT, True, _CODES, "going away: a server that restarts, although the class says ConnectionClosedOK", "1001"),
    (TRANSIENT, True, _CODES, "the connection was lost without a word", "1006"),
    (TRANSIENT, True, _CODES, "an error or restart of the server, or of what is behind it", "1011 1012 1013 1014"),
    (PERMANENT, True, _CODES, "the normal end", "1000 1005"),
    (PERMANENT, True, _CODES, "what was sent is not acceptable", "1002 1003 1007 1008 1009 1010"),
    (PERMANENT, False, _CODES, "TLS could not come about", "1015"),
    (PERMANENT, True, _CODES + "; policy", "3000 to 4999 mean what the application says, and any other", "other"),
)
_CLOSED = coded("websockets", "ConnectionClosed", _GROUPS)
_BY_CODE = {int(row.code): row for row in _CLOSED if row.code != "other"}
_OTHER = _CLOSED[-1]
_LOST = _BY_CODE[1006]

_STATUS = ("InvalidStatus", "InvalidStatusCode", "InvalidProxyStatus")
_BY_CAUSE = ("InvalidMessage", "ProxyError")
_PLAIN = (
    Row("websockets", "ProtocolError", "", PERMANENT, True, _EXC, "a frame that breaks the protocol"),
    Row("websockets", "PayloadTooBig", "", PERMANENT, True, _EXC, ""),
    Row("websockets", "InvalidHandshake", "", PERMANENT, False, _HANDSHAKE, "what answers is no WebSocket server"),
    Row("websockets", "WebSocketException", "", PERMANENT, False, _EXC, "misuse, or a bad URI or proxy"),
)
_REFUSED = {
    name: Row("websockets", name, "", PERMANENT, False, _HANDSHAKE, "by its status; with none of 300 or more")
    for name in _STATUS
}
_UNREADABLE = {
    name: Row("websockets", name, "", PERMANENT, False, _HANDSHAKE, "unless its cause is known, such as an EOFError")
    for name in _BY_CAUSE
}
_MANY = 256
"""How many headers are looked at; websockets itself takes 128."""
_REFUSAL = _REFUSED["InvalidStatus"]
_NO_HTTP = _UNREADABLE["InvalidMessage"]
ROWS: tuple[Row, ...] = (*_CLOSED, *_REFUSED.values(), *_UNREADABLE.values(), *_PLAIN)


def read_closed(error: Any, _: Asking) -> Classification:
    """A connection that was closed: by the code that came, else by the one that was sent, if that tells of a fault."""
    code = whole(probe(probe(error, "rcvd"), "code"))
    if code is not None:
        return answer(error, _BY_CODE.get(code, _OTHER))
    sent = whole(probe(probe(error, "sent"), "code"))
    row = None if sent is None else _BY_CODE.get(sent)
    # 1000 was sent and never answered: the connection was lost while it was being closed.
    return answer(error, row if row is not None and row.verdict is PERMANENT and sent != 1000 else _LOST)


def read_status(error: Any, known: Asking) -> Classification:
    """A handshake, or a proxy, that was answered with another status."""
    answered = probe(error, "response")
    answered = error if answered is None else answered
    headers = _as_dict(probe(answered, "headers"))
    found = judge_status(probe(answered, "status_code"), headers, known.wall, who=named(error))
    return answer(error, _REFUSAL) if found is None else as_applied(found, False)


def _as_dict(headers: Any) -> Any:
    """The headers as a plain dict, the first of each name: websockets' own raises and catches for each that is missing."""
    try:
        pairs = [pair for _, pair in zip(range(_MANY), headers.raw_items(), strict=False)]
        return dict(reversed(pairs))
    except Exception:  # none, or not such an object
        return headers


def read_cause(error: Any, known: Asking) -> Classification:
    """A handshake without an answer that is one: the cause tells whether the server hung up or speaks something else."""
    cause = probe(error, "__cause__")
    found = None if cause is None else known.inner(cause)
    return answer(error, _NO_HTTP) if found is None else under(found, error, False)


TABLE: Table = {
    **by_class(_PLAIN),
    ("websockets", "ConnectionClosed"): read_closed,
    **{("websockets", name): read_status for name in _STATUS},
    **{("websockets", name): read_cause for name in _BY_CAUSE},
}
