"""The tables together: one test plays every row, through the word that reads it."""

from __future__ import annotations

import builtins
import errno
import importlib
import io
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Classification, Verdict, classify, known_errors
from redouble.known import tables, words
from redouble.known.row import named
from redouble.known.tables import PLACES, all_rows, entries, everything

if TYPE_CHECKING:
    from collections.abc import Callable

    from redouble.core.raw import Path
    from redouble.known.row import Row

ROWS = all_rows()
ENTRIES = entries()
TABLES = sorted(set(PLACES.values()))


def carrying(steps: Path, value: Any) -> Any:
    """The value at the end of a path, in what leads to it."""
    for step in reversed(steps):
        value = (value,) if step == 0 else SimpleNamespace(**{str(step): value})
    return value


def made(key: tuple[str, str], *args: Any, **attributes: Any) -> Exception:
    """An error whose class has the name of a client's."""
    base = getattr(builtins, key[1], Exception) if key[0] == "builtins" else Exception
    cls = base if key[0] == "builtins" else type(key[1], (Exception,), {"__module__": key[0]})
    error: Exception = cls(*args)
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def with_path(key: tuple[str, str], steps: Path, value: Any) -> Exception:
    """An error that carries a value at a path."""
    if steps[0] == "args":
        return made(key, value)
    return made(key, **{str(steps[0]): carrying(steps[1:], value)})


def of_word(key: tuple[str, str], row: Row) -> Exception | None:
    """The error that a row is about, made by its word alone; `None` for a word that is a function."""
    word: Any = getattr(ENTRIES[key].word, "word", ENTRIES[key].word)
    kind = type(word).__name__
    if kind in ("_ByClass", "_Handshake", "_Beneath", "_Cause"):
        return made((ENTRIES[key].word.within or key[0], key[1]))
    if kind in ("_Answer", "_Status") and row.code == "":
        return made(key)
    if kind == "_Answer":
        return with_path(key, word.where, SimpleNamespace(status_code=500, headers={}))
    if kind == "_Status":
        return with_path(key, word.status[0], 500)
    if kind == "_Number":
        known = {name: number for number, name in (word.names or {}).items()}
        digits = row.code.lstrip("-").isdecimal()
        family = int(row.code[0]) * 100 + 99 if row.code.endswith("yz") else 0
        other = 987_654 if row.code == "other" else row.code
        number = known.get(row.code, int(row.code) if digits else family or other)
        number = str(number) if word.texts else number
        return with_path(key, word.paths[0], number)
    if kind == "_Text":
        marks = (word.marks or {}).get(row.code, (row.code,))
        return made(key, "" if row.code in ("", "other") else marks[0])
    return None


def http(status: int = 500, **headers: str) -> SimpleNamespace:
    """A response of some HTTP client."""
    return SimpleNamespace(status_code=status, headers=headers)


def labelled(label: str) -> Callable[[str], bool]:
    """The `has_error_label` of an error of PyMongo."""
    return lambda asked: asked == label


class CallError(Exception):
    """An RpcError, by the names that the tables look for."""

    __module__ = "grpc"

    def __init__(self, code: str, details: str = "", trailers: Any = ()) -> None:
        self._told = code, details, trailers

    def code(self) -> Any:
        """The status code, an enum there."""
        return SimpleNamespace(_name_=self._told[0])

    def details(self) -> str:
        """The text of the server, or of grpc."""
        return self._told[1]

    def trailing_metadata(self) -> Any:
        """Pairs of names and values."""
        return self._told[2]


