"""Floor 2. Streams that end too early, and the plumbing of HTTP: asyncio's readers, http.client, EOFError."""

from __future__ import annotations

from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from redouble.known.rows import Table

_STREAMS = "asyncio streams documentation"
_HTTP = "http.client documentation"
_CUT = "the connection ended before the answer was complete: the peer may have done it"
_MISUSE = "a mistake in the calls, or in what is spoken on this port"


def _permanent(*names: str) -> tuple[Row, ...]:
    return tuple(Row("http", name, "", PERMANENT, True, _HTTP, _MISUSE) for name in names)


ROWS: tuple[Row, ...] = (
    Row("builtins", "EOFError", "", TRANSIENT, True, "policy", "a peer that hung up; paramiko's after the banner"),
    Row("asyncio", "IncompleteReadError", "", TRANSIENT, True, _STREAMS, _CUT),
    Row("asyncio", "LimitOverrunError", "", PERMANENT, True, _STREAMS, "a separator further away than the limit"),
    Row("http", "RemoteDisconnected", "", TRANSIENT, True, _HTTP, _CUT),
    Row("http", "IncompleteRead", "", TRANSIENT, True, _HTTP, _CUT),
    Row("http", "BadStatusLine", "", PERMANENT, True, _HTTP + "; policy", "the port does not speak HTTP"),
    *_permanent("HTTPException", "NotConnected", "InvalidURL", "UnknownProtocol", "UnknownTransferEncoding"),
    *_permanent("UnimplementedFileMode", "ImproperConnectionState", "CannotSendRequest", "CannotSendHeader"),
    *_permanent("ResponseNotReady", "LineTooLong"),
)

TABLE: Table = by_class(ROWS)
