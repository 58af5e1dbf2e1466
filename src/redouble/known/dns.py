"""Floor 2. Name resolution: `socket.gaierror` and `socket.herror`, whose `errno` is no errno.

The numbers differ from platform to platform, so they are compared with the names in `socket`, which must be loaded: it
is where the error came from.
"""

from __future__ import annotations

import sys

from redouble.core.verdict import Classification
from redouble.known.rows import PERMANENT, TRANSIENT, Row, coded, named, probe, remember, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.known.rows import Asking, Table

_MAN = "getaddrinfo(3), gai_strerror(3)"

GAI_ROWS = coded(
    "socket",
    "gaierror",
    (
        (TRANSIENT, False, _MAN, "the name server has no answer for the moment", "EAI_AGAIN"),
        (TRANSIENT, False, _MAN, "out of memory", "EAI_MEMORY"),
        (
            TRANSIENT,
            False,
            _MAN + "; musl commit 2683e267",
            "a system error, such as no descriptors left",
            "EAI_SYSTEM",
        ),
        (PERMANENT, False, _MAN + "; policy", "no such name: more often a slip than a delay", "EAI_NONAME EAI_NODATA"),
        (PERMANENT, False, _MAN, "the name server refuses for good", "EAI_FAIL"),
        (
            PERMANENT,
            False,
            _MAN,
            "a mistake in the call",
            "EAI_FAMILY EAI_SERVICE EAI_ADDRFAMILY EAI_BADFLAGS EAI_SOCKTYPE EAI_OVERFLOW EAI_BADHINTS EAI_PROTOCOL",
        ),
    ),
)

_HOST = {1: "HOST_NOT_FOUND", 2: "TRY_AGAIN", 3: "NO_RECOVERY", 4: "NO_DATA"}
HERROR_ROWS = coded(
    "socket",
    "herror",
    (
        (TRANSIENT, False, "gethostbyname(3)", "", "TRY_AGAIN"),
        (PERMANENT, False, "gethostbyname(3)", "", "HOST_NOT_FOUND NO_RECOVERY NO_DATA"),
    ),
)
ROWS: tuple[Row, ...] = GAI_ROWS + HERROR_ROWS

_cache: dict[tuple[type, int], Classification] = {}


def read_gaierror(error: Any, _: Asking) -> Classification | None:
    """A `gaierror`, by the name of its number on this platform."""
    number = whole(probe(error, "errno"))
    if number is None:
        return None
    found = _cache.get((type(error), number))
    if found is None:
        row = gai_row(number, sys.modules.get("socket"))
        if row is not None:
            found = remember(_cache, (type(error), number), row.because(f"{named(error)} [{row.code}]"))
    return found


def gai_row(number: int, socket: Any) -> Row | None:
    """The row whose name has this number in the module `socket`; `None` when none has."""
    return next((row for row in GAI_ROWS if probe(socket, row.code) == number), None)


def read_herror(error: Any, _: Asking) -> Classification | None:
    """An `herror` of the older look-ups, by its `h_errno`."""
    code = _HOST.get(whole(probe(error, "errno")) or 0)
    return next((row.because(f"{named(error)} [{code}]") for row in HERROR_ROWS if row.code == code), None)


TABLE: Table = {("socket", "gaierror"): read_gaierror, ("socket", "herror"): read_herror}
