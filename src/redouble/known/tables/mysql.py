"""Floor 2. MySQL and MariaDB: PyMySQL, mysqlclient, Connector/Python, asyncmy and mariadb, by the error number.

The number comes before the SQLSTATE: a lock wait is HY000, and too many connections are a syntax error (42000).
"""

from __future__ import annotations

from redouble.core.raw import probe, whole
from redouble.known.error_text import any_in, said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer, rows_of
from redouble.known.table import Table, by, client
from redouble.known.underlying import firm_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_SERVER = "MySQL server error reference"
_CLIENT = "MySQL client error reference"
_MARIADB = "MariaDB error codes"
_INNODB = "MySQL manual, InnoDB error handling"
_TIDB = "TiDB documentation, error codes"
_CONNECTOR = "mysql/connector/errors.py"

_BY_TEXT: dict[int, tuple[tuple[str, tuple[str, ...]], ...]] = {
    2013: (("2013 in the handshake", ("reading initial communication packet", "reading authorization packet")),),
    1226: (("1226 max_user_connections", ("'max_user_connections'",)),),
    1047: (("1047 WSREP", ("WSREP",)),),
    # Connector/Python's own use of a number of the server's: the text tells it from a query that took too long.
    3024: (("3024 Read Operation timed out", ("The Read Operation timed out", "The Write Operation timed out")),),
    -1: (("pool exhausted", ("pool exhausted",)), ("not available", ("MySQL Connection not available",))),
}
"""The numbers that have another meaning with one of these words in the text; -1 where there is no number."""


