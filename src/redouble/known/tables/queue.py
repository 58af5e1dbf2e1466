"""Floor 2. Queues, pools and futures of the standard library: queue, multiprocessing, concurrent.futures."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client

_QUEUE = "queue documentation"
_FUTURES = "concurrent.futures documentation"
_PROCESSES = "multiprocessing documentation"

TABLE: Table = (
    client(
        "queue _queue",
        by_class((TRANSIENT, SURELY_NOT, _QUEUE, "others fill or empty it", "Full Empty")),
    )
    + client(
        "multiprocessing",
        by_class(
            (TRANSIENT, PERHAPS, _PROCESSES, "waited for in vain; the work goes on", "TimeoutError"),
            (PERMANENT, PERHAPS, _PROCESSES, "a wrong key, or a buffer that is too short", "ProcessError"),
        ),
    )
    + client(
        "concurrent",
        by_class(
            (TRANSIENT, PERHAPS, _FUTURES, "waited for in vain; the work goes on", "TimeoutError"),
            (PERMANENT, PERHAPS, _FUTURES, "cancelled by the caller", "CancelledError"),
            (PERMANENT, PERHAPS, _FUTURES, "a mistake in the calls", "Error InvalidStateError"),
            (PERMANENT, PERHAPS, _FUTURES + "; policy", "the pool is of no use any more", "BrokenExecutor"),
        ),
    )
)
