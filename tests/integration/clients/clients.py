"""The clients, each as one small callable: `fetch(url, method, headers)` gives the answer's body, or raises its own error.

All have their own retries off, the time limits of `Settings` for connecting and for each read, no proxy, and trust the
authority of `certificates`. An asynchronous client has an event loop of its own behind the callable.
"""

# ruff: noqa: D103  # the clients are listed in `CLIENTS`, by names that say which they are

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

PATIENT = 10.0  # where nothing is slow unless this machine is
HASTY = 0.1  # where somebody is silent
BODY = b'{"order": 1}'
PATH = "/orders"


class Fetch(Protocol):
    """One request to the server at `url`."""

    def __call__(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any: ...


Opening: TypeAlias = "Callable[[Settings], AbstractContextManager[Fetch]]"


class Settings:
    """What a client takes for good, the file of the authority and a context that trusts it; and how long it waits."""

    def __init__(self, authority: Path | None, seconds: float) -> None:
        self.file = None if authority is None else str(authority)
        self.context = ssl.create_default_context(cafile=self.file)
        self.seconds = seconds


def need(module: str, distribution: str) -> Any:
    """A module of a client, or a skipped test that says what to install."""
    return pytest.importorskip(module, reason=f"{module} is not installed: pip install {distribution}")


def body_of(method: str) -> bytes | None:
    """What is sent with a request."""
    return BODY if method == "POST" else None


# The standard library.


@contextmanager
def http_client(given: Settings) -> Iterator[Fetch]:
    def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.netloc, timeout=given.seconds)
        if place.scheme == "https":
            connection = http.client.HTTPSConnection(place.netloc, timeout=given.seconds, context=given.context)
        try:
            connection.request(method, PATH, body_of(method), dict(headers or {}))
            with connection.getresponse() as response:
                return response.read()
        finally:
            connection.close()

    yield fetch


@contextmanager
def urllib_request(given: Settings) -> Iterator[Fetch]:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=given.context)
    )

    def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
        request = urllib.request.Request(url + PATH, body_of(method), dict(headers or {}), method=method)
        with opener.open(request, timeout=given.seconds) as response:
            return response.read()

    yield fetch


@contextmanager
def asyncio_streams(given: Settings) -> Iterator[Fetch]:
    async def exchange(url: str, method: str, headers: Mapping[str, str]) -> bytes:
        place = urlsplit(url)
        context = given.context if place.scheme == "https" else None
        async with asyncio.timeout(given.seconds):
            reader, writer = await asyncio.open_connection(place.hostname, place.port, ssl=context)
        body = body_of(method) or b""
        lines = [f"{method} {PATH} HTTP/1.1", f"Content-Length: {len(body)}", *map(": ".join, headers.items()), "", ""]
        try:
            async with asyncio.timeout(given.seconds):
                writer.write("\r\n".join(lines).encode() + body)
                await writer.drain()
                first = await reader.readuntil(b"\r\n\r\n")
                length = first.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
                return await reader.readexactly(int(length))
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    with asyncio.Runner() as runner:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return runner.run(exchange(url, method, headers or {}))

        yield fetch


# Clients of HTTP in general.


@contextmanager
def requests_session(given: Settings) -> Iterator[Fetch]:
    requests = need("requests", "requests")
    with requests.Session() as session:
        session.trust_env, session.verify = False, given.file or True

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            response = session.request(method, url + PATH, headers=headers, data=body_of(method), timeout=given.seconds)
            response.raise_for_status()
            return response.content

        yield fetch


@contextmanager
def urllib3_pool(given: Settings, retries: bool = False) -> Iterator[Fetch]:
    urllib3 = need("urllib3", "urllib3")
    kept = urllib3.Retry(0) if retries else False
    with urllib3.PoolManager(ssl_context=given.context, timeout=given.seconds, retries=kept) as pool:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return pool.request(method, url + PATH, headers=headers, body=body_of(method)).data

        yield fetch


@contextmanager
def httpx_client(given: Settings, package: str) -> Iterator[Fetch]:
    httpx = need(package, package)
    with httpx.Client(verify=given.context, timeout=given.seconds, trust_env=False) as client:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            response = client.request(method, url + PATH, headers=headers, content=body_of(method))
            return response.raise_for_status().content

        yield fetch


@contextmanager
def httpx_async_client(given: Settings, package: str) -> Iterator[Fetch]:
    httpx = need(package, package)
    client = httpx.AsyncClient(verify=given.context, timeout=given.seconds, trust_env=False)

    async def exchange(url: str, method: str, headers: Mapping[str, str] | None) -> Any:
        response = await client.request(method, url + PATH, headers=headers, content=body_of(method))
        return response.raise_for_status().content

    with asyncio.Runner() as runner:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return runner.run(exchange(url, method, headers))

        try:
            yield fetch
        finally:
            runner.run(client.aclose())


