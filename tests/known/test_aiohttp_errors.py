"""Floor 1. aiohttp's errors: lookalikes by name, and the real ones where aiohttp is installed."""

from __future__ import annotations

import errno
import socket
import ssl
import warnings
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def made(
    name: str,
    *args: Any,
    module: str = "aiohttp.client_exceptions",
    base: type[Exception] = Exception,
    cause: BaseException | None = None,
    **attributes: Any,
) -> Exception:
    """An error whose class has the name of one of aiohttp's."""
    error: Exception = type(name, (base,), {"__module__": module})(*args)
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def parser(name: str) -> Exception:
    """An error of aiohttp's parser, which carries a status that nobody sent."""
    return made(name, module="aiohttp.http_exceptions", code=400)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "verdict", "applied"),
    [
        ("ConnectionTimeoutError", T, False),
        ("ServerTimeoutError", T, True),
        ("SocketTimeoutError", T, True),
        ("ServerDisconnectedError", T, True),
        ("ClientConnectionResetError", T, True),
        ("ClientOSError", T, True),
        ("ClientConnectionError", T, True),
        ("ClientPayloadError", T, True),
        ("ClientConnectorError", T, False),
        ("ClientConnectorDNSError", P, False),
        ("ClientConnectorSSLError", P, False),
        ("ClientConnectorCertificateError", P, False),
        ("ServerFingerprintMismatch", P, False),
        ("InvalidURL", P, False),
        ("TooManyRedirects", P, False),
        ("WSMessageTypeError", P, True),
    ],
)
def test_classes(name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone."""
    found = ask(made(name, "x"))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"aiohttp.{name}")


@pytest.mark.parametrize(
    ("name", "root", "verdict"),
    [
        ("ClientConnectorError", ConnectionRefusedError(errno.ECONNREFUSED, "x"), T),
        ("ClientConnectorError", ConnectionResetError(), T),
        ("ClientConnectorError", FileNotFoundError(errno.ENOENT, "a unix socket"), P),
        ("ClientConnectorDNSError", socket.gaierror(socket.EAI_NONAME, "x"), P),
        ("ClientConnectorDNSError", socket.gaierror(socket.EAI_AGAIN, "x"), T),
        ("ClientConnectorSSLError", ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x"), P),
        ("ClientConnectorSSLError", ssl.SSLEOFError(8, "x"), T),
    ],
)
def test_connecting(name: str, root: OSError, verdict: Verdict) -> None:
    """By the OSError that is carried, never by the errno that was copied; nothing was sent."""
    found = ask(made(name, os_error=root, base=OSError, errno=104))
    assert (found.verdict, found.applied) == (verdict, False)


@pytest.mark.parametrize(
    ("args", "verdict"),
    [
        ((4, "Domain name not found"), P),
        ((1, "no data"), P),
        ((12, "Timeout"), T),
        ((3, "SERVFAIL"), T),
        ((999, "x"), P),
        ((), P),
    ],
)
def test_look_ups_by_aiodns(args: tuple[Any, ...], verdict: Verdict) -> None:
    """c-ares has numbers of its own; aiohttp puts an OSError without an errno between."""
    root = OSError(None, "x")
    root.__cause__ = made("DNSError", *args, module="aiodns.error")
    assert ask(made("ClientConnectorDNSError", os_error=root)).verdict is verdict


def test_in_flight() -> None:
    """A reset may come after the request, a TLS alert may be about a certificate."""
    assert ask(made("ClientOSError", 104, "x", cause=ConnectionResetError(errno.ECONNRESET, "x"))).applied is True
    assert ask(made("ClientOSError", 1, "x", cause=ssl.SSLCertVerificationError(1, "x"))).verdict is P
    lost = ask(made("ClientConnectionError", "Connection lost: x", cause=ConnectionResetError(errno.ECONNRESET, "x")))
    assert (lost.verdict, lost.applied) == (T, True)


def test_a_connector_that_was_closed() -> None:
    """It was us."""
    found = ask(made("ClientConnectionError", "Connector is closed."))
    assert (found.verdict, found.applied) == (P, False)


def test_statuses() -> None:
    """By the status and the headers, also of an error page that came where JSON was wanted."""
    found = ask(made("ClientResponseError", status=503, headers={"Retry-After": "2"}))
    assert (found.verdict, found.retry_after, found.applied) == (T, 2.0, False)
    assert found.reason == "aiohttp.ClientResponseError 503"
    assert ask(made("ClientResponseError", status=404, headers=None)).verdict is P
    assert ask(made("ClientResponseError", status=502, headers=None)).applied is True


@pytest.mark.parametrize("status", [0, 101, 200, None, "503"])
def test_statuses_that_are_none(status: Any) -> None:
    """Statuses are invented."""
    found = ask(made("ClientResponseError", status=status))
    assert (found.verdict, found.reason) == (P, "aiohttp.ClientResponseError")


def test_a_status_that_nobody_sent() -> None:
    """The parser's 400 is no answer: what speaks on this port is no HTTP, and it has got the request."""
    found = ask(made("ClientResponseError", status=400, cause=parser("BadStatusLine")))
    assert (found.verdict, found.applied, found.reason) == (P, True, "aiohttp.ClientResponseError [not HTTP]")


def test_an_answer_that_was_cut_in_its_first_chunk() -> None:
    """The parser refuses half a chunk size together with the answer: it was cut, and may come whole."""
    cause = made("TransferEncodingError", module="aiohttp.http_exceptions", message="Invalid chunk size")
    found = ask(made("ClientResponseError", status=400, cause=cause))
    assert (found.verdict, found.applied, found.reason) == (T, True, "aiohttp.ClientResponseError [chunk size]")


def test_payloads() -> None:
    """An answer that was cut may come whole; one that cannot be decoded will not."""
    assert ask(made("ClientPayloadError", "x", cause=parser("TransferEncodingError"))).verdict is T
    found = ask(made("ClientPayloadError", "x", cause=parser("ContentEncodingError")))
    assert (found.verdict, found.applied) == (P, True)


def test_what_a_proxy_says() -> None:
    """The request itself was not sent."""
    for status, verdict in ((407, P), (502, T), (200, P)):
        found = ask(made("ClientHttpProxyError", status=status, headers=None))
        assert (found.verdict, found.applied) == (verdict, False)


def test_the_real_ones() -> None:
    """The names and attributes are those that aiohttp has, and its `code`, which warns, is left alone."""
    aiohttp = pytest.importorskip("aiohttp")
    multidict, yarl = pytest.importorskip("multidict"), pytest.importorskip("yarl")
    headers = multidict.CIMultiDictProxy(multidict.CIMultiDict({"Retry-After": "7"}))
    url = yarl.URL("http://x/")
    info = aiohttp.RequestInfo(url, "GET", headers, url)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ask(aiohttp.ClientResponseError(info, (), status=429, headers=headers))
        assert (found.verdict, found.retry_after) == (T, 7.0)
        assert ask(aiohttp.ContentTypeError(info, (), status=200)).verdict is P
        assert ask(aiohttp.TooManyRedirects(info, ())).verdict is P
    refused = aiohttp.ClientConnectorError(None, ConnectionRefusedError(errno.ECONNREFUSED, "x"))
    assert (ask(refused).verdict, ask(refused).applied) == (T, False)
    assert (
        ask(
            aiohttp.client_exceptions.UnixClientConnectorError("/x", None, FileNotFoundError(errno.ENOENT, "x"))
        ).verdict
        is P
    )
    assert ask(aiohttp.ClientConnectorCertificateError(None, ssl.SSLCertVerificationError(1, "x"))).verdict is P
    assert ask(aiohttp.ServerDisconnectedError()).applied is True