RpcError = type("RpcError", (CallError,), {"__module__": "grpc"})
AIOHTTP_PARSER = type("TransferEncodingError", (Exception,), {"__module__": "aiohttp.http_exceptions"})
AIOHTTP_ENCODING = type("ContentEncodingError", (Exception,), {"__module__": "aiohttp.http_exceptions"})
GRPC_TEXTS = {
    "UNAVAILABLE, not connected": "failed to connect to all addresses",
    "UNAVAILABLE, unknown name": "Domain name not found",
    "UNAVAILABLE, TLS": "CERTIFICATE_VERIFY_FAILED",
    "UNAVAILABLE, not HTTP/2": "Trying to connect an http1.x server",
    "RESOURCE_EXHAUSTED, too large": "Received message larger than max",
    "RESOURCE_EXHAUSTED, too large to send": "Sent message larger than max",
}


def of_grpc(row: Row) -> Exception:
    """The RpcError that a row is about."""
    if row.code.startswith("pushback"):
        pushed = "-1" if "no retry" in row.code else "50"
        return RpcError("UNAVAILABLE", "", [("grpc-retry-pushback-ms", pushed)])
    return RpcError(row.code.partition(",")[0], GRPC_TEXTS.get(row.code, ""))


def of_google(row: Row) -> Exception:
    """The error of google-api-core that a row is about."""
    key = ("google", "GoogleAPICallError")
    if row.code.endswith("INTERNAL") or row.code == "by gRPC code":
        name = "INTERNAL" if "INTERNAL" in row.code else "UNAVAILABLE"
        return made(key, grpc_status_code=SimpleNamespace(_name_=name))
    if row.code in ("", "by status"):
        return made(key, code=500 if row.code else None, response=http())
    return made(key, code=403, response=http(), errors=[{"reason": row.code}])


def of_builtins(key: tuple[str, str], row: Row) -> Exception:
    """The builtin error that a row is about."""
    cls: Any = getattr(builtins, key[1])
    if row.code == "":
        return cls()  # type: ignore[no-any-return]
    if cls is BufferError:
        return BufferError(row.code)
    if row.code.startswith("WinError "):
        error = OSError(errno.EINVAL, "x")
        told = type("OSError", (OSError,), {"__module__": "builtins", "winerror": int(row.code.split()[1])})
        return told(error.errno, "x")  # type: ignore[no-any-return]
    if hasattr(errno, row.code):
        return OSError(getattr(errno, row.code), "x")
    texts = {
        "Multiple exceptions": f"Multiple exceptions: [Errno {errno.ECONNREFUSED}] a, [Errno {errno.ENETUNREACH}] b",
        "rejected SSL upgrade": 'PostgreSQL server at "h" rejected SSL upgrade',
        "The handshake operation timed out": "_ssl.c:1: The handshake operation timed out",
    }
    return cls(texts.get(row.code, row.code))  # type: ignore[no-any-return]


def of_mysql(key: tuple[str, str], row: Row) -> Exception:
    """The error of a driver for MySQL that a row is about."""
    texts = {
        "2013 in the handshake": "reading initial communication packet",
        "1226 max_user_connections": "'max_user_connections'",
        "1047 WSREP": "WSREP",
        "3024 Read Operation timed out": "The Read Operation timed out",
    }
    if row.code == "SQLSTATE 40001":
        return made(key, 987_654, "x", sqlstate="40001")
    if row.code in ("pool exhausted", "not available"):
        return made(key, "pool exhausted" if row.code[0] == "p" else "MySQL Connection not available")
    number = row.code.partition(" ")[0]
    return made(key, 987_654 if number == "other" else int(number), texts.get(row.code, "x"))


def of_psycopg(key: tuple[str, str], row: Row) -> Exception:
    """The error of psycopg that a row is about."""
    server = (
        "sorry",
        "too many",
        "remaining",
        "could not fork",
        "the database",
        "terminating",
        "no more",
        "query_wait",
    )
    if row.code == "by SQLSTATE":
        return made(key, sqlstate="57P01")
    if row.code == "as the system says it":
        import os

        return made(key, f"error: {os.strerror(errno.ETIMEDOUT)}".replace("timed out", "timed out", 1) + ".")
    if row.code == "any other text":
        return made(key, "no such thing")
    return made(key, f"FATAL:  {row.code}" if row.code.startswith(server) else f"it failed: {row.code}")


