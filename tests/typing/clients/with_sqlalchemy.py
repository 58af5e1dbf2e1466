"""SQLAlchemy, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import assert_type

from sqlalchemy import Connection, Engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from redouble import retry


@retry(attempts=5)
def count(engine: Engine) -> int:
    """Run a transaction within one attempt."""
    with engine.begin() as connection:
        return int(connection.execute(text("select count(*) from users")).scalar_one())


@retry(attempts=5)
async def count_async(engine: AsyncEngine) -> int:
    """Run a transaction within one attempt of a coroutine."""
    async with engine.begin() as connection:
        return int((await connection.execute(text("select count(*) from users"))).scalar_one())


def calls(engine: Engine) -> None:
    """Connections and sessions."""
    assert_type(count(engine), int)
    with retry(deadline=60).connect(engine.connect) as connection:
        assert_type(connection, Connection)
    with retry(deadline=60).connect(engine.begin) as transaction:
        assert_type(transaction, Connection)
    with retry.connect(Session, engine) as session:
        assert_type(session, Session)


async def awaited(engine: AsyncEngine) -> None:
    """The same in coroutines."""
    assert_type(await count_async(engine), int)
    async with retry(deadline=60).connect(engine.connect) as connection:
        assert_type(connection, AsyncConnection)
    async with retry(deadline=60).connect(engine.begin) as transaction:
        assert_type(transaction, AsyncConnection)
    async with retry.connect(AsyncSession, engine) as session:
        assert_type(session, AsyncSession)
