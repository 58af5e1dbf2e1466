"""Floor 2. python-socketio and python-engineio: only the text tells why a connection failed."""

from __future__ import annotations

from redouble.known.quoted import judge_quoted
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_EXC = "socketio/exceptions.py"
_CLIENT = "engineio/client.py"


def read(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a failed connection by the status or the system error that the text quotes."""
    found = judge_quoted(error, known)
    return answer(error, rows["other"]) if found is None else found


_PARTS = by(read).of(
    "ConnectionError",
    (TRANSIENT, PERHAPS, _CLIENT, "by the status, or the error of the system, in its text", ("quoted in its text",)),
    (PERMANENT, PERHAPS, _CLIENT, "refused by the server, or without a reason", "other"),
)

TABLE: Table = client(
    "socketio",
    _PARTS,
    by_class(
        (TRANSIENT, PERHAPS, _EXC, "no answer in time", "TimeoutError"),
        (TRANSIENT, PERHAPS, _EXC, "the connection was lost", "DisconnectedError"),
        (
            PERMANENT,
            SURELY_NOT,
            _EXC,
            "the server's application said no, or does not have it",
            "ConnectionRefusedError",
        ),
        (PERMANENT, SURELY_NOT, _EXC, "the server's application said no, or does not have it", "BadNamespaceError"),
    ),
) + client("engineio", _PARTS)