def read(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read an error of any driver for MySQL or MariaDB."""
    number = _number(error)
    for code, marks in _BY_TEXT.get(number, ()):
        if any_in(said(error), *marks):
            return answer(error, rows[code])
    if number in (2002, 2003):
        found = firm_root(error, known)
        if found is not None:
            return found
    row = rows.get(str(number))
    return answer(error, rows[_by_state(error)] if row is None else row)


def _number(error: Any) -> int:
    """Return the number: the first argument, or `errno`, which is not a system errno here."""
    args = probe(error, "args")
    number = whole(args[0]) if type(args) is tuple and args else None
    number = whole(probe(error, "errno")) if number is None else number
    return -1 if number is None else number


def _by_state(error: Any) -> str:
    state = probe(error, "sqlstate")
    return "SQLSTATE 40001" if type(state) is str and state == "40001" else "other"


_NUMBERS = rows_of(
    "mysql",
    "number",
    (
        (TRANSIENT, SURELY_NOT, _INNODB, "a deadlock: the transaction was rolled back, repeat all of it", "1213"),
        (TRANSIENT, SURELY_NOT, _INNODB, "a lock wait: by default only the statement was rolled back", "1205"),
        (TRANSIENT, SURELY_NOT, _SERVER, "too many connections", "1040 1203"),
        (TRANSIENT, SURELY_NOT, _SERVER, "no memory or no thread for the moment", "1037 1041 1135"),
        (TRANSIENT, SURELY_NOT, _SERVER, "XA: the branch was rolled back, by a timeout or a deadlock", "1613 1614"),
        (TRANSIENT, SURELY_NOT, _SERVER, "the table changed: prepare, or begin, again", "1412 1615"),
        (TRANSIENT, SURELY_NOT, _SERVER, "too many transactions; a temporary error of a storage engine", "1637 1297"),
        (
            TRANSIENT,
            SURELY_NOT,
            _SERVER,
            "a lock could not be had: NOWAIT, aborted, user-level",
            "3572 1689 3058 3132 3133",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _SERVER,
            "group replication rolled it back; the server is not available",
            "3101 3168",
        ),
        (TRANSIENT, SURELY_NOT, f"{_SERVER}; {_MARIADB}", "the row changed since it was read", "1020"),
        (
            TRANSIENT,
            SURELY_NOT,
            _SERVER,
            "it was idle for too long, and disconnected before this statement",
            "4031",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _CLIENT,
            "no connection came about; transient unless the name or TLS is wrong",
            "2002 2003",
        ),
        (TRANSIENT, PERHAPS, _CLIENT, "the connection is gone, the server may have done it", "2006 2013 2055"),
        (TRANSIENT, PERHAPS, _SERVER, "shutting down, or the session was killed", "1053 1927 3169"),
        (
            TRANSIENT,
            PERHAPS,
            _SERVER,
            "the network failed, or the connection was aborted",
            "1152 1158 1159 1160 1161 1184",
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _TIDB,
            "a conflict, a changed schema, or a store that is busy",
            "8005 8022 8028 9003 9007",
        ),
        (TRANSIENT, PERHAPS, _TIDB, "a store or a region did not answer", "9001 9002 9005"),
        (
            PERMANENT,
            SURELY_NOT,
            _SERVER,
            "the user is unknown, or lacks the permission",
            "1044 1045 1130 1142 1143 1227 1698",
        ),
        (PERMANENT, SURELY_NOT, _SERVER, "this host is blocked until somebody clears it", "1129"),
        (
            PERMANENT,
            SURELY_NOT,
            _SERVER,
            "the table, column or database does not exist",
            "1046 1049 1051 1054 1146 1305",
        ),
        (
            PERMANENT,
            SURELY_NOT,
            _SERVER,
            "a constraint, or data that do not fit",
            "1048 1062 1216 1217 1264 1406 1451 1452",
        ),
        (PERMANENT, SURELY_NOT, _SERVER, "a syntax error", "1064 1149"),
        (
            PERMANENT,
            SURELY_NOT,
            _SERVER + "; policy",
            "a query that took too long or was killed",
            "1317 1969 3024",
        ),
        (
            PERMANENT,
            SURELY_NOT,
            _SERVER + "; policy",
            "read-only; after a failover only a new connection helps",
            "1290 1792 1836",
        ),
        (PERMANENT, SURELY_NOT, _SERVER + "; policy", "the account's hourly limit is used up", "1226"),
        (PERMANENT, PERHAPS, _SERVER, "an error while committing", "1180"),
        (
            PERMANENT,
            SURELY_NOT,
            _CLIENT,
            "an unknown host, another protocol, TLS that cannot come about",
            "2005 2007 2012 2026",
        ),
        (PERMANENT, SURELY_NOT, _CLIENT, "no way to log in", "2054 2059 2061"),
        (
            PERMANENT,
            PERHAPS,
            _CLIENT,
            "commands out of order, a broken packet: misuse, or another protocol",
            "2014 2027",
        ),
        (PERMANENT, SURELY_NOT, "PyMySQL, connections.py", "used after it was closed", "0"),
        (TRANSIENT, SURELY_NOT, _SERVER, "where the number is not known", ("SQLSTATE 40001",)),
        (TRANSIENT, SURELY_NOT, _CLIENT, "lost before anything was asked", ("2013 in the handshake",)),
        (TRANSIENT, SURELY_NOT, _SERVER, "too many connections of this user", ("1226 max_user_connections",)),
        (
            TRANSIENT,
            SURELY_NOT,
            "Galera documentation",
            "a node that is not (yet) in the cluster",
            ("1047 WSREP",),
        ),
        (TRANSIENT, SURELY_NOT, "Connector/Python, pooling.py", "its own pool", ("pool exhausted",)),
        (
            TRANSIENT,
            PERHAPS,
            _CONNECTOR,
            "Connector/Python's own timeout, under a number of the server's",
            ("3024 Read Operation timed out",),
        ),
        (
            TRANSIENT,
            PERHAPS,
            _CONNECTOR,
            "the connection is gone, or was closed before",
            ("not available",),
        ),
        (PERMANENT, SURELY_NOT, _SERVER + "; policy", "the server refused the statement", "other"),
    ),
)

TABLE: Table = client("pymysql MySQLdb asyncmy", by(read).of("MySQLError", *_NUMBERS)) + client(
    "mysql mariadb", by(read).of("Error", *_NUMBERS)
)
