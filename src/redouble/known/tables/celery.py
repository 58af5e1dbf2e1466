"""Floor 2. celery, and billiard beneath it: results that did not arrive in time, workers that were lost."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, TRANSIENT
from redouble.known.table import Table, base, by_class, client

_CELERY = "celery/exceptions.py"
_BILLIARD = "billiard/exceptions.py"

TABLE: Table = client(
    "celery",
    by_class(
        (TRANSIENT, PERHAPS, _CELERY, "waited for in vain; the task goes on", "TimeoutError"),
        (TRANSIENT, PERHAPS, _CELERY, "the store of results failed", "BackendStoreError BackendGetMetaError"),
    ),
    base("celery")((PERMANENT, PERHAPS, _CELERY, "misuse, or the task's own end", "CeleryError TaskError")),
) + client(
    "billiard",
    by_class(
        (TRANSIENT, PERHAPS, _BILLIARD, "a worker was lost at work, or had too little time", "WorkerLostError"),
        (TRANSIENT, PERHAPS, _BILLIARD, "a limit of time of the worker's", "SoftTimeLimitExceeded TimeLimitExceeded"),
    ),
)