def of_redis(key: tuple[str, str], row: Row) -> Exception:
    """The error of redis-py that a row is about."""
    texts = {"settings": "protocol must be 2 or 3", "connecting": "Error 111 connecting to h:1."}
    return made(key, texts.get(row.code, row.code if row.code != "other" else "ERR unknown command"))


def of_rdkafka(key: tuple[str, str], row: Row) -> Exception:
    """The error of confluent-kafka that a row is about."""
    number = int(row.code) if row.code.lstrip("-").isdigit() else -1
    told = {name: (lambda name=name: row.code == name) for name in ("retriable", "fatal")}
    return made(key, SimpleNamespace(code=lambda: number, **told))


def of_curl(key: tuple[str, str], row: Row) -> Exception:
    """The error of libcurl that a row is about."""
    code, _, text = row.code.partition(" ")
    text = "The requested URL returned error: 503" if code == "22" else text
    return made(key, int(code) if code != "other" else 3, text)


FUNCTIONS: dict[tuple[str, str], Callable[[tuple[str, str], Row], Exception]] = {
    ("socket", "gaierror"): lambda key, row: socket.gaierror(getattr(socket, row.code, None), "x"),
    ("socket", "herror"): lambda key, row: socket.herror(
        {"HOST_NOT_FOUND": 1, "TRY_AGAIN": 2, "NO_RECOVERY": 3, "NO_DATA": 4}[row.code], "x"
    ),
    ("ssl", "SSLCertVerificationError"): lambda key, row: made(key),
    ("ssl", "SSLError"): lambda key, row: made(key, 1, f"[SSL: {row.code}] x"),
    ("subprocess", "CalledProcessError"): lambda key, row: subprocess.CalledProcessError(
        int((row.code or "x 1").split()[-1]), [row.code.split()[0]] if row.code.count(" ") == 2 else ["prog"]
    ),
    ("urllib", "HTTPError"): lambda key, row: made(key, code=500, headers={}, fp=io.BytesIO()),
    ("urllib", "URLError"): lambda key, row: made(
        key, reason=ConnectionResetError(errno.ECONNRESET, "x") if row.code else "x"
    ),
    ("urllib3", "ProtocolError"): lambda key, row: made(key),
    ("urllib3", "SSLError"): lambda key, row: made(key),
    ("urllib3", "ProxyError"): lambda key, row: made(
        key, original_error=OSError("Tunnel connection failed: 503 x") if row.code else None
    ),
    ("urllib3", "ResponseError"): lambda key, row: made(key, "too many 500 error responses" if row.code else "x"),
    ("aiohttp", "ClientConnectionError"): lambda key, row: made(key, row.code),
    ("aiohttp", "ClientPayloadError"): lambda key, row: made(key, __cause__=AIOHTTP_ENCODING() if row.code else None),
    ("azure", "HttpResponseError"): lambda key, row: made(
        key, response=http() if row.code else None, error_code=row.code if row.code != "by status" else None
    ),
    ("botocore", "FlexibleChecksumError"): lambda key, row: made(
        key, "Expected a did not match calculated checksum: b" if row.code else "x"
    ),
    ("grpc", "RpcError"): lambda key, row: of_grpc(row),
    ("google", "GoogleAPICallError"): lambda key, row: of_google(row),
    ("google", "GoogleAuthError"): lambda key, row: made(key, retryable=bool(row.code)),
    ("ftplib", "error_temp"): lambda key, row: made(key, f"{row.code.replace('yz', '99')} not now"),
    ("smtplib", "SMTPRecipientsRefused"): lambda key, row: made(key, recipients={"a": (int(row.code[0]) * 100, b"")}),
    ("aiosmtplib", "SMTPRecipientsRefused"): lambda key, row: made(
        key, recipients=[SimpleNamespace(code=int(row.code[0]) * 100)]
    ),
    ("pyodbc", "Error"): lambda key, row: (
        made(key, "57P01", "x")
        if row.code == "by SQLSTATE"
        else made(key, "HY000", f"x ({row.code}) (SQLExecDirectW)")
        if (row.code.isdigit() and len(row.code) != 5) or row.code[0] in "14"
        else made(key, row.code[:5], row.code[6:])
    ),
    ("pymssql", "Error"): lambda key, row: made(
        key,
        (987_654 if row.code == "other" else int(row.code[:5]), b"" if " without" in row.code else b"Net-Lib error"),
    ),
    ("slack_sdk", "SlackApiError"): lambda key, row: made(
        key, response=http() if row.code == "by status" else SimpleNamespace(status_code=200, data={"error": row.code})
    ),
    **dict.fromkeys(
        (("socketio", "ConnectionError"), ("engineio", "ConnectionError")),
        lambda key, row: made(key, "status code 500" if row.code == "quoted in its text" else "x"),
    ),
    ("selenium", "WebDriverException"): lambda key, row: made(key, msg=f"unknown error: {row.code}"),
    ("postgrest", "APIError"): lambda key, row: made(
        key, code={"by SQLSTATE": "57P01", "other": "PGRST116"}.get(row.code, row.code)
    ),
    ("ncclient", "SSHError"): lambda key, row: made(
        key, ConnectionResetError(104, "x") if row.code == "by what lies beneath" else row.code
    ),
    ("pg8000", "DatabaseError"): lambda key, row: made(key, {"C": "57P01"} if row.code == "by SQLSTATE" else "x"),
    **dict.fromkeys(
        (("cimpl", "KafkaException"), ("confluent_kafka", "KafkaException")), lambda key, row: of_rdkafka(key, row)
    ),
    **dict.fromkeys(
        (("pycurl", "error"), ("curl_cffi", "CurlError"), ("curl_cffi", "IncompleteRead")),
        lambda key, row: of_curl(key, row),
    ),
    ("twisted", "_WrapperException"): lambda key, row: made(
        key,
        reasons=[SimpleNamespace(value=type("Error", (Exception,), {"__module__": "OpenSSL.SSL"})())]
        if row.code
        else [],
    ),
    ("cassandra", "NoHostAvailable"): lambda key, row: made(
        key, row.code, errors={"h": ConnectionResetError(errno.ECONNRESET, "x")}
    ),
    **dict.fromkeys(
        (("trino", "HttpError"), ("prestodb", "HttpError")),
        lambda key, row: made(key, "error 500: x" if row.code else "x"),
    ),
    **dict.fromkeys(
        (("google", "APIError"), ("googleapiclient", "HttpError")),
        lambda key, row: made(
            key,
            response=http(),
            status_code=500 if row.code == "by status" else 403,
            error_details=[{"reason": row.code}],
        ),
    ),
    ("pymongo", "OperationFailure"): lambda key, row: made(key, code=int(row.code) if row.code != "other" else 987_654),
    ("pymongo", "NotPrimaryError"): lambda key, row: made(key),
    ("pymongo", "EncryptionError"): lambda key, row: made(key),
    ("asyncpg", "PostgresError"): lambda key, row: made(key, sqlstate="57P01" if row.code == "by SQLSTATE" else None),
    ("sqlite3", "Error"): lambda key, row: made(
        key,
        sqlite_errorcode={"SQLITE_BUSY": 5, "SQLITE_LOCKED": 6, "SQLITE_NOMEM": 7, "SQLITE_PROTOCOL": 15}.get(
            row.code, 17 if row.code == "SQLITE_SCHEMA" else 1
        ),
    ),
    ("paramiko", "NoValidConnectionsError"): lambda key, row: made(key, errors={}),
    ("asyncssh", "DisconnectError"): lambda key, row: made(
        key,
        row.code.partition(" ")[2],
        code=int(row.code.partition(" ")[0]) if row.code != "other" else 987_654,
    ),
    **dict.fromkeys(
        (("websockets", "InvalidStatus"), ("websockets", "InvalidStatusCode"), ("websockets", "InvalidProxyStatus")),
        lambda key, row: made(key),
    ),
    ("websockets", "ConnectionClosed"): lambda key, row: made(
        key, rcvd=SimpleNamespace(code=int(row.code) if row.code != "other" else 4000)
    ),
}
"""How the error of a row is made where a function reads it, by class."""


