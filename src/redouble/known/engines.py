"""Floor 2. Where the frames of HTTP engines keep the method of a request, and which functions POST only to read.

Plain data for `request.py`: modules, and functions by qualified name, as a frame of a traceback shows them. A path
begins with a local variable and goes on through attributes of instances (a number stands for the item of a list).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Path: TypeAlias = tuple[Any, ...]
    Functions: TypeAlias = dict[str, tuple[Path, ...]]

METHOD: tuple[Path, ...] = (("method",),)
REQUEST: tuple[Path, ...] = (("request", "method"),)

_PREPARED: Functions = {
    "Session.request": METHOD,
    "Session.send": REQUEST,
    "AsyncSession.request": METHOD,
    "AsyncSession.send": REQUEST,
}
_PREPARED_BODY: Functions = {
    "Response.iter_content.<locals>.generate": (("self", "request", "method"),),
    "Response.raise_for_status": (("self", "request", "method"), ("self", "history", 0, "request", "method")),
}
_HTTPX: Functions = {
    "Client.request": METHOD,
    "Client.stream": METHOD,
    "Client.send": REQUEST,
    "AsyncClient.request": METHOD,
    "AsyncClient.stream": METHOD,
    "AsyncClient.send": REQUEST,
}
_HTTPX_ANSWER: Functions = {
    "Response.raise_for_status": (("request", "method"), ("self", "history", 0, "_request", "method")),
}
_POOL: Functions = {
    "ConnectionPool.handle_request": REQUEST,
    "AsyncConnectionPool.handle_async_request": REQUEST,
}
_STREAM: tuple[Path, ...] = (("self", "_request", "method"),)
_HTTP11: Functions = {
    "HTTP11Connection.handle_request": REQUEST,
    "HTTP11Connection._receive_response_body": REQUEST,
    "HTTP11ConnectionByteStream.__iter__": _STREAM,
    "AsyncHTTP11Connection.handle_async_request": REQUEST,
    "AsyncHTTP11Connection._receive_response_body": REQUEST,
    "HTTP11ConnectionByteStream.__aiter__": _STREAM,
}
_HTTP2: Functions = {
    "HTTP2Connection.handle_request": REQUEST,
    "HTTP2Connection._receive_response_body": REQUEST,
    "HTTP2ConnectionByteStream.__iter__": _STREAM,
    "AsyncHTTP2Connection.handle_async_request": REQUEST,
    "AsyncHTTP2Connection._receive_response_body": REQUEST,
    "HTTP2ConnectionByteStream.__aiter__": _STREAM,
}
_URLOPEN: tuple[Path, ...] = (("method",), ("response", "_original_response", "_method"))
"""A redirect makes a GET out of `method`, but the answer that redirected still knows the method that it answered."""
_SENT: tuple[Path, ...] = (("self", "_method"),)

ENGINES: dict[str, Functions] = {
    "http.client": {
        "HTTPConnection._send_request": METHOD,
        "HTTPConnection.getresponse": _SENT,
        "HTTPResponse.read": _SENT,
        "HTTPResponse.readinto": _SENT,
        "HTTPResponse.read1": _SENT,
        "HTTPResponse._safe_read": _SENT,
        "HTTPResponse._read_chunked": _SENT,
        "HTTPResponse._get_chunk_left": _SENT,
    },
    "urllib.request": {"HTTPErrorProcessor.http_response": (("response", "_method"),)},
    "urllib3.connectionpool": {"HTTPConnectionPool.urlopen": _URLOPEN},
    "urllib3.poolmanager": {"PoolManager.urlopen": _URLOPEN},
    "requests.sessions": _PREPARED,
    "requests.models": _PREPARED_BODY,
    "niquests.sessions": _PREPARED,
    "niquests.async_session": _PREPARED,
    "niquests.models": _PREPARED_BODY,
    "httpx._client": _HTTPX,
    "httpx2._client": _HTTPX,
    "httpx._models": _HTTPX_ANSWER,
    "httpx2._models": _HTTPX_ANSWER,
    "httpcore._sync.connection_pool": _POOL,
    "httpcore._async.connection_pool": _POOL,
    "httpcore2._sync.connection_pool": _POOL,
    "httpcore2._async.connection_pool": _POOL,
    "httpcore._sync.http11": _HTTP11,
    "httpcore._async.http11": _HTTP11,
    "httpcore2._sync.http11": _HTTP11,
    "httpcore2._async.http11": _HTTP11,
    "httpcore._sync.http2": _HTTP2,
    "httpcore._async.http2": _HTTP2,
    "httpcore2._sync.http2": _HTTP2,
    "httpcore2._async.http2": _HTTP2,
    "aiohttp.client": {"ClientSession._request": (("method",), ("history", 0, "method"))},
    "aiohttp.client_reqrep": {
        "ClientResponse.read": (("self", "method"), ("self", "_history", 0, "method")),
        "ClientResponse.start": (("self", "method"),),
        "ClientResponse.raise_for_status": (("self", "method"), ("self", "_history", 0, "method")),
    },
    "httplib2": {"Http.request": METHOD},
    "curl_cffi.requests.session": {"Session.request": METHOD, "AsyncSession.request": METHOD},
    # These raise an answer's error only after the engine beneath has returned.
    "elasticsearch._sync.client._base": {"BaseClient._perform_request": METHOD},
    "elasticsearch._async.client._base": {"BaseClient._perform_request": METHOD},
    "opensearchpy.transport": {"Transport.perform_request": METHOD},
    "opensearchpy._async.transport": {"AsyncTransport.perform_request": METHOD},
    "azure.core.pipeline._base": {"Pipeline.run": REQUEST},
    "azure.core.pipeline._base_async": {"AsyncPipeline.run": REQUEST},
}
"""Every engine that keeps the method in reach, by module and function."""

NO_OPINION: frozenset[str] = frozenset(
    f"botocore.{module}"
    for module in ("client", "context", "endpoint", "eventstream", "httpsession", "paginate", "response", "waiter")
)
"""Most of AWS's protocols send every operation as a POST, reading ones too, and botocore repeats them by itself."""


