"""Real clients, whose errors do not show the request: it is seen in their tracebacks, and a POST is known by it."""

# ruff: noqa: D103  # the clients are listed in `SERVICES` and `READING`, by names that say which they are

from __future__ import annotations

import asyncio
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any

import pytest

from redouble.known.engines import ENGINES, READS
from redouble.known.own_retries import BOTOCORE, REDIS, TENACITY, URLLIB3, given_up_by
from redouble.known.request import sends_unsafely
from tests.integration.clients.clients import BODY, CLIENTS, PATH, OpenClients, let_go, need
from tests.integration.clients.flaky_server import FlakyServer, answer, closed_port, fall_silent, reset
from tests.integration.clients.provocations import LENGTH
from tests.integration.clients.services import SERVICES, aiobotocore, influx, slack

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = {"Idempotency-Key": "7f1c"}
RESETS = {"before the answer": reset(), "in the body": reset(LENGTH)}
UNSEEN = {"asyncio streams", "botocore"}
"""Streams of one's own know no methods; in botocore everything is a POST, on purpose."""


def failure(call: Callable[..., object], *args: Any) -> Exception:
    """What a call raised."""
    with pytest.raises(Exception) as caught:
        call(*args)
    let_go(caught.value)
    return caught.value


@pytest.mark.parametrize("when", RESETS)
@pytest.mark.parametrize("client", sorted(CLIENTS.keys() - UNSEEN))
def test_a_post_is_seen_and_a_get_is_none(client: str, when: str, clients: OpenClients) -> None:
    """Whatever the error carries, and wherever the connection broke."""
    fetch = clients[client]
    with FlakyServer() as server:
        for method, unsafe in (("POST", True), ("GET", False)):
            server.play(RESETS[when])
            assert sends_unsafely(failure(fetch, server.url, method)).unsafe is unsafe


@pytest.mark.parametrize("client", sorted(CLIENTS.keys() - UNSEEN))
def test_a_key_of_the_callers_counts(client: str, clients: OpenClients) -> None:
    """A header that was handed in makes the POST one effect."""
    fetch = clients[client]
    with FlakyServer() as server:
        server.play(reset())
        error = failure(fetch, server.url, "POST", KEY)
    assert not sends_unsafely(error, handed=(fetch, ("http://", "POST", KEY), {})).unsafe
    assert server.seen[0].headers["idempotency-key"] == "7f1c"


@pytest.mark.parametrize("client", ["requests", "httpx", "httpx async", "httpx2", "aiohttp", "urllib3"])
def test_a_redirected_post_is_seen(client: str, clients: OpenClients) -> None:
    """A POST that is answered 303 was done, though the GET that followed is what failed."""
    follow = {
        "httpx": _follow_httpx,
        "httpx2": partial(_follow_httpx, package="httpx2"),
        "httpx async": _follow_async,
        "urllib3": _follow_urllib3,
    }
    fetch = follow.get(client) or clients[client]
    with FlakyServer() as server:
        server.play(answer(303, (("Location", "/done"),)), reset())
        error = failure(fetch, server.url, "POST")
        assert [seen.method for seen in server.seen][:2] == ["POST", "GET"]
    assert sends_unsafely(error).unsafe


def _follow_httpx(url: str, method: str, package: str = "httpx") -> Any:
    httpx = need(package, package)
    return httpx.request(method, url + PATH, content=BODY, follow_redirects=True, trust_env=False)


def _follow_async(url: str, method: str) -> Any:
    httpx = need("httpx", "httpx")

    async def exchange() -> Any:
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            return await client.request(method, url + PATH, content=BODY)

    return asyncio.run(exchange())


def _follow_urllib3(url: str, method: str) -> Any:
    urllib3 = need("urllib3", "urllib3")
    with urllib3.PoolManager(retries=urllib3.Retry(connect=0, read=0, redirect=2)) as pool:
        return pool.request(method, url + PATH, body=BODY)


def test_an_attempt_that_was_cut_shows_its_post(clients: OpenClients) -> None:
    """The cause of a time limit's error is a cancellation, in whose traceback the engine is."""
    httpx = need("httpx", "httpx")

    async def exchange(url: str) -> Any:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(0.2):
            return await client.post(url + PATH, content=BODY)

    with FlakyServer() as server:
        server.play(fall_silent())
        assert sends_unsafely(failure(asyncio.run, exchange(server.url))).unsafe


