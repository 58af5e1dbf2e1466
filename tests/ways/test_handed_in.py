"""What is handed to `retry` is bound once: the place of a timeout, stand-ins of mocks, functions that hide others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from unittest.mock import AsyncMock, Mock, create_autospec

import pytest

from redouble import retry
from redouble.testing import fake_time


class Client:
    """A client of the user's."""

    def get(self, url: str, timeout: Any = 30) -> Any:
        """Return what it was called with."""
        return url, timeout

    async def fetch(self, url: str) -> str:
        """Return the body."""
        return url


GIVEN: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = [
    (("/",), {}, 5),
    (("/", 7), {}, 5),
    (("/", 2), {}, 2),
    (("/",), {"timeout": 7}, 5),
    (("/",), {"timeout": (0.5, 0.5)}, (0.5, 0.5)),
    (("/", (3.05, 27)), {}, (3.05, 5)),
    (("/", None), {}, 5),
]


@pytest.mark.parametrize(("args", "kwargs", "timeout"), GIVEN)
def test_a_timeout_is_cut_where_the_caller_passes_it(args: Any, kwargs: Any, timeout: Any) -> None:
    """By position, by keyword, as a number or as requests' pair: never longer, and never made longer."""
    policy = retry(timeout_as="timeout", attempt_timeout=5)
    with fake_time():
        assert policy(Client.get)(Client(), *args, **kwargs) == ("/", timeout)
        assert policy.call(Client().get, *args, **kwargs) == ("/", timeout)


def test_a_mock_after_a_plain_function_is_one() -> None:
    """A specced mock says yes to whatever it is asked, also whether it is a coroutine function."""
    client = create_autospec(Client, instance=True)
    client.get.side_effect = [ConnectionResetError, "body"]
    with fake_time():
        assert retry.call(client.get, "/") == "body"
        assert retry.call(Mock(spec=Client.get, return_value="body"), "/") == "body"


def test_a_mock_after_a_coroutine_function_is_one() -> None:
    """It is awaited, and retried there."""
    client = create_autospec(Client, instance=True)
    client.fetch.side_effect = [ConnectionResetError, "body"]
    with fake_time():
        assert asyncio.run(retry.call(client.fetch, "/")) == "body"
        assert asyncio.run(retry.call(AsyncMock(return_value="body"))) == "body"


@contextlib.asynccontextmanager
async def connection() -> Any:
    """A context manager that is asynchronous."""
    yield "up"


def test_an_asynchronous_context_manager_is_no_function_to_retry() -> None:
    """It fails only when it is entered, which is what `connect` retries."""
    for refused in (retry, retry.call):
        with pytest.raises(TypeError, match=r"write retry\.connect\(connection, \.\.\.\) to retry entering it"):
            refused(connection)

    async def main() -> str:
        async with retry.connect(connection) as found:
            return found

    assert asyncio.run(main()) == "up"
