"""redis, which is typed, in threads and in asyncio: checked as ways_in.py is, and never run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import assert_type

import redis
import redis.asyncio

from redouble import retry


@contextmanager
def opened(host: str, *, socket_timeout: float) -> Generator[redis.Redis, None, None]:
    """Open a client that has been answered once."""
    with redis.Redis(host=host, socket_timeout=socket_timeout) as client:
        client.ping()
        yield client


@retry(attempts=5)
def visits(client: redis.Redis, page: str) -> int:
    """Count a visit."""
    return client.incr(page)


@retry(attempts=5, attempt_timeout=2)
async def page_async(client: redis.asyncio.Redis, name: str) -> bytes | str | None:
    """Get a page in a coroutine."""
    return await client.get(name)


def calls(client: redis.Redis) -> None:
    """Commands, and a client that is opened."""
    assert_type(visits(client, "/"), int)
    assert_type(retry.call(client.get, "key"), bytes | str | None)
    assert_type(retry.call(client.ping), bool)
    with retry(deadline=60).connect(opened, "localhost", socket_timeout=5) as answered:
        assert_type(answered, redis.Redis)
    with retry.connect(redis.Redis, host="localhost") as unknown:
        same: redis.Redis = unknown  # its `__enter__` has no types
        assert_type(same.ping(), bool)


async def awaited(client: redis.asyncio.Redis) -> None:
    """The same in coroutines."""
    assert_type(await page_async(client, "/"), bytes | str | None)
    assert_type(await retry.call(client.get, "key"), bytes | str | None)
    assert_type(await retry.call(client.ping), bool)
    async with retry(deadline=60).connect(redis.asyncio.Redis, host="localhost") as opened:
        assert_type(opened, redis.asyncio.Redis)
