"""Floor 2. postgrest (supabase): by the code of PostgREST, or the SQLSTATE that it passes on; statuses are not kept."""

from __future__ import annotations

from redouble.core.raw import probe
from redouble.known.error_text import clipped
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.sqlstate import row_of
from redouble.known.table import Table, by, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_CODES = "PostgREST documentation, errors"


def read(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read an error by `code`; `None` where there is none, as for an answer of a proxy in front of PostgREST."""
    code = clipped(probe(error, "code"))
    row = rows.get(code) or row_of(code) or (rows["other"] if code.startswith("PGRST") else None)
    return None if row is None else answer(error, row)


TABLE: Table = client(
    "postgrest",
    by(read).of(
        "APIError",
        (TRANSIENT, SURELY_NOT, _CODES, "the database cannot be reached", "PGRST000 PGRST001 PGRST002"),
        (TRANSIENT, PERHAPS, _CODES, "no connection of the pool was free in time; a 504", "PGRST003"),
        (TRANSIENT, PERHAPS, _CODES, "any other: by its SQLSTATE", ("by SQLSTATE",)),
        (PERMANENT, SURELY_NOT, _CODES, "the request or the rights", "other"),
    ),
)
