"""Floor 2. asyncssh, by the codes of the protocol."""

from __future__ import annotations

from redouble.core.raw import probe, whole
from redouble.known.error_text import said
from redouble.known.row import PERHAPS, PERMANENT, SURELY_NOT, TRANSIENT, answer
from redouble.known.table import Table, by, by_class, client
from redouble.known.tables.paramiko import CHANNELS
from redouble.known.words import number_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.row import Asking
    from redouble.known.table import Rows

_MISC = "asyncssh/misc.py"
_PROCESS = "asyncssh/process.py"
_DISCONNECT = "RFC 4253 11.1"
_SFTP = "draft-ietf-secsh-filexfer, status codes"
_LOGIN = "10 Login timeout expired"
_by_code = number_at("code").read


def read_disconnect(error: Any, known: Asking, rows: Rows) -> Classification | None:
    """Read the end of a connection by its reason."""
    if whole(probe(error, "code")) == 10 and said(error) == "Login timeout expired":
        return answer(error, rows[_LOGIN])
    return _by_code(error, known, rows)


TABLE: Table = client(
    "asyncssh",
    by_class(
        (TRANSIENT, PERHAPS, _PROCESS, "a ProcessError by class", "TimeoutError"),
        (PERMANENT, PERHAPS, _PROCESS, "`code` is an exit status", "ProcessError"),
        (PERMANENT, SURELY_NOT, _MISC, "a forwarding that was refused", "ChannelListenError"),
        (PERMANENT, SURELY_NOT, _MISC, "", "PasswordChangeRequired"),
        (PERMANENT, SURELY_NOT, "asyncssh/public_key.py", "a key that cannot be read", "KeyImportError"),
        (PERMANENT, SURELY_NOT, "asyncssh/pbe.py", "a wrong passphrase", "KeyEncryptionError"),
        (PERMANENT, SURELY_NOT, "asyncssh/config.py", "", "ConfigParseError"),
        (PERMANENT, PERHAPS, _MISC, "", "Error"),
    ),
    number_at("code").of("ChannelOpenError", *CHANNELS),
    by(read_disconnect).of(
        "DisconnectError",
        (TRANSIENT, PERHAPS, _DISCONNECT, "connection lost", "10"),
        (TRANSIENT, SURELY_NOT, "asyncssh/connection.py", "nothing was asked of the server yet", (_LOGIN,)),
        (
            TRANSIENT,
            PERHAPS,
            _DISCONNECT + "; policy",
            "by application: a server that shuts down says so",
            "11",
        ),
        (TRANSIENT, SURELY_NOT, _DISCONNECT, "too many connections", "12"),
        (
            TRANSIENT,
            PERHAPS,
            _DISCONNECT + "; policy",
            "bytes were damaged on the way, as TLS's bad record MAC",
            "5",
        ),
        (PERMANENT, SURELY_NOT, _DISCONNECT, "not allowed, no common algorithm, service or version", "1 3 7 8"),
        (PERMANENT, SURELY_NOT, _DISCONNECT, "the host key, the user or the authentication", "9 13 14 15"),
        (PERMANENT, PERHAPS, _DISCONNECT, "the protocol was broken", "2 6"),
        (PERMANENT, PERHAPS, _DISCONNECT, "any other", "other"),
    ),
    number_at("code").of(
        "SFTPError",
        (TRANSIENT, SURELY_NOT, _SFTP, "no connection", "6"),
        (TRANSIENT, PERHAPS, _SFTP, "connection lost", "7"),
        (TRANSIENT, SURELY_NOT, _SFTP + "; policy", "somebody else holds a lock, as EBUSY", "17 25"),
        (PERMANENT, SURELY_NOT, _SFTP, "the file, the rights or the request", "other"),
    ),
)
