"""Floor 2. SSH: paramiko by class and fixed text, asyncssh by the codes of the protocol."""

from __future__ import annotations

from redouble.known.inside import answer, said
from redouble.known.roots import under
from redouble.known.rows import PERMANENT, TRANSIENT, Row, by_class, coded, is_a, probe, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from redouble.core.verdict import Classification
    from redouble.known.rows import Asking, Table

_PARAMIKO = "paramiko/transport.py and channel.py"
_PARAMIKO_EXC = "paramiko/ssh_exception.py"
_ASYNCSSH = "asyncssh/misc.py"
_OPEN = "RFC 4254 5.1"
_DISCONNECT = "RFC 4253 11.1"
_SFTP = "draft-ietf-secsh-filexfer, status codes"


def _paramiko(applied: bool, note: str, *texts: str) -> tuple[Row, ...]:
    return tuple(Row("paramiko", "SSHException", text, TRANSIENT, applied, _PARAMIKO, note) for text in texts)


_TEXTS = (
    *_paramiko(
        False,
        "the server hung up, said nothing, or takes no more connections (MaxStartups)",
        "Error reading SSH protocol banner",
        "Negotiation failed.",
        "EOF during negotiation",
    ),
    *_paramiko(
        False,
        "the session ended before this was asked",
        "No existing session",
        "SSH session not active",
        "Channel is not open",
    ),
    *_paramiko(False, "no channel came about", "Timeout opening channel", "Unable to open channel"),
    *_paramiko(True, "the session was lost", "Server connection dropped"),
    *_paramiko(True, "bytes were damaged on the way, as TLS's bad record MAC", "Mismatched MAC"),
)
_UNKNOWN_TEXT = Row(
    "paramiko",
    "SSHException",
    "other",
    PERMANENT,
    False,
    _PARAMIKO,
    "keys, authentication, protocol; `Channel closed.`: the server refused a command or a subsystem",
)

_CHANNEL = coded(
    "ssh",
    "channel open",
    (
        (TRANSIENT, False, _OPEN, "connect failed: too many sessions, or nothing listens (yet)", "2"),
        (TRANSIENT, False, _OPEN, "resource shortage", "4"),
        (PERMANENT, False, _OPEN, "prohibited, or an unknown type of channel", "1 3"),
        (PERMANENT, False, _OPEN, "any other", "other"),
    ),
)
_DISCONNECTS = coded(
    "ssh",
    "disconnect",
    (
        (TRANSIENT, True, _DISCONNECT, "connection lost", "10"),
        (TRANSIENT, True, _DISCONNECT + "; policy", "by application: a server that shuts down says so", "11"),
        (TRANSIENT, False, _DISCONNECT, "too many connections", "12"),
        (TRANSIENT, True, _DISCONNECT + "; policy", "bytes were damaged on the way, as TLS's bad record MAC", "5"),
        (PERMANENT, False, _DISCONNECT, "not allowed, no common algorithm, service or version", "1 3 7 8"),
        (PERMANENT, False, _DISCONNECT, "the host key, the user or the authentication", "9 13 14 15"),
        (PERMANENT, True, _DISCONNECT, "the protocol was broken", "2 6"),
        (PERMANENT, True, _DISCONNECT, "any other", "other"),
    ),
)
_LOGIN = Row(
    "ssh",
    "disconnect",
    "10 Login timeout expired",
    TRANSIENT,
    False,
    "asyncssh/connection.py",
    "nothing was asked of the server yet",
)
_SFTP_CODES = coded(
    "ssh",
    "sftp status",
    (
        (TRANSIENT, False, _SFTP, "no connection", "6"),
        (TRANSIENT, True, _SFTP, "connection lost", "7"),
        (TRANSIENT, False, _SFTP + "; policy", "somebody else holds a lock, as EBUSY", "17 25"),
        (PERMANENT, False, _SFTP, "the file, the rights or the request", "other"),
    ),
)
_OTHER_CHANNEL, _OTHER_DISCONNECT, _OTHER_SFTP = _CHANNEL[-1], _DISCONNECTS[-1], _SFTP_CODES[-1]
_BY_CHANNEL, _BY_DISCONNECT, _BY_SFTP = (
    {int(row.code): row for row in rows if row.code != "other"} for rows in (_CHANNEL, _DISCONNECTS, _SFTP_CODES)
)

