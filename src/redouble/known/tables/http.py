"""Floor 2. http.client: answers that were cut, and mistakes in the calls."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, TRANSIENT
from redouble.known.table import Table, by_class, client

_DOCS = "http.client documentation"

TABLE: Table = client(
    "http",
    by_class(
        (
            TRANSIENT,
            PERHAPS,
            _DOCS,
            "the connection ended before the answer was complete: the peer may have done it",
            "RemoteDisconnected IncompleteRead",
        ),
        (PERMANENT, PERHAPS, _DOCS + "; policy", "the port does not speak HTTP", "BadStatusLine"),
        (
            PERMANENT,
            PERHAPS,
            _DOCS,
            "a mistake in the calls, or another protocol on this port",
            "HTTPException NotConnected InvalidURL UnknownProtocol UnknownTransferEncoding UnimplementedFileMode"
            " ImproperConnectionState CannotSendRequest CannotSendHeader ResponseNotReady LineTooLong",
        ),
    ),
)