@contextmanager
def aiohttp_session(given: Settings) -> Iterator[Fetch]:
    aiohttp = need("aiohttp", "aiohttp")
    limits = aiohttp.ClientTimeout(sock_connect=given.seconds, sock_read=given.seconds)

    async def open_session() -> Any:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=given.context), timeout=limits, raise_for_status=True
        )

    async def exchange(url: str, method: str, headers: Mapping[str, str] | None) -> Any:
        async with session.request(method, url + PATH, headers=headers, data=body_of(method)) as response:
            return await response.read()

    with asyncio.Runner() as runner:
        session = runner.run(open_session())

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return runner.run(exchange(url, method, headers))

        try:
            yield fetch
        finally:
            runner.run(session.close())


# Clients of particular services.

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def ask_model(client: Any, method: str, headers: Mapping[str, str] | None) -> Any:
    """A call of an SDK: one that reads, or one that works."""
    if method == "GET":
        return client.models.retrieve("m", extra_headers=headers)
    if hasattr(client, "chat"):
        return client.chat.completions.create(model="m", messages=MESSAGES, extra_headers=headers)
    return client.messages.create(model="m", messages=MESSAGES, max_tokens=1, extra_headers=headers)


def sdk(package: str, given: Settings, maker: str) -> Any:
    """A client of OpenAI or Anthropic; their answers need not be what they expect."""
    module = need(package, package)
    web = getattr(module, f"Default{maker}HttpxClient")(verify=given.context, trust_env=False)
    return getattr(module, maker + {"openai": "OpenAI", "anthropic": "Anthropic"}[package])(
        api_key="none", base_url="http://127.0.0.1:9", max_retries=0, timeout=given.seconds, http_client=web
    )


@contextmanager
def sdk_client(given: Settings, package: str) -> Iterator[Fetch]:
    with sdk(package, given, "") as client:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return ask_model(client.with_options(base_url=url), method, headers)

        yield fetch


@contextmanager
def sdk_async_client(given: Settings, package: str) -> Iterator[Fetch]:
    client = sdk(package, given, "Async")

    async def exchange(url: str, method: str, headers: Mapping[str, str] | None) -> Any:
        return await ask_model(client.with_options(base_url=url), method, headers)

    with asyncio.Runner() as runner:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return runner.run(exchange(url, method, headers))

        try:
            yield fetch
        finally:
            runner.run(client.close())


@contextmanager
def botocore_clients(given: Settings) -> Iterator[Fetch]:
    """S3 for GET, whose object is a stream; DynamoDB for POST. Headers cannot be given."""
    need("botocore", "botocore")
    session = need("botocore.session", "botocore").Session()
    settings = need("botocore.config", "botocore").Config(
        connect_timeout=given.seconds,
        read_timeout=given.seconds,
        proxies={},
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": "path"},
    )
    clients: dict[tuple[str, str], Any] = {}

    def client_of(url: str, service: str) -> Any:
        if (url, service) not in clients:
            clients[url, service] = session.create_client(
                service,
                region_name="eu-west-1",
                endpoint_url=url,
                aws_access_key_id="none",
                aws_secret_access_key="none",
                verify=given.file,
                config=settings,
            )
        return clients[url, service]

    def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
        if method == "POST":
            return client_of(url, "dynamodb").put_item(TableName="orders", Item={"order": {"N": "1"}})
        with client_of(url, "s3").get_object(Bucket="orders", Key="1")["Body"] as body:
            return body.read()

    try:
        yield fetch
    finally:
        for client in clients.values():
            client.close()


@contextmanager
def azure_client(given: Settings) -> Iterator[Fetch]:
    core = need("azure.core", "azure-core")
    need("requests", "requests")
    rest, policies = need("azure.core.rest", "azure-core"), need("azure.core.pipeline.policies", "azure-core")
    transport = need("azure.core.pipeline.transport", "azure-core").RequestsTransport(
        connection_timeout=given.seconds,
        read_timeout=given.seconds,
        connection_verify=given.file,
        use_env_settings=False,
    )
    with core.PipelineClient("", transport=transport, policies=[policies.RetryPolicy.no_retries()]) as client:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            request = rest.HttpRequest(method, url + PATH, headers=dict(headers or {}), content=body_of(method))
            response = client.send_request(request)
            response.raise_for_status()
            return response.content

        yield fetch


def search(client: Any, method: str, headers: Mapping[str, str] | None) -> Any:
    """A call to Elasticsearch: reading a document, or adding one."""
    client = client.options(headers=headers or {})
    if method == "GET":
        return client.get(index="orders", id="1")
    return client.index(index="orders", document={"order": 1})


def elastic(url: str, maker: str, given: Settings) -> Any:
    """A client of the one node at `url`."""
    module = need("elasticsearch", "elasticsearch")
    context = {"ssl_context": given.context} if url.startswith("https") else {}
    return getattr(module, maker)(url, max_retries=0, retry_on_timeout=False, request_timeout=given.seconds, **context)