def of_httpx(key: tuple[str, str], row: Row) -> Exception:
    """The error of httpx that a row is about."""
    return made(key, {"illegal status line": "illegal status line", "by its text": "Requested "}.get(row.code, "x"))


def of_pymongo(key: tuple[str, str], row: Row) -> Exception:
    """The error of PyMongo that a row is about."""
    return made(key, "CERTIFICATE_VERIFY_FAILED" if row.code == "text" else "x", has_error_label=labelled(row.code))


def of_exchange(key: tuple[str, str], row: Row) -> Exception:
    """The error of a token that was not given."""
    return made(key, response=http() if row.code else None)


def of_answer(key: tuple[str, str], row: Row) -> Exception | None:
    """As `of_function`, for the classes of aiohttp and botocore that stand for an answer."""
    if key[0] == "aiohttp":
        cause = AIOHTTP_PARSER() if row.code == "chunk size" else None
        if cause is not None:
            cause.message = "chunk size"
        return made(key, status=500 if row.code else 0, headers={}, __cause__=cause)
    if key == ("botocore", "ClientError"):
        code = row.code if row.code not in ("by status", "") else "Odd"
        status = {"HTTPStatusCode": 500} if row.code else {}
        return made(key, response={"Error": {"Code": code}, "ResponseMetadata": status})
    return None


