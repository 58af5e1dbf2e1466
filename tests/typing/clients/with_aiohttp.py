"""aiohttp, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import Any, assert_type

import aiohttp

from redouble import reconnect, retry
from redouble.loops import Link


@retry(attempts=5, attempt_timeout=10)
async def fetch_json(session: aiohttp.ClientSession, url: str) -> Any:
    """Fetch within one attempt, so that the answer is read there, too."""
    async with session.get(url, raise_for_status=True) as answer:
        return await answer.json()


async def calls(session: aiohttp.ClientSession, url: str) -> None:
    """Calls of aiohttp itself, whose requests are both coroutines and context managers."""
    assert_type(await fetch_json(session, url), Any)
    assert_type(await retry.call(session.get, url), aiohttp.ClientResponse)
    async with retry.connect(lambda: session.get(url)) as answer:
        assert_type(answer, aiohttp.ClientResponse)
    async with retry.connect(session.get, url) as same:
        right: aiohttp.ClientResponse = same  # mypy cannot choose between the two, and takes it for Any
        assert_type(right.status, int)
    assert_type(reconnect(lambda: aiohttp.ClientSession()), Link[aiohttp.ClientSession])
