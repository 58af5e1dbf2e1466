"""Floor 2. PostgreSQL: psycopg and psycopg2 by SQLSTATE, else by libpq's text; asyncpg; the pool of psycopg.

libpq keeps no SQLSTATE of a failed connection, so that psycopg has only a text, with the server's message in the
server's language. Every line must be known to be transient, else the error counts as permanent: a wrong password must
never look like an outage. (The hint that a password was used is no proof: libpq adds it to every answer of the server,
even to too many clients.) A `pgconn` on the error proves that no statement ran yet.
"""

from __future__ import annotations

import errno
import os

from redouble.core.raw import at, probe
from redouble.known.error_text import any_in, said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, Row, answer, as_applied, rows_of
from redouble.known.sqlstate import row_of
from redouble.known.table import Table, by, by_class, client
from redouble.known.words import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_LIBPQ = "libpq, fe-connect.c and fe-misc.c"
_BACKEND = "PostgreSQL, postmaster.c and postinit.c"
_POOL = "psycopg_pool documentation"
_ASYNCPG = "asyncpg/exceptions/_base.py"
_LOST, _UNREACHED = "network error", "Can't create a connection"
_APPENDIX = "PostgreSQL documentation, appendix A"

_SERVER = rows_of(
    "psycopg",
    "OperationalError",
    (
        (
            TRANSIENT,
            SURELY_NOT,
            _BACKEND,
            "no connection is free",
            (
                "sorry, too many clients already",
                "too many connections for",
                "remaining connection slots are reserved",
                "could not fork new process for connection",
            ),
        ),
        (TRANSIENT, SURELY_NOT, _BACKEND, "starting up, shutting down, recovering", ("the database system is",)),
        (TRANSIENT, PERHAPS, "PostgreSQL, postgres.c", "the server ended the session", ("terminating connection",)),
        (
            TRANSIENT,
            SURELY_NOT,
            "pgbouncer, client.c",
            "no connection is free",
            ("no more connections allowed", "query_wait_timeout"),
        ),
    ),
)
"""The beginnings of a server's own messages after `FATAL:`."""

