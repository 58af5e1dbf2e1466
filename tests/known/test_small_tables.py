"""What small tables read beneath an error, or besides its row."""

from __future__ import annotations

import errno
import socket
from datetime import timedelta
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


NET = "unknown error: net::ERR_CONNECTION_REFUSED"
HUNG_UP = b"DB-Lib error message 20002, severity 9:\nTDS server connection failed (127.0.0.1)"


@pytest.mark.parametrize(
    ("error", "verdict", "applied"),
    [
        (made("slack_sdk.errors.SlackApiError", response=SimpleNamespace(status_code=200, data={"error": "ratelimited"})), T, False),
        (made("slack_sdk.errors.SlackApiError", response=SimpleNamespace(status_code=200, data={"error": "invalid_auth"})), P, False),
        (made("slack_sdk.errors.SlackApiError", response=SimpleNamespace(status_code=503, headers={}, data=b"x")), T, True),
        (made("telegram.error.NetworkError", "Bad Gateway"), T, True),
        (made("telegram.error.BadRequest", "Chat not found"), P, False),
        (made("telethon.errors.rpcbaseerrors.ServerError", code=500), T, True),
        (made("snowflake.connector.errors.OperationalError", errno=250001), T, False),
        (made("snowflake.connector.errors.OperationalError", errno=390100), P, True),
        (made("selenium.common.exceptions.WebDriverException", msg=NET), T, False),
        (made("selenium.common.exceptions.NoSuchElementException", msg="no such element"), P, True),
        (made("ray.exceptions.NodeDiedError"), T, True),
        (made("socketio.exceptions.ConnectionError", "Unexpected status code 503 in server response"), T, True),
        (made("socketio.exceptions.ConnectionError", "One or more namespaces failed to connect"), P, True),
        (made("engineio.exceptions.ConnectionError", "x [Errno 111] Connection refused"), T, True),
        (made("serial.serialutil.SerialException", "could not open port: Device or resource busy"), T, False),
        (made("serial.serialutil.SerialException", "could not open port: No such file or directory"), P, False),
        (made("_duckdb.TransactionException", 'TransactionContext Error: Conflict on tuple deletion!'), T, False),
        (made("_duckdb.TransactionException", "cannot start a transaction within a transaction"), P, False),
        (made("_duckdb.IOException", 'IO Error: Could not set lock on file "x"'), T, False),
        (made("pymemcache.exceptions.MemcacheUnexpectedCloseError"), T, True),
        (made("postgrest.exceptions.APIError", code="PGRST003"), T, True),
        (made("postgrest.exceptions.APIError", code="40001"), T, False),
        (made("postgrest.exceptions.APIError", code="PGRST116"), P, False),
        (made("postgrest.exceptions.APIError", code=None), P, True),
        (made("ncclient.operations.rpc.RPCError", _tag="lock-denied"), T, False),
        (made("ncclient.operations.rpc.RPCError", _tag="bad-element"), P, True),
        (made("ncclient.transport.errors.SSHError", "Could not open socket to h:830"), T, False),
        (made("ncclient.transport.errors.SSHError", "Negotiation failed"), P, True),
        (made("imaplib.abort", "command: LOGIN => unexpected response: b'A1 OK'"), P, True),
        (made("imaplib.abort", "socket error: EOF"), T, True),
        (made("pymssql.exceptions.Error", (20009, HUNG_UP)), T, False),
        (made("pymssql.exceptions.Error", (20009, b"x")), P, False),
    ],
)  # fmt: skip
def test_small_clients(error: Exception, verdict: Verdict, applied: bool) -> None:
    """Each of their ways to say that it may pass, beside one that says it will not."""
    found = classify(error)
    assert (found.verdict, found.applied) == (verdict, applied)


@pytest.mark.parametrize("wait", [{"retry_after": 7}, {"retry_after": timedelta(seconds=7)}])
def test_floods_of_telegram(wait: dict[str, Any]) -> None:
    """The seconds stand in `retry_after`, or in Telethon's `seconds`."""
    assert classify(made("telegram.error.RetryAfter", **wait)).retry_after == 7.0
    assert classify(made("telethon.errors.rpcerrorlist.FloodError", seconds=7)).retry_after == 7.0


def test_a_resolver_that_fails_for_now() -> None:
    """websocket-client says the same of a name that does not exist and of a resolver that is down: the error beneath tells."""
    error = made("websocket._exceptions.WebSocketAddressException", "x")
    assert classify(error).verdict is P
    error.__cause__ = socket.gaierror(socket.EAI_AGAIN, "x")
    assert classify(error).verdict is T


def test_an_ssh_session_of_ncclient() -> None:
    """What paramiko says beneath decides where the text does not."""
    error = made("ncclient.transport.errors.SSHError", "Negotiation failed")
    error.__cause__ = made("paramiko.ssh_exception.SSHException", "Error reading SSH protocol banner")
    assert classify(error).verdict is T
