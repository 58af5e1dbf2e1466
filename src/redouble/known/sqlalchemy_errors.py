"""Floor 2. SQLAlchemy: the driver's own error decides (`orig`), for OperationalError says nothing by itself.

`code` is a key of SQLAlchemy's documentation here (`e3q8`), and no number.
"""

from __future__ import annotations

from redouble.known.inside import answer
from redouble.known.roots import under
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, is_a, probe
from redouble.known.sqlstate import row_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_EXC = "sqlalchemy/exc.py"
_BY_ORIG = "SQLAlchemy documentation, core exceptions"
_PLAIN = (
    Row("sqlalchemy", "TimeoutError", "", TRANSIENT, False, _EXC, "no connection of its own pool was free in time"),
    Row("sqlalchemy", "DisconnectionError", "", TRANSIENT, False, _EXC, "a connection of the pool was found dead"),
    Row("sqlalchemy", "SQLAlchemyError", "", PERMANENT, False, _EXC, "misuse, or an answer that was not expected"),
)
_UNKNOWN = Row("sqlalchemy", "DBAPIError", "unknown orig", PERMANENT, True, "policy", "a driver that is not known")
_DROPPED = Row(
    "sqlalchemy",
    "DBAPIError",
    "connection_invalidated",
    TRANSIENT,
    True,
    "SQLAlchemy documentation, dealing with disconnects",
    "a driver that is not known, and whose dialect saw that the connection is gone",
)
_STALE = Row(
    "sqlalchemy",
    "InterfaceError",
    "connection_invalidated",
    TRANSIENT,
    False,
    "SQLAlchemy documentation, dealing with disconnects",
    "a connection that was closed before; the pool has dropped it, and gives a new one",
)
_VALUE = Row("sqlalchemy", "StatementError", "unknown orig", PERMANENT, False, _EXC, "a value that could not be sent")
ROWS: tuple[Row, ...] = (
    *(
        Row("sqlalchemy", name, "by orig", TRANSIENT, True, _BY_ORIG, "as the driver's error means")
        for name in ("DBAPIError", "StatementError", "Error", "EmulatedDBAPIException")
    ),
    _DROPPED,
    _STALE,
    _UNKNOWN,
    _VALUE,
    *_PLAIN,
)


def read_dbapi(error: Any, known: Asking) -> Classification:
    """An error of a driver, wrapped."""
    found = _carried(error, known)
    invalidated = probe(error, "connection_invalidated") is True
    if found is None:
        return answer(error, _DROPPED if invalidated else _UNKNOWN)
    if invalidated and found.verdict is PERMANENT and _is_interface_error(error):
        return answer(error, _STALE)
    return found


def read_statement(error: Any, known: Asking) -> Classification:
    """Any other error that came up while a statement was made ready or sent."""
    return _carried(error, known) or answer(error, _VALUE)


def read_adapted(error: Any, known: Asking) -> Classification | None:
    """What SQLAlchemy makes of asyncpg's errors: the shape of a driver's, with the SQLSTATE, and the real one inside."""
    found = _carried(error, known)
    if found is None:
        row = row_of(probe(error, "sqlstate"))
        found = None if row is None else answer(error, row)
    return found


def _carried(error: Any, known: Asking) -> Classification | None:
    for name in ("orig", "__cause__"):
        inner = probe(error, name)
        found = known.inner(inner) if is_a(inner, Exception) else None
        if found is not None:
            return under(found, error, found.applied)
    return None


def _is_interface_error(error: Any) -> bool:
    return any(base.__name__ == "InterfaceError" for base in type(error).__mro__)


TABLE: Table = {
    **by_class(_PLAIN),
    ("sqlalchemy", "DBAPIError"): read_dbapi,
    ("sqlalchemy", "StatementError"): read_statement,
    ("sqlalchemy", "Error"): read_adapted,
    ("sqlalchemy", "EmulatedDBAPIException"): read_adapted,
}