def of_sdk(key: tuple[str, str], row: Row) -> Exception:
    """The error of an SDK like OpenAI's that a row is about."""
    if key[1] == "APIConnectionError":
        return made(key, __cause__=UnicodeError("x") if row.code else None)
    if row.code == "authorization_pending slow_down":
        return made(key, error="slow_down")
    if row.code == "by type":
        return made(key, body={"type": "api_error"})
    if row.code == "an unknown type" or key[1] == "APIError":
        return made(key, body={"error": {"code": row.code}}, response=http(200))
    status = {"by status": 500, "409": 409}.get(row.code, 429)
    return made(key, response=http(status), code=row.code)


def of_kafka(key: tuple[str, str], row: Row) -> Exception:
    """The error of a client for Kafka that a row is about."""
    texts = {
        "in flight": "connection reset",
        "text": "CERTIFICATE_VERIFY_FAILED",
        "before sending": "Unable to bootstrap",
    }
    return made(key, *[texts[row.code]] if row.code in texts else (), retriable=row.code != "not retriable")


BY_NAME: dict[str, Callable[[tuple[str, str], Row], Exception]] = {
    **dict.fromkeys(("APIStatusError", "APIError", "OAuthError", "APIConnectionError"), of_sdk),
    **dict.fromkeys(("SubjectTokenProviderError", "WorkloadIdentityError"), of_exchange),
}
BY_TABLE: dict[str, Callable[[tuple[str, str], Row], Exception | None]] = {
    "aiohttp": of_answer,
    "botocore": of_answer,
    "builtins": of_builtins,
    "httpx": of_httpx,
    "kafka": of_kafka,
    "mysql": of_mysql,
    "postgres": of_psycopg,
    "pymongo": of_pymongo,
    "redis": of_redis,
}


def of_function(key: tuple[str, str], row: Row) -> Exception | None:
    """As `of_word`, for a class that a function reads."""
    make = FUNCTIONS.get(key) or BY_NAME.get(key[1]) or BY_TABLE.get(PLACES[key[0]])
    if make is None:  # a function that has one row for all needs no example
        return made(key) if list(ENTRIES[key].rows) == [""] else None
    return make(key, row)


