"""Floor 1. The errors of the SDKs of OpenAI and Anthropic: lookalikes by name, and the real ones where installed."""

from __future__ import annotations

import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING
SDKS = pytest.mark.parametrize("package", ["openai", "anthropic"])


def made(name: str, package: str = "openai", cause: BaseException | None = None, **attributes: Any) -> Exception:
    """An error whose class has the name of one of the SDK's."""
    error: Exception = type(name, (Exception,), {"__module__": f"{package}._exceptions"})("m")
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def answer(
    status: int, headers: Any = None, package: str = "openai", name: str = "APIStatusError", **more: Any
) -> Exception:
    """An error with a response."""
    response = SimpleNamespace(status_code=status, headers=headers or {}, _content=b"{}")
    return made(name, package, response=response, **more)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@SDKS
@pytest.mark.parametrize(
    ("status", "verdict", "applied"),
    [
        (408, T, False),
        (409, T, False),
        (429, T, False),
        (500, T, True),
        (503, T, True),
        (529, T, False),
        (400, P, False),
        (401, P, False),
        (402, P, False),
        (501, P, False),
    ],
)
def test_statuses(package: str, status: int, verdict: Verdict, applied: bool) -> None:
    """As HTTP has it, and a 409 is a lock that timed out."""
    found = ask(answer(status, package=package))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"{package}.APIStatusError {status}")


@SDKS
def test_hints_and_orders(package: str) -> None:
    """Milliseconds come first, and `x-should-retry` outranks the status, in both directions."""
    assert ask(answer(429, {"retry-after-ms": "250", "retry-after": "60"}, package)).retry_after == 0.25
    assert ask(answer(409, {"retry-after": "3"}, package)).retry_after == 3.0
    assert ask(answer(400, {"x-should-retry": "true"}, package)).verdict is T
    assert ask(answer(409, {"x-should-retry": "false"}, package)).verdict is P
    assert ask(answer(429, {"x-should-retry": "false"}, package)).verdict is P


def test_money_that_is_spent() -> None:
    """A 429 that no waiting cures, unless the server asks for another try."""
    found = ask(answer(429, code="insufficient_quota"))
    assert (found.verdict, found.reason) == (P, "openai.APIStatusError 429 [insufficient_quota]")
    assert ask(answer(429, type="insufficient_quota")).verdict is P
    assert ask(answer(429, code="rate_limit_exceeded")).verdict is T
    assert ask(answer(429, {"x-should-retry": "true"}, code="insufficient_quota")).verdict is T
    assert ask(answer(429, package="anthropic", error_code="contract_spend_limit_reached")).verdict is P
    ramp = ask(answer(429, {"retry-after": "20"}, "anthropic", error_code="ramp_limit_exceeded"))
    assert (ramp.verdict, ramp.retry_after) == (T, 20.0)


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"type": "error", "error": {"type": "overloaded_error"}}, T),
        ({"type": "error", "error": {"type": "api_error"}}, T),
        ({"type": "error", "error": {"type": "invalid_request_error"}}, P),
        ({"type": "server_error"}, T),
        ({"code": "rate_limit_exceeded", "type": "tokens"}, T),
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, P),
        ({"code": "something_else"}, P),
        ({"error": "text"}, P),
        ("text", P),
        (None, P),
    ],
)
def test_errors_in_the_middle_of_a_stream(body: Any, verdict: Verdict) -> None:
    """By the type in the body: a stream begins with 200, or there is no response; the request has been at work."""
    in_stream = ask(answer(200, package="anthropic", body=body))
    assert (in_stream.verdict, in_stream.applied) == (verdict, True)
    bare = ask(made("APIError", body=body))
    assert (bare.verdict, bare.applied) == (verdict, True)


