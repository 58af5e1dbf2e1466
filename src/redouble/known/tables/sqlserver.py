"""Floor 2. SQL Server: pyodbc by the server's number in its text, else by SQLSTATE; pymssql by the number."""

from __future__ import annotations

from redouble.core.raw import at, is_a, whole
from redouble.known.error_text import LONGEST_TEXT, clipped
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.sqlstate import row_of
from redouble.known.table import Table, by, client
from redouble.known.words import number_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_SERVER = "SQL Server documentation, error messages"
_AZURE = "Azure SQL documentation, transient errors"
_ODBC = "ODBC documentation, SQLSTATEs"
_DBLIB = "FreeTDS, sybdb.h"


def read_odbc(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read the server's number in brackets at the end of a text: `... deadlock victim. (1205) (SQLExecDirectW)`."""
    state = clipped(at(error, ("args", 0)))
    for part in reversed(clipped(at(error, ("args", 1))).split("(")):
        row = rows.get(part.partition(")")[0])
        if row is not None:
            return answer(error, row)
    if state == "HYT00" and "Login timeout" in clipped(at(error, ("args", 1))):
        return answer(error, rows[_LOGIN])
    row = rows.get(state) or (row_of(state) if is_a(at(error, ("args", 1)), str) else None)
    return None if row is None else answer(error, row)


def read_dblib(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read the number; the quoted system error tells an unreachable server from an unknown name."""
    text = at(error, ("args", 0, 1))
    told = text[:LONGEST_TEXT] if is_a(text, bytes) else b""
    if whole(at(error, ("args", 0, 0))) == 20009 and not (b"Net-Lib error" in told or _HUNG_UP in told):
        return answer(error, rows[_NO_NAME])
    return _by_number(error, known, rows)


_HUNG_UP = b"TDS server connection failed"  # it was reached, and hung up in the handshake
_NO_NAME = "20009 without an error of the net"
_by_number = number_at("args.0.0", "args.0").read
_LOGIN = "HYT00 Login timeout"
_NUMBERS = (
    (TRANSIENT, SURELY_NOT, _SERVER, "a deadlock: the transaction was rolled back, repeat all of it", "1205"),
    (TRANSIENT, SURELY_NOT, _SERVER, "a lock that could not be had in time, or a conflict of snapshots", "1222 3960"),
    (TRANSIENT, SURELY_NOT, _AZURE, "no resources for now, or the database is moved", "10928 10929 40501 40613"),
    (TRANSIENT, SURELY_NOT, _AZURE, "too many operations of this kind", "49918 49919 49920"),
    (TRANSIENT, PERHAPS, _AZURE, "the service failed while it worked", "40143 40197 40540"),
)

TABLE: Table = client(
    "pyodbc",
    by(read_odbc).of(
        "Error",
        *_NUMBERS,
        (TRANSIENT, SURELY_NOT, _ODBC, "no connection came about", "08001 HYT01"),
        (TRANSIENT, SURELY_NOT, _ODBC, "the login took too long", (_LOGIN,)),
        (TRANSIENT, PERHAPS, _ODBC, "the connection is gone", "08S01"),
        (PERMANENT, PERHAPS, _ODBC + "; policy", "a query that took too long", "HYT00"),
        (TRANSIENT, PERHAPS, _ODBC, "any other: by its SQLSTATE", ("by SQLSTATE",)),
    ),
) + client(
    "pymssql",
    by(read_dblib).of(
        "Error",
        *_NUMBERS,
        (TRANSIENT, SURELY_NOT, _DBLIB, "no connection came about", "20009"),
        (PERMANENT, SURELY_NOT, _DBLIB, "no such name", (_NO_NAME,)),
        (TRANSIENT, PERHAPS, _DBLIB, "the connection is gone, or the time was up", "20003 20004 20006 20047"),
        (PERMANENT, SURELY_NOT, _SERVER, "the statement, the data or the rights", "other"),
    ),
)
