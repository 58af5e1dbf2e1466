"""Floor 2. sqlite3, by the result code of SQLite; an error made by hand has none, and goes by SQLite's fixed English text."""

from __future__ import annotations

from redouble.core.raw import probe, whole
from redouble.known.row import PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by, client
from redouble.known.words import number_at, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_CODES = "SQLite documentation, result codes"
_NAMES = {5: "SQLITE_BUSY", 6: "SQLITE_LOCKED", 7: "SQLITE_NOMEM", 15: "SQLITE_PROTOCOL", 17: "SQLITE_SCHEMA"}
_TEXTS = {
    "SQLITE_BUSY": ("database is locked",),
    "SQLITE_LOCKED": ("database table is locked", "database schema is lo"),
}
# The primary result code is the lowest byte of the extended one: SQLITE_BUSY_SNAPSHOT is a SQLITE_BUSY.
_by_number = number_at("sqlite_errorcode", names=_NAMES, mask=0xFF).read
_by_text = text(_TEXTS).read


def read(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read an error of `sqlite3` by its code, else by its text."""
    has_code = whole(probe(error, "sqlite_errorcode")) is not None
    return (_by_number if has_code else _by_text)(error, known, rows)


TABLE: Table = client(
    "sqlite3",
    by(read).of(
        "Error",
        (TRANSIENT, SURELY_NOT, _CODES, "another connection holds the lock", "SQLITE_BUSY"),
        (TRANSIENT, SURELY_NOT, _CODES, "another user of the shared cache holds the table", "SQLITE_LOCKED"),
        (TRANSIENT, SURELY_NOT, _CODES, "a race for the WAL that was lost too often; very rare", "SQLITE_PROTOCOL"),
        (TRANSIENT, SURELY_NOT, _CODES, "the schema changed while the statement was prepared", "SQLITE_SCHEMA"),
        (TRANSIENT, SURELY_NOT, _CODES, "out of memory", "SQLITE_NOMEM"),
        (PERMANENT, SURELY_NOT, _CODES, "any other code: the statement, the data, the file or the disk", "other"),
    ),
)
