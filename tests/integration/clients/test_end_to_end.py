"""Real calls, really retried: which of them are made again, and which must not be."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import pytest

from redouble import Reason, constant, outcome, retry
from tests.integration.clients.clients import CLIENTS, RAISING, let_go
from tests.integration.clients.flaky_server import FlakyServer, answer, reset
from tests.integration.clients.provocations import LENGTH

if TYPE_CHECKING:
    from tests.integration.clients.clients import OpenClients

AT_ONCE = retry(attempts=3, backoff=constant(0))
KEY = {"Idempotency-Key": "7f1c"}

MODELS = ("openai", "openai async", "anthropic", "anthropic async")
UNSEEN = ("asyncio streams",)
"""Whose POST nothing shows: streams of one's own know no methods."""
ALL_POST = ("botocore",)
"""Whose requests are a POST, those that read too, so that nothing follows from it."""
SEEN = tuple(client for client in CLIENTS if client not in (*UNSEEN, *ALL_POST))
TELL_OF_ANSWERS = tuple(client for client in RAISING if client in SEEN)
RESETS = {"before the answer": reset(), "in the body": reset(LENGTH)}


@pytest.mark.parametrize("when", RESETS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_get_is_made_again_after_a_reset(client: str, when: str, clients: OpenClients) -> None:
    """The connection broke: GET is safe to repeat."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(RESETS[when], answer())
        AT_ONCE.call(fetch, server.url, "GET")
        assert [seen.method for seen in server.seen] == ["GET", "GET"]


@pytest.mark.parametrize("when", RESETS)
@pytest.mark.parametrize("client", SEEN)
def test_a_post_is_not_made_again_after_a_reset(client: str, when: str, clients: OpenClients) -> None:
    """The server may have done it: once is enough, and the outcome says why."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(RESETS[when], answer())
        with pytest.raises(Exception) as caught:
            AT_ONCE.call(fetch, server.url, "POST")
        assert len(server.seen) == 1
    ended = outcome(caught.value)
    assert ended is not None and ended.reason is Reason.UNSAFE


@pytest.mark.parametrize("when", RESETS)
@pytest.mark.parametrize("client", SEEN)
def test_a_post_with_a_key_is_made_again_after_a_reset(client: str, when: str, clients: OpenClients) -> None:
    """With an Idempotency-Key the server does it once, however often it is asked."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(RESETS[when], answer())
        AT_ONCE.call(fetch, server.url, "POST", KEY)
        assert [seen.headers.get("idempotency-key") for seen in server.seen] == ["7f1c", "7f1c"]


@pytest.mark.parametrize("when", RESETS)
@pytest.mark.parametrize("client", [*UNSEEN, *ALL_POST])
def test_nothing_follows_from_a_post_that_nothing_shows(client: str, when: str, clients: OpenClients) -> None:
    """It is repeated: there `idempotent=False` is the caller's to say."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(RESETS[when], answer())
        AT_ONCE.call(fetch, server.url, "POST")
        assert len(server.seen) == 2


@pytest.mark.parametrize("when", RESETS)
@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_not_idempotent_is_not_made_again_after_a_reset(client: str, when: str, clients: OpenClients) -> None:
    """Whoever says so is heard, whatever the error tells."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(RESETS[when], answer())
        with pytest.raises(Exception) as caught:
            AT_ONCE(idempotent=False).call(fetch, server.url, "POST")
        assert len(server.seen) == 1
    ended = outcome(caught.value)
    assert ended is not None and ended.reason is Reason.UNSAFE


@pytest.mark.parametrize("client", RAISING)
def test_a_post_that_was_turned_away_is_made_again(client: str, clients: OpenClients) -> None:
    """A 503 was not applied: any method may be repeated, after the wait that the server asks for."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(answer(503, (("retry-after-ms", "25"),)), answer())
        began = monotonic()
        AT_ONCE(idempotent=False).call(fetch, server.url, "POST")
        assert len(server.seen) == 2
    assert monotonic() - began >= 0.025


@pytest.mark.parametrize("client", TELL_OF_ANSWERS)
def test_a_post_that_failed_in_the_server_is_not_made_again(client: str, clients: OpenClients) -> None:
    """A 500 may come after the work was done."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(answer(500), answer())
        with pytest.raises(Exception) as caught:
            AT_ONCE.call(fetch, server.url, "POST")
        assert len(server.seen) == 1
    ended = outcome(caught.value)
    assert ended is not None and ended.reason is Reason.UNSAFE
    let_go(caught.value)


@pytest.mark.parametrize("client", RAISING)
def test_what_stays_is_asked_for_once(client: str, clients: OpenClients) -> None:
    """A 404 reaches the caller as the client raised it, untouched."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(answer(404), answer())
        with pytest.raises(Exception) as caught:
            AT_ONCE.call(fetch, server.url)
        assert len(server.seen) == 1
    assert outcome(caught.value) is None
    let_go(caught.value)
