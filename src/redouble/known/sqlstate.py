"""Floor 2. SQLSTATE: the five characters that name a failure of PostgreSQL and its kin, independent of the language."""

from __future__ import annotations

from redouble.core.raw import is_a
from redouble.known.row import PERMANENT, TRANSIENT, Row, rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PG = "PostgreSQL documentation, appendix A"
_COCKROACH = "CockroachDB documentation, transaction retry errors"
_GROUPS = (
    (TRANSIENT, False, f"{_PG}; {_COCKROACH}", "the transaction was rolled back: repeat all of it", "40001 40P01"),
    (TRANSIENT, True, f"{_PG}; {_COCKROACH}", "it may have been committed", "40003 08007"),
    (TRANSIENT, False, _PG, "no connection came about", "08001 08004"),
    (TRANSIENT, True, _PG, "the connection is gone; asyncpg says 08003 in the middle of a query", "08000 08003 08006"),
    (TRANSIENT, True, _PG, "the server ended the session, perhaps after the commit", "57P01 57P02"),
    (TRANSIENT, False, _PG, "starting up, shutting down or recovering", "57P03"),
    (TRANSIENT, False, _PG, "the session or its transaction was idle or open too long", "57P05 25P03 25P04"),
    (TRANSIENT, False, _PG, "no connection or no memory is left for the moment", "53300 53200"),
    (TRANSIENT, False, _PG, "somebody else holds the lock or the object", "55P03 55006"),
    (PERMANENT, False, _PG, "integrity constraint at commit", "40002"),
    (PERMANENT, False, _PG, "the protocol was broken; also pgbouncer's own errors", "08P01"),
    (PERMANENT, False, _PG + "; policy", "a statement_timeout or a cancel: the same statement meets it again", "57014"),
    (PERMANENT, False, _PG, "the database was dropped", "57P04"),
    (PERMANENT, False, _PG + "; policy", "read-only; after a failover only a new connection helps", "25006"),
    (PERMANENT, False, _PG, "the transaction failed before: the statement is not to be repeated in it", "25P02"),
    (PERMANENT, False, _PG + "; policy", "somebody must make room", "53100"),
    (PERMANENT, False, _PG, "the data does not allow it", "02xxx 20xxx 21xxx 22xxx 23xxx 27xxx 44xxx"),
    (PERMANENT, False, _PG, "the user is unknown, or lacks the permission", "0Lxxx 0Pxxx 28xxx"),
    (PERMANENT, False, _PG, "the object does not exist, or is misspelled", "26xxx 34xxx 3Bxxx 3Dxxx 3Fxxx 42xxx"),
    (PERMANENT, False, _PG, "not the state in which this can be done", "0Bxxx 24xxx 25xxx 2Bxxx 2Dxxx 40xxx 55xxx"),
    (PERMANENT, False, _PG, "a function or procedure failed", "09xxx 0Zxxx 10xxx 2Fxxx 38xxx 39xxx P0xxx"),
    (PERMANENT, False, _PG, "the server cannot do it, or has no room for it", "03xxx 0Axxx 0Fxxx 53xxx 54xxx 72xxx"),
    (PERMANENT, False, _PG, "intervention, connection trouble or system error of no known kind", "08xxx 57xxx 58xxx"),
    (PERMANENT, False, _PG, "configuration, foreign data, or an error inside the server", "F0xxx HVxxx XXxxx"),
    (PERMANENT, False, "policy", "a class that is not known", "other"),
)

ROWS: tuple[Row, ...] = rows_of("sql", "SQLSTATE", _GROUPS)

_BY_CODE = {row.code: row for row in ROWS}
_OTHER = _BY_CODE["other"]


def row_of(state: Any) -> Row | None:
    """Return the row of an SQLSTATE, else that of its class; `None` for any other text, or one that means success.

    Source: PostgreSQL documentation, appendix A (error codes); ISO/IEC 9075 for the classes.

    >>> row_of("40001").verdict
    Verdict.TRANSIENT
    >>> row_of("22012").code
    '22xxx'
    >>> row_of("e3q8") is None
    True
    """
    if not is_a(state, str):
        return None
    code = str.__str__(state)
    row = _BY_CODE.get(code)
    if row is not None:
        return None if row is _OTHER or code.endswith("xxx") else row
    if len(code) != 5 or not code.isascii() or not code.isalnum() or code[:2] in ("00", "01"):
        return None
    return _BY_CODE.get(f"{code[:2]}xxx", _OTHER)
