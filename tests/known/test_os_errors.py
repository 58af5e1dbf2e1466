"""Floor 1. OSError and its subclasses, by errno."""

from __future__ import annotations

import asyncio
import builtins
import errno
import os
from typing import Any

import pytest

from redouble import Classification, Verdict, classify, known_errors
from redouble.known.tables.builtins import TABLE

UNSENT = (
    "ECONNREFUSED EHOSTUNREACH ENETUNREACH ENETDOWN EHOSTDOWN EADDRNOTAVAIL EAGAIN EINTR ENOBUFS ENOMEM EMFILE ENFILE"
)
UNSENT += " EBUSY ENOLCK EDEADLK ESTALE"
MAYBE = "ETIMEDOUT ECONNRESET ECONNABORTED EPIPE ENETRESET ENOTCONN ESHUTDOWN"
NEVER = (
    "ENOENT EACCES EPERM EEXIST EISDIR ENOTDIR EINVAL EBADF EROFS ENAMETOOLONG EAFNOSUPPORT EPROTONOSUPPORT ELOOP EFBIG"
)
NEVER += " ENOSPC EDQUOT"


def made(name: str) -> OSError:
    """The error that Python itself makes of this errno."""
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize("name", UNSENT.split())
def test_transient_and_surely_not_applied(name: str) -> None:
    """Nothing was sent, or a resource is used up for the moment."""
    found = ask(made(name))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, False)
    assert found.reason == f"{type(made(name)).__name__} [{name}]"


@pytest.mark.parametrize("name", MAYBE.split())
def test_transient_and_perhaps_applied(name: str) -> None:
    """The connection was there, and the peer may have done what it was asked."""
    found = ask(made(name))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)


@pytest.mark.parametrize("name", NEVER.split())
def test_permanent(name: str) -> None:
    """What only a person can change is not tried again."""
    assert ask(made(name)).verdict is Verdict.PERMANENT


def test_classifications_are_made_once() -> None:
    """The second error of a kind costs a look-up."""
    assert ask(made("ECONNRESET")) is ask(made("ECONNRESET"))
    assert ask(TimeoutError()) is ask(TimeoutError("timed out"))


@pytest.mark.parametrize("row", [row for row in TABLE.rows if not row.code], ids=lambda row: row.name)
def test_classes_without_an_errno(row: Any) -> None:
    """The TimeoutError of asyncio has no errno, and a ConnectionResetError in its TLS handshake has none either."""
    found = ask(getattr(builtins, row.name)())
    assert (found.verdict, found.applied, found.reason) == (row.verdict, row.applied, row.name)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (TimeoutError("timed out during opening handshake"), Verdict.TRANSIENT),
        (TimeoutError("timed out while waiting for handshake response"), Verdict.TRANSIENT),
        (TimeoutError("timed out while connecting to HTTP proxy"), Verdict.TRANSIENT),
        (TimeoutError("_ssl.c:990: The handshake operation timed out"), Verdict.TRANSIENT),
        (ConnectionError("connection closed during TLS handshake"), Verdict.TRANSIENT),
        (ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'), Verdict.PERMANENT),
    ],
)
def test_words_of_clients_that_raise_builtins(error: Exception, verdict: Verdict) -> None:
    """Websockets, ssl and asyncpg say in a fixed text that nothing was asked of the server yet."""
    found = ask(error)
    assert (found.verdict, found.applied) == (verdict, False)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("timed out while closing connection"),
        TimeoutError(errno.ETIMEDOUT, "timed out during opening handshake"),
        TimeoutError(),
        ConnectionError("rejected SSL upgrade"),
        ConnectionError(),
        type("Late", (TimeoutError,), {"__module__": "mine"})("timed out during opening handshake"),
    ],
)
def test_other_words_mean_nothing(error: Exception) -> None:
    """Any other text, an errno, and a class of somebody's own are judged without the text."""
    found = ask(error)
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, True)


