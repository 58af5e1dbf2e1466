"""Floor 2. Name resolution: `socket.gaierror` and `socket.herror`, in which `errno` is not an errno.

The numbers differ from platform to platform, so they are compared with the names in `socket`, which must be loaded: it
raised the error.
"""

from __future__ import annotations

import sys

from redouble.core.raw import probe, whole
from redouble.known.row import PERMANENT, SURELY_NOT, TRANSIENT, answer, remember
from redouble.known.table import Table, by, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking, Row
    from redouble.known.table import Rows

_MAN = "getaddrinfo(3), gai_strerror(3)"
_HOST = {1: "HOST_NOT_FOUND", 2: "TRY_AGAIN", 3: "NO_RECOVERY", 4: "NO_DATA"}


def read_gaierror(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read a `gaierror` by the name of its number on this platform."""
    number = whole(probe(error, "errno"))
    if number is None:
        return None
    found = _cache.get((type(error), number))
    if found is None:
        row = gai_row(number, rows, sys.modules.get("socket"))
        found = None if row is None else remember(_cache, (type(error), number), answer(error, row))
    return found


_cache: dict[tuple[type, int], Classification] = {}


def gai_row(number: int, rows: Rows, socket: Any) -> Row | None:
    """Return the row whose name has this number in the module `socket`; `None` when none has."""
    return next((row for code, row in rows.items() if probe(socket, code) == number), None)


def read_herror(error: Any, _: Asking, rows: Rows) -> Classification | None:
    """Read an `herror` of the older look-ups by its `h_errno`."""
    row = rows.get(_HOST.get(whole(probe(error, "errno")) or 0, ""))
    return None if row is None else answer(error, row)


TABLE: Table = client(
    "socket",
    by(read_gaierror).of(
        "gaierror",
        (TRANSIENT, SURELY_NOT, _MAN, "the name server has no answer for the moment", "EAI_AGAIN"),
        (TRANSIENT, SURELY_NOT, _MAN, "out of memory", "EAI_MEMORY"),
        (
            TRANSIENT,
            SURELY_NOT,
            _MAN + "; musl commit 2683e267",
            "a system error, such as no descriptors left",
            "EAI_SYSTEM",
        ),
        (
            PERMANENT,
            SURELY_NOT,
            _MAN + "; policy",
            "no such name: more often a slip than a delay",
            "EAI_NONAME EAI_NODATA",
        ),
        (PERMANENT, SURELY_NOT, _MAN, "the name server refuses for good", "EAI_FAIL"),
        (
            PERMANENT,
            SURELY_NOT,
            _MAN,
            "a mistake in the call",
            "EAI_FAMILY EAI_SERVICE EAI_ADDRFAMILY EAI_BADFLAGS EAI_SOCKTYPE EAI_OVERFLOW EAI_BADHINTS EAI_PROTOCOL",
        ),
    ),
    by(read_herror).of(
        "herror",
        (TRANSIENT, SURELY_NOT, "gethostbyname(3)", "", "TRY_AGAIN"),
        (PERMANENT, SURELY_NOT, "gethostbyname(3)", "", "HOST_NOT_FOUND NO_RECOVERY NO_DATA"),
    ),
)
