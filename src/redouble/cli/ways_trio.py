"""On top of the floors: the four ways to retry on trio, as the demo takes them where trio is installed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from redouble.cli.client import answer_of, request_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from redouble import RetryPolicy


@asynccontextmanager
async def open_answer(url: str) -> AsyncIterator[bytes]:
    """Yield the answer to a GET.

    Raises:
        HTTPError: For an answer of status 400 or more.
    """
    host, port, request = request_to(url)
    async with await trio.open_tcp_stream(host, port) as stream:
        await stream.send_all(request)
        yield answer_of(url, b"".join([part async for part in stream]))


async def fetch(url: str) -> str:
    """Return the text of the answer to a GET."""
    async with open_answer(url) as answer:
        return answer.decode()


async def decorator(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a decorated coroutine function."""

    @policy
    async def get_answer() -> str:
        return await fetch(url)

    return await get_answer()


async def direct_call(policy: RetryPolicy, url: str) -> str:
    """Get the answer by `call` with a plain coroutine function."""
    return await policy.call(fetch, url)


async def block(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a block that is retried."""
    text = ""
    async for attempt in policy:
        with attempt:
            text = await fetch(url)
    return text


async def connect(policy: RetryPolicy, url: str) -> str:
    """Get the answer by a retried opening; reading is not retried."""
    async with policy.connect(open_answer, url) as answer:
        return answer.decode()


def _run(way: Callable[[RetryPolicy, str], Coroutine[Any, Any, str]]) -> Callable[[RetryPolicy, str], str]:
    return lambda policy, url: trio.run(way, policy, url)


WAYS: dict[str, Callable[[RetryPolicy, str], str]] = {
    "decorator, trio": _run(decorator),
    "direct call, trio": _run(direct_call),
    "block, trio": _run(block),
    "connect, trio": _run(connect),
}
