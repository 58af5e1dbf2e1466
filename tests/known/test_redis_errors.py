"""Floor 1. Redis's and Valkey's errors: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def kind(name: str, *bases: type, package: str = "redis") -> Any:
    """A class that has the name of one of the client's."""
    return type(name, bases or (Exception,), {"__module__": f"{package}.exceptions"})


BASE = kind("RedisError")
CONNECTION = kind("ConnectionError", BASE)
TIMEOUT = kind("TimeoutError", BASE)
RESPONSE = kind("ResponseError", BASE)


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def answered(text: str, code: Any = None) -> Exception:
    """A refusal of the server."""
    error: Any = RESPONSE(text)
    error.status_code = code
    return error  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "code", "verdict"),
    [
        ("BUSY Redis is busy running a script", None, T),
        ("NOREPLICAS Not enough good replicas to write.", None, T),
        ("LOADING Redis is loading the dataset", None, T),
        ("Redis is loading the dataset", "LOADING", T),
        ("You can't write against a read only replica.", "READONLY", T),
        ("max number of clients + cluster connections reached", "ERR", T),
        ("ERR max number of clients reached", None, T),
        ("BUSYGROUP Consumer Group name already exists", None, P),
        ("BUSYKEY Target key name already exists.", None, P),
        ("WRONGTYPE Operation against a key", None, P),
        ("MISCONF Redis is configured to save RDB snapshots", None, P),
        ("unknown command", "ERR", P),
        ("BUSY", "OOM", P),
        ("", None, P),
        ("", b"LOADING", P),
    ],
)
def test_answers(text: str, code: Any, verdict: Verdict) -> None:
    """By the prefix, wherever it is kept; the server did nothing."""
    found = ask(answered(text, code))
    assert (found.verdict, found.applied) == (verdict, False)


@pytest.mark.parametrize("package", ["redis", "valkey"])
@pytest.mark.parametrize(
    ("name", "base", "verdict", "applied"),
    [
        ("BusyLoadingError", CONNECTION, T, False),
        ("MaxConnectionsError", CONNECTION, T, False),
        ("MasterNotFoundError", CONNECTION, T, False),
        ("AuthenticationError", CONNECTION, P, False),
        ("AuthorizationError", CONNECTION, P, False),
        ("WatchError", BASE, T, False),
        ("TryAgainError", RESPONSE, T, False),
        ("ClusterDownError", RESPONSE, T, False),
        ("ReadOnlyError", RESPONSE, T, False),
        ("ClusterError", BASE, T, True),
        ("NoPermissionError", RESPONSE, P, False),
        ("MovedError", RESPONSE, P, False),
        ("LockNotOwnedError", kind("LockError", BASE, ValueError), P, False),
        ("InvalidResponse", BASE, P, True),
        ("DataError", BASE, P, False),
        ("RedisClusterException", Exception, P, False),
    ],
)
def test_classes(package: str, name: str, base: Any, verdict: Verdict, applied: bool) -> None:
    """Classes that decide alone, in both clients."""
    own = kind("RedisError", package=package) if base is BASE else base  # a general class counts in its own package
    found = ask(kind(name, own, package=package)("x"))
    assert (found.verdict, found.applied) == (verdict, applied)


@pytest.mark.parametrize(
    ("text", "context", "verdict", "applied"),
    [
        ("Connection closed by server.", None, T, True),
        ("Error 111 connecting to h:1. Connection refused.", ConnectionRefusedError(errno.ECONNREFUSED, "x"), T, False),
        ("Error 32 while writing to socket. Broken pipe.", BrokenPipeError(errno.EPIPE, "x"), T, True),
        ("Error -2 connecting to h:1. Name or service not known.", socket.gaierror(socket.EAI_NONAME, "x"), P, False),
        ("Error 1 connecting to h:1. [SSL]", ssl.SSLCertVerificationError(1, "x"), P, False),
        ("Error 13 connecting to /run/redis. Permission denied.", PermissionError(errno.EACCES, "x"), P, False),
        ("max number of clients reached", None, T, False),
        ("Invalid Database", None, P, False),
        ("ocsp validation error", None, P, False),
    ],
)
def test_connections(text: str, context: Any, verdict: Verdict, applied: bool) -> None:
    """One class for what passes and for what stays: the context and the text tell."""
    error = CONNECTION(text)
    error.__context__ = context
    found = ask(error)
    assert (found.verdict, found.applied) == (verdict, applied)


def test_timeouts() -> None:
    """While connecting nothing was sent."""
    assert (ask(TIMEOUT("Timeout reading from socket")).verdict, ask(TIMEOUT("x")).applied) == (T, True)
    assert ask(TIMEOUT("Timeout connecting to server")).applied is False


def test_a_cluster_of_which_no_node_answers() -> None:
    """The cause decides, where it is known."""
    error = kind("RedisClusterException")("Redis Cluster cannot be connected.")
    assert (ask(error).verdict, ask(error).applied) == (T, False)  # as 4.3 raises it, without a cause
    error = kind("RedisClusterException")("ERROR sending 'config get cluster-require-full-coverage'")
    error.__cause__ = CONNECTION("Error 111 connecting to h:1. Connection refused.")
    assert (ask(error).verdict, ask(error).applied) == (T, False)
    error.__cause__ = ValueError("x")
    assert ask(error).verdict is P


def test_the_real_redis() -> None:
    """What redis-py's own parser makes of a server's answers."""
    base = pytest.importorskip("redis._parsers.base")
    parse = base.BaseParser.parse_error
    for line in ("LOADING x", "BUSY x", "TRYAGAIN x", "CLUSTERDOWN x", "MASTERDOWN x", "NOREPLICAS x", "READONLY x"):
        assert ask(parse(line)).verdict is T, line
    for line in ("WRONGPASS x", "NOAUTH x", "NOPERM x", "OOM x", "MISCONF x", "MOVED 1 h:1", "CROSSSLOT x", "ERR x"):
        assert ask(parse(line)).verdict is P, line
    assert ask(parse("ERR max number of clients reached")).verdict is T
