"""What small tables read beneath an error, or besides its row."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Verdict, classify

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
REFUSED, DENIED = ConnectionRefusedError(errno.ECONNREFUSED, "x"), PermissionError(errno.EACCES, "x")


def made(name: str, *args: Any, base: type[Exception] = Exception, **attributes: Any) -> Exception:
    """An error whose class has a client's name: `twisted.web.ResponseFailed`."""
    package, _, last = name.rpartition(".")
    error: Exception = type(last, (base,), {"__module__": package})(*args)
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize(("root", "verdict"), [(REFUSED, T), (DENIED, P), (None, T)])
def test_hosts_and_reasons(root: Any, verdict: Verdict) -> None:
    """Of several errors beneath, one that is permanent decides: a host of Cassandra's, a reason of twisted's."""
    assert classify(made("cassandra.cluster.NoHostAvailable", "x", errors={"h": root, "i": REFUSED})).verdict is verdict
    reasons = [SimpleNamespace(value=REFUSED), SimpleNamespace(value=root)]
    assert classify(made("twisted.web._WrapperException", reasons=reasons)).verdict is verdict


INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}


@pytest.mark.parametrize(
    ("error", "verdict", "hint"),
    [
        (made("google.genai.errors.APIError", code=429, details={"error": {"details": [INFO]}}), T, 34.5),
        (made("google.genai.errors.APIError", code=429, details=[INFO]), T, 34.5),
        (made("google.genai.errors.APIError", code=404, details={}), P, None),
        (made("googleapiclient.errors.HttpError", status_code=403, error_details=[{"reason": "quotaExceeded"}]), P, None),
        (made("googleapiclient.errors.HttpError", status_code=403, error_details=["text", {"reason": 5}]), P, None),
        (made("databricks.sdk.errors.TooManyRequests", retry_after_secs=7), T, 7.0),
        (made("tornado.httpclient.HTTPClientError", code=429, response=SimpleNamespace(headers={"retry-after": "7"})), T, 7.0),
        (made("azure.core.exceptions.HttpResponseError", error_code="Odd", status_code=503, headers={"retry-after": "7"}), T, 7.0),
        (made("azure.core.exceptions.HttpResponseError", error_code="QueueBeingDeleted",
              response=SimpleNamespace(headers={"retry-after": "7"})), T, 7.0),
    ],
)  # fmt: skip
def test_waits_in_odd_places(error: Exception, verdict: Verdict, hint: float | None) -> None:
    """The seconds that a server asks for, wherever a client keeps them."""
    found = classify(error)
    assert (found.verdict, found.retry_after, found.guessed) == (verdict, hint, False)


def test_a_certificate_beneath_a_text() -> None:
    """Where a table looks for a failure that stays before it reads a text."""
    error = made("pg8000.InterfaceError", "network error")
    assert classify(error).verdict is T
    error.__context__ = PermissionError(errno.EACCES, "x")
    assert classify(error).verdict is P


def test_the_same_number_of_two_senders() -> None:
    """3024 is the server's query that took too long, and Connector/Python's own read that timed out."""
    assert classify(made("mysql.connector.errors.Error", 3024, "Query execution was interrupted")).verdict is P
    assert classify(made("mysql.connector.errors.Error", 3024, "The Read Operation timed out.")).verdict is T


@pytest.mark.parametrize("name", ["asyncpg.InterfaceError", "psycopg2.Error", "psycopg.Error"])
def test_a_connection_that_was_closed_before(name: str) -> None:
    """One answer in all drivers: a new one helps."""
    text = {
        "asyncpg": "connection is closed",
        "psycopg2": "connection already closed",
        "psycopg": "the connection is closed",
    }
    assert classify(made(name, text[name.partition(".")[0]])).verdict is T


def test_a_client_that_raises_a_builtin_error() -> None:
    """Ollama says ConnectionError of a certificate too, and hides what it was: `from None`."""
    error = ConnectionError("Failed to connect to Ollama")
    assert classify(error).verdict is T
    error.__context__, error.__suppress_context__ = made("ssl.SSLCertVerificationError"), True
    assert classify(error).verdict is P
    error.__suppress_context__ = False
    assert classify(error).verdict is T
