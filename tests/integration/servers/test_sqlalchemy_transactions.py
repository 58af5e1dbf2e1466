"""Transactions that are run again whole, on a real PostgreSQL: serialization failures, deadlocks, lost connections."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, constant, outcome, retry

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install SQLAlchemy")
pytest.importorskip("psycopg", reason='psycopg is not installed: pip install "psycopg[binary]"')

from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from redouble.adapters.sqlalchemy import Transactions
from tests.integration.servers.test_postgres import Cluster, rows, server, template

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["rows", "server", "template"]  # fixtures

STRICT = retry(attempts=5, idempotent=False, backoff=constant(0.01))
READ, ADD = text("SELECT balance FROM account WHERE id = :id"), text("UPDATE account SET balance = :b WHERE id = :id")


@pytest.fixture
def engine(server: Cluster, rows: None) -> Iterator[Any]:
    """An engine whose transactions are serializable."""
    found = sqlalchemy.create_engine(
        "postgresql+psycopg://", connect_args=server.address, isolation_level="SERIALIZABLE", pool_size=4
    )
    yield found
    found.dispose()


def balance(server: Cluster, account: int = 1) -> int:
    """What an account has, as the superuser sees it."""
    found: int = server.do(f"SELECT balance FROM account WHERE id = {account}")[0][0]
    return found


def test_concurrent_increments_are_all_there(server: Cluster, engine: Any) -> None:
    """Four threads read, add and write the same row ten times each: serialization failures end in no lost update."""
    failures: list[Exception] = []

    @Transactions(sessionmaker(engine), STRICT(attempts=1000, budget=None, deadline=60))
    def add(session: Any) -> None:
        found = session.execute(READ, {"id": 1}).scalar_one()
        session.execute(ADD, {"id": 1, "b": found + 1})

    def work() -> None:
        try:
            for _ in range(10):
                add()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == [] and balance(server) == 140


def test_a_deadlock_is_run_again(server: Cluster, engine: Any) -> None:
    """Two transactions lock two rows in opposite order: the server ends one, which runs again whole."""
    meeting, attempts = threading.Barrier(2, timeout=20), []

    @Transactions(engine.execution_options(isolation_level="READ COMMITTED"), STRICT)
    def move(connection: Any, first: int, second: int) -> None:
        attempts.append(first)
        connection.execute(ADD, {"id": first, "b": 1})
        if len(attempts) <= 2:
            meeting.wait()
        connection.execute(ADD, {"id": second, "b": 1})

    other = threading.Thread(target=move, args=(2, 1))
    other.start()
    move(1, 2)
    other.join(20)
    assert len(attempts) == 3 and balance(server, 1) == balance(server, 2) == 1


def test_a_connection_that_is_lost_before_commit_is_run_again(server: Cluster, engine: Any) -> None:
    """The server ends the session in the middle: nothing was applied, so the transaction runs again, once in effect."""
    killed = []

    @Transactions(sessionmaker(engine), STRICT)
    def add(session: Any) -> int:
        found: int = session.execute(READ, {"id": 1}).scalar_one()
        session.execute(ADD, {"id": 1, "b": found + 1})
        if not killed:
            killed.append(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
            server.do(f"SELECT pg_terminate_backend({killed[0]}, 5000)")
        return int(session.execute(READ, {"id": 1}).scalar_one())

    assert add() == 101 and balance(server) == 101


def test_a_connection_that_is_lost_at_commit_is_not(server: Cluster, engine: Any) -> None:
    """Where COMMIT was sent it may have worked: `idempotent=False` ends it as UNSAFE, with the client's own error."""

    @sqlalchemy.event.listens_for(engine, "commit")
    def lose(connection: Any) -> None:
        pid = connection.connection.driver_connection.info.backend_pid
        server.do(f"SELECT pg_terminate_backend({pid}, 5000)")

    calls = []

    @Transactions(sessionmaker(engine), STRICT)
    def add(session: Any) -> None:
        calls.append(1)
        session.execute(ADD, {"id": 1, "b": 1})

    with pytest.raises(sqlalchemy.exc.OperationalError) as caught:
        add()
    end = outcome(caught.value)
    assert len(calls) == 1 and end is not None and end.reason is Reason.UNSAFE


def test_a_mistake_is_not_run_again(engine: Any) -> None:
    """An integrity error, and an error of the function's own, come out at once and undo the transaction."""
    calls = []

    @Transactions(engine, STRICT)
    def insert(connection: Any, wrong: bool) -> None:
        calls.append(1)
        connection.execute(text("INSERT INTO account VALUES (9, 1)"))
        if wrong:
            raise ValueError("no")
        connection.execute(text("INSERT INTO account VALUES (9, 1)"))

    with pytest.raises(ValueError, match="no"):
        insert(wrong=True)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        insert(wrong=False)
    assert len(calls) == 2


def test_in_asyncio(server: Cluster, rows: None, loop: Any) -> None:
    """An `async_sessionmaker` and a coroutine function: the same."""

    async def main() -> int:
        engine = create_async_engine("postgresql+psycopg://", connect_args=server.address)
        killed = []

        @Transactions(async_sessionmaker(engine), STRICT)
        async def add(session: Any) -> int:
            await session.execute(ADD, {"id": 1, "b": 7})
            if not killed:
                killed.append((await session.execute(text("SELECT pg_backend_pid()"))).scalar_one())
                server.do(f"SELECT pg_terminate_backend({killed[0]}, 5000)")
            found: int = (await session.execute(READ, {"id": 1})).scalar_one()
            return found

        found = await add()
        await engine.dispose()
        return found

    assert loop(main) == 7 and balance(server) == 7


@pytest.mark.parametrize("target", [None, "postgresql://", sqlalchemy])
def test_a_target_that_is_none_is_refused(target: Any) -> None:
    """What has no `begin` is named."""
    with pytest.raises(TypeError, match="target must be an engine or a sessionmaker, got"):
        Transactions(target)
