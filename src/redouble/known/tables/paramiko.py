"""Floor 2. paramiko, by class and fixed text."""

from __future__ import annotations

from redouble.core.raw import is_a, probe
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.underlying import as_wrapped
from redouble.known.words import number_at, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking, Group
    from redouble.known.table import Rows

_TEXTS = "paramiko/transport.py and channel.py"
_EXC = "paramiko/ssh_exception.py"
_OPEN = "RFC 4254 5.1"

CHANNELS: tuple[Group, ...] = (
    (TRANSIENT, SURELY_NOT, _OPEN, "connect failed: too many sessions, or nothing listens (yet)", "2"),
    (TRANSIENT, SURELY_NOT, _OPEN, "resource shortage", "4"),
    (PERMANENT, SURELY_NOT, _OPEN, "prohibited, or an unknown type of channel", "1 3"),
    (PERMANENT, SURELY_NOT, _OPEN, "any other", "other"),
)
"""A channel that was refused, by the reason in SSH's own protocol; asyncssh's are the same."""


def read_nobody(error: Any, known: Asking, rows: Rows) -> Classification:
    """Read a failure to connect to all addresses: no request was sent."""
    errors = probe(error, "errors")
    for each in list(dict.values(errors))[:16] if is_a(errors, dict) else ():
        found = known.inner(each) if is_a(each, Exception) else None
        if found is not None and found.verdict is PERMANENT:
            return as_wrapped(found, error, False)
    return answer(error, rows[""])


TABLE: Table = client(
    "paramiko",
    text().of(
        "SSHException",
        (
            TRANSIENT,
            SURELY_NOT,
            _TEXTS,
            "the server hung up, said nothing, or takes no more connections (MaxStartups)",
            ("Error reading SSH protocol banner", "Negotiation failed.", "EOF during negotiation"),
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _TEXTS,
            "the session ended before this was asked",
            ("No existing session", "SSH session not active", "Channel is not open"),
        ),
        (
            TRANSIENT,
            SURELY_NOT,
            _TEXTS,
            "no channel came about",
            ("Timeout opening channel", "Unable to open channel"),
        ),
        (TRANSIENT, PERHAPS, _TEXTS, "the session was lost", ("Server connection dropped",)),
        (TRANSIENT, PERHAPS, _TEXTS, "bytes were damaged on the way, as TLS's bad record MAC", ("Mismatched MAC",)),
        (
            PERMANENT,
            SURELY_NOT,
            _TEXTS,
            "keys, authentication, protocol; `Channel closed.`: the server refused a command or a subsystem",
            "other",
        ),
    ),
    by_class(
        (
            PERMANENT,
            SURELY_NOT,
            _EXC + "; policy",
            "also where the server hung up meanwhile: to try again could lock the account",
            "AuthenticationException",
        ),
        (PERMANENT, SURELY_NOT, _EXC, "", "BadHostKeyException"),
        (PERMANENT, SURELY_NOT, _EXC, "no common algorithm", "IncompatiblePeer"),
        (TRANSIENT, PERHAPS, "paramiko/buffered_pipe.py", "an answer that did not come", "PipeTimeout"),
        (PERMANENT, PERHAPS, "paramiko/sftp.py", "an answer that does not fit the question", "SFTPError"),
    ),
    by(read_nobody)(
        (
            TRANSIENT,
            SURELY_NOT,
            _EXC,
            "an OSError without errno; as the errors of its addresses mean",
            "NoValidConnectionsError",
        ),
    ),
    number_at("code").of("ChannelException", *CHANNELS),
)
