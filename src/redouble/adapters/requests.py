"""On top of the floors: an adapter for requests, which sends a request again by a redouble policy.

Particular to requests is that the adapter learns whether the answer will be streamed: if not, its body is read within
the attempt, so that a truncated answer is retried. The rest is in `_http.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import DEFAULT_POOLBLOCK, DEFAULT_POOLSIZE, HTTPAdapter

from redouble.adapters._http import Sender, say_own_retries
from redouble.adapters.urllib3 import cut_timeout, is_on
from redouble.ways.policy import retry

if TYPE_CHECKING:
    from typing import Unpack

    from requests import PreparedRequest, Response
    from urllib3 import Retry

    from redouble.control.policy import PolicyFields
    from redouble.ways.policy import RetryPolicy


class RetryAdapter(HTTPAdapter):
    """An adapter that sends a request again until it succeeds or the policy gives up; to be mounted on a session.

    It is beneath the session's redirects: each request of theirs is retried by itself. With `stream=True` the caller
    reads an answer's body, and handles a truncated one.

    Args:
        policy: The policy; its `result` is `http_response` unless written.
        pool_connections, pool_maxsize, pool_block: As of `HTTPAdapter`.
        max_retries: urllib3's own retries, beneath those of redouble; leave them off.
        fields: Changes of the policy, as keywords: `attempts=5`.

    Raises:
        TypeError, ValueError: For a value that is not a policy, and for wrong fields.

    >>> import requests
    >>> from redouble.adapters.requests import RetryAdapter
    >>> session = requests.Session()
    >>> session.mount("https://", RetryAdapter(attempts=5))
    """

    __attrs__: list[str] = [*HTTPAdapter.__attrs__, "_policy"]  # noqa: RUF012  # the attributes that requests pickles

    def __init__(
        self,
        policy: RetryPolicy = retry,
        *,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        pool_block: bool = DEFAULT_POOLBLOCK,
        max_retries: int | Retry = 0,
        **fields: Unpack[PolicyFields],
    ) -> None:
        self._sender = Sender("requests", policy, fields)
        self._policy = self._sender.policy
        super().__init__(pool_connections, pool_maxsize, max_retries, pool_block)
        if is_on(self.max_retries):
            say_own_retries("requests", "HTTPAdapter(max_retries=...)", "max_retries=0")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # pyrefly: ignore[missing-attribute]  # its stubs are older than requests
        self._sender = Sender("requests", self._policy, {})

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        def send_once(limit: float | None) -> Response:
            limited = timeout if limit is None else cut_timeout(timeout, limit)
            response = super(RetryAdapter, self).send(request, stream, limited, verify, cert, proxies)
            if not stream:
                _read(response)
            return response

        return self._sender(request, request.body, send_once)


def _read(response: Response) -> None:
    try:
        response.content  # noqa: B018  # requests keeps it
    except BaseException:
        response.close()
        raise
