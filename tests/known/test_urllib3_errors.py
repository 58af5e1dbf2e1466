"""Floor 1. urllib3's errors: lookalikes by name, and the real ones where urllib3 is installed."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def made(name: str, *args: Any, base: type[Exception] = Exception, **attributes: Any) -> Exception:
    """An error whose class has the name of one of urllib3's."""
    error: Exception = type(name, (base,), {"__module__": "urllib3.exceptions"})(*args)
    vars(error).update(attributes)
    return error


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def caused(error: Exception, cause: Exception) -> Exception:
    """`raise error from cause`."""
    error.__cause__ = cause
    return error


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
NO_NAME = socket.gaierror(socket.EAI_NONAME, "x")
CERTIFICATE = ssl.SSLCertVerificationError(1, "x")
TLS_CUT = ssl.SSLEOFError(8, "EOF")


@pytest.mark.parametrize(
    ("name", "verdict", "applied"),
    [
        ("ConnectTimeoutError", T, False),
        ("NewConnectionError", T, False),
        ("EmptyPoolError", T, False),
        ("ReadTimeoutError", T, True),
        ("ProtocolError", T, True),
        ("IncompleteRead", T, True),
        ("MaxRetryError", T, True),
        ("ProxyError", T, False),
        ("SSLError", P, False),
        ("NameResolutionError", P, False),
        ("ResponseError", P, False),
        ("ClosedPoolError", P, False),
        ("LocationValueError", P, False),
        ("DecodeError", P, True),
    ],
)
def test_classes(name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone, with nothing beneath it."""
    found = ask(made(name, "x"))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"urllib3.{name}")


def test_connecting() -> None:
    """No connection, no request: never applied, and permanent where what lies beneath is."""
    assert ask(caused(made("NewConnectionError"), REFUSED)).applied is False
    assert ask(caused(made("NewConnectionError"), PermissionError(errno.EACCES, "x"))).verdict is P
    assert ask(made("NameResolutionError", _reason=NO_NAME)).verdict is P
    again = ask(made("NameResolutionError", _reason=socket.gaierror(socket.EAI_AGAIN, "x")))
    assert (again.verdict, again.applied) == (T, False)


def test_a_connection_that_breaks() -> None:
    """As the error among the arguments; what refuses to connect has not got the request."""
    broken = ask(made("ProtocolError", "Connection aborted.", ConnectionResetError(errno.ECONNRESET, "x")))
    assert (broken.verdict, broken.applied) == (T, True)
    refused = ask(made("ProtocolError", "Connection aborted.", REFUSED))
    assert (refused.verdict, refused.applied) == (T, False)
    missing = ask(made("ProtocolError", "Connection aborted.", FileNotFoundError(errno.ENOENT, "/var/run/docker.sock")))
    assert (missing.verdict, missing.applied) == (P, False)
    garbage = ask(made("ProtocolError", "Connection aborted.", http.client.BadStatusLine("SSH-2.0")))
    assert garbage.verdict is P
    hung_up = ask(made("ProtocolError", "Connection aborted.", http.client.RemoteDisconnected("x")))
    assert (hung_up.verdict, hung_up.applied) == (T, True)
    chunk = ask(made("ProtocolError", "Response may not contain content.", ValueError("chunk")))
    assert (chunk.verdict, chunk.applied) == (T, True)


def test_tls() -> None:
    """By the root: a certificate stays refused, a handshake that was cut may pass; with a cause the answer was cut."""
    assert ask(made("SSLError", CERTIFICATE)).verdict is P
    handshake = ask(made("SSLError", TLS_CUT))
    assert (handshake.verdict, handshake.applied) == (T, False)
    reading = ask(caused(made("SSLError", TLS_CUT), TLS_CUT))
    assert (reading.verdict, reading.applied) == (T, True)


@pytest.mark.parametrize(
    ("original", "verdict"),
    [
        (OSError("Tunnel connection failed: 407 Proxy Authentication Required"), P),
        (OSError("Tunnel connection failed: 403 Forbidden"), P),
        (OSError("Tunnel connection failed: 502 Bad Gateway"), T),
        (OSError("Tunnel connection failed: 5"), T),
        (OSError("Tunnel connection failed: 999 x"), T),
        (OSError(), T),
        ("text", T),
        (REFUSED, T),
        (NO_NAME, P),
        (CERTIFICATE, P),
    ],
)
def test_proxies(original: Any, verdict: Verdict) -> None:
    """Through a proxy that refuses there is no way; nothing was sent to the server."""
    found = ask(made("ProxyError", "Unable to connect to proxy", original_error=original))
    assert (found.verdict, found.applied) == (verdict, False)


@pytest.mark.parametrize(
    ("text", "verdict", "applied"),
    [
        ("too many 503 error responses", T, True),
        ("too many 500 error responses", T, True),
        ("too many 413 error responses", T, False),
        ("too many error responses", P, False),
        ("too many redirects", P, False),
        ("too many 5031 error responses", P, False),
        (None, P, False),
    ],
)
def test_retries_that_were_used_up(text: Any, verdict: Verdict, applied: bool) -> None:
    """MaxRetryError means what its reason means; a list of statuses says that these may pass."""
    reason = made("ResponseError", text)
    found = ask(made("MaxRetryError", "x", reason=reason))
    assert (found.verdict, found.applied) == (verdict, applied)
    assert found.reason.endswith("under urllib3.MaxRetryError")


def test_a_retried_read_timeout_may_have_been_applied() -> None:
    """The phase is that of the reason."""
    assert ask(made("MaxRetryError", reason=made("ReadTimeoutError"))).applied is True
    assert ask(made("MaxRetryError", reason=made("ConnectTimeoutError"))).applied is False


def test_the_real_ones() -> None:
    """The names and attributes are those that urllib3 has."""
    urllib3 = pytest.importorskip("urllib3")
    exceptions = urllib3.exceptions
    new = exceptions.NewConnectionError(None, "x")
    found = ask(exceptions.MaxRetryError(None, "/", caused(new, REFUSED)))
    assert (found.verdict, found.applied) == (T, False)
    assert found.reason == "ConnectionRefusedError [ECONNREFUSED] under urllib3.MaxRetryError"
    assert ask(exceptions.NameResolutionError("x", None, NO_NAME)).verdict is P
    assert ask(exceptions.ProxyError("x", OSError("Tunnel connection failed: 407 x"))).verdict is P
    assert ask(exceptions.ResponseError(exceptions.ResponseError.SPECIFIC_ERROR.format(status_code=503))).verdict is T
    assert ask(exceptions.URLSchemeUnknown("htp")).verdict is P
    assert ask(exceptions.IncompleteRead(4, 996)).verdict is T
