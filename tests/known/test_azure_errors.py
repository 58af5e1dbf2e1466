"""Floor 1. azure-core's errors: lookalikes by name, and the real ones where azure-core is installed."""

from __future__ import annotations

import errno
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def made(name: str, module: str = "azure.core.exceptions", **attributes: Any) -> Exception:
    """An error whose class has the name of one of azure-core's."""
    error: Exception = type(name, (Exception,), {"__module__": module})("m")
    vars(error).update(attributes)
    return error


def answer(status: Any, headers: Any = None, name: str = "HttpResponseError") -> Exception:
    """An error with a response."""
    return made(name, response=SimpleNamespace(status_code=status, headers=headers or {}))


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def test_statuses() -> None:
    """By status; a refusal with Retry-After may pass, as azure-core has it."""
    found = ask(answer(503))
    assert (found.verdict, found.applied, found.reason) == (T, True, "azure.HttpResponseError 503")
    assert ask(answer(412)).verdict is P
    assert ask(answer(403, {"Retry-After": "3"})).verdict is T


def test_hints() -> None:
    """Retry-After outranks its kin in milliseconds here."""
    assert ask(answer(429, {"Retry-After": "3", "retry-after-ms": "250"})).retry_after == 3.0
    assert ask(answer(429, {"retry-after-ms": "1500"})).retry_after == 1.5
    assert ask(answer(503, {"x-ms-retry-after-ms": "2500"})).retry_after == 2.5


def test_errors_without_a_response() -> None:
    """azure-cosmos keeps status and headers itself, azure-identity has neither."""
    cosmos = made("HttpResponseError", response=None, status_code=449, headers={"x-ms-retry-after-ms": "20"})
    assert (ask(cosmos).verdict, ask(cosmos).retry_after) == (T, 0.02)
    identity = ask(made("HttpResponseError", response=None, status_code=None))
    assert (identity.verdict, identity.applied) == (P, False)
    refused = ask(made("HttpResponseError", inner_exception=ConnectionRefusedError(errno.ECONNREFUSED, "x")))
    assert (refused.verdict, refused.applied) == (T, False)


@pytest.mark.parametrize(
    ("name", "verdict", "applied"),
    [
        ("ServiceRequestError", T, False),
        ("ServiceRequestTimeoutError", T, False),
        ("ServiceResponseError", T, True),
        ("ServiceResponseTimeoutError", T, True),
        ("IncompleteReadError", T, True),
        ("DecodeError", P, True),
        ("StreamConsumedError", P, True),
        ("TooManyRedirectsError", P, False),
        ("AzureError", P, True),
    ],
)
def test_classes(name: str, verdict: Verdict, applied: bool) -> None:
    """The class alone; the 200 of an answer that was cut is no status."""
    found = ask(answer(200, name=name))
    assert (found.verdict, found.applied, found.reason) == (verdict, applied, f"azure.{name}")


def test_inner_exceptions() -> None:
    """They are attributes, and outrank what the class promises."""
    scheme = made("InvalidSchema", "requests.exceptions")
    assert ask(made("ServiceResponseError", inner_exception=scheme)).verdict is P
    stall = made("ReadTimeout", "requests.exceptions")
    assert ask(made("ServiceRequestError", inner_exception=stall)).applied is True
    certificate = made("SSLError", "requests.exceptions")
    certificate.__context__ = ssl.SSLCertVerificationError(1, "x")
    assert ask(made("ServiceRequestError", inner_exception=certificate)).verdict is P


def test_the_real_ones() -> None:
    """The names and attributes are those that azure-core has."""
    exceptions = pytest.importorskip("azure.core.exceptions")
    found = ask(exceptions.ServiceRequestError("m", error=ConnectionRefusedError(errno.ECONNREFUSED, "x")))
    assert (found.verdict, found.applied) == (T, False)
    assert ask(exceptions.ClientAuthenticationError("m")).verdict is P
    response = SimpleNamespace(status_code=409, reason="r", headers={})
    assert ask(exceptions.ResourceExistsError(response=response)).verdict is P
    assert ask(exceptions.IncompleteReadError("m", response=SimpleNamespace(status_code=200, reason="r"))).verdict is T
