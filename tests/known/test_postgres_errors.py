"""Floor 1. PostgreSQL's drivers: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
AT = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


def kind(module: str, name: str, *bases: type) -> Any:
    """A class that has the name of one of a driver's."""
    return type(name, bases or (Exception,), {"__module__": module})


PSYCOPG = kind("psycopg", "OperationalError", kind("psycopg", "DatabaseError", kind("psycopg", "Error")))
PSYCOPG2 = kind("psycopg2", "OperationalError", kind("psycopg2", "DatabaseError", kind("psycopg2", "Error")))
ASYNCPG = kind("asyncpg.exceptions._base", "PostgresError")


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def with_state(cls: Any, name: str, state: Any) -> Exception:
    """An error with a SQLSTATE."""
    error: Exception = cls("message")
    setattr(error, name, state)
    return error


@pytest.mark.parametrize(("cls", "name"), [(PSYCOPG, "sqlstate"), (PSYCOPG2, "pgcode"), (ASYNCPG, "sqlstate")])
def test_states(cls: Any, name: str) -> None:
    """The SQLSTATE decides, whichever attribute holds it."""
    found = ask(with_state(cls, name, "40P01"))
    assert (found.verdict, found.applied) == (T, False)
    assert found.reason.endswith("Error [40P01]")
    assert ask(with_state(cls, name, "57P01")).applied
    assert ask(with_state(cls, name, "23505")).verdict is P


@pytest.mark.parametrize("state", [None, "00000", 40001])
def test_asyncpg_without_a_state(state: Any) -> None:
    """A server's error that says nothing is not tried again."""
    assert ask(with_state(ASYNCPG, "sqlstate", state)).verdict is P


@pytest.mark.parametrize(
    ("text", "verdict", "applied"),
    [
        (AT + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", T, False),
        (AT + "Connection refused (0x0000274D/10061)\n\tIs the server running?", T, False),
        (AT + "timeout expired", T, False),
        (AT + "server closed the connection unexpectedly\n\tThis probably means the server terminated", T, False),
        (AT + "FATAL:  sorry, too many clients already", T, False),
        (AT + "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", T, False),
        (AT + "FATAL:  the database system is starting up", T, False),
        (AT + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery", T, False),
        (AT + "FATAL:  no more connections allowed (max_client_conn)", T, False),
        (AT + 'FATAL:  password authentication failed for user "u"', P, False),
        (AT + 'FATAL:  database "Connection refused" does not exist', P, False),
        (AT + "FATAL:  Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen", P, False),
        (AT + "ВАЖНО:  пользователь не прошёл проверку подлинности (по паролю)", P, False),
        (AT + "SSL error: certificate verify failed", P, False),
        (AT + "fe_sendauth: no password supplied", P, False),
        ("failed to resolve host 'nosuch.invalid': [Errno -2] Name or service not known", P, False),
        ("failed to resolve host 'x': [Errno -3] Temporary failure in name resolution", T, False),
        ('could not translate host name "x" to address: Name or service not known', P, False),
        ("could not connect to server: Connection reset by peer", T, False),
        ("server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally", T, True),
        ("consuming input failed: server closed the connection unexpectedly", T, True),
        ("terminating connection due to administrator command\nSSL connection has been closed unexpectedly", P, False),
        ("FATAL:  terminating connection due to administrator command\nSSL SYSCALL error: EOF detected", T, True),
        ("the connection is closed", T, False),
        ("connection timeout expired", T, False),
        ("pipeline aborted", P, False),
        ("", P, False),
        ("\n", P, False),
    ],
)
@pytest.mark.parametrize("cls", [PSYCOPG, PSYCOPG2])
def test_texts(cls: Any, text: str, verdict: Verdict, applied: bool) -> None:
    """Without a SQLSTATE every line must be known to be transient."""
    found = ask(cls(text))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_one_address_that_refuses_for_good() -> None:
    """Of several addresses one that is permanent decides, whatever the others did."""
    refused = AT + "Connection refused\n\tIs the server running?\n"
    tried = refused + "Multiple connection attempts failed. All failures were:\n- host: 'h', port: '1': " + AT
    assert ask(PSYCOPG(tried + "Connection refused")).verdict is T
    assert ask(PSYCOPG(tried + "FATAL:  Passwort-Authentifizierung fehlgeschlagen")).verdict is P


def test_the_language_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """What libpq has from the system comes in the language that the system speaks to us."""
    german = AT + "Verbindungsaufbau abgelehnt\n\tLäuft der Server?"
    assert ask(PSYCOPG(german)).verdict is P
    words = {errno.ECONNREFUSED: "Verbindungsaufbau abgelehnt"}
    monkeypatch.setattr(os, "strerror", lambda number: words.get(number, "\0"))
    assert (ask(PSYCOPG(german)).verdict, ask(PSYCOPG(german)).applied) == (T, False)


def test_a_connection_that_never_was() -> None:
    """With a `pgconn` the error came up while connecting: nothing was done."""
    error = PSYCOPG("server closed the connection unexpectedly")
    error.pgconn = SimpleNamespace(used_password=True)
    assert (ask(error).verdict, ask(error).applied) == (T, False)


@pytest.mark.parametrize(
    ("module", "name", "verdict", "applied"),
    [
        ("psycopg_pool.errors", "PoolTimeout", T, False),
        ("psycopg_pool.errors", "TooManyRequests", T, False),
        ("psycopg_pool.errors", "PoolClosed", P, False),
        ("asyncpg.exceptions", "InvalidCachedStatementError", T, False),
        ("asyncpg.exceptions", "OutdatedSchemaCacheError", T, True),
        ("asyncpg.exceptions", "InterfaceError", P, False),
        ("asyncpg.exceptions", "InternalClientError", P, True),
    ],
)
def test_classes(module: str, name: str, verdict: Verdict, applied: bool) -> None:
    """Classes that decide alone."""
    found = ask(kind(module, name, PSYCOPG)("x"))
    assert (found.verdict, found.applied) == (verdict, applied)


def test_the_real_psycopg() -> None:
    """The classes of Psycopg for each SQLSTATE."""
    psycopg = pytest.importorskip("psycopg")
    assert ask(psycopg.errors.SerializationFailure("x")).reason == "psycopg.SerializationFailure [40001]"
    assert ask(psycopg.errors.UniqueViolation("x")).verdict is P
    assert ask(psycopg.ProgrammingError('invalid connection option "nonsense"')).verdict is P
    assert ask(psycopg.errors.ConnectionTimeout("connection timeout expired")).verdict is T


def test_the_real_asyncpg() -> None:
    """The classes of asyncpg for each SQLSTATE."""
    asyncpg = pytest.importorskip("asyncpg")
    made = asyncpg.exceptions.PostgresError.new
    assert ask(made({"C": "40P01", "M": "m"})).verdict is T
    assert ask(made({"C": "28P01", "M": "m"})).verdict is P
    assert ask(asyncpg.InterfaceError("another operation is in progress")).verdict is P
