"""SQLite: errors of real files, by sqlite3 and SQLAlchemy over it. No server, but other connections all the same."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Verdict, exponential, retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T, P = Verdict.TRANSIENT, Verdict.PERMANENT
QUICK = retry(deadline=10, backoff=exponential(0.02, maximum=0.1))


class Sqlite:
    """A connection of sqlite3."""

    name = "sqlite3"

    def __init__(self, path: str) -> None:
        self.connection: Any = None
        self.open(path)

    @staticmethod
    def errors() -> type[Exception]:
        """What this client raises."""
        return sqlite3.Error

    def open(self, path: str) -> None:
        """Open the file."""
        self.connection = sqlite3.connect(path, timeout=0, uri=True, isolation_level=None)

    def run(self, statement: str) -> None:
        """Run a statement."""
        self.connection.execute(statement).close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


class SqlAlchemy(Sqlite):
    name = "SQLAlchemy, sqlite3"

    @staticmethod
    def errors() -> type[Exception]:
        error: type[Exception] = pytest.importorskip("sqlalchemy").exc.SQLAlchemyError
        return error

    def open(self, path: str) -> None:
        sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install SQLAlchemy")
        engine = sqlalchemy.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(path, timeout=0, uri=True, isolation_level=None),
            poolclass=sqlalchemy.NullPool,
        )
        self.connection = engine.connect()

    def run(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement).close()


CLIENTS = [Sqlite, SqlAlchemy]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A database with one table."""
    name = str(tmp_path / "data")
    with closing(sqlite3.connect(name)) as connection:
        connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)")
        connection.execute("INSERT INTO account VALUES (1, 100)")
        connection.commit()
    return name


@pytest.fixture(params=CLIENTS, ids=[client.name for client in CLIENTS])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Opens files, and closes them at the end."""
    with ExitStack() as stack:

        def connecting(path: str) -> Sqlite:
            opened: Sqlite = stack.enter_context(closing(request.param(path)))
            return opened

        connecting.name = request.param.name  # type: ignore[attr-defined]
        connecting.errors = request.param.errors()  # type: ignore[attr-defined]
        yield connecting


@pytest.fixture
def failed(connect: Any, told: Any) -> Callable[..., None]:
    """Asserts what redouble says of a statement that fails; nothing of it is ever done."""

    def check(action: Callable[..., Any], verdict: Verdict, *args: str) -> None:
        with pytest.raises(connect.errors) as caught:
            action(*args)
        told(connect.name, caught.value, verdict, applied=False)

    return check


def test_locked(path: str, connect: Any, failed: Any) -> None:
    """SQLITE_BUSY: another connection writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        failed(connect(path).run, T, "UPDATE account SET balance = 1")


def test_locked_table(connect: Any, failed: Any) -> None:
    """SQLITE_LOCKED: another user of a shared cache writes to the table."""
    shared = "file:shared?mode=memory&cache=shared"
    with closing(sqlite3.connect(shared, uri=True, isolation_level=None)) as other:
        other.execute("CREATE TABLE account (id INTEGER)")
        other.execute("BEGIN")
        other.execute("INSERT INTO account VALUES (1)")
        failed(connect(shared).run, T, "SELECT * FROM account")


def test_old_snapshot(path: str, connect: Any, failed: Any) -> None:
    """SQLITE_BUSY_SNAPSHOT: another connection wrote since this transaction began to read; all of it must be repeated."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        client = connect(path)
        client.run("BEGIN")
        client.run("SELECT * FROM account")
        other.execute("UPDATE account SET balance = 1")
        failed(client.run, T, "UPDATE account SET balance = 2")


@pytest.mark.parametrize(
    "statement",
    [
        "SELEC 1",
        "SELECT * FROM nowhere",
        "INSERT INTO account VALUES (1, 1)",
        "INSERT INTO account VALUES (2, NULL)",
        "INSERT INTO account VALUES ('x', 1)",
    ],
)
def test_wrong_statement(path: str, connect: Any, failed: Any, statement: str) -> None:
    """A mistake in the statement or its data stays one."""
    failed(connect(path).run, P, statement)


def test_read_only(path: str, connect: Any, failed: Any) -> None:
    """A file that was opened to be read."""
    failed(connect(f"file:{path}?mode=ro").run, P, "DELETE FROM account")


def test_no_such_file(path: str, connect: Any, failed: Any) -> None:
    """A directory that is not there."""
    failed(connect, P, f"{path}.d/data")


def test_no_database(tmp_path: Path, connect: Any, failed: Any) -> None:
    """A file that is something else."""
    other = tmp_path / "other"
    other.write_bytes(b"no database at all" * 100)
    failed(connect(str(other)).run, P, "SELECT * FROM account")


def test_nothing_permanent_is_retried(told: Any) -> None:
    """None of the permanent errors above was called transient."""
    told.nothing_permanent_is_retried()


def test_locked_is_retried_to_success(path: str) -> None:
    """Another connection holds the lock until it has been met once; then the write succeeds."""
    met = threading.Event()
    locked = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            locked.set()
            met.wait(10)
            other.execute("COMMIT")

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(10)
    policy = QUICK(observers=[lambda event: met.set()])
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        policy.call(connection.execute, "UPDATE account SET balance = 7")
        assert connection.execute("SELECT balance FROM account").fetchone() == (7,)
    thread.join()
