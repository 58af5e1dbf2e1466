"""Floor 1. httpx's, httpx2's and httpcore's errors: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING


def made(name: str, *args: Any, package: str = "httpx") -> Exception:
    """An error whose class has the name of one of httpx's."""
    error: Exception = type(name, (Exception,), {"__module__": f"{package}._exceptions"})(*args)
    return error


def chain(name: str, root: BaseException | None, package: str = "httpx") -> Exception:
    """As httpx raises it: from httpcore's error, whose own root is only in a suppressed context."""
    inner = made(name, package=package.replace("httpx", "httpcore"))
    inner.__context__, inner.__suppress_context__ = root, True
    outer = made(name, package=package)
    outer.__cause__ = inner
    return outer


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("name", "verdict", "applied"),
    [
        ("ConnectTimeout", T, False),
        ("PoolTimeout", T, False),
        ("ReadTimeout", T, True),
        ("WriteTimeout", T, True),
        ("ConnectError", T, False),
        ("ReadError", T, True),
        ("WriteError", T, True),
        ("CloseError", T, True),
        ("RemoteProtocolError", T, True),
        ("ProxyError", T, False),
        ("UnsupportedProtocol", P, False),
        ("LocalProtocolError", P, False),
        ("InvalidURL", P, False),
        ("DecodingError", P, True),
        ("TooManyRedirects", P, False),
        ("StreamError", P, True),
    ],
)
def test_classes(package: str, name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone, in both packages."""
    found = ask(made(name, "x", package=package))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"{package}.{name}")


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("name", "root", "verdict", "applied"),
    [
        ("ConnectError", ConnectionRefusedError(errno.ECONNREFUSED, "x"), T, False),
        ("ConnectError", ConnectionResetError(errno.ECONNRESET, "x"), T, False),
        ("ConnectError", ssl.SSLEOFError(8, "x"), T, False),
        ("ConnectError", ssl.SSLCertVerificationError(1, "x"), P, False),
        ("ConnectError", socket.gaierror(socket.EAI_NONAME, "x"), P, False),
        ("ConnectError", socket.gaierror(socket.EAI_AGAIN, "x"), T, False),
        ("ConnectError", FileNotFoundError(errno.ENOENT, "a unix socket"), P, False),
        ("ReadError", ConnectionResetError(errno.ECONNRESET, "x"), T, True),
        ("ReadError", OSError(errno.EHOSTUNREACH, "no route"), T, True),
        ("ReadError", ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] x"), P, False),
        ("PoolTimeout", TimeoutError(), T, False),
        ("ReadTimeout", asyncio.CancelledError(), T, True),
        ("RemoteProtocolError", ValueError("chunk"), T, True),
    ],
)
def test_chains(package: str, name: str, root: BaseException, verdict: Verdict, applied: bool) -> None:
    """The root decides of ConnectError and its kin; never a cancellation or a ValueError."""
    found = ask(chain(name, root, package))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_the_reason_leaves_out_what_is_between() -> None:
    """Root and outermost."""
    found = ask(chain("ConnectError", ConnectionRefusedError(errno.ECONNREFUSED, "x")))
    assert found.reason == "ConnectionRefusedError [ECONNREFUSED] under httpx.ConnectError"


@pytest.mark.parametrize("text", ["illegal status line: bytearray(b'SSH-2.0')", "illegal request line"])
def test_what_is_not_http(text: str) -> None:
    """A port that speaks something else will go on doing so; httpcore's own errors carry h11's."""
    assert ask(made("RemoteProtocolError", text)).verdict is P
    assert ask(made("RemoteProtocolError", ValueError(text), package="httpcore")).verdict is P
    assert ask(made("RemoteProtocolError")).verdict is T


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("407 Proxy Authentication Required", P),
        ("503 Service Unavailable", T),
        ("Invalid username/password", P),
        ("Proxy Server could not connect: Connection not allowed by ruleset.", P),
        ("Proxy Server could not connect: Connection refused.", T),
        ("", T),
    ],
)
def test_proxies(text: str, verdict: Verdict) -> None:
    """By the status that the proxy gave to CONNECT, or what a SOCKS proxy objects to."""
    found = ask(made("ProxyError", text))
    assert (found.verdict, found.applied) == (verdict, False)


def test_statuses() -> None:
    """An HTTPStatusError is judged by its response; one without says nothing."""
    error: Any = made("HTTPStatusError", "x")
    assert known_errors.ask(error) is None
    error.response = SimpleNamespace(status_code=503, headers={"retry-after": "2"})
    found = ask(error)
    assert (found.verdict, found.retry_after, found.applied, found.reason) == (
        T,
        2.0,
        False,
        "httpx.HTTPStatusError 503",
    )
    error.response = SimpleNamespace(status_code=400, headers={}, _content=b'{"error":"authorization_pending"}')
    assert ask(error).verdict is PENDING


@pytest.mark.parametrize("package", ["httpx", "httpx2"])
def test_the_real_ones(package: str) -> None:
    """The names and attributes are those that httpx has, and its headers are read."""
    httpx = pytest.importorskip(package)
    request = httpx.Request("POST", "http://x/")
    headers = {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:07 GMT"}
    with pytest.raises(httpx.HTTPStatusError) as raised:
        httpx.Response(429, headers=headers, request=request).raise_for_status()
    assert (ask(raised.value).verdict, ask(raised.value).retry_after) == (T, 30.0)
    with pytest.raises(httpx.HTTPStatusError) as raised:
        httpx.Response(400, json={"error": "slow_down"}, request=request).raise_for_status()
    assert ask(raised.value).verdict is PENDING
    assert ask(httpx.ConnectError("no request was set")).applied is False
    assert ask(httpx.ResponseNotRead()).verdict is P
