"""Floor 2. websocket-client, by class; a refused handshake by its status."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import as_beneath, status_at

_EXC = "websocket/_exceptions.py"

TABLE: Table = client(
    "websocket",
    by_class(
        (TRANSIENT, PERHAPS, _EXC, "the connection is gone, or was silent", "WebSocketConnectionClosedException"),
        (TRANSIENT, PERHAPS, _EXC, "the connection is gone, or was silent", "WebSocketTimeoutException"),
        (PERMANENT, SURELY_NOT, _EXC, "the address, the proxy, or the protocol", "WebSocketException"),
    ),
    as_beneath()((PERMANENT, SURELY_NOT, _EXC, "as the resolver says", "WebSocketAddressException")),
    status_at("status_code", headers="resp_headers", unsent=True).of("WebSocketBadStatusException"),
)
