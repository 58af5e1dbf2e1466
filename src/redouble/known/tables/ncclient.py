"""Floor 2. ncclient (NETCONF): an answer by its error-tag, a session by class; an SSHError by its text."""

from __future__ import annotations

from redouble.known.error_text import said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.underlying import as_wrapped, beneath
from redouble.known.words import OTHER, code_at, first_match

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_RFC = "RFC 6241, appendix A"
_EXC = "ncclient/transport/errors.py"


def read_ssh(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a session that failed to open: by its text, else by the error of paramiko beneath."""
    row = first_match(said(error), rows)
    if row is not None:
        return answer(error, row)
    found = beneath(error, known)
    return answer(error, rows[OTHER]) if found is None else as_wrapped(found, error, found.applied)


TABLE: Table = client(
    "ncclient",
    code_at("_tag").of(
        "RPCError",
        (TRANSIENT, SURELY_NOT, _RFC, "another session holds the lock, or the resource", "lock-denied in-use"),
        (TRANSIENT, SURELY_NOT, _RFC, "no resources for now", "resource-denied"),
        (PERMANENT, PERHAPS, _RFC, "the request, the rights or the configuration", OTHER),
    ),
    by_class(
        (TRANSIENT, PERHAPS, _EXC, "the session is gone", "SessionCloseError"),
        (TRANSIENT, PERHAPS, "ncclient/operations/errors.py", "no answer in time", "TimeoutExpiredError"),
        (PERMANENT, SURELY_NOT, _EXC, "the password, the key or the host's key", "AuthenticationError"),
        (PERMANENT, SURELY_NOT, _EXC, "the password, the key or the host's key", "SSHUnknownHostError"),
    ),
    by(read_ssh).of(
        "SSHError",
        (TRANSIENT, SURELY_NOT, "ncclient/transport/ssh.py", "no connection came about", ("Could not open socket to",)),
        (TRANSIENT, PERHAPS, "ncclient/transport/ssh.py", "any other: by what lies beneath", ("by what lies beneath",)),
        (PERMANENT, PERHAPS, "ncclient/transport/ssh.py", "the error beneath is not known", OTHER),
    ),
)
