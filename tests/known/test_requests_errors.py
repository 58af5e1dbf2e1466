"""Floor 1. requests' errors: lookalikes by name, and the real ones where requests is installed."""

from __future__ import annotations

import errno
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING


def made(name: str, *args: Any, module: str = "requests.exceptions", **attributes: Any) -> Exception:
    """An error whose class has the name of one of requests', or of urllib3's; theirs are OSErrors too."""
    base = OSError if module.startswith("requests") else Exception
    error: Exception = type(name, (base,), {"__module__": module})(*args)
    vars(error).update(attributes)
    return error


def beneath(name: str, *args: Any, **attributes: Any) -> Exception:
    """An error of urllib3."""
    return made(name, *args, module="urllib3.exceptions", **attributes)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def answer(status: Any, headers: Any = None, body: Any = False) -> Exception:
    """What `raise_for_status` raises."""
    response = SimpleNamespace(status_code=status, headers=headers or {}, _content=body)
    return made("HTTPError", "x", response=response)


@pytest.mark.parametrize(
    ("name", "verdict", "applied"),
    [
        ("ConnectTimeout", T, False),
        ("ReadTimeout", T, True),
        ("Timeout", T, True),
        ("ChunkedEncodingError", T, True),
        ("ConnectionError", T, True),
        ("ProxyError", T, False),
        ("RetryError", T, False),
        ("SSLError", P, False),
        ("InvalidURL", P, False),
        ("MissingSchema", P, False),
        ("TooManyRedirects", P, False),
        ("JSONDecodeError", P, True),
        ("ContentDecodingError", P, True),
    ],
)
def test_classes(name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone; that most of them are OSErrors does not matter."""
    found = ask(made(name, "x"))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"requests.{name}")


def test_statuses() -> None:
    """An HTTPError is judged by its response, which is falsy in requests."""
    found = ask(answer(503, {"Retry-After": "2"}))
    assert (found.verdict, found.retry_after, found.applied) == (T, 2.0, False)
    assert found.reason == "requests.HTTPError 503"
    assert ask(answer(404)).verdict is P
    assert ask(answer(502)).applied is True


def test_a_login_that_is_pending() -> None:
    """RFC 8628, out of a body that is loaded; one that is not is left alone."""
    assert ask(answer(400, body=b'{"error": "authorization_pending"}')).verdict is PENDING
    assert ask(answer(400, body=b'{"error": "expired_token"}')).verdict is P
    assert ask(answer(400)).verdict is P


@pytest.mark.parametrize("response", [None, 5, SimpleNamespace(status_code="503"), SimpleNamespace(status_code=True)])
def test_without_a_status(response: Any) -> None:
    """An HTTPError without a response, or with one of another kind, says nothing."""
    assert known_errors.ask(made("HTTPError", response=response)) is None


def test_what_urllib3_says() -> None:
    """The phase and the root come from the urllib3 error among the arguments."""
    refused = beneath("NewConnectionError")
    refused.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    found = ask(made("ConnectionError", beneath("MaxRetryError", reason=refused)))
    assert (found.verdict, found.applied) == (T, False)
    assert found.reason == "ConnectionRefusedError [ECONNREFUSED] under requests.ConnectionError"
    reset = beneath("ProtocolError", "Connection aborted.", ConnectionResetError(errno.ECONNRESET, "x"))
    assert ask(made("ConnectionError", reset)).applied is True
    assert ask(made("ConnectionError", beneath("ReadTimeoutError"))).applied is True
    assert ask(made("ConnectionError", beneath("ClosedPoolError"))).verdict is P
    retried = beneath("MaxRetryError", reason=beneath("ResponseError", "too many 500 error responses"))
    assert (ask(made("RetryError", retried)).verdict, ask(made("RetryError", retried)).applied) == (T, True)


def test_a_handshake_that_took_too_long() -> None:
    """Only Python's own text, far beneath, tells it from an answer that did not come: nothing was sent yet."""
    for text, applied in (
        ("_ssl.c:990: The handshake operation timed out", False),
        ("The read operation timed out", True),
    ):
        late = made("ReadTimeout", beneath("ReadTimeoutError"))
        late.__cause__ = beneath("ReadTimeoutError")
        late.__cause__.__context__ = TimeoutError(text)
        assert (ask(late).verdict, ask(late).applied) == (T, applied)


def test_tls_and_proxies() -> None:
    """A certificate stays refused, and so does a proxy that wants a password."""
    cut = beneath("MaxRetryError", reason=beneath("SSLError", ssl.SSLEOFError(8, "EOF")))
    assert (ask(made("SSLError", cut)).verdict, ask(made("SSLError", cut)).applied) == (T, False)
    certificate = beneath("MaxRetryError", reason=beneath("SSLError", ssl.SSLCertVerificationError(1, "x")))
    assert ask(made("SSLError", certificate)).verdict is P
    tunnel = OSError("Tunnel connection failed: 407 Proxy Authentication Required")
    proxy = beneath("MaxRetryError", reason=beneath("ProxyError", original_error=tunnel))
    assert (ask(made("ProxyError", proxy)).verdict, ask(made("ProxyError", proxy)).applied) == (P, False)


def test_the_real_ones() -> None:
    """The names and attributes are those that requests has."""
    requests = pytest.importorskip("requests")
    response = requests.Response()
    response.status_code, response._content = 400, b'{"error": "slow_down"}'
    with pytest.raises(requests.HTTPError) as raised:
        response.raise_for_status()
    assert ask(raised.value).verdict is PENDING
    response.status_code = 429
    response.headers["Retry-After"] = "3"
    with pytest.raises(requests.HTTPError) as raised:
        response.raise_for_status()
    assert (ask(raised.value).verdict, ask(raised.value).retry_after) == (T, 3.0)
    assert ask(requests.exceptions.JSONDecodeError("Expecting value", "x", 0)).verdict is P
    assert ask(requests.exceptions.InvalidProxyURL("x")).verdict is P