_CLIENT = rows_of(
    "psycopg",
    "OperationalError",
    (
        (TRANSIENT, SURELY_NOT, _LIBPQ, "nothing listens (yet)", ("Connection refused",)),
        (
            TRANSIENT,
            SURELY_NOT,
            _LIBPQ,
            "no way to the host",
            ("No route to host", "Network is unreachable", "Host is down"),
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _LIBPQ,
            "the queue of a unix socket is full",
            ("Resource temporarily unavailable",),
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            "getaddrinfo(3)",
            "the name server has no answer",
            ("Temporary failure in name resolution",),
        ),
        (TRANSIENT, SURELY_NOT, _LIBPQ, "connect_timeout", ("timeout expired",)),
        (
            TRANSIENT,
            SURELY_NOT,
            "psycopg, _connection_base.py",
            "it was closed before: a new one helps",
            ("the connection is closed", "connection already closed"),
        ),
        (
            TRANSIENT,
            PERHAPS,
            _LIBPQ,
            "the connection is gone",
            (
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
        ),
    ),
)
"""The ends of the lines of libpq and psycopg."""
_ENDS = tuple(row.code for row in _CLIENT)
_LOCAL, _UNKNOWN = rows_of(
    "psycopg",
    "OperationalError",
    (
        (TRANSIENT, PERHAPS, _LIBPQ, "the same errors in its language", ("as the system says it",)),
        (
            PERMANENT,
            SURELY_NOT,
            "policy",
            "a password, a name, a certificate, or the language of the server: no SQLSTATE tells",
            ("any other text",),
        ),
    ),
)
_NUMBERS = (
    *(errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT),
    *(errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE),
)
_SEVERITIES = ("FATAL:", "ERROR:", "PANIC:", "consuming input failed:")  # the last: psycopg 3.1 and 3.2 cut libpq's off
_NEUTRAL = ("Multiple connection attempts failed", "DETAIL:", "HINT:")
_CONNECTING = ("connection failed: ", "connection is bad: ", "connection to server ", "could not connect to server")


def read_psycopg(error: Any, _: Asking, __: Rows) -> Classification:
    """Read an error of psycopg (`sqlstate`) or psycopg2 (`pgcode`)."""
    row = row_of(probe(error, "sqlstate")) or row_of(probe(error, "pgcode"))
    return _by_text(error) if row is None else answer(error, row)


def read_asyncpg(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an error that a server sent to asyncpg, or that asyncpg made in the same form."""
    return answer(error, row_of(probe(error, "sqlstate")) or rows["no SQLSTATE"])


def read_pg8000(error: Any, _: Asking, rows: Rows) -> Classification:
    """Read an error whose first argument holds the server's raw fields; `C` is the SQLSTATE."""
    return answer(error, row_of(at(error, ("args", 0, "C"))) or rows["no SQLSTATE"])


_LINES = 50
"""The most lines of a text that are read."""


def _by_text(error: Any) -> Classification:
    text = said(error)
    row, applied = _UNKNOWN, False
    for line in text.split("\n", _LINES)[:_LINES]:
        if _speaks(line):
            row = _row_of_line(line)
            applied = applied or row.applied
            if row is _UNKNOWN:
                break
    if row is _UNKNOWN or text.startswith(_CONNECTING) or probe(error, "pgconn") is not None:
        applied = False  # refused, or not even connected
    return as_applied(answer(error, row), applied)


def _speaks(line: str) -> bool:
    """Return whether a line is a message, and not one of libpq's hints, which are indented."""
    return line[:1] not in ("", "\t", " ") and not line.startswith(_NEUTRAL)


def _row_of_line(line: str) -> Row:
    for severity in _SEVERITIES:
        _, found, words = line.partition(severity)
        if found:
            row = next((row for row in _SERVER if words.lstrip().startswith(row.code)), None)
            if row is not None or severity.isupper():
                return row or _UNKNOWN
    tail = line.rstrip().partition(" (0x")[0]  # Windows' number: Connection refused (0x0000274D/10061)
    if tail.endswith(_ENDS):
        return next(row for row in _CLIENT if tail.endswith(row.code))
    return _LOCAL if any_in(tail, *map(os.strerror, _NUMBERS)) else _UNKNOWN


_BY_STATE = (TRANSIENT, PERHAPS, _APPENDIX, "see the SQLSTATEs", ("by SQLSTATE",))

TABLE: Table = (
    client("psycopg psycopg2", by(read_psycopg).of("Error", _BY_STATE, *_SERVER, *_CLIENT, _LOCAL, _UNKNOWN))
    + client(
        "pg8000",
        by(read_pg8000).of(
            "DatabaseError",
            _BY_STATE,
            (PERMANENT, PERHAPS, "pg8000/core.py", "the cause is unknown", ("no SQLSTATE",)),
        ),
        text({_LOST: (_LOST,), _UNREACHED: (_UNREACHED,)}, firm=True).of(
            "InterfaceError",
            (TRANSIENT, SURELY_NOT, "pg8000/core.py", "no connection came about", (_UNREACHED,)),
            (TRANSIENT, PERHAPS, "pg8000/core.py", "the connection is gone", (_LOST,)),
            (
                TRANSIENT,
                SURELY_NOT,
                "pg8000/core.py",
                "it was closed before: a new one helps",
                ("connection is closed",),
            ),
            (PERMANENT, SURELY_NOT, "pg8000/core.py", "misuse, or a server that speaks something else", "other"),
        ),
    )
    + client(
        "psycopg_pool",
        by_class(
            (TRANSIENT, SURELY_NOT, _POOL, "no connection of the pool was free in time", "PoolTimeout"),
            (TRANSIENT, SURELY_NOT, _POOL, "too many wait for the pool", "TooManyRequests"),
            (PERMANENT, SURELY_NOT, _POOL, "misuse", "PoolClosed"),
        ),
    )
    + client(
        "asyncpg",
        by(read_asyncpg).of(
            "PostgresError",
            _BY_STATE,
            (PERMANENT, PERHAPS, _ASYNCPG, "the cause is unknown", ("no SQLSTATE",)),
        ),
        by_class(
            (TRANSIENT, SURELY_NOT, _ASYNCPG, "it is prepared anew", "InvalidCachedStatementError"),
            (
                TRANSIENT,
                PERHAPS,
                _ASYNCPG,
                "the schema is read anew; the query ran",
                "OutdatedSchemaCacheError",
            ),
            (PERMANENT, PERHAPS, _ASYNCPG, "a bug, or a server that is none", "InternalClientError"),
        ),
        text().of(
            "InterfaceError",
            (
                TRANSIENT,
                PERHAPS,
                "asyncpg/connection.py",
                "it was closed before, or is lost: a new one helps",
                ("connection is closed", "the underlying connection is closed"),
            ),
            (PERMANENT, SURELY_NOT, _ASYNCPG, "misuse, such as two queries at once", "other"),
        ),
    )
)
