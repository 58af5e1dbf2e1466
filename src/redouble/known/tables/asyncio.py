"""Floor 2. asyncio's streams that end too early, and its queues."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client

_DOCS = "asyncio streams documentation"
_CUT = "the connection ended before the answer was complete: the peer may have done it"

TABLE: Table = client(
    "asyncio",
    by_class(
        (TRANSIENT, PERHAPS, _DOCS, _CUT, "IncompleteReadError"),
        (TRANSIENT, SURELY_NOT, "asyncio queues documentation", "others fill or empty it", "QueueFull QueueEmpty"),
        (PERMANENT, PERHAPS, _DOCS, "a separator further away than the limit", "LimitOverrunError"),
    ),
)
