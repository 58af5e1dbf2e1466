"""Floor 2. ZooKeeper: kazoo, by class."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client

_EXC = "kazoo/exceptions.py"

TABLE: Table = client(
    "kazoo",
    by_class(
        (
            TRANSIENT,
            PERHAPS,
            _EXC,
            "the connection or the session is gone: the server may have done it",
            "ConnectionLoss SessionExpiredError OperationTimeoutError SessionMovedError",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _EXC,
            "closed before, or not connected in time",
            "ConnectionClosedError KazooTimeoutError",
        ),
        (TRANSIENT, SURELY_NOT, _EXC, "somebody else holds the lock", "LockTimeout"),
        (PERMANENT, SURELY_NOT, _EXC, "the node, the rights or the arguments", "ZookeeperError KazooException"),
    ),
)
