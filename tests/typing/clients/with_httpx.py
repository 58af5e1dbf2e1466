"""httpx, which is typed: checked as ways_in.py is, and never run."""

from __future__ import annotations

from typing import Any, assert_type

import httpx

from redouble import retry


class Service:
    """A client of a service."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @retry(attempts=5, deadline=60, timeout_as="timeout")
    def user(self, name: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Fetch a user, with what is left of the deadline as the timeout."""
        answer = self._client.get(f"/users/{name}", timeout=timeout).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@retry(attempts=5, attempt_timeout=10)
async def fetch(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """Fetch in a coroutine."""
    return await client.get(url)


def calls(client: httpx.Client) -> None:
    """Calls of httpx itself."""
    assert_type(Service(client).user("ada"), dict[str, Any])
    assert_type(retry.call(httpx.get, "https://example.com", timeout=5), httpx.Response)
    assert_type(retry.call(client.get, "/", params={"a": 1}), httpx.Response)
    assert_type(retry(deadline=60, timeout_as="timeout").call(client.put, "/"), httpx.Response)
    with retry.connect(lambda: client.stream("GET", "/")) as answer:
        assert_type(answer, httpx.Response)


async def awaited(client: httpx.AsyncClient) -> None:
    """The same in coroutines."""
    assert_type(await fetch(client, "/"), httpx.Response)
    assert_type(await retry.call(client.get, "/"), httpx.Response)
    async with retry.connect(httpx.AsyncClient, base_url="https://example.com") as opened:
        assert_type(opened, httpx.AsyncClient)
    async with retry.connect(lambda: client.stream("GET", "/")) as answer:
        assert_type(answer, httpx.Response)
