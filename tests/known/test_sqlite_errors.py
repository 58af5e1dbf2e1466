"""Floor 1. sqlite3's errors, provoked where that is possible."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Classification, Verdict, known_errors

if TYPE_CHECKING:
    from pathlib import Path

T, P = Verdict.TRANSIENT, Verdict.PERMANENT


def ask(error: BaseException) -> Classification:
    """What the tables say, and they must say something."""
    found = known_errors.ask(error)
    assert found is not None
    return found


def with_code(code: Any, text: str = "m") -> sqlite3.OperationalError:
    """An error as SQLite raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def test_a_database_that_another_connection_holds(tmp_path: Path) -> None:
    """Busy, and by that transient; nothing was written."""
    path = tmp_path / "data"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as first,
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as second,
    ):
        first.execute("create table t (x primary key)")
        first.execute("begin immediate")
        with pytest.raises(sqlite3.OperationalError) as busy:
            second.execute("insert into t values (1)")
        first.execute("insert into t values (1)")
        with pytest.raises(sqlite3.IntegrityError) as twice:
            first.execute("insert into t values (1)")
    found = ask(busy.value)
    assert (found.verdict, found.applied, found.reason) == (T, False, "sqlite3.OperationalError [SQLITE_BUSY]")
    assert ask(twice.value).verdict is P


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (sqlite3.SQLITE_BUSY, T),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, T),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, T),
        (sqlite3.SQLITE_PROTOCOL, T),
        (sqlite3.SQLITE_SCHEMA, T),
        (sqlite3.SQLITE_NOMEM, T),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, P),
        (sqlite3.SQLITE_CORRUPT, P),
        (sqlite3.SQLITE_FULL, P),
        (sqlite3.SQLITE_CANTOPEN, P),
        (sqlite3.SQLITE_READONLY, P),
    ],
)
def test_codes(code: int, verdict: Verdict) -> None:
    """An extended code means what its primary one means, whatever the text says."""
    found = ask(with_code(code, "database is locked" if verdict is P else "m"))
    assert (found.verdict, found.applied) == (verdict, False)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("database is locked", T),
        ("database table is locked: t", T),
        ("database schema is locked: main", T),
        ("no such table: locked", P),
        ("", P),
    ],
)
def test_texts(text: str, verdict: Verdict) -> None:
    """An error without a code goes by SQLite's text."""
    assert ask(sqlite3.OperationalError(text)).verdict is verdict
    assert ask(with_code("5", text)).verdict is verdict
