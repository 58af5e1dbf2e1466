"""Floor 2. xmlrpc.client: ProtocolError by its status and headers; a Fault is the answer of the procedure."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, TRANSIENT
from redouble.known.table import Table, by_class, client
from redouble.known.words import BY_STATUS, status_at

_DOCS = "xmlrpc.client documentation"

TABLE: Table = client(
    "xmlrpc",
    status_at("errcode", headers="headers").of(
        "ProtocolError", (TRANSIENT, PERHAPS, "RFC 9110 15", "by its status and headers", BY_STATUS)
    ),
    by_class((PERMANENT, PERHAPS, _DOCS, "the procedure's own answer, or one that is no XML-RPC", "Error")),
)
