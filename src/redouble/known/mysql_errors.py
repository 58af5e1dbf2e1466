"""Floor 2. MySQL and MariaDB: PyMySQL, mysqlclient, Connector/Python, asyncmy and mariadb, by the error number.

The number comes before the SQLSTATE: a lock wait is HY000, and too many connections are a syntax error (42000).
"""

from __future__ import annotations

from redouble.core.verdict import Classification
from redouble.known.inside import answer, any_in, firm_root, said
from redouble.known.rows import PERMANENT, TRANSIENT, Row, coded, probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_SERVER = "MySQL server error reference"
_CLIENT = "MySQL client error reference"
_MARIADB = "MariaDB error codes"
_INNODB = "MySQL manual, InnoDB error handling"
_TIDB = "TiDB documentation, error codes"
_GROUPS = (
    (TRANSIENT, False, _INNODB, "a deadlock: the transaction was rolled back, repeat all of it", "1213"),
    (TRANSIENT, False, _INNODB, "a lock wait: by default only the statement was rolled back", "1205"),
    (TRANSIENT, False, _SERVER, "too many connections", "1040 1203"),
    (TRANSIENT, False, _SERVER, "no memory or no thread for the moment", "1037 1041 1135"),
    (TRANSIENT, False, _SERVER, "XA: the branch was rolled back, by a timeout or a deadlock", "1613 1614"),
    (TRANSIENT, False, _SERVER, "the table changed: prepare, or begin, again", "1412 1615"),
    (TRANSIENT, False, _SERVER, "too many transactions; a temporary error of a storage engine", "1637 1297"),
    (TRANSIENT, False, _SERVER, "a lock could not be had: NOWAIT, aborted, user-level", "3572 1689 3058 3132 3133"),
    (TRANSIENT, False, _SERVER, "group replication rolled it back; the server is not available", "3101 3168"),
    (TRANSIENT, False, f"{_SERVER}; {_MARIADB}", "the row changed since it was read", "1020"),
    (TRANSIENT, False, _SERVER, "it was idle for too long, and disconnected before this statement", "4031"),
    (TRANSIENT, False, _CLIENT, "no connection came about; transient unless the name or TLS is wrong", "2002 2003"),
    (TRANSIENT, True, _CLIENT, "the connection is gone, the server may have done it", "2006 2013 2055"),
    (TRANSIENT, True, _SERVER, "shutting down, or the session was killed", "1053 1927 3169"),
    (TRANSIENT, True, _SERVER, "the network failed, or the connection was aborted", "1152 1158 1159 1160 1161 1184"),
    (TRANSIENT, False, _TIDB, "a conflict, a changed schema, or a store that is busy", "8005 8022 8028 9003 9007"),
    (TRANSIENT, True, _TIDB, "a store or a region did not answer", "9001 9002 9005"),
    (PERMANENT, False, _SERVER, "who asks is not known or not allowed", "1044 1045 1130 1142 1143 1227 1698"),
    (PERMANENT, False, _SERVER, "this host is blocked until somebody clears it", "1129"),
    (PERMANENT, False, _SERVER, "what is asked for does not exist", "1046 1049 1051 1054 1146 1305"),
    (PERMANENT, False, _SERVER, "a constraint, or data that do not fit", "1048 1062 1216 1217 1264 1406 1451 1452"),
    (PERMANENT, False, _SERVER, "a syntax error", "1064 1149"),
    (PERMANENT, False, _SERVER + "; policy", "a query that took too long or was killed", "1317 1969 3024"),
    (
        PERMANENT,
        False,
        _SERVER + "; policy",
        "read-only; after a failover only a new connection helps",
        "1290 1792 1836",
    ),
    (PERMANENT, False, _SERVER + "; policy", "what an account may do in an hour is used up", "1226"),
    (PERMANENT, True, _SERVER, "an error while committing", "1180"),
    (PERMANENT, False, _CLIENT, "an unknown host, another protocol, TLS that cannot come about", "2005 2007 2012 2026"),
    (PERMANENT, False, _CLIENT, "no way to log in", "2054 2059 2061"),
    (PERMANENT, True, _CLIENT, "commands out of order, a broken packet: misuse, or another protocol", "2014 2027"),
    (PERMANENT, False, "PyMySQL, connections.py", "used after it was closed", "0"),
)
_NUMBERS = coded("mysql", "number", _GROUPS)
_BY_NUMBER = {int(row.code): row for row in _NUMBERS}
_OTHER = Row("mysql", "number", "other", PERMANENT, False, _SERVER + "; policy", "the server refused the statement")
_SERIALIZATION = Row("mysql", "SQLSTATE", "40001", TRANSIENT, False, _SERVER, "where the number is not known")
_GREETING = Row("mysql", "number", "2013 in the handshake", TRANSIENT, False, _CLIENT, "lost before anything was asked")
_USER_FULL = Row(
    "mysql", "number", "1226 max_user_connections", TRANSIENT, False, _SERVER, "too many connections of this user"
)
_GALERA = Row(
    "mysql", "number", "1047 WSREP", TRANSIENT, False, "Galera documentation", "a node that is not (yet) in the cluster"
)
_POOL = Row("mysql", "PoolError", "pool exhausted", TRANSIENT, False, "Connector/Python, pooling.py", "its own pool")
_BY_TEXT: dict[int, tuple[Row, tuple[str, ...]]] = {
    2013: (_GREETING, ("reading initial communication packet", "reading authorization packet")),
    1226: (_USER_FULL, ("'max_user_connections'",)),
    1047: (_GALERA, ("WSREP",)),
    -1: (_POOL, ("pool exhausted",)),
}
"""The numbers that mean something else with one of these words in the text; -1 where there is no number."""
_CLASSES = (
    *(("pymysql", "MySQLError"), ("MySQLdb", "MySQLError"), ("asyncmy", "MySQLError")),
    *(("mysql", "Error"), ("mariadb", "Error")),
)
ROWS: tuple[Row, ...] = (
    *(Row(package, name, "by number", TRANSIENT, True, _SERVER, "see the numbers") for package, name in _CLASSES),
    *_NUMBERS,
    _OTHER,
    _SERIALIZATION,
    *(row for row, _ in _BY_TEXT.values()),
)


def read(error: Any, known: Asking) -> Classification:
    """An error of any driver for MySQL or MariaDB."""
    number = _number(error)
    if number in _BY_TEXT:
        row, marks = _BY_TEXT[number]
        if any_in(said(error), *marks):
            return answer(error, row)
    if number in (2002, 2003):
        found = firm_root(error, known)
        if found is not None:
            return found
    return answer(error, _BY_NUMBER.get(number) or _by_state(error))


def _number(error: Any) -> int:
    """The number: the first argument, or `errno`, which is no errno here."""
    args = probe(error, "args")
    number = whole(args[0]) if type(args) is tuple and args else None
    number = whole(probe(error, "errno")) if number is None else number
    return -1 if number is None else number


def _by_state(error: Any) -> Row:
    state = probe(error, "sqlstate")
    return _SERIALIZATION if type(state) is str and state == "40001" else _OTHER


TABLE: Table = dict.fromkeys(_CLASSES, read)
