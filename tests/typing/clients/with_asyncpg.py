"""asyncpg, which ships no types: checked as ways_in.py is, and never run.

Without a package of stubs its classes are `Any` to mypy, so what is asserted are the functions of users, with the types
that they write.
"""

from __future__ import annotations

from typing import Any, assert_type

import asyncpg  # type: ignore[import-untyped]  # ships no types

from redouble import reconnect, retry
from redouble.loops import Link


@retry(attempts=5, attempt_timeout=10)
async def count(connection: Any, table: str) -> int:
    """Run a query."""
    return int(await connection.fetchval(f"select count(*) from {table}"))


@retry(attempts=5, deadline=60, timeout_as="timeout")
async def names(pool: Any, *, timeout: float | None = None) -> list[str]:
    """Run a query, with what is left of the deadline as the timeout."""
    return [row["name"] for row in await pool.fetch("select name from users", timeout=timeout)]


async def connections(dsn: str) -> None:
    """A connection, a pool, and a connection that is dialled again."""
    async with retry(deadline=90).connect(asyncpg.connect, dsn, timeout=5) as connection:
        assert_type(await count(connection, "users"), int)
        assert_type(await retry.call(count, connection, table="users"), int)
    async with retry(deadline=90).connect(asyncpg.create_pool, dsn, min_size=1) as pool:
        assert_type(await names(pool, timeout=3), list[str])
    link: Link[Any] = reconnect(lambda: asyncpg.connect(dsn))
    async for session in link:
        async with session as again:
            assert_type(await count(again, "users"), int)
