"""psycopg, which is typed: checked as ways_in.py is, and never run.

mypy takes `psycopg.connect` for a function that is generic in its row, and knows no row where it is only handed on:
`retry.connect(psycopg.connect, conninfo)` opens a `Connection[Any]` for it, and a `Connection[TupleRow]` for the others.
The row is known to all where it is written, or where the call stands in a lambda.
"""

from __future__ import annotations

from typing import Any, assert_type

import psycopg
from psycopg.rows import DictRow, TupleRow, dict_row

from redouble import reconnect, retry
from redouble.loops import Link


@retry(attempts=5)
def names(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """Run a query."""
    return [name for (name,) in connection.execute("select name from users")]


@retry(deadline=90, timeout_as="connect_timeout")
def dial(conninfo: str, *, connect_timeout: int | None = None) -> psycopg.Connection[DictRow]:
    """Connect, with what is left of the deadline as the timeout."""
    rows = psycopg.Connection[DictRow]
    return rows.connect(conninfo, row_factory=dict_row, connect_timeout=connect_timeout)


def handed_on(conninfo: str) -> None:
    """The generic functions themselves, whose row mypy does not know."""
    rows: list[TupleRow] = retry.call(psycopg.connect, conninfo).execute("select 1").fetchall()
    opened: psycopg.Connection[TupleRow] = retry.call(psycopg.Connection.connect, conninfo, autocommit=True)
    with retry.connect(psycopg.connect, conninfo) as connection:
        rows = connection.execute("select 1").fetchall()
    with retry.connect(psycopg.connect, conninfo, close_timeout=2) as same:
        opened = same
    print(rows, opened)


async def handed_on_in_asyncio(conninfo: str) -> None:
    """The same in a coroutine; `connect` opens an asynchronous one where the row is written."""
    opened = await retry.call(psycopg.AsyncConnection.connect, conninfo)
    await opened.execute("select 1")


def in_threads(conninfo: str) -> None:
    """A connection, a query over it, and a connection that is dialled again."""
    with retry(deadline=90).connect(lambda: psycopg.connect(conninfo)) as connection:
        assert_type(connection, psycopg.Connection[TupleRow])
        assert_type(names(connection), list[str])
        assert_type(retry.call(connection.execute, "select 1"), psycopg.Cursor[TupleRow])
    with retry.connect(psycopg.Connection[TupleRow].connect, conninfo, connect_timeout=5) as same:
        assert_type(same, psycopg.Connection[TupleRow])
    with retry.connect(psycopg.Connection[DictRow].connect, conninfo, row_factory=dict_row) as keyed:
        assert_type(keyed, psycopg.Connection[DictRow])
    assert_type(dial(conninfo), psycopg.Connection[dict[str, Any]])
    assert_type(reconnect(lambda: psycopg.connect(conninfo)), Link[psycopg.Connection[TupleRow]])


async def in_asyncio(conninfo: str) -> None:
    """The same in a coroutine."""
    async with retry(deadline=90).connect(lambda: psycopg.AsyncConnection.connect(conninfo)) as connection:
        assert_type(connection, psycopg.AsyncConnection[TupleRow])
        assert_type(await retry.call(connection.execute, "select 1"), psycopg.AsyncCursor[TupleRow])
    async with retry.connect(psycopg.AsyncConnection[TupleRow].connect, conninfo) as same:
        assert_type(same, psycopg.AsyncConnection[TupleRow])
