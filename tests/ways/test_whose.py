"""Whose function is retried: what its own package raises is guessed at only where it was handed over straight out of it."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from redouble import constant, current_attempt, retry
from redouble.testing import FakeClock

if TYPE_CHECKING:
    pass

SOURCE = """
class BusyError(Exception):
    status_code = 503
    headers = {"Retry-After": "1"}

class Client:
    calls, error, look = 0, BusyError, staticmethod(lambda: None)

    def fetch(self):
        self.calls += 1
        self.look()
        raise BusyError

    async def fetch_async(self):
        self.fetch()
"""


@pytest.fixture
def client() -> Any:
    """A client that no table knows, in a package of its own."""
    package = ModuleType("acme")
    exec(SOURCE, vars(package))
    return package.Client()


def connect(client: Any) -> None:
    """Open by the client's own function."""
    with retry.connect(client.fetch):
        pass


def connect_async(client: Any) -> None:
    """The same in a coroutine."""

    async def main() -> None:
        async with retry.connect(client.fetch_async):
            pass

    asyncio.run(main())


@pytest.mark.parametrize(
    "way",
    [
        lambda client: retry.call(client.fetch),
        lambda client: asyncio.run(retry.call(client.fetch_async)),
        connect,
        connect_async,
    ],
    ids=["call", "call, asyncio", "connect", "connect, asyncio"],
)
def test_a_client_that_is_handed_over_is_believed(client: Any, clock: FakeClock, way: Any) -> None:
    """The status in an error that it raised is an answer that it received."""
    with pytest.raises(client.error):
        way(client)
    assert client.calls == 3


def test_a_package_that_retries_its_own_function_is_not_guessed_about(client: Any, clock: FakeClock) -> None:
    """What one's own code raises may be a decision: nothing says that it was received."""
    with pytest.raises(client.error):
        retry(client.fetch)()
    assert client.calls == 1


def test_it_is_believed_also_where_its_attempt_was_asked_for(client: Any) -> None:
    """Whoever asks for the current attempt from deeper down changes nothing of what is known of the call."""
    client.error.headers = {}  # no wait, on the system's clock
    client.look = lambda: current_attempt().failures  # type: ignore[union-attr]  # there is one
    with pytest.raises(client.error):
        retry(backoff=constant(0)).call(client.fetch)
    assert client.calls == 3
