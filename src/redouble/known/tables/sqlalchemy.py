"""Floor 2. SQLAlchemy: the driver's own error decides (`orig`), for OperationalError has no meaning by itself.

`code` is a key of SQLAlchemy's documentation here (`e3q8`), and no number.
"""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.sqlstate import row_of
from redouble.known.table import Table, base, by, by_class, client
from redouble.known.underlying import as_wrapped
from redouble.known.words import as_carried, carried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "sqlalchemy/exc.py"
_CORE = "SQLAlchemy documentation, core exceptions"
_DISCONNECTS = "SQLAlchemy documentation, dealing with disconnects"
_GONE = "connection_invalidated"


def read_dbapi(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a wrapped error of a driver."""
    found = _carried(error, known)
    invalidated = probe(error, _GONE) is True
    if found is None:
        return answer(error, rows[_GONE if invalidated else "unknown orig"])
    if invalidated and found.verdict is PERMANENT and _is_interface_error(error):
        return answer(error, rows[f"{_GONE}, InterfaceError"])
    return found


def read_adapted(error: Any, known: Asking, _: Rows) -> Classification | None:
    """Read SQLAlchemy's form of asyncpg's errors: a driver's error with the SQLSTATE, and the real one inside."""
    found = _carried(error, known)
    if found is None:
        row = row_of(probe(error, "sqlstate"))
        found = None if row is None else answer(error, row)
    return found


def _carried(error: Any, known: Asking) -> Classification | None:
    found = carried(error, known, "orig", "__cause__")
    return None if found is None else as_wrapped(found, error, found.applied)


def _is_interface_error(error: Any) -> bool:
    return any(base.__name__ == "InterfaceError" for base in type(error).__mro__)


_BY_ORIG = (TRANSIENT, PERHAPS, _CORE, "as the driver's error means", ("by orig",))

TABLE: Table = client(
    "sqlalchemy",
    by(read_dbapi).of(
        "DBAPIError",
        _BY_ORIG,
        (
            TRANSIENT,
            PERHAPS,
            _DISCONNECTS,
            "a driver that is not known, and whose dialect saw that the connection is gone",
            _GONE,
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _DISCONNECTS,
            "a connection that was closed before; the pool has dropped it, and gives a new one",
            (f"{_GONE}, InterfaceError",),
        ),
        (PERMANENT, PERHAPS, "policy", "a driver that is not known", ("unknown orig",)),
    ),
    as_carried("orig", "__cause__")(
        (PERMANENT, SURELY_NOT, _EXC, "as the error in orig; else a value that could not be sent", "StatementError"),
    ),
    by(read_adapted).of("Error EmulatedDBAPIException", _BY_ORIG),
    by_class(
        (TRANSIENT, SURELY_NOT, _EXC, "no connection of its own pool was free in time", "TimeoutError"),
        (TRANSIENT, SURELY_NOT, _EXC, "a connection of the pool was found dead", "DisconnectionError"),
        (TRANSIENT, SURELY_NOT, "sqlalchemy/orm/exc.py", "an optimistic lock was lost: begin anew", "StaleDataError"),
    ),
    base("sqlalchemy")(
        (PERMANENT, SURELY_NOT, _EXC, "misuse, or an answer that was not expected", "SQLAlchemyError"),
    ),
)
