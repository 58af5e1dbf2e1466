"""Every interesting answer, through every client that makes an error of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redouble import Verdict, classify, constant
from tests.integration.clients.clients import RAISING, let_go
from tests.integration.clients.flaky_server import answer
from tests.integration.clients.provocations import FEW, HEADERS, STATUSES, right_answer

if TYPE_CHECKING:
    from tests.integration.clients.clients import OpenClients
    from tests.integration.clients.flaky_server import FlakyServer


TRIED = {"GET": tuple(HEADERS), "POST": FEW}
"""What an answer means does not depend on the method: a few headers show that."""


@pytest.mark.parametrize("method", TRIED)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("client", RAISING)
def test_answers(client: str, status: int, method: str, clients: OpenClients, server: FlakyServer) -> None:
    """The error that a client makes of an answer is judged by its status and its headers, all of them."""
    fetch = clients[client]
    wrong = []
    for header in TRIED[method]:
        server.play(answer(status, HEADERS[header][0]))
        with pytest.raises(Exception) as caught:
            fetch(server.url, method)
        found = classify(caught.value)
        let_go(caught.value)
        if (found.verdict, found.retry_after, found.applied) != right_answer(client, status, header):
            wrong.append((header, found))
    assert wrong == []


HOLDING_BODIES = tuple(
    client for client in RAISING if client.startswith(("requests", "httpx", "openai", "anthropic", "azure"))
)
"""The clients that may be asked for a token, and whose error holds the body: urllib's and aiohttp's do not."""


@pytest.mark.parametrize(("word", "every"), [("authorization_pending", 5.0), ("slow_down", 10.0)])
@pytest.mark.parametrize("client", HOLDING_BODIES)
def test_a_login_that_is_pending(
    client: str, word: str, every: float, clients: OpenClients, server: FlakyServer
) -> None:
    """A 400 whose body says that somebody has yet to agree is no failure: every 5 s, or 5 s more (RFC 8628, 3.5)."""
    server.play(answer(400, body=b'{"error": "%s"}' % word.encode()))
    with pytest.raises(Exception) as caught:
        clients[client](server.url, "POST")
    found = classify(caught.value)
    assert (found.verdict, found.retry_after, found.backoff) == (Verdict.PENDING, None, constant(every))