_PLAIN = (
    Row(
        "paramiko",
        "AuthenticationException",
        "",
        PERMANENT,
        False,
        _PARAMIKO_EXC + "; policy",
        "also where the server hung up meanwhile: to try again could lock the account",
    ),
    Row("paramiko", "BadHostKeyException", "", PERMANENT, False, _PARAMIKO_EXC, ""),
    Row("paramiko", "IncompatiblePeer", "", PERMANENT, False, _PARAMIKO_EXC, "no common algorithm"),
    Row("paramiko", "PipeTimeout", "", TRANSIENT, True, "paramiko/buffered_pipe.py", "an answer that did not come"),
    Row("paramiko", "SFTPError", "", PERMANENT, True, "paramiko/sftp.py", "an answer that does not fit the question"),
    Row("asyncssh", "TimeoutError", "", TRANSIENT, True, "asyncssh/process.py", "a ProcessError by class"),
    Row("asyncssh", "ProcessError", "", PERMANENT, True, "asyncssh/process.py", "`code` is an exit status"),
    Row("asyncssh", "ChannelListenError", "", PERMANENT, False, _ASYNCSSH, "a forwarding that was refused"),
    Row("asyncssh", "PasswordChangeRequired", "", PERMANENT, False, _ASYNCSSH, ""),
    Row("asyncssh", "KeyImportError", "", PERMANENT, False, "asyncssh/public_key.py", "a key that cannot be read"),
    Row("asyncssh", "KeyEncryptionError", "", PERMANENT, False, "asyncssh/pbe.py", "a wrong passphrase"),
    Row("asyncssh", "ConfigParseError", "", PERMANENT, False, "asyncssh/config.py", ""),
    Row("asyncssh", "Error", "", PERMANENT, True, _ASYNCSSH, ""),
)
_NOBODY = Row(
    "paramiko",
    "NoValidConnectionsError",
    "",
    TRANSIENT,
    False,
    _PARAMIKO_EXC,
    "an OSError without errno; as the errors of its addresses mean",
)
ROWS: tuple[Row, ...] = (
    *_TEXTS,
    _UNKNOWN_TEXT,
    *_PLAIN,
    _NOBODY,
    *_CHANNEL,
    *_DISCONNECTS,
    _LOGIN,
    *_SFTP_CODES,
    Row("paramiko", "ChannelException", "by code", TRANSIENT, False, _OPEN, "see channel open"),
    Row("asyncssh", "ChannelOpenError", "by code", TRANSIENT, False, _OPEN, "see channel open"),
    Row("asyncssh", "DisconnectError", "by code", TRANSIENT, True, _DISCONNECT, "see disconnect"),
    Row("asyncssh", "SFTPError", "by code", TRANSIENT, True, _SFTP, "see sftp status"),
)


def read_paramiko(error: Any, _: Asking) -> Classification:
    """An SSHException of no special class: a lost server and an unknown host key differ in their text alone."""
    text = said(error)
    return answer(error, next((row for row in _TEXTS if text.startswith(row.code)), _UNKNOWN_TEXT))


def read_nobody(error: Any, known: Asking) -> Classification:
    """No address could be connected to; nothing was sent to any."""
    errors = probe(error, "errors")
    for each in list(dict.values(errors))[:16] if is_a(errors, dict) else ():
        found = known.inner(each) if is_a(each, Exception) else None
        if found is not None and found.verdict is PERMANENT:
            return under(found, error, False)
    return answer(error, _NOBODY)


def read_channel(error: Any, _: Asking) -> Classification:
    """A channel that was refused."""
    return answer(error, _BY_CHANNEL.get(_code(error), _OTHER_CHANNEL))


def read_disconnect(error: Any, _: Asking) -> Classification:
    """The end of an asyncssh connection, by its reason."""
    code = _code(error)
    if code == 10 and said(error) == "Login timeout expired":
        return answer(error, _LOGIN)
    return answer(error, _BY_DISCONNECT.get(code, _OTHER_DISCONNECT))


def read_sftp(error: Any, _: Asking) -> Classification:
    """An answer of an SFTP server, as asyncssh raises it."""
    return answer(error, _BY_SFTP.get(_code(error), _OTHER_SFTP))


def _code(error: Any) -> int:
    code = whole(probe(error, "code"))
    return -1 if code is None else code


TABLE: Table = {
    **by_class(_PLAIN),
    ("paramiko", "SSHException"): read_paramiko,
    ("paramiko", "NoValidConnectionsError"): read_nobody,
    ("paramiko", "ChannelException"): read_channel,
    ("asyncssh", "ChannelOpenError"): read_channel,
    ("asyncssh", "DisconnectError"): read_disconnect,
    ("asyncssh", "SFTPError"): read_sftp,
}
