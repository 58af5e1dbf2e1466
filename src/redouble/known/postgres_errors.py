"""Floor 2. PostgreSQL: psycopg and psycopg2 by SQLSTATE, else by libpq's text; asyncpg; the pool of psycopg.

libpq keeps no SQLSTATE of a connection that did not come about, so that psycopg has nothing but a text, and what the
server said stands in it in the server's language. Every line must be known to be transient, else the error counts as
permanent: a wrong password must never look like an outage. (That a password was used proves nothing: libpq says so
for every answer of the server, too many clients included.) That there is a `pgconn` proves that nothing was done yet.
"""

from __future__ import annotations

import errno
import os

from redouble.known.inside import answer, any_in, said
from redouble.known.rows import PERMANENT, TRANSIENT, Row, as_applied, by_class, probe
from redouble.known.sqlstate import row_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_LIBPQ = "libpq, fe-connect.c and fe-misc.c"
_BACKEND = "PostgreSQL, postmaster.c and postinit.c"
_POOL = "psycopg_pool documentation"
_ASYNCPG = "asyncpg/exceptions/_base.py"


def _texts(applied: bool, source: str, note: str, *texts: str) -> tuple[Row, ...]:
    return tuple(Row("psycopg", "OperationalError", text, TRANSIENT, applied, source, note) for text in texts)


_SERVER = (
    *_texts(
        False,
        _BACKEND,
        "no connection is free",
        "sorry, too many clients already",
        "too many connections for",
        "remaining connection slots are reserved",
        "could not fork new process for connection",
    ),
    *_texts(False, _BACKEND, "starting up, shutting down, recovering", "the database system is"),
    *_texts(True, "PostgreSQL, postgres.c", "the server ended the session", "terminating connection"),
    *_texts(False, "pgbouncer, client.c", "no connection is free", "no more connections allowed", "query_wait_timeout"),
)
"""How a server's own words begin after `FATAL:`."""

_CLIENT = (
    *_texts(False, _LIBPQ, "nothing listens (yet)", "Connection refused"),
    *_texts(False, _LIBPQ, "no way to the host", "No route to host", "Network is unreachable", "Host is down"),
    *_texts(False, _LIBPQ, "the queue of a unix socket is full", "Resource temporarily unavailable"),
    *_texts(False, "getaddrinfo(3)", "the name server has no answer", "Temporary failure in name resolution"),
    *_texts(False, _LIBPQ, "connect_timeout", "timeout expired"),
    *_texts(False, "psycopg, _connection_base.py", "it was closed before: a new one helps", "the connection is closed"),
    *_texts(
        True,
        _LIBPQ,
        "the connection is gone",
        "server closed the connection unexpectedly",
        "SSL connection has been closed unexpectedly",
        "SSL SYSCALL error: EOF detected",
        "unexpected eof while reading",
        "bad record mac",
        "Connection reset by peer",
        "Connection timed out",
        "Software caused connection abort",
        "Broken pipe",
        "connection socket closed",
    ),
)
"""How the lines of libpq and psycopg end."""
_ENDS = tuple(row.code for row in _CLIENT)

_LOCAL = Row(
    "psycopg", "OperationalError", "as the system says it", TRANSIENT, True, _LIBPQ, "the same errors in its language"
)
_NUMBERS = (
    *(errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT),
    *(errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE),
)
_UNKNOWN = Row(
    "psycopg",
    "OperationalError",
    "any other text",
    PERMANENT,
    False,
    "policy",
    "a password, a name, a certificate, or the language of the server: no SQLSTATE tells",
)
_CLASSES = (
    Row("psycopg_pool", "PoolTimeout", "", TRANSIENT, False, _POOL, "no connection of the pool was free in time"),
    Row("psycopg_pool", "TooManyRequests", "", TRANSIENT, False, _POOL, "too many wait for the pool"),
    Row("psycopg_pool", "PoolClosed", "", PERMANENT, False, _POOL, "misuse"),
    Row("asyncpg", "InvalidCachedStatementError", "", TRANSIENT, False, _ASYNCPG, "it is prepared anew"),
    Row("asyncpg", "OutdatedSchemaCacheError", "", TRANSIENT, True, _ASYNCPG, "the schema is read anew; the query ran"),
    Row("asyncpg", "InterfaceError", "", PERMANENT, False, _ASYNCPG, "misuse, such as two queries at once"),
    Row("asyncpg", "InternalClientError", "", PERMANENT, True, _ASYNCPG, "a bug, or a server that is none"),
)
_NO_STATE = Row("asyncpg", "PostgresError", "no SQLSTATE", PERMANENT, True, _ASYNCPG, "nothing tells what it was")
ROWS: tuple[Row, ...] = (
    *(
        Row(package, name, "by SQLSTATE", TRANSIENT, True, "PostgreSQL documentation, appendix A", "see the SQLSTATEs")
        for package, name in (("psycopg", "Error"), ("psycopg2", "Error"), ("asyncpg", "PostgresError"))
    ),
    *_SERVER,
    *_CLIENT,
    _LOCAL,
    _UNKNOWN,
    _NO_STATE,
    *_CLASSES,
)

_SEVERITIES = ("FATAL:", "ERROR:", "PANIC:")
_NEUTRAL = ("Multiple connection attempts failed", "DETAIL:", "HINT:")
_CONNECTING = ("connection failed: ", "connection is bad: ", "connection to server ", "could not connect to server")


def read_psycopg(error: Any, _: Asking) -> Classification:
    """An error of psycopg (`sqlstate`) or psycopg2 (`pgcode`)."""
    row = row_of(probe(error, "sqlstate")) or row_of(probe(error, "pgcode"))
    return _by_text(error) if row is None else answer(error, row)


def read_asyncpg(error: Any, _: Asking) -> Classification:
    """An error that a server sent to asyncpg, or that asyncpg made as if it had."""
    return answer(error, row_of(probe(error, "sqlstate")) or _NO_STATE)


def _by_text(error: Any) -> Classification:
    text = said(error)
    row, applied = _UNKNOWN, False
    for line in text.splitlines()[:50]:
        if _speaks(line):
            row = _row_of_line(line)
            applied = applied or row.applied
            if row is _UNKNOWN:
                break
    if row is _UNKNOWN or text.startswith(_CONNECTING) or probe(error, "pgconn") is not None:
        applied = False  # refused, or not even connected
    return as_applied(answer(error, row), applied)


def _speaks(line: str) -> bool:
    """Whether a line is a message, and not one of libpq's hints, which are indented."""
    return line[:1] not in ("", "\t", " ") and not line.startswith(_NEUTRAL)


def _row_of_line(line: str) -> Row:
    for severity in _SEVERITIES:
        _, found, words = line.partition(severity)
        if found:
            return next((row for row in _SERVER if words.lstrip().startswith(row.code)), _UNKNOWN)
    tail = line.rstrip().partition(" (0x")[0]  # Windows' number: Connection refused (0x0000274D/10061)
    if tail.endswith(_ENDS):
        return next(row for row in _CLIENT if tail.endswith(row.code))
    return _LOCAL if any_in(tail, *map(os.strerror, _NUMBERS)) else _UNKNOWN


TABLE: Table = {
    **by_class(_CLASSES),
    ("psycopg", "Error"): read_psycopg,
    ("psycopg2", "Error"): read_psycopg,
    ("asyncpg", "PostgresError"): read_asyncpg,
}
