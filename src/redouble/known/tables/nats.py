"""Floor 2. NATS: nats-py, by class; JetStream by the status in `code`."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import OTHER, number_at, text

_EXC = "nats/errors.py"
_JS = "nats/js/errors.py"

TABLE: Table = client(
    "nats",
    by_class(
        (TRANSIENT, PERHAPS, _EXC, "the server, or a subscriber, may have done it", "TimeoutError"),
        (TRANSIENT, PERHAPS, _EXC, "the connection is gone", "StaleConnectionError UnexpectedEOF"),
        (TRANSIENT, SURELY_NOT, _EXC, "no subscriber listens to this subject (yet)", "NoRespondersError"),
        (TRANSIENT, SURELY_NOT, _EXC, "no server can be reached", "NoServersError"),
        (
            TRANSIENT,
            SURELY_NOT,
            _EXC,
            "it was closed, or is between two connections: a new one helps",
            "ConnectionClosedError ConnectionDrainingError ConnectionReconnectingError",
        ),
        (TRANSIENT, SURELY_NOT, _EXC, "too much waits to be sent", "OutboundBufferLimitError"),
    ),
    number_at("code").of(
        "APIError",
        (TRANSIENT, SURELY_NOT, _JS, "no leader, or no room for now", "503"),
        (TRANSIENT, SURELY_NOT, _JS, "too many requests", "429"),
        (TRANSIENT, PERHAPS, _JS, "the server may have done it", "408 500"),
        (PERMANENT, SURELY_NOT, _JS, "the request, the stream or the consumer", OTHER),
    ),
    text().of(
        "Error",
        (
            TRANSIENT,
            SURELY_NOT,
            "nats/aio/client.py",
            "the server hung up in the handshake",
            ("nats: empty response from server",),
        ),
        (PERMANENT, SURELY_NOT, _EXC, "the subject, the payload, the rights or the settings", OTHER),
    ),
)
