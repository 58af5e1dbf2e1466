"""What must never be tried again: errors that only a person, another request or another setting can mend.

The list is in its own words, and not taken from the tables: whoever changes a row so that one of these is tried again
has to say so here. The classes are stand-ins with the names of the real ones.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import subprocess
import urllib.error
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Verdict, classify


def made(path: str, *args: Any, base: type[Exception] = Exception, cause: Any = None, **attributes: Any) -> Exception:
    """An error of a client: `redis.exceptions.ConnectionError`."""
    module, _, name = path.rpartition(".")
    error: Exception = type(name, (base,), {"__module__": module})(*args)
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def handled(outer: Exception, inner: Exception) -> Exception:
    """As if the inner one had been handled when the outer one came up."""
    outer.__context__ = inner
    return outer


def answered(path: str, status: int, **headers: str) -> Exception:
    """An error that carries a response."""
    return made(path, "x", response=SimpleNamespace(status_code=status, headers=headers, _content=b"{}"))


def aws(code: str, status: int) -> Exception:
    """An answer of AWS."""
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    return made("botocore.exceptions.ClientError", "x", response=response)


def rpc(code: str, details: str = "") -> Exception:
    """An error of gRPC."""
    methods = {"code": lambda: SimpleNamespace(_name_=code), "details": lambda: details}
    return made("grpc.RpcError", trailing_metadata=lambda: (), **methods)


def certificate() -> ssl.SSLCertVerificationError:
    """What a self-signed certificate raises."""
    return ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")


def no_name() -> socket.gaierror:
    """What a name that does not exist raises."""
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def kafka(name: str, number: int) -> Exception:
    """An error of a broker, whose number looks like an errno."""
    return made(f"kafka.errors.{name}", "x", retriable=False, errno=number)


def libpq(text: str) -> Exception:
    """A connection of psycopg that did not come about, as libpq words it."""
    return made("psycopg.OperationalError", text, sqlstate=None)


REFUSED_REQUESTS = (400, 401, 403, 404, 405, 406, 409, 410, 411, 412, 414, 415, 422, 431, 451, 501, 505)
HTTP_ERRORS = ("requests.exceptions.HTTPError", "httpx.HTTPStatusError", "httpx2.HTTPStatusError")
SPOILT_BY_EVERYBODY = {
    "a bug": ValueError("invalid literal"),
    "a missing key": KeyError("id"),
    "a bug while a reset was handled": handled(TypeError("x"), ConnectionResetError(errno.ECONNRESET, "x")),
    "a file that is not there": FileNotFoundError(errno.ENOENT, "x"),
    "no right to a file": PermissionError(errno.EACCES, "x"),
    "a full disk": OSError(errno.ENOSPC, "x"),
    "a wrong address family": OSError(errno.EAFNOSUPPORT, "x"),
    "a name that does not exist": no_name(),
    "a refused certificate": certificate(),
    "another protocol on the TLS port": ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "not HTTP": http.client.BadStatusLine("SSH-2.0"),
    "misused http.client": http.client.CannotSendRequest(),
    "urllib: a certificate": urllib.error.URLError(certificate()),
    "urllib: no such name": urllib.error.URLError(no_name()),
    "urllib: no such scheme": urllib.error.URLError("unknown url type: foo"),
    "curl: no such host": subprocess.CalledProcessError(6, ["curl"]),
    "curl: HTTP said no": subprocess.CalledProcessError(22, ["curl"]),
    "curl: a certificate": subprocess.CalledProcessError(60, ["curl"]),
    "a program that is not there": subprocess.CalledProcessError(127, ["nosuch"]),
    "a program that was killed": subprocess.CalledProcessError(-9, ["worker"]),
    "7 of something that is not curl": subprocess.CalledProcessError(7, ["grep"]),
    "one bad leaf among resets": ExceptionGroup("x", [ConnectionResetError(), FileNotFoundError(errno.ENOENT, "x")]),
    "two addresses, one forbidden": OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 13] denied"),
}
SPOILT_BY_CLIENTS = {
    "requests: a certificate": made("requests.exceptions.SSLError", certificate(), base=OSError),
    "requests: no scheme": made("requests.exceptions.MissingSchema", "x", base=ValueError),
    "requests: not JSON": made("requests.exceptions.JSONDecodeError", "x", base=OSError),
    "requests: redirects without end": made("requests.exceptions.TooManyRedirects", "x", base=OSError),
    "requests: no such name": made(
        "requests.exceptions.ConnectionError",
        made("urllib3.exceptions.MaxRetryError", "x", reason=made("urllib3.exceptions.NameResolutionError", "x")),
        base=OSError,
    ),
    "httpx: a certificate": made(
        "httpx.ConnectError", "x", cause=made("httpcore.ConnectError", "x", cause=certificate())
    ),
    "httpx: no such name": made("httpx.ConnectError", "x", cause=made("httpcore.ConnectError", "x", cause=no_name())),
    "httpx: not HTTP": made("httpx.RemoteProtocolError", "illegal status line: bytearray(b'SSH-2.0')"),
    "httpx: no such scheme": made("httpx.UnsupportedProtocol", "x"),
    "httpx: the proxy wants a password": made("httpx.ProxyError", "407 Proxy Authentication Required"),
    "aiohttp: a certificate": made("aiohttp.ClientConnectorCertificateError", "x"),
    "aiohttp: no such name": made("aiohttp.ClientConnectorDNSError", "x", os_error=no_name()),
    "aiohttp: an invented 400": made("aiohttp.ClientResponseError", status=400, headers=None),
    "aiohttp: redirects without end": made("aiohttp.TooManyRedirects", status=0, headers=None),
    "openai: the money is spent": made(
        "openai.APIStatusError", "x", code="insufficient_quota", response=SimpleNamespace(status_code=429, headers={})
    ),
    "openai: the server says no": answered("openai.APIStatusError", 500, **{"x-should-retry": "false"}),
    "anthropic: a bad request": answered("anthropic.APIStatusError", 400),
    "aws: no such bucket": aws("NoSuchBucket", 404),
    "aws: a wrong key": aws("InvalidAccessKeyId", 403),
    "aws: a condition failed": aws("ConditionalCheckFailedException", 400),
    "aws: no credentials": made("botocore.exceptions.BotoCoreError", "x"),
    "azure: not found": answered("azure.core.exceptions.HttpResponseError", 404),
    "elasticsearch: a bad query": made("elasticsearch.ApiError", meta=SimpleNamespace(status=400, headers={})),
    "elasticsearch: a part of a bulk": made("elasticsearch.BulkIndexError", "x"),
    "google: not found": made("google.api_core.exceptions.GoogleAPICallError", "x", code=404),
    "google: no credentials": made("google.auth.exceptions.GoogleAuthError", "x"),
    "grpc: a bad argument": rpc("INVALID_ARGUMENT"),
    "grpc: not found": rpc("NOT_FOUND"),
    "grpc: no right": rpc("PERMISSION_DENIED"),
    "grpc: not known": rpc("UNAUTHENTICATED"),
    "grpc: not there": rpc("UNIMPLEMENTED"),
    "grpc: cancelled": rpc("CANCELLED"),
    "grpc: nobody knows": rpc("INTERNAL"),
    "grpc: too large": rpc("RESOURCE_EXHAUSTED", "Received message larger than max (5 vs. 4)"),
    "grpc: a certificate": rpc("UNAVAILABLE", "failed to connect: CERTIFICATE_VERIFY_FAILED: self-signed"),
    "grpc: no such name": rpc("UNAVAILABLE", "DNS resolution failed: Domain name not found"),
}
SQL_STATES = [
    "22P02",
    "22012",
    "23505",
    "23503",
    "25P02",
    "28P01",
    "3D000",
    "42601",
    "42501",
    "42P01",
    "0A000",
    "53100",
    "57014",
    "XX000",
    "P0001",
]
MYSQL = (1045, 1049, 1054, 1062, 1064, 1146, 1317, 1451, 3024, 2005, 2026, 0, -5)
SPOILT_BY_STORES = {
    "psycopg: a wrong password": libpq('connection failed: FATAL:  password authentication failed for user "me"'),
    "psycopg: no such database": libpq('connection failed: FATAL:  database "x" does not exist'),
    "psycopg: another language": libpq("connection failed: FATAL:  Passwort-Authentifizierung fehlgeschlagen"),
    "psycopg: no such name": libpq('could not translate host name "x" to address: Name or service not known'),
    "psycopg: refused by one, a password by the other": libpq(
        "connection failed: Connection refused\nFATAL:  password authentication failed"
    ),
    "asyncpg: no TLS there": ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'),
    "asyncpg: misuse": made("asyncpg.InterfaceError", "x"),
    "sqlalchemy: misuse": made("sqlalchemy.exc.SQLAlchemyError", "x"),
    "sqlalchemy: an unknown driver": made("sqlalchemy.exc.DBAPIError", "x", orig=made("odd.Error"), code="e3q8"),
    "sqlalchemy: a constraint": made("sqlalchemy.exc.DBAPIError", "x", orig=made("psycopg.Error", sqlstate="23505")),
    "sqlite: a syntax error": made("sqlite3.OperationalError", 'near "x": syntax error', sqlite_errorcode=1),
    "redis: a wrong password": made("redis.AuthenticationError", "WRONGPASS invalid username-password pair"),
    "redis: a wrong type": made("redis.ResponseError", "WRONGTYPE Operation against a key", status_code=None),
    "redis: no right": made("redis.ResponseError", "NOPERM no permissions", status_code="NOPERM"),
    "redis: out of memory": made("redis.ResponseError", "OOM command not allowed", status_code=None),
    "redis: a certificate": handled(made("redis.ConnectionError", "Error 1 connecting to x:1. x"), certificate()),
    "redis: no such name": handled(made("redis.ConnectionError", "Error -2 connecting to x:1. x"), no_name()),
    "mysql: no such name": handled(made("pymysql.MySQLError", 2003, "Can't connect"), no_name()),
    "mongo: a key that is there": made("pymongo.errors.OperationFailure", "x", code=11000),
    "mongo: no right": made("pymongo.errors.OperationFailure", "x", code=13),
    "mongo: a certificate": made("pymongo.errors.ServerSelectionTimeoutError", "x: CERTIFICATE_VERIFY_FAILED"),
    "mongo: no such name": made("pymongo.errors.ServerSelectionTimeoutError", "x: Name or service not known"),
    "mongo: a setting": made("pymongo.errors.ConfigurationError", "x"),
    "kafka: 104 is no reset": kafka("InconsistentClusterIdError", 104),
    "kafka: 110 is no timeout": kafka("FencedMemberEpochError", 110),
    "kafka: 111 is no refusal": kafka("UnreleasedInstanceIdError", 111),
    "kafka: too large": kafka("MessageSizeTooLargeError", 10),
}
SPOILT_BY_SESSIONS = {
    "paramiko: a wrong password": made("paramiko.AuthenticationException", "x"),
    "paramiko: another host key": made("paramiko.BadHostKeyException", "x"),
    "paramiko: an unknown host": made("paramiko.SSHException", "Server 'x' not found in known_hosts"),
    "paramiko: no way to log in": made("paramiko.SSHException", "No authentication methods available"),
    "paramiko: a forbidden channel": made("paramiko.ChannelException", 1, "x", code=1),
    "asyncssh: no right": made("asyncssh.DisconnectError", "x", code=14),
    "asyncssh: another host key": made("asyncssh.DisconnectError", "x", code=9),
    "asyncssh: a program that failed": made("asyncssh.ProcessError", "x", code=7),
    "asyncssh: a key": made("asyncssh.KeyImportError", "x", base=ValueError),
    "asyncssh: no such file": made("asyncssh.SFTPError", "x", code=2),
    "websockets: the normal end": made("websockets.ConnectionClosed", rcvd=SimpleNamespace(code=1000)),
    "websockets: a policy": made("websockets.ConnectionClosed", rcvd=SimpleNamespace(code=1008)),
    "websockets: the application's own": made("websockets.ConnectionClosed", rcvd=SimpleNamespace(code=4401)),
    "websockets: not let in": made("websockets.InvalidStatus", response=SimpleNamespace(status_code=403, headers={})),
    "websockets: a bad URI": made("websockets.WebSocketException", "x"),
}
ALL = {
    **SPOILT_BY_EVERYBODY,
    **SPOILT_BY_CLIENTS,
    **SPOILT_BY_STORES,
    **SPOILT_BY_SESSIONS,
    **{f"{path} {status}": answered(path, status) for path in HTTP_ERRORS for status in REFUSED_REQUESTS},
    **{
        f"{path} {status}, late": answered(path, status, **{"retry-after": "5"})
        for path in HTTP_ERRORS
        for status in (401, 404)
    },
    **{f"psycopg {state}": made("psycopg.Error", "x", sqlstate=state) for state in SQL_STATES},
    **{f"asyncpg {state}": made("asyncpg.PostgresError", "x", sqlstate=state) for state in SQL_STATES},
    **{f"mysql {number}": made("pymysql.MySQLError", number, "x") for number in MYSQL},
}


@pytest.mark.parametrize("name", ALL)
def test_what_is_permanent_is_never_tried_again(name: str) -> None:
    """None of these is transient or pending, by itself or beneath an error that nobody knows."""
    found = classify(ALL[name])
    assert found.verdict is Verdict.PERMANENT, found.reason
    assert classify(made("mine.Error", cause=ALL[name])).verdict is Verdict.PERMANENT


def test_the_list_is_long_enough_to_mean_something() -> None:
    """A list that somebody emptied by a slip would pass."""
    assert len(ALL) > 190
