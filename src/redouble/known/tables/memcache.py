"""Floor 2. pymemcache, by class; errors of sockets come unwrapped."""

from __future__ import annotations

from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT
from redouble.known.table import Table, by_class, client

_EXC = "pymemcache/exceptions.py"

TABLE: Table = client(
    "pymemcache",
    by_class(
        (TRANSIENT, PERHAPS, _EXC, "the server hung up", "MemcacheUnexpectedCloseError"),
        (
            TRANSIENT,
            SURELY_NOT,
            "memcached, protocol.txt",
            "SERVER_ERROR: out of memory for now",
            "MemcacheServerError",
        ),
        (PERMANENT, SURELY_NOT, _EXC, "the key, the value or the command", "MemcacheClientError"),
        (PERMANENT, PERHAPS, _EXC, "an answer that is none", "MemcacheUnknownError"),
    ),
)