def is_the_row(found: Classification, row: Row) -> bool:
    """Whether a row gave an answer; one that stands for the rows of another table only has to be a row of that."""
    if row.code in (
        "by status",
        "22 by status",
        "by SQLSTATE",
        "by orig",
        "by reason",
        "by type",
        "by gRPC code",
        "quoted in its text",
    ):
        return found.row is not row and found.verdict is row.verdict
    if row.code == "by what lies beneath":
        return found.row is not None and found.row.code == "ECONNRESET"
    if row.code == "Tunnel connection failed":
        return found.row is not None and found.row.code == "503"
    if row.code.startswith("WinError ") or row.code in ("EWOULDBLOCK", "ENOTSUP"):  # they share a number with others
        return found.row is not None and found.row.verdict is row.verdict
    return found.row is row


@pytest.mark.parametrize("table", TABLES)
def test_every_row_is_played(table: str) -> None:
    """An error that carries what a row is about is judged by that row: verdict, applied and all."""
    played = [(key, row) for key, entry in ENTRIES.items() if PLACES[key[0]] == table for row in entry.rows.values()]
    assert played
    for key, row in played:
        if can_happen_here(key, row):
            play(key, row)


def can_happen_here(key: tuple[str, str], row: Row) -> bool:
    """Whether this platform has the errno, or the name, that a row is about."""
    if PLACES[key[0]] == "builtins" and row.code.isupper():
        return hasattr(errno, row.code)
    return key != ("socket", "gaierror") or hasattr(socket, row.code)


def play(key: tuple[str, str], row: Row) -> None:
    """Make the error of one row, and see that this row judges it."""
    error = of_word(key, row) or of_function(key, row)
    if row.code == "by orig":
        error = made(key, orig=ConnectionResetError(errno.ECONNRESET, "x"))
    elif key == ("sqlalchemy", "DBAPIError"):
        error = sqlalchemy_error(row)
    assert error is not None, f"say in FUNCTIONS how the error of {row.title} is made"
    found = known_errors.ask(error)
    assert found is not None, row.title
    assert is_the_row(found, row), (row.title, found)
    if found.row is row:
        assert found.verdict is row.verdict, row.title
    assert found.reason.startswith(named(error)) or " under " in found.reason
    assert classify(error).row is found.row


def sqlalchemy_error(row: Row) -> Exception:
    """The wrapped error of a driver that a row is about."""
    interface = row.code.endswith("InterfaceError")
    base = type("DBAPIError", (Exception,), {"__module__": "sqlalchemy"})
    error: Any = type("InterfaceError" if interface else "OperationalError", (base,), {"__module__": "sqlalchemy"})()
    error.connection_invalidated = row.code.startswith("connection_invalidated")
    error.orig = FileNotFoundError(errno.ENOENT, "x") if interface else KeyError()
    return error  # type: ignore[no-any-return]


def test_every_row_says_where_it_is_written() -> None:
    """No row without package, name and source, and no condition twice."""
    assert len(ROWS) > 400
    assert all(row.package and row.name and row.source.strip() for row in ROWS)
    assert len({(row.package, row.name, row.code) for row in ROWS}) == len(ROWS)


def test_every_package_has_its_table() -> None:
    """A package that is listed has classes in the table it names, and no table has one that is not listed."""
    assert {key[0] for key in ENTRIES} == PLACES.keys()
    assert all(key in tables._load(PLACES[key[0]]).entries for key in ENTRIES)


def test_no_row_that_is_surely_not_applied_hedges() -> None:
    """`applied=False` is said where a source says so, and not with a "mostly"."""
    hedges = ("mostly", "perhaps", "probably", "may have")
    assert [row for row in ROWS if not row.applied and any(word in row.note for word in hedges)] == []


def test_the_rows_are_shown_module_by_module() -> None:
    """The documentation gets each row once."""
    assert sum(len(rows) for _, rows in everything()) == len(ROWS)