class Reads:
    """The functions of a module that only read, or fetch a token, although they send a POST.

    Attributes:
        names: Their qualified names.
        beginnings: How such names begin.
        endings: How such names end.
        operation: The local variable that names the operation, where one function serves all; then `beginnings` are the
            beginnings of its value.
    """

    __slots__ = ("beginnings", "endings", "names", "operation")

    beginnings: tuple[str, ...]
    endings: tuple[str, ...]
    operation: str

    def __init__(
        self,
        *names: str,
        beginnings: tuple[str, ...] = (),
        endings: tuple[str, ...] = (),
        operation: str = "",
    ) -> None:
        self.names: frozenset[str] = frozenset(names)
        self.beginnings, self.endings, self.operation = beginnings, endings, operation

    def named(self, function: str) -> bool:
        """Return whether a function of this name is one of them."""
        if function in self.names:
            return True
        return not self.operation and (function.startswith(self.beginnings) or function.endswith(self.endings))


def _searches(client: str) -> Reads:
    return Reads(*(f"{client}.{name}" for name in ("search", "msearch", "count", "scroll", "mget")))


_SLACK = Reads(endings=("_list", "_history", "_info", ".auth_test", ".api_test"))
_TOKENS = ("_token_endpoint_request", "_token_endpoint_request_no_throw")

READS: dict[str, Reads] = {
    "google.oauth2._client": Reads(*_TOKENS),
    "google.oauth2._client_async": Reads(*_TOKENS),
    "requests_oauthlib.oauth2_session": Reads("OAuth2Session.fetch_token", "OAuth2Session.refresh_token"),
    "authlib.oauth2.client": Reads("OAuth2Client.fetch_token", "OAuth2Client.refresh_token"),
    "msal.oauth2cli.oauth2": Reads("BaseClient._obtain_token"),
    "azure.identity._internal.aad_client": Reads("AadClient._run_pipeline"),
    "azure.identity.aio._internal.aad_client": Reads("AadClient._run_pipeline"),
    "elasticsearch.client": _searches("Elasticsearch"),
    "elasticsearch._sync.client": _searches("Elasticsearch"),
    "elasticsearch._async.client": _searches("AsyncElasticsearch"),
    "opensearchpy.client": _searches("OpenSearch"),
    "opensearchpy._async.client": _searches("AsyncOpenSearch"),
    "influxdb_client.client.query_api": Reads(beginnings=("QueryApi.query",)),
    "influxdb_client.client.query_api_async": Reads(beginnings=("QueryApiAsync.query",)),
    "clickhouse_connect.driver._backendclient": Reads(
        "SyncBackendClient._query_with_context", "AsyncBackendClient._query_with_context"
    ),
    "clickhouse_connect.driver.httpclient": Reads("HttpClient._query_with_context"),
    "qdrant_client.http.api.search_api": Reads(beginnings=("SyncSearchApi.", "AsyncSearchApi.")),
    "slack_sdk.web.client": _SLACK,
    "slack_sdk.web.async_client": _SLACK,
    "slack_sdk.web.legacy_client": _SLACK,
    "notion_client.api_endpoints": Reads(
        "SearchEndpoint.__call__", "DatabasesEndpoint.query", "DataSourcesEndpoint.query"
    ),
    "aiobotocore.client": Reads(
        "AioBaseClient._make_api_call",
        beginnings=("Get", "List", "Describe", "Query", "Scan", "BatchGet", "TransactGet", "Head", "Select", "Search"),
        operation="operation_name",
    ),
}
"""A POST that is sent beneath one of these does not count."""
