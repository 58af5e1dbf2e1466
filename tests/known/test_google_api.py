"""Floor 1. google-api-core's errors over HTTP, and google-auth's: lookalikes by name, and the real ones where installed."""

from __future__ import annotations

import errno
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P, PENDING = Verdict.TRANSIENT, Verdict.PERMANENT, Verdict.PENDING


class StatusCode(Enum):
    """As grpc's."""

    ABORTED = 10
    UNKNOWN = 2
    NOT_FOUND = 5


def made(name: str = "GoogleAPICallError", cause: BaseException | None = None, **attributes: Any) -> Exception:
    """An error whose class has the name of one of google-api-core's or google-auth's."""
    error: Exception = type(name, (Exception,), {"__module__": "google.api_core.exceptions"})("m")
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def answer(code: Any, headers: Any = None, **more: Any) -> Exception:
    """An error that was born of HTTP; its class has a gRPC code all the same."""
    response = SimpleNamespace(status_code=code, headers=headers or {}, _content=more.pop("content", b"{}"))
    return made(code=code, response=response, grpc_status_code=StatusCode.UNKNOWN, **more)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "verdict", "applied"),
    [(403, P, False), (409, P, False), (429, T, False), (500, T, True), (502, T, True), (503, T, True)],
)
def test_answers_over_http(code: int, verdict: Verdict, applied: bool) -> None:
    """By the status, whatever gRPC code the class has."""
    found = ask(answer(code))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"google.GoogleAPICallError {code}")


def info(delay: Any, kind: Any = "type.googleapis.com/google.rpc.RetryInfo") -> list[Any]:
    """The details of an answer in JSON."""
    return ["text", {"@type": "type.googleapis.com/google.rpc.Help"}, {"@type": kind, "retryDelay": delay}]


@pytest.mark.parametrize(
    ("details", "hint"),
    [
        (info("34.5s"), 34.5),
        (info("soon"), None),
        (info("xs"), None),
        (info(5), None),
        (info("5s", None), None),
        ((), None),
        (None, None),
    ],
)
def test_retry_info(details: Any, hint: float | None) -> None:
    """Google's own hint, where the answer has no Retry-After."""
    assert ask(answer(429, details=details)).retry_after == hint
    assert ask(answer(429, {"Retry-After": "7"}, details=details)).retry_after == 7.0
    assert ask(answer(403, details=details)).verdict is P


def test_a_login_that_is_pending() -> None:
    """RFC 8628, out of the body."""
    assert ask(answer(400, content=b'{"error": "authorization_pending"}')).verdict is PENDING


def test_errors_without_a_response() -> None:
    """By the gRPC code where there is one, else by the HTTP code, else permanent."""
    assert ask(made(grpc_status_code=StatusCode.ABORTED, code=409)).verdict is T
    assert ask(made(grpc_status_code=StatusCode.UNKNOWN, code=500)).verdict is P
    assert ask(made(grpc_status_code=None, code=503)).verdict is T
    assert ask(made()).verdict is P
    operation = SimpleNamespace(name="operations/5")  # a long-running one, as `response`
    assert ask(made(grpc_status_code=StatusCode.NOT_FOUND, code=404, response=operation)).verdict is P


@pytest.mark.parametrize(
    ("name", "verdict", "applied"),
    [
        ("RetryError", T, True),
        ("TransportError", T, True),
        ("TransferStalledError", T, True),
        ("GoogleAPIError", P, False),
        ("UploadCancelledError", P, True),
        ("GoogleAuthError", P, False),
    ],
)
def test_classes(name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone."""
    found = ask(made(name))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"google.{name}")


def test_wrappers() -> None:
    """RetryError and TransportError mean what lies beneath."""
    assert ask(made("RetryError", cause=answer(404))).verdict is P
    error: Any = made("RetryError")
    error.cause = answer(404)
    assert ask(error).verdict is P
    refused = ask(made("TransportError", cause=ConnectionRefusedError(errno.ECONNREFUSED, "x")))
    assert (refused.verdict, refused.applied) == (T, False)


def test_tokens() -> None:
    """A token that was not given: as the error says, else as its cause; the request itself was not sent."""
    again = ask(made("GoogleAuthError", retryable=True))
    assert (again.verdict, again.applied) == (T, False)
    caused = ask(made("GoogleAuthError", retryable=False, cause=ConnectionResetError(errno.ECONNRESET, "x")))
    assert (caused.verdict, caused.applied) == (T, False)
    assert ask(made("GoogleAuthError", retryable=1)).verdict is P


def test_the_real_ones() -> None:
    """The names and attributes are those that google-api-core has, gRPC or not."""
    exceptions = pytest.importorskip("google.api_core.exceptions")
    requests = pytest.importorskip("requests")
    response = requests.Response()
    response.status_code, response._content = 503, b'{"error": {"message": "m"}}'
    response.request = requests.Request("GET", "http://x/").prepare()
    response.headers["Retry-After"] = "2"
    found = ask(exceptions.from_http_response(response))
    assert (found.verdict, found.retry_after, found.applied) == (T, 2.0, False)
    assert found.reason == "google.ServiceUnavailable 503"
    assert ask(exceptions.RetryError("m", exceptions.from_http_status(404, "m"))).verdict is P
