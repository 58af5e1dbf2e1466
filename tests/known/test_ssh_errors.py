"""Floor 1. paramiko's and asyncssh's errors: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def kind(module: str, name: str, *bases: type) -> Any:
    """A class that has the name of one of a client's."""
    return type(name, bases or (Exception,), {"__module__": module})


SSH = kind("paramiko.ssh_exception", "SSHException")
NOBODY = kind("paramiko.ssh_exception", "NoValidConnectionsError", OSError)
ERROR = kind("asyncssh.misc", "Error")
DISCONNECT = kind("asyncssh.misc", "DisconnectError", ERROR)
OPEN = kind("asyncssh.misc", "ChannelOpenError", ERROR)
SFTP = kind("asyncssh.sftp", "SFTPError", ERROR)
CHANNEL = kind("paramiko.ssh_exception", "ChannelException", SSH)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def coded(cls: Any, code: Any) -> Any:
    """An error with a code."""
    error = cls("x")
    error.code = code
    return error


@pytest.mark.parametrize(
    ("text", "verdict", "applied"),
    [
        ("Error reading SSH protocol banner", T, False),
        ("Error reading SSH protocol banner[Errno 104] Connection reset by peer", T, False),
        ("Negotiation failed.", T, False),
        ("No existing session", T, False),
        ("SSH session not active", T, False),
        ("Timeout opening channel.", T, False),
        ("Unable to open channel.", T, False),
        ("Server connection dropped: ", T, True),
        ("Mismatched MAC", T, True),
        ("No authentication methods available", P, False),
        ("Server 'h' not found in known_hosts", P, False),
        ("Bad host key from server", P, False),
        ("TCP forwarding request denied", P, False),
        ("Channel closed.", P, False),
        ("", P, False),
    ],
)
def test_texts(text: str, verdict: Verdict, applied: bool) -> None:
    """The same class for a lost server and an unknown key."""
    found = ask(SSH(text))
    assert (found.verdict, found.applied) == (verdict, applied)


@pytest.mark.parametrize(
    ("module", "name", "verdict", "applied"),
    [
        ("paramiko.ssh_exception", "AuthenticationException", P, False),
        ("paramiko.ssh_exception", "BadHostKeyException", P, False),
        ("paramiko.ssh_exception", "IncompatiblePeer", P, False),
        ("paramiko.buffered_pipe", "PipeTimeout", T, True),
        ("asyncssh.process", "TimeoutError", T, True),
        ("asyncssh.process", "ProcessError", P, True),
        ("asyncssh.public_key", "KeyImportError", P, False),
        ("asyncssh.misc", "Error", P, True),
    ],
)
def test_classes(module: str, name: str, verdict: Verdict, applied: bool) -> None:
    """Classes that decide alone."""
    found = ask(kind(module, name)("Error reading SSH protocol banner"))
    assert (found.verdict, found.applied) == (verdict, applied)


@pytest.mark.parametrize("cls", [CHANNEL, OPEN])
@pytest.mark.parametrize(
    ("code", "verdict"), [(2, T), (4, T), (1, P), (3, P), (0xFFFFFFFE, P), ("2", P), (True, P), (None, P)]
)
def test_channels(cls: Any, code: Any, verdict: Verdict) -> None:
    """The codes of RFC 4254; nothing was asked over a channel that was not opened."""
    found = ask(coded(cls, code))
    assert (found.verdict, found.applied) == (verdict, False)


@pytest.mark.parametrize(
    ("codes", "verdict", "applied"),
    [((10, 11, 5), T, True), ((12,), T, False), ((1, 3, 7, 8, 9, 13, 14, 15), P, False), ((2, 6, 4, 99), P, True)],
)
def test_disconnects(codes: tuple[int, ...], verdict: Verdict, applied: bool) -> None:
    """The codes of RFC 4253."""
    for code in codes:
        found = ask(coded(DISCONNECT, code))
        assert (found.verdict, found.applied) == (verdict, applied), code


@pytest.mark.parametrize(
    ("code", "text", "applied"),
    [
        (10, "Login timeout expired", False),
        (10, "Connection lost", True),
        (11, "Login timeout expired", True),
    ],
)
def test_a_login_that_took_too_long(code: int, text: str, applied: bool) -> None:
    """Nobody was logged in, so nothing was asked; only the text tells it from a connection that was lost in use."""
    error = coded(DISCONNECT, code)
    error.args = (text,)
    found = ask(error)
    assert (found.verdict, found.applied) == (T, applied)


@pytest.mark.parametrize(
    ("code", "verdict", "applied"),
    [(6, T, False), (7, T, True), (17, T, False), (25, T, False), (2, P, False), (4, P, False), (None, P, False)],
)
def test_files(code: Any, verdict: Verdict, applied: bool) -> None:
    """The status codes of SFTP."""
    found = ask(coded(SFTP, code))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_no_address_that_answers() -> None:
    """An OSError without an errno, which keeps those of its addresses."""
    error = NOBODY(None, "Unable to connect")
    assert (ask(error).verdict, ask(error).applied) == (T, False)
    error.errors = {("h", 22): OSError(errno.ECONNREFUSED, "x"), ("i", 22): ValueError()}
    assert ask(error).verdict is T
    error.errors["j", 22] = PermissionError(errno.EACCES, "x")
    found = ask(error)
    assert (found.verdict, found.reason) == (P, "PermissionError [EACCES] under paramiko.NoValidConnectionsError")
    error.errors = {1: "text"}
    assert ask(error).verdict is T


def test_the_real_paramiko() -> None:
    """The classes of paramiko."""
    paramiko = pytest.importorskip("paramiko")
    assert ask(paramiko.SSHException("SSH session not active")).verdict is T
    assert ask(paramiko.PasswordRequiredException("x")).verdict is P
    refused = {("127.0.0.1", 1): OSError(errno.ECONNREFUSED, "x")}
    assert ask(paramiko.ssh_exception.NoValidConnectionsError(refused)).verdict is T
    assert ask(paramiko.ChannelException(2, "x")).verdict is T


def test_the_real_asyncssh() -> None:
    """The classes of asyncssh."""
    asyncssh = pytest.importorskip("asyncssh")
    assert ask(asyncssh.ConnectionLost("x")).applied is True
    assert ask(asyncssh.ConnectionLost("Login timeout expired")).applied is False
    assert ask(asyncssh.PermissionDenied("x")).verdict is P
    assert ask(asyncssh.SFTPNoConnection("x")).applied is False
    assert ask(asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "x")).verdict is T