def test_a_table_that_cannot_be_loaded_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error whose table fails to load is unknown; once the table can be loaded, it is known."""
    monkeypatch.setattr(tables, "_loaded", dict(tables._loaded))
    tables._loaded.pop("requests", None)

    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "redouble.known.tables.requests":
                raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.delitem(sys.modules, "redouble.known.tables.requests", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    error = type("ReadTimeout", (Exception,), {"__module__": "requests"})()
    assert classify(error).reason == "no rule knows requests.ReadTimeout"
    monkeypatch.undo()
    assert classify(error).verdict is Verdict.TRANSIENT


WITHOUT_FILES = """
import redouble, resource, errno, socket, sys
from redouble import classify
gone = [OSError(errno.EMFILE, "x"), TimeoutError(), EOFError(), ConnectionResetError(), socket.gaierror(socket.EAI_AGAIN, "x")]
Busy = type("Busy", (Exception,), {"__module__": "requests"})
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
sys.path_importer_cache.clear()
found = [classify(error).verdict.name for error in gone]
unknown = classify(Busy()).verdict.name
assert found == ["TRANSIENT"] * 5, found
assert unknown == "PERMANENT"
class None_:
    def find_spec(self, name, *_):
        raise RuntimeError(name)
sys.meta_path.insert(0, None_())
assert classify(ConnectionRefusedError(111, "x")).reason == "ConnectionRefusedError [ECONNREFUSED]"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of open files to set")
def test_builtin_errors_are_judged_without_a_file_descriptor() -> None:
    """With no descriptor left, and no import possible, Python's own errors are judged; nothing is raised for others."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_general_class_says_nothing_of_what_others_derive_from_it() -> None:
    """AzureError was read from azure.core: a subclass in another package is unknown, and one of there is known."""
    for place, name in (
        ("azure.core", "AzureError"),
        ("redis", "RedisError"),
        ("botocore", "BotoCoreError"),
        ("google.api_core", "GoogleAPIError"),
        ("sqlalchemy", "SQLAlchemyError"),
    ):
        base = type(name, (Exception,), {"__module__": f"{place}.exceptions"})
        assert classify(base()).verdict is Verdict.PERMANENT
        assert not classify(base()).reason.startswith("no rule")
        there = type("Odd", (base,), {"__module__": f"{place}.more"})
        assert not classify(there()).reason.startswith("no rule")
        elsewhere = type("Odd", (base,), {"__module__": "elsewhere"})
        assert classify(elsewhere()).reason == "no rule knows elsewhere.Odd"


@pytest.mark.parametrize(
    "base", [ConnectionError, TimeoutError, type("ConnectionError", (OSError,), {"__module__": "redis"})]
)
def test_a_class_that_only_inherits_its_meaning_asks_its_cause_first(base: type[Exception]) -> None:
    """A cause that is known as permanent makes it permanent; any other says nothing."""
    error = type("DBConnectionError", (base,), {"__module__": "an_orm"})("x")
    error.__cause__ = type("InvalidCatalogNameError", (Exception,), {"__module__": "psycopg_pool"})()
    assert classify(error).verdict is Verdict.TRANSIENT
    error.__cause__ = type("PoolClosed", (Exception,), {"__module__": "psycopg_pool"})()
    assert classify(error).verdict is Verdict.PERMANENT
    assert classify(error).reason == "psycopg_pool.PoolClosed under an_orm.DBConnectionError"
    error.__cause__ = KeyboardInterrupt()
    assert classify(error).verdict is Verdict.TRANSIENT


def test_words_are_values() -> None:
    """Two words that read alike are equal, and a word puts its rows beneath it."""
    assert words.beneath("reason") == words.beneath("reason") != words.as_beneath("reason")
    part = words.answer_at("response")((Verdict.TRANSIENT, True, "a page", "", "A B"))
    assert [name for name, _ in part.rows("p")] == ["A", "B"]
