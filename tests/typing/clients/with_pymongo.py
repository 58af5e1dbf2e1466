"""pymongo, which is typed, in threads and in asyncio: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import Any, TypeAlias, assert_type

from pymongo import AsyncMongoClient, MongoClient
from pymongo.results import InsertOneResult

from redouble import retry

Document: TypeAlias = dict[str, Any]


@retry(attempts=5)
def find(client: MongoClient[Document], name: str) -> Document | None:
    """Find one document."""
    return client["shop"]["users"].find_one({"name": name})


@retry(attempts=5, attempt_timeout=5)
async def find_async(client: AsyncMongoClient[Document], name: str) -> Document | None:
    """Find one document in a coroutine."""
    return await client["shop"]["users"].find_one({"name": name})


def calls(client: MongoClient[Document]) -> None:
    """Methods of a collection, and a client that is opened."""
    users = client["shop"]["users"]
    assert_type(find(client, "ada"), Document | None)
    assert_type(retry.call(users.find_one, {"name": "ada"}), Document | None)
    assert_type(retry(idempotent=True).call(users.insert_one, {"name": "ada"}), InsertOneResult)
    with retry(deadline=60).connect(MongoClient[Document], "mongodb://localhost") as opened:
        assert_type(opened, MongoClient[Document])


async def awaited(client: AsyncMongoClient[Document]) -> None:
    """The same in coroutines."""
    users = client["shop"]["users"]
    assert_type(await find_async(client, "ada"), Document | None)
    assert_type(await retry.call(users.find_one, {"name": "ada"}), Document | None)
