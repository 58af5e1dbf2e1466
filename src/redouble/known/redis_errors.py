"""Floor 2. Redis and Valkey: redis-py (sync and asyncio) and valkey-py, by class, prefix of the answer, and text.

AuthenticationError is a ConnectionError here; ConnectionError and TimeoutError are not the builtins. A prefix that the
parser knows is cut off the message and kept in `status_code`, a str; any other stays the first word of the text.
"""

from __future__ import annotations

from redouble.known.inside import answer, any_in, firm_root, said
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Reader, Table

_EXC = "redis/exceptions.py"
_REDIS = "Redis documentation and server.c"
_CLUSTER = "Redis cluster specification"
_SENTINEL = "Redis Sentinel documentation"

_GONE = Row("redis", "ConnectionError", "", TRANSIENT, True, _EXC, "the connection is gone, or never came about")
_CONNECTING = "nothing was asked yet, unless the client retried by itself: idempotent=False needs its own retries off"
_UNSENT = Row("redis", "ConnectionError", "connecting", TRANSIENT, False, _EXC, _CONNECTING)
_FULL = Row(
    "redis", "ConnectionError", "max number of clients", TRANSIENT, False, _REDIS, "the server takes no more for now"
)
_SETUP = Row(
    "redis",
    "ConnectionError",
    "settings",
    PERMANENT,
    False,
    "redis/connection.py, redis/ocsp.py",
    "version, database, OCSP",
)
_SETTINGS = ("protocol must be", "Invalid RESP version", "Invalid Database", "Error setting client name", "ocsp ")
_TIMEOUT = Row("redis", "TimeoutError", "", TRANSIENT, True, _EXC, "the server may have done it")
_CONNECT_TIMEOUT = Row("redis", "TimeoutError", "connecting", TRANSIENT, False, "redis/connection.py", _CONNECTING)
_REFUSED = Row("redis", "ResponseError", "other", PERMANENT, False, _REDIS, "the command, the data or the rights: ERR")


def _prefix(code: str, source: str, note: str) -> Row:
    return Row("redis", "ResponseError", code, TRANSIENT, False, source, note)


_PREFIXES = (
    _prefix("LOADING", _REDIS, "starting: it loads its data"),
    _prefix("BUSY", _REDIS, "a script runs"),
    _prefix("TRYAGAIN", _CLUSTER, "a slot is on its way to another node"),
    _prefix("CLUSTERDOWN", _CLUSTER, "a cluster that heals by itself"),
    _prefix("MASTERDOWN", _REDIS, "the replica has lost its master"),
    _prefix("NOREPLICAS", _REDIS, "replicas return"),
    _prefix("READONLY", _REDIS + "; policy", "a replica after a failover; permanent if it was one before"),
)
_BY_PREFIX = {row.code: row for row in _PREFIXES}

_PLAIN = (
    Row("redis", "BusyLoadingError", "", TRANSIENT, False, _REDIS, "starting: it loads its data"),
    Row("redis", "MaxConnectionsError", "", TRANSIENT, False, _EXC, "no connection of its own pool is free"),
    Row("redis", "MasterNotFoundError", "", TRANSIENT, False, _SENTINEL, "a failover: no master is known for now"),
    Row("redis", "SlaveNotFoundError", "", TRANSIENT, False, _SENTINEL, "no replica is known for now"),
    Row("redis", "ExternalAuthProviderError", "", TRANSIENT, False, _EXC, "the LDAP service behind it fails"),
    Row("redis", "AuthenticationError", "", PERMANENT, False, _REDIS, "WRONGPASS, NOAUTH: a ConnectionError by class"),
    Row("redis", "AuthorizationError", "", PERMANENT, False, _REDIS, ""),
    Row("redis", "WatchError", "", TRANSIENT, False, _REDIS, "an optimistic lock was lost: begin anew"),
    Row("redis", "TryAgainError", "", TRANSIENT, False, _CLUSTER, "a slot is on its way to another node"),
    Row("redis", "ClusterDownError", "", TRANSIENT, False, _CLUSTER, "also MasterDownError"),
    Row("redis", "ReadOnlyError", "", TRANSIENT, False, _REDIS + "; policy", "a replica after a failover"),
    Row("redis", "ClusterError", "", TRANSIENT, True, _EXC, "too many redirections while slots were moved"),
    Row("redis", "SlotNotCoveredError", "", TRANSIENT, False, _EXC, "a slot that no known node has (yet)"),
    Row("redis", "TemporaryUnavailableException", "", TRANSIENT, True, "redis/multidb/exception.py", "a failover"),
    Row("redis", "LockError", "", PERMANENT, False, _EXC + "; policy", "not owned, or not acquired in time"),
    Row("redis", "InvalidResponse", "", PERMANENT, True, _EXC, "what answers does not speak RESP"),
    Row("redis", "RedisError", "", PERMANENT, False, _EXC, "misuse"),
    Row("redis", "ValkeyError", "", PERMANENT, False, "valkey/exceptions.py", "as RedisError"),
)
_CLUSTERS = ("RedisClusterException", "ValkeyClusterException")
_CLUSTER_ROWS = tuple(
    Row("redis", name, "", PERMANENT, False, _EXC, "misuse; as its cause means, where no node could be reached")
    for name in _CLUSTERS
)


def read_connection_error(error: Any, known: Asking) -> Classification:
    """No connection, or one that was lost: the same class, and mostly the same words."""
    text = said(error)
    if text.startswith("max number of clients"):
        return answer(error, _FULL)
    firm = firm_root(error, known)
    if firm is not None:
        return firm
    if any_in(text, *_SETTINGS):
        return answer(error, _SETUP)
    return answer(error, _UNSENT if any_in(text, " connecting to ") else _GONE)


def read_timeout(error: Any, known: Asking) -> Classification:
    """While connecting ("Timeout connecting to server"), or while an answer was waited for."""
    return firm_root(error, known) or answer(error, _CONNECT_TIMEOUT if " connecting to " in said(error) else _TIMEOUT)


def read_response_error(error: Any, _: Asking) -> Classification:
    """The server's refusal, by the first word of its answer."""
    text = said(error)
    code = probe(error, "status_code")
    if type(code) is not str or code == "ERR":
        if text.startswith(("max number of clients", "ERR max number of clients")):
            return answer(error, _FULL)
        code = text.partition(" ")[0]
    return answer(error, _BY_PREFIX.get(code, _REFUSED))


def _read_cluster(row: Row) -> Reader:
    def read(error: Any, known: Asking) -> Classification:
        cause = probe(error, "__cause__")
        found = None if cause is None else known.inner(cause)
        return answer(error, row) if found is None else found

    return read


def _of_both(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return rows + tuple(
        Row("valkey", row.name, row.code, row.verdict, row.applied, row.source, row.note) for row in rows
    )


_SPECIAL: dict[str, Reader] = {
    "ConnectionError": read_connection_error,
    "TimeoutError": read_timeout,
    "ResponseError": read_response_error,
    **{row.name: _read_cluster(row) for row in _CLUSTER_ROWS},
}
_ALL_PLAIN = _of_both(_PLAIN)
ROWS: tuple[Row, ...] = (
    *_of_both((_GONE, _UNSENT, _FULL, _SETUP, _TIMEOUT, _CONNECT_TIMEOUT, *_PREFIXES, _REFUSED, *_CLUSTER_ROWS)),
    *_ALL_PLAIN,
)

TABLE: Table = {
    **by_class(_ALL_PLAIN),
    **{(package, name): reader for package in ("redis", "valkey") for name, reader in _SPECIAL.items()},
}
