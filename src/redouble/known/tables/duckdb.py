"""Floor 2. DuckDB: conflicts of transactions, and a file that another process holds."""

from __future__ import annotations

from redouble.known.row import PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, client
from redouble.known.words import OTHER, text

_DOCS = "DuckDB documentation, concurrency"

TABLE: Table = client(
    "duckdb _duckdb",
    text({"a conflict": ("Conflict on", "write-write conflict", "Transaction conflict")}, anywhere=True).of(
        "TransactionException",
        (TRANSIENT, SURELY_NOT, _DOCS, "another transaction changed it: repeat all of this one", ("a conflict",)),
        (PERMANENT, SURELY_NOT, _DOCS, "not the state in which this can be done", OTHER),
    ),
    text({"locked": ("Could not set lock on file",)}, anywhere=True).of(
        "IOException",
        (TRANSIENT, SURELY_NOT, _DOCS, "another process holds the file", "locked"),
        (PERMANENT, SURELY_NOT, _DOCS, "the file, or the disk", OTHER),
    ),
)