@contextmanager
def elasticsearch_client(given: Settings) -> Iterator[Fetch]:
    need("elasticsearch", "elasticsearch")
    with ExitStack() as stack:
        clients: dict[str, Any] = {}

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            if url not in clients:
                clients[url] = stack.enter_context(elastic(url, "Elasticsearch", given))
            return search(clients[url], method, headers)

        yield fetch


@contextmanager
def elasticsearch_async_client(given: Settings) -> Iterator[Fetch]:
    need("elasticsearch", "elasticsearch")
    need("aiohttp", "elasticsearch[async]")
    clients: dict[str, Any] = {}

    async def exchange(url: str, method: str, headers: Mapping[str, str] | None) -> Any:
        if url not in clients:
            clients[url] = elastic(url, "AsyncElasticsearch", given)
        return await search(clients[url], method, headers)

    with asyncio.Runner() as runner:

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return runner.run(exchange(url, method, headers))

        try:
            yield fetch
        finally:
            for client in clients.values():
                runner.run(client.close())


@contextmanager
def google_session(given: Settings) -> Iterator[Fetch]:
    """As google-cloud's clients over HTTP: a session of google-auth, and an error out of each refusal."""
    exceptions = need("google.api_core.exceptions", "google-api-core")
    transport = need("google.auth.transport.requests", "google-auth[requests]")
    credentials = need("google.auth.credentials", "google-auth").AnonymousCredentials()
    with transport.AuthorizedSession(credentials, refresh_status_codes=()) as session:
        session.trust_env, session.verify = False, given.file or True

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            response = session.request(method, url + PATH, headers=headers, data=body_of(method), timeout=given.seconds)
            if not 200 <= response.status_code < 300:
                raise exceptions.from_http_response(response)
            return response.content

        yield fetch


@contextmanager
def google_auth(given: Settings) -> Iterator[Fetch]:
    """As google-auth itself asks for a token; it gives back refusals as responses."""
    transport = need("google.auth.transport.requests", "google-auth[requests]")
    requests = need("requests", "requests")
    with requests.Session() as session:
        session.trust_env, session.verify = False, given.file or True
        ask = transport.Request(session)

        def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
            return ask(url + PATH, method, body_of(method), headers, timeout=given.seconds).data

        yield fetch


RAISING: dict[str, Opening] = {
    "urllib.request": urllib_request,
    "requests": requests_session,
    "httpx": partial(httpx_client, package="httpx"),
    "httpx async": partial(httpx_async_client, package="httpx"),
    "httpx2": partial(httpx_client, package="httpx2"),
    "httpx2 async": partial(httpx_async_client, package="httpx2"),
    "aiohttp": aiohttp_session,
    "openai": partial(sdk_client, package="openai"),
    "openai async": partial(sdk_async_client, package="openai"),
    "anthropic": partial(sdk_client, package="anthropic"),
    "anthropic async": partial(sdk_async_client, package="anthropic"),
    "botocore": botocore_clients,
    "azure-core": azure_client,
    "elasticsearch": elasticsearch_client,
    "elasticsearch async": elasticsearch_async_client,
    "google-api-core": google_session,
}
"""The clients that raise an error for an answer of 400 or more, or are made to."""

ANSWERING: dict[str, Opening] = {
    "http.client": http_client,
    "asyncio streams": asyncio_streams,
    "urllib3": urllib3_pool,
    "urllib3 Retry": partial(urllib3_pool, retries=True),
    "google-auth": google_auth,
}
"""The others: to them any answer is an answer."""

CLIENTS: dict[str, Opening] = RAISING | ANSWERING


class OpenClients:
    """The clients of one run of the tests: each is opened when the first test asks for it."""

    def __init__(self, given: Settings) -> None:
        self._given = given
        self._stack = ExitStack()
        self._fetch: dict[str, Fetch] = {}

    def __getitem__(self, name: str) -> Fetch:
        if name not in self._fetch:
            self._fetch[name] = self._stack.enter_context(CLIENTS[name](self._given))
        return self._fetch[name]

    def close(self) -> None:
        """Close them all."""
        self._stack.close()


def let_go(error: BaseException) -> None:
    """Close what an error holds open: urllib's HTTPError is the response itself."""
    if isinstance(error, urllib.request.HTTPError):
        error.close()


def without_names(number: int) -> Callable[..., Any]:
    """Stands in for `socket.getaddrinfo` where the network would be asked: it answers with this EAI number."""

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else str(host)).endswith(".invalid"):
            raise socket.gaierror(number, "made for a test")
        return real_getaddrinfo(host, *args, **kwargs)

    return getaddrinfo


real_getaddrinfo = socket.getaddrinfo
