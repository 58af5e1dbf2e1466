"""Floor 2. sqlite3, by the result code of SQLite; an error made by hand has none, and goes by SQLite's fixed English text."""

from __future__ import annotations

from redouble.known.inside import answer, said
from redouble.known.rows import PERMANENT, TRANSIENT, Row, coded, probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_CODES = "SQLite documentation, result codes"
_GROUPS = (
    (TRANSIENT, False, _CODES, "another connection holds the lock", "SQLITE_BUSY"),
    (TRANSIENT, False, _CODES, "another user of the shared cache holds the table", "SQLITE_LOCKED"),
    (TRANSIENT, False, _CODES, "a race for the WAL that was lost too often; very rare", "SQLITE_PROTOCOL"),
    (TRANSIENT, False, _CODES, "the schema changed while the statement was prepared", "SQLITE_SCHEMA"),
    (TRANSIENT, False, _CODES, "out of memory", "SQLITE_NOMEM"),
    (PERMANENT, False, _CODES, "any other code: the statement, the data, the file or the disk", "other"),
)
ROWS: tuple[Row, ...] = coded("sqlite3", "Error", _GROUPS)

_BUSY, _LOCKED, _PROTOCOL, _SCHEMA, _MEMORY, _OTHER = ROWS
_BY_NUMBER = {5: _BUSY, 6: _LOCKED, 7: _MEMORY, 15: _PROTOCOL, 17: _SCHEMA}
_BY_TEXT = (("database is locked", _BUSY), ("database table is locked", _LOCKED), ("database schema is lo", _LOCKED))


def read(error: Any, _: Asking) -> Classification:
    """An error of `sqlite3`: its primary result code is the lowest byte of the extended one (`SQLITE_BUSY_SNAPSHOT`)."""
    code = whole(probe(error, "sqlite_errorcode"))
    if code is not None:
        return answer(error, _BY_NUMBER.get(code & 0xFF, _OTHER))
    text = said(error)
    return answer(error, next((row for start, row in _BY_TEXT if text.startswith(start)), _OTHER))


TABLE: Table = {("sqlite3", "Error"): read}
