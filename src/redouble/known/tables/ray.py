"""Floor 2. Ray: errors of the cluster, by class; exceptions of the user's tasks are not among them."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client

_EXC = "ray/exceptions.py"

TABLE: Table = client(
    "ray",
    by_class(
        (
            TRANSIENT,
            PERHAPS,
            _EXC,
            "the worker or its node died",
            "WorkerCrashedError NodeDiedError LocalRayletDiedError",
        ),
        (TRANSIENT, PERHAPS, _EXC, "the node ran out of memory: a task may fit on another", "OutOfMemoryError"),
        (TRANSIENT, SURELY_NOT, _EXC, "no room for objects for now", "ObjectStoreFullError"),
        (TRANSIENT, SURELY_NOT, _EXC, "the actor has too much to do", "PendingCallsLimitExceeded"),
        (TRANSIENT, PERHAPS, _EXC, "the actor cannot be reached for now", "ActorUnavailableError"),
        (TRANSIENT, PERHAPS, _EXC, "the task goes on", "GetTimeoutError ObjectFetchTimedOutError"),
        (PERMANENT, PERHAPS, _EXC, "somebody must make room", "OutOfDiskError"),
    ),
)
