"""On top of the floors: the four ways to retry, in threads, asyncio and trio, as the demo takes them."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

from redouble.cli.client import fetch, fetch_async, open_answer, open_answer_async

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeAlias

    from redouble import RetryPolicy

    Way: TypeAlias = Callable[[RetryPolicy, str], str]


def decorator(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a decorated function."""

    @policy
    def get_answer() -> str:
        return fetch(url)

    return get_answer()


async def decorator_async(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a decorated coroutine function."""

    @policy
    async def get_answer() -> str:
        return await fetch_async(url)

    return await get_answer()


def direct_call(policy: RetryPolicy, url: str) -> str:
    """Get the answer by `call` with a plain function."""
    return policy.call(fetch, url)


async def direct_call_async(policy: RetryPolicy, url: str) -> str:
    """Get the answer by `call` with a plain coroutine function."""
    return await policy.call(fetch_async, url)


def block(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a block that is retried."""
    text = ""
    for attempt in policy:
        with attempt:
            text = fetch(url)
    return text


async def block_async(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a block that is retried, in a coroutine."""
    text = ""
    async for attempt in policy:
        with attempt:
            text = await fetch_async(url)
    return text


def connect(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a retried opening; reading is not retried."""
    with policy.connect(open_answer, url) as answer:
        return answer.read().decode()


async def connect_async(policy: RetryPolicy, url: str) -> str:
    """Get the answer by retrying the entry of an async context manager; reading is not retried."""
    async with policy.connect(open_answer_async, url) as answer:
        return answer.decode()


def _run(way: Callable[[RetryPolicy, str], Coroutine[Any, Any, str]]) -> Way:
    return lambda policy, url: asyncio.run(way(policy, url))


WAYS: dict[str, Way] = {
    "decorator": decorator,
    "decorator, asyncio": _run(decorator_async),
    "direct call": direct_call,
    "direct call, asyncio": _run(direct_call_async),
    "block": block,
    "block, asyncio": _run(block_async),
    "connect": connect,
    "connect, asyncio": _run(connect_async),
}
if find_spec("trio") is not None:
    from redouble.cli import ways_trio

    WAYS |= ways_trio.WAYS