@SDKS
def test_connections(package: str) -> None:
    """As the httpx2 error beneath it, which tells the phase; else perhaps applied."""
    assert (ask(made("APIConnectionError", package)).verdict, ask(made("APIConnectionError", package)).applied) == (
        T,
        True,
    )
    inner = type("ConnectTimeout", (Exception,), {"__module__": "httpx2"})
    assert ask(made("APIConnectionError", package, cause=inner())).applied is False
    inner = type("ReadTimeout", (Exception,), {"__module__": "httpx2"})
    assert ask(made("APIConnectionError", package, cause=inner())).applied is True
    root = type("ConnectError", (Exception,), {"__module__": "httpx2"})()
    root.__cause__ = ssl.SSLCertVerificationError(1, "x")
    assert ask(made("APIConnectionError", package, cause=root)).verdict is P


@SDKS
def test_a_host_that_cannot_be(package: str) -> None:
    """A ValueError beneath is a mistake, not a connection: a name that IDNA refuses stays refused."""
    found = ask(made("APIConnectionError", package, cause=UnicodeError("label too long")))
    assert (found.verdict, found.applied) == (P, False)
    assert found.reason == f"UnicodeError under {package}.APIConnectionError"


@pytest.mark.parametrize(
    ("package", "name", "verdict", "applied"),
    [
        ("openai", "OpenAIError", P, False),
        ("openai", "LengthFinishReasonError", P, True),
        ("openai", "APIResponseValidationError", P, True),
        ("openai", "WebSocketConnectionClosedError", T, True),
        ("openai", "WebSocketQueueFullError", T, False),
        ("anthropic", "AnthropicError", P, False),
        ("anthropic", "CredentialsError", P, False),
        ("anthropic", "RetryableError", T, True),
    ],
)
def test_classes(package: str, name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone."""
    found = ask(made(name, package))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_logins() -> None:
    """RFC 8628 by OpenAI's `error`; else by status."""
    assert ask(answer(400, name="OAuthError", error="authorization_pending")).verdict is PENDING
    assert ask(answer(400, name="OAuthError", error="slow_down")).verdict is PENDING
    assert ask(answer(401, name="OAuthError", error="invalid_grant")).verdict is P
    assert ask(answer(401, name="OAuthError", error=["slow_down"])).verdict is P
    pending = SimpleNamespace(status_code=400, headers={}, _content=b'{"error": "authorization_pending"}')
    assert ask(made("APIStatusError", response=pending)).verdict is PENDING


def test_tokens_that_were_not_given() -> None:
    """By the status of who should have given them; the request itself was not sent."""
    found = ask(answer(500, name="SubjectTokenProviderError"))
    assert (found.verdict, found.applied) == (T, False)
    assert ask(made("SubjectTokenProviderError", response=None)).verdict is P
    assert ask(made("WorkloadIdentityError", "anthropic", status_code=503)).verdict is T
    assert ask(made("WorkloadIdentityError", "anthropic", status_code=None)).verdict is P


@SDKS
def test_the_real_ones(package: str) -> None:
    """The names and attributes are those that the SDK has, and the headers those of its HTTP client."""
    sdk = pytest.importorskip(package)
    httpx = pytest.importorskip("httpx2")
    request = httpx.Request("POST", "http://x/")
    response = httpx.Response(429, headers={"retry-after-ms": "1500"}, json={}, request=request)
    found = ask(sdk.RateLimitError("m", response=response, body=None))
    assert (found.verdict, found.retry_after, found.reason) == (T, 1.5, f"{package}.RateLimitError 429")
    response = httpx.Response(200, request=request)
    body = {"type": "error", "error": {"type": "overloaded_error"}}
    assert ask(sdk.APIStatusError("m", response=response, body=body)).verdict is T
    assert ask(sdk.APITimeoutError(request)).applied is True
    error = sdk.APIConnectionError(request=request)
    error.__cause__ = httpx.PoolTimeout("x")
    assert ask(error).applied is False


@pytest.mark.parametrize(("status", "hint"), [(429, 30.0), (503, 30.0), (500, None)])
def test_rate_limits(status: int, hint: float | None) -> None:
    """Rate limit headers count as everywhere: of a 429 or 503 without Retry-After."""
    response = SimpleNamespace(status_code=status, headers={"RateLimit": '"x";r=0;t=30'})
    assert ask(made("APIStatusError", response=response)).retry_after == hint