def test_a_channel_of_paramiko_that_is_closed() -> None:
    """The session was lost, and what was asked before may have been done; with an errno or of a class it is not paramiko's."""
    found = ask(OSError("Socket is closed"))
    assert (found.verdict, found.applied, found.reason) == (Verdict.TRANSIENT, True, "OSError [Socket is closed]")
    assert known_errors.ask(OSError("Socket is closed!")) is None
    assert known_errors.ask(OSError(99999, "Socket is closed")) is None
    assert known_errors.ask(type("Own", (OSError,), {"__module__": "mine"})("Socket is closed")) is None


def test_a_number_of_another_platform() -> None:
    """The class decides where the number has no name here."""
    assert ask(ConnectionResetError(54321, "reset")).verdict is Verdict.TRANSIENT


@pytest.mark.parametrize(
    "error", [OSError(), OSError("no idea"), OSError(99999, "new"), OSError(0, "x"), OSError([], "x")]
)
def test_unknown_numbers_have_no_opinion(error: OSError) -> None:
    """An OSError without a known number leaves the word to its explicit cause."""
    assert known_errors.ask(error) is None
    error.__cause__ = ConnectionResetError(errno.ECONNRESET, "reset")
    assert classify(error).reason == "ConnectionResetError [ECONNRESET] under OSError"


def test_a_timeout_caused_by_a_cancellation() -> None:
    """`asyncio.timeout` raises TimeoutError from CancelledError: a timeout, not a cancellation."""

    async def main() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(main())
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    found = classify(caught.value)
    assert (found.verdict, found.applied, found.reason) == (Verdict.TRANSIENT, True, "TimeoutError")


def several(*names: str) -> OSError:
    """What asyncio's create_connection makes of several dead addresses: no cause, no context, no errno."""
    parts = (f"[Errno {getattr(errno, name)}] Connect call failed ('::1', 1, 0, 0)" for name in names)
    return OSError(f"Multiple exceptions: {', '.join(parts)}")


def test_several_dead_addresses() -> None:
    """All numbers transient: transient, and nothing was sent, not even where one timed out."""
    found = ask(several("ECONNREFUSED", "ETIMEDOUT", "ECONNREFUSED"))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, False)
    assert found.reason == "OSError [ECONNREFUSED ETIMEDOUT] for each address"


def test_several_addresses_one_of_them_for_good() -> None:
    """One permanent number makes it permanent."""
    found = ask(several("ECONNREFUSED", "EACCES"))
    assert (found.verdict, found.reason) == (Verdict.PERMANENT, "OSError [EACCES] among multiple exceptions")


@pytest.mark.parametrize(
    "text",
    [
        "Multiple exceptions: ",
        "Multiple exceptions: [Errno 99999] x, [Errno 111] y",
        "Multiple exceptions: [Errno x] y",
        "Multiple exceptions: [Errno 1111111111] y",
        "Multiple exceptions: [Errno -1] y",
        "some [Errno 111] text",
    ],
)
def test_other_texts_say_nothing(text: str) -> None:
    """Numbers that are not known, or stand elsewhere, are not read."""
    assert known_errors.ask(OSError(text)) is None


def test_numbers_of_windows() -> None:
    """Windows reports some network errors as EINVAL, with the number in `winerror` or in asyncio's text."""
    error = OSError(errno.EINVAL, "The specified network name is no longer available")
    assert ask(error).verdict is Verdict.PERMANENT
    error.winerror = 64
    found = ask(error)
    assert (found.verdict, found.reason) == (Verdict.TRANSIENT, "OSError [ECONNRESET]")
    found = ask(OSError("Multiple exceptions: [WinError 1225] x, [WinError 1225] y"))
    assert (found.verdict, found.applied) == (Verdict.TRANSIENT, False)


def test_no_message_in_a_reason() -> None:
    """An error's text may hold a secret, and stays out of the reason."""
    assert "hunter2" not in ask(OSError(errno.ECONNREFUSED, "hunter2", "/hunter2")).reason