@pytest.mark.parametrize("call", SERVICES, ids=lambda call: call.__name__)
def test_a_post_of_a_service_is_seen(call: Callable[[str], Any], plain_surroundings: None) -> None:
    """What only the traceback shows; a key that the client made itself changes nothing."""
    with FlakyServer() as server:
        server.play(reset())
        error = failure(call, server.url)
        assert [seen.method for seen in server.seen] == ["POST"]
    assert sends_unsafely(error, handed=(call, ("http://",), {})).unsafe


def google_token(url: str) -> Any:
    credentials = need("google.oauth2.credentials", "google-auth[requests]")
    transport = need("google.auth.transport.requests", "google-auth[requests]")
    given = {"refresh_token": "r", "token_uri": url + "/t", "client_id": "a", "client_secret": "b"}
    return credentials.Credentials(None, **given).refresh(transport.Request())


def oauth_token(url: str) -> Any:
    session = need("requests_oauthlib", "requests-oauthlib")
    client = need("oauthlib.oauth2", "oauthlib").BackendApplicationClient(client_id="a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
        return session.OAuth2Session(client=client).fetch_token(token_url=url, client_id="a", client_secret="b")


def authlib_token(url: str, package: str = "authlib.integrations.requests_client", name: str = "OAuth2Session") -> Any:
    client = getattr(need(package, "authlib"), name)("a", "b", token_endpoint_auth_method="client_secret_post")
    return client.fetch_token(url + "/t", grant_type="client_credentials")


def elastic(url: str, call: str, **given: Any) -> Any:
    module = need("elasticsearch", "elasticsearch")
    with module.Elasticsearch(url, max_retries=0) as client:
        return getattr(client, call)(**given)


def elastic_async(url: str) -> Any:
    module = need("elasticsearch", "elasticsearch[async]")

    async def exchange() -> Any:
        async with module.AsyncElasticsearch(url, max_retries=0) as client:
            return await client.search(index="a", query={"match_all": {}})

    return asyncio.run(exchange())


def opensearch(url: str, call: str, **given: Any) -> Any:
    return getattr(need("opensearchpy", "opensearch-py").OpenSearch(url, max_retries=0), call)(**given)


def notion(url: str) -> Any:
    return need("notion_client", "notion-client").Client(auth="none", base_url=url, retry=False).search(query="x")


def qdrant(url: str) -> Any:
    module = need("qdrant_client", "qdrant-client")
    return module.QdrantClient(url, check_compatibility=False).query_points("c", query=[0.1])


READING: dict[str, Callable[[str], Any]] = {
    "google token": google_token,
    "oauth token": oauth_token,
    "authlib token": authlib_token,
    "authlib token, httpx": partial(authlib_token, package="authlib.integrations.httpx_client", name="OAuth2Client"),
    "elasticsearch search": partial(elastic, call="search", index="a", query={"match_all": {}}),
    "elasticsearch msearch": partial(elastic, call="msearch", searches=[{}, {"query": {"match_all": {}}}]),
    "elasticsearch count": partial(elastic, call="count", index="a", query={"match_all": {}}),
    "elasticsearch scroll": partial(elastic, call="scroll", scroll_id="1"),
    "elasticsearch mget": partial(elastic, call="mget", index="a", ids=["1"]),
    "elasticsearch async search": elastic_async,
    "opensearch search": partial(opensearch, call="search", body={}),
    "opensearch msearch": partial(opensearch, call="msearch", body=[{}, {}]),
    "opensearch count": partial(opensearch, call="count", body={}),
    "opensearch scroll": partial(opensearch, call="scroll", scroll_id="1"),
    "opensearch mget": partial(opensearch, call="mget", body={"ids": ["1"]}, index="a"),
    "influx query": partial(influx, query=True),
    "slack list": partial(slack, call="conversations_list", limit=1),
    "slack history": partial(slack, call="conversations_history", channel="c"),
    "slack info": partial(slack, call="users_info", user="u"),
    "slack auth_test": partial(slack, call="auth_test", timeout=1),
    "slack api_test": partial(slack, call="api_test", error="e"),
    "notion search": notion,
    "qdrant query": qdrant,
    "aiobotocore get": partial(
        aiobotocore, service="dynamodb", call="get_item", TableName="orders", Key={"order": {"N": "1"}}
    ),
}


@pytest.mark.parametrize("client", READING)
def test_a_post_that_reads_is_none(client: str, plain_surroundings: None) -> None:
    """A search, a query, a token: asked for by POST, and asked for again at no cost."""
    with FlakyServer() as server:
        server.play(reset())
        error = failure(READING[client], server.url)
        assert [seen.method for seen in server.seen] in (["POST"], ["GET"])
    assert not sends_unsafely(error).unsafe


@pytest.mark.parametrize("client", [elastic, opensearch])
def test_an_answer_of_a_search_server_shows_its_request(client: Callable[..., Any], plain_surroundings: None) -> None:
    """The error is raised of an answer, when the engine has long returned: one that writes is a POST, a search is none."""
    with FlakyServer() as server:
        for call, given, unsafe in (("index", {"index": "a"}, True), ("search", {"index": "a"}, False)):
            body = {"document": {}} if client is elastic else {"body": {}}
            server.play(answer(500))
            error = failure(partial(client, call=call, **given, **(body if unsafe else {})), server.url)
            assert [seen.method for seen in server.seen] == ["POST"]
            assert sends_unsafely(error).unsafe is unsafe


# What the tables name is there.


def functions_of(module: Any) -> set[str]:
    """The qualified names of the functions that a module defines, those within functions too."""
    with open(module.__file__, encoding="utf-8") as source:  # noqa: PTH123
        waiting = [compile(source.read(), module.__file__, "exec")]
    found = set()
    for code in waiting:
        found.add(code.co_qualname)
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
    return found


OLDER = {"elasticsearch.client", "clickhouse_connect.driver.httpclient"}
"""Where only older releases have these functions."""


@pytest.mark.parametrize("name", sorted((ENGINES.keys() | READS.keys()) - OLDER))
def test_what_the_tables_name_is_there(name: str) -> None:
    """A release that renames its functions is to be seen here; sync and async modules share their entries."""
    functions = functions_of(need(name, name.partition(".")[0]))
    if name in ENGINES:
        assert ENGINES[name].keys() & functions
    if name in READS:
        assert READS[name].names & functions or any(READS[name].named(function) for function in functions)


# Clients that tried again by themselves.


def test_urllib3_tells_after_a_retry(plain_surroundings: None) -> None:
    """Two requests were made, and its history says so; one was made where it retries nothing. So it is beneath requests."""
    urllib3, requests = need("urllib3", "urllib3"), need("requests", "requests")

    def mounted(url: str, retries: int) -> Any:
        with requests.Session() as session:
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
            return session.get(url, timeout=5)

    with FlakyServer() as server:
        for retries, by in ((1, URLLIB3), (0, None)):
            server.play(reset())
            with urllib3.PoolManager(retries=urllib3.Retry(retries)) as pool:
                assert given_up_by(failure(pool.request, "GET", server.url)) is by
            assert len(server.seen) == retries + 1
            with closed_port() as port:
                assert given_up_by(failure(mounted, f"http://127.0.0.1:{port}", retries)) is by


def test_botocore_tells_after_a_retry(plain_surroundings: None) -> None:
    """An answer of 503 that came twice; and one that came once."""
    session = need("botocore.session", "botocore").Session()
    config = need("botocore.config", "botocore").Config
    with FlakyServer() as server:
        for attempts, by in ((2, BOTOCORE), (1, None)):
            for mode in ("standard", "legacy"):
                server.play(answer(503))
                client = session.create_client(
                    "sqs",
                    region_name="eu-west-1",
                    endpoint_url=server.url,
                    aws_access_key_id="a",
                    aws_secret_access_key="b",
                    config=config(retries={"total_max_attempts": attempts, "mode": mode}),
                )
                error = failure(partial(client.send_message, QueueUrl=server.url + "/q", MessageBody="x"))
                client.close()
                assert len(server.seen) == attempts
                assert given_up_by(error) is by


def test_redis_tells_after_a_retry() -> None:
    """Two connections were tried; and one, where its retries are off."""
    redis = need("redis", "redis")
    retry, none = need("redis.retry", "redis").Retry, need("redis.backoff", "redis").NoBackoff()
    with closed_port() as port:
        for retries, by in ((1, REDIS), (0, None)):
            with redis.Redis(port=port, retry=retry(none, retries)) as client:
                assert given_up_by(failure(client.ping)) is by


def test_tenacity_tells() -> None:
    """Its RetryError is raised when it gave up."""
    tenacity = need("tenacity", "tenacity")
    call = tenacity.retry(stop=tenacity.stop_after_attempt(2))(lambda: 1 / 0)
    assert given_up_by(failure(call)) is TENACITY
