"""Floor 2. Redis and Valkey: redis-py (sync and asyncio) and valkey-py, by class, prefix of the answer, and text.

AuthenticationError is a ConnectionError here; ConnectionError and TimeoutError are not the builtins. A prefix that the
parser knows is cut off the message and kept in `status_code`, a str; any other stays the first word of the text.
"""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.error_text import said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, base, by, by_class, client
from redouble.known.underlying import firm_root
from redouble.known.words import first_match, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "redis/exceptions.py"
_REDIS = "Redis documentation and server.c"
_CLUSTER = "Redis cluster specification"
_SENTINEL = "Redis Sentinel documentation"
_FULL = "max number of clients"
_CONNECTING = "nothing was asked yet, unless the client retried by itself: idempotent=False needs its own retries off"
_MARKS = {
    "settings": ("protocol must be", "Invalid RESP version", "Invalid Database", "Error setting client name", "ocsp "),
    "connecting": (" connecting to ",),
}


def read_connection_error(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a failed connection, or a lost one: both have the same class, and mostly the same text."""
    text = said(error)
    if text.startswith(_FULL):
        return answer(error, rows[_FULL])
    return firm_root(error, known) or answer(error, first_match(text, rows, _MARKS, anywhere=True) or rows[""])


def read_response_error(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read the server's refusal by the first word of its answer."""
    text = said(error)
    code = probe(error, "status_code")
    if type(code) is not str or code == "ERR":
        if text.startswith((_FULL, f"ERR {_FULL}")):
            return answer(error, rows[_FULL])
        code = text.partition(" ")[0]
    return answer(error, rows.get(code) or rows["other"])


def read_cluster(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a cluster without a reachable node: as its cause, else by the text of versions that keep none."""
    cause = probe(error, "__cause__")
    found = None if cause is None else known.inner(cause)
    return found or answer(error, first_match(said(error), rows) or rows[""])


_ANY_FULL = (TRANSIENT, SURELY_NOT, _REDIS, "the server takes no more for now", (_FULL,))

_BOTH = (
    by(read_connection_error).of(
        "ConnectionError",
        _ANY_FULL,
        (
            PERMANENT,
            SURELY_NOT,
            "redis/connection.py, redis/ocsp.py",
            "version, database, OCSP",
            "settings",
        ),
        (TRANSIENT, SURELY_NOT, _EXC, _CONNECTING, "connecting"),
        (TRANSIENT, PERHAPS, _EXC, "the connection is gone, or never came about", ""),
    ),
    text(_MARKS, anywhere=True, firm=True).of(
        "TimeoutError",
        (TRANSIENT, SURELY_NOT, "redis/connection.py", _CONNECTING, "connecting"),
        (TRANSIENT, PERHAPS, _EXC, "the server may have done it", ""),
    ),
    by(read_response_error).of(
        "ResponseError",
        _ANY_FULL,
        (TRANSIENT, SURELY_NOT, _REDIS, "starting: it loads its data", "LOADING"),
        (TRANSIENT, SURELY_NOT, _REDIS, "a script runs", "BUSY"),
        (TRANSIENT, SURELY_NOT, _CLUSTER, "a slot is on its way to another node", "TRYAGAIN"),
        (TRANSIENT, SURELY_NOT, _CLUSTER, "a cluster that heals by itself", "CLUSTERDOWN"),
        (TRANSIENT, SURELY_NOT, _REDIS, "the replica has lost its master", "MASTERDOWN"),
        (TRANSIENT, SURELY_NOT, _REDIS, "replicas return", "NOREPLICAS"),
        (
            TRANSIENT,
            SURELY_NOT,
            _REDIS + "; policy",
            "a replica after a failover; permanent if it was one before",
            "READONLY",
        ),
        (PERMANENT, SURELY_NOT, _REDIS, "the command, the data or the rights: ERR", "other"),
    ),
    by(read_cluster).of(
        "RedisClusterException ValkeyClusterException",
        (
            TRANSIENT,
            SURELY_NOT,
            "redis/cluster.py, NodesManager.initialize",
            "no node answered",
            ("Redis Cluster cannot be connected", "Valkey Cluster cannot be connected"),
        ),
        (PERMANENT, SURELY_NOT, _EXC, "misuse; as its cause means, where no node could be reached", ""),
    ),
    by_class(
        (TRANSIENT, SURELY_NOT, _REDIS, "starting: it loads its data", "BusyLoadingError"),
        (TRANSIENT, SURELY_NOT, _EXC, "no connection of its own pool is free", "MaxConnectionsError"),
        (TRANSIENT, SURELY_NOT, _SENTINEL, "a failover: no master is known for now", "MasterNotFoundError"),
        (TRANSIENT, SURELY_NOT, _SENTINEL, "no replica is known for now", "SlaveNotFoundError"),
        (TRANSIENT, SURELY_NOT, _EXC, "the LDAP service behind it fails", "ExternalAuthProviderError"),
        (PERMANENT, SURELY_NOT, _REDIS, "WRONGPASS, NOAUTH: a ConnectionError by class", "AuthenticationError"),
        (PERMANENT, SURELY_NOT, _REDIS, "", "AuthorizationError"),
        (TRANSIENT, SURELY_NOT, _REDIS, "an optimistic lock was lost: begin anew", "WatchError"),
        (TRANSIENT, SURELY_NOT, _CLUSTER, "a slot is on its way to another node", "TryAgainError"),
        (TRANSIENT, SURELY_NOT, _CLUSTER, "also MasterDownError", "ClusterDownError"),
        (TRANSIENT, SURELY_NOT, _REDIS + "; policy", "a replica after a failover", "ReadOnlyError"),
        (TRANSIENT, PERHAPS, _EXC, "too many redirections while slots were moved", "ClusterError"),
        (TRANSIENT, SURELY_NOT, _EXC, "a slot that no known node has (yet)", "SlotNotCoveredError"),
        (TRANSIENT, PERHAPS, "redis/multidb/exception.py", "a failover", "TemporaryUnavailableException"),
        (PERMANENT, SURELY_NOT, _EXC + "; policy", "not owned, or not acquired in time", "LockError"),
        (PERMANENT, PERHAPS, _EXC, "the server does not speak RESP", "InvalidResponse"),
    ),
)

TABLE: Table = (
    client("redis valkey", *_BOTH)
    + client("redis", base("redis")((PERMANENT, SURELY_NOT, _EXC, "misuse", "RedisError")))
    + client(
        "valkey",
        base("valkey")((PERMANENT, SURELY_NOT, "valkey/exceptions.py", "misuse", "ValkeyError RedisError")),
    )
)
