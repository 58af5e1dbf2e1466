"""Floor 1. SQLAlchemy's errors: lookalikes by name, and the real ones where they are installed."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

import pytest

from redouble import Classification, Verdict, known_errors

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def kind(module: str, name: str, *bases: type) -> Any:
    """A class that has the name of one of SQLAlchemy's, or of a driver's."""
    return type(name, bases or (Exception,), {"__module__": module})


BASE = kind("sqlalchemy.exc", "SQLAlchemyError")
STATEMENT = kind("sqlalchemy.exc", "StatementError", BASE)
DBAPI = kind("sqlalchemy.exc", "DBAPIError", STATEMENT)
OPERATIONAL = kind("sqlalchemy.exc", "OperationalError", DBAPI)
INTERFACE = kind("sqlalchemy.exc", "InterfaceError", DBAPI)
ADAPTED = kind("sqlalchemy.dialects.postgresql.asyncpg", "Error")
MYSQL = kind("pymysql.err", "MySQLError")
ASYNCPG = kind("asyncpg.exceptions", "PostgresError")


class UnknownError(Exception):
    """An error of a driver that nobody knows."""


def wrapped(cls: Any, orig: Any, invalidated: Any = False) -> Any:
    """As SQLAlchemy raises it."""
    error = cls("statement")
    error.orig, error.connection_invalidated, error.code = orig, invalidated, "e3q8"
    return error


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("orig", "verdict", "applied"),
    [
        (MYSQL(1213, "m"), T, False),
        (MYSQL(2013, "m"), T, True),
        (MYSQL(1045, "m"), P, False),
        (sqlite3.OperationalError("database is locked"), T, False),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), T, False),
        (UnknownError(), P, True),
        (None, P, True),
        ("text", P, True),
    ],
)
def test_the_drivers_error_decides(orig: Any, verdict: Verdict, applied: bool) -> None:
    """OperationalError alone says nothing."""
    found = ask(wrapped(OPERATIONAL, orig))
    assert (found.verdict, found.applied) == (verdict, applied)
    assert found.reason.endswith(("under sqlalchemy.OperationalError", "[unknown orig]"))


def test_the_cause_stands_in() -> None:
    """Where `orig` is missing, as in an error that was pickled, the cause is looked at."""
    error = OPERATIONAL("x")
    error.__cause__ = MYSQL(1213, "m")
    assert ask(error).verdict is T


def test_a_dialect_that_saw_the_end() -> None:
    """An unknown driver, whose dialect says that the connection is gone."""
    assert (ask(wrapped(OPERATIONAL, UnknownError(), True)).verdict, ask(wrapped(DBAPI, None, True)).applied) == (
        T,
        True,
    )
    assert ask(wrapped(OPERATIONAL, UnknownError(), "yes")).verdict is P


def test_a_connection_that_was_closed_before() -> None:
    """Misuse for the driver; for the pool, a connection that it has dropped."""
    closed = MYSQL(0, "")
    assert ask(wrapped(INTERFACE, closed)).verdict is P
    assert (ask(wrapped(INTERFACE, closed, True)).verdict, ask(wrapped(INTERFACE, closed, True)).applied) == (T, False)
    assert ask(wrapped(OPERATIONAL, MYSQL(1045, "m"), True)).verdict is P


def test_adapted_errors() -> None:
    """What SQLAlchemy makes of asyncpg's errors: the real one inside, else its SQLSTATE."""
    real = ASYNCPG("m")
    real.sqlstate = "40001"
    adapted = ADAPTED("x")
    assert known_errors.ask(adapted) is None
    adapted.sqlstate = "40P01"
    assert ask(wrapped(DBAPI, adapted)).verdict is T
    adapted.__cause__ = real
    assert "asyncpg.PostgresError [40001]" in ask(wrapped(DBAPI, adapted)).reason


@pytest.mark.parametrize(
    ("name", "verdict"), [("TimeoutError", T), ("DisconnectionError", T), ("NoResultFound", P), ("ArgumentError", P)]
)
def test_its_own_errors(name: str, verdict: Verdict) -> None:
    """The pool's are transient, all others are misuse; none was sent."""
    found = ask(kind("sqlalchemy.exc", name, BASE)("x"))
    assert (found.verdict, found.applied) == (verdict, False)


def test_statements_that_could_not_be_made() -> None:
    """A value of the wrong kind is permanent; what came up while connecting is what it is."""
    assert (ask(wrapped(STATEMENT, TypeError("x"))).verdict, ask(wrapped(STATEMENT, None)).applied) == (P, False)
    assert ask(wrapped(STATEMENT, ConnectionRefusedError(errno.ECONNREFUSED, "x"))).verdict is T


def test_circles_end() -> None:
    """An error that carries itself."""
    error = wrapped(OPERATIONAL, None)
    error.orig = error
    assert ask(error).verdict is P


def test_the_real_sqlalchemy() -> None:
    """SQLAlchemy over SQLite, and its pool."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=sqlalchemy.pool.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0
    )
    with engine.connect() as connection:
        with pytest.raises(sqlalchemy.exc.TimeoutError) as full:
            engine.connect()
        with pytest.raises(sqlalchemy.exc.OperationalError) as wrong:
            connection.execute(sqlalchemy.text("selct 1"))
    engine.dispose()
    assert (ask(full.value).verdict, ask(full.value).applied) == (T, False)
    assert ask(wrong.value).verdict is P
