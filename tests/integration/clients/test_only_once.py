"""A POST whose answer is lost reaches the server once under a bare `retry`, whichever client makes it, and however."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from redouble import Reason, constant, outcome, retry
from tests.integration.clients.clients import BODY, CLIENTS, PATH, OpenClients, let_go, need
from tests.integration.clients.flaky_server import FlakyServer, answer, fall_silent, reset
from tests.integration.clients.services import SERVICES, stripe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

at_once = retry(backoff=constant(0))
"""The policy as it comes, without its waits."""
UNSEEN = {"asyncio streams", "botocore"}
"""Streams of one's own know no methods; in botocore everything is a POST, so that `idempotent=False` is the caller's."""


def ended_unsafe(error: BaseException) -> bool:
    """Whether a call gave up since it might do the thing twice."""
    ended = outcome(error)
    let_go(error)
    return ended is not None and ended.reason is Reason.UNSAFE


@pytest.mark.parametrize("call", SERVICES, ids=lambda call: call.__name__)
def test_a_service_is_asked_once(call: Callable[[str], Any], plain_surroundings: None) -> None:
    """Handed to `call`, beneath a function of the user's, and behind a lambda: each time one request, and no second."""

    def mine(url: str) -> Any:
        return call(url)

    for way in (lambda url: at_once.call(call, url), at_once(mine), lambda url: at_once.call(lambda: call(url))):
        with FlakyServer() as server:
            server.play(reset(), answer(200))
            with pytest.raises(Exception) as caught:
                way(server.url)
            assert [seen.method for seen in server.seen] == ["POST"]
            assert ended_unsafe(caught.value)


@pytest.mark.parametrize("client", sorted(CLIENTS.keys() - UNSEEN))
def test_a_client_is_asked_once(client: str, clients: OpenClients) -> None:
    """As what is retried is a function of the user's, from which nothing of the request is to be seen."""
    fetch = clients[client]

    @at_once
    def order(url: str) -> Any:
        return fetch(url, "POST")

    with FlakyServer() as server:
        server.play(reset(), answer(200))
        with pytest.raises(Exception) as caught:
            order(server.url)
        assert [seen.method for seen in server.seen] == ["POST"]
        assert ended_unsafe(caught.value)


def _requests(url: str) -> Any:
    return need("requests", "requests").post(url + PATH, data=BODY, timeout=5)


def _httpx(url: str, package: str = "httpx") -> Any:
    return need(package, package).post(url + PATH, content=BODY, follow_redirects=True)


def _urllib3(url: str) -> Any:
    urllib3 = need("urllib3", "urllib3")
    with urllib3.PoolManager(retries=urllib3.Retry(connect=0, read=0, redirect=2)) as pool:
        return pool.request("POST", url + PATH, body=BODY)


async def _post_aiohttp(url: str) -> Any:
    async with need("aiohttp", "aiohttp").ClientSession() as session, session.post(url + PATH, data=BODY) as response:
        return await response.read()


async def _post_httpx(url: str) -> Any:
    async with need("httpx", "httpx").AsyncClient(follow_redirects=True, timeout=5) as client:
        return await client.post(url + PATH, content=BODY)


def _run(post: Callable[[str], Coroutine[Any, Any, Any]], url: str) -> Any:
    return asyncio.run(post(url))


REDIRECTED: dict[str, Callable[[str], Any]] = {
    "requests": _requests,
    "httpx": _httpx,
    "httpx2": partial(_httpx, package="httpx2"),
    "urllib3": _urllib3,
    "aiohttp": partial(_run, _post_aiohttp),
    "httpx async": partial(_run, _post_httpx),
}


@pytest.mark.parametrize("client", REDIRECTED)
def test_a_redirected_post_is_made_once(client: str, plain_surroundings: None) -> None:
    """It is answered 303, and the GET that follows is reset: the POST has been done."""
    post = REDIRECTED[client]
    with FlakyServer() as server:
        server.play(answer(303, (("Location", "/done"),)), reset(), answer(200))
        with pytest.raises(Exception) as caught:
            at_once(lambda: post(server.url))()
        assert [seen.method for seen in server.seen] == ["POST", "GET"]
        assert ended_unsafe(caught.value)


@pytest.mark.parametrize("post", [_post_aiohttp, _post_httpx], ids=["aiohttp", "httpx"])
def test_a_post_that_a_limit_cut_is_made_once(
    post: Callable[[str], Coroutine[Any, Any, Any]], plain_surroundings: None
) -> None:
    """`attempt_timeout` ended an attempt whose request was sent: the server may have done it."""
    with FlakyServer() as server:
        server.play(fall_silent(), answer(200))
        with pytest.raises(TimeoutError) as caught:
            asyncio.run(at_once(attempt_timeout=0.3)(post)(server.url))
        assert [seen.method for seen in server.seen] == ["POST"]
        assert ended_unsafe(caught.value)


def test_a_key_that_the_client_makes_is_not_the_callers(plain_surroundings: None) -> None:
    """Stripe sends a new Idempotency-Key with every call, so that two calls are two charges."""
    with FlakyServer() as server:
        server.play(reset(), answer(200))
        with pytest.raises(Exception) as caught:
            at_once(lambda: stripe(server.url))()
        assert [len(seen.headers["idempotency-key"]) > 8 for seen in server.seen] == [True]
        assert ended_unsafe(caught.value)
